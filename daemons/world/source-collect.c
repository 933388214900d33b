/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What other hosts export to this one: of which there is something (world/collect.res), and the resources themselves for the collect
 * statement (_collect), under names that the program gives. */

#include <errno.h>
#include <stdio.h>

#include "daemons/world/collector.h"
#include "daemons/world/world-manager.h"

typedef struct CollectSource {
        Source source;
        char *kind;
        Value names;            /* str, list of str, or list of struct{name str; host str}; nil: all */
        Collecting *collecting;
} CollectSource;

static bool name_matches(Value wanted, const CollectRecord *r) {
        const Value *name, *host;

        if (wanted.kind == TYPE_STR)
                return streq(value_cstr(wanted), r->name);
        name = value_struct_get(wanted, "name");
        host = value_struct_get(wanted, "host");
        return streq(value_cstr(*name), r->name) && (host->s->size == 0 || streq(value_cstr(*host), r->host));
}

static bool is_wanted(const CollectSource *c, const CollectRecord *r) {
        if (c->names.kind != TYPE_LIST)
                return c->names.kind == TYPE_NIL || name_matches(c->names, r);
        for (uint32_t i = 0; i < c->names.l->n; i++)
                if (name_matches(value_list_at(c->names.l, i), r))
                        return true;
        return false;
}

static int make_item(const CollectRecord *r, bool with_data, Value *ret) {
        static const char *const names[] = { "name", "host", "data" };
        Value values[3] = {};
        int k;

        k = value_strz(&values[0], r->name);
        if (k >= 0)
                k = value_strz(&values[1], r->host);
        if (k < 0) {
                value_done(&values[0]);
                return k;
        }
        if (with_data)
                values[2] = value_ref(r->data);
        return value_struct(ret, names, values, with_data ? 3 : 2);
}

static void on_records(const CollectRecord *const *records, size_t n, void *userdata) {
        CollectSource *c = userdata;
        Value *items = calloc(n + 1, sizeof(Value)), v = VALUE_NIL;
        size_t n_items = 0;
        int r = items ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && r >= 0; i++)
                if (is_wanted(c, records[i])) {
                        r = make_item(records[i], c->names.kind != TYPE_NIL, &items[n_items]);
                        n_items += r >= 0;
                }
        if (r >= 0)
                r = value_list(&v, items, n_items);
        else
                while (n_items > 0)
                        value_done(&items[--n_items]);
        free(items);
        source_result(&c->source, r, v);
}

static int start(CollectSource *c, Diag *reterr) {
        WorldManager *m = c->source.host->manager;
        int r = collector_open(m->collectors, c->source.host->hostname, c->kind, on_records, c, &c->collecting);

        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot collect '%s': %m", c->kind) : 0;
}

static int res_open(Source *s, Diag *reterr) {
        CollectSource *c = (CollectSource *) s;
        int r;

        if (s->args[0].s->size == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "resource kind is empty");
        r = source_name(s, 0, "resource kind", &c->kind, reterr);
        return r < 0 ? r : start(c, reterr);
}

static int check_names(Value names, Diag *reterr) {
        static const Type *structs;

        if (!structs && type_parse(NULL, "[]struct{name str; host str}", &structs, NULL) < 0)
                return -ENOMEM;
        if (names.kind == TYPE_STR || value_check_type(names, &type_list_str, NULL) >= 0 || value_check_type(names, structs, NULL) >= 0)
                return 0;
        return diag_set(reterr, (Pos) {}, -EBADMSG, "unexpected type of names");
}

static int take_names(CollectSource *c, Diag *reterr) {
        int r = check_names(c->source.args[1], reterr);

        if (r < 0)
                return r;
        value_done(&c->names);
        c->names = value_ref(c->source.args[1]);
        return 0;
}

/* Of nothing there is nothing, which needs no asking. */
static int collect_begin(CollectSource *c, Diag *reterr) {
        if (c->names.kind != TYPE_LIST || c->names.l->n > 0)
                return start(c, reterr);
        on_records(NULL, 0, c);
        return 0;
}

static int collect_open(Source *s, Diag *reterr) {
        CollectSource *c = (CollectSource *) s;
        int r;

        r = source_name(s, 0, "kind", &c->kind, reterr);
        if (r >= 0)
                r = take_names(c, reterr);
        return r < 0 ? r : collect_begin(c, reterr);
}

static int collect_change(Source *s, Diag *reterr) {
        CollectSource *c = (CollectSource *) s;
        int r;

        if (!streq(value_cstr(s->args[0]), c->kind))
                return diag_set(reterr, (Pos) {}, -EINVAL, "can't change kind, previously: `%s`", c->kind);
        r = take_names(c, reterr);
        if (r < 0)
                return r;
        if (!c->collecting)
                return collect_begin(c, reterr);
        collector_tell(c->collecting);
        return 0;
}

static void collect_close(Source *s) {
        CollectSource *c = (CollectSource *) s;

        c->collecting = collector_close(c->collecting);
        value_done(&c->names);
        free(c->kind);
}

const SourceType collect_sources[] = {
        { .name = "_collect", .takes = "func(str, variant)", .size = sizeof(CollectSource), .open = collect_open,
          .change = collect_change, .close = collect_close },
        { .name = "world/collect.res", .takes = "func(str)", .size = sizeof(CollectSource), .open = res_open, .close = collect_close },
        {}
};
