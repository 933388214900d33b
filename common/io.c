/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whole files. What we write appears complete or not at all, also after a crash or a power cut (if sync). */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/macro.h"

int read_file_at(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY|O_CLOEXEC|O_NOCTTY|O_NONBLOCK);
        if (fd < 0)
                return -errno;

        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t) st.st_size > limit)
                return -E2BIG;

        /* One byte more than expected, so that the end shows without growing; files in /proc say they are empty. */
        size_t capacity = S_ISREG(st.st_mode) && st.st_size > 0 ? (size_t) st.st_size + 2 : 4096, size = 0;
        _cleanup_free_ char *data = malloc(capacity);
        if (!data)
                return -ENOMEM;

        for (;;) {
                if (size + 1 >= capacity) {
                        char *grown = reallocarray(data, capacity, 2);
                        if (!grown)
                                return -ENOMEM;
                        data = grown;
                        capacity *= 2;
                }
                ssize_t n = read(fd, data + size, capacity - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > limit)
                        return -E2BIG;
        }
        data[size] = '\0';
        *ret = TAKE_PTR(data);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

/* The folder part of path, with its slash ("" if there is none), plus a name that nobody else has. */
static char *temporary_name(const char *path) {
        const char *slash = strrchr(path, '/');
        uint64_t random;
        char *name;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return NULL;
        if (asprintf(&name, "%.*s.mgmt-%016" PRIx64, slash ? (int) (slash + 1 - path) : 0, path, random) < 0)
                return NULL;
        return name;
}

static int sync_parent(int dir_fd, const char *path) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t) (slash - path));
        if (!parent)
                return -ENOMEM;

        _cleanup_close_ int fd = openat(dir_fd, parent, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

static int fill_and_rename(int dir_fd, const char *temporary, int fd, const char *path, const void *data, size_t size, mode_t mode,
                           bool sync) {
        int r = write_all(fd, data, size);

        if (r < 0)
                return r;
        if (fchmod(fd, mode) < 0)       /* whatever the umask */
                return -errno;
        if (sync && fsync(fd) < 0)
                return -errno;
        if (renameat(dir_fd, temporary, dir_fd, path) < 0)
                return -errno;
        return 0;
}

int write_file_atomic_at(int dir_fd, const char *path, const void *data, size_t size, mode_t mode, bool sync) {
        _cleanup_free_ char *temporary = temporary_name(path);
        if (!temporary)
                return -ENOMEM;

        _cleanup_close_ int fd = openat(dir_fd, temporary, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;

        int r = fill_and_rename(dir_fd, temporary, fd, path, data, size, mode, sync);
        if (r < 0) {
                (void) unlinkat(dir_fd, temporary, 0);
                return r;
        }
        return sync ? sync_parent(dir_fd, path) : 0;
}

int make_directories(const char *path, mode_t mode) {
        _cleanup_free_ char *copy = strdup(path);
        struct stat st;

        if (!copy)
                return -ENOMEM;
        if (mkdir(path, mode) == 0)
                return 0;
        if (errno != ENOENT && errno != EEXIST)
                return -errno;

        for (char *p = copy; *p;) {
                p += strspn(p, "/");
                p += strcspn(p, "/");
                char end = *p;
                *p = '\0';
                if (mkdir(copy, mode) < 0 && errno != EEXIST && (errno != EACCES && errno != EROFS))
                        return -errno;
                *p = end;
        }
        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* Not every file system can make one that never had a name. */
int open_unnamed(const char *directory) {
        _cleanup_free_ char *path = NULL;
        int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0)
                return fd;
        if (errno != EOPNOTSUPP && errno != EISDIR)
                return -errno;
        if (asprintf(&path, "%s/.unnamed-XXXXXX", directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void) unlink(path);
        return fd;
}

static int remove_entry(int dir_fd, const char *name);

/* Recursion holds one descriptor per level, so depth ends at their limit (-EMFILE), long before the stack does. Takes fd over. */
static int remove_children(int fd) {
        DIR *directory = fdopendir(fd);
        if (!directory) {
                int r = -errno;
                (void) close(fd);
                return r;
        }

        int first_error = 0;
        for (struct dirent *e; (e = readdir(directory));) {
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                int r = remove_entry(dirfd(directory), e->d_name);
                if (first_error == 0)
                        first_error = r;
        }
        (void) closedir(directory);
        return first_error;
}

static int remove_entry(int dir_fd, const char *name) {
        if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;

        int r = -errno;
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)  /* an empty one need not be read, which may wait for the disk */
                return 0;
        int child = openat(dir_fd, name, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
        if (child < 0)
                return errno == ENOTDIR ? r : -errno;
        r = remove_children(child);
        return r == 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -errno : r;
}

int remove_tree_at(int dir_fd, const char *path) {
        int fd = openat(dir_fd, path, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
        if (fd < 0) {
                if (errno == ENOENT)
                        return 0;
                if (errno != ENOTDIR && errno != ELOOP)
                        return -errno;
                return unlinkat(dir_fd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
        }

        int r = remove_children(fd);
        if (r < 0)
                return r;
        return unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int remove_tree(const char *path) {
        return remove_tree_at(AT_FDCWD, path);
}
