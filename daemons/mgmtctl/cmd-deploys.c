/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl deploys`: what was deployed, newest first. */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ago.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/deploy-list.h"
#include "daemons/mgmtctl/output.h"

static int print_table(const DeployList *l) {
        enum { DEPLOY, TIME, FILES, SIGNED, HOSTS, SOURCE, N_COLUMNS };
        static const char *const headings[N_COLUMNS] = { "DEPLOY", "TIME", "FILES", "SIGNED", "HOSTS", "SOURCE" };

        _cleanup_free_ OutputCell *cells = calloc((l->n + 1) * N_COLUMNS, sizeof(OutputCell));
        if (!cells)
                return -ENOMEM;
        for (size_t k = 0; k < N_COLUMNS; k++)
                cells[k].text = strdup(headings[k]);
        for (size_t i = 0; i < l->n; i++) {
                const DeployRow *d = &l->rows[i];
                OutputCell *row = &cells[(i + 1) * N_COLUMNS];
                const char *color = d->id == l->in_force ? OUTPUT_GREEN : NULL;

                if (asprintf(&row[DEPLOY].text, "%s%llu", d->id == l->in_force ? "*" : " ", (unsigned long long) d->id) < 0)
                        row[DEPLOY].text = NULL;
                if (asprintf(&row[FILES].text, "%llu", (unsigned long long) d->n_files) < 0)
                        row[FILES].text = NULL;
                row[DEPLOY].color = color;
                row[TIME].text = ago_text(d->time_usec);
                row[SIGNED].text = strdup(d->is_signed ? "yes" : "no");
                row[HOSTS].text = strdup(*d->hosts ? d->hosts : "all");
                row[SOURCE].text = strdup(d->source);
        }
        output_table(cells, N_COLUMNS, l->n + 1);
        for (size_t i = 0; i < (l->n + 1) * N_COLUMNS; i++)
                free(cells[i].text);
        return 0;
}

static void print_json(const DeployList *l) {
        for (size_t i = 0; i < l->n; i++) {
                const DeployRow *d = &l->rows[i];
                struct json_object *j = json_object_new_object();

                json_object_object_add(j, "deploy", json_object_new_uint64(d->id));
                json_object_object_add(j, "time_usec", json_object_new_uint64(d->time_usec));
                json_object_object_add(j, "files", json_object_new_uint64(d->n_files));
                json_object_object_add(j, "bytes", json_object_new_uint64(d->size_bytes));
                json_object_object_add(j, "signed", json_object_new_boolean(d->is_signed));
                json_object_object_add(j, "in_force", json_object_new_boolean(d->id == l->in_force));
                output_json_str(j, "hosts", d->hosts);
                output_json_str(j, "source", d->source);
                output_json(j);
        }
}

static int run_deploys(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(deploy_list_done) DeployList l = {};

        if (ctl_open_bus(&bus) < 0 || deploy_list_read(&l, bus) < 0)
                return EXIT_ERROR;
        if (arg_json)
                print_json(&l);
        else if (print_table(&l) < 0)
                return EXIT_ERROR;
        return EXIT_SUCCESS;
}

const Command command_deploys = {
        .name = "deploys",
        .arguments = "",
        .doc = "Show what was deployed, newest first; '*' is in force",
        .run = run_deploys,
};
