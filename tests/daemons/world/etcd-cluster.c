/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See etcd-cluster.h. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/io.h"
#include "common/macro.h"
#include "tests/daemons/world/etcd-cluster.h"

bool cluster_available(void) {
        return access("/usr/bin/etcd", X_OK) == 0 || access("/usr/local/bin/etcd", X_OK) == 0;
}

/* One that stays ours while a member is down: none of those that the kernel gives to whoever asks for any (32768 and up, where it was told
 * nothing else), and of all tests that run at the same time only one gets it, as the name of an abstract socket, which is open until we end,
 * says that it is taken. */
static int own_port(void) {
        static unsigned next;

        for (unsigned i = 0; i < 20000; i++) {
                int port = 10000 + (int) (((unsigned) getpid() * 16 + next++) % 20000);
                struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
                struct sockaddr_un claim = { .sun_family = AF_UNIX };
                int length = snprintf(claim.sun_path + 1, sizeof(claim.sun_path) - 1, "mgmt-test-port-%d", port);
                _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);
                _cleanup_close_ int held = socket(AF_UNIX, SOCK_DGRAM|SOCK_CLOEXEC, 0);

                if (fd < 0 || held < 0)
                        abort();
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int) { 1 }, sizeof(int));
                if (bind(held, (struct sockaddr *) &claim, (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) length)) >= 0 &&
                    bind(fd, (struct sockaddr *) &a, sizeof(a)) >= 0) {
                        (void) TAKE_FD(held);
                        return port;
                }
        }
        abort();
}

static int advertised_port(const Cluster *c, unsigned i) {
        return c->options.peer_proxies[i] ?: c->peer_ports[i];
}

/* Of all members, as etcd takes it. */
static void print_members(const Cluster *c, char *ret, size_t size) {
        int n = 0;

        for (unsigned i = 0; i < c->n; i++)
                n += snprintf(ret + n, size - (size_t) n, "%sn%u=http://127.0.0.1:%d", i > 0 ? "," : "", i, advertised_port(c, i));
}

static _noreturn_ void run_etcd(const Cluster *c, unsigned i) {
        const char *scheme = c->options.certificate ? "https" : "http";
        char name[16], data[96], log[96], client[64], peer[64], advertised[64], all[256];

        snprintf(name, sizeof(name), "n%u", i);
        snprintf(data, sizeof(data), "%s/%s", c->directory, name);
        snprintf(log, sizeof(log), "%s/%s.log", c->directory, name);
        snprintf(client, sizeof(client), "%s://127.0.0.1:%d", scheme, c->client_ports[i]);
        snprintf(peer, sizeof(peer), "http://127.0.0.1:%d", c->peer_ports[i]);
        snprintf(advertised, sizeof(advertised), "http://127.0.0.1:%d", advertised_port(c, i));
        print_members(c, all, sizeof(all));

        const char *argv[40] = { "etcd", "--name", name, "--data-dir", data, "--log-level", "error", "--heartbeat-interval", "50",
                                 "--election-timeout", "500", "--unsafe-no-fsync", "--listen-client-urls", client,
                                 "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", advertised,
                                 "--initial-cluster", all, "--initial-cluster-state", "new" };
        size_t k = 24;
        if (c->options.certificate) {
                argv[k++] = "--cert-file";
                argv[k++] = c->options.certificate;
                argv[k++] = "--key-file";
                argv[k++] = c->options.key;
                argv[k++] = "--trusted-ca-file";
                argv[k++] = c->options.ca;
                argv[k++] = "--client-cert-auth";
        }
        int fd = open(log, O_WRONLY|O_CREAT|O_APPEND|O_CLOEXEC, 0600);
        (void) dup2(fd, 1);
        (void) dup2(fd, 2);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) execvp("etcd", (char *const *) argv);
        _exit(127);
}

void cluster_start(Cluster *c, unsigned i) {
        pid_t pid = fork();

        if (pid < 0)
                abort();
        if (pid == 0)
                run_etcd(c, i);
        c->pids[i] = pid;
}

void cluster_signal(Cluster *c, unsigned i, int number) {
        (void) kill(c->pids[i], number);
        if (number != SIGKILL)
                return;
        while (waitpid(c->pids[i], NULL, 0) < 0 && errno == EINTR)
                ;
        c->pids[i] = 0;
}

void cluster_init(Cluster *c, unsigned n, const ClusterOptions *options) {
        int length = 0;

        *c = (Cluster) { .directory = "/tmp/test-etcd-XXXXXX", .n = n };
        if (options)
                c->options = *options;
        if (!mkdtemp(c->directory))
                abort();
        for (unsigned i = 0; i < n; i++) {
                c->client_ports[i] = own_port();
                c->peer_ports[i] = own_port();
                length += snprintf(c->endpoints + length, sizeof(c->endpoints) - (size_t) length, "%shttp%s://127.0.0.1:%d",
                                   i > 0 ? "," : "", c->options.certificate ? "s" : "", c->client_ports[i]);
        }
        for (unsigned i = 0; i < n; i++)
                cluster_start(c, i);
}

bool cluster_can_back_up(void) {
        return cluster_available() && access("/usr/bin/etcdctl", X_OK) == 0;
}

bool cluster_back_up(Cluster *c) {
        char command[512];

        snprintf(command, sizeof(command), "ETCDCTL_API=3 etcdctl --endpoints http://127.0.0.1:%d snapshot save %s/backup >%s/backup.log 2>&1",
                 c->client_ports[0], c->directory, c->directory);
        return system(command) == 0;
}

bool cluster_restore(Cluster *c) {
        char members[256], command[1024];
        bool restored = true;

        print_members(c, members, sizeof(members));
        for (unsigned i = 0; i < c->n; i++)
                if (c->pids[i] > 0)
                        cluster_signal(c, i, SIGKILL);
        for (unsigned i = 0; i < c->n && restored; i++) {
                snprintf(command, sizeof(command), "cd %s && rm -rf n%u && ETCDCTL_API=3 etcdctl snapshot restore backup --name n%u --data-dir n%u "
                         "--initial-cluster %s --initial-advertise-peer-urls http://127.0.0.1:%d >>backup.log 2>&1", c->directory, i, i, i,
                         members, advertised_port(c, i));
                restored = system(command) == 0;
        }
        for (unsigned i = 0; i < c->n && restored; i++)
                cluster_start(c, i);
        return restored;
}

void cluster_done(Cluster *c) {
        for (unsigned i = 0; i < c->n; i++)
                if (c->pids[i] > 0)
                        cluster_signal(c, i, SIGKILL);
        (void) remove_tree(c->directory);
}
