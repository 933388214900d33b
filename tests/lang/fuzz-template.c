/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as a template, run with a value that has something of everything. */

#include "lang/builtins.h"
#include "lang/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const Builtin *b = builtin_find("golang.template");
        BuiltinCall call = { .builtin = b };
        Value args[2] = {}, result = VALUE_NIL;
        Diag diag = {};

        if (value_str(&args[0], (const char *) data, size) == 0 &&
            value_parse("struct{a => [1, 2], b => {\"k\" => \"v\"}, c => 1.5, d => \"text\", e => [struct{x => true}]}", NULL, &args[1],
                        NULL) == 0)
                (void) b->eval(&call, args, 2, &result, &diag);
        value_done(&args[0]);
        value_done(&args[1]);
        value_done(&result);
        diag_done(&diag);
        return 0;
}
