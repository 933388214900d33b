/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A package of the distribution, through PackageKit. Those that want the same are grouped, and what is missing is then installed in
 * one transaction.
 *
 * What is installed is asked for without regard to where it came from; only what is to be installed is looked for among what the
 * fields allow. PackageKit may say that it succeeded and have done nothing (a package that is held), so afterwards it is asked
 * again. */

#include <syslog.h>

#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/package-files.h"
#include "daemons/engine/kinds/packagekit.h"

/* Written by whatever changes packages on Debian; and taken for as long as it does so. */
#define DPKG_STATUS "/var/lib/dpkg/status"
#define DPKG_LOCK "/var/lib/dpkg/lock-frontend"

typedef struct Pkg {
        Resource resource;
        char *state;
        bool allowdowngrade, allowuntrusted, allownonfree, allowunsupported;

        /* Of each member of the group, as found. */
        char *installed, *installed_id; /* version; NULL: it is not */
        char *wanted_id;                /* what is to be installed; NULL: not known */
        bool known;                     /* there is something of this name */
        bool right;

        /* Of the group. */
        PackageKit packagekit;
        bool applied;           /* all was done, and is looked at once more */
        PathWatch *status_watch, *lock_watch;
} Pkg;

static const FieldSpec pkg_fields[] = {
        FIELD(Pkg, state, FIELD_STR, 0, "'installed', 'uninstalled', 'newest', or the version that shall be installed.",
              .initial = "\"installed\"", .merges = "installed newest"),
        FIELD(Pkg, allowdowngrade, FIELD_BOOL, 0, "A version may be lower than the one that is installed.", .native = "AllowDowngrade"),
        FIELD(Pkg, allowuntrusted, FIELD_BOOL, 0, "It need not be signed by somebody who is trusted.", .native = "AllowUntrusted"),
        FIELD(Pkg, allownonfree, FIELD_BOOL, 0, "It may come from where packages are not free.", .native = "AllowNonFree"),
        FIELD(Pkg, allowunsupported, FIELD_BOOL, 0, "It may come from where the distribution gives no support.", .native = "AllowUnsupported"),
        {}
};

static bool is_version(const Pkg *p) {
        return !streq(p->state, "installed") && !streq(p->state, "uninstalled") && !streq(p->state, "newest");
}

static int pkg_validate(const Resource *r, Diag *reterr) {
        const Pkg *p = (const Pkg *) r;

        if (strpbrk(r->name, "; \t\n"))
                return resource_error(r, reterr, -EINVAL, "name must be that of one package, got '%s'", r->name);
        if (!*p->state || strpbrk(p->state, "; \t\n"))
                return resource_error(r, reterr, -EINVAL, "state must be 'installed', 'uninstalled', 'newest' or a version, got '%s'",
                                      p->state);
        if (streq(p->state, "latest"))
                return resource_error(r, reterr, -EINVAL, "state must be 'newest' rather than 'latest'");
        return 0;
}

static bool pkg_groups(const Resource *parent, const Resource *child) {
        const Pkg *a = (const Pkg *) parent, *b = (const Pkg *) child;

        return streq(a->state, b->state) && !is_version(a) && a->allowdowngrade == b->allowdowngrade &&
               a->allowuntrusted == b->allowuntrusted && a->allownonfree == b->allownonfree &&
               a->allowunsupported == b->allowunsupported;
}

/* ---- the group ---- */

static size_t n_members(const Pkg *p) {
        return 1 + p->resource.n_children;
}

static Pkg *member(Pkg *p, size_t i) {
        return i == 0 ? p : (Pkg *) p->resource.children[i - 1];
}

static Pkg *member_of_name(Pkg *p, const char *name) {
        for (size_t i = 0; i < n_members(p); i++)
                if (streq(member(p, i)->resource.name, name))
                        return member(p, i);
        return NULL;
}

static void forget_found(Pkg *p) {
        free(p->installed);
        free(p->installed_id);
        free(p->wanted_id);
        p->installed = p->installed_id = p->wanted_id = NULL;
        p->known = p->right = false;
}

/* The names of those that are not right, or of all. NULL-terminated; the strings are borrowed. */
static char **names(Pkg *p, bool all) {
        char **list = calloc(n_members(p) + 1, sizeof(*list));
        size_t n = 0;

        for (size_t i = 0; list && i < n_members(p); i++)
                if (all || !member(p, i)->right)
                        list[n++] = member(p, i)->resource.name;
        return list;
}

static uint64_t search_filter(const Pkg *p) {
        return PK_FILTER_ARCH | (p->allownonfree ? 0 : PK_FILTER_FREE) | (p->allowunsupported ? 0 : PK_FILTER_SUPPORTED);
}

static uint64_t flags(const Pkg *p) {
        return (p->allowuntrusted ? 0 : PK_FLAG_ONLY_TRUSTED) | (p->allowdowngrade && is_version(p) ? PK_FLAG_ALLOW_DOWNGRADE : 0);
}

static int ask(Pkg *p, const char *method, uint64_t number, char *const *words, pk_next_t next, Diag *reterr) {
        return packagekit_run(&p->packagekit, method, number, words, next, reterr);
}

static int ask_names(Pkg *p, uint64_t filter, bool all, pk_next_t next, Diag *reterr) {
        _cleanup_free_ char **list = names(p, all);

        return list ? ask(p, "Resolve", filter, list, next, reterr) : -ENOMEM;
}

/* ---- errors ---- */

static void on_lock_changed(PathWatch *w, int error, void *userdata) {
        Pkg *p = userdata;

        p->lock_watch = path_watch_free(w);
        resource_changed(&p->resource);
}

static int wait_for_lock(Pkg *p) {
        if (!p->lock_watch)
                (void) path_watch_new(&p->lock_watch, local_host_paths(&p->resource), DPKG_LOCK, 0, on_lock_changed, p);
        return resource_waiting(&p->resource, "another program has the database of packages locked");
}

static int failed(Pkg *p, const char *what, Diag *reterr) {
        uint32_t error = p->packagekit.error;
        const char *hint = "", *text = p->packagekit.error_text ? p->packagekit.error_text : "out of memory";
        bool signature = error == PK_ERROR_GPG_FAILURE || error == PK_ERROR_BAD_GPG_SIGNATURE || error == PK_ERROR_MISSING_GPG_SIGNATURE;

        if (error == PK_ERROR_CANNOT_GET_LOCK || error == PK_ERROR_LOCK_REQUIRED)
                return wait_for_lock(p);
        if (signature && !p->allowuntrusted)
                hint = " (allowuntrusted would permit it)";
        else if (error == PK_ERROR_ALREADY_INSTALLED && is_version(p) && !p->allowdowngrade)
                hint = " (allowdowngrade would permit a lower version)";
        return resource_error(&p->resource, reterr, -EPROTO, "cannot %s: %.*s%s", what, (int) strcspn(text, "\n"), text, hint);
}

/* ---- apply ---- */

static int look(Resource *r, Diag *reterr);

static int done(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        if (p->packagekit.error != 0)
                return failed(p, streq(p->state, "uninstalled") ? "uninstall" : "install", reterr);
        p->applied = true;
        return look(r, reterr);
}

/* New ones, or with update those of which there is a newer one. */
static char **wanted_ids(Pkg *p, bool update) {
        char **list = calloc(n_members(p) + 1, sizeof(*list));
        size_t n = 0;

        for (size_t i = 0; list && i < n_members(p); i++) {
                const Pkg *x = member(p, i);
                if (!x->right && x->wanted_id && (update == (x->installed && !is_version(x))))
                        list[n++] = x->wanted_id;
        }
        return list;
}

static int update(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        if (p->packagekit.error != 0)
                return failed(p, "install", reterr);
        _cleanup_free_ char **ids = wanted_ids(p, true);
        if (!ids)
                return -ENOMEM;
        return *ids ? ask(p, "UpdatePackages", flags(p), ids, done, reterr) : done(r, reterr);
}

static int install(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;
        _cleanup_free_ char **ids = wanted_ids(p, false);

        if (!ids)
                return -ENOMEM;
        return *ids ? ask(p, "InstallPackages", flags(p), ids, update, reterr) : update(r, reterr);
}

/* Not all of PackageKit's backends care for the flag. */
static int tried(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        if (p->packagekit.error != 0)
                return failed(p, "install", reterr);
        for (size_t i = 0; i < p->packagekit.n_packages; i++)
                if (p->packagekit.packages[i].info == PK_INFO_DOWNGRADING && streq(p->packagekit.packages[i].name, r->name))
                        return resource_error(r, reterr, -EEXIST, "state: version '%s' is lower than '%s', which is installed "
                                              "(allowdowngrade would permit it)", p->state, p->installed);
        return install(r, reterr);
}

static int start_install(Pkg *p, Diag *reterr) {
        if (!is_version(p) || !p->installed || p->allowdowngrade)
                return install(&p->resource, reterr);
        _cleanup_free_ char **ids = wanted_ids(p, false);
        if (!ids)
                return -ENOMEM;
        return ask(p, "InstallPackages", flags(p) | PK_FLAG_SIMULATE, ids, tried, reterr);
}

/* ---- what is to be installed ---- */

static int not_found(Pkg *p, bool exists, const char *name, Diag *reterr) {
        const char *hint = !exists ? ""
                : p->allownonfree ? " that is supported (allowunsupported would permit others)"
                : p->allowunsupported ? " that is free (allownonfree would permit others)"
                : " that is free and supported (allownonfree or allowunsupported would permit others)";

        return resource_error(&p->resource, reterr, -ENOENT, "there is no package '%s'%s", name, hint);
}

/* Why there is none: is there one if we are not choosy? */
static int explained(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        for (size_t i = 0; i < n_members(p); i++) {
                const Pkg *x = member(p, i);
                bool exists = false;
                if (x->right || x->wanted_id)
                        continue;
                for (size_t k = 0; k < p->packagekit.n_packages; k++)
                        exists = exists || streq(p->packagekit.packages[k].name, x->resource.name);
                return not_found(p, exists, x->resource.name, reterr);
        }
        return -ENOENT;
}

/* Of a version that PackageKit does not list, since there are higher ones, the id is put together; it may know it nevertheless. */
static int choose_version(Pkg *x, const PkPackage *package) {
        if (streq(package->version, x->state)) {
                free(x->wanted_id);
                x->wanted_id = strdup(package->id);
        } else if (!x->wanted_id) {
                if (asprintf(&x->wanted_id, "%s;%s;%s;", package->name, x->state, package->arch) < 0)
                        x->wanted_id = NULL;
        }
        return x->wanted_id ? 0 : -ENOMEM;
}

static int choose(Pkg *x, const PkPackage *package) {
        if (x->right || package->info == PK_INFO_INSTALLED)
                return 0;
        if (is_version(x))
                return choose_version(x, package);
        if (x->wanted_id)
                return 0;
        x->wanted_id = strdup(package->id);
        return x->wanted_id ? 0 : -ENOMEM;
}

static int chosen(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;
        int k;

        if (p->packagekit.error != 0)
                return failed(p, "find packages", reterr);
        for (size_t i = 0; i < p->packagekit.n_packages; i++) {
                Pkg *x = member_of_name(p, p->packagekit.packages[i].name);
                k = x ? choose(x, &p->packagekit.packages[i]) : 0;
                if (k < 0)
                        return k;
        }
        for (size_t i = 0; i < n_members(p); i++)
                if (!member(p, i)->right && !member(p, i)->wanted_id)
                        return ask_names(p, PK_FILTER_ARCH, false, explained, reterr);
        return start_install(p, reterr);
}

/* What was known before the lists were refreshed may be out of date; only of what is installed it is the same. */
static int refreshed(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        if (p->packagekit.error == PK_ERROR_CANNOT_GET_LOCK || p->packagekit.error == PK_ERROR_LOCK_REQUIRED)
                return wait_for_lock(p);
        if (p->packagekit.error != 0)
                resource_log(r, LOG_WARNING, "cannot refresh the lists of packages: %.*s, ignoring",
                             (int) strcspn(p->packagekit.error_text, "\n"), p->packagekit.error_text);
        for (size_t i = 0; i < n_members(p); i++) {
                Pkg *x = member(p, i);
                free(x->wanted_id);
                x->wanted_id = NULL;
        }
        return ask_names(p, search_filter(p) | (is_version(p) ? 0 : PK_FILTER_NEWEST), false, chosen, reterr);
}

static int uninstall(Pkg *p, Diag *reterr) {
        _cleanup_free_ char **ids = calloc(n_members(p) + 1, sizeof(*ids));
        size_t n = 0;

        if (!ids)
                return -ENOMEM;
        for (size_t i = 0; i < n_members(p); i++)
                if (!member(p, i)->right)
                        ids[n++] = member(p, i)->installed_id;
        return ask(p, "RemovePackages", 0, ids, done, reterr);
}

/* ---- check ---- */

static bool is_right(const Pkg *x) {
        if (streq(x->state, "uninstalled"))
                return !x->installed;
        if (!x->installed)
                return false;
        return is_version(x) ? streq(x->installed, x->state) : !x->wanted_id;
}

static int still_wrong(const Pkg *x, Diag *reterr) {
        return resource_error(&x->resource, reterr, -EPROTO, "PackageKit succeeded, but package '%s' is %s%s, not '%s'", x->resource.name,
                              x->installed ? "installed: " : "not installed", x->installed ? x->installed : "", x->state);
}

static int decide(Pkg *p, Diag *reterr) {
        bool right = true;

        for (size_t i = 0; i < n_members(p); i++) {
                Pkg *x = member(p, i);
                x->right = is_right(x);
                right = right && x->right;
                if (x->right)
                        continue;
                if (p->applied)
                        return still_wrong(x, reterr);
                resource_differs(&x->resource, "state", x->installed ? x->installed : "uninstalled", x->state);
        }
        if (right) {
                p->packagekit.n_lost = 0;
                return p->applied ? CHECK_CHANGED : CHECK_OK;
        }
        if (!p->resource.applies)
                return CHECK_CHANGED;
        return streq(p->state, "uninstalled") ? uninstall(p, reterr) : ask(p, "RefreshCache", 0, NULL, refreshed, reterr);
}

/* wanted_id is set where an update is there. */
static int updates_found(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        if (p->packagekit.error != 0)
                return failed(p, "look for updates", reterr);
        for (size_t i = 0; i < p->packagekit.n_packages; i++) {
                const PkPackage *package = &p->packagekit.packages[i];
                Pkg *x = member_of_name(p, package->name);
                if (!x || !x->installed || x->wanted_id || package->info == PK_INFO_BLOCKED)
                        continue;
                x->wanted_id = strdup(package->id);
                if (!x->wanted_id)
                        return -ENOMEM;
        }
        return decide(p, reterr);
}

static int found(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;
        bool any = false;

        if (p->packagekit.error != 0)
                return failed(p, "find packages", reterr);
        for (size_t i = 0; i < p->packagekit.n_packages; i++) {
                const PkPackage *package = &p->packagekit.packages[i];
                Pkg *x = package->info == PK_INFO_INSTALLED ? member_of_name(p, package->name) : NULL;
                if (!x || x->installed)
                        continue;
                x->installed = strdup(package->version);
                x->installed_id = strdup(package->id);
                if (!x->installed || !x->installed_id)
                        return -ENOMEM;
                any = true;
        }
        if (any && streq(p->state, "newest"))
                return ask(p, "GetUpdates", search_filter(p) | PK_FILTER_NEWEST, NULL, updates_found, reterr);
        return decide(p, reterr);
}

static int look(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;

        for (size_t i = 0; i < n_members(p); i++)
                forget_found(member(p, i));
        return ask_names(p, PK_FILTER_ARCH, true, found, reterr);
}

static int pkg_check_apply(Resource *r, bool apply, Diag *reterr) {
        Pkg *p = (Pkg *) r;
        int k;

        k = packagekit_open(&p->packagekit, r);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask PackageKit: %m");
        p->applied = false;
        return look(r, reterr);
}

static void pkg_cancel(Resource *r) {
        packagekit_cancel(&((Pkg *) r)->packagekit);
}

/* ---- watch ---- */

/* What is grouped into another is watched by that. */
static int pkg_watch(Resource *r, Diag *reterr) {
        Pkg *p = (Pkg *) r;
        int k;

        if (r->parent) {
                resource_armed(r);
                return 0;
        }
        k = packagekit_open(&p->packagekit, r);
        if (k >= 0)
                k = local_host_watch(r, DPKG_STATUS, 0, &p->status_watch, reterr);
        if (k >= 0)
                k = packagekit_watch(&p->packagekit);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch packages: %m") : 0;
}

static void pkg_unwatch(Resource *r) {
        Pkg *p = (Pkg *) r;

        p->status_watch = path_watch_free(p->status_watch);
        p->lock_watch = path_watch_free(p->lock_watch);
        packagekit_close(&p->packagekit);
}

/* ---- autoedge ---- */

static int pkg_uids(const Resource *r, ResourceUids *ret) {
        int k = resource_uids_add(ret, "pkg", r->name, false);

        return k < 0 ? k : package_files_add(r->name, PACKAGE_FILES_OFFERED, ret);
}

/* The services and files that it brings come after it; and, since of a package that is not installed yet nobody can say what it
 * brings, a service that is called as it is. */
static int pkg_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        int k;

        if (batch > 0)
                return 0;
        k = resource_uids_add(ret, "svc", r->name, true);
        return k < 0 ? k : package_files_add(r->name, PACKAGE_FILES_WANTED, ret);
}

static void pkg_done(Resource *r) {
        pkg_unwatch(r);
        forget_found((Pkg *) r);
}

const ResourceType pkg_type = {
        .kind = "pkg",
        .doc = "A package of the distribution.",
        .example = "pkg \"nginx\" {\n"
                   "\tstate => \"newest\",\n"
                   "}\n",
        .size = sizeof(Pkg),
        .flags = RESOURCE_RUNS_CHILDREN,
        .fields = pkg_fields,
        .groups = pkg_groups,
        .done = pkg_done,
        .validate = pkg_validate,
        .watch = pkg_watch,
        .unwatch = pkg_unwatch,
        .check_apply = pkg_check_apply,
        .cancel = pkg_cancel,
        .uids = pkg_uids,
        .wants = pkg_wants,
};
