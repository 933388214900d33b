/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Random programs whose sources change at random, one after the other and several at once, late and not at all. After each wave the
 * graph in force is the one that a plain evaluation gives (plain-eval.h), what left is exactly the difference to the one before,
 * errors are the ones that they must be and stand where they must; the function graph is as large as a new one would be, and
 * just those sources are open that are asked.
 *
 * A program follows from its seed, and they are always the same ones: who changes something is told what it broke, and nobody else. To
 * look for what has always been wrong, MGMT_PROGRAMS=… makes as many new ones as wanted. What breaks is made shorter, and is found
 * again with MGMT_SEED=…, which runs that program alone and tells it step by step. */

#include <time.h>

#include "common/strbuf.h"
#include "lang/funcgraph.h"
#include "tests/lang/mock-host.h"
#include "tests/lang/plain-eval.h"
#include "tests/lang/random-program.h"
#include "tests/test.h"

enum { PROGRAMS = 500, TOLD_MAX = 3 };

static struct {
        unsigned programs, waves, good, bad, waiting, too_long, ambiguous;
        size_t resources, twins, nodes;
} seen;

/* ---- the graph in force, put together from change sets ---- */

typedef struct Model {
        ResourceSpec *resources;
        size_t n_resources, capacity_resources;
        EdgeSpec *edges;
        size_t n_edges, capacity_edges;
} Model;

static void model_done(Model *m) {
        for (size_t i = 0; i < m->n_resources; i++)
                resource_spec_done(&m->resources[i]);
        for (size_t i = 0; i < m->n_edges; i++)
                edge_spec_done(&m->edges[i]);
        free(m->resources);
        free(m->edges);
        *m = (Model) {};
}

static const ResourceSpec *find_resource(const ResourceSpec *all, size_t n, const char *kind, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(all[i].kind, kind) && streq(all[i].name, name))
                        return &all[i];
        return NULL;
}

/* Takes out the one of that name and its twins; how many there were. */
static size_t remove_resources(Model *m, const char *kind, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_resources; i++) {
                ResourceSpec *s = &m->resources[i];
                if (streq(s->kind, kind) && streq(s->name, name)) {
                        resource_spec_done(s);
                        n++;
                } else if (n > 0)
                        m->resources[i - n] = *s;
        }
        m->n_resources -= n;
        return n;
}

static EdgeSpec *find_edge(const EdgeSpec *all, size_t n, const EdgeSpec *e) {
        for (size_t i = 0; i < n; i++)
                if (streq(all[i].from_kind, e->from_kind) && streq(all[i].from_name, e->from_name) &&
                    streq(all[i].to_kind, e->to_kind) && streq(all[i].to_name, e->to_name) &&
                    streq_ptr(all[i].send_key, e->send_key) && streq_ptr(all[i].receive_field, e->receive_field))
                        return (EdgeSpec *) &all[i];
        return NULL;
}

/* Nobody could tell them apart by looking. */
static bool same_text(Value a, Value b) {
        _cleanup_free_ char *x = value_text(a), *y = value_text(b);

        return x && y && streq(x, y);
}

static bool same_resource(const ResourceSpec *a, const ResourceSpec *b) {
        if (a->n_fields != b->n_fields || !meta_equal(&a->meta, &b->meta, NULL))
                return false;
        for (size_t i = 0; i < a->n_fields; i++)
                if (!streq(a->fields[i].name, b->fields[i].name) || !same_text(a->fields[i].value, b->fields[i].value))
                        return false;
        return true;
}

/* Of that name there are these, in this order, and no more. */
static bool is_as_it_was(const Model *m, const ResourceSpec *s, size_t n) {
        size_t k = 0;

        for (size_t i = 0; i < m->n_resources; i++)
                if (streq(m->resources[i].kind, s->kind) && streq(m->resources[i].name, s->name) &&
                    (k == n || !same_resource(&m->resources[i], &s[k++])))
                        return false;
        return k == n;
}

/* The one among them that is this. */
static const ResourceSpec *find_same(const ResourceSpec *all, size_t n, const ResourceSpec *s) {
        for (size_t i = 0; i < n; i++)
                if (streq(all[i].kind, s->kind) && streq(all[i].name, s->name) && same_resource(&all[i], s))
                        return &all[i];
        return NULL;
}

#define WRONG(...) \
        ({ \
                char *_text = NULL; \
                if (asprintf(&_text, __VA_ARGS__) < 0) \
                        abort(); \
                _text; \
        })

/* NULL, or what is wrong with the change set: what it says must be news. */
static char *model_apply(Model *m, const ChangeSet *c) {
        if (c->full)
                model_done(m);
        for (size_t i = 0; i < c->n_cut; i++) {
                EdgeSpec *e = find_edge(m->edges, m->n_edges, &c->cut[i]);
                if (!e)
                        return WRONG("an edge from %s[%s] is cut that was not there", c->cut[i].from_kind, c->cut[i].from_name);
                edge_spec_done(e);
                *e = m->edges[--m->n_edges];
        }
        for (size_t i = 0; i < c->n_removed; i++) {
                if (remove_resources(m, c->removed[i].kind, c->removed[i].name) == 0)
                        return WRONG("%s[%s] is removed, which was not there", c->removed[i].kind, c->removed[i].name);
        }
        for (size_t i = 0; i < c->n_put; i++) {
                const ResourceSpec *s = &c->put[i];
                size_t n = change_set_n_twins(c, i) + 1;
                if (is_as_it_was(m, s, n))
                        return WRONG("%s[%s] is put as it was", s->kind, s->name);
                seen.twins += n - 1;
                (void) remove_resources(m, s->kind, s->name);
                for (size_t k = 0; k < n; k++) {
                        if (GROW(m->resources, m->n_resources, m->capacity_resources) < 0 ||
                            resource_spec_copy(&m->resources[m->n_resources++], &s[k]) < 0)
                                abort();
                }
                i += n - 1;
        }
        for (size_t i = 0; i < c->n_edges; i++) {
                EdgeSpec *e = find_edge(m->edges, m->n_edges, &c->edges[i]);
                if (e && e->notify == c->edges[i].notify)
                        return WRONG("an edge from %s[%s] is put as it was", c->edges[i].from_kind, c->edges[i].from_name);
                if (e)
                        edge_spec_done(e);
                else if (GROW(m->edges, m->n_edges, m->capacity_edges) < 0)
                        abort();
                else
                        e = &m->edges[m->n_edges++];
                if (edge_spec_copy(e, &c->edges[i]) < 0)
                        abort();
        }
        return NULL;
}

/* NULL if the model is this graph, in which the same may be said several times. */
static char *model_compare(const Model *m, const ResourceSpec *resources, size_t n_resources, const EdgeSpec *edges, size_t n_edges) {
        for (size_t i = 0; i < n_resources; i++) {
                const ResourceSpec *s = &resources[i], *got = find_resource(m->resources, m->n_resources, s->kind, s->name);
                if (!got)
                        return WRONG("%s[%s] is missing", s->kind, s->name);
                if (!find_same(m->resources, m->n_resources, s)) {
                        StrBuf b = {};
                        for (size_t k = 0; k < MAX(s->n_fields, got->n_fields); k++) {
                                strbuf_puts(&b, k > 0 ? ", " : "");
                                if (k < got->n_fields)
                                        strbuf_value(&b, got->fields[k].value);
                                strbuf_puts(&b, " for ");
                                if (k < s->n_fields)
                                        strbuf_value(&b, s->fields[k].value);
                        }
                        _cleanup_free_ char *text = strbuf_take(&b);
                        return WRONG("%s[%s] has %s", s->kind, s->name, text);
                }
        }
        for (size_t i = 0; i < m->n_resources; i++)
                if (!find_same(resources, n_resources, &m->resources[i]) ||
                    find_same(m->resources, i, &m->resources[i]))
                        return WRONG("%s[%s] is too many", m->resources[i].kind, m->resources[i].name);
        for (size_t i = 0; i < n_edges; i++) {
                const EdgeSpec *e = &edges[i], *got = find_edge(m->edges, m->n_edges, e);
                bool notify = false;
                for (size_t j = 0; j < n_edges; j++)
                        notify = notify || (edges[j].notify && find_edge(&edges[j], 1, e));
                if (!got || got->notify != notify)
                        return WRONG("the edge from %s[%s] to %s[%s] %s", e->from_kind, e->from_name, e->to_kind, e->to_name,
                                     got ? "notifies or not" : "is missing");
        }
        for (size_t i = 0; i < m->n_edges; i++)
                if (!find_edge(edges, n_edges, &m->edges[i]))
                        return WRONG("the edge from %s[%s] to %s[%s] is too many", m->edges[i].from_kind, m->edges[i].from_name,
                                     m->edges[i].to_kind, m->edges[i].to_name);
        return NULL;
}

/* ---- how often nodes run ---- */

/* In the place of the type of a node: the same, but for running by way of here. */
typedef struct CountingType {
        NodeType type;          /* first */
        const NodeType *real;
} CountingType;

static CountingType counting_types[32];
static Map *runs;               /* of each node that was there before the wave, how often it ran */
static const char *ran_too_often;

/* A node runs once in a wave; those that change their own shape run again when what they built has a value. */
static int count_run(FuncGraph *g, Node *n) {
        static const char *const shapes[] = { "if", "except", "call", "each", "growing list", "filter" };
        const CountingType *t = (const CountingType *) n->type;
        uintptr_t times = (uintptr_t) map_get_n(runs, &n, sizeof(n)) + 1, max = 1;

        for (size_t i = 0; i < ELEMENTSOF(shapes); i++)
                if (streq(t->type.name, shapes[i]))
                        max = 2;
        if (times > max)
                ran_too_often = t->type.name;
        if (map_put_n(runs, &n, sizeof(n), (void *) times) < 0)
                abort();
        return t->real->run(g, n);
}

static const NodeType *counting_type(const NodeType *t) {
        for (size_t i = 0; i < ELEMENTSOF(counting_types); i++) {
                CountingType *c = &counting_types[i];
                if (c->real == t)
                        return &c->type;
                if (c->real)
                        continue;
                c->real = t;
                c->type = *t;
                c->type.run = count_run;
                return &c->type;
        }
        abort();
}

static void count_runs(FuncGraph *g) {
        runs = map_free(runs);
        runs = map_new();
        for (Node *n = g ? g->nodes : NULL; n; n = n->next)
                if (n->type->run && n->type->run != count_run)
                        n->type = counting_type(n->type);
}

/* ---- one program ---- */

typedef struct Play {
        MockWorld world;
        Lang *lang;
        Model model;
        bool tell;
} Play;

static bool due;

static void on_due(void *userdata) {
        due = true;
}

static bool same_place(Pos a, Pos b) {
        return a.line == b.line && a.column == b.column && a.end_line == b.end_line && a.end_column == b.end_column &&
               streq_ptr(a.file, b.file);
}

static char *check_error(const PlainGraph *want, const Diag *got) {
        for (size_t i = 0; i < want->n_troubles; i++) {
                const Trouble *t = &want->troubles[i];
                if (same_place(t->pos, got->pos) &&
                    (t->roughly ? (bool) startswith(got->message, t->message) : streq(got->message, t->message)))
                        return NULL;
        }
        _cleanup_free_ char *text = diag_text(got);
        const Trouble *t = &want->troubles[0];
        return WRONG("the error is '%s' (to %u:%u), not '%s:%u:%u: %s' (to %u:%u)", text, got->pos.end_line, got->pos.end_column,
                     t->pos.file, t->pos.line, t->pos.column, t->message, t->pos.end_line, t->pos.end_column);
}

static char *check_sources(const Play *p) {
        for (size_t i = 0; i < p->world.n; i++) {
                const MockCell *c = p->world.cells[i];
                if (!c->refuses && c->n_open != c->n_asked)
                        return WRONG("%u ask for %s, which should be %u", c->n_open, c->key, c->n_asked);
        }
        return NULL;
}

/* A function graph that begins now has as many nodes. */
static char *check_size(Play *p) {
        FuncGraph *g;

        p->world.aside = true;
        if (funcgraph_new(&g, p->lang) < 0 || funcgraph_build(g) < 0 || funcgraph_run(g) < 0)
                abort();
        funcgraph_sweep(g);
        size_t n = g->n_nodes;
        funcgraph_free(g);
        p->world.aside = false;
        seen.nodes += n;
        return n == p->lang->graph->n_nodes ? NULL : WRONG("there are %zu nodes, a new graph has %zu", p->lang->graph->n_nodes, n);
}

static char *check_snapshot(Play *p) {
        ChangeSet c = {};

        if (!lang_is_running(p->lang))
                return NULL;
        if (lang_snapshot(p->lang, &c) < 0)
                abort();
        char *wrong = model_compare(&p->model, c.put, c.n_put, c.edges, c.n_edges);
        change_set_done(&c);
        return wrong;
}

/* What lang_start() or lang_step() returned is what it must be. */
static char *check_wave(Play *p, int r, const ChangeSet *c, const Diag *error, bool *ret_stop) {
        PlainGraph want;
        char *wrong = NULL;

        plain_graph_make(&want, p->lang, &p->world);
        seen.waves++;
        if (want.too_long || want.failed) {
                seen.too_long++;
                *ret_stop = true;
        } else if (want.n_troubles > 0) {
                seen.bad++;
                wrong = r < 0 ? check_error(&want, error)
                              : WRONG("no error, where %u:%u: %s", want.troubles[0].pos.line, want.troubles[0].pos.column,
                                      want.troubles[0].message);
        } else if (r < 0)
                wrong = WRONG("an error, where all is well: %u:%u: %s", error->pos.line, error->pos.column, error->message);
        else if (want.waiting != lang_is_waiting(p->lang))
                wrong = WRONG("it waits for %zu where it should %s", p->lang->graph->n_waiting, want.waiting ? "wait" : "not");
        else if (want.waiting) {
                seen.waiting++;
                wrong = change_set_is_empty(c) ? NULL : WRONG("something left before all had answered");
        } else {
                seen.good++;
                seen.resources += want.n_resources;
                wrong = model_apply(&p->model, c);
                if (!wrong)
                        wrong = model_compare(&p->model, want.resources, want.n_resources, want.edges, want.n_edges);
        }
        if (!wrong && !*ret_stop)
                wrong = check_sources(p);
        if (!wrong)
                wrong = check_snapshot(p);
        plain_graph_done(&want);
        return wrong;
}

static char *wave(Play *p, bool *ret_stop) {
        ChangeSet c = {};
        _cleanup_(diag_done) Diag error = {};

        p->world.step++;
        due = false;
        count_runs(p->lang->graph);
        int r = lang_is_started(p->lang) ? lang_step(p->lang, &c, &error) : lang_start(p->lang, &c, &error);
        if (p->tell)
                printf("# wave %u: %s%s, %zu put, %zu removed, %zu edges, %zu cut\n", p->world.step - 1, r < 0 ? error.message : "good",
                       lang_is_waiting(p->lang) ? ", waiting" : "", c.n_put, c.n_removed, c.n_edges, c.n_cut);
        char *wrong = check_wave(p, r, &c, &error, ret_stop);
        if (!wrong && ran_too_often)
                wrong = WRONG("a node ran too often: %s", ran_too_often);
        ran_too_often = NULL;
        change_set_done(&c);
        return wrong;
}

static char *play_on(Play *p, Random *r) {
        bool stop = false;
        char *wrong = wave(p, &stop);

        for (unsigned n = 3 + random_pick(r, 12); n > 0 && !wrong && !stop; n--) {
                bool was_due = due, changed = false;
                for (unsigned k = random_percent(r, 60) ? 1 : random_pick(r, 4); k > 0; k--)
                        changed = mock_world_change(&p->world) || changed;
                uint64_t n_runs = p->lang->graph->n_runs;
                if (changed && !due)
                        return WRONG("nobody was told that there is something to do");
                wrong = wave(p, &stop);
                if (!wrong && !changed && !was_due && p->lang->graph->n_runs != n_runs)
                        wrong = WRONG("something ran though nothing had changed");
                if (!wrong && !stop && random_percent(r, 30))
                        wrong = check_size(p);
        }
        return wrong;
}

/* NULL if all is well with a program. */
static char *play(const char *text, uint64_t seed, bool tell, bool *ret_compiles) {
        Random r = random_from(seed ^ 0x5eed);
        const MockFile files[] = { { "/main.mcl", text }, {} };
        LangHost host = mock_host(files);
        _cleanup_(diags_done) Diags errors = {};
        Play p = { .tell = tell };
        char *wrong;

        mock_world_init(&p.world, seed);
        p.world.trace = tell;
        host.source = mock_world_source;
        host.source_host = &p.world.host;
        host.due = on_due;
        *ret_compiles = lang_compile(&p.lang, &host, &(LangOptions) { .entry = "/main.mcl" }, &errors) >= 0;
        if (*ret_compiles)
                wrong = play_on(&p, &r);
        else
                wrong = WRONG("it does not compile: %u:%u: %s", errors.items[0].pos.line, errors.items[0].pos.column, errors.items[0].message);
        lang_free(p.lang);
        for (size_t i = 0; i < p.world.n && !wrong; i++)
                if (p.world.cells[i]->n_open > 0)
                        wrong = WRONG("somebody still asks for %s", p.world.cells[i]->key);
        model_done(&p.model);
        mock_world_done(&p.world);
        return wrong;
}

/* ---- what breaks, made shorter ---- */

static char *without_lines(const char *text, size_t from, size_t n) {
        StrBuf b = {};
        size_t line = 0;

        for (const char *s = text; *s; line++) {
                size_t size = strcspn(s, "\n");
                size += s[size] == '\n';
                if (line < from || line >= from + n)
                        strbuf_add(&b, s, size);
                s += size;
        }
        return strbuf_take(&b);
}

static size_t count_lines(const char *text) {
        size_t n = 0;

        for (; *text; text++)
                n += *text == '\n';
        return n;
}

/* Takes the shorter text, which is given away, if something is wrong with it as well. */
static bool take_if_wrong(char **text, char *shorter, uint64_t seed) {
        bool compiles;
        _cleanup_free_ char *wrong = play(shorter, seed, false, &compiles);

        if (wrong && compiles) {
                free(*text);
                *text = shorter;
                return true;
        }
        free(shorter);
        return false;
}

/* Leaves out as many lines as can be: first many at a time, then single ones. */
static void shorten_lines(char **text, uint64_t seed) {
        for (size_t size = count_lines(*text); size > 0; size = size > 1 ? size / 2 : 0)
                for (size_t from = 0; from < count_lines(*text);)
                        if (!take_if_wrong(text, without_lines(*text, from, size), seed))
                                from += size;
}

/* The length of (…) or {…}, or 0. */
static size_t group_size(const char *s) {
        size_t depth = 0;

        for (size_t i = 0; s[i] && s[i] != '\n'; i++) {
                depth += s[i] == '(' || s[i] == '{';
                if ((s[i] == ')' || s[i] == '}') && --depth == 0)
                        return i + 1;
        }
        return 0;
}

/* Puts a part of a group in the place of the whole: one side of <|>, a branch, an argument. */
static bool shorten_group(char **text, size_t at, size_t size, uint64_t seed) {
        size_t end = at + size;

        for (size_t from = at + 1; from < end - 1;) {
                char c = (*text)[from];
                size_t inner = c == '(' || c == '{' ? group_size(*text + from) : 0, n = inner;
                if (inner == 0 && strchr("$\"[0123456789-tf", c))
                        n = strcspn(*text + from, " ,)");
                if (n == 0 || n >= size) {
                        from++;
                        continue;
                }
                size_t skip = c == '{';         /* what is in it */
                char *shorter = NULL;
                if (asprintf(&shorter, "%.*s%.*s%s", (int) at, *text, (int) (n - 2 * skip), *text + from + skip, *text + end) < 0)
                        abort();
                if (take_if_wrong(text, shorter, seed))
                        return true;
                from += n;
        }
        return false;
}

static char *shorten(char *text, uint64_t seed) {
        shorten_lines(&text, seed);
        for (size_t at = 0; at < strlen(text);) {
                size_t size = text[at] == '(' ? group_size(text + at) : 0;
                if (size == 0 || !shorten_group(&text, at, size, seed))
                        at++;
        }
        shorten_lines(&text, seed);
        return text;
}

static void tell(const char *text) {
        unsigned line = 1;

        while (*text) {
                int size = (int) strcspn(text, "\n");
                printf("# %3u  %.*s\n", line++, size, text);
                text += size + (text[size] == '\n');
        }
}

static bool run_seed(uint64_t seed, bool alone) {
        Random r = random_from(seed);
        char *text = random_program(&r);
        bool compiles;

        if (!text)
                abort();
        if (alone)
                tell(text);
        _cleanup_free_ char *wrong = play(text, seed, alone, &compiles);
        seen.programs++;
        if (wrong && !compiles && strstr(wrong, "is ambiguous")) {
                seen.ambiguous++;
                free(text);
                return true;
        }
        if (wrong) {
                TEST_FAIL("MGMT_SEED=%" PRIu64 ": %s", seed, wrong);
                if (compiles) {
                        text = shorten(text, seed);
                        _cleanup_free_ char *last = play(text, seed, true, &compiles);
                        printf("# %s\n", last ?: "?");
                }
                tell(text);
        }
        free(text);
        return !wrong;
}

TEST(programs_come_to_what_a_plain_evaluation_gives) {
        const char *seed = getenv("MGMT_SEED"), *programs = getenv("MGMT_PROGRAMS");
        unsigned n_new = programs ? (unsigned) atoi(programs) : 0, n_told = 0;

        if (seed) {
                (void) run_seed(strtoull(seed, NULL, 10), true);
                return;
        }
        for (unsigned i = 1; i <= PROGRAMS && n_told < TOLD_MAX; i++)
                n_told += !run_seed(i, false);
        uint64_t first = (uint64_t) time(NULL) * 1000000;
        if (n_new > 0)
                printf("# new seeds from %" PRIu64 " on\n", first);
        for (unsigned i = 0; i < n_new && n_told < TOLD_MAX; i++) {
                n_told += !run_seed(first + i, false);
                if ((i + 1) % 10000 == 0)
                        printf("# %u programs, %u waves\n", i + 1, seen.waves);
        }
        printf("# %u programs, %u waves: %u good, %u bad, %u waiting, %u given up; %zu resources and %zu nodes on average, %zu twins\n",
               seen.programs, seen.waves, seen.good, seen.bad, seen.waiting, seen.too_long, seen.good ? seen.resources / seen.good : 0,
               seen.nodes, seen.twins);
        CHECK(seen.twins > 0 || n_told > 0);
}

TEST_MAIN()
