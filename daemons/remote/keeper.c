/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See keeper.h. The first process reads, forks and waits for one line: the second says in it why it does not run, or nothing. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/remote/frame.h"
#include "common/sd/orphans.h"
#include "common/sd/signals.h"
#include "daemons/remote/keeper.h"
#include "daemons/remote/launch.h"
#include "daemons/remote/lock.h"

enum {
        LOG_SIZE_MAX = 1024 * 1024,     /* then it begins anew */
        PROBLEM_MAX = 1024,
        ORPHANS_MSEC = 1500,
        ORPHANS_ROUNDS = 5,
};

#define STOP_USEC (UINT64_C(5000) * 1000)       /* from the signal to the end by force */

typedef struct Keeper {
        sd_event *event;
        Child *child;
        int log;
        size_t log_size;
} Keeper;

static void write_log(Keeper *k, const char *data, size_t size) {
        if (k->log_size + size > LOG_SIZE_MAX && ftruncate(k->log, 0) == 0)
                k->log_size = 0;
        (void) write_all(k->log, data, size);           /* a full disk must not end what runs */
        k->log_size += size;
}

static void on_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        write_log(userdata, data, size);
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        Keeper *k = userdata;
        char line[64];
        int n = result->signal ? snprintf(line, sizeof(line), "mgmtctl was ended by SIG%s\n", sigabbrev_np(result->signal) ?: "?")
                               : snprintf(line, sizeof(line), "mgmtctl has ended with status %d\n", result->status);

        write_log(k, line, (size_t) n);
        k->child = child_free(k->child);
        (void) sd_event_exit(k->event, 0);
}

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata) {
        Keeper *k = userdata;

        return sd_event_exit(k->event, 0);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Keeper *k = userdata;

        if (!k->child || child_kill(k->child, SIGINT) < 0 ||
            sd_event_add_time_relative(k->event, NULL, CLOCK_MONOTONIC, STOP_USEC, 1000, on_limit, k) < 0)
                return sd_event_exit(k->event, 0);
        return 0;
}

static int start(Keeper *k, const char *directory, const StrBuf *said, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        int r = lock_take(directory);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, r == -EBUSY ? "another mgmt runs in '%s'" : "cannot lock '%s': %m", directory);
        if (asprintf(&path, "%s/mgmt.log", directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k->log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (k->log < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot write '%s': %m", path);
        r = prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : sd_event_new(&k->event);
        if (r >= 0)
                r = signals_watch_end(k->event, on_signal, k);
        if (r < 0)
                return r;
        return launch(&k->child, k->event, &(LaunchSpec) { .directory = directory, .start = said->data, .size = said->size,
                                                           .output = on_output, .ended = on_end, .userdata = k }, reterr);
}

static void keeper_done(Keeper *k) {
        child_free(k->child);
        for (unsigned i = 0; i < ORPHANS_ROUNDS; i++)
                if (orphans_reap(&(OrphanSpec) { .grace_msec = ORPHANS_MSEC, .kill = true, .wait_msec = 100 }) == 0)
                        break;
        sd_event_unref(k->event);
        closep(&k->log);
}

/* Nobody holds on to the session that has started us, nor does it hold on to us. */
static int leave_session(const char *directory) {
        _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || setsid() < 0 || chdir(directory) < 0)
                return -errno;
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(null, fd) < 0)
                        return -errno;
        return 0;
}

static void keep(const char *directory, bool removes, const StrBuf *said, int problem_fd) {
        _cleanup_(diag_done) Diag d = {};
        Keeper k = { .log = -EBADF };
        int r = leave_session(directory);

        if (r >= 0)
                r = start(&k, directory, said, &d);
        if (r < 0) {
                const char *text = d.message ?: strerrordesc_np(-r);

                (void) write_all(problem_fd, text, strlen(text));
        }
        (void) close(problem_fd);
        if (r >= 0)
                (void) sd_event_loop(k.event);
        keeper_done(&k);
        if (r != -EBUSY)
                (void) keeper_clean(directory, removes);
}

int keeper_clean(const char *directory, bool removes) {
        static const char *const names[] = { "credentials", "store.sock" };
        int r = 0;

        if (removes)
                return remove_tree(directory);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", directory, names[i]) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = remove_tree(path);
        }
        return r;
}

int keeper_clean_idle(const char *directory, bool removes) {
        _cleanup_close_ int pidfd = -EBADF;
        int r = lock_holder(directory, &pidfd);

        return r != 0 ? r : keeper_clean(directory, removes);
}

/* What comes until its end; a failure if that is nothing, or too much. */
static int read_whole(int fd, StrBuf *b, size_t limit) {
        char data[4096];

        for (;;) {
                ssize_t n = read(fd, data, sizeof(data));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return b->failed ? -ENOMEM : 0;
                if (b->size + (size_t) n > limit)
                        return -E2BIG;
                strbuf_add(b, data, (size_t) n);
        }
}

int keeper_start(const char *directory, bool removes) {
        _cleanup_(strbuf_done) StrBuf said = {}, problem = {};
        _cleanup_close_ int reader = -EBADF, writer = -EBADF;
        int fds[2], r;

        r = read_whole(STDIN_FILENO, &said, FRAME_PAYLOAD_MAX);
        if (r >= 0 && pipe2(fds, O_CLOEXEC) < 0)
                r = -errno;
        if (r < 0) {
                (void) keeper_clean_idle(directory, removes);
                fprintf(stderr, "%s\n", strerrordesc_np(-r));
                return EXIT_FAILURE;
        }
        reader = fds[0];
        writer = fds[1];
        pid_t pid = fork();
        if (pid == 0) {
                closep(&reader);
                keep(directory, removes, &said, TAKE_FD(writer));
                _exit(EXIT_SUCCESS);
        }
        closep(&writer);
        if (pid < 0) {
                strbuf_puts(&problem, strerrordesc_np(errno));
                (void) keeper_clean_idle(directory, removes);
        } else
                (void) read_whole(reader, &problem, PROBLEM_MAX);
        if (problem.size > 0 || problem.failed) {
                fprintf(stderr, "%s\n", problem.data ?: "out of memory");
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
