/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Says when nothing is left to do: every vertex is settled, and stayed so for the timeout. There is one timer, and it runs
 * only between the last thing that happened and the answer. */

#include <stdbool.h>
#include <stdint.h>

typedef struct Converger Converger;
typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;

struct Converger {
        sd_event_source *timer;
        uint64_t timeout_usec;
        char *status_file;              /* gets a line "true" or "false" per change; NULL: none */
        bool converged;
        bool started;                   /* there is a graph */
        bool settled;
        void (*changed)(Converger *c, bool converged, void *userdata);
        void *userdata;
};

int converger_init(Converger *c, sd_event *event, int timeout_sec, const char *status_file,
                   void (*changed)(Converger *c, bool converged, void *userdata), void *userdata);
void converger_done(Converger *c);

/* The number of unsettled vertices, whenever it changes. */
void converger_update(Converger *c, uint64_t n_unsettled);

/* Something was repaired: the quiet time begins anew. */
void converger_activity(Converger *c);

/* The first graph is there: from now on silence means something. */
void converger_start(Converger *c);
