/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>

#include <systemd/sd-bus.h>

#include "common/sd/deploy-bus.h"

/* "{sv}" */
static int append_option(sd_bus_message *m, const FieldSpec *f, const DeployOptions *o) {
        const void *member = (const char *) o + f->offset;

        switch (f->type) {
        case FIELD_BOOL:
                return sd_bus_message_append(m, "{sv}", f->name, "b", *(const bool *) member);
        case FIELD_UINT32:
                return sd_bus_message_append(m, "{sv}", f->name, "u", *(const uint32_t *) member);
        case FIELD_UINT64:
                return sd_bus_message_append(m, "{sv}", f->name, "t", *(const uint64_t *) member);
        case FIELD_STR:
                return sd_bus_message_append(m, "{sv}", f->name, "s", *(char *const *) member);
        default:
                return -EOPNOTSUPP;
        }
}

int deploy_options_append(sd_bus_message *m, const DeployOptions *o) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (const FieldSpec *f = deploy_options_fields; f->name && r >= 0; f++)
                r = append_option(m, f, o);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int read_variant(sd_bus_message *m, Value *ret) {
        const char *type, *s;
        char kind;
        uint64_t t;
        uint32_t u;
        int b, r;

        r = sd_bus_message_peek_type(m, &kind, &type);
        if (r < 0)
                return r;
        if (kind != SD_BUS_TYPE_VARIANT || strlen(type) != 1)
                return -EBADMSG;
        switch (type[0]) {
        case SD_BUS_TYPE_BOOLEAN:
                r = sd_bus_message_read(m, "v", "b", &b);
                if (r >= 0)
                        *ret = VALUE_BOOL(b);
                return r;
        case SD_BUS_TYPE_UINT32:
                r = sd_bus_message_read(m, "v", "u", &u);
                if (r >= 0)
                        *ret = VALUE_INT(u);
                return r;
        case SD_BUS_TYPE_UINT64:
                r = sd_bus_message_read(m, "v", "t", &t);
                if (r >= 0 && t > INT64_MAX)
                        return -EBADMSG;
                if (r >= 0)
                        *ret = VALUE_INT((int64_t) t);
                return r;
        case SD_BUS_TYPE_STRING:
                r = sd_bus_message_read(m, "v", "s", &s);
                return r < 0 ? r : value_strz(ret, s);
        default:
                return -EBADMSG;
        }
}

int deploy_options_read(sd_bus_message *m, DeployOptions *ret, Diag *reterr) {
        DeployOptions o = {};
        const char *name;
        int r;

        r = deploy_options_from_value(&o, VALUE_NIL, reterr);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                _cleanup_(value_done) Value v = {};

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0) {
                        r = read_variant(m, &v);
                        if (r == -EBADMSG)
                                diag_set(reterr, (Pos) {}, -EINVAL, "the option '%s' must be of type b, u, t or s", name);
                }
                if (r >= 0)
                        r = deploy_options_set(&o, name, v, reterr);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                deploy_options_done(&o);
                return diag_set(reterr, (Pos) {}, r, "cannot read the options: %m");
        }
        *ret = o;
        return 0;
}
