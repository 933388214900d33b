/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Connections to libvirt, one per URI and credentials, shared by all resources that name them. A connection is opened by the
 * first call that needs it, in its own thread, and opened again by the next one after it was lost. As long as a hypervisor
 * cannot be reached at its socket, calls end with -EAGAIN, and everybody is told when it may be worth another try.
 *
 * A connection that nobody uses any more stays open for a moment: a resource that is replaced by a changed one hands it on. (And
 * what test:///default has built lives only as long as its connection.) */

#include <stdatomic.h>
#include <stdbool.h>

#include <libvirt/libvirt.h>

#include "common/diag.h"
#include "common/sd/path-watch.h"
#include "daemons/virt/work.h"

typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;
typedef struct sd_bus sd_bus;
typedef struct Docker Docker;
typedef struct VirtConnection VirtConnection;
typedef struct VirtManager VirtManager;

typedef enum VirtConnectionState {
        VIRT_CONNECTION_CLOSED,         /* not asked for yet, or lost */
        VIRT_CONNECTION_OPEN,
        VIRT_CONNECTION_WAITING,        /* there is no socket, or nobody behind it */
        VIRT_CONNECTION_FAILED,
        _VIRT_CONNECTION_STATE_MAX,
} VirtConnectionState;

/* What the kinds of this daemon share; ResourceHost.manager points to it. */
struct VirtManager {
        sd_event *event;
        PathWatcher *paths;
        VirtConnection *connections;    /* a list */
        sd_event_source *tell;          /* enabled while connections_changed() is due */
        Docker *docker;                 /* borrowed; for the kinds of docker */
        sd_bus *const *bus;             /* see activation.h; NULL: hypervisors that do not run are only waited for */

        /* A connection came, went or changed its state; for the bus object. Once for all that happened in a turn of the loop. May be
         * NULL. */
        void (*connections_changed)(VirtManager *m, void *userdata);
        void *userdata;
};

int virt_manager_init(VirtManager *m, sd_event *event);
void virt_manager_done(VirtManager *m);         /* waits a moment for calls under way, then leaves them behind */

/* What events are about. */
typedef enum VirtObject {
        VIRT_DOMAIN,
        VIRT_NETWORK,
        _VIRT_OBJECT_MAX,
} VirtObject;

/* Somebody who uses a connection: part of a resource's struct. changed() is called when the object of that name may have changed,
 * and when the connection was lost or may work again. */
typedef struct VirtUser VirtUser;
struct VirtUser {
        VirtObject object;
        const char *name;               /* borrowed */
        void (*changed)(VirtUser *u);
        void *userdata;
        VirtConnection *connection;
        VirtUser *previous, *next;      /* of all */
        VirtUser *namesake;             /* of the same object: a new resource beside the one it replaces */
};

/* Does not connect yet. username is NULL where there are no credentials. */
int virt_user_attach(VirtUser *u, VirtManager *m, const char *uri, const char *username, const char *password);
/* Whether that is what it is attached to. */
bool virt_user_is_at(const VirtUser *u, const char *uri, const char *username, const char *password);
void virt_user_detach(VirtUser *u);     /* accepts one that is not attached */

/* A call: part of what its owner allocates for it. */
typedef struct VirtCall VirtCall;
struct VirtCall {
        Work work;
        VirtConnection *connection;
        atomic_bool cancelled;          /* set it to have run() skipped, if it has not begun */
        int result;                     /* what run() returned, or why there is no connection (-EAGAIN: it is waiting) */
        Diag diag;                      /* run() may set it; without place */
        VirtConnectionState state;      /* of the connection, as the call found it */
        bool refused;                   /* there is a socket, but nobody listens, or who does hangs up */

        int (*run)(VirtCall *call, virConnectPtr c);    /* in the thread */
        void (*done)(VirtCall *call);   /* in the loop; frees it */
};

int virt_user_call(VirtUser *u, VirtCall *call);

/* For done() of a call that has found the connection open: what is left to do waits for somebody else, such as a guest. So it is done in
 * another thread, where only those wait that do the same, and with a handle of its own; done() follows again. */
int virt_call_patiently(VirtCall *call, int (*run)(VirtCall *call, virConnectPtr c));

/* Records the library's last error, with what was being done, as a Diag; returns the errno that fits best. -ENOENT: there is no such
 * object; -ESTALE: it is not in a state in which that could be done. */
int virt_error(Diag *reterr, const char *format, ...) _printf_(2, 3);

/* Others act at the same time. An attempt that came to this may have been overtaken, and begins once more; so often. */
enum { VIRT_OVERTAKEN_MAX = 5 };
static inline bool virt_is_overtaken(int r) {
        return r == -ENOENT || r == -ESTALE;
}

/* Whether the last error is that the driver does not know what it was asked for, such as a flag. */
bool virt_error_is_refusal(void);

VirtConnection *virt_connection_next(const VirtManager *m, VirtConnection *c); /* walks them: NULL gives the first */
const char *virt_connection_uri(const VirtConnection *c);
const char *virt_connection_state_name(const VirtConnection *c);
unsigned virt_connection_n_users(const VirtConnection *c);
