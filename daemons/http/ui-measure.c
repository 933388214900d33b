/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Dates are those of the Gregorian calendar, for ever in both directions, as in HTML; years have four digits, from 0001 on. */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemons/http/ui-measure.h"

/* What is left of a text. Every step takes from its front, and says whether it was there. */
typedef struct Rest {
        const char *s;
        size_t size;
} Rest;

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool take_char(Rest *r, char c) {
        if (r->size == 0 || *r->s != c)
                return false;
        r->s++;
        r->size--;
        return true;
}

static bool take_number(Rest *r, size_t n_digits, int64_t *ret) {
        if (r->size < n_digits)
                return false;
        *ret = 0;
        for (size_t i = 0; i < n_digits; i++) {
                if (!is_digit(r->s[i]))
                        return false;
                *ret = *ret * 10 + (r->s[i] - '0');
        }
        r->s += n_digits;
        r->size -= n_digits;
        return true;
}

static size_t n_digits(const Rest *r) {
        size_t n = 0;

        while (n < r->size && is_digit(r->s[n]))
                n++;
        return n;
}

int ui_measure_decimal(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };
        bool negative = take_char(&rest, '-');
        int64_t whole = 0, fraction = 0;
        size_t n;

        while (n_digits(&rest) > 1 && take_char(&rest, '0'))
                ;
        n = n_digits(&rest);
        if (n == 0 || n > UI_DECIMAL_DIGITS || !take_number(&rest, n, &whole))
                return -EINVAL;
        if (take_char(&rest, '.')) {
                n = n_digits(&rest);
                if (n == 0)
                        return -EINVAL;
                for (; n > 6 && rest.s[n - 1] == '0'; n--)
                        rest.size--;
                if (n > 6 || !take_number(&rest, n, &fraction))
                        return -EINVAL;
                for (; n < 6; n++)
                        fraction *= 10;
        }
        if (rest.size > 0)
                return -EINVAL;
        *ret = (whole * UI_DECIMAL_SCALE + fraction) * (negative ? -1 : 1);
        return 0;
}

void ui_decimal_text(int64_t measure, char ret[static UI_DECIMAL_TEXT_MAX]) {
        uint64_t size = measure < 0 ? -(uint64_t) measure : (uint64_t) measure;
        uint64_t fraction = size % (uint64_t) UI_DECIMAL_SCALE;
        int n = snprintf(ret, UI_DECIMAL_TEXT_MAX, "%s%" PRIu64, measure < 0 ? "-" : "", size / (uint64_t) UI_DECIMAL_SCALE);

        if (fraction == 0 || n < 0)
                return;
        n += snprintf(ret + n, (size_t) (UI_DECIMAL_TEXT_MAX - n), ".%06" PRIu64, fraction);
        while (ret[n - 1] == '0')
                ret[--n] = 0;
}

/* ---- calendar ---- */

static bool is_leap(int64_t year) {
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int64_t days_of_month(int64_t year, int64_t month) {
        static const int8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January. */
static int64_t days_to_year(int64_t year) {
        int64_t y = year - 1;

        return y * 365 + y / 4 - y / 100 + y / 400 - 719162;
}

static bool take_month(Rest *r, int64_t *ret_year, int64_t *ret_month) {
        return take_number(r, 4, ret_year) && *ret_year > 0 && take_char(r, '-') && take_number(r, 2, ret_month) && *ret_month >= 1 &&
               *ret_month <= 12;
}

static bool take_date(Rest *r, int64_t *ret_days) {
        int64_t year, month, day;

        if (!take_month(r, &year, &month) || !take_char(r, '-') || !take_number(r, 2, &day) || day < 1 || day > days_of_month(year, month))
                return false;
        *ret_days = days_to_year(year) + day - 1;
        for (int64_t m = 1; m < month; m++)
                *ret_days += days_of_month(year, m);
        return true;
}

static bool take_time(Rest *r, int64_t *ret_seconds) {
        int64_t hours, minutes, seconds = 0;

        if (!take_number(r, 2, &hours) || !take_char(r, ':') || !take_number(r, 2, &minutes) || hours > 23 || minutes > 59)
                return false;
        if (take_char(r, ':') && (!take_number(r, 2, &seconds) || seconds > 59))
                return false;
        *ret_seconds = hours * 3600 + minutes * 60 + seconds;
        return true;
}

int ui_measure_date(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };

        return take_date(&rest, ret) && rest.size == 0 ? 0 : -EINVAL;
}

int ui_measure_time(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };

        return take_time(&rest, ret) && rest.size == 0 ? 0 : -EINVAL;
}

int ui_measure_datetime(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };
        int64_t days, seconds;

        if (!take_date(&rest, &days) || !take_char(&rest, 'T') || !take_time(&rest, &seconds) || rest.size > 0)
                return -EINVAL;
        *ret = days * 86400 + seconds;
        return 0;
}

int ui_measure_month(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };
        int64_t year, month;

        if (!take_month(&rest, &year, &month) || rest.size > 0)
                return -EINVAL;
        *ret = (year - 1970) * 12 + month - 1;
        return 0;
}

/* Monday is 0; 1970-01-01 was a Thursday. */
static int64_t weekday(int64_t days) {
        return ((days + 3) % 7 + 7) % 7;
}

/* A year has 53 weeks if it begins on a Thursday, or is a leap year that begins on a Wednesday. */
static int64_t weeks_of_year(int64_t year) {
        int64_t first = weekday(days_to_year(year));

        return 52 + (first == 3 || (first == 2 && is_leap(year)));
}

int ui_measure_week(const char *s, size_t size, int64_t *ret) {
        Rest rest = { s, size };
        int64_t year, week, monday;

        if (!take_number(&rest, 4, &year) || !take_char(&rest, '-') || !take_char(&rest, 'W') || !take_number(&rest, 2, &week))
                return -EINVAL;
        if (rest.size > 0 || year < 1 || week < 1 || week > weeks_of_year(year))
                return -EINVAL;
        monday = days_to_year(year) + 3;        /* the fourth of January is always in the first week */
        monday -= weekday(monday);
        *ret = (monday + 3) / 7 + week - 1;     /* the first week of 1970 began three days before that year */
        return 0;
}
