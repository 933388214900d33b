/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <inttypes.h>

#include "daemons/http/bus-json.h"
#include "daemons/http/markup.h"

static int put_text(StrBuf *b, sd_bus_message *m, char type) {
        const char *s;
        int r = sd_bus_message_read_basic(m, type, &s);

        if (r > 0)
                markup_json(b, s);
        return r;
}

static int put_number(StrBuf *b, sd_bus_message *m, char type) {
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v;
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r <= 0)
                return r;
        switch (type) {
        case 'y':
                strbuf_printf(b, "%u", v.y);
                break;
        case 'n':
                strbuf_printf(b, "%d", v.n);
                break;
        case 'q':
                strbuf_printf(b, "%u", v.q);
                break;
        case 'i':
                strbuf_printf(b, "%" PRId32, v.i);
                break;
        case 'u':
                strbuf_printf(b, "%" PRIu32, v.u);
                break;
        case 'x':
                strbuf_printf(b, "%" PRId64, v.x);
                break;
        default:
                strbuf_printf(b, "%" PRIu64, v.t);
        }
        return r;
}

static int put_boolean(StrBuf *b, sd_bus_message *m) {
        int v, r = sd_bus_message_read_basic(m, 'b', &v);

        if (r > 0)
                strbuf_puts(b, v ? "true" : "false");
        return r;
}

static int put_pair(StrBuf *b, sd_bus_message *m, const char *contents) {
        int r = sd_bus_message_enter_container(m, 'e', contents);

        if (r <= 0)
                return r;
        r = put_text(b, m, 's');
        strbuf_putc(b, ':');
        if (r > 0)
                r = bus_json_put(b, m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : 1;
}

/* What is in a container that was entered: 0 at its end. */
static int put_contents(StrBuf *b, sd_bus_message *m, size_t *n) {
        const char *contents;
        char type;
        int r;

        while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                if ((*n)++ > 0)
                        strbuf_putc(b, ',');
                r = type == 'e' ? put_pair(b, m, contents) : bus_json_put(b, m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int put_container(StrBuf *b, sd_bus_message *m, char type, const char *contents) {
        bool is_object = type == 'a' && contents[0] == '{';
        size_t n = 0;
        int r;

        if (is_object && contents[1] != 's' && contents[1] != 'o')
                return -EBADMSG;
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type != 'v')
                strbuf_putc(b, is_object ? '{' : '[');
        r = put_contents(b, m, &n);
        if (type != 'v')
                strbuf_putc(b, is_object ? '}' : ']');
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int bus_json_put(StrBuf *b, sd_bus_message *m) {
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        switch (type) {
        case 's':
        case 'o':
        case 'g':
                return put_text(b, m, type);
        case 'b':
                return put_boolean(b, m);
        case 'a':
        case 'r':
        case 'v':
                return put_container(b, m, type, contents);
        case 'y':
        case 'n':
        case 'q':
        case 'i':
        case 'u':
        case 'x':
        case 't':
                return put_number(b, m, type);
        default:
                return -EBADMSG;
        }
}

int bus_json_put_items(StrBuf *b, sd_bus_message *m, size_t *n) {
        const char *contents;
        char type;
        int r = sd_bus_message_peek_type(m, &type, &contents);

        if (r < 0 || (r > 0 && type != 'a'))
                return r < 0 ? r : -EBADMSG;
        r = sd_bus_message_enter_container(m, 'a', contents);
        if (r >= 0)
                r = put_contents(b, m, n);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
