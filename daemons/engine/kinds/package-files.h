/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a package brings, as far as other resources may be about it: for autoedge. Known of packages that dpkg has installed. */

#include "common/resource.h"

typedef enum PackageFilesUse {
        PACKAGE_FILES_OFFERED,  /* its files, for those who want them before themselves: "package-file" */
        PACKAGE_FILES_WANTED,   /* services and files in it, which come after it: "svc" and "file" */
} PackageFilesUse;

int package_files_add(const char *package, PackageFilesUse use, ResourceUids *ret);     /* adds nothing if it is not installed */

/* list: one absolute path a line, directories before what is in them, as dpkg has it. */
int package_files_add_list(char *list, PackageFilesUse use, ResourceUids *ret);
