/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Names are compared as they are in the header: nothing is looked up. */

#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/macro.h"
#include "daemons/http/host-name.h"

static bool is_name(const char *host, const char *name) {
        size_t n = strlen(name);

        return strncasecmp(host, name, n) == 0 && (host[n] == 0 || host[n] == ':');
}

static bool is_our_name(const char *host) {
        char name[HOST_NAME_MAX + 1];

        return gethostname(name, sizeof(name)) >= 0 && name[0] && is_name(host, name);
}

bool host_is_local(const char *host) {
        if (!host)
                return false;
        return is_our_name(host) || is_name(host, "localhost") || is_name(host, "[::1]") ||
               (startswith(host, "127.") && host[strspn(host, "0123456789.:")] == 0);
}

bool host_is_one_of(const char *host, char *const *names) {
        for (size_t i = 0; host && names && names[i]; i++)
                if (is_name(host, names[i]))
                        return true;
        return false;
}
