/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a distribution says of itself: the content of os-release. */

#include "common/value.h"

/* struct{id str; variant_id str; version_id str}; empty where nothing is said. */
int os_release_parse(const char *text, Value *ret);
