/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The pages that are open in browsers, each with a stream of events. They belong to the manager, not to the resource that they show:
 * when a program changes something of a server, the engine puts a new one in its place, and pages go on as if nothing had happened.
 * When nobody comes soon, they are told by the end of their streams. */

#include <stdbool.h>
#include <stdint.h>

#include "daemons/http/mhd.h"

typedef struct HttpManager HttpManager;
typedef struct UiHub UiHub;

enum { UI_STREAMS_MAX = 512 };          /* of one hub: others have a place as well */

/* The hub of that name, which is made if need be. owner: whoever speaks to its pages from now on. */
int ui_hub_take(UiHub **ret, HttpManager *m, const char *name, const void *owner);
void ui_hub_release(UiHub *h, const void *owner);       /* nothing happens if another one has taken it already */
void ui_hubs_done(HttpManager *m);

/* Answers a request by a stream of events that begins with this text; 503 if there are too many. */
void ui_hub_stream(UiHub *h, HttpRequest *q, const char *first, size_t size);

/* Tells all pages. One that is too far behind loses its stream, and will ask for everything when it is back. */
void ui_hub_tell(UiHub *h, const char *event, const char *json);

bool ui_hub_is_watched(const UiHub *h);

/* What owners hand on to each other; freed with the hub. NULL: there is nothing. */
void *ui_hub_data(const UiHub *h);
void ui_hub_set_data(UiHub *h, void *data, void (*free_data)(void *data));

/* A number greater than all before, also those of the process before this one. */
uint64_t ui_hub_next_seq(HttpManager *m);
