/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A resource as one host says it and another reads it: text that says what it is and in which version, and that people can read. What
 * is as it is from the beginning is left out, and so is to whom it was exported. */

#include "common/change-set.h"
#include "common/diag.h"
#include "common/schema.h"

typedef struct Resource Resource;

/* Secrets are refused: every host that collects could read them. */
int exported_encode(const Resource *r, char **ret, Diag *reterr);

/* Adds fields and metaparameters to spec, whose kind, name and metaparameters are set. -EBADMSG: it is none, or none of this kind. */
int exported_decode(const char *data, size_t size, const SchemaKind *kind, ResourceSpec *spec, Diag *reterr);
