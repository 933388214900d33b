/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An option that is unknown, or whose value is none, is passed over, as if it had not been there. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "common/macro.h"
#include "daemons/http/tftp-packet.h"

static uint16_t get16(const uint8_t *p) {
        return (uint16_t) (p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned n) {
        p[0] = (uint8_t) (n >> 8);
        p[1] = (uint8_t) n;
}

/* The next text of the packet, which must end within it. NULL if there is none. */
static const char *next_text(const uint8_t **at, const uint8_t *end) {
        const char *text = (const char *) *at;
        const uint8_t *nul = *at < end ? memchr(*at, 0, (size_t) (end - *at)) : NULL;

        if (!nul)
                return NULL;
        *at = nul + 1;
        return text;
}

static bool parse_number(const char *s, unsigned max, unsigned *ret) {
        unsigned n = 0;

        if (!*s)
                return false;
        for (; *s; s++) {
                if (*s < '0' || *s > '9' || n > max)
                        return false;
                n = n * 10 + (unsigned) (*s - '0');
        }
        *ret = n;
        return n <= max;
}

static void take_option(TftpRequest *q, const char *name, const char *value) {
        unsigned n;

        if (strcasecmp(name, "tsize") == 0)
                q->has_size = true;
        else if (strcasecmp(name, "blksize") == 0 && !q->has_block_size && parse_number(value, UINT16_MAX, &n) && n >= TFTP_BLOCK_MIN) {
                q->has_block_size = true;
                q->block_size = (uint16_t) MIN(n, (unsigned) TFTP_BLOCK_MAX);
        } else if (strcasecmp(name, "timeout") == 0 && !q->has_timeout && parse_number(value, UINT8_MAX, &n) && n >= 1) {
                q->has_timeout = true;
                q->timeout_sec = (uint8_t) n;
        }
}

int tftp_request_parse(const uint8_t *packet, size_t size, TftpRequest *ret) {
        const uint8_t *at = packet + 2, *end = packet + size;
        const char *mode, *name, *value;

        if (size < 2 || size > TFTP_REQUEST_MAX || (get16(packet) != TFTP_READ && get16(packet) != TFTP_WRITE))
                return -EBADMSG;
        *ret = (TftpRequest) { .write = get16(packet) == TFTP_WRITE, .block_size = TFTP_BLOCK_DEFAULT };
        ret->filename = next_text(&at, end);
        mode = next_text(&at, end);
        if (!mode || !*ret->filename)
                return -EBADMSG;
        ret->netascii = strcasecmp(mode, "netascii") == 0;
        if (!ret->netascii && strcasecmp(mode, "octet") != 0)
                return -EPROTONOSUPPORT;
        while ((name = next_text(&at, end)) && (value = next_text(&at, end)))
                take_option(ret, name, value);
        ret->has_size = ret->has_size && !ret->netascii;        /* nobody knows how long it becomes */
        return 0;
}

TftpOpcode tftp_parse(const uint8_t *packet, size_t size, uint16_t *ret_block) {
        if (size < TFTP_HEADER)
                return 0;
        *ret_block = get16(packet + 2);
        return get16(packet);
}

/* An option and its value; each of them has a NUL at its end. */
static uint8_t *put_option(uint8_t *to, const uint8_t *end, const char *name, uint64_t value) {
        to = (uint8_t *) stpcpy((char *) to, name) + 1;
        return to + snprintf((char *) to, (size_t) (end - to), "%" PRIu64, value) + 1;
}

size_t tftp_put_options(uint8_t ret[static TFTP_REPLY_MAX], const TftpRequest *q, uint64_t size) {
        const uint8_t *end = ret + TFTP_REPLY_MAX;
        uint8_t *to = ret + 2;

        put16(ret, TFTP_OPTIONS);
        if (q->has_block_size)
                to = put_option(to, end, "blksize", q->block_size);
        if (q->has_timeout)
                to = put_option(to, end, "timeout", q->timeout_sec);
        if (q->has_size)
                to = put_option(to, end, "tsize", size);
        return to == ret + 2 ? 0 : (size_t) (to - ret);
}

size_t tftp_put_error(uint8_t ret[static TFTP_REPLY_MAX], TftpError error, const char *text) {
        put16(ret, TFTP_ERROR);
        put16(ret + 2, error);
        (void) snprintf((char *) ret + TFTP_HEADER, TFTP_REPLY_MAX - TFTP_HEADER, "%s", text);
        return TFTP_HEADER + strlen((char *) ret + TFTP_HEADER) + 1;
}

void tftp_put_data_header(uint8_t ret[static TFTP_HEADER], uint16_t block) {
        put16(ret, TFTP_DATA);
        put16(ret + 2, block);
}
