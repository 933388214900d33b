/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kinds about BMCs share: where one is, how it is asked, and what its answers are worth. A BMC tells nobody of anything, so it is
 * asked now and then (Meta:poll). It belongs to a network of its own, with certificates that it has made itself, but is believed over TLS
 * only with one that somebody vouches for. What it answers is that of a small machine which may be somebody else's by now: its links are
 * followed on the BMC only. */

#include "common/resource.h"
#include "daemons/http/service-address.h"
#include "daemons/http/service-call.h"

typedef enum BmcProtocol {
        BMC_REDFISH,
        BMC_RPC,
} BmcProtocol;

typedef struct Bmc Bmc;

/* Goes on from an answer, NULL if it was empty: what check_apply would return. */
typedef int (*bmc_answer_t)(Bmc *b, json_object *answer, Diag *reterr);

/* First member of the structs of its kinds. */
struct Bmc {
        Resource resource;
        char *hostname;
        int64_t port;
        char *username, *password;
        bool insecure_password;
        char *driver, *certificate;

        ServiceAddress named;           /* what the name says */
        BmcProtocol protocol;
        char *base;                     /* "https://host:port" */
        char *service;                  /* that, for people */
        ServiceCall call;
        bmc_answer_t next;

        /* Goes on from where there is no answer (status 0), or none that is understood, or a status that is an error; reterr is set. NULL:
         * then the attempt has failed. */
        int (*failed)(Bmc *b, int error, long status, Diag *reterr);
        void (*finished)(Bmc *b);       /* the attempt ends from the loop; NULL: there is nothing to be done then */
};

#define BMC_FIELDS(struct_) \
        FIELD_NAMED(struct_, bmc.hostname, "hostname", FIELD_STR, 0, \
                    "Where the BMC is. Empty: as the name says, which then is 'driver://user@host:port'."), \
        FIELD_NAMED(struct_, bmc.port, "port", FIELD_INT64, 0, "Its port. 0: as the name says, else 443."), \
        FIELD_NAMED(struct_, bmc.username, "username", FIELD_STR, 0, "Who to be there. Empty: as the name says."), \
        FIELD_NAMED(struct_, bmc.password, "password", FIELD_STR, FIELD_SECRET, "With which password."), \
        FIELD_NAMED(struct_, bmc.insecure_password, "insecure_password", FIELD_BOOL, 0, \
                    "Take the password from the name, where everybody can read it: 'driver://user:password@host'."), \
        FIELD_NAMED(struct_, bmc.certificate, "certificate", FIELD_STR, 0, \
                    "Absolute path of a PEM file with the certificates that vouch for that of the BMC. Empty: those that the host trusts.")

int bmc_validate(const Bmc *b, bool only_redfish, Diag *reterr);
int bmc_prepare(Bmc *b);
void bmc_cancel(Bmc *b);
void bmc_done(Bmc *b);

typedef struct BmcRequest {
        const char *path;
        const char *body;               /* NULL: a GET. What is posted is so once */
        const char *type;               /* of the body; NULL: JSON */
        int file;                       /* goes behind the body, see transfer.h */
        uint64_t file_size;
        const char *tail;
} BmcRequest;

/* CHECK_PENDING, or negative errno. */
int bmc_send(Bmc *b, const BmcRequest *request, bmc_answer_t next, Diag *reterr);
int bmc_get(Bmc *b, const char *path, bmc_answer_t next, Diag *reterr);

/* The first of a collection in Redfish: its path, borrowed, which the BMC may be asked for. what: of which there is none. */
int bmc_first_member(const Bmc *b, json_object *collection, const char *what, const char **ret, Diag *reterr);

bool bmc_is_path(const char *s);                                /* nobody shall be asked but the BMC; s may be NULL */
const char *bmc_link(json_object *j, const char *name);         /* {name: {"@odata.id": PATH}}; NULL if there is none, or it is no path */
