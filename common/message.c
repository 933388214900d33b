/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The rows of message.def, read four times: as names, as what writes, what reads, and what frees. */

#include "common/message.h"

const char *message_name(MessageType type) {
        switch ((int) type) {
#define MESSAGE(number, NAME, member) case number: return #NAME;
#include "common/message.def"
        default:
                return NULL;
        }
}

int message_encode(WireWriter *w, const Message *m) {
        wire_begin(w, (uint16_t) m->type);

        switch ((int) m->type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&m->member) p = &m->member;
#define END(NAME, member) break; }
#define BOOL(x) wire_put_bool(w, p->x);
#define U32(x) wire_put_u32(w, p->x);
#define U64(x) wire_put_u64(w, p->x);
#define I32(x) wire_put_i32(w, p->x);
#define I64(x) wire_put_i64(w, p->x);
#define STR(x) wire_put_str(w, p->x);
#define TEXT(x) wire_put_text(w, p->x);
#define VALUE(x) wire_put_value(w, p->x);
#define DIAG(x) wire_put_diag(w, &p->x);
#define META(x) wire_put_meta(w, &p->x);
#define RESOURCE(x) wire_put_resource(w, &p->x);
#define EDGE(x) wire_put_edge(w, &p->x);
#include "common/message.def"
        default:
                w->error = -EINVAL;
        }
        return wire_end(w);
}

int message_decode(const WireHeader *header, WireReader *body, Message *ret) {
        Message m = { .type = (MessageType) header->type };

        switch (header->type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&m.member) p = &m.member;
#define END(NAME, member) break; }
#define BOOL(x) p->x = wire_get_bool(body);
#define U32(x) p->x = wire_get_u32(body);
#define U64(x) p->x = wire_get_u64(body);
#define I32(x) p->x = wire_get_i32(body);
#define I64(x) p->x = wire_get_i64(body);
#define STR(x) p->x = wire_get_str(body);
#define TEXT(x) p->x = wire_get_str(body);
#define VALUE(x) wire_get_value(body, &p->x);
#define DIAG(x) wire_get_diag(body, &p->x);
#define META(x) wire_get_meta(body, &p->x);
#define RESOURCE(x) wire_get_resource(body, &p->x);
#define EDGE(x) wire_get_edge(body, &p->x);
#include "common/message.def"
        default:
                *ret = (Message) {};
                return -EBADMSG;
        }

        int r = wire_finish(body);
        if (r < 0) {
                message_done(&m);
                *ret = (Message) {};
                return r;
        }
        *ret = m;
        return 0;
}

void message_done(Message *m) {
        switch ((int) m->type) {
#define MESSAGE(number, NAME, member) case number: { _unused_ __typeof__(&m->member) p = &m->member;
#define END(NAME, member) break; }
#define STR(x) free(p->x);
#define TEXT(x) free(p->x);
#define VALUE(x) value_done(&p->x);
#define DIAG(x) diag_done(&p->x);
#define META(x) meta_done(&p->x);
#define RESOURCE(x) resource_spec_done(&p->x);
#define EDGE(x) edge_spec_done(&p->x);
#include "common/message.def"
        default:
                break;
        }
        *m = (Message) {};
}
