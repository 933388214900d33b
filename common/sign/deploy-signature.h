/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Signatures of deploys. What is signed is a text with a line for each option that is not as it is by default, and one for each file:
 *
 *      mgmt deploy
 *      option sequence 1767225600000000
 *      option source "site"
 *      file 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 "/main.mcl"
 *
 * Values and paths are written as in mcl, what follows "file" is SHA-256; the options are in the order of their table, the files in that
 * of the bytes of their paths. The signature is in the namespace DEPLOY_NAMESPACE (signature.h). */

#include "common/deploy.h"
#include "common/sign/signature.h"
#include "common/sign/trust.h"

#define DEPLOY_NAMESPACE "mgmt-deploy"

/* Gives it a signature; sequence must have been set. */
int deploy_sign(const Signer *s, Value bundle, DeployOptions *options, Diag *reterr);

/* -ENOKEY: it is not signed; -EBADMSG: something was changed; -EKEYREJECTED: by somebody who is not trusted. */
int deploy_verify(const Trust *t, Value bundle, const DeployOptions *options, Diag *reterr);
