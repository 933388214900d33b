/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* For the programs that the engine starts to deal with bytes of others: root becomes nobody, without a way back. A program may only be
 * readable by root until then, as in the build directory of one, so it does so itself. 0 or negative errno. */
int tool_drop_rights(void);
