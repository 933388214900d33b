/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the programs say is in the language of the C locale, for whoever reads it in a log. */

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>

#include <systemd/sd-event.h>

#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/account-tool.h"
#include "daemons/engine/local-host.h"

enum { NAME_LENGTH_MAX = 31, SAID_MAX = 64 * 1024 };

#define BUSY "somebody else is changing users or groups"

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

/* ---- one at a time ---- */

static struct { AccountTool *first, **end; } line = { NULL, &line.first };      /* the first one runs */

static void line_leave(AccountTool *t) {
        AccountTool **p = &line.first;

        while (*p != t)
                p = &(*p)->next;
        *p = t->next;
        if (line.end == &t->next)
                line.end = p;
        t->in_line = false;
}

static int start(AccountTool *t, Diag *reterr);

/* Those that cannot be started are over at once. */
static int start_first(sd_event_source *source, void *userdata) {
        AccountTool *t;

        while ((t = line.first) && !t->child) {
                _cleanup_(diag_done) Diag diag = {};
                Resource *resource = t->resource;
                int r = start(t, &diag);

                if (r < 0) {
                        account_tool_cancel(t);
                        resource_finish(resource, r, &diag);
                }
        }
        return 0;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        AccountTool *t = userdata;
        Resource *resource = t->resource;
        _cleanup_(diag_done) Diag diag = {};
        const char *last;
        int r = CHECK_CHANGED;

        if (result->signal)
                r = resource_error(resource, &diag, -EINTR, "%s was ended by signal %d", t->argv[0], result->signal);
        else if (result->status != 0) {
                int size = last_line(&result->err, &last);
                r = resource_error(resource, &diag, -EPROTO, "%s failed with status %d%s%.*s", t->argv[0], result->status,
                                   size > 0 ? ": " : "", size, last);
        }
        bool outdated = r < 0 && files_changed(t);
        account_tool_cancel(t);
        if (outdated) {
                (void) resource_waiting(resource, BUSY);
                resource_finish(resource, -EAGAIN, NULL);
                resource_changed(resource);
        } else
                resource_finish(resource, r, &diag);
}

static int start(AccountTool *t, Diag *reterr) {
        static char *const env[] = { (char *) "LC_ALL=C", (char *) "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
        const ChildSpec spec = {
                .argv = t->argv,
                .env = env,
                .cwd = "/",
                .uid = (uid_t) -1,
                .gid = (gid_t) -1,
                .output_max = SAID_MAX,
        };
        _cleanup_(diag_done) Diag diag = {};
        int r;

        look_at_files(t->resource, t->files);
        r = child_start(&t->child, t->resource->host->event, &spec, on_end, t, &diag);
        return r < 0 ? resource_error(t->resource, reterr, r, "%s: %s", t->argv[0], diag.message ? diag.message : "cannot be started") : 0;
}

/* ---- the lock that all programs take which change the lists: lckpwdf(3) ---- */

static bool is_locked(const char *path) {
        struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        bool locked = fd >= 0 && fcntl(fd, F_GETLK, &lock) >= 0 && lock.l_type != F_UNLCK;

        if (fd >= 0)
                (void) close(fd);
        return locked;
}

/* Whoever has it had opened the file for writing, so closing it, which gives it back, is seen. */
static int watch_lock(AccountTool *t, bool *ret_locked, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        int r = 0;

        if (asprintf(&path, "%s/.pwd.lock", local_host_etc(t->resource)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        *ret_locked = is_locked(path);
        if (*ret_locked && !t->lock_watch) {
                r = local_host_watch(t->resource, path, 0, &t->lock_watch, reterr);
                *ret_locked = is_locked(path);
        }
        return r;
}

int account_tool_run(AccountTool *t, Resource *r, char *const *argv, Diag *reterr) {
        bool locked = false;
        int k = 0;

        t->resource = r;
        if (!line.first)
                k = watch_lock(t, &locked, reterr);
        if (k < 0)
                return k;
        if (locked)
                return resource_waiting(r, BUSY);
        account_tool_cancel(t);
        k = strv_copy(&t->argv, argv);
        if (k < 0)
                return k;
        t->next = NULL;
        t->in_line = true;
        *line.end = t;
        line.end = &t->next;
        if (line.first == t)
                k = start(t, reterr);
        if (k < 0)
                account_tool_cancel(t);
        return k < 0 ? k : CHECK_PENDING;
}

void account_tool_cancel(AccountTool *t) {
        bool first = t->in_line && line.first == t;

        if (t->in_line)
                line_leave(t);
        t->child = child_free(t->child);
        t->lock_watch = path_watch_free(t->lock_watch);
        t->argv = strv_free(t->argv);
        /* Not from here: a vertex that cannot be started would end while somebody takes this one away. */
        if (first && line.first && sd_event_add_defer(line.first->resource->host->event, NULL, start_first, NULL) < 0)
                (void) start_first(NULL, NULL);
}
