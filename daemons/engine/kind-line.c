/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A block of whole lines that shall, or shall not, be in a file. It is compared as it stands, with no pattern in it. The file is
 * replaced as a whole, with the owner and mode it had; a new one is for its owner only. */

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/resource.h"
#include "common/sd/names.h"
#include "common/sd/pathwatch.h"
#include "common/strbuf.h"
#include "daemons/engine/file-copy.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/safe-path.h"

enum { TEXT_SIZE_MAX = 16 * 1024 * 1024 };

typedef struct Line {
        Resource resource;
        char *file, *state, *content;
        bool trim;

        bool applies;
        NameQuery *query, *watch_query; /* whose home it is in, for an attempt and for the watch */
        PathWatch *watch;
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
        return resource_error(&l->resource, reterr, error, "cannot find the home directory of '%s': %m", l->file);
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

typedef struct Edited {
        FileContent have;       /* no descriptor if it is not there */
        StrBuf text, wanted;
} Edited;

static void edited_done(Edited *e) {
        file_content_done(&e->have);
        strbuf_done(&e->text);
        strbuf_done(&e->wanted);
}

static int read_all(Line *l, const char *path, Edited *e, Diag *reterr) {
        char buffer[FILE_PIECE_SIZE];
        const char *piece;
        ssize_t n;
        int fd, r;

        fd = safe_open(path, O_RDONLY);
        if (fd == -ENOENT)
                return 0;
        if (fd >= 0)
                (void) close(fd);
        r = file_content_open(&e->have, &l->resource, path, reterr);
        if (r < 0)
                return r;
        if (e->have.size > TEXT_SIZE_MAX)
                return resource_error(&l->resource, reterr, -EFBIG, "'%s' has more than %d bytes", path, TEXT_SIZE_MAX);
        while ((n = file_content_piece(&e->have, e->text.size, buffer, &piece)) > 0)
                strbuf_add(&e->text, piece, (size_t) n);
        if (n < 0 || e->text.failed)
                return resource_error(&l->resource, reterr, n < 0 ? (int) n : -ENOMEM, "cannot read '%s': %m", path);
        return 0;
}

static int write_all_of_it(Line *l, const char *path, const Edited *e, Diag *reterr) {
        const FileContent wanted = { .data = e->wanted.data ?: "", .size = e->wanted.size, .fd = -EBADF };
        _cleanup_(safe_path_done) SafePath where = SAFE_PATH_INIT;
        FileCopy c = FILE_COPY_INIT;
        int r;

        r = safe_path_find(path, true, &where);
        if (r < 0)
                return resource_error(&l->resource, reterr, r, "cannot find the directory of '%s': %m", path);
        c.resource = &l->resource;
        c.path = path;
        c.content = &wanted;
        c.dir_fd = where.dir_fd;
        c.base = where.base;
        c.have_fd = e->have.fd;
        if (c.have_fd >= 0)
                c.have = e->have.st;
        else {
                c.access.mode = 0600;
                c.access.has_mode = true;
        }
        file_copy_write(&c);
        do
                r = file_copy_step(&c, reterr);
        while (r > 0);
        file_copy_done(&c);
        return r;
}

static int edit(Line *l, const char *path, Diag *reterr) {
        _cleanup_(edited_done) Edited e = { .have = FILE_CONTENT_INIT };
        bool exists = streq(l->state, "exists");
        const char *block;
        size_t size;
        int r;

        block_of(l, &block, &size);
        if (size == 0)
                return CHECK_OK;
        r = read_all(l, path, &e, reterr);
        if (r < 0)
                return r;
        if (remove_blocks(e.text.data ?: "", e.text.size, block, size, &e.wanted) == exists)
                return CHECK_OK;
        if (exists)
                resource_differs_bytes(&l->resource, "content", NULL, 0, block, size);
        else
                resource_differs_bytes(&l->resource, "content", block, size, NULL, 0);
        if (exists) {
                if (e.text.size > 0 && e.text.data[e.text.size - 1] != '\n')
                        strbuf_putc(&e.wanted, '\n');
                strbuf_add(&e.wanted, block, size);
                strbuf_putc(&e.wanted, '\n');
        }
        if (e.wanted.failed)
                return -ENOMEM;
        r = l->applies ? write_all_of_it(l, path, &e, reterr) : 0;
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
        int r = path_watch_new(&l->watch, local_host_paths(&l->resource), path, 0, local_host_path_changed, l);

        if (r < 0)
                return resource_error(&l->resource, reterr, r, "cannot watch '%s': %m", path);
        resource_armed(&l->resource);
        return 0;
}

static void on_watch_owner(NameQuery *q, int result, NameEntry *owner, void *userdata) {
        Line *l = userdata;
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_free_ char *path = result < 0 ? NULL : path_in_home(l, owner);

        l->watch_query = name_query_free(q);
        result = result < 0 ? no_home(l, result, &diag) : !path ? -ENOMEM : watch_path(l, path, &diag);
        if (result < 0)
                resource_watch_failed(&l->resource, result, &diag);
}

static int line_watch(Resource *r, Diag *reterr) {
        Line *l = (Line *) r;
        _cleanup_free_ char *path = NULL;

        int k = find_path(l, &l->watch_query, on_watch_owner, &path, reterr);
        return k > 0 ? watch_path(l, path, reterr) : k;
}

static void line_unwatch(Resource *r) {
        Line *l = (Line *) r;

        l->watch_query = name_query_free(l->watch_query);
        l->watch = path_watch_free(l->watch);
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
};
