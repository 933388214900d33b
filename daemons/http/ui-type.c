/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One row a type: what a browser calls it, what its query may say, how its values are measured or checked. */

#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "common/macro.h"
#include "common/strbuf.h"
#include "common/suggest.h"
#include "common/utf8.h"
#include "daemons/http/ui-measure.h"
#include "daemons/http/ui-type.h"

enum { NUMBER_TEXT_MAX = 64 };          /* bytes of a parameter that is a number, a date and so on */

struct UiTypeSpec {
        const char *scheme;
        const char *html;
        unsigned params;                /* bits of UiParam */

        /* Those that are measured; "" is no value, and allowed unless required. */
        int (*measure)(const char *s, size_t size, int64_t *ret);
        const char *expected;           /* what a value looks like */
        const char *min, *max, *step;   /* where the type says nothing; NULL: none */

        /* The others: makes *ret of a value, which is valid UTF-8 without control characters. */
        int (*check)(const UiType *t, const char *value, char **ret, Diag *reterr);

        bool lines;                     /* a value may have several */
        bool always;                    /* there is always a value: "" is none */
        bool chooses;                   /* one of the options; others may have some as proposals */
        bool shows;                     /* people see it and cannot set it */
};

static int refuse(Diag *reterr, const char *what) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "%s", what);
}

static int copy(const char *value, char **ret) {
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

/* ---- checks of values ---- */

static bool is_alnum(char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int check_any(const UiType *t, const char *value, char **ret, Diag *reterr) {
        return copy(value, ret);
}

/* As HTML has it: what is before the @ is made of certain characters, the rest is a name of a host. */
static bool is_email(const char *s) {
        const char *at = strchr(s, '@');
        size_t label = 0;

        if (!at || at == s)
                return false;
        for (const char *p = s; p < at; p++)
                if (!is_alnum(*p) && !strchr(".!#$%&'*+/=?^_`{|}~-", *p))
                        return false;
        for (const char *p = at + 1;; p++) {
                if (*p == '.' || *p == 0) {
                        if (label == 0 || label > 63 || p[-1] == '-')
                                return false;
                        if (*p == 0)
                                return true;
                        label = 0;
                } else if (is_alnum(*p) || (*p == '-' && label > 0))
                        label++;
                else
                        return false;
        }
}

static int check_email(const UiType *t, const char *value, char **ret, Diag *reterr) {
        if (*value && !is_email(value))
                return refuse(reterr, "must be an address such as name@example.org");
        return copy(value, ret);
}

static bool is_url(const char *s) {
        size_t scheme = 0;

        while (is_alnum(s[scheme]) || (scheme > 0 && s[scheme] && strchr("+-.", s[scheme])))
                scheme++;
        return scheme > 0 && !(s[0] >= '0' && s[0] <= '9') && startswith(s + scheme, "://") && s[scheme + 3] && !strchr(s, ' ');
}

static int check_url(const UiType *t, const char *value, char **ret, Diag *reterr) {
        if (*value && !is_url(value))
                return refuse(reterr, "must be a complete address such as https://example.org/");
        return copy(value, ret);
}

static int check_color(const UiType *t, const char *value, char **ret, Diag *reterr) {
        int r;

        if (value[0] != '#' || strlen(value) != 7)
                return refuse(reterr, "must be a colour such as #1a2b3c");
        for (const char *p = value + 1; *p; p++)
                if (hex_digit(*p) < 0)
                        return refuse(reterr, "must be a colour such as #1a2b3c");
        r = copy(value, ret);
        for (char *p = r < 0 ? NULL : *ret; p && *p; p++)
                *p = (char) (*p >= 'A' && *p <= 'F' ? *p + ('a' - 'A') : *p);
        return r;
}

static int check_checkbox(const UiType *t, const char *value, char **ret, Diag *reterr) {
        if (!streq(value, "true") && !streq(value, "false"))
                return refuse(reterr, "must be true or false");
        return copy(value, ret);
}

static int check_option(const UiType *t, const char *value, char **ret, Diag *reterr) {
        for (size_t i = 0; t->options[i]; i++)
                if (streq(t->options[i], value))
                        return copy(value, ret);
        return refuse(reterr, "must be one of the options");
}

/* ---- the table ---- */

#define BIT(p) (1u << (p))
#define LIMITS (BIT(UI_MIN) | BIT(UI_MAX) | BIT(UI_STEP))
#define LENGTHS (BIT(UI_MINLENGTH) | BIT(UI_MAXLENGTH) | BIT(UI_PLACEHOLDER) | BIT(UI_REQUIRED))

static const UiTypeSpec specs[] = {
        { "checkbox", "checkbox", 0, .check = check_checkbox, .always = true },
        { "color", "color", 0, .check = check_color, .always = true },
        { "date", "date", LIMITS | BIT(UI_REQUIRED), ui_measure_date, "a date such as 2024-02-29", .step = "1" },
        { "datetime-local", "datetime-local", LIMITS | BIT(UI_REQUIRED), ui_measure_datetime, "a date and time such as 2024-02-29T12:30",
          .step = "60" },
        { "email", "email", LENGTHS, .check = check_email },
        { "month", "month", LIMITS | BIT(UI_REQUIRED), ui_measure_month, "a month such as 2024-02", .step = "1" },
        { "number", "number", LIMITS | BIT(UI_PLACEHOLDER) | BIT(UI_REQUIRED), ui_measure_decimal, "a number such as 12 or 0.5", .step = "1" },
        { "output", NULL, 0, .shows = true },
        { "radio", NULL, 0, .check = check_option, .always = true, .chooses = true },
        { "range", "range", LIMITS | BIT(UI_TICKS), ui_measure_decimal, "a number such as 12 or 0.5", "0", "100", "1", .always = true },
        { "select", NULL, 0, .check = check_option, .always = true, .chooses = true },
        { "tel", "tel", LENGTHS, .check = check_any },
        { "text", "text", LENGTHS, .check = check_any },
        { "textarea", NULL, LENGTHS | BIT(UI_ROWS), .check = check_any, .lines = true },
        { "time", "time", LIMITS | BIT(UI_REQUIRED), ui_measure_time, "a time such as 12:30", .step = "60" },
        { "url", "url", LENGTHS, .check = check_url },
        { "week", "week", LIMITS | BIT(UI_REQUIRED), ui_measure_week, "a week such as 2024-W09", .step = "1" },
};

static const char *const param_names[_UI_PARAM_MAX] = {
        [UI_MIN] = "min",
        [UI_MAX] = "max",
        [UI_STEP] = "step",
        [UI_TICKS] = "ticks",
        [UI_MINLENGTH] = "minlength",
        [UI_MAXLENGTH] = "maxlength",
        [UI_ROWS] = "rows",
        [UI_PLACEHOLDER] = "placeholder",
        [UI_REQUIRED] = "required",
};

/* ---- the text of a type ---- */

static int find_spec(UiType *t, const char *text, size_t size, Diag *reterr) {
        Suggestion s;
        char word[NUMBER_TEXT_MAX];

        for (size_t i = 0; i < ELEMENTSOF(specs); i++)
                if (strlen(specs[i].scheme) == size && memcmp(specs[i].scheme, text, size) == 0) {
                        t->spec = specs + i;
                        return 0;
                }
        (void) snprintf(word, sizeof(word), "%.*s", (int) MIN(size, sizeof(word) - 1), text);
        s = suggestion_for(word);
        for (size_t i = 0; i < ELEMENTSOF(specs); i++)
                suggestion_add(&s, specs[i].scheme);
        return diag_set(reterr, (Pos) {}, -EINVAL, "type '%s' is not known%s%s%s", word, s.best ? ", did you mean '" : "", s.best ?: "",
                        s.best ? "'?" : "");
}

bool ui_query_decode(const char *s, size_t size, char *ret, size_t room) {
        size_t n = 0;

        for (size_t i = 0; i < size; i++) {
                int high = s[i] == '%' && i + 2 < size ? hex_digit(s[i + 1]) : -1, low = high >= 0 ? hex_digit(s[i + 2]) : -1;

                if (s[i] == '%' && (low < 0 || high + low == 0))
                        return false;
                if (n + 1 >= room)
                        return false;
                ret[n++] = s[i] == '%' ? (char) (high << 4 | low) : s[i] == '+' ? ' ' : s[i];
                i += s[i] == '%' ? 2 : 0;
        }
        ret[n] = 0;
        return true;
}

static int take_param(UiType *t, const char *s, size_t size, Diag *reterr) {
        const char *equals = memchr(s, '=', size);
        size_t key = equals ? (size_t) (equals - s) : size;

        for (UiParam p = 0; p < _UI_PARAM_MAX; p++) {
                if (strlen(param_names[p]) != key || memcmp(param_names[p], s, key) != 0 || !(t->spec->params & BIT(p)))
                        continue;
                if (t->given[p].text)
                        return diag_set(reterr, (Pos) {}, -EINVAL, "type says %s twice", param_names[p]);
                t->given[p].text = equals ? equals + 1 : s + size;
                t->given[p].size = equals ? size - key - 1 : 0;
                return 0;
        }
        return diag_set(reterr, (Pos) {}, -EINVAL, "type '%s' has no '%.*s'", t->spec->scheme, (int) MIN(key, (size_t) NUMBER_TEXT_MAX), s);
}

static int take_query(UiType *t, const char *query, Diag *reterr) {
        int r = 0;

        while (*query && r >= 0) {
                size_t size = strcspn(query, "&");

                r = size > 0 ? take_param(t, query, size, reterr) : 0;
                query += size;
                query += *query == '&';
        }
        return r;
}

/* The text of a short parameter, or what the type has in its place; NULL: none. */
static int param_text(const UiType *t, UiParam p, const char *fallback, char buffer[static NUMBER_TEXT_MAX], const char **ret,
                      Diag *reterr) {
        *ret = fallback;
        if (!t->given[p].text)
                return 0;
        if (!ui_query_decode(t->given[p].text, t->given[p].size, buffer, NUMBER_TEXT_MAX))
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has a %s that is too long, or has a broken escape", param_names[p]);
        *ret = buffer;
        return 0;
}

static int take_limit(UiType *t, UiParam p, const char *fallback, int64_t none, int64_t *ret, Diag *reterr) {
        char buffer[NUMBER_TEXT_MAX];
        const char *text;
        int r = param_text(t, p, fallback, buffer, &text, reterr);

        *ret = none;
        if (r < 0 || !text)
                return r;
        if (t->spec->measure(text, strlen(text), ret) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has a %s '%s', expected %s", param_names[p], text, t->spec->expected);
        return 0;
}

/* Steps are numbers of the unit that is measured: days, seconds, … */
static int take_step(UiType *t, UiParam p, const char *fallback, int64_t *ret, Diag *reterr) {
        int64_t scale = t->spec->measure == ui_measure_decimal ? 1 : UI_DECIMAL_SCALE;
        char buffer[NUMBER_TEXT_MAX];
        const char *text;
        int r = param_text(t, p, fallback, buffer, &text, reterr);

        *ret = 0;
        if (r < 0 || !text || (p == UI_STEP && streq(text, "any")))
                return r;
        if (ui_measure_decimal(text, strlen(text), ret) < 0 || *ret <= 0 || *ret % scale != 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has a %s '%s', expected a %snumber greater than 0", param_names[p], text,
                                scale > 1 ? "whole " : "");
        *ret /= scale;
        return 0;
}

static int take_count(UiType *t, UiParam p, uint32_t fallback, uint32_t max, uint32_t *ret, Diag *reterr) {
        char buffer[NUMBER_TEXT_MAX];
        const char *text;
        int64_t n;
        int r = param_text(t, p, NULL, buffer, &text, reterr);

        *ret = fallback;
        if (r < 0 || !text)
                return r;
        if (ui_measure_decimal(text, strlen(text), &n) < 0 || n % UI_DECIMAL_SCALE != 0 || n < 0 || n / UI_DECIMAL_SCALE > max)
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has a %s '%s', expected a whole number up to %u", param_names[p], text,
                                max);
        *ret = (uint32_t) (n / UI_DECIMAL_SCALE);
        return 0;
}

static int take_flag(UiType *t, UiParam p, bool *ret, Diag *reterr) {
        char buffer[NUMBER_TEXT_MAX];
        const char *text;
        int r = param_text(t, p, "false", buffer, &text, reterr);

        if (r < 0)
                return r;
        *ret = *text == 0 || streq(text, "true");
        if (!*ret && !streq(text, "false"))
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has a %s '%s', expected true or false", param_names[p], text);
        return 0;
}

static int check_limits(UiType *t, Diag *reterr) {
        int64_t distance;
        int r;

        r = take_limit(t, UI_MIN, t->spec->min, INT64_MIN, &t->min, reterr);
        if (r >= 0)
                r = take_limit(t, UI_MAX, t->spec->max, INT64_MAX, &t->max, reterr);
        if (r >= 0)
                r = take_step(t, UI_STEP, t->spec->step, &t->step, reterr);
        if (r >= 0)
                r = take_step(t, UI_TICKS, NULL, &distance, reterr);
        if (r < 0)
                return r;
        if (t->min > t->max)
                return refuse(reterr, "type has a min that is greater than its max");
        if (distance > 0 && (t->max - t->min) / distance >= UI_TICKS_MAX)
                return diag_set(reterr, (Pos) {}, -EINVAL, "type has more than %d ticks", UI_TICKS_MAX);
        return 0;
}

static int check_texts(UiType *t, Diag *reterr) {
        char placeholder[1024];
        int r;

        r = take_count(t, UI_MINLENGTH, 0, UI_VALUE_MAX / 4, &t->min_length, reterr);
        if (r >= 0)
                r = take_count(t, UI_MAXLENGTH, UI_LENGTH_DEFAULT, UI_VALUE_MAX / 4, &t->max_length, reterr);
        if (r >= 0)
                r = take_count(t, UI_ROWS, 4, 50, &t->rows, reterr);
        if (r < 0)
                return r;
        if (t->min_length > t->max_length)
                return refuse(reterr, "type has a minlength that is greater than its maxlength");
        if (t->given[UI_PLACEHOLDER].text &&
            (!ui_query_decode(t->given[UI_PLACEHOLDER].text, t->given[UI_PLACEHOLDER].size, placeholder, sizeof(placeholder)) ||
             !utf8_valid(placeholder, strlen(placeholder))))
                return refuse(reterr, "type has a placeholder that is too long, or is not text");
        return 0;
}

static int check_options(const UiType *t, Diag *reterr) {
        size_t n = 0;

        for (; t->options && t->options[n]; n++) {
                if (n == UI_OPTIONS_MAX)
                        return diag_set(reterr, (Pos) {}, -EINVAL, "options are more than %d", UI_OPTIONS_MAX);
                if (strlen(t->options[n]) > UI_VALUE_MAX || !utf8_valid(t->options[n], strlen(t->options[n])))
                        return refuse(reterr, "options have one that is too long, or is not text");
        }
        if (t->spec->chooses && n == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "options are empty, but type '%s' needs some", t->spec->scheme);
        return 0;
}

int ui_type_parse(UiType *ret, const char *text, char *const *options, Diag *reterr) {
        const char *colon = strstr(text, "://");
        UiType t = { .options = options };
        int r;

        if (!colon || (colon[3] != 0 && colon[3] != '?'))
                return diag_set(reterr, (Pos) {}, -EINVAL, "type must be such as 'text://' or 'range://?min=0&max=10', got '%.*s'",
                                NUMBER_TEXT_MAX, text);
        r = find_spec(&t, text, (size_t) (colon - text), reterr);
        if (r >= 0 && colon[3] == '?')
                r = take_query(&t, colon + 4, reterr);
        if (r >= 0)
                r = take_flag(&t, UI_REQUIRED, &t.required, reterr);
        if (r >= 0)
                r = t.spec->measure ? check_limits(&t, reterr) : check_texts(&t, reterr);
        if (r >= 0)
                r = check_options(&t, reterr);
        if (r >= 0)
                *ret = t;
        return r;
}

/* ---- values ---- */

/* A form sends lines that end with CR LF; programs see LF. */
static char *normalize_lines(const char *data, size_t size) {
        char *text = malloc(size + 1);
        size_t n = 0;

        if (!text)
                return NULL;
        for (size_t i = 0; i < size; i++)
                if (data[i] != '\r' || i + 1 == size || data[i + 1] != '\n')
                        text[n++] = data[i];
        text[n] = 0;
        return text;
}

static int check_characters(const UiType *t, const char *s, Diag *reterr) {
        size_t left = strlen(s), n = 0;
        uint32_t c;

        for (; left > 0; n++) {
                size_t size = utf8_decode(s, left, &c);

                if (size == 0)
                        return refuse(reterr, "must be UTF-8");
                if ((c < 0x20 && !(t->spec->lines && (c == '\n' || c == '\t'))) || (c >= 0x7f && c < 0xa0))
                        return refuse(reterr, "must not have control characters");
                s += size;
                left -= size;
        }
        if (t->spec->measure || t->spec->always)
                return 0;
        if (n > t->max_length)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have at most %u characters", t->max_length);
        if (n < t->min_length && (n > 0 || t->required))
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have at least %u characters", t->min_length);
        return 0;
}

static int refuse_limit(const UiType *t, UiParam p, const char *words, Diag *reterr) {
        const char *text = p == UI_MIN ? t->spec->min : p == UI_MAX ? t->spec->max : t->spec->step;
        char buffer[NUMBER_TEXT_MAX];

        (void) param_text(t, p, text, buffer, &text, NULL);
        return diag_set(reterr, (Pos) {}, -EINVAL, "%s %s", words, text ?: "");
}

static int check_measured(const UiType *t, const char *value, char **ret, Diag *reterr) {
        char text[UI_DECIMAL_TEXT_MAX];
        int64_t v;

        if (t->spec->measure(value, strlen(value), &v) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must be %s", t->spec->expected);
        if (v < t->min)
                return refuse_limit(t, UI_MIN, "must be at least", reterr);
        if (v > t->max)
                return refuse_limit(t, UI_MAX, "must be at most", reterr);
        if (t->step > 0 && (v - (t->min != INT64_MIN ? t->min : 0)) % t->step != 0)
                return refuse_limit(t, UI_STEP, t->min == INT64_MIN || t->min == 0 ? "must be in steps of"
                                                                                   : "must be its least value and steps of", reterr);
        if (t->spec->measure != ui_measure_decimal)
                return copy(value, ret);
        ui_decimal_text(v, text);
        return copy(text, ret);
}

int ui_type_accept(const UiType *t, const char *data, size_t size, char **ret, Diag *reterr) {
        _cleanup_free_ char *value = NULL;
        int r;

        if (t->spec->shows)
                return refuse(reterr, "is only shown");
        if (size > UI_VALUE_MAX)
                return diag_set(reterr, (Pos) {}, -EINVAL, "must have at most %d bytes", UI_VALUE_MAX);
        if (memchr(data, 0, size))
                return refuse(reterr, "must not have control characters");
        value = normalize_lines(data, size);
        if (!value)
                return -ENOMEM;
        r = check_characters(t, value, reterr);
        if (r < 0)
                return r;
        if (*value == 0 && t->required)
                return refuse(reterr, "must not be empty");
        if (*value == 0 && !t->spec->always)
                return copy("", ret);
        return t->spec->measure ? check_measured(t, value, ret, reterr) : t->spec->check(t, value, ret, reterr);
}

/* ---- for whoever shows it ---- */

const char *ui_type_initial(const UiType *t) {
        if (t->spec->chooses)
                return t->options[0];
        return t->spec->check == check_color ? "#000000" : t->spec->check == check_checkbox ? "false" : "";
}

const char *ui_type_name(const UiType *t) {
        return t->spec->scheme;
}

bool ui_type_is_output(const UiType *t) {
        return t->spec->shows;
}

const char *ui_type_html(const UiType *t) {
        return t->spec->html;
}

const char *ui_param_name(UiParam p) {
        return param_names[p];
}

char *ui_type_param(const UiType *t, UiParam p) {
        char *text;

        if (!t->given[p].text)
                return NULL;
        text = malloc(t->given[p].size + 1);
        if (text && !ui_query_decode(t->given[p].text, t->given[p].size, text, t->given[p].size + 1)) {
                free(text);
                return NULL;
        }
        return text;
}

unsigned ui_type_ticks(const UiType *t, int64_t *ret_distance) {
        int64_t distance = 0;

        if (!(t->spec->params & BIT(UI_TICKS)))
                return 0;
        if (t->given[UI_TICKS].text)
                (void) take_step((UiType *) t, UI_TICKS, NULL, &distance, NULL);
        else if (t->step > 0 && (t->max - t->min) / t->step <= 20)
                distance = t->step;     /* few steps are all shown */
        if (distance <= 0)
                return 0;
        *ret_distance = distance;
        return (unsigned) ((t->max - t->min) / distance + 1);
}
