/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The data types of SSH that we need: big-endian numbers, and strings with their length before them (RFC 4251, section 5). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/strbuf.h"

typedef struct SshReader {
        const uint8_t *at;      /* borrowed */
        size_t size;            /* that are left */
        bool failed;            /* sticks; what is read after it is empty */
} SshReader;

static inline uint32_t ssh_get_u32(SshReader *r) {
        uint32_t x;

        if (r->size < 4)
                r->failed = true;
        if (r->failed)
                return 0;
        x = (uint32_t) r->at[0] << 24 | (uint32_t) r->at[1] << 16 | (uint32_t) r->at[2] << 8 | r->at[3];
        r->at += 4;
        r->size -= 4;
        return x;
}

static inline SshReader ssh_get_string(SshReader *r) {
        uint32_t size = ssh_get_u32(r);
        SshReader s = {};

        if (size > r->size)
                r->failed = true;
        if (r->failed)
                return (SshReader) { .failed = true };
        s = (SshReader) { .at = r->at, .size = size };
        r->at += size;
        r->size -= size;
        return s;
}

static inline bool ssh_string_is(SshReader s, const char *text) {
        return !s.failed && s.size == strlen(text) && memcmp(s.at, text, s.size) == 0;
}

static inline void ssh_put_u32(StrBuf *b, uint32_t x) {
        const uint8_t bytes[4] = { (uint8_t) (x >> 24), (uint8_t) (x >> 16), (uint8_t) (x >> 8), (uint8_t) x };

        strbuf_add(b, (const char *) bytes, sizeof(bytes));
}

static inline void ssh_put_string(StrBuf *b, const void *data, size_t size) {
        ssh_put_u32(b, (uint32_t) size);
        strbuf_add(b, data, size);
}

static inline void ssh_put_text(StrBuf *b, const char *text) {
        ssh_put_string(b, text, strlen(text));
}
