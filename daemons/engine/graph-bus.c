/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "daemons/engine/clean-text.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-bus.h"

enum {
        ITEMS_MAX = 10000,              /* in one answer */
        EDGES_MAX = 100000,             /* after which no further vertex begins */
        TEXTS_MAX = 4 * 1024 * 1024,    /* bytes of differences in one answer, but for the last item */
};

static int append_source(sd_bus_message *m, Pos pos) {
        _cleanup_free_ char *source = NULL;

        if (pos.file && pos.line > 0 && asprintf(&source, "%s:%u:%u", pos.file, pos.line, pos.column) < 0) {
                source = NULL;
                return -ENOMEM;
        }
        return clean_text_append(m, source);
}

/* ---- the graph ---- */

enum { EDGE_SHOWN = EDGE_DECLARED | EDGE_AUTO | EDGE_TRANSFER | EDGE_NOTIFY | EDGE_PENDING };

static int append_vertex(sd_bus_message *m, Vertex *v) {
        const Vertex *root = vertex_root(v);
        int r;

        r = sd_bus_message_open_container(m, 'r', "ussusbttss");
        if (r >= 0)
                r = sd_bus_message_append(m, "ussus", v->id, vertex_kind(v), vertex_name(v), v->parent ? v->parent->id : VERTEX_NONE,
                                          vertex_state_name(root->state));
        if (r >= 0)
                r = sd_bus_message_append(m, "btt", root->resource->meta.noop, root->last_check_usec, root->last_apply_usec);
        if (r >= 0)
                r = clean_text_append(m, root->error.message);
        if (r >= 0)
                r = append_source(m, v->resource->pos);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_edges(sd_bus_message *m, const Vertex *v) {
        const GraphAdjacency *out = graph_successors(v->manager->graph, v->id);
        int r = 0;

        for (uint32_t i = 0; i < out->n && r >= 0; i++)
                r = sd_bus_message_append(m, "(uuu)", v->id, out->items[i].peer, out->items[i].data & EDGE_SHOWN);
        return r;
}

int graph_bus_get_graph(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Manager *m = userdata;
        uint32_t first, limit, n = 0, n_edges = 0;
        VertexId end;
        int r;

        r = sd_bus_message_read(call, "uu", &first, &limit);
        if (r < 0)
                return r;
        if (limit == 0 || limit > ITEMS_MAX)
                limit = ITEMS_MAX;
        for (end = first; end < graph_id_limit(m->graph) && n < limit && n_edges < EDGES_MAX; end++) {
                if (!manager_vertex(m, end))
                        continue;
                n++;
                n_edges += graph_successors(m->graph, end)->n;
        }
        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "tu", m->generation, end < graph_id_limit(m->graph) ? end : UINT32_C(0));
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ussusbttss)");
        for (VertexId id = first; r >= 0 && id < end; id++) {
                Vertex *v = manager_vertex(m, id);
                if (v)
                        r = append_vertex(reply, v);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uuu)");
        for (VertexId id = first; r >= 0 && id < end; id++) {
                const Vertex *v = manager_vertex(m, id);
                if (v)
                        r = append_edges(reply, v);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

/* ---- differences ---- */

static int append_entry(sd_bus_message *m, const char *key, const char *text) {
        int r;

        if (!text)
                return 0;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "s");
        if (r >= 0)
                r = clean_text_append(m, text);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_difference(sd_bus_message *m, const Difference *d) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        if (r >= 0)
                r = append_entry(m, "field", d->field);
        if (r >= 0)
                r = append_entry(m, "from", d->from);
        if (r >= 0)
                r = append_entry(m, "to", d->to);
        if (r >= 0)
                r = append_entry(m, "diff", d->diff);
        if (r >= 0 && (d->flags & DIFFERENCE_SECRET))
                r = sd_bus_message_append(m, "{sv}", "secret", "b", true);
        if (r >= 0 && (d->flags & DIFFERENCE_UNKNOWN))
                r = sd_bus_message_append(m, "{sv}", "unknown", "b", true);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* Of a group that would be changed the root stands for those that have not said why. */
static bool differs(Vertex *v) {
        const Vertex *root = vertex_root(v);

        if (root->state == VERTEX_FAILED || root->state == VERTEX_RETRYING)
                return v == root;
        return root->state == VERTEX_DRIFTED && (v == root || v->differences);
}

static int append_resource_differences(sd_bus_message *m, Vertex *v) {
        const Vertex *root = vertex_root(v);
        int r;

        r = sd_bus_message_open_container(m, 'r', "sssssaa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "sss", vertex_kind(v), vertex_name(v), vertex_state_name(root->state));
        if (r >= 0)
                r = clean_text_append(m, root->error.message);
        if (r >= 0)
                r = append_source(m, v->resource->pos);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && v->differences && i < v->differences->n; i++)
                if (difference_is_for_people(&v->differences->items[i]))
                        r = append_difference(m, &v->differences->items[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int graph_bus_list_differences(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ VertexId *order = NULL;
        Manager *m = userdata;
        uint32_t offset, limit;
        size_t size = 0;
        int r;

        r = sd_bus_message_read(call, "uu", &offset, &limit);
        if (r < 0)
                return r;
        if (limit == 0 || limit > ITEMS_MAX)
                limit = ITEMS_MAX;
        r = graph_topological_order(m->graph, &order);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssssaa{sv})");
        for (size_t i = 0; r >= 0 && i < graph_n_vertices(m->graph) && limit > 0 && size < TEXTS_MAX; i++) {
                Vertex *v = manager_vertex(m, order[i]);
                if (!differs(v))
                        continue;
                if (offset > 0) {
                        offset--;
                        continue;
                }
                limit--;
                size += v->differences ? v->differences->size : 0;
                r = append_resource_differences(reply, v);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
