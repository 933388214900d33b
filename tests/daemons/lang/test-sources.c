/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions whose value comes from outside, one by one: the first value, news, errors, and that nothing is left when they are
 * closed. */

#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>

#include "common/sd/log.h"
#include "daemons/lang/module-list.h"
#include "daemons/lang/os-release.h"
#include "tests/daemons/lang/source-test.h"
#include "tests/namespace.h"

TEST(every_function_is_served) {
        for (size_t i = 0; builtin_at(i); i++)
                if (builtin_at(i)->flags & BUILTIN_SOURCE && !lang_source_find(builtin_at(i)->name))
                        TEST_FAIL("%s is served by nobody", builtin_at(i)->name);
}

/* ---- asked once ---- */

static void put(const Stage *stage, const char *name, const char *text) {
        FILE *f = fopen(stage_path(stage, name), "w");

        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                abort();
}

/* As a program would write it, with $D for the directory. */
static const char *in_stage(const Stage *stage, const char *text) {
        static char ret[PATH_MAX];
        const char *d = strstr(text, "$D");

        if (d)
                (void) snprintf(ret, sizeof(ret), "%.*s%s%s", (int) (d - text), text, stage->directory, d + 2);
        else
                (void) snprintf(ret, sizeof(ret), "%s", text);
        return ret;
}

static char *value_of(Stage *stage, const char *function, const char *a, const char *b) {
        Call c = {};

        (void) call_open(stage, &c, function, a, a ? b : NULL, NULL);
        char *text = c.text ? strdup(c.text) : NULL;
        CHECK(c.n_said == 1);           /* what is asked once answers at once */
        call_close(&c);
        return text;
}

TEST(what_is_asked_once_answers_at_once) {
        static const struct { const char *function, *a, *b, *want; } cases[] = {
                { "sys.getenv", "\"MGMT_TEST_SET\"", NULL, "\"value\"" },
                { "sys.getenv", "\"MGMT_TEST_EMPTY\"", NULL, "\"\"" },
                { "sys.getenv", "\"MGMT_TEST_UNSET\"", NULL, "catchable: environment variable not set: MGMT_TEST_UNSET" },
                { "sys.getenv", "\"MGMT_TEST_SET=value\"", NULL, "catchable: environment variable not set: MGMT_TEST_SET=value" },
                { "sys.getenv", "\"\"", NULL, "catchable: environment variable not set: " },
                { "sys.hasenv", "\"MGMT_TEST_EMPTY\"", NULL, "true" },
                { "sys.hasenv", "\"MGMT_TEST_UNSET\"", NULL, "false" },
                { "golang/os.getenv", "\"MGMT_TEST_SET\"", NULL, "\"value\"" },
                { "golang/os.getenv", "\"MGMT_TEST_UNSET\"", NULL, "\"\"" },
                { "golang/os.expand_env", "\"a $MGMT_TEST_SET b ${MGMT_TEST_SET}c $MGMT_TEST_UNSET.\"", NULL, "\"a value b valuec .\"" },
                { "golang/os.expand_env", "\"a$1b $$ $# ${} $ $\"", NULL, "\"ab    $ $\"" },
                { "golang/os.expand_env", "\"${MGMT_TEST_SET\"", NULL, "\"MGMT_TEST_SET\"" },
                { "golang/os.expand_env", "\"$MGMT_TEST_SET-x $é\"", NULL, "\"value-x $é\"" },
                { "golang/os.expand_env", "\"\"", NULL, "\"\"" },
                { "golang/os.temp_dir", NULL, NULL, "\"/tmp\"" },
                { "golang/os.user_home_dir", NULL, NULL, "\"/srv/home\"" },
                { "golang/os.user_cache_dir", NULL, NULL, "\"/srv/home/.cache\"" },
                { "golang/os.user_config_dir", NULL, NULL, "error: path in $XDG_CONFIG_HOME is relative" },
                { "golang/os.readlink", "\"/proc/self/cwd\"", NULL, "\"/\"" },
                { "golang/os.readlink", "\"/proc\"", NULL, "error: readlink /proc: Invalid argument" },
                { "golang/os.readlink", "\"/proc\\x00\"", NULL, "error: '/proc' has a NUL byte in it" },
                { "golang/os.getwd", NULL, NULL, "\"/\"" },
                { "golang/os.read_file", "\"/dev/null\"", NULL, "error: open /dev/null: not a regular file" },
                { "golang/os.read_file", "\"/nowhere\"", NULL, "error: open /nowhere: no such file or directory" },
                { "golang/os.mkdir_temp", "\"/nowhere\"", "\"x\"", NULL },
                { "golang/os.mkdir_temp", "\"\"", "\"x/y\"", "error: mkdirtemp x/y: pattern contains path separator" },
                { "golang/os/exec.look_path", "\"/\"", NULL, "error: exec: \"/\": Is a directory" },
                { "golang/os/exec.look_path", "\"/nowhere\"", NULL, "error: exec: \"/nowhere\": No such file or directory" },
                { "golang/os/exec.look_path", "\"no-such-program\"", NULL,
                  "error: exec: \"no-such-program\": executable file not found in $PATH" },
                { "golang/os/exec.look_path", "\"no-program\"", NULL,
                  "error: exec: \"no-program\": executable file not found in $PATH" },   /* though a file of that name is there */
                { "golang/path/filepath.abs", "\"etc/../x/\"", NULL, "\"/x\"" },
                { "golang/path/filepath.abs", "\"/a//b\"", NULL, "\"/a/b\"" },
                { "golang/path/filepath.abs", "\"\"", NULL, "\"/\"" },
                { "golang/path/filepath.eval_symlinks", "\"/proc/self/../self/cwd/proc\"", NULL, "\"/proc\"" },
                { "golang/path/filepath.eval_symlinks", "\"proc/self/cwd/proc\"", NULL, "\"proc\"" },
                { "golang/path/filepath.eval_symlinks", "\".\"", NULL, "\".\"" },
                { "golang/path/filepath.eval_symlinks", "\"/nowhere\"", NULL, "error: cannot follow '/nowhere': No such file or directory" },
                { "golang/runtime.cpu_profile", NULL, NULL, "error: CPUProfile no longer available" },
                { "golang/runtime.num_goroutine", NULL, NULL, "1" },
                { "golang/runtime.stack", "\"1234\"", "true", "0" },
                { "golang/runtime.version", NULL, NULL, "\"" MGMT_VERSION "\"" },
                { "golang/math/rand.int_63_n", "1", NULL, "0" },
                { "golang/math/rand.intn", "0", NULL, "error: invalid argument to golang/math/rand.intn, it must be positive" },
                { "golang/math/rand.read", "\"1234\"", NULL, "4" },
        };
        Stage stage;

        (void) setenv("MGMT_TEST_SET", "value", 1);
        (void) setenv("MGMT_TEST_EMPTY", "", 1);
        (void) unsetenv("MGMT_TEST_UNSET");
        (void) setenv("HOME", "/srv/home", 1);
        (void) setenv("TMPDIR", "", 1);
        (void) unsetenv("XDG_CACHE_HOME");
        (void) setenv("XDG_CONFIG_HOME", "relative", 1);
        CHECK_INT(chdir("/"), 0);
        size_t fds = count_fds();
        stage_start(&stage);
        put(&stage, "no-program", "text");
        (void) setenv("PATH", in_stage(&stage, "/nowhere:$D:/usr/bin:/bin"), 1);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = value_of(&stage, cases[i].function, cases[i].a, cases[i].b);

                if (cases[i].want)
                        CHECK_STR(got, cases[i].want);
                else
                        CHECK(got && startswith(got, "error: "));
        }
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

_printf_(3, 4) static void check_value(Stage *stage, const char *function, const char *format, ...) {
        _cleanup_free_ char *got = value_of(stage, function, NULL, NULL), *want = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&want, format, ap) < 0)
                abort();
        va_end(ap);
        if (!streq_ptr(got, want))
                TEST_FAIL("%s is %s, not %s", function, got ?: "(nothing)", want);
}

TEST(the_process_is_this_one) {
        Stage stage;
        char self[PATH_MAX] = "", host[256] = "";

        stage_start(&stage);
        CHECK(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
        CHECK(gethostname(host, sizeof(host) - 1) == 0);
        check_value(&stage, "deploy.binary_path", "\"%s\"", self);
        check_value(&stage, "golang/os.executable", "\"%s\"", self);
        check_value(&stage, "golang/os.getpid", "%d", (int) getpid());
        check_value(&stage, "golang/os.getppid", "%d", (int) getppid());
        check_value(&stage, "golang/os.getuid", "%u", getuid());
        check_value(&stage, "golang/os.geteuid", "%u", geteuid());
        check_value(&stage, "golang/os.getgid", "%u", getgid());
        check_value(&stage, "golang/os.getegid", "%u", getegid());
        check_value(&stage, "golang/os.getpagesize", "%ld", sysconf(_SC_PAGESIZE));
        check_value(&stage, "golang/os.hostname", "\"%s\"", host);
        check_value(&stage, "golang/runtime.num_cpu", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
        check_value(&stage, "os.is_family_debian", "%s", access("/etc/debian_version", F_OK) == 0 ? "true" : "false");
        check_value(&stage, "os.is_family_redhat", "%s", access("/etc/redhat-release", F_OK) == 0 ? "true" : "false");
        check_value(&stage, "os.is_family_archlinux", "%s", access("/etc/arch-release", F_OK) == 0 ? "true" : "false");
        if (access("/etc/redhat-release", F_OK) < 0 && access("/etc/debian_version", F_OK) == 0)
                check_value(&stage, "os.family", "\"debian\"");
        _cleanup_free_ char *args = value_of(&stage, "os.args", NULL, NULL);
        CHECK(args && strstr(args, "test-sources"));
        _cleanup_free_ char *env = value_of(&stage, "sys.env", NULL, NULL);
        CHECK(env && strstr(env, "\"PATH\": \""));
        _cleanup_free_ char *virtual = value_of(&stage, "os.is_virtual", NULL, NULL);
        CHECK(streq_ptr(virtual, "true") || streq_ptr(virtual, "false"));
        stage_end(&stage);
}

TEST(os_release_is_read_as_a_shell_does) {
        static const struct { const char *text, *want; } cases[] = {
                { "", "struct{id: \"\"; variant_id: \"\"; version_id: \"\"}" },
                { "ID=debian\nVERSION_ID=\"12\"\n", "struct{id: \"debian\"; variant_id: \"\"; version_id: \"12\"}" },
                { "NAME=\"x\"\nID='fedora'\nVARIANT_ID=server # the big one\nVERSION_ID=3\"9\"",
                  "struct{id: \"fedora\"; variant_id: \"server\"; version_id: \"39\"}" },
                { "# ID=no\n  ID=\"a\\\"b\\$c=d\"\nXID=no\nIDX=no\n", "struct{id: \"a\\\"b$c=d\"; variant_id: \"\"; version_id: \"\"}" },
                { "ID=one\nID=two\n", "struct{id: \"two\"; variant_id: \"\"; version_id: \"\"}" },
                { "ID='it does not end\nVERSION_ID=\"1\\n2\"\n", "struct{id: \"it does not end\"; variant_id: \"\"; version_id: \"1\\\\n2\"}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Value v = VALUE_NIL;

                CHECK_INT(os_release_parse(cases[i].text, &v), 0);
                _cleanup_free_ char *got = value_text(v);
                CHECK_STR(got, cases[i].want);
                value_done(&v);
        }
}

TEST(random_is_random) {
        Stage stage;
        Call c = {};
        double sum = 0, square = 0, exponential = 0, unit = 0;
        enum { N = 2000 };

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "random1", "1000", NULL), 0);
        CHECK_INT(strspn(c.text, "\"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"), 1002);
        for (const char *p = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"; *p; p++)
                CHECK(strchr(c.text, *p));      /* that one is missing has a chance of 1 in 5 million */
        _cleanup_free_ char *first = strdup(c.text), *second = NULL;
        call_close(&c);
        second = value_of(&stage, "random1", "1000", NULL);
        CHECK(!streq_ptr(first, second));
        for (int i = 0; i < N; i++) {
                CHECK_INT(call_open(&stage, &c, "golang/math/rand.norm_float_64", NULL), 0);
                sum += c.history[0].f;
                square += c.history[0].f * c.history[0].f;
                call_close(&c);
                CHECK_INT(call_open(&stage, &c, "golang/math/rand.exp_float_64", NULL), 0);
                CHECK(c.history[0].f >= 0);
                exponential += c.history[0].f;
                call_close(&c);
                CHECK_INT(call_open(&stage, &c, "golang/math/rand.float_64", NULL), 0);
                CHECK(c.history[0].f >= 0 && c.history[0].f < 1);
                unit += c.history[0].f;
                call_close(&c);
                CHECK_INT(call_open(&stage, &c, "golang/math/rand.intn", "7", NULL), 0);
                CHECK(c.history[0].i >= 0 && c.history[0].i < 7);
                call_close(&c);
                CHECK_INT(call_open(&stage, &c, "golang/math/rand.int_63", NULL), 0);
                CHECK(c.history[0].i >= 0);
                call_close(&c);
        }
        /* Eight times the standard error. */
        CHECK(fabs(sum / N) < 8 / sqrt(N));
        CHECK(fabs(square / N - 1) < 8 * sqrt(2.0 / N));
        CHECK(fabs(exponential / N - 1) < 8 / sqrt(N));
        CHECK(fabs(unit / N - 0.5) < 8 * sqrt(1.0 / 12 / N));
        static const struct { const char *length, *want; } cases[] = {
                { "0", "\"\"" },
                { "-1", "error: can't generate an invalid length" },
                { "65536", "error: can't generate an invalid length" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = value_of(&stage, "random1", cases[i].length, NULL);
                CHECK_STR(got, cases[i].want);
        }
        stage_end(&stage);
}

/* ---- files ---- */

TEST(a_file_is_followed_wherever_it_goes) {
        size_t fds = count_fds();
        Stage stage;
        Call c = {}, exists = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "os.readfile", in_stage(&stage, "\"$D/a/b/file\""), NULL), 0);
        CHECK_INT(call_open(&stage, &exists, "os.file_exists", in_stage(&stage, "\"$D/a/b/file\""), NULL), 0);
        CHECK_SAYS(&c, in_stage(&stage, "catchable: error reading file: open $D/a/b/file: no such file or directory"));
        CHECK_SAYS(&exists, "false");

        CHECK_INT(mkdir(stage_path(&stage, "a"), 0755), 0);
        CHECK_INT(mkdir(stage_path(&stage, "a/b"), 0755), 0);
        put(&stage, "a/b/file", "one");
        CHECK_SAYS(&c, "\"one\"");
        CHECK_SAYS(&exists, "true");
        put(&stage, "a/b/file", "two");
        CHECK_SAYS(&c, "\"two\"");
        put(&stage, "a/b/other", "three");
        CHECK_INT(rename(in_stage(&stage, "$D/a/b/other"), stage_path(&stage, "a/b/file")), 0);
        CHECK_SAYS(&c, "\"three\"");

        /* what is a parent goes, and comes back as a link */
        CHECK_INT(rename(in_stage(&stage, "$D/a"), stage_path(&stage, "z")), 0);
        CHECK_SAYS(&exists, "false");
        CHECK_SAYS(&c, in_stage(&stage, "catchable: error reading file: open $D/a/b/file: no such file or directory"));
        CHECK_INT(symlink("z", stage_path(&stage, "a")), 0);
        CHECK_SAYS(&c, "\"three\"");
        CHECK_SAYS(&exists, "true");

        CHECK_INT(unlink(stage_path(&stage, "z/b/file")), 0);
        CHECK_SAYS(&exists, "false");
        call_close(&c);
        call_close(&exists);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* With no watches to be had, then with enough. */
static int body_without_watches(void) {
        Stage stage;
        Call c = {}, user = {};

        if (!unshare_as_root(0) || !write_text("/proc/sys/user/max_inotify_watches", "1"))
                return 77;
        (void) log_set_level(LOG_EMERG);
        stage_start(&stage);
        stage.manager.share.poll_usec = 5000;
        CHECK_INT(call_open(&stage, &c, "os.readfile", in_stage(&stage, "\"$D/file\""), NULL), 0);
        stage.manager.share.etc = stage.directory;
        CHECK_INT(call_open(&stage, &user, "os.user_exists", "\"ann\"", NULL), 0);
        CHECK_SAYS(&user, "false");
        CHECK_SAYS(&c, in_stage(&stage, "catchable: error reading file: open $D/file: no such file or directory"));
        put(&stage, "file", "one");
        CHECK_SAYS(&c, "\"one\"");
        put(&stage, "file", "two");
        CHECK_SAYS(&c, "\"two\"");
        put(&stage, "passwd", "ann:x:1:1::/:/bin/sh\n");
        CHECK_SAYS(&user, "true");
        CHECK(write_text("/proc/sys/user/max_inotify_watches", "100"));
        put(&stage, "file", "three");
        CHECK_SAYS(&c, "\"three\"");
        stage.manager.share.poll_usec = UINT64_C(3600) * 1000000;
        put(&stage, "file", "four");
        CHECK_SAYS(&c, "\"four\"");
        put(&stage, "passwd", "bob:x:1:1::/:/bin/sh\n");
        CHECK_SAYS(&user, "false");
        call_close(&c);
        call_close(&user);
        stage_end(&stage);
        return 0;
}

TEST(a_file_that_cannot_be_watched_is_looked_at) {
        int r = in_child(body_without_watches);

        if (r == 77)
                TEST_SKIP("no user namespaces");
        CHECK_INT(r, 0);
}

/* Files in it can be read, but nobody tells of them until the directory can be. */
static int body_unreadable_directory(void) {
        Stage stage;
        Call c = {};

        if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
                return 77;
        (void) log_set_level(LOG_EMERG);
        stage_start(&stage);
        stage.manager.share.poll_usec = UINT64_C(3600) * 1000000;
        CHECK_INT(mkdir(stage_path(&stage, "d"), 0700), 0);
        put(&stage, "d/file", "one");
        CHECK_INT(chmod(stage_path(&stage, "d"), 0300), 0);
        CHECK_INT(call_open(&stage, &c, "os.readfile", in_stage(&stage, "\"$D/d/file\""), NULL), 0);
        CHECK_SAYS(&c, "\"one\"");
        put(&stage, "d/file", "two");
        CHECK_INT(chmod(stage_path(&stage, "d"), 0700), 0);
        CHECK_SAYS(&c, "\"two\"");
        put(&stage, "d/file", "three");
        CHECK_SAYS(&c, "\"three\"");
        call_close(&c);
        stage_end(&stage);
        return 0;
}

TEST(a_watch_begins_when_the_directory_can_be_read) {
        int r = in_child(body_unreadable_directory);

        if (r == 77)
                TEST_SKIP("cannot become somebody else");
        CHECK_INT(r, 0);
}

TEST(what_is_no_file_is_not_read) {
        static const struct { const char *path, *want; } cases[] = {
                { "\"$D\"", "error: error reading file: read $D: Is a directory" },
                { "\"$D/fifo\"", "error: error reading file: open $D/fifo: not a regular file" },
                { "\"/dev/zero\"", "error: error reading file: open /dev/zero: not a regular file" },
                { "\"$D/large\"", "error: error reading file: read $D/large: larger than 16777216 bytes" },
                { "\"$D/circle\"", "error: error reading file: open $D/circle: Too many levels of symbolic links" },
                { "\"$D/large/x\"", "error: error reading file: open $D/large/x: Not a directory" },
                { "\"relative\"", "error: filename was not absolute, got: `relative`" },
                { "\"\"", "error: filename was not absolute, got: ``" },
                { "\"/etc\\x00/x\"", "error: filename was not absolute, got: `/etc`" },
        };
        Stage stage;

        stage_start(&stage);
        CHECK_INT(mkfifo(stage_path(&stage, "fifo"), 0600), 0);
        CHECK_INT(symlink("circle", stage_path(&stage, "circle")), 0);
        put(&stage, "large", "");
        CHECK_INT(truncate(stage_path(&stage, "large"), 16 * 1024 * 1024 + 1), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                (void) call_open(&stage, &c, "os.readfile", in_stage(&stage, cases[i].path), NULL);
                CHECK_STR(c.text, in_stage(&stage, cases[i].want));
                call_close(&c);
        }

        /* It can be had again. */
        Call c = {};
        CHECK_INT(call_open(&stage, &c, "os.readfile", in_stage(&stage, "\"$D/large\""), NULL), 0);
        CHECK_INT(truncate(stage_path(&stage, "large"), 3), 0);
        CHECK_SAYS(&c, "\"\\x00\\x00\\x00\"");
        CHECK_INT(chmod(stage_path(&stage, "large"), 0), 0);
        if (geteuid() != 0)
                CHECK_SAYS(&c, in_stage(&stage, "error: error reading file: read $D/large: Permission denied"));
        call_close(&c);
        stage_end(&stage);
}

/* ---- clocks ---- */

TEST(clocks_tick_with_the_second) {
        size_t fds = count_fds();
        Stage stage;
        Call number = {}, text = {}, day = {};
        struct timespec now;
        long earliest = LONG_MAX;

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &number, "datetime.now", NULL), 0);
        CHECK_INT(call_open(&stage, &text, "datetime.str_now", NULL), 0);
        CHECK_INT(call_open(&stage, &day, "datetime.weekday_fast", NULL), 0);
        CHECK_INT(number.n_said, 1);
        while (number.n_said < 20 && (number.history[number.n_said - 1].i < number.history[0].i + 2 || earliest >= 500 * 1000 * 1000)) {
                int64_t before = number.history[number.n_said - 1].i;

                CHECK(call_until(&number, number.n_said + 1));
                (void) clock_gettime(CLOCK_REALTIME, &now);
                int64_t after = number.history[number.n_said - 1].i;
                CHECK(after >= before && after <= now.tv_sec);  /* the same again when somebody sets the clock */
                if (after > before)
                        earliest = MIN(earliest, now.tv_nsec);
        }
        CHECK(number.n_said < 20);
        CHECK(earliest < 500 * 1000 * 1000);
        CHECK(call_until(&text, 2));
        CHECK(atoll(text.text + 1) >= number.history[0].i);
        CHECK(strstr(day.text, "day\""));
        call_close(&number);
        call_close(&text);
        call_close(&day);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* By a nanosecond, so that nobody else is disturbed. The kernel takes it for set when the seconds of the difference are not 0. */
TEST(clocks_notice_that_the_clock_is_set) {
        struct timex back = { .modes = ADJ_SETOFFSET | ADJ_NANO, .time = { .tv_sec = -1, .tv_usec = 999999999 } };
        Stage stage;
        Call day = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &day, "datetime.weekday_fast", NULL), 0);
        stage_run(&stage, 20);
        unsigned n = day.n_said;
        if (clock_adjtime(CLOCK_REALTIME, &back) < 0)
                test_skipped = "may not set the clock";
        else
                CHECK(call_until(&day, n + 1));
        call_close(&day);
        stage_end(&stage);
}

TEST(uptime_goes_with_the_second) {
        size_t fds = count_fds();
        Stage stage;
        Call uptime = {};
        struct sysinfo info;

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &uptime, "sys.uptime", NULL), 0);
        CHECK(call_until(&uptime, 3));
        CHECK_INT(sysinfo(&info), 0);
        CHECK(uptime.history[1].i > uptime.history[0].i && uptime.history[2].i > uptime.history[1].i);
        CHECK(uptime.history[2].i <= info.uptime);
        call_close(&uptime);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* ---- the kernel ---- */

TEST(modules_are_loaded_when_they_are_live) {
        static const char text[] = "nf_tables 311296 0 - Live 0x0000000000000000\n"
                                   "kvm 1339392 1 kvm_intel, Live 0x0000000000000000 (OE)\n"
                                   "coming 16384 1 - Loading 0x0000000000000000\n"
                                   "going 16384 0 - Unloading 0x0000000000000000\n"
                                   "last 1 0 - Live\n";
        static const struct { const char *name; bool want; } cases[] = {
                { "kvm", true }, { "nf_tables", true }, { "coming", false }, { "going", false }, { "last", true },
                { "nf", false }, { "kvm_intel,", false }, { "", false }, { "Live", false }, { "kvm 1339392", false },
        };
        Stage stage;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (module_list_has(text, cases[i].name, strlen(cases[i].name)) != cases[i].want)
                        TEST_FAIL("%s", cases[i].name);
        CHECK(!module_list_has("", "kvm", 3));
        CHECK(!module_list_has("kvm", "kvm", 3));

        size_t fds = count_fds();
        Call c = {};
        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "os.modinfo_loaded", "\"no such module\"", NULL), 0);
        CHECK_STR(c.text, "false");
        call_close(&c);
        CHECK_INT(call_open(&stage, &c, "sys.cpu_count", NULL), 0);
        CHECK_INT(c.history[0].i, sysconf(_SC_NPROCESSORS_ONLN));

        /* The kernel says it again when it is asked to. */
        int fd = open("/sys/devices/system/cpu/cpu0/uevent", O_WRONLY | O_CLOEXEC);
        if (fd >= 0 && write(fd, "change", 6) == 6)
                CHECK(call_until(&c, 2));
        else
                test_skipped = "may not ask the kernel for events";
        closep(&fd);
        call_close(&c);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(the_name_of_the_host_is_followed) {
        char before[256] = "", want[300];
        Stage stage;
        Call c = {};

        CHECK(gethostname(before, sizeof(before) - 1) == 0);
        if (unshare(CLONE_NEWUTS) < 0)
                TEST_SKIP("may not have a name of its own");
        size_t fds = count_fds();
        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "sys.hostname", NULL), 0);
        (void) snprintf(want, sizeof(want), "\"%s\"", before);
        CHECK_STR(c.text, want);
        CHECK_INT(sethostname("mgmt-test-1", 11), 0);
        CHECK_SAYS(&c, "\"mgmt-test-1\"");
        CHECK_INT(sethostname("mgmt-test-2", 11), 0);
        CHECK_SAYS(&c, "\"mgmt-test-2\"");
        unsigned n = c.n_said;
        stage_run(&stage, 50);
        CHECK(c.n_said < n + 10);       /* it waits; others on this machine may be given names meanwhile */
        CHECK_INT(sethostname(before, strlen(before)), 0);
        CHECK_SAYS(&c, want);
        call_close(&c);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* ---- functions for tests ---- */

TEST(functions_for_tests) {
        static const struct { const char *function, *arg, *want; } cases[] = {
                { "test.fastcount", NULL, "1" },
                { "test.forkvloop", NULL, "{\"foo\": \"bar\"}" },
                { "test.forloop", NULL, "[\"foo\"]" },
                { "test.one_instance_a", NULL, "\"hello\"" },
                { "test.one_instance_h", NULL, "\"hello\"" },
                { "test.one_stream", "3", "\"xxx\"" },
                { "test.one_stream", "0", "\"\"" },
                { "test.one_stream", "-1", "error: cannot use a negative count" },
                { "test.one_stream", "9223372036854775807", "error: cannot use a count of more than 16777216" },
        };
        size_t fds = count_fds();
        Stage stage;

        stage_start(&stage);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Call c = {};

                (void) call_open(&stage, &c, cases[i].function, cases[i].arg, NULL);
                CHECK_STR(c.text, cases[i].want);
                call_close(&c);
        }

        Call first = {}, second = {}, other = {};
        CHECK_INT(call_open(&stage, &first, "test.one_instance_a", NULL), 0);
        CHECK_INT(call_open(&stage, &other, "test.one_instance_b", NULL), 0);
        CHECK(call_open(&stage, &second, "test.one_instance_a", NULL) < 0);
        CHECK_STR(second.text, "error: function `test.one_instance_a` is asked more than once");
        call_close(&second);
        call_close(&first);
        CHECK_INT(call_open(&stage, &second, "test.one_instance_a", NULL), 0);
        call_close(&second);
        call_close(&other);

        CHECK_INT(call_open(&stage, &first, "test.one_stream", "3", NULL), 0);
        CHECK_INT(call_change(&first, "4", NULL), 0);
        CHECK_STR(first.text, "error: you can only pass in a single input, got: 4, previously: 3");
        call_close(&first);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(what_takes_five_seconds) {
        size_t fds = count_fds();
        Stage stage;
        Call slow = {}, list = {}, map = {}, load = {}, flip = {};
        struct sysinfo info;
        int64_t start = now_msec();

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &slow, "test.slow_string", NULL), 0);
        CHECK_INT(call_open(&stage, &list, "test.forloop", NULL), 0);
        CHECK_INT(call_open(&stage, &map, "test.forkvloop", NULL), 0);
        CHECK_INT(call_open(&stage, &load, "sys.load", NULL), 0);
        CHECK_INT(call_open(&stage, &flip, "example.flipflop", NULL), 0);
        CHECK_STR(flip.text, "true");
        CHECK_INT(slow.n_said, 0);
        CHECK_INT(load.n_said, 1);
        CHECK(startswith(load.text, "struct{x1: "));
        CHECK_SAYS(&slow, "\"five seconds has elapsed\"");
        CHECK(now_msec() - start >= 5000);
        CHECK_SAYS(&list, "[\"bar\"]");
        CHECK(call_until(&map, 2));
        CHECK_STR(map.text, "{\"foo\": \"bar\"}");
        CHECK_SAYS(&flip, "false");
        CHECK(call_until(&load, 2));
        CHECK_INT(sysinfo(&info), 0);
        /* It may have gone on since, on a busy machine by a tenth of what runs there. */
        CHECK(fabs(value_struct_get(load.history[1], "x1")->f - (double) info.loads[0] / 65536) < 10);
        call_close(&slow);
        call_close(&list);
        call_close(&map);
        call_close(&load);
        call_close(&flip);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

/* rec is a script here: there is neither sox nor a microphone. */
TEST(loudness_is_drawn) {
        static const struct { const char *rec, *symbol, *multiplier, *want; } cases[] = {
                { "echo 'Maximum amplitude:     0.500000' >&2", "\"#\"", "10", "\"(0.500000):\\n#####\\n#####\"" },
                { "echo 'Samples read: 1' >&2; echo 'Maximum amplitude: 0.95' >&2", "\"ab\"", "2",
                  "\"(0.950000):\\nabab PEAK!!!\\nabab PEAK!!!\"" },
                { "echo 'Maximum amplitude: 0' >&2", "\"#\"", "10", "\"(0.000000):\\n#\\n#\"" },
                { "echo 'Maximum amplitude: 0.5' >&2", "\"#\"", "-10", "\"(0.500000):\\n#\\n#\"" },
                { "echo 'Maximum amplitude: 1.5' >&2", "\"#\"", "10", "error: invalid ratio of 1.500000" },
                { "echo 'Maximum amplitude: nan' >&2", "\"#\"", "10", NULL },
                { "echo hello", "\"#\"", "10", "error: rec does not say how loud it is" },
                { "echo no microphone >&2; exit 2", "\"#\"", "10", "error: rec failed with status 2: no microphone\n" },
                { "echo 'Maximum amplitude: 1' >&2", "\"#\"", "9223372036854775807", NULL },
        };
        size_t fds = count_fds();
        Stage stage;
        Call c = {};

        stage_start(&stage);
        (void) setenv("PATH", in_stage(&stage, "$D:/usr/bin:/bin"), 1);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char script[256];

                (void) snprintf(script, sizeof(script), "#!/bin/sh\ntest \"$*\" = '-q -n trim 0 1 stat' || exit 9\n%s\n", cases[i].rec);
                put(&stage, "script", script);
                CHECK_INT(chmod(stage_path(&stage, "script"), 0755), 0);
                CHECK_INT(rename(in_stage(&stage, "$D/script"), stage_path(&stage, "rec")), 0);
                CHECK_INT(call_open(&stage, &c, "example.vumeter", cases[i].symbol, cases[i].multiplier, "0.9", NULL), 0);
                CHECK(call_until(&c, 1));
                if (cases[i].want)
                        CHECK_STR(c.text, cases[i].want);
                else
                        CHECK(c.text && startswith(c.text, "error: "));
                if (i == 0)
                        CHECK(call_until(&c, 2));       /* a second later */
                call_close(&c);
        }
        CHECK_INT(unlink(stage_path(&stage, "rec")), 0);
        (void) setenv("PATH", stage.directory, 1);
        CHECK(call_open(&stage, &c, "example.vumeter", "\"#\"", "10", "0.9", NULL) < 0);
        CHECK_STR(c.text, "error: cannot run 'rec': No such file or directory");
        call_close(&c);
        (void) setenv("PATH", "/usr/bin:/bin", 1);
        stage_end(&stage);
        CHECK_INT(count_fds(), fds);
}

TEST(counting_goes_on_when_it_is_taken) {
        Stage stage;
        Call c = {};

        stage_start(&stage);
        CHECK_INT(call_open(&stage, &c, "test.fastcount", NULL), 0);
        CHECK(call_until(&c, 1000));
        char want[32];
        (void) snprintf(want, sizeof(want), "%u", c.n_said);
        CHECK_STR(c.text, want);
        call_close(&c);
        stage_end(&stage);
}

TEST_MAIN()
