/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/macro.h"
#include "daemons/mgmtctl/ago.h"

char *ago_text(uint64_t usec) {
        static const struct {
                uint64_t seconds;
                const char *unit;
        } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
        struct timespec ts;
        char *text = NULL;

        if (usec == 0)
                return strdup("-");
        (void) clock_gettime(CLOCK_REALTIME, &ts);
        uint64_t now = (uint64_t) ts.tv_sec, then = usec / 1000000, seconds = now > then ? now - then : then - now;
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (seconds < units[i].seconds)
                        continue;
                unsigned long long n = seconds / units[i].seconds;
                int r = asprintf(&text, "%s%llu %s%s", now > then ? "" : "in ", n, units[i].unit, now > then ? " ago" : "");
                return r < 0 ? NULL : text;
        }
        return strdup("now");
}
