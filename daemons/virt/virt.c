/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-virt: virtual machines and containers for the engine. Everything it does is asked for over its socket by the one that
 * holds the graph; the bus is there to look at. */

#include "daemons/virt/kinds.h"
#include "daemons/virt/virt.h"

static int virtd_start(Daemon *d) {
        Virtd *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        d->manager = v;
        v->daemon = d;
        r = virt_manager_init(&v->manager, d->event);
        if (r < 0)
                return r;
        v->manager.bus = &d->bus;
        r = docker_new(&v->docker, d->event, v->manager.paths, getenv("MGMT_DOCKER_SOCKET") ?: DOCKER_SOCKET);
        if (r < 0)
                return r;
        if (streq(docker_socket(v->docker), DOCKER_SOCKET))
                docker_set_bus(v->docker, &d->bus);
        v->manager.docker = v->docker;
        r = worker_serve(&v->worker, d, virt_kinds, NULL, &v->manager);
        if (r < 0)
                return r;
        return virtd_export(v);
}

static void virtd_stop(Daemon *d) {
        Virtd *v = d->manager;

        if (!v)
                return;
        worker_free(v->worker);
        docker_free(v->docker);
        virt_manager_done(&v->manager);
        free(v);
        d->manager = NULL;
}

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "virt",
                .doc = "Virtual machines and containers for mgmt-engine",
                .kinds = virt_kinds,
                .start = virtd_start,
                .stop = virtd_stop,
        };

        return daemon_main(&spec, argc, argv);
}
