/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/kinds/packing.h"

Packing *packing_free(Packing *p) {
        if (!p)
                return NULL;
        slices_free(p->slices);
        p->type->reset(p);
        if (p->type->done)
                p->type->done(p);
        file_output_done(&p->output);
        diag_done(&p->diag);
        free(p);
        return NULL;
}

int packing_add(Packing *p, const void *data, size_t size) {
        return file_output_add(&p->output, data, size, &p->diag);
}

static int step_write(Packing *p) {
        int r = p->type->step(p);

        return r != 0 ? r : file_output_end(&p->output, &p->diag);
}

static int begin_writing(Packing *p) {
        int r;

        p->changed = true;
        resource_differs(p->resource, "content", p->output.fd < 0 ? NULL : "out of date", "up to date");
        if (!p->applies)
                return 0;
        p->type->reset(p);
        r = file_output_rewrite(&p->output, &p->diag);
        if (r >= 0)
                r = p->type->begin(p);
        p->next = step_write;
        return r < 0 ? r : 1;
}

static int step_compare(Packing *p) {
        int r = p->output.differs ? 0 : p->type->step(p);

        if (r == 0)
                r = file_output_end(&p->output, &p->diag);
        if (r < 0)
                return r;
        return p->output.differs ? begin_writing(p) : r;
}

static int step(void *userdata) {
        Packing *p = userdata;

        if (progress_is_due(&p->progress))
                resource_log(p->resource, LOG_INFO, "at work: %s %" PRIu64 " bytes so far", p->output.writing ? "packed" : "compared",
                             p->n_bytes);
        return p->next(p);
}

/* The result for the host; the attempt is over. */
static int end(Packing *p, int result, Diag *reterr) {
        Packing **slot = p->slot;

        if (result == 0)
                result = p->changed ? CHECK_CHANGED : CHECK_OK;
        else
                diag_move(reterr, &p->diag);
        *slot = packing_free(p);
        return result;
}

static void on_end(int result, void *userdata) {
        Packing *p = userdata;
        Resource *r = p->resource;
        _cleanup_(diag_done) Diag diag = {};

        result = end(p, result, &diag);
        resource_finish(r, result, &diag);
}

int packing_start(Packing *p, const PackingType *type, Resource *r, const char *path, bool apply, Packing **slot, Diag *reterr) {
        int k;

        p->type = type;
        p->resource = r;
        p->output = (FileOutput) FILE_OUTPUT_INIT;
        p->applies = apply;
        p->next = step_compare;
        p->slot = slot;
        *slot = p;
        k = type->begin(p);
        if (k >= 0)
                k = file_output_open(&p->output, r, path, &p->diag);
        if (k >= 0)
                k = slices_start(&p->slices, r->host->event, step, on_end, p);
        return k > 0 ? CHECK_PENDING : end(p, k, reterr);
}

/* ---- autoedge ---- */

/* A directory is one with or without a slash. */
static int add_input(ResourceUids *ret, const char *path) {
        _cleanup_free_ char *directory = NULL;
        int r = resource_uids_add(ret, "file", path, false);

        if (r < 0 || path_is_directory(path))
                return r;
        if (asprintf(&directory, "%s/", path) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        return resource_uids_add(ret, "file", directory, false);
}

int packing_wants(const char *path, char *const *inputs, unsigned batch, ResourceUids *ret) {
        bool has_inputs = *inputs;
        int r = 0;

        if (has_inputs && batch == 0) {
                ret->go_on = true;
                for (; r >= 0 && *inputs; inputs++)
                        r = add_input(ret, *inputs);
                return r;
        }
        return file_path_wants_above(path, batch - has_inputs, ret);
}
