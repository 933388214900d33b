/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Functions whose values come from outside, with the outside in the hands of a test. Each function with its arguments is a cell:
 * it has a value or a failure, which changes when the test says so, and everybody who asks is told. Some cells take their time
 * before they say the first thing, some cannot be opened at all. How a cell begins follows from its name and the seed alone. */

#include "common/map.h"
#include "common/source.h"
#include "tests/random.h"

typedef struct MockAnswer {
        Value value;
        char *problem;          /* owned; or NULL */
        bool catchable;
} MockAnswer;

typedef struct MockSource MockSource;

typedef struct MockCell {
        char *key;              /* owned: the call as it would be printed */
        const Type *type;       /* of its value; the program's own */
        MockAnswer answer;
        MockAnswer before;      /* of a cell that moved on when its answer was taken: what it was until then */
        unsigned moved;         /* in which step that was */
        unsigned n_more;        /* answers that wait for the one before to be taken */
        bool late;              /* nobody has been told anything yet */
        bool refuses;           /* cannot be opened */
        MockSource *first;      /* those who ask */
        unsigned n_open;
        unsigned n_asked;       /* for the test: how many should ask */
} MockCell;

typedef struct MockWorld {
        SourceHost host;        /* for LangHost.source_host */
        Random random;
        uint64_t seed;
        Map *by_key;
        MockCell **cells;       /* owned */
        size_t n, capacity;
        unsigned step;          /* the test counts lang_step() here */
        bool patient;           /* no cell is late */
        bool aside;             /* who asks now is not counted, and makes no cell late */
        bool trace;             /* says what it does */
} MockWorld;

void mock_world_init(MockWorld *w, uint64_t seed);
void mock_world_done(MockWorld *w);

/* For LangHost.source. */
const SourceType *mock_world_source(void *userdata, const char *function);

/* Makes the cell if there is none yet. */
MockCell *mock_world_cell(MockWorld *w, const char *function, const Value *args, size_t n_args, const Type *type);

/* What a cell said before the last lang_step(); NULL: nothing yet. Not for cells that refuse: those say "KEY
 * is closed". */
const MockAnswer *mock_cell_answer(const MockWorld *w, const MockCell *c);

/* Something happens to a cell that somebody asks for: it answers at last, or is something else now. False: nobody asks for any. */
bool mock_world_change(MockWorld *w);
