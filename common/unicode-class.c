/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "common/unicode-class.h"

#define CATEGORIES(X) \
        X(Cc) X(Cf) X(Co) X(Cs) X(Ll) X(Lm) X(Lo) X(Lt) X(Lu) X(Mc) X(Me) X(Mn) X(Nd) X(Nl) X(No) X(Pc) X(Pd) X(Pe) X(Pf) X(Pi) X(Po) \
        X(Ps) X(Sc) X(Sk) X(Sm) X(So) X(Zl) X(Zp) X(Zs)

#define ENUMERATOR(name) name,
enum { CATEGORIES(ENUMERATOR) };

#define NAME(name) #name,
static const char category_names[][3] = { CATEGORIES(NAME) };

static const char *const script_names[] = {
#define SCRIPT_NAMES
#include "common/unicode-script.inc"
#undef SCRIPT_NAMES
};

typedef struct Range {
        uint32_t first, last;
        uint8_t class;
} Range;

static const Range categories[] = {
#include "common/unicode-category.inc"
};

static const Range scripts[] = {
#include "common/unicode-script.inc"
};

static int compare_range(const void *key, const void *range) {
        uint32_t c = *(const uint32_t *) key;
        const Range *r = range;

        return c < r->first ? -1 : c > r->last;
}

/* Of the range that has it; -1: none does. */
static int class_of(const Range *ranges, size_t n, uint32_t c) {
        const Range *r = bsearch(&c, ranges, n, sizeof(Range), compare_range);

        return r ? r->class : -1;
}

bool unicode_class_find(const char *name, size_t size, UnicodeClass *ret) {
        *ret = (UnicodeClass) { .any = size == 3 && memcmp(name, "Any", size) == 0 };
        if (ret->any)
                return true;
        if (size == 1 || size == 2)
                for (unsigned i = 0; i < ELEMENTSOF(category_names); i++)
                        if (memcmp(category_names[i], name, size) == 0)
                                ret->categories |= UINT32_C(1) << i;
        if (ret->categories != 0)
                return true;
        for (unsigned i = 0; i < ELEMENTSOF(script_names); i++)
                if (strlen(script_names[i]) == size && memcmp(script_names[i], name, size) == 0) {
                        ret->script = (int) i;
                        return true;
                }
        return false;
}

bool unicode_class_has(UnicodeClass class, uint32_t c) {
        if (class.any)
                return true;
        if (class.categories == 0)
                return class_of(scripts, ELEMENTSOF(scripts), c) == class.script;
        int category = class_of(categories, ELEMENTSOF(categories), c);
        return category >= 0 && (class.categories >> category & 1) != 0;
}
