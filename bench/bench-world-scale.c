/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Many hosts at one etcd, as far as this machine goes: each has the connection, the watches and the lease of a host that exports and
 * collects. What one change costs, in the order of keys that we have (by target), and in the other one (by exporter), in which a host
 * has to watch everything. docs/scale.md has what it found. MGMT_HOSTS=N: so many. */

#include <stdio.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/macro.h"
#include "common/sd/log.h"
#include "daemons/world/store.h"
#include "tests/daemons/world/etcd-cluster.h"

enum { TTL_SEC = 30, CHANGES = 20, HOSTS_MAX = 9000 };

typedef struct SimulatedHost {
        Store *store;
        StoreLease *lease;
        StoreWatch *watches[2];
        unsigned n_snapshots;
} SimulatedHost;

typedef struct Simulation {
        sd_event *event;
        SimulatedHost *hosts;
        unsigned n, n_held;
        uint64_t n_news;
} Simulation;

typedef struct HostWatch {
        Simulation *simulation;
        SimulatedHost *host;
} HostWatch;

static void on_lease(StoreLease *l, bool held, void *userdata) {
        ((Simulation *) userdata)->n_held += held ? 1 : -1U;
}

static void on_news(StoreWatch *w, const StoreNews *news, void *userdata) {
        HostWatch *h = userdata;

        if (news->snapshot)
                h->host->n_snapshots++;
        else
                h->simulation->n_news += news->n;
}

static double seconds(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
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

static bool run_until(Simulation *s, uint64_t want, const uint64_t *got, double limit) {
        double end = seconds() + limit;

        while (*got < want && seconds() < end)
                (void) sd_event_run(s->event, 10000);
        return *got >= want;
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
        if (store_commit(s->hosts[0].store, &(StoreCommit) { .writes = &w, .n_writes = 1 }, on_written, NULL, &c) < 0)
                abort();
}

/* Changes of a key that n_each hosts are told of. */
static void measure(Simulation *s, const Cluster *c, const char *what, const char *key, unsigned n_each) {
        double cpu = cpu_seconds(c), start = seconds();

        s->n_news = 0;
        for (unsigned i = 1; i <= CHANGES; i++) {
                put(s, key, i);
                if (!run_until(s, (uint64_t) i * n_each, &s->n_news, 60)) {
                        printf("  %-44s not told to all in a minute\n", what);
                        return;
                }
        }
        printf("  %-44s %7u told, %8.1f ms until all know, %8.2f ms of etcd's processor\n", what, n_each,
               (seconds() - start) * 1000 / CHANGES, (cpu_seconds(c) - cpu) * 1000 / CHANGES);
}

static void simulate(unsigned n, bool by_target) {
        Cluster c;
        Simulation s = { .n = n };
        HostWatch *contexts = calloc(n, sizeof(*contexts));
        uint64_t ready = 0;

        cluster_init(&c, 1, NULL);
        if (!contexts || sd_event_new(&s.event) < 0 || !(s.hosts = calloc(n, sizeof(*s.hosts))))
                abort();
        double start = seconds();
        for (unsigned i = 0; i < n; i++) {
                char mine[64];

                contexts[i] = (HostWatch) { &s, &s.hosts[i] };
                snprintf(mine, sizeof(mine), "exports/host%u/file/", i);
                if (store_open_etcd(&s.hosts[i].store, s.event, c.endpoints, NULL) < 0 ||
                    store_lease_new(s.hosts[i].store, TTL_SEC, on_lease, &s, &s.hosts[i].lease) < 0 ||
                    store_watch(s.hosts[i].store, (StoreRange) { by_target ? mine : "exports/", true }, on_news, &contexts[i],
                                &s.hosts[i].watches[0]) < 0 ||
                    store_watch(s.hosts[i].store, (StoreRange) { by_target ? "exports/*/file/" : "other/", true }, on_news, &contexts[i],
                                &s.hosts[i].watches[1]) < 0)
                        abort();
                for (unsigned k = 0; k < 3; k++)
                        (void) sd_event_run(s.event, 0);
        }
        for (double end = seconds() + 120; ready < n && seconds() < end;) {
                (void) sd_event_run(s.event, 10000);
                ready = 0;
                for (unsigned i = 0; i < n; i++)
                        ready += s.hosts[i].n_snapshots == 2 && store_lease_held(s.hosts[i].lease);
        }
        for (double end = seconds() + 2; seconds() < end;)      /* the streams are there as well */
                (void) sd_event_run(s.event, 10000);
        printf("%u hosts, keys by %s: %llu ready in %.1f s\n", n, by_target ? "target" : "exporter", (unsigned long long) ready,
               seconds() - start);
        if (ready == n) {
                measure(&s, &c, "exported to one host", "exports/host1/file/host0/x", by_target ? 1 : n);
                measure(&s, &c, "exported to all", "exports/*/file/host0/x", n);

                double cpu = cpu_seconds(&c), quiet = seconds();
                while (seconds() < quiet + 15)
                        (void) sd_event_run(s.event, 100000);
                printf("  at rest: %.1f keep-alives a second, %.1f %% of one processor\n", n * 3.0 / TTL_SEC,
                       (cpu_seconds(&c) - cpu) * 100 / (seconds() - quiet));
        }
        for (unsigned i = 0; i < n; i++) {
                store_watch_free(s.hosts[i].watches[0]);
                store_watch_free(s.hosts[i].watches[1]);
                store_lease_free(s.hosts[i].lease, false);
                store_free(s.hosts[i].store);
        }
        sd_event_unref(s.event);
        free(s.hosts);
        free(contexts);
        cluster_done(&c);
}

int main(int argc, char *argv[]) {
        const char *text = getenv("MGMT_HOSTS");
        unsigned n = text && *text ? MIN((unsigned) strtoul(text, NULL, 10), (unsigned) HOSTS_MAX) : 100;
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
        simulate(n, true);
        simulate(n, false);
        return 0;
}
