/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Duplicates of a metaparameter that only show once structs of them are taken apart: `Meta => struct{…}` beside another one, or beside
 * `Meta:noop => …`. */

#include "lang/program.h"

static int check_resource(Program *p, const Stmt *s) {
        const Item *whole = NULL, *single = NULL;
        int r = 0;

        for (uint32_t i = 0; i < s->resource.items.n; i++) {
                const Item *item = s->resource.items.items[i];
                if (item->kind != ITEM_META)
                        continue;
                const Item *again = item->name ? whole : whole ?: single;
                if (again && r >= 0) {
                        r = program_fail(p, s->pos, "resource has duplicate meta entry of: %s",
                                         item->name ?: again->name ?: meta_fields[0].name);
                        program_note(p, item->pos, "note: here it is given again");
                }
                if (item->name)
                        single = single ?: item;
                else
                        whole = whole ?: item;
        }
        return r;
}

static int check_stmt(Program *p, const Stmt *s) {
        int r, k;

        switch (s->kind) {
        case STMT_IF:
                r = check_metas(p, s->branch.then);
                k = s->branch.otherwise ? check_metas(p, s->branch.otherwise) : 0;
                return r < 0 ? r : k;
        case STMT_FOR:
        case STMT_FORKV:
                return check_metas(p, s->loop.body);
        case STMT_INCLUDE:
                return s->include.body ? check_metas(p, s->include.body) : 0;
        case STMT_RESOURCE:
                return check_resource(p, s);
        default:
                return 0;
        }
}

int check_metas(Program *p, const Block *b) {
        int r = 0;

        for (uint32_t i = 0; i < b->n; i++) {
                int k = check_stmt(p, b->items[i]);
                r = r < 0 ? r : k;
        }
        return r;
}
