/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A port on which files are asked for by TFTP, and the transfers that come of it. It only gives. */

#include "daemons/http/static-file.h"

typedef struct sd_event sd_event;
typedef struct TftpService TftpService;

typedef struct TftpServing {
        /* What a client shall have that asks for this name: 0; -ENOENT if there is no such file; or another error. Clients hear of the
         * two kinds of errors, and nothing else. */
        int (*open)(const char *filename, StaticContent *ret, void *userdata);
        void *userdata;
        uint64_t timeout_usec;          /* until a packet is sent again */
} TftpServing;

/* Listens on "host:port", but answers nobody before tftp_service_start(); what came until then is dropped. */
int tftp_service_new(TftpService **ret, sd_event *event, const char *address, const TftpServing *serving);
int tftp_service_start(TftpService *s); /* nothing happens if it has started */
TftpService *tftp_service_free(TftpService *s);         /* ends all transfers */
DEFINE_CLEANUP(TftpService *, tftp_service_free)
