/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The log, seen from its reader: what arrives at stderr, and what arrives at a journal socket of our own. */

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "common/sd/log.h"
#include "tests/test.h"

enum { OUTPUT_MAX = 64 * 1024 };

/* Runs body in a child whose stderr is a pipe, and returns what it wrote there. */
static char *captured(void (*body)(void)) {
        int fds[2];
        if (pipe2(fds, O_CLOEXEC) < 0)
                return NULL;

        pid_t pid = fork();
        if (pid == 0) {
                dup2(fds[1], STDERR_FILENO);
                unsetenv("JOURNAL_STREAM");
                unsetenv("MGMT_LOG_LEVEL");
                body();
                _exit(0);
        }
        close(fds[1]);

        char *text = calloc(1, OUTPUT_MAX);
        size_t size = 0;
        ssize_t n;
        while (text && size < OUTPUT_MAX - 1 && (n = read(fds[0], text + size, OUTPUT_MAX - 1 - size)) > 0)
                size += (size_t) n;
        close(fds[0]);
        if (pid > 0)
                waitpid(pid, NULL, 0);
        return text;
}

/* A line in a file begins with the time: "2026-01-31 12:00:00.000 ". */
static const char *after_time(const char *line) {
        static const char pattern[] = "0000-00-00 00:00:00.000 ";

        for (size_t i = 0; pattern[i]; i++)
                if (pattern[i] == '0' ? line[i] < '0' || line[i] > '9' : line[i] != pattern[i])
                        return NULL;
        return line + strlen(pattern);
}

static void body_lines(void) {
        log_open("mgmt-test");
        log_info("hello %s", "world");
        log_debug("not shown");
        (void) log_error(-ENOENT, "cannot open '%s': %m", "/nowhere");
        (void) log_resource(LOG_INFO, "file", "/tmp/a", (Pos) { "a.mcl", 3, 1, 0, 0 }, "created");
        (void) log_resource(LOG_ERR, "file", "/tmp/a", (Pos) { "a.mcl", 3, 1, 0, 0 }, "failed");
}

TEST(lines_for_a_file_have_time_program_and_level) {
        static const char *const want[] = {
                "mgmt-test[info]: hello world",
                "mgmt-test[err]: cannot open '/nowhere': No such file or directory",
                "mgmt-test[info]: file[/tmp/a]: created",
                "mgmt-test[err]: a.mcl:3:1: file[/tmp/a]: failed",
        };
        _cleanup_free_ char *text = captured(body_lines);
        char *rest = text;

        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                char *line = strsep(&rest, "\n");
                REQUIRE(line);
                CHECK_STR(after_time(line), want[i]);
        }
        CHECK_STR(rest, "");
}

static void body_hostile(void) {
        log_open("mgmt-test");
        log_info("a\033[2Jb\x7f" "c\xc2\x9b" "d\te ü\n2026-01-01 forged\n\n");
}

TEST(control_characters_are_spelled_out_and_further_lines_indented) {
        _cleanup_free_ char *text = captured(body_hostile);

        REQUIRE(text);
        CHECK_STR(after_time(text), "mgmt-test[info]: a\\x1b[2Jb\\x7fc\\xc2\\x9bd\te ü\n    2026-01-01 forged\n");
}

static char long_text[20000];

static void body_long(void) {
        log_open("mgmt-test");
        log_info("%s", long_text);
}

TEST(a_long_line_stays_whole) {
        memset(long_text, 'x', sizeof(long_text) - 1);
        _cleanup_free_ char *text = captured(body_long);

        REQUIRE(text && after_time(text));
        const char *line = startswith(after_time(text), "mgmt-test[info]: ");
        REQUIRE(line);
        CHECK_INT(strlen(line), sizeof(long_text) - 1 + 1);
        CHECK(startswith(line, long_text));
}

static void body_levels(void) {
        setenv("MGMT_LOG_LEVEL", "debug", 1);
        log_open("mgmt-test");
        log_debug("one");
        log_set_level(LOG_ERR);
        log_info("two");
        (void) log_error(0, "three");
        log_set_target("null");
        (void) log_error(0, "four");
        log_set_target("console");
        (void) log_error(0, "five");
        setenv("MGMT_LOG_LEVEL", "loud", 1);
        log_open("mgmt-test");
        log_info("six");
}

TEST(level_and_target_change_at_run_time) {
        static const char *const want[] = {
                "mgmt-test[debug]: one",
                "mgmt-test[err]: three",
                "mgmt-test[err]: five",
                "mgmt-test[warning]: MGMT_LOG_LEVEL is 'loud', expected a level from 'emerg' to 'debug'; ignoring",
                "mgmt-test[info]: six",
        };
        _cleanup_free_ char *text = captured(body_levels);
        char *rest = text;

        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                char *line = strsep(&rest, "\n");
                REQUIRE(line);
                CHECK_STR(after_time(line), want[i]);
        }
        CHECK_STR(rest, "");
}

static int held_pipe[2];

static void body_stuck(void) {
        char block[4096];

        log_open("mgmt-test");
        if (pipe2(held_pipe, O_CLOEXEC) < 0)
                return;
        int saved = dup(STDERR_FILENO);
        dup2(held_pipe[1], STDERR_FILENO);
        memset(block, '.', sizeof(block));
        fcntl(held_pipe[1], F_SETFL, O_NONBLOCK);
        while (write(held_pipe[1], block, sizeof(block)) > 0)
                ;
        fcntl(held_pipe[1], F_SETFL, 0);
        for (int i = 0; i < 1000; i++)
                log_info("nobody reads this");
        fcntl(held_pipe[0], F_SETFL, O_NONBLOCK);
        while (read(held_pipe[0], block, sizeof(block)) > 0)
                ;
        log_info("somebody reads again");
        ssize_t n = read(held_pipe[0], block, sizeof(block));
        (void) !write(saved, block, n > 0 ? (size_t) n : 0);
}

TEST(a_reader_that_stops_reading_does_not_hold_us_up) {
        static const char *const want[] = { "mgmt-test[warning]: 1000 lines were lost here", "mgmt-test[info]: somebody reads again" };
        _cleanup_free_ char *text = captured(body_stuck);
        char *rest = text;
        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                char *line = strsep(&rest, "\n");
                REQUIRE(line);
                CHECK_STR(after_time(line), want[i]);
        }
}

/* A stderr that is a journal stream, but the target is the console: the priority is all that journald needs. */
static void body_stream(void) {
        struct stat st;
        char stream[64];

        if (fstat(STDERR_FILENO, &st) < 0)
                return;
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev, (unsigned long long) st.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        log_open("mgmt-test");
        if (!streq(log_target(), "journal"))
                return;
        log_set_target("console");
        (void) log_warning(0, "plain");
}

TEST(a_journal_stream_takes_the_priority) {
        _cleanup_free_ char *text = captured(body_stream);

        CHECK_STR(text, "<4>plain\n");
}

static void body_foreign_stream(void) {
        setenv("JOURNAL_STREAM", "1:2", 1);
        log_open("mgmt-test");
        log_info("%s", log_target());
}

TEST(a_redirected_stderr_is_not_the_journal) {
        _cleanup_free_ char *text = captured(body_foreign_stream);

        REQUIRE(text);
        CHECK_STR(after_time(text), "mgmt-test[info]: console\n");
}

static void body_diag(void) {
        _cleanup_(diag_done) Diag d = {};

        log_open("mgmt-test");
        diag_set(&d, (Pos) { "a.mcl", 7, 2, 0, 0 }, -EINVAL, "bad thing");
        diag_note(&d, (Pos) {}, "help: do better");
        if (log_diag(LOG_ERR, &d) == -EINVAL)
                log_info("returned");
}

TEST(a_diag_is_logged_with_its_place_and_notes) {
        static const char *const want[] = {
                "mgmt-test[err]: a.mcl:7:2: bad thing",
                "mgmt-test[err]: help: do better",
                "mgmt-test[info]: returned",
        };
        _cleanup_free_ char *text = captured(body_diag);
        char *rest = text;

        for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                char *line = strsep(&rest, "\n");
                REQUIRE(line);
                CHECK_STR(after_time(line), want[i]);
        }
}

TEST(level_names_go_both_ways) {
        for (int level = LOG_EMERG; level <= LOG_DEBUG; level++) {
                CHECK_INT(log_level_from_name(log_level_name(level)), level);
                CHECK_INT(log_level_from_name((char[]) { (char) ('0' + level), 0 }), level);
        }
        CHECK_INT(log_level_from_name("verbose"), -EINVAL);
        CHECK_INT(log_level_from_name(""), -EINVAL);
        CHECK_INT(log_level_from_name("8"), -EINVAL);
        CHECK(!log_level_name(8));
        CHECK(!log_level_name(-1));
        CHECK_INT(log_set_level(8), -EINVAL);
        CHECK_INT(log_set_target("syslog"), -EINVAL);
}

TEST(errors_are_handed_through) {
        CHECK_INT(log_set_target("null"), 0);
        errno = ENOTTY;
        CHECK_INT(log_error(-EPERM, "%m"), -EPERM);
        CHECK_INT(log_full(LOG_DEBUG, -EIO, "filtered"), -EIO);
        CHECK_INT(errno, ENOTTY);
        CHECK_INT(log_set_target("console"), 0);
}

/* ---- the journal: a socket of our own in its place, in a mount namespace of our own ---- */

static int write_string(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text) ? 0 : -errno;
}

static int private_run(void) {
        char uid_map[64], gid_map[64];
        snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
        snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());

        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_string("/proc/self/uid_map", uid_map) < 0 ||
            write_string("/proc/self/setgroups", "deny") < 0 || write_string("/proc/self/gid_map", gid_map) < 0 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0 ||
            mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0)
                return -errno;

        static const struct sockaddr_un address = { AF_UNIX, "/run/systemd/journal/socket" };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return fd >= 0 && bind(fd, (const struct sockaddr *) &address, sizeof(address)) == 0 ? fd : -errno;
}

static bool has_line(const char *message, const char *line) {
        const char *found = strstr(message, line);
        return found && (found == message || found[-1] == '\n') && found[strlen(line)] == '\n';
}

/* 0: as expected, 77: not possible here, else the number of the check that failed. */
static int journal_child(void) {
        static const char *const want[] = {
                "MESSAGE=a.mcl:3:1: file[/tmp/a]: it is broken", "PRIORITY=3", "SYSLOG_IDENTIFIER=mgmt-test",
                "MGMT_KIND=file", "MGMT_NAME=/tmp/a", "CODE_FILE=a.mcl", "CODE_LINE=3",
        };
        char message[4096];
        int fd = private_run();
        if (fd < 0)
                return 77;

        log_open("mgmt-test");
        log_set_target("journal");
        (void) log_resource(LOG_ERR, "file", "/tmp/a", (Pos) { "a.mcl", 3, 1, 0, 0 }, "it is %s", "broken");
        ssize_t n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
        if (n < 0)
                return 1;
        message[n] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(want); i++)
                if (!has_line(message, want[i]))
                        return 2 + (int) i;

        (void) log_error(-ENOENT, "cannot: %m");
        n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
        if (n < 0)
                return 20;
        message[n] = '\0';
        if (!has_line(message, "MESSAGE=cannot: No such file or directory") || !has_line(message, "ERRNO=2"))
                return 21;
        return strstr(message, "CODE_") || strstr(message, "MGMT_") ? 22 : 0;
}

TEST(the_journal_gets_structured_fields) {
        int status;
        pid_t pid = fork();
        if (pid == 0)
                _exit(journal_child());

        REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                TEST_SKIP("no private mount namespace here");
        CHECK_INT(WEXITSTATUS(status), 0);
}

TEST_MAIN()
