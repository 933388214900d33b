/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Channels over real sockets. Most cases have both ends in one loop; the listener that is killed runs in a process of its own
 * (this program with --listener), and peers that misbehave are bare ZeroMQ or AF_UNIX sockets. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <zmq.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/ipc/channel.h"
#include "tests/test.h"

#define SECOND UINT64_C(1000000)

/* ---- one end, and what happened to it ---- */

typedef struct End {
        Channel *channel;
        unsigned n_messages, n_hellos, n_errors, n_connected, n_disconnected, n_gone, n_room;
        PeerId last_peer;
        uint64_t next;          /* GRAPH_ACCEPTED messages are numbered: the one that has to come */
        bool out_of_order;
        size_t last_size;       /* of the value of a TASK_SEND */
        int last_error;
        bool answer_hello, free_on_message;
        unsigned answers;       /* numbered messages to send when HELLO comes */
} End;

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        End *e = userdata;

        e->n_messages++;
        e->last_peer = peer;
        if (m->type == MESSAGE_HELLO) {
                e->n_hellos++;
                if (e->answer_hello)
                        (void) channel_send(c, peer, &(Message) { .type = MESSAGE_WELCOME });
                for (unsigned i = 0; i < e->answers; i++)
                        (void) channel_send(c, peer, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED, .graph_accepted.generation = i });
        } else if (m->type == MESSAGE_GRAPH_ACCEPTED) {
                if (m->graph_accepted.generation != e->next)
                        e->out_of_order = true;
                e->next++;
        } else if (m->type == MESSAGE_TASK_SEND)
                e->last_size = m->task_send.value.kind == TYPE_STR ? m->task_send.value.s->size : 0;
        else if (m->type == MESSAGE_ERROR) {
                e->n_errors++;
                e->last_error = m->error.error;
        }
        if (e->free_on_message)
                e->channel = channel_free(c);
}

static void on_connected(Channel *c, void *userdata) {
        End *e = userdata;

        e->n_connected++;
        (void) channel_send(c, 0, &(Message) { .type = MESSAGE_HELLO, .hello.role = (char *) "test" });
}

static void on_disconnected(Channel *c, void *userdata) {
        ((End *) userdata)->n_disconnected++;
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        ((End *) userdata)->n_gone++;
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        ((End *) userdata)->n_room++;
}

static const ChannelOps ops = {
        .message = on_message,
        .connected = on_connected,
        .disconnected = on_disconnected,
        .gone = on_gone,
        .room = on_room,
};

static int send_numbered(Channel *c, PeerId peer, uint64_t i) {
        return channel_send(c, peer, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED, .graph_accepted.generation = i });
}

/* ---- a place for the socket, and the loop ---- */

typedef struct Place {
        char directory[64], path[96];
        sd_event *event;
} Place;

static void place_done(Place *p) {
        sd_event_unref(p->event);
        (void) remove_tree(p->directory);
}

static bool place_init(Place *p) {
        *p = (Place) { .directory = "/tmp/test-channel-XXXXXX" };
        if (!mkdtemp(p->directory) || sd_event_new(&p->event) < 0)
                return false;
        snprintf(p->path, sizeof(p->path), "%s/x.sock", p->directory);
        return true;
}

static struct sockaddr_un address_of(const char *path) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        return a;
}

static int listen_at(const char *path) {
        struct sockaddr_un a = address_of(path);
        int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 64) < 0)
                return -1;
        return fd;
}

static int open_listener(Place *p, End *e) {
        return channel_listen(&e->channel, p->event, listen_at(p->path), &ops, e);
}

static uint64_t now_usec(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * SECOND + (uint64_t) t.tv_nsec / 1000;
}

/* Runs the loop until the condition holds, at most for so many seconds. */
#define RUN_UNTIL(place, condition, seconds) \
        ({ \
                uint64_t _end = now_usec() + (uint64_t) ((seconds) * 1e6); \
                bool _holds; \
                while (!(_holds = (condition)) && now_usec() < _end) \
                        (void) sd_event_run((place)->event, 2000); \
                _holds; \
        })

/* ---- a bare ZeroMQ peer ---- */

typedef struct Raw {
        void *context, *socket;
} Raw;

static void raw_done(Raw *r) {
        if (r->socket)
                zmq_close(r->socket);
        if (r->context)
                zmq_ctx_term(r->context);
}

static void raw_open(Raw *r, const char *path) {
        char endpoint[128];
        int zero = 0, small = 2;

        r->context = zmq_ctx_new();
        r->socket = zmq_socket(r->context, ZMQ_DEALER);
        zmq_setsockopt(r->socket, ZMQ_LINGER, &zero, sizeof(zero));
        zmq_setsockopt(r->socket, ZMQ_RCVHWM, &small, sizeof(small));
        snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
        zmq_connect(r->socket, endpoint);
}

static void raw_send_message(Raw *r, const Message *m) {
        WireWriter w = {};

        (void) message_encode(&w, m);
        zmq_send(r->socket, w.data, w.size, 0);
        wire_writer_done(&w);
}

/* The next message that it gets: its size, or -1. The answer's frames are read into *ret (the last one stays). */
static int raw_receive(Place *p, Raw *r, Message *ret) {
        zmq_msg_t m;
        int size = -1;

        zmq_msg_init(&m);
        if (RUN_UNTIL(p, (size = zmq_msg_recv(&m, r->socket, ZMQ_DONTWAIT)) >= 0, 5) && ret) {
                WireReader reader = { .data = zmq_msg_data(&m), .size = zmq_msg_size(&m) }, body = {};
                WireHeader header = {};

                while (wire_next(&reader, &header, &body) > 0) {
                        message_done(ret);
                        (void) message_decode(&header, &body, ret);
                }
        }
        zmq_msg_close(&m);
        return size;
}

/* ---- the cases ---- */

TEST(connect_before_anybody_listens) {
        _cleanup_(place_done) Place p;
        End listener = { .answer_hello = true }, client = {};

        REQUIRE(place_init(&p));
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(!channel_is_connected(client.channel));
        CHECK_INT(send_numbered(client.channel, 0, 0), -ENOTCONN);
        CHECK(!RUN_UNTIL(&p, client.n_connected > 0, 0.2));

        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK(RUN_UNTIL(&p, client.n_messages > 0, 60));
        CHECK_INT(client.n_connected, 1);
        CHECK_INT(client.n_disconnected, 0);
        CHECK_INT(listener.n_hellos, 1);
        CHECK(channel_is_connected(client.channel));
        channel_free(client.channel);
        channel_free(listener.channel);
}

TEST(socket_without_a_daemon_is_no_connection) {
        _cleanup_(place_done) Place p;
        _cleanup_close_ int fd = -EBADF;
        End listener = { .answer_hello = true }, client = {};

        REQUIRE(place_init(&p));
        fd = listen_at(p.path);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(!RUN_UNTIL(&p, client.n_connected > 0, 0.2));
        CHECK_INT(channel_listen(&listener.channel, p.event, TAKE_FD(fd), &ops, &listener), 0);
        CHECK(RUN_UNTIL(&p, client.n_messages > 0, 60));
        channel_free(client.channel);
        channel_free(listener.channel);
}

TEST(listening_needs_a_unix_socket) {
        _cleanup_(place_done) Place p;
        End e = {};
        int pair[2];

        REQUIRE(place_init(&p));
        CHECK_INT(channel_listen(&e.channel, p.event, -1, &ops, &e), -EBADF);
        CHECK_INT(channel_listen(&e.channel, p.event, socket(AF_INET, SOCK_STREAM, 0), &ops, &e), -EINVAL);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        CHECK_INT(channel_listen(&e.channel, p.event, pair[0], &ops, &e), -EINVAL);
        close(pair[1]);
        CHECK(!e.channel);
}

TEST(abstract_socket) {
        _cleanup_(place_done) Place p;
        End listener = { .answer_hello = true }, client = {};
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int fd, n;

        REQUIRE(place_init(&p));
        n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", p.path);
        fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        REQUIRE(bind(fd, (struct sockaddr *) &a, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) n)) == 0);
        REQUIRE(listen(fd, 8) == 0);
        CHECK_INT(channel_listen(&listener.channel, p.event, fd, &ops, &listener), 0);
        a.sun_path[0] = '@';
        CHECK_INT(channel_connect(&client.channel, p.event, a.sun_path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, client.n_messages > 0, 60));
        channel_free(client.channel);
        channel_free(listener.channel);
}

TEST(many_messages_arrive_in_order_both_ways) {
        enum { N = 20000 };
        _cleanup_(place_done) Place p;
        End listener = { .answers = N }, client = {};

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, client.next == N, 60));
        CHECK(!client.out_of_order);
        for (unsigned i = 0; i < N; i++)
                REQUIRE(send_numbered(client.channel, 0, i) == 0);
        CHECK(channel_queued(client.channel, 0) > N * WIRE_HEADER_SIZE);
        CHECK(RUN_UNTIL(&p, listener.next == N, 60));
        CHECK(!listener.out_of_order);
        CHECK_INT(channel_queued(client.channel, 0), 0);
        channel_free(client.channel);
        channel_free(listener.channel);
}

TEST(one_turn_travels_as_one_batch) {
        enum { N = 5000, FRAME = WIRE_HEADER_SIZE + 8 };
        _cleanup_(place_done) Place p;
        _cleanup_(raw_done) Raw raw = {};
        End listener = { .answers = N };
        int n = 0, total = 0;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        raw_open(&raw, p.path);
        raw_send_message(&raw, &(Message) { .type = MESSAGE_HELLO });
        while (total < N * FRAME) {
                int size = raw_receive(&p, &raw, NULL);

                REQUIRE(size > 0);
                total += size;
                n++;
        }
        CHECK_INT(total, N * FRAME);
        CHECK_INT(n, N * FRAME / 65536 + 1);
        channel_free(listener.channel);
}

TEST(what_was_sent_before_the_end_arrives) {
        _cleanup_(place_done) Place p;
        End listener = {}, client = {};

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, listener.n_hellos == 1, 60));
        for (unsigned i = 0; i < 1000; i++)
                CHECK_INT(send_numbered(listener.channel, listener.last_peer, i), 0);
        channel_free(listener.channel);
        CHECK(RUN_UNTIL(&p, client.n_disconnected > 0, 60));
        CHECK_INT(client.next, 1000);
        CHECK(!channel_is_connected(client.channel));
        channel_free(client.channel);
}

TEST(freed_in_a_callback) {
        _cleanup_(place_done) Place p;
        End listener = { .answers = 100 }, client = { .free_on_message = true };

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, client.n_messages > 0, 60));
        CHECK(!RUN_UNTIL(&p, client.n_messages > 1, 0.1));
        channel_free(listener.channel);
}

TEST(peer_that_left_is_noticed) {
        _cleanup_(place_done) Place p;
        End listener = {}, client = {};
        PeerId peer;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(send_numbered(listener.channel, 12345, 0), -ENOTCONN);        /* nobody has this number */
        for (unsigned i = 1; i <= 200; i++) {
                CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
                REQUIRE(RUN_UNTIL(&p, listener.n_hellos == i, 60));
                peer = listener.last_peer;
                CHECK_INT(send_numbered(client.channel, 0, listener.next), 0);
                channel_free(client.channel);
                if (i % 2)
                        CHECK_INT(send_numbered(listener.channel, peer, 0), 0); /* with something on the way, or not */
                CHECK(RUN_UNTIL(&p, listener.n_gone == i, 60));
                CHECK_INT(listener.next, i);            /* its last words were heard before */
                CHECK_INT(send_numbered(listener.channel, peer, 0), -ENOTCONN);
                CHECK_INT(channel_queued(listener.channel, peer), 0);
        }
        channel_free(listener.channel);
}

/* Many at once, leaving in another order than they came, their descriptors used again. */
TEST(peers_that_come_and_go) {
        enum { N = 20, ROUNDS = 10 };
        _cleanup_(place_done) Place p;
        End listener = {}, clients[N] = {};
        unsigned seed = 3, n_expected = 0;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
                for (unsigned i = 0; i < N; i++)
                        if (!clients[i].channel) {
                                CHECK_INT(channel_connect(&clients[i].channel, p.event, p.path, &ops, &clients[i]), 0);
                                n_expected++;
                        }
                CHECK(RUN_UNTIL(&p, listener.n_hellos == n_expected, 60));
                for (unsigned i = 0; i < N; i++)
                        if (rand_r(&seed) % 2)
                                clients[i].channel = channel_free(clients[i].channel);
        }
        for (unsigned i = 0; i < N; i++)
                channel_free(clients[i].channel);
        CHECK(RUN_UNTIL(&p, listener.n_gone == n_expected, 60));
        channel_free(listener.channel);
}

TEST(biggest_frame_and_one_byte_more) {
        _cleanup_(place_done) Place p;
        End listener = {}, client = {};
        _cleanup_(value_done) Value v = {};
        Message m = { .type = MESSAGE_TASK_SEND, .task_send.key = (char *) "k" };
        char *big = calloc(1, WIRE_BODY_MAX);
        size_t size = WIRE_BODY_MAX - 1024;

        REQUIRE(place_init(&p));
        REQUIRE(big);
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, listener.n_hellos == 1, 60));
        CHECK_INT(value_str(&v, big, size), 0);
        m.task_send.value = v;
        CHECK_INT(send_numbered(client.channel, 0, 0), 0);
        CHECK_INT(channel_send(client.channel, 0, &m), 0);
        CHECK_INT(send_numbered(client.channel, 0, 1), 0);
        CHECK(RUN_UNTIL(&p, listener.next == 2, 60));
        CHECK_INT(listener.last_size, size);

        value_done(&v);
        CHECK_INT(value_str(&v, big, WIRE_BODY_MAX), 0);
        m.task_send.value = v;
        CHECK_INT(channel_send(client.channel, 0, &m), -E2BIG);
        CHECK_INT(send_numbered(client.channel, 0, 2), 0);
        CHECK(RUN_UNTIL(&p, listener.next == 3, 60));
        free(big);
        channel_free(client.channel);
        channel_free(listener.channel);
}

TEST(broken_messages_are_answered) {
        static const struct {
                const char *what, *bytes;
                size_t size;
                int error;
        } cases[] = {
                { "no frame",           "x", 1, -EBADMSG },
                { "no magic",           "MXabcdefghijkl", 14, -EBADMSG },
                { "half a header",      "MG\1\0\2\0", 6, -EBADMSG },
                { "half a body",        "MG\1\0\1\0\x20\0\0\0xx", 12, -EBADMSG },
                { "another version",    "MG\7\0\1\0\0\0\0\0", 10, -EPROTONOSUPPORT },
                { "unknown type",       "MG\1\0\xff\xff\0\0\0\0", 10, -EBADMSG },
                { "too long a body",    "MG\1\0\x10\0\xff\xff\xff\xff", 10, -EBADMSG },
                { "rest in the body",   "MG\1\0\x12\0\1\0\0\0x", 11, -EBADMSG },
        };
        _cleanup_(place_done) Place p;
        End listener = { .answer_hello = true };

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(raw_done) Raw raw = {};
                _cleanup_(message_done) Message m = {};

                raw_open(&raw, p.path);
                zmq_send(raw.socket, cases[i].bytes, cases[i].size, 0);
                CHECK(raw_receive(&p, &raw, &m) > 0);
                if (m.type != MESSAGE_ERROR || (m.error.error != cases[i].error && m.error.error != -E2BIG))
                        TEST_FAIL("%s: answered by %d (%s)", cases[i].what, m.error.error, message_name(m.type) ?: "?");

                /* The connection is good for whatever comes after it. */
                raw_send_message(&raw, &(Message) { .type = MESSAGE_HELLO });
                CHECK(raw_receive(&p, &raw, &m) > 0);
                CHECK_INT(m.type, MESSAGE_WELCOME);
        }
        CHECK_INT(listener.n_messages, ELEMENTSOF(cases));
        channel_free(listener.channel);
}

TEST(errors_are_not_answered_by_errors) {
        _cleanup_(place_done) Place p;
        _cleanup_(raw_done) Raw raw = {};
        _cleanup_(message_done) Message m = {};
        End listener = { .answer_hello = true };

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        raw_open(&raw, p.path);
        zmq_send(raw.socket, "MG\7\0\3\0\0\0\0\0", 10, 0);      /* ERROR of another version */
        zmq_send(raw.socket, "MG\1\0\3\0\1\0\0\0x", 11, 0);     /* and a broken one of ours */
        raw_send_message(&raw, &(Message) { .type = MESSAGE_HELLO });
        CHECK(raw_receive(&p, &raw, &m) > 0);
        CHECK_INT(m.type, MESSAGE_WELCOME);
        channel_free(listener.channel);
}

TEST(unknown_frame_does_not_take_its_neighbours_along) {
        _cleanup_(place_done) Place p;
        _cleanup_(raw_done) Raw raw = {};
        End listener = {};
        WireWriter w = {};

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        raw_open(&raw, p.path);
        CHECK_INT(message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED, .graph_accepted.generation = 0 }), 0);
        wire_begin(&w, 999);
        CHECK_INT(wire_end(&w), 0);
        CHECK_INT(message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED, .graph_accepted.generation = 1 }), 0);
        zmq_send(raw.socket, w.data, w.size, 0);
        CHECK(RUN_UNTIL(&p, listener.next == 2, 60));
        wire_writer_done(&w);
        channel_free(listener.channel);
}

TEST(peers_that_break_the_rules_of_zeromq) {
        _cleanup_(place_done) Place p;
        _cleanup_(raw_done) Raw named = {}, parts = {}, huge = {}, good = {};
        _cleanup_(message_done) Message m = {};
        End listener = { .answer_hello = true };
        struct sockaddr_un a;
        char *big = calloc(1, WIRE_BODY_MAX + 1024 * 1024);
        char endpoint[128];
        int zero = 0;

        REQUIRE(place_init(&p));
        REQUIRE(big);
        CHECK_INT(open_listener(&p, &listener), 0);

        /* a name of its own choice */
        named.context = zmq_ctx_new();
        named.socket = zmq_socket(named.context, ZMQ_DEALER);
        zmq_setsockopt(named.socket, ZMQ_LINGER, &zero, sizeof(zero));
        zmq_setsockopt(named.socket, ZMQ_ROUTING_ID, "mallory", 7);
        snprintf(endpoint, sizeof(endpoint), "ipc://%s", p.path);
        zmq_connect(named.socket, endpoint);
        raw_send_message(&named, &(Message) { .type = MESSAGE_HELLO });

        /* many parts, none at all, and more than is allowed */
        raw_open(&parts, p.path);
        for (unsigned i = 0; i < 1000; i++)
                zmq_send(parts.socket, "x", 1, ZMQ_SNDMORE);
        zmq_send(parts.socket, "x", 1, 0);
        zmq_send(parts.socket, "", 0, 0);
        raw_open(&huge, p.path);
        zmq_send(huge.socket, big, WIRE_BODY_MAX + 1024 * 1024, 0);

        /* bytes that are not ZeroMQ's at all */
        a = address_of(p.path);
        for (unsigned i = 0; i < 20; i++) {
                _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
                char junk[512];

                for (size_t k = 0; k < sizeof(junk); k++)
                        junk[k] = (char) (i == 0 ? 0 : i == 1 ? 0xff : (k * 7 + i * 131) >> 2);
                REQUIRE(connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0);
                (void) send(fd, junk, i == 2 ? 1 : sizeof(junk), MSG_NOSIGNAL);
                (void) sd_event_run(p.event, 1000);
        }

        CHECK(raw_receive(&p, &parts, &m) > 0);
        CHECK_INT(m.type, MESSAGE_ERROR);
        raw_open(&good, p.path);
        raw_send_message(&good, &(Message) { .type = MESSAGE_HELLO });
        CHECK(raw_receive(&p, &good, &m) > 0);
        CHECK_INT(m.type, MESSAGE_WELCOME);
        CHECK_INT(listener.n_messages, 1);
        free(big);
        channel_free(listener.channel);
}

TEST(slow_reader_is_bounded_and_loses_nothing) {
        enum { TEXT = 60000 };
        _cleanup_(place_done) Place p;
        _cleanup_(raw_done) Raw raw = {};
        _cleanup_(value_done) Value v = {};
        End listener = {};
        static char text[TEXT];
        Message m = { .type = MESSAGE_TASK_SEND };
        unsigned sent = 0, got = 0;
        int r = 0;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        raw_open(&raw, p.path);
        raw_send_message(&raw, &(Message) { .type = MESSAGE_HELLO });
        CHECK(RUN_UNTIL(&p, listener.n_hellos == 1, 60));

        CHECK_INT(value_str(&v, text, TEXT), 0);
        m.task_send.value = v;
        while (sent < 10000) {
                m.task_send.id = sent;
                r = channel_send(listener.channel, listener.last_peer, &m);
                if (r < 0)
                        break;
                sent++;
                if (sent % 10 == 0)
                        (void) sd_event_run(p.event, 0);
        }
        CHECK_INT(r, -ENOBUFS);
        CHECK(sent > 1000);             /* 64 MiB in ours, and a little in ZeroMQ's queues and the socket */
        CHECK(sent < 3000);
        CHECK(channel_queued(listener.channel, listener.last_peer) > 60 * 1024 * 1024);

        while (got < sent) {
                zmq_msg_t z;
                WireReader reader, body;
                WireHeader header;

                zmq_msg_init(&z);
                REQUIRE(RUN_UNTIL(&p, zmq_msg_recv(&z, raw.socket, ZMQ_DONTWAIT) >= 0, 60));
                reader = (WireReader) { .data = zmq_msg_data(&z), .size = zmq_msg_size(&z) };
                while (wire_next(&reader, &header, &body) > 0) {
                        _cleanup_(message_done) Message one = {};

                        CHECK_INT(message_decode(&header, &body, &one), 0);
                        CHECK_INT(one.task_send.id, got);
                        got++;
                }
                zmq_msg_close(&z);
        }
        CHECK_INT(channel_queued(listener.channel, listener.last_peer), 0);
        CHECK(RUN_UNTIL(&p, listener.n_room == 1, 60));
        CHECK_INT(channel_send(listener.channel, listener.last_peer, &m), 0);
        for (unsigned i = 0; i < 5; i++)
                (void) sd_event_run(p.event, 1000);
        CHECK_INT(listener.n_room, 1);  /* told once for each time that it was full */
        channel_free(listener.channel);
}

TEST(whoever_connects_is_told_of_room) {
        enum { TEXT = 60000 };
        _cleanup_(place_done) Place p;
        _cleanup_(value_done) Value v = {};
        End listener = {}, client = {};
        static char text[TEXT];
        unsigned sent = 0;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, client.n_connected == 1, 60));
        CHECK_INT(value_str(&v, text, TEXT), 0);
        for (unsigned round = 1; round <= 2; round++) {
                while (channel_send(client.channel, 0, &(Message) { .type = MESSAGE_TASK_SEND, .task_send.value = v }) >= 0)
                        sent++;
                CHECK_INT(client.n_room, round - 1);
                CHECK(RUN_UNTIL(&p, client.n_room == round, 60));
                CHECK_INT(channel_queued(client.channel, 0), 0);
        }
        CHECK(RUN_UNTIL(&p, listener.n_messages == 1 + sent, 60));
        CHECK_INT(client.n_room, 2);
        channel_free(client.channel);
        channel_free(listener.channel);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *userdata) {
        unsigned *n = userdata;

        (*n)++;
        (void) sd_event_source_set_time_relative(s, 1000);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        return 0;
}

/* A stream of messages that never ends leaves the other event sources their turns. */
TEST(flood_starves_nobody) {
        enum { N = 300000 };
        _cleanup_(place_done) Place p;
        End listener = {}, client = {};
        sd_event_source *timer = NULL;
        unsigned n_ticks = 0;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, listener.n_hellos == 1, 60));
        CHECK(sd_event_add_time_relative(p.event, &timer, CLOCK_MONOTONIC, 1000, 0, on_tick, &n_ticks) >= 0);
        for (unsigned i = 0; i < N; i++)
                REQUIRE(send_numbered(client.channel, 0, i) == 0);
        CHECK(RUN_UNTIL(&p, listener.next == N, 60));
        CHECK(n_ticks >= 5);
        sd_event_source_disable_unref(timer);
        channel_free(client.channel);
        channel_free(listener.channel);
}

/* ---- ZeroMQ's threads ---- */

/* Adds up what /proc/self/task/…/status says in a line; hexadecimal ones are ANDed. Only other threads than the first. */
static unsigned long long thread_status(const char *field, bool hexadecimal, unsigned *ret_n) {
        unsigned long long sum = hexadecimal ? ~0ULL : 0;
        DIR *tasks = opendir("/proc/self/task");
        char path[64], line[256];

        *ret_n = 0;
        for (const struct dirent *task; tasks && (task = readdir(tasks));) {
                long tid = strtol(task->d_name, NULL, 10);
                FILE *f;

                if (tid <= 0 || tid == getpid())
                        continue;
                snprintf(path, sizeof(path), "/proc/self/task/%ld/status", tid);
                f = fopen(path, "re");
                if (!f)
                        continue;
                (*ret_n)++;
                while (fgets(line, sizeof(line), f)) {
                        const char *rest = startswith(line, field);

                        if (!rest)
                                continue;
                        if (hexadecimal)
                                sum &= strtoull(rest + 1, NULL, 16);
                        else
                                sum += strtoull(rest + 1, NULL, 10);
                }
                fclose(f);
        }
        if (tasks)
                closedir(tasks);
        return sum;
}

TEST(idle_means_no_wake_ups_and_threads_take_no_signals) {
        _cleanup_(place_done) Place p;
        End listener = { .answer_hello = true }, client = {};
        unsigned n = 0, n_dispatched = 0;
        unsigned long long before = 0, after = 0, blocked;
        uint64_t end;

        REQUIRE(place_init(&p));
        CHECK_INT(open_listener(&p, &listener), 0);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        CHECK(RUN_UNTIL(&p, client.n_messages == 1, 60));
        CHECK(!RUN_UNTIL(&p, false, 0.3));      /* lets things settle */

        /* On a busy machine the last of what is under way may come late: there is a second without any. */
        for (unsigned i = 0; i < 10 && (i == 0 || n_dispatched > 0 || after != before); i++) {
                n_dispatched = 0;
                before = thread_status("voluntary_ctxt_switches", false, &n);
                CHECK(n >= 2);                  /* one for input and output, one that reaps sockets */
                for (end = now_usec() + SECOND; now_usec() < end;)
                        if (sd_event_run(p.event, end - now_usec()) > 0)
                                n_dispatched++;
                after = thread_status("voluntary_ctxt_switches", false, &n);
        }
        CHECK_INT(n_dispatched, 0);
        CHECK_INT(after, before);

        blocked = thread_status("SigBlk", true, &n);
        CHECK(blocked & (1ULL << (SIGTERM - 1)));
        CHECK(blocked & (1ULL << (SIGCHLD - 1)));
        CHECK(blocked & (1ULL << (SIGINT - 1)));
        channel_free(client.channel);
        channel_free(listener.channel);
}

/* ---- a listener that is killed ---- */

/* The other process: numbers what it gets, so that a message for the one before would show. */
static int listener_main(void) {
        sd_event *event = NULL;
        End e = { .answer_hello = true };

        if (sd_event_new(&event) < 0 || channel_listen(&e.channel, event, 3, &ops, &e) < 0)
                return 1;
        while (!e.out_of_order)
                (void) sd_event_run(event, UINT64_MAX);
        (void) channel_send(e.channel, e.last_peer, &(Message) { .type = MESSAGE_ERROR, .error.error = -ESTALE });
        channel_free(e.channel);
        return 0;
}

static pid_t spawn_listener(int fd) {
        char *argv[] = { (char *) "test-channel", (char *) "--listener", NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fd, 3);
        if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) != 0)
                pid = -1;
        posix_spawn_file_actions_destroy(&actions);
        return pid;
}

TEST(listener_is_killed_and_comes_back) {
        _cleanup_(place_done) Place p;
        _cleanup_close_ int fd = -EBADF, high = -EBADF;
        End client = {};
        pid_t pid = -1;

        REQUIRE(place_init(&p));
        fd = listen_at(p.path);
        high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        CHECK_INT(channel_connect(&client.channel, p.event, p.path, &ops, &client), 0);
        for (unsigned round = 1; round <= 5; round++) {
                pid = spawn_listener(high);
                REQUIRE(pid > 0);
                CHECK(RUN_UNTIL(&p, client.n_messages == round, 60));   /* its WELCOME */
                CHECK_INT(client.n_connected, round);
                CHECK_INT(client.n_disconnected, round - 1);

                /* While it is dying: some of these are lost, and none may reach the next one, which expects number 0. */
                for (unsigned i = 0; i < 100; i++)
                        REQUIRE(send_numbered(client.channel, 0, i) == 0);
                (void) channel_flush(client.channel);
                kill(pid, SIGKILL);
                for (unsigned i = 100; i < 200; i++)
                        (void) send_numbered(client.channel, 0, i);
                waitpid(pid, NULL, 0);
                CHECK(RUN_UNTIL(&p, client.n_disconnected == round, 60));
                CHECK_INT(send_numbered(client.channel, 0, 7), -ENOTCONN);
        }
        CHECK_INT(client.n_errors, 0);
        channel_free(client.channel);
}

int main(int argc, char *argv[]) {
        if (argc > 1 && strcmp(argv[1], "--listener") == 0)
                return listener_main();
        return test_run(argc, argv);
}
