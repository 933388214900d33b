/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-http: web servers (and later clients) for the engine. Everything it does is asked for over its socket by the one that
 * holds the graph; the bus is there to look at. */

#include <sys/resource.h>

#include "common/sd/log.h"
#include "daemons/http/kinds.h"
#include "daemons/http/httpd.h"

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Httpd *h = userdata;

        if (worker_message(h->worker, c, peer, m))
                return;

        char text[] = "only an engine is served here";
        Message answer = { .type = MESSAGE_ERROR, .error = { .error = -EPROTO, .text = text } };
        (void) channel_send(c, peer, &answer);
}

/* Every connection is a descriptor. Nothing in here uses select(), so the old soft limit protects nobody. */
static void raise_file_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static int httpd_start(Daemon *d) {
        static const ChannelOps ops = { .message = on_message };
        Httpd *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        d->manager = h;
        h->daemon = d;
        raise_file_limit();
        r = http_manager_init(&h->manager, d->event);
        if (r < 0)
                return r;
        r = worker_new(&h->worker, d->event, http_kinds, d->state_dir, &h->manager);
        if (r < 0)
                return r;
        if (d->listen_fd >= 0) {
                r = channel_listen(&h->channel, d->event, TAKE_FD(d->listen_fd), &ops, h);
                if (r < 0)
                        return r;
        }
        return httpd_export(h);
}

static void httpd_stop(Daemon *d) {
        Httpd *h = d->manager;

        if (!h)
                return;
        worker_free(h->worker);
        channel_free(h->channel);
        http_manager_done(&h->manager);
        free(h);
        d->manager = NULL;
}

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "http",
                .doc = "Web servers for mgmt-engine",
                .kinds = http_kinds,
                .start = httpd_start,
                .stop = httpd_stop,
        };

        return daemon_main(&spec, argc, argv);
}
