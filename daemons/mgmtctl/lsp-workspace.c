/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Documents are compiled as the program they belong to: by the metadata.yaml beside them if that reaches them, else for themselves.
 * Only the whole program is ever compiled; it is fast enough for each change. */

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "common/strbuf.h"
#include "daemons/mgmtctl/input.h"
#include "daemons/mgmtctl/lsp-workspace.h"

/* ---- names ---- */

/* Of what is no file: the URI, so that it has a name. */
static char *uri_to_path(const char *uri) {
        const char *rest = startswith(uri, "file://");
        StrBuf b = {};

        rest = rest ? strchr(rest, '/') : NULL;         /* after the host, which is this one */
        if (!rest)
                return strdup(uri);
        for (const char *c = rest; *c; c++)
                if (*c == '%' && hex_digit(c[1]) >= 0 && hex_digit(c[2]) >= 0 && (c[1] != '0' || c[2] != '0')) {
                        strbuf_putc(&b, (char) (hex_digit(c[1]) * 16 + hex_digit(c[2])));
                        c += 2;
                } else
                        strbuf_putc(&b, *c);
        return strbuf_take(&b);
}

char *uri_from_path(const char *path) {
        StrBuf b = {};

        if (path[0] != '/')
                return strdup(path);
        strbuf_puts(&b, "file://");
        for (const char *c = path; *c; c++)
                if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("/-._~", *c))
                        strbuf_putc(&b, *c);
                else
                        strbuf_printf(&b, "%%%02X", (unsigned char) *c);
        return strbuf_take(&b);
}

/* ---- documents ---- */

static void document_free(void *p) {
        Document *d = p;

        if (!d)
                return;
        lang_free(d->lang);
        diags_done(&d->diags);
        free(d->uri);
        free(d->path);
        free(d->text);
        free(d);
}

void workspace_done(Workspace *w) {
        map_free_with(w->documents, document_free);
        schema_free(w->schema);
        free(w->hostname);
        free(w->module_path);
}

Document *workspace_find(const Workspace *w, const char *uri) {
        _cleanup_free_ char *path = uri_to_path(uri);

        return path ? map_get(w->documents, path) : NULL;
}

void document_changed(Workspace *w, Document *d) {
        const char *key;
        void *value;
        size_t i = 0;

        while (map_next(w->documents, &i, &key, &value))
                ((Document *) value)->dirty = true;
        d->dirty = true;
}

static Document *document_new(const char *uri) {
        Document *d = calloc(1, sizeof(Document));

        if (d && (d->uri = strdup(uri)) && (d->path = uri_to_path(uri)))
                return d;
        document_free(d);
        return NULL;
}

Document *workspace_open(Workspace *w, const char *uri, const char *text, size_t size) {
        Document *d = workspace_find(w, uri);
        char *copy = malloc(size + 1);

        if (!copy)
                return NULL;
        memcpy(copy, text, size);
        copy[size] = '\0';
        if (!d) {
                d = document_new(uri);
                if (!d || (!w->documents && !(w->documents = map_new())) || map_put(w->documents, d->path, d) < 0) {
                        document_free(d);
                        free(copy);
                        return NULL;
                }
        }
        free(d->text);
        d->text = copy;
        d->size = size;
        document_changed(w, d);
        return d;
}

void workspace_close(Workspace *w, Document *d) {
        document_changed(w, d);
        map_remove(w->documents, d->path);
        document_free(d);
}

/* ---- compiling ---- */

static int copy_text(const char *text, size_t size, char **ret, size_t *ret_size) {
        *ret = malloc(size + 1);
        if (!*ret)
                return -ENOMEM;
        memcpy(*ret, text, size);
        (*ret)[size] = '\0';
        *ret_size = size;
        return 0;
}

int workspace_read(Workspace *w, const char *path, char **ret, size_t *ret_size) {
        const Document *d = map_get(w->documents, path);

        if (w->replaced_path && streq(w->replaced_path, path))
                return copy_text(w->replaced_text, w->replaced_size, ret, ret_size);
        if (d)
                return copy_text(d->text, d->size, ret, ret_size);
        return read_file_at(AT_FDCWD, path, SOURCE_MAX, ret, ret_size);
}

static int host_read_file(void *userdata, const char *path, char **ret, size_t *ret_size) {
        return workspace_read(userdata, path, ret, ret_size);
}

static int compile_entry(Workspace *w, const char *entry, Lang **ret, Diags *reterr) {
        const LangHost host = {
                .userdata = w,
                .schema = w->schema,
                .hostname = w->hostname,
                .module_path = w->module_path,
                .read_file = host_read_file,
        };

        return lang_compile(ret, &host, &(LangOptions) { .entry = entry, .keep = true }, reterr);
}

static int is_file(void *userdata, const char *path, const char *content, size_t size) {
        return streq(path, userdata) ? -EEXIST : 0;
}

static int compile(Workspace *w, const Document *d, Lang **ret, Diags *reterr) {
        const char *slash = strrchr(d->path, '/');
        _cleanup_free_ char *metadata = NULL;
        int r;

        if (slash && asprintf(&metadata, "%.*s/metadata.yaml", (int) (slash - d->path), d->path) < 0) {
                metadata = NULL;
                return -ENOMEM;
        }
        if (metadata && access(metadata, R_OK) >= 0) {
                r = compile_entry(w, metadata, ret, reterr);
                if (*ret && lang_each_file(*ret, is_file, d->path) == -EEXIST)
                        return r;
                *ret = lang_free(*ret);
                diags_done(reterr);
        }
        return compile_entry(w, d->path, ret, reterr);
}

int document_refresh(Workspace *w, Document *d) {
        Diags diags = {};
        Lang *lang = NULL;

        if (!d->dirty)
                return 0;
        (void) compile(w, d, &lang, &diags);
        d->parses = lang && query_knows(lang, d->path);
        if (d->parses || !d->lang) {
                lang_free(d->lang);
                d->lang = lang;
        } else
                lang_free(lang);
        diags_done(&d->diags);
        d->diags = diags;
        d->dirty = false;
        return d->lang ? 0 : -ENOMEM;
}

Lang *document_program(Workspace *w, Document *d, uint32_t line, Lang **ret_own) {
        _cleanup_(diags_done) Diags ignored = {};
        _cleanup_free_ char *text = NULL;
        size_t size;

        *ret_own = NULL;
        (void) document_refresh(w, d);
        if (d->parses || copy_text(d->text, d->size, &text, &size) < 0)
                return d->lang;

        size_t at = 0;
        for (; line > 1 && at < size; at++)
                line -= text[at] == '\n';
        for (; at < size && text[at] != '\n'; at++)
                text[at] = ' ';
        w->replaced_path = d->path;
        w->replaced_text = text;
        w->replaced_size = size;
        (void) compile(w, d, ret_own, &ignored);
        w->replaced_path = NULL;
        if (*ret_own && query_knows(*ret_own, d->path))
                return *ret_own;
        *ret_own = lang_free(*ret_own);
        return d->lang;
}
