/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The whole of one mgmt-http process. */

#include "common/ipc/worker.h"
#include "common/sd/daemon.h"
#include "daemons/http/http-manager.h"

typedef struct Httpd {
        Daemon *daemon;
        HttpManager manager;
        Worker *worker;
} Httpd;

int httpd_export(Httpd *h);             /* puts it on the bus */
