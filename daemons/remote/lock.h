/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who runs in a directory: the process that has the lock of its file "lock". The kernel knows which one that is, and takes the lock away
 * when it ends, however it ends; so no number of a process is ever written down, and none can be somebody else's by now. */

#include <sys/types.h>

/* Until this process ends. -EBUSY: another one has it. */
int lock_take(const char *directory);

/* 1: *ret_pidfd is the process that has it, the caller's; 0: nobody; -ENOENT is not an error, but nobody as well. */
int lock_holder(const char *directory, int *ret_pidfd);

/* Asks whoever has it to end, then makes it end. Blocks, for 15 seconds at most. 1: somebody had it; 0: nobody. */
int lock_stop(const char *directory);
