/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See keeper-watch.h. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/child.h"
#include "daemons/remote/keeper-watch.h"
#include "daemons/remote/keeper.h"
#include "daemons/remote/lock.h"

enum {
        TAIL_MAX = 4096,        /* bytes of its log that are told */
        TAIL_LINES = 20,
        OUTPUT_MAX = 1024,
};

struct KeeperWatch {
        sd_event *event;
        char *directory;
        bool removes;
        Child *starting;
        int log, pidfd;
        sd_event_source *source;        /* of pidfd; or a defer source, until it is looked for */
        const KeeperWatchOps *ops;
        void *userdata;
};

/* The last lines of a text. */
static const char *last_lines(const char *text, size_t size) {
        const char *at = text + size;

        for (unsigned lines = 0; at > text; at--)
                if (at[-1] == '\n' && at < text + size && ++lines == TAIL_LINES)
                        break;
        return at;
}

static void say_ended(KeeperWatch *w) {
        char tail[TAIL_MAX + 1];
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n = 0;

        if (w->log >= 0 && fstat(w->log, &st) >= 0)
                n = pread(w->log, tail, TAIL_MAX, MAX(st.st_size - TAIL_MAX, (off_t) 0));
        n = MAX(n, (ssize_t) 0);
        while (n > 0 && tail[n - 1] == '\n')
                n--;
        tail[n] = '\0';
        if (asprintf(&text, "what ran there has ended%s%s", n > 0 ? "; it said: " : "", last_lines(tail, (size_t) n)) < 0)
                text = NULL;
        w->ops->ended(text ?: "what ran there has ended", w->userdata);
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        KeeperWatch *w = userdata;

        w->source = sd_event_source_disable_unref(w->source);
        say_ended(w);
        return 0;
}

static int watch(KeeperWatch *w) {
        _cleanup_free_ char *path = NULL;
        int r = lock_holder(w->directory, &w->pidfd);

        if (asprintf(&path, "%s/mgmt.log", w->directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        w->log = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (r < 0)
                return r;
        if (r == 0)
                return say_ended(w), 0;
        w->source = sd_event_source_disable_unref(w->source);
        r = sd_event_add_io(w->event, &w->source, w->pidfd, EPOLLIN, on_pidfd, w);
        if (r >= 0)
                w->ops->running(w->userdata);
        return r;
}

static void watch_or_end(KeeperWatch *w) {
        int r = watch(w);

        if (r < 0)
                w->ops->ended(strerrordesc_np(-r), w->userdata);
}

static int on_look(sd_event_source *source, void *userdata) {
        watch_or_end(userdata);
        return 0;
}

static void on_started(Child *c, ChildResult *result, void *userdata) {
        _cleanup_free_ char *problem = strbuf_take(&result->err);
        KeeperWatch *w = userdata;
        bool runs = result->signal == 0 && result->status == 0;

        w->starting = child_free(w->starting);
        if (runs) {
                watch_or_end(w);
                return;
        }
        if (problem)
                problem[strcspn(problem, "\n")] = '\0';
        w->ops->ended(problem && *problem ? problem : "it could not be started", w->userdata);
}

static int start(KeeperWatch *w, const char *said, size_t size, Diag *reterr) {
        _cleanup_free_ char *program = NULL;
        _cleanup_close_ int input = memfd_create("start", MFD_CLOEXEC);

        if (input < 0)
                return -errno;
        if (asprintf(&program, "%s/mgmt-remote", w->directory) < 0) {
                program = NULL;
                return -ENOMEM;
        }
        int r = write_all(input, said, size);
        if (r >= 0 && lseek(input, 0, SEEK_SET) < 0)
                r = -errno;
        if (r < 0)
                return r;
        char *argv[] = { program, (char *) "stay", (char *) (w->removes ? "remove" : "keep"), w->directory, NULL };
        return child_start(&w->starting, w->event, &(ChildSpec) { .argv = argv, .env = environ, .uid = (uid_t) -1, .gid = (gid_t) -1,
                                                                  .input = input, .output_max = OUTPUT_MAX }, on_started, w, reterr);
}

int keeper_watch_new(KeeperWatch **ret, sd_event *event, const char *directory, bool removes, const char *said, size_t size,
                     const KeeperWatchOps *ops, void *userdata, Diag *reterr) {
        _cleanup_(keeper_watch_freep) KeeperWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (KeeperWatch) { .event = event, .directory = strdup(directory), .removes = removes, .log = -EBADF, .pidfd = -EBADF, .ops = ops,
                             .userdata = userdata };
        if (!w->directory)
                return -ENOMEM;
        r = said ? start(w, said, size, reterr) : sd_event_add_defer(event, &w->source, on_look, w);
        if (r < 0) {
                (void) keeper_clean_idle(directory, removes);
                return r;
        }
        *ret = TAKE_PTR(w);
        return 0;
}

KeeperWatch *keeper_watch_free(KeeperWatch *w) {
        if (!w)
                return NULL;
        child_free(w->starting);
        sd_event_source_disable_unref(w->source);
        closep(&w->pidfd);
        closep(&w->log);
        free(w->directory);
        free(w);
        return NULL;
}
