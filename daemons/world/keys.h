/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Values under names, as resources and programs know them, kept in a store. A name has one value for all (host NULL), and besides one
 * for each host: its part of a map. */

#include <stdbool.h>

#include "common/macro.h"
#include "common/value.h"
#include "daemons/world/store.h"

typedef struct Keys Keys;
typedef struct KeysCall KeysCall;
typedef struct KeysWatch KeysWatch;

/* Shared ones are of type str, and plain text in the store; local ones are of any type, and never leave this host if the store does
 * not. The store is borrowed. */
int keys_open_shared(Keys **ret, Store *s);
int keys_open_local(Keys **ret, Store *s);
Keys *keys_free(Keys *k);       /* no calls and watches may be left */
DEFINE_CLEANUP(Keys *, keys_free)

const char *keys_problem(const Keys *k);        /* as store_problem() */

/* ---- calls ---- */

typedef struct KeysReply {
        int error;              /* as StoreReply.error; -EBADMSG, -EPROTONOSUPPORT: what is there cannot be read */
        const char *problem;
        Value value;            /* get: what is there, nil if nothing; borrowed */
        bool changed;           /* set: whether anything had to be written */
} KeysReply;

/* Called once, never before the function that started the call has returned. */
typedef void (*keys_callback_t)(const KeysReply *reply, void *userdata);

int keys_get(Keys *k, const char *key, const char *host, keys_callback_t callback, void *userdata, KeysCall **ret);

/* A nil value removes. Compares and writes at once: a write of what is there already changes nothing and is told to nobody. except,
 * which watches this very value, is not told; whoever else watches is. */
int keys_set(Keys *k, const char *key, const char *host, Value v, KeysWatch *except, keys_callback_t callback, void *userdata,
             KeysCall **ret);

KeysCall *keys_call_cancel(KeysCall *c);        /* silent; whether a write takes place is open. Returns NULL */

/* ---- watches ---- */

typedef struct KeysNews {
        bool back;              /* nothing changed, but the store, which could not be reached, can be again */
        bool none;              /* nothing was read yet, and error says why: as StoreNews.error */
        int error;              /* what is there cannot be read: another version wrote it, say */
        Value value;            /* borrowed; nil: there is none. Of a map, host → value */
} KeysNews;

/* Called from the loop: first with what there is, then for every change. The callback may free its watch. */
typedef void (*keys_watch_callback_t)(KeysWatch *w, const KeysNews *news, void *userdata);

int keys_watch(Keys *k, const char *key, const char *host, keys_watch_callback_t callback, void *userdata, KeysWatch **ret);
int keys_watch_map(Keys *k, const char *key, keys_watch_callback_t callback, void *userdata, KeysWatch **ret);
KeysWatch *keys_watch_free(KeysWatch *w);
DEFINE_CLEANUP(KeysWatch *, keys_watch_free)
