/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-virt: virtual machines and containers for the engine. Everything it does is asked for over its socket by the one that
 * holds the graph; the bus is there to look at. */

#include "daemons/virt/kinds.h"
#include "daemons/virt/virtd.h"

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Virtd *v = userdata;

        if (worker_message(v->worker, c, peer, m))
                return;

        char text[] = "only an engine is served here";
        Message answer = { .type = MESSAGE_ERROR, .error = { .error = -EPROTO, .text = text } };
        (void) channel_send(c, peer, &answer);
}

static int virtd_start(Daemon *d) {
        static const ChannelOps ops = { .message = on_message };
        Virtd *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        d->manager = v;
        v->daemon = d;
        r = virt_manager_init(&v->manager, d->event);
        if (r < 0)
                return r;
        r = worker_new(&v->worker, d->event, virt_kinds, d->state_dir, &v->manager);
        if (r < 0)
                return r;
        if (d->listen_fd >= 0) {
                r = channel_listen(&v->channel, d->event, TAKE_FD(d->listen_fd), &ops, v);
                if (r < 0)
                        return r;
        }
        return virtd_export(v);
}

static void virtd_stop(Daemon *d) {
        Virtd *v = d->manager;

        if (!v)
                return;
        worker_free(v->worker);
        channel_free(v->channel);
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
