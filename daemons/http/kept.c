/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <time.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/resource.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kept.h"

#define LEFT_USEC UINT64_C(5000000)     /* the old one may be gone for so long before the new one is there */

struct HttpKept {
        HttpManager *manager;
        char *id;
        Value value;
        unsigned n_users;               /* the old and the new resource, for a moment */
        sd_event_source *left;          /* there while nobody has it */
};

static void kept_free(void *data) {
        HttpKept *k = data;

        sd_event_source_disable_unref(k->left);
        value_done(&k->value);
        free(k->id);
        free(k);
}

static void kept_forget(HttpKept *k) {
        (void) map_remove(k->manager->kept, k->id);
        kept_free(k);
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        kept_forget(userdata);
        return 0;
}

static int kept_new(HttpKept **ret, HttpManager *m, char *id) {
        HttpKept *k = calloc(1, sizeof(*k));

        if (!m->kept)
                m->kept = map_new();
        if (!k || !m->kept || map_put(m->kept, id, k) < 0) {
                free(k);
                free(id);
                return -ENOMEM;
        }
        k->manager = m;
        k->id = id;
        *ret = k;
        return 0;
}

int http_kept_join(HttpKept **ret, HttpManager *m, const Resource *r) {
        char *id = resource_id(r);
        HttpKept *k = id ? map_get(m->kept, id) : NULL;
        int e;

        if (!id)
                return -ENOMEM;
        if (k)
                free(id);
        else {
                e = kept_new(&k, m, id);
                if (e < 0)
                        return e;
        }
        k->left = sd_event_source_disable_unref(k->left);
        k->n_users++;
        *ret = k;
        return 0;
}

HttpKept *http_kept_leave(HttpKept *k) {
        if (!k || --k->n_users > 0)
                return NULL;
        if (k->value.kind == TYPE_NIL ||
            sd_event_add_time_relative(k->manager->event, &k->left, CLOCK_MONOTONIC, LEFT_USEC, 0, on_left, k) < 0)
                kept_forget(k);
        return NULL;
}

Value http_kept_get(const HttpKept *k) {
        return k->value;
}

void http_kept_set(HttpKept *k, Value v) {
        Value old = k->value;

        k->value = value_ref(v);
        value_done(&old);
}

void http_kept_done(HttpManager *m) {
        m->kept = map_free_with(m->kept, kept_free);
}
