/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See bus-ask.h. The bus itself speaks of rules and names. */

#include <stdarg.h>
#include <stdio.h>

#include "common/macro.h"
#include "daemons/mgmtctl/bus-ask.h"

bool bus_target_is(sd_bus *bus, const char *property, const char *value) {
        _cleanup_free_ char *found = NULL;

        return sd_bus_get_property_string(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1/unit/mgmt_2etarget",
                                          "org.freedesktop.systemd1.Unit", property, NULL, &found) >= 0 && streq(found, value);
}

static int message_new(sd_bus_message **ret, sd_bus *bus, const char *daemon, const char *path, const char *interface, const char *method) {
        char name[64], its_path[64], its_interface[64];

        (void) snprintf(name, sizeof(name), "org.mgmt.%s1", daemon);
        (void) snprintf(its_path, sizeof(its_path), "/org/mgmt/%s1", daemon);
        (void) snprintf(its_interface, sizeof(its_interface), "org.mgmt.%s1.Manager", daemon);
        return sd_bus_message_new_method_call(bus, ret, name, path ?: its_path, interface ?: its_interface, method);
}

/* That it has died, maybe with the question in its hands; a question may be asked twice. */
static bool is_gone(const sd_bus_error *e) {
        return bus_error_is_absence(e) || sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY);
}

int bus_ask(sd_bus *bus, const char *daemon, const char *path, const char *interface, const char *method, sd_bus_error *reterr,
            sd_bus_message **ret, const char *types, ...) {
        int r = 0;

        for (int round = 0; round < 2; round++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                va_list ap;

                r = message_new(&m, bus, daemon, path, interface, method);
                if (r >= 0)
                        r = sd_bus_message_set_auto_start(m, round > 0);
                va_start(ap, types);
                if (r >= 0 && types)
                        r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r >= 0)
                        r = sd_bus_call(bus, m, 0, &error, ret);
                if (r >= 0)
                        break;
                if (round == 0 && is_gone(&error) && bus_target_is(bus, "ActiveState", "active"))
                        continue;       /* it is about to be started again: it is waited for */
                if (reterr)
                        (void) sd_bus_error_move(reterr, &error);
                break;
        }
        return r;
}

bool bus_error_is_absence(const sd_bus_error *e) {
        return sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) || sd_bus_error_has_name(e, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

const char bus_absence_text[] = "mgmt does not run here; where it is installed, 'systemctl start mgmt.target' starts it "
                                "('mgmtctl run' needs no installation)";

const char *bus_error_text(const sd_bus_error *e, int r) {
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED))
                return "permission denied, only root may do that";
        if (bus_error_is_absence(e))
                return bus_absence_text;
        return e->message ?: strerrordesc_np(-r);
}
