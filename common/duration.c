/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A row of numbers with units, which add up. */

#include <ctype.h>
#include <stdbool.h>

#include "common/duration.h"
#include "common/macro.h"

static const struct {
        const char *name;
        double seconds;
} units[] = {
        { "h", 3600 }, { "ms", 1e-3 }, { "m", 60 }, { "s", 1 }, { "us", 1e-6 }, { "µs", 1e-6 }, { "ns", 1e-9 },
};

static const char *skip_unit(const char *s, double *ret) {
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                const char *rest = startswith(s, units[i].name);
                if (rest) {
                        *ret = units[i].seconds;
                        return rest;
                }
        }
        return NULL;
}

/* A number with or without a point; no sign, no exponent. */
static const char *skip_number(const char *s, double *ret) {
        double n = 0, place = 1;
        bool any = false;

        for (; isdigit((unsigned char) *s); s++, any = true)
                n = n * 10 + (*s - '0');
        if (*s == '.')
                for (s++; isdigit((unsigned char) *s); s++, any = true)
                        n += (*s - '0') * (place /= 10);
        *ret = n;
        return any ? s : NULL;
}

int duration_parse(const char *s, uint32_t *ret_sec) {
        double sum = 0, n, unit;

        if (!*s)
                return -EINVAL;
        while (*s) {
                s = skip_number(s, &n);
                if (s)
                        s = skip_unit(s, &unit);
                if (!s)
                        return -EINVAL;
                sum += n * unit;
                if (!(sum <= UINT32_MAX))
                        return -EINVAL;
        }
        *ret_sec = (uint32_t) sum;
        return 0;
}
