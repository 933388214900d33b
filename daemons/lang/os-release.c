/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The file is made to be read by a shell: NAME=WORD, one a line, among comments. Of the shell nothing but its quoting is known. */

#include <ctype.h>

#include "common/strbuf.h"
#include "daemons/lang/os-release.h"

static const char *const release_keys[] = { "ID", "VARIANT_ID", "VERSION_ID" };
static const char *const release_names[] = { "id", "variant_id", "version_id" };

/* A word as the shell reads it: bare parts, "parts" with \\ before one of "$`\\, and 'parts'. What stands behind it is for the next
 * look; a quote that does not end, ends with the line. */
static void read_word(const char *s, StrBuf *out) {
        char quote = 0;

        for (; *s && *s != '\n'; s++) {
                if (quote ? *s == quote : *s == '"' || *s == '\'')
                        quote = quote ? 0 : *s;
                else if (!quote && isspace((unsigned char) *s))
                        break;
                else {
                        if (*s == '\\' && quote != '\'' && s[1] && s[1] != '\n' && (!quote || strchr("\"$`\\", s[1])))
                                s++;
                        strbuf_putc(out, *s);
                }
        }
}

static int read_release(const char *text, Value values[static 3]) {
        for (const char *line = text, *next; *line; line = next) {
                next = line + strcspn(line, "\n");
                next += *next == '\n';
                line += strspn(line, " \t");
                for (size_t i = 0; i < ELEMENTSOF(release_keys); i++) {
                        const char *word = startswith(line, release_keys[i]);
                        StrBuf b = {};

                        if (!word || *word != '=')
                                continue;
                        read_word(word + 1, &b);
                        value_done(&values[i]);
                        int r = value_str_take(&values[i], &b);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

int os_release_parse(const char *text, Value *ret) {
        Value values[ELEMENTSOF(release_keys)] = {};
        int r = read_release(text, values);

        for (size_t i = 0; i < ELEMENTSOF(values) && r >= 0; i++)
                if (values[i].kind == TYPE_NIL)
                        r = value_strz(&values[i], "");
        if (r >= 0)
                return value_struct(ret, release_names, values, ELEMENTSOF(values));
        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                value_done(&values[i]);
        return r;
}
