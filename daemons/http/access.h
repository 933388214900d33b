/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who may send a request at all: who knows a name and a password, or a token. */

#include "daemons/http/mhd.h"

typedef struct HttpAccess {
        const char *user, *password;    /* borrowed; an empty user: nobody gets in by password */
        const char *token;              /* empty: nobody gets in by token */
} HttpAccess;

static inline bool http_access_is_limited(const HttpAccess *a) {
        return a->user[0] || a->token[0];
}

/* How long it takes tells nothing of what is secret. */
bool http_access_allows(const HttpAccess *a, const HttpRequest *q);
bool http_access_allows_header(const HttpAccess *a, const char *authorization);         /* NULL: there is none */

void http_access_refuse(const HttpAccess *a, HttpRequest *q);   /* 401, with how to do it */
