/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The whole of one mgmt-virt process. */

#include "common/ipc/worker.h"
#include "common/sd/daemon.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/docker.h"

typedef struct Virtd {
        Daemon *daemon;
        VirtManager manager;
        Docker *docker;
        Worker *worker;
} Virtd;

int virtd_export(Virtd *v);             /* puts it on the bus */
