/* SPDX-License-Identifier: GPL-3.0-or-later */

/* As URLs, but for the scheme, which is none of the web. */

#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "daemons/http/bmc-address.h"

void bmc_address_done(BmcAddress *a) {
        free(a->driver);
        free(a->user);
        if (a->password)
                explicit_bzero(a->password, strlen(a->password));
        free(a->password);
        free(a->host);
        *a = (BmcAddress) {};
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
static int parse_host(const char *s, size_t size, BmcAddress *ret) {
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

static int parse_user(const char *s, size_t size, BmcAddress *ret) {
        const char *colon = memchr(s, ':', size);
        int r = decode(s, colon ? (size_t) (colon - s) : size, &ret->user);

        return r < 0 || !colon ? r : decode(colon + 1, size - (size_t) (colon + 1 - s), &ret->password);
}

static int parse(const char *text, BmcAddress *ret) {
        const char *rest = strstr(text, "://"), *at, *end;
        int r;

        if (!rest)
                return 0;
        r = decode(text, (size_t) (rest - text), &ret->driver);
        rest += 3;
        end = rest + strcspn(rest, "/?#");
        at = memrchr(rest, '@', (size_t) (end - rest));
        if (r >= 0 && (*end == '?' || *end == '#' || (*end && end[1])))
                r = -EINVAL;
        if (r >= 0 && at)
                r = parse_user(rest, (size_t) (at - rest), ret);
        if (at)
                rest = at + 1;
        return r < 0 ? r : parse_host(rest, (size_t) (end - rest), ret);
}

int bmc_address_parse(const char *text, BmcAddress *ret) {
        BmcAddress a = {};
        char **texts[] = { &a.driver, &a.user, &a.password, &a.host };
        int r = parse(text, &a);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                if (!*texts[i] && !(*texts[i] = strdup("")))
                        r = -ENOMEM;
        if (r < 0) {
                bmc_address_done(&a);
                return r;
        }
        *ret = a;
        return 0;
}

int bmc_driver_parse(const char *driver, BmcProtocol *ret, bool *ret_tls) {
        static const struct {
                const char *name;
                BmcProtocol protocol;
        } drivers[] = { { "gofish", BMC_REDFISH }, { "redfish", BMC_REDFISH }, { "rpc", BMC_RPC } };

        for (size_t i = 0; i < ELEMENTSOF(drivers); i++) {
                const char *rest = startswith(driver, drivers[i].name);
                if (!rest || !(streq(rest, "") || streq(rest, "s")))
                        continue;
                *ret = drivers[i].protocol;
                *ret_tls = *rest;
                return 0;
        }
        return -EINVAL;
}
