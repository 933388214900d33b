/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A stack of levels, one for each directory on the way from the top. A level first goes through its source and copies; then through
 * its target and removes what the source does not have. A directory that is to go is a level without a source, which is removed
 * itself at its end. So there is one walk for all of it.
 *
 * Entries are reached through their directory's descriptor and never through a link, so whoever can write in the tree can make us
 * fail, but not lead us out of it. Nothing is removed beyond a mount point. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemons/engine/kinds/file-copy.h"
#include "daemons/engine/kinds/file-tree.h"
#include "daemons/engine/kinds/replacement.h"
#include "daemons/engine/kinds/safe-path.h"

enum {
        DEPTH_MAX = 512,                /* each level holds two descriptors */
        TOLD_MAX = DIFFERENCES_MAX,
};

typedef struct Id {
        dev_t dev;
        ino_t ino;
} Id;

typedef struct Level {
        DIR *source, *target;           /* source is NULL where everything is too much */
        bool cleaning;                  /* the source is through */
        bool doomed;                    /* the directory itself goes in the end */
        size_t path_size;               /* of FileTree.path: that of this directory */
} Level;

struct FileTree {
        Resource *resource;
        char *target;
        bool apply, force;
        char *const *keep;
        size_t n_keep;
        int parent_fd;
        const char *parent_base;
        Id target_id, source_id;
        bool changed;
        unsigned n_told;
        FileTreeProgress progress;

        Level *levels;
        size_t n_levels, capacity_levels;
        StrBuf path;                    /* below target, of the entry under way; each directory ends in a slash */
        bool again;                     /* a directory was in the way of the entry of this name: look at it once more */
        bool told;                      /* that the entry under way differs */
        char name[NAME_MAX + 1];

        bool copying;
        FileCopy copy;
        FileContent content;
        int have_fd;
        char base[NAME_MAX + 1];        /* of copy */
};

static Level *top(FileTree *t) {
        return &t->levels[t->n_levels - 1];
}

static int fail(const FileTree *t, int error, Diag *reterr, const char *what) {
        return resource_error(t->resource, reterr, error, "cannot %s '%s%s': %m", what, t->target, t->path.data ?: "");
}

/* The entry under way is that of this name in the top level. */
static void cut_path(FileTree *t, size_t size) {
        t->path.size = size;
        if (t->path.data)
                t->path.data[size] = '\0';
}

static int set_name(FileTree *t, const char *name) {
        strbuf_puts(&t->path, name);
        return t->path.failed ? -ENOMEM : 0;
}

/* The entry under way is not what it shall be. 1 if that is to be changed, or at least more to be told; 0: enough was said. */
static int differs(FileTree *t, const char *from, const char *to) {
        t->changed = true;
        if (t->n_told < TOLD_MAX && !t->told) {
                t->n_told++;
                resource_differs(t->resource, t->path.data, from, to);
        }
        return t->apply || t->n_told < TOLD_MAX;
}

static Id id_of(const struct stat *st) {
        return (Id) { st->st_dev, st->st_ino };
}

static bool same(Id a, Id b) {
        return a.dev == b.dev && a.ino == b.ino;
}

/* ---- levels ---- */

static DIR *open_directory(int dir_fd, const char *name) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d)
                closep(&fd);
        return d;
}

/* Takes both directories. */
static int push(FileTree *t, DIR *source, DIR *target, bool doomed) {
        if (t->n_levels > 0)
                strbuf_putc(&t->path, '/');
        if (t->path.failed || GROW(t->levels, t->n_levels, t->capacity_levels) < 0) {
                if (source)
                        (void) closedir(source);
                (void) closedir(target);
                return -ENOMEM;
        }
        t->levels[t->n_levels++] = (Level) {
                .source = source,
                .target = target,
                .cleaning = !source,
                .doomed = doomed,
                .path_size = t->path.size,
        };
        return 1;
}

static void close_top(FileTree *t) {
        Level *l = top(t);

        if (l->source)
                (void) closedir(l->source);
        (void) closedir(l->target);
        t->n_levels--;
}

static int too_deep(const FileTree *t, Diag *reterr) {
        return resource_error(t->resource, reterr, -ELOOP, "'%s%s' lies too deep", t->target, t->path.data);
}

/* ---- removing ---- */

static bool is_mount_point(int dir_fd, const char *name) {
        struct statx stx;

        return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &stx) >= 0 && (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* The directory of the entry under way shall go, with all that is in it. */
static int doom(FileTree *t, int dir_fd, const char *name, const struct stat *st, Diag *reterr) {
        if (is_mount_point(dir_fd, name))
                return resource_error(t->resource, reterr, -EBUSY, "'%s%s' is a mount point, and not removed", t->target, t->path.data);
        if (same(id_of(st), t->source_id))
                return resource_error(t->resource, reterr, -EINVAL, "'%s%s' is the source", t->target, t->path.data);
        if (t->n_levels >= DEPTH_MAX)
                return too_deep(t, reterr);
        DIR *d = open_directory(dir_fd, name);
        return d ? push(t, NULL, d, true) : fail(t, -errno, reterr, "open");
}

/* Whether the path, or something below it, is in the list. */
static bool is_kept(const FileTree *t, const char *path) {
        size_t n = strlen(path), low = 0, high = t->n_keep;

        /* All that begin with the path stand together, but "path-x" may stand between "path" and "path/x". */
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (strcmp(t->keep[middle], path) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < t->n_keep && strncmp(t->keep[low], path, n) == 0; low++)
                if (t->keep[low][n] == '\0' || t->keep[low][n] == '/')
                        return true;
        return false;
}

static int remove_entry(FileTree *t, const char *name, const struct stat *st, Diag *reterr) {
        int dir_fd = dirfd(top(t)->target);

        if (S_ISDIR(st->st_mode))
                return doom(t, dir_fd, name, st, reterr);
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return fail(t, -errno, reterr, "remove");
        return 1;
}

/* An entry of the target that the source may not have. */
static int clean_entry(FileTree *t, const char *name, Diag *reterr) {
        const Level *l = top(t);
        struct stat st, source;
        int r;

        if (l->source && fstatat(dirfd(l->source), name, &source, AT_SYMLINK_NOFOLLOW) >= 0)
                return 1;
        if (fstatat(dirfd(l->target), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 1 : fail(t, -errno, reterr, "stat");
        t->progress.n_entries++;
        if (!l->doomed) {
                if (is_kept(t, t->path.data))
                        return 1;
                r = differs(t, file_type_text(&st), "absent");
                if (r == 0 || !t->apply)
                        return r;
        }
        return remove_entry(t, name, &st, reterr);
}

/* ---- copying ---- */

static void end_copy(FileTree *t) {
        file_copy_done(&t->copy);
        file_content_done(&t->content);
        closep(&t->have_fd);
        t->have_fd = -EBADF;
        t->copying = false;
}

static int copy_step(FileTree *t, Diag *reterr) {
        FileCopy *c = &t->copy;
        uint64_t before = c->n_bytes;
        int r = file_copy_step(c, reterr);

        t->progress.n_bytes += c->n_bytes - before;
        if (r > 0)
                return 1;
        if (r == 0 && c->changed && !c->differs) {
                char from[40], to[40];
                (void) snprintf(from, sizeof(from), "%" PRIu64 " bytes", (uint64_t) c->have.st_size);
                (void) snprintf(to, sizeof(to), "%s%" PRIu64 " bytes", (uint64_t) c->have.st_size == c->content->size ? "other " : "",
                                c->content->size);
                r = differs(t, c->have_fd < 0 ? "absent" : from, c->have_fd < 0 ? "file" : to);
                if (r > 0 && t->apply) {
                        file_copy_write(c);
                        return 1;
                }
                end_copy(t);
                return r;
        }
        end_copy(t);
        return r < 0 ? r : 1;
}

/* fd, which is taken, is that of a file of the source. */
static int begin_copy(FileTree *t, int fd, const char *name, Diag *reterr) {
        const Level *l = top(t);
        struct stat st;
        int r;

        r = file_content_take(&t->content, fd);
        if (r < 0)
                return resource_error(t->resource, reterr, r, "the source of '%s%s' is not a regular file", t->target, t->path.data);
        t->have_fd = openat(dirfd(l->target), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (t->have_fd < 0 && errno != ENOENT && errno != ELOOP)
                return fail(t, -errno, reterr, "open");
        if (t->have_fd >= 0 && (fstat(t->have_fd, &st) < 0 || !S_ISREG(st.st_mode)))
                return resource_error(t->resource, reterr, -EEXIST, "'%s%s' is neither a file nor a directory", t->target, t->path.data);
        (void) snprintf(t->base, sizeof(t->base), "%s", name);
        t->copy = (FileCopy) FILE_COPY_INIT;
        t->copy.resource = t->resource;
        t->copy.path = t->path.data;
        t->copy.content = &t->content;
        t->copy.dir_fd = dirfd(l->target);
        t->copy.base = t->base;
        t->copy.have_fd = t->have_fd;
        if (t->have_fd >= 0)
                t->copy.have = st;
        t->copying = true;
        return 1;
}

static int in_the_way(const FileTree *t, const struct stat *st, Diag *reterr) {
        return resource_error(t->resource, reterr, S_ISDIR(st->st_mode) ? -EISDIR : -ENOTDIR,
                              "'%s%s' is %s directory, and force is not set", t->target, t->path.data, S_ISDIR(st->st_mode) ? "a" : "no");
}

static int copy_file(FileTree *t, const char *name, Diag *reterr) {
        const Level *l = top(t);
        struct stat st;
        int r;

        if (is_kept(t, t->path.data))
                return 1;
        if (fstatat(dirfd(l->target), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return fail(t, -errno, reterr, "stat");
        } else if (S_ISDIR(st.st_mode)) {
                if (!t->force)
                        return in_the_way(t, &st, reterr);
                r = differs(t, "directory", "file");
                if (r == 0 || !t->apply)
                        return r;
                t->again = true;
                (void) snprintf(t->name, sizeof(t->name), "%s", name);
                return remove_entry(t, name, &st, reterr);
        } else if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
                return resource_error(t->resource, reterr, -EEXIST, "'%s%s' is neither a file nor a directory", t->target, t->path.data);
        r = safe_open_at(dirfd(l->source), name, O_RDONLY);
        if (r == -ENOENT)               /* gone in the meantime */
                return 1;
        if (r < 0)
                return resource_error(t->resource, reterr, r, "cannot open the source of '%s%s': %m", t->target, t->path.data);
        return begin_copy(t, r, name, reterr);
}

static int make_directory(FileTree *t, int dir_fd, const char *name, mode_t mode, Diag *reterr) {
        if (mkdirat(dir_fd, name, mode & 0777) < 0 && errno != EEXIST)
                return fail(t, -errno, reterr, "make");
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fchmod(fd, mode & 01777) < 0)
                return fail(t, -errno, reterr, "make");
        return 0;
}

static int copy_directory(FileTree *t, const char *name, const struct stat *source, Diag *reterr) {
        int target_fd = dirfd(top(t)->target), source_fd = dirfd(top(t)->source);
        const char *have = "absent";
        struct stat st;
        int r;

        if (same(id_of(source), t->target_id))
                return resource_error(t->resource, reterr, -EINVAL, "'%s' lies in its source", t->target);
        if (fstatat(target_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return fail(t, -errno, reterr, "stat");
        } else if (S_ISDIR(st.st_mode))
                goto descend;
        else if (is_kept(t, t->path.data))
                return 1;
        else if (!t->force)
                return in_the_way(t, &st, reterr);
        else
                have = file_type_text(&st);

        r = differs(t, have, "directory");
        if (r == 0 || !t->apply)
                return r;
        if (!streq(have, "absent")) {
                r = remove_entry(t, name, &st, reterr);
                if (r <= 0)
                        return r;
        }
        r = make_directory(t, target_fd, name, source->st_mode, reterr);
        if (r < 0)
                return r;
descend:
        if (t->n_levels >= DEPTH_MAX)
                return too_deep(t, reterr);
        DIR *from = open_directory(source_fd, name);
        if (!from)
                return resource_error(t->resource, reterr, -errno, "cannot open the source of '%s%s': %m", t->target, t->path.data);
        DIR *to = open_directory(target_fd, name);
        if (!to) {
                r = fail(t, -errno, reterr, "open");
                (void) closedir(from);
                return r;
        }
        return push(t, from, to, false);
}

static int copy_entry(FileTree *t, const char *name, Diag *reterr) {
        struct stat st;

        if (fstatat(dirfd(top(t)->source), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 1 : fail(t, -errno, reterr, "stat the source of");
        t->progress.n_entries++;
        if (S_ISDIR(st.st_mode))
                return copy_directory(t, name, &st, reterr);
        if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
                return copy_file(t, name, reterr);
        return resource_error(t->resource, reterr, -EINVAL, "the source of '%s%s' is neither a file nor a directory", t->target,
                              t->path.data);
}

/* ---- the walk ---- */

/* The next name in a directory that counts: 1, 0 at its end. */
static int next_name(DIR *d, const char **ret) {
        const struct dirent *e;

        do {
                errno = 0;
                e = readdir(d);
                if (!e)
                        return -errno;
        } while (streq(e->d_name, ".") || streq(e->d_name, ".."));
        *ret = e->d_name;
        return 1;
}

/* The directory of the top level is through. */
static int end_level(FileTree *t, Diag *reterr) {
        bool doomed = top(t)->doomed;

        close_top(t);
        if (t->n_levels == 0) {
                if (t->parent_base && unlinkat(t->parent_fd, t->parent_base, AT_REMOVEDIR) < 0 && errno != ENOENT)
                        return fail(t, -errno, reterr, "remove");
                return 0;
        }
        cut_path(t, t->path.size - 1);  /* its slash */
        const char *name = t->path.data + top(t)->path_size;
        if (doomed && unlinkat(dirfd(top(t)->target), name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return fail(t, -errno, reterr, "remove");
        return 1;
}

int file_tree_step(FileTree *t, Diag *reterr) {
        Level *l = top(t);
        const char *name = NULL;
        int r;

        if (t->copying)
                return copy_step(t, reterr);
        cut_path(t, l->path_size);
        if (t->again && !l->doomed) {
                t->again = false;
                t->told = true;
                r = set_name(t, t->name);
                return r < 0 ? r : copy_entry(t, t->name, reterr);
        }
        t->told = false;
        r = next_name(l->cleaning ? l->target : l->source, &name);
        if (r < 0)
                return fail(t, r, reterr, "read");
        if (r == 0 && !l->cleaning) {
                l->cleaning = true;
                return 1;
        }
        if (r == 0)
                return end_level(t, reterr);
        r = set_name(t, name);
        if (r < 0)
                return r;
        return l->cleaning ? clean_entry(t, name, reterr) : copy_entry(t, name, reterr);
}

bool file_tree_changed(const FileTree *t) {
        return t->changed;
}

FileTreeProgress file_tree_progress(const FileTree *t) {
        return t->progress;
}

FileTree *file_tree_free(FileTree *t) {
        if (!t)
                return NULL;

        end_copy(t);
        while (t->n_levels > 0)
                close_top(t);
        free(t->levels);
        strbuf_done(&t->path);
        free(t->target);
        free(t);
        return NULL;
}

static int open_top(FileTree *t, const FileTreeSpec *spec, Diag *reterr) {
        DIR *source = NULL, *target;
        struct stat st;

        if (spec->source) {
                int fd = safe_open(spec->source, O_RDONLY | O_DIRECTORY);
                source = fd < 0 ? NULL : fdopendir(fd);
                if (!source) {
                        int r = resource_error(t->resource, reterr, fd < 0 ? fd : -errno, "cannot open '%s': %m", spec->source);
                        closep(&fd);
                        return r;
                }
                if (fstat(dirfd(source), &st) >= 0)
                        t->source_id = id_of(&st);
        }
        target = open_directory(spec->target_fd, ".");
        if (!target) {
                int r = fail(t, -errno, reterr, "open");
                if (source)
                        (void) closedir(source);
                return r;
        }
        if (fstat(dirfd(target), &st) >= 0)
                t->target_id = id_of(&st);
        return push(t, source, target, false);
}

int file_tree_new(FileTree **ret, const FileTreeSpec *spec, Diag *reterr) {
        _cleanup_(file_tree_freep) FileTree *t = calloc(1, sizeof(FileTree));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (FileTree) {
                .resource = spec->resource,
                .apply = spec->apply,
                .force = spec->force,
                .parent_fd = spec->parent_fd,
                .parent_base = spec->parent_base,
                .keep = spec->keep,
                .n_keep = strv_count(spec->keep),
                .copy = FILE_COPY_INIT,
                .content = FILE_CONTENT_INIT,
                .have_fd = -EBADF,
        };
        if (asprintf(&t->target, "%s%s", spec->target, endswith(spec->target, "/") ? "" : "/") < 0) {
                t->target = NULL;
                return -ENOMEM;
        }
        if (spec->parent_base && is_mount_point(spec->parent_fd, spec->parent_base))
                return resource_error(t->resource, reterr, -EBUSY, "'%s' is a mount point, and not removed", spec->target);
        r = open_top(t, spec, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}
