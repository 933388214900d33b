/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A look at a unit must not load it: that is a change which systemd tells, so we would look again, without end. So a unit that is
 * not loaded is asked for its file only. */

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>

#include "daemons/engine/kinds/systemd-unit.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define MANAGER SYSTEMD ".Manager"
#define UNIT SYSTEMD ".Unit"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

enum { UNIT_NAME_MAX = 255 };

/* ---- names ---- */

bool systemd_unit_name_is_valid(const char *name) {
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && !strchr(":-_.\\@", *p))
                        return false;
        return *name && *name != '@' && strlen(name) <= UNIT_NAME_MAX - strlen(".service");
}

const char *const *systemd_unit_directories(bool session) {
        static const char *const system[] = { "/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                              "/lib/systemd/system", NULL };
        static const char *const user[] = { "/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user", NULL };

        return session ? user : system;
}

int systemd_user_directory(char **ret) {
        const char *config = getenv("XDG_CONFIG_HOME");
        const struct passwd *p = config && *config ? NULL : getpwuid(geteuid());

        if (!p && (!config || !*config))
                return -ENOENT;
        return asprintf(ret, "%s%s/systemd/user", p ? p->pw_dir : config, p ? "/.config" : "") < 0 ? -ENOMEM : 0;
}

/* "…/unit/ssh_2eservice" */
static int unit_path(const char *name, char **ret) {
        return sd_bus_path_encode(SYSTEMD_PATH "/unit", name, ret);
}

/* Of timers, mounts and so on the property Result is in an interface of their type: SYSTEMD ".Timer". */
static void type_interface(const SystemdUnit *u, char *ret, size_t size) {
        const char *suffix = strrchr(u->name, '.');

        (void) snprintf(ret, size, SYSTEMD ".%s", suffix ? suffix + 1 : "service");
        ret[strlen(SYSTEMD ".")] = (char) toupper((unsigned char) ret[strlen(SYSTEMD ".")]);
}

/* ---- signals ---- */

static int job_ended(SystemdUnit *u, const char *result, Diag *reterr);

static void on_job_removed(SystemdUnit *u, sd_bus_message *m) {
        _cleanup_(diag_done) Diag diag = {};
        const char *job, *name, *result;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &job, &name, &result) < 0)
                return;
        if (!streq_ptr(u->job, job)) {
                if (streq(name, u->name) || streq_ptr(name, u->id))
                        bus_client_changed(&u->bus);
                return;
        }
        free(u->job);
        u->job = NULL;
        u->quiet = false;
        int r = job_ended(u, result, &diag);
        if (r != CHECK_PENDING)
                resource_finish(u->bus.resource, r, &diag);
}

/* Services tell everybody how they are, and we hear it: only another state is of interest. */
static bool is_same_state(const SystemdUnit *u, sd_bus_message *m) {
        const char *interface, *property, *value = NULL;
        bool same = false;

        if (sd_bus_message_read(m, "s", &interface) < 0 || sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return false;
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                if (sd_bus_message_read(m, "s", &property) < 0)
                        return false;
                if (streq(property, "ActiveState")) {
                        if (sd_bus_message_read(m, "v", "s", &value) < 0)
                                return false;
                        same = streq(value, u->state.active);
                } else if (sd_bus_message_skip(m, "v") < 0)
                        return false;
                (void) sd_bus_message_exit_container(m);
        }
        return same && !u->state.has_job;
}

static void on_signal(BusClient *c, sd_bus_message *m) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *member = m ? sd_bus_message_get_member(m) : "";
        int begins;

        if (!m && u->job) {
                /* Nobody will tell how it ended: the next attempt looks. */
                systemd_unit_cancel(u);
                resource_finish(c->resource, resource_waiting(c->resource, "systemd has to be asked anew"), NULL);
        }
        if (!m)
                return;
        if (streq(member, "JobRemoved"))
                on_job_removed(u, m);
        else if (u->quiet)
                return;
        else if (streq(member, "Reloading")) {
                if (sd_bus_message_read(m, "b", &begins) < 0 || !begins)
                        bus_client_changed(c);
        } else if (!streq(member, "PropertiesChanged") || !is_same_state(u, m))
                bus_client_changed(c);
}

static int listen_to_unit(SystemdUnit *u, const char *name) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = unit_path(name, &path);
        if (r < 0)
                return r;
        r = bus_client_listen(&u->bus, "type='signal',sender='" SYSTEMD "',path='%s',interface='org.freedesktop.DBus.Properties',"
                              "member='PropertiesChanged',arg0='" UNIT "'", path);
        if (r < 0)
                return r;
        return bus_client_listen(&u->bus, "type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH "',interface='" MANAGER "',"
                                 "member='UnitNew',arg0='%s'", name);
}

static int listen_to_manager(SystemdUnit *u, const char *member) {
        return bus_client_listen(&u->bus, "type='signal',sender='" SYSTEMD "',path='" SYSTEMD_PATH "',interface='" MANAGER "',"
                                 "member='%s'", member);
}

/* Those of all units: sd-bus cannot tell signals apart by their third argument where the first is a number. */
static int listen_to_jobs(SystemdUnit *u) {
        int r = u->hears_jobs ? 0 : listen_to_manager(u, "JobRemoved");

        u->hears_jobs = r >= 0;
        return r;
}

int systemd_unit_open(SystemdUnit *u, Resource *r, bool session, const char *name) {
        int k;

        if (u->bus.resource)
                return 0;
        *u = (SystemdUnit) { .name = strdup(name) };
        k = u->name ? bus_client_open(&u->bus, r, session ? HOST_BUS_USER : HOST_BUS_SYSTEM, SYSTEMD, on_signal) : -ENOMEM;
        if (k >= 0)
                k = listen_to_unit(u, u->name);
        if (k >= 0)
                k = listen_to_manager(u, "Reloading");
        if (k >= 0)
                k = listen_to_manager(u, "UnitFilesChanged");
        if (k < 0)
                systemd_unit_close(u);
        return k;
}

void systemd_unit_close(SystemdUnit *u) {
        bus_client_close(&u->bus);
        free(u->name);
        free(u->id);
        free(u->job);
        *u = (SystemdUnit) {};
}

int systemd_unit_watch(SystemdUnit *u) {
        return bus_client_watch(&u->bus);
}

void systemd_unit_cancel(SystemdUnit *u) {
        bus_cancel(&u->bus);
        free(u->job);
        u->job = NULL;
        u->quiet = false;
}

/* ---- the state ---- */

static int on_file_state(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *state;

        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_FILE_NOT_FOUND) ||
            sd_bus_message_is_method_error(m, "org.freedesktop.systemd1.NoSuchUnit"))
                return u->next(c->resource, reterr);
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out about the file of '%s'", u->name);
        int r = sd_bus_message_read(m, "s", &state);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        (void) snprintf(u->state.file, sizeof(u->state.file), "%s", state);
        if (!u->state.exists) {         /* unknown, or known as one without a file */
                u->state.outdated = *u->state.active;
                u->state.exists = true;
        }
        return u->next(c->resource, reterr);
}

static int get_file_state(SystemdUnit *u, Diag *reterr) {
        return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, "GetUnitFileState", on_file_state, reterr, "s", u->id ? u->id : u->name);
}

static int read_property(SystemdUnit *u, sd_bus_message *m, const char *name, const char **ret_id) {
        const char *text;
        uint32_t job;
        int r, flag;

        if (streq(name, "Id"))
                return sd_bus_message_read(m, "v", "s", ret_id);
        if (streq(name, "ActiveState")) {
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r >= 0)
                        (void) snprintf(u->state.active, sizeof(u->state.active), "%s", text);
        } else if (streq(name, "LoadState")) {
                r = sd_bus_message_read(m, "v", "s", &text);
                if (r >= 0)
                        u->state.exists = !streq(text, "not-found");
        } else if (streq(name, "NeedDaemonReload")) {
                r = sd_bus_message_read(m, "v", "b", &flag);
                if (r >= 0)
                        u->state.outdated = flag;
        } else if (streq(name, "Job")) {
                r = sd_bus_message_read(m, "v", "(uo)", &job, &text);
                if (r >= 0)
                        u->state.has_job = job != 0;
        } else
                r = sd_bus_message_skip(m, "v");
        return r;
}

static int read_properties(SystemdUnit *u, sd_bus_message *m, const char **ret_id) {
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = read_property(u, m, name, ret_id);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int start_get(SystemdUnit *u, Diag *reterr);

static int on_properties(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *id = NULL;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out about '%s'", u->name);
        r = read_properties(u, m, &id);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        if (id && !u->id && !streq(id, u->name)) {
                /* Its changes are told under its main name. */
                u->id = strdup(id);
                r = u->id ? listen_to_unit(u, u->id) : -ENOMEM;
                if (r < 0)
                        return resource_error(c->resource, reterr, r, "cannot watch '%s': %m", id);
                return start_get(u, reterr);
        }
        if (u->state.has_job && !u->hears_jobs) {
                /* Who waits for the end of it must not miss that. */
                r = listen_to_jobs(u);
                return r < 0 ? resource_error(c->resource, reterr, r, "cannot hear of jobs: %m") : start_get(u, reterr);
        }
        return get_file_state(u, reterr);
}

static int on_unit(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *path;
        int r;

        if (sd_bus_message_is_method_error(m, "org.freedesktop.systemd1.NoSuchUnit"))
                return get_file_state(u, reterr);
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot find out about '%s'", u->name);
        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        return bus_call(c, path, "org.freedesktop.DBus.Properties", "GetAll", on_properties, reterr, "s", UNIT);
}

static int start_get(SystemdUnit *u, Diag *reterr) {
        u->state = (UnitState) {};
        return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, "GetUnit", on_unit, reterr, "s", u->name);
}

int systemd_unit_get(SystemdUnit *u, unit_next_t next, Diag *reterr) {
        u->next = next;
        u->quiet = false;
        return start_get(u, reterr);
}

/* ---- jobs ---- */

int systemd_unit_busy(SystemdUnit *u) {
        return resource_waiting(u->bus.resource, "another job for this unit is under way");
}

/* "exit-code" and so on; for services also what the main process ended with. */
static int on_result(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *name, *result = "unknown";
        int32_t code = 0, status = 0;
        int r = sd_bus_message_is_method_error(m, NULL) ? -EIO : sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        break;
                if (streq(name, "Result"))
                        r = sd_bus_message_read(m, "v", "s", &result);
                else if (streq(name, "ExecMainCode"))
                        r = sd_bus_message_read(m, "v", "i", &code);
                else if (streq(name, "ExecMainStatus"))
                        r = sd_bus_message_read(m, "v", "i", &status);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (streq(result, "exit-code") && code != 0)
                return resource_error(c->resource, reterr, -EPROTO, "cannot %s '%s': its process ended with status %" PRIi32, u->verb,
                                      u->name, status);
        return resource_error(c->resource, reterr, -EPROTO, "cannot %s '%s': systemd's result is '%s'", u->verb, u->name, result);
}

static int job_ended(SystemdUnit *u, const char *result, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        char interface[64];

        if (streq(result, "done"))
                return start_get(u, reterr);
        /* By the job of somebody else, of which we hear. */
        if (streq(result, "canceled"))
                return systemd_unit_busy(u);
        if (!streq(result, "failed"))
                return resource_error(u->bus.resource, reterr, streq(result, "timeout") ? -ETIMEDOUT : -EPROTO,
                                      "cannot %s '%s': its job ended with '%s'", u->verb, u->name, result);
        int r = unit_path(u->id ? u->id : u->name, &path);
        if (r < 0)
                return r;
        type_interface(u, interface, sizeof(interface));
        return bus_call(&u->bus, path, "org.freedesktop.DBus.Properties", "GetAll", on_result, reterr, "s", interface);
}

static int on_job(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);
        const char *job;
        int r;

        u->quiet = !sd_bus_message_is_method_error(m, NULL);
        /* Somebody else is at it, who shall not be disturbed; we hear when that is over. */
        if (sd_bus_message_is_method_error(m, "org.freedesktop.systemd1.TransactionIsDestructive") ||
            sd_bus_message_is_method_error(m, "org.freedesktop.systemd1.TransactionJobsConflicting"))
                return systemd_unit_busy(u);
        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot %s '%s'", u->verb, u->name);
        r = sd_bus_message_read(m, "o", &job);
        if (r < 0)
                return bus_garbled(c, r, reterr);
        u->job = strdup(job);
        return u->job ? CHECK_PENDING : -ENOMEM;
}

int systemd_unit_job(SystemdUnit *u, const char *method, const char *verb, unit_next_t next, Diag *reterr) {
        int r;

        r = listen_to_jobs(u);
        if (r < 0)
                return resource_error(u->bus.resource, reterr, r, "cannot hear of jobs: %m");
        u->next = next;
        u->verb = verb;
        u->quiet = true;
        return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, method, on_job, reterr, "ss", u->name, "fail");
}

/* ---- files ---- */

static int on_reloaded(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot make systemd read its unit files again");
        return u->next(c->resource, reterr);
}

static int start_reload(SystemdUnit *u, Diag *reterr) {
        return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, "Reload", on_reloaded, reterr, NULL);
}

int systemd_unit_reload(SystemdUnit *u, unit_next_t next, Diag *reterr) {
        u->next = next;
        return start_reload(u, reterr);
}

static int on_enabled(BusClient *c, sd_bus_message *m, Diag *reterr) {
        SystemdUnit *u = container_of(c, SystemdUnit, bus);

        if (sd_bus_message_is_method_error(m, NULL))
                return bus_failed(c, m, reterr, "cannot %s '%s'", u->verb, u->name);
        return start_reload(u, reterr);
}

int systemd_unit_enable(SystemdUnit *u, bool enable, unit_next_t next, Diag *reterr) {
        const char *name = u->id ? u->id : u->name;
        bool runtime = streq(u->state.file, "enabled-runtime");

        u->next = next;
        u->verb = enable ? "enable" : "disable";
        if (enable)
                return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, "EnableUnitFiles", on_enabled, reterr, "asbb", 1, name, false, true);
        return bus_call(&u->bus, SYSTEMD_PATH, MANAGER, "DisableUnitFiles", on_enabled, reterr, "asb", 1, name, runtime);
}
