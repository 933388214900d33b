/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See target.h. */

#include <fcntl.h>

#include "common/io.h"
#include "common/remote/target.h"
#include "common/strbuf.h"

enum { FILE_MAX = 1024 * 1024 };

static void target_done(RemoteTarget *t) {
        free(t->label);
        free(t->name);
        free(t->user);
        free(t->host);
        *t = (RemoteTarget) {};
}

void remote_targets_done(RemoteTargets *t) {
        for (size_t i = 0; i < t->n; i++)
                target_done(&t->items[i]);
        free(t->items);
        *t = (RemoteTargets) {};
}

/* Letters, digits, and some more; as these become parts of commands and URLs, nothing else. */
static bool is_word(const char *s, size_t n, const char *more) {
        for (size_t i = 0; i < n; i++) {
                char c = s[i];
                bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

                if (!alphanumeric && !strchr(more, c))
                        return false;
        }
        return n > 0 && s[0] != '-';
}

static int parse_port(const char *text, unsigned *ret) {
        char *end;

        errno = 0;
        unsigned long port = strtoul(text, &end, 10);
        if (errno != 0 || *end || text[0] < '0' || text[0] > '9' || port == 0 || port > 65535)
                return -EINVAL;
        *ret = (unsigned) port;
        return 0;
}

/* HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT; an address of IPv6 alone may do without brackets. */
static int parse_host(RemoteAddress *a, const char *text, Diag *reterr) {
        const char *port = NULL, *last = strrchr(text, ':');
        bool brackets = text[0] == '[';
        const char *end = brackets ? strchr(text, ']') : NULL;

        if (brackets && (!end || (end[1] && end[1] != ':')))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no host, expected '[ADDRESS]:PORT'", text);
        if (brackets)
                port = end[1] ? end + 2 : NULL;
        else if (last && strchr(text, ':') == last)
                port = last + 1;
        a->host = text + brackets;
        a->host_size = brackets ? (size_t) (end - text - 1) : port ? (size_t) (last - text) : strlen(text);
        if (port && parse_port(port, &a->port) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no port", port);
        if (!is_word(a->host, a->host_size, "._-:%"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no host, expected '[USER@]HOST[:PORT]'", text);
        return 0;
}

/* Whatever is wrong, a password is not told. */
int remote_address_parse(RemoteAddress *ret, const char *url, Diag *reterr) {
        size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
        const char *rest = startswith(url, "ssh://") ?: url, *at = strrchr(rest, '@');

        *ret = (RemoteAddress) {};
        if (startswith(url + n, "://") && !startswith(url, "ssh://"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "the scheme must be 'ssh', got '%.*s'", (int) n, url);
        if (at) {
                const char *colon = memchr(rest, ':', (size_t) (at - rest));

                ret->user = rest;
                ret->user_size = (size_t) ((colon ?: at) - rest);
                if (!is_word(rest, ret->user_size, "._-$+"))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "'%.*s' is no user", (int) ret->user_size, rest);
                if (colon) {
                        ret->password = colon + 1;
                        ret->password_size = (size_t) (at - colon - 1);
                }
                rest = at + 1;
        }
        return parse_host(ret, rest, reterr);
}

/* "%40" is "@". */
static char next_char(const char **text, size_t *size) {
        int high = **text == '%' && *size > 2 ? hex_digit((*text)[1]) : -1, low = high >= 0 ? hex_digit((*text)[2]) : -1;
        char c = low >= 0 ? (char) (high << 4 | low) : **text;
        size_t n = low >= 0 ? 3 : 1;

        *text += n;
        *size -= n;
        return c;
}

int remote_address_password(const RemoteAddress *a, char **ret) {
        const char *text = a->password;
        size_t size = a->password_size, n = 0;
        char *to = malloc(size + 1);

        if (!to)
                return -ENOMEM;
        while (size > 0)
                to[n++] = next_char(&text, &size);
        to[n] = '\0';
        *ret = to;
        return 0;
}

static bool same_text(const char *a, size_t a_size, const char *b, size_t b_size) {
        return a && b ? a_size == b_size && memcmp(a, b, a_size) == 0 : a == b;
}

static bool same_password(const RemoteAddress *a, const RemoteAddress *b) {
        const char *x = a->password, *y = b->password;
        size_t n = a->password_size, m = b->password_size;

        if (!x || !y)
                return x == y;
        while (n > 0 && m > 0)
                if (next_char(&x, &n) != next_char(&y, &m))
                        return false;
        return n == 0 && m == 0;
}

bool remote_address_equal(const RemoteAddress *a, const RemoteAddress *b) {
        return same_text(a->host, a->host_size, b->host, b->host_size) && same_text(a->user, a->user_size, b->user, b->user_size) &&
                a->port == b->port && same_password(a, b);
}

bool remote_name_is_valid(const char *name) {
        return is_word(name, strlen(name), "._-");
}

static int parse_target(RemoteTarget *t, const char *text, Diag *reterr) {
        size_t n = strcspn(text, "=");
        const char *rest = text;
        RemoteAddress a;
        int r;

        if (text[n]) {
                t->name = strndup(text, n);
                if (!t->name)
                        return -ENOMEM;
                if (!remote_name_is_valid(t->name))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' cannot be the name of a host", t->name);
                rest += n + 1;
        }
        r = remote_address_parse(&a, rest, reterr);
        if (r < 0)
                return r;
        if (a.password)
                return diag_set(reterr, (Pos) {}, -EINVAL, "passwords are not taken, log in by a key");
        t->user = a.user ? strndup(a.user, a.user_size) : NULL;
        t->host = strndup(a.host, a.host_size);
        t->port = a.port;
        /* As it was written, with the port. */
        t->label = strdup(t->name ?: a.host - (a.host > text && a.host[-1] == '['));
        return t->host && t->label && (!a.user || t->user) ? 0 : -ENOMEM;
}

static int add_target(RemoteTargets *targets, const char *text, Diag *reterr) {
        RemoteTarget t = {};
        int r = parse_target(&t, text, reterr);

        for (size_t i = 0; r >= 0 && i < targets->n; i++)
                if (streq(targets->items[i].label, t.label))
                        r = diag_set(reterr, (Pos) {}, -EEXIST, "'%s' is named twice", t.label);
        if (r >= 0 && targets->n >= REMOTE_TARGETS_MAX)
                r = diag_set(reterr, (Pos) {}, -E2BIG, "there are more than %d hosts", REMOTE_TARGETS_MAX);
        if (r >= 0)
                r = GROW(targets->items, targets->n, targets->capacity);
        if (r < 0) {
                target_done(&t);
                return r;
        }
        targets->items[targets->n++] = t;
        return 0;
}

static int add_file(RemoteTargets *targets, const char *path, Diag *reterr) {
        _cleanup_free_ char *content = NULL;
        unsigned line_number = 0;
        size_t size;
        char *rest, *line;
        int r = read_file_at(AT_FDCWD, path, FILE_MAX, &content, &size);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        for (rest = content; r >= 0 && (line = strsep(&rest, "\n"));) {
                line_number++;
                line[strcspn(line, "#")] = '\0';
                line += strspn(line, " \t\r");
                char *end = line + strcspn(line, " \t\r");
                if (end[strspn(end, " \t\r")])
                        r = diag_set(reterr, (Pos) {}, -EINVAL, "there is one host a line, got '%s'", line);
                *end = '\0';
                if (r >= 0 && *line)
                        r = add_target(targets, line, reterr);
        }
        if (r < 0 && reterr)
                diag_place(reterr, (Pos) { path, line_number, 1, line_number, 1 });
        return r;
}

int remote_targets_parse(RemoteTargets *ret, const char *text, Diag *reterr) {
        _cleanup_(remote_targets_done) RemoteTargets targets = {};
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *word;
        int r = copy ? 0 : -ENOMEM;

        while (r >= 0 && (word = strsep(&rest, ","))) {
                if (*word == '@')
                        r = add_file(&targets, word + 1, reterr);
                else
                        r = add_target(&targets, word, reterr);
        }
        if (r >= 0 && targets.n == 0)
                r = diag_set(reterr, (Pos) {}, -EINVAL, "'%s' names no host", text);
        if (r < 0)
                return r;
        *ret = targets;
        targets = (RemoteTargets) {};
        return 0;
}
