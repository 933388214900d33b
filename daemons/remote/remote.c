/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-remote: started by `mgmtctl remote` over SSH, in a directory made for this one run, which it removes at the end. For nobody else
 * to start. */

#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/macro.h"
#include "daemons/remote/agent.h"

enum { SILENCE_SEC = 20 };

/* It will be removed, so it must be ours beyond doubt. */
static bool is_private(const char *path) {
        const char *name = strrchr(path, '/');
        struct stat st;

        return path[0] == '/' && startswith(name, "/mgmt-remote-") && lstat(path, &st) >= 0 && S_ISDIR(st.st_mode) &&
                st.st_uid == geteuid() && (st.st_mode & 07777) == 0700;
}

int main(int argc, char *argv[]) {
        if (argc != 2 || !is_private(argv[1])) {
                fprintf(stderr, "usage: mgmt-remote DIRECTORY (mgmtctl remote starts it)\n");
                return 2;
        }
        int code = agent_run(&(AgentSpec) { .directory = argv[1], .input = STDIN_FILENO, .output = STDOUT_FILENO,
                                            .silence_sec = SILENCE_SEC });
        int r = remove_tree(argv[1]);
        if (r < 0) {
                fprintf(stderr, "mgmt-remote: cannot remove '%s': %s\n", argv[1], strerrordesc_np(-r));
                return EXIT_FAILURE;
        }
        return code;
}
