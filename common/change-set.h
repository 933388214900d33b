/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What leaves the language and enters the engine: resources and edges that were added, changed or removed. A full set
 * describes a whole graph (whatever is not in it goes away); a delta describes the difference to the one before.
 *
 * A kind and a name stand for one place in the graph. One resource is there, and beside it there may be *twins*: hidden ones of the
 * same kind and name. They have that place in common, and with it all edges. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/meta.h"
#include "common/value.h"

typedef struct FieldValue {
        char *name;             /* owned */
        Value value;
} FieldValue;

/* A declared resource: what the program says, before any kind has looked at it. */
typedef struct ResourceSpec {
        char *kind, *name;
        Pos pos;                /* pos.file is owned */
        Meta meta;
        FieldValue *fields;     /* only those that were given, in source order */
        size_t n_fields;
} ResourceSpec;

/* from comes before to. At most one edge per ordered pair; notify is ORed. Several transfers make several EdgeSpecs with the
 * same ends. */
typedef struct EdgeSpec {
        char *from_kind, *from_name;
        char *to_kind, *to_name;
        bool notify;
        char *send_key, *receive_field;         /* both NULL where nothing is transferred */
        Pos pos;                                /* pos.file is owned */
} EdgeSpec;

typedef struct ResourceKey {
        char *kind, *name;
} ResourceKey;

typedef struct ChangeSet {
        uint64_t generation;    /* grows by one with each set of one program */
        bool full;
        ResourceSpec *put;      /* added, or replacing what there is of the same kind and name; its twins stand right behind it */
        size_t n_put, capacity_put;
        ResourceKey *removed;   /* twins as well */
        size_t n_removed, capacity_removed;
        EdgeSpec *edges;        /* added (or replacing the one between the same ends with the same transfer) */
        size_t n_edges, capacity_edges;
        EdgeSpec *cut;          /* edges removed; notify and pos do not count */
        size_t n_cut, capacity_cut;
} ChangeSet;

void resource_spec_done(ResourceSpec *s);
bool resource_spec_equal(const ResourceSpec *a, const ResourceSpec *b, const char **ret_field); /* pos does not count */
/* Of fields and metaparameters. Of two with the same kind and name, an equal hash means that they are equal; a different one says
 * little (fields in another order give another). Only for use in this process. */
uint64_t resource_spec_hash(const ResourceSpec *s);
int resource_spec_copy(ResourceSpec *to, const ResourceSpec *from);
void edge_spec_done(EdgeSpec *e);
int edge_spec_copy(EdgeSpec *to, const EdgeSpec *from);

/* These move their argument into the set (also on failure, when it is released). */
int change_set_put(ChangeSet *c, ResourceSpec *s);
int change_set_remove(ChangeSet *c, const char *kind, const char *name);
int change_set_edge(ChangeSet *c, EdgeSpec *e);
int change_set_cut(ChangeSet *c, EdgeSpec *e);
void change_set_done(ChangeSet *c);

/* How many follow the i-th put, as its twins. */
size_t change_set_n_twins(const ChangeSet *c, size_t i);

/* Hashes of the first n edges and of all: equal means that so many edges are the same in the same order, but for pos. Only for use in
 * this process. */
uint64_t change_set_edges_hash(const ChangeSet *c, size_t n, uint64_t *ret_all);

static inline bool change_set_is_empty(const ChangeSet *c) {
        return !c->full && c->n_put == 0 && c->n_removed == 0 && c->n_edges == 0 && c->n_cut == 0;
}
