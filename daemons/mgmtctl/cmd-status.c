/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl status`: what mgmt-engine knows of its resources, one line each. All of it comes from the bus: the objects below
 * /org/mgmt/engine1/resource. */

#include <fnmatch.h>
#include <json-c/json.h>
#include <stdio.h>
#include <time.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ago.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"

static bool arg_failed = false;

static const Option status_options[] = {
        { "failed", OPTION_FLAG, &arg_failed, .doc = "only resources that have an error" },
        {}
};

typedef struct ResourceStatus {
        char *kind, *name, *state, *error, *source;     /* owned */
        uint64_t last_check_usec, last_apply_usec;      /* CLOCK_REALTIME, 0: never */
        int converged, noop;
} ResourceStatus;

typedef struct StatusList {
        ResourceStatus *items;
        size_t n, capacity;
} StatusList;

/* What is taken of an object; properties without a row are skipped. */
static const struct {
        const char *property, *type;
        size_t offset;
} columns[] = {
        { "Kind",          "s", offsetof(ResourceStatus, kind) },
        { "Name",          "s", offsetof(ResourceStatus, name) },
        { "State",         "s", offsetof(ResourceStatus, state) },
        { "Converged",     "b", offsetof(ResourceStatus, converged) },
        { "Noop",          "b", offsetof(ResourceStatus, noop) },
        { "LastCheckUSec", "t", offsetof(ResourceStatus, last_check_usec) },
        { "LastApplyUSec", "t", offsetof(ResourceStatus, last_apply_usec) },
        { "LastError",     "s", offsetof(ResourceStatus, error) },
        { "Source",        "s", offsetof(ResourceStatus, source) },
};

static void status_done(ResourceStatus *s) {
        free(s->kind);
        free(s->name);
        free(s->state);
        free(s->error);
        free(s->source);
        *s = (ResourceStatus) {};
}

static void list_done(StatusList *l) {
        for (size_t i = 0; i < l->n; i++)
                status_done(&l->items[i]);
        free(l->items);
}

/* ---- reading ---- */

static int read_property(sd_bus_message *m, ResourceStatus *s) {
        const char *property, *text;
        int r;

        r = sd_bus_message_read(m, "s", &property);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(columns); i++) {
                void *member = (char *) s + columns[i].offset;

                if (!streq(columns[i].property, property))
                        continue;
                if (!streq(columns[i].type, "s"))
                        return sd_bus_message_read(m, "v", columns[i].type, member);
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r < 0)
                        return r;
                free(*(char **) member);
                *(char **) member = strdup(text);
                return *(char **) member ? 0 : -ENOMEM;
        }
        return sd_bus_message_skip(m, "v");
}

/* a{sa{sv}} of one object: the properties of all its interfaces. */
static int read_interfaces(sd_bus_message *m, ResourceStatus *s) {
        int r = sd_bus_message_enter_container(m, 'a', "{sa{sv}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sa{sv}")) > 0) {
                r = sd_bus_message_skip(m, "s");
                if (r >= 0)
                        r = sd_bus_message_enter_container(m, 'a', "{sv}");
                while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                        r = read_property(m, s);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                }
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool status_is_wanted(const ResourceStatus *s, const char *pattern) {
        _cleanup_free_ char *id = NULL;

        if (!s->kind || !s->name || (arg_failed && !(s->error && *s->error)))
                return false;
        if (!pattern)
                return true;
        return asprintf(&id, "%s[%s]", s->kind, s->name) >= 0 && fnmatch(pattern, id, 0) == 0;
}

static int read_objects(sd_bus_message *m, const char *pattern, StatusList *l) {
        int r = sd_bus_message_enter_container(m, 'a', "{oa{sa{sv}}}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "oa{sa{sv}}")) > 0) {
                _cleanup_(status_done) ResourceStatus s = {};

                r = sd_bus_message_skip(m, "o");
                if (r >= 0)
                        r = read_interfaces(m, &s);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0 || !status_is_wanted(&s, pattern))
                        continue;
                r = GROW(l->items, l->n, l->capacity);
                if (r < 0)
                        return r;
                l->items[l->n++] = s;
                s = (ResourceStatus) {};
        }
        return r;
}

static int status_compare(const void *a, const void *b) {
        const ResourceStatus *x = a, *y = b;
        int r = strcmp(x->kind, y->kind);

        return r != 0 ? r : strcmp(x->name, y->name);
}

/* ---- printing ---- */

static int print_table(const StatusList *l) {
        enum { RESOURCE, STATE, CHANGED, ERROR, N_COLUMNS };
        static const char *const headings[N_COLUMNS] = { "RESOURCE", "STATE", "CHANGED", "ERROR" };
        int r = 0;

        _cleanup_free_ OutputCell *cells = calloc((l->n + 1) * N_COLUMNS, sizeof(OutputCell));
        if (!cells)
                return -ENOMEM;
        for (size_t k = 0; k < N_COLUMNS; k++)
                cells[k].text = strdup(headings[k]);
        for (size_t i = 0; i < l->n; i++) {
                const ResourceStatus *s = &l->items[i];
                OutputCell *row = &cells[(i + 1) * N_COLUMNS];

                if (asprintf(&row[RESOURCE].text, "%s[%s]", s->kind, s->name) < 0) {
                        row[RESOURCE].text = NULL;
                        r = -ENOMEM;
                }
                row[STATE] = (OutputCell) { strdup(s->state ?: "-"), output_state_color(s->state) };
                row[CHANGED].text = ago_text(s->last_apply_usec);
                row[ERROR] = (OutputCell) { strdup(s->error ?: ""), OUTPUT_RED };
        }
        output_table(cells, N_COLUMNS, l->n + 1);
        for (size_t i = 0; i < (l->n + 1) * N_COLUMNS; i++)
                free(cells[i].text);
        return r;
}

static void print_json(const StatusList *l) {
        for (size_t i = 0; i < l->n; i++) {
                const ResourceStatus *s = &l->items[i];
                struct json_object *j = json_object_new_object();

                output_json_str(j, "kind", s->kind);
                output_json_str(j, "name", s->name);
                output_json_str(j, "state", s->state);
                json_object_object_add(j, "converged", json_object_new_boolean(s->converged));
                json_object_object_add(j, "noop", json_object_new_boolean(s->noop));
                json_object_object_add(j, "last_check_usec", json_object_new_uint64(s->last_check_usec));
                json_object_object_add(j, "last_apply_usec", json_object_new_uint64(s->last_apply_usec));
                output_json_str(j, "error", s->error);
                output_json_str(j, "source", s->source);
                output_json(j);
        }
}

static int run_status(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(list_done) StatusList list = {};
        int r;

        r = bus_open(&bus, NULL, "mgmtctl");
        if (r < 0) {
                output_error("cannot connect to the bus: %s", strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        r = sd_bus_call_method(bus, "org.mgmt.engine1", "/org/mgmt/engine1/resource", "org.freedesktop.DBus.ObjectManager",
                               "GetManagedObjects", &error, &reply, NULL);
        if (r >= 0)
                r = read_objects(reply, n > 0 ? arguments[0] : NULL, &list);
        if (r < 0) {
                output_error("cannot ask mgmt-engine: %s", error.message ?: strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        if (list.n > 0)
                qsort(list.items, list.n, sizeof(list.items[0]), status_compare);
        if (arg_json)
                print_json(&list);
        else
                r = print_table(&list);
        return r < 0 ? EXIT_ERROR : EXIT_SUCCESS;
}

const Command command_status = {
        .name = "status",
        .arguments = "[PATTERN]",
        .doc = "Show the resources: their state, last change and error",
        .help = "PATTERN is a glob over KIND[NAME], such as 'file*'.\n",
        .options = status_options,
        .max_arguments = 1,
        .run = run_status,
};
