/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A service of systemd: whether it runs, and whether it is started at boot.
 *
 * A unit that is not there yet is waited for, since a package may bring it; so is the end of a job that somebody else began: to
 * interfere would fail, or make that one fail. */

#include <syslog.h>

#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/systemd-unit.h"

typedef struct Svc {
        Resource resource;
        char *state, *startup;
        bool session;

        SystemdUnit unit;
        bool apply;
        bool refresh;           /* a notification is pending, and nothing was started or stopped so far */
        PathWatch **watches;
        size_t n_watches;
} Svc;

static const FieldSpec svc_fields[] = {
        FIELD(Svc, state, FIELD_STR, 0, "'running', 'stopped', or '' for whatever it is."),
        FIELD(Svc, startup, FIELD_STR, 0, "Whether it is started at boot: 'enabled', 'disabled', or '' for whatever it is."),
        FIELD(Svc, session, FIELD_BOOL, 0, "It belongs to the service manager of the user that the engine runs as, not to that of the system."),
        {}
};

static int svc_validate(const Resource *r, Diag *reterr) {
        const Svc *s = (const Svc *) r;

        if (endswith(r->name, ".service"))
                return resource_error(r, reterr, -EINVAL, "name must be that of a unit without '.service', got '%s'", r->name);
        if (!systemd_unit_name_is_valid(r->name))
                return resource_error(r, reterr, -EINVAL, "name must be that of a unit: letters, digits and ':-_.\\@', got '%s'", r->name);
        if (*s->state && !streq(s->state, "running") && !streq(s->state, "stopped"))
                return resource_error(r, reterr, -EINVAL, "state must be 'running', 'stopped' or '', got '%s'", s->state);
        if (*s->startup && !streq(s->startup, "enabled") && !streq(s->startup, "disabled"))
                return resource_error(r, reterr, -EINVAL, "startup must be 'enabled', 'disabled' or '', got '%s'", s->startup);
        return 0;
}

static int svc_open(Svc *s) {
        _cleanup_free_ char *name = NULL;

        if (asprintf(&name, "%s.service", s->resource.name) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        return systemd_unit_open(&s->unit, &s->resource, s->session, name);
}

/* ---- watch ---- */

static int add_watch(Svc *s, const char *path, unsigned flags, Diag *reterr) {
        int r = local_host_watch(&s->resource, path, flags, &s->watches[s->n_watches], reterr);

        s->n_watches += r >= 0;
        return r;
}

static int watch_file(Svc *s, const char *directory, Diag *reterr) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", directory, s->unit.name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return add_watch(s, path, 0, reterr);
}

/* systemd tells of files only when somebody has told it. */
static int watch_files(Svc *s, Diag *reterr) {
        const char *const *directories = systemd_unit_directories(s->session);
        _cleanup_free_ char *own = NULL;
        int r = 0;

        s->watches = calloc(strv_count((char *const *) directories) + 3, sizeof(*s->watches));
        if (!s->watches)
                return -ENOMEM;
        for (size_t i = 0; directories[i] && r >= 0; i++)
                r = watch_file(s, directories[i], reterr);
        if (r >= 0 && s->session) {
                r = systemd_user_directory(&own);
                if (r >= 0)
                        r = watch_file(s, own, reterr);
        }
        /* Links in it are what makes a unit enabled. */
        if (r >= 0 && *s->startup)
                r = add_watch(s, own ? own : directories[0], PATH_WATCH_RECURSIVE, reterr);
        return r;
}

static int svc_watch(Resource *r, Diag *reterr) {
        Svc *s = (Svc *) r;
        int k;

        k = svc_open(s);
        if (k >= 0)
                k = watch_files(s, reterr);
        if (k >= 0)
                k = systemd_unit_watch(&s->unit);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch '%s.service': %m", r->name) : 0;
}

static void svc_unwatch(Resource *r) {
        Svc *s = (Svc *) r;

        for (size_t i = 0; i < s->n_watches; i++)
                path_watch_free(s->watches[i]);
        free(s->watches);
        s->watches = NULL;
        s->n_watches = 0;
        systemd_unit_close(&s->unit);
}

/* ---- check and apply ---- */

static bool state_is_right(const Svc *s) {
        bool active = streq(s->unit.state.active, "active");
        bool stopped = !*s->unit.state.active || streq(s->unit.state.active, "inactive") || streq(s->unit.state.active, "failed");

        return !*s->state || (streq(s->state, "running") ? active : stopped);
}

/* An alias is there because its service is enabled; where the service is loaded, its own state is known. */
static bool startup_is_right(const Svc *s) {
        static const char *const enabled[] = { "enabled", "alias", NULL };
        static const char *const disabled[] = { "disabled", "masked", "masked-runtime", "static", "indirect", NULL };
        const char *const *good = streq(s->startup, "enabled") ? enabled : disabled;

        if (!*s->startup)
                return true;
        for (; *good; good++)
                if (streq(s->unit.state.file, *good))
                        return true;
        return false;
}

/* Of such units it is others that say when they start. */
static bool startup_is_fixed(const Svc *s) {
        static const char *const fixed[] = { "static", "indirect", "generated", "transient" };

        for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
                if (streq(s->unit.state.file, fixed[i]))
                        return true;
        return false;
}

static int done(Resource *r, Diag *reterr) {
        return CHECK_CHANGED;
}

/* One that is on its way will tell. One that is not, such as a program that has done its work and ended, would be started for ever. */
static int started(Resource *r, Diag *reterr) {
        Svc *s = (Svc *) r;
        const char *now = s->unit.state.active;

        if (state_is_right(s) || streq(now, "activating") || streq(now, "reloading"))
                return CHECK_CHANGED;
        return resource_error(r, reterr, -EPROTO, "state: '%s' was started, but is '%s', not 'active'", s->unit.name,
                              *now ? now : "inactive");
}

static int correct_state(Resource *r, Diag *reterr) {
        Svc *s = (Svc *) r;

        s->unit.state.outdated = false;
        if (!state_is_right(s) && streq(s->state, "running"))
                return systemd_unit_job(&s->unit, "StartUnit", "start", started, reterr);
        if (!state_is_right(s))
                return systemd_unit_job(&s->unit, "StopUnit", "stop", done, reterr);
        if (s->refresh)
                return systemd_unit_job(&s->unit, "ReloadOrTryRestartUnit", "reload", done, reterr);
        return CHECK_CHANGED;
}

static int found(Resource *r, Diag *reterr) {
        Svc *s = (Svc *) r;
        const UnitState *now = &s->unit.state;
        _cleanup_free_ char *reason = NULL;

        if (!now->exists) {
                if (asprintf(&reason, "there is no unit '%s'", s->unit.name) < 0)
                        reason = NULL;
                return resource_waiting(r, reason ? reason : "there is no such unit");
        }
        if (!startup_is_right(s) && startup_is_fixed(s))
                return resource_error(r, reterr, -EOPNOTSUPP, "startup cannot be '%s': the unit file of '%s' is '%s'", s->startup,
                                      s->unit.name, now->file);
        if (state_is_right(s) && startup_is_right(s) && !s->refresh)
                return CHECK_OK;
        if (!state_is_right(s))
                resource_differs(r, "state", *now->active ? now->active : "inactive", s->state);
        if (!startup_is_right(s))
                resource_differs(r, "startup", now->file, s->startup);
        if (!s->apply)
                return CHECK_CHANGED;
        if (now->has_job)
                return systemd_unit_busy(&s->unit);
        if (!startup_is_right(s))
                return systemd_unit_enable(&s->unit, streq(s->startup, "enabled"), correct_state, reterr);
        if (now->outdated)
                return systemd_unit_reload(&s->unit, correct_state, reterr);
        return correct_state(r, reterr);
}

static int svc_check_apply(Resource *r, bool apply, Diag *reterr) {
        Svc *s = (Svc *) r;
        int k;

        k = svc_open(s);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask systemd: %m");
        s->apply = apply;
        s->refresh = resource_refresh(r);
        return systemd_unit_get(&s->unit, found, reterr);
}

static void svc_cancel(Resource *r) {
        systemd_unit_cancel(&((Svc *) r)->unit);
}

/* ---- autoedge ---- */

static const char *uid_domain(const Svc *s) {
        return s->session ? "svc-session" : "svc";
}

static int svc_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, uid_domain((const Svc *) r), r->name, false);
}

static int want_files(const Svc *s, const char *directory, ResourceUids *ret) {
        _cleanup_free_ char *file = NULL, *drop_ins = NULL;
        int r;

        if (asprintf(&file, "%s/%s.service", directory, s->resource.name) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        if (asprintf(&drop_ins, "%s.d/", file) < 0) {
                drop_ins = NULL;
                return -ENOMEM;
        }
        r = resource_uids_add(ret, "file", file, false);
        return r < 0 ? r : resource_uids_add(ret, "file", drop_ins, false);
}

/* Its unit file before it, the timer that starts it after it. */
static int svc_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Svc *s = (const Svc *) r;
        const char *const *directories = systemd_unit_directories(s->session);
        _cleanup_free_ char *own = NULL;
        int k = 0;

        if (batch > 0)
                return 0;
        if (s->session && systemd_user_directory(&own) >= 0)
                k = want_files(s, own, ret);
        for (size_t i = 0; directories[i] && k >= 0; i++)
                k = want_files(s, directories[i], ret);
        if (k >= 0)
                k = resource_uids_add(ret, s->session ? "cron-session" : "cron", r->name, true);
        return k;
}

static void svc_done(Resource *r) {
        svc_unwatch(r);
}

const ResourceType svc_type = {
        .kind = "svc",
        .doc = "A service of systemd.",
        .example = "svc \"ssh\" {\n"
                   "\tstate => \"running\",\n"
                   "\tstartup => \"enabled\",\n"
                   "}\n",
        .size = sizeof(Svc),
        .flags = RESOURCE_REFRESHABLE,
        .fields = svc_fields,
        .done = svc_done,
        .validate = svc_validate,
        .watch = svc_watch,
        .unwatch = svc_unwatch,
        .check_apply = svc_check_apply,
        .cancel = svc_cancel,
        .uids = svc_uids,
        .wants = svc_wants,
};
