/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Talking to an etcd cluster by its JSON gateway: which of its endpoints, as whom, and what if none answers. */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/http/transfer.h"
#include "common/strbuf.h"

typedef struct Etcd Etcd;
typedef struct EtcdCall EtcdCall;
typedef struct EtcdStream EtcdStream;
typedef struct json_object json_object;
typedef struct sd_event sd_event;

/* endpoints: URLs, separated by commas. Certificates and the password are systemd credentials: etcd.ca, etcd.cert, etcd.key,
 * etcd.password; the user is $MGMT_STORE_USER. changed() is called when it was found that no endpoint answers, and when one does
 * again. */
int etcd_new(Etcd **ret, sd_event *event, const char *endpoints, void (*changed)(void *userdata), void *userdata, Diag *reterr);
Etcd *etcd_free(Etcd *e);       /* no streams may be left; calls that wait end with -ECANCELED */
DEFINE_CLEANUP(Etcd *, etcd_free)

/* Why no endpoint can be reached; NULL if one can, as far as anybody knows. */
const char *etcd_problem(const Etcd *e);

/* Another number for every connection to the cluster that was lost, as it is noticed: what was is to be asked for again. */
unsigned etcd_generation(const Etcd *e);

/* ---- calls ---- */

typedef struct EtcdReply {
        int error;              /* as StoreReply.error, and: */
        bool not_found;         /* the lease is not there (any more) */
        const char *problem;
        json_object *json;      /* borrowed; NULL with an error */
} EtcdReply;

/* Called once, never before etcd_call() has returned. */
typedef void (*etcd_callback_t)(const EtcdReply *reply, void *userdata);

/* repeatable: it does no harm if it happens twice, so it is sent again when an answer was lost. body is JSON, and copied. */
int etcd_call(Etcd *e, const char *path, const char *body, bool repeatable, etcd_callback_t callback, void *userdata, EtcdCall **ret);
EtcdCall *etcd_call_cancel(EtcdCall *c);

/* ---- streams: many answers to one request ---- */

typedef struct EtcdStreamOps {
        char *(*body)(void *userdata);  /* of a request that begins now; owned by the caller; NULL: out of memory */
        void (*message)(json_object *result, void *userdata);
} EtcdStreamOps;

/* It is begun anew whenever it breaks, with another endpoint if need be, and whenever etcd_stream_restart() says so. */
int etcd_stream_new(Etcd *e, const char *path, const EtcdStreamOps *ops, void *userdata, EtcdStream **ret);
void etcd_stream_restart(EtcdStream *s);
void etcd_stream_unknown(EtcdStream *s, const char *problem);   /* the server does not know us any more: with another token */
EtcdStream *etcd_stream_free(EtcdStream *s);

/* ---- JSON (etcd-json.c) ---- */

void etcd_put_text(StrBuf *b, const char *text);
void etcd_put_bytes(StrBuf *b, const void *data, size_t size);         /* as a JSON string, in base64 */
int etcd_get_bytes(json_object *j, const char *member, StrBuf *ret);   /* absent: none */
int64_t etcd_get_number(json_object *j, const char *member);           /* absent: 0 */
json_object *etcd_get(json_object *j, const char *member);             /* borrowed; NULL: absent. j may be NULL */
