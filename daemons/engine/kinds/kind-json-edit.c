/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Values in a JSON document: those of the edits, and no others, are as the program says. The document is written again only if one
 * of them is different; it then is in a form of its own (sorted, a tab for each level). An attempt reads, edits and writes without
 * going back to the loop, so several resources can edit one document. */

#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/kinds/json-edit.h"
#include "daemons/engine/local-host.h"

enum { DOCUMENT_MAX = 4 * 1024 * 1024 };

typedef struct JsonEdits {
        Resource resource;
        char *store, **edits;

        char *path;
        PathWatch *watch;
} JsonEdits;

static const FieldSpec json_edit_fields[] = {
        FIELD(JsonEdits, store, FIELD_STR, FIELD_IS_NAME, "The document: an absolute path, or 'file:///' and the rest of one. It has to be there."),
        FIELD(JsonEdits, edits, FIELD_STRV, FIELD_REQUIRED,
              "What is done to it, in order: '.path.to.key = VALUE', where VALUE is JSON, or 'del(.path.to.key)'. A key that is no word stands "
              "in brackets: '.[\"a key\"]'. Objects on the way are made."),
        {}
};

/* ---- the store ---- */

/* %2F and the like. Returns NULL if it is not well-formed, or hides the end of a text. */
static char *percent_decode(const char *s) {
        char *text = malloc(strlen(s) + 1), *to = text;

        for (; text && *s; s++) {
                if (*s != '%') {
                        *to++ = *s;
                        continue;
                }
                int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
                if (low < 0 || (high | low) == 0) {
                        free(text);
                        return NULL;
                }
                *to++ = (char) (high << 4 | low);
                s += 2;
        }
        if (text)
                *to = '\0';
        return text;
}

static int bad_store(const JsonEdits *j, const char *what, Diag *reterr) {
        return resource_error(&j->resource, reterr, -EINVAL, "store %s, got '%s'", what, j->store);
}

static int find_path(const JsonEdits *j, char **ret, Diag *reterr) {
        const char *store = j->store, *path = startswith(store, "file:");
        _cleanup_free_ char *decoded = NULL;

        if (startswith(store, "etcd:"))
                return bad_store(j, "must be a file; a key of the cluster is a matter of the kind kv", reterr);
        if (path && strpbrk(path, "?#"))
                return bad_store(j, "must have neither query nor fragment", reterr);
        if (path && startswith(path, "//"))
                path += 2;
        if (path && *path != '/')
                return bad_store(j, "must be of this host: 'file:///' and a path", reterr);
        if (!path && *store != '/')
                return bad_store(j, "must be an absolute path, or 'file:///' and the rest of one", reterr);
        decoded = path ? percent_decode(path) : strdup(store);
        if (!decoded)
                return path ? bad_store(j, "has a '%' that two hexadecimal digits do not follow", reterr) : -ENOMEM;
        if (endswith(decoded, "/"))
                return bad_store(j, "must not end in a slash", reterr);
        *ret = TAKE_PTR(decoded);
        return 0;
}

/* ---- the edits ---- */

static int parse_edit(const JsonEdits *j, Arena *a, const char *text, JsonEdit *ret, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        int r = json_edit_parse(a, text, ret, &diag);

        if (r < 0)
                return resource_error(&j->resource, reterr, r, "edits: '%s': %s", text, diag.message ? diag.message : "out of memory");
        return 0;
}

static int json_edit_validate(const Resource *r, Diag *reterr) {
        _cleanup_(arena_freep) Arena *a = arena_new(JSON_DOCUMENT_MEMORY_MAX);
        const JsonEdits *j = (const JsonEdits *) r;
        _cleanup_free_ char *path = NULL;
        JsonEdit edit;
        int k;

        if (!a)
                return -ENOMEM;
        if (!j->edits)
                return resource_error(r, reterr, -EINVAL, "edits must be one or more");
        k = find_path(j, &path, reterr);
        for (char **text = j->edits; k >= 0 && *text; text++)
                k = parse_edit(j, a, *text, &edit, reterr);
        return k;
}

static int apply_edits(const JsonEdits *j, Arena *a, JsonNode *root, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        JsonEdit edit;
        int r = 0;

        for (char **text = j->edits; r >= 0 && *text; text++) {
                r = parse_edit(j, a, *text, &edit, reterr);
                if (r < 0)
                        return r;
                r = json_edit_apply(a, root, &edit, &diag);
                if (r < 0)
                        (void) resource_error(&j->resource, reterr, r, "edits: '%s': %s", *text,
                                              diag.message ? diag.message : "out of memory");
        }
        return r;
}

/* ---- the document ---- */

static int parse_document(const JsonEdits *j, Arena *a, const FileText *file, JsonNode **ret, Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        r = json_document_parse(a, file->text.data ? file->text.data : "", file->text.size, ret, &diag);
        if (r < 0)
                return resource_error(&j->resource, reterr, r, "'%s' is no JSON: %s", j->path,
                                      diag.message ? diag.message : "out of memory");
        if ((*ret)->kind != JSON_OBJECT)
                return resource_error(&j->resource, reterr, -EINVAL, "what is in '%s' is no object", j->path);
        return 0;
}

/* Both forms as they would be written: what comes to the same is not written. */
static int edit_document(const JsonEdits *j, const FileText *file, StrBuf *before, StrBuf *after, Diag *reterr) {
        _cleanup_(arena_freep) Arena *a = arena_new(JSON_DOCUMENT_MEMORY_MAX);
        JsonNode *root;
        int r;

        if (!a)
                return -ENOMEM;
        r = parse_document(j, a, file, &root, reterr);
        if (r < 0)
                return r;
        json_document_print(before, root);
        r = apply_edits(j, a, root, reterr);
        if (r < 0)
                return r;
        json_document_print(after, root);
        strbuf_putc(before, '\n');
        strbuf_putc(after, '\n');
        if (before->failed || after->failed)
                return resource_error(&j->resource, reterr, -EFBIG, "'%s' would become too long", j->path);
        return 0;
}

static int json_edit_check_apply(Resource *r, bool apply, Diag *reterr) {
        _cleanup_(file_text_done) FileText file = FILE_TEXT_INIT;
        _cleanup_(strbuf_done) StrBuf before = {}, after = {};
        const JsonEdits *j = (const JsonEdits *) r;
        int k;

        k = file_text_read(&file, r, j->path, DOCUMENT_MAX, false, reterr);
        if (k < 0)
                return k;
        if (file.have.fd < 0)
                return resource_error(r, reterr, -ENOENT, "'%s' is not there: a document is edited, not made", j->path);
        k = edit_document(j, &file, &before, &after, reterr);
        if (k < 0)
                return k;
        if (before.size == after.size && memcmp(before.data, after.data, after.size) == 0)
                return CHECK_OK;
        const FileContent wanted = { .data = after.data, .size = after.size, .fd = -EBADF };
        file_content_differs(r, file.have.fd, file.have.size, &wanted);
        k = apply ? file_text_write(&file, r, j->path, after.data, after.size, reterr) : 0;
        return k < 0 ? k : CHECK_CHANGED;
}

/* ---- life ---- */

static int json_edit_prepare(Resource *r, Diag *reterr) {
        JsonEdits *j = (JsonEdits *) r;

        free(TAKE_PTR(j->path));
        return find_path(j, &j->path, reterr);
}

static int json_edit_watch(Resource *r, Diag *reterr) {
        JsonEdits *j = (JsonEdits *) r;
        int k = local_host_watch(r, j->path, 0, &j->watch, reterr);

        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void json_edit_unwatch(Resource *r) {
        JsonEdits *j = (JsonEdits *) r;

        j->watch = path_watch_free(j->watch);
}

/* A file resource that makes the document comes first. */
static int json_edit_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        _cleanup_free_ char *path = NULL;
        int k = find_path((const JsonEdits *) r, &path, NULL);

        return k < 0 ? k : file_path_wants(path, batch, ret);
}

static void json_edit_done(Resource *r) {
        JsonEdits *j = (JsonEdits *) r;

        json_edit_unwatch(r);
        free(j->path);
}

const ResourceType json_edit_type = {
        .kind = "json:edit",
        .doc = "Values in a JSON document.",
        .example = "json:edit \"/etc/docker/daemon.json\" {\n"
                   "\tedits => [\n"
                   "\t\t\".[\\\"log-driver\\\"] = \\\"journald\\\"\",\n"
                   "\t\t\"del(.debug)\",\n"
                   "\t],\n"
                   "}\n",
        .size = sizeof(JsonEdits),
        .fields = json_edit_fields,
        .done = json_edit_done,
        .validate = json_edit_validate,
        .prepare = json_edit_prepare,
        .watch = json_edit_watch,
        .unwatch = json_edit_unwatch,
        .check_apply = json_edit_check_apply,
        .wants = json_edit_wants,
        .first_match_ends = true,
};
