/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/text-diff.h"
#include "daemons/engine/kinds/file-content.h"
#include "daemons/engine/kinds/safe-path.h"

void file_content_done(FileContent *c) {
        closep(&c->fd);
        free(c->owned);
        *c = (FileContent) FILE_CONTENT_INIT;
}

int file_content_take(FileContent *c, int fd) {
        _cleanup_close_ int owned = fd;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        file_content_done(c);
        c->fd = TAKE_FD(owned);
        c->st = st;
        c->size = (uint64_t) st.st_size;
        return 0;
}

int file_content_open(FileContent *c, const Resource *r, const char *path, Diag *reterr) {
        int fd = safe_open(path, O_RDONLY);

        if (fd == -EPERM)
                return resource_error(r, reterr, fd, SAFE_PATH_UNTRUSTED, path);
        if (fd < 0)
                return resource_error(r, reterr, fd, "cannot open '%s': %m", path);
        int k = file_content_take(c, fd);
        if (k == -EINVAL)
                return resource_error(r, reterr, k, "'%s' is not a regular file", path);
        return k < 0 ? resource_error(r, reterr, k, "cannot read '%s': %m", path) : 0;
}

/* As many as there are, up to size. */
static ssize_t read_at(int fd, char *buffer, size_t size, uint64_t at) {
        size_t n = 0;

        while (n < size) {
                ssize_t k = pread(fd, buffer + n, size - n, (off_t) (at + n));
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        return (ssize_t) n;
}

ssize_t file_content_piece(const FileContent *c, uint64_t at, char buffer[static FILE_PIECE_SIZE], const char **ret) {
        size_t size = (size_t) MIN(c->size - at, (uint64_t) FILE_PIECE_SIZE);

        if (c->fd >= 0) {
                *ret = buffer;
                return read_at(c->fd, buffer, size, at);
        }
        *ret = c->data + at;
        return (ssize_t) size;
}

int file_content_compare(int fd, uint64_t at, const char *data, size_t size) {
        char buffer[FILE_PIECE_SIZE];

        ssize_t n = read_at(fd, buffer, MIN(size, sizeof(buffer)), at);
        if (n < 0)
                return (int) n;
        return (size_t) n == size && memcmp(buffer, data, size) == 0;
}

/* NULL if it cannot be read, or is too long to be compared for eyes. */
static char *read_text(int fd, uint64_t size) {
        char *data = size <= TEXT_DIFF_INPUT_MAX ? malloc(size + 1) : NULL;

        if (data && read_at(fd, data, size, 0) != (ssize_t) size) {
                free(data);
                return NULL;
        }
        return data;
}

void file_content_differs(Resource *r, int fd, uint64_t size, const FileContent *c) {
        _cleanup_free_ char *have = fd < 0 || r->applies ? NULL : read_text(fd, size);
        _cleanup_free_ char *read = c->fd < 0 || r->applies ? NULL : read_text(c->fd, c->size);
        const char *want = read ? read : c->data;
        char from[40], to[40];

        if (want && (have || fd < 0) && !r->applies) {
                resource_differs_bytes(r, "content", have, have ? size : 0, want, c->size);
                return;
        }
        (void) snprintf(from, sizeof(from), "%" PRIu64 " byte%s", size, size == 1 ? "" : "s");
        (void) snprintf(to, sizeof(to), "%" PRIu64 " byte%s", c->size, c->size == 1 ? "" : "s");
        resource_differs(r, "content", fd < 0 ? NULL : from, to);
}
