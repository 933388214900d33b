/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Meta:reverse: what leaves the program is undone, later and by another engine if need be. */

#include <dirent.h>

#include "daemons/engine/reversals.h"
#include "tests/daemons/engine/engine-order.h"

static size_t n_files(const Engine *e) {
        char path[128];
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "%s/reversals", e->dir);
        DIR *d = opendir(path);
        for (struct dirent *entry; d && (entry = readdir(d));)
                n += entry->d_name[0] != '.';
        if (d)
                (void) closedir(d);
        return n;
}

static int restart(Engine *e) {
        engine_stop(e);
        e->generation = 0;
        return engine_begin_in(e, probe_types, &no_options);
}

TEST(what_goes_is_undone) {
        static const struct {
                const char *change;
                bool full;
        } cases[] = { { "-a !a>b" }, { "b", true } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                set(world.drift, "a", 1);
                CHECK_INT(swap(&e, true, "a:reverse b a>b"), 0);
                run(&e);
                CHECK_TRACE("a+ b");
                CHECK_INT(n_files(&e), 1);
                touch(&e, "a");
                run(&e);
                CHECK_TRACE("a");
                CHECK_INT(swap(&e, cases[i].full, cases[i].change), 0);
                CHECK_INT(graph_n_edges(e.m->graph), 0);
                run(&e);
                CHECK_TRACE("a-");
                CHECK_INT(n_files(&e), 0);
                CHECK(!find_vertex(&e, "a"));
                CHECK_INT(graph_n_vertices(e.m->graph), 1);
                CHECK_INT(e.m->scheduler.n_unsettled, 0);
                check_order(&e);
                CHECK_INT(swap(&e, true, "b"), 0);
                run(&e);
                CHECK_TRACE("");
        }
}

/* Nothing was done, or it was not asked for: then there is nothing to undo. */
TEST(what_is_not_undone) {
        static const struct {
                const char *graph;
                bool drifts;
        } cases[] = {
                { "a:reverse" },
                { "a", true },
                { "a:reverse,hidden", true },
                { "a:reverse,noop", true },
                { "plain.a:reverse", true },            /* a kind that cannot: ignored */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ENGINE(e);
                set(world.drift, "a", cases[i].drifts);
                CHECK_INT(swap(&e, true, cases[i].graph), 0);
                run(&e);
                CHECK_INT(n_files(&e), 0);
                CHECK_INT(swap(&e, true, ""), 0);
                CHECK_INT(graph_n_vertices(e.m->graph), 0);
        }
}

/* The engine is killed between any two steps. */
TEST(it_survives_the_engine) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:reverse,out=7,retry=4,sema=x b"), 0);
        run(&e);
        CHECK_TRACE("a+ b");
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(reversals_n(e.m->reversals), 1);
        CHECK_INT(swap(&e, true, "a:reverse b"), 0);    /* still in the program */
        run(&e);
        CHECK_TRACE("a b");
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "b"), 0);              /* it went while there was no engine */
        Vertex *a = find_vertex(&e, "a");
        REQUIRE(a);
        CHECK(a->reversal);
        CHECK_INT(a->resource->meta.retry, 4);
        CHECK_INT(a->resource->meta.reverse, false);
        CHECK_STR(a->resource->meta.sema[0], "x");
        CHECK_STR(((Probe *) a->resource)->out, "7");
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        CHECK_TRACE("b a-");
        CHECK_INT(n_files(&e), 0);
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        CHECK_TRACE("b");
}

/* What undoes is in the graph, and not in the program: a change cannot take it away. */
TEST(it_is_nothing_that_could_be_removed) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse,retry=-1,delay=3600000"), 0);
        run(&e);
        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, false, "-a"), 0);
        run(&e);
        CHECK_TRACE("a+ a!");
        CHECK_INT(swap(&e, false, "-a"), -ENOENT);
        CHECK_STR(e.diag.message, "cannot remove probe[a]: there is no such resource");
        CHECK_INT(n_files(&e), 1);
        elapse(find_vertex(&e, "a")->delay_timer);
        run(&e);
        CHECK_TRACE("a-");
        CHECK_INT(n_files(&e), 0);
        CHECK(!find_vertex(&e, "a"));
}

/* Most often it sees what it did itself; that is no reason to do it again. */
TEST(it_is_undone_once) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse b"), 0);
        run(&e);
        CHECK_TRACE("a+ b");
        CHECK_INT(swap(&e, false, "-a"), 0);
        while (world.trace.size == 0)
                REQUIRE(sd_event_run(e.event, UINT64_MAX) >= 0);
        REQUIRE(find_vertex(&e, "a"));
        touch(&e, "a");
        run(&e);
        CHECK_TRACE("a-");
        CHECK(!find_vertex(&e, "a"));
}

TEST(the_oldest_counts) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse,out=1"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(swap(&e, false, "a:always,reverse,out=2"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(swap(&e, false, "-a"), 0);
        CHECK_STR(((Probe *) find_vertex(&e, "a")->resource)->out, "1");
        run(&e);
        CHECK_TRACE("a-");
}

/* Without the metaparameter it shall stay, whatever was asked before. */
TEST(it_can_be_called_off) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse"), 0);
        run(&e);
        CHECK_INT(swap(&e, false, "a:always"), 0);
        CHECK_INT(n_files(&e), 0);
        CHECK_INT(swap(&e, false, "-a"), 0);
        CHECK(!find_vertex(&e, "a"));
}

TEST(it_comes_back_before_it_is_undone) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always+stuck,reverse b a>b"), 0);
        run(&e);
        CHECK_TRACE("a+ b");
        CHECK_INT(swap(&e, false, "-a"), 0);
        run(&e);
        CHECK_TRACE("");
        CHECK_STR(state_of(&e, "a"), "waiting");
        CHECK_INT(swap(&e, false, "b:out=1 c a>b"), -ENOENT);           /* to the program it is not there */
        CHECK_STR(e.diag.message, "edge from unknown resource probe[a]");
        CHECK_INT(swap(&e, true, "b"), 0);
        CHECK(find_vertex(&e, "a"));
        CHECK_INT(swap(&e, true, "a:always+stuck,reverse b a>b"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(n_files(&e), 1);
        CHECK_INT(graph_n_edges(e.m->graph), 1);
        CHECK_INT(swap(&e, false, "-a"), 0);
        run(&e);
        resource_armed(find_vertex(&e, "a")->resource);
        run(&e);
        CHECK_TRACE("a-");
        CHECK(!find_vertex(&e, "a"));
        check_order(&e);
}

TEST(a_failure_keeps_it) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse"), 0);
        run(&e);
        CHECK_TRACE("a+");
        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        CHECK_TRACE("b a!");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK_INT(n_files(&e), 1);
        CHECK_INT(swap(&e, false, "c"), 0);     /* another change, another chance */
        run(&e);
        CHECK_TRACE("c a-");
        CHECK_INT(n_files(&e), 0);
        CHECK(!find_vertex(&e, "a"));
}

TEST(noop_undoes_nothing) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse"), 0);
        run(&e);
        CHECK_TRACE("a+");
        e.options.noop = true;
        CHECK_INT(swap(&e, true, ""), 0);
        run(&e);
        CHECK_TRACE("a");
        CHECK_STR(state_of(&e, "a"), "drifted");
        CHECK_INT(n_files(&e), 1);
        e.options.noop = false;
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        CHECK_TRACE("b a-");
}

/* What was put later is undone first; also what another engine did. */
TEST(in_the_order_of_undoing) {
        static const char *const graphs[] = { "a:always,reverse b:always,reverse c:always,reverse a>b b>c" };

        for (int restarted = 0; restarted < 2; restarted++) {
                ENGINE(e);
                CHECK_INT(swap(&e, true, graphs[0]), 0);
                run(&e);
                CHECK_TRACE("a+ b+ c+");
                if (restarted)
                        REQUIRE(restart(&e) >= 0);
                CHECK_INT(swap(&e, true, ""), 0);
                run(&e);
                CHECK_TRACE("c- b- a-");
                CHECK_INT(graph_n_vertices(e.m->graph), 0);
        }
}

/* The program was turned round in between: no order fits both, and a cycle must not come of it. */
TEST(orders_that_contradict_each_other) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always b:always,reverse a>b"), 0);
        run(&e);
        CHECK_TRACE("a+ b+");
        CHECK_INT(swap(&e, true, "a:always,reverse b:always,reverse b>a"), 0);
        run(&e);
        CHECK_TRACE("a+");
        CHECK_INT(swap(&e, true, ""), 0);
        run(&e);
        char *text = strbuf_take(&world.trace);
        CHECK(streq(text, "a- b-") || streq(text, "b- a-"));
        free(text);
}

TEST(a_group_undoes_its_parts) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:always,reverse,group=1 b:always,reverse,group=1"), 0);
        run(&e);
        CHECK(find_vertex(&e, "a")->parent);
        CHECK_TRACE("a+ b+");
        CHECK_INT(n_files(&e), 2);
        CHECK_INT(swap(&e, false, "-a"), 0);
        run(&e);
        CHECK_TRACE("a- b+");           /* b was restarted because its group changed */
        CHECK_INT(n_files(&e), 1);
        check_order(&e);
}

/* ---- files ---- */

static const ResourceType *find_probe(const char *kind, void *userdata) {
        return resource_type_find(probe_types, kind);
}

TEST(as_text_and_back) {
        _cleanup_(resource_freep) Resource *r = NULL;
        _cleanup_(reversal_freep) Reversal *x = NULL;
        _cleanup_(value_done) Value v = VALUE_NIL;
        const ResourceKey after[] = { { (char *) "probe", (char *) "x \"y\"\n" } };
        Diag diag = {};

        REQUIRE(resource_new(&r, &probe_type, NULL, "a\nb/\xc3\xa4", (Pos) { .file = "/main.mcl", .line = 7 }) >= 0);
        REQUIRE(value_str(&v, "one\ntwo $x \"three\"\xff\t", 20) >= 0);
        REQUIRE(resource_set(r, "out", v, &diag) >= 0);
        REQUIRE(resource_set(r, "in", VALUE_INT(-3), &diag) >= 0);
        r->meta.retry = -1;
        r->meta.limit = 2.5;
        r->meta.burst = 2;

        char *text = reversal_format(r, after, 1);
        CHECK_STR(text, "kind \"probe\"\nname \"a\\nb/\xc3\xa4\"\nplace \"7:/main.mcl\"\n"
                        "after [\"probe\", \"x \\\"y\\\"\\n\"]\nmeta.retry -1\nmeta.limit 2.5\nmeta.burst 2\n"
                        "field.param \"\"\nfield.group \"\"\nfield.out \"one\\ntwo $x \\\"three\\\"\\xff\\t\"\nfield.in -3\n"
                        "field.pair \"a\\nb/\xc3\xa4\"\n");
        REQUIRE(reversal_parse(&x, text, find_probe, NULL, &diag) >= 0);
        CHECK_STR(x->spec.name, r->name);
        CHECK_STR(x->spec.pos.file, "/main.mcl");
        CHECK_INT(x->spec.pos.line, 7);
        CHECK_INT(x->spec.n_fields, 5);
        CHECK(value_equal(x->spec.fields[2].value, v));
        CHECK(meta_equal(&x->spec.meta, &r->meta, NULL));
        CHECK_INT(x->n_after, 1);
        CHECK_STR(x->after[0].name, after[0].name);
        free(text);
}

TEST(broken_files_are_left_alone) {
        static const char *const broken[] = {
                "", "x", "kind \"probe\"\n", "name \"x\"\n", "kind \"nothing\"\nname \"x\"\n", "kind \"probe\"\nname x\n",
                "kind \"probe\"\nname \"x\"\nmeta.retry \"x\"\n", "kind \"probe\"\nname \"x\"\nmeta.retry 99999\n",
                "kind \"probe\"\nname \"x\"\nfield.in \"x\"\n", "kind \"probe\"\nname \"x\"\nafter [\"x\"]\n",
                "field.in 3\nkind \"probe\"\nname \"x\"\n", "kind \"probe\"\nname \"x\"\nplace \"x\"\n",
                "kind \"probe\"\nname \"a\\x00b\"\n",
        };
        static const char later[] = "kind \"probe\"\nname \"a\"\nmeta.later 3\nfield.later \"x\"\nlater 5\nfield.param \"undo\"\n";
        ENGINE(e);
        char path[160];

        (void) snprintf(path, sizeof(path), "%s/reversals", e.dir);
        REQUIRE(make_directories(path, 0700) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                (void) snprintf(path, sizeof(path), "%s/reversals/broken%zu", e.dir, i);
                REQUIRE(write_file_atomic_at(AT_FDCWD, path, broken[i], strlen(broken[i]), 0600, false) >= 0);
        }
        (void) snprintf(path, sizeof(path), "%s/reversals/later", e.dir);       /* of an engine that knows more */
        REQUIRE(write_file_atomic_at(AT_FDCWD, path, later, strlen(later), 0600, false) >= 0);
        (void) snprintf(path, sizeof(path), "%s/reversals/.mgmt-123", e.dir);
        REQUIRE(write_file_atomic_at(AT_FDCWD, path, "x", 1, 0600, false) >= 0);
        REQUIRE(restart(&e) >= 0);
        CHECK_INT(reversals_n(e.m->reversals), 1);
        CHECK_INT(swap(&e, true, "b"), 0);
        run(&e);
        CHECK_TRACE("b a-");
        CHECK_INT(n_files(&e), ELEMENTSOF(broken));
}

/* What cannot be kept must not be changed. */
TEST(without_a_place_for_it_nothing_is_done) {
        ENGINE(e);
        char path[160];

        (void) snprintf(path, sizeof(path), "%s/reversals", e.dir);
        REQUIRE(write_file_atomic_at(AT_FDCWD, path, "x", 1, 0600, false) >= 0);
        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:reverse"), 0);
        run(&e);
        CHECK_TRACE("");
        CHECK_STR(state_of(&e, "a"), "failed");
        CHECK(startswith(find_vertex(&e, "a")->error.message, "cannot keep how it was for its reversal: "));
}

TEST_MAIN()
