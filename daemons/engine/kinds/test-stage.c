/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/engine/kinds/test-stage.h"

char *stage_path(const Resource *r, const char *stage, const char *suffix) {
        char *path;

        return asprintf(&path, "%s/%s.%s", stage, r->name, suffix) < 0 ? NULL : path;
}

bool stage_is_wrong(const Resource *r, const char *stage) {
        _cleanup_free_ char *wrong = stage_path(r, stage, "wrong");

        return wrong && access(wrong, F_OK) == 0;
}

/* Negative errno; 1: it was not as it should be. */
static int make_absent(const char *path, bool apply) {
        if ((apply ? unlink(path) : access(path, F_OK)) == 0)
                return 1;
        return errno == ENOENT ? 0 : -errno;
}

static int make_present(const char *path, bool apply) {
        if (access(path, F_OK) == 0)
                return 0;
        if (errno != ENOENT)
                return -errno;
        _cleanup_close_ int fd = apply ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600) : -EBADF;
        return apply && fd < 0 ? -errno : 1;
}

int stage_act(const Resource *r, const char *stage, bool undo, bool apply, Diag *reterr) {
        _cleanup_free_ char *fails = stage_path(r, stage, "fails"), *wrong = stage_path(r, stage, "wrong");

        if (!fails || !wrong)
                return -ENOMEM;
        if (access(fails, F_OK) == 0)
                return resource_error(r, reterr, -EIO, "failed, as '%s' says", fails);
        int k = undo ? make_present(wrong, apply) : make_absent(wrong, apply);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot see to '%s': %m", wrong);
        return k > 0 ? CHECK_CHANGED : CHECK_OK;
}

/* One write, so that no line is ever torn. Without a log nobody wants to know. */
void stage_log(const Resource *r, const char *stage, const char *event, const char *text) {
        _cleanup_free_ char *path = NULL, *line = NULL;

        if (asprintf(&path, "%s/log", stage) < 0 || asprintf(&line, "%s %s %s\n", event, r->name, text) < 0)
                return;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
        if (fd >= 0)
                (void) write_all(fd, line, strlen(line));
}
