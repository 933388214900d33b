/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/engine/stage.h"

char *stage_path(const Resource *r, const char *stage, const char *suffix) {
        char *path;

        return asprintf(&path, "%s/%s.%s", stage, r->name, suffix) < 0 ? NULL : path;
}

int stage_act(const Resource *r, const char *stage, bool apply, Diag *reterr) {
        _cleanup_free_ char *fails = stage_path(r, stage, "fails"), *wrong = stage_path(r, stage, "wrong");

        if (!fails || !wrong)
                return -ENOMEM;
        if (access(fails, F_OK) == 0)
                return resource_error(r, reterr, -EIO, "failed, as '%s' says", fails);
        if ((apply ? unlink(wrong) : access(wrong, F_OK)) == 0)
                return CHECK_CHANGED;
        return errno == ENOENT ? CHECK_OK : resource_error(r, reterr, -errno, "cannot see to '%s': %m", wrong);
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
