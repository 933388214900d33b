/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two lists under one lock: what is to be done, and what was done. An eventfd tells the loop that the second is not empty. */

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "daemons/virt/work.h"

enum { STACK_SIZE = 1024 * 1024 };

typedef struct WorkList {
        Work *first, **last;
} WorkList;

struct WorkThread {
        pthread_mutex_t lock;
        pthread_cond_t wanted;
        pthread_t thread;
        bool started, quit;             /* started: the loop's thread only */
        WorkList queued, finished;
        int done_fd;
        sd_event_source *done;
};

static void list_add(WorkList *l, Work *w) {
        w->next = NULL;
        if (!l->first)
                l->last = &l->first;
        *l->last = w;
        l->last = &w->next;
}

static Work *list_take(WorkList *l) {
        Work *w = l->first;

        if (w)
                l->first = w->next;
        return w;
}

static void *thread_main(void *userdata) {
        static const uint64_t one = 1;
        WorkThread *t = userdata;

        (void) pthread_mutex_lock(&t->lock);
        for (;;) {
                Work *w = list_take(&t->queued);

                if (!w && t->quit)
                        break;
                if (!w) {
                        (void) pthread_cond_wait(&t->wanted, &t->lock);
                        continue;
                }

                (void) pthread_mutex_unlock(&t->lock);
                w->run(w);
                (void) pthread_mutex_lock(&t->lock);

                /* who finds the list with something in it was told already */
                bool first = !t->finished.first;
                list_add(&t->finished, w);
                if (first)
                        (void) !write(t->done_fd, &one, sizeof(one));
        }
        (void) pthread_mutex_unlock(&t->lock);
        return NULL;
}

static int thread_start(WorkThread *t) {
        sigset_t all, old;
        pthread_attr_t attributes;
        int r;

        (void) pthread_attr_init(&attributes);
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &old);        /* signals are the loop's */
        r = pthread_create(&t->thread, &attributes, thread_main, t);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        (void) pthread_attr_destroy(&attributes);

        t->started = r == 0;
        return -r;
}

static void deliver(WorkThread *t) {
        (void) pthread_mutex_lock(&t->lock);
        Work *w = t->finished.first;
        t->finished = (WorkList) {};
        (void) pthread_mutex_unlock(&t->lock);

        /* the last of them may free the thread, so only the list is looked at from here on */
        while (w) {
                Work *next = w->next;
                w->done(w);
                w = next;
        }
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        uint64_t n;

        (void) !read(fd, &n, sizeof(n));
        deliver(userdata);
        return 0;
}

static void thread_destroy(WorkThread *t) {
        sd_event_source_disable_unref(t->done);
        closep(&t->done_fd);
        (void) pthread_cond_destroy(&t->wanted);
        (void) pthread_mutex_destroy(&t->lock);
        free(t);
}

int work_thread_new(WorkThread **ret, sd_event *event) {
        WorkThread *t = calloc(1, sizeof(*t));
        int r = 0;

        if (!t)
                return -ENOMEM;
        (void) pthread_mutex_init(&t->lock, NULL);
        (void) pthread_cond_init(&t->wanted, NULL);
        t->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (t->done_fd < 0)
                r = -errno;
        if (r >= 0)
                r = sd_event_add_io(event, &t->done, t->done_fd, EPOLLIN, on_done, t);
        if (r < 0) {
                thread_destroy(t);
                return r;
        }
        *ret = t;
        return 0;
}

int work_thread_add(WorkThread *t, Work *w) {
        if (!t->started) {
                int r = thread_start(t);
                if (r < 0)
                        return r;
        }
        (void) pthread_mutex_lock(&t->lock);
        list_add(&t->queued, w);
        (void) pthread_cond_signal(&t->wanted);
        (void) pthread_mutex_unlock(&t->lock);
        return 0;
}

int work_thread_end(WorkThread *t, uint64_t patience_usec) {
        struct timespec until;

        if (t->started) {
                (void) pthread_mutex_lock(&t->lock);
                t->quit = true;
                (void) pthread_cond_signal(&t->wanted);
                (void) pthread_mutex_unlock(&t->lock);

                (void) clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += (long) (patience_usec % 1000000) * 1000;
                until.tv_sec += (time_t) (patience_usec / 1000000) + until.tv_nsec / 1000000000;
                until.tv_nsec %= 1000000000;
                if (pthread_timedjoin_np(t->thread, NULL, &until) != 0) {
                        (void) pthread_detach(t->thread);
                        t->done = sd_event_source_disable_unref(t->done);
                        return -ETIMEDOUT;
                }
        }
        deliver(t);
        thread_destroy(t);
        return 0;
}
