/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The kinds of this daemon, as a table that ends with NULL. */

#include "common/resource.h"

extern const ResourceType *const virt_kinds[];
