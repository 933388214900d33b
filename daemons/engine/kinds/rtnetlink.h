/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Requests to the kernel about network interfaces. It answers within the call, so nobody waits. */

#include <stdbool.h>
#include <stdint.h>

#include <linux/rtnetlink.h>

#include "common/macro.h"

typedef struct RtAddress {
        int family;             /* AF_INET or AF_INET6 */
        uint8_t bytes[16];
        unsigned prefix;
} RtAddress;

int rt_address_parse(const char *text, bool with_prefix, RtAddress *ret);      /* "10.0.0.1/24", or without the slash */
void rt_address_text(const RtAddress *a, bool with_prefix, char *ret, size_t size);
bool rt_address_equal(const RtAddress *a, const RtAddress *b);
RtAddress rt_address_network(const RtAddress *a);       /* the bits after the prefix are zero */
size_t rt_address_size(const RtAddress *a);             /* bytes in use */

/* A request that is being put together. */
typedef struct RtRequest {
        struct nlmsghdr header;
        uint8_t space[512];
} RtRequest;

void rt_request_init(RtRequest *q, uint16_t type, uint16_t flags, const void *body, size_t size);
void rt_request_add(RtRequest *q, uint16_t type, const void *data, size_t size);

/* Called for each message of a dump. Negative errno ends it. */
typedef int (*rt_message_t)(const struct nlmsghdr *m, void *userdata);

int rt_open(uint32_t groups);                           /* groups: RTMGRP_… to listen to; 0: for requests */
int rt_change(int fd, RtRequest *q);                    /* 0 or what the kernel says */
/* *ret_changed becomes true if something was changed meanwhile, so that some may be missing, or be there twice. */
int rt_dump(int fd, uint16_t type, rt_message_t callback, void *userdata, bool *ret_changed);

/* An attribute of a message whose fixed part has this size, or NULL; *ret_size is that of its data. */
const void *rt_attribute(const struct nlmsghdr *m, size_t fixed, uint16_t type, size_t *ret_size);

/* Takes all that a listening socket has; callback returns whether the message is of interest. Returns whether any was, or whether some
 * were lost. */
bool rt_drain(int fd, bool (*callback)(const struct nlmsghdr *m, void *userdata), void *userdata);
