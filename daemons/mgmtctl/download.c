/* SPDX-License-Identifier: GPL-3.0-or-later */

/* git does the work, as the user who asked. It never asks questions, and never takes a transport that runs commands of the other
 * side's choosing. */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/paths.h"
#include "daemons/mgmtctl/download.h"

extern char **environ;

static int run_git(char *const arguments[], Diag *reterr) {
        pid_t pid;
        int status;

        int r = posix_spawnp(&pid, "git", NULL, NULL, arguments, environ);
        if (r != 0)
                return diag_set(reterr, (Pos) {}, -r, "cannot run git: %m");
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return diag_set(reterr, (Pos) {}, -errno, "cannot wait for git: %m");
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        return diag_set(reterr, (Pos) {}, -EIO, "git %s failed", arguments[1]);
}

/* All folders above the last one. */
static int make_folders(const char *directory) {
        _cleanup_free_ char *path = strdup(directory);

        if (!path)
                return -ENOMEM;
        for (char *slash = strchr(path + 1, '/'); slash && slash[1]; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

int download_module(const char *url, const char *directory, bool update, Diag *reterr) {
        _cleanup_free_ char *metadata = NULL;
        struct stat st;
        int r;

        if (asprintf(&metadata, "%smetadata.yaml", directory) < 0)
                return -ENOMEM;
        if (setenv("GIT_TERMINAL_PROMPT", "0", 1) < 0 || setenv("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh", 0) < 0)
                return -ENOMEM;

        bool there = stat(directory, &st) >= 0;
        if (there && update)
                r = run_git((char *const[]) { (char *) "git", (char *) "-C", (char *) directory, (char *) "pull", (char *) "--quiet",
                                              (char *) "--ff-only", (char *) "--recurse-submodules", NULL }, reterr);
        else if (there)
                r = 0;
        else {
                r = make_folders(directory);
                if (r < 0)
                        return diag_set(reterr, (Pos) {}, r, "cannot make '%s': %m", directory);
                r = run_git((char *const[]) { (char *) "git", (char *) "clone", (char *) "--quiet", (char *) "--recurse-submodules",
                                              (char *) "--", (char *) url, (char *) directory, NULL }, reterr);
        }
        if (r < 0)
                return r;
        if (stat(metadata, &st) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "'%s' has no metadata.yaml: %m", url);
        return 0;
}
