/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a hop between two daemons costs: a question and its answer, one at a time, and many messages in one turn of the loop. The
 * floor is the same between two processes over a socket pair, with nothing but poll(), read() and write(); every frame is written
 * by itself there. */

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bench/bench.h"
#include "common/io.h"
#include "common/ipc/channel.h"

enum {
        ROUNDS = 5000,
        WARM_UP = 500,
        MANY = 100000,
        FRAME_SIZE = WIRE_HEADER_SIZE + 8,
        INHERITED_FD = 3,
};

static const Message ping = { .type = MESSAGE_GRAPH_ACCEPTED };

/* ---- the other process: answers whatever comes ---- */

static void echo_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        (void) channel_send(c, peer, m);
}

static int echo_channel(void) {
        static const ChannelOps ops = { .message = echo_message };
        sd_event *event = NULL;
        Channel *c = NULL;

        if (sd_event_new(&event) < 0 || channel_listen(&c, event, INHERITED_FD, &ops, NULL) < 0)
                return 1;
        return sd_event_loop(event);
}

static int echo_socket(void) {
        struct pollfd p = { .fd = INHERITED_FD, .events = POLLIN };
        char buffer[FRAME_SIZE];

        while (poll(&p, 1, -1) > 0) {
                ssize_t n = read(INHERITED_FD, buffer, sizeof(buffer));

                if (n <= 0)
                        return 0;
                if (write(INHERITED_FD, buffer, (size_t) n) != n)
                        return 1;
        }
        return 1;
}

static pid_t start_echo(const char *how, int fd) {
        char *argv[] = { (char *) "bench-channel", (char *) how, NULL };
        posix_spawn_file_actions_t actions;
        pid_t pid = -1;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, fd, INHERITED_FD);
        if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) != 0)
                pid = -1;
        posix_spawn_file_actions_destroy(&actions);
        return pid;
}

static void end_echo(pid_t pid) {
        (void) kill(pid, SIGTERM);
        (void) waitpid(pid, NULL, 0);
}

/* ---- the floor ---- */

typedef struct Result {
        uint64_t rounds_nsec[ROUNDS];
        uint64_t many_nsec;
} Result;

static int socket_round(int fd, char *buffer) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (write(fd, buffer, FRAME_SIZE) != FRAME_SIZE || poll(&p, 1, 5000) != 1)
                return -EIO;
        return read(fd, buffer, FRAME_SIZE) == FRAME_SIZE ? 0 : -EIO;
}

/* As many in flight as the socket takes; both ends are always busy. */
static int socket_many(int fd, char *buffer) {
        size_t sent = 0, received = 0;

        while (received < MANY) {
                struct pollfd p = { .fd = fd, .events = (short) (POLLIN | (sent < MANY ? POLLOUT : 0)) };

                if (poll(&p, 1, 5000) != 1)
                        return -EIO;
                if ((p.revents & POLLOUT) && send(fd, buffer, FRAME_SIZE, MSG_DONTWAIT) == FRAME_SIZE)
                        sent++;
                if ((p.revents & POLLIN) && recv(fd, buffer, FRAME_SIZE, MSG_DONTWAIT) > 0)
                        received++;
        }
        return 0;
}

static int measure_socket(Result *ret) {
        char buffer[FRAME_SIZE] = {};
        uint64_t start;
        int pair[2], r = 0;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET|SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        pid = start_echo("--echo-socket", pair[1]);
        (void) close(pair[1]);
        if (pid < 0)
                return -EIO;
        for (int i = -WARM_UP; i < ROUNDS && r >= 0; i++) {
                start = now_nsec();
                r = socket_round(pair[0], buffer);
                if (i >= 0)
                        ret->rounds_nsec[i] = now_nsec() - start;
        }
        start = now_nsec();
        if (r >= 0)
                r = socket_many(pair[0], buffer);
        ret->many_nsec = now_nsec() - start;
        (void) close(pair[0]);
        end_echo(pid);
        return r;
}

/* ---- the channel ---- */

typedef struct Client {
        sd_event *event;
        Channel *channel;
        Result *result;
        uint64_t start;
        int round;
        unsigned n_many;
        bool failed;
} Client;

static void start_round(Client *k) {
        k->start = now_nsec();
        k->failed = k->failed || channel_send(k->channel, 0, &ping) < 0;
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Client *k = userdata;

        if (k->round < ROUNDS) {
                if (k->round >= 0)
                        k->result->rounds_nsec[k->round] = now_nsec() - k->start;
                k->round++;
                if (k->round < ROUNDS)
                        start_round(k);
                else {
                        k->start = now_nsec();
                        for (unsigned i = 0; i < MANY; i++)
                                k->failed = k->failed || channel_send(c, 0, &ping) < 0;
                }
        } else if (++k->n_many == MANY) {
                k->result->many_nsec = now_nsec() - k->start;
                (void) sd_event_exit(k->event, 0);
        }
        if (k->failed)
                (void) sd_event_exit(k->event, -EIO);
}

static void on_connected(Channel *c, void *userdata) {
        start_round(userdata);
}

static int measure_channel(const char *directory, Result *ret) {
        static const ChannelOps ops = { .message = on_message, .connected = on_connected };
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        Client k = { .result = ret, .round = -WARM_UP };
        _cleanup_close_ int fd = -EBADF;
        pid_t pid;
        int r;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/echo.sock", directory);
        fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 8) < 0)
                return -errno;
        pid = start_echo("--echo-channel", fd);
        if (pid < 0)
                return -EIO;
        r = sd_event_new(&k.event);
        if (r >= 0)
                r = channel_connect(&k.channel, k.event, address.sun_path, &ops, &k);
        if (r >= 0)
                r = sd_event_loop(k.event);
        channel_free(k.channel);
        sd_event_unref(k.event);
        end_echo(pid);
        return r;
}

int main(int argc, char *argv[]) {
        static Result floor, channel;
        char directory[] = "/tmp/mgmt-bench-XXXXXX";
        int r;

        if (argc > 1 && streq(argv[1], "--echo-socket"))
                return echo_socket();
        if (argc > 1 && streq(argv[1], "--echo-channel"))
                return echo_channel();

        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        r = measure_socket(&floor);
        if (r >= 0)
                r = measure_channel(directory, &channel);
        (void) remove_tree(directory);
        if (r < 0) {
                errno = -r;
                fprintf(stderr, "bench-channel: %m\n");
                return EXIT_FAILURE;
        }
        report_each("one message there and back, median", median(channel.rounds_nsec, ROUNDS), median(floor.rounds_nsec, ROUNDS), 1);
        report_each("the same, one in a hundred takes as long", channel.rounds_nsec[ROUNDS * 99 / 100],
                    floor.rounds_nsec[ROUNDS * 99 / 100], 1);
        report_each("100,000 messages there and back, each", channel.many_nsec, floor.many_nsec, MANY);
        return EXIT_SUCCESS;
}
