/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the programs say is in the language of the C locale, for whoever reads it in a log. */

#include <ctype.h>
#include <inttypes.h>

#include "daemons/engine/account-tool.h"
#include "daemons/engine/local-host.h"

enum { NAME_LENGTH_MAX = 31, SAID_MAX = 64 * 1024 };

bool account_name_is_valid(const char *name) {
        for (const char *p = name; *p; p++)
                if (!isalpha((unsigned char) *p) && *p != '_' && (p == name || (!isdigit((unsigned char) *p) && *p != '-')))
                        return false;
        return *name && strlen(name) <= NAME_LENGTH_MAX;
}

int account_validate_id(const Resource *r, const char *field, Value id, Diag *reterr) {
        if (id.kind == TYPE_INT && (id.i < 0 || id.i >= UINT32_MAX))
                return resource_error(r, reterr, -ERANGE, "%s must be from 0 to %" PRIu32 ", got %" PRIi64, field, UINT32_MAX - 1, id.i);
        return 0;
}

static int last_line(const StrBuf *b, const char **ret) {
        size_t end = b->size, begin;

        while (end > 0 && isspace((unsigned char) b->data[end - 1]))
                end--;
        begin = end;
        while (begin > 0 && b->data[begin - 1] != '\n')
                begin--;
        *ret = b->data ? b->data + begin : "";
        return (int) MIN(end - begin, (size_t) 300);
}

static void look_at_files(const Resource *r, struct stat ret[static 2]) {
        static const char *const names[] = { "passwd", "group" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = NULL;

                ret[i] = (struct stat) {};
                if (asprintf(&path, "%s/%s", local_host_etc(r), names[i]) < 0)
                        path = NULL;
                else
                        (void) stat(path, &ret[i]);
        }
}

static bool files_changed(const AccountTool *t) {
        struct stat now[ELEMENTSOF(t->files)];

        look_at_files(t->resource, now);
        for (size_t i = 0; i < ELEMENTSOF(now); i++)
                if (now[i].st_ino != t->files[i].st_ino || now[i].st_mtim.tv_sec != t->files[i].st_mtim.tv_sec ||
                    now[i].st_mtim.tv_nsec != t->files[i].st_mtim.tv_nsec || now[i].st_size != t->files[i].st_size)
                        return true;
        return false;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        AccountTool *t = userdata;
        _cleanup_(diag_done) Diag diag = {};
        const char *line;
        int r = CHECK_CHANGED;

        if (result->signal)
                r = resource_error(t->resource, &diag, -EINTR, "%s was ended by signal %d", t->program, result->signal);
        else if (result->status != 0) {
                int size = last_line(&result->err, &line);
                r = resource_error(t->resource, &diag, -EPROTO, "%s failed with status %d%s%.*s", t->program, result->status,
                                   size > 0 ? ": " : "", size, line);
        }
        t->child = child_free(c);
        if (r < 0 && files_changed(t)) {
                (void) resource_waiting(t->resource, "somebody else is changing users or groups");
                resource_finish(t->resource, -EAGAIN, NULL);
                resource_changed(t->resource);
                return;
        }
        resource_finish(t->resource, r, &diag);
}

int account_tool_run(AccountTool *t, Resource *r, char *const *argv, Diag *reterr) {
        static char *const env[] = { (char *) "LC_ALL=C", (char *) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        const ChildSpec spec = {
                .argv = argv,
                .env = env,
                .cwd = "/",
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .output_max = SAID_MAX,
        };
        _cleanup_(diag_done) Diag diag = {};
        int k;

        account_tool_cancel(t);
        t->resource = r;
        t->program = argv[0];
        look_at_files(r, t->files);
        k = child_start(&t->child, r->host->event, &spec, on_end, t, &diag);
        if (k < 0)
                return resource_error(r, reterr, k, "%s: %s", argv[0], diag.message ? diag.message : "cannot be started");
        return CHECK_PENDING;
}

void account_tool_cancel(AccountTool *t) {
        t->child = child_free(t->child);
}
