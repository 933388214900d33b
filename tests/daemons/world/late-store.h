/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A store before another one, as a network is that loses answers, delivers late, and lets leases run out. */

#include <stdbool.h>

typedef struct Store Store;
typedef struct sd_event sd_event;

typedef enum LateHow {
        LATE_LOST,      /* the answer is lost at once; the commit is made by late_store_deliver() */
        LATE_ANSWER,    /* the commit is made at once; late_store_deliver() answers */
        LATE_STALE,     /* it is not made: late_store_deliver() says that its lease is gone */
} LateHow;

/* Both are borrowed. store_free() frees it. */
Store *late_store_new(sd_event *event, Store *behind);

void late_store_next(Store *s, const char *prefix, LateHow how);       /* the next commit that writes below it; one at a time */
bool late_store_waits(Store *s);                /* there is one that is not delivered yet */
void late_store_deliver(Store *s);
void late_store_silence(Store *s, bool silent);  /* its watches hear nothing; afterwards they begin anew */
void late_store_lose_leases(Store *s);  /* they are revoked, told, and asked for anew */
