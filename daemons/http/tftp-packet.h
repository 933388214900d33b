/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Packets of TFTP: RFC 1350, with options (2347), block sizes (2348), timeouts and sizes (2349). Bytes in, bytes out. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum TftpOpcode {
        TFTP_READ = 1,
        TFTP_WRITE,
        TFTP_DATA,
        TFTP_ACK,
        TFTP_ERROR,
        TFTP_OPTIONS,
} TftpOpcode;

typedef enum TftpError {
        TFTP_ERROR_OTHER = 0,
        TFTP_ERROR_NOT_FOUND = 1,
        TFTP_ERROR_ILLEGAL = 4,
} TftpError;

enum {
        TFTP_REQUEST_MAX = 2048,        /* longer ones are none of an honest client */
        TFTP_BLOCK_DEFAULT = 512,
        TFTP_BLOCK_MIN = 8,
        TFTP_BLOCK_MAX = 65464,
        TFTP_HEADER = 4,                /* of data, in front of the block */
        TFTP_REPLY_MAX = 128,           /* of errors and options */
};

typedef struct TftpRequest {
        bool write;
        const char *filename;           /* in the packet */
        bool netascii;                  /* else octet */

        /* What the client asks for and we can grant: */
        bool has_block_size, has_timeout, has_size;
        uint16_t block_size;            /* or TFTP_BLOCK_DEFAULT */
        uint8_t timeout_sec;
} TftpRequest;

/* The packet must outlive the request. -EBADMSG: it is none. -EPROTONOSUPPORT: nobody transfers in this mode. */
int tftp_request_parse(const uint8_t *packet, size_t size, TftpRequest *ret);

/* Opcode and block of an acknowledgement, an error, …; 0 if it is too short for that. */
TftpOpcode tftp_parse(const uint8_t *packet, size_t size, uint16_t *ret_block);

/* Both give the size of what they have written. The first grants what was asked for; 0 if that is nothing. */
size_t tftp_put_options(uint8_t ret[static TFTP_REPLY_MAX], const TftpRequest *q, uint64_t size);
size_t tftp_put_error(uint8_t ret[static TFTP_REPLY_MAX], TftpError error, const char *text);
void tftp_put_data_header(uint8_t ret[static TFTP_HEADER], uint16_t block);
