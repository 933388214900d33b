/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the tokens alone say of a place: what stands there, and in what surroundings. That works in a text that does not parse, which
 * is what a text is most of the time while it is written. */

#include <errno.h>

#include "lang/grammar.h"
#include "lang/query-parts.h"

bool query_before(uint32_t line, uint32_t column, uint32_t other_line, uint32_t other_column) {
        return line < other_line || (line == other_line && column < other_column);
}

/* The whole text, or up to what is no token. */
int query_read_tokens(Query *q) {
        Lexer l = { .arena = q->arena, .file = q->at->file, .text = q->at->text, .size = q->at->size, .line = 1, .column = 1 };
        Token t;

        do {
                if (lexer_next(&l, &t) < 0 || AST_PUSH(q->arena, &q->tokens, t) < 0)
                        return -ENOMEM;
        } while (t.kind != 0 && t.kind != ERROR);
        q->comments = l.comments;
        return 0;
}

int query_token(const Query *q, uint32_t i) {
        return i < q->tokens.n ? q->tokens.items[i].kind : 0;   /* also for what is before the first one */
}

bool query_is_name(int kind) {
        return kind == IDENTIFIER || kind == MAP_IDENTIFIER || kind == COLLECT_IDENTIFIER;
}

bool query_is_word(const Token *t) {
        return t->size > 0 && ((t->text[0] >= 'a' && t->text[0] <= 'z') || (t->text[0] >= 'A' && t->text[0] <= 'Z')) && t->kind != STRING;
}

static bool ends_value(int kind) {
        return query_is_name(kind) || kind == STRING || kind == INTEGER || kind == FLOAT || kind == BOOL || kind == CLOSE_CURLY ||
               kind == CLOSE_PAREN || kind == CLOSE_BRACK;
}

/* The tokens from one to the other, without what is between them. */
const char *query_join(Query *q, uint32_t from, uint32_t to) {
        const char *text = "";

        for (uint32_t i = from; text && i <= to && i < q->tokens.n; i++)
                text = arena_printf(q->program->arena, "%s%.*s", text, (int) q->tokens.items[i].size, q->tokens.items[i].text);
        return text;
}

/* a.b.c or a:b:c: the first of the tokens that belong to the name of which i is a part. */
uint32_t query_chain_start(const Query *q, uint32_t i, int separator) {
        while (i >= 2 && query_token(q, i - 1) == separator && query_is_word(&q->tokens.items[i - 2]))
                i -= 2;
        return i;
}

uint32_t query_chain_end(const Query *q, uint32_t i, int separator) {
        while (query_token(q, i + 1) == separator && i + 2 < q->tokens.n && query_is_word(&q->tokens.items[i + 2]))
                i += 2;
        return i;
}

static FrameKind opened_frame(Query *q, const Frame *outer, uint32_t i, const char **ret_resource) {
        int first = query_token(q, outer->first), last = query_token(q, i - 1);

        if (outer->kind != FRAME_BLOCK || outer->fresh || query_token(q, i) != OPEN_CURLY)
                return FRAME_OTHER;
        if (first == IF || first == FOR || first == FORKV || first == CLASS_IDENTIFIER)
                return ends_value(last) || last == ELSE ? FRAME_BLOCK : FRAME_OTHER;
        if ((first == IDENTIFIER || first == COLLECT_IDENTIFIER) && ends_value(last)) {
                uint32_t kind = outer->first + (first == COLLECT_IDENTIFIER);
                *ret_resource = query_join(q, kind, query_chain_end(q, kind, COLON));
                return FRAME_RESOURCE;
        }
        return FRAME_OTHER;
}

/* What token n stands in. */
int query_read_frames(Query *q, uint32_t n) {
        q->frames.n = 0;
        if (AST_PUSH(q->arena, &q->frames, ((Frame) { .kind = FRAME_BLOCK, .fresh = true })) < 0)
                return -ENOMEM;
        for (uint32_t i = 0; i < n && i < q->tokens.n; i++) {
                Frame *top = &q->frames.items[q->frames.n - 1], opened = { .fresh = true };
                int kind = query_token(q, i);

                if (kind == NEWLINE || (kind == COMMA && top->kind == FRAME_RESOURCE)) {
                        top->fresh = true;
                        continue;
                }
                if (kind == CLOSE_CURLY || kind == CLOSE_PAREN || kind == CLOSE_BRACK) {
                        q->frames.n -= q->frames.n > 1;
                        q->frames.items[q->frames.n - 1].fresh = false;
                        continue;
                }
                if (top->fresh)
                        top->first = i;
                if (kind == OPEN_CURLY || kind == OPEN_PAREN || kind == OPEN_BRACK) {
                        opened.kind = opened_frame(q, top, i, &opened.resource);
                        if (AST_PUSH(q->arena, &q->frames, opened) < 0)
                                return -ENOMEM;
                        top = &q->frames.items[q->frames.n - 2];
                }
                top->fresh = false;
        }
        return 0;
}

const Frame *query_top(const Query *q) {
        return &q->frames.items[q->frames.n - 1];
}

const char *query_lower(Query *q, const char *name) {
        char *copy = name ? arena_strdup(q->program->arena, name) : NULL;

        for (char *c = copy; c && *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char) (*c - 'A' + 'a');
        return copy;
}

/* The kind of the edge half that ends in a bracket. */
const char *query_half_kind(Query *q, uint32_t close) {
        unsigned depth = 0;

        for (uint32_t i = close + 1; i-- > 0;) {
                depth += query_token(q, i) == CLOSE_BRACK;
                depth -= query_token(q, i) == OPEN_BRACK;
                if (depth == 0)
                        return i > 0 && query_token(q, i - 1) == CAPITALIZED_IDENTIFIER
                                       ? query_lower(q, query_join(q, query_chain_start(q, i - 1, COLON), i - 1))
                                       : NULL;
        }
        return NULL;
}

/* The token that the cursor is in or behind; a word rather than what is between words. */
uint32_t query_token_at(const Query *q) {
        uint32_t found = UINT32_MAX;

        for (uint32_t i = 0; i < q->tokens.n; i++) {
                const Token *t = &q->tokens.items[i];
                if (query_before(q->at->line, q->at->column, t->pos.line, t->pos.column))
                        break;
                if (t->kind != NEWLINE && t->kind != 0 && !query_before(t->pos.end_line, t->pos.end_column, q->at->line, q->at->column) &&
                    (found == UINT32_MAX || query_is_word(t) || t->kind == STRING || !query_is_word(&q->tokens.items[found])))
                        found = i;
        }
        return found;
}
