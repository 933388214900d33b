/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Keys as OpenSSH keeps them, of the type ed25519 only: a line of a .pub file, the file of a private key that has no passphrase.
 * Source: PROTOCOL.key of OpenSSH, RFC 4253 section 6.6, RFC 8709. */

#include <stdint.h>

#include "common/diag.h"
#include "common/sign/ssh-wire.h"

#define SSH_KEY_TYPE "ssh-ed25519"

enum { SSH_PUBLIC_SIZE = 32, SSH_SECRET_SIZE = 64 };

typedef struct SshPublicKey {
        uint8_t bytes[SSH_PUBLIC_SIZE];
} SshPublicKey;

typedef struct SshSecretKey {
        uint8_t bytes[SSH_SECRET_SIZE];         /* seed, then the public key; wiped by ssh_secret_key_wipe() */
} SshSecretKey;

/* "ssh-ed25519 BASE64 comment". ret_comment may be NULL, and points into line. -EINVAL with the reason in reterr. */
int ssh_public_key_parse(const char *line, SshPublicKey *ret, const char **ret_comment, Diag *reterr);

/* "SHA256:…", as ssh-keygen -l shows it. The caller's; NULL: no memory. */
char *ssh_public_key_fingerprint(const SshPublicKey *k);

/* text: what is in the file. -EKEYREJECTED if it has a passphrase, -EINVAL if it is no such key. */
int ssh_secret_key_parse(const char *text, SshSecretKey *ret, Diag *reterr);
void ssh_secret_key_wipe(SshSecretKey *k);
SshPublicKey ssh_secret_key_public(const SshSecretKey *k);

/* In the messages of SSH, with its size before it. */
void ssh_put_public_key(StrBuf *b, const SshPublicKey *k);
int ssh_get_public_key(SshReader *r, SshPublicKey *ret);        /* -EINVAL */
