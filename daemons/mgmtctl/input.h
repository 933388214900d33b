/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What stands for a program on the command line (a file, a directory, metadata.yaml, raw code, "-"), and how it becomes a
 * bundle. */

#include "common/diag.h"
#include "common/macro.h"
#include "common/schema.h"
#include "common/value.h"
#include "lang/lang.h"

enum { SOURCE_MAX = 16 * 1024 * 1024 };         /* of one source file */

typedef struct Input {
        char *base;             /* the directory of the program, absolute, with trailing slash: "/" of the bundle */
        char *entry;            /* what is compiled first, absolute: metadata.yaml or a .mcl file */
        char *code;             /* content of entry where there is no such file: raw code; else NULL */
        size_t code_size;
        char *label;            /* what messages call it: "<code>", "<stdin>"; NULL: by the paths of the files */
        char *module_path;      /* absolute, with trailing slash; NULL: none */
        bool download, update;  /* remote modules */
} Input;

/* -EINVAL and so on with reterr set. module_path may be NULL. */
int input_resolve(Input *ret, const char *text, const char *module_path, Diag *reterr);
void input_done(Input *i);

/* All static stages, on this side: errors show where they are. only_scope: but for types, which is enough to know the files. */
int input_compile(const Input *i, const Schema *schema, const char *hostname, bool only_scope, Lang **ret, Diags *reterr);

/* The files that were compiled and those that belong to the program, as map{str: str}. */
int input_bundle(const Input *i, const Lang *l, Value *ret, Diag *reterr);

/* The same without a compiler, for a program of one file that cannot import anything. -ENODATA: it takes one. */
int input_bundle_alone(const Input *i, Value *ret, Diag *reterr);

/* All of standard input, at most SOURCE_MAX bytes. */
int input_read_stdin(char **ret, size_t *ret_size, Diag *reterr);

/* For LangHost.download. */
int input_download(const Input *i, const char *url, const char *directory, Diag *reterr);

/* What a file of the program holds, on disk or not, as LangHost wants to know it. */
int input_read(const Input *i, const char *path, char **ret, size_t *ret_size);

/* The text of a file that a diagnostic names; NULL if it cannot be read. The caller's. */
char *input_source(const Input *i, const char *path, size_t *ret_size);

/* Where a file of the bundle is on this side ("/main.mcl" → base + "main.mcl"). The caller's; NULL if out of memory. */
char *input_from_bundle(const Input *i, const char *bundle_path);

/* The name that messages use for a file: relative to the working directory where it is below, "<stdin>" and the like. The
 * caller's. */
char *input_display(const Input *i, const char *path);
