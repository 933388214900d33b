/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl why`: all that the engine knows of one resource: what it waits for, who notified it, what it did last, and where it stands
 * in the program. What it waits for may wait itself; so the states of those are shown as well. */

#include <ctype.h>
#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/sd/bus.h"
#include "common/suggest.h"
#include "daemons/mgmtctl/ago.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/output.h"

typedef struct Reason {
        char *why, *what;
} Reason;

typedef struct Why {
        char *kind, *name, *state, *error, *source, *last_change, *notified_by, *group;         /* owned */
        char *line;                     /* of the program; NULL: not at hand */
        uint64_t last_check_usec, last_apply_usec, notified_usec, until_usec;
        uint32_t failures;
        int32_t retries;
        int noop;
        Reason *reasons;
        size_t n_reasons, capacity_reasons;
        char **notifications, **twins;  /* twins: places of hidden ones of the same name */
} Why;

static void why_done(Why *w) {
        char *texts[] = { w->kind, w->name, w->state, w->error, w->source, w->last_change, w->notified_by, w->group, w->line };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(texts[i]);
        for (size_t i = 0; i < w->n_reasons; i++) {
                free(w->reasons[i].why);
                free(w->reasons[i].what);
        }
        free(w->reasons);
        strv_free(w->notifications);
        strv_free(w->twins);
}

/* ---- the argument ---- */

/* A string of the language, after its first quote: the simple escapes are enough for names. */
static int unquote(const char *text, char **ret) {
        StrBuf b = {};

        for (; *text && *text != '"'; text++) {
                if (*text == '\\' && text[1]) {
                        text++;
                        strbuf_putc(&b, *text == 'n' ? '\n' : *text == 't' ? '\t' : *text);
                } else
                        strbuf_putc(&b, *text);
        }
        *ret = strbuf_take(&b);
        return !*ret ? -ENOMEM : streq(text, "\"]") ? 0 : -EINVAL;
}

/* file[/tmp/x], or as edges of the language say it: File["/tmp/x"]. */
static int parse_resource(const char *text, char **ret_kind, char **ret_name) {
        const char *bracket = strchr(text, '[');
        size_t size = strlen(text);
        int r = 0;

        if (!bracket || bracket == text || text[size - 1] != ']') {
                output_error("'%s' is not a resource, expected one such as file[/etc/motd] or File[\"/etc/motd\"]", text);
                return -EINVAL;
        }
        *ret_kind = strndup(text, (size_t) (bracket - text));
        if (bracket[1] == '"' && size >= 3 && text[size - 2] == '"' && isupper((unsigned char) *text))
                r = unquote(bracket + 2, ret_name);
        else
                *ret_name = strndup(bracket + 1, size - (size_t) (bracket - text) - 2);
        if (!*ret_kind || !*ret_name || r == -ENOMEM) {
                output_error("out of memory");
                return -ENOMEM;
        }
        if (r < 0) {
                output_error("'%s' is not a resource: there is something wrong with its quotes", text);
                return r;
        }
        for (char *p = *ret_kind; *p; p++)
                *p = (char) tolower((unsigned char) *p);
        return 0;
}

/* ---- reading ---- */

static int read_text(sd_bus_message *m, char **ret) {
        const char *text;
        int r = sd_bus_message_read(m, "v", "s", &text);

        if (r < 0)
                return r;
        free(*ret);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

static int read_reasons(sd_bus_message *m, Why *w) {
        const char *why, *what;
        int r = sd_bus_message_enter_container(m, 'v', "a(ss)");

        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(ss)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(ss)", &why, &what)) > 0) {
                if (GROW(w->reasons, w->n_reasons, w->capacity_reasons) < 0)
                        return -ENOMEM;
                Reason *reason = &w->reasons[w->n_reasons++];
                *reason = (Reason) { strdup(why), strdup(what) };
                if (!reason->why || !reason->what)
                        return -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_list(sd_bus_message *m, char ***ret) {
        int r = sd_bus_message_enter_container(m, 'v', "as");

        if (r >= 0)
                r = sd_bus_message_read_strv(m, ret);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_property(sd_bus_message *m, const char *name, Why *w) {
        const struct { const char *name, *type; void *target; } rows[] = {
                { "Kind", "s", &w->kind },
                { "Name", "s", &w->name },
                { "State", "s", &w->state },
                { "LastError", "s", &w->error },
                { "Source", "s", &w->source },
                { "LastChange", "s", &w->last_change },
                { "NotifiedBy", "s", &w->notified_by },
                { "Group", "s", &w->group },
                { "LastCheckUSec", "t", &w->last_check_usec },
                { "LastApplyUSec", "t", &w->last_apply_usec },
                { "NotifiedUSec", "t", &w->notified_usec },
                { "WaitingUntilUSec", "t", &w->until_usec },
                { "Failures", "u", &w->failures },
                { "RetriesLeft", "i", &w->retries },
                { "Noop", "b", &w->noop },
        };

        if (streq(name, "Waiting"))
                return read_reasons(m, w);
        if (streq(name, "Notifications"))
                return read_list(m, &w->notifications);
        if (streq(name, "Twins"))
                return read_list(m, &w->twins);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (streq(rows[i].name, name))
                        return streq(rows[i].type, "s") ? read_text(m, rows[i].target)
                                                        : sd_bus_message_read(m, "v", rows[i].type, rows[i].target);
        return sd_bus_message_skip(m, "v");
}

static int read_properties(sd_bus_message *m, Why *w) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0)
                        r = read_property(m, name, w);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        return w->kind && w->name && w->state && w->error && w->source && w->last_change && w->notified_by && w->group ? 0 : -EBADMSG;
}

/* The text may not be at hand: then there is just the place. */
static void read_line(sd_bus *bus, Why *w) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *colon = strchr(w->source, ':'), *text;
        unsigned long line = colon ? strtoul(colon + 1, NULL, 10) : 0;

        if (line == 0 || line > UINT32_MAX)
                return;
        _cleanup_free_ char *file = strndup(w->source, (size_t) (colon - w->source));
        if (file &&
            bus_ask(bus, "lang", NULL, NULL, "GetLine", NULL, &reply, "su", file, (uint32_t) line) >= 0 &&
            sd_bus_message_read(reply, "s", &text) >= 0 && *text)
                w->line = strdup(text);
}

static void no_such_resource(const GraphData *g, const char *kind, const char *name) {
        _cleanup_free_ char *wanted = NULL;
        const GraphNode *other = NULL;

        if (asprintf(&wanted, "%s[%s]", kind, name) < 0) {
                wanted = NULL;
                return;
        }
        Suggestion s = suggestion_for(wanted);
        for (size_t i = 0; i < g->n_nodes; i++) {
                suggestion_add(&s, g->nodes[i].label);
                if (!other && streq(g->nodes[i].name, name))
                        other = &g->nodes[i];
        }
        if (other || s.best)
                output_error("there is no resource %s, did you mean '%s'?", wanted, other ? other->label : s.best);
        else
                output_error("there is no resource %s, 'mgmtctl status' lists them", wanted);
}

static int find_object(sd_bus *bus, const GraphData *g, const char *kind, const char *name, char **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *path;
        int r;

        r = bus_ask(bus, "engine", NULL, NULL, "GetResource", &error, &reply, "ss", kind, name);
        if (r < 0 && sd_bus_error_has_name(&error, "org.mgmt.Error.NoSuchResource")) {
                no_such_resource(g, kind, name);
                return r;
        }
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r >= 0)
                r = (*ret = strdup(path)) ? 0 : -ENOMEM;
        if (r < 0)
                output_error("cannot ask mgmt-engine: %s", bus_error_text(&error, r));
        return r;
}

static int read_why(sd_bus *bus, const char *path, Why *ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = bus_ask(bus, "engine", path, "org.freedesktop.DBus.Properties", "GetAll", &error, &reply, "s", "org.mgmt.engine1.Resource");
        if (r >= 0)
                r = read_properties(reply, ret);
        if (r < 0)
                output_error("cannot ask mgmt-engine: %s", bus_error_text(&error, r));
        return r;
}

/* ---- printing ---- */

static const GraphNode *find_node(const GraphData *g, const char *label) {
        for (size_t i = 0; i < g->n_nodes; i++)
                if (streq(g->nodes[i].label, label))
                        return &g->nodes[i];
        return NULL;
}

static void print_reason(const GraphData *g, const Reason *r) {
        static const struct { const char *why, *before, *after; } words[] = {
                { "resource", "", "" },
                { "semaphore", "semaphore ", ", which others have" },
                { "watch", "the watch of ", ", which is not armed yet" },
                { "service", "a service: ", "" },
                { "limit", "Meta:limit, which lets no event through yet", "" },
                { "delay", "the delay before another try", "" },
                { "attempt", "the attempt under way, at ", "" },
                { "turn", "its turn", "" },
        };
        const GraphNode *n = streq(r->why, "resource") ? find_node(g, r->what) : NULL;

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i].why, r->why))
                        output_line({ OUTPUT_DIM, "  waits for " }, { NULL, words[i].before }, { OUTPUT_BOLD, r->what },
                                    { NULL, words[i].after }, { NULL, n ? "  " : "" }, { n ? output_state_color(n->state) : NULL, n ? n->state : "" },
                                    { OUTPUT_RED, n && *n->error ? ": " : "" }, { OUTPUT_RED, n ? n->error : "" });
}

static void print_text(const GraphData *g, const Why *w) {
        _cleanup_free_ char *checked = ago_text(w->last_check_usec), *applied = ago_text(w->last_apply_usec);
        _cleanup_free_ char *until = ago_text(w->until_usec), *notified = ago_text(w->notified_usec), *tries = NULL;
        const char *line = w->line ? w->line + strspn(w->line, " \t") : "";

        output_line({ OUTPUT_BOLD, w->kind }, { OUTPUT_BOLD, "[" }, { OUTPUT_BOLD, w->name }, { OUTPUT_BOLD, "]" }, { NULL, "  " },
                    { output_state_color(w->state), w->state }, { OUTPUT_DIM, w->noop ? "  noop" : "" });
        if (*w->source)
                output_line({ OUTPUT_DIM, "  at " }, { NULL, *w->source == '/' ? w->source + 1 : w->source },
                            { OUTPUT_DIM, *line ? ": " : "" }, { NULL, line });
        for (char **t = w->twins; t && *t; t++)
                output_line({ OUTPUT_DIM, "  and hidden at " }, { NULL, **t == '/' ? *t + 1 : *t });
        if (*w->group)
                output_line({ OUTPUT_DIM, "  grouped into " }, { NULL, w->group });
        for (size_t i = 0; i < w->n_reasons; i++)
                print_reason(g, &w->reasons[i]);
        if (w->until_usec > 0)
                output_line({ OUTPUT_DIM, "  goes on " }, { NULL, until ?: "" });
        for (char **n = w->notifications; n && *n; n++)
                output_line({ OUTPUT_DIM, "  has to act on a notification of " }, { NULL, *n });
        if (w->notified_usec > 0)
                output_line({ OUTPUT_DIM, "  notified last " }, { NULL, notified ?: "" }, { OUTPUT_DIM, *w->notified_by ? " by " : "" },
                            { NULL, w->notified_by });
        if (*w->error && !streq(w->state, "waiting"))
                output_line({ OUTPUT_DIM, "  error: " }, { OUTPUT_RED, w->error });
        if (w->failures > 0 && (w->retries < 0 ? asprintf(&tries, "%u, and goes on trying", w->failures)
                                               : asprintf(&tries, "%u, %d %s left", w->failures, w->retries,
                                                          w->retries == 1 ? "try" : "tries")) >= 0)
                output_line({ OUTPUT_DIM, "  failures in a row: " }, { NULL, tries });
        output_line({ OUTPUT_DIM, "  last success " }, { NULL, w->last_check_usec > 0 ? checked ?: "" : "never" });
        output_line({ OUTPUT_DIM, "  last change " }, { NULL, w->last_apply_usec > 0 ? applied ?: "" : "never" },
                    { OUTPUT_DIM, *w->last_change ? ": " : "" }, { NULL, w->last_change });
}

static struct json_object *json_list(char **texts) {
        struct json_object *j = json_object_new_array();

        for (; texts && *texts; texts++)
                json_object_array_add(j, json_object_new_string(*texts));
        return j;
}

static void print_json(const GraphData *g, const Why *w) {
        struct json_object *j = json_object_new_object(), *reasons = json_object_new_array();

        output_json_str(j, "kind", w->kind);
        output_json_str(j, "name", w->name);
        output_json_str(j, "state", w->state);
        json_object_object_add(j, "noop", json_object_new_boolean(w->noop));
        output_json_str(j, "source", w->source);
        output_json_str(j, "line", w->line);
        json_object_object_add(j, "twins", json_list(w->twins));
        output_json_str(j, "group", *w->group ? w->group : NULL);
        for (size_t i = 0; i < w->n_reasons; i++) {
                const GraphNode *n = streq(w->reasons[i].why, "resource") ? find_node(g, w->reasons[i].what) : NULL;
                struct json_object *r = json_object_new_object();

                output_json_str(r, "why", w->reasons[i].why);
                output_json_str(r, "what", w->reasons[i].what);
                output_json_str(r, "state", n ? n->state : NULL);
                output_json_str(r, "error", n && *n->error ? n->error : NULL);
                json_object_array_add(reasons, r);
        }
        json_object_object_add(j, "waits_for", reasons);
        json_object_object_add(j, "until_usec", json_object_new_uint64(w->until_usec));
        json_object_object_add(j, "notifications", json_list(w->notifications));
        output_json_str(j, "notified_by", *w->notified_by ? w->notified_by : NULL);
        json_object_object_add(j, "notified_usec", json_object_new_uint64(w->notified_usec));
        output_json_str(j, "error", w->error);
        json_object_object_add(j, "failures", json_object_new_int64(w->failures));
        json_object_object_add(j, "retries_left", json_object_new_int64(w->retries));
        json_object_object_add(j, "last_check_usec", json_object_new_uint64(w->last_check_usec));
        json_object_object_add(j, "last_apply_usec", json_object_new_uint64(w->last_apply_usec));
        output_json_str(j, "last_change", w->last_change);
        output_json(j);
}

static int run_why(char *arguments[], int n) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(graph_data_done) GraphData g = {};
        _cleanup_free_ char *kind = NULL, *name = NULL, *path = NULL;
        _cleanup_(why_done) Why w = {};

        if (parse_resource(arguments[0], &kind, &name) < 0)
                return EXIT_ERROR;
        if (ctl_open_bus(&bus) < 0)
                return EXIT_ERROR;
        if (graph_data_read(&g, bus, NULL) < 0 || find_object(bus, &g, kind, name, &path) < 0 || read_why(bus, path, &w) < 0)
                return EXIT_ERROR;
        read_line(bus, &w);
        if (arg_json)
                print_json(&g, &w);
        else
                print_text(&g, &w);
        return EXIT_SUCCESS;
}

const Command command_why = {
        .name = "why",
        .arguments = "RESOURCE",
        .doc = "Say why a resource is as it is: what it waits for, its error, its place",
        .help = "RESOURCE is one such as file[/etc/motd] or File[\"/etc/motd\"].\n",
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_why,
};
