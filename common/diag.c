/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Diagnostics. Recording one must work when memory is short: the error number always arrives, and a message that could not be
 * allocated is replaced by the text of that number. */

#include <stdarg.h>
#include <stdio.h>

#include "common/diag.h"
#include "common/strbuf.h"
#include "common/utf8.h"

static char *format_message(int error, const char *format, va_list ap) {
        char *text = NULL;
        int saved = errno;

        errno = error < 0 ? -error : 0;         /* for %m */
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        errno = saved;
        return text;
}

/* The file name is copied; without memory for it the place is dropped rather than half kept. */
static Pos pos_copy(Pos pos) {
        if (pos.file) {
                pos.file = strdup(pos.file);
                if (!pos.file)
                        pos = (Pos) {};
        }
        return pos;
}

int diag_set(Diag *reterr, Pos pos, int error, const char *format, ...) {
        va_list ap;

        if (!reterr || reterr->error != 0)
                return error;

        va_start(ap, format);
        reterr->message = format_message(error, format, ap);
        va_end(ap);
        reterr->error = error;
        reterr->pos = pos_copy(pos);
        return error;
}

static const char *diag_message(const Diag *d) {
        return d->message ?: strerror(-d->error);
}

int diag_prefix(Diag *d, const char *format, ...) {
        va_list ap;

        if (!d || d->error == 0)
                return 0;

        va_start(ap, format);
        _cleanup_free_ char *prefix = format_message(d->error, format, ap);
        va_end(ap);
        char *joined;
        if (prefix && asprintf(&joined, "%s: %s", prefix, diag_message(d)) >= 0) {
                free(d->message);
                d->message = joined;
        }
        return d->error;
}

void diag_place(Diag *d, Pos pos) {
        if (d && d->error != 0 && d->pos.line == 0) {
                free((char *) d->pos.file);
                d->pos = pos_copy(pos);
        }
}

static int add_note(Diag *d, Pos pos, char *text) {
        DiagNote *grown = reallocarray(d->notes, d->n_notes + 1, sizeof(DiagNote));
        if (!grown) {
                free(text);
                return -ENOMEM;
        }
        d->notes = grown;
        d->notes[d->n_notes++] = (DiagNote) { .text = text, .pos = pos_copy(pos) };
        return 0;
}

int diag_note(Diag *d, Pos pos, const char *format, ...) {
        va_list ap;

        if (!d || d->error == 0)
                return 0;

        va_start(ap, format);
        char *text = format_message(d->error, format, ap);
        va_end(ap);
        return text ? add_note(d, pos, text) : -ENOMEM;
}

void diag_done(Diag *d) {
        for (size_t i = 0; i < d->n_notes; i++) {
                free(d->notes[i].text);
                free((char *) d->notes[i].pos.file);
        }
        free(d->notes);
        free(d->message);
        free((char *) d->pos.file);
        *d = (Diag) {};
}

void diag_move(Diag *to, Diag *from) {
        if (to == from)
                return;
        diag_done(to);
        *to = *from;
        *from = (Diag) {};
}

int diag_copy(Diag *to, const Diag *from) {
        _cleanup_(diag_done) Diag d = { .error = from->error };

        if (from->message && !(d.message = strdup(from->message)))
                return -ENOMEM;
        d.pos = pos_copy(from->pos);
        for (size_t i = 0; i < from->n_notes; i++) {
                char *text = strdup(from->notes[i].text);
                if (!text || add_note(&d, from->notes[i].pos, text) < 0)
                        return -ENOMEM;
        }
        diag_move(to, &d);
        return 0;
}

static void put_text(StrBuf *b, const Diag *d) {
        if (d->pos.line > 0)
                strbuf_printf(b, "%s:%u:%u: ", d->pos.file ?: "<unknown>", d->pos.line, d->pos.column);
        strbuf_puts(b, diag_message(d));
}

char *diag_text(const Diag *d) {
        StrBuf b = {};

        put_text(&b, d);
        return strbuf_take(&b);
}

/* ---- the picture: source lines with carets ---- */

typedef struct Line {
        const char *start;
        size_t size;
        size_t indent;          /* leading blanks */
} Line;

static bool find_line(const char *source, size_t size, uint32_t number, Line *ret) {
        const char *p = source, *end = source + size;

        for (uint32_t i = 1; i < number; i++) {
                p = memchr(p, '\n', (size_t) (end - p));
                if (!p)
                        return false;
                p++;
        }
        const char *newline = memchr(p, '\n', (size_t) (end - p));
        ret->start = p;
        ret->size = (size_t) ((newline ?: end) - p);
        ret->indent = 0;
        while (ret->indent < ret->size && (p[ret->indent] == ' ' || p[ret->indent] == '\t'))
                ret->indent++;
        return true;
}

/* The text of a program may be meant to harm whoever reads its errors: nothing of it steers the terminal. */
static void put_line(StrBuf *b, const Line *l) {
        for (size_t i = 0; i < l->size; i++) {
                unsigned char c = (unsigned char) l->start[i];
                strbuf_putc(b, (c < ' ' && c != '\t') || c == 0x7f ? '?' : (char) c);
        }
        strbuf_putc(b, '\n');
}

/* Blanks up to the column (from 0), with the tabs of the line itself, so that the caret stands below its character whatever
 * the width of a tab. */
static void put_blanks(StrBuf *b, const Line *l, size_t column) {
        size_t indent = MIN(l->indent, column);

        strbuf_add(b, l->start, indent);
        for (size_t i = indent; i < column && i <= l->size; i++)
                strbuf_putc(b, ' ');
}

static void put_picture(StrBuf *b, Pos pos, const char *source, size_t size, bool colour) {
        const char *on = colour ? "\x1b[1;31m" : "", *off = colour ? "\x1b[0m" : "";
        Line first, last;

        if (pos.line == 0 || pos.column == 0 || !find_line(source, size, pos.line, &first))
                return;

        strbuf_putc(b, '\n');
        put_line(b, &first);
        put_blanks(b, &first, pos.column - 1);
        if (pos.end_line <= pos.line) {
                size_t n = pos.end_column > pos.column ? pos.end_column - pos.column : 1;

                strbuf_puts(b, on);
                for (size_t i = 0; i < n && i <= first.size; i++)
                        strbuf_putc(b, '^');
                strbuf_puts(b, off);
                strbuf_putc(b, '\n');
                return;
        }

        strbuf_printf(b, "%s^ from here ...%s\n", on, off);
        if (!find_line(source, size, pos.end_line, &last))
                return;
        put_line(b, &last);
        put_blanks(b, &last, pos.end_column >= 2 ? pos.end_column - 2 : 0);
        strbuf_printf(b, "%s^ ... to here%s\n", on, off);
}

/* Messages speak of values, and these come from anywhere. */
static void put_clean(StrBuf *b, const char *text) {
        while (*text) {
                unsigned size = utf8_control_size(text);

                if (size == 0 || *text == '\n' || *text == '\t')
                        strbuf_putc(b, *text++);
                else
                        for (; size > 0; size--, text++)
                                strbuf_printf(b, "\\x%02x", (unsigned char) *text);
        }
}

char *diag_render(const Diag *d, const char *source, size_t source_size, bool colour) {
        _cleanup_(strbuf_done) StrBuf text = {};
        StrBuf b = {};

        put_text(&text, d);
        b.failed = text.failed;
        put_clean(&b, text.data ?: "");
        strbuf_putc(&b, '\n');
        if (source)
                put_picture(&b, d->pos, source, source_size, colour);
        for (size_t i = 0; i < d->n_notes; i++) {
                const DiagNote *n = &d->notes[i];

                if (n->pos.line > 0)
                        strbuf_printf(&b, "%s:%u:%u: ", n->pos.file ?: "<unknown>", n->pos.line, n->pos.column);
                put_clean(&b, n->text);
                strbuf_putc(&b, '\n');
                if (source && n->pos.line > 0 && streq_ptr(n->pos.file, d->pos.file))
                        put_picture(&b, n->pos, source, source_size, colour);
        }
        return strbuf_take(&b);
}

int diags_add(Diags *list, Diag *d) {
        if (list->n >= DIAGS_MAX) {
                list->dropped++;
                diag_done(d);
                return 0;
        }
        if (GROW(list->items, list->n, list->capacity) < 0) {
                list->dropped++;
                diag_done(d);
                return -ENOMEM;
        }
        list->items[list->n++] = *d;
        *d = (Diag) {};
        return 0;
}

void diags_done(Diags *list) {
        for (size_t i = 0; i < list->n; i++)
                diag_done(&list->items[i]);
        free(list->items);
        *list = (Diags) {};
}
