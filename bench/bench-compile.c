/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Programs of 1,000, 10,000 and 100,000 lines through all static stages: what a token costs, and whether it stays that. Then what
 * inference makes of deep nesting and of many calls. The floor of a token is one pass over its bytes. */

#include <string.h>

#include "bench/bench.h"
#include "common/strbuf.h"
#include "lang/program.h"

enum { ROUNDS = 5 };

static const char kinds[] =
        "[{\"kind\": \"file\", \"daemon\": \"x\", \"doc\": \"x\", \"flags\": [], \"sends\": [], \"fields\": ["
        "{\"name\": \"content\", \"native\": \"Content\", \"type\": \"string\", \"mcl\": \"str\", \"flags\": [], \"doc\": \"x\"},"
        "{\"name\": \"mode\", \"native\": \"Mode\", \"type\": \"string\", \"mcl\": \"str\", \"flags\": [], \"doc\": \"x\"}]}]";

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        if (!streq(path, "/main.mcl"))
                return -ENOENT;
        *ret = strdup(userdata);
        *ret_size = strlen(userdata);
        return *ret ? 0 : -ENOMEM;
}

static Lang *compile(const Schema *schema, char *text) {
        const LangHost host = { .userdata = text, .schema = schema, .hostname = "bench", .read_file = read_file };
        const LangOptions options = { .entry = "/main.mcl" };
        _cleanup_(diags_done) Diags errors = {};
        Lang *l = NULL;

        if (lang_compile(&l, &host, &options, &errors) < 0)
                fprintf(stderr, "%s\n", errors.n > 0 ? errors.items[0].message : "no error");
        return l;
}

/* Ten lines of what people write, again and again. */
static char *ordinary(unsigned n_lines) {
        StrBuf b = {};

        strbuf_puts(&b, "import \"fmt\"\nfunc greet($who) {\n\t\"hello \" + $who\n}\n");
        for (unsigned i = 0; i * 10 < n_lines; i++)
                strbuf_printf(&b, "$name%u = \"value %u\" # a comment\n$text%u = greet($name%u)\nif %u > 3 {\n\tfile \"/tmp/a%u\" {\n"
                                  "\t\tcontent => fmt.printf(\"%%s and %%d\\n\", $text%u, %u + 1),\n\t\tmode => \"0644\",\n\n"
                                  "\t\tMeta:retry => 3,\n\t}\n}\n", i, i, i, i, i, i, i, i);
        return strbuf_take(&b);
}

static char *deep_lists(unsigned n) {
        StrBuf b = {};

        strbuf_puts(&b, "$x0 = [1]\n");
        for (unsigned i = 1; i < n; i++)
                strbuf_printf(&b, "$x%u = [$x%u]\n", i, i - 1);
        strbuf_printf(&b, "file \"/x\" {\n\tcontent => if $x%u == $x%u { \"a\" } else { \"b\" },\n}\n", n - 1, n - 1);
        return strbuf_take(&b);
}

static char *many_calls(unsigned n) {
        StrBuf b = {};

        strbuf_puts(&b, "import \"fmt\"\nfunc pair($a, $b) {\n\tfmt.printf(\"%s %s\", $a, $b)\n}\n");
        for (unsigned i = 0; i < n; i++)
                strbuf_printf(&b, "file \"/tmp/a%u\" {\n\tcontent => pair(\"a\", pair(\"b\", \"c%u\")),\n}\n", i, i);
        return strbuf_take(&b);
}

/* The best of a few rounds, and how large it became. */
static uint64_t measure(const Schema *schema, char *text, uint64_t *ret_tokens, size_t *ret_bytes) {
        uint64_t best = UINT64_MAX;

        for (int i = 0; i < ROUNDS; i++) {
                uint64_t begin = now_nsec();
                Lang *l = compile(schema, text);
                uint64_t end = now_nsec();
                if (!l)
                        exit(1);
                *ret_tokens = l->main->ast.n_tokens;
                *ret_bytes = arena_used(l->arena);
                best = MIN(best, end - begin);
                lang_free(l);
        }
        return best;
}

static uint64_t measure_floor(const char *text) {
        uint64_t begin = now_nsec(), sum = 0;

        for (const char *c = text; *c; c++)
                sum = sum * 31 + (unsigned char) *c;
        __asm__ volatile("" : : "r"(sum));
        return now_nsec() - begin;
}

static void run(const Schema *schema, const char *what, char *(*make)(unsigned), const unsigned *sizes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *text = make(sizes[i]);
                char title[128];
                uint64_t tokens;
                size_t bytes;
                if (!text)
                        exit(1);
                uint64_t nsec = measure(schema, text, &tokens, &bytes);
                (void) snprintf(title, sizeof(title), "%s %u: %.1f ms, %zu bytes a token; a token", what, sizes[i], (double) nsec / 1e6,
                                (size_t) (bytes / tokens));
                report_each(title, nsec, measure_floor(text), tokens);
        }
}

int main(void) {
        _cleanup_(schema_freep) Schema *schema = NULL;

        if (schema_parse(&schema, kinds, strlen(kinds), NULL) < 0)
                return 1;
        run(schema, "lines", ordinary, (const unsigned[]) { 1000, 10000, 100000 }, 3);
        run(schema, "nested lists", deep_lists, (const unsigned[]) { 15, 30, 60 }, 3);
        run(schema, "calls", many_calls, (const unsigned[]) { 1000, 10000 }, 2);
        return 0;
}
