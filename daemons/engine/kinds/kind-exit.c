/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Asks for the end of the run, once everything before it is right. Whoever runs the program decides what that means; of several that
 * ask the first counts. */

#include "common/resource.h"

enum { CODE_MAX = 125 };                /* what is more means something else to a shell */

typedef struct Exit {
        Resource resource;
        uint8_t code;

        bool asked;
} Exit;

static const FieldSpec exit_fields[] = {
        FIELD(Exit, code, FIELD_UINT8, 0, "The exit code, from 0 to 125."),
        {}
};

static int exit_validate(const Resource *r, Diag *reterr) {
        const Exit *e = (const Exit *) r;

        return e->code > CODE_MAX ? resource_error(r, reterr, -EINVAL, "code must be from 0 to %d, got '%u'", CODE_MAX, e->code) : 0;
}

static int exit_check_apply(Resource *r, bool apply, Diag *reterr) {
        Exit *e = (Exit *) r;

        if (e->asked)
                return CHECK_OK;
        resource_differs_number(r, "code", 0, e->code);
        if (!apply)
                return CHECK_CHANGED;
        e->asked = true;
        if (r->host->exit_requested)
                r->host->exit_requested(r, e->code);
        return CHECK_CHANGED;
}

const ResourceType exit_type = {
        .kind = "exit",
        .doc = "Ends the run of the program.",
        .example = "exit \"all is done\" {\n"
                   "\tcode => 0,\n"
                   "}\n",
        .size = sizeof(Exit),
        .fields = exit_fields,
        .validate = exit_validate,
        .check_apply = exit_check_apply,
};
