/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

enum { AUGEAS_RIGHT = 3 };      /* exit status of mgmt-augeas: nothing is to be changed */
