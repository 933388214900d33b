/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Prints a line when it is new, or, with refresh_only, when somebody notifies. To print is to do something, so a print can
 * notify others. Prints without order between them are grouped, and each of them still prints its own line. */

#include <syslog.h>

#include "common/resource.h"

typedef struct Print {
        Resource resource;
        char *msg;
        bool refresh_only;
        char *last;             /* what was printed last; NULL: nothing yet */
} Print;

static const FieldSpec print_fields[] = {
        FIELD(Print, msg, FIELD_STR, 0, "The text. The empty text is shown as <empty>."),
        FIELD(Print, refresh_only, FIELD_BOOL, 0, "Print only when notified. Such a print is never grouped."),
        {}
};

static void print_done(Resource *r) {
        Print *p = (Print *) r;

        free(p->last);
}

static int print_check_apply(Resource *r, bool apply, Diag *reterr) {
        Print *p = (Print *) r;
        bool changed = !streq_ptr(p->last, p->msg), refresh = resource_refresh(r);

        if (!(p->refresh_only ? refresh : changed || refresh))
                return CHECK_OK;
        resource_differs(r, "msg", p->last, p->msg);
        if (!apply)
                return CHECK_CHANGED;

        char *copy = strdup(p->msg);
        if (!copy)
                return resource_error(r, reterr, -ENOMEM, "cannot keep the text: %m");
        free(p->last);
        p->last = copy;
        resource_log(r, LOG_NOTICE, "Msg: %s", *p->msg ? p->msg : "<empty>");
        return CHECK_CHANGED;
}

static bool print_groups(const Resource *parent, const Resource *child) {
        return !((const Print *) parent)->refresh_only && !((const Print *) child)->refresh_only;
}

const ResourceType print_type = {
        .kind = "print",
        .doc = "Prints a line of text.",
        .example = "print \"greeting\" {\n\tmsg => \"hello, world\",\n}\n",
        .size = sizeof(Print),
        .flags = RESOURCE_REFRESHABLE | RESOURCE_RECEIVES,
        .fields = print_fields,
        .done = print_done,
        .check_apply = print_check_apply,
        .groups = print_groups,
};
