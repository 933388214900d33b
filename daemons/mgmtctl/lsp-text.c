/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Everything here starts counting at the beginning of the text or of the line: texts are small, and what is not kept cannot be
 * wrong. */

#include "common/macro.h"
#include "common/utf8.h"
#include "daemons/mgmtctl/lsp-text.h"

/* One character: its bytes, and how many UTF-16 code units it is. */
static size_t character(const char *text, size_t size, unsigned *ret_units) {
        uint32_t c;
        size_t n = utf8_decode(text, size, &c);

        *ret_units = n > 0 && c > 0xffff ? 2 : 1;
        return n > 0 ? n : 1;
}

/* Where a line begins; the end of the text if there are fewer. Counted from 0. */
static size_t line_offset(const char *text, size_t size, uint32_t line) {
        size_t at = 0;

        for (; line > 0; line--) {
                const char *end = memchr(text + at, '\n', size - at);
                if (!end)
                        return size;
                at = (size_t) (end + 1 - text);
        }
        return at;
}

size_t lsp_text_offset(const char *text, size_t size, LspPosition p) {
        size_t at = line_offset(text, size, p.line);
        uint32_t units = 0;

        while (at < size && text[at] != '\n' && units < p.character) {
                unsigned n;
                size_t bytes = character(text + at, size - at, &n);

                if (units + n > p.character)
                        break;          /* in the middle of a surrogate pair */
                units += n;
                at += bytes;
        }
        return at;
}

LspPosition lsp_text_position(const char *text, size_t size, size_t offset) {
        LspPosition p = {};
        size_t start = 0;

        offset = MIN(offset, size);
        for (size_t i = 0; i < offset; i++)
                if (text[i] == '\n') {
                        p.line++;
                        start = i + 1;
                }
        while (start < offset) {
                unsigned n;
                start += character(text + start, size - start, &n);
                p.character += n;
        }
        return p;
}

LspPosition lsp_text_from_pos(const char *text, size_t size, uint32_t line, uint32_t column) {
        size_t at = line_offset(text, size, line > 0 ? line - 1 : 0);
        LspPosition p = { .line = line > 0 ? line - 1 : 0 };

        for (uint32_t i = 1; i < column && at < size && text[at] != '\n'; i++) {
                unsigned n;
                at += character(text + at, size - at, &n);
                p.character += n;
        }
        return p;
}

void lsp_text_to_pos(const char *text, size_t size, LspPosition p, uint32_t *ret_line, uint32_t *ret_column) {
        size_t start = line_offset(text, size, p.line), end = lsp_text_offset(text, size, p);
        uint32_t column = 1;

        while (start < end) {
                unsigned n;
                start += character(text + start, size - start, &n);
                column++;
        }
        *ret_line = p.line < UINT32_MAX ? p.line + 1 : p.line;
        *ret_column = column;
}

int lsp_text_replace(char **text, size_t *size, size_t from, size_t to, const char *with, size_t with_size) {
        size_t tail = *size - to;
        char *changed = malloc(from + with_size + tail + 1);

        if (!changed)
                return -ENOMEM;
        memcpy(changed, *text, from);
        memcpy(changed + from, with, with_size);
        memcpy(changed + from + with_size, *text + to, tail);
        changed[from + with_size + tail] = '\0';
        free(*text);
        *text = changed;
        *size = from + with_size + tail;
        return 0;
}
