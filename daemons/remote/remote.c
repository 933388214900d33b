/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-remote: what mgmt-ssh starts on another host, in a directory of its own. For nobody else to start.
 *
 *      mgmt-remote DIRECTORY                   runs mgmtctl as it is told, and removes the directory at the end
 *      mgmt-remote run keep|remove DIRECTORY   the same for a directory that others may come for: it is locked
 *      mgmt-remote start keep|remove DIRECTORY has mgmtctl run there without anybody being connected, and says when it ends
 *      mgmt-remote watch DIRECTORY             only says when it ends
 *      mgmt-remote stay keep|remove DIRECTORY  (of start: that one)
 *      mgmt-remote look DIRECTORY              whether one runs: 0, or 3
 *      mgmt-remote stop DIRECTORY              ends the one that runs: 0; 3 if there is none */

#include <stdio.h>
#include <sys/stat.h>

#include "common/macro.h"
#include "daemons/remote/agent.h"
#include "daemons/remote/keeper.h"
#include "daemons/remote/lock.h"

enum {
        SILENCE_SEC = 20,
        EXIT_USAGE = 2,
        EXIT_IDLE = 3,          /* nothing runs there */
};

typedef struct Request {
        const char *directory;
        bool locks, removes;
} Request;

/* It may be removed, so it must be ours beyond doubt. */
static bool is_private(const char *path) {
        const char *name = strrchr(path, '/');
        struct stat st;

        return path[0] == '/' && startswith(name, "/mgmt-remote-") && lstat(path, &st) >= 0 && S_ISDIR(st.st_mode) &&
                st.st_uid == geteuid() && (st.st_mode & 07777) == 0700;
}

static int complain(const Request *q, const char *doing, int error) {
        fprintf(stderr, "mgmt-remote: cannot %s '%s': %s\n", doing, q->directory, strerrordesc_np(-error));
        return EXIT_FAILURE;
}

static int run_agent(const Request *q, AgentMode mode) {
        return agent_run(&(AgentSpec) { .mode = mode, .directory = q->directory, .removes = q->removes, .input = STDIN_FILENO,
                                        .output = STDOUT_FILENO, .silence_sec = SILENCE_SEC });
}

static int run(const Request *q) {
        int r = q->locks ? lock_take(q->directory) : 0;

        if (r == -EBUSY) {
                fprintf(stderr, "another mgmt runs in '%s'\n", q->directory);
                return EXIT_FAILURE;
        }
        if (r < 0)
                return complain(q, "lock", r);
        int code = run_agent(q, AGENT_RUN);
        r = keeper_clean(q->directory, q->removes);
        return r < 0 ? complain(q, "remove", r) : code;
}

static int start(const Request *q) {
        return run_agent(q, AGENT_START);
}

static int watch(const Request *q) {
        return run_agent(q, AGENT_WATCH);
}

static int stay(const Request *q) {
        return keeper_start(q->directory, q->removes);
}

static int look(const Request *q) {
        _cleanup_close_ int pidfd = -EBADF;
        int r = lock_holder(q->directory, &pidfd);

        return r < 0 ? complain(q, "look at", r) : r > 0 ? EXIT_SUCCESS : EXIT_IDLE;
}

static int stop(const Request *q) {
        int r = lock_stop(q->directory);

        return r < 0 ? complain(q, "stop what runs in", r) : r > 0 ? EXIT_SUCCESS : EXIT_IDLE;
}

static const struct {
        const char *name;
        bool has_end;           /* it is said what becomes of the directory */
        int (*run)(const Request *q);
} modes[] = {
        { "run", true, run }, { "start", true, start }, { "watch", false, watch }, { "stay", true, stay }, { "look", false, look },
        { "stop", false, stop },
};

int main(int argc, char *argv[]) {
        const char *directory = argc > 1 ? argv[argc - 1] : "";

        if (argc > 1 && is_private(directory)) {
                if (argc == 2)
                        return run(&(Request) { .directory = directory, .removes = true });
                for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                        if (streq(argv[1], modes[i].name) && argc == (modes[i].has_end ? 4 : 3))
                                return modes[i].run(&(Request) { .directory = directory, .locks = true,
                                                                 .removes = modes[i].has_end && streq(argv[2], "remove") });
        }
        fprintf(stderr, "usage: mgmt-remote [MODE [keep|remove]] DIRECTORY (mgmt-ssh starts it)\n");
        return EXIT_USAGE;
}
