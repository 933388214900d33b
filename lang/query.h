/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What editors ask of a program: what a name stands for, and which names could stand somewhere. The text may be newer than the
 * program that was compiled, and need not be right: it is read by the lexer alone, and the names come from the compiler. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "lang/lang.h"

typedef enum QueryKind {
        QUERY_VARIABLE,
        QUERY_FUNCTION,
        QUERY_CLASS,
        QUERY_MODULE,
        QUERY_RESOURCE,         /* a kind */
        QUERY_FIELD,
        QUERY_META,
        QUERY_PROPERTY,         /* Before, Notify, … */
        QUERY_KEYWORD,
} QueryKind;

/* The strings live as long as the program. */
typedef struct QueryItem {
        QueryKind kind;
        const char *name;       /* as a program writes it: "$x", "fmt.printf", "Http:Server" */
        const char *type;       /* of a field its type, of a function its signature; NULL if nothing is known */
        const char *doc;        /* NULL if there is none */
        Pos definition;         /* line 0 if it stands in no file */
} QueryItem;

/* What every resource can be told: Depend, Meta, Notify, … Ends with an empty row. */
extern const QueryItem query_properties[];

typedef struct QueryPlace {
        const char *file;       /* as the compiler calls it */
        const char *text;
        size_t size;
        uint32_t line, column;  /* as in Pos; a cursor stands before that character */
} QueryPlace;

/* Whether the file is one of those that could be parsed. */
bool query_knows(Lang *l, const char *file);

/* 1 and what the name there stands for, with its place in the text; 0 if there is none, or nothing is known; -ENOMEM. The program
 * may have errors (LangOptions.keep). */
int query_at(Lang *l, const QueryPlace *at, QueryItem *ret, Pos *ret_pos);

/* Calls back for everything that begins with what stands before the cursor and could be meant, in no order; *ret_column is where
 * that begins, on the same line. 0 or -ENOMEM. */
int query_complete(Lang *l, const QueryPlace *at, int (*add)(void *userdata, const QueryItem *item), void *userdata, uint32_t *ret_column);
