/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Reads sources.def; so does meson.build. And what functions have in common. */

#include "daemons/lang/lang-manager.h"
#include "daemons/lang/remote.h"
#include "daemons/lang/sources.h"

#define SOURCES(s) extern const SourceType s##_sources[];
#include "daemons/lang/sources.def"
#undef SOURCES

static const SourceType *const tables[] = {
#define SOURCES(s) s##_sources,
#include "daemons/lang/sources.def"
#undef SOURCES
};

const SourceType *lang_source_find(const char *function) {
        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                const SourceType *t = source_type_find(tables[i], function);
                if (t)
                        return t;
        }
        return remote_find(function);
}

/* ---- what they share ---- */

SourceShare *source_share(const Source *s) {
        return &((Manager *) s->host->manager)->share;
}

void source_share_done(SourceShare *s) {
        s->paths = path_watcher_free(s->paths);
        kernel_watcher_done(&s->kernel);
        s->names = names_free(s->names);
}

int source_watch_path(Source *s, const char *path, steady_watch_callback_t callback, void *userdata, SteadyWatch **ret, Diag *reterr) {
        SourceShare *share = source_share(s);
        int r = share->paths ? 0 : path_watcher_new(&share->paths, s->host->event);

        if (r >= 0)
                r = steady_watch_new(ret, share->paths, path, share->poll_usec, callback, userdata);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot watch '%s': %m", path) : 0;
}

int source_watch_kernel(Source *s, KernelTopic topic, const char *subsystem, void (*callback)(void *userdata), void *userdata,
                        KernelWatch **ret, Diag *reterr) {
        int r = kernel_watch_new(ret, &source_share(s)->kernel, s->host->event, topic, subsystem, callback, userdata);

        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot watch %s: %m", kernel_topic_name(topic)) : 0;
}

int source_names(const Source *s, Names **ret) {
        SourceShare *share = source_share(s);
        int r = share->names ? 0 : names_new(&share->names, s->host->event, share->etc ?: "/etc");

        *ret = share->names;
        return r;
}

/* ---- arguments and values ---- */

int source_arg_path(const Source *s, size_t i, char **ret, Diag *reterr) {
        const char *path = value_cstr(s->args[i]);

        if (path[0] != '/' || strlen(path) != s->args[i].s->size)
                return diag_set(reterr, (Pos) {}, -EINVAL, "filename was not absolute, got: `%s`", path);
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

void source_set_text(Source *s, const char *text) {
        Value v = VALUE_NIL;
        int r = value_strz(&v, text);

        source_result(s, r, v);
}
