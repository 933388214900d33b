/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Keys and values that resources and programs share. This is the one interface of stores: what is behind it may be a database
 * of this host or a cluster, so every answer comes later, from the loop, and every change is told to those who watch.
 *
 * A key has one value for all (host NULL), and besides one for each host: its part of a map. */

#include <stdbool.h>

#include "common/macro.h"
#include "common/value.h"

typedef struct Database Database;
typedef struct Store Store;
typedef struct StoreCall StoreCall;
typedef struct StoreWatch StoreWatch;

/* The shared store holds values of type str; the local one, which never leaves this host, those of any type. */
int store_open_shared(Store **ret, Database *d);
int store_open_local(Store **ret, Database *d);
Store *store_free(Store *s);    /* no calls and watches may be left */
DEFINE_CLEANUP(Store *, store_free)

/* ---- calls ---- */

typedef struct StoreReply {
        int error;              /* 0 or negative errno */
        Value value;            /* get: what is there, nil if nothing; get_map: map, host → value; borrowed */
        bool changed;           /* set: whether anything had to be written */
} StoreReply;

/* Called once, never before the function that started the call has returned. */
typedef void (*store_callback_t)(const StoreReply *reply, void *userdata);

int store_get(Store *s, const char *key, const char *host, store_callback_t callback, void *userdata, StoreCall **ret);

/* The parts of all hosts. Values that cannot be read, because another version wrote them, are an error. */
int store_get_map(Store *s, const char *key, store_callback_t callback, void *userdata, StoreCall **ret);

/* A nil value deletes. Compares and writes in one transaction: a write of what is there already changes nothing and is told to
 * nobody. When the callback reports success, the value is on the disk. except is not told, whoever else watches is. */
int store_set(Store *s, const char *key, const char *host, Value v, const StoreWatch *except,
              store_callback_t callback, void *userdata, StoreCall **ret);

/* The callback will not be called; whether a write takes place is open. The call is gone. Returns NULL. */
StoreCall *store_call_cancel(StoreCall *c);

/* ---- watches ---- */

/* Called when the watch sees everything from now on (this may be before store_watch() returns), and then for every change of
 * the key, for all or for one host. A negative error: the watch broke and will not be called again. */
typedef void (*store_watch_callback_t)(StoreWatch *w, int error, void *userdata);

int store_watch(Store *s, const char *key, store_watch_callback_t callback, void *userdata, StoreWatch **ret);
StoreWatch *store_watch_free(StoreWatch *w);
DEFINE_CLEANUP(StoreWatch *, store_watch_free)

void store_changed(Store *s);   /* anything may have changed, behind our back: tells everybody */
