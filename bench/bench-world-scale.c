/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Many hosts at one etcd, as far as this machine goes: each has the connection, the watches and the lease of a host that exports and
 * collects. What one change costs, in the order of keys that we have (by target), and in the other one (by exporter), in which a host
 * has to watch everything. docs/scale.md has what it found. MGMT_HOSTS=N: so many; MGMT_MEMBERS=3: of a cluster of three.
 *
 * A process has room for some thousand of them, whose file descriptors are what it runs out of; so there are several. They count
 * together, in memory that they share, and whoever makes a count complete says so through a pipe. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/macro.h"
#include "common/sd/log.h"
#include "daemons/world/store.h"
#include "tests/daemons/world/etcd-cluster.h"

enum { TTL_SEC = 30, CHANGES = 20, HOSTS_MAX = 20000, HOSTS_EACH = 1000, BY_EXPORTER_MAX = 2000 };

/* Of all processes. */
typedef struct Counts {
        atomic_uint_fast64_t n_ready, n_news, want;     /* want: of news, which somebody waits for */
} Counts;

typedef struct SimulatedHost {
        struct Share *share;
        Store *store;
        StoreLease *lease;
        StoreWatch *watches[2];
        unsigned n_snapshots;
        bool ready;
} SimulatedHost;

/* The hosts of one process. */
typedef struct Share {
        sd_event *event;
        Counts *counts;
        int told;               /* a pipe: something is complete */
        unsigned first, n;
        SimulatedHost *hosts;
} Share;

typedef struct Simulation {
        sd_event *event;        /* of who writes */
        Store *store;
        Counts *counts;
        unsigned n, n_processes;
        pid_t pids[HOSTS_MAX / HOSTS_EACH];
        int told;
} Simulation;

static double seconds(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* ---- the hosts ---- */

static void tell(const Share *s) {
        (void) !write(s->told, "", 1);
}

static void find_out_whether_ready(SimulatedHost *h) {
        if (h->ready || h->n_snapshots < 2 || !store_lease_held(h->lease))
                return;
        h->ready = true;
        atomic_fetch_add(&h->share->counts->n_ready, 1);
        tell(h->share);
}

static void on_lease(StoreLease *l, bool held, void *userdata) {
        find_out_whether_ready(userdata);
}

static void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        SimulatedHost *h = userdata;
        Counts *c = h->share->counts;

        if (news->snapshot) {
                h->n_snapshots++;
                find_out_whether_ready(h);
        } else if (atomic_fetch_add(&c->n_news, news->n) + news->n >= atomic_load(&c->want))
                tell(h->share);
}

static void host_open(SimulatedHost *h, unsigned i, const char *endpoints, bool by_target) {
        sd_event *event = h->share->event;
        char mine[64];

        snprintf(mine, sizeof(mine), "exports/host%u/file/", i);
        if (store_open_etcd(&h->store, event, endpoints, NULL) < 0 ||
            store_lease_new(h->store, TTL_SEC, on_lease, h, &h->lease) < 0 ||
            store_watch(h->store, (StoreRange) { by_target ? mine : "exports/", true }, on_news, h, &h->watches[0]) < 0 ||
            store_watch(h->store, (StoreRange) { by_target ? "exports/*/file/" : "other/", true }, on_news, h, &h->watches[1]) < 0) {
                fprintf(stderr, "host %u: no more of them fit\n", i);
                _exit(1);
        }
}

/* Until it is killed. */
static _noreturn_ void run_share(Share *s, const char *endpoints, bool by_target) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        s->hosts = calloc(s->n, sizeof(*s->hosts));
        if (!s->hosts || sd_event_new(&s->event) < 0)
                abort();
        for (unsigned i = 0; i < s->n; i++) {
                s->hosts[i].share = s;
                host_open(&s->hosts[i], s->first + i, endpoints, by_target);
                for (unsigned k = 0; k < 3; k++)
                        (void) sd_event_run(s->event, 0);
        }
        (void) sd_event_loop(s->event);
        _exit(1);
}

/* ---- who writes ---- */

static int on_told(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        char bytes[4096];

        (void) !read(fd, bytes, sizeof(bytes));
        return 0;
}

/* Of all members, so far. */
static double cpu_seconds(const Cluster *c) {
        double all = 0;

        for (unsigned i = 0; i < c->n; i++) {
                unsigned long user = 0, system = 0;
                char path[64];

                snprintf(path, sizeof(path), "/proc/%d/stat", (int) c->pids[i]);
                FILE *f = fopen(path, "re");
                if (!f || fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
                        user = system = 0;
                if (f)
                        (void) fclose(f);
                all += (double) (user + system) / (double) sysconf(_SC_CLK_TCK);
        }
        return all;
}

static bool wait_for_count(Simulation *s, const atomic_uint_fast64_t *count, uint64_t want, double limit) {
        double end = seconds() + limit;

        while (atomic_load(count) < want && seconds() < end)
                (void) sd_event_run(s->event, 100000);
        return atomic_load(count) >= want;
}

static void on_written(const StoreReply *reply, void *userdata) {
        if (reply->error < 0)
                fprintf(stderr, "a write failed: %s\n", reply->problem ?: strerrordesc_np(-reply->error));
}

static void put(Simulation *s, const char *key, unsigned i) {
        char value[400];
        StoreWrite w = { .key = key, .data = value, .size = sizeof(value) };
        StoreCall *c;

        memset(value, 'a' + (int) (i % 26), sizeof(value));
        if (store_commit(s->store, &(StoreCommit) { .writes = &w, .n_writes = 1 }, on_written, NULL, &c) < 0)
                abort();
}

/* Changes of a key that n_each hosts are told of. */
static void measure(Simulation *s, const Cluster *c, const char *what, const char *key, unsigned n_each) {
        double cpu = cpu_seconds(c), start = seconds();

        atomic_store(&s->counts->n_news, 0);
        for (unsigned i = 1; i <= CHANGES; i++) {
                atomic_store(&s->counts->want, (uint64_t) i * n_each);
                put(s, key, i);
                if (!wait_for_count(s, &s->counts->n_news, (uint64_t) i * n_each, 60)) {
                        printf("  %-44s not told to all in a minute\n", what);
                        return;
                }
        }
        printf("  %-44s %7u told, %8.1f ms until all know, %8.2f ms of etcd's processor\n", what, n_each,
               (seconds() - start) * 1000 / CHANGES, (cpu_seconds(c) - cpu) * 1000 / CHANGES);
}

static void wait_seconds(Simulation *s, double n) {
        for (double end = seconds() + n; seconds() < end;)
                (void) sd_event_run(s->event, 100000);
}

static void measure_all(Simulation *s, const Cluster *c, bool by_target) {
        wait_seconds(s, 2);     /* the streams are there as well */
        measure(s, c, "exported to one host", "exports/host1/file/host0/x", by_target ? 1 : s->n);
        measure(s, c, "exported to all", "exports/*/file/host0/x", s->n);

        double cpu = cpu_seconds(c), quiet = seconds();
        wait_seconds(s, 15);
        printf("  at rest: %.1f keep-alives a second, %.1f %% of one processor\n", s->n * 3.0 / TTL_SEC,
               (cpu_seconds(c) - cpu) * 100 / (seconds() - quiet));
}

static void begin(Simulation *s, const Cluster *c, int told, bool by_target) {
        for (unsigned first = 0; first < s->n; first += HOSTS_EACH) {
                Share share = { .counts = s->counts, .told = told, .first = first, .n = MIN(s->n - first, (unsigned) HOSTS_EACH) };
                pid_t pid = fork();

                if (pid < 0)
                        abort();
                if (pid == 0)
                        run_share(&share, c->endpoints, by_target);
                s->pids[s->n_processes++] = pid;
        }
}

static void end(Simulation *s) {
        for (unsigned i = 0; i < s->n_processes; i++) {
                (void) kill(s->pids[i], SIGKILL);
                while (waitpid(s->pids[i], NULL, 0) < 0 && errno == EINTR)
                        ;
        }
}

static void simulate(unsigned n, unsigned n_members, bool by_target) {
        Simulation s = { .n = n };
        int told[2];
        Cluster c;

        s.counts = mmap(NULL, sizeof(*s.counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (s.counts == MAP_FAILED || pipe2(told, O_CLOEXEC | O_NONBLOCK) < 0)
                abort();
        cluster_init(&c, n_members, NULL);
        double start = seconds();
        begin(&s, &c, told[1], by_target);
        if (sd_event_new(&s.event) < 0 || sd_event_add_io(s.event, NULL, told[0], EPOLLIN, on_told, NULL) < 0 ||
            store_open_etcd(&s.store, s.event, c.endpoints, NULL) < 0)
                abort();
        bool ready = wait_for_count(&s, &s.counts->n_ready, n, 240);
        printf("%u hosts at %u members, keys by %s: %llu ready in %.1f s\n", n, n_members, by_target ? "target" : "exporter",
               (unsigned long long) atomic_load(&s.counts->n_ready), seconds() - start);
        if (ready)
                measure_all(&s, &c, by_target);
        end(&s);
        store_free(s.store);
        sd_event_unref(s.event);
        closep(&told[0]);
        closep(&told[1]);
        (void) munmap(s.counts, sizeof(*s.counts));
        cluster_done(&c);
}

static unsigned number_of(const char *variable, unsigned otherwise, unsigned max) {
        const char *text = getenv(variable);

        return text && *text ? MIN((unsigned) strtoul(text, NULL, 10), max) : otherwise;
}

int main(int argc, char *argv[]) {
        unsigned n = number_of("MGMT_HOSTS", 100, HOSTS_MAX), n_members = number_of("MGMT_MEMBERS", 1, CLUSTER_MAX);
        struct rlimit limit;

        if (!cluster_available()) {
                printf("etcd is not installed\n");
                return 0;
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        (void) log_set_level(LOG_ERR);
        simulate(n, MAX(n_members, 1u), true);
        if (n <= BY_EXPORTER_MAX)       /* the square of it is too much */
                simulate(n, MAX(n_members, 1u), false);
        return 0;
}
