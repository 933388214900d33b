/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What editors ask, as the compiler answers it. The cursor is where | stands in the text; how an editor asks is tested by tests/lsp. */

#include "lang/query.h"
#include "tests/common/alloc.h"
#include "tests/lang/mock-host.h"
#include "tests/test.h"

typedef struct Text {
        char text[1024];
        QueryPlace at;
        const char *lib;
} Text;

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        const Text *t = userdata;
        const char *text = streq(path, "/main.mcl") ? t->text : streq(path, "/lib.mcl") ? t->lib : NULL;

        if (!text)
                return -ENOENT;
        *ret_size = strlen(text);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static void text_init(Text *t, const char *marked) {
        const char *mark = strstr(marked, "|");

        *t = (Text) { .lib = "# Of all.\n$answer = 42\n" };
        (void) snprintf(t->text, sizeof(t->text), "%.*s%s", (int) (mark - marked), marked, mark + 1);
        t->at = (QueryPlace) { .file = "/main.mcl", .text = t->text, .size = strlen(t->text), .line = 1, .column = 1 };
        for (const char *c = marked; c < mark; c++)
                if (*c == '\n') {
                        t->at.line++;
                        t->at.column = 1;
                } else if (((unsigned char) *c & 0xc0) != 0x80)
                        t->at.column++;
}

static Lang *compile(Text *t) {
        const LangHost host = { .userdata = t, .schema = mock_schema(), .hostname = "tester", .read_file = read_file };
        Diags errors = {};
        Lang *l = NULL;

        (void) lang_compile(&l, &host, &(LangOptions) { .entry = "/main.mcl", .keep = true }, &errors);
        diags_done(&errors);
        return l;
}

TEST(what_stands_at_a_place) {
        static const struct { const char *text, *name, *type, *doc, *definition; } cases[] = {
                { "$x = 1\n$y = $|x\n", "$x", "int", NULL, "/main.mcl:1:1" },
                { "$x = 1\n$y = |$x\n", "$x", "int", NULL, "/main.mcl:1:1" },
                { "$x = 1\n$y = $x|\n", "$x", "int", NULL, "/main.mcl:1:1" },
                { "# Doc.\n$x = 1\n$y = $|x\n", "$x", "int", "Doc.", "/main.mcl:2:1" },
                { "# Far.\n\n$x = 1\n$y = $|x\n", "$x", "int", NULL, "/main.mcl:3:1" },
                { "$z = 2 # Behind.\n$x = 1\n$y = $|x\n", "$x", "int", NULL, "/main.mcl:2:1" },
                { "$x = \"a\"\ntest \"é${|x}\" {}\n", "$x", "str", NULL, "/main.mcl:1:1" },
                { "$x = \"a\"\ntest \"\\${|x}\" {}\n", NULL, NULL, NULL, NULL },
                { "import \"lib.mcl\"\n$y = $lib . |answer\n", "$lib.answer", "int", "Of all.", "/lib.mcl:2:1" },
                { "import \"lib.mcl\"\n$y = $l|ib.answer\n", "$lib", "import \"lib.mcl\"", NULL, "/main.mcl:1:1" },
                { "import \"li|b.mcl\"\n", "lib.mcl", NULL, NULL, "/lib.mcl:1:1" },
                { "func f($a int) int { $a }\n$y = |f(1)\n", "f", "func f($a int) int", NULL, "/main.mcl:1:1" },
                { "func f($a int) int { $|a }\n$y = f(1)\n", "$a", "int", NULL, "/main.mcl:1:8" },
                { "func f($a) { $|a }\ntest \"x\" {\n\tint8 => f(1),\n}\n", "$a", "int", NULL, "/main.mcl:1:8" },
                { "class c($a) {\n\ttest $|a {}\n}\ninclude c(\"x\")\n", "$a", "str", NULL, "/main.mcl:1:9" },
                { "class c($a) {\n\ttest $|a {}\n}\n", "$a", NULL, NULL, "/main.mcl:1:9" },
                { "for $i, $v in [\"a\"] {\n\tfile \"/x\" {\n\t\tcontent => $|v,\n\t}\n}\n", "$v", "str", NULL, "/main.mcl:1:9" },
                { "$f = func($a) { $a + |$a }\ntest \"x\" {\n\tint8 => $f(1),\n}\n", "$a", "int", NULL, "/main.mcl:1:11" },
                { "$x = 1\nif true {\n\t$x = \"inner\"\n\ttest |$x {}\n}\n", "$x", "str", NULL, "/main.mcl:3:2" },
                { "$x = 1\n$y = $nope\n$z = $|x\n", "$x", NULL, NULL, "/main.mcl:1:1" },         /* a program with an error */
                { "$x = 1\n|\n", NULL, NULL, NULL, NULL },
                { "$x = 1 # $|x\n", NULL, NULL, NULL, NULL },
                { "|", NULL, NULL, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *place = NULL;
                QueryItem item = {};
                Pos pos;
                Text t;

                text_init(&t, cases[i].text);
                _cleanup_(lang_freep) Lang *l = compile(&t);
                REQUIRE(l);
                int r = query_at(l, &t.at, &item, &pos);
                unsigned before = test_failures;
                CHECK_INT(r, cases[i].name != NULL);
                CHECK_STR(item.name, cases[i].name);
                if (cases[i].type)
                        CHECK_STR(item.type, cases[i].type);
                CHECK_STR(item.doc, cases[i].doc);
                if (item.definition.line > 0 && asprintf(&place, "%s:%u:%u", item.definition.file, item.definition.line,
                                                         item.definition.column) < 0)
                        place = NULL;
                CHECK_STR(place, cases[i].definition);
                if (test_failures > before)
                        printf("# in: %s\n", cases[i].text);
        }
}

static int count(void *userdata, const QueryItem *item) {
        (*(size_t *) userdata)++;
        return 0;
}

/* Everything freed, whatever fails; looking does not change the program. */
TEST(memory_that_runs_out) {
        static const char program[] = "import \"fmt\"\nimport \"lib.mcl\"\n# Doc.\n$x = $lib.answer\nclass c($a) {\n\t$b = $a\n}\n"
                                      "include c(\"x\") as i\nfunc f($p) { $p }\nfile \"x\" {\n\tcontent => fmt.printf(\"%d\", $|x),\n}\n";
        Text t;

        text_init(&t, program);
        for (uint64_t n = 1; n < 100000; n++) {
                size_t before = alloc_bytes(), names = 0;
                QueryItem item;
                uint32_t column;
                bool failed;
                int at = 0, complete = 0;

                Lang *l = compile(&t);
                REQUIRE(l);
                alloc_fail_at(n);
                at = query_at(l, &t.at, &item, NULL);
                complete = query_complete(l, &t.at, count, &names, &column);
                failed = alloc_failed();
                lang_free(l);
                CHECK_INT(alloc_bytes(), before);
                CHECK(at >= 0 || at == -ENOMEM);
                CHECK(complete == 0 || complete == -ENOMEM);
                if (!failed) {
                        CHECK_INT(at, 1);
                        CHECK(names > 0);
                        return;
                }
        }
        CHECK(false);
}

TEST_MAIN()
