/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Memory and lists of vertices. What happens to them is in scheduler.c and graph-swap.c. */

#include <systemd/sd-event.h>

#include "daemons/engine/clean-text.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/vertex.h"

static const char *const state_names[_VERTEX_STATE_MAX] = {
        [VERTEX_WAITING] = "waiting",
        [VERTEX_RUNNING] = "running",
        [VERTEX_OK] = "ok",
        [VERTEX_DRIFTED] = "drifted",
        [VERTEX_RETRYING] = "retrying",
        [VERTEX_FAILED] = "failed",
};

const char *vertex_state_name(VertexState s) {
        return (unsigned) s < _VERTEX_STATE_MAX ? state_names[s] : NULL;
}

int vertex_new(Vertex **ret, Manager *m, Resource *resource) {
        Vertex *v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->manager = m;
        v->resource = resource;
        v->id = VERTEX_NONE;
        v->told = VERTEX_OK;
        v->serial = ++m->last_serial;
        TAILQ_INIT(&v->waiters);
        resource->vertex = v;
        *ret = v;
        return 0;
}

void receive_done(Receive *r) {
        free(r->send_key);
        free(r->field);
        value_done(&r->declared);
        *r = (Receive) {};
}

Vertex *vertex_free(Vertex *v) {
        if (!v)
                return NULL;
        vertex_unlist(v);
        sd_event_source_disable_unref(v->delay_timer);
        sd_event_source_disable_unref(v->timeout_timer);
        sd_event_source_disable_unref(v->poll_timer);
        sd_event_source_disable_unref(v->limit_timer);
        if (v->group)
                free(v->group->members);
        free(v->group);
        for (size_t i = 0; i < v->n_receives; i++)
                receive_done(&v->receives[i]);
        free(v->receives);
        vertex_forget_sent(v);
        free(v->sent);
        free(v->auto_edges);
        free(v->semaphores);
        if (v->differences)
                differences_done(v->differences);
        free(v->differences);
        free(v->last_change);
        diag_done(&v->error);
        vertex_set_export_error(v, NULL);
        vertex_set_twins(v, NULL, 0);
        resource_free(v->resource);
        free(v);
        return NULL;
}

void vertex_set_twins(Vertex *v, Resource **twins, size_t n) {
        for (size_t i = 0; i < v->n_twins; i++)
                resource_free(v->twins[i]);
        free(v->twins);
        v->twins = twins;
        v->n_twins = n;
}

void vertex_set_export_error(Vertex *v, Diag *diag) {
        if (v->export_error)
                diag_done(v->export_error);
        free(TAKE_PTR(v->export_error));
        if (diag && (v->export_error = calloc(1, sizeof(Diag))))
                diag_move(v->export_error, diag);
}

void vertex_set_error(Vertex *v, Diag *diag) {
        diag_move(&v->error, diag);
        if (!v->error.message)
                return;
        char *clean = clean_text(v->error.message);
        if (!clean)
                return;
        free(v->error.message);
        v->error.message = clean;
}

void vertex_unlist(Vertex *v) {
        if (!v->list)
                return;
        TAILQ_REMOVE(v->list, v, link);
        v->list = NULL;
        v->blocker = NULL;
}

void vertex_enlist(Vertex *v, VertexList *list) {
        vertex_unlist(v);
        TAILQ_INSERT_TAIL(list, v, link);
        v->list = list;
}

const Value *vertex_sent(const Vertex *v, const char *key) {
        for (size_t i = 0; i < v->n_sent; i++)
                if (streq(v->sent[i].key, key))
                        return &v->sent[i].value;
        return NULL;
}

int vertex_send(Vertex *v, const char *key, Value value) {
        const FieldSpec *f = v->resource->type->sends ? field_find(v->resource->type->sends, key) : NULL;
        if (!f)
                return -EINVAL;

        for (size_t i = 0; i < v->n_sent; i++)
                if (streq(v->sent[i].key, key)) {
                        if (value_equal(v->sent[i].value, value))
                                return 0;
                        value_done(&v->sent[i].value);
                        v->sent[i].value = value_ref(value);
                        return 1;
                }

        if (GROW(v->sent, v->n_sent, v->capacity_sent) < 0)
                return -ENOMEM;
        v->sent[v->n_sent++] = (SentValue) { .key = f->name, .value = value_ref(value) };
        return 1;
}

void vertex_forget_sent(Vertex *v) {
        for (size_t i = 0; i < v->n_sent; i++)
                value_done(&v->sent[i].value);
        v->n_sent = 0;
}
