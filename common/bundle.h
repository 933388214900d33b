/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A program on its way from mgmtctl to mgmt-lang: its files, map{str: str} from path to content ("/" is the directory of the
 * program), in a sealed memfd. The receiver need not trust the sender: what is sealed cannot change or shrink under it. */

#include "common/diag.h"
#include "common/value.h"

enum { BUNDLE_FILES_MAX = 65536 };

int bundle_seal(Value bundle, int *ret_fd);     /* -E2BIG if it is too large to travel */

/* Checks everything: the seals, the size, the form, the paths. fd stays the caller's. */
int bundle_unseal(int fd, Value *ret, Diag *reterr);
