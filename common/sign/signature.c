/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>

#include "common/io.h"
#include "common/sign/signature.h"
#include "common/sign/ssh-agent.h"
#include "common/sign/ssh-wire.h"

#define MAGIC "SSHSIG"          /* without a NUL */
#define HASH "sha512"

enum { VERSION = 1, KEY_FILE_MAX = 64 * 1024, LINE = 70, BLOB_MAX = 1024 };

static const char begin[] = "-----BEGIN SSH SIGNATURE-----", end[] = "-----END SSH SIGNATURE-----";

/* What is really signed. */
static void put_message(StrBuf *b, const char *name_space, const void *data, size_t size) {
        uint8_t hash[crypto_hash_sha512_BYTES];

        (void) crypto_hash_sha512(hash, data, size);
        strbuf_puts(b, MAGIC);
        ssh_put_text(b, name_space);
        ssh_put_text(b, "");
        ssh_put_text(b, HASH);
        ssh_put_string(b, hash, sizeof(hash));
}

/* ---- signing ---- */

struct Signer {
        bool has_secret;        /* else ssh-agent has it */
        SshSecretKey secret;
        SshPublicKey public;
};

int signer_new(Signer **ret, const char *path, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        _cleanup_(signer_freep) Signer *s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, path, KEY_FILE_MAX, &text, &size);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read the key '%s': %m", path);
        if (startswith(text, SSH_KEY_TYPE " "))
                r = ssh_public_key_parse(text, &s->public, NULL, reterr);
        else {
                r = ssh_secret_key_parse(text, &s->secret, reterr);
                s->has_secret = true;
        }
        sodium_memzero(text, size);
        if (r < 0) {
                (void) diag_prefix(reterr, "key '%s'", path);
                return r;
        }
        if (s->has_secret)
                s->public = ssh_secret_key_public(&s->secret);
        *ret = TAKE_PTR(s);
        return 0;
}

Signer *signer_free(Signer *s) {
        if (s)
                ssh_secret_key_wipe(&s->secret);
        free(s);
        return NULL;
}

static void put_armored(StrBuf *text, const char *base64) {
        strbuf_puts(text, begin);
        for (size_t i = 0, n = strlen(base64); i < n; i += LINE)
                strbuf_printf(text, "\n%.*s", LINE, base64 + i);
        strbuf_printf(text, "\n%s\n", end);
}

int signer_sign(const Signer *s, const char *name_space, const void *data, size_t size, char **ret, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf message = {}, blob = {}, text = {};
        uint8_t bytes[crypto_sign_BYTES];
        char base64[sodium_base64_ENCODED_LEN(BLOB_MAX, sodium_base64_VARIANT_ORIGINAL)];
        int r = 0;

        put_message(&message, name_space, data, size);
        if (message.failed)
                return -ENOMEM;
        if (s->has_secret)
                (void) crypto_sign_detached(bytes, NULL, (const uint8_t *) message.data, message.size, s->secret.bytes);
        else
                r = ssh_agent_sign(&s->public, message.data, message.size, bytes, reterr);
        if (r < 0)
                return r;

        strbuf_puts(&blob, MAGIC);
        ssh_put_u32(&blob, VERSION);
        ssh_put_public_key(&blob, &s->public);
        ssh_put_text(&blob, name_space);
        ssh_put_text(&blob, "");
        ssh_put_text(&blob, HASH);
        ssh_put_u32(&blob, (uint32_t) (4 + strlen(SSH_KEY_TYPE) + 4 + sizeof(bytes)));
        ssh_put_text(&blob, SSH_KEY_TYPE);
        ssh_put_string(&blob, bytes, sizeof(bytes));
        if (blob.failed)
                return -ENOMEM;
        if (blob.size > BLOB_MAX)
                return diag_set(reterr, (Pos) {}, -E2BIG, "the namespace of a signature is too long");
        (void) sodium_bin2base64(base64, sizeof(base64), (const uint8_t *) blob.data, blob.size, sodium_base64_VARIANT_ORIGINAL);
        put_armored(&text, base64);
        *ret = strbuf_take(&text);
        return *ret ? 0 : -ENOMEM;
}

/* ---- verifying ---- */

static int damaged(Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -EBADMSG, "the signature is damaged");
}

static int decode(const char *signature, uint8_t ret[static SIGNATURE_SIZE_MAX], size_t *ret_size) {
        const char *from = startswith(signature, begin), *to = from ? strstr(from, end) : NULL;

        if (!to || strlen(signature) > SIGNATURE_SIZE_MAX)
                return -EBADMSG;
        return sodium_base642bin(ret, SIGNATURE_SIZE_MAX, from, (size_t) (to - from), " \r\n", ret_size, NULL,
                                 sodium_base64_VARIANT_ORIGINAL) < 0 ? -EBADMSG : 0;
}

int signature_verify(const char *signature, const char *name_space, const void *data, size_t size, SshPublicKey *ret, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf message = {};
        uint8_t bytes[SIGNATURE_SIZE_MAX];
        SshReader blob = { .at = bytes }, space, inner, type, signed_bytes;
        SshPublicKey key;

        if (decode(signature, bytes, &blob.size) < 0 || blob.size < strlen(MAGIC) || memcmp(bytes, MAGIC, strlen(MAGIC)) != 0)
                return damaged(reterr);
        blob.at += strlen(MAGIC);
        blob.size -= strlen(MAGIC);
        if (ssh_get_u32(&blob) != VERSION || ssh_get_public_key(&blob, &key) < 0)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the signature is not one of a key of the type ed25519");
        space = ssh_get_string(&blob);
        (void) ssh_get_string(&blob);
        if (!ssh_string_is(ssh_get_string(&blob), HASH))
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the signature is not one of a hash of the type " HASH);
        inner = ssh_get_string(&blob);
        type = ssh_get_string(&inner);
        signed_bytes = ssh_get_string(&inner);
        if (blob.failed || blob.size > 0 || inner.failed || inner.size > 0 || !ssh_string_is(type, SSH_KEY_TYPE) ||
            signed_bytes.size != crypto_sign_BYTES)
                return damaged(reterr);
        if (!ssh_string_is(space, name_space))
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the signature was made for '%.*s', not for '%s'",
                                (int) MIN(space.size, (size_t) 100), (const char *) space.at, name_space);
        put_message(&message, name_space, data, size);
        if (message.failed)
                return -ENOMEM;
        if (crypto_sign_verify_detached(signed_bytes.at, (const uint8_t *) message.data, message.size, key.bytes) < 0)
                return diag_set(reterr, (Pos) {}, -EBADMSG, "the signature is not one of this text: something was changed");
        *ret = key;
        return 0;
}
