/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Times as people say them: "3 min ago", "in 5 s", "now"; "-" for 0. usec is CLOCK_REALTIME. The caller's; NULL if out of memory. */

#include <stdint.h>

char *ago_text(uint64_t usec);
