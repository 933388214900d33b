/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Counters, and what they look like as OpenMetrics text. To count costs an addition; what follows from the graph (how many resources
 * are in which state) is only looked up when somebody asks. Labels are kinds and a few fixed words, so there are never many series. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Manager Manager;
typedef struct Vertex Vertex;

enum { METRICS_BUCKETS = 9 };           /* and one without limit */

typedef struct Histogram {
        uint64_t counts[METRICS_BUCKETS + 1];
        uint64_t sum_usec;
} Histogram;

/* Of one kind. */
typedef struct KindMetrics {
        uint64_t checks[2][2][2];       /* [apply][eventful][errorful]: attempts at single resources */
        uint64_t failures[2];           /* of attempts and watches: [0] another try follows, [1] given up */
        uint64_t events;                /* that its watches saw */
        uint64_t notifications;         /* that were sent to it */
        Histogram attempts;             /* how long they took; of a group as a whole */
} KindMetrics;

typedef struct Metrics {
        uint64_t start_usec;            /* CLOCK_REALTIME: of the engine, */
        uint64_t graph_usec;            /* of the graph in force; 0: none */
        uint64_t swaps[2];              /* [0] rejected, [1] accepted */
        uint64_t converged;             /* how often it became so */
        Histogram swap_durations;       /* of the accepted ones */
} Metrics;

void metrics_init(Metrics *m);

uint64_t metrics_now(void);             /* CLOCK_MONOTONIC in µs: now, not when this turn of the loop began */

void metrics_attempt_begins(Vertex *root);
void metrics_attempt_ends(Vertex *root);
void metrics_checked(const Vertex *member, int result);         /* what check_apply has come to */
void metrics_failed(const Vertex *root);                        /* its state says whether for good */
void metrics_event(const Vertex *root);
void metrics_notified(const Vertex *target);
void metrics_swapped(Manager *m, bool accepted, uint64_t begin_usec);

/* OpenMetrics 1.0. NULL if out of memory. */
char *metrics_text(const Manager *m);
