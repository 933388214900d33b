/* SPDX-License-Identifier: GPL-3.0-or-later */

/* URLs by their form alone: for those who hand them to a library, and show them to people. */

#include <stdio.h>
#include <strings.h>

#include "common/macro.h"
#include "common/url.h"

bool http_url_is_valid(const char *url) {
        const char *host = strncasecmp(url, "http://", 7) == 0 ? url + 7 : strncasecmp(url, "https://", 8) == 0 ? url + 8 : NULL;
        size_t size = host ? strcspn(host, "/?#") : 0;
        const char *at = size > 0 ? memrchr(host, '@', size) : NULL;

        if (at) {
                size -= (size_t) (at + 1 - host);
                host = at + 1;
        }
        return size > 0 && host[0] != ':' && !strpbrk(url, " \t\r\n");
}

char *http_url_redacted(const char *url) {
        const char *host = strstr(url, "://"), *end, *at;
        char *copy;

        if (!host)
                return strdup(url);
        host += 3;
        end = host + strcspn(host, "/?#");
        at = memrchr(host, '@', (size_t) (end - host));
        if (!at)
                return strdup(url);
        return asprintf(&copy, "%.*s%s", (int) (host - url), url, at + 1) < 0 ? NULL : copy;
}
