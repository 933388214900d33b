/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os.file_exists and os.readfile: files of this host, looked at whenever something happens to them. The watch begins before the
 * first look, so that nothing is missed in between. */

#include <sys/stat.h>

#include "daemons/lang/host-file.h"
#include "daemons/lang/sources.h"

typedef struct File {
        Source source;
        char *path;
        SteadyWatch *watch;
        void (*look)(struct File *f);
} File;

static void look_content(File *f) {
        _cleanup_free_ char *text = NULL;
        _cleanup_(diag_done) Diag d = {};
        Value v = VALUE_NIL;
        size_t size;
        int r = host_file_read(f->path, &text, &size, &d);

        if (r >= 0)
                r = value_str(&v, text, size);
        if (d.error < 0) {
                diag_prefix(&d, "error reading file");
                source_fail(&f->source, r == -ENOENT, &d);
        } else
                source_result(&f->source, r, v);
}

static void look_existence(File *f) {
        struct stat st;

        if (stat(f->path, &st) >= 0)
                source_set(&f->source, VALUE_BOOL(true));
        else if (errno == ENOENT || errno == ENOTDIR)
                source_set(&f->source, VALUE_BOOL(false));
        else
                source_failf(&f->source, false, -errno, "cannot look at '%s': %m", f->path);
}

static void file_changed(void *userdata) {
        File *f = userdata;

        f->look(f);
}

static int file_open(Source *s, void (*look)(File *f), Diag *reterr) {
        File *f = (File *) s;
        int r;

        f->look = look;
        r = source_arg_path(s, 0, &f->path, reterr);
        if (r >= 0)
                r = source_watch_path(s, f->path, file_changed, f, &f->watch, reterr);
        if (r >= 0)
                look(f);
        return r;
}

static int readfile_open(Source *s, Diag *reterr) {
        return file_open(s, look_content, reterr);
}

static int file_exists_open(Source *s, Diag *reterr) {
        return file_open(s, look_existence, reterr);
}

static void file_close(Source *s) {
        steady_watch_free(((File *) s)->watch);
        free(((File *) s)->path);
}

const SourceType files_sources[] = {
        { .name = "os.file_exists", .size = sizeof(File), .open = file_exists_open, .close = file_close },
        { .name = "os.readfile", .size = sizeof(File), .open = readfile_open, .close = file_close },
        {}
};
