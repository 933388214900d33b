/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Metaparameters. The order of the rows is that of the language's Meta struct. */

#include <math.h>
#include <stdio.h>

#include "common/meta.h"

const FieldSpec meta_fields[] = {
        FIELD(Meta, noop,       FIELD_BOOL,    0, "Only check, never change anything."),
        FIELD(Meta, retry,      FIELD_INT16,   0, "How often to try again after a failure; -1: for ever. Then only when something has changed."),
        FIELD(Meta, retryreset, FIELD_BOOL,    0, "A success refills retry."),
        FIELD(Meta, delay,      FIELD_UINT64,  0, "Milliseconds to wait before trying again."),
        FIELD(Meta, timeout,    FIELD_UINT64,  0, "Milliseconds that one attempt may take; 0: no limit."),
        FIELD(Meta, poll,       FIELD_INT32,   0, "Seconds between checks, in place of waiting for events; 0: wait for events; -1: check once."),
        FIELD(Meta, limit,      FIELD_FLOAT64, 0, "Events per second.", .initial = "+Inf"),
        FIELD(Meta, burst,      FIELD_INT64,   0, "Events that may come at once before limit counts."),
        FIELD(Meta, reset,      FIELD_BOOL,    0, "A changed resource starts with a full retry budget."),
        FIELD(Meta, sema,       FIELD_STRV,    0, "Semaphores to hold during an attempt: id, or id:count."),
        FIELD(Meta, rewatch,    FIELD_BOOL,    0, "Start a resource that had given up again at the next change of the graph."),
        FIELD(Meta, realize,    FIELD_BOOL,    0, "Converge once before a change of the graph removes it."),
        FIELD(Meta, dollar,     FIELD_BOOL,    0, "The name may begin with a $."),
        FIELD(Meta, hidden,     FIELD_BOOL,    0, "Neither watched nor checked here, but ordered and exported."),
        FIELD(Meta, export,     FIELD_STRV,    0, "Hosts that may collect this resource; \"*\" for all."),
        FIELD(Meta, reverse,    FIELD_BOOL,    0, "Undo it when it disappears from the graph."),
        FIELD(Meta, autoedge,   FIELD_BOOL,    0, "Take part in automatic edges.", .initial = "true"),
        FIELD(Meta, autogroup,  FIELD_BOOL,    0, "Take part in automatic grouping.", .initial = "true"),
        {}
};

void meta_init(Meta *m) {
        static Meta defaults;
        static bool made;

        /* No default needs memory of its own, so this cannot fail and copies may be made freely. */
        if (!made)
                made = fields_init(meta_fields, &defaults) >= 0;
        *m = defaults;
}

void meta_done(Meta *m) {
        m->sema = strv_free(m->sema);
        m->export = strv_free(m->export);
}

int meta_copy(Meta *to, const Meta *from) {
        Meta copy = *from;

        copy.sema = copy.export = NULL;
        if (strv_copy(&copy.sema, from->sema) < 0 || strv_copy(&copy.export, from->export) < 0) {
                meta_done(&copy);
                return -ENOMEM;
        }
        meta_done(to);
        *to = copy;
        return 0;
}

static bool is_integer(const char *s) {
        s += *s == '-' || *s == '+';
        return *s && s[strspn(s, "0123456789")] == '\0';
}

static int invalid(Diag *reterr, const char *reason) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "the Res has an invalid meta param: %s", reason);
}

int meta_validate(const Meta *m, Diag *reterr) {
        if (isnan(m->limit) || m->limit < 0)
                return invalid(reterr, "limit must not be negative");
        if (m->burst < 0)
                return invalid(reterr, "burst must not be negative");
        if (m->burst == 0 && !isinf(m->limit))
                return invalid(reterr, "permanently limited (rate != Inf, burst = 0)");
        for (char **s = m->sema; s && *s; s++) {
                if (!**s)
                        return invalid(reterr, "semaphore is empty");
                if (is_integer(*s))
                        return invalid(reterr, "semaphore format is invalid");
        }
        for (char **s = m->export; s && *s; s++)
                if (!**s)
                        return invalid(reterr, "export is empty");
        return 0;
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Lists of names, whatever their order. */
static bool same_names(char *const *a, char *const *b) {
        size_t n = strv_count(a);

        if (strv_equal(a, b))
                return true;
        if (n != strv_count(b))
                return false;

        _cleanup_free_ char **x = calloc(n, sizeof(char *)), **y = calloc(n, sizeof(char *));
        if (!x || !y)
                return false;   /* "different" costs a replaced resource, "equal" could be wrong */
        memcpy(x, a, n * sizeof(char *));
        memcpy(y, b, n * sizeof(char *));
        qsort(x, n, sizeof(char *), compare_strings);
        qsort(y, n, sizeof(char *), compare_strings);
        for (size_t i = 0; i < n; i++)
                if (!streq(x[i], y[i]))
                        return false;
        return true;
}

bool meta_equal(const Meta *a, const Meta *b, const char **ret_field) {
        for (const FieldSpec *f = meta_fields; f->name; f++) {
                bool equal = f->type == FIELD_STRV ? same_names(*(char **const *) ((const char *) a + f->offset),
                                                                *(char **const *) ((const char *) b + f->offset))
                                                   : field_equal(f, a, b);
                if (!equal) {
                        if (ret_field)
                                *ret_field = f->name;
                        return false;
                }
        }
        return true;
}
