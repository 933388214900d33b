/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* SHA-256 as text. */

#include <stddef.h>

enum { SHA256_TEXT_SIZE = 65 };         /* lower-case hexadecimal digits, and the NUL */

void sha256_text(const void *data, size_t size, char ret[static SHA256_TEXT_SIZE]);
