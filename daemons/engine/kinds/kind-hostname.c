/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The names of this host, through systemd-hostnamed: the pretty one for people, the static one in /etc/hostname, and the transient one
 * that the kernel has. hostnamed may change one with another, so they are looked at anew after each change. */

#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/host-bus.h"
#include "daemons/engine/local-host.h"

#define SERVICE "org.freedesktop.hostname1"
#define SERVICE_PATH "/org/freedesktop/hostname1"

enum { NAMES_MAX = 3, NAME_MAX_HERE = 256, CHANGES_MAX = 8 };

typedef struct Hostname {
        Resource resource;
        char *hostname;
        char *pretty_hostname, *static_hostname, *transient_hostname;

        BusClient bus;
        PathWatch *watch;
        KernelWatch *kernel;            /* tells when the kernel's name changes, of which hostnamed does not */
        char now[NAMES_MAX][NAME_MAX_HERE];
        unsigned n_changes;     /* in this attempt */
} Hostname;

static const FieldSpec hostname_fields[] = {
        FIELD(Hostname, hostname, FIELD_STR, FIELD_IS_NAME, "The name, for all of those below that are not given."),
        FIELD(Hostname, pretty_hostname, FIELD_STR, FIELD_OPTIONAL, "The name that people see. Empty: whatever it is."),
        FIELD(Hostname, static_hostname, FIELD_STR, FIELD_OPTIONAL, "The name that survives a reboot. Empty: whatever it is."),
        FIELD(Hostname, transient_hostname, FIELD_STR, FIELD_OPTIONAL, "The name that the kernel has. Empty: whatever it is."),
        {}
};

/* The static one first: it brings the transient one with it. */
static const struct {
        const char *field, *property, *setter;
        size_t offset;
} names[NAMES_MAX] = {
        { "static_hostname", "StaticHostname", "SetStaticHostname", offsetof(Hostname, static_hostname) },
        { "transient_hostname", "Hostname", "SetHostname", offsetof(Hostname, transient_hostname) },
        { "pretty_hostname", "PrettyHostname", "SetPrettyHostname", offsetof(Hostname, pretty_hostname) },
};

static const char *wanted(const Hostname *h, size_t i) {
        const char *own = *(char *const *) ((const char *) h + names[i].offset);

        return own ?: h->hostname;
}

static int hostname_validate(const Resource *r, Diag *reterr) {
        const Hostname *h = (const Hostname *) r;
        bool any = false;

        for (size_t i = 0; i < NAMES_MAX; i++) {
                if (strlen(wanted(h, i)) >= NAME_MAX_HERE || strpbrk(wanted(h, i), "\n"))
                        return resource_error(r, reterr, -EINVAL, "%s must be one line of less than %d bytes, got '%s'", names[i].field,
                                              NAME_MAX_HERE, wanted(h, i));
                any = any || *wanted(h, i);
        }
        return any ? 0 : resource_error(r, reterr, -EINVAL, "at least one of the names must be given");
}

static int hostname_open(Hostname *h) {
        int r;

        if (h->bus.resource)
                return 0;
        r = bus_client_open(&h->bus, &h->resource, HOST_BUS_SYSTEM, SERVICE, NULL);
        if (r >= 0)
                r = bus_client_listen(&h->bus, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',"
                                      "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'");
        if (r < 0)
                bus_client_close(&h->bus);
        return r;
}

static int hostname_watch(Resource *r, Diag *reterr) {
        Hostname *h = (Hostname *) r;
        int k;

        k = hostname_open(h);
        if (k >= 0)
                k = local_host_watch_kernel(r, KERNEL_HOSTNAME, &h->kernel, reterr);
        if (k >= 0)
                k = local_host_watch(r, "/etc/hostname", 0, &h->watch, reterr);
        if (k >= 0)
                k = bus_client_watch(&h->bus);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch the names of the host: %m") : 0;
}

static void hostname_unwatch(Resource *r) {
        Hostname *h = (Hostname *) r;

        h->watch = path_watch_free(h->watch);
        h->kernel = kernel_watch_free(h->kernel);
        bus_client_close(&h->bus);
}

static int look(Hostname *h, Diag *reterr);

static int on_set(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Hostname *h = (Hostname *) c->resource;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot set the name of the host");
        h->n_changes++;
        return look(h, reterr);
}

static int read_names(Hostname *h, sd_bus_message *m) {
        const char *property, *text;
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                size_t i = 0;
                r = sd_bus_message_read(m, "s", &property);
                while (r >= 0 && i < NAMES_MAX && !streq(property, names[i].property))
                        i++;
                if (r >= 0 && i < NAMES_MAX) {
                        r = sd_bus_message_read(m, "v", "s", &text);
                        if (r >= 0)
                                (void) snprintf(h->now[i], sizeof(h->now[i]), "%s", text);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int on_names(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Hostname *h = (Hostname *) c->resource;
        bool right = true;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out the names of the host");
        r = read_names(h, m);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        for (size_t i = 0; i < NAMES_MAX; i++) {
                if (!*wanted(h, i) || streq(h->now[i], wanted(h, i)))
                        continue;
                right = false;
                if (h->n_changes == 0)
                        resource_differs(&h->resource, names[i].field, h->now[i], wanted(h, i));
        }
        if (right)
                return h->n_changes > 0 ? CHECK_CHANGED : CHECK_OK;
        if (!h->resource.applies)
                return CHECK_CHANGED;
        for (size_t i = 0; i < NAMES_MAX; i++) {
                if (!*wanted(h, i) || streq(h->now[i], wanted(h, i)))
                        continue;
                if (h->n_changes >= CHANGES_MAX)
                        return resource_error(&h->resource, reterr, -EPROTO, "%s stays '%s', and does not become '%s'", names[i].field,
                                              h->now[i], wanted(h, i));
                return bus_call(c, SERVICE_PATH, SERVICE, names[i].setter, on_set, reterr, "sb", wanted(h, i), false);
        }
        return CHECK_OK;
}

static int look(Hostname *h, Diag *reterr) {
        return bus_call(&h->bus, SERVICE_PATH, "org.freedesktop.DBus.Properties", "GetAll", on_names, reterr, "s", SERVICE);
}

static int hostname_check_apply(Resource *r, bool apply, Diag *reterr) {
        Hostname *h = (Hostname *) r;
        int k;

        k = hostname_open(h);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask hostnamed: %m");
        h->n_changes = 0;
        return look(h, reterr);
}

static void hostname_cancel(Resource *r) {
        bus_cancel(&((Hostname *) r)->bus);
}

static void hostname_done(Resource *r) {
        hostname_unwatch(r);
}

const ResourceType hostname_type = {
        .kind = "hostname",
        .doc = "The names of this host.",
        .example = "hostname \"web1\" {\n"
                   "\tpretty_hostname => \"The web server\",\n"
                   "}\n",
        .size = sizeof(Hostname),
        .fields = hostname_fields,
        .done = hostname_done,
        .validate = hostname_validate,
        .watch = hostname_watch,
        .unwatch = hostname_unwatch,
        .check_apply = hostname_check_apply,
        .cancel = hostname_cancel,
};
