/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The new content has a name of its own beside the old one, so that both are on one file system; what a crash leaves there, the next
 * attempt takes away. */

#include <fcntl.h>
#include <stdio.h>

#include <gnutls/crypto.h>

#include "common/io.h"
#include "daemons/http/download.h"

enum {
        PIECE = 64 * 1024,              /* bytes read at once */
        FLUSH_BYTES = 8 * 1024 * 1024,  /* so often what was written is sent on its way, or the end would take long */
};

struct Download {
        char *path, *part;
        int fd, old_fd;                 /* old_fd: what is there, as long as it is the same; -EBADF: it is not */
        uint64_t size, flushed;
        struct stat written;            /* before it was renamed */
        bool placed;
        gnutls_hash_hd_t hash;
        char buffer[PIECE];
};

static void put_hex(const uint8_t digest[static 32], char ret[static SHA256_TEXT_SIZE]) {
        for (size_t i = 0; i < 32; i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}

static char *part_of(const char *path) {
        const char *name = strrchr(path, '/') + 1;
        char *part;

        return asprintf(&part, "%.*s.%s.part", (int) (name - path), path, name) < 0 ? NULL : part;
}

int download_new(Download **ret, const char *path) {
        _cleanup_(download_freep) Download *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->fd = -EBADF;
        d->old_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        d->path = strdup(path);
        d->part = part_of(path);
        if (!d->path || !d->part || gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256) < 0)
                return -ENOMEM;

        (void) unlink(d->part);
        d->fd = open(d->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (d->fd < 0)
                return -errno;
        *ret = TAKE_PTR(d);
        return 0;
}

Download *download_free(Download *d) {
        if (!d)
                return NULL;
        if (d->fd >= 0 && d->part && !d->placed)
                (void) unlink(d->part);
        closep(&d->fd);
        closep(&d->old_fd);
        if (d->hash)
                gnutls_hash_deinit(d->hash, NULL);
        free(d->path);
        free(d->part);
        free(d);
        return NULL;
}

/* A difference, once found, stays. */
static void compare(Download *d, const char *data, size_t size) {
        for (size_t at = 0; at < size && d->old_fd >= 0;) {
                size_t n = MIN(size - at, sizeof(d->buffer));
                ssize_t k = pread(d->old_fd, d->buffer, n, (off_t) (d->size + at));

                if (k <= 0 || memcmp(d->buffer, data + at, (size_t) k) != 0) {
                        closep(&d->old_fd);
                        d->old_fd = -EBADF;
                        return;
                }
                at += (size_t) k;
        }
}

int download_write(Download *d, const void *data, size_t size) {
        int r = write_all(d->fd, data, size);

        if (r < 0)
                return r;
        if (gnutls_hash(d->hash, data, size) < 0)
                return -EIO;
        compare(d, data, size);
        d->size += size;
        if (d->size - d->flushed >= FLUSH_BYTES) {
                (void) sync_file_range(d->fd, (off_t) d->flushed, 0, SYNC_FILE_RANGE_WRITE);
                d->flushed = d->size;
        }
        return 0;
}

uint64_t download_size(const Download *d) {
        return d->size;
}

void download_sha256(const Download *d, char ret[static SHA256_TEXT_SIZE]) {
        uint8_t digest[32] = {};
        gnutls_hash_hd_t copy = gnutls_hash_copy(d->hash);

        if (copy)
                gnutls_hash_deinit(copy, digest);
        put_hex(digest, ret);
}

/* Who may read it stays as it is; a new one everybody may, as far as the directory lets them. */
static int put_in_place(Download *d, int64_t modified, bool *ret_same) {
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t) modified } };
        struct stat st;
        mode_t mode = 0644;

        *ret_same = false;
        if (lstat(d->path, &st) >= 0 && S_ISREG(st.st_mode)) {
                mode = st.st_mode & 0777;
                *ret_same = d->old_fd >= 0 && (uint64_t) st.st_size == d->size;
        }
        if (fchmod(d->fd, mode) < 0 || (modified != 0 && futimens(d->fd, times) < 0))
                return -errno;
        if (fdatasync(d->fd) < 0 || fstat(d->fd, &d->written) < 0 || rename(d->part, d->path) < 0)
                return -errno;
        d->placed = true;
        return 0;
}

int download_finish(Download *d, const char *sha256, int64_t modified, bool *ret_same) {
        char digest[SHA256_TEXT_SIZE];

        if (sha256) {
                download_sha256(d, digest);
                if (!streq(digest, sha256))
                        return -EBADMSG;
        }
        return put_in_place(d, modified, ret_same);
}

/* To be renamed changes no more than st_ctim. */
bool download_identity(const Download *d, struct stat *ret) {
        return d->placed && fstat(d->fd, ret) >= 0 && ret->st_size == d->written.st_size &&
               ret->st_mtim.tv_sec == d->written.st_mtim.tv_sec && ret->st_mtim.tv_nsec == d->written.st_mtim.tv_nsec;
}

/* ---- of a file that is there ---- */

struct FileDigest {
        int fd, copy;
        gnutls_hash_hd_t hash;
        char buffer[PIECE];
};

int file_digest_new(FileDigest **ret, const char *path, int copy) {
        _cleanup_(file_digest_freep) FileDigest *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->copy = copy;
        d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (d->fd < 0)
                return -errno;
        if (gnutls_hash_init(&d->hash, GNUTLS_DIG_SHA256) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(d);
        return 0;
}

int file_digest_step(FileDigest *d, char ret[static SHA256_TEXT_SIZE]) {
        uint8_t digest[32];
        ssize_t n = read(d->fd, d->buffer, sizeof(d->buffer));

        int r = n > 0 && d->copy >= 0 ? write_all(d->copy, d->buffer, (size_t) n) : 0;

        if (n < 0 || r < 0)
                return n < 0 ? -errno : r;
        if (n > 0)
                return gnutls_hash(d->hash, d->buffer, (size_t) n) < 0 ? -EIO : 1;
        gnutls_hash_deinit(d->hash, digest);
        d->hash = NULL;
        put_hex(digest, ret);
        return 0;
}

FileDigest *file_digest_free(FileDigest *d) {
        if (!d)
                return NULL;
        closep(&d->fd);
        if (d->hash)
                gnutls_hash_deinit(d->hash, NULL);
        free(d);
        return NULL;
}
