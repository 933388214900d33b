/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Commands: guards, results, what is sent, how they end. */

#include <poll.h>
#include <sys/pidfd.h>

#include "tests/daemons/engine/kind-test.h"
#include "tests/names-service.h"

extern const ResourceType exec_type;

#define CHECK_SENT(want) \
        do { \
                char *_sent = strbuf_take(&rig.host.sends); \
                CHECK_STR(_sent, want); \
                free(_sent); \
        } while (0)

TEST(guards) {
        static const struct {
                const char *a, *b;
                int want;
        } cases[] = {
                { "shell=/bin/sh", NULL, CHECK_CHANGED },
                { "ifcmd=/bin/true", NULL, CHECK_CHANGED },
                { "ifcmd=/bin/false", NULL, CHECK_OK },
                { "nifcmd=/bin/true", NULL, CHECK_OK },
                { "nifcmd=/bin/false", NULL, CHECK_CHANGED },
                { "ifcmd=/bin/true", "nifcmd=/bin/true", CHECK_OK },
                { "ifcmd=/bin/false", "nifcmd=/bin/false", CHECK_OK },
                { "ifcmd=/bin/echo -n x", "ifequals=x", CHECK_OK },
                { "ifcmd=/bin/echo x", "ifequals=x", CHECK_CHANGED },
                { "ifcmd=/bin/true", "ifequals=", CHECK_OK },
                { "ifcmd=echo out; echo err >&2", "ifequals_stdout=out", CHECK_CHANGED },
                { "creates=/", NULL, CHECK_OK },
                { "creates=/no/such/path", NULL, CHECK_CHANGED },
                { "nifcmd=/bin/false", "creates=/", CHECK_OK },
                { "donecmd=/bin/true", NULL, CHECK_CHANGED },
                { "donecmd=/bin/false", NULL, -EPROTO },
                { "ifcmd=/no/such/program", NULL, -ENOENT },
                { "nifcmd=/no/such/program", NULL, -ENOENT },
                { "ifcmd=kill -9 $$", "ifshell=/bin/sh", -EINTR },
                { "nifcmd=kill -9 $$", "nifshell=/bin/sh", -EINTR },
                { "cmd=kill -9 $$", "shell=/bin/sh", -EINTR },
                { "donecmd=kill -9 $$", "doneshell=/bin/sh", -EINTR },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS(cases[i].a, cases[i].b)), 0);
                int r = rig_apply(true);
                if (r != cases[i].want)
                        TEST_FAIL("%s, %s: %d (%s)", cases[i].a, cases[i].b, r, rig.host.diag.message);
        }
}

TEST(noop_runs_guards_only) {
        RIG();

        CHECK_INT(rig_make(&exec_type, "x", FIELDS(field_in_dir("cmd", "no-such-thing"), "ifcmd=/bin/true")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_make(&exec_type, "x", FIELDS(field_in_dir("cmd", "no-such-thing"), "ifcmd=/bin/false")), 0);
        CHECK_INT(rig_apply(false), CHECK_OK);
        CHECK_DIFFERENCES("");
}

TEST(what_it_runs_is_said) {
        RIG();

        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("args=a b")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("cmd: /bin/true a b\noutput cannot be known yet\nstdout cannot be known yet\nstderr cannot be known yet\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_DIFFERENCES("cmd: /bin/true a b\n");
}

TEST(output_is_sent_and_kept) {
        bool in_order = false;
        RIG();

        /* What has come while we were kept from reading has no order any more. */
        for (int i = 0; i < 20 && !in_order; i++) {
                strbuf_done(&rig.host.sends);
                CHECK_INT(rig_make(&exec_type, "x", FIELDS("shell=/bin/sh", "cmd=printf out; sleep 0.05; printf err >&2")), 0);
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                in_order = rig.host.sends.data && startswith(rig.host.sends.data, "output=\"out");
        }
        CHECK_SENT("output=\"outerr\"\nstdout=\"out\"\nstderr=\"err\"\n");

        /* Another engine, and a guard that says no: what was printed once is still sent. */
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/true", "ifcmd=/bin/false", "send_stdout=never")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_SENT("output=\"outerr\"\nstdout=\"out\"\nstderr=\"err\"\n");

        /* A stream without output is empty, not out of date, also for one that is asked later. */
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/echo new")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"new\\n\"\nstdout=\"new\\n\"\nstderr=\"\"\n");
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/true", "ifcmd=/bin/false", "send_stderr=never")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_SENT("output=\"new\\n\"\nstdout=\"new\\n\"\nstderr=\"\"\n");

        /* What never ran has nothing to say but what is to be said instead. */
        CHECK_INT(rig_make(&exec_type, "y", FIELDS("cmd=/bin/true", "ifcmd=/bin/false", "send_stderr=instead")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_SENT("stderr=\"instead\"\n");
}

/* What a command printed counts when it has succeeded, donecmd included. */
TEST(output_of_what_fails_is_not_sent) {
        RIG();

        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/echo old")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"old\\n\"\nstdout=\"old\\n\"\nstderr=\"\"\n");
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/echo new", "donecmd=/bin/false")), 0);
        CHECK_INT(rig_apply(true), -EPROTO);
        CHECK_SENT("");
        CHECK_INT(rig_set("ifcmd=/bin/false"), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_SENT("output=\"old\\n\"\nstdout=\"old\\n\"\nstderr=\"\"\n");
}

TEST(environment_and_directory) {
        RIG();

        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/usr/bin/env", "env.A_1=b c")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"A_1=b c\\n\"\nstdout=\"A_1=b c\\n\"\nstderr=\"\"\n");
        CHECK_INT(rig_make(&exec_type, "y", FIELDS("cmd=/bin/pwd", "cwd=/usr")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"/usr\\n\"\nstdout=\"/usr\\n\"\nstderr=\"\"\n");
        CHECK_INT(rig_make(&exec_type, "/bin/echo", FIELDS("args=a b", "env.B=")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"a b\\n\"\nstdout=\"a b\\n\"\nstderr=\"\"\n");
}

TEST(failures_say_what_happened) {
        static const struct {
                const char *cmd, *message;
                int error;
        } cases[] = {
                { "echo one; echo two >&2; echo; exit 3", "cmd 'echo one; echo two >&2; echo; exit 3' failed with status 3: two", -EPROTO },
                { "exit 1", "cmd 'exit 1' failed with status 1", -EPROTO },
                { "kill -TERM $$", "cmd 'kill -TERM $$' was ended by signal SIGTERM", -EINTR },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&exec_type, cases[i].cmd, FIELDS("shell=/bin/sh")), 0);
                CHECK_INT(rig_apply(true), cases[i].error);
                CHECK_STR(rig.host.diag.message, cases[i].message);
                CHECK_INT(rig.host.diag.pos.line, 3);
        }
        CHECK_INT(rig_make(&exec_type, " \t ", FIELDS()), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
}

TEST(cancel_ends_the_whole_group) {
        RIG();
        _cleanup_(diag_done) Diag diag = {};

        CHECK_INT(rig_make(&exec_type, "x", FIELDS("shell=/bin/sh", field_in_dir("cwd", ""), "env.PATH=/bin:/usr/bin",
                                                     "cmd=trap 'echo end >trapped; kill $!; exit 0' INT; sleep 300 & echo begun >begun; wait",
                                                     "sig=SIGINT")), 0);
        CHECK_INT(exec_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        struct stat st;
        CHECK(RIG_UNTIL(stat(in_dir("begun"), &st) >= 0));
        exec_type.cancel(rig.r);
        CHECK(RIG_UNTIL(stat(in_dir("trapped"), &st) >= 0));    /* it had the time to end well */
        CHECK_INT(rig.host.finished, NOT_FINISHED);        /* and nobody heard of it */

        CHECK_INT(rig_set("cmd=echo again"), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

static bool has_ended(int pidfd) {
        return poll(&(struct pollfd) { .fd = pidfd, .events = POLLIN }, 1, 0) == 1;
}

/* One in the background does not hear of SIGINT, as shells have it. */
TEST(who_does_not_obey_is_killed_when_the_time_is_up) {
        for (int i = 0; i < 2; i++) {
                RIG();
                _cleanup_(diag_done) Diag diag = {};
                _cleanup_free_ char *text = NULL;
                struct stat st;

                CHECK_INT(rig_make(&exec_type, "x", FIELDS("shell=/bin/sh", field_in_dir("cwd", ""), "env.PATH=/bin:/usr/bin", "sig=SIGINT",
                                                             "cmd={ echo >there; exec sleep 300; } & echo $! >new; "
                                                             "while ! test -e there; do sleep 0.01; done; mv new member; wait")), 0);
                CHECK_INT(exec_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
                REQUIRE(RIG_UNTIL(stat(in_dir("member"), &st) >= 0));
                REQUIRE(read_file_at(AT_FDCWD, in_dir("member"), 100, &text, NULL) >= 0);
                _cleanup_close_ int member = pidfd_open((pid_t) atoi(text), 0);
                REQUIRE(member >= 0);
                exec_type.cancel(rig.r);
                rig_run(10000);
                CHECK(!has_ended(member));
                if (i == 0) {
                        CHECK(RIG_UNTIL(has_ended(member)));
                        continue;
                }
                CHECK_INT(rig_set("cmd=true"), 0);      /* no two at a time */
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
                CHECK(RIG_UNTIL(has_ended(member)));
        }
}

TEST(who_it_runs_as) {
        char uid[40], gid[40], program[200];
        RIG();

        /* Our own are always possible, by name and by number. */
        (void) snprintf(uid, sizeof(uid), "user=%u", (unsigned) geteuid());
        (void) snprintf(gid, sizeof(gid), "group=%u", (unsigned) getegid());
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS(uid, gid)), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);

        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("user=nobody there")), 0);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK_STR(rig.host.diag.message, "there is no user 'nobody there'");
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS(uid, "group=nobodies")), 0);
        CHECK_INT(rig_apply(true), -ESRCH);
        CHECK_STR(rig.host.diag.message, "there is no group 'nobodies'");
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("user=sick")), 0);
        CHECK_INT(rig_apply(true), -EIO);
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("user=nobody there", "creates=/")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);                 /* nothing runs, so nobody is looked for */

        (void) snprintf(program, sizeof(program), "cmd=echo $(id -u) $(id -g) $(id -G)");
        CHECK_INT(rig_make(&exec_type, "x", FIELDS(program, "shell=/bin/sh", "env.PATH=/bin:/usr/bin", "user=far", "group=farers")), 0);
        if (geteuid() != 0) {
                CHECK_INT(rig_apply(true), -EPERM);
                return;
        }
        names_delay_msec = 50;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        names_delay_msec = 0;
        CHECK_SENT("output=\"5000 5001 5001\\n\"\nstdout=\"5000 5001 5001\\n\"\nstderr=\"\"\n");
}

TEST(a_slow_directory_service_holds_nobody_up) {
        RIG();
        _cleanup_(diag_done) Diag diag = {};

        names_held = true;
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("user=nobody there", "watchcmd=/bin/true")), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(exec_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        exec_type.cancel(rig.r);
        CHECK_INT(exec_type.check_apply(rig.r, true, &diag), CHECK_PENDING);
        rig_run(10000);
        CHECK_INT(rig.host.finished, NOT_FINISHED);
        CHECK_INT(rig.host.n_armed, 0);
        CHECK_INT(names_asked_by_loop, 0);
        names_held = false;
        CHECK(RIG_UNTIL(rig.host.finished != NOT_FINISHED && rig.host.n_armed > 0));
        CHECK_INT(rig.host.finished, -ESRCH);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig.host.n_watch_failed, 0);
}

/* A child that stays behind with our pipe in its hand, for as long as it likes. */
TEST(a_background_process_is_not_waited_for) {
        static const char name[] = "{ while ! test -e end; do sleep 0.1; done; : >gone; } & echo done";
        RIG();

        CHECK_INT(rig_make(&exec_type, name, FIELDS("shell=/bin/sh", "env.PATH=/bin:/usr/bin", field_in_dir("cwd", ""))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_SENT("output=\"done\\n\"\nstdout=\"done\\n\"\nstderr=\"\"\n");
        CHECK(access(in_dir("gone"), F_OK) < 0);
        put_file("end", "");
        CHECK(RIG_UNTIL(access(in_dir("gone"), F_OK) >= 0));
}

TEST(mtimes_overrule_guards) {
        RIG();

        put_file("m", "x");
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("cmd=/bin/true", "ifcmd=/bin/false", field_in_dir("mtimes", "m"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        struct timespec times[2] = { { .tv_sec = time(NULL) + 10 }, { .tv_sec = time(NULL) + 10 } };
        CHECK_INT(utimensat(AT_FDCWD, in_dir("m"), times, 0), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(unlink(in_dir("m")), 0);
        CHECK_INT(rig_apply(true), -EAGAIN);
        put_file("m", "y");
        times[0].tv_sec = times[1].tv_sec += 10;
        CHECK_INT(utimensat(AT_FDCWD, in_dir("m"), times, 0), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
}

TEST(a_file_that_changes_during_the_run_is_a_reason_for_another) {
        RIG();
        char cmd[512];

        /* The first run is overtaken by a change of somebody else (here it is the command, but only that once), be it at once:
         * as soon as the clock can show. */
        put_file("m", "x");
        snprintf(cmd, sizeof(cmd), "cmd=test -e %1$s/once || { touch %1$s/once; echo y >%1$s/n; mv %1$s/n %1$s/m; }", in_dir(""));
        CHECK_INT(rig_make(&exec_type, "x", FIELDS(cmd, "shell=/bin/sh", "ifcmd=/bin/false", field_in_dir("mtimes", "m"))), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

TEST(a_command_that_changes_its_own_file_comes_to_an_end) {
        RIG();
        char cmd[512];

        put_file("m", "x");
        snprintf(cmd, sizeof(cmd), "cmd=echo y >%s", in_dir("m"));
        CHECK_INT(rig_make(&exec_type, "x", FIELDS(cmd, "shell=/bin/sh", "ifcmd=/bin/false", field_in_dir("mtimes", "m"))), 0);
        for (int i = 0; i < 4; i++)
                CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
}

/* Of a fifo, as soon as somebody reads it. */
static int writing_end(const char *name) {
        int fd;

        CHECK(RIG_UNTIL((fd = open(in_dir(name), O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0));
        return fd;
}

TEST(watch) {
        RIG();

        put_file("w", "1");
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS(field_in_dir("watchfiles", "w"))), 0);
        CHECK_INT(rig_watch(), 0);
        CHECK_INT(rig.host.n_armed, 1);
        put_file("w", "2");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));

        char cmd[300], want[sizeof(cmd) + 32];
        CHECK_INT(mkfifo(in_dir("go"), 0600), 0);
        CHECK_INT(mkfifo(in_dir("end"), 0600), 0);
        (void) snprintf(cmd, sizeof(cmd), "watchcmd=echo; read x <%s; echo event; read x <%s; true", in_dir("go"), in_dir("end"));
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("watchshell=/bin/sh", "env.PATH=/bin:/usr/bin", cmd)), 0);
        CHECK_INT(rig_watch(), 0);
        int fd = writing_end("go");
        rig_run(10000);
        CHECK_INT(rig.host.n_changed, 0);          /* an empty line is none */
        (void) close(fd);
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig.host.n_changed, 1);
        CHECK_INT(rig.host.n_watch_failed, 0);
        (void) close(writing_end("end"));
        CHECK(RIG_UNTIL(rig.host.n_watch_failed > 0));
        CHECK_INT(rig.host.n_watch_failed, 1);     /* it must not end */
        (void) snprintf(want, sizeof(want), "watchcmd '%s' has ended", cmd + strlen("watchcmd="));
        CHECK_STR(rig.host.diag.message, want);

        /* Who it is to run as may come later. */
        rig.manager.etc = rig.dir;
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("watchshell=/bin/sh", "watchcmd=echo", "user=new")), 0);
        (void) rig_watch();
        CHECK(RIG_UNTIL(rig.host.n_armed > 0));
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig.host.n_watch_failed, 0);
        put_file("passwd", "new:x:1:1::/:/bin/sh\n");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig.host.n_watch_failed, 1);

        /* It is told to go, and has the time to do so. */
        (void) snprintf(cmd, sizeof(cmd), "watchcmd=trap 'sleep 0.1; kill $!; : >%s; exit' HUP; echo; sleep 300 & : >%s; wait", in_dir("gone"),
                        in_dir("begun"));
        CHECK_INT(rig_make(&exec_type, "/bin/true", FIELDS("watchshell=/bin/sh", "env.PATH=/bin:/usr/bin", cmd, "sig=SIGHUP")), 0);
        CHECK_INT(rig_watch(), 0);
        struct stat st;
        CHECK(RIG_UNTIL(stat(in_dir("begun"), &st) >= 0));
        exec_type.unwatch(rig.r);
        CHECK(RIG_UNTIL(stat(in_dir("gone"), &st) >= 0));
}

TEST(validate) {
        static const struct {
                const char *name, *a, *b, *message;
        } cases[] = {
                { "x", "args=a", "shell=/bin/sh", "args cannot be used with a shell" },
                { "x y", "args=a", "cwd=/", "cmd must be one word if args are given, got 'x y'" },
                { "x", "env.1a=x", "cwd=/", "name of an environment variable must be letters, digits and '_', got '1a'" },
                { "x", "env.=x", "cwd=/", "name of an environment variable must be letters, digits and '_', got ''" },
                { "x", "sig=term", "cwd=/", "sig must be the name of a signal, got 'term'; did you mean 'SIGTERM'?" },
                { "x", "sig=sigkill", "cwd=/", "sig must be the name of a signal, got 'sigkill'; did you mean 'SIGKILL'?" },
                { "x", "sig=9", "cwd=/", "sig must be the name of a signal, such as 'SIGTERM', got '9'" },
                { "x", "watchfiles=a", "cwd=/", "watchfiles must be absolute, got 'a'" },
                { "x", "mtimes=/a b", "cwd=/", "mtimes must be absolute, got 'b'" },
                { "x", "creates=a", "cwd=/", "creates must be absolute, got 'a'" },
        };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(rig_make(&exec_type, cases[i].name, FIELDS(cases[i].a, cases[i].b)), -EINVAL);
                CHECK_STR(rig.host.diag.message, cases[i].message);
        }
        CHECK_INT(rig_make(&exec_type, "x", FIELDS("sig=SIGUSR1")), 0);
}

TEST_MAIN()
