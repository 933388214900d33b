/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Bytes as text, with padding. */

#include "common/strbuf.h"

void strbuf_base64(StrBuf *b, const void *data, size_t size);

/* Adds the bytes that a text stands for. Line ends between groups of four count for nothing. -EINVAL with the offset of what does not
 * belong there. */
int strbuf_unbase64(StrBuf *b, const char *data, size_t size, size_t *reterr_at);
