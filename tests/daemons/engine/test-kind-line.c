/* SPDX-License-Identifier: GPL-3.0-or-later */

/* line: blocks of whole lines come and go, and nothing else in the file changes. */

#include "tests/daemons/engine/file-test.h"
#include "tests/names-service.h"

extern const ResourceType line_type;

static int make(const char *state, const char *content, const char *more) {
        char text[200];

        (void) snprintf(text, sizeof(text), "content=%s", content);
        return rig_make(&line_type, "l", FIELDS(field_in_dir("file", "f"), state, text, more));
}

/* before and after: what is in the file, NULL if it is not there; equal ones need no change. */
TEST(lines) {
        static const struct {
                const char *state, *content, *more, *before, *after;
        } cases[] = {
                { "state=exists", "b", NULL, NULL, "b\n" },
                { "state=exists", "b", NULL, "", "b\n" },
                { "state=exists", "b", NULL, "a\n", "a\nb\n" },
                { "state=exists", "b", NULL, "a", "a\nb\n" },
                { "state=exists", "b", NULL, "a\nb\nc\n", "a\nb\nc\n" },
                { "state=exists", "b", NULL, "a\nb", "a\nb" },
                { "state=exists", "b", NULL, "ab\nbc\n b\n", "ab\nbc\n b\nb\n" },
                { "state=exists", "b\nc", NULL, "a\nb\nx\nc\n", "a\nb\nx\nc\nb\nc\n" },
                { "state=exists", "b\nc", NULL, "a\nb\nc", "a\nb\nc" },
                { "state=exists", "b\n", NULL, "b\n", "b\nb\n\n" },
                { "state=exists", "b\n", NULL, "b\n\n", "b\n\n" },
                { "state=exists", " b\n", "trim=true", "b\n", "b\n" },
                { "state=exists", "", NULL, NULL, NULL },
                { "state=exists", " \n", "trim=true", "a\n", "a\n" },
                { "state=absent", "b", NULL, NULL, NULL },
                { "state=absent", "b", NULL, "a\nc\n", "a\nc\n" },
                { "state=absent", "b", NULL, "b\na\nb\nb\nc", "a\nc" },
                { "state=absent", "b", NULL, "a\nb", "a\n" },
                { "state=absent", "b", NULL, "b", "" },
                { "state=absent", "b\nc", NULL, "b\nb\nc\nc\n", "b\nc\n" },
                { "state=absent", "b", NULL, "xb\nb x\n", "xb\nb x\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RIG();
                unsigned before = test_failures;
                bool changes = !streq_ptr(cases[i].before, cases[i].after);
                if (cases[i].before) {
                        put_file("f", cases[i].before);
                        CHECK_INT(chmod(in_dir("f"), 0640), 0);
                }
                CHECK_INT(make(cases[i].state, cases[i].content, cases[i].more), 0);
                CHECK_INT(rig_watch(), 0);
                CHECK_INT(rig_apply(false), changes ? CHECK_CHANGED : CHECK_OK);
                check_file("f", cases[i].before);
                CHECK_INT(rig_apply(true), changes ? CHECK_CHANGED : CHECK_OK);
                check_file("f", cases[i].after);
                /* Taking a block away may bring another together. */
                if (!(streq(cases[i].state, "state=absent") && strchr(cases[i].content, '\n')))
                        CHECK_INT(rig_apply(true), CHECK_OK);
                if (cases[i].after)
                        CHECK_INT(mode_of("f"), cases[i].before ? 0640 : 0600);
                CHECK_INT(n_entries(""), cases[i].after != NULL);
                if (test_failures > before)
                        printf("# case %zu\n", i);
        }
}

TEST(what_is_wrong_is_said) {
        RIG();

        CHECK_INT(make("state=exists", "b", NULL), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("content: b\n");
        make_dir("f");
        CHECK_INT(rig_apply(true), -EISDIR);
        CHECK(rig.host.diag.message);
        CHECK_INT(rig_make(&line_type, "l", FIELDS(field_in_dir("file", "no/f"), "state=exists", "content=x")), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
}

TEST(a_change_from_outside_is_seen) {
        RIG();

        CHECK_INT(make("state=exists", "b", NULL), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        rig_run(10000);
        rig.host.n_changed = 0;
        put_file("f", "a\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "a\nb\n");
}

TEST(homes) {
        RIG();
        rig.manager.etc = rig.dir;

        CHECK_INT(rig_make(&line_type, "l", FIELDS("file=~nobody there/f", "state=exists", "content=x")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK_STR(rig.host.diag.message, "cannot find the home directory of '~nobody there/f': there is no such user");
        CHECK(RIG_UNTIL(rig.host.n_armed > 0));
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig.host.n_watch_failed, 0);
        put_file("passwd", "nobody there:x:1:1::/:/bin/sh\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig.host.n_watch_failed, 1);     /* to be begun anew, with the home that is there now */
        names_held = true;
        CHECK_INT(rig_make(&line_type, "l", FIELDS("file=~far/no/such/f", "state=absent", "content=x")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 0);
        names_held = false;
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK(RIG_UNTIL(rig.host.n_armed > 0));
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_make(&line_type, "l", FIELDS("file=~/no/such/dir/f", "state=absent", "content=x")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(validate) {
        static const struct {
                const char *file, *state;
        } bad[] = { { "file=f", "state=exists" }, { "file=/f/", "state=exists" }, { "file=~f", "state=exists" }, { "file=/f", "state=" },
                    { "file=/f", "state=present" }, { "file=", "state=exists" } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&line_type, "l", FIELDS(bad[i].file, bad[i].state, "content=x")) >= 0)
                        TEST_FAIL("%s, %s is taken", bad[i].file, bad[i].state);
}

TEST(what_it_wants_before_it) {
        static const struct {
                const char *file, *wants;
        } cases[] = {
                { "file=/a/b/f", "file:/a/b/f package-file:/a/b/f | file:/a/b/ | file:/a/ | file:/" },
                { "file=~james/.profile", "user:james" },
                { "file=~/.profile", "" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&line_type, "l", FIELDS(cases[i].file, "state=exists", "content=x")), 0);
                check_wants(cases[i].wants);
        }
}

TEST_MAIN()
