/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lexer: longest match, by hand, because that is shorter and faster than a table for so few tokens. Two surprises: a minus
 * sign directly before a digit always belongs to the number, and an identifier never ends in an underscore. Columns count
 * characters, but the end of a token is its start plus its length in bytes, as users of the language know it from messages. */

#include <errno.h>
#include <string.h>

#include "lang/grammar.h"
#include "lang/lexer.h"

static const struct { const char *text; int kind; } keywords[] = {
        { "if", IF }, { "else", ELSE }, { "and", AND }, { "or", OR }, { "not", NOT }, { "in", IN },
        { "for", FOR }, { "forkv", FORKV }, { "bool", BOOL_IDENTIFIER }, { "str", STR_IDENTIFIER },
        { "int", INT_IDENTIFIER }, { "float", FLOAT_IDENTIFIER }, { "map", MAP_IDENTIFIER },
        { "struct", STRUCT_IDENTIFIER }, { "variant", VARIANT_IDENTIFIER }, { "func", FUNC_IDENTIFIER },
        { "class", CLASS_IDENTIFIER }, { "include", INCLUDE_IDENTIFIER }, { "import", IMPORT_IDENTIFIER },
        { "as", AS_IDENTIFIER }, { "true", BOOL }, { "false", BOOL }, { "panic", PANIC_IDENTIFIER },
        { "collect", COLLECT_IDENTIFIER },
};

/* Longer ones first where one is the beginning of another. */
static const struct { const char *text; uint8_t size; int kind; } operators[] = {
        { "<|>", 3, EXCEPT }, { "==", 2, EQ }, { "=>", 2, ROCKET }, { "!=", 2, NEQ }, { "<=", 2, LTE }, { ">=", 2, GTE },
        { "->", 2, ARROW }, { "?:", 2, ELVIS }, { "{", 1, OPEN_CURLY }, { "}", 1, CLOSE_CURLY }, { "(", 1, OPEN_PAREN },
        { ")", 1, CLOSE_PAREN }, { "[", 1, OPEN_BRACK }, { "]", 1, CLOSE_BRACK }, { ",", 1, COMMA }, { ":", 1, COLON },
        { ";", 1, SEMICOLON }, { "=", 1, EQUALS }, { "+", 1, PLUS }, { "-", 1, MINUS }, { "*", 1, MULTIPLY },
        { "/", 1, DIVIDE }, { "<", 1, LT }, { ">", 1, GT }, { ".", 1, DOT }, { "$", 1, DOLLAR },
};

static bool is_digit(int c) {
        return c >= '0' && c <= '9';
}

static bool is_word(int c) {
        return is_digit(c) || (c >= 'a' && c <= 'z') || c == '_';
}

static int peek(const Lexer *l, size_t ahead) {
        return l->at + ahead < l->size ? (unsigned char) l->text[l->at + ahead] : -1;
}

static size_t character_size(const Lexer *l) {
        size_t n = 1;

        if ((unsigned char) l->text[l->at] >= 0xc0)
                while (n < 4 && (peek(l, n) & 0xc0) == 0x80 && peek(l, n) >= 0)
                        n++;
        return n;
}

/* Takes size bytes of one line as the token. */
static void take(Lexer *l, Token *t, int kind, size_t size) {
        t->kind = kind;
        t->text = l->text + l->at;
        t->size = (uint32_t) size;
        for (size_t i = 0; i < size; i++)
                if (((unsigned char) t->text[i] & 0xc0) != 0x80)
                        l->column++;
        l->at += size;
        t->pos.end_line = t->pos.line;
        t->pos.end_column = t->pos.column + (uint32_t) size;
}

static void take_error(Lexer *l, Token *t, const char *problem, size_t size) {
        take(l, t, ERROR, size);
        t->problem = problem;
}

static int skip_comment(Lexer *l) {
        Comment c = { .line = l->line, .column = l->column };
        const char *start = l->text + l->at + 1;
        size_t n = 0;

        while (l->at + 1 + n < l->size && start[n] != '\n')
                n++;
        c.text = arena_strndup(l->arena, start, n);
        c.size = (uint32_t) n;
        if (!c.text)
                return -ENOMEM;
        l->at += 1 + n;
        l->column += 1 + (uint32_t) n;  /* nothing but the end of the line can follow */
        return AST_PUSH(l->arena, &l->comments, c);
}

static void lex_number(Lexer *l, Token *t) {
        size_t n = peek(l, 0) == '-';
        bool negative = n, overflow = false;
        uint64_t x = 0, limit = (uint64_t) INT64_MAX + negative;

        for (; is_digit(peek(l, n)); n++) {
                unsigned digit = (unsigned) (peek(l, n) - '0');
                overflow = overflow || x > (limit - digit) / 10;
                x = overflow ? 0 : x * 10 + digit;
        }
        if (peek(l, n) != '.' || !is_digit(peek(l, n + 1))) {
                t->integer = (int64_t) (negative ? -x : x);
                if (overflow)
                        take_error(l, t, "integer: overflow", n);
                else
                        take(l, t, INTEGER, n);
                return;
        }
        for (n++; is_digit(peek(l, n)); n++)
                ;
        /* strtod() stops at the first byte that cannot belong to a number; an exponent or a hexadecimal form cannot follow
         * unnoticed, because the text is copied up to here. */
        char small[64], *copy = n < sizeof(small) ? small : arena_alloc(l->arena, n + 1);
        if (!copy) {
                take_error(l, t, "float: overflow", n);
                return;
        }
        memcpy(copy, l->text + l->at, n);
        copy[n] = 0;
        t->number = strtod(copy, NULL);
        if (t->number > 1.7976931348623157e308 || t->number < -1.7976931348623157e308)
                take_error(l, t, "float: overflow", n);
        else
                take(l, t, FLOAT, n);
}

/* The token is what stands between the quotes; it may span lines. A backslash takes the character after it along. */
static void lex_string(Lexer *l, Token *t) {
        const char *begin = l->text + l->at, *end = l->text + l->size, *at = begin + 1;
        uint32_t line = l->line, column = l->column + 1, bytes = t->pos.column + 1;
        bool escaped = false;

        for (; at < end && (escaped || *at != '"'); at++) {
                escaped = !escaped && *at == '\\';
                if (*at == '\n') {
                        line++;
                        column = bytes = 1;
                        continue;
                }
                bytes++;
                column += ((unsigned char) *at & 0xc0) != 0x80;
        }
        if (at >= end || (size_t) (at - begin) > UINT32_MAX - 2) {
                take_error(l, t, "unrecognized", 1);
                return;
        }
        t->kind = STRING;
        t->text = begin + 1;
        t->size = (uint32_t) (at - begin - 1);
        t->pos.end_line = line;
        t->pos.end_column = bytes + 1;
        l->line = line;
        l->column = column + 1;
        l->at += (size_t) (at + 1 - begin);
}

static void lex_word(Lexer *l, Token *t) {
        bool capital = l->text[l->at] < 'a';
        size_t n = 1;

        while (is_word(peek(l, n)))
                n++;
        while (l->text[l->at + n - 1] == '_')
                n--;
        take(l, t, capital ? CAPITALIZED_IDENTIFIER : IDENTIFIER, n);
        for (size_t i = 0; !capital && i < ELEMENTSOF(keywords); i++)
                if (keywords[i].text[0] == t->text[0] && strlen(keywords[i].text) == n && memcmp(keywords[i].text, t->text, n) == 0) {
                        t->kind = keywords[i].kind;
                        t->integer = t->text[0] == 't';         /* of BOOL */
                        return;
                }
}

static void skip_blanks(Lexer *l) {
        size_t at = l->at;

        while (at < l->size && (l->text[at] == ' ' || l->text[at] == '\t'))
                at++;
        l->column += (uint32_t) (at - l->at);
        l->at = at;
}

int lexer_next(Lexer *l, Token *t) {
        int c;

        for (skip_blanks(l); (c = peek(l, 0)) == '#'; skip_blanks(l))
                if (skip_comment(l) < 0)
                        return -ENOMEM;

        *t = (Token) { .pos = { l->file, l->line, l->column, l->line, l->column + 1 }, .text = l->text + l->at };
        if (c < 0) {
                if (l->last != NEWLINE && l->n_tokens > 0)
                        t->kind = NEWLINE;
        } else if (c == '\n') {
                t->kind = NEWLINE;
                l->at++;
                t->pos.end_line = ++l->line;
                t->pos.end_column = l->column = 1;
        } else if (is_digit(c) || (c == '-' && is_digit(peek(l, 1))))
                lex_number(l, t);
        else if (c == '"')
                lex_string(l, t);
        else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
                lex_word(l, t);
        else {
                size_t i = 0;
                while (i < ELEMENTSOF(operators) && (operators[i].text[0] != c || l->size - l->at < operators[i].size ||
                                                     memcmp(l->text + l->at, operators[i].text, operators[i].size) != 0))
                        i++;
                if (i < ELEMENTSOF(operators))
                        take(l, t, operators[i].kind, operators[i].size);
                else if (c == '\r')
                        take_error(l, t, "unrecognized carriage return", 1);
                else
                        take_error(l, t, "unrecognized", character_size(l));
        }
        l->last = t->kind;
        l->n_tokens += t->kind != 0;
        return 0;
}
