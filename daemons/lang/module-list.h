/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kernel says of its modules in /proc/modules. */

#include <stdbool.h>
#include <stddef.h>

/* Whether that one is there and in use: neither on its way in, when it may still fail, nor on its way out. */
bool module_list_has(const char *text, const char *name, size_t size);
