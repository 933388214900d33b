/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Messages as C structs. message.def lists them; a field that is a pointer, Value, Diag, … is owned by the message. */

#include <stdbool.h>
#include <stdint.h>

#include "common/change-set.h"
#include "common/diag.h"
#include "common/value.h"
#include "common/wire.h"

typedef enum MessageType {
#define MESSAGE(number, NAME, member) MESSAGE_##NAME = (number),
#include "common/message.def"
        _MESSAGE_TYPE_INVALID = -22 /* -EINVAL */
} MessageType;

typedef struct Message {
        MessageType type;
        union {
#define MESSAGE(number, NAME, member) struct {
#define BOOL(x) bool x;
#define U32(x) uint32_t x;
#define U64(x) uint64_t x;
#define I32(x) int32_t x;
#define I64(x) int64_t x;
#define STR(x) char *x;
#define TEXT(x) char *x;
#define VALUE(x) Value x;
#define DIAG(x) Diag x;
#define META(x) Meta x;
#define RESOURCE(x) ResourceSpec x;
#define EDGE(x) EdgeSpec x;
#define END(NAME, member) } member;
#include "common/message.def"
        };
} Message;

const char *message_name(MessageType type);     /* "TASK_PUT"; NULL if unknown */

/* Appends one frame. The message is borrowed. 0, -ENOMEM, -E2BIG, -EINVAL (a function value); on failure w is as before. */
int message_encode(WireWriter *w, const Message *m);

/* Reads one frame's body. On failure *ret is empty: -EBADMSG (broken or of unknown type), -E2BIG, -ENOMEM. */
int message_decode(const WireHeader *header, WireReader *body, Message *ret);

void message_done(Message *m);
