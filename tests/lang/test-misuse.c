/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Functions that are called with anything. The compiler computes calls ahead of time where it wants to know a value, and that is
 * before it has looked at their types; so whatever stands in a call is computed or refused, and never read as what it is not. */

#include "common/strbuf.h"
#include "lang/builtins.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

enum { ARGS_MAX = 3, CALLS_PER_FUNCTION = 60 };

static const char *const values[] = {
        "true", "-1", "7", "2.5", "\"\"", "\"10.0.0.1/8\"", "[]", "[1, 2]", "[\"a\", \"b\"]", "[\"a\", 5]", "[[\"a\"], [5], 3]",
        "{\"a\" => \"b\"}", "{\"a\" => 1, \"b\" => [\"c\"]}", "{$n => 1, \"a\" => 2}", "struct{a => 1}",
        "[struct{a => 1}, struct{b => \"x\"}]", "func($x) { $x }", "$n", "fmt.printf(\"%v\", $n)",
};

static uint32_t random_below(uint32_t *state, uint32_t n) {
        *state = *state * 1664525 + 1013904223;
        return (*state >> 8) % n;
}

/* A format wants to know its values. */
static char *program_with_call(const Builtin *b, uint32_t *state) {
        size_t size;
        const char *module = builtin_module(b, &size);
        uint32_t n = random_below(state, ARGS_MAX + 1);
        StrBuf program = {};

        strbuf_puts(&program, "import \"fmt\"\n");
        if (size > 0)
                strbuf_printf(&program, "import \"%.*s\" as m\n", (int) size, module);
        strbuf_printf(&program, "$n = 42\ntest \"x\" {\n\tanotherstr => fmt.printf(\"%%v\", %s%s(", size > 0 ? "m." : "", builtin_title(b));
        for (uint32_t i = 0; i < n; i++)
                strbuf_printf(&program, "%s%s", i > 0 ? ", " : "", values[random_below(state, ELEMENTSOF(values))]);
        strbuf_puts(&program, ")),\n}\n");
        return strbuf_take(&program);
}

TEST(any_arguments_are_computed_or_refused) {
        uint32_t state = 1, n_refused = 0, n_compiled = 0;
        const Builtin *b;

        REQUIRE(mock_schema());
        for (size_t i = 0; (b = builtin_at(i)); i++) {
                if (*builtin_title(b) == '_')
                        continue;
                for (int k = 0; k < CALLS_PER_FUNCTION; k++) {
                        _cleanup_free_ char *program = program_with_call(b, &state);
                        _cleanup_(lang_freep) Lang *l = NULL;
                        _cleanup_(diags_done) Diags errors = {};

                        REQUIRE(program);
                        int r = mock_compile_text(&l, program, NULL, &errors);
                        CHECK(r >= 0 || errors.n > 0);
                        *(r < 0 ? &n_refused : &n_compiled) += 1;
                }
        }
        CHECK(n_refused > n_compiled && n_compiled > 0);
}

TEST_MAIN()
