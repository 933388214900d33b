/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is let in. */

#include "daemons/http/access.h"
#include "tests/test.h"

TEST(headers) {
        static const struct {
                const char *user, *password, *token, *header;
                bool allowed;
        } cases[] = {
                { "", "", "", NULL, true },
                { "", "", "", "Basic bWU6c2VjcmV0", true },
                { "me", "secret", "", NULL, false },
                { "me", "secret", "", "", false },
                { "me", "secret", "", "Basic bWU6c2VjcmV0", true },
                { "me", "secret", "", "bAsIc   bWU6c2VjcmV0", true },
                { "me", "secret", "", "Basic bWU6c2VjcmV0MQ==", false },        /* me:secret1 */
                { "me", "secret", "", "Basic bWU6c2VjcmU=", false },            /* me:secre */
                { "me", "secret", "", "Basic TWU6c2VjcmV0", false },            /* Me:secret */
                { "me", "secret", "", "Basic OnNlY3JldA==", false },            /* :secret */
                { "me", "secret", "", "Basic bWU=", false },
                { "me", "secret", "", "Basic", false },
                { "me", "secret", "", "Basic ", false },
                { "me", "secret", "", "Basic ????", false },
                { "me", "secret", "", "Basicb bWU6c2VjcmV0", false },
                { "me", "secret", "", "Bearer ", false },
                { "me", "secret", "", "Bearer secret", false },
                { "me", "a:b", "", "Basic bWU6YTpi", true },
                { "", "", "token", "Bearer token", true },
                { "", "", "token", "bearer token", true },
                { "", "", "token", "Bearer token ", false },
                { "", "", "token", "Bearer toke", false },
                { "", "", "token", "Bearer", false },
                { "", "", "token", "Basic OnRva2Vu", false },                   /* :token */
                { "", "", "token", "token", false },
                { "me", "secret", "token", "Bearer token", true },
                { "me", "secret", "token", "Basic bWU6c2VjcmV0", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HttpAccess a = { cases[i].user, cases[i].password, cases[i].token };

                if (http_access_allows_header(&a, cases[i].header) != cases[i].allowed)
                        TEST_FAIL("'%s' is %s in by %s:%s or %s", cases[i].header ? cases[i].header : "(none)", cases[i].allowed ? "not let" : "let",
                                  cases[i].user, cases[i].password, cases[i].token);
        }
}

TEST(a_header_without_end_is_not_looked_at) {
        static char header[100000] = "Basic ";
        HttpAccess a = { "me", "secret", "" };

        memset(header + 6, 'A', sizeof(header) - 7);
        CHECK(!http_access_allows_header(&a, header));
}

TEST_MAIN()
