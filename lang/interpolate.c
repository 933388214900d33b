/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The third stage: takes strings apart, "a${b}c" into concat("a", concat($b, "c")), drops parentheses and braces, and moves
 * class a:b into class a. What comes out of a string keeps the place of the whole string. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/program.h"

static bool is_lower(char c) {
        return c >= 'a' && c <= 'z';
}

static bool is_name(char c) {
        return is_lower(c) || (c >= '0' && c <= '9') || c == '_';
}

/* How many bytes of text are a name, which may have dots: never two in a row and never at the end. */
static size_t scan_name(const char *text, size_t size) {
        size_t n = 0;

        if (size == 0 || !is_lower(text[0]))
                return 0;
        while (n < size && (is_name(text[n]) || (text[n] == '.' && n + 1 < size && is_name(text[n + 1]))))
                n++;
        return n;
}

static int escape(char c) {
        static const struct { char letter, meaning; } escapes[] = {
                { 'a', '\a' }, { 'b', '\b' }, { 'f', '\f' }, { 'n', '\n' }, { 'r', '\r' }, { 't', '\t' }, { 'v', '\v' },
                { '\\', '\\' }, { '"', '"' }, { '$', '$' },
        };

        for (size_t i = 0; i < ELEMENTSOF(escapes); i++)
                if (escapes[i].letter == c)
                        return escapes[i].meaning;
        return -1;
}

static int add_literal(Program *p, Exprs *pieces, StrBuf *b, Pos pos) {
        size_t size = b->size;
        _cleanup_free_ char *text = size > 0 ? strbuf_take(b) : NULL;
        if (size == 0)
                return 0;

        Expr *e = text ? expr_str(p->arena, pos, text, size) : NULL;
        return e ? AST_PUSH(p->arena, pieces, e) : -ENOMEM;
}

static int add_variable(Program *p, Exprs *pieces, const char *name, size_t size, Pos pos) {
        Expr *e = expr_new(p->arena, EXPR_VAR, pos);
        if (!e || !(e->var.name = arena_strndup(p->arena, name, size)))
                return -ENOMEM;
        if (strstr(e->var.name, "__"))
                return program_fail(p, pos, "init failed: var name contains multiple underscores: `%s`", e->var.name);
        return AST_PUSH(p->arena, pieces, e) < 0 ? -ENOMEM : 0;
}

/* Splits the text into str literals and variables. */
static int split(Program *p, const Expr *e, StrBuf *b, Exprs *ret) {
        const char *text = e->str.text;
        size_t size = e->str.size;
        int r;

        for (size_t i = 0; i < size;) {
                if (text[i] == '\\') {
                        if (i + 1 >= size)
                                return program_fail(p, e->pos, "parser failed: cannot parse string: %s", text);
                        int c = escape(text[i + 1]);
                        if (c < 0) {
                                program_fail(p, e->pos, "parser failed: unknown escape sequence: \\%c", text[i + 1]);
                                program_note(p, (Pos) {}, "help: the escapes are \\a \\b \\f \\n \\r \\t \\v \\\\ \\\" and \\$");
                                return -EINVAL;
                        }
                        strbuf_putc(b, (char) c);
                        i += 2;
                } else if (text[i] == '$' && i + 1 < size && text[i + 1] == '{') {
                        size_t n = scan_name(text + i + 2, size - i - 2);
                        if (n == 0 || i + 2 + n >= size || text[i + 2 + n] != '}') {
                                program_fail(p, e->pos, "parser failed: cannot parse string: %s", text);
                                program_note(p, (Pos) {}, "help: only the name of a variable can stand between ${ and }; "
                                                          "write \\${ for the characters themselves");
                                return -EINVAL;
                        }
                        r = add_literal(p, ret, b, e->pos);
                        if (r < 0)
                                return program_oom(p);
                        r = add_variable(p, ret, text + i + 2, n, e->pos);
                        if (r < 0)
                                return r == -ENOMEM ? program_oom(p) : r;
                        i += n + 3;
                } else {
                        size_t n = 1;
                        while (i + n < size && text[i + n] != '\\' && text[i + n] != '$')
                                n++;
                        strbuf_add(b, text + i, n);
                        i += n;
                }
        }
        if (b->failed || add_literal(p, ret, b, e->pos) < 0)
                return program_oom(p);
        return 0;
}

/* Replaces the expression by what its text stands for. */
static int interpolate_str(Program *p, Expr *e) {
        _cleanup_(strbuf_done) StrBuf b = {};
        Exprs pieces = {};
        int r;

        if (!memchr(e->str.text, '\\', e->str.size) && !memchr(e->str.text, '$', e->str.size))
                return 0;
        r = split(p, e, &b, &pieces);
        if (r < 0)
                return r;
        if (pieces.n == 0)
                return 0;

        Expr *whole = pieces.items[pieces.n - 1];
        for (uint32_t i = pieces.n - 1; i-- > 0;) {
                Expr *join = expr_call(p->arena, e->pos, CALL_NAME, "concat");
                if (!join || AST_PUSH(p->arena, &join->call.args, pieces.items[i]) < 0 ||
                    AST_PUSH(p->arena, &join->call.args, whole) < 0)
                        return program_oom(p);
                join->depth = whole->depth + 1;
                if (join->depth > AST_DEPTH_MAX)
                        return program_fail(p, e->pos, "more than %d variables in one string", AST_DEPTH_MAX);
                whole = join;
        }
        *e = *whole;
        e->interpolated = e->kind != EXPR_STR;
        if (e->interpolated)
                e->annotation = &type_str;
        return 0;
}

static int interpolate_expr(Program *p, Expr **at);

/* Interpolates a part whose errors are told with their context. */
static int interpolate_part(Program *p, Expr **at, const char *context) {
        size_t before = p->errors->n;
        int r = interpolate_expr(p, at);

        if (r < 0)
                program_prefix(p, before, "could not interpolate %s", context);
        return r;
}

static int interpolate_exprs(Program *p, Exprs *list) {
        int r = 0;

        for (uint32_t i = 0; i < list->n; i++) {
                int k = interpolate_expr(p, &list->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}

static int interpolate_expr(Program *p, Expr **at) {
        Expr *e = *at;
        int r = 0, k;

        while (e->kind == EXPR_PAREN || e->kind == EXPR_BRACES)
                e = e->inner;
        *at = e;
        switch ((ExprKind) e->kind) {
        case EXPR_STR:
                return interpolate_str(p, e);
        case EXPR_LIST:
                return interpolate_exprs(p, &e->list);
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        k = interpolate_expr(p, &e->map.items[i].key);
                        r = r < 0 ? r : k;
                        k = interpolate_expr(p, &e->map.items[i].value);
                        r = r < 0 ? r : k;
                }
                return r;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++) {
                        k = interpolate_expr(p, &e->st.items[i].value);
                        r = r < 0 ? r : k;
                }
                return r;
        case EXPR_FUNC:
                return interpolate_part(p, &e->fn->body, "Body");
        case EXPR_CALL:
                if (e->form == CALL_LAMBDA)
                        r = interpolate_expr(p, &e->call.callee);
                k = interpolate_exprs(p, &e->call.args);
                return r < 0 ? r : k;
        case EXPR_IF:
                r = interpolate_part(p, &e->branch.condition, "Condition");
                k = interpolate_part(p, &e->branch.then, "ThenBranch");
                r = r < 0 ? r : k;
                k = interpolate_part(p, &e->branch.otherwise, "ElseBranch");
                return r < 0 ? r : k;
        case EXPR_EXCEPT:
                r = interpolate_part(p, &e->except.value, "Expr");
                k = interpolate_part(p, &e->except.fallback, "Except");
                return r < 0 ? r : k;
        default:
                return 0;
        }
}

static int interpolate_resource(Program *p, Stmt *s) {
        int r = interpolate_expr(p, &s->resource.name), k;

        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                Item *item = s->resource.items.items[i];
                if (item->kind == ITEM_COLLECT) {
                        item->value->call.args.items[1] = s->resource.name;
                        continue;
                }
                if (item->condition) {
                        k = interpolate_expr(p, &item->condition);
                        r = r < 0 ? r : k;
                }
                k = interpolate_expr(p, item->half ? &item->half->name : &item->value);
                r = r < 0 ? r : k;
        }
        return r;
}

static int interpolate_stmt(Program *p, Stmt *s) {
        int r = 0, k;

        switch (s->kind) {
        case STMT_BIND:
                return interpolate_expr(p, &s->bind.value);
        case STMT_RESOURCE:
                return interpolate_resource(p, s);
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++) {
                        k = interpolate_expr(p, &s->edge.items[i]->name);
                        r = r < 0 ? r : k;
                }
                return r;
        case STMT_IF:
                r = interpolate_part(p, &s->branch.condition, "Condition");
                k = interpolate_block(p, s->branch.then);
                r = r < 0 ? r : k;
                k = s->branch.otherwise ? interpolate_block(p, s->branch.otherwise) : 0;
                return r < 0 ? r : k;
        case STMT_FOR:
        case STMT_FORKV:
                r = interpolate_part(p, &s->loop.over, "Expr");
                k = interpolate_block(p, s->loop.body);
                return r < 0 ? r : k;
        case STMT_FUNC:
                return interpolate_expr(p, &s->func.fn);
        case STMT_CLASS:
                return interpolate_block(p, s->class.body);
        case STMT_INCLUDE:
                return interpolate_exprs(p, &s->include.args);
        case STMT_IMPORT:
                return 0;
        }
        return 0;
}

/* class a:b is sugar for a class b at the end of class a, if there is one in this block. Later ones are moved first. */
static int nest_classes(Program *p, Block *b) {
        _cleanup_(map_freep) Map *classes = NULL;

        for (uint32_t i = 0; i < b->n; i++) {
                Stmt *s = b->items[i];
                if (s->kind != STMT_CLASS)
                        continue;
                if (!classes && !(classes = map_new()))
                        return program_oom(p);
                Stmt *first = map_get(classes, s->class.name);
                if (first) {
                        program_fail(p, s->pos, "duplicate class name of: `%s`", s->class.name);
                        program_note(p, first->pos, "note: the first one is here");
                        return -EINVAL;
                }
                if (map_put(classes, s->class.name, s) < 0)
                        return program_oom(p);
        }
        for (uint32_t i = b->n; classes && i-- > 0;) {
                Stmt *s = b->items[i];
                const char *colon = s->kind == STMT_CLASS ? strchr(s->class.name, ':') : NULL;
                Stmt *outer = colon ? map_get_n(classes, s->class.name, (size_t) (colon - s->class.name)) : NULL;
                if (!outer || outer == s)
                        continue;
                s->class.name = colon + 1;
                if (AST_PUSH(p->arena, outer->class.body, s) < 0)
                        return program_oom(p);
                memmove(&b->items[i], &b->items[i + 1], (b->n - i - 1) * sizeof(Stmt *));
                b->n--;
        }
        return 0;
}

int interpolate_block(Program *p, Block *b) {
        int r = nest_classes(p, b);

        for (uint32_t i = 0; i < b->n; i++) {
                int k = interpolate_stmt(p, b->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}
