/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The firmware of all devices that fwupd can update, in their order. One that cannot be updated keeps none of the others from it. */

#include <syslog.h>

#include "daemons/engine/kinds/fwupd.h"

typedef struct FwupdSystem {
        Resource resource;
        char *state;
        char **exclude;

        Fwupd fwupd;
        size_t at;              /* the device that it is about */
        bool changed;           /* in this attempt, as all that follows */
        int error;              /* the first */
        Diag diag;
} FwupdSystem;

static const FieldSpec fwupd_system_fields[] = {
        FIELD(FwupdSystem, state, FIELD_STR, FIELD_REQUIRED, "'newest': what fwupd takes for an upgrade is installed."),
        FIELD(FwupdSystem, exclude, FIELD_STRV, 0, "Ids or GUIDs of devices that are left alone."),
        {}
};

static int fwupd_system_validate(const Resource *r, Diag *reterr) {
        const FwupdSystem *s = (const FwupdSystem *) r;

        if (!streq(s->state, "newest"))
                return resource_error(r, reterr, -EINVAL, "state must be 'newest', got '%s'", s->state);
        for (char **e = s->exclude; e && *e; e++)
                if (!**e)
                        return resource_error(r, reterr, -EINVAL, "exclude must be ids of devices, got ''");
        return 0;
}

static FwupdSystem *self(const Fwupd *f) {
        return container_of(f, FwupdSystem, fwupd);
}

static int fwupd_system_watch(Resource *r, Diag *reterr) {
        return fwupd_watch(&((FwupdSystem *) r)->fwupd, r, NULL, reterr);
}

static void fwupd_system_unwatch(Resource *r) {
        fwupd_close(&((FwupdSystem *) r)->fwupd);
}

/* ---- check and apply ---- */

static bool is_ours(const FwupdSystem *s, const FwupdDevice *d) {
        if (!(d->flags & FWUPD_DEVICE_UPDATABLE) || fwupd_device_is_pending(d))
                return false;
        for (char **e = s->exclude; e && *e; e++)
                if (fwupd_device_is(d, *e))
                        return false;
        return true;
}

static const FwupdRelease *find_upgrade(const Fwupd *f) {
        for (size_t i = 0; i < f->n_releases; i++)
                if ((f->releases[i].flags & FWUPD_RELEASE_UPGRADE) && !(f->releases[i].flags & FWUPD_RELEASE_BLOCKED))
                        return &f->releases[i];
        return NULL;
}

static int next_device(FwupdSystem *s, Diag *reterr);

/* The first error is that of the attempt; the others are told as well. */
static void keep_error(FwupdSystem *s, int error, Diag *reterr) {
        if (s->error < 0) {
                resource_log(&s->resource, LOG_WARNING, "%s", reterr->message ? reterr->message : strerror(-error));
                diag_done(reterr);
                return;
        }
        s->error = error;
        diag_move(&s->diag, reterr);
}

static int on_installed(Fwupd *f, int error, Diag *reterr) {
        FwupdSystem *s = self(f);

        if (error < 0)
                keep_error(s, error, reterr);
        s->at++;
        return next_device(s, reterr);
}

/* A device for which fwupd has no answer is none that could be updated. */
static int on_releases(Fwupd *f, int error, Diag *reterr) {
        FwupdSystem *s = self(f);
        const FwupdDevice *d = &f->devices[s->at];
        const FwupdRelease *release = error < 0 ? NULL : find_upgrade(f);

        if (error < 0)
                diag_done(reterr);
        if (release) {
                s->changed = true;
                resource_differs(&s->resource, fwupd_device_name(d), d->version, release->version);
                if (s->resource.applies)
                        return fwupd_install(f, d, release, false, on_installed, reterr);
        }
        s->at++;
        return next_device(s, reterr);
}

static int next_device(FwupdSystem *s, Diag *reterr) {
        Fwupd *f = &s->fwupd;

        while (s->at < f->n_devices && !is_ours(s, &f->devices[s->at]))
                s->at++;
        if (s->at < f->n_devices)
                return fwupd_get_releases(f, f->devices[s->at].id, on_releases, reterr);
        if (s->error < 0) {
                diag_move(reterr, &s->diag);
                return s->error;
        }
        return s->changed ? CHECK_CHANGED : CHECK_OK;
}

static int on_devices(Fwupd *f, int error, Diag *reterr) {
        return error < 0 ? error : next_device(self(f), reterr);
}

static int fwupd_system_check_apply(Resource *r, bool apply, Diag *reterr) {
        FwupdSystem *s = (FwupdSystem *) r;
        int k = fwupd_open(&s->fwupd, r, NULL);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask fwupd: %m");
        s->at = 0;
        s->changed = false;
        s->error = 0;
        diag_done(&s->diag);
        return fwupd_get_devices(&s->fwupd, on_devices, reterr);
}

static void fwupd_system_cancel(Resource *r) {
        fwupd_cancel(&((FwupdSystem *) r)->fwupd);
}

static void fwupd_system_done(Resource *r) {
        FwupdSystem *s = (FwupdSystem *) r;

        fwupd_done(&s->fwupd);
        diag_done(&s->diag);
}

const ResourceType fwupd_system_type = {
        .kind = "fwupd:system",
        .doc = "The firmware of all devices that fwupd can update. The machine is never rebooted.",
        .example = "fwupd:system \"firmware\" {\n"
                   "\tstate => \"newest\",\n"
                   "\texclude => [\"6c3a1d2c2b6b5f1bd0e6d36d4cbd6ddee5e0e6a1\"],\n"
                   "}\n",
        .size = sizeof(FwupdSystem),
        .fields = fwupd_system_fields,
        .done = fwupd_system_done,
        .validate = fwupd_system_validate,
        .watch = fwupd_system_watch,
        .unwatch = fwupd_system_unwatch,
        .check_apply = fwupd_system_check_apply,
        .cancel = fwupd_system_cancel,
        .wants = fwupd_wants_remotes,
};
