/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Four descriptors that become readable, each in its own way, and lists of who wants to know. Nothing that is read is believed:
 * it only says when to look. */

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/sd/kernel-watch.h"

enum {
        MESSAGES_MAX = 256,             /* read in one turn of the loop */
        MESSAGE_SIZE = 16 * 1024,       /* of devices; longer ones are cut, at their end */
        RECEIVE_BUFFER = 4 * 1024 * 1024,
};

typedef struct KernelTopicWatch TopicWatch;

struct KernelWatch {
        TopicWatch *topic;              /* NULL: the watcher is gone */
        const char *subsystem;
        void (*callback)(void *userdata);
        void *userdata;
        bool pending;
        KernelWatch *previous, *next;
};

/* ---- what is told ---- */

static void mark(TopicWatch *t, const char *subsystem) {
        for (KernelWatch *w = t->watches; w; w = w->next)
                if (!subsystem || (w->subsystem && streq(w->subsystem, subsystem)))
                        w->pending = true;
}

static void call(TopicWatch *t) {
        for (KernelWatch *w = t->watches; w; w = t->cursor) {
                t->cursor = w->next;
                if (w->pending) {
                        w->pending = false;
                        w->callback(w->userdata);
                }
        }
}

/* ---- the clock ---- */

static int arm_clock(int fd) {
        const struct itimerspec never = { .it_value.tv_sec = INT64_MAX };

        return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno : 0;
}

static int open_clock(void) {
        _cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        int r = arm_clock(fd);
        return r < 0 ? r : TAKE_FD(fd);
}

static void read_clock(TopicWatch *t, int fd) {
        uint64_t n;

        if (read(fd, &n, sizeof(n)) < 0 && errno != ECANCELED)
                return;
        (void) arm_clock(fd);
        mark(t, NULL);
}

/* ---- the name of the host ---- */

static int open_hostname(void) {
        int fd = open("/proc/sys/kernel/hostname", O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        return fd < 0 ? -errno : fd;
}

static void read_hostname(TopicWatch *t, int fd) {
        mark(t, NULL);          /* that it was polled is all that the kernel waits for */
}

/* ---- netlink ---- */

static int open_netlink(int protocol, uint32_t groups) {
        const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = groups };
        const int size = RECEIVE_BUFFER;
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

        if (fd < 0)
                return -errno;
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        return bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : TAKE_FD(fd);
}

/* The size of the next message of the kernel's; 0: nothing more; -ENOBUFS: some were lost. */
static ssize_t receive(int fd, char *buffer, size_t size) {
        for (;;) {
                struct sockaddr_nl from = {};
                socklen_t from_size = sizeof(from);
                ssize_t n = recvfrom(fd, buffer, size, 0, (struct sockaddr *) &from, &from_size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == ENOBUFS ? -ENOBUFS : 0;
                if (n > 0 && from_size == sizeof(from) && from.nl_pid == 0)
                        return n;
        }
}

static int open_links(void) {
        return open_netlink(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
}

static void read_links(TopicWatch *t, int fd) {
        char byte;
        int n = 0;

        while (n < MESSAGES_MAX && receive(fd, &byte, sizeof(byte)) != 0)
                n++;
        if (n > 0)
                mark(t, NULL);
}

static int open_devices(void) {
        return open_netlink(NETLINK_KOBJECT_UEVENT, 1);
}

/* "ACTION@DEVPATH", then NAME=VALUE, each with a NUL behind it; buffer has one more at its end. */
static const char *subsystem_of(const char *buffer, size_t size) {
        for (const char *p = buffer; p < buffer + size; p += strlen(p) + 1) {
                const char *value = startswith(p, "SUBSYSTEM=");
                if (value)
                        return value;
        }
        return NULL;
}

static void read_devices(TopicWatch *t, int fd) {
        char buffer[MESSAGE_SIZE + 1];

        for (int i = 0; i < MESSAGES_MAX; i++) {
                ssize_t n = receive(fd, buffer, MESSAGE_SIZE);

                if (n == 0)
                        break;
                buffer[MAX(n, 0)] = '\0';
                const char *subsystem = n > 0 ? subsystem_of(buffer, (size_t) n) : NULL;
                if (subsystem || n < 0)
                        mark(t, subsystem);
        }
}

/* ---- topics ---- */

static const struct {
        const char *name;
        int (*open)(void);
        uint32_t events;
        void (*read)(TopicWatch *t, int fd);
} topics[_KERNEL_TOPIC_MAX] = {
        [KERNEL_CLOCK] = { "the clock", open_clock, EPOLLIN, read_clock },
        [KERNEL_HOSTNAME] = { "the name of the host", open_hostname, 0, read_hostname },
        [KERNEL_LINKS] = { "network interfaces", open_links, EPOLLIN, read_links },
        [KERNEL_DEVICES] = { "devices", open_devices, EPOLLIN, read_devices },
};

static int on_news(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        TopicWatch *t = userdata;

        topics[t->topic].read(t, fd);
        call(t);
        return 0;
}

static int topic_listen(TopicWatch *t, sd_event *event) {
        _cleanup_close_ int fd = topics[t->topic].open();
        int r;

        if (fd < 0)
                return fd;
        r = sd_event_add_io(event, &t->source, fd, topics[t->topic].events, on_news, t);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(t->source, true);
        if (r < 0) {
                t->source = sd_event_source_disable_unref(t->source);
                return r;
        }
        (void) TAKE_FD(fd);
        (void) sd_event_source_set_description(t->source, topics[t->topic].name);
        return 0;
}

/* ---- the interface ---- */

const char *kernel_topic_name(KernelTopic topic) {
        return topics[topic].name;
}

void kernel_watcher_done(KernelWatcher *k) {
        for (KernelTopic topic = 0; topic < _KERNEL_TOPIC_MAX; topic++) {
                TopicWatch *t = &k->topics[topic];

                for (KernelWatch *w = t->watches; w; w = w->next)
                        w->topic = NULL;
                sd_event_source_disable_unref(t->source);
                *t = (TopicWatch) {};
        }
}

int kernel_watch_new(KernelWatch **ret, KernelWatcher *k, sd_event *event, KernelTopic topic, const char *subsystem,
                     void (*callback)(void *userdata), void *userdata) {
        TopicWatch *t = &k->topics[topic];
        KernelWatch *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        t->topic = topic;
        int r = t->source ? 0 : topic_listen(t, event);
        if (r < 0) {
                free(w);
                return r;
        }
        *w = (KernelWatch) { .topic = t, .subsystem = subsystem, .callback = callback, .userdata = userdata, .next = t->watches };
        if (w->next)
                w->next->previous = w;
        t->watches = w;
        *ret = w;
        return 0;
}

KernelWatch *kernel_watch_free(KernelWatch *w) {
        if (!w)
                return NULL;

        TopicWatch *t = w->topic;
        if (t) {
                *(w->previous ? &w->previous->next : &t->watches) = w->next;
                if (w->next)
                        w->next->previous = w->previous;
                if (t->cursor == w)
                        t->cursor = w->next;
                if (!t->watches)
                        t->source = sd_event_source_disable_unref(t->source);
        }
        free(w);
        return NULL;
}
