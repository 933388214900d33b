/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Directories are entered by descriptors, and never through a link, so that a name means what is there and nothing else. Paths that
 * begin with the same directory stand together in a map, which is sorted. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/lang/mirror.h"

enum { DEPTH_MAX = 64, FILE_MODE = 0644, DIRECTORY_MODE = 0755 };

/* The entries [from, to) of the bundle, of whose paths the first skip bytes are dealt with. */
typedef struct Part {
        const ValueMap *bundle;
        uint32_t from, to;
        size_t skip;
} Part;

static const char *rest_of(const Part *p, uint32_t i) {
        return value_cstr(p->bundle->items[i].key) + p->skip;
}

/* The first entry that is not before name, followed by last. */
static uint32_t lower_bound(const Part *p, const char *name, size_t size, char last) {
        uint32_t low = p->from, high = p->to;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                int order = strncmp(rest_of(p, middle), name, size);

                if (order < 0 || (order == 0 && (unsigned char) rest_of(p, middle)[size] < (unsigned char) last))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* Whether there is a file of that name (last is NUL), or something below it (a slash). */
static bool has(const Part *p, const char *name, size_t size, char last) {
        uint32_t i = lower_bound(p, name, size, last);

        return i < p->to && strncmp(rest_of(p, i), name, size) == 0 && rest_of(p, i)[size] == last;
}

static int check_name(const Part *p, uint32_t i, size_t size, Diag *reterr) {
        const char *name = rest_of(p, i), *path = value_cstr(p->bundle->items[i].key);

        if (size == 0 || size > NAME_MAX || (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.') ||
            strlen(path) != p->bundle->items[i].key.s->size)
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is not a path that a file can have", path);
        if (has(p, name, size, '\0') && has(p, name, size, '/'))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is both a file and a directory", path);
        return 0;
}

/* ---- one file ---- */

static bool has_content(int fd, const char *data, size_t size) {
        char buffer[16 * 1024];

        while (size > 0) {
                ssize_t n = read(fd, buffer, MIN(size, sizeof(buffer)));
                if (n <= 0 || memcmp(buffer, data, (size_t) n) != 0)
                        return false;
                data += n;
                size -= (size_t) n;
        }
        return true;
}

static bool is_right(int dir_fd, const char *name, const ValueStr *content) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == FILE_MODE &&
               (uint64_t) st.st_size == content->size && has_content(fd, content->data, content->size);
}

static int put_file(int dir_fd, const char *name, const ValueStr *content) {
        if (is_right(dir_fd, name, content))
                return 0;
        int r = write_file_atomic_at(dir_fd, name, content->data, content->size, FILE_MODE, false);
        if (r != -EISDIR)
                return r;
        r = remove_tree_at(dir_fd, name);
        return r < 0 ? r : write_file_atomic_at(dir_fd, name, content->data, content->size, FILE_MODE, false);
}

/* ---- one directory ---- */

/* Its descriptor. What is there under that name and is no directory, goes. */
static int enter(int dir_fd, const char *name) {
        int r;

        if (mkdirat(dir_fd, name, DIRECTORY_MODE) < 0 && errno != EEXIST)
                return -errno;
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
                r = remove_tree_at(dir_fd, name);
                if (r < 0)
                        return r;
                if (mkdirat(dir_fd, name, DIRECTORY_MODE) < 0)
                        return -errno;
                fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0 || fchmod(fd, DIRECTORY_MODE) < 0)           /* whatever the umask */
                return -errno;
        return TAKE_FD(fd);
}

static int remove_others(int dir_fd, const Part *p) {
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *d = fd < 0 ? NULL : fdopendir(fd);

        if (!d) {
                r = -errno;
                closep(&fd);
                return r;
        }
        for (const struct dirent *e; r >= 0 && (e = readdir(d));) {
                size_t size = strlen(e->d_name);

                if (!streq(e->d_name, ".") && !streq(e->d_name, "..") && !has(p, e->d_name, size, '\0') && !has(p, e->d_name, size, '/'))
                        r = remove_tree_at(dir_fd, e->d_name);
        }
        (void) closedir(d);
        return r;
}

static int fill(int dir_fd, const Part *p, unsigned depth, Diag *reterr) {
        int r;

        if (depth > DEPTH_MAX)
                return diag_set(reterr, (Pos) {}, -ELOOP, "more than %d directories one in the other", DEPTH_MAX);
        r = remove_others(dir_fd, p);
        if (r < 0)
                return r;
        for (uint32_t i = p->from, end; i < p->to; i = end) {
                const char *rest = rest_of(p, i);
                size_t size = strcspn(rest, "/");

                r = check_name(p, i, size, reterr);
                if (r < 0)
                        return r;
                if (rest[size] == '\0') {
                        end = i + 1;
                        r = put_file(dir_fd, rest, p->bundle->items[i].value.s);
                } else {
                        char name[NAME_MAX + 1];

                        end = lower_bound(p, rest, size, '/' + 1);
                        *(char *) mempcpy(name, rest, size) = '\0';
                        _cleanup_close_ int fd = enter(dir_fd, name);
                        r = fd < 0 ? fd : fill(fd, &(Part) { p->bundle, i, end, p->skip + size + 1 }, depth + 1, reterr);
                }
                if (r < 0)
                        return diag_set(reterr, (Pos) {}, r, "cannot write '%s': %m", value_cstr(p->bundle->items[i].key));
        }
        return 0;
}

/* ---- all of it ---- */

/* Enters name part by part. */
static int enter_path(const char *top, const char *name) {
        int r = make_directories(top, 0700);

        if (r < 0)
                return r;
        int fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (const char *p = name + strspn(name, "/"); *p && fd >= 0; p += strspn(p, "/")) {
                size_t size = strcspn(p, "/");
                _cleanup_free_ char *part = strndup(p, size);

                r = part ? enter(fd, part) : -ENOMEM;
                (void) close(fd);
                if (r < 0)
                        return r;
                fd = r;
                p += size;
        }
        return fd < 0 ? -errno : fd;
}

int mirror_files(const char *top, const char *name, Value bundle, const char *prefix, Diag *reterr) {
        Part p = { bundle.m, 0, bundle.m->n, 0 };
        size_t size = strlen(prefix) - 1;

        p.from = lower_bound(&p, prefix, size, '/');
        p.to = lower_bound(&p, prefix, size, '/' + 1);
        if (p.from == p.to)
                return diag_set(reterr, (Pos) {}, -ENOENT, "the program has no directory '%s'", prefix);
        p.skip = size + 1;
        _cleanup_close_ int fd = enter_path(top, name);
        if (fd < 0)
                return diag_set(reterr, (Pos) {}, fd, "cannot make '%s/%s': %m", top, name);
        return fill(fd, &p, 0, reterr);
}
