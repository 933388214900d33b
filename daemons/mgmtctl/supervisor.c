/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What systemd does for the installed daemons, in one process and for the time of one command. Services are a table; each has
 * a listening socket that is made before anything runs, so there is no order of starting and nobody waits for readiness: a
 * connect is queued by the kernel until the service takes it. The bus is one of the services: dbus-daemon takes its socket by
 * the same protocol.
 *
 * Nothing may be left behind, however this ends. A regular end stops the services and then whatever they left running: we are
 * the subreaper, so orphans of a daemon that crashed come to us. If we are killed, the kernel sends SIGTERM to the services
 * (PR_SET_PDEATHSIG); only the directory stays then, and the next run removes it: a directory whose lock nobody holds is
 * dead. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <systemd/sd-event.h>

#include "common/field.h"
#include "common/io.h"
#include "common/paths.h"
#include "common/sd/orphans.h"
#include "daemons/mgmtctl/supervisor.h"

#define DIRECTORY_PREFIX "mgmt-run-"

enum {
        SUFFIX_SIZE = 6,                                /* of a private directory's name, as mkdtemp() makes it */
        FD_LISTEN = 3,                                  /* SD_LISTEN_FDS_START */
        STOP_USEC = 700 * 1000,                         /* from SIGTERM to SIGKILL */
        CRASH_USEC = 1000 * 1000,                       /* a life shorter than this is a crash that slows the next start */
        RESTART_DELAY_USEC = 25 * 1000,                 /* after the second crash in a row; it doubles each time … */
        RESTART_DELAY_MAX_USEC = 2 * 1000 * 1000,       /* … up to this */
        REFUSALS_MAX = 5,                               /* exits with an error in a row before we give up */
        ARGUMENTS_MAX = 24,
        LAST_WORDS_MAX = 2000,                          /* bytes */
        ORPHAN_MSEC = 100,                              /* how long an orphan that was killed may take to go */
};

typedef struct ServiceType {
        const char *name;
        bool bus;               /* dbus-daemon: it ends last, and is needed all the time */
} ServiceType;

static const ServiceType service_types[] = {
        { "bus", .bus = true },
        { "engine" },
        { "http" },
        { "lang" },
        { "virt" },
        { "world" },
};

typedef struct Service {
        const ServiceType *type;
        Supervisor *supervisor;
        char *program;          /* path */
        char *arguments[ARGUMENTS_MAX];         /* NULL-terminated, without the program */
        size_t n_arguments;
        char *state_dir;        /* made when it starts; NULL for the bus */
        int listen_fd;
        sd_event_source *listen_source;         /* a connect waits; off while the service runs */
        sd_event_source *restart_source;        /* the delay before it is started again */
        bool wanted;            /* runs without anybody connecting */
        pid_t pid;              /* 0 if it does not run */
        int pidfd;
        sd_event_source *exit_source;
        uint64_t start_usec;
        unsigned n_crashes, n_refusals;         /* in a row */
} Service;

struct Supervisor {
        sd_event *event;
        const SupervisorOps *ops;
        void *userdata;
        char *directory;
        int directory_fd;       /* holds the lock that says that we live */
        char *bus_address;
        sd_event_source *child_source, *stop_source;
        bool stopping, bus_stopping;
        Service services[ELEMENTSOF(service_types)];
};

static Service *service_find(Supervisor *s, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++)
                if (streq(s->services[i].type->name, name))
                        return &s->services[i];
        return NULL;
}

/* ---- the private directory ---- */

/* It will be removed, so it must be one of ours beyond doubt: by its name, its owner, its mode and what is in it. */
static bool directory_is_dead(int parent_fd, const char *name) {
        const char *suffix = startswith(name, DIRECTORY_PREFIX);
        struct stat st;

        if (!suffix || strlen(suffix) != SUFFIX_SIZE)
                return false;
        _cleanup_close_ int fd = openat(parent_fd, name, O_RDONLY|O_DIRECTORY|O_CLOEXEC|O_NOFOLLOW);
        return fd >= 0 && fstat(fd, &st) >= 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == 0700 &&
                faccessat(fd, "bus.conf", F_OK, AT_SYMLINK_NOFOLLOW) >= 0 &&
                faccessat(fd, "bus.sock", F_OK, AT_SYMLINK_NOFOLLOW) >= 0 &&
                flock(fd, LOCK_EX|LOCK_NB) >= 0;
}

static void remove_dead_directories(const char *parent) {
        DIR *d = opendir(parent);
        if (!d)
                return;

        for (struct dirent *e; (e = readdir(d));) {
                _cleanup_free_ char *path = NULL;

                if (directory_is_dead(dirfd(d), e->d_name) &&
                    asprintf(&path, "%s/%s", parent, e->d_name) >= 0)
                        (void) remove_tree(path);
        }
        (void) closedir(d);
}

/* It gets its lock before it gets the name that others look for. */
static int make_directory(Supervisor *s, Diag *reterr) {
        const char *parent = getenv("XDG_RUNTIME_DIR");
        _cleanup_free_ char *temporary = NULL;

        if (!parent || parent[0] != '/' || access(parent, W_OK) < 0)
                parent = getenv("TMPDIR");
        if (!parent || parent[0] != '/')
                parent = "/tmp";
        remove_dead_directories(parent);

        if (asprintf(&temporary, "%s/.mgmt-new-XXXXXX", parent) < 0)
                return -ENOMEM;
        if (!mkdtemp(temporary))
                return diag_set(reterr, (Pos) {}, -errno, "cannot make a private directory in '%s': %m", parent);

        s->directory_fd = open(temporary, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        if (s->directory_fd < 0 || flock(s->directory_fd, LOCK_EX|LOCK_NB) < 0)
                goto fail;
        if (asprintf(&s->directory, "%s/" DIRECTORY_PREFIX "%s", parent,
                     temporary + strlen(temporary) - SUFFIX_SIZE) < 0) {
                s->directory = NULL;
                errno = ENOMEM;
                goto fail;
        }
        if (rename(temporary, s->directory) < 0) {
                free(TAKE_PTR(s->directory));
                goto fail;
        }
        return 0;

fail:
        diag_set(reterr, (Pos) {}, -errno, "cannot use the private directory '%s': %m", temporary);
        (void) rmdir(temporary);
        return -ECANCELED;
}

static int make_socket(Supervisor *s, Service *v, Diag *reterr) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", s->directory, v->type->name);

        if (n < 0 || (size_t) n >= sizeof(address.sun_path))
                return diag_set(reterr, (Pos) {}, -ENAMETOOLONG, "'%s' is too long for sockets, set TMPDIR to a shorter one", s->directory);
        v->listen_fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0);
        if (v->listen_fd < 0 || bind(v->listen_fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(v->listen_fd, SOMAXCONN) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot listen on '%s': %m", address.sun_path);
        return 0;
}

/* Everybody who gets at the socket is us: the directory is private. */
static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig>\n"
        "  <listen>systemd:</listen>\n"
        "  <auth>EXTERNAL</auth>\n"
        "  <policy context=\"default\">\n"
        "    <allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
        "    <allow eavesdrop=\"true\"/>\n"
        "    <allow own=\"*\"/>\n"
        "  </policy>\n"
        "  <limit name=\"max_match_rules_per_connection\">65536</limit>\n"
        "</busconfig>\n";

static int write_bus_config(Supervisor *s, Diag *reterr) {
        _cleanup_close_ int fd = openat(s->directory_fd, "bus.conf", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
        int r = fd < 0 ? -errno : write_all(fd, bus_config, strlen(bus_config));

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot write '%s/bus.conf': %m", s->directory);
        return 0;
}

/* ---- starting ---- */

static int service_open_log(const Service *v, int flags) {
        char name[32];

        (void) snprintf(name, sizeof(name), "%s.log", v->type->name);
        return openat(v->supervisor->directory_fd, name, flags|O_CLOEXEC, 0600);
}

/* Whoever sets a level wants to see it. The bus says more than anybody wants to hear. */
static bool log_is_wanted(const Service *v) {
        return getenv("MGMT_LOG_LEVEL") && !v->type->bus;
}

/* The last lines it wrote. The caller's; NULL if there are none. */
static char *service_last_words(const Service *v) {
        char tail[LAST_WORDS_MAX + 1];
        _cleanup_close_ int fd = log_is_wanted(v) ? -EBADF : service_open_log(v, O_RDONLY);
        off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
        ssize_t n = end <= 0 ? -1 : pread(fd, tail, LAST_WORDS_MAX, MAX(end - LAST_WORDS_MAX, 0));

        while (n > 0 && tail[n - 1] == '\n')
                n--;
        if (n <= 0)
                return NULL;
        tail[n] = '\0';
        const char *first = end > LAST_WORDS_MAX ? strchr(tail, '\n') : NULL;
        return strdup(first ? first + 1 : tail);
}

/* What a service is started with. The child borrows our memory until it is another program, so all of it is made beforehand. */
typedef struct Launch {
        const Service *service;
        char *argv[ARGUMENTS_MAX + 2];
        char **env;
        char *listen_pid;       /* in env; the child knows what belongs there */
        pid_t parent;
} Launch;

static void launch_done(Launch *l) {
        strv_free(l->env);
}

static bool is_variable(const char *variable, const char *name) {
        const char *value = startswith(variable, name);

        return value && *value == '=';
}

#define LISTEN_PID_ROOM "           "

/* Our environment, but for what we say ourselves, or what somebody said to us alone. */
static int make_environment(Launch *l) {
        const Service *v = l->service;
        const Supervisor *s = v->supervisor;
        const struct { const char *name, *value; } ours[] = {
                { "LISTEN_PID", LISTEN_PID_ROOM },
                { "LISTEN_FDS", "1" },
                { "LISTEN_FDNAMES", v->type->name },
                { "MGMT_RUNTIME_DIR", s->directory },
                { "MGMT_BUS_ADDRESS", s->bus_address },
                { "MGMT_LOG_LEVEL", getenv("MGMT_LOG_LEVEL") ?: "warning" },
                { "STATE_DIRECTORY", v->state_dir },
                { "NOTIFY_SOCKET" }, { "WATCHDOG_USEC" }, { "WATCHDOG_PID" }, { "INVOCATION_ID" }, { "JOURNAL_STREAM" },
        };
        size_t n = 0;

        l->env = calloc(strv_count(environ) + ELEMENTSOF(ours) + 1, sizeof(char *));
        if (!l->env)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(ours); i++)
                if (ours[i].value && asprintf(&l->env[n++], "%s=%s", ours[i].name, ours[i].value) < 0) {
                        l->env[n - 1] = NULL;
                        return -ENOMEM;
                }
        l->listen_pid = strchr(l->env[0], '=') + 1;
        for (char **e = environ; e && *e; e++) {
                size_t i = 0;
                while (i < ELEMENTSOF(ours) && !is_variable(*e, ours[i].name))
                        i++;
                if (i == ELEMENTSOF(ours) && !(l->env[n++] = strdup(*e)))
                        return -ENOMEM;
        }
        return 0;
}

static int launch_init(Launch *l, const Service *v) {
        *l = (Launch) { .service = v, .argv = { v->program }, .parent = getpid() };
        memcpy(l->argv + 1, v->arguments, v->n_arguments * sizeof(char *));
        return make_environment(l);
}

/* In the child. */
static _noreturn_ void launch(const Launch *l) {
        const Service *v = l->service;
        sigset_t none;

        /* A session of its own: the terminal's Ctrl-C is for us, we pass it on as we see fit. */
        if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != l->parent)
                _exit(EXIT_FAILURE);

        /* What matters is on the event stream; the rest is for whoever looks for the reason of a failure. */
        int null = open("/dev/null", O_RDONLY|O_CLOEXEC);
        int log = log_is_wanted(v) ? STDERR_FILENO : service_open_log(v, O_WRONLY|O_CREAT|O_APPEND);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || log < 0 || dup2(log, STDERR_FILENO) < 0 ||
            dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
                _exit(EXIT_FAILURE);

        /* dup2() clears the flag that would close it, unless it is there already. */
        if (v->listen_fd == FD_LISTEN ? fcntl(FD_LISTEN, F_SETFD, 0) < 0 : dup2(v->listen_fd, FD_LISTEN) < 0)
                _exit(EXIT_FAILURE);
        if (close_range(FD_LISTEN + 1, ~0U, 0) < 0)
                _exit(EXIT_FAILURE);

        (void) snprintf(l->listen_pid, sizeof(LISTEN_PID_ROOM), "%d", (int) getpid());
        (void) signal(SIGPIPE, SIG_DFL);
        sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        execve(v->program, l->argv, l->env);
        dprintf(STDERR_FILENO, "%s: %s\n", v->program, strerrordesc_np(errno));
        _exit(127);
}

static int on_service_exit(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int service_start(Service *v, Diag *reterr) {
        Supervisor *s = v->supervisor;
        _cleanup_(launch_done) Launch l = {};
        int r;

        if (v->pid > 0 || s->stopping)
                return 0;
        v->restart_source = sd_event_source_disable_unref(v->restart_source);
        v->listen_source = sd_event_source_disable_unref(v->listen_source);
        r = v->state_dir ? make_directories(v->state_dir, 0700) : 0;
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot make the directory '%s': %m", v->state_dir);

        r = launch_init(&l, v);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot start %s: %m", v->program);

        pid_t pid = vfork();
        if (pid < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot start %s: %m", v->program);
        if (pid == 0)
                launch(&l);

        v->pid = pid;
        (void) sd_event_now(s->event, CLOCK_MONOTONIC, &v->start_usec);
        v->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        r = v->pidfd < 0 ? -errno : sd_event_add_io(s->event, &v->exit_source, v->pidfd, EPOLLIN, on_service_exit, v);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                v->pid = 0;
                if (v->pidfd >= 0)
                        (void) close(TAKE_FD(v->pidfd));
                return diag_set(reterr, (Pos) {}, r, "cannot watch %s: %m", v->program);
        }
        return 0;
}

static void service_fail(Service *v, const char *how) {
        Supervisor *s = v->supervisor;

        if (!s->stopping)
                s->ops->failed(s, v->type->name, how, s->userdata);
}

static void service_start_or_fail(Service *v) {
        _cleanup_(diag_done) Diag d = {};

        if (service_start(v, &d) < 0)
                service_fail(v, d.message ?: "out of memory");
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        service_start_or_fail(userdata);
        return 0;
}

static int on_restart(sd_event_source *source, uint64_t usec, void *userdata) {
        service_start_or_fail(userdata);
        return 0;
}

/* It does not run: the next connect starts it. */
static void service_listen(Service *v) {
        Supervisor *s = v->supervisor;
        int r = sd_event_add_io(s->event, &v->listen_source, v->listen_fd, EPOLLIN, on_connect, v);

        if (r < 0)
                service_fail(v, strerrordesc_np(-r));
}

/* ---- ending ---- */

static bool is_service(pid_t pid, void *userdata) {
        const Supervisor *s = userdata;

        for (size_t i = 0; i < ELEMENTSOF(s->services); i++)
                if (s->services[i].pid == pid)
                        return true;
        return false;
}

/* Children that are not services: what a daemon that crashed has left behind. (The live ones look after their own.) */
static void reap_orphans(Supervisor *s, bool kill_them, bool wait_for_them) {
        (void) orphans_reap(&(OrphanSpec) { .is_ours = is_service, .userdata = s, .kill = kill_them,
                                            .wait_msec = wait_for_them ? ORPHAN_MSEC : 0 });
}

static int on_child(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        reap_orphans(userdata, false, false);
        return 0;
}

static void kill_services(Supervisor *s, int signal) {
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++) {
                Service *v = &s->services[i];

                if (v->pid > 0 && (!v->type->bus || s->bus_stopping))
                        (void) kill(v->pid, signal);
        }
}

static bool anything_runs(const Supervisor *s, bool bus_too) {
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++)
                if (s->services[i].pid > 0 && (bus_too || !s->services[i].type->bus))
                        return true;
        return false;
}

static void stop_goes_on(Supervisor *s) {
        if (anything_runs(s, false))
                return;
        if (!s->bus_stopping) {
                s->bus_stopping = true;
                kill_services(s, SIGKILL);      /* it has nothing to tell anybody any more */
        }
        if (anything_runs(s, true))
                return;
        s->stop_source = sd_event_source_disable_unref(s->stop_source);
        s->ops->stopped(s, s->userdata);
}

static uint64_t restart_delay(unsigned n_crashes) {
        uint64_t delay = n_crashes < 2 ? 0 : RESTART_DELAY_USEC;

        for (unsigned i = 2; i < n_crashes && delay < RESTART_DELAY_MAX_USEC; i++)
                delay *= 2;
        return MIN(delay, (uint64_t) RESTART_DELAY_MAX_USEC);
}

/* One that ended well sleeps until somebody connects, unless it is wanted anyway. */
static void service_ended(Service *v, const siginfo_t *info) {
        Supervisor *s = v->supervisor;
        bool killed = info->si_code != CLD_EXITED, well = !killed && info->si_status == 0;
        _cleanup_free_ char *how = NULL;
        uint64_t now = 0;
        int r;

        if ((killed ? asprintf(&how, "was ended by SIG%s", sigabbrev_np(info->si_status) ?: "?")
                    : asprintf(&how, "exited with status %d", info->si_status)) < 0)
                how = NULL;
        (void) sd_event_now(s->event, CLOCK_MONOTONIC, &now);
        v->n_crashes = now - v->start_usec < CRASH_USEC ? v->n_crashes + 1 : 1;
        v->n_refusals = killed || well ? 0 : v->n_refusals + 1;
        if (v->n_refusals >= REFUSALS_MAX) {
                _cleanup_free_ char *words = service_last_words(v), *text = NULL;

                if (asprintf(&text, "%s%s%s", how ?: "ended", words ? ":\n" : "", words ?: "") < 0)
                        text = NULL;
                service_fail(v, text ?: "ended");
                return;
        }
        if (!well)
                s->ops->died(s, v->type->name, how ?: "ended", s->userdata);

        if (!v->wanted) {
                service_listen(v);
                return;
        }
        r = sd_event_add_time_relative(s->event, &v->restart_source, CLOCK_MONOTONIC, restart_delay(v->n_crashes), 0, on_restart, v);
        if (r < 0)
                service_fail(v, strerrordesc_np(-r));
}

static int on_service_exit(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Service *v = userdata;
        Supervisor *s = v->supervisor;
        siginfo_t info = {};

        if (waitid(P_PID, v->pid, &info, WEXITED|WNOHANG) < 0 || info.si_pid == 0)
                return 0;
        v->pid = 0;
        v->exit_source = sd_event_source_disable_unref(v->exit_source);
        (void) close(TAKE_FD(v->pidfd));
        reap_orphans(s, info.si_code != CLD_EXITED, false);

        if (s->stopping)
                stop_goes_on(s);
        else
                service_ended(v, &info);
        return 0;
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        supervisor_kill(userdata);
        return 0;
}

void supervisor_stop(Supervisor *s) {
        if (s->stopping)
                return;
        s->stopping = true;
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++) {
                Service *v = &s->services[i];

                v->listen_source = sd_event_source_disable_unref(v->listen_source);
                v->restart_source = sd_event_source_disable_unref(v->restart_source);
        }
        if (sd_event_add_time_relative(s->event, &s->stop_source, CLOCK_MONOTONIC, STOP_USEC, 1, on_stop_timeout, s) < 0)
                kill_services(s, SIGKILL);
        else
                kill_services(s, SIGTERM);
        stop_goes_on(s);
}

void supervisor_kill(Supervisor *s) {
        kill_services(s, SIGKILL);
}

/* ---- life ---- */

static int make_service(Supervisor *s, size_t i, const char *prefix, Diag *reterr) {
        Service *v = &s->services[i];
        const char *name = v->type->name;

        if (v->type->bus) {
                const char *const arguments[] = { "--nofork", "--nopidfile", "--nosyslog" };

                v->program = strdup("/usr/bin/dbus-daemon");
                for (size_t k = 0; k < ELEMENTSOF(arguments); k++)
                        if (supervisor_add_argument(s, name, "%s", arguments[k]) < 0)
                                return -ENOMEM;
                if (supervisor_add_argument(s, name, "--config-file=%s/bus.conf", s->directory) < 0)
                        return -ENOMEM;
        } else {
                v->program = path_daemon(name);
                if (asprintf(&v->state_dir, "%s/%s%s", prefix ?: s->directory, prefix ? "" : "state-", name) < 0) {
                        v->state_dir = NULL;
                        return -ENOMEM;
                }
        }
        if (!v->program)
                return -ENOMEM;
        if (access(v->program, X_OK) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot execute '%s': %m", v->program);
        return make_socket(s, v, reterr);
}

int supervisor_new(Supervisor **ret, sd_event *event, const char *prefix, const SupervisorOps *ops, void *userdata, Diag *reterr) {
        int r;

        _cleanup_(supervisor_freep) Supervisor *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (Supervisor) { .event = sd_event_ref(event), .ops = ops, .userdata = userdata, .directory_fd = -EBADF };
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++)
                s->services[i] = (Service) { .type = &service_types[i], .supervisor = s, .listen_fd = -EBADF, .pidfd = -EBADF };

        /* The loop wants the signal blocked. */
        sigset_t child;
        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || sigprocmask(SIG_BLOCK, &child, NULL) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot look after processes: %m");
        r = sd_event_add_signal(event, &s->child_source, SIGCHLD, on_child, s);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot look after processes: %m");

        r = make_directory(s, reterr);
        if (r < 0)
                return r;
        if (asprintf(&s->bus_address, "unix:path=%s/bus.sock", s->directory) < 0) {
                s->bus_address = NULL;
                return -ENOMEM;
        }
        r = write_bus_config(s, reterr);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++) {
                r = make_service(s, i, prefix, reterr);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < ELEMENTSOF(s->services); i++)
                if (!s->services[i].type->bus)
                        service_listen(&s->services[i]);
        r = supervisor_start(s, "bus", reterr);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(s);
        return 0;
}

Supervisor *supervisor_free(Supervisor *s) {
        if (!s)
                return NULL;

        for (size_t i = 0; i < ELEMENTSOF(s->services); i++) {
                Service *v = &s->services[i];

                sd_event_source_disable_unref(v->listen_source);
                sd_event_source_disable_unref(v->restart_source);
                sd_event_source_disable_unref(v->exit_source);
                if (v->pid > 0) {
                        (void) kill(v->pid, SIGKILL);
                        (void) waitpid(v->pid, NULL, 0);
                        v->pid = 0;
                }
                closep(&v->pidfd);
                closep(&v->listen_fd);
                free(v->program);
                free(v->state_dir);
                for (size_t k = 0; k < v->n_arguments; k++)
                        free(v->arguments[k]);
        }
        /* Those that the orphans leave behind are ours only after them. */
        for (unsigned i = 0; i < 3; i++)
                reap_orphans(s, true, true);
        sd_event_source_disable_unref(s->child_source);
        sd_event_source_disable_unref(s->stop_source);
        if (s->directory)
                (void) remove_tree(s->directory);
        closep(&s->directory_fd);
        free(s->directory);
        free(s->bus_address);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}

int supervisor_add_argument(Supervisor *s, const char *service, const char *format, ...) {
        Service *v = service_find(s, service);
        va_list ap;

        if (v->n_arguments >= ARGUMENTS_MAX)
                return -E2BIG;
        va_start(ap, format);
        int r = vasprintf(&v->arguments[v->n_arguments], format, ap);
        va_end(ap);
        if (r < 0) {
                v->arguments[v->n_arguments] = NULL;
                return -ENOMEM;
        }
        v->n_arguments++;
        return 0;
}

int supervisor_start(Supervisor *s, const char *service, Diag *reterr) {
        Service *v = service_find(s, service);

        v->wanted = true;
        return service_start(v, reterr);
}

const char *supervisor_directory(const Supervisor *s) {
        return s->directory;
}

const char *supervisor_bus_address(const Supervisor *s) {
        return s->bus_address;
}
