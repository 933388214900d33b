/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <syslog.h>

#include "daemons/virt/network-child.h"

bool mac_is_canonical(const char *s) {
        for (unsigned i = 0; i < 17; i++)
                if (i % 3 == 2 ? s[i] != ':' : !s[i] || !strchr("0123456789abcdef", s[i]))
                        return false;
        return s[17] == 0;
}

int network_child_prepare(Resource *r, Diag *reterr) {
        if (!r->parent)
                resource_log(r, LOG_WARNING, "there is no virt:network in the graph that it belongs to, so nobody is told");
        return 0;
}

int network_child_check_apply(Resource *r, bool apply, Diag *reterr) {
        return CHECK_OK;
}
