/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Says something once, and again when it is notified: in the engine's log, and, if wanted, as an entry of its own in the journal, with
 * fields of its own. */

#include <ctype.h>
#include <stdio.h>
#include <sys/uio.h>
#include <syslog.h>

#define SD_JOURNAL_SUPPRESS_LOCATION    /* ours says nothing to anybody */
#include <systemd/sd-journal.h>

#include "common/resource.h"

typedef struct Msg {
        Resource resource;
        char *body, *priority;
        Value fields;
        bool journal, syslog;

        bool said;
} Msg;

static const FieldSpec msg_fields[] = {
        FIELD(Msg, body, FIELD_STR, 0, "The text."),
        FIELD(Msg, priority, FIELD_STR, FIELD_REQUIRED, "One of Emerg, Alert, Crit, Err, Warning, Notice, Info and Debug."),
        FIELD(Msg, fields, FIELD_VALUE, 0, "More fields of the entry in the journal, which get capital letters.", .mcl_type = "map{str: str}"),
        FIELD(Msg, journal, FIELD_BOOL, 0, "Send an entry of its own to the journal."),
        FIELD(Msg, syslog, FIELD_BOOL, 0, "Is accepted, and means nothing: the journal passes on to syslog what is in it."),
        {}
};

static int find_priority(const char *name) {
        static const char *const names[] = { "Emerg", "Alert", "Crit", "Err", "Warning", "Notice", "Info", "Debug" };

        for (int i = 0; i < (int) ELEMENTSOF(names); i++)
                if (streq(name, names[i]))
                        return i;
        return -EINVAL;
}

static bool is_field_name(const char *name) {
        if (!*name || *name == '_' || isdigit((unsigned char) *name))
                return false;
        for (; *name; name++)
                if (!isalnum((unsigned char) *name) && *name != '_')
                        return false;
        return true;
}

static int msg_validate(const Resource *r, Diag *reterr) {
        const Msg *m = (const Msg *) r;

        if (find_priority(m->priority) < 0)
                return resource_error(r, reterr, -EINVAL,
                                      "priority must be one of Emerg, Alert, Crit, Err, Warning, Notice, Info and Debug, got '%s'",
                                      m->priority);
        for (uint32_t i = 0; m->fields.kind == TYPE_MAP && i < m->fields.m->n; i++)
                if (!is_field_name(value_cstr(m->fields.m->items[i].key)))
                        return resource_error(r, reterr, -EINVAL,
                                              "name of a field must be letters, digits and '_', and begin with a letter, got '%s'",
                                              value_cstr(m->fields.m->items[i].key));
        return 0;
}

static int make_field(const char *name, const char *value, struct iovec *ret) {
        char *text;
        int n = asprintf(&text, "%s=%s", name, value);

        if (n < 0)
                return -ENOMEM;
        for (char *p = text; *p != '='; p++)
                *p = (char) toupper((unsigned char) *p);
        *ret = (struct iovec) { text, (size_t) n };
        return 0;
}

static int send_entry(const Msg *m) {
        uint32_t n_more = m->fields.kind == TYPE_MAP ? m->fields.m->n : 0;
        _cleanup_free_ struct iovec *fields = calloc(2 + (size_t) n_more, sizeof(*fields));
        char priority[4];
        int n = 0, r;

        if (!fields)
                return -ENOMEM;
        (void) snprintf(priority, sizeof(priority), "%d", find_priority(m->priority));
        r = make_field("MESSAGE", m->body, &fields[n]);
        if (r >= 0 && (r = make_field("PRIORITY", priority, &fields[++n])) >= 0)
                n++;
        for (uint32_t i = 0; i < n_more && r >= 0; i++) {
                r = make_field(value_cstr(m->fields.m->items[i].key), value_cstr(m->fields.m->items[i].value), &fields[n]);
                n += r >= 0;
        }
        if (r >= 0)
                r = sd_journal_sendv(fields, n);
        for (size_t i = 0; i < 2 + (size_t) n_more; i++)
                free(fields[i].iov_base);
        return r;
}

static int msg_check_apply(Resource *r, bool apply, Diag *reterr) {
        Msg *m = (Msg *) r;
        int k;

        if (m->said && !resource_refresh(r))
                return CHECK_OK;
        resource_differs(r, "body", NULL, m->body);
        if (!apply)
                return CHECK_CHANGED;
        k = m->journal ? send_entry(m) : 0;
        if (k < 0)
                return resource_error(r, reterr, k, "cannot send to the journal: %m");
        resource_log(r, find_priority(m->priority), "%s", m->body);
        m->said = true;
        return CHECK_CHANGED;
}

const ResourceType msg_type = {
        .kind = "msg",
        .doc = "Sends a message to the log.",
        .example = "msg \"disk\" {\n"
                   "\tbody => \"the disk is set up\",\n"
                   "\tpriority => \"Notice\",\n"
                   "\tjournal => true,\n"
                   "\tfields => {\n"
                   "\t\t\"DISK\" => \"vda\",\n"
                   "\t},\n"
                   "}\n",
        .size = sizeof(Msg),
        .flags = RESOURCE_REFRESHABLE,
        .fields = msg_fields,
        .validate = msg_validate,
        .check_apply = msg_check_apply,
};
