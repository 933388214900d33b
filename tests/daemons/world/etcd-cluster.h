/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Real etcd on loopback, one member or more, for tests. Everything is in a directory of its own and gone afterwards. */

#include <stdbool.h>
#include <sys/types.h>

enum { CLUSTER_MAX = 3 };

typedef struct ClusterOptions {
        const char *ca, *certificate, *key;     /* paths: clients come by TLS and need certificates. NULL: plain */
        int peer_proxies[CLUSTER_MAX];          /* ports at which members reach each other; 0: directly */
} ClusterOptions;

typedef struct Cluster {
        char directory[64];
        unsigned n;
        pid_t pids[CLUSTER_MAX];        /* 0: does not run */
        int client_ports[CLUSTER_MAX], peer_ports[CLUSTER_MAX];
        char endpoints[256];            /* as store_open_etcd() takes them */
        ClusterOptions options;
} Cluster;

bool cluster_available(void);           /* whether etcd is installed */
void cluster_init(Cluster *c, unsigned n, const ClusterOptions *options);      /* started, and about to answer */
void cluster_done(Cluster *c);
void cluster_start(Cluster *c, unsigned i);

/* To a file in its directory, by etcdctl; and back: all members die, and begin again with what was in it. False: it could not be done. */
bool cluster_can_back_up(void);
bool cluster_back_up(Cluster *c);
bool cluster_restore(Cluster *c);

void cluster_signal(Cluster *c, unsigned i, int signal);        /* after SIGKILL it is gone for sure */
