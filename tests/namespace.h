/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a test may only do to itself, it does in a child: as somebody else, or in namespaces where the limits of the kernel are its
 * own to set. */

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/macro.h"
#include "tests/test.h"

/* Runs body in a child, whose failed checks are ours; 77: not possible here. */
static int in_child(int (*body)(void)) {
        int status;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
                int r = body();
                fflush(stdout);
                _exit(r != 0 ? r : test_failures > 0);
        }
        return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool write_text(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t) strlen(text);
}

/* Root in namespaces of our own. */
static bool unshare_as_root(int namespaces) {
        char uid_map[64], gid_map[64];

        snprintf(uid_map, sizeof(uid_map), "0 %u 1", geteuid());
        snprintf(gid_map, sizeof(gid_map), "0 %u 1", getegid());
        return unshare(CLONE_NEWUSER | namespaces) == 0 && write_text("/proc/self/uid_map", uid_map) &&
               write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", gid_map);
}
