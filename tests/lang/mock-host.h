/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A world for programs under test: files are in memory, kinds come from kinds.json beside this file. */

#include "lang/lang.h"

typedef struct MockFile {
        const char *path, *text;
} MockFile;

/* A host with these files (which end with an empty row). */
LangHost mock_host(const MockFile *files);

/* Compiles /main.mcl of these files (which end with an empty row). As lang_compile(). */
int mock_compile(Lang **ret, const MockFile *files, LangStage *reterr_stage, Diags *reterr);
/* The same for one file. */
int mock_compile_text(Lang **ret, const char *text, LangStage *reterr_stage, Diags *reterr);
const Schema *mock_schema(void);        /* NULL if it cannot be read; lives until the program ends */
