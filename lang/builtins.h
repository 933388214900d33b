/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The standard library: one row per function, in builtin-<module>.c under the functions themselves. Arity and types are
 * checked before eval runs, so eval checks no arguments. */

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/diag.h"
#include "common/type.h"
#include "common/value.h"

typedef struct Builtin Builtin;

/* What is known of an argument before anything runs. */
typedef struct BuiltinArg {
        const Type *type;       /* or NULL; may have unknown parts */
        const Value *value;     /* or NULL */
} BuiltinArg;

typedef struct BuiltinCall {
        const Builtin *builtin;
        const Type *type;       /* what unification made of the signature */
        const char *field;      /* BUILTIN_TAKES_FIELD, BUILTIN_TAKES_SYMBOL: that name */
        const char *base;       /* directory of the module that imported the function, with trailing slash */
        const void *host;       /* LangHost of the program */
        struct FuncGraph *graph;        /* where it is computed, and by which node; NULL: ahead of time, or in a test */
        struct Node *node;
        bool early;             /* computed ahead of time: nothing outside may be asked */
} BuiltinCall;

enum {
        BUILTIN_CATCHABLE = 1,  /* what eval returns for an error that <|> may catch; it stands in reterr */
};

typedef enum BuiltinFlags {
        BUILTIN_PURE            = 1 << 0,       /* equal arguments give equal results: may be computed early */
        BUILTIN_TAKES_FIELD     = 1 << 1,       /* the second argument is the name of a field, known by syntax */
        BUILTIN_PER_ELEMENT     = 1 << 2,       /* not evaluated: the function graph calls a function per element, see each */
        BUILTIN_SOURCE          = 1 << 3,       /* not evaluated: its value comes from outside, by a SourceType of its name */
        BUILTIN_AT_ONCE         = 1 << 4,       /* with SOURCE: says one value and none later; templates may ask it */
        BUILTIN_TAKES_SYMBOL    = 1 << 5,       /* the first argument is an operator, known by syntax */
} BuiltinFlags;

/* What is made of the results of a function that is called for each element. */
typedef enum BuiltinEach {
        BUILTIN_EACH_NONE,
        BUILTIN_EACH_MAP,
        BUILTIN_EACH_FILTER,
        BUILTIN_EACH_ZIP,
        BUILTIN_EACH_REDUCE,
} BuiltinEach;

/* 0 and a reference in *ret, BUILTIN_CATCHABLE, or negative errno. */
typedef int BuiltinEval(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr);

/* mcl, as it stands in a program, as a C string: for examples. */
#define MCL(...) #__VA_ARGS__

struct Builtin {
        const char *name;       /* "strings.has_prefix", "golang/strings.join", "len" */
        const char *signature;  /* its type; for those with infer, what the manual shows */
        unsigned flags;
        BuiltinEach each;
        const char *doc;        /* a sentence, or a few, in which arguments go by their names */
        const char *example;    /* a call of it, under its module's own name */
        const char *gives;      /* the value of the example, printed; NULL: it depends on the world */

        /* The type of one call, for functions whose type depends on their arguments. Unknown parts are ?1, ?2, …, which are
         * replaced by fresh ones. */
        int (*infer)(Arena *arena, const BuiltinArg *args, size_t n, const Type **ret, Diag *reterr);
        /* How the arguments are named; -1 where infer alone decides how many there are. */
        int n_args_max;

        /* Whether eval can take these values: for asking before types are checked, where infer alone knows the types. */
        bool (*fits)(const Value *args, size_t n);

        /* Refuses types that the signature cannot rule out. */
        int (*check)(const BuiltinCall *call, Diag *reterr);

        BuiltinEval *eval;      /* NULL only with PER_ELEMENT and SOURCE */
        /* What does the same for calls with this first argument, or NULL. */
        BuiltinEval *(*choose)(Value first);
};

/* Rows of functions whose value comes from outside: again and again, or once for each time that they are asked. */
#define BUILTIN_WATCHED(n, s, d, e) { .name = (n), .signature = (s), .flags = BUILTIN_SOURCE, .doc = (d), .example = (e) }
#define BUILTIN_ASKED(n, s, d, e) \
        { .name = (n), .signature = (s), .flags = BUILTIN_SOURCE | BUILTIN_AT_ONCE, .doc = (d), .example = (e) }

const Builtin *builtin_find(const char *name);
const Builtin *builtin_at(size_t i);            /* all of them; NULL at the end */
const char *builtin_title(const Builtin *b);    /* the name without its module */

/* The module of the name ("golang/strings"), or "" for those that need no import; *ret_size is its length. */
const char *builtin_module(const Builtin *b, size_t *ret_size);

/* The signature, parsed once. NULL for those with infer. */
const Type *builtin_type(const Builtin *b);

/* The name of argument i: that of the signature, or a, b, … z, aa, …. In the arena. */
const char *builtin_arg_name(Arena *arena, const Builtin *b, size_t i);

/* Variables and constants that programs can use without defining them: with a dot those of a module, or of the tree $const. */
typedef struct BuiltinConst {
        const char *name;
        const char *text;       /* NULL: it is the number */
        int64_t number;
        bool is_hostname;       /* neither: it is what the host is called */
} BuiltinConst;
extern const BuiltinConst builtin_consts[];     /* ends with an empty row */

/* What of a module is not a function of C but a program; NULL: nothing. */
extern const char example_source[];
const char *builtin_module_text(const char *module);

/* While call is evaluated, by its eval: the value of a function b whose flag is SOURCE; as eval. If there is none yet this fails, and
 * call is evaluated again when there is one, or another one. args are borrowed. */
int builtin_ask(const BuiltinCall *call, const Builtin *b, const Value *args, size_t n, Value *ret, Diag *reterr);

/* Likewise, without a value: call depends on what this source says, where there is one. Fails where call is computed early. */
int builtin_follow(const BuiltinCall *call, const char *source, Diag *reterr);

/* Shared between modules that have the same function under two names. */
int list_lookup(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr);
int map_lookup(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr);
