/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The face of the language: the stages in their order, then the function graph, wave by wave. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/funcgraph.h"
#include "lang/lang.h"
#include "lang/output.h"

enum { ARENA_MAX = 1024 * 1024 * 1024 };        /* what one program may take */

static int run_stages(Program *p) {
        int r;

        p->stage = LANG_STAGE_PARSE;
        r = module_load(p, p->options.entry, NULL, p->options.entry, &p->main);
        if (r < 0)
                return r;
        p->stage = LANG_STAGE_SCOPE;
        r = scope_program(p);
        if (r < 0 || p->options.skip_unify)
                return r;
        p->stage = LANG_STAGE_UNIFY;
        r = unify_program(p);
        if (r < 0)
                return r;
        p->stage = LANG_STAGE_GRAPH;
        return check_metas(p, p->main->ast.block);
}

int lang_compile(Lang **ret, const LangHost *host, const LangOptions *options, Diags *reterr) {
        Diags ignored = {};
        Lang *l = calloc(1, sizeof(Lang));
        int r = -ENOMEM;

        if (l && (l->arena = arena_new(ARENA_MAX))) {
                l->host = *host;
                l->options = *options;
                l->errors = reterr ?: &ignored;
                r = run_stages(l);
                if (r >= 0 && l->errors->n > 0)
                        r = -EINVAL;
                if (r < 0 && l->errors->n == 0)
                        r = program_oom(l);
        }
        if (r < 0 && options->reterr_stage && l)
                *options->reterr_stage = l->stage;
        if (l && (r >= 0 || (options->keep && l->arena))) {
                l->broken = r < 0;
                l->errors = NULL;
                l->options.reterr_stage = NULL;
                *ret = l;
        } else
                l = lang_free(l);
        diags_done(&ignored);
        return r < 0 ? r : 0;
}

Lang *lang_free(Lang *l) {
        if (!l)
                return NULL;
        funcgraph_free(l->graph);
        if (l->arena)
                program_release(l);
        free(l);
        return NULL;
}

int lang_each_file(const Lang *l, int (*file)(void *userdata, const char *path, const char *content, size_t size), void *userdata) {
        for (uint32_t i = 0; i < l->files.n; i++) {
                const SourceFile *f = l->files.items[i];
                int r = file(userdata, f->path, f->text, f->size);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* There was no memory, or there would have been none. */
static int out_of_memory(FuncGraph *g, int error, Diag *reterr) {
        bool too_large = g && g->too_large;

        if (g)
                g->too_large = false;
        return diag_set(reterr, too_large ? g->too_large_at : (Pos) {}, error,
                        too_large ? "the program is too large: its calls and loops multiply" : "out of memory");
}

/* Runs what is queued and takes the difference out. */
static int advance(Lang *l, ChangeSet *ret, Diag *reterr) {
        ChangeSet c = {};
        int r = funcgraph_run(l->graph);

        funcgraph_sweep(l->graph);
        if (r < 0)
                return out_of_memory(l->graph, r, reterr);
        const Failure *problem = funcgraph_problem(l->graph);
        if (problem) {
                l->stage = problem->interpret ? LANG_STAGE_INTERPRET : LANG_STAGE_STREAM;
                if (reterr && diag_copy(reterr, &problem->diag) < 0)
                        return -ENOMEM;
                return problem->diag.error < 0 ? problem->diag.error : -EINVAL;
        }
        if (lang_is_waiting(l)) {
                *ret = (ChangeSet) {};
                return 0;
        }
        l->stage = LANG_STAGE_INTERPRET;
        r = output_commit(l->graph, &c, reterr);
        if (r < 0)
                return r == -ENOMEM ? diag_set(reterr, (Pos) {}, r, "out of memory") : r;
        c.generation = ++l->generation;
        c.full = c.generation == 1;
        *ret = c;
        return 0;
}

int lang_start(Lang *l, ChangeSet *ret, Diag *reterr) {
        int r;

        if (l->graph)
                return diag_set(reterr, (Pos) {}, -EALREADY, "the program runs already");
        if (l->broken)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the program has errors");
        l->stage = LANG_STAGE_GRAPH;
        r = funcgraph_new(&l->graph, l);
        if (r >= 0)
                r = funcgraph_build(l->graph);
        if (r < 0) {
                (void) out_of_memory(l->graph, r, reterr);
                l->graph = funcgraph_free(l->graph);
                return r;
        }
        return lang_step(l, ret, reterr);
}

int lang_step(Lang *l, ChangeSet *ret, Diag *reterr) {
        if (!l->graph)
                return diag_set(reterr, (Pos) {}, -EINVAL, "the program does not run");

        int r = advance(l, ret, reterr);
        sources_taken(l->graph);
        return r;
}

bool lang_is_waiting(const Lang *l) {
        return l->graph && l->graph->n_waiting > 0;
}

bool lang_is_started(const Lang *l) {
        return l->graph;
}

bool lang_is_running(const Lang *l) {
        return l->generation > 0;
}

int lang_snapshot(Lang *l, ChangeSet *ret) {
        if (!lang_is_running(l))
                return -EINVAL;

        int r = output_snapshot(l->graph->output, ret);
        if (r >= 0)
                ret->generation = l->generation;
        return r;
}

LangStage lang_stage(const Lang *l) {
        return l->stage;
}

/* ---- errors as one line ---- */

static void add_byline(StrBuf *b, const char *separator, Pos pos) {
        if (pos.line > 0)
                strbuf_printf(b, "%s%s @ %u:%u-%u:%u", separator, pos.file ?: "<unknown>", pos.line, pos.column, pos.end_line,
                              pos.end_column);
}

char *lang_error_text(const Diag *d) {
        StrBuf b = {};

        strbuf_puts(&b, d->message ?: "");
        add_byline(&b, ": ", d->pos);
        for (size_t i = 0; i < d->n_notes; i++)
                if (streq(d->notes[i].text, NOTE_CYCLE))
                        add_byline(&b, ", ", d->notes[i].pos);
        for (size_t i = 0; i < d->n_notes; i++)
                if (streq(d->notes[i].text, NOTE_IMPORTED))
                        add_byline(&b, ": ", d->notes[i].pos);
        return strbuf_take(&b);
}
