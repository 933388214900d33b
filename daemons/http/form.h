/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a form sends: the body of a POST, as application/x-www-form-urlencoded or multipart/form-data. It comes from anybody, so names
 * and values are any bytes. */

#include "common/macro.h"
#include "daemons/http/mhd.h"

enum { HTTP_FORM_FIELDS_MAX = 1024 };

typedef struct HttpFormField {
        char *name, *value;             /* owned; a NUL follows each, and may be within */
        size_t name_size, value_size;
} HttpFormField;

typedef struct HttpForm {
        HttpFormField *fields;          /* in the order in which they came */
        size_t n, capacity;
} HttpForm;

void http_form_done(HttpForm *f);

/* 0; -EBADMSG: it is not what it says it is; -E2BIG: too many fields; -ENOMEM. On failure *ret is empty. */
int http_form_parse_urlencoded(HttpForm *ret, const char *text, size_t size);
int http_form_parse_multipart(HttpForm *ret, const char *content_type, const char *text, size_t size);

/* By the type that the request says it has; -ENOTSUP: that is no form. An empty body has no fields. */
int http_form_parse(HttpForm *ret, const HttpRequest *q);
unsigned http_form_error_status(int error);     /* what the client is told of the failure */

const HttpFormField *http_form_get(const HttpForm *f, const char *name);        /* the first of that name, or NULL */
