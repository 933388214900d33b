/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What comes over the bus, as JSON: numbers, booleans and texts as they are, arrays and structs as arrays, dictionaries with texts as
 * keys as objects, variants as what is in them. */

#include <systemd/sd-bus.h>

#include "common/strbuf.h"

int bus_json_put(StrBuf *b, sd_bus_message *m);         /* the next value; negative errno: it is none of these, or cut short */

/* The elements of the array that comes next, without its brackets, each with a comma before it but the very first (*n, which counts
 * them, is 0). */
int bus_json_put_items(StrBuf *b, sd_bus_message *m, size_t *n);
