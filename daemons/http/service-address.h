/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where a foreign service is and how to speak to it, as the name of a resource may say it: "driver://user:password@host:port/path". */

#include <stdbool.h>
#include <stdint.h>

#include "common/diag.h"

typedef struct ServiceAddress {
        char *driver, *user, *password, *host;  /* decoded; empty where the text has none. An IPv6 address has no brackets */
        uint16_t port;                          /* 0: not said */
        char *path;                             /* decoded; empty, or begins with a slash */
} ServiceAddress;

/* What is no such address gives an empty one. -EINVAL: it begins like one, and is none; or it has a query. */
int service_address_parse(const char *text, ServiceAddress *ret);
void service_address_done(ServiceAddress *a);

/* Whether it has the form of a name or an address, which is all that can stand in a URL between the slashes and the port. */
bool service_host_is_valid(const char *host);

/* "scheme://host:port", or without the port if that is 0. NULL: out of memory. */
char *service_base_url(const char *scheme, const char *host, long long port);

/* Whether a URL is where a service with secrets may be: https, or http on this very machine. Nobody else shall read them on their way. 0,
 * -EINVAL, -ENOMEM. */
int service_endpoint_check(const char *url);
