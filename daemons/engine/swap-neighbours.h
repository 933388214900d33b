/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

#include "daemons/engine/swap.h"

/* Finds those that look at others of their kind (ResourceType.minds) of which one goes, or becomes another. Before anything is freed. */
int swap_find_neighbours(Swap *s);

/* They are looked at again. */
void swap_wake_neighbours(const Swap *s);
