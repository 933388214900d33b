/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl plan`: what would be changed. The program runs in the foreground with an engine that only looks; when that has converged it
 * is asked what it found, in parts, and then everything ends. */

#include <json-c/json.h>
#include <stdio.h>

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/foreground.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/prefix.h"

enum { EXIT_WOULD_CHANGE = 2 };

static ProgramOptions arg_program = { .sema = -1, .deploy = { .noop = true, .autoedge = true, .autogroup = true }, .unchecked = true };
static const char *arg_prefix = NULL;
static bool arg_tmp_prefix = false;
static bool arg_diff = true;
static int64_t arg_max_runtime = 0;

static const Option plan_options[] = {
        { "no-diff", OPTION_CLEAR, &arg_diff, .doc = "do not show what is in files and other long texts" },
        { "max-runtime", OPTION_INT, &arg_max_runtime, "S", "MGMT_MAX_RUNTIME", .min = 0, .max = INT32_MAX,
          .doc = "give up after S seconds, as an error" },
        { "sema", OPTION_INT, &arg_program.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time" },
        { "no-autoedges", OPTION_CLEAR, &arg_program.deploy.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_program.deploy.autogroup, .doc = "no grouping" },
        { "prefix", OPTION_STR, &arg_prefix, "DIR", "MGMT_PREFIX", .doc = "whose state to look at: that of a run" },
        { "tmp-prefix", OPTION_FLAG, &arg_tmp_prefix, .doc = "look at no state, as if this were the first run" },
        { "hostname", OPTION_STR, &arg_program.hostname, "H", .doc = "the name of this host" },
        { "module-path", OPTION_STR, &arg_program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

typedef struct Plan {
        bool asked;
        uint32_t n;                     /* resources that were listed */
        unsigned n_changes, n_unknown, n_errors, n_other;
} Plan;

/* What the engine says of one difference; borrowed from the message. */
typedef struct Line {
        const char *field, *from, *to, *diff;
        int secret, unknown;
} Line;

typedef struct Entry {
        const char *kind, *name, *state, *error, *source;
        Line lines[64];
        size_t n;
} Entry;

/* ---- reading ---- */

static int read_line(sd_bus_message *m, Line *ret) {
        const struct { const char *key, *type; void *target; } keys[] = {
                { "field", "s", &ret->field },
                { "from", "s", &ret->from },
                { "to", "s", &ret->to },
                { "diff", "s", &ret->diff },
                { "secret", "b", &ret->secret },
                { "unknown", "b", &ret->unknown },
        };
        int r;

        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *key;
                size_t i = 0;

                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                while (i < ELEMENTSOF(keys) && !streq(keys[i].key, key))
                        i++;
                r = i < ELEMENTSOF(keys) ? sd_bus_message_read(m, "v", keys[i].type, keys[i].target) : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

/* 1, or 0 after the last. */
static int read_entry(sd_bus_message *m, Entry *ret) {
        int r = sd_bus_message_enter_container(m, 'r', "sssssaa{sv}");

        *ret = (Entry) {};
        if (r <= 0)
                return r;
        r = sd_bus_message_read(m, "sssss", &ret->kind, &ret->name, &ret->state, &ret->error, &ret->source);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "a{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'a', "{sv}")) > 0) {
                Line line = {};

                r = read_line(m, &line);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (line.field && ret->n < ELEMENTSOF(ret->lines))
                        ret->lines[ret->n++] = line;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

/* ---- judging ---- */

typedef enum Verdict { VERDICT_CHANGE, VERDICT_UNKNOWN, VERDICT_ERROR, VERDICT_OTHER } Verdict;

static Verdict judge(const Entry *e) {
        bool unknown = e->n > 0;

        if (!streq(e->state, "drifted"))
                return streq(e->state, "failed") ? VERDICT_ERROR : VERDICT_OTHER;
        for (size_t i = 0; i < e->n; i++)
                unknown = unknown && e->lines[i].unknown;
        return unknown ? VERDICT_UNKNOWN : VERDICT_CHANGE;
}

static void count(Plan *p, Verdict v) {
        p->n++;
        p->n_changes += v == VERDICT_CHANGE;
        p->n_unknown += v == VERDICT_UNKNOWN;
        p->n_errors += v == VERDICT_ERROR;
        p->n_other += v == VERDICT_OTHER;
}

/* ---- printing ---- */

static bool is(const char *a, const char *b) {
        return a && streq(a, b);
}

/* Whether it comes or goes, rather than changes. */
static OutputPart sign_of(const Entry *e, Verdict v) {
        if (v == VERDICT_ERROR || v == VERDICT_OTHER)
                return (OutputPart) { OUTPUT_RED, "! " };
        if (v == VERDICT_UNKNOWN)
                return (OutputPart) { OUTPUT_YELLOW, "? " };
        for (size_t i = 0; i < e->n; i++) {
                if (is(e->lines[i].field, "state") && is(e->lines[i].from, "absent"))
                        return (OutputPart) { OUTPUT_GREEN, "+ " };
                if (is(e->lines[i].field, "state") && is(e->lines[i].to, "absent"))
                        return (OutputPart) { OUTPUT_RED, "- " };
        }
        return (OutputPart) { OUTPUT_YELLOW, "~ " };
}

static void print_diff(const char *diff) {
        while (*diff) {
                const char *end = strchrnul(diff, '\n');
                _cleanup_free_ char *line = strndup(diff, (size_t) (end - diff));

                if (!line)
                        return;
                const char *color = *line == '+' ? OUTPUT_GREEN : *line == '-' ? OUTPUT_RED : *line == ' ' ? NULL : OUTPUT_DIM;
                output_line({ NULL, "      " }, { color, line });
                diff = *end ? end + 1 : end;
        }
}

static const char *shown(const char *text) {
        return *text ? text : "\"\"";
}

static void print_line(const Line *l) {
        if (l->unknown)
                output_line({ NULL, "    " }, { NULL, l->field }, { NULL, *l->field ? " " : "" }, { OUTPUT_YELLOW, "cannot be known yet" },
                            { NULL, l->to ? ": " : "" }, { NULL, l->to ?: "" });
        else if (l->secret)
                output_line({ NULL, "    " }, { NULL, l->field }, { OUTPUT_DIM, ": (secret)" });
        else if (l->diff && !arg_diff)
                output_line({ NULL, "    " }, { NULL, l->field }, { OUTPUT_DIM, ": (not shown)" });
        else if (l->diff) {
                output_line({ NULL, "    " }, { NULL, l->field }, { NULL, ":" });
                print_diff(l->diff);
        } else if (l->from && l->to)
                output_line({ NULL, "    " }, { NULL, l->field }, { NULL, ": " }, { OUTPUT_RED, shown(l->from) }, { NULL, " -> " },
                            { OUTPUT_GREEN, shown(l->to) });
        else if (l->from)
                output_line({ NULL, "    " }, { NULL, l->field }, { NULL, ": " }, { OUTPUT_RED, shown(l->from) }, { NULL, " -> nothing" });
        else
                output_line({ NULL, "    " }, { NULL, l->field }, { NULL, l->to ? ": " : "" }, { OUTPUT_GREEN, l->to ? shown(l->to) : "" });
}

static void print_text(const Entry *e, Verdict v, const char *place) {
        _cleanup_free_ char *id = NULL;

        if (asprintf(&id, "%s[%s]", e->kind, e->name) < 0)
                id = NULL;
        output_line(sign_of(e, v), { OUTPUT_BOLD, id ?: e->name }, { OUTPUT_DIM, *place ? "  " : "" }, { OUTPUT_DIM, place });
        if (v == VERDICT_ERROR || v == VERDICT_OTHER)
                output_line({ NULL, "    " }, { OUTPUT_RED, *e->error ? e->error : e->state });
        for (size_t i = 0; i < e->n; i++)
                print_line(&e->lines[i]);
}

static void print_json(const Entry *e, Verdict v, const char *place) {
        static const char *const types[] = { "change", "unknown", "error", "error" };
        struct json_object *j = json_object_new_object(), *lines = json_object_new_array();

        output_json_str(j, "type", types[v]);
        output_json_str(j, "kind", e->kind);
        output_json_str(j, "name", e->name);
        output_json_str(j, "source", place);
        if (v == VERDICT_ERROR || v == VERDICT_OTHER)
                output_json_str(j, "message", *e->error ? e->error : e->state);
        for (size_t i = 0; i < e->n; i++) {
                const Line *l = &e->lines[i];
                struct json_object *d = json_object_new_object();

                output_json_str(d, "field", l->field);
                output_json_str(d, "from", l->from);
                output_json_str(d, "to", l->to);
                output_json_str(d, "diff", arg_diff ? l->diff : NULL);
                if (l->secret)
                        json_object_object_add(d, "secret", json_object_new_boolean(true));
                if (l->unknown)
                        json_object_object_add(d, "unknown", json_object_new_boolean(true));
                json_object_array_add(lines, d);
        }
        json_object_object_add(j, "differences", lines);
        output_json(j);
}

static void print_entry(Foreground *f, Plan *p, const Entry *e) {
        _cleanup_free_ char *place = program_place(foreground_program(f), e->source);
        Verdict v = judge(e);

        count(p, v);
        if (arg_json)
                print_json(e, v, place ?: e->source);
        else
                print_text(e, v, place ?: e->source);
}

static void print_summary(const Plan *p, uint32_t n_resources) {
        unsigned n_right = n_resources - MIN(p->n, n_resources), n_errors = p->n_errors + p->n_other;

        if (arg_json) {
                struct json_object *j = json_object_new_object();

                output_json_str(j, "type", "summary");
                json_object_object_add(j, "changes", json_object_new_int64(p->n_changes));
                json_object_object_add(j, "unknown", json_object_new_int64(p->n_unknown));
                json_object_object_add(j, "errors", json_object_new_int64(n_errors));
                json_object_object_add(j, "right", json_object_new_int64(n_right));
                output_json(j);
                return;
        }
        if (p->n == 0)
                output_note("summary", "nothing would change, %u %s right", n_right, n_right == 1 ? "resource is" : "resources are");
        else
                output_note("summary", "%u would change, %u cannot be known yet, %u %s, %u %s right", p->n_changes, p->n_unknown, n_errors,
                            n_errors == 1 ? "error" : "errors", n_right, n_right == 1 ? "is" : "are");
}

/* ---- asking ---- */

typedef struct Asker {
        Foreground *foreground;
        Plan *plan;
} Asker;

static Asker asker;             /* there is one plan in a process */

static void fail(int error, const sd_bus_error *e) {
        output_error("cannot ask mgmt-engine: %s", e && e->message ? e->message : strerrordesc_np(-error));
        foreground_end(asker.foreground, EXIT_ERROR);
}

static int on_count(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const Plan *p = asker.plan;
        uint32_t n;
        int r = -sd_bus_message_get_errno(reply);

        if (r >= 0)
                r = sd_bus_message_read(reply, "v", "u", &n);
        if (r < 0) {
                fail(r, sd_bus_message_get_error(reply));
                return 0;
        }
        output_progress_clear();
        print_summary(p, n);
        foreground_end(asker.foreground, p->n_errors + p->n_other > 0 ? EXIT_ERROR : p->n > 0 ? EXIT_WOULD_CHANGE : EXIT_SUCCESS);
        return 0;
}

static int ask_part(void);

static int on_part(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        uint32_t before = asker.plan->n;
        Entry e;
        int r = -sd_bus_message_get_errno(reply);

        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(sssssaa{sv})");
        if (r >= 0)
                output_progress_clear();
        while (r >= 0 && (r = read_entry(reply, &e)) > 0)
                print_entry(asker.foreground, asker.plan, &e);
        if (r >= 0)
                r = asker.plan->n > before ? ask_part() :
                        sd_bus_call_method_async(foreground_bus(asker.foreground), NULL, "org.mgmt.engine1", "/org/mgmt/engine1",
                                                 "org.freedesktop.DBus.Properties", "Get", on_count, NULL, "ss",
                                                 "org.mgmt.engine1.Manager", "ResourceCount");
        if (r < 0)
                fail(r, sd_bus_message_get_error(reply));
        return 0;
}

static int ask_part(void) {
        return sd_bus_call_method_async(foreground_bus(asker.foreground), NULL, "org.mgmt.engine1", "/org/mgmt/engine1",
                                        "org.mgmt.engine1.Manager", "ListDifferences", on_part, NULL, "uu", asker.plan->n, UINT32_C(0));
}

static void on_event(Foreground *f, const Message *m, void *userdata) {
        Plan *p = userdata;
        int r;

        if (p->asked)
                return;
        if (!streq_ptr(m->event.type, "converged") || !streq_ptr(m->event.state, "true")) {
                output_progress("looking");
                return;
        }
        p->asked = true;
        asker = (Asker) { .foreground = f, .plan = p };
        r = ask_part();
        if (r < 0)
                fail(r, NULL);
}

/* ---- whose state ---- */

/* As root: that of the program that is deployed, if there ever was one. */
static int find_state(char **ret) {
        if (arg_tmp_prefix && arg_prefix) {
                output_error("--prefix and --tmp-prefix exclude each other");
                return -EINVAL;
        }
        if (arg_tmp_prefix)
                return 0;
        if (!arg_prefix && geteuid() == 0 && access("/var/lib/mgmt/engine", F_OK) >= 0) {
                *ret = strdup("/var/lib/mgmt");
                return *ret ? 0 : -ENOMEM;
        }
        /* A user without a home has no state. */
        return arg_prefix || getenv("HOME") || getenv("XDG_CACHE_HOME") || getenv("STATE_DIRECTORY") ? prefix_path(arg_prefix, ret) : 0;
}

static int run_plan(char *arguments[], int n) {
        _cleanup_free_ char *state = NULL;
        Plan plan = {};

        if (find_state(&state) < 0)
                return EXIT_ERROR;
        return foreground_run(&(ForegroundSpec) {
                        .input = arguments[0],
                        .program = &arg_program,
                        .converger_timeout = 0,
                        .max_runtime = arg_max_runtime,
                        .plan = true,
                        .state_of = state,
                        .quiet = true,
                        .event = on_event,
                        .userdata = &plan,
                });
}

const Command command_plan = {
        .name = "plan",
        .arguments = "INPUT",
        .doc = "Show what a program would change here, and change nothing",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' (standard input) or mcl code.\n\n"
                "+ comes, - goes, ~ changes, ? cannot be known before something else was done, ! is an error.\n\n"
                "Exit codes: 0 nothing would change, 2 something would (or cannot be known), 1 an error.\n",
        .options = plan_options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_plan,
};
