/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <inttypes.h>
#include <stdio.h>

#include "daemons/virt/attempt.h"

static void on_changed(VirtUser *u) {
        resource_changed(u->userdata);
}

static const char *word(Value auth, const char *name) {
        const Value *v = auth.kind == TYPE_STRUCT ? value_struct_get(auth, name) : NULL;

        return v ? value_cstr(*v) : NULL;
}

int virt_client_open(VirtClient *c, Resource *r, VirtObject object, const char *uri, Value auth, Diag *reterr) {
        int k;

        if (virt_user_is_at(&c->user, uri, word(auth, "username"), word(auth, "password")))
                return 0;
        if (c->user.connection) {       /* another one was received */
                virt_client_close(c);
                virt_client_watch_files(c, r, uri);
        }
        c->user = (VirtUser) { .object = object, .name = r->name, .changed = on_changed, .userdata = r };
        k = virt_user_attach(&c->user, r->host->manager, uri, word(auth, "username"), word(auth, "password"));
        return k < 0 ? resource_error(r, reterr, k, "cannot prepare connection to '%s': %m", uri) : 0;
}

/* ---- files ---- */

static void on_file(PathWatch *w, int error, void *userdata) {
        VirtClient *c = userdata;

        for (size_t i = 0; error < 0 && i < ELEMENTSOF(c->files); i++)
                if (c->files[i] == w)
                        c->files[i] = path_watch_free(w);
        resource_changed(c->user.userdata);
}

enum { FILE_DEFINITION, FILE_AUTOSTART, FILE_RUNNING, N_FILES };

/* Where libvirt keeps the definition, the mark that it starts with the host, and what runs now: the system's, and that of a user's
 * session. The name of the object and ".xml" follow. */
static const struct {
        const char *system, *session;
} folders[_VIRT_OBJECT_MAX][N_FILES] = {
        [VIRT_DOMAIN] = {
                [FILE_DEFINITION] = { "/etc/libvirt/qemu", "qemu" },
                [FILE_AUTOSTART] = { "/etc/libvirt/qemu/autostart", "qemu/autostart" },
                [FILE_RUNNING] = { "/run/libvirt/qemu", "qemu/run" },
        },
        [VIRT_NETWORK] = {
                [FILE_DEFINITION] = { "/etc/libvirt/qemu/networks", "qemu/networks" },
                [FILE_AUTOSTART] = { "/etc/libvirt/qemu/networks/autostart", "qemu/networks/autostart" },
                [FILE_RUNNING] = { "/run/libvirt/network", "network/lib" },
        },
};

static int session_path(VirtObject object, size_t file, const char *name, char **ret) {
        bool running = file == FILE_RUNNING;
        const char *base = getenv(running ? "XDG_RUNTIME_DIR" : "XDG_CONFIG_HOME"), *under = "";

        if (!base && !running) {
                base = getenv("HOME");
                under = "/.config";
        }
        if (!base || base[0] != '/')
                return -ENXIO;
        return asprintf(ret, "%s%s/libvirt/%s/%s.xml", base, under, folders[object][file].session, name) < 0 ? -ENOMEM : 0;
}

/* Of QEMU on this host: of others only they know. Where nothing is said, it mostly is that, and else there are no such files. */
static int file_path(const char *uri, VirtObject object, size_t file, const char *name, char **ret) {
        const char *path = uri[0] ? startswith(uri, "qemu:///") ?: startswith(uri, "qemu+unix:///") : "system";

        if (path && startswith(path, "system"))
                return asprintf(ret, "%s/%s.xml", folders[object][file].system, name) < 0 ? -ENOMEM : 0;
        return path && startswith(path, "session") ? session_path(object, file, name, ret) : -ENXIO;
}

void virt_client_watch_files(VirtClient *c, Resource *r, const char *uri) {
        const VirtManager *m = r->host->manager;

        if (strchr(r->name, '/'))
                return;
        for (size_t i = 0; i < ELEMENTSOF(c->files); i++) {
                char *path = NULL;

                if (!c->files[i] && file_path(uri, c->user.object, i, r->name, &path) >= 0)
                        (void) path_watch_new(&c->files[i], m->paths, path, 0, on_file, c);
                free(path);
        }
}

void virt_client_close(VirtClient *c) {
        for (size_t i = 0; i < ELEMENTSOF(c->files); i++)
                c->files[i] = path_watch_free(c->files[i]);
        virt_user_detach(&c->user);
}

/* ---- attempts ---- */

static void attempt_free(VirtAttempt *a) {
        differences_done(&a->differences);
        diag_done(&a->call.diag);
        a->free(a);
}

static int attempt_run(VirtCall *call, virConnectPtr handle) {
        VirtAttempt *a = container_of(call, VirtAttempt, call);

        return a->run(a, handle, &call->diag);
}

static void attempt_report(VirtAttempt *a, Resource *r) {
        const char *message = a->call.diag.message;
        Diag diag = {};
        int result = a->call.result;

        for (size_t i = 0; i < a->differences.n; i++)
                resource_difference(r, &a->differences.items[i]);
        if (a->ended)
                a->ended(a, r, result);
        if (result == -EAGAIN)
                result = resource_waiting(r, message ? message : "waiting for libvirt");
        else if (result < 0)
                (void) resource_error(r, &diag, result, "%s", message ? message : "libvirt failed");
        resource_finish(r, result, &diag);
        diag_done(&diag);
}

static int attempt_wait(VirtCall *call, virConnectPtr handle) {
        VirtAttempt *a = container_of(call, VirtAttempt, call);
        int (*wait)(VirtAttempt *, virConnectPtr, Diag *) = TAKE_PTR(a->wait);

        return wait(a, handle, &call->diag);
}

static void attempt_done(VirtCall *call) {
        VirtAttempt *a = container_of(call, VirtAttempt, call);

        if (a->resource && a->wait && call->result >= 0) {
                call->result = virt_call_patiently(call, attempt_wait);
                if (call->result >= 0)
                        return;
        }
        if (a->resource) {
                *a->place = NULL;
                attempt_report(a, a->resource);
        }
        attempt_free(a);
}

int virt_client_attempt(VirtClient *c, Resource *r, VirtAttempt *a, Diag *reterr) {
        int k;

        a->call.run = attempt_run;
        a->call.done = attempt_done;
        k = virt_user_call(&c->user, &a->call);
        if (k < 0) {
                attempt_free(a);
                return resource_error(r, reterr, k, "cannot call libvirt: %m");
        }
        a->resource = r;
        a->place = &c->attempt;
        c->attempt = a;
        return CHECK_PENDING;
}

void virt_client_cancel(VirtClient *c) {
        if (!c->attempt)
                return;
        atomic_store(&c->attempt->call.cancelled, true);
        c->attempt->resource = NULL;
        c->attempt = NULL;
}

/* ---- in the thread ---- */

/* What runs and what is defined often differ in the same way. */
static bool is_told(const Differences *list, const char *field, const char *from, const char *to) {
        for (size_t i = 0; i < list->n; i++)
                if (streq_ptr(list->items[i].field, field) && streq_ptr(list->items[i].from, from) && streq_ptr(list->items[i].to, to))
                        return true;
        return false;
}

void virt_differs(Differences *list, const char *field, const char *from, const char *to) {
        Difference d;

        if (is_told(list, field, from, to))
                return;
        if (difference_new(&d, field, from, from ? strlen(from) : 0, to, to ? strlen(to) : 0, true) >= 0)
                (void) differences_add(list, &d);
}

void virt_differs_number(Differences *list, const char *field, uint64_t from, uint64_t to) {
        char a[24], b[24];

        (void) snprintf(a, sizeof(a), "%" PRIu64, from);
        (void) snprintf(b, sizeof(b), "%" PRIu64, to);
        virt_differs(list, field, a, b);
}
