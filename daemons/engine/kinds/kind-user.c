/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A user in /etc/passwd. usermod is told only what is to be changed: of somebody who is logged in it refuses to change the home
 * directory or the number, even into what they are already. */

#include <grp.h>
#include <inttypes.h>

#include "common/resource.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/account-tool.h"
#include "daemons/engine/local-host.h"

typedef struct User {
        Resource resource;
        char *state;
        Value uid, gid;
        char *group;
        char **groups;
        char *homedir, *shell;
        bool allowduplicateuid;

        PathWatch *passwd_watch, *group_watch;
        AccountTool tool;
} User;

static const FieldSpec user_fields[] = {
        FIELD(User, state, FIELD_STR, FIELD_REQUIRED, "Whether there is such a user: 'exists' or 'absent'."),
        FIELD(User, uid, FIELD_VALUE, FIELD_OPTIONAL, "The number. If it is not given, any will do.", .native = "UID", .mcl_type = "int"),
        FIELD(User, gid, FIELD_VALUE, FIELD_OPTIONAL, "Number of the primary group.", .native = "GID", .mcl_type = "int"),
        FIELD(User, group, FIELD_STR, FIELD_OPTIONAL, "Name of the primary group."),
        FIELD(User, groups, FIELD_STRV, FIELD_OPTIONAL, "All other groups; if they are not given, any will do."),
        FIELD(User, homedir, FIELD_STR, FIELD_OPTIONAL, "The home directory, which ends in a slash. It is not created.", .native = "HomeDir"),
        FIELD(User, shell, FIELD_STR, FIELD_OPTIONAL, "The program that a login starts."),
        FIELD(User, allowduplicateuid, FIELD_BOOL, 0, "The number may belong to somebody else as well.", .native = "AllowDuplicateUID"),
        {}
};

/* ---- validate ---- */

static int validate_groups(const Resource *r, Diag *reterr) {
        const User *u = (const User *) r;

        if (u->group && !account_name_is_valid(u->group))
                return resource_error(r, reterr, -EINVAL, "group must be the name of a group, got '%s'", u->group);
        if (u->group && u->gid.kind == TYPE_INT)
                return resource_error(r, reterr, -EINVAL, "only one of group and gid can be given");
        for (char **g = u->groups; g && *g; g++) {
                if (!account_name_is_valid(*g))
                        return resource_error(r, reterr, -EINVAL, "groups must be names of groups, got '%s'", *g);
                if (streq_ptr(*g, u->group) || streq(*g, r->name))
                        return resource_error(r, reterr, -EINVAL, "groups must not have the primary group in it, got '%s'", *g);
        }
        return 0;
}

static int user_validate(const Resource *r, Diag *reterr) {
        const User *u = (const User *) r;
        int k;

        if (!account_name_is_valid(r->name))
                return resource_error(r, reterr, -EINVAL, "name must be letters, digits, '_' and '-', at most 31, got '%s'", r->name);
        if (!streq(u->state, "exists") && !streq(u->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists' or 'absent', got '%s'", u->state);
        k = account_validate_id(r, "uid", u->uid, reterr);
        if (k >= 0)
                k = account_validate_id(r, "gid", u->gid, reterr);
        if (k >= 0)
                k = validate_groups(r, reterr);
        if (k < 0)
                return k;
        if (u->homedir && (*u->homedir != '/' || !endswith(u->homedir, "/") || strpbrk(u->homedir, ":\n")))
                return resource_error(r, reterr, -EINVAL, "homedir must begin and end with a slash, got '%s'", u->homedir);
        if (u->shell && (*u->shell != '/' || strpbrk(u->shell, ":\n")))
                return resource_error(r, reterr, -EINVAL, "shell must be an absolute path, got '%s'", u->shell);
        return 0;
}

/* ---- watch ---- */

static int watch_file(Resource *r, const char *name, PathWatch **ret, Diag *reterr) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/%s", local_host_etc(r), name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return local_host_watch(r, path, 0, ret, reterr);
}

static int user_watch(Resource *r, Diag *reterr) {
        User *u = (User *) r;
        int k;

        k = watch_file(r, "passwd", &u->passwd_watch, reterr);
        if (k >= 0)
                k = watch_file(r, "group", &u->group_watch, reterr);
        if (k >= 0)
                resource_armed(r);
        return k;
}

static void user_unwatch(Resource *r) {
        User *u = (User *) r;

        u->passwd_watch = path_watch_free(u->passwd_watch);
        u->group_watch = path_watch_free(u->group_watch);
}

/* ---- what is ---- */

/* Without slashes at the end, and of several in a row one. Owned by the caller. */
static char *clean_path(const char *path) {
        char *clean = strdup(path), *to = clean;

        for (const char *p = path; clean && *p; p++)
                if (*p != '/' || (p[1] != '/' && (p[1] != '\0' || to == clean)))
                        *to++ = *p;
        if (clean)
                *to = '\0';
        return clean;
}

static bool has_member(const struct group *g, const char *name) {
        for (char **member = g->gr_mem; *member; member++)
                if (streq(*member, name))
                        return true;
        return false;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* "a,b", sorted. */
static char *join(char *const *names) {
        size_t n = strv_count(names);
        _cleanup_free_ char **sorted = calloc(n + 1, sizeof(*sorted));
        StrBuf b = {};

        if (!sorted)
                return NULL;
        for (size_t i = 0; i < n; i++)
                sorted[i] = names[i];
        qsort(sorted, n, sizeof(*sorted), compare_names);
        for (size_t i = 0; i < n; i++)
                if (i == 0 || !streq(sorted[i], sorted[i - 1]))
                        strbuf_printf(&b, "%s%s", b.size > 0 ? "," : "", sorted[i]);
        return strbuf_take(&b);
}

/* The groups that list this user, but for the primary one. */
static int read_groups(const User *u, gid_t primary, char **ret) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(strv_freep) char **names = NULL;
        size_t n = 0, capacity = 0;
        const struct group *g;

        if (asprintf(&path, "%s/group", local_host_etc(&u->resource)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        FILE *f = fopen(path, "re");
        if (!f)
                return -errno;
        int r = 0;
        while (r >= 0 && (g = fgetgrent(f))) {
                if (g->gr_gid == primary || !has_member(g, u->resource.name))
                        continue;
                if (n + 1 >= capacity) {
                        char **grown = reallocarray(names, capacity + 16, sizeof(*names));
                        if (!grown) {
                                r = -ENOMEM;
                                break;
                        }
                        names = grown;
                        capacity += 16;
                }
                names[n] = strdup(g->gr_name);
                r = names[n] ? 0 : -ENOMEM;
                names[++n - (r < 0)] = NULL;
        }
        (void) fclose(f);
        if (r < 0)
                return r;
        *ret = join(names);
        return *ret ? 0 : -ENOMEM;
}

/* ---- what is to be changed ---- */

typedef struct Change {
        char *argv[24];         /* borrowed, but for those in owned */
        char *owned[12];
        size_t n, n_owned;
        bool failed;            /* no memory */
} Change;

static void change_done(Change *c) {
        for (size_t i = 0; i < c->n_owned; i++)
                free(c->owned[i]);
}

static char *keep(Change *c, char *text) {
        if (text)
                c->owned[c->n_owned++] = text;
        else
                c->failed = true;
        return text;
}

static char *number_text(Change *c, uint32_t n) {
        char *text;

        return keep(c, asprintf(&text, "%" PRIu32, n) < 0 ? NULL : text);
}

static void option(Change *c, const char *name, const char *value) {
        c->argv[c->n++] = (char *) name;
        if (value)
                c->argv[c->n++] = (char *) value;
}

/* A field that is wrong; from NULL: there is no such user yet. */
static void differ(User *u, Change *c, const char *field, const char *from, const char *name, const char *to) {
        if (!to)
                return;
        if (from)
                resource_differs(&u->resource, field, from, to);
        option(c, name, to);
}

static int change_group(User *u, const NameEntry *now, Change *c, Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry group = {};
        const char *wanted = u->group;
        uint32_t gid = 0;
        int r = 0;

        if (u->gid.kind == TYPE_INT) {
                gid = (uint32_t) u->gid.i;
                if (now && now->group == gid)
                        return 0;
                differ(u, c, "gid", now ? number_text(c, now->group) : NULL, "--gid", number_text(c, gid));
                return 0;
        }
        /* Of a group that is called as the user useradd thinks that it is in the way. */
        if (!wanted && !now)
                wanted = u->resource.name;
        if (!wanted)
                return 0;
        r = names_find_local(local_host_names(&u->resource), NAME_GROUP, wanted, &group);
        if (r < 0)
                return resource_error(&u->resource, reterr, r, "cannot read the groups: %m");
        if ((r == 0 && !u->group) || (r > 0 && now && now->group == group.id))
                return 0;
        differ(u, c, "group", now ? number_text(c, now->group) : NULL, "--gid", wanted);
        return 0;
}

static int change_groups(User *u, const NameEntry *now, Change *c, Diag *reterr) {
        _cleanup_free_ char *is = NULL;
        char *wanted;
        int r;

        if (!u->groups)
                return 0;
        wanted = keep(c, join(u->groups));
        if (!now) {
                if (wanted && *wanted)
                        option(c, "--groups", wanted);
                return 0;
        }
        r = read_groups(u, now->group, &is);
        if (r < 0)
                return resource_error(&u->resource, reterr, r, "cannot read the groups: %m");
        if (wanted && !streq(is, wanted))
                differ(u, c, "groups", is, "--groups", wanted);
        return 0;
}

static int change_home(User *u, const NameEntry *now, Change *c) {
        _cleanup_free_ char *is = NULL;
        char *wanted;

        if (!u->homedir)
                return 0;
        wanted = keep(c, clean_path(u->homedir));
        is = now ? clean_path(now->home) : NULL;
        if (!wanted || (now && !is))
                return -ENOMEM;
        if (!now || !streq(is, wanted))
                differ(u, c, "homedir", is, "--home", wanted);
        return 0;
}

/* now NULL: there is no such user. */
static int find_changes(User *u, const NameEntry *now, Change *c, Diag *reterr) {
        bool has_uid = u->uid.kind == TYPE_INT;
        int r;

        option(c, now ? "usermod" : "useradd", NULL);
        if (!now)
                option(c, "--no-create-home", NULL);
        if (has_uid && (!now || now->id != (uint32_t) u->uid.i)) {
                if (u->allowduplicateuid)
                        option(c, "--non-unique", NULL);
                differ(u, c, "uid", now ? number_text(c, now->id) : NULL, "--uid", number_text(c, (uint32_t) u->uid.i));
        }
        r = change_group(u, now, c, reterr);
        if (r >= 0)
                r = change_groups(u, now, c, reterr);
        if (r >= 0)
                r = change_home(u, now, c);
        if (r >= 0 && u->shell && (!now || !streq(now->shell, u->shell)))
                differ(u, c, "shell", now ? now->shell : NULL, "--shell", u->shell);
        return r < 0 ? r : c->failed ? -ENOMEM : 0;
}

static int check_conflict(const User *u, Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry other = {};
        char number[24];
        int r;

        if (u->uid.kind != TYPE_INT || u->allowduplicateuid)
                return 0;
        (void) snprintf(number, sizeof(number), "%" PRIi64, u->uid.i);
        r = names_find_local(local_host_names(&u->resource), NAME_USER, number, &other);
        if (r > 0 && !streq(other.name, u->resource.name))
                return resource_error(&u->resource, reterr, -EEXIST, "uid %s belongs to user '%s'", number, other.name);
        return r < 0 ? resource_error(&u->resource, reterr, r, "cannot read the users: %m") : 0;
}

static int user_check_apply(Resource *r, bool apply, Diag *reterr) {
        User *u = (User *) r;
        _cleanup_(name_entry_done) NameEntry now = {};
        _cleanup_(change_done) Change change = {};
        int found, k;

        found = names_find_local(local_host_names(r), NAME_USER, r->name, &now);
        if (found < 0)
                return resource_error(r, reterr, found, "cannot read the users: %m");
        if (streq(u->state, "absent")) {
                if (!found)
                        return CHECK_OK;
                option(&change, "userdel", NULL);
        } else {
                k = check_conflict(u, reterr);
                if (k >= 0)
                        k = find_changes(u, found ? &now : NULL, &change, reterr);
                if (k < 0)
                        return k;
                if (found && change.n == 1)
                        return CHECK_OK;
        }
        if (streq(u->state, "absent") || !found)
                resource_differs(r, "state", found ? "exists" : "absent", u->state);
        if (!apply)
                return CHECK_CHANGED;
        option(&change, r->name, NULL);
        return account_tool_run(&u->tool, r, change.argv, reterr);
}

static void user_cancel(Resource *r) {
        account_tool_cancel(&((User *) r)->tool);
}

/* ---- autoedge ---- */

static int add_number(ResourceUids *ret, const char *domain, Value id, bool after) {
        char number[24];

        if (id.kind != TYPE_INT)
                return 0;
        (void) snprintf(number, sizeof(number), "%" PRIi64, id.i);
        return resource_uids_add(ret, domain, number, after);
}

static int user_uids(const Resource *r, ResourceUids *ret) {
        int k = resource_uids_add(ret, "user", r->name, false);

        return k < 0 ? k : add_number(ret, "user", ((const User *) r)->uid, false);
}

/* Groups are made before their users, and go after them. */
static int user_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const User *u = (const User *) r;
        bool after = streq(u->state, "absent");
        int k;

        if (batch > 0)
                return 0;
        k = add_number(ret, "group", u->gid, after);
        if (k >= 0)
                k = resource_uids_add(ret, "group", u->group ? u->group : r->name, after);
        for (char **g = u->groups; g && *g && k >= 0; g++)
                k = resource_uids_add(ret, "group", *g, after);
        return k;
}

static void user_done(Resource *r) {
        user_unwatch(r);
        user_cancel(r);
}

const ResourceType user_type = {
        .kind = "user",
        .doc = "A user of this host.",
        .example = "user \"james\" {\n"
                   "\tstate => \"exists\",\n"
                   "\thomedir => \"/srv/james/\",\n"
                   "\tshell => \"/bin/bash\",\n"
                   "}\n",
        .size = sizeof(User),
        .fields = user_fields,
        .done = user_done,
        .validate = user_validate,
        .watch = user_watch,
        .unwatch = user_unwatch,
        .check_apply = user_check_apply,
        .cancel = user_cancel,
        .uids = user_uids,
        .wants = user_wants,
};
