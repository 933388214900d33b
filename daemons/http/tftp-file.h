/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a tftp:server asks of the resources in it, which are of kind tftp:file. */

#include "common/resource.h"
#include "daemons/http/static-file.h"

bool tftp_file_is_called(const Resource *r, const char *filename);
int tftp_file_open(const Resource *r, StaticContent *ret);
