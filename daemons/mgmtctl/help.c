/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl --help`, and that of each command. */

#include <stdio.h>

#include "common/macro.h"
#include "daemons/mgmtctl/help.h"

enum { LEFT_WIDTH = 28 };

/* printf() pads by bytes, and arguments may have an ellipsis. */
static void print_row(const char *left, const char *doc, const char *environment) {
        int width = LEFT_WIDTH;

        for (const char *s = left; *s; s++)
                width += ((unsigned char) *s & 0xc0) == 0x80;
        printf("  %-*s  %s", width, left, doc);
        if (environment)
                printf(" [$%s]", environment);
        printf("\n");
}

static void print_options(const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                char left[64], letter[8] = "";

                if (o->letter)
                        (void) snprintf(letter, sizeof(letter), "-%c, ", o->letter);
                (void) snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ?: "");
                print_row(left, o->doc, o->environment);
        }
}

void help_print_command(const Command *c) {
        printf("mgmtctl %s [OPTIONS…]%s%s\n\n%s.\n", c->name, c->arguments ? " " : "", c->arguments ?: "", c->doc);
        if (c->help)
                printf("\n%s", c->help);
        printf("\nOptions:\n");
        print_options(c->options);
        print_options(ctl_common_options);
}

void help_print(const Command *const commands[]) {
        printf("mgmtctl [OPTIONS…] COMMAND …\n\n" CTL_SUMMARY "\n\nCommands:\n");
        for (const Command *const *c = commands; *c; c++) {
                char left[64];

                (void) snprintf(left, sizeof(left), "%s%s%s", (*c)->name, (*c)->arguments ? " " : "", (*c)->arguments ?: "");
                print_row(left, (*c)->doc, NULL);
        }
        printf("\nOptions:\n");
        print_options(ctl_common_options);
        print_options(ctl_main_options);
        printf("\n'mgmtctl COMMAND --help' tells more.\n");
}
