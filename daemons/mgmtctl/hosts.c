/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A sorted table that follows the messages. */

#include <sys/utsname.h>

#include "common/ipc/channel.h"
#include "common/paths.h"
#include "daemons/mgmtctl/hosts.h"

struct Hosts {
        Channel *channel;
        HostRow *rows;
        size_t n, capacity;
        const HostsOps *ops;
        void *userdata;
};

/* Where it is, or would be. */
static size_t place(const Hosts *h, const char *name) {
        size_t low = 0, high = h->n;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (strcmp(h->rows[middle].name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static void remove_at(Hosts *h, size_t i) {
        free(h->rows[i].name);
        free(h->rows[i].text);
        memmove(&h->rows[i], &h->rows[i + 1], (h->n - i - 1) * sizeof(*h->rows));
        h->n--;
}

static HostRow *get_row(Hosts *h, const char *name) {
        size_t i = place(h, name);

        if (i < h->n && streq(h->rows[i].name, name))
                return &h->rows[i];
        char *copy = strdup(name);
        if (!copy || GROW(h->rows, h->n, h->capacity) < 0) {
                free(copy);
                return NULL;
        }
        memmove(&h->rows[i + 1], &h->rows[i], (h->n - i) * sizeof(*h->rows));
        h->rows[i] = (HostRow) { .name = copy };
        h->n++;
        return &h->rows[i];
}

static void on_state(Hosts *h, const Message *m) {
        const char *name = m->host_state.host ?: "";
        size_t i = place(h, name);
        HostRow *row;

        if (!m->host_state.state) {
                if (i < h->n && streq(h->rows[i].name, name))
                        remove_at(h, i);
                return;
        }
        row = get_row(h, name);
        if (!row)
                return;
        char *text = strdup(m->host_state.text ?: "");
        free(row->text);
        row->text = text;
        row->deploy = m->host_state.deploy;
        row->state = deploy_state_from_name(m->host_state.state);
        row->seen = true;
        h->ops->changed(h, row, h->userdata);
}

static void on_told(Hosts *h) {
        for (size_t i = h->n; i > 0; i--) {
                if (!h->rows[i - 1].seen)
                        remove_at(h, i - 1);
                else
                        h->rows[i - 1].seen = false;
        }
        h->ops->told(h, h->userdata);
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Hosts *h = userdata;

        switch (m->type) {
        case MESSAGE_HOST_STATE:
                on_state(h, m);
                break;
        case MESSAGE_HOSTS_TOLD:
                on_told(h);
                break;
        case MESSAGE_ERROR:
                h->ops->refused(h, m->error.text ?: strerrordesc_np(-m->error.error), h->userdata);
                break;
        default:
                break;
        }
}

static void on_connected(Channel *c, void *userdata) {
        Hosts *h = userdata;
        struct utsname host = {};
        int r;

        (void) uname(&host);
        for (size_t i = 0; i < h->n; i++)
                h->rows[i].seen = false;
        r = channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "mgmtctl", .hostname = host.nodename } });
        if (r >= 0)
                r = channel_send(c, 0, &(Message) { .type = MESSAGE_HOSTS_WATCH });
        if (r < 0 && r != -ENOTCONN)
                h->ops->refused(h, strerrordesc_np(-r), h->userdata);
}

static void on_disconnected(Channel *c, void *userdata) {}     /* it comes back, and tells all of it again */

static const ChannelOps channel_ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

int hosts_new(Hosts **ret, sd_event *event, const HostsOps *ops, void *userdata) {
        _cleanup_free_ char *socket = path_socket("world");
        _cleanup_(hosts_freep) Hosts *h = calloc(1, sizeof(*h));
        int r;

        if (!h || !socket)
                return -ENOMEM;
        *h = (Hosts) { .ops = ops, .userdata = userdata };
        if (access(socket, W_OK) < 0)
                return -errno;
        r = channel_connect(&h->channel, event, socket, &channel_ops, h);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(h);
        return 0;
}

Hosts *hosts_free(Hosts *h) {
        if (!h)
                return NULL;
        channel_free(h->channel);
        while (h->n > 0)
                remove_at(h, h->n - 1);
        free(h->rows);
        free(h);
        return NULL;
}

const HostRow *hosts_rows(const Hosts *h, size_t *ret_n) {
        *ret_n = h->n;
        return h->rows;
}

const HostRow *hosts_find(const Hosts *h, const char *name) {
        size_t i = place(h, name);

        return i < h->n && streq(h->rows[i].name, name) ? &h->rows[i] : NULL;
}
