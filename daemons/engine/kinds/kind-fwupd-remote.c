/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A place where fwupd has releases from: whether it is used, and how old what is known of it may become. When that becomes too old there
 * is one timer to tell; it is set anew whenever fwupd was asked. */

#include <inttypes.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/duration.h"
#include "common/usec.h"
#include "daemons/engine/kinds/fwupd.h"

#define USEC_PER_SEC UINT64_C(1000000)

enum { METADATA_SIZE_MAX = 256 * 1024 * 1024, CHANGES_MAX = 4 };

typedef struct FwupdRemoteResource {
        Resource resource;
        Value enabled;
        char *refresh_age;

        Fwupd fwupd;
        bool watching;
        sd_event_source *due;           /* when its metadata becomes too old */
        uint64_t tried;                 /* when it was refreshed last, successfully or not; seconds since 1970, 0: never */
        FetchedFile *metadata, *signature;
        char *signature_uri;
        unsigned n_changes;             /* in this attempt */
        bool refreshed;                 /* likewise */
} FwupdRemoteResource;

static const FieldSpec fwupd_remote_fields[] = {
        FIELD(FwupdRemoteResource, enabled, FIELD_VALUE, FIELD_OPTIONAL, "Whether fwupd uses it. If it is not given, it stays as it is.",
              .mcl_type = "bool"),
        FIELD(FwupdRemoteResource, refresh_age, FIELD_STR, 0,
              "How old may be what is known of it, such as '24h', if it is enabled. Empty: as old as it likes."),
        {}
};

/* 0: it may become as old as it likes. */
static uint32_t max_age(const FwupdRemoteResource *m) {
        uint32_t sec = 0;

        return *m->refresh_age && duration_parse(m->refresh_age, &sec) >= 0 ? sec : 0;
}

static bool says_enabled(const FwupdRemoteResource *m) {
        return m->enabled.kind == TYPE_BOOL;
}

static int fwupd_remote_validate(const Resource *r, Diag *reterr) {
        const FwupdRemoteResource *m = (const FwupdRemoteResource *) r;

        if (!says_enabled(m) && !*m->refresh_age)
                return resource_error(r, reterr, -EINVAL, "enabled or refresh_age must be given");
        if (*m->refresh_age && max_age(m) == 0)
                return resource_error(r, reterr, -EINVAL, "refresh_age must be a duration of at least a second, such as '24h', got '%s'",
                                      m->refresh_age);
        if (*m->refresh_age && says_enabled(m) && !m->enabled.b)
                return resource_error(r, reterr, -EINVAL, "refresh_age must not be given for a remote that is not to be enabled");
        return 0;
}

static FwupdRemoteResource *self(const Fwupd *f) {
        return container_of(f, FwupdRemoteResource, fwupd);
}

/* ---- watch ---- */

/* What happens to devices is not about remotes. */
static void on_signal(BusClient *c, sd_bus_message *m) {
        if (m && !startswith(sd_bus_message_get_member(m), "Device"))
                bus_client_changed(c);
}

static int fwupd_remote_watch(Resource *r, Diag *reterr) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) r;

        m->watching = true;
        return fwupd_watch(&m->fwupd, r, on_signal, reterr);
}

static void fwupd_remote_unwatch(Resource *r) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) r;

        m->watching = false;
        m->due = sd_event_source_disable_unref(m->due);
        fwupd_close(&m->fwupd);
}

static int on_due(sd_event_source *source, uint64_t usec, void *userdata) {
        resource_changed(userdata);
        return 0;
}

/* A refresh that has failed is due again after as long a time; Meta:retry may want it before. */
static int set_timer(FwupdRemoteResource *m, uint64_t modified, Diag *reterr) {
        uint64_t last = MAX(modified, m->tried);
        uint64_t at = (MIN(last, (uint64_t) INT64_MAX / USEC_PER_SEC / 2) + max_age(m)) * USEC_PER_SEC;
        int r;

        if (!m->watching)
                return 0;
        if (!m->due)
                r = sd_event_add_time(m->resource.host->event, &m->due, CLOCK_REALTIME, at, USEC_PER_SEC, on_due, m);
        else {
                r = sd_event_source_set_time(m->due, at);
                if (r >= 0)
                        r = sd_event_source_set_enabled(m->due, SD_EVENT_ONESHOT);
        }
        return r < 0 ? resource_error(&m->resource, reterr, r, "cannot set the timer: %m") : 0;
}

/* ---- refreshing ---- */

static int look(FwupdRemoteResource *m, Diag *reterr);

static void drop_files(FwupdRemoteResource *m) {
        m->metadata = fetched_file_free(m->metadata);
        m->signature = fetched_file_free(m->signature);
        free(TAKE_PTR(m->signature_uri));
}

static int on_changed(BusClient *c, sd_bus_message *message, Diag *reterr) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) c->resource;

        drop_files(m);
        if (sd_bus_message_is_method_error(message, NULL))
                return bus_failed(c, message, reterr, "fwupd cannot change remote '%s'", m->resource.name);
        m->n_changes++;
        return look(m, reterr);
}

static int call_update(FwupdRemoteResource *m, Diag *reterr) {
        m->refreshed = true;
        return bus_call(&m->fwupd.bus, "/", FWUPD_SERVICE, "UpdateMetadata", on_changed, reterr, "shh", m->resource.name,
                        fetched_file_fd(m->metadata), fetched_file_fd(m->signature));
}

static void on_signature(FetchedFile *file, int error, Diag *diag, void *userdata) {
        FwupdRemoteResource *m = userdata;
        int r = error < 0 ? error : call_update(m, diag);

        if (r == CHECK_PENDING)
                return;
        drop_files(m);
        resource_finish(&m->resource, r, diag);
}

static int fetch(FwupdRemoteResource *m, const char *uri, FetchedFile **ret, fetched_callback_t callback, Diag *reterr) {
        return fetched_file_start(ret, &m->resource, &(FetchSpec) { .location = uri, .size_max = METADATA_SIZE_MAX }, callback, m, reterr);
}

static void on_metadata(FetchedFile *file, int error, Diag *diag, void *userdata) {
        FwupdRemoteResource *m = userdata;
        int r = error < 0 ? error : fetch(m, m->signature_uri, &m->signature, on_signature, diag);

        if (r >= 0)
                return;
        drop_files(m);
        resource_finish(&m->resource, r, diag);
}

/* fwupd sees to it that the signature is that of the metadata, and of somebody it trusts. */
static int refresh(FwupdRemoteResource *m, const FwupdRemote *remote, Diag *reterr) {
        int r;

        if (!*remote->uri)
                return resource_error(&m->resource, reterr, -EOPNOTSUPP, "remote '%s' has no metadata that could be fetched", remote->id);
        if (m->refreshed)
                return resource_error(&m->resource, reterr, -EPROTO, "the metadata of remote '%s' stays old although fwupd took it",
                                      remote->id);
        drop_files(m);
        if (asprintf(&m->signature_uri, "%s.jcat", remote->uri) < 0) {
                m->signature_uri = NULL;
                return -ENOMEM;
        }
        m->tried = usec_now(CLOCK_REALTIME) / USEC_PER_SEC;
        r = set_timer(m, 0, reterr);
        if (r >= 0)
                r = fetch(m, remote->uri, &m->metadata, on_metadata, reterr);
        return r < 0 ? r : CHECK_PENDING;
}

/* ---- check and apply ---- */

static bool is_due(const FwupdRemoteResource *m, uint64_t modified) {
        uint64_t now = usec_now(CLOCK_REALTIME) / USEC_PER_SEC;

        return modified == 0 || (modified <= now && now - modified >= max_age(m));
}

static void tell_age(FwupdRemoteResource *m, uint64_t modified) {
        uint64_t now = usec_now(CLOCK_REALTIME) / USEC_PER_SEC;
        char age[32];

        (void) snprintf(age, sizeof(age), "%" PRIu64 "s", modified < now ? now - modified : 0);
        resource_differs(&m->resource, "age", modified > 0 ? age : NULL, "0s");
}

static int judge(FwupdRemoteResource *m, const FwupdRemote *remote, Diag *reterr) {
        bool now = remote->enabled != 0, wanted = says_enabled(m) ? m->enabled.b : now, applies = m->resource.applies;
        bool differs = now != wanted, old = *m->refresh_age && wanted && is_due(m, fwupd_remote_modified(remote));
        int r;

        if (differs && m->n_changes >= CHANGES_MAX)
                return resource_error(&m->resource, reterr, -EPROTO, "remote '%s' stays %s although fwupd has changed it", remote->id,
                                      now ? "enabled" : "disabled");
        if (differs)
                resource_differs(&m->resource, "enabled", now ? "true" : "false", wanted ? "true" : "false");
        if (old && !(differs && applies) && !m->refreshed)
                tell_age(m, fwupd_remote_modified(remote));
        if (differs && applies)
                return bus_call(&m->fwupd.bus, "/", FWUPD_SERVICE, "ModifyRemote", on_changed, reterr, "sss", remote->id, "Enabled",
                                wanted ? "true" : "false");
        if (old && applies)
                return refresh(m, remote, reterr);
        if (*m->refresh_age && wanted && !old) {
                r = set_timer(m, fwupd_remote_modified(remote), reterr);
                if (r < 0)
                        return r;
        }
        return differs || old || m->n_changes > 0 ? CHECK_CHANGED : CHECK_OK;
}

static int on_remotes(Fwupd *f, int error, Diag *reterr) {
        FwupdRemoteResource *m = self(f);

        if (error < 0)
                return error;
        for (size_t i = 0; i < f->n_remotes; i++)
                if (streq(f->remotes[i].id, m->resource.name))
                        return judge(m, &f->remotes[i], reterr);
        return resource_error(&m->resource, reterr, -ENOENT, "fwupd has no remote '%s'", m->resource.name);
}

static int look(FwupdRemoteResource *m, Diag *reterr) {
        return fwupd_get_remotes(&m->fwupd, on_remotes, reterr);
}

static int fwupd_remote_check_apply(Resource *r, bool apply, Diag *reterr) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) r;
        int k = fwupd_open(&m->fwupd, r, on_signal);

        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask fwupd: %m");
        m->n_changes = 0;
        m->refreshed = false;
        return look(m, reterr);
}

static void fwupd_remote_cancel(Resource *r) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) r;

        fwupd_cancel(&m->fwupd);
        drop_files(m);
}

static void fwupd_remote_done(Resource *r) {
        FwupdRemoteResource *m = (FwupdRemoteResource *) r;

        fwupd_remote_unwatch(r);
        drop_files(m);
        fwupd_done(&m->fwupd);
}

/* ---- autoedge ---- */

static int fwupd_remote_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        _cleanup_free_ char *path = NULL;
        int k;

        if (batch > 0)
                return 0;
        if (asprintf(&path, "/etc/fwupd/remotes.d/%s.conf", r->name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = resource_uids_add(ret, "file", path, false);
        return k < 0 ? k : resource_uids_add(ret, "svc", "fwupd", false);
}

const ResourceType fwupd_remote_type = {
        .kind = "fwupd:remote",
        .doc = "A remote of fwupd, from which it has releases of firmware.",
        .example = "fwupd:remote \"lvfs\" {\n"
                   "\tenabled => true,\n"
                   "\trefresh_age => \"24h\",\n"
                   "}\n",
        .size = sizeof(FwupdRemoteResource),
        .fields = fwupd_remote_fields,
        .done = fwupd_remote_done,
        .validate = fwupd_remote_validate,
        .watch = fwupd_remote_watch,
        .unwatch = fwupd_remote_unwatch,
        .check_apply = fwupd_remote_check_apply,
        .cancel = fwupd_remote_cancel,
        .uids = fwupd_remote_offers,
        .wants = fwupd_remote_wants,
};
