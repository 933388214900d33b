/* SPDX-License-Identifier: GPL-3.0-or-later */

/* gsettings: what is refused, and what is waited for. What it does with a real bus of a user is tested by tests/system. */

#include "tests/daemons/engine/kind-test.h"
#include "tests/names-service.h"

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
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if ((rig_make(&gsettings_type, cases[i].name, cases[i].fields) >= 0) != cases[i].good)
                        TEST_FAIL("case %zu: %s", i, rig.host.diag.message ? rig.host.diag.message : "is taken");
}

TEST(who_is_yet_to_come) {
        RIG();

        CHECK_INT(rig_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=nobody-there")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "'nobody-there'"));
        CHECK_INT(rig_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=games")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "there is no bus of this user");
}

TEST(users_of_a_directory_elsewhere) {
        RIG();

        CHECK_INT(rig_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=far", "group=farers")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), -EAGAIN);
        CHECK_STR(rig.host.reason, "there is no bus of this user");
        CHECK_INT(names_asked_by_loop, 0);
        CHECK_INT(rig_make(&gsettings_type, "org.example key", FIELDS("type=str", "value=x", "user=far", "group=none")), 0);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK_STR(rig.host.diag.message, "there is no group 'none'");
}

TEST_MAIN()
