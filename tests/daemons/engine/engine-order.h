/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What must hold of an engine whenever nothing is ready any more. */

#include "daemons/engine/semaphore.h"
#include "tests/daemons/engine/engine-test.h"

#define CHECK_VERTEX(condition) \
        do { \
                if (!(condition)) \
                        TEST_FAIL("%s[%s] (%s): %s", vertex_kind(v), vertex_name(v), vertex_state_name(v->state), #condition); \
        } while (0)

static bool may_wait_for_semaphore(const Vertex *v) {
        return v->list && !v->blocker && v->list != &v->manager->scheduler.ready && semaphores_taken(v);
}

static void check_root(Engine *e, Vertex *v, size_t *n_unsettled) {
        CHECK_VERTEX(v->counted);
        *n_unsettled += v->state != VERTEX_OK && v->state != VERTEX_DRIFTED && v->state != VERTEX_FAILED;
        CHECK_VERTEX(v->holds_semaphores == (v->state == VERTEX_RUNNING && v->n_semaphores > 0) || v->n_semaphores == 0);
        CHECK_VERTEX((v->pending != NULL) == (v->state == VERTEX_RUNNING));
        if (v->blocker) {
                CHECK_VERTEX(!vertex_is_clean(v->blocker));
                CHECK_VERTEX(v->list == &v->blocker->waiters);
        }
        switch (v->state) {
        case VERTEX_OK:
        case VERTEX_DRIFTED:
                CHECK_VERTEX(!v->dirty);
                break;
        case VERTEX_WAITING:
                /* Something must be going to wake it. */
                CHECK_VERTEX(!v->watch_waits || v->blocker || sd_event_source_get_enabled(v->delay_timer, NULL) > 0);
                CHECK_VERTEX(v->n_unarmed > 0 || v->starved || v->blocker || may_wait_for_semaphore(v) ||
                             sd_event_source_get_enabled(v->limit_timer, NULL) > 0);
                break;
        case VERTEX_RETRYING:
                CHECK_VERTEX(v->delay_timer && sd_event_source_get_enabled(v->delay_timer, NULL) > 0);
                break;
        case VERTEX_FAILED:
                CHECK_VERTEX(v->list == &v->manager->scheduler.failed && v->error.message);
                break;
        default:
                break;
        }
        for (size_t i = 0; i < vertex_n_members(v); i++)
                CHECK_VERTEX(vertex_root(vertex_member(v, i)) == v);
        CHECK_VERTEX(vertex_member(v, vertex_n_members(v) - 1) == v);
        CHECK_VERTEX(v->resource->n_children == 0 || v->group);
}

static void check_order(Engine *e) {
        const Manager *m = e->m;
        size_t n_unsettled = 0, n_members = 0, n_vertices = 0;
        VertexId *order = NULL;

        CHECK(TAILQ_EMPTY(&m->scheduler.ready));
        CHECK_INT(graph_topological_order(m->graph, &order), 0);
        free(order);
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                Vertex *v = manager_vertex(m, id);
                if (!v)
                        continue;
                n_vertices++;
                CHECK_VERTEX(v->resource->vertex == v && v->id == id && !v->swap && !v->regroup_parent && !v->regroup_marks && !v->regroup_hit);
                CHECK_VERTEX(manager_find(m, vertex_kind(v), vertex_name(v)) == v);
                CHECK_VERTEX(v->resource->parent == (v->parent ? v->parent->resource : NULL));
                const GraphAdjacency *in = graph_predecessors(m->graph, id);
                for (uint32_t i = 0; i < in->n; i++) {
                        uint32_t data = in->items[i].data;
                        const Vertex *from = manager_vertex(m, in->items[i].peer);
                        CHECK_VERTEX(data & EDGE_REASONS);
                        CHECK_VERTEX(!(data & EDGE_PENDING) || (data & EDGE_NOTIFY));
                        CHECK_VERTEX(!(data & EDGE_NOTIFY) || from->notifies);
                }
                for (size_t i = 0; i < v->n_receives; i++) {
                        uint32_t data = 0;
                        if (v->receives[i].sender == VERTEX_NONE)
                                continue;
                        CHECK_VERTEX(graph_find_edge(m->graph, v->receives[i].sender, id, &data) && (data & EDGE_TRANSFER));
                }
                if (v->parent) {
                        CHECK_VERTEX(!v->counted && !v->group && !v->list);
                        continue;
                }
                n_members += vertex_n_members(v);
                check_root(e, v, &n_unsettled);
        }
        CHECK_INT(n_members, n_vertices);
        CHECK_INT(m->scheduler.n_unsettled, n_unsettled);
        CHECK_INT(m->converger.settled, n_unsettled == 0);
}
