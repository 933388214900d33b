/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A build directory works without installation because everything that is looked up stands beside the programs. */

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/macro.h"
#include "common/paths.h"

/* The path of name beside the running program, if it is there; *ret NULL if not. */
static int beside_program(const char *name, char **ret) {
        char program[4096];
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

        *ret = NULL;
        if (n <= 0)
                return 0;
        program[n] = '\0';
        char *slash = strrchr(program, '/');
        if (!slash)
                return 0;
        *slash = '\0';

        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s/%s", program, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (access(path, F_OK) == 0)
                *ret = TAKE_PTR(path);
        return 0;
}

static char *find(const char *installed_dir, const char *name) {
        char *path;

        if (beside_program(name, &path) < 0)
                return NULL;
        if (path)
                return path;
        return asprintf(&path, "%s/%s", installed_dir, name) < 0 ? NULL : path;
}

char *path_data(const char *name) {
        return find(MGMT_DATA_DIR, name);
}

char *path_daemon(const char *name) {
        _cleanup_free_ char *program = NULL;

        if (asprintf(&program, "mgmt-%s", name) < 0) {
                program = NULL;
                return NULL;
        }
        return find(MGMT_DAEMON_DIR, program);
}

char *path_ctl(void) {
        return find(MGMT_BIN_DIR, "mgmtctl");
}

static const char *environment(const char *name) {
        const char *value = secure_getenv(name);
        return value && *value ? value : NULL;
}

const char *path_runtime_dir(void) {
        return environment("MGMT_RUNTIME_DIR") ?: "/run/mgmt";
}

char *path_socket(const char *daemon) {
        char *path;

        return asprintf(&path, "%s/%s.sock", path_runtime_dir(), daemon) < 0 ? NULL : path;
}

char *path_state_dir(const char *daemon) {
        const char *given = environment("STATE_DIRECTORY");
        char *path;

        if (given)      /* systemd joins several with colons: ours is the first */
                return strndup(given, strcspn(given, ":"));
        return asprintf(&path, "/var/lib/mgmt/%s", daemon) < 0 ? NULL : path;
}

size_t path_clean(const char *s, size_t size, char *ret) {
        bool rooted = size > 0 && s[0] == '/';
        size_t n = 0, keep = rooted;    /* what .. does not remove */

        if (rooted)
                ret[n++] = '/';
        for (size_t i = rooted; i < size;) {
                const char *slash = memchr(s + i, '/', size - i);
                size_t length = slash ? (size_t) (slash - s) - i : size - i;

                if (length == 2 && s[i] == '.' && s[i + 1] == '.' && n > keep) {
                        while (n > keep && ret[n - 1] != '/')
                                n--;
                        if (n > keep)
                                n--;    /* the slash before it */
                } else if (length > 0 && !(length == 1 && s[i] == '.') &&
                           !(length == 2 && s[i] == '.' && s[i + 1] == '.' && rooted)) {
                        if (n > rooted)
                                ret[n++] = '/';
                        memcpy(ret + n, s + i, length);
                        n += length;
                        if (length == 2 && s[i] == '.' && s[i + 1] == '.')
                                keep = n;
                }
                i += length + 1;
        }
        if (n == 0)
                ret[n++] = '.';
        return n;
}
