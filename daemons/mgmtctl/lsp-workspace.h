/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The documents an editor has open, and what the compiler says of them. An open document hides the file of its name from all
 * programs. */

#include "common/diag.h"
#include "common/macro.h"
#include "common/map.h"
#include "common/schema.h"
#include "lang/lang.h"
#include "lang/query.h"

typedef struct Document {
        char *uri, *path;
        char *text;
        size_t size;
        int64_t version;
        bool dirty;             /* changed since it was compiled */
        bool parses;            /* … when it was compiled last */
        Lang *lang;             /* of when it last parsed; NULL if it never did */
        Diags diags;            /* of now */
} Document;

typedef struct Workspace {
        Schema *schema;
        char *hostname, *module_path;
        Map *documents;         /* by path */

        /* For the duration of one compile: this file reads so. */
        const char *replaced_path, *replaced_text;
        size_t replaced_size;
} Workspace;

void workspace_done(Workspace *w);

Document *workspace_open(Workspace *w, const char *uri, const char *text, size_t size);        /* opens or replaces; NULL: out of memory */
Document *workspace_find(const Workspace *w, const char *uri);
void workspace_close(Workspace *w, Document *d);
void document_changed(Workspace *w, Document *d);               /* its text; programs that import it may be affected */

int workspace_read(Workspace *w, const char *path, char **ret, size_t *ret_size);

/* Compiles what is dirty. */
int document_refresh(Workspace *w, Document *d);

/* The program that knows best what could stand in that line (from 1): while something is typed the line often is wrong, and the
 * rest of the file is not. *ret_own is freed by the caller; NULL if there is none at all. */
Lang *document_program(Workspace *w, Document *d, uint32_t line, Lang **ret_own);

char *uri_from_path(const char *path);
