/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The engine in this process, without bus and sockets: files that are right already, drift and its repair, changes of a large
 * graph. The floors do the same system calls and nothing else. */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "bench/bench.h"
#include "common/io.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/kinds.h"

#define CONTENT "content of a file that is right already\n"

/* What the engine watches of the directory of a file. */
enum { FLOOR_MASK = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVE | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR };

static char directory[] = "/tmp/mgmt-bench-XXXXXX";

static __attribute__((__noreturn__)) void die(const char *what) {
        (void) fprintf(stderr, "%s failed\n", what);
        (void) remove_tree(directory);
        exit(EXIT_FAILURE);
}

static Manager *engine_new(sd_event **event) {
        static const EngineOptions options = { .converger_timeout = 0 };
        Manager *m;

        if (sd_event_new(event) < 0 || manager_new(&m, *event, engine_kinds, directory, NULL, &options) < 0)
                die("engine");
        return m;
}

static void engine_end(Manager *m, sd_event *event) {
        manager_free(m);
        sd_event_unref(event);
}

static void set_str(ResourceSpec *s, size_t i, const char *name, const char *text) {
        s->fields[i].name = strdup(name);
        if (!s->fields[i].name || value_strz(&s->fields[i].value, text) < 0)
                die("field");
        s->n_fields = i + 1;
}

static void put(ChangeSet *set, const char *kind, const char *name, const char *const *fields) {
        ResourceSpec s = { .kind = strdup(kind), .name = strdup(name), .fields = calloc(4, sizeof(FieldValue)) };

        meta_init(&s.meta);
        for (size_t i = 0; fields[2 * i]; i++)
                set_str(&s, i, fields[2 * i], fields[2 * i + 1]);
        if (change_set_put(set, &s) < 0)
                die("put");
}

static void edge(ChangeSet *set, const char *kind, const char *from, const char *to) {
        EdgeSpec e = { .from_kind = strdup(kind), .from_name = strdup(from), .to_kind = strdup(kind), .to_name = strdup(to) };

        if (change_set_edge(set, &e) < 0)
                die("edge");
}

static void apply(Manager *m, ChangeSet *set, bool autoedge, bool autogroup) {
        SwapOptions options = { .autoedge = autoedge, .autogroup = autogroup };
        Diag diag = {};

        if (graph_swap(m, set, &options, &diag) < 0)
                die(diag.message);
}

static void converge(Manager *m) {
        while (m->scheduler.n_unsettled > 0)
                if (sd_event_run(m->event, UINT64_MAX) < 0)
                        die("loop");
}

static void file_path(unsigned i, char path[static 64]) {
        (void) snprintf(path, 64, "%s/files/%u", directory, i);
}

/* ---- files that are right already ---- */

/* In a directory that is watched: the kernel looks at each call there for somebody who wants to know. */
static uint64_t floor_check(unsigned n) {
        char path[64], buffer[4096];
        struct stat st;
        uint64_t begin = cpu_nsec();
        int w = inotify_init1(IN_CLOEXEC);

        (void) snprintf(path, sizeof(path), "%s/files", directory);
        if (inotify_add_watch(w, path, FLOOR_MASK) < 0)
                die("watch");
        for (unsigned i = 0; i < n; i++) {
                file_path(i, path);
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || fstat(fd, &st) < 0 || read(fd, buffer, sizeof(buffer)) != sizeof(CONTENT) - 1 ||
                    memcmp(buffer, CONTENT, sizeof(CONTENT) - 1) != 0)
                        die("floor");
                (void) close(fd);
        }
        (void) close(w);
        return cpu_nsec() - begin;
}

static void bench_files(unsigned n) {
        uint64_t best_swap = UINT64_MAX, best = UINT64_MAX, floor = UINT64_MAX;
        char path[64], what[80];

        for (unsigned i = 0; i < n; i++) {
                file_path(i, path);
                if (write_file_atomic_at(AT_FDCWD, path, CONTENT, sizeof(CONTENT) - 1, 0644, false) < 0)
                        die("write");
        }
        for (unsigned round = 0; round < 50000 / n; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet set = { .generation = 1, .full = true };

                for (unsigned i = 0; i < n; i++) {
                        file_path(i, path);
                        put(&set, "file", path, (const char *const[]) { "state", "exists", "content", CONTENT, NULL });
                }
                uint64_t begin = cpu_nsec();
                apply(m, &set, true, true);
                uint64_t swapped = cpu_nsec();
                converge(m);
                uint64_t end = cpu_nsec();
                if (end - begin < best) {
                        best = end - begin;
                        best_swap = swapped - begin;
                }
                change_set_done(&set);
                engine_end(m, event);
                uint64_t f = floor_check(n);
                floor = f < floor ? f : floor;
        }
        (void) snprintf(what, sizeof(what), "engine: %u files, nothing to change", n);
        report(what, best, floor);
        (void) snprintf(what, sizeof(what), "engine: of that, taking over the graph (with autoedge)");
        report(what, best_swap, 0);
}

/* ---- files that are not there yet ---- */

static void new_directory(const char *name, unsigned round, char path[static 64]) {
        (void) snprintf(path, 64, "%s/%s%u", directory, name, round);
        if (mkdir(path, 0755) < 0)
                die("mkdir");
}

/* The watch sees all that is done. That it has been done is not told to anybody. */
static uint64_t floor_first(unsigned n, unsigned round) {
        char folder[64], path[96], temporary[104];
        int w = inotify_init1(IN_CLOEXEC);

        new_directory("floor", round, folder);
        uint64_t begin = cpu_nsec();
        if (inotify_add_watch(w, folder, FLOOR_MASK) < 0)
                die("watch");
        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(path, sizeof(path), "%s/%u", folder, i);
                (void) snprintf(temporary, sizeof(temporary), "%s.tmp", path);
                int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (fd < 0 || write(fd, CONTENT, sizeof(CONTENT) - 1) < 0 || close(fd) < 0 || rename(temporary, path) < 0)
                        die("first");
        }
        uint64_t end = cpu_nsec();
        (void) close(w);
        return end - begin;
}

static uint64_t engine_first(unsigned n, unsigned round) {
        sd_event *event;
        Manager *m = engine_new(&event);
        ChangeSet set = { .generation = 1, .full = true };
        char folder[64], path[96];

        new_directory("first", round, folder);
        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(path, sizeof(path), "%s/%u", folder, i);
                put(&set, "file", path, (const char *const[]) { "state", "exists", "content", CONTENT, NULL });
        }
        uint64_t begin = cpu_nsec();
        apply(m, &set, true, true);
        converge(m);
        uint64_t end = cpu_nsec();
        change_set_done(&set);
        engine_end(m, event);
        return end - begin;
}

static void bench_first(unsigned n) {
        uint64_t samples[5], floors[5];
        char what[80];

        for (unsigned round = 0; round < 5; round++) {
                floors[round] = floor_first(n, round);
                samples[round] = engine_first(n, round);
        }
        (void) snprintf(what, sizeof(what), "engine: %u files, written for the first time", n);
        report(what, median(samples, 5), median(floors, 5));
}

/* ---- drift and repair ---- */

enum { DRIFTS = 201 };

static uint64_t floor_repair(void) {
        static uint64_t samples[DRIFTS];
        char path[64], temporary[72], buffer[4096];
        int w = inotify_init1(IN_CLOEXEC);
        char folder[64];

        (void) snprintf(folder, sizeof(folder), "%s/files", directory);
        file_path(0, path);
        (void) snprintf(temporary, sizeof(temporary), "%s.tmp", path);
        if (inotify_add_watch(w, folder, IN_CLOSE_WRITE | IN_MOVED_TO) < 0)
                die("watch");
        for (int i = 0; i < DRIFTS; i++) {
                if (write_file_atomic_at(AT_FDCWD, path, "bad", 3, 0644, false) < 0)
                        die("drift");
                uint64_t begin = now_nsec();
                struct pollfd p = { .fd = w, .events = POLLIN };
                if (poll(&p, 1, -1) < 0 || read(w, buffer, sizeof(buffer)) < 0)
                        die("poll");
                int fd = open(path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || read(fd, buffer, sizeof(buffer)) < 0)
                        die("read");
                (void) close(fd);
                fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (fd < 0 || write(fd, CONTENT, sizeof(CONTENT) - 1) < 0 || close(fd) < 0 || rename(temporary, path) < 0)
                        die("repair");
                samples[i] = now_nsec() - begin;
                while (poll(&p, 1, 0) > 0)
                        (void) !read(w, buffer, sizeof(buffer));
        }
        (void) close(w);
        return median(samples, DRIFTS);
}

static uint64_t engine_repair(Manager *m) {
        static uint64_t samples[DRIFTS];
        char path[64];

        file_path(0, path);
        Vertex *v = manager_find(m, "file", path);
        for (int i = 0; i < DRIFTS; i++) {
                uint64_t applied = v->last_apply_usec;
                if (write_file_atomic_at(AT_FDCWD, path, "bad", 3, 0644, false) < 0)
                        die("drift");
                uint64_t begin = now_nsec();
                while (v->last_apply_usec == applied)
                        if (sd_event_run(m->event, UINT64_MAX) < 0)
                                die("loop");
                samples[i] = now_nsec() - begin;
                while (sd_event_run(m->event, 0) > 0)
                        ;
        }
        return median(samples, DRIFTS);
}

/* ---- a large graph, of what costs nothing to check ---- */

static void bench_drift_and_changes(unsigned n) {
        sd_event *event;
        Manager *m = engine_new(&event);
        ChangeSet set = { .generation = 1, .full = true };
        uint64_t samples[51];
        char path[64];

        for (unsigned i = 0; i < n; i++) {
                file_path(i, path);
                put(&set, "file", path, (const char *const[]) { "state", "exists", "content", CONTENT, NULL });
        }
        apply(m, &set, true, true);
        change_set_done(&set);
        converge(m);
        report("engine: one of 10,000 files drifts, until repaired", engine_repair(m), floor_repair());

        for (unsigned i = 0; i < 51; i++) {
                file_path(i, path);
                Vertex *v = manager_find(m, "file", path);
                uint32_t attempt = v->attempt;
                ChangeSet delta = { .generation = 2 + i };
                put(&delta, "file", path, (const char *const[]) { "state", "exists", "content", "other\n", NULL });
                uint64_t begin = now_nsec();
                apply(m, &delta, true, true);
                while (v->attempt == attempt)
                        (void) sd_event_run(m->event, UINT64_MAX);
                samples[i] = now_nsec() - begin;
                change_set_done(&delta);
                converge(m);
        }
        report("engine: one of 10,000 is declared otherwise, until done", median(samples, 51), 0);

        for (unsigned i = 0; i < 51; i++) {
                (void) snprintf(path, sizeof(path), "%s/files/new%u", directory, i);
                ChangeSet delta = { .generation = 100 + i };
                put(&delta, "file", path, (const char *const[]) { "state", "absent", NULL });
                uint64_t begin = now_nsec();
                apply(m, &delta, true, true);
                samples[i] = now_nsec() - begin;
                change_set_done(&delta);
                converge(m);
        }
        report("engine: one is added to 10,000", median(samples, 51), 0);
        engine_end(m, event);
}

/* ---- whole graphs that were sent before ---- */

/* Vertex i has edges from up to four earlier ones, always the same; those from first on. */
static void random_graph(ChangeSet *set, unsigned first, unsigned n) {
        char name[32], from[32];
        uint64_t state = 42;

        for (unsigned i = first; i < n; i++) {
                (void) snprintf(name, sizeof(name), "v%u", i);
                put(set, "test", name, (const char *const[]) { "comment", "x", NULL });
        }
        for (unsigned i = 1; i < n; i++)
                for (unsigned k = 0; k < 4 && k < i; k++) {
                        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
                        (void) snprintf(from, sizeof(from), "v%u", (unsigned) (state >> 33) % i);
                        (void) snprintf(name, sizeof(name), "v%u", i);
                        if (i >= first)
                                edge(set, "test", from, name);
                }
}

/* Two sets that are known to be alike, compared in order. */
static uint64_t floor_compare(const ChangeSet *a, const ChangeSet *b) {
        uint64_t begin = cpu_nsec();

        for (size_t i = 0; i < MIN(a->n_put, b->n_put); i++)
                if (!resource_spec_equal(&a->put[i], &b->put[i], NULL))
                        die("floor");
        for (size_t i = 0; i < MIN(a->n_edges, b->n_edges); i++) {
                const EdgeSpec *x = &a->edges[i], *y = &b->edges[i];
                if (!streq(x->from_kind, y->from_kind) || !streq(x->from_name, y->from_name) || !streq(x->to_kind, y->to_kind) ||
                    !streq(x->to_name, y->to_name))
                        die("floor");
        }
        return cpu_nsec() - begin;
}

/* more: so many are new. whole: the second set is a whole graph as well, in which the old ones have to be found again. */
static void bench_sync(unsigned n, unsigned more, bool whole) {
        uint64_t samples[9], floors[9];
        char what[80];

        for (unsigned round = 0; round < 9; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet first = { .generation = 1, .full = true }, second = { .generation = 2, .full = whole };

                random_graph(&first, 0, n);
                random_graph(&second, whole ? 0 : n, n + more);
                apply(m, &first, true, true);
                converge(m);
                uint64_t begin = cpu_nsec();
                apply(m, &second, true, true);
                samples[round] = cpu_nsec() - begin;
                floors[round] = whole ? floor_compare(&first, &second) : 0;
                change_set_done(&first);
                change_set_done(&second);
                engine_end(m, event);
        }
        (void) snprintf(what, sizeof(what), "engine: %s, %u, 4 edges each, %s", whole ? "sync" : "delta", n, more ? "10 % more" : "identical");
        report(what, median(samples, 9), median(floors, 9));
}

static void bench_equal(unsigned n) {
        sd_event *event;
        Manager *m = engine_new(&event);
        uint64_t samples[9];
        char name[32], to[32];

        for (unsigned round = 0; round < 9; round++) {
                ChangeSet set = { .generation = round + 1, .full = true };
                for (unsigned i = 0; i < n; i++) {
                        (void) snprintf(name, sizeof(name), "n%u", i);
                        put(&set, "test", name, (const char *const[]) { "comment", "x", NULL });
                        (void) snprintf(to, sizeof(to), "n%u", i + 1);
                        if (i + 1 < n)
                                edge(&set, "test", name, to);
                }
                uint64_t begin = cpu_nsec();
                apply(m, &set, true, true);
                samples[round] = cpu_nsec() - begin;
                change_set_done(&set);
                converge(m);
        }
        report("engine: 10,000 in a chain, taken over whole, all equal", median(samples, 9), 0);
        engine_end(m, event);
}

/* ---- autoedge ---- */

/* Files three deep, and a resource for each directory. */
static void tree(ChangeSet *set, unsigned n) {
        char path[64];

        for (unsigned i = 0; i < n; i++) {
                if (i % 100 == 0) {
                        (void) snprintf(path, sizeof(path), "/tmp/bench/d%u/", i / 100);
                        put(set, "file", path, (const char *const[]) { "state", "exists", NULL });
                }
                if (i % 10 == 0) {
                        (void) snprintf(path, sizeof(path), "/tmp/bench/d%u/d%u/", i / 100, i / 10 % 10);
                        put(set, "file", path, (const char *const[]) { "state", "exists", NULL });
                }
                (void) snprintf(path, sizeof(path), "/tmp/bench/d%u/d%u/f%u", i / 100, i / 10 % 10, i);
                put(set, "file", path, (const char *const[]) { "state", "exists", NULL });
        }
}

static uint64_t hash_path(const char *p, size_t n) {
        uint64_t h = UINT64_C(14695981039346656037);

        for (size_t i = 0; i < n; i++)
                h = (h ^ (uint8_t) p[i]) * UINT64_C(1099511628211);
        return h;
}

/* Every path goes into a bare hash table, and for each the directory above is looked up. */
static uint64_t floor_tree(const ChangeSet *set) {
        enum { SLOTS = 1 << 15 };
        static const char *slots[SLOTS];
        unsigned n_found = 0;

        memset(slots, 0, sizeof(slots));
        uint64_t begin = cpu_nsec();
        for (size_t i = 0; i < set->n_put; i++) {
                const char *p = set->put[i].name;
                size_t at = hash_path(p, strlen(p)) % SLOTS;
                while (slots[at])
                        at = (at + 1) % SLOTS;
                slots[at] = p;
        }
        for (size_t i = 0; i < set->n_put; i++) {
                const char *p = set->put[i].name;
                size_t n = strlen(p) - 1;
                while (p[n - 1] != '/')
                        n--;
                size_t at = hash_path(p, n) % SLOTS;
                while (slots[at] && (strncmp(slots[at], p, n) != 0 || slots[at][n]))
                        at = (at + 1) % SLOTS;
                n_found += slots[at] != NULL;
        }
        if (n_found < set->n_put / 2)
                die("floor");
        return cpu_nsec() - begin;
}

static void bench_autoedge(unsigned n) {
        uint64_t with[9], without[9], floors[9];

        for (unsigned round = 0; round < 18; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet set = { .generation = 1, .full = true };

                tree(&set, n);
                uint64_t begin = cpu_nsec();
                apply(m, &set, round % 2 == 0, false);
                (round % 2 == 0 ? with : without)[round / 2] = cpu_nsec() - begin;
                floors[round / 2] = floor_tree(&set);
                change_set_done(&set);
                engine_end(m, event);
        }
        uint64_t all = median(with, 9), none = median(without, 9);
        report("engine: a tree of 10,000 files taken over, without autoedge", none, 0);
        report("engine: of 10,000 files, what autoedge takes", all > none ? all - none : 1, median(floors, 9));
}

/* ---- resources that cost nothing ---- */

static int still_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

/* Those with the same first letter can be one. */
static bool still_groups(const Resource *parent, const Resource *child) {
        return parent->name[0] == child->name[0];
}

static const FieldSpec still_fields[] = { {} };
static const ResourceType still_type = {
        .kind = "still", .doc = "Is right.", .size = sizeof(Resource), .fields = still_fields, .check_apply = still_check_apply,
};
static const ResourceType letter_type = {
        .kind = "letter", .doc = "Is right.", .size = sizeof(Resource), .fields = still_fields, .check_apply = still_check_apply,
        .groups = still_groups,
};
static const ResourceType *const still_types[] = { &still_type, &letter_type, NULL };

static Manager *still_engine(sd_event **event) {
        static const EngineOptions options = { .converger_timeout = 0 };
        Manager *m;

        if (sd_event_new(event) < 0 || manager_new(&m, *event, still_types, directory, NULL, &options) < 0)
                die("engine");
        return m;
}

static void bench_group(const char *shape, unsigned n, bool letters, bool chain, bool autogroup) {
        uint64_t samples[9], without[9];
        char name[32], to[32], what[80];

        for (unsigned round = 0; round < 18; round++) {
                sd_event *event;
                Manager *m = still_engine(&event);
                ChangeSet set = { .generation = 1, .full = true };

                for (unsigned i = 0; i < n; i++) {
                        (void) snprintf(name, sizeof(name), "%c%u", letters ? 'a' + (int) (i % 26) : 'a', i);
                        put(&set, "letter", name, (const char *const[]) { NULL });
                        set.put[i].meta.autogroup = autogroup;
                        (void) snprintf(to, sizeof(to), "a%u", i + 1);
                        if (chain && i + 1 < n)
                                edge(&set, "letter", name, to);
                }
                uint64_t begin = cpu_nsec();
                apply(m, &set, false, round % 2 == 0);
                (round % 2 == 0 ? samples : without)[round / 2] = cpu_nsec() - begin;
                change_set_done(&set);
                engine_end(m, event);
        }
        uint64_t all = median(samples, 9), none = median(without, 9);
        (void) snprintf(what, sizeof(what), "engine: what autogroup takes, %s of %u", shape, n);
        report(what, all > none ? all - none : 1, 0);
}

/* ---- from an event to the attempt ---- */

static int on_floor(sd_event_source *source, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

/* A source of the loop that is enabled and runs. */
static uint64_t floor_event(unsigned n) {
        sd_event *event;
        sd_event_source *source;
        unsigned done = 0;

        if (sd_event_new(&event) < 0 || sd_event_add_defer(event, &source, on_floor, &done) < 0)
                die("loop");
        uint64_t begin = cpu_nsec();
        for (unsigned i = 0; i < n; i++) {
                (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
                while (done == i)
                        (void) sd_event_run(event, UINT64_MAX);
        }
        uint64_t end = cpu_nsec();
        sd_event_source_unref(source);
        sd_event_unref(event);
        return end - begin;
}

static void bench_events(const char *shape, unsigned n, bool chain, bool fan) {
        enum { EVENTS = 5000 };
        sd_event *event;
        Manager *m = still_engine(&event);
        ChangeSet set = { .generation = 1, .full = true };
        uint64_t samples[5], floors[5];
        char name[32], to[32], what[80];

        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "v%u", i);
                put(&set, "still", name, (const char *const[]) { NULL });
                (void) snprintf(to, sizeof(to), "v%u", i + 1);
                if ((chain || fan) && i + 1 < n)
                        edge(&set, "still", fan ? "v0" : name, to);
        }
        apply(m, &set, true, true);
        change_set_done(&set);
        converge(m);

        for (unsigned round = 0; round < 5; round++) {
                uint64_t begin = cpu_nsec();
                for (unsigned i = 0; i < EVENTS; i++) {
                        Vertex *v = manager_vertex(m, i * 7 % n);
                        uint32_t attempt = v->attempt;
                        resource_changed(v->resource);
                        while (v->attempt == attempt)
                                (void) sd_event_run(event, UINT64_MAX);
                }
                samples[round] = cpu_nsec() - begin;
                floors[round] = floor_event(EVENTS);
        }
        (void) snprintf(what, sizeof(what), "engine: event to attempt, %s of %u", shape, n);
        report_each(what, median(samples, 5), median(floors, 5), EVENTS);
        engine_end(m, event);
}

/* ---- the end ---- */

static void bench_exit(unsigned n) {
        uint64_t samples[5];
        char path[64];

        for (unsigned round = 0; round < 5; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet set = { .generation = 1, .full = true };

                for (unsigned i = 0; i < n; i++) {
                        file_path(i, path);
                        put(&set, "file", path, (const char *const[]) { "state", "exists", NULL });
                }
                apply(m, &set, true, true);
                converge(m);
                uint64_t begin = now_nsec();
                engine_end(m, event);
                samples[round] = now_nsec() - begin;
                change_set_done(&set);
        }
        report("engine: the end, with 1,000 files watched", median(samples, 5), 0);
}

/* Arguments name what to run: files, first, changes, equal, edges, group, events, exit; none: all. */
static bool wanted(int argc, char *argv[], const char *name) {
        for (int i = 1; i < argc; i++)
                if (streq(argv[i], name))
                        return true;
        return argc < 2;
}

int main(int argc, char *argv[]) {
        char files[64];

        (void) log_set_level(LOG_ERR);
        if (!mkdtemp(directory))
                return EXIT_FAILURE;
        (void) snprintf(files, sizeof(files), "%s/files", directory);
        if (mkdir(files, 0755) < 0)
                die("mkdir");
        if (wanted(argc, argv, "files")) {
                bench_files(1000);
                bench_files(10000);
        }
        if (wanted(argc, argv, "first"))
                bench_first(1000);
        if (wanted(argc, argv, "changes"))
                bench_drift_and_changes(10000);
        if (wanted(argc, argv, "equal")) {
                bench_equal(10000);
                bench_sync(10000, 0, true);
                bench_sync(10000, 1000, true);
                bench_sync(10000, 1000, false);
        }
        if (wanted(argc, argv, "edges"))
                bench_autoedge(10000);
        if (wanted(argc, argv, "group")) {
                bench_group("one letter", 1000, false, false, true);
                bench_group("letters", 1000, true, false, true);
                bench_group("a chain", 1000, false, true, true);
                bench_group("those that refuse", 1000, false, false, false);
                bench_group("one letter", 10000, false, false, true);
        }
        if (wanted(argc, argv, "events")) {
                bench_events("a chain", 1000, true, false);
                bench_events("a fan", 1000, false, true);
                bench_events("isolated ones", 1000, false, false);
                bench_events("isolated ones", 10000, false, false);
        }
        if (wanted(argc, argv, "exit"))
                bench_exit(1000);
        (void) remove_tree(directory);
        return EXIT_SUCCESS;
}
