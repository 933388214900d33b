/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How long mgmtctl run takes until a program has converged: a program of one file, and programs of many files that are all
 * right already. The floor opens, reads and compares the same files and does nothing else.
 *
 * Starts mgmtctl from the folder above its own, the top of the build directory. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "common/io.h"
#include "common/macro.h"

#define CONTENT "content of a file that is right already\n"

static char mgmtctl[PATH_MAX], directory[] = "/tmp/mgmt-bench-XXXXXX";

static int find_mgmtctl(void) {
        ssize_t n = readlink("/proc/self/exe", mgmtctl, sizeof(mgmtctl) - sizeof("/mgmtctl"));
        if (n < 0)
                return -errno;

        for (unsigned up = 0; up < 2; up++) {
                mgmtctl[n] = '\0';
                char *slash = strrchr(mgmtctl, '/');
                if (!slash)
                        return -ENOENT;
                stpcpy(slash, "/mgmtctl");
                if (access(mgmtctl, X_OK) == 0)
                        return 0;
                n = slash - mgmtctl;
        }
        return -ENOENT;
}

static int write_program(unsigned n_files, char path[static PATH_MAX]) {
        snprintf(path, PATH_MAX, "%s/%u.mcl", directory, n_files);
        FILE *f = fopen(path, "we");
        if (!f)
                return -errno;
        for (unsigned i = 0; i < n_files; i++)
                fprintf(f, "file \"%s/%u/%u\" {\n        state => \"exists\",\n        content => \"%s\\n\",\n}\n", directory, n_files, i,
                        "content of a file that is right already");
        return fclose(f) == 0 ? 0 : -errno;
}

static int write_files(unsigned n_files) {
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/%u", directory, n_files);
        if (mkdir(path, 0755) < 0)
                return -errno;
        for (unsigned i = 0; i < n_files; i++) {
                snprintf(path, sizeof(path), "%s/%u/%u", directory, n_files, i);
                _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (fd < 0 || write(fd, CONTENT, strlen(CONTENT)) != (ssize_t) strlen(CONTENT))
                        return -errno;
        }
        return 0;
}

static int read_files(unsigned n_files) {
        char path[PATH_MAX], content[sizeof(CONTENT)];
        struct stat st;

        for (unsigned i = 0; i < n_files; i++) {
                snprintf(path, sizeof(path), "%s/%u/%u", directory, n_files, i);
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0)
                        return -errno;
                if (read(fd, content, sizeof(content)) != st.st_size || memcmp(content, CONTENT, (size_t) st.st_size) != 0)
                        return -EIO;
        }
        return 0;
}

static int run_until_converged(char *program) {
        char *argv[] = { mgmtctl, "run", "--tmp-prefix", "--converger-timeout=0", "--converged-exit", program, NULL };
        posix_spawn_file_actions_t actions;
        int status;
        pid_t pid;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        int r = posix_spawn(&pid, mgmtctl, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0)
                return -r;
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

static int measure(unsigned n_files, unsigned n_runs) {
        uint64_t floor_nsec[32], run_nsec[32];
        char program[PATH_MAX], what[64];
        int r;

        r = write_program(n_files, program);
        if (r < 0)
                return r;
        r = write_files(n_files);
        if (r < 0)
                return r;

        for (unsigned i = 0; i < n_runs; i++) {
                uint64_t start = now_nsec();
                r = read_files(n_files);
                if (r < 0)
                        return r;
                floor_nsec[i] = now_nsec() - start;

                start = now_nsec();
                r = run_until_converged(program);
                if (r < 0)
                        return r;
                run_nsec[i] = now_nsec() - start;
        }
        snprintf(what, sizeof(what), "mgmtctl run, %u file%s, nothing to change", n_files, n_files == 1 ? "" : "s");
        report(what, median(run_nsec, n_runs), n_files == 1 ? 0 : median(floor_nsec, n_runs));
        return 0;
}

int main(void) {
        static const struct {
                unsigned n_files, n_runs;
        } rows[] = { { 1, 21 }, { 1000, 7 }, { 10000, 3 } };
        int r;

        r = find_mgmtctl();
        if (r >= 0 && !mkdtemp(directory))
                r = -errno;
        for (size_t i = 0; i < ELEMENTSOF(rows) && r >= 0; i++)
                r = measure(rows[i].n_files, rows[i].n_runs);
        (void) remove_tree(directory);
        if (r < 0) {
                fprintf(stderr, "bench-converge: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
