/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* An attempt of a kind whose file is packed from others. It is packed once to compare, and, if there is a difference and the attempt
 * applies, once more to write: so no state is kept, and whatever is different of what went in is seen. In slices, so that the loop
 * never waits. */

#include "common/sd/slices.h"
#include "daemons/engine/kinds/file-output.h"
#include "daemons/engine/kinds/progress.h"

typedef struct Packing Packing;

typedef struct PackingType {
        int (*begin)(Packing *p);       /* opens what is packed; anew for the second time. 0 or negative errno, as step */
        int (*step)(Packing *p);        /* packs a little: 1 if there is more to do, 0 at the end */
        void (*reset)(Packing *p);      /* frees all that the two above have made; accepts every state */
        void (*done)(Packing *p);       /* at its end, frees what the kind has put in before; may be left out */
} PackingType;

/* A kind's own attempt begins with it. */
struct Packing {
        const PackingType *type;
        Resource *resource;
        FileOutput output;              /* where step puts it, by packing_add() */
        Diag diag;                      /* of the first failure */
        uint64_t n_bytes;               /* read so far: for those who watch, the kind counts them */

        bool applies, changed;
        int (*next)(Packing *p);
        Slices *slices;
        Progress progress;
        Packing **slot;                 /* where the kind keeps it */
};

/* What check_apply shall return. Takes p, which was allocated; it is in *slot as long as the attempt goes on. */
int packing_start(Packing *p, const PackingType *type, Resource *r, const char *path, bool apply, Packing **slot, Diag *reterr);
Packing *packing_free(Packing *p);

int packing_add(Packing *p, const void *data, size_t size);

/* For autoedges: first whoever makes what is packed (a NULL-terminated list of paths), then the directories above the result. For a
 * kind whose first match ends the asking. */
int packing_wants(const char *path, char *const *inputs, unsigned batch, ResourceUids *ret);

#define packing_fail(p, error, ...) resource_error((p)->resource, &(p)->diag, (error), __VA_ARGS__)
