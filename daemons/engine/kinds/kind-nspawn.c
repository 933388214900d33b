/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A container that systemd-nspawn@NAME.service runs from an image in /var/lib/machines. Whether it runs, machined says; it is started
 * and stopped by its unit. A notification makes it look again, and that is all. */

#include <ctype.h>

#include "common/resource.h"
#include "daemons/engine/host-bus.h"
#include "daemons/engine/kinds/systemd-unit.h"

#define SERVICE "org.freedesktop.machine1"
#define SERVICE_PATH "/org/freedesktop/machine1"
#define MANAGER SERVICE ".Manager"

enum { NAME_LENGTH_MAX = 64 };

typedef struct Nspawn {
        Resource resource;
        char *state;

        BusClient machined;
        SystemdUnit unit;
} Nspawn;

static const FieldSpec nspawn_fields[] = {
        FIELD(Nspawn, state, FIELD_STR, 0, "'running' or 'stopped'.", .initial = "\"running\""),
        {}
};

static int nspawn_validate(const Resource *r, Diag *reterr) {
        const Nspawn *n = (const Nspawn *) r;

        for (const char *p = r->name; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr("-._", *p))
                        return resource_error(r, reterr, -EINVAL, "name must be that of a machine: letters, digits and '-._', got '%s'",
                                              r->name);
        if (strlen(r->name) > NAME_LENGTH_MAX)
                return resource_error(r, reterr, -EINVAL, "name must have at most %d letters, got '%s'", NAME_LENGTH_MAX, r->name);
        if (!streq(n->state, "running") && !streq(n->state, "stopped"))
                return resource_error(r, reterr, -EINVAL, "state must be 'running' or 'stopped', got '%s'", n->state);
        return 0;
}

/* ---- watch ---- */

/* Machines come and go; ours is known by its name. */
static void on_machine(BusClient *c, sd_bus_message *m) {
        const char *name;

        if (m && sd_bus_message_read(m, "s", &name) >= 0 && streq(name, c->resource->name))
                bus_client_changed(c);
}

static int listen(Nspawn *n, const char *member) {
        return bus_client_listen(&n->machined, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',interface='" MANAGER "',"
                                 "member='%s',arg0='%s'", member, n->resource.name);
}

static void close_clients(Nspawn *n) {
        bus_client_close(&n->machined);
        systemd_unit_close(&n->unit);
}

static int nspawn_open(Nspawn *n) {
        _cleanup_free_ char *name = NULL;
        int r;

        if (n->machined.resource)
                return 0;
        if (asprintf(&name, "systemd-nspawn@%s.service", n->resource.name) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        r = bus_client_open(&n->machined, &n->resource, HOST_BUS_SYSTEM, SERVICE, on_machine);
        if (r >= 0)
                r = listen(n, "MachineNew");
        if (r >= 0)
                r = listen(n, "MachineRemoved");
        if (r >= 0)
                r = systemd_unit_open(&n->unit, &n->resource, false, name);
        if (r < 0)
                close_clients(n);
        return r;
}

static void nspawn_unwatch(Resource *r) {
        close_clients((Nspawn *) r);
}

static int nspawn_watch(Resource *r, Diag *reterr) {
        Nspawn *n = (Nspawn *) r;
        int k = nspawn_open(n);

        if (k >= 0) {
                bus_client_watch_beside(&n->machined);
                k = systemd_unit_watch(&n->unit);
        }
        return k < 0 ? resource_error(r, reterr, k, "cannot watch machine '%s': %m", r->name) : 0;
}

/* ---- check and apply ---- */

/* One that ends as soon as it has begun would be started for ever. */
static int done(Resource *r, Diag *reterr) {
        const Nspawn *n = (const Nspawn *) r;
        const char *now = n->unit.state.active;
        bool stopped = !*now || streq(now, "inactive") || streq(now, "failed");

        if (stopped == streq(n->state, "stopped"))
                return CHECK_CHANGED;
        return resource_error(r, reterr, -EPROTO, "state: the job for '%s' is done, but it is '%s'", n->unit.name, *now ? now : "inactive");
}

static int found_unit(Resource *r, Diag *reterr) {
        Nspawn *n = (Nspawn *) r;

        if (n->unit.state.has_job)
                return systemd_unit_busy(&n->unit);
        if (streq(n->state, "running"))
                return systemd_unit_job(&n->unit, "StartUnit", "start", done, reterr);
        return systemd_unit_job(&n->unit, "StopUnit", "stop", done, reterr);
}

static int differ(Nspawn *n, const char *now, Diag *reterr) {
        if (streq(now, n->state))
                return CHECK_OK;
        resource_differs(&n->resource, "state", now, n->state);
        return n->resource.applies ? systemd_unit_get(&n->unit, found_unit, reterr) : CHECK_CHANGED;
}

static int on_image(BusClient *c, sd_bus_message *m, Diag *reterr) {
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "machine '%s' has no image", c->resource->name);
        return differ((Nspawn *) c->resource, "stopped", reterr);
}

/* There is no such machine. */
static int gone(Nspawn *n, Diag *reterr) {
        if (streq(n->state, "stopped"))
                return CHECK_OK;
        return bus_call(&n->machined, SERVICE_PATH, MANAGER, "GetImage", on_image, reterr, "s", n->resource.name);
}

/* One that is opening or closing is on its way, and its end is told. */
static int on_state(BusClient *c, sd_bus_message *m, Diag *reterr) {
        const char *state;

        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return gone((Nspawn *) c->resource, reterr);
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out about machine '%s'", c->resource->name);
        int r = sd_bus_message_read(m, "v", "s", &state);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        return differ((Nspawn *) c->resource, state, reterr);
}

static int on_found(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Nspawn *n = (Nspawn *) c->resource;
        const char *path;

        if (sd_bus_message_is_method_error(m, "org.freedesktop.machine1.NoSuchMachine"))
                return gone(n, reterr);
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out about machine '%s'", n->resource.name);
        int r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        return bus_call(c, path, "org.freedesktop.DBus.Properties", "Get", on_state, reterr, "ss", SERVICE ".Machine", "State");
}

static int nspawn_check_apply(Resource *r, bool apply, Diag *reterr) {
        Nspawn *n = (Nspawn *) r;
        int k = nspawn_open(n);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask machined: %m");
        return bus_call(&n->machined, SERVICE_PATH, MANAGER, "GetMachine", on_found, reterr, "s", r->name);
}

static void nspawn_cancel(Resource *r) {
        Nspawn *n = (Nspawn *) r;

        bus_cancel(&n->machined);
        systemd_unit_cancel(&n->unit);
}

/* ---- autoedge ---- */

static int nspawn_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        _cleanup_free_ char *directory = NULL;

        if (batch > 0)
                return 0;
        if (asprintf(&directory, "/var/lib/machines/%s/", r->name) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        return resource_uids_add(ret, "file", directory, false);
}

static void nspawn_done(Resource *r) {
        nspawn_unwatch(r);
}

const ResourceType nspawn_type = {
        .kind = "nspawn",
        .doc = "A container of systemd-nspawn.",
        .example = "nspawn \"buildhost\" {\n"
                   "\tstate => \"running\",\n"
                   "}\n",
        .size = sizeof(Nspawn),
        .flags = RESOURCE_REFRESHABLE,
        .fields = nspawn_fields,
        .done = nspawn_done,
        .validate = nspawn_validate,
        .watch = nspawn_watch,
        .unwatch = nspawn_unwatch,
        .check_apply = nspawn_check_apply,
        .cancel = nspawn_cancel,
        .wants = nspawn_wants,
};
