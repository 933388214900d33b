/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A hash that nobody outside can foresee: keyed anew in every process. Do not store it and do not send it. */

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *data, size_t size);

/* The same with a key of one's own, for what must be alike in every process. */
uint64_t hash_bytes_keyed(const uint64_t key[static 2], const void *data, size_t size);
