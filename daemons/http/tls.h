/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The certificate and the private key of a server, from files that are read again whenever they change. A pair that does not fit, or
 * cannot be read, leaves the one before in force. Counted, since connections that are on their way out still need it. */

#include "common/diag.h"
#include "common/macro.h"

typedef struct HttpTls HttpTls;
typedef struct PathWatcher PathWatcher;

/* Paths of PEM files: the certificate, followed by those that vouch for it, and its key. complaint is called from the loop about what
 * is wrong with changed files; message is without a file's content. */
int http_tls_new(HttpTls **ret, PathWatcher *paths, const char *certificate, const char *key,
                 void (*complaint)(const char *message, void *userdata), void *userdata, Diag *reterr);
void http_tls_quiet(HttpTls *t);                /* no complaints any more: who wanted them is going away */
HttpTls *http_tls_ref(HttpTls *t);              /* accepts NULL */
HttpTls *http_tls_unref(HttpTls *t);
DEFINE_CLEANUP(HttpTls *, http_tls_unref)
