/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Methods of org.mgmt.engine1.Manager that show many vertices at once. They answer in parts, so that neither a message nor a turn of
 * the loop becomes too long; whoever wants all asks again with an offset. */

#include <systemd/sd-bus.h>

int graph_bus_get_graph(sd_bus_message *call, void *userdata, sd_bus_error *reterr);
int graph_bus_list_differences(sd_bus_message *call, void *userdata, sd_bus_error *reterr);
