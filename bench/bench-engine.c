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

static uint64_t floor_check(unsigned n) {
        char path[64], buffer[4096];
        struct stat st;
        uint64_t begin = now_nsec();
        int w = inotify_init1(IN_CLOEXEC);

        if (inotify_add_watch(w, directory, IN_MODIFY) < 0)
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
        return now_nsec() - begin;
}

static void bench_files(unsigned n) {
        uint64_t best_swap = UINT64_MAX, best = UINT64_MAX, floor = UINT64_MAX;
        char path[64], what[80];

        for (unsigned i = 0; i < n; i++) {
                file_path(i, path);
                if (write_file_atomic_at(AT_FDCWD, path, CONTENT, sizeof(CONTENT) - 1, 0644, false) < 0)
                        die("write");
        }
        for (int round = 0; round < 5; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet set = { .generation = 1, .full = true };

                for (unsigned i = 0; i < n; i++) {
                        file_path(i, path);
                        put(&set, "file", path, (const char *const[]) { "state", "exists", "content", CONTENT, NULL });
                }
                uint64_t begin = now_nsec();
                apply(m, &set, true, true);
                uint64_t swapped = now_nsec();
                converge(m);
                uint64_t end = now_nsec();
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

static void bench_equal(unsigned n) {
        sd_event *event;
        Manager *m = engine_new(&event);
        uint64_t samples[5];
        char name[32], to[32];

        for (unsigned round = 0; round < 5; round++) {
                ChangeSet set = { .generation = round + 1, .full = true };
                for (unsigned i = 0; i < n; i++) {
                        (void) snprintf(name, sizeof(name), "n%u", i);
                        put(&set, "test", name, (const char *const[]) { "comment", "x", NULL });
                        (void) snprintf(to, sizeof(to), "n%u", i + 1);
                        if (i + 1 < n)
                                edge(&set, "test", name, to);
                }
                uint64_t begin = now_nsec();
                apply(m, &set, true, true);
                samples[round] = now_nsec() - begin;
                change_set_done(&set);
                converge(m);
        }
        report("engine: 10,000 in a chain, taken over whole, all equal", median(samples, 5), 0);
        engine_end(m, event);
}

static void bench_group(unsigned n, bool chain) {
        uint64_t samples[5];
        char name[32], to[32];

        for (unsigned round = 0; round < 5; round++) {
                sd_event *event;
                Manager *m = engine_new(&event);
                ChangeSet set = { .generation = 1, .full = true };
                for (unsigned i = 0; i < n; i++) {
                        (void) snprintf(name, sizeof(name), "n%u", i);
                        put(&set, "noop", name, (const char *const[]) { NULL });
                        (void) snprintf(to, sizeof(to), "n%u", i + 1);
                        if (chain && i + 1 < n)
                                edge(&set, "noop", name, to);
                }
                uint64_t begin = now_nsec();
                apply(m, &set, true, true);
                samples[round] = now_nsec() - begin;
                change_set_done(&set);
                engine_end(m, event);
        }
        report(chain ? "engine: 1,000 that could be grouped, in a chain" : "engine: 10,000 grouped into one", median(samples, 5), 0);
}

/* Arguments name what to run: files, changes, equal, group; none: all. */
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
        if (wanted(argc, argv, "changes"))
                bench_drift_and_changes(10000);
        if (wanted(argc, argv, "equal"))
                bench_equal(10000);
        if (wanted(argc, argv, "group")) {
                bench_group(1000, true);
                bench_group(10000, false);
        }
        (void) remove_tree(directory);
        return EXIT_SUCCESS;
}
