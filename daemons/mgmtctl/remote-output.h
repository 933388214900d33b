/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What `mgmtctl run --json` says on another host, said here. */

#include <stddef.h>

typedef struct Program Program;

/* One line, without its end; it may be anything. The host's name is set by output_set_host(). */
void remote_output_line(const Program *p, const char *line, size_t size);
