/* SPDX-License-Identifier: GPL-3.0-or-later */

/* We do not wait for the disk, unless we are asked to: what a power cut takes away is found missing by the first check after the boot. */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/engine/kinds/file-copy.h"

/* ---- comparing ---- */

static int compare_piece(FileCopy *c, Diag *reterr) {
        char buffer[FILE_PIECE_SIZE];
        const char *data;

        ssize_t n = file_content_piece(c->content, c->at, buffer, &data);
        if (n < 0)
                return resource_error(c->resource, reterr, (int) n, "cannot read what shall be in '%s': %m", c->path);
        int r = file_content_compare(c->have_fd, c->at, data, (size_t) n);
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot read '%s': %m", c->path);
        c->at += (uint64_t) n;
        c->changed = r == 0 || (n == 0 && c->at < c->content->size);            /* the latter: a source that shrinks */
        return !c->changed && c->at < c->content->size;
}

/* ---- writing ---- */

/* A copy has the mode of its source; but not what makes it run as somebody, if that is somebody else now. */
static mode_t mode_of_copy(const struct stat *source, uid_t uid, gid_t gid) {
        mode_t mode = source->st_mode & 07777;

        if (source->st_uid != uid)
                mode &= ~(mode_t) S_ISUID;
        if (source->st_gid != gid)
                mode &= ~(mode_t) S_ISGID;
        return mode;
}

/* Owner and mode of what is written: as wanted, else as they were, else as open() would make them. */
static FileAccess new_access(const FileCopy *c) {
        FileAccess usual = file_access_after(c->have_fd >= 0 ? &c->have : NULL), a = c->access;

        if (a.uid == (uid_t) -1)
                a.uid = usual.uid;
        if (a.gid == (gid_t) -1)
                a.gid = usual.gid;
        if (!a.has_mode && c->content->fd >= 0)
                a.mode = mode_of_copy(&c->content->st, a.uid == (uid_t) -1 ? geteuid() : a.uid, a.gid == (gid_t) -1 ? getegid() : a.gid);
        else if (!a.has_mode)
                a.mode = usual.mode;
        a.has_mode = true;
        return a;
}

/* It shall be just as open() makes it. */
static bool is_plain(const FileCopy *c) {
        const FileAccess *a = &c->access;

        return c->have_fd < 0 && c->content->fd < 0 && !a->has_mode && a->uid == (uid_t) -1 && a->gid == (gid_t) -1 && !a->context;
}

/* Who may read it in the end may do so while it is written, as long as nothing but the mode decides on that: not the group of
 * another owner, nor an access list like the one of the file that goes. */
static mode_t mode_to_make(const FileCopy *c) {
        const FileAccess *a = &c->access;

        if (is_plain(c))
                return 0666;
        return c->have_fd < 0 && a->has_mode && a->uid == (uid_t) -1 && a->gid == (gid_t) -1 && !a->context ? a->mode & 0777 : 0600;
}

static int write_piece(FileCopy *c, int fd, Diag *reterr) {
        char buffer[FILE_PIECE_SIZE];
        const char *data;

        ssize_t n = file_content_piece(c->content, c->at, buffer, &data);
        if (n < 0)
                return resource_error(c->resource, reterr, (int) n, "cannot read what shall be in '%s': %m", c->path);
        int r = write_all(fd, data, (size_t) n);
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot write '%s': %m", c->path);
        c->at += (uint64_t) n;
        c->n_bytes += (uint64_t) n;
        return n > 0 && c->at < c->content->size;
}

static int flush(const FileCopy *c, int fd, Diag *reterr) {
        return c->sync && fsync(fd) < 0 ? resource_error(c->resource, reterr, -errno, "cannot write '%s': %m", c->path) : 0;
}

static int write_in_place(FileCopy *c, Diag *reterr) {
        int r = write_piece(c, c->in_place_fd, reterr);

        if (r != 0)
                return r;
        FileAccess a = new_access(c);
        r = flush(c, c->in_place_fd, reterr);
        return r < 0 ? r : file_access_set(&a, c->in_place_fd, c->resource, c->path, reterr);
}

/* A file that something is mounted on, as containers do it with those in /etc. It must be the one that was looked at: here the path
 * counts, not the object. */
static int begin_in_place(FileCopy *c, Diag *reterr) {
        struct stat st;

        replacement_done(&c->replacement);
        c->in_place_fd = openat(c->dir_fd, c->base, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (c->in_place_fd < 0 || fstat(c->in_place_fd, &st) < 0)
                return resource_error(c->resource, reterr, -errno, "cannot open '%s' for writing in place: %m", c->path);
        if (c->have_fd < 0 || st.st_dev != c->have.st_dev || st.st_ino != c->have.st_ino)
                return resource_error(c->resource, reterr, -EBUSY, "'%s' can be written in place only, and is not what it was", c->path);
        if (ftruncate(c->in_place_fd, 0) < 0)
                return resource_error(c->resource, reterr, -errno, "cannot write '%s' in place: %m", c->path);
        c->at = 0;
        c->next = write_in_place;
        return 1;
}

static int look_at_written(FileCopy *c, Diag *reterr) {
        if (fstat(c->replacement.fd, &c->put) < 0)
                return resource_error(c->resource, reterr, -errno, "cannot stat what is written beside '%s': %m", c->path);
        return 0;
}

/* 1, 0, or negative errno. Most new files have it already, see mode_to_make(). */
static int has_access(FileCopy *c, const FileAccess *a, Diag *reterr) {
        int r = look_at_written(c, reterr);

        return r < 0 ? r : is_plain(c) ? 1 : file_access_check(a, c->replacement.fd, &c->put, c->resource, c->path, reterr);
}

/* *ret_has: it is seen to have it. Not every file system keeps what it was given, and others may change what they see there. */
static int give_access(FileCopy *c, bool *ret_has, Diag *reterr) {
        const FileAccess a = is_plain(c) ? c->access : new_access(c);
        int r = has_access(c, &a, reterr);

        if (r == 0) {
                r = file_access_set(&a, c->replacement.fd, c->resource, c->path, reterr);
                if (r >= 0)
                        r = has_access(c, &a, reterr);
        }
        *ret_has = r > 0;
        return MIN(r, 0);
}

static int write_beside(FileCopy *c, Diag *reterr) {
        bool proven = false;
        int r = write_piece(c, c->replacement.fd, reterr);

        if (r != 0)
                return r;
        if (c->have_fd >= 0)
                replacement_copy_attributes(&c->replacement, c->have_fd);
        r = give_access(c, &proven, reterr);
        if (r >= 0)
                r = flush(c, c->replacement.fd, reterr);
        if (r < 0)
                return r;
        r = replacement_put(&c->replacement);
        if (r == -EBUSY)
                return begin_in_place(c, reterr);
        c->replaced = r >= 0 && proven && (uint64_t) c->put.st_size == c->at;
        return r < 0 ? resource_error(c->resource, reterr, r, "cannot put '%s' in place: %m", c->path) : 0;
}

static int begin_writing(FileCopy *c, Diag *reterr) {
        int r = replacement_open(&c->replacement, c->dir_fd, c->base, mode_to_make(c));
        if (r < 0)
                return resource_error(c->resource, reterr, r, "cannot write beside '%s': %m", c->path);
        c->at = 0;
        c->next = write_beside;
        return 1;
}

int file_copy_step(FileCopy *c, Diag *reterr) {
        if (c->next)
                return c->next(c, reterr);
        if (c->differs)
                return begin_writing(c, reterr);
        c->changed = c->have_fd < 0 || (uint64_t) c->have.st_size != c->content->size;
        c->next = compare_piece;
        return !c->changed && c->content->size > 0;
}

void file_copy_write(FileCopy *c) {
        c->changed = c->differs = true;
        c->next = NULL;
}

void file_copy_done(FileCopy *c) {
        replacement_done(&c->replacement);
        closep(&c->in_place_fd);
        c->in_place_fd = -EBADF;
}
