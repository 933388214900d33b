/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the kernel tells everybody who listens. One descriptor per topic, however many listen; none while nobody does. That
 * something happened is all that is said: whoever is called looks again. */

#include <stdbool.h>

#include "common/macro.h"

typedef struct KernelWatch KernelWatch;
typedef struct sd_event sd_event;
typedef struct sd_event_source sd_event_source;

typedef enum KernelTopic {
        KERNEL_CLOCK,           /* the clock of the day was set, or stood still while the machine slept */
        KERNEL_HOSTNAME,
        KERNEL_LINKS,           /* network interfaces and their addresses */
        KERNEL_DEVICES,         /* devices, processors and modules, by their subsystem */
        _KERNEL_TOPIC_MAX,
} KernelTopic;

/* All zero is a good one. */
typedef struct KernelWatcher {
        struct KernelTopicWatch {
                KernelTopic topic;
                sd_event_source *source;        /* owns the descriptor; NULL while nobody listens */
                KernelWatch *watches;
                KernelWatch *cursor;            /* the next to be called, while they are called */
        } topics[_KERNEL_TOPIC_MAX];
} KernelWatcher;

const char *kernel_topic_name(KernelTopic topic);
void kernel_watcher_done(KernelWatcher *k);     /* watches that are still there fall silent */

/* Called from the loop, once for all that happened together. May create and free any watches, also its own. subsystem (borrowed
 * for as long as the watch lives): for KERNEL_DEVICES, which ones. */
int kernel_watch_new(KernelWatch **ret, KernelWatcher *k, sd_event *event, KernelTopic topic, const char *subsystem,
                     void (*callback)(void *userdata), void *userdata);
KernelWatch *kernel_watch_free(KernelWatch *w);
DEFINE_CLEANUP(KernelWatch *, kernel_watch_free)
