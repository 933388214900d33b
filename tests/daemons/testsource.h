/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One call of a function that a daemon serves, as its server would open it; what it says is kept. */

#include "common/source.h"

typedef struct TestCall {
        Source *source;         /* NULL if it could not be opened */
        char *text;             /* what it said last: the value as it is printed, or "error: …", or "catchable: …" */
        unsigned n_said;
} TestCall;

/* tables as for source_server_new(); args is a list as in a program, result the type of the value, which is checked. */
void test_call_open(TestCall *c, const SourceType *const *tables, SourceHost *host, const char *function, const char *args,
                    const char *result);
void test_call_close(TestCall *c);
