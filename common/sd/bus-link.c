/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An sd_bus cannot be connected a second time, so what stays is a list of exports, and every connection is built from it. A bus
 * socket that is not there is waited for by inotify (bus_open()). What inotify cannot tell, a bus that takes us and throws us
 * out, or forbids us, is tried again at growing intervals. */

#include <systemd/sd-event.h>

#include "common/sd/bus-link.h"
#include "common/sd/bus.h"
#include "common/sd/log.h"

enum { USEC_PER_MSEC = 1000, USEC_PER_SEC = 1000 * 1000 };

static const uint64_t delay_min_usec = 100 * USEC_PER_MSEC, delay_max_usec = 60 * USEC_PER_SEC;
static const uint64_t settled_usec = 10 * USEC_PER_SEC;         /* a connection that lasted as long was a good one */

struct BusLink {
        sd_event *event;
        const char *program, *bus_name;
        sd_bus **current;
        sd_event_source *retry;         /* one-shot, off while connected */
        uint64_t delay_usec;
        uint64_t connected_usec;        /* since when; 0: not connected */
        BusExport *exports;
        size_t n_exports, capacity;
};

static uint64_t now_usec(sd_event *event) {
        uint64_t usec = 0;

        (void) sd_event_now(event, CLOCK_MONOTONIC, &usec);
        return usec;
}

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
                if (l->connected_usec > 0)
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

static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusLink *l = userdata;

        l->connected_usec = now_usec(l->event);
        if (l->delay_usec > 0)
                log_info("connected to the bus again");
        return 0;
}

static int arm_retry(BusLink *l, uint64_t usec);

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusLink *l = userdata;
        bool was_good = l->connected_usec > 0 && now_usec(l->event) - l->connected_usec >= settled_usec;

        (void) log_warning(0, l->connected_usec > 0 ? "lost the connection to the bus, going on without it"
                                                    : "cannot connect to the bus, going on without it");
        l->delay_usec = was_good ? 0 : l->delay_usec;
        l->connected_usec = 0;
        return arm_retry(l, l->delay_usec);
}

static int connect_bus(BusLink *l) {
        static const char local[] = "org.freedesktop.DBus.Local", local_path[] = "/org/freedesktop/DBus/Local";
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_open(&bus, l->event, l->program);
        if (r < 0)
                return r;
        /* At exit the daemon still wants to answer; bus_link_free() closes. */
        r = sd_bus_set_close_on_exit(bus, false);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(bus, NULL, NULL, local_path, local, "Connected", on_connected, NULL, l);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(bus, NULL, NULL, local_path, local, "Disconnected", on_disconnected, NULL, l);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1",
                                     log_control_vtable, l);
        if (r < 0)
                return r;
        for (size_t i = 0; i < l->n_exports; i++) {
                r = export_on(bus, &l->exports[i]);
                if (r < 0)
                        return r;
        }
        r = sd_bus_request_name_async(bus, NULL, l->bus_name, SD_BUS_NAME_QUEUE, on_name, l);
        if (r < 0)
                return r;

        *l->current = TAKE_PTR(bus);
        return 0;
}

static void disconnect_bus(BusLink *l) {
        *l->current = sd_bus_close_unref(*l->current);
        l->connected_usec = 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        BusLink *l = userdata;
        int r;

        disconnect_bus(l);
        l->delay_usec = l->delay_usec == 0 ? delay_min_usec : MIN(l->delay_usec * 2, delay_max_usec);
        r = connect_bus(l);
        if (r < 0) {
                log_debug("cannot connect to the bus (%s), trying again in %" PRIu64 " ms", strerrordesc_np(-r),
                          l->delay_usec / USEC_PER_MSEC);
                return arm_retry(l, l->delay_usec);
        }
        return 0;
}

static int arm_retry(BusLink *l, uint64_t usec) {
        int r;

        if (!l->retry) {
                r = sd_event_add_time_relative(l->event, &l->retry, CLOCK_MONOTONIC, usec, 0, on_retry, l);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_description(l->retry, "bus-retry");
                return 0;
        }
        r = sd_event_source_set_time_relative(l->retry, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(l->retry, SD_EVENT_ONESHOT);
}

int bus_link_new(BusLink **ret, sd_event *event, const char *program, const char *bus_name, sd_bus **current) {
        _cleanup_(bus_link_freep) BusLink *l = calloc(1, sizeof(BusLink));
        int r;

        if (!l)
                return -ENOMEM;
        l->event = sd_event_ref(event);
        l->program = program;
        l->bus_name = bus_name;
        l->current = current;

        r = connect_bus(l);
        if (r == -EINVAL || r == -ENOMEM)
                return r;
        if (r < 0) {
                (void) log_warning(r, "cannot connect to the bus, going on without it: %m");
                r = arm_retry(l, delay_min_usec);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

BusLink *bus_link_free(BusLink *l) {
        if (!l)
                return NULL;

        sd_event_source_disable_unref(l->retry);
        if (*l->current && sd_bus_is_ready(*l->current) > 0)
                (void) sd_bus_flush(*l->current);
        disconnect_bus(l);
        sd_event_unref(l->event);
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
