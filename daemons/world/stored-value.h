/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A value as bytes that stay: encoded as between daemons, with the version in front, so that every type survives. */

#include "common/value.h"
#include "common/wire.h"

int stored_value_encode(WireWriter *w, Value v);
int stored_value_decode(const void *data, size_t size, Value *ret);    /* -EBADMSG, -EPROTONOSUPPORT: another version's */
