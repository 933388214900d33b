/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the two ends of `mgmtctl remote` read of each other: frames, among them those of connections, and what a client of the proxy
 * says. */

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "common/remote/mux.h"
#include "daemons/remote/socks.h"

static void on_send(const char *data, size_t size, void *userdata) {
        if (size < FRAME_HEADER_SIZE)
                abort();
}

static void on_frame(const Frame *f, void *userdata) {
        if (f->type >= FRAME_OPEN)
                abort();
}

/* Every other one gets a connection, the rest is refused, now or later. */
static void on_open(MuxStream *s, const char *target, void *userdata) {
        unsigned *n = userdata;
        int fds[2];

        switch ((*n)++ % 3) {
        case 0:
                if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
                        break;
                (void) close(fds[1]);
                (void) mux_accept(s, fds[0]);
                break;
        case 1:
                mux_close(s);
                break;
        }
}

static void on_opened(MuxStream *s, void *userdata) {
        mux_close(s);
}

static void on_closed(MuxStream *s, void *userdata) {
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const MuxOps ops = { .send = on_send, .frame = on_frame, .open = on_open, .opened = on_opened, .closed = on_closed };
        char target[MUX_TARGET_MAX];
        sd_event *event = NULL;
        MuxStream *s;
        Mux *m = NULL;
        unsigned n = 0;
        size_t used;

        if (socks_parse_greeting((const char *) data, size, &used) > 0 && used > size)
                abort();
        if (socks_parse_request((const char *) data, size, &used, target) > 0 && (used > size || strlen(target) >= sizeof(target)))
                abort();
        if (sd_event_new(&event) < 0 || mux_new(&m, event, &ops, &n) < 0)
                abort();
        if (size > 0 && data[0] == FRAME_OPENED)
                (void) mux_open(m, "a:1", NULL, &s);
        if (mux_input(m, (const char *) data, size / 2) >= 0) {
                (void) sd_event_run(event, 0);
                (void) mux_input(m, (const char *) data + size / 2, size - size / 2);
                (void) sd_event_run(event, 0);
        }
        mux_free(m);
        sd_event_unref(event);
        return 0;
}
