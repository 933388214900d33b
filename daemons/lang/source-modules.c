/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os.modinfo_loaded. The kernel tells of a module when it is there for good, and when it is about to go; in both moments the list
 * of modules has it, with a word that says which it is. */

#include <fcntl.h>

#include "common/io.h"
#include "daemons/lang/module-list.h"
#include "daemons/lang/sources.h"

#define MODULES "/proc/modules"

enum { MODULES_SIZE_MAX = 4 * 1024 * 1024 };

typedef struct Module {
        Source source;
        Value name;
        KernelWatch *watch;
} Module;

static void module_look(void *userdata) {
        Module *m = userdata;
        _cleanup_free_ char *text = NULL;
        int r = read_file_at(AT_FDCWD, MODULES, MODULES_SIZE_MAX, &text, NULL);

        /* A kernel that has no modules has no list of them. */
        if (r < 0 && r != -ENOENT)
                source_failf(&m->source, false, r, "cannot read '%s': %m", MODULES);
        else
                source_set(&m->source, VALUE_BOOL(text && module_list_has(text, value_cstr(m->name), m->name.s->size)));
}

static int module_open(Source *s, Diag *reterr) {
        Module *m = (Module *) s;
        int r;

        m->name = value_ref(s->args[0]);
        r = source_watch_kernel(s, KERNEL_DEVICES, "module", module_look, m, &m->watch, reterr);
        if (r >= 0)
                module_look(m);
        return r;
}

static void module_close(Source *s) {
        kernel_watch_free(((Module *) s)->watch);
        value_done(&((Module *) s)->name);
}

const SourceType modules_sources[] = {
        { .name = "os.modinfo_loaded", .size = sizeof(Module), .open = module_open, .close = module_close },
        {}
};
