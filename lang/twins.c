/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Hidden resources may stand beside one of the same kind and name, and beside each other: they do nothing here but be exported, so
 * they cannot contradict each other, unless it is before one host. What is said of them twice counts once. */

#include <errno.h>
#include <string.h>

#include "lang/declared.h"

Twins *twins_free(Twins *t) {
        if (!t)
                return NULL;
        for (size_t i = 0; i < t->n_sent; i++)
                declared_unref(t->sent[i]);
        free(t->sent);
        free(t->now);
        free(t);
        return NULL;
}

/* ---- what is exported ---- */

static bool says_the_same(const Declared *a, const Declared *b, const char **ret_field) {
        ResourceSpec x = a->spec, y = b->spec;

        x.meta.export = y.meta.export = NULL;   /* to whom is not passed on */
        return resource_spec_equal(&x, &y, ret_field);
}

static int refuse(const FuncGraph *g, const Declared *a, const Declared *b, const char *host, const char *field, Diag *reterr) {
        const ResourceSpec *first = a->sequence <= b->sequence ? &a->spec : &b->spec, *later = first == &a->spec ? &b->spec : &a->spec;
        _cleanup_free_ char *text = declared_difference(g->program, first, later, field ?: "field");
        int r = diag_set(reterr, later->pos, -EEXIST, "inequivalent duplicate export: %s[%s] to %s: %s", later->kind, later->name, host,
                         text ?: "they differ");

        (void) diag_note(reterr, first->pos, "note: it is exported here already");
        return r;
}

static int add_exports(const FuncGraph *g, Map *by_host, Declared *d, Diag *reterr) {
        for (char **host = d->spec.meta.export; host && *host; host++) {
                const Declared *other = map_get(by_host, *host);
                const char *field = NULL;
                int r;

                if (other && !says_the_same(other, d, &field))
                        return refuse(g, other, d, *host, field, reterr);
                r = other ? 0 : map_put(by_host, *host, d);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_exports(const FuncGraph *g, const ResourceEntry *e, Diag *reterr) {
        _cleanup_(map_freep) Map *by_host = map_new();
        int r = by_host ? add_exports(g, by_host, e->declared, reterr) : -ENOMEM;

        for (size_t i = 0; i < e->twins->n_now && r >= 0; i++)
                r = add_exports(g, by_host, e->twins->now[i], reterr);
        return r;
}

/* ---- which there are ---- */

static const Declared *first_hidden(const ResourceEntry *e) {
        const Declared *d = e->declared;

        while (d && !d->spec.meta.hidden)
                d = d->next;
        return d;
}

/* In another order the same fields count as something else, which does no harm. */
static int list_distinct(Twins *t, const ResourceEntry *e, const Declared *hidden) {
        _cleanup_(map_freep) Map *seen = map_new();
        size_t n = 0;

        if (!seen)
                return -ENOMEM;
        for (const Declared *d = hidden; d; d = d->next)
                n++;
        Declared **now = reallocarray(t->now, n + 1, sizeof(*now));
        if (!now)
                return -ENOMEM;
        t->now = now;
        for (Declared *d = (Declared *) hidden; d; d = d->next) {
                uint64_t hash = resource_spec_hash(&d->spec);
                int r = map_put_n(seen, &hash, sizeof(hash), d);
                if (r < 0)
                        return r;
                if (r > 0 && d != e->declared)
                        now[t->n_now++] = d;
        }
        return 0;
}

int twins_find(FuncGraph *g, ResourceEntry *e, Diag *reterr) {
        const Declared *hidden = first_hidden(e);
        bool any = hidden && e->declared->next;
        int r;

        if (any && !e->twins && !(e->twins = calloc(1, sizeof(Twins))))
                return -ENOMEM;
        if (!e->twins)
                return 0;
        e->twins->found = true;
        e->twins->n_now = 0;
        if (!any)
                return 0;
        r = list_distinct(e->twins, e, hidden);
        return r < 0 ? r : check_exports(g, e, reterr);
}

bool twins_changed(const ResourceEntry *e) {
        const Twins *t = e->twins;

        if (!t)
                return false;
        if (t->n_now != t->n_sent)
                return true;
        for (size_t i = 0; i < t->n_now; i++)
                if (t->now[i] != t->sent[i] && !resource_spec_equal(&t->now[i]->spec, &t->sent[i]->spec, NULL))
                        return true;
        return false;
}

void twins_mark_sent(ResourceEntry *e) {
        Twins *t = e->twins;

        if (!t || !t->found)
                return;
        t->found = false;
        for (size_t i = 0; i < t->n_now; i++)
                t->now[i]->n_ref++;
        for (size_t i = 0; i < t->n_sent; i++)
                declared_unref(t->sent[i]);
        free(t->sent);
        t->sent = TAKE_PTR(t->now);
        t->n_sent = t->n_now;
        t->n_now = 0;
        if (t->n_sent == 0)
                e->twins = twins_free(t);
}
