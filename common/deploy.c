/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>

#include "common/deploy.h"

const FieldSpec deploy_options_fields[] = {
        FIELD(DeployOptions, noop,      FIELD_BOOL,   0, "Check everything, change nothing."),
        FIELD(DeployOptions, sema,      FIELD_UINT32, 0, "At most so many resources at a time, 0 for no limit."),
        FIELD(DeployOptions, autoedge,  FIELD_BOOL,   0, "Whether resources get edges by themselves.", .initial = "true"),
        FIELD(DeployOptions, autogroup, FIELD_BOOL,   0, "Whether resources are grouped.", .initial = "true"),
        FIELD(DeployOptions, source,    FIELD_STR,    0, "Where the program comes from, for people."),
        FIELD(DeployOptions, hosts,     FIELD_STR,    0, "The hosts that it is meant for, parted by commas; all if empty."),
        FIELD(DeployOptions, sequence,  FIELD_UINT64, 0, "Higher in every later one that is signed."),
        FIELD(DeployOptions, signature, FIELD_STR,    0, "Of the program and these options."),
        {}
};

int deploy_options_set(DeployOptions *o, const char *name, Value v, Diag *reterr) {
        const FieldSpec *f = field_find(deploy_options_fields, name);

        if (!f)
                return diag_set(reterr, (Pos) {}, -EINVAL, "there is no option '%s'", name);
        return field_set(f, o, v, reterr);
}

int deploy_options_to_value(const DeployOptions *o, Value *ret) {
        return fields_to_struct(deploy_options_fields, o, ret);
}

int deploy_options_from_value(DeployOptions *ret, Value v, Diag *reterr) {
        DeployOptions o = {};
        int r;

        r = fields_init(deploy_options_fields, &o);
        if (r >= 0 && v.kind != TYPE_NIL && v.kind != TYPE_STRUCT)
                r = diag_set(reterr, (Pos) {}, -EBADMSG, "options are a struct, got %s", type_kind_name(v.kind));
        for (uint32_t i = 0; r >= 0 && v.kind == TYPE_STRUCT && i < v.st->n; i++)
                r = deploy_options_set(&o, v.st->fields[i].name->data, v.st->fields[i].value, reterr);
        if (r < 0) {
                deploy_options_done(&o);
                return r;
        }
        *ret = o;
        return 0;
}

bool deploy_options_equal(const DeployOptions *a, const DeployOptions *b) {
        for (const FieldSpec *f = deploy_options_fields; f->name; f++)
                if (!field_equal(f, a, b))
                        return false;
        return true;
}

bool deploy_options_run_alike(const DeployOptions *a, const DeployOptions *b) {
        static const char *const others[] = { "hosts", "sequence", "signature" };

        for (const FieldSpec *f = deploy_options_fields; f->name; f++) {
                bool matters = true;

                for (size_t i = 0; i < ELEMENTSOF(others); i++)
                        matters = matters && !streq(f->name, others[i]);
                if (matters && !field_equal(f, a, b))
                        return false;
        }
        return true;
}

bool deploy_hosts_have(const char *hosts, const char *hostname) {
        size_t n = strlen(hostname);

        if (!*hosts)
                return true;
        for (const char *at = hosts; *at;) {
                size_t length = strcspn(at, ",");

                if (length == n && n > 0 && strncmp(at, hostname, n) == 0)
                        return true;
                at += length + (at[length] == ',');
        }
        return false;
}

static const char *const state_names[_DEPLOY_STATE_MAX] = {
        [DEPLOY_UNKNOWN] = "unknown",
        [DEPLOY_ACCEPTED] = "accepted",
        [DEPLOY_REFUSED] = "refused",
        [DEPLOY_CONVERGED] = "converged",
        [DEPLOY_FAILED] = "failed",
};

const char *deploy_state_name(DeployState s) {
        return state_names[s];
}

DeployState deploy_state_from_name(const char *name) {
        for (DeployState s = 0; s < _DEPLOY_STATE_MAX; s++)
                if (streq_ptr(state_names[s], name))
                        return s;
        return DEPLOY_UNKNOWN;
}

void deploy_options_done(DeployOptions *o) {
        fields_done(deploy_options_fields, o);
        *o = (DeployOptions) {};
}
