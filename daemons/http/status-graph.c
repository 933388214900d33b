/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A question is known by its text (the path and query of the request). It is kept after it was answered until those who waited have
 * taken it, that is, until it is asked again or its place is needed. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "daemons/http/bus-json.h"
#include "daemons/http/engine-follow.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/markup.h"
#include "daemons/http/status-graph.h"

#define ENGINE "org.mgmt.engine1"
#define ENGINE_PATH "/org/mgmt/engine1"
#define ENGINE_MANAGER "org.mgmt.engine1.Manager"
#define LANG "org.mgmt.lang1"
#define PATIENCE_USEC UINT64_C(60000000)        /* with a machine that has much to do */

enum { PART_MAX = 2000 };               /* vertices in one answer */

typedef struct Question {
        StatusQuestions *all;
        char *text;
        sd_bus_slot *slot;              /* while the bus is asked */
        HttpHolds holds;
        StrBuf answer;                  /* when it is complete; empty: there is none … */
        bool missing;                   /* … since the engine knows of no such thing */
        struct Question *next;

        /* of the graph */
        StrBuf vertices, edges;
        size_t n_vertices, n_edges;
        uint64_t generation, told;
        unsigned n_starts;
} Question;

struct StatusQuestions {
        HttpManager *manager;
        const uint64_t *told;
        Question *first;                /* the newest */
        unsigned n;
};

/* ---- questions ---- */

static void question_free(Question *q) {
        Question **at = &q->all->first;

        while (*at != q)
                at = &(*at)->next;
        *at = q->next;
        q->all->n--;
        sd_bus_slot_unref(q->slot);
        http_holds_end(&q->holds);
        strbuf_done(&q->answer);
        strbuf_done(&q->vertices);
        strbuf_done(&q->edges);
        free(q->text);
        free(q);
}

static Question *question_find(StatusQuestions *s, const char *text) {
        Question *q = s->first;

        while (q && !streq(q->text, text))
                q = q->next;
        return q;
}

/* The oldest that nobody waits for makes room. */
static bool make_room(StatusQuestions *s) {
        Question *oldest = NULL;

        for (Question *q = s->first; q; q = q->next)
                if (!q->slot && !q->holds.first)
                        oldest = q;
        if (s->n >= STATUS_QUESTIONS_MAX && oldest)
                question_free(oldest);
        return s->n < STATUS_QUESTIONS_MAX;
}

static Question *question_new(StatusQuestions *s, const char *text) {
        Question *q = make_room(s) ? calloc(1, sizeof(*q)) : NULL;

        if (!q)
                return NULL;
        *q = (Question) { .all = s, .text = strdup(text), .next = s->first };
        if (!q->text) {
                free(q);
                return NULL;
        }
        s->first = q;
        s->n++;
        return q;
}

/* There is an answer, or there will be none. */
static void question_end(Question *q) {
        q->slot = sd_bus_slot_unref(q->slot);
        strbuf_done(&q->vertices);
        strbuf_done(&q->edges);
        http_holds_wake(&q->holds);
}

static void reply(HttpRequest *request, const Question *q) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        const StrBuf *json = &q->answer;

        if (json->failed || !json->data) {
                http_request_reply_status(request, q->missing ? 404 : 503);
                return;
        }
        p = http_reply_new(200);
        if (p && value_str(&p->data, json->data, json->size) >= 0 && http_reply_header(p, "Content-Type", "application/json") >= 0 &&
            http_reply_header(p, "Cache-Control", "no-store") >= 0 && http_reply_header(p, "X-Content-Type-Options", "nosniff") >= 0 &&
            http_reply_piece(p, NULL, 0, json->size) >= 0)
                http_request_reply(request, TAKE_PTR(p));
}

/* An engine that is not there is not started for this, nor is mgmt-lang. */
static int call(Question *q, const char *service, const char *path, const char *interface, const char *member,
                sd_bus_message_handler_t handler, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = engine_follow_bus(q->all->manager);
        va_list ap;
        int r;

        q->slot = sd_bus_slot_unref(q->slot);
        if (!bus)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(bus, &m, service, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        va_start(ap, types);
        if (r >= 0)
                r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        return r < 0 ? r : sd_bus_call_async(bus, &q->slot, m, handler, q, PATIENCE_USEC);
}

/* ---- the graph ---- */

static int on_graph_part(sd_bus_message *m, void *userdata, sd_bus_error *reterr);

static int ask_part(Question *q, uint32_t first) {
        return call(q, ENGINE, ENGINE_PATH, ENGINE_MANAGER, "GetGraph", on_graph_part, "uu", first, (uint32_t) PART_MAX);
}

static int graph_start(Question *q) {
        strbuf_done(&q->vertices);
        strbuf_done(&q->edges);
        strbuf_done(&q->answer);
        q->n_vertices = q->n_edges = 0;
        return ask_part(q, 0);
}

static void graph_complete(Question *q, bool more) {
        strbuf_printf(&q->answer, "{\"generation\":%" PRIu64 ",\"told\":%" PRIu64 ",\"more\":%s,\"vertices\":[", q->generation, q->told,
                      more ? "true" : "false");
        strbuf_add(&q->answer, q->vertices.data ?: "", q->vertices.size);
        strbuf_puts(&q->answer, "],\"edges\":[");
        strbuf_add(&q->answer, q->edges.data ?: "", q->edges.size);
        strbuf_puts(&q->answer, "]}");
        q->answer.failed = q->answer.failed || q->vertices.failed || q->edges.failed;
        question_end(q);
}

/* Numbers are those of one generation: when it changes in between, all begins anew, but not for ever. */
static int take_part(Question *q, sd_bus_message *m) {
        uint64_t generation;
        uint32_t next;
        int r;

        if (sd_bus_message_is_method_error(m, NULL))
                return -EIO;
        r = sd_bus_message_read(m, "tu", &generation, &next);
        if (r < 0)
                return r;
        if (q->n_vertices > 0 && generation != q->generation)
                return ++q->n_starts < 10 ? graph_start(q) : -EAGAIN;
        q->generation = generation;
        if (q->n_vertices == 0)
                q->told = *q->all->told;        /* all that the engine said before this answer came before it */
        r = bus_json_put_items(&q->vertices, m, &q->n_vertices);
        if (r >= 0)
                r = bus_json_put_items(&q->edges, m, &q->n_edges);
        if (r < 0)
                return r;
        if (next > 0 && q->n_vertices < STATUS_VERTICES_MAX)
                return ask_part(q, next);
        graph_complete(q, next > 0);
        return 0;
}

static int on_graph_part(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Question *q = userdata;

        if (take_part(q, m) < 0)
                question_end(q);
        return 0;
}

void status_answer_graph(StatusQuestions *s, HttpRequest *request) {
        Question *q = question_find(s, "graph");

        if (q && !q->slot && http_request_is_woken(request)) {
                reply(request, q);
                return;
        }
        if (!q)
                q = question_new(s, "graph");
        if (q && !q->slot) {
                q->n_starts = 0;
                if (graph_start(q) < 0)
                        q->slot = sd_bus_slot_unref(q->slot);
        }
        if (q && q->slot)
                http_request_hold(request, &q->holds);
        else
                http_request_reply_status(request, 503);
}

/* ---- one resource ---- */

static void resource_complete(Question *q, const char *line) {
        strbuf_puts(&q->answer, ",\"line\":");
        markup_json(&q->answer, line);
        strbuf_putc(&q->answer, '}');
        question_end(q);
}

static int on_line(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *line;

        if (sd_bus_message_is_method_error(m, NULL) || sd_bus_message_read(m, "s", &line) <= 0 || !*line)
                line = NULL;            /* not at hand: then there is just the place */
        resource_complete(userdata, line);
        return 0;
}

static int ask_line(Question *q, const char *source) {
        const char *colon = strchr(source, ':');
        unsigned long line = colon ? strtoul(colon + 1, NULL, 10) : 0;
        _cleanup_free_ char *file = colon ? strndup(source, (size_t) (colon - source)) : NULL;

        if (!file || line == 0 || line > UINT32_MAX)
                return -ENOENT;
        return call(q, LANG, "/org/mgmt/lang1", "org.mgmt.lang1.Manager", "GetLine", on_line, "su", file, (uint32_t) line);
}

/* The properties as an object that is still open; *ret_source points into the message. */
static int put_properties(StrBuf *b, sd_bus_message *m, const char **ret_source) {
        const char *name;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        strbuf_putc(b, '{');
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                if (n++ > 0)
                        strbuf_putc(b, ',');
                markup_json(b, name);
                strbuf_putc(b, ':');
                if (streq(name, "Source")) {
                        r = sd_bus_message_read(m, "v", "s", ret_source);
                        markup_json(b, r > 0 ? *ret_source : NULL);
                } else
                        r = bus_json_put(b, m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *source = "";
        Question *q = userdata;

        strbuf_done(&q->answer);
        q->missing = sd_bus_message_is_method_error(m, SD_BUS_ERROR_UNKNOWN_OBJECT);
        if (sd_bus_message_is_method_error(m, NULL) || put_properties(&q->answer, m, &source) < 0) {
                strbuf_done(&q->answer);
                question_end(q);
        } else if (ask_line(q, source) < 0)
                resource_complete(q, NULL);
        return 0;
}

char *status_object_path(const char *kind, const char *name) {
        char *path;

        return sd_bus_path_encode_many(&path, ENGINE_PATH "/resource/%/%", kind, name) >= 0 ? path : NULL;
}

static int resource_start(Question *q, const char *kind, const char *name) {
        _cleanup_free_ char *path = status_object_path(kind, name);

        strbuf_done(&q->answer);
        if (!path)
                return -ENOMEM;
        return call(q, ENGINE, path, "org.freedesktop.DBus.Properties", "GetAll", on_properties, "s", "org.mgmt.engine1.Resource");
}

void status_answer_resource(StatusQuestions *s, HttpRequest *request, const char *kind, const char *name) {
        _cleanup_free_ char *text = NULL;
        Question *q;

        if (asprintf(&text, "%s[%s]", kind, name) < 0) {
                text = NULL;
                http_request_reply_status(request, 503);
                return;
        }
        q = question_find(s, text);
        if (q && !q->slot && http_request_is_woken(request)) {
                reply(request, q);
                return;
        }
        if (!q)
                q = question_new(s, text);
        if (q && !q->slot && resource_start(q, kind, name) < 0)
                q->slot = sd_bus_slot_unref(q->slot);
        if (q && q->slot)
                http_request_hold(request, &q->holds);
        else
                http_request_reply_status(request, 503);
}

/* ---- all of them ---- */

int status_questions_new(StatusQuestions **ret, HttpManager *m, const uint64_t *told) {
        StatusQuestions *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (StatusQuestions) { .manager = m, .told = told };
        *ret = s;
        return 0;
}

StatusQuestions *status_questions_free(StatusQuestions *s) {
        if (!s)
                return NULL;
        while (s->first)
                question_free(s->first);
        free(s);
        return NULL;
}
