/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages of libvirt's protocol: a length that includes itself, six numbers, and what belongs to the call; all numbers have four bytes
 * and begin with the high one. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <libvirt/virterror.h>
#include <systemd/sd-event.h>

#include "common/macro.h"
#include "tests/daemons/virt/fake-libvirt.h"

enum {
        PROCEDURE_OPEN = 1,
        PROCEDURE_CLOSE = 2,
        PROCEDURE_LOOKUP_DOMAIN = 23,
        PROCEDURE_SUPPORTS_FEATURE = 60,
        PROCEDURE_AUTH_LIST = 66,
        PROCEDURE_DOMAIN_EVENTS = 167,
};

enum { LENGTH, PROGRAM, VERSION, PROCEDURE, TYPE, SERIAL, STATUS, N_HEADER };

typedef struct Message {
        uint32_t words[64];
        size_t n;
} Message;

static void put(Message *m, uint32_t word) {
        m->words[m->n++] = htonl(word);
}

static void put_error(Message *m, int code, const char *text) {
        size_t size = strlen(text);

        put(m, (uint32_t) code);
        put(m, VIR_FROM_REMOTE);
        put(m, 1);                      /* there is a text */
        put(m, (uint32_t) size);
        m->words[m->n + size / 4] = 0;
        memcpy(m->words + m->n, text, size);
        m->n += (size + 3) / 4;
        put(m, VIR_ERR_ERROR);
        for (unsigned i = 0; i < 7; i++)
                put(m, 0);              /* no domain, three texts, two numbers, no network */
}

static void answer(FakeLibvirt *f, Message *m, uint32_t procedure) {
        m->words[STATUS] = 0;
        switch (procedure) {
        case PROCEDURE_OPEN:
        case PROCEDURE_CLOSE:
        case PROCEDURE_DOMAIN_EVENTS:
                return;
        case PROCEDURE_SUPPORTS_FEATURE:
                put(m, 0);
                return;
        case PROCEDURE_AUTH_LIST:
                if (f->mood == FAKE_LIBVIRT_REFUSES)
                        break;
                put(m, 1);
                put(m, 0);              /* no log-in is needed */
                return;
        case PROCEDURE_LOOKUP_DOMAIN:
                f->n_lookups++;
                break;
        default:
                break;
        }
        m->words[STATUS] = htonl(1);
        if (procedure == PROCEDURE_LOOKUP_DOMAIN)
                put_error(m, VIR_ERR_NO_DOMAIN, "no such domain");
        else if (procedure == PROCEDURE_AUTH_LIST)
                put_error(m, VIR_ERR_AUTH_FAILED, "go away");
        else
                put_error(m, VIR_ERR_NO_SUPPORT, "not here");
}

static void client_close(FakeLibvirt *f, size_t i) {
        f->client_sources[i] = sd_event_source_disable_unref(f->client_sources[i]);
        (void) close(f->clients[i]);
        f->clients[i] = -1;
}

static bool read_all(int fd, void *data, size_t size) {
        for (size_t n = 0; n < size;) {
                ssize_t k = read(fd, (char *) data + n, size - n);

                if (k <= 0)
                        return false;
                n += (size_t) k;
        }
        return true;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        FakeLibvirt *f = userdata;
        Message m = { .n = N_HEADER };
        char rest[4096];
        uint32_t size;
        size_t i = 0;

        while (f->clients[i] != fd)
                i++;
        if (!read_all(fd, m.words, N_HEADER * 4) || (size = ntohl(m.words[LENGTH])) < N_HEADER * 4 || size > sizeof(rest) ||
            !read_all(fd, rest, size - N_HEADER * 4)) {
                client_close(f, i);
                return 0;
        }
        if (f->mood == FAKE_LIBVIRT_SILENT)
                return 0;
        m.words[TYPE] = htonl(1);
        answer(f, &m, ntohl(m.words[PROCEDURE]));
        m.words[LENGTH] = htonl(f->mood == FAKE_LIBVIRT_LIES ? UINT32_MAX : (uint32_t) m.n * 4);
        size = f->mood == FAKE_LIBVIRT_CUTS ? 10 : (uint32_t) m.n * 4;
        if (send(fd, m.words, size, MSG_NOSIGNAL) < 0 || f->mood == FAKE_LIBVIRT_CUTS)
                client_close(f, i);
        return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        FakeLibvirt *f = userdata;
        size_t i = 0;

        while (i < FAKE_LIBVIRT_CLIENTS_MAX && f->clients[i] >= 0)
                i++;
        if (i == FAKE_LIBVIRT_CLIENTS_MAX)
                abort();
        f->clients[i] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        if (f->clients[i] < 0 || sd_event_add_io(f->event, &f->client_sources[i], f->clients[i], EPOLLIN, on_client, f) < 0)
                abort();
        f->n_connections++;
        if (f->mood == FAKE_LIBVIRT_HANGS_UP)
                client_close(f, i);
        return 0;
}

void fake_libvirt_new(FakeLibvirt *f, sd_event *event) {
        *f = (FakeLibvirt) { .event = sd_event_ref(event), .listener = -1, .folder = "/tmp/fake-libvirt-XXXXXX" };
        for (size_t i = 0; i < FAKE_LIBVIRT_CLIENTS_MAX; i++)
                f->clients[i] = -1;
        if (!mkdtemp(f->folder))
                abort();
        (void) snprintf(f->path, sizeof(f->path), "%s/libvirt-sock", f->folder);
        (void) snprintf(f->uri, sizeof(f->uri), "\"qemu+unix:///system?socket=%s\"", f->path);
}

void fake_libvirt_listen(FakeLibvirt *f) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (f->listener < 0 || bind(f->listener, (const struct sockaddr *) &address, sizeof(address)) < 0 || listen(f->listener, 8) < 0 ||
            sd_event_add_io(f->event, &f->source, f->listener, EPOLLIN, on_connection, f) < 0)
                abort();
}

void fake_libvirt_stop(FakeLibvirt *f) {
        for (size_t i = 0; i < FAKE_LIBVIRT_CLIENTS_MAX; i++)
                if (f->clients[i] >= 0)
                        client_close(f, i);
        f->source = sd_event_source_disable_unref(f->source);
        if (f->listener >= 0)
                (void) close(f->listener);
        f->listener = -1;
        (void) unlink(f->path);
}

void fake_libvirt_free(FakeLibvirt *f) {
        fake_libvirt_stop(f);
        (void) rmdir(f->folder);
        sd_event_unref(f->event);
}
