/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/io.h"
#include "common/macro.h"
#include "tests/conformance/stage.h"

enum { DAEMONS_MAX = 8, LISTEN_FD = 3 };

static struct {
        char directory[64];
        const char *programs;
        const char *names[DAEMONS_MAX];
        pid_t pids[DAEMONS_MAX];
        size_t n;
} stage;

static int listen_at(const char *name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", stage.directory, name);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0)
                return -errno;
        return fd;
}

static _noreturn_ void exec_daemon(const char *name, int fd, pid_t parent) {
        char program[512], pid[32], state[128];

        (void) snprintf(program, sizeof(program), "%s/mgmt-%s", stage.programs, name);
        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) snprintf(state, sizeof(state), "%s/state-%s", stage.directory, name);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || make_directories(state, 0700) < 0 ||
            (fd == LISTEN_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, LISTEN_FD)) < 0 || setenv("LISTEN_FDS", "1", 1) < 0 ||
            setenv("LISTEN_PID", pid, 1) < 0 || setenv("STATE_DIRECTORY", state, 1) < 0)
                _exit(EXIT_FAILURE);
        execl(program, program, NULL);
        _exit(127);
}

int stage_start(const char *name) {
        for (size_t i = 0; i < stage.n; i++)
                if (streq(stage.names[i], name))
                        return 0;
        if (stage.n == DAEMONS_MAX)
                return -E2BIG;
        _cleanup_close_ int fd = listen_at(name);
        if (fd < 0)
                return fd;
        pid_t parent = getpid(), pid = fork();
        if (pid == 0)
                exec_daemon(name, fd, parent);
        if (pid < 0)
                return -errno;
        stage.names[stage.n] = name;
        stage.pids[stage.n++] = pid;
        return 0;
}

/* Programs are free to write to /tmp. Where we may, they get one of their own. */
static void make_private_tmp(void) {
        if (!startswith(stage.programs, "/tmp/") && unshare(CLONE_NEWNS) >= 0 &&
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) >= 0)
                (void) mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
}

int stage_begin(const char *programs, bool private_tmp) {
        stage.programs = programs;
        if (private_tmp)
                make_private_tmp();
        (void) snprintf(stage.directory, sizeof(stage.directory), "/tmp/conformance-XXXXXX");
        if (!mkdtemp(stage.directory) || setenv("MGMT_RUNTIME_DIR", stage.directory, 1) < 0)
                return -errno;
        return setenv("MGMT_BUS_ADDRESS", "unix:path=/nonexistent", 1) < 0 ? -errno : 0;        /* there is none */
}

const char *stage_directory(void) {
        return stage.directory;
}

void stage_end(void) {
        for (size_t i = 0; i < stage.n; i++) {
                (void) kill(stage.pids[i], SIGKILL);
                (void) waitpid(stage.pids[i], NULL, 0);
        }
        if (*stage.directory)
                (void) remove_tree(stage.directory);
}
