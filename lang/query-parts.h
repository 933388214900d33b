/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files behind lang/query.h share. */

#include "lang/lexer.h"
#include "lang/program.h"
#include "lang/query.h"

typedef AST_ARRAY(Token) Tokens;

/* What encloses a token. */
typedef enum FrameKind {
        FRAME_BLOCK,            /* statements */
        FRAME_RESOURCE,         /* items */
        FRAME_OTHER,            /* expressions */
} FrameKind;

typedef struct Frame {
        FrameKind kind;
        uint32_t first;         /* token with which the statement or item begins */
        bool fresh;             /* the next token begins one */
        const char *resource;   /* kind */
} Frame;
typedef AST_ARRAY(Frame) Frames;

/* What encloses a place in the tree, outermost first: a block, or whatever has parameters. */
typedef struct Surrounding {
        const Block *block;
        const Params *params;
        const Param *loop[2];
} Surrounding;
typedef AST_ARRAY(Surrounding) Surroundings;

typedef struct Query {
        Program *program;
        Arena *arena;           /* for what dies with the query */
        const QueryPlace *at;
        Tokens tokens;
        Comments comments;
        Frames frames;
        Surroundings around;
        unsigned visits;
} Query;

/* query-tokens.c. Token numbers beyond the last one, or before the first (unsigned), are of kind 0. */
int query_read_tokens(Query *q);        /* the whole text, or up to what is no token */
int query_read_frames(Query *q, uint32_t n);    /* those that token n stands in */
const Frame *query_top(const Query *q);
int query_token(const Query *q, uint32_t i);
bool query_is_name(int kind);
bool query_is_word(const Token *t);
bool query_before(uint32_t line, uint32_t column, uint32_t other_line, uint32_t other_column);
const char *query_join(Query *q, uint32_t from, uint32_t to);
uint32_t query_chain_start(const Query *q, uint32_t i, int separator);
uint32_t query_chain_end(const Query *q, uint32_t i, int separator);
uint32_t query_token_at(const Query *q);        /* UINT32_MAX: none */
const char *query_half_kind(Query *q, uint32_t close);
const char *query_lower(Query *q, const char *name);

/* query-tree.c */
int query_enter(Query *q, const Block *b);      /* fills around */
const Type *query_type_at(Query *q, Pos pos);   /* of the variable that is used there; NULL if it is not known */

/* query.c. Descriptions lack the name. */
int query_begin(Query *q, Lang *l, const QueryPlace *at, Diags *errors);
void query_end(Query *q, Diags *errors);
void query_describe_stmt(const Query *q, const Stmt *s, QueryItem *ret);
void query_describe_def(const Query *q, const Def *d, QueryItem *ret);
void query_describe_param(const Query *q, const Param *x, QueryItem *ret);
void query_describe_field(const Query *q, const SchemaField *f, QueryItem *ret);
void query_describe_meta(const Query *q, const FieldSpec *f, QueryItem *ret);
const char *query_defined_name(const Stmt *s, NameKind kind);
const char *query_capitalize(const Query *q, const char *name);
