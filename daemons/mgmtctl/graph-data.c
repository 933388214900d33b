/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fnmatch.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/utf8.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/output.h"

enum { ATTEMPTS = 5 };

static void node_done(GraphNode *n) {
        free(n->kind);
        free(n->name);
        free(n->state);
        free(n->error);
        free(n->source);
        free(n->label);
        *n = (GraphNode) {};
}

void graph_data_done(GraphData *g) {
        for (size_t i = 0; i < g->n_nodes; i++)
                node_done(&g->nodes[i]);
        free(g->nodes);
        free(g->lines);
        *g = (GraphData) {};
}

/* Names may be anything; a line of text or of XML may not. */
static char *make_label(const char *kind, const char *name) {
        StrBuf b = {};

        strbuf_printf(&b, "%s[", kind);
        for (const char *p = name; *p;) {
                unsigned size = utf8_control_size(p);
                if (size == 0)
                        strbuf_putc(&b, *p++);
                for (; size > 0; size--)
                        strbuf_printf(&b, "\\x%02x", (unsigned char) *p++);
        }
        strbuf_putc(&b, ']');
        return strbuf_take(&b);
}

static int read_node(sd_bus_message *m, GraphNode *ret) {
        const char *kind, *name, *state, *error, *source;
        int r;

        r = sd_bus_message_read(m, "(ussusbttss)", &ret->id, &kind, &name, &ret->parent_id, &state, &ret->noop, &ret->last_check_usec,
                                &ret->last_apply_usec, &error, &source);
        if (r <= 0)
                return r;
        ret->kind = strdup(kind);
        ret->name = strdup(name);
        ret->state = strdup(state);
        ret->error = strdup(error);
        ret->source = strdup(source);
        ret->label = make_label(kind, name);
        return ret->kind && ret->name && ret->state && ret->error && ret->source && ret->label ? 1 : -ENOMEM;
}

static int read_part(sd_bus_message *m, GraphData *g, uint32_t *ret_next) {
        uint64_t generation;
        int r;

        r = sd_bus_message_read(m, "tu", &generation, ret_next);
        if (r < 0)
                return r;
        if (g->n_nodes > 0 && generation != g->generation)
                return -EAGAIN;
        g->generation = generation;
        r = sd_bus_message_enter_container(m, 'a', "(ussusbttss)");
        while (r >= 0) {
                GraphNode n = {};

                r = read_node(m, &n);
                if (r > 0)
                        r = GROW(g->nodes, g->n_nodes, g->capacity_nodes) < 0 ? -ENOMEM : 1;
                if (r <= 0) {
                        node_done(&n);
                        break;
                }
                g->nodes[g->n_nodes++] = n;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(uuu)");
        while (r >= 0) {
                GraphLine l;

                r = sd_bus_message_read(m, "(uuu)", &l.from, &l.to, &l.flags);
                if (r <= 0)
                        break;
                r = GROW(g->lines, g->n_lines, g->capacity_lines);
                if (r >= 0)
                        g->lines[g->n_lines++] = l;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_all(GraphData *g, sd_bus *bus, sd_bus_error *reterr) {
        uint32_t next = 0;
        int r;

        do {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

                r = bus_ask(bus, "engine", NULL, NULL, "GetGraph", reterr, &reply, "uu", next, UINT32_C(0));
                if (r >= 0)
                        r = read_part(reply, g, &next);
        } while (r >= 0 && next > 0);
        return r;
}

/* ---- putting in order ---- */

static int compare_nodes(const void *a, const void *b) {
        const GraphNode *x = a, *y = b;
        int c = strcmp(x->kind, y->kind);

        return c != 0 ? c : strcmp(x->name, y->name);
}

static int compare_lines(const void *a, const void *b) {
        const GraphLine *x = a, *y = b;

        if (x->from != y->from)
                return x->from < y->from ? -1 : 1;
        return x->to < y->to ? -1 : x->to > y->to;
}

static void keep_wanted(GraphData *g, const char *pattern) {
        size_t n = 0;

        for (size_t i = 0; i < g->n_nodes; i++) {
                _cleanup_free_ char *id = NULL;

                if (asprintf(&id, "%s[%s]", g->nodes[i].kind, g->nodes[i].name) >= 0 && fnmatch(pattern, id, 0) == 0)
                        g->nodes[n++] = g->nodes[i];
                else
                        node_done(&g->nodes[i]);
        }
        g->n_nodes = n;
}

static int number(GraphData *g) {
        uint32_t limit = 0;
        size_t n = 0;

        if (g->n_nodes > 0)
                qsort(g->nodes, g->n_nodes, sizeof(*g->nodes), compare_nodes);
        for (size_t i = 0; i < g->n_nodes; i++)
                limit = MAX(limit, g->nodes[i].id + 1);
        _cleanup_free_ uint32_t *index = malloc((size_t) (limit + 1) * sizeof(*index));
        if (!index)
                return -ENOMEM;
        for (uint32_t i = 0; i < limit; i++)
                index[i] = NO_NODE;
        for (size_t i = 0; i < g->n_nodes; i++)
                index[g->nodes[i].id] = (uint32_t) i;
        for (size_t i = 0; i < g->n_nodes; i++)
                g->nodes[i].parent = g->nodes[i].parent_id < limit ? index[g->nodes[i].parent_id] : NO_NODE;
        for (size_t i = 0; i < g->n_nodes; i++) {
                uint32_t root = (uint32_t) i;

                for (size_t depth = 0; g->nodes[root].parent != NO_NODE && depth < g->n_nodes; depth++)
                        root = g->nodes[root].parent;
                g->nodes[i].root = root;
        }
        for (size_t i = 0; i < g->n_lines; i++) {
                GraphLine l = g->lines[i];

                l.from = l.from < limit ? index[l.from] : NO_NODE;
                l.to = l.to < limit ? index[l.to] : NO_NODE;
                if (l.from != NO_NODE && l.to != NO_NODE)
                        g->lines[n++] = l;
        }
        g->n_lines = n;
        if (n > 0)
                qsort(g->lines, n, sizeof(*g->lines), compare_lines);
        return 0;
}

int graph_data_read(GraphData *ret, sd_bus *bus, const char *pattern) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(graph_data_done) GraphData g = {};
        int r = -EAGAIN;

        for (unsigned i = 0; i < ATTEMPTS && r == -EAGAIN; i++) {       /* it may change while it is read */
                graph_data_done(&g);
                r = read_all(&g, bus, &error);
        }
        if (r >= 0 && pattern)
                keep_wanted(&g, pattern);
        if (r >= 0)
                r = number(&g);
        if (r < 0) {
                output_error("cannot ask mgmt-engine: %s", bus_error_text(&error, r));
                return r;
        }
        *ret = g;
        g = (GraphData) {};
        return 0;
}

int graph_data_between_roots(const GraphData *g, GraphLine **ret, size_t *ret_n) {
        GraphLine *lines = calloc(g->n_lines + 1, sizeof(*lines));
        size_t n = 0, k = 0;

        if (!lines)
                return -ENOMEM;
        for (size_t i = 0; i < g->n_lines; i++) {
                GraphLine l = g->lines[i];

                l.from = g->nodes[l.from].root;
                l.to = g->nodes[l.to].root;
                if (l.from != l.to)
                        lines[n++] = l;
        }
        qsort(lines, n, sizeof(*lines), compare_lines);
        for (size_t i = 0; i < n; i++)
                if (k > 0 && compare_lines(&lines[k - 1], &lines[i]) == 0)
                        lines[k - 1].flags |= lines[i].flags;
                else
                        lines[k++] = lines[i];
        *ret = lines;
        *ret_n = k;
        return 0;
}
