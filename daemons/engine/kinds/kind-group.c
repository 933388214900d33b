/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A group in /etc/group. */

#include <inttypes.h>

#include "common/resource.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/account-tool.h"
#include "daemons/engine/local-host.h"

typedef struct Group {
        Resource resource;
        char *state;
        Value gid;

        PathWatch *watch;
        AccountTool tool;
} Group;

static const FieldSpec group_fields[] = {
        FIELD(Group, state, FIELD_STR, FIELD_REQUIRED, "Whether there is such a group: 'exists' or 'absent'."),
        FIELD(Group, gid, FIELD_VALUE, FIELD_OPTIONAL, "Its number. If it is not given, any will do.", .native = "GID", .mcl_type = "int"),
        {}
};

static int group_validate(const Resource *r, Diag *reterr) {
        const Group *g = (const Group *) r;

        if (!account_name_is_valid(r->name))
                return resource_error(r, reterr, -EINVAL, "name must be letters, digits, '_' and '-', at most 31, got '%s'", r->name);
        if (!streq(g->state, "exists") && !streq(g->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists' or 'absent', got '%s'", g->state);
        return account_validate_id(r, "gid", g->gid, reterr);
}

static int group_watch(Resource *r, Diag *reterr) {
        Group *g = (Group *) r;
        _cleanup_free_ char *path = NULL;
        int k;

        if (asprintf(&path, "%s/group", local_host_etc(r)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = local_host_watch(r, path, 0, &g->watch, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void group_unwatch(Resource *r) {
        Group *g = (Group *) r;

        g->watch = path_watch_free(g->watch);
}

/* A number that somebody else has cannot be had. */
static int check_conflict(const Group *g, const char *number, Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry other = {};
        int r = names_find_local(local_host_names(&g->resource), NAME_GROUP, number, &other);

        if (r > 0 && !streq(other.name, g->resource.name))
                return resource_error(&g->resource, reterr, -EEXIST, "gid %s belongs to group '%s'", number, other.name);
        return r < 0 ? resource_error(&g->resource, reterr, r, "cannot read the groups: %m") : 0;
}

static int group_check_apply(Resource *r, bool apply, Diag *reterr) {
        Group *g = (Group *) r;
        _cleanup_(name_entry_done) NameEntry now = {};
        bool absent = streq(g->state, "absent");
        char number[24] = "", before[24] = "";
        int found, k;

        found = names_find_local(local_host_names(r), NAME_GROUP, r->name, &now);
        if (found < 0)
                return resource_error(r, reterr, found, "cannot read the groups: %m");
        if (absent && !found)
                return CHECK_OK;
        if (!absent && g->gid.kind == TYPE_INT) {
                (void) snprintf(number, sizeof(number), "%" PRIi64, g->gid.i);
                k = check_conflict(g, number, reterr);
                if (k < 0)
                        return k;
        }
        if (!absent && found && (!*number || now.id == (uint32_t) g->gid.i))
                return CHECK_OK;

        (void) snprintf(before, sizeof(before), "%" PRIu32, now.id);
        if (absent || !found)
                resource_differs(r, "state", found ? "exists" : "absent", g->state);
        else
                resource_differs(r, "gid", before, number);
        if (!apply)
                return CHECK_CHANGED;

        char *const argv[] = { (char *) (absent ? "groupdel" : found ? "groupmod" : "groupadd"), *number ? (char *) "-g" : r->name,
                               *number ? number : NULL, r->name, NULL };
        return account_tool_run(&g->tool, r, argv, reterr);
}

static void group_cancel(Resource *r) {
        account_tool_cancel(&((Group *) r)->tool);
}

static int group_uids(const Resource *r, ResourceUids *ret) {
        const Group *g = (const Group *) r;
        char number[24];
        int k = resource_uids_add(ret, "group", r->name, false);

        if (k < 0 || g->gid.kind != TYPE_INT)
                return k;
        (void) snprintf(number, sizeof(number), "%" PRIi64, g->gid.i);
        return resource_uids_add(ret, "group", number, false);
}

static void group_done(Resource *r) {
        group_unwatch(r);
        group_cancel(r);
}

const ResourceType group_type = {
        .kind = "group",
        .doc = "A group of users of this host.",
        .example = "group \"staff\" {\n"
                   "\tstate => \"exists\",\n"
                   "}\n",
        .size = sizeof(Group),
        .fields = group_fields,
        .done = group_done,
        .validate = group_validate,
        .watch = group_watch,
        .unwatch = group_unwatch,
        .check_apply = group_check_apply,
        .cancel = group_cancel,
        .uids = group_uids,
};
