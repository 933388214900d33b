/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Text of anybody, put where it cannot become anything else. */

#include "common/strbuf.h"

/* As text or as a quoted attribute of HTML. Bytes that are not UTF-8, and characters that HTML cannot hold, become U+FFFD. */
void markup_html(StrBuf *b, const char *s);

/* As a string of JSON, with its quotes, that can stand in a line of its own and within HTML as well. NULL is null. */
void markup_json(StrBuf *b, const char *s);

/* As an id or the name of a class: letters, digits and the hyphen stay, other bytes become _xx. */
void markup_word(StrBuf *b, const char *s);
