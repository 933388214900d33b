/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Children: what they are given, what comes back, and that nothing they do can hold us up. */

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/child.h"
#include "tests/test.h"

enum { USEC_PER_SEC = 1000000, LIMIT_USEC = 60 * USEC_PER_SEC };

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

/* What a run came to; the texts are taken from the result. */
typedef struct Run {
        bool ended;
        int status, signal;
        bool truncated;
        char *output, *out, *err;       /* NULL if nothing was written */
        sd_event *event;
        StrBuf pieces;
        int go;                 /* gets a line for each piece */
} Run;

static void run_done(Run *r) {
        free(r->output);
        free(r->out);
        free(r->err);
        strbuf_done(&r->pieces);
}

static char *take(StrBuf *b) {
        return b->data ? strbuf_take(b) : NULL;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        Run *r = userdata;

        r->ended = true;
        r->status = result->status;
        r->signal = result->signal;
        r->truncated = result->truncated;
        r->output = take(&result->output);
        r->out = take(&result->out);
        r->err = take(&result->err);
}

/* Turns the loop until *flag, at most for LIMIT_USEC. */
static bool loop_until(sd_event *event, const bool *flag) {
        for (uint64_t end = now_usec() + LIMIT_USEC; !*flag && now_usec() < end;)
                if (sd_event_run(event, 100 * 1000) < 0)
                        return false;
        return *flag;
}

static ChildSpec shell_spec(char **argv, const char *script) {
        argv[0] = (char *) "/bin/sh";
        argv[1] = (char *) "-c";
        argv[2] = (char *) script;
        argv[3] = NULL;
        return (ChildSpec) { .argv = argv, .uid = (uid_t) -1, .gid = (gid_t) -1, .output_max = 1024 * 1024 };
}

static void run_spec(const ChildSpec *spec, Run *ret) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(child_freep) Child *c = NULL;

        *ret = (Run) {};
        REQUIRE(sd_event_new(&event) >= 0);
        ret->event = event;
        CHECK_INT(child_start(&c, event, spec, on_end, ret, NULL), 0);
        if (c)
                CHECK(loop_until(event, &ret->ended));
}

static void run_shell(const char *script, Run *ret) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, script);

        run_spec(&spec, ret);
}

TEST(results) {
        static const struct {
                const char *script;
                int status, signal;
                const char *out, *err;
        } cases[] = {
                { "exit 0", 0, 0, NULL, NULL },
                { "exit 7", 7, 0, NULL, NULL },
                { "kill -9 $$", 0, SIGKILL, NULL, NULL },
                { "kill -15 $$", 0, SIGTERM, NULL, NULL },
                { "echo out; echo err >&2; exit 3", 3, 0, "out\n", "err\n" },
                { "printf a; printf b >&2; printf c", 0, 0, "ac", "b" },
                { "cat; echo eof", 0, 0, "eof\n", NULL },
                { "echo last; kill -9 $$", 0, SIGKILL, "last\n", NULL },
                { "exec 2>&-; echo no err", 0, 0, "no err\n", NULL },
                { "exec >&- 2>&-; exit 4", 4, 0, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(run_done) Run r = {};
                run_shell(cases[i].script, &r);
                CHECK_INT(r.status, cases[i].status);
                CHECK_INT(r.signal, cases[i].signal);
                CHECK_STR(r.out, cases[i].out);
                CHECK_STR(r.err, cases[i].err);
                CHECK(!r.truncated);
        }
}

TEST(input) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "cat");
        _cleanup_(run_done) Run r = {};
        int ends[2];

        REQUIRE(pipe2(ends, O_CLOEXEC) >= 0);
        CHECK_INT(write(ends[1], "given", 5), 5);
        (void) close(ends[1]);
        spec.input = ends[0];
        run_spec(&spec, &r);
        (void) close(ends[0]);
        CHECK_STR(r.out, "given");
}

static void on_piece(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        Run *r = userdata;

        strbuf_putc(&r->pieces, stream == CHILD_STDOUT ? 'o' : 'e');
        strbuf_add(&r->pieces, data, size);
        CHECK_INT(write(r->go, "\n", 1), 1);
}

/* Who has a line to read goes on when we have heard what it said: two things that we find together have no order any more. */
static void run_in_steps(const char *script, size_t output_max, Run *ret) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(child_freep) Child *c = NULL;
        char *argv[4];
        ChildSpec spec = shell_spec(argv, script);
        int fds[2];

        *ret = (Run) {};
        REQUIRE(sd_event_new(&event) >= 0 && pipe2(fds, O_CLOEXEC) == 0);
        spec.input = fds[0];
        ret->go = fds[1];
        spec.output = on_piece;
        spec.output_max = output_max;
        CHECK_INT(child_start(&c, event, &spec, on_end, ret, NULL), 0);
        CHECK(c && loop_until(event, &ret->ended));
        (void) close(fds[0]);
        (void) close(fds[1]);
}

TEST(output_keeps_the_order_of_arrival) {
        _cleanup_(run_done) Run r = {};

        run_in_steps("for i in 1 2 3 4 5; do echo o$i; read x; echo e$i >&2; read x; done", 1024, &r);
        CHECK_STR(r.out, "o1\no2\no3\no4\no5\n");
        CHECK_STR(r.err, "e1\ne2\ne3\ne4\ne5\n");
        CHECK_STR(r.output, "o1\ne1\no2\ne2\no3\ne3\no4\ne4\no5\ne5\n");
}

TEST(no_byte_of_a_large_output_is_lost) {
        _cleanup_(run_done) Run r = {};

        run_shell("head -c 900000 /dev/zero | tr '\\0' x; printf end", &r);
        REQUIRE(r.out);
        CHECK_INT(strlen(r.out), 900003);
        CHECK(endswith(r.out, "xend"));
        CHECK(!r.truncated);
}

TEST(more_output_than_the_limit_is_read_and_dropped) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "head -c 3000000 /dev/zero | tr '\\0' x; printf e >&2; exit 5");
        _cleanup_(run_done) Run r = {};

        spec.output_max = 1000;
        run_spec(&spec, &r);
        REQUIRE(r.out);
        CHECK_INT(strlen(r.out), 1000);
        CHECK_STR(r.err, "e");
        CHECK(r.truncated);
        CHECK_INT(r.status, 5);
        REQUIRE(r.output);
        CHECK_INT(strlen(r.output), 1001);
}

TEST(output_that_is_not_kept_at_all_still_counts_as_written) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "echo x");
        _cleanup_(run_done) Run r = {};

        spec.output_max = 0;
        run_spec(&spec, &r);
        CHECK_STR(r.out, "");
        CHECK_STR(r.err, NULL);
        CHECK(r.truncated);
}

TEST(a_background_process_with_our_pipe_holds_nobody_up) {
        static const char *const scripts[] = {
                "sleep 300 & echo started $!",
                "yes >&2 & echo started $!",             /* fills the pipe again and again */
                "trap '' PIPE; (while :; do echo x >&2; done) & echo started $!",
        };

        for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
                _cleanup_(run_done) Run r = {};
                int left_behind = 0;

                run_shell(scripts[i], &r);
                CHECK_INT(r.status, 0);
                REQUIRE(r.out);
                CHECK(sscanf(r.out, "started %d", &left_behind) == 1 && left_behind > 1);
                if (left_behind > 1) {
                        kill(left_behind, SIGKILL);
                        CHECK(waitpid(left_behind, NULL, 0) == left_behind);
                }
        }
}

TEST(failures_to_start_are_reported_at_once) {
        char directory[] = "/tmp/mgmt-test-child-XXXXXX";
        REQUIRE(mkdtemp(directory));
        char script[sizeof(directory) + 16], no_interpreter[sizeof(directory) + 16], broken[sizeof(directory) + 16];
        snprintf(script, sizeof(script), "%s/plain", directory);
        snprintf(no_interpreter, sizeof(no_interpreter), "%s/lost", directory);
        snprintf(broken, sizeof(broken), "%s/broken", directory);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, script, "x", 1, 0644, false), 0);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, no_interpreter, "#!/nowhere/at-all\n", 18, 0755, false), 0);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, broken, "no program", 10, 0755, false), 0);

        const struct {
                const char *program, *cwd;
                int error;
                const char *message;
        } cases[] = {
                { "/nowhere/at-all", NULL, -ENOENT, "cannot run '/nowhere/at-all': No such file or directory" },
                { "no-such-program-anywhere", NULL, -ENOENT, "cannot run 'no-such-program-anywhere': No such file or directory" },
                { "", NULL, -ENOENT, "cannot run '': No such file or directory" },
                { script, NULL, -EACCES, NULL },
                { no_interpreter, NULL, -ENOENT, NULL },
                { broken, NULL, -ENOEXEC, NULL },
                { "/", NULL, -EACCES, "cannot run '/': Permission denied" },
                { "/bin/true", "/nowhere", -ENOENT, "cannot run '/bin/true' in directory '/nowhere': No such file or directory" },
                { "/bin/true", script, -ENOTDIR, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sd_event_unrefp) sd_event *event = NULL;
                _cleanup_(diag_done) Diag d = {};
                Child *c = NULL;
                char *argv[] = { (char *) cases[i].program, NULL };
                ChildSpec spec = { .argv = argv, .uid = (uid_t) -1, .gid = (gid_t) -1, .cwd = cases[i].cwd };

                REQUIRE(sd_event_new(&event) >= 0);
                CHECK_INT(child_start(&c, event, &spec, on_end, NULL, &d), cases[i].error);
                CHECK(!c);
                if (cases[i].message)
                        CHECK_STR(d.message, cases[i].message);
                CHECK_INT(d.error, cases[i].error);
        }
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);       /* and none of them is left as a zombie */
        CHECK_INT(remove_tree(directory), 0);
}

TEST(programs_are_found_in_absolute_directories_of_our_path) {
        char directory[] = "/tmp/mgmt-test-child-XXXXXX";
        REQUIRE(mkdtemp(directory));
        char program[sizeof(directory) + 32], decoy[sizeof(directory) + 32], path[2 * sizeof(directory) + 64], cwd[PATH_MAX];
        snprintf(program, sizeof(program), "%s/mgmt-test-program", directory);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, program, "#!/bin/sh\necho found\n", 21, 0755, false), 0);
        snprintf(decoy, sizeof(decoy), "%s/decoy/mgmt-test-program", directory);       /* a directory is no program */
        CHECK_INT(make_directories(decoy, 0755), 0);
        _cleanup_free_ char *saved = strdup(getenv("PATH") ? getenv("PATH") : "");
        REQUIRE(saved && getcwd(cwd, sizeof(cwd)));

        char *argv[] = { (char *) "mgmt-test-program", NULL };
        ChildSpec spec = { .argv = argv, .uid = (uid_t) -1, .gid = (gid_t) -1, .output_max = 100 };
        snprintf(path, sizeof(path), "/nowhere::%s/decoy:%s:/bin", directory, directory);
        setenv("PATH", path, 1);
        _cleanup_(run_done) Run r = {};
        run_spec(&spec, &r);
        CHECK_STR(r.out, "found\n");

        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(child_freep) Child *c = NULL;
        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(chdir(directory) == 0);
        setenv("PATH", ".:", 1);
        CHECK_INT(child_start(&c, event, &spec, on_end, NULL, NULL), -ENOENT);
        setenv("PATH", saved, 1);
        CHECK(chdir(cwd) == 0);
        CHECK_INT(remove_tree(directory), 0);
}

TEST(the_environment_is_what_was_given_and_nothing_else) {
        const struct {
                char *const *env;
                const char *want;
        } cases[] = {
                { NULL, NULL },
                { (char *const[]) { (char *) "B=2", (char *) "A=1", NULL }, "B=2\nA=1\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *argv[] = { (char *) "/usr/bin/env", NULL };
                ChildSpec spec = { .argv = argv, .env = cases[i].env, .uid = (uid_t) -1, .gid = (gid_t) -1, .output_max = 4096 };
                _cleanup_(run_done) Run r = {};
                run_spec(&spec, &r);
                CHECK_STR(r.out, cases[i].want);
        }
}

/* ---- what a child must not inherit ---- */

TEST(descriptors_do_not_leak) {
        int leak = open("/dev/null", O_RDONLY);         /* without O_CLOEXEC, as a library might */
        int high = fcntl(leak, F_DUPFD, 500);
        _cleanup_(run_done) Run r = {};

        CHECK(leak >= 0 && high >= 500);
        /* Without a pipe, which the shell would have open for a moment too. */
        run_shell("ls /proc/$$/fd; readlink /proc/$$/fd/0", &r);
        CHECK_STR(r.out, "0\n1\n2\n/dev/null\n");
        close(leak);
        close(high);
}

static void nothing(int signal) {
}

TEST(signals_are_as_at_birth) {
        sigset_t blocked, saved;
        _cleanup_(run_done) Run r = {};

        sigemptyset(&blocked);
        sigaddset(&blocked, SIGTERM);
        sigaddset(&blocked, SIGUSR1);
        sigaddset(&blocked, SIGCHLD);
        sigprocmask(SIG_BLOCK, &blocked, &saved);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGUSR2, SIG_IGN);
        signal(SIGHUP, nothing);
        char *argv[] = { (char *) "/bin/cat", (char *) "/proc/self/status", NULL };
        ChildSpec spec = { .argv = argv, .uid = (uid_t) -1, .gid = (gid_t) -1, .output_max = 65536 };
        run_spec(&spec, &r);
        CHECK(r.out && strstr(r.out, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"));

        sigset_t now;
        sigprocmask(SIG_SETMASK, &saved, &now);
        CHECK(sigismember(&now, SIGTERM) && sigismember(&now, SIGUSR1) && !sigismember(&now, SIGINT));
        signal(SIGPIPE, SIG_DFL);
        signal(SIGUSR2, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
}

TEST(the_limit_of_open_files_is_the_one_from_before) {
        struct rlimit saved, raised;
        _cleanup_(run_done) Run r = {};

        REQUIRE(getrlimit(RLIMIT_NOFILE, &saved) == 0);
        struct rlimit low = { .rlim_cur = 300, .rlim_max = saved.rlim_max };
        REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
        CHECK_INT(child_raise_files_limit(), 0);
        REQUIRE(getrlimit(RLIMIT_NOFILE, &raised) == 0);
        CHECK(raised.rlim_cur == raised.rlim_max);
        run_shell("ulimit -n", &r);
        CHECK_STR(r.out, "300\n");
        setrlimit(RLIMIT_NOFILE, &saved);
}

TEST(it_leads_a_group_of_its_own_in_its_directory) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "pwd; test \"$(ps -o pgid= -p $$ | tr -d ' ')\" = $$ && echo leader");
        _cleanup_(run_done) Run r = {};

        spec.env = (char *const[]) { (char *) "PATH=/usr/bin:/bin", NULL };
        spec.cwd = "/usr";
        run_spec(&spec, &r);
        CHECK_STR(r.out, "/usr\nleader\n");
}

TEST(credentials_change_only_where_they_differ) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "id -u; id -g; grep ^Groups /proc/self/status | tr -d '\\t '");
        _cleanup_(run_done) Run same = {}, other = {};

        spec.uid = geteuid();
        spec.gid = getegid();
        run_spec(&spec, &same);
        CHECK_INT(same.status, 0);
        REQUIRE(same.out);
        CHECK_INT(strtol(same.out, NULL, 10), geteuid());

        spec.uid = 4711;
        spec.gid = 4712;
        if (geteuid() == 0) {
                gid_t before[64];
                int n = getgroups(ELEMENTSOF(before), before);
                CHECK(n >= 0 && setgroups(1, &(gid_t) { 4713 }) == 0);
                run_spec(&spec, &other);
                CHECK(setgroups((size_t) n, before) == 0);
                CHECK_STR(other.out, "4711\n4712\nGroups:\n");
                CHECK_INT(geteuid(), 0);        /* and we are still who we were */
        } else {
                _cleanup_(sd_event_unrefp) sd_event *event = NULL;
                Child *c = NULL;
                REQUIRE(sd_event_new(&event) >= 0);
                CHECK_INT(child_start(&c, event, &spec, on_end, NULL, NULL), -EPERM);
        }
}

/* ---- ending it ---- */

static bool process_exists(pid_t pid) {
        return kill(pid, 0) == 0 || errno != ESRCH;
}

static bool loop_until_gone(sd_event *event, pid_t pid) {
        for (uint64_t end = now_usec() + LIMIT_USEC; process_exists(pid) && now_usec() < end;)
                CHECK(sd_event_run(event, 10 * 1000) >= 0);
        return !process_exists(pid);
}

/* Orphans become our children (main() sees to it); pid as for waitpid(). */
static bool all_gone(pid_t pid) {
        for (uint64_t end = now_usec() + LIMIT_USEC; now_usec() < end; usleep(5 * 1000))
                if (waitpid(pid, NULL, WNOHANG) < 0 && errno == ECHILD)
                        return !process_exists(pid);
        return false;
}

TEST(kill_reaches_the_whole_group) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(child_freep) Child *c = NULL;
        _cleanup_(run_done) Run r = {};
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "sleep 300 | sleep 300");

        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(child_start(&c, event, &spec, on_end, &r, NULL) == 0);
        pid_t group = child_pid(c);
        CHECK(sd_event_run(event, 50 * 1000) >= 0);
        CHECK_INT(child_kill(c, SIGTERM), 0);
        CHECK(loop_until(event, &r.ended));
        CHECK_INT(r.signal, SIGTERM);
        CHECK_INT(child_kill(c, SIGTERM), -ESRCH);
        CHECK(all_gone(-group));
}

static void on_end_bad(Child *c, ChildResult *result, void *userdata) {
        *(bool *) userdata = true;
}

TEST(a_freed_child_is_killed_reaped_by_the_loop_and_silent) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        bool called = false, never = false;
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "trap '' TERM INT; echo x; while :; do sleep 1; done");

        REQUIRE(sd_event_new(&event) >= 0);
        for (int i = 0; i < 20; i++) {
                Child *c = NULL;
                REQUIRE(child_start(&c, event, &spec, on_end_bad, &called, NULL) == 0);
                pid_t pid = child_pid(c);
                if (i % 2)
                        CHECK(sd_event_run(event, 20 * 1000) >= 0);
                c = child_free(c);
                CHECK(loop_until_gone(event, pid));
        }
        CHECK(!called && !never);
}

TEST(a_loop_that_ends_first_leaves_no_memory_behind) {
        sd_event *event = NULL;
        Child *c = NULL;
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "sleep 300");
        bool called = false;

        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(child_start(&c, event, &spec, on_end_bad, &called, NULL) == 0);
        pid_t pid = child_pid(c);
        child_free(c);
        sd_event_unref(event);
        CHECK(waitpid(pid, NULL, 0) == pid || errno == ECHILD);
        CHECK(!called);
}

static void on_first_piece(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        *(bool *) userdata = true;
}

static void start_and_release(sd_event *event, const char *script, uint64_t grace_usec, pid_t *ret) {
        char *argv[4];
        ChildSpec spec = shell_spec(argv, script);
        bool has_begun = false;
        Child *c = NULL;

        spec.output = on_first_piece;
        REQUIRE(child_start(&c, event, &spec, on_end_bad, &has_begun, NULL) == 0);
        *ret = child_pid(c);
        CHECK(loop_until(event, &has_begun));
        has_begun = false;
        CHECK(!child_release(c, SIGTERM, grace_usec));
        CHECK(!has_begun);              /* nothing is told from within */
}

static bool ended_well(pid_t pid) {
        siginfo_t info = {};

        return waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid && info.si_code == CLD_EXITED &&
               info.si_status == 0;
}

TEST(a_released_child_has_time_to_end_well) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        char dir[] = "/tmp/test-child-XXXXXX", script[300], path[60];
        struct stat st;
        pid_t pid, first;

        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/done", dir);
        /* It says more than a pipe holds before it ends. */
        (void) snprintf(script, sizeof(script), "trap 'head -c 300000 /dev/zero; : >%s; exit 0' TERM; sleep 300 & echo x; wait", path);
        start_and_release(event, script, LIMIT_USEC, &first);
        for (uint64_t end = now_usec() + LIMIT_USEC; !ended_well(first) && now_usec() < end;)
                CHECK(sd_event_run(event, 10 * 1000) >= 0);
        CHECK(ended_well(first));
        CHECK(stat(path, &st) >= 0);
        CHECK_INT(remove_tree(dir), 0);

        uint64_t begin = now_usec();
        start_and_release(event, "trap '' TERM; echo x; while :; do sleep 1; done", 200 * 1000, &pid);
        CHECK(loop_until_gone(event, pid) && now_usec() - begin >= 200 * 1000);

        start_and_release(event, "trap '' TERM; echo x; while :; do sleep 1; done", LIMIT_USEC, &pid);
        event = sd_event_unref(event);                          /* nothing is left behind */
        CHECK_INT(kill(-pid, SIGKILL), 0);
        CHECK(waitpid(pid, NULL, 0) == pid);
        (void) kill(-first, SIGKILL);
        CHECK(waitpid(first, NULL, 0) == first);                /* others of its group still had time */
}

static void on_end_free(Child *c, ChildResult *result, void *userdata) {
        *(bool *) userdata = true;
        child_free(c);
}

TEST(the_callback_may_free_the_child) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Child *c = NULL;
        bool ended = false;
        char *argv[4];
        ChildSpec spec = shell_spec(argv, "echo x");

        REQUIRE(sd_event_new(&event) >= 0);
        REQUIRE(child_start(&c, event, &spec, on_end_free, &ended, NULL) == 0);
        CHECK(loop_until(event, &ended));
}

TEST(output_can_be_followed) {
        _cleanup_(run_done) Run r = {};

        run_in_steps("echo 1; read x; echo 2 >&2; read x; echo 3", 2, &r);
        CHECK_STR(r.pieces.data, "o1\ne2\no3\n");
        CHECK_STR(r.out, "1\n");
}

static void on_piece_free(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        *(bool *) userdata = true;
        child_free(c);
}

TEST(the_follower_may_free_the_child) {
        static const char *const scripts[] = { "echo x; sleep 300", "echo x", "echo x; echo y >&2; exit 1" };

        for (size_t i = 0; i < ELEMENTSOF(scripts); i++)
                for (int late = 0; late < 2; late++) {
                        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
                        Child *c = NULL;
                        bool freed = false;
                        char *argv[4];
                        ChildSpec spec = shell_spec(argv, scripts[i]);

                        spec.output = on_piece_free;
                        REQUIRE(sd_event_new(&event) >= 0);
                        REQUIRE(child_start(&c, event, &spec, on_end_bad, &freed, NULL) == 0);
                        if (late)
                                usleep(50 * 1000);      /* output and end are there together */
                        CHECK(loop_until(event, &freed));
                        for (int j = 0; j < 3; j++)
                                CHECK(sd_event_run(event, 1000) >= 0);
                }
}

TEST(many_at_once) {
        enum { N = 100 };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        Run runs[N] = {};
        Child *children[N] = {};
        char *argv[4];

        REQUIRE(sd_event_new(&event) >= 0);
        for (int i = 0; i < N; i++) {
                char script[64];
                snprintf(script, sizeof(script), "echo %d; exit %d", i, i);
                ChildSpec spec = shell_spec(argv, script);
                CHECK_INT(child_start(&children[i], event, &spec, on_end, &runs[i], NULL), 0);
        }
        for (int i = 0; i < N; i++) {
                char want[16];
                snprintf(want, sizeof(want), "%d\n", i);
                CHECK(loop_until(event, &runs[i].ended));
                CHECK_INT(runs[i].status, i);
                CHECK_STR(runs[i].out, want);
                CHECK(waitpid(child_pid(children[i]), NULL, WNOHANG) < 0 && errno == ECHILD);
                child_free(children[i]);
                run_done(&runs[i]);
        }
}

/* kill -9 of a daemon must not leave its commands running beside those of its successor. */
TEST(it_dies_with_us) {
        int fds[2];
        REQUIRE(pipe(fds) == 0);
        pid_t parent = fork();
        if (parent == 0) {
                sd_event *event = NULL;
                Child *c = NULL;
                char *argv[4];
                bool called = false;
                ChildSpec spec = shell_spec(argv, "exec sleep 300");

                if (sd_event_new(&event) < 0 || child_start(&c, event, &spec, on_end_bad, &called, NULL) < 0)
                        _exit(1);
                pid_t pid = child_pid(c);
                if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
                        _exit(1);
                raise(SIGKILL);
        }
        pid_t pid = 0;
        REQUIRE(read(fds[0], &pid, sizeof(pid)) == sizeof(pid));
        CHECK(waitpid(parent, NULL, 0) == parent);
        CHECK(all_gone(pid));
        close(fds[0]);
        close(fds[1]);
}

int main(int argc, char *argv[]) {
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return EXIT_FAILURE;
        return test_run(argc, argv);
}
