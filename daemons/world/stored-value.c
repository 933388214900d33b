/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See stored-value.h. */

#include <errno.h>

#include "daemons/world/stored-value.h"

int stored_value_encode(WireWriter *w, Value v) {
        wire_begin(w, 0);
        wire_put_value(w, v);
        return wire_end(w);
}

int stored_value_decode(const void *data, size_t size, Value *ret) {
        WireReader frame = { .data = data, .size = size }, body = {};
        _cleanup_(value_done) Value v = {};
        WireHeader header = {};
        int r;

        r = wire_next(&frame, &header, &body);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        wire_get_value(&body, &v);
        r = wire_finish(&body);
        if (r < 0)
                return r;
        *ret = value_take(&v);
        return 0;
}
