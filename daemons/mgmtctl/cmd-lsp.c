/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl lsp`: a language server on standard input and output. One thread, one message after the other; a document is compiled
 * when there is nothing left to read, so that fast typing costs one compile and not one per key. */

#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "common/io.h"
#include "common/paths.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/lsp-frame.h"
#include "daemons/mgmtctl/lsp-text.h"
#include "daemons/mgmtctl/lsp-workspace.h"
#include "daemons/mgmtctl/output.h"
#include "lang/format.h"

enum {
        JSON_DEPTH_MAX = 64,

        ERROR_PARSE = -32700,
        ERROR_REQUEST = -32600,
        ERROR_METHOD = -32601,
        ERROR_PARAMS = -32602,
        ERROR_INTERNAL = -32603,
        ERROR_NOT_INITIALIZED = -32002,
};

static const char *arg_module_path = NULL;

static const Option lsp_options[] = {
        { "module-path", OPTION_STR, &arg_module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        {}
};

typedef struct Server {
        Workspace workspace;
        bool initialized, shut_down, ended;
        int code;               /* what the process returns */
        struct json_tokener *tokener;
} Server;

typedef struct json_object Json;

/* ---- JSON ---- */

/* Messages quote the program, whose bytes may be anything; JSON is UTF-8. */
static Json *json_str(const char *text) {
        _cleanup_(value_done) Value v = {};
        Json *j = NULL;

        if (!text || utf8_valid(text, strlen(text)))
                return json_object_new_string(text ?: "");
        return value_strz(&v, text) >= 0 && value_to_json(v, &j) >= 0 ? j : json_object_new_string("?");
}

static const char *get_str(Json *j, const char *key) {
        Json *v;

        return json_object_object_get_ex(j, key, &v) && json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

static Json *get_object(Json *j, const char *key) {
        Json *v;

        return json_object_object_get_ex(j, key, &v) && json_object_is_type(v, json_type_object) ? v : NULL;
}

static int send_message(Json *j) {
        _cleanup_(strbuf_done) StrBuf b = {};
        const char *text;
        size_t size;

        json_object_object_add(j, "jsonrpc", json_str("2.0"));
        text = json_object_to_json_string_length(j, JSON_C_TO_STRING_PLAIN|JSON_C_TO_STRING_NOSLASHESCAPE, &size);
        if (text) {
                strbuf_printf(&b, "Content-Length: %zu\r\n\r\n", size);
                strbuf_add(&b, text, size);
        }
        json_object_put(j);
        return !text || b.failed ? -ENOMEM : write_all(STDOUT_FILENO, b.data, b.size);
}

static int reply(Json *id, Json *result) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "id", json_object_get(id));
        json_object_object_add(j, "result", result);
        return send_message(j);
}

static int reply_error(Json *id, int code, const char *message) {
        Json *j = json_object_new_object(), *error = json_object_new_object();

        json_object_object_add(error, "code", json_object_new_int(code));
        json_object_object_add(error, "message", json_str(message));
        json_object_object_add(j, "id", json_object_get(id));
        json_object_object_add(j, "error", error);
        return send_message(j);
}

static int notify(const char *method, Json *params) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "method", json_str(method));
        json_object_object_add(j, "params", params);
        return send_message(j);
}

/* ---- places ---- */

static Json *json_position(LspPosition p) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "line", json_object_new_int64(p.line));
        json_object_object_add(j, "character", json_object_new_int64(p.character));
        return j;
}

static Json *json_range(LspPosition from, LspPosition to) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "start", json_position(from));
        json_object_object_add(j, "end", json_position(to));
        return j;
}

/* The end of a Pos can be beyond the line, and the file can have changed: both are cut. */
static Json *range_of(const char *text, size_t size, Pos pos) {
        LspPosition from = lsp_text_from_pos(text, size, pos.line, pos.column);
        LspPosition to = lsp_text_from_pos(text, size, pos.end_line, pos.end_column);

        if (to.line < from.line || (to.line == from.line && to.character < from.character))
                to = from;
        return json_range(from, to);
}

static Json *location(Server *s, Pos pos) {
        _cleanup_free_ char *text = NULL, *uri = uri_from_path(pos.file);
        Json *j = json_object_new_object();
        size_t size = 0;

        (void) workspace_read(&s->workspace, pos.file, &text, &size);
        json_object_object_add(j, "uri", json_str(uri));
        json_object_object_add(j, "range", range_of(text ?: "", text ? size : 0, pos));
        return j;
}

static bool get_position(Json *params, LspPosition *ret) {
        Json *line, *character;

        if (!params || !json_object_object_get_ex(params, "line", &line) || !json_object_object_get_ex(params, "character", &character) ||
            !json_object_is_type(line, json_type_int) || !json_object_is_type(character, json_type_int))
                return false;
        int64_t l = json_object_get_int64(line), c = json_object_get_int64(character);
        if (l < 0 || c < 0)
                return false;
        *ret = (LspPosition) { (uint32_t) MIN(l, (int64_t) UINT32_MAX), (uint32_t) MIN(c, (int64_t) UINT32_MAX) };
        return true;
}

static Document *get_document(Server *s, Json *params) {
        const char *uri = get_str(get_object(params, "textDocument"), "uri");

        return uri ? workspace_find(&s->workspace, uri) : NULL;
}

/* ---- diagnostics ---- */

/* A place in this document to show the error at: its own, or that of the import that led to it. */
static Pos place_of(const Document *d, const Diag *diag) {
        if (diag->pos.line > 0 && streq_ptr(diag->pos.file, d->path))
                return diag->pos;
        for (size_t i = 0; i < diag->n_notes; i++)
                if (diag->notes[i].pos.line > 0 && streq_ptr(diag->notes[i].pos.file, d->path))
                        return diag->notes[i].pos;
        return (Pos) { d->path, 1, 1, 1, 1 };
}

static void add_related(Server *s, Json *list, Pos pos, const char *text) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "location", location(s, pos));
        json_object_object_add(j, "message", json_str(text));
        json_object_array_add(list, j);
}

static Json *json_diagnostic(Server *s, const Document *d, const Diag *diag) {
        _cleanup_(strbuf_done) StrBuf message = {};
        Json *j = json_object_new_object(), *related = json_object_new_array();
        Pos pos = place_of(d, diag);

        strbuf_puts(&message, diag->message ?: "");
        if (diag->pos.line > 0 && diag->pos.file && !streq_ptr(diag->pos.file, d->path))
                add_related(s, related, diag->pos, diag->message);
        for (size_t i = 0; i < diag->n_notes; i++)
                if (diag->notes[i].pos.line > 0 && diag->notes[i].pos.file)
                        add_related(s, related, diag->notes[i].pos, diag->notes[i].text);
                else
                        strbuf_printf(&message, "\n%s", diag->notes[i].text);
        json_object_object_add(j, "range", range_of(d->text, d->size, pos));
        json_object_object_add(j, "severity", json_object_new_int(1));
        json_object_object_add(j, "source", json_str("mgmt"));
        json_object_object_add(j, "message", json_str(message.data));
        json_object_object_add(j, "relatedInformation", related);
        return j;
}

static int publish(const char *uri, const int64_t *version, Json *list) {
        Json *params = json_object_new_object();

        json_object_object_add(params, "uri", json_str(uri));
        if (version)
                json_object_object_add(params, "version", json_object_new_int64(*version));
        json_object_object_add(params, "diagnostics", list);
        return notify("textDocument/publishDiagnostics", params);
}

static int publish_changed(Server *s) {
        const char *path;
        void *value;
        size_t i = 0;
        int r = 0;

        while (r >= 0 && map_next(s->workspace.documents, &i, &path, &value)) {
                Document *d = value;
                if (!d->dirty)
                        continue;
                (void) document_refresh(&s->workspace, d);
                Json *list = json_object_new_array();
                for (size_t k = 0; k < d->diags.n; k++)
                        json_object_array_add(list, json_diagnostic(s, d, &d->diags.items[k]));
                r = publish(d->uri, &d->version, list);
        }
        return r;
}

/* ---- methods: 0 and a result (NULL is null), or a code of the protocol ---- */

static int on_initialize(Server *s, Json *params, Json **ret) {
        static const char *const triggers[] = { "$", ".", ":", "{", "\"", "/" };
        Json *sync = json_object_new_object(), *completion = json_object_new_object(), *list = json_object_new_array();
        Json *all = json_object_new_object(), *info = json_object_new_object();

        if (s->initialized) {
                json_object_put(sync), json_object_put(completion), json_object_put(list), json_object_put(all), json_object_put(info);
                return ERROR_REQUEST;
        }
        s->initialized = true;
        json_object_object_add(sync, "openClose", json_object_new_boolean(true));
        json_object_object_add(sync, "change", json_object_new_int(2));
        for (size_t i = 0; i < ELEMENTSOF(triggers); i++)
                json_object_array_add(list, json_str(triggers[i]));
        json_object_object_add(completion, "triggerCharacters", list);
        json_object_object_add(all, "positionEncoding", json_str("utf-16"));
        json_object_object_add(all, "textDocumentSync", sync);
        json_object_object_add(all, "hoverProvider", json_object_new_boolean(true));
        json_object_object_add(all, "definitionProvider", json_object_new_boolean(true));
        json_object_object_add(all, "documentFormattingProvider", json_object_new_boolean(true));
        json_object_object_add(all, "completionProvider", completion);
        json_object_object_add(info, "name", json_str("mgmtctl lsp"));
        json_object_object_add(info, "version", json_str(MGMT_VERSION));
        *ret = json_object_new_object();
        json_object_object_add(*ret, "capabilities", all);
        json_object_object_add(*ret, "serverInfo", info);
        return 0;
}

static int on_shutdown(Server *s, Json *params, Json **ret) {
        s->shut_down = true;
        return 0;
}

static int on_exit_notification(Server *s, Json *params, Json **ret) {
        s->ended = true;
        s->code = s->shut_down ? EXIT_SUCCESS : EXIT_ERROR;
        return 0;
}

static int64_t get_version(Json *document) {
        Json *v;

        return document && json_object_object_get_ex(document, "version", &v) ? json_object_get_int64(v) : 0;
}

static int on_open(Server *s, Json *params, Json **ret) {
        Json *document = get_object(params, "textDocument"), *text;
        const char *uri = get_str(document, "uri");

        if (!uri || !json_object_object_get_ex(document, "text", &text) || !json_object_is_type(text, json_type_string))
                return ERROR_PARAMS;
        Document *d = workspace_open(&s->workspace, uri, json_object_get_string(text), (size_t) json_object_get_string_len(text));
        if (!d)
                return ERROR_INTERNAL;
        d->version = get_version(document);
        return 0;
}

/* One change: of a range, or of everything. */
static int apply_change(Document *d, Json *change) {
        Json *range = get_object(change, "range"), *text;
        LspPosition from, to;
        size_t start = 0, end = d->size;

        if (!json_object_is_type(change, json_type_object) || !json_object_object_get_ex(change, "text", &text) ||
            !json_object_is_type(text, json_type_string))
                return ERROR_PARAMS;
        if (range) {
                if (!get_position(get_object(range, "start"), &from) || !get_position(get_object(range, "end"), &to))
                        return ERROR_PARAMS;
                start = lsp_text_offset(d->text, d->size, from);
                end = MAX(lsp_text_offset(d->text, d->size, to), start);
        }
        size_t size = (size_t) json_object_get_string_len(text);
        if (d->size - (end - start) + size > LSP_BODY_MAX)
                return ERROR_PARAMS;
        return lsp_text_replace(&d->text, &d->size, start, end, json_object_get_string(text), size) < 0 ? ERROR_INTERNAL : 0;
}

static int on_change(Server *s, Json *params, Json **ret) {
        Document *d = get_document(s, params);
        Json *changes;
        int r = 0;

        if (!d || !json_object_object_get_ex(params, "contentChanges", &changes) || !json_object_is_type(changes, json_type_array))
                return ERROR_PARAMS;
        for (size_t i = 0; r == 0 && i < json_object_array_length(changes); i++)
                r = apply_change(d, json_object_array_get_idx(changes, i));
        d->version = get_version(get_object(params, "textDocument"));
        document_changed(&s->workspace, d);
        return r;
}

static int on_close(Server *s, Json *params, Json **ret) {
        Document *d = get_document(s, params);

        if (!d)
                return ERROR_PARAMS;
        int r = publish(d->uri, NULL, json_object_new_array());
        workspace_close(&s->workspace, d);
        return r < 0 ? ERROR_INTERNAL : 0;
}

/* The document and the place that a request is about. */
static int get_place(Server *s, Json *params, Document **ret, QueryPlace *ret_place) {
        Document *d = get_document(s, params);
        LspPosition p;

        if (!d || !get_position(get_object(params, "position"), &p))
                return ERROR_PARAMS;
        *ret = d;
        *ret_place = (QueryPlace) { .file = d->path, .text = d->text, .size = d->size };
        lsp_text_to_pos(d->text, d->size, p, &ret_place->line, &ret_place->column);
        return 0;
}

static int ask(Server *s, Json *params, Document **ret, QueryItem *ret_item, Pos *ret_pos, Lang **ret_own) {
        QueryPlace place;
        int r = get_place(s, params, ret, &place);

        if (r < 0)
                return r;
        Lang *l = document_program(&s->workspace, *ret, place.line, ret_own);
        r = l ? query_at(l, &place, ret_item, ret_pos) : 0;
        return r < 0 ? ERROR_INTERNAL : r;
}

static char *hover_text(const QueryItem *item) {
        const char *type = item->type ?: "";
        StrBuf b = {};

        strbuf_puts(&b, "```mcl\n");
        if (item->kind == QUERY_FUNCTION && item->type && !startswith(type, "func("))
                strbuf_puts(&b, type);                  /* it has its name in it */
        else if (item->kind == QUERY_CLASS && item->type)
                strbuf_puts(&b, type);
        else
                strbuf_printf(&b, "%s%s%s", item->name, item->type ? " " : "", type);
        strbuf_puts(&b, "\n```");
        if (item->doc)
                strbuf_printf(&b, "\n\n%s", item->doc);
        return strbuf_take(&b);
}

static int on_hover(Server *s, Json *params, Json **ret) {
        _cleanup_(lang_freep) Lang *own = NULL;
        QueryItem item;
        Document *d;
        Pos pos;
        int r = ask(s, params, &d, &item, &pos, &own);

        if (r <= 0)
                return r;
        _cleanup_free_ char *text = hover_text(&item);
        Json *contents = json_object_new_object();
        json_object_object_add(contents, "kind", json_str("markdown"));
        json_object_object_add(contents, "value", json_str(text));
        *ret = json_object_new_object();
        json_object_object_add(*ret, "contents", contents);
        json_object_object_add(*ret, "range", range_of(d->text, d->size, pos));
        return 0;
}

static int on_definition(Server *s, Json *params, Json **ret) {
        _cleanup_(lang_freep) Lang *own = NULL;
        QueryItem item;
        Document *d;
        int r = ask(s, params, &d, &item, NULL, &own);

        if (r > 0 && item.definition.line > 0 && item.definition.file)
                *ret = location(s, item.definition);
        return MIN(r, 0);
}

static int completion_kind(QueryKind kind) {
        static const int kinds[] = {
                [QUERY_VARIABLE] = 6, [QUERY_FUNCTION] = 3, [QUERY_CLASS] = 7, [QUERY_MODULE] = 9, [QUERY_RESOURCE] = 8,
                [QUERY_FIELD] = 5, [QUERY_META] = 10, [QUERY_PROPERTY] = 10, [QUERY_KEYWORD] = 14,
        };

        return kinds[kind];
}

static int add_completion(void *userdata, const QueryItem *item) {
        Json *j = json_object_new_object();

        json_object_object_add(j, "label", json_str(item->name));
        json_object_object_add(j, "kind", json_object_new_int(completion_kind(item->kind)));
        if (item->type)
                json_object_object_add(j, "detail", json_str(item->type));
        if (item->doc)
                json_object_object_add(j, "documentation", json_str(item->doc));
        return json_object_array_add(userdata, j) < 0 ? -ENOMEM : 0;
}

static int compare_labels(const void *a, const void *b) {
        return strcmp(get_str(*(Json *const *) a, "label") ?: "", get_str(*(Json *const *) b, "label") ?: "");
}

static int on_completion(Server *s, Json *params, Json **ret) {
        _cleanup_(lang_freep) Lang *own = NULL;
        QueryPlace place;
        uint32_t column;
        Document *d;
        int r = get_place(s, params, &d, &place);

        if (r < 0)
                return r;
        Lang *l = document_program(&s->workspace, d, place.line, &own);
        if (!l)
                return 0;
        Json *list = json_object_new_array();
        r = query_complete(l, &place, add_completion, list, &column);
        json_object_array_sort(list, compare_labels);
        Json *range = range_of(d->text, d->size, (Pos) { d->path, place.line, column, place.line, place.column });
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                Json *item = json_object_array_get_idx(list, i), *edit = json_object_new_object();

                json_object_object_add(edit, "range", json_object_get(range));
                json_object_object_add(edit, "newText", json_str(get_str(item, "label")));
                json_object_object_add(item, "textEdit", edit);
        }
        json_object_put(range);
        *ret = list;
        return r < 0 ? ERROR_INTERNAL : 0;
}

static int on_formatting(Server *s, Json *params, Json **ret) {
        Document *d = get_document(s, params);
        _cleanup_free_ char *formatted = NULL;
        size_t size;

        if (!d)
                return ERROR_PARAMS;
        *ret = json_object_new_array();
        if (format_text(d->path, d->text, d->size, &formatted, &size, NULL) < 0 ||
            (size == d->size && memcmp(formatted, d->text, size) == 0))
                return 0;

        Json *edit = json_object_new_object();
        json_object_object_add(edit, "range", json_range((LspPosition) {}, lsp_text_position(d->text, d->size, d->size)));
        json_object_object_add(edit, "newText", json_object_new_string_len(formatted, (int) size));
        json_object_array_add(*ret, edit);
        return 0;
}

static const struct {
        const char *name;
        int (*run)(Server *s, Json *params, Json **ret);
} methods[] = {
        { "exit", on_exit_notification },
        { "initialize", on_initialize },
        { "shutdown", on_shutdown },
        { "textDocument/completion", on_completion },
        { "textDocument/definition", on_definition },
        { "textDocument/didChange", on_change },
        { "textDocument/didClose", on_close },
        { "textDocument/didOpen", on_open },
        { "textDocument/formatting", on_formatting },
        { "textDocument/hover", on_hover },
};

static const char *error_name(int code) {
        switch (code) {
        case ERROR_PARAMS:
                return "the parameters are not as they should be, or the document is not open";
        case ERROR_REQUEST:
                return "not at this time";
        default:
                return "out of memory";
        }
}

/* ---- messages ---- */

static int handle(Server *s, Json *message) {
        const char *method = get_str(message, "method");
        Json *id = NULL, *result = NULL;
        bool request = json_object_object_get_ex(message, "id", &id);
        size_t i = 0;

        if (!method)            /* an answer, though we never ask */
                return 0;
        while (i < ELEMENTSOF(methods) && !streq(methods[i].name, method))
                i++;
        if (i == ELEMENTSOF(methods))
                return request ? reply_error(id, ERROR_METHOD, "there is no such method") : 0;
        if (!s->initialized && methods[i].run != on_initialize && methods[i].run != on_exit_notification)
                return request ? reply_error(id, ERROR_NOT_INITIALIZED, "initialize comes first") : 0;
        if (s->shut_down && methods[i].run != on_exit_notification)
                return request ? reply_error(id, ERROR_REQUEST, "it was shut down") : 0;

        int r = methods[i].run(s, get_object(message, "params"), &result);
        if (request && r == 0)
                return reply(id, result);
        json_object_put(result);
        return request ? reply_error(id, r, error_name(r)) : 0;
}

static int handle_text(Server *s, const char *text, size_t size) {
        json_tokener_reset(s->tokener);
        Json *message = json_tokener_parse_ex(s->tokener, text, (int) size);
        int r;

        if (json_object_is_type(message, json_type_object))
                r = handle(s, message);
        else
                r = reply_error(NULL, ERROR_PARSE, "this is no JSON object");
        json_object_put(message);
        return r;
}

/* All messages that are complete. Leaves the rest in the buffer. */
static int handle_input(Server *s, StrBuf *in) {
        const char *body;
        size_t at = 0, size, used;
        int r = 0;

        while (!s->ended && at < in->size && (r = lsp_frame_next(in->data + at, in->size - at, &body, &size, &used)) > 0) {
                at += used;
                r = handle_text(s, body, size);
                if (r < 0)
                        return r;
        }
        if (at > 0) {
                memmove(in->data, in->data + at, in->size - at);
                in->size -= at;
        }
        return r;
}

static int serve(Server *s) {
        _cleanup_(strbuf_done) StrBuf in = {};
        char chunk[64 * 1024];
        int r = 0;

        while (!s->ended && r >= 0) {
                struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

                if (poll(&input, 1, 0) == 0) {
                        r = publish_changed(s);
                        if (r < 0)
                                break;
                }
                ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0) {           /* the editor is gone */
                        s->code = s->shut_down ? EXIT_SUCCESS : EXIT_ERROR;
                        return 0;
                }
                if (n > 0)
                        strbuf_add(&in, chunk, (size_t) n);
                r = in.failed ? -ENOMEM : handle_input(s, &in);
        }
        return r;
}

static int open_workspace(Workspace *w, Diag *reterr) {
        _cleanup_free_ char *kinds = path_data("kinds.json");
        struct utsname host;
        int r;

        if (!kinds || uname(&host) < 0)
                return -ENOMEM;
        r = schema_load(&w->schema, kinds, reterr);
        if (r < 0)
                return r;
        if (arg_module_path && !endswith(arg_module_path, "/"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "module path does not end with a slash");
        w->hostname = strdup(host.nodename);
        w->module_path = arg_module_path ? strdup(arg_module_path) : NULL;
        return w->hostname && (w->module_path || !arg_module_path) ? 0 : -ENOMEM;
}

static int run_lsp(char *arguments[], int n) {
        _cleanup_(diag_done) Diag d = {};
        Server s = {};
        int r;

        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return EXIT_ERROR;
        r = open_workspace(&s.workspace, &d);
        if (r >= 0) {
                s.tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
                r = s.tokener ? serve(&s) : -ENOMEM;
        }
        if (r < 0) {
                output_error("%s", d.message ?: strerrordesc_np(-r));
                s.code = EXIT_ERROR;
        }
        if (s.tokener)
                json_tokener_free(s.tokener);
        workspace_done(&s.workspace);
        return s.code;
}

const Command command_lsp = {
        .name = "lsp",
        .doc = "Serve an editor: errors while typing, hover, definitions, completion, formatting",
        .help = "Speaks the language server protocol on standard input and output; an editor starts it. See docs/editors.\n\n"
                "Exit codes: 0 the editor shut it down, 1 the editor went away, or an error.\n",
        .options = lsp_options,
        .run = run_lsp,
};
