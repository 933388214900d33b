/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How fast an http:server gives files away, beside an nginx that serves the same ones: each on one processor, the clients on another.
 * The two are asked in turns, so that what else the machine does falls on both. Told are requests per second, and per second of the
 * server's processor, which counts where others want it as well. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"
#include "common/io.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/testhost.h"

enum {
        CONNECTIONS = 64,
        ROUNDS = 7,
        ROUND_MSEC = 700,
        SERVER_CPU = 0,
        CLIENT_CPU = 1,
};

typedef struct Server {
        const char *name;
        uint16_t port;
        pid_t pid;                      /* whose processor time is counted */
} Server;

typedef struct Sample {
        double per_second, per_cpu_second;
} Sample;

static char folder[] = "/tmp/bench-http-XXXXXX";

static void use_cpu(int n) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(n, &set);
        (void) sched_setaffinity(0, sizeof(set), &set);
}

static uint16_t free_port(void) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(a);

        if (fd < 0 || bind(fd, (struct sockaddr *) &a, size) < 0 || getsockname(fd, (struct sockaddr *) &a, &size) < 0)
                return 0;
        return ntohs(a.sin_port);
}

/* ---- the servers ---- */

static _noreturn_ void serve(uint16_t port) {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        char address[64], root[64];

        use_cpu(SERVER_CPU);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) snprintf(address, sizeof(address), "\"127.0.0.1:%u\"", port);
        (void) snprintf(root, sizeof(root), "\"%s/\"", folder);
        if (sd_event_new(&event) < 0 || http_manager_init(&manager, event) < 0 || testhost_init(&host, event, &manager, NULL) < 0)
                _exit(1);
        Resource *r = testhost_resource(&host, resource_type_find(http_kinds, "http:server"), "web", "address", address, "root", root, NULL);
        if (!r || testhost_watch(&host, r) < 0)
                _exit(1);
        _exit(sd_event_loop(event) < 0);
}

static void start_ours(Server *s) {
        *s = (Server) { .name = "http:server", .port = free_port() };
        s->pid = fork();
        if (s->pid == 0)
                serve(s->port);
}

static const char nginx_conf[] =
        "worker_processes 1; worker_cpu_affinity 1; daemon off; pid %s/pid; error_log stderr crit;\n"
        "events { worker_connections 1024; }\n"
        "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=16;\n"
        "client_body_temp_path %s/t1; proxy_temp_path %s/t2; fastcgi_temp_path %s/t3; uwsgi_temp_path %s/t4; scgi_temp_path %s/t5;\n"
        "server { listen 127.0.0.1:%u; root %s; } }\n";

/* The worker, since the master does not serve. */
static pid_t child_of(pid_t parent) {
        char path[64], text[256] = {};
        FILE *f;
        int pid = -1;

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) parent, (int) parent);
        f = fopen(path, "re");
        if (f && fgets(text, sizeof(text), f))
                pid = atoi(text);
        if (f)
                (void) fclose(f);
        return pid > 0 ? pid : -1;
}

/* The master's pid, or -1 if there is no nginx here. */
static pid_t start_nginx(Server *s) {
        char path[64], text[2048];
        pid_t pid;

        *s = (Server) { .name = "nginx", .port = free_port() };
        (void) snprintf(path, sizeof(path), "%s/nginx.conf", folder);
        (void) snprintf(text, sizeof(text), nginx_conf, folder, folder, folder, folder, folder, folder, s->port, folder);
        if (write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
                (void) execlp("nginx", "nginx", "-e", "stderr", "-c", path, NULL);
                (void) execl("/usr/sbin/nginx", "nginx", "-e", "stderr", "-c", path, NULL);
                _exit(127);
        }
        for (unsigned i = 0; i < PATIENCE_MSEC / 10; i++) {
                if (waitpid(pid, NULL, WNOHANG) == pid)
                        return -1;
                s->pid = child_of(pid);
                if (s->pid > 0)
                        return pid;
                (void) usleep(10000);
        }
        return -1;
}

static double cpu_seconds(pid_t pid) {
        struct timespec t;
        clockid_t clock;

        return clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) >= 0 ? (double) t.tv_sec + (double) t.tv_nsec / 1e9 : 0;
}

/* ---- the clients ---- */

typedef struct Connection {
        int fd;
        size_t left;                    /* bytes of the answer that are still to come */
} Connection;

static int dial(uint16_t port) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int yes = 1;

        for (unsigned i = 0; i < PATIENCE_MSEC / 10; i++) {
                int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (fd >= 0 && connect(fd, (struct sockaddr *) &a, sizeof(a)) >= 0) {
                        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
                        return fd;
                }
                if (fd >= 0)
                        (void) close(fd);
                (void) usleep(10000);
        }
        return -1;
}

/* The size of one whole answer: all that follow are alike. 0 if it is none. */
static size_t answer_size(int fd, const char *request, size_t file_size) {
        char head[4096];
        size_t n = 0;

        if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
                return 0;
        for (;;) {
                ssize_t k = recv(fd, head + n, sizeof(head) - 1 - n, 0);
                if (k <= 0)
                        return 0;
                n += (size_t) k;
                head[n] = 0;
                char *end = strstr(head, "\r\n\r\n");
                if (end) {
                        size_t size = (size_t) (end - head) + 4 + file_size, left = size - n;
                        while (left > 0 && (k = recv(fd, NULL, left, MSG_TRUNC)) > 0)
                                left -= (size_t) k;
                        return startswith(head, "HTTP/1.1 200 ") && left == 0 ? size : 0;
                }
                if (n == sizeof(head) - 1)
                        return 0;
        }
}

/* Reads what is there without looking at it, and asks for the next. 1: an answer is complete. */
static int connection_go_on(Connection *c, const char *request, size_t size) {
        ssize_t n = recv(c->fd, NULL, c->left, MSG_TRUNC | MSG_DONTWAIT);

        if (n <= 0)
                return n < 0 && errno == EAGAIN ? 0 : -1;
        c->left -= (size_t) n;
        if (c->left > 0)
                return 0;
        c->left = size;
        return send(c->fd, request, strlen(request), MSG_NOSIGNAL) < 0 ? -1 : 1;
}

static int ask_for_a_while(int epoll, Connection *connections, const char *request, size_t size, uint64_t *ret_n) {
        uint64_t end = now_nsec() + UINT64_C(1000000) * ROUND_MSEC, n = 0;
        struct epoll_event events[CONNECTIONS];

        do {
                int k = epoll_wait(epoll, events, CONNECTIONS, PATIENCE_MSEC);
                if (k <= 0)
                        return -1;
                for (int i = 0; i < k; i++) {
                        int r = connection_go_on(connections + events[i].data.u32, request, size);
                        if (r < 0)
                                return -1;
                        n += (uint64_t) r;
                }
        } while (now_nsec() < end);
        *ret_n = n;
        return 0;
}

static int measure(const Server *s, const char *file, size_t file_size, Sample *ret) {
        Connection connections[CONNECTIONS];
        int epoll = epoll_create1(EPOLL_CLOEXEC), r;
        char request[128];
        uint64_t n = 0;

        (void) snprintf(request, sizeof(request), "GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n", file);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
                struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };
                connections[i].fd = dial(s->port);
                connections[i].left = connections[i].fd >= 0 ? answer_size(connections[i].fd, request, file_size) : 0;
                if (connections[i].left == 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &e) < 0) {
                        (void) fprintf(stderr, "%s does not serve '%s'\n", s->name, file);
                        exit(1);
                }
        }
        for (unsigned i = 0; i < CONNECTIONS; i++)
                (void) send(connections[i].fd, request, strlen(request), MSG_NOSIGNAL);

        double cpu = cpu_seconds(s->pid);
        uint64_t start = now_nsec();
        r = ask_for_a_while(epoll, connections, request, connections[0].left, &n);
        double seconds = (double) (now_nsec() - start) / 1e9;
        cpu = cpu_seconds(s->pid) - cpu;
        *ret = (Sample) { .per_second = (double) n / seconds, .per_cpu_second = cpu > 0 ? (double) n / cpu : 0 };

        for (unsigned i = 0; i < CONNECTIONS; i++)
                (void) close(connections[i].fd);
        (void) close(epoll);
        return r;
}

/* ---- both, in turns ---- */

static int compare_doubles(const void *a, const void *b) {
        double x = *(const double *) a, y = *(const double *) b;

        return (x > y) - (x < y);
}

static double middle(double *values, size_t n) {
        qsort(values, n, sizeof(*values), compare_doubles);
        return values[n / 2];
}

static void compare(const Server *ours, const Server *nginx, const char *file, size_t size) {
        double rate[2][ROUNDS], cpu_rate[2][ROUNDS], ratio[ROUNDS], cpu_ratio[ROUNDS];
        const Server *servers[] = { ours, nginx };

        for (unsigned i = 0; i < ROUNDS; i++) {
                Sample s[2] = {};
                for (unsigned k = 0; k < 2; k++) {
                        if (servers[k] && measure(servers[k], file, size, &s[k]) < 0) {
                                (void) fprintf(stderr, "%s does not answer any more\n", servers[k]->name);
                                exit(1);
                        }
                        rate[k][i] = s[k].per_second;
                        cpu_rate[k][i] = s[k].per_cpu_second;
                }
                ratio[i] = nginx ? s[0].per_second / s[1].per_second : 0;
                cpu_ratio[i] = nginx && s[1].per_cpu_second > 0 ? s[0].per_cpu_second / s[1].per_cpu_second : 0;
        }
        printf("%8zu bytes   %10.0f requests/s   %10.0f per second of processor", size, middle(rate[0], ROUNDS), middle(cpu_rate[0], ROUNDS));
        if (nginx)
                printf("   nginx %10.0f %10.0f   ratio %5.2f %5.2f", middle(rate[1], ROUNDS), middle(cpu_rate[1], ROUNDS),
                       middle(ratio, ROUNDS), middle(cpu_ratio, ROUNDS));
        printf("\n");
}

static void make_file(const char *name, size_t size) {
        _cleanup_free_ char *content = malloc(size);
        char path[64];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        for (size_t i = 0; content && i < size; i += 256)
                (void) !getrandom(content + i, MIN(size - i, (size_t) 256), 0);
        if (!content || write_file_atomic_at(AT_FDCWD, path, content, size, 0644, false) < 0)
                exit(1);
}

int main(void) {
        Server ours, nginx;
        pid_t master;

        if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
                return 1;
        make_file("small.bin", 1024);
        make_file("large.bin", 1024 * 1024);
        start_ours(&ours);
        master = start_nginx(&nginx);
        if (master < 0)
                printf("there is no nginx to compare with\n");

        use_cpu(CLIENT_CPU);
        compare(&ours, master > 0 ? &nginx : NULL, "small.bin", 1024);
        compare(&ours, master > 0 ? &nginx : NULL, "large.bin", 1024 * 1024);

        (void) kill(ours.pid, SIGKILL);
        (void) waitpid(ours.pid, NULL, 0);
        if (master > 0) {
                (void) kill(master, SIGTERM);
                (void) waitpid(master, NULL, 0);
        }
        return remove_tree(folder) < 0;
}
