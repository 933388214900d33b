/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The file is small, written at each change and not flushed: it survives the daemon, not a power cut. */

#include <fcntl.h>
#include <inttypes.h>

#include "common/io.h"
#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/http/ui-memory.h"
#include "daemons/http/ui-type.h"

enum { FILE_MAX = 8 * 1024 * 1024 };

static void forget_recent(UiMemory *m, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(m->recent[i].value);
        m->n_recent -= n;
        memmove(m->recent, m->recent + n, m->n_recent * sizeof(m->recent[0]));
}

void ui_memory_done(UiMemory *m) {
        forget_recent(m, m->n_recent);
        free(m->declared);
        free(m->value);
        free(m->applied);
        *m = (UiMemory) {};
}

/* ---- the file: a line for each text, a word that says which, and the text with escapes ---- */

static const char *const words[] = { "declared", "value", "applied" };

static char **text_of(UiMemory *m, size_t i) {
        char **const texts[] = { &m->declared, &m->value, &m->applied };

        return texts[i];
}

/* *ret NULL: it is none. */
static int take_text(const char *s, char **ret) {
        size_t size = strcspn(s, "\n");
        char *text = malloc(size + 1);

        *ret = NULL;
        if (!text)
                return -ENOMEM;
        if (ui_query_decode(s, size, text, size + 1))
                *ret = text;
        else
                free(text);
        return 0;
}

static int take_recent(UiMemory *m, const char *s) {
        uint64_t usec;
        char *end, *value;
        int r;

        errno = 0;
        usec = strtoull(s, &end, 10);
        if (errno != 0 || end == s || *end != ' ' || m->n_recent == UI_RECENT_MAX)
                return 0;
        r = take_text(end + 1, &value);
        if (r < 0 || !value)
                return r;
        m->recent[m->n_recent].value = value;
        m->recent[m->n_recent++].usec = usec;
        return 0;
}

static int take_line(UiMemory *m, const char *line) {
        const char *rest = startswith(line, "recent ");

        if (rest)
                return take_recent(m, rest);
        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                rest = startswith(line, words[i]);
                if (rest && *rest == ' ' && !*text_of(m, i))
                        return take_text(rest + 1, text_of(m, i));
        }
        return 0;
}

int ui_memory_load(UiMemory *ret, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        *ret = (UiMemory) {};
        r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (const char *line = text; line && r >= 0; line = strchr(line, '\n')) {
                line += *line == '\n';
                r = take_line(ret, line);
        }
        if (r < 0)
                ui_memory_done(ret);
        return r;
}

static void put_text(StrBuf *b, const char *s) {
        for (; *s; s++)
                if ((*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z') || strchr(" -./:_", *s))
                        strbuf_putc(b, *s);
                else
                        strbuf_printf(b, "%%%02x", (unsigned char) *s);
        strbuf_putc(b, '\n');
}

int ui_memory_save(const UiMemory *m, const char *path) {
        _cleanup_(strbuf_done) StrBuf b = {};

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                const char *text = *text_of((UiMemory *) m, i);

                if (!text)
                        continue;
                strbuf_printf(&b, "%s ", words[i]);
                put_text(&b, text);
        }
        for (size_t i = 0; i < m->n_recent; i++) {
                strbuf_printf(&b, "recent %" PRIu64 " ", m->recent[i].usec);
                put_text(&b, m->recent[i].value);
        }
        return b.failed ? -ENOMEM : write_file_atomic_at(AT_FDCWD, path, b.data ?: "", b.size, 0600, false);
}

/* ---- what happens ---- */

static void forget_old(UiMemory *m, uint64_t now_usec) {
        size_t n = 0;

        while (n < m->n_recent && m->recent[n].usec + UI_ECHO_USEC < now_usec)
                n++;
        forget_recent(m, n);
}

static int replace(char **at, const char *value) {
        char *copy = strdup(value);

        if (!copy)
                return -ENOMEM;
        free(*at);
        *at = copy;
        return 0;
}

int ui_memory_accept(UiMemory *m, const char *value, uint64_t now_usec) {
        char *copy = strdup(value);
        int r = copy ? replace(&m->value, value) : -ENOMEM;

        if (r < 0) {
                free(copy);
                return r;
        }
        forget_old(m, now_usec);
        if (m->n_recent == UI_RECENT_MAX)
                forget_recent(m, 1);
        m->recent[m->n_recent].value = copy;
        m->recent[m->n_recent++].usec = now_usec;
        return 0;
}

/* How many of the recent ones an echo of this value takes with it; 0: it is none. Among equals the oldest comes back first. */
static size_t find_echo(const UiMemory *m, const char *value) {
        for (size_t i = 0; i < m->n_recent; i++)
                if (streq(m->recent[i].value, value))
                        return i + 1;
        return 0;
}

int ui_memory_declare(UiMemory *m, const char *value, uint64_t now_usec) {
        bool is_new = !m->declared || !streq(m->declared, value);
        size_t echo;

        if (!is_new)
                return 0;
        if (replace(&m->declared, value) < 0)
                return -ENOMEM;
        forget_old(m, now_usec);
        echo = find_echo(m, value);
        if (echo > 0) {
                forget_recent(m, echo);
                return 0;
        }
        forget_recent(m, m->n_recent);
        return replace(&m->value, value);
}

int ui_memory_apply(UiMemory *m, const char *value) {
        if (value)
                return replace(&m->applied, value);
        free(TAKE_PTR(m->applied));
        return 0;
}

bool ui_memory_is_recent(const UiMemory *m, uint64_t now_usec) {
        return m->n_recent > 0 && m->recent[m->n_recent - 1].usec + UI_ECHO_USEC >= now_usec;
}

bool ui_memory_is_applied(const UiMemory *m) {
        return streq_ptr(m->value, m->applied);
}
