/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A bus socket that is not there is waited for by inotify (bus_open()). What inotify cannot tell, a bus that takes us and throws us
 * out, or forbids us, is tried again at growing intervals. */

#include <inttypes.h>

#include <systemd/sd-event.h>

#include "common/sd/bus-connection.h"
#include "common/sd/bus.h"
#include "common/sd/log.h"

enum { USEC_PER_MSEC = 1000, USEC_PER_SEC = 1000 * 1000 };

static const uint64_t delay_min_usec = 100 * USEC_PER_MSEC, delay_max_usec = 60 * USEC_PER_SEC;
static const uint64_t settled_usec = 10 * USEC_PER_SEC;         /* a connection that lasted as long was a good one */

struct BusConnection {
        sd_event *event;
        BusConnectionSpec spec;
        char *address;
        sd_bus **current;
        void *userdata;
        sd_event_source *retry;         /* one-shot, off while connected */
        uint64_t delay_usec;
        uint64_t connected_usec;        /* since when; 0: not connected */
};

static int arm_retry(BusConnection *c, uint64_t usec);

static uint64_t now_usec(sd_event *event) {
        uint64_t usec = 0;

        (void) sd_event_now(event, CLOCK_MONOTONIC, &usec);
        return usec;
}

static int on_connected(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusConnection *c = userdata;

        c->connected_usec = now_usec(c->event);
        if (c->spec.connected)
                c->spec.connected(c->delay_usec > 0, c->userdata);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusConnection *c = userdata;
        bool was_connected = c->connected_usec > 0;

        if (was_connected && now_usec(c->event) - c->connected_usec >= settled_usec)
                c->delay_usec = 0;
        c->connected_usec = 0;
        if (c->spec.lost)
                c->spec.lost(was_connected, c->userdata);
        return arm_retry(c, c->delay_usec);
}

static int connect_bus(BusConnection *c) {
        static const char local[] = "org.freedesktop.DBus.Local", local_path[] = "/org/freedesktop/DBus/Local";
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = c->address ? bus_open_address(&bus, c->event, c->spec.description, c->address)
                       : bus_open(&bus, c->event, c->spec.description);
        if (r < 0)
                return r;
        /* At exit its user still wants to answer; bus_connection_free() closes. */
        r = sd_bus_set_close_on_exit(bus, false);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(bus, NULL, NULL, local_path, local, "Connected", on_connected, NULL, c);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(bus, NULL, NULL, local_path, local, "Disconnected", on_disconnected, NULL, c);
        if (r < 0)
                return r;
        r = c->spec.setup ? c->spec.setup(bus, c->userdata) : 0;
        if (r < 0)
                return r;

        *c->current = TAKE_PTR(bus);
        return 0;
}

static void disconnect_bus(BusConnection *c) {
        *c->current = sd_bus_close_unref(*c->current);
        c->connected_usec = 0;
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        BusConnection *c = userdata;
        int r;

        disconnect_bus(c);
        c->delay_usec = c->delay_usec == 0 ? delay_min_usec : MIN(c->delay_usec * 2, delay_max_usec);
        r = connect_bus(c);
        if (r < 0) {
                log_debug("cannot connect to %s (%s), trying again in %" PRIu64 " ms", c->spec.description, strerrordesc_np(-r),
                          c->delay_usec / USEC_PER_MSEC);
                return arm_retry(c, c->delay_usec);
        }
        return 0;
}

static int arm_retry(BusConnection *c, uint64_t usec) {
        int r;

        if (!c->retry) {
                r = sd_event_add_time_relative(c->event, &c->retry, CLOCK_MONOTONIC, usec, 0, on_retry, c);
                if (r < 0)
                        return r;
                (void) sd_event_source_set_description(c->retry, "bus-retry");
                return 0;
        }
        r = sd_event_source_set_time_relative(c->retry, usec);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->retry, SD_EVENT_ONESHOT);
}

int bus_connection_new(BusConnection **ret, sd_event *event, const BusConnectionSpec *spec, sd_bus **current, void *userdata) {
        _cleanup_(bus_connection_freep) BusConnection *c = calloc(1, sizeof(BusConnection));
        int r;

        if (!c)
                return -ENOMEM;
        c->event = sd_event_ref(event);
        c->spec = *spec;
        c->current = current;
        c->userdata = userdata;
        c->address = spec->address ? strdup(spec->address) : NULL;
        if (spec->address && !c->address)
                return -ENOMEM;

        r = connect_bus(c);
        if (r == -EINVAL || r == -ENOMEM)
                return r;
        if (r < 0) {
                (void) log_warning(r, "cannot connect to %s, going on without it: %m", spec->description);
                r = arm_retry(c, delay_min_usec);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}

BusConnection *bus_connection_free(BusConnection *c) {
        if (!c)
                return NULL;

        sd_event_source_disable_unref(c->retry);
        if (*c->current && sd_bus_is_ready(*c->current) > 0)
                (void) sd_bus_flush(*c->current);
        disconnect_bus(c);
        sd_event_unref(c->event);
        free(c->address);
        free(c);
        return NULL;
}

void bus_connection_again(BusConnection *c) {
        if (c->connected_usec > 0)
                return;
        c->delay_usec = 0;
        (void) arm_retry(c, 0);
}

bool bus_connection_is_up(const BusConnection *c) {
        return c->connected_usec > 0;
}
