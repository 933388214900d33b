/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What functions ask for while they are computed: users in a template, and the time zone. The test answers. */

#include <time.h>

#include "lang/funcgraph.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

enum { ASKED_MAX = 8 };

typedef struct Asked {
        Source *source;         /* NULL: not open */
        char arg[32];           /* the first one, or "" */
} Asked;

typedef struct World {
        Asked open[ASKED_MAX];
        size_t n_opened, n_closed;
        bool at_once;           /* a home is known when it is asked for */
} World;

static World world;

static void keep(Source *s) {
        for (size_t i = 0; i < ASKED_MAX; i++)
                if (!world.open[i].source) {
                        world.open[i].source = s;
                        (void) snprintf(world.open[i].arg, sizeof(world.open[i].arg), "%s", s->n_args > 0 ? value_cstr(s->args[0]) : "");
                        world.n_opened++;
                        return;
                }
        abort();
}

static void forget(Source *s) {
        for (size_t i = 0; i < ASKED_MAX; i++)
                if (world.open[i].source == s)
                        world.open[i].source = NULL;
        world.n_closed++;
}

static void say_home(Source *s) {
        Value v = VALUE_NIL;

        for (size_t i = 0; i < ASKED_MAX; i++)
                if (world.open[i].source == s)
                        CHECK_INT(value_strf(&v, "/people/%s/", world.open[i].arg), 0);
        source_set(s, v);
}

static int home_open(Source *s, Diag *reterr) {
        keep(s);
        if (world.at_once)
                say_home(s);
        return 0;
}

static int zone_open(Source *s, Diag *reterr) {
        keep(s);
        source_set(s, VALUE_INT(0));
        return 0;
}

static int name_open(Source *s, Diag *reterr) {
        Value v = VALUE_NIL;

        keep(s);
        CHECK_INT(value_strz(&v, "ann"), 0);
        source_set(s, v);
        return 0;
}

static const SourceType *find_source(void *userdata, const char *function) {
        static const SourceType types[] = {
                { .name = "datetime._zone", .size = sizeof(Source), .open = zone_open, .close = forget },
                { .name = "os.home", .size = sizeof(Source), .open = home_open, .close = forget },
                { .name = "os.system", .size = sizeof(Source), .open = name_open, .close = forget },
                {}
        };

        return source_type_find(types, function);
}

static Source *asked(const char *function, const char *arg) {
        for (size_t i = 0; i < ASKED_MAX; i++)
                if (world.open[i].source && streq(world.open[i].source->function, function) && (!arg || streq(world.open[i].arg, arg)))
                        return world.open[i].source;
        return NULL;
}

typedef struct Running {
        Lang *lang;
        ChangeSet changes;
        Diag error;
} Running;

static void running_done(Running *r) {
        lang_free(r->lang);
        change_set_done(&r->changes);
        diag_done(&r->error);
}

static int start(Running *r, const char *text) {
        const MockFile files[] = { { "/main.mcl", text }, {} };
        const LangOptions options = { .entry = "/main.mcl" };
        static SourceHost sources;
        LangHost host = mock_host(files);
        _cleanup_(diags_done) Diags errors = {};

        host.source = find_source;
        host.source_host = &sources;
        if (lang_compile(&r->lang, &host, &options, &errors) < 0) {
                TEST_FAIL("%s", errors.n > 0 ? errors.items[0].message : "?");
                return -EINVAL;
        }
        return lang_start(r->lang, &r->changes, &r->error);
}

static int step(Running *r) {
        change_set_done(&r->changes);
        diag_done(&r->error);
        return lang_step(r->lang, &r->changes, &r->error);
}

static const char *first_name(const Running *r) {
        return r->changes.n_put > 0 ? r->changes.put[0].name : "(none)";
}

TEST(a_template_waits_for_what_it_asks) {
        _cleanup_(running_done) Running r = {};

        world = (World) {};
        REQUIRE(start(&r, "import \"golang\"\nprint [golang.template(\"{{ os_home \\\"ann\\\" }}\")] {}\n") == 0);
        CHECK(lang_is_waiting(r.lang));
        Source *s = asked("os.home", "ann");
        REQUIRE(s);
        say_home(s);
        CHECK_INT(step(&r), 0);
        CHECK(!lang_is_waiting(r.lang));
        CHECK_STR(first_name(&r), "/people/ann/");
        CHECK_INT(world.n_opened, 1);           /* the answer is not asked for again */
}

TEST(a_template_asks_what_it_needs_now_and_no_more) {
        _cleanup_(running_done) Running r = {};

        world = (World) { .at_once = true };
        REQUIRE(start(&r, "import \"golang\"\nimport \"os\"\n$who = os.system(\"who\")\n"
                          "print [golang.template(\"{{ os_home . }}{{ os_home \\\"bob\\\" }}\", $who)] {}\n") == 0);
        CHECK_STR(first_name(&r), "/people/ann//people/bob/");
        CHECK_INT(world.n_opened, 3);
        Source *who = asked("os.system", NULL), *bob = asked("os.home", "bob");
        REQUIRE(who && bob && asked("os.home", "ann"));
        Value v = VALUE_NIL;
        CHECK_INT(value_strz(&v, "eve"), 0);
        source_set(who, v);
        CHECK_INT(step(&r), 0);
        CHECK_STR(first_name(&r), "/people/eve//people/bob/");
        CHECK(asked("os.home", "bob") == bob && !asked("os.home", "ann"));
        CHECK_INT(world.n_closed, 1);

        /* The next one is not known at once, and somebody else is asked for meanwhile. */
        world.at_once = false;
        CHECK_INT(value_strz(&v, "sue"), 0);
        source_set(who, v);
        CHECK_INT(step(&r), 0);
        CHECK(lang_is_waiting(r.lang));
        CHECK_INT(r.changes.n_put, 0);
        CHECK_INT(value_strz(&v, "bob"), 0);
        source_set(who, v);
        CHECK_INT(step(&r), 0);
        CHECK(!lang_is_waiting(r.lang));
        CHECK_STR(first_name(&r), "/people/bob//people/bob/");
        CHECK(!asked("os.home", "sue"));
}

TEST(what_is_asked_fails_what_asks) {
        _cleanup_(running_done) Running r = {};
        _cleanup_(diag_done) Diag d = {};

        world = (World) {};
        REQUIRE(start(&r, "import \"golang\"\nprint [golang.template(\"{{ os_home \\\"ann\\\" }}\") <|> \"caught\"] {}\n") == 0);
        Source *s = asked("os.home", "ann");
        REQUIRE(s);
        diag_set(&d, (Pos) {}, -ESRCH, "nobody");
        source_fail(s, true, &d);
        CHECK_INT(step(&r), 0);
        CHECK_STR(first_name(&r), "caught");
        say_home(s);
        CHECK_INT(step(&r), 0);
        CHECK_STR(first_name(&r), "/people/ann/");
        diag_set(&d, (Pos) {}, -ESRCH, "nobody");
        source_fail(s, false, &d);
        CHECK(step(&r) < 0);
        CHECK(r.error.message && strstr(r.error.message, "function `os_home` errored: nobody"));
}

TEST(local_times_follow_the_zone) {
        static const char *const programs[] = {
                "import \"datetime\"\nprint [datetime.print(0)] {}\n",
                "import \"datetime\"\nprint [datetime.format(0, \"2006-01-02 15:04:05 -0700 MST\")] {}\n",
                "import \"golang\"\nprint [golang.template(\"{{ datetime_print 0 }}\")] {}\n",
        };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++) {
                _cleanup_(running_done) Running r = {};
                world = (World) {};
                setenv("TZ", "UTC0", 1);
                tzset();
                REQUIRE(start(&r, programs[i]) == 0);
                CHECK_STR(first_name(&r), "1970-01-01 00:00:00 +0000 UTC");
                Source *zone = asked("datetime._zone", NULL);
                REQUIRE(zone);
                setenv("TZ", "XYZ-2", 1);
                tzset();
                source_set(zone, VALUE_INT(1));
                CHECK_INT(step(&r), 0);
                CHECK_STR(first_name(&r), "1970-01-01 02:00:00 +0200 XYZ");
        }
        setenv("TZ", "UTC0", 1);
        tzset();
}

TEST_MAIN()
