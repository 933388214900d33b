/* SPDX-License-Identifier: GPL-3.0-or-later */

/* daemon_main() as systemd and a bus see it. The daemon is this very program, started again: with $TEST_DAEMON it does not run
 * tests but calls daemon_main(), see strange-daemon.h. Each case has a directory of its own, with a bus of its own where it needs one. */

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/bus.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"
#include "tests/common/sd/strange-daemon.h"
#include "tests/test.h"

enum { LIMIT_MSEC = 60 * 1000 };

/* ---- its surroundings ---- */

typedef struct Place {
        char path[64];
        int listen_fd;          /* as a socket unit has it; -EBADF: none */
        int notify_fd;
        int output_fd;          /* stdout and stderr of the daemon */
        pid_t bus, daemon;
        char text[8192];        /* what it wrote so far */
        size_t text_size;
        char notified[1024];    /* what it told the service manager so far */
        size_t notified_size;
} Place;

static uint64_t now_msec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

static const char *in_place(const Place *p, const char *name) {
        static char buffer[4][PATH_MAX];
        static unsigned i;

        i = (i + 1) % 4;
        snprintf(buffer[i], sizeof(buffer[i]), "%s/%s", p->path, name);
        return buffer[i];
}

static int bind_socket(const char *path, int type) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        memcpy(address.sun_path, path, strlen(path) + 1);
        (void) unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0))
                return -errno;
        return fd;
}

static bool place_init(Place *p) {
        static const char config[] =
                "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
                "<policy context=\"default\"><allow send_destination=\"*\"/><allow eavesdrop=\"false\"/><allow own=\"*\"/></policy>"
                "</busconfig>";
        char text[512];

        *p = (Place) { .path = "/tmp/mgmt-test-daemon-XXXXXX", .listen_fd = -EBADF, .output_fd = -EBADF };
        if (!mkdtemp(p->path))
                return false;
        int n = snprintf(text, sizeof(text), config, p->path);
        if (write_file_atomic_at(AT_FDCWD, in_place(p, "bus.conf"), text, (size_t) n, 0644, false) < 0)
                return false;
        p->notify_fd = bind_socket(in_place(p, "notify"), SOCK_DGRAM);
        snprintf(text, sizeof(text), "unix:path=%s/bus", p->path);
        setenv("MGMT_BUS_ADDRESS", text, 1);
        return p->notify_fd >= 0;
}

static void start_bus(Place *p) {
        const char *config = in_place(p, "bus.conf");
        char argument[PATH_MAX + 32];

        snprintf(argument, sizeof(argument), "--config-file=%s", config);
        p->bus = fork();
        if (p->bus == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (!freopen("/dev/null", "w", stderr))
                        _exit(127);
                execlp("dbus-daemon", "dbus-daemon", argument, "--nofork", "--nopidfile", "--nosyslog", NULL);
                _exit(127);
        }
}

static void stop_bus(Place *p) {
        if (p->bus > 0) {
                kill(p->bus, SIGKILL);
                waitpid(p->bus, NULL, 0);
        }
        p->bus = 0;
}

typedef enum Surroundings {
        WITH_SOCKET     = 1 << 0,       /* one that it inherits */
        BY_SYSTEMD      = 1 << 1,
        TWO_SOCKETS     = 1 << 2,
        WRONG_SOCKET    = 1 << 3,
        NO_SOCKET       = 1 << 4,       /* only promised */
        WITH_WATCHDOG   = 1 << 5,
        BAD_PARENT      = 1 << 6,       /* closed standard streams, blocked and ignored signals */
} Surroundings;

static void setenv_int(const char *name, long value) {
        char text[32];
        snprintf(text, sizeof(text), "%ld", value);
        setenv(name, text, 1);
}

/* The child's side of start_daemon(). */
static void exec_daemon(const Place *p, unsigned how, const char *behaviour, int output) {
        char option[64];
        sigset_t all;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
        setenv("TEST_DAEMON", "1", 1);
        setenv("STATE_DIRECTORY", in_place(p, "state/test"), 1);
        setenv("MGMT_RUNTIME_DIR", in_place(p, "run"), 1);
        setenv("NOTIFY_SOCKET", in_place(p, "notify"), 1);
        if (how & WITH_SOCKET) {
                int fd = fcntl(how & WRONG_SOCKET ? p->notify_fd : p->listen_fd, F_DUPFD_CLOEXEC, 10);
                if (how & NO_SOCKET)
                        close(3);
                else
                        dup2(fd, 3);
                if (how & TWO_SOCKETS)
                        dup2(fd, 4);
                setenv_int("LISTEN_FDS", how & TWO_SOCKETS ? 2 : 1);
                setenv_int("LISTEN_PID", getpid());
                setenv("LISTEN_FDNAMES", how & TWO_SOCKETS ? "a:b" : "test", 1);
        }
        if (how & WITH_WATCHDOG)
                setenv_int("WATCHDOG_USEC", 200 * 1000);
        if (how & BY_SYSTEMD)
                setenv_int("SYSTEMD_EXEC_PID", getpid());
        if (how & BAD_PARENT) {
                close(STDIN_FILENO);
                close(STDOUT_FILENO);
                sigfillset(&all);
                sigprocmask(SIG_SETMASK, &all, NULL);
                signal(SIGTERM, SIG_IGN);
                signal(SIGCHLD, SIG_IGN);
        }
        snprintf(option, sizeof(option), "--behaviour=%s", behaviour);
        execl("/proc/self/exe", "mgmt-test", option, NULL);
        _exit(127);
}

static void start_daemon(Place *p, unsigned how, const char *behaviour) {
        int fds[2];

        if (p->listen_fd < 0 && how & WITH_SOCKET)
                p->listen_fd = bind_socket(in_place(p, "test.sock"), SOCK_STREAM);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        p->text_size = p->notified_size = 0;
        p->text[0] = p->notified[0] = '\0';
        fflush(stdout);
        p->daemon = fork();
        if (p->daemon == 0)
                exec_daemon(p, how, behaviour, fds[1]);
        close(fds[1]);
        if (p->output_fd >= 0)
                close(p->output_fd);
        p->output_fd = fds[0];
        fcntl(p->output_fd, F_SETFL, O_NONBLOCK);
}

/* Takes what is there of output and notifications, waiting at most that long. */
static void listen_to_daemon(Place *p, int msec) {
        struct pollfd fds[] = { { .fd = p->output_fd, .events = POLLIN }, { .fd = p->notify_fd, .events = POLLIN } };

        if (poll(fds, 2, msec) < 0)
                return;
        if (fds[0].revents) {
                ssize_t n = read(p->output_fd, p->text + p->text_size, sizeof(p->text) - 1 - p->text_size);
                p->text_size += n > 0 ? (size_t) n : 0;
                p->text[p->text_size] = '\0';
                if (n == 0)
                        usleep(2000);
        }
        if (fds[1].revents & POLLIN) {
                ssize_t n = recv(p->notify_fd, p->notified + p->notified_size, sizeof(p->notified) - 2 - p->notified_size, MSG_DONTWAIT);
                p->notified_size += n > 0 ? (size_t) n : 0;
                p->notified[p->notified_size++] = '\n';
                p->notified[p->notified_size] = '\0';
        }
}

static bool wait_notified(Place *p, const char *word) {
        for (uint64_t end = now_msec() + LIMIT_MSEC; !strstr(p->notified, word) && now_msec() < end;)
                listen_to_daemon(p, 100);
        return strstr(p->notified, word);
}

static bool wait_text(Place *p, const char *word) {
        for (uint64_t end = now_msec() + LIMIT_MSEC; !strstr(p->text, word) && now_msec() < end;)
                listen_to_daemon(p, 100);
        return strstr(p->text, word);
}

static bool was_late;           /* some daemon, when it was to stop */

/* Its exit status, 1000 + signal, or -1 if it does not end. */
static int wait_daemon(Place *p) {
        int status;

        for (uint64_t end = now_msec() + LIMIT_MSEC; now_msec() < end; listen_to_daemon(p, 5))
                if (waitpid(p->daemon, &status, WNOHANG) == p->daemon) {
                        p->daemon = 0;
                        for (int i = 0; i < 3; i++)
                                listen_to_daemon(p, 0);
                        was_late = was_late || strstr(p->text, "could not stop in time");
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
                }
        return -1;
}

static void place_done(Place *p) {
        if (p->daemon > 0) {
                kill(p->daemon, SIGKILL);
                waitpid(p->daemon, NULL, 0);
        }
        stop_bus(p);
        if (p->listen_fd >= 0)
                close(p->listen_fd);
        if (p->output_fd >= 0)
                close(p->output_fd);
        close(p->notify_fd);
        if (test_failures > 0)
                printf("# the daemon wrote:\n# %s\n", p->text);
        CHECK_INT(remove_tree(p->path), 0);
}

/* A client on the bus, once the daemon's name is there. */
static sd_bus *wait_name(Place *p) {
        for (uint64_t end = now_msec() + LIMIT_MSEC; now_msec() < end; listen_to_daemon(p, 5)) {
                _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
                if (bus_open(&bus, NULL, "test") >= 0 && sd_bus_get_name_creds(bus, "org.mgmt.test1", 0, NULL) >= 0)
                        return TAKE_PTR(bus);
        }
        return NULL;
}

static int call(sd_bus *bus, const char *member, sd_bus_error *reterr, const char *types, ...) {
        va_list ap;
        va_start(ap, types);
        int r = sd_bus_call_methodv(bus, "org.mgmt.test1", "/org/mgmt/test1", "org.mgmt.test1.Manager", member, reterr, NULL, types, ap);
        va_end(ap);
        return r;
}

static int terminate(Place *p, uint64_t *ret_msec) {
        uint64_t begin = now_msec();
        kill(p->daemon, SIGTERM);
        int status = wait_daemon(p);
        *ret_msec = now_msec() - begin;
        return status;
}

/* What a daemon does that has less than a second for it, it may have no time for on a busy machine. */
static void try_in_time(void (*once)(void)) {
        for (unsigned i = 0; i < 10; i++) {
                was_late = false;
                test_failures = 0;
                once();
                if (!was_late)
                        return;
        }
}

#define TEST_IN_TIME(name) \
        static void name(void); \
        TEST(name) { \
                try_in_time(name); \
        } \
        static void name(void)

static bool is_asan(void) {
#if defined(__SANITIZE_ADDRESS__)
        return true;
#elif defined(__has_feature)
        return __has_feature(address_sanitizer);
#else
        return false;
#endif
}

/* ---- command line ---- */

TEST(command_line) {
        static const struct {
                const char *argument, *want;
                int status;
        } args[] = {
                { "--version", "mgmt-test " MGMT_VERSION "\n", 0 },
                { "--describe-kinds", "[\n]\n", 0 },
                { "--help", "Usage: mgmt-test [OPTION…]\nA daemon for a test.\n", 0 },
                { "--help", "  --behaviour=WORD     do something unusual\n", 0 },
                { "--nonsense", "Try 'mgmt-test --help'.\n", 2 },
                { "--behaviour=bad", "mgmt-test: --behaviour=bad: Invalid argument\n", 2 },
                { "word", "unexpected argument 'word'\n", 2 },
        };

        for (size_t i = 0; i < ELEMENTSOF(args); i++) {
                char text[4096] = "";
                int fds[2], status = -1;
                REQUIRE(pipe(fds) == 0);
                fflush(stdout);
                pid_t pid = fork();
                if (pid == 0) {
                        dup2(fds[1], STDOUT_FILENO);
                        dup2(fds[1], STDERR_FILENO);
                        close(fds[0]);
                        close(fds[1]);
                        setenv("TEST_DAEMON", "1", 1);
                        execl("/proc/self/exe", "mgmt-test", args[i].argument, NULL);
                        _exit(127);
                }
                close(fds[1]);
                size_t size = 0;
                for (ssize_t n; (n = read(fds[0], text + size, sizeof(text) - 1 - size)) > 0;)
                        size += (size_t) n;
                close(fds[0]);
                REQUIRE(waitpid(pid, &status, 0) == pid);
                CHECK_INT(WEXITSTATUS(status), args[i].status);
                if (!strstr(text, args[i].want))
                        TEST_FAIL("%s printed\n# %s", args[i].argument, text);
        }
}

/* ---- the life of a service ---- */

TEST_IN_TIME(a_service_from_start_to_stop) {
        Place p;
        uint64_t msec;

        REQUIRE(place_init(&p));
        start_bus(&p);
        uint64_t begin = now_msec();
        start_daemon(&p, WITH_SOCKET | BY_SYSTEMD, "");
        CHECK(wait_notified(&p, "READY=1"));
        printf("# ready after %" PRIu64 " ms\n", now_msec() - begin);

        /* the socket that it inherited is served */
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        char greeting[8] = "";
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/test.sock", p.path);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        CHECK(read(fd, greeting, sizeof(greeting) - 1) == 5 && streq(greeting, "hello"));

        /* and so is the bus */
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        REQUIRE(bus);
        uint32_t number = 0;
        CHECK(sd_bus_get_property_trivial(bus, "org.mgmt.test1", "/org/mgmt/test1", "org.mgmt.test1.Manager", "Number", NULL, 'u',
                                          &number) >= 0);
        CHECK_INT(number, 42);

        CHECK_INT(terminate(&p, &msec), 0);     /* who takes too long ends with another status, see below */
        CHECK(wait_notified(&p, "STOPPING=1"));
        CHECK(strstr(p.text, "stopping"));
        CHECK(access(in_place(&p, "test.sock"), F_OK) == 0);    /* systemd's, not ours */
        place_done(&p);
}

TEST(log_control) {
        static const char name[] = "org.mgmt.test1", path[] = "/org/freedesktop/LogControl1", interface[] = "org.freedesktop.LogControl1";
        Place p;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        REQUIRE(bus);

        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *level = NULL, *target = NULL, *identifier = NULL, *now = NULL;
        CHECK(sd_bus_get_property_string(bus, name, path, interface, "LogLevel", NULL, &level) >= 0);
        CHECK_STR(level, "info");
        CHECK(sd_bus_get_property_string(bus, name, path, interface, "LogTarget", NULL, &target) >= 0);
        CHECK_STR(target, "console");
        CHECK(sd_bus_get_property_string(bus, name, path, interface, "SyslogIdentifier", NULL, &identifier) >= 0);
        CHECK_STR(identifier, "mgmt-test");
        CHECK(sd_bus_set_property(bus, name, path, interface, "LogLevel", NULL, "s", "debug") >= 0);
        CHECK(sd_bus_get_property_string(bus, name, path, interface, "LogLevel", NULL, &now) >= 0);
        CHECK_STR(now, "debug");
        CHECK(sd_bus_set_property(bus, name, path, interface, "LogLevel", &error, "s", "loud") < 0);
        CHECK(sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS));
        CHECK(sd_bus_set_property(bus, name, path, interface, "LogTarget", NULL, "s", "printer") < 0);
        CHECK(sd_bus_set_property(bus, name, path, interface, "LogTarget", NULL, "s", "null") >= 0);
        place_done(&p);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        (*(unsigned *) userdata)++;
        return 0;
}

TEST(objects_errors_and_signals) {
        Place p;
        unsigned n_signals = 0;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        REQUIRE(bus);

        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        CHECK(call(bus, "Fail", &error, NULL) < 0);
        CHECK_STR(error.name, "org.mgmt.Error.ENOENT");
        CHECK_STR(error.message, "a.mcl:3:1: no such thing\nhelp: make one");

        uint32_t number = 0;
        CHECK(sd_bus_get_property_trivial(bus, "org.mgmt.test1", "/org/mgmt/test1/thing/one", "org.mgmt.test1.Thing", "Number", NULL,
                                          'u', &number) >= 0);
        CHECK_INT(number, 42);
        CHECK(sd_bus_get_property_trivial(bus, "org.mgmt.test1", "/org/mgmt/test1/thing/two", "org.mgmt.test1.Thing", "Number", NULL,
                                          'u', &number) < 0);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        CHECK(sd_bus_call_method(bus, "org.mgmt.test1", "/org/mgmt/test1/thing", "org.freedesktop.DBus.ObjectManager",
                                 "GetManagedObjects", NULL, &reply, NULL) >= 0);
        const char *object = NULL;
        CHECK(sd_bus_message_enter_container(reply, 'a', "{oa{sa{sv}}}") > 0 &&
              sd_bus_message_enter_container(reply, 'e', "oa{sa{sv}}") > 0 && sd_bus_message_read(reply, "o", &object) > 0);
        CHECK_STR(object, "/org/mgmt/test1/thing/one");

        CHECK(sd_bus_match_signal(bus, NULL, "org.mgmt.test1", "/org/mgmt/test1", NULL, NULL, on_signal, &n_signals) >= 0);
        CHECK(call(bus, "Emit", NULL, NULL) >= 0);
        for (uint64_t end = now_msec() + LIMIT_MSEC; n_signals < 2 && now_msec() < end;)
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, 100000);
        CHECK_INT(n_signals, 2);
        place_done(&p);
}

TEST(a_bus_that_hangs_is_not_fed) {
        Place p;
        uint64_t n_queued = 0;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        REQUIRE(bus);
        CHECK(sd_bus_call_method(bus, "org.mgmt.test1", "/org/mgmt/test1", "org.mgmt.test1.Manager", "Flood", NULL, &reply, "i",
                                 (int32_t) p.bus) >= 0);
        REQUIRE(reply);
        CHECK(sd_bus_message_read(reply, "t", &n_queued) > 0);
        CHECK(n_queued > 0 && n_queued <= 4096);
        place_done(&p);
}

TEST(the_watchdog_is_fed) {
        Place p;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET | WITH_WATCHDOG, "");
        CHECK(wait_notified(&p, "READY=1"));
        for (int i = 0; i < 3; i++) {
                CHECK(wait_notified(&p, "WATCHDOG=1"));
                p.notified_size = 0;
                p.notified[0] = '\0';
        }
        place_done(&p);
}

TEST_IN_TIME(ready_within_milliseconds) {
        Place p;
        uint64_t best = UINT64_MAX, msec;

        if (is_asan())
                TEST_SKIP("not with a sanitizer");
        REQUIRE(place_init(&p));
        start_bus(&p);
        for (int i = 0; i < 5 || (i < 50 && best >= 100); i++) {        /* the machine may be busy */
                uint64_t begin = now_msec();
                start_daemon(&p, WITH_SOCKET, "");
                CHECK(wait_notified(&p, "READY=1"));
                best = MIN(best, now_msec() - begin);
                CHECK_INT(terminate(&p, &msec), 0);
        }
        printf("# the best was ready after %" PRIu64 " ms\n", best);
        CHECK(best < 100);
        place_done(&p);
}

/* ---- stopping ---- */

TEST(a_stuck_daemon_is_gone_within_a_second) {
        static const char *const behaviours[] = { "hang-start", "hang-stop", "hang-method" };

        for (size_t i = 0; i < ELEMENTSOF(behaviours); i++) {
                Place p;
                uint64_t msec;

                REQUIRE(place_init(&p));
                start_bus(&p);
                start_daemon(&p, WITH_SOCKET, behaviours[i]);
                _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
                if (!streq(behaviours[i], "hang-start"))
                        CHECK((bus = wait_name(&p)));
                if (streq(behaviours[i], "hang-method")) {
                        CHECK(sd_bus_call_method_async(bus, NULL, "org.mgmt.test1", "/org/mgmt/test1", "org.mgmt.test1.Manager", "Hang",
                                                       NULL, NULL, NULL) >= 0);
                        CHECK(sd_bus_flush(bus) >= 0);
                }
                if (!streq(behaviours[i], "hang-stop"))
                        CHECK(wait_text(&p, "hanging"));
                CHECK_INT(terminate(&p, &msec), EXIT_FAILURE);
                printf("# gone after %" PRIu64 " ms\n", msec);
                CHECK(msec >= 800);                     /* 900 and what a busy machine adds */
                CHECK(wait_text(&p, "could not stop in time"));
                place_done(&p);
        }
}

TEST_IN_TIME(sigint_and_daemon_exit_end_it_as_well) {
        Place p;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        CHECK(wait_notified(&p, "READY=1"));
        kill(p.daemon, SIGINT);
        CHECK_INT(wait_daemon(&p), 0);

        start_daemon(&p, WITH_SOCKET, "");
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        REQUIRE(bus);
        CHECK(call(bus, "Exit", NULL, "i", 9) >= 0);            /* and the call is still answered */
        CHECK_INT(wait_daemon(&p), 9);

        start_daemon(&p, WITH_SOCKET, "exit-at-start");
        CHECK_INT(wait_daemon(&p), 7);
        start_daemon(&p, WITH_SOCKET, "fail-start");
        CHECK_INT(wait_daemon(&p), EXIT_FAILURE);
        CHECK(strstr(p.text, "cannot start: Invalid cross-device link"));
        CHECK(!strstr(p.notified, "READY=1"));
        place_done(&p);
}

TEST(one_that_cannot_start_may_be_stuck_as_well) {
        Place p;

        REQUIRE(place_init(&p));
        start_daemon(&p, WITH_SOCKET, "fail-start-hang-stop");
        CHECK_INT(wait_daemon(&p), EXIT_FAILURE);
        CHECK(wait_text(&p, "could not stop in time"));
        place_done(&p);
}

/* A set of signals from /proc/…/status, such as "SigIgn". */
static uint64_t signal_set(pid_t pid, const char *name) {
        char path[64], line[256];
        uint64_t set = UINT64_MAX;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (startswith(line, name))
                        set = strtoull(strchr(line, ':') + 1, NULL, 16);
        if (f)
                fclose(f);
        return set;
}

TEST_IN_TIME(what_the_parent_left_does_not_matter) {
        Place p;
        uint64_t msec;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET | BAD_PARENT, "");
        CHECK(wait_notified(&p, "READY=1"));
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        CHECK(bus);

        char link[64], target[64] = "";
        snprintf(link, sizeof(link), "/proc/%d/fd/1", p.daemon);
        CHECK(readlink(link, target, sizeof(target) - 1) > 0);
        CHECK_STR(target, "/dev/null");
        CHECK_INT(signal_set(p.daemon, "SigBlk"), 0);
        CHECK_INT(signal_set(p.daemon, "SigIgn"), 1 << (SIGPIPE - 1));
        CHECK_INT(terminate(&p, &msec), 0);
        place_done(&p);
}

/* ---- sockets ---- */

TEST(wrong_sockets_are_refused) {
        static const struct {
                unsigned how;
                const char *want;
        } wrong[] = {
                { WITH_SOCKET | TWO_SOCKETS, "2 sockets were passed, expected one" },
                { WITH_SOCKET | WRONG_SOCKET, "not a listening local stream socket" },
                { WITH_SOCKET | NO_SOCKET, "cannot take over the sockets that were passed: Bad file descriptor" },
                { BY_SYSTEMD, "no socket was passed: start mgmt-test.socket" },
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                Place p;
                REQUIRE(place_init(&p));
                start_daemon(&p, wrong[i].how, "");
                CHECK_INT(wait_daemon(&p), EXIT_FAILURE);
                CHECK(strstr(p.text, wrong[i].want));
                CHECK(!strstr(p.notified, "READY=1"));
                place_done(&p);
        }
}

TEST_IN_TIME(started_by_hand_it_makes_its_own_socket) {
        Place p;
        struct stat st, again;
        uint64_t msec;

        REQUIRE(place_init(&p));
        for (int round = 0; round < 2; round++) {
                start_daemon(&p, 0, "");
                CHECK(wait_notified(&p, "READY=1"));
                REQUIRE(stat(in_place(&p, "run/test.sock"), &st) == 0);
                CHECK_INT(st.st_mode & 07777, 0600);

                /* a second one does not take it away */
                Place other = p;
                other.output_fd = -EBADF;
                start_daemon(&other, 0, "");
                CHECK_INT(wait_daemon(&other), EXIT_FAILURE);
                CHECK(strstr(other.text, "Address already in use"));
                CHECK(stat(in_place(&p, "run/test.sock"), &again) == 0 && again.st_ino == st.st_ino);
                close(other.output_fd);

                if (round == 0) {               /* killed, it leaves a file behind, which the next one replaces */
                        kill(p.daemon, SIGKILL);
                        CHECK_INT(wait_daemon(&p), 1000 + SIGKILL);
                } else
                        CHECK_INT(terminate(&p, &msec), 0);
        }
        CHECK(stat(in_place(&p, "run/test.sock"), &st) < 0);
        place_done(&p);
}

/* ---- the bus comes and goes ---- */

TEST_IN_TIME(without_a_bus_until_there_is_one) {
        Place p;
        uint64_t msec;

        REQUIRE(place_init(&p));
        start_daemon(&p, WITH_SOCKET, "");
        CHECK(wait_notified(&p, "READY=1"));
        start_bus(&p);
        sd_bus *bus = wait_name(&p);
        CHECK(bus);
        bus = sd_bus_flush_close_unref(bus);

        for (int i = 0; i < 2; i++) {
                stop_bus(&p);
                CHECK(wait_text(&p, "lost the connection to the bus"));
                start_bus(&p);
                bus = wait_name(&p);
                REQUIRE(bus);
                CHECK(call(bus, "Emit", NULL, NULL) >= 0);      /* everything that was exported is back */
                uint32_t number = 0;
                CHECK(sd_bus_get_property_trivial(bus, "org.mgmt.test1", "/org/mgmt/test1/thing/one", "org.mgmt.test1.Thing", "Number",
                                                  NULL, 'u', &number) >= 0);
                bus = sd_bus_flush_close_unref(bus);
        }
        stop_bus(&p);
        CHECK_INT(terminate(&p, &msec), 0);
        place_done(&p);
}

TEST_IN_TIME(a_bus_that_hangs_does_not_keep_us_from_stopping) {
        Place p;
        uint64_t msec;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        sd_bus *bus = wait_name(&p);
        CHECK(bus);
        sd_bus_flush_close_unref(bus);
        kill(p.bus, SIGSTOP);
        CHECK_INT(terminate(&p, &msec), 0);
        place_done(&p);
}

TEST_IN_TIME(a_bus_that_throws_us_out_is_tried_again_with_patience) {
        Place p;
        uint64_t msec;

        REQUIRE(place_init(&p));
        int fd = bind_socket(in_place(&p, "bus"), SOCK_STREAM);
        REQUIRE(fd >= 0);
        start_daemon(&p, WITH_SOCKET, "");
        unsigned n = 0;
        bool ready;
        uint64_t begin = now_msec();
        while (!(ready = strstr(p.notified, "READY=1")) || n < 2 || now_msec() < begin + 1000) {
                if (now_msec() > begin + LIMIT_MSEC)
                        break;
                struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
                if (poll(&poll_fd, 1, 50) > 0) {
                        close(accept(fd, NULL, NULL));
                        n++;
                }
                listen_to_daemon(&p, 0);
        }
        CHECK(ready);
        CHECK(n >= 2 && n <= 6 + (now_msec() - begin) / 1000);
        close(fd);
        CHECK_INT(terminate(&p, &msec), 0);
        place_done(&p);
}

TEST(an_address_that_is_none_is_an_error) {
        Place p;

        REQUIRE(place_init(&p));
        setenv("MGMT_BUS_ADDRESS", "unix:nonsense", 1);
        start_daemon(&p, WITH_SOCKET, "");
        CHECK_INT(wait_daemon(&p), EXIT_FAILURE);
        CHECK(strstr(p.text, "cannot set up the bus"));
        place_done(&p);
}

TEST(a_name_that_is_taken_is_waited_for) {
        Place p;

        REQUIRE(place_init(&p));
        start_bus(&p);
        sd_bus *owner = NULL;
        for (uint64_t end = now_msec() + LIMIT_MSEC; !owner && now_msec() < end; usleep(5000))
                if (bus_open(&owner, NULL, "owner") >= 0 && sd_bus_request_name(owner, "org.mgmt.test1", 0) < 0)
                        owner = sd_bus_flush_close_unref(owner);
        REQUIRE(owner);
        start_daemon(&p, WITH_SOCKET, "");
        CHECK(wait_text(&p, "is taken, waiting for it"));
        owner = sd_bus_flush_close_unref(owner);
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = wait_name(&p);
        REQUIRE(bus);
        CHECK(call(bus, "Emit", NULL, NULL) >= 0);
        place_done(&p);
}

/* ---- idle ---- */

static long context_switches(pid_t pid) {
        char path[64], line[256];
        long n = -1;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        FILE *f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (startswith(line, "voluntary_ctxt_switches:"))
                        n = strtol(strchr(line, ':') + 1, NULL, 10);
        if (f)
                fclose(f);
        return n;
}

/* Only with a bus: while there is none, sd-bus watches the way to its socket, and /tmp is not ours alone. */
TEST(idle_means_no_wake_ups) {
        Place p;

        REQUIRE(place_init(&p));
        start_bus(&p);
        start_daemon(&p, WITH_SOCKET, "");
        CHECK(wait_notified(&p, "READY=1"));
        sd_bus *bus = wait_name(&p);
        CHECK(bus);
        sd_bus_flush_close_unref(bus);
        /* On a busy machine the last of what is under way may come late: there is a second without any. */
        long before, after;
        int i = 0;
        do {
                before = context_switches(p.daemon);
                usleep(1000 * 1000);
                after = context_switches(p.daemon);
        } while (after != before && ++i < 10);
        CHECK(before > 0);
        CHECK_INT(after - before, 0);
        place_done(&p);
}

int main(int argc, char *argv[]) {
        static const char *const variables[] = {
                "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID", "MGMT_LOG_LEVEL", "NOTIFY_SOCKET", "SYSTEMD_EXEC_PID", "WATCHDOG_USEC",
        };

        if (getenv("TEST_DAEMON"))
                return run_daemon(argc, argv);
        for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                unsetenv(variables[i]);
        for (int i = 1; i < _NSIG; i++)         /* whoever starts us in the background ignores some */
                (void) signal(i, SIG_DFL);
        setenv("LSAN_OPTIONS", "print_suppressions=0", 0);
        return test_run(argc, argv);
}
