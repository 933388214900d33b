/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whether the engine has done all there is to do, as it says on the bus. Listened to only while somebody wants to know, and for a
 * moment longer: when a program changes something of a server, its resources are replaced. */

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>

typedef struct HttpManager HttpManager;
typedef struct EngineFollower EngineFollower;   /* one of those who want to know */

typedef struct EngineFollowerOps {
        /* What it says now; reached: it was so after all questions up to that number were asked. Not called while no engine is
         * there. Nobody follows or unfollows in here. */
        void (*converged)(bool converged, uint64_t reached, void *userdata);

        /* May be NULL. The engine is there, is gone, or has another graph; resources have another state (kind and name, or NULL:
         * any). See dbus/org.mgmt.engine1.xml. */
        void (*engine)(bool there, void *userdata);
        void (*signal)(sd_bus_message *m, void *userdata);
} EngineFollowerOps;

int engine_follow(EngineFollower **ret, HttpManager *m, const EngineFollowerOps *ops, void *userdata);
EngineFollower *engine_unfollow(EngineFollower *f);

/* Asks again; the number of the question. Everybody hears the answer. */
uint64_t engine_follow_ask(HttpManager *m);

/* What it said last: whether there is an engine, and whether it had done all. */
bool engine_follow_is_there(HttpManager *m);
bool engine_follow_is_converged(HttpManager *m);

void engine_follow_done(HttpManager *m);

/* The connection to call the engine over, if there is an engine; NULL: there is none. */
sd_bus *engine_follow_bus(HttpManager *m);
