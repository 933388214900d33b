/* SPDX-License-Identifier: GPL-3.0-or-later */

/* local: what is a matter of this host alone. Both functions have one value for ever. */

#include <errno.h>

#include "daemons/world/pool.h"
#include "daemons/world/vardir.h"
#include "daemons/world/world-manager.h"

/* ---- pool ---- */

typedef struct PoolSource {
        Source source;
        PoolCall *call;
} PoolSource;

static void on_number(int error, int64_t number, void *userdata) {
        PoolSource *p = userdata;

        p->call = NULL;
        if (error < 0)
                source_failf(&p->source, false, error, "cannot take a number: %m");
        else
                source_set(&p->source, VALUE_INT(number));
}

static int take_name(const Source *s, size_t i, const char *what, char **ret, Diag *reterr) {
        if (s->args[i].s->size == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s is empty", what);
        if (strchr(value_cstr(s->args[i]), '/'))
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s contains slash", what);
        return source_name(s, i, what, ret, reterr);
}

static int pool_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *namespace = NULL, *uid = NULL;
        PoolSource *p = (PoolSource *) s;
        WorldManager *m = s->host->manager;
        int r;

        r = take_name(s, 0, "namespace", &namespace, reterr);
        if (r >= 0)
                r = take_name(s, 1, "uid", &uid, reterr);
        return r < 0 ? r : pool_number(m->database, namespace, uid, on_number, p, &p->call);
}

static void pool_close(Source *s) {
        PoolSource *p = (PoolSource *) s;

        p->call = pool_call_cancel(p->call);
}

/* ---- vardir ---- */

static int vardir_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        const ValueStr *arg = s->args[0].s;
        Value v;
        int r;

        if (memchr(arg->data, 0, arg->size))
                return diag_set(reterr, (Pos) {}, -EINVAL, "path has a NUL byte");
        r = vardir_make(s->host->state_dir, arg->data, &path, reterr);
        if (r >= 0)
                r = value_strz(&v, path);
        if (r >= 0)
                source_set(s, v);
        return r;
}

const SourceType local_sources[] = {
        { .name = "local.pool", .takes = "func(str, str)", .size = sizeof(PoolSource), .open = pool_open, .close = pool_close },
        { .name = "local.vardir", .takes = "func(str)", .size = sizeof(Source), .open = vardir_open },
        {}
};
