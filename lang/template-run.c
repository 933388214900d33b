/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Templates: walks the tree and writes the text. A map that lacks a key is an error (missingkey=error), so is a step too many:
 * no template can keep the program busy for ever. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#include "lang/template.h"

enum {
        DEPTH_MAX = 1000,               /* of templates that call templates */
        STEPS_MAX = 1000 * 1000,     /* less than a second, whatever they print */
};

typedef struct Variable {
        const char *name;
        Value value;
} Variable;

typedef struct Run {
        const Template *t;
        const char *executing;          /* name of the template */
        const TemplateWorld *world;
        StrBuf *out;
        Diag *reterr;
        Variable *variables;
        size_t n_variables, capacity;
        size_t first_variable;          /* of the template that runs; this one is $ */
        unsigned depth, steps;
} Run;

typedef enum Flow { FLOW_ON = 0, FLOW_BREAK = 1, FLOW_CONTINUE = 2 } Flow;

/* ---- errors: all of them say where ---- */

/* The text of a part, with one space where there are some, but for strings. */
static void put_tidied(StrBuf *b, const char *s, size_t size) {
        char quote = '\0';

        for (size_t i = 0; i < size; i++) {
                bool space = !quote && strchr(" \t\r\n", s[i]);

                if (quote ? s[i] == quote : s[i] == '"' || s[i] == '`' || s[i] == '\'')
                        quote = quote ? '\0' : s[i];
                if (quote && quote != '`' && s[i] == '\\' && i + 1 < size)
                        strbuf_putc(b, s[i++]);
                if (!space)
                        strbuf_putc(b, s[i]);
                else if (b->size > 0 && b->data[b->size - 1] != ' ')
                        strbuf_putc(b, ' ');
        }
}

/* Puts the place before the message of reterr, which is there already. word: what stood before that part, or NULL. */
static int locate_after(Run *r, size_t at, const char *word, size_t begin, size_t end, int error) {
        size_t line = 1, line_begin = 0;

        for (size_t i = 0; i < at; i++)
                if (r->t->source[i] == '\n') {
                        line++;
                        line_begin = i + 1;
                }
        if (r->reterr && r->reterr->message) {
                _cleanup_(strbuf_done) StrBuf text = {};

                if (end > begin) {
                        strbuf_puts(&text, " at <");
                        if (word)
                                strbuf_printf(&text, "{{%s ", word);
                        put_tidied(&text, r->t->source + begin, end - begin);
                        strbuf_puts(&text, word ? "}}>" : ">");
                }
                (void) diag_prefix(r->reterr, "template: execution error: template: template:%zu:%zu: executing \"%s\"%s", line,
                                   at - line_begin, r->executing, text.data ?: "");
        }
        return error;
}

static int locate(Run *r, size_t at, size_t begin, size_t end, int error) {
        return locate_after(r, at, NULL, begin, end, error);
}

#define FAIL_AT(r, e, ...) locate((r), (e)->at, (e)->begin, (e)->end, diag_set((r)->reterr, (Pos) {}, -EINVAL, __VA_ARGS__))

static int step(Run *r, size_t at) {
        if (++r->steps > STEPS_MAX || r->out->full)
                return locate(r, at, at, at, diag_set(r->reterr, (Pos) {}, -E2BIG, "the template does too much"));
        return 0;
}

/* ---- variables ---- */

static int push(Run *r, const char *name, Value v) {
        if (GROW(r->variables, r->n_variables, r->capacity) < 0)
                return -ENOMEM;
        r->variables[r->n_variables++] = (Variable) { .name = name, .value = value_ref(v) };
        return 0;
}

static void pop(Run *r, size_t n) {
        while (r->n_variables > n)
                value_done(&r->variables[--r->n_variables].value);
}

static Variable *find(Run *r, const char *name) {
        for (size_t i = r->n_variables; i > r->first_variable; i--)
                if (streq(r->variables[i - 1].name, name))
                        return &r->variables[i - 1];
        return NULL;
}

static void assign(Run *r, const char *name, Value v) {
        Variable *variable = find(r, name);

        if (variable) {
                value_done(&variable->value);
                variable->value = value_ref(v);
        }
}

/* ---- expressions ---- */

static int evaluate_pipeline(Run *r, Value dot, const TemplatePipeline *p, Value *ret);

/* Takes v, follows the names. */
static int follow(Run *r, const TemplateExpr *e, size_t first, Value *v) {
        for (size_t i = first; i < e->n_names; i++) {
                const char *name = e->names[i];
                Value next = VALUE_NIL;

                if (v->kind == TYPE_NIL)
                        return FAIL_AT(r, e, "nil data; no entry for key \"%s\"", name);
                if (v->kind == TYPE_STRUCT) {
                        const Value *found = value_struct_get(*v, name);
                        if (!found)
                                return FAIL_AT(r, e, "can't evaluate field %s in type %s", name, template_type_name(*v));
                        next = value_ref(*found);
                } else if (v->kind == TYPE_MAP && (v->m->n == 0 || v->m->items[0].key.kind == TYPE_STR)) {
                        Value key;
                        if (value_strz(&key, name) < 0)
                                return -ENOMEM;
                        const Value *found = value_map_get(*v, key);
                        value_done(&key);
                        if (!found)
                                return FAIL_AT(r, e, "map has no entry for key \"%s\"", name);
                        next = value_ref(*found);
                } else
                        return FAIL_AT(r, e, "can't evaluate field %s in type %s", name, template_type_name(*v));
                value_done(v);
                *v = next;
        }
        return 0;
}

static int evaluate_call(Run *r, Value dot, const TemplateCommand *c, const TemplateExpr *f, const Value *last, Value *ret);

static int evaluate_operand(Run *r, Value dot, const TemplateExpr *e, Value *ret) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int error = 0;

        switch (e->kind) {
        case TEMPLATE_NIL:
                return 0;
        case TEMPLATE_DOT:
                *ret = value_ref(dot);
                return 0;
        case TEMPLATE_CONSTANT:
                *ret = value_ref(e->value);
                return 0;
        case TEMPLATE_FIELD:
                v = value_ref(dot);
                error = follow(r, e, 0, &v);
                break;
        case TEMPLATE_VARIABLE: {
                const Variable *variable = streq(e->names[0], "$") ? &r->variables[r->first_variable] : find(r, e->names[0]);
                if (!variable)
                        return FAIL_AT(r, e, "undefined variable: %s", e->names[0]);
                v = value_ref(variable->value);
                error = follow(r, e, 1, &v);
                break;
        }
        case TEMPLATE_FUNCTION:
                return evaluate_call(r, dot, NULL, e, NULL, ret);
        case TEMPLATE_PIPELINE:
        case TEMPLATE_CHAIN:
                error = evaluate_pipeline(r, dot, e->pipeline, &v);
                if (error == 0)
                        error = follow(r, e, 0, &v);
                break;
        }
        if (error == 0)
                *ret = value_take(&v);
        return error;
}

/* and, or: stop at the first argument that decides. */
static int evaluate_logic(Run *r, Value dot, const TemplateCommand *c, const Value *last, bool is_and, Value *ret) {
        size_t n = c ? c->n - 1 : 0;
        _cleanup_(value_done) Value v = VALUE_NIL;

        for (size_t i = 0; i < n + (last != NULL); i++) {
                value_done(&v);
                if (i == n)
                        v = value_ref(*last);
                else {
                        int error = evaluate_operand(r, dot, c->args[i + 1], &v);
                        if (error != 0)
                                return error;
                }
                if (template_truth(v) != is_and)
                        break;
        }
        *ret = value_take(&v);
        return 0;
}

/* Those of c (NULL: none) but the first, which is called, and what came through the pipe, as a function takes them. */
static int evaluate_args(Run *r, Value dot, const TemplateCommand *c, const TemplateExpr *f, const Value *last, Value *args) {
        bool own = template_has_builtin(f->names[0]);
        size_t n = c ? c->n - 1 : 0;
        int error;

        for (size_t i = 0; i < n; i++) {
                const TemplateExpr *e = c->args[i + 1];
                const char *written = e->kind == TEMPLATE_CONSTANT ? r->t->source + e->begin : NULL;

                error = evaluate_operand(r, dot, e, &args[i]);
                if (error != 0)
                        return error;
                error = own ? 0 : r->world->accept(r->world->userdata, f->names[0], i, written, (int) (e->end - e->begin), &args[i],
                                                   r->reterr);
                if (error != 0)
                        return locate(r, e->at, e->begin, e->end, error);
        }
        if (!last)
                return 0;
        args[n] = value_ref(*last);
        error = own ? 0 : r->world->accept(r->world->userdata, f->names[0], n, NULL, 0, &args[n], r->reterr);
        return error == 0 ? 0 : locate(r, f->at, c ? c->begin : f->begin, c ? c->end : f->end, error);
}

static int call_function(Run *r, const char *name, const Value *args, size_t n, Value *ret) {
        if (template_has_builtin(name))
                return template_builtin(name, args, n, ret, r->reterr);

        int error = r->world->call(r->world->userdata, name, args, n, ret, r->reterr);
        if (error != 0 && r->reterr)
                (void) diag_prefix(r->reterr, "error calling %s", name);
        return error;
}

/* f with the arguments of c (NULL: none) and what came through the pipe. */
static int evaluate_call(Run *r, Value dot, const TemplateCommand *c, const TemplateExpr *f, const Value *last, Value *ret) {
        size_t n = (c ? c->n - 1 : 0) + (last != NULL);
        const char *name = f->names[0];

        if (n > 0 && (streq(name, "and") || streq(name, "or")))
                return evaluate_logic(r, dot, c, last, *name == 'a', ret);

        _cleanup_free_ Value *args = calloc(n + 1, sizeof(Value));
        if (!args)
                return -ENOMEM;
        int error = evaluate_args(r, dot, c, f, last, args);
        if (error == 0) {
                error = call_function(r, name, args, n, ret);
                if (error != 0)
                        error = locate(r, f->at, c ? c->begin : f->begin, c ? c->end : f->end, error);
        }
        for (size_t i = 0; i < n; i++)
                value_done(&args[i]);
        return error;
}

static int evaluate_command(Run *r, Value dot, const TemplateCommand *c, const Value *last, Value *ret) {
        const TemplateExpr *first = c->args[0];

        if (first->kind == TEMPLATE_FUNCTION)
                return evaluate_call(r, dot, c, first, last, ret);
        if (c->n > 1 || last) {
                if (first->kind == TEMPLATE_FIELD || first->kind == TEMPLATE_CHAIN)
                        return FAIL_AT(r, first, "%s is not a method but has arguments", first->names[first->n_names - 1]);
                return FAIL_AT(r, first, "can't give argument to non-function %.*s", (int) (first->end - first->begin),
                               r->t->source + first->begin);
        }
        if (first->kind == TEMPLATE_NIL)
                return FAIL_AT(r, first, "nil is not a command");
        return evaluate_operand(r, dot, first, ret);
}

static int evaluate_pipeline(Run *r, Value dot, const TemplatePipeline *p, Value *ret) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int error;

        error = step(r, p->begin);
        for (size_t i = 0; error == 0 && i < p->n; i++) {
                Value next = VALUE_NIL;
                error = evaluate_command(r, dot, &p->commands[i], i > 0 ? &v : NULL, &next);
                if (error == 0) {
                        value_done(&v);
                        v = next;
                }
        }
        if (error == 0)
                *ret = value_take(&v);
        return error;
}

/* As above, and sets the variable it declares or assigns. */
static int evaluate_declaring(Run *r, Value dot, const TemplatePipeline *p, Value *ret) {
        int error = evaluate_pipeline(r, dot, p, ret);

        if (error != 0 || p->n_variables == 0)
                return error;
        if (p->assign)
                assign(r, p->variables[0], *ret);
        else
                error = push(r, p->variables[0], *ret);
        if (error < 0)
                value_done(ret);
        return error;
}

/* ---- nodes: an error, BUILTIN_CATCHABLE as a positive error, and apart from that the flow ---- */

static int run_list(Run *r, Value dot, const TemplateNode *n, Flow *flow);

/* One turn of a range: index or key, and element. */
static int run_turn(Run *r, const TemplateNode *n, Value index, Value element, Flow *flow) {
        const TemplatePipeline *p = n->pipeline;
        size_t scope = r->n_variables;
        int error = step(r, n->at);

        if (error == 0 && p->n_variables > 0 && p->assign) {
                assign(r, p->variables[0], p->n_variables > 1 ? index : element);
                if (p->n_variables > 1)
                        assign(r, p->variables[1], element);
        } else if (error == 0 && p->n_variables > 0) {
                error = push(r, p->variables[0], p->n_variables > 1 ? index : element);
                if (error == 0 && p->n_variables > 1)
                        error = push(r, p->variables[1], element);
        }
        if (error == 0)
                error = run_list(r, element, n->body, flow);
        pop(r, scope);
        return error;
}

static int run_range(Run *r, Value dot, const TemplateNode *n, Flow *flow) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        Flow inner = FLOW_ON;
        int64_t count = 0;
        int error;

        error = evaluate_pipeline(r, dot, n->pipeline, &v);
        if (error != 0)
                return error;
        if (v.kind == TYPE_LIST)
                count = v.l->n;
        else if (v.kind == TYPE_MAP)
                count = v.m->n;
        else if (v.kind == TYPE_INT)
                count = v.i;
        else if (v.kind != TYPE_NIL) {
                StrBuf text = {};
                template_print(&text, v);
                error = diag_set(r->reterr, (Pos) {}, -EINVAL, "range can't iterate over %s", text.data ?: "");
                strbuf_done(&text);
                return locate(r, n->pipeline->begin, n->pipeline->begin, n->pipeline->end, error);
        }
        if (count <= 0)
                return run_list(r, dot, n->otherwise, flow);
        for (int64_t i = 0; error == 0 && inner != FLOW_BREAK && i < count; i++) {
                inner = FLOW_ON;
                if (v.kind == TYPE_LIST)
                        error = run_turn(r, n, VALUE_INT(i), value_list_at(v.l, (uint32_t) i), &inner);
                else if (v.kind == TYPE_MAP)
                        error = run_turn(r, n, v.m->items[i].key, v.m->items[i].value, &inner);
                else
                        error = run_turn(r, n, VALUE_INT(i), VALUE_INT(i), &inner);
        }
        return error;
}

static int run_call(Run *r, Value dot, const TemplateNode *n) {
        const TemplateDefinition *d = r->t->definitions;
        _cleanup_(value_done) Value v = VALUE_NIL;
        const char *outer = r->executing;
        size_t first = r->first_variable, scope = r->n_variables;
        Flow flow = FLOW_ON;
        int error;

        while (d && !streq(d->name, n->text))
                d = d->next;
        if (!d)
                return locate_after(r, n->at, "template", n->at, n->end,
                                    diag_set(r->reterr, (Pos) {}, -EINVAL, "template \"%s\" not defined", n->text));
        if (r->depth >= DEPTH_MAX)
                return locate_after(r, n->at, "template", n->at, n->end,
                                    diag_set(r->reterr, (Pos) {}, -ELOOP, "exceeded maximum template depth (%d)", (int) DEPTH_MAX));
        if (n->pipeline) {
                error = evaluate_pipeline(r, dot, n->pipeline, &v);
                if (error != 0)
                        return error;
        }
        error = push(r, "$", v);
        if (error == 0) {
                r->first_variable = r->n_variables - 1;
                r->executing = d->name;
                r->depth++;
                error = run_list(r, v, d->body, &flow);
                r->depth--;
                r->executing = outer;
        }
        r->first_variable = first;
        pop(r, scope);
        return error;
}

static int run_branch(Run *r, Value dot, const TemplateNode *n, Flow *flow) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        size_t scope = r->n_variables;
        int error;

        error = evaluate_declaring(r, dot, n->pipeline, &v);
        if (error == 0) {
                if (template_truth(v))
                        error = run_list(r, n->kind == TEMPLATE_WITH ? v : dot, n->body, flow);
                else
                        error = run_list(r, dot, n->otherwise, flow);
        }
        pop(r, scope);
        return error;
}

static int run_action(Run *r, Value dot, const TemplateNode *n) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int error = evaluate_declaring(r, dot, n->pipeline, &v);

        if (error != 0 || n->pipeline->n_variables > 0)
                return error;
        if (v.kind == TYPE_NIL)
                strbuf_puts(r->out, "<no value>");
        else
                template_print(r->out, v);
        return 0;
}

static int run_list(Run *r, Value dot, const TemplateNode *n, Flow *flow) {
        int error = 0;

        for (; error == 0 && n && *flow == FLOW_ON; n = n->next)
                switch (n->kind) {
                case TEMPLATE_TEXT:
                        strbuf_add(r->out, n->text ?: "", n->size);
                        break;
                case TEMPLATE_ACTION:
                        error = run_action(r, dot, n);
                        break;
                case TEMPLATE_IF:
                case TEMPLATE_WITH:
                        error = run_branch(r, dot, n, flow);
                        break;
                case TEMPLATE_RANGE: {
                        size_t scope = r->n_variables;
                        error = run_range(r, dot, n, flow);
                        pop(r, scope);
                        break;
                }
                case TEMPLATE_BREAK:
                        *flow = FLOW_BREAK;
                        break;
                case TEMPLATE_CONTINUE:
                        *flow = FLOW_CONTINUE;
                        break;
                case TEMPLATE_CALL:
                        error = run_call(r, dot, n);
                        break;
                }
        return error;
}

int template_run(const Template *t, Value data, const TemplateWorld *world, StrBuf *out, Diag *reterr) {
        Run r = { .t = t, .executing = "template", .world = world, .out = out, .reterr = reterr };
        Flow flow = FLOW_ON;
        int error;

        error = push(&r, "$", data);
        if (error == 0)
                error = run_list(&r, data, t->body, &flow);
        pop(&r, 0);
        free(r.variables);
        return error;
}

/* ---- values of the program ---- */

static int capitalised(const ValueStr *name, Value *ret) {
        int r = value_str(ret, name->data, name->size);

        if (r == 0 && name->size > 0)
                ret->s->data[0] = (char) toupper((unsigned char) ret->s->data[0]);
        return r;
}

/* Keys that are structs stay records, with capitalised names. */
static int record(const ValueStruct *st, Value *ret) {
        _cleanup_free_ Value *values = calloc(st->n + 1, sizeof(Value)), *names = calloc(st->n + 1, sizeof(Value));
        _cleanup_free_ const char **texts = calloc(st->n + 1, sizeof(char *));
        int r = values && names && texts ? 0 : -ENOMEM;

        for (uint32_t i = 0; r == 0 && i < st->n; i++) {
                r = capitalised(st->fields[i].name, &names[i]);
                if (r == 0) {
                        texts[i] = value_cstr(names[i]);
                        values[i] = value_ref(st->fields[i].value);
                }
        }
        if (r == 0)
                r = value_struct(ret, texts, values, st->n);
        for (uint32_t i = 0; names && i < st->n; i++)
                value_done(&names[i]);
        return r;
}

int template_value(Value v, Value *ret) {
        uint32_t n = v.kind == TYPE_LIST ? v.l->n : v.kind == TYPE_MAP ? v.m->n : v.kind == TYPE_STRUCT ? v.st->n : 0;
        int r = 0;

        if (v.kind == TYPE_FUNC)
                return -EINVAL;
        if (v.kind != TYPE_LIST && v.kind != TYPE_MAP && v.kind != TYPE_STRUCT) {
                *ret = value_ref(v);
                return 0;
        }

        _cleanup_free_ Value *items = calloc((size_t) n * 2 + 1, sizeof(Value));
        if (!items)
                return -ENOMEM;
        for (uint32_t i = 0; r == 0 && i < n; i++)
                switch (v.kind) {
                case TYPE_LIST:
                        r = template_value(value_list_at(v.l, i), &items[i]);
                        break;
                case TYPE_MAP:
                        if (v.m->items[i].key.kind == TYPE_STRUCT)
                                r = record(v.m->items[i].key.st, &items[2 * i]);
                        else
                                items[2 * i] = value_ref(v.m->items[i].key);
                        if (r == 0)
                                r = template_value(v.m->items[i].value, &items[2 * i + 1]);
                        break;
                default:
                        r = capitalised(v.st->fields[i].name, &items[2 * i]);
                        if (r == 0)
                                r = template_value(v.st->fields[i].value, &items[2 * i + 1]);
                }
        if (r < 0) {
                for (size_t i = 0; i < (size_t) n * 2; i++)
                        value_done(&items[i]);
                return r;
        }
        return v.kind == TYPE_LIST ? value_list(ret, items, n) : value_map(ret, items, n);
}
