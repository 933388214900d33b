/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What stays is a list of exports; every connection is built from it. */

#include "common/sd/bus-connection.h"
#include "common/sd/bus-link.h"
#include "common/sd/log.h"

struct BusLink {
        BusConnection *connection;
        const char *program, *bus_name;
        sd_bus **current;
        BusExport *exports;
        size_t n_exports, capacity;
};

/* ---- org.freedesktop.LogControl1 ---- */

static int get_log_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                         void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "s", log_level_name(log_level()));
}

static int set_log_level(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value,
                         void *userdata, sd_bus_error *reterr) {
        const char *name;
        int r = sd_bus_message_read(value, "s", &name);
        if (r < 0)
                return r;
        int level = log_level_from_name(name);
        if (level < 0)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS,
                                         "log level is '%s', expected a level from 'emerg' to 'debug'", name);
        return log_set_level(level);
}

static int get_log_target(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "s", log_target());
}

static int set_log_target(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *value,
                          void *userdata, sd_bus_error *reterr) {
        const char *name;
        int r = sd_bus_message_read(value, "s", &name);
        if (r < 0)
                return r;
        if (log_set_target(name) < 0)
                return sd_bus_error_setf(reterr, SD_BUS_ERROR_INVALID_ARGS,
                                         "log target is '%s', expected 'auto', 'journal', 'console' or 'null'", name);
        return 0;
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                          void *userdata, sd_bus_error *reterr) {
        BusLink *l = userdata;

        return sd_bus_message_append(reply, "s", l->program);
}

static const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log_level, set_log_level, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_log_target, set_log_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END
};

/* ---- the connection ---- */

static int export_on(sd_bus *bus, const BusExport *e) {
        int r;

        if (!e->find)
                return sd_bus_add_object_vtable(bus, NULL, e->path, e->interface, e->vtable, e->userdata);
        r = sd_bus_add_fallback_vtable(bus, NULL, e->path, e->interface, e->vtable, e->find, e->userdata);
        if (r < 0)
                return r;
        r = sd_bus_add_object_manager(bus, NULL, e->path);
        if (r < 0 || !e->enumerate)
                return r;
        return sd_bus_add_node_enumerator(bus, NULL, e->path, e->enumerate, e->userdata);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusLink *l = userdata;
        uint32_t answer;
        int r;

        if (sd_bus_message_is_method_error(m, NULL)) {
                const sd_bus_error *e = sd_bus_message_get_error(m);
                /* When the connection ends, so does this call; the next connection asks again. */
                if (bus_connection_is_up(l->connection))
                        (void) log_error(-sd_bus_error_get_errno(e), "cannot acquire bus name '%s': %s", l->bus_name,
                                         e->message ? e->message : e->name);
                return 0;
        }
        r = sd_bus_message_read(m, "u", &answer);
        if (r < 0)
                return log_error(r, "cannot acquire bus name '%s': %m", l->bus_name);
        if (answer == 2)        /* in the queue: another instance has not quite ended */
                (void) log_warning(0, "bus name '%s' is taken, waiting for it", l->bus_name);
        else
                log_debug("acquired bus name '%s'", l->bus_name);
        return 0;
}

static void on_connected(bool again, void *userdata) {
        if (again)
                log_info("connected to the bus again");
}

static void on_lost(bool was_connected, void *userdata) {
        (void) log_warning(0, was_connected ? "lost the connection to the bus, going on without it"
                                            : "cannot connect to the bus, going on without it");
}

static int set_up(sd_bus *bus, void *userdata) {
        BusLink *l = userdata;
        int r;

        r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1",
                                     log_control_vtable, l);
        if (r < 0)
                return r;
        for (size_t i = 0; i < l->n_exports; i++) {
                r = export_on(bus, &l->exports[i]);
                if (r < 0)
                        return r;
        }
        return sd_bus_request_name_async(bus, NULL, l->bus_name, SD_BUS_NAME_QUEUE, on_name, l);
}

int bus_link_new(BusLink **ret, sd_event *event, const char *program, const char *bus_name, sd_bus **current) {
        static const BusConnectionSpec spec = {
                .description = "the bus",
                .setup = set_up,
                .connected = on_connected,
                .lost = on_lost,
        };
        _cleanup_(bus_link_freep) BusLink *l = calloc(1, sizeof(BusLink));
        int r;

        if (!l)
                return -ENOMEM;
        l->program = program;
        l->bus_name = bus_name;
        l->current = current;
        r = bus_connection_new(&l->connection, event, &spec, current, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

BusLink *bus_link_free(BusLink *l) {
        if (!l)
                return NULL;

        bus_connection_free(l->connection);
        free(l->exports);
        free(l);
        return NULL;
}

int bus_link_export(BusLink *l, const BusExport *row) {
        int r;

        r = GROW(l->exports, l->n_exports, l->capacity);
        if (r < 0)
                return r;
        if (*l->current) {
                r = export_on(*l->current, row);
                if (r < 0)
                        return r;
        }
        l->exports[l->n_exports++] = *row;
        return 0;
}
