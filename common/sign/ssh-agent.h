/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The agent that keeps a user's keys. Source: draft-ietf-sshm-ssh-agent. For commands only: it blocks. */

#include "common/diag.h"
#include "common/sign/ssh-key.h"

enum { SSH_SIGNATURE_SIZE = 64 };

/* -ENOENT: there is no agent, or it does not have the key; -EACCES: it does not want to. */
int ssh_agent_sign(const SshPublicKey *k, const void *data, size_t size, uint8_t ret[static SSH_SIGNATURE_SIZE], Diag *reterr);
