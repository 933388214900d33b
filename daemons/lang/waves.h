/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How a program goes on: when its sources have said something a wave runs through it, and what changed goes to the engine. A wave
 * that fails leaves the last good graph in force; the next good one carries the difference. While the engine has a set to answer,
 * changes are gathered into the next. */

typedef struct Deployed Deployed;
typedef struct Manager Manager;

void manager_wave(void *userdata, Deployed *p);         /* DeployedHost.wave; userdata is the Manager */
void manager_catch_up(Manager *m);                      /* the engine can take the next set */
