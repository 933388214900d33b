/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What an engine must do, said a second time and much more simply, by those who are acted upon: resources that know what they
 * should be told. Each has a letter. The model follows what is declared and what the resources themselves see, and asks at the
 * beginning of each attempt: was all that comes before right, is the notification due, is this the value that was sent, is
 * there nobody else with the semaphore? Nothing of the engine's own bookkeeping is believed but who is grouped with whom.
 *
 * The engine may be killed anywhere: between two writes to its journal, in the middle of one, before and after a resource has
 * done its work. From that moment on nothing that it does counts, neither on disk nor outside; see crash_point(). */

#include "daemons/engine/semaphore.h"
#include "tests/daemons/engine/engine-test.h"

enum { LETTERS = 10 };

/* Each letter has its kind, or hardly any change would make sense. As a line for swap() says it: */
static const char *const model_ids[LETTERS] = {
        "a", "b", "c", "d", "plain.e", "box.f", "box_item.g", "box_item.h", "plain.i", "j",
};

/* A notification: when the target is checked, will it be told of one? Only after a kill are there doubts: what was under way may
 * or may not have been done, and one too many is better than one too few. */
typedef enum Due {
        DUE_NO,
        DUE_MAY,
        DUE_MUST,
} Due;

typedef struct ModelEdge {
        bool declared, notifies, transfers;
        bool wired;             /* transferred already when the attempt under way began */
        Due due;                /* happened before the target's last attempt began */
        Due again;              /* happened since then */
        bool consuming;         /* that attempt ended well, and the engine is about to write it down */
} ModelEdge;

typedef struct Actor {
        /* outside of the engine */
        unsigned failures;      /* the next checks fail */
        bool wrong;             /* would have to be repaired */
        bool available;         /* of those who need something: it is there */
        int64_t value;          /* to be sent */

        /* of the root of a group, for all of it */
        bool running;
        bool dirty;             /* something happened since the attempt began */
        bool clean;             /* the last attempt ended well, and nothing happened since */

        /* of itself */
        bool here;
        bool hidden;            /* takes notifications whenever it likes */
        bool noop;              /* does not notify, not even of what it did before it was told to do nothing */
        bool armed;
        bool acting;            /* the journal says that an attempt began which may have to notify */
        bool did;               /* it repaired something, and no attempt has ended well since */
        bool maybe;             /* an attempt was cut off: the next that ends well may notify */
        int64_t sent;
        bool has_sent;
        int64_t expected;       /* what the sender had sent when the attempt began */
        int64_t field;          /* received */
        bool received;          /* and no attempt has ended well since */
        bool passed_over;       /* attempts of its group may have received something and not come as far as itself */
        bool kept;              /* how it was is in a file, for its reversal */
        bool asked;             /* it was, and there was nothing to undo yet */
} Actor;

typedef struct ModelProbe {
        Probe probe;
        bool known;             /* was checked before: not a new object under an old name */
        bool right;             /* an attempt has ended well */
} ModelProbe;

static Actor actors[LETTERS];
static ModelEdge model_edges[LETTERS][LETTERS];

static struct {
        bool happened;
        unsigned in;            /* so many points from now; 0: not */
        bool torn;              /* in the middle of the write, if it hits one */
        char path[96];          /* of the journal */
        char *disk;             /* what the journal held then */
        size_t size;
        char reversals[96];     /* the directory of their files */
        char *undo[LETTERS];    /* what they held then; NULL: there was none */
} crash;

static bool told;               /* say what happens */
static bool nobody_is_slow;     /* who begins from now on ends at once */

#define TELL(...) \
        do { \
                if (told) \
                        printf("# " __VA_ARGS__); \
        } while (0)

static unsigned n_attempts, n_notified, n_repaired, n_crashes, n_undone;

static unsigned letter(const Vertex *v) {
        return (unsigned) (vertex_name(v)[0] - 'a');
}

static Actor *actor(const Vertex *v) {
        return &actors[letter(v)];
}

static Actor *root_actor(const Vertex *v) {
        return actor(vertex_root((Vertex *) v));
}

/* Of those that do not act on notifications nobody keeps account. */
static bool edge_counts(unsigned x, unsigned y) {
        return model_edges[x][y].notifies && !strchr(model_ids[y], '.');
}

/* ---- being killed ---- */

static void reversal_path(unsigned x, char *ret, size_t size) {
        char *kind, *kind_name, id[64];

        split_id(model_ids[x], &kind, &kind_name);
        (void) snprintf(id, sizeof(id), "%s[%s]", kind, kind_name);
        _cleanup_free_ char *name = resource_file_name(id);
        (void) snprintf(ret, size, "%s/%s", crash.reversals, name);
        free(kind);
        free(kind_name);
}

static void remember_reversals(void) {
        for (unsigned x = 0; x < LETTERS; x++) {
                char path[256];
                size_t size;

                free(TAKE_PTR(crash.undo[x]));
                reversal_path(x, path, sizeof(path));
                (void) read_file_at(AT_FDCWD, path, 1 << 20, &crash.undo[x], &size);
        }
}

/* As they were at that moment. */
static void restore_reversals(void) {
        for (unsigned x = 0; x < LETTERS; x++) {
                char path[256];

                reversal_path(x, path, sizeof(path));
                if (crash.undo[x])
                        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, crash.undo[x], strlen(crash.undo[x]), 0600, false), 0);
                else
                        (void) unlink(path);
                actors[x].kept = crash.undo[x];
                actors[x].asked = false;
        }
}

static void crash_point(void) {
        if (crash.happened || crash.in == 0 || --crash.in > 0)
                return;
        crash.happened = true;
        n_crashes++;
        free(TAKE_PTR(crash.disk));
        crash.size = 0;
        (void) read_file_at(AT_FDCWD, crash.path, 1 << 26, &crash.disk, &crash.size);
        remember_reversals();
}

int __real_write_all(int fd, const void *data, size_t size);
int __wrap_write_all(int fd, const void *data, size_t size);

/* Here nothing but the journal is written that way: what begins ('b') or ends ('e'), the size of what follows, kind, name. */
int __wrap_write_all(int fd, const void *data, size_t size) {
        int r = 0;

        if (crash.in == 1 && crash.torn)
                r = __real_write_all(fd, data, size / 2);
        crash_point();
        if (!crash.happened)
                r = __real_write_all(fd, data, size);
        const char *record = data, *kind = record + 5;
        if (!crash.happened && (*record == 'b' || *record == 'e'))
                actors[kind[strlen(kind) + 1] - 'a'].acting = *record == 'b';
        crash_point();
        return r;
}

/* ---- what is expected ---- */

#define EXPECT(condition) \
        do { \
                if (!(condition)) \
                        TEST_FAIL("%s[%s]: %s", vertex_kind(v), vertex_name(v), #condition); \
        } while (0)

/* Whatever ended well before this moment has been written down meanwhile, or never will be. */
static void settle_model(void) {
        if (crash.happened)
                return;
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        ModelEdge *e = &model_edges[x][y];
                        if (e->consuming)
                                e->due = DUE_NO;
                        e->consuming = false;
                }
}

static void expect_order(const Vertex *root) {
        const Manager *m = root->manager;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *v = vertex_member((Vertex *) root, i);
                const GraphAdjacency *in = graph_predecessors(m->graph, v->id);

                EXPECT(actor(v)->armed || root->polled || root->resource->meta.poll != 0);
                for (uint32_t k = 0; k < in->n; k++) {
                        const Vertex *p = vertex_root(manager_vertex(m, in->items[k].peer));
                        bool is_asked = !p->resource->meta.hidden && !p->resource->meta.noop;
                        if (p != root && is_asked && !actor(p)->clean)
                                TEST_FAIL("%s runs before %s", vertex_name(v), vertex_name(p));
                }
        }
}

static bool names_semaphore(const Vertex *root, const char *id) {
        for (size_t i = 0; i < vertex_n_members(root); i++)
                for (char **s = vertex_member((Vertex *) root, i)->resource->meta.sema; s && *s; s++)
                        if (streq(*s, id))
                                return true;
        return false;
}

static void expect_semaphore(const Vertex *v, const char *id) {
        const Manager *m = v->manager;
        unsigned n = 0;

        for (VertexId k = 0; k < graph_id_limit(m->graph); k++) {
                const Vertex *w = manager_vertex(m, k);
                n += w && !w->parent && actor(w)->running && names_semaphore(w, id);
        }
        EXPECT(n <= semaphore_capacity(id));
}

static void expect_refresh(const Vertex *root, const Vertex *v) {
        bool refresh = resource_refresh(v->resource);
        Due due = DUE_NO;

        for (size_t i = 0; i < (v == root ? vertex_n_members(root) : 1); i++) {
                unsigned y = letter(v == root ? vertex_member((Vertex *) root, i) : v);
                for (unsigned x = 0; x < LETTERS; x++) {
                        /* What comes again during an attempt is put off to the next, with what has not been told yet. */
                        Due most = actors[x].noop || model_edges[x][y].again != DUE_NO ? DUE_MAY : DUE_MUST, one = MIN(model_edges[x][y].due, most);
                        due = MAX(due, one);
                }
        }
        n_notified += refresh;
        if (refresh && due == DUE_NO && !root->resource->meta.noop)     /* under noop: of what would have been done */
                TEST_FAIL("%s is notified of nothing", vertex_name(v));
        if (!refresh && due == DUE_MUST)
                TEST_FAIL("%s is not notified", vertex_name(v));
}

static void expect_received(const Vertex *v, ModelProbe *p) {
        bool received = resource_received(v->resource, "in");
        Actor *a = actor(v);

        for (unsigned x = 0; x < LETTERS; x++)
                if (model_edges[x][letter(v)].wired) {
                        EXPECT(actors[x].has_sent);
                        EXPECT(p->probe.in == a->expected);
                }
        /* In a group, or under noop, values may be received by attempts that do not come this far. */
        if (p->known && !a->passed_over && !v->resource->meta.noop)
                EXPECT(received == (a->received || p->probe.in != a->field));
        a->received = received;
        a->field = p->probe.in;
        a->passed_over = false;
}

/* ---- what happens ---- */

static void begin_attempt(const Vertex *root, bool apply) {
        Actor *a = actor(root);

        expect_order(root);
        a->running = true;
        a->dirty = a->clean = false;
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *v = vertex_member((Vertex *) root, i);
                unsigned y = letter(v);

                actors[y].passed_over = actors[y].passed_over || root->group;
                for (char **s = v->resource->meta.sema; s && *s; s++)
                        expect_semaphore(root, *s);
                for (unsigned x = 0; x < LETTERS; x++) {
                        ModelEdge *e = &model_edges[x][y];
                        e->due = MAX(e->due, e->again);
                        e->again = DUE_NO;
                        e->wired = e->transfers;
                        if (e->wired)
                                actors[y].expected = actors[x].sent;
                }
        }
        n_attempts++;
}

static void make_dirty(Actor *root) {
        root->dirty = true;
        root->clean = false;
}

static void notify_model(unsigned x, Due due) {
        for (unsigned y = 0; y < LETTERS; y++)
                if (edge_counts(x, y))
                        model_edges[x][y].again = MAX(model_edges[x][y].again, actors[y].hidden ? (Due) DUE_MAY : due);
}

static void doubt(ModelEdge *e) {
        e->due = MIN(e->due, (Due) DUE_MAY);
        e->again = MIN(e->again, (Due) DUE_MAY);
}

/* It did something: whoever wants to know must be told, whatever comes now. How it was must be known, if it is to be undone. */
static void model_repaired(const Vertex *v) {
        EXPECT(!v->resource->meta.reverse || actor(v)->kept || actor(v)->asked);
        actor(v)->did = true;
        actor(v)->wrong = false;
        n_repaired++;
        notify_model(letter(v), DUE_MUST);
}

static void model_succeeded(const Vertex *root, bool apply) {
        bool speaks = false;

        actor(root)->running = false;
        actor(root)->clean = !actor(root)->dirty;
        for (size_t i = 0; i < vertex_n_members(root); i++)
                ((ModelProbe *) vertex_member((Vertex *) root, i)->resource)->right = true;
        if (root->reversal && apply)
                actor(root)->kept = false;
        if (!apply)
                return;
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Actor *a = actor(vertex_member((Vertex *) root, i));
                speaks = speaks || a->did || a->maybe;
        }
        for (size_t i = 0; i < vertex_n_members(root); i++) {
                unsigned y = letter(vertex_member((Vertex *) root, i));
                for (unsigned x = 0; x < LETTERS; x++)
                        model_edges[x][y].consuming = model_edges[x][y].due != DUE_NO;
                if (speaks)     /* a group with one voice */
                        notify_model(y, DUE_MAY);
                actors[y].did = actors[y].maybe = actors[y].received = false;
        }
}

/* Who says that it failed does not say what it did nevertheless. */
static void model_failed(const Vertex *root, const Vertex *v) {
        actor(root)->running = false;
        if (actor(v)->did)
                for (unsigned y = 0; y < LETTERS; y++)
                        doubt(&model_edges[letter(v)][y]);
        /* The group may fall apart before it has spoken. */
        bool did = actor(v)->did;
        actor(v)->did = false;
        for (size_t i = 0; i < vertex_n_members(root); i++)
                did = did || actor(vertex_member((Vertex *) root, i))->did;
        for (size_t i = 0; i < vertex_n_members(root) && did; i++)
                actor(vertex_member((Vertex *) root, i))->maybe = true;
}

static bool is_last_member(const Vertex *root, const Vertex *v) {
        bool found = false;

        for (size_t i = 0; i < vertex_n_members(root); i++) {
                const Vertex *m = vertex_member((Vertex *) root, i);
                if (found && !m->covered)
                        return false;
                found = found || m == v;
        }
        return true;
}

/* What a resource reports, now or later. */
static void model_result(const Vertex *v, int result, bool apply) {
        const Vertex *root = vertex_root((Vertex *) v);

        if (result < 0)
                model_failed(root, v);
        else if (result != CHECK_PENDING && is_last_member(root, v))
                model_succeeded(root, apply);
}

static void model_cut_off(const Vertex *root) {
        actor(root)->running = actor(root)->clean = false;
        for (size_t i = 0; i < vertex_n_members(root); i++)
                actor(vertex_member((Vertex *) root, i))->maybe = true;
}

/* After a crash: all that is left is what was outside, what was declared, what is due, and whom the journal says to act. */
static void model_restart(void) {
        for (unsigned x = 0; x < LETTERS; x++) {
                Actor *a = &actors[x];
                a->maybe = a->maybe || a->acting || a->did;
                a->here = a->running = a->dirty = a->clean = a->armed = a->did = a->has_sent = a->received = false;
                if (a->maybe)
                        notify_model(x, DUE_MAY);
                for (unsigned y = 0; y < LETTERS; y++) {
                        ModelEdge *e = &model_edges[x][y];
                        if (e->consuming)
                                e->due = DUE_MAY;
                        e->consuming = false;
                }
        }
}

/* ---- the graph ---- */

/* The letter of "a:…", "plain.e>…" and so on. */
static unsigned letter_in(const char *word) {
        size_t n = strcspn(word, ":>=~ ");
        const char *dot = memchr(word, '.', n);

        return (unsigned) (*(dot ? dot + 1 : word) - 'a');
}

static void model_put(const char *word) {
        Actor *a = &actors[letter_in(word)];

        a->here = true;
        a->hidden = memmem(word, strcspn(word, " "), "hidden", 6);
        a->noop = memmem(word, strcspn(word, " "), "noop", 4);
        if (!memmem(word, strcspn(word, " "), "reverse", 7))    /* nobody wants it undone any more */
                a->kept = false;
}

static void model_edge(const char *word, bool cut) {
        const char *arrow = strchr(word, '>');
        bool transfer = arrow[-1] == '~';
        ModelEdge *e = &model_edges[letter_in(word)][letter_in(arrow + 1)];

        if (transfer)
                e->transfers = !cut;
        else
                e->declared = !cut;
        e->notifies = cut ? e->notifies && e->declared : e->notifies || arrow[-1] == '=';
}

static void model_forget_edges(bool all) {
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        ModelEdge *e = &model_edges[x][y];
                        if (all || !actors[x].here || !actors[y].here)
                                e->declared = e->notifies = e->transfers = false;
                }
}

#define FOREACH_WORD(word, line) \
        for (const char *word = line; *word; word += strcspn(word, " "), word += strspn(word, " "))

/* A swap was taken over: "a:…" "-a" "!a>b" "a>b" "a=>b" "a~>b". What goes, goes first. */
static void model_swap(const char *line, bool full) {
        for (unsigned x = 0; x < LETTERS && full; x++)
                actors[x].here = false;
        FOREACH_WORD(word, line) {
                bool is_edge = memchr(word, '>', strcspn(word, " "));
                if (*word == '!')
                        model_edge(word + 1, true);
                else if (*word == '-')
                        actors[letter_in(word + 1)].here = false;
                else if (!is_edge)
                        model_put(word);
        }
        model_forget_edges(full);
        FOREACH_WORD(word, line)
                if (*word != '!' && memchr(word, '>', strcspn(word, " ")))
                        model_edge(word, false);

        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        ModelEdge *e = &model_edges[x][y];
                        if (!edge_counts(x, y))
                                e->due = e->again = DUE_NO;
                        else if (actors[x].maybe)
                                e->again = MAX(e->again, (Due) DUE_MAY);
                        if (actors[y].hidden)
                                doubt(e);
                }
}

/* Who was started anew is not clean. */
static void model_follow(const Manager *m) {
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                const Vertex *v = manager_vertex(m, id);
                if (v && (v->parent || !vertex_is_clean(v)))
                        actor(v)->clean = false;
                if (v)
                        EXPECT(!actor(v)->running || !v->parent);
        }
}

/* The engine's edges are those that were declared, and its journal knows of those notifications that are due. */
static void expect_edges(const Manager *m) {
        for (unsigned x = 0; x < LETTERS; x++)
                for (unsigned y = 0; y < LETTERS; y++) {
                        const ModelEdge *e = &model_edges[x][y];
                        uint32_t want = (e->declared ? EDGE_DECLARED : 0) | (e->transfers ? EDGE_TRANSFER : 0) | (e->notifies ? EDGE_NOTIFY : 0);
                        uint32_t data = 0;
                        char *kind, *name, *to_kind, *to_name;

                        split_id(model_ids[x], &kind, &name);
                        split_id(model_ids[y], &to_kind, &to_name);
                        const Vertex *v = manager_find(m, kind, name), *w = manager_find(m, to_kind, to_name);
                        if (!v != !(actors[x].here || actors[x].kept))
                                TEST_FAIL("%s is %s", model_ids[x], v ? "here" : "not here");
                        if (v && v->reversal == actors[x].here)
                                TEST_FAIL("%s %s its reversal", model_ids[x], v->reversal ? "is" : "is not");
                        if (v && w)
                                (void) graph_find_edge(m->graph, v->id, w->id, &data);
                        if ((data & (EDGE_DECLARED | EDGE_TRANSFER | EDGE_NOTIFY)) != want)
                                TEST_FAIL("edge %s -> %s is %x, not %x", name, to_name, data, want);
                        if (MAX(e->due, e->again) == DUE_MUST && !(data & EDGE_PENDING) && !(v && vertex_root((Vertex *) v)->pending) &&
                            !actors[x].did && !actors[x].noop)
                                TEST_FAIL("the notification %s -> %s is lost", name, to_name);
                        if (MAX(e->due, e->again) == DUE_NO && (data & EDGE_PENDING))
                                TEST_FAIL("a notification %s -> %s is made up", name, to_name);
                        if ((data & EDGE_PENDING) &&
                            !notify_journal_is_pending(m->journal, (JournalVertex) { kind, name }, (JournalVertex) { to_kind, to_name }))
                                TEST_FAIL("the journal does not know of the notification %s -> %s", name, to_name);
                        free(kind);
                        free(name);
                        free(to_kind);
                        free(to_name);
                }
}

/* How they were is on the disk of those who would be undone, and of nobody else. */
static void expect_reversals(void) {
        for (unsigned x = 0; x < LETTERS; x++) {
                char path[256];

                reversal_path(x, path, sizeof(path));
                bool is_there = access(path, F_OK) == 0;
                if (is_there != actors[x].kept)
                        TEST_FAIL("the reversal of %s is %s", model_ids[x], is_there ? "kept" : "not kept");
        }
}

/* ---- the kind ---- */

static void send_value(Vertex *v, ModelProbe *p) {
        Actor *a = actor(v);

        if (!p->known)
                a->has_sent = false;
        if (!a->has_sent || a->sent != a->value) {
                const GraphAdjacency *out = graph_successors(v->manager->graph, v->id);
                for (uint32_t i = 0; i < out->n; i++) {
                        const Vertex *w = manager_vertex(v->manager, out->items[i].peer);
                        if (model_edges[letter(v)][letter(w)].transfers)
                                make_dirty(root_actor(w));
                }
        }
        a->sent = a->value;
        a->has_sent = true;
        (void) resource_send(v->resource, "n", VALUE_INT(a->value));
}

/* There is something to undo once there is something to repair. */
static int model_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        const Vertex *v = r->vertex;
        Actor *a = actor(v);
        _cleanup_(value_done) Value param = VALUE_NIL;
        int k;

        crash_point();
        if (crash.happened)
                return 0;
        EXPECT(!a->kept && a->here && !r->meta.noop && !r->meta.hidden);
        a->asked = true;
        if (!a->wrong && !probe_has(r, "always"))
                return 0;
        k = resource_copy(ret, r);
        if (k >= 0)
                k = value_strz(&param, "undo");
        if (k >= 0)
                k = resource_set(*ret, "param", param, reterr);
        a->kept = k >= 0;
        return k;
}

/* Only what has left the program is undone, and but once. */
static int undo(const Vertex *v) {
        EXPECT(v->reversal && !actor(v)->here && actor(v)->kept);
        n_undone++;
        return CHECK_CHANGED;
}

/* "pending" goes on and has done its work already, "slow" will do it in the end. */
static int act(Resource *r, bool apply, Diag *reterr) {
        const Vertex *v = r->vertex;
        Actor *a = actor(v);
        bool slow = !nobody_is_slow && probe_has(r, "slow"), goes_on = slow || (!nobody_is_slow && probe_has(r, "pending"));

        if (a->failures > 0) {
                a->failures--;
                return resource_error(r, reterr, -EIO, "told to fail");
        }
        if (probe_has(r, "undo"))
                return undo(v);
        if (probe_has(r, "need") && !a->available)
                return resource_waiting(r, "told to wait");
        a->wrong = a->wrong || probe_has(r, "always");
        if (!apply)
                return goes_on ? CHECK_PENDING : a->wrong ? CHECK_CHANGED : CHECK_OK;
        bool repairs = a->wrong && !slow;
        if (repairs) {
                model_repaired(v);
                crash_point();
        }
        return goes_on ? CHECK_PENDING : repairs ? CHECK_CHANGED : CHECK_OK;
}

static int model_check_apply(Resource *r, bool apply, Diag *reterr) {
        ModelProbe *p = (ModelProbe *) r;
        Vertex *v = r->vertex;
        const Vertex *root = vertex_root(v);

        crash_point();
        if (crash.happened)
                return -EIO;
        settle_model();
        if (!actor(root)->running)
                begin_attempt(root, apply);
        expect_refresh(root, v);
        expect_received(v, p);
        if (r->type->sends)
                send_value(v, p);
        p->known = true;
        int result = act(r, apply, reterr);
        TELL("%s%s%s: %d\n", r->name, apply ? "" : " (noop)", resource_refresh(r) ? ", notified" : "", result);
        if (!crash.happened)
                model_result(v, result, apply);
        return result;
}

/* The end of an attempt that was pending. */
static void model_finish(Vertex *v, bool fails) {
        bool apply = !vertex_root(v)->resource->meta.noop;
        Actor *a = actor(v);

        settle_model();
        if (!fails && apply && a->wrong && probe_has(v->resource, "slow"))
                model_repaired(v);
        int result = fails ? -EIO : a->did || (!apply && a->wrong) ? CHECK_CHANGED : CHECK_OK;
        crash_point();
        if (crash.happened)
                return;
        model_result(v, result, apply);
        resource_finish(v->resource, result, NULL);
}

static void model_cancel(Resource *r) {
        const Vertex *v = r->vertex;

        crash_point();
        if (crash.happened)
                return;
        settle_model();
        TELL("%s is cancelled\n", r->name);
        EXPECT(root_actor(v)->running);
        model_cut_off(vertex_root((Vertex *) v));
}

static int model_watch(Resource *r, Diag *reterr) {
        const Vertex *v = r->vertex;

        EXPECT(!root_actor(v)->running || crash.happened);
        if (probe_has(r, "service") && !actor(v)->available)
                return resource_waiting(r, "told that there is no service");
        if (probe_has(r, "full"))
                return resource_error(r, reterr, -ENOSPC, "told that there are no watches left");
        if (probe_has(r, "nowatch"))
                return resource_error(r, reterr, -EIO, "told not to watch");
        if (!probe_has(r, "late")) {
                actor(v)->armed = true;
                resource_armed(r);
        }
        return 0;
}

static void model_unwatch(Resource *r) {
        const Vertex *v = r->vertex;

        EXPECT(!root_actor(v)->running || crash.happened);
        actor(v)->armed = false;
}

#define MODEL_TYPE(kind_, flags_, ...) \
        { \
                .kind = (kind_), .doc = "An actor.", .size = sizeof(ModelProbe), .flags = (flags_) | RESOURCE_RECEIVES, \
                .fields = probe_fields, .sends = probe_sends, .validate = probe_validate, .watch = model_watch, \
                .unwatch = model_unwatch, .check_apply = model_check_apply, .cancel = model_cancel, .reverse = model_reverse, ##__VA_ARGS__ \
        }

static const ResourceType model_probe_type = MODEL_TYPE("probe", RESOURCE_REFRESHABLE, .groups = probe_groups);
static const ResourceType model_plain_type = MODEL_TYPE("plain", 0);
static const ResourceType model_box_type = MODEL_TYPE("box", 0);
static const ResourceType model_item_type = MODEL_TYPE("box:item", 0, .parent_field = "group");

static const ResourceType *const model_types[] = { &model_probe_type, &model_plain_type, &model_box_type, &model_item_type, NULL };
