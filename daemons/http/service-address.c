/* SPDX-License-Identifier: GPL-3.0-or-later */

/* As URLs, but for the scheme, which is none of the web. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "daemons/http/service-address.h"

void service_address_done(ServiceAddress *a) {
        free(a->driver);
        free(a->user);
        if (a->password)
                explicit_bzero(a->password, strlen(a->password));
        free(a->password);
        free(a->host);
        free(a->path);
        *a = (ServiceAddress) {};
}

/* -EINVAL: a broken escape, or one of a NUL. */
static int decode(const char *s, size_t size, char **ret) {
        char *text = malloc(size + 1), *to = text;

        if (!text)
                return -ENOMEM;
        for (const char *end = s + size; s < end; s++) {
                int high = *s == '%' && end - s > 2 ? hex_digit(s[1]) : -1, low = high < 0 ? -1 : hex_digit(s[2]);
                if (*s != '%')
                        *to++ = *s;
                else if (low < 0 || (high | low) == 0) {
                        free(text);
                        return -EINVAL;
                } else {
                        *to++ = (char) (high << 4 | low);
                        s += 2;
                }
        }
        *to = '\0';
        *ret = text;
        return 0;
}

static int parse_port(const char *s, size_t size, uint16_t *ret) {
        unsigned n = 0;

        for (size_t i = 0; i < size; i++) {
                if (s[i] < '0' || s[i] > '9' || n > UINT16_MAX)
                        return -EINVAL;
                n = n * 10 + (unsigned) (s[i] - '0');
        }
        if (size == 0 || n == 0 || n > UINT16_MAX)
                return -EINVAL;
        *ret = (uint16_t) n;
        return 0;
}

/* "host", "host:port", "[address]:port" */
static int parse_host(const char *s, size_t size, ServiceAddress *ret) {
        const char *end = s + size, *close = size > 0 && *s == '[' ? memchr(s, ']', size) : NULL;
        const char *rest = close ? close + 1 : memchr(s, ':', size);
        int r;

        if (size > 0 && *s == '[' && !close)
                return -EINVAL;
        if (!rest)
                rest = end;
        r = close ? decode(s + 1, (size_t) (close - s - 1), &ret->host) : decode(s, (size_t) (rest - s), &ret->host);
        if (r < 0 || rest == end)
                return r;
        return *rest == ':' ? parse_port(rest + 1, (size_t) (end - rest - 1), &ret->port) : -EINVAL;
}

static int parse_user(const char *s, size_t size, ServiceAddress *ret) {
        const char *colon = memchr(s, ':', size);
        int r = decode(s, colon ? (size_t) (colon - s) : size, &ret->user);

        return r < 0 || !colon ? r : decode(colon + 1, size - (size_t) (colon + 1 - s), &ret->password);
}

static int parse(const char *text, ServiceAddress *ret) {
        const char *rest = strstr(text, "://"), *at, *end;
        int r;

        if (!rest)
                return 0;
        r = decode(text, (size_t) (rest - text), &ret->driver);
        rest += 3;
        end = rest + strcspn(rest, "/?#");
        at = memrchr(rest, '@', (size_t) (end - rest));
        if (strpbrk(end, "?#"))
                r = -EINVAL;
        if (r >= 0 && at)
                r = parse_user(rest, (size_t) (at - rest), ret);
        if (at)
                rest = at + 1;
        if (r >= 0)
                r = parse_host(rest, (size_t) (end - rest), ret);
        return r < 0 ? r : decode(end, strlen(end), &ret->path);
}

int service_address_parse(const char *text, ServiceAddress *ret) {
        ServiceAddress a = {};
        char **texts[] = { &a.driver, &a.user, &a.password, &a.host, &a.path };
        int r = parse(text, &a);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                if (!*texts[i] && !(*texts[i] = strdup("")))
                        r = -ENOMEM;
        if (r < 0) {
                service_address_done(&a);
                return r;
        }
        *ret = a;
        return 0;
}

bool service_host_is_valid(const char *host) {
        if (!*host)
                return false;
        for (const char *p = host; *p; p++)
                if (!isgraph((unsigned char) *p) || strchr("/?#@[]%\\", *p))
                        return false;
        return true;
}

char *service_base_url(const char *scheme, const char *host, long long port) {
        bool numeric = strchr(host, ':');
        char number[24] = "", *url;

        if (port > 0)
                (void) snprintf(number, sizeof(number), ":%lld", port);
        return asprintf(&url, "%s://%s%s%s%s", scheme, numeric ? "[" : "", host, numeric ? "]" : "", number) < 0 ? NULL : url;
}

static bool is_this_machine(const char *host) {
        return streq(host, "127.0.0.1") || streq(host, "::1") || streq(host, "localhost");
}

int service_endpoint_check(const char *url) {
        _cleanup_(service_address_done) ServiceAddress a = {};
        int r = service_address_parse(url, &a);

        if (r < 0)
                return r;
        if (!service_host_is_valid(a.host) || *a.user || *a.password || strpbrk(url, " %\\\t\r\n"))
                return -EINVAL;
        return streq(a.driver, "https") || (streq(a.driver, "http") && is_this_machine(a.host)) ? 0 : -EINVAL;
}
