/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The n-th allocation fails, for n = 1, 2, 3, … until a program compiles and runs: it must say so each time, and leave nothing
 * behind. */

#include "lang/funcgraph.h"
#include "tests/common/alloc.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

static const MockFile *files;

static int zone_open(Source *s, Diag *reterr) {
        source_set(s, VALUE_INT(0));
        return 0;
}

static int home_open(Source *s, Diag *reterr) {
        Value v = VALUE_NIL;
        int r = value_strf(&v, "/%s/", value_cstr(s->args[0]));

        if (r >= 0)
                source_set(s, v);
        return r;
}

static const SourceType *find_source(void *userdata, const char *function) {
        static const SourceType types[] = {
                { .name = "datetime._zone", .size = sizeof(Source), .open = zone_open },
                { .name = "os.home", .size = sizeof(Source), .open = home_open },
                {}
        };

        return source_type_find(types, function);
}

static int compile(Lang **ret, Diags *reterr) {
        static SourceHost sources;
        LangHost host = mock_host(files);
        const LangOptions options = { .entry = "/main.mcl" };

        host.source = find_source;
        host.source_host = &sources;
        return lang_compile(ret, &host, &options, reterr);
}

/* 0 if all went well and the result is what it should be, -ENOMEM if something was refused. Everything is freed. */
static int run_once(void) {
        _cleanup_(lang_freep) Lang *l = NULL;
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet first = {}, second = {}, snapshot = {};
        int r;

        r = compile(&l, &errors);
        if (r < 0)
                return r;
        r = lang_start(l, &first, &error);
        if (r < 0)
                return r;
        for (Node *n = l->graph->nodes; n; n = n->next)
                if (streq(n->type->name, "builtin") && n->n_in == 0)
                        node_set(l->graph, n, VALUE_INT(3));
        r = lang_step(l, &second, &error);
        if (r < 0)
                return r;
        return lang_snapshot(l, &snapshot);
}

static void exhaust(const MockFile *program, unsigned at_least) {
        uint64_t n;
        int r;

        files = program;
        r = run_once();
        CHECK_INT(r, 0);
        REQUIRE(r == 0);
        for (n = 1;; n++) {
                size_t before = alloc_bytes();
                alloc_fail_at(n);
                r = run_once();
                bool failed = alloc_failed();
                if (alloc_bytes() != before)
                        TEST_FAIL("%zu bytes were lost with allocation %" PRIu64, alloc_bytes() - before, n);
                if (!failed)
                        break;
                /* Messages can be lost, but not the fact. */
                if (r > 0)
                        TEST_FAIL("allocation %" PRIu64 " failed and it returned %d", n, r);
                if (n > 100000) {
                        TEST_FAIL("does not end");
                        return;
                }
        }
        CHECK_INT(r, 0);
        CHECK(n > at_least);
}

TEST(resources_and_edges) {
        static const MockFile program[] = {
                { "/main.mcl", "$who = \"world\"\nfile \"/tmp/x\" {\n\tcontent => \"hello ${who}\\n\",\n\tMeta:retry => 3,\n"
                               "\tMeta:sema => [\"a\", \"b:2\"],\n\tNotify => Print[\"p\"],\n}\nprint \"p\" {}\ntest [\"a\", \"b\"] {}\n"
                               "Test[\"a\"].hello -> Print[\"p\"].msg\nTest[\"a\"] -> Test[\"b\"]\n" },
                {}
        };
        exhaust(program, 50);
}

/* Whatever allocation fails in one step: the next one has what would have come of it. */
static void check_next_step(Lang *l, uint64_t n, bool *ret_failed) {
        _cleanup_(change_set_done) ChangeSet changes = {}, later = {}, snapshot = {};
        _cleanup_(diag_done) Diag error = {};

        for (Node *node = l->graph->nodes; node; node = node->next)
                if (streq(node->type->name, "builtin") && node->n_in == 0)
                        node_set(l->graph, node, VALUE_INT(3));
        alloc_fail_at(n);
        int r = lang_step(l, &changes, &error);
        *ret_failed = alloc_failed();
        alloc_fail_at(0);
        if ((r < 0 && lang_step(l, &later, NULL) < 0) || lang_snapshot(l, &snapshot) < 0 || snapshot.n_put != 1) {
                TEST_FAIL("allocation %" PRIu64 ": no graph", n);
                return;
        }
        _cleanup_free_ char *text = value_text(snapshot.put[0].fields[0].value);
        CHECK_STR(text ?: "", "[1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19, 23, 24, 26, 27, 28, 29, 31, 32, 33, 34, 36, 37, "
                              "38, 39, 41, 42]");
}

TEST(a_filter_is_right_after_it_had_no_memory) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"iter\"\nimport \"math\"\n$n = math.fortytwo()\n"
                               "$l = iter.map(iter.range(40), func($x) { if $x < 20 { $x } else { $x + $n } })\n"
                               "test \"x\" {\n\tinterface => iter.filter($l, func($x) { math.mod($x, 5) != 0 }),\n}\n" },
                {}
        };
        bool failed = true;

        files = program;
        for (uint64_t n = 1; failed; n++) {
                _cleanup_(lang_freep) Lang *l = NULL;
                _cleanup_(change_set_done) ChangeSet first = {};

                REQUIRE(compile(&l, &(Diags) {}) == 0 && lang_start(l, &first, NULL) == 0);
                check_next_step(l, n, &failed);
        }
        exhaust(program, 300);
}

TEST(twins) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"math\"\n$n = math.fortytwo()\ntest \"x\" {}\nfor $i, $v in [\"a\", \"b\"] {\n"
                               "\ttest \"x\" {\n\t\tint64 => $n,\n\t\tMeta:hidden => true,\n\t\tMeta:export => [$v],\n\t}\n}\n"
                               "if $n > 10 {\n\ttest \"x\" {\n\t\tMeta:hidden => true,\n\t}\n}\n" },
                {}
        };
        exhaust(program, 50);
}

TEST(errors_of_each_stage) {
        static const char *const texts[] = {
                "file \"/tmp/x\" {\n\tcontent => \"a\"\n}\n",
                "$x = {\"a\" => 1, \"a\" => 2}\n",
                "test \"${a b}\" {}\n",
                "$a = $b\n$b = $a\nimport \"nothing\"\n",
                "test \"x\" {\n\tanotherstrr => 1,\n}\n",
                "test \"x\" {\n\tanotherstr => 1,\n}\n",
                "test \"x\" {\n\tint8 => 300,\n}\n",
                "test \"x\" {}\nTest[\"x\"] -> Test[\"y\"]\n",
                "test \"x\" {\n\tMeta:export => [\"h\"],\n}\ntest \"x\" {\n\tMeta:export => [\"h\"],\n\tMeta:hidden => true,\n}\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                for (uint64_t n = 1; n < 100000; n++) {
                        const MockFile program[] = { { "/main.mcl", texts[i] }, {} };
                        size_t before = alloc_bytes();
                        files = program;
                        alloc_fail_at(n);
                        int r = run_once();
                        bool failed = alloc_failed();
                        if (r >= 0)
                                TEST_FAIL("program %zu, allocation %" PRIu64 ": no error", i, n);
                        if (alloc_bytes() != before)
                                TEST_FAIL("program %zu, allocation %" PRIu64 ": %zu bytes were lost", i, n, alloc_bytes() - before);
                        if (!failed)
                                break;
                }
}

TEST(functions_classes_and_imports) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"fmt\"\nimport \"math\"\nimport \"lib.mcl\" as lib\nimport \"dir/\"\n"
                               "$n = math.fortytwo()\nclass c($a, $b str) {\n\t$q = fmt.printf(\"%s%d\", $b, $a)\n\ttest [$q] {}\n}\n"
                               "include c($n, \"x\") as one\ninclude lib.thing(lib.twice($n))\nprint [$one.q + $dir.z] {}\n"
                               "func f($x) { $x }\n$l = [f(1), f(2)]\n$m = {\"a\" => f(\"b\")}\n$s = struct{a => $l, b => $m}\n"
                               "test \"s\" {\n\tint64 => $s->a[1],\n\tanotherstr => $s->nope <|> \"d\",\n}\n" },
                { "/lib.mcl", "func twice($x) { $x + $x }\nclass thing($v) {\n\tprint \"thing\" {}\n}\n" },
                { "/dir/metadata.yaml", "main: \"m.mcl\"\n" },
                { "/dir/m.mcl", "$z = \"z\"\n" },
                {}
        };
        exhaust(program, 100);
}

TEST(what_changes_shape) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"fmt\"\nimport \"math\"\nimport \"iter\"\n$n = math.fortytwo()\n"
                               "if $n > 10 {\n\ttest \"big\" {}\n} else {\n\tprint \"small\" {}\n}\n"
                               "for $i, $v in iter.range($n) {\n\t$name = fmt.printf(\"%d\", $v)\n\ttest [$name] {}\n}\n"
                               "forkv $k, $v in {\"a\" => $n, \"b\" => 2} {\n\tprint \"${k}\" {}\n}\n" },
                {}
        };
        exhaust(program, 100);
}

TEST(function_values_and_iter) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"fmt\"\nimport \"math\"\nimport \"iter\"\n$n = math.fortytwo()\n"
                               "$f = if $n > 10 { func($x) { $x + \"!\" } } else { func($x) { $x + \"?\" } }\n"
                               "$out = iter.map([\"a\", \"b\"], $f)\ntest $out {}\n$l = [\"zero\", \"one\"]\n"
                               "$s = $l[$n] <|> \"none\"\nprint [$s] {}\n"
                               "$sum = iter.reduce(iter.range(1, $n), func($a, $b) { $a + $b })\ntest \"sum\" {\n\tint64 => $sum,\n}\n" },
                {}
        };
        exhaust(program, 100);
}

TEST(long_lists_and_edges) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"fmt\"\nimport \"iter\"\nimport \"math\"\n$n = math.fortytwo()\n"
                               "$l = [$n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, "
                               "30, 31, 32, 33, 34]\n"
                               "$m = iter.map(iter.range($n), func($x) { fmt.printf(\"%d\", $x + $l[0]) })\n"
                               "for $i, $v in $m {\n\ttest \"${v}\" {\n\t\tBefore => Print[\"last\"],\n\t\tDepend => Print[\"first\"],\n\t}\n}\n"
                               "print [\"first\", \"last\"] {}\nprint $m {\n\tDepend => Print[\"first\"],\n}\n" },
                {}
        };

        exhaust(program, 300);
}

TEST(what_is_asked_while_something_is_computed) {
        static const MockFile program[] = {
                { "/main.mcl", "import \"golang\"\nimport \"datetime\"\nimport \"math\"\n$n = math.fortytwo()\n"
                               "print [golang.template(\"{{ os_home \\\"ann\\\" }} {{ . }} {{ datetime_print 0 }}\", $n), datetime.weekday($n)] {}\n" },
                {}
        };

        exhaust(program, 100);
}

TEST_MAIN()
