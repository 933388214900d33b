/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The manual page, in the language of groff's man macros. */

#include <stdio.h>

#include "common/macro.h"
#include "daemons/mgmtctl/help.h"

/* A hyphen is one that can be copied; a dot or a quote that begins a line is no request. */
static void print_text(const char *s, bool begins_line) {
        for (; *s; begins_line = *s++ == '\n')
                if (*s == '\\')
                        printf("\\e");
                else if (*s == '-')
                        printf("\\-");
                else
                        printf("%s%c", begins_line && (*s == '.' || *s == '\'') ? "\\&" : "", *s);
}

/* Paragraphs are parted by an empty line. */
static void print_paragraphs(const char *s) {
        while (*s) {
                const char *end = strstr(s, "\n\n");
                size_t n = end ? (size_t) (end - s) : strlen(s);
                _cleanup_free_ char *paragraph = strndup(s, n);

                printf(".PP\n");
                print_text(paragraph ?: "", true);
                if (n > 0 && s[n - 1] != '\n')
                        printf("\n");
                s += n + (end ? 2 : 0);
        }
}

static void print_options(const Option *options) {
        for (const Option *o = options; o && o->name; o++) {
                printf(".TP\n");
                if (o->letter)
                        printf("\\fB\\-%c\\fR, ", o->letter);
                printf("\\fB\\-\\-");
                print_text(o->name, false);
                printf("\\fR%s\\fI%s\\fR\n", o->argument ? " " : "", o->argument ?: "");
                print_text(o->doc, true);
                if (o->environment)
                        printf(" [$%s]", o->environment);
                printf("\n");
        }
}

static void print_command(const Command *c) {
        printf(".SS %s %s\n", c->name, c->arguments ?: "");
        print_text(c->doc, true);
        printf(".\n");
        if (c->help)
                print_paragraphs(c->help);
        print_options(c->options);
}

void help_print_man_page(const Command *const commands[]) {
        printf(".TH MGMTCTL 1 \"\" \"mgmt " MGMT_VERSION "\" \"User Commands\"\n"
               ".SH NAME\nmgmtctl \\- "
               "keep this machine in the state that a program in mcl describes\n"
               ".SH SYNOPSIS\n.B mgmtctl\n[\\fIOPTIONS\\fR…] \\fICOMMAND\\fR …\n"
               ".SH DESCRIPTION\n" CTL_SUMMARY "\n"
               "Options may be written \\-\\-name=value or \\-\\-name value, before or after the other words.\n"
               "An environment variable in brackets is read where the option is not given.\n"
               ".SH OPTIONS\nAll commands have these.\n");
        print_options(ctl_common_options);
        printf(".PP\nWithout a command:\n");
        print_options(ctl_main_options);
        printf(".SH COMMANDS\n");
        for (const Command *const *c = commands; *c; c++)
                print_command(*c);
        printf(".SH EXIT STATUS\n0 if all went well, 1 for an error, also one of usage. Commands that have others say so.\n"
               ".SH ENVIRONMENT\n.TP\n.B MGMT_BUS_ADDRESS\nThe bus that the daemons are on, if it is not that of the system: "
               "\\fBmgmtctl run\\fR prints one.\n"
               ".SH SEE ALSO\n.BR systemctl (1),\n.BR busctl (1),\n.BR journalctl (1)\n");
}
