/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The library adds, changes and removes handles and timeouts from whatever thread its call happens to be in, while sd-event
 * belongs to one thread. So those functions only write down what is wanted, under a lock, and poke the loop, which then puts
 * it into effect. Everything of the library that we call back, we call from the loop's thread and without the lock.
 *
 * A handle is watched through a duplicate of its descriptor: the library closes its own right after removing the handle, and
 * the number may be somebody else's before the loop has noticed. */

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <systemd/sd-event.h>

#include "common/macro.h"
#include "daemons/virt/libvirt-loop.h"

typedef struct Entry Entry;

/* A handle or a timeout. */
struct Entry {
        int id;
        int fd;                         /* the library's own number for it; -1: a timeout */
        int wanted;                     /* handle: VIR_EVENT_HANDLE_…; timeout: milliseconds, negative if it is off */
        bool dirty, removed;
        union {
                virEventHandleCallback on_handle;
                virEventTimeoutCallback on_timeout;
        };
        void *opaque;
        virFreeCallback free;
        sd_event_source *source;        /* the loop's thread only */
        Entry *next;
};

/* One per process, as the library wants it. */
static struct {
        pthread_mutex_t lock;
        sd_event *event;
        sd_event_source *wake;
        int wake_fd;
        bool poked;
        Entry *entries;
        int last_id;
} loop = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake_fd = -EBADF,
};

static void unlockp(pthread_mutex_t **lock) {
        (void) pthread_mutex_unlock(*lock);
}

#define LOCKED() \
        _cleanup_(unlockp) _unused_ pthread_mutex_t *locked = &loop.lock; \
        (void) pthread_mutex_lock(&loop.lock)

static void poke(Entry *e) {
        static const uint64_t one = 1;

        e->dirty = true;
        if (loop.poked || loop.wake_fd < 0)
                return;
        loop.poked = true;
        (void) !write(loop.wake_fd, &one, sizeof(one));
}

static Entry *find(int id) {
        for (Entry *e = loop.entries; e; e = e->next)
                if (e->id == id && !e->removed)
                        return e;
        return NULL;
}

/* ---- what the library calls, from any thread ---- */

static int add(const Entry *what) {
        Entry *e = malloc(sizeof(*e));

        if (!e)
                return -1;

        LOCKED();
        *e = *what;
        e->id = ++loop.last_id;
        e->next = loop.entries;
        loop.entries = e;
        poke(e);
        return e->id;
}

static void update(int id, int wanted) {
        LOCKED();
        Entry *e = find(id);

        if (!e)
                return;
        e->wanted = wanted;
        poke(e);
}

static int remove_entry(int id) {
        LOCKED();
        Entry *e = find(id);

        if (!e)
                return -1;
        e->removed = true;
        poke(e);
        return 0;
}

static int add_handle(int fd, int events, virEventHandleCallback callback, void *opaque, virFreeCallback free_opaque) {
        return add(&(Entry) { .fd = fd, .wanted = events, .on_handle = callback, .opaque = opaque, .free = free_opaque });
}

static int add_timeout(int milliseconds, virEventTimeoutCallback callback, void *opaque, virFreeCallback free_opaque) {
        return add(&(Entry) { .fd = -1, .wanted = milliseconds, .on_timeout = callback, .opaque = opaque, .free = free_opaque });
}

/* ---- the loop's thread ---- */

static uint32_t to_epoll(int events) {
        return (events & VIR_EVENT_HANDLE_READABLE ? EPOLLIN : 0) | (events & VIR_EVENT_HANDLE_WRITABLE ? EPOLLOUT : 0);
}

static int from_epoll(uint32_t events) {
        return (events & EPOLLIN ? VIR_EVENT_HANDLE_READABLE : 0) | (events & EPOLLOUT ? VIR_EVENT_HANDLE_WRITABLE : 0) |
               (events & EPOLLERR ? VIR_EVENT_HANDLE_ERROR : 0) | (events & EPOLLHUP ? VIR_EVENT_HANDLE_HANGUP : 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Entry *e = userdata;
        int events;

        {
                LOCKED();
                events = e->removed ? 0 : from_epoll(revents) & (e->wanted | VIR_EVENT_HANDLE_ERROR | VIR_EVENT_HANDLE_HANGUP);
        }
        /* nobody but this thread frees the entry, so it stays even if it is removed just now */
        if (events != 0)
                e->on_handle(e->id, e->fd, events, e->opaque);
        return 0;
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        Entry *e = userdata;
        int milliseconds;

        {
                LOCKED();
                milliseconds = e->removed ? -1 : e->wanted;
        }
        if (milliseconds < 0)
                return 0;
        (void) sd_event_source_set_time_relative(source, (uint64_t) milliseconds * 1000);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        e->on_timeout(e->id, e->opaque);
        return 0;
}

static int apply_handle(Entry *e, int wanted) {
        int r;

        if (!e->source) {
                _cleanup_close_ int fd = fcntl(e->fd, F_DUPFD_CLOEXEC, 3);
                if (fd < 0)
                        return -errno;
                r = sd_event_add_io(loop.event, &e->source, fd, to_epoll(wanted), on_io, e);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_io_fd_own(e->source, true);
                (void) TAKE_FD(fd);
        }
        r = sd_event_source_set_io_events(e->source, to_epoll(wanted));
        if (r < 0)
                return r;
        /* with no events wanted, a hang-up would still be reported, again and again */
        return sd_event_source_set_enabled(e->source, wanted != 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int apply_timeout(Entry *e, int wanted) {
        int r;

        if (!e->source) {
                r = sd_event_add_time(loop.event, &e->source, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_time, e);
                if (r < 0)
                        return r;
        }
        if (wanted < 0)
                return sd_event_source_set_enabled(e->source, SD_EVENT_OFF);
        r = sd_event_source_set_time_relative(e->source, (uint64_t) wanted * 1000);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(e->source, SD_EVENT_ONESHOT);
}

static void entries_free(Entry *list) {
        while (list) {
                Entry *e = list;

                list = e->next;
                sd_event_source_disable_unref(e->source);
                if (e->free)
                        e->free(e->opaque);
                free(e);
        }
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Entry *removed = NULL;
        uint64_t n;

        (void) !read(fd, &n, sizeof(n));
        {
                LOCKED();
                loop.poked = false;
                for (Entry **at = &loop.entries; *at;) {
                        Entry *e = *at;

                        if (e->removed) {
                                *at = e->next;
                                e->next = removed;
                                removed = e;
                                continue;
                        }
                        /* a failure here means no memory or no descriptors; keepalive or the next call will tell */
                        if (e->dirty)
                                (void) (e->fd >= 0 ? apply_handle(e, e->wanted) : apply_timeout(e, e->wanted));
                        e->dirty = false;
                        at = &e->next;
                }
        }
        entries_free(removed);
        return 0;
}

static void be_quiet(void *userdata, virErrorPtr error) {
}

int libvirt_loop_register(sd_event *event) {
        static bool registered;
        int r;

        libvirt_loop_release();
        loop.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (loop.wake_fd < 0)
                return -errno;
        r = sd_event_add_io(event, &loop.wake, loop.wake_fd, EPOLLIN, on_wake, NULL);
        if (r < 0)
                return r;
        r = sd_event_source_set_priority(loop.wake, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        loop.event = sd_event_ref(event);

        if (!registered) {
                virSetErrorFunc(NULL, be_quiet);
                if (virInitialize() < 0)
                        return -EIO;
                virEventRegisterImpl(add_handle, update, remove_entry, add_timeout, update, remove_entry);
                registered = true;
        }
        return 0;
}

void libvirt_loop_release(void) {
        Entry *list;

        {
                LOCKED();
                list = loop.entries;
                loop.entries = NULL;
                loop.poked = false;
                closep(&loop.wake_fd);
                loop.wake_fd = -EBADF;
        }
        entries_free(list);
        loop.wake = sd_event_source_disable_unref(loop.wake);
        loop.event = sd_event_unref(loop.event);
}
