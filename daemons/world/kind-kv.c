/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A key in the shared store. Reading and writing go by the store's answers, so an attempt is a small state machine: read,
 * compare, write. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "common/resource.h"
#include "daemons/world/keys.h"
#include "daemons/world/world-manager.h"

typedef enum SkipStyle {
        SKIP_INT,               /* compares whole numbers */
        SKIP_STR,               /* compares bytes */
        _SKIP_STYLE_MAX,
} SkipStyle;

typedef struct Kv {
        Resource resource;
        char *key;
        char *value;            /* NULL: the key shall not exist */
        bool mapped;
        bool skip_less_than;
        int64_t skip_style;     /* SkipStyle */

        KeysWatch *watch;
        bool armed;
        bool waiting;           /* the store could not be reached when it was needed */
        KeysCall *call;         /* of the attempt under way */
        bool apply;
} Kv;

static const FieldSpec kv_fields[] = {
        FIELD(Kv, key, FIELD_STR, FIELD_IS_NAME, "Key in the store."),
        FIELD(Kv, value, FIELD_STR, FIELD_OPTIONAL, "Value of the key. Without one, the key is removed."),
        FIELD(Kv, mapped, FIELD_BOOL, 0, "Whether the key has one value for each host, of which this is ours, or one for all."),
        FIELD_NAMED(Kv, skip_less_than, "skiplessthan", FIELD_BOOL, 0,
                    "Only ever increases the value: a greater one that is there already is left in peace. A notification writes it "
                    "nevertheless.", .native = "SkipLessThan"),
        FIELD_NAMED(Kv, skip_style, "skipcmpstyle", FIELD_INT64, 0,
                    "How skiplessthan compares: 0 as whole numbers, 1 as bytes.", .native = "SkipCmpStyle"),
        {}
};

/* Our part of the map, or NULL for the value of all. */
static const char *kv_host(const Kv *kv) {
        return kv->mapped ? kv->resource.host->hostname : NULL;
}

static bool parse_number(const char *s, int64_t *ret) {
        const char *digits = s + (s[0] == '-' || s[0] == '+');
        char *end;

        if (digits[0] < '0' || digits[0] > '9')
                return false;
        errno = 0;
        *ret = strtoll(s, &end, 10);
        return errno == 0 && *end == 0;
}

static int kv_validate(const Resource *r, Diag *reterr) {
        const Kv *kv = (const Kv *) r;
        int64_t number;

        if (!kv->skip_less_than)
                return 0;
        if (kv->skip_style < 0 || kv->skip_style >= _SKIP_STYLE_MAX)
                return resource_error(r, reterr, -EINVAL, "skipcmpstyle must be 0 or 1, got '%lld'", (long long) kv->skip_style);
        if (kv->skip_style == SKIP_INT && kv->value && !parse_number(kv->value, &number))
                return resource_error(r, reterr, -EINVAL, "value must be a whole number for skiplessthan, got '%s'", kv->value);
        return 0;
}

static bool kv_equal(const Resource *a, const Resource *b, const char **ret_field) {
        const Kv *x = (const Kv *) a, *y = (const Kv *) b;
        const char *differs =
                !streq(x->key, y->key) ? "key" :
                !streq_ptr(x->value, y->value) ? "value" :
                x->mapped != y->mapped ? "mapped" :
                x->skip_less_than != y->skip_less_than ? "skiplessthan" :
                x->skip_style != y->skip_style ? "skipcmpstyle" : NULL;

        if (differs && ret_field)
                *ret_field = differs;
        return !differs;
}

/* ---- watch ---- */

static void on_news(KeysWatch *w, const KeysNews *news, void *userdata) {
        Kv *kv = userdata;
        Resource *r = &kv->resource;

        /* Where nothing can be read yet, an attempt finds out why; what comes later is a change. */
        if (!kv->armed) {
                kv->armed = true;
                resource_armed(r);
        } else if (!news->back || kv->waiting)
                resource_changed(r);
}

static int kv_watch(Resource *r, Diag *reterr) {
        Kv *kv = (Kv *) r;
        WorldManager *m = r->host->manager;
        int e;

        kv->armed = false;
        e = keys_watch(m->keys, kv->key, kv_host(kv), on_news, kv, &kv->watch);
        if (e < 0)
                return resource_error(r, reterr, e, "cannot watch key '%s': %m", kv->key);
        return 0;
}

static void kv_unwatch(Resource *r) {
        Kv *kv = (Kv *) r;

        kv->watch = keys_watch_free(kv->watch);
}

/* ---- check and apply ---- */

static void kv_cancel(Resource *r) {
        Kv *kv = (Kv *) r;

        kv->call = keys_call_cancel(kv->call);
}

static void end(Kv *kv, int result, Diag *diag) {
        kv_cancel(&kv->resource);
        resource_finish(&kv->resource, result, diag);
}

static void fail(Kv *kv, int error, const char *problem, const char *what) {
        _cleanup_(diag_done) Diag diag = {};

        (void) resource_error(&kv->resource, &diag, error, "cannot %s key '%s': %s", what, kv->key, problem ?: strerrordesc_np(-error));
        end(kv, error, &diag);
}

/* A store that cannot be reached is waited for, as any service is. */
static int wait_for_store(Kv *kv, const char *problem) {
        _cleanup_free_ char *reason = NULL;

        if (asprintf(&reason, "the store cannot be reached: %s", problem ?: "it does not answer") < 0)
                reason = NULL;
        kv->waiting = true;
        return resource_waiting(&kv->resource, reason ?: "the store cannot be reached");
}

static void unreachable(Kv *kv, const char *problem) {
        end(kv, wait_for_store(kv, problem), &(Diag) {});
}

/* Whether what is there may stay although it is not what is wanted. */
static bool is_great_enough(const Kv *kv, const char *stored) {
        int64_t there, wanted;

        if (!kv->skip_less_than || resource_refresh(&kv->resource))
                return false;
        if (kv->skip_style == SKIP_STR)
                return strcmp(kv->value, stored) < 0;
        return parse_number(stored, &there) && parse_number(kv->value, &wanted) && wanted < there;
}

static bool is_right(const Kv *kv, Value stored) {
        if (!kv->value)
                return stored.kind == TYPE_NIL;
        if (stored.kind == TYPE_NIL)
                return false;
        return (stored.s->size == strlen(kv->value) && streq(value_cstr(stored), kv->value)) ||
                is_great_enough(kv, value_cstr(stored));
}

static void kv_read(Kv *kv);

static void on_written(const KeysReply *reply, void *userdata) {
        Kv *kv = userdata;

        kv->call = NULL;
        if (reply->error == -EINPROGRESS)
                kv_read(kv);    /* whether it happened is to be seen */
        else if (reply->error == -EHOSTDOWN)
                unreachable(kv, reply->problem);
        else if (reply->error < 0)
                fail(kv, reply->error, reply->problem, kv->value ? "write" : "remove");
        else
                end(kv, reply->changed ? CHECK_CHANGED : CHECK_OK, NULL);
}

static void on_read(const KeysReply *reply, void *userdata) {
        Kv *kv = userdata;
        WorldManager *m = kv->resource.host->manager;
        _cleanup_(value_done) Value wanted = {};
        int r;

        kv->call = NULL;
        if (reply->error == -EHOSTDOWN)
                return unreachable(kv, reply->problem);
        if (reply->error < 0)
                return fail(kv, reply->error, reply->problem, "read");
        if (is_right(kv, reply->value))
                return end(kv, CHECK_OK, NULL);
        resource_differs_bytes(&kv->resource, "value", reply->value.kind == TYPE_NIL ? NULL : value_cstr(reply->value),
                               reply->value.kind == TYPE_NIL ? 0 : reply->value.s->size, kv->value, kv->value ? strlen(kv->value) : 0);
        if (!kv->apply)
                return end(kv, CHECK_CHANGED, NULL);

        r = kv->value ? value_strz(&wanted, kv->value) : 0;
        if (r >= 0)
                r = keys_set(m->keys, kv->key, kv_host(kv), wanted, kv->watch, on_written, kv, &kv->call);
        if (r < 0)
                fail(kv, r, NULL, "write");
}

static void kv_read(Kv *kv) {
        WorldManager *m = kv->resource.host->manager;
        int r = keys_get(m->keys, kv->key, kv_host(kv), on_read, kv, &kv->call);

        if (r < 0)
                fail(kv, r, NULL, "read");
}

static int kv_check_apply(Resource *r, bool apply, Diag *reterr) {
        Kv *kv = (Kv *) r;
        WorldManager *m = r->host->manager;
        int e;

        if (resource_received(r, "value"))
                resource_log(r, LOG_INFO, kv->value ? "received a value for key '%s'" : "received no value for key '%s'", kv->key);
        kv->apply = apply;
        kv->waiting = false;
        if (keys_problem(m->keys))
                return wait_for_store(kv, keys_problem(m->keys));
        e = keys_get(m->keys, kv->key, kv_host(kv), on_read, kv, &kv->call);
        if (e < 0)
                return resource_error(r, reterr, e, "cannot read key '%s': %m", kv->key);
        return CHECK_PENDING;
}

const ResourceType kv_type = {
        .kind = "kv",
        .doc = "A key and its value in the store that all hosts share. Programs read it with world.getval(), mapped ones with "
               "world.kvlookup(). The value stays when the resource goes.",
        .example = "kv \"greeting\" {\n\tvalue => \"hello\",\n}\n",
        .size = sizeof(Kv),
        .flags = RESOURCE_REFRESHABLE|RESOURCE_RECEIVES,
        .fields = kv_fields,
        .validate = kv_validate,
        .watch = kv_watch,
        .unwatch = kv_unwatch,
        .check_apply = kv_check_apply,
        .cancel = kv_cancel,
        .equal = kv_equal,
};
