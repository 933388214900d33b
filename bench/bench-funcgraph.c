/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Waves through the function graph: what a node costs, and what it costs that one of many sources changes. math.fortytwo() stands
 * for a source. The floor calls one function per node through a pointer, in an array. */

#include <string.h>

#include "bench/bench.h"
#include "common/strbuf.h"
#include "lang/funcgraph.h"

enum { N = 10000, ROUNDS = 25 };

static const char kinds[] =
        "[{\"kind\": \"count\", \"daemon\": \"x\", \"doc\": \"x\", \"flags\": [], \"sends\": [], \"fields\": ["
        "{\"name\": \"value\", \"native\": \"Value\", \"type\": \"int64\", \"mcl\": \"int\", \"flags\": [], \"doc\": \"x\"}]}]";

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        if (!streq(path, "/main.mcl"))
                return -ENOENT;
        *ret = strdup(userdata);
        *ret_size = strlen(userdata);
        return *ret ? 0 : -ENOMEM;
}

static Lang *start(const Schema *schema, char *text) {
        const LangHost host = { .userdata = text, .schema = schema, .hostname = "bench", .read_file = read_file };
        const LangOptions options = { .entry = "/main.mcl" };
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet c = {};
        Lang *l = NULL;

        if (lang_compile(&l, &host, &options, &errors) < 0 || lang_start(l, &c, &error) < 0) {
                fprintf(stderr, "%s\n", errors.n > 0 ? errors.items[0].message : error.message);
                exit(1);
        }
        return l;
}

static Node *source(Lang *l, size_t n) {
        for (Node *node = l->graph->nodes; node; node = node->next)
                if (streq(node->type->name, "builtin") && node->n_in == 0 && n-- == 0)
                        return node;
        return NULL;
}

/* The median of setting the source to something new and running the wave. */
static uint64_t measure(Lang *l, Node *n, uint64_t *ret_runs) {
        uint64_t samples[ROUNDS];

        for (int i = 0; i < ROUNDS; i++) {
                ChangeSet c = {};
                uint64_t before = l->graph->n_runs, begin = now_nsec();
                node_set(l->graph, n, VALUE_INT(i));
                if (lang_step(l, &c, NULL) < 0)
                        exit(1);
                samples[i] = now_nsec() - begin;
                *ret_runs = l->graph->n_runs - before;
                change_set_done(&c);
        }
        return median(samples, ROUNDS);
}

typedef struct Floor {
        int64_t (*run)(int64_t);
        int64_t value;
} Floor;

static int64_t add_one(int64_t x) {
        return x + 1;
}

static uint64_t measure_floor(void) {
        static Floor nodes[N];
        uint64_t samples[ROUNDS];

        for (int i = 0; i < N; i++)
                nodes[i].run = add_one;
        for (int round = 0; round < ROUNDS; round++) {
                uint64_t begin = now_nsec();
                __asm__ volatile("" : : "r"(nodes) : "memory");
                for (int i = 1; i < N; i++)
                        nodes[i].value = nodes[i].run(nodes[i - 1].value);
                samples[round] = now_nsec() - begin;
        }
        return median(samples, ROUNDS);
}

static char *chain(void) {
        StrBuf b = {};

        strbuf_puts(&b, "import \"math\"\n$x0 = math.fortytwo()\n");
        for (int i = 1; i < N; i++)
                strbuf_printf(&b, "$x%d = $x%d + 1\n", i, i - 1);
        strbuf_printf(&b, "count \"x\" {\n\tvalue => $x%d,\n}\n", N - 1);
        return strbuf_take(&b);
}

static char *many_sources(unsigned n) {
        StrBuf b = {};

        strbuf_puts(&b, "import \"math\"\n");
        for (unsigned i = 0; i < n; i++)
                strbuf_printf(&b, "count \"x%u\" {\n\tvalue => math.fortytwo() + %u,\n}\n", i, i);
        return strbuf_take(&b);
}

int main(void) {
        _cleanup_(schema_freep) Schema *schema = NULL;
        uint64_t n_runs;

        if (schema_parse(&schema, kinds, strlen(kinds), NULL) < 0)
                return 1;

        _cleanup_free_ char *text = chain();
        _cleanup_(lang_freep) Lang *l = start(schema, text);
        uint64_t nsec = measure(l, source(l, 0), &n_runs);
        report_each("a chain of 10,000 nodes, each node", nsec, measure_floor(), n_runs);

        for (unsigned n = 100; n <= N; n *= 10) {
                _cleanup_free_ char *sources = many_sources(n);
                _cleanup_(lang_freep) Lang *many = start(schema, sources);
                char title[128];
                nsec = measure(many, source(many, n / 2), &n_runs);
                (void) snprintf(title, sizeof(title), "one of %u sources changes, until the change set", n);
                report(title, nsec, 0);
        }
        return 0;
}
