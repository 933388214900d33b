/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdlib.h>
#include <string.h>

#include <systemd/sd-event.h>

#include "common/sd/log.h"
#include "daemons/lang/sources.h"
#include "daemons/lang/steady-watch.h"

enum { POLL_USEC = 30 * 1000 * 1000 };

struct SteadyWatch {
        Source *source;
        char *path;
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
        uint64_t usec = source_share(w->source)->poll_usec ?: POLL_USEC;
        int r;

        if (!w->timer)
                return sd_event_add_time_relative(w->source->host->event, &w->timer, CLOCK_MONOTONIC, usec, 0, on_time, w);
        r = sd_event_source_set_time_relative(w->timer, usec);
        return r < 0 ? r : sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/* The nearest directory above that can be watched: whose mode was changed is told by the one above it. */
static void guard(SteadyWatch *w) {
        _cleanup_free_ char *above = strdup(w->path);
        char *slash;

        while (!w->guard && above && (slash = strrchr(above, '/'))) {
                bool top = slash == above;

                slash[top] = '\0';
                if (source_watch_path(w->source, above, on_guard, w, &w->guard, NULL) >= 0 || top)
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
        int r = source_watch_path(w->source, w->path, on_change, w, &w->watch, NULL), k;

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

int steady_watch_new(SteadyWatch **ret, Source *s, const char *path, steady_watch_callback_t callback, void *userdata, Diag *reterr) {
        SteadyWatch *w = calloc(1, sizeof(*w));
        int r = 0;

        if (w)
                *w = (SteadyWatch) { .source = s, .path = strdup(path), .callback = callback, .userdata = userdata };
        if (!w || !w->path)
                r = -ENOMEM;
        else {
                r = source_watch_path(s, path, on_change, w, &w->watch, reterr);
                if (r < 0 && r != -EINVAL && r != -ENAMETOOLONG && r != -ENOMEM && go_blind(w, r) >= 0) {
                        diag_done(reterr);
                        r = 0;
                }
        }
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
