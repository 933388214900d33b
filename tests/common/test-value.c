/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Types and values: their texts, their order, their JSON. */

#include <json.h>
#include <math.h>

#include "common/arena.h"
#include "common/field.h"
#include "common/strbuf.h"
#include "common/type.h"
#include "common/value.h"
#include "tests/test.h"

static char *text_of(const char *literal) {
        _cleanup_(value_done) Value v = {};
        _cleanup_(diag_done) Diag d = {};

        return value_parse(literal, NULL, &v, &d) < 0 ? diag_text(&d) : value_text(v);
}

/* ---- types ---- */

TEST(type_texts) {
        static const struct {
                const char *text, *want;        /* NULL: the same */
        } good[] = {
                { "nil" }, { "bool" }, { "str" }, { "int" }, { "float" }, { "variant" },
                { "[]str" }, { "[][]int" }, { "map{str: int}" }, { " map{ str:int } ", "map{str: int}" },
                { "map{struct{a int}: []map{int: bool}}" },
                { "struct{}" }, { "struct{a int; b str}" }, { "struct{a int;b str;}", "struct{a int; b str}" },
                { "func()" }, { "func() int" }, { "func(a int, b str) bool" },
                { "func(int, str) bool", "func(0 int, 1 str) bool" },
                { "func(int, b str)", "func(0 int, b str)" },
                { "func(int int, str)", "func(int int, 1 str)" },       /* a name may be spelled like a type */
                { "func(func(a str) int) func() []str", "func(0 func(a str) int) func() []str" },
                { "func(map{str: int}, struct{x int}, []?3) ?3", "func(0 map{str: int}, 1 struct{x int}, 2 []?1) ?1" },
                { "map{?7: ?2}", "map{?1: ?2}" }, { "struct{a ?9; b ?4; c ?9}", "struct{a ?1; b ?2; c ?1}" },
                { "?4294967295", "?1" },
                { "struct{bad-name int}" },
                { "[]func() str" }, { "map{str: func() int}" },
        };
        static const char *const bad[] = {
                "", " ", "in", "integer", "int x", "[]", "[", "[]str]", "map{str}", "map{str: int", "map{str: int}}", "map{: int}",
                "struct{a}", "struct{a int", "struct{a int b str}", "struct{a int; a int}", "struct{;}", "struct", "func", "func(",
                "func(a b)", "func(int,, str)", "func(,)", "?", "?0", "?01", "?4294967296", "?-1", "str,", "Str", "\t\tint",
        };
        _cleanup_(arena_freep) Arena *a = arena_new(0);

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                const Type *t, *again;
                _cleanup_(diag_done) Diag d = {};
                if (type_parse(a, good[i].text, &t, &d) < 0) {
                        TEST_FAIL("%s", d.message);
                        continue;
                }
                _cleanup_free_ char *text = type_text(t);
                CHECK_STR(text, good[i].want ?: good[i].text);
                CHECK_INT(type_parse(a, text, &again, NULL), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                const Type *t;
                _cleanup_(diag_done) Diag d = {};
                if (type_parse(a, bad[i], &t, &d) != -EINVAL)
                        TEST_FAIL("'%s' is taken for a type", bad[i]);
                CHECK(d.message);
        }
}

TEST(type_nesting_is_limited) {
        _cleanup_(arena_freep) Arena *a = arena_new(0);
        StrBuf b = {};
        const Type *t;

        for (unsigned i = 0; i < VALUE_DEPTH_MAX - 1; i++)
                strbuf_puts(&b, "[]");
        strbuf_puts(&b, "int");
        CHECK_INT(type_parse(a, b.data, &t, NULL), 0);
        for (unsigned i = 0; i < 100000; i++)
                strbuf_puts(&b, "[]");
        _cleanup_free_ char *deep = strbuf_take(&b);
        memmove(deep + strlen(deep) - 3, deep + 2 * (VALUE_DEPTH_MAX - 1), 3);
        memcpy(deep + 2 * (VALUE_DEPTH_MAX - 1), "[][", 3);
        CHECK_INT(type_parse(a, deep, &t, NULL), -E2BIG);

        StrBuf wide = {};
        strbuf_puts(&wide, "struct{");
        for (unsigned i = 0; i <= TYPE_FIELDS_MAX; i++)
                strbuf_printf(&wide, "a%u int; ", i);
        strbuf_puts(&wide, "}");
        _cleanup_free_ char *text = strbuf_take(&wide);
        CHECK_INT(type_parse(a, text, &t, NULL), -E2BIG);
}

TEST(type_comparison_says_how) {
        static const struct {
                const char *a, *b, *want;
        } cases[] = {
                { "int", "int", NULL },
                { "int", "str", "base kind does not match (int != str)" },
                { "[]int", "[]str", "base kind does not match (int != str)" },
                { "[]int", "map{int: int}", "base kind does not match (list != map)" },
                { "map{int: int}", "map{str: int}", "base kind does not match (int != str)" },
                { "struct{a int}", "struct{a int; b int}", "struct field count differs" },
                { "struct{a int; b int}", "struct{b int; a int}", "struct fields differ" },
                { "struct{a int; b int}", "struct{a int; b str}", "base kind does not match (int != str)" },
                { "func(a int) str", "func(b int) str", NULL },
                { "func(int) str", "func(int, int) str", "func arg count differs" },
                { "func(int) str", "func(int)", "func result differs" },
                { "func(int) str", "func(str) str", "base kind does not match (int != str)" },
                { "?1", "?1", NULL },
                { "?1", "?2", "type variables differ" },
        };
        _cleanup_(arena_freep) Arena *arena = arena_new(0);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Type *a, *b;
                _cleanup_(diag_done) Diag d = {};
                REQUIRE(type_parse(arena, cases[i].a, &a, NULL) == 0 && type_parse(arena, cases[i].b, &b, NULL) == 0);
                CHECK_INT(type_compare(a, b, &d), cases[i].want ? -EINVAL : 0);
                CHECK_STR(d.message, cases[i].want);
                CHECK_INT(type_equal(b, a), !cases[i].want);
        }
}

TEST(type_hashable) {
        static const struct {
                const char *text;
                bool want;
        } cases[] = {
                { "bool", true }, { "str", true }, { "int", true }, { "float", true }, { "struct{}", true },
                { "struct{a int; b struct{c str}}", true }, { "[]int", false }, { "map{int: int}", false }, { "func()", false },
                { "variant", false }, { "nil", false }, { "struct{a struct{b []int}}", false }, { "?1", false },
        };
        _cleanup_(arena_freep) Arena *arena = arena_new(0);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Type *t;
                REQUIRE(type_parse(arena, cases[i].text, &t, NULL) == 0);
                CHECK_INT(type_is_hashable(t), cases[i].want);
        }
}

/* ---- texts of values ---- */

TEST(float_texts) {
        static const struct {
                double f;
                const char *want;
        } cases[] = {
                { 0, "0" }, { -0.0, "-0" }, { 42, "42" }, { 4.2, "4.2" }, { 0.1, "0.1" }, { 1000000, "1000000" }, { -1.5, "-1.5" },
                { 1e20, "100000000000000000000" }, { 1e-7, "0.0000001" }, { 0.1 + 0.2, "0.30000000000000004" },
                { 1.0 / 3, "0.3333333333333333" }, { 2.0 / 3, "0.6666666666666666" }, { 123456789.125, "123456789.125" },
                { 9007199254740993.0, "9007199254740992" }, { 5e-324, NULL }, { 0x1p-44, "0.00000000000005684341886080802" },
                { NAN, "NaN" }, { INFINITY, "+Inf" }, { -INFINITY, "-Inf" }, { 99.99, "99.99" }, { 9.5, "9.5" }, { 1e23, "100000000000000000000000" },
        };
        char text[FLOAT_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK_INT(float_text(cases[i].f, text), strlen(text));
                if (cases[i].want)
                        CHECK_STR(text, cases[i].want);
        }
        CHECK_INT(float_text(5e-324, text), 2 + 324);
        CHECK_STR(text + 2 + 323, "5");
        CHECK_INT(float_text(-1.7976931348623157e308, text), 310);
        CHECK(startswith(text, "-179769313486231570"));
        CHECK(float_text(-2.2250738585072014e-308, text) < FLOAT_TEXT_MAX);

        /* Whatever the bits, the text reads back as the same number. */
        srandom(1);
        for (unsigned i = 0; i < 50000; i++) {
                uint64_t bits = (uint64_t) random() << 42 ^ (uint64_t) random() << 21 ^ (uint64_t) random();
                double f;
                memcpy(&f, &bits, sizeof(f));
                if (isnan(f))
                        continue;
                size_t n = float_text(f, text);
                REQUIRE(n < FLOAT_TEXT_MAX && !strchr(text, 'e'));
                REQUIRE(strtod(text, NULL) == f);
        }
}

TEST(value_texts) {
        static const struct {
                const char *literal, *want;     /* NULL: the same */
        } cases[] = {
                { "true" }, { "false" }, { "nil" }, { "-9223372036854775808" }, { "9223372036854775807" }, { "NaN" }, { "-Inf" },
                { "[]" }, { "{}" }, { "struct{}" }, { "[1, 2]" }, { "[[], [\"a\"]]" },
                { "4.0", "4" }, { "007", "7" }, { "-0.0", "-0" },
                { "\"a\\nb\\x07\\u00fc\\$\"", "\"a\\nb\\a\xc3\xbc$\"" },
                { "{\"b\" => 1, \"a\" => 2,}", "{\"a\": 2, \"b\": 1}" },
                { "{10: 1, 9: 2, -1: 3}", "{-1: 3, 9: 2, 10: 1}" },
                { "{true: 1, false: 2}", "{false: 2, true: 1}" },
                { "{\"k\": 1, \"k\": 2, \"j\": 3, \"k\": 4}", "{\"j\": 3, \"k\": 4}" },     /* the later one wins */
                { "{0.0: 1, -0.0: 2}", "{-0: 2}" },             /* one key */
                { "{NaN: 1, 1.5: 2, NaN: 3}", "{NaN: 1, NaN: 3, 1.5: 2}" },    /* never equal to itself */
                { "{\"\xff\": 1, \"z\": 2, \"\xc3\xbc\": 3}", "{\"z\": 2, \"\xc3\xbc\": 3, \"\\xff\": 1}" },   /* bytewise */
                { "struct{a => 1, b => \"x\",}", "struct{a: 1; b: \"x\"}" },
                { "struct{a: 1; b: struct{c: [1.5]}}" },
                /* Keys that are structs are ordered by their text: 10 before 9, "a b" before "a". */
                { "{struct{a: 9}: 1, struct{a: 10}: 2}", "{struct{a: 10}: 2, struct{a: 9}: 1}" },
                { "{struct{a: 1}: 1, struct{a: 10}: 2}", "{struct{a: 10}: 2, struct{a: 1}: 1}" },
                { "{struct{a: 1; b: 0}: 1, struct{a: 10; b: 0}: 2}", "{struct{a: 10; b: 0}: 2, struct{a: 1; b: 0}: 1}" },
                { "{struct{a: 1.5}: 1, struct{a: 1.25}: 2, struct{a: -1.0}: 3}", "{struct{a: -1}: 3, struct{a: 1.25}: 2, struct{a: 1.5}: 1}" },
                { "{struct{a: -0.0}: 1, struct{a: 0.0}: 2}", "{struct{a: 0}: 2}" },             /* one key */
                { "{struct{a: 0.0}: 1, struct{a: -0.0}: 2}", "{struct{a: -0}: 2}" },
                { "{struct{a: \"a\"}: 1, struct{a: \"a b\"}: 2, struct{a: \"a#\"}: 3}",
                  "{struct{a: \"a b\"}: 2, struct{a: \"a\"}: 1, struct{a: \"a#\"}: 3}" },
                { "{struct{a: \"\\n\"}: 1, struct{a: \"A\"}: 2, struct{a: \"z\"}: 3}",
                  "{struct{a: \"A\"}: 2, struct{a: \"\\n\"}: 1, struct{a: \"z\"}: 3}" },      /* \ stands between A and z */
                { "{struct{a: struct{b: 2}}: 1, struct{a: struct{b: 10}}: 2}", "{struct{a: struct{b: 10}}: 2, struct{a: struct{b: 2}}: 1}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = text_of(cases[i].literal);
                CHECK_STR(text, cases[i].want ?: cases[i].literal);
                if (strstr(text, "-0"))         /* which alone looks like an int */
                        continue;
                _cleanup_free_ char *again = text_of(text);     /* the printed form can be read */
                CHECK_STR(again, text);
        }
}

TEST(value_parse_refuses) {
        static const struct {
                const char *text, *type;
                int want;
        } cases[] = {
                { "", NULL, -EINVAL }, { "tru", NULL, -EINVAL }, { "truely", NULL, -EINVAL }, { "1 2", NULL, -EINVAL },
                { "1.", NULL, -EINVAL }, { ".5", NULL, -EINVAL }, { "1e3", NULL, -EINVAL }, { "0x10", NULL, -EINVAL },
                { "9223372036854775808", NULL, -ERANGE }, { "-9223372036854775809", NULL, -ERANGE },
                { "\"abc", NULL, -EINVAL }, { "\"\\q\"", NULL, -EINVAL }, { "\"\\x4\"", NULL, -EINVAL }, { "\"\\", NULL, -EINVAL },
                { "[1", NULL, -EINVAL }, { "[1 2]", NULL, -EINVAL }, { "[,]", NULL, -EINVAL }, { "{1}", NULL, -EINVAL },
                { "{1: }", NULL, -EINVAL }, { "struct{: 1}", NULL, -EINVAL }, { "struct{a 1}", NULL, -EINVAL },
                { "1", "str", -EINVAL }, { "1.5", "int", -EINVAL }, { "[1, \"a\"]", "[]int", -EINVAL },
                { "struct{a: 1}", "struct{b int}", -EINVAL }, { "{1: 2}", "map{str: int}", -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value v = {};
                _cleanup_(diag_done) Diag d = {};
                int r = value_parse(cases[i].text, cases[i].type ? field_type_from_text(cases[i].type) : NULL, &v, &d);
                if (r != cases[i].want)
                        TEST_FAIL("'%s': %d, not %d", cases[i].text, r, cases[i].want);
                CHECK(d.message);
        }

        StrBuf b = {};
        for (unsigned i = 0; i < 100000; i++)
                strbuf_putc(&b, '[');
        _cleanup_free_ char *deep = strbuf_take(&b);
        Value v;
        CHECK_INT(value_parse(deep, NULL, &v, NULL), -E2BIG);

        /* With a type, a whole number may be a float. */
        REQUIRE(value_parse("[1, 2.5]", field_type_from_text("[]float"), &v, NULL) == 0);
        CHECK(value_list_at(v.l, 0).kind == TYPE_FLOAT && value_list_at(v.l, 0).f == 1);
        value_done(&v);
}

/* ---- order and equality ---- */

static const char *const ordered[] = {
        "nil", "false", "true", "\"\"", "\"A\"", "\"a\"", "\"a\\x00\"", "\"ab\"", "\"\\xff\"", "-5", "0", "3", "10",
        "NaN", "-Inf", "-1.5", "0.0", "1.5", "+Inf", "[]", "[1]", "[1, 0]", "[2]", "{}", "{1: 1}", "{1: 1, 2: 2}", "{1: 2}",
        "struct{}", "struct{a: 10}", "struct{a: 1}", "struct{a: 1; b: 2}", "struct{a: 9}", "struct{b: 0}",
};

TEST(value_order_is_total) {
        enum { N = ELEMENTSOF(ordered) };
        Value v[N] = {};

        for (size_t i = 0; i < N; i++)
                REQUIRE(value_parse(ordered[i], NULL, &v[i], NULL) == 0);
        for (size_t i = 0; i < N; i++)
                for (size_t j = 0; j < N; j++) {
                        int c = value_compare(v[i], v[j]);
                        /* One exception: whether "struct{a: 1; …" comes after "struct{a: 1}" is decided by ; and }. */
                        bool swapped = (streq(ordered[i], "struct{a: 1}") && streq(ordered[j], "struct{a: 1; b: 2}")) ||
                                       (streq(ordered[j], "struct{a: 1}") && streq(ordered[i], "struct{a: 1; b: 2}"));
                        int want = (i > j) - (i < j);
                        if ((c > 0) - (c < 0) != (swapped ? -want : want))
                                TEST_FAIL("%s against %s: %d", ordered[i], ordered[j], c);
                        bool is_nan = v[i].kind == TYPE_FLOAT && isnan(v[i].f);
                        CHECK_INT(value_equal(v[i], v[j]), i == j && !is_nan);
                        if (value_equal(v[i], v[j]))
                                CHECK(value_hash(v[i]) == value_hash(v[j]));
                }
        for (size_t i = 0; i < N; i++)
                value_done(&v[i]);
}

TEST(value_equality) {
        static const struct {
                const char *a, *b;
                bool want;
        } cases[] = {
                { "1", "1.0", false }, { "0.0", "-0.0", true }, { "NaN", "NaN", false }, { "[NaN]", "[NaN]", false },
                { "{1: 2, 3: 4}", "{3: 4, 1: 2}", true }, { "{1: 2}", "{1: 3}", false }, { "{1: 2}", "{2: 2}", false },
                { "struct{a: 1}", "struct{b: 1}", false }, { "struct{a: 1; b: 2}", "struct{b: 2; a: 1}", false },
                { "[1, 2]", "[1]", false }, { "\"a\"", "\"a\"", true }, { "{0.0: 1}", "{-0.0: 1}", true },
                { "struct{a: 0.0}", "struct{a: -0.0}", true }, { "{struct{a: 0.0}: 1}", "{struct{a: -0.0}: 1}", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value a = {}, b = {};
                REQUIRE(value_parse(cases[i].a, NULL, &a, NULL) == 0 && value_parse(cases[i].b, NULL, &b, NULL) == 0);
                if (value_equal(a, b) != cases[i].want)
                        TEST_FAIL("%s and %s", cases[i].a, cases[i].b);
                if (cases[i].want)
                        CHECK(value_hash(a) == value_hash(b));
        }
}

TEST(value_sameness_is_that_nobody_can_tell) {
        static const struct {
                const char *a, *b;
                bool want;
        } cases[] = {
                { "0.0", "-0.0", false }, { "NaN", "NaN", true }, { "1", "1.0", false }, { "1", "1", true }, { "1", "2", false },
                { "[0.0]", "[-0.0]", false }, { "[NaN]", "[NaN]", true }, { "{1: 0.0}", "{1: -0.0}", false }, { "true", "true", true },
                { "true", "false", false }, { "\"a\"", "\"a\"", true }, { "\"a\"", "\"b\"", false }, { "nil", "nil", true },
                { "struct{a: NaN}", "struct{a: NaN}", true }, { "struct{a: 0.0}", "struct{a: -0.0}", false }, { "1.5", "1.5", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value a = {}, b = {};
                REQUIRE(value_parse(cases[i].a, NULL, &a, NULL) == 0 && value_parse(cases[i].b, NULL, &b, NULL) == 0);
                if (value_same(a, b) != cases[i].want)
                        TEST_FAIL("%s and %s", cases[i].a, cases[i].b);
        }
}

static int compare_texts(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Keys that are structs of all sorts, against sorting their printed texts. */
TEST(struct_keys_are_ordered_by_text) {
        static const char *const strings[] = { "", "a", "a b", "a\"", "b\\", "\n", "\xff", "\xc3\xbc", "\xc2\xad", "z", "!", "\xe2\x80\xa8",
                                               "\xe2\x80\xa6", "\xe2\x80", "\xe2\x80z", "\xe2\x80\xa8\xa8", "\x80\x80\x80\x80\x80",
                                               "\x80\x80\x80\x80\xc3\xbc", "a\xf0\x9f\x98\x80", "a\xf0\x9f\x98\x81", "a\xf0\x9f\x98",
                                               "a\xf0\x9f\x98\x80\x80", "common text \xc3\xbc 1", "common text \xc3\xb6 1", "common text \xc3", "a\xc2\xa1",
                                               "a\xc2\xad" };

        static const int64_t numbers[] = { -1, 1, 2, 10 };

        srandom(7);
        for (unsigned round = 0; round < 1000; round++) {
                enum { N = 20 };
                Value pairs[2 * N] = {};
                char *texts[N];

                for (size_t i = 0; i < N; i++) {
                        Value fields[3] = { VALUE_INT(numbers[random() % 4]), VALUE_FLOAT((double) numbers[random() % 4] / 8), {} };
                        REQUIRE(value_strz(&fields[2], strings[(size_t) random() % ELEMENTSOF(strings)]) == 0);
                        REQUIRE(value_struct(&pairs[2 * i], (const char *[]) { "i", "f", "s" }, fields, 3) == 0);
                        texts[i] = value_text(pairs[2 * i]);
                }
                qsort(texts, N, sizeof(char *), compare_texts);

                _cleanup_(value_done) Value m = {};
                REQUIRE(value_map(&m, pairs, N) == 0);
                uint32_t k = 0;
                for (size_t i = 0; i < N; i++) {
                        if (i == 0 || !streq(texts[i], texts[i - 1])) {
                                _cleanup_free_ char *text = k < m.m->n ? value_text(m.m->items[k].key) : NULL;
                                CHECK_STR(text, texts[i]);
                                if (k < m.m->n)
                                        CHECK(value_map_get(m, m.m->items[k].key) == &m.m->items[k].value);
                                k++;
                        }
                }
                CHECK_INT(k, m.m->n);
                for (size_t i = 0; i < N; i++)
                        free(texts[i]);
        }
}

TEST(big_maps) {
        enum { N = 10000 };
        Value *pairs = calloc(2 * N, sizeof(Value));
        _cleanup_(value_done) Value m = {};

        for (size_t i = 0; i < N; i++) {
                pairs[2 * i] = VALUE_INT((int64_t) (i * 7919 % N));
                pairs[2 * i + 1] = VALUE_INT((int64_t) i);
        }
        REQUIRE(value_map(&m, pairs, N) == 0);
        CHECK_INT(m.m->n, N);
        for (size_t i = 0; i < N; i++) {
                const Value *v = value_map_get(m, VALUE_INT((int64_t) (i * 7919 % N)));
                REQUIRE(v && v->i == (int64_t) i);
        }
        CHECK(!value_map_get(m, VALUE_INT(N)));
        CHECK(!value_map_get(m, VALUE_FLOAT(1)));
        free(pairs);
}

/* ---- lifetime ---- */

static unsigned funcs_freed;
static void free_func(ValueFunc *f) {
        funcs_freed++;
        free(f);
}

/* ---- lists ---- */

static bool holds_numbers(Value list, const int64_t *numbers, uint32_t n) {
        uint32_t i = 0;

        if (list.kind != TYPE_LIST || list.l->n != n)
                return false;
        VALUE_LIST_FOREACH(item, list.l)
                if (i >= n || item->kind != TYPE_INT || item->i != numbers[i++])
                        return false;
        for (i = 0; i < n; i += n / 7 + 1)
                if (value_list_at(list.l, i).i != numbers[i])
                        return false;
        return true;
}

static Value list_of_numbers(const int64_t *numbers, size_t n) {
        _cleanup_free_ Value *items = calloc(n + 1, sizeof(Value));
        Value v = VALUE_NIL;

        for (size_t i = 0; i < n; i++)
                items[i] = VALUE_INT(numbers[i]);
        CHECK_INT(value_list(&v, items, n), 0);
        return v;
}

static const uint32_t list_sizes[] = { 0, 1, 2, 31, 32, 33, 64, 65, 1023, 1024, 1025, 1056, 1057, 5000, 32768, 32769 };

TEST(lists_of_any_length_grow) {
        _cleanup_free_ int64_t *numbers = calloc(100 * 1000, sizeof(int64_t));

        for (int64_t i = 0; i < 100 * 1000; i++)
                numbers[i] = i * i;
        for (size_t a = 0; a < ELEMENTSOF(list_sizes); a++)
                for (size_t b = 0; b < ELEMENTSOF(list_sizes); b += 1 + (a > 8)) {
                        uint32_t n = list_sizes[a], more = list_sizes[b];
                        _cleanup_(value_done) Value first = list_of_numbers(numbers, n), second = VALUE_NIL,
                                                    whole = list_of_numbers(numbers, n + more);
                        _cleanup_free_ Value *items = calloc(more + 1, sizeof(Value));
                        for (uint32_t i = 0; i < more; i++)
                                items[i] = VALUE_INT(numbers[n + i]);
                        CHECK_INT(value_list_extend(&second, first, items, more), 0);
                        CHECK(holds_numbers(first, numbers, n));
                        CHECK(holds_numbers(second, numbers, n + more));
                        CHECK(value_same(second, whole) && value_equal(second, whole) && value_compare(second, whole) == 0);
                        CHECK(value_hash(second) == value_hash(whole));
                        CHECK_INT(second.l->height, whole.l->height);
                        CHECK_INT(value_list_difference(first.l, second.l, 0), n);
                        CHECK(value_same(first, second) == (more == 0));
                }
}

TEST(lists_that_grow_by_one_share_the_rest) {
        _cleanup_(value_done) Value list = VALUE_NIL;
        uint32_t n_shared = 0;

        CHECK_INT(value_list(&list, NULL, 0), 0);
        for (uint32_t i = 0; i < 40000; i++) {
                Value item = VALUE_INT(i), longer = VALUE_NIL;
                REQUIRE(value_list_extend(&longer, list, &item, 1) == 0 && longer.l->n == i + 1);
                if (longer.l->height > 1 && list.l->height == longer.l->height)
                        n_shared += longer.l->parts[0] == list.l->parts[0];
                value_done(&list);
                list = longer;
        }
        CHECK_INT(n_shared, 40000 - 1024 - 2);  /* all but where another height begins */
        CHECK_INT(value_list_at(list.l, 39999).i, 39999);
}

TEST(one_other_item_is_all_that_differs) {
        _cleanup_free_ int64_t *numbers = calloc(40000, sizeof(int64_t));

        for (size_t a = 1; a < ELEMENTSOF(list_sizes); a++) {
                uint32_t n = list_sizes[a];
                _cleanup_(value_done) Value list = list_of_numbers(numbers, n);
                for (uint32_t i = 0; i < n; i += n / 20 + 1) {
                        _cleanup_(value_done) Value other = VALUE_NIL, longer = VALUE_NIL;
                        Value items[2] = { VALUE_INT(2), VALUE_INT(3) };
                        REQUIRE(value_list_replace(&other, list, i, VALUE_INT(1)) == 0);
                        CHECK_INT(value_list_difference(list.l, other.l, 0), i);
                        CHECK_INT(value_list_difference(list.l, other.l, i), i);
                        CHECK_INT(value_list_difference(list.l, other.l, i + 1), n);
                        CHECK(!value_same(list, other) && !value_equal(list, other));
                        CHECK(value_compare(list, other) < 0 && value_compare(other, list) > 0);
                        CHECK_INT(value_list_at(other.l, i).i, 1);
                        /* Of another length, and perhaps height. */
                        REQUIRE(value_list_extend(&longer, other, items, 2) == 0);
                        CHECK_INT(value_list_difference(list.l, longer.l, 0), i);
                        CHECK_INT(value_list_difference(longer.l, list.l, i + 1), n);
                }
                CHECK(holds_numbers(list, numbers, n));
        }
}

TEST(the_begin_of_a_list_is_shared) {
        _cleanup_free_ int64_t *numbers = calloc(40000, sizeof(int64_t));

        for (uint32_t i = 0; i < 40000 && numbers; i++)
                numbers[i] = i;
        for (size_t a = 0; a < ELEMENTSOF(list_sizes); a++) {
                uint32_t n = list_sizes[a];
                _cleanup_(value_done) Value list = list_of_numbers(numbers, n);
                for (size_t b = 0; b <= a; b++) {
                        _cleanup_(value_done) Value begin = VALUE_NIL, again = VALUE_NIL;
                        _cleanup_(value_done) Value whole = list_of_numbers(numbers, list_sizes[b]);
                        Value item = VALUE_INT(list_sizes[b]);
                        REQUIRE(value_list_truncate(&begin, list, list_sizes[b]) == 0);
                        CHECK(holds_numbers(begin, numbers, list_sizes[b]));
                        CHECK_INT(begin.l->height, whole.l->height);
                        CHECK_INT(begin.l->extent.n_parts, whole.l->extent.n_parts);
                        CHECK_INT(value_list_difference(list.l, begin.l, 0), list_sizes[b]);
                        REQUIRE(value_list_extend(&again, begin, &item, 1) == 0);
                        CHECK(list_sizes[b] == 40000 || holds_numbers(again, numbers, list_sizes[b] + 1));
                        if (begin.l->height > 0)
                                CHECK(begin.l->parts[0] == list.l->parts[0] || begin.l->height < list.l->height);
                }
                CHECK(holds_numbers(list, numbers, n));
        }
}

TEST(lists_are_joined) {
        enum { FULL = VALUE_LIST_PART };
        int64_t numbers[3 * FULL + 5];
        Value parts[4], v = VALUE_NIL;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                numbers[i] = (int64_t) i;
        for (size_t i = 0; i < 4; i++)
                parts[i] = list_of_numbers(numbers + i * FULL, i < 3 ? FULL : 5);
        CHECK_INT(value_list_join(&v, parts, 4), 0);
        for (size_t i = 0; i < 4; i++)
                value_done(&parts[i]);
        CHECK(holds_numbers(v, numbers, ELEMENTSOF(numbers)));
        value_done(&v);
        CHECK_INT(value_list_join(&v, NULL, 0), 0);
        CHECK_INT(v.l->n, 0);
        value_done(&v);
}

TEST(the_extent_counts_what_is_there_twice) {
        _cleanup_(value_done) Value v = VALUE_INT(1), map = VALUE_NIL;

        for (int i = 0; i < 40; i++) {
                Value twice[2] = { value_ref(v), v }, list = VALUE_NIL;
                REQUIRE(value_list(&list, twice, 2) == 0);
                v = list;
                CHECK_INT(value_extent(v).n_parts, i < 31 ? ((uint32_t) 4 << i) - 2 : UINT32_MAX);
                CHECK_INT(value_extent(v).depth, (uint32_t) i + 1);
        }
        REQUIRE(value_parse("{\"a\" => [1, 2,], \"b\" => [], }", NULL, &map, NULL) == 0);
        CHECK_INT(value_extent(map).n_parts, 6);
        CHECK_INT(value_extent(map).depth, 2);
        value_done(&map);
        REQUIRE(value_parse("struct{a => struct{b => 1,}, c => \"x\",}", NULL, &map, NULL) == 0);
        CHECK_INT(value_extent(map).n_parts, 3);
        CHECK_INT(value_extent(map).depth, 2);
}

TEST(references_are_counted) {
        Value list, items[3] = {}, copy;
        ValueFunc *f = malloc(sizeof(ValueFunc));

        *f = (ValueFunc) { .n_ref = 1, .type = field_type_from_text("func(a str) int"), .free = free_func };
        funcs_freed = 0;
        REQUIRE(value_strz(&items[0], "shared") == 0);
        items[1] = value_ref(items[0]);
        items[2] = (Value) { .kind = TYPE_FUNC, .fn = f };
        CHECK_INT(items[0].s->n_ref, 2);
        REQUIRE(value_list(&list, items, 3) == 0);
        for (size_t i = 0; i < 3; i++)
                CHECK_INT(items[i].kind, TYPE_NIL);     /* moved */

        _cleanup_free_ char *text = value_text(list);
        CHECK_STR(text, "[\"shared\", \"shared\", func(func(a str) int)]");
        CHECK_INT(value_check_type(value_list_at(list.l, 2), field_type_from_text("func(str) int"), NULL), 0);
        CHECK_INT(value_check_type(value_list_at(list.l, 2), field_type_from_text("func(int) int"), NULL), -EINVAL);
        CHECK(value_equal(list, list));

        copy = value_ref(list);
        value_done(&list);
        CHECK_INT(list.kind, TYPE_NIL);
        CHECK_INT(funcs_freed, 0);
        value_done(&copy);
        CHECK_INT(funcs_freed, 1);

        Value empty1, empty2;
        REQUIRE(value_strz(&empty1, "") == 0 && value_str(&empty2, NULL, 0) == 0);
        CHECK_STR(value_cstr(empty1), "");
        value_done(&empty1);
        CHECK_STR(value_cstr(empty2), "");
        value_done(&empty2);
}

TEST(sizes_are_limited) {
        Value v;

        CHECK_INT(value_str(&v, "", (size_t) VALUE_STR_MAX + 1), -E2BIG);
        const char *names[1] = { "a" };
        Value values[1] = { VALUE_INT(1) };
        REQUIRE(value_struct(&v, names, values, 1) == 0);
        CHECK(value_struct_get(v, "a")->i == 1);
        CHECK(!value_struct_get(v, "b"));
        value_done(&v);
}

/* ---- JSON ---- */

TEST(json_forms) {
        static const struct {
                const char *literal, *json, *type;
        } cases[] = {
                { "nil", "null", "nil" }, { "true", "true", "bool" }, { "-3", "-3", "int" }, { "4.0", "4.0", "float" },
                { "0.1", "0.1", "float" }, { "NaN", "\"NaN\"", "float" }, { "-Inf", "\"-Inf\"", "float" },
                { "\"a\\x00b\\n\xc3\xbc\"", "\"a\\u0000b\\n\xc3\xbc\"", "str" },
                { "[1,2]", "[1,2]", "[]int" }, { "[]", "[]", "[]int" },
                { "{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}", "map{str: int}" },
                { "{2:\"b\",1:\"a\"}", "[[1,\"a\"],[2,\"b\"]]", "map{int: str}" },
                { "{struct{a:1}:[true]}", "[[{\"a\":1},[true]]]", "map{struct{a int}: []bool}" },
                { "{}", "{}", "map{str: int}" }, { "{}", "{}", "map{int: int}" },
                { "struct{b:1;a:\"x\"}", "{\"b\":1,\"a\":\"x\"}", "struct{b int; a str}" },
                { "9223372036854775807", "9223372036854775807", "int" }, { "-9223372036854775808", "-9223372036854775808", "int" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value v = {}, back = {};
                _cleanup_(diag_done) Diag d = {};
                const Type *type = field_type_from_text(cases[i].type);
                struct json_object *j = NULL;

                REQUIRE(value_parse(cases[i].literal, type, &v, &d) == 0);
                REQUIRE(value_to_json(v, &j) == 0);
                CHECK_STR(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN), cases[i].json);
                json_object_put(j);

                j = json_tokener_parse(cases[i].json);
                CHECK_INT(value_from_json(j, type, &back, &d), 0);
                CHECK_STR(d.message, NULL);
                CHECK(value_equal(v, back) || (v.kind == TYPE_FLOAT && isnan(v.f) && isnan(back.f)));
                json_object_put(j);
        }
}

TEST(json_bytes_that_are_no_text) {
        _cleanup_(value_done) Value v = {}, map = {};
        struct json_object *j;

        REQUIRE(value_str(&v, "a\xff\xc3", 3) == 0 && value_to_json(v, &j) == 0);
        CHECK_STR(json_object_get_string(j), "a\xef\xbf\xbd\xef\xbf\xbd");
        json_object_put(j);
        REQUIRE(value_parse("{\"k\\x00\\xfe\": 1}", NULL, &map, NULL) == 0 && value_to_json(map, &j) == 0);
        CHECK_STR(json_object_to_json_string_ext(j, JSON_C_TO_STRING_PLAIN), "{\"k\xef\xbf\xbd\xef\xbf\xbd\":1}");
        json_object_put(j);
}

TEST(json_natural_and_refused) {
        static const struct {
                const char *json, *type, *want, *error;
        } cases[] = {
                { "{\"b\":[1,2.5,null],\"a\":{}}", NULL, "struct{b: [1, 2.5, nil]; a: struct{}}", NULL },
                { "[1,\"x\"]", "variant", "[1, \"x\"]", NULL },
                { "3", "float", "3", NULL },
                { "3.5", "int", NULL, "expected int, got a number" },
                { "null", "str", NULL, "expected str, got null" },
                { "[1,\"x\"]", "[]int", NULL, "element 1: expected int, got a string" },
                { "{\"a\":{\"b\":true}}", "map{str: map{str: int}}", NULL, "key 'a': key 'b': expected int, got a boolean" },
                { "{\"a\":1}", "struct{b int}", NULL, "field 'b' is missing" },
                { "{\"a\":1,\"b\":2}", "struct{b int}", NULL, "struct field count differs" },
                { "{\"1\":1}", "map{int: int}", NULL, "expected map{int: int}, got an object" },
                { "[[1]]", "map{int: int}", NULL, "element 0: expected a pair of key and value" },
                { "9223372036854775808", "int", NULL, "number is larger than the largest int" },
                { "\"x\"", "float", NULL, "expected float, got a string" },
                { "\"x\"", "func() int", NULL, "expected func() int, got a string" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value v = {};
                _cleanup_(diag_done) Diag d = {};
                struct json_object *j = json_tokener_parse(cases[i].json);
                int r = value_from_json(j, cases[i].type ? field_type_from_text(cases[i].type) : NULL, &v, &d);

                CHECK_INT(r < 0, cases[i].error != NULL);
                CHECK_STR(d.message, cases[i].error);
                if (r >= 0) {
                        _cleanup_free_ char *text = value_text(v);
                        CHECK_STR(text, cases[i].want);
                }
                json_object_put(j);
        }
}

TEST(check_type_names_the_place) {
        static const struct {
                const char *literal, *type, *want;
        } cases[] = {
                { "[1, \"a\"]", "[]int", "element 1: base kind does not match (int != str)" },
                { "{\"k\": [true]}", "map{str: []str}", "key \"k\": element 0: base kind does not match (str != bool)" },
                { "struct{a: 1; b: 2.5}", "struct{a int; b str}", "field 'b': base kind does not match (str != float)" },
                { "struct{a: 1}", "struct{a int; b str}", "struct field count differs" },
                { "struct{a: 1}", "struct{b int}", "struct fields differ" },
                { "[1, \"a\", {}]", "variant", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(value_done) Value v = {};
                _cleanup_(diag_done) Diag d = {};
                REQUIRE(value_parse(cases[i].literal, NULL, &v, NULL) == 0);
                CHECK_INT(value_check_type(v, field_type_from_text(cases[i].type), &d), cases[i].want ? -EINVAL : 0);
                CHECK_STR(d.message, cases[i].want);
        }
}

TEST_MAIN()
