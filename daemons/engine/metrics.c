/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Names and labels are a promise to those who draw graphs of them; they stand in docs/metrics.md. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "common/usec.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/metrics.h"

/* Upper limits; the text of each is how it is written as a label. */
static const struct {
        uint64_t usec;
        const char *text;
} buckets[METRICS_BUCKETS] = {
        { 100, "0.0001" }, { 1000, "0.001" }, { 10000, "0.01" }, { 100000, "0.1" }, { 1000000, "1.0" }, { 10000000, "10.0" },
        { 60000000, "60.0" }, { 600000000, "600.0" }, { 3600000000, "3600.0" },
};

static const char *const bools[2] = { "false", "true" };

uint64_t metrics_now(void) {
        return usec_now(CLOCK_MONOTONIC);
}

void metrics_init(Metrics *m) {
        *m = (Metrics) { .start_usec = usec_now(CLOCK_REALTIME) };
}

/* ---- counting ---- */

static void observe(Histogram *h, uint64_t usec) {
        size_t i = 0;

        while (i < METRICS_BUCKETS && usec > buckets[i].usec)
                i++;
        h->counts[i]++;
        h->sum_usec += usec;
}

void metrics_attempt_begins(Vertex *root) {
        root->attempt_usec = metrics_now();
}

void metrics_attempt_ends(Vertex *root) {
        uint64_t now = metrics_now();

        observe(&root->kind->metrics.attempts, now - MIN(now, root->attempt_usec));
}

/* To wait for a service is neither a success nor a failure. */
void metrics_checked(const Vertex *member, int result) {
        bool apply = !vertex_root((Vertex *) member)->resource->meta.noop;

        if (result != -EAGAIN)
                member->kind->metrics.checks[apply][result == CHECK_CHANGED][result < 0]++;
}

void metrics_failed(const Vertex *root) {
        root->kind->metrics.failures[root->state == VERTEX_FAILED]++;
}

void metrics_event(const Vertex *root) {
        root->kind->metrics.events++;
}

void metrics_notified(const Vertex *target) {
        target->kind->metrics.notifications++;
}

void metrics_swapped(Manager *m, bool accepted, uint64_t begin_usec) {
        m->metrics.swaps[accepted]++;
        if (!accepted)
                return;
        observe(&m->metrics.swap_durations, metrics_now() - begin_usec);
        m->metrics.graph_usec = usec_now(CLOCK_REALTIME);
}

/* ---- the text ---- */

/* What is counted when somebody asks. */
typedef struct KindRow {
        const KindSet *kind;
        uint64_t states[_VERTEX_STATE_MAX];
} KindRow;

typedef struct Rows {
        KindRow *items;
        size_t n;
} Rows;

static void family(StrBuf *b, const char *name, const char *type, const char *help) {
        strbuf_printf(b, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static void number(StrBuf *b, const char *name, const char *type, const char *help, uint64_t value) {
        family(b, name, type, help);
        strbuf_printf(b, "%s%s %" PRIu64 "\n", name, streq(type, "counter") ? "_total" : "", value);
}

static void seconds(StrBuf *b, uint64_t usec) {
        strbuf_printf(b, "%" PRIu64 ".%06" PRIu64, usec / 1000000, usec % 1000000);
}

static void time_gauge(StrBuf *b, const char *name, const char *help, uint64_t usec) {
        family(b, name, "gauge", help);
        strbuf_printf(b, "%s ", name);
        seconds(b, usec);
        strbuf_putc(b, '\n');
}

/* kind: NULL if there is no such label. */
static void histogram(StrBuf *b, const char *name, const char *kind, const Histogram *h) {
        char label[160] = "", braced[164] = "";
        uint64_t sum = 0;

        if (kind) {
                (void) snprintf(label, sizeof(label), "kind=\"%.100s\",", kind);
                (void) snprintf(braced, sizeof(braced), "{kind=\"%.100s\"}", kind);
        }
        for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
                sum += h->counts[i];
                const char *limit = i < METRICS_BUCKETS ? buckets[i].text : "+Inf";
                strbuf_printf(b, "%s_bucket{%sle=\"%s\"} %" PRIu64 "\n", name, label, limit, sum);
        }
        strbuf_printf(b, "%s_sum%s ", name, braced);
        seconds(b, h->sum_usec);
        strbuf_printf(b, "\n%s_count%s %" PRIu64 "\n", name, braced, sum);
}

static void put_kinds(StrBuf *b, const Rows *rows) {
        family(b, "mgmt_checkapply", "counter", "Attempts at single resources: whether they may change something, did, and failed.");
        for (size_t i = 0; i < rows->n; i++)
                for (int k = 0; k < 8; k++)
                        strbuf_printf(b, "mgmt_checkapply_total{kind=\"%s\",apply=\"%s\",eventful=\"%s\",errorful=\"%s\"} %" PRIu64 "\n",
                                      rows->items[i].kind->type->kind, bools[k >> 2 & 1], bools[k >> 1 & 1], bools[k & 1],
                                      rows->items[i].kind->metrics.checks[k >> 2 & 1][k >> 1 & 1][k & 1]);

        family(b, "mgmt_failures", "counter", "Failures of attempts and watches: soft ones are followed by another try, hard are not.");
        for (size_t i = 0; i < rows->n; i++)
                for (int hard = 0; hard < 2; hard++)
                        strbuf_printf(b, "mgmt_failures_total{kind=\"%s\",failure=\"%s\"} %" PRIu64 "\n", rows->items[i].kind->type->kind,
                                      hard ? "hard" : "soft", rows->items[i].kind->metrics.failures[hard]);

        family(b, "mgmt_failing_resources", "gauge", "Resources that fail now, softly or hard.");
        for (size_t i = 0; i < rows->n; i++)
                strbuf_printf(b, "mgmt_failing_resources{kind=\"%s\",failure=\"soft\"} %" PRIu64 "\n"
                                 "mgmt_failing_resources{kind=\"%s\",failure=\"hard\"} %" PRIu64 "\n",
                              rows->items[i].kind->type->kind, rows->items[i].states[VERTEX_RETRYING],
                              rows->items[i].kind->type->kind, rows->items[i].states[VERTEX_FAILED]);

        family(b, "mgmt_resources", "gauge", "Managed resources, by their state.");
        for (size_t i = 0; i < rows->n; i++)
                for (VertexState s = 0; s < _VERTEX_STATE_MAX; s++)
                        strbuf_printf(b, "mgmt_resources{kind=\"%s\",state=\"%s\"} %" PRIu64 "\n", rows->items[i].kind->type->kind,
                                      vertex_state_name(s), rows->items[i].states[s]);

        family(b, "mgmt_events", "counter", "What watches saw.");
        for (size_t i = 0; i < rows->n; i++)
                strbuf_printf(b, "mgmt_events_total{kind=\"%s\"} %" PRIu64 "\n", rows->items[i].kind->type->kind,
                              rows->items[i].kind->metrics.events);

        family(b, "mgmt_notifications", "counter", "Notifications that were sent to resources of the kind.");
        for (size_t i = 0; i < rows->n; i++)
                strbuf_printf(b, "mgmt_notifications_total{kind=\"%s\"} %" PRIu64 "\n", rows->items[i].kind->type->kind,
                              rows->items[i].kind->metrics.notifications);

        family(b, "mgmt_attempt_duration_seconds", "histogram", "How long attempts took, those of groups by the kind of their parent.");
        for (size_t i = 0; i < rows->n; i++)
                histogram(b, "mgmt_attempt_duration_seconds", rows->items[i].kind->type->kind, &rows->items[i].kind->metrics.attempts);
}

static void put_graph(StrBuf *b, const Manager *m) {
        number(b, "mgmt_graph_generation", "gauge", "Generation of the graph in force.", m->generation);
        number(b, "mgmt_deploy_id", "gauge", "The deploy it comes from, 0 if it was not deployed.", m->deploy);
        number(b, "mgmt_graph_edges", "gauge", "Its edges.", graph_n_edges(m->graph));
        time_gauge(b, "mgmt_graph_start_time_seconds", "When it came into force.", m->metrics.graph_usec);
        family(b, "mgmt_graph_swaps", "counter", "Changes of the graph.");
        strbuf_printf(b, "mgmt_graph_swaps_total{result=\"accepted\"} %" PRIu64 "\n", m->metrics.swaps[1]);
        strbuf_printf(b, "mgmt_graph_swaps_total{result=\"rejected\"} %" PRIu64 "\n", m->metrics.swaps[0]);
        family(b, "mgmt_graph_swap_duration_seconds", "histogram", "How long it took to put them in force.");
        histogram(b, "mgmt_graph_swap_duration_seconds", NULL, &m->metrics.swap_durations);
        number(b, "mgmt_converged", "gauge", "Whether nothing is left to do.", m->converger.converged);
        number(b, "mgmt_convergences", "counter", "How often that became so.", m->metrics.converged);
        number(b, "mgmt_unsettled_resources", "gauge", "Those that may still come to something: neither right nor given up.",
               m->scheduler.n_unsettled);
        number(b, "mgmt_event_subscribers", "gauge", "Who follows the events.", events_n_subscribers(m->events));
}

/* The second number of /proc/self/statm is pages in memory. */
static uint64_t resident_bytes(void) {
        _cleanup_free_ char *text = NULL;
        unsigned long long total, resident;

        if (read_file_at(AT_FDCWD, "/proc/self/statm", 256, &text, NULL) < 0 || sscanf(text, "%llu %llu", &total, &resident) != 2)
                return 0;
        return resident * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void put_process(StrBuf *b, const Manager *m) {
        struct rusage u = {};

        (void) getrusage(RUSAGE_SELF, &u);
        family(b, "mgmt_build", "info", "What runs.");
        strbuf_puts(b, "mgmt_build_info{version=\"" MGMT_VERSION "\"} 1\n");
        time_gauge(b, "mgmt_process_start_time_seconds", "When the engine started.", m->metrics.start_usec);
        number(b, "mgmt_process_resident_memory_bytes", "gauge", "Memory of the engine.", resident_bytes());
        family(b, "mgmt_process_cpu_seconds", "counter", "Time of processors that the engine has used.");
        strbuf_puts(b, "mgmt_process_cpu_seconds_total ");
        seconds(b, (uint64_t) (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t) (u.ru_utime.tv_usec + u.ru_stime.tv_usec));
        strbuf_putc(b, '\n');
}

static int compare_rows(const void *a, const void *b) {
        return strcmp(((const KindRow *) a)->kind->type->kind, ((const KindRow *) b)->kind->type->kind);
}

static int count_states(const Manager *m, Rows *ret) {
        size_t i = 0;
        void *value;

        ret->items = calloc(map_size(m->kinds) + 1, sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        while (map_next(m->kinds, &i, NULL, &value)) {
                KindRow *row = &ret->items[ret->n++];
                size_t k = 0;
                void *v;

                row->kind = value;
                while (map_next(row->kind->by_name, &k, NULL, &v))
                        row->states[vertex_root(v)->state]++;
        }
        qsort(ret->items, ret->n, sizeof(*ret->items), compare_rows);
        return 0;
}

char *metrics_text(const Manager *m) {
        Rows rows = {};
        StrBuf b = {};

        if (count_states(m, &rows) < 0)
                return NULL;
        put_kinds(&b, &rows);
        put_graph(&b, m);
        put_process(&b, m);
        strbuf_puts(&b, "# EOF\n");
        free(rows.items);
        return strbuf_take(&b);
}
