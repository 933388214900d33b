/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The type of an input, as a program says it: "range://?min=0&max=10&step=2". What a browser is told about an input and what is
 * accepted from it both come from here, so the two cannot differ. Pure functions over text. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"

typedef enum UiParam {
        UI_MIN,
        UI_MAX,
        UI_STEP,
        UI_TICKS,               /* the distance between two marks of a range */
        UI_MINLENGTH,           /* in characters, as the next */
        UI_MAXLENGTH,
        UI_ROWS,
        UI_PLACEHOLDER,
        UI_REQUIRED,            /* "" is no value */
        _UI_PARAM_MAX,
} UiParam;

enum {
        UI_VALUE_MAX = 16 * 1024,               /* bytes of a value */
        UI_LENGTH_DEFAULT = 1000,               /* characters of a text whose type says nothing */
        UI_OPTIONS_MAX = 1000,
        UI_TICKS_MAX = 101,
};

typedef struct UiTypeSpec UiTypeSpec;

/* Owns nothing: it points into the text that it was made of, and to the options. */
typedef struct UiType {
        const UiTypeSpec *spec;
        char *const *options;   /* NULL: none */
        struct {
                const char *text;       /* as written, with its escapes; NULL: not given */
                size_t size;
        } given[_UI_PARAM_MAX];
        int64_t min, max;       /* in the measure of the type; INT64_MIN, INT64_MAX: none */
        int64_t step;           /* 0: any */
        uint32_t min_length, max_length, rows;
        bool required;
} UiType;

/* text and options stay borrowed. -EINVAL with reterr set, which begins with "type" or "options". */
int ui_type_parse(UiType *ret, const char *text, char *const *options, Diag *reterr);

/* Is this a value of the type? *ret is the one way in which it is written; owned by the caller. -EINVAL with reterr set to a sentence
 * about the value for whoever has sent it ("must be at most 10"). */
int ui_type_accept(const UiType *t, const char *data, size_t size, char **ret, Diag *reterr);

/* What a browser shows of a value when there is none; static, or one of the options. */
const char *ui_type_initial(const UiType *t);

/* Part of a query, without its escapes; false if one is broken, or stands for NUL, or there is not enough room. */
bool ui_query_decode(const char *s, size_t size, char *ret, size_t room);

const char *ui_type_name(const UiType *t);              /* "range" */
bool ui_type_is_output(const UiType *t);                /* it is shown, and no value is accepted */
const char *ui_type_html(const UiType *t);              /* of <input type=…>; NULL: it is another element */
char *ui_type_param(const UiType *t, UiParam p);        /* decoded; NULL if not given, or out of memory. Owned by the caller */
const char *ui_param_name(UiParam p);

/* The marks of a range: how many, at which distance (in the measure of the type); 0: none. */
unsigned ui_type_ticks(const UiType *t, int64_t *ret_distance);
