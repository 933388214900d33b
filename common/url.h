/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include <stdbool.h>

bool http_url_is_valid(const char *url);        /* an http or https URL with a host, by its form */

/* "http://host/…", without name and password, for messages. NULL: out of memory. */
char *http_url_redacted(const char *url);
