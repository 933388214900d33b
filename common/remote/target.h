/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Other hosts, as they are written: those that `mgmtctl remote` is given, [NAME=][USER@]HOST[:PORT], several with commas between them;
 * @FILE has one a line. Or one as a URL. */

#include <stdbool.h>
#include <stddef.h>

#include "common/diag.h"

enum { REMOTE_TARGETS_MAX = 1024 };

typedef struct RemoteTarget {
        char *label;            /* what messages call it: NAME, or HOST as it was written */
        char *name;             /* who it shall be in the program; NULL: who it says it is */
        char *user;             /* NULL: not said */
        char *host;
        unsigned port;          /* 0: not said */
} RemoteTarget;

typedef struct RemoteTargets {
        RemoteTarget *items;
        size_t n, capacity;
} RemoteTargets;

/* One as a URL, "[ssh://][USER[:PASSWORD]@]HOST[:PORT]": parts of its text, without NUL at their ends. What is not said is NULL, or 0. */
typedef struct RemoteAddress {
        const char *user, *password, *host;
        size_t user_size, password_size, host_size;
        unsigned port;
} RemoteAddress;

/* Allocates nothing but what is in reterr, which never has the password. */
int remote_address_parse(RemoteAddress *ret, const char *url, Diag *reterr);
bool remote_address_equal(const RemoteAddress *a, const RemoteAddress *b);
int remote_address_password(const RemoteAddress *a, char **ret);        /* what it stands for: "%40" is "@". There is one; the caller's */

bool remote_name_is_valid(const char *name);    /* that a host may have for the program */

int remote_targets_parse(RemoteTargets *ret, const char *text, Diag *reterr);
void remote_targets_done(RemoteTargets *t);
