/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A systemd that is made up, for kinds that talk to it: it knows one unit, does what it is told, and writes down what that was. */

#include "tests/daemons/engine/bus-test.h"

#define SYSTEMD "org.freedesktop.systemd1"

/* One unit, and how to answer. */
typedef struct Systemd {
        sd_bus *bus;
        const char *unit;       /* NULL: "web.service" */
        const char *load, *active, *file;       /* load NULL: not loaded */
        const char *result;     /* of jobs; NULL: they do not end */
        const char *becomes;    /* by a job that starts it; NULL: "active" */
        const char *refusal;    /* error name for jobs */
        uint32_t job;           /* somebody else's */
        bool outdated;
        unsigned n_jobs, n_reloads, n_subscribed;
        char called[256];       /* "StartUnit EnableUnitFiles …" */
} Systemd;

static Systemd systemd;

static void called(const char *what) {
        size_t n = strlen(systemd.called);

        (void) snprintf(systemd.called + n, sizeof(systemd.called) - n, "%s%s", n > 0 ? " " : "", what);
}

static const char *systemd_unit(void) {
        return systemd.unit ? systemd.unit : "web.service";
}

static const char *systemd_unit_path(void) {
        static char *path;

        free(path);
        if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", systemd_unit(), &path) < 0)
                path = NULL;
        return path;
}

static int get_unit(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!systemd.load)
                return sd_bus_error_set(reterr, SYSTEMD ".NoSuchUnit", "Unit not loaded.");
        return sd_bus_reply_method_return(m, "o", systemd_unit_path());
}

static int get_file_state(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        if (!systemd.file)
                return sd_bus_error_set(reterr, SD_BUS_ERROR_FILE_NOT_FOUND, "No such file or directory");
        return sd_bus_reply_method_return(m, "s", systemd.file);
}

static int run_job(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *member = sd_bus_message_get_member(m), *name, *mode;
        char job[64];
        int r;

        called(member);
        if (systemd.refusal)
                return sd_bus_error_set(reterr, systemd.refusal, "No.");
        r = sd_bus_message_read(m, "ss", &name, &mode);
        if (r < 0)
                return r;
        (void) snprintf(job, sizeof(job), "/org/freedesktop/systemd1/job/%u", ++systemd.n_jobs);
        r = sd_bus_reply_method_return(m, "o", job);
        if (r < 0 || !systemd.result)
                return r;
        if (streq(systemd.result, "done") && !streq(member, "ReloadOrTryRestartUnit")) {
                systemd.load = "loaded";
                systemd.active = streq(member, "StopUnit") ? "inactive" : systemd.becomes ? systemd.becomes : "active";
                r = sd_bus_emit_properties_changed(systemd.bus, systemd_unit_path(), SYSTEMD ".Unit", "ActiveState", NULL);
                if (r < 0)
                        return r;
        }
        return sd_bus_emit_signal(systemd.bus, "/org/freedesktop/systemd1", SYSTEMD ".Manager", "JobRemoved", "uoss", systemd.n_jobs, job,
                                  name, systemd.result);
}

static int change_files(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *member = sd_bus_message_get_member(m);
        bool enable = streq(member, "EnableUnitFiles");

        called(member);
        systemd.file = enable ? "enabled" : "disabled";
        return enable ? sd_bus_reply_method_return(m, "ba(sss)", true, 0) : sd_bus_reply_method_return(m, "a(sss)", 0);
}

static int reload(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        called("Reload");
        systemd.outdated = false;
        return sd_bus_reply_method_return(m, NULL);
}

static int subscribe(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        systemd.n_subscribed++;
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", NULL, NULL, subscribe, 0),
        SD_BUS_METHOD("GetUnit", "s", "o", get_unit, 0),
        SD_BUS_METHOD("GetUnitFileState", "s", "s", get_file_state, 0),
        SD_BUS_METHOD("StartUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("StopUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("RestartUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("ReloadOrTryRestartUnit", "ss", "o", run_job, 0),
        SD_BUS_METHOD("EnableUnitFiles", "asbb", "ba(sss)", change_files, 0),
        SD_BUS_METHOD("DisableUnitFiles", "asb", "a(sss)", change_files, 0),
        SD_BUS_METHOD("Reload", NULL, NULL, reload, 0),
        SD_BUS_VTABLE_END
};

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                    sd_bus_error *reterr) {
        const char *text = streq(property, "Id") ? systemd_unit() : streq(property, "LoadState") ? systemd.load
                : streq(property, "Result") ? "exit-code" : systemd.active;

        return sd_bus_message_append(reply, "s", text);
}

static int get_job(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                   sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "(uo)", systemd.job, "/");
}

static int get_outdated(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                        void *userdata, sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "b", systemd.outdated);
}

static int get_status(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply, void *userdata,
                      sd_bus_error *reterr) {
        return sd_bus_message_append(reply, "i", streq(property, "ExecMainCode") ? 1 : 7);
}

static const sd_bus_vtable unit_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("LoadState", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("ActiveState", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Job", "(uo)", get_job, 0, 0),
        SD_BUS_PROPERTY("NeedDaemonReload", "b", get_outdated, 0, 0),
        SD_BUS_VTABLE_END
};

static const sd_bus_vtable service_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Result", "s", get_text, 0, 0),
        SD_BUS_PROPERTY("ExecMainCode", "i", get_status, 0, 0),
        SD_BUS_PROPERTY("ExecMainStatus", "i", get_status, 0, 0),
        SD_BUS_VTABLE_END
};

static int systemd_start(Systemd initial) {
        const char *unit;
        int r;

        systemd = initial;
        unit = systemd_unit_path();
        systemd.bus = service_connect();
        if (!systemd.bus)
                return -ENOTCONN;
        r = sd_bus_add_object_vtable(systemd.bus, NULL, "/org/freedesktop/systemd1", SYSTEMD ".Manager", manager_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(systemd.bus, NULL, unit, SYSTEMD ".Unit", unit_vtable, NULL);
        if (r >= 0)
                r = sd_bus_add_object_vtable(systemd.bus, NULL, unit, SYSTEMD ".Service", service_vtable, NULL);
        return r < 0 ? r : sd_bus_request_name(systemd.bus, SYSTEMD, 0);
}

static void systemd_stop(int *unused) {
        systemd.bus = sd_bus_close_unref(systemd.bus);
}

#define SYSTEMD_RIG(...) \
        BUS_RIG(); \
        __attribute__((__cleanup__(systemd_stop), __unused__)) int systemd_guard = 0; \
        REQUIRE(bus_start() >= 0); \
        REQUIRE(systemd_start((Systemd) { .result = "done", __VA_ARGS__ }) >= 0)
