/* SPDX-License-Identifier: GPL-3.0-or-later */

/* In two steps: first only a name of the file is had, which is harmless; when it is known to be a file it is opened by that. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/lang/host-file.h"

int host_file_read(const char *path, char **ret, size_t *ret_size, Diag *reterr) {
        char again[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct stat st;
        int r;

        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return diag_set(reterr, (Pos) {}, -ENOENT, "open %s: no such file or directory", path);
        if (fd < 0 || fstat(fd, &st) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "open %s: %m", path);
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return diag_set(reterr, (Pos) {}, -EINVAL, "open %s: not a regular file", path);
        (void) snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
        r = read_file_at(AT_FDCWD, again, HOST_FILE_MAX, ret, ret_size);
        if (r == -E2BIG)
                return diag_set(reterr, (Pos) {}, r, "read %s: larger than %d bytes", path, HOST_FILE_MAX);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "read %s: %m", path) : 0;
}
