/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Leases under which this host wrote before, and which it holds no more: of a life before this one, or lost. Nobody knows any more what
 * stands under them, and they may live long (each new leader of a cluster gives them their time anew). So they are ended as soon as
 * all that shall be there stands under another. */

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

typedef struct Store Store;
typedef struct StoreCall StoreCall;

enum { FORMER_LEASES_MAX = 8 };         /* beyond them the oldest run out by themselves */

typedef struct FormerLeases {
        Store *store;           /* borrowed */
        int64_t ids[FORMER_LEASES_MAX];
        size_t n;
        StoreCall *call;        /* that ends ids[0] */
} FormerLeases;

void former_leases_add(FormerLeases *f, int64_t id);

/* As text: a number each, with blanks between them. own is that which is held. What cannot be read counts as none. */
void former_leases_print(const FormerLeases *f, int64_t own, StrBuf *ret);
void former_leases_parse(FormerLeases *f, const char *text, size_t size);

void former_leases_end(FormerLeases *f);        /* one after the other, until all are */
void former_leases_clear(FormerLeases *f);
