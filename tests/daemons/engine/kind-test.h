/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Drives one resource through the hooks of its type, without an engine around it: fields by name, validate, watch, check and
 * apply. What the kind reports is in the host, see testhost.h. */

#include <fcntl.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/engine-manager.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

typedef struct Rig {
        TestHost host;                  /* what the kind said */
        sd_event *event;
        Manager manager;                /* only what kinds look at: the watcher of paths, users and groups */
        Resource *r;
        KindSet neighbours;             /* others of the kind in the graph */
        char dir[64];
} Rig;

static Rig rig;

static int rig_begin(const char *top) {
        int r;

        rig = (Rig) {};
        (void) snprintf(rig.dir, sizeof(rig.dir), "%s/test-kind-XXXXXX", top);
        if (!mkdtemp(rig.dir))
                return -errno;
        r = sd_event_new(&rig.event);
        if (r >= 0)
                r = path_watcher_new(&rig.manager.paths, rig.event);
        if (r >= 0)
                r = names_new(&rig.manager.names, rig.event, "/etc");
        if (r >= 0)
                r = testhost_init(&rig.host, rig.event, &rig.manager, rig.dir);
        return r;
}

static void rig_unmake(void) {
        testhost_free(rig.r);
        rig.r = NULL;
        testhost_forget(&rig.host);
}

static void rig_forget_neighbours(void) {
        size_t i = 0;
        void *v;

        while (map_next(rig.neighbours.by_name, &i, NULL, &v)) {
                resource_free(((Vertex *) v)->resource);
                free(v);
        }
        rig.neighbours.by_name = map_free(rig.neighbours.by_name);
        rig.manager.kinds = map_free(rig.manager.kinds);
}

static void rig_end(void) {
        rig_unmake();
        rig_forget_neighbours();
        testhost_done(&rig.host);
        for (HostBusType i = 0; i < _HOST_BUS_MAX; i++)
                host_bus_free(rig.manager.buses[i]);
        path_watcher_free(rig.manager.paths);
        names_free(rig.manager.names);
        sd_event_unref(rig.event);
        (void) remove_tree(rig.dir);
}

static inline void rig_endp(int *unused) {
        rig_end();
}

#define RIG_IN(top) \
        __attribute__((__cleanup__(rig_endp), __unused__)) int rig_guard = 0; \
        REQUIRE(rig_begin(top) >= 0)
#define RIG() RIG_IN("/tmp")
/* For many files: in memory, where that is possible. */
#define RIG_FAST() RIG_IN(access("/dev/shm", W_OK) >= 0 ? "/dev/shm" : "/tmp")

/* One field as text: "content=abc", "force=true", "args=a b" (a list), or "env.NAME=value" in a map. */
static int rig_set(const char *text) {
        const char *equal = strchr(text, '=');
        _cleanup_free_ char *name = strndup(text, (size_t) (equal - text));
        _cleanup_(value_done) Value v = VALUE_NIL;
        char *dot = strchr(name, '.');
        const FieldSpec *f;

        if (dot)
                *dot = '\0';
        f = field_find(rig.r->type->fields, name);
        if (!f)
                return -ENOENT;
        if (dot) {
                Value items[2];
                (void) value_strz(&items[0], dot + 1);
                (void) value_strz(&items[1], equal + 1);
                (void) value_map(&v, items, 1);
        } else if (f->type == FIELD_BOOL || (f->type == FIELD_VALUE && streq_ptr(f->mcl_type, "bool")))
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
        return resource_set(rig.r, f->name, v, &rig.host.diag);
}

/* Makes the resource; fields end with NULL. The result of validate. */
static int rig_make(const ResourceType *type, const char *name, const char *const *fields) {
        int r;

        rig_unmake();
        r = resource_new(&rig.r, type, &rig.host.host, name, (Pos) { .file = "site.mcl", .line = 3, .column = 1 });
        for (; r >= 0 && *fields; fields++)
                r = rig_set(*fields);
        return r < 0 ? r : resource_validate(rig.r, &rig.host.diag);
}

#define FIELDS(...) ((const char *const[]) { __VA_ARGS__ __VA_OPT__(,) NULL })

/* Another resource of the kind, which is in the graph as well. */
static int rig_neighbour(const ResourceType *type, const char *name) {
        Vertex *v = calloc(1, sizeof(Vertex));
        int r;

        if (!rig.neighbours.by_name) {
                rig.neighbours = (KindSet) { .type = type, .by_name = map_new() };
                rig.manager.kinds = map_new();
                (void) map_put(rig.manager.kinds, type->kind, &rig.neighbours);
        }
        r = resource_new(&v->resource, type, &rig.host.host, name, (Pos) { .file = "site.mcl", .line = 9, .column = 1 });
        return r < 0 ? r : map_put(rig.neighbours.by_name, name, v);
}

static int rig_watch(void) {
        int r = 0;

        if (rig.r->type->prepare)
                r = rig.r->type->prepare(rig.r, &rig.host.diag);
        if (r >= 0 && rig.r->type->watch)
                r = rig.r->type->watch(rig.r, &rig.host.diag);
        return r;
}

static void rig_run(unsigned usec) {
        testhost_run(&rig.host, usec / 1000);
}

static uint64_t rig_now(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* Runs until the condition holds, and says whether it does. It is looked at now and then, as it may be about other processes. */
#define RIG_UNTIL(condition) \
        ({ \
                uint64_t _end = rig_now() + UINT64_C(1000) * PATIENCE_MSEC; \
                bool _holds; \
                while (!(_holds = (condition)) && rig_now() < _end) \
                        (void) sd_event_run(rig.event, 2000); \
                _holds; \
        })

/* One attempt, to its end. */
static int rig_apply(bool apply) {
        return testhost_check(&rig.host, rig.r, apply);
}

/* What the last attempt has said. */
#define CHECK_DIFFERENCES(want) CHECK_STR(rig.host.differences.data ?: "", want)

/* What it wants to come before it, as "domain:key": a blank between those of one batch, a bar before what is asked for only if there
 * was no match, and "+" behind a batch whose match does not end the asking. */
static void check_wants(const char *want) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (unsigned batch = 0;; batch++) {
                _cleanup_(resource_uids_done) ResourceUids uids = {};
                CHECK_INT(rig.r->type->wants(rig.r, batch, &uids), 0);
                if (uids.n == 0)
                        break;
                for (size_t i = 0; i < uids.n; i++)
                        strbuf_printf(&b, "%s%s:%s", (i == 0 && batch > 0) || uids.items[i].fallback ? " | " : i > 0 ? " " : "", uids.items[i].domain, uids.items[i].key);
                strbuf_puts(&b, uids.go_on && rig.r->type->first_match_ends ? "+" : "");
        }
        CHECK_STR(b.data ?: "", want);
}

/* ---- files ---- */

static const char *in_dir(const char *name) {
        static char paths[8][160];
        static unsigned next;
        char *p = paths[next++ % 8];

        (void) snprintf(p, sizeof(paths[0]), "%s/%s", rig.dir, name);
        return p;
}

/* "field=<dir>/name" */
static const char *field_in_dir(const char *field, const char *name) {
        static char texts[8][200];
        static unsigned next;
        char *p = texts[next++ % 8];

        (void) snprintf(p, sizeof(texts[0]), "%s=%s/%s", field, rig.dir, name);
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
        (void) rig_make;
        (void) rig_neighbour;
        (void) rig_watch;
        (void) rig_run;
        (void) rig_now;
        (void) rig_apply;
        (void) check_wants;
        (void) field_in_dir;
        (void) put_file;
        (void) check_file;
}
