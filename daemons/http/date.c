/* SPDX-License-Identifier: GPL-3.0-or-later */

/* strftime() and strptime() would follow the locale; nothing in these daemons sets one, so English names are what they give. */

#include <time.h>

#include "common/macro.h"
#include "daemons/http/date.h"

void http_date_format(int64_t seconds, char ret[static HTTP_DATE_SIZE]) {
        time_t t = (time_t) seconds;
        struct tm tm;

        /* a year that does not fit (a file's time can be anything) ends as the empty text, which no header is made of */
        if (!gmtime_r(&t, &tm) || strftime(ret, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm) == 0)
                ret[0] = 0;
}

int http_date_parse(const char *text, int64_t *ret_seconds) {
        static const char *const forms[] = {
                "%a, %d %b %Y %H:%M:%S GMT",
                "%A, %d-%b-%y %H:%M:%S GMT",
                "%a %b %e %H:%M:%S %Y",
        };

        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                struct tm tm = {};
                const char *end = strptime(text, forms[i], &tm);
                if (end && *end == 0) {
                        *ret_seconds = timegm(&tm);
                        return 0;
                }
        }
        return -EINVAL;
}
