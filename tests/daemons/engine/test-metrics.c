/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is counted, and that the text of it is OpenMetrics. */

#include <ctype.h>
#include <inttypes.h>

#include "tests/daemons/engine/engine-test.h"

static uint64_t checks(Engine *e, const char *id, bool apply, bool eventful, bool errorful) {
        return find_vertex(e, id)->kind->metrics.checks[apply][eventful][errorful];
}

static bool has_line(Engine *e, const char *line) {
        _cleanup_free_ char *text = metrics_text(e->m);
        const char *at = text ? strstr(text, line) : NULL;

        return at && (at == text || at[-1] == '\n') && at[strlen(line)] == '\n';
}

TEST(attempts_are_counted_by_what_they_came_to) {
        ENGINE(e);

        for (const char *const *name = (const char *const[]) { "a", "b", "c", NULL }; *name; name++)
                set(world.drift, *name, 1);
        set(world.drift, "n", 1);
        set(world.failures, "f", 1);
        CHECK_INT(swap(&e, true, "a:x b:x c:x n:x,noop f ok plain.other"), 0);
        run(&e);
        CHECK_INT(checks(&e, "a", true, true, false), 3);
        CHECK_INT(checks(&e, "a", true, false, false), 1);
        CHECK_INT(checks(&e, "a", true, false, true), 1);
        CHECK_INT(checks(&e, "a", false, true, false), 1);
        CHECK_INT(checks(&e, "a", false, false, false), 0);
        CHECK_INT(checks(&e, "plain.other", true, false, false), 1);

        CHECK(has_line(&e, "mgmt_checkapply_total{kind=\"probe\",apply=\"true\",eventful=\"true\",errorful=\"false\"} 3"));
        CHECK(has_line(&e, "mgmt_checkapply_total{kind=\"probe\",apply=\"false\",eventful=\"true\",errorful=\"false\"} 1"));
        CHECK(has_line(&e, "mgmt_checkapply_total{kind=\"probe\",apply=\"false\",eventful=\"false\",errorful=\"true\"} 0"));
        CHECK(has_line(&e, "mgmt_failures_total{kind=\"probe\",failure=\"hard\"} 1"));
        CHECK(has_line(&e, "mgmt_failing_resources{kind=\"probe\",failure=\"hard\"} 1"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"probe\",state=\"ok\"} 4"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"probe\",state=\"drifted\"} 1"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"probe\",state=\"failed\"} 1"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"plain\",state=\"ok\"} 1"));
        CHECK(has_line(&e, "mgmt_attempt_duration_seconds_count{kind=\"probe\"} 6"));
        CHECK(has_line(&e, "mgmt_attempt_duration_seconds_bucket{kind=\"probe\",le=\"+Inf\"} 6"));
        CHECK(has_line(&e, "mgmt_unsettled_resources 0"));
}

TEST(retries_events_notifications_and_waiting) {
        ENGINE(e);

        set(world.failures, "f", 2);
        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "f:retry=5 a:x b c w:need a=>b a=>c"), 0);
        run(&e);
        touch(&e, "b");
        touch(&e, "b");
        run(&e);
        CHECK(has_line(&e, "mgmt_failures_total{kind=\"probe\",failure=\"soft\"} 2"));
        CHECK(has_line(&e, "mgmt_failures_total{kind=\"probe\",failure=\"hard\"} 0"));
        CHECK(has_line(&e, "mgmt_failing_resources{kind=\"probe\",failure=\"soft\"} 0"));
        CHECK(has_line(&e, "mgmt_notifications_total{kind=\"probe\"} 2"));
        CHECK(has_line(&e, "mgmt_events_total{kind=\"probe\"} 2"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"probe\",state=\"waiting\"} 1"));
        CHECK_INT(checks(&e, "f", true, false, true), 2);       /* to wait is no failure */
        CHECK(has_line(&e, "mgmt_unsettled_resources 1"));
        CHECK(has_line(&e, "mgmt_converged 0"));
}

TEST(attempts_that_take_their_time) {
        ENGINE(e);

        CHECK_INT(swap(&e, true, "a:pending b:pending,timeout=20"), 0);
        CHECK(RUN_UNTIL(&e, checks(&e, "a", true, false, true) == 1));  /* timed out */
        run_for(&e, 30000);
        finish(&e, "a", CHECK_CHANGED);
        run(&e);
        CHECK_INT(checks(&e, "a", true, true, false), 1);
        const Histogram *h = &find_vertex(&e, "a")->kind->metrics.attempts;
        CHECK(h->sum_usec >= 60000);
        CHECK_INT(h->counts[0] + h->counts[1] + h->counts[2], 0);       /* nothing as quick as 10 ms */
}

TEST(groups_count_their_members) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:x,group=1 b:x,group=1 box.p box_item.q"), 0);
        run(&e);
        CHECK_INT(checks(&e, "a", true, true, false), 1);
        CHECK_INT(checks(&e, "a", true, false, false), 1);
        CHECK_INT(checks(&e, "box_item.q", true, false, false), 1);
        CHECK(has_line(&e, "mgmt_attempt_duration_seconds_count{kind=\"probe\"} 1"));
        CHECK(has_line(&e, "mgmt_attempt_duration_seconds_count{kind=\"box:item\"} 0"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"box:item\",state=\"ok\"} 1"));
}

TEST(changes_of_the_graph) {
        ENGINE(e);

        CHECK(has_line(&e, "mgmt_graph_start_time_seconds 0.000000"));
        e.options.deploy = 7;
        CHECK_INT(swap(&e, true, "a b a>b"), 0);
        CHECK(swap(&e, false, "c>d") < 0);
        CHECK_INT(swap(&e, false, "c"), 0);
        run(&e);
        CHECK(has_line(&e, "mgmt_graph_swaps_total{result=\"accepted\"} 2"));
        CHECK(has_line(&e, "mgmt_graph_swaps_total{result=\"rejected\"} 1"));
        CHECK(has_line(&e, "mgmt_graph_swap_duration_seconds_count 2"));
        CHECK(has_line(&e, "mgmt_graph_generation 3"));
        CHECK(has_line(&e, "mgmt_deploy_id 7"));
        CHECK(has_line(&e, "mgmt_graph_edges 1"));
        CHECK(!has_line(&e, "mgmt_graph_start_time_seconds 0.000000"));

        CHECK_INT(swap(&e, true, ""), 0);                       /* what was counted stays counted */
        CHECK(has_line(&e, "mgmt_checkapply_total{kind=\"probe\",apply=\"true\",eventful=\"false\",errorful=\"false\"} 3"));
        CHECK(has_line(&e, "mgmt_resources{kind=\"probe\",state=\"ok\"} 0"));
}

/* ---- the form ---- */

static bool is_name(const char *s, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!islower((unsigned char) s[i]) && s[i] != '_' && (i == 0 || !isdigit((unsigned char) s[i])))
                        return false;
        return n > 0;
}

/* name{label="value",…} number */
static bool is_sample(const char *line, const char *family) {
        size_t n = strcspn(line, "{ ");
        char *end;

        if (!is_name(line, n) || !startswith(line, family))
                return false;
        line += n;
        if (*line == '{') {
                do {
                        line++;
                        size_t k = strcspn(line, "=");
                        if (!is_name(line, k) || line[k + 1] != '"')
                                return false;
                        line += k + 2;
                        line += strcspn(line, "\"\\\n");
                        if (*line++ != '"')
                                return false;
                } while (*line == ',');
                if (*line++ != '}')
                        return false;
        }
        if (*line++ != ' ')
                return false;
        (void) strtod(line, &end);
        return end > line && *end == '\0';
}

TEST(text_is_openmetrics) {
        ENGINE(e);
        _cleanup_(map_freep) Map *families = map_new(), *samples = map_new();
        char family[100] = "";
        uint64_t bucket = 0;
        size_t n = 0;

        CHECK_INT(swap(&e, true, "a b plain.c box.d box_item.e farm a=>b"), 0);
        run(&e);
        _cleanup_free_ char *text = metrics_text(e.m);
        REQUIRE(text && families && samples);
        CHECK(endswith(text, "\n# EOF\n"));
        for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line;) {
                char type[20];

                n++;
                if (streq(line, "# EOF"))
                        break;
                if (startswith(line, "# TYPE ")) {
                        CHECK_INT(sscanf(line, "# TYPE %99s %19s", family, type), 2);
                        CHECK_INT(map_put(families, family, family), 1);        /* each once, and its samples together */
                        CHECK(streq(type, "counter") || streq(type, "gauge") || streq(type, "histogram") || streq(type, "info"));
                } else if (startswith(line, "# HELP ")) {
                        CHECK(startswith(line + 7, family) && line[7 + strlen(family)] == ' ');
                } else {
                        char *value = strrchr(line, ' ');

                        if (!is_sample(line, family))
                                TEST_FAIL("'%s' is no sample of %s", line, family);
                        if (strstr(line, "_bucket{")) {
                                uint64_t now = strtoull(value + 1, NULL, 10);
                                CHECK(strstr(line, "le=\"0.0001\"") || now >= bucket);
                                bucket = now;
                        }
                        *value = '\0';
                        CHECK_INT(map_put(samples, line, line), 1);
                }
        }
        CHECK(n > 100);
        CHECK(map_get(families, "mgmt_build") && map_get(families, "mgmt_process_cpu_seconds"));

        /* more resources are not more lines */
        _cleanup_(strbuf_done) StrBuf many = {};
        for (int i = 0; i < 500; i++)
                strbuf_printf(&many, "r%d ", i);
        CHECK_INT(swap(&e, false, many.data), 0);
        run(&e);
        _cleanup_free_ char *after = metrics_text(e.m);
        size_t n_after = 0;
        for (const char *p = after; *p; p++)
                n_after += *p == '\n';
        CHECK_INT(n_after, n);
}

TEST_MAIN()
