/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Does nothing, successfully. It stands where several edges meet, and says when it is notified. */

#include <syslog.h>

#include "common/resource.h"

typedef struct Noop {
        Resource resource;
        char *comment;
} Noop;

static const FieldSpec noop_fields[] = {
        FIELD(Noop, comment, FIELD_STR, 0, "Says what it is there for."),
        {}
};

static int noop_check_apply(Resource *r, bool apply, Diag *reterr) {
        if (apply && resource_refresh(r))
                resource_log(r, LOG_NOTICE, "received a notification");
        return CHECK_OK;
}

static bool noop_groups(const Resource *parent, const Resource *child) {
        return true;
}

const ResourceType noop_type = {
        .kind = "noop",
        .doc = "Does nothing. Others can come before and after it.",
        .example = "noop \"everything is there\" {\n\tcomment => \"the database may start\",\n}\n",
        .size = sizeof(Noop),
        .flags = RESOURCE_REFRESHABLE,
        .fields = noop_fields,
        .groups = noop_groups,
        .check_apply = noop_check_apply,
};
