/* SPDX-License-Identifier: GPL-3.0-or-later */

/* strings, and the functions of golang/strings: texts are bytes, and positions count bytes. Where a function works on characters, a
 * byte that is not part of one counts as one by itself. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/builtins.h"

static int contains(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(memmem(args[0].s->data, args[0].s->size, args[1].s->data, args[1].s->size));
        return 0;
}

static int has_prefix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *prefix = args[1].s;

        *ret = VALUE_BOOL(prefix->size <= s->size && memcmp(s->data, prefix->data, prefix->size) == 0);
        return 0;
}

static int has_suffix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *suffix = args[1].s;

        *ret = VALUE_BOOL(suffix->size <= s->size && memcmp(s->data + s->size - suffix->size, suffix->data, suffix->size) == 0);
        return 0;
}

static int join(const BuiltinCall *call, const Value *args, bool keep_empty, Value *ret) {
        StrBuf b = { .limit = VALUE_STR_MAX };
        bool first = true;

        VALUE_LIST_FOREACH(item, args[0].l) {
                const ValueStr *s = item->s;
                if (s->size == 0 && !keep_empty)
                        continue;
                if (!first)
                        strbuf_add(&b, args[1].s->data, args[1].s->size);
                strbuf_add(&b, s->data, s->size);
                first = false;
        }
        return value_str_take(ret, &b);
}

static int join_all(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return join(call, args, true, ret);
}

static int join_nonempty(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return join(call, args, false, ret);
}

static int pad(const Value *args, bool left, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *fill = args[1].s;
        StrBuf b = {};

        if (args[2].i > VALUE_STR_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "cannot pad to %lld bytes", (long long) args[2].i);
        if (!left)
                strbuf_add(&b, s->data, s->size);
        for (int64_t size = s->size; fill->size > 0 && size < args[2].i; size += fill->size)
                strbuf_add(&b, fill->data, fill->size);
        if (left)
                strbuf_add(&b, s->data, s->size);
        return value_str_take(ret, &b);
}

static int left_pad(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return pad(args, true, ret, reterr);
}

static int right_pad(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return pad(args, false, ret, reterr);
}

static int substr(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int64_t low = args[1].i, high = args[2].i;

        if (low < 0 || low > high || high > args[0].s->size) {
                diag_set(reterr, (Pos) {}, -ERANGE, "low/high out of range");
                return BUILTIN_CATCHABLE;
        }
        return value_str(ret, args[0].s->data + low, (size_t) (high - low));
}

/* ---- characters ---- */

/* How many bytes the character at s has; at least one. */
static size_t character_size(const char *s, size_t left) {
        unsigned char c = (unsigned char) s[0];
        size_t n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;

        if (c >= 0xf8 || n > left)
                return 1;
        for (size_t i = 1; i < n; i++)
                if (((unsigned char) s[i] & 0xc0) != 0x80)
                        return 1;
        return n;
}

/* The last character of the n bytes. */
static size_t last_character_size(const char *s, size_t n) {
        for (size_t size = 1; size <= 4 && size <= n; size++)
                if (character_size(s + n - size, size) == size && ((unsigned char) s[n - size] & 0xc0) != 0x80)
                        return size;
        return 1;
}

static size_t count_characters(const ValueStr *s) {
        size_t n = 0;

        for (size_t i = 0; i < s->size; n++)
                i += character_size(s->data + i, s->size - i);
        return n;
}

/* Whether a character of this size is one of the set. */
static bool in_set(const ValueStr *set, const char *c, size_t size) {
        for (size_t i = 0; i < set->size;) {
                size_t n = character_size(set->data + i, set->size - i);
                if (n == size && memcmp(set->data + i, c, n) == 0)
                        return true;
                i += n;
        }
        return false;
}

static bool is_space(const ValueStr *unused, const char *c, size_t size) {
        static const char *const spaces[] = {
                "\t", "\n", "\v", "\f", "\r", " ", "\xc2\x85", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f",
                "\u3000",
        };

        for (size_t i = 0; i < ELEMENTSOF(spaces); i++)
                if (strlen(spaces[i]) == size && memcmp(spaces[i], c, size) == 0)
                        return true;
        return false;
}

/* ---- searching ---- */

static int find(const ValueStr *s, size_t from, const ValueStr *part, size_t *ret) {
        const char *found = from <= s->size ? memmem(s->data + from, s->size - from, part->data, part->size) : NULL;

        if (!found)
                return -ENOENT;
        *ret = (size_t) (found - s->data);
        return 0;
}

static int index_of(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        size_t at;

        *ret = VALUE_INT(find(args[0].s, 0, args[1].s, &at) < 0 ? -1 : (int64_t) at);
        return 0;
}

static int last_index(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *part = args[1].s;

        *ret = VALUE_INT(-1);
        if (part->size > s->size)
                return 0;
        for (size_t at = s->size - part->size + 1; at-- > 0;)
                if (memcmp(s->data + at, part->data, part->size) == 0) {
                        *ret = VALUE_INT((int64_t) at);
                        return 0;
                }
        return 0;
}

static int64_t find_any(const ValueStr *s, const ValueStr *set, bool last) {
        int64_t found = -1;

        for (size_t i = 0; i < s->size && (last || found < 0);) {
                size_t size = character_size(s->data + i, s->size - i);
                if (in_set(set, s->data + i, size))
                        found = (int64_t) i;
                i += size;
        }
        return found;
}

static int index_any(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_INT(find_any(args[0].s, args[1].s, false));
        return 0;
}

static int last_index_any(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_INT(find_any(args[0].s, args[1].s, true));
        return 0;
}

static int contains_any(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(find_any(args[0].s, args[1].s, false) >= 0);
        return 0;
}

static int count(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *part = args[1].s;
        int64_t found = 0;

        if (part->size == 0)
                found = (int64_t) count_characters(s) + 1;
        else
                for (size_t at = 0; find(s, at, part, &at) >= 0; at += part->size)
                        found++;
        *ret = VALUE_INT(found);
        return 0;
}

static int compare(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        int c = value_compare(args[0], args[1]);

        *ret = VALUE_INT((c > 0) - (c < 0));
        return 0;
}

/* ---- other texts ---- */

static int clone(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = value_ref(args[0]);
        return 0;
}

static int repeat(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        StrBuf b = {};

        if (args[1].i < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "cannot repeat %lld times", (long long) args[1].i);
        if (s->size > 0 && args[1].i > VALUE_STR_MAX / s->size)
                return -E2BIG;
        for (int64_t i = 0; s->size > 0 && i < args[1].i; i++)
                strbuf_add(&b, s->data, s->size);
        return value_str_take(ret, &b);
}

/* At most limit times, from the left. An empty old stands before each character and at the end. */
static int replace(const ValueStr *s, const ValueStr *old, const ValueStr *new, uint64_t limit, Value *ret) {
        StrBuf b = { .limit = VALUE_STR_MAX };
        size_t at = 0, next;

        if (old->size == 0) {
                for (; limit > 0 && at <= s->size && !b.failed; limit--) {
                        strbuf_add(&b, new->data, new->size);
                        size_t size = at < s->size ? character_size(s->data + at, s->size - at) : 1;
                        if (at < s->size)
                                strbuf_add(&b, s->data + at, size);
                        at += size;
                }
        } else
                for (; limit > 0 && !b.failed && find(s, at, old, &next) >= 0; limit--) {
                        strbuf_add(&b, s->data + at, next - at);
                        strbuf_add(&b, new->data, new->size);
                        at = next + old->size;
                }
        if (at < s->size)
                strbuf_add(&b, s->data + at, s->size - at);
        return value_str_take(ret, &b);
}

static int replace_all(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return replace(args[0].s, args[1].s, args[2].s, UINT64_MAX, ret);
}

static int replace_some(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return replace(args[0].s, args[1].s, args[2].s, args[3].i < 0 ? UINT64_MAX : (uint64_t) args[3].i, ret);
}

static int split(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *separator = args[1].s;
        Value *items = NULL;
        size_t k = 0, capacity = 0, at = 0, next;
        int r = 0;

        while (r >= 0 && (separator->size > 0 ? at <= s->size : at < s->size)) {
                size_t end = s->size, skip = 1;
                if (separator->size == 0) {
                        end = at + character_size(s->data + at, s->size - at);
                        skip = 0;
                } else if (find(s, at, separator, &next) >= 0) {
                        end = next;
                        skip = separator->size;
                }
                r = GROW(items, k, capacity);
                if (r >= 0)
                        r = value_str(&items[k], s->data + at, end - at);
                k += r >= 0;
                at = end + skip;
        }
        if (r < 0)
                while (k > 0)
                        value_done(&items[--k]);
        else
                r = value_list(ret, items, k);
        free(items);
        return r;
}

/* ---- trimming ---- */

static int trim(const ValueStr *s, const ValueStr *set, bool (*unwanted)(const ValueStr *set, const char *c, size_t size), bool left,
                bool right, Value *ret) {
        size_t from = 0, to = s->size, size;

        while (left && from < to && unwanted(set, s->data + from, (size = character_size(s->data + from, to - from))))
                from += size;
        while (right && from < to && (size = last_character_size(s->data + from, to - from)) <= to - from &&
               unwanted(set, s->data + to - size, size))
                to -= size;
        return value_str(ret, s->data + from, to - from);
}

static int trim_space(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return trim(args[0].s, NULL, is_space, true, true, ret);
}

static int trim_both(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return trim(args[0].s, args[1].s, in_set, true, true, ret);
}

static int trim_left(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return trim(args[0].s, args[1].s, in_set, true, false, ret);
}

static int trim_right(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return trim(args[0].s, args[1].s, in_set, false, true, ret);
}

static int trim_prefix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *prefix = args[1].s;
        bool has = prefix->size <= s->size && memcmp(s->data, prefix->data, prefix->size) == 0;

        return value_str(ret, s->data + (has ? prefix->size : 0), s->size - (has ? prefix->size : 0));
}

static int trim_suffix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *suffix = args[1].s;
        bool has = suffix->size <= s->size && memcmp(s->data + s->size - suffix->size, suffix->data, suffix->size) == 0;

        return value_str(ret, s->data, s->size - (has ? suffix->size : 0));
}

/* ---- case ---- */

/* The next character; a byte that is not part of one is a replacement character. */
static size_t next_character(const char *s, size_t left, uint32_t *ret) {
        size_t n = utf8_decode(s, left, ret);

        if (n > 0)
                return n;
        *ret = 0xfffd;
        return 1;
}

static int map_characters(const ValueStr *s, uint32_t (*map)(uint32_t c), Value *ret) {
        StrBuf b = {};

        for (size_t i = 0; i < s->size;) {
                char text[4];
                uint32_t c;

                i += next_character(s->data + i, s->size - i, &c);
                strbuf_add(&b, text, utf8_encode(map(c), text));
        }
        return value_str_take(ret, &b);
}

static int to_lower(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return map_characters(args[0].s, unicode_lower, ret);
}

static int to_upper(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return map_characters(args[0].s, unicode_upper, ret);
}

static int to_title(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return map_characters(args[0].s, unicode_title, ret);
}

/* Whether a word can begin after it. */
static bool is_separator(uint32_t c, const char *s, size_t size) {
        if (c < 0x80)
                return !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_';
        return is_space(NULL, s, size);
}

static int title(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        bool begins = true;
        StrBuf b = {};

        for (size_t i = 0; i < s->size;) {
                char text[4];
                uint32_t c;
                size_t size = next_character(s->data + i, s->size - i, &c);

                strbuf_add(&b, text, utf8_encode(begins ? unicode_title(c) : c, text));
                begins = is_separator(c, s->data + i, size);
                i += size;
        }
        return value_str_take(ret, &b);
}

static int equal_fold(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *t = args[1].s;
        size_t i = 0, j = 0;
        bool equal = true;

        while (equal && i < s->size && j < t->size) {
                uint32_t c, d;
                i += next_character(s->data + i, s->size - i, &c);
                j += next_character(t->data + j, t->size - j, &d);
                equal = unicode_fold(c) == unicode_fold(d);
        }
        *ret = VALUE_BOOL(equal && i == s->size && j == t->size);
        return 0;
}

static int to_valid_utf8(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s, *replacement = args[1].s;
        bool bad = false;
        StrBuf b = { .limit = VALUE_STR_MAX };

        for (size_t i = 0; i < s->size && !b.failed;) {
                uint32_t c;
                size_t size = utf8_decode(s->data + i, s->size - i, &c);

                if (size > 0)
                        strbuf_add(&b, s->data + i, size);
                else if (!bad)
                        strbuf_add(&b, replacement->data, replacement->size);
                bad = size == 0;
                i += MAX(size, (size_t) 1);
        }
        return value_str_take(ret, &b);
}

const Builtin strings_builtins[] = {
        { .name = "golang/strings.clone", .signature = "func(s str) str", .eval = clone, .flags = BUILTIN_PURE,
          .doc = "The text itself.",
          .example = MCL(strings.clone("a")), .gives = MCL("a") },
        { .name = "golang/strings.compare", .signature = "func(a str, b str) int",
          .eval = compare, .flags = BUILTIN_PURE, .doc = "-1, 0 or 1: which text comes first, byte by byte.",
          .example = MCL(strings.compare("a", "b")), .gives = MCL(-1) },
        { .name = "golang/strings.contains", .signature = "func(s str, substr str) bool",
          .eval = contains, .flags = BUILTIN_PURE, .doc = "Whether substr is part of s.",
          .example = MCL(strings.contains("hello", "ell")), .gives = MCL(true) },
        { .name = "golang/strings.contains_any", .signature = "func(s str, chars str) bool",
          .eval = contains_any, .flags = BUILTIN_PURE, .doc = "Whether any character of chars is in s.",
          .example = MCL(strings.contains_any("hello", "xyo")), .gives = MCL(true) },
        { .name = "golang/strings.count", .signature = "func(s str, substr str) int",
          .eval = count, .flags = BUILTIN_PURE, .doc = "How often substr is in s, without overlaps.",
          .example = MCL(strings.count("banana", "an")), .gives = MCL(2) },
        { .name = "golang/strings.equal_fold", .signature = "func(s str, t str) bool", .eval = equal_fold, .flags = BUILTIN_PURE,
          .doc = "Whether the texts differ at most in upper and lower case.",
          .example = MCL(strings.equal_fold("Straße", "STRASSE")), .gives = MCL(false) },
        { .name = "golang/strings.has_prefix", .signature = "func(s str, prefix str) bool", .eval = has_prefix,
          .flags = BUILTIN_PURE, .doc = "Whether s begins with prefix.",
          .example = MCL(strings.has_prefix("hello", "he")), .gives = MCL(true) },
        { .name = "golang/strings.has_suffix", .signature = "func(s str, suffix str) bool", .eval = has_suffix,
          .flags = BUILTIN_PURE, .doc = "Whether s ends with suffix.",
          .example = MCL(strings.has_suffix("hello", "lo")), .gives = MCL(true) },
        { .name = "golang/strings.index", .signature = "func(s str, substr str) int",
          .eval = index_of, .flags = BUILTIN_PURE, .doc = "Where substr begins first, in bytes, or -1.",
          .example = MCL(strings.index("hello", "l")), .gives = MCL(2) },
        { .name = "golang/strings.index_any", .signature = "func(s str, chars str) int",
          .eval = index_any, .flags = BUILTIN_PURE, .doc = "Where the first character of chars is, in bytes, or -1.",
          .example = MCL(strings.index_any("hello", "ol")), .gives = MCL(2) },
        { .name = "golang/strings.join", .signature = "func(elems []str, sep str) str", .eval = join_all, .flags = BUILTIN_PURE,
          .doc = "The elements in one text, with sep between them.",
          .example = MCL(strings.join(["a", "b"], "-")), .gives = MCL("a-b") },
        { .name = "golang/strings.last_index", .signature = "func(s str, substr str) int",
          .eval = last_index, .flags = BUILTIN_PURE, .doc = "Where substr begins last, in bytes, or -1.",
          .example = MCL(strings.last_index("hello", "l")), .gives = MCL(3) },
        { .name = "golang/strings.last_index_any", .signature = "func(s str, chars str) int",
          .eval = last_index_any, .flags = BUILTIN_PURE, .doc = "Where the last character of chars is, in bytes, or -1.",
          .example = MCL(strings.last_index_any("hello", "le")), .gives = MCL(3) },
        { .name = "golang/strings.repeat", .signature = "func(s str, count int) str",
          .eval = repeat, .flags = BUILTIN_PURE, .doc = "s as often as count says.",
          .example = MCL(strings.repeat("ab", 3)), .gives = MCL("ababab") },
        { .name = "golang/strings.replace", .signature = "func(s str, old str, new str, n int) str",
          .eval = replace_some, .flags = BUILTIN_PURE, .doc = "s with new in place of old, at most n times unless n is negative.",
          .example = MCL(strings.replace("banana", "a", "o", 2)), .gives = MCL("bonona") },
        { .name = "golang/strings.replace_all", .signature = "func(s str, old str, new str) str",
          .eval = replace_all, .flags = BUILTIN_PURE, .doc = "s with new in place of each old.",
          .example = MCL(strings.replace_all("banana", "a", "o")), .gives = MCL("bonono") },
        { .name = "golang/strings.title", .signature = "func(s str) str", .eval = title, .flags = BUILTIN_PURE,
          .doc = "s with each word beginning in title case.",
          .example = MCL(strings.title("hello world")), .gives = MCL("Hello World") },
        { .name = "golang/strings.to_lower", .signature = "func(s str) str", .eval = to_lower, .flags = BUILTIN_PURE,
          .doc = "s in lower case.",
          .example = MCL(strings.to_lower("ÄBC")), .gives = MCL("äbc") },
        { .name = "golang/strings.to_title", .signature = "func(s str) str", .eval = to_title, .flags = BUILTIN_PURE,
          .doc = "s in title case, which is upper case but for a few letters.",
          .example = MCL(strings.to_title("ǆa")), .gives = MCL("ǅA") },
        { .name = "golang/strings.to_upper", .signature = "func(s str) str", .eval = to_upper, .flags = BUILTIN_PURE,
          .doc = "s in upper case.",
          .example = MCL(strings.to_upper("äbc")), .gives = MCL("ÄBC") },
        { .name = "golang/strings.to_valid_utf_8", .signature = "func(s str, replacement str) str", .eval = to_valid_utf8, .flags = BUILTIN_PURE,
          .doc = "s with the replacement for each run of bytes that are not UTF-8.",
          .example = MCL(strings.to_valid_utf_8("héllo", "?")), .gives = MCL("héllo") },
        { .name = "golang/strings.trim", .signature = "func(s str, cutset str) str",
          .eval = trim_both, .flags = BUILTIN_PURE, .doc = "s without the characters of cutset at both ends.",
          .example = MCL(strings.trim("--a--", "-")), .gives = MCL("a") },
        { .name = "golang/strings.trim_left", .signature = "func(s str, cutset str) str",
          .eval = trim_left, .flags = BUILTIN_PURE, .doc = "s without the characters of cutset at its beginning.",
          .example = MCL(strings.trim_left("--a--", "-")), .gives = MCL("a--") },
        { .name = "golang/strings.trim_prefix", .signature = "func(s str, prefix str) str",
          .eval = trim_prefix, .flags = BUILTIN_PURE, .doc = "s without the prefix, where it begins with it.",
          .example = MCL(strings.trim_prefix("--a--", "-")), .gives = MCL("-a--") },
        { .name = "golang/strings.trim_right", .signature = "func(s str, cutset str) str",
          .eval = trim_right, .flags = BUILTIN_PURE, .doc = "s without the characters of cutset at its end.",
          .example = MCL(strings.trim_right("--a--", "-")), .gives = MCL("--a") },
        { .name = "golang/strings.trim_space", .signature = "func(s str) str",
          .eval = trim_space, .flags = BUILTIN_PURE, .doc = "s without white space at both ends.",
          .example = MCL(strings.trim_space(" a b\n")), .gives = MCL("a b") },
        { .name = "golang/strings.trim_suffix", .signature = "func(s str, suffix str) str",
          .eval = trim_suffix, .flags = BUILTIN_PURE, .doc = "s without the suffix, where it ends with it.",
          .example = MCL(strings.trim_suffix("--a--", "-")), .gives = MCL("--a-") },
        { .name = "strings.contains", .signature = "func(s str, substr str) bool", .eval = contains, .flags = BUILTIN_PURE,
          .doc = "Whether substr is part of s.",
          .example = MCL(strings.contains("hello", "ell")), .gives = MCL(true) },
        { .name = "strings.has_prefix", .signature = "func(s str, prefix str) bool", .eval = has_prefix, .flags = BUILTIN_PURE,
          .doc = "Whether s begins with prefix.",
          .example = MCL(strings.has_prefix("hello", "he")), .gives = MCL(true) },
        { .name = "strings.has_suffix", .signature = "func(s str, suffix str) bool", .eval = has_suffix, .flags = BUILTIN_PURE,
          .doc = "Whether s ends with suffix.",
          .example = MCL(strings.has_suffix("hello", "lo")), .gives = MCL(true) },
        { .name = "strings.join_nonempty", .signature = "func(s []str, sep str) str", .eval = join_nonempty,
          .flags = BUILTIN_PURE, .doc = "The elements of s that are not empty in one text, with sep between them.",
          .example = MCL(strings.join_nonempty(["a", "", "b"], "-")), .gives = MCL("a-b") },
        { .name = "strings.left_pad", .signature = "func(s str, pad str, len int) str", .eval = left_pad, .flags = BUILTIN_PURE,
          .doc = "s with pad before it as often as needed to make it len bytes long.",
          .example = MCL(strings.left_pad("7", "0", 3)), .gives = MCL("007") },
        { .name = "strings.replace_all", .signature = "func(s str, old str, new str) str",
          .eval = replace_all, .flags = BUILTIN_PURE, .doc = "s with new in place of each old.",
          .example = MCL(strings.replace_all("banana", "a", "o")), .gives = MCL("bonono") },
        { .name = "strings.right_pad", .signature = "func(s str, pad str, len int) str", .eval = right_pad, .flags = BUILTIN_PURE,
          .doc = "s with pad after it as often as needed to make it len bytes long.",
          .example = MCL(strings.right_pad("7", ".", 3)), .gives = MCL("7..") },
        { .name = "strings.split", .signature = "func(a str, b str) []str", .eval = split, .flags = BUILTIN_PURE,
          .doc = "The parts of a between the separators b; its characters if b is empty.",
          .example = MCL(strings.split("a,b", ",")), .gives = MCL(["a", "b"]) },
        { .name = "strings.substr", .signature = "func(s str, low int, high int) str", .eval = substr, .flags = BUILTIN_PURE,
          .doc = "The bytes from low up to, without, high. That there are not so many can be caught.",
          .example = MCL(strings.substr("hello", 1, 3)), .gives = MCL("el") },
        { .name = "strings.to_lower", .signature = "func(a str) str", .eval = to_lower, .flags = BUILTIN_PURE,
          .doc = "a in lower case.",
          .example = MCL(strings.to_lower("ÄBC")), .gives = MCL("äbc") },
        { .name = "strings.to_upper", .signature = "func(a str) str", .eval = to_upper, .flags = BUILTIN_PURE,
          .doc = "a in upper case.",
          .example = MCL(strings.to_upper("äbc")), .gives = MCL("ÄBC") },
        { .name = "strings.trim_space", .signature = "func(a str) str", .eval = trim_space, .flags = BUILTIN_PURE,
          .doc = "a without white space at both ends.",
          .example = MCL(strings.trim_space(" a b\n")), .gives = MCL("a b") },
        {}
};
