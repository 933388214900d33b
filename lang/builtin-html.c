/* SPDX-License-Identifier: GPL-3.0-or-later */

/* golang/html: texts for pages. */

#include <string.h>

#include "common/strbuf.h"
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
        int r = b.failed ? -ENOMEM : value_str(ret, b.data ?: "", b.size);
        strbuf_done(&b);
        return r;
}

const Builtin html_builtins[] = {
        { .name = "golang/html.escape_string", .signature = "func(s str) str", .eval = escape, .flags = BUILTIN_PURE,
          .doc = "s as text of a page: <, >, &, ' and \" stand for themselves." },
        {}
};
