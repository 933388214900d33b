/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-world: what resources and programs share, on this host and with others, and the deploys. */

#include <getopt.h>

#include "daemons/world/world-manager.h"

static const struct option options[] = {
        { "copy-of", required_argument, NULL, WORLD_OPTION_COPY_OF },
        { "store", required_argument, NULL, WORLD_OPTION_STORE },
        { "converger-timeout", required_argument, NULL, WORLD_OPTION_CONVERGER_TIMEOUT },
        {}
};

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "world",
                .doc = "Keeps shared keys, local values and deploys.",
                .kinds = world_kinds,
                .options = options,
                .options_help = "  --copy-of=DIR               begin with a copy of the database in DIR, if there is one\n"
                                "  --store=URI                 what hosts share is kept in sqlite: (on this host alone) or\n"
                                "                              etcd:https://HOST:2379,… [$MGMT_STORE]\n"
                                "  --converger-timeout=S       what runs on other hosts ends after S quiet seconds\n",
                .option = world_option,
                .start = world_manager_start,
                .stop = world_manager_stop,
        };

        return daemon_main(&spec, argc, argv);
}
