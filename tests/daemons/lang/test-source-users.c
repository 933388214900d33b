/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions about users: those of this host at once, others when the name service answers. */

#include "tests/daemons/lang/source-test.h"
#include "tests/names-service.h"

static void write_passwd(const Stage *stage, const char *own_name, const char *more) {
        char next[PATH_MAX];

        (void) snprintf(next, sizeof(next), "%s/next", stage->directory);
        FILE *f = fopen(next, "w");
        if (!f || fprintf(f, "%s:x:%u:1::/srv/me:/bin/sh\nann:x:1234:1::/srv/ann:/bin/sh\nbare:x:1235:1:::\nroot:x:%d:0::/root:/bin/sh\n%s",
                          own_name, getuid(), getuid() == 0 ? 77 : 0, more) < 0 ||
            fclose(f) != 0 || rename(next, stage_path(stage, "passwd")) < 0)
                abort();
}

static void users_start(Stage *stage, const char *own_name) {
        stage_start(stage);
        stage->manager.share.etc = stage->directory;
        write_passwd(stage, own_name, "");
        names_delay_msec = 0;
}

TEST(users_of_this_host_are_known_at_once) {
        static const struct { const char *function, *arg, *want; } cases[] = {
                { "os.home", "\"ann\"", "\"/srv/ann/\"" },
                { "os.home", "\"bare\"", "\"/\"" },
                { "os.uid", "\"ann\"", "\"1234\"" },
                { "os.uid", "\"1234\"", "error: user: unknown user 1234" },     /* that is no name */
                { "os.user_exists", "\"ann\"", "true" },
                { "os.user_exists", "\"1234\"", "false" },
                { "os.expand_home", "\"~/x\"", "\"/srv/me/x\"" },
                { "os.expand_home", "\"~/\"", "\"/srv/me/\"" },
                { "os.expand_home", "\"~ann/a/../b//c/\"", "\"/srv/ann/b/c/\"" },
                { "os.expand_home", "\"~bare/\"", "\"/\"" },
                { "os.expand_home", "\"~ann/../..\"", "\"/\"" },
                { "os.expand_home", "\"~\"", "\"~\"" },
                { "os.expand_home", "\"~ann\"", "\"~ann\"" },
                { "os.expand_home", "\"/a/~ann/../b/\"", "\"/a/~ann/../b/\"" },
                { "os.expand_home", "\"\"", "\"\"" },
                { "os.home", "\"ann\\x00\"", "error: the name of a user has no NUL byte, got 'ann'" },
                { "os.expand_home", "\"~/\\x00\"", "error: '~/' has a NUL byte in it" },
        };
        size_t fds = count_fds();
        Stage stage;

        users_start(&stage, "me");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                (void) call_open(&stage, &c, cases[i].function, cases[i].arg, NULL);
                CHECK_SAYS(&c, cases[i].want);
                call_close(&c);
        }
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(others_are_waited_for) {
        static const struct { const char *function, *arg, *want; } cases[] = {
                { "os.home", "\"far\"", "\"/far/home/\"" },
                { "os.home", "\"nobody at all\"", "error: user: unknown user nobody at all" },
                { "os.home", "\"sick\"", "error: cannot look up user 'sick': Input/output error" },
                { "os.uid", "\"far\"", "\"5000\"" },
                { "os.uid", "\"5000\"", "error: user: unknown user 5000" },
                { "os.user_exists", "\"far\"", "true" },
                { "os.user_exists", "\"nobody at all\"", "false" },
                { "os.user_exists", "\"sick\"", "error: cannot look up user 'sick': Input/output error" },
                { "os.expand_home", "\"~far/x\"", "\"/far/home/x\"" },
                { "os.expand_home", "\"~nobody/x\"", "error: can't expand ~nobody/ into home directory" },
        };
        size_t fds = count_fds();
        Stage stage;

        users_start(&stage, "me");
        names_delay_msec = 20;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                CHECK_INT(call_open(&stage, &c, cases[i].function, cases[i].arg, NULL), 0);
                CHECK_INT(c.n_said, 0);
                CHECK_SAYS(&c, cases[i].want);
                call_close(&c);

                /* it may be closed meanwhile */
                CHECK_INT(call_open(&stage, &c, cases[i].function, cases[i].arg, NULL), 0);
                call_close(&c);
        }
        stage_run(&stage, 100);
        stage_end(&stage);
        for (int64_t end = now_msec() + PATIENCE_MSEC; count_fds() != fds && now_msec() < end;)
                (void) usleep(10 * 1000);       /* a thread that was still asking lets go of what it has */
        CHECK_INT(count_fds(), fds);
}

TEST(users_come_and_go) {
        Stage stage;
        Call c = {};

        users_start(&stage, "me");
        CHECK_INT(call_open(&stage, &c, "os.user_exists", "\"new\"", NULL), 0);
        CHECK_SAYS(&c, "false");
        write_passwd(&stage, "me", "new:x:4711:1::/:\n");
        CHECK_SAYS(&c, "true");
        write_passwd(&stage, "me", "");
        CHECK_SAYS(&c, "false");
        call_close(&c);
        stage_end(&stage);
}

/* Resources are made as root, whoever computes them. */
TEST(the_daemons_own_home_is_nobodys) {
        Stage stage;
        Call c = {};

        users_start(&stage, "mgmt-lang");
        CHECK_INT(call_open(&stage, &c, "os.expand_home", "\"~/x\"", NULL), 0);
        CHECK_SAYS(&c, "\"/root/x\"");
        call_close(&c);
        stage_end(&stage);
}

TEST_MAIN()
