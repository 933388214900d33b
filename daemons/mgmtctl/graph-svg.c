/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A group is one box, with its members in it; edges of members are edges of the box. What stands in the picture depends on the graph
 * alone, so two pictures of one graph are equal byte by byte. */

#include "common/utf8.h"
#include "daemons/mgmtctl/graph-data.h"
#include "daemons/mgmtctl/layout.h"

enum {
        CHAR_WIDTH_TENTHS = 71,         /* of the font of 12 pixels */
        LABEL_MAX = 44,                 /* characters */
        MEMBERS_MAX = 10,               /* that a box shows */
        BOX_HEIGHT = 30,
        ROW_HEIGHT = 18,
        MARGIN = 24,
        LEGEND_HEIGHT = 40,
        LEGEND_WIDTH = 760,
};

static const char style[] =
        "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}"
        ".b rect{stroke-width:1.2;rx:6px}"
        ".m{font-size:11px;fill:#57606a}"
        ".ok rect{fill:#e6f4e7;stroke:#4c9a54}"
        ".running rect{fill:#e3eefb;stroke:#3a78bf}"
        ".waiting rect{fill:#f3f4f6;stroke:#8b949e}"
        ".drifted rect{fill:#fdf3d6;stroke:#c29310}"
        ".retrying rect{fill:#fdebd9;stroke:#d9730d}"
        ".failed rect{fill:#fbe3e1;stroke:#c9372c}"
        "path.e{fill:none;stroke:#8b949e;stroke-width:1.3}"
        "path.auto{stroke-dasharray:5 4}"
        "path.transfer{stroke:#3a78bf}"
        "path.notify{stroke:#d9730d}"
        "path.pending{stroke-width:2.4}"
        "@media(prefers-color-scheme:dark){svg{background:#16191d}text{fill:#e6e8eb}.m{fill:#9aa4af}"
        ".ok rect{fill:#16301a}.running rect{fill:#152c47}.waiting rect{fill:#23272d}.drifted rect{fill:#3a2f0c}"
        ".retrying rect{fill:#40270f}.failed rect{fill:#43191a}}";

/* ---- text ---- */

/* What XML cannot hold is replaced; labels have no control characters, other texts may. */
static void put_text(StrBuf *b, const char *s) {
        for (; *s; s++)
                switch (*s) {
                case '&':
                        strbuf_puts(b, "&amp;");
                        break;
                case '<':
                        strbuf_puts(b, "&lt;");
                        break;
                case '>':
                        strbuf_puts(b, "&gt;");
                        break;
                case '"':
                        strbuf_puts(b, "&quot;");
                        break;
                case '\n':
                case '\t':
                        strbuf_putc(b, *s);
                        break;
                default:
                        if ((unsigned char) *s < 0x20)
                                strbuf_puts(b, "\xef\xbf\xbd");
                        else
                                strbuf_putc(b, *s);
                }
}

static size_t n_chars(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char) *s & 0xc0) != 0x80;
        return n;
}

/* The middle of what is too long says least. */
static char *shorten(const char *s) {
        size_t n = n_chars(s), at = 0, left = LABEL_MAX / 2, right = LABEL_MAX - LABEL_MAX / 2 - 1;
        StrBuf b = {};

        for (; *s; s++) {
                bool begins = ((unsigned char) *s & 0xc0) != 0x80;

                if (n > LABEL_MAX && begins && at == left)
                        strbuf_puts(&b, "…");
                if (n <= LABEL_MAX || at - !begins < left || at - !begins >= n - right)
                        strbuf_putc(&b, *s);
                at += begins;
        }
        return strbuf_take(&b);
}

static double text_width(const char *s) {
        return (double) MIN(n_chars(s), (size_t) LABEL_MAX) * CHAR_WIDTH_TENTHS / 10;
}

/* ---- boxes ---- */

typedef struct Picture {
        const GraphData *data;
        Layout layout;
        GraphLine *lines;               /* between roots; one for each edge of the layout */
        uint32_t *box_of;               /* of each root */
        uint32_t *roots;                /* of each box */
        size_t *members;                /* of each node: where its members begin in list */
        uint32_t *list;
} Picture;

static void picture_done(Picture *p) {
        for (size_t i = 0; i < p->layout.n_edges; i++)
                free(p->layout.edges[i].points);
        free(p->layout.edges);
        free(p->layout.boxes);
        free(p->lines);
        free(p->box_of);
        free(p->roots);
        free(p->members);
        free(p->list);
}

static int find_members(Picture *p) {
        const GraphData *g = p->data;

        for (size_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i].root != i)
                        p->members[g->nodes[i].root + 2]++;
        for (size_t i = 2; i < g->n_nodes + 2; i++)
                p->members[i] += p->members[i - 1];
        for (size_t i = 0; i < g->n_nodes; i++)
                if (g->nodes[i].root != i)
                        p->list[p->members[g->nodes[i].root + 1]++] = (uint32_t) i;
        return 0;
}

static size_t n_members(const Picture *p, uint32_t root) {
        return p->members[root + 1] - p->members[root];
}

static size_t n_rows(const Picture *p, uint32_t root) {
        return MIN(n_members(p, root), (size_t) MEMBERS_MAX + 1);
}

static void measure_box(const Picture *p, uint32_t root, LayoutBox *ret) {
        double width = text_width(p->data->nodes[root].label);

        for (size_t i = 0; i < n_rows(p, root); i++)
                width = MAX(width, text_width(p->data->nodes[p->list[p->members[root] + i]].label));
        ret->width = width + 24;
        ret->height = BOX_HEIGHT + (n_rows(p, root) > 0 ? (double) n_rows(p, root) * ROW_HEIGHT + 6 : 0);
}

static int picture_init(Picture *p, const GraphData *g) {
        int r;

        *p = (Picture) { .data = g };
        r = graph_data_between_roots(g, &p->lines, &p->layout.n_edges);
        if (r < 0)
                return r;
        p->layout.edges = calloc(p->layout.n_edges + 1, sizeof(*p->layout.edges));
        p->layout.boxes = calloc(g->n_nodes + 1, sizeof(*p->layout.boxes));
        p->box_of = calloc(g->n_nodes + 1, sizeof(*p->box_of));
        p->roots = calloc(g->n_nodes + 1, sizeof(*p->roots));
        p->members = calloc(g->n_nodes + 2, sizeof(*p->members));
        p->list = calloc(g->n_nodes + 1, sizeof(*p->list));
        if (!p->layout.edges || !p->layout.boxes || !p->box_of || !p->roots || !p->members || !p->list)
                return -ENOMEM;
        find_members(p);
        for (uint32_t i = 0; i < g->n_nodes; i++) {
                if (g->nodes[i].root != i)
                        continue;
                p->box_of[i] = (uint32_t) p->layout.n_boxes;
                p->roots[p->layout.n_boxes] = i;
                measure_box(p, i, &p->layout.boxes[p->layout.n_boxes++]);
        }
        for (size_t i = 0; i < p->layout.n_edges; i++) {
                p->layout.edges[i].from = p->box_of[p->lines[i].from];
                p->layout.edges[i].to = p->box_of[p->lines[i].to];
        }
        return layout_run(&p->layout);
}

/* ---- drawing ---- */

static void put_label(StrBuf *b, double x, double y, const char *class, const char *label) {
        _cleanup_free_ char *text = shorten(label);

        strbuf_printf(b, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, class);
        put_text(b, text ? text : "");
        strbuf_puts(b, "</text>");
}

static void put_title(StrBuf *b, const GraphNode *n) {
        strbuf_puts(b, "<title>");
        put_text(b, n->label);
        strbuf_printf(b, ": %s", n->state);
        if (*n->error) {
                strbuf_puts(b, "\n");
                put_text(b, n->error);
        }
        if (*n->source) {
                strbuf_puts(b, "\n");
                put_text(b, n->source);
        }
        strbuf_puts(b, "</title>");
}

static void put_box(StrBuf *b, const Picture *p, size_t i) {
        const LayoutBox *box = &p->layout.boxes[i];
        uint32_t root = p->roots[i];
        const GraphNode *n = &p->data->nodes[root];
        double x = box->x + MARGIN, y = box->y + MARGIN;

        strbuf_puts(b, "<g class=\"b ");
        put_text(b, n->state);
        strbuf_puts(b, "\">");
        put_title(b, n);
        strbuf_printf(b, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"6\"/>", x, y, box->width, box->height);
        put_label(b, x + 12, y + 19.5, "", n->label);
        for (size_t k = 0; k < n_rows(p, root); k++) {
                double row = y + BOX_HEIGHT + 8 + (double) k * ROW_HEIGHT;

                if (k < MEMBERS_MAX)
                        put_label(b, x + 12, row, " class=\"m\"", p->data->nodes[p->list[p->members[root] + k]].label);
                else
                        strbuf_printf(b, "<text x=\"%.1f\" y=\"%.1f\" class=\"m\">and %zu more</text>", x + 12, row,
                                      n_members(p, root) - MEMBERS_MAX);
        }
        strbuf_puts(b, "</g>\n");
}

static const char *line_class(uint32_t flags) {
        if (flags & LINE_NOTIFY)
                return flags & LINE_PENDING ? "e notify pending" : "e notify";
        if (flags & LINE_TRANSFER)
                return "e transfer";
        return flags & LINE_DECLARED ? "e" : "e auto";
}

static const char *line_marker(uint32_t flags) {
        return flags & LINE_NOTIFY ? "n" : flags & LINE_TRANSFER ? "t" : "d";
}

static void put_line(StrBuf *b, const Picture *p, size_t i) {
        const LayoutEdge *e = &p->layout.edges[i];

        strbuf_printf(b, "<path class=\"%s\" marker-end=\"url(#%s)\" d=\"M%.1f %.1f", line_class(p->lines[i].flags),
                      line_marker(p->lines[i].flags), e->points[0].x + MARGIN, e->points[0].y + MARGIN);
        for (size_t k = 0; k + 1 < e->n_points; k++) {
                LayoutPoint from = e->points[k], to = e->points[k + 1];
                double middle = (from.x + to.x) / 2 + MARGIN;

                if (k % 2 == 1)         /* level, through a layer */
                        strbuf_printf(b, "H%.1f", to.x + MARGIN);
                else
                        strbuf_printf(b, "C%.1f %.1f %.1f %.1f %.1f %.1f", middle, from.y + MARGIN, middle, to.y + MARGIN, to.x + MARGIN,
                                      to.y + MARGIN);
        }
        strbuf_puts(b, "\"/>\n");
}

static void put_markers(StrBuf *b) {
        static const struct { const char *id, *color; } markers[] = { { "d", "#8b949e" }, { "n", "#d9730d" }, { "t", "#3a78bf" } };

        strbuf_puts(b, "<defs>");
        for (size_t i = 0; i < ELEMENTSOF(markers); i++)
                strbuf_printf(b, "<marker id=\"%s\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" "
                                 "markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0 0.5L8 4L0 7.5z\" fill=\"%s\"/></marker>",
                              markers[i].id, markers[i].color);
        strbuf_puts(b, "</defs>\n");
}

static void put_legend(StrBuf *b, double y) {
        static const char *const states[] = { "ok", "running", "waiting", "drifted", "retrying", "failed" };
        static const struct { const char *class, *marker, *text; } lines[] = {
                { "e", "d", "before" }, { "e auto", "d", "automatic" }, { "e notify", "n", "notifies" }, { "e transfer", "t", "sends" },
        };
        double x = MARGIN;

        for (size_t i = 0; i < ELEMENTSOF(states); i++, x += 34 + 7 * (double) strlen(states[i - 1]))
                strbuf_printf(b, "<g class=\"b %s\"><rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" rx=\"2\"/>"
                                 "<text class=\"m\" x=\"%.1f\" y=\"%.1f\">%s</text></g>\n", states[i], x, y, x + 15, y + 9.5, states[i]);
        for (size_t i = 0; i < ELEMENTSOF(lines); i++, x += 46 + 7 * (double) strlen(lines[i - 1].text))
                strbuf_printf(b, "<path class=\"%s\" marker-end=\"url(#%s)\" d=\"M%.1f %.1fh22\"/>"
                                 "<text class=\"m\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                              lines[i].class, lines[i].marker, x, y + 5.5, x + 27, y + 9.5, lines[i].text);
}

int graph_write_svg(const GraphData *g, StrBuf *b) {
        _cleanup_(picture_done) Picture p = {};
        int r;

        r = picture_init(&p, g);
        if (r < 0)
                return r;
        double width = MAX(p.layout.width, (double) LEGEND_WIDTH) + 2 * MARGIN, height = p.layout.height + 2 * MARGIN + LEGEND_HEIGHT;
        strbuf_printf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" ", width, height);
        strbuf_printf(b, "viewBox=\"0 0 %.0f %.0f\">\n", width, height);
        strbuf_printf(b, "<style>%s</style>\n", style);
        put_markers(b);
        for (size_t i = 0; i < p.layout.n_edges; i++)
                put_line(b, &p, i);
        for (size_t i = 0; i < p.layout.n_boxes; i++)
                put_box(b, &p, i);
        put_legend(b, p.layout.height + 2 * MARGIN + 6);
        strbuf_puts(b, "</svg>\n");
        return 0;
}
