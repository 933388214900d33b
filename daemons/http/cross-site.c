/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Browsers of today say by Sec-Fetch-Site whether a request comes from a page of the same origin, or from the person ("none").
 * Those that do not, and all that talk to us without TLS by a name, send at least an Origin with what can be harmful. */

#include <strings.h>

#include "daemons/http/cross-site.h"

bool http_request_is_cross_site(const HttpRequest *q) {
        static const char *const harmless[] = { "GET", "HEAD", "OPTIONS" };
        const char *method = http_request_method(q), *site = http_request_header(q, "Sec-Fetch-Site");
        const char *origin = http_request_header(q, "Origin"), *host = http_request_header(q, "Host");

        for (size_t i = 0; i < ELEMENTSOF(harmless); i++)
                if (streq(method, harmless[i]))
                        return false;
        if (site)
                return !streq(site, "same-origin") && !streq(site, "none");
        if (!origin)
                return false;
        const char *scheme = strstr(origin, "://");
        return !scheme || !host || strcasecmp(scheme + 3, host) != 0;
}
