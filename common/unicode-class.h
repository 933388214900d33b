/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Classes of characters by the names that they have in the Unicode Character Database. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct UnicodeClass {
        bool any;               /* all characters */
        uint32_t categories;    /* general categories, a bit for each; 0: a script */
        int script;
} UnicodeClass;

/* A general category ("Lu"; "L": all that begin so), a script ("Greek"), or "Any". false: there is none of that name. */
bool unicode_class_find(const char *name, size_t size, UnicodeClass *ret);

bool unicode_class_has(UnicodeClass class, uint32_t c);
