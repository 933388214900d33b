/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What fwupd tells of devices, of the releases for one of them, and of the remotes where releases come from: lists of dictionaries, of
 * which we read the words we know. What it does not say is zero, an empty text or an empty list. */

#include <systemd/sd-bus.h>

#include "common/field.h"

/* Bits and numbers, as fwupd has them. */
#define FWUPD_DEVICE_UPDATABLE          (UINT64_C(1) << 1)
#define FWUPD_DEVICE_NEEDS_REBOOT       (UINT64_C(1) << 8)
#define FWUPD_DEVICE_NEEDS_SHUTDOWN     (UINT64_C(1) << 17)
#define FWUPD_DEVICE_NEEDS_ACTIVATION   (UINT64_C(1) << 20)
#define FWUPD_RELEASE_UPGRADE           (UINT64_C(1) << 2)
#define FWUPD_RELEASE_DOWNGRADE         (UINT64_C(1) << 3)
#define FWUPD_RELEASE_BLOCKED           (UINT64_C(3) << 4)      /* its version is, or it was not approved */
#define FWUPD_UPDATE_NEEDS_REBOOT       4
#define FWUPD_REMOTE_LOCAL              2       /* its metadata is a file of this host, its firmware lies beside it */
#define FWUPD_REMOTE_DIRECTORY          3       /* a directory of firmware */

typedef struct FwupdDevice {
        char *id, *name, *version, *problem;    /* problem: why it cannot be updated */
        char **guids;
        uint64_t flags, update_state;
} FwupdDevice;

typedef struct FwupdRelease {
        char *version, *remote, *uri;
        char **locations, **checksums;
        uint64_t flags, size;
} FwupdRelease;

typedef struct FwupdRemote {
        char *id, *uri, *firmware_base;
        char *cache;                    /* where its metadata is on this host */
        uint64_t type, enabled, modified;
} FwupdRemote;

typedef enum FwupdList {
        FWUPD_DEVICES,
        FWUPD_RELEASES,
        FWUPD_REMOTES,
        _FWUPD_LIST_MAX,
} FwupdList;

/* Reads an aa{sv} into an array of these structs; its elements are owned by it. -EBADMSG: it is no such list; -E2BIG. */
int fwupd_read(sd_bus_message *m, FwupdList list, void **ret, size_t *ret_n);
void fwupd_free(FwupdList list, void *items, size_t n);

/* By its id, or by a GUID, of which a device has several and several devices may have the same; letters may be large or small. */
bool fwupd_device_is(const FwupdDevice *d, const char *id);

static inline const char *fwupd_device_name(const FwupdDevice *d) {
        return *d->name ? d->name : d->id;
}

/* Whether a signal that tells of a device may be about this one; those that tell of none, or that are not understood, may. */
bool fwupd_signal_may_concern(sd_bus_message *m, const char *id);

/* What was installed counts after a reboot, say. */
bool fwupd_device_is_pending(const FwupdDevice *d);

/* When its metadata is from, in seconds since 1970; 0: there is none yet. */
static inline uint64_t fwupd_remote_modified(const FwupdRemote *r) {
        return r->modified == UINT64_MAX ? 0 : r->modified;
}

/* Where the file of a release is: a URL or a path. remote: where the release is from; NULL: not known. -ENOENT: the release does not say
 * where it is, or says it of a remote that is not known. */
int fwupd_release_location(const FwupdRelease *release, const FwupdRemote *remote, char **ret);
