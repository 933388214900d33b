/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Places in a text, in the three ways in which they are counted: bytes from the beginning (ours), line and character from 1 (the
 * compiler's Pos), line and UTF-16 code unit from 0 (the protocol's). Places beyond the end of a line are its end, beyond the end
 * of the text its end; bytes that are no UTF-8 count as one each. */

#include <stddef.h>
#include <stdint.h>

typedef struct LspPosition {
        uint32_t line, character;
} LspPosition;

size_t lsp_text_offset(const char *text, size_t size, LspPosition p);
LspPosition lsp_text_position(const char *text, size_t size, size_t offset);

/* In and out of line and column of a Pos. */
LspPosition lsp_text_from_pos(const char *text, size_t size, uint32_t line, uint32_t column);
void lsp_text_to_pos(const char *text, size_t size, LspPosition p, uint32_t *ret_line, uint32_t *ret_column);

/* Replaces the bytes from … to of *text. 0, or -ENOMEM. */
int lsp_text_replace(char **text, size_t *size, size_t from, size_t to, const char *with, size_t with_size);
