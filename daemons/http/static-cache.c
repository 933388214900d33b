/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "daemons/http/static-cache.h"

enum {
        SLOTS = 16,                     /* files of one turn; further ones are opened each time */
        SMALL = 64 * 1024,              /* bytes of a file that is read */
};

typedef struct Slot {
        char *directory, *path;         /* directory: NULL if the path is absolute */
        bool links_inside;
        StaticContent content;
} Slot;

struct StaticCache {
        Slot slots[SLOTS];
        size_t n;
        sd_event_source *end;           /* of the turn; enabled while there is something to forget */
};

static void slot_done(Slot *s) {
        free(s->directory);
        free(s->path);
        static_content_done(&s->content);
}

static void forget(StaticCache *c) {
        while (c->n > 0)
                slot_done(&c->slots[--c->n]);
}

static int on_end(sd_event_source *source, void *userdata) {
        forget(userdata);
        return 0;
}

int static_cache_new(StaticCache **ret, sd_event *event) {
        _cleanup_(static_cache_freep) StaticCache *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        r = sd_event_add_defer(event, &c->end, on_end, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->end, SD_EVENT_OFF);
        if (r >= 0)                     /* before anything else that the next turn has */
                r = sd_event_source_set_priority(c->end, SD_EVENT_PRIORITY_IMPORTANT - 1);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

StaticCache *static_cache_free(StaticCache *c) {
        if (!c)
                return NULL;
        forget(c);
        sd_event_source_disable_unref(c->end);
        free(c);
        return NULL;
}

static int content_copy(StaticContent *ret, const StaticContent *content) {
        *ret = *content;
        ret->fd = -EBADF;
        ret->data = value_ref(content->data);
        if (content->fd < 0)
                return 0;
        int fd = static_affordable(fcntl(content->fd, F_DUPFD_CLOEXEC, 0));
        if (fd < 0)
                return fd;
        ret->fd = fd;
        return 0;
}

/* A small file that is as long as it said is from now on its content. */
static void read_small(StaticContent *content) {
        char buffer[SMALL];
        ssize_t n;

        if (content->size > SMALL)
                return;
        n = pread(content->fd, buffer, content->size, 0);
        if (n < 0 || (uint64_t) n != content->size || value_str(&content->data, buffer, (size_t) n) < 0)
                return;
        closep(&content->fd);
        content->fd = -EBADF;
}

/* Not having it in the cache is no failure. */
static void remember(StaticCache *c, const StaticContent *content, const char *directory, const char *path, bool links_inside) {
        Slot *s = &c->slots[c->n];

        if (c->n >= SLOTS)
                return;
        *s = (Slot) { .links_inside = links_inside, .content = STATIC_CONTENT_EMPTY };
        s->directory = directory ? strdup(directory) : NULL;
        s->path = strdup(path);
        if (!s->path || (directory && !s->directory) || content_copy(&s->content, content) < 0 ||
            sd_event_source_set_enabled(c->end, SD_EVENT_ONESHOT) < 0)
                slot_done(s);
        else
                c->n++;
}

int static_cache_open(StaticCache *c, StaticContent *ret, const char *directory, const char *path, bool links_inside) {
        int r;

        for (size_t i = 0; i < c->n; i++) {
                const Slot *s = c->slots + i;
                if (streq(s->path, path) && streq_ptr(s->directory, directory) && s->links_inside == links_inside)
                        return content_copy(ret, &s->content);
        }
        r = static_content_open(ret, directory, path, links_inside);
        if (r < 0)
                return r;
        read_small(ret);
        if (ret->fd >= 0) {
                r = static_affordable(TAKE_FD(ret->fd));
                if (r < 0)
                        return r;
                ret->fd = r;
        }
        remember(c, ret, directory, path, links_inside);
        return 0;
}
