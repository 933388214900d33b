/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "common/io.h"
#include "common/macro.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/prefix.h"

int prefix_path(const char *said, char **ret) {
        const char *state = getenv("STATE_DIRECTORY"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        int r;

        if (said)
                r = said[0] == '/' ? asprintf(ret, "%s", said) : -1;
        else if (state && state[0] == '/')
                r = asprintf(ret, "%s", state);
        else if (geteuid() == 0)        /* beside the state of the installed daemons, which may be running */
                r = asprintf(ret, "/var/lib/mgmt/run");
        else if (cache && cache[0] == '/')
                r = asprintf(ret, "%s/mgmt", cache);
        else
                r = home && home[0] == '/' ? asprintf(ret, "%s/.cache/mgmt", home) : -1;
        if (r >= 0)
                return 0;

        _cleanup_free_ char *cwd = said ? getcwd(NULL, 0) : NULL;
        if (!cwd || asprintf(ret, "%s/%s", cwd, said) < 0) {
                *ret = NULL;
                return -ENOENT;
        }
        return 0;
}

int prefix_open(const char *path) {
        int r = make_directories(path, 0775);

        _cleanup_close_ int fd = r < 0 ? -EBADF : open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
        if (r >= 0)
                r = fd < 0 || flock(fd, LOCK_EX|LOCK_NB) < 0 ? -errno : TAKE_FD(fd);
        if (r == -EWOULDBLOCK)
                output_error("another run uses '%s', choose another place by --prefix or --tmp-prefix", path);
        else if (r < 0)
                output_error("cannot use '%s': %s", path, strerrordesc_np(-r));
        return r;
}
