/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Small numbers that stand for names: from 1 in each namespace, the same ones for ever. */

#include <stdint.h>

typedef struct Database Database;
typedef struct PoolCall PoolCall;

/* number is 0 if error is negative. */
typedef void (*pool_callback_t)(int error, int64_t number, void *userdata);

/* The number of uid; a new one is on the disk when the callback is called, which is once and never before this has returned. */
int pool_number(Database *d, const char *namespace, const char *uid, pool_callback_t callback, void *userdata, PoolCall **ret);
PoolCall *pool_call_cancel(PoolCall *c);        /* the callback will not be called. Returns NULL */
