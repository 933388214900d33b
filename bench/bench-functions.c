/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Waves through the function graph: what a node costs in graphs of several shapes, and that what did not change costs nothing.
 *
 * The floor computes the same numbers in the same order: an array of nodes, each with the places of its inputs and one function
 * that is called through a pointer and makes a boxed value, an object of its own that is counted, as plain interpreters have it.
 * It has no queue, knows beforehand what to run, and never asks whether a value is another one. (Ours are not boxed while they
 * are numbers; the second floor has them in place as well.) */

#include <string.h>

#include "bench/bench.h"
#include "bench/running.h"
#include "common/strbuf.h"

enum { ROUNDS = 301, BATCH = 16 };

/* ---- shapes: one description for both sides ---- */

/* Inputs of a node: two, or of a list the first and how many; and a constant. */
typedef struct FloorNode {
        enum { FLOOR_SOURCE, FLOOR_ADD, FLOOR_ADD_CONSTANT, FLOOR_LIST } kind;
        uint32_t a, b;
        int64_t constant;
        struct Box *(*run_boxed)(const struct FloorNode *all, const struct FloorNode *n);
        Value (*run)(const struct FloorNode *all, const struct FloorNode *n);
        struct Box *box;
        Value value;
} FloorNode;

typedef struct Shape {
        FloorNode *nodes;
        size_t n;
        StrBuf text;
        size_t *ends;           /* what has an effect */
        size_t n_ends;
} Shape;

/* ---- the floor with boxed values ---- */

typedef struct Box {
        uint32_t n_ref;
        TypeKind kind;
        union {
                int64_t i;
                double f;
                struct { size_t n; struct Box **items; };
        };
} Box;

static Box *box_new(TypeKind kind) {
        Box *b = malloc(sizeof(Box));

        b->n_ref = 1;
        b->kind = kind;
        return b;
}

static void box_unref(Box *b) {
        if (!b || --b->n_ref > 0)
                return;
        if (b->kind == TYPE_LIST) {
                for (size_t i = 0; i < b->n; i++)
                        box_unref(b->items[i]);
                free(b->items);
        }
        free(b);
}

static Box *box_sum(const Box *a, const Box *b) {
        Box *c = box_new(a->kind);

        if (a->kind == TYPE_INT)
                c->i = (int64_t) ((uint64_t) a->i + (uint64_t) b->i);
        else
                c->f = a->f + b->f;
        return c;
}

static Box *box_int(int64_t i) {
        Box *b = box_new(TYPE_INT);

        b->i = i;
        return b;
}

static Box *boxed_add(const FloorNode *all, const FloorNode *n) {
        return box_sum(all[n->a].box, all[n->b].box);
}

static Box *boxed_add_constant(const FloorNode *all, const FloorNode *n) {
        return box_sum(all[n->a].box, &(Box) { .kind = TYPE_INT, .i = n->constant });
}

static Box *boxed_list(const FloorNode *all, const FloorNode *n) {
        Box *l = box_new(TYPE_LIST);

        l->n = n->b;
        l->items = malloc(n->b * sizeof(Box *));
        for (uint32_t i = 0; i < n->b; i++) {
                l->items[i] = all[n->a + i].box;
                l->items[i]->n_ref++;
        }
        return l;
}

/* ---- the floor with values in place ---- */

static Value in_place_add(const FloorNode *all, const FloorNode *n) {
        Value a = all[n->a].value, b = all[n->b].value;

        if (a.kind == TYPE_INT)
                return VALUE_INT((int64_t) ((uint64_t) a.i + (uint64_t) b.i));
        return VALUE_FLOAT(a.f + b.f);
}

static Value in_place_add_constant(const FloorNode *all, const FloorNode *n) {
        Value a = all[n->a].value;

        if (a.kind == TYPE_INT)
                return VALUE_INT((int64_t) ((uint64_t) a.i + (uint64_t) n->constant));
        return VALUE_FLOAT(a.f + (double) n->constant);
}

static Value in_place_list(const FloorNode *all, const FloorNode *n) {
        Value *items = malloc(n->b * sizeof(Value)), v = VALUE_NIL;

        for (uint32_t i = 0; i < n->b; i++)
                items[i] = value_ref(all[n->a + i].value);
        (void) value_list(&v, items, n->b);
        free(items);
        return v;
}

/* ---- building both ---- */

static size_t shape_node(Shape *s, FloorNode n) {
        static const FloorNode functions[] = {
                [FLOOR_ADD] = { .run_boxed = boxed_add, .run = in_place_add },
                [FLOOR_ADD_CONSTANT] = { .run_boxed = boxed_add_constant, .run = in_place_add_constant },
                [FLOOR_LIST] = { .run_boxed = boxed_list, .run = in_place_list },
        };

        if (n.kind != FLOOR_SOURCE) {
                n.run_boxed = functions[n.kind].run_boxed;
                n.run = functions[n.kind].run;
        }
        s->nodes = reallocarray(s->nodes, s->n + 1, sizeof(FloorNode));
        s->nodes[s->n] = n;
        return s->n++;
}

static size_t shape_source(Shape *s) {
        strbuf_printf(&s->text, "import \"local\"\n$x0 = local.pool(\"n\", \"0\")\n");
        return shape_node(s, (FloorNode) { .kind = FLOOR_SOURCE });
}

static size_t shape_add(Shape *s, size_t a, size_t b) {
        size_t i = shape_node(s, (FloorNode) { .kind = FLOOR_ADD, .a = (uint32_t) a, .b = (uint32_t) b });

        strbuf_printf(&s->text, "$x%zu = $x%zu + $x%zu\n", i, a, b);
        return i;
}

static size_t shape_add_constant(Shape *s, size_t a, int64_t constant) {
        size_t i = shape_node(s, (FloorNode) { .kind = FLOOR_ADD_CONSTANT, .a = (uint32_t) a, .constant = constant });

        strbuf_printf(&s->text, "$x%zu = $x%zu + %lld\n", i, a, (long long) constant);
        return i;
}

static size_t shape_list(Shape *s, size_t first, size_t n) {
        size_t i = shape_node(s, (FloorNode) { .kind = FLOOR_LIST, .a = (uint32_t) first, .b = (uint32_t) n });

        strbuf_printf(&s->text, "$x%zu = [", i);
        for (size_t k = 0; k < n; k++)
                strbuf_printf(&s->text, "%s$x%zu", k > 0 ? ", " : "", first + k);
        strbuf_puts(&s->text, "]\n");
        return i;
}

static void shape_end(Shape *s, size_t i) {
        strbuf_printf(&s->text, "if $x%zu == $x%zu {\n}\n", i, i);
        s->ends = reallocarray(s->ends, s->n_ends + 1, sizeof(size_t));
        s->ends[s->n_ends++] = i;
}

static void shape_done(Shape *s) {
        free(s->nodes);
        free(s->ends);
        strbuf_done(&s->text);
}

/* ---- effects ---- */

static uint64_t n_effects;

static int effect_run(FuncGraph *g, Node *n) {
        n_effects++;
        return 0;
}

static const NodeType effect_type = { .name = "effect", .size = sizeof(Node), .run = effect_run };

/* In the place of each statement, which would cost more than all that is to be measured, a node that counts. */
static void attach_effects(FuncGraph *g) {
        for (size_t i = 0; i < g->statements.n; i++) {
                Node *compared = g->statements.items[i]->node.in[0].from, *end = compared->in[0].from, *effect;

                effect = node_new(g, &effect_type, (Pos) {});
                node_hold(effect);
                if (node_add_input(g, effect, end) < 0)
                        exit(EXIT_FAILURE);
        }
        stmt_nodes_done(g, &g->statements);
        if (funcgraph_run(g) < 0)
                exit(EXIT_FAILURE);
}

static void drop_effects(FuncGraph *g) {
        for (Node *n = g->nodes, *next; n; n = next) {
                next = n->next;
                if (n->type == &effect_type) {
                        node_drop(g, n);
                        next = g->nodes;
                }
        }
}

/* ---- measuring ---- */

/* Rounds of all three take turns, so that whatever else the machine does hits them alike. */
typedef struct Samples {
        uint64_t ours[ROUNDS], boxed[ROUNDS], in_place[ROUNDS];
} Samples;

static uint64_t round_ours(Running *r, int64_t value, size_t n_ends, size_t *ret_nodes) {
        FuncGraph *g = r->lang->graph;
        uint64_t runs = g->n_runs, effects = n_effects, begin = now_nsec();

        for (int k = 0; k < BATCH; k++) {
                running_say(r, 0, value + k);
                (void) funcgraph_run(g);
        }
        uint64_t end = now_nsec();
        *ret_nodes = (g->n_runs - runs) / BATCH;
        if (n_effects - effects != n_ends * BATCH) {
                fprintf(stderr, "%llu effects\n", (unsigned long long) (n_effects - effects));
                exit(EXIT_FAILURE);
        }
        return (end - begin) / BATCH;
}

static uint64_t round_boxed(Shape *s, int64_t value) {
        uint64_t begin = now_nsec();

        for (int k = 0; k < BATCH; k++) {
                box_unref(s->nodes[0].box);
                s->nodes[0].box = box_int(value + k);
                for (size_t j = 1; j < s->n; j++) {
                        Box *b = s->nodes[j].run_boxed(s->nodes, &s->nodes[j]);
                        box_unref(s->nodes[j].box);
                        s->nodes[j].box = b;
                }
                for (size_t j = 0; j < s->n_ends; j++)
                        n_effects += s->nodes[s->ends[j]].box->kind != TYPE_NIL;
        }
        return (now_nsec() - begin) / BATCH;
}

static uint64_t round_in_place(Shape *s, int64_t value) {
        uint64_t begin = now_nsec();

        for (int k = 0; k < BATCH; k++) {
                s->nodes[0].value = VALUE_INT(value + k);
                __asm__ volatile("" : : "r"(s->nodes) : "memory");
                for (size_t j = 1; j < s->n; j++) {
                        Value v = s->nodes[j].run(s->nodes, &s->nodes[j]);
                        value_done(&s->nodes[j].value);
                        s->nodes[j].value = v;
                }
                for (size_t j = 0; j < s->n_ends; j++)
                        n_effects += s->nodes[s->ends[j]].value.kind != TYPE_NIL;
        }
        return (now_nsec() - begin) / BATCH;
}

static void bench_shape(const char *what, Shape *s) {
        static Samples samples;
        size_t n_nodes = 0;
        Running r;

        running_start(&r, s->text.data, VALUE_NIL);
        attach_effects(r.lang->graph);
        for (int i = 0; i < ROUNDS; i++) {
                int64_t value = (int64_t) i * BATCH + 1;
                samples.ours[i] = round_ours(&r, value, s->n_ends, &n_nodes);
                samples.boxed[i] = round_boxed(s, value);
                samples.in_place[i] = round_in_place(s, value);
        }
        double n = (double) n_nodes, n_floor = (double) (s->n - 1 + s->n_ends);
        double ours = (double) median(samples.ours, ROUNDS) / n, boxed = (double) median(samples.boxed, ROUNDS) / n_floor,
               in_place = (double) median(samples.in_place, ROUNDS) / n_floor;
        printf("%-32s %6.1f ns a node   floor %6.1f ns   ratio %5.2f   (in place %5.1f ns; %zu nodes)\n", what, ours, boxed,
               ours / boxed, in_place, n_nodes);
        for (size_t j = 0; j < s->n; j++) {
                box_unref(s->nodes[j].box);
                value_done(&s->nodes[j].value);
        }
        drop_effects(r.lang->graph);
        running_done(&r);
        shape_done(s);
}

static void bench_shapes(void) {
        static const struct { size_t width, depth; } layers[] = { { 5, 5 }, { 10, 10 }, { 20, 25 } };
        Shape chain = {}, fan = {}, ladder = {};

        size_t x = shape_source(&chain);
        for (int i = 0; i < 1000; i++)
                x = shape_add_constant(&chain, x, 1);
        shape_end(&chain, x);
        bench_shape("a chain of 1,000", &chain);

        x = shape_source(&fan);
        for (int i = 0; i < 1000; i++)
                (void) shape_add_constant(&fan, x, i);
        shape_end(&fan, shape_list(&fan, x + 1, 1000));
        bench_shape("a fan of 1 to 1,000 to 1", &fan);

        x = shape_source(&ladder);
        for (int i = 0; i < 500; i++) {
                size_t a = shape_add(&ladder, x, x), b = shape_add_constant(&ladder, x, 2);
                x = shape_add(&ladder, a, b);   /* three times x and a bit: what goes in differs at the end as well */
        }
        shape_end(&ladder, x);
        bench_shape("a ladder of 500 diamonds", &ladder);

        for (size_t i = 0; i < ELEMENTSOF(layers); i++) {
                size_t width = layers[i].width, first;
                Shape s = {};
                char what[96];

                x = shape_source(&s);
                first = shape_add(&s, x, x);
                for (size_t j = 1; j < width; j++)
                        (void) shape_add(&s, x, x);
                for (size_t layer = 1; layer < layers[i].depth; layer++, first += width)
                        for (size_t j = 0; j < width; j++)
                                (void) shape_add(&s, first + j, first + (j + 1) % width);
                for (size_t j = 0; j < width; j++)
                        shape_end(&s, first + j);
                (void) snprintf(what, sizeof(what), "%zu layers of %zu adders", layers[i].depth, width);
                bench_shape(what, &s);
        }
}

/* ---- what did not change ---- */

static uint64_t median_step(Running *r, void (*change)(Running *r, int i), size_t n_puts) {
        static uint64_t samples[ROUNDS];

        for (int i = 0; i < ROUNDS; i++) {
                uint64_t begin = now_nsec();
                change(r, i);
                size_t n = running_step(r);
                samples[i] = now_nsec() - begin;
                if (n != n_puts) {
                        fprintf(stderr, "%zu resources instead of %zu\n", n, n_puts);
                        exit(EXIT_FAILURE);
                }
        }
        return median(samples, ROUNDS);
}

static void count_on(Running *r, int i) {
        running_say(r, r->n_numbers / 2, i + 1);
}

static void bench_sparse(size_t n) {
        StrBuf text = {};
        Running r;
        char what[96];

        strbuf_puts(&text, "import \"local\"\n");
        for (size_t i = 0; i < n; i++)
                strbuf_printf(&text, "count \"x%zu\" {\n\tvalue => local.pool(\"n\", \"%zu\") + 1,\n}\n", i, i);
        running_start(&r, text.data, VALUE_NIL);
        (void) snprintf(what, sizeof(what), "one of %zu sources, until the change set", n);
        printf("%-56s %9.2f us\n", what, (double) median_step(&r, count_on, 1) / 1e3);

        /* The wave alone. */
        static uint64_t samples[ROUNDS];
        for (int i = 0; i < ROUNDS; i++) {
                uint64_t begin = now_nsec();
                for (int k = 0; k < BATCH; k++) {
                        running_say(&r, n / 2, ROUNDS + i * BATCH + k);
                        (void) funcgraph_run(r.lang->graph);
                }
                samples[i] = (now_nsec() - begin) / BATCH;
        }
        (void) snprintf(what, sizeof(what), "one of %zu sources, the wave with its resource", n);
        printf("%-56s %9.2f us\n", what, (double) median(samples, ROUNDS) / 1e3);
        (void) running_step(&r);
        running_done(&r);
        strbuf_done(&text);
}

static Value numbered(size_t n) {
        Value *items = calloc(n + 1, sizeof(Value)), v = VALUE_NIL;

        for (size_t i = 0; i < n; i++)
                (void) value_strf(&items[i], "element %zu", i);
        (void) value_list(&v, items, n);
        free(items);
        return v;
}

/* Lists are made beforehand and freed afterwards: what they cost is the business of whoever makes them. */
static Value grown[ROUNDS];

static void say_grown(Running *r, int i) {
        running_say_list(r, value_ref(grown[i]));
}

/* The list before and one more, which shares its parts; or all anew, as from the wire. */
static Value one_more(Value list, size_t i, bool anew) {
        Value item = VALUE_NIL, longer = VALUE_NIL;
        size_t k = 0;

        (void) value_strf(&item, "another %zu", i);
        if (!anew) {
                (void) value_list_extend(&longer, list, &item, 1);
                return longer;
        }
        Value *items = calloc((size_t) list.l->n + 1, sizeof(Value));
        VALUE_LIST_FOREACH(old, list.l)
                (void) value_str(&items[k++], old->s->data, old->s->size);
        items[k++] = item;
        (void) value_list(&longer, items, k);
        free(items);
        return longer;
}

/* As median_step() of lists that share nothing, which are made one at a time, because they are large. */
static uint64_t growth_anew(Running *r, Value list) {
        enum { FEWER = 31 };
        uint64_t samples[FEWER];
        Value last = value_ref(list);

        for (int i = 0; i < FEWER; i++) {
                Value next = one_more(last, (size_t) i, true);
                uint64_t begin = now_nsec();
                running_say_list(r, value_ref(next));
                if (running_step(r) != 1)
                        exit(EXIT_FAILURE);
                samples[i] = now_nsec() - begin;
                value_done(&last);
                last = next;
        }
        value_done(&last);
        return median(samples, FEWER);
}

static void bench_growth(size_t n, const char *over, const char *named, const char *edge, bool anew) {
        StrBuf text = {};
        Value start = numbered(n), list = value_ref(start);
        Running r;
        char what[96];

        strbuf_printf(&text, "import \"iter\"\nimport \"world\"\n$l = world.schedule(\"l\")\nfor $i, $v in %s {\n"
                             "\tcount \"${v}\" {\n\t\tvalue => $i + 1,\n%s\t}\n}\ncount \"first\" {}\n", over, edge);
        running_start(&r, text.data, start);
        if (!anew)
                for (size_t i = 0; i < ROUNDS; i++)
                        grown[i] = one_more(i > 0 ? grown[i - 1] : list, i, false);
        (void) snprintf(what, sizeof(what), "%s of %zu grows by one, until the change set", named, n);
        printf("%-56s %9.2f us\n", what, (double) (anew ? growth_anew(&r, list) : median_step(&r, say_grown, 1)) / 1e3);
        running_done(&r);
        value_done(&list);
        for (size_t i = 0; i < ROUNDS; i++)
                value_done(&grown[i]);
        strbuf_done(&text);
}

/* An item of a list that stands in the program. */
static void bench_written(size_t n) {
        StrBuf text = {};
        Running r;
        char what[96];

        strbuf_puts(&text, "import \"fmt\"\nimport \"local\"\nfor $i, $v in [");
        for (size_t i = 0; i < n; i++)
                strbuf_printf(&text, "%slocal.pool(\"n\", \"%zu\")", i > 0 ? ", " : "", i);
        strbuf_puts(&text, "] {\n\tcount [fmt.printf(\"%d\", $i)] {\n\t\tvalue => $v,\n\t}\n}\n");
        running_start(&r, text.data, VALUE_NIL);
        (void) snprintf(what, sizeof(what), "one of %zu items that are written down is another", n);
        printf("%-56s %9.2f us\n", what, (double) median_step(&r, count_on, 1) / 1e3);
        running_done(&r);
        strbuf_done(&text);
}

static void flip(Running *r, int i) {
        running_say(r, 0, i % 2 + 1);
}

/* 1,000 nodes come and go beside n others. */
static void bench_flip(size_t n) {
        StrBuf text = {};
        Running r;
        char what[96];

        strbuf_puts(&text, "import \"local\"\n$x = local.pool(\"n\", \"0\")\n$y0 = local.pool(\"n\", \"1\")\n");
        for (size_t i = 0; i < 1000; i++)
                strbuf_printf(&text, "$y%zu = $y%zu + 1\n", i + 1, i);
        for (size_t i = 2; i < n + 2; i++)
                strbuf_printf(&text, "count \"x%zu\" {\n\tvalue => local.pool(\"n\", \"%zu\") + 1,\n}\n", i, i);
        strbuf_puts(&text, "count \"y\" {\n\tvalue => if $x == 1 { $y1000 } else { $x },\n}\n");
        running_start(&r, text.data, VALUE_NIL);
        (void) snprintf(what, sizeof(what), "an if over 1,000 nodes beside %zu others", n);
        printf("%-56s %9.2f us\n", what, (double) median_step(&r, flip, 1) / 1e3);
        running_done(&r);
        strbuf_done(&text);
}

int main(void) {
        bench_shapes();
        for (size_t n = 100; n <= 10000; n *= 10)
                bench_sparse(n);
        for (size_t n = 100; n <= 100000; n *= 10)
                bench_growth(n, "$l", "a list", "", false);
        for (size_t n = 100; n <= 100000; n *= 10)
                bench_growth(n, "iter.map($l, func($x) { $x + \"!\" })", "a mapped list", "", false);
        for (size_t n = 100; n <= 100000; n *= 10)
                bench_growth(n, "$l", "a list made anew", "", true);
        for (size_t n = 100; n <= 100000; n *= 10)
                bench_growth(n, "$l", "a list with edges", "\t\tDepend => Count[\"first\"],\n", false);
        for (size_t n = 100; n <= 10000; n *= 10)
                bench_written(n);
        for (size_t n = 100; n <= 10000; n *= 10)
                bench_flip(n);
        return 0;
}
