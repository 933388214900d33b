/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Types of inputs: what a program may say, and what a browser may send for it. */

#include <errno.h>
#include <string.h>

#include "daemons/http/ui-measure.h"
#include "daemons/http/ui-type.h"
#include "tests/test.h"

static char *const sizes[] = { (char *) "small", (char *) "medium", (char *) "big one", NULL };

/* What becomes of a value, or what is said against it. */
static void check_value(const char *type, const char *value, const char *want, const char *objection) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *got = NULL;
        UiType t;

        if (ui_type_parse(&t, type, sizes, &d) < 0) {
                TEST_FAIL("%s: %s", type, d.message);
                return;
        }
        int r = ui_type_accept(&t, value, strlen(value), &got, &d);
        if (r != (want ? 0 : -EINVAL) || (want ? !streq_ptr(got, want) : !streq_ptr(d.message, objection)))
                TEST_FAIL("%s: '%s' becomes '%s' (%s), not '%s' (%s)", type, value, got ? got : "-", d.message ? d.message : "-",
                          want ? want : "-", objection ? objection : "-");
}

TEST(values) {
        static const struct { const char *type, *value, *want, *objection; } cases[] = {
                { "text://", "", "", NULL },
                { "text://", "héllo <&>", "héllo <&>", NULL },
                { "text://", "a\nb", NULL, "must not have control characters" },
                { "text://", "a\x7f", NULL, "must not have control characters" },
                { "text://", "a\xc2\x85", NULL, "must not have control characters" },
                { "text://", "a\xff", NULL, "must be UTF-8" },
                { "text://?maxlength=3", "äöü", "äöü", NULL },
                { "text://?maxlength=3", "abcd", NULL, "must have at most 3 characters" },
                { "text://?minlength=2", "a", NULL, "must have at least 2 characters" },
                { "text://?minlength=2", "", "", NULL },
                { "text://?required", "", NULL, "must not be empty" },
                { "text://?required=true&minlength=2", "", NULL, "must have at least 2 characters" },
                { "textarea://", "a\r\nb\n\tc", "a\nb\n\tc", NULL },
                { "textarea://", "a\rb", NULL, "must not have control characters" },
                { "number://", "007", "7", NULL },
                { "number://", "-0", "0", NULL },
                { "number://", "1.5", NULL, "must be in steps of 1" },
                { "number://?step=any", "1.50", "1.5", NULL },
                { "number://?step=0.25", "-0.75", "-0.75", NULL },
                { "number://?step=0.25", "0.3", NULL, "must be in steps of 0.25" },
                { "number://", "1e3", NULL, "must be a number such as 12 or 0.5" },
                { "number://", "+1", NULL, "must be a number such as 12 or 0.5" },
                { "number://", " 1", NULL, "must be a number such as 12 or 0.5" },
                { "number://", "0x10", NULL, "must be a number such as 12 or 0.5" },
                { "number://", "9999999999999", NULL, "must be a number such as 12 or 0.5" },
                { "number://", "999999999999", "999999999999", NULL },
                { "number://", "", "", NULL },
                { "number://?required=true", "", NULL, "must not be empty" },
                { "number://?min=-5&max=5", "-6", NULL, "must be at least -5" },
                { "number://?min=-5&max=5", "6", NULL, "must be at most 5" },
                { "range://?min=1&max=9&step=2", "5", "5", NULL },
                { "range://?min=1&max=9&step=2", "4", NULL, "must be its least value and steps of 2" },
                { "range://", "100", "100", NULL },
                { "range://", "101", NULL, "must be at most 100" },
                { "range://", "", NULL, "must be a number such as 12 or 0.5" },
                { "checkbox://", "true", "true", NULL },
                { "checkbox://", "false", "false", NULL },
                { "checkbox://", "on", NULL, "must be true or false" },
                { "select://", "big one", "big one", NULL },
                { "select://", "huge", NULL, "must be one of the options" },
                { "radio://", "", NULL, "must be one of the options" },
                { "color://", "#A1b2C3", "#a1b2c3", NULL },
                { "color://", "#a1b2c", NULL, "must be a colour such as #1a2b3c" },
                { "color://", "#a1b2cg", NULL, "must be a colour such as #1a2b3c" },
                { "color://", "red", NULL, "must be a colour such as #1a2b3c" },
                { "date://", "2024-02-29", "2024-02-29", NULL },
                { "date://", "2023-02-29", NULL, "must be a date such as 2024-02-29" },
                { "date://", "1900-02-29", NULL, "must be a date such as 2024-02-29" },
                { "date://", "2024-13-01", NULL, "must be a date such as 2024-02-29" },
                { "date://", "2024-1-1", NULL, "must be a date such as 2024-02-29" },
                { "date://", "0000-01-01", NULL, "must be a date such as 2024-02-29" },
                { "date://?min=2024-01-01&step=7", "2024-01-15", "2024-01-15", NULL },
                { "date://?min=2024-01-01&step=7", "2024-01-16", NULL, "must be its least value and steps of 7" },
                { "date://?max=2024-01-01", "2024-01-02", NULL, "must be at most 2024-01-01" },
                { "time://", "23:59", "23:59", NULL },
                { "time://", "24:00", NULL, "must be a time such as 12:30" },
                { "time://", "12:30:01", NULL, "must be in steps of 60" },
                { "time://?step=1", "12:30:01", "12:30:01", NULL },
                { "datetime-local://", "2024-02-29T12:30", "2024-02-29T12:30", NULL },
                { "datetime-local://", "2024-02-29 12:30", NULL, "must be a date and time such as 2024-02-29T12:30" },
                { "month://", "2024-02", "2024-02", NULL },
                { "month://?min=2024-03", "2024-02", NULL, "must be at least 2024-03" },
                { "week://", "2020-W53", "2020-W53", NULL },
                { "week://", "2021-W53", NULL, "must be a week such as 2024-W09" },
                { "week://", "2021-W00", NULL, "must be a week such as 2024-W09" },
                { "email://", "a.b+c@example.org", "a.b+c@example.org", NULL },
                { "email://", "@example.org", NULL, "must be an address such as name@example.org" },
                { "email://", "a@b@c", NULL, "must be an address such as name@example.org" },
                { "email://", "a@-b", NULL, "must be an address such as name@example.org" },
                { "email://", "a@b-", NULL, "must be an address such as name@example.org" },
                { "email://", "a@b..c", NULL, "must be an address such as name@example.org" },
                { "email://", "a b@c", NULL, "must be an address such as name@example.org" },
                { "email://", "", "", NULL },
                { "url://", "https://example.org/", "https://example.org/", NULL },
                { "url://", "javascript:alert(1)", NULL, "must be a complete address such as https://example.org/" },
                { "url://", "1http://x", NULL, "must be a complete address such as https://example.org/" },
                { "tel://", "+49 30 1", "+49 30 1", NULL },
                { "output://", "", NULL, "is only shown" },
                { "output://", "x", NULL, "is only shown" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                check_value(cases[i].type, cases[i].value, cases[i].want, cases[i].objection);
}

TEST(a_nul_is_no_text) {
        _cleanup_(diag_done) Diag d = {};
        char *got = NULL;
        UiType t;

        CHECK_INT(ui_type_parse(&t, "text://", NULL, NULL), 0);
        CHECK_INT(ui_type_accept(&t, "a\0b", 3, &got, &d), -EINVAL);
        CHECK_STR(d.message, "must not have control characters");
}

TEST(types_that_are_refused) {
        static const struct { const char *type, *message; } cases[] = {
                { "", "type must be such as 'text://' or 'range://?min=0&max=10', got ''" },
                { "text", "type must be such as 'text://' or 'range://?min=0&max=10', got 'text'" },
                { "text://x", "type must be such as 'text://' or 'range://?min=0&max=10', got 'text://x'" },
                { "rnage://", "type 'rnage' is not known, did you mean 'range'?" },
                { "range://?mni=1", "type 'range' has no 'mni'" },
                { "text://?min=1", "type 'text' has no 'min'" },
                { "range://?min=1&min=2", "type says min twice" },
                { "range://?min=a", "type has a min 'a', expected a number such as 12 or 0.5" },
                { "range://?step=0", "type has a step '0', expected a number greater than 0" },
                { "date://?step=0.5", "type has a step '0.5', expected a whole number greater than 0" },
                { "range://?min=5&max=4", "type has a min that is greater than its max" },
                { "range://?ticks=0.1", "type has more than 101 ticks" },
                { "range://?min=%zz", "type has a min that is too long, or has a broken escape" },
                { "range://?min=%00", "type has a min that is too long, or has a broken escape" },
                { "text://?maxlength=99999", "type has a maxlength '99999', expected a whole number up to 4096" },
                { "text://?minlength=3&maxlength=2", "type has a minlength that is greater than its maxlength" },
                { "text://?required=maybe", "type has a required 'maybe', expected true or false" },
                { "text://?placeholder=%ff", "type has a placeholder that is too long, or is not text" },
                { "select://", "options are empty, but type 'select' needs some" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(diag_done) Diag d = {};
                UiType t;
                CHECK_INT(ui_type_parse(&t, cases[i].type, NULL, &d), -EINVAL);
                CHECK_STR(d.message, cases[i].message);
        }
}

TEST(parameters_are_decoded) {
        _cleanup_free_ char *text = NULL;
        UiType t;

        CHECK_INT(ui_type_parse(&t, "text://?placeholder=a+b%26c&required", NULL, NULL), 0);
        text = ui_type_param(&t, UI_PLACEHOLDER);
        CHECK_STR(text, "a b&c");
        CHECK(t.required);
        CHECK(!ui_type_param(&t, UI_MIN));
}

TEST(ticks) {
        static const struct { const char *type; unsigned n; int64_t distance; } cases[] = {
                { "range://?max=8", 9, 1 },
                { "range://", 0, 0 },
                { "range://?ticks=25", 5, 25 },
                { "range://?min=1&max=2&step=0.5", 3, 0 },
                { "number://?max=8&min=0", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int64_t distance = 0;
                UiType t;
                CHECK_INT(ui_type_parse(&t, cases[i].type, NULL, NULL), 0);
                CHECK_INT(ui_type_ticks(&t, &distance), cases[i].n);
                if (cases[i].distance > 0)
                        CHECK_INT(distance, cases[i].distance * UI_DECIMAL_SCALE);
        }
}

/* Each day, month and week follows the one before, over leap years and centuries. */
TEST(calendar_has_no_gaps) {
        int64_t day = 0, week = 0, month = 0, n = 0;
        char text[64];

        CHECK_INT(ui_measure_date("1970-01-01", 10, &day), 0);
        CHECK_INT(day, 0);
        CHECK_INT(ui_measure_week("1970-W01", 8, &week), 0);
        CHECK_INT(week, 0);
        CHECK_INT(ui_measure_month("1970-01", 7, &month), 0);
        CHECK_INT(month, 0);
        CHECK_INT(ui_measure_datetime("1970-01-02T00:01", 16, &n), 0);
        CHECK_INT(n, 86460);
        day--;
        week--;
        for (int year = 1970; year < 2110; year++) {
                for (int m = 1; m <= 12; m++)
                        for (int d = 1; d <= 31; d++) {
                                (void) snprintf(text, sizeof(text), "%04d-%02d-%02d", year, m, d);
                                if (ui_measure_date(text, strlen(text), &n) >= 0 && n != ++day)
                                        TEST_FAIL("%s is day %lld, not %lld", text, (long long) n, (long long) day);
                        }
                for (int w = 1; w <= 53; w++) {
                        (void) snprintf(text, sizeof(text), "%04d-W%02d", year, w);
                        if (ui_measure_week(text, strlen(text), &n) >= 0 && n != ++week)
                                TEST_FAIL("%s is week %lld, not %lld", text, (long long) n, (long long) week);
                }
        }
        CHECK_INT(day, 51133);          /* 2109-12-31 */
}

TEST_MAIN()
