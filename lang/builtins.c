/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The list of all builtins: the tables of the modules, one after the other, found by name. The index and the parsed signatures
 * are made at first use and kept: they are facts, not state. */

#include <string.h>

#include "common/map.h"
#include "lang/builtins.h"

#define MODULE(m) extern const Builtin m##_builtins[];
#include "lang/builtins.def"
#undef MODULE

static const Builtin *const modules[] = {
#define MODULE(m) m##_builtins,
#include "lang/builtins.def"
#undef MODULE
};

typedef struct Entry {
        const Builtin *builtin;
        const Type *type;
} Entry;

static struct {
        Entry *entries;
        size_t n, capacity;
        Map *by_name;           /* Entry number + 1 */
} library;

static int load(void) {
        if (library.by_name)
                return 0;

        Map *by_name = map_new();
        if (!by_name)
                return -ENOMEM;
        library.n = 0;
        for (size_t m = 0; m < ELEMENTSOF(modules); m++)
                for (const Builtin *b = modules[m]; b->name; b++) {
                        Entry e = { .builtin = b };
                        if ((!b->infer && type_parse(NULL, b->signature, &e.type, NULL) < 0) ||
                            GROW(library.entries, library.n, library.capacity) < 0 ||
                            map_put(by_name, b->name, (void *) (library.n + 1)) < 0) {
                                map_free(by_name);
                                return -ENOMEM;
                        }
                        library.entries[library.n++] = e;
                }
        library.by_name = by_name;
        return 0;
}

static const Entry *entry_of(const char *name) {
        if (load() < 0)
                return NULL;

        size_t number = (size_t) map_get(library.by_name, name);
        return number > 0 ? &library.entries[number - 1] : NULL;
}

const Builtin *builtin_find(const char *name) {
        const Entry *e = entry_of(name);

        return e ? e->builtin : NULL;
}

const Builtin *builtin_at(size_t i) {
        return load() >= 0 && i < library.n ? library.entries[i].builtin : NULL;
}

const char *builtin_title(const Builtin *b) {
        const char *dot = strrchr(b->name, '.');

        return dot ? dot + 1 : b->name;
}

const char *builtin_module(const Builtin *b, size_t *ret_size) {
        const char *dot = strrchr(b->name, '.');

        *ret_size = dot ? (size_t) (dot - b->name) : 0;
        return b->name;
}

const Type *builtin_type(const Builtin *b) {
        const Entry *e = entry_of(b->name);

        return e ? e->type : NULL;
}

const char *builtin_arg_name(Arena *arena, const Builtin *b, size_t i) {
        const Type *t = b && !b->infer ? builtin_type(b) : NULL;

        if (t && i < t->n_fields)
                return t->fields[i].name;
        if (i < 26)
                return arena_printf(arena, "%c", (int) ('a' + i));
        return arena_printf(arena, "%c%c", (int) ('a' + (i / 26 - 1) % 26), (int) ('a' + i % 26));
}

const BuiltinConst builtin_consts[] = {
        { .name = "hostname", .is_hostname = true },
        { "purpleidea", "hello world!" },
        { "const.res.file.state.exists", "exists" },
        { "const.res.file.state.absent", "absent" },
        { "const.res.file.state.undefined", "" },
        { "const.res.firewalld.state.exists", "exists" },
        { "const.res.firewalld.state.absent", "absent" },
        { "const.res.firewalld.state.undefined", "" },
        { "const.res.net.state.up", "up" },
        { "const.res.net.state.down", "down" },
        { "const.res.net.state.undefined", "" },
        { "const.res.tar.format.unknown", NULL, 0 },
        { "const.res.tar.format.ustar", NULL, 2 },
        { "const.res.tar.format.pax", NULL, 4 },
        { "const.res.tar.format.gnu", NULL, 8 },
        { "const.res.gzip.level.no_compression", NULL, 0 },
        { "const.res.gzip.level.best_speed", NULL, 1 },
        { "const.res.gzip.level.best_compression", NULL, 9 },
        { "const.res.gzip.level.default_compression", NULL, -1 },
        { "const.res.gzip.level.huffman_only", NULL, -2 },
        { "example.test1", NULL, 13 },
        { "os.family_redhat", "redhat" },
        { "os.family_debian", "debian" },
        { "os.family_archlinux", "archlinux" },
        {}
};

const char *builtin_module_text(const char *module) {
        return streq(module, "example") ? example_source : NULL;
}
