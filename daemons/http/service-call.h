/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a resource asks a foreign service over HTTP, one request at a time, and what is said to people when that fails. Nobody is
 * believed: answers are bounded in size, depth and time, and redirections lead nowhere. */

#include <stdbool.h>

#include "common/resource.h"
#include "common/http/transfer.h"

typedef struct json_object json_object;
typedef struct ServiceCall ServiceCall;

typedef struct ServiceAnswer {
        long status;            /* of HTTP, whatever it is */
        const char *data;       /* NUL-terminated */
        size_t size;
        const Transfer *transfer;       /* for transfer_header() */
} ServiceAnswer;

/* Goes on from an answer: what check_apply would return. */
typedef int (*service_answer_t)(Resource *r, const ServiceAnswer *answer, Diag *reterr);

/* Part of a kind's struct. Zeroed, but for: */
struct ServiceCall {
        Resource *resource;
        const char *service;    /* who is asked, for people: "the BMC at 'https://…'"; borrowed */

        /* Nobody has answered, and problem says why: what check_apply would return. NULL: it is a failure. */
        int (*unanswered)(Resource *r, int error, const char *problem, Diag *reterr);

        bool sent;              /* then: the service may have seen the request */

        Transfer *transfer;     /* ours */
        service_answer_t next;
};

typedef struct ServiceRequest {
        const char *method;     /* NULL: a POST if there is a body, else a GET */
        const char *url;
        const char *type;       /* of the body */
        const char *body;       /* NULL: none */
        size_t body_size;
        int file;               /* goes behind the body, see transfer.h; and takes as long as it takes, unless nothing moves */
        uint64_t file_size;
        const char *tail;
        const char *accept;     /* NULL: anything */
        const char *header;     /* one more: who is asking. NULL: nobody in particular */
        const TransferSignature *signature;     /* NULL: it is not signed */
        const char *certificate;        /* path of those that vouch for the service; NULL or empty: those that the host trusts */
        const char *proxy;      /* NULL: the environment's; "": none */
        bool once;              /* see transfer.h; of requests with a body that is not empty */
        size_t answer_max;      /* 0: 1 MiB */
} ServiceRequest;

/* CHECK_PENDING, or negative errno. Then next is called, and the attempt finished with what it returns, unless that is CHECK_PENDING. */
int service_call(ServiceCall *c, const ServiceRequest *request, service_answer_t next, Diag *reterr);
void service_call_cancel(ServiceCall *c);       /* accepts one that is not under way */

/* Of a token, that can stand in a header: no blanks, nothing that would end it. */
bool service_token_is_valid(const char *token);

/* Whether an error of a transfer says that nobody is there, or not any more: it may come. */
bool service_is_absent(int error);

/* ---- what is in an answer ---- */

enum { SERVICE_LINE_MAX = 160 };

/* The first line of a text of the service, as far as it can be shown to people. NULL is empty. */
void service_first_line(const char *text, char ret[static SERVICE_LINE_MAX]);

/* Records that it is not what such a service answers. */
int service_bad_answer(const ServiceCall *c, const char *what, Diag *reterr);

/* *ret is owned by the caller; NULL if there is no body. */
int service_answer_json(const ServiceCall *c, const ServiceAnswer *answer, json_object **ret, Diag *reterr);

json_object *answer_member(json_object *j, const char *name);  /* borrowed; NULL: there is none. j may be anything, also NULL */
const char *answer_text(json_object *j);       /* NULL: it is none */
