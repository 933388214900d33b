/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See bus-error.h. The bus itself speaks of rules and names. */

#include "daemons/mgmtctl/bus-error.h"

const char *bus_error_text(const sd_bus_error *e, int r) {
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_ACCESS_DENIED))
                return "permission denied, only root may do that";
        if (sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN))
                return "mgmt is not installed here ('mgmtctl run' needs no installation)";
        return e->message ?: strerrordesc_np(-r);
}
