/* SPDX-License-Identifier: GPL-3.0-or-later */

/* datetime: points in time, as seconds since 1970, and how they are written here: in the time zone of the machine, in English. */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/strbuf.h"
#include "lang/builtins.h"

static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const months[] = { "January", "February", "March",     "April",   "May",      "June",
                                      "July",    "August",   "September", "October", "November", "December" };

/* When the zone is another, what was made of this time is another as well. */
static int local_time(const BuiltinCall *call, Value seconds, struct tm *ret, Diag *reterr) {
        time_t t = seconds.i;
        int r = builtin_follow(call, "datetime._zone", reterr);

        if (r < 0)
                return r;
        if (seconds.i < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "epoch delta must be positive");
        if (!localtime_r(&t, ret))
                return diag_set(reterr, (Pos) {}, -EOVERFLOW, "%lld seconds are too far away", (long long) seconds.i);
        return 0;
}

/* ---- layouts: an example text of Mon Jan 2 15:04:05 MST 2006 ---- */

typedef enum Token {
        TOKEN_NONE,
        TOKEN_YEAR, TOKEN_YEAR2,
        TOKEN_MONTH_NAME, TOKEN_MONTH_SHORT, TOKEN_MONTH2, TOKEN_MONTH,
        TOKEN_DAY_NAME, TOKEN_DAY_SHORT, TOKEN_DAY2, TOKEN_DAY, TOKEN_DAY_SPACE,
        TOKEN_YEARDAY3, TOKEN_YEARDAY_SPACE,
        TOKEN_HOUR24, TOKEN_HOUR2, TOKEN_HOUR, TOKEN_MINUTE2, TOKEN_MINUTE, TOKEN_SECOND2, TOKEN_SECOND,
        TOKEN_PM, TOKEN_PM_SMALL, TOKEN_ZONE_NAME,
        TOKEN_ZONE, TOKEN_ZONE_COLON, TOKEN_ZONE_HOUR, TOKEN_ZONE_SECONDS, TOKEN_ZONE_SECONDS_COLON,
} Token;

static const struct {
        const char *text;
        Token token;
        bool no_small_letter;   /* not if one follows */
        bool z;                 /* a zone that is Z for UTC */
} tokens[] = {          /* longer ones before those they begin with */
        { "January", TOKEN_MONTH_NAME },
        { "Jan", TOKEN_MONTH_SHORT, .no_small_letter = true },
        { "Monday", TOKEN_DAY_NAME },
        { "Mon", TOKEN_DAY_SHORT, .no_small_letter = true },
        { "MST", TOKEN_ZONE_NAME },
        { "002", TOKEN_YEARDAY3 },
        { "01", TOKEN_MONTH2 },
        { "02", TOKEN_DAY2 },
        { "03", TOKEN_HOUR2 },
        { "04", TOKEN_MINUTE2 },
        { "05", TOKEN_SECOND2 },
        { "06", TOKEN_YEAR2 },
        { "15", TOKEN_HOUR24 },
        { "1", TOKEN_MONTH },
        { "2006", TOKEN_YEAR },
        { "2", TOKEN_DAY },
        { "__2", TOKEN_YEARDAY_SPACE },
        { "_2", TOKEN_DAY_SPACE },
        { "3", TOKEN_HOUR },
        { "4", TOKEN_MINUTE },
        { "5", TOKEN_SECOND },
        { "PM", TOKEN_PM },
        { "pm", TOKEN_PM_SMALL },
        { "-070000", TOKEN_ZONE_SECONDS },
        { "-07:00:00", TOKEN_ZONE_SECONDS_COLON },
        { "-0700", TOKEN_ZONE },
        { "-07:00", TOKEN_ZONE_COLON },
        { "-07", TOKEN_ZONE_HOUR },
        { "Z070000", TOKEN_ZONE_SECONDS, .z = true },
        { "Z07:00:00", TOKEN_ZONE_SECONDS_COLON, .z = true },
        { "Z0700", TOKEN_ZONE, .z = true },
        { "Z07:00", TOKEN_ZONE_COLON, .z = true },
        { "Z07", TOKEN_ZONE_HOUR, .z = true },
};

static size_t find_token(const char *s, Token *ret, bool *ret_z) {
        if (startswith(s, "_2006"))     /* a year after a line */
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(tokens); i++) {
                const char *rest = startswith(s, tokens[i].text);
                if (!rest || (tokens[i].no_small_letter && *rest >= 'a' && *rest <= 'z'))
                        continue;
                *ret = tokens[i].token;
                *ret_z = tokens[i].z;
                return (size_t) (rest - s);
        }
        return 0;
}

/* The length of a fraction: a dot or comma and a run of 0 or of 9 that no digit follows. */
static size_t find_fraction(const char *s) {
        if ((s[0] != '.' && s[0] != ',') || (s[1] != '0' && s[1] != '9'))
                return 0;
        size_t n = 1 + strspn(s + 1, s[1] == '0' ? "0" : "9");
        return s[n] >= '0' && s[n] <= '9' ? 0 : n;
}

static void add_zone(StrBuf *b, Token token, bool z, long offset) {
        if (z && offset == 0) {
                strbuf_putc(b, 'Z');
                return;
        }
        char sign = offset < 0 ? '-' : '+';
        long s = offset < 0 ? -offset : offset, h = s / 3600, m = s / 60 % 60;

        if (token == TOKEN_ZONE)
                strbuf_printf(b, "%c%02ld%02ld", sign, h, m);
        else if (token == TOKEN_ZONE_COLON)
                strbuf_printf(b, "%c%02ld:%02ld", sign, h, m);
        else if (token == TOKEN_ZONE_HOUR)
                strbuf_printf(b, "%c%02ld", sign, h);
        else if (token == TOKEN_ZONE_SECONDS)
                strbuf_printf(b, "%c%02ld%02ld%02ld", sign, h, m, s % 60);
        else
                strbuf_printf(b, "%c%02ld:%02ld:%02ld", sign, h, m, s % 60);
}

static void add_token(StrBuf *b, Token token, bool z, const struct tm *t) {
        int hour = t->tm_hour % 12 == 0 ? 12 : t->tm_hour % 12;

        switch (token) {
        case TOKEN_YEAR:
                strbuf_printf(b, "%04lld", 1900LL + t->tm_year);
                break;
        case TOKEN_YEAR2:
                strbuf_printf(b, "%02lld", (1900LL + t->tm_year) % 100);
                break;
        case TOKEN_MONTH_NAME:
                strbuf_puts(b, months[t->tm_mon]);
                break;
        case TOKEN_MONTH_SHORT:
                strbuf_add(b, months[t->tm_mon], 3);
                break;
        case TOKEN_MONTH2:
                strbuf_printf(b, "%02d", t->tm_mon + 1);
                break;
        case TOKEN_MONTH:
                strbuf_printf(b, "%d", t->tm_mon + 1);
                break;
        case TOKEN_DAY_NAME:
                strbuf_puts(b, days[t->tm_wday]);
                break;
        case TOKEN_DAY_SHORT:
                strbuf_add(b, days[t->tm_wday], 3);
                break;
        case TOKEN_DAY2:
                strbuf_printf(b, "%02d", t->tm_mday);
                break;
        case TOKEN_DAY:
                strbuf_printf(b, "%d", t->tm_mday);
                break;
        case TOKEN_DAY_SPACE:
                strbuf_printf(b, "%2d", t->tm_mday);
                break;
        case TOKEN_YEARDAY3:
                strbuf_printf(b, "%03d", t->tm_yday + 1);
                break;
        case TOKEN_YEARDAY_SPACE:
                strbuf_printf(b, "%3d", t->tm_yday + 1);
                break;
        case TOKEN_HOUR24:
                strbuf_printf(b, "%02d", t->tm_hour);
                break;
        case TOKEN_HOUR2:
                strbuf_printf(b, "%02d", hour);
                break;
        case TOKEN_HOUR:
                strbuf_printf(b, "%d", hour);
                break;
        case TOKEN_MINUTE2:
                strbuf_printf(b, "%02d", t->tm_min);
                break;
        case TOKEN_MINUTE:
                strbuf_printf(b, "%d", t->tm_min);
                break;
        case TOKEN_SECOND2:
                strbuf_printf(b, "%02d", t->tm_sec);
                break;
        case TOKEN_SECOND:
                strbuf_printf(b, "%d", t->tm_sec);
                break;
        case TOKEN_PM:
                strbuf_puts(b, t->tm_hour >= 12 ? "PM" : "AM");
                break;
        case TOKEN_PM_SMALL:
                strbuf_puts(b, t->tm_hour >= 12 ? "pm" : "am");
                break;
        case TOKEN_ZONE_NAME:
                strbuf_puts(b, t->tm_zone);
                break;
        default:
                add_zone(b, token, z, t->tm_gmtoff);
        }
}

static int format_time(const struct tm *t, const char *layout, size_t size, Value *ret) {
        StrBuf b = {};

        for (size_t i = 0; i < size;) {
                Token token;
                bool z;
                size_t length = find_token(layout + i, &token, &z);

                if (length > 0)
                        add_token(&b, token, z, t);
                else if ((length = find_fraction(layout + i)) > 0) {
                        if (layout[i + 1] == '0')
                                strbuf_add(&b, layout + i, length);     /* whole seconds: all of them are zero */
                } else {
                        length = 1;
                        strbuf_putc(&b, layout[i]);
                }
                i += length;
        }
        return value_str_take(ret, &b);
}

/* ---- functions ---- */

static int format(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        struct tm t;
        int r = local_time(call, args[0], &t, reterr);

        return r < 0 ? r : format_time(&t, value_cstr(args[1]), args[1].s->size, ret);
}

static int print(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char layout[] = "2006-01-02 15:04:05 -0700 MST";
        struct tm t;
        int r = local_time(call, args[0], &t, reterr);

        return r < 0 ? r : format_time(&t, layout, sizeof(layout) - 1, ret);
}

static int hour_of(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        struct tm t;
        int r = local_time(call, args[0], &t, reterr);

        if (r >= 0)
                *ret = VALUE_INT(t.tm_hour);
        return r;
}

static int weekday(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        struct tm t;
        int r = local_time(call, args[0], &t, reterr);

        return r < 0 ? r : value_strf(ret, "%c%s", days[t.tm_wday][0] - 'A' + 'a', days[t.tm_wday] + 1);
}

const Builtin datetime_builtins[] = {
        { .name = "datetime.format", .signature = "func(a int, b str) str", .eval = format, .flags = BUILTIN_PURE,
          .doc = "The time a, in seconds since 1970, written as b writes Mon Jan 2 15:04:05 MST 2006; in the time zone of the "
                 "host.",
          .example = MCL(datetime.format(1443158163, "Mon Jan 2 15:04:05 2006")), .gives = MCL("Fri Sep 25 05:16:03 2015") },
        { .name = "datetime.hour", .signature = "func(a int) int", .eval = hour_of, .flags = BUILTIN_PURE,
          .doc = "The hour of the time a, in seconds since 1970, from 0 to 23; in the time zone of the host.",
          .example = MCL(datetime.hour(1443158163)), .gives = MCL(5) },
        { .name = "datetime.print", .signature = "func(a int) str", .eval = print, .flags = BUILTIN_PURE,
          .doc = "The time a, in seconds since 1970, in full; in the time zone of the host.",
          .example = MCL(datetime.print(1443158163)), .gives = MCL("2015-09-25 05:16:03 +0000 UTC") },
        { .name = "datetime.weekday", .signature = "func(a int) str", .eval = weekday, .flags = BUILTIN_PURE,
          .doc = "The day of the time a, in seconds since 1970, from monday to sunday; in the time zone of the host.",
          .example = MCL(datetime.weekday(1443158163)), .gives = MCL("friday") },
        BUILTIN_WATCHED("datetime.now", "func() int",
                        "The time now, in seconds since 1970; anew each second.",
                        MCL(datetime.now())),
        BUILTIN_WATCHED("datetime.str_now", "func() str",
                        "The time now, in seconds since 1970, as a text; anew each second.",
                        MCL(datetime.str_now())),
        BUILTIN_WATCHED("datetime.weekday_fast", "func() str",
                        "The day it is, from monday to sunday; anew at midnight, in the time zone of the host.",
                        MCL(datetime.weekday_fast())),
        {}
};
