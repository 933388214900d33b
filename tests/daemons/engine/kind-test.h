/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Drives one resource through the hooks of its type, without an engine around it: fields by name, validate, watch, check and
 * apply, with a loop. Its host writes down what the kind reports. */

#include <fcntl.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/names.h"
#include "common/sd/pathwatch.h"
#include "common/strbuf.h"
#include "daemons/engine/engine-manager.h"
#include "tests/test.h"

enum { NOT_FINISHED = 1000 };

typedef struct Bench {
        sd_event *event;
        Manager manager;                /* only what kinds look at: the watcher of paths, users and groups */
        ResourceHost host;
        Resource *r;
        KindSet neighbours;             /* others of the kind in the graph */
        char dir[64];
        unsigned n_changed, n_armed, n_watch_failed;
        int finished;                   /* or NOT_FINISHED */
        bool refresh;
        Diag diag;
        StrBuf log, sent;               /* "key=text\n" */
        StrBuf differences;             /* what was found wrong by the last attempt, a line each */
        char *reason;
} Bench;

static Bench bench;

static void bench_changed(Resource *r) {
        bench.n_changed++;
}

static void bench_armed(Resource *r) {
        bench.n_armed++;
}

static void bench_watch_failed(Resource *r, int error, Diag *diag) {
        bench.n_watch_failed++;
        diag_done(&bench.diag);
        if (diag)
                diag_move(&bench.diag, diag);
}

static void bench_finished(Resource *r, int result, Diag *diag) {
        bench.finished = result;
        diag_done(&bench.diag);
        if (diag)
                diag_move(&bench.diag, diag);
}

static void bench_waiting(Resource *r, const char *reason) {
        free(bench.reason);
        bench.reason = strdup(reason);
}

static bool bench_refresh(const Resource *r) {
        return bench.refresh;
}

static int bench_send(Resource *r, const char *key, Value v) {
        _cleanup_free_ char *text = value_text(v);

        strbuf_printf(&bench.sent, "%s=%s\n", key, text);
        return 0;
}

static void bench_differs(Resource *r, Difference *d) {
        _cleanup_free_ char *text = difference_text(d, true);

        strbuf_printf(&bench.differences, "%s\n", text);
        difference_done(d);
}

static void bench_log(Resource *r, int priority, const char *text) {
        strbuf_printf(&bench.log, "%s\n", text);
}

static int bench_begin(const char *top) {
        int r;

        bench = (Bench) { .finished = NOT_FINISHED };
        (void) snprintf(bench.dir, sizeof(bench.dir), "%s/test-kind-XXXXXX", top);
        if (!mkdtemp(bench.dir))
                return -errno;
        r = sd_event_new(&bench.event);
        if (r >= 0)
                r = path_watcher_new(&bench.manager.paths, bench.event);
        if (r >= 0)
                r = names_new(&bench.manager.names, bench.event, "/etc");
        bench.host = (ResourceHost) {
                .event = bench.event,
                .manager = &bench.manager,
                .hostname = "localhost",
                .state_dir = bench.dir,
                .changed = bench_changed,
                .armed = bench_armed,
                .watch_failed = bench_watch_failed,
                .finished = bench_finished,
                .waiting = bench_waiting,
                .refresh = bench_refresh,
                .send = bench_send,
                .differs = bench_differs,
                .log = bench_log,
        };
        return r;
}

static void bench_unmake(void) {
        if (bench.r && bench.r->type->unwatch)
                bench.r->type->unwatch(bench.r);
        bench.r = resource_free(bench.r);
        bench.n_changed = bench.n_armed = bench.n_watch_failed = 0;
        bench.refresh = false;
        diag_done(&bench.diag);
        strbuf_done(&bench.log);
        strbuf_done(&bench.sent);
        strbuf_done(&bench.differences);
}

static void bench_forget_neighbours(void) {
        size_t i = 0;
        void *v;

        while (map_next(bench.neighbours.by_name, &i, NULL, &v)) {
                resource_free(((Vertex *) v)->resource);
                free(v);
        }
        bench.neighbours.by_name = map_free(bench.neighbours.by_name);
        bench.manager.kinds = map_free(bench.manager.kinds);
}

static void bench_end(void) {
        bench_unmake();
        bench_forget_neighbours();
        free(bench.reason);
        for (HostBusType i = 0; i < _HOST_BUS_MAX; i++)
                host_bus_free(bench.manager.buses[i]);
        path_watcher_free(bench.manager.paths);
        names_free(bench.manager.names);
        sd_event_unref(bench.event);
        (void) remove_tree(bench.dir);
}

static inline void bench_endp(int *unused) {
        bench_end();
}

#define BENCH_IN(top) \
        __attribute__((__cleanup__(bench_endp), __unused__)) int bench_guard = 0; \
        REQUIRE(bench_begin(top) >= 0)
#define BENCH() BENCH_IN("/tmp")
/* For many files: in memory, where that is possible. */
#define BENCH_FAST() BENCH_IN(access("/dev/shm", W_OK) >= 0 ? "/dev/shm" : "/tmp")

/* One field as text: "content=abc", "force=true", "args=a b" (a list), or "env.NAME=value" in a map. */
static int bench_set(const char *text) {
        const char *equal = strchr(text, '=');
        _cleanup_free_ char *name = strndup(text, (size_t) (equal - text));
        _cleanup_(value_done) Value v = VALUE_NIL;
        char *dot = strchr(name, '.');
        const FieldSpec *f;

        if (dot)
                *dot = '\0';
        f = field_find(bench.r->type->fields, name);
        if (!f)
                return -ENOENT;
        if (dot) {
                Value items[2];
                (void) value_strz(&items[0], dot + 1);
                (void) value_strz(&items[1], equal + 1);
                (void) value_map(&v, items, 1);
        } else if (f->type == FIELD_BOOL)
                v = VALUE_BOOL(streq(equal + 1, "true"));
        else if (f->type == FIELD_STRV) {
                char *words[16] = {}, *state = NULL;
                _cleanup_free_ char *copy = strdup(equal + 1);
                size_t n = 0;
                for (char *w = strtok_r(copy, " ", &state); w && n < 15; w = strtok_r(NULL, " ", &state))
                        words[n++] = w;
                (void) value_list_from_strv(&v, words);
        } else if ((f->type >= FIELD_INT8 && f->type <= FIELD_UINT64) || (f->type == FIELD_VALUE && streq_ptr(f->mcl_type, "int")))
                v = VALUE_INT(atoll(equal + 1));
        else
                (void) value_strz(&v, equal + 1);
        return resource_set(bench.r, f->name, v, &bench.diag);
}

/* Makes the resource; fields end with NULL. The result of validate. */
static int bench_make(const ResourceType *type, const char *name, const char *const *fields) {
        int r;

        bench_unmake();
        r = resource_new(&bench.r, type, &bench.host, name, (Pos) { .file = "site.mcl", .line = 3, .column = 1 });
        for (; r >= 0 && *fields; fields++)
                r = bench_set(*fields);
        return r < 0 ? r : resource_validate(bench.r, &bench.diag);
}

#define FIELDS(...) ((const char *const[]) { __VA_ARGS__ __VA_OPT__(,) NULL })

/* Another resource of the kind, which is in the graph as well. */
static int bench_neighbour(const ResourceType *type, const char *name) {
        Vertex *v = calloc(1, sizeof(Vertex));
        int r;

        if (!bench.neighbours.by_name) {
                bench.neighbours = (KindSet) { .type = type, .by_name = map_new() };
                bench.manager.kinds = map_new();
                (void) map_put(bench.manager.kinds, type->kind, &bench.neighbours);
        }
        r = resource_new(&v->resource, type, &bench.host, name, (Pos) { .file = "site.mcl", .line = 9, .column = 1 });
        return r < 0 ? r : map_put(bench.neighbours.by_name, name, v);
}

static int bench_watch(void) {
        int r = 0;

        if (bench.r->type->prepare)
                r = bench.r->type->prepare(bench.r, &bench.diag);
        if (r >= 0 && bench.r->type->watch)
                r = bench.r->type->watch(bench.r, &bench.diag);
        return r;
}

static void bench_run(uint64_t usec) {
        struct timespec a, b;

        (void) clock_gettime(CLOCK_MONOTONIC, &a);
        do {
                (void) sd_event_run(bench.event, 1000);
                (void) clock_gettime(CLOCK_MONOTONIC, &b);
        } while ((uint64_t) (b.tv_sec - a.tv_sec) * 1000000 + (uint64_t) b.tv_nsec / 1000 - (uint64_t) a.tv_nsec / 1000 < usec);
}

/* One attempt, to its end. */
static int bench_apply(bool apply) {
        int r;

        diag_done(&bench.diag);
        bench.finished = NOT_FINISHED;
        strbuf_done(&bench.differences);
        bench.r->applies = apply;
        r = bench.r->type->check_apply(bench.r, apply, &bench.diag);
        if (r != CHECK_PENDING)
                return r;
        for (int i = 0; i < 5000 && bench.finished == NOT_FINISHED; i++)
                (void) sd_event_run(bench.event, 2000);
        return bench.finished;
}

/* What the last attempt has said. */
#define CHECK_DIFFERENCES(want) CHECK_STR(bench.differences.data ?: "", want)

/* What it wants to come before it, as "domain:key": a blank between those of one batch, a bar before what is asked for only if there
 * was no match, and "+" behind a batch whose match does not end the asking. */
static void check_wants(const char *want) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (unsigned batch = 0;; batch++) {
                _cleanup_(resource_uids_done) ResourceUids uids = {};
                CHECK_INT(bench.r->type->wants(bench.r, batch, &uids), 0);
                if (uids.n == 0)
                        break;
                for (size_t i = 0; i < uids.n; i++)
                        strbuf_printf(&b, "%s%s:%s", (i == 0 && batch > 0) || uids.items[i].fallback ? " | " : i > 0 ? " " : "", uids.items[i].domain, uids.items[i].key);
                strbuf_puts(&b, uids.go_on && bench.r->type->first_match_ends ? "+" : "");
        }
        CHECK_STR(b.data ?: "", want);
}

/* ---- files ---- */

static const char *in_dir(const char *name) {
        static char paths[8][160];
        static unsigned next;
        char *p = paths[next++ % 8];

        (void) snprintf(p, sizeof(paths[0]), "%s/%s", bench.dir, name);
        return p;
}

/* "field=<dir>/name" */
static const char *field_in_dir(const char *field, const char *name) {
        static char texts[8][200];
        static unsigned next;
        char *p = texts[next++ % 8];

        (void) snprintf(p, sizeof(texts[0]), "%s=%s/%s", field, bench.dir, name);
        return p;
}

static void put_file(const char *name, const char *text) {
        CHECK_INT(write_file_atomic_at(AT_FDCWD, in_dir(name), text, strlen(text), 0644, false), 0);
}

static void check_file(const char *name, const char *want) {
        _cleanup_free_ char *text = NULL;

        if (read_file_at(AT_FDCWD, in_dir(name), 1 << 20, &text, NULL) < 0)
                text = NULL;
        CHECK_STR(text, want);
}

static inline void kind_test_unused(void) {
        (void) bench_make;
        (void) bench_neighbour;
        (void) bench_watch;
        (void) bench_run;
        (void) bench_apply;
        (void) check_wants;
        (void) field_in_dir;
        (void) put_file;
        (void) check_file;
}
