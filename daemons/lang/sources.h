/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How the functions of a program that look outside come to their values. */

#include "common/source.h"

/* The function of that name, if this daemon or one that it knows serves it; else NULL. */
const SourceType *lang_source_find(const char *function);
