/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Pages of the manual: what Markdown would take for markup, and where lines end on a terminal. */

#include "common/macro.h"
#include "daemons/mgmtctl/doc-page.h"
#include "tests/test.h"

static const char *const no_titles[2], *const titles[2] = { "type", "default" };

static char *paragraph(bool markdown, const char *text) {
        DocPage p = { .markdown = markdown };

        doc_paragraph(&p, text);
        return strbuf_take(&p.text);
}

TEST(prose_is_no_markup) {
        static const struct { const char *text, *want; } cases[] = {
                { "plain", "plain\n" },
                { "x * y", "x \\* y\n" },
                { "a <b> c", "a \\<b> c\n" },
                { "read_timeout and _x_", "read_timeout and \\_x\\_\n" },
                { "`a*b_` * c", "`a*b_` \\* c\n" },
                { "<, & and &lt;", "\\<, & and \\&lt;\n" },
                { "back\\slash", "back\\\\slash\n" },
                { "a | b", "a | b\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = paragraph(true, cases[i].text);
                CHECK_STR(got, cases[i].want);
        }
}

TEST(lines_end_before_the_edge) {
        /* 80 columns, of which ä is one and the marks are none */
        _cleanup_free_ char *fits = paragraph(false, "0123456789 0123456789 0123456789 0123456789 `0123456789` 0123456789 0123456789 xä");
        CHECK_STR(fits, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 xä\n");
        _cleanup_free_ char *breaks = paragraph(false, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 xxxx  y");
        CHECK_STR(breaks, "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789\nxxxx y\n");
        _cleanup_free_ char *nothing = paragraph(false, "");
        CHECK_STR(nothing, "\n");
}

static void fill(DocPage *p) {
        const DocRow plain[] = {
                { .name = "a", .link = "a.md", .cells = { "", "" }, .text = "First | `x`." },
                { .name = "bcd", .link = "", .cells = { "", "" }, .text = "Second." },
        };
        const DocRow typed[] = {
                { .name = "a", .link = "", .cells = { "str", "\"\"" }, .text = "First." },
                { .name = "b", .link = "", .cells = { "bool", "" }, .text = "Second." },
        };

        doc_heading(p, 2, "Title");
        doc_item(p, "one");
        doc_item(p, "two");
        doc_code(p, "x {\n\ty\n\n}\n");
        doc_table(p, "name", no_titles, plain, ELEMENTSOF(plain));
        doc_table(p, "field", titles, typed, ELEMENTSOF(typed));
}

TEST(blocks_on_a_terminal) {
        DocPage p = {};

        fill(&p);
        _cleanup_free_ char *got = strbuf_take(&p.text);
        CHECK_STR(got, "Title\n\n- one\n- two\n\n    x {\n            y\n\n    }\n\n    a    First | x.\n    bcd  Second.\n\n"
                       "    a str = \"\"\n        First.\n    b bool\n        Second.\n");
}

TEST(blocks_in_markdown) {
        DocPage p = { .markdown = true };

        fill(&p);
        _cleanup_free_ char *got = strbuf_take(&p.text);
        CHECK_STR(got, "## Title\n\n* one\n* two\n\n    x {\n            y\n\n    }\n\n"
                       "| name | |\n| --- | --- |\n| [a](a.md) | First \\| `x`. |\n| `bcd` | Second. |\n\n"
                       "| field | type | default | |\n| --- | --- | --- | --- |\n| `a` | `str` | `\"\"` | First. |\n"
                       "| `b` | `bool` |  | Second. |\n");
}

TEST(a_missing_text_fails_the_page) {
        DocPage p = {};
        const DocRow row = { .name = "a", .link = "", .cells = { NULL, "" }, .text = "" };

        doc_paragraph(&p, "x");
        doc_paragraph(&p, NULL);
        doc_paragraph(&p, "y");
        _cleanup_free_ char *got = strbuf_take(&p.text);
        CHECK(!got);
        doc_table(&p, "name", no_titles, &row, 1);
        _cleanup_free_ char *table = strbuf_take(&p.text);
        CHECK(!table);
}

TEST_MAIN()
