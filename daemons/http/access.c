/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is compared are digests: they have one length, and where they begin to differ says nothing of where the texts do. */

#include <strings.h>

#include <gnutls/crypto.h>

#include "common/base64.h"
#include "common/strbuf.h"
#include "daemons/http/access.h"

enum { CREDENTIALS_MAX = 4096 };

static bool is_same_secret(const char *a, size_t a_size, const char *b, size_t b_size) {
        uint8_t x[32] = {}, y[32] = {};

        return gnutls_hash_fast(GNUTLS_DIG_SHA256, a, a_size, x) >= 0 && gnutls_hash_fast(GNUTLS_DIG_SHA256, b, b_size, y) >= 0 &&
               gnutls_memcmp(x, y, sizeof(x)) == 0;
}

static const char *after_scheme(const char *authorization, const char *scheme) {
        size_t n = strlen(scheme);

        if (strncasecmp(authorization, scheme, n) != 0 || authorization[n] != ' ')
                return NULL;
        return authorization + n + strspn(authorization + n, " ");
}

static bool allows_password(const HttpAccess *a, const char *encoded) {
        _cleanup_(strbuf_done) StrBuf given = {}, wanted = {};
        size_t at;
        bool same;

        if (strbuf_unbase64(&given, encoded, strlen(encoded), &at) < 0)
                return false;
        strbuf_puts(&wanted, a->user);
        strbuf_putc(&wanted, ':');
        strbuf_puts(&wanted, a->password);
        same = !given.failed && !wanted.failed && given.data && is_same_secret(given.data, given.size, wanted.data, wanted.size);
        if (wanted.data)
                explicit_bzero(wanted.data, wanted.size);
        if (given.data)
                explicit_bzero(given.data, given.size);
        return same;
}

bool http_access_allows_header(const HttpAccess *a, const char *authorization) {
        const char *rest;

        if (!http_access_is_limited(a))
                return true;
        if (!authorization || strlen(authorization) > CREDENTIALS_MAX)
                return false;
        if (a->user[0] && (rest = after_scheme(authorization, "Basic")))
                return allows_password(a, rest);
        if (a->token[0] && (rest = after_scheme(authorization, "Bearer")))
                return is_same_secret(rest, strlen(rest), a->token, strlen(a->token));
        return false;
}

bool http_access_allows(const HttpAccess *a, const HttpRequest *q) {
        return http_access_allows_header(a, http_request_header(q, "Authorization"));
}

void http_access_refuse(const HttpAccess *a, HttpRequest *q) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        int r;

        r = http_reply_new_status(&p, 401);
        if (r >= 0 && a->user[0])
                r = http_reply_header(p, "WWW-Authenticate", "Basic realm=\"mgmt\", charset=\"UTF-8\"");
        if (r >= 0 && a->token[0])
                r = http_reply_header(p, "WWW-Authenticate", "Bearer realm=\"mgmt\"");
        if (r >= 0)
                http_request_reply(q, TAKE_PTR(p));
}
