/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* fwupd, which has firmware put into devices. As in packagekit.h, each request is one step of an attempt, which goes on with next when
 * it is done. It is started by the bus when it is asked, and ends when nobody has asked for long; neither is news. */

#include "daemons/engine/host-bus.h"
#include "daemons/engine/kinds/fetched-file.h"
#include "daemons/engine/kinds/fwupd-data.h"

#define FWUPD_SERVICE "org.freedesktop.fwupd"

typedef struct Fwupd Fwupd;

/* Goes on: what check_apply would return. error: of the request, with reterr set. But that fwupd is not there is not for next to know. */
typedef int (*fwupd_next_t)(Fwupd *f, int error, Diag *reterr);

struct Fwupd {
        BusClient bus;          /* zeroed until open */
        fwupd_next_t next;
        FwupdList asked;
        FwupdDevice *devices;
        FwupdRelease *releases;
        FwupdRemote *remotes;
        size_t n_devices, n_releases, n_remotes;

        /* what is being installed */
        const FwupdDevice *device;
        const FwupdRelease *release;
        bool allow_older;
        FetchedFile *file;
        fwupd_next_t installed_next;
        unsigned n_lost;        /* fwupd ended meanwhile, in a row */

        char **installed;       /* "device version version", from and to: fwupd has taken it */
};

int fwupd_open(Fwupd *f, Resource *r, bus_signal_t signal);     /* nothing happens if it is open already */
int fwupd_watch(Fwupd *f, Resource *r, bus_signal_t signal, Diag *reterr);
void fwupd_close(Fwupd *f);             /* accepts a closed one; what was installed is remembered */
void fwupd_cancel(Fwupd *f);
void fwupd_done(Fwupd *f);

/* These fill the list in f. That there is nothing to tell of is an empty one. */
int fwupd_get_devices(Fwupd *f, fwupd_next_t next, Diag *reterr);
int fwupd_get_releases(Fwupd *f, const char *device, fwupd_next_t next, Diag *reterr);
int fwupd_get_remotes(Fwupd *f, fwupd_next_t next, Diag *reterr);

/* Fetches a release, compares it with its checksum, and has it installed; both are from the lists in f. It is refused what was installed
 * before without becoming the device's version: to write it again and again would only wear the device. */
int fwupd_install(Fwupd *f, const FwupdDevice *device, const FwupdRelease *release, bool allow_older, fwupd_next_t next, Diag *reterr);

/* Autoedge: who installs comes after the remotes that fwupd has, and after one that it may not have yet, as these decide what there is to
 * be installed. */
int fwupd_wants_remotes(const Resource *r, unsigned batch, ResourceUids *ret);
int fwupd_remote_offers(const Resource *r, ResourceUids *ret);
