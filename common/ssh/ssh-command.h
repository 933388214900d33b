/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One command on another host, by SSH, on the loop: libssh without its own waiting. Hosts are known by known_hosts, or by the one key that
 * the caller knows; we are known there by a key, from a file or from ssh-agent, or by a password. Nothing is ever asked of anybody. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/diag.h"
#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct SshCommand SshCommand;

/* Where and as whom, after ssh's own configuration was read. */
typedef struct SshAddress {
        char *host;             /* a name or an address, for connecting */
        char *user;
        unsigned port;
} SshAddress;

typedef struct SshTarget {
        const char *host;       /* as the user wrote it: known_hosts has it, or an alias of ssh's configuration */
        const char *user;       /* NULL: as configured, else ours */
        unsigned port;          /* 0: as configured, else 22 */
        const char *identity;   /* path of a private key that is tried first; NULL: the usual ones */
        const char *known_hosts;        /* path; NULL: the usual ones */
        const char *host_key;   /* in base64, as known_hosts has it: it is the right one as well; NULL: none */
        const char *password;   /* after the keys; NULL: none */
        bool no_keys;           /* log in by the password alone */
} SshTarget;

typedef struct SshOps {
        /* What the command writes. Either may free it. */
        void (*output)(SshCommand *c, bool is_stderr, const char *data, size_t size, void *userdata);

        /* What was written here has gone, and more may come. */
        void (*drained)(SshCommand *c, void *userdata);

        /* The end, once: error is 0 if the command ended by itself, with this status (-1: nobody said), else negative errno, and
         * problem says what happened. May free it. */
        void (*ended)(SshCommand *c, int error, const char *problem, int status, void *userdata);
} SshOps;

/* Does not connect. */
int ssh_target_resolve(const SshTarget *t, SshAddress *ret, Diag *reterr);
void ssh_address_done(SshAddress *a);

/* fd is a connection to the host, which is taken, also on failure. The target is not needed afterwards. */
int ssh_command_start(SshCommand **ret, sd_event *event, int fd, const SshTarget *t, const char *command, const SshOps *ops,
                      void *userdata, Diag *reterr);
SshCommand *ssh_command_free(SshCommand *c);    /* cuts the connection */
DEFINE_CLEANUP(SshCommand *, ssh_command_free)

int ssh_command_write(SshCommand *c, const char *data, size_t size);            /* to its stdin; copied */
