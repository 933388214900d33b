/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See vardir.h. Each part is opened from the one before it and never through a link, so the end is where it seems to be. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "common/strbuf.h"
#include "daemons/world/vardir.h"

enum { MODE = 0750 };

/* From one directory into the one of that name in it, which is made if need be. */
static int enter(int *fd, const char *name) {
        if (mkdirat(*fd, name, MODE) < 0 && errno != EEXIST)
                return -errno;
        int next = openat(*fd, name, O_RDONLY|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC);
        if (next < 0)
                return -errno;
        (void) close(*fd);
        *fd = next;
        return 0;
}

static int enter_parts(int *fd, const char *path, StrBuf *whole, Diag *reterr) {
        char part[NAME_MAX + 1];
        int r;

        for (const char *p = path + strspn(path, "/"); *p; p += strspn(p, "/")) {
                size_t n = strcspn(p, "/");

                if (n > NAME_MAX)
                        return -ENAMETOOLONG;
                memcpy(part, p, n);
                part[n] = '\0';
                p += n;
                if (streq(part, "."))
                        continue;
                if (streq(part, ".."))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "path must stay below its place, got '%s'", path);
                r = enter(fd, part);
                if (r < 0)
                        return r;
                strbuf_printf(whole, "%s/", part);
        }
        return 0;
}

int vardir_make(const char *state_dir, const char *path, char **ret, Diag *reterr) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_(strbuf_done) StrBuf whole = {};
        int r;

        if (path[0] == '/')
                return diag_set(reterr, (Pos) {}, -EINVAL, "path must be relative, got '%s'", path);
        if (!endswith(path, "/"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "path must be a dir, with a slash at its end, got '%s'", path);
        fd = open(state_dir, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        if (fd < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot open '%s': %m", state_dir);
        strbuf_printf(&whole, "%s/vardir/", state_dir);
        r = enter(&fd, "vardir");
        if (r >= 0)
                r = enter_parts(&fd, path, &whole, reterr);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot make the directory '%s': %m", path);
        *ret = strbuf_take(&whole);
        return *ret ? 0 : -ENOMEM;
}
