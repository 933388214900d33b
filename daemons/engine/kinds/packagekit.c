/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A transaction is an object that is made, called once, and tells by signals what it finds and that it is finished. We listen to
 * those of all transactions, since ours has no path before it is made, and the first signals follow at once. */

#include "common/resource.h"
#include "daemons/engine/kinds/packagekit.h"

#define SERVICE "org.freedesktop.PackageKit"
#define TRANSACTION SERVICE ".Transaction"
#define SERVICE_PATH "/org/freedesktop/PackageKit"

enum {
        PACKAGES_MAX = 100000,
        LOST_MAX = 3,
        EXIT_SUCCESS_PK = 1,
        ERROR_UNKNOWN = UINT32_MAX,
};

static void forget_result(PackageKit *p) {
        for (size_t i = 0; i < p->n_packages; i++) {
                free(p->packages[i].id);
                free(p->packages[i].name);
        }
        p->n_packages = 0;
        p->error = 0;
        free(p->error_text);
        p->error_text = NULL;
}

static void forget_transaction(PackageKit *p) {
        free(p->path);
        p->path = NULL;
        p->words = strv_free(p->words);
}

/* ---- signals ---- */

static int add_package(PackageKit *p, uint32_t info, const char *id) {
        PkPackage package = { .info = info & 0xffff };          /* the upper half is how important an update is */
        char *rest;

        if (p->n_packages >= PACKAGES_MAX)
                return -E2BIG;
        if (GROW(p->packages, p->n_packages, p->capacity_packages) < 0)
                return -ENOMEM;
        package.id = strdup(id);
        package.name = rest = strdup(id);
        if (!package.id || !rest) {
                free(package.id);
                free(rest);
                return -ENOMEM;
        }
        (void) strsep(&rest, ";");
        package.version = strsep(&rest, ";");
        package.arch = strsep(&rest, ";");
        if (!package.version || !package.arch) {
                free(package.id);
                free(package.name);
                return -EBADMSG;
        }
        p->packages[p->n_packages++] = package;
        return 0;
}

static void finish(PackageKit *p) {
        _cleanup_(diag_done) Diag diag = {};

        forget_transaction(p);
        int r = p->next(p->bus.resource, &diag);
        if (r != CHECK_PENDING)
                resource_finish(p->bus.resource, r, &diag);
}

static int set_error(PackageKit *p, uint32_t code, const char *text) {
        if (p->error != 0)
                return 0;
        p->error = code;
        p->error_text = strdup(text);
        return p->error_text ? 0 : -ENOMEM;
}

static int on_transaction_signal(PackageKit *p, sd_bus_message *m, bool *ret_finished) {
        const char *member = sd_bus_message_get_member(m), *text;
        uint32_t number;
        int r = 0;

        if (streq(member, "Package")) {
                r = sd_bus_message_read(m, "us", &number, &text);
                if (r >= 0)
                        r = add_package(p, number, text);
        } else if (streq(member, "ErrorCode")) {
                r = sd_bus_message_read(m, "us", &number, &text);
                if (r >= 0)
                        r = set_error(p, number, text);
        } else if (streq(member, "Finished")) {
                *ret_finished = true;
                r = sd_bus_message_read(m, "u", &number);
                if (r >= 0 && number != EXIT_SUCCESS_PK)
                        r = set_error(p, ERROR_UNKNOWN, "the transaction was not successful");
        } else if (streq(member, "Destroy")) {
                *ret_finished = true;
                r = set_error(p, ERROR_UNKNOWN, "the transaction was given up");
        }
        return r;
}

/* PackageKit has died, or was replaced by the very packages that it installed. */
static void lost(PackageKit *p) {
        _cleanup_(diag_done) Diag diag = {};
        Resource *resource = p->bus.resource;
        int r;

        bus_cancel(&p->bus);
        forget_transaction(p);
        if (++p->n_lost > LOST_MAX)
                r = resource_error(resource, &diag, -ECONNRESET, "PackageKit ends whenever it is asked to do %s", p->method);
        else
                r = resource_waiting(resource, "PackageKit has ended before it was done");
        resource_finish(resource, r, &diag);
        if (r == -EAGAIN)
                bus_client_changed(&p->bus);
}

static void on_signal(BusClient *c, sd_bus_message *m) {
        PackageKit *p = container_of(c, PackageKit, bus);
        bool finished = false;

        if (!m) {
                if (p->path)
                        lost(p);
                return;
        }
        if (streq(sd_bus_message_get_interface(m), SERVICE)) {
                bus_client_changed(c);
                return;
        }
        if (!p->path || !streq(p->path, sd_bus_message_get_path(m)))
                return;
        int r = on_transaction_signal(p, m, &finished);
        if (r < 0)
                (void) set_error(p, ERROR_UNKNOWN, r == -E2BIG ? "too many packages" : "its answer is not understood");
        if (finished)
                finish(p);
}

/* ---- the life ---- */

int packagekit_open(PackageKit *p, Resource *r) {
        int k;

        if (p->bus.resource)
                return 0;
        k = bus_client_open(&p->bus, r, HOST_BUS_SYSTEM, SERVICE, on_signal);
        if (k >= 0)
                k = bus_client_listen(&p->bus, "type='signal',sender='" SERVICE "',path='" SERVICE_PATH "',interface='" SERVICE "',"
                                      "member='UpdatesChanged'");
        if (k >= 0)
                k = bus_client_listen(&p->bus, "type='signal',sender='" SERVICE "',interface='" TRANSACTION "'");
        if (k < 0)
                packagekit_close(p);
        return k;
}

void packagekit_close(PackageKit *p) {
        packagekit_cancel(p);
        bus_client_close(&p->bus);
        forget_result(p);
        free(p->packages);
        *p = (PackageKit) {};
}

int packagekit_watch(PackageKit *p) {
        return bus_client_watch(&p->bus);
}

void packagekit_cancel(PackageKit *p) {
        if (p->path)
                bus_tell(&p->bus, p->path, TRANSACTION, "Cancel", NULL);
        bus_cancel(&p->bus);
        forget_transaction(p);
}

/* ---- transactions ---- */

static int on_begun(BusClient *c, sd_bus_message *m, Diag *reterr) {
        PackageKit *p = container_of(c, PackageKit, bus);

        if (sd_bus_message_is_method_error(m, NULL)) {
                forget_transaction(p);
                return bus_failed(c, m, reterr, "PackageKit cannot do %s", p->method);
        }
        return CHECK_PENDING;
}

static int append_arguments(const PackageKit *p, sd_bus_message *m) {
        int r;

        if (streq(p->method, "RefreshCache"))
                return sd_bus_message_append(m, "b", false);            /* force */
        r = sd_bus_message_append(m, "t", p->number);
        if (r >= 0 && !streq(p->method, "GetUpdates"))
                r = sd_bus_message_append_strv(m, p->words);
        if (r >= 0 && streq(p->method, "RemovePackages"))
                r = sd_bus_message_append(m, "bb", true, false);        /* with those that need it; not those it needed */
        return r;
}

static int on_created(BusClient *c, sd_bus_message *m, Diag *reterr) {
        PackageKit *p = container_of(c, PackageKit, bus);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        const char *path;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "PackageKit cannot begin a transaction");
        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        p->path = strdup(path);
        if (!p->path)
                return -ENOMEM;
        bus_tell(c, path, TRANSACTION, "SetHints", "as", 2, "interactive=false", "background=false");
        r = bus_new_call(c, &call, path, TRANSACTION, p->method);
        if (r >= 0)
                r = append_arguments(p, call);
        return r < 0 ? r : bus_send_call(c, call, on_begun, reterr);
}

int packagekit_run(PackageKit *p, const char *method, uint64_t number, char *const *words, pk_next_t next, Diag *reterr) {
        int r;

        forget_result(p);
        forget_transaction(p);
        p->method = method;
        p->number = number;
        p->next = next;
        r = strv_copy(&p->words, words);
        if (r < 0)
                return r;
        return bus_call(&p->bus, SERVICE_PATH, SERVICE, "CreateTransaction", on_created, reterr, NULL);
}
