/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-swap.h"
#include "daemons/engine/reversals.h"

enum { REVERSAL_MAX = 64 * 1024 * 1024 };       /* bytes of one file */

struct Reversals {
        Manager *manager;
        char *directory;
        Map *by_id;             /* "kind[name]" → Reversal */
        sd_event_source *cleanup;
        ChangeSet done;         /* what is to leave the graph */
};

static char *make_id(const char *kind, const char *name) {
        char *id;

        return asprintf(&id, "%s[%s]", kind, name) < 0 ? NULL : id;
}

static int add(Reversals *rs, Reversal *x) {
        _cleanup_free_ char *id = make_id(x->spec.kind, x->spec.name);
        Reversal *old = id ? map_get(rs->by_id, id) : NULL;
        int r;

        r = id ? map_put(rs->by_id, id, x) : -ENOMEM;
        if (r >= 0)
                reversal_free(old);
        return r < 0 ? r : 0;
}

/* ---- files ---- */

static const ResourceType *find_type(const char *kind, void *userdata) {
        return manager_type(userdata, kind);
}

static int load(Reversals *rs, const char *path) {
        _cleanup_(reversal_freep) Reversal *x = NULL;
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, REVERSAL_MAX, &text, &size);
        if (r >= 0)
                r = strlen(text) == size ? reversal_parse(&x, text, find_type, rs->manager, &diag) : -EBADMSG;
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                (void) log_warning(r, "cannot read the reversal '%s': %s, ignoring", path, diag.message ?: strerrordesc_np(-r));
                return 0;
        }
        x->path = strdup(path);
        r = x->path ? add(rs, x) : -ENOMEM;
        if (r >= 0)
                TAKE_PTR(x);
        return r;
}

static int load_all(Reversals *rs) {
        DIR *d = opendir(rs->directory);
        int r = 0;

        if (!d && errno == EACCES && rs->manager->options.plan) {       /* anybody may make a plan */
                (void) log_warning(-errno, "cannot see what would be undone, '%s': %m, ignoring", rs->directory);
                return 0;
        }
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        for (struct dirent *e; r >= 0 && (e = readdir(d));) {
                _cleanup_free_ char *path = NULL;

                if (e->d_name[0] == '.')        /* also what an interrupted write left */
                        continue;
                if (asprintf(&path, "%s/%s", rs->directory, e->d_name) < 0) {
                        path = NULL;
                        r = -ENOMEM;
                } else
                        r = load(rs, path);
        }
        (void) closedir(d);
        return r;
}

static int store(Reversals *rs, const char *id, const char *text, char **ret_path) {
        _cleanup_free_ char *name = resource_file_name(id);
        int r;

        if (!name || asprintf(ret_path, "%s/%s", rs->directory, name) < 0) {
                *ret_path = NULL;
                return -ENOMEM;
        }
        if (strlen(text) > REVERSAL_MAX)
                return -EFBIG;
        r = make_directories(rs->directory, 0700);
        /* To the disk: how it was is known nowhere else. */
        return r < 0 ? r : write_file_atomic_at(AT_FDCWD, *ret_path, text, strlen(text), 0600, true);
}

/* ---- keeping ---- */

/* The semaphore that was added for the deploy comes back with the next one. */
static void drop_deploy_semaphore(Meta *m) {
        size_t n = 0;

        for (char **s = m->sema; s && *s; s++)
                if ((*s)[0] == ':' && (*s)[1 + strspn(*s + 1, "0123456789")] == '\0')
                        free(*s);
                else
                        m->sema[n++] = *s;
        if (m->sema)
                m->sema[n] = NULL;
}

/* It stands alone, and is tried again whenever the graph changes. */
static void set_meta(Meta *m) {
        m->reverse = m->realize = m->hidden = m->autoedge = m->autogroup = false;
        m->rewatch = m->reset = true;
        m->export = strv_free(m->export);
        drop_deploy_semaphore(m);
}

static int predecessors(const Vertex *v, ResourceKey **ret, size_t *ret_n) {
        const Manager *m = v->manager;
        const GraphAdjacency *in = graph_predecessors(m->graph, v->id);
        ResourceKey *keys = calloc(in->n + 1, sizeof(*keys));

        if (!keys)
                return -ENOMEM;
        for (uint32_t i = 0; i < in->n; i++) {
                const Vertex *p = manager_vertex(m, in->items[i].peer);
                keys[i] = (ResourceKey) { .kind = (char *) vertex_kind(p), .name = (char *) vertex_name(p) };   /* borrowed */
        }
        *ret = keys;
        *ret_n = in->n;
        return 0;
}

static int keep(Reversals *rs, const Vertex *v, const char *id, const Resource *undo) {
        _cleanup_(reversal_freep) Reversal *x = NULL;
        _cleanup_free_ ResourceKey *after = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n_after;
        int r;

        r = predecessors(v, &after, &n_after);
        if (r < 0)
                return r;
        text = reversal_format(undo, after, n_after);
        r = text ? reversal_parse(&x, text, find_type, rs->manager, NULL) : -ENOMEM;
        if (r >= 0)
                r = store(rs, id, text, &x->path);
        if (r >= 0)
                r = add(rs, x);
        if (r >= 0)
                TAKE_PTR(x);
        return r;
}

int reversals_keep(Reversals *rs, Vertex *v, Diag *reterr) {
        Resource *r = v->resource;
        _cleanup_(resource_freep) Resource *undo = NULL;
        _cleanup_free_ char *id = NULL;
        int k;

        if (!r->meta.reverse || !r->type->reverse || v->reversal)
                return 0;
        id = resource_id(r);
        if (!id)
                return -ENOMEM;
        if (map_get(rs->by_id, id))
                return 0;

        k = r->type->reverse(r, &undo, reterr);
        if (k < 0 || !undo)
                return k;
        set_meta(&undo->meta);
        k = resource_validate(undo, reterr);
        if (k >= 0)
                k = keep(rs, v, id, undo);
        return k < 0 ? resource_error(r, reterr, k, "cannot keep how it was for its reversal: %m") : 0;
}

const Reversal *reversals_find(const Reversals *rs, const char *kind, const char *name) {
        if (map_size(rs->by_id) == 0)
                return NULL;
        _cleanup_free_ char *id = make_id(kind, name);
        return id ? map_get(rs->by_id, id) : NULL;
}

bool reversals_next(const Reversals *rs, size_t *iterator, const Reversal **ret) {
        void *value;

        if (!map_next(rs->by_id, iterator, NULL, &value))
                return false;
        *ret = value;
        return true;
}

size_t reversals_n(const Reversals *rs) {
        return map_size(rs->by_id);
}

/* ---- done ---- */

void reversals_forget(Reversals *rs, const char *kind, const char *name) {
        _cleanup_free_ char *id = make_id(kind, name);
        _cleanup_(reversal_freep) Reversal *x = id ? map_remove(rs->by_id, id) : NULL;

        if (x && !rs->manager->options.plan && unlink(x->path) < 0 && errno != ENOENT)
                (void) log_warning(-errno, "cannot remove '%s': %m, ignoring", x->path);
}

void reversals_done(Reversals *rs, const Vertex *v) {
        (void) log_resource(LOG_NOTICE, vertex_kind(v), vertex_name(v), v->resource->pos, "undone");
        reversals_forget(rs, vertex_kind(v), vertex_name(v));
        if (change_set_remove(&rs->done, vertex_kind(v), vertex_name(v)) >= 0)
                (void) sd_event_source_set_enabled(rs->cleanup, SD_EVENT_ONESHOT);
}

/* Meanwhile it may have come back into the program, or have been removed by a whole graph. */
static int on_cleanup(sd_event_source *source, void *userdata) {
        Reversals *rs = userdata;
        Manager *m = rs->manager;
        _cleanup_(change_set_done) ChangeSet set = { .generation = m->generation }, done = rs->done;
        _cleanup_(diag_done) Diag diag = {};
        int r = 0;

        rs->done = (ChangeSet) {};
        for (size_t i = 0; i < done.n_removed && r >= 0; i++) {
                const Vertex *v = manager_find(m, done.removed[i].kind, done.removed[i].name);
                if (v && v->reversal && !reversals_find(rs, vertex_kind(v), vertex_name(v)))
                        r = change_set_remove(&set, vertex_kind(v), vertex_name(v));
        }
        if (r >= 0 && set.n_removed > 0)
                r = graph_swap(m, &set, &m->swap_options, &diag);
        if (r < 0)
                (void) log_warning(r, "cannot take what was undone out of the graph: %s, ignoring", diag.message ?: "out of memory");
        return 0;
}

int reversals_open(Reversals **ret, Manager *m, const char *directory) {
        _cleanup_(reversals_freep) Reversals *rs = calloc(1, sizeof(*rs));
        int r;

        if (!rs)
                return -ENOMEM;
        rs->manager = m;
        rs->directory = strdup(directory);
        rs->by_id = map_new();
        if (!rs->directory || !rs->by_id)
                return -ENOMEM;
        r = sd_event_add_defer(m->event, &rs->cleanup, on_cleanup, rs);
        if (r >= 0)
                r = sd_event_source_set_priority(rs->cleanup, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_enabled(rs->cleanup, SD_EVENT_OFF);
        if (r >= 0)
                r = load_all(rs);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(rs);
        return 0;
}

static void free_value(void *p) {
        reversal_free(p);
}

Reversals *reversals_free(Reversals *rs) {
        if (!rs)
                return NULL;
        sd_event_source_disable_unref(rs->cleanup);
        change_set_done(&rs->done);
        map_free_with(rs->by_id, free_value);
        free(rs->directory);
        free(rs);
        return NULL;
}
