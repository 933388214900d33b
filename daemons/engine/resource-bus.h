/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One bus object per resource, /org/mgmt/engine1/resource/<kind>/<name>, interface org.mgmt.engine1.Resource. Nothing is stored
 * for them: paths are parsed when somebody asks. Changes of one turn of the loop are told together, the last state only. */

#include "daemons/engine/vertex.h"

typedef struct ResourceBus ResourceBus;

int resource_bus_new(ResourceBus **ret, Manager *m);    /* m->daemon is there */
ResourceBus *resource_bus_free(ResourceBus *b);
DEFINE_CLEANUP(ResourceBus *, resource_bus_free)

void resource_bus_changed(ResourceBus *b, Vertex *root);        /* its whole group; what is new is announced */
void resource_bus_forget(ResourceBus *b, Vertex *v);    /* it goes, but can still be found by its name */

char *resource_bus_path(const Vertex *v);       /* NULL if out of memory */
