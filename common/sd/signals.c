/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <signal.h>

#include "common/macro.h"
#include "common/sd/signals.h"

int signals_watch_end(sd_event *event, sd_event_signal_handler_t handler, void *userdata) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t set;
        int r = 0;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(event, NULL, signals[i], handler, userdata);
        return r;
}
