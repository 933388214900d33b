/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A disk for SQLite that fails at a given operation. Whatever was not flushed until then is, after a power cut, there or not: each sector
 * by itself, at random. After a kill all of it is there, since the kernel lives on. */

#include <stdbool.h>
#include <stdint.h>

void faulty_disk_install(void); /* from now on, all databases are on it */

/* The operation of this number (writes, truncations, flushes, from 1) and all after it fail; 0: none does. */
void faulty_disk_fail_at(unsigned operation);
unsigned faulty_disk_operations(void);          /* so many there were since then */
bool faulty_disk_failed(void);

/* When nobody has a file open: leaves them as they would be found afterwards, and works again. */
void faulty_disk_crash(bool power_cut, uint64_t seed);
