/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/engine/kinds/file-access.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/file-output.h"

int file_output_open(FileOutput *o, const Resource *r, const char *path, Diag *reterr) {
        int k;

        o->resource = r;
        o->path = path;
        k = safe_path_find(path, true, &o->where);
        if (k == -EPERM)
                return resource_error(r, reterr, k, SAFE_PATH_UNTRUSTED, path);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot find the directory of '%s': %m", path);
        o->fd = openat(o->where.dir_fd, o->where.base, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (o->fd < 0 && errno == ENOENT) {
                o->differs = true;
                return 0;
        }
        if (o->fd < 0 || fstat(o->fd, &o->st) < 0)
                return resource_error(r, reterr, -errno, "cannot open '%s': %m", path);
        if (!S_ISREG(o->st.st_mode))
                return resource_error(r, reterr, S_ISDIR(o->st.st_mode) ? -EISDIR : -EINVAL, "'%s' is not a regular file", path);
        return 0;
}

int file_output_rewrite(FileOutput *o, Diag *reterr) {
        int r = replacement_open(&o->replacement, o->where.dir_fd, o->where.base, 0600);

        if (r < 0)
                return resource_error(o->resource, reterr, r, "cannot write beside '%s': %m", o->path);
        o->at = 0;
        o->writing = true;
        return 0;
}

static int compare(FileOutput *o, const char *data, size_t size, Diag *reterr) {
        for (size_t done = 0; done < size && !o->differs;) {
                size_t n = MIN(size - done, (size_t) FILE_PIECE_SIZE);
                int r = file_content_compare(o->fd, o->at + done, data + done, n);
                if (r < 0)
                        return resource_error(o->resource, reterr, r, "cannot read '%s': %m", o->path);
                o->differs = r == 0;
                done += n;
        }
        return 0;
}

int file_output_add(FileOutput *o, const void *data, size_t size, Diag *reterr) {
        int r;

        if (o->writing) {
                r = write_all(o->replacement.fd, data, size);
                if (r < 0)
                        return resource_error(o->resource, reterr, r, "cannot write '%s': %m", o->path);
        } else {
                r = compare(o, data, size, reterr);
                if (r < 0)
                        return r;
        }
        o->at += size;
        return 0;
}

int file_output_end(FileOutput *o, Diag *reterr) {
        const struct stat *before = o->fd >= 0 ? &o->st : NULL;
        int r;

        if (!o->writing) {
                o->differs = o->differs || o->at != (uint64_t) o->st.st_size;
                return 0;
        }
        if (before)
                replacement_copy_attributes(&o->replacement, o->fd);
        FileAccess access = file_access_after(before);
        r = file_access_set(&access, o->replacement.fd, o->resource, o->path, reterr);
        if (r < 0)
                return r;
        r = replacement_put(&o->replacement);
        return r < 0 ? resource_error(o->resource, reterr, r, "cannot put '%s' in place: %m", o->path) : 0;
}

void file_output_done(FileOutput *o) {
        replacement_done(&o->replacement);
        safe_path_done(&o->where);
        closep(&o->fd);
        *o = (FileOutput) FILE_OUTPUT_INIT;
}
