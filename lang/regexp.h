/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A regular expression as a tree, between who reads it (regexp-parse.c) and who runs it (builtin-regexp.c). */

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/unicode-class.h"
#include "common/value.h"

enum { REGEXP_CHARACTER_MAX = 0x10ffff };

typedef struct RegexpRange {
        uint32_t low, high;
        struct RegexpRange *next;
} RegexpRange;

typedef struct RegexpClass {
        UnicodeClass class;
        bool negated;
        struct RegexpClass *next;
} RegexpClass;

typedef struct RegexpSet {
        RegexpRange *ranges;
        RegexpClass *classes;
        bool negated, fold;
} RegexpSet;

typedef enum RegexpKind {
        REGEXP_EMPTY,
        REGEXP_SET,
        REGEXP_CAT,             /* of its children */
        REGEXP_ALT,
        REGEXP_REPEAT,          /* of its only child */
        REGEXP_TEXT_BEGIN,
        REGEXP_TEXT_END,
        REGEXP_LINE_BEGIN,
        REGEXP_LINE_END,
        REGEXP_WORD_EDGE,
        REGEXP_NO_WORD_EDGE,
} RegexpKind;

typedef struct RegexpTree {
        RegexpKind kind;
        RegexpSet *set;
        unsigned min, max;      /* max 0: without end */
        unsigned repeats;       /* the product of all counts below */
        struct RegexpTree *children, *last, *next;
} RegexpTree;

/* In the arena. -EINVAL and what is wrong with the pattern; or -ENOMEM. */
int regexp_parse(RegexpTree **ret, Arena *arena, const ValueStr *pattern, Diag *reterr);

/* -EINVAL: the pattern says too much to be looked for. */
int regexp_refuse_size(Diag *reterr);
