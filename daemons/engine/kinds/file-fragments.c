/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The file that is made of fragments must not be one of them, or it would grow for ever. The paths were compared as texts when the
 * resource was validated; here it is seen where they really lead: two names are the same file if they are the same name in the same
 * directory. */

#include <fcntl.h>

#include "daemons/engine/kinds/directory-names.h"
#include "daemons/engine/kinds/file-fragments.h"

enum { FRAGMENTS_MAX = 64 * 1024 * 1024 };

static void free_names(FileFragments *f) {
        directory_names_free(f->names, f->n_names);
        f->names = NULL;
        f->n_names = f->i_name = 0;
        closep(&f->dir_fd);
        f->dir_fd = -EBADF;
}

int file_fragments_new(FileFragments **ret, const Resource *r, char *const *paths, const SafePath *target) {
        FileFragments *f = malloc(sizeof(*f));

        if (!f)
                return -ENOMEM;
        *f = (FileFragments) { .resource = r, .next = paths, .target = target, .dir_fd = -EBADF, .content = FILE_CONTENT_INIT };
        *ret = f;
        return 0;
}

FileFragments *file_fragments_free(FileFragments *f) {
        if (!f)
                return NULL;

        free_names(f);
        file_content_done(&f->content);
        strbuf_done(&f->text);
        free(f);
        return NULL;
}

static int contains_itself(const FileFragments *f, Diag *reterr) {
        return resource_error(f->resource, reterr, -ELOOP, "inside a frag (`%s`)", f->path);
}

/* Whether the target is, or would be, in this directory. */
static bool is_target_dir(const FileFragments *f, int dir_fd) {
        struct stat a, b;

        return f->target && fstat(dir_fd, &a) >= 0 && fstat(f->target->dir_fd, &b) >= 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* ---- files ---- */

static int add_piece(FileFragments *f, Diag *reterr) {
        char buffer[FILE_PIECE_SIZE];
        const char *data;

        ssize_t n = file_content_piece(&f->content, f->at, buffer, &data);
        if (n < 0)
                return resource_error(f->resource, reterr, (int) n, "cannot read fragment '%s': %m", f->path);
        if (f->text.size + (size_t) n > FRAGMENTS_MAX)
                return resource_error(f->resource, reterr, -EFBIG, "the fragments have more than %d bytes", FRAGMENTS_MAX);
        strbuf_add(&f->text, data, (size_t) n);
        f->at += (uint64_t) n;
        if (n == 0)
                file_content_done(&f->content);
        return f->text.failed ? -ENOMEM : 1;
}

static int open_error(const FileFragments *f, int error, Diag *reterr) {
        return resource_error(f->resource, reterr, error, "cannot open fragment '%s': %m", f->path);
}

static int take(FileFragments *f, int fd, Diag *reterr) {
        int r = file_content_take(&f->content, fd);

        f->at = 0;
        if (r == -EINVAL)
                return resource_error(f->resource, reterr, r, "fragment '%s' is not a regular file", f->path);
        return r < 0 ? open_error(f, r, reterr) : 1;
}

static int begin_file(FileFragments *f, Diag *reterr) {
        _cleanup_(safe_path_done) SafePath p = SAFE_PATH_INIT;
        int r;

        r = safe_path_find(f->path, true, &p);
        if (r < 0)
                return open_error(f, r, reterr);
        if (is_target_dir(f, p.dir_fd) && streq(p.base, f->target->base))
                return contains_itself(f, reterr);
        r = safe_open_at(p.dir_fd, p.base, O_RDONLY);
        return r < 0 ? open_error(f, r, reterr) : take(f, r, reterr);
}

/* ---- directories ---- */

static int begin_directory(FileFragments *f, Diag *reterr) {
        int r;

        f->dir_fd = safe_open(f->path, O_RDONLY | O_DIRECTORY);
        if (f->dir_fd < 0)
                return open_error(f, f->dir_fd, reterr);
        if (is_target_dir(f, f->dir_fd))
                return contains_itself(f, reterr);
        r = directory_names(f->dir_fd, &f->names, &f->n_names);
        return r < 0 ? resource_error(f->resource, reterr, r, "cannot read fragment '%s': %m", f->path) : 1;
}

/* What is no file, or a link to none, is passed over. */
static int begin_next_in_directory(FileFragments *f, Diag *reterr) {
        const char *name = f->names[f->i_name++];
        struct stat st;
        int r;

        if (fstatat(f->dir_fd, name, &st, 0) < 0 || !S_ISREG(st.st_mode))
                return 1;
        r = safe_open_at(f->dir_fd, name, O_RDONLY);
        if (r == -ENOENT)
                return 1;
        if (r < 0)
                return resource_error(f->resource, reterr, r, "cannot open '%s' of fragment '%s': %m", name, f->path);
        return take(f, r, reterr);
}

int file_fragments_step(FileFragments *f, Diag *reterr) {
        if (f->content.fd >= 0)
                return add_piece(f, reterr);
        if (f->i_name < f->n_names)
                return begin_next_in_directory(f, reterr);
        free_names(f);
        if (!*f->next)
                return 0;
        f->path = *f->next++;
        return endswith(f->path, "/") ? begin_directory(f, reterr) : begin_file(f, reterr);
}
