/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Deploys come from mgmt-world and go to it. What was not answered before a connection was lost is sent again; if it had been
 * stored after all, the same program is stored twice, which does not matter: the newest counts, and they are equal. */

#include "common/ipc/channel.h"
#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/remote.h"
#include "daemons/lang/world-link.h"

struct WorldLink {
        Manager *manager;
        Channel *channel;
        Remote *remote;
        bool watch;
        uint64_t request;       /* number of the last one */
        bool storing;           /* it is not answered yet */
        Value bundle, options;  /* what it stores */
};

static int send_store(WorldLink *l) {
        if (!l->storing || !channel_is_connected(l->channel))
                return 0;       /* on_connected() does it */
        return channel_send(l->channel, 0, &(Message) {
                .type = MESSAGE_DEPLOY_ADD,
                .deploy_add = { .request = l->request, .bundle = l->bundle, .options = l->options },    /* borrowed */
        });
}

void world_link_report(WorldLink *l, const DeployReport *r) {
        if (r->deploy > 0 && channel_is_connected(l->channel))          /* else on_connected() does it */
                (void) channel_send(l->channel, 0, &(Message) {
                        .type = MESSAGE_DEPLOY_STATE,
                        .deploy_state = { .deploy = r->deploy, .state = (char *) deploy_state_name(r->state), .in_force = r->in_force,
                                          .text = r->text },
                });
}

static void store_done(WorldLink *l) {
        l->storing = false;
        value_done(&l->bundle);
        value_done(&l->options);
}

int world_link_store(WorldLink *l, const Deployed *p) {
        int r;

        store_done(l);
        r = deploy_options_to_value(&p->options, &l->options);
        if (r < 0)
                return r;
        l->bundle = value_ref(p->bundle);
        l->request++;
        l->storing = true;
        r = send_store(l);
        if (r < 0 && r != -ENOTCONN) {
                store_done(l);
                return r;
        }
        return 0;
}

static void fail_store(WorldLink *l, int error, const char *text) {
        _cleanup_(diag_done) Diag d = {};

        if (!l->storing)
                return;
        store_done(l);
        diag_set(&d, (Pos) {}, error, "%s", text);
        manager_stored(l->manager, 0, &d);
}

static void on_connected(Channel *c, void *userdata) {
        WorldLink *l = userdata;
        int r;

        r = channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO,
                                            .hello = { .role = (char *) "lang", .hostname = l->manager->hostname } });
        if (r >= 0 && l->watch)
                r = channel_send(c, 0, &(Message) { .type = MESSAGE_DEPLOY_WATCH });
        if (r >= 0)
                world_link_report(l, &l->manager->report);
        if (r >= 0)
                r = send_store(l);
        if (r < 0 && r != -ENOTCONN)
                fail_store(l, r, strerrordesc_np(-r));
        remote_connected(l->remote, c);
}

static void on_disconnected(Channel *c, void *userdata) {
        remote_disconnected(((WorldLink *) userdata)->remote);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        remote_room(((WorldLink *) userdata)->remote);
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        WorldLink *l = userdata;

        if (remote_message(l->remote, m))
                return;
        switch (m->type) {
        case MESSAGE_WELCOME:
                break;
        case MESSAGE_DEPLOY_ADDED:
                if (!l->storing || m->deploy_added.request != l->request)
                        break;
                store_done(l);
                manager_stored(l->manager, m->deploy_added.deploy, &m->deploy_added.diag);
                break;
        case MESSAGE_DEPLOY:
                manager_deployed(l->manager, m->deploy.deploy, m->deploy.bundle, m->deploy.options);
                break;
        case MESSAGE_ERROR:
                log_warning(m->error.error < 0 ? m->error.error : -EPROTO, "mgmt-world: %s", m->error.text ?: "refused");
                fail_store(l, m->error.error < 0 ? m->error.error : -EPROTO, m->error.text ?: "refused");
                break;
        default:
                log_warning(-EBADMSG, "unexpected message %s from mgmt-world, ignoring", message_name(m->type) ?: "?");
        }
}

static const ChannelOps link_ops = {
        .message = on_message, .connected = on_connected, .disconnected = on_disconnected, .room = on_room,
};

int world_link_new(WorldLink **ret, Manager *m, bool watch) {
        _cleanup_free_ char *socket = path_socket("world");
        int r;

        _cleanup_(world_link_freep) WorldLink *l = calloc(1, sizeof(*l));
        if (!l || !socket)
                return -ENOMEM;
        *l = (WorldLink) { .manager = m, .watch = watch };
        r = remote_new(&l->remote, "world");
        if (r < 0)
                return r;
        r = channel_connect(&l->channel, m->event, socket, &link_ops, l);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

WorldLink *world_link_free(WorldLink *l) {
        if (!l)
                return NULL;
        channel_free(l->channel);
        remote_free(l->remote);
        store_done(l);
        free(l);
        return NULL;
}

Remote *world_link_remote(WorldLink *l) {
        return l->remote;
}
