/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "common/sd/log.h"
#include "daemons/virt/activation.h"

static bool call(Activation *a, const char *member, sd_bus_message_handler_t callback, const char *types, const char *unit,
                 const char *mode) {
        sd_bus *bus = a->bus ? *a->bus : NULL;

        a->call = sd_bus_slot_unref(a->call);
        return bus && sd_bus_call_method_async(bus, &a->call, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                               "org.freedesktop.systemd1.Manager", member, callback, a, types, unit, mode) >= 0;
}

static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Activation *a = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e)
                log_info("%s is not started for us, ignoring: %s", *a->units, e->message);
        else
                log_info("%s is enabled and not active: systemd was asked to start it", *a->units);
        a->call = sd_bus_slot_unref(a->call);
        return 0;
}

static void ask(Activation *a);

static int on_state(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Activation *a = userdata;
        const char *state;

        a->call = sd_bus_slot_unref(a->call);
        if (!sd_bus_message_is_method_error(m, NULL) && sd_bus_message_read(m, "s", &state) > 0 &&
            (streq(state, "enabled") || streq(state, "enabled-runtime"))) {
                /* "fail": not against a job that is there, such as one that stops it */
                (void) call(a, "StartUnit", on_started, "ss", *a->units, "fail");
                return 0;
        }
        a->units++;
        ask(a);
        return 0;
}

static void ask(Activation *a) {
        if (*a->units)
                (void) call(a, "GetUnitFileState", on_state, "s", *a->units, NULL);
}

void activation_ask(Activation *a, const char *const *units) {
        a->units = units;
        ask(a);
}

void activation_done(Activation *a) {
        a->call = sd_bus_slot_unref(a->call);
}
