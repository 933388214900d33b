/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A hash that nobody outside can foresee: keyed anew in every process. Do not store it and do not send it. */

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size);
