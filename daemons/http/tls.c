/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "common/sd/steady-watch.h"
#include "daemons/http/tls-private.h"

enum { FILE_MAX = 1024 * 1024 };

typedef struct Pair {
        gnutls_pcert_st chain[TLS_CHAIN_MAX];
        unsigned n;
        gnutls_privkey_t key;
} Pair;

struct HttpTls {
        unsigned n_ref;
        char *certificate, *key;
        Pair pair;
        SteadyWatch *watches[2];
        void (*complaint)(const char *message, void *userdata);
        void *userdata;
};

static void pair_done(Pair *p) {
        for (unsigned i = 0; i < p->n; i++)
                gnutls_pcert_deinit(p->chain + i);
        if (p->key)
                gnutls_privkey_deinit(p->key);
        *p = (Pair) {};
}

static int read_pem(const char *path, char **ret, gnutls_datum_t *ret_datum, Diag *reterr) {
        size_t size;
        int r = read_file_at(AT_FDCWD, path, FILE_MAX, ret, &size);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        *ret_datum = (gnutls_datum_t) { .data = (unsigned char *) *ret, .size = (unsigned) size };
        return 0;
}

static int bad(const char *path, int error, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -EBADMSG, "cannot use '%s': %s", path, gnutls_strerror(error));
}

/* A key that is not the certificate's would make every handshake fail. */
static int check_fit(const HttpTls *t, const Pair *p, Diag *reterr) {
        uint8_t a[64], b[64];
        size_t a_size = sizeof(a), b_size = sizeof(b);
        gnutls_pubkey_t public;
        int e;

        e = gnutls_pubkey_init(&public);
        if (e < 0)
                return -ENOMEM;
        e = gnutls_pubkey_import_privkey(public, p->key, 0, 0);
        if (e >= 0)
                e = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, a, &a_size);
        gnutls_pubkey_deinit(public);
        if (e >= 0)
                e = gnutls_pubkey_get_key_id(p->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, b, &b_size);
        if (e < 0)
                return bad(t->key, e, reterr);
        if (a_size != b_size || memcmp(a, b, a_size) != 0)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the key in '%s' is not that of the certificate in '%s'", t->key,
                                t->certificate);
        return 0;
}

static int pair_read(Pair *p, const HttpTls *t, Diag *reterr) {
        _cleanup_free_ char *certificate = NULL, *key = NULL;
        gnutls_datum_t datum;
        unsigned n = TLS_CHAIN_MAX;
        int r, e;

        r = read_pem(t->certificate, &certificate, &datum, reterr);
        if (r < 0)
                return r;
        e = gnutls_pcert_list_import_x509_raw(p->chain, &n, &datum, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
        if (e < 0)
                return bad(t->certificate, e, reterr);
        p->n = n;

        r = read_pem(t->key, &key, &datum, reterr);
        if (r < 0)
                return r;
        e = gnutls_privkey_init(&p->key);
        if (e >= 0)
                e = gnutls_privkey_import_x509_raw(p->key, &datum, GNUTLS_X509_FMT_PEM, NULL, 0);
        explicit_bzero(key, datum.size);
        return e < 0 ? bad(t->key, e, reterr) : check_fit(t, p, reterr);
}

static int tls_load(HttpTls *t, Diag *reterr) {
        _cleanup_(pair_done) Pair p = {};
        int r = pair_read(&p, t, reterr);

        if (r < 0)
                return r;
        pair_done(&t->pair);
        t->pair = p;
        p = (Pair) {};
        return 0;
}

/* Both files change one after the other; what does not fit now may fit when the other one has come. */
static void on_path(void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        HttpTls *t = userdata;

        if (tls_load(t, &diag) < 0 && t->complaint)
                t->complaint(diag.message ? diag.message : "out of memory", t->userdata);
}

int http_tls_new(HttpTls **ret, PathWatcher *paths, const char *certificate, const char *key,
                 void (*complaint)(const char *message, void *userdata), void *userdata, Diag *reterr) {
        _cleanup_(http_tls_unrefp) HttpTls *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (HttpTls) { .n_ref = 1, .complaint = complaint, .userdata = userdata };
        t->certificate = strdup(certificate);
        t->key = strdup(key);
        if (!t->certificate || !t->key)
                return -ENOMEM;
        r = steady_watch_new(&t->watches[0], paths, certificate, 0, on_path, t);
        if (r >= 0)
                r = steady_watch_new(&t->watches[1], paths, key, 0, on_path, t);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot watch '%s': %m", t->watches[0] ? key : certificate);
        r = tls_load(t, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

void http_tls_quiet(HttpTls *t) {
        t->complaint = NULL;
}

HttpTls *http_tls_ref(HttpTls *t) {
        if (t)
                t->n_ref++;
        return t;
}

HttpTls *http_tls_unref(HttpTls *t) {
        if (!t || --t->n_ref > 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(t->watches); i++)
                t->watches[i] = steady_watch_free(t->watches[i]);
        pair_done(&t->pair);
        free(t->certificate);
        free(t->key);
        free(t);
        return NULL;
}

void http_tls_get(const HttpTls *t, gnutls_pcert_st **ret_chain, unsigned *ret_n, gnutls_privkey_t *ret_key) {
        *ret_chain = (gnutls_pcert_st *) t->pair.chain;
        *ret_n = t->pair.n;
        *ret_key = t->pair.key;
}
