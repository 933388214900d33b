/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an editor asks, of any text and everywhere in it: the text itself, and one that was compiled when a line of it looked
 * otherwise. */

#include <stdint.h>

#include "lang/query.h"
#include "tests/lang/mock-host.h"

enum { PLACES_MAX = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Text {
        char *text;
        size_t size;
} Text;

static int read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        const Text *t = userdata;

        if (!streq(path, "/main.mcl"))
                return -ENOENT;
        *ret = malloc(t->size + 1);
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, t->text, t->size + 1);
        *ret_size = t->size;
        return 0;
}

static Lang *compile(Text *t) {
        const LangHost host = { .userdata = t, .schema = mock_schema(), .hostname = "tester", .read_file = read_file };
        Diags errors = {};
        Lang *l = NULL;

        (void) lang_compile(&l, &host, &(LangOptions) { .entry = "/main.mcl", .keep = true }, &errors);
        diags_done(&errors);
        return l;
}

static int add(void *userdata, const QueryItem *item) {
        size_t *n = userdata;

        if (!item->name)
                abort();
        *n += strlen(item->name);
        return 0;
}

static void ask(Lang *l, const Text *t) {
        QueryPlace at = { .file = "/main.mcl", .text = t->text, .size = t->size, .line = 1, .column = 1 };
        size_t step = t->size / PLACES_MAX + 1, first = t->size > 0 ? (unsigned char) t->text[t->size - 1] : 0, sum = 0;

        for (size_t i = 0; i <= t->size; i++) {
                if (i % step == first % step || i == t->size) {
                        QueryItem item;
                        Pos pos;
                        uint32_t column;

                        if (query_at(l, &at, &item, &pos) > 0 && (!item.name || pos.line == 0))
                                abort();
                        if (query_complete(l, &at, add, &sum, &column) >= 0 && column > at.column)
                                abort();
                }
                if (i < t->size && t->text[i] == '\n') {
                        at.line++;
                        at.column = 1;
                } else
                        at.column++;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Text t = { malloc(size + 1), size };

        if (!t.text)
                return 0;
        memcpy(t.text, data, size);
        t.text[size] = '\0';
        _cleanup_(lang_freep) Lang *now = compile(&t);
        if (now)
                ask(now, &t);

        /* Without what stands between the first two newlines. */
        _cleanup_free_ char *before = malloc(size + 1);
        char *from = memchr(t.text, '\n', size), *to = from ? strchr(from + 1, '\n') : NULL;
        if (before && to) {
                memcpy(before, t.text, size + 1);
                memset(before + (from - t.text), ' ', (size_t) (to - from));
                _cleanup_(lang_freep) Lang *then = compile(&(Text) { before, size });
                if (then)
                        ask(then, &t);
        }
        free(t.text);
        return 0;
}
