/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.mgmt.lang1.Manager: dbus/org.mgmt.lang1.xml says what each member is for. Methods are for root and for our own user. */

#include <fcntl.h>

#include <systemd/sd-bus.h>

#include "common/bundle.h"
#include "common/sd/bus.h"
#include "common/sd/daemon.h"
#include "common/sd/deploy-bus.h"
#include "common/utf8.h"
#include "daemons/lang/lang-manager.h"

enum { LINE_SHOWN_MAX = 1000 };

#define LANG_PATH "/org/mgmt/lang1"
#define LANG_INTERFACE "org.mgmt.lang1.Manager"

/* ---- arguments ---- */

/* "ha{sv}", which Deploy, Run and Check have in common. */
static int read_program(sd_bus_message *m, Value *ret_bundle, DeployOptions *ret_options, Diag *reterr) {
        _cleanup_(value_done) Value bundle = {};
        int fd, r;

        r = sd_bus_message_read(m, "h", &fd);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read the bundle: %m");
        r = bundle_unseal(fd, &bundle, reterr);
        if (r < 0)
                return r;
        r = deploy_options_read(m, ret_options, reterr);
        if (r < 0)
                return r;
        *ret_bundle = value_take(&bundle);
        return 0;
}

/* ---- methods ---- */

static int refuse(sd_bus_error *reterr, int error, Diag *d) {
        if (!d->message)
                diag_set(d, (Pos) {}, error, "%s", strerrordesc_np(-error));
        return bus_error_from_diag(reterr, d);
}

/* userdata is the call, which is answered now. */
static void answer(sd_bus_message *call, int error, uint64_t deploy, const Diag *d, bool with_deploy) {
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;

        /* Whoever asked may be gone; then nobody needs to know. */
        if (error < 0) {
                if (!d || !d->message)
                        (void) sd_bus_error_set_errno(&e, -error);
                else
                        (void) bus_error_from_diag(&e, d);
                (void) sd_bus_reply_method_error(call, &e);
        } else if (with_deploy)
                (void) sd_bus_reply_method_return(call, "t", deploy);
        else
                (void) sd_bus_reply_method_return(call, NULL);
        sd_bus_message_unref(call);
}

static void answer_run(void *userdata, int error, uint64_t deploy, const Diag *d) {
        answer(userdata, error, deploy, d, false);
}

static void answer_deploy(void *userdata, int error, uint64_t deploy, const Diag *d) {
        answer(userdata, error, deploy, d, true);
}

static int change(Manager *m, sd_bus_message *call, bool store, change_done_t done, sd_bus_error *reterr) {
        _cleanup_(diag_done) Diag d = {};
        DeployOptions options = {};
        Value bundle = {};
        int r;

        r = read_program(call, &bundle, &options, &d);
        if (r >= 0) {
                sd_bus_message_ref(call);
                r = manager_change(m, bundle, &options, 0, store, done, call, &d);
                if (r < 0)
                        sd_bus_message_unref(call);
        }
        return r < 0 ? refuse(reterr, r, &d) : 1;
}

static int method_run(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        return change(userdata, call, false, answer_run, reterr);
}

static int method_deploy(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        return change(userdata, call, true, answer_deploy, reterr);
}

static int method_check(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        _cleanup_(diag_done) Diag d = {};
        DeployOptions options = {};
        Value bundle = {};
        int r;

        r = read_program(call, &bundle, &options, &d);
        if (r >= 0)
                r = manager_check(userdata, bundle, &options, &d);
        return r < 0 ? refuse(reterr, r, &d) : sd_bus_reply_method_return(call, NULL);
}

/* The program as it runs, wherever it came from. */
static int answer_line(const Manager *m, sd_bus_message *call, sd_bus_error *reterr) {
        _cleanup_(value_done) Value key = {};
        const char *file, *text, *end;
        uint32_t line;
        int r;

        r = sd_bus_message_read(call, "su", &file, &line);
        if (r >= 0)
                r = value_strz(&key, file);
        if (r < 0)
                return r;
        const Value *content = m->current ? value_map_get(m->current->bundle, key) : NULL;
        if (!content || line == 0)
                return sd_bus_error_setf(reterr, "org.mgmt.Error.NoSuchFile", "there is no file '%s' in the program", file);
        text = value_cstr(*content);
        for (; line > 1 && (text = strchr(text, '\n')); line--)
                text++;
        if (!text)
                return sd_bus_error_setf(reterr, "org.mgmt.Error.NoSuchLine", "the file '%s' is shorter", file);
        end = strchrnul(text, '\n');
        _cleanup_free_ char *copy = strndup(text, MIN((size_t) (end - text), (size_t) LINE_SHOWN_MAX));
        if (!copy)
                return -ENOMEM;
        if (!utf8_valid(copy, strlen(copy)))
                copy[0] = '\0';         /* cut within a character, or none at all */
        return sd_bus_reply_method_return(call, "s", copy);
}

static void answer_line_now(Manager *m, void *userdata) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        int r = answer_line(m, call, &e);

        if (r < 0)
                (void) sd_bus_reply_method_errno(call, r, &e);
}

/* Whoever asks has the place from the engine, which may run the next program already. */
static int method_get_line(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        int r = manager_wait_decision(userdata, answer_line_now, call);

        if (r <= 0)
                return answer_line(userdata, call, reterr);
        sd_bus_message_ref(call);
        return 1;
}

/* All files of it; for those who pass them on. */
static int method_get_files(sd_bus_message *call, void *userdata, sd_bus_error *reterr) {
        const Manager *m = userdata;
        _cleanup_close_ int fd = -EBADF;

        if (!m->current)
                return sd_bus_error_set(reterr, "org.mgmt.Error.NoProgram", "no program is in force");
        int r = bundle_seal(m->current->bundle, &fd);
        return r < 0 ? r : sd_bus_reply_method_return(call, "h", fd);
}

/* ---- properties ---- */

static int property_deploy_id(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                              void *userdata, sd_bus_error *reterr) {
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "t", m->current ? m->current->deploy : UINT64_C(0));
}

static int property_source(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                           void *userdata, sd_bus_error *reterr) {
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "s", m->current ? m->current->options.source : "");
}

static int property_last_error(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                               void *userdata, sd_bus_error *reterr) {
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "s", m->last_error ?: "");
}

static int property_program_error(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                                  void *userdata, sd_bus_error *reterr) {
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "s", m->current && m->current->error ? m->current->error : "");
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        BUS_PROPERTY_VERSION,
        SD_BUS_PROPERTY("DeployId", "t", property_deploy_id, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Generation", "t", NULL, offsetof(Manager, generation), 0),
        SD_BUS_PROPERTY("Source", "s", property_source, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("LastError", "s", property_last_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("ProgramError", "s", property_program_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Deploy", SD_BUS_ARGS("h", bundle, "a{sv}", options), SD_BUS_RESULT("t", deploy), method_deploy, 0),
        SD_BUS_METHOD_WITH_ARGS("Run", SD_BUS_ARGS("h", bundle, "a{sv}", options), SD_BUS_NO_RESULT, method_run, 0),
        SD_BUS_METHOD_WITH_ARGS("GetLine", SD_BUS_ARGS("s", file, "u", line), SD_BUS_RESULT("s", text), method_get_line,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetFiles", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", bundle), method_get_files, 0),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("h", bundle, "a{sv}", options), SD_BUS_NO_RESULT, method_check, 0),
        SD_BUS_SIGNAL_WITH_ARGS("ProgramChanged", SD_BUS_ARGS("t", deploy, "s", source), 0),
        SD_BUS_VTABLE_END
};

int manager_export(Manager *m) {
        return daemon_export(m->daemon, LANG_PATH, LANG_INTERFACE, manager_vtable, m);
}

void manager_emit_changed(Manager *m) {
        char *properties[] = { (char *) "DeployId", (char *) "Source", (char *) "LastError", (char *) "ProgramError", NULL };

        if (!m->daemon)
                return;
        (void) daemon_emit_changed(m->daemon, LANG_PATH, LANG_INTERFACE, properties);
        if (!m->last_error && m->current)
                (void) daemon_emit(m->daemon, LANG_PATH, LANG_INTERFACE, "ProgramChanged", "ts",
                                   m->current->deploy, m->current->options.source);
}
