/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A docker daemon as far as the kinds of docker can tell, behind a unix socket in the loop of the test: it keeps images and containers,
 * tells of events, and can be made to do what a real one does not. */

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

typedef struct json_object Json;
typedef struct FakeDocker FakeDocker;

typedef struct FakeContainer {
        char *name, *image, *image_id;
        const char *status;             /* static */
        Json *body;                     /* what it was created with; owned */
        unsigned id;
        int exit_code;
        struct FakeContainer *next;
} FakeContainer;

typedef struct FakeImage {
        char *reference, *id;
        struct FakeImage *next;
} FakeImage;

enum { FAKE_CLIENTS_MAX = 64 };

struct FakeDocker {
        sd_event *event;
        char path[64];
        int listener;
        sd_event_source *source;
        struct FakeClient *clients[FAKE_CLIENTS_MAX];
        FakeContainer *containers;
        FakeImage *images;
        const char *api, *api_min;
        unsigned last_id;

        unsigned n_requests, n_created, n_started, n_subscribed, n_pulled, n_pings;
        char last[256];                 /* "POST /v1.41/…" */

        /* Asked before each request is answered. Answers it and returns true, or leaves it to us. */
        bool (*intercept)(FakeDocker *f, struct FakeClient *client, const char *method, const char *path);
        const char *wanted;             /* for the ready-made ones: the part of "METHOD path" that they are about */
        const char *answer;
        unsigned n_times;
};

void fake_docker_new(FakeDocker *f, sd_event *event);
void fake_docker_free(FakeDocker *f);
void fake_docker_listen(FakeDocker *f);
void fake_docker_stop(FakeDocker *f, bool keep_socket); /* hangs up on everybody; containers stay */

void fake_image_add(FakeDocker *f, const char *reference, const char *id);
void fake_image_remove(FakeDocker *f, const char *reference);
FakeContainer *fake_container(FakeDocker *f, const char *name);

/* What others do. */
void fake_docker_event(FakeDocker *f, const char *type, const char *action, const char *name, const char *old_name);
void fake_container_set(FakeDocker *f, const char *name, const char *status, const char *action);
void fake_container_remove(FakeDocker *f, const char *name);
void fake_docker_say(FakeDocker *f, const char *bytes); /* to those who listen to events */

void fake_client_write(struct FakeClient *c, const char *bytes);
void fake_client_close(struct FakeClient *c);
void fake_client_reply(struct FakeClient *c, unsigned status, const char *body);

/* Ready-made: while n_times is not 0, requests with wanted in them are answered by the bytes of answer (all of HTTP), and that is the
 * end of the connection; with NULL they are not answered. */
bool fake_intercept(FakeDocker *f, struct FakeClient *client, const char *method, const char *path);
