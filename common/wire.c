/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Frames. The reader trusts no number it finds: what a length or a count promises is compared with the bytes that are there, and
 * arrays grow as their elements arrive, so that memory stays proportional to the message whatever it claims. */

#include <endian.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "common/wire.h"

#define NONE UINT32_MAX                 /* the length of a NULL string, the count of a NULL list */

enum {
        RESERVE_MAX = 64,               /* elements allocated on a count's word alone */
};

/* ---- writing ---- */

static void fail_writing(WireWriter *w, int error) {
        if (w->error == 0)
                w->error = error;
}

static void *reserve(WireWriter *w, size_t size) {
        const size_t frame_max = WIRE_HEADER_SIZE + (size_t) WIRE_BODY_MAX;

        if (w->error != 0)
                return NULL;
        if (size > frame_max - (w->size - w->frame)) {
                fail_writing(w, -E2BIG);
                return NULL;
        }
        if (size > w->capacity - w->size) {
                size_t want = MAX(w->capacity * 2, w->size + size + 256);
                uint8_t *grown = realloc(w->data, want);
                if (!grown) {
                        fail_writing(w, -ENOMEM);
                        return NULL;
                }
                w->data = grown;
                w->capacity = want;
        }
        void *p = w->data + w->size;
        w->size += size;
        return p;
}

static void put(WireWriter *w, const void *data, size_t size) {
        void *p = reserve(w, size);

        if (p && size > 0)
                memcpy(p, data, size);
}

static void put_u8(WireWriter *w, uint8_t x) {
        put(w, &x, 1);
}

void wire_begin(WireWriter *w, uint16_t type) {
        w->error = 0;
        w->frame = w->size;

        uint8_t *p = reserve(w, WIRE_HEADER_SIZE);
        if (!p)
                return;
        uint16_t little = htole16(type);
        memcpy(p, (const uint8_t[WIRE_HEADER_SIZE]) { 'M', 'G', WIRE_VERSION }, WIRE_HEADER_SIZE);
        memcpy(p + 4, &little, sizeof(little));
}

int wire_end(WireWriter *w) {
        int r = w->error;

        if (r < 0) {
                w->size = w->frame;
                w->error = 0;
                return r;
        }
        uint32_t size = htole32((uint32_t) (w->size - w->frame - WIRE_HEADER_SIZE));
        memcpy(w->data + w->frame + 6, &size, sizeof(size));
        return 0;
}

void wire_put_bool(WireWriter *w, bool x) {
        put_u8(w, x);
}

void wire_put_u32(WireWriter *w, uint32_t x) {
        x = htole32(x);
        put(w, &x, sizeof(x));
}

void wire_put_u64(WireWriter *w, uint64_t x) {
        x = htole64(x);
        put(w, &x, sizeof(x));
}

void wire_put_i32(WireWriter *w, int32_t x) {
        wire_put_u32(w, (uint32_t) x);
}

void wire_put_i64(WireWriter *w, int64_t x) {
        wire_put_u64(w, (uint64_t) x);
}

static void put_bytes(WireWriter *w, const char *s, size_t size, size_t limit) {
        if (size > limit) {
                fail_writing(w, -E2BIG);
                return;
        }
        wire_put_u32(w, (uint32_t) size);
        put(w, s, size);
}

void wire_put_str(WireWriter *w, const char *s) {
        if (!s)
                wire_put_u32(w, NONE);
        else
                put_bytes(w, s, strlen(s), WIRE_NAME_MAX);
}

/* What identifies something: must be there, and must be text, because it goes on to the bus and the screen. */
static void put_name(WireWriter *w, const char *s) {
        if (!s || !utf8_valid(s, strlen(s)))
                fail_writing(w, -EINVAL);
        else
                wire_put_str(w, s);
}

/* A message for people may be cut rather than be the reason why it never arrives. */
void wire_put_text(WireWriter *w, const char *s) {
        size_t size = s ? strlen(s) : 0;

        if (size <= WIRE_NAME_MAX) {
                wire_put_str(w, s);
                return;
        }
        size = WIRE_NAME_MAX;
        while (size > 0 && (s[size] & 0xc0) == 0x80)
                size--;
        put_bytes(w, s, size, WIRE_NAME_MAX);
}

static void put_value(WireWriter *w, Value v, unsigned depth) {
        uint64_t bits;

        if (w->error != 0)
                return;
        if (depth >= VALUE_DEPTH_MAX) {
                fail_writing(w, -E2BIG);
                return;
        }
        put_u8(w, (uint8_t) v.kind);

        switch (v.kind) {
        case TYPE_NIL:
                break;
        case TYPE_BOOL:
                put_u8(w, v.b);
                break;
        case TYPE_INT:
                wire_put_i64(w, v.i);
                break;
        case TYPE_FLOAT:
                memcpy(&bits, &v.f, sizeof(bits));
                wire_put_u64(w, bits);
                break;
        case TYPE_STR:
                put_bytes(w, v.s->data, v.s->size, VALUE_STR_MAX);
                break;
        case TYPE_LIST:
                wire_put_u32(w, v.l->n);
                VALUE_LIST_FOREACH(item, v.l)
                        if (w->error == 0)
                                put_value(w, *item, depth + 1);
                break;
        case TYPE_MAP:
                wire_put_u32(w, v.m->n);
                for (uint32_t i = 0; i < v.m->n && w->error == 0; i++) {
                        put_value(w, v.m->items[i].key, depth + 1);
                        put_value(w, v.m->items[i].value, depth + 1);
                }
                break;
        case TYPE_STRUCT:
                wire_put_u32(w, v.st->n);
                for (uint32_t i = 0; i < v.st->n && w->error == 0; i++) {
                        put_name(w, v.st->fields[i].name->data);
                        put_value(w, v.st->fields[i].value, depth + 1);
                }
                break;
        default:
                fail_writing(w, -EINVAL);
        }
}

void wire_put_value(WireWriter *w, Value v) {
        put_value(w, v, 0);
}

static void wire_put_pos(WireWriter *w, Pos pos) {
        wire_put_str(w, pos.file);
        wire_put_u32(w, pos.line);
        wire_put_u32(w, pos.column);
        wire_put_u32(w, pos.end_line);
        wire_put_u32(w, pos.end_column);
}

void wire_put_diag(WireWriter *w, const Diag *d) {
        size_t n = MIN(d->n_notes, (size_t) DIAGS_MAX);

        wire_put_i32(w, d->error);
        wire_put_pos(w, d->pos);
        wire_put_text(w, d->message);
        wire_put_u32(w, (uint32_t) n);
        for (size_t i = 0; i < n; i++) {
                wire_put_text(w, d->notes[i].text);
                wire_put_pos(w, d->notes[i].pos);
        }
}

/* A bit per row of the table, set where the value is not the default, and then those values. */
void wire_put_meta(WireWriter *w, const Meta *m) {
        Meta defaults;
        uint32_t bits = 0;

        meta_init(&defaults);
        for (size_t i = 0; meta_fields[i].name; i++)
                if (!field_equal(&meta_fields[i], m, &defaults))
                        bits |= UINT32_C(1) << i;
        wire_put_u32(w, bits);
        for (size_t i = 0; meta_fields[i].name; i++) {
                Value v = VALUE_NIL;
                if (!(bits >> i & 1))
                        continue;
                int r = field_get(&meta_fields[i], m, &v);
                if (r < 0)
                        fail_writing(w, r);
                else
                        wire_put_value(w, v);
                value_done(&v);
        }
}

void wire_put_resource(WireWriter *w, const ResourceSpec *s) {
        put_name(w, s->kind);
        put_name(w, s->name);
        wire_put_pos(w, s->pos);
        wire_put_meta(w, &s->meta);
        wire_put_u32(w, (uint32_t) s->n_fields);
        for (size_t i = 0; i < s->n_fields && w->error == 0; i++) {
                put_name(w, s->fields[i].name);
                wire_put_value(w, s->fields[i].value);
        }
}

void wire_put_edge(WireWriter *w, const EdgeSpec *e) {
        put_name(w, e->from_kind);
        put_name(w, e->from_name);
        put_name(w, e->to_kind);
        put_name(w, e->to_name);
        wire_put_bool(w, e->notify);
        wire_put_str(w, e->send_key);
        wire_put_str(w, e->receive_field);
        wire_put_pos(w, e->pos);
}

void wire_writer_done(WireWriter *w) {
        free(w->data);
        *w = (WireWriter) {};
}

/* ---- reading ---- */

static void fail_reading(WireReader *r, int error) {
        if (r->error == 0)
                r->error = error;
}

static size_t left(const WireReader *r) {
        return r->error == 0 ? r->size - r->at : 0;
}

static const uint8_t *take(WireReader *r, size_t size) {
        if (left(r) < size || r->error != 0) {
                fail_reading(r, -EBADMSG);
                return NULL;
        }
        const uint8_t *p = r->data + r->at;
        r->at += size;
        return p;
}

static uint8_t get_u8(WireReader *r) {
        const uint8_t *p = take(r, 1);
        return p ? *p : 0;
}

int wire_next(WireReader *message, WireHeader *ret, WireReader *ret_body) {
        uint16_t type;
        uint32_t size;

        if (message->error == 0 && message->at == message->size)
                return 0;
        const uint8_t *p = take(message, WIRE_HEADER_SIZE);
        if (!p)
                return message->error;

        memcpy(&type, p + 4, sizeof(type));
        memcpy(&size, p + 6, sizeof(size));
        *ret = (WireHeader) { .version = p[2], .type = le16toh(type), .size = le32toh(size) };
        if (p[0] != 'M' || p[1] != 'G')
                fail_reading(message, -EBADMSG);
        else if (ret->version != WIRE_VERSION)
                fail_reading(message, -EPROTONOSUPPORT);
        else if (p[3] != 0 || ret->size > WIRE_BODY_MAX)
                fail_reading(message, -EBADMSG);
        const uint8_t *body = take(message, ret->size);
        if (!body)
                return message->error;
        *ret_body = (WireReader) { .data = body, .size = ret->size };
        return 1;
}

bool wire_get_bool(WireReader *r) {
        uint8_t x = get_u8(r);

        if (x > 1)
                fail_reading(r, -EBADMSG);
        return r->error == 0 && x == 1;
}

uint32_t wire_get_u32(WireReader *r) {
        const uint8_t *p = take(r, sizeof(uint32_t));
        uint32_t x = 0;

        if (p)
                memcpy(&x, p, sizeof(x));
        return le32toh(x);
}

uint64_t wire_get_u64(WireReader *r) {
        const uint8_t *p = take(r, sizeof(uint64_t));
        uint64_t x = 0;

        if (p)
                memcpy(&x, p, sizeof(x));
        return le64toh(x);
}

int32_t wire_get_i32(WireReader *r) {
        return (int32_t) wire_get_u32(r);
}

int64_t wire_get_i64(WireReader *r) {
        return (int64_t) wire_get_u64(r);
}

/* *ret_size bytes of text, borrowed from the frame. NULL for NULL, and for a failure. */
static const char *get_bytes(WireReader *r, size_t *ret_size) {
        uint32_t size = wire_get_u32(r);

        *ret_size = 0;
        if (r->error != 0 || size == NONE)
                return NULL;
        if (size > WIRE_NAME_MAX) {
                fail_reading(r, -E2BIG);
                return NULL;
        }
        const char *s = (const char *) take(r, size);
        if (s && memchr(s, '\0', size)) {
                fail_reading(r, -EBADMSG);
                return NULL;
        }
        if (s)
                *ret_size = size;
        return s;
}

static char *copy_bytes(WireReader *r, const char *s, size_t size) {
        char *copy = s ? strndup(s, size) : NULL;

        if (s && !copy)
                fail_reading(r, -ENOMEM);
        return copy;
}

char *wire_get_str(WireReader *r) {
        size_t size;
        const char *s = get_bytes(r, &size);

        return copy_bytes(r, s, size);
}

static const char *get_name_bytes(WireReader *r, size_t *ret_size) {
        const char *s = get_bytes(r, ret_size);

        if (s && utf8_valid(s, *ret_size))
                return s;
        fail_reading(r, -EBADMSG);
        return NULL;
}

static char *get_name(WireReader *r) {
        size_t size;
        const char *s = get_name_bytes(r, &size);

        return copy_bytes(r, s, size);
}

/* How many elements follow, each of at least min_size bytes. */
static uint32_t get_count(WireReader *r, size_t min_size, uint32_t limit) {
        uint32_t n = wire_get_u32(r);

        if (r->error == 0 && n > limit)
                fail_reading(r, -E2BIG);
        if (n > left(r) / min_size)
                fail_reading(r, -EBADMSG);
        return r->error == 0 ? n : 0;
}

static void get_value(WireReader *r, Value *ret, unsigned depth);

typedef struct Values {
        Value *items;
        size_t n, capacity;
} Values;

static void values_done(Values *l) {
        for (size_t i = 0; i < l->n; i++)
                value_done(&l->items[i]);
        free(l->items);
}

static bool is_key(Value v) {
        switch (v.kind) {
        case TYPE_BOOL:
        case TYPE_STR:
        case TYPE_INT:
        case TYPE_FLOAT:
                return true;
        case TYPE_STRUCT:
                for (uint32_t i = 0; i < v.st->n; i++)
                        if (!is_key(v.st->fields[i].value))
                                return false;
                return true;
        default:
                return false;
        }
}

static bool values_reserve(WireReader *r, Values *l, size_t n) {
        l->capacity = MIN(n, (size_t) RESERVE_MAX);
        l->items = malloc((l->capacity + 1) * sizeof(Value));
        if (!l->items)
                fail_reading(r, -ENOMEM);
        return l->items;
}

static bool get_into(WireReader *r, Values *l, unsigned depth) {
        if (GROW(l->items, l->n, l->capacity) < 0) {
                fail_reading(r, -ENOMEM);
                return false;
        }
        get_value(r, &l->items[l->n], depth);
        if (r->error == 0)
                l->n++;
        return r->error == 0;
}

static void get_list(WireReader *r, Value *ret, unsigned depth) {
        uint32_t n = get_count(r, 1, VALUE_ITEMS_MAX);
        _cleanup_(values_done) Values l = {};

        if (r->error != 0 || !values_reserve(r, &l, n))
                return;
        for (uint32_t i = 0; i < n; i++)
                if (!get_into(r, &l, depth))
                        return;
        int e = value_list(ret, l.items, l.n);
        if (e < 0)
                fail_reading(r, e);
}

static void get_map(WireReader *r, Value *ret, unsigned depth) {
        uint32_t n = get_count(r, 2, VALUE_ITEMS_MAX);
        _cleanup_(values_done) Values l = {};

        if (r->error != 0 || !values_reserve(r, &l, (size_t) n * 2))
                return;
        for (uint32_t i = 0; i < n; i++) {
                if (!get_into(r, &l, depth))
                        return;
                /* Whoever wrote it had it sorted; so nobody can make us sort. */
                const Value *key = &l.items[l.n - 1], *before = i > 0 ? key - 2 : NULL;
                if (!is_key(*key) || (before && (value_compare(*before, *key) > 0 || value_equal(*before, *key)))) {
                        fail_reading(r, -EBADMSG);
                        return;
                }
                if (!get_into(r, &l, depth))
                        return;
        }
        int e = value_map(ret, l.items, n);
        if (e < 0)
                fail_reading(r, e);
}

static void get_struct(WireReader *r, Value *ret, unsigned depth) {
        uint32_t n = get_count(r, sizeof(uint32_t) + 1, TYPE_FIELDS_MAX);
        ValueStruct *st = r->error == 0 ? malloc(sizeof(ValueStruct) + n * sizeof(ValueField)) : NULL;

        if (!st) {
                fail_reading(r, -ENOMEM);
                return;
        }
        *st = (ValueStruct) { .n_ref = 1 };
        _cleanup_(value_done) Value v = { .kind = TYPE_STRUCT, .st = st };
        for (uint32_t i = 0; i < n; i++) {
                size_t size;
                const char *s = get_name_bytes(r, &size);
                if (!s)
                        return;
                Value name;
                int e = value_str(&name, s, size);
                if (e < 0) {
                        fail_reading(r, e);
                        return;
                }
                st->fields[i] = (ValueField) { .name = name.s };
                st->n++;
                get_value(r, &st->fields[i].value, depth);
                if (r->error != 0)
                        return;
        }
        *ret = value_take(&v);
}

static void get_value_str(WireReader *r, Value *ret) {
        uint32_t size = wire_get_u32(r);

        if (size > VALUE_STR_MAX)
                fail_reading(r, -E2BIG);
        const char *s = (const char *) take(r, size);
        int e = s ? value_str(ret, s, size) : 0;
        if (e < 0)
                fail_reading(r, e);
}

/* *ret stays nil on failure. */
static void get_value(WireReader *r, Value *ret, unsigned depth) {
        uint8_t kind = get_u8(r);
        uint64_t bits;
        double f;

        *ret = VALUE_NIL;
        if (depth >= VALUE_DEPTH_MAX)
                fail_reading(r, -E2BIG);
        if (r->error != 0)
                return;

        switch (kind) {
        case TYPE_NIL:
                break;
        case TYPE_BOOL:
                *ret = VALUE_BOOL(wire_get_bool(r));
                break;
        case TYPE_INT:
                *ret = VALUE_INT(wire_get_i64(r));
                break;
        case TYPE_FLOAT:
                bits = wire_get_u64(r);
                memcpy(&f, &bits, sizeof(f));
                *ret = VALUE_FLOAT(f);
                break;
        case TYPE_STR:
                get_value_str(r, ret);
                break;
        case TYPE_LIST:
                get_list(r, ret, depth + 1);
                break;
        case TYPE_MAP:
                get_map(r, ret, depth + 1);
                break;
        case TYPE_STRUCT:
                get_struct(r, ret, depth + 1);
                break;
        default:
                fail_reading(r, -EBADMSG);
        }
        if (r->error != 0)
                value_done(ret);
}

void wire_get_value(WireReader *r, Value *ret) {
        get_value(r, ret, 0);
}

void wire_get_pos(WireReader *r, Pos *ret) {
        ret->file = wire_get_str(r);
        ret->line = wire_get_u32(r);
        ret->column = wire_get_u32(r);
        ret->end_line = wire_get_u32(r);
        ret->end_column = wire_get_u32(r);
}

void wire_get_diag(WireReader *r, Diag *ret) {
        *ret = (Diag) { .error = wire_get_i32(r) };
        if (ret->error > 0) {
                ret->error = 0;
                fail_reading(r, -EBADMSG);
        }
        wire_get_pos(r, &ret->pos);
        ret->message = wire_get_str(r);

        uint32_t n = get_count(r, 6 * sizeof(uint32_t), DIAGS_MAX);
        if (n == 0)
                return;
        ret->notes = calloc(n, sizeof(DiagNote));
        if (!ret->notes) {
                fail_reading(r, -ENOMEM);
                return;
        }
        for (; ret->n_notes < n; ret->n_notes++) {
                DiagNote *note = &ret->notes[ret->n_notes];
                note->text = wire_get_str(r);
                if (!note->text) {
                        fail_reading(r, -EBADMSG);
                        return;
                }
                wire_get_pos(r, &note->pos);
        }
}

void wire_get_meta(WireReader *r, Meta *ret) {
        uint32_t bits = wire_get_u32(r);
        size_t n = fields_count(meta_fields);

        meta_init(ret);
        if (bits >> n != 0)
                fail_reading(r, -EBADMSG);
        for (size_t i = 0; i < n && r->error == 0; i++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                if (!(bits >> i & 1))
                        continue;
                wire_get_value(r, &v);
                if (r->error != 0)
                        return;
                int e = field_set(&meta_fields[i], ret, v, NULL);
                if (e < 0)
                        fail_reading(r, e == -ENOMEM ? e : -EBADMSG);
        }
}

void wire_get_resource(WireReader *r, ResourceSpec *ret) {
        size_t capacity = 0;

        *ret = (ResourceSpec) {};
        ret->kind = get_name(r);
        ret->name = get_name(r);
        wire_get_pos(r, &ret->pos);
        wire_get_meta(r, &ret->meta);

        uint32_t n = get_count(r, sizeof(uint32_t) + 1, VALUE_ITEMS_MAX);
        for (uint32_t i = 0; i < n && r->error == 0; i++) {
                if (GROW(ret->fields, ret->n_fields, capacity) < 0) {
                        fail_reading(r, -ENOMEM);
                        return;
                }
                FieldValue *f = &ret->fields[ret->n_fields++];
                *f = (FieldValue) { .name = get_name(r) };
                wire_get_value(r, &f->value);
        }
}

void wire_get_edge(WireReader *r, EdgeSpec *ret) {
        *ret = (EdgeSpec) {};
        ret->from_kind = get_name(r);
        ret->from_name = get_name(r);
        ret->to_kind = get_name(r);
        ret->to_name = get_name(r);
        ret->notify = wire_get_bool(r);
        ret->send_key = wire_get_str(r);
        ret->receive_field = wire_get_str(r);
        wire_get_pos(r, &ret->pos);
        if (!ret->send_key != !ret->receive_field)
                fail_reading(r, -EBADMSG);
}

int wire_finish(WireReader *r) {
        if (r->error == 0 && r->at != r->size)
                r->error = -EBADMSG;
        return r->error;
}
