/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Modules of others: fetched by git, and only when asked for with --download. */

#include <stdbool.h>

#include "common/diag.h"

/* Makes the module at url be in directory (absolute, with trailing slash). One that is there already is left as it is, or with
 * update brought to what its origin has. Waits for git. */
int download_module(const char *url, const char *directory, bool update, Diag *reterr);
