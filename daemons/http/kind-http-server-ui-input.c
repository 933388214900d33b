/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server:ui:input: one thing that people can set on a page of an http:server:ui. Its value goes to whoever receives it; with a
 * store, it is what is in the store, where programs read it and others may change it.
 *
 * What a browser sends is checked, written to our own file (so that a kill loses nothing that was acknowledged), acknowledged, and then
 * applied by the next attempt like any other change. */

#include <stdio.h>
#include <syslog.h>

#include "common/usec.h"
#include "common/utf8.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/ui-hub.h"
#include "daemons/http/ui-input.h"

enum { KEY_MAX = 1024 };

static const FieldSpec http_server_ui_input_fields[] = {
        FIELD(UiInput, path, FIELD_STR, 0, "Name of the http:server:ui that shows it; empty: the one there is."),
        FIELD(UiInput, id, FIELD_STR, FIELD_IS_NAME, "What it is called in requests; only one in a ui may be called so."),
        FIELD(UiInput, value, FIELD_STR, 0,
              "Its value, as the program has it. People change it, and a new value in the program changes it again. Not with store."),
        FIELD(UiInput, store, FIELD_STR, 0,
              "Where its value is kept: local://?key=NAME for the values of this host, as resources value keep them, or "
              "world://?key=NAME for those that all hosts share, as resources kv do. Without a key it is the resource's name."),
        FIELD(UiInput, type, FIELD_STR, 0,
              "What can be set: text://, textarea://, email://, url://, tel://, number://, range://, checkbox://, select://, radio://, "
              "color://, date://, time://, datetime-local://, month:// or week://, and what limits it, such as "
              "range://?min=0&max=10&step=2&ticks=2 or text://?maxlength=20&placeholder=name&required=true. output:// is only shown.",
              .initial = "\"text://\""),
        FIELD(UiInput, sort, FIELD_STR, 0, "Inputs are shown in the order of this text, then of id."),
        FIELD(UiInput, label, FIELD_STR, 0, "What people see as its name; empty: id."),
        FIELD(UiInput, unit, FIELD_STR, 0, "Unit of its value, such as machines."),
        FIELD(UiInput, help, FIELD_STR, 0, "A sentence for people about it."),
        FIELD(UiInput, options, FIELD_STRV, 0, "The values to choose from, for select:// and radio://; proposals, for types of text."),
        {}
};

static const FieldSpec http_server_ui_input_sends[] = {
        { .name = "value", .type = FIELD_STR, .flags = FIELD_OPTIONAL, .doc = "Its value; nothing, if nobody has chosen one." },
        {}
};

static bool has_store(const UiInput *i) {
        return *i->store;
}

/* ---- state ---- */

static void save(UiInput *i) {
        int r = i->file && !i->resource.host->only_looks ? ui_memory_save(&i->memory, i->file) : 0;

        if (r < 0)
                resource_log(&i->resource, LOG_WARNING, "cannot keep the value over a restart: %s", strerrordesc_np(-r));
}

static void show_value(UiInput *i) {
        i->field.value = i->memory.value;
}

void ui_input_stage(UiInput *i, UiStage stage, const char *error) {
        char *copy = error ? strdup(error) : NULL;

        free(i->error);
        i->error = copy;
        i->field.error = copy;
        i->field.stage = stage;
        if (i->resource.parent)
                http_server_ui_changed(i->resource.parent, i);
}

/* There is another value: it is on its way. */
static void value_changed(UiInput *i) {
        show_value(i);
        i->field.seq = ui_hub_next_seq(i->resource.host->manager);
        i->changed_usec = usec_now(CLOCK_MONOTONIC);
        ui_input_stage(i, UI_ACCEPTED, NULL);
        resource_changed(&i->resource);
}

int ui_input_set(UiInput *i, const char *data, size_t size, Diag *reterr) {
        _cleanup_free_ char *value = NULL;
        int r;

        r = ui_type_accept(&i->field.type, data, size, &value, reterr);
        if (r >= 0)
                r = ui_memory_accept(&i->memory, value, usec_now(CLOCK_REALTIME));
        if (r < 0)
                return r;
        save(i);
        value_changed(i);
        return 0;
}

/* ---- the store ---- */

/* local://?key=K or world://?key=K; K is decoded into key, which is empty if there is none. */
static int parse_store(const UiInput *i, bool *ret_shared, char key[static KEY_MAX], Diag *reterr) {
        const char *rest = startswith(i->store, "local://"), *k;

        *ret_shared = !rest;
        key[0] = 0;
        if (!rest)
                rest = startswith(i->store, "world://");
        if (!rest)
                return resource_error(&i->resource, reterr, -EINVAL, "store must begin with local:// or world://, got '%s'", i->store);
        if (!*rest || streq(rest, "?"))
                return 0;
        k = startswith(rest, "?key=");
        if (!k || strchr(k, '&'))
                return resource_error(&i->resource, reterr, -EINVAL, "store must end with ?key=NAME, got '%s'", i->store);
        if (!ui_query_decode(k, strlen(k), key, KEY_MAX))
                return resource_error(&i->resource, reterr, -EINVAL, "store has a key that is too long, or has a broken escape: '%s'",
                                      i->store);
        return 0;
}

static void arm(UiInput *i) {
        if (i->armed)
                return;
        i->armed = true;
        resource_armed(&i->resource);
}

/* What is there, or comes there, is the value; but not while we have one that has to get there first. */
static void on_stored(WorldKey *k, const char *value, void *userdata) {
        UiInput *i = userdata;
        bool on_its_way = i->writing || !ui_memory_is_applied(&i->memory);

        i->unread = false;
        if (!on_its_way && !streq_ptr(value, i->memory.value)) {
                char *copy = value ? strdup(value) : NULL, *applied = value ? strdup(value) : NULL;

                if (!value || (copy && applied)) {
                        free(i->memory.value);
                        free(i->memory.applied);
                        i->memory.value = copy;
                        i->memory.applied = applied;
                        save(i);
                        value_changed(i);
                } else {
                        free(copy);
                        free(applied);
                }
        }
        arm(i);
}

static void on_unread(WorldKey *k, const Diag *d, void *userdata) {
        UiInput *i = userdata;

        free(i->why_unread);
        i->why_unread = d->message ? strdup(d->message) : NULL;
        i->unread = true;
        arm(i);
        resource_changed(&i->resource);
}

static int applied(UiInput *i, const char *value, int result, Diag *reterr);

static void on_written(WorldKey *k, const Diag *d, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        UiInput *i = userdata;
        int r;

        _cleanup_free_ char *written = TAKE_PTR(i->writing);

        if (!written)
                return;
        if (d) {
                r = resource_error(&i->resource, &diag, d->error, "%s", d->message ?: "cannot be stored");
                ui_input_stage(i, UI_FAILED, diag.message);
        } else {
                i->unread = false;
                r = applied(i, written, CHECK_CHANGED, &diag);
        }
        resource_finish(&i->resource, r, &diag);
}

static void http_server_ui_input_cancel(Resource *r) {
        UiInput *i = (UiInput *) r;

        free(TAKE_PTR(i->writing));
        if (i->key)
                world_key_forget_write(i->key);
}

/* ---- attempts ---- */

static int send_value(UiInput *i, const char *value, int result, Diag *reterr) {
        _cleanup_(value_done) Value v = {};
        int r;

        r = value ? value_strz(&v, value) : 0;
        if (r >= 0)
                r = resource_send(&i->resource, "value", v);
        return r < 0 ? resource_error(&i->resource, reterr, r, "cannot send the value: %m") : result;
}

/* This value got through. Meanwhile there may be another one, for which an attempt follows. */
static int applied(UiInput *i, const char *value, int result, Diag *reterr) {
        int r;

        if (!streq_ptr(value, i->memory.applied)) {
                r = ui_memory_apply(&i->memory, value);
                if (r < 0)
                        return resource_error(&i->resource, reterr, r, "cannot remember the value: %m");
                save(i);
        }
        r = send_value(i, value, result, reterr);
        if (r >= 0 && i->field.stage != UI_CONVERGED && ui_memory_is_applied(&i->memory)) {
                i->question = engine_follow_ask(i->resource.host->manager);
                ui_input_stage(i, UI_APPLIED, NULL);
        }
        return r;
}

static int write_value(UiInput *i, Diag *reterr) {
        _cleanup_free_ char *value = strdup(i->memory.value);
        int r = value ? world_key_write(i->key, value) : -ENOMEM;

        if (r < 0)
                return resource_error(&i->resource, reterr, r, "cannot store the value: %m");
        free(i->writing);
        i->writing = TAKE_PTR(value);
        return CHECK_PENDING;
}

static int http_server_ui_input_check_apply(Resource *r, bool apply, Diag *reterr) {
        UiInput *i = (UiInput *) r;

        if (ui_memory_is_applied(&i->memory)) {
                if (!i->unread)
                        return applied(i, i->memory.value, CHECK_OK, reterr);
                ui_input_stage(i, UI_FAILED, i->why_unread);
                return resource_error(r, reterr, -EBADMSG, "cannot read the value: %s", i->why_unread ?: "it is not there");
        }
        resource_differs(r, "value", i->memory.applied, i->memory.value);
        if (!apply)
                return send_value(i, i->memory.value, CHECK_CHANGED, reterr);
        return has_store(i) && i->memory.value ? write_value(i, reterr) : applied(i, i->memory.value, CHECK_CHANGED, reterr);
}

/* ---- life ---- */

static int http_server_ui_input_validate(const Resource *r, Diag *reterr) {
        const UiInput *i = (const UiInput *) r;
        char key[KEY_MAX];
        bool shared;
        UiType type;
        int k;

        if (!*i->id || strlen(i->id) > KEY_MAX)
                return resource_error(r, reterr, -EINVAL, "id must have between 1 and %d bytes", KEY_MAX);
        if (*i->value && has_store(i))
                return resource_error(r, reterr, -EINVAL, "value and store cannot both be given");
        if (strlen(i->value) > UI_VALUE_MAX || !utf8_valid(i->value, strlen(i->value)))
                return resource_error(r, reterr, -EINVAL, "value must be text of at most %d bytes", UI_VALUE_MAX);
        k = ui_type_parse(&type, i->type, i->options, reterr);
        if (k < 0) {
                if (reterr)
                        diag_place(reterr, r->pos);
                return k;
        }
        return has_store(i) ? parse_store(i, &shared, key, reterr) : 0;
}

static int load(UiInput *i, Diag *reterr) {
        _cleanup_free_ char *dir = NULL;
        int r;

        r = resource_state_dir(&i->resource, &dir);
        if (r < 0)
                return resource_error(&i->resource, reterr, r, "cannot make the directory for its value: %m");
        free(i->file);
        if (asprintf(&i->file, "%s%s", dir, has_store(i) ? "stored" : "value") < 0) {
                i->file = NULL;
                return -ENOMEM;
        }
        return ui_memory_load(&i->memory, i->file);
}

/* The program's own value: "" is one only where it can be chosen. */
static int declare(UiInput *i) {
        _cleanup_free_ char *canonical = NULL;

        if (has_store(i) || (!*i->value && ui_type_accept(&i->field.type, "", 0, &canonical, NULL) < 0))
                return 0;
        return ui_memory_declare(&i->memory, i->value, usec_now(CLOCK_REALTIME));
}

/* One that got through some time ago has nothing more to do. */
static UiStage initial_stage(UiInput *i) {
        if (!ui_memory_is_applied(&i->memory))
                return UI_ACCEPTED;
        if (!ui_memory_is_recent(&i->memory, usec_now(CLOCK_REALTIME)))
                return UI_CONVERGED;
        i->changed_usec = usec_now(CLOCK_MONOTONIC);
        return UI_APPLIED;
}

static int http_server_ui_input_prepare(Resource *r, Diag *reterr) {
        UiInput *i = (UiInput *) r;
        int k;

        if (!r->parent)
                resource_log(r, LOG_WARNING, "there is no http:server:ui '%s' in the graph, so nobody sees this", i->path);
        i->field = (UiField) { .id = i->id, .label = i->label, .unit = i->unit, .help = i->help, .sort = i->sort };
        k = ui_type_parse(&i->field.type, i->type, i->options, reterr);
        if (k >= 0)
                k = load(i, reterr);
        if (k >= 0)
                k = declare(i);
        if (k < 0)
                return k;
        save(i);
        show_value(i);
        i->field.seq = ui_hub_next_seq(r->host->manager);
        i->field.stage = initial_stage(i);
        return 0;
}

static int http_server_ui_input_watch(Resource *r, Diag *reterr) {
        static const WorldKeyOps ops = { .value = on_stored, .failed = on_unread, .written = on_written };
        UiInput *i = (UiInput *) r;
        char key[KEY_MAX];
        bool shared;
        int k;

        if (!has_store(i)) {
                resource_armed(r);
                return 0;
        }
        i->armed = false;
        k = parse_store(i, &shared, key, reterr);
        if (k < 0)
                return k;
        k = world_key_open(&i->key, r->host->manager, shared, *key ? key : r->name, &ops, i);
        return k < 0 ? resource_error(r, reterr, k, "cannot ask mgmt-world: %m") : 0;
}

static void http_server_ui_input_unwatch(Resource *r) {
        UiInput *i = (UiInput *) r;

        http_holds_end(&i->watchers);
        i->key = world_key_close(i->key);
        free(TAKE_PTR(i->writing));
}

static void http_server_ui_input_done(Resource *r) {
        UiInput *i = (UiInput *) r;

        http_server_ui_input_unwatch(r);
        ui_memory_done(&i->memory);
        free(i->file);
        free(i->error);
        free(i->why_unread);
}

const ResourceType http_server_ui_input_type = {
        .kind = "http:server:ui:input",
        .doc = "Something that people can set on a page of an http:server:ui, such as a number or a choice. Its value is sent to "
               "other resources, or kept where programs read it.",
        .example = "http:server \"127.0.0.1:8080\" {}\n"
                   "http:server:ui \"/ui/\" {}\n"
                   "http:server:ui:input \"machines\" {\n"
                   "\ttype => \"range://?min=0&max=8\",\n"
                   "\tstore => \"local://\",\n"
                   "\tlabel => \"Running machines\",\n"
                   "}\n",
        .size = sizeof(UiInput),
        .fields = http_server_ui_input_fields,
        .sends = http_server_ui_input_sends,
        .parent_field = "path",
        .done = http_server_ui_input_done,
        .validate = http_server_ui_input_validate,
        .prepare = http_server_ui_input_prepare,
        .watch = http_server_ui_input_watch,
        .unwatch = http_server_ui_input_unwatch,
        .check_apply = http_server_ui_input_check_apply,
        .cancel = http_server_ui_input_cancel,
};
