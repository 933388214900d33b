/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A page of the manual: for a terminal, or in Markdown. Texts are prose in which `code` stands between back quotes; nothing else
 * in them is markup. A NULL for a text is a lack of memory: it makes the whole page fail, as in a StrBuf. */

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

typedef struct DocPage {
        bool markdown;
        bool color;             /* of what is for a terminal */
        bool in_list;
        StrBuf text;
} DocPage;

void doc_heading(DocPage *p, unsigned level, const char *text);
void doc_paragraph(DocPage *p, const char *text);
void doc_item(DocPage *p, const char *text);
void doc_code(DocPage *p, const char *code);            /* several lines; tabs become spaces */

typedef struct DocRow {
        const char *name;
        const char *link;       /* where the name leads to, in Markdown; "": nowhere */
        const char *cells[2];   /* short, as code; "" is empty */
        const char *text;
} DocRow;

/* The titles say which cells there are. On a terminal the text stands beside a name without cells, and below one with. */
void doc_table(DocPage *p, const char *name_title, const char *const titles[2], const DocRow *rows, size_t n);
