/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Places the boxes of a directed graph in layers, from left to right, so that edges are short and cross little; a layer of very many
 * boxes has several columns. The same graph always gives the same picture. Edges that close a cycle are taken as if they went the other
 * way. */

#include <stddef.h>
#include <stdint.h>

typedef struct LayoutPoint {
        double x, y;
} LayoutPoint;

typedef struct LayoutBox {
        double width, height;           /* in */
        double x, y;                    /* out: left, top */
} LayoutBox;

typedef struct LayoutEdge {
        uint32_t from, to;              /* in: different boxes */
        LayoutPoint *points;            /* out: from the right side of from to the left side of to, in pairs: a line leads from each point
                                         * with an even number to the next, level, where it passes a layer; owned */
        size_t n_points;
} LayoutEdge;

typedef struct Layout {
        LayoutBox *boxes;
        size_t n_boxes;
        LayoutEdge *edges;
        size_t n_edges;
        double width, height;           /* out */
} Layout;

int layout_run(Layout *l);              /* -ENOMEM */
