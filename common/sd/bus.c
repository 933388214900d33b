/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How our programs get onto the bus. A daemon connects without waiting: a bus whose socket is not there yet is watched for by
 * sd-bus (inotify), and what is sent meanwhile goes out when it comes. A command-line tool wants to know at once. */

#include <sys/stat.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "common/strbuf.h"

#define SYSTEM_BUS_ADDRESS "unix:path=/run/dbus/system_bus_socket"

const char *bus_system_address(void) {
        const char *address = getenv("DBUS_SYSTEM_BUS_ADDRESS");

        return address && *address ? address : SYSTEM_BUS_ADDRESS;
}

const char *bus_own_address(void) {
        const char *address = getenv("MGMT_BUS_ADDRESS");

        return address && *address ? address : bus_system_address();
}

int bus_open(sd_bus **ret, sd_event *event, const char *description) {
        return bus_open_address(ret, event, description, bus_own_address());
}

int bus_open_address(sd_bus **ret, sd_event *event, const char *description, const char *address) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        (void) sd_bus_set_description(bus, description);
        r = sd_bus_set_address(bus, address);
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, true);
        if (r < 0)
                return r;
        if (event) {
                r = sd_bus_set_watch_bind(bus, true);
                if (r < 0)
                        return r;
                r = sd_bus_set_connected_signal(bus, true);
                if (r < 0)
                        return r;
                r = sd_bus_attach_event(bus, event, SD_EVENT_PRIORITY_NORMAL);
                if (r < 0)
                        return r;
        }
        r = sd_bus_start(bus);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(bus);
        return 0;
}

/* "org.mgmt.Error.ENOENT" */
static void error_name(char *buffer, size_t size, int error) {
        const char *name = strerrorname_np(-error);

        snprintf(buffer, size, "org.mgmt.Error.%s", name ? name : "EIO");
}

int bus_error_from_diag(sd_bus_error *reterr, const Diag *d) {
        int error = d->error < 0 ? d->error : -EIO;
        _cleanup_free_ char *text = diag_text(d);
        _cleanup_(strbuf_done) StrBuf b = {};
        char name[64];

        error_name(name, sizeof(name), error);
        strbuf_puts(&b, text && *text ? text : strerrordesc_np(-error));
        for (size_t i = 0; i < d->n_notes; i++) {
                strbuf_putc(&b, '\n');
                strbuf_puts(&b, d->notes[i].text);
        }
        (void) sd_bus_error_set(reterr, name, b.failed ? strerrordesc_np(-error) : b.data);
        return error;
}

/* sd-bus has no socket while it waits for one to appear. */
bool bus_is_awaited(sd_bus *bus) {
        struct stat st;
        int fd = bus ? sd_bus_get_fd(bus) : -ENOTCONN;

        return fd < 0 || fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode);
}

int bus_get_version(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "s", MGMT_VERSION);
}
