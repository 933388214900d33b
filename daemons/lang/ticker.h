/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Functions that say something again and again. */

#include <stdint.h>

#include "common/source.h"

typedef struct Ticker Ticker;
typedef struct sd_event_source sd_event_source;

/* First member of the function's struct, or all of it. */
struct Ticker {
        Source source;
        uint64_t interval_usec;
        int (*say)(Ticker *t, Value *ret);      /* what value_str() and its like return */
        sd_event_source *timer;
        unsigned n_said;
};

/* At once, and whenever as many seconds have passed since the boot as are a multiple of the interval: so seconds of uptime begin
 * when they do, and all that wake up now and then do it together. */
int ticker_open(Ticker *t, uint64_t interval_usec, int (*say)(Ticker *t, Value *ret), Diag *reterr);
void ticker_close(Source *s);
