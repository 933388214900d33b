/* SPDX-License-Identifier: GPL-3.0-or-later */

/* RFC 8259 and nothing beside it. The source is walked once; strings without escapes and all numbers point into it. */

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "common/utf8.h"
#include "common/json-document.h"

/* Deep ones grow much by their indentation. */
enum { PRINTED_MAX = 32 * 1024 * 1024 };

typedef struct Parser {
        Arena *arena;
        const char *begin, *at, *end;
        unsigned depth, depth_max;
        bool tolerant;          /* of half surrogate pairs */
        bool cut;               /* the error is that the text ends */
        Diag *reterr;
} Parser;

/* ---- errors ---- */

static int fail_at(Parser *p, const char *where, const char *what) {
        unsigned line = 1;
        const char *start = p->begin;

        for (const char *s = p->begin; s < where; s++)
                if (*s == '\n') {
                        line++;
                        start = s + 1;
                }
        p->cut = where >= p->end;
        return diag_set(p->reterr, (Pos) {}, -EBADMSG, "line %u, column %zu: %s", line, (size_t) (where - start) + 1, what);
}

static int fail(Parser *p, const char *what) {
        return fail_at(p, p->at, what);
}

static int no_room(Parser *p) {
        return diag_set(p->reterr, (Pos) {}, -E2BIG, "it has more values than there is memory for");
}

/* ---- tokens ---- */

static void skip_space(Parser *p) {
        while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
                p->at++;
}

static bool accept(Parser *p, char c) {
        skip_space(p);
        if (p->at >= p->end || *p->at != c)
                return false;
        p->at++;
        return true;
}

static size_t skip_digits(Parser *p) {
        const char *from = p->at;

        while (p->at < p->end && isdigit((unsigned char) *p->at))
                p->at++;
        return (size_t) (p->at - from);
}

static bool skip_one_of(Parser *p, const char *set) {
        if (p->at >= p->end || !*p->at || !strchr(set, *p->at))
                return false;
        p->at++;
        return true;
}

static int skip_number(Parser *p) {
        (void) skip_one_of(p, "-");
        bool zero = p->at < p->end && *p->at == '0';
        size_t n = zero ? (p->at++, 1) : skip_digits(p);
        if (n == 0)
                return fail(p, "expected a value");
        if (skip_one_of(p, ".") && skip_digits(p) == 0)
                return fail(p, "expected a digit after the point");
        if (skip_one_of(p, "eE")) {
                (void) skip_one_of(p, "+-");
                if (skip_digits(p) == 0)
                        return fail(p, "expected a digit in the exponent");
        }
        return 0;
}

static bool skip_word(Parser *p, const char *word) {
        size_t n = strlen(word);

        if ((size_t) (p->end - p->at) < n || memcmp(p->at, word, n) != 0)
                return false;
        p->at += n;
        return true;
}

/* ---- strings ---- */

static int hex4(Parser *p, uint32_t *ret) {
        uint32_t c = 0;

        for (int i = 0; i < 4; i++, p->at++) {
                int digit = p->at < p->end ? hex_digit(*p->at) : -1;
                if (digit < 0)
                        return fail(p, "expected four hexadecimal digits");
                c = c << 4 | (uint32_t) digit;
        }
        *ret = c;
        return 0;
}

static int unicode_escape(Parser *p, char *out, size_t *ret_size) {
        const char *from = p->at - 2;
        uint32_t c = 0, low = 0;
        int r;

        r = hex4(p, &c);
        if (r < 0)
                return r;
        const char *behind = p->at;
        if (c >= 0xd800 && c < 0xdc00) {
                r = skip_word(p, "\\u") ? hex4(p, &low) : 0;
                if (r < 0)
                        return r;
        }
        if (low >= 0xdc00 && low < 0xe000)
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else if (c >= 0xd800 && c < 0xe000) {
                if (!p->tolerant)
                        return fail_at(p, from, "half a surrogate pair");
                p->at = behind;
                c = 0xfffd;
        }
        *ret_size = utf8_encode(c, out);
        return 0;
}

static int escape(Parser *p, char *out, size_t *ret_size) {
        static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        char c = p->at < p->end ? *p->at++ : '\0';

        if (c == 'u')
                return unicode_escape(p, out, ret_size);
        const char *letter = c ? strchr(letters, c) : NULL;
        if (!letter)
                return fail_at(p, p->at - 1, "unknown escape");
        *out = meanings[letter - letters];
        *ret_size = 1;
        return 0;
}

/* The closing quote, or an error. */
static int find_quote(Parser *p, const char **ret, bool *ret_escapes) {
        for (const char *s = p->at; s < p->end; s++) {
                if (*s == '"') {
                        *ret = s;
                        return 0;
                }
                if ((unsigned char) *s < 0x20)
                        return fail_at(p, s, "control character in a string");
                if (*s == '\\') {
                        *ret_escapes = true;
                        s++;
                }
        }
        return fail_at(p, p->end, "the string does not end");
}

/* An escape is never shorter than what it stands for. */
static int parse_string(Parser *p, JsonText *ret) {
        const char *quote = NULL;
        bool escapes = false;
        size_t size = 0, n = 0;
        int r;

        if (!accept(p, '"'))
                return fail(p, "expected a string");
        r = find_quote(p, &quote, &escapes);
        if (r < 0)
                return r;
        if (!escapes) {
                *ret = (JsonText) { p->at, (size_t) (quote - p->at) };
                p->at = quote + 1;
                return 0;
        }
        char *text = arena_alloc(p->arena, (size_t) (quote - p->at) + 4);
        if (!text)
                return no_room(p);
        while (p->at < quote) {
                if (*p->at != '\\') {
                        text[size++] = *p->at++;
                        continue;
                }
                p->at++;
                r = escape(p, text + size, &n);
                if (r < 0)
                        return r;
                size += n;
        }
        p->at = quote + 1;
        *ret = (JsonText) { text, size };
        return 0;
}

/* ---- arrays and objects ---- */

static int compare_names(JsonText a, JsonText b) {
        size_t n = MIN(a.size, b.size);
        int r = n > 0 ? memcmp(a.data, b.data, n) : 0;

        return r != 0 ? r : a.size < b.size ? -1 : a.size > b.size;
}

/* The place of the name, or where it belongs. */
static size_t find_place(const JsonNode *object, JsonText name, bool *ret_found) {
        size_t low = 0, high = object->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int r = compare_names(object->members[middle].name, name);
                if (r == 0) {
                        *ret_found = true;
                        return middle;
                }
                if (r < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        *ret_found = false;
        return low;
}

static int compare_members(const void *a, const void *b) {
        const JsonMember *x = a, *y = b;
        int r = compare_names(x->name, y->name);

        return r != 0 ? r : x->order < y->order ? -1 : 1;
}

static void sort_members(JsonNode *object) {
        size_t n = 0;

        if (object->n < 2)
                return;
        qsort(object->members, object->n, sizeof(*object->members), compare_members);
        for (size_t i = 0; i < object->n; i++)
                if (i + 1 == object->n || compare_names(object->members[i].name, object->members[i + 1].name) != 0)
                        object->members[n++] = object->members[i];
        object->n = n;
}

/* Room for one more. */
static int grow(Arena *a, JsonNode *node) {
        size_t element = node->kind == JSON_OBJECT ? sizeof(JsonMember) : sizeof(JsonNode *);

        if (node->n < node->capacity)
                return 0;
        size_t capacity = node->capacity > 0 ? node->capacity * 2 : 4;
        void *grown = arena_alloc(a, capacity * element);
        if (!grown)
                return -ENOMEM;
        if (node->n > 0)
                memcpy(grown, node->kind == JSON_OBJECT ? (void *) node->members : (void *) node->items, node->n * element);
        if (node->kind == JSON_OBJECT)
                node->members = grown;
        else
                node->items = grown;
        node->capacity = capacity;
        return 0;
}

static int parse_value(Parser *p, JsonNode **ret);

static int parse_items(Parser *p, JsonNode *array) {
        if (accept(p, ']'))
                return 0;
        do {
                if (grow(p->arena, array) < 0)
                        return no_room(p);
                int r = parse_value(p, &array->items[array->n]);
                if (r < 0)
                        return r;
                array->n++;
        } while (accept(p, ','));
        return accept(p, ']') ? 0 : fail(p, "expected ',' or ']'");
}

static int parse_members(Parser *p, JsonNode *object) {
        if (accept(p, '}'))
                return 0;
        do {
                if (grow(p->arena, object) < 0)
                        return no_room(p);
                JsonMember *m = &object->members[object->n];
                m->order = object->n;
                int r = parse_string(p, &m->name);
                if (r >= 0 && !accept(p, ':'))
                        r = fail(p, "expected ':'");
                if (r >= 0)
                        r = parse_value(p, &m->value);
                if (r < 0)
                        return r;
                object->n++;
        } while (accept(p, ','));
        if (!accept(p, '}'))
                return fail(p, "expected ',' or '}'");
        sort_members(object);
        return 0;
}

/* ---- values ---- */

static int parse_literal(Parser *p, JsonText *ret) {
        const char *from = p->at;
        int r = skip_word(p, "true") || skip_word(p, "false") || skip_word(p, "null") ? 0 : skip_number(p);

        *ret = (JsonText) { from, (size_t) (p->at - from) };
        return r;
}

static int parse_container(Parser *p, JsonNode *node) {
        int r;

        if (p->depth >= p->depth_max)
                return fail(p, "too many levels");
        p->depth++;
        r = node->kind == JSON_OBJECT ? parse_members(p, node) : parse_items(p, node);
        p->depth--;
        return r;
}

static int parse_value(Parser *p, JsonNode **ret) {
        JsonNode *node = arena_new0(p->arena, JsonNode);

        if (!node)
                return no_room(p);
        *ret = node;
        skip_space(p);
        if (p->at < p->end && *p->at == '"') {
                node->kind = JSON_STRING;
                return parse_string(p, &node->text);
        }
        if (accept(p, '{'))
                node->kind = JSON_OBJECT;
        else if (accept(p, '['))
                node->kind = JSON_ARRAY;
        else
                return parse_literal(p, &node->text);
        return parse_container(p, node);
}

int json_document_parse(Arena *a, const char *text, size_t size, JsonNode **ret, Diag *reterr) {
        Parser p = {
                .arena = a, .begin = text, .at = text, .end = text + size, .depth_max = JSON_DOCUMENT_DEPTH_MAX, .reterr = reterr,
        };
        JsonNode *node;
        int r;

        r = parse_value(&p, &node);
        if (r < 0)
                return r;
        skip_space(&p);
        if (p.at < p.end)
                return fail(&p, "expected nothing more");
        *ret = node;
        return 0;
}

int json_document_parse_first(Arena *a, const char *text, size_t size, unsigned depth_max, JsonNode **ret, Diag *reterr) {
        Parser p = {
                .arena = a, .begin = text, .at = text, .end = text + size, .depth_max = depth_max, .tolerant = true, .reterr = reterr,
        };
        JsonNode *node;
        int r = parse_value(&p, &node);

        if (r < 0)
                return p.cut ? -ENODATA : r;
        *ret = node;
        return 0;
}

int json_document_parse_string(Arena *a, const char **text, size_t *size, JsonText *ret, Diag *reterr) {
        Parser p = { .arena = a, .begin = *text, .at = *text, .end = *text + *size, .reterr = reterr };
        int r = parse_string(&p, ret);

        if (r < 0)
                return r;
        *text = p.at;
        *size = (size_t) (p.end - p.at);
        return 0;
}

/* ---- changing ---- */

JsonNode *json_object_new_empty(Arena *a) {
        JsonNode *node = arena_new0(a, JsonNode);

        if (node)
                node->kind = JSON_OBJECT;
        return node;
}

JsonNode *json_object_find(const JsonNode *object, JsonText name) {
        bool found;
        size_t i = find_place(object, name, &found);

        return found ? object->members[i].value : NULL;
}

int json_object_put_member(Arena *a, JsonNode *object, JsonText name, JsonNode *value) {
        bool found;
        size_t i = find_place(object, name, &found);

        if (found) {
                object->members[i].value = value;
                return 0;
        }
        if (grow(a, object) < 0)
                return -ENOMEM;
        memmove(object->members + i + 1, object->members + i, (object->n - i) * sizeof(*object->members));
        object->members[i] = (JsonMember) { .name = name, .value = value };
        object->n++;
        return 0;
}

void json_object_remove(JsonNode *object, JsonText name) {
        bool found;
        size_t i = find_place(object, name, &found);

        if (!found)
                return;
        object->n--;
        memmove(object->members + i, object->members + i + 1, (object->n - i) * sizeof(*object->members));
}

/* ---- printing ---- */

static void print_string(StrBuf *b, JsonText s) {
        static const char meanings[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

        strbuf_putc(b, '"');
        for (size_t i = 0; i < s.size; i++) {
                const char *special = s.data[i] ? strchr(meanings, s.data[i]) : NULL;
                if (special) {
                        strbuf_putc(b, '\\');
                        strbuf_putc(b, letters[special - meanings]);
                } else if ((unsigned char) s.data[i] < 0x20)
                        strbuf_printf(b, "\\u%04x", (unsigned char) s.data[i]);
                else
                        strbuf_putc(b, s.data[i]);
        }
        strbuf_putc(b, '"');
}

static void new_line(StrBuf *b, unsigned level) {
        strbuf_putc(b, '\n');
        for (unsigned i = 0; i < level; i++)
                strbuf_putc(b, '\t');
}

static void print_value(StrBuf *b, const JsonNode *node, unsigned level);

static void print_container(StrBuf *b, const JsonNode *node, unsigned level) {
        for (size_t i = 0; i < node->n; i++) {
                if (i > 0)
                        strbuf_putc(b, ',');
                new_line(b, level + 1);
                if (node->kind == JSON_OBJECT) {
                        print_string(b, node->members[i].name);
                        strbuf_puts(b, ": ");
                }
                print_value(b, node->kind == JSON_OBJECT ? node->members[i].value : node->items[i], level + 1);
        }
        if (node->n > 0)
                new_line(b, level);
}

static void print_value(StrBuf *b, const JsonNode *node, unsigned level) {
        b->failed = b->failed || b->size > PRINTED_MAX;
        if (b->failed)
                return;
        switch (node->kind) {
        case JSON_LITERAL:
                strbuf_add(b, node->text.data, node->text.size);
                break;
        case JSON_STRING:
                print_string(b, node->text);
                break;
        case JSON_ARRAY:
        case JSON_OBJECT:
                strbuf_putc(b, node->kind == JSON_OBJECT ? '{' : '[');
                print_container(b, node, level);
                strbuf_putc(b, node->kind == JSON_OBJECT ? '}' : ']');
                break;
        }
}

void json_document_print(StrBuf *b, const JsonNode *node) {
        print_value(b, node, 0);
}
