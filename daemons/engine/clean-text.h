/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Text for people may come from anywhere: what a command printed, a file's name, a message of another daemon. On the bus and in
 * messages it must be UTF-8, and short. */

/* A copy in which every byte that is no UTF-8 is U+FFFD, cut to TEXT_MAX bytes. NULL if s is NULL or without memory. */
char *clean_text(const char *s);

/* Such a copy at the end of a message, as "s"; NULL is an empty one. */
typedef struct sd_bus_message sd_bus_message;
int clean_text_append(sd_bus_message *m, const char *s);

enum { TEXT_MAX = 16 * 1024 };
