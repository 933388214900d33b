/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Long rows of random changes, events, results, failures and kills. After each the engine must be in order: nothing is forgotten
 * that could run, nothing runs that must not, nothing is counted or told twice; and in the end everything can still be brought to
 * rest.
 *
 * A row follows from its seed, and they are always the same ones: who changes something is told what it broke, and nobody else. To look
 * for what has always been wrong, MGMT_ROWS=… makes as many new ones as wanted. What breaks one is found again with MGMT_SEED=…, which
 * plays that row alone and tells it step by step. */

#include <time.h>

#include "daemons/engine/graph-hold.h"
#include "tests/daemons/engine/engine-model.h"
#include "tests/daemons/engine/engine-order.h"

enum { ROWS = 200, STEPS = 120 };

static uint64_t random_state;

/* xorshift: the same on every machine. */
static unsigned pick(unsigned n) {
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return (unsigned) (random_state >> 33) % n;
}

/* ---- changes of the graph ---- */

/* What it does, and now and then something that keeps it from doing so, or from doing it alone. */
static void add_random_put(StrBuf *b, unsigned i) {
        static const char *const acts[] = { "always", "pending", "pending", "slow", "slow" };
        static const char *const groups[] = { "group=1", "group=1", "group=f", "noautogroup" };
        static const char *const traps[] = { "+late", "+service", "+need", "+nowatch", "+full", ",noop", ",hidden", ",limit=1000,burst=5", ",timeout=1" };
        static const char *const metas[] = {
                "sema=x", "sema=x,sema=y:2", "retry=2", "retry=-1", "retry=-1", "delay=1,retry=5", "reset", "rewatch", "retryreset", "poll=-1",
                "reverse", "reverse", "reverse,retry=-1", "realize", "realize",
        };

        strbuf_printf(b, "%s:%s", model_ids[i], pick(2) > 0 ? acts[pick(ELEMENTSOF(acts))] : "");
        if (pick(6) == 0)
                strbuf_puts(b, traps[pick(ELEMENTSOF(traps))]);
        if (pick(4) == 0)
                strbuf_printf(b, ",%s", groups[pick(ELEMENTSOF(groups))]);
        if (pick(2) > 0)
                strbuf_printf(b, ",%s", metas[pick(ELEMENTSOF(metas))]);
        strbuf_putc(b, ' ');
}

/* Mostly from left to right: some cycles are wanted, to be rejected. */
static void add_random_edge(StrBuf *b, unsigned present) {
        static const char *const arrows[] = { ">", "=>", "=>", "~>" };
        unsigned x = pick(LETTERS), y = pick(LETTERS);

        for (unsigned n = 0; n < LETTERS && !(present >> x & 1); n++)
                x = (x + 1) % LETTERS;
        for (unsigned n = 0; n < LETTERS && (!(present >> y & 1) || x == y); n++)
                y = (y + 1) % LETTERS;
        if (x > y && pick(15) > 0) {
                unsigned t = x;
                x = y;
                y = t;
        }
        if ((present >> x & present >> y & 1 && x != y) || pick(20) == 0)
                strbuf_printf(b, "%s%s%s ", model_ids[x], arrows[pick(ELEMENTSOF(arrows))], model_ids[y]);
}

static void add_random_cut(StrBuf *b) {
        unsigned x = pick(LETTERS), y = pick(LETTERS);
        const ModelEdge *e = &model_edges[x][y];

        for (unsigned n = 0; n < LETTERS && !e->declared && !e->transfers; n++)
                e = &model_edges[x][y = (y + 1) % LETTERS];
        if (e->declared || e->transfers)
                strbuf_printf(b, "!%s%s%s ", model_ids[x], e->transfers && (!e->declared || pick(2) > 0) ? "~>" : ">", model_ids[y]);
}

static unsigned n_taken, n_rejected;

/* What the graph was and will be may both be in the journal. */
static void doubt_what_went(const ModelEdge before[LETTERS][LETTERS]) {
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        const ModelEdge *b = &before[x][y];
                        ModelEdge *e = &model_edges[x][y];
                        if (MAX(b->due, b->again) == DUE_NO || MAX(e->due, e->again) != DUE_NO)
                                continue;
                        *e = *b;
                        e->due = DUE_MAY;
                        e->again = DUE_NO;
                }
}

static void follow(Engine *e, bool full, const char *line) {
        ModelEdge before[LETTERS][LETTERS];

        n_taken++;
        settle_model();
        memcpy(before, model_edges, sizeof(before));
        model_swap(line, full);
        if (crash.happened)
                doubt_what_went(before);
        else
                model_follow(e->m);
}

/* ---- changes that wait for Meta:realize ---- */

enum { HELD_MAX = 256 };

static GraphHold *hold;
static struct {
        uint64_t generation;
        bool full;
        char *line;
} held[HELD_MAX];
static unsigned n_held, n_waited;

static void forget_held(void) {
        while (n_held > 0)
                free(held[--n_held].line);
}

/* What waits is taken over in the order in which it came. */
static void on_released(GraphHold *h, uint64_t generation, int r, const Diag *diag, void *userdata) {
        if (n_held == 0 || held[0].generation != generation) {
                TEST_FAIL("generation %" PRIu64 " was released out of turn", generation);
                return;
        }
        TELL("swap%s: %s: %s at last\n", held[0].full ? " to" : "", held[0].line, r < 0 ? diag->message : "taken over");
        _cleanup_free_ char *line = held[0].line;
        bool full = held[0].full;
        memmove(held, held + 1, --n_held * sizeof(held[0]));
        if (r >= 0)
                follow(userdata, full, line);
        else
                n_rejected++;
}

static bool waits_to_be_right(const Vertex *v) {
        return v && v->resource->meta.realize && !v->resource->meta.hidden && !((const ModelProbe *) v->resource)->right;
}

/* Whether somebody holds changes; and those who are at work, as bits. */
static bool find_holders(const Manager *m, uint32_t *ret_working) {
        bool any = false;

        *ret_working = 0;
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                const Vertex *v = manager_vertex(m, id);
                if (!waits_to_be_right(v))
                        continue;
                any = true;
                if (actor(vertex_root((Vertex *) v))->running)
                        *ret_working |= UINT32_C(1) << letter(v);
        }
        return any;
}

/* Who was at work, to be right for the first time, still is what it was. */
static void expect_spared(Engine *e, uint32_t working) {
        for (unsigned x = 0; x < LETTERS; x++) {
                const Vertex *v = working >> x & 1 ? find_vertex(e, model_ids[x]) : NULL;
                if (working >> x & 1 && !waits_to_be_right(v))
                        TEST_FAIL("%s was taken away before it was right", model_ids[x]);
        }
}

static bool take_over(Engine *e, bool full, const char *line) {
        ChangeSet set_ = { .generation = ++e->generation, .full = full };
        uint32_t working;
        int r;

        settle_model();
        bool may_wait = find_holders(e->m, &working) || n_held > 0;
        parse(line, &set_);
        diag_done(&e->diag);
        r = graph_hold_submit(hold, &set_, &e->options, &e->diag);
        change_set_done(&set_);
        TELL("swap%s: %s: %s\n", full ? " to" : "", line, r < 0 ? e->diag.message : r > 0 ? "waits" : "taken over");
        if (r < 0) {
                n_rejected++;
                return false;
        }
        if (full)
                forget_held();
        if (r == 0) {
                follow(e, full, line);
                if (!crash.happened)
                        expect_spared(e, working);
                return true;
        }
        n_waited++;
        CHECK(may_wait && n_held < HELD_MAX);
        held[n_held].generation = e->generation;
        held[n_held].full = full;
        held[n_held++].line = strdup(line);
        return true;
}

static bool random_swap(Engine *e, bool full) {
        _cleanup_(strbuf_done) StrBuf b = {};
        unsigned present = 0;

        for (unsigned i = 0; i < LETTERS; i++) {
                bool here = !full && actors[i].here;

                if (full ? pick(3) > 0 : pick(8) == 0) {
                        add_random_put(&b, i);
                        here = true;
                } else if (here && pick(10) == 0) {
                        strbuf_printf(&b, "-%s ", model_ids[i]);
                        here = false;
                }
                present |= (unsigned) here << i;
        }
        for (unsigned n = pick(full ? 12 : 3); n > 0; n--)
                add_random_edge(&b, present);
        for (unsigned n = full ? 0 : pick(3); n > 0; n--)
                add_random_cut(&b);
        return take_over(e, full, b.data ? b.data : "");
}

/* ---- the rows ---- */

static Vertex *random_vertex(Engine *e) {
        VertexId n = graph_id_limit(e->m->graph);

        return n > 0 ? manager_vertex(e->m, pick(n)) : NULL;
}

static void happen(Vertex *v) {
        TELL("event at %s\n", vertex_name(v));
        make_dirty(root_actor(v));
        resource_changed(v->resource);
}

static void finish_random(const Vertex *root) {
        if (!root || !root->pending || pick(3) == 0)
                return;
        bool fails = pick(5) == 0;
        TELL("%s is done, and %s\n", vertex_name(root->pending), fails ? "failed" : "well");
        model_finish(root->pending, fails);
}

static void random_step(Engine *e) {
        unsigned x = pick(LETTERS);
        Vertex *v = random_vertex(e), *root = v ? vertex_root(v) : NULL;

        switch (pick(16)) {
        case 0:
        case 1:
                (void) random_swap(e, false);
                break;
        case 2:
                if (pick(4) == 0)
                        (void) random_swap(e, true);
                break;
        case 3:
                actors[x].failures = pick(4);
                TELL("%c will fail %u times\n", 'a' + x, actors[x].failures);
                break;
        case 4:
                actors[x].available = !actors[x].available;
                TELL("what %c needs is %sthere\n", 'a' + x, actors[x].available ? "" : "not ");
                break;
        case 5:
                actors[x].value = (int64_t) pick(3);
                TELL("%c will send %d\n", 'a' + x, (int) actors[x].value);
                break;
        case 6:
        case 7:
                for (VertexId id = 0; id < graph_id_limit(e->m->graph) && !crash.happened; id++)
                        finish_random(manager_vertex(e->m, id));
                break;
        case 8:
                if (root && root->watching && pick(4) == 0) {
                        int error = pick(2) ? -EIO : -EAGAIN;
                        TELL("watch of %s fails: %d\n", vertex_name(v), error);
                        resource_watch_failed(v->resource, error, NULL);
                } else if (root && root->watching && v->hooked) {
                        TELL("watch of %s is armed\n", vertex_name(v));
                        actor(v)->armed = true;
                        resource_armed(v->resource);
                }
                break;
        case 9:
                if (pick(6) == 0) {
                        TELL("time goes by\n");
                        run_for(e, 1500);
                        settle_model();
                }
                break;
        default:
                if (!v)
                        break;
                actor(v)->wrong = actor(v)->wrong || pick(2) > 0;
                happen(v);
                break;
        }
        if (pick(25) == 0 && crash.in == 0) {
                crash.in = 1 + pick(30);
                crash.torn = pick(4) == 0;
        }
}

static const ResourceType *const *const types = model_types;

static int set_up(Engine *e) {
        e->m->rest_usec = e->m->watch_wait_usec = 300;
        return graph_hold_new(&hold, e->m, on_released, e);
}

/* A new engine in the same directory; mgmt-lang sends it the whole graph, which may have changed meanwhile. */
static bool restart(Engine *e) {
        TELL("killed, with a journal of %zu bytes\n", crash.size);
        hold = graph_hold_free(hold);
        forget_held();
        engine_stop(e);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, crash.path, crash.disk ? crash.disk : "", crash.size, 0600, false), 0);
        crash.happened = false;
        restore_reversals();
        model_restart();
        if (engine_begin_in(e, types, &no_options) < 0 || set_up(e) < 0)
                return false;
        for (unsigned i = 0; i < 20; i++)
                if (random_swap(e, true))
                        return true;
        return take_over(e, true, "");
}

static void look(Engine *e) {
        run(e);
        if (crash.happened)
                return;
        settle_model();
        check_order(e);
        expect_edges(e->m);
        expect_reversals();
}

/* It was told to wait, and for nothing any more. */
static bool lacks(const Vertex *v) {
        return v->state == VERTEX_WAITING && v->error.message && probe_has(v->resource, "need");
}

static void tell_states(const Manager *m) {
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                const Vertex *v = manager_vertex(m, id), *root = v ? vertex_root((Vertex *) v) : NULL;
                if (v)
                        TELL("%s[%s] is %s%s%s, %s: %s\n", vertex_kind(v), vertex_name(v), v->parent ? "in a group that is " : "",
                             vertex_state_name(root->state), v->resource->meta.realize ? ", held for" : "",
                             waits_to_be_right(v) ? "not yet right" : "was right", root->error.message ?: "no error");
        }
}

/* Until nothing waits any more, and what has been undone has left. */
static void help_out(Engine *e, bool to_the_end) {
        for (unsigned i = 0; i < 1000 && (n_held > 0 || (to_the_end && graph_n_vertices(e->m->graph) > 0)); i++) {
                for (VertexId id = 0; id < graph_id_limit(e->m->graph); id++) {
                        Vertex *v = manager_vertex(e->m, id);
                        if (v && v->hooked && !v->armed && vertex_root(v)->watching && !vertex_root(v)->watch_waits) {
                                actor(v)->armed = true;
                                resource_armed(v->resource);
                        }
                        if (v && v->pending)
                                model_finish(v->pending, false);
                        else if (v && (vertex_root(v)->state == VERTEX_FAILED || lacks(v)))
                                happen(v);
                }
                run_for(e, 1000);
                look(e);
        }
        if (n_held > 0)
                tell_states(e->m);
        CHECK_INT(n_held, 0);
}

/* Whatever was, a graph without traps comes to rest. */
static void come_to_rest(Engine *e) {
        crash.in = 0;
        nobody_is_slow = true;          /* nor slower than its timeout */
        for (unsigned x = 0; x < LETTERS; x++) {
                actors[x].failures = 0;
                actors[x].available = true;     /* a service is asked for again by the engine */
        }
        CHECK(take_over(e, true, ""));
        look(e);
        help_out(e, true);
        CHECK_INT(graph_n_vertices(e->m->graph) + graph_n_edges(e->m->graph), 0);
        CHECK(take_over(e, true, "a b:group=1 c:group=1 d j plain.e box.f box_item.g a>b c=>d d=>plain.e box_item.g>a d=>j a~>j"));
        look(e);
        actors[2].wrong = true;
        happen(find_vertex(e, "c"));
        look(e);
        CHECK_INT(e->m->scheduler.n_unsettled, 0);
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++)
                        CHECK_INT(MAX(model_edges[x][y].due, model_edges[x][y].again), DUE_NO);
        for (VertexId id = 0; id < graph_id_limit(e->m->graph); id++) {
                Vertex *v = manager_vertex(e->m, id);
                if (v && vertex_root(v)->state != VERTEX_OK)
                        TEST_FAIL("%s[%s] is %s: %s", vertex_kind(v), vertex_name(v), vertex_state_name(vertex_root(v)->state),
                                  vertex_root(v)->error.message);
        }
}

static int begin_row(Engine *e, uint64_t seed) {
        int r = engine_begin_with(e, types, &no_options);

        nobody_is_slow = false;
        memset(actors, 0, sizeof(actors));
        memset(model_edges, 0, sizeof(model_edges));
        free(crash.disk);
        for (unsigned x = 0; x < LETTERS; x++)
                free(crash.undo[x]);
        memset(&crash, 0, sizeof(crash));
        (void) snprintf(crash.path, sizeof(crash.path), "%s/notify-journal", e->dir);
        (void) snprintf(crash.reversals, sizeof(crash.reversals), "%s/reversals", e->dir);
        if (r >= 0)
                r = set_up(e);
        random_state = UINT64_C(0x9e3779b97f4a7c15) * (seed * 2 + 1);
        e->options.autogroup = pick(3) > 0;
        return r;
}

static void row(uint64_t seed) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        unsigned step = 0;

        REQUIRE(begin_row(&e, seed) >= 0);
        (void) random_swap(&e, true);
        for (; step < STEPS && test_failures == 0; step++) {
                TELL("step %u\n", step);
                random_step(&e);
                if (!crash.happened && pick(3) == 0)
                        continue;       /* more before anything can run */
                look(&e);
                if (crash.happened)
                        REQUIRE(restart(&e));
                strbuf_done(&world.trace);
        }
        if (test_failures == 0)
                come_to_rest(&e);
        hold = graph_hold_free(hold);
        forget_held();
        if (test_failures > 0)
                TEST_FAIL("in step %u of the row with MGMT_SEED=%" PRIu64, step, seed);
}

TEST(random_rows) {
        const char *seed = getenv("MGMT_SEED"), *rows = getenv("MGMT_ROWS");
        uint64_t first = (uint64_t) time(NULL) * 1000000, n = rows ? strtoull(rows, NULL, 10) : 0;

        if (seed) {
                told = true;
                row(strtoull(seed, NULL, 10));
                return;
        }
        for (uint64_t i = 0; i < ROWS && test_failures == 0; i++)
                row(i);
        if (n > 0)
                printf("# new rows: seeds %" PRIu64 " to %" PRIu64 "\n", first, first + n - 1);
        for (uint64_t i = 0; i < n && test_failures == 0; i++)
                row(first + i);
        printf("# %u swaps taken over, %u rejected, %u waited, %u attempts, %u repairs, %u undone, %u notified, %u kills\n", n_taken,
               n_rejected, n_waited, n_attempts, n_repaired, n_undone, n_notified, n_crashes);
        /* Else the rows would not say much. */
        CHECK(n_taken > n_rejected && n_rejected > 100 && n_waited > 20 && n_notified > 200 && n_repaired > 1000 && n_undone > 100 &&
              n_crashes > 200);
}

TEST_MAIN()
