/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the statements of a program say of resources and edges, by whom it concerns; and what of it was sent. Statements declare,
 * and take back what they declared before (statements.c); what differs from what was sent leaves (output.c). */

#include "common/graph.h"
#include "lang/funcgraph.h"

typedef struct ResourceEntry ResourceEntry;
typedef struct EdgeEntry EdgeEntry;

/* What one statement says of one resource. */
typedef struct Declared {
        uint32_t n_ref;
        ResourceSpec spec;
        uint64_t sequence;      /* of the statement */
        int rank;               /* which one counts, of several that differ in a field that merges; see FieldSpec.merges */
        ResourceEntry *entry;
        struct Declared *next;  /* of the same resource: those that are hidden last, the higher ranks first, and then by sequence */
} Declared;

/* The hidden ones beside the resource that a name stands for, each once. */
typedef struct Twins {
        Declared **now;         /* owned array, of what is declared ... */
        Declared **sent;        /* owned array of references */
        size_t n_now, n_sent;
        bool found;             /* ... when it was looked at, which is when the entry is about to be sent */
} Twins;

struct ResourceEntry {
        Declared *declared;
        Declared *sent;         /* or NULL */
        Twins *twins;           /* owned; NULL: there are none, and there were none */
        ResourceEntry *prev, *next;     /* of all, in order of appearance */
        ResourceEntry *next_dirty;
        EdgeEntry *first_out, *first_in;
        uint64_t place;         /* in the order; see resource-order.c */
        uint64_t round;         /* of looking for places, that came by here last */
        VertexId vertex;        /* while all is put in order */
        bool dirty;
        char *key;              /* owned; kind, NUL, name */
        size_t key_size;
};

typedef struct DeclaredEdge {
        EdgeSpec spec;
        EdgeEntry *entry;
        struct DeclaredEdge *next;      /* of the same edge */
} DeclaredEdge;

struct EdgeEntry {
        DeclaredEdge *declared;
        bool sent, sent_notify, dirty;
        EdgeEntry *prev, *next, *next_dirty;
        EdgeEntry *prev_out, *next_out;         /* of those that begin where it does */
        EdgeEntry *prev_in, *next_in;           /* of those that end where it does */
        uint64_t number;        /* in order of appearance */
        ResourceEntry *from, *to;
        EdgeSpec spec;          /* as it was first declared; for taking it back */
        char *key;              /* owned */
        size_t key_size;
};

/* What one statement declared; empty at first. */
typedef struct Contribution {
        Declared **resources;
        size_t n_resources, capacity_resources;
        DeclaredEdge **edges;
        size_t n_edges, capacity_edges;
} Contribution;

/* Takes the content of spec; sequence is that of the statement. */
int declare_resource(FuncGraph *g, Contribution *c, ResourceSpec *spec, uint64_t sequence);
int declare_edge(Output *o, Contribution *c, EdgeSpec *spec);   /* likewise */
void take_back(Output *o, Contribution *c);

/* The field of this kind that merges, or NULL. */
const SchemaField *merging_field(const Program *p, const char *kind);

/* twins.c. Finds those of an entry that is about to be sent; refuses what would be exported to one host in two ways. */
int twins_find(FuncGraph *g, ResourceEntry *e, Diag *reterr);
bool twins_changed(const ResourceEntry *e);     /* others than were sent */
void twins_mark_sent(ResourceEntry *e);
Twins *twins_free(Twins *t);

/* "the AnotherStr differs", by the name that users know from listings of values. NULL if out of memory. */
char *declared_difference(const Program *p, const ResourceSpec *a, const ResourceSpec *b, const char *field);

/* Nothing is declared of it and nothing was sent. */
void resource_entry_free(Output *o, ResourceEntry *e);
void edge_entry_free(Output *o, EdgeEntry *e);

Declared *declared_unref(Declared *d);
