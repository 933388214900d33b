/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A whole engine in the test's own process, without bus and sockets, and a kind "probe" that does what the case wants and writes
 * down what was asked of it. Change sets are told in one line:
 *
 *      "a b:drift,retry=2 c.x  a>b b=>c -d !a>c"
 *
 * puts resources a, b and x (of kind "c"; the kind is "probe" where none is named), an edge, an edge that notifies, removes d and
 * cuts an edge. What stands behind ':' are metaparameters (retry=2) or the probe's parameter. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-swap.h"
#include "tests/test.h"

typedef struct Probe {
        Resource resource;
        char *param;            /* words separated by '+': see probe_check_apply() */
        char *group, *pair;
        char *out;
        int64_t in;
} Probe;

/* What is outside of the probes, by name: how many times the next checks fail, or find drift. */
static struct {
        StrBuf trace;
        Map *failures, *drift, *pending, *services;
        bool saw_refresh;
} world;

static bool probe_has(const Resource *r, const char *word) {
        const char *param = ((const Probe *) r)->param;
        return param && strstr(param, word);    /* NULL: half made */
}

static unsigned take(Map *m, const char *name) {
        uintptr_t n = (uintptr_t) map_get(m, name);
        if (n > 0)
                (void) map_put(m, name, (void *) (n - 1));
        return (unsigned) n;
}

static void set(Map *m, const char *name, unsigned n) {
        (void) map_put(m, name, (void *) (uintptr_t) n);
}

static void trace(const char *format, ...) _printf_(1, 2);
static void trace(const char *format, ...) {
        char text[256];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        strbuf_printf(&world.trace, "%s%s", world.trace.size > 0 ? " " : "", text);
}

/* Compares what happened since the last time. */
#define CHECK_TRACE(want) \
        do { \
                char *_trace = strbuf_take(&world.trace); \
                CHECK_STR(_trace, want); \
                free(_trace); \
        } while (0)

static int probe_validate(const Resource *r, Diag *reterr) {
        return probe_has(r, "invalid") ? resource_error(r, reterr, -EINVAL, "told to be invalid") : 0;
}

static int probe_watch(Resource *r, Diag *reterr) {
        if (probe_has(r, "quiet"))
                trace("watch:%s", r->name);
        if (probe_has(r, "service") && !map_get(world.services, r->name)) {
                trace("watch:%s~", r->name);
                return resource_waiting(r, "told that there is no service");
        }
        if (probe_has(r, "full"))
                return resource_error(r, reterr, -ENOSPC, "told that there are no watches left");
        if (probe_has(r, "nowatch"))
                return resource_error(r, reterr, -EIO, "told not to watch");
        if (!probe_has(r, "late"))
                resource_armed(r);
        return 0;
}

static void probe_unwatch(Resource *r) {
        if (probe_has(r, "quiet"))
                trace("unwatch:%s", r->name);
}

static uint64_t clock_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

static void spin_for(uint64_t usec) {
        uint64_t begin = clock_usec();

        while (clock_usec() - begin < usec)
                ;
}

/* The trace says: name, then "*" if it was notified, "+" if it repaired, "-" if it undid, "!" if it failed, "?" if it began to wait for
 * resource_finish(), "~" if what it needs is not there. */
static int probe_check_apply(Resource *r, bool apply, Diag *reterr) {
        Probe *p = (Probe *) r;
        const char *star = resource_refresh(r) ? "*" : "";

        if (probe_has(r, "busy"))
                spin_for(500);
        if (resource_received(r, "in"))
                trace("%s<%d", r->name, (int) p->in);
        if (r->type->sends)
                (void) resource_send(r, "n", VALUE_INT(atoi(p->out)));
        if (take(world.failures, r->name)) {
                trace("%s%s!", r->name, star);
                return resource_error(r, reterr, -EIO, "told to fail");
        }
        if (probe_has(r, "undo")) {
                trace("%s%s", r->name, apply ? "-" : "");
                return CHECK_CHANGED;
        }
        if (probe_has(r, "need") && !take(world.pending, r->name)) {
                trace("%s%s~", r->name, star);
                return resource_waiting(r, "told to wait");
        }
        if (probe_has(r, "pending")) {
                trace("%s%s?", r->name, star);
                return CHECK_PENDING;
        }
        if (probe_has(r, "always") || (apply ? take(world.drift, r->name) : (uintptr_t) map_get(world.drift, r->name))) {
                trace("%s%s%s", r->name, star, apply ? "+" : "");
                resource_differs(r, "param", "drifted", p->param);
                if (!apply && probe_has(r, "secretive"))
                        resource_send_unknown(r, "n");
                return CHECK_CHANGED;
        }
        trace("%s%s", r->name, star);
        return CHECK_OK;
}

static void probe_cancel(Resource *r) {
        trace("%s/", r->name);
}

static void probe_done(Resource *r) {
        if (probe_has(r, "quiet") && r->vertex)         /* not of those that were never put in place */
                trace("done:%s", r->name);
}

static bool probe_groups(const Resource *parent, const Resource *child) {
        const Probe *a = (const Probe *) parent, *b = (const Probe *) child;
        return *a->group && streq(a->group, b->group);
}

static int probe_uids(const Resource *r, ResourceUids *ret) {
        return r->name[0] == '/' ? resource_uids_add(ret, "path", r->name, false) : 0;
}

/* There is nothing to undo while the world has not drifted from it. */
static int probe_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        _cleanup_(resource_freep) Resource *undo = NULL;
        _cleanup_(value_done) Value param = VALUE_NIL;
        int k;

        if (!map_get(world.drift, r->name) && !probe_has(r, "always"))
                return 0;
        k = resource_copy(&undo, r);
        if (k >= 0)
                k = value_strz(&param, probe_has(r, "stuck") ? "undo+late" : "undo");
        if (k >= 0)
                k = resource_set(undo, "param", param, reterr);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(undo);
        return 0;
}

/* "/f/a/b" wants "/f/a" or else "/f", all said at once. */
static int probe_wants_or_else(const Resource *r, unsigned batch, ResourceUids *ret) {
        int k = 0;

        for (size_t n = strlen(r->name); batch == 0 && n > 2 && k >= 0;) {
                while (r->name[--n] != '/')
                        ;
                k = resource_uids_add_n(ret, "path", r->name, n, false);
                if (k >= 0)
                        ret->items[ret->n - 1].fallback = ret->n > 1;
        }
        return k;
}

/* "/a/b" wants "/a", then "/". */
static int probe_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        _cleanup_free_ char *path = strdup(r->name);
        if (!path)
                return -ENOMEM;
        if (path[0] != '/')
                return 0;
        if (startswith(path, "/f/"))
                return probe_wants_or_else(r, batch, ret);
        for (unsigned i = 0; i <= batch; i++) {
                char *slash = strrchr(path, '/');
                if (!slash || !slash[1])
                        return 0;
                slash[slash == path] = '\0';
        }
        return resource_uids_add(ret, "path", path, false);
}

/* Of those whose names begin with its own. */
static bool probe_minds(const Resource *r, const Resource *other) {
        return probe_has(r, "minds") && (!other || startswith(other->name, r->name));
}

static const FieldSpec probe_fields[] = {
        FIELD(Probe, param, FIELD_STR, 0, "What it does."),
        FIELD(Probe, group, FIELD_STR, 0, "Those of one group are grouped."),
        FIELD(Probe, out, FIELD_STR, 0, "Sent as n."),
        FIELD(Probe, in, FIELD_INT64, 0, "Received."),
        FIELD(Probe, pair, FIELD_STR, FIELD_IS_NAME, "Items of one group that are grouped before."),
        {}
};

static const FieldSpec probe_sends[] = {
        { .name = "n", .type = FIELD_INT64, .doc = "A number." },
        {}
};

#define PROBE_TYPE(kind_, flags_, ...) \
        { \
                .kind = (kind_), .doc = "A probe.", .size = sizeof(Probe), .flags = (flags_) | RESOURCE_RECEIVES, \
                .fields = probe_fields, .sends = probe_sends, .done = probe_done, .validate = probe_validate, .watch = probe_watch, \
                .unwatch = probe_unwatch, .check_apply = probe_check_apply, .cancel = probe_cancel, \
                .uids = probe_uids, .wants = probe_wants, .first_match_ends = true, ##__VA_ARGS__ \
        }

static const ResourceType probe_type = PROBE_TYPE("probe", RESOURCE_REFRESHABLE, .groups = probe_groups, .reverse = probe_reverse);
static const ResourceType plain_type = PROBE_TYPE("plain", 0, .minds = probe_minds);
static const ResourceType box_type = PROBE_TYPE("box", 0);
static const ResourceType item_type = PROBE_TYPE("box:item", 0, .parent_field = "group", .groups_by = "group pair");
static const ResourceType part_type = PROBE_TYPE("box:item:part", 0, .parent_field = "group");

static const ResourceType *const probe_types[] = { &probe_type, &plain_type, &box_type, &item_type, &part_type, NULL };

/* ---- the engine ---- */

typedef struct Engine {
        sd_event *event;
        Manager *m;
        char dir[64];
        uint64_t generation;
        SwapOptions options;
        Diag diag;
} Engine;

static const char *kinds_path;          /* kinds of other daemons; NULL: there are none */

/* In the directory of an engine before it, or an empty one. */
static int engine_begin_in(Engine *e, const ResourceType *const *types, const EngineOptions *options) {
        int r = sd_event_new(&e->event);

        world.failures = map_new();
        world.drift = map_new();
        world.pending = map_new();
        world.services = map_new();
        e->options = (SwapOptions) { .autoedge = true, .autogroup = true };
        return r < 0 ? r : manager_new(&e->m, e->event, types, e->dir, kinds_path, options);
}

static const EngineOptions no_options = { .converger_timeout = -1 };

static int engine_begin_with(Engine *e, const ResourceType *const *types, const EngineOptions *options) {
        *e = (Engine) {};
        (void) log_set_level(LOG_EMERG);        /* failures are what is tested */
        (void) snprintf(e->dir, sizeof(e->dir), "/tmp/test-engine-XXXXXX");
        if (!mkdtemp(e->dir))
                return -errno;
        return engine_begin_in(e, types, options);
}

#define ENGINE(e) \
        __attribute__((__cleanup__(engine_end))) Engine e; \
        REQUIRE(engine_begin_with(&e, probe_types, &no_options) >= 0)

/* As if it were killed: nothing is written at the end that would not have been there anyway. */
static void engine_stop(Engine *e) {
        e->m = manager_free(e->m);
        e->event = sd_event_unref(e->event);
        diag_done(&e->diag);
        map_free(world.failures);
        map_free(world.drift);
        map_free(world.pending);
        map_free(world.services);
        strbuf_done(&world.trace);
        memset(&world, 0, sizeof(world));
}

static void engine_end(Engine *e) {
        engine_stop(e);
        (void) remove_tree(e->dir);
}

/* Runs until nothing is ready any more. */
static void run(Engine *e) {
        for (int i = 0; i < 10000 && sd_event_run(e->event, 0) > 0; i++)
                ;
}

/* Runs for that long: for what must not come, or may. However busy the machine was meanwhile, all that was ready at the end is seen. */
static void run_for(Engine *e, uint64_t usec) {
        uint64_t begin = clock_usec();

        do
                (void) sd_event_run(e->event, 2000);
        while (clock_usec() - begin < usec);
        run(e);
}

enum { PATIENCE_USEC = 60 * 1000 * 1000 };      /* with what must come; nothing takes so long but what hangs */

/* Runs until the condition holds, and says whether it does. */
#define RUN_UNTIL(e, condition) \
        ({ \
                uint64_t _begin = clock_usec(); \
                bool _holds; \
                while (!(_holds = (condition)) && clock_usec() - _begin < PATIENCE_USEC) \
                        (void) sd_event_run((e)->event, 100000); \
                _holds; \
        })

/* For timers that no test should wait for: whether it runs, and will elapse usec after what was between those two times. */
static bool is_due(sd_event_source *timer, uint64_t usec, uint64_t after, uint64_t before) {
        int enabled = SD_EVENT_OFF;
        uint64_t due = 0;

        return timer && sd_event_source_get_enabled(timer, &enabled) > 0 && sd_event_source_get_time(timer, &due) >= 0 &&
               due >= after + usec && due <= before + usec;
}

/* ... and its time is over. */
static void elapse(sd_event_source *timer) {
        CHECK(timer && sd_event_source_set_time(timer, 0) >= 0);
}

static void split_id(const char *id, char **ret_kind, char **ret_name) {
        const char *dot = strchr(id, '.');

        *ret_kind = dot ? strndup(id, (size_t) (dot - id)) : strdup("probe");
        *ret_name = strdup(dot ? dot + 1 : id);
        for (char *p = *ret_kind; *p; p++)
                if (*p == '_')
                        *p = ':';
}

static void add_field(ResourceSpec *s, const char *name, const char *text) {
        s->fields = reallocarray(s->fields, s->n_fields + 1, sizeof(*s->fields));
        s->fields[s->n_fields] = (FieldValue) { .name = strdup(name) };
        (void) value_strz(&s->fields[s->n_fields++].value, text);
}

static void add_word(char ***words, const char *word) {
        size_t n = strv_count(*words);

        *words = reallocarray(*words, n + 2, sizeof(**words));
        (*words)[n] = strdup(word);
        (*words)[n + 1] = NULL;
}

static void set_option(ResourceSpec *s, char *word) {
        char *value = strchr(word, '=');
        Meta *m = &s->meta;

        if (value)
                *value++ = '\0';
        if (streq(word, "retry"))
                m->retry = (int16_t) atoi(value);
        else if (streq(word, "delay"))
                m->delay = (uint64_t) atoi(value);
        else if (streq(word, "timeout"))
                m->timeout = (uint64_t) atoi(value);
        else if (streq(word, "poll"))
                m->poll = atoi(value);
        else if (streq(word, "limit"))
                m->limit = atof(value);
        else if (streq(word, "burst"))
                m->burst = atoi(value);
        else if (streq(word, "noop"))
                m->noop = true;
        else if (streq(word, "hidden"))
                m->hidden = true;
        else if (streq(word, "reset"))
                m->reset = true;
        else if (streq(word, "rewatch"))
                m->rewatch = true;
        else if (streq(word, "realize"))
                m->realize = true;
        else if (streq(word, "reverse"))
                m->reverse = true;
        else if (streq(word, "retryreset"))
                m->retryreset = true;
        else if (streq(word, "noautogroup"))
                m->autogroup = false;
        else if (streq(word, "noautoedge"))
                m->autoedge = false;
        else if (streq(word, "sema"))
                add_word(&m->sema, value);
        else if (streq(word, "export"))
                add_word(&m->export, value);
        else if (value)
                add_field(s, word, value);      /* group, pair, out */
        else
                add_field(s, "param", word);
}

static void add_put(ChangeSet *set_, char *word) {
        ResourceSpec s = {};
        char *options = strchr(word, ':'), *state = NULL;

        if (options)
                *options++ = '\0';
        meta_init(&s.meta);
        split_id(word, &s.kind, &s.name);
        for (char *o = options ? strtok_r(options, ",", &state) : NULL; o; o = strtok_r(NULL, ",", &state))
                set_option(&s, o);
        (void) change_set_put(set_, &s);
}

/* "a>b", "a=>b", "a~>b" (b receives n of a into in) */
static void add_edge(ChangeSet *set_, char *word, bool cut) {
        char *arrow = strchr(word, '>');
        bool notify = arrow[-1] == '=', transfer = arrow[-1] == '~';
        EdgeSpec s = { .notify = notify };

        arrow[notify || transfer ? -1 : 0] = '\0';
        split_id(word, &s.from_kind, &s.from_name);
        split_id(arrow + 1, &s.to_kind, &s.to_name);
        if (transfer) {
                s.send_key = strdup("n");
                s.receive_field = strdup("in");
        }
        (void) (cut ? change_set_cut(set_, &s) : change_set_edge(set_, &s));
}

static void parse(const char *line, ChangeSet *set_) {
        char *copy = strdup(line), *state = NULL;

        for (char *word = strtok_r(copy, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
                if (*word == '-') {
                        char *kind, *name;
                        split_id(word + 1, &kind, &name);
                        (void) change_set_remove(set_, kind, name);
                        free(kind);
                        free(name);
                } else if (*word == '!')
                        add_edge(set_, word + 1, true);
                else if (strchr(word, '>'))
                        add_edge(set_, word, false);
                else
                        add_put(set_, word);
        }
        free(copy);
}

static int swap(Engine *e, bool full, const char *line) {
        ChangeSet set_ = { .generation = ++e->generation, .full = full };
        int r;

        parse(line, &set_);
        diag_done(&e->diag);
        r = graph_swap(e->m, &set_, &e->options, &e->diag);
        change_set_done(&set_);
        return r;
}

static Vertex *find_vertex(Engine *e, const char *id) {
        char *kind, *name;

        split_id(id, &kind, &name);
        Vertex *v = manager_find(e->m, kind, name);
        free(kind);
        free(name);
        return v;
}

static const char *state_of(Engine *e, const char *id) {
        Vertex *v = find_vertex(e, id);
        return v ? vertex_state_name(vertex_root(v)->state) : "(none)";
}

/* Something happens outside. */
static void touch(Engine *e, const char *id) {
        Vertex *v = find_vertex(e, id);
        if (v)
                resource_changed(v->resource);
}

static void finish(Engine *e, const char *id, int result) {
        Vertex *v = find_vertex(e, id);
        Diag diag = {};

        if (!v)
                return;
        if (result < 0)
                (void) diag_set(&diag, (Pos) {}, result, "finished so");
        resource_finish(v->resource, result, &diag);
}

/* Not every test program needs all of the above. */
static inline void engine_test_unused(void) {
        (void) probe_types;
        (void) no_options;
        (void) engine_begin_with;
        (void) engine_end;
        (void) run;
        (void) run_for;
        (void) is_due;
        (void) elapse;
        (void) swap;
        (void) state_of;
        (void) touch;
        (void) finish;
        (void) set;
}
