/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The life of a daemon, top to bottom in daemon_main(). Surprising is only the end: SIGTERM is taken by a handler, not by the
 * loop, because it also starts a timer that ends the process hard. So even a daemon that is stuck in a foreign library, or in
 * its own stop(), is gone within a second; nothing it keeps on disk depends on a clean end. */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/paths.h"
#include "common/schema.h"
#include "common/sd/bus-link.h"
#include "common/sd/child.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"

enum {
        STOP_LIMIT_MSEC = 900,
        LISTEN_BACKLOG = 128,
        EMIT_QUEUE_MAX = 4096,  /* messages */
        EXIT_USAGE = 2,
};

enum {
        OPTION_HELP = 1,        /* below 256, where the daemons' own begin */
        OPTION_VERSION,
        OPTION_DESCRIBE_KINDS,
};

/* What daemon_main() keeps for itself around the Daemon that it hands out. */
typedef struct Running {
        Daemon daemon;
        const DaemonSpec *spec;
        char program[64], bus_name[64];
        BusLink *link;
        sd_event_source *stop_source;
        bool started;
        char *created_socket;   /* path of the socket that we made ourselves, to be removed */
} Running;

static Running *running(Daemon *d) {
        return container_of(d, Running, daemon);
}

/* ---- the end ---- */

/* What signal handlers see. */
static int stop_fd = -EBADF;
static timer_t stop_timer;
static volatile sig_atomic_t stop_timer_exists, stopping;

/* Starts the time that is left. Safe in a signal handler; only the first call counts. */
static void limit_stop(void) {
        static const struct itimerspec limit = { .it_value.tv_nsec = STOP_LIMIT_MSEC * 1000L * 1000L };

        if (stopping)
                return;
        stopping = true;
        if (stop_timer_exists)
                (void) timer_settime(stop_timer, 0, &limit, NULL);
}

static void on_stop_signal(int signal) {
        int saved = errno;

        limit_stop();
        (void) eventfd_write(stop_fd, 1);
        errno = saved;
}

static void on_stop_limit(int signal) {
        static const char text[] = "mgmt: could not stop in time, ending hard\n";

        (void) !write(STDERR_FILENO, text, sizeof(text) - 1);
        _exit(EXIT_FAILURE);
}

static int on_stop(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        Running *run = userdata;
        eventfd_t value;

        (void) eventfd_read(fd, &value);
        if (sd_event_get_exit_code(run->daemon.event, NULL) >= 0)
                return 0;       /* on the way already, with a code of its own */
        return sd_event_exit(run->daemon.event, 0);
}

/* From here on SIGTERM and SIGINT end the loop, whether or not it runs already. */
static int catch_signals(Running *run) {
        static const int stop_signals[] = { SIGTERM, SIGINT };
        struct sigevent at_limit = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
        sigset_t none;
        int r;

        stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (stop_fd < 0)
                return -errno;
        r = sd_event_add_io(run->daemon.event, &run->stop_source, stop_fd, EPOLLIN, on_stop, run);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(run->stop_source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        if (timer_create(CLOCK_MONOTONIC, &at_limit, &stop_timer) < 0)
                return -errno;
        stop_timer_exists = true;

        struct sigaction action = { .sa_handler = on_stop_limit };
        if (sigaction(SIGALRM, &action, NULL) < 0)
                return -errno;
        action = (struct sigaction) { .sa_handler = on_stop_signal, .sa_flags = SA_RESTART };
        for (size_t i = 0; i < ELEMENTSOF(stop_signals); i++)
                if (sigaction(stop_signals[i], &action, NULL) < 0)
                        return -errno;
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

void daemon_exit(Daemon *d, int code) {
        limit_stop();
        (void) sd_event_exit(d->event, code);
}

/* ---- what surrounds the process ---- */

/* Undoes what whoever started us may have left: closed standard streams (the next open() would become stdout), ignored or blocked
 * signals. A peer that hangs up is an EPIPE where it is written to. */
static int clean_process(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR);
                if (fd < 0)
                        return -errno;
        } while (fd <= STDERR_FILENO);
        (void) close(fd);

        umask(0022);
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || signal(SIGCHLD, SIG_DFL) == SIG_ERR)
                return -errno;
        return child_raise_files_limit();
}

static int make_state_dir(Daemon *d) {
        _cleanup_free_ char *path = path_state_dir(d->name);
        if (!path)
                return -ENOMEM;

        /* The way there is for everybody, the directory itself is ours. */
        char *slash = strrchr(path, '/');
        if (slash && slash != path) {
                *slash = '\0';
                int r = make_directories(path, 0755);
                if (r < 0)
                        return log_error(r, "cannot create directory '%s': %m", path);
                *slash = '/';
        }
        int r = make_directories(path, 0700);
        if (r < 0)
                return log_error(r, "cannot create state directory '%s': %m", path);
        d->state_dir = TAKE_PTR(path);
        return 0;
}

/* ---- the listening socket ---- */

/* Whether the service manager itself started us: then a missing socket is a mistake in the units. */
static bool started_by_systemd(void) {
        const char *pid = getenv("SYSTEMD_EXEC_PID");
        char ours[16];

        snprintf(ours, sizeof(ours), "%d", getpid());
        return pid && streq(pid, ours);
}

/* A socket file without a listener is what an earlier instance left; one with a listener is somebody's. */
static int remove_stale_socket(const struct sockaddr_un *address) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 || errno == EAGAIN)
                return -EADDRINUSE;
        if (errno != ECONNREFUSED)
                return -errno;
        return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int bind_private(int fd, const struct sockaddr_un *address) {
        mode_t saved = umask(0177);
        int r = bind(fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ? -errno : 0;

        umask(saved);
        return r;
}

/* Started by hand: the same socket, for our own user alone. */
static int create_socket(Running *run) {
        _cleanup_free_ char *path = path_socket(run->daemon.name);
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        if (!path)
                return -ENOMEM;
        if (strlen(path) >= sizeof(address.sun_path))
                return log_error(-ENAMETOOLONG, "path of a socket is too long: '%s'", path);
        memcpy(address.sun_path, path, strlen(path));
        r = make_directories(path_runtime_dir(), 0755);
        if (r < 0)
                return log_error(r, "cannot create directory '%s': %m", path_runtime_dir());

        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return log_error(-errno, "cannot create a socket: %m");
        r = bind_private(fd, &address);
        if (r == -EADDRINUSE) {
                r = remove_stale_socket(&address);
                if (r >= 0)
                        r = bind_private(fd, &address);
        }
        if (r < 0)
                return log_error(r, "cannot listen on '%s': %m", path);
        run->created_socket = TAKE_PTR(path);
        if (listen(fd, LISTEN_BACKLOG) < 0)
                return log_error(-errno, "cannot listen on '%s': %m", run->created_socket);

        run->daemon.listen_fd = TAKE_FD(fd);
        log_info("started by hand, listening on '%s'", run->created_socket);
        return 0;
}

static int find_socket(Running *run) {
        int n = sd_listen_fds(true);

        if (n < 0)
                return log_error(n, "cannot take over the sockets that were passed: %m");
        for (int i = 1; i < n; i++)
                (void) close(SD_LISTEN_FDS_START + i);
        if (n >= 1)
                run->daemon.listen_fd = SD_LISTEN_FDS_START;    /* whatever follows, it is closed at the end */
        if (n > 1)
                return log_error(-EINVAL, "%i sockets were passed, expected one", n);
        if (n == 1) {
                int r = sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0);
                if (r <= 0)
                        return log_error(r < 0 ? r : -EINVAL, "what was passed is not a listening local stream socket");
                return 0;
        }
        if (started_by_systemd())
                return log_error(-ENOTCONN, "no socket was passed: start %s.socket, or let a client do it", run->program);
        return create_socket(run);
}

/* ---- the bus ---- */

int daemon_export(Daemon *d, const char *path, const char *interface, const sd_bus_vtable *vtable, void *userdata) {
        return bus_link_export(running(d)->link,
                               &(BusExport) { .path = path, .interface = interface, .vtable = vtable, .userdata = userdata });
}

int daemon_export_tree(Daemon *d, const char *prefix, const char *interface, const sd_bus_vtable *vtable,
                       sd_bus_object_find_t find, sd_bus_node_enumerator_t enumerate, void *userdata) {
        return bus_link_export(running(d)->link,
                               &(BusExport) { .path = prefix, .interface = interface, .vtable = vtable,
                                              .find = find, .enumerate = enumerate, .userdata = userdata });
}

/* Whether there is a bus that takes signals. One that hangs must not fill our memory with them. */
static bool bus_takes(Daemon *d) {
        uint64_t n_queued;

        return d->bus && sd_bus_is_ready(d->bus) > 0 && sd_bus_get_n_queued_write(d->bus, &n_queued) >= 0 &&
               n_queued < EMIT_QUEUE_MAX;
}

int daemon_emit(Daemon *d, const char *path, const char *interface, const char *member, const char *types, ...) {
        va_list ap;

        if (!bus_takes(d))
                return 0;
        va_start(ap, types);
        int r = sd_bus_emit_signalv(d->bus, path, interface, member, types, ap);
        va_end(ap);
        return r;
}

int daemon_emit_changed(Daemon *d, const char *path, const char *interface, char **properties) {
        if (!bus_takes(d))
                return 0;
        return sd_bus_emit_properties_changed_strv(d->bus, path, interface, properties);
}

/* ---- command line ---- */

static void print_help(const Running *run) {
        printf("Usage: %s [OPTION…]\n"
               "%s\n"
               "\n"
               "  --help               show this help\n"
               "  --version            show the version\n"
               "  --describe-kinds     print the kinds of resources that live here, as JSON\n"
               "%s",
               run->program, run->spec->doc, run->spec->options_help ? run->spec->options_help : "");
}

static int check_kinds(const Running *run) {
        _cleanup_(diag_done) Diag d = {};

        if (run->spec->kinds && resource_types_check(run->spec->kinds, &d) < 0)
                return log_diag(LOG_ERR, &d);
        return 0;
}

/* The build asks for this, so a table that breaks the contract does not build. */
static int describe_kinds(const Running *run) {
        static const ResourceType *const none[] = { NULL };
        int r = check_kinds(run);

        if (r < 0)
                return r;
        r = schema_describe(stdout, run->spec->name, run->spec->kinds ? run->spec->kinds : none);

        if (r >= 0 && fflush(stdout) != 0)
                r = -errno;
        if (r < 0)
                return log_error(r, "cannot describe the kinds: %m");
        return 0;
}

/* Ours and the daemon's in one table, for getopt_long(). */
static struct option *all_options(const DaemonSpec *spec) {
        static const struct option ours[] = {
                { "help", no_argument, NULL, OPTION_HELP },
                { "version", no_argument, NULL, OPTION_VERSION },
                { "describe-kinds", no_argument, NULL, OPTION_DESCRIBE_KINDS },
        };
        size_t n = 0;

        while (spec->options && spec->options[n].name)
                n++;
        struct option *all = calloc(ELEMENTSOF(ours) + n + 1, sizeof(struct option));
        if (!all)
                return NULL;
        memcpy(all, ours, sizeof(ours));
        if (n > 0)
                memcpy(all + ELEMENTSOF(ours), spec->options, n * sizeof(struct option));
        return all;
}

/* Negative: go on; else this is the result of main(). */
static int parse_options(Running *run, int argc, char *argv[]) {
        _cleanup_free_ struct option *options = all_options(run->spec);
        int value;

        if (!options)
                return EXIT_FAILURE;
        while ((value = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (value) {
                case OPTION_HELP:
                        print_help(run);
                        return 0;
                case OPTION_VERSION:
                        printf("%s %s\n", run->program, MGMT_VERSION);
                        return 0;
                case OPTION_DESCRIBE_KINDS:
                        return describe_kinds(run) < 0 ? EXIT_FAILURE : 0;
                case '?':
                        fprintf(stderr, "Try '%s --help'.\n", run->program);
                        return EXIT_USAGE;
                default: {
                        int r = run->spec->option(&run->daemon, value, optarg);
                        if (r < 0) {
                                errno = -r;
                                fprintf(stderr, "%s: %s: %m\n", run->program, argv[optind - 1]);
                                return EXIT_USAGE;
                        }
                }
                }
        if (optind < argc) {
                fprintf(stderr, "%s: unexpected argument '%s'\nTry '%s --help'.\n", run->program, argv[optind], run->program);
                return EXIT_USAGE;
        }
        return -1;
}

/* ---- the life ---- */

/* Everything that comes before the daemon's own. Failures are logged here. */
static int prepare(Running *run) {
        Daemon *d = &run->daemon;
        int r;

        r = clean_process();
        if (r < 0)
                return log_error(r, "cannot set up the process: %m");
        log_open(run->program);
        r = find_socket(run);           /* before anything else could get its number */
        if (r < 0)
                return r;
        r = check_kinds(run);
        if (r < 0)
                return r;
        r = sd_event_new(&d->event);
        if (r < 0)
                return log_error(r, "cannot create the event loop: %m");
        r = catch_signals(run);
        if (r < 0)
                return log_error(r, "cannot set up signals: %m");
        r = sd_event_set_watchdog(d->event, true);
        if (r < 0)
                return log_error(r, "cannot set up the watchdog: %m");
        r = make_state_dir(d);
        if (r < 0)
                return r;
        r = bus_link_new(&run->link, d->event, run->program, run->bus_name, &d->bus);
        if (r < 0)
                return log_error(r, "cannot set up the bus: %m");
        return 0;
}

static int live(Running *run) {
        Daemon *d = &run->daemon;
        int r;

        run->started = true;
        r = run->spec->start(d);
        if (r < 0) {
                if (r != -ECANCELED)
                        (void) log_error(r, "cannot start: %m");
                return r;
        }
        (void) sd_notify(false, "READY=1");
        log_debug("ready");
        r = sd_event_loop(d->event);
        if (r < 0)
                (void) log_error(r, "the event loop failed: %m");
        return r;
}

static void finish(Running *run) {
        Daemon *d = &run->daemon;

        limit_stop();
        (void) sd_notify(false, "STOPPING=1");
        if (run->started)
                run->spec->stop(d);
        if (d->listen_fd >= 0)
                (void) close(d->listen_fd);
        if (run->created_socket)
                (void) unlink(run->created_socket);
        free(run->created_socket);
        run->link = bus_link_free(run->link);   /* last, since a bus that hangs may take the time that is left */
        free(d->state_dir);
        sd_event_source_disable_unref(run->stop_source);
        sd_event_unref(d->event);
        if (stop_timer_exists)
                (void) timer_delete(stop_timer);
        log_debug("stopped");
}

int daemon_main(const DaemonSpec *spec, int argc, char *argv[]) {
        Running run = { .spec = spec, .daemon = { .name = spec->name, .listen_fd = -EBADF } };
        int r;

        snprintf(run.program, sizeof(run.program), "mgmt-%s", spec->name);
        snprintf(run.bus_name, sizeof(run.bus_name), "org.mgmt.%s1", spec->name);
        r = parse_options(&run, argc, argv);
        if (r >= 0)
                return r;

        r = prepare(&run);
        if (r >= 0)
                r = live(&run);
        finish(&run);
        return r < 0 ? EXIT_FAILURE : r;
}
