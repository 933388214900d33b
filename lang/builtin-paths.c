/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/path and golang/path/filepath, which are the same here: paths as texts. No file is looked at. */

#include <errno.h>
#include <string.h>

#include "common/paths.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "lang/builtins.h"

static int give_clean(const char *s, size_t size, Value *ret) {
        _cleanup_free_ char *text = malloc(size + 2);

        return text ? value_str(ret, text, path_clean(s, size, text)) : -ENOMEM;
}

static int eval_clean(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return give_clean(args[0].s->data, args[0].s->size, ret);
}

/* How much of the path stands before its last element. */
static size_t before_last(const char *s, size_t size) {
        while (size > 0 && s[size - 1] != '/')
                size--;
        return size;
}

static int eval_base(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *s = args[0].s->data;
        size_t size = args[0].s->size;

        if (size == 0)
                return value_strz(ret, ".");
        while (size > 0 && s[size - 1] == '/')
                size--;
        if (size == 0)
                return value_strz(ret, "/");
        size_t from = before_last(s, size);
        return value_str(ret, s + from, size - from);
}

static int eval_dir(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return give_clean(args[0].s->data, before_last(args[0].s->data, args[0].s->size), ret);
}

static int eval_ext(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *s = args[0].s->data;
        size_t size = args[0].s->size, from = before_last(s, size);
        const char *dot = memrchr(s + from, '.', size - from);

        return dot ? value_str(ret, dot, (size_t) (s + size - dot)) : value_strz(ret, "");
}

static int eval_is_abs(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = VALUE_BOOL(args[0].s->size > 0 && args[0].s->data[0] == '/');
        return 0;
}

static int eval_join(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        StrBuf b = {};

        VALUE_LIST_FOREACH(item, args[0].l) {
                const ValueStr *s = item->s;
                if (s->size > 0 && b.size > 0)
                        strbuf_putc(&b, '/');
                strbuf_add(&b, s->data, s->size);
        }
        int r = b.failed ? -ENOMEM : b.size == 0 ? value_strz(ret, "") : give_clean(b.data, b.size, ret);
        strbuf_done(&b);
        return r;
}

static int eval_same(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        *ret = value_ref(args[0]);
        return 0;
}

static int eval_volume(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return value_strz(ret, "");
}

static int eval_has_prefix(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        return builtin_find("strings.has_prefix")->eval(call, args, n, ret, reterr);
}

static int eval_is_local(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *s = args[0].s;
        _cleanup_free_ char *text = malloc((size_t) s->size + 2);

        if (!text)
                return -ENOMEM;
        size_t size = path_clean(s->data, s->size, text);
        *ret = VALUE_BOOL(s->size > 0 && text[0] != '/' && !(size == 2 && memcmp(text, "..", 2) == 0) &&
                          !(size > 2 && memcmp(text, "../", 3) == 0));
        return 0;
}

static bool is_valid(const ValueStr *s) {
        if (s->size == 1 && s->data[0] == '.')
                return true;
        if (!utf8_valid(s->data, s->size) || memchr(s->data, '\0', s->size))
                return false;
        for (size_t i = 0; i <= s->size;) {
                const char *slash = memchr(s->data + i, '/', s->size - i);
                size_t length = slash ? (size_t) (slash - s->data) - i : s->size - i;
                if (length == 0 || (length == 1 && s->data[i] == '.') ||
                    (length == 2 && s->data[i] == '.' && s->data[i + 1] == '.'))
                        return false;
                i += length + 1;
        }
        return true;
}

static int eval_localize(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        if (!is_valid(args[0].s))
                return diag_set(reterr, (Pos) {}, -EINVAL, "invalid path");
        *ret = value_ref(args[0]);
        return 0;
}

/* The way from one directory to a path: up to what they share, then down. */
static int eval_rel(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const ValueStr *from = args[0].s, *to = args[1].s;
        _cleanup_free_ char *base = malloc((size_t) from->size + 3), *target = malloc((size_t) to->size + 3);
        size_t shared = 0, i = 0;
        StrBuf b = {};

        if (!base || !target)
                return -ENOMEM;
        size_t base_size = path_clean(from->data, from->size, base), target_size = path_clean(to->data, to->size, target);
        if (base_size == 1 && base[0] == '.')
                base_size = 0;
        if (target_size == 1 && target[0] == '.' && base_size > 0 && base[0] != '/')
                target_size = 0;
        if (base_size == target_size && memcmp(base, target, base_size) == 0)
                return value_strz(ret, ".");
        bool possible = (base_size > 0 && base[0] == '/') == (target_size > 0 && target[0] == '/');

        base[base_size] = target[target_size] = '/';    /* each element ends with one */
        if (base_size == 1 && base[0] == '/')
                base_size = 0;
        if (target_size == 1 && target[0] == '/')
                target_size = 0;
        for (; i <= base_size && i <= target_size && base[i] == target[i]; i++)
                if (base[i] == '/')
                        shared = i + 1;
        if (base_size > 0 && shared <= base_size && base_size - shared >= 2 && memcmp(base + shared, "../", 3) == 0)
                possible = false;
        if (!possible)
                return diag_set(reterr, (Pos) {}, -EINVAL, "Rel: can't make %s relative to %s", value_cstr(args[1]),
                                value_cstr(args[0]));
        for (i = shared; base_size > 0 && i < base_size; i++)
                if (i == shared || base[i - 1] == '/')
                        strbuf_puts(&b, b.size > 0 ? "/.." : "..");
        if (target_size > 0 && shared < target_size) {
                if (b.size > 0)
                        strbuf_putc(&b, '/');
                strbuf_add(&b, target + shared, target_size - shared);
        }
        int r = b.failed ? -ENOMEM : value_str(ret, b.data ?: ".", b.data ? b.size : 1);
        strbuf_done(&b);
        return r;
}

/* ---- patterns ---- */

static size_t character(const char *s, const char *end, uint32_t *ret) {
        size_t n = utf8_decode(s, (size_t) (end - s), ret);

        if (n > 0)
                return n;
        *ret = 0xfffd;
        return 1;
}

/* One end of a range in brackets; NULL if the pattern is bad. */
static const char *range_end(const char *p, const char *end, uint32_t *ret) {
        if (p == end || *p == '-' || *p == ']')
                return NULL;
        if (*p == '\\' && ++p == end)
                return NULL;
        size_t n = utf8_decode(p, (size_t) (end - p), ret);
        p += n;
        return n > 0 && p < end ? p : NULL;
}

/* Reads one element of a pattern that is not a star: whether it takes c. NULL if the pattern is bad. */
static const char *element(const char *p, const char *end, uint32_t c, bool *ret) {
        uint32_t x;

        if (*p == '?') {
                *ret = c != '/';
                return p + 1;
        }
        if (*p != '[') {
                if (*p == '\\' && ++p == end)
                        return NULL;
                p += character(p, end, &x);
                *ret = x == c;
                return p;
        }
        p++;
        bool negated = p < end && *p == '^', found = false;
        p += negated;
        for (unsigned n = 0;; n++) {
                uint32_t low, high;
                if (p < end && *p == ']' && n > 0)
                        break;
                if (!(p = range_end(p, end, &low)))
                        return NULL;
                high = low;
                if (*p == '-' && !(p = range_end(p + 1, end, &high)))
                        return NULL;
                found = found || (low <= c && c <= high);
        }
        *ret = found != negated && c != '/';
        return p + 1;
}

/* Goes back to the last star only: what earlier ones could take, that one can. A slash ends what a star takes, and with it the way
 * back. The pattern is checked first, so that it is refused whatever the name is. */
static int eval_match(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *p = args[0].s->data, *end = p + args[0].s->size, *s = args[1].s->data, *s_end = s + args[1].s->size;
        const char *star = NULL, *star_s = NULL;
        bool takes;

        for (const char *c = p; c && c < end;)
                if (!(c = *c == '*' ? c + 1 : element(c, end, 'x', &takes)))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "syntax error in pattern");
        *ret = VALUE_BOOL(false);
        while (s < s_end || p < end) {
                if (p < end && *p == '*') {
                        star = ++p;
                        star_s = s;
                        continue;
                }
                if (p < end && s < s_end) {
                        uint32_t c;
                        size_t size = character(s, s_end, &c);
                        const char *next = element(p, end, c, &takes);
                        if (takes) {
                                p = next;
                                s += size;
                                continue;
                        }
                }
                if (!star || star_s == s_end || *star_s == '/')
                        return 0;
                p = star;
                s = ++star_s;
        }
        *ret = VALUE_BOOL(true);
        return 0;
}

#define IN(module, alias, title, signature_, eval_, doc_, args, gives_) \
        { .name = module "." title, .signature = signature_, .eval = eval_, .flags = BUILTIN_PURE, .doc = doc_, \
          .example = alias "." title "(" args ")", .gives = gives_ }
#define FILEPATH(...) IN("golang/path/filepath", "filepath", __VA_ARGS__)
#define BOTH(...) IN("golang/path", "path", __VA_ARGS__), FILEPATH(__VA_ARGS__)

const Builtin paths_builtins[] = {
        BOTH("base", "func(path str) str", eval_base, "The last element of the path.", MCL("/a/b.c"), MCL("b.c")),
        BOTH("clean", "func(path str) str", eval_clean, "The shortest path that means the same.",
             MCL("/a/./b/../c/"), MCL("/a/c")),
        BOTH("dir", "func(path str) str", eval_dir, "The path without its last element.", MCL("/a/b.c"), MCL("/a")),
        BOTH("ext", "func(path str) str", eval_ext, "The last element from its last dot on.", MCL("/a/b.tar.gz"), MCL(".gz")),
        BOTH("is_abs", "func(path str) bool", eval_is_abs, "Whether the path begins with a slash.", MCL("/a/b"), "true"),
        BOTH("join", "func(elem []str) str", eval_join, "The elements that are not empty as one clean path.",
             MCL(["/a", "b", "../c"]), MCL("/a/c")),
        BOTH("match", "func(pattern str, name str) bool", eval_match, "Whether a pattern as of the shell takes all of the name.",
             MCL("*.c", "a.c"), "true"),
        FILEPATH("from_slash", "func(path str) str", eval_same, "The path itself: a slash is a slash here.",
                 MCL("a/b"), MCL("a/b")),
        FILEPATH("has_prefix", "func(p str, prefix str) bool", eval_has_prefix, "Whether the text p begins with prefix.",
                 MCL("/a/b", "/a"), "true"),
        FILEPATH("is_local", "func(path str) bool", eval_is_local, "Whether the path stays below the directory it is used in.",
                 MCL("a/../../b"), "false"),
        FILEPATH("localize", "func(path str) str", eval_localize, "The path itself, if it has only plain names.",
                 MCL("a/b"), MCL("a/b")),
        FILEPATH("rel", "func(basepath str, targpath str) str", eval_rel, "The way from basepath to targpath.",
                 MCL("/a/b", "/a/c"), MCL("../c")),
        FILEPATH("to_slash", "func(path str) str", eval_same, "The path itself: a slash is a slash here.",
                 MCL("a/b"), MCL("a/b")),
        FILEPATH("volume_name", "func(path str) str", eval_volume, "Empty: only elsewhere do paths begin with a volume.",
                 MCL("/a"), MCL("")),
        BUILTIN_ASKED("golang/path/filepath.abs", "func(path str) str",
                      "The path made absolute and clean.",
                      MCL(filepath.abs("x/../y"))),
        BUILTIN_ASKED("golang/path/filepath.eval_symlinks", "func(path str) str",
                      "The path without symbolic links.",
                      MCL(filepath.eval_symlinks("/bin/sh"))),
        {}
};
