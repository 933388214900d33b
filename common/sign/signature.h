/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Signatures of texts, as `ssh-keygen -Y sign` makes them and `ssh-keygen -Y verify` checks them, for keys of the type ed25519.
 * Source: PROTOCOL.sshsig of OpenSSH. */

#include <stddef.h>

#include "common/diag.h"
#include "common/sign/ssh-key.h"

enum { SIGNATURE_SIZE_MAX = 4096 };     /* of its text */

/* Where the secret key is: its file, or a .pub file whose secret half ssh-agent has ($SSH_AUTH_SOCK). */
typedef struct Signer Signer;

/* Reads the file. Errors name it. */
int signer_new(Signer **ret, const char *path, Diag *reterr);
Signer *signer_free(Signer *s);
DEFINE_CLEANUP(Signer *, signer_free)

/* name_space: what the signature is for; one made for something else does not count. *ret: "-----BEGIN SSH SIGNATURE-----…", the
 * caller's. Blocks while ssh-agent asks its user. */
int signer_sign(const Signer *s, const char *name_space, const void *data, size_t size, char **ret, Diag *reterr);

/* Whose signature it is: of the key that is in it, which may be anybody's. -EBADMSG: of nobody, or of something else. */
int signature_verify(const char *signature, const char *name_space, const void *data, size_t size, SshPublicKey *ret, Diag *reterr);
