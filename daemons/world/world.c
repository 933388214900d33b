/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-world: what resources and programs share, on this host and with others, and the deploys. */

#include "daemons/world/world-manager.h"

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "world",
                .doc = "Keeps shared keys, local values and deploys.",
                .kinds = world_kinds,
                .start = world_manager_start,
                .stop = world_manager_stop,
        };

        return daemon_main(&spec, argc, argv);
}
