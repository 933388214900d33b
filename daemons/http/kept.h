/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Values that clients gave to a resource, and that are nowhere else. The engine takes a whole server away and puts a new one in its
 * place when one of its children changes; what the old resource kept the new one of the same kind and name finds here. */

#include "common/value.h"

typedef struct HttpKept HttpKept;       /* one value; what a resource has it in */
typedef struct HttpManager HttpManager;
typedef struct Resource Resource;

/* The resource's value; nil if there was none. To be left by the same resource. */
int http_kept_join(HttpKept **ret, HttpManager *m, const Resource *r);

/* Returns NULL. The value is forgotten unless another one joins soon. */
HttpKept *http_kept_leave(HttpKept *k);

Value http_kept_get(const HttpKept *k);         /* borrowed */
void http_kept_set(HttpKept *k, Value v);       /* v is copied */

void http_kept_done(HttpManager *m);    /* forgets all; nobody may have joined any more */
