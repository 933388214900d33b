/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl deploy`: a program becomes what this machine is to be, from now on and after a reboot. */

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/program.h"

static ProgramOptions arg_program = { .deploy = { .autoedge = true, .autogroup = true } };

static const Option deploy_options[] = {
        { "noop", OPTION_FLAG, &arg_program.deploy.noop, .doc = "check everything, change nothing" },
        { "sema", OPTION_INT, &arg_program.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time" },
        { "no-autoedges", OPTION_CLEAR, &arg_program.deploy.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_program.deploy.autogroup, .doc = "no grouping" },
        { "sign", OPTION_STR, &arg_program.sign, "KEY", "MGMT_SIGN_KEY",
          .doc = "sign it with this SSH key, ed25519 (a .pub file: ssh-agent has the rest)" },
        { "module-path", OPTION_STR, &arg_program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

static int run_deploy(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(program_done) Program p = { .fd = -EBADF };

        if (program_load(&p, arguments[0], &arg_program) < 0 || ctl_open_bus(&bus) < 0)
                return EXIT_ERROR;
        return program_deploy(&p, bus);
}

const Command command_deploy = {
        .name = "deploy",
        .arguments = "INPUT",
        .doc = "Make a program what this machine is to be, now and after a reboot",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' or mcl code. It is compiled here first; a program with\n"
                "errors is not deployed, and the one before stays in force.\n",
        .options = deploy_options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_deploy,
};
