/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Arbitrary bytes as a batch of frames. Whatever is accepted must survive another trip unchanged, and everything that is done with
 * values that arrived (printing, comparing, hashing, JSON) must bear it. */

#include <json.h>

#include "common/message.h"
#include "tests/common/random-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_value(Value v) {
        _cleanup_free_ char *text = value_text(v);
        _cleanup_(value_done) Value back = VALUE_NIL;
        struct json_object *j;

        if (!text || value_compare(v, v) != 0)
                abort();
        (void) value_hash(v);
        if (value_parse(text, NULL, &back, NULL) == 0)  /* names of struct fields may be such that it cannot be read */
                (void) value_compare(v, back);
        if (value_to_json(v, &j) < 0)
                abort();
        json_object_put(j);
}

static void use(const Message *m) {
        switch ((int) m->type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&m->member) p = &m->member;
#define END(NAME, member) break; }
#define VALUE(x) use_value(p->x);
#define RESOURCE(x) \
        for (size_t i = 0; i < p->x.n_fields; i++) \
                use_value(p->x.fields[i].value);
#define DIAG(x) free(diag_render(&p->x, "line\n", 5, false));
#include "common/message.def"
        default:
                abort();
        }
}

static void check_trip(const Message *m) {
        WireWriter w = {};
        const char *field;
        WireHeader header;
        Message back;

        if (message_encode(&w, m) < 0)
                abort();
        WireReader r = { .data = w.data, .size = w.size }, body;
        if (wire_next(&r, &header, &body) != 1 || message_decode(&header, &body, &back) < 0 || !messages_equal(m, &back, &field))
                abort();
        message_done(&back);
        wire_writer_done(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        WireReader r = { .data = data, .size = size }, body;
        WireHeader header;

        while (wire_next(&r, &header, &body) == 1) {
                Message m;

                if (message_decode(&header, &body, &m) < 0) {
                        if (m.type != 0)        /* a failure leaves nothing behind */
                                abort();
                        continue;
                }
                if (!message_name(m.type))
                        abort();
                use(&m);
                check_trip(&m);
                message_done(&m);
        }
        return 0;
}
