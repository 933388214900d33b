/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Many resources want the same signals, and a bus allows a connection some hundreds of match rules: so rules are shared, by their
 * text. */

#include <inttypes.h>
#include <stdarg.h>

#include "common/map.h"
#include "common/sd/bus-connection.h"
#include "common/sd/bus.h"
#include "common/sd/log.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/host-bus.h"
#include "daemons/engine/local-host.h"

#define DRIVER "org.freedesktop.DBus"

enum { LOST_REPLIES_MAX = 3 };

/* systemd reads all its files before it answers, and a machine may be busy; systemctl has as much patience. */
#define CALL_USEC (UINT64_C(90) * 1000 * 1000)

typedef TAILQ_HEAD(ClientList, BusClient) ClientList;
typedef TAILQ_HEAD(ListeningList, BusListening) ListeningList;

/* A match rule. */
typedef struct BusRule {
        HostBus *bus;
        char *text;
        sd_bus_slot *slot;
        bool installed;
        ListeningList listenings;
        BusListening *cursor;   /* the next one while a signal goes through them */
        bool busy, dead;        /* in the hands of on_signal(); nobody's any more */
} BusRule;

struct BusListening {
        BusClient *client;
        BusRule *rule;
        TAILQ_ENTRY(BusListening) link;
};

struct HostBus {
        HostBusType type;
        BusConnection *connection;
        sd_bus *bus;            /* the connection's, or NULL */
        PathWatch *socket;      /* of a user: it comes in a file system that is mounted first, which sd-bus does not see */
        bool greeted;           /* systemd knows that we listen */
        Map *rules;             /* by text */
        ClientList clients;
        BusClient *cursor;      /* the next one while news goes through them */
};

static const struct {
        const char *description, *absent;
} buses[_HOST_BUS_MAX] = {
        [HOST_BUS_SYSTEM] = { "the system bus", "there is no system bus" },
        [HOST_BUS_USER] = { "the bus of this user", "there is no bus of this user" },
        [HOST_BUS_OWN] = { "the bus of our daemons", "there is no bus of our daemons" },
};

/* ---- clients ---- */

static bool hears(const BusClient *c) {
        for (size_t i = 0; i < c->n_listenings; i++)
                if (!c->listenings[i]->rule->installed)
                        return false;
        return true;
}

static void arm(BusClient *c) {
        c->armed = true;
        resource_armed(c->resource);
}

/* The client hears everything it listens to; what was before is not known. */
static void caught_up(BusClient *c) {
        if (!c->watching || !hears(c))
                return;
        if (!c->armed) {
                c->stale = false;
                arm(c);
        } else if (c->stale) {
                c->stale = false;
                c->missing = false;
                resource_changed(c->resource);
        }
}

/* Goes through all clients, of which some may go away meanwhile. */
#define FOREACH_CLIENT(c, b) \
        for (BusClient *c = TAILQ_FIRST(&(b)->clients); c && ((b)->cursor = TAILQ_NEXT(c, link), true); c = (b)->cursor)

/* ---- rules ---- */

static int on_installed(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusRule *rule = userdata;
        HostBus *b = rule->bus;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (!e) {
                rule->installed = true;
                FOREACH_CLIENT(c, b)
                        caught_up(c);
                return 0;
        }
        if (sd_bus_is_open(b->bus) <= 0)
                return 0;

        /* The engine looks from time to time at what cannot be watched for want of room. */
        int error = sd_bus_error_has_name(e, SD_BUS_ERROR_LIMITS_EXCEEDED) ? -ENOSPC : -sd_bus_error_get_errno(e);
        FOREACH_CLIENT(c, b) {
                _cleanup_(diag_done) Diag diag = {};
                if (!c->watching || hears(c))
                        continue;
                (void) resource_error(c->resource, &diag, error, "cannot listen to the bus: %s", e->message ? e->message : e->name);
                resource_watch_failed(c->resource, error, &diag);
        }
        return 0;
}

static void rule_free(BusRule *rule) {
        sd_bus_slot_unref(rule->slot);
        free(rule->text);
        free(rule);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusRule *rule = userdata;

        rule->busy = true;
        for (BusListening *l = TAILQ_FIRST(&rule->listenings); l; l = rule->cursor) {
                rule->cursor = TAILQ_NEXT(l, link);
                (void) sd_bus_message_rewind(m, true);
                if (l->client->signal)
                        l->client->signal(l->client, m);
                else
                        bus_client_changed(l->client);
        }
        rule->busy = false;
        if (rule->dead)
                rule_free(rule);
        return 0;
}

static int rule_install(BusRule *rule, sd_bus *bus) {
        rule->installed = false;
        rule->slot = sd_bus_slot_unref(rule->slot);
        return sd_bus_add_match_async(bus, &rule->slot, rule->text, on_signal, on_installed, rule);
}

static int rule_get(HostBus *b, const char *text, BusRule **ret) {
        BusRule *rule = map_get(b->rules, text);
        int r;

        if (rule) {
                *ret = rule;
                return 0;
        }
        rule = calloc(1, sizeof(*rule));
        if (!rule)
                return -ENOMEM;
        rule->bus = b;
        TAILQ_INIT(&rule->listenings);
        rule->text = strdup(text);
        r = rule->text ? map_put(b->rules, text, rule) : -ENOMEM;
        if (r >= 0 && b->bus) {
                r = rule_install(rule, b->bus);
                if (r < 0)
                        map_remove(b->rules, text);
        }
        if (r < 0) {
                rule_free(rule);
                return r;
        }
        *ret = rule;
        return 0;
}

static void listening_free(BusListening *l) {
        BusRule *rule = l->rule;

        if (rule->cursor == l)
                rule->cursor = TAILQ_NEXT(l, link);
        TAILQ_REMOVE(&rule->listenings, l, link);
        free(l);
        if (!TAILQ_EMPTY(&rule->listenings))
                return;
        map_remove(rule->bus->rules, rule->text);
        if (rule->busy)
                rule->dead = true;
        else
                rule_free(rule);
}

int bus_client_listen(BusClient *c, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        BusRule *rule;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return -ENOMEM;
        }
        if (GROW(c->listenings, c->n_listenings, c->capacity_listenings) < 0)
                return -ENOMEM;
        BusListening *l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        r = rule_get(c->bus, text, &rule);
        if (r < 0) {
                free(l);
                return r;
        }
        *l = (BusListening) { .client = c, .rule = rule };
        TAILQ_INSERT_TAIL(&rule->listenings, l, link);
        c->listenings[c->n_listenings++] = l;
        return 0;
}

/* ---- services ---- */

/* systemd sends signals only to those who asked for them. */
static void greet(HostBus *b) {
        if (b->greeted || !b->bus)
                return;
        b->greeted = sd_bus_call_method_async(b->bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                              "org.freedesktop.systemd1.Manager", "Subscribe", NULL, NULL, NULL) >= 0;
}

/* The service is there anew; or, if NULL, one that was missing may be there now. Who has called has started the service itself, or
 * tries to. */
static void tell_come(HostBus *b, const char *service) {
        FOREACH_CLIENT(c, b) {
                if (service && !streq(c->service, service))
                        continue;
                if (c->call)
                        c->news = true;
                else if (service || c->missing) {
                        c->missing = false;
                        bus_client_changed(c);
                }
        }
}

static void tell_gone(HostBus *b, const char *service) {
        FOREACH_CLIENT(c, b)
                if (streq(c->service, service) && c->signal)
                        c->signal(c, NULL);
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        HostBus *b = userdata;
        const char *name, *before, *after;

        int r = sd_bus_message_read(m, "sss", &name, &before, &after);
        if (r < 0)
                return 0;
        if (*before)
                tell_gone(b, name);
        if (!*after)
                return 0;
        if (streq(name, "org.freedesktop.systemd1")) {
                b->greeted = false;
                greet(b);
        }
        tell_come(b, name);
        return 0;
}

static int on_maybe(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        tell_come(userdata, NULL);
        return 0;
}

static int on_own_rule(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const sd_bus_error *e = sd_bus_message_get_error(m);

        if (e && sd_bus_is_open(sd_bus_message_get_bus(m)) > 0)
                (void) log_warning(-sd_bus_error_get_errno(e), "cannot see services come and go: %s, ignoring",
                                   e->message ? e->message : e->name);
        return 0;
}

/* By their first word, so that those of mere connections, which come and go all the time, are left out. */
static int add_own_rules(HostBus *b, sd_bus *bus) {
        static const struct {
                const char *text;
                sd_bus_message_handler_t handler;
        } rules[] = {
                { "type='signal',sender='" DRIVER "',path='/org/freedesktop/DBus',interface='" DRIVER "',member='NameOwnerChanged',"
                  "arg0namespace='org'", on_owner },
                { "type='signal',sender='" DRIVER "',path='/org/freedesktop/DBus',interface='" DRIVER "',"
                  "member='ActivatableServicesChanged'", on_maybe },
                { "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',"
                  "interface='org.freedesktop.systemd1.Manager',member='Reloading'", on_maybe },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                r = sd_bus_add_match_async(bus, NULL, rules[i].text, rules[i].handler, on_own_rule, b);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int set_up(sd_bus *bus, void *userdata) {
        HostBus *b = userdata;
        size_t i = 0;
        void *rule;
        int r;

        if (!getenv("SYSTEMD_BUS_TIMEOUT"))
                (void) sd_bus_set_method_call_timeout(bus, CALL_USEC);
        r = add_own_rules(b, bus);
        if (r < 0)
                return r;
        while (map_next(b->rules, &i, NULL, &rule)) {
                r = rule_install(rule, bus);
                if (r < 0)
                        return r;
        }
        b->greeted = false;
        return 0;
}

static void on_connected(bool again, void *userdata) {
        HostBus *b = userdata;

        greet(b);
        FOREACH_CLIENT(c, b)
                caught_up(c);
}

static void on_lost(bool was_connected, void *userdata) {
        HostBus *b = userdata;
        size_t i = 0;
        void *rule;

        while (map_next(b->rules, &i, NULL, &rule))
                ((BusRule *) rule)->installed = false;
        FOREACH_CLIENT(c, b) {
                c->stale = true;
                if (c->signal)
                        c->signal(c, NULL);
                if (c->watching && !c->armed)
                        arm(c);
        }
}

/* ---- the life of a client ---- */

int bus_client_open(BusClient *c, Resource *r, HostBusType type, const char *service, bus_signal_t signal) {
        HostBus *b;
        int k;

        if (c->resource)
                return 0;
        k = local_host_bus(r, type, &b);
        if (k < 0)
                return k;
        *c = (BusClient) { .resource = r, .bus = b, .service = service, .signal = signal };
        TAILQ_INSERT_TAIL(&b->clients, c, link);
        greet(b);
        return 0;
}

int bus_client_watch(BusClient *c) {
        c->watching = true;
        c->stale = bus_is_awaited(c->bus->bus);
        if (c->stale)
                arm(c);
        else
                caught_up(c);
        return 0;
}

void bus_client_watch_beside(BusClient *c) {
        c->watching = c->armed = true;
        c->stale = bus_is_awaited(c->bus->bus);
}

void bus_client_changed(BusClient *c) {
        if (c->watching && c->armed)
                resource_changed(c->resource);
}

void bus_client_close(BusClient *c) {
        if (!c->resource)
                return;
        bus_cancel(c);
        for (size_t i = 0; i < c->n_listenings; i++)
                listening_free(c->listenings[i]);
        free(c->listenings);
        if (c->bus->cursor == c)
                c->bus->cursor = TAILQ_NEXT(c, link);
        TAILQ_REMOVE(&c->bus->clients, c, link);
        *c = (BusClient) {};
}

/* ---- calls ---- */

static int absent(BusClient *c) {
        c->stale = true;
        return resource_waiting(c->resource, buses[c->bus->type].absent);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        BusClient *c = userdata;
        bus_reply_t reply = c->reply;
        _cleanup_(diag_done) Diag diag = {};

        c->call = sd_bus_slot_unref(c->call);
        c->reply = NULL;
        if (!sd_bus_message_is_method_error(m, NULL))
                c->n_lost_replies = 0;
        int r = reply(c, m, &diag);
        if (r != CHECK_PENDING)
                resource_finish(c->resource, r, &diag);
        return 0;
}

int bus_new_call(BusClient *c, sd_bus_message **ret, const char *path, const char *interface, const char *member) {
        if (bus_is_awaited(c->bus->bus))
                return absent(c);
        return sd_bus_message_new_method_call(c->bus->bus, ret, c->service, path, interface, member);
}

int bus_send_call(BusClient *c, sd_bus_message *m, bus_reply_t reply, Diag *reterr) {
        int r;

        bus_cancel(c);
        c->news = false;
        r = sd_bus_call_async(c->bus->bus, &c->call, m, on_reply, c, c->call_usec);
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot call %s: %m", c->service);
        c->reply = reply;
        return CHECK_PENDING;
}

int bus_call(BusClient *c, const char *path, const char *interface, const char *member, bus_reply_t reply, Diag *reterr,
             const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        r = bus_new_call(c, &m, path, interface, member);
        if (r == -EAGAIN)
                return r;
        if (r >= 0 && types) {
                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
        }
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot call %s.%s: %m", interface, member);
        return bus_send_call(c, m, reply, reterr);
}

void bus_cancel(BusClient *c) {
        c->call = sd_bus_slot_unref(c->call);
        c->reply = NULL;
}

void bus_tell(BusClient *c, const char *path, const char *interface, const char *member, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        if (bus_is_awaited(c->bus->bus) || sd_bus_message_new_method_call(c->bus->bus, &m, c->service, path, interface, member) < 0)
                return;
        va_start(ap, types);
        r = types ? sd_bus_message_appendv(m, types, ap) : 0;
        va_end(ap);
        if (r >= 0 && sd_bus_message_set_expect_reply(m, false) >= 0)
                (void) sd_bus_send(c->bus->bus, m, NULL);
}

static int service_missing(BusClient *c, const sd_bus_error *e) {
        _cleanup_free_ char *reason = NULL;
        int r;

        c->missing = true;
        if (asprintf(&reason, "%s is not there: %s", c->service, e->message ? e->message : e->name) < 0)
                reason = NULL;
        r = resource_waiting(c->resource, reason ? reason : "its service is not there");
        if (c->news)            /* it was started while it was being installed, say */
                resource_changed(c->resource);
        return r;
}

/* Whether this error says that nobody was there to answer; if so, the resource waits. What the bus itself says of a call is that it
 * has nobody to take it to, or may not. */
static bool is_unanswered(BusClient *c, sd_bus_message *m, const sd_bus_error *e, int *ret) {
        const char *sender = sd_bus_message_get_sender(m);

        if (!c->bus->bus || sd_bus_is_open(c->bus->bus) <= 0) {
                *ret = absent(c);
                return true;
        }
        if (!sender || !streq(sender, DRIVER) ||
            sd_bus_error_has_names(e, SD_BUS_ERROR_ACCESS_DENIED, SD_BUS_ERROR_LIMITS_EXCEEDED, SD_BUS_ERROR_NO_MEMORY))
                return false;
        if (!sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY)) {
                *ret = service_missing(c, e);
                return true;
        }
        if (++c->n_lost_replies > LOST_REPLIES_MAX)
                return false;
        *ret = resource_waiting(c->resource, e->message ? e->message : "its service has not answered");
        resource_changed(c->resource);
        return true;
}

int bus_failed(BusClient *c, sd_bus_message *m, Diag *reterr, const char *format, ...) {
        const sd_bus_error *e = sd_bus_message_get_error(m);
        _cleanup_free_ char *what = NULL;
        va_list ap;
        int r;

        if (is_unanswered(c, m, e, &r))
                return r;
        va_start(ap, format);
        r = vasprintf(&what, format, ap);
        va_end(ap);
        if (r < 0)
                what = NULL;
        r = sd_bus_error_get_errno(e);
        return resource_error(c->resource, reterr, r > 0 ? -r : -EIO, "%s: %s", what ? what : "call failed",
                              e->message ? e->message : e->name);
}

int bus_garbled(BusClient *c, int error, Diag *reterr) {
        return resource_error(c->resource, reterr, error, "%s answers what we do not understand: %m", c->service);
}

/* ---- the bus ---- */

HostBusType host_bus_own(void) {
        return streq(bus_own_address(), bus_system_address()) ? HOST_BUS_SYSTEM : HOST_BUS_OWN;
}

/* As sd_bus_default_user(), but also for daemons, which have no environment of a session. */
static char *user_bus_address(void) {
        const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *directory = getenv("XDG_RUNTIME_DIR");
        char *text;

        if (address && *address)
                return strdup(address);
        if (directory && *directory)
                return asprintf(&text, "unix:path=%s/bus", directory) < 0 ? NULL : text;
        return asprintf(&text, "unix:path=/run/user/%u/bus", getuid()) < 0 ? NULL : text;
}

static void on_socket(PathWatch *w, int error, void *userdata) {
        HostBus *b = userdata;

        if (error >= 0)
                bus_connection_again(b->connection);
}

int host_bus_new(HostBus **ret, sd_event *event, HostBusType type, PathWatcher *paths) {
        _cleanup_(host_bus_freep) HostBus *b = calloc(1, sizeof(*b));
        _cleanup_free_ char *address = type == HOST_BUS_USER ? user_bus_address()
                : strdup(type == HOST_BUS_OWN ? bus_own_address() : bus_system_address());
        int r;

        if (!b)
                return -ENOMEM;
        b->type = type;
        TAILQ_INIT(&b->clients);
        b->rules = map_new();
        if (!address || !b->rules)
                return -ENOMEM;
        const BusConnectionSpec spec = {
                .description = buses[type].description,
                .address = address,
                .setup = set_up,
                .connected = on_connected,
                .lost = on_lost,
        };
        r = bus_connection_new(&b->connection, event, &spec, &b->bus, b);
        if (r < 0)
                return r;
        const char *path = type == HOST_BUS_USER ? startswith(address, "unix:path=") : NULL;
        if (path && !strpbrk(path, ",;%"))
                (void) path_watch_new(&b->socket, paths, path, 0, on_socket, b);        /* without it, sd-bus looks alone */
        *ret = TAKE_PTR(b);
        return 0;
}

HostBus *host_bus_free(HostBus *b) {
        if (!b)
                return NULL;
        path_watch_free(b->socket);
        if (b->connection)
                bus_connection_free(b->connection);
        map_free(b->rules);
        free(b);
        return NULL;
}
