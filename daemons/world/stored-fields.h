/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A struct as JSON that people can read, by its table of fields: what stands in a shared store. */

#include "common/field.h"

int stored_fields_encode(const FieldSpec *fields, const void *object, char **ret);

/* Into an object that has its defaults (fields_init()). What is not in the table is passed over: a later version may say more. data ends
 * with a NUL, as stores give it. -EBADMSG: it is something else. */
int stored_fields_decode(const FieldSpec *fields, void *object, const char *data);
