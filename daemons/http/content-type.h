/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stddef.h>

/* The media type by the extension of a name ("/a/b.html"), or NULL if that says nothing. */
const char *content_type_by_name(const char *name);

enum { CONTENT_TYPE_SNIFF_SIZE = 512 };

/* The media type by the first bytes, at most CONTENT_TYPE_SNIFF_SIZE of them. Never NULL. */
const char *content_type_by_content(const char *data, size_t size);
