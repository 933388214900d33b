/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the manual says of functions is so: each example is compiled as a program of its own, and comes to what stands beside it. */

#include <ctype.h>
#include <time.h>

#include "common/strbuf.h"
#include "lang/builtins.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

/* Names that a program cannot write are for the compiler alone. */
static bool is_internal(const Builtin *b) {
        return *builtin_title(b) == '_';
}

static void check_row(const Builtin *b) {
        size_t n = strlen(b->doc ?: ""), module_size;
        _cleanup_free_ char *call = NULL;
        const char *module = builtin_module(b, &module_size), *alias = module + module_size;

        if (n == 0 || b->doc[n - 1] != '.' || strchr(b->doc, '\n') || isspace((unsigned char) *b->doc))
                TEST_FAIL("%s: its doc is no sentence: '%s'", b->name, b->doc ?: "");
        if (is_internal(b) || streq(b->name, "golang/math/rand.int"))    /* a keyword: only templates can call it */
                return;
        while (alias > module && alias[-1] != '/')
                alias--;
        if (asprintf(&call, "%s(", alias) < 0)
                return;
        if (!b->example || !strstr(b->example, call))
                TEST_FAIL("%s: its example does not call it: '%s'", b->name, b->example ?: "");
        if ((b->flags & BUILTIN_PURE) && !b->gives)
                TEST_FAIL("%s: it has the same value everywhere, but not in its example", b->name);
}

TEST(functions_have_a_sentence_and_an_example) {
        const Builtin *b;

        for (size_t i = 0; (b = builtin_at(i)); i++)
                check_row(b);
}

/* panic is a statement. What has no value to be compared is bound to a name only. */
static char *program_of(const Builtin *b) {
        StrBuf program = {};
        size_t n;
        const char *module = builtin_module(b, &n);

        if (n > 0)
                strbuf_printf(&program, "import \"%.*s\"\n", (int) n, module);
        if (b->gives)
                strbuf_printf(&program, "test \"x\" {\n\tinterface => %s,\n}\n", b->example);
        else
                strbuf_printf(&program, "%s%s\n", streq(b->name, "panic") ? "" : "$x = ", b->example);
        return strbuf_take(&program);
}

static void check_value(const Builtin *b, Lang *l) {
        _cleanup_(change_set_done) ChangeSet changes = {};
        _cleanup_(diag_done) Diag error = {};

        if (lang_start(l, &changes, &error) < 0 || changes.n_put != 1 || changes.put[0].n_fields != 1) {
                TEST_FAIL("%s: %s does not run: %s", b->name, b->example, error.message ?: "?");
                return;
        }
        _cleanup_free_ char *got = value_text(changes.put[0].fields[0].value);
        if (!got || !streq(got, b->gives))
                TEST_FAIL("%s: %s is\n#   %s\n# not\n#   %s", b->name, b->example, got ?: "(null)", b->gives);
}

static void check_example(const Builtin *b) {
        _cleanup_free_ char *program = program_of(b);
        const MockFile files[] = { { "/main.mcl", program }, { "/files/motd", "welcome\n" }, {} };
        _cleanup_(lang_freep) Lang *l = NULL;
        _cleanup_(diags_done) Diags errors = {};

        if (!program || mock_compile(&l, files, NULL, &errors) < 0)
                TEST_FAIL("%s: %s does not compile: %s", b->name, b->example, errors.n > 0 ? errors.items[0].message : "?");
        else if (b->gives)
                check_value(b, l);
}

TEST(examples_come_to_what_they_say) {
        const Builtin *b;

        REQUIRE(mock_schema());
        setenv("TZ", "UTC0", 1);
        tzset();
        for (size_t i = 0; (b = builtin_at(i)); i++)
                if (b->example)
                        check_example(b);
}

TEST_MAIN()
