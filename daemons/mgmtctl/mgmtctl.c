/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmtctl: all commands. */

#include <stddef.h>

#include "daemons/mgmtctl/ctl.h"

#define COMMAND(c) extern const Command command_##c;
#include "daemons/mgmtctl/commands.def"
#undef COMMAND

static const Command *const commands[] = {
#define COMMAND(c) &command_##c,
#include "daemons/mgmtctl/commands.def"
#undef COMMAND
        NULL
};

int main(int argc, char *argv[]) {
        return ctl_main(commands, argc, argv);
}
