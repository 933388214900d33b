/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Why a call of a daemon failed, for people. */

#include <systemd/sd-bus.h>

/* What e says, or r if e is not set. Borrowed from e. */
const char *bus_error_text(const sd_bus_error *e, int r);
