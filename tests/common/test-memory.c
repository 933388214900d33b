/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The n-th allocation fails, for n = 1, 2, 3, … until the operation goes through: every failure must be reported as such, and must
 * leave nothing behind. */

#include <json.h>

#include "common/arena.h"
#include "common/bundle.h"
#include "common/change-set.h"
#include "common/io.h"
#include "common/map.h"
#include "common/resource.h"
#include "common/schema.h"
#include "common/strbuf.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

/* Runs it until it passes. It returns -ENOMEM for a failed allocation, and 0 in the end; it frees all that it made. */
static void exhaust(const char *what, int (*operation)(void), unsigned at_least) {
        uint64_t n, n_reported = 0;
        int r;

        (void) operation();     /* whatever is made once per process is made now */
        for (n = 1;; n++) {
                size_t before = alloc_bytes();
                alloc_fail_at(n);
                r = operation();
                bool failed = alloc_failed();
                if (alloc_bytes() != before)
                        TEST_FAIL("%s: %zu bytes were lost with allocation %" PRIu64, what, alloc_bytes() - before, n);
                if (!failed)
                        break;
                if (r != -ENOMEM && r != 0)
                        TEST_FAIL("%s: allocation %" PRIu64 " failed and it returned %d", what, n, r);
                n_reported += r < 0;
                if (n > 100000) {
                        TEST_FAIL("%s: does not end", what);
                        return;
                }
        }
        CHECK_INT(r, 0);
        /* A few can be done without: vasprintf() shrinks its result, and lives with it if that fails. */
        if (n_reported < (n - 1) * 2 / 3)
                TEST_FAIL("%s: %" PRIu64 " of %" PRIu64 " failures were noticed", what, n_reported, n - 1);
        if (n <= at_least)
                TEST_FAIL("%s: only %" PRIu64 " allocations, the test misses its point", what, n);
}

static const char literal[] = "[{\"a\": struct{x: 1; y: [\"some text\", \"more\"]}, \"b\": struct{x: 2; y: []}}, {}]";

static int parse_and_print(void) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r = value_parse(literal, NULL, &v, NULL);

        if (r < 0)
                return r;
        _cleanup_free_ char *text = value_text(v);
        return text ? 0 : -ENOMEM;
}

static int build_values(void) {
        _cleanup_(value_done) Value list = VALUE_NIL, map = VALUE_NIL, st = VALUE_NIL;
        Value items[8] = {};
        int r;

        r = value_list_from_strv(&list, (char *[]) { (char *) "one", (char *) "two", NULL });
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(items); i += 2) {
                r = value_strf(&items[i], "key %zu", 9 - i);
                if (r < 0)
                        break;
                items[i + 1] = value_ref(list);
        }
        if (r < 0) {
                for (size_t i = 0; i < ELEMENTSOF(items); i++)
                        value_done(&items[i]);
                return r;
        }
        r = value_map(&map, items, ELEMENTSOF(items) / 2);
        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                CHECK_INT(items[i].kind, TYPE_NIL);     /* taken in any case */
        if (r < 0)
                return r;
        items[0] = value_ref(map);
        items[1] = value_take(&list);
        r = value_struct(&st, (const char *[]) { "m", "l" }, items, 2);
        CHECK(items[0].kind == TYPE_NIL && items[1].kind == TYPE_NIL);
        return r;
}

static int through_json(void) {
        _cleanup_(value_done) Value v = VALUE_NIL, back = VALUE_NIL;
        struct json_object *j = NULL;
        int r;

        r = value_parse("[struct{a: 1.5; b: \"x\\xff\"}, {1: true}, {\"k\": nil}, \"text\", []]", NULL, &v, NULL);
        if (r < 0)
                return r;
        r = value_to_json(v, &j);
        if (r < 0)
                return r;
        r = value_from_json(j, NULL, &back, NULL);
        json_object_put(j);
        return r;
}

static int parse_types(void) {
        _cleanup_(arena_freep) Arena *a = arena_new(0);
        const Type *t;

        if (!a)
                return -ENOMEM;
        int r = type_parse(a, "func(a map{str: []int}, struct{x int; y ?7}) struct{z func(b ?9) ?7}", &t, NULL);
        if (r < 0)
                return r;
        _cleanup_free_ char *text = type_text(t);
        return text ? 0 : -ENOMEM;
}

static int use_map(void) {
        _cleanup_(map_freep) Map *m = map_new();
        static char value;

        if (!m)
                return -ENOMEM;
        for (unsigned i = 0; i < 40; i++) {
                char key[16];
                snprintf(key, sizeof(key), "%u", i);
                int r = map_put(m, key, &value);
                if (r < 0) {
                        if (map_get(m, key) || map_size(m) != i)
                                return -EUCLEAN;
                        return r;
                }
        }
        return 0;
}

/* ---- resources ---- */

typedef struct Sample {
        Resource resource;
        char *text, **list;
        Value value;
} Sample;

static int sample_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}

static const FieldSpec sample_fields[] = {
        FIELD(Sample, text, FIELD_STR, 0, "Text.", .initial = "\"start\""),
        FIELD(Sample, list, FIELD_STRV, 0, "Texts.", .initial = "[\"a\", \"b\"]"),
        FIELD(Sample, value, FIELD_VALUE, 0, "Anything.", .mcl_type = "variant", .initial = "{1 => [2]}"),
        {}
};

static const ResourceType sample_type = {
        .kind = "sample", .doc = "A sample.", .example = "sample \"x\" {}\n", .size = sizeof(Sample), .fields = sample_fields,
        .sends = sample_fields, .check_apply = sample_check_apply,
};

static const ResourceType *const types[] = { &sample_type, NULL };
static ResourceHost host;

static int use_resource(void) {
        _cleanup_(resource_freep) Resource *r = NULL;
        _cleanup_(value_done) Value v = VALUE_NIL, got = VALUE_NIL;
        _cleanup_(resource_uids_done) ResourceUids uids = {};
        int e;

        e = resource_new(&r, &sample_type, &host, "name", (Pos) { "file", 1, 1, 1, 1 });
        if (e < 0)
                return e;
        e = value_parse("[\"x\", \"y\", \"z\"]", NULL, &v, NULL);
        if (e >= 0)
                e = resource_set(r, "list", v, NULL);
        if (e >= 0)
                e = field_get(&sample_fields[1], r, &got);
        if (e >= 0)
                e = resource_uids_add(&uids, "file", "/x", false);
        if (e < 0)
                return e;
        _cleanup_free_ char *id = resource_id(r);
        return id ? 0 : -ENOMEM;
}

static int use_change_set(void) {
        _cleanup_(change_set_done) ChangeSet c = {};

        for (unsigned i = 0; i < 9; i++) {
                const ResourceSpec s = { .kind = (char *) "k", .name = (char *) "n", .pos = { "f", 1, 1, 1, 1 },
                                         .meta.sema = (char *[]) { (char *) "s", NULL },
                                         .fields = &(FieldValue) { (char *) "a", VALUE_INT(1) }, .n_fields = 1 };
                const EdgeSpec e = { .from_kind = (char *) "k", .from_name = (char *) "n", .to_kind = (char *) "k",
                                     .to_name = (char *) "m", .send_key = (char *) "x", .receive_field = (char *) "y",
                                     .pos = { "f", 1, 1, 1, 1 } };
                ResourceSpec s_copy = {};
                EdgeSpec e_copy = {}, e_again = {};
                int r;

                r = resource_spec_copy(&s_copy, &s);
                if (r >= 0)
                        r = change_set_put(&c, &s_copy);
                if (r >= 0)
                        r = edge_spec_copy(&e_copy, &e);
                if (r >= 0)
                        r = change_set_edge(&c, &e_copy);
                if (r >= 0)
                        r = edge_spec_copy(&e_again, &e);
                if (r >= 0)
                        r = change_set_cut(&c, &e_again);
                if (r >= 0)
                        r = change_set_remove(&c, "k", "n");
                if (r < 0)
                        return r;
        }
        return 0;
}

/* json-c does not say which of its failures was one of memory: any error will do. */
static char *description;

static int load_schema(void) {
        _cleanup_(schema_freep) Schema *s = NULL;
        int r = schema_parse(&s, description, strlen(description), NULL);

        return r < 0 ? -ENOMEM : schema_kind(s, "sample") ? 0 : -EUCLEAN;
}

static int describe_schema(void) {
        FILE *f = fopen("/dev/null", "we");
        if (!f)
                return -errno;
        int r = schema_describe(f, "engine", types);
        fclose(f);
        return r < 0 ? -ENOMEM : 0;
}

/* ---- texts ---- */

static int collect_diags(void) {
        _cleanup_(diags_done) Diags list = {};

        for (unsigned i = 0; i < 9; i++) {
                _cleanup_(diag_done) Diag d = {}, copy = {};
                if (diag_set(&d, (Pos) {}, -EIO, "number %u", i) != -EIO || d.error != -EIO)
                        return -EUCLEAN;
                if (!d.message)
                        return -ENOMEM;         /* the error is there all the same */
                if (diag_note(&d, (Pos) {}, "note") < 0 && d.n_notes == 0)
                        return -ENOMEM;
                if (diag_copy(&copy, &d) < 0)
                        return -ENOMEM;
                if (diags_add(&list, &copy) < 0)
                        return -ENOMEM;
                _cleanup_free_ char *text = diag_render(&d, "line", 4, false);
                if (!text)
                        return -ENOMEM;
        }
        return 0;
}

static int read_own_file(void) {
        _cleanup_free_ char *data = NULL;
        size_t size;

        return read_file_at(-1, "/proc/self/maps", 1 << 20, &data, &size);
}

TEST(out_of_memory) {
        static const struct {
                const char *what;
                int (*operation)(void);
                unsigned at_least;
                bool own_only;          /* json-c's parser does not survive this: where the program's own calls alone can fail */
        } cases[] = {
                { "value_parse", parse_and_print, 10 },
                { "value_map", build_values, 8 },
                { "json", through_json, 10 },
                { "type_parse", parse_types, 8 },
                { "map", use_map, 40 },
                { "resource", use_resource, 10 },
                { "change set", use_change_set, 50 },
                { "schema_parse", load_schema, 5, .own_only = true },
                { "schema_describe", describe_schema, 5 },
                { "diag", collect_diags, 10 },
                { "read_file", read_own_file, 1 },
        };
        size_t size;

        FILE *f = open_memstream(&description, &size);
        REQUIRE(schema_describe(f, "engine", types) == 0);
        fclose(f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (!cases[i].own_only || !alloc_counts_bytes())
                        exhaust(cases[i].what, cases[i].operation, cases[i].at_least);
        free(description);
}

/* What a field holds stays until the new value is in place. */
TEST(a_field_keeps_its_value) {
        Resource *r = NULL;
        _cleanup_(value_done) Value v = VALUE_NIL;

        REQUIRE(resource_new(&r, &sample_type, &host, "name", (Pos) {}) == 0);
        Sample *s = (Sample *) r;
        REQUIRE(value_parse("[\"x\", \"y\"]", NULL, &v, NULL) == 0);
        for (uint64_t n = 1;; n++) {
                alloc_fail_at(n);
                int e = resource_set(r, "list", v, NULL);
                if (!alloc_failed())
                        break;
                CHECK_INT(e, -ENOMEM);
                CHECK(strv_equal(s->list, (char *[]) { (char *) "a", (char *) "b", NULL }));
        }
        CHECK(strv_equal(s->list, (char *[]) { (char *) "x", (char *) "y", NULL }));
        resource_free(r);
}

TEST(scalars_cost_no_memory) {
        Value v[] = { VALUE_NIL, VALUE_BOOL(true), VALUE_INT(1), VALUE_FLOAT(1) };
        uint64_t before = alloc_count();
        Meta m;

        for (size_t i = 0; i < ELEMENTSOF(v); i++) {
                Value w = value_ref(v[i]);
                value_done(&w);
        }
        meta_init(&m);
        meta_done(&m);
        CHECK_INT(alloc_count(), before);
}

TEST_MAIN()
