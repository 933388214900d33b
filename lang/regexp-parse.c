/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads a regular expression: one level of a grammar after the other, each in a function of its own. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/regexp.h"

enum {
        NESTING_MAX = 1000,
        REPEAT_MAX = 1000,
        FOLDED_MAX = 1000000,           /* characters whose case is looked up for classes */
        CASED_MAX = 0x1ffff,            /* no character above it has another case */
};

typedef struct Flags {
        bool fold, lines, dot_all;
} Flags;

typedef struct Parser {
        Arena *arena;
        const char *begin, *p, *end;
        Flags flags;
        unsigned depth, folded;
        Diag *reterr;
} Parser;

static int refuse(Parser *x, const char *problem, const char *from, const char *to) {
        return diag_set(x->reterr, (Pos) {}, -EINVAL, "pattern did not compile: error parsing regexp: %s: `%.*s`", problem,
                        (int) (to - from), from);
}

static bool at(const Parser *x, const char *text) {
        return (size_t) (x->end - x->p) >= strlen(text) && memcmp(x->p, text, strlen(text)) == 0;
}

static RegexpTree *tree_new(Parser *x, RegexpKind kind) {
        RegexpTree *t = arena_new0(x->arena, RegexpTree);

        if (t)
                *t = (RegexpTree) { .kind = kind, .repeats = 1 };
        return t;
}

static void tree_add(RegexpTree *parent, RegexpTree *child) {
        if (parent->last)
                parent->last->next = child;
        else
                parent->children = child;
        parent->last = child;
        parent->repeats = MAX(parent->repeats, child->repeats);
}

static int set_add(Parser *x, RegexpSet *set, uint32_t low, uint32_t high) {
        RegexpRange *r = arena_new0(x->arena, RegexpRange);

        if (!r)
                return -ENOMEM;
        *r = (RegexpRange) { low, high, set->ranges };
        set->ranges = r;
        if (!set->fold)
                return 0;
        for (uint32_t c = low; c <= MIN(high, (uint32_t) CASED_MAX); c++) {
                uint32_t folded = unicode_fold(c);

                if (++x->folded > FOLDED_MAX)
                        return regexp_refuse_size(x->reterr);
                if (folded == c || (folded >= low && folded <= high))
                        continue;
                RegexpRange *other = arena_new0(x->arena, RegexpRange);
                if (!other)
                        return -ENOMEM;
                *other = (RegexpRange) { folded, folded, set->ranges };
                set->ranges = other;
        }
        return 0;
}

static int set_tree(Parser *x, RegexpSet **ret_set, RegexpTree **ret) {
        RegexpSet *set = arena_new0(x->arena, RegexpSet);
        RegexpTree *t = tree_new(x, REGEXP_SET);

        if (!set || !t)
                return -ENOMEM;
        set->fold = x->flags.fold;
        t->set = *ret_set = set;
        *ret = t;
        return 0;
}

static int literal(Parser *x, uint32_t c, RegexpTree **ret) {
        RegexpSet *set;
        int r = set_tree(x, &set, ret);

        return r < 0 ? r : set_add(x, set, c, c);
}

/* ---- classes with names: of ASCII, and of Unicode ---- */

static const struct {
        const char *name;
        const char *pairs;      /* first and last of each range */
} classes[] = {
        { "alnum", "09AZaz" }, { "alpha", "AZaz" }, { "ascii", "\x01\x7f" }, { "blank", "\t\t  " }, { "cntrl", "\x01\x1f\x7f\x7f" },
        { "digit", "09" },     { "graph", "!~" },   { "lower", "az" },        { "print", " ~" },     { "punct", "!/:@[`{~" },
        { "space", "\t\r  " }, { "upper", "AZ" },   { "word", "09AZaz__" },   { "xdigit", "09AFaf" },
        { "d", "09" },         { "s", "\t\n\f\r  " }, { "w", "09AZaz__" },
};

/* Those of the table, and 0 for those that have all control characters; or all others. */
static int add_class(Parser *x, RegexpSet *set, const char *name, size_t size, bool negated) {
        for (size_t i = 0; i < ELEMENTSOF(classes); i++) {
                if (strlen(classes[i].name) != size || memcmp(classes[i].name, name, size) != 0)
                        continue;
                bool zero = streq(classes[i].name, "ascii") || streq(classes[i].name, "cntrl");
                uint32_t from = 0;      /* of the gap before the next range */
                int r = zero && !negated ? set_add(x, set, 0, 0) : 0;
                if (zero)
                        from = 1;
                for (const char *p = classes[i].pairs; r >= 0 && *p; p += 2) {
                        uint32_t low = (unsigned char) p[0], high = (unsigned char) p[1];
                        if (!negated)
                                r = set_add(x, set, low, high);
                        else if (low > from)
                                r = set_add(x, set, from, low - 1);
                        from = high + 1;
                }
                return r >= 0 && negated ? set_add(x, set, from, REGEXP_CHARACTER_MAX) : r;
        }
        return -ENOENT;
}

/* \d and the like, in a class or by itself: 1 if there was one. */
static int perl_class(Parser *x, RegexpSet *set) {
        char name;

        if (x->end - x->p < 2 || x->p[0] != '\\' || !strchr("dDsSwW", x->p[1]) || x->p[1] == '\0')
                return 0;
        name = (char) (x->p[1] | 0x20);
        int r = add_class(x, set, &name, 1, x->p[1] != name);
        x->p += 2;
        return r < 0 ? r : 1;
}

/* \pL, \p{Greek}, \P{^Lu}, in a class or by itself: 1 if there was one. */
static int unicode_class(Parser *x, RegexpSet *set) {
        const char *from = x->p, *name = from + 2, *end;
        RegexpClass *class;

        if (!at(x, "\\p") && !at(x, "\\P"))
                return 0;
        if (name < x->end && *name == '{') {
                name++;
                end = memchr(name, '}', (size_t) (x->end - name));
                if (!end)
                        return refuse(x, "invalid character class range", from, x->end);
                x->p = end + 1;
        } else {
                uint32_t c;
                end = name < x->end ? name + utf8_decode(name, (size_t) (x->end - name), &c) : name;
                x->p = end;
        }
        class = arena_new0(x->arena, RegexpClass);
        if (!class)
                return -ENOMEM;
        class->negated = from[1] == 'P';
        if (name < end && *name == '^') {
                class->negated = !class->negated;
                name++;
        }
        if (!unicode_class_find(name, (size_t) (end - name), &class->class))
                return refuse(x, "invalid character class range", from, x->p);
        class->next = set->classes;
        set->classes = class;
        return 1;
}

/* ---- escapes ---- */

static bool hex_escape(Parser *x, uint32_t *ret) {
        uint32_t c = 0;

        if (x->p < x->end && *x->p == '{') {
                const char *first = ++x->p;
                for (; x->p < x->end && hex_digit(*x->p) >= 0 && c <= REGEXP_CHARACTER_MAX; x->p++)
                        c = c << 4 | (uint32_t) hex_digit(*x->p);
                *ret = c;
                return x->p > first && x->p < x->end && *x->p++ == '}' && c <= REGEXP_CHARACTER_MAX;
        }
        if (x->end - x->p < 2 || hex_digit(x->p[0]) < 0 || hex_digit(x->p[1]) < 0)
                return false;
        *ret = (uint32_t) (hex_digit(x->p[0]) << 4 | hex_digit(x->p[1]));
        x->p += 2;
        return true;
}

/* One character after a backslash. */
static int escape(Parser *x, uint32_t *ret) {
        static const char letters[] = "aftnrv", codes[] = "\a\f\t\n\r\v";
        const char *from = x->p++;
        bool good = true;

        if (x->p == x->end)
                return refuse(x, "trailing backslash at end of expression", from, from);
        char c = *x->p++;
        const char *letter = c ? strchr(letters, c) : NULL;
        if (letter)
                *ret = (uint32_t) codes[letter - letters];
        else if (c == 'x')
                good = hex_escape(x, ret);
        else if (c == '0' || (c >= '1' && c <= '7' && x->p < x->end && *x->p >= '0' && *x->p <= '7')) {
                *ret = (uint32_t) (c - '0');
                for (unsigned n = 1; n < 3 && x->p < x->end && *x->p >= '0' && *x->p <= '7'; n++)
                        *ret = *ret * 8 + (uint32_t) (*x->p++ - '0');
        } else {
                *ret = (unsigned char) c;
                good = (unsigned char) c < 0x80 && c != '_' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        }
        return good ? 0 : refuse(x, "invalid escape sequence", from, MIN(x->p, x->end));
}

static int character(Parser *x, uint32_t *ret) {
        if (*x->p == '\\')
                return escape(x, ret);
        x->p += utf8_decode(x->p, (size_t) (x->end - x->p), ret);       /* the pattern was checked */
        return 0;
}

/* ---- brackets ---- */

static int class_element(Parser *x, RegexpSet *set, const char *bracket) {
        const char *from = x->p;
        uint32_t low, high;
        int r;

        if (at(x, "[:")) {
                const char *close = memmem(x->p, (size_t) (x->end - x->p), ":]", 2);
                if (close) {
                        bool negated = x->p[2] == '^';
                        const char *name = x->p + 2 + negated;
                        r = close >= name ? add_class(x, set, name, (size_t) (close - name), negated) : -ENOENT;
                        x->p = close + 2;
                        return r == -ENOENT ? refuse(x, "invalid character class range", from, x->p) : r;
                }
        }
        r = perl_class(x, set);
        if (r == 0)
                r = unicode_class(x, set);
        if (r != 0)
                return MIN(r, 0);
        r = character(x, &low);
        if (r < 0)
                return r;
        high = low;
        if (x->end - x->p >= 2 && x->p[0] == '-' && x->p[1] != ']') {
                x->p++;
                r = character(x, &high);
                if (r < 0)
                        return r;
                if (high < low)
                        return refuse(x, "invalid character class range", from, x->p);
        }
        return x->p <= x->end ? set_add(x, set, low, high) : refuse(x, "missing closing ]", bracket, x->end);
}

static int brackets(Parser *x, RegexpTree **ret) {
        const char *bracket = x->p++;
        RegexpSet *set;
        int r = set_tree(x, &set, ret);

        if (r >= 0 && at(x, "^")) {
                set->negated = true;
                x->p++;
        }
        for (bool first = true; r >= 0 && (first || !at(x, "]")); first = false) {
                if (x->p == x->end)
                        return refuse(x, "missing closing ]", bracket, x->end);
                r = class_element(x, set, bracket);
        }
        x->p++;
        return r;
}

/* ---- groups, repetition, alternatives ---- */

static int alternatives(Parser *x, RegexpTree **ret);

/* After "(?": 1 if it only sets flags, 0 if a group follows. */
static int group_flags(Parser *x, const char *from) {
        bool value = true, any = false;
        Flags flags = x->flags;

        for (; x->p < x->end; x->p++)
                switch (*x->p) {
                case 'i':
                        flags.fold = value;
                        any = true;
                        break;
                case 'm':
                        flags.lines = value;
                        any = true;
                        break;
                case 's':
                        flags.dot_all = value;
                        any = true;
                        break;
                case 'U':               /* which of several matches is found does not matter here */
                        any = true;
                        break;
                case '-':
                        if (!value)
                                return refuse(x, "invalid or unsupported Perl syntax", from, x->p + 1);
                        value = any = false;
                        break;
                case ':':
                case ')':
                        if (!value && !any)
                                return refuse(x, "invalid or unsupported Perl syntax", from, x->p + 1);
                        x->flags = flags;
                        return *x->p++ == ')';
                default:
                        return refuse(x, "invalid or unsupported Perl syntax", from, x->p + 1);
                }
        return refuse(x, "missing closing )", x->begin, x->end);
}

static int group_name(Parser *x, const char *from) {
        const char *name = memchr(x->p, '<', (size_t) (x->end - x->p));
        const char *close = memchr(x->p, '>', (size_t) (x->end - x->p));

        if (!close)
                return refuse(x, "invalid named capture", from, x->end);
        for (const char *c = ++name; c < close; c++)
                if (*c != '_' && hex_digit(*c) < 0 && !((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z'))
                        return refuse(x, "invalid named capture", from, close + 1);
        if (name == close)
                return refuse(x, "invalid named capture", from, close + 1);
        x->p = close + 1;
        return 0;
}

static int group(Parser *x, RegexpTree **ret) {
        const char *from = x->p++;
        Flags before = x->flags;
        int r = 0;

        if (at(x, "?P<") || (at(x, "?<") && !at(x, "?<=") && !at(x, "?<!")))
                r = group_name(x, from);
        else if (at(x, "?")) {
                x->p++;
                r = group_flags(x, from);
        }
        if (r < 0)
                return r;
        if (r > 0) {                    /* for what follows in the group around it */
                *ret = NULL;
                return 0;
        }
        if (++x->depth > NESTING_MAX)
                return refuse(x, "expression nests too deeply", x->begin, x->end);
        r = alternatives(x, ret);
        x->depth--;
        if (r >= 0 && !at(x, ")"))
                return refuse(x, "missing closing )", x->begin, x->end);
        x->p++;
        x->flags = before;
        return r;
}

static int escaped(Parser *x, RegexpTree **ret) {
        static const struct {
                const char *text;
                RegexpKind kind;
        } edges[] = {
                { "\\A", REGEXP_TEXT_BEGIN }, { "\\z", REGEXP_TEXT_END }, { "\\b", REGEXP_WORD_EDGE }, { "\\B", REGEXP_NO_WORD_EDGE },
        };
        uint32_t c;
        RegexpSet *set;
        int r;

        for (size_t i = 0; i < ELEMENTSOF(edges); i++)
                if (at(x, edges[i].text)) {
                        x->p += 2;
                        *ret = tree_new(x, edges[i].kind);
                        return *ret ? 0 : -ENOMEM;
                }
        r = set_tree(x, &set, ret);
        if (r >= 0)
                r = perl_class(x, set);
        if (r == 0)
                r = unicode_class(x, set);
        if (r != 0)
                return MIN(r, 0);
        r = escape(x, &c);
        return r < 0 ? r : set_add(x, set, c, c);
}

/* The text between \Q and \E, as a sequence of its own characters; the last one is not added yet, it can be repeated. */
static int quoted(Parser *x, RegexpTree *cat, RegexpTree **ret) {
        int r = 0;

        *ret = NULL;
        for (x->p += 2; r >= 0 && x->p < x->end && !at(x, "\\E");) {
                uint32_t c;
                if (*ret)
                        tree_add(cat, *ret);
                x->p += utf8_decode(x->p, (size_t) (x->end - x->p), &c);
                r = literal(x, c, ret);
        }
        if (r >= 0 && at(x, "\\E"))
                x->p += 2;
        return r;
}

static int single(Parser *x, RegexpTree **ret) {
        uint32_t c = 0;
        RegexpSet *set;
        int r;

        switch (*x->p) {
        case '(':
                return group(x, ret);
        case '[':
                return brackets(x, ret);
        case '\\':
                return escaped(x, ret);
        case '^':
                *ret = tree_new(x, x->flags.lines ? REGEXP_LINE_BEGIN : REGEXP_TEXT_BEGIN);
                x->p++;
                return *ret ? 0 : -ENOMEM;
        case '$':
                *ret = tree_new(x, x->flags.lines ? REGEXP_LINE_END : REGEXP_TEXT_END);
                x->p++;
                return *ret ? 0 : -ENOMEM;
        case '.':
                x->p++;
                r = set_tree(x, &set, ret);
                if (r < 0)
                        return r;
                set->negated = true;
                set->fold = false;
                return x->flags.dot_all ? 0 : set_add(x, set, '\n', '\n');
        default:
                r = character(x, &c);
                return r < 0 ? r : literal(x, c, ret);
        }
}

static bool number(const char **p, const char *end, unsigned *ret) {
        const char *from = *p;

        for (*ret = 0; *p < end && **p >= '0' && **p <= '9'; (*p)++)
                *ret = MIN(*ret * 10 + (unsigned) (**p - '0'), (unsigned) REPEAT_MAX + 1);
        return *p > from && (*from != '0' || *p == from + 1);
}

/* A count in braces: its length, or 0 if it is just a brace. */
static size_t count(const Parser *x, unsigned *ret_min, unsigned *ret_max) {
        const char *p = x->p + 1;

        if (!number(&p, x->end, ret_min))
                return 0;
        *ret_max = *ret_min;
        if (p < x->end && *p == ',') {
                p++;
                *ret_max = 0;
                if (p < x->end && *p != '}' && (!number(&p, x->end, ret_max)))
                        return 0;
                if (p < x->end && *p == '}' && p[-1] != ',' && *ret_max < *ret_min)
                        *ret_max = REPEAT_MAX + 1;      /* which is too many */
        }
        if (p == x->end || *p != '}')
                return 0;
        return (size_t) (p + 1 - x->p);
}

/* The operators after an element; several of them are an error. */
static int repetition(Parser *x, RegexpTree **element) {
        const char *first = NULL;

        while (x->p < x->end) {
                const char *from = x->p;
                unsigned min = *from == '+', max = *from == '?';
                size_t size = strchr("*+?", *from) && *from ? 1 : *from == '{' ? count(x, &min, &max) : 0;

                if (size == 0)
                        return 0;
                x->p += size;
                if (at(x, "?"))
                        x->p++;
                if (first)
                        return refuse(x, "invalid nested repetition operator", first, x->p);
                if (!*element)
                        return refuse(x, "missing argument to repetition operator", from, from + size);
                RegexpTree *t = tree_new(x, REGEXP_REPEAT);
                if (!t)
                        return -ENOMEM;
                tree_add(t, *element);
                if (*from == '{') {
                        unsigned most = MAX(min, max), times = MAX(most, 1U);
                        t->repeats *= times;
                        if (times > REPEAT_MAX || t->repeats > REPEAT_MAX)
                                return refuse(x, "invalid repeat count", from, from + size);
                        if (max == 0 && from[size - 2] != ',') {        /* {0} and {0,0} are nothing at all */
                                t->kind = REGEXP_EMPTY;
                                t->children = NULL;
                        }
                }
                t->min = min;
                t->max = max;
                *element = t;
                first = from;
        }
        return 0;
}

static int sequence(Parser *x, RegexpTree **ret) {
        RegexpTree *cat = tree_new(x, REGEXP_CAT);
        int r = cat ? 0 : -ENOMEM;

        while (r >= 0 && x->p < x->end && *x->p != '|' && *x->p != ')') {
                RegexpTree *t = NULL;
                unsigned ignored;
                bool operator = *x->p && (strchr("*+?", *x->p) || (*x->p == '{' && count(x, &ignored, &ignored) > 0));
                if (at(x, "\\Q"))
                        r = quoted(x, cat, &t);
                else if (!operator)
                        r = single(x, &t);
                if (r >= 0)
                        r = repetition(x, &t);
                if (r >= 0 && t)
                        tree_add(cat, t);
        }
        *ret = cat;
        return r;
}

static int alternatives(Parser *x, RegexpTree **ret) {
        RegexpTree *alt = tree_new(x, REGEXP_ALT), *t;
        int r = alt ? 0 : -ENOMEM;

        while (r >= 0) {
                r = sequence(x, &t);
                if (r >= 0)
                        tree_add(alt, t);
                if (r < 0 || !at(x, "|"))
                        break;
                x->p++;
        }
        *ret = alt;
        return r;
}

int regexp_refuse_size(Diag *reterr) {
        return refuse(&(Parser) { .reterr = reterr }, "expression too large", "", "");
}

int regexp_parse(RegexpTree **ret, Arena *arena, const ValueStr *pattern, Diag *reterr) {
        Parser x = { .arena = arena, .begin = pattern->data, .p = pattern->data, .end = pattern->data + pattern->size, .reterr = reterr };

        if (!utf8_valid(pattern->data, pattern->size))
                return refuse(&x, "invalid UTF-8", x.begin, x.end);
        int r = alternatives(&x, ret);
        return r >= 0 && x.p < x.end ? refuse(&x, "unexpected )", x.begin, x.end) : r;
}
