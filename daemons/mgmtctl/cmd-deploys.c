/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl deploys`: what was deployed, newest first; and what has become of it on the hosts of a cluster. */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ago.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/deploy-list.h"
#include "daemons/mgmtctl/hosts.h"
#include "daemons/mgmtctl/output.h"

#define TOLD_USEC (UINT64_C(30) * 1000000)

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

/* ---- the hosts ---- */

static bool arg_hosts = false;

static const Option deploys_options[] = {
        { "hosts", OPTION_FLAG, &arg_hosts, .doc = "what has become of the newest one on each host of the cluster" },
        {}
};

static int print_hosts_table(const HostRow *rows, size_t n) {
        enum { HOST, DEPLOY, STATE, WHY, N_COLUMNS };
        static const char *const headings[N_COLUMNS] = { "HOST", "DEPLOY", "STATE", "WHY" };

        _cleanup_free_ OutputCell *cells = calloc((n + 1) * N_COLUMNS, sizeof(OutputCell));
        if (!cells)
                return -ENOMEM;
        for (size_t k = 0; k < N_COLUMNS; k++)
                cells[k].text = strdup(headings[k]);
        for (size_t i = 0; i < n; i++) {
                OutputCell *row = &cells[(i + 1) * N_COLUMNS];
                bool bad = rows[i].state == DEPLOY_FAILED || rows[i].state == DEPLOY_REFUSED;

                row[HOST].text = strdup(rows[i].name);
                if (asprintf(&row[DEPLOY].text, "%llu", (unsigned long long) rows[i].deploy) < 0)
                        row[DEPLOY].text = NULL;
                row[STATE].text = strdup(deploy_state_name(rows[i].state));
                row[STATE].color = bad ? OUTPUT_RED : rows[i].state == DEPLOY_CONVERGED ? OUTPUT_GREEN : NULL;
                row[WHY] = (OutputCell) { strdup(rows[i].text ?: ""), OUTPUT_RED };
        }
        output_table(cells, N_COLUMNS, n + 1);
        for (size_t i = 0; i < (n + 1) * N_COLUMNS; i++)
                free(cells[i].text);
        return 0;
}

static void print_hosts_json(const HostRow *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct json_object *j = json_object_new_object();

                output_json_str(j, "host", rows[i].name);
                json_object_object_add(j, "deploy", json_object_new_uint64(rows[i].deploy));
                output_json_str(j, "state", deploy_state_name(rows[i].state));
                output_json_str(j, "text", rows[i].text ?: "");
                output_json(j);
        }
}

static void on_told(Hosts *h, void *userdata) {
        (void) sd_event_exit(userdata, EXIT_SUCCESS);
}

static void on_changed(Hosts *h, const HostRow *row, void *userdata) {}

static void on_refused(Hosts *h, const char *text, void *userdata) {
        output_error("mgmt-world: %s", text);
        (void) sd_event_exit(userdata, EXIT_ERROR);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        output_error("the cluster cannot be reached");
        return sd_event_exit(userdata, EXIT_ERROR);
}

static int run_hosts(void) {
        static const HostsOps ops = { .told = on_told, .changed = on_changed, .refused = on_refused };
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(hosts_freep) Hosts *hosts = NULL;
        const HostRow *rows;
        size_t n;
        int r;

        r = sd_event_default(&event);
        if (r >= 0)
                r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, TOLD_USEC, 0, on_time, event);
        if (r >= 0)
                r = hosts_new(&hosts, event, &ops, event);
        if (r < 0) {
                output_error("cannot reach mgmt-world: %s", strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        r = sd_event_loop(event);
        if (r != EXIT_SUCCESS)
                return EXIT_ERROR;
        rows = hosts_rows(hosts, &n);
        if (arg_json)
                print_hosts_json(rows, n);
        else
                r = print_hosts_table(rows, n);
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

static int run_deploys(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(deploy_list_done) DeployList l = {};

        if (arg_hosts)
                return run_hosts();
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
        .options = deploys_options,
        .run = run_deploys,
};
