/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Dates as HTTP writes them, in seconds since 1970. */

#include <stdint.h>

enum { HTTP_DATE_SIZE = sizeof("Sun, 06 Nov 1994 08:49:37 GMT") };

void http_date_format(int64_t seconds, char ret[static HTTP_DATE_SIZE]);

/* Any of the three forms that HTTP has had. -EINVAL if it is none of them. */
int http_date_parse(const char *text, int64_t *ret_seconds);
