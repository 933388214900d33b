/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A change is one if it is later than our beginning, and than the last one of its resource that we know of: signals tell of more. */

#include <inttypes.h>

#include <systemd/sd-bus.h>

#include "common/map.h"
#include "common/usec.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/markup.h"
#include "daemons/http/status-changes.h"
#include "daemons/http/status-graph.h"

#define ENGINE "org.mgmt.engine1"
#define RESOURCE ENGINE ".Resource"
#define PATIENCE_USEC UINT64_C(60000000)        /* with a machine that has much to do */

typedef struct Known {
        uint64_t applied_usec;
        bool fails;
} Known;

/* What changed, and whether the resource only shares what is so of its group, is not told by itself. */
typedef struct Asked {
        StatusChanges *changes;
        sd_bus_slot *slot;
        char *kind, *name;
        const char *what;               /* static */
        char *error;                    /* that it fails with; NULL: none */
        uint64_t time_usec;
        struct Asked *next;
} Asked;

struct StatusChanges {
        HttpManager *manager;
        void (*tell)(const char *json, void *userdata);
        void *userdata;
        uint64_t since_usec;            /* CLOCK_REALTIME */
        uint64_t told;
        Map *known;                     /* path of the object → Known */
        Asked *asked;
        unsigned n_asked;
        char *changes[STATUS_CHANGES_MAX];      /* a ring of JSON, owned */
        size_t n_changes, first_change;
};

/* what: "changed", "failed" or "recovered". */
static void add_change(StatusChanges *c, uint64_t time_usec, const char *kind, const char *name, const char *what, const char *text) {
        StrBuf b = {};
        char *json;

        strbuf_printf(&b, "{\"time\":%" PRIu64 ",\"kind\":", time_usec);
        markup_json(&b, kind);
        strbuf_puts(&b, ",\"name\":");
        markup_json(&b, name);
        strbuf_printf(&b, ",\"what\":\"%s\",\"text\":", what);
        markup_json(&b, text);
        strbuf_putc(&b, '}');
        json = strbuf_take(&b);
        if (!json)
                return;
        if (c->n_changes == STATUS_CHANGES_MAX) {
                free(c->changes[c->first_change]);
                c->first_change = (c->first_change + 1) % STATUS_CHANGES_MAX;
                c->n_changes--;
        }
        c->changes[(c->first_change + c->n_changes++) % STATUS_CHANGES_MAX] = json;
        c->tell(json, c->userdata);
}

static void asked_free(Asked *a) {
        Asked **at = &a->changes->asked;

        while (*at != a)
                at = &(*at)->next;
        *at = a->next;
        a->changes->n_asked--;
        sd_bus_slot_unref(a->slot);
        free(a->kind);
        free(a->name);
        free(a->error);
        free(a);
}

static int read_answer(sd_bus_message *m, const char **ret_group, const char **ret_last_change) {
        const char *name;
        int r;

        r = sd_bus_message_is_method_error(m, NULL) ? -EIO : sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                r = streq(name, "Group") ? sd_bus_message_read(m, "v", "s", ret_group) :
                    streq(name, "LastChange") ? sd_bus_message_read(m, "v", "s", ret_last_change) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *group = "", *text = "";
        Asked *a = userdata;

        (void) read_answer(m, &group, &text);
        if (!*group)
                add_change(a->changes, a->time_usec, a->kind, a->name, a->what, a->error ?: streq(a->what, "changed") ? text : NULL);
        asked_free(a);
        return 0;
}

static int ask(StatusChanges *c, const char *path, uint64_t time_usec, const char *kind, const char *name, const char *what,
               const char *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        sd_bus *bus = engine_follow_bus(c->manager);
        Asked *a;
        int r;

        if (!bus || c->n_asked >= STATUS_ASKED_MAX)
                return -EBUSY;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        *a = (Asked) { .changes = c, .kind = strdup(kind), .name = strdup(name), .what = what, .error = error ? strdup(error) : NULL,
                        .time_usec = time_usec, .next = c->asked };
        c->asked = a;
        c->n_asked++;
        r = a->kind && a->name ? 0 : -ENOMEM;
        if (r >= 0)
                r = sd_bus_message_new_method_call(bus, &call, ENGINE, path, "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", RESOURCE);
        if (r >= 0)
                r = sd_bus_call_async(bus, &a->slot, call, on_answer, a, PATIENCE_USEC);
        if (r < 0)
                asked_free(a);
        return r;
}

static void note(StatusChanges *c, const char *path, uint64_t time_usec, const char *kind, const char *name, const char *what,
                 const char *error) {
        if (ask(c, path, time_usec, kind, name, what, error) < 0)
                add_change(c, time_usec, kind, name, what, error);
}

static Known *known_of(StatusChanges *c, const char *path) {
        Known *k = map_get(c->known, path);

        if (k || map_size(c->known) >= STATUS_KNOWN_MAX)
                return k;
        k = calloc(1, sizeof(*k));
        if (k && map_put(c->known, path, k) < 0) {
                free(k);
                return NULL;
        }
        return k;
}

void status_changes_note(StatusChanges *c, const char *kind, const char *name, const StatusState *now) {
        bool fails = streq(now->state, "failed") || streq(now->state, "retrying"), settled = fails || streq(now->state, "ok");
        _cleanup_free_ char *path = status_object_path(kind, name);
        Known *k = path ? known_of(c, path) : NULL;

        if (!k)
                return;
        if (now->applied_usec > k->applied_usec && now->applied_usec >= c->since_usec)
                note(c, path, now->applied_usec, kind, name, "changed", NULL);
        k->applied_usec = MAX(k->applied_usec, now->applied_usec);
        if (settled && k->fails != fails) {
                note(c, path, usec_now(CLOCK_REALTIME), kind, name, fails ? "failed" : "recovered", fails ? now->error : NULL);
                k->fails = fails;
        }
}

uint64_t *status_changes_told(StatusChanges *c) {
        return &c->told;
}

void status_changes_stop(StatusChanges *c) {
        while (c->asked) {
                const Asked *a = c->asked;

                add_change(c, a->time_usec, a->kind, a->name, a->what, a->error);
                asked_free(c->asked);
        }
}

void status_changes_put(const StatusChanges *c, StrBuf *b) {
        for (size_t i = 0; i < c->n_changes; i++) {
                strbuf_puts(b, i > 0 ? "," : "");
                strbuf_puts(b, c->changes[(c->first_change + i) % STATUS_CHANGES_MAX]);
        }
}

int status_changes_new(StatusChanges **ret, HttpManager *m, void (*tell)(const char *json, void *userdata), void *userdata) {
        StatusChanges *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (StatusChanges) {
                .manager = m, .tell = tell, .userdata = userdata, .since_usec = usec_now(CLOCK_REALTIME), .known = map_new(),
        };
        if (!c->known) {
                free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

StatusChanges *status_changes_free(StatusChanges *c) {
        if (!c)
                return NULL;
        while (c->asked)
                asked_free(c->asked);
        for (size_t i = 0; i < STATUS_CHANGES_MAX; i++)
                free(c->changes[i]);
        map_free_with(c->known, free);
        free(c);
        return NULL;
}
