/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Autoedges said as data: what the text of a field says that a resource is, or what it wants to come before it. The engine has no
 * code of kinds that live in other daemons, but it has their descriptions, and these are in them. A kind of the engine may have its
 * hooks, ResourceType.uids and .wants, as well. */

#include <stdbool.h>

#include "common/resource.h"

struct EdgeRule {
        const char *domain;     /* of ResourceUid: "file", "docker:image"; NULL ends a table */
        const char *field;      /* its text is the key, and an empty one is none; NULL: the name */
        bool offers;            /* this is what it is; else it wants it */
        const char *after;      /* wanted: "state removed" has the match come after it, where the field state is "removed"; or NULL */
        bool image;             /* the key is the name of a container image: image_reference() of it */
};

int edge_offers(const Resource *r, ResourceUids *ret);                  /* by hook and by table */
int edge_wants(const Resource *r, unsigned batch, ResourceUids *ret);   /* the same; the table makes up the first batch */
bool edge_may_want(const ResourceType *t);

/* NULL, or what is wrong with the row; static. */
const char *edge_check(const ResourceType *t, const EdgeRule *e);

/* The name of a container image in the one form that all others are compared in: "docker.io/library/x", "x" and "x:latest" are
 * "x:latest". A digest stays. NULL if out of memory. */
char *image_reference(const char *name);
