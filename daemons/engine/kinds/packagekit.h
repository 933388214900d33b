/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Transactions of PackageKit. Each is one step of an attempt, as in systemd-unit.h: it goes on with next when it is done. */

#include "daemons/engine/host-bus.h"

/* Bits of filters and flags, and numbers of what a package is and of errors, as PackageKit has them. */
enum {
        PK_FILTER_FREE          = 1 << 8,
        PK_FILTER_SUPPORTED     = 1 << 12,
        PK_FILTER_NEWEST        = 1 << 16,
        PK_FILTER_ARCH          = 1 << 18,

        PK_FLAG_ONLY_TRUSTED    = 1 << 1,
        PK_FLAG_SIMULATE        = 1 << 2,
        PK_FLAG_ALLOW_DOWNGRADE = 1 << 6,

        PK_INFO_INSTALLED       = 1,
        PK_INFO_AVAILABLE       = 2,
        PK_INFO_BLOCKED         = 9,
        PK_INFO_DOWNGRADING     = 20,

        PK_ERROR_GPG_FAILURE            = 5,
        PK_ERROR_ALREADY_INSTALLED      = 9,
        PK_ERROR_CANNOT_GET_LOCK        = 26,
        PK_ERROR_BAD_GPG_SIGNATURE      = 30,
        PK_ERROR_MISSING_GPG_SIGNATURE  = 31,
        PK_ERROR_LOCK_REQUIRED          = 67,
};

typedef struct PkPackage {
        uint32_t info;
        char *id;               /* "name;version;arch;data", owned; the others point into a copy of it */
        char *name, *version, *arch;
} PkPackage;

typedef int (*pk_next_t)(Resource *r, Diag *reterr);

typedef struct PackageKit {
        BusClient bus;          /* zeroed until open */
        const char *method;     /* of the transaction under way */
        uint64_t number;
        char **words;
        char *path;
        unsigned n_lost;        /* PackageKit ended before it; the kind sets this to zero when all went well */
        pk_next_t next;

        PkPackage *packages;    /* what it told */
        size_t n_packages, capacity_packages;
        uint32_t error;         /* 0: it went well */
        char *error_text;
} PackageKit;

int packagekit_open(PackageKit *p, Resource *r);        /* nothing happens if it is open already */
void packagekit_close(PackageKit *p);                   /* accepts a closed one */
int packagekit_watch(PackageKit *p);                    /* as bus_client_watch() */

/* number: a filter or flags, for methods that have one; words: names or ids, copied. next is also called after an error, which is
 * in p then. */
int packagekit_run(PackageKit *p, const char *method, uint64_t number, char *const *words, pk_next_t next, Diag *reterr);
void packagekit_cancel(PackageKit *p);
