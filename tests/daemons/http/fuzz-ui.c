/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes, up to a line feed, as the type of an input; the rest as its value, and as every other text of a page. Whatever they are,
 * they are not markup: the page has as many tags and attributes as the one with harmless texts, and what scripts are told is JSON that
 * says the same. */

#include <json-c/json.h>
#include <stdint.h>

#include "common/utf8.h"
#include "daemons/http/markup.h"
#include "daemons/http/ui-page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition) \
        do { \
                if (!(condition)) \
                        abort(); \
        } while (0)

static char *text_of(const uint8_t *data, size_t size) {
        char *s = malloc(size + 1);

        MUST(s);
        memcpy(s, data, size);
        s[size] = 0;
        return s;
}

static void count(const char *page, size_t ret[static 3]) {
        memset(ret, 0, 3 * sizeof(*ret));
        for (; *page; page++) {
                ret[0] += *page == '<';
                ret[1] += *page == '>';
                ret[2] += *page == '"';
        }
}

static char *render(const UiType *type, const char *text, const char *value) {
        UiField f = { .id = text, .label = text, .unit = text, .help = text, .sort = text, .type = *type, .value = value,
                      .typed = value, .objection = text, .error = text };
        const UiField *fields[] = { &f };
        UiPage p = { .title = text, .head = "", .hostname = text, .version = text, .style = text, .script = text, .fields = fields,
                     .n_fields = 1 };
        StrBuf b = {};

        ui_page_render(&b, &p);
        return strbuf_take(&b);
}

static void check_json(const char *text) {
        StrBuf b = {};

        markup_json(&b, text);
        MUST(!strpbrk(b.data, "<>&\n"));
        struct json_object *j = json_tokener_parse(b.data);
        MUST(json_object_is_type(j, json_type_string));
        MUST(!utf8_valid(text, strlen(text)) || streq(json_object_get_string(j), text));
        json_object_put(j);
        strbuf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static char *const options[] = { (char *) "one", (char *) "two", NULL };
        const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t first = line ? (size_t) (line - data) : size;
        _cleanup_free_ char *type_text = text_of(data, first), *rest = text_of(data + first + !!line, size - first - !!line);
        _cleanup_free_ char *value = NULL, *again = NULL, *page = NULL, *plain = NULL;
        size_t got[3], want[3];
        UiType type;

        check_json(rest);
        if (ui_type_parse(&type, type_text, options, NULL) < 0)
                return 0;
        if (ui_type_accept(&type, (const char *) data + first + !!line, size - first - !!line, &value, NULL) >= 0) {
                /* what was accepted is accepted as it is */
                MUST(utf8_valid(value, strlen(value)));
                MUST(ui_type_accept(&type, value, strlen(value), &again, NULL) >= 0 && streq(again, value));
        }
        if (strlen(rest) == 0)
                return 0;
        page = render(&type, rest, rest);
        /* a value that is no option is one more, to be seen */
        plain = render(&type, "x", streq(rest, "one") || streq(rest, "two") ? "one" : "x");
        MUST(page && plain);
        count(page, got);
        count(plain, want);
        MUST(memcmp(got, want, sizeof(got)) == 0);
        return 0;
}
