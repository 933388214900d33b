/* SPDX-License-Identifier: GPL-3.0-or-later */

/* strings: bytewise work on texts. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static int give(StrBuf *b, Value *ret) {
        int r = b->failed ? -ENOMEM : value_str(ret, b->data ?: "", b->size);

        strbuf_done(b);
        return r;
}

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
        StrBuf b = {};
        bool first = true;

        for (uint32_t i = 0; i < args[0].l->n; i++) {
                const ValueStr *s = args[0].l->items[i].s;
                if (s->size == 0 && !keep_empty)
                        continue;
                if (!first)
                        strbuf_add(&b, args[1].s->data, args[1].s->size);
                strbuf_add(&b, s->data, s->size);
                first = false;
        }
        return give(&b, ret);
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
        return give(&b, ret);
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

const Builtin strings_builtins[] = {
        { .name = "golang/strings.has_prefix", .signature = "func(s str, prefix str) bool", .eval = has_prefix,
          .flags = BUILTIN_PURE, .doc = "Whether s begins with prefix." },
        { .name = "golang/strings.has_suffix", .signature = "func(s str, suffix str) bool", .eval = has_suffix,
          .flags = BUILTIN_PURE, .doc = "Whether s ends with suffix." },
        { .name = "golang/strings.join", .signature = "func(elems []str, sep str) str", .eval = join_all, .flags = BUILTIN_PURE,
          .doc = "The elements in one text, with sep between them." },
        { .name = "strings.contains", .signature = "func(s str, substr str) bool", .eval = contains, .flags = BUILTIN_PURE,
          .doc = "Whether substr is part of s." },
        { .name = "strings.has_prefix", .signature = "func(s str, prefix str) bool", .eval = has_prefix, .flags = BUILTIN_PURE,
          .doc = "Whether s begins with prefix." },
        { .name = "strings.has_suffix", .signature = "func(s str, suffix str) bool", .eval = has_suffix, .flags = BUILTIN_PURE,
          .doc = "Whether s ends with suffix." },
        { .name = "strings.join_nonempty", .signature = "func(s []str, sep str) str", .eval = join_nonempty,
          .flags = BUILTIN_PURE, .doc = "The elements that are not empty in one text, with sep between them." },
        { .name = "strings.left_pad", .signature = "func(s str, pad str, len int) str", .eval = left_pad, .flags = BUILTIN_PURE,
          .doc = "s with pad before it as often as needed to make it len bytes long." },
        { .name = "strings.right_pad", .signature = "func(s str, pad str, len int) str", .eval = right_pad, .flags = BUILTIN_PURE,
          .doc = "s with pad after it as often as needed to make it len bytes long." },
        { .name = "strings.substr", .signature = "func(s str, low int, high int) str", .eval = substr, .flags = BUILTIN_PURE,
          .doc = "The bytes from low up to, without, high. That there are not so many can be caught." },
        {}
};
