/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Tables of kinds as JSON, out of one program and into another. Flags travel as words, so that a person can read the file and
 * numbers can change. */

#include <fcntl.h>
#include <json.h>

#include "common/arena.h"
#include "common/io.h"
#include "common/json-document.h"
#include "common/map.h"
#include "common/schema.h"

enum { SCHEMA_SIZE_MAX = 16 * 1024 * 1024 };

typedef struct FlagName {
        unsigned flag;
        const char *name;
} FlagName;

static const FlagName kind_flags[] = {
        { RESOURCE_REFRESHABLE, "refreshable" },
        { RESOURCE_RECEIVES, "receives" },
        { RESOURCE_RUNS_CHILDREN, "runs-children" },
        { RESOURCE_NEEDS_POLL, "needs-poll" },
        { RESOURCE_REFUSES_POLL, "refuses-poll" },
        {}
};

static const FlagName field_flags[] = {
        { FIELD_REQUIRED, "required" }, { FIELD_OPTIONAL, "optional" }, { FIELD_SECRET, "secret" }, { FIELD_IS_NAME, "is-name" }, {}
};

struct Schema {
        Arena *arena;           /* everything below but the index */
        SchemaKind *kinds;      /* sorted */
        size_t n_kinds;
        Map *index;
};

/* ---- out: json-c reports a lack of memory by NULL, which is put off until the end ---- */

typedef struct Writer {
        bool failed;
} Writer;

static void add(Writer *w, struct json_object *object, const char *key, struct json_object *j) {
        if (!j || json_object_object_add(object, key, j) < 0) {
                json_object_put(j);
                w->failed = true;
        }
}

static void append(Writer *w, struct json_object *array, struct json_object *j) {
        if (!j || json_object_array_add(array, j) < 0) {
                json_object_put(j);
                w->failed = true;
        }
}

static void add_string(Writer *w, struct json_object *object, const char *key, const char *s) {
        if (s)
                add(w, object, key, json_object_new_string(s));
}

static void add_flags(Writer *w, struct json_object *object, unsigned flags, const FlagName *names) {
        struct json_object *array = json_object_new_array();

        for (; array && names->name; names++)
                if (flags & names->flag)
                        append(w, array, json_object_new_string(names->name));
        add(w, object, "flags", array);
}

static struct json_object *describe_field(Writer *w, const FieldSpec *f) {
        struct json_object *j = json_object_new_object();
        const Type *type = field_mcl_type(f);
        _cleanup_free_ char *text = type ? type_text(type) : NULL, *native = strdup(f->native ?: f->name);

        if (!j || !text || !native) {
                json_object_put(j);
                return NULL;
        }
        if (!f->native && *native >= 'a' && *native <= 'z')
                *native = (char) (*native - 'a' + 'A');
        add_string(w, j, "name", f->name);
        add_string(w, j, "native", native);
        add_string(w, j, "type", field_type_name(f->type));
        add_string(w, j, "mcl", text);
        add_flags(w, j, f->flags, field_flags);
        add_string(w, j, "initial", f->initial);
        add_string(w, j, "merges", f->merges);
        add_string(w, j, "doc", f->doc);
        return j;
}

static struct json_object *describe_fields(Writer *w, const FieldSpec *fields) {
        struct json_object *array = json_object_new_array();

        for (const FieldSpec *f = fields; array && f && f->name; f++)
                if (!(f->flags & FIELD_HIDDEN))
                        append(w, array, describe_field(w, f));
        return array;
}

static struct json_object *describe_edges(Writer *w, const EdgeRule *e) {
        struct json_object *array = json_object_new_array();

        for (; array && e->domain; e++) {
                struct json_object *j = json_object_new_object();

                append(w, array, j);
                if (w->failed)
                        break;
                add_string(w, j, "domain", e->domain);
                add_string(w, j, "field", e->field);
                add(w, j, "offers", json_object_new_boolean(e->offers));
                add_string(w, j, "after", e->after);
                add(w, j, "image", json_object_new_boolean(e->image));
        }
        return array;
}

static struct json_object *describe_kind(Writer *w, const char *daemon, const ResourceType *t) {
        struct json_object *j = json_object_new_object();

        if (!j)
                return NULL;
        add_string(w, j, "kind", t->kind);
        add_string(w, j, "daemon", daemon);
        add_string(w, j, "doc", t->doc);
        add_string(w, j, "example", t->example);
        add_flags(w, j, t->flags, kind_flags);
        add_string(w, j, "parent_field", t->parent_field);
        add_string(w, j, "parent_kind", t->parent_kind);
        add(w, j, "groups", json_object_new_boolean(resource_type_groups(t) || t->parent_field));
        add_string(w, j, "groups_by", t->groups_by);
        add(w, j, "reversible", json_object_new_boolean(t->reverse != NULL));
        add(w, j, "edgeable", json_object_new_boolean(t->uids || t->wants || t->edges));
        if (t->edges)
                add(w, j, "edges", describe_edges(w, t->edges));
        add(w, j, "fields", describe_fields(w, t->fields));
        add(w, j, "sends", describe_fields(w, t->sends));
        return j;
}

int schema_describe(FILE *f, const char *daemon, const ResourceType *const *types) {
        struct json_object *array = json_object_new_array();
        Writer w = { .failed = !array };
        int r = 0;

        for (; array && types && *types; types++)
                append(&w, array, describe_kind(&w, daemon, *types));

        const int style = JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE;
        const char *text = w.failed ? NULL : json_object_to_json_string_ext(array, style);
        if (!text)
                r = -ENOMEM;
        else if (fprintf(f, "%s\n", text) < 0 || fflush(f) != 0)
                r = -EIO;
        json_object_put(array);
        return r;
}

/* ---- in ---- */

typedef struct Reader {
        Schema *schema;
        Diag *reterr;
} Reader;

static int bad(Reader *r, const char *what) {
        return diag_set(r->reterr, (Pos) {}, -EINVAL, "broken description of kinds: %s", what);
}

static int bad_member(Reader *r, const char *key, const char *what) {
        return diag_set(r->reterr, (Pos) {}, -EINVAL, "broken description of kinds: '%s' is %s", key, what);
}

static const JsonNode *member(const JsonNode *object, const char *key) {
        return json_object_find(object, (JsonText) { key, strlen(key) });
}

static int get_string(Reader *r, const JsonNode *object, const char *key, bool required, char **ret) {
        const JsonNode *j = member(object, key);

        *ret = NULL;
        if (!j)
                return required ? bad_member(r, key, "missing") : 0;
        if (j->kind != JSON_STRING)
                return bad_member(r, key, "not a string");
        *ret = arena_strndup(r->schema->arena, j->text.data, j->text.size);
        return *ret ? 0 : -ENOMEM;
}

static int get_array(Reader *r, const JsonNode *object, const char *key, const JsonNode **ret) {
        *ret = member(object, key);
        return *ret && (*ret)->kind == JSON_ARRAY ? 0 : bad_member(r, key, "not an array");
}

static bool text_is(JsonText text, const char *word) {
        return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

static bool get_bool(const JsonNode *object, const char *key) {
        const JsonNode *j = member(object, key);

        return j && j->kind == JSON_LITERAL && text_is(j->text, "true");
}

static int get_flags(Reader *r, const JsonNode *object, const FlagName *names, unsigned *ret) {
        const JsonNode *array;
        int e = get_array(r, object, "flags", &array);

        if (e < 0)
                return e;
        for (size_t i = 0; i < array->n; i++) {
                const JsonNode *word = array->items[i];
                bool has_text = word->kind == JSON_STRING || word->kind == JSON_LITERAL;
                const FlagName *f = names;
                while (f->name && !(word->kind == JSON_STRING && text_is(word->text, f->name)))
                        f++;
                if (!f->name)
                        return diag_set(r->reterr, (Pos) {}, -EINVAL, "broken description of kinds: unknown flag '%.*s'",
                                        has_text ? (int) word->text.size : 0, has_text ? word->text.data : "");
                *ret |= f->flag;
        }
        return 0;
}

static int read_field(Reader *r, const JsonNode *j, SchemaField *f) {
        char *type, *mcl;
        int e;

        if (j->kind != JSON_OBJECT)
                return bad(r, "a field is not an object");
        if ((e = get_string(r, j, "name", true, &f->name)) < 0 || (e = get_string(r, j, "native", true, &f->native)) < 0 ||
            (e = get_string(r, j, "doc", true, &f->doc)) < 0 || (e = get_string(r, j, "initial", false, &f->initial)) < 0 ||
            (e = get_string(r, j, "merges", false, &f->merges)) < 0 ||
            (e = get_string(r, j, "type", true, &type)) < 0 || (e = get_string(r, j, "mcl", true, &mcl)) < 0 ||
            (e = get_flags(r, j, field_flags, &f->flags)) < 0)
                return e;

        e = field_type_from_name(type);
        if (e < 0)
                return bad(r, "unknown type of a field");
        f->type = (FieldType) e;
        return type_parse(r->schema->arena, mcl, &f->mcl_type, r->reterr);
}

static int read_fields(Reader *r, const JsonNode *kind, const char *key, SchemaField **ret, size_t *ret_n) {
        const JsonNode *array;
        int e = get_array(r, kind, key, &array);

        if (e < 0)
                return e;
        size_t n = array->n;
        SchemaField *fields = arena_array(r->schema->arena, SchemaField, n);
        if (!fields)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                e = read_field(r, array->items[i], &fields[i]);
                if (e < 0)
                        return e;
        }
        *ret = fields;
        *ret_n = n;
        return 0;
}

static int read_edges(Reader *r, const JsonNode *kind, EdgeRule **ret) {
        const JsonNode *array;
        int e;

        if (!member(kind, "edges"))
                return 0;
        e = get_array(r, kind, "edges", &array);
        if (e < 0)
                return e;
        size_t n = array->n;
        EdgeRule *edges = arena_array(r->schema->arena, EdgeRule, n + 1);
        if (!edges)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const JsonNode *j = array->items[i];
                char *domain, *field, *after;

                if (j->kind != JSON_OBJECT)
                        return bad(r, "an edge is not an object");
                if ((e = get_string(r, j, "domain", true, &domain)) < 0 || (e = get_string(r, j, "field", false, &field)) < 0 ||
                    (e = get_string(r, j, "after", false, &after)) < 0)
                        return e;
                edges[i] = (EdgeRule) { .domain = domain, .field = field, .after = after, .offers = get_bool(j, "offers"),
                                        .image = get_bool(j, "image") };
        }
        *ret = edges;
        return 0;
}

static int read_kind(Reader *r, const JsonNode *j, SchemaKind *k) {
        int e;

        if (j->kind != JSON_OBJECT)
                return bad(r, "a kind is not an object");
        if ((e = get_string(r, j, "kind", true, &k->kind)) < 0 || (e = get_string(r, j, "daemon", true, &k->daemon)) < 0 ||
            (e = get_string(r, j, "doc", true, &k->doc)) < 0 || (e = get_string(r, j, "example", false, &k->example)) < 0 ||
            (e = get_string(r, j, "parent_field", false, &k->parent_field)) < 0 ||
            (e = get_string(r, j, "parent_kind", false, &k->parent_kind)) < 0 ||
            (e = get_string(r, j, "groups_by", false, &k->groups_by)) < 0 || (e = get_flags(r, j, kind_flags, &k->flags)) < 0 ||
            (e = read_fields(r, j, "fields", &k->fields, &k->n_fields)) < 0 || (e = read_edges(r, j, &k->edges)) < 0 ||
            (e = read_fields(r, j, "sends", &k->sends, &k->n_sends)) < 0) {
                if (k->kind)
                        diag_prefix(r->reterr, "kind '%s'", k->kind);
                return e;
        }
        k->groups = get_bool(j, "groups");
        k->reversible = get_bool(j, "reversible");
        k->edgeable = get_bool(j, "edgeable");
        return 0;
}

/* Whether the outer array holds arrays (the sum of several daemons) or kinds. */
static bool is_nested(const JsonNode *array) {
        return array->n > 0 && array->items[0]->kind == JSON_ARRAY;
}

static int read_kinds(Reader *r, const JsonNode *array) {
        for (size_t i = 0; i < array->n; i++) {
                int e = read_kind(r, array->items[i], &r->schema->kinds[r->schema->n_kinds]);
                if (e < 0)
                        return e;
                r->schema->n_kinds++;
        }
        return 0;
}

static int read_all(Reader *r, const JsonNode *top) {
        bool nested = is_nested(top);
        size_t n = nested ? 0 : top->n;

        for (size_t i = 0; nested && i < top->n; i++) {
                if (top->items[i]->kind != JSON_ARRAY)
                        return bad(r, "neither an array of kinds nor of such arrays");
                n += top->items[i]->n;
        }
        r->schema->kinds = arena_array(r->schema->arena, SchemaKind, n);
        if (!r->schema->kinds)
                return -ENOMEM;
        if (!nested)
                return read_kinds(r, top);
        for (size_t i = 0; i < top->n; i++) {
                int e = read_kinds(r, top->items[i]);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int compare_kinds(const void *a, const void *b) {
        return strcmp(((const SchemaKind *) a)->kind, ((const SchemaKind *) b)->kind);
}

static int make_index(Reader *r) {
        Schema *s = r->schema;

        qsort(s->kinds, s->n_kinds, sizeof(SchemaKind), compare_kinds);
        for (size_t i = 0; i < s->n_kinds; i++) {
                int e = map_put(s->index, s->kinds[i].kind, &s->kinds[i]);
                if (e < 0)
                        return e;
                if (e == 0)
                        return diag_set(r->reterr, (Pos) {}, -EINVAL, "broken description of kinds: two kinds '%s'", s->kinds[i].kind);
        }
        return 0;
}

int schema_parse(Schema **ret, const char *json, size_t size, Diag *reterr) {
        _cleanup_(schema_freep) Schema *s = calloc(1, sizeof(Schema));
        _cleanup_(arena_freep) Arena *document = arena_new(0);
        Reader reader = { .schema = s, .reterr = reterr };
        JsonNode *top;
        int r;

        if (!s || !document || !(s->arena = arena_new(0)) || !(s->index = map_new()))
                return -ENOMEM;
        if (size > SCHEMA_SIZE_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "description of kinds is larger than %d bytes", SCHEMA_SIZE_MAX);

        r = json_document_parse(document, json, size, &top, reterr);
        if (r < 0) {
                diag_prefix(reterr, "broken description of kinds");
                return r;
        }
        r = top->kind == JSON_ARRAY ? read_all(&reader, top) : bad(&reader, "not an array");
        if (r >= 0)
                r = make_index(&reader);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int schema_load(Schema **ret, const char *path, Diag *reterr) {
        _cleanup_free_ char *json = NULL;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, SCHEMA_SIZE_MAX, &json, &size);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        r = schema_parse(ret, json, size, reterr);
        if (r < 0 && reterr) {
                (void) diag_set(reterr, (Pos) {}, r, "%m");
                diag_prefix(reterr, "%s", path);
        }
        return r;
}

Schema *schema_free(Schema *s) {
        if (!s)
                return NULL;
        map_free(s->index);
        arena_free(s->arena);
        free(s);
        return NULL;
}

/* ---- asking ---- */

const SchemaKind *schema_kind(const Schema *s, const char *kind) {
        return map_get(s->index, kind);
}

static const SchemaField *find(const SchemaField *fields, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(fields[i].name, name))
                        return &fields[i];
        return NULL;
}

const SchemaField *schema_field(const SchemaKind *k, const char *name) {
        return find(k->fields, k->n_fields, name);
}

const SchemaField *schema_send(const SchemaKind *k, const char *name) {
        return find(k->sends, k->n_sends, name);
}

size_t schema_count(const Schema *s) {
        return s->n_kinds;
}

const SchemaKind *schema_at(const Schema *s, size_t i) {
        return &s->kinds[i];
}
