/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A document that can be read can be printed, and what is printed reads and prints the same. It is the first value of its text, too. */

#include <stdint.h>

#include "common/json-document.h"
#include "daemons/engine/kinds/json-edit.h"

static int print_again(const char *text, size_t size, StrBuf *ret) {
        _cleanup_(arena_freep) Arena *a = arena_new(JSON_DOCUMENT_MEMORY_MAX);
        _cleanup_(diag_done) Diag diag = {};
        JsonNode *node;
        int r = json_document_parse(a, text, size, &node, &diag);

        if (r >= 0)
                json_document_print(ret, node);
        else if (!diag.message)
                abort();
        return r;
}

static bool has_first(const char *text, size_t size) {
        _cleanup_(arena_freep) Arena *a = arena_new(JSON_DOCUMENT_MEMORY_MAX);
        _cleanup_(diag_done) Diag diag = {};
        JsonNode *node;

        return json_document_parse_first(a, text, size, JSON_DOCUMENT_DEPTH_MAX, &node, &diag) >= 0;
}

static void edit(const char *text) {
        _cleanup_(arena_freep) Arena *a = arena_new(JSON_DOCUMENT_MEMORY_MAX);
        JsonNode *root = json_object_new_empty(a);
        _cleanup_(diag_done) Diag diag = {};
        JsonEdit e;

        if (root && json_edit_parse(a, text, &e, &diag) >= 0 && json_edit_apply(a, root, &e, &diag) < 0)
                abort();        /* an empty document takes any edit */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(strbuf_done) StrBuf once = {}, twice = {}, text = {};

        if (print_again((const char *) data, size, &once) < 0)
                (void) has_first((const char *) data, size);
        else if (!has_first((const char *) data, size) || print_again(once.data, once.size, &twice) < 0 || once.size != twice.size ||
                 memcmp(once.data, twice.data, once.size) != 0)
                abort();
        strbuf_add(&text, (const char *) data, size);
        edit(text.data ? text.data : "");
        return 0;
}
