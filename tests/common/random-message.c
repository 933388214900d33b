/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Random content favours the edges: nothing, the smallest, the largest, the odd. */

#include <math.h>
#include <stdio.h>

#include "tests/common/random-message.h"

const MessageType message_types[] = {
#define MESSAGE(number, NAME, member) MESSAGE_##NAME,
#include "common/message.def"
};
const size_t n_message_types = ELEMENTSOF(message_types);

static size_t below(size_t n) {
        return (size_t) random() % n;
}

static uint64_t random_bits(void) {
        static const uint64_t edges[] = { 0, 1, UINT64_MAX, INT64_MAX, (uint64_t) INT64_MIN, UINT32_MAX, INT32_MAX, 1 << 15, 255 };

        if (below(2) == 0)
                return edges[below(ELEMENTSOF(edges))];
        return (uint64_t) random() << 42 ^ (uint64_t) random() << 21 ^ (uint64_t) random();
}

static char *or_abort(char *s) {
        return s ?: (abort(), NULL);
}

static char *random_name(void) {
        static const char *const names[] = { "file", "a", "", "/tmp/x", "\xc3\xa4\xc3\xb6", "$x", "with blank", "http:server", "\xf0\x9f\x98\x80" };
        char *long_name;

        if (below(20) > 0)
                return or_abort(strdup(names[below(ELEMENTSOF(names))]));
        return asprintf(&long_name, "%*s", (int) below(3000), "x") < 0 ? or_abort(NULL) : long_name;
}

static char *random_string(void) {
        if (below(4) == 0)
                return NULL;
        return below(5) == 0 ? or_abort(strdup("\xff no utf-8 \x01")) : random_name();
}

static char **random_strv(void) {
        size_t n = below(4);
        char **v = calloc(n + 1, sizeof(char *));

        for (size_t i = 0; v && i < n; i++)
                v[i] = random_name();
        return v ?: (abort(), NULL);
}

static Pos random_pos(void) {
        return (Pos) { random_string(), (uint32_t) random_bits(), (uint32_t) random_bits(), (uint32_t) random_bits(), (uint32_t) random_bits() };
}

static double random_float(void) {
        static const double edges[] = { 0, -0.0, 1.5, INFINITY, -INFINITY, NAN, 5e-324, 1e300 };
        return edges[below(ELEMENTSOF(edges))];
}

static Value random_scalar(bool key) {
        char bytes[40];
        Value v = VALUE_NIL;

        switch (below(key ? 4 : 5)) {
        case 0:
                return VALUE_BOOL(below(2));
        case 1:
                return VALUE_INT((int64_t) random_bits());
        case 2:
                return VALUE_FLOAT(random_float());
        case 3: {
                size_t n = below(sizeof(bytes));
                for (size_t i = 0; i < n; i++)
                        bytes[i] = (char) random();     /* NUL as well */
                if (value_str(&v, bytes, n) < 0)
                        abort();
                return v;
        }
        default:
                return v;
        }
}

Value random_value(unsigned depth) {
        Value items[8] = {}, v;
        char *names[4] = {};
        size_t n = below(4);
        int r;

        switch (depth > 0 ? below(6) : 0) {
        case 0:
        case 1:
                return random_scalar(false);
        case 2:
        case 3:
                for (size_t i = 0; i < n; i++)
                        items[i] = random_value(depth - 1);
                r = value_list(&v, items, n);
                break;
        case 4:
                for (size_t i = 0; i < n; i++) {
                        items[2 * i] = random_scalar(true);
                        items[2 * i + 1] = random_value(depth - 1);
                }
                r = value_map(&v, items, n);
                break;
        default:
                for (size_t i = 0; i < n; i++) {
                        names[i] = random_name();
                        items[i] = random_value(depth - 1);
                }
                r = value_struct(&v, (const char *const *) names, items, n);
                for (size_t i = 0; i < n; i++)
                        free(names[i]);
        }
        return r < 0 ? (abort(), VALUE_NIL) : v;
}

static Diag random_diag(void) {
        Diag d = { .error = -(int) below(100), .pos = random_pos(), .message = random_string(), .n_notes = below(3) };

        d.notes = d.n_notes > 0 ? calloc(d.n_notes, sizeof(DiagNote)) : NULL;
        for (size_t i = 0; i < d.n_notes; i++)
                d.notes[i] = (DiagNote) { .text = random_name(), .pos = random_pos() };
        return d;
}

static Meta random_meta(void) {
        Meta m;

        meta_init(&m);
        if (below(2) == 0)
                return m;
        m.noop = below(2);
        m.retry = (int16_t) random_bits();
        m.delay = random_bits() & INT64_MAX;    /* larger ones have no value in the language */
        m.poll = (int32_t) random_bits();
        m.limit = random_float();
        m.burst = (int64_t) random_bits();
        m.sema = below(2) ? random_strv() : NULL;
        m.export = below(2) ? random_strv() : NULL;
        m.autoedge = below(2);
        return m;
}

static ResourceSpec random_resource(void) {
        ResourceSpec s = { .kind = random_name(), .name = random_name(), .pos = random_pos(), .meta = random_meta(), .n_fields = below(12) };

        s.fields = s.n_fields > 0 ? calloc(s.n_fields, sizeof(FieldValue)) : NULL;
        for (size_t i = 0; i < s.n_fields; i++)
                s.fields[i] = (FieldValue) { .name = random_name(), .value = random_value(3) };
        return s;
}

static EdgeSpec random_edge(void) {
        EdgeSpec e = { .from_kind = random_name(), .from_name = random_name(), .to_kind = random_name(), .to_name = random_name(),
                       .notify = below(2), .pos = random_pos() };

        if (below(2)) {
                e.send_key = random_name();
                e.receive_field = random_name();
        }
        return e;
}

void random_message(MessageType type, Message *ret) {
        *ret = (Message) { .type = type };

        switch ((int) type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&ret->member) p = &ret->member;
#define END(NAME, member) break; }
#define BOOL(x) p->x = below(2);
#define U32(x) p->x = (uint32_t) random_bits();
#define U64(x) p->x = random_bits();
#define I32(x) p->x = (int32_t) random_bits();
#define I64(x) p->x = (int64_t) random_bits();
#define STR(x) p->x = random_string();
#define TEXT(x) p->x = random_string();
#define VALUE(x) p->x = random_value(5);
#define DIAG(x) p->x = random_diag();
#define META(x) p->x = random_meta();
#define RESOURCE(x) p->x = random_resource();
#define EDGE(x) p->x = random_edge();
#include "common/message.def"
        default:
                abort();
        }
}

/* ---- comparing ---- */

static bool values_equal(Value a, Value b) {
        return a.kind == b.kind && value_compare(a, b) == 0;    /* which knows where NaN stands */
}

static bool pos_equal(Pos a, Pos b) {
        return streq_ptr(a.file, b.file) && a.line == b.line && a.column == b.column && a.end_line == b.end_line &&
               a.end_column == b.end_column;
}

static bool diag_equal(const Diag *a, const Diag *b) {
        if (a->error != b->error || !pos_equal(a->pos, b->pos) || !streq_ptr(a->message, b->message) || a->n_notes != b->n_notes)
                return false;
        for (size_t i = 0; i < a->n_notes; i++)
                if (!streq(a->notes[i].text, b->notes[i].text) || !pos_equal(a->notes[i].pos, b->notes[i].pos))
                        return false;
        return true;
}

static bool resource_equals(const ResourceSpec *a, const ResourceSpec *b) {
        if (!streq(a->kind, b->kind) || !streq(a->name, b->name) || !pos_equal(a->pos, b->pos) || a->n_fields != b->n_fields ||
            !meta_equal(&a->meta, &b->meta, NULL))
                return false;
        for (size_t i = 0; i < a->n_fields; i++)
                if (!streq(a->fields[i].name, b->fields[i].name) || !values_equal(a->fields[i].value, b->fields[i].value))
                        return false;
        return true;
}

static bool edge_equal(const EdgeSpec *a, const EdgeSpec *b) {
        return streq(a->from_kind, b->from_kind) && streq(a->from_name, b->from_name) && streq(a->to_kind, b->to_kind) &&
               streq(a->to_name, b->to_name) && a->notify == b->notify && streq_ptr(a->send_key, b->send_key) &&
               streq_ptr(a->receive_field, b->receive_field) && pos_equal(a->pos, b->pos);
}

bool messages_equal(const Message *a, const Message *b, const char **ret_field) {
        if (a->type != b->type) {
                *ret_field = "type";
                return false;
        }

#define COMPARE(x, equal) \
        if (!(equal)) { \
                *ret_field = #x; \
                return false; \
        }
        switch ((int) a->type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&a->member) p = &a->member, q = &b->member;
#define END(NAME, member) break; }
#define BOOL(x) COMPARE(x, p->x == q->x)
#define U32(x) COMPARE(x, p->x == q->x)
#define U64(x) COMPARE(x, p->x == q->x)
#define I32(x) COMPARE(x, p->x == q->x)
#define I64(x) COMPARE(x, p->x == q->x)
#define STR(x) COMPARE(x, streq_ptr(p->x, q->x))
#define TEXT(x) COMPARE(x, streq_ptr(p->x, q->x))
#define VALUE(x) COMPARE(x, values_equal(p->x, q->x))
#define DIAG(x) COMPARE(x, diag_equal(&p->x, &q->x))
#define META(x) COMPARE(x, meta_equal(&p->x, &q->x, NULL))
#define RESOURCE(x) COMPARE(x, resource_equals(&p->x, &q->x))
#define EDGE(x) COMPARE(x, edge_equal(&p->x, &q->x))
#include "common/message.def"
        default:
                return false;
        }
        return true;
}
