/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "common/strbuf.h"
#include "daemons/engine/clean-text.h"
#include "daemons/engine/drift.h"
#include "daemons/engine/engine-manager.h"

static void forget(Vertex *v) {
        if (!v->differences)
                return;
        differences_done(v->differences);
        free(TAKE_PTR(v->differences));
}

/* A vertex that would be changed, or whose state is a guess because of one. */
static bool is_guess(const Vertex *root) {
        return root->resource->meta.noop && (root->state == VERTEX_DRIFTED || root->behind_drift);
}

static bool is_behind_drift(const Vertex *root) {
        const Manager *m = root->manager;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const GraphAdjacency *in = graph_predecessors(m->graph, vertex_member((Vertex *) root, i)->id);
                for (uint32_t k = 0; k < in->n; k++) {
                        const Vertex *p = vertex_root(manager_vertex(m, in->items[k].peer));
                        if (p != root && is_guess(p))
                                return true;
                }
        }
        return false;
}

void drift_begin(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                forget(v);
                v->resource->applies = !root->resource->meta.noop;
        }
        root->behind_drift = root->resource->meta.noop && is_behind_drift(root);
}

void drift_add(Vertex *member, Difference *d) {
        _cleanup_(difference_done) Difference own = *d;

        *d = (Difference) {};
        if (vertex_root(member)->state != VERTEX_RUNNING)
                return;
        if (!member->differences)
                member->differences = calloc(1, sizeof(*member->differences));
        if (member->differences)
                (void) differences_add(member->differences, &own);
}

static void add(Vertex *v, const char *field, char *to, unsigned flags) {
        Difference d = { .field = strdup(field), .to = to, .flags = flags };

        if (d.field)
                drift_add(v, &d);
        difference_done(&d);
}

/* ---- guesses ---- */

bool drift_hides_value(Vertex *v, const Receive *in) {
        const Vertex *sender = manager_vertex(v->manager, in->sender);
        char *text;

        if (!vertex_root(v)->resource->meta.noop || !sender || !sender->differences)
                return false;
        for (size_t i = 0; i < sender->differences->n; i++) {
                const Difference *d = &sender->differences->items[i];
                if (!(d->flags & DIFFERENCE_UNKNOWN) || !streq(d->field, in->send_key))
                        continue;
                if (asprintf(&text, "%s[%s] has to send it first", vertex_kind(sender), vertex_name(sender)) < 0)
                        text = NULL;
                add(v, in->field, text, DIFFERENCE_UNKNOWN);
                return true;
        }
        return false;
}

static const Vertex *would_be_notified_by(const Vertex *root) {
        const Manager *m = root->manager;

        if (!root->resource->meta.noop)
                return NULL;
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *v = vertex_member((Vertex *) root, i);
                if (!(v->resource->type->flags & RESOURCE_REFRESHABLE))
                        continue;
                const GraphAdjacency *in = graph_predecessors(m->graph, v->id);
                for (uint32_t k = 0; k < in->n; k++) {
                        Vertex *p = manager_vertex(m, in->items[k].peer);
                        if ((in->items[k].data & EDGE_PENDING) ||
                            ((in->items[k].data & EDGE_NOTIFY) && vertex_root(p) != root && vertex_root(p)->state == VERTEX_DRIFTED))
                                return p;
                }
        }
        return NULL;
}

bool drift_would_notify(const Vertex *root) {
        return would_be_notified_by(root);
}

void drift_add_notification(Vertex *root) {
        const Vertex *by = would_be_notified_by(root);
        char *text;

        if (!by)
                return;
        if (asprintf(&text, "notified by %s[%s]", vertex_kind(by), vertex_name(by)) < 0)
                text = NULL;
        add(root, "refresh", text, 0);
}

void drift_add_reversal(Vertex *root) {
        add(root, "undo", strdup("it is not in the program any more"), 0);
}

/* A daemon that is not there yet is coming: that says nothing about the resource. */
bool drift_excuses(Vertex *root, int error, const Diag *diag) {
        const char *why = diag->message ? diag->message : root->error.message;

        bool waits = error == -EAGAIN && root->manager->options.plan;

        if (!root->resource->meta.noop || !(root->behind_drift || waits))
                return false;
        if (error == -EAGAIN && proxies_waits_for_daemon(root->resource))
                return false;
        /* One that has said what it would do needs no other excuse. */
        if (!root->differences || root->differences->n == 0)
                add(root, "", strdup(why ? why : strerrordesc_np(-error)), DIFFERENCE_UNKNOWN);
        return true;
}

/* ---- the end of an attempt ---- */

/* "content, mode" */
static char *fields_text(const Differences *list) {
        StrBuf b = {};

        for (size_t i = 0; i < list->n; i++)
                if (i == 0 || !streq(list->items[i].field, list->items[i - 1].field))
                        strbuf_printf(&b, "%s%s", i > 0 ? ", " : "", list->items[i].field);
        return strbuf_take(&b);
}

void drift_applied(Vertex *root) {
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                Vertex *v = vertex_member(root, i);
                _cleanup_free_ char *text = v->differences ? fields_text(v->differences) : NULL;

                if (!v->differences && v != root)
                        continue;
                free(v->last_change);
                v->last_change = clean_text(text);
                forget(v);
        }
}

void drift_noticed(Vertex *root, bool drifted) {
        Manager *m = root->manager;
        bool guess = drifted || root->behind_drift;

        if (!drifted)
                for (size_t i = 0; i < vertex_n_members(root); i++)
                        forget(vertex_member(root, i));
        if (guess == root->was_guess && drifted == root->was_drifted)
                return;
        root->was_guess = guess;
        root->was_drifted = drifted;
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const GraphAdjacency *out = graph_successors(m->graph, vertex_member(root, i)->id);
                for (uint32_t k = 0; k < out->n; k++) {
                        Vertex *s = vertex_root(manager_vertex(m, out->items[k].peer));
                        if (s != root && s->resource->meta.noop)
                                scheduler_dirty(&m->scheduler, s);
                }
        }
}

char *drift_text(const Vertex *root, bool with_diffs) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *v = vertex_member((Vertex *) root, i);
                _cleanup_free_ char *text = v->differences ? differences_text(v->differences, with_diffs) : NULL;

                if (!text)
                        continue;
                strbuf_puts(&b, b.size == 0 ? "" : with_diffs ? "\n" : ", ");
                if (v != root)
                        strbuf_printf(&b, "%s[%s] ", vertex_kind(v), vertex_name(v));
                strbuf_puts(&b, text);
        }
        return b.size > 0 ? strbuf_take(&b) : NULL;
}
