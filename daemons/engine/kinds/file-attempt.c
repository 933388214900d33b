/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One attempt of a file resource: a chain of steps, each of which says what comes next. Most attempts are over before the first
 * slice is (common/sd/slices.h), and so never wait for the loop; those with large files and trees go on from it.
 *
 * What is there is opened once and looked at, read and changed through that descriptor. Where something new is made, the directory
 * was found by descriptors as well (safe-path.h). So a component of the path that is exchanged meanwhile changes nothing.
 *
 * An owner or a mode is not given to a file that has another name and lies where others may write: they could have made a hard link
 * to any file. A file whose content is known is replaced in that case. */

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>

#include "common/sd/path-watch.h"
#include "common/sd/slices.h"
#include "daemons/engine/kinds/file-copy.h"
#include "daemons/engine/kinds/file-fragments.h"
#include "daemons/engine/kinds/file-keep.h"
#include "daemons/engine/kinds/file-mode.h"
#include "daemons/engine/kinds/file-path.h"
#include "daemons/engine/kinds/file-tree.h"
#include "daemons/engine/kinds/kind-file.h"
#include "daemons/engine/kinds/progress.h"
#include "daemons/engine/kinds/safe-path.h"

/* The object at the path. where says where it is or would be; it is looked up only when something is to be changed, or the plain
 * way did not find it. */
typedef struct Found {
        bool exists;
        bool direct;                    /* there is no link at the path that was followed, or would be */
        int fd;                         /* of the object, to read from if it was opened so; owned */
        struct stat st;
        SafePath where;
} Found;

/* There is one for each check of a file, so it is kept below the 1,032 bytes that malloc() has at hand. */
struct FileAttempt {
        File *file;
        bool apply, changed;
        int (*next)(FileAttempt *a);    /* as slices_step_t; NULL: it is over */
        int (*after)(FileAttempt *a);   /* what comes after a tree */
        Account account;
        Found found;
        FileContent content;
        FileFragments *fragments;       /* while they are gathered, or NULL; owned */
        FileCopy copy;
        FileTree *tree;
        char **keep;                    /* of tree */
        Slices *slices;
        Progress progress;
        Diag diag;
};

_Static_assert(sizeof(struct FileAttempt) <= 1032, "a FileAttempt is larger than what malloc() has at hand");

/* ---- life ---- */

static void found_done(Found *x) {
        closep(&x->fd);
        safe_path_done(&x->where);
        *x = (Found) { .fd = -EBADF, .where = SAFE_PATH_INIT };
}

static FileAttempt *file_attempt_free(FileAttempt *a) {
        if (!a)
                return NULL;

        slices_free(a->slices);
        account_done(&a->account);
        file_copy_done(&a->copy);
        file_content_done(&a->content);
        file_fragments_free(a->fragments);
        file_tree_free(a->tree);
        strv_free(a->keep);
        found_done(&a->found);
        diag_done(&a->diag);
        free(a);
        return NULL;
}

static FileAttempt *file_attempt_new(File *f, bool apply) {
        FileAttempt *a = malloc(sizeof(FileAttempt));

        if (a)
                *a = (FileAttempt) {
                        .file = f,
                        .apply = apply,
                        .account = { .uid = (uid_t) -1, .gid = (gid_t) -1 },
                        .found = { .fd = -EBADF, .where = SAFE_PATH_INIT },
                        .content = FILE_CONTENT_INIT,
                        .copy = FILE_COPY_INIT,
                };
        return a;
}

#define fail(a, error, ...) resource_error(&(a)->file->resource, &(a)->diag, (error), __VA_ARGS__)

static int then(FileAttempt *a, int (*next)(FileAttempt *a)) {
        a->next = next;
        return 1;
}

static bool has_content(const File *f) {
        return f->content.kind != TYPE_NIL || f->fragments || (*f->source && !f->symlink && !path_is_directory(f->target));
}

/* ---- what is there ---- */

/* A link, or what is to go, is meant itself. */
static bool may_follow(const File *f) {
        return !f->symlink && !streq(f->state, "absent");
}

static int find_where(FileAttempt *a) {
        const File *f = a->file;
        Found *x = &a->found;
        int r;

        if (x->where.base)
                return 0;
        r = safe_path_find(f->target, !x->direct, &x->where);
        if (r == -EPERM)
                return fail(a, r, SAFE_PATH_UNTRUSTED, f->target);
        return r < 0 ? fail(a, r, "cannot find the directory of '%s': %m", f->target) : 0;
}

static bool is_missing(int error) {
        return error == -ENOENT || error == -ENOTDIR;
}

/* The thing itself, never what it points to. */
static int open_itself(FileAttempt *a) {
        SafePath *where = &a->found.where;
        int r;

        r = safe_path_find(a->file->target, false, where);
        if (r < 0)
                return r;
        r = openat(where->dir_fd, where->base, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return r < 0 ? -errno : r;
}

/* That of the path itself, if there is one. */
static PathWatch *own_watch(const FileAttempt *a) {
        return a->file->n_watches > 0 ? a->file->watches[0] : NULL;
}

/* The watch need not look as well. */
static void tell_seen(const FileAttempt *a, mode_t mode) {
        PathWatch *w = a->found.direct ? own_watch(a) : NULL;

        if (w)
                path_watch_saw(w, mode);
}

static int open_object(FileAttempt *a) {
        const File *f = a->file;
        const int flags = has_content(f) ? O_RDONLY : O_PATH;
        int r;

        r = safe_open_direct(f->target, flags);
        a->found.direct = r >= 0 || r == -ENOENT;
        if (a->found.direct)
                return r;
        r = safe_open(f->target, flags);
        /* "x/" of a file x says so; it is ours to replace, if force is given. */
        if (r == -ENOTDIR && path_is_directory(f->target)) {
                _cleanup_free_ char *bare = strndup(f->target, strlen(f->target) - 1);
                if (!bare)
                        return -ENOMEM;
                r = safe_open(bare, O_PATH);
        }
        if (r == -ENXIO || r == -EISDIR)        /* a socket, say: only looked at */
                r = safe_open(f->target, O_PATH);
        return r;
}

static int find(FileAttempt *a) {
        const File *f = a->file;
        Found *x = &a->found;
        int r;

        found_done(x);
        x->direct = !may_follow(f);
        r = may_follow(f) ? open_object(a) : open_itself(a);
        if (r == -ENOENT)
                tell_seen(a, 0);
        if (is_missing(r))
                return 0;
        if (r == -EPERM)
                return find_where(a);
        if (r < 0)
                return fail(a, r, "cannot open '%s': %m", f->target);
        x->fd = r;
        if (fstat(x->fd, &x->st) < 0)
                return fail(a, -errno, "cannot stat '%s': %m", f->target);
        x->exists = true;
        tell_seen(a, x->st.st_mode);
        return 0;
}

/* What has just been made: a name in the directory, not a path. */
static int find_made(FileAttempt *a, int flags) {
        Found *x = &a->found;

        closep(&x->fd);
        x->fd = openat(x->where.dir_fd, x->where.base, flags | O_NOFOLLOW | O_CLOEXEC);
        if (x->fd < 0 || fstat(x->fd, &x->st) < 0)
                return fail(a, -errno, "cannot open '%s': %m", a->file->target);
        x->exists = true;
        return 0;
}

static int check_removable(FileAttempt *a) {
        const char *base = a->found.where.base;

        if (streq(base, ".") || streq(base, ".."))
                return fail(a, -EINVAL, "'%s' is not to be removed", a->file->target);
        return 0;
}

/* ---- owner, mode, context ---- */

static int wanted_access(FileAttempt *a, FileAccess *ret) {
        const File *f = a->file;
        int r;

        *ret = (FileAccess) { .uid = a->account.uid, .gid = a->account.gid, .context = f->selinux };
        if (!*f->mode)
                return 0;
        ret->has_mode = true;
        r = file_mode_parse(f->mode, a->found.exists ? a->found.st.st_mode : 0, &ret->mode);
        return r < 0 ? fail(a, r, "mode '%s' cannot be used: %m", f->mode) : 0;
}

static void tell_access(FileAttempt *a, const FileAccess *access) {
        const Found *x = &a->found;
        File *f = a->file;

        file_access_differs(access, x->fd, x->exists ? &x->st : NULL, &f->resource, f->owner, f->group);
}

/* Something will be made: what it then has. */
static int tell_new_access(FileAttempt *a) {
        FileAccess access;
        int r = wanted_access(a, &access);

        if (r >= 0)
                tell_access(a, &access);
        return r;
}

/* Whether others could have made a hard link to a file that is none of their business. */
static bool may_be_foreign(const Found *x) {
        return S_ISREG(x->st.st_mode) && x->st.st_nlink > 1 && safe_path_is_shared(x->where.dir_fd);
}

static int step_write(FileAttempt *a);

static int step_access(FileAttempt *a) {
        const File *f = a->file;
        Found *x = &a->found;
        FileAccess access;
        int r;

        if (!*f->owner && !*f->group && !*f->mode && !f->selinux)
                return 0;
        if (!x->exists)
                return fail(a, -ENOENT, "'%s' is not there, and state is not 'exists'", f->target);
        r = wanted_access(a, &access);
        if (r < 0)
                return r;
        r = file_access_check(&access, x->fd, &x->st, &f->resource, f->target, &a->diag);
        if (r != 0)
                return MIN(r, 0);
        a->changed = true;
        tell_access(a, &access);
        r = find_where(a);
        if (r < 0)
                return r;
        if (may_be_foreign(x) && has_content(f) && a->apply)
                return then(a, step_write);
        if (may_be_foreign(x) && !has_content(f))
                return fail(a, -EMLINK, "'%s' has another name as well, and others can write its directory: %m", f->target);
        return !a->apply ? 0 : file_access_set(&access, x->fd, &f->resource, f->target, &a->diag);
}

/* ---- trees ---- */

static int step_tree(FileAttempt *a) {
        int r = file_tree_step(a->tree, &a->diag);

        if (r > 0)
                return 1;
        a->changed = a->changed || file_tree_changed(a->tree);
        a->tree = file_tree_free(a->tree);
        return r < 0 ? r : then(a, a->after);
}

static int begin_tree(FileAttempt *a, const FileTreeSpec *spec, int (*after)(FileAttempt *a)) {
        int r = file_tree_new(&a->tree, spec, &a->diag);

        if (r < 0)
                return r;
        a->after = after;
        return then(a, step_tree);
}

/* The object is a directory that shall go, with all that is in it. */
static int begin_removing(FileAttempt *a, int (*after)(FileAttempt *a)) {
        const FileTreeSpec spec = {
                .resource = &a->file->resource,
                .target = a->file->target,
                .target_fd = a->found.fd,
                .parent_fd = a->found.where.dir_fd,
                .parent_base = a->found.where.base,
                .apply = true,
        };

        return begin_tree(a, &spec, after);
}

/* What is in the directory. */
static int step_inside(FileAttempt *a) {
        File *f = a->file;
        int r;

        if (!*f->source && !f->purge)
                return then(a, step_access);
        r = file_keep_collect(f, &a->keep);
        if (r < 0)
                return fail(a, r, "cannot find out what else is managed in '%s': %m", f->target);
        const FileTreeSpec spec = {
                .resource = &f->resource,
                .target = f->target,
                .target_fd = a->found.fd,
                .source = *f->source ? f->source : NULL,
                .apply = a->apply,
                .force = f->force,
                .keep = a->keep,
        };
        return begin_tree(a, &spec, step_access);
}

/* ---- what is in the way, or not there ---- */

static bool has_type(const Found *x, mode_t type) {
        return x->exists && (x->st.st_mode & S_IFMT) == type;
}

static const char *found_type(const Found *x) {
        return x->exists ? file_type_text(&x->st) : "absent";
}

/* There shall be something of this type, and there is not: what stands for that now must be allowed to go. */
static int tell_type(FileAttempt *a, mode_t type, const char *word) {
        const Found *x = &a->found;

        a->changed = true;
        if (has_type(x, type))
                return 0;
        resource_differs(&a->file->resource, "state", found_type(x), word);
        if (x->exists && !a->file->force)
                return fail(a, S_ISDIR(x->st.st_mode) ? -EISDIR : -EEXIST, "'%s' is something else, and force is not set", a->file->target);
        return 0;
}

/* It would be made, and all but its access is told: at least its directory has to be there, or be made before. */
static int end_of_looking(FileAttempt *a) {
        int r = tell_new_access(a);

        return r < 0 || a->found.exists || a->file->recurse ? r : find_where(a);
}

/* Removes it; next follows, with nothing there. recurse: also a directory that is not empty. */
static int clear_way(FileAttempt *a, int (*next)(FileAttempt *a), bool recurse) {
        const File *f = a->file;
        Found *x = &a->found;
        bool directory = S_ISDIR(x->st.st_mode);
        int r;

        r = find_where(a);
        if (r >= 0)
                r = check_removable(a);
        if (r < 0)
                return r;
        x->exists = false;
        if (directory && recurse)
                return begin_removing(a, next);
        if (unlinkat(x->where.dir_fd, x->where.base, directory ? AT_REMOVEDIR : 0) < 0)
                return fail(a, -errno, "cannot remove '%s': %m", f->target);
        return then(a, next);
}

/* ---- content ---- */

/* It is not as it shall be. */
static int content_differs(FileAttempt *a) {
        const Found *x = &a->found;
        int r;

        r = tell_type(a, S_IFREG, "file");
        if (r < 0)
                return r;
        file_content_differs(&a->file->resource, has_type(x, S_IFREG) ? x->fd : -EBADF, (uint64_t) x->st.st_size, &a->content);
        if (!a->apply)
                return end_of_looking(a);
        r = tell_new_access(a);
        return r < 0 ? r : then(a, step_write);
}

static int step_copy(FileAttempt *a) {
        FileCopy *c = &a->copy;
        int r = file_copy_step(c, &a->diag);

        if (r != 0)
                return r;
        if (c->differs) {               /* and now not any more; what is new has the access it shall have */
                if (c->replaced && own_watch(a))
                        path_watch_put(own_watch(a), &c->put);
                return 0;
        }
        return c->changed ? content_differs(a) : then(a, step_access);
}

static int step_write(FileAttempt *a) {
        FileCopy *c = &a->copy;
        Found *x = &a->found;
        int r;

        if (x->exists && S_ISDIR(x->st.st_mode))
                return clear_way(a, step_write, true);
        r = find_where(a);
        if (r >= 0)
                r = wanted_access(a, &c->access);
        if (r < 0)
                return r;
        c->have_fd = x->exists ? x->fd : -EBADF;
        c->dir_fd = x->where.dir_fd;
        c->base = x->where.base;
        file_copy_write(c);
        return then(a, step_copy);
}

/* a->content is what shall be in it. */
static int step_compare(FileAttempt *a) {
        const Found *x = &a->found;
        FileCopy *c = &a->copy;

        c->resource = &a->file->resource;
        c->path = a->file->target;
        c->content = &a->content;
        if (x->exists && !S_ISREG(x->st.st_mode))
                return content_differs(a);
        if (x->exists) {
                c->have_fd = x->fd;
                c->have = x->st;
        }
        return then(a, step_copy);
}

static int step_gather(FileAttempt *a) {
        int r = file_fragments_step(a->fragments, &a->diag);

        if (r != 0)
                return r;
        a->content.size = a->fragments->text.size;
        a->content.data = a->content.owned = strbuf_take(&a->fragments->text);
        return a->content.data ? then(a, step_compare) : -ENOMEM;
}

static int look_at_content(FileAttempt *a) {
        File *f = a->file;
        const Found *x = &a->found;
        int r;

        if (!x->exists && !streq(f->state, "exists"))
                return fail(a, -ENOENT, "'%s' is not there, and state is not 'exists'", f->target);
        if (x->exists && !S_ISREG(x->st.st_mode) && !S_ISDIR(x->st.st_mode))
                return fail(a, -EEXIST, "'%s' is neither a file nor a directory", f->target);
        if (f->content.kind == TYPE_STR) {
                a->content.data = f->content.s->data;
                a->content.size = f->content.s->size;
                return then(a, step_compare);
        }
        if (*f->source) {
                r = file_content_open(&a->content, &f->resource, f->source, &a->diag);
                return r < 0 ? r : then(a, step_compare);
        }
        r = find_where(a);
        if (r < 0)
                return r;
        r = file_fragments_new(&a->fragments, &f->resource, f->fragments, &a->found.where);
        return r < 0 ? r : then(a, step_gather);
}

/* ---- the other states ---- */

static int step_end(FileAttempt *a) {
        return 0;
}

static int look_at_absent(FileAttempt *a) {
        const Found *x = &a->found;
        bool directory = S_ISDIR(x->st.st_mode);
        int r;

        if (!x->exists)
                return 0;
        a->changed = true;
        resource_differs(&a->file->resource, "state", found_type(x), "absent");
        r = check_removable(a);
        if (!a->apply)
                return r;
        if (r < 0)
                return r;
        if (directory && a->file->recurse)
                return begin_removing(a, step_end);
        if (unlinkat(x->where.dir_fd, x->where.base, directory ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
                return fail(a, -errno, "cannot remove '%s': %m", a->file->target);
        return 0;
}

static int step_make_directory(FileAttempt *a) {
        const File *f = a->file;
        Found *x = &a->found;
        mode_t mode = 0777;
        int r;

        if (*f->mode)
                (void) file_mode_parse(f->mode, 0, &mode);
        if (f->recurse) {
                safe_path_done(&x->where);
                r = safe_path_make(f->target, mode, &x->where);
                if (r < 0 && r != -EPERM)
                        return fail(a, r, "cannot make the directories above '%s': %m", f->target);
        }
        r = find_where(a);
        if (r < 0)
                return r;
        if (mkdirat(x->where.dir_fd, x->where.base, mode) < 0 && errno != EEXIST)
                return fail(a, -errno, "cannot make '%s': %m", f->target);
        r = find_made(a, O_PATH | O_DIRECTORY);
        return r < 0 ? r : then(a, step_inside);
}

static int look_at_directory(FileAttempt *a) {
        const File *f = a->file;
        const Found *x = &a->found;
        int r;

        if (x->exists && S_ISDIR(x->st.st_mode))
                return then(a, step_inside);
        if (!streq(f->state, "exists")) {
                if (x->exists)
                        return fail(a, -ENOTDIR, "'%s' is something else, and state is not 'exists'", f->target);
                if (*f->source || f->purge)
                        return fail(a, -ENOENT, "'%s' is not there, and state is not 'exists'", f->target);
                return then(a, step_access);
        }
        r = tell_type(a, S_IFDIR, "directory");
        if (r < 0)
                return r;
        if (!a->apply)
                return end_of_looking(a);
        return x->exists ? clear_way(a, step_make_directory, false) : then(a, step_make_directory);
}

/* Nothing is said of what is in it. */
static int look_at_file(FileAttempt *a) {
        const File *f = a->file;
        Found *x = &a->found;
        mode_t mode = 0666;
        int r;

        if (x->exists || !streq(f->state, "exists"))
                return then(a, step_access);
        r = tell_type(a, S_IFREG, "file");
        if (r < 0)
                return r;
        if (!a->apply)
                return end_of_looking(a);
        r = find_where(a);
        if (r < 0)
                return r;
        if (*f->mode)                   /* no more than it shall have, while it has not its owner yet */
                (void) file_mode_parse(f->mode, 0, &mode);
        _cleanup_close_ int fd = openat(x->where.dir_fd, x->where.base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                                        *f->mode ? mode & 0600 : mode);
        if (fd < 0)
                return fail(a, -errno, "cannot create '%s': %m", f->target);
        x->fd = TAKE_FD(fd);
        if (fstat(x->fd, &x->st) < 0)
                return fail(a, -errno, "cannot stat '%s': %m", f->target);
        x->exists = true;
        return then(a, step_access);
}

static int step_make_link(FileAttempt *a) {
        const Found *x = &a->found;
        char name[REPLACEMENT_NAME_MAX];
        int r;

        r = find_where(a);
        if (r < 0)
                return r;
        replacement_name(x->where.base, name);
        (void) unlinkat(x->where.dir_fd, name, 0);
        if (symlinkat(a->file->source, x->where.dir_fd, name) < 0 ||
            renameat(x->where.dir_fd, name, x->where.dir_fd, x->where.base) < 0) {
                r = -errno;
                (void) unlinkat(x->where.dir_fd, name, 0);
                return fail(a, r, "cannot make the link '%s': %m", a->file->target);
        }
        r = find_made(a, O_PATH);
        return r < 0 ? r : then(a, step_access);
}

static int look_at_link(FileAttempt *a) {
        const Found *x = &a->found;
        File *f = a->file;
        char text[PATH_MAX];
        ssize_t n = -1;
        int r;

        if (!streq(f->state, "exists"))
                return then(a, step_access);
        if (has_type(x, S_IFLNK))
                n = readlinkat(x->fd, "", text, sizeof(text));
        if (n >= 0 && (size_t) n == strlen(f->source) && memcmp(text, f->source, (size_t) n) == 0)
                return then(a, step_access);
        r = tell_type(a, S_IFLNK, "symbolic link");
        if (r < 0)
                return r;
        resource_differs_bytes(&f->resource, "source", n >= 0 ? text : NULL, (size_t) MAX(n, 0), f->source, strlen(f->source));
        if (!a->apply)
                return end_of_looking(a);
        return x->exists && !S_ISLNK(x->st.st_mode) ? clear_way(a, step_make_link, false) : then(a, step_make_link);
}

/* ---- the attempt ---- */

static int step_look(FileAttempt *a) {
        const File *f = a->file;
        int r = find(a);

        if (r < 0)
                return r;
        if (streq(f->state, "absent"))
                return look_at_absent(a);
        if (f->symlink)
                return look_at_link(a);
        if (has_content(f))
                return look_at_content(a);
        return path_is_directory(f->target) ? look_at_directory(a) : look_at_file(a);
}

/* Long work says now and then how far it is. */
static void say_progress(const FileAttempt *a) {
        Resource *r = &a->file->resource;

        if (a->tree) {
                FileTreeProgress p = file_tree_progress(a->tree);
                resource_log(r, LOG_INFO, "at work: %" PRIu64 " entries looked at, %" PRIu64 " bytes written so far",
                             p.n_entries, p.n_bytes);
        } else if (a->content.size > 0)
                resource_log(r, LOG_INFO, "at work: %s %" PRIu64 " of %" PRIu64 " bytes so far",
                             a->copy.differs ? "wrote" : "compared", a->copy.at, a->content.size);
}

static int file_attempt_step(void *userdata) {
        FileAttempt *a = userdata;

        if (progress_is_due(&a->progress))
                say_progress(a);
        return a->next(a);
}

/* The result for the host; the attempt is over. */
static int file_attempt_end(FileAttempt *a, int result, Diag *reterr) {
        File *f = a->file;

        if (result == 0)
                result = a->changed ? CHECK_CHANGED : CHECK_OK;
        else if (reterr)
                diag_move(reterr, &a->diag);
        f->attempt = file_attempt_free(a);
        return result;
}

static void on_end(int result, void *userdata) {
        FileAttempt *a = userdata;
        Resource *r = &a->file->resource;
        _cleanup_(diag_done) Diag diag = {};

        result = file_attempt_end(a, result, &diag);
        resource_finish(r, result, &diag);
}

static int file_attempt_run(FileAttempt *a) {
        a->next = step_look;
        return slices_start(&a->slices, a->file->resource.host->event, file_attempt_step, on_end, a);
}

static void on_account(Account *account, int error, Diag *diag, void *userdata) {
        FileAttempt *a = userdata;
        int r = error;

        if (r < 0)
                diag_move(&a->diag, diag);
        else
                r = file_attempt_run(a);
        if (r <= 0)
                on_end(r, a);
}

static bool has_moved(const Resource *r) {
        static const char *const fields[] = { "path", "dirname", "basename", "source", "fragments" };

        for (size_t i = 0; r->received != 0 && i < ELEMENTSOF(fields); i++)
                if (resource_received(r, fields[i]))
                        return true;
        return false;
}

int file_check_apply(Resource *r, bool apply, Diag *reterr) {
        File *f = (File *) r;
        FileAttempt *a;
        int k;

        k = has_moved(r) ? file_move(f, reterr) : 0;
        if (k < 0)
                return k;
        a = f->attempt = file_attempt_new(f, apply);
        if (!a)
                return -ENOMEM;
        k = account_find(&a->account, r, f->owner, f->group, on_account, a, &a->diag);
        if (k == 0)
                return CHECK_PENDING;
        if (k > 0)
                k = file_attempt_run(a);
        return k > 0 ? CHECK_PENDING : file_attempt_end(a, k, reterr);
}

void file_cancel(Resource *r) {
        File *f = (File *) r;

        f->attempt = file_attempt_free(f->attempt);
}
