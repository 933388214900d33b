/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The docker daemon of this host (or podman, which speaks the same), shared by all resources that are about it. The first call
 * connects: it asks which version of the API there is, and subscribes to events before anything is looked at. As long as nobody is
 * behind the socket, calls end with -EAGAIN, and everybody is told when it may be worth another try. When the daemon goes, all are
 * told that anything may have changed. */

#include <stdbool.h>

#include "common/diag.h"
#include "common/sd/path-watch.h"
#include "daemons/virt/docker-json.h"

typedef struct sd_bus sd_bus;
typedef struct sd_event sd_event;
typedef struct Docker Docker;
typedef struct DockerCall DockerCall;
typedef struct DockerUser DockerUser;

#define DOCKER_SOCKET "/var/run/docker.sock"

/* paths and socket are borrowed. Touches nothing outside. */
int docker_new(Docker **ret, sd_event *event, PathWatcher *paths, const char *socket);
Docker *docker_free(Docker *d);
DEFINE_CLEANUP(Docker *, docker_free)

/* Somebody who wants to know: part of a resource's struct. */
struct DockerUser {
        const char *container;  /* borrowed, and the same as long as it is attached; NULL: none */
        const char *image;      /* the same, as image_reference() has it */
        /* What happened to one of the two, in docker's word; NULL: nobody knows what. Must not attach or detach anybody. */
        void (*changed)(DockerUser *u, const char *action);

        Docker *docker;
        DockerUser *next, *next_container, *next_image;
};

int docker_attach(Docker *d, DockerUser *u);
void docker_detach(DockerUser *u);              /* accepts one that is not attached */

typedef struct DockerRequest {
        const char *method;
        char *path;             /* after the version, with its query; owned: docker_call() takes it, also on failure */
        char *body;             /* JSON or NULL; the same */
        const char *version;    /* such as "v1.41"; NULL: the one agreed on; borrowed until docker_call() returns */
        bool pulls;             /* takes as long as it takes, as long as something arrives */
        bool waits;             /* docker waits for something in it: it does not keep others from being asked */
        bool goes_on;           /* belongs to something that has begun: before those that begin */
} DockerRequest;

typedef struct DockerReply {
        long status;            /* of HTTP */
        const char *body;       /* NUL-terminated; of a pull: what it said last */
        size_t size;
} DockerReply;

/* How a call ended: 0 with what docker said, whatever that is, or negative errno with diag; -EAGAIN: docker is not there (any more),
 * DockerUser.changed will follow. Called from the loop, once, and never from docker_call(). May free the call. */
typedef void (*docker_call_done_t)(DockerCall *c, int result, const DockerReply *reply, Diag *diag, void *userdata);

int docker_call(DockerCall **ret, Docker *d, DockerRequest *request, docker_call_done_t done, void *userdata);
DockerCall *docker_call_free(DockerCall *c);    /* of one that is under way: docker may have done it, or not, or half */
DEFINE_CLEANUP(DockerCall *, docker_call_free)

/* What the name of an image that somebody is attached for stands for, as docker said it last, if it has told of no change since; NULL:
 * not known. Borrowed until the next turn of the loop. */
const DockerImage *docker_image_known(const Docker *d, const char *reference);

/* To be asked before docker is, and told with what docker says: in between something may have happened to the image. Takes the image,
 * and returns it, or leaves it and returns NULL. */
uint64_t docker_image_age(const Docker *d);
const DockerImage *docker_image_learn(Docker *d, const char *reference, uint64_t age, DockerImage *image);
void docker_image_forget(Docker *d, const char *reference);    /* NULL: all of them */

/* Where systemd is to be asked to start docker, see activation.h. */
void docker_set_bus(Docker *d, sd_bus *const *bus);

/* For the bus object. */
const char *docker_state_name(const Docker *d); /* closed, connecting, open, waiting, failed */
const char *docker_socket(const Docker *d);
unsigned docker_n_users(const Docker *d);
void docker_set_observer(Docker *d, void (*changed)(void *userdata), void *userdata);
