/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One reversal as text: a row per fact, a word and a value in its printed form, in which no line ever breaks. Rows are found by
 * name, so a later engine, with more metaparameters or fields, reads what an earlier one wrote. */

#include <stdio.h>

#include "common/strbuf.h"
#include "daemons/engine/reversal.h"

/* ---- writing ---- */

static void put_str(StrBuf *b, const char *word, const char *s) {
        strbuf_printf(b, "%s ", word);
        strbuf_quote(b, s, strlen(s));
        strbuf_putc(b, '\n');
}

static int put_fields(StrBuf *b, const char *prefix, const FieldSpec *fields, const void *object, const void *defaults) {
        for (const FieldSpec *f = fields; f && f->name; f++) {
                _cleanup_(value_done) Value v = VALUE_NIL;

                if ((f->flags & FIELD_HIDDEN) || (defaults && field_equal(f, object, defaults)))
                        continue;
                int r = field_get(f, object, &v);
                if (r < 0)
                        return r;
                if (v.kind == TYPE_NIL || v.kind == TYPE_FUNC)
                        continue;
                strbuf_printf(b, "%s.%s ", prefix, f->name);
                strbuf_value(b, v);
                strbuf_putc(b, '\n');
        }
        return 0;
}

char *reversal_format(const Resource *undo, const ResourceKey *after, size_t n_after) {
        _cleanup_(strbuf_done) StrBuf b = {};
        char place[512];
        Meta defaults;

        meta_init(&defaults);
        put_str(&b, "kind", undo->type->kind);
        put_str(&b, "name", undo->name);
        if (undo->pos.file) {
                (void) snprintf(place, sizeof(place), "%u:%s", undo->pos.line, undo->pos.file);
                put_str(&b, "place", place);
        }
        for (size_t i = 0; i < n_after; i++) {
                strbuf_puts(&b, "after [");
                strbuf_quote(&b, after[i].kind, strlen(after[i].kind));
                strbuf_puts(&b, ", ");
                strbuf_quote(&b, after[i].name, strlen(after[i].name));
                strbuf_puts(&b, "]\n");
        }
        if (put_fields(&b, "meta", meta_fields, &undo->meta, &defaults) < 0 ||
            put_fields(&b, "field", undo->type->fields, undo, NULL) < 0)
                return NULL;
        return strbuf_take(&b);
}

/* ---- reading ---- */

typedef struct Reader {
        Reversal *reversal;
        reversal_find_type_t find_type;
        void *userdata;
        const ResourceType *type;
} Reader;

/* A text without NUL. */
static int get_str(const char *text, char **ret) {
        _cleanup_(value_done) Value v = VALUE_NIL;

        if (value_parse(text, &type_str, &v, NULL) < 0 || v.kind != TYPE_STR || strlen(value_cstr(v)) != v.s->size)
                return -EBADMSG;
        free(*ret);
        *ret = strdup(value_cstr(v));
        return *ret ? 0 : -ENOMEM;
}

static int get_place(const char *text, ResourceSpec *spec) {
        _cleanup_free_ char *place = NULL;
        char *colon;
        int r;

        r = get_str(text, &place);
        if (r < 0)
                return r;
        spec->pos.line = (uint32_t) strtoul(place, &colon, 10);
        if (*colon != ':')
                return -EBADMSG;
        free((char *) spec->pos.file);
        spec->pos.file = strdup(colon + 1);
        return spec->pos.file ? 0 : -ENOMEM;
}

static int get_after(const char *text, Reversal *x) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        ResourceKey *grown;

        if (value_parse(text, &type_list_str, &v, NULL) < 0 || v.l->n != 2)
                return -EBADMSG;
        grown = reallocarray(x->after, x->n_after + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        x->after = grown;
        grown[x->n_after] = (ResourceKey) { .kind = strdup(value_cstr(value_list_at(v.l, 0))),
                                            .name = strdup(value_cstr(value_list_at(v.l, 1))) };
        x->n_after++;
        return grown[x->n_after - 1].kind && grown[x->n_after - 1].name ? 0 : -ENOMEM;
}

/* What a later engine has no more is passed over. */
static int get_meta(const char *name, const char *text, ResourceSpec *spec) {
        const FieldSpec *f = field_find(meta_fields, name);
        _cleanup_(value_done) Value v = VALUE_NIL;

        if (!f)
                return 0;
        int r = value_parse(text, field_mcl_type(f), &v, NULL);
        return r < 0 ? r : field_set(f, &spec->meta, v, NULL);
}

static int get_field(const Reader *reader, const char *name, const char *text) {
        ResourceSpec *spec = &reader->reversal->spec;
        const FieldSpec *f = reader->type ? field_find(reader->type->fields, name) : NULL;
        _cleanup_(value_done) Value v = VALUE_NIL;
        FieldValue *grown;

        if (!reader->type)
                return -EBADMSG;
        if (!f)
                return 0;
        int r = value_parse(text, field_mcl_type(f), &v, NULL);
        if (r < 0)
                return r;
        grown = reallocarray(spec->fields, spec->n_fields + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        spec->fields = grown;
        grown[spec->n_fields] = (FieldValue) { .name = strdup(name), .value = value_take(&v) };
        spec->n_fields++;
        return grown[spec->n_fields - 1].name ? 0 : -ENOMEM;
}

static int get_kind(Reader *reader, const char *text) {
        int r = get_str(text, &reader->reversal->spec.kind);
        if (r < 0)
                return r;
        reader->type = reader->find_type(reader->reversal->spec.kind, reader->userdata);
        return reader->type ? 0 : -ENOENT;
}

static int get_row(Reader *reader, const char *word, const char *text) {
        ResourceSpec *spec = &reader->reversal->spec;
        const char *name;

        if (streq(word, "kind"))
                return get_kind(reader, text);
        if (streq(word, "name"))
                return get_str(text, &spec->name);
        if (streq(word, "place"))
                return get_place(text, spec);
        if (streq(word, "after"))
                return get_after(text, reader->reversal);
        if ((name = startswith(word, "meta.")))
                return get_meta(name, text, spec);
        if ((name = startswith(word, "field.")))
                return get_field(reader, name, text);
        return 0;
}

int reversal_parse(Reversal **ret, const char *text, reversal_find_type_t find_type, void *userdata, Diag *reterr) {
        _cleanup_(reversal_freep) Reversal *x = calloc(1, sizeof(*x));
        _cleanup_free_ char *copy = strdup(text);
        Reader reader = { .reversal = x, .find_type = find_type, .userdata = userdata };
        char *state = NULL;
        unsigned line = 0;
        int r;

        if (!x || !copy)
                return -ENOMEM;
        meta_init(&x->spec.meta);
        for (char *row = strtok_r(copy, "\n", &state); row; row = strtok_r(NULL, "\n", &state)) {
                char *space = strchr(row, ' ');

                line++;
                if (space)
                        *space = '\0';
                r = space ? get_row(&reader, row, space + 1) : -EBADMSG;
                if (r < 0)
                        return diag_set(reterr, (Pos) {}, r, "line %u, '%s': %m", line, row);
        }
        if (!x->spec.kind || !x->spec.name)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "kind or name is missing");
        *ret = TAKE_PTR(x);
        return 0;
}

Reversal *reversal_free(Reversal *x) {
        if (!x)
                return NULL;
        resource_spec_done(&x->spec);
        for (size_t i = 0; i < x->n_after; i++) {
                free(x->after[i].kind);
                free(x->after[i].name);
        }
        free(x->after);
        free(x->path);
        free(x);
        return NULL;
}
