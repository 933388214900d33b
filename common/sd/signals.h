/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The ways to ask a process to end: SIGINT, SIGTERM, SIGHUP. For commands; a daemon has daemon.h. */

#include <systemd/sd-event.h>

/* SIGPIPE is ignored from now on: whoever writes sees an error. */
int signals_watch_end(sd_event *event, sd_event_signal_handler_t handler, void *userdata);
