/* SPDX-License-Identifier: GPL-3.0-or-later */

/* json:edit: what the edits name changes, all else stays to the last digit; what comes to the same is not written. */

#include "common/json-document.h"
#include "tests/daemons/engine/file-test.h"

extern const ResourceType json_edit_type;

/* Edits hold blanks, which lists of the rig do not. */
static int make_with(const char *store, const char *const *edits) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r;

        rig_unmake();
        r = resource_new(&rig.r, &json_edit_type, &rig.host.host, store, (Pos) { .file = "site.mcl", .line = 3, .column = 1 });
        if (r >= 0)
                r = value_list_from_strv(&v, (char *const *) edits);
        if (r >= 0)
                r = resource_set(rig.r, "edits", v, &rig.host.diag);
        if (r >= 0)
                r = resource_validate(rig.r, &rig.host.diag);
        return r < 0 ? r : rig.r->type->prepare(rig.r, &rig.host.diag);
}

#define MAKE(...) make_with(in_dir("f"), FIELDS(__VA_ARGS__))

/* after NULL: it is right as it is. */
TEST(edits) {
        static const struct {
                const char *before, *edits[4], *after;
        } cases[] = {
                { "{}", { ".a = 1" }, "{\n\t\"a\": 1\n}\n" },
                { " {\"b\" : 2,\"a\":1} ", { ".a=1" }, NULL },
                { "{\"b\":2,\"a\":1}", { ".a=3" }, "{\n\t\"a\": 3,\n\t\"b\": 2\n}\n" },
                { "{}", { ".a.b.c = \"x\"" }, "{\n\t\"a\": {\n\t\t\"b\": {\n\t\t\t\"c\": \"x\"\n\t\t}\n\t}\n}\n" },
                { "{}", { " .[\"a b\"][\"c\"].d = {\"y\": [], \"x\": {}} " },
                  "{\n\t\"a b\": {\n\t\t\"c\": {\n\t\t\t\"d\": {\n\t\t\t\t\"x\": {},\n\t\t\t\t\"y\": []\n\t\t\t}\n\t\t}\n\t}\n}\n" },
                { "{\"a\":{\"b\":1,\"c\":2}}", { "del( .a.[\"b\"] )" }, "{\n\t\"a\": {\n\t\t\"c\": 2\n\t}\n}\n" },
                { "{\"a\":1}", { "del(.b)", "del(.b.c)" }, NULL },
                { "{\"a\":1}", { ".b = 2", "del(.b)" }, NULL },
                { "{\"a\":1}", { ".b = 2", ".b = 3", ".c = [1,2]" }, "{\n\t\"a\": 1,\n\t\"b\": 3,\n\t\"c\": [\n\t\t1,\n\t\t2\n\t]\n}\n" },
                { "{\"a\":12345678901234567890123, \"b\":1.50e+3, \"c\":-0}", { ".d = null" },
                  "{\n\t\"a\": 12345678901234567890123,\n\t\"b\": 1.50e+3,\n\t\"c\": -0,\n\t\"d\": null\n}\n" },
                { "{\"a\":\"\\u0041\\ud83d\\ude00\\u0000\\n\\u001f\\/<\"}", { ".b=true" },
                  "{\n\t\"a\": \"A\xf0\x9f\x98\x80\\u0000\\n\\u001f/<\",\n\t\"b\": true\n}\n" },
                { "{\"a\\u0000b\":1,\"a\":2}", { ".a=3" }, "{\n\t\"a\": 3,\n\t\"a\\u0000b\": 1\n}\n" },
                { "{\"a\":1,\"a\":2}", { ".a=2" }, NULL },
                { "{\"a\":\"A\"}", { ".a=\"\\u0041\"" }, NULL },
                { "{\"a\":{\"x\":1,\"y\":2}}", { ".a={\"y\":2,\"x\":1}" }, NULL },
                { "{\"a\":1}", { ".a=1.0" }, "{\n\t\"a\": 1.0\n}\n" },
                { "{\"Z\":1,\"a\":1,\"\xc3\xa4\":1}", { "del(.Z)" }, "{\n\t\"a\": 1,\n\t\"\xc3\xa4\": 1\n}\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RIG();
                unsigned before = test_failures;
                put_file("f", cases[i].before);
                CHECK_INT(chmod(in_dir("f"), 0640), 0);
                CHECK_INT(make_with(in_dir("f"), cases[i].edits), 0);
                CHECK_INT(rig_apply(false), cases[i].after ? CHECK_CHANGED : CHECK_OK);
                check_file("f", cases[i].before);
                CHECK_INT(rig_apply(true), cases[i].after ? CHECK_CHANGED : CHECK_OK);
                check_file("f", cases[i].after ? cases[i].after : cases[i].before);
                CHECK_INT(rig_apply(true), CHECK_OK);
                CHECK_INT(mode_of("f"), 0640);
                CHECK_INT(n_entries(""), 1);
                if (test_failures > before)
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }
}

TEST(documents_that_are_none) {
        static const struct {
                const char *text, *message;
        } cases[] = {
                { "", "line 1, column 1: expected a value" },
                { "[]", "is no object" },
                { "null", "is no object" },
                { "{}\n\n {}", "line 3, column 2: expected nothing more" },
                { "{\"a\":1,}", "column 8: expected a string" },
                { "{\"a\" 1}", "expected ':'" },
                { "{\"a\":[1 2]}", "expected ',' or ']'" },
                { "{\"a\":1 \"b\":2}", "expected ',' or '}'" },
                { "{\"a\":01}", "expected ',' or '}'" },
                { "{\"a\":+1}", "expected a value" },
                { "{\"a\":1.}", "expected a digit after the point" },
                { "{\"a\":1e}", "expected a digit in the exponent" },
                { "{\"a\":NaN}", "expected a value" },
                { "{\"a\":\"\t\"}", "control character" },
                { "{\"a\":\"\\x\"}", "unknown escape" },
                { "{\"a\":\"\\u12\"}", "four hexadecimal digits" },
                { "{\"a\":\"\\ud800\"}", "half a surrogate pair" },
                { "{\"a\":\"\\ud800\\u0041\"}", "half a surrogate pair" },
                { "{\"a\":\"\\udc00\"}", "half a surrogate pair" },
                { "{\"a\":\"", "does not end" },
                { "{\"a\":\"\\", "does not end" },
                { "{\"a\":{\"x\":3}, \"b\":3}", "'b' is no object" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                RIG();
                put_file("f", cases[i].text);
                CHECK_INT(MAKE(".a.y = 1", ".b.c = 1"), 0);
                int r = rig_apply(true);
                CHECK(r < 0);
                CHECK(rig.host.diag.message && strstr(rig.host.diag.message, cases[i].message));
                CHECK_INT(rig.host.diag.pos.line, 3);
                check_file("f", cases[i].text);
                if (!rig.host.diag.message || !strstr(rig.host.diag.message, cases[i].message))
                        printf("# case %zu: %s\n", i, rig.host.diag.message ? rig.host.diag.message : "");
        }
}

TEST(many_levels) {
        RIG();
        StrBuf b = {};

        strbuf_puts(&b, "{\"a\":");
        for (int i = 0; i < 100000; i++)
                strbuf_putc(&b, '[');
        put_file("f", b.data);
        CHECK_INT(MAKE(".b=1"), 0);
        CHECK(rig_apply(true) < 0);
        CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "too many levels"));
        strbuf_done(&b);
}

TEST(files_that_are_none) {
        RIG();

        CHECK_INT(MAKE(".a=1"), 0);
        CHECK_INT(rig_apply(true), -ENOENT);
        CHECK_INT(rig_apply(false), -ENOENT);
        put_file("g", "{}");
        CHECK_INT(symlink("g", in_dir("f")), 0);
        CHECK_INT(rig_apply(true), -ELOOP);
        check_file("g", "{}");
        CHECK_INT(unlink(in_dir("f")), 0);
        make_dir("f");
        CHECK_INT(rig_apply(true), -EISDIR);
        CHECK_INT(rmdir(in_dir("f")), 0);
        CHECK_INT(mkfifo(in_dir("f"), 0600), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
}

TEST(what_is_different_is_told) {
        RIG();

        put_file("f", "{\n\t\"a\": 1\n}\n");
        CHECK_INT(MAKE(".a=2"), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK(rig.host.differences.data && strstr(rig.host.differences.data, "-\t\"a\": 1") && strstr(rig.host.differences.data, "+\t\"a\": 2"));
}

TEST(a_change_from_outside_is_seen) {
        RIG();

        put_file("f", "{\"a\":1}");
        CHECK_INT(MAKE(".a=1"), 0);
        CHECK_INT(rig.r->type->watch(rig.r, &rig.host.diag), 0);
        CHECK_INT(rig.host.n_armed, 1);
        CHECK_INT(rig_apply(true), CHECK_OK);
        rig_run(10000);
        rig.host.n_changed = 0;
        put_file("f", "{\"a\":2}");
        CHECK(RIG_UNTIL(rig.host.n_changed > 0));
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("f", "{\n\t\"a\": 1\n}\n");
}

TEST(stores) {
        static const char *const good[] = { "/f", "file:///f", "file:/f", "file:///a%20b" },
                *const bad[] = { "f", "", "file://host/f", "file:f", "file:///f?x", "file:///f#x", "file:///%zz", "file:///%00", "file:///f%2f",
                                 "etcd:///x", "http://x/y", "/f/", "file://" };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                CHECK_INT(make_with(good[i], FIELDS(".a=1")), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (make_with(bad[i], FIELDS(".a=1")) >= 0)
                        TEST_FAIL("store '%s' is taken", bad[i]);
        put_file("a b", "{}");
        _cleanup_free_ char *store = NULL;
        REQUIRE(asprintf(&store, "file://%s/a%%20b", rig.dir) > 0);
        CHECK_INT(make_with(store, FIELDS(".a=1")), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        check_file("a b", "{\n\t\"a\": 1\n}\n");
        CHECK_INT(make_with("file:///d/a%20b", FIELDS(".a=1")), 0);
        check_wants("file:/d/a b package-file:/d/a b | file:/d/ | file:/");
}

TEST(bad_edits) {
        static const char *const bad[] = { "", ".", ". = 1", ".a", ".a =", ".a = 1 2", ".a = x", "a = 1", ".1 = 1", ".a..b = 1", ".[a] = 1",
                                           ".[\"\"] = 1", ".[\"a\" = 1", ".a-b = 1", ".a[0] = 1", "del", "del(", "del()", "del(.)", "del(.a",
                                           "del(.a) x", "del(a)", "del .a", ".a. = 1", "del(.a) = 1" };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                if (MAKE(".x = 1", bad[i]) >= 0)
                        TEST_FAIL("edit '%s' is taken", bad[i]);
                CHECK(rig.host.diag.message && strstr(rig.host.diag.message, "edits: "));
        }
        CHECK(make_with(in_dir("f"), FIELDS()) < 0);
}

TEST_MAIN()
