/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Files that are part of the program: styles and scripts of its pages. The build puts them in, see embed. */

#include <stdbool.h>
#include <stddef.h>

#include "daemons/http/mhd.h"

typedef struct Asset {
        const char *name;
        const char *mark;               /* another one for another content */
        const unsigned char *data;
        size_t size;
} Asset;

extern const Asset assets[];            /* ends with an empty row */

/* Answers a request for the one of that name: true; false if there is none. Whoever asks with its mark as query may keep it for
 * ever. */
bool asset_serve(const char *name, HttpRequest *q);

/* How a page refers to it: "ui.css?1234"; NULL if out of memory. Owned by the caller. */
char *asset_reference(const char *name);
