/* SPDX-License-Identifier: GPL-3.0-or-later */

/* tftp:file: one name that clients of a tftp:server can ask for. A file is opened for each of them, so it may change at any time. */

#include <syslog.h>

#include "common/edge-rule.h"
#include "daemons/http/tftp-file.h"

typedef struct TftpFile {
        Resource resource;
        char *server;
        char *filename;
        char *path;
        Value data;
} TftpFile;

static const FieldSpec tftp_file_fields[] = {
        FIELD(TftpFile, server, FIELD_STR, 0, "Name of the tftp:server that serves it; empty: the one there is."),
        FIELD(TftpFile, filename, FIELD_STR, FIELD_IS_NAME, "What clients ask for, to the letter: 'x' is not '/x'."),
        FIELD(TftpFile, path, FIELD_STR, 0, "Absolute path of the file that they get."),
        FIELD(TftpFile, data, FIELD_VALUE, 0, "The content itself, where path is empty.", .mcl_type = "str", .initial = "\"\""),
        {}
};

bool tftp_file_is_called(const Resource *r, const char *filename) {
        return streq(((const TftpFile *) r)->filename, filename);
}

int tftp_file_open(const Resource *r, StaticContent *ret) {
        const TftpFile *f = (const TftpFile *) r;

        return *f->path ? static_content_open(ret, NULL, f->path, false) : static_content_from_value(ret, f->data, 0);
}

static int tftp_file_validate(const Resource *r, Diag *reterr) {
        const TftpFile *f = (const TftpFile *) r;

        if (*f->path && *f->path != '/')
                return resource_error(r, reterr, -EINVAL, "path must be absolute, got '%s'", f->path);
        if (endswith(f->path, "/"))
                return resource_error(r, reterr, -EINVAL, "path must be that of a file, got '%s'", f->path);
        if (*f->path && f->data.kind == TYPE_STR && f->data.s->size > 0)
                return resource_error(r, reterr, -EINVAL, "path and data exclude each other, got both");
        return 0;
}

static int tftp_file_prepare(Resource *r, Diag *reterr) {
        if (!r->parent)
                resource_log(r, LOG_WARNING, "there is no tftp:server '%s' in the graph, so nobody serves this",
                             ((const TftpFile *) r)->server);
        return 0;
}

static int tftp_file_check_apply(Resource *r, bool apply, Diag *reterr) {
        StaticContent content = STATIC_CONTENT_EMPTY;
        int k = tftp_file_open(r, &content);

        static_content_done(&content);
        return k < 0 ? resource_error(r, reterr, k, "path '%s' cannot be served: %m", ((const TftpFile *) r)->path) : CHECK_OK;
}

/* The file that is served comes first. */
static const EdgeRule tftp_file_edges[] = {
        { .domain = "file", .field = "path" },
        {}
};

const ResourceType tftp_file_type = {
        .kind = "tftp:file",
        .doc = "A file, or a text of the program, served by a tftp:server.",
        .example = "tftp:server \":69\" {}\n"
                   "tftp:file \"pxelinux.0\" {\n"
                   "\tpath => \"/usr/lib/PXELINUX/pxelinux.0\",\n"
                   "}\n",
        .size = sizeof(TftpFile),
        .fields = tftp_file_fields,
        .parent_field = "server",
        .parent_kind = "tftp:server",
        .validate = tftp_file_validate,
        .prepare = tftp_file_prepare,
        .check_apply = tftp_file_check_apply,
        .edges = tftp_file_edges,
};
