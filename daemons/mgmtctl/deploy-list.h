/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The deploys that mgmt-world has kept, newest first, and which one is in force. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sd_bus sd_bus;

typedef struct DeployRow {
        uint64_t id, time_usec, n_files, size_bytes;
        char *source;
        char *hosts;            /* that it is meant for, parted by commas; "": all */
        bool is_signed;
} DeployRow;

typedef struct DeployList {
        DeployRow *rows;
        size_t n;
        bool runs;              /* mgmt-lang, which knows what is in force */
        uint64_t in_force;      /* id, 0: none that was deployed */
} DeployList;

int deploy_list_read(DeployList *ret, sd_bus *bus);     /* errors have been printed */
void deploy_list_done(DeployList *l);
