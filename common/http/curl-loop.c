/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The library says which sockets it waits for, and until when; we wait, and tell it. Whatever it has to say about a transfer is
 * fetched after each of these calls, outside of its own callbacks, so that owners may do as they like.
 *
 * A socket whose connection fails it closes before it says so, and the next one may have its number by then. So we wait for a copy:
 * what is ours is there until we are done with it. */

#include <fcntl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"

LIST_HEAD(JobList, CurlJob);

typedef struct Socket {
        CurlLoop *loop;
        curl_socket_t fd;       /* the library's */
        sd_event_source *io;    /* has a copy */
} Socket;

struct CurlLoop {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer;
        struct JobList jobs;
};

static void job_leave(CurlLoop *l, CurlJob *j) {
        (void) curl_multi_remove_handle(l->multi, j->easy);
        if (j->running)
                LIST_REMOVE(j, entries);
        j->running = false;
}

static void deliver(CurlLoop *l) {
        CURLMsg *m;
        int n_left;

        while ((m = curl_multi_info_read(l->multi, &n_left))) {
                CURLcode result = m->data.result;
                CURL *easy = m->easy_handle;
                CurlJob *j = NULL;

                if (m->msg != CURLMSG_DONE)
                        continue;
                (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, &j);
                if (!j) {
                        (void) curl_multi_remove_handle(l->multi, easy);
                        continue;
                }
                job_leave(l, j);
                j->done(j, result);
        }
}

/* For want of memory the library has lost track of a transfer, and does not say of which: it would never end. */
static void abandon(CurlLoop *l) {
        struct JobList lost = l->jobs;
        CurlJob *j;

        LIST_INIT(&l->jobs);
        if (!LIST_EMPTY(&lost))
                LIST_FIRST(&lost)->entries.le_prev = &LIST_FIRST(&lost);
        while ((j = LIST_FIRST(&lost))) {
                job_leave(l, j);
                j->done(j, CURLE_OUT_OF_MEMORY);
        }
}

static void act(CurlLoop *l, curl_socket_t fd, int action) {
        int n_running;
        CURLMcode r = curl_multi_socket_action(l->multi, fd, action, &n_running);

        deliver(l);
        if (r != CURLM_OK)
                abandon(l);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        const Socket *s = userdata;
        int action = 0;

        if (events & (EPOLLIN | EPOLLHUP))
                action |= CURL_CSELECT_IN;
        if (events & EPOLLOUT)
                action |= CURL_CSELECT_OUT;
        if (events & EPOLLERR)
                action |= CURL_CSELECT_ERR;
        act(s->loop, s->fd, action);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        act(userdata, CURL_SOCKET_TIMEOUT, 0);
        return 0;
}

static Socket *socket_free(Socket *s) {
        if (s)
                sd_event_source_disable_unref(s->io);
        free(s);
        return NULL;
}

static Socket *socket_new(CurlLoop *l, curl_socket_t fd, uint32_t events) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        Socket *s = copy < 0 ? NULL : calloc(1, sizeof(*s));

        if (!s || sd_event_add_io(l->event, &s->io, copy, events, on_io, s) < 0) {
                if (copy >= 0)
                        (void) close(copy);
                return socket_free(s);
        }
        (void) sd_event_source_set_io_fd_own(s->io, true);
        s->loop = l;
        s->fd = fd;
        return s;
}

/* Whether the number still means the socket that it did. */
static bool is_still(const Socket *s) {
        struct stat theirs, ours;

        return fstat(s->fd, &theirs) == 0 && fstat(sd_event_source_get_io_fd(s->io), &ours) == 0 && theirs.st_ino == ours.st_ino;
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data) {
        CurlLoop *l = userdata;
        Socket *s = socket_data;
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

        if (what == CURL_POLL_REMOVE || (s && !is_still(s))) {
                s = socket_free(s);
                (void) curl_multi_assign(l->multi, fd, NULL);
        }
        if (what == CURL_POLL_REMOVE)
                return 0;
        if (s)
                return sd_event_source_set_io_events(s->io, events) < 0 ? -1 : 0;
        s = socket_new(l, fd, events);
        if (!s)
                return -1;
        (void) curl_multi_assign(l->multi, fd, s);
        return 0;
}

static int on_timer_wanted(CURLM *multi, long milliseconds, void *userdata) {
        CurlLoop *l = userdata;

        if (milliseconds < 0)
                return sd_event_source_set_enabled(l->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time_relative(l->timer, (uint64_t) milliseconds * 1000) < 0 ||
            sd_event_source_set_enabled(l->timer, SD_EVENT_ONESHOT) < 0)
                return -1;
        return 0;
}

int curl_loop_new(CurlLoop **ret, sd_event *event) {
        static bool initialised;
        _cleanup_(curl_loop_freep) CurlLoop *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        if (!initialised && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        initialised = true;

        l->event = sd_event_ref(event);
        r = sd_event_add_time(event, &l->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, l);
        if (r < 0)
                return r;
        (void) sd_event_source_set_enabled(l->timer, SD_EVENT_OFF);

        l->multi = curl_multi_init();
        if (!l->multi || curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted) != CURLM_OK ||
            curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l) != CURLM_OK)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

CurlLoop *curl_loop_free(CurlLoop *l) {
        if (!l)
                return NULL;
        if (l->multi)
                (void) curl_multi_cleanup(l->multi);    /* closes connections, for which it calls us: before the timer goes */
        sd_event_source_disable_unref(l->timer);
        sd_event_unref(l->event);
        free(l);
        return NULL;
}

int curl_loop_add(CurlLoop *l, CurlJob *j) {
        if (curl_easy_setopt(j->easy, CURLOPT_PRIVATE, j) != CURLE_OK || curl_multi_add_handle(l->multi, j->easy) != CURLM_OK)
                return -ENOMEM;
        j->running = true;
        LIST_INSERT_HEAD(&l->jobs, j, entries);
        return 0;
}

void curl_loop_remove(CurlLoop *l, CurlJob *j) {
        if (l && j->easy)
                job_leave(l, j);
}
