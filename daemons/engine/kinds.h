/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "common/resource.h"

extern const ResourceType *const engine_kinds[];        /* every kind of this daemon, NULL-terminated */
