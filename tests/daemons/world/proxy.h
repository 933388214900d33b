/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A network that breaks: connections of TCP go through the loop of the test, which can hold back what one end says to the other, or end
 * them. What is held back is not lost; it comes later, as it does when packets are sent again. */

#include <stdbool.h>

typedef struct Proxy Proxy;
typedef struct sd_event sd_event;

enum { PROXY_SOURCES_MAX = 4 };

/* of_peers: who connects is told by the port in the X-PeerURLs that members of etcd send each other; else all are source 0. */
Proxy *proxy_new(sd_event *event, bool of_peers);
Proxy *proxy_free(Proxy *p);

int proxy_port(const Proxy *p);
void proxy_set_target(Proxy *p, int port);              /* on loopback; before that nobody gets through */
void proxy_add_peer(Proxy *p, int port);                /* the next source */

unsigned proxy_n_connections(const Proxy *p);           /* that anybody ever made to it */

void proxy_hold(Proxy *p, unsigned source, bool questions, bool answers);      /* what shall be held back from now on */
void proxy_cut(Proxy *p, unsigned source);              /* its connections end; others may be made */
