/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as an answer of AWS. What is told of it is no more than what came, in paths that are no deeper than they may be, and each element
 * once: never more of them than there are of what ends one. */

#include <stdint.h>

#include "common/macro.h"
#include "daemons/http/aws-xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
        do { \
                if (!(condition)) \
                        abort(); \
        } while (0)

typedef struct Told {
        size_t n_elements, n_bytes, depth;
} Told;

static void on_element(const char *path, const char *text, void *userdata) {
        Told *t = userdata;
        size_t depth = 1;

        MUST(*path && *path != '/');
        for (const char *p = path; *p; p++)
                depth += *p == '/';
        t->depth = MAX(t->depth, depth);
        t->n_elements++;
        t->n_bytes += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Told t = {};
        size_t n_ends = 0;
        int r = aws_xml_read((const char *) data, size, on_element, &t);

        MUST(r == 0 || r == -EBADMSG || r == -ENOMEM);
        for (size_t i = 0; i < size; i++)
                n_ends += data[i] == '>';
        MUST(t.n_elements <= n_ends);
        MUST(t.n_bytes <= 2 * size);            /* a byte of another encoding may become two */
        MUST(t.depth <= 32);
        MUST(r < 0 || t.n_elements > 0);
        return 0;
}
