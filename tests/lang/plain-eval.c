/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See plain-eval.h. Eager as the language is: in what is active everything is evaluated, whether it is looked at or not. */

#include <stdarg.h>
#include <stdio.h>

#include "lang/builtins.h"
#include "tests/lang/plain-eval.h"

enum { STEPS_MAX = 30 * 1000, DEPTH_MAX = 300 };

/* What an expression comes to: a value, or why there is none, or nothing yet. */
typedef struct Outcome {
        Value value;            /* borrowed from the evaluation, which keeps all of them */
        const Trouble *trouble;
        bool later;
} Outcome;

typedef struct Slot {
        bool known;
        Outcome outcome;
} Slot;

typedef struct Frame {
        const Level *level;
        struct Frame *parent;
        struct Frame *made_before;
        Slot slots[];
} Frame;

typedef struct Plain {
        Program *program;
        MockWorld *world;
        PlainGraph *graph;
        Frame *frames;
        void **rooms;
        size_t n_rooms, capacity_rooms;
        Value *values;
        size_t n_values, capacity_values;
        Trouble **troubles;
        size_t n_troubles, capacity_troubles;
        size_t n_steps;
        unsigned depth;
} Plain;

typedef struct PlainFunc {
        ValueFunc func;         /* first */
        const Func *fn;
        Frame *frame;
} PlainFunc;

static Outcome eval(Plain *p, const Expr *e, Frame *f, const Pos *stamp);

/* ---- keeping things ---- */

static Outcome good(Plain *p, Value v) {
        if (GROW(p->values, p->n_values, p->capacity_values) < 0) {
                value_done(&v);
                p->graph->failed = true;
                return (Outcome) { .later = true };
        }
        p->values[p->n_values++] = v;
        return (Outcome) { .value = v };
}

static Outcome bad(Plain *p, Pos pos, bool catchable, const char *message) {
        Trouble *t = calloc(1, sizeof(Trouble));

        if (!t || GROW(p->troubles, p->n_troubles, p->capacity_troubles) < 0) {
                free(t);
                p->graph->failed = true;
                return (Outcome) { .later = true };
        }
        *t = (Trouble) { .catchable = catchable, .pos = pos, .message = strdup(message ?: "failed") };
        p->troubles[p->n_troubles++] = t;
        return (Outcome) { .trouble = t };
}

/* Room for that many things, as long as the evaluation lasts. */
static void *room(Plain *p, size_t n, size_t size) {
        void *mine = calloc(n + 1, size);

        if (!mine || GROW(p->rooms, p->n_rooms, p->capacity_rooms) < 0)
                abort();
        p->rooms[p->n_rooms++] = mine;
        return mine;
}

static const Outcome later = { .later = true };

static Frame *frame_new(Plain *p, const Level *level, Frame *parent) {
        Frame *f = calloc(1, sizeof(Frame) + level->n_slots * sizeof(Slot));
        if (!f) {
                p->graph->failed = true;
                return NULL;
        }
        f->level = level;
        f->parent = parent;
        f->made_before = p->frames;
        p->frames = f;
        return f;
}

static Frame *frame_of(Frame *f, const Level *level) {
        while (f && f->level != level)
                f = f->parent;
        return f;
}

static void give(Frame *f, const Def *d, Outcome o) {
        f->slots[d->slot] = (Slot) { true, o };
}

static void func_free(ValueFunc *f) {
        free(f);
}

/* Whichever of them decides: nothing yet, then what cannot be caught, then the first that can. False: all have values. */
static bool decided(const Outcome *outcomes, size_t n, Outcome *ret) {
        const Trouble *trouble = NULL;

        for (size_t i = 0; i < n; i++) {
                if (outcomes[i].later) {
                        *ret = later;
                        return true;
                }
                if (outcomes[i].trouble && (!trouble || (trouble->catchable && !outcomes[i].trouble->catchable)))
                        trouble = outcomes[i].trouble;
        }
        *ret = (Outcome) { .trouble = trouble };
        return trouble;
}

/* ---- functions ---- */

/* Whether a body looks at a parameter whatever happens, and so answers for it itself. */
static bool looks_at(const Expr *e, const Def *d) {
        switch ((ExprKind) e->kind) {
        case EXPR_VAR:
                return e->var.def == d;
        case EXPR_LIST:
                for (uint32_t i = 0; i < e->list.n; i++)
                        if (looks_at(e->list.items[i], d))
                                return true;
                return false;
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++)
                        if (looks_at(e->map.items[i].key, d) || looks_at(e->map.items[i].value, d))
                                return true;
                return false;
        case EXPR_STRUCT:
                for (uint32_t i = 0; i < e->st.n; i++)
                        if (looks_at(e->st.items[i].value, d))
                                return true;
                return false;
        case EXPR_CALL:
                for (uint32_t i = 0; i < e->call.args.n; i++)
                        if (looks_at(e->call.args.items[i], d))
                                return true;
                return e->call.callee->kind == EXPR_FUNC ? looks_at(e->call.callee->fn->body, d) : looks_at(e->call.callee, d);
        case EXPR_IF:
                return looks_at(e->branch.condition, d);
        case EXPR_EXCEPT:
                return looks_at(e->except.value, d);
        default:
                return false;
        }
}

/* Errors of what a body gives are errors of the call. */
static Outcome call(Plain *p, const Func *fn, Frame *surroundings, const Outcome *args, Pos pos) {
        Frame *f = frame_new(p, fn->level, surroundings);
        Outcome *outcomes = room(p, fn->params.n + (size_t) 1, sizeof(Outcome)), decision;
        size_t n = 1;

        if (!f)
                return later;
        for (uint32_t i = 0; i < fn->params.n; i++)
                give(f, fn->params.items[i].def, args[i]);
        outcomes[0] = eval(p, fn->body, f, &pos);
        for (uint32_t i = 0; i < fn->params.n; i++)
                if (!looks_at(fn->body, fn->params.items[i].def))
                        outcomes[n++] = args[i];
        return decided(outcomes, n, &decision) ? decision : outcomes[0];
}

static Outcome call_value(Plain *p, Value function, const Outcome *args, Pos pos) {
        const PlainFunc *f = (const PlainFunc *) function.fn;

        return call(p, f->fn, f->frame, args, pos);
}

static Outcome element(Value list, uint32_t i) {
        return (Outcome) { .value = value_list_at(list.l, i) };
}

static Outcome eval_each(Plain *p, const Builtin *b, const Outcome *args, size_t n_args, Pos pos) {
        size_t n_lists = b->each == BUILTIN_EACH_ZIP ? 2 : 1;
        const Outcome *lists = args + n_args - 1 - n_lists;
        Outcome decision;
        uint32_t n = UINT32_MAX;

        if (decided(lists, n_lists + 1, &decision))
                return decision;
        for (size_t i = 0; i < n_lists; i++)
                n = MIN(n, lists[i].value.l->n);
        Value list = lists[0].value, function = args[n_args - 1].value;

        if (b->each == BUILTIN_EACH_REDUCE) {
                uint32_t i = 0;
                if (n_args == 2 && n == 0)
                        return bad(p, pos, false, "cannot reduce an empty list without an initial value");
                Outcome at = n_args == 3 ? args[0] : element(list, i++);
                for (; i < n; i++)
                        at = call_value(p, function, (const Outcome[]) { at, element(list, i) }, pos);
                return at;
        }

        Outcome *results = room(p, n, sizeof(Outcome));
        for (uint32_t i = 0; i < n; i++) {
                const Outcome of[] = { element(list, i), n_lists > 1 ? element(lists[1].value, i) : (Outcome) {} };
                results[i] = call_value(p, function, of, pos);
        }
        if (decided(results, n, &decision))
                return decision;
        Value *items = room(p, n, sizeof(Value)), v;
        size_t k = 0;
        for (uint32_t i = 0; i < n; i++)
                if (b->each != BUILTIN_EACH_FILTER)
                        items[k++] = value_ref(results[i].value);
                else if (results[i].value.b)
                        items[k++] = value_ref(value_list_at(list.l, i));
        if (value_list(&v, items, k) < 0) {
                p->graph->failed = true;
                return later;
        }
        return good(p, v);
}

static Outcome eval_source(Plain *p, const Expr *callee, const Value *args, size_t n, Pos pos) {
        MockCell *c = mock_world_cell(p->world, callee->builtin->name, args, n, callee->type->element);
        if (!c) {
                p->graph->failed = true;
                return later;
        }

        c->n_asked++;
        if (c->refuses) {
                char text[512];
                (void) snprintf(text, sizeof(text), "%s is closed", c->key);
                return bad(p, pos, false, text);
        }
        const MockAnswer *a = mock_cell_answer(p->world, c);
        if (!a) {
                p->graph->waiting = true;
                return later;
        }
        return a->problem ? bad(p, pos, a->catchable, a->problem) : good(p, value_ref(a->value));
}

static Outcome eval_builtin(Plain *p, const Expr *e, const Outcome *args, Pos pos) {
        const Expr *callee = e->call.callee;
        const Builtin *b = callee->builtin;
        size_t n = e->call.args.n;
        Value *values = room(p, n, sizeof(Value)), v = VALUE_NIL;
        Outcome decision;
        _cleanup_(diag_done) Diag error = {};

        if (b->flags & BUILTIN_PER_ELEMENT)
                return eval_each(p, b, args, n, pos);
        if (decided(args, n, &decision))
                return decision;
        for (size_t i = 0; i < n; i++)
                values[i] = args[i].value;
        if (b->flags & BUILTIN_SOURCE)
                return eval_source(p, callee, values, n, pos);

        BuiltinCall c = { .builtin = b, .type = callee->type, .field = callee->field, .base = callee->base, .host = &p->program->host };
        int r = b->eval(&c, values, n, &v, &error);
        return r == 0 ? good(p, v) : bad(p, error.pos.line > 0 ? error.pos : pos, r == BUILTIN_CATCHABLE, error.message);
}

static Outcome eval_call(Plain *p, const Expr *e, Frame *f, Pos pos) {
        const Expr *callee = e->call.callee;
        Outcome *args = room(p, e->call.args.n, sizeof(Outcome)), decision;

        for (uint32_t i = 0; i < e->call.args.n; i++)
                args[i] = eval(p, e->call.args.items[i], f, NULL);
        if (callee->kind == EXPR_BUILTIN)
                return eval_builtin(p, e, args, pos);
        if (callee->kind == EXPR_FUNC)
                return call(p, callee->fn, frame_of(f, callee->fn->level->parent), args, pos);
        Outcome function = eval(p, callee, f, NULL);
        return decided(&function, 1, &decision) ? decision : call_value(p, function.value, args, pos);
}

/* ---- expressions ---- */

static Outcome eval_composite(Plain *p, const Expr *e, Frame *f) {
        size_t n = e->kind == EXPR_LIST ? e->list.n : e->kind == EXPR_MAP ? e->map.n * (size_t) 2 : e->st.n;
        Outcome *parts = room(p, n, sizeof(Outcome)), decision;
        Value *values = room(p, n, sizeof(Value)), v;
        const char **names = room(p, n, sizeof(char *));
        int r;

        for (size_t i = 0; i < n; i++) {
                if (e->kind == EXPR_LIST)
                        parts[i] = eval(p, e->list.items[i], f, NULL);
                else if (e->kind == EXPR_MAP)
                        parts[i] = eval(p, i % 2 ? e->map.items[i / 2].value : e->map.items[i / 2].key, f, NULL);
                else {
                        parts[i] = eval(p, e->st.items[i].value, f, NULL);
                        names[i] = e->st.items[i].name;
                }
        }
        if (decided(parts, n, &decision))
                return decision;
        for (size_t i = 0; i < n; i++)
                values[i] = value_ref(parts[i].value);
        if (e->kind == EXPR_LIST)
                r = value_list(&v, values, n);
        else if (e->kind == EXPR_MAP)
                r = value_map(&v, values, n / 2);
        else
                r = value_struct(&v, names, values, n);
        if (r >= 0)
                return good(p, v);
        p->graph->failed = true;
        return later;
}

static Outcome eval_var(Plain *p, const Def *d, Frame *f) {
        if (d->kind == DEF_CONST)
                return (Outcome) { .value = d->value };

        Slot *s = &frame_of(f, d->level)->slots[d->slot];
        if (!s->known) {
                s->outcome = eval(p, d->expr, frame_of(f, d->level), NULL);
                s->known = true;
        }
        return s->outcome;
}

static Outcome eval_func(Plain *p, const Expr *e, Frame *f) {
        PlainFunc *function = calloc(1, sizeof(PlainFunc));
        if (!function) {
                p->graph->failed = true;
                return later;
        }
        *function = (PlainFunc) { { .n_ref = 1, .type = e->type, .free = func_free }, e->fn, frame_of(f, e->fn->level->parent) };
        return good(p, (Value) { .kind = TYPE_FUNC, .fn = &function->func });
}

static Outcome eval_kind(Plain *p, const Expr *e, Frame *f, const Pos *stamp) {
        Value v = VALUE_NIL;
        Outcome o;

        switch ((ExprKind) e->kind) {
        case EXPR_BOOL:
                return (Outcome) { .value = VALUE_BOOL(e->b) };
        case EXPR_INT:
                return (Outcome) { .value = VALUE_INT(e->i) };
        case EXPR_FLOAT:
                return (Outcome) { .value = VALUE_FLOAT(e->f) };
        case EXPR_STR:
                (void) value_str(&v, e->str.text, e->str.size);
                return good(p, v);
        case EXPR_LIST:
        case EXPR_MAP:
        case EXPR_STRUCT:
                return eval_composite(p, e, f);
        case EXPR_FUNC:
                return eval_func(p, e, f);
        case EXPR_VAR:
                return eval_var(p, e->var.def, f);
        case EXPR_CALL:
                return eval_call(p, e, f, stamp ? *stamp : e->pos);
        case EXPR_IF:
                o = eval(p, e->branch.condition, f, NULL);
                return o.later || o.trouble ? o : eval(p, o.value.b ? e->branch.then : e->branch.otherwise, f, NULL);
        case EXPR_EXCEPT:
                o = eval(p, e->except.value, f, NULL);
                return o.trouble && o.trouble->catchable ? eval(p, e->except.fallback, f, NULL) : o;
        default:
                return later;   /* there are no others any more */
        }
}

/* stamp: where errors of what stands here are to be seen, or NULL: here. */
static Outcome eval(Plain *p, const Expr *e, Frame *f, const Pos *stamp) {
        if (p->n_steps++ > STEPS_MAX || p->depth > DEPTH_MAX || p->graph->failed) {
                p->graph->too_long = true;
                return later;
        }
        p->depth++;
        Outcome o = eval_kind(p, e, f, stamp);
        p->depth--;
        return o;
}

/* ---- statements ---- */

static void trouble_add(Plain *p, Trouble t, char *message) {
        PlainGraph *g = p->graph;

        t.message = message;
        if (!message || GROW(g->troubles, g->n_troubles, g->capacity_troubles) < 0) {
                free(message);
                g->failed = true;
                return;
        }
        g->troubles[g->n_troubles++] = t;
}

static void rough_trouble(Plain *p, Pos pos, const char *format, ...) _printf_(3, 4);
static void rough_trouble(Plain *p, Pos pos, const char *format, ...) {
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        trouble_add(p, (Trouble) { .roughly = true, .pos = pos }, text);
}

/* Whether all of them have values; else what is wrong is noted, unless something is still to come. */
static bool ready(Plain *p, const Outcome *outcomes, size_t n) {
        bool ok = true;

        for (size_t i = 0; i < n; i++)
                if (outcomes[i].later)
                        return false;
        for (size_t i = 0; i < n; i++)
                if (outcomes[i].trouble) {
                        trouble_add(p, *outcomes[i].trouble, strdup(outcomes[i].trouble->message));
                        ok = false;
                }
        return ok;
}

static bool same_before(const Value *names, size_t i) {
        for (size_t j = 0; j < i; j++)
                if (value_equal(names[j], names[i]))
                        return true;
        return false;
}

/* The names in a value: *ret is one or more of them, and n how many. */
static const Value *names_in(Plain *p, Value v, size_t *ret_n) {
        Value *names;

        *ret_n = v.kind == TYPE_LIST ? v.l->n : 1;
        names = room(p, *ret_n, sizeof(Value));
        for (uint32_t i = 0; i < *ret_n; i++)
                names[i] = v.kind == TYPE_LIST ? value_list_at(v.l, i) : v;
        return names;
}

static void add_edge(Plain *p, Pos pos, const char *from_kind, Value from, const char *to_kind, Value to, bool notify,
                     const char *send, const char *receive) {
        PlainGraph *g = p->graph;

        if (GROW(g->edges, g->n_edges, g->capacity_edges) < 0) {
                g->failed = true;
                return;
        }
        g->edges[g->n_edges++] = (EdgeSpec) {
                .from_kind = strdup(from_kind), .from_name = strdup(value_cstr(from)), .to_kind = strdup(to_kind),
                .to_name = strdup(value_cstr(to)), .notify = notify, .send_key = send ? strdup(send) : NULL,
                .receive_field = receive ? strdup(receive) : NULL,
                .pos = { pos.file ? strdup(pos.file) : NULL, pos.line, pos.column, pos.end_line, pos.end_column },
        };
}

static bool in_range(FieldType t, int64_t i) {
        switch (t) {
        case FIELD_INT8:
                return i >= INT8_MIN && i <= INT8_MAX;
        case FIELD_INT16:
                return i >= INT16_MIN && i <= INT16_MAX;
        case FIELD_INT32:
                return i >= INT32_MIN && i <= INT32_MAX;
        case FIELD_UINT8:
                return i >= 0 && i <= UINT8_MAX;
        case FIELD_UINT16:
                return i >= 0 && i <= UINT16_MAX;
        case FIELD_UINT32:
                return i >= 0 && i <= UINT32_MAX;
        case FIELD_UINT64:
                return i >= 0;
        default:
                return true;
        }
}

/* One item of a resource. False: it cannot be. */
static bool fill(Plain *p, ResourceSpec *spec, const Stmt *s, const Item *item, Value v) {
        _cleanup_(diag_done) Diag error = {};

        if (item->kind == ITEM_META) {
                if (field_set(field_find(meta_fields, item->name), &spec->meta, v, &error) >= 0)
                        return true;
                rough_trouble(p, item->pos, "error generating metaparams: %s", item->name);
                return false;
        }
        const SchemaField *field = schema_field(schema_kind(p->program->host.schema, s->resource.kind), item->name);
        if (v.kind == TYPE_INT && !in_range(field->type, v.i)) {
                rough_trouble(p, item->pos, "error building resource: ");
                return false;
        }
        spec->fields[spec->n_fields++] = (FieldValue) { strdup(item->name), value_ref(v) };
        return true;
}

static bool declare(Plain *p, const Stmt *s, const Outcome *items, const char *name) {
        PlainGraph *g = p->graph;
        _cleanup_(resource_spec_done) ResourceSpec spec = {
                .kind = strdup(s->resource.kind), .name = strdup(name),
                .pos = { s->pos.file ? strdup(s->pos.file) : NULL, s->pos.line, s->pos.column, s->pos.end_line, s->pos.end_column },
                .fields = calloc(s->resource.items.n + 1, sizeof(FieldValue)),
        };
        _cleanup_(diag_done) Diag error = {};

        meta_init(&spec.meta);
        if (!spec.fields || GROW(g->resources, g->n_resources, g->capacity_resources) < 0) {
                g->failed = true;
                return false;
        }
        if (name[0] == '\0') {
                rough_trouble(p, s->pos, "error building resource: cannot create resource kind `%s` with name ``", s->resource.kind);
                return false;
        }
        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                const Item *item = s->resource.items.items[i];
                if (item->kind == ITEM_EDGE || (item->condition && !items[i * 2].value.b))
                        continue;
                if (!fill(p, &spec, s, item, items[i * 2 + 1].value))
                        return false;
        }
        if (meta_validate(&spec.meta, &error) < 0) {
                rough_trouble(p, s->pos, "%s[%s] did not Validate: ", s->resource.kind, name);
                return false;
        }
        g->resources[g->n_resources++] = spec;
        spec = (ResourceSpec) {};
        return true;
}

static void walk_resource(Plain *p, const Stmt *s, Frame *f) {
        uint32_t n_items = s->resource.items.n;
        Outcome *outcomes = room(p, 1 + (size_t) n_items * 2, sizeof(Outcome)), *items = outcomes + 1;
        size_t n_names;

        outcomes[0] = eval(p, s->resource.name, f, NULL);
        for (uint32_t i = 0; i < n_items; i++) {
                const Item *item = s->resource.items.items[i];
                items[i * 2] = item->condition ? eval(p, item->condition, f, NULL) : (Outcome) {};
                items[i * 2 + 1] = eval(p, item->half ? item->half->name : item->value, f, NULL);
        }
        if (!ready(p, outcomes, 1 + n_items * 2))
                return;
        const Value *names = names_in(p, outcomes[0].value, &n_names);
        for (size_t i = 0; i < n_names; i++) {
                if (same_before(names, i))
                        continue;
                if (!declare(p, s, items, value_cstr(names[i])))
                        return;
                for (uint32_t j = 0; j < n_items; j++) {
                        const Item *item = s->resource.items.items[j];
                        size_t n_others;
                        if (item->kind != ITEM_EDGE || (item->condition && !items[j * 2].value.b))
                                continue;
                        const Value *others = names_in(p, items[j * 2 + 1].value, &n_others);
                        bool first = streq(item->name, "before") || streq(item->name, "notify");
                        bool notify = streq(item->name, "notify") || streq(item->name, "listen");
                        for (size_t k = 0; k < n_others; k++)
                                if (first)
                                        add_edge(p, s->pos, s->resource.kind, names[i], item->half->kind, others[k], notify, NULL, NULL);
                                else
                                        add_edge(p, s->pos, item->half->kind, others[k], s->resource.kind, names[i], notify, NULL, NULL);
                }
        }
}

static void walk_edge(Plain *p, const Stmt *s, Frame *f) {
        Outcome *outcomes = room(p, s->edge.n, sizeof(Outcome));

        for (uint32_t i = 0; i < s->edge.n; i++)
                outcomes[i] = eval(p, s->edge.items[i]->name, f, NULL);
        if (!ready(p, outcomes, s->edge.n))
                return;
        for (uint32_t i = 0; i + 1 < s->edge.n; i++) {
                const EdgeHalf *from = s->edge.items[i], *to = s->edge.items[i + 1];
                size_t n_froms, n_tos;
                const Value *froms = names_in(p, outcomes[i].value, &n_froms), *tos = names_in(p, outcomes[i + 1].value, &n_tos);
                for (size_t j = 0; j < n_froms; j++)
                        for (size_t k = 0; k < n_tos; k++)
                                add_edge(p, s->pos, from->kind, froms[j], to->kind, tos[k], false, from->field, to->field);
        }
}

static void walk(Plain *p, const Block *b, Frame *f);

static void walk_turn(Plain *p, const Stmt *s, Frame *f, Value first, Value second) {
        Frame *turn = frame_new(p, s->loop.level, f);

        if (!turn)
                return;
        give(turn, s->loop.first.def, (Outcome) { .value = first });
        give(turn, s->loop.second.def, (Outcome) { .value = second });
        walk(p, s->loop.body, turn);
}

static void walk_stmt(Plain *p, const Stmt *s, Frame *f) {
        Outcome o;

        switch (s->kind) {
        case STMT_RESOURCE:
                walk_resource(p, s, f);
                break;
        case STMT_EDGE:
                walk_edge(p, s, f);
                break;
        case STMT_IF:
                o = eval(p, s->branch.condition, f, NULL);
                if (!ready(p, &o, 1))
                        break;
                if (o.value.b)
                        walk(p, s->branch.then, f);
                else if (s->branch.otherwise)
                        walk(p, s->branch.otherwise, f);
                break;
        case STMT_FOR:
        case STMT_FORKV:
                o = eval(p, s->loop.over, f, NULL);
                if (!ready(p, &o, 1))
                        break;
                if (s->kind == STMT_FOR)
                        for (uint32_t i = 0; i < o.value.l->n; i++)
                                walk_turn(p, s, f, VALUE_INT(i), value_list_at(o.value.l, i));
                else
                        for (uint32_t i = 0; i < o.value.m->n; i++)
                                walk_turn(p, s, f, o.value.m->items[i].key, o.value.m->items[i].value);
                break;
        case STMT_INCLUDE:
                walk(p, s->include.body, f);
                break;
        default:
                break;
        }
}

static void walk(Plain *p, const Block *b, Frame *f) {
        for (uint32_t i = 0; i < b->n && !p->graph->failed && !p->graph->too_long; i++)
                walk_stmt(p, b->items[i], f);
}

/* ---- whether it makes sense ---- */

/* One that is not hidden, if there is one. */
static const ResourceSpec *find(const PlainGraph *g, const char *kind, const char *name) {
        const ResourceSpec *found = NULL;

        for (size_t i = 0; i < g->n_resources; i++)
                if (streq(g->resources[i].kind, kind) && streq(g->resources[i].name, name) && (!found || found->meta.hidden))
                        found = &g->resources[i];
        return found;
}

static bool same_end(const EdgeSpec *a, const EdgeSpec *b) {
        return streq(a->to_kind, b->to_kind) && streq(a->to_name, b->to_name);
}

static bool same_start(const EdgeSpec *a, const EdgeSpec *b) {
        return streq(a->from_kind, b->from_kind) && streq(a->from_name, b->from_name);
}

static bool share_host(const ResourceSpec *a, const ResourceSpec *b) {
        for (char **x = a->meta.export; x && *x; x++)
                for (char **y = b->meta.export; y && *y; y++)
                        if (streq(*x, *y))
                                return true;
        return false;
}

static void check_exports(Plain *p, const ResourceSpec *a, const ResourceSpec *b) {
        ResourceSpec x = *a, y = *b;

        x.meta.export = y.meta.export = NULL;
        if (!share_host(a, b) || resource_spec_equal(&x, &y, NULL))
                return;
        rough_trouble(p, a->pos, "inequivalent duplicate export: %s[%s] to ", a->kind, a->name);
        rough_trouble(p, b->pos, "inequivalent duplicate export: %s[%s] to ", a->kind, a->name);
}

static void check_resources(Plain *p) {
        PlainGraph *g = p->graph;

        for (size_t i = 0; i < g->n_resources; i++)
                for (size_t j = 0; j < i; j++) {
                        const ResourceSpec *a = &g->resources[i], *b = &g->resources[j];
                        if (!streq(a->kind, b->kind) || !streq(a->name, b->name) || resource_spec_equal(a, b, NULL))
                                continue;
                        check_exports(p, a, b);
                        if (a->meta.hidden || b->meta.hidden)
                                continue;
                        rough_trouble(p, a->pos, "inequivalent duplicate resource `%s[%s]` found: ", a->kind, a->name);
                        rough_trouble(p, b->pos, "inequivalent duplicate resource `%s[%s]` found: ", a->kind, a->name);
                }
}

static void check_edges(Plain *p) {
        PlainGraph *g = p->graph;

        for (size_t i = 0; i < g->n_edges; i++) {
                const EdgeSpec *e = &g->edges[i];
                const ResourceSpec *from = find(g, e->from_kind, e->from_name), *to = find(g, e->to_kind, e->to_name);
                if (!from)
                        rough_trouble(p, e->pos, "edge cannot find resource kind: %s named: `%s`", e->from_kind, e->from_name);
                if (!to)
                        rough_trouble(p, e->pos, "edge cannot find resource kind: %s named: `%s`", e->to_kind, e->to_name);
                if (from && e->send_key && from->meta.hidden)
                        rough_trouble(p, e->pos, "cannot send from hidden resource: %s[%s]", e->from_kind, e->from_name);
                for (size_t j = 0; j < i; j++) {
                        const EdgeSpec *other = &g->edges[j];
                        if (!e->receive_field || !other->receive_field || !streq(e->receive_field, other->receive_field) ||
                            !same_end(e, other) || (same_start(e, other) && streq(e->send_key, other->send_key)))
                                continue;
                        rough_trouble(p, e->pos, "resource: `%s[%s]` has duplicate receive on: `%s` param", e->to_kind, e->to_name,
                                      e->receive_field);
                        rough_trouble(p, other->pos, "resource: `%s[%s]` has duplicate receive on: `%s` param", e->to_kind, e->to_name,
                                      e->receive_field);
                }
        }
}

/* Takes edges away that begin at something nothing comes before; what is left goes round. */
static void check_order(Plain *p) {
        PlainGraph *g = p->graph;
        bool *gone = room(p, g->n_edges, sizeof(bool)), more = true;

        while (more) {
                more = false;
                for (size_t i = 0; i < g->n_edges; i++) {
                        bool first = true;
                        for (size_t j = 0; j < g->n_edges && first; j++)
                                first = gone[j] || !streq(g->edges[j].to_kind, g->edges[i].from_kind) ||
                                        !streq(g->edges[j].to_name, g->edges[i].from_name);
                        if (!gone[i] && first)
                                gone[i] = more = true;
                }
        }
        for (size_t i = 0; i < g->n_edges; i++)
                if (!gone[i])
                        rough_trouble(p, g->edges[i].pos, "resource graph has cycles: not a dag");
}

/* ---- the whole ---- */

void plain_graph_make(PlainGraph *ret, Program *program, MockWorld *w) {
        Plain p = { .program = program, .world = w, .graph = ret };

        *ret = (PlainGraph) {};
        for (size_t i = 0; i < w->n; i++)
                w->cells[i]->n_asked = 0;
        Frame *root = frame_new(&p, program->root, NULL);
        if (root)
                walk(&p, program->main->ast.block, root);
        if (ret->n_troubles == 0 && !ret->waiting && !ret->too_long) {
                check_resources(&p);
                check_edges(&p);
                check_order(&p);
        }
        for (size_t i = 0; i < p.n_values; i++)
                value_done(&p.values[i]);
        free(p.values);
        for (size_t i = 0; i < p.n_rooms; i++)
                free(p.rooms[i]);
        free(p.rooms);
        for (size_t i = 0; i < p.n_troubles; i++) {
                free(p.troubles[i]->message);
                free(p.troubles[i]);
        }
        free(p.troubles);
        while (p.frames) {
                Frame *f = p.frames;
                p.frames = f->made_before;
                free(f);
        }
}

void plain_graph_done(PlainGraph *g) {
        for (size_t i = 0; i < g->n_resources; i++)
                resource_spec_done(&g->resources[i]);
        for (size_t i = 0; i < g->n_edges; i++)
                edge_spec_done(&g->edges[i]);
        for (size_t i = 0; i < g->n_troubles; i++)
                free(g->troubles[i].message);
        free(g->resources);
        free(g->edges);
        free(g->troubles);
        *g = (PlainGraph) {};
}
