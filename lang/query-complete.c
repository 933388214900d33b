/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which names could stand at a place. The tokens before the cursor say what is wanted there; whatever begins with what has been
 * typed is offered. */

#include <errno.h>

#include "common/meta.h"
#include "lang/builtins.h"
#include "lang/grammar.h"
#include "lang/query-parts.h"

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
        query_describe_def(c->q, d, &item);
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
                const char *name = query_defined_name(b->items[i], kind);
                const char *full = name ? written(c, kind, "", name) : NULL;
                QueryItem item = {};

                if (!full || !startswith(full, c->typed) || map_get(c->seen, full))
                        continue;
                query_describe_stmt(c->q, b->items[i], &item);
                r = offer(c, full, item);
        }
        return r;
}

static int offer_param(Completion *c, const Param *x) {
        QueryItem item;

        query_describe_param(c->q, x, &item);
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
                r = offer(c, capitals ? query_capitalize(c->q, k->kind) : k->kind, (QueryItem) { .kind = QUERY_RESOURCE, .doc = k->doc });
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
                query_describe_field(c->q, f, &item);
                r = offer(c, f->name, item);
        }
        return r;
}

static int offer_items(Completion *c, const char *kind) {
        int r = offer_fields(c, kind, false);

        for (const QueryItem *p = query_properties; p->name && r >= 0; p++)
                r = offer(c, p->name, *p);
        return r;
}

static int offer_metas(Completion *c) {
        int r = 0;

        for (const FieldSpec *f = meta_fields; f->name && r >= 0; f++) {
                QueryItem item;

                query_describe_meta(c->q, f, &item);
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

        if (query_token(c->q, i - 1) == IMPORT_IDENTIFIER)
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
        if (query_token(c->q, i - 1) == IMPORT_IDENTIFIER)
                return offer_modules(c);
        c->mark = "";
        return offer_names(c, NAME_VAR);
}

/* Everything begins with what was typed from that token on. */
static bool begin_with(Completion *c, uint32_t start, uint32_t n, uint32_t *ret_column) {
        if (start < n)
                *ret_column = c->q->tokens.items[start].pos.column;
        c->typed = start < n ? query_join(c->q, start, n - 1) : "";
        return c->typed;
}

static int complete_tokens(Completion *c, uint32_t n, uint32_t *ret_column) {
        Query *q = c->q;
        const Token *last = n > 0 ? &q->tokens.items[n - 1] : NULL;
        bool typing = last && query_is_word(last) && !query_before(last->pos.end_line, last->pos.end_column, q->at->line, q->at->column);
        uint32_t i = typing ? n - 1 : n, start = query_chain_start(q, i, DOT), kind_start = query_chain_start(q, i, COLON);
        int before_it = start > 0 ? query_token(q, start - 1) : 0;

        /* The name of a kind at the beginning of a statement, or after collect. */
        if (query_read_frames(q, kind_start) < 0)
                return -ENOMEM;
        const Frame *top = query_top(q);
        bool collect = kind_start > 0 && query_token(q, kind_start - 1) == COLLECT_IDENTIFIER && top->first + 1 == kind_start;
        bool arrow = kind_start > 0 && query_token(q, kind_start - 1) == ARROW && query_token(q, top->first) == CAPITALIZED_IDENTIFIER;
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
        bool target = top->kind == FRAME_RESOURCE && kind_start > 0 && query_token(q, top->first) == CAPITALIZED_IDENTIFIER &&
                      (query_token(q, kind_start - 1) == ROCKET || query_token(q, kind_start - 1) == ELVIS);
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
                const char *kind = start >= 2 && query_token(q, start - 2) == CLOSE_BRACK ? query_half_kind(q, start - 2) : NULL;
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
        while (n < q->tokens.n && query_token(q, n) != 0 &&
               query_before(q->tokens.items[n].pos.line, q->tokens.items[n].pos.column, q->at->line, q->at->column))
                n++;
        if (n > 0) {
                const Token *t = &q->tokens.items[n - 1];
                bool open = t->kind == ERROR && t->text[0] == '"';
                if (open || (t->kind == STRING && query_before(q->at->line, q->at->column, t->pos.end_line, t->pos.end_column)))
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
        int r = query_begin(&q, l, at, &errors);

        if (r >= 0)
                r = seen ? complete(&c, &column) : -ENOMEM;
        query_end(&q, &errors);
        *ret_column = column;
        return r < 0 ? r : 0;
}
