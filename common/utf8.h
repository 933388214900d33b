/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Unicode text, independent of the locale. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one character of at most size bytes: its length in bytes, or 0 if they do not begin with a valid one (overlong forms,
 * surrogates and values above U+10FFFF are not). size must not be 0. */
size_t utf8_decode(const char *s, size_t size, uint32_t *ret);
size_t utf8_encode(uint32_t c, char ret[static 4]);     /* bytes written; invalid characters give U+FFFD */
bool utf8_valid(const char *s, size_t size);

/* Of the control character that begins there, in bytes: 1, or 2 for one of the C1 set, which a terminal obeys as well; 0 if there is
 * none. Tab and newline are some. */
unsigned utf8_control_size(const char *s);

/* Letters, marks, numbers, punctuation, symbols and the plain space. */
bool unicode_is_print(uint32_t c);

/* The other case of a character by itself; the character where there is none. Folding makes those equal that differ only in case. */
uint32_t unicode_upper(uint32_t c);
uint32_t unicode_lower(uint32_t c);
uint32_t unicode_title(uint32_t c);
uint32_t unicode_fold(uint32_t c);
