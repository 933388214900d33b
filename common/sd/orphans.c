/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See orphans.h. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>

#include "common/io.h"
#include "common/macro.h"
#include "common/sd/orphans.h"

static int64_t now_msec(void) {
        struct timespec t = {};

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t) t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until it has ended, but not longer. */
static void wait_for(pid_t pid, int64_t msec) {
        _cleanup_close_ int fd = msec > 0 ? pidfd_open(pid, 0) : -EBADF;

        if (fd >= 0)
                (void) poll(&(struct pollfd) { .fd = fd, .events = POLLIN }, 1, (int) msec);
}

size_t orphans_reap(const OrphanSpec *spec) {
        int64_t deadline = now_msec() + spec->grace_msec;
        _cleanup_free_ char *list = NULL;
        size_t size, n = 0;

        if (read_file_at(AT_FDCWD, "/proc/thread-self/children", 1024 * 1024, &list, &size) < 0)
                return 0;
        for (char *at = list, *end; *at; at = end) {
                pid_t pid = (pid_t) strtol(at, &end, 10);

                if (end == at)
                        break;
                if (pid <= 0 || (spec->is_ours && spec->is_ours(pid, spec->userdata)))
                        continue;
                n++;
                wait_for(pid, deadline - now_msec());
                if (spec->kill && kill(pid, SIGKILL) >= 0)
                        wait_for(pid, spec->wait_msec);
                (void) waitpid(pid, NULL, WNOHANG);
        }
        return n;
}
