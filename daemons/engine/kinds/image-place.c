/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/engine/kinds/image-place.h"

#define IMAGE "image"

/* Whoever may rename our directory could put another in its place: those who may write where it stands, unless only owners may
 * rename there. */
static bool is_safe_for_names(int dir_fd) {
        struct stat st;

        return !safe_path_is_shared(dir_fd) ||
               (fstat(dir_fd, &st) >= 0 && (st.st_mode & S_ISVTX) && (st.st_uid == 0 || st.st_uid == geteuid()));
}

/* The path without a link, as it is now. */
static int make_path(ImagePlace *p) {
        char proc[32], dir[PATH_MAX];

        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%d", p->fd);
        ssize_t n = readlink(proc, dir, sizeof(dir));
        if (n < 0)
                return -errno;
        if (n == sizeof(dir))
                return -ENAMETOOLONG;
        if (asprintf(&p->path, "%.*s/" IMAGE, (int) n, dir) < 0) {
                p->path = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* Others may pass through it: what virt-builder starts need not be root. */
static int make_directory(ImagePlace *p, const char *name) {
        int r = remove_tree_at(p->where.dir_fd, name);

        if (r < 0)
                return r;
        if (mkdirat(p->where.dir_fd, name, 0700) < 0)
                return -errno;
        (void) memcpy(p->name, name, sizeof(p->name));
        p->fd = openat(p->where.dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return p->fd < 0 || fchmod(p->fd, 0711) < 0 ? -errno : make_path(p);
}

int image_place_open(ImagePlace *p, const Resource *r, const char *output, Diag *reterr) {
        char name[REPLACEMENT_NAME_MAX];
        int k;

        image_place_done(p);
        k = safe_path_find(output, false, &p->where);
        if (k == -EPERM)
                return resource_error(r, reterr, k, SAFE_PATH_UNTRUSTED, output);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot find the directory of '%s': %m", output);
        if (!is_safe_for_names(p->where.dir_fd))
                return resource_error(r, reterr, -EPERM, "others may write in the directory of '%s', and could lead its making elsewhere",
                                      output);
        replacement_name(p->where.base, name);
        k = make_directory(p, name);
        return k < 0 ? resource_error(r, reterr, k, "cannot make a directory beside '%s': %m", output) : 0;
}

int image_place_put(ImagePlace *p, const Resource *r, const char *output, Diag *reterr) {
        if (renameat2(p->fd, IMAGE, p->where.dir_fd, p->where.base, RENAME_NOREPLACE) < 0 && errno != EEXIST)
                return resource_error(r, reterr, -errno, "cannot move the image to '%s': %m", output);
        return 0;
}

void image_place_done(ImagePlace *p) {
        if (p->name[0])
                (void) remove_tree_at(p->where.dir_fd, p->name);
        safe_path_done(&p->where);
        closep(&p->fd);
        free(p->path);
        *p = (ImagePlace) IMAGE_PLACE_INIT;
}
