/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a program that knows only paths makes a file for root: in a directory of its own beside the place of the file, so that nobody
 * can put a link in its way. What it has made is put in place from there, and never over something. */

#include "common/resource.h"
#include "daemons/engine/kinds/replacement.h"
#include "daemons/engine/kinds/safe-path.h"

typedef struct ImagePlace {
        SafePath where;                         /* of the image */
        char name[REPLACEMENT_NAME_MAX];        /* of the directory beside it, once there is one */
        int fd;                                 /* of that; owned */
        char *path;                             /* what the program shall write; owned */
} ImagePlace;

#define IMAGE_PLACE_INIT { .where = SAFE_PATH_INIT, .fd = -EBADF }

/* What a killed engine has left goes. -EPERM: over a link that is not trusted, or others could exchange the directory. */
int image_place_open(ImagePlace *p, const Resource *r, const char *output, Diag *reterr);
int image_place_put(ImagePlace *p, const Resource *r, const char *output, Diag *reterr);

/* Removes the directory and what is in it. It can be opened again. */
void image_place_done(ImagePlace *p);
