/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "daemons/engine/kinds/replacement.h"

#define PREFIX ".mgmt-"

enum { DIGITS = 16 };

/* Short enough whatever the name of the file is. */
void replacement_name(const char *base, char ret[static REPLACEMENT_NAME_MAX]) {
        uint64_t hash = UINT64_C(14695981039346656037);

        for (const char *p = base; *p; p++)
                hash = (hash ^ (uint8_t) *p) * UINT64_C(1099511628211);
        (void) snprintf(ret, REPLACEMENT_NAME_MAX, PREFIX "%0*" PRIx64, DIGITS, hash);
}

bool replacement_is_name(const char *name) {
        const char *digits = startswith(name, PREFIX);

        return digits && strlen(digits) == DIGITS && strspn(digits, "0123456789abcdef") == DIGITS;
}

int replacement_open(Replacement *n, int dir_fd, const char *base, mode_t mode) {
        replacement_done(n);
        *n = (Replacement) { .fd = -EBADF, .dir_fd = dir_fd, .base = base };
        replacement_name(base, n->name);
        for (int attempt = 0; attempt < 2; attempt++) {
                n->fd = openat(dir_fd, n->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
                n->made = n->fd >= 0;
                if (n->made)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
                (void) unlinkat(dir_fd, n->name, 0);
        }
        return -EEXIST;
}

int replacement_put(Replacement *n) {
        /* Some file systems tell only now that it could not be written. */
        if (close(TAKE_FD(n->fd)) < 0 && errno != EINTR)
                return -errno;
        if (renameat(n->dir_fd, n->name, n->dir_fd, n->base) < 0)
                return -errno;
        n->made = false;
        return 0;
}

void replacement_done(Replacement *n) {
        closep(&n->fd);
        n->fd = -EBADF;
        if (n->made)
                (void) unlinkat(n->dir_fd, n->name, 0);
        n->made = false;
}

static bool is_lasting(const char *attribute) {
        return startswith(attribute, "user.") || streq(attribute, "system.posix_acl_access") || streq(attribute, "security.selinux");
}

void replacement_copy_attributes(const Replacement *n, int from_fd) {
        char names[4096], value[4096];
        ssize_t size = flistxattr(from_fd, names, sizeof(names));

        for (ssize_t i = 0; i < size; i += (ssize_t) strlen(names + i) + 1) {
                ssize_t k = is_lasting(names + i) ? fgetxattr(from_fd, names + i, value, sizeof(value)) : -1;
                if (k >= 0)
                        (void) fsetxattr(n->fd, names + i, value, (size_t) k, 0);
        }
}
