/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How a program is to be run, on the bus: a{sv}, a row for each option. */

#include "common/deploy.h"

typedef struct sd_bus_message sd_bus_message;

int deploy_options_append(sd_bus_message *m, const DeployOptions *o);

/* What is not given is as it is by default. -EINVAL for an option that there is not, or that has another type. */
int deploy_options_read(sd_bus_message *m, DeployOptions *ret, Diag *reterr);
