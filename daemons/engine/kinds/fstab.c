/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Both files have lines of words between blanks, and blanks inside of a word are written as octal numbers. */

#include "common/strbuf.h"
#include "daemons/engine/kinds/fstab.h"

enum { FSTAB_WORDS = 6, MOUNTINFO_WORDS = 24 };

void fstab_entry_done(FstabEntry *e) {
        free(e->device);
        free(e->point);
        free(e->type);
        free(e->options);
        *e = (FstabEntry) {};
}

static bool is_octal(char c) {
        return c >= '0' && c <= '7';
}

static void unescape(char *s) {
        char *to = s;

        for (const char *p = s; *p; p++)
                if (*p == '\\' && p[1] >= '0' && p[1] <= '3' && is_octal(p[2]) && is_octal(p[3])) {
                        *to++ = (char) ((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
                        p += 3;
                } else
                        *to++ = *p;
        *to = '\0';
}

static void escape(StrBuf *b, const char *s) {
        for (; *s; s++)
                if (strchr(" \t\n\\#", *s))
                        strbuf_printf(b, "\\%03o", (unsigned) (unsigned char) *s);
                else
                        strbuf_putc(b, *s);
}

/* Splits a line in place; returns how many words there are, of which at most max are kept. */
static size_t split(char *line, char **words, size_t max) {
        size_t n = 0;
        char *state = NULL;

        for (char *word = strtok_r(line, " \t\n", &state); word && n < max; word = strtok_r(NULL, " \t\n", &state)) {
                unescape(word);
                words[n++] = word;
        }
        return n;
}

static int small_number(const char *s) {
        return s[0] >= '0' && s[0] <= '9' && s[1] == '\0' ? s[0] - '0' : -1;
}

static int compare_words(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Options in another order are the same. */
static bool same_options(const char *a, const char *b) {
        _cleanup_free_ char *x = strdup(a), *y = strdup(b);
        char *words[2][64], *state = NULL;
        size_t n[2] = {};

        if (!x || !y)
                return false;
        for (char *w = strtok_r(x, ",", &state); w && n[0] < 64; w = strtok_r(NULL, ",", &state))
                words[0][n[0]++] = w;
        for (char *w = strtok_r(y, ",", &state); w && n[1] < 64; w = strtok_r(NULL, ",", &state))
                words[1][n[1]++] = w;
        if (n[0] != n[1])
                return false;
        qsort(words[0], n[0], sizeof(char *), compare_words);
        qsort(words[1], n[1], sizeof(char *), compare_words);
        for (size_t i = 0; i < n[0]; i++)
                if (!streq(words[0][i], words[1][i]))
                        return false;
        return true;
}

static bool is_entry(char *const *words, size_t n, const FstabEntry *e) {
        return n >= 4 && streq(words[0], e->device) && streq(words[2], e->type) && same_options(words[3], e->options) &&
               (n > 4 ? small_number(words[4]) : 0) == e->freq && (n > 5 ? small_number(words[5]) : 0) == e->passno;
}

static void put_entry(StrBuf *b, const FstabEntry *e) {
        escape(b, e->device);
        strbuf_putc(b, ' ');
        escape(b, e->point);
        strbuf_putc(b, ' ');
        escape(b, e->type);
        strbuf_putc(b, ' ');
        escape(b, e->options);
        strbuf_printf(b, " %d %d\n", e->freq, e->passno);
}

int fstab_edit(const char *text, const char *point, const FstabEntry *entry, char **ret) {
        _cleanup_(strbuf_done) StrBuf b = {};
        bool placed = false, changed = false;

        strbuf_puts(&b, "");
        for (const char *line = text; *line;) {
                size_t size = strcspn(line, "\n");
                _cleanup_free_ char *copy = strndup(line, size);
                char *words[FSTAB_WORDS];
                if (!copy)
                        return -ENOMEM;
                size_t n = split(copy, words, FSTAB_WORDS);
                bool ours = n >= 2 && words[0][0] != '#' && streq(words[1], point);
                if (!ours || (entry && !placed && is_entry(words, n, entry))) {
                        for (size_t i = 0; i < size; i++)
                                strbuf_putc(&b, line[i]);
                        strbuf_putc(&b, '\n');
                        placed = placed || ours;
                } else {
                        changed = true;
                        if (entry && !placed)
                                put_entry(&b, entry);
                        placed = true;
                }
                line += size + (line[size] == '\n');
        }
        if (entry && !placed) {
                changed = true;
                put_entry(&b, entry);
        }
        if (!changed)
                return 0;
        *ret = strbuf_take(&b);
        return *ret ? 1 : -ENOMEM;
}

/* "36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/root rw": after the sixth word there are any number up to the dash. */
static int read_mount(char *const *words, size_t n, FstabEntry *ret) {
        size_t dash = 6;

        while (dash < n && !streq(words[dash], "-"))
                dash++;
        if (dash + 2 >= n)
                return 0;
        fstab_entry_done(ret);
        *ret = (FstabEntry) {
                .device = strdup(words[dash + 2]),
                .point = strdup(words[4]),
                .type = strdup(words[dash + 1]),
                .options = strdup(words[5]),
        };
        return ret->device && ret->point && ret->type && ret->options ? 1 : -ENOMEM;
}

int mountinfo_find(const char *text, const char *point, FstabEntry *ret) {
        int found = 0;

        for (const char *line = text; *line;) {
                size_t size = strcspn(line, "\n");
                _cleanup_free_ char *copy = strndup(line, size);
                char *words[MOUNTINFO_WORDS];
                if (!copy)
                        return -ENOMEM;
                size_t n = split(copy, words, MOUNTINFO_WORDS);
                if (n > 6 && streq(words[4], point)) {
                        int r = read_mount(words, n, ret);
                        if (r < 0)
                                return r;
                        found = found || r;
                }
                line += size + (line[size] == '\n');
        }
        return found;
}
