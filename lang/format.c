/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The tree is printed anew, and the comments, which it does not have, are woven in by their lines in the source. Whether something
 * spans lines is up to the author: it does if its first element stood below the opening bracket, or if a comment is to go inside.
 *
 * All lines here are lines of the source. The printer knows two of them: the last one that has been printed, from which it tells
 * where there was an empty line, and the last one that anything printed so far came from, which is where a comment that is to
 * follow on the same line stood. Both only grow, so that a file is done in one pass. */

#include <inttypes.h>

#include "common/strbuf.h"
#include "lang/ast.h"
#include "lang/format.h"

enum {
        ARENA_MAX = 1024 * 1024 * 1024,         /* what one file may take */
        OUTPUT_MAX = 256 * 1024 * 1024,         /* indentation can make much of little */
};

typedef struct Printer {
        StrBuf out;
        const Comments *comments;
        uint32_t next;          /* comment */
        uint32_t last;          /* 0 before anything was printed */
        uint32_t end;
        bool too_large;
} Printer;

/* ---- weaving ---- */

static void reach(Printer *p, uint32_t line) {
        p->end = MAX(p->end, line);
}

static void indent(Printer *p, unsigned depth) {
        if (p->out.size > OUTPUT_MAX) {
                p->too_large = true;
                return;
        }
        for (unsigned i = 0; i < depth; i++)
                strbuf_putc(&p->out, '\t');
}

/* Something that begins on that line is next. */
static void gap(Printer *p, uint32_t line) {
        if (p->last > 0 && line > p->last + 1)
                strbuf_putc(&p->out, '\n');
}

static bool comment_before(const Printer *p, uint32_t line) {
        return p->next < p->comments->n && p->comments->items[p->next].line < line;
}

static void print_comment(Printer *p) {
        const Comment *c = &p->comments->items[p->next++];

        strbuf_putc(&p->out, '#');
        strbuf_add(&p->out, c->text, c->size);
}

/* The comments above that line, each on a line of its own. */
static void print_comments(Printer *p, uint32_t line, unsigned depth) {
        while (comment_before(p, line)) {
                uint32_t at = p->comments->items[p->next].line;

                gap(p, at);
                indent(p, depth);
                print_comment(p);
                strbuf_putc(&p->out, '\n');
                p->last = MAX(p->last, at);
                reach(p, at);
        }
}

static void begin_line(Printer *p, uint32_t line, unsigned depth) {
        print_comments(p, line, depth);
        gap(p, line);
        indent(p, depth);
        reach(p, line);
}

static void end_line(Printer *p) {
        if (p->next < p->comments->n && p->comments->items[p->next].line == p->end) {
                strbuf_putc(&p->out, ' ');
                print_comment(p);
        }
        strbuf_putc(&p->out, '\n');
        p->last = p->end;
}

static void close_lines(Printer *p, uint32_t line, unsigned depth, const char *bracket) {
        print_comments(p, line, depth + 1);
        gap(p, line);
        indent(p, depth);
        strbuf_puts(&p->out, bracket);
        reach(p, line);
        p->last = p->end;
}

/* Elements between brackets. */
typedef struct Sequence {
        const char *open, *close;
        const void *items;
        uint32_t n;
        uint32_t close_line;
        uint32_t (*line)(const void *items, uint32_t i);
        void (*print)(Printer *p, const void *items, uint32_t i, unsigned depth);
        bool sticky;            /* stays on one line even if there is a comment in an element */
} Sequence;

static void print_sequence(Printer *p, const Sequence *s, unsigned depth) {
        bool commented = comment_before(p, s->close_line);
        bool lines = s->n > 0 ? s->line(s->items, 0) > p->end || (commented && !s->sticky) : commented;

        strbuf_puts(&p->out, s->open);
        if (lines)
                end_line(p);
        for (uint32_t i = 0; i < s->n; i++) {
                if (lines)
                        begin_line(p, s->line(s->items, i), depth + 1);
                else if (i > 0)
                        strbuf_puts(&p->out, ", ");
                s->print(p, s->items, i, depth + lines);
                if (lines) {
                        strbuf_putc(&p->out, ',');
                        end_line(p);
                }
        }
        if (lines)
                close_lines(p, s->close_line, depth, s->close);
        else
                strbuf_puts(&p->out, s->close);
        reach(p, s->close_line);
}

/* ---- types and names ---- */

static void print_type(Printer *p, const Type *t) {
        switch (t->kind) {
        case TYPE_LIST:
                strbuf_puts(&p->out, "[]");
                print_type(p, t->element);
                break;
        case TYPE_MAP:
                strbuf_puts(&p->out, "map{");
                print_type(p, t->key);
                strbuf_puts(&p->out, ": ");
                print_type(p, t->element);
                strbuf_putc(&p->out, '}');
                break;
        case TYPE_STRUCT:
                strbuf_puts(&p->out, "struct{");
                for (uint32_t i = 0; i < t->n_fields; i++) {
                        strbuf_printf(&p->out, "%s%s ", i > 0 ? "; " : "", t->fields[i].name);
                        print_type(p, t->fields[i].type);
                }
                strbuf_putc(&p->out, '}');
                break;
        case TYPE_FUNC:
                strbuf_puts(&p->out, "func(");
                for (uint32_t i = 0; i < t->n_fields; i++) {
                        const char *name = t->fields[i].name;
                        bool named = name[0] < '0' || name[0] > '9';    /* else it is the number that stands for a name */

                        strbuf_printf(&p->out, "%s%s%s%s", i > 0 ? ", " : "", named ? "$" : "", named ? name : "", named ? " " : "");
                        print_type(p, t->fields[i].type);
                }
                strbuf_puts(&p->out, ") ");
                print_type(p, t->element);
                break;
        default:
                strbuf_puts(&p->out, type_kind_name(t->kind));
                break;
        }
}

/* http:server as Http:Server */
static void print_capitalized(Printer *p, const char *name) {
        bool first = true;

        for (; *name; name++) {
                strbuf_putc(&p->out, first && *name >= 'a' && *name <= 'z' ? (char) (*name - 'a' + 'A') : *name);
                first = *name == ':';
        }
}

/* ---- expressions ---- */

static void print_expr(Printer *p, const Expr *e, unsigned depth);

static uint32_t expr_line(const void *items, uint32_t i) {
        return ((const Exprs *) items)->items[i]->pos.line;
}

static void print_expr_at(Printer *p, const void *items, uint32_t i, unsigned depth) {
        print_expr(p, ((const Exprs *) items)->items[i], depth);
}

static void print_args(Printer *p, const Exprs *args, uint32_t close_line, unsigned depth) {
        print_sequence(p,
                       &(Sequence) { .open = "(", .close = ")", .items = args, .n = args->n, .close_line = close_line,
                                     .line = expr_line, .print = print_expr_at, .sticky = true },
                       depth);
}

static void print_list(Printer *p, const Expr *e, unsigned depth) {
        print_sequence(p,
                       &(Sequence) { .open = "[", .close = "]", .items = &e->list, .n = e->list.n, .close_line = e->pos.end_line,
                                     .line = expr_line, .print = print_expr_at },
                       depth);
}

static uint32_t pair_line(const void *items, uint32_t i) {
        return ((const Pairs *) items)->items[i].pos.line;
}

static void print_pair(Printer *p, const void *items, uint32_t i, unsigned depth) {
        const Pair *pair = &((const Pairs *) items)->items[i];

        print_expr(p, pair->key, depth);
        strbuf_puts(&p->out, " => ");
        print_expr(p, pair->value, depth);
}

static void print_map(Printer *p, const Expr *e, unsigned depth) {
        print_sequence(p,
                       &(Sequence) { .open = "{", .close = "}", .items = &e->map, .n = e->map.n, .close_line = e->pos.end_line,
                                     .line = pair_line, .print = print_pair },
                       depth);
}

static uint32_t field_line(const void *items, uint32_t i) {
        return ((const Fields *) items)->items[i].pos.line;
}

static void print_field(Printer *p, const void *items, uint32_t i, unsigned depth) {
        const Field *field = &((const Fields *) items)->items[i];

        strbuf_printf(&p->out, "%s => ", field->name);
        print_expr(p, field->value, depth);
}

static void print_struct(Printer *p, const Expr *e, unsigned depth) {
        print_sequence(p,
                       &(Sequence) { .open = "struct{", .close = "}", .items = &e->st, .n = e->st.n, .close_line = e->pos.end_line,
                                     .line = field_line, .print = print_field },
                       depth);
}

static uint32_t param_line(const void *items, uint32_t i) {
        return ((const Params *) items)->items[i].pos.line;
}

static void print_param(Printer *p, const void *items, uint32_t i, unsigned depth) {
        const Param *x = &((const Params *) items)->items[i];

        strbuf_printf(&p->out, "$%s", x->name);
        if (x->type) {
                strbuf_putc(&p->out, ' ');
                print_type(p, x->type);
        }
        reach(p, x->end_line);
}

static void print_params(Printer *p, const Params *params, uint32_t close_line, unsigned depth) {
        print_sequence(p,
                       &(Sequence) { .open = "(", .close = ")", .items = params, .n = params->n, .close_line = close_line,
                                     .line = param_line, .print = print_param },
                       depth);
}

static bool body_spans_lines(const Printer *p, const Expr *body) {
        return body->inner->pos.line > body->pos.line || comment_before(p, body->pos.end_line);
}

/* { e }, of a function or a branch. */
static void print_body(Printer *p, const Expr *body, bool lines, unsigned depth) {
        reach(p, body->pos.line);
        if (lines) {
                strbuf_putc(&p->out, '{');
                end_line(p);
                begin_line(p, body->inner->pos.line, depth + 1);
                print_expr(p, body->inner, depth + 1);
                end_line(p);
                close_lines(p, body->pos.end_line, depth, "}");
        } else {
                strbuf_puts(&p->out, "{ ");
                print_expr(p, body->inner, depth);
                strbuf_puts(&p->out, " }");
        }
        reach(p, body->pos.end_line);
}

static void print_func(Printer *p, const Func *fn, unsigned depth) {
        strbuf_puts(&p->out, "func");
        if (fn->title)
                strbuf_printf(&p->out, " %s", fn->title);
        print_params(p, &fn->params, fn->close_line, depth);
        strbuf_putc(&p->out, ' ');
        if (fn->result) {
                print_type(p, fn->result);
                strbuf_putc(&p->out, ' ');
        }
        print_body(p, fn->body, body_spans_lines(p, fn->body), depth);
}

static void print_if(Printer *p, const Expr *e, unsigned depth) {
        strbuf_puts(&p->out, "if ");
        print_expr(p, e->branch.condition, depth);
        strbuf_putc(&p->out, ' ');
        bool lines = body_spans_lines(p, e->branch.then);
        print_body(p, e->branch.then, lines, depth);
        strbuf_puts(&p->out, " else ");
        print_body(p, e->branch.otherwise, lines, depth);
}

static void print_infix(Printer *p, const Expr *left, const char *operator, const Expr *right, unsigned depth) {
        print_expr(p, left, depth);
        strbuf_printf(&p->out, " %s ", operator);
        print_expr(p, right, depth);
}

static void print_call(Printer *p, const Expr *e, unsigned depth) {
        Expr *const *args = e->call.args.items;

        switch ((CallForm) e->form) {
        case CALL_NAME:
        case CALL_VAR:
                strbuf_printf(&p->out, "%s%s", e->form == CALL_VAR ? "$" : "", e->call.name);
                print_args(p, &e->call.args, e->pos.end_line, depth);
                break;
        case CALL_LAMBDA:
                print_expr(p, e->call.callee, depth);
                print_args(p, &e->call.args, e->pos.end_line, depth);
                break;
        case CALL_OPERATOR:
                if (e->call.args.n == 2) {
                        strbuf_printf(&p->out, "%s ", args[0]->str.text);
                        print_expr(p, args[1], depth);
                } else
                        print_infix(p, args[1], args[0]->str.text, args[2], depth);
                break;
        case CALL_IN:
                print_infix(p, args[0], "in", args[1], depth);
                break;
        case CALL_LOOKUP:
                print_expr(p, args[0], depth);
                strbuf_putc(&p->out, '[');
                print_expr(p, args[1], depth);
                strbuf_putc(&p->out, ']');
                break;
        case CALL_FIELD:
        case CALL_FIELD_OR:
                print_expr(p, args[0], depth);
                strbuf_printf(&p->out, "->%s", args[1]->str.text);
                if (e->form == CALL_FIELD_OR) {
                        strbuf_puts(&p->out, " <|> ");
                        print_expr(p, args[2], depth);
                }
                break;
        }
}

/* Never with an exponent, at least one digit after the point. */
static void print_float(Printer *p, double x) {
        char text[FLOAT_TEXT_MAX];

        strbuf_add(&p->out, text, float_text(x, text));
        if (!strchr(text, '.'))
                strbuf_puts(&p->out, ".0");
}

static void print_expr(Printer *p, const Expr *e, unsigned depth) {
        reach(p, e->pos.line);
        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                strbuf_puts(&p->out, e->b ? "true" : "false");
                break;
        case EXPR_STR:
                strbuf_putc(&p->out, '"');
                strbuf_add(&p->out, e->str.text, e->str.size);
                strbuf_putc(&p->out, '"');
                break;
        case EXPR_INT:
                strbuf_printf(&p->out, "%" PRId64, e->i);
                break;
        case EXPR_FLOAT:
                print_float(p, e->f);
                break;
        case EXPR_LIST:
                print_list(p, e, depth);
                break;
        case EXPR_MAP:
                print_map(p, e, depth);
                break;
        case EXPR_STRUCT:
                print_struct(p, e, depth);
                break;
        case EXPR_FUNC:
                print_func(p, e->fn, depth);
                break;
        case EXPR_VAR:
                strbuf_printf(&p->out, "$%s", e->var.name);
                break;
        case EXPR_CALL:
                print_call(p, e, depth);
                break;
        case EXPR_IF:
                print_if(p, e, depth);
                break;
        case EXPR_EXCEPT:
                print_infix(p, e->except.value, "<|>", e->except.fallback, depth);
                break;
        case EXPR_PAREN:
                strbuf_putc(&p->out, '(');
                print_expr(p, e->inner, depth);
                strbuf_putc(&p->out, ')');
                break;
        case EXPR_BRACES:       /* printed by print_body() */
        case EXPR_BUILTIN:      /* not made by the parser */
                break;
        }
        reach(p, e->pos.end_line);
}

/* ---- statements ---- */

static void print_statements(Printer *p, const Block *b, unsigned depth);

static void print_block(Printer *p, const Block *b, unsigned depth) {
        reach(p, b->pos.line);
        if (b->n == 0 && !comment_before(p, b->pos.end_line))
                strbuf_puts(&p->out, "{}");
        else {
                strbuf_putc(&p->out, '{');
                end_line(p);
                print_statements(p, b, depth + 1);
                close_lines(p, b->pos.end_line, depth, "}");
        }
        reach(p, b->pos.end_line);
}

static void print_half(Printer *p, const EdgeHalf *h, unsigned depth) {
        print_capitalized(p, h->kind);
        strbuf_putc(&p->out, '[');
        print_expr(p, h->name, depth);
        strbuf_putc(&p->out, ']');
        if (h->field)
                strbuf_printf(&p->out, ".%s", h->field);
        reach(p, h->pos.end_line);
}

static void print_item(Printer *p, const Item *item, unsigned depth) {
        if (item->kind == ITEM_FIELD)
                strbuf_puts(&p->out, item->name);
        else
                print_capitalized(p, item->kind == ITEM_META ? item->property : item->name);
        if (item->kind == ITEM_META && item->name)
                strbuf_printf(&p->out, ":%s", item->name);
        strbuf_puts(&p->out, " => ");
        if (item->condition) {
                print_expr(p, item->condition, depth);
                strbuf_puts(&p->out, " ?: ");
        }
        if (item->half)
                print_half(p, item->half, depth);
        else
                print_expr(p, item->value, depth);
        strbuf_putc(&p->out, ',');
        reach(p, item->pos.end_line);
}

static void print_resource(Printer *p, const Stmt *s, unsigned depth) {
        const Items *items = &s->resource.items;
        uint32_t n = items->n - s->resource.collect;    /* the last one of a collect statement is none that was written */

        strbuf_printf(&p->out, "%s%s ", s->resource.collect ? "collect " : "", s->resource.kind);
        print_expr(p, s->resource.name, depth);
        if (n == 0 && !comment_before(p, s->pos.end_line)) {
                strbuf_puts(&p->out, " {}");
                return;
        }
        strbuf_puts(&p->out, " {");
        end_line(p);
        for (uint32_t i = 0; i < n; i++) {
                begin_line(p, items->items[i]->pos.line, depth + 1);
                print_item(p, items->items[i], depth + 1);
                end_line(p);
        }
        close_lines(p, s->pos.end_line, depth, "}");
}

static void print_branch(Printer *p, const Stmt *s, unsigned depth) {
        if (s->branch.panic) {
                strbuf_puts(&p->out, "panic");
                print_args(p, &s->branch.condition->call.args, s->pos.end_line, depth);
                return;
        }
        strbuf_puts(&p->out, "if ");
        print_expr(p, s->branch.condition, depth);
        strbuf_putc(&p->out, ' ');
        print_block(p, s->branch.then, depth);
        if (s->branch.otherwise) {
                strbuf_puts(&p->out, " else ");
                print_block(p, s->branch.otherwise, depth);
        }
}

static void print_stmt(Printer *p, const Stmt *s, unsigned depth) {
        switch (s->kind) {
        case STMT_BIND:
                strbuf_printf(&p->out, "$%s ", s->bind.name);
                if (s->bind.type) {
                        print_type(p, s->bind.type);
                        strbuf_putc(&p->out, ' ');
                }
                strbuf_puts(&p->out, "= ");
                print_expr(p, s->bind.value, depth);
                break;
        case STMT_RESOURCE:
                print_resource(p, s, depth);
                break;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++) {
                        strbuf_puts(&p->out, i > 0 ? " -> " : "");
                        print_half(p, s->edge.items[i], depth);
                }
                break;
        case STMT_IF:
                print_branch(p, s, depth);
                break;
        case STMT_FOR:
        case STMT_FORKV:
                strbuf_printf(&p->out, "%s $%s, $%s in ", s->kind == STMT_FOR ? "for" : "forkv", s->loop.first.name,
                              s->loop.second.name);
                print_expr(p, s->loop.over, depth);
                strbuf_putc(&p->out, ' ');
                print_block(p, s->loop.body, depth);
                break;
        case STMT_FUNC:
                print_func(p, s->func.fn->fn, depth);
                break;
        case STMT_CLASS:
                strbuf_printf(&p->out, "class %s", s->class.name);
                if (s->class.parens)
                        print_params(p, &s->class.params, s->class.body->pos.line, depth);
                strbuf_putc(&p->out, ' ');
                print_block(p, s->class.body, depth);
                break;
        case STMT_INCLUDE:
                strbuf_printf(&p->out, "include %s", s->include.name);
                if (s->include.parens)
                        print_args(p, &s->include.args, s->pos.end_line, depth);
                if (s->include.alias)
                        strbuf_printf(&p->out, " as %s", s->include.alias);
                break;
        case STMT_IMPORT:
                strbuf_puts(&p->out, "import \"");
                strbuf_add(&p->out, s->import.name, s->import.name_size);
                strbuf_putc(&p->out, '"');
                if (s->import.alias || s->import.star)
                        strbuf_printf(&p->out, " as %s", s->import.star ? "*" : s->import.alias);
                break;
        }
        reach(p, s->pos.end_line);
}

static void print_statements(Printer *p, const Block *b, unsigned depth) {
        for (uint32_t i = 0; i < b->n; i++) {
                begin_line(p, b->items[i]->pos.line, depth);
                print_stmt(p, b->items[i], depth);
                end_line(p);
        }
}

/* ---- files ---- */

static int print_ast(const Ast *ast, char **ret, size_t *ret_size, Diag *reterr) {
        Printer p = { .comments = &ast->comments };

        print_statements(&p, ast->block, 0);
        print_comments(&p, UINT32_MAX, 0);

        size_t size = p.out.size;
        _cleanup_free_ char *text = strbuf_take(&p.out);
        if (p.too_large)
                return diag_set(reterr, (Pos) { .file = ast->file }, -E2BIG, "the formatted text would be too large");
        if (!text)
                return diag_set(reterr, (Pos) { .file = ast->file }, -ENOMEM, "out of memory");
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

static bool comments_equal(const Comments *a, const Comments *b) {
        if (a->n != b->n)
                return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (a->items[i].size != b->items[i].size || memcmp(a->items[i].text, b->items[i].text, a->items[i].size) != 0)
                        return false;
        return true;
}

/* Nothing is lost, nothing has another meaning, and the next run leaves it alone. */
static int verify(const Ast *ast, const char *text, size_t size, Diag *reterr) {
        _cleanup_(arena_freep) Arena *arena = arena_new(ARENA_MAX);
        _cleanup_(diag_done) Diag error = {};
        _cleanup_free_ char *again = NULL;
        const char *problem = NULL;
        size_t again_size = 0;
        Ast back;
        int r;

        if (!arena)
                return -ENOMEM;
        r = ast_parse(arena, ast->file, text, size, &back, &error);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                problem = error.message ?: "what it wrote does not parse";
        else if (!comments_equal(&ast->comments, &back.comments))
                problem = "the comments have changed";
        else if (!block_equal(ast->block, back.block))
                problem = "the meaning has changed";
        else {
                r = print_ast(&back, &again, &again_size, reterr);
                if (r < 0)
                        return r;
                if (again_size != size || memcmp(again, text, size) != 0)
                        problem = "a second run would change it again";
        }
        if (!problem)
                return 0;
        return diag_set(reterr, (Pos) { .file = ast->file }, -ENOTRECOVERABLE, "mcl fmt bug: %s", problem);
}

int format_text(const char *file, const char *text, size_t size, char **ret, size_t *ret_size, Diag *reterr) {
        _cleanup_(arena_freep) Arena *arena = arena_new(ARENA_MAX);
        _cleanup_free_ char *formatted = NULL;
        size_t formatted_size = 0;
        Ast ast;
        int r;

        if (!arena)
                return diag_set(reterr, (Pos) { .file = file }, -ENOMEM, "out of memory");
        r = ast_parse(arena, file, text, size, &ast, reterr);
        if (r < 0)
                return r;
        r = print_ast(&ast, &formatted, &formatted_size, reterr);
        if (r < 0)
                return r;
        r = verify(&ast, formatted, formatted_size, reterr);
        if (r < 0)
                return r == -ENOMEM ? diag_set(reterr, (Pos) { .file = file }, r, "out of memory") : r;
        *ret = TAKE_PTR(formatted);
        *ret_size = formatted_size;
        return 0;
}
