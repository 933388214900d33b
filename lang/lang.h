/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* mcl as a library: bytes in, diagnostics or a running function graph out. Pure: every file, clock or random number reaches it
 * through LangHost, values that change while a program runs by its sources (common/source.h). One Lang is one compiled program;
 * it owns one arena for everything static. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/diag.h"
#include "common/schema.h"
#include "common/source.h"

typedef struct Lang Lang;

/* The world of a program. All paths are absolute in the file system of the host (a directory on disk for mgmtctl, the files of
 * a deploy for mgmt-lang). */
typedef struct LangHost {
        void *userdata;
        const Schema *schema;           /* kinds and their fields */
        const char *hostname;           /* $hostname */
        const char *module_path;        /* global module directory with trailing slash, or NULL */

        /* The whole file, owned by the caller, with a NUL after it; -ENOENT, -EISDIR, -E2BIG, … */
        int (*read_file)(void *userdata, const char *path, char **ret, size_t *ret_size);

        /* Makes the remote module at url be in the directory (absolute, with trailing slash), before it is read. NULL: remote
         * modules are only looked for. */
        int (*download)(void *userdata, const char *url, const char *directory, Diag *reterr);

        /* ---- for programs that run; may be left out where they are only compiled ---- */

        /* Puts an exact copy of a directory of the program's files (with trailing slash) on this host. *ret is where it stands, with
         * trailing slash, owned by the caller. */
        int (*copy_directory)(void *userdata, const char *directory, char **ret, Diag *reterr);

        /* How the function of that name (BUILTIN_SOURCE) comes to its values; NULL: not here. */
        const SourceType *(*source)(void *userdata, const char *function);
        SourceHost *source_host;

        /* A source has said something: lang_step() has work to do, again if this is called by lang_start() or lang_step(), which
         * happens when they tell sources that a value was taken. */
        void (*due)(void *userdata);
} LangHost;

/* What a program goes through, in this order; the names that archives of the language use for failures in them. */
typedef enum LangStage {
        LANG_STAGE_PARSE,
        LANG_STAGE_INIT,
        LANG_STAGE_INTERPOLATE,
        LANG_STAGE_SCOPE,
        LANG_STAGE_UNIFY,
        LANG_STAGE_GRAPH,
        LANG_STAGE_STREAM,
        LANG_STAGE_INTERPRET,
        _LANG_STAGE_MAX,
} LangStage;

typedef struct LangOptions {
        const char *entry;              /* metadata.yaml or a .mcl file */
        bool skip_unify;
        bool keep;                      /* hand out what there is even on failure: for query.h, it cannot be started */
        LangStage *reterr_stage;        /* where to say which stage failed, or NULL */
} LangOptions;

/* All static stages. 0, or negative errno with at least one diagnostic (and no program, but see keep). */
int lang_compile(Lang **ret, const LangHost *host, const LangOptions *options, Diags *reterr);
Lang *lang_free(Lang *l);
DEFINE_CLEANUP(Lang *, lang_free)

/* The files that were read, in order of first use, for a deploy: 0, or what the callback returned if that was negative. */
int lang_each_file(const Lang *l, int (*file)(void *userdata, const char *path, const char *content, size_t size), void *userdata);

/* Starts the function graph and runs the first wave: a full change set, unless lang_is_waiting(). On failure it goes on running:
 * a later step may have the full set; lang_free() is the way to give up. */
int lang_start(Lang *l, ChangeSet *ret, Diag *reterr);

/* Runs all waves that are due and returns what changed since the change set before (it may be empty). On a run-time error the
 * graph that was emitted before stays in force; the next successful call carries the difference to it. */
int lang_step(Lang *l, ChangeSet *ret, Diag *reterr);

/* A value is still to come from outside: until then change sets are empty, so that none is half of what it should be. */
bool lang_is_waiting(const Lang *l);

bool lang_is_started(const Lang *l);    /* lang_start() was called, and did not run out of memory */
bool lang_is_running(const Lang *l);    /* a full change set was returned */

/* The whole graph as it is in force: for an engine that was restarted. */
int lang_snapshot(Lang *l, ChangeSet *ret);

/* Where a program that was compiled stands: for tests. */
LangStage lang_stage(const Lang *l);

/* The error as users of the language know it, on one line: "MESSAGE: FILE @ L1:C1-L2:C2", and the places of the imports that
 * led there after it. NULL if out of memory. */
char *lang_error_text(const Diag *d);
