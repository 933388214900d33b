/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See doc-manual.h: what there is, and what it is called. */

#include <errno.h>

#include "common/paths.h"
#include "daemons/mgmtctl/doc-manual.h"

const char *module_alias(const char *module) {
        const char *slash = strrchr(module, '/');

        return slash ? slash + 1 : module;
}

bool topic_is_of_module(const Topic *t, const char *module) {
        size_t n = strlen(module);

        if (t->kind == TOPIC_FUNCTION)
                return n == 0 ? !strchr(t->name, '.') : startswith(t->name, module) && t->name + n == strrchr(t->name, '.');
        return t->kind == TOPIC_CONST && n > 0 && startswith(t->name + 1, module) && t->name[1 + n] == '.' &&
               !strchr(t->name + n + 2, '.');
}

const char *topic_short_name(const Topic *t) {
        switch (t->kind) {
        case TOPIC_FUNCTION:
                return builtin_title(t->function);
        case TOPIC_FIELD:
                return t->field->name;
        case TOPIC_META:
                return t->meta->name;
        case TOPIC_CONST:
                return t->name + 1;
        default:
                return t->name;
        }
}

/* As edges name it: Http:Server for http:server. */
static bool is_capitalised(const char *wanted, const char *kind) {
        bool begins = true;

        for (; *kind && *wanted; kind++, wanted++) {
                if (*wanted != (begins && *kind >= 'a' && *kind <= 'z' ? *kind - 'a' + 'A' : *kind))
                        return false;
                begins = *kind == ':';
        }
        return *kind == *wanted;
}

/* Constants are a tree; the part of it that is asked for ends where a name does. */
static bool is_const_below(const char *name, const char *wanted) {
        const char *rest = startswith(name, wanted);

        return rest && (!*rest || (*rest == '.' && startswith(name, "const.")));
}

TopicRank topic_rank(const Topic *t, const char *wanted) {
        const char *rest;

        if (*wanted && streq(t->name, wanted))
                return TOPIC_EXACT;
        switch (t->kind) {
        case TOPIC_MODULE:
                if (!*t->name)
                        return streq(wanted, MODULE_CORE) ? TOPIC_EXACT : TOPIC_OTHER;
                return streq(module_alias(t->name), wanted) ? TOPIC_LIKELY : TOPIC_OTHER;
        case TOPIC_KIND:
                return is_capitalised(wanted, t->name) ? TOPIC_LIKELY : TOPIC_OTHER;
        case TOPIC_META:
                rest = startswith(wanted, "Meta");
                return streq(rest && (*rest == ':' || *rest == '.') ? rest + 1 : wanted, t->meta->name) ? TOPIC_EXACT : TOPIC_OTHER;
        case TOPIC_CONST:
                return is_const_below(t->name + 1, *wanted == '$' ? wanted + 1 : wanted) ? TOPIC_EXACT : TOPIC_OTHER;
        case TOPIC_FUNCTION:
                return streq(topic_short_name(t), wanted) || streq(module_alias(t->name), wanted) ? TOPIC_LIKELY : TOPIC_OTHER;
        case TOPIC_FIELD:
                return streq(topic_short_name(t), wanted) ? TOPIC_LIKELY : TOPIC_OTHER;
        default:
                return TOPIC_OTHER;
        }
}

/* ---- the tables ---- */

/* name: in the arena, or of a table; NULL if out of memory. */
static int add(Manual *m, Topic t) {
        if (!t.name || !t.doc || GROW(m->topics, m->n, m->capacity) < 0)
                return -ENOMEM;
        m->topics[m->n++] = t;
        return 0;
}

static int compare_functions(const void *a, const void *b) {
        const Builtin *x = *(const Builtin *const *) a, *y = *(const Builtin *const *) b;
        size_t n, k;
        const char *module_x = builtin_module(x, &n), *module_y = builtin_module(y, &k);
        int r = memcmp(module_x, module_y, MIN(n, k));

        return r != 0 ? r : n != k ? (n > k) - (n < k) : strcmp(builtin_title(x), builtin_title(y));
}

static int add_module(Manual *m, const char *module) {
        const char *doc = *module ? arena_printf(m->arena, "Functions of `import \"%s\"`.", module) : "Functions without import.";

        return add(m, (Topic) { .kind = TOPIC_MODULE, .name = module, .doc = doc });
}

static int add_functions(Manual *m) {
        size_t n = 0, n_all = 0;
        const char *module = NULL;
        const Builtin *b;
        int r = 0;

        while (builtin_at(n_all))
                n_all++;
        const Builtin **sorted = arena_array(m->arena, const Builtin *, n_all + 1);
        if (!sorted)
                return -ENOMEM;
        for (size_t i = 0; (b = builtin_at(i)); i++)
                if (*builtin_title(b) != '_')   /* of those only the compiler knows */
                        sorted[n++] = b;
        qsort(sorted, n, sizeof(*sorted), compare_functions);
        for (size_t i = 0; i < n && r >= 0; i++) {
                size_t size;
                const char *name = builtin_module(sorted[i], &size);
                if (!module || strlen(module) != size || memcmp(module, name, size) != 0) {
                        module = arena_strndup(m->arena, name, size);
                        r = module ? add_module(m, module) : -ENOMEM;
                }
                if (r >= 0)
                        r = add(m, (Topic) { .kind = TOPIC_FUNCTION, .name = sorted[i]->name, .doc = sorted[i]->doc ?: "",
                                             .function = sorted[i] });
        }
        return r;
}

static int add_kinds(Manual *m) {
        int r = 0;

        for (size_t i = 0; i < schema_count(m->schema) && r >= 0; i++) {
                const SchemaKind *k = schema_at(m->schema, i);
                r = add(m, (Topic) { .kind = TOPIC_KIND, .name = k->kind, .doc = k->doc, .resource = k });
                for (size_t f = 0; f < k->n_fields && r >= 0; f++)
                        r = add(m, (Topic) { .kind = TOPIC_FIELD, .name = arena_printf(m->arena, "%s.%s", k->kind, k->fields[f].name),
                                             .doc = k->fields[f].doc, .resource = k, .field = &k->fields[f] });
        }
        return r;
}

static int add_metas(Manual *m) {
        int r = 0;

        for (const QueryItem *p = query_properties; p->name && r >= 0; p++)
                r = add(m, (Topic) { .kind = streq(p->name, "Meta") ? TOPIC_METAS : TOPIC_PROPERTY, .name = p->name, .doc = p->doc,
                                     .property = p });
        for (const FieldSpec *f = meta_fields; f->name && r >= 0; f++)
                r = add(m, (Topic) { .kind = TOPIC_META, .name = arena_printf(m->arena, "Meta:%s", f->name), .doc = f->doc, .meta = f });
        return r;
}

static const char *const_text(Manual *m, const BuiltinConst *c) {
        if (c->is_hostname)
                return "The name of this host.";
        return c->text ? arena_printf(m->arena, "`\"%s\"`", c->text) : arena_printf(m->arena, "`%lld`", (long long) c->number);
}

static int add_consts(Manual *m) {
        int r = 0;

        for (const BuiltinConst *c = builtin_consts; c->name && r >= 0; c++)
                r = add(m, (Topic) { .kind = TOPIC_CONST, .name = arena_printf(m->arena, "$%s", c->name), .doc = const_text(m, c),
                                     .constant = c });
        return r;
}

int manual_open(Manual *ret, Diag *reterr) {
        _cleanup_free_ char *kinds = path_data("kinds.json");
        int r;

        *ret = (Manual) { .arena = arena_new(0) };
        if (!kinds || !ret->arena)
                return -ENOMEM;
        r = schema_load(&ret->schema, kinds, reterr);
        if (r >= 0)
                r = add_functions(ret);
        if (r >= 0)
                r = add_kinds(ret);
        if (r >= 0)
                r = add_metas(ret);
        if (r >= 0)
                r = add_consts(ret);
        return r;
}

void manual_done(Manual *m) {
        free(m->topics);
        schema_free(m->schema);
        arena_free(m->arena);
}
