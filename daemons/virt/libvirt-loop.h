/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* libvirt's events on our loop. The library knows one event loop per process, and has to be told before the first connection. */

typedef struct sd_event sd_event;

/* Also silences the library, which would write its errors to stderr. Once per process; a second call only changes the loop, and
 * needs all connections closed. */
int libvirt_loop_register(sd_event *event);

/* Lets go of the loop, after the last connection was closed. */
void libvirt_loop_release(void);
