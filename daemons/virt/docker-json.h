/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What docker and podman say, read into structs. Whatever arrives is checked: a missing or strange member is an error where it
 * matters, and passed over where it does not. Everything returned is owned by the caller. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"

/* The versions of the API that we speak. Docker 29 speaks none below 1.44. */
#define DOCKER_API_MIN "1.24"
#define DOCKER_API_MAX "1.44"

/* The newest version that both sides speak, with its "v". -EPROTO if there is none. */
int docker_parse_version(const char *json, size_t size, char ret[static 16], Diag *reterr);

typedef enum DockerEventType {
        DOCKER_EVENT_CONTAINER,
        DOCKER_EVENT_IMAGE,
} DockerEventType;

typedef struct DockerEvent {
        DockerEventType type;
        char *action;           /* "die", "start", …, without what may follow it after a colon */
        char *name;             /* of the container */
        char *old_name;         /* it was renamed; or NULL */
        char *image;            /* the image, as image_reference() has it; NULL: nobody knows which */
} DockerEvent;

/* 1; 0: it is one that changes nothing about a container or an image; -EBADMSG. */
int docker_parse_event(const char *line, size_t size, DockerEvent *ret);
void docker_event_done(DockerEvent *e);

typedef enum DockerStatus {
        DOCKER_CREATED,
        DOCKER_RUNNING,
        DOCKER_PAUSED,
        DOCKER_RESTARTING,
        DOCKER_REMOVING,
        DOCKER_EXITED,
        DOCKER_DEAD,
        _DOCKER_STATUS_MAX,
} DockerStatus;

const char *docker_status_name(DockerStatus s);

/* A container as it is. The lists are sorted, but for cmd; in them are:
 *   ports: "8080:80/tcp", or with an address in front of it if it is not all of them
 *   volumes: "/host:/container", "name:/container", with ":ro" if it is read-only; not those without a name */
typedef struct DockerContainer {
        char *id, *name;
        char *image;            /* as whoever made it called it */
        char *image_id;         /* without "sha256:" */
        DockerStatus status;
        int exit_code;
        char **cmd, **env, **ports, **volumes;
        char *restart;          /* "no", "always", "unless-stopped", "on-failure", "on-failure:5" */
} DockerContainer;

/* Of the answer to its making; NULL if there is none in it, or out of memory. */
char *docker_parse_created(const char *json, size_t size);

int docker_parse_container(const char *json, size_t size, DockerContainer *ret, Diag *reterr);
void docker_container_done(DockerContainer *c);

typedef struct DockerImage {
        char *id;               /* without "sha256:" */
        char **cmd, **env;      /* what a container of it has if it is not told otherwise */
} DockerImage;

int docker_parse_image(const char *json, size_t size, DockerImage *ret, Diag *reterr);
void docker_image_done(DockerImage *i);

/* The message of an error; a copy of what there is, in one line, if it is none. NULL if out of memory. */
char *docker_parse_error(const char *json, size_t size);

/* What a pull said, line by line: the error among it, or NULL. 0 or -ENOMEM. */
int docker_parse_pull(const char *text, size_t size, char **ret_error);

/* Made of the characters that docker allows; none of them has a meaning in a path or a query. */
bool docker_image_name_valid(const char *name);

/* One of DockerContainer.volumes, its paths as docker cleans them. NULL if out of memory. */
char *docker_volume_text(const char *source, size_t n_source, const char *target, size_t n_target, bool read_only);

/* Sorts and drops what is there twice. */
void docker_list_sort(char **list);
