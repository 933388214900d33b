/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Services and ports of a zone of firewalld, as it has them now: what is in its own files is not touched. */

#include <inttypes.h>

#include "common/resource.h"
#include "daemons/engine/host-bus.h"

#define SERVICE "org.fedoraproject.FirewallD1"
#define SERVICE_PATH "/org/fedoraproject/FirewallD1"
#define ZONE SERVICE ".zone"

typedef struct Firewalld {
        Resource resource;
        char *zone, *state;
        char **services, **ports;

        BusClient bus;
        char *zone_now;
        char **services_now;
        char **ports_now;       /* "80/tcp", "1000-2000/udp" */
        size_t at;              /* services, then ports */
        bool changed;
} Firewalld;

static const FieldSpec firewalld_fields[] = {
        FIELD(Firewalld, zone, FIELD_STR, 0, "The zone; if it is empty, the default one of the moment."),
        FIELD(Firewalld, state, FIELD_STR, 0, "'exists', which is also meant by '', or 'absent'."),
        FIELD(Firewalld, services, FIELD_STRV, 0, "Services that are let in, such as 'http'."),
        FIELD(Firewalld, ports, FIELD_STRV, 0, "Ports that are let in, such as '8080/tcp'."),
        {}
};

static bool parse_number(const char *s, size_t n, unsigned *ret) {
        unsigned value = 0;

        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9' || value > 65535)
                        return false;
                value = value * 10 + (unsigned) (s[i] - '0');
        }
        *ret = value;
        return n > 0 && value > 0 && value <= 65535;
}

/* "80/tcp", or "80-90/tcp". */
static bool parse_port(const char *s, unsigned *ret_first, unsigned *ret_last, const char **ret_protocol) {
        size_t n = strcspn(s, "/"), dash = strcspn(s, "-/");

        if (s[n] != '/' || !s[n + 1] || strchr(s + n + 1, '/') || !parse_number(s, dash, ret_first))
                return false;
        *ret_protocol = s + n + 1;
        *ret_last = *ret_first;
        return s[dash] != '-' || parse_number(s + dash + 1, n - dash - 1, ret_last);
}

static int firewalld_validate(const Resource *r, Diag *reterr) {
        const Firewalld *f = (const Firewalld *) r;
        unsigned first, last;
        const char *protocol;

        if (*f->state && !streq(f->state, "exists") && !streq(f->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists', 'absent' or '', got '%s'", f->state);
        for (char **s = f->services; s && *s; s++)
                if (!**s)
                        return resource_error(r, reterr, -EINVAL, "services must be names, got ''");
        for (char **p = f->ports; p && *p; p++)
                if (strchr(*p, '-') || !parse_port(*p, &first, &last, &protocol))
                        return resource_error(r, reterr, -EINVAL, "ports must be a number and a protocol, such as '80/tcp', got '%s'", *p);
        return 0;
}

/* ---- watch ---- */

static int firewalld_open(Firewalld *f) {
        int r;

        if (f->bus.resource)
                return 0;
        r = bus_client_open(&f->bus, &f->resource, HOST_BUS_SYSTEM, SERVICE, NULL);
        if (r >= 0)
                r = bus_client_listen(&f->bus, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',interface='" ZONE "'");
        if (r >= 0)
                r = bus_client_listen(&f->bus, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',interface='" SERVICE "'");
        if (r < 0)
                bus_client_close(&f->bus);
        return r;
}

static int firewalld_watch(Resource *r, Diag *reterr) {
        Firewalld *f = (Firewalld *) r;
        int k = firewalld_open(f);

        if (k >= 0)
                k = bus_client_watch(&f->bus);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch firewalld: %m") : 0;
}

static void firewalld_unwatch(Resource *r) {
        bus_client_close(&((Firewalld *) r)->bus);
}

/* ---- check and apply ---- */

static bool is_absent(const Firewalld *f) {
        return streq(f->state, "absent");
}

static bool has_service(const Firewalld *f, const char *service) {
        for (char **s = f->services_now; s && *s; s++)
                if (streq(*s, service))
                        return true;
        return false;
}

static bool has_port(const Firewalld *f, const char *port) {
        unsigned wanted, unused, first, last;
        const char *protocol, *other;

        if (!parse_port(port, &wanted, &unused, &protocol))
                return false;
        for (char **p = f->ports_now; p && *p; p++)
                if (parse_port(*p, &first, &last, &other) && first <= wanted && wanted <= last && streq(protocol, other))
                        return true;
        return false;
}

static int go_on(Firewalld *f, Diag *reterr);

/* Somebody may have been faster; but a port that stays is part of a range. */
static int on_changed(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Firewalld *f = (Firewalld *) c->resource;
        const sd_bus_error *e = sd_bus_message_get_error(m);
        bool is_port = f->at >= strv_count(f->services);
        bool harmless = e && e->message && (startswith(e->message, "ALREADY_ENABLED") ||
                                            (!is_port && startswith(e->message, "NOT_ENABLED")));

        if (e && !harmless)
                return bus_failed(c, m, reterr, "cannot change %s '%s' of zone '%s'", is_port ? "port" : "service",
                                  is_port ? f->ports[f->at - strv_count(f->services)] : f->services[f->at], f->zone_now);
        f->at++;
        return go_on(f, reterr);
}

static int change_service(Firewalld *f, const char *service, Diag *reterr) {
        if (is_absent(f))
                return bus_call(&f->bus, SERVICE_PATH, ZONE, "removeService", on_changed, reterr, "ss", f->zone_now, service);
        return bus_call(&f->bus, SERVICE_PATH, ZONE, "addService", on_changed, reterr, "ssi", f->zone_now, service, 0);
}

static int change_port(Firewalld *f, const char *port, Diag *reterr) {
        const char *slash = strchr(port, '/');
        _cleanup_free_ char *number = strndup(port, (size_t) (slash - port));

        if (!number)
                return -ENOMEM;
        if (is_absent(f))
                return bus_call(&f->bus, SERVICE_PATH, ZONE, "removePort", on_changed, reterr, "sss", f->zone_now, number, slash + 1);
        return bus_call(&f->bus, SERVICE_PATH, ZONE, "addPort", on_changed, reterr, "sssi", f->zone_now, number, slash + 1, 0);
}

static int go_on(Firewalld *f, Diag *reterr) {
        size_t n_services = strv_count(f->services), n_ports = strv_count(f->ports);

        for (; f->at < n_services + n_ports; f->at++) {
                bool is_port = f->at >= n_services;
                const char *what = is_port ? f->ports[f->at - n_services] : f->services[f->at];

                if ((is_port ? has_port(f, what) : has_service(f, what)) != is_absent(f))
                        continue;
                f->changed = true;
                resource_differs(&f->resource, is_port ? "ports" : "services", is_absent(f) ? what : NULL, is_absent(f) ? NULL : what);
                if (f->resource.applies)
                        return is_port ? change_port(f, what, reterr) : change_service(f, what, reterr);
        }
        return f->changed ? CHECK_CHANGED : CHECK_OK;
}

static int read_ports(Firewalld *f, sd_bus_message *m) {
        size_t n = 0, capacity = 0;
        int r;

        f->ports_now = strv_free(f->ports_now);
        r = sd_bus_message_enter_container(m, 'a', "as");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                _cleanup_(strv_freep) char **pair = NULL;
                r = sd_bus_message_read_strv(m, &pair);
                if (r < 0)
                        break;
                if (strv_count(pair) != 2)
                        return -EBADMSG;
                if (n + 1 >= capacity) {
                        char **grown = reallocarray(f->ports_now, capacity + 16, sizeof(*grown));
                        if (!grown)
                                return -ENOMEM;
                        f->ports_now = grown;
                        capacity += 16;
                }
                f->ports_now[n] = NULL;
                if (asprintf(&f->ports_now[n], "%s/%s", pair[0], pair[1]) < 0) {
                        f->ports_now[n] = NULL;
                        return -ENOMEM;
                }
                f->ports_now[++n] = NULL;
        }
        return r;
}

static int on_ports(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Firewalld *f = (Firewalld *) c->resource;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out the ports of zone '%s'", f->zone_now);
        int r = read_ports(f, m);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        f->at = 0;
        f->changed = false;
        return go_on(f, reterr);
}

static int on_services(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Firewalld *f = (Firewalld *) c->resource;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out the services of zone '%s'", f->zone_now);
        f->services_now = strv_free(f->services_now);
        int r = sd_bus_message_read_strv(m, &f->services_now);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        return bus_call(c, SERVICE_PATH, ZONE, "getPorts", on_ports, reterr, "s", f->zone_now);
}

static int look(Firewalld *f, const char *zone, Diag *reterr) {
        free(f->zone_now);
        f->zone_now = strdup(zone);
        if (!f->zone_now)
                return -ENOMEM;
        return bus_call(&f->bus, SERVICE_PATH, ZONE, "getServices", on_services, reterr, "s", f->zone_now);
}

static int on_zone(BusClient *c, sd_bus_message *m, Diag *reterr) {
        const char *zone;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out the default zone");
        int r = sd_bus_message_read(m, "s", &zone);
        return r < 0 ? bus_garbled(c, r, reterr) : look((Firewalld *) c->resource, zone, reterr);
}

static int firewalld_check_apply(Resource *r, bool apply, Diag *reterr) {
        Firewalld *f = (Firewalld *) r;
        int k = firewalld_open(f);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask firewalld: %m");
        if (*f->zone)
                return look(f, f->zone, reterr);
        return bus_call(&f->bus, SERVICE_PATH, SERVICE, "getDefaultZone", on_zone, reterr, NULL);
}

static void firewalld_cancel(Resource *r) {
        bus_cancel(&((Firewalld *) r)->bus);
}

/* ---- autoedge ---- */

static int firewalld_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        return batch == 0 ? resource_uids_add(ret, "svc", "firewalld", false) : 0;
}

static void firewalld_done(Resource *r) {
        Firewalld *f = (Firewalld *) r;

        firewalld_unwatch(r);
        free(f->zone_now);
        strv_free(f->services_now);
        strv_free(f->ports_now);
}

const ResourceType firewalld_type = {
        .kind = "firewalld",
        .doc = "What a zone of firewalld lets in.",
        .example = "firewalld \"web\" {\n"
                   "\tservices => [\"http\", \"https\"],\n"
                   "\tports => [\"8080/tcp\"],\n"
                   "}\n",
        .size = sizeof(Firewalld),
        .fields = firewalld_fields,
        .done = firewalld_done,
        .validate = firewalld_validate,
        .watch = firewalld_watch,
        .unwatch = firewalld_unwatch,
        .check_apply = firewalld_check_apply,
        .cancel = firewalld_cancel,
        .wants = firewalld_wants,
};
