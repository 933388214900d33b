/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See doc-page.h. */

#include <ctype.h>

#include "daemons/mgmtctl/doc-page.h"
#include "daemons/mgmtctl/output.h"

enum {
        WIDTH = 80,             /* of a terminal, whatever it is: longer lines are hard to read */
        INDENT = 4,
        NAME_WIDTH_MAX = 32,
};

/* ---- for a terminal ---- */

static void add_styled(DocPage *p, const char *style, const char *text) {
        if (p->color)
                strbuf_printf(&p->text, "\033[%sm", style);
        for (; *text; text++)
                if (*text != '`')
                        strbuf_putc(&p->text, *text);
        if (p->color)
                strbuf_puts(&p->text, "\033[0m");
}

static void add_spaces(DocPage *p, size_t n) {
        strbuf_printf(&p->text, "%*s", (int) n, "");
}

/* Columns of the first n bytes: neither the rest of a character nor a mark takes one. */
static size_t columns(const char *s, size_t n) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                count += ((unsigned char) s[i] & 0xc0) != 0x80 && s[i] != '`';
        return count;
}

/* The words of the text from this column on, in lines that begin at indent. */
static void add_wrapped(DocPage *p, const char *text, size_t column, size_t indent) {
        bool first = true;

        while (*(text += strspn(text, " "))) {
                size_t n = strcspn(text, " "), width = columns(text, n);

                if (!first && column + 1 + width > WIDTH) {
                        strbuf_putc(&p->text, '\n');
                        add_spaces(p, indent);
                        column = indent;
                } else if (!first) {
                        strbuf_putc(&p->text, ' ');
                        column++;
                }
                for (size_t i = 0; i < n; i++)
                        if (text[i] != '`')
                                strbuf_putc(&p->text, text[i]);
                column += width;
                text += n;
                first = false;
        }
        strbuf_putc(&p->text, '\n');
}

/* ---- in Markdown ---- */

static bool is_word(char c) {
        return isalnum((unsigned char) c) || (unsigned char) c >= 0x80;
}

/* Whether c, between those characters, would be markup. */
static bool is_markup(char before, char c, char after, bool in_table) {
        switch (c) {
        case '\\':
        case '*':
        case '<':
                return true;
        case '_':
                return !is_word(before) || !is_word(after);
        case '&':
                return after == '#' || is_word(after);
        case '|':
                return in_table;
        default:
                return false;
        }
}

static void add_markdown(DocPage *p, const char *text, bool in_table) {
        bool code = false;

        for (const char *s = text; *s; s++) {
                if (*s == '`')
                        code = !code;
                else if (code ? in_table && *s == '|' : is_markup(s > text ? s[-1] : ' ', *s, s[1], in_table))
                        strbuf_putc(&p->text, '\\');
                strbuf_putc(&p->text, *s);
        }
}

/* ---- blocks ---- */

/* An empty line stands between blocks, but not between the items of a list. false: there is no text. */
static bool begin(DocPage *p, const char *text, bool item) {
        if (!text) {
                p->text.failed = true;
                return false;
        }
        if (p->text.size > 0 && !(p->in_list && item))
                strbuf_putc(&p->text, '\n');
        p->in_list = item;
        return true;
}

void doc_heading(DocPage *p, unsigned level, const char *text) {
        if (!begin(p, text, false))
                return;
        if (p->markdown) {
                for (unsigned i = 0; i < level; i++)
                        strbuf_putc(&p->text, '#');
                strbuf_putc(&p->text, ' ');
                add_markdown(p, text, false);
        } else
                add_styled(p, OUTPUT_BOLD, text);
        strbuf_putc(&p->text, '\n');
}

void doc_paragraph(DocPage *p, const char *text) {
        if (!begin(p, text, false))
                return;
        if (p->markdown) {
                add_markdown(p, text, false);
                strbuf_putc(&p->text, '\n');
        } else
                add_wrapped(p, text, 0, 0);
}

void doc_item(DocPage *p, const char *text) {
        if (!begin(p, text, true))
                return;
        strbuf_puts(&p->text, p->markdown ? "* " : "- ");
        if (p->markdown) {
                add_markdown(p, text, false);
                strbuf_putc(&p->text, '\n');
        } else
                add_wrapped(p, text, 2, 2);
}

void doc_code(DocPage *p, const char *code) {
        if (!begin(p, code, false))
                return;
        while (*code) {
                size_t n = strcspn(code, "\n");

                if (n > 0)
                        add_spaces(p, INDENT);
                for (size_t i = 0; i < n; i++)
                        if (code[i] == '\t')
                                add_spaces(p, 8);
                        else
                                strbuf_putc(&p->text, code[i]);
                strbuf_putc(&p->text, '\n');
                code += n + (code[n] == '\n');
        }
}

/* ---- tables ---- */

static bool row_is_whole(const DocRow *r) {
        return r->name && r->link && r->cells[0] && r->cells[1] && r->text;
}

static void add_cell(DocPage *p, const char *text, bool code) {
        strbuf_puts(&p->text, " ");
        if (code && *text) {
                strbuf_putc(&p->text, '`');
                for (; *text; text++) {
                        if (*text == '|')
                                strbuf_putc(&p->text, '\\');
                        strbuf_putc(&p->text, *text);
                }
                strbuf_putc(&p->text, '`');
        } else
                add_markdown(p, text, true);
        strbuf_puts(&p->text, " |");
}

static void add_markdown_row(DocPage *p, const char *const titles[2], const DocRow *r) {
        strbuf_putc(&p->text, '|');
        if (*r->link)
                strbuf_printf(&p->text, " [%s](%s) |", r->name, r->link);
        else
                add_cell(p, r->name, true);
        for (size_t i = 0; i < 2; i++)
                if (titles[i])
                        add_cell(p, r->cells[i], true);
        add_cell(p, r->text, false);
        strbuf_putc(&p->text, '\n');
}

static void add_markdown_head(DocPage *p, const char *name_title, const char *const titles[2]) {
        strbuf_printf(&p->text, "| %s |", name_title);
        for (size_t i = 0; i < 2; i++)
                if (titles[i])
                        strbuf_printf(&p->text, " %s |", titles[i]);
        strbuf_puts(&p->text, " |\n| --- | --- |");
        for (size_t i = 0; i < 2; i++)
                strbuf_puts(&p->text, titles[i] ? " --- |" : "");
        strbuf_putc(&p->text, '\n');
}

/* "name cell = cell", and the text below. */
static void add_terminal_row(DocPage *p, const DocRow *r) {
        add_spaces(p, INDENT);
        add_styled(p, OUTPUT_BOLD, r->name);
        if (*r->cells[0])
                strbuf_printf(&p->text, " %s", r->cells[0]);
        if (*r->cells[1])
                strbuf_printf(&p->text, " = %s", r->cells[1]);
        strbuf_putc(&p->text, '\n');
        if (*r->text) {
                add_spaces(p, 2 * INDENT);
                add_wrapped(p, r->text, 2 * INDENT, 2 * INDENT);
        }
}

static void add_terminal_line(DocPage *p, const DocRow *r, size_t width) {
        size_t used = columns(r->name, strlen(r->name));

        add_spaces(p, INDENT);
        add_styled(p, OUTPUT_BOLD, r->name);
        add_spaces(p, used < width ? width - used + 2 : 2);
        add_wrapped(p, r->text, INDENT + MAX(used, width) + 2, INDENT + width + 2);
}

void doc_table(DocPage *p, const char *name_title, const char *const titles[2], const DocRow *rows, size_t n) {
        size_t width = 0;

        for (size_t i = 0; i < n; i++) {
                if (!row_is_whole(&rows[i])) {
                        p->text.failed = true;
                        return;
                }
                width = MAX(width, columns(rows[i].name, strlen(rows[i].name)));
        }
        width = MIN(width, (size_t) NAME_WIDTH_MAX);
        (void) begin(p, "", false);
        if (p->markdown)
                add_markdown_head(p, name_title, titles);
        for (size_t i = 0; i < n; i++)
                if (p->markdown)
                        add_markdown_row(p, titles, &rows[i]);
                else if (titles[0] || titles[1])
                        add_terminal_row(p, &rows[i]);
                else
                        add_terminal_line(p, &rows[i], width);
}
