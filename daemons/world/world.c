/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-world: what resources and programs share, on this host and with others, and the deploys. */

#include <getopt.h>

#include "daemons/world/world-manager.h"

static const struct option options[] = {
        { "copy-of", required_argument, NULL, WORLD_OPTION_COPY_OF },
        {}
};

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "world",
                .doc = "Keeps shared keys, local values and deploys.",
                .kinds = world_kinds,
                .options = options,
                .options_help = "  --copy-of=DIR               begin with a copy of the database in DIR, if there is one\n",
                .option = world_option,
                .start = world_manager_start,
                .stop = world_manager_stop,
        };

        return daemon_main(&spec, argc, argv);
}
