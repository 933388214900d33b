/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who is busy with a machine by its BMC: a change of its power and an update of its firmware keep out of each other's way. Machines are
 * known by the name of their bmc:power. */

#include <stdbool.h>

#include "common/resource.h"

typedef struct HttpManager HttpManager;
typedef struct BmcHold BmcHold;

/* Part of its owner's struct, zeroed at first. */
struct BmcHold {
        HttpManager *manager;           /* NULL: it neither holds nor waits */
        Resource *resource;
        const char *name;               /* borrowed until it is released */
        bool held;
        BmcHold *next;
};

/* 0: it holds the machine, also if it did before. -EAGAIN: somebody else does; the resource waits, and hears of the end. */
int bmc_hold_take(BmcHold *h, HttpManager *m, Resource *r, const char *name);
void bmc_hold_release(BmcHold *h);      /* accepts one that neither holds nor waits */
