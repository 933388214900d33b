/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/sign/ssh-key.h"
#include "common/sign/ssh-wire.h"

enum { KEY_FILE_MAX = 4096 };

static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----", end[] = "-----END OPENSSH PRIVATE KEY-----";

static int invalid(Diag *reterr, const char *text) {
        return diag_set(reterr, (Pos) {}, -EINVAL, "%s", text);
}

/* Decodes one run of base64 that may have white space in it. */
static int decode(const char *text, size_t size, uint8_t *ret, size_t capacity, size_t *ret_size) {
        return sodium_base642bin(ret, capacity, text, size, " \t\r\n", ret_size, NULL, sodium_base64_VARIANT_ORIGINAL) < 0 ? -EINVAL : 0;
}

static int read_public(SshReader blob, SshPublicKey *ret) {
        SshReader type = ssh_get_string(&blob), key = ssh_get_string(&blob);

        if (blob.failed || blob.size > 0 || !ssh_string_is(type, SSH_KEY_TYPE) || key.size != sizeof(ret->bytes))
                return -EINVAL;
        memcpy(ret->bytes, key.at, sizeof(ret->bytes));
        return 0;
}

void ssh_put_public_key(StrBuf *b, const SshPublicKey *k) {
        ssh_put_u32(b, (uint32_t) (4 + strlen(SSH_KEY_TYPE) + 4 + sizeof(k->bytes)));
        ssh_put_text(b, SSH_KEY_TYPE);
        ssh_put_string(b, k->bytes, sizeof(k->bytes));
}

int ssh_get_public_key(SshReader *r, SshPublicKey *ret) {
        return read_public(ssh_get_string(r), ret);
}

int ssh_public_key_parse(const char *line, SshPublicKey *ret, const char **ret_comment, Diag *reterr) {
        uint8_t bytes[256];
        size_t n;
        const char *key = startswith(line, SSH_KEY_TYPE " ");

        if (!key)
                return invalid(reterr, "expected 'ssh-ed25519', the key, and a comment");
        key += strspn(key, " ");
        n = strcspn(key, " \t\r\n");
        if (ret_comment) {
                *ret_comment = key + n;
                *ret_comment += strspn(*ret_comment, " \t");
        }
        if (decode(key, n, bytes, sizeof(bytes), &n) < 0 || read_public((SshReader) { .at = bytes, .size = n }, ret) < 0)
                return invalid(reterr, "the key is damaged");
        return 0;
}

char *ssh_public_key_fingerprint(const SshPublicKey *k) {
        static const char prefix[] = "SHA256:";
        _cleanup_(strbuf_done) StrBuf blob = {}, text = {};
        uint8_t hash[crypto_hash_sha256_BYTES];
        char base64[sodium_base64_ENCODED_LEN(sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];

        ssh_put_public_key(&blob, k);
        if (blob.failed)
                return NULL;
        /* Without the length of the whole. */
        (void) crypto_hash_sha256(hash, (const uint8_t *) blob.data + 4, blob.size - 4);
        strbuf_puts(&text, prefix);
        strbuf_puts(&text, sodium_bin2base64(base64, sizeof(base64), hash, sizeof(hash), sodium_base64_VARIANT_ORIGINAL_NO_PADDING));
        return strbuf_take(&text);
}

/* The part that a passphrase would hide: twice the same number, the keys, a comment, padding. */
static int read_secret(SshReader blob, SshSecretKey *ret) {
        uint32_t a = ssh_get_u32(&blob), b = ssh_get_u32(&blob);
        SshReader type = ssh_get_string(&blob), public = ssh_get_string(&blob), secret = ssh_get_string(&blob);
        uint8_t seed_public[SSH_PUBLIC_SIZE];

        (void) ssh_get_string(&blob);
        if (blob.failed || a != b || !ssh_string_is(type, SSH_KEY_TYPE) || public.size != SSH_PUBLIC_SIZE ||
            secret.size != sizeof(ret->bytes))
                return -EINVAL;
        /* A signature made with a public key that does not belong to the seed gives the seed away. */
        (void) crypto_sign_seed_keypair(seed_public, ret->bytes, secret.at);
        if (memcmp(seed_public, public.at, SSH_PUBLIC_SIZE) != 0) {
                ssh_secret_key_wipe(ret);
                return -EINVAL;
        }
        return 0;
}

static int read_key_file(SshReader file, SshSecretKey *ret, Diag *reterr) {
        static const char magic[] = "openssh-key-v1";
        SshReader cipher;

        if (file.size < sizeof(magic) || memcmp(file.at, magic, sizeof(magic)) != 0)
                return invalid(reterr, "this is not a private key of OpenSSH");
        file.at += sizeof(magic);
        file.size -= sizeof(magic);
        cipher = ssh_get_string(&file);
        if (!file.failed && !ssh_string_is(cipher, "none"))
                return diag_set(reterr, (Pos) {}, -EKEYREJECTED, "the key has a passphrase: add it to ssh-agent and name its .pub file");
        (void) ssh_get_string(&file);   /* how the passphrase becomes a key, and */
        (void) ssh_get_string(&file);   /* with what */
        if (ssh_get_u32(&file) != 1)
                return invalid(reterr, "this is not one private key of OpenSSH");
        (void) ssh_get_string(&file);
        if (read_secret(ssh_get_string(&file), ret) < 0)
                return invalid(reterr, "this is not a private key of the type ed25519, or it is damaged");
        return 0;
}

int ssh_secret_key_parse(const char *text, SshSecretKey *ret, Diag *reterr) {
        uint8_t bytes[KEY_FILE_MAX];
        const char *from = strstr(text, begin), *to = from ? strstr(from, end) : NULL;
        size_t n;
        int r;

        if (!to)
                return invalid(reterr, "this is not a private key of OpenSSH");
        from += strlen(begin);
        if (decode(from, (size_t) (to - from), bytes, sizeof(bytes), &n) < 0)
                r = invalid(reterr, "the key is damaged");
        else
                r = read_key_file((SshReader) { .at = bytes, .size = n }, ret, reterr);
        sodium_memzero(bytes, sizeof(bytes));
        return r;
}

SshPublicKey ssh_secret_key_public(const SshSecretKey *k) {
        SshPublicKey public;

        memcpy(public.bytes, k->bytes + SSH_SECRET_SIZE - SSH_PUBLIC_SIZE, sizeof(public.bytes));
        return public;
}

void ssh_secret_key_wipe(SshSecretKey *k) {
        sodium_memzero(k, sizeof(*k));
}
