/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What http:client resources got, for programs that ask by net/http.response(). Kept in memory only. */

#include <stdint.h>

#include "common/source.h"

typedef struct HttpManager HttpManager;

enum { RESPONSE_FAILED = -1 };  /* a status: something went wrong below HTTP */

/* The resource of that name has got this: a status of HTTP or RESPONSE_FAILED, and the file with what came (absolute), or NULL. Also
 * to be called when only the content of the file is another. 0 or -ENOMEM. */
int http_response_publish(HttpManager *m, const char *uid, int64_t status, const char *path);

int64_t http_response_status(const HttpManager *m, const char *uid);    /* published last; 0: nothing */

void http_responses_done(HttpManager *m);       /* forgets them; nobody may be asking any more */

/* The functions that this daemon serves, as source_server_new() wants them. */
extern const SourceType *const http_functions[];
