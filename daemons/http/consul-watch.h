/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A key of Consul, watched: a request is always under way that Consul answers when the key has changed (a "blocking query"). When nobody
 * answers, it is tried again after growing pauses, for ever. */

#include <stdbool.h>
#include <stdint.h>

#include "common/http/transfer.h"

typedef struct ConsulWatch ConsulWatch;
typedef struct HttpManager HttpManager;

/* All of it is borrowed, and the same as long as the watch is there. */
typedef struct ConsulKey {
        const char *url;                /* "http://host:port/v1/kv/key" */
        const char *header;             /* who is asking; NULL: nobody in particular */
        const char *certificate;        /* path of those that vouch for Consul; empty: those that the host trusts */
} ConsulKey;

/* Called from the loop, never from the functions below. */
typedef struct ConsulWatchOps {
        /* The first time: from now on changes are seen, as soon as there is a Consul. Later: the key, or whether Consul is there, may be
         * another. Must not free the watch. */
        void (*news)(void *userdata);

        /* Consul does not let it be watched: it is not any more. */
        void (*failed)(int error, const char *problem, void *userdata);
} ConsulWatchOps;

int consul_watch_new(ConsulWatch **ret, HttpManager *m, const ConsulKey *key, const ConsulWatchOps *ops, void *userdata);
ConsulWatch *consul_watch_free(ConsulWatch *w);

/* Somebody else has asked: there is none, although the watch may not have noticed. There will be news when there is one. */
void consul_watch_doubt(ConsulWatch *w);

/* Somebody else has asked, or has written, and all is well. there: the key is there. */
void consul_watch_trust(ConsulWatch *w, bool there);

/* What a status means: 0: there is an answer, if only that there is no such key; -EAGAIN: Consul is not able to answer now; else what it
 * does not let us do. */
int consul_status_error(long status);

/* The number of the state that an answer shows; 0: it is none of Consul's. */
uint64_t consul_index(const Transfer *t);
