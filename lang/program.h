/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One program, from text to function graph: what the stages share. Everything static lives in the arena; what does not (files,
 * values, maps of scopes) is listed here and released with it. */

#include "common/map.h"
#include "common/suggest.h"
#include "lang/ast.h"
#include "lang/lang.h"

typedef struct FuncGraph FuncGraph;

/* Where values of one place in the program live while it runs: the file itself, each function, each body of a loop. */
typedef struct Level {
        struct Level *parent;
        uint32_t depth;
        uint32_t n_slots;
} Level;

typedef enum DefKind {
        DEF_BIND,               /* $x = …; also a parameter of a class, bound to the argument of an include */
        DEF_PARAM,              /* of a function, or a loop's variable */
        DEF_CONST,              /* the language's own variables */
        DEF_FUNC,
        DEF_BUILTIN,
        DEF_CLASS,
} DefKind;

/* What a name stands for. */
struct Def {
        DefKind kind;
        const char *name;
        Pos pos;
        Level *level;           /* BIND, PARAM: where its value lives, and at which place there */
        uint32_t slot;
        Expr *expr;             /* BIND */
        Stmt *stmt;             /* FUNC, CLASS */
        Scope *scope;           /* FUNC, CLASS: what its body sees */
        Module *module;         /* CLASS: where it stands */
        Level *definition;      /* FUNC: the level of the place where it is defined */
        const Builtin *builtin;
        const char *base;       /* BUILTIN: directory of the module that imported it */
        const Type *annotation; /* PARAM, CONST: its type, if the program says it */
        const Type *type;       /* BIND, PARAM, CONST: what inference found */
        Value value;            /* CONST */
        Defs uses;              /* BIND: other binds in it, in order of appearance */
        Defs needs;             /* BIND: those of them that it needs whatever happens */
        unsigned conditional;   /* PARAM: Program.conditional where it is defined */
        bool needed;            /* PARAM: its function looks at it whatever happens */
        bool inferred, checked, broken, visiting;
};

typedef enum NameKind {
        NAME_VAR,
        NAME_FUNC,
        NAME_CLASS,
        _NAME_KIND_MAX,
} NameKind;

typedef struct Alias {
        Stmt *stmt;             /* the import or include */
        Scope *scope;           /* what stands behind it; NULL until an include was opened */
        Scope *where;           /* of the block the include stands in */
        Level *level;
} Alias;

struct Scope {
        Scope *parent;
        Map *names[_NAME_KIND_MAX];     /* Def; owned by the program, NULL while empty */
        Map *aliases;                   /* Alias: imported modules and included classes */
        Defs params;                    /* searched one by one: few */
        AST_ARRAY(Scope *) stars;       /* import … as *; the last one counts most */
        Scope *next;                    /* of all scopes of the program */
};

/* A file that was read. */
typedef struct SourceFile {
        const char *path;
        char *text;             /* owned */
        size_t size;
} SourceFile;

/* A directory of mcl with its metadata. */
typedef struct Metadata {
        const char *base;       /* directory, with trailing slash */
        const char *main;       /* entry, relative to base */
        const char *path;       /* module directory, relative to base, or NULL */
        const char *files;
        bool parent_path_block;
        bool located;           /* read from a file, not made up */
        const struct Metadata *parent;  /* of the importing module */
} Metadata;

struct Module {
        const char *name;       /* how it was imported; NULL for the main program */
        Ast ast;
        Metadata *metadata;
        Module *parent;         /* who imports it */
        Scope *scope;           /* its top-level block, when it has been resolved */
};

typedef struct Lang {
        Arena *arena;
        LangHost host;
        LangOptions options;
        LangStage stage;        /* the one that runs, or failed */
        bool broken;            /* has errors, but was kept */
        Diags *errors;          /* of the compile that runs */
        size_t error_index;     /* the last one recorded; SIZE_MAX if it was dropped */

        AST_ARRAY(SourceFile *) files;
        AST_ARRAY(Value *) values;      /* in the arena, but with references to drop */
        Scope *scopes;
        Map *modules;           /* Scope: those made of builtins, by name */
        Scope *globals;
        Level *root;
        Module *main;

        /* scope.c, at work */
        unsigned call_depth;    /* functions and classes inside each other's copies */
        bool checking;          /* a definition is looked through; calls in it are not followed */
        Defs *uses, *needs;     /* of the bind or statement that is resolved */
        unsigned conditional;   /* inside of what may never be built: branches, functions that are values */
        unsigned known_depth;   /* known.c, likewise */

        FuncGraph *graph;       /* the running part, or NULL */
        uint64_t generation;    /* of the last change set */
} Program;

/* Records an error of the program: returns -EINVAL (or -ENOMEM). The same error at the same place counts once. */
int program_fail(Program *p, Pos pos, const char *format, ...) _printf_(3, 4);
int program_fail_diag(Program *p, Diag *d);             /* takes its content */
int program_oom(Program *p);
void program_note(Program *p, Pos pos, const char *format, ...) _printf_(3, 4);         /* on the last error */
void program_prefix(Program *p, size_t from, const char *format, ...) _printf_(3, 4);   /* errors from that one on */

void program_imported(Program *p, size_t from, Pos pos);        /* … stand in a module that is imported there */

/* "help: did you mean 'x'?", if anything was near. */
void program_suggest(Program *p, const Suggestion *s, const char *before);      /* before the name: "$", or "" */

/* The text of a file, read at most once. */
int program_read(Program *p, const char *path, const SourceFile **ret);
Value *program_value(Program *p, Value v);              /* keeps a value for the program's life; takes the reference */

/* Notes with a place that lang_error_text() shows as part of the message. */
#define NOTE_IMPORTED "note: imported here"
#define NOTE_CYCLE "note: and from here"

void program_release(Program *p);       /* everything but the running part and the struct itself */
Scope *scope_new(Program *p, Scope *parent);
Level *level_new(Program *p, Level *parent);

/* The stages. 0, or negative errno with errors recorded. */
int init_block(Program *p, Block *b);
int interpolate_block(Program *p, Block *b);
int scope_program(Program *p);
int unify_program(Program *p);
int check_metas(Program *p, const Block *b);           /* that no metaparameter is given twice */

/* name-order.c: refuses names that are defined by way of themselves. */
int order_check(Program *p, Block *b);

/* scope.c */
Def *scope_find(Program *p, Scope *s, NameKind kind, const char *name);
int scope_module(Program *p, Module *m, Scope *outer);

/* imports.c. The name under which an import is known if it has no alias: in the arena; NULL if the name is not valid, and the
 * reason is reported. */
const char *import_alias(Program *p, const Stmt *s);
/* What stands behind an import. outer is what the importing block itself was given. */
int import_open(Program *p, Module *importer, Stmt *s, Scope *outer, Scope **ret);
/* Reads and parses the file, and takes it through the stages before scope. *ret is there as soon as it has been parsed. */
int module_load(Program *p, const char *input, Module *parent, const char *name, Module **ret);

/* known.c: what can be said of an expression before it runs; NULL if nothing. Only after scope_program(). */
const Type *known_type(Program *p, Expr *e);
const Value *known_value(Program *p, Expr *e);

/* Values and types share their parts, so that a short program can make huge ones: $b = [$a, $a], $c = [$b, $b], … These are
 * the limits, in parts. */
enum {
        VALUE_PARTS_MAX = 4 * 1024 * 1024,
        KNOWN_PARTS_MAX = 1024 * 1024,
        TYPE_PARTS_MAX = 10 * 1000,
};
bool value_is_small(Value v, uint32_t max_parts); /* and not nested too deeply */
const Type *value_natural_type(Arena *a, Value v);      /* NULL if it cannot be told, as of an empty list */
