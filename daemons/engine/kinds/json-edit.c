/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <ctype.h>

#include "daemons/engine/kinds/json-edit.h"

typedef struct Cursor {
        Arena *arena;
        const char *begin, *at;
        size_t left;
        Diag *reterr;
} Cursor;

static int fail(const Cursor *c, const char *what) {
        return diag_set(c->reterr, (Pos) {}, -EINVAL, "column %zu: %s", (size_t) (c->at - c->begin) + 1, what);
}

static void advance(Cursor *c, size_t n) {
        c->at += n;
        c->left -= n;
}

static void skip_space(Cursor *c) {
        while (c->left > 0 && strchr(" \t\r\n", *c->at))
                advance(c, 1);
}

static bool accept(Cursor *c, char wanted) {
        skip_space(c);
        if (c->left == 0 || *c->at != wanted)
                return false;
        advance(c, 1);
        return true;
}

static int add_key(Cursor *c, JsonEdit *e, JsonText key) {
        if ((e->n & (e->n - 1)) == 0) {         /* full: the room is a power of two */
                JsonText *grown = arena_array(c->arena, JsonText, MAX(e->n * 2, (size_t) 1));
                if (!grown)
                        return -ENOMEM;
                if (e->n > 0)
                        memcpy(grown, e->path, e->n * sizeof(*grown));
                e->path = grown;
        }
        e->path[e->n++] = key;
        return 0;
}

/* What stands in brackets; the opening one is behind us. */
static int parse_bracket(Cursor *c, JsonEdit *e) {
        JsonText key;
        int r;

        r = json_document_parse_string(c->arena, &c->at, &c->left, &key, c->reterr);
        if (r < 0)
                return r;
        if (key.size == 0)
                return fail(c, "a key must not be empty");
        if (!accept(c, ']'))
                return fail(c, "expected ']'");
        return add_key(c, e, key);
}

static int parse_identifier(Cursor *c, JsonEdit *e) {
        size_t n = 0;

        skip_space(c);
        while (n < c->left && (isalpha((unsigned char) c->at[n]) || c->at[n] == '_' || (n > 0 && isdigit((unsigned char) c->at[n]))))
                n++;
        if (n == 0)
                return fail(c, "expected a key: a word, or a string in brackets");
        JsonText key = { c->at, n };
        advance(c, n);
        return add_key(c, e, key);
}

static int parse_path(Cursor *c, JsonEdit *e) {
        int r;

        if (!accept(c, '.'))
                return fail(c, "expected a path that begins with '.'");
        do {
                r = accept(c, '[') ? parse_bracket(c, e) : parse_identifier(c, e);
                while (r >= 0 && accept(c, '['))
                        r = parse_bracket(c, e);
        } while (r >= 0 && accept(c, '.'));
        return r;
}

static int parse_deletion(Cursor *c, JsonEdit *e) {
        int r;

        if (!accept(c, '('))
                return fail(c, "expected '('");
        r = parse_path(c, e);
        if (r < 0)
                return r;
        if (!accept(c, ')'))
                return fail(c, "expected ')'");
        skip_space(c);
        return c->left > 0 ? fail(c, "expected nothing more") : 0;
}

int json_edit_parse(Arena *a, const char *text, JsonEdit *ret, Diag *reterr) {
        Cursor c = { .arena = a, .begin = text, .at = text, .left = strlen(text), .reterr = reterr };
        int r;

        *ret = (JsonEdit) {};
        skip_space(&c);
        if (startswith(c.at, "del")) {
                advance(&c, strlen("del"));
                return parse_deletion(&c, ret);
        }
        r = parse_path(&c, ret);
        if (r < 0)
                return r;
        if (!accept(&c, '='))
                return fail(&c, "expected '='");
        return json_document_parse(a, c.at, c.left, &ret->value, reterr);
}

static int not_an_object(const JsonEdit *e, size_t i, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "what is at '%.*s' is no object", (int) MIN(e->path[i].size, (size_t) 200),
                        e->path[i].data);
}

int json_edit_apply(Arena *a, JsonNode *root, const JsonEdit *e, Diag *reterr) {
        JsonNode *object = root;

        for (size_t i = 0; i + 1 < e->n; i++) {
                JsonNode *next = json_object_find(object, e->path[i]);
                if (!next && !e->value)
                        return 0;
                if (!next) {
                        next = json_object_new_empty(a);
                        if (!next || json_object_put_member(a, object, e->path[i], next) < 0)
                                return -ENOMEM;
                }
                if (next->kind != JSON_OBJECT)
                        return not_an_object(e, i, reterr);
                object = next;
        }
        if (e->value)
                return json_object_put_member(a, object, e->path[e->n - 1], e->value);
        json_object_remove(object, e->path[e->n - 1]);
        return 0;
}
