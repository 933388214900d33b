/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Waves: what changes when something changes, and what does not. math.fortytwo() stands for something that changes: it is asked
 * once, and the test puts other values in its place. */

#include "lang/builtins.h"
#include "lang/funcgraph.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

typedef struct Running {
        Lang *lang;
        Node *source;
        ChangeSet changes;
        Diag error;
        uint64_t n_runs;        /* of the last step */
} Running;

static void running_done(Running *r) {
        lang_free(r->lang);
        change_set_done(&r->changes);
        diag_done(&r->error);
}

/* Starts a program in which $n is 42 and will be something else later. */
static bool start(Running *r, const char *text) {
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_free_ char *all = NULL;

        if (asprintf(&all, "import \"fmt\"\nimport \"iter\"\nimport \"math\"\n$n = math.fortytwo()\n%s", text) < 0)
                return false;
        if (mock_compile_text(&r->lang, all, NULL, &errors) < 0) {
                TEST_FAIL("%s", errors.n > 0 ? errors.items[0].message : "no error");
                return false;
        }
        if (lang_start(r->lang, &r->changes, &r->error) < 0) {
                TEST_FAIL("%s", r->error.message);
                return false;
        }
        for (Node *n = r->lang->graph->nodes; n; n = n->next)
                if (streq(n->type->name, "builtin") && n->n_in == 0)
                        r->source = n;
        CHECK(r->source);
        return r->source;
}

/* $n becomes this; what lang_step() returns. */
static int step(Running *r, int64_t n) {
        uint64_t before = r->lang->graph->n_runs;

        change_set_done(&r->changes);
        diag_done(&r->error);
        node_set(r->lang->graph, r->source, VALUE_INT(n));
        int k = lang_step(r->lang, &r->changes, &r->error);
        r->n_runs = r->lang->graph->n_runs - before;
        return k;
}

#define CHECK_CHANGES(r, put, removed, edges, cut) \
        do { \
                CHECK_INT((r)->changes.n_put, put); \
                CHECK_INT((r)->changes.n_removed, removed); \
                CHECK_INT((r)->changes.n_edges, edges); \
                CHECK_INT((r)->changes.n_cut, cut); \
        } while (0)

static bool puts_name(const Running *r, const char *name) {
        for (size_t i = 0; i < r->changes.n_put; i++)
                if (streq(r->changes.put[i].name, name))
                        return true;
        return false;
}

TEST(one_change_changes_one_resource) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "test \"a\" {\n\tint64 => $n + 1,\n}\ntest \"b\" {}\nTest[\"a\"] -> Test[\"b\"]\n"));
        CHECK_CHANGES(&r, 2, 0, 1, 0);
        CHECK(r.changes.full);
        CHECK_INT(step(&r, 7), 0);
        CHECK(!r.changes.full);
        CHECK_CHANGES(&r, 1, 0, 0, 0);
        CHECK_INT(r.changes.put[0].fields[0].value.i, 8);
        CHECK_INT(r.n_runs, 2);         /* the operator and the statement */
        CHECK_INT(step(&r, 7), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
        CHECK_INT(r.n_runs, 0);
}

TEST(an_equal_value_ends_the_wave) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$big = $n > 10\ntest [fmt.printf(\"%t\", $big)] {}\n"));
        CHECK_INT(step(&r, 43), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
        CHECK_INT(r.n_runs, 1);         /* the comparison alone */
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 1, 1, 0, 0);
}

TEST(a_diamond_has_no_glitch) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$a = $n + 1\n$b = $a + 1\n$c = $n + $b\n$d = $c - $n\ntest \"x\" {\n\tint64 => $d,\n}\n"));
        CHECK_INT(r.changes.put[0].fields[0].value.i, 44);
        CHECK_INT(step(&r, 10), 0);
        CHECK_INT(r.n_runs, 5);         /* each node once */
        CHECK_INT(r.changes.put[0].fields[0].value.i, 12);
}

TEST(only_the_taken_branch_exists) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = [1, 2, 3]\nif $n > 10 {\n\ttest \"big\" {}\n} else {\n\ttest \"small\" {\n\t\tint64 => $l[$n],\n\t}\n}\n"
                          "$s = if $n > 10 { \"a\" } else { fmt.printf(\"%d\", $l[$n]) }\nprint [$s] {}\n"));
        size_t n_nodes = r.lang->graph->n_nodes;
        CHECK_CHANGES(&r, 2, 0, 0, 0);
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 2, 2, 0, 0);
        CHECK_INT(step(&r, 2), 0);
        CHECK_CHANGES(&r, 2, 1, 0, 0);
        CHECK_INT(step(&r, 50), 0);
        CHECK_CHANGES(&r, 2, 2, 0, 0);
        CHECK_INT(r.lang->graph->n_nodes, n_nodes);
}

TEST(a_longer_list_builds_one_element) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "for $i, $v in iter.range($n) {\n\t$name = fmt.printf(\"%d\", $v * 2)\n\ttest [$name] {}\n"
                          "\tprint [$name] {}\n\tTest[[$name]] -> Print[[$name]]\n}\n"));
        CHECK_CHANGES(&r, 84, 0, 42, 0);
        size_t n_nodes = r.lang->graph->n_nodes;
        CHECK_INT(step(&r, 43), 0);
        CHECK_CHANGES(&r, 2, 0, 1, 0);
        CHECK(r.n_runs < 60);           /* the elements that were there before are looked at, their bodies are not */
        CHECK_INT(step(&r, 41), 0);
        CHECK_CHANGES(&r, 0, 4, 0, 2);
        CHECK_INT(step(&r, 0), 0);
        CHECK_CHANGES(&r, 0, 82, 0, 41);
        CHECK_INT(step(&r, 42), 0);
        CHECK_CHANGES(&r, 84, 0, 42, 0);
        CHECK_INT(r.lang->graph->n_nodes, n_nodes);
}

TEST(elements_that_stay_are_not_visited) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = iter.map(iter.range(1000), func($x) { if $x == 500 { $n } else { $x } })\n"
                          "for $i, $v in $l {\n\ttest [fmt.printf(\"%d\", $i)] {\n\t\tint64 => $v,\n\t}\n}\n"));
        CHECK_CHANGES(&r, 1000, 0, 0, 0);
        CHECK_INT(step(&r, 7), 0);
        CHECK_CHANGES(&r, 1, 0, 0, 0);
        CHECK(r.n_runs < 20);
}

TEST(elements_of_lists_that_shrink_and_grow_are_right) {
        _cleanup_(running_done) Running r = {};

        /* The function fails for some lengths, so that the elements stay for a while where the list has none. */
        REQUIRE(start(&r, "$l = iter.map(iter.range($n), func($x) { $x + $n })\n$k = [1, 2, 3]\n"
                          "$f = if $k[math.mod($n, 4)] > 0 { func($x) { $x * 2 } } else { func($x) { $x } }\n"
                          "$out = iter.map($l, $f)\ntest \"x\" {\n\tint64 => $out[len($out) - 1],\n\tint32 => len($out),\n}\n"));
        for (int64_t i = 0, n = 5; i < 200; i++, n = 1 + (n * 7 + i) % 13) {
                int k = step(&r, n);
                if (n % 4 == 3) {
                        CHECK(k < 0);
                        continue;
                }
                CHECK_INT(k, 0);
                if (r.changes.n_put > 0) {
                        CHECK_INT(r.changes.put[0].fields[0].value.i, 2 * (n - 1 + n));
                        CHECK_INT(r.changes.put[0].fields[1].value.i, n);
                }
        }
}

TEST(a_reduction_follows_its_elements_after_it_was_built_anew) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = iter.map(iter.range(1 + math.mod($n, 3)), func($x) { $x + $n })\n"
                          "$sum = iter.reduce($l, func($a, $b) { $a + $b })\ntest \"x\" {\n\tint64 => $sum,\n}\n"));
        for (int64_t n = 0; n < 40; n += n % 2 == 0 ? 3 : 1) {
                int64_t length = 1 + n % 3;
                CHECK_INT(step(&r, n), 0);
                REQUIRE(r.changes.n_put == 1);
                CHECK_INT(r.changes.put[0].fields[0].value.i, length * n + length * (length - 1) / 2);
        }
}

TEST(a_map_keeps_the_bodies_of_its_keys) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$m = if $n == 42 { {\"a\" => 1, \"c\" => 3} } else { {\"a\" => $n, \"b\" => 2} }\n"
                          "forkv $k, $v in $m {\n\ttest \"${k}\" {\n\t\tint64 => $v,\n\t}\n}\n"));
        CHECK_CHANGES(&r, 2, 0, 0, 0);
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 1, 1, 0, 0);  /* a is as it was, c goes, b comes */
        CHECK_INT(step(&r, 9), 0);
        CHECK_CHANGES(&r, 1, 0, 0, 0);
}

TEST(values_follow_their_keys_when_others_take_their_places) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$m = if $n == 42 { {"
                          "\"a\" => 1, \"b\" => 2} } else { {\"b\" => 1, \"c\" => 2} }\n"
                          "forkv $k, $v in $m {\n\ttest \"${k}\" {\n\t\tint64 => $v,\n\t}\n}\n"));
        CHECK_CHANGES(&r, 2, 0, 0, 0);
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 2, 1, 0, 0);  /* b is another, c comes, a goes */
}

TEST(what_failed_recovers) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = [\"zero\", \"one\"]\n$s = $l[$n] <|> \"none\"\ntest [$s] {}\n"));
        CHECK_STR(r.changes.put[0].name, "none");
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 1, 1, 0, 0);
        CHECK_STR(r.changes.put[0].name, "one");
        CHECK_INT(step(&r, 5), 0);
        CHECK_STR(r.changes.put[0].name, "none");
        CHECK_INT(step(&r, 6), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
}

TEST(an_error_leaves_the_last_graph_in_force) {
        _cleanup_(running_done) Running r = {};
        _cleanup_(change_set_done) ChangeSet snapshot = {};

        REQUIRE(start(&r, "$l = iter.range(50)\ntest \"a\" {\n\tint64 => $l[$n],\n}\nprint [fmt.printf(\"%d\", $n)] {}\n"));
        CHECK_CHANGES(&r, 2, 0, 0, 0);
        CHECK(step(&r, 99) < 0);
        CHECK_INT(r.error.pos.line, 7);
        CHECK(startswith(r.error.message, "list index not present, got: 99"));
        CHECK_INT(lang_snapshot(r.lang, &snapshot), 0);
        CHECK_INT(snapshot.n_put, 2);
        CHECK_STR(snapshot.put[1].name, "42");
        CHECK(step(&r, 98) < 0);
        CHECK_INT(step(&r, 41), 0);     /* the difference is to what was in force */
        CHECK_CHANGES(&r, 2, 1, 0, 0);
        CHECK_STR(r.changes.removed[0].name, "42");
}

TEST(contradictions_wait_until_they_are_gone) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "test \"a\" {\n\tint64 => 42,\n}\ntest \"a\" {\n\tint64 => $n,\n}\n"));
        CHECK_CHANGES(&r, 1, 0, 0, 0);
        CHECK(step(&r, 1) < 0);
        CHECK_INT(r.error.pos.line, 8);
        CHECK_INT(step(&r, 42), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
}

TEST(an_edge_to_nothing_is_refused_later_as_well) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "test \"a\" {}\nif $n == 42 {\n\tprint \"b\" {}\n}\nTest[\"a\"] -> Print[\"b\"]\n"));
        CHECK_CHANGES(&r, 2, 0, 1, 0);
        CHECK(step(&r, 1) < 0);
        CHECK_STR(r.error.message, "edge cannot find resource kind: print named: `b`");
        CHECK_INT(step(&r, 42), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
}

TEST(a_cycle_is_refused_when_it_appears) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "test [\"a\", \"b\"] {}\nTest[\"a\"] -> Test[\"b\"]\nif $n != 42 {\n\tTest[\"b\"] -> Test[\"a\"]\n}\n"));
        CHECK(step(&r, 1) < 0);
        CHECK_STR(r.error.message, "resource graph has cycles: not a dag");
        CHECK_INT(step(&r, 42), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
}

TEST(function_values_change) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$f = if $n > 10 { func($x) { $x + \"!\" } } else { func($x) { $x + \"?\" } }\n"
                          "$g = func($x) { fmt.printf(\"%s%d\", $x, $n) }\n$out = iter.map([\"a\", \"b\"], $f)\ntest $out {}\n"
                          "print [$f($g(\"c\"))] {}\n"));
        CHECK_CHANGES(&r, 3, 0, 0, 0);
        CHECK(puts_name(&r, "a!") && puts_name(&r, "b!") && puts_name(&r, "c42!"));
        size_t n_nodes = r.lang->graph->n_nodes;
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 3, 3, 0, 0);
        CHECK_INT(step(&r, 2), 0);
        CHECK_CHANGES(&r, 1, 1, 0, 0);
        CHECK_INT(step(&r, 42), 0);
        CHECK_INT(r.lang->graph->n_nodes, n_nodes);
}

TEST(lists_of_any_length_go_through_iter) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = iter.range(1, $n)\n$sum = iter.reduce(0, $l, func($a, $b) { $a + $b })\n"
                          "$odd = iter.filter($l, func($x) { math.mod($x, 2) == 1 })\n"
                          "$z = iter.zip($l, [\"a\", \"b\"], func($x, $y) { fmt.printf(\"%d%s\", $x, $y) })\n"
                          "test \"x\" {\n\tint64 => $sum,\n\tint32 => len($odd),\n\tslicestring => $z,\n}\n"));
        static const struct { int64_t n, sum, odd, zip; } cases[] = {
                { 4, 6, 2, 2 }, { 2, 1, 1, 1 }, { 1, 0, 0, 0 }, { 101, 5050, 50, 2 }, { 11, 55, 5, 2 },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(step(&r, cases[i].n), 0);
                REQUIRE(r.changes.n_put == 1);
                CHECK_INT(r.changes.put[0].fields[0].value.i, cases[i].sum);
                CHECK_INT(r.changes.put[0].fields[1].value.i, cases[i].odd);
                CHECK_INT(r.changes.put[0].fields[2].value.l->n, cases[i].zip);
        }
}

/* What a program says of a list of 0 to $n - 1: its length and sum after it went through iter.map. */
TEST(mapped_lists_follow_their_length) {
        _cleanup_(running_done) Running r = {};
        static const int64_t lengths[] = { 42, 0, 1, 32, 33, 31, 64, 65, 1024, 1025, 1024, 1023, 1056, 1057, 2100, 33, 0, 5, 3000, 1 };

        REQUIRE(start(&r, "$m = iter.map(iter.range($n), func($x) { $x * 2 })\n"
                          "test \"x\" {\n\tint64 => iter.reduce(0, $m, func($a, $b) { $a + $b }),\n\tint32 => len($m),\n}\n"));
        for (size_t i = 1; i < ELEMENTSOF(lengths); i++) {
                int64_t n = lengths[i];
                REQUIRE(step(&r, n) == 0 && (r.changes.n_put == 1 || (lengths[i - 1] < 2 && n < 2)));
                if (r.changes.n_put == 1) {
                        CHECK_INT(r.changes.put[0].fields[0].value.i, n * (n - 1));
                        CHECK_INT(r.changes.put[0].fields[1].value.i, n);
                }
        }
}

TEST(a_mapped_list_costs_what_changed) {
        _cleanup_(running_done) Running r = {};
        uint64_t n_runs[2];

        REQUIRE(start(&r, "$m = iter.map(iter.range($n), func($x) { $x * 2 })\nfor $i, $v in $m {\n\ttest [fmt.printf(\"%d\", $v)] {}\n}\n"));
        for (int i = 0; i < 2; i++) {
                int64_t n = i == 0 ? 100 : 10 * 1000;
                CHECK_INT(step(&r, n), 0);
                CHECK_INT(step(&r, n + 1), 0);
                CHECK_CHANGES(&r, 1, 0, 0, 0);
                n_runs[i] = r.n_runs;
        }
        CHECK(n_runs[1] <= n_runs[0] + 2);      /* one for each height more */
}

/* The 500th of 1000 numbers is another now; those that five divides are left out. */
static void check_filtered(Running *r, int64_t other) {
        uint32_t n = 0;

        if (step(r, other) < 0 || r->changes.n_put != 1) {
                TEST_FAIL("%d: %s", (int) other, r->error.message ?: "no change");
                return;
        }
        Value kept = r->changes.put[0].fields[0].value;
        for (int64_t i = 0; i < 1000; i++) {
                int64_t x = i == 500 ? other : i;
                if (x % 5 == 0)
                        continue;
                if (n >= kept.l->n || value_list_at(kept.l, n).i != x)
                        TEST_FAIL("%d: item %u is wrong", (int) other, n);
                n++;
        }
        CHECK_INT(kept.l->n, n);
}

TEST(a_filtered_list_costs_what_changed) {
        static const int64_t others[] = { 1, 2, 5, 3, 3000, 7, 8, 10, 1001 };
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$l = iter.map(iter.range(1000), func($x) { if $x == 500 { $n } else { $x } })\n"
                          "test \"x\" {\n\tinterface => iter.filter($l, func($x) { math.mod($x, 5) != 0 }),\n}\n"));
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                if (others[i] == 10) {          /* as it was */
                        CHECK_INT(step(&r, 5), 0);
                        continue;
                }
                check_filtered(&r, others[i]);
                CHECK(r.n_runs < 40);
        }
}

/* What is said of 1100 fails. */
TEST(filtered_lists_follow_their_length_and_their_failures) {
        static const int64_t lengths[] = { 0, 1, 7, 93, 96, 97, 1101, 1100, 64, 1200, 1000, 65, 0, 1500, 40, 3072, 1025 };
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$kept = iter.filter(iter.range($n), func($x) { if $x == 1100 { [1][$n] == 0 } else { math.mod($x, 3) == 1 } })\n"
                          "test [fmt.printf(\"%d\", $n)] {\n\tinterface => $kept <|> [-1],\n}\n"));
        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                int64_t n = lengths[i];

                REQUIRE(step(&r, n) == 0 && r.changes.n_put == 1);
                Value kept = r.changes.put[0].fields[0].value;
                CHECK_INT(kept.l->n, n > 1100 ? 1 : (n + 1) / 3);
                for (uint32_t k = 0; k < kept.l->n; k++)
                        if (value_list_at(kept.l, k).i != (n > 1100 ? -1 : 1 + 3 * (int64_t) k))
                                TEST_FAIL("%d: item %u is wrong", (int) n, k);
        }
}

/* One of many items of a list that is written down becomes another. */
TEST(written_lists_of_any_length_follow_their_items) {
        static const size_t lengths[] = { 1, 31, 32, 33, 64, 65, 1024, 1025, 2000 };

        for (size_t i = 0; i < ELEMENTSOF(lengths); i++)
                for (size_t at = 0; at < lengths[i]; at += lengths[i] / 5 + 1) {
                        _cleanup_(running_done) Running r = {};
                        StrBuf text = {};
                        strbuf_puts(&text, "$l = [");
                        for (size_t k = 0; k < lengths[i]; k++)
                                if (k == at)
                                        strbuf_puts(&text, k > 0 ? ", $n" : "$n");
                                else
                                        strbuf_printf(&text, "%s%zu", k > 0 ? ", " : "", k);
                        strbuf_puts(&text, "]\n$sum = iter.reduce(0, $l, func($a, $b) { $a + $b })\n"
                                           "test \"x\" {\n\tint64 => $sum,\n\tint32 => len($l),\n}\n"
                                           "for $i, $v in $l {\n\tprint [fmt.printf(\"%d\", $i)] {\n\t\tmsg => fmt.printf(\"%d\", $v),\n\t}\n}\n");
                        bool started = start(&r, text.data);
                        strbuf_done(&text);
                        REQUIRE(started);
                        CHECK_INT(r.changes.n_put, lengths[i] + 1);
                        int64_t others = (int64_t) (lengths[i] * (lengths[i] - 1) / 2 - at);
                        CHECK_INT(step(&r, -7), 0);
                        CHECK_CHANGES(&r, 2, 0, 0, 0);
                        for (size_t k = 0; k < r.changes.n_put; k++)
                                if (streq(r.changes.put[k].kind, "test")) {
                                        CHECK_INT(r.changes.put[k].fields[0].value.i, others - 7);
                                        CHECK_INT(r.changes.put[k].fields[1].value.i, (int64_t) lengths[i]);
                                }
                }
}

TEST(one_name_more_is_one_resource_more) {
        _cleanup_(running_done) Running r = {};
        static const struct { int64_t n; size_t put, removed, edges, cut; } steps[] = {
                { 43, 1, 0, 1, 0 }, { 40, 0, 3, 0, 3 }, { 10, 0, 30, 0, 30 }, { 9, 0, 1, 0, 1 },
                { 8, 0, 1, 0, 1 },      /* few */
                { 7, 0, 1, 0, 1 }, { 9, 2, 0, 2, 0 }, { 100, 91, 0, 91, 0 }, { 0, 0, 100, 0, 100 }, { 1, 1, 0, 1, 0 },
        };

        REQUIRE(start(&r, "test iter.map(iter.range($n), func($x) { fmt.printf(\"n%d\", $x) }) {\n\tDepend => Print[\"first\"],\n}\nprint \"first\" {}\n"));
        CHECK_CHANGES(&r, 43, 0, 42, 0);
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                CHECK_INT(step(&r, steps[i].n), 0);
                CHECK_CHANGES(&r, steps[i].put, steps[i].removed, steps[i].edges, steps[i].cut);
        }
}

TEST(names_that_stand_in_a_list_more_than_once_stay_until_the_last) {
        _cleanup_(running_done) Running r = {};

        /* n0 to n9, again and again. */
        REQUIRE(start(&r, "$names = iter.map(iter.range($n), func($x) { fmt.printf(\"n%d\", math.mod($x, 10)) })\n"
                          "test $names {\n\tint64 => if $n > 60 { 1 } else { 0 },\n}\n"));
        CHECK_CHANGES(&r, 10, 0, 0, 0);
        CHECK_INT(step(&r, 15), 0);
        CHECK_CHANGES(&r, 0, 0, 0, 0);
        CHECK_INT(step(&r, 9), 0);
        CHECK_CHANGES(&r, 0, 1, 0, 0);
        CHECK_INT(step(&r, 3), 0);
        CHECK_CHANGES(&r, 0, 6, 0, 0);
        CHECK_INT(step(&r, 23), 0);
        CHECK_CHANGES(&r, 7, 0, 0, 0);
        CHECK_INT(step(&r, 61), 0);     /* all of them are others now */
        CHECK_CHANGES(&r, 10, 0, 0, 0);
        CHECK_INT(step(&r, 0), 0);
        CHECK_CHANGES(&r, 0, 10, 0, 0);
}

TEST(many_names_of_which_one_cannot_be_leave_what_was) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$names = iter.map(iter.range($n), func($x) { if $x == 50 { \"\" } else { fmt.printf(\"n%d\", $x) } })\n"
                          "test $names {\n\tint8 => if $n == 30 { 1000 } else { 1 },\n}\n"));
        CHECK_CHANGES(&r, 42, 0, 0, 0);
        CHECK(step(&r, 60) < 0);
        CHECK(r.error.message && strstr(r.error.message, "resource name is empty"));
        CHECK_INT(step(&r, 44), 0);
        CHECK_CHANGES(&r, 2, 0, 0, 0);
        CHECK(step(&r, 30) < 0);
        CHECK(r.error.message && strstr(r.error.message, "overflow"));
        CHECK_INT(step(&r, 43), 0);
        CHECK_CHANGES(&r, 0, 1, 0, 0);
}

/* Each of them holds the one before. That they go must not take a stack that is as deep. */
TEST(functions_that_hold_each_other_are_let_go) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "$f = iter.reduce(iter.map(iter.range(1, $n), func($i) { func($x) { $x + $i } }), "
                          "func($f, $g) { func($x) { $g($f($x)) } })\n"
                          "test \"x\" {\n\tint64 => len([$f]) + $n,\n}\n"));
        CHECK_INT(step(&r, 100 * 1000), 0);
        CHECK_INT(r.changes.put[0].fields[0].value.i, 100 * 1000 + 1);
        CHECK_INT(step(&r, 3), 0);
        CHECK_INT(r.changes.put[0].fields[0].value.i, 4);
        CHECK_INT(step(&r, 100 * 1000), 0);     /* and at the end of the program */
}

/* A node for each of the elements of a loop, and more for their bodies. */
TEST(what_grows_too_large_leaves_what_was) {
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, "for $i, $v in iter.range($n) {\n\ttest [fmt.printf(\"%d\", $v)] {}\n}\n"));
        FuncGraph *g = r.lang->graph;

        g->max_nodes = g->n_nodes + 1000;
        CHECK(step(&r, 10000) < 0);
        CHECK_STR(r.error.message, "the program is too large: its calls and loops multiply");
        CHECK(r.error.pos.line >= 5 && r.error.pos.line <= 7);
        CHECK_INT(step(&r, 43), 0);
        CHECK_CHANGES(&r, 1, 0, 0, 0);

        g->max_nodes = NODES_MAX;
        g->max_made = 1000;
        CHECK(step(&r, 10000) < 0);
        g->max_made = NODES_MADE_MAX;
        CHECK_INT(step(&r, 41), 0);
        CHECK_CHANGES(&r, 0, 2, 0, 0);
        CHECK_INT(step(&r, 10000), 0);
        CHECK_INT(r.changes.n_put, 9959);
}

/* They are computed while the program is built, and leave nothing behind in its queue. */
TEST(calls_that_multiply_are_gone_when_they_are_computed) {
        _cleanup_(running_done) Running r = {};
        _cleanup_free_ char *text = strdup("$f0 = func($x) { $x + 1 }\n");

        for (int i = 1; i <= 16 && text; i++) {
                char *longer = NULL;
                if (asprintf(&longer, "%s$f%d = func($x) { $f%d($f%d($x)) }\n", text, i, i - 1, i - 1) < 0)
                        longer = NULL;
                free(text);
                text = longer;
        }
        REQUIRE(text);
        _cleanup_free_ char *all = NULL;
        REQUIRE(asprintf(&all, "%stest \"x\" {\n\tint64 => $n + $f16(0),\n}\n", text) > 0);
        REQUIRE(start(&r, all));
        CHECK_INT(r.changes.put[0].fields[0].value.i, 42 + 65536);
        CHECK(r.lang->graph->n_nodes < 100);
        CHECK_INT(r.lang->graph->n_dead, 0);
}

TEST(nothing_is_left_when_a_program_ends) {
        static const char text[] = "$x = fmt.printf(\"%d\", $n)\nclass c($p) {\n\t$q = $p + \"q\"\n\ttest [$q] {}\n}\n"
                                   "include c($x) as one\nprint [$one.q] {}\nfor $i, $v in [$x, \"y\"] {\n\tinclude c($v + \"z\")\n}\n";
        _cleanup_(running_done) Running r = {};

        REQUIRE(start(&r, text));
        CHECK_CHANGES(&r, 4, 0, 0, 0);
        CHECK_INT(step(&r, 1), 0);
        CHECK_CHANGES(&r, 3, 3, 0, 0);
        /* The rest is the business of the leak checker. */
}

TEST_MAIN()
