/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Solves what was listed, and gives each expression its type. See unify.h. */

#include <errno.h>
#include <string.h>

#include "lang/builtins.h"
#include "lang/unify.h"

static const char *invariant_text(Unify *u, const Invariant *i) {
        const char *text = i->expr ? expr_text(u->arena, i->expr) : arena_printf(u->arena, "param(%s)", i->def->name);

        return text ?: "?";
}

static int give_type(Unify *u, const Invariant *i, const Type *t) {
        Expr *e = i->expr;

        if (!e) {
                i->def->type = t;
                return 0;
        }
        if (e->type)
                return 0;
        _cleanup_(diag_done) Diag error = {};
        e->type = t;
        if (e->kind == EXPR_VAR && e->annotation)
                type_compare(e->annotation, t, &error);
        else if (e->kind == EXPR_MAP && !type_is_hashable(t->key)) {
                _cleanup_free_ char *text = type_text(t->key);
                diag_set(&error, e->pos, -EINVAL, "map key type %s is not hashable", text ?: "?");
        } else if (e->kind == EXPR_BUILTIN && e->builtin->check) {
                BuiltinCall call = { .builtin = e->builtin, .type = t, .field = e->field ?: "", .base = e->base,
                                     .host = &u->program->host };
                e->builtin->check(&call, &error);
                if (error.error < 0 && (e->builtin->flags & BUILTIN_TAKES_SYMBOL))
                        return program_fail(u->program, e->pos, "%s", error.message ?: "?");
        }
        if (error.error < 0)
                return program_fail(u->program, e->pos, "error setting type: %s, error: %s", invariant_text(u, i),
                                    error.message ?: "?");
        return 0;
}

/* Whether a type has part in an error that was told; with mark, it has from now on. */
static bool doubtful(Unify *u, const Type *t, unsigned depth, bool mark) {
        bool found = false;

        if (depth > 16)
                return false;
        if (t->kind == TYPE_UNKNOWN) {
                Variable *v = &u->variables[type_find(u, t->variable)];
                found = v->doubtful;
                v->doubtful = v->doubtful || mark;
                return found || (v->binding && doubtful(u, v->binding, depth + 1, mark));
        }
        for (uint32_t i = 0; i < t->n_fields; i++)
                found = doubtful(u, t->fields[i].type, depth + 1, mark) || found;
        if (t->key)
                found = doubtful(u, t->key, depth + 1, mark) || found;
        if (t->element)
                found = doubtful(u, t->element, depth + 1, mark) || found;
        return found;
}

static char *text_of(Unify *u, const Type *t) {
        bool known = true;

        t = type_resolve(u, t, &known);
        return t ? type_text(t) : NULL;
}

static bool same_place(Pos a, Pos b) {
        return a.line == b.line && a.column == b.column && a.end_line == b.end_line && a.end_column == b.end_column;
}

/* What is of which type, and where, beside the message itself. */
static void explain(Unify *u, const Invariant *x) {
        Program *p = u->program;

        if (x->call) {
                for (uint32_t i = 0; i < x->call->call.args.n && i < 8; i++) {
                        const Expr *arg = x->call->call.args.items[i];
                        if (x->call->form == CALL_OPERATOR && i == 0)
                                continue;       /* the operator itself */
                        _cleanup_free_ char *text = text_of(u, x->expect->fields[i].type);
                        if (text)
                                program_note(p, arg->pos, "note: this is of type %s", text);
                }
                return;
        }
        _cleanup_free_ char *expect = text_of(u, x->expect), *actual = text_of(u, x->actual);
        Pos pos = x->expr ? x->expr->pos : x->pos;
        if (expect && actual && !streq(expect, actual))
                program_note(p, pos, "note: this is of type %s, where %s is needed", actual, expect);
        if (expect && actual && startswith(expect, "[]") && streq(expect + strlen("[]"), actual))
                program_note(p, (Pos) {}, "help: brackets make a list of it: [ … ]");
        if (u->via == UINT32_MAX)
                return;
        const Variable *v = &u->variables[type_find(u, u->via)];
        const Invariant *cause = &u->invariants[v->bound_at];
        _cleanup_free_ char *text = v->binding ? text_of(u, v->binding) : NULL;
        if (text && cause != x && cause->expr && !same_place(cause->expr->pos, pos))
                program_note(p, cause->expr->pos, "note: this made it %s", text);
}

/* Goes on after an error, as far as other types are concerned: what follows from it is not told. */
static int solve(Unify *u) {
        int r = 0;

        for (size_t i = 0; i < u->n_invariants && r != -ENOMEM; i++) {
                const Invariant *x = &u->invariants[i];
                if (x->expect == x->actual)
                        continue;
                _cleanup_(diag_done) Diag error = {};
                bool doubt = r < 0 && (doubtful(u, x->expect, 0, false) || doubtful(u, x->actual, 0, false));

                u->current = (uint32_t) i;
                u->via = UINT32_MAX;
                if (type_unify(u, x->expect, x->actual, &error) >= 0 || doubt)
                        continue;
                r = program_fail(u->program, x->pos, "%s", error.message ?: "type error");
                explain(u, x);
                (void) doubtful(u, x->expect, 0, true);
                (void) doubtful(u, x->actual, 0, true);
        }
        return r;
}

/* What is known of the field that a call names, in a struct of which some is known: NULL if it is no such call, or nothing is. */
static const Type *late_field(Unify *u, const LateCall *late) {
        const Expr *call = late->call;
        const Type *st = late->wanted->fields[0].type;

        if (!(call->call.callee->builtin->flags & BUILTIN_TAKES_FIELD) || late->wanted->n_fields != 2)
                return NULL;
        while (st && st->kind == TYPE_UNKNOWN)
                st = u->variables[type_find(u, st->variable)].binding;
        const Value *name = known_value(u->program, call->call.args.items[1]);
        for (uint32_t i = 0; st && name && st->kind == TYPE_STRUCT && i < st->n_fields; i++)
                if (streq(st->fields[i].name, value_cstr(*name)))
                        return st->fields[i].type;
        return NULL;
}

/* Asks for the signatures of calls again, now that the types of their arguments are known. Each answer may help others. */
static int infer_late(Unify *u) {
        for (bool again = true; again && u->n_late > 0;) {
                again = false;
                for (size_t i = 0; i < u->n_late; i++) {
                        const LateCall late = u->late[i];
                        const Builtin *b = late.call->call.callee->builtin;
                        uint32_t n = late.wanted->n_fields;
                        _cleanup_free_ BuiltinArg *args = calloc((size_t) n + 1, sizeof(BuiltinArg));
                        _cleanup_(diag_done) Diag error = {};
                        const Type *signature;
                        bool known = true;
                        Renamings names = {};

                        if (!args)
                                return program_oom(u->program);
                        const Type *field = late_field(u, &late);
                        if (field) {
                                u->late[i--] = u->late[--u->n_late];
                                (void) type_unify(u, late.wanted->element, field, &error);        /* the builtin's check has the words */
                                again = true;
                                continue;
                        }
                        (void) type_resolve(u, late.wanted->element, &known);
                        if (known)
                                continue;       /* its use said what it is */
                        known = true;
                        for (uint32_t j = 0; j < n && known; j++) {
                                args[j].type = type_resolve(u, late.wanted->fields[j].type, &known);
                                args[j].value = known_value(u->program, late.call->call.args.items[j]);
                                known = known && args[j].type;
                        }
                        if (!known || b->infer(u->arena, args, n, &signature, &error) < 0)
                                continue;
                        u->late[i--] = u->late[--u->n_late];
                        signature = type_instantiate(u, signature, &names);
                        if (!signature)
                                return program_oom(u->program);
                        if (type_unify(u, late.wanted, signature, &error) < 0)
                                return program_fail(u->program, late.call->pos, "%s", error.message ?: "type error");
                        again = true;
                }
        }
        return 0;
}

static int give_types(Unify *u) {
        _cleanup_free_ const Type **types = calloc(u->n_invariants + 1, sizeof(Type *));
        int r = 0;

        if (!types)
                return program_oom(u->program);
        for (size_t i = 0; i < u->n_invariants; i++) {
                const Invariant *x = &u->invariants[i];
                bool known = true;
                types[i] = type_resolve(u, x->expect, &known);
                if (!types[i])
                        return program_fail(u->program, x->pos, "the type has more than %d levels, or more than %d parts",
                                            VALUE_DEPTH_MAX, TYPE_PARTS_MAX);
                if (known)
                        continue;
                _cleanup_free_ char *text = type_text(types[i]);
                program_fail(u->program, x->expr ? x->expr->pos : x->def->pos, "expr: %s is ambiguous: %s", invariant_text(u, x),
                             text ?: "?");
                program_note(u->program, (Pos) {}, "help: say its type: $name TYPE = …");
                return -EINVAL;
        }
        for (size_t i = 0; i < u->n_invariants && r >= 0; i++)
                r = give_type(u, &u->invariants[i], types[i]);
        return r;
}

int unify_program(Program *p) {
        _cleanup_(arena_freep) Arena *scratch = arena_new(0);
        Unify u = { .program = p, .arena = p->arena, .scratch = scratch };
        int r;

        if (!scratch)
                return program_oom(p);
        r = infer_block(&u, p->main->ast.block);
        if (r != -ENOMEM) {
                int k = solve(&u);
                r = r < 0 ? r : k;
        }
        if (r >= 0)
                r = infer_late(&u);
        if (r >= 0)
                r = give_types(&u);
        if (r < 0 && p->errors->n == 0)
                r = program_oom(p);
        free(u.invariants);
        free(u.variables);
        free(u.late);
        return r;
}
