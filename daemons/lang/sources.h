/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How the functions of a program that look outside come to their values. */

#include "common/sd/kernel-watch.h"
#include "common/sd/names.h"
#include "common/sd/steady-watch.h"
#include "common/source.h"

typedef struct Firmware Firmware;
typedef struct SingleSource SingleSource;

/* The function of that name, if this daemon or one that it knows serves it; else NULL. */
const SourceType *lang_source_find(const char *function);

/* What they share, each part made when it is first needed. All zero is a good one. */
typedef struct SourceShare {
        PathWatcher *paths;
        KernelWatcher kernel;
        Names *names;
        const char *etc;        /* where passwd is; NULL: /etc */
        uint64_t poll_usec;     /* between two looks at a file that cannot be watched; 0: the usual */
        Firmware *firmware;     /* NULL while nobody asks, see source-fwupd.c */
        SingleSource *singles;  /* open ones of those that a program may ask only once */
} SourceShare;

void source_share_done(SourceShare *s);

/* ---- for functions ---- */

/* That of the Manager, which is what SourceHost.manager points to in mgmt-lang. */
SourceShare *source_share(const Source *s);

/* As steady_watch_new() and kernel_watch_new(). */
int source_watch_path(Source *s, const char *path, steady_watch_callback_t callback, void *userdata, SteadyWatch **ret, Diag *reterr);

int source_watch_kernel(Source *s, KernelTopic topic, const char *subsystem, void (*callback)(void *userdata), void *userdata,
                        KernelWatch **ret, Diag *reterr);

int source_names(const Source *s, Names **ret);

/* An argument that is an absolute path: a copy. */
int source_arg_path(const Source *s, size_t i, char **ret, Diag *reterr);

/* The value is this text; that there is no memory for it is a failure. */
void source_set_text(Source *s, const char *text);
