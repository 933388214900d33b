/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Compiles the program in a directory, runs it until it has a graph, and says as JSON what came of it. Archives are taken apart and results
 * are compared by tests/conformance/run.
 *
 *         conformance [--compile] KINDS.json ROOT [GRAPH DAEMONS]
 *         conformance --format FILE            prints it formatted
 *
 * Into the file GRAPH it writes the graph as messages, for conformance-engine; functions ask a mgmt-world from DAEMONS, which knows
 * nothing yet. */

#include <fcntl.h>
#include <json.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/map.h"
#include "common/message.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/world-link.h"
#include "lang/format.h"
#include "tests/conformance/stage.h"

enum { FILE_MAX = 16 * 1024 * 1024, PATIENCE_USEC = 10 * 1000 * 1000 };

/* What the program is run with: its files, and as much of mgmt-lang as its functions need that look outside. */
typedef struct World {
        const char *root;
        const char *graph;      /* where to write it, or NULL */
        Manager manager;
        SourceHost sources;
        bool due;               /* one of them has said something */
} World;

static const char *const stage_names[_LANG_STAGE_MAX] = {
        [LANG_STAGE_PARSE] = "errLexParse",       [LANG_STAGE_INIT] = "errInit",     [LANG_STAGE_INTERPOLATE] = "errInterpolate",
        [LANG_STAGE_SCOPE] = "errSetScope",       [LANG_STAGE_UNIFY] = "errUnify",   [LANG_STAGE_GRAPH] = "errGraph",
        [LANG_STAGE_STREAM] = "errStream",        [LANG_STAGE_INTERPRET] = "errInterpret",
};

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        char full[PATH_MAX];
        struct stat st;

        if (snprintf(full, sizeof(full), "%s%s", ((const World *) userdata)->root, path) >= (int) sizeof(full))
                return -ENAMETOOLONG;
        if (stat(full, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return read_file_at(AT_FDCWD, full, FILE_MAX, ret, ret_size);
}

/* The files are on this host anyway. */
static int copy_directory(void *userdata, const char *directory, char **ret, Diag *reterr) {
        return asprintf(ret, "%s%s", ((const World *) userdata)->root, directory) < 0 ? -ENOMEM : 0;
}

static const SourceType *find_source(void *userdata, const char *function) {
        return lang_source_find(function);
}

static void on_due(void *userdata) {
        ((World *) userdata)->due = true;
}

/* The line of the error with carets under it, as the archives have it. */
static char *highlight(const Diag *d, World *w) {
        _cleanup_free_ char *text = lang_error_text(d), *source = NULL;
        size_t size = 0;
        char *out = NULL;

        if (d->pos.line == 0 || !d->pos.file || read_file(w, d->pos.file, &source, &size) < 0)
                return text ? strdup(text) : NULL;
        const char *line = source;
        for (unsigned i = 1; i < d->pos.line && line; i++) {
                line = strchr(line, '\n');
                line = line ? line + 1 : NULL;
        }
        if (!line)
                return NULL;
        int length = (int) strcspn(line, "\n"), indent = (int) strspn(line, " \t");
        int spaces = MAX((int) d->pos.column - 1 - indent, 0);
        if (d->pos.end_line == d->pos.line) {
                int carets = MAX((int) d->pos.end_column - (int) d->pos.column, 0);
                _cleanup_free_ char *marks = malloc((size_t) carets + 1);
                if (!marks)
                        return NULL;
                memset(marks, '^', (size_t) carets);
                marks[carets] = '\0';
                return asprintf(&out, "%s\n\n%.*s\n%.*s%*s%s", text, length, line, indent, line, spaces, "", marks) < 0 ? NULL : out;
        }
        const char *last = line;
        for (unsigned i = d->pos.line; i < d->pos.end_line; i++) {
                last = strchr(last, '\n');
                if (!last)
                        return NULL;
                last++;
        }
        int last_length = (int) strcspn(last, "\n"), last_indent = (int) strspn(last, " \t");
        int last_spaces = MAX((int) d->pos.end_column - 2 - last_indent, 0);
        return asprintf(&out, "%s\n\n%.*s\n%.*s%*s^ from here ...\n%.*s\n%.*s%*s^ ... to here", text, length, line, indent, line, spaces,
                        "", last_length, last, last_indent, last, last_spaces, "") < 0 ? NULL : out;
}

static void add_error(struct json_object *result, const Diag *d, World *w) {
        _cleanup_free_ char *text = lang_error_text(d), *log = highlight(d, w);
        struct json_object *notes = json_object_new_array();

        json_object_object_add(result, "error", json_object_new_string(text ? text : ""));
        json_object_object_add(result, "message", json_object_new_string(d->message ? d->message : ""));
        json_object_object_add(result, "log", json_object_new_string(log ? log : ""));
        for (size_t i = 0; i < d->n_notes; i++)
                json_object_array_add(notes, json_object_new_string(d->notes[i].text));
        json_object_object_add(result, "notes", notes);
}

static void add_line(struct json_object *lines, const char *format, ...) _printf_(2, 3);
static void add_line(struct json_object *lines, const char *format, ...) {
        char *line;
        va_list ap;

        va_start(ap, format);
        int r = vasprintf(&line, format, ap);
        va_end(ap);
        if (r < 0)
                return;
        json_object_array_add(lines, json_object_new_string(line));
        free(line);
}

/* How many resources have each name: hidden ones may have that of another. */
static Map *count_names(const ChangeSet *c) {
        Map *counts = map_new();

        for (size_t i = 0; i < c->n_put && counts; i++) {
                _cleanup_free_ char *name = NULL;

                if (asprintf(&name, "%s[%s]", c->put[i].kind, c->put[i].name) >= 0)
                        (void) map_put(counts, name, (void *) ((uintptr_t) map_get(counts, name) + 1));
        }
        return counts;
}

static void add_graph(struct json_object *result, const ChangeSet *c) {
        _cleanup_(map_freep) Map *counts = count_names(c), *seen = map_new();
        struct json_object *lines = json_object_new_array();

        for (size_t i = 0; i < c->n_put; i++)
                add_line(lines, "Vertex: %s[%s]", c->put[i].kind, c->put[i].name);
        for (size_t i = 0; i < c->n_edges && counts && seen; i++) {
                const EdgeSpec *e = &c->edges[i];
                _cleanup_free_ char *from = NULL, *to = NULL, *edge = NULL;

                /* Several transfers between two resources are still one edge. */
                if (asprintf(&from, "%s[%s]", e->from_kind, e->from_name) < 0 || asprintf(&to, "%s[%s]", e->to_kind, e->to_name) < 0 ||
                    asprintf(&edge, "%s -> %s", from, to) < 0 || map_put(seen, edge, (void *) e) <= 0)
                        continue;
                for (uintptr_t n = (uintptr_t) map_get(counts, from) * (uintptr_t) map_get(counts, to); n > 0; n--)
                        add_line(lines, "Edge: %s # %s", edge, edge);
        }
        json_object_object_add(result, "graph", lines);
}

/* As mgmt-lang would send it. */
static int save_graph(const char *path, const ChangeSet *c) {
        _cleanup_(wire_writer_done) WireWriter w = {};
        int r = 0;

        for (size_t i = 0; i < c->n_put && r >= 0; i++)
                r = message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_PUT, .graph_put.resource = c->put[i] });
        for (size_t i = 0; i < c->n_edges && r >= 0; i++)
                r = message_encode(&w, &(Message) { .type = MESSAGE_GRAPH_EDGE, .graph_edge.edge = c->edges[i] });
        return r < 0 ? r : write_file_atomic_at(AT_FDCWD, path, w.data, w.size, 0600, false);
}

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

/* Until there is a graph, or an error. */
static int run_program(World *w, Lang *l, ChangeSet *ret, Diag *reterr) {
        uint64_t end = now_usec() + PATIENCE_USEC, now;
        int r = lang_start(l, ret, reterr);

        while (r >= 0 && !lang_is_running(l) && (now = now_usec()) < end) {
                if (!w->due)
                        (void) sd_event_run(w->manager.event, end - now);
                if (!w->due)
                        continue;
                w->due = false;
                change_set_done(ret);
                r = lang_step(l, ret, reterr);
        }
        return r < 0 || lang_is_running(l) ? r : diag_set(reterr, (Pos) {}, -ETIMEDOUT, "no graph in time");
}

static int run(World *w, const Schema *schema, bool only_compile, struct json_object *result) {
        _cleanup_(lang_freep) Lang *l = NULL;
        _cleanup_(diags_done) Diags errors = {};
        _cleanup_(diag_done) Diag error = {};
        _cleanup_(change_set_done) ChangeSet changes = {};
        LangStage stage = LANG_STAGE_PARSE;
        char path[PATH_MAX];
        struct stat st;

        (void) snprintf(path, sizeof(path), "%s/metadata.yaml", w->root);
        LangOptions options = { .entry = stat(path, &st) >= 0 ? "/metadata.yaml" : "/main.mcl", .reterr_stage = &stage };
        LangHost host = { .userdata = w, .schema = schema, .hostname = "", .module_path = "/modules/", .read_file = read_file,
                          .copy_directory = copy_directory, .source = find_source, .source_host = &w->sources, .due = on_due };
        if (lang_compile(&l, &host, &options, &errors) < 0) {
                json_object_object_add(result, "stage", json_object_new_string(stage_names[stage]));
                if (errors.n > 0)
                        add_error(result, &errors.items[0], w);
                return 0;
        }
        if (only_compile)
                return 0;
        if (run_program(w, l, &changes, &error) < 0) {
                json_object_object_add(result, "stage", json_object_new_string(stage_names[lang_stage(l)]));
                add_error(result, &error, w);
                return 0;
        }
        add_graph(result, &changes);
        return w->graph ? save_graph(w->graph, &changes) : 0;
}

static int format(const char *path) {
        _cleanup_free_ char *text = NULL, *formatted = NULL;
        _cleanup_(diag_done) Diag error = {};
        size_t size, formatted_size;

        if (read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size) < 0 ||
            format_text(path, text, size, &formatted, &formatted_size, &error) < 0) {
                fprintf(stderr, "%s\n", error.message ? error.message : path);
                return 1;
        }
        return fwrite(formatted, 1, formatted_size, stdout) == formatted_size ? 0 : 1;
}

int main(int argc, char *argv[]) {
        _cleanup_(schema_freep) Schema *schema = NULL;
        _cleanup_(diag_done) Diag error = {};
        bool only_compile = argc > 1 && streq(argv[1], "--compile");

        if (argc == 3 && streq(argv[1], "--format"))
                return format(argv[2]);
        if (argc != 3 + only_compile && (only_compile || argc != 5)) {
                fprintf(stderr, "usage: conformance [--compile] KINDS.json ROOT [GRAPH DAEMONS]\n");
                return 2;
        }
        if (schema_load(&schema, argv[1 + only_compile], &error) < 0) {
                fprintf(stderr, "%s\n", error.message);
                return 2;
        }
        World w = { .root = argv[2 + only_compile], .graph = argc == 5 ? argv[3] : NULL };
        if (sd_event_new(&w.manager.event) < 0)
                return 2;
        w.manager.hostname = (char *) "localhost";
        if (w.graph && (stage_begin(argv[4], false) < 0 || stage_start("world") < 0 ||
                        world_link_new(&w.manager.world, &w.manager, false) < 0)) {
                stage_end();
                return 2;
        }
        w.sources = (SourceHost) { .event = w.manager.event, .manager = &w.manager, .hostname = "" };
        struct json_object *result = json_object_new_object();
        int r = run(&w, schema, only_compile, result);
        if (r < 0)
                fprintf(stderr, "cannot write the graph: %s\n", strerrordesc_np(-r));
        printf("%s\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
        json_object_put(result);
        source_share_done(&w.manager.share);
        world_link_free(w.manager.world);
        stage_end();
        sd_event_unref(w.manager.event);
        return r < 0 ? 2 : 0;
}
