/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Installing is a row of steps: which remote the release is from, its file (fetched-file.h), and the call that takes as long as the
 * device needs. Should fwupd end meanwhile, the bus says so. */

#include <fcntl.h>
#include <stdio.h>

#include "daemons/engine/kinds/directory-names.h"
#include "daemons/engine/kinds/fwupd.h"
#include "daemons/engine/local-host.h"

#define NOTHING_TO_DO FWUPD_SERVICE ".NothingToDo"

enum {
        FIRMWARE_SIZE_MAX = 1024 * 1024 * 1024,
        LOST_MAX = 3,           /* times that it may end while it installs */
};

static const char fwupd_remote_domain[] = "fwupd:remote";

/* ---- the life ---- */

int fwupd_open(Fwupd *f, Resource *r, bus_signal_t signal) {
        int k;

        if (f->bus.resource)
                return 0;
        k = bus_client_open(&f->bus, r, HOST_BUS_SYSTEM, FWUPD_SERVICE, signal);
        if (k >= 0)
                k = bus_client_listen(&f->bus, "type='signal',sender='" FWUPD_SERVICE "',interface='" FWUPD_SERVICE "'");
        if (k < 0)
                bus_client_close(&f->bus);
        return k;
}

int fwupd_watch(Fwupd *f, Resource *r, bus_signal_t signal, Diag *reterr) {
        int k = fwupd_open(f, r, signal);

        if (k >= 0)
                k = bus_client_watch(&f->bus);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch fwupd: %m") : 0;
}

void fwupd_cancel(Fwupd *f) {
        bus_cancel(&f->bus);
        f->file = fetched_file_free(f->file);
}

void fwupd_close(Fwupd *f) {
        fwupd_cancel(f);
        bus_client_close(&f->bus);
}

static void forget(Fwupd *f, FwupdList list) {
        switch (list) {
        case FWUPD_DEVICES:
                fwupd_free(list, TAKE_PTR(f->devices), f->n_devices);
                f->n_devices = 0;
                break;
        case FWUPD_RELEASES:
                fwupd_free(list, TAKE_PTR(f->releases), f->n_releases);
                f->n_releases = 0;
                break;
        default:
                fwupd_free(list, TAKE_PTR(f->remotes), f->n_remotes);
                f->n_remotes = 0;
        }
}

void fwupd_done(Fwupd *f) {
        fwupd_close(f);
        for (FwupdList list = 0; list < _FWUPD_LIST_MAX; list++)
                forget(f, list);
        f->installed = strv_free(f->installed);
}

/* ---- lists ---- */

/* What was installed on a device has become its version, or somebody else has put another one there: it may be installed again. */
static void forget_installed(Fwupd *f) {
        size_t kept = 0;

        for (char **i = f->installed; i && *i; i++) {
                bool over = false;

                for (size_t k = 0; k < f->n_devices && !over; k++) {
                        const char *rest = startswith(*i, f->devices[k].id), *version = rest && *rest == ' ' ? rest + 1 : NULL;
                        const char *end = version ? startswith(version, f->devices[k].version) : NULL;
                        over = version && !(end && *end == ' ');
                }
                if (over)
                        free(*i);
                else
                        f->installed[kept++] = *i;
        }
        if (f->installed)
                f->installed[kept] = NULL;
}

static int read_list(Fwupd *f, sd_bus_message *m) {
        size_t n = 0;
        void *items;
        int r = fwupd_read(m, f->asked, &items, &n);

        if (r < 0)
                return r;
        switch (f->asked) {
        case FWUPD_DEVICES:
                f->devices = items;
                f->n_devices = n;
                forget_installed(f);
                break;
        case FWUPD_RELEASES:
                f->releases = items;
                f->n_releases = n;
                break;
        default:
                f->remotes = items;
                f->n_remotes = n;
        }
        return 0;
}

static int on_list(BusClient *c, sd_bus_message *m, Diag *reterr) {
        static const char *const names[] = { [FWUPD_DEVICES] = "devices", [FWUPD_RELEASES] = "releases", [FWUPD_REMOTES] = "remotes" };
        Fwupd *f = container_of(c, Fwupd, bus);
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r = 0;

        if (!e) {
                r = read_list(f, m);
                if (r < 0)
                        r = bus_garbled(c, r, reterr);
        } else if (!sd_bus_error_has_name(e, NOTHING_TO_DO)) {
                r = bus_failed(c, m, reterr, "fwupd cannot tell its %s", names[f->asked]);
                if (r == -EAGAIN)
                        return r;
        }
        return f->next(f, r, reterr);
}

static int ask(Fwupd *f, FwupdList list, const char *member, const char *device, fwupd_next_t next, Diag *reterr) {
        forget(f, list);
        f->asked = list;
        f->next = next;
        return bus_call(&f->bus, "/", FWUPD_SERVICE, member, on_list, reterr, device ? "s" : NULL, device);
}

int fwupd_get_devices(Fwupd *f, fwupd_next_t next, Diag *reterr) {
        return ask(f, FWUPD_DEVICES, "GetDevices", NULL, next, reterr);
}

int fwupd_get_releases(Fwupd *f, const char *device, fwupd_next_t next, Diag *reterr) {
        return ask(f, FWUPD_RELEASES, "GetReleases", device, next, reterr);
}

int fwupd_get_remotes(Fwupd *f, fwupd_next_t next, Diag *reterr) {
        return ask(f, FWUPD_REMOTES, "GetRemotes", NULL, next, reterr);
}

/* ---- installing ---- */

static char *installation(const FwupdDevice *d, const FwupdRelease *r) {
        char *text;

        return asprintf(&text, "%s %s %s", d->id, d->version, r->version) < 0 ? NULL : text;
}

static int remember(Fwupd *f) {
        size_t n = strv_count(f->installed);
        char **grown = reallocarray(f->installed, n + 2, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        f->installed = grown;
        grown[n] = installation(f->device, f->release);
        grown[n + 1] = NULL;
        return grown[n] ? 0 : -ENOMEM;
}

static int refuse_again(const Fwupd *f, const FwupdDevice *d, const FwupdRelease *r, Diag *reterr) {
        _cleanup_free_ char *text = installation(d, r);

        if (!text)
                return -ENOMEM;
        for (char **i = f->installed; i && *i; i++)
                if (streq(*i, text))
                        return resource_error(f->bus.resource, reterr, -EPROTO,
                                              "fwupd has installed version '%s' on %s, which stays at '%s' all the same", r->version, fwupd_device_name(d),
                                              d->version);
        return 0;
}

static int on_installed(BusClient *c, sd_bus_message *m, Diag *reterr) {
        Fwupd *f = container_of(c, Fwupd, bus);
        const sd_bus_error *e = sd_bus_message_get_error(m);
        int r;

        c->call_usec = 0;
        f->file = fetched_file_free(f->file);
        if (!e) {
                f->n_lost = 0;
                r = remember(f);
        } else if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) && ++f->n_lost > LOST_MAX)
                r = resource_error(c->resource, reterr, -ECONNRESET, "fwupd ends whenever it installs version '%s' on %s",
                                   f->release->version, fwupd_device_name(f->device));
        else {
                r = bus_failed(c, m, reterr, "fwupd cannot install version '%s' on %s", f->release->version, fwupd_device_name(f->device));
                if (r == -EAGAIN)
                        return r;
        }
        return f->installed_next(f, r, reterr);
}

static int call_install(Fwupd *f, Diag *reterr) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = bus_new_call(&f->bus, &m, "/", FWUPD_SERVICE, "Install");

        if (r >= 0)
                r = sd_bus_message_append(m, "sha{sv}", f->device->id, fetched_file_fd(f->file), 1, "allow-older", "b", f->allow_older);
        if (r == -EAGAIN)
                return r;
        if (r < 0)
                return resource_error(f->bus.resource, reterr, r, "cannot hand a file to fwupd: %m");
        f->bus.call_usec = UINT64_MAX;
        return bus_send_call(&f->bus, m, on_installed, reterr);
}

static void on_file(FetchedFile *file, int error, Diag *diag, void *userdata) {
        Fwupd *f = userdata;
        Resource *resource = f->bus.resource;
        int r;

        if (error < 0)
                f->file = fetched_file_free(f->file);
        r = error < 0 ? f->installed_next(f, error, diag) : call_install(f, diag);
        if (r != CHECK_PENDING)
                resource_finish(resource, r, diag);
}

static const FwupdRemote *remote_of(const Fwupd *f, const FwupdRelease *release) {
        for (size_t i = 0; i < f->n_remotes; i++)
                if (*release->remote && streq(f->remotes[i].id, release->remote))
                        return &f->remotes[i];
        return NULL;
}

static int fetch(Fwupd *f, Diag *reterr) {
        const FwupdRelease *release = f->release;
        _cleanup_free_ char *location = NULL;
        int r = fwupd_release_location(release, remote_of(f, release), &location);

        if (r < 0)
                return resource_error(f->bus.resource, reterr, r, "fwupd does not say where version '%s' of the firmware of %s is",
                                      release->version, fwupd_device_name(f->device));
        return fetched_file_start(&f->file, f->bus.resource,
                                  &(FetchSpec) { .location = location, .size_max = FIRMWARE_SIZE_MAX, .checksums = release->checksums },
                                  on_file, f, reterr);
}

static int on_remotes(Fwupd *f, int error, Diag *reterr) {
        int r = error < 0 ? error : fetch(f, reterr);

        return r < 0 ? f->installed_next(f, r, reterr) : CHECK_PENDING;
}

int fwupd_install(Fwupd *f, const FwupdDevice *device, const FwupdRelease *release, bool allow_older, fwupd_next_t next, Diag *reterr) {
        int r = refuse_again(f, device, release, reterr);

        if (r < 0)
                return next(f, r, reterr);
        f->device = device;
        f->release = release;
        f->allow_older = allow_older;
        f->installed_next = next;
        f->file = fetched_file_free(f->file);
        return fwupd_get_remotes(f, on_remotes, reterr);
}

/* ---- autoedge ---- */

/* fwupd itself cannot be asked here; but what it knows as a remote is a file with that name. */
static int want_remotes_in(const char *directory, ResourceUids *ret) {
        _cleanup_close_ int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char **names = NULL;
        size_t n = 0;
        int r = fd < 0 ? -errno : directory_names(fd, &names, &n);

        for (size_t i = 0; i < n && r >= 0; i++)
                if (endswith(names[i], ".conf"))
                        r = resource_uids_add_n(ret, fwupd_remote_domain, names[i], strlen(names[i]) - strlen(".conf"), false);
        directory_names_free(names, n);
        return r == -ENOMEM ? r : 0;
}

int fwupd_wants_remotes(const Resource *r, unsigned batch, ResourceUids *ret) {
        _cleanup_free_ char *own = NULL;
        int k;

        if (batch > 0)
                return 0;
        if (asprintf(&own, "%s/fwupd/remotes.d", local_host_etc(r)) < 0) {
                own = NULL;
                return -ENOMEM;
        }
        k = want_remotes_in(own, ret);
        if (k >= 0)
                k = want_remotes_in("/var/lib/fwupd/remotes.d", ret);
        if (k >= 0)
                k = want_remotes_in("/usr/share/fwupd/remotes.d", ret);
        return k < 0 ? k : resource_uids_add(ret, fwupd_remote_domain, "", false);
}

int fwupd_remote_offers(const Resource *r, ResourceUids *ret) {
        int k = resource_uids_add(ret, fwupd_remote_domain, r->name, false);

        return k < 0 ? k : resource_uids_add(ret, fwupd_remote_domain, "", false);
}
