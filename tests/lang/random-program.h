/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Programs that compile, made at random: every construct of the language, over values that come from outside (mock-world.h). */

#include "tests/random.h"

char *random_program(Random *r);        /* NULL if out of memory */
