/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Text to tokens. Token numbers are those of grammar.y. */

#include "lang/ast.h"

typedef struct Token {
        int kind;
        Pos pos;
        const char *text;       /* borrowed from the source: identifiers, numbers, the inside of strings, the bad character */
        uint32_t size;
        int64_t integer;
        double number;
        const char *problem;    /* ERROR: its class, such as "integer: overflow" */
} Token;

typedef struct Lexer {
        Arena *arena;
        const char *file;
        const char *text;
        size_t size, at;
        uint32_t line, column;  /* from 1 */
        int last;               /* kind of the token before */
        Comments comments;
        uint64_t n_tokens;
} Lexer;

/* 0, or -ENOMEM. At the end of the text the kind is 0, after a NEWLINE (which is made up if the text does not end in one). */
int lexer_next(Lexer *l, Token *ret);
