/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A file, a directory (the path ends in a slash) or a symbolic link.
 *
 * Content is written to a temporary file in the same directory, which gets owner and mode and is then renamed into place, so
 * nobody ever sees half of it. We do not wait for the disk: what a power cut takes away is found missing by the first check
 * after the boot. The temporary file's name follows from the file's, so one that a killed engine left behind is used up by the
 * next write. Where renaming is impossible (the file is a mount point) it is written in place.
 *
 * Symbolic links on the way are followed only if root or we ourselves made them (safe-path.h). */

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/pathwatch.h"
#include "daemons/engine/file-content.h"
#include "daemons/engine/file-mode.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/safe-path.h"

typedef struct File {
        Resource resource;
        char *path, *dirname, *basename;
        char *state;
        Value content;
        char *source;
        char **fragments;
        char *owner, *group, *mode;
        bool recurse, force, symlink;

        char *target;           /* the effective path, as given: with its slash, if it is a directory */
        PathWatch **watches;
        size_t n_watches;
} File;

static const FieldSpec file_fields[] = {
        FIELD(File, path, FIELD_STR, FIELD_IS_NAME, "Where it is. A path that ends in a slash is a directory."),
        FIELD(File, dirname, FIELD_STR, 0, "Replaces the directory part of the path. Must end in a slash."),
        FIELD(File, basename, FIELD_STR, 0, "Replaces the last part of the path."),
        FIELD(File, state, FIELD_STR, 0, "'exists', 'absent', or '' for whatever it is: then it is never created or removed."),
        FIELD(File, content, FIELD_VALUE, FIELD_OPTIONAL, "What is in it.", .mcl_type = "str"),
        FIELD(File, source, FIELD_STR, 0, "A file on this host to copy from; with symlink, what the link says."),
        FIELD(File, fragments, FIELD_STRV, 0, "Files, or directories of files, that make up the content one after another."),
        FIELD(File, owner, FIELD_STR, 0, "Name or number of the user it belongs to."),
        FIELD(File, group, FIELD_STR, 0, "Name or number of the group it belongs to."),
        FIELD(File, mode, FIELD_STR, 0, "Permissions, octal ('0644') or symbolic ('u=rw,go=r')."),
        FIELD(File, recurse, FIELD_BOOL, 0, "Create parents of a directory; remove or watch all that is below it."),
        FIELD(File, force, FIELD_BOOL, 0, "Replace a directory by a file, or the other way round."),
        FIELD(File, symlink, FIELD_BOOL, 0, "It is a symbolic link; source is what the link says."),
        {}
};

/* ---- the path ---- */

/* The length of the directory part of p, with its slash; a slash at the end belongs to the last part. */
static size_t dirname_length(const char *p) {
        size_t n = strlen(p);

        while (n > 1 && p[n - 1] == '/')
                n--;
        while (n > 0 && p[n - 1] != '/')
                n--;
        return streq(p, "/") ? 0 : n;
}

static char *make_target(const File *f) {
        const char *p = *f->path ? f->path : f->resource.name;
        size_t n = dirname_length(p);
        char *target;

        if (asprintf(&target, "%.*s%s", *f->dirname ? (int) strlen(f->dirname) : (int) n, *f->dirname ? f->dirname : p,
                     *f->basename ? f->basename : p + n) < 0)
                return NULL;
        return target;
}

/* Most say their path and nothing else: then nothing needs to be put together, nor freed. */
static const char *peek_target(const File *f, char **ret_free) {
        *ret_free = NULL;
        if (!*f->dirname && !*f->basename)
                return *f->path ? f->path : f->resource.name;
        return *ret_free = make_target(f);
}

static bool is_directory(const char *path) {
        return endswith(path, "/");
}

static bool wants_content(const File *f) {
        return f->content.kind != TYPE_NIL || (!f->symlink && *f->source) || f->fragments;
}

/* ---- validate ---- */

/* Whether path is prefix or lies below it, by whole parts. */
static bool is_inside(const char *path, const char *prefix) {
        size_t n = strlen(prefix);

        while (n > 0 && prefix[n - 1] == '/')
                n--;
        return strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int validate_fragments(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;

        for (char **s = f->fragments; s && *s; s++) {
                if (**s != '/')
                        return resource_error(r, reterr, -EINVAL, "fragment must be an absolute path, got '%s'", *s);
                if (is_inside(target, *s))
                        return resource_error(r, reterr, -EINVAL, "inside a frag (`%s`)", *s);
        }
        return 0;
}

static int validate_target(const Resource *r, const char *target, Diag *reterr) {
        const File *f = (const File *) r;
        bool absent = streq(f->state, "absent"), directory = is_directory(target);
        bool content = f->content.kind != TYPE_NIL;
        mode_t mode;

        if (*target != '/')
                return resource_error(r, reterr, -EINVAL, "path must be absolute, got '%s'", target);
        if (*f->state && !absent && !streq(f->state, "exists"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists', 'absent' or '', got '%s'", f->state);
        if (content + !!*f->source + !!f->fragments > 1)
                return resource_error(r, reterr, -EINVAL, "only one of content, source and fragments can be given");
        if (f->symlink && streq(f->state, "exists") && !*f->source)
                return resource_error(r, reterr, -EINVAL, "a symbolic link needs a source");
        if (f->symlink && (content || f->fragments || f->recurse))
                return resource_error(r, reterr, -EINVAL, "a symbolic link cannot have content, fragments or recurse");
        if (absent && (content || *f->source || f->fragments))
                return resource_error(r, reterr, -EINVAL, "what is absent cannot have content, source or fragments");
        if (absent && (*f->owner || *f->group || *f->mode))
                return resource_error(r, reterr, -EINVAL, "what is absent cannot have owner, group or mode");
        if (directory && (content || f->fragments || f->symlink))
                return resource_error(r, reterr, -EINVAL, "a directory cannot have content, fragments or be a symbolic link");
        if (*f->source && !f->symlink && (directory || is_directory(f->source)))
                return resource_error(r, reterr, -EOPNOTSUPP, "source must be a file, got directory '%s'",
                                      is_directory(f->source) ? f->source : target);
        if (*f->source && !f->symlink && *f->source != '/')
                return resource_error(r, reterr, -EINVAL, "source must be an absolute path, got '%s'", f->source);
        if (*f->source && !f->symlink && f->recurse)
                return resource_error(r, reterr, -EINVAL, "a source that is a file cannot be copied with recurse");
        if (f->symlink && *f->mode)
                return resource_error(r, reterr, -EINVAL, "a symbolic link has no mode");
        if (*f->mode && file_mode_parse(f->mode, 0, &mode) < 0)
                return resource_error(r, reterr, -EINVAL, "mode must be octal ('0644') or symbolic with '=' ('u=rw,go=r'), got '%s'",
                                      f->mode);
        if (r->meta.reverse && (directory || *f->source || f->symlink))
                return resource_error(r, reterr, -EINVAL, "Meta:reverse works with neither directories nor links nor source");
        return validate_fragments(r, target, reterr);
}

static int file_validate(const Resource *r, Diag *reterr) {
        const File *f = (const File *) r;
        _cleanup_free_ char *made = NULL;

        if (*f->dirname && !is_directory(f->dirname))
                return resource_error(r, reterr, -EINVAL, "dirname must end in a slash, got '%s'", f->dirname);
        if (*f->basename == '/')
                return resource_error(r, reterr, -EINVAL, "basename must not begin with a slash, got '%s'", f->basename);
        const char *target = peek_target(f, &made);
        if (!target)
                return -ENOMEM;
        return validate_target(r, target, reterr);
}

/* ---- watch ---- */

static int file_prepare(Resource *r, Diag *reterr) {
        File *f = (File *) r;

        free(f->target);
        f->target = make_target(f);
        return f->target ? 0 : -ENOMEM;
}

static void file_unwatch(Resource *r) {
        File *f = (File *) r;

        for (size_t i = 0; i < f->n_watches; i++)
                path_watch_free(f->watches[i]);
        free(f->watches);
        f->watches = NULL;
        f->n_watches = 0;
}

static int add_watch(File *f, const char *path, bool recurse, Diag *reterr) {
        int r = path_watch_new(&f->watches[f->n_watches], local_host_paths(&f->resource), path, recurse ? PATH_WATCH_RECURSIVE : 0,
                               local_host_path_changed, f);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot watch '%s': %m", path);
        f->n_watches++;
        return 0;
}

static int file_watch(Resource *r, Diag *reterr) {
        File *f = (File *) r;
        int k;

        f->watches = calloc(2 + strv_count(f->fragments), sizeof(*f->watches));
        if (!f->watches)
                return resource_error(r, reterr, -ENOMEM, "cannot watch: %m");
        k = add_watch(f, f->target, f->recurse, reterr);
        if (k >= 0 && *f->source && !f->symlink)
                k = add_watch(f, f->source, false, reterr);
        for (char **s = f->fragments; k >= 0 && s && *s; s++)
                k = add_watch(f, *s, false, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

/* ---- what is there ---- */

/* The object at the path. dir and base say where it is or would be; they are looked up only when something is to be changed,
 * or the plain way did not find it. */
typedef struct Found {
        bool exists;
        bool renewed;           /* it was replaced meanwhile, with owner and mode as wanted */
        int fd;                 /* of the object, to read from if it was opened so; owned */
        struct stat st;
        SafePath where;
} Found;

#define FOUND_INIT { .fd = -EBADF, .where = SAFE_PATH_INIT }

static void found_done(Found *x) {
        closep(&x->fd);
        safe_path_done(&x->where);
}

static int found_where(const File *f, Found *x, Diag *reterr) {
        int r;

        if (x->where.base)
                return 0;
        r = safe_path_find(f->target, !f->symlink && !streq(f->state, "absent"), &x->where);
        if (r == -EPERM)
                return resource_error(&f->resource, reterr, r,
                                      "'%s' leads over a symbolic link that is not trusted: neither root nor we made it", f->target);
        return r < 0 ? resource_error(&f->resource, reterr, r, "cannot find the directory of '%s': %m", f->target) : 0;
}

static bool is_missing(int error) {
        return error == -ENOENT || error == -ENOTDIR;
}

static int find(const File *f, bool read, Found *x, Diag *reterr) {
        bool link = f->symlink || streq(f->state, "absent");
        int r;

        found_done(x);
        *x = (Found) FOUND_INIT;
        if (link) {
                /* The thing itself, never what it points to. */
                r = safe_path_find(f->target, false, &x->where);
                if (r >= 0 && (r = openat(x->where.dir_fd, x->where.base, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
                        r = -errno;
        } else {
                r = safe_open(f->target, read ? O_RDONLY : O_PATH);
                /* "x/" of a file x says so; it is ours to replace, if force is given. */
                if (r == -ENOTDIR && is_directory(f->target)) {
                        _cleanup_free_ char *bare = strndup(f->target, strlen(f->target) - 1);
                        if (!bare)
                                return -ENOMEM;
                        r = safe_open(bare, O_PATH);
                }
                if (r == -ENXIO || r == -EISDIR)        /* a socket, say: only looked at */
                        r = safe_open(f->target, O_PATH);
        }
        if (is_missing(r))
                return 0;
        if (r == -EPERM)
                return found_where(f, x, reterr);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot open '%s': %m", f->target);
        x->fd = r;
        if (fstat(x->fd, &x->st) < 0)
                return resource_error(&f->resource, reterr, -errno, "cannot stat '%s': %m", f->target);
        x->exists = true;
        return 0;
}

/* ---- owner and mode ---- */

typedef struct Access {
        uid_t uid;              /* (uid_t) -1: as it is */
        gid_t gid;
        mode_t mode;
        bool has_mode;
} Access;

static bool parse_number(const char *s, unsigned long *ret) {
        char *end;

        errno = 0;
        *ret = strtoul(s, &end, 10);
        return *s >= '0' && *s <= '9' && *end == '\0' && errno == 0 && *ret < UINT32_MAX;
}

static int find_user(const File *f, uid_t *ret, Diag *reterr) {
        unsigned long n;
        const struct passwd *p = parse_number(f->owner, &n) ? getpwuid((uid_t) n) : NULL;

        if (!p)
                p = getpwnam(f->owner);
        if (!p)
                return resource_error(&f->resource, reterr, -ESRCH, "there is no user '%s'", f->owner);
        *ret = p->pw_uid;
        return 0;
}

static int find_group(const File *f, gid_t *ret, Diag *reterr) {
        unsigned long n;
        const struct group *g = parse_number(f->group, &n) ? getgrgid((gid_t) n) : NULL;

        if (!g)
                g = getgrnam(f->group);
        if (!g)
                return resource_error(&f->resource, reterr, -ESRCH, "there is no group '%s'", f->group);
        *ret = g->gr_gid;
        return 0;
}

static int wanted_access(const File *f, const Found *x, Access *ret, Diag *reterr) {
        *ret = (Access) { .uid = (uid_t) -1, .gid = (gid_t) -1 };
        int r = 0;

        if (*f->owner)
                r = find_user(f, &ret->uid, reterr);
        if (r >= 0 && *f->group)
                r = find_group(f, &ret->gid, reterr);
        if (r >= 0 && *f->mode) {
                ret->has_mode = true;
                r = file_mode_parse(f->mode, x->exists ? x->st.st_mode : 0, &ret->mode);
        }
        return r;
}

/* Owner before mode: a change of owner takes the set-user-id bit away. */
static int set_access(const File *f, int fd, const Access *a, Diag *reterr) {
        char proc[64];

        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
        if ((a->uid != (uid_t) -1 || a->gid != (gid_t) -1) && fchownat(fd, "", a->uid, a->gid, AT_EMPTY_PATH) < 0)
                return resource_error(&f->resource, reterr, -errno, "cannot change the owner of '%s': %m", f->target);
        if (a->has_mode && fchmod(fd, a->mode) < 0 && (errno != EBADF || chmod(proc, a->mode) < 0))     /* EBADF: O_PATH */
                return resource_error(&f->resource, reterr, -errno, "cannot change the mode of '%s': %m", f->target);
        return 0;
}

/* As the program speaks of it: by number or by name. */
static void owner_text(const char *wanted, uid_t uid, char *ret, size_t size) {
        unsigned long n;
        const struct passwd *p = parse_number(wanted, &n) ? NULL : getpwuid(uid);

        if (p)
                (void) snprintf(ret, size, "%s", p->pw_name);
        else
                (void) snprintf(ret, size, "%u", uid);
}

static void group_text(const char *wanted, gid_t gid, char *ret, size_t size) {
        unsigned long n;
        const struct group *g = parse_number(wanted, &n) ? NULL : getgrgid(gid);

        if (g)
                (void) snprintf(ret, size, "%s", g->gr_name);
        else
                (void) snprintf(ret, size, "%u", gid);
}

static void tell_access(File *f, const Found *x, const Access *a) {
        char from[256], to[8];

        if (*f->owner && (!x->exists || a->uid != x->st.st_uid)) {
                owner_text(f->owner, x->st.st_uid, from, sizeof(from));
                resource_differs(&f->resource, "owner", x->exists ? from : NULL, f->owner);
        }
        if (*f->group && (!x->exists || a->gid != x->st.st_gid)) {
                group_text(f->group, x->st.st_gid, from, sizeof(from));
                resource_differs(&f->resource, "group", x->exists ? from : NULL, f->group);
        }
        if (*f->mode && (!x->exists || a->mode != (x->st.st_mode & 07777))) {
                (void) snprintf(from, sizeof(from), "%04o", x->st.st_mode & 07777);
                (void) snprintf(to, sizeof(to), "%04o", a->mode & 07777);
                resource_differs(&f->resource, "mode", x->exists ? from : NULL, to);
        }
}

static int check_access(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        Access a;
        int r;

        if (x->renewed || (!*f->owner && !*f->group && !*f->mode))
                return 0;
        if (!x->exists) {
                if (*changed) {         /* it would be made */
                        r = wanted_access(f, x, &a, reterr);
                        if (r >= 0)
                                tell_access(f, x, &a);
                        return r;
                }
                return resource_error(&f->resource, reterr, -ENOENT, "'%s' is not there, and state is not 'exists'", f->target);
        }
        r = wanted_access(f, x, &a, reterr);
        if (r < 0)
                return r;
        if ((a.uid == (uid_t) -1 || a.uid == x->st.st_uid) && (a.gid == (gid_t) -1 || a.gid == x->st.st_gid) &&
            (!a.has_mode || a.mode == (x->st.st_mode & 07777)))
                return 0;
        *changed = true;
        tell_access(f, x, &a);
        return apply ? set_access(f, x->fd, &a, reterr) : 0;
}

/* ---- content ---- */

/* What must not outlive the content it was given to: capabilities, checksums. */
static bool is_lasting_attribute(const char *name) {
        return startswith(name, "user.") || streq(name, "system.posix_acl_access") || streq(name, "security.selinux");
}

/* Attributes of the file that is replaced go to the new one, as far as the file system lets us. */
static void copy_attributes(int from, int to) {
        char names[4096], value[4096];
        ssize_t n = flistxattr(from, names, sizeof(names));

        for (ssize_t i = 0; i < n; i += (ssize_t) strlen(names + i) + 1) {
                ssize_t k = is_lasting_attribute(names + i) ? fgetxattr(from, names + i, value, sizeof(value)) : -1;
                if (k >= 0)
                        (void) fsetxattr(to, names + i, value, (size_t) k, 0);
        }
}

/* Always the same for one file, and short enough whatever its name is. */
static void temporary_name(const char *base, char *ret, size_t size) {
        uint64_t hash = UINT64_C(14695981039346656037);

        for (const char *p = base; *p; p++)
                hash = (hash ^ (uint8_t) *p) * UINT64_C(1099511628211);
        (void) snprintf(ret, size, ".mgmt-%016" PRIx64, hash);
}

static int create_temporary(int dir_fd, const char *name) {
        for (int attempt = 0; attempt < 2; attempt++) {
                int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd >= 0)
                        return fd;
                if (errno != EEXIST)
                        return -errno;
                (void) unlinkat(dir_fd, name, 0);
        }
        return -EEXIST;
}

static mode_t current_umask(void) {
        mode_t mask = umask(0);

        (void) umask(mask);
        return mask;
}

/* Owner and mode of what is to be written: as wanted, else as they were, else as open() would make them. */
static int new_access(const File *f, const Found *x, const FileContent *c, Access *ret, Diag *reterr) {
        int r = wanted_access(f, x, ret, reterr);
        if (r < 0)
                return r;
        if (x->exists && ret->uid == (uid_t) -1 && x->st.st_uid != geteuid())
                ret->uid = x->st.st_uid;
        if (x->exists && ret->gid == (gid_t) -1 && x->st.st_gid != getegid())
                ret->gid = x->st.st_gid;
        if (!ret->has_mode)
                ret->mode = c->fd >= 0 ? c->mode : x->exists ? x->st.st_mode & 07777 : 0666 & ~current_umask();
        ret->has_mode = true;
        return 0;
}

static int write_in_place(const File *f, const Found *x, const FileContent *c, Diag *reterr) {
        _cleanup_close_ int fd = openat(x->where.dir_fd, x->where.base, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
        int r = fd < 0 ? -errno : file_content_write(fd, c);

        return r < 0 ? resource_error(&f->resource, reterr, r, "cannot write '%s' in place: %m", f->target) : 0;
}

static int replace_content(File *f, Found *x, const FileContent *c, Diag *reterr) {
        char temporary[32];
        Access a;
        int r;

        r = found_where(f, x, reterr);
        if (r < 0)
                return r;
        r = new_access(f, x, c, &a, reterr);
        if (r < 0)
                return r;
        tell_access(f, x, &a);

        temporary_name(x->where.base, temporary, sizeof(temporary));
        _cleanup_close_ int fd = create_temporary(x->where.dir_fd, temporary);
        if (fd < 0)
                return resource_error(&f->resource, reterr, fd, "cannot write beside '%s': %m", f->target);
        r = file_content_write(fd, c);
        if (r < 0)
                (void) resource_error(&f->resource, reterr, r, "cannot write '%s': %m", f->target);
        if (r >= 0 && x->exists && S_ISREG(x->st.st_mode))
                copy_attributes(x->fd, fd);
        if (r >= 0)
                r = set_access(f, fd, &a, reterr);
        if (r >= 0 && renameat(x->where.dir_fd, temporary, x->where.dir_fd, x->where.base) < 0) {
                r = -errno;
                if (r == -EBUSY)
                        r = write_in_place(f, x, c, reterr);
                else
                        (void) resource_error(&f->resource, reterr, r, "cannot put '%s' in place: %m", f->target);
                (void) unlinkat(x->where.dir_fd, temporary, 0);
        } else if (r < 0)
                (void) unlinkat(x->where.dir_fd, temporary, 0);
        return r;
}

/* ---- what is in the way, or not there ---- */

static const char *found_type(const Found *x) {
        if (!x->exists)
                return "absent";
        return S_ISDIR(x->st.st_mode) ? "directory" : S_ISLNK(x->st.st_mode) ? "symbolic link" : S_ISREG(x->st.st_mode) ? "file" :
               "special file";
}

static bool has_type(const Found *x, mode_t type) {
        return x->exists && (x->st.st_mode & S_IFMT) == type;
}

/* There shall be something of this type: what stands for that now must be allowed to go. */
static int tell_type(File *f, const Found *x, mode_t type, const char *word, Diag *reterr) {
        if (has_type(x, type))
                return 0;
        resource_differs(&f->resource, "state", found_type(x), word);
        if (x->exists && !f->force)
                return resource_error(&f->resource, reterr, S_ISDIR(x->st.st_mode) ? -EISDIR : -EEXIST,
                                      "'%s' is something else, and force is not set", f->target);
        return 0;
}

/* If it would be made, its directory has to be there, or be made before. */
static int check_place(const File *f, Found *x, Diag *reterr) {
        if (x->exists || f->recurse)
                return 0;
        return found_where(f, x, reterr);
}

/* Something of another kind is in the way, and may go. */
static int clear_way(const File *f, Found *x, Diag *reterr) {
        int r;

        r = found_where(f, x, reterr);
        if (r < 0)
                return r;
        if (streq(x->where.base, ".") || streq(x->where.base, ".."))
                return resource_error(&f->resource, reterr, -EINVAL, "'%s' is not to be removed", f->target);
        r = S_ISDIR(x->st.st_mode) ? safe_remove_tree(x->where.dir_fd, x->where.base)
                                   : unlinkat(x->where.dir_fd, x->where.base, 0) < 0 ? -errno : 0;
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot remove '%s': %m", f->target);
        x->exists = false;
        closep(&x->fd);
        x->fd = -EBADF;
        return 0;
}

static int check_content(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        _cleanup_(file_content_done) FileContent c = FILE_CONTENT_INIT;
        int r;

        if (!x->exists && !streq(f->state, "exists"))
                return resource_error(&f->resource, reterr, -ENOENT, "'%s' is not there, and state is not 'exists'", f->target);
        r = file_content_get(&f->resource, f->content, f->source, f->fragments, &c, reterr);
        if (r < 0)
                return r;
        if (x->exists && S_ISREG(x->st.st_mode)) {
                r = (size_t) x->st.st_size == c.size ? file_content_matches(x->fd, &c) : 0;
                if (r < 0)
                        return resource_error(&f->resource, reterr, r, "cannot read '%s': %m", f->target);
                if (r > 0)
                        return 0;
        } else if (x->exists && !S_ISDIR(x->st.st_mode))
                return resource_error(&f->resource, reterr, -EEXIST, "'%s' is neither a file nor a directory", f->target);

        *changed = true;
        r = tell_type(f, x, S_IFREG, "file", reterr);
        if (r < 0)
                return r;
        file_content_differs(&f->resource, has_type(x, S_IFREG) ? x->fd : -EBADF, (size_t) x->st.st_size, &c);
        if (!apply)
                return 0;
        if (x->exists && S_ISDIR(x->st.st_mode)) {
                r = clear_way(f, x, reterr);
                if (r < 0)
                        return r;
        }
        x->renewed = true;
        return replace_content(f, x, &c, reterr);
}

/* ---- state ---- */

static int remove_it(const File *f, const Found *x, Diag *reterr) {
        int r;

        if (streq(x->where.base, ".") || streq(x->where.base, ".."))
                return resource_error(&f->resource, reterr, -EINVAL, "'%s' is not to be removed", f->target);
        if (f->recurse)
                r = safe_remove_tree(x->where.dir_fd, x->where.base);
        else
                r = unlinkat(x->where.dir_fd, x->where.base, S_ISDIR(x->st.st_mode) ? AT_REMOVEDIR : 0) < 0 ? -errno : 0;
        return r < 0 && r != -ENOENT ? resource_error(&f->resource, reterr, r, "cannot remove '%s': %m", f->target) : 0;
}

/* Makes the directory, and with recurse those above it that are missing. */
static int make_it(const File *f, Found *x, mode_t mode, Diag *reterr) {
        int r;

        if (f->recurse) {
                _cleanup_free_ char *parent = strndup(f->target, dirname_length(f->target));
                r = parent ? make_directories(parent, mode) : -ENOMEM;
                if (r < 0)
                        return resource_error(&f->resource, reterr, r, "cannot make the directories above '%s': %m", f->target);
        }
        r = found_where(f, x, reterr);
        if (r < 0)
                return r;
        if (mkdirat(x->where.dir_fd, x->where.base, mode) < 0 && errno != EEXIST)
                return resource_error(&f->resource, reterr, -errno, "cannot make '%s': %m", f->target);
        return 0;
}

static int check_directory(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        mode_t mode = 0777;
        int r;

        if (x->exists && S_ISDIR(x->st.st_mode))
                return 0;
        *changed = true;
        r = tell_type(f, x, S_IFDIR, "directory", reterr);
        if (r < 0)
                return r;
        if (!apply)
                return 0;
        if (x->exists) {
                r = clear_way(f, x, reterr);
                if (r < 0)
                        return r;
        }
        if (*f->mode)
                (void) file_mode_parse(f->mode, 0, &mode);
        r = make_it(f, x, mode, reterr);
        return r < 0 ? r : find(f, false, x, reterr);
}

static int check_empty(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        int r;

        if (x->exists)
                return 0;
        *changed = true;
        resource_differs(&f->resource, "state", "absent", "file");
        if (!apply)
                return 0;
        r = found_where(f, x, reterr);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = openat(x->where.dir_fd, x->where.base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (fd < 0)
                return resource_error(&f->resource, reterr, -errno, "cannot create '%s': %m", f->target);
        return find(f, false, x, reterr);
}

static int check_symlink(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        char text[PATH_MAX];
        ssize_t n = -1;
        int r;

        if (has_type(x, S_IFLNK)) {
                n = readlinkat(x->fd, "", text, sizeof(text) - 1);
                if (n >= 0 && (size_t) n == strlen(f->source) && memcmp(text, f->source, (size_t) n) == 0)
                        return 0;
        }
        *changed = true;
        r = tell_type(f, x, S_IFLNK, "symbolic link", reterr);
        if (r < 0)
                return r;
        resource_differs_bytes(&f->resource, "source", n >= 0 ? text : NULL, (size_t) MAX(n, 0), f->source, strlen(f->source));
        if (!apply)
                return 0;
        if (x->exists && !S_ISLNK(x->st.st_mode)) {
                r = clear_way(f, x, reterr);
                if (r < 0)
                        return r;
        }

        char temporary[32];
        r = found_where(f, x, reterr);
        if (r < 0)
                return r;
        temporary_name(x->where.base, temporary, sizeof(temporary));
        (void) unlinkat(x->where.dir_fd, temporary, 0);
        if (symlinkat(f->source, x->where.dir_fd, temporary) < 0 ||
            renameat(x->where.dir_fd, temporary, x->where.dir_fd, x->where.base) < 0) {
                r = -errno;
                (void) unlinkat(x->where.dir_fd, temporary, 0);
                return resource_error(&f->resource, reterr, r, "cannot make the link '%s': %m", f->target);
        }
        return find(f, false, x, reterr);
}

static int check_all(File *f, bool apply, Found *x, bool *changed, Diag *reterr) {
        bool exists = streq(f->state, "exists");
        int r;

        r = find(f, wants_content(f), x, reterr);
        if (r < 0)
                return r;
        if (streq(f->state, "absent")) {
                *changed = x->exists;
                if (x->exists)
                        resource_differs(&f->resource, "state", found_type(x), "absent");
                return x->exists && apply ? remove_it(f, x, reterr) : 0;
        }

        if (f->symlink)
                r = exists ? check_symlink(f, apply, x, changed, reterr) : 0;
        else if (wants_content(f))
                r = check_content(f, apply, x, changed, reterr);
        else if (is_directory(f->target))
                r = exists ? check_directory(f, apply, x, changed, reterr) : 0;
        else
                r = exists ? check_empty(f, apply, x, changed, reterr) : 0;
        if (r >= 0)
                r = check_access(f, apply, x, changed, reterr);
        return r < 0 || apply || !*changed ? r : check_place(f, x, reterr);
}

static int file_check_apply(Resource *r, bool apply, Diag *reterr) {
        File *f = (File *) r;
        _cleanup_(found_done) Found x = FOUND_INIT;
        bool changed = false;
        int k;

        if (resource_received(r, "path") || resource_received(r, "dirname") || resource_received(r, "basename")) {
                k = file_prepare(r, reterr);
                if (k < 0)
                        return k;
        }
        k = check_all(f, apply, &x, &changed, reterr);
        if (k < 0)
                return k;
        return changed ? CHECK_CHANGED : CHECK_OK;
}

/* ---- autoedge ---- */

static int file_uids(const Resource *r, ResourceUids *ret) {
        _cleanup_free_ char *made = NULL;
        const char *target = peek_target((const File *) r, &made);

        return target ? resource_uids_add(ret, "file", target, false) : -ENOMEM;
}

/* The directories above, from the nearest up; and in the first batch the fragments. A file with fragments asks for all of it at
 * once, because a match ends the asking. */
static int file_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const File *f = (const File *) r;
        _cleanup_free_ char *made = NULL, *parent = NULL;
        const char *target = peek_target(f, &made);
        int k = 0;

        if (!target || !(parent = strdup(target)))
                return -ENOMEM;
        if (f->fragments && batch > 0)
                return 0;
        for (char **s = f->fragments; s && *s && k >= 0; s++)
                k = resource_uids_add(ret, "file", *s, false);
        for (unsigned i = 0; k >= 0; i++) {
                parent[dirname_length(parent)] = '\0';
                if (!*parent)
                        break;
                if (f->fragments || i == batch)
                        k = resource_uids_add(ret, "file", parent, false);
                if (!f->fragments && i == batch)
                        break;
        }
        return k;
}

/* ---- reversal ---- */

enum { UNDO_MAX = 16 * 1024 * 1024 };   /* bytes of content that are kept */

static int undo_str(Resource *undo, const char *field, const char *s, Diag *reterr) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r = value_strz(&v, s);

        return r < 0 ? r : resource_set(undo, field, v, reterr);
}

/* What is in the file now; nothing if it is not there. */
static int undo_content(const File *f, Resource *undo, Diag *reterr) {
        _cleanup_close_ int fd = safe_open(f->target, O_RDONLY);
        _cleanup_(value_done) Value v = VALUE_NIL;
        _cleanup_free_ char *text = NULL;
        char proc[64];
        size_t size;
        struct stat st;
        int r;

        if (is_missing(fd))
                return 0;
        if (fd < 0)
                return resource_error(&f->resource, reterr, fd, "cannot open '%s': %m", f->target);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
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

/* Owner and mode as they are, as far as they were asked for. */
static int undo_access(const File *f, const struct stat *st, Resource *undo, Diag *reterr) {
        char owner[16] = "", group[16] = "", mode[16] = "";
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
        return r < 0 ? r : undo_str(undo, "mode", mode, reterr);
}

/* What was to exist shall not, and what was to be absent shall be as it is now. */
static int file_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        const File *f = (const File *) r;
        bool exists = streq(f->state, "exists"), absent = streq(f->state, "absent");
        _cleanup_(resource_freep) Resource *undo = NULL;
        _cleanup_(found_done) Found x = FOUND_INIT;
        int k;

        k = find(f, false, &x, reterr);
        if (k < 0)
                return k;
        if (!exists && !x.exists)
                return 0;
        k = resource_copy(&undo, r);
        if (k >= 0)
                k = resource_set(undo, "content", VALUE_NIL, reterr);
        if (k >= 0)
                k = undo_str(undo, "source", "", reterr);
        if (k >= 0) {
                _cleanup_(value_done) Value none = VALUE_NIL;
                k = value_list_from_strv(&none, NULL);
                if (k >= 0)
                        k = resource_set(undo, "fragments", none, reterr);
        }
        if (k >= 0)
                k = undo_str(undo, "state", exists ? "absent" : absent ? "exists" : "", reterr);
        if (k >= 0)
                k = undo_access(f, exists ? NULL : &x.st, undo, reterr);
        if (k >= 0 && !f->symlink && (absent || (!exists && wants_content(f))))
                k = undo_content(f, undo, reterr);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(undo);
        return 0;
}

static void file_done(Resource *r) {
        File *f = (File *) r;

        file_unwatch(r);
        free(f->target);
}

const ResourceType file_type = {
        .kind = "file",
        .doc = "A file, a directory or a symbolic link.",
        .example = "file \"/etc/motd\" {\n"
                   "\tstate => \"exists\",\n"
                   "\tcontent => \"welcome\\n\",\n"
                   "\tmode => \"0644\",\n"
                   "}\n",
        .size = sizeof(File),
        .flags = RESOURCE_RECEIVES,
        .fields = file_fields,
        .done = file_done,
        .validate = file_validate,
        .prepare = file_prepare,
        .watch = file_watch,
        .unwatch = file_unwatch,
        .check_apply = file_check_apply,
        .uids = file_uids,
        .wants = file_wants,
        .first_match_ends = true,
        .reverse = file_reverse,
};
