/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* JSON documents as they were written: those that are changed in places and written again, and those that are read as values of a
 * type. Nothing is lost: numbers keep their digits, and names may hold any character. (json-c, which is used for messages, has numbers
 * of 64 bits and names that end at a NUL.) */

#include <stddef.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/strbuf.h"

enum {
        JSON_DOCUMENT_DEPTH_MAX = 256,
        JSON_DOCUMENT_MEMORY_MAX = 64 * 1024 * 1024,    /* what an arena for one should be allowed */
};

typedef enum JsonKind {
        JSON_LITERAL,           /* a number, true, false or null */
        JSON_STRING,
        JSON_ARRAY,
        JSON_OBJECT,
} JsonKind;

typedef struct JsonText {
        const char *data;       /* no NUL at its end, but perhaps within; in the source or in the arena */
        size_t size;
} JsonText;

typedef struct JsonNode JsonNode;

typedef struct JsonMember {
        JsonText name;
        JsonNode *value;
        size_t order;           /* while an object is read: of members with one name the last counts */
} JsonMember;

struct JsonNode {
        JsonKind kind;
        size_t n, capacity;     /* of an array or an object */
        union {
                JsonText text;  /* a literal as it was written, a string as it is meant */
                JsonNode **items;
                JsonMember *members;    /* sorted by name, names are unique */
        };
};

/* Exactly one value, with white space around it. The nodes live in the arena and point into text. Errors name line and column. */
int json_document_parse(Arena *a, const char *text, size_t size, JsonNode **ret, Diag *reterr);

/* One value at the beginning of a text; what follows it counts for nothing. Half a surrogate pair becomes U+FFFD. -ENODATA: the text
 * ends before the value does. */
int json_document_parse_first(Arena *a, const char *text, size_t size, unsigned depth_max, JsonNode **ret, Diag *reterr);

/* The beginning of a text, for grammars that contain JSON: what is left is in *text and *size. */
int json_document_parse_string(Arena *a, const char **text, size_t *size, JsonText *ret, Diag *reterr);

JsonNode *json_object_new_empty(Arena *a);
JsonNode *json_object_find(const JsonNode *object, JsonText name);              /* NULL if there is none */
int json_object_put_member(Arena *a, JsonNode *object, JsonText name, JsonNode *value);
void json_object_remove(JsonNode *object, JsonText name);                       /* if it is there */

/* With a tab for each level, members sorted by the bytes of their names, no newline at the end. Fails, as a StrBuf does, for
 * want of memory or if the text becomes absurdly long. */
void json_document_print(StrBuf *b, const JsonNode *node);
