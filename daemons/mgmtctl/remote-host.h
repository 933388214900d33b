/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One host on which a program runs, from the first packet to the last. */

#include <stdbool.h>

#include "common/macro.h"
#include "common/ssh/ssh-command.h"
#include "common/strbuf.h"
#include "common/remote/target.h"
#include "daemons/mgmtctl/remote-tunnel.h"

typedef struct CurlLoop CurlLoop;
typedef struct Program Program;
typedef struct RemoteLibraries RemoteLibraries;
typedef struct RemoteHost RemoteHost;
typedef struct sd_event sd_event;

typedef enum RemoteMode {
        REMOTE_ONCE,            /* the program runs as long as we are connected, and leaves nothing */
        REMOTE_RUN,             /* the same, in a directory that has a name */
        REMOTE_START,           /* it goes on without us */
        REMOTE_LOOK,            /* is there any? */
        REMOTE_STOP,
} RemoteMode;

/* What all hosts have in common. */
typedef struct RemoteJob {
        RemoteMode mode;
        const char *words;      /* for the script, with a blank before each; "": none */
        sd_event *event;
        CurlLoop *loop;
        const Program *program;
        SshTarget ssh;          /* but for host, user and port */
        StrBuf archive;         /* of the programs and the program, without its end */
        const char *sums;       /* SHA-256 of the list of programs in it: who has such a list has them all. NULL: they are always sent */
        bool direct;            /* the cluster is reached without us */
        RemoteLibraries *libraries;
        RemoteEndpoints endpoints;
        const char *store, *store_user, *credentials;   /* of the environment; NULL: none */
        char **arguments;       /* of mgmtctl, NULL-terminated */

        /* The program runs there, or will not: somebody else may begin. Once. */
        void (*settled)(RemoteHost *h, void *userdata);

        /* Everything is over, and was said; h may be freed now. well: what ran there ended with 0. */
        void (*ended)(RemoteHost *h, bool well, void *userdata);
        void *userdata;
} RemoteJob;

/* Both are borrowed. Says everything else later, by the functions above. */
int remote_host_new(RemoteHost **ret, const RemoteJob *job, const RemoteTarget *target);
RemoteHost *remote_host_free(RemoteHost *h);    /* cuts the connection */
DEFINE_CLEANUP(RemoteHost *, remote_host_free)

void remote_host_stop(RemoteHost *h);           /* asks the program to end, or goes away if there is none yet */
void remote_host_cut(RemoteHost *h);            /* does not wait for that */
