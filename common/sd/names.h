/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Users and groups by name or number, without making the loop wait. Whoever stands in passwd and group of this host is found at
 * once. For all others the host's name services are asked (nsswitch.conf: sssd, LDAP, systemd), which may take any time: that is
 * done in threads, which live only while there is a question, and of which nobody outside of names.c needs to know. */

#include <stdint.h>
#include <sys/types.h>

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct Names Names;             /* one per daemon */
typedef struct NameQuery NameQuery;     /* a question that is not answered yet */

typedef enum NameKind {
        NAME_USER,
        NAME_GROUP,
} NameKind;

typedef struct NameEntry {
        char *name;
        uint32_t id;            /* uid or gid */
        gid_t group;            /* the rest is of users: the primary group */
        char *home, *shell;
} NameEntry;

void name_entry_done(NameEntry *e);

/* etc is the directory of passwd and group: "/etc", but for tests. */
int names_new(Names **ret, sd_event *event, const char *etc);
Names *names_free(Names *n);    /* questions that are still open get no answer, but are to be freed */
DEFINE_CLEANUP(Names *, names_free)

/* result is 0, -ESRCH if there is nobody of this name, or what the name service said; the content of entry may be taken. The query
 * has ended and is still to be freed, now or later. */
typedef void (*name_callback_t)(NameQuery *q, int result, NameEntry *entry, void *userdata);

/* text is a number that is in use, else a name. 1: *ret_entry, which is to be given to name_entry_done(). 0: *ret, and an answer will
 * come. Or negative errno. */
int names_find(Names *n, NameKind kind, const char *text, NameEntry *ret_entry, NameQuery **ret, name_callback_t callback,
               void *userdata);
NameQuery *name_query_free(NameQuery *q);       /* also before the answer has come */
DEFINE_CLEANUP(NameQuery *, name_query_free)

/* Only in passwd or group of this host, where useradd and its like work: 1, 0 if it is not there, or negative errno. */
int names_find_local(Names *n, NameKind kind, const char *text, NameEntry *ret_entry);
