/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See lock.h. The lock is one of POSIX: those of flock() do not tell whose they are. It would go with the first descriptor of the file
 * that is closed here, so who has taken it opens the file once. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "common/macro.h"
#include "daemons/remote/lock.h"

enum {
        STOP_MSEC = 12 * 1000,
        KILL_MSEC = 3 * 1000,
        TRIES = 16,             /* of finding out who it is; one more for each that has ended meanwhile */
};

static int open_lock(const char *directory, int flags) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/lock", directory) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

int lock_take(const char *directory) {
        struct flock lock = { .l_type = F_WRLCK };
        _cleanup_close_ int fd = open_lock(directory, O_CREAT);

        if (fd < 0)
                return fd;
        if (fcntl(fd, F_SETLK, &lock) < 0)
                return errno == EACCES || errno == EAGAIN ? -EBUSY : -errno;
        TAKE_FD(fd);            /* it stays, and with it the lock */
        return 0;
}

static int ask_pid(int fd, pid_t *ret) {
        struct flock lock = { .l_type = F_WRLCK };

        if (fcntl(fd, F_GETLK, &lock) < 0)
                return -errno;
        *ret = lock.l_type == F_UNLCK ? 0 : lock.l_pid;
        return *ret < 0 ? -ESRCH : 0;           /* it is on another host */
}

int lock_holder(const char *directory, int *ret_pidfd) {
        _cleanup_close_ int fd = open_lock(directory, 0);
        int r;

        if (fd < 0)
                return fd == -ENOENT ? 0 : fd;
        for (unsigned i = 0; i < TRIES; i++) {
                pid_t pid = 0, still = 0;

                r = ask_pid(fd, &pid);
                if (r < 0 || pid == 0)
                        return r;
                _cleanup_close_ int pidfd = pidfd_open(pid, 0);
                if (pidfd < 0 && errno != ESRCH)
                        return -errno;
                /* The number may have become another's before we had hold of it; if it has the lock now, it has not. */
                r = ask_pid(fd, &still);
                if (r < 0)
                        return r;
                if (pidfd >= 0 && still == pid) {
                        *ret_pidfd = TAKE_FD(pidfd);
                        return 1;
                }
        }
        return -EAGAIN;
}

static bool has_ended(int pidfd, int msec) {
        struct pollfd p = { .fd = pidfd, .events = POLLIN };

        return poll(&p, 1, msec) > 0;
}

int lock_stop(const char *directory) {
        _cleanup_close_ int pidfd = -EBADF;
        int r = lock_holder(directory, &pidfd);

        if (r <= 0)
                return r;
        if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return -errno;
        if (has_ended(pidfd, STOP_MSEC))
                return 1;
        if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
                return -errno;
        return has_ended(pidfd, KILL_MSEC) ? 1 : -ETIMEDOUT;
}
