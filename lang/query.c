/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two halves meet here. The tokens say what stands at a place and in what surroundings, however broken the text is; the tree, with
 * the scopes the compiler has made, says what the names mean there. Bodies of classes and functions are resolved in copies, one per
 * use; where there is a copy, it is asked, because it knows the types. */

#include <errno.h>
#include <stdio.h>

#include "common/meta.h"
#include "lang/builtins.h"
#include "lang/grammar.h"
#include "lang/lexer.h"
#include "lang/program.h"
#include "lang/query.h"

enum { VISITS_MAX = 1000 * 1000 };      /* nodes that are looked at for a copy */

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

static const QueryItem properties[] = {
        { QUERY_PROPERTY, "Before", NULL, "This resource is done before that one.", {} },
        { QUERY_PROPERTY, "Depend", NULL, "That resource is done before this one.", {} },
        { QUERY_PROPERTY, "Listen", NULL, "That resource is done before this one, and tells it when it has changed.", {} },
        { QUERY_PROPERTY, "Meta", NULL, "How the engine treats this resource: Meta:noop, Meta:retry, …", {} },
        { QUERY_PROPERTY, "Notify", NULL, "This resource is done before that one, and tells it when it has changed.", {} },
};

/* ---- tokens ---- */

static bool before(uint32_t line, uint32_t column, uint32_t other_line, uint32_t other_column) {
        return line < other_line || (line == other_line && column < other_column);
}

/* The whole text, or up to what is no token. */
static int read_tokens(Query *q) {
        Lexer l = { .arena = q->arena, .file = q->at->file, .text = q->at->text, .size = q->at->size, .line = 1, .column = 1 };
        Token t;

        do {
                if (lexer_next(&l, &t) < 0 || AST_PUSH(q->arena, &q->tokens, t) < 0)
                        return -ENOMEM;
        } while (t.kind != 0 && t.kind != ERROR);
        q->comments = l.comments;
        return 0;
}

static int token_kind(const Query *q, uint32_t i) {
        return i < q->tokens.n ? q->tokens.items[i].kind : 0;   /* also for what is before the first one */
}

static bool is_name(int kind) {
        return kind == IDENTIFIER || kind == MAP_IDENTIFIER || kind == COLLECT_IDENTIFIER;
}

static bool is_word(const Token *t) {
        return t->size > 0 && ((t->text[0] >= 'a' && t->text[0] <= 'z') || (t->text[0] >= 'A' && t->text[0] <= 'Z')) && t->kind != STRING;
}

static bool ends_value(int kind) {
        return is_name(kind) || kind == STRING || kind == INTEGER || kind == FLOAT || kind == BOOL || kind == CLOSE_CURLY ||
               kind == CLOSE_PAREN || kind == CLOSE_BRACK;
}

/* The tokens from one to the other, without what is between them. */
static const char *join_tokens(Query *q, uint32_t from, uint32_t to) {
        const char *text = "";

        for (uint32_t i = from; text && i <= to && i < q->tokens.n; i++)
                text = arena_printf(q->program->arena, "%s%.*s", text, (int) q->tokens.items[i].size, q->tokens.items[i].text);
        return text;
}

/* a.b.c or a:b:c: the first of the tokens that belong to the name of which i is a part. */
static uint32_t chain_start(const Query *q, uint32_t i, int separator) {
        while (i >= 2 && token_kind(q, i - 1) == separator && is_word(&q->tokens.items[i - 2]))
                i -= 2;
        return i;
}

static uint32_t chain_end(const Query *q, uint32_t i, int separator) {
        while (token_kind(q, i + 1) == separator && i + 2 < q->tokens.n && is_word(&q->tokens.items[i + 2]))
                i += 2;
        return i;
}

static FrameKind opened_frame(Query *q, const Frame *outer, uint32_t i, const char **ret_resource) {
        int first = token_kind(q, outer->first), last = token_kind(q, i - 1);

        if (outer->kind != FRAME_BLOCK || outer->fresh || token_kind(q, i) != OPEN_CURLY)
                return FRAME_OTHER;
        if (first == IF || first == FOR || first == FORKV || first == CLASS_IDENTIFIER)
                return ends_value(last) || last == ELSE ? FRAME_BLOCK : FRAME_OTHER;
        if ((first == IDENTIFIER || first == COLLECT_IDENTIFIER) && ends_value(last)) {
                uint32_t kind = outer->first + (first == COLLECT_IDENTIFIER);
                *ret_resource = join_tokens(q, kind, chain_end(q, kind, COLON));
                return FRAME_RESOURCE;
        }
        return FRAME_OTHER;
}

/* What token n stands in. */
static int read_frames(Query *q, uint32_t n) {
        q->frames.n = 0;
        if (AST_PUSH(q->arena, &q->frames, ((Frame) { .kind = FRAME_BLOCK, .fresh = true })) < 0)
                return -ENOMEM;
        for (uint32_t i = 0; i < n && i < q->tokens.n; i++) {
                Frame *top = &q->frames.items[q->frames.n - 1], opened = { .fresh = true };
                int kind = token_kind(q, i);

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

static const Frame *top_frame(const Query *q) {
        return &q->frames.items[q->frames.n - 1];
}

/* ---- the tree ---- */

static bool contains(const Query *q, Pos pos) {
        return pos.line > 0 && streq_ptr(pos.file, q->at->file) && before(pos.line, pos.column, q->at->line, q->at->column) &&
               !before(pos.end_line, pos.end_column, q->at->line, q->at->column + 1);
}

static bool same_place(Pos a, Pos b) {
        return a.line == b.line && a.column == b.column && streq_ptr(a.file, b.file);
}

/* What a copy is looked for of: the body of a class, or a function. */
typedef struct Wanted {
        Pos body, function;
        const Stmt *include;
        const Func *copy;
} Wanted;

static void look_in_block(Query *q, const Block *b, Wanted *w);

static void look_in_expr(Query *q, const Expr *e, Wanted *w) {
        if (!e || w->copy || w->include || q->visits++ > VISITS_MAX)
                return;
        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                for (uint32_t i = 0; i < e->list.n; i++)
                        look_in_expr(q, e->list.items[i], w);
                break;
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++) {
                        look_in_expr(q, e->map.items[i].key, w);
                        look_in_expr(q, e->map.items[i].value, w);
                }
                break;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++)
                        look_in_expr(q, e->st.items[i].value, w);
                break;
        case EXPR_FUNC:
                if (e->fn->level && w->function.line > 0 && same_place(e->pos, w->function))
                        w->copy = e->fn;
                look_in_expr(q, e->fn->body, w);
                break;
        case EXPR_CALL:
                look_in_expr(q, e->call.callee, w);
                for (uint32_t i = 0; i < e->call.args.n; i++)
                        look_in_expr(q, e->call.args.items[i], w);
                break;
        case EXPR_IF:
                look_in_expr(q, e->branch.condition, w);
                look_in_expr(q, e->branch.then, w);
                look_in_expr(q, e->branch.otherwise, w);
                break;
        case EXPR_EXCEPT:
                look_in_expr(q, e->except.value, w);
                look_in_expr(q, e->except.fallback, w);
                break;
        case EXPR_PAREN:
        case EXPR_BRACES:
                look_in_expr(q, e->inner, w);
                break;
        default:
                break;
        }
}

static void look_in_stmt(Query *q, const Stmt *s, Wanted *w) {
        switch (s->kind) {
        case STMT_BIND:
                look_in_expr(q, s->bind.value, w);
                break;
        case STMT_RESOURCE:
                look_in_expr(q, s->resource.name, w);
                for (uint32_t i = 0; i < s->resource.items.n; i++) {
                        const Item *item = s->resource.items.items[i];
                        look_in_expr(q, item->condition, w);
                        look_in_expr(q, item->half ? item->half->name : item->value, w);
                }
                break;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++)
                        look_in_expr(q, s->edge.items[i]->name, w);
                break;
        case STMT_IF:
                look_in_expr(q, s->branch.condition, w);
                look_in_block(q, s->branch.then, w);
                look_in_block(q, s->branch.otherwise, w);
                break;
        case STMT_FOR:
        case STMT_FORKV:
                look_in_expr(q, s->loop.over, w);
                look_in_block(q, s->loop.body, w);
                break;
        case STMT_INCLUDE:
                for (uint32_t i = 0; i < s->include.args.n; i++)
                        look_in_expr(q, s->include.args.items[i], w);
                if (s->include.body && w->body.line > 0 && same_place(s->include.body->pos, w->body))
                        w->include = s;
                look_in_block(q, s->include.body, w);
                break;
        case STMT_FUNC:
        case STMT_CLASS:
        case STMT_IMPORT:
                break;
        }
}

static void look_in_block(Query *q, const Block *b, Wanted *w) {
        for (uint32_t i = 0; b && i < b->n && !w->copy && !w->include && q->visits++ <= VISITS_MAX; i++)
                look_in_stmt(q, b->items[i], w);
}

static void look(Query *q, Wanted *w) {
        q->visits = 0;
        look_in_block(q, q->program->main->ast.block, w);
}

static int enter_expr(Query *q, const Expr *e);

static int enter_func(Query *q, const Func *fn) {
        if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .params = &fn->params })) < 0)
                return -ENOMEM;
        return enter_expr(q, fn->body);
}

/* Into the functions that the place is in. */
static int enter_expr(Query *q, const Expr *e) {
        int r = 0;

        if (!e)
                return 0;
        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                for (uint32_t i = 0; r >= 0 && i < e->list.n; i++)
                        r = enter_expr(q, e->list.items[i]);
                return r;
        case EXPR_MAP:
                for (uint32_t i = 0; r >= 0 && i < e->map.n; i++) {
                        r = enter_expr(q, e->map.items[i].key);
                        r = r < 0 ? r : enter_expr(q, e->map.items[i].value);
                }
                return r;
        case EXPR_STRUCT:
                for (uint32_t i = 0; r >= 0 && i < e->st.n; i++)
                        r = enter_expr(q, e->st.items[i].value);
                return r;
        case EXPR_FUNC:
                return contains(q, e->pos) ? enter_func(q, e->fn) : 0;
        case EXPR_CALL:
                if (e->form == CALL_LAMBDA)
                        r = enter_expr(q, e->call.callee);
                for (uint32_t i = 0; r >= 0 && i < e->call.args.n; i++)
                        r = enter_expr(q, e->call.args.items[i]);
                return r;
        case EXPR_IF:
                r = enter_expr(q, e->branch.condition);
                r = r < 0 ? r : enter_expr(q, e->branch.then);
                return r < 0 ? r : enter_expr(q, e->branch.otherwise);
        case EXPR_EXCEPT:
                r = enter_expr(q, e->except.value);
                return r < 0 ? r : enter_expr(q, e->except.fallback);
        case EXPR_PAREN:
        case EXPR_BRACES:
                return enter_expr(q, e->inner);
        default:
                return 0;
        }
}

static int enter_block(Query *q, const Block *b);

static int enter_class(Query *q, const Stmt *s) {
        Wanted w = { .body = s->class.body->pos };

        look(q, &w);
        const Params *params = w.include ? &w.include->include.params : &s->class.params;
        if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .params = params })) < 0)
                return -ENOMEM;
        return enter_block(q, w.include ? w.include->include.body : s->class.body);
}

static int enter_stmt(Query *q, const Stmt *s) {
        int r = 0;

        switch (s->kind) {
        case STMT_BIND:
                return enter_expr(q, s->bind.value);
        case STMT_RESOURCE:
                r = enter_expr(q, s->resource.name);
                for (uint32_t i = 0; r >= 0 && i < s->resource.items.n; i++) {
                        const Item *item = s->resource.items.items[i];
                        r = enter_expr(q, item->condition);
                        r = r < 0 ? r : enter_expr(q, item->half ? item->half->name : item->value);
                }
                return r;
        case STMT_IF:
                r = enter_expr(q, s->branch.condition);
                if (r >= 0 && contains(q, s->branch.then->pos))
                        r = enter_block(q, s->branch.then);
                if (r >= 0 && s->branch.otherwise && contains(q, s->branch.otherwise->pos))
                        r = enter_block(q, s->branch.otherwise);
                return r;
        case STMT_FOR:
        case STMT_FORKV:
                r = enter_expr(q, s->loop.over);
                if (r < 0 || !contains(q, s->loop.body->pos))
                        return r;
                if (AST_PUSH(q->arena, &q->around, ((Surrounding) { .loop = { &s->loop.first, &s->loop.second } })) < 0)
                        return -ENOMEM;
                return enter_block(q, s->loop.body);
        case STMT_FUNC: {
                Wanted w = { .function = s->pos };

                if (!contains(q, s->pos))
                        return 0;
                look(q, &w);
                return enter_func(q, w.copy ?: s->func.fn->fn);
        }
        case STMT_CLASS:
                return contains(q, s->pos) ? enter_class(q, s) : 0;
        case STMT_INCLUDE:
                for (uint32_t i = 0; r >= 0 && i < s->include.args.n; i++)
                        r = enter_expr(q, s->include.args.items[i]);
                return r;
        case STMT_EDGE:
        case STMT_IMPORT:
                return 0;
        }
        return 0;
}

static int enter_block(Query *q, const Block *b) {
        int r = AST_PUSH(q->arena, &q->around, ((Surrounding) { .block = b }));

        for (uint32_t i = 0; r >= 0 && i < b->n; i++)
                r = enter_stmt(q, b->items[i]);
        return r;
}

/* ---- what names mean ---- */

static const Ast *find_ast_in(const Block *b, const char *file) {
        for (uint32_t i = 0; i < b->n; i++) {
                const Stmt *s = b->items[i];
                const Ast *found = NULL;
                if (s->kind == STMT_IMPORT && s->import.module) {
                        const Ast *ast = &s->import.module->ast;
                        found = streq_ptr(ast->file, file) ? ast : find_ast_in(ast->block, file);
                } else if (s->kind == STMT_INCLUDE && s->include.body)
                        found = find_ast_in(s->include.body, file);
                if (found)
                        return found;
        }
        return NULL;
}

/* The file, if it is one of the program's. */
static const Ast *find_ast(const Program *p, const char *file) {
        if (!p->main)
                return NULL;
        return streq_ptr(p->main->ast.file, file) ? &p->main->ast : find_ast_in(p->main->ast.block, file);
}

bool query_knows(Lang *l, const char *file) {
        return find_ast(l, file);
}

/* The comment that stands directly above, in the same column. */
static const char *comment_above(const Query *q, Pos pos) {
        const Ast *ast = pos.line > 0 && pos.file ? find_ast(q->program, pos.file) : NULL;
        const char *text = NULL;
        uint32_t line = pos.line;

        for (uint32_t i = ast ? ast->comments.n : 0; i-- > 0;) {
                const Comment *c = &ast->comments.items[i];
                if (c->line + 1 < line)
                        break;
                if (c->line + 1 != line || c->column != pos.column)
                        continue;
                const char *words = c->text + (c->text[0] == ' ');
                text = text ? arena_printf(q->program->arena, "%s\n%s", words, text) : words;
                line = c->line;
                if (!text)
                        return NULL;
        }
        return text;
}

static const char *type_string(const Query *q, const Type *t) {
        _cleanup_free_ char *text = t ? type_text(t) : NULL;

        return text ? arena_strdup(q->program->arena, text) : NULL;
}

static const char *params_string(const Query *q, const char *word, const char *name, const Params *params) {
        Arena *a = q->program->arena;
        const char *text = arena_printf(a, "%s%s(", word, name);

        for (uint32_t i = 0; text && i < params->n; i++) {
                const Param *x = &params->items[i];
                const char *type = type_string(q, x->type);
                text = arena_printf(a, "%s%s$%s%s%s", text, i > 0 ? ", " : "", x->name, type ? " " : "", type ?: "");
        }
        return text ? arena_printf(a, "%s)", text) : NULL;
}

/* The most that is known: a definition's own type may still be what inference began with. */
static const Type *def_type(const Def *d) {
        const Type *t = d->kind == DEF_BIND && d->expr ? d->expr->type : NULL;

        return t && t->kind != TYPE_UNKNOWN ? t : d->type && d->type->kind != TYPE_UNKNOWN ? d->type : d->annotation;
}

static void describe_stmt(const Query *q, const Stmt *s, QueryItem *ret) {
        ret->definition = s->pos;
        ret->doc = comment_above(q, s->pos);
        switch (s->kind) {
        case STMT_FUNC: {
                const Func *fn = s->func.fn->fn;
                const char *result = type_string(q, fn->result), *params = params_string(q, "func ", s->func.name, &fn->params);
                ret->kind = QUERY_FUNCTION;
                ret->type = params && result ? arena_printf(q->program->arena, "%s %s", params, result) : params;
                break;
        }
        case STMT_CLASS:
                ret->kind = QUERY_CLASS;
                ret->type = params_string(q, "class ", s->class.name, &s->class.params);
                break;
        default:
                ret->kind = QUERY_VARIABLE;
                ret->type = type_string(q, (s->bind.def ? def_type(s->bind.def) : NULL) ?: s->bind.type);
                break;
        }
}

static void describe_def(const Query *q, const Def *d, QueryItem *ret) {
        switch (d->kind) {
        case DEF_BIND:
        case DEF_PARAM:
        case DEF_CONST:
                *ret = (QueryItem) { .kind = QUERY_VARIABLE, .definition = d->pos };
                ret->type = type_string(q, def_type(d));
                ret->doc = d->kind == DEF_BIND ? comment_above(q, d->pos) : NULL;
                break;
        case DEF_BUILTIN:
                *ret = (QueryItem) { .kind = QUERY_FUNCTION, .type = d->builtin->signature, .doc = d->builtin->doc };
                break;
        case DEF_FUNC:
        case DEF_CLASS:
                *ret = (QueryItem) {};
                describe_stmt(q, d->stmt, ret);
                break;
        }
}

static void describe_param(const Query *q, const Param *x, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_VARIABLE, .definition = x->pos };
        ret->type = type_string(q, (x->def ? def_type(x->def) : NULL) ?: x->type);
}

static bool find_in_params(const Query *q, const Surrounding *s, const char *name, QueryItem *ret) {
        for (uint32_t i = 0; s->params && i < s->params->n; i++)
                if (streq(s->params->items[i].name, name)) {
                        describe_param(q, &s->params->items[i], ret);
                        return true;
                }
        for (int i = 0; i < 2 && s->loop[i]; i++)
                if (streq(s->loop[i]->name, name)) {
                        describe_param(q, s->loop[i], ret);
                        return true;
                }
        return false;
}

static const char *defined_name(const Stmt *s, NameKind kind) {
        if (s->kind == STMT_BIND && kind == NAME_VAR)
                return s->bind.name;
        if (s->kind == STMT_FUNC && kind == NAME_FUNC)
                return s->func.name;
        return s->kind == STMT_CLASS && kind == NAME_CLASS ? s->class.name : NULL;
}

static bool find_in_block(const Query *q, const Block *b, NameKind kind, const char *name, QueryItem *ret) {
        for (uint32_t i = 0; i < b->n; i++) {
                const char *defined = defined_name(b->items[i], kind);
                if (defined && streq(defined, name)) {
                        *ret = (QueryItem) {};
                        describe_stmt(q, b->items[i], ret);
                        return true;
                }
        }
        return false;
}

static bool find_name(Query *q, NameKind kind, const char *name, QueryItem *ret) {
        for (uint32_t i = q->around.n; name && i-- > 0;) {
                const Surrounding *s = &q->around.items[i];
                if (kind == NAME_VAR && find_in_params(q, s, name, ret))
                        return true;
                if (!s->block)
                        continue;
                const Def *d = s->block->scope ? scope_find(q->program, s->block->scope, kind, name) : NULL;
                if (d)
                        describe_def(q, d, ret);
                if (d || find_in_block(q, s->block, kind, name, ret))
                        return true;
        }
        return false;
}

static bool find_module(Query *q, const char *name, QueryItem *ret) {
        for (uint32_t i = q->around.n; name && i-- > 0;) {
                const Block *b = q->around.items[i].block;
                for (const Scope *s = b ? b->scope : NULL; s; s = s->parent) {
                        const Alias *a = map_get(s->aliases, name);
                        if (!a)
                                continue;
                        *ret = (QueryItem) { .kind = QUERY_MODULE, .definition = a->stmt->pos };
                        ret->type = arena_printf(q->program->arena, a->stmt->kind == STMT_IMPORT ? "import \"%s\"" : "include %s",
                                                 a->stmt->kind == STMT_IMPORT ? a->stmt->import.name : a->stmt->include.name);
                        return true;
                }
        }
        return false;
}

static bool describe_kind(const Query *q, const char *kind, QueryItem *ret) {
        const SchemaKind *k = kind && q->program->host.schema ? schema_kind(q->program->host.schema, kind) : NULL;
        if (!k)
                return false;
        *ret = (QueryItem) { .kind = QUERY_RESOURCE, .doc = k->doc };
        return true;
}

static void describe_field(const Query *q, const SchemaField *f, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_FIELD, .name = f->name, .type = type_string(q, f->mcl_type), .doc = f->doc };
}

static void describe_meta(const Query *q, const FieldSpec *f, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_META, .name = f->name, .type = type_string(q, field_mcl_type(f)), .doc = f->doc };
}

static const char *lower(Query *q, const char *name) {
        char *copy = name ? arena_strdup(q->program->arena, name) : NULL;

        for (char *c = copy; c && *c; c++)
                if (*c >= 'A' && *c <= 'Z')
                        *c = (char) (*c - 'A' + 'a');
        return copy;
}

static const char *capitalize(const Query *q, const char *name) {
        char *copy = arena_strdup(q->program->arena, name);

        for (char *c = copy; c && *c; c++)
                if ((c == copy || c[-1] == ':') && *c >= 'a' && *c <= 'z')
                        *c = (char) (*c - 'a' + 'A');
        return copy;
}

/* ---- what stands at a place ---- */

/* The token that the cursor is in or behind; a word rather than what is between words. */
static uint32_t token_at(const Query *q) {
        uint32_t found = UINT32_MAX;

        for (uint32_t i = 0; i < q->tokens.n; i++) {
                const Token *t = &q->tokens.items[i];
                if (before(q->at->line, q->at->column, t->pos.line, t->pos.column))
                        break;
                if (t->kind != NEWLINE && t->kind != 0 && !before(t->pos.end_line, t->pos.end_column, q->at->line, q->at->column) &&
                    (found == UINT32_MAX || is_word(t) || t->kind == STRING || !is_word(&q->tokens.items[found])))
                        found = i;
        }
        return found;
}

/* ${name} in a string: the name, and where it stands, if that is on one line. */
static const char *name_in_string(const Query *q, const Token *t, Pos *ret) {
        uint32_t line = t->pos.line, column = t->pos.column + 1;
        const char *open = NULL;
        Pos start = {};

        for (uint32_t i = 0; i < t->size; i++) {
                const char *c = &t->text[i];
                if (*c == '\\')
                        open = NULL;
                else if (*c == '{' && i > 0 && c[-1] == '$' && (i < 2 || c[-2] != '\\')) {
                        open = c + 1;
                        start = (Pos) { t->pos.file, line, column + 1, line, column + 1 };
                } else if (*c == '}' && open) {
                        start.end_column = column;
                        if (start.line == q->at->line && start.column <= q->at->column && q->at->column <= column)
                                return *ret = start, arena_strndup(q->program->arena, open, (size_t) (c - open));
                        open = NULL;
                }
                if (*c == '\n') {
                        line++;
                        column = 1;
                } else if (((unsigned char) *c & 0xc0) != 0x80)
                        column++;
        }
        return NULL;
}

static bool import_at(Query *q, const Token *t, QueryItem *ret) {
        const Ast *ast = find_ast(q->program, q->at->file);

        for (uint32_t i = 0; ast && i < ast->block->n; i++) {
                const Stmt *s = ast->block->items[i];
                if (s->kind != STMT_IMPORT || s->pos.line != t->pos.line)
                        continue;
                *ret = (QueryItem) { .kind = QUERY_MODULE, .name = s->import.name };
                if (s->import.module)
                        ret->definition = (Pos) { s->import.module->ast.file, 1, 1, 1, 1 };
                return true;
        }
        return false;
}

static bool string_at(Query *q, uint32_t i, QueryItem *ret, Pos *ret_pos) {
        const Token *t = &q->tokens.items[i];

        if (token_kind(q, i - 1) == IMPORT_IDENTIFIER)
                return import_at(q, t, ret);
        const char *name = name_in_string(q, t, ret_pos);
        if (!name || !find_name(q, NAME_VAR, name, ret))
                return false;
        ret->name = arena_printf(q->program->arena, "$%s", name);
        return ret->name;
}

/* Kind["name"], Before, Meta. */
static bool capitalized_at(Query *q, uint32_t start, uint32_t end, QueryItem *ret) {
        const char *name = join_tokens(q, start, end), *kind = lower(q, name);

        if (!name || !kind)
                return false;
        if (token_kind(q, end + 1) == OPEN_BRACK && describe_kind(q, kind, ret)) {
                ret->name = name;
                return true;
        }
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (strcasecmp(properties[i].name, name) == 0) {
                        *ret = properties[i];
                        return true;
                }
        return false;
}

/* In the body of a resource: what stands before => */
static bool item_at(Query *q, uint32_t i, QueryItem *ret) {
        const Frame *f = top_frame(q);
        const SchemaKind *k = f->resource && q->program->host.schema ? schema_kind(q->program->host.schema, f->resource) : NULL;
        const char *name = join_tokens(q, i, i);

        if (!name)
                return false;
        if (token_kind(q, i - 1) == COLON) {
                const FieldSpec *meta = field_find(meta_fields, name);
                if (meta)
                        describe_meta(q, meta, ret);
                return meta;
        }
        const SchemaField *field = k ? schema_field(k, name) : NULL;
        if (field)
                describe_field(q, field, ret);
        return field;
}

/* The kind of the edge half that ends in a bracket. */
static const char *half_kind(Query *q, uint32_t close) {
        unsigned depth = 0;

        for (uint32_t i = close + 1; i-- > 0;) {
                depth += token_kind(q, i) == CLOSE_BRACK;
                depth -= token_kind(q, i) == OPEN_BRACK;
                if (depth == 0)
                        return i > 0 && token_kind(q, i - 1) == CAPITALIZED_IDENTIFIER
                                       ? lower(q, join_tokens(q, chain_start(q, i - 1, COLON), i - 1))
                                       : NULL;
        }
        return NULL;
}

/* Kind["name"].field: what it sends, or receives. */
static bool transfer_at(Query *q, uint32_t i, QueryItem *ret) {
        const char *kind = half_kind(q, i - 2), *name = join_tokens(q, i, i);
        const SchemaKind *k = kind && q->program->host.schema ? schema_kind(q->program->host.schema, kind) : NULL;
        const SchemaField *field = k && name ? schema_send(k, name) ?: schema_field(k, name) : NULL;

        if (field)
                describe_field(q, field, ret);
        return field;
}

static bool name_at(Query *q, uint32_t i, QueryItem *ret, Pos *ret_pos) {
        uint32_t start = chain_start(q, i, DOT), end = chain_end(q, i, DOT);
        int last = token_kind(q, start - 1), next = token_kind(q, end + 1);
        const char *name = join_tokens(q, start, i);

        if (!name)
                return false;
        ret_pos->line = q->tokens.items[start].pos.line;
        ret_pos->column = q->tokens.items[start].pos.column;
        if (last == DOT && token_kind(q, start - 2) == CLOSE_BRACK)
                return transfer_at(q, start, ret);
        if (last == DOLLAR) {
                ret_pos->column = q->tokens.items[start - 1].pos.column;
                bool found = find_name(q, NAME_VAR, name, ret) || (i < end && find_module(q, name, ret));
                ret->name = arena_printf(q->program->arena, "$%s", name);
                return found;
        }
        if ((last == INCLUDE_IDENTIFIER && (find_name(q, NAME_CLASS, name, ret) || find_module(q, name, ret))) ||
            (last == CLASS_IDENTIFIER && find_name(q, NAME_CLASS, name, ret)) ||
            (next == OPEN_PAREN && (find_name(q, NAME_FUNC, name, ret) || (i < end && find_module(q, name, ret)))) ||
            (last == AS_IDENTIFIER && find_module(q, name, ret))) {
                ret->name = name;
                return true;
        }

        const Frame *top = top_frame(q);
        if (top->kind == FRAME_RESOURCE && (top->fresh || last == COLON))
                return item_at(q, i, ret);
        uint32_t kind_start = chain_start(q, i, COLON);
        const char *kind = join_tokens(q, kind_start, chain_end(q, i, COLON));
        if (!kind || top->kind != FRAME_BLOCK || !describe_kind(q, kind, ret))
                return false;
        ret_pos->column = q->tokens.items[kind_start].pos.column;
        ret->name = kind;
        return true;
}

static int begin(Query *q, Lang *l, const QueryPlace *at, Diags *errors) {
        const Ast *ast;

        q->program = l;
        q->at = at;
        l->errors = errors;     /* looking into a class that nobody looked into yet may fail */
        q->arena = arena_new(0);
        if (!q->arena)
                return -ENOMEM;
        ast = find_ast(l, at->file);
        if (ast && enter_block(q, ast->block) < 0)
                return -ENOMEM;
        return read_tokens(q);
}

static void end(Query *q, Diags *errors) {
        q->program->errors = NULL;
        diags_done(errors);
        arena_free(q->arena);
}

static int find_at(Query *q, QueryItem *ret, Pos *ret_pos) {
        uint32_t i = token_at(q);
        int kind;

        if (i == UINT32_MAX)
                return 0;
        if (token_kind(q, i) == DOLLAR && i + 1 < q->tokens.n)
                i++;
        kind = token_kind(q, i);
        *ret_pos = q->tokens.items[i].pos;
        if (read_frames(q, i) < 0)
                return -ENOMEM;
        if (kind == STRING)
                return string_at(q, i, ret, ret_pos);
        if (kind == CAPITALIZED_IDENTIFIER) {
                uint32_t start = chain_start(q, i, COLON), stop = i;
                while (token_kind(q, stop + 1) == COLON && token_kind(q, stop + 2) == CAPITALIZED_IDENTIFIER)
                        stop += 2;
                ret_pos->column = q->tokens.items[start].pos.column;
                return capitalized_at(q, start, stop, ret);
        }
        return is_name(kind) ? name_at(q, i, ret, ret_pos) : 0;
}

int query_at(Lang *l, const QueryPlace *at, QueryItem *ret, Pos *ret_pos) {
        Diags errors = {};
        Query q = {};
        Pos pos = {};
        int r = begin(&q, l, at, &errors);

        *ret = (QueryItem) {};
        if (r >= 0)
                r = find_at(&q, ret, &pos);
        end(&q, &errors);
        if (r > 0 && ret_pos)
                *ret_pos = pos;
        return r > 0 && !ret->name ? -ENOMEM : r;
}

/* ---- what could stand at a place ---- */

typedef struct Completion {
        Query *q;
        const char *typed;      /* what every name must begin with, written as the name is */
        const char *mark;       /* written before variables: "$", or "" in a string */
        Map *seen;              /* names of inner blocks hide those of outer ones */
        int (*add)(void *userdata, const QueryItem *item);
        void *userdata;
} Completion;

static int offer(Completion *c, const char *name, QueryItem item) {
        if (!name)
                return -ENOMEM;
        if (!startswith(name, c->typed) || map_get(c->seen, name))
                return 0;
        if (map_put(c->seen, name, (void *) name) < 0)
                return -ENOMEM;
        item.name = name;
        return c->add(c->userdata, &item);
}

static const char *written(const Completion *c, NameKind kind, const char *prefix, const char *name) {
        return arena_printf(c->q->program->arena, "%s%s%s", kind == NAME_VAR ? c->mark : "", prefix, name);
}

static int offer_def(Completion *c, NameKind kind, const char *prefix, const char *name, const Def *d) {
        const char *full = written(c, kind, prefix, name);
        QueryItem item;

        if (name[0] == '_' || (full && !startswith(full, c->typed)))
                return 0;
        describe_def(c->q, d, &item);
        return offer(c, full, item);
}

/* The names of one scope, without those around it. */
static int offer_scope(Completion *c, const Scope *s, NameKind kind, const char *prefix) {
        const char *name;
        void *value;
        size_t at = 0;
        int r = 0;

        for (uint32_t i = 0; r >= 0 && kind == NAME_VAR && i < s->params.n; i++)
                r = offer_def(c, kind, prefix, s->params.items[i]->name, s->params.items[i]);
        while (r >= 0 && map_next(s->names[kind], &at, &name, &value))
                r = offer_def(c, kind, prefix, name, value);
        for (uint32_t i = s->stars.n; r >= 0 && i-- > 0;)
                r = offer_scope(c, s->stars.items[i], kind, prefix);
        return r;
}

/* Modules, and what is in the one whose name has been typed. */
static int offer_aliases(Completion *c, Scope *s, NameKind kind) {
        const char *typed = startswith(c->typed, kind == NAME_VAR ? c->mark : "") ?: "", *alias;
        void *value;
        size_t at = 0;
        int r = 0;

        while (r >= 0 && map_next(s->aliases, &at, &alias, &value)) {
                const Alias *a = value;
                const char *rest = startswith(typed, alias);
                QueryItem item = { .kind = QUERY_MODULE, .definition = a->stmt->pos };

                r = offer(c, written(c, kind, "", alias), item);
                if (r < 0 || !rest || *rest != '.')
                        continue;
                (void) scope_find(c->q->program, s, kind, typed);       /* opens an include */
                const char *prefix = arena_printf(c->q->program->arena, "%s.", alias);
                if (prefix && a->scope)
                        r = offer_scope(c, a->scope, kind, prefix);
        }
        return r;
}

static int offer_block(Completion *c, const Block *b, NameKind kind) {
        int r = 0;

        for (Scope *s = b->scope; s && r >= 0; s = s->parent) {
                r = offer_scope(c, s, kind, "");
                if (r >= 0)
                        r = offer_aliases(c, s, kind);
        }
        for (uint32_t i = 0; r >= 0 && i < b->n; i++) {
                const char *name = defined_name(b->items[i], kind);
                QueryItem item = {};

                if (!name)
                        continue;
                describe_stmt(c->q, b->items[i], &item);
                r = offer(c, written(c, kind, "", name), item);
        }
        return r;
}

static int offer_param(Completion *c, const Param *x) {
        QueryItem item;

        describe_param(c->q, x, &item);
        return offer(c, written(c, NAME_VAR, "", x->name), item);
}

static int offer_names(Completion *c, NameKind kind) {
        int r = 0;

        for (uint32_t i = c->q->around.n; r >= 0 && i-- > 0;) {
                const Surrounding *s = &c->q->around.items[i];
                for (uint32_t k = 0; kind == NAME_VAR && r >= 0 && s->params && k < s->params->n; k++)
                        r = offer_param(c, &s->params->items[k]);
                for (int k = 0; kind == NAME_VAR && r >= 0 && k < 2 && s->loop[k]; k++)
                        r = offer_param(c, s->loop[k]);
                if (r >= 0 && s->block)
                        r = offer_block(c, s->block, kind);
        }
        return r;
}

static int offer_kinds(Completion *c, bool capitals) {
        const Schema *schema = c->q->program->host.schema;
        int r = 0;

        for (size_t i = 0; schema && r >= 0 && i < schema_count(schema); i++) {
                const SchemaKind *k = schema_at(schema, i);
                r = offer(c, capitals ? capitalize(c->q, k->kind) : k->kind, (QueryItem) { .kind = QUERY_RESOURCE, .doc = k->doc });
        }
        return r;
}

static int offer_keywords(Completion *c, const char *const *words) {
        int r = 0;

        for (; *words && r >= 0; words++)
                r = offer(c, *words, (QueryItem) { .kind = QUERY_KEYWORD });
        return r;
}

static int offer_fields(Completion *c, const char *kind, bool sent) {
        const SchemaKind *k = kind && c->q->program->host.schema ? schema_kind(c->q->program->host.schema, kind) : NULL;
        int r = 0;

        for (size_t i = 0; k && r >= 0 && i < (sent ? k->n_sends : k->n_fields); i++) {
                const SchemaField *f = sent ? &k->sends[i] : &k->fields[i];
                QueryItem item;

                if (f->flags & FIELD_HIDDEN)
                        continue;
                describe_field(c->q, f, &item);
                r = offer(c, f->name, item);
        }
        return r;
}

static int offer_items(Completion *c, const char *kind) {
        int r = offer_fields(c, kind, false);

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(properties); i++)
                r = offer(c, properties[i].name, properties[i]);
        return r;
}

static int offer_metas(Completion *c) {
        int r = 0;

        for (const FieldSpec *f = meta_fields; f->name && r >= 0; f++) {
                QueryItem item;

                describe_meta(c->q, f, &item);
                r = offer(c, f->name, item);
        }
        return r;
}

static int offer_statements(Completion *c) {
        static const char *const words[] = { "class", "collect", "for", "forkv", "func", "if", "import", "include", "panic", NULL };
        int r = offer_keywords(c, words);

        r = r < 0 ? r : offer_kinds(c, false);
        r = r < 0 ? r : offer_kinds(c, true);
        return r < 0 ? r : offer_names(c, NAME_VAR);
}

static int offer_expressions(Completion *c) {
        static const char *const words[] = { "and", "else", "false", "func", "if", "in", "not", "or", "struct", "true", NULL };
        int r = offer_names(c, NAME_FUNC);

        r = r < 0 ? r : offer_names(c, NAME_VAR);
        return r < 0 ? r : offer_keywords(c, words);
}

static int offer_modules(Completion *c) {
        const Builtin *b;
        int r = 0;

        for (size_t i = 0; r >= 0 && (b = builtin_at(i)); i++) {
                size_t size;
                const char *module = builtin_module(b, &size);

                if (size > 0)
                        r = offer(c, arena_strndup(c->q->program->arena, module, size), (QueryItem) { .kind = QUERY_MODULE });
        }
        return r;
}

/* Where the cursor is in the text. */
static const char *cursor(const Query *q) {
        const char *c = q->at->text, *limit = c + q->at->size;

        for (uint32_t line = 1; line < q->at->line && c < limit; c++)
                line += *c == '\n';
        for (uint32_t column = 1; c < limit && *c != '\n'; c++) {
                column += ((unsigned char) *c & 0xc0) != 0x80;
                if (column > q->at->column)
                        break;
        }
        return c;
}

static bool in_comment(const Query *q) {
        for (uint32_t i = 0; i < q->comments.n; i++)
                if (q->comments.items[i].line == q->at->line && q->comments.items[i].column < q->at->column)
                        return true;
        return false;
}

/* Behind an opening quote: a variable after ${, or what can be imported. */
static int complete_string(Completion *c, uint32_t i, uint32_t *ret_column) {
        const Token *t = &c->q->tokens.items[i];
        const char *text = t->kind == STRING ? t->text : t->text + 1, *here = cursor(c->q), *typed = NULL;
        uint32_t column = c->q->at->column;

        if (token_kind(c->q, i - 1) == IMPORT_IDENTIFIER)
                typed = text;
        for (const char *p = text; p + 1 < here; p++)
                if (p[0] == '$' && p[1] == '{')
                        typed = p + 2;
                else if (p[1] == '}')
                        typed = NULL;
        if (!typed || here < typed || memchr(typed, '\n', (size_t) (here - typed)))
                return 0;
        for (const char *p = typed; p < here; p++)
                column -= ((unsigned char) *p & 0xc0) != 0x80;
        *ret_column = column;
        c->typed = arena_strndup(c->q->arena, typed, (size_t) (here - typed));
        if (!c->typed)
                return -ENOMEM;
        if (token_kind(c->q, i - 1) == IMPORT_IDENTIFIER)
                return offer_modules(c);
        c->mark = "";
        return offer_names(c, NAME_VAR);
}

/* Everything begins with what was typed from that token on. */
static bool begin_with(Completion *c, uint32_t start, uint32_t n, uint32_t *ret_column) {
        if (start < n)
                *ret_column = c->q->tokens.items[start].pos.column;
        c->typed = start < n ? join_tokens(c->q, start, n - 1) : "";
        return c->typed;
}

static int complete_tokens(Completion *c, uint32_t n, uint32_t *ret_column) {
        Query *q = c->q;
        const Token *last = n > 0 ? &q->tokens.items[n - 1] : NULL;
        bool typing = last && is_word(last) && !before(last->pos.end_line, last->pos.end_column, q->at->line, q->at->column);
        uint32_t i = typing ? n - 1 : n, start = chain_start(q, i, DOT), kind_start = chain_start(q, i, COLON);
        int before_it = start > 0 ? token_kind(q, start - 1) : 0;

        /* The name of a kind at the beginning of a statement, or after collect. */
        if (read_frames(q, kind_start) < 0)
                return -ENOMEM;
        const Frame *top = top_frame(q);
        bool collect = kind_start > 0 && token_kind(q, kind_start - 1) == COLLECT_IDENTIFIER && top->first + 1 == kind_start;
        bool arrow = kind_start > 0 && token_kind(q, kind_start - 1) == ARROW && token_kind(q, top->first) == CAPITALIZED_IDENTIFIER;
        if (top->kind == FRAME_BLOCK && (top->fresh || collect || arrow)) {
                if (start != i && top->fresh)
                        return 0;
                if (!begin_with(c, kind_start, n, ret_column))
                        return -ENOMEM;
                return top->fresh ? offer_statements(c) : offer_kinds(c, arrow);
        }
        if (top->kind == FRAME_RESOURCE && top->fresh && kind_start == i)
                return begin_with(c, i, n, ret_column) ? offer_items(c, top->resource) : -ENOMEM;
        if (top->kind == FRAME_RESOURCE && top->fresh)
                return begin_with(c, i, n, ret_column) ? offer_metas(c) : -ENOMEM;
        bool target = top->kind == FRAME_RESOURCE && kind_start > 0 && token_kind(q, top->first) == CAPITALIZED_IDENTIFIER &&
                      (token_kind(q, kind_start - 1) == ROCKET || token_kind(q, kind_start - 1) == ELVIS);
        if (target && begin_with(c, kind_start, n, ret_column)) {
                int r = offer_kinds(c, true);
                if (r < 0 || kind_start != i)
                        return r;
        }

        if (before_it == DOLLAR)
                start--;
        if (!begin_with(c, start, n, ret_column))
                return -ENOMEM;
        switch (before_it) {
        case DOLLAR:
                return offer_names(c, NAME_VAR);
        case INCLUDE_IDENTIFIER:
                return offer_names(c, NAME_CLASS);
        case DOT: {
                const char *kind = start >= 2 && token_kind(q, start - 2) == CLOSE_BRACK ? half_kind(q, start - 2) : NULL;
                int r = offer_fields(c, kind, true);
                return r < 0 ? r : offer_fields(c, kind, false);
        }
        case FUNC_IDENTIFIER:
        case CLASS_IDENTIFIER:
        case AS_IDENTIFIER:
        case ARROW:             /* a field of a struct */
                return 0;
        default:
                return offer_expressions(c);
        }
}

static int complete(Completion *c, uint32_t *ret_column) {
        Query *q = c->q;
        uint32_t n = 0;

        if (in_comment(q))
                return 0;
        while (n < q->tokens.n && token_kind(q, n) != 0 &&
               before(q->tokens.items[n].pos.line, q->tokens.items[n].pos.column, q->at->line, q->at->column))
                n++;
        if (n > 0) {
                const Token *t = &q->tokens.items[n - 1];
                bool open = t->kind == ERROR && t->text[0] == '"';
                if (open || (t->kind == STRING && before(q->at->line, q->at->column, t->pos.end_line, t->pos.end_column)))
                        return complete_string(c, n - 1, ret_column);
        }
        return complete_tokens(c, n, ret_column);
}

int query_complete(Lang *l, const QueryPlace *at, int (*add)(void *userdata, const QueryItem *item), void *userdata, uint32_t *ret_column) {
        _cleanup_(map_freep) Map *seen = map_new();
        Diags errors = {};
        Query q = {};
        Completion c = { .q = &q, .typed = "", .mark = "$", .seen = seen, .add = add, .userdata = userdata };
        uint32_t column = at->column;
        int r = begin(&q, l, at, &errors);

        if (r >= 0)
                r = seen ? complete(&c, &column) : -ENOMEM;
        end(&q, &errors);
        *ret_column = column;
        return r < 0 ? r : 0;
}
