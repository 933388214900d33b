/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What clients of the proxy say. Every prefix of what is right is unfinished, and nothing else. */

#include "daemons/remote/socks.h"
#include "tests/test.h"

TEST(greetings) {
        static const struct {
                const char *bytes;
                size_t n;
                int want;
                size_t size;
        } cases[] = {
                { "\5\1\0", 3, 1, 3 },
                { "\5\3\2\1\0", 5, 1, 5 },              /* it offers more than we take */
                { "\5\1\0\5\1", 5, 1, 3 },
                { "\5\1\2", 3, -EPROTO, 0 },            /* a password, or nothing */
                { "\5\0", 2, -EPROTO, 0 },
                { "\4\1\0", 3, -EPROTO, 0 },
                { "\5\2\0", 3, 0, 0 },
                { "", 0, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t size = 0;

                CHECK_INT(socks_parse_greeting(cases[i].bytes, cases[i].n, &size), cases[i].want);
                CHECK_INT((intmax_t) size, (intmax_t) cases[i].size);
        }
}

TEST(requests) {
        static const struct {
                const char *bytes;
                size_t n;
                const char *target;     /* NULL: it is none */
        } cases[] = {
                { "\5\1\0\1\xc0\0\2\7\x09\x4b", 10, "192.0.2.7:2379" },
                { "\5\1\0\3\4a.bc\1\xbb", 11, "a.bc:443" },
                { "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x16", 22, "[2001:db8::1]:22" },
                { "\5\2\0\1\xc0\0\2\7\x09\x4b", 10, NULL },             /* not to connect */
                { "\5\1\0\2\xc0\0\2\7\x09\x4b", 10, NULL },
                { "\4\1\0\1\xc0\0\2\7\x09\x4b", 10, NULL },
                { "\5\1\0\3\4a:bc\1\xbb", 11, NULL },                   /* a name could be more than it seems */
                { "\5\1\0\3\4a\0bc\1\xbb", 11, NULL },
                { "\5\1\0\3\0\1\xbb", 7, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char target[MUX_TARGET_MAX] = "";
                size_t size = 0;

                CHECK_INT(socks_parse_request(cases[i].bytes, cases[i].n, &size, target), cases[i].target ? 1 : -EPROTO);
                CHECK_STR(target, cases[i].target ?: "");
                if (!cases[i].target)
                        continue;
                CHECK_INT((intmax_t) size, (intmax_t) cases[i].n);
                for (size_t n = 0; n < cases[i].n; n++)
                        CHECK_INT(socks_parse_request(cases[i].bytes, n, &size, target), 0);
        }
}

TEST_MAIN()
