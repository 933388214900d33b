/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What docker is asked, call by call. Whether it is there is the owner's business (docker.c): it starts what is queued, or lets it
 * fail. */

#include <sys/queue.h>

#include "common/http/curl-loop.h"
#include "daemons/virt/docker.h"

enum { DOCKER_CALL_SECONDS = 300 };     /* how long anything may take that does not say otherwise */

typedef TAILQ_HEAD(DockerCallList, DockerCall) DockerCallList;

/* Part of its owner's struct. */
typedef struct DockerCalls DockerCalls;
struct DockerCalls {
        CurlLoop *loop;                 /* borrowed, as the rest; NULL before the first start */
        const char *socket;
        const char *version;            /* "v1.41" */
        void (*moved)(DockerCalls *s);  /* a call came or went */
        void (*lost)(DockerCalls *s);   /* a call has found out that docker has gone */

        DockerCallList queued, running;
        unsigned n_running, n_waiting;  /* those of the second list that docker works at, and the others */
};

int docker_calls_add(DockerCall **ret, DockerCalls *s, DockerRequest *request, docker_call_done_t done, void *userdata);
void docker_calls_start(DockerCalls *s);        /* as many as go at a time */

/* Those that are queued. Those that run and are not over when the daemon goes find out by themselves. */
void docker_calls_fail(DockerCalls *s, int error, const char *why);

static inline bool docker_calls_is_empty(const DockerCalls *s) {
        return TAILQ_EMPTY(&s->queued) && TAILQ_EMPTY(&s->running);
}

/* For any transfer with docker: where to, and a buffer of CURL_ERROR_SIZE. */
bool docker_transfer_set(CURL *easy, const char *socket, const char *url, char *error);
bool docker_transfer_hung_up(CURLcode code);    /* nobody is there, or not any more */
