/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A libvirtd on a socket of its own, in the loop of the test: enough of its protocol for a client to connect and to find that there are
 * no domains. And what a bad one does. */

#include <stdbool.h>

typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;

enum { FAKE_LIBVIRT_CLIENTS_MAX = 8 };

typedef enum FakeLibvirtMood {
        FAKE_LIBVIRT_GOOD,
        FAKE_LIBVIRT_REFUSES,           /* whoever wants to log in */
        FAKE_LIBVIRT_SILENT,            /* takes everything, and never answers */
        FAKE_LIBVIRT_HANGS_UP,          /* at once, as one does that is being stopped */
        FAKE_LIBVIRT_CUTS,              /* half an answer, then it hangs up */
        FAKE_LIBVIRT_LIES,              /* an answer that claims to be of 4 GiB */
} FakeLibvirtMood;

typedef struct FakeLibvirt {
        sd_event *event;
        char folder[64], path[96], uri[160];    /* the URI in quotes, as a field has it */
        int listener;
        sd_event_source *source;
        int clients[FAKE_LIBVIRT_CLIENTS_MAX];
        sd_event_source *client_sources[FAKE_LIBVIRT_CLIENTS_MAX];
        unsigned n_connections;         /* so far */
        unsigned n_lookups;             /* of domains */
        FakeLibvirtMood mood;
} FakeLibvirt;

void fake_libvirt_new(FakeLibvirt *f, sd_event *event);
void fake_libvirt_free(FakeLibvirt *f);
void fake_libvirt_listen(FakeLibvirt *f);
void fake_libvirt_stop(FakeLibvirt *f);         /* hangs up on everybody, and takes the socket away */
