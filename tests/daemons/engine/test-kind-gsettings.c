/* SPDX-License-Identifier: GPL-3.0-or-later */

/* gsettings: what is refused, and what is waited for. What it does with a real bus of a user is tested by tests/system. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType gsettings_type;

TEST(validate) {
        static const struct {
                const char *name, *fields[5];
                bool good;
        } cases[] = {
                { "org.example key", { "type=str", "value=x" }, true },
                { "x", { "schema=org.example", "key=key", "type=str", "value=x" }, true },
                { "x", { "type=str", "value=x" }, false },
                { "a b c", { "type=str", "value=x" }, false },
                { "org.example --x", { "type=str", "value=x" }, false },
                { "-x key", { "type=str", "value=x" }, false },
                { "org.example key", { "type=text", "value=x" }, false },
                { "org.example key", { "type=str" }, false },
                { "org.example key", { "type=bool", "value=true" }, false },    /* which is a str here */
                { "org.example key", { "type=int", "value=5" }, false },
                { "org.example key", { "type=custom", "value=uint32 5" }, true },
        };
        BENCH();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if ((bench_make(&gsettings_type, cases[i].name, cases[i].fields) >= 0) != cases[i].good)
                        TEST_FAIL("case %zu: %s", i, bench.diag.message ? bench.diag.message : "is taken");
}

TEST(who_is_yet_to_come) {
        BENCH();

        CHECK_INT(bench_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=nobody-there")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK_INT(bench.n_armed, 1);
        CHECK_INT(bench_apply(true), -ESRCH);
        CHECK(bench.diag.message && strstr(bench.diag.message, "'nobody-there'"));
        CHECK_INT(bench_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=games")), 0);
        CHECK_INT(bench_watch(), 0);
        CHECK_INT(bench_apply(true), -EAGAIN);
        CHECK_STR(bench.reason, "there is no bus of this user");
}

TEST_MAIN()
