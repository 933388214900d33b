/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Messages of a bus as JSON. The bus has nobody at its other end. */

#include <sys/socket.h>

#include "common/macro.h"
#include "daemons/http/bus-json.h"
#include "tests/test.h"

static sd_bus_message *new_message(void) {
        static sd_bus *bus;
        sd_bus_message *m;
        int pair[2];

        if (!bus && (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 || sd_bus_new(&bus) < 0 ||
                     sd_bus_set_fd(bus, pair[0], pair[0]) < 0 || sd_bus_start(bus) < 0))
                abort();
        if (sd_bus_message_new_signal(bus, &m, "/a", "a.b", "c") < 0)
                abort();
        return m;
}

#define CHECK_JSON(want, ...) \
        do { \
                sd_bus_message *_m = new_message(); \
                _cleanup_(strbuf_done) StrBuf _b = {}; \
                CHECK(sd_bus_message_append(_m, __VA_ARGS__) >= 0); \
                CHECK(sd_bus_message_seal(_m, 1, 0) >= 0); \
                int _r = bus_json_put(&_b, _m); \
                CHECK(_r >= 0); \
                CHECK_STR(_b.data, want); \
                sd_bus_message_unref(_m); \
        } while (0)

TEST(values) {
        CHECK_JSON("\"a\\u003cb\\u0022\"", "s", "a<b\"");
        CHECK_JSON("true", "b", 1);
        CHECK_JSON("-3", "i", -3);
        CHECK_JSON("18446744073709551615", "t", UINT64_MAX);
        CHECK_JSON("[]", "as", 0);
        CHECK_JSON("[[\"a\",1],[\"b\",2]]", "a(su)", 2, "a", 1u, "b", 2u);
        CHECK_JSON("{\"x\":1,\"y\":[\"z\"]}", "a{sv}", 2, "x", "u", 1u, "y", "as", 1, "z");
        CHECK_JSON("{}", "a{sv}", 0);
        CHECK_JSON("[1,false]", "(yb)", 1, 0);
}

TEST(what_is_none_of_these) {
        sd_bus_message *m = new_message();
        _cleanup_(strbuf_done) StrBuf b = {};

        CHECK(sd_bus_message_append(m, "a{us}d", 1, 1u, "x", 0.5) >= 0);
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        CHECK_INT(bus_json_put(&b, m), -EBADMSG);
        CHECK(sd_bus_message_skip(m, "a{us}") >= 0);
        CHECK_INT(bus_json_put(&b, m), -EBADMSG);
        CHECK(sd_bus_message_skip(m, "d") >= 0);
        CHECK_INT(bus_json_put(&b, m), -EBADMSG);
        sd_bus_message_unref(m);
}

TEST(parts_of_a_list) {
        sd_bus_message *m = new_message();
        _cleanup_(strbuf_done) StrBuf b = {};
        size_t n = 0;

        CHECK(sd_bus_message_append(m, "auauau", 2, 1u, 2u, 0, 1, 3u) >= 0);
        CHECK(sd_bus_message_seal(m, 1, 0) >= 0);
        for (unsigned i = 0; i < 3; i++)
                CHECK(bus_json_put_items(&b, m, &n) >= 0);
        CHECK_STR(b.data, "1,2,3");
        CHECK_INT(n, 3);
        CHECK(bus_json_put_items(&b, m, &n) < 0);
        sd_bus_message_unref(m);
}

TEST_MAIN()
