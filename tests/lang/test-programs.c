/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every file in programs/ is a program that says what it must come to:
 *
 *         # expect resource: file[/tmp/x]
 *         # expect field: file[/tmp/x].content = "hello"
 *         # expect meta: file[/tmp/x].retry = 3
 *         # expect edge: file[/tmp/x] -> print[y]
 *         # expect notify: file[/tmp/x] -> print[y]
 *         # expect transfer: test[a].hello -> print[b].msg
 *         # expect error: 3:1: the message
 *         # expect help: did you mean 'x'?
 *
 * All resources and edges must be expected, in any order; so must the first error. A new case is a new file. */

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "lang/lang.h"
#include "tests/beside.h"
#include "tests/test.h"

enum { FILE_MAX = 1024 * 1024, LINES_MAX = 256 };

typedef struct Lines {
        char *items[LINES_MAX];
        size_t n;
} Lines;

static void add_line(Lines *lines, char *line) {
        if (line && lines->n < LINES_MAX)
                lines->items[lines->n++] = line;
        else
                free(line);
}

static void lines_done(Lines *lines) {
        for (size_t i = 0; i < lines->n; i++)
                free(lines->items[i]);
}

static int compare_lines(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        _cleanup_free_ char *full = NULL;

        if (asprintf(&full, "%s%s", (const char *) userdata, path) < 0)
                return -ENOMEM;
        return read_file_at(AT_FDCWD, full, FILE_MAX, ret, ret_size);
}

/* The lines after "# expect ". */
static void read_expected(const char *text, Lines *ret) {
        static const char marker[] = "# expect ";

        for (const char *line = text; *line;) {
                size_t n = strcspn(line, "\n");
                if (strncmp(line, marker, strlen(marker)) == 0)
                        add_line(ret, strndup(line + strlen(marker), n - strlen(marker)));
                line += n + (line[n] == '\n');
        }
}

static void say(Lines *lines, const char *format, ...) _printf_(2, 3);
static void say(Lines *lines, const char *format, ...) {
        char *line = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&line, format, ap) < 0)
                line = NULL;
        va_end(ap);
        add_line(lines, line);
}

static void say_error(Lines *lines, const Diag *d) {
        say(lines, "error: %u:%u: %s", d->pos.line, d->pos.column, d->message);
        for (size_t i = 0; i < d->n_notes; i++)
                if (startswith(d->notes[i].text, "help: "))
                        say(lines, "%s", d->notes[i].text);
}

static void say_resource(Lines *lines, const ResourceSpec *s) {
        Meta defaults;

        say(lines, "resource: %s[%s]", s->kind, s->name);
        for (size_t i = 0; i < s->n_fields; i++) {
                _cleanup_free_ char *text = value_text(s->fields[i].value);
                say(lines, "field: %s[%s].%s = %s", s->kind, s->name, s->fields[i].name, text);
        }
        meta_init(&defaults);
        for (const FieldSpec *f = meta_fields; f->name; f++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                if (field_equal(f, &defaults, &s->meta) || field_get(f, &s->meta, &v) < 0)
                        continue;
                _cleanup_free_ char *text = value_text(v);
                say(lines, "meta: %s[%s].%s = %s", s->kind, s->name, f->name, text);
        }
        meta_done(&defaults);
}

static void say_graph(Lines *lines, const ChangeSet *c) {
        for (size_t i = 0; i < c->n_put; i++)
                say_resource(lines, &c->put[i]);
        for (size_t i = 0; i < c->n_edges; i++) {
                const EdgeSpec *e = &c->edges[i];
                if (e->send_key)
                        say(lines, "transfer: %s[%s].%s -> %s[%s].%s", e->from_kind, e->from_name, e->send_key, e->to_kind, e->to_name,
                            e->receive_field);
                else
                        say(lines, "%s: %s[%s] -> %s[%s]", e->notify ? "notify" : "edge", e->from_kind, e->from_name, e->to_kind,
                            e->to_name);
        }
}

static void run_program(const Schema *schema, const char *root, const char *name, Lines *got) {
        _cleanup_(lang_freep) Lang *l = NULL;
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet changes = {}, again = {}, snapshot = {};
        _cleanup_free_ char *entry = NULL;

        if (asprintf(&entry, "/%s", name) < 0)
                return;
        LangHost host = { .userdata = (void *) root, .schema = schema, .hostname = "tester", .read_file = read_file };
        LangOptions options = { .entry = entry };
        if (lang_compile(&l, &host, &options, &errors) < 0) {
                for (size_t i = 0; i < errors.n; i++)
                        say_error(got, &errors.items[i]);
                return;
        }
        if (lang_start(l, &changes, &error) < 0) {
                say_error(got, &error);
                return;
        }
        CHECK(changes.full);
        say_graph(got, &changes);
        CHECK_INT(lang_step(l, &again, NULL), 0);
        CHECK_INT(again.n_put + again.n_removed + again.n_edges + again.n_cut, 0);
        CHECK_INT(lang_snapshot(l, &snapshot), 0);
        CHECK_INT(snapshot.n_put, changes.n_put);
        CHECK_INT(snapshot.n_edges, changes.n_edges);
}

static void check_program(const Schema *schema, const char *root, const char *name) {
        _cleanup_(lines_done) Lines want = {};
        _cleanup_(lines_done) Lines got = {};
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t size;

        REQUIRE(asprintf(&path, "%s/%s", root, name) >= 0);
        REQUIRE(read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size) >= 0);
        read_expected(text, &want);
        run_program(schema, root, name, &got);
        qsort(want.items, want.n, sizeof(char *), compare_lines);
        qsort(got.items, got.n, sizeof(char *), compare_lines);
        size_t i = 0, j = 0;
        while (i < want.n || j < got.n) {
                int order = i == want.n ? 1 : j == got.n ? -1 : strcmp(want.items[i], got.items[j]);
                if (order < 0)
                        TEST_FAIL("%s: missing %s", name, want.items[i]);
                else if (order > 0)
                        TEST_FAIL("%s: unexpected %s", name, got.items[j]);
                i += order <= 0;
                j += order >= 0;
        }
}

TEST(every_program_comes_to_what_it_says) {
        _cleanup_free_ char *root = BESIDE("programs"), *kinds = BESIDE("kinds.json");
        _cleanup_(schema_freep) Schema *schema = NULL;
        struct dirent **list = NULL;

        REQUIRE(root && kinds);
        REQUIRE(schema_load(&schema, kinds, NULL) >= 0);
        int n = scandir(root, &list, NULL, alphasort);
        REQUIRE(n > 2);
        for (int i = 0; i < n; i++) {
                if (endswith(list[i]->d_name, ".mcl") && list[i]->d_name[0] != '_')
                        check_program(schema, root, list[i]->d_name);
                free(list[i]);
        }
        free(list);
}

TEST_MAIN()
