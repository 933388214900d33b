/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The version of the firmware of one device, by fwupd. What counts after a reboot only is right already: when to reboot is not ours to
 * say. */

#include "common/strbuf.h"
#include "daemons/engine/kinds/fwupd.h"

typedef struct FwupdDeviceResource {
        Resource resource;
        char *device, *version;
        bool allow_downgrade;

        Fwupd fwupd;
        bool changed;           /* in this attempt */
} FwupdDeviceResource;

static const FieldSpec fwupd_device_fields[] = {
        FIELD(FwupdDeviceResource, device, FIELD_STR, FIELD_IS_NAME,
              "Its id, or a GUID that no other device has. 'fwupdmgr get-devices' shows them."),
        FIELD(FwupdDeviceResource, version, FIELD_STR, FIELD_REQUIRED,
              "The version, exactly as fwupd writes it. It must be among the releases that fwupd has for the device."),
        FIELD(FwupdDeviceResource, allow_downgrade, FIELD_BOOL, 0, "Take it also if it is older than the one that is there."),
        {}
};

static FwupdDeviceResource *self(const Fwupd *f) {
        return container_of(f, FwupdDeviceResource, fwupd);
}

static void on_signal(BusClient *c, sd_bus_message *m) {
        const FwupdDeviceResource *d = self(container_of(c, Fwupd, bus));

        if (m && fwupd_signal_may_concern(m, d->device))
                bus_client_changed(c);
}

static int fwupd_device_watch(Resource *r, Diag *reterr) {
        return fwupd_watch(&((FwupdDeviceResource *) r)->fwupd, r, on_signal, reterr);
}

static void fwupd_device_unwatch(Resource *r) {
        fwupd_close(&((FwupdDeviceResource *) r)->fwupd);
}

/* ---- check and apply ---- */

static int find_device(const FwupdDeviceResource *d, const FwupdDevice **ret, Diag *reterr) {
        const Fwupd *f = &d->fwupd;

        *ret = NULL;
        for (size_t i = 0; i < f->n_devices; i++) {
                if (!fwupd_device_is(&f->devices[i], d->device))
                        continue;
                if (*ret)
                        return resource_error(&d->resource, reterr, -ENOTUNIQ, "'%s' is a GUID of several devices: use an id, '%s' or '%s'",
                                              d->device, (*ret)->id, f->devices[i].id);
                *ret = &f->devices[i];
        }
        return *ret ? 0 : resource_error(&d->resource, reterr, -ENODEV, "fwupd has no device '%s'", d->device);
}

static int no_such_release(const FwupdDeviceResource *d, const FwupdDevice *device, Diag *reterr) {
        const Fwupd *f = &d->fwupd;
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < f->n_releases; i++)
                strbuf_printf(&b, "%s'%s'", i > 0 ? ", " : "", f->releases[i].version);
        return resource_error(&d->resource, reterr, -ENOENT, "there is no version '%s' for %s; what there is: %s", d->version,
                              fwupd_device_name(device), f->n_releases > 0 && b.data ? b.data : "nothing");
}

static int find_release(const FwupdDeviceResource *d, const FwupdDevice *device, const FwupdRelease **ret, Diag *reterr) {
        const Fwupd *f = &d->fwupd;
        size_t i = 0;

        while (i < f->n_releases && !streq(f->releases[i].version, d->version))
                i++;
        if (i == f->n_releases)
                return no_such_release(d, device, reterr);
        *ret = &f->releases[i];
        if ((*ret)->flags & FWUPD_RELEASE_BLOCKED)
                return resource_error(&d->resource, reterr, -EPERM, "fwupd blocks version '%s' for %s", d->version,
                                      fwupd_device_name(device));
        if (((*ret)->flags & FWUPD_RELEASE_DOWNGRADE) && !d->allow_downgrade)
                return resource_error(&d->resource, reterr, -EPERM, "version '%s' is older than '%s', and allow_downgrade is not set",
                                      d->version, device->version);
        return 0;
}

static int on_devices(Fwupd *f, int error, Diag *reterr);

static int on_installed(Fwupd *f, int error, Diag *reterr) {
        if (error < 0)
                return error;
        self(f)->changed = true;
        return fwupd_get_devices(f, on_devices, reterr);
}

static int on_releases(Fwupd *f, int error, Diag *reterr) {
        const FwupdDeviceResource *d = self(f);
        const FwupdRelease *release = NULL;
        const FwupdDevice *device = NULL;
        int r = error;

        if (r >= 0)
                r = find_device(d, &device, reterr);
        if (r >= 0)
                r = find_release(d, device, &release, reterr);
        return r < 0 ? r : fwupd_install(f, device, release, d->allow_downgrade, on_installed, reterr);
}

static int change(FwupdDeviceResource *d, const FwupdDevice *device, Diag *reterr) {
        if (d->changed)
                return resource_error(&d->resource, reterr, -EPROTO, "fwupd has installed version '%s' on %s, which stays at '%s'",
                                      d->version, fwupd_device_name(device), device->version);
        resource_differs(&d->resource, "version", device->version, d->version);
        if (!d->resource.applies)
                return CHECK_CHANGED;
        if (!(device->flags & FWUPD_DEVICE_UPDATABLE))
                return resource_error(&d->resource, reterr, -EOPNOTSUPP, "fwupd cannot update %s%s%s", fwupd_device_name(device),
                                      *device->problem ? ": " : "", device->problem);
        return fwupd_get_releases(&d->fwupd, device->id, on_releases, reterr);
}

/* A device may be gone for a moment after it was written to. */
static int on_devices(Fwupd *f, int error, Diag *reterr) {
        FwupdDeviceResource *d = self(f);
        _cleanup_(diag_done) Diag missing = {};
        const FwupdDevice *device;
        int r = error;

        if (r >= 0)
                r = find_device(d, &device, d->changed ? &missing : reterr);
        if (r < 0)
                return d->changed && r == -ENODEV ? CHECK_CHANGED : r;
        if (streq(device->version, d->version) || fwupd_device_is_pending(device))
                return d->changed ? CHECK_CHANGED : CHECK_OK;
        return change(d, device, reterr);
}

static int fwupd_device_check_apply(Resource *r, bool apply, Diag *reterr) {
        FwupdDeviceResource *d = (FwupdDeviceResource *) r;
        int k = fwupd_open(&d->fwupd, r, on_signal);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask fwupd: %m");
        d->changed = false;
        return fwupd_get_devices(&d->fwupd, on_devices, reterr);
}

static void fwupd_device_cancel(Resource *r) {
        fwupd_cancel(&((FwupdDeviceResource *) r)->fwupd);
}

static void fwupd_device_done(Resource *r) {
        fwupd_done(&((FwupdDeviceResource *) r)->fwupd);
}

const ResourceType fwupd_device_type = {
        .kind = "fwupd:device",
        .doc = "The version of the firmware of a device, which fwupd installs. The machine is never rebooted.",
        .example = "fwupd:device \"6c3a1d2c2b6b5f1bd0e6d36d4cbd6ddee5e0e6a1\" {\n"
                   "\tversion => \"1.2.4\",\n"
                   "}\n",
        .size = sizeof(FwupdDeviceResource),
        .fields = fwupd_device_fields,
        .done = fwupd_device_done,
        .watch = fwupd_device_watch,
        .unwatch = fwupd_device_unwatch,
        .check_apply = fwupd_device_check_apply,
        .cancel = fwupd_device_cancel,
        .wants = fwupd_wants_remotes,
};
