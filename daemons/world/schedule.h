/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* "This runs on so many of the hosts that put themselves forward." In the store:
 *
 *      schedule/votes/HOST/NAMESPACE   a host puts itself forward: its options. Under a lease, so it goes with the host
 *      schedule/leader                 the host that decides; under a lease as well
 *      schedule/chosen/NAMESPACE       its decision: names of hosts, sorted, with commas between them */

#include <stdbool.h>
#include <stdint.h>

#include "common/macro.h"
#include "daemons/world/store.h"

typedef struct ScheduleLeader ScheduleLeader;
typedef struct ScheduleWatch ScheduleWatch;
typedef struct Schedules Schedules;
typedef struct Vote Vote;

typedef struct VoteOptions {
        const char *strategy;   /* "rr" or "alpha" */
        int64_t max;            /* at least 1 */
        bool persist;           /* the vote stays when the host goes */
        uint32_t ttl_sec;
} VoteOptions;

/* event and store are borrowed. only_looks: takes part in no election. */
int schedules_new(Schedules **ret, sd_event *event, Store *store, bool only_looks);
Schedules *schedules_free(Schedules *s);        /* no votes and watches may be left; votes run out */
DEFINE_CLEANUP(Schedules *, schedules_free)

/* ---- votes ---- */

/* Something happened to it: its lease was lost or granted, say, or the store is there again, which could not be reached when it was
 * cast. */
typedef void (*vote_callback_t)(void *userdata);

/* 0 or negative errno; problem as in StoreReply. */
typedef void (*vote_done_t)(int error, const char *problem, bool changed, void *userdata);

/* Whoever opens it is the only one in this namespace: else -EEXIST. One that was closed a moment ago is taken over as it is. */
int vote_open(Schedules *s, const char *hostname, const char *namespace, vote_callback_t callback, void *userdata, Vote **ret);

/* orphan: it runs out by itself; else it is withdrawn, if nobody opens it again at once. Returns NULL. */
Vote *vote_close(Vote *v, bool orphan);

/* Puts this host forward with these options, or says with apply false whether something would have to be written. One at a time. */
int vote_cast(Vote *v, const VoteOptions *options, bool apply, vote_done_t done, void *userdata);
int vote_withdraw(Vote *v, bool apply, vote_done_t done, void *userdata);
void vote_cancel(Vote *v);      /* done() is not called */

/* ---- decisions ---- */

/* The chosen ones, with commas between them: "" is nobody. A host whose vote may have run out does not count itself among them. */
typedef void (*schedule_callback_t)(const char *chosen, void *userdata);

int schedule_watch(Schedules *s, const char *hostname, const char *namespace, schedule_callback_t callback, void *userdata,
                   ScheduleWatch **ret);
ScheduleWatch *schedule_watch_free(ScheduleWatch *w);

/* ---- the leader (schedule-leader.c) ---- */

/* Takes part in the election as hostname until it is freed, and decides when it is elected. */
int schedule_leader_new(ScheduleLeader **ret, sd_event *event, Store *store, const char *hostname);
ScheduleLeader *schedule_leader_free(ScheduleLeader *l);
