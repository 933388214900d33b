/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Memory that runs out when a test says so. Linking alloc.c into a program puts it between the program and the C library's
 * malloc(), for everything in the process; in sanitizer builds, where that place is taken, for the program's own calls only. A test
 * program asks for it by 'deps' : [alloc_dep].
 *
 *         for (uint64_t n = 1;; n++) {
 *                 alloc_fail_at(n);
 *                 r = operation();
 *                 if (!alloc_failed())
 *                         break;               // it went through: fewer than n allocations
 *                 CHECK_INT(r, -ENOMEM);
 *         }
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void alloc_fail_at(uint64_t n);         /* the n-th allocation from now fails, once; 0: none does */
bool alloc_failed(void);                /* whether it did; also disarms */
uint64_t alloc_count(void);             /* successful allocations so far */

/* Bytes in use now, and the most since the last call of alloc_reset_peak(). 0 in sanitizer builds. */
size_t alloc_bytes(void);
size_t alloc_peak(void);
void alloc_reset_peak(void);
bool alloc_counts_bytes(void);
