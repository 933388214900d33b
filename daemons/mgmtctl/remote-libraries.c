/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-libraries.h. The loader is asked, as ldd does, one program after another. */

#include <stdio.h>

#include "common/map.h"
#include "common/sd/child.h"
#include "daemons/mgmtctl/remote-libraries.h"

enum { OUTPUT_MAX = 256 * 1024 };

struct RemoteLibraries {
        sd_event *event;
        char *const *programs;          /* the next one to ask, and those after it */
        Child *child;
        Map *paths;                     /* name → path, owned */
        void (*ready)(void *userdata);
        void *userdata;
};

static int ask_next(RemoteLibraries *l);

static int add_line(RemoteLibraries *l, const char *line) {
        char name[256], path[4096];

        if (sscanf(line, " %255s => %4095s", name, path) != 2 || path[0] != '/' || map_get(l->paths, name))
                return 0;
        char *copy = strdup(path);
        int r = copy ? map_put(l->paths, name, copy) : -ENOMEM;
        if (r < 0)
                free(copy);
        return r;
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        RemoteLibraries *l = userdata;
        _cleanup_free_ char *text = strbuf_take(&result->out);
        char *rest = text, *line;
        int r = 0;

        while (r >= 0 && rest && (line = strsep(&rest, "\n")))
                r = add_line(l, line);
        l->child = child_free(l->child);
        l->programs++;
        if (r < 0 || ask_next(l) < 0)
                l->ready(l->userdata);
}

static int ask_next(RemoteLibraries *l) {
        char *argv[] = { *l->programs, NULL }, *env[] = { (char *) "LC_ALL=C", (char *) "LD_TRACE_LOADED_OBJECTS=1", NULL };

        if (!*l->programs) {
                l->ready(l->userdata);
                return 0;
        }
        return child_start(&l->child, l->event, &(ChildSpec) { .argv = argv, .env = env, .uid = (uid_t) -1, .gid = (gid_t) -1,
                                                               .output_max = OUTPUT_MAX }, on_end, l, NULL);
}

int remote_libraries_new(RemoteLibraries **ret, sd_event *event, char *const *programs, void (*ready)(void *userdata), void *userdata) {
        _cleanup_(remote_libraries_freep) RemoteLibraries *l = calloc(1, sizeof(*l));
        int r;

        if (!l || !programs[0])
                return l ? -EINVAL : -ENOMEM;
        *l = (RemoteLibraries) { .event = event, .programs = programs, .paths = map_new(), .ready = ready, .userdata = userdata };
        r = l->paths ? ask_next(l) : -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

RemoteLibraries *remote_libraries_free(RemoteLibraries *l) {
        if (!l)
                return NULL;
        child_free(l->child);
        map_free_with(l->paths, free);
        free(l);
        return NULL;
}

const char *remote_libraries_find(const RemoteLibraries *l, const char *name) {
        return map_get(l->paths, name);
}
