/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>

#include "common/edge-rule.h"

/* Tables are checked: the field is there. */
static const char *text_of(const Resource *r, const char *field) {
        return resource_text(r, field_find(r->type->fields, field));
}

char *image_reference(const char *name) {
        static const char *const prefixes[] = { "docker.io/library/", "docker.io/" };
        const char *last;
        char *s;

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (startswith(name, prefixes[i])) {
                        name = startswith(name, prefixes[i]);
                        break;
                }
        /* a colon before the last slash is a port */
        last = strrchr(name, '/');
        last = last ? last + 1 : name;
        return asprintf(&s, "%s%s", name, strpbrk(last, ":@") ? "" : ":latest") < 0 ? NULL : s;
}

static bool has_after(const Resource *r, const EdgeRule *e) {
        const char *blank = e->after ? strchr(e->after, ' ') : NULL;
        _cleanup_free_ char *field = blank ? strndup(e->after, (size_t) (blank - e->after)) : NULL;

        return field && streq(text_of(r, field), blank + 1);
}

static int add(const Resource *r, const EdgeRule *e, ResourceUids *ret) {
        const char *text = e->field ? text_of(r, e->field) : r->name;
        _cleanup_free_ char *reference = NULL;

        if (!text[0])
                return 0;
        if (e->image) {
                reference = image_reference(text);
                if (!reference)
                        return -ENOMEM;
        }
        return resource_uids_add(ret, e->domain, reference ? reference : text, !e->offers && has_after(r, e));
}

static int add_all(const Resource *r, bool offers, ResourceUids *ret) {
        int k = 0;

        for (const EdgeRule *e = r->type->edges; e && e->domain && k >= 0; e++)
                if (e->offers == offers)
                        k = add(r, e, ret);
        return k;
}

int edge_offers(const Resource *r, ResourceUids *ret) {
        int k = r->type->uids ? r->type->uids(r, ret) : 0;

        return k < 0 ? k : add_all(r, true, ret);
}

int edge_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        int k = r->type->wants ? r->type->wants(r, batch, ret) : 0;

        return k < 0 || batch > 0 ? k : add_all(r, false, ret);
}

bool edge_may_want(const ResourceType *t) {
        bool wants = t->wants;

        for (const EdgeRule *e = t->edges; e && e->domain && !wants; e++)
                wants = !e->offers;
        return wants;
}

static bool is_text(const ResourceType *t, const char *name, size_t size) {
        for (const FieldSpec *f = t->fields; f && f->name; f++)
                if (strlen(f->name) == size && memcmp(f->name, name, size) == 0)
                        return f->type == FIELD_STR && !(f->flags & FIELD_OPTIONAL);
        return false;
}

const char *edge_check(const ResourceType *t, const EdgeRule *e) {
        const char *blank = e->after ? strchr(e->after, ' ') : NULL;

        if (!e->domain[0])
                return "an edge of no domain";
        if (e->field && !is_text(t, e->field, strlen(e->field)))
                return "an edge by what is not a str field";
        if (e->after && (e->offers || !blank || !is_text(t, e->after, (size_t) (blank - e->after))))
                return "an edge that is turned round by what is not a str field and one of its values";
        return NULL;
}
