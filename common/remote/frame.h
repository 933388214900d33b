/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The bytes between mgmt-ssh and mgmt-remote on the other host, over one channel of SSH in each direction.
 *
 *      offset 0   u8          type
 *             1   u8          reserved, 0
 *             2   u16         stream, 0 if it is about none
 *             4   u32         size of the payload in bytes
 *             8   payload
 *
 * Little endian. Both ends come from the same build; still either checks what it reads: the other host may be anybody's. */

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

enum {
        FRAME_HEADER_SIZE = 8,
        FRAME_PAYLOAD_MAX = 256 * 1024,
};

typedef enum FrameType {
        FRAME_HELLO = 1,        /* from there, first: the version of mgmt */
        FRAME_START,            /* from here, once: texts that end with NUL: what is set in the environment, "", the arguments of mgmtctl;
                                 * and back, empty, if it goes on without this connection: it runs */
        FRAME_STOP,             /* from here: the program shall end; a second time: at once */
        FRAME_PING,             /* from here, and back */
        FRAME_OUTPUT,           /* from there: what mgmtctl wrote */
        FRAME_ERRORS,           /* the same, to stderr */
        FRAME_EXIT,             /* from there, last: u8 exit status */
        FRAME_FAILED,           /* or a text: why it could not be run, or was ended */

        /* Of streams; see mux.h. */
        FRAME_OPEN,             /* from there: a text, HOST:PORT */
        FRAME_OPENED,           /* from here */
        FRAME_DATA,
        FRAME_WINDOW,           /* u32: so many bytes more may be sent */
        FRAME_EOF,              /* no more data */
        FRAME_CLOSE,            /* it is over; each side says so once */
        _FRAME_TYPE_MAX,
} FrameType;

typedef struct Frame {
        FrameType type;
        uint16_t stream;
        const char *payload;    /* borrowed from the reader until the next call of it */
        size_t size;
} Frame;

void frame_add(StrBuf *b, FrameType type, uint16_t stream, const void *payload, size_t size);

typedef struct FrameReader {
        StrBuf buffer;
        size_t at;              /* what is before was read */
} FrameReader;

int frame_reader_add(FrameReader *r, const char *data, size_t size);
int frame_reader_next(FrameReader *r, Frame *ret);      /* 1; 0: there is no whole one yet; -EPROTO: it is none */
void frame_reader_done(FrameReader *r);

void frame_put_u32(char ret[static 4], uint32_t x);
uint32_t frame_get_u32(const char *data);
