/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The fourth stage: points every name at its definition. Scopes are linked, never merged, so that an import costs nothing until
 * something in it is used. What is polymorphic is copied here, once per use: the function of each call by name, the body of
 * each include. A block is opened (its names are known) before it is resolved (what stands in it is looked at), because an
 * include … as may be asked for names before its own turn comes. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"
#include "lang/program.h"

enum { CALL_DEPTH_MAX = 500 };

static int resolve_expr(Program *p, Expr *e, Scope *s, Level *level);
static int resolve_block(Program *p, Block *b, Level *level, Module *m);

/* ---- finding names ---- */

static int open_include(Program *p, Alias *a);

static Def *find_here(Program *p, Scope *s, NameKind kind, const char *name, const char *dot) {
        Def *d;

        if (kind == NAME_VAR)
                for (uint32_t i = s->params.n; i-- > 0;)
                        if (streq(s->params.items[i]->name, name))
                                return s->params.items[i];
        d = map_get(s->names[kind], name);
        if (d)
                return d;
        if (dot && s->aliases) {
                Alias *a = map_get_n(s->aliases, name, (size_t) (dot - name));
                if (a && (a->scope || open_include(p, a) >= 0)) {
                        d = scope_find(p, a->scope, kind, dot + 1);
                        if (d)
                                return d;
                }
        }
        for (uint32_t i = s->stars.n; i-- > 0;) {
                d = scope_find(p, s->stars.items[i], kind, name);
                if (d)
                        return d;
        }
        return NULL;
}

Def *scope_find(Program *p, Scope *s, NameKind kind, const char *name) {
        const char *dot = strchr(name, '.');

        for (; s; s = s->parent) {
                Def *d = find_here(p, s, kind, name, dot);
                if (d)
                        return d;
        }
        return NULL;
}

/* Adds all names of one scope, as a program would write them. */
static void suggest_names(Program *p, Suggestion *near, const Scope *s, NameKind kind, const char *prefix) {
        const char *name;
        void *value;
        size_t i = 0;

        for (uint32_t j = 0; kind == NAME_VAR && j < s->params.n; j++)
                suggestion_add(near, s->params.items[j]->name);
        while (map_next(s->names[kind], &i, &name, &value)) {
                const char *full = prefix[0] ? arena_printf(p->arena, "%s%s", prefix, name) : name;
                if (full && name[0] != '_')
                        suggestion_add(near, full);
        }
}

/* The names of modules that were imported, as alias.name. */
static void suggest_imported(Program *p, Suggestion *near, const Scope *s, NameKind kind) {
        const char *alias;
        void *value;
        size_t i = 0;

        while (map_next(s->aliases, &i, &alias, &value)) {
                const Alias *a = value;
                const char *prefix = arena_printf(p->arena, "%s.", alias);
                if (a->scope && prefix)
                        suggest_names(p, near, a->scope, kind, prefix);
        }
}

/* Whether name is that of the function with the last part of its module before it: "net.cidr" would be of "golang/net". */
static bool is_called(const Builtin *b, const char *name) {
        const char *dot = strchr(name, '.');
        size_t n, size = (size_t) (dot - name);
        const char *module = builtin_module(b, &n);
        const char *slash = memrchr(module, '/', n), *last = slash ? slash + 1 : module;

        return (size_t) (module + n - last) == size && memcmp(last, name, size) == 0 && streq(builtin_title(b), dot + 1);
}

/* A function of a module that was not imported is the most common case of all. */
static void suggest_import(Program *p, const char *name) {
        const Builtin *b;

        for (size_t i = 0; (b = builtin_at(i)); i++)
                if (is_called(b, name)) {
                        size_t n;
                        const char *module = builtin_module(b, &n);
                        program_note(p, (Pos) {}, "help: import \"%.*s\" first", (int) n, module);
                        return;
                }
}

static void suggest(Program *p, const Scope *s, NameKind kind, const char *name, const char *before) {
        if (p->error_index == SIZE_MAX) /* nobody will read it, and it looks at every name */
                return;

        Suggestion near = suggestion_for(name);
        bool dotted = strchr(name, '.');

        for (; s; s = s->parent) {
                suggest_names(p, &near, s, kind, "");
                if (dotted)
                        suggest_imported(p, &near, s, kind);
        }
        program_suggest(p, &near, before);
        if (!near.best && kind == NAME_FUNC && dotted)
                suggest_import(p, name);
}

static int undefined(Program *p, const Scope *s, NameKind kind, const char *name, Pos pos, bool lambda) {
        static const char *const what[_NAME_KIND_MAX] = { "var", "func", "class" };

        program_fail(p, pos, "%s `%s%s` does not exist in this scope", lambda ? "lambda" : what[kind],
                     lambda ? "$$" : kind == NAME_VAR ? "$" : "", name);
        suggest(p, s, kind, name, kind == NAME_VAR ? "$" : "");
        return -EINVAL;
}

/* ---- expressions ---- */

static int resolve_exprs(Program *p, Exprs *list, Scope *s, Level *level) {
        int r = 0;

        for (uint32_t i = 0; i < list->n; i++) {
                int k = resolve_expr(p, list->items[i], s, level);
                r = r < 0 ? r : k;
        }
        return r;
}

static int use(Program *p, Def *d) {
        if (d->kind == DEF_PARAM && p->conditional == d->conditional)
                d->needed = true;
        if (d->kind != DEF_BIND || !p->uses)
                return 0;
        if (AST_PUSH(p->arena, p->uses, d) < 0 || (p->conditional == 0 && AST_PUSH(p->arena, p->needs, d) < 0))
                return program_oom(p);
        return 0;
}

static int resolve_var(Program *p, Expr *e, const char *name, Scope *s, bool lambda) {
        Def *d = scope_find(p, s, NAME_VAR, name);

        if (!d)
                return undefined(p, s, NAME_VAR, name, e->pos, lambda);
        e->var.name = name;
        e->var.def = d;
        return use(p, d);
}

static Def *param_new(Program *p, Param *x, Level *level) {
        Def *d = arena_new0(p->arena, Def);
        if (!d)
                return NULL;
        *d = (Def) { .kind = DEF_PARAM, .name = x->name, .pos = x->pos, .annotation = x->type, .level = level, .slot = level->n_slots++,
                      .conditional = p->conditional };
        x->def = d;
        return d;
}

static int resolve_func(Program *p, Expr *e, Scope *outer, Level *outer_level) {
        Level *level = level_new(p, outer_level);
        Scope *s = scope_new(p, outer);
        size_t before = p->errors->n;

        if (!level || !s)
                return program_oom(p);
        e->fn->level = level;
        for (uint32_t i = 0; i < e->fn->params.n; i++) {
                Def *d = param_new(p, &e->fn->params.items[i], level);
                if (!d || AST_PUSH(p->arena, &s->params, d) < 0)
                        return program_oom(p);
        }
        int r = resolve_expr(p, e->fn->body, s, level);
        if (r < 0 && r != -ENOMEM)
                program_prefix(p, before, "failed to set scope on function body");
        return r;
}

/* Looks through a function once, whether it is called or not. */
static int check_func(Program *p, Def *d) {
        if (d->checked)
                return d->broken ? -EINVAL : 0;
        d->checked = true;

        bool checking = p->checking;
        Defs *uses = p->uses;
        Expr *copy = expr_copy(p->arena, d->stmt->func.fn);
        if (!copy)
                return program_oom(p);
        p->checking = true;
        p->uses = NULL;
        int r = resolve_func(p, copy, d->scope, d->definition);
        p->checking = checking;
        p->uses = uses;
        d->broken = r < 0;
        return r;
}

static int resolve_named_call(Program *p, Expr *e, Scope *s) {
        Def *d = scope_find(p, s, NAME_FUNC, e->call.name);

        if (!d)
                return undefined(p, s, NAME_FUNC, e->call.name, e->pos, false);
        if (d->kind == DEF_BUILTIN) {
                Expr *callee = expr_new(p->arena, EXPR_BUILTIN, e->pos);
                if (!callee)
                        return program_oom(p);
                callee->builtin = d->builtin;
                callee->base = d->base;
                if (d->builtin->flags & (BUILTIN_TAKES_FIELD | BUILTIN_TAKES_SYMBOL)) {
                        uint32_t i = d->builtin->flags & BUILTIN_TAKES_FIELD ? 1 : 0;
                        if (e->call.args.n > i && e->call.args.items[i]->kind == EXPR_STR)
                                callee->field = e->call.args.items[i]->str.text;
                }
                e->call.callee = callee;
                return 0;
        }
        int r = check_func(p, d);
        if (r < 0 || p->checking)
                return r;
        if (p->call_depth >= CALL_DEPTH_MAX)
                return program_fail(p, e->pos, "functions call each other more than %d levels deep", CALL_DEPTH_MAX);
        Expr *copy = expr_copy(p->arena, d->stmt->func.fn);
        if (!copy)
                return program_oom(p);
        p->call_depth++;
        r = resolve_func(p, copy, d->scope, d->definition);
        p->call_depth--;
        e->call.callee = copy;
        return r;
}

static int resolve_call(Program *p, Expr *e, Scope *s, Level *level) {
        int r, k;

        if (e->form == CALL_LAMBDA)
                r = resolve_func(p, e->call.callee, s, level);
        else if (e->form == CALL_VAR) {
                Expr *callee = expr_new(p->arena, EXPR_VAR, e->pos);
                if (!callee)
                        return program_oom(p);
                r = resolve_var(p, callee, e->call.name, s, true);
                if (r >= 0 && callee->var.def->kind == DEF_BIND)
                        callee->pos = callee->var.def->expr->pos;
                else if (r >= 0 && callee->var.def->pos.line > 0)
                        callee->pos = callee->var.def->pos;
                e->call.callee = callee;
        } else
                r = resolve_named_call(p, e, s);
        k = resolve_exprs(p, &e->call.args, s, level);
        return r < 0 ? r : k;
}

static int resolve_expr(Program *p, Expr *e, Scope *s, Level *level) {
        int r = 0, k;

        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                return resolve_exprs(p, &e->list, s, level);
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        k = resolve_expr(p, e->map.items[i].key, s, level);
                        r = r < 0 ? r : k;
                        k = resolve_expr(p, e->map.items[i].value, s, level);
                        r = r < 0 ? r : k;
                }
                return r;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++) {
                        k = resolve_expr(p, e->st.items[i].value, s, level);
                        r = r < 0 ? r : k;
                }
                return r;
        case EXPR_FUNC:
                p->conditional++;
                r = resolve_func(p, e, s, level);
                p->conditional--;
                return r;
        case EXPR_VAR:
                return resolve_var(p, e, e->var.name, s, false);
        case EXPR_CALL:
                return resolve_call(p, e, s, level);
        case EXPR_IF:
                r = resolve_expr(p, e->branch.condition, s, level);
                p->conditional++;
                k = resolve_expr(p, e->branch.then, s, level);
                r = r < 0 ? r : k;
                k = resolve_expr(p, e->branch.otherwise, s, level);
                p->conditional--;
                return r < 0 ? r : k;
        case EXPR_EXCEPT:
                r = resolve_expr(p, e->except.value, s, level);
                p->conditional++;
                k = resolve_expr(p, e->except.fallback, s, level);
                p->conditional--;
                return r < 0 ? r : k;
        default:
                return 0;
        }
}

/* ---- opening blocks ---- */

/* What defines a name in a block, for refusing a second definition. */
static int define_once(Program *p, Map **keys, const char *space, const char *name, Stmt *s) {
        if (!*keys && !(*keys = map_new()))
                return program_oom(p);

        const char *key = arena_printf(p->arena, "%s:%s", space, name);
        if (!key)
                return program_oom(p);
        Stmt *first = map_get(*keys, key);
        if (first) {
                program_fail(p, s->pos, "could not generate ordering: duplicate assignment to `%s`, have: %s", key,
                             stmt_text(p->arena, first) ?: "?");
                program_note(p, first->pos, "note: it is defined here already");
                return -EINVAL;
        }
        return map_put(*keys, key, s) < 0 ? program_oom(p) : 0;
}

static int scope_put(Program *p, Scope *s, NameKind kind, Def *d) {
        if (!s->names[kind] && !(s->names[kind] = map_new()))
                return program_oom(p);
        return map_put(s->names[kind], d->name, d) < 0 ? program_oom(p) : 0;
}

static int alias_put(Program *p, Scope *s, const char *name, Alias a) {
        Alias *kept = arena_new0(p->arena, Alias);

        if (!kept || (!s->aliases && !(s->aliases = map_new())) || map_put(s->aliases, name, kept) < 0)
                return program_oom(p);
        *kept = a;
        return 0;
}

static int open_imports(Program *p, Block *b, Scope *s, Module *m) {
        _cleanup_(map_freep) Map *names = NULL;
        int r = 0;

        for (uint32_t i = 0; i < b->n; i++) {
                Stmt *import = b->items[i];
                Scope *found = NULL;
                if (import->kind != STMT_IMPORT)
                        continue;
                if (!names && !(names = map_new()))
                        return program_oom(p);

                Stmt *first = map_get(names, import->import.name);
                if (first) {
                        r = program_fail(p, import->pos, "import `%s` already exists in this scope", import->import.name);
                        program_note(p, first->pos, "note: it is imported here already");
                        continue;
                }
                if (map_put(names, import->import.name, import) < 0)
                        return program_oom(p);
                const char *alias = import_alias(p, import);
                if (!alias) {
                        r = -EINVAL;
                        continue;
                }
                if (!import->import.star && s->aliases && map_get(s->aliases, alias)) {
                        r = program_fail(p, import->pos, "import alias `%s` already exists in this scope", alias);
                        continue;
                }
                int k = import_open(p, m, import, s->parent, &found);
                if (k < 0)
                        r = k;
                else if (import->import.star)
                        k = AST_PUSH(p->arena, &s->stars, found) < 0 ? program_oom(p) : 0;
                else
                        k = alias_put(p, s, alias, (Alias) { .stmt = import, .scope = found });
                r = k < 0 ? k : r;
        }
        return r;
}

static Def *def_new(Program *p, DefKind kind, const char *name, Stmt *stmt, Scope *s, Level *level) {
        Def *d = arena_new0(p->arena, Def);
        if (!d) {
                program_oom(p);
                return NULL;
        }
        *d = (Def) { .kind = kind, .name = name, .pos = stmt->pos, .stmt = stmt, .scope = s, .definition = level };
        return d;
}

static int open_stmt(Program *p, Stmt *s, Scope *scope, Level *level, Module *m, Map **keys) {
        Def *d;
        int r;

        switch (s->kind) {
        case STMT_BIND:
                r = define_once(p, keys, "var", s->bind.name, s);
                if (r < 0)
                        return r;
                d = s->bind.def = def_new(p, DEF_BIND, s->bind.name, s, scope, level);
                if (!d)
                        return -ENOMEM;
                d->expr = s->bind.value;
                d->level = level;
                d->slot = level->n_slots++;
                return scope_put(p, scope, NAME_VAR, d);
        case STMT_FUNC:
                r = define_once(p, keys, "func", s->func.name, s);
                d = r < 0 ? NULL : def_new(p, DEF_FUNC, s->func.name, s, scope, level);
                return d ? scope_put(p, scope, NAME_FUNC, d) : r < 0 ? r : -ENOMEM;
        case STMT_CLASS:
                r = define_once(p, keys, "class", s->class.name, s);
                d = r < 0 ? NULL : def_new(p, DEF_CLASS, s->class.name, s, scope, level);
                if (!d)
                        return r < 0 ? r : -ENOMEM;
                d->module = m;
                return scope_put(p, scope, NAME_CLASS, d);
        case STMT_IMPORT:
                return s->import.star ? 0 : define_once(p, keys, "scoped", s->import.alias ?: s->import.name, s);
        case STMT_INCLUDE:
                if (!s->include.alias)
                        return 0;
                r = define_once(p, keys, "scoped", s->include.alias, s);
                if (r < 0)
                        return r;
                if (map_get(scope->aliases, s->include.alias))
                        return program_fail(p, s->pos, "import/include alias `%s` already exists in this scope", s->include.alias);
                return alias_put(p, scope, s->include.alias, (Alias) { .stmt = s, .where = scope, .level = level });
        default:
                return 0;
        }
}

static int open_block(Program *p, Block *b, Scope *outer, Level *level, Module *m) {
        _cleanup_(map_freep) Map *keys = NULL;
        int r, k;

        b->scope = scope_new(p, outer);
        if (!b->scope)
                return program_oom(p);
        r = open_imports(p, b, b->scope, m);
        for (uint32_t i = 0; i < b->n; i++) {
                k = open_stmt(p, b->items[i], b->scope, level, m, &keys);
                r = k < 0 ? k : r;
        }
        return r;
}

/* Gives an include its own copy of the class, with the parameters bound to the arguments. */
static int open_class(Program *p, Stmt *s, Scope *where, Level *level) {
        Def *class = scope_find(p, where, NAME_CLASS, s->include.name);
        int r;

        if (s->include.body)
                return s->include.broken ? -EINVAL : 0;
        if (!class)
                return undefined(p, where, NAME_CLASS, s->include.name, s->pos, false);

        const Stmt *c = class->stmt;
        if (c->class.params.n != s->include.args.n) {
                program_fail(p, s->pos, "class `%s` expected %u args but got %u", s->include.name, c->class.params.n,
                             s->include.args.n);
                program_note(p, c->pos, "note: the class is defined here");
                return -EINVAL;
        }
        if (p->call_depth >= CALL_DEPTH_MAX)
                return program_fail(p, s->pos, "classes include each other more than %d levels deep", CALL_DEPTH_MAX);
        s->include.body = block_copy(p->arena, c->class.body);
        Scope *inside = scope_new(p, class->scope);
        if (!s->include.body || !inside)
                return program_oom(p);
        s->include.broken = true;
        s->include.module = class->module;
        for (uint32_t i = 0; i < c->class.params.n; i++) {
                Param x = c->class.params.items[i];
                Def *d = arena_new0(p->arena, Def);
                if (!d)
                        return program_oom(p);
                *d = (Def) { .kind = DEF_BIND, .name = x.name, .pos = x.pos, .expr = s->include.args.items[i],
                             .level = level, .slot = level->n_slots++ };
                x.def = d;
                if (AST_PUSH(p->arena, &s->include.params, x) < 0 || AST_PUSH(p->arena, &inside->params, d) < 0)
                        return program_oom(p);
        }
        p->call_depth++;
        r = open_block(p, s->include.body, inside, level, class->module);
        p->call_depth--;
        s->include.broken = r < 0;
        return r;
}

static int open_include(Program *p, Alias *a) {
        int r = open_class(p, a->stmt, a->where, a->level);

        if (r >= 0)
                a->scope = a->stmt->include.body->scope;
        return r;
}

/* ---- resolving blocks ---- */

static int resolve_bind(Program *p, Def *d, Scope *s, Level *level) {
        Defs *uses = p->uses, *needs = p->needs;
        unsigned conditional = p->conditional;

        p->uses = &d->uses;
        p->needs = &d->needs;
        p->conditional = 0;
        int r = resolve_expr(p, d->expr, s, level);
        p->uses = uses;
        p->needs = needs;
        p->conditional = conditional;
        d->broken = r < 0;
        return r;
}

static int resolve_nested(Program *p, Block *b, Scope *s, Level *level, Module *m) {
        int r = open_block(p, b, s, level, m);

        return r < 0 ? r : resolve_block(p, b, level, m);
}

static int resolve_loop(Program *p, Stmt *s, Scope *outer, Level *outer_level, Module *m) {
        int r = resolve_expr(p, s->loop.over, outer, outer_level), k;
        Level *level = level_new(p, outer_level);
        Scope *inside = scope_new(p, outer);

        if (!level || !inside)
                return program_oom(p);
        Def *first = param_new(p, &s->loop.first, level), *second = param_new(p, &s->loop.second, level);
        if (!first || !second || AST_PUSH(p->arena, &inside->params, first) < 0 ||
            AST_PUSH(p->arena, &inside->params, second) < 0)
                return program_oom(p);
        s->loop.level = level;
        k = resolve_nested(p, s->loop.body, inside, level, m);
        return r < 0 ? r : k;
}

static int resolve_include(Program *p, Stmt *s, Scope *scope, Level *level) {
        int r = open_class(p, s, scope, level), k;

        if (r < 0) {
                k = resolve_exprs(p, &s->include.args, scope, level);
                return r;
        }
        for (uint32_t i = 0; i < s->include.params.n; i++) {
                k = resolve_bind(p, s->include.params.items[i].def, scope, level);
                r = k < 0 ? k : r;
        }
        p->call_depth++;
        k = resolve_block(p, s->include.body, level, s->include.module);
        p->call_depth--;
        return k < 0 ? k : r;
}

static int resolve_stmt(Program *p, Stmt *s, Scope *scope, Level *level, Module *m) {
        int r = 0, k;

        switch (s->kind) {
        case STMT_BIND:
                return s->bind.def ? resolve_bind(p, s->bind.def, scope, level) : 0;
        case STMT_RESOURCE:
                r = resolve_expr(p, s->resource.name, scope, level);
                for (uint32_t i = 0; i < s->resource.items.n; i++) {
                        Item *item = s->resource.items.items[i];
                        if (item->kind == ITEM_COLLECT) {
                                k = resolve_named_call(p, item->value, p->globals);
                                r = k < 0 ? k : r;
                                continue;
                        }
                        if (item->condition) {
                                k = resolve_expr(p, item->condition, scope, level);
                                r = k < 0 ? k : r;
                        }
                        k = resolve_expr(p, item->half ? item->half->name : item->value, scope, level);
                        r = k < 0 ? k : r;
                }
                return r;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++) {
                        k = resolve_expr(p, s->edge.items[i]->name, scope, level);
                        r = k < 0 ? k : r;
                }
                return r;
        case STMT_IF:
                r = resolve_expr(p, s->branch.condition, scope, level);
                k = resolve_nested(p, s->branch.then, scope, level, m);
                r = k < 0 ? k : r;
                k = s->branch.otherwise ? resolve_nested(p, s->branch.otherwise, scope, level, m) : 0;
                return k < 0 ? k : r;
        case STMT_FOR:
        case STMT_FORKV:
                return resolve_loop(p, s, scope, level, m);
        case STMT_FUNC: {
                Def *d = map_get(scope->names[NAME_FUNC], s->func.name);
                return d && d->stmt == s ? check_func(p, d) : 0;
        }
        case STMT_INCLUDE:
                return resolve_include(p, s, scope, level);
        case STMT_CLASS:
        case STMT_IMPORT:
                return 0;
        }
        return 0;
}

/* Definitions first, then what uses them. */
static int resolve_block(Program *p, Block *b, Level *level, Module *m) {
        Defs *uses = p->uses, *needs = p->needs;
        int r = 0;

        for (int definitions = 1; definitions >= 0; definitions--)
                for (uint32_t i = 0; i < b->n; i++) {
                        Stmt *s = b->items[i];
                        if ((s->kind == STMT_BIND || s->kind == STMT_FUNC) != definitions)
                                continue;
                        p->uses = &s->uses;
                        p->needs = &s->needs;
                        int k = resolve_stmt(p, s, b->scope, level, m);
                        r = k < 0 ? k : r;
                }
        p->uses = uses;
        p->needs = needs;
        return r;
}

int scope_module(Program *p, Module *m, Scope *outer) {
        int r = open_block(p, m->ast.block, outer, p->root, m);
        if (r < 0)
                return r;
        m->scope = m->ast.block->scope;
        r = order_check(p, m->ast.block);
        return r < 0 ? r : resolve_block(p, m->ast.block, p->root, m);
}

/* ---- what every program starts with ---- */

static int add_const(Program *p, const char *name, const Type *type, Value v) {
        Def *d = arena_new0(p->arena, Def);
        Value *kept = program_value(p, v);

        if (!d || !kept)
                return program_oom(p);
        *d = (Def) { .kind = DEF_CONST, .name = name, .annotation = type, .value = *kept };
        return scope_put(p, p->globals, NAME_VAR, d);
}

static int make_globals(Program *p) {
        const Builtin *b;
        int r;

        p->globals = scope_new(p, NULL);
        if (!p->globals)
                return program_oom(p);
        for (size_t i = 0; (b = builtin_at(i)); i++) {
                size_t size;
                (void) builtin_module(b, &size);
                if (size > 0)
                        continue;
                Def *d = arena_new0(p->arena, Def);
                if (!d)
                        return program_oom(p);
                *d = (Def) { .kind = DEF_BUILTIN, .name = b->name, .builtin = b };
                r = scope_put(p, p->globals, NAME_FUNC, d);
                if (r < 0)
                        return r;
        }
        for (const BuiltinConst *c = builtin_consts; c->name; c++) {
                Value v = VALUE_INT(c->number);
                if (strchr(c->name, '.') && !startswith(c->name, "const."))
                        continue;
                const char *text = c->is_hostname ? p->host.hostname ?: "" : c->text;
                if (text && value_strz(&v, text) < 0)
                        return program_oom(p);
                r = add_const(p, c->name, text ? &type_str : &type_int, v);
                if (r < 0)
                        return r;
        }
        return 0;
}

int scope_program(Program *p) {
        int r;

        p->root = level_new(p, NULL);
        if (!p->root)
                return program_oom(p);
        r = make_globals(p);
        return r < 0 ? r : scope_module(p, p->main, p->globals);
}
