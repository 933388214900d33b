/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What undoes a file: what was to exist shall not, and what was to be absent shall be as it is now. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/engine/kinds/file-access.h"
#include "daemons/engine/kinds/kind-file.h"
#include "daemons/engine/kinds/safe-path.h"

enum { UNDO_MAX = 16 * 1024 * 1024 };   /* bytes of content that are kept */

static int undo_str(Resource *undo, const char *field, const char *s, Diag *reterr) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r = value_strz(&v, s);

        return r < 0 ? r : resource_set(undo, field, v, reterr);
}

/* What is there now, as O_PATH; what shall be absent is the thing itself, never what it points to. -ENOENT if there is nothing. */
static int open_object(const File *f) {
        _cleanup_(safe_path_done) SafePath p = SAFE_PATH_INIT;
        int r;

        if (!streq(f->state, "absent"))
                r = safe_open(f->target, O_PATH);
        else {
                r = safe_path_find(f->target, false, &p);
                if (r >= 0 && (r = openat(p.dir_fd, p.base, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
                        r = -errno;
        }
        return r == -ENOTDIR ? -ENOENT : r;
}

static int undo_content(const File *f, int fd, const struct stat *st, Resource *undo, Diag *reterr) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        _cleanup_free_ char *text = NULL;
        char proc[64];
        size_t size;
        int r;

        if (!S_ISREG(st->st_mode))
                return resource_error(&f->resource, reterr, -EINVAL, "'%s' is no file, and cannot be kept for Meta:reverse", f->target);
        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        r = read_file_at(AT_FDCWD, proc, UNDO_MAX, &text, &size);
        if (r == -E2BIG)
                return resource_error(&f->resource, reterr, r, "'%s' is too large to be kept: more than %d bytes", f->target, UNDO_MAX);
        if (r >= 0)
                r = value_str(&v, text, size);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read '%s': %m", f->target);
        return resource_set(undo, "content", v, reterr);
}

/* Owner, mode and so on as they are, as far as they were asked for; st is NULL if they do not matter. */
static int undo_access(const File *f, int fd, const struct stat *st, Resource *undo, Diag *reterr) {
        char owner[16] = "", group[16] = "", mode[16] = "", context[4096];
        int r;

        if (st && *f->owner)
                (void) snprintf(owner, sizeof(owner), "%u", st->st_uid);
        if (st && *f->group)
                (void) snprintf(group, sizeof(group), "%u", st->st_gid);
        if (st && *f->mode)
                (void) snprintf(mode, sizeof(mode), "%04o", st->st_mode & 07777U);
        r = undo_str(undo, "owner", owner, reterr);
        if (r >= 0)
                r = undo_str(undo, "group", group, reterr);
        if (r >= 0)
                r = undo_str(undo, "mode", mode, reterr);
        if (r < 0 || !f->selinux)
                return r;
        if (!st)
                return resource_set(undo, "selinux", VALUE_NIL, reterr);
        r = file_context_get(fd, context, sizeof(context));
        return r < 0 ? resource_error(&f->resource, reterr, r, "cannot read the security context of '%s': %m", f->target)
                     : undo_str(undo, "selinux", context, reterr);
}

/* What of the content of the other one would be in the way. */
static int undo_parts(Resource *undo, Diag *reterr) {
        _cleanup_(value_done) Value none = VALUE_NIL;
        int r;

        r = resource_set(undo, "content", VALUE_NIL, reterr);
        if (r >= 0)
                r = undo_str(undo, "source", "", reterr);
        if (r >= 0)
                r = value_list_from_strv(&none, NULL);
        return r < 0 ? r : resource_set(undo, "fragments", none, reterr);
}

int file_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        const File *f = (const File *) r;
        bool exists = streq(f->state, "exists"), absent = streq(f->state, "absent");
        _cleanup_(resource_freep) Resource *undo = NULL;
        struct stat st = {};
        int k;

        _cleanup_close_ int fd = open_object(f);
        if ((fd < 0 && fd != -ENOENT) || (fd >= 0 && fstat(fd, &st) < 0))
                return resource_error(r, reterr, fd < 0 ? fd : -errno, "cannot open '%s': %m", f->target);
        if (!exists && fd < 0)
                return 0;
        k = resource_copy(&undo, r);
        if (k >= 0)
                k = undo_parts(undo, reterr);
        if (k >= 0)
                k = undo_str(undo, "state", exists ? "absent" : absent ? "exists" : "", reterr);
        if (k >= 0)
                k = undo_access(f, fd, exists ? NULL : &st, undo, reterr);
        if (k >= 0 && (absent || (!exists && (f->content.kind != TYPE_NIL || f->fragments))))
                k = undo_content(f, fd, &st, undo, reterr);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(undo);
        return 0;
}
