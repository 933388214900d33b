/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-output.h. Events and errors have the form of docs/mgmtctl.md; there, files are named from where the program stands. */

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>

#include "common/diag.h"
#include "common/message.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"
#include "daemons/mgmtctl/remote-output.h"

static json_object *member(json_object *j, const char *key, json_type type) {
        json_object *found = NULL;

        return json_object_object_get_ex(j, key, &found) && json_object_is_type(found, type) ? found : NULL;
}

/* Borrowed; NULL if there is none. */
static const char *text_of(json_object *j, const char *key) {
        json_object *found = member(j, key, json_type_string);

        return found ? json_object_get_string(found) : NULL;
}

static int64_t number_of(json_object *j, const char *key) {
        json_object *found = member(j, key, json_type_int);

        return found ? json_object_get_int64(found) : 0;
}

/* The path here of a file of the program. The caller's; NULL if it has none. */
static char *local_path(const Program *p, const char *file) {
        _cleanup_free_ char *path = NULL;

        if (!file || asprintf(&path, "/%s", file) < 0) {
                path = NULL;
                return NULL;
        }
        return input_from_bundle(&p->input, path);
}

static Pos place_of(json_object *j, const char *file) {
        return (Pos) {
                .file = file,
                .line = (unsigned) number_of(j, "line"),
                .column = (unsigned) number_of(j, "column"),
                .end_line = (unsigned) number_of(j, "end_line"),
                .end_column = (unsigned) number_of(j, "end_column"),
        };
}

static void print_error(const Program *p, json_object *j) {
        _cleanup_free_ char *file = local_path(p, text_of(j, "file"));
        const char *message = text_of(j, "message") ?: "unknown error";
        json_object *notes = member(j, "notes", json_type_array);
        _cleanup_(diag_done) Diag d = {};

        if (!file) {
                output_error("%s", message);
                return;
        }
        (void) diag_set(&d, place_of(j, file), -EINVAL, "%s", message);
        for (size_t i = 0; notes && i < json_object_array_length(notes); i++) {
                json_object *n = json_object_array_get_idx(notes, i);
                _cleanup_free_ char *note_file = local_path(p, text_of(n, "file"));
                _cleanup_free_ char *shown = note_file ? input_display(&p->input, note_file) : NULL;

                (void) diag_note(&d, shown ? place_of(n, shown) : (Pos) {}, "%s", text_of(n, "text") ?: "");
        }
        program_print_diag(&p->input, &d);
}

static void print_event(json_object *j) {
        /* Borrowed: it is only printed. */
        Message m = { .type = MESSAGE_EVENT, .event = {
                .time_usec = (uint64_t) number_of(j, "time_usec"),
                .type = (char *) text_of(j, "type"),
                .kind = (char *) text_of(j, "kind"),
                .name = (char *) text_of(j, "name"),
                .state = (char *) text_of(j, "state"),
                .text = (char *) text_of(j, "text"),
                .priority = (int32_t) number_of(j, "priority"),
        } };

        output_event(&m);
}

/* Files get the names that they have here. */
static void print_json(const Program *p, json_object *j) {
        _cleanup_free_ char *file = local_path(p, text_of(j, "file"));
        _cleanup_free_ char *shown = file ? input_display(&p->input, file) : NULL;

        if (shown)
                output_json_str(j, "file", shown);
        output_json(json_object_get(j));
}

void remote_output_line(const Program *p, const char *line, size_t size) {
        json_tokener *t = size < INT_MAX ? json_tokener_new() : NULL;
        json_object *j = t ? json_tokener_parse_ex(t, line, (int) size) : NULL;
        const char *type;

        if (t && json_tokener_get_error(t) == json_tokener_continue)
                j = json_tokener_parse_ex(t, "\n", 1);
        type = json_object_is_type(j, json_type_object) ? text_of(j, "type") : NULL;
        if (!type)
                output_error("it said what makes no sense: %.*s", (int) MIN(size, (size_t) 200), line);
        else if (arg_json)
                print_json(p, j);
        else if (streq(type, "error"))
                print_error(p, j);
        else if (member(j, "time_usec", json_type_int))
                print_event(j);
        else if (!streq(type, "started"))       /* the address of a bus that is not here */
                output_note(type, "%s", text_of(j, "text") ?: type);
        json_object_put(j);
        if (t)
                json_tokener_free(t);
}
