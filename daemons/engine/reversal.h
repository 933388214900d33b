/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What would undo a resource (Meta:reverse), from before its first attempt until it has been undone. Each is a file of its own, on
 * disk before the attempt begins, so neither a crash nor a boot nor a later program makes us forget how it was:
 *
 *      kind "file"
 *      name "/etc/motd"
 *      place "/main.mcl:3"
 *      after ["pkg", "base-files"]
 *      meta.retry 3
 *      field.state "absent"
 *
 * "after" is what came before the resource when it was put: it is undone before that is. */

#include "common/change-set.h"
#include "common/resource.h"

typedef struct Reversal {
        ResourceSpec spec;
        ResourceKey *after;     /* owned, n_after elements */
        size_t n_after;
        char *path;             /* of its file; owned */
} Reversal;

/* Finds the type of a kind; NULL if there is none. */
typedef const ResourceType *(*reversal_find_type_t)(const char *kind, void *userdata);

/* after is what Reversal.after will be. */
char *reversal_format(const Resource *undo, const ResourceKey *after, size_t n_after);
int reversal_parse(Reversal **ret, const char *text, reversal_find_type_t find_type, void *userdata, Diag *reterr);

Reversal *reversal_free(Reversal *r);
DEFINE_CLEANUP(Reversal *, reversal_free)
