/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the statements of a program come to, and what of it was sent. */

#include "lang/declared.h"

struct Output {
        Map *resources, *edges;
        ResourceEntry *first, *last, *dirty;
        EdgeEntry *first_edge, *last_edge, *dirty_edge;
        uint64_t next_place, next_number, round;
};

int output_new(Output **ret);
Output *output_free(Output *o);

/* What changed since the last time that this succeeded. */
int output_commit(FuncGraph *g, ChangeSet *ret, Diag *reterr);
int output_snapshot(Output *o, ChangeSet *ret);         /* all that was sent */

/* resource-order.c: that edges which are new or changed leave an order to the whole. */
int output_check_order(Output *o, Diag *reterr);
