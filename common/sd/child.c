/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Child processes are born by vfork(): the parent stands still, on shared memory, until the child has called exec, so starting
 * one costs the same however large the daemon is, and a failed exec leaves its errno where the parent finds it. The price is
 * that the child must not touch anything but its own kernel state: launch() below calls system calls only.
 *
 * The end of a child is the end of its process, not of its output: a background process that it left behind may hold the pipe
 * for ever. What the child itself wrote is in the pipe by then, so what is there when it was reaped is read, and no more. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <systemd/sd-event.h>

#include "common/sd/child.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { READ_SIZE = 16 * 1024 };

typedef struct Stream {
        int fd;                         /* our end of the pipe; -EBADF once it ended */
        sd_event_source *source;
} Stream;

struct Child {
        pid_t pid;
        int pidfd;
        sd_event_source *exit_source;
        sd_event_source *grace_source;  /* of a released one: until SIGKILL */
        Stream streams[_CHILD_STREAM_MAX];
        size_t output_max;
        bool whole_group;
        ChildResult result;
        bool reaped;
        bool left_to_loop;              /* freed by its user, not reaped yet */
        bool *freed;                    /* set by child_free(), for the function further up that called the user */
        void (*output)(Child *c, ChildStream stream, const char *data, size_t size, void *userdata);
        child_callback_t callback;
        void *userdata;
};

/* ---- the limit of open files ---- */

static struct rlimit files_limit;       /* as we found it; zero while nothing was changed */

int child_raise_files_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        if (limit.rlim_cur == limit.rlim_max)
                return 0;
        struct rlimit raised = { .rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &raised) < 0)
                return -errno;
        files_limit = limit;
        return 0;
}

/* ---- starting ---- */

typedef enum LaunchStep {
        STEP_PREPARE,
        STEP_IDS,
        STEP_CWD,
        STEP_EXEC,
} LaunchStep;

/* What the child needs, and, after a failure, what it says. */
typedef struct Launch {
        const char *path;
        char *const *argv, *const *env;
        const char *cwd;
        int in, out, err;
        bool changes_ids;
        uid_t uid;
        gid_t gid;
        pid_t parent;

        volatile LaunchStep step;
        volatile int error;
} Launch;

/* Not by glibc, whose versions change all threads, which are not there. */
static int set_ids(uid_t uid, gid_t gid) {
#ifdef SYS_setresuid32
        enum { SETGROUPS = SYS_setgroups32, SETRESUID = SYS_setresuid32, SETRESGID = SYS_setresgid32 };
#else
        enum { SETGROUPS = SYS_setgroups, SETRESUID = SYS_setresuid, SETRESGID = SYS_setresgid };
#endif
        if (syscall(SETGROUPS, 0, NULL) < 0)
                return -1;
        if (gid != (gid_t) -1 && syscall(SETRESGID, gid, gid, gid) < 0)
                return -1;
        return uid != (uid_t) -1 ? (int) syscall(SETRESUID, uid, uid, uid) : 0;
}

/* Handlers must be gone before signals are let in, since they would run on the parent's memory; and ignored signals
 * (SIGPIPE) would stay ignored. */
static int reset_signals(void) {
        static const struct sigaction standard = { .sa_handler = SIG_DFL };
        sigset_t none;

        for (int i = 1; i < _NSIG; i++)
                if (i != SIGKILL && i != SIGSTOP)
                        (void) sigaction(i, &standard, NULL);
        sigemptyset(&none);
        return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int connect_streams(const Launch *l) {
        int in = l->in > 0 ? l->in : open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (in < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(l->out, STDOUT_FILENO) < 0 || dup2(l->err, STDERR_FILENO) < 0)
                return -1;
        return close_range(STDERR_FILENO + 1, ~0U, 0);
}

/* In the child. It dies with us: after a crash, whoever takes our place starts it again, and two would be one too many. */
static _noreturn_ void launch(Launch *l) {
        l->step = STEP_PREPARE;
        if (setpgid(0, 0) < 0 || connect_streams(l) < 0 ||
            (files_limit.rlim_max > 0 && setrlimit(RLIMIT_NOFILE, &files_limit) < 0))
                goto failed;
        l->step = STEP_IDS;
        if (l->changes_ids && set_ids(l->uid, l->gid) < 0)
                goto failed;
        l->step = STEP_CWD;
        if (l->cwd && chdir(l->cwd) < 0)
                goto failed;
        l->step = STEP_PREPARE;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || reset_signals() < 0)
                goto failed;
        if (getppid() != l->parent)
                _exit(EXIT_FAILURE);
        l->step = STEP_EXEC;
        execve(l->path, l->argv, l->env);
failed:
        l->error = -errno;
        _exit(EXIT_FAILURE);
}

/* The pid, or negative errno. */
static pid_t start_process(Launch *l) {
        sigset_t all, saved;

        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &saved);
        pid_t pid = vfork();
        if (pid == 0)
                launch(l);
        int r = pid < 0 ? -errno : l->error;
        (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);

        if (r == 0)
                return pid;
        if (pid > 0)
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        return r;
}

static int launch_error(const Launch *l, int error, const char *program, Diag *reterr) {
        switch (l->step) {
        case STEP_IDS:
                return diag_set(reterr, (Pos) {}, error, "cannot run '%s' as user %d and group %d: %m", program,
                                (int) l->uid, (int) l->gid);
        case STEP_CWD:
                return diag_set(reterr, (Pos) {}, error, "cannot run '%s' in directory '%s': %m", program, l->cwd);
        default:
                return diag_set(reterr, (Pos) {}, error, "cannot run '%s': %m", program);
        }
}

/* Looks for a program the way a shell does, but never in a relative directory. *ret is owned by the caller. */
static int find_program(const char *name, char **ret) {
        const char *path = getenv("PATH"), *next;
        int r = -ENOENT;

        if (strchr(name, '/')) {
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        for (const char *p = path && *path ? path : DEFAULT_PATH; *name && p; p = next) {
                size_t n = strcspn(p, ":");
                next = p[n] ? p + n + 1 : NULL;
                if (p[0] != '/')
                        continue;

                _cleanup_free_ char *candidate = NULL;
                struct stat st;
                if (asprintf(&candidate, "%.*s/%s", (int) n, p, name) < 0) {
                        candidate = NULL;
                        return -ENOMEM;
                }
                if (stat(candidate, &st) < 0 || !S_ISREG(st.st_mode))
                        continue;
                if (faccessat(AT_FDCWD, candidate, X_OK, AT_EACCESS) == 0) {
                        *ret = TAKE_PTR(candidate);
                        return 0;
                }
                r = -errno;
        }
        return r;
}

/* ---- output ---- */

static void keep(ChildResult *result, StrBuf *b, const char *data, size_t size, size_t max) {
        size_t room = max - b->size, n = MIN(size, room);

        strbuf_add(b, data, n);
        strbuf_add(&result->output, data, n);
        if (n < size || b->failed || result->output.failed)
                result->truncated = true;
}

/* False if the user freed the child. */
static bool take_output(Child *c, ChildStream stream, const char *data, size_t size) {
        bool freed = false;

        keep(&c->result, stream == CHILD_STDOUT ? &c->result.out : &c->result.err, data, size, c->output_max);
        if (c->output) {
                c->freed = &freed;
                c->output(c, stream, data, size, c->userdata);
                if (!freed)
                        c->freed = NULL;
        }
        return !freed;
}

/* A source that was left to the loop. */
static sd_event_source *drop_source(sd_event_source *source) {
        if (source)
                (void) sd_event_source_set_floating(source, false);
        return NULL;
}

static void close_stream(const Child *c, Stream *s) {
        s->source = c->left_to_loop ? drop_source(s->source) : sd_event_source_disable_unref(s->source);
        if (s->fd >= 0)
                (void) close(s->fd);
        s->fd = -EBADF;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Child *c = userdata;
        ChildStream stream = fd == c->streams[CHILD_STDOUT].fd ? CHILD_STDOUT : CHILD_STDERR;
        char buffer[READ_SIZE];

        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n > 0)
                (void) take_output(c, stream, buffer, (size_t) n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                close_stream(c, &c->streams[stream]);
        return 0;
}

/* Reads what is in the pipe at this moment. False if the user freed the child. */
static bool drain(Child *c, ChildStream stream) {
        Stream *s = &c->streams[stream];
        char buffer[READ_SIZE];
        int left = 0;

        if (s->fd < 0 || ioctl(s->fd, FIONREAD, &left) < 0)
                return true;
        while (left > 0) {
                ssize_t n = read(s->fd, buffer, MIN((size_t) left, sizeof(buffer)));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                left -= (int) n;
                if (!take_output(c, stream, buffer, (size_t) n))
                        return false;
        }
        close_stream(c, s);
        return true;
}

/* ---- the end ---- */

/* Whether it has ended; then it is reaped, and its number may be given to another process. */
static bool reap(Child *c) {
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) c->pidfd, &info, WEXITED | WNOHANG) < 0) {
                if (errno == EINTR)
                        return false;
                c->result.status = EXIT_FAILURE;        /* somebody took it from us; it is over, but we cannot know how */
        } else if (info.si_pid == 0)
                return false;
        else if (info.si_code == CLD_EXITED)
                c->result.status = info.si_status;
        else
                c->result.signal = info.si_status;
        c->reaped = true;
        return true;
}

static int on_exit_of_child(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Child *c = userdata;

        if (c->whole_group)             /* its number is the group's as long as it is not reaped */
                (void) child_kill(c, SIGKILL);
        if (!reap(c))
                return 0;
        if (c->left_to_loop) {
                for (ChildStream stream = 0; stream < _CHILD_STREAM_MAX; stream++)
                        close_stream(c, &c->streams[stream]);
                c->grace_source = drop_source(c->grace_source);
                (void) drop_source(source);                             /* and c with it */
                return 0;
        }
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        for (ChildStream stream = 0; stream < _CHILD_STREAM_MAX; stream++)
                if (!drain(c, stream))
                        return 0;
        c->callback(c, &c->result, c->userdata);
        return 0;
}

int child_kill(Child *c, int signal) {
        if (c->reaped)
                return -ESRCH;
        return kill(-c->pid, signal) < 0 ? -errno : 0;
}

int child_dismiss(Child *c, int signal) {
        int r = child_kill(c, signal);

        if (r >= 0)
                (void) sd_event_source_set_enabled(c->exit_source, SD_EVENT_OFF);
        return r;
}

void child_hold_output(Child *c, ChildStream stream, bool hold) {
        if (c->streams[stream].source)
                (void) sd_event_source_set_enabled(c->streams[stream].source, hold ? SD_EVENT_OFF : SD_EVENT_ON);
}

pid_t child_pid(const Child *c) {
        return c->pid;
}

static void forget_result(Child *c) {
        strbuf_done(&c->result.output);
        strbuf_done(&c->result.out);
        strbuf_done(&c->result.err);
        c->result = (ChildResult) {};
}

static void child_destroy(void *userdata) {
        Child *c = userdata;

        forget_result(c);
        for (ChildStream stream = 0; stream < _CHILD_STREAM_MAX; stream++)
                closep(&c->streams[stream].fd);
        closep(&c->pidfd);
        free(c);
}

/* The loop's alone from now on. It must not be ours either if the loop itself is freed, so nothing but floating will do. */
static void float_source(sd_event_source *source) {
        if (!source)
                return;
        (void) sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
}

/* A killed process may still take its time (think of a file system that hangs). So the struct stays behind, owned by the
 * source of its exit, until it is reaped. */
static void leave_to_loop(Child *c) {
        c->left_to_loop = true;
        (void) sd_event_source_set_destroy_callback(c->exit_source, child_destroy);
        float_source(c->grace_source);
        for (ChildStream stream = 0; stream < _CHILD_STREAM_MAX; stream++)
                float_source(c->streams[stream].source);
        float_source(c->exit_source);           /* borrowed now: it lives as long as c */
}


Child *child_free(Child *c) {
        if (!c)
                return NULL;

        if (c->freed)
                *c->freed = true;
        for (ChildStream stream = 0; stream < _CHILD_STREAM_MAX; stream++)
                close_stream(c, &c->streams[stream]);
        forget_result(c);

        (void) child_kill(c, SIGKILL);
        if (!c->reaped && !reap(c)) {
                (void) sd_event_source_set_enabled(c->exit_source, SD_EVENT_ON);
                leave_to_loop(c);
                return NULL;
        }
        sd_event_source_disable_unref(c->exit_source);
        child_destroy(c);
        return NULL;
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata) {
        Child *c = userdata;

        (void) child_kill(c, SIGKILL);
        (void) sd_event_source_set_enabled(c->exit_source, SD_EVENT_ON);
        return 0;
}

Child *child_release(Child *c, int signal, uint64_t grace_usec) {
        if (!c || c->reaped || (c->whole_group ? child_kill(c, signal) : child_dismiss(c, signal)) < 0 ||
            sd_event_add_time_relative(sd_event_source_get_event(c->exit_source), &c->grace_source, CLOCK_MONOTONIC, grace_usec, 0,
                                       on_grace_over, c) < 0)
                return child_free(c);

        if (c->freed)
                *c->freed = true;
        c->output = NULL;
        c->output_max = 0;
        forget_result(c);
        leave_to_loop(c);
        return NULL;
}

/* ---- putting it together ---- */

/* Our end of a new pipe goes into the stream, the other into *ret. */
static int open_stream(Child *c, sd_event *event, ChildStream stream, int *ret) {
        Stream *s = &c->streams[stream];
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        s->fd = fds[0];
        *ret = fds[1];
        if (fcntl(s->fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(event, &s->source, s->fd, EPOLLIN, on_output, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(s->source, "child-output");
        return 0;
}

static int watch_exit(Child *c, sd_event *event) {
        int r;

        c->pidfd = pidfd_open(c->pid, 0);
        if (c->pidfd < 0)
                return -errno;
        r = sd_event_add_io(event, &c->exit_source, c->pidfd, EPOLLIN, on_exit_of_child, c);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(c->exit_source, "child-exit");
        return 0;
}

/* Not watched for yet, so nobody else would reap it. */
static void abandon(Child *c) {
        (void) child_kill(c, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        c->reaped = true;
}

int child_start(Child **ret, sd_event *event, const ChildSpec *spec, child_callback_t callback, void *userdata, Diag *reterr) {
        static char *const no_env[] = { NULL };
        _cleanup_close_ int out = -EBADF, err = -EBADF;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!spec->argv || !spec->argv[0])
                return diag_set(reterr, (Pos) {}, -EINVAL, "there is no program to run");
        r = find_program(spec->argv[0], &path);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot run '%s': %m", spec->argv[0]);

        _cleanup_(child_freep) Child *c = calloc(1, sizeof(Child));
        if (!c)
                return -ENOMEM;
        c->pidfd = c->streams[CHILD_STDOUT].fd = c->streams[CHILD_STDERR].fd = -EBADF;
        c->reaped = true;               /* nothing to reap so far */
        c->output_max = spec->output_max;
        c->whole_group = spec->whole_group;
        c->output = spec->output;
        c->callback = callback;
        c->userdata = userdata;

        r = open_stream(c, event, CHILD_STDOUT, &out);
        if (r >= 0)
                r = open_stream(c, event, CHILD_STDERR, &err);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot run '%s': %m", spec->argv[0]);

        Launch l = {
                .path = path,
                .argv = spec->argv,
                .env = spec->env ? spec->env : no_env,
                .cwd = spec->cwd,
                .in = spec->input,
                .out = out,
                .err = err,
                .changes_ids = (spec->uid != (uid_t) -1 && spec->uid != geteuid()) ||
                               (spec->gid != (gid_t) -1 && spec->gid != getegid()),
                .uid = spec->uid,
                .gid = spec->gid,
                .parent = getpid(),
        };
        r = start_process(&l);
        if (r < 0)
                return launch_error(&l, r, spec->argv[0], reterr);
        c->pid = r;
        c->reaped = false;
        r = watch_exit(c, event);
        if (r < 0) {
                abandon(c);
                return diag_set(reterr, (Pos) {}, r, "cannot run '%s': %m", spec->argv[0]);
        }
        *ret = TAKE_PTR(c);
        return 0;
}
