/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Diagnostics: an error that knows its place. The integer a function returns is for the program; the Diag is for the user.
 * Messages are one lower-case sentence without a full stop, the offending value in single quotes, and what was expected.
 * (Messages of the language keep the texts that its users know; what we add to them stands in notes.) */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/macro.h"

/* A place in a source text. Lines and columns are counted from 1, columns in characters; the end column is exclusive.
 * line 0 means "no place". The file name is borrowed: whoever holds a Pos longer than the call keeps the name alive. */
typedef struct Pos {
        const char *file;
        uint32_t line, column, end_line, end_column;
} Pos;

typedef struct DiagNote {
        char *text;             /* "help: …" or "note: …", owned */
        Pos pos;                /* line 0 if the note has no place; its file is owned by the Diag */
} DiagNote;

typedef struct Diag {
        Pos pos;                /* its file is a copy, owned by the Diag */
        int error;              /* negative errno, 0 while nothing is set */
        char *message;          /* owned */
        DiagNote *notes;        /* owned, may be NULL */
        size_t n_notes;
} Diag;

/* Records the first cause (a later one is dropped) and returns error, so that failing is one line. reterr may be NULL.
 * %m prints strerror(-error). */
int diag_set(Diag *reterr, Pos pos, int error, const char *format, ...) _printf_(4, 5);

/* Puts "prefix: " before the message of a Diag that is set. */
int diag_prefix(Diag *d, const char *format, ...) _printf_(2, 3);

/* Gives a Diag that is set, but knows no place, this one. */
void diag_place(Diag *d, Pos pos);

/* Adds a note to a Diag that is set. */
int diag_note(Diag *d, Pos pos, const char *format, ...) _printf_(3, 4);

void diag_done(Diag *d);        /* empties it; accepts an empty one */
void diag_move(Diag *to, Diag *from);   /* to is emptied first; from is empty afterwards */
int diag_copy(Diag *to, const Diag *from);

/* "file:line:column: message", or just the message where there is no place. NULL if out of memory. */
char *diag_text(const Diag *d);

/* The diagnostic as a person reads it: diag_text(), the source line, carets under the columns, the notes. source is the
 * whole text of d->pos.file, or NULL if it is not at hand. colour adds terminal escapes. */
char *diag_render(const Diag *d, const char *source, size_t source_size, bool colour);

/* A growing list, for stages that can report several errors in one run. At most DIAGS_MAX are kept. */
enum { DIAGS_MAX = 100 };

typedef struct Diags {
        Diag *items;
        size_t n, capacity;
        size_t dropped;         /* how many more there were */
} Diags;

int diags_add(Diags *list, Diag *d);    /* takes the content of d */
void diags_done(Diags *list);
