/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl status`: what mgmt-engine knows of its resources, one line each, and what mgmt-world cannot do. */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ago.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/output.h"

static bool arg_failed = false;

static const Option status_options[] = {
        { "failed", OPTION_FLAG, &arg_failed, .doc = "only resources that have an error" },
        {}
};

static bool is_wanted(const GraphNode *n) {
        return !arg_failed || *n->error;
}

static int print_table(const GraphData *g) {
        enum { RESOURCE, STATE, CHANGED, ERROR, N_COLUMNS };
        static const char *const headings[N_COLUMNS] = { "RESOURCE", "STATE", "CHANGED", "ERROR" };
        size_t n = 0;

        _cleanup_free_ OutputCell *cells = calloc((g->n_nodes + 1) * N_COLUMNS, sizeof(OutputCell));
        if (!cells)
                return -ENOMEM;
        for (size_t k = 0; k < N_COLUMNS; k++)
                cells[k].text = strdup(headings[k]);
        for (size_t i = 0; i < g->n_nodes; i++) {
                const GraphNode *node = &g->nodes[i];
                OutputCell *row = &cells[(n + 1) * N_COLUMNS];

                if (!is_wanted(node))
                        continue;
                n++;
                row[RESOURCE].text = strdup(node->label);
                row[STATE] = (OutputCell) { strdup(node->state), output_state_color(node->state) };
                row[CHANGED].text = ago_text(node->last_apply_usec);
                row[ERROR] = (OutputCell) { strdup(node->error), OUTPUT_RED };
        }
        output_table(cells, N_COLUMNS, n + 1);
        for (size_t i = 0; i < (n + 1) * N_COLUMNS; i++)
                free(cells[i].text);
        return 0;
}

/* "12 resources: 10 ok, 2 failed" */
static int print_sum(const GraphData *g) {
        static const char *const states[] = { "ok", "drifted", "running", "waiting", "retrying", "failed" };
        _cleanup_(strbuf_done) StrBuf b = {};

        strbuf_printf(&b, "%zu resource%s", g->n_nodes, g->n_nodes == 1 ? "" : "s");
        for (size_t i = 0, n_states = 0; i < ELEMENTSOF(states); i++) {
                size_t n = 0;

                for (size_t k = 0; k < g->n_nodes; k++)
                        n += streq(g->nodes[k].state, states[i]);
                if (n > 0)
                        strbuf_printf(&b, "%s %zu %s", n_states++ == 0 ? ":" : ",", n, states[i]);
        }
        if (b.failed)
                return -ENOMEM;
        output_line({ OUTPUT_DIM, b.data });
        return 0;
}

static void print_json(const GraphData *g) {
        for (size_t i = 0; i < g->n_nodes; i++) {
                const GraphNode *n = &g->nodes[i];
                struct json_object *j;

                if (!is_wanted(n))
                        continue;
                j = json_object_new_object();
                output_json_str(j, "kind", n->kind);
                output_json_str(j, "name", n->name);
                output_json_str(j, "state", n->state);
                json_object_object_add(j, "converged", json_object_new_boolean(streq(n->state, "ok") || streq(n->state, "drifted")));
                json_object_object_add(j, "noop", json_object_new_boolean(n->noop));
                json_object_object_add(j, "last_check_usec", json_object_new_uint64(n->last_check_usec));
                json_object_object_add(j, "last_apply_usec", json_object_new_uint64(n->last_apply_usec));
                output_json_str(j, "error", n->error);
                output_json_str(j, "source", n->source);
                output_json(j);
        }
}

/* ---- mgmt-world ---- */

/* What it cannot do and no resource tells. Where it does not run nobody needs it; it is not started to be asked. */
static void print_problems(sd_bus *bus) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *problem;
        int r;

        r = bus_ask(bus, "world", NULL, "org.freedesktop.DBus.Properties", "Get", NULL, &reply,
                    "ss", "org.mgmt.world1.Manager", "Problems");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(reply, "s", &problem)) > 0)
                if (arg_json) {
                        struct json_object *j = json_object_new_object();

                        output_json_str(j, "problem", problem);
                        output_json(j);
                } else
                        output_line({ OUTPUT_RED, problem });
}

static int run_status(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(graph_data_done) GraphData g = {};
        int r = 0;

        if (ctl_open_bus(&bus) < 0)
                return EXIT_ERROR;
        if (graph_data_read(&g, bus, n > 0 ? arguments[0] : NULL) < 0)
                return EXIT_ERROR;
        if (arg_json)
                print_json(&g);
        else {
                r = print_table(&g);
                if (r >= 0)
                        r = print_sum(&g);
        }
        if (n == 0)
                print_problems(bus);
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

const Command command_status = {
        .name = "status",
        .arguments = "[PATTERN]",
        .doc = "Show the resources: their state, last change and error",
        .help = "PATTERN is a glob over KIND[NAME], such as 'file*'. 'mgmtctl why RESOURCE' tells more of one.\n"
                "What the store that hosts share does not let this host do stands below them.\n",
        .options = status_options,
        .max_arguments = 1,
        .run = run_status,
};
