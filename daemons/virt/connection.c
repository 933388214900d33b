/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which thread may touch what: the library's handle (c->handle) belongs to the connection's own thread, everything else to the
 * loop. What the library tells by itself (events, the end of a connection) comes in the loop's thread, except that the end may
 * also be noticed in the middle of a call: that one goes through an eventfd.
 *
 * The thread for calls that wait has a handle of its own for each: where two threads call with the same one, libvirt before 10.0 may
 * forget to send what the second one asks for. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <libvirt/virterror.h>
#include <systemd/sd-event.h>

#include "common/map.h"
#include "daemons/virt/activation.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/libvirt-loop.h"
#include "daemons/virt/xml.h"

enum {
        KEEPALIVE_SECONDS = 5,          /* without an answer to this many times KEEPALIVE_COUNT, a connection is lost */
        KEEPALIVE_COUNT = 4,
};

/* How long a connection without users waits for a new one. The engine takes milliseconds, on a busy machine more. */
#define LEFT_USEC UINT64_C(500000)

#define PATIENCE_USEC UINT64_C(300000)  /* for calls under way when the daemon ends */

/* Where the system's daemons have their sockets. */
#define SYSTEM_FOLDER "/run/libvirt"

/* How long to wait where a socket is there, but nobody listens, or who does hangs up: that may change without a trace in the file
 * system. */
#define REFUSED_FIRST_USEC UINT64_C(50000)
#define REFUSED_LAST_USEC UINT64_C(30000000)

/* All that tells of a change of a domain; see the table of callbacks below. */
enum { N_DOMAIN_EVENTS = 7 };

struct VirtConnection {
        VirtManager *manager;
        char *uri;
        const char *target;             /* what the library is told, see target_of() */
        char *username, *password;      /* NULL: none */
        char *folder;                   /* where its socket appears; NULL if that is not on this machine */
        VirtUser *users;
        unsigned n_users;
        Map *by_name[_VIRT_OBJECT_MAX]; /* of users, with their namesakes */
        WorkThread *thread;
        WorkThread *patient;            /* for calls that wait for others; NULL before the first */
        unsigned n_patient;             /* calls in it */
        VirtConnectionState state;
        PathWatch *watch;               /* of the folder, while it is not open */
        sd_event_source *refused;       /* enabled while connections are refused or cut off */
        uint64_t refused_usec;          /* the next wait */
        sd_event_source *left;          /* enabled while there are no users */
        Activation activation;
        bool needed;                    /* by users who came since it was open last, or since systemd was asked for it */
        int lost_fd;
        sd_event_source *lost_source;
        bool used;                      /* a call was made */
        bool awaited;                   /* calls have ended because nobody was there, and no user was told since to try again */
        bool closing;
        VirtConnection *next;

        /* the thread's */
        virConnectPtr handle;
        int domain_events[N_DOMAIN_EVENTS], network_events;     /* negative: not subscribed */

        atomic_bool lost;
        Work close;
};

static void connections_changed(VirtManager *m) {
        (void) sd_event_source_set_enabled(m->tell, SD_EVENT_ONESHOT);
}

static int on_tell(sd_event_source *source, void *userdata) {
        VirtManager *m = userdata;

        if (m->connections_changed)
                m->connections_changed(m, m->userdata);
        return 0;
}

static void tell_all(VirtConnection *c) {
        c->awaited = false;
        for (VirtUser *u = c->users, *next; u; u = next) {
                next = u->next;
                u->changed(u);
        }
}

static void tell_users(VirtConnection *c, VirtObject object, const char *name) {
        VirtUser *next;

        for (VirtUser *u = name ? map_get(c->by_name[object], name) : NULL; u; u = next) {
                next = u->namesake;
                u->changed(u);
        }
}

/* ---- in the thread ---- */

static int errno_of(virErrorPtr e) {
        if (!e)
                return -EIO;
        switch (e->code) {
        case VIR_ERR_NO_DOMAIN:
        case VIR_ERR_NO_NETWORK:
                return -ENOENT;
        case VIR_ERR_OPERATION_INVALID:
                return -ESTALE;
        case VIR_ERR_OPERATION_TIMEOUT:
                return -ETIMEDOUT;
        case VIR_ERR_AUTH_FAILED:
        case VIR_ERR_AUTH_CANCELLED:
        case VIR_ERR_ACCESS_DENIED:
        case VIR_ERR_OPERATION_DENIED:
                return -EACCES;
        case VIR_ERR_NO_MEMORY:
                return -ENOMEM;
        case VIR_ERR_NO_SUPPORT:
        case VIR_ERR_CONFIG_UNSUPPORTED:
        case VIR_ERR_ARGUMENT_UNSUPPORTED:
        case VIR_ERR_OPERATION_UNSUPPORTED:
                return -EOPNOTSUPP;
        case VIR_ERR_XML_ERROR:
        case VIR_ERR_XML_DETAIL:
        case VIR_ERR_INVALID_ARG:
                return -EINVAL;
        default:
                return -EIO;
        }
}

int virt_error(Diag *reterr, const char *format, ...) {
        _cleanup_free_ char *what = NULL;
        virErrorPtr e = virGetLastError();
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&what, format, ap);
        va_end(ap);
        return diag_set(reterr, (Pos) {}, errno_of(e), "%s: %s", r < 0 ? "libvirt" : what,
                        e && e->message ? e->message : "unknown error");
}

bool virt_error_is_refusal(void) {
        virErrorPtr e = virGetLastError();

        return e && (e->code == VIR_ERR_INVALID_ARG || e->code == VIR_ERR_NO_SUPPORT || e->code == VIR_ERR_ARGUMENT_UNSUPPORTED ||
                     e->code == VIR_ERR_OPERATION_UNSUPPORTED);
}

static int answer_credentials(virConnectCredentialPtr wanted, unsigned n, void *userdata) {
        const VirtConnection *c = userdata;

        for (unsigned i = 0; i < n; i++) {
                const char *answer = wanted[i].type == VIR_CRED_AUTHNAME ? c->username :
                                     wanted[i].type == VIR_CRED_PASSPHRASE ? c->password : NULL;
                wanted[i].result = answer ? strdup(answer) : NULL;
                if (!wanted[i].result)
                        return -1;
                wanted[i].resultlen = (unsigned) strlen(wanted[i].result);
        }
        return 0;
}

/* Not there yet, as opposed to not working: no socket, nobody behind it, or a hang-up while we talk, which the library calls an internal
 * error if it has noticed that early. */
static bool may_come_later(const VirtConnection *c) {
        static const int errors[] = { ENOENT, ECONNREFUSED, ECONNRESET, EPIPE, EIO };
        virErrorPtr e = virGetLastError();

        if (!c->folder || !e)
                return false;
        for (size_t i = 0; e->code == VIR_ERR_SYSTEM_ERROR && i < ELEMENTSOF(errors); i++)
                if (e->int1 == errors[i])
                        return true;
        return e->code == VIR_ERR_INTERNAL_ERROR && e->domain == VIR_FROM_RPC;
}

/* What the events say beside the domain is nothing to us: what they are about is looked at. Each has a callback of its own shape. */

static int on_lifecycle(virConnectPtr handle, virDomainPtr domain, int event, int detail, void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
        return 0;
}

static void on_agent(virConnectPtr handle, virDomainPtr domain, int state, int reason, void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
}

static void on_balloon(virConnectPtr handle, virDomainPtr domain, unsigned long long actual, void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
}

static void on_device(virConnectPtr handle, virDomainPtr domain, const char *alias, void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
}

static void on_tray(virConnectPtr handle, virDomainPtr domain, const char *alias, int reason, void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
}

static void on_disk(virConnectPtr handle, virDomainPtr domain, const char *from, const char *to, const char *alias, int reason,
                    void *userdata) {
        tell_users(userdata, VIRT_DOMAIN, virDomainGetName(domain));
}

static const struct {
        int event;
        virConnectDomainEventGenericCallback callback;
} domain_events[N_DOMAIN_EVENTS] = {
        { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },     /* the one that every driver has */
        { VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_agent) },
        { VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon) },
        { VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, VIR_DOMAIN_EVENT_CALLBACK(on_device) },
        { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device) },
        { VIR_DOMAIN_EVENT_ID_DISK_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_disk) },
        { VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_tray) },
};

static void on_network(virConnectPtr handle, virNetworkPtr network, int event, int detail, void *userdata) {
        tell_users(userdata, VIRT_NETWORK, virNetworkGetName(network));
}

static void on_closed(virConnectPtr handle, int reason, void *userdata) {
        static const uint64_t one = 1;
        VirtConnection *c = userdata;

        atomic_store(&c->lost, true);
        (void) !write(c->lost_fd, &one, sizeof(one));
}

static void handle_close(VirtConnection *c) {
        if (!c->handle)
                return;
        /* a subscription keeps the connection alive */
        for (size_t i = 0; i < N_DOMAIN_EVENTS; i++)
                if (c->domain_events[i] >= 0)
                        (void) virConnectDomainEventDeregisterAny(c->handle, c->domain_events[i]);
        if (c->network_events >= 0)
                (void) virConnectNetworkEventDeregisterAny(c->handle, c->network_events);
        (void) virConnectUnregisterCloseCallback(c->handle, on_closed);
        (void) virConnectClose(c->handle);
        c->handle = NULL;
}

/* Without the first one nothing is seen at all. */
static int handle_subscribe(VirtConnection *c) {
        for (size_t i = 0; i < N_DOMAIN_EVENTS; i++)
                c->domain_events[i] = -1;
        c->network_events = -1;
        for (size_t i = 0; i < N_DOMAIN_EVENTS; i++) {
                c->domain_events[i] = virConnectDomainEventRegisterAny(c->handle, NULL, domain_events[i].event,
                                                                       domain_events[i].callback, c, NULL);
                if (c->domain_events[i] < 0 && i == 0)
                        return -1;
        }
        c->network_events = virConnectNetworkEventRegisterAny(c->handle, NULL, VIR_NETWORK_EVENT_ID_LIFECYCLE,
                                                              VIR_NETWORK_EVENT_CALLBACK(on_network), c, NULL);
        return 0;
}

/* In either thread: what it reads of the connection stays as it is. */
static virConnectPtr log_in(VirtConnection *c) {
        static int kinds[] = { VIR_CRED_AUTHNAME, VIR_CRED_PASSPHRASE };
        virConnectAuth auth = { .credtype = kinds, .ncredtype = ELEMENTSOF(kinds), .cb = answer_credentials, .cbdata = c };

        return virConnectOpenAuth(c->target, c->username ? &auth : NULL, 0);
}

/* As the library's last error says. */
static int not_open(VirtConnection *c, VirtCall *call, const char *what) {
        virErrorPtr e = virGetLastError();
        bool later = may_come_later(c);
        int r = virt_error(&call->diag, "cannot %s '%s'", what, c->target ?: "libvirt");

        call->refused = later && !(e->code == VIR_ERR_SYSTEM_ERROR && e->int1 == ENOENT);
        handle_close(c);
        return later ? -EAGAIN : r;
}

static int handle_open(VirtConnection *c, VirtCall *call) {
        atomic_store(&c->lost, false);
        c->handle = log_in(c);
        if (!c->handle)
                return not_open(c, call, "connect to");
        if (handle_subscribe(c) < 0)
                return not_open(c, call, "subscribe to events of");

        /* the rest is not known to every driver, and what it tells is not needed where it is not */
        (void) virConnectRegisterCloseCallback(c->handle, on_closed, c, NULL);
        (void) virConnectSetKeepAlive(c->handle, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
        if (virConnectIsAlive(c->handle) != 0)
                return 0;
        /* it hung up before anybody would have told us */
        handle_close(c);
        call->refused = c->folder;
        (void) diag_set(&call->diag, (Pos) {}, -ECONNRESET, "cannot connect to '%s': it hung up", c->target ?: "libvirt");
        return c->folder ? -EAGAIN : -ECONNRESET;
}

static void call_run(Work *w) {
        VirtCall *call = container_of(w, VirtCall, work);
        VirtConnection *c = call->connection;

        if (atomic_load(&call->cancelled)) {
                call->result = -ECANCELED;
                call->state = c->handle ? VIRT_CONNECTION_OPEN : VIRT_CONNECTION_CLOSED;
                return;
        }

        if (c->handle && (atomic_load(&c->lost) || virConnectIsAlive(c->handle) == 0))
                handle_close(c);
        if (!c->handle) {
                call->result = handle_open(c, call);
                if (call->result < 0) {
                        call->state = call->result == -EAGAIN ? VIRT_CONNECTION_WAITING : VIRT_CONNECTION_FAILED;
                        return;
                }
        }

        call->state = VIRT_CONNECTION_OPEN;
        call->result = call->run(call, c->handle);
        if (call->result < 0 && (atomic_load(&c->lost) || virConnectIsAlive(c->handle) == 0)) {
                /* whatever it says, this is why; the state is found out anew when the connection is back */
                call->state = VIRT_CONNECTION_CLOSED;
                call->result = -EAGAIN;
                diag_done(&call->diag);
                (void) diag_set(&call->diag, (Pos) {}, -EAGAIN, "connection to '%s' was lost", c->uri);
        }
}

static void close_run(Work *w) {
        handle_close(container_of(w, VirtConnection, close));
}

/* ---- in the loop ---- */

static void connection_free(VirtConnection *c, uint64_t patience_usec) {
        if ((c->thread && work_thread_end(TAKE_PTR(c->thread), patience_usec) < 0) ||
            (c->patient && work_thread_end(TAKE_PTR(c->patient), patience_usec) < 0))
                return;                 /* it still uses the connection, until the end of the process */
        path_watch_free(c->watch);
        activation_done(&c->activation);
        for (size_t i = 0; i < _VIRT_OBJECT_MAX; i++)
                map_free(c->by_name[i]);
        sd_event_source_disable_unref(c->left);
        sd_event_source_disable_unref(c->refused);
        sd_event_source_disable_unref(c->lost_source);
        closep(&c->lost_fd);
        free(c->uri);
        free(c->folder);
        free(c->username);
        if (c->password)
                explicit_bzero(c->password, strlen(c->password));
        free(c->password);
        free(c);
}

static void connection_unlink(VirtConnection *c) {
        VirtConnection **at = &c->manager->connections;

        while (*at != c)
                at = &(*at)->next;
        *at = c->next;
}

static void close_done(Work *w) {
        VirtConnection *c = container_of(w, VirtConnection, close);

        connection_unlink(c);
        connection_free(c, PATIENCE_USEC);
}

/* False if there was nothing to close: then it is gone already, else when the thread has closed it. */
static bool connection_close(VirtConnection *c) {
        c->closing = true;
        c->watch = path_watch_free(c->watch);
        c->refused = sd_event_source_disable_unref(c->refused);
        c->close = (Work) { .run = close_run, .done = close_done };
        if (c->used && work_thread_add(c->thread, &c->close) >= 0)
                return true;
        close_done(&c->close);
        return false;
}

static int on_left(sd_event_source *source, uint64_t usec, void *userdata) {
        VirtConnection *c = userdata;
        VirtManager *m = c->manager;

        if (c->n_patient > 0)
                return 0;               /* the last of them will leave */
        (void) connection_close(c);
        connections_changed(m);
        return 0;
}

static void on_socket(PathWatch *w, int error, void *userdata) {
        VirtConnection *c = userdata;

        if (error < 0)
                c->watch = path_watch_free(c->watch);
        tell_all(c);
}

/* Where nothing is said, the library has a hypervisor for each user but root. Ours is the system's, and which one that is, its daemon
 * knows: so root and everybody else get the same. */
static const char *target_of(const char *uri) {
        if (uri[0])
                return uri;
        return geteuid() == 0 || getenv("LIBVIRT_DEFAULT_URI") ? NULL : "remote+unix:///system";
}

/* Where the socket of a local hypervisor appears; NULL if the URI is none of these, or out of memory. */
static char *socket_folder(const char *uri) {
        const char *socket = strstr(uri, "socket="), *path = strstr(uri, ":///"), *runtime = getenv("XDG_RUNTIME_DIR");
        char *folder = NULL;

        if (startswith(uri, "test:"))
                return NULL;
        if (socket && socket > uri && strchr("?&", socket[-1]))
                return strndup(socket + 7, strcspn(socket + 7, "&#"));
        if (path && startswith(path, ":///session") && geteuid() != 0)
                return runtime && asprintf(&folder, "%s/libvirt", runtime) >= 0 ? folder : NULL;
        return path || uri[0] == 0 ? strdup(SYSTEM_FOLDER) : NULL;
}

/* Before each attempt to open: what appears after that attempt must not be missed. */
static void watch_socket(VirtConnection *c) {
        if (c->folder && c->state != VIRT_CONNECTION_OPEN && !c->watch)
                (void) path_watch_new(&c->watch, c->manager->paths, c->folder, 0, on_socket, c);
}

/* Its driver's own daemon, or the one for all. */
static void start_service(VirtConnection *c) {
        static const char *const all[] = { "libvirtd.socket", "virtqemud.socket", "libvirtd.service", NULL };
        static const struct {
                const char *scheme, *units[4];
        } drivers[] = {
                { "lxc:", { "virtlxcd.socket", "libvirtd.socket", "libvirtd.service" } },
                { "qemu:", { "virtqemud.socket", "libvirtd.socket", "libvirtd.service" } },
                { "xen:", { "virtxend.socket", "libvirtd.socket", "libvirtd.service" } },
        };
        const char *const *units = all;

        if (!c->needed || !streq(c->folder, SYSTEM_FOLDER))
                return;
        c->needed = false;
        for (size_t i = 0; i < ELEMENTSOF(drivers); i++)
                if (startswith(c->uri, drivers[i].scheme))
                        units = drivers[i].units;
        activation_ask(&c->activation, units);
}

static int on_refused(sd_event_source *source, uint64_t usec, void *userdata) {
        tell_all(userdata);
        return 0;
}

/* Longer each time, up to a limit. */
static void retry_refused(VirtConnection *c, bool refused) {
        if (!refused) {
                c->refused_usec = REFUSED_FIRST_USEC;
                (void) sd_event_source_set_enabled(c->refused, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time_relative(c->refused, c->refused_usec);
        (void) sd_event_source_set_enabled(c->refused, SD_EVENT_ONESHOT);
        c->refused_usec = MIN(c->refused_usec * 2, REFUSED_LAST_USEC);
}

static void connection_enter(VirtConnection *c, VirtConnectionState state) {
        if (state == VIRT_CONNECTION_OPEN) {
                c->watch = path_watch_free(c->watch);
                c->needed = false;
        }
        if (c->state == state)
                return;
        c->state = state;
        connections_changed(c->manager);
}

static int on_lost(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        VirtConnection *c = userdata;
        uint64_t n;

        (void) !read(fd, &n, sizeof(n));
        if (c->closing || !atomic_load(&c->lost))
                return 0;
        connection_enter(c, VIRT_CONNECTION_CLOSED);
        tell_all(c);
        return 0;
}

/* It was made when the connection seemed to be open, so nobody has watched for the socket that was then found missing. Now somebody
 * does, and only what is found missing from here on will be told when it comes. */
static bool call_again(VirtConnection *c, VirtCall *call) {
        connection_enter(c, VIRT_CONNECTION_CLOSED);
        watch_socket(c);
        if (!c->watch)
                return false;
        diag_done(&call->diag);
        return work_thread_add(c->thread, &call->work) >= 0;
}

static void call_done(Work *w) {
        VirtCall *call = container_of(w, VirtCall, work);
        VirtConnection *c = call->connection;
        bool tell;

        if (c->closing || call->result == -ECANCELED) {
                call->done(call);
                return;
        }
        if (call->result == -EAGAIN && call->state == VIRT_CONNECTION_WAITING && !call->refused && !c->watch) {
                if (call_again(c, call))
                        return;
                call->result = -EIO;            /* nothing would wake it again, but a retry */
        }
        connection_enter(c, call->state);
        retry_refused(c, call->refused);
        /* Who found nobody before this one found somebody has nothing else to wait for. */
        tell = call->state == VIRT_CONNECTION_OPEN ? c->awaited : call->result == -EAGAIN && call->state == VIRT_CONNECTION_CLOSED;
        if (call->state == VIRT_CONNECTION_WAITING) {
                c->awaited = true;
                start_service(c);
        }
        call->done(call);
        if (tell)
                tell_all(c);
}

static int connection_new(VirtConnection **ret, VirtManager *m, const char *uri, const char *username, const char *password) {
        VirtConnection *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->activation.bus = m->bus;
        c->uri = strdup(uri);
        c->folder = socket_folder(uri);
        c->username = username ? strdup(username) : NULL;
        c->password = password ? strdup(password) : NULL;
        c->refused_usec = REFUSED_FIRST_USEC;
        c->lost_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        c->target = c->uri ? target_of(c->uri) : NULL;
        r = c->lost_fd < 0 ? -errno : !c->uri || (username && !c->username) || (password && !c->password) ? -ENOMEM : 0;
        for (size_t i = 0; r >= 0 && i < _VIRT_OBJECT_MAX; i++) {
                c->by_name[i] = map_new();
                r = c->by_name[i] ? 0 : -ENOMEM;
        }
        if (r >= 0)
                r = sd_event_add_io(m->event, &c->lost_source, c->lost_fd, EPOLLIN, on_lost, c);
        if (r >= 0)
                r = sd_event_add_time(m->event, &c->refused, CLOCK_MONOTONIC, UINT64_MAX, 1000, on_refused, c);
        if (r >= 0)
                r = sd_event_add_time(m->event, &c->left, CLOCK_MONOTONIC, UINT64_MAX, 10000, on_left, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->left, SD_EVENT_OFF);
        if (r >= 0)
                r = work_thread_new(&c->thread, m->event);
        if (r < 0) {
                connection_free(c, 0);
                return r;
        }
        *ret = c;
        return 0;
}

static bool is_for(const VirtConnection *c, const char *uri, const char *username, const char *password) {
        return streq(c->uri, uri) && streq_ptr(c->username, username) && streq_ptr(c->password, password);
}

static VirtConnection *connection_find(const VirtManager *m, const char *uri, const char *username, const char *password) {
        for (VirtConnection *c = m->connections; c; c = c->next)
                if (!c->closing && is_for(c, uri, username, password))
                        return c;
        return NULL;
}

static int user_link(VirtUser *u, VirtConnection *c) {
        VirtUser *namesake = map_get(c->by_name[u->object], u->name);
        int r = map_put(c->by_name[u->object], u->name, u);

        if (r < 0)
                return r;
        u->namesake = namesake;
        u->connection = c;
        u->previous = NULL;
        u->next = c->users;
        if (c->users)
                c->users->previous = u;
        c->users = u;
        c->n_users++;
        return 0;
}

/* Nothing is allocated: a key that is there keeps its place. */
static void user_unlink(VirtUser *u, VirtConnection *c) {
        VirtUser *first = map_get(c->by_name[u->object], u->name);

        if (first == u && !u->namesake)
                (void) map_remove(c->by_name[u->object], u->name);
        else if (first == u)
                (void) map_put(c->by_name[u->object], u->name, u->namesake);
        else {
                while (first->namesake != u)
                        first = first->namesake;
                first->namesake = u->namesake;
        }
        *(u->previous ? &u->previous->next : &c->users) = u->next;
        if (u->next)
                u->next->previous = u->previous;
        u->previous = u->next = u->namesake = NULL;
        u->connection = NULL;
        c->n_users--;
}

static void connection_leave(VirtConnection *c) {
        if (c->users)
                return;
        (void) sd_event_source_set_time_relative(c->left, LEFT_USEC);
        (void) sd_event_source_set_enabled(c->left, SD_EVENT_ONESHOT);
}

int virt_user_attach(VirtUser *u, VirtManager *m, const char *uri, const char *username, const char *password) {
        VirtConnection *c;
        int r;

        if (u->connection)
                return 0;
        c = connection_find(m, uri, username, password);
        if (!c) {
                r = connection_new(&c, m, uri, username, password);
                if (r < 0)
                        return r;
                c->next = m->connections;
                m->connections = c;
        }
        r = user_link(u, c);
        if (r < 0) {
                connection_leave(c);
                return r;
        }
        c->needed = c->state != VIRT_CONNECTION_OPEN;
        (void) sd_event_source_set_enabled(c->left, SD_EVENT_OFF);
        connections_changed(m);
        return 0;
}

bool virt_user_is_at(const VirtUser *u, const char *uri, const char *username, const char *password) {
        return u->connection && is_for(u->connection, uri, username, password);
}

void virt_user_detach(VirtUser *u) {
        VirtConnection *c = u->connection;

        if (!c)
                return;
        user_unlink(u, c);
        connection_leave(c);
        connections_changed(c->manager);
}

int virt_user_call(VirtUser *u, VirtCall *call) {
        call->connection = u->connection;
        call->work = (Work) { .run = call_run, .done = call_done };
        u->connection->used = true;
        watch_socket(u->connection);
        return work_thread_add(u->connection->thread, &call->work);
}

static void patient_run(Work *w) {
        VirtCall *call = container_of(w, VirtCall, work);
        VirtConnection *c = call->connection;
        virConnectPtr handle = log_in(c);

        if (!handle) {
                bool later = may_come_later(c);
                int r = virt_error(&call->diag, "cannot connect to '%s'", c->target ?: "libvirt");

                call->result = later ? -EAGAIN : r;
                return;
        }
        (void) virConnectSetKeepAlive(handle, KEEPALIVE_SECONDS, KEEPALIVE_COUNT);
        call->result = call->run(call, handle);
        if (call->result < 0 && virConnectIsAlive(handle) == 0) {
                call->result = -EAGAIN;
                diag_done(&call->diag);
                (void) diag_set(&call->diag, (Pos) {}, -EAGAIN, "connection to '%s' was lost", c->uri);
        }
        (void) virConnectClose(handle);
}

static void patient_done(Work *w) {
        VirtCall *call = container_of(w, VirtCall, work);
        VirtConnection *c = call->connection;

        c->n_patient--;
        call->done(call);
        if (!c->closing)
                connection_leave(c);
}

int virt_call_patiently(VirtCall *call, int (*run)(VirtCall *call, virConnectPtr c)) {
        VirtConnection *c = call->connection;
        int r = 0;

        if (!c->patient)
                r = work_thread_new(&c->patient, c->manager->event);
        if (r < 0)
                return r;
        call->run = run;
        call->work = (Work) { .run = patient_run, .done = patient_done };
        r = work_thread_add(c->patient, &call->work);
        if (r >= 0)
                c->n_patient++;
        return r;
}

int virt_manager_init(VirtManager *m, sd_event *event) {
        int r;

        *m = (VirtManager) {};
        xml_init();
        r = libvirt_loop_register(event);
        if (r < 0)
                return r;
        m->event = sd_event_ref(event);
        r = sd_event_add_defer(event, &m->tell, on_tell, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->tell, SD_EVENT_OFF);
        return r < 0 ? r : path_watcher_new(&m->paths, event);
}

void virt_manager_done(VirtManager *m) {
        m->connections_changed = NULL;
        while (m->connections) {
                VirtConnection *c = m->connections;

                if (!c->closing && !connection_close(c))
                        continue;
                /* ending the thread delivers the end of the closing, which unlinks and frees the connection */
                if (work_thread_end(TAKE_PTR(c->thread), PATIENCE_USEC) < 0)
                        connection_unlink(c);
        }
        m->tell = sd_event_source_disable_unref(m->tell);
        m->paths = path_watcher_free(m->paths);
        if (m->event)
                libvirt_loop_release();
        m->event = sd_event_unref(m->event);
}

VirtConnection *virt_connection_next(const VirtManager *m, VirtConnection *c) {
        return c ? c->next : m->connections;
}

const char *virt_connection_uri(const VirtConnection *c) {
        return c->uri;
}

const char *virt_connection_state_name(const VirtConnection *c) {
        static const char *const names[_VIRT_CONNECTION_STATE_MAX] = {
                [VIRT_CONNECTION_CLOSED] = "closed",
                [VIRT_CONNECTION_OPEN] = "open",
                [VIRT_CONNECTION_WAITING] = "waiting",
                [VIRT_CONNECTION_FAILED] = "failed",
        };

        return names[c->state];
}

unsigned virt_connection_n_users(const VirtConnection *c) {
        return c->n_users;
}
