/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Messages of the language server protocol on a byte stream: "Content-Length: N", an empty line, N bytes. */

#include <stddef.h>

enum {
        LSP_HEADER_MAX = 4 * 1024,
        LSP_BODY_MAX = 64 * 1024 * 1024,
};

/* Takes one message from the beginning of the data: 1, its body (in the data), and how many bytes it took with its header; 0 if
 * more has to come; -EBADMSG if these bytes are no header, -E2BIG if header or body are larger than they may be. */
int lsp_frame_next(const char *data, size_t size, const char **ret_body, size_t *ret_body_size, size_t *ret_used);
