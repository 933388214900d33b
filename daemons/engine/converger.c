/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Convergence. Quiet is counted with one timer that is set when the last vertex settles; unrest is announced at once. */

#include <fcntl.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/macro.h"
#include "common/sd/log.h"
#include "daemons/engine/converger.h"

static void write_status(const Converger *c) {
        const char *line = c->converged ? "true\n" : "false\n";
        int r = 0;

        if (!c->status_file)
                return;
        _cleanup_close_ int fd = open(c->status_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
        if (fd < 0)
                r = -errno;
        else
                r = write_all(fd, line, strlen(line));
        if (r < 0)
                (void) log_warning(r, "cannot write converger status file '%s': %m, ignoring", c->status_file);
}

static void set_converged(Converger *c, bool converged) {
        if (c->converged == converged)
                return;
        c->converged = converged;
        write_status(c);
        c->changed(c, converged, c->userdata);
}

static int on_quiet(sd_event_source *source, uint64_t usec, void *userdata) {
        set_converged(userdata, true);
        return 0;
}

static void restart(Converger *c) {
        if (!c->started || !c->settled) {
                (void) sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
                set_converged(c, false);
                return;
        }
        (void) sd_event_source_set_time_relative(c->timer, c->timeout_usec);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

int converger_init(Converger *c, sd_event *event, int timeout_sec, const char *status_file,
                   void (*changed)(Converger *c, bool converged, void *userdata), void *userdata) {
        int r;

        *c = (Converger) {
                .timeout_usec = timeout_sec > 0 ? (uint64_t) timeout_sec * 1000000 : 0,
                .settled = true,
                .changed = changed,
                .userdata = userdata,
        };
        if (status_file && timeout_sec >= 0 && !(c->status_file = strdup(status_file)))
                return -ENOMEM;
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, 0, 1, on_quiet, c);
        if (r < 0)
                return r;
        /* With a timeout of 0 it must still let everything else in this turn of the loop have its say first. */
        r = sd_event_source_set_priority(c->timer, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
}

void converger_done(Converger *c) {
        c->timer = sd_event_source_disable_unref(c->timer);
        free(c->status_file);
        c->status_file = NULL;
}

void converger_update(Converger *c, uint64_t n_unsettled) {
        bool settled = n_unsettled == 0;

        if (c->settled == settled)
                return;
        c->settled = settled;
        restart(c);
}

void converger_activity(Converger *c) {
        if (c->converged || !c->started || !c->settled)
                return;
        restart(c);
}

void converger_start(Converger *c) {
        if (c->started)
                return;
        c->started = true;
        restart(c);
}
