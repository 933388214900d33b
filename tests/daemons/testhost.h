/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A host for kinds under test: it does what a real one would, on a loop that runs only while a test waits, and remembers what the
 * kind said. One resource, with those grouped into it, is looked at at a time. */

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "common/resource.h"
#include "common/strbuf.h"

enum { NOT_FINISHED = 1000 };           /* neither a CheckResult nor a negative errno */

enum { PATIENCE_MSEC = 60000 };         /* with what must come; nothing takes so long but what hangs */

typedef struct TestHost {
        ResourceHost host;              /* first: resources point to it */
        unsigned n_changed;             /* calls of resource_changed() so far */
        unsigned n_armed, n_watch_failed;
        int watch_error;                /* given to resource_watch_failed() last */
        int finished;                   /* what became of the last attempt that was pending, or NOT_FINISHED */
        Diag diag;                      /* of the last failure */
        char *reason;                   /* given to resource_waiting() last */
        StrBuf log;                     /* a line each */
        bool refresh;                   /* what resource_refresh() answers */
        StrBuf differences;             /* what the last attempt said that is wrong, a line each */
        char *sent_key;                 /* the last */
        Value sent;
        StrBuf sends;                   /* all, as "key=text\n" */
} TestHost;

/* state_dir is borrowed, and may be NULL for kinds that keep none. */
int testhost_init(TestHost *h, sd_event *event, void *manager, const char *state_dir);
void testhost_done(TestHost *h);
void testhost_forget(TestHost *h);              /* all that a kind said */

/* A resource with fields set from pairs of name and text in mcl's notation ("state", "\"running\"", "cpus", "2"), ending with
 * NULL. NULL if the kind refuses them; h->diag says why. */
Resource *testhost_resource(TestHost *h, const ResourceType *type, const char *name, ...) __attribute__((__sentinel__));

/* As when a value is received: -EINVAL and so on if the kind refuses it. */
int testhost_receive(TestHost *h, Resource *r, const char *field, const char *text);

/* Prepares and watches, children first. What watch() returned, or -ETIMEDOUT if it was not armed soon. */
int testhost_watch(TestHost *h, Resource *r);
void testhost_unwatch(Resource *r);

/* One attempt, children first where the kind leaves that to its host. CheckResult or negative errno. */
int testhost_check(TestHost *h, Resource *r, bool apply);

/* Runs the loop until the condition holds, at most for so long. */
bool testhost_until(TestHost *h, bool (*condition)(void *userdata), void *userdata, unsigned milliseconds);
bool testhost_until_changed(TestHost *h, unsigned n_changed, unsigned milliseconds);        /* more often than that */
void testhost_run(TestHost *h, unsigned milliseconds);              /* just so long */

void testhost_free(Resource *r);            /* cancelled, unwatched and freed, with its children, as a host would */
