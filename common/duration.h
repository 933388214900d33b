/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdint.h>

/* "90s", "1h42m13s", "1.5h", up to what fits into 32 bits of seconds; parts of a second are cut off. -EINVAL: it is none, or something
 * stands before or behind it. */
int duration_parse(const char *s, uint32_t *ret_sec);
