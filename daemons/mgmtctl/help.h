/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What mgmtctl says of itself: out of the tables of its commands, so that nothing is written twice. */

#include "daemons/mgmtctl/ctl.h"

void help_print(const Command *const commands[]);
void help_print_command(const Command *c);

void help_print_man_page(const Command *const commands[]);         /* for man(1) */
void help_print_completion(void);       /* a script for bash */
