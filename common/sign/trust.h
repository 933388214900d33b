/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whom somebody trusts: a file with the public key of each in a line, as in .pub files; empty lines and '#' are passed over. */

#include "common/diag.h"
#include "common/sign/ssh-key.h"

typedef struct Trust {
        SshPublicKey *keys;     /* owned */
        size_t n;
} Trust;

/* A file that cannot be read, or has a line that is none, trusts nobody: an error with its place. -ENOENT: there is no file. */
int trust_read(Trust *ret, const char *path, Diag *reterr);
bool trust_has(const Trust *t, const SshPublicKey *k);
void trust_done(Trust *t);
