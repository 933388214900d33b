/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A block of whole lines that shall, or shall not, be in a file. It is compared as it stands, with no pattern in it. The file is
 * replaced as a whole, with the owner and mode it had; a new one is for its owner only. */

#include <ctype.h>
#include <stdio.h>

#include "common/resource.h"
#include "common/sd/names.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/account.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/local-host.h"

enum { TEXT_SIZE_MAX = 16 * 1024 * 1024 };

typedef struct Line {
        Resource resource;
        char *file, *state, *content;
        bool trim;

        bool applies;
        NameQuery *query, *watch_query; /* whose home it is in, for an attempt and for the watch */
        PathWatch *watch;
        PathWatch *account_watches[ACCOUNT_WATCHES];    /* while there is no such user */
} Line;

static const FieldSpec line_fields[] = {
        FIELD(Line, file, FIELD_STR, FIELD_REQUIRED, "The file: an absolute path, or one that begins with '~/' or '~user/'."),
        FIELD(Line, state, FIELD_STR, FIELD_REQUIRED, "'exists' or 'absent'."),
        FIELD(Line, content, FIELD_STR, 0, "One line or several; if it is empty, nothing is done."),
        FIELD(Line, trim, FIELD_BOOL, 0, "Leave out white space at both ends of content."),
        {}
};

static int line_validate(const Resource *r, Diag *reterr) {
        const Line *l = (const Line *) r;

        if (!streq(l->state, "exists") && !streq(l->state, "absent"))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists' or 'absent', got '%s'", l->state);
        if (*l->file != '/' && (*l->file != '~' || !strchr(l->file, '/')))
                return resource_error(r, reterr, -EINVAL, "file must be absolute, or begin with '~/' or '~user/', got '%s'", l->file);
        if (endswith(l->file, "/"))
                return resource_error(r, reterr, -EINVAL, "file must not end in a slash, got '%s'", l->file);
        return 0;
}

/* ---- the path ---- */

/* 1: *ret is the path. 0: callback will come, and then path_in_home(). Or negative errno. */
static char *path_in_home(const Line *l, const NameEntry *owner) {
        char *path;

        return asprintf(&path, "%s%s", owner->home, strchr(l->file, '/')) < 0 ? NULL : path;
}

static int no_home(Line *l, int error, Diag *reterr) {
        return resource_error(&l->resource, reterr, error, "cannot find the home directory of '%s': %s", l->file,
                              error == -ESRCH ? "there is no such user" : strerrordesc_np(-error));
}

static int find_path(Line *l, NameQuery **query, name_callback_t callback, char **ret, Diag *reterr) {
        _cleanup_(name_entry_done) NameEntry owner = {};
        _cleanup_free_ char *name = NULL;
        int r;

        if (*l->file == '/') {
                *ret = strdup(l->file);
                return *ret ? 1 : -ENOMEM;
        }
        if (l->file[1] == '/')
                r = asprintf(&name, "%u", (unsigned) geteuid());
        else
                r = asprintf(&name, "%.*s", (int) strcspn(l->file + 1, "/"), l->file + 1);
        if (r < 0) {
                name = NULL;
                return -ENOMEM;
        }
        r = names_find(local_host_names(&l->resource), NAME_USER, name, &owner, query, callback, l);
        if (r < 0)
                return no_home(l, r, reterr);
        if (r == 0)
                return 0;
        *ret = path_in_home(l, &owner);
        return *ret ? 1 : -ENOMEM;
}

/* ---- the text ---- */

/* What is to be looked for. */
static void block_of(const Line *l, const char **ret, size_t *ret_size) {
        const char *begin = l->content, *end = begin + strlen(begin);

        while (l->trim && begin < end && isspace((unsigned char) *begin))
                begin++;
        while (l->trim && end > begin && isspace((unsigned char) end[-1]))
                end--;
        *ret = begin;
        *ret_size = (size_t) (end - begin);
}

/* Whether the block stands at this place, which is the beginning of a line, as whole lines; *ret_size is what it takes there. */
static bool stands_at(const char *text, size_t size, const char *block, size_t block_size, size_t *ret_size) {
        if (size < block_size || memcmp(text, block, block_size) != 0)
                return false;
        if (size > block_size && text[block_size] != '\n')
                return false;
        if (size == block_size && block[block_size - 1] == '\n')        /* its last line, an empty one, is not there */
                return false;
        *ret_size = MIN(block_size + 1, size);
        return true;
}

/* The text without every block, from left to right. Returns whether there was one. */
static bool remove_blocks(const char *text, size_t size, const char *block, size_t block_size, StrBuf *ret) {
        bool found = false;
        size_t taken;

        for (size_t at = 0; at < size;) {
                if (stands_at(text + at, size - at, block, block_size, &taken)) {
                        found = true;
                        at += taken;
                        continue;
                }
                const char *newline = memchr(text + at, '\n', size - at);
                size_t n = newline ? (size_t) (newline + 1 - (text + at)) : size - at;
                strbuf_add(ret, text + at, n);
                at += n;
        }
        return found;
}

/* ---- the file ---- */

static int edit(Line *l, const char *path, Diag *reterr) {
        _cleanup_(file_text_done) FileText file = FILE_TEXT_INIT;
        _cleanup_(strbuf_done) StrBuf wanted = {};
        bool exists = streq(l->state, "exists");
        const char *block;
        size_t size;
        int r;

        block_of(l, &block, &size);
        if (size == 0)
                return CHECK_OK;
        r = file_text_read(&file, &l->resource, path, TEXT_SIZE_MAX, true, reterr);
        if (r < 0)
                return r;
        if (remove_blocks(file.text.data ?: "", file.text.size, block, size, &wanted) == exists)
                return CHECK_OK;
        if (exists)
                resource_differs_bytes(&l->resource, "content", NULL, 0, block, size);
        else
                resource_differs_bytes(&l->resource, "content", block, size, NULL, 0);
        if (exists) {
                if (file.text.size > 0 && file.text.data[file.text.size - 1] != '\n')
                        strbuf_putc(&wanted, '\n');
                strbuf_add(&wanted, block, size);
                strbuf_putc(&wanted, '\n');
        }
        if (wanted.failed)
                return -ENOMEM;
        r = l->applies ? file_text_write(&file, &l->resource, path, wanted.data, wanted.size, reterr) : 0;
        return r < 0 ? r : CHECK_CHANGED;
}

/* ---- attempts ---- */

static void on_owner(NameQuery *q, int result, NameEntry *owner, void *userdata) {
        Line *l = userdata;
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_free_ char *path = result < 0 ? NULL : path_in_home(l, owner);

        l->query = name_query_free(q);
        result = result < 0 ? no_home(l, result, &diag) : !path ? -ENOMEM : edit(l, path, &diag);
        resource_finish(&l->resource, result, &diag);
}

static int line_check_apply(Resource *r, bool apply, Diag *reterr) {
        Line *l = (Line *) r;
        _cleanup_free_ char *path = NULL;

        l->applies = apply;
        int k = find_path(l, &l->query, on_owner, &path, reterr);
        return k > 0 ? edit(l, path, reterr) : k < 0 ? k : CHECK_PENDING;
}

static void line_cancel(Resource *r) {
        Line *l = (Line *) r;

        l->query = name_query_free(l->query);
}

/* ---- watch ---- */

static int watch_path(Line *l, const char *path, Diag *reterr) {
        return local_host_watch(&l->resource, path, 0, &l->watch, reterr);
}

static void on_watch_owner(NameQuery *q, int result, NameEntry *owner, void *userdata) {
        Line *l = userdata;
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_free_ char *path = result < 0 ? NULL : path_in_home(l, owner);

        l->watch_query = name_query_free(q);
        if (result < 0)
                result = account_await(&l->resource, no_home(l, result, &diag), l->account_watches, &diag);
        else
                result = path ? watch_path(l, path, &diag) : -ENOMEM;
        if (result < 0)
                resource_watch_failed(&l->resource, result, &diag);
        else
                resource_armed(&l->resource);
}

static int line_watch(Resource *r, Diag *reterr) {
        Line *l = (Line *) r;
        _cleanup_free_ char *path = NULL;
        int k = find_path(l, &l->watch_query, on_watch_owner, &path, reterr);

        if (k == 0)
                return 0;
        k = k > 0 ? watch_path(l, path, reterr) : account_await(r, k, l->account_watches, reterr);
        if (k >= 0)
                resource_armed(r);
        return k;
}

static void line_unwatch(Resource *r) {
        Line *l = (Line *) r;

        l->watch_query = name_query_free(l->watch_query);
        l->watch = path_watch_free(l->watch);
        for (size_t i = 0; i < ACCOUNT_WATCHES; i++)
                l->account_watches[i] = path_watch_free(l->account_watches[i]);
}

/* What is below somebody's home is not known before he is. */
static int line_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Line *l = (const Line *) r;
        _cleanup_free_ char *user = NULL;

        if (*l->file == '/')
                return file_path_wants(l->file, batch, ret);
        if (batch > 0 || l->file[1] == '/')
                return 0;
        user = strndup(l->file + 1, strcspn(l->file + 1, "/"));
        return user ? resource_uids_add(ret, "user", user, false) : -ENOMEM;
}

static void line_done(Resource *r) {
        line_unwatch(r);
        line_cancel(r);
}

const ResourceType line_type = {
        .kind = "line",
        .doc = "Lines that are, or are not, in a file.",
        .example = "line \"forwarding\" {\n"
                   "\tfile => \"/etc/sysctl.conf\",\n"
                   "\tstate => \"exists\",\n"
                   "\tcontent => \"net.ipv4.ip_forward = 1\",\n"
                   "}\n",
        .size = sizeof(Line),
        .fields = line_fields,
        .done = line_done,
        .validate = line_validate,
        .watch = line_watch,
        .unwatch = line_unwatch,
        .check_apply = line_check_apply,
        .cancel = line_cancel,
        .wants = line_wants,
        .first_match_ends = true,
};
