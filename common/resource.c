/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What kinds and hosts have in common. The functions for kinds pass on to the host; one that a host leaves out is skipped. */

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>

#include "common/edge-rule.h"
#include "common/hash.h"
#include "common/io.h"
#include "common/resource.h"
#include "common/strbuf.h"
#include "common/utf8.h"

/* ---- for kinds ---- */

void resource_changed(Resource *r) {
        if (r->host->changed)
                r->host->changed(r);
}

void resource_armed(Resource *r) {
        if (r->host->armed)
                r->host->armed(r);
}

void resource_watch_failed(Resource *r, int error, Diag *diag) {
        if (r->host->watch_failed)
                r->host->watch_failed(r, error, diag);
        if (diag)
                diag_done(diag);
}

void resource_finish(Resource *r, int result, Diag *diag) {
        assert(r->type->cancel);        /* see the contract: whoever answers later can be stopped */
        assert(result != CHECK_PENDING);
        if (r->host->finished)
                r->host->finished(r, result, diag);
        if (diag)
                diag_done(diag);
}

int resource_waiting(Resource *r, const char *reason) {
        if (r->host->waiting)
                r->host->waiting(r, reason);
        return -EAGAIN;
}

bool resource_refresh(const Resource *r) {
        return r->host->refresh && r->host->refresh(r);
}

bool resource_received(const Resource *r, const char *field) {
        const FieldSpec *f = r->received != 0 ? field_find(r->type->fields, field) : NULL;

        return f && (r->received >> (f - r->type->fields) & 1);
}

int resource_send(Resource *r, const char *key, Value v) {
        assert(field_find(r->type->sends, key));
        return r->host->send ? r->host->send(r, key, v) : 0;
}

static bool is_secret(const Resource *r, const char *field) {
        const FieldSpec *f = field_find(r->type->fields, field), *s = field_find(r->type->sends, field);

        return (f && ((f->flags & FIELD_SECRET) || (r->secret >> (f - r->type->fields) & 1))) || (s && (s->flags & FIELD_SECRET));
}

void resource_difference(Resource *r, Difference *d) {
        if (is_secret(r, d->field)) {
                free(TAKE_PTR(d->from));
                free(TAKE_PTR(d->to));
                free(TAKE_PTR(d->diff));
                d->flags |= DIFFERENCE_SECRET;
        }
        if (r->host->differs)
                r->host->differs(r, d);
        difference_done(d);
}

void resource_differs_bytes(Resource *r, const char *field, const char *from, size_t from_size, const char *to, size_t to_size) {
        Difference d = {};

        if (!r->host->differs)
                return;
        if (is_secret(r, field))
                from = to = NULL;
        /* For want of memory it goes unsaid; that something is wrong will be seen nevertheless. */
        if (difference_new(&d, field, from, from_size, to, to_size, r->applies) >= 0)
                resource_difference(r, &d);
}

void resource_differs(Resource *r, const char *field, const char *from, const char *to) {
        resource_differs_bytes(r, field, from, from ? strlen(from) : 0, to, to ? strlen(to) : 0);
}

void resource_differs_value(Resource *r, const char *field, Value from, Value to) {
        _cleanup_free_ char *a = NULL, *b = NULL;

        if (!r->host->differs)
                return;
        a = from.kind == TYPE_NIL ? NULL : value_text(from);
        b = to.kind == TYPE_NIL ? NULL : value_text(to);
        resource_differs(r, field, a, b);
}

void resource_differs_number(Resource *r, const char *field, uint64_t from, uint64_t to) {
        char a[24], b[24];

        (void) snprintf(a, sizeof(a), "%" PRIu64, from);
        (void) snprintf(b, sizeof(b), "%" PRIu64, to);
        resource_differs(r, field, a, b);
}

void resource_send_unknown(Resource *r, const char *key) {
        Difference d = { .field = strdup(key), .flags = DIFFERENCE_UNKNOWN };

        assert(field_find(r->type->sends, key));
        if (d.field)
                resource_difference(r, &d);
}

void resource_log(Resource *r, int priority, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (!r->host->log)
                return;
        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        r->host->log(r, priority, text ?: format);
}

int resource_uids_add(ResourceUids *uids, const char *domain, const char *key, bool after) {
        return resource_uids_add_n(uids, domain, key, strlen(key), after);
}

static int make_room(ResourceUid *u, size_t size) {
        char *grown;

        if (size <= u->room)
                return 0;
        size = MAX(size, (size_t) 64);
        grown = realloc(u->id, size);
        if (!grown)
                return -ENOMEM;
        u->id = grown;
        u->room = size;
        return 0;
}

int resource_uids_add_n(ResourceUids *uids, const char *domain, const char *key, size_t size, bool after) {
        const size_t n_domain = strlen(domain) + 1;
        ResourceUid *u;

        if (uids->n == uids->n_made) {
                if (GROW(uids->items, uids->n_made, uids->capacity) < 0)
                        return -ENOMEM;
                uids->items[uids->n_made++] = (ResourceUid) {};
        }
        u = &uids->items[uids->n];
        if (make_room(u, n_domain + size + 1) < 0)
                return -ENOMEM;
        memcpy(u->id, domain, n_domain);
        memcpy(u->id + n_domain, key, size);
        u->id[n_domain + size] = '\0';
        u->id_size = n_domain + size;
        u->domain = u->id;
        u->key = u->id + n_domain;
        u->after = after;
        u->fallback = false;
        uids->n++;
        return 0;
}

void resource_uids_clear(ResourceUids *uids) {
        uids->n = 0;
        uids->go_on = false;
}

void resource_uids_done(ResourceUids *uids) {
        for (size_t i = 0; i < uids->n_made; i++)
                free(uids->items[i].id);
        free(uids->items);
        *uids = (ResourceUids) {};
}

/* A name as one file name: readable, different for different names, within the 255 bytes that file systems allow. Long names
 * are cut and told apart by a hash, after a "%-" that no escape contains. */
static void put_file_name(StrBuf *b, const char *name) {
        enum { WHOLE_MAX = 200, CUT = 120 };
        size_t start = b->size;

        for (const char *p = name; *p; p++) {
                unsigned char c = (unsigned char) *p;
                bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                             (c == '.' && p > name);
                if (b->size - start > WHOLE_MAX)
                        break;
                if (plain)
                        strbuf_putc(b, (char) c);
                else
                        strbuf_printf(b, "%%%02x", c);
        }
        if (!b->failed && b->size - start > WHOLE_MAX) {
                size_t size = strlen(name);
                b->size = start + CUT;
                strbuf_printf(b, "%%-%016" PRIx64 "%016" PRIx64, hash_bytes_keyed((uint64_t[]) { 0, 0 }, name, size),
                              hash_bytes_keyed((uint64_t[]) { 1, 1 }, name, size));
        }
}

char *resource_file_name(const char *id) {
        StrBuf b = {};

        put_file_name(&b, id);
        return strbuf_take(&b);
}

int resource_state_dir(const Resource *r, char **ret) {
        StrBuf b = {};

        strbuf_printf(&b, "%s/resource/%s/", r->host->state_dir, r->type->kind);
        put_file_name(&b, r->name);
        strbuf_putc(&b, '/');
        _cleanup_free_ char *path = strbuf_take(&b);
        if (!path)
                return -ENOMEM;
        int error = r->host->only_looks ? 0 : make_directories(path, 0700);
        if (error < 0)
                return error;
        *ret = TAKE_PTR(path);
        return 0;
}

/* ---- for hosts ---- */

/* What is left empty holds the name, so that nobody has to ask. */
static int fall_back_on_name(Resource *r, const FieldSpec *f) {
        char **text = (char **) ((char *) r + f->offset), *name;

        if (!(f->flags & FIELD_IS_NAME) || **text)
                return 0;
        name = strdup(r->name);
        if (!name)
                return -ENOMEM;
        field_take_text(text, name);
        return 0;
}

int resource_store(Resource *r, const FieldSpec *f, Value v, Diag *reterr) {
        int error = field_set(f, r, v, reterr);

        return error < 0 ? error : fall_back_on_name(r, f);
}

int resource_new(Resource **ret, const ResourceType *type, ResourceHost *host, const char *name, Pos pos) {
        _cleanup_(resource_freep) Resource *r = calloc(1, type->size);
        int error;

        if (!r)
                return -ENOMEM;
        r->type = type;
        r->host = host;
        meta_init(&r->meta);
        r->pos = pos;
        r->pos.file = pos.file ? strdup(pos.file) : NULL;
        r->name = strdup(name);
        if (!r->name || (pos.file && !r->pos.file))
                return -ENOMEM;
        error = fields_init(type->fields, r);
        for (const FieldSpec *f = type->fields; error >= 0 && f && f->name; f++)
                error = fall_back_on_name(r, f);
        if (error >= 0 && type->init)
                error = type->init(r);
        if (error < 0)
                return error;
        *ret = TAKE_PTR(r);
        return 0;
}

static int copy_fields(Resource *to, const Resource *from) {
        for (const FieldSpec *f = from->type->fields; f && f->name; f++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                int r;

                if (f->flags & FIELD_HIDDEN)
                        continue;
                r = field_get(f, from, &v);
                if (r >= 0 && (v.kind != TYPE_NIL || (f->flags & FIELD_OPTIONAL)))
                        r = resource_store(to, f, v, NULL);
                if (r < 0)
                        return r;
        }
        return 0;
}

int resource_copy(Resource **ret, const Resource *r) {
        _cleanup_(resource_freep) Resource *copy = NULL;
        int k;

        k = resource_new(&copy, r->type, r->host, r->name, r->pos);
        if (k >= 0)
                k = meta_copy(&copy->meta, &r->meta);
        if (k >= 0)
                k = copy_fields(copy, r);
        if (k < 0)
                return k;
        copy->given = r->given;
        *ret = TAKE_PTR(copy);
        return 0;
}

Resource *resource_free(Resource *r) {
        if (!r)
                return NULL;
        if (r->type->done)
                r->type->done(r);
        fields_done(r->type->fields, r);
        meta_done(&r->meta);
        free(r->children);
        free(r->name);
        free((char *) r->pos.file);
        free(r);
        return NULL;
}

int resource_set(Resource *r, const char *field, Value v, Diag *reterr) {
        const FieldSpec *f = field_find(r->type->fields, field);

        if (!f || (f->flags & FIELD_HIDDEN))
                return diag_set(reterr, r->pos, -EINVAL, "field `%s` does not exist in `%s` resource", field, r->type->kind);

        int error = resource_store(r, f, v, reterr);
        if (error >= 0) {
                r->given |= UINT64_C(1) << (f - r->type->fields);
                return error;
        }
        (void) diag_set(reterr, r->pos, error, "%m");
        diag_prefix(reterr, "field '%s'", field);
        diag_place(reterr, r->pos);
        return error;
}

/* Any number is as good as any other, if it was given; an empty text or list says nothing. */
static bool is_missing(const FieldSpec *f, const Resource *r) {
        if (!(f->flags & FIELD_REQUIRED))
                return false;
        bool given = r->given >> (f - r->type->fields) & 1;
        bool says_nothing = (f->type == FIELD_STR || f->type == FIELD_STRV) && field_is_zero(f, r);
        return !given || says_nothing;
}

static int validate_poll(const Resource *r, Diag *reterr) {
        if ((r->type->flags & RESOURCE_NEEDS_POLL) && r->meta.poll == 0)
                return diag_set(reterr, r->pos, -EINVAL, "kind '%s' works with Meta:poll only", r->type->kind);
        if ((r->type->flags & RESOURCE_REFUSES_POLL) && r->meta.poll != 0)
                return diag_set(reterr, r->pos, -EINVAL, "kind '%s' does not work with Meta:poll", r->type->kind);
        return 0;
}

int resource_validate(const Resource *r, Diag *reterr) {
        int error;

        if (!*r->name)
                return diag_set(reterr, r->pos, -EINVAL, "the Res has an empty Name");
        if (!utf8_valid(r->name, strlen(r->name)))
                return diag_set(reterr, r->pos, -EINVAL, "the Res has a Name that is not UTF-8");
        error = meta_validate(&r->meta, reterr);
        if (error < 0) {
                diag_place(reterr, r->pos);
                return error;
        }
        if (*r->name == '$' && !r->meta.dollar)
                return diag_set(reterr, r->pos, -EINVAL, "the Res name starts with a $");
        if (r->meta.hidden)
                return 0;

        error = validate_poll(r, reterr);
        if (error < 0)
                return error;
        for (const FieldSpec *f = r->type->fields; f && f->name; f++)
                if (is_missing(f, r))
                        return diag_set(reterr, r->pos, -EINVAL, "field '%s' is required", f->name);
        error = r->type->validate ? r->type->validate(r, reterr) : 0;
        if (error < 0) {
                (void) diag_set(reterr, r->pos, error, "%m");
                diag_place(reterr, r->pos);
        }
        return error;
}

static bool differs(const char *what, const char **ret_field) {
        if (ret_field)
                *ret_field = what;
        return false;
}

static bool fields_equal(const Resource *a, const Resource *b, const char **ret_field) {
        for (const FieldSpec *f = a->type->fields; f && f->name; f++)
                if (!(f->flags & FIELD_HIDDEN) && !field_equal(f, a, b))
                        return differs(f->name, ret_field);
        return true;
}

static int compare_by_id(const void *a, const void *b) {
        const Resource *x = *(Resource *const *) a, *y = *(Resource *const *) b;

        return strcmp(x->type->kind, y->type->kind) ?: strcmp(x->name, y->name);
}

/* Grouped ones are compared in pairs, whatever order they were added in. */
static bool children_equal(const Resource *a, const Resource *b, const char **ret_field) {
        if (a->n_children != b->n_children)
                return differs("children", ret_field);
        if (a->n_children == 0)
                return true;

        size_t size = a->n_children * sizeof(Resource *);
        _cleanup_free_ Resource **x = malloc(size), **y = malloc(size);
        if (!x || !y)
                return differs("children", ret_field);
        memcpy(x, a->children, size);
        memcpy(y, b->children, size);
        qsort(x, a->n_children, sizeof(Resource *), compare_by_id);
        qsort(y, a->n_children, sizeof(Resource *), compare_by_id);
        for (size_t i = 0; i < a->n_children; i++)
                if (!resource_equal(x[i], y[i], ret_field))
                        return false;
        return true;
}

bool resource_equal(const Resource *a, const Resource *b, const char **ret_field) {
        if (!streq(a->type->kind, b->type->kind))
                return differs("kind", ret_field);
        if (!streq(a->name, b->name))
                return differs("name", ret_field);
        bool equal = a->type->equal ? a->type->equal(a, b, ret_field) : fields_equal(a, b, ret_field);
        return equal && meta_equal(&a->meta, &b->meta, ret_field) && children_equal(a, b, ret_field);
}

int resource_add_child(Resource *parent, Resource *child) {
        size_t n = parent->n_children;

        if ((n & (n - 1)) == 0) {       /* full whenever it holds a power of two (or nothing) */
                Resource **grown = reallocarray(parent->children, n > 0 ? n * 2 : 1, sizeof(Resource *));
                if (!grown)
                        return -ENOMEM;
                parent->children = grown;
        }
        parent->children[parent->n_children++] = child;
        child->parent = parent;
        return 0;
}

char *resource_id(const Resource *r) {
        StrBuf b = {};

        strbuf_puts(&b, r->type->kind);
        strbuf_putc(&b, '[');
        strbuf_puts(&b, r->name);
        strbuf_putc(&b, ']');
        return strbuf_take(&b);
}

const ResourceType *resource_type_find(const ResourceType *const *types, const char *kind) {
        for (; types && *types; types++)
                if (streq((*types)->kind, kind))
                        return *types;
        return NULL;
}

/* ---- the contract, as far as tables can break it ---- */

#define BROKEN(type, reterr, ...) diag_set((reterr), (Pos) {}, -EINVAL, __VA_ARGS__), \
        diag_prefix((reterr), "kind '%s'", (type)->kind ?: "?"), -EINVAL

static bool is_kind_name(const char *s) {
        static const char lower[] = "abcdefghijklmnopqrstuvwxyz", rest[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

        for (;;) {
                if (!*s || !strchr(lower, *s))
                        return false;
                s += strspn(s, rest);
                if (!*s)
                        return true;
                if (*s++ != ':')
                        return false;
        }
}

static int check_row(const ResourceType *t, const FieldSpec *rows, const FieldSpec *f, Diag *reterr) {
        bool nullable = f->type == FIELD_STR || f->type == FIELD_STRV || f->type == FIELD_VALUE;

        if ((unsigned) f->type >= _FIELD_TYPE_MAX)
                return BROKEN(t, reterr, "field '%s' has no type", f->name);
        if (!f->doc || !*f->doc)
                return BROKEN(t, reterr, "field '%s' has no doc", f->name);
        if (field_find(rows, f->name) != f)
                return BROKEN(t, reterr, "two fields are named '%s'", f->name);
        if ((f->type == FIELD_VALUE) != (f->mcl_type != NULL) || !field_mcl_type(f))
                return BROKEN(t, reterr, "field '%s' needs a valid mcl_type exactly if it is a value", f->name);
        if ((f->flags & FIELD_OPTIONAL) && !nullable)
                return BROKEN(t, reterr, "field '%s' cannot be optional: its type has no unset state; FIELD_VALUE with mcl_type has one",
                              f->name);
        if ((f->flags & FIELD_REQUIRED) && (f->flags & (FIELD_OPTIONAL | FIELD_IS_NAME) || f->initial))
                return BROKEN(t, reterr, "field '%s' is required, and need not be given", f->name);
        if ((f->flags & FIELD_IS_NAME) && (f->type != FIELD_STR || f->flags & FIELD_OPTIONAL || f->initial))
                return BROKEN(t, reterr, "field '%s' cannot fall back on the name: it must be a str, not optional, and without default",
                              f->name);
        return 0;
}

static int check_fields(const ResourceType *t, Diag *reterr) {
        enum { RECEIVED_BITS = 64 };

        if (fields_count(t->fields) > RECEIVED_BITS)
                return BROKEN(t, reterr, "more than %d fields", RECEIVED_BITS);
        for (const FieldSpec *f = t->fields; f && f->name; f++) {
                int r = check_row(t, t->fields, f, reterr);
                if (r < 0)
                        return r;
                if (f->offset < sizeof(Resource) || f->offset + field_type_size(f->type) > t->size)
                        return BROKEN(t, reterr, "field '%s' is not a member of the struct", f->name);
                if (f->initial) {
                        _cleanup_(value_done) Value v = {};
                        _cleanup_(diag_done) Diag why = {};
                        if (value_parse(f->initial, field_mcl_type(f), &v, &why) < 0)
                                return BROKEN(t, reterr, "field '%s': %s", f->name, why.message);
                }
        }
        for (const FieldSpec *f = t->sends; f && f->name; f++) {
                int r = check_row(t, t->sends, f, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_type(const ResourceType *t, Diag *reterr) {
        const FieldSpec *parent = t->parent_field ? field_find(t->fields, t->parent_field) : NULL;

        if (!t->kind || !is_kind_name(t->kind))
                return BROKEN(t, reterr, "not a name: lower-case words joined by colons");
        if (!t->doc || !*t->doc)
                return BROKEN(t, reterr, "no doc");
        if (t->size < sizeof(Resource))
                return BROKEN(t, reterr, "size does not include the Resource");
        if (!t->check_apply)
                return BROKEN(t, reterr, "no check_apply");
        if (!t->watch != !t->unwatch)
                return BROKEN(t, reterr, "watch and unwatch come together");
        if (t->first_match_ends && !t->wants)
                return BROKEN(t, reterr, "first_match_ends without wants");
        if (t->parent_field && (!parent || parent->type != FIELD_STR))
                return BROKEN(t, reterr, "parent field '%s' is not a str field", t->parent_field);
        if (t->parent_kind && !t->parent_field)
                return BROKEN(t, reterr, "a parent kind, but no parent field");
        if (t->parent_field && !t->parent_kind && !strchr(t->kind, ':'))
                return BROKEN(t, reterr, "a parent field, but no parent kind in the name");
        if ((t->flags & RESOURCE_NEEDS_POLL) && (t->flags & RESOURCE_REFUSES_POLL))
                return BROKEN(t, reterr, "needs and refuses Meta:poll");
        return check_fields(t, reterr);
}

const char *resource_text(const Resource *r, const FieldSpec *f) {
        return *(char *const *) ((const char *) r + f->offset) ?: "";
}

/* The next of a list of words with blanks between them, or NULL. */
static const FieldSpec *next_field(const ResourceType *t, const char **words) {
        const char *word = *words + strspn(*words, " ");
        size_t n = strcspn(word, " ");

        *words = word + n;
        for (const FieldSpec *f = t->fields; n > 0 && f && f->name; f++)
                if (strncmp(f->name, word, n) == 0 && f->name[n] == 0)
                        return f;
        return NULL;
}

bool resource_type_groups(const ResourceType *t) {
        return t->groups || t->groups_by;
}

bool resource_groups(const Resource *parent, const Resource *child) {
        const ResourceType *t = parent->type;
        const char *words = t->groups_by;
        const FieldSpec *f;

        if (t->groups)
                return t->groups(parent, child);
        while (words && (f = next_field(t, &words)))
                if (!streq(resource_text(parent, f), resource_text(child, f)))
                        return false;
        return t->groups_by;
}

static int check_groups_by(const ResourceType *t, Diag *reterr) {
        const char *words = t->groups_by;

        if (t->groups && t->groups_by)
                return BROKEN(t, reterr, "says twice how its equals are grouped");
        while (words && words[strspn(words, " ")]) {
                const FieldSpec *f = next_field(t, &words);
                if (!f || f->type != FIELD_STR)
                        return BROKEN(t, reterr, "groups by '%s', one of which is not a str field", t->groups_by);
        }
        return 0;
}

size_t resource_type_parent_kind(const ResourceType *t, const char **ret) {
        const char *colon = strrchr(t->kind, ':');

        if (!t->parent_field)
                return 0;
        *ret = t->parent_kind ? t->parent_kind : t->kind;
        return t->parent_kind ? strlen(t->parent_kind) : colon ? (size_t) (colon - t->kind) : 0;
}

bool resource_type_is_parent(const ResourceType *parent, const ResourceType *child) {
        const char *kind;
        size_t n = resource_type_parent_kind(child, &kind);

        return n > 0 && strncmp(parent->kind, kind, n) == 0 && parent->kind[n] == '\0';
}

/* Being groupable cannot be claimed but by what does it, groups, groups_by and parent_field. What is left to go wrong: a parent that
 * is not there, because a group lives in one daemon, and one that says it runs children that nobody can be. */
static int check_grouping(const ResourceType *const *types, const ResourceType *t, Diag *reterr) {
        bool has_parent = false, has_children = resource_type_groups(t);

        for (const ResourceType *const *other = types; *other; other++) {
                has_parent = has_parent || resource_type_is_parent(*other, t);
                has_children = has_children || resource_type_is_parent(t, *other);
        }
        if (t->parent_field && !has_parent)
                return BROKEN(t, reterr, "a parent field, but the parent kind is not among those of this daemon");
        if ((t->flags & RESOURCE_RUNS_CHILDREN) && !has_children)
                return BROKEN(t, reterr, "runs children, but no kind can be grouped into it");
        return 0;
}

static int check_edges(const ResourceType *t, Diag *reterr) {
        for (const EdgeRule *e = t->edges; e && e->domain; e++)
                if (edge_check(t, e))
                        return BROKEN(t, reterr, "%s", edge_check(t, e));
        return 0;
}

int resource_types_check(const ResourceType *const *types, Diag *reterr) {
        for (const ResourceType *const *t = types; t && *t; t++) {
                int r = check_type(*t, reterr);
                if (r < 0)
                        return r;
                if (resource_type_find(types, (*t)->kind) != *t)
                        return BROKEN(*t, reterr, "two kinds of this name");
        }
        for (const ResourceType *const *t = types; t && *t; t++) {
                int r = check_grouping(types, *t, reterr) ?: check_groups_by(*t, reterr) ?: check_edges(*t, reterr);
                if (r < 0)
                        return r;
        }
        return 0;
}
