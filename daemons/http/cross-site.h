/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "daemons/http/mhd.h"

/* Whether a page of another site made somebody's browser send this, to change something (any method but GET, HEAD and OPTIONS).
 * Clients that are no browsers say nothing of where they come from, and are never taken for one. */
bool http_request_is_cross_site(const HttpRequest *q);

/* Whether a browser on this machine wants to change something under a name that is neither one of its own nor among hosts (NULL: none):
 * a page of another site may be at work, whose name stands for this machine now. */
bool http_request_is_misled(const HttpRequest *q, char *const *hosts);
