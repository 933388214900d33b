/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See frame.h. */

#include "common/remote/frame.h"

void frame_put_u32(char ret[static 4], uint32_t x) {
        for (int i = 0; i < 4; i++)
                ret[i] = (char) (uint8_t) (x >> 8 * i);
}

uint32_t frame_get_u32(const char *data) {
        uint32_t x = 0;

        for (int i = 0; i < 4; i++)
                x |= (uint32_t) (uint8_t) data[i] << 8 * i;
        return x;
}

void frame_add(StrBuf *b, FrameType type, uint16_t stream, const void *payload, size_t size) {
        char header[FRAME_HEADER_SIZE] = { (char) type, 0, (char) (uint8_t) stream, (char) (uint8_t) (stream >> 8) };

        frame_put_u32(header + 4, (uint32_t) size);
        strbuf_add(b, header, sizeof(header));
        strbuf_add(b, payload, size);
}

int frame_reader_add(FrameReader *r, const char *data, size_t size) {
        if (r->at > 0) {
                memmove(r->buffer.data, r->buffer.data + r->at, r->buffer.size - r->at + 1);
                r->buffer.size -= r->at;
                r->at = 0;
        }
        strbuf_add(&r->buffer, data, size);
        return r->buffer.failed ? -ENOMEM : 0;
}

int frame_reader_next(FrameReader *r, Frame *ret) {
        const char *header = r->buffer.data + r->at;

        if (r->buffer.size - r->at < FRAME_HEADER_SIZE)
                return 0;
        uint8_t type = (uint8_t) header[0];
        uint32_t size = frame_get_u32(header + 4);
        if (type == 0 || type >= _FRAME_TYPE_MAX || header[1] != 0 || size > FRAME_PAYLOAD_MAX)
                return -EPROTO;
        if (r->buffer.size - r->at - FRAME_HEADER_SIZE < size)
                return 0;
        *ret = (Frame) {
                .type = type,
                .stream = (uint16_t) ((uint8_t) header[2] | (uint8_t) header[3] << 8),
                .payload = header + FRAME_HEADER_SIZE,
                .size = size,
        };
        r->at += FRAME_HEADER_SIZE + size;
        return 1;
}

void frame_reader_done(FrameReader *r) {
        strbuf_done(&r->buffer);
        *r = (FrameReader) {};
}
