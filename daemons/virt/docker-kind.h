/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kinds of docker share: an attempt is a row of calls, one after another. */

#include "common/resource.h"
#include "daemons/virt/docker-json.h"
#include "daemons/virt/docker.h"

typedef struct DockerKind DockerKind;

/* What to do with an answer. NULL in place of the reply's body never happens. */
typedef void (*docker_next_t)(DockerKind *k, const DockerReply *reply);

/* First member of a kind's struct. */
struct DockerKind {
        Resource resource;
        char *apiversion;       /* the field */
        DockerUser user;
        char *reference;        /* of the image the user is told about */

        bool apply;
        bool beginning;         /* check_apply has not returned yet */
        int begin_error;
        DockerCall *call;       /* the one under way */
        docker_next_t next, after_look, after_pull;
        bool image_here;        /* found by docker_kind_look_at_image() */
        const DockerImage *image;       /* the same; not for later than next */
        DockerImage own_image;  /* where nobody else keeps it */
        uint64_t image_age;     /* when it was asked for */
};

#define DOCKER_APIVERSION(type) \
        FIELD_NAMED(type, docker.apiversion, "apiversion", FIELD_STR, 0, \
                    "Version of the API to speak, such as v1.41; empty: the newest that both sides know.")

int docker_kind_validate(const DockerKind *k, Diag *reterr);

int docker_kind_prepare(DockerKind *k, const char *image);

/* For check_apply: the field may have been received since. */
int docker_kind_follow_image(DockerKind *k, const char *image, Diag *reterr);

/* Subscribes to what happens to the container (NULL: none) and the image; connects nothing: that is done by the first attempt. */
int docker_kind_watch(DockerKind *k, const char *container, void (*changed)(DockerUser *u, const char *action), Diag *reterr);
void docker_kind_unwatch(DockerKind *k);
void docker_kind_cancel(DockerKind *k);
void docker_kind_done(DockerKind *k);

/* For check_apply to return. first makes the first call. */
int docker_kind_begin(DockerKind *k, bool apply, void (*first)(DockerKind *k), Diag *reterr);

/* The next call. Takes path (NULL: out of memory) and body. Where it cannot be made the attempt has ended when it returns. */
void docker_kind_ask(DockerKind *k, const char *method, char *path, char *body, docker_next_t next);
void docker_kind_request(DockerKind *k, DockerRequest *request, docker_next_t next);    /* the same with more to say of it */

void docker_kind_look_at_image(DockerKind *k, docker_next_t next);      /* next gets a reply of no interest */
void docker_kind_recall_image(DockerKind *k, docker_next_t next);       /* does not ask for what is known; never as the first call */
void docker_kind_forget_image(DockerKind *k);   /* it is not what it was thought to be */
void docker_kind_pull(DockerKind *k, docker_next_t next);               /* the same; what cannot be pulled ends the attempt */

/* The end of an attempt. what: "cannot start it", say; docker's own message follows. */
void docker_kind_finish(DockerKind *k, int result);
void docker_kind_fail(DockerKind *k, int error, const DockerReply *reply, const char *what);
void docker_kind_wait(DockerKind *k, const char *reason);
