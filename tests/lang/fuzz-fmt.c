/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Arbitrary text to the formatter: it either does not parse, or is formatted. The formatter checks its own work (see lang/format.h);
 * here that check must never have to say no. */

#include <stdint.h>
#include <stdlib.h>

#include "common/macro.h"
#include "lang/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *text = NULL;
        size_t n = 0;

        int r = format_text("fuzz.mcl", (const char *) data, size, &text, &n, &d);
        if (r == -ENOTRECOVERABLE || (r < 0) != !text || (r < 0 && !d.message))
                abort();
        return 0;
}
