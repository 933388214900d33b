/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A request as most of them are: some bytes there, some bytes back, at once or as they come. What happens inside of libcurl's callbacks
 * stays there: everything here is told from the loop, and whoever is told may do as he likes. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

typedef struct CurlLoop CurlLoop;
typedef struct Transfer Transfer;
typedef struct sd_event sd_event;

/* How to know the server and be known to it. Paths; NULL where the system's own certificates, or none, shall do. */
typedef struct TransferTls {
        const char *ca, *certificate, *key;
} TransferTls;

/* The request is signed with a secret, which is not sent. */
typedef struct TransferSignature {
        const char *scheme;     /* as CURLOPT_AWS_SIGV4 has it: "aws:amz:region:service" */
        const char *user, *secret;
} TransferSignature;

typedef struct TransferResult {
        int error;              /* 0, also for a status that is an error; or negative errno: there is no whole answer */
        bool sent;              /* with an error: the server may have seen the request */
        const char *problem;    /* with an error: what happened, for people */
        long status;            /* of HTTP; 0: none came */
        const char *data;       /* the body, NUL-terminated, of a transfer without a data callback */
        size_t size;
} TransferResult;

typedef struct TransferRequest {
        const char *url;                /* http or https; redirections are not followed */
        const char *const *headers;     /* "Name: value", NULL-terminated, or NULL */
        const char *method;             /* NULL: a POST if there is a body, else a GET */
        const void *body;               /* NULL: none */
        size_t body_size;

        /* With .body and .once: a file goes behind the body, and then some text. The file is borrowed until the end, and read where it
         * is; file_size 0: there is none. */
        int file;
        uint64_t file_size;
        const char *tail;               /* NULL: none */

        const TransferTls *tls;         /* NULL: as the system has it */
        const TransferSignature *signature;     /* NULL: it is not signed. Not with once, since what is signed must be there */
        const char *proxy;              /* as libcurl writes them; NULL: the environment's */
        bool once;                      /* the server may see it no more than once, whatever becomes of a connection */
        uint64_t silence_usec;          /* for so long nothing may come, nor go if there is a file; 0: for ever */
        uint64_t limit_usec;            /* so long it may take in all, however much comes; 0: for ever */
        uint64_t connect_timeout_usec;  /* 0: libcurl's */
        size_t answer_max;              /* bytes; more of them end it with -E2BIG. With a data callback: that have not been taken */

        /* The body as it comes in; NULL: done() gets all of it. */
        void (*data)(Transfer *t, const char *data, size_t size, void *userdata);

        /* The end, once, never before transfer_start() has returned. The transfer is gone afterwards. */
        void (*done)(Transfer *t, const TransferResult *result, void *userdata);
        void *userdata;
} TransferRequest;

/* Everything is copied but what userdata points to. */
int transfer_start(CurlLoop *l, sd_event *event, const TransferRequest *request, Transfer **ret);
Transfer *transfer_cancel(Transfer *t);         /* silent. Returns NULL */

/* A header of the answer, while done() is called: what stands in it, of several with one name in the last; NULL: there is none. */
const char *transfer_header(const Transfer *t, const char *name);
