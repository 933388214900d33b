/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A page of another site can have a name of its own stand for this machine, and then is, to a browser, of one origin with what is served
 * here. But the browser tells by which name it came (the header Host), so who is meant only for those who sit here, looks at that. */

#include <stdbool.h>

/* Whether it is one of this machine's own: localhost, an address of the loopback, its host name; with a port or without. NULL is
 * not. */
bool host_is_local(const char *host);

/* Whether the name, without its port, is one of these. */
bool host_is_one_of(const char *host, char *const *names);
