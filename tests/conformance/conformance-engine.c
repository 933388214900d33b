/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs a graph with a real engine, and the daemons that it needs, until it has converged or five seconds are over, and says as JSON
 * what the graph is then: vertices, edges, groups, and fields with what they have received.
 *
 *         conformance-engine [--built] KINDS.json GRAPH DAEMONS
 *
 * GRAPH is what conformance wrote; DAEMONS is the directory of the programs. With --built nothing runs, and only edges are said: those
 * of the program and those that kinds add. */

#include <fcntl.h>
#include <json.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/message.h"
#include "common/schema.h"
#include "common/sd/log.h"
#include "common/strbuf.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/kinds.h"
#include "lang/lang.h"
#include "tests/conformance/stage.h"

enum { PATIENCE_USEC = 5 * 1000 * 1000, GRAPH_MAX = 256 * 1024 * 1024 };

/* ---- what is printed ---- */

static struct json_object *lines;

static void add_line(const char *format, ...) _printf_(1, 2);
static void add_line(const char *format, ...) {
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

/* Parts of structs that the language does not know, and that are listed all the same. */
static const struct {
        const char *kind, *field, *rest;
} unknown_parts[] = {
        { "test", "mixedstruct", "; somePrivatefield: \"\"" },
};

static const ChangeSet *declared;        /* the graph that runs */

static bool is_given(const Resource *r, const FieldSpec *f) {
        for (size_t i = 0; i < declared->n_put; i++) {
                const ResourceSpec *s = &declared->put[i];

                if (streq(s->kind, r->type->kind) && streq(s->name, r->name))
                        for (size_t k = 0; k < s->n_fields; k++)
                                if (streq(s->fields[k].name, f->name))
                                        return true;
        }
        return false;
}

/* The archives list fields as they were given; here one that was not given has the name of its resource. */
static bool is_just_the_name(const Resource *r, const FieldSpec *f, Value v) {
        return (f->flags & FIELD_IS_NAME) && v.kind == TYPE_STR && streq(value_cstr(v), r->name) && !is_given(r, f);
}

static void add_field(const Resource *r, const FieldSpec *f, const char *group) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        _cleanup_free_ char *label = strdup(f->native ?: f->name), *text = NULL;
        const char *rest = "";

        if ((f->flags & FIELD_HIDDEN) || field_is_zero(f, r) || field_get(f, r, &v) < 0 || !label)
                return;
        if (is_just_the_name(r, f, v))
                return;
        if (!f->native && *label >= 'a' && *label <= 'z')
                *label = (char) (*label - 'a' + 'A');
        text = value_text(v);
        if (!text)
                return;
        for (size_t i = 0; i < ELEMENTSOF(unknown_parts); i++)
                if (streq(unknown_parts[i].kind, r->type->kind) && streq(unknown_parts[i].field, f->name)) {
                        rest = unknown_parts[i].rest;
                        text[strlen(text) - 1] = '\0';
                }
        add_line("%sField: %s[%s].%s = %s%s%s", group, r->type->kind, r->name, label, text, rest, *rest ? "}" : "");
}

static void add_resource(const Resource *r, const char *group) {
        char prefix[1024];

        for (const FieldSpec *f = r->type->fields; f && f->name; f++)
                add_field(r, f, group);
        add_line("%sVertex: %s[%s]", group, r->type->kind, r->name);
        (void) snprintf(prefix, sizeof(prefix), "%sGroup: %s[%s]: ", group, r->type->kind, r->name);
        for (size_t i = 0; i < r->n_children; i++)
                add_resource(r->children[i], prefix);
}

/* What was grouped keeps its name in the label of its edges. */
static void add_edges(Manager *m, Vertex *v) {
        const GraphAdjacency *out = graph_successors(m->graph, v->id);

        for (uint32_t i = 0; i < out->n; i++) {
                Vertex *to = manager_vertex(m, out->items[i].peer), *a = vertex_root(v), *b = vertex_root(to);

                if (a != b)
                        add_line("Edge: %s[%s] -> %s[%s] # %s[%s] -> %s[%s]", vertex_kind(a), vertex_name(a), vertex_kind(b),
                                 vertex_name(b), vertex_kind(v), vertex_name(v), vertex_kind(to), vertex_name(to));
        }
}

static void add_graph(Manager *m, bool built) {
        for (VertexId id = 0; id < graph_id_limit(m->graph); id++) {
                Vertex *v = manager_vertex(m, id);

                if (!v)
                        continue;
                if (!v->parent && !built)
                        add_resource(v->resource, "");
                add_edges(m, v);
        }
}

/* Those in which the kinds of this graph live. */
static int start_daemons(const Schema *schema, const ChangeSet *set) {
        int r = 0;

        for (size_t i = 0; i < set->n_put && r >= 0; i++) {
                const SchemaKind *k = schema_kind(schema, set->put[i].kind);
                if (k && k->daemon && !streq(k->daemon, "engine"))
                        r = stage_start(k->daemon);
        }
        return r;
}

/* ---- the run ---- */

static int read_graph(const char *path, ChangeSet *set) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, GRAPH_MAX, &data, &size);
        if (r < 0)
                return r;
        WireReader message = { .data = (uint8_t *) data, .size = size }, body;
        WireHeader header;
        while ((r = wire_next(&message, &header, &body)) > 0) {
                Message m;

                r = message_decode(&header, &body, &m);
                if (r < 0)
                        return r;
                switch (m.type) {
                case MESSAGE_GRAPH_PUT:
                        r = change_set_put(set, &m.graph_put.resource);
                        m.graph_put.resource = (ResourceSpec) {};
                        break;
                case MESSAGE_GRAPH_EDGE:
                        r = change_set_edge(set, &m.graph_edge.edge);
                        m.graph_edge.edge = (EdgeSpec) {};
                        break;
                default:
                        r = -EBADMSG;
                        break;
                }
                message_done(&m);
                if (r < 0)
                        return r;
        }
        return r;
}

static uint64_t now_usec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void converge(Manager *m, const ChangeSet *set, bool built, struct json_object *result) {
        const SwapOptions options = { .autoedge = true, .autogroup = !built };
        _cleanup_(diag_done) Diag error = {};
        uint64_t end = now_usec() + PATIENCE_USEC, now;

        declared = set;
        if (graph_swap(m, set, &options, &error) < 0) {
                _cleanup_free_ char *text = lang_error_text(&error);

                json_object_object_add(result, "stage", json_object_new_string("errInterpret"));
                json_object_object_add(result, "error", json_object_new_string(text ?: ""));
                json_object_object_add(result, "message", json_object_new_string(error.message ?: ""));
                json_object_object_add(result, "log", json_object_new_string(text ?: ""));
                return;
        }
        while (!built && !m->converger.converged && (now = now_usec()) < end)
                (void) sd_event_run(m->event, end - now);
        add_graph(m, built);
        json_object_object_add(result, "graph", json_object_get(lines));
}

static int run(const Schema *schema, const char *kinds, const char *graph_path, const char *daemons, bool built, struct json_object *result) {
        const EngineOptions options = { .converger_timeout = -1 };
        _cleanup_(change_set_done) ChangeSet set = { .generation = 1, .full = true };
        _cleanup_close_ int kinds_fd = open(kinds, O_RDONLY | O_CLOEXEC);
        char state[96], kinds_path[64];
        sd_event *event;
        Manager *m;
        int r;

        (void) snprintf(kinds_path, sizeof(kinds_path), "/proc/self/fd/%d", kinds_fd);
        r = read_graph(graph_path, &set);
        if (r < 0)
                return r;
        r = stage_begin(daemons, true);
        if (r >= 0 && !built)
                r = start_daemons(schema, &set);
        if (r < 0)
                return r;
        (void) snprintf(state, sizeof(state), "%s/state-engine", stage_directory());
        r = make_directories(state, 0700);
        if (r >= 0)
                r = sd_event_new(&event);
        if (r < 0)
                return r;
        r = manager_new(&m, event, engine_kinds, state, kinds_path, &options);
        if (r >= 0) {
                converge(m, &set, built, result);
                manager_free(m);
        }
        sd_event_unref(event);
        return r;
}

int main(int argc, char *argv[]) {
        _cleanup_(schema_freep) Schema *schema = NULL;
        _cleanup_(diag_done) Diag error = {};

        bool built = argc > 1 && streq(argv[1], "--built");
        argv += built;
        if (argc != 4 + built) {
                fprintf(stderr, "usage: conformance-engine [--built] KINDS.json GRAPH DAEMONS\n");
                return 2;
        }
        if (schema_load(&schema, argv[1], &error) < 0) {
                fprintf(stderr, "%s\n", error.message);
                return 2;
        }
        (void) log_set_level(LOG_ERR);
        struct json_object *result = json_object_new_object();
        lines = json_object_new_array();
        int r = run(schema, argv[1], argv[2], argv[3], built, result);
        stage_end();
        if (r < 0)
                fprintf(stderr, "%s\n", strerrordesc_np(-r));
        printf("%s\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN));
        json_object_put(result);
        json_object_put(lines);
        return r < 0 ? 2 : 0;
}
