/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See running.h. */

#include <string.h>

#include "bench/bench.h"
#include "bench/running.h"

#define ROW(name, native, type, mcl) \
        "{\"name\": \"" name "\", \"native\": \"" native "\", \"type\": \"" type "\", \"mcl\": \"" mcl "\", \"flags\": [], \"doc\": \"x\"}"

static const char kinds[] =
        "[{\"kind\": \"count\", \"daemon\": \"x\", \"doc\": \"x\", \"flags\": [], \"sends\": [], \"fields\": ["
        ROW("value", "Value", "int64", "int") "," ROW("text", "Text", "string", "str") "]},"
        "{\"kind\": \"file\", \"daemon\": \"x\", \"doc\": \"x\", \"flags\": [], \"sends\": [], \"fields\": ["
        ROW("content", "Content", "string", "str") "," ROW("mode", "Mode", "string", "str") "]}]";

static Schema *schema;

static void fail(const char *text) {
        fprintf(stderr, "%s\n", text ?: "out of memory");
        exit(EXIT_FAILURE);
}

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        if (!streq(path, "/main.mcl"))
                return -ENOENT;
        *ret = strdup(userdata);
        *ret_size = strlen(userdata);
        return *ret ? 0 : -ENOMEM;
}

static int number_open(Source *s, Diag *reterr) {
        Running *r = s->host->manager;
        size_t i = strtoul(value_cstr(s->args[1]), NULL, 10);

        if (i >= r->n_numbers) {
                r->numbers = reallocarray(r->numbers, i + 1, sizeof(Source *));
                if (!r->numbers)
                        fail(NULL);
                memset(r->numbers + r->n_numbers, 0, (i + 1 - r->n_numbers) * sizeof(Source *));
                r->n_numbers = i + 1;
        }
        r->numbers[i] = s;
        source_set(s, VALUE_INT(0));
        return 0;
}

static int list_open(Source *s, Diag *reterr) {
        Running *r = s->host->manager;

        r->list = s;
        source_set(s, value_ref(r->list_value));
        return 0;
}

static const SourceType *find_source(void *userdata, const char *function) {
        static const SourceType types[] = {
                { .name = "local.pool", .size = sizeof(Source), .open = number_open },
                { .name = "world.schedule", .size = sizeof(Source), .open = list_open },
                {}
        };

        return source_type_find(types, function);
}

void running_start(Running *r, const char *text, Value list) {
        static SourceHost sources;
        const LangHost host = { .userdata = (void *) text, .hostname = "bench", .read_file = read_file, .source = find_source,
                                .source_host = &sources };
        const LangOptions options = { .entry = "/main.mcl" };
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet c = {};
        LangHost with_schema = host;

        if (!schema && schema_parse(&schema, kinds, strlen(kinds), NULL) < 0)
                fail("the kinds are broken");
        *r = (Running) { .list_value = list };
        if (list.kind == TYPE_NIL && value_list(&r->list_value, NULL, 0) < 0)
                fail(NULL);
        sources.manager = r;
        with_schema.schema = schema;
        if (lang_compile(&r->lang, &with_schema, &options, &errors) < 0)
                fail(errors.n > 0 ? errors.items[0].message : NULL);
        if (lang_start(r->lang, &c, &error) < 0)
                fail(error.message);
}

void running_done(Running *r) {
        lang_free(r->lang);
        free(r->numbers);
        value_done(&r->list_value);
}

void running_say(Running *r, size_t number, int64_t value) {
        source_set(r->numbers[number], VALUE_INT(value));
}

void running_say_list(Running *r, Value list) {
        source_set(r->list, list);
}

size_t running_step(Running *r) {
        _cleanup_(change_set_done) ChangeSet c = {};
        _cleanup_(diag_done) Diag error = {};

        if (lang_step(r->lang, &c, &error) < 0)
                fail(error.message);
        return c.n_put;
}
