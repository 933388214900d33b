/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "common/sd/path-tree.h"
#include "common/sd/steady-watch.h"

struct SteadyWatch {
        PathWatcher *watcher;
        char *path;
        uint64_t poll_usec;
        steady_watch_callback_t callback;
        void *userdata;
        PathWatch *watch;       /* NULL while it cannot be watched; then ... */
        PathWatch *guard;       /* ... what is above it may say when it can: NULL if that cannot be watched either */
        sd_event_source *timer;
        bool blind;             /* and it was said */
};

static int try(SteadyWatch *w);

static void on_change(PathWatch *watch, int error, void *userdata) {
        SteadyWatch *w = userdata;

        if (error < 0) {
                w->watch = path_watch_free(w->watch);
                (void) try(w);
        }
        w->callback(w->userdata);
}

/* Only that it can be watched again is news. */
static void on_guard(PathWatch *watch, int error, void *userdata) {
        SteadyWatch *w = userdata;

        if (error < 0)
                w->guard = path_watch_free(w->guard);
        else if (try(w) >= 0)
                w->callback(w->userdata);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        SteadyWatch *w = userdata;

        (void) try(w);
        w->callback(w->userdata);
        return 0;
}

static int try_again_later(SteadyWatch *w) {
        int r;

        if (!w->timer)
                return sd_event_add_time_relative(w->watcher->event, &w->timer, CLOCK_MONOTONIC, w->poll_usec, 0, on_time, w);
        r = sd_event_source_set_time_relative(w->timer, w->poll_usec);
        return r < 0 ? r : sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/* The nearest directory above that can be watched: whose mode was changed is told by the one above it. */
static void guard(SteadyWatch *w) {
        _cleanup_free_ char *above = strdup(w->path);
        char *slash;

        while (!w->guard && above && (slash = strrchr(above, '/'))) {
                bool top = slash == above;

                slash[top] = '\0';
                if (path_watch_new(&w->guard, w->watcher, above, 0, on_guard, w) >= 0 || top)
                        return;
        }
}

static int go_blind(SteadyWatch *w, int error) {
        if (!w->blind)
                (void) log_warning(error, "cannot watch '%s': %m; looking at it now and then until it can be watched", w->path);
        w->blind = true;
        if (error == -EACCES && !w->guard)
                guard(w);
        return try_again_later(w);
}

/* Negative: it cannot be watched, and will be tried again. */
static int try(SteadyWatch *w) {
        int r = path_watch_new(&w->watch, w->watcher, w->path, 0, on_change, w), k;

        if (r >= 0) {
                if (w->blind)
                        log_info("'%s' is watched again", w->path);
                w->blind = false;
                w->guard = path_watch_free(w->guard);
                w->timer = sd_event_source_disable_unref(w->timer);
                return 0;
        }
        k = go_blind(w, r);
        if (k < 0)
                log_error(k, "cannot look at '%s' again: %m", w->path);
        return r;
}

int steady_watch_new(SteadyWatch **ret, PathWatcher *p, const char *path, uint64_t poll_usec, steady_watch_callback_t callback,
                     void *userdata) {
        SteadyWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (SteadyWatch) { .watcher = p, .path = strdup(path), .poll_usec = poll_usec ?: PATH_WATCH_FALLBACK_USEC, .callback = callback,
                             .userdata = userdata };
        r = w->path ? path_watch_new(&w->watch, p, path, 0, on_change, w) : -ENOMEM;
        if (r < 0 && r != -EINVAL && r != -ENAMETOOLONG && r != -ENOMEM)
                r = go_blind(w, r);
        if (r < 0) {
                steady_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

SteadyWatch *steady_watch_free(SteadyWatch *w) {
        if (!w)
                return NULL;
        path_watch_free(w->watch);
        path_watch_free(w->guard);
        sd_event_source_disable_unref(w->timer);
        free(w->path);
        free(w);
        return NULL;
}
