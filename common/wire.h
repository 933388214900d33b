/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The bytes between daemons. A frame is a header and a typed body; a ZeroMQ message is a row of frames (messages are batched).
 *
 *      offset 0   'M' 'G'     magic
 *             2   u8          version of this format
 *             3   u8          reserved, 0
 *             4   u16         message type, see message.def
 *             6   u32         size of the body in bytes
 *            10   body        the fields of the message in the order of their rows, little endian
 *
 * Everything read from a frame is checked: sizes against what is there and against limits, booleans, enums, UTF-8 of names
 * (kinds, names of resources and fields; other texts may be any bytes but NUL), nesting. A frame of another version is refused as
 * a whole and answered with MESSAGE_ERROR. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/diag.h"
#include "common/value.h"

enum {
        WIRE_VERSION = 1,
        WIRE_HEADER_SIZE = 10,
        WIRE_BODY_MAX = 64 * 1024 * 1024,
        WIRE_NAME_MAX = 64 * 1024,              /* names, keys, texts; contents are Values */
};

typedef struct WireHeader {
        uint8_t version;
        uint16_t type;
        uint32_t size;
} WireHeader;

/* ---- writing: the first failure sticks ---- */

typedef struct WireWriter {
        uint8_t *data;          /* owned */
        size_t size, capacity;
        int error;              /* 0, -ENOMEM, -E2BIG or -EINVAL */
        size_t frame;           /* where the open frame begins */
} WireWriter;

void wire_begin(WireWriter *w, uint16_t type);
int wire_end(WireWriter *w);    /* fills in the size; on error the open frame is taken back and the error is returned */
void wire_put_bool(WireWriter *w, bool x);
void wire_put_u32(WireWriter *w, uint32_t x);
void wire_put_u64(WireWriter *w, uint64_t x);
void wire_put_i32(WireWriter *w, int32_t x);
void wire_put_i64(WireWriter *w, int64_t x);
void wire_put_str(WireWriter *w, const char *s);        /* NULL is kept apart from "" */
void wire_put_text(WireWriter *w, const char *s);       /* for people: cut if it is too long, rather than refused */
void wire_put_value(WireWriter *w, Value v);            /* functions cannot travel: -EINVAL */
void wire_put_diag(WireWriter *w, const Diag *d);       /* too long messages and too many notes are cut */
void wire_put_meta(WireWriter *w, const Meta *m);
void wire_put_resource(WireWriter *w, const ResourceSpec *s);
void wire_put_edge(WireWriter *w, const EdgeSpec *e);
void wire_writer_done(WireWriter *w);

/* ---- reading: the first failure sticks, and everything read after it is zero ---- */

typedef struct WireReader {
        const uint8_t *data;    /* borrowed */
        size_t size, at;
        int error;              /* 0, -EBADMSG, -E2BIG, -ENOMEM */
} WireReader;

/* The next frame of a message: 1 and a reader over its body, 0 at the end, -EBADMSG, or -EPROTONOSUPPORT for another version
 * (the header is filled in then). */
int wire_next(WireReader *message, WireHeader *ret, WireReader *ret_body);
bool wire_get_bool(WireReader *r);
uint32_t wire_get_u32(WireReader *r);
uint64_t wire_get_u64(WireReader *r);
int32_t wire_get_i32(WireReader *r);
int64_t wire_get_i64(WireReader *r);
char *wire_get_str(WireReader *r);                      /* owned by the caller; NULL if NULL was sent */
void wire_get_value(WireReader *r, Value *ret);
void wire_get_pos(WireReader *r, Pos *ret);             /* ret->file is owned by the caller */
void wire_get_diag(WireReader *r, Diag *ret);
void wire_get_meta(WireReader *r, Meta *ret);
void wire_get_resource(WireReader *r, ResourceSpec *ret);
void wire_get_edge(WireReader *r, EdgeSpec *ret);
int wire_finish(WireReader *r); /* 0 only if nothing failed and nothing is left over */
