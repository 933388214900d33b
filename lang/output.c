/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What leaves: the difference between what is declared now and what was sent last; the work is proportional to what changed. If
 * what is declared makes no sense (two resources that contradict each other, an edge to nothing, a cycle) nothing leaves, and
 * everything waits for the next attempt. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/output.h"

/* ---- what makes no sense ---- */

static bool is_given(const ResourceSpec *s, const char *field) {
        for (size_t i = 0; i < s->n_fields; i++)
                if (streq(s->fields[i].name, field))
                        return true;
        return false;
}

/* Of a field that may be unset, being set is one thing and what is in it another. */
char *declared_difference(const Program *p, const ResourceSpec *a, const ResourceSpec *b, const char *field) {
        const SchemaKind *k = schema_kind(p->host.schema, a->kind);
        const SchemaField *f = k ? schema_field(k, field) : NULL;
        bool contents = f && (f->flags & FIELD_OPTIONAL) && is_given(a, field) && is_given(b, field);
        _cleanup_free_ char *name = strdup(f && f->native ? f->native : field);
        char *text = NULL;

        if (!name)
                return NULL;
        if (name[0] >= 'a' && name[0] <= 'z')
                name[0] = (char) (name[0] - 'a' + 'A');
        return asprintf(&text, contents ? "the contents of %s differ" : "the %s differs", name) < 0 ? NULL : text;
}

/* The same without one field: borrows everything but the array. */
static int without_field(ResourceSpec *to, const ResourceSpec *from, const char *field) {
        *to = *from;
        to->n_fields = 0;
        to->fields = calloc(from->n_fields + 1, sizeof(*to->fields));
        if (!to->fields)
                return -ENOMEM;
        for (size_t i = 0; i < from->n_fields; i++)
                if (!streq(from->fields[i].name, field))
                        to->fields[to->n_fields++] = from->fields[i];
        return 0;
}

/* 1 if both say the same, or what differs merges; 0 and a field if not. */
static int agree(const Declared *a, const Declared *b, const SchemaField *merging, const char **ret_field) {
        ResourceSpec x, y;
        int r;

        *ret_field = NULL;
        if (resource_spec_equal(&a->spec, &b->spec, ret_field))
                return 1;
        if (!merging || a->rank < 0 || b->rank < 0)
                return 0;
        r = without_field(&x, &a->spec, merging->name);
        if (r < 0)
                return r;
        r = without_field(&y, &b->spec, merging->name);
        if (r >= 0) {
                r = resource_spec_equal(&x, &y, ret_field);
                free(y.fields);
        }
        free(x.fields);
        return r;
}

/* Several statements may say the same; they must not contradict each other, unless they are about what is hidden. Whoever stands later
 * in the program is to blame. */
static int check_duplicates(FuncGraph *g, const ResourceEntry *e, Diag *reterr) {
        const SchemaField *merging = e->declared && e->declared->next ? merging_field(g->program, e->declared->spec.kind) : NULL;

        for (const Declared *d = e->declared; d && d->next && !d->next->spec.meta.hidden; d = d->next) {
                const char *field;
                int r = agree(d, d->next, merging, &field);
                if (r > 0)
                        continue;
                if (r < 0)
                        return r;
                bool swapped = d->sequence > d->next->sequence;
                const ResourceSpec *a = swapped ? &d->next->spec : &d->spec, *b = swapped ? &d->spec : &d->next->spec;
                _cleanup_free_ char *text = declared_difference(g->program, a, b, field ?: "field");
                r = diag_set(reterr, b->pos, -EEXIST, "%s duplicate resource `%s[%s]` found: %s",
                             merging ? "incompatible" : "inequivalent", a->kind, a->name, text ?: "they differ");
                (void) diag_note(reterr, a->pos, "note: it is declared here already");
                return r;
        }
        return 0;
}

static int missing_end(const EdgeSpec *s, bool from, Diag *reterr) {
        return diag_set(reterr, s->pos, -ENOENT, "edge cannot find resource kind: %s named: `%s`", from ? s->from_kind : s->to_kind,
                        from ? s->from_name : s->to_name);
}

static int check_edge(const EdgeEntry *e, Diag *reterr) {
        const EdgeSpec *s = e->declared ? &e->declared->spec : NULL;

        if (s && !e->from->declared)
                return missing_end(s, true, reterr);
        if (s && !e->to->declared)
                return missing_end(s, false, reterr);
        if (s && s->send_key && e->from->declared->spec.meta.hidden)
                return diag_set(reterr, s->pos, -EINVAL, "cannot send from hidden resource: %s[%s]", s->from_kind, s->from_name);
        return 0;
}

/* Of several that are wrong the one that appeared first is told. */
static void consider(const EdgeEntry *e, const EdgeEntry **ret_first) {
        if (!*ret_first || e->number < (*ret_first)->number)
                *ret_first = e;
}

/* An end that is gone, or is hidden now and must not send. */
static int check_ends(const Output *o, Diag *reterr) {
        const EdgeEntry *wrong = NULL;

        for (const ResourceEntry *e = o->dirty; e; e = e->next_dirty) {
                if (e->declared && !e->declared->spec.meta.hidden)
                        continue;
                for (const EdgeEntry *x = e->first_out; x; x = x->next_out)
                        if (check_edge(x, NULL) < 0)
                                consider(x, &wrong);
                for (const EdgeEntry *x = e->first_in; x; x = x->next_in)
                        if (check_edge(x, NULL) < 0)
                                consider(x, &wrong);
        }
        return wrong ? check_edge(wrong, reterr) : 0;
}

/* Two senders for one field of one receiver: the later one is wrong. */
static int check_receivers(const Output *o, Diag *reterr) {
        const EdgeEntry *wrong = NULL;

        for (const EdgeEntry *e = o->dirty_edge; e; e = e->next_dirty) {
                if (!e->declared || !e->spec.receive_field)
                        continue;
                for (const EdgeEntry *x = e->to->first_in; x; x = x->next_in)
                        if (x != e && x->declared && streq_ptr(x->spec.receive_field, e->spec.receive_field))
                                consider(x->number > e->number ? x : e, &wrong);
        }
        return wrong ? diag_set(reterr, wrong->declared->spec.pos, -EEXIST, "resource: `%s[%s]` has duplicate receive on: `%s` param",
                                wrong->spec.to_kind, wrong->spec.to_name, wrong->spec.receive_field) : 0;
}

static int check_output(FuncGraph *g, Diag *reterr) {
        Output *o = g->output;
        int r = 0;

        for (ResourceEntry *e = o->dirty; e && r >= 0; e = e->next_dirty) {
                r = check_duplicates(g, e, reterr);
                if (r >= 0)
                        r = twins_find(g, e, reterr);
        }
        for (const EdgeEntry *e = o->dirty_edge; e && r >= 0; e = e->next_dirty)
                r = check_edge(e, reterr);
        if (r >= 0)
                r = check_ends(o, reterr);
        if (r >= 0)
                r = check_receivers(o, reterr);
        return r < 0 ? r : output_check_order(o, reterr);
}

/* ---- what changed ---- */

static bool edge_notify(const EdgeEntry *e) {
        for (const DeclaredEdge *d = e->declared; d; d = d->next)
                if (d->spec.notify)
                        return true;
        return false;
}

static int put_edge(ChangeSet *c, const EdgeSpec *s, bool notify, bool cut) {
        EdgeSpec copy = {};
        int r = edge_spec_copy(&copy, s);

        if (r < 0)
                return r;
        copy.notify = notify;
        return cut ? change_set_cut(c, &copy) : change_set_edge(c, &copy);
}

static int put_resource(ChangeSet *c, const ResourceSpec *s) {
        ResourceSpec copy = {};
        int r = resource_spec_copy(&copy, s);

        return r < 0 ? r : change_set_put(c, &copy);
}

static int put_resource_and_twins(ChangeSet *c, const Declared *d, Declared *const *twins, size_t n_twins) {
        int r = put_resource(c, &d->spec);

        for (size_t i = 0; i < n_twins && r >= 0; i++)
                r = put_resource(c, &twins[i]->spec);
        return r;
}

static bool resource_changed_since_sent(const ResourceEntry *e) {
        if (!e->declared || !e->sent)
                return e->declared != e->sent;
        return (e->declared != e->sent && !resource_spec_equal(&e->declared->spec, &e->sent->spec, NULL)) || twins_changed(e);
}

/* Collects the differences; nothing is marked as sent yet. */
static int collect_changes(Output *o, ChangeSet *c) {
        int r = 0;

        for (const ResourceEntry *e = o->dirty; e && r >= 0; e = e->next_dirty) {
                if (!resource_changed_since_sent(e))
                        continue;
                if (e->declared)
                        r = put_resource_and_twins(c, e->declared, e->twins ? e->twins->now : NULL, e->twins ? e->twins->n_now : 0);
                else
                        r = change_set_remove(c, e->sent->spec.kind, e->sent->spec.name);
        }
        for (const EdgeEntry *e = o->dirty_edge; e && r >= 0; e = e->next_dirty) {
                bool notify = edge_notify(e);
                if (!e->declared && e->sent)
                        r = put_edge(c, &e->spec, e->sent_notify, true);
                else if (e->declared && (!e->sent || e->sent_notify != notify))
                        r = put_edge(c, &e->declared->spec, notify, false);
        }
        return r;
}

static void mark_sent(Output *o) {
        while (o->dirty_edge) {
                EdgeEntry *e = o->dirty_edge;
                o->dirty_edge = e->next_dirty;
                e->dirty = false;
                e->sent = e->declared;
                e->sent_notify = edge_notify(e);
                if (!e->declared)
                        edge_entry_free(o, e);
        }
        while (o->dirty) {
                ResourceEntry *e = o->dirty;
                o->dirty = e->next_dirty;
                e->dirty = false;
                if (e->sent != e->declared) {
                        declared_unref(e->sent);
                        e->sent = e->declared;
                        if (e->sent)
                                e->sent->n_ref++;
                }
                twins_mark_sent(e);
                if (!e->declared && !e->first_out && !e->first_in)
                        resource_entry_free(o, e);
        }
}

/* Entries were put in front as they became dirty; the order of the program is nicer to read. */
static void reverse_dirty(Output *o) {
        ResourceEntry *reversed = NULL;
        EdgeEntry *reversed_edge = NULL;

        while (o->dirty) {
                ResourceEntry *e = o->dirty;
                o->dirty = e->next_dirty;
                e->next_dirty = reversed;
                reversed = e;
        }
        while (o->dirty_edge) {
                EdgeEntry *e = o->dirty_edge;
                o->dirty_edge = e->next_dirty;
                e->next_dirty = reversed_edge;
                reversed_edge = e;
        }
        o->dirty = reversed;
        o->dirty_edge = reversed_edge;
}

int output_commit(FuncGraph *g, ChangeSet *ret, Diag *reterr) {
        ChangeSet c = {};
        int r;

        reverse_dirty(g->output);
        r = check_output(g, reterr);
        if (r < 0)
                return r;
        r = collect_changes(g->output, &c);
        if (r < 0) {
                change_set_done(&c);
                return r;
        }
        mark_sent(g->output);
        *ret = c;
        return 0;
}

int output_snapshot(Output *o, ChangeSet *ret) {
        ChangeSet c = { .full = true };
        int r = 0;

        for (const ResourceEntry *e = o->first; e && r >= 0; e = e->next)
                if (e->sent)
                        r = put_resource_and_twins(&c, e->sent, e->twins ? e->twins->sent : NULL, e->twins ? e->twins->n_sent : 0);
        for (const EdgeEntry *e = o->first_edge; e && r >= 0; e = e->next)
                if (e->sent)
                        r = put_edge(&c, &e->spec, e->sent_notify, false);
        if (r < 0) {
                change_set_done(&c);
                return r;
        }
        *ret = c;
        return 0;
}
