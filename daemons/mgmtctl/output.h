/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Everything that mgmtctl prints: lines for people (with colours and a line of progress on a terminal) or, with --json, one
 * object per line on stdout. Errors of the command itself go to stderr, or are objects of type "error". */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"
#include "common/macro.h"
#include "common/message.h"

struct json_object;

int output_set_color(const char *when); /* "auto", "always" or "never"; prints what is wrong with it */
bool output_has_color(void);            /* stdout */
bool output_is_broken(void);            /* nobody reads it any more */

/* Whatever is printed from now on is about this host, which is borrowed; NULL: about none in particular. */
void output_set_host(const char *name);

void output_error(const char *format, ...) _printf_(1, 2);

/* With the source line and a caret where source is not NULL. */
void output_diag(const Diag *d, const char *source, size_t source_size);
void output_diag_warning(const Diag *d, const char *source, size_t source_size);

/* A line about the command itself, such as "started"; with JSON an object of this type, with the text. */
void output_note(const char *type, const char *format, ...) _printf_(2, 3);

/* One line of the event stream. */
void output_event(const Message *m);

/* One JSON object as a line. Takes it over. */
void output_json(struct json_object *j);

/* JSON is UTF-8; texts may be anything. NULL adds nothing. */
void output_json_str(struct json_object *j, const char *key, const char *text);

/* The last line of a terminal, which stays below everything that is printed until it is cleared. */
void output_progress(const char *format, ...) _printf_(1, 2);
void output_progress_clear(void);

/* A line on stdout, put together from coloured parts. */
typedef struct OutputPart {
        const char *color;      /* one of below, or NULL */
        const char *text;
} OutputPart;

void output_parts(const OutputPart *parts, size_t n);
#define output_line(...) output_parts((const OutputPart[]) { __VA_ARGS__ }, ELEMENTSOF(((const OutputPart[]) { __VA_ARGS__ })))

/* A table for people: columns as wide as they need, the last one cut at the terminal's edge. */
typedef struct OutputCell {
        char *text;             /* owned */
        const char *color;      /* one of below, or NULL */
} OutputCell;

#define OUTPUT_RED "31"
#define OUTPUT_GREEN "32"
#define OUTPUT_YELLOW "33"
#define OUTPUT_DIM "2"
#define OUTPUT_BOLD "1"

void output_table(const OutputCell *cells, size_t n_columns, size_t n_rows);    /* the first row is the heading */
const char *output_state_color(const char *state);
