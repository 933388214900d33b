/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "daemons/engine/kinds/tool-rights.h"

enum { NOBODY = 65534 };

int tool_drop_rights(void) {
        if (geteuid() != 0)
                return 0;
        return setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ? -errno : 0;
}
