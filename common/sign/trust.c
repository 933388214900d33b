/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <fcntl.h>

#include "common/io.h"
#include "common/sign/trust.h"

enum { FILE_MAX = 1024 * 1024 };

static int add_line(Trust *t, const char *line, Diag *reterr) {
        SshPublicKey *grown;
        int r;

        line += strspn(line, " \t");
        if (!*line || *line == '#' || *line == '\r')
                return 0;
        grown = reallocarray(t->keys, t->n + 1, sizeof(*t->keys));
        if (!grown)
                return -ENOMEM;
        t->keys = grown;
        r = ssh_public_key_parse(line, &t->keys[t->n], NULL, reterr);
        t->n += r >= 0;
        return r;
}

int trust_read(Trust *ret, const char *path, Diag *reterr) {
        _cleanup_(trust_done) Trust t = {};
        _cleanup_free_ char *text = NULL;
        size_t size;
        uint32_t n = 0;
        int r;

        r = read_file_at(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? r : diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        for (char *line = text, *next; line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                n++;
                r = add_line(&t, line, reterr);
                if (r < 0) {
                        diag_place(reterr, (Pos) { .file = path, .line = n, .column = 1 });
                        return r;
                }
        }
        *ret = t;
        t = (Trust) {};
        return 0;
}

bool trust_has(const Trust *t, const SshPublicKey *k) {
        for (size_t i = 0; i < t->n; i++)
                if (memcmp(t->keys[i].bytes, k->bytes, sizeof(k->bytes)) == 0)
                        return true;
        return false;
}

void trust_done(Trust *t) {
        free(t->keys);
        *t = (Trust) {};
}
