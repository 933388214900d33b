/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The bytes of a file, wherever they come from. A source stays a file that is read piece by piece; content and fragments are in
 * memory. */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "common/text-diff.h"
#include "daemons/engine/file-content.h"

enum {
        CONTENT_MAX = 1024 * 1024 * 1024,       /* of a source; it is compared while the engine waits */
        FRAGMENTS_MAX = 64 * 1024 * 1024,
};

void file_content_done(FileContent *c) {
        closep(&c->fd);
        free(c->owned);
}

static int open_regular(const Resource *r, const char *path, struct stat *ret, Diag *reterr) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0)
                return resource_error(r, reterr, -errno, "cannot open '%s': %m", path);
        if (fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode) || ret->st_size > CONTENT_MAX) {
                (void) close(fd);
                return resource_error(r, reterr, -EINVAL, "'%s' is not a regular file of at most %d bytes", path, CONTENT_MAX);
        }
        return fd;
}

static int add_fragment(const Resource *r, int dir_fd, const char *name, const char *shown, StrBuf *b, Diag *reterr) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int k;

        k = read_file_at(dir_fd, name, FRAGMENTS_MAX, &data, &size);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read fragment '%s': %m", shown);
        if (b->size + size > FRAGMENTS_MAX)
                return resource_error(r, reterr, -EFBIG, "the fragments have more than %d bytes", FRAGMENTS_MAX);
        strbuf_add(b, data, size);
        return 0;
}

/* All files in a directory, by name; what is no file is passed over. */
static int add_fragment_directory(const Resource *r, const char *path, StrBuf *b, Diag *reterr) {
        struct dirent **list;
        int k = 0;

        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return resource_error(r, reterr, -errno, "cannot open fragment '%s': %m", path);
        int n = scandirat(fd, ".", &list, NULL, alphasort);
        if (n < 0)
                return resource_error(r, reterr, -errno, "cannot read fragment '%s': %m", path);
        for (int i = 0; i < n; i++) {
                struct stat st;
                if (k >= 0 && fstatat(fd, list[i]->d_name, &st, 0) >= 0 && S_ISREG(st.st_mode))
                        k = add_fragment(r, fd, list[i]->d_name, path, b, reterr);
                free(list[i]);
        }
        free(list);
        return k;
}

int file_content_get(const Resource *r, Value content, const char *source, char *const *fragments, FileContent *ret, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf b = {};
        struct stat st;
        int k = 0;

        if (content.kind == TYPE_STR) {
                ret->data = content.s->data;
                ret->size = content.s->size;
                return 0;
        }
        if (*source) {
                k = open_regular(r, source, &st, reterr);
                if (k < 0)
                        return k;
                ret->fd = k;
                ret->size = (size_t) st.st_size;
                ret->mode = st.st_mode & 07777;
                return 0;
        }
        for (char *const *s = fragments; s && *s && k >= 0; s++)
                k = endswith(*s, "/") ? add_fragment_directory(r, *s, &b, reterr) : add_fragment(r, AT_FDCWD, *s, *s, &b, reterr);
        if (k < 0)
                return k;
        ret->size = b.size;
        ret->data = ret->owned = strbuf_take(&b);
        return ret->owned ? 0 : -ENOMEM;
}

/* At most limit bytes are there to be read: that the end has come need not be asked. */
static ssize_t read_fully(int fd, char *buffer, size_t size, off_t at, size_t limit) {
        size_t n = 0;

        size = MIN(size, limit);
        while (n < size) {
                ssize_t k = pread(fd, buffer + n, size - n, at + (off_t) n);
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

/* 1 if the file, which has the size of the content, has this content; 0 if not. */
int file_content_matches(int fd, const FileContent *c) {
        char have[16384], want[16384];

        for (size_t at = 0;;) {
                ssize_t n = read_fully(fd, have, sizeof(have), (off_t) at, c->size - at);
                if (n < 0)
                        return (int) n;
                if (c->fd >= 0) {
                        ssize_t k = read_fully(c->fd, want, sizeof(want), (off_t) at, c->size - at);
                        if (k < 0)
                                return (int) k;
                        if (k != n || memcmp(have, want, (size_t) n) != 0)
                                return 0;
                } else if ((size_t) n > c->size - at || memcmp(have, c->data + at, (size_t) n) != 0)
                        return 0;
                at += (size_t) n;
                if ((size_t) n < sizeof(have) || at == c->size)
                        return at == c->size;
        }
}

int file_content_write(int fd, const FileContent *c) {
        char buffer[65536];

        if (c->fd < 0)
                return write_all(fd, c->data, c->size);
        for (off_t at = 0;;) {
                ssize_t n = read_fully(c->fd, buffer, sizeof(buffer), at, SIZE_MAX);
                if (n <= 0)
                        return (int) n;
                int r = write_all(fd, buffer, (size_t) n);
                if (r < 0)
                        return r;
                at += n;
        }
}

/* NULL if it cannot be read, or is too long to be compared for eyes. */
static char *read_text(int fd, size_t size) {
        char *data = size <= TEXT_DIFF_INPUT_MAX ? malloc(size + 1) : NULL;

        if (data && read_fully(fd, data, size, 0, size) != (ssize_t) size) {
                free(data);
                return NULL;
        }
        return data;
}

void file_content_differs(Resource *r, int fd, size_t size, const FileContent *c) {
        _cleanup_free_ char *have = fd < 0 || r->applies ? NULL : read_text(fd, size);
        _cleanup_free_ char *read = c->fd < 0 || r->applies ? NULL : read_text(c->fd, c->size);
        const char *want = read ? read : c->data;
        char from[32], to[32];

        if (want && (have || fd < 0) && !r->applies) {
                resource_differs_bytes(r, "content", have, have ? size : 0, want, c->size);
                return;
        }
        (void) snprintf(from, sizeof(from), "%zu byte%s", size, size == 1 ? "" : "s");
        (void) snprintf(to, sizeof(to), "%zu byte%s", c->size, c->size == 1 ? "" : "s");
        resource_differs(r, "content", fd < 0 ? NULL : from, to);
}
