/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How the API of Hetzner's cloud is asked, and what its answers mean. */

#include <stdint.h>

#include "common/resource.h"
#include "daemons/http/service-call.h"

#define HETZNER_ENDPOINT "https://api.hetzner.cloud/v1"

/* Part of a kind's struct. Zeroed before it is set up. */
typedef struct HetznerApi {
        ServiceCall call;               /* its hook unanswered is the owner's to set */
        char *base;                     /* without a slash at its end */
        char *service;                  /* for people */
        char *header;
        uint64_t free_usec;             /* CLOCK_BOOTTIME: before that it takes no more requests */
} HetznerApi;

int hetzner_api_set(HetznerApi *a, Resource *r, const char *endpoint, const char *token);
void hetzner_api_done(HetznerApi *a);

/* path is what follows the endpoint; body is JSON, or empty, or NULL. CHECK_PENDING or an error, as service_call(). */
int hetzner_api_call(HetznerApi *a, const char *method, const char *path, const char *body, service_answer_t next, Diag *reterr);

/* What is in an answer; *ret is the caller's. -EBUSY: something else is being done to the server, so it is to be looked at again; -EDQUOT:
 * likewise, but not before free_usec. For other errors the reason is recorded; -ENOENT is one. */
int hetzner_api_answer(HetznerApi *a, const ServiceAnswer *answer, json_object **ret, Diag *reterr);
