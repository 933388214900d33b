/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-upload.h. */

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "daemons/mgmtctl/remote-archive.h"
#include "daemons/mgmtctl/remote-libraries.h"
#include "daemons/mgmtctl/remote-upload.h"

enum {
        PIECE = 64 * 1024,
        CREDENTIAL_MAX = 1024 * 1024,
        LIBRARY_MAX = 256 * 1024 * 1024,
};

void remote_upload_done(RemoteUpload *u) {
        if (u->tail.data)
                explicit_bzero(u->tail.data, u->tail.size);     /* secrets are in it */
        strbuf_done(&u->head);
        strbuf_done(&u->tail);
        *u = (RemoteUpload) {};
}

/* Those of the host itself are preferred. */
static int add_credential(RemoteUpload *u, const char *directory, const char *host, const char *name, Diag *reterr) {
        _cleanup_free_ char *own = NULL, *common = NULL, *member = NULL, *content = NULL;
        size_t size;
        int r;

        if (asprintf(&own, "%s/%s/%s", directory, host, name) < 0)
                own = NULL;
        if (asprintf(&common, "%s/%s", directory, name) < 0)
                common = NULL;
        if (asprintf(&member, "credentials/%s", name) < 0)
                member = NULL;
        if (!own || !common || !member)
                return -ENOMEM;
        const char *path = access(own, F_OK) == 0 ? own : common;
        r = read_file_at(AT_FDCWD, path, CREDENTIAL_MAX, &content, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        archive_add(&u->tail, member, 0600, content, size);
        explicit_bzero(content, size);
        return 0;
}

int remote_upload_programs(RemoteUpload *u, const RemoteUploadSpec *spec, Diag *reterr) {
        static const char *const names[] = { "etcd.ca", "etcd.cert", "etcd.key", "etcd.password" };
        size_t shared = spec->programs ? spec->programs->size : 0;
        int r = 0;

        remote_upload_done(u);
        u->shared = spec->programs;
        for (size_t i = 0; r >= 0 && spec->credentials && i < ELEMENTSOF(names); i++)
                r = add_credential(u, spec->credentials, spec->host, names[i], reterr);
        if (spec->started)
                archive_add(&u->tail, "started", 0600, spec->started, strlen(spec->started));
        archive_end(&u->tail, shared);
        strbuf_printf(&u->head, "%zu %s\n", shared + u->tail.size, spec->what);
        return r < 0 ? r : u->head.failed || u->tail.failed ? -ENOMEM : 0;
}

static int add_library(StrBuf *archive, const RemoteLibraries *libraries, const char *name, Diag *reterr) {
        const char *path = remote_libraries_find(libraries, name);
        _cleanup_free_ char *content = NULL, *member = NULL;
        size_t size;
        int r;

        if (!path)
                return diag_set(reterr, (Pos) {}, -ENOENT, "it has no library '%.100s', which is not needed here", name);
        r = read_file_at(AT_FDCWD, path, LIBRARY_MAX, &content, &size);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "it has no library '%s', and '%s' cannot be read here: %m", name, path);
        if (asprintf(&member, "lib/%s", name) < 0) {
                member = NULL;
                return -ENOMEM;
        }
        archive_add(archive, member, 0700, content, size);
        return 0;
}

int remote_upload_libraries(RemoteUpload *u, const RemoteLibraries *libraries, const char *names, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf archive = {};
        _cleanup_free_ char *copy = strdup(names);
        char *rest = copy, *name;
        int r = copy ? 0 : -ENOMEM;

        remote_upload_done(u);
        while (r >= 0 && (name = strsep(&rest, " ")))
                if (*name)
                        r = add_library(&archive, libraries, name, reterr);
        archive_end(&archive, 0);
        strbuf_printf(&u->head, "%zu\n", archive.size);
        strbuf_add(&u->head, archive.data, archive.size);
        return r < 0 ? r : archive.failed || u->head.failed ? -ENOMEM : 0;
}

bool remote_upload_next(RemoteUpload *u, const char **ret, size_t *ret_size) {
        const StrBuf *parts[] = { &u->head, u->shared, &u->tail };
        size_t before = 0;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                size_t size = parts[i] ? parts[i]->size : 0;

                if (u->sent < before + size) {
                        *ret = parts[i]->data + (u->sent - before);
                        *ret_size = MIN(before + size - u->sent, (size_t) PIECE);
                        u->sent += *ret_size;
                        return true;
                }
                before += size;
        }
        return false;
}
