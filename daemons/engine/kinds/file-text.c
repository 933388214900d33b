/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The directory is looked up once, so that what is written stands where it was read. */

#include <fcntl.h>

#include "daemons/engine/kinds/file-copy.h"
#include "daemons/engine/kinds/file-text.h"

static int find_where(FileText *t, const Resource *r, const char *path, bool follow, Diag *reterr) {
        int k = safe_path_find(path, follow, &t->where);

        if (k == -EPERM)
                return resource_error(r, reterr, k, SAFE_PATH_UNTRUSTED, path);
        return k < 0 ? resource_error(r, reterr, k, "cannot find the directory of '%s': %m", path) : 0;
}

static int open_file(FileText *t, const Resource *r, const char *path, Diag *reterr) {
        int fd = openat(t->where.dir_fd, t->where.base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0 && errno == ELOOP)
                return resource_error(r, reterr, -ELOOP, "'%s' is a symbolic link", path);
        if (fd < 0)
                return resource_error(r, reterr, -errno, "cannot open '%s': %m", path);
        int k = file_content_take(&t->have, fd);
        if (k == -EINVAL)
                return resource_error(r, reterr, k, "'%s' is not a regular file", path);
        return k < 0 ? resource_error(r, reterr, k, "cannot read '%s': %m", path) : 1;
}

static int read_text(FileText *t, const Resource *r, const char *path, Diag *reterr) {
        char buffer[FILE_PIECE_SIZE];
        const char *piece;
        ssize_t n;

        while ((n = file_content_piece(&t->have, t->text.size, buffer, &piece)) > 0 && !t->text.failed)
                strbuf_add(&t->text, piece, (size_t) n);
        if (n < 0 || t->text.failed)
                return resource_error(r, reterr, n < 0 ? (int) n : -ENOMEM, "cannot read '%s': %m", path);
        return 0;
}

int file_text_read(FileText *t, const Resource *r, const char *path, size_t max, bool follow, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        int k;

        k = find_where(t, r, path, follow, &diag);
        if (k == -ENOENT)
                return 0;
        if (k < 0) {
                diag_move(reterr, &diag);
                return k;
        }
        k = open_file(t, r, path, reterr);
        if (k <= 0)
                return k;
        if (t->have.size > max)
                return resource_error(r, reterr, -EFBIG, "'%s' has more than %zu bytes", path, max);
        return read_text(t, r, path, reterr);
}

int file_text_check(const FileText *t, const Resource *r, const char *path, Diag *reterr) {
        if (t->text.size == 0 || !memchr(t->text.data, '\0', t->text.size))
                return 0;
        return resource_error(r, reterr, -EBADMSG, "'%s' is no text: there is a NUL in it", path);
}

int file_text_write(FileText *t, const Resource *r, const char *path, const char *data, size_t size, Diag *reterr) {
        const FileContent wanted = { .data = data ? data : "", .size = size, .fd = -EBADF };
        FileCopy c = FILE_COPY_INIT;
        int k = 0;

        if (!t->where.base)
                k = find_where(t, r, path, true, reterr);
        if (k < 0)
                return k;
        c.resource = r;
        c.path = path;
        c.content = &wanted;
        c.dir_fd = t->where.dir_fd;
        c.base = t->where.base;
        c.sync = t->sync;
        c.have_fd = t->have.fd;
        if (c.have_fd >= 0)
                c.have = t->have.st;
        else {
                c.access = (FileAccess) { .uid = t->uid, .gid = t->gid, .mode = t->mode, .has_mode = true };
        }
        file_copy_write(&c);
        do
                k = file_copy_step(&c, reterr);
        while (k > 0);
        file_copy_done(&c);
        return k;
}

void file_text_done(FileText *t) {
        safe_path_done(&t->where);
        file_content_done(&t->have);
        strbuf_done(&t->text);
}
