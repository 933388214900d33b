/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Browsers of today say by Sec-Fetch-Site whether a request comes from a page of the same origin, or from the person ("none").
 * Those that do not, and all that talk to us without TLS by a name, send at least an Origin with what can be harmful. */

#include <strings.h>

#include "daemons/http/cross-site.h"
#include "daemons/http/host-name.h"

static bool is_harmless(const HttpRequest *q) {
        static const char *const harmless[] = { "GET", "HEAD", "OPTIONS" };

        for (size_t i = 0; i < ELEMENTSOF(harmless); i++)
                if (streq(http_request_method(q), harmless[i]))
                        return true;
        return false;
}

bool http_request_is_cross_site(const HttpRequest *q) {
        const char *site = http_request_header(q, "Sec-Fetch-Site"), *origin = http_request_header(q, "Origin");
        const char *host = http_request_header(q, "Host");

        if (is_harmless(q))
                return false;
        if (site)
                return !streq(site, "same-origin") && !streq(site, "none");
        if (!origin)
                return false;
        const char *scheme = strstr(origin, "://");
        return !scheme || !host || strcasecmp(scheme + 3, host) != 0;
}

bool http_request_is_misled(const HttpRequest *q, char *const *hosts) {
        const char *host = http_request_header(q, "Host");

        return !is_harmless(q) && http_request_header(q, "Origin") && http_request_is_local(q) && !host_is_local(host) &&
               !host_is_one_of(host, hosts);
}
