/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One HTTP request to somebody else, with its answer as it comes. Redirects are followed; only http and https are spoken; there is
 * no limit of time, but a peer that is gone is noticed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

typedef struct CurlLoop CurlLoop;
typedef struct HttpFetch HttpFetch;

/* Called from the loop, or from http_fetch_go_on(). Only done() may free the fetch. */
typedef struct HttpFetchOps {
        void (*redirected)(HttpFetch *f, void *userdata);       /* and goes on elsewhere; may be NULL */
        void (*head)(HttpFetch *f, void *userdata);             /* status and headers of the answer are there; may be NULL */

        /* A piece of the body. 0: taken; -EAGAIN: it is offered again after http_fetch_go_on(), nothing is read until then; any
         * other failure ends the fetch with it. */
        int (*data)(HttpFetch *f, const void *data, size_t size, void *userdata);

        /* It is over: 0, or negative errno, with what is wrong in words. Always comes, once, unless the fetch is freed before. */
        void (*done)(HttpFetch *f, int error, const char *message, void *userdata);
} HttpFetchOps;

typedef struct HttpFetchRequest {
        const char *method, *url;
        const char *body;               /* NULL: none; stays where it is until the fetch is freed */
        size_t body_size;
        const char *modified_since;     /* a date as HTTP writes it; NULL: not asked */
        const char *prefer;             /* content of the header; NULL: none */
        uint64_t from;                  /* the body from this byte on; 0: all of it */
        const char *if_range;           /* that only if it has this date, else all of it; NULL: in any case */
} HttpFetchRequest;

int http_fetch_new(HttpFetch **ret, CurlLoop *loop, const HttpFetchRequest *request, const HttpFetchOps *ops, void *userdata);
HttpFetch *http_fetch_free(HttpFetch *f);       /* ends it */
DEFINE_CLEANUP(HttpFetch *, http_fetch_free)

void http_fetch_go_on(HttpFetch *f);            /* after -EAGAIN */

unsigned http_fetch_status(const HttpFetch *f);                 /* 0 before head() */
const char *http_fetch_last_modified(const HttpFetch *f);       /* as it came; NULL if absent */
const char *http_fetch_retry_after(const HttpFetch *f);
int64_t http_fetch_from(const HttpFetch *f);                    /* with a 206: the byte with which the body begins; else -1 */
int64_t http_fetch_size(const HttpFetch *f);                    /* of the body; -1: nobody knows */
