/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What a command of mgmtctl is: one file cmd-<name>.c, which ends with its Command, and one row in commands.def. */

#include <stdbool.h>
#include <stdint.h>

typedef enum OptionType {
        OPTION_FLAG,            /* bool: --name */
        OPTION_CLEAR,           /* bool, set to false: --no-name */
        OPTION_INT,             /* int64_t between min and max */
        OPTION_STR,             /* const char * */
} OptionType;

/* One row: parsing, the environment and --help are all made from it. */
typedef struct Option {
        const char *name;
        OptionType type;
        void *target;
        const char *argument;   /* what stands for the value in the help; NULL for flags */
        const char *environment;        /* read if the option is not given; NULL: none */
        int64_t min, max;
        char letter;            /* the short form, or 0 */
        const char *doc;
} Option;

typedef struct Command {
        const char *name;
        const char *arguments;  /* as the help shows them */
        const char *doc;        /* one line */
        const char *help;       /* further lines; may be NULL */
        const Option *options;  /* ends with an empty row; NULL: only those that all commands have */
        int min_arguments, max_arguments;
        int (*run)(char *arguments[], int n);   /* what main() shall return; errors have been printed */
} Command;

/* Options that all commands have. */
extern bool arg_json;

/* The words of the command line, for who hands them on: as they were given, or in another order that means the same. */
extern char **ctl_words;

/* The tables, each with an empty row at its end. */
#define CTL_SUMMARY "Keeps this machine in the state that a program in mcl describes."
extern const Option ctl_common_options[], ctl_main_options[];

/* Does what argv asks for; commands end with NULL. Returns what main() shall return. */
int ctl_main(const Command *const commands[], int argc, char *argv[]);

typedef struct sd_bus sd_bus;

int ctl_open_bus(sd_bus **ret); /* the one that the daemons are on; an error has been printed */

/* What all commands return for an error; see docs/mgmtctl.md. */
enum { EXIT_ERROR = 1 };
