/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mgmtctl without anybody connected: a process of its own session that runs it in a directory, has the directory's lock meanwhile, writes
 * what it says to mgmt.log there, and puts all away at the end. */

#include <stdbool.h>

/* Reads what a START says from stdin. Returns what main() shall return, once it runs (0) or cannot (1, and why on stderr); but only in
 * this process, the keeper goes on in another. */
int keeper_start(const char *directory, bool removes);

/* What has to go when nothing runs there any more: all of it, or what is secret or without use. */
int keeper_clean(const char *directory, bool removes);
int keeper_clean_idle(const char *directory, bool removes);     /* the same, unless something does run */
