/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a program comes to, computed anew from its syntax tree each time by plain recursion: the measure for the function graph,
 * which gets there by small steps. It shares the standard library and the scopes with it, and nothing else. */

#include "common/change-set.h"
#include "lang/program.h"
#include "tests/lang/mock-world.h"

/* Something that is wrong, as it must be reported. */
typedef struct Trouble {
        bool catchable;
        bool roughly;           /* message is only how it begins */
        Pos pos;
        char *message;          /* owned */
} Trouble;

typedef struct PlainGraph {
        ResourceSpec *resources;
        size_t n_resources, capacity_resources;
        EdgeSpec *edges;
        size_t n_edges, capacity_edges;
        Trouble *troubles;      /* any of them may be reported; none: all is well */
        size_t n_troubles, capacity_troubles;
        bool waiting;           /* a source that is asked has not answered */
        bool too_long;          /* given up: the rest says nothing */
        bool failed;            /* out of memory */
} PlainGraph;

/* Counts in each cell of the world how many must be asking for it. */
void plain_graph_make(PlainGraph *ret, Program *p, MockWorld *w);
void plain_graph_done(PlainGraph *g);
