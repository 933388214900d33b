/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What kinds of libvirt share: an attempt that is a call in the thread of a connection, and what tells when one is due. */

#include "common/difference.h"
#include "common/resource.h"
#include "daemons/virt/connection.h"

typedef struct VirtAttempt VirtAttempt;

/* Part of what the kind allocates for it. run() sees nothing but that: it is in the thread. */
struct VirtAttempt {
        VirtCall call;
        Differences differences;        /* what run() found wrong */

        int (*run)(VirtAttempt *a, virConnectPtr c, Diag *reterr);      /* CheckResult or negative errno; -EAGAIN: waits for an event */
        /* Set by a run() that did not fail: the rest of it, see virt_call_patiently(). */
        int (*wait)(VirtAttempt *a, virConnectPtr c, Diag *reterr);
        void (*ended)(VirtAttempt *a, Resource *r, int result);         /* in the loop, unless it was cancelled; NULL: nothing to do */
        void (*free)(VirtAttempt *a);                                   /* all of it, but for what stands here */

        Resource *resource;             /* NULL once it was cancelled */
        VirtAttempt **place;            /* where the resource keeps it */
};

/* A resource that uses a connection: part of its struct, zeroed until virt_client_open(). */
typedef struct VirtClient {
        VirtUser user;
        VirtAttempt *attempt;           /* the one under way; it belongs to the connection's thread */
        PathWatch *files[3];            /* where libvirt writes down what there is */
} VirtClient;

/* Connects nothing: that is done by the first attempt, which subscribes to events before it looks. auth is nil or a struct of
 * username and password. May be called again. */
int virt_client_open(VirtClient *c, Resource *r, VirtObject object, const char *uri, Value auth, Diag *reterr);

/* To see what libvirt tells no events about: edits of a definition, autostart. Only of QEMU on this host, and only as far as its
 * folders may be read. */
void virt_client_watch_files(VirtClient *c, Resource *r, const char *uri);
void virt_client_close(VirtClient *c);  /* an attempt goes on; accepts a closed one */

/* Takes a over, also on failure. CHECK_PENDING or negative errno. */
int virt_client_attempt(VirtClient *c, Resource *r, VirtAttempt *a, Diag *reterr);

/* The call itself cannot be stopped; it will end without anybody listening. The next one waits for it, as libvirt would. */
void virt_client_cancel(VirtClient *c);

/* For run(): that is, and shall be. That it is told is worth nothing if memory is short. NULL: not there. */
void virt_differs(Differences *list, const char *field, const char *from, const char *to);
void virt_differs_number(Differences *list, const char *field, uint64_t from, uint64_t to);
