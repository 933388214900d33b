/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the stages of one program share: errors (with the reader in mind: the nearest name, the place), files and lifetimes. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/program.h"

int program_fail_diag(Program *p, Diag *d) {
        _cleanup_(diag_done) Diag own = {};
        int error = d->error < 0 ? d->error : -EINVAL;

        diag_move(&own, d);
        p->error_index = SIZE_MAX;
        for (size_t i = 0; i < p->errors->n; i++) {
                const Diag *other = &p->errors->items[i];
                if (other->pos.line == own.pos.line && other->pos.column == own.pos.column &&
                    streq_ptr(other->pos.file, own.pos.file) && streq_ptr(other->message, own.message))
                        return error;
        }
        if (diags_add(p->errors, &own) >= 0 && p->errors->dropped == 0)
                p->error_index = p->errors->n - 1;
        return error;
}

int program_fail(Program *p, Pos pos, const char *format, ...) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return program_oom(p);
        }
        diag_set(&d, pos, -EINVAL, "%s", text);
        return program_fail_diag(p, &d);
}

int program_oom(Program *p) {
        _cleanup_(diag_done) Diag d = {};

        diag_set(&d, (Pos) {}, -ENOMEM, "the program is too large for the memory it may use");
        return program_fail_diag(p, &d);
}

void program_note(Program *p, Pos pos, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (p->error_index == SIZE_MAX)
                return;
        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;
        else
                (void) diag_note(&p->errors->items[p->error_index], pos, "%s", text);
}

void program_prefix(Program *p, size_t from, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                return;
        }
        for (size_t i = from; i < p->errors->n; i++)
                if (p->errors->items[i].error != -ENOMEM)
                        (void) diag_prefix(&p->errors->items[i], "%s", text);
}

void program_imported(Program *p, size_t from, Pos pos) {
        for (size_t i = from; i < p->errors->n; i++) {
                Diag *d = &p->errors->items[i];
                if (d->pos.line > 0)
                        (void) diag_note(d, pos, NOTE_IMPORTED);
                else {
                        char *file = strdup(pos.file);
                        if (!file)
                                continue;
                        free((char *) d->pos.file);
                        d->pos = pos;
                        d->pos.file = file;
                }
        }
}

void program_suggest(Program *p, const Suggestion *s, const char *before) {
        if (s->best)
                program_note(p, (Pos) {}, "help: did you mean '%s%s'?", before, s->best);
}

/* ---- lifetimes ---- */

int program_read(Program *p, const char *path, const SourceFile **ret) {
        SourceFile f = {};

        for (uint32_t i = 0; i < p->files.n; i++)
                if (streq(p->files.items[i]->path, path)) {
                        *ret = p->files.items[i];
                        return 0;
                }

        SourceFile *kept = arena_new0(p->arena, SourceFile);
        if (!kept || !(f.path = arena_strdup(p->arena, path)))
                return -ENOMEM;
        int r = p->host.read_file(p->host.userdata, path, &f.text, &f.size);
        if (r < 0)
                return r;
        *kept = f;
        if (AST_PUSH(p->arena, &p->files, kept) < 0) {
                free(f.text);
                return -ENOMEM;
        }
        *ret = kept;
        return 0;
}

Value *program_value(Program *p, Value v) {
        Value *kept = arena_new0(p->arena, Value);

        if (!kept || AST_PUSH(p->arena, &p->values, kept) < 0) {
                value_done(&v);
                return NULL;
        }
        *kept = v;
        return kept;
}

Scope *scope_new(Program *p, Scope *parent) {
        Scope *s = arena_new0(p->arena, Scope);
        if (!s)
                return NULL;
        s->parent = parent;
        s->next = p->scopes;
        p->scopes = s;
        return s;
}

Level *level_new(Program *p, Level *parent) {
        Level *l = arena_new0(p->arena, Level);
        if (!l)
                return NULL;
        l->parent = parent;
        l->depth = parent ? parent->depth + 1 : 0;
        return l;
}

void program_release(Program *p) {
        for (uint32_t i = 0; i < p->values.n; i++)
                value_done(p->values.items[i]);
        for (Scope *s = p->scopes; s; s = s->next) {
                for (int kind = 0; kind < _NAME_KIND_MAX; kind++)
                        map_free(s->names[kind]);
                map_free(s->aliases);
        }
        map_free(p->modules);
        for (uint32_t i = 0; i < p->files.n; i++)
                free(p->files.items[i]->text);
        arena_free(p->arena);
}
