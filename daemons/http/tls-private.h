/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What GnuTLS wants of a certificate, for the listener alone. */

#include <gnutls/abstract.h>

#include "daemons/http/tls.h"

enum { TLS_CHAIN_MAX = 16 };            /* certificates in a file */

/* Valid until the loop is entered again. */
void http_tls_get(const HttpTls *t, gnutls_pcert_st **ret_chain, unsigned *ret_n, gnutls_privkey_t *ret_key);
