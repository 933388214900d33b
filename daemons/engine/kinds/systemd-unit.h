/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What kinds want of systemd: the state of one unit, and jobs for it. Everything here is one step of an attempt: it returns what
 * check_apply shall return, and goes on with next when it is done. */

#include "common/macro.h"
#include "daemons/engine/host-bus.h"

typedef int (*unit_next_t)(Resource *r, Diag *reterr);

typedef struct UnitState {
        bool exists;            /* systemd knows it, or would if asked to load it */
        char active[16];        /* "active", "inactive", "failed", … */
        char file[24];          /* "enabled", "static", …; "" if it has no file */
        bool has_job;
        bool outdated;          /* its file is newer than what systemd knows of it */
} UnitState;

typedef struct SystemdUnit {
        BusClient bus;          /* zeroed until open */
        char *name;             /* "ssh.service" */
        char *id;               /* its main name, if that is another */
        UnitState state;        /* as of systemd_unit_get(), or the end of a job */
        bool hears_jobs;
        char *job;              /* under way for us: its object path */
        bool quiet;             /* what that does to the unit is no news */
        const char *verb;       /* what that does, for messages */
        unit_next_t next;
} SystemdUnit;

/* name is copied. session: of the service manager of the user we run as. Nothing happens if it is open already. */
int systemd_unit_open(SystemdUnit *u, Resource *r, bool session, const char *name);
void systemd_unit_close(SystemdUnit *u);        /* accepts a closed one */

/* Calls resource_armed(), now or later, and resource_changed() for all that may concern the unit. */
int systemd_unit_watch(SystemdUnit *u);

int systemd_unit_get(SystemdUnit *u, unit_next_t next, Diag *reterr);

/* Somebody else has a job for it, of whose end we hear: resource_waiting() with that reason. */
int systemd_unit_busy(SystemdUnit *u);

/* method: "StartUnit" and so on; verb: "start". Waits for the end of the job; any but a good one is an error, unless it is the job of
 * somebody else that takes its place or does not let it begin: that is waited for. A good end does not say that the unit is as it was
 * to become: what it was for may be over already, or its conditions not be met. So its state is read once more before next, which has
 * to judge it: what happens during the job is not told as a change. */
int systemd_unit_job(SystemdUnit *u, const char *method, const char *verb, unit_next_t next, Diag *reterr);
int systemd_unit_enable(SystemdUnit *u, bool enable, unit_next_t next, Diag *reterr);   /* or disable; reloads if need be */
int systemd_unit_reload(SystemdUnit *u, unit_next_t next, Diag *reterr);        /* all units: daemon-reload */
void systemd_unit_cancel(SystemdUnit *u);       /* a job goes on without us */

/* Whether this is the name of a unit, without its suffix. */
bool systemd_unit_name_is_valid(const char *name);

/* The directories that unit files are in, those of the administrator first; NULL ends them. For session, those of this user begin
 * with the home directory, which is not in this list: see systemd_user_directory(). */
const char *const *systemd_unit_directories(bool session);
int systemd_user_directory(char **ret);         /* "~/.config/systemd/user", expanded */
