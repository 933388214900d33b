/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-target.h. */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/mgmtctl/remote-target.h"

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
static bool is_word(const char *s, const char *more) {
        for (const char *c = s; *c; c++) {
                bool alphanumeric = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');

                if (!alphanumeric && !strchr(more, *c))
                        return false;
        }
        return s[0] && s[0] != '-';
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
static int parse_host(RemoteTarget *t, const char *text, Diag *reterr) {
        const char *port = NULL, *last = strrchr(text, ':');
        bool brackets = text[0] == '[';
        const char *end = brackets ? strchr(text, ']') : NULL;

        if (brackets && (!end || (end[1] && end[1] != ':')))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no host, expected '[ADDRESS]:PORT'", text);
        if (brackets)
                port = end[1] ? end + 2 : NULL;
        else if (last && strchr(text, ':') == last)
                port = last + 1;
        t->host = brackets ? strndup(text + 1, (size_t) (end - text - 1)) : port ? strndup(text, (size_t) (last - text)) : strdup(text);
        if (!t->host)
                return -ENOMEM;
        if (port && parse_port(port, &t->port) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no port", port);
        if (!is_word(t->host, "._-:%"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no host, expected '[NAME=][USER@]HOST[:PORT]'", text);
        return 0;
}

static int parse_target(RemoteTarget *t, const char *text, Diag *reterr) {
        size_t n = strcspn(text, "=");
        const char *rest = text;

        if (text[n]) {
                t->name = strndup(text, n);
                if (!t->name)
                        return -ENOMEM;
                if (!is_word(t->name, "._-"))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' cannot be the name of a host", t->name);
                rest += n + 1;
        }
        rest = startswith(rest, "ssh://") ?: rest;
        const char *at = strrchr(rest, '@');
        if (at) {
                t->user = strndup(rest, (size_t) (at - rest));
                if (!t->user)
                        return -ENOMEM;
                if (strchr(t->user, ':'))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "passwords are not taken, log in by a key");
                if (!is_word(t->user, "._-$+"))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no user", t->user);
                rest = at + 1;
        }
        t->label = strdup(t->name ?: rest);
        return t->label ? parse_host(t, rest, reterr) : -ENOMEM;
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
