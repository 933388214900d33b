/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What names mean, and what stands at a place: the tokens say which name it is, the scopes that the compiler has made say what it
 * stands for there. */

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/meta.h"
#include "lang/builtins.h"
#include "lang/grammar.h"
#include "lang/query-parts.h"

const QueryItem query_properties[] = {
        { QUERY_PROPERTY, "Before", NULL, "This resource is done before that one.", {} },
        { QUERY_PROPERTY, "Depend", NULL, "That resource is done before this one.", {} },
        { QUERY_PROPERTY, "Listen", NULL, "That resource is done before this one, and tells it when it has changed.", {} },
        { QUERY_PROPERTY, "Meta", NULL, "How the engine treats this resource: Meta:noop, Meta:retry, …", {} },
        { QUERY_PROPERTY, "Notify", NULL, "This resource is done before that one, and tells it when it has changed.", {} },
        {}
};

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
        uint32_t line = pos.line, above = 0, limit = ast ? ast->comments.n : 0;

        while (above < limit) {         /* how many comments are above */
                uint32_t middle = above + (limit - above) / 2;
                if (ast->comments.items[middle].line < line)
                        above = middle + 1;
                else
                        limit = middle;
        }
        for (uint32_t i = above; i-- > 0;) {
                const Comment *c = &ast->comments.items[i];
                if (c->line + 1 != line || c->column != pos.column)
                        break;
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

/* The most that is known. A definition's own type may still be what inference began with, and what nothing uses was not looked at by
 * inference at all: then there is what is plain to see. */
static const Type *def_type(const Query *q, const Def *d) {
        const Program *p = q->program;
        bool resolved = !p->broken || p->stage > LANG_STAGE_SCOPE;
        const Type *t = d->kind == DEF_BIND && d->expr ? d->expr->type : NULL;

        if (!t || t->kind == TYPE_UNKNOWN)
                t = d->type && d->type->kind != TYPE_UNKNOWN ? d->type : d->annotation;
        if (!t && d->kind == DEF_BIND && d->expr && resolved)
                t = known_type(q->program, d->expr);
        return t;
}

void query_describe_stmt(const Query *q, const Stmt *s, QueryItem *ret) {
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
                ret->type = type_string(q, (s->bind.def ? def_type(q, s->bind.def) : NULL) ?: s->bind.type);
                break;
        }
}

void query_describe_def(const Query *q, const Def *d, QueryItem *ret) {
        switch (d->kind) {
        case DEF_BIND:
        case DEF_PARAM:
        case DEF_CONST:
                *ret = (QueryItem) { .kind = QUERY_VARIABLE, .definition = d->pos };
                ret->type = type_string(q, def_type(q, d));
                ret->doc = d->kind == DEF_BIND ? comment_above(q, d->pos) : NULL;
                break;
        case DEF_BUILTIN:
                *ret = (QueryItem) { .kind = QUERY_FUNCTION, .type = d->builtin->signature, .doc = d->builtin->doc };
                break;
        case DEF_FUNC:
        case DEF_CLASS:
                *ret = (QueryItem) {};
                query_describe_stmt(q, d->stmt, ret);
                break;
        }
}

void query_describe_param(const Query *q, const Param *x, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_VARIABLE, .definition = x->pos };
        ret->type = type_string(q, (x->def ? def_type(q, x->def) : NULL) ?: x->type);
}

static bool find_in_params(const Query *q, const Surrounding *s, const char *name, QueryItem *ret) {
        for (uint32_t i = 0; s->params && i < s->params->n; i++)
                if (streq(s->params->items[i].name, name)) {
                        query_describe_param(q, &s->params->items[i], ret);
                        return true;
                }
        for (int i = 0; i < 2 && s->loop[i]; i++)
                if (streq(s->loop[i]->name, name)) {
                        query_describe_param(q, s->loop[i], ret);
                        return true;
                }
        return false;
}

const char *query_defined_name(const Stmt *s, NameKind kind) {
        if (s->kind == STMT_BIND && kind == NAME_VAR)
                return s->bind.name;
        if (s->kind == STMT_FUNC && kind == NAME_FUNC)
                return s->func.name;
        return s->kind == STMT_CLASS && kind == NAME_CLASS ? s->class.name : NULL;
}

static bool find_in_block(const Query *q, const Block *b, NameKind kind, const char *name, QueryItem *ret) {
        for (uint32_t i = 0; i < b->n; i++) {
                const char *defined = query_defined_name(b->items[i], kind);
                if (defined && streq(defined, name)) {
                        *ret = (QueryItem) {};
                        query_describe_stmt(q, b->items[i], ret);
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
                        query_describe_def(q, d, ret);
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

void query_describe_field(const Query *q, const SchemaField *f, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_FIELD, .name = f->name, .type = type_string(q, f->mcl_type), .doc = f->doc };
}

void query_describe_meta(const Query *q, const FieldSpec *f, QueryItem *ret) {
        *ret = (QueryItem) { .kind = QUERY_META, .name = f->name, .type = type_string(q, field_mcl_type(f)), .doc = f->doc };
}

const char *query_capitalize(const Query *q, const char *name) {
        char *copy = arena_strdup(q->program->arena, name);

        for (char *c = copy; c && *c; c++)
                if ((c == copy || c[-1] == ':') && *c >= 'a' && *c <= 'z')
                        *c = (char) (*c - 'a' + 'A');
        return copy;
}

/* ---- what stands at a place ---- */

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

        if (query_token(q, i - 1) == IMPORT_IDENTIFIER)
                return import_at(q, t, ret);
        const char *name = name_in_string(q, t, ret_pos);
        if (!name || !find_name(q, NAME_VAR, name, ret))
                return false;
        ret->name = arena_printf(q->program->arena, "$%s", name);
        return ret->name;
}

/* Kind["name"], Before, Meta. */
static bool capitalized_at(Query *q, uint32_t start, uint32_t end, QueryItem *ret) {
        const char *name = query_join(q, start, end), *kind = query_lower(q, name);

        if (!name || !kind)
                return false;
        if (query_token(q, end + 1) == OPEN_BRACK && describe_kind(q, kind, ret)) {
                ret->name = name;
                return true;
        }
        for (const QueryItem *p = query_properties; p->name; p++)
                if (strcasecmp(p->name, name) == 0) {
                        *ret = *p;
                        return true;
                }
        return false;
}

/* In the body of a resource: what stands before => */
static bool item_at(Query *q, uint32_t i, QueryItem *ret) {
        const Frame *f = query_top(q);
        const SchemaKind *k = f->resource && q->program->host.schema ? schema_kind(q->program->host.schema, f->resource) : NULL;
        const char *name = query_join(q, i, i);

        if (!name)
                return false;
        if (query_token(q, i - 1) == COLON) {
                const FieldSpec *meta = field_find(meta_fields, name);
                if (meta)
                        query_describe_meta(q, meta, ret);
                return meta;
        }
        const SchemaField *field = k ? schema_field(k, name) : NULL;
        if (field)
                query_describe_field(q, field, ret);
        return field;
}

/* Kind["name"].field: what it sends, or receives. */
static bool transfer_at(Query *q, uint32_t i, QueryItem *ret) {
        const char *kind = query_half_kind(q, i - 2), *name = query_join(q, i, i);
        const SchemaKind *k = kind && q->program->host.schema ? schema_kind(q->program->host.schema, kind) : NULL;
        const SchemaField *field = k && name ? schema_send(k, name) ?: schema_field(k, name) : NULL;

        if (field)
                query_describe_field(q, field, ret);
        return field;
}

static bool name_at(Query *q, uint32_t i, QueryItem *ret, Pos *ret_pos) {
        uint32_t start = query_chain_start(q, i, DOT), end = query_chain_end(q, i, DOT);
        int last = query_token(q, start - 1), next = query_token(q, end + 1);
        const char *name = query_join(q, start, i);

        if (!name)
                return false;
        ret_pos->line = q->tokens.items[start].pos.line;
        ret_pos->column = q->tokens.items[start].pos.column;
        if (last == DOT && query_token(q, start - 2) == CLOSE_BRACK)
                return transfer_at(q, start, ret);
        if (last == DOLLAR) {
                ret_pos->column = q->tokens.items[start - 1].pos.column;
                bool found = find_name(q, NAME_VAR, name, ret);
                if (found && !ret->type)
                        ret->type = type_string(q, query_type_at(q, q->tokens.items[start - 1].pos));
                found = found || (i < end && find_module(q, name, ret));
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

        const Frame *top = query_top(q);
        if (top->kind == FRAME_RESOURCE && (top->fresh || last == COLON))
                return item_at(q, i, ret);
        uint32_t kind_start = query_chain_start(q, i, COLON);
        const char *kind = query_join(q, kind_start, query_chain_end(q, i, COLON));
        if (!kind || top->kind != FRAME_BLOCK || !describe_kind(q, kind, ret))
                return false;
        ret_pos->column = q->tokens.items[kind_start].pos.column;
        ret->name = kind;
        return true;
}

int query_begin(Query *q, Lang *l, const QueryPlace *at, Diags *errors) {
        const Ast *ast;

        q->program = l;
        q->at = at;
        l->errors = errors;     /* looking into a class that nobody looked into yet may fail */
        q->arena = arena_new(0);
        if (!q->arena)
                return -ENOMEM;
        ast = find_ast(l, at->file);
        if (ast && query_enter(q, ast->block) < 0)
                return -ENOMEM;
        return query_read_tokens(q);
}

void query_end(Query *q, Diags *errors) {
        q->program->errors = NULL;
        diags_done(errors);
        arena_free(q->arena);
}

static int find_at(Query *q, QueryItem *ret, Pos *ret_pos) {
        uint32_t i = query_token_at(q);
        int kind;

        if (i == UINT32_MAX)
                return 0;
        if (query_token(q, i) == DOLLAR && i + 1 < q->tokens.n)
                i++;
        kind = query_token(q, i);
        *ret_pos = q->tokens.items[i].pos;
        if (query_read_frames(q, i) < 0)
                return -ENOMEM;
        if (kind == STRING)
                return string_at(q, i, ret, ret_pos);
        if (kind == CAPITALIZED_IDENTIFIER) {
                uint32_t start = query_chain_start(q, i, COLON), stop = i;
                while (query_token(q, stop + 1) == COLON && query_token(q, stop + 2) == CAPITALIZED_IDENTIFIER)
                        stop += 2;
                ret_pos->column = q->tokens.items[start].pos.column;
                return capitalized_at(q, start, stop, ret);
        }
        return query_is_name(kind) ? name_at(q, i, ret, ret_pos) : 0;
}

int query_at(Lang *l, const QueryPlace *at, QueryItem *ret, Pos *ret_pos) {
        Diags errors = {};
        Query q = {};
        Pos pos = {};
        int r = query_begin(&q, l, at, &errors);

        *ret = (QueryItem) {};
        if (r >= 0)
                r = find_at(&q, ret, &pos);
        query_end(&q, &errors);
        if (r > 0 && ret_pos)
                *ret_pos = pos;
        return r > 0 && !ret->name ? -ENOMEM : r;
}
