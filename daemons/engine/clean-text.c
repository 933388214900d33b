/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Text from outside, made fit for the bus and for messages. */

#include <errno.h>
#include <string.h>

#include <systemd/sd-bus.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "daemons/engine/clean-text.h"

char *clean_text(const char *s) {
        StrBuf b = {};

        if (!s)
                return NULL;
        for (size_t left = strlen(s); left > 0;) {
                uint32_t c;
                size_t n = utf8_decode(s, left, &c);

                if (b.size > TEXT_MAX - 8) {
                        strbuf_puts(&b, "…");
                        break;
                }
                if (n > 0)
                        strbuf_add(&b, s, n);
                else {
                        strbuf_puts(&b, "\xef\xbf\xbd");
                        n = 1;
                }
                s += n;
                left -= n;
        }
        return strbuf_take(&b);
}

int clean_text_append(sd_bus_message *m, const char *s) {
        _cleanup_free_ char *clean = clean_text(s);

        return s && !clean ? -ENOMEM : sd_bus_message_append(m, "s", clean ?: "");
}
