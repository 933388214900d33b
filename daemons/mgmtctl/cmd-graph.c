/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl graph`: the graph that runs, as text, as objects, for graphviz, or as a picture. */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/output.h"

static bool arg_dot = false, arg_svg = false;

static const Option graph_options[] = {
        { "dot", OPTION_FLAG, &arg_dot, .doc = "in the language of graphviz" },
        { "svg", OPTION_FLAG, &arg_svg, .doc = "as a picture" },
        {}
};

/* ---- objects ---- */

static void print_json_node(const GraphData *g, size_t i) {
        const GraphNode *n = &g->nodes[i];
        struct json_object *j = json_object_new_object();

        output_json_str(j, "type", "vertex");
        output_json_str(j, "kind", n->kind);
        output_json_str(j, "name", n->name);
        output_json_str(j, "state", n->state);
        json_object_object_add(j, "noop", json_object_new_boolean(n->noop));
        if (n->parent != NO_NODE) {
                struct json_object *group = json_object_new_object();

                output_json_str(group, "kind", g->nodes[n->parent].kind);
                output_json_str(group, "name", g->nodes[n->parent].name);
                json_object_object_add(j, "group", group);
        }
        json_object_object_add(j, "last_check_usec", json_object_new_uint64(n->last_check_usec));
        json_object_object_add(j, "last_apply_usec", json_object_new_uint64(n->last_apply_usec));
        output_json_str(j, "error", n->error);
        output_json_str(j, "source", n->source);
        output_json(j);
}

static struct json_object *json_end(const GraphNode *n) {
        struct json_object *j = json_object_new_object();

        output_json_str(j, "kind", n->kind);
        output_json_str(j, "name", n->name);
        return j;
}

static void print_json_line(const GraphData *g, const GraphLine *l) {
        static const struct { uint32_t flag; const char *name; } names[] = {
                { LINE_DECLARED, "declared" }, { LINE_AUTO, "auto" }, { LINE_TRANSFER, "transfer" }, { LINE_NOTIFY, "notify" },
                { LINE_PENDING, "pending" },
        };
        struct json_object *j = json_object_new_object();

        output_json_str(j, "type", "edge");
        json_object_object_add(j, "from", json_end(&g->nodes[l->from]));
        json_object_object_add(j, "to", json_end(&g->nodes[l->to]));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                json_object_object_add(j, names[i].name, json_object_new_boolean((l->flags & names[i].flag) != 0));
        output_json(j);
}

static void print_json(const GraphData *g) {
        for (size_t i = 0; i < g->n_nodes; i++)
                print_json_node(g, i);
        for (size_t i = 0; i < g->n_lines; i++)
                print_json_line(g, &g->lines[i]);
}

/* ---- graphviz ---- */

static const char *dot_color(const char *state) {
        static const struct { const char *state, *color; } colors[] = {
                { "ok", "#c9e7cb" }, { "running", "#c5dcf5" }, { "waiting", "#eeeeee" }, { "drifted", "#fbe6b0" },
                { "retrying", "#fbd3a8" }, { "failed", "#f6b8b3" },
        };

        for (size_t i = 0; i < ELEMENTSOF(colors); i++)
                if (streq(colors[i].state, state))
                        return colors[i].color;
        return "#ffffff";
}

/* In a quoted string only the quote has a meaning, but in labels the backslash does as well. */
static void put_dot(StrBuf *b, const char *text) {
        strbuf_putc(b, '"');
        for (; *text; text++) {
                if (*text == '"' || *text == '\\')
                        strbuf_putc(b, '\\');
                strbuf_putc(b, *text);
        }
        strbuf_putc(b, '"');
}

static void put_dot_node(StrBuf *b, const GraphData *g, size_t i, const char *indent) {
        strbuf_printf(b, "%sn%zu [label=", indent, i);
        put_dot(b, g->nodes[i].label);
        strbuf_printf(b, ", fillcolor=\"%s\", tooltip=", dot_color(g->nodes[i].state));
        put_dot(b, g->nodes[i].state);
        strbuf_puts(b, "];\n");
}

static int write_dot(const GraphData *g, StrBuf *b) {
        _cleanup_free_ uint32_t *n_members = calloc(g->n_nodes + 1, sizeof(*n_members));

        if (!n_members)
                return -ENOMEM;
        for (size_t i = 0; i < g->n_nodes; i++)
                n_members[g->nodes[i].root]++;
        strbuf_puts(b, "digraph mgmt {\n"
                       "        rankdir=LR;\n"
                       "        node [shape=box, style=\"rounded,filled\", fontname=\"sans-serif\"];\n");
        for (size_t i = 0; i < g->n_nodes; i++)
                if (n_members[i] == 1 && g->nodes[i].root == i)
                        put_dot_node(b, g, i, "        ");
        for (size_t i = 0; i < g->n_nodes; i++) {
                if (n_members[i] < 2)
                        continue;
                strbuf_printf(b, "        subgraph cluster%zu {\n                style=dashed;\n", i);
                put_dot_node(b, g, i, "                ");
                for (size_t k = 0; k < g->n_nodes && n_members[i] > 1; k++)
                        if (g->nodes[k].root == i && k != i) {
                                put_dot_node(b, g, k, "                ");
                                n_members[i]--;
                        }
                strbuf_puts(b, "        }\n");
        }
        for (size_t i = 0; i < g->n_lines; i++) {
                const GraphLine *l = &g->lines[i];

                strbuf_printf(b, "        n%u -> n%u [style=%s, color=\"%s\"%s];\n", l->from, l->to,
                              l->flags & (LINE_DECLARED | LINE_TRANSFER) ? "solid" : "dashed",
                              l->flags & LINE_NOTIFY ? "#d9730d" : l->flags & LINE_TRANSFER ? "#2f6fb5" : "#777777",
                              l->flags & LINE_PENDING ? ", penwidth=2" : "");
        }
        strbuf_puts(b, "}\n");
        return 0;
}

/* ---- the command ---- */

static int print_graph(const GraphData *g) {
        StrBuf b = {};
        int r;

        if (arg_json) {
                print_json(g);
                return 0;
        }
        if (!arg_dot && !arg_svg)
                return graph_print_tree(g);
        r = arg_dot ? write_dot(g, &b) : graph_write_svg(g, &b);
        _cleanup_free_ char *text = strbuf_take(&b);
        if (r >= 0 && !text)
                r = -ENOMEM;
        if (r >= 0 && (fputs(text, stdout) == EOF || fflush(stdout) == EOF))
                r = -EIO;
        return r;
}

static int run_graph(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(graph_data_done) GraphData g = {};
        int r;

        if (arg_dot + arg_svg + arg_json > 1) {
                output_error("--dot, --svg and --json exclude each other");
                return EXIT_ERROR;
        }
        if (ctl_open_bus(&bus) < 0)
                return EXIT_ERROR;
        if (graph_data_read(&g, bus, n > 0 ? arguments[0] : NULL) < 0)
                return EXIT_ERROR;
        r = print_graph(&g);
        if (r < 0) {
                output_error("cannot show the graph: %s", strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        return EXIT_SUCCESS;
}

const Command command_graph = {
        .name = "graph",
        .arguments = "[PATTERN]",
        .doc = "Show the graph that runs: resources, groups, edges",
        .help = "PATTERN is a glob over KIND[NAME], such as 'file*'.\n",
        .options = graph_options,
        .max_arguments = 1,
        .run = run_graph,
};
