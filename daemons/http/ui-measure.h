/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Numbers, dates and times as forms write them, measured: each is a whole number of the smallest unit of its kind, so that limits and
 * steps are plain arithmetic. All of them are far from the ends of int64_t: differences do not overflow. */

#include <stddef.h>
#include <stdint.h>

#define UI_DECIMAL_SCALE INT64_C(1000000)       /* decimals have at most six digits after the point … */
enum { UI_DECIMAL_DIGITS = 12 };                /* … and so many before it */

/* -EINVAL: not one. */
int ui_measure_decimal(const char *s, size_t size, int64_t *ret);       /* "-1.5", in millionths; neither exponent nor plus sign */
int ui_measure_date(const char *s, size_t size, int64_t *ret);          /* "2024-02-29", days since 1970 */
int ui_measure_month(const char *s, size_t size, int64_t *ret);         /* "2024-02", months since 1970 */
int ui_measure_week(const char *s, size_t size, int64_t *ret);          /* "2020-W53", weeks since the first of 1970 */
int ui_measure_time(const char *s, size_t size, int64_t *ret);          /* "12:30" or "12:30:59", seconds */
int ui_measure_datetime(const char *s, size_t size, int64_t *ret);      /* "2024-02-29T12:30[:59]", seconds since 1970, no zone */

enum { UI_DECIMAL_TEXT_MAX = 24 };

/* The shortest text of a decimal. */
void ui_decimal_text(int64_t measure, char ret[static UI_DECIMAL_TEXT_MAX]);
