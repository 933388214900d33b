/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Programs whose values come from outside, with their real functions, wave by wave. Each program says what it has come to in the name
 * of its one resource: test[…]. */

#include <sys/stat.h>

#include "tests/daemons/lang/source-test.h"
#include "tests/lang/mock-host.h"

typedef struct Run {
        Stage stage;
        char *text;             /* of the program */
        Lang *lang;
        char *value;            /* what it has come to, NULL before */
        char *error;            /* of the last wave, NULL if it went well */
        bool due;
        unsigned n_waves, n_values;
        int64_t last;           /* number of the last value, for programs that count */
        bool skipped;           /* that was not one more than the one before */
} Run;

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        const Run *r = userdata;

        if (!streq(path, "/main.mcl"))
                return -ENOENT;
        *ret = strdup(r->text);
        *ret_size = strlen(r->text);
        return *ret ? 0 : -ENOMEM;
}

static const SourceType *find_source(void *userdata, const char *function) {
        return lang_source_find(function);
}

static void on_due(void *userdata) {
        ((Run *) userdata)->due = true;
}

static void take(Run *r, int result, ChangeSet *c, Diag *d) {
        r->n_waves++;
        free(r->error);
        r->error = result < 0 ? strdup(d->message ?: "?") : NULL;
        for (size_t i = 0; i < c->n_put; i++) {
                int64_t n = atoll(c->put[i].name);

                r->skipped = r->skipped || (r->value && n != r->last + 1);
                r->last = n;
                r->n_values++;
                free(r->value);
                r->value = strdup(c->put[i].name);
        }
        change_set_done(c);
        diag_done(d);
}

/* $D in the text stands for the directory of the stage. */
static bool run_start(Run *r, const char *text) {
        _cleanup_(diags_done) Diags errors = {};
        const LangHost host = { .userdata = r, .schema = mock_schema(), .hostname = "tester", .read_file = read_file,
                                .source = find_source, .source_host = &r->stage.host, .due = on_due };
        ChangeSet c = {};
        StrBuf b = {};
        Diag d = {};

        *r = (Run) {};
        stage_start(&r->stage);
        for (const char *p = text; *p; p++)
                if (p[0] == '$' && p[1] == 'D') {
                        strbuf_puts(&b, r->stage.directory);
                        p++;
                } else
                        strbuf_putc(&b, *p);
        r->text = strbuf_take(&b);
        if (lang_compile(&r->lang, &host, &(LangOptions) { .entry = "/main.mcl" }, &errors) < 0) {
                TEST_FAIL("%s", errors.n > 0 ? errors.items[0].message : "no error");
                return false;
        }
        take(r, lang_start(r->lang, &c, &d), &c, &d);
        return true;
}

static void run_end(Run *r) {
        lang_free(r->lang);
        stage_end(&r->stage);
        free(r->text);
        free(r->value);
        free(r->error);
}

static void turn(Run *r) {
        ChangeSet c = {};
        Diag d = {};

        if (!r->due)
                (void) sd_event_run(r->stage.event, TURN_USEC);
        if (!r->due)
                return;
        r->due = false;
        take(r, lang_step(r->lang, &c, &d), &c, &d);
}

/* Waves run until it has come to this, without an error. */
static bool run_until(Run *r, const char *value) {
        int64_t end = now_msec() + PATIENCE_MSEC;

        while ((r->error || !streq_ptr(r->value, value)) && now_msec() < end)
                turn(r);
        return !r->error && streq_ptr(r->value, value);
}

#define CHECK_COMES_TO(run, want) \
        do { \
                if (!run_until((run), (want))) \
                        TEST_FAIL("it comes to\n#   %s (%s)\n# not\n#   %s", (run)->value ? (run)->value : "(nothing)", \
                                  (run)->error ? (run)->error : "no error", (want)); \
        } while (0)

static void put(const Run *r, const char *name, const char *text) {
        FILE *f = fopen(stage_path(&r->stage, name), "w");

        if (!f || fputs(text, f) < 0 || fclose(f) != 0)
                abort();
}

/* In one step, so that it is never seen empty. */
static void put_at_once(const Run *r, const char *name, const char *text) {
        char next[PATH_MAX];

        put(r, "next", text);
        (void) snprintf(next, sizeof(next), "%s", stage_path(&r->stage, "next"));
        CHECK_INT(rename(next, stage_path(&r->stage, name)), 0);
}

static void drop(const Run *r, const char *name) {
        CHECK_INT(unlink(stage_path(&r->stage, name)), 0);
}

TEST(a_fallback_is_taken_while_a_file_is_missing) {
        size_t fds = count_fds();
        Run r;

        if (run_start(&r, "import \"os\"\n$x = os.readfile(\"$D/file\") <|> \"default\"\ntest [$x] {}\n"))
                for (int i = 0; i < 5; i++) {
                        CHECK_COMES_TO(&r, "default");
                        put_at_once(&r, "file", "content");
                        CHECK_COMES_TO(&r, "content");
                        drop(&r, "file");
                }
        run_end(&r);
        CHECK_INT(count_fds(), fds);
}

static void run_until_error(Run *r) {
        int64_t end = now_msec() + PATIENCE_MSEC;

        while (!r->error && now_msec() < end)
                turn(r);
}

/* What cannot be caught is an error, but not the end. */
TEST(an_error_that_goes_away_again) {
        Run r;

        if (run_start(&r, "import \"os\"\n$x = os.readfile(\"$D/file\") <|> \"default\"\ntest [$x] {}\n")) {
                CHECK_COMES_TO(&r, "default");
                CHECK_INT(mkdir(stage_path(&r.stage, "file"), 0755), 0);
                run_until_error(&r);
                CHECK(r.error && endswith(r.error, "Is a directory"));
                CHECK_STR(r.value, "default");
                CHECK_INT(rmdir(stage_path(&r.stage, "file")), 0);
                CHECK_COMES_TO(&r, "default");
        }
        run_end(&r);
}

/* The inner condition does not change while the outer one takes its branch away and brings it back. */
TEST(a_branch_in_a_branch_comes_back) {
        static const char program[] = "import \"os\"\n"
                                      "$outer = os.file_exists(\"$D/outer\")\n"
                                      "$inner = os.file_exists(\"$D/inner\")\n"
                                      "$text = os.readfile(\"$D/text\") <|> \"none\"\n"
                                      "if $outer {\n\tif $inner {\n\t\ttest [\"both ${text}\"] {}\n\t} else {\n\t\ttest [\"outer ${text}\"] {}\n\t}\n"
                                      "} else {\n\ttest [\"neither\"] {}\n}\n";
        Run r;

        if (run_start(&r, program)) {
                CHECK_COMES_TO(&r, "neither");
                put(&r, "inner", "");
                for (int i = 0; i < 3; i++) {
                        put(&r, "outer", "");
                        CHECK_COMES_TO(&r, "both none");
                        put(&r, "text", "x");
                        CHECK_COMES_TO(&r, "both x");
                        drop(&r, "outer");
                        CHECK_COMES_TO(&r, "neither");
                        drop(&r, "text");
                }
                drop(&r, "inner");
                put(&r, "outer", "");
                CHECK_COMES_TO(&r, "outer none");
        }
        run_end(&r);
}

/* As fast as the loop turns: each count comes to its own wave, and none is skipped. */
TEST(a_list_grows_and_shrinks_at_full_speed) {
        static const char program[] = "import \"fmt\"\nimport \"iter\"\nimport \"math\"\nimport \"test\"\n"
                                      "$n = test.fastcount()\n"
                                      "$list = if math.mod($n, 2) == 0 {\n\t[1, 2, 3, $n]\n} else {\n\t[1, 2, $n]\n}\n"
                                      "$big = iter.filter($list, func($x) {\n\t$x > 1\n})\n"
                                      "test [fmt.printf(\"%d of %d\", $n, len($big))] {}\n";
        Run r;

        if (run_start(&r, program)) {
                while (!r.error && r.n_values < 5000)
                        turn(&r);
                CHECK_STR(r.error, NULL);
                CHECK(!r.skipped);
                char want[64];
                (void) snprintf(want, sizeof(want), "%d of %d", (int) r.last, r.last % 2 == 0 ? 3 : 2);
                CHECK_STR(r.value, want);
        }
        run_end(&r);
}

TEST(each_line_of_a_command_is_a_wave) {
        Run r;

        if (run_start(&r, "import \"os\"\ntest [os.system(\"seq 1 3000\")] {}\n")) {
                CHECK_COMES_TO(&r, "3000");
                CHECK(!r.skipped);
                CHECK_INT(r.n_values, 3000);
        }
        run_end(&r);
}

TEST(the_past_is_a_value_as_well) {
        static const char program[] = "import \"fmt\"\nimport \"os\"\n"
                                      "$now = os.readfile(\"$D/file\") <|> \"none\"\n"
                                      "test [fmt.printf(\"%s after %s\", $now, history($now, 200))] {}\n";
        Run r;

        if (run_start(&r, program)) {
                CHECK_COMES_TO(&r, "none after none");
                put_at_once(&r, "file", "a");
                CHECK_COMES_TO(&r, "a after none");
                CHECK_COMES_TO(&r, "a after a");
        }
        run_end(&r);
}

/* A function that a program may ask once is asked once, however often its value is used; a second call is an error. */
TEST(what_is_used_twice_is_asked_once) {
        Run r;

        if (run_start(&r, "import \"test\"\n$x = test.one_instance_a()\ntest [\"${x} ${x}\"] {}\n"))
                CHECK_COMES_TO(&r, "hello hello");
        run_end(&r);
        if (run_start(&r, "import \"test\"\n$x = test.one_instance_a()\n$y = test.one_instance_a()\ntest [\"${x} ${y}\"] {}\n"))
                CHECK_STR(r.error, "function `test.one_instance_a` is asked more than once");
        run_end(&r);
        if (run_start(&r, "import \"os\"\nimport \"test\"\n$n = if os.file_exists(\"$D/file\") { 3 } else { 2 }\n"
                          "test [test.one_stream($n)] {}\n")) {
                CHECK_COMES_TO(&r, "xx");
                put(&r, "file", "");
                run_until_error(&r);
                CHECK_STR(r.error, "you can only pass in a single input, got: 3, previously: 2");
        }
        run_end(&r);
}

/* Functions that answer at once can be asked by templates. */
TEST(templates_ask_at_once) {
        Run r;

        (void) setenv("MGMT_TEST_SET", "value", 1);
        if (run_start(&r, "import \"golang\"\n"
                          "test [golang.template(\"{{ sys_getenv \\\"MGMT_TEST_SET\\\" }} {{ os_home \\\"root\\\" }}\")] {}\n")) {
                char want[PATH_MAX];
                Call c = {};

                (void) call_open(&r.stage, &c, "os.home", "\"root\"", NULL);
                (void) snprintf(want, sizeof(want), "value %s", value_cstr(c.history[0]));
                call_close(&c);
                CHECK_COMES_TO(&r, want);
        }
        run_end(&r);
        if (run_start(&r, "import \"golang\"\n"
                          "$x = golang.template(\"{{ sys_getenv \\\"MGMT_TEST_UNSET\\\" }}\") <|> \"caught\"\ntest [$x] {}\n"))
                CHECK_COMES_TO(&r, "caught");
        run_end(&r);
}

TEST_MAIN()
