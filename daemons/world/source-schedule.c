/* SPDX-License-Identifier: GPL-3.0-or-later */

/* world.schedule: who was chosen. It only looks; the resource schedule puts a host forward. */

#include <errno.h>

#include "daemons/world/schedule.h"
#include "daemons/world/world-manager.h"

typedef struct ScheduleSource {
        Source source;
        ScheduleWatch *watch;
} ScheduleSource;

static int make_list(const char *chosen, Value *ret) {
        Value *items = calloc(strlen(chosen) + 1, sizeof(Value));
        size_t n = 0;
        int r = items ? 0 : -ENOMEM;

        while (r >= 0 && *chosen) {
                size_t size = strcspn(chosen, ",");

                r = value_str(&items[n], chosen, size);
                n += r >= 0;
                chosen += size + (chosen[size] == ',');
        }
        if (r >= 0)
                r = value_list(ret, items, n);
        else
                while (n > 0)
                        value_done(&items[--n]);
        free(items);
        return r;
}

static void on_chosen(const char *chosen, void *userdata) {
        ScheduleSource *s = userdata;
        Value v = VALUE_NIL;
        int r = make_list(chosen, &v);

        source_result(&s->source, r, v);
}

static int schedule_open(Source *source, Diag *reterr) {
        _cleanup_free_ char *namespace = NULL;
        ScheduleSource *s = (ScheduleSource *) source;
        WorldManager *m = source->host->manager;
        int r;

        r = source_name(source, 0, "namespace", &namespace, reterr);
        if (r < 0)
                return r;
        if (strchr(namespace, '/'))
                return diag_set(reterr, (Pos) {}, -EINVAL, "namespace contains slash");
        r = schedule_watch(m->schedules, source->host->hostname, namespace, on_chosen, s, &s->watch);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "channel watch failed on `%s`: %m", namespace) : 0;
}

static void schedule_close(Source *source) {
        ScheduleSource *s = (ScheduleSource *) source;

        s->watch = schedule_watch_free(s->watch);
}

const SourceType schedule_sources[] = {
        { .name = "world.schedule", .takes = "func(str)", .size = sizeof(ScheduleSource), .open = schedule_open,
          .close = schedule_close },
        {}
};
