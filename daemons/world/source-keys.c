/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is under a key: of this host, where resources value keep it (value.get and the like), and of all hosts, where resources kv do
 * (world.getval, world.kvlookup). */

#include <errno.h>

#include "daemons/world/keys.h"
#include "daemons/world/world-manager.h"

typedef struct KeySource KeySource;

/* Makes the value of the function of what is stored (nil: nothing is). */
typedef int (*key_show_t)(const KeySource *k, Value stored, Value *ret, Diag *reterr);

struct KeySource {
        Source source;
        char *key;
        key_show_t show;
        KeysWatch *watch;
};

static void on_news(KeysWatch *w, const KeysNews *news, void *userdata) {
        _cleanup_(diag_done) Diag d = {};
        KeySource *k = userdata;
        Value v;
        int r;

        if (news->back || (news->none && news->error == -EHOSTDOWN))
                return;
        if (news->error < 0) {
                source_failf(&k->source, false, news->error, "channel read failed on `%s`: %m", k->key);
                return;
        }
        r = k->show(k, news->value, &v, &d);
        if (r < 0)
                source_failf(&k->source, false, r, "%s", d.message ?: strerrordesc_np(-r));
        else
                source_set(&k->source, v);
}

static int key_open(Source *s, const char *what, Keys *keys, bool map, key_show_t how, Diag *reterr) {
        KeySource *k = (KeySource *) s;
        int r;

        k->show = how;
        r = source_name(s, 0, what, &k->key, reterr);
        if (r < 0)
                return r;
        r = map ? keys_watch_map(keys, k->key, on_news, k, &k->watch) : keys_watch(keys, k->key, NULL, on_news, k, &k->watch);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "channel watch failed on `%s`: %m", k->key) : 0;
}

static void key_close(Source *s) {
        KeySource *k = (KeySource *) s;

        keys_watch_free(k->watch);
        free(k->key);
}

/* A value, and whether there is one. */
static int pair(Value *ret, const char *flag, Value v, bool is_there) {
        return value_struct(ret, (const char *const[]) { "value", flag }, (Value[]) { v, VALUE_BOOL(is_there) }, 2);
}

/* ---- value ---- */

static const Type *value_type_of(const KeySource *k) {
        return k->source.result->fields[0].type;
}

static int show_value(const KeySource *k, Value stored, Value *ret, Diag *reterr) {
        bool ready = stored.kind != TYPE_NIL;
        Value v;
        int r;

        if (ready) {
                r = value_check_type(stored, value_type_of(k), reterr);
                if (r < 0) {
                        diag_prefix(reterr, "type mismatch, check type in Value[%s]", k->key);
                        return r;
                }
                v = value_ref(stored);
        } else {
                r = value_zero(&v, value_type_of(k));
                if (r < 0)
                        return diag_set(reterr, (Pos) {}, r, "a value of this type cannot be kept: %m");
        }
        return pair(ret, "ready", v, ready);
}

static int value_open(Source *s, Diag *reterr) {
        const Type *t = s->result;
        WorldManager *m = s->host->manager;

        if (t->kind != TYPE_STRUCT || t->n_fields != 2 || !streq(t->fields[0].name, "value"))
                return diag_set(reterr, (Pos) {}, -EBADMSG, "%s() gives a struct of value and ready", s->function);
        return key_open(s, "key", m->local, false, show_value, reterr);
}

/* ---- world ---- */

static int show_string(const KeySource *k, Value stored, Value *ret, Diag *reterr) {
        bool exists = stored.kind != TYPE_NIL;
        Value v = value_ref(stored);
        int r = exists ? 0 : value_strz(&v, "");

        return r < 0 ? r : pair(ret, "exists", v, exists);
}

static int getval_open(Source *s, Diag *reterr) {
        return key_open(s, "key", ((WorldManager *) s->host->manager)->keys, false, show_string, reterr);
}

static int show_map(const KeySource *k, Value stored, Value *ret, Diag *reterr) {
        *ret = value_ref(stored);
        return 0;
}

static int kvlookup_open(Source *s, Diag *reterr) {
        return key_open(s, "namespace", ((WorldManager *) s->host->manager)->keys, true, show_map, reterr);
}

#define KEY_SOURCE(function, how) \
        { .name = (function), .takes = "func(str)", .size = sizeof(KeySource), .open = (how), .close = key_close }

const SourceType keys_sources[] = {
        KEY_SOURCE("value.get", value_open),
        KEY_SOURCE("value.get_bool", value_open),
        KEY_SOURCE("value.get_float", value_open),
        KEY_SOURCE("value.get_int", value_open),
        KEY_SOURCE("value.get_str", value_open),
        KEY_SOURCE("world.getval", getval_open),
        KEY_SOURCE("world.kvlookup", kvlookup_open),
        {}
};
