/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl deploy`: a program becomes what this machine is to be, from now on and after a reboot. */

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"
#include "daemons/mgmtctl/rollout.h"

static ProgramOptions arg_program = { .deploy = { .autoedge = true, .autogroup = true } };
static RolloutOptions arg_rollout = { .wait_sec = 300 };

static const Option deploy_options[] = {
        { "noop", OPTION_FLAG, &arg_program.deploy.noop, .doc = "check everything, change nothing" },
        { "sema", OPTION_INT, &arg_program.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time" },
        { "no-autoedges", OPTION_CLEAR, &arg_program.deploy.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_program.deploy.autogroup, .doc = "no grouping" },
        { "sign", OPTION_STR, &arg_program.sign, "KEY", "MGMT_SIGN_KEY",
          .doc = "sign it with this SSH key, ed25519 (a .pub file: ssh-agent has the rest)" },
        { "canary", OPTION_STR, &arg_rollout.canary, "HOSTS", .doc = "these hosts of the cluster first (a number, or names), then all" },
        { "max-failing", OPTION_INT, &arg_rollout.max_failing, "M", .min = 0, .max = INT32_MAX,
          .doc = "with --canary: so many of them may fail [0]" },
        { "wait", OPTION_INT, &arg_rollout.wait_sec, "S", .min = 1, .max = 7 * 24 * 3600,
          .doc = "with --canary: who has not converged after S seconds has failed [300]" },
        { "module-path", OPTION_STR, &arg_program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

/* A number of hosts, or names that are not empty. */
static bool canary_is_valid(const char *text) {
        size_t n = strlen(text);

        if (strspn(text, "0123456789") == n)
                return n > 0 && n < 8 && strtoul(text, NULL, 10) > 0;
        return text[0] != ',' && text[n - 1] != ',' && !strstr(text, ",,");
}

static int run_deploy(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(program_done) Program p = { .fd = -EBADF };

        if (arg_rollout.canary && !canary_is_valid(arg_rollout.canary)) {
                output_error("--canary is a number of hosts or their names, parted by commas, got '%s'", arg_rollout.canary);
                return EXIT_ERROR;
        }
        if (arg_rollout.canary)         /* each stage is signed by itself */
                arg_rollout.sign = TAKE_PTR(arg_program.sign);
        if (program_load(&p, arguments[0], &arg_program) < 0 || ctl_open_bus(&bus) < 0)
                return EXIT_ERROR;
        return arg_rollout.canary ? rollout_run(&p, bus, &arg_rollout) : program_deploy(&p, bus);
}

const Command command_deploy = {
        .name = "deploy",
        .arguments = "INPUT",
        .doc = "Make a program what this machine is to be, now and after a reboot",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' or mcl code. It is compiled here first; a program with\n"
                "errors is not deployed, and the one before stays in force. In a cluster (docs/deploys.md) all hosts take it.\n\n"
                "With --canary the first HOSTS by name, this one like any other, take it first. When all of them have converged, but for\n"
                "at most M, it is released to all hosts; when more than M have failed, they go back to the deploy before, and nobody else\n"
                "has seen it.\n",
        .options = deploy_options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_deploy,
};
