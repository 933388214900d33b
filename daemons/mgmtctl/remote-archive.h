/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What goes to another host, as an archive that every tar unpacks. */

#include <stddef.h>
#include <sys/types.h>

#include "common/strbuf.h"

void archive_add(StrBuf *b, const char *name, mode_t mode, const void *data, size_t size);
void archive_end(StrBuf *b, size_t before);     /* before: bytes of the archive that are elsewhere */
