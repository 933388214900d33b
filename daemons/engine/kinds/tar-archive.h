/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* An archive of tar, written by libarchive entry by entry into an attempt (packing.h). */

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "daemons/engine/kinds/packing.h"

struct archive;
struct archive_entry;

typedef struct TarArchive {
        Packing *packing;               /* gets the bytes */
        struct archive *archive;
        struct archive_entry *entry;
        locale_t locale;                /* in which names are UTF-8 */
        uint64_t left;                  /* of the content of the entry under way */
        int error;                      /* what became of a write; the diagnosis is that of packing */
        bool given_up;                  /* nothing of it is wanted any more */
} TarArchive;

/* Whether it is one of $const.res.tar.format. */
bool tar_format_is_known(int64_t format);

/* These return 0 or negative errno; why it was, says tar_archive_problem(). A zeroed one may be done. */
int tar_archive_begin(TarArchive *t, Packing *p, int64_t format);
int tar_archive_add(TarArchive *t, const char *name, const struct stat *st);    /* of st: type, mode, owner, time, size */
int tar_archive_write(TarArchive *t, const void *data, size_t size);            /* the content of that entry */
int tar_archive_end(TarArchive *t);
void tar_archive_done(TarArchive *t);

const char *tar_archive_problem(const TarArchive *t);
