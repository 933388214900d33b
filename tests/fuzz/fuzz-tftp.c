/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Names are texts within the packet, what is granted is within its limits, and the reply fits. */

#include <stdlib.h>

#include "common/macro.h"
#include "daemons/http/tftp-packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        uint8_t reply[TFTP_REPLY_MAX];
        TftpRequest q;
        uint16_t block;

        (void) tftp_parse(data, size, &block);
        if (tftp_request_parse(data, size, &q) < 0)
                return 0;
        const uint8_t *name = (const uint8_t *) q.filename;
        if (name < data || name + strlen(q.filename) >= data + size)
                abort();
        if (q.block_size < TFTP_BLOCK_MIN || q.block_size > TFTP_BLOCK_MAX || (q.has_timeout && q.timeout_sec == 0))
                abort();
        if (tftp_put_options(reply, &q, UINT64_MAX) > sizeof(reply) || tftp_put_error(reply, TFTP_ERROR_OTHER, q.filename) > sizeof(reply))
                abort();
        return 0;
}
