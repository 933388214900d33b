/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A program as `run` and `deploy` handle it: its files, sealed, and handed to mgmt-lang in one method call. */

#include <stdbool.h>
#include <stdint.h>

#include "common/deploy.h"
#include "common/macro.h"
#include "daemons/mgmtctl/input.h"

typedef struct sd_bus sd_bus;
typedef struct sd_bus_message sd_bus_message;

typedef struct ProgramOptions {
        DeployOptions deploy;   /* but for those that program_load() finds out */
        int64_t sema;           /* 0 or less: no limit */
        const char *sign;       /* path of a key; NULL: it is not signed */
        const char *module_path;        /* NULL: none */
        bool download, update;          /* modules of others */
        const char *hostname;           /* NULL: this host's */
        bool unchecked;         /* it is compiled by mgmt-lang only; see program_explain() */
} ProgramOptions;

typedef struct Program {
        Input input;
        int fd;                 /* the bundle */
        DeployOptions options;
        const ProgramOptions *asked;
} Program;

/* Errors have been printed, with their places, by all of these. options are kept. */
int program_load(Program *ret, const char *input, const ProgramOptions *options);
int program_sign(Program *p, Value bundle, const char *key);
int program_fetch(Program *ret, sd_bus *bus, uint64_t deploy, Value *ret_bundle);        /* one that mgmt-world has; no input */
int program_set_hosts(Program *p, const char *hosts);   /* whom it is meant for, "": all; a signature for others goes */
int program_deploy(const Program *p, sd_bus *bus);      /* EXIT_SUCCESS, and says so, or EXIT_ERROR */
void program_done(Program *p);

/* Files are named as the user sees them, and the line is shown. d loses the names that it had. */
void program_print_diag(const Input *i, Diag *d);

/* "FILE:LINE:COLUMN" of the bundle, and whatever follows, with the file as the user sees it. The caller's; NULL if it begins with no
 * place. */
char *program_place(const Program *p, const char *text);

/* mgmt-lang has refused it, for the reason text: compiles it here, which says more of what is wrong and where. Where that finds
 * nothing, text is what is printed. */
void program_explain(const Program *p, const char *text);

/* What a daemon says of the program: its lines that begin with a place in the bundle are shown with the text there. */
void program_print_error(const Program *p, const char *text);

/* method: "Run" or "Deploy" of org.mgmt.lang1.Manager. */
int program_call(const Program *p, sd_bus *bus, const char *method, sd_bus_message **ret);
