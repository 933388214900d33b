/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Fields, metaparameters, the contract's helpers, change sets and the description of kinds. */

#include <float.h>
#include <math.h>
#include <sys/stat.h>

#include "common/change-set.h"
#include "common/edge-rule.h"
#include "common/io.h"
#include "common/resource.h"
#include "common/schema.h"
#include "tests/test.h"

/* A kind with a field of every type. */
typedef struct Sample {
        Resource resource;
        bool bool_;
        char *str, *optional, *secret;
        int8_t int8;
        int16_t int16;
        int32_t int32;
        int64_t int64;
        uint8_t uint8;
        uint16_t uint16;
        uint32_t uint32;
        uint64_t uint64;
        float float32;
        double float64;
        char **strv, **optional_strv;
        Value map, any;
        int32_t hidden;
        bool initialized, done;
} Sample;

static unsigned samples_done;

static int sample_init(Resource *r) {
        Sample *s = container_of(r, Sample, resource);

        s->initialized = true;
        return streq(r->name, "refused") ? -EPERM : 0;
}

static void sample_done(Resource *r) {
        samples_done++;
}

static int sample_validate(const Resource *r, Diag *reterr) {
        const Sample *s = container_of(r, Sample, resource);

        if (s->int8 == 13)
                return resource_error(r, reterr, -EINVAL, "int8 must not be 13");
        return s->int8 == 14 ? -EUCLEAN : 0;
}

static int sample_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

static const FieldSpec sample_fields[] = {
        FIELD_NAMED(Sample, bool_, "bool", FIELD_BOOL, 0, "A truth."),
        FIELD(Sample, str, FIELD_STR, 0, "A text.", .initial = "\"start\\n\""),
        FIELD(Sample, optional, FIELD_STR, FIELD_OPTIONAL, "Perhaps a text."),
        FIELD(Sample, secret, FIELD_STR, FIELD_SECRET, "Not to be told."),
        FIELD(Sample, int8, FIELD_INT8, 0, "A small number."),
        FIELD(Sample, int16, FIELD_INT16, 0, "A number.", .initial = "-300"),
        FIELD(Sample, int32, FIELD_INT32, 0, "A number."),
        FIELD(Sample, int64, FIELD_INT64, 0, "A number."),
        FIELD(Sample, uint8, FIELD_UINT8, 0, "A number."),
        FIELD(Sample, uint16, FIELD_UINT16, 0, "A number."),
        FIELD(Sample, uint32, FIELD_UINT32, 0, "A number."),
        FIELD(Sample, uint64, FIELD_UINT64, 0, "A number."),
        FIELD(Sample, float32, FIELD_FLOAT32, 0, "A number.", .initial = "2"),
        FIELD(Sample, float64, FIELD_FLOAT64, 0, "A number."),
        FIELD(Sample, strv, FIELD_STRV, 0, "Texts.", .native = "Texts"),
        FIELD(Sample, optional_strv, FIELD_STRV, FIELD_OPTIONAL, "Perhaps texts."),
        FIELD(Sample, map, FIELD_VALUE, 0, "A map.", .mcl_type = "map{str: []int}", .initial = "{\"a\" => [1,],}"),
        FIELD(Sample, any, FIELD_VALUE, 0, "Anything.", .mcl_type = "variant"),
        FIELD(Sample, hidden, FIELD_INT32, FIELD_HIDDEN, "State.", .initial = "5"),
        {}
};

static const FieldSpec sample_sends[] = {
        { .name = "answer", .type = FIELD_INT64, .doc = "The answer." },
        {}
};

static const ResourceType sample_type = {
        .kind = "sample:one",
        .doc = "A sample.",
        .example = "sample:one \"x\" {\n\tstr => \"y\",\n}\n",
        .size = sizeof(Sample),
        .flags = RESOURCE_RECEIVES | RESOURCE_REFRESHABLE,
        .fields = sample_fields,
        .sends = sample_sends,
        .parent_field = "optional",
        .init = sample_init,
        .done = sample_done,
        .validate = sample_validate,
        .check_apply = sample_check_apply,
};

static const ResourceType polled_type = {
        .kind = "polled",
        .doc = "Works with polling only.",
        .size = sizeof(Resource),
        .flags = RESOURCE_NEEDS_POLL,
        .check_apply = sample_check_apply,
};

static const ResourceType whole_type = {
        .kind = "sample",
        .doc = "What samples are grouped into.",
        .size = sizeof(Resource),
        .flags = RESOURCE_RUNS_CHILDREN,
        .check_apply = sample_check_apply,
};

static const ResourceType *const types[] = { &whole_type, &sample_type, &polled_type, NULL };
static ResourceHost host = {};

static Sample *new_sample(const char *name) {
        Resource *r;

        return resource_new(&r, &sample_type, &host, name, (Pos) { "x.mcl", 3, 1, 5, 2 }) < 0 ? NULL : (Sample *) r;
}

static int set(Sample *s, const char *field, const char *literal, Diag *d) {
        const FieldSpec *f = field_find(sample_fields, field);
        _cleanup_(value_done) Value v = {};
        bool is_float = f && field_mcl_type(f)->kind == TYPE_FLOAT;

        if (value_parse(literal, is_float && literal[0] != '"' ? &type_float : NULL, &v, NULL) < 0)
                abort();
        return resource_set(&s->resource, field, v, d);
}

static char *get(const Sample *s, const char *field) {
        _cleanup_(value_done) Value v = {};
        int r = field_get(field_find(sample_fields, field), s, &v);

        return r < 0 ? strdup(strerror(-r)) : value_text(v);
}

TEST(fields_take_what_fits) {
        static const struct {
                const char *field, *literal;
                const char *want;       /* what it reads back as, or else */
                const char *error;
        } cases[] = {
                { "bool", "true", "true", NULL },
                { "bool", "1", NULL, "x.mcl:3:1: field 'bool': base kind does not match (bool != int)" },
                { "str", "\"\"", "\"\"", NULL },
                { "str", "\"a\\x00b\"", NULL, "x.mcl:3:1: field 'str': strings with NUL bytes cannot be stored here" },
                { "str", "nil", NULL, "x.mcl:3:1: field 'str': base kind does not match (str != nil)" },
                { "optional", "\"x\"", "\"x\"", NULL },
                { "optional", "nil", "nil", NULL },
                { "int8", "127", "127", NULL },
                { "int8", "-128", "-128", NULL },
                { "int8", "88888888", NULL, "x.mcl:3:1: field 'int8': 0 is an `int8`, and rv `88888888` will overflow it" },
                { "int8", "128", NULL, "x.mcl:3:1: field 'int8': 0 is an `int8`, and rv `128` will overflow it" },
                { "int8", "-129", NULL, "x.mcl:3:1: field 'int8': 0 is an `int8`, and rv `-129` will overflow it" },
                { "int16", "32768", NULL, "x.mcl:3:1: field 'int16': -300 is an `int16`, and rv `32768` will overflow it" },
                { "int16", "-32768", "-32768", NULL },
                { "int32", "2147483648", NULL, "x.mcl:3:1: field 'int32': 0 is an `int32`, and rv `2147483648` will overflow it" },
                { "int32", "-2147483648", "-2147483648", NULL },
                { "int64", "-9223372036854775808", "-9223372036854775808", NULL },
                { "uint8", "255", "255", NULL },
                { "uint8", "256", NULL, "x.mcl:3:1: field 'uint8': 0 is an `uint8`, and rv `256` will overflow it" },
                { "uint16", "65535", "65535", NULL },
                { "uint32", "4294967295", "4294967295", NULL },
                { "uint32", "4294967296", NULL, "x.mcl:3:1: field 'uint32': 0 is an `uint32`, and rv `4294967296` will overflow it" },
                { "uint64", "9223372036854775807", "9223372036854775807", NULL },
                { "uint64", "-1", NULL, "x.mcl:3:1: field 'uint64': can't store negative int `-1` into unsigned `uint64` field" },
                { "float32", "0.5", "0.5", NULL },
                { "float32", "340282346638528859811704183484516925440", "340282346638528860000000000000000000000", NULL },
                { "float32", "340282366920938463463374607431768211456", NULL,
                  "x.mcl:3:1: field 'float32': 2 is an `float32`, and rv `340282366920938500000000000000000000000` will overflow it" },
                { "float32", "+Inf", "+Inf", NULL },
                { "float64", "0.1", "0.1", NULL },
                { "float64", "\"0.1\"", NULL, "x.mcl:3:1: field 'float64': base kind does not match (float != str)" },
                { "strv", "[\"a\", \"b\"]", "[\"a\", \"b\"]", NULL },
                { "strv", "[]", "[]", NULL },
                { "strv", "[1]", NULL, "x.mcl:3:1: field 'strv': element 0: base kind does not match (str != int)" },
                { "strv", "[\"a\", \"\\x00\"]", NULL, "x.mcl:3:1: field 'strv': strings with NUL bytes cannot be stored here" },
                { "optional_strv", "[]", "[]", NULL },
                { "optional_strv", "nil", "nil", NULL },
                { "map", "{\"x\": [2]}", "{\"x\": [2]}", NULL },
                { "map", "{\"x\": 2}", NULL, "x.mcl:3:1: field 'map': key \"x\": base kind does not match (list != int)" },
                { "any", "[struct{a: 1}]", "[struct{a: 1}]", NULL },
                { "hidden", "1", NULL, "x.mcl:3:1: field `hidden` does not exist in `sample:one` resource" },
                { "none", "1", NULL, "x.mcl:3:1: field `none` does not exist in `sample:one` resource" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resource_freep) Resource *r = (Resource *) new_sample("a");
                _cleanup_(diag_done) Diag d = {};
                Sample *s = (Sample *) r;
                const FieldSpec *f = field_find(sample_fields, cases[i].field);
                _cleanup_free_ char *before = f ? get(s, cases[i].field) : NULL;

                CHECK_INT(set(s, cases[i].field, cases[i].literal, &d) < 0, cases[i].error != NULL);
                if (cases[i].error) {
                        _cleanup_free_ char *text = diag_text(&d);
                        CHECK_STR(text, cases[i].error);
                }
                if (f) {
                        _cleanup_free_ char *text = get(s, cases[i].field);
                        CHECK_STR(text, cases[i].want ?: before);       /* a failure leaves it alone */
                }
        }
}

TEST(fields_defaults_zero_and_equality) {
        _cleanup_(resource_freep) Resource *a = (Resource *) new_sample("a"), *b = (Resource *) new_sample("a");
        Sample *s = (Sample *) a;
        const char *field = NULL;
        static const struct {
                const char *name, *want;
                bool zero;
        } defaults[] = {
                { "bool", "false", true }, { "str", "\"start\\n\"", false }, { "optional", "nil", true }, { "secret", "\"\"", true },
                { "int8", "0", true }, { "int16", "-300", false }, { "uint64", "0", true }, { "float32", "2", false },
                { "strv", "[]", true }, { "optional_strv", "nil", true }, { "map", "{\"a\": [1]}", false }, { "any", "nil", true },
                { "hidden", "5", false },
        };

        CHECK(s->initialized && s->secret);
        for (size_t i = 0; i < ELEMENTSOF(defaults); i++) {
                _cleanup_free_ char *text = get(s, defaults[i].name);
                CHECK_STR(text, defaults[i].want);
                CHECK_INT(field_is_zero(field_find(sample_fields, defaults[i].name), s), defaults[i].zero);
        }
        CHECK(resource_equal(a, b, &field));

        static const char *const changes[][2] = {
                { "bool", "true" }, { "str", "\"x\"" }, { "optional", "\"\"" }, { "secret", "\"x\"" }, { "int8", "1" }, { "int16", "1" },
                { "int32", "-1" }, { "int64", "1" }, { "uint8", "1" }, { "uint16", "1" }, { "uint32", "1" }, { "uint64", "1" },
                { "float32", "1" }, { "float64", "1" }, { "strv", "[\"\"]" }, { "optional_strv", "[]" }, { "map", "{}" }, { "any", "0" },
        };
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                _cleanup_(resource_freep) Resource *c = (Resource *) new_sample("a");
                CHECK_INT(set((Sample *) c, changes[i][0], changes[i][1], NULL), 0);
                field = NULL;
                CHECK(!resource_equal(a, c, &field) && !resource_equal(c, a, NULL));
                CHECK_STR(field, changes[i][0]);
        }
        ((Sample *) b)->hidden = 7;
        CHECK(resource_equal(a, b, NULL));
        s->float64 = ((Sample *) b)->float64 = NAN;
        CHECK(resource_equal(a, b, NULL));
        s->uint64 = UINT64_MAX;
        _cleanup_free_ char *text = get(s, "uint64");
        CHECK_STR(text, strerror(ERANGE));
        CHECK_INT(resource_set(a, "any", (Value) {}, NULL), 0);
}

/* ---- metaparameters ---- */

TEST(meta_table_is_that_of_the_language) {
        static const char want[] = "struct{noop bool; retry int; retryreset bool; delay int; timeout int; poll int; limit float; burst int; "
                                   "reset bool; sema []str; rewatch bool; realize bool; dollar bool; hidden bool; export []str; "
                                   "reverse bool; autoedge bool; autogroup bool}";
        TypeField fields[32];
        size_t n = 0;

        for (const FieldSpec *f = meta_fields; f->name; f++)
                fields[n++] = (TypeField) { f->name, field_mcl_type(f) };
        _cleanup_free_ char *text = type_text(type_struct(NULL, fields, n));
        CHECK_STR(text, want);

        Meta m;
        meta_init(&m);
        CHECK(m.autoedge && m.autogroup && !m.reverse && isinf(m.limit) && m.limit > 0 && m.retry == 0 && !m.sema);
        CHECK_INT(meta_validate(&m, NULL), 0);
        meta_done(&m);
}

TEST(meta_validation) {
        static const struct {
                const char *field, *literal, *error;
        } cases[] = {
                { "limit", "1.5", "permanently limited (rate != Inf, burst = 0)" },
                { "limit", "-1.0", "limit must not be negative" },
                { "limit", "NaN", "limit must not be negative" },
                { "burst", "-1", "burst must not be negative" },
                { "sema", "[\"\"]", "semaphore is empty" },
                { "sema", "[\"a:2\", \"42\"]", "semaphore format is invalid" },
                { "sema", "[\"-3\"]", "semaphore format is invalid" },
                { "sema", "[\"a\", \":13\", \"not:smart:4\"]", NULL },
                { "export", "[\"*\", \"\"]", "export is empty" },
                { "export", "[\"*\"]", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(meta_done) Meta m, copy = {};
                _cleanup_(value_done) Value v = {};
                _cleanup_(diag_done) Diag d = {};
                const char *field = NULL;

                meta_init(&m);
                REQUIRE(value_parse(cases[i].literal, NULL, &v, NULL) == 0);
                REQUIRE(field_set(field_find(meta_fields, cases[i].field), &m, v, NULL) == 0);
                CHECK_INT(meta_validate(&m, &d), cases[i].error ? -EINVAL : 0);
                if (cases[i].error)
                        CHECK_STR(startswith(d.message, "the Res has an invalid meta param: "), cases[i].error);
                CHECK_INT(meta_copy(&copy, &m), 0);
                CHECK(meta_equal(&m, &copy, NULL));
                meta_done(&copy);
                meta_init(&copy);
                CHECK(!meta_equal(&m, &copy, &field));
                CHECK_STR(field, cases[i].field);
        }
}

TEST(meta_lists_are_sets) {
        _cleanup_(meta_done) Meta a, b;
        meta_init(&a);
        meta_init(&b);
        strv_copy(&a.sema, (char *[]) { "x", "y", "z", NULL });
        strv_copy(&b.sema, (char *[]) { "z", "x", "y", NULL });
        CHECK(meta_equal(&a, &b, NULL));
        b.sema[2][0] = 'z';
        CHECK(!meta_equal(&a, &b, NULL));
}

/* ---- resources ---- */

TEST(resource_life) {
        Resource *r = NULL;

        samples_done = 0;
        CHECK_INT(resource_new(&r, &sample_type, &host, "refused", (Pos) {}), -EPERM);
        CHECK(!r);
        CHECK_INT(samples_done, 1);     /* also after a failed init */
        r = (Resource *) new_sample("tm/p");
        _cleanup_free_ char *id = resource_id(r);
        CHECK_STR(id, "sample:one[tm/p]");
        r = resource_free(r);
        CHECK_INT(samples_done, 2);
        CHECK(!resource_free(NULL));
        CHECK(resource_type_find(types, "polled") == &polled_type);
        CHECK(!resource_type_find(types, "simple"));
        CHECK(!resource_type_find(NULL, "sample"));
}

TEST(what_is_required_and_what_falls_back_on_the_name) {
        static const FieldSpec fields[] = {
                FIELD(Sample, str, FIELD_STR, FIELD_REQUIRED, "A text."),
                FIELD(Sample, uint32, FIELD_UINT32, FIELD_REQUIRED, "A number."),
                FIELD_NAMED(Sample, bool_, "bool", FIELD_BOOL, FIELD_REQUIRED, "A truth."),
                FIELD(Sample, strv, FIELD_STRV, FIELD_REQUIRED, "Texts."),
                FIELD(Sample, secret, FIELD_STR, FIELD_IS_NAME, "The name, if not given."),
                {}
        };
        static const ResourceType type = { .kind = "strict", .doc = "x", .size = sizeof(Sample), .fields = fields, .check_apply = sample_check_apply };
        static const struct {
                const char *str, *uint32, *bool_, *strv, *error;
        } cases[] = {
                { "\"x\"", "0", "false", "[\"\",]", NULL },
                { NULL, "0", "false", "[\"\",]", "field 'str' is required" },
                { "\"\"", "0", "false", "[\"\",]", "field 'str' is required" },
                { "\"x\"", NULL, "false", "[\"\",]", "field 'uint32' is required" },
                { "\"x\"", "7", NULL, "[\"\",]", "field 'bool' is required" },
                { "\"x\"", "7", "true", "[]", "field 'strv' is required" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *const literals[] = { cases[i].str, cases[i].uint32, cases[i].bool_, cases[i].strv };
                _cleanup_(resource_freep) Resource *r = NULL, *copy = NULL;
                _cleanup_(diag_done) Diag d = {};

                REQUIRE(resource_new(&r, &type, &host, "n", (Pos) {}) >= 0);
                for (size_t k = 0; k < ELEMENTSOF(literals); k++) {
                        _cleanup_(value_done) Value v = VALUE_NIL;
                        if (literals[k] && value_parse(literals[k], field_mcl_type(&fields[k]), &v, NULL) >= 0)
                                CHECK(resource_set(r, fields[k].name, v, NULL) >= 0);
                }
                CHECK_INT(resource_validate(r, &d), cases[i].error ? -EINVAL : 0);
                CHECK_STR(d.message, cases[i].error);
                REQUIRE(resource_copy(&copy, r) >= 0);
                CHECK_INT(resource_validate(copy, NULL), cases[i].error ? -EINVAL : 0);
        }

        _cleanup_(resource_freep) Resource *r = NULL, *copy = NULL;
        REQUIRE(resource_new(&r, &type, &host, "n", (Pos) {}) >= 0);
        const char *const said[] = { "", "own", "" }, *const held[] = { "n", "own", "n" };
        CHECK_STR(((Sample *) r)->secret, "n");
        for (size_t i = 0; i < ELEMENTSOF(said); i++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                REQUIRE(value_strz(&v, said[i]) >= 0);
                CHECK(resource_set(r, "secret", v, NULL) >= 0);
                CHECK_STR(((Sample *) r)->secret, held[i]);
        }
        REQUIRE(resource_copy(&copy, r) >= 0);
        CHECK_STR(((Sample *) copy)->secret, "n");
        CHECK(resource_equal(r, copy, NULL));
}

TEST(resource_validation) {
        static const struct {
                const char *name, *field, *literal, *error;
        } cases[] = {
                { "a", NULL, NULL, NULL },
                { "", NULL, NULL, "x.mcl:3:1: the Res has an empty Name" },
                { "$x", NULL, NULL, "x.mcl:3:1: the Res name starts with a $" },
                { "a", "int8", "13", "x.mcl:3:1: int8 must not be 13" },
                { "a", "int8", "14", "x.mcl:3:1: Structure needs cleaning" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resource_freep) Resource *r = (Resource *) new_sample(cases[i].name);
                _cleanup_(diag_done) Diag d = {};

                if (cases[i].field)
                        REQUIRE(set((Sample *) r, cases[i].field, cases[i].literal, NULL) == 0);
                CHECK_INT(resource_validate(r, &d) < 0, cases[i].error != NULL);
                _cleanup_free_ char *text = cases[i].error ? diag_text(&d) : NULL;
                CHECK_STR(text, cases[i].error);
                r->meta.dollar = r->meta.hidden = true;         /* hidden: its own checks are skipped */
                CHECK_INT(resource_validate(r, NULL) < 0, !*cases[i].name);
        }

        _cleanup_(resource_freep) Resource *p = NULL;
        REQUIRE(resource_new(&p, &polled_type, &host, "a", (Pos) {}) == 0);
        CHECK_INT(resource_validate(p, NULL), -EINVAL);
        p->meta.poll = 5;
        CHECK_INT(resource_validate(p, NULL), 0);
        p->meta.burst = -1;
        CHECK_INT(resource_validate(p, NULL), -EINVAL);
}

TEST(resource_children) {
        enum { N = 9 };
        Resource *children[2][N], *parents[2];

        for (size_t p = 0; p < 2; p++) {
                REQUIRE(parents[p] = (Resource *) new_sample("parent"));
                for (size_t i = 0; i < N; i++) {
                        char name[8];
                        snprintf(name, sizeof(name), "%zu", p == 0 ? i : N - 1 - i);
                        children[p][i] = (Resource *) new_sample(name);
                        CHECK_INT(resource_add_child(parents[p], children[p][i]), 0);
                        CHECK(children[p][i]->parent == parents[p]);
                }
        }
        CHECK_INT(parents[0]->n_children, N);
        CHECK(parents[0]->children[8] == children[0][8]);
        CHECK(resource_equal(parents[0], parents[1], NULL));
        ((Sample *) children[1][3])->int8 = 3;
        const char *field = NULL;
        CHECK(!resource_equal(parents[0], parents[1], &field));
        CHECK_STR(field, "int8");
        for (size_t p = 0; p < 2; p++) {
                for (size_t i = 0; i < N; i++)
                        resource_free(children[p][i]);
                resource_free(parents[p]);
        }
}

TEST(state_directories_differ_and_fit) {
        char dir[] = "/tmp/mgmt-test-XXXXXX", *long1 = malloc(5001), *long2 = malloc(5001);
        ResourceHost h = { .state_dir = mkdtemp(dir) };
        const char *names[] = { "a", "a/b", "a-b", "..", ".", "a%2fb", "\xff", "A", long1, long2 };
        char *paths[ELEMENTSOF(names)];
        struct stat st;

        memset(long1, '/', 5000);
        memset(long2, '/', 5000);
        long1[5000] = long2[5000] = '\0';
        long2[4999] = 'x';
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(resource_freep) Resource *r = NULL;
                REQUIRE(resource_new(&r, &sample_type, &h, names[i], (Pos) {}) == 0);
                REQUIRE(resource_state_dir(r, &paths[i]) == 0);
                CHECK(startswith(paths[i], dir) && endswith(paths[i], "/"));
                CHECK(stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700);
                for (size_t j = 0; j < i; j++)
                        CHECK(!streq(paths[i], paths[j]));
        }
        CHECK(endswith(paths[1], "/resource/sample:one/a%2fb/"));
        CHECK(endswith(paths[3], "/%2e./"));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                free(paths[i]);
        free(long1);
        free(long2);
        CHECK_INT(remove_tree(dir), 0);
}

static bool never_groups(const Resource *parent, const Resource *child) {
        return false;
}

TEST(equals_group_by_fields) {
        static const FieldSpec fields[] = {
                FIELD(Sample, str, FIELD_STR, 0, "A text."),
                FIELD(Sample, secret, FIELD_STR, FIELD_IS_NAME, "The name, if not given."),
                {}
        };
        static const ResourceType alike = {
                .kind = "alike", .doc = "x", .size = sizeof(Sample), .fields = fields, .groups_by = "str secret",
                .check_apply = sample_check_apply,
        };
        Sample a = { .resource = { .type = &alike, .name = (char *) "one" }, .str = (char *) "s", .secret = (char *) "one" };
        Sample b = { .resource = { .type = &alike, .name = (char *) "two" }, .str = (char *) "s", .secret = (char *) "one" };

        CHECK(resource_type_groups(&alike) && !resource_type_groups(&polled_type));
        CHECK(resource_groups(&a.resource, &b.resource));
        b.secret = (char *) "two";
        CHECK(!resource_groups(&a.resource, &b.resource));
        a.secret = (char *) "two";
        CHECK(resource_groups(&a.resource, &b.resource));
        b.str = (char *) "t";
        CHECK(!resource_groups(&a.resource, &b.resource));
        a.resource.type = b.resource.type = &polled_type;
        CHECK(!resource_groups(&a.resource, &a.resource));
}

TEST(broken_tables_are_refused) {
        static const FieldSpec no_doc[] = { { .name = "a", .type = FIELD_BOOL, .offset = offsetof(Sample, bool_) }, {} };
        static const FieldSpec half_required[] = { FIELD(Sample, str, FIELD_STR, FIELD_REQUIRED, "x", .initial = "\"y\""), {} };
        static const FieldSpec named_number[] = { FIELD(Sample, int8, FIELD_INT8, FIELD_IS_NAME, "x"), {} };
        static const FieldSpec twice[] = { FIELD(Sample, str, FIELD_STR, 0, "x"), FIELD(Sample, str, FIELD_STR, 0, "x"), {} };
        static const FieldSpec no_type[] = { FIELD(Sample, any, FIELD_VALUE, 0, "x"), {} };
        static const FieldSpec bad_type[] = { FIELD(Sample, any, FIELD_VALUE, 0, "x", .mcl_type = "lst"), {} };
        static const FieldSpec extra_type[] = { FIELD(Sample, str, FIELD_STR, 0, "x", .mcl_type = "str"), {} };
        static const FieldSpec optional_int[] = { FIELD(Sample, int8, FIELD_INT8, FIELD_OPTIONAL, "x"), {} };
        static const FieldSpec bad_initial[] = { FIELD(Sample, int8, FIELD_INT8, 0, "x", .initial = "\"a\""), {} };
        static const FieldSpec in_resource[] = { FIELD(Sample, resource.n_children, FIELD_UINT64, 0, "x"), {} };
        static const FieldSpec behind[] = { { .name = "x", .type = FIELD_INT64, .offset = sizeof(Sample) - 4, .doc = "x" }, {} };
#define TYPE(...) { .kind = "x", .doc = "x", .size = sizeof(Sample), .check_apply = sample_check_apply, __VA_ARGS__ }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
        static const EdgeRule edge_by_number[] = { { .domain = "file", .field = "int8" }, {} };
        static const EdgeRule edge_without_value[] = { { .domain = "file", .after = "str" }, {} };
        static const EdgeRule edge_offers_after[] = { { .domain = "file", .offers = true, .after = "str x" }, {} };
        static const struct {
                ResourceType type;
                const char *error;
        } cases[] = {
                { TYPE(.kind = NULL), "kind '?': not a name: lower-case words joined by colons" },
                { TYPE(.kind = "a:"), "kind 'a:': not a name: lower-case words joined by colons" },
                { TYPE(.kind = "Ab"), "kind 'Ab': not a name: lower-case words joined by colons" },
                { TYPE(.doc = ""), "kind 'x': no doc" },
                { TYPE(.size = 4), "kind 'x': size does not include the Resource" },
                { TYPE(.check_apply = NULL), "kind 'x': no check_apply" },
                { TYPE(.unwatch = sample_done), "kind 'x': watch and unwatch come together" },
                { TYPE(.first_match_ends = true), "kind 'x': first_match_ends without wants" },
                { TYPE(.parent_field = "p"), "kind 'x': parent field 'p' is not a str field" },
                { TYPE(.parent_field = "str", .fields = sample_fields), "kind 'x': a parent field, but no parent kind in the name" },
                { TYPE(.kind = "a:x", .parent_field = "str", .fields = sample_fields),
                  "kind 'a:x': a parent field, but the parent kind is not among those of this daemon" },
                { TYPE(.edges = edge_by_number, .fields = sample_fields),
                  "kind 'x': an edge by what is not a str field" },
                { TYPE(.edges = edge_without_value, .fields = sample_fields),
                  "kind 'x': an edge that is turned round by what is not a str field and one of its values" },
                { TYPE(.edges = edge_offers_after, .fields = sample_fields),
                  "kind 'x': an edge that is turned round by what is not a str field and one of its values" },
                { TYPE(.groups_by = "str int8", .fields = sample_fields), "kind 'x': groups by 'str int8', one of which is not a str field" },
                { TYPE(.groups_by = " no", .fields = sample_fields), "kind 'x': groups by ' no', one of which is not a str field" },
                { TYPE(.groups_by = "str", .groups = never_groups, .fields = sample_fields),
                  "kind 'x': says twice how its equals are grouped" },
                { TYPE(.flags = RESOURCE_RUNS_CHILDREN), "kind 'x': runs children, but no kind can be grouped into it" },
                { TYPE(.flags = RESOURCE_NEEDS_POLL | RESOURCE_REFUSES_POLL), "kind 'x': needs and refuses Meta:poll" },
                { TYPE(.fields = no_doc), "kind 'x': field 'a' has no doc" },
                { TYPE(.sends = no_doc), "kind 'x': field 'a' has no doc" },
                { TYPE(.fields = twice), "kind 'x': two fields are named 'str'" },
                { TYPE(.fields = no_type), "kind 'x': field 'any' needs a valid mcl_type exactly if it is a value" },
                { TYPE(.fields = bad_type), "kind 'x': field 'any' needs a valid mcl_type exactly if it is a value" },
                { TYPE(.fields = extra_type), "kind 'x': field 'str' needs a valid mcl_type exactly if it is a value" },
                { TYPE(.fields = optional_int), "kind 'x': field 'int8' cannot be optional: its type has no unset state; "
                  "FIELD_VALUE with mcl_type has one" },
                { TYPE(.fields = half_required), "kind 'x': field 'str' is required, and need not be given" },
                { TYPE(.fields = named_number),
                  "kind 'x': field 'int8' cannot fall back on the name: it must be a str, not optional, and without default" },
                { TYPE(.fields = bad_initial), "kind 'x': field 'int8': base kind does not match (int != str)" },
                { TYPE(.fields = in_resource), "kind 'x': field 'resource.n_children' is not a member of the struct" },
                { TYPE(.fields = behind), "kind 'x': field 'x' is not a member of the struct" },
        };
        static const ResourceType twin = TYPE(.kind = "polled");
#pragma GCC diagnostic pop

        CHECK_INT(resource_types_check(types, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};
                CHECK_INT(resource_types_check((const ResourceType *const[]) { &cases[i].type, NULL }, &d), -EINVAL);
                CHECK_STR(d.message, cases[i].error);
        }
        _cleanup_(diag_done) Diag d = {};
        CHECK_INT(resource_types_check((const ResourceType *const[]) { &polled_type, &twin, NULL }, &d), -EINVAL);
        CHECK_STR(d.message, "kind 'polled': two kinds of this name");
}

/* ---- what kinds say to their host ---- */

static char said[256];

static void say(const char *what, const char *text) {
        snprintf(said + strlen(said), sizeof(said) - strlen(said), "%s(%s) ", what, text ?: "");
}

static void on_changed(Resource *r) {
        say("changed", r->name);
}

static void on_finished(Resource *r, int result, Diag *d) {
        say("finished", d && d->error ? d->message : result == CHECK_CHANGED ? "changed" : "?");
}

static void on_waiting(Resource *r, const char *reason) {
        say("waiting", reason);
}

static void on_log(Resource *r, int priority, const char *text) {
        say("log", text);
}

static int on_send(Resource *r, const char *key, Value v) {
        say(key, v.i == 42 ? "42" : "?");
        return 0;
}

static bool on_refresh(const Resource *r) {
        return true;
}

static void sample_cancel(Resource *r) {
}

TEST(kinds_talk_to_their_host) {
        ResourceType type = sample_type;
        ResourceHost h = { .changed = on_changed, .finished = on_finished, .waiting = on_waiting, .log = on_log, .send = on_send,
                           .refresh = on_refresh };
        _cleanup_(resource_freep) Resource *r = NULL, *silent = (Resource *) new_sample("silent");
        Diag d = {};

        type.cancel = sample_cancel;
        REQUIRE(resource_new(&r, &type, &h, "n", (Pos) {}) == 0);
        said[0] = '\0';
        resource_changed(r);
        diag_set(&d, (Pos) {}, -EIO, "broke: %m");
        resource_finish(r, -EIO, &d);
        CHECK(!d.message);              /* taken, or at least released */
        resource_finish(r, CHECK_CHANGED, NULL);
        CHECK_INT(resource_waiting(r, "for the service"), -EAGAIN);
        resource_log(r, 6, "%s-%d", "line", 1);
        CHECK_INT(resource_send(r, "answer", VALUE_INT(42)), 0);
        CHECK(resource_refresh(r));
        CHECK_STR(said, "changed(n) finished(broke: Input/output error) finished(changed) waiting(for the service) log(line-1) "
                        "answer(42) ");

        r->received = UINT64_C(1) << 4;
        CHECK(resource_received(r, "int8"));
        CHECK(!resource_received(r, "int16") && !resource_received(r, "none"));

        resource_changed(silent);       /* a host may leave things out */
        resource_armed(silent);
        resource_watch_failed(silent, -EIO, NULL);
        CHECK(!resource_refresh(silent));
        CHECK_INT(resource_send(silent, "answer", VALUE_INT(1)), 0);
}

TEST(uids_grow) {
        _cleanup_(resource_uids_done) ResourceUids uids = {};

        for (unsigned i = 0; i < 20; i++)
                CHECK_INT(resource_uids_add(&uids, "file", "/x", i == 19), 0);
        CHECK_INT(uids.n, 20);
        CHECK(uids.items[19].after && !uids.items[18].after);
        CHECK_STR(uids.items[7].key, "/x");
}

/* ---- change sets ---- */

static ResourceSpec make_spec(const char *kind, const char *name, const char *const *fields /* name, literal, … NULL */) {
        ResourceSpec s = { .kind = strdup(kind), .name = strdup(name), .pos = { strdup("f"), 1, 2, 3, 4 }, .fields = calloc(8, sizeof(FieldValue)) };

        meta_init(&s.meta);
        for (size_t i = 0; fields && fields[i]; i += 2) {
                s.fields[s.n_fields].name = strdup(fields[i]);
                if (value_parse(fields[i + 1], NULL, &s.fields[s.n_fields].value, NULL) < 0)
                        abort();
                s.n_fields++;
        }
        return s;
}

TEST(resource_specs) {
        static const char *const base[] = { "a", "1", "b", "[\"x\"]", "c", "NaN", NULL };
        static const struct {
                const char *kind, *name;
                const char *fields[9];
                const char *differs;
        } cases[] = {
                { "k", "n", { "a", "1", "b", "[\"x\"]", "c", "NaN" }, NULL },
                { "k", "n", { "c", "NaN", "b", "[\"x\"]", "a", "1" }, NULL },
                { "j", "n", { "a", "1", "b", "[\"x\"]", "c", "NaN" }, "kind" },
                { "k", "m", { "a", "1", "b", "[\"x\"]", "c", "NaN" }, "name" },
                { "k", "n", { "a", "2", "b", "[\"x\"]", "c", "NaN" }, "a" },
                { "k", "n", { "a", "1", "b", "[\"y\"]", "c", "NaN" }, "b" },
                { "k", "n", { "a", "1", "b", "[\"x\"]" }, "c" },
                { "k", "n", { "a", "1", "b", "[\"x\"]", "c", "NaN", "d", "1" }, "d" },
                { "k", "n", { "a", "1.0", "b", "[\"x\"]", "c", "NaN" }, "a" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resource_spec_done) ResourceSpec a = make_spec("k", "n", base);
                _cleanup_(resource_spec_done) ResourceSpec b = make_spec(cases[i].kind, cases[i].name, cases[i].fields), copy = {};
                const char *field = NULL;

                CHECK_INT(resource_spec_equal(&a, &b, &field), !cases[i].differs);
                CHECK_STR(field, cases[i].differs);
                REQUIRE(resource_spec_copy(&copy, &b) == 0);
                CHECK(resource_spec_equal(&b, &copy, NULL));
                CHECK_STR(copy.pos.file, "f");
                copy.meta.poll = 3;
                CHECK(!resource_spec_equal(&b, &copy, &field));
                CHECK_STR(field, "poll");
        }
}

TEST(change_sets) {
        _cleanup_(change_set_done) ChangeSet c = {};

        for (unsigned i = 0; i < 20; i++) {
                ResourceSpec s = make_spec("k", "n", NULL);
                EdgeSpec e = { .from_kind = strdup("k"), .from_name = strdup("n"), .to_kind = strdup("k"), .to_name = strdup("m"),
                               .notify = true, .pos = { strdup("f"), 1, 1, 1, 1 } }, copy = {};
                CHECK_INT(edge_spec_copy(&copy, &e), 0);
                CHECK_INT(change_set_put(&c, &s), 0);
                CHECK_INT(change_set_edge(&c, &e), 0);
                CHECK_INT(change_set_cut(&c, &copy), 0);
                CHECK_INT(change_set_remove(&c, "k", "o"), 0);
                CHECK(!s.kind && !e.from_kind && !copy.to_name);        /* moved */
        }
        CHECK(c.n_put == 20 && c.n_edges == 20 && c.n_cut == 20 && c.n_removed == 20);
        CHECK_STR(c.cut[19].to_name, "m");
        CHECK(c.cut[19].notify && !c.cut[19].send_key);
        CHECK_STR(c.removed[19].name, "o");
}

/* ---- the description of kinds ---- */

TEST(schema_round_trip) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        _cleanup_(schema_freep) Schema *s = NULL;
        _cleanup_(diag_done) Diag d = {};

        CHECK_INT(schema_describe(f, "engine", types), 0);
        fclose(f);
        CHECK_INT(schema_parse(&s, text, size, &d), 0);
        CHECK_STR(d.message, NULL);
        REQUIRE(s);
        CHECK_INT(schema_count(s), 3);
        CHECK_STR(schema_at(s, 0)->kind, "polled");
        CHECK(!schema_kind(s, "simple"));
        const SchemaKind *k = schema_kind(s, "sample:one");
        REQUIRE(k && k == schema_at(s, 2));
        CHECK_STR(k->daemon, "engine");
        CHECK_STR(k->doc, sample_type.doc);
        CHECK_STR(k->example, sample_type.example);
        CHECK_STR(k->parent_field, "optional");
        CHECK_INT(k->flags, sample_type.flags);
        CHECK(k->groups && !k->reversible && !k->edgeable);
        CHECK_INT(k->n_fields, fields_count(sample_fields) - 1);        /* without the hidden one */
        CHECK(!schema_field(k, "hidden"));
        for (const FieldSpec *spec = sample_fields; spec->name; spec++) {
                const SchemaField *field = schema_field(k, spec->name);
                if (spec->flags & FIELD_HIDDEN)
                        continue;
                REQUIRE(field);
                CHECK_INT(field->type, spec->type);
                CHECK_INT(field->flags, spec->flags);
                CHECK(type_equal(field->mcl_type, field_mcl_type(spec)));
                CHECK_STR(field->doc, spec->doc);
                CHECK_STR(field->initial, spec->initial);
        }
        CHECK_STR(schema_field(k, "int8")->native, "Int8");
        CHECK_STR(schema_field(k, "strv")->native, "Texts");
        CHECK_INT(k->n_sends, 1);
        CHECK(schema_send(k, "answer") && !schema_send(k, "int8") && !schema_field(k, "answer"));
        CHECK_INT(schema_at(s, 0)->n_sends, 0);

        /* The sum of several daemons' output. */
        char *nested = NULL;
        _cleanup_(schema_freep) Schema *sum = NULL;
        REQUIRE(asprintf(&nested, "[%s, []]", text) > 0);
        CHECK_INT(schema_parse(&sum, nested, strlen(nested), NULL), 0);
        CHECK(sum && schema_count(sum) == 3);
        free(nested);

        /* Every beginning of it is refused without harm. */
        for (size_t n = 0; n < size - 2; n += 7) {
                Schema *none = NULL;
                CHECK(schema_parse(&none, text, n, NULL) < 0);
                CHECK(!none);
        }
        free(text);
}

TEST(schema_refuses) {
        static const struct {
                const char *json, *error;
        } cases[] = {
                { "{}", "not an array" },
                { "[1]", "a kind is not an object" },
                { "[[], 1]", "neither an array of kinds nor of such arrays" },
                { "[{}]", "'kind' is missing" },
                { "[{\"kind\":1}]", "'kind' is not a string" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[\"odd\"],\"fields\":[],\"sends\":[]}]", "unknown flag 'odd'" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[null],\"fields\":[],\"sends\":[]}]", "unknown flag 'null'" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[],\"sends\":[]}]", "'fields' is not an array" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[],\"fields\":[3],\"sends\":[]}]", "a field is not an object" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[],\"fields\":[{\"name\":\"f\",\"native\":\"F\",\"doc\":\"\","
                  "\"type\":\"complex\",\"mcl\":\"int\",\"flags\":[]}],\"sends\":[]}]", "unknown type of a field" },
                { "[{\"kind\":\"a\",\"daemon\":\"d\",\"doc\":\"x\",\"flags\":[],\"fields\":[],\"sends\":[]},"
                  "{\"kind\":\"a\",\"daemon\":\"e\",\"doc\":\"x\",\"flags\":[],\"fields\":[],\"sends\":[]}]", "two kinds 'a'" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Schema *s = NULL;
                _cleanup_(diag_done) Diag d = {};
                CHECK_INT(schema_parse(&s, cases[i].json, strlen(cases[i].json), &d), -EINVAL);
                CHECK(!s);
                if (!d.message || !strstr(d.message, cases[i].error))
                        TEST_FAIL("'%s' does not say '%s'", d.message ?: "", cases[i].error);
        }

        Schema *s = NULL;
        _cleanup_(diag_done) Diag d = {};
        CHECK_INT(schema_load(&s, "/nonexistent/kinds.json", &d), -ENOENT);
        CHECK_STR(d.message, "cannot read '/nonexistent/kinds.json': No such file or directory");
}

TEST_MAIN()
