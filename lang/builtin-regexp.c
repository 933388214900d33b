/* SPDX-License-Identifier: GPL-3.0-or-later */

/* regexp: whether a pattern matches somewhere in a text, in time that grows only with both of their lengths. The pattern becomes a
 * small program, and all the places of it that the text can have led to are followed at once, one character at a time. */

#include <errno.h>
#include <string.h>

#include "common/utf8.h"
#include "lang/builtins.h"
#include "lang/regexp.h"

enum {
        PROGRAM_MAX = 100000,
        PATTERN_MEMORY_MAX = 64 * 1024 * 1024,
};

/* ---- programs ---- */

typedef struct Step {
        RegexpKind kind;              /* REGEXP_ALT: go on at both; REGEXP_EMPTY: go on at next */
        const RegexpSet *set;
        uint32_t next, other;
} Step;

typedef struct Program {
        Step *steps;
        size_t n, capacity;
} Program;

static int emit(Program *g, RegexpKind kind, const RegexpSet *set) {
        if (g->n >= PROGRAM_MAX)
                return -E2BIG;
        int r = GROW(g->steps, g->n, g->capacity);
        if (r < 0)
                return r;
        g->steps[g->n] = (Step) { kind, set, (uint32_t) g->n + 1, (uint32_t) g->n + 1 };
        g->n++;
        return 0;
}

static int compile(Program *g, const RegexpTree *t);

static int compile_alternatives(Program *g, const RegexpTree *t) {
        size_t jumps = SIZE_MAX;        /* those to the end, chained through next */
        int r = 0;

        for (const RegexpTree *c = t->children; r >= 0 && c; c = c->next) {
                size_t split = g->n;
                if (c->next)
                        r = emit(g, REGEXP_ALT, NULL);
                if (r >= 0)
                        r = compile(g, c);
                if (r < 0 || !c->next)
                        break;
                r = emit(g, REGEXP_EMPTY, NULL);
                if (r < 0)
                        break;
                g->steps[g->n - 1].next = (uint32_t) jumps;
                jumps = g->n - 1;
                g->steps[split].other = (uint32_t) g->n;
        }
        while (r >= 0 && (uint32_t) jumps != UINT32_MAX) {
                size_t next = g->steps[jumps].next;
                g->steps[jumps].next = (uint32_t) g->n;
                jumps = next;
        }
        return r;
}

static int compile_repeat(Program *g, const RegexpTree *t) {
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < t->min; i++)
                r = compile(g, t->children);
        if (r >= 0 && t->max == 0) {
                size_t split = g->n;
                r = emit(g, REGEXP_ALT, NULL);
                if (r >= 0)
                        r = compile(g, t->children);
                if (r >= 0)
                        r = emit(g, REGEXP_EMPTY, NULL);
                if (r >= 0) {
                        g->steps[g->n - 1].next = (uint32_t) split;
                        g->steps[split].other = (uint32_t) g->n;
                }
                return r;
        }
        for (unsigned i = t->min; r >= 0 && i < t->max; i++) {
                size_t split = g->n;
                r = emit(g, REGEXP_ALT, NULL);
                if (r >= 0)
                        r = compile(g, t->children);
                if (r >= 0)
                        g->steps[split].other = (uint32_t) g->n;
        }
        return r;
}

static int compile(Program *g, const RegexpTree *t) {
        int r = 0;

        switch (t->kind) {
        case REGEXP_CAT:
                for (const RegexpTree *c = t->children; r >= 0 && c; c = c->next)
                        r = compile(g, c);
                return r;
        case REGEXP_ALT:
                return compile_alternatives(g, t);
        case REGEXP_REPEAT:
                return compile_repeat(g, t);
        default:
                return emit(g, t->kind, t->set);
        }
}

/* ---- running ---- */

/* What stands before and after a place in the text; REGEXP_CHARACTER_MAX + 1 is nothing. */
typedef struct Place {
        uint32_t before, after;
} Place;

/* Steps to be taken from a place, each once; dense is also the stack of those not looked at yet. */
typedef struct Steps {
        uint32_t *dense, *sparse;
        size_t n;
} Steps;

static bool is_word(uint32_t c) {
        return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80) || c == '_';
}

static bool class_has(const RegexpSet *set, const RegexpClass *class, uint32_t c) {
        bool has = unicode_class_has(class->class, c);

        if (!has && set->fold)
                has = unicode_class_has(class->class, unicode_fold(c)) || unicode_class_has(class->class, unicode_lower(c)) ||
                      unicode_class_has(class->class, unicode_upper(c));
        return has != class->negated;
}

static bool set_has(const RegexpSet *set, uint32_t c) {
        uint32_t folded = set->fold ? unicode_fold(c) : c;

        for (const RegexpRange *r = set->ranges; r; r = r->next)
                if ((c >= r->low && c <= r->high) || (folded >= r->low && folded <= r->high))
                        return !set->negated;
        for (const RegexpClass *class = set->classes; class; class = class->next)
                if (class_has(set, class, c))
                        return !set->negated;
        return set->negated;
}

static bool holds(RegexpKind kind, Place place) {
        const uint32_t nothing = REGEXP_CHARACTER_MAX + 1;

        switch (kind) {
        case REGEXP_TEXT_BEGIN:
                return place.before == nothing;
        case REGEXP_TEXT_END:
                return place.after == nothing;
        case REGEXP_LINE_BEGIN:
                return place.before == nothing || place.before == '\n';
        case REGEXP_LINE_END:
                return place.after == nothing || place.after == '\n';
        case REGEXP_WORD_EDGE:
                return is_word(place.before) != is_word(place.after);
        case REGEXP_NO_WORD_EDGE:
                return is_word(place.before) == is_word(place.after);
        default:
                return true;
        }
}

static void steps_add(Steps *s, uint32_t step) {
        uint32_t i = s->sparse[step];

        if (i < s->n && s->dense[i] == step)
                return;
        s->sparse[step] = (uint32_t) s->n;
        s->dense[s->n++] = step;
}

static bool run(const Program *g, const ValueStr *text, Steps *now, Steps *then) {
        const uint32_t nothing = REGEXP_CHARACTER_MAX + 1;
        Place place = { nothing, nothing };

        for (size_t i = 0;;) {
                size_t size = 1;

                place.after = nothing;
                if (i < text->size && (size = utf8_decode(text->data + i, text->size - i, &place.after)) == 0) {
                        place.after = 0xfffd;
                        size = 1;
                }
                steps_add(now, 0);              /* a match can begin anywhere */
                then->n = 0;
                for (size_t k = 0; k < now->n; k++) {
                        uint32_t at_step = now->dense[k];
                        if (at_step == g->n)
                                return true;
                        const Step *step = &g->steps[at_step];
                        if (step->kind == REGEXP_SET) {
                                if (place.after != nothing && set_has(step->set, place.after))
                                        steps_add(then, step->next);
                        } else if (holds(step->kind, place)) {
                                steps_add(now, step->next);
                                steps_add(now, step->other);
                        }
                }
                if (place.after == nothing)
                        return false;
                i += size;
                place.before = place.after;
                Steps swapped = *now;
                *now = *then;
                *then = swapped;
        }
}

static int match_program(const Program *g, const ValueStr *text, Value *ret) {
        uint32_t *memory = calloc(4 * (g->n + 1), sizeof(uint32_t));
        Steps now = { .dense = memory }, then;

        if (!memory)
                return -ENOMEM;
        now.sparse = memory + (g->n + 1);
        then = (Steps) { .dense = memory + 2 * (g->n + 1), .sparse = memory + 3 * (g->n + 1) };
        *ret = VALUE_BOOL(run(g, text, &now, &then));
        free(memory);
        return 0;
}

static int match(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_(arena_freep) Arena *arena = arena_new(PATTERN_MEMORY_MAX);
        Program g = {};
        RegexpTree *tree;

        if (!arena)
                return -ENOMEM;
        int r = regexp_parse(&tree, arena, args[0].s, reterr);
        if (r < 0)
                return r;
        r = compile(&g, tree);
        if (r >= 0)
                r = match_program(&g, args[1].s, ret);
        else if (r == -E2BIG)
                r = regexp_refuse_size(reterr);
        free(g.steps);
        return r;
}

const Builtin regexp_builtins[] = {
        { .name = "regexp.match", .signature = "func(pattern str, s str) bool", .eval = match, .flags = BUILTIN_PURE,
          .doc = "Whether the pattern matches somewhere in s.",
          .example = MCL(regexp.match("^web[0-9]+$", "web12")), .gives = MCL(true) },
        {}
};
