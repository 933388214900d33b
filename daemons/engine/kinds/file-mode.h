/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Permission bits as text: octal ("0644") or symbolic ("u=rw,go=r"). Only "=" can be said: "+" and "-" are steps, not states. */

#include <sys/types.h>

#include "common/diag.h"

/* What text makes of the bits a file has now (0 if there is none). -EINVAL if it does not parse; now does not matter for that. */
int file_mode_parse(const char *text, mode_t now, mode_t *ret);
