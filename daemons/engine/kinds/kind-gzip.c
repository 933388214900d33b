/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A compressed file. Its header names neither file nor time, so the same input gives the same bytes (packing.h). */

#include <zlib.h>

#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/packing.h"

enum {
        HUFFMAN_ONLY = -2,      /* as a level */
        WINDOW_BITS = 15 + 16,  /* the widest; with gzip's header and trailer */
        MEMORY_LEVEL = 8,       /* zlib's own default */
};

typedef struct Gzip {
        Resource resource;
        char *path, *input, *content;
        int8_t level;

        Packing *packing;
        PathWatch *path_watch, *input_watch;
} Gzip;

typedef struct GzipPacking {
        Packing packing;
        FileContent content;
        z_stream z;
        bool deflating;         /* z was initialised */
} GzipPacking;

static const FieldSpec gzip_fields[] = {
        FIELD(Gzip, path, FIELD_STR, FIELD_IS_NAME, "The compressed file, an absolute path."),
        FIELD(Gzip, input, FIELD_STR, FIELD_OPTIONAL, "The file that is compressed, an absolute path; content does not count then."),
        FIELD(Gzip, content, FIELD_STR, 0, "What is compressed if there is no input."),
        FIELD(Gzip, level, FIELD_INT8, 0,
              "How hard to try, from 1 to 9; 0 does not compress at all, -1 is zlib's choice, and -2 only encodes single bytes.",
              .initial = "-1"),
        {}
};

static int gzip_validate(const Resource *r, Diag *reterr) {
        const Gzip *g = (const Gzip *) r;
        const char *path = g->path;

        if (*path != '/' || path_is_directory(path))
                return resource_error(r, reterr, -EINVAL, "path must be absolute and not end in a slash, got '%s'", path);
        if (g->input && (*g->input != '/' || path_is_directory(g->input)))
                return resource_error(r, reterr, -EINVAL, "input must be absolute and not end in a slash, got '%s'", g->input);
        if (g->input && path_is_inside(path, g->input))
                return resource_error(r, reterr, -ELOOP, "input must not be what it is made into, '%s'", path);
        if (g->level < HUFFMAN_ONLY || g->level > Z_BEST_COMPRESSION)
                return resource_error(r, reterr, -EINVAL, "level must be from %d to %d, got %d", HUFFMAN_ONLY, Z_BEST_COMPRESSION,
                                      g->level);
        return 0;
}

/* ---- packing ---- */

static void reset(Packing *p) {
        GzipPacking *g = (GzipPacking *) p;

        file_content_done(&g->content);
        if (g->deflating)
                (void) deflateEnd(&g->z);
        g->deflating = false;
}

static int begin(Packing *p) {
        const Gzip *gzip = (const Gzip *) p->resource;
        GzipPacking *g = (GzipPacking *) p;
        bool huffman = gzip->level == HUFFMAN_ONLY;
        int r;

        p->n_bytes = 0;
        if (gzip->input) {
                r = file_content_open(&g->content, p->resource, gzip->input, &p->diag);
                if (r < 0)
                        return r;
        } else {
                g->content.data = gzip->content;
                g->content.size = strlen(gzip->content);
        }
        g->z = (z_stream) {};
        if (deflateInit2(&g->z, huffman ? Z_DEFAULT_COMPRESSION : gzip->level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                         huffman ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY) != Z_OK)
                return -ENOMEM;
        g->deflating = true;
        return 0;
}

/* What zlib gives for what it was given. */
static int drain(GzipPacking *g, bool last) {
        unsigned char out[FILE_PIECE_SIZE];

        do {
                g->z.next_out = out;
                g->z.avail_out = sizeof(out);
                (void) deflate(&g->z, last ? Z_FINISH : Z_NO_FLUSH);    /* fails only if it is called wrongly */
                int r = packing_add(&g->packing, out, sizeof(out) - g->z.avail_out);
                if (r < 0)
                        return r;
        } while (g->z.avail_out == 0);
        return 0;
}

static int step(Packing *p) {
        GzipPacking *g = (GzipPacking *) p;
        char buffer[FILE_PIECE_SIZE];
        const char *data;
        int r;

        ssize_t n = file_content_piece(&g->content, p->n_bytes, buffer, &data);
        if (n < 0)
                return packing_fail(p, (int) n, "cannot read '%s': %m", ((const Gzip *) p->resource)->input);
        p->n_bytes += (uint64_t) n;
        g->z.next_in = (unsigned char *) data;
        g->z.avail_in = (unsigned) n;
        r = drain(g, n == 0);
        return r < 0 ? r : n > 0;
}

static const PackingType packing_type = { .begin = begin, .step = step, .reset = reset };

static int gzip_check_apply(Resource *r, bool apply, Diag *reterr) {
        Gzip *g = (Gzip *) r;
        GzipPacking *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->content = (FileContent) FILE_CONTENT_INIT;
        return packing_start(&p->packing, &packing_type, r, g->path, apply, &g->packing, reterr);
}

static void gzip_cancel(Resource *r) {
        Gzip *g = (Gzip *) r;

        g->packing = packing_free(g->packing);
}

/* ---- watch ---- */

static void gzip_unwatch(Resource *r) {
        Gzip *g = (Gzip *) r;

        g->path_watch = path_watch_free(g->path_watch);
        g->input_watch = path_watch_free(g->input_watch);
}

static int gzip_watch(Resource *r, Diag *reterr) {
        Gzip *g = (Gzip *) r;
        int k;

        k = local_host_watch(r, g->path, 0, &g->path_watch, reterr);
        if (k >= 0 && g->input)
                k = local_host_watch(r, g->input, 0, &g->input_watch, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

/* ---- autoedge ---- */

static int gzip_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Gzip *g = (const Gzip *) r;

        return packing_wants(g->path, (char *[]) { g->input, NULL }, batch, ret);
}

static int gzip_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, "file", ((const Gzip *) r)->path, false);
}

static void gzip_done(Resource *r) {
        gzip_unwatch(r);
        gzip_cancel(r);
}

const ResourceType gzip_type = {
        .kind = "gzip",
        .doc = "A compressed file.",
        .example = "gzip \"/srv/www/index.html.gz\" {\n"
                   "\tinput => \"/srv/www/index.html\",\n"
                   "\tlevel => $const.res.gzip.level.best_compression,\n"
                   "}\n",
        .size = sizeof(Gzip),
        .fields = gzip_fields,
        .done = gzip_done,
        .validate = gzip_validate,
        .watch = gzip_watch,
        .unwatch = gzip_unwatch,
        .check_apply = gzip_check_apply,
        .cancel = gzip_cancel,
        .uids = gzip_uids,
        .wants = gzip_wants,
        .first_match_ends = true,
};
