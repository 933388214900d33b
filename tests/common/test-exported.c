/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Resources as text, from one host to another: whatever fields there are, they come back; whatever else comes is refused. */

#include "common/exported.h"
#include "common/resource.h"
#include "tests/random.h"
#include "tests/test.h"

typedef struct Sample {
        Resource resource;
        bool flag;
        char *str, *optional, *secret;
        int64_t number;
        double real;
        char **list;
        Value map, any;
        int32_t hidden;
} Sample;

static const FieldSpec sample_fields[] = {
        FIELD(Sample, flag, FIELD_BOOL, 0, "Flag.", .initial = "true"),
        FIELD(Sample, str, FIELD_STR, 0, "Text."),
        FIELD(Sample, optional, FIELD_STR, FIELD_OPTIONAL, "Text, or none."),
        FIELD(Sample, secret, FIELD_STR, FIELD_SECRET, "Secret."),
        FIELD(Sample, number, FIELD_INT64, 0, "Number."),
        FIELD(Sample, real, FIELD_FLOAT64, 0, "Real."),
        FIELD(Sample, list, FIELD_STRV, 0, "Texts."),
        FIELD(Sample, map, FIELD_VALUE, 0, "Map.", .mcl_type = "map{str: []int}"),
        FIELD(Sample, any, FIELD_VALUE, FIELD_OPTIONAL, "Anything.", .mcl_type = "variant"),
        FIELD(Sample, hidden, FIELD_INT32, FIELD_HIDDEN, "Hidden."),
        {}
};

static int sample_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

static const ResourceType sample_type = {
        .kind = "sample", .doc = "A sample.", .example = "sample \"x\" {\n}\n", .size = sizeof(Sample), .fields = sample_fields,
        .check_apply = sample_check_apply,
};

static ResourceHost host;

static Resource *sample(void) {
        Resource *r = NULL;

        CHECK_INT(resource_new(&r, &sample_type, &host, "x", (Pos) {}), 0);
        return r;
}

static Schema *schema(void) {
        static const ResourceType *const types[] = { &sample_type, NULL };
        Schema *s = NULL;
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        CHECK_INT(schema_describe(f, "test", types), 0);
        (void) fclose(f);
        CHECK_INT(schema_parse(&s, text, size, NULL), 0);
        free(text);
        return s;
}

static void set(Resource *r, const char *field, const char *text, const char *type) {
        _cleanup_(value_done) Value v = {};
        const Type *t = NULL;

        CHECK_INT(type_parse(NULL, type, &t, NULL), 0);
        CHECK_INT(value_parse(text, t, &v, NULL), 0);
        CHECK_INT(resource_set(r, field, v, NULL), 0);
}

/* Decodes into another resource, as the engine of the collecting host would make it. */
static int decode(const char *data, Resource *into, Diag *reterr) {
        _cleanup_(schema_freep) Schema *s = schema();
        ResourceSpec spec = {};
        int r;

        meta_init(&spec.meta);
        r = exported_decode(data, strlen(data), schema_kind(s, "sample"), &spec, reterr);
        for (size_t i = 0; i < spec.n_fields && r >= 0; i++)
                CHECK_INT(resource_set(into, spec.fields[i].name, spec.fields[i].value, reterr), 0);
        if (r >= 0)
                CHECK_INT(meta_copy(&into->meta, &spec.meta), 0);
        resource_spec_done(&spec);
        return r;
}

TEST(all_fields_come_back) {
        static const struct { const char *field, *text, *type; } cases[] = {
                { "flag",       "false",                                "bool" },
                { "str",        "\"\"",                                 "str" },
                { "str",        "\"a\\n\\\"b\\\" \\\\ \xc3\xa9 \\x01\"", "str" },
                { "optional",   "\"\"",                                 "str" },
                { "number",     "-9223372036854775807",                 "int" },
                { "real",       "0.1",                                  "float" },
                { "real",       "100000000000000000000",                "float" },
                { "list",       "[\"\", \"a,b\"]",                      "[]str" },
                { "map",        "{\"a\" => [1, 2], \"\" => []}",        "map{str: []int}" },
                { "any",        "42",                                   "int" },
                { "any",        "42",                                   "float" },
                { "any",        "[1.5, 2]",                             "[]float" },
                { "any",        "[]",                                   "[]int" },
                { "any",        "{}",                                   "map{str: int}" },
                { "any",        "struct{a => 1, b => [\"x\"]}",         "struct{a int; b []str}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resource_freep) Resource *from = sample(), *to = sample();
                _cleanup_free_ char *data = NULL;
                const char *differs = "";

                set(from, cases[i].field, cases[i].text, cases[i].type);
                from->meta.retry = 3;
                from->meta.hidden = true;
                CHECK_INT(exported_encode(from, &data, NULL), 0);
                CHECK(data && !strchr(data, '\n'));
                CHECK_INT(decode(data, to, NULL), 0);
                if (!resource_equal(from, to, &differs))
                        TEST_FAIL("%s: %s differs", data, differs);
        }
}

/* To whom it was exported is nobody else's business. */
TEST(what_is_as_from_the_beginning_is_left_out) {
        _cleanup_(resource_freep) Resource *r = sample();
        _cleanup_free_ char *data = NULL;

        r->meta.export = calloc(2, sizeof(char *));
        r->meta.export[0] = strdup("h1");
        CHECK_INT(exported_encode(r, &data, NULL), 0);
        CHECK_STR(data, "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{},\"meta\":{}}");
}

TEST(secrets_are_refused) {
        _cleanup_(resource_freep) Resource *declared = sample(), *received = sample();
        _cleanup_(diag_done) Diag d = {};
        char *data = NULL;

        set(declared, "secret", "\"s\"", "str");
        CHECK_INT(exported_encode(declared, &data, &d), -EPERM);
        CHECK(d.message && strstr(d.message, "field 'secret' is a secret"));
        received->secret = 1 << 1;
        CHECK_INT(exported_encode(received, &data, NULL), -EPERM);
        CHECK(!data);
}

TEST(what_is_no_resource_of_this_kind) {
        static const char *const cases[] = {
                "", "x", "[]", "{}", "{\"mgmt\":1}", "{\"mgmt\":2,\"kind\":\"sample\",\"fields\":{},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"other\",\"fields\":{},\"meta\":{}}", "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":[],\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"none\":\"1\"},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"number\":\"x\"},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"number\":1},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"number\":{\"type\":\"str\",\"value\":\"\\\"x\\\"\"}},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"any\":{\"type\":\"[\",\"value\":\"1\"}},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{\"any\":{\"value\":\"1\"}},\"meta\":{}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{},\"meta\":{\"none\":\"1\"}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{},\"meta\":{\"export\":\"[]\"}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{},\"meta\":{\"retry\":\"100000\"}}",
                "{\"mgmt\":1,\"kind\":\"sample\",\"fields\":{},\"meta\":{}} x",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(resource_freep) Resource *r = sample();
                _cleanup_(diag_done) Diag d = {};

                if (decode(cases[i], r, &d) != -EBADMSG || !d.message)
                        TEST_FAIL("%s is taken", cases[i]);
        }
}

/* Bytes changed at random: taken or refused, and nothing worse. */
TEST(broken_at_random) {
        Random r = random_from(7);

        for (unsigned i = 0; i < 2000; i++) {
                _cleanup_(resource_freep) Resource *from = sample();
                _cleanup_free_ char *data = NULL;

                set(from, "any", "{\"a\" => [1.5]}", "map{str: []float}");
                set(from, "str", "\"text\"", "str");
                CHECK_INT(exported_encode(from, &data, NULL), 0);
                for (unsigned k = random_pick(&r, 4) + 1; k > 0; k--)
                        data[random_pick(&r, (unsigned) strlen(data))] = (char) (random_pick(&r, 126) + 1);
                _cleanup_(schema_freep) Schema *s = schema();
                ResourceSpec spec = {};
                meta_init(&spec.meta);
                (void) exported_decode(data, strlen(data), schema_kind(s, "sample"), &spec, NULL);
                resource_spec_done(&spec);
        }
}

TEST_MAIN()
