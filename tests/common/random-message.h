/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Messages of every type with random content, for tests of whatever carries them. Made from the rows of message.def, so a new
 * message is tested as soon as it has its row. The caller seeds srandom(). */

#include "common/message.h"

extern const MessageType message_types[];
extern const size_t n_message_types;

Value random_value(unsigned depth);             /* nested at most so deep; aborts if out of memory, as all of these */
void random_message(MessageType type, Message *ret);

/* Field by field; NaN equals NaN. Names the field that differs. */
bool messages_equal(const Message *a, const Message *b, const char **ret_field);
