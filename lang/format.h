/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The formatter: one canonical layout for a program, with its comments, its blank lines, and its author's choice between one line
 * and several. */

#include <stddef.h>

#include "common/diag.h"

/* *ret is the caller's. -EBADMSG with reterr if the text does not parse. What is returned has been parsed again: it means the same
 * as before, has the same comments, and formatting it changes nothing; should it ever not be so, -ENOTRECOVERABLE and "mcl fmt
 * bug: …". file is only for messages. */
int format_text(const char *file, const char *text, size_t size, char **ret, size_t *ret_size, Diag *reterr);
