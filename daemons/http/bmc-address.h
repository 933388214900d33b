/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a BMC is and how to speak to it, as the name of a resource may say it: "driver://user:password@host:port". */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"

typedef struct BmcAddress {
        char *driver, *user, *password, *host;  /* decoded; empty where the text has none. An IPv6 address has no brackets */
        uint16_t port;                          /* 0: not said */
} BmcAddress;

/* What is no such address gives an empty one. -EINVAL: it begins like one, and is none. */
int bmc_address_parse(const char *text, BmcAddress *ret);
void bmc_address_done(BmcAddress *a);

typedef enum BmcProtocol {
        BMC_REDFISH,
        BMC_RPC,
} BmcProtocol;

/* "gofish" or "redfish", and "rpc"; with an s behind it, over TLS. -EINVAL for others. */
int bmc_driver_parse(const char *driver, BmcProtocol *ret, bool *ret_tls);
