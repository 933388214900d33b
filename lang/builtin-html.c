/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/html: texts for pages. */

#include <stdlib.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/builtins.h"

static int escape(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char special[] = "<>&'\"";
        static const char *const escapes[] = { "&lt;", "&gt;", "&amp;", "&#39;", "&#34;" };
        const ValueStr *s = args[0].s;
        StrBuf b = {};

        for (size_t i = 0; i < s->size; i++) {
                const char *found = memchr(special, s->data[i], sizeof(special) - 1);
                if (found)
                        strbuf_puts(&b, escapes[found - special]);
                else
                        strbuf_putc(&b, s->data[i]);
        }
        return value_str_take(ret, &b);
}

/* ---- references ---- */

static const struct Name {
        const char *name, *text;
} names[] = {
#include "lang/html-names.inc"
};

enum { NAME_MAX_SIZE = 40, OPEN_NAME_MAX = 6 };         /* the second: of names that need no semicolon */

/* What pages mean by 0x80 to 0x9f, which is what Windows calls 1252. */
static const uint16_t windows[] = {
        0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
        0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
};

static int compare_names(const void *key, const void *row) {
        return strcmp(key, ((const struct Name *) row)->name);
}

static const char *name_text(const char *s, size_t size) {
        char name[NAME_MAX_SIZE];

        if (size >= sizeof(name))
                return NULL;
        memcpy(name, s, size);
        name[size] = '\0';
        const struct Name *found = bsearch(name, names, ELEMENTSOF(names), sizeof(names[0]), compare_names);
        return found ? found->text : NULL;
}

static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Each of these reads what follows an ampersand: its length, or 0 if it is no reference. s ends with a NUL. */
static size_t read_name(const char *s, StrBuf *b) {
        size_t size = 0;

        while (is_alnum(s[size]))
                size++;
        size_t whole = size + (s[size] == ';');
        const char *text = name_text(s, whole);
        for (size_t open = whole > 0 ? MIN(whole - 1, (size_t) OPEN_NAME_MAX) : 0; !text && open > 1; open--) {
                text = name_text(s, open);
                whole = open;
        }
        if (!text)
                return 0;
        strbuf_puts(b, text);
        return whole;
}

static size_t read_number(const char *s, StrBuf *b) {
        bool hex = (s[1] | 0x20) == 'x';
        size_t from = hex ? 2 : 1, i = from;
        char text[4];
        uint32_t c = 0;

        for (;; i++) {
                char d = s[i], small = (char) (d | 0x20);
                if (d >= '0' && d <= '9')
                        c = c * (hex ? 16 : 10) + (uint32_t) (d - '0');
                else if (hex && small >= 'a' && small <= 'f')
                        c = c * 16 + (uint32_t) (small - 'a' + 10);
                else
                        break;
                c = MIN(c, (uint32_t) 0x110000);
        }
        if (i == from)
                return 0;
        if (c >= 0x80 && c <= 0x9f)
                c = windows[c - 0x80];
        strbuf_add(b, text, utf8_encode(c == 0 ? 0xfffd : c, text));
        return i + (s[i] == ';');
}

static int unescape(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *s = args[0].s->data, *end = s + args[0].s->size;
        StrBuf b = {};

        while (s < end) {
                size_t size = *s != '&' ? 0 : s[1] == '#' ? read_number(s + 1, &b) : read_name(s + 1, &b);

                if (size == 0)
                        strbuf_putc(&b, *s);
                s += size + 1;
        }
        return value_str_take(ret, &b);
}

const Builtin html_builtins[] = {
        { .name = "golang/html.escape_string", .signature = "func(s str) str", .eval = escape, .flags = BUILTIN_PURE,
          .doc = "s as text of a page: <, >, &, ' and \" stand for themselves.",
          .example = MCL(html.escape_string("a < b")), .gives = MCL("a &lt; b") },
        { .name = "golang/html.unescape_string", .signature = "func(s str) str", .eval = unescape, .flags = BUILTIN_PURE,
          .doc = "s with the characters that its references stand for.",
          .example = MCL(html.unescape_string("a &lt; b")), .gives = MCL("a < b") },
        {}
};
