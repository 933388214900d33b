/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an argument of mgmtctl stands for, and which files of a program travel under which names. */

#include <fcntl.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/mgmtctl/input.h"
#include "tests/test.h"

typedef struct Place {
        char directory[64];
        char *before;           /* the working directory */
        Schema *schema;
} Place;

static void put(const char *path, const char *text) {
        char *copy = strdup(path), *slash = strrchr(copy, '/');

        if (slash) {
                *slash = '\0';
                if (make_directories(copy, 0755) < 0)
                        abort();
        }
        free(copy);
        if (write_file_atomic_at(AT_FDCWD, path, text, strlen(text), 0644, false) < 0)
                abort();
}

static void place_start(Place *p) {
        static const char kinds[] =
                "[{ \"kind\": \"noop\", \"daemon\": \"engine\", \"doc\": \"x\", \"flags\": [], \"groups\": false,"
                " \"reversible\": false, \"edgeable\": false, \"fields\": [], \"sends\": [] }]";

        *p = (Place) { .directory = "/tmp/mgmt-test-input-XXXXXX", .before = getcwd(NULL, 0) };
        if (!mkdtemp(p->directory) || chdir(p->directory) < 0 || schema_parse(&p->schema, kinds, strlen(kinds), NULL) < 0)
                abort();
        put("site/main.mcl", "noop \"main\" {}\n");
        put("site/files/a", "a");
        put("other.mcl", "noop \"other\" {}\n");
        put("module/metadata.yaml", "main: deep/start.mcl\n");
        put("module/deep/start.mcl", "noop \"start\" {}\n");
        put("module/files/a", "a");
        put("module/files/deep/b", "b");
        put("module/unrelated", "x");
        put("odd name.mcl", "noop \"odd\" {}\n");
        if (make_directories("empty", 0755) < 0)
                abort();
}

static void place_end(Place *p) {
        if (chdir(p->before) < 0 || remove_tree(p->directory) < 0)
                abort();
        free(p->before);
        schema_free(p->schema);
}

TEST(an_argument_is_one_of_a_few_things) {
        Place p;
        place_start(&p);
        static const struct {
                const char *text, *base, *entry;        /* below the directory */
                const char *code;
        } cases[] = {
                { "site",                 "site/",   "site/main.mcl" },
                { "site/",                "site/",   "site/main.mcl" },
                { "site/main.mcl",        "site/",   "site/main.mcl" },
                { "./site/../other.mcl",  "",        "other.mcl" },
                { "other.mcl",            "",        "other.mcl" },
                { "module",               "module/", "module/metadata.yaml" },
                { "module/metadata.yaml", "module/", "module/metadata.yaml" },
                { "module/deep/start.mcl", "module/deep/", "module/deep/start.mcl" },
                { "noop \"x\" {}",        "",        "main.mcl", "noop \"x\" {}" },
                { "no such thing",        "",        "main.mcl", "no such thing" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(input_done) Input input = {};
                _cleanup_(diag_done) Diag d = {};

                if (input_resolve(&input, cases[i].text, NULL, &d) < 0) {
                        TEST_FAIL("'%s': %s", cases[i].text, d.message);
                        continue;
                }
                const char *base = startswith(input.base, p.directory), *entry = startswith(input.entry, p.directory);
                CHECK_STR(base ? base + 1 : NULL, cases[i].base);
                CHECK_STR(entry ? entry + 1 : NULL, cases[i].entry);
                CHECK_STR(input.code, cases[i].code);
        }
        place_end(&p);
}

TEST(an_argument_may_be_wrong) {
        Place p;
        place_start(&p);
        static const struct {
                const char *text, *module_path, *message;
        } cases[] = {
                { "",               NULL,      "empty" },
                { "metadata.yaml",  NULL,      "./metadata.yaml" },
                { "nowhere.mcl",    NULL,      "nowhere.mcl" },
                { "nowhere/",       NULL,      "nowhere/" },
                { "empty",          NULL,      "main.mcl" },
                { "empty/",         NULL,      "main.mcl" },
                { "other.mcl",      "modules", "slash" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(input_done) Input input = {};
                _cleanup_(diag_done) Diag d = {};
                int r = input_resolve(&input, cases[i].text, cases[i].module_path, &d);

                if (r >= 0 || !d.message || !strstr(d.message, cases[i].message) || input.base)
                        TEST_FAIL("'%s': %d (%s)", cases[i].text, r, d.message ? d.message : "no message");
        }
        place_end(&p);
}

static const char *bundle_file(Value bundle, const char *path) {
        _cleanup_(value_done) Value key = {};
        const Value *v = value_strz(&key, path) >= 0 ? value_map_get(bundle, key) : NULL;

        return v ? value_cstr(*v) : NULL;
}

static int make_bundle(const Place *p, const char *text, Value *ret) {
        _cleanup_(input_done) Input input = {};
        _cleanup_(lang_freep) Lang *lang = NULL;
        _cleanup_(diags_done) Diags diags = {};
        int r = input_resolve(&input, text, NULL, NULL);

        if (r >= 0)
                r = input_compile(&input, p->schema, "host", false, &lang, &diags);
        for (size_t i = 0; i < diags.n; i++)
                printf("# %s\n", diags.items[i].message);
        return r < 0 ? r : input_bundle(&input, lang, ret, NULL);
}

TEST(a_bundle_has_what_the_program_needs) {
        Place p;
        place_start(&p);
        static const struct {
                const char *text;
                const char *files[8];   /* path, content, …; NULL content: whatever it is */
        } cases[] = {
                { "other.mcl",     { "/metadata.yaml", "main: \"other.mcl\"\n", "/other.mcl", "noop \"other\" {}\n" } },
                { "site",          { "/metadata.yaml", "main: \"main.mcl\"\n", "/main.mcl", "noop \"main\" {}\n" } },
                { "odd name.mcl",  { "/metadata.yaml", "main: \"odd name.mcl\"\n", "/odd name.mcl", "noop \"odd\" {}\n" } },
                { "noop \"x\" {}", { "/metadata.yaml", "main: \"main.mcl\"\n", "/main.mcl", "noop \"x\" {}" } },
                { "module",        { "/metadata.yaml", "main: deep/start.mcl\n", "/deep/start.mcl", "noop \"start\" {}\n",
                                     "/files/a", "a", "/files/deep/b", "b" } },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value bundle = {};
                size_t n = 0;

                REQUIRE(make_bundle(&p, cases[i].text, &bundle) >= 0);
                for (; n < ELEMENTSOF(cases[i].files) && cases[i].files[n]; n += 2)
                        CHECK_STR(bundle_file(bundle, cases[i].files[n]), cases[i].files[n + 1]);
                CHECK_INT(bundle.m->n, n / 2);
        }
        place_end(&p);
}

TEST(a_program_of_one_file_is_bundled_without_a_compiler) {
        static const struct {
                const char *text;
                bool alone;
        } cases[] = {
                { "other.mcl", true }, { "site", true }, { "noop \"x\" {}", true }, { "noop {", true }, { "module", false },
                { "import \"fmt\"\nnoop \"x\" {}", false }, { "# important\nnoop \"x\" {}", false },
        };
        Place p;

        place_start(&p);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value alone = {}, compiled = {};
                _cleanup_(input_done) Input input = {};

                REQUIRE(input_resolve(&input, cases[i].text, NULL, NULL) >= 0);
                CHECK_INT(input_bundle_alone(&input, &alone, NULL), cases[i].alone ? 0 : -ENODATA);
                if (cases[i].alone && make_bundle(&p, cases[i].text, &compiled) >= 0)
                        CHECK(value_equal(alone, compiled));
        }
        place_end(&p);
}

TEST(places_lead_back_to_the_files) {
        Place p;
        place_start(&p);
        _cleanup_(input_done) Input input = {}, code = {};

        REQUIRE(input_resolve(&input, "module", NULL, NULL) >= 0);
        _cleanup_free_ char *path = input_from_bundle(&input, "/deep/start.mcl"), *shown = input_display(&input, path);
        CHECK_STR(shown, "module/deep/start.mcl");
        size_t size;
        _cleanup_free_ char *source = input_source(&input, path, &size);
        CHECK_STR(source, "noop \"start\" {}\n");

        REQUIRE(input_resolve(&code, "noop \"x\" {}", NULL, NULL) >= 0);
        _cleanup_free_ char *code_path = input_from_bundle(&code, "/main.mcl"), *code_shown = input_display(&code, code_path);
        CHECK_STR(code_shown, "<code>");
        _cleanup_free_ char *code_source = input_source(&code, code_path, &size);
        CHECK_STR(code_source, "noop \"x\" {}");
        place_end(&p);
}

TEST_MAIN()
