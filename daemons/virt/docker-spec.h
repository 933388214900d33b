/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a container shall be, as its resource says it, and in the form in which it is compared with one that is there. */

#include "common/diag.h"
#include "common/value.h"
#include "daemons/virt/docker-json.h"

/* All borrowed. */
typedef struct DockerSpec {
        const char *image;
        char *const *cmd, *const *env;          /* NULL: as the image has it */
        Value ports;                            /* map{str: map{int: int}}: protocol → host's port → container's; nil: none */
        char *const *volumes;                   /* "source:target", "source:target:ro" */
        const char *restart;                    /* "": as it is */
} DockerSpec;

/* Allocates nothing. The messages name the field. */
int docker_spec_validate(const DockerSpec *s, Diag *reterr);

/* The same as in DockerContainer. */
typedef struct DockerWanted {
        char **cmd, **env, **ports, **volumes;
} DockerWanted;

/* What a container of this image has to have. there: the one that is compared (podman gives each some variables of its own), or NULL. */
int docker_spec_wanted(const DockerSpec *s, const DockerImage *image, const DockerContainer *there, DockerWanted *ret);
void docker_wanted_done(DockerWanted *w);

/* Bodies of requests; NULL if out of memory. */
char *docker_spec_create(const DockerSpec *s);
char *docker_spec_update(const DockerSpec *s);          /* of what can be changed in place: restart */
