/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The walk goes from directory to directory by file descriptor, so nobody can exchange a part of the path between looking at it
 * and using it. */

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemons/engine/kinds/safe-path.h"

enum { LINKS_MAX = 40 };        /* as the kernel has it */

static int open_without_links(const char *path, int flags) {
        struct open_how how = { .flags = (uint64_t) flags, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
        long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        return fd < 0 ? -errno : (int) fd;
}

static int check_link(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        return st.st_uid == 0 || st.st_uid == geteuid() ? 0 : -EPERM;
}

/* What the link fd (O_PATH) points to, followed by the rest of the path it stood in. */
static int splice_link(int fd, const char *rest, char **ret) {
        char target[PATH_MAX];
        int r;

        r = check_link(fd);
        if (r < 0)
                return r;
        ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        if (asprintf(ret, "%s%s%s", target, *rest ? "/" : "", rest) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return strlen(*ret) >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The next part of *path: 1 and its text, 0 at the end. "." is passed over. */
static int next_part(const char **path, char part[static NAME_MAX + 1]) {
        const char *p = *path;

        for (;;) {
                p += strspn(p, "/");
                size_t n = strcspn(p, "/");
                if (n == 0)
                        return 0;
                if (n > NAME_MAX)
                        return -ENAMETOOLONG;
                memcpy(part, p, n);
                part[n] = '\0';
                p += n;
                *path = p;
                if (!streq(part, "."))
                        return 1;
        }
}

/* The same, with "." where nothing is left. */
static int next_part_or_dot(const char **path, char part[static NAME_MAX + 1]) {
        int r = next_part(path, part);

        if (r == 0)
                memcpy(part, ".", 2);
        return r;
}

/* Two calls where no part of the path is a link; then it is what the walk would find. 0 if the walk must decide. */
static int find_without_links(const char *path, bool follow, SafePath *ret) {
        const char *slash = strrchr(path, '/');
        char dir[PATH_MAX];
        struct stat st;

        if (!slash || !slash[1] || streq(slash + 1, ".") || streq(slash + 1, "..") || (size_t) (slash - path) + 1 >= sizeof(dir))
                return 0;
        memcpy(dir, path, (size_t) (slash - path) + 1);
        dir[slash - path + 1] = '\0';
        _cleanup_close_ int fd = open_without_links(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return 0;
        if (follow && fstatat(fd, slash + 1, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISLNK(st.st_mode))
                return 0;
        ret->base = strdup(slash + 1);
        if (!ret->base)
                return -ENOMEM;
        ret->dir_fd = TAKE_FD(fd);
        return 1;
}

/* A directory that somebody else makes at the same time is as good. */
static int make_directory(int dir, const char *name, mode_t mode) {
        if (mkdirat(dir, name, mode) < 0 && errno != EEXIST)
                return -errno;
        int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

typedef struct Walk {
        int dir;                        /* where we are; owned */
        const char *rest;               /* what comes after part */
        char *spliced;                  /* what rest points into since the first link; owned */
        char part[NAME_MAX + 1];
        unsigned n_links;
} Walk;

static void walk_done(Walk *w) {
        closep(&w->dir);
        free(w->spliced);
}

static int walk_to(Walk *w, int dir) {
        if (dir < 0)
                return -errno;
        closep(&w->dir);
        w->dir = dir;
        return 0;
}

static int walk_to_root(Walk *w) {
        return walk_to(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* What the part is; *ret_fd is negative if it is not there, which only the last one need not be. make as of walk(). */
static int walk_look(Walk *w, bool last, const mode_t *make, int *ret_fd, struct stat *ret) {
        _cleanup_close_ int fd = openat(w->dir, w->part, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT && !last && make) {
                fd = make_directory(w->dir, w->part, *make);
                if (fd < 0)
                        return fd;
        }
        if (fd < 0 && (errno != ENOENT || !last))
                return -errno;
        if (fd >= 0 && fstat(fd, ret) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

/* What the link (O_PATH) points to comes first, and then what is left. */
static int walk_link(Walk *w, int link) {
        char *joined;
        int r;

        if (++w->n_links > LINKS_MAX)
                return -ELOOP;
        r = splice_link(link, w->rest, &joined);
        if (r < 0)
                return r;
        free(w->spliced);
        w->rest = w->spliced = joined;
        return *joined == '/' ? walk_to_root(w) : 0;
}

/* make: the mode of directories that are to be made, or NULL. */
static int walk(const char *path, bool follow, const mode_t *make, SafePath *ret) {
        _cleanup_(walk_done) Walk w = { .dir = -EBADF, .rest = path };
        int r = walk_to_root(&w);

        while (r >= 0 && (r = next_part_or_dot(&w.rest, w.part)) >= 0) {
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                w.rest += strspn(w.rest, "/");
                bool last = *w.rest == '\0';
                r = walk_look(&w, last, make, &fd, &st);
                if (r < 0)
                        return r;
                if (fd >= 0 && S_ISLNK(st.st_mode) && (!last || follow))
                        r = walk_link(&w, fd);
                else if (last) {
                        ret->base = strdup(w.part);
                        if (!ret->base)
                                return -ENOMEM;
                        ret->dir_fd = TAKE_FD(w.dir);
                        return 0;
                } else
                        r = S_ISDIR(st.st_mode) ? walk_to(&w, TAKE_FD(fd)) : -ENOTDIR;
        }
        return r;
}

int safe_path_find(const char *path, bool follow, SafePath *ret) {
        if (path[0] != '/')
                return -EINVAL;
        int r = find_without_links(path, follow, ret);
        return r != 0 ? MIN(r, 0) : walk(path, follow, NULL, ret);
}

int safe_path_make(const char *path, mode_t mode, SafePath *ret) {
        return path[0] == '/' ? walk(path, true, &mode, ret) : -EINVAL;
}

void safe_path_done(SafePath *p) {
        closep(&p->dir_fd);
        p->dir_fd = -EBADF;
        free(p->base);
        p->base = NULL;
}

static int safe_flags(int flags) {
        return flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK);
}

int safe_open_direct(const char *path, int flags) {
        return open_without_links(path, safe_flags(flags));
}

int safe_open(const char *path, int flags) {
        _cleanup_(safe_path_done) SafePath p = SAFE_PATH_INIT;
        int r;

        flags = safe_flags(flags);
        r = open_without_links(path, flags);
        if (r != -ELOOP && r != -ENOSYS && r != -EPERM)
                return r;
        r = safe_path_find(path, true, &p);
        if (r < 0)
                return r;
        r = openat(p.dir_fd, p.base, flags | O_NOFOLLOW);
        return r < 0 ? -errno : r;
}

/* What the link of this name in a directory points to. */
static int open_through_link(int dir_fd, const char *name, int flags) {
        _cleanup_close_ int link = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_free_ char *text = NULL, *path = NULL;
        char proc[32], dir[PATH_MAX];
        int r;

        if (link < 0)
                return -errno;
        r = splice_link(link, "", &text);
        if (r < 0)
                return r;
        if (*text == '/')
                return safe_open(text, flags);
        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", dir_fd);
        ssize_t n = readlink(proc, dir, sizeof(dir) - 1);
        if (n < 0)
                return -errno;
        dir[n] = '\0';
        if (asprintf(&path, "%s/%s", dir, text) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return safe_open(path, flags);
}

int safe_open_at(int dir_fd, const char *name, int flags) {
        int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd >= 0)
                return fd;
        return errno == ELOOP ? open_through_link(dir_fd, name, flags) : -errno;
}

bool safe_path_is_shared(int dir_fd) {
        struct stat st;

        return fstat(dir_fd, &st) < 0 || (st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022) != 0;
}
