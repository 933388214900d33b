/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl remote`: becomes mgmt-ssh (remote.c), so that no other command, nor what one starts, is loaded with all that SSH needs. */

#include <unistd.h>

#include "common/paths.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/remote-options.h"
#include "common/remote/target.h"

RemoteOptions arg_remote = {
        .program = { .deploy = { .autoedge = true, .autogroup = true } },
        .converger_timeout = -1,
        .sema = -1,
        .parallel = 10,
};

static const Option remote_options[] = {
        { "identity", OPTION_STR, &arg_remote.identity, "FILE", .letter = 'i', .doc = "a private key to log in with" },
        { "known-hosts", OPTION_STR, &arg_remote.known_hosts, "FILE", .doc = "the keys of hosts, in place of ssh's" },
        { "parallel", OPTION_INT, &arg_remote.parallel, "N", .min = 1, .max = REMOTE_TARGETS_MAX, .doc = "set up N hosts at a time (10)" },
        { "converger-timeout", OPTION_INT, &arg_remote.converger_timeout, "S", .min = -1, .max = INT32_MAX, .doc = "converged after S quiet seconds" },
        { "converged-exit", OPTION_FLAG, &arg_remote.converged_exit, .doc = "end on each host when it has converged" },
        { "max-runtime", OPTION_INT, &arg_remote.max_runtime, "S", .min = 0, .max = INT32_MAX, .doc = "end after S seconds, as an error" },
        { "noop", OPTION_FLAG, &arg_remote.program.deploy.noop, .doc = "check everything, change nothing" },
        { "sema", OPTION_INT, &arg_remote.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time on each host" },
        { "no-autoedges", OPTION_CLEAR, &arg_remote.program.deploy.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_remote.program.deploy.autogroup, .doc = "no grouping" },
        { "module-path", OPTION_STR, &arg_remote.program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_remote.program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_remote.program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

static int run_remote(char *arguments[], int n) {
        _cleanup_free_ char *program = path_daemon("ssh");

        if (program)
                (void) execv(program, ctl_words);
        output_error("cannot run '%s': %s", program ?: "mgmt-ssh", strerrordesc_np(errno));
        return EXIT_ERROR;
}

const Command command_remote = {
        .name = "remote",
        .arguments = "HOST[,HOST…] INPUT",
        .doc = "Run a program on other hosts, over SSH, and leave nothing there",
        .help = "HOST is [NAME=][USER@]HOST[:PORT]; @FILE has one a line. INPUT is what 'mgmtctl run' takes.\n\n"
                "Hosts are known by known_hosts only, and log in is by key. Nothing of mgmt needs to be installed there. A cluster that is\n"
                "named by $MGMT_STORE is reached through this connection.\n",
        .options = remote_options,
        .min_arguments = 2,
        .max_arguments = 2,
        .run = run_remote,
};
