/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-http: servers on the network for the engine, and clients later: HTTP, TFTP, DHCP. Everything it does is asked for over its socket
 * by the one that holds the graph; the bus is there to look at. */

#include "common/sd/child.h"
#include "daemons/http/kinds.h"
#include "daemons/http/http.h"
#include "daemons/http/response.h"

static int httpd_start(Daemon *d) {
        Httpd *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        d->manager = h;
        h->daemon = d;
        r = child_raise_files_limit();          /* connections */
        if (r < 0)
                return r;
        r = http_manager_init(&h->manager, d->event);
        if (r < 0)
                return r;
        h->manager.bus = &d->bus;
        r = worker_serve(&h->worker, d, http_kinds, http_functions, &h->manager);
        if (r < 0)
                return r;
        return httpd_export(h);
}

static void httpd_stop(Daemon *d) {
        Httpd *h = d->manager;

        if (!h)
                return;
        worker_free(h->worker);
        http_manager_done(&h->manager);
        free(h);
        d->manager = NULL;
}

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "http",
                .doc = "Servers on the network for mgmt-engine",
                .kinds = http_kinds,
                .start = httpd_start,
                .stop = httpd_stop,
        };

        return daemon_main(&spec, argc, argv);
}
