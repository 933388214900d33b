/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Arbitrary bytes as a stream of messages, and as a text whose places are counted in three ways. What is read of the stream may
 * not depend on the pieces in which it comes; places must survive the way through the other ways of counting. */

#include <stdbool.h>
#include <stdlib.h>

#include "common/macro.h"
#include "daemons/mgmtctl/lsp-frame.h"
#include "daemons/mgmtctl/lsp-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void check_frames(const char *data, size_t size) {
        const char *body;
        size_t body_size, used;

        for (size_t at = 0; at < size && lsp_frame_next(data + at, size - at, &body, &body_size, &used) > 0; at += used) {
                size_t header = used - body_size, n;
                const char *other;

                require(used <= size - at && body == data + at + header && body_size <= LSP_BODY_MAX);
                /* Any part of it is not enough, more makes no difference. */
                require(lsp_frame_next(data + at, used, &other, &body_size, &n) == 1 && other == body && n == used);
                require(lsp_frame_next(data + at, used - 1, &other, &body_size, &n) == 0);
                require(lsp_frame_next(data + at, header - 1, &other, &body_size, &n) == 0);
        }
}

static bool same(LspPosition a, LspPosition b) {
        return a.line == b.line && a.character == b.character;
}

static void check_places(const char *text, size_t size) {
        for (size_t i = 0; i <= MIN(size, (size_t) 200); i++) {
                LspPosition p = lsp_text_position(text, size, i);
                size_t offset = lsp_text_offset(text, size, p);
                uint32_t line, column;

                /* In the middle of a character is behind it. */
                require(offset >= i && offset < i + 4 && same(lsp_text_position(text, size, offset), p));
                lsp_text_to_pos(text, size, p, &line, &column);
                require(same(lsp_text_from_pos(text, size, line, column), p));
        }
}

static void check_replace(const char *text, size_t size) {
        char *copy = malloc(size + 1);
        size_t n = size, from = size / 3, to = size / 2;

        require(copy);
        memcpy(copy, text, size);
        copy[size] = '\0';
        require(lsp_text_replace(&copy, &n, from, to, text, size) == 0 && n == size + size - (to - from));
        require(memcmp(copy, text, from) == 0 && memcmp(copy + from, text, size) == 0 &&
                memcmp(copy + from + size, text + to, size - to) == 0 && copy[n] == '\0');
        free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;

        check_frames(text, size);
        check_places(text, size);
        if (size > 0)
                check_replace(text, size);
        if (size > 1) {         /* whatever is asked for */
                LspPosition p = { data[0] % 8, data[1] };
                uint32_t line, column;
                require(lsp_text_offset(text, size, p) <= size);
                lsp_text_to_pos(text, size, p, &line, &column);
        }
        return 0;
}
