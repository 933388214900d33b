/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where a service is, from the name of a resource. */

#include "daemons/http/service-address.h"
#include "tests/test.h"

TEST(a_name_may_say_where_a_service_is) {
        static const struct {
                const char *text;
                int result;
                const char *driver, *user, *password, *host;
                uint16_t port;
                const char *path;
        } cases[] = {
                { "rack 7", 0, "", "", "", "", 0, "" },
                { "", 0, "", "", "", "", 0, "" },
                { "redfish://h", 0, "redfish", "", "", "h", 0, "" },
                { "redfish://h/", 0, "redfish", "", "", "h", 0, "/" },
                { "gofishs://admin@h:8443", 0, "gofishs", "admin", "", "h", 8443, "" },
                { "rpc://a:b:c@10.0.0.1:1", 0, "rpc", "a", "b:c", "10.0.0.1", 1, "" },
                { "rpc://a@b:p@ss@h", 0, "rpc", "a@b", "p@ss", "h", 0, "" },
                { "rpc://a%40b:%2f%3A@h", 0, "rpc", "a@b", "/:", "h", 0, "" },
                { "rpc://:@[fd00::1]:65535", 0, "rpc", "", "", "fd00::1", 65535, "" },
                { "rpc://[fd00::1]", 0, "rpc", "", "", "fd00::1", 0, "" },
                { "://", 0, "", "", "", "", 0, "" },
                { "http://h:8500/a/b%2Fc%3f//", 0, "http", "", "", "h", 8500, "/a/b/c?//" },
                { "http://u@[::1]/k@x:y", 0, "http", "u", "", "::1", 0, "/k@x:y" },
                { .text = "http://h/a?b", .result = -EINVAL },
                { .text = "http://h/a#b", .result = -EINVAL },
                { .text = "http://h/a%00b", .result = -EINVAL },
                { .text = "http://h/a%", .result = -EINVAL },
                { .text = "rpc://h?q", .result = -EINVAL },
                { .text = "rpc://h#f", .result = -EINVAL },
                { .text = "rpc://h:", .result = -EINVAL },
                { .text = "rpc://h:0", .result = -EINVAL },
                { .text = "rpc://h:65536", .result = -EINVAL },
                { .text = "rpc://h:99999999999999999999", .result = -EINVAL },
                { .text = "rpc://h:8x", .result = -EINVAL },
                { .text = "rpc://[fd00::1", .result = -EINVAL },
                { .text = "rpc://[fd00::1]8", .result = -EINVAL },
                { .text = "rpc://fd00::1", .result = -EINVAL },
                { .text = "rpc://a%zz@h", .result = -EINVAL },
                { .text = "rpc://a%00b@h", .result = -EINVAL },
                { .text = "rpc://a%4@h", .result = -EINVAL },
                { .text = "rpc://h%", .result = -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ServiceAddress a = {};
                int r = service_address_parse(cases[i].text, &a);

                if (r != cases[i].result)
                        TEST_FAIL("'%s': %d", cases[i].text, r);
                if (r < 0)
                        continue;
                CHECK_STR(a.driver, cases[i].driver);
                CHECK_STR(a.user, cases[i].user);
                CHECK_STR(a.password, cases[i].password);
                CHECK_STR(a.host, cases[i].host);
                CHECK_INT(a.port, cases[i].port);
                CHECK_STR(a.path, cases[i].path);
                service_address_done(&a);
        }
}

TEST(hosts_are_names_or_addresses) {
        static const char *const good[] = { "h", "a.example.com", "10.0.0.1", "fd00::1" };
        static const char *const bad[] = { "", "a/b", "a?b", "a#b", "a@b", "[::1]", "fe80::1%eth0", "a b", "a\r\nb", "a\\b", "\x7f", "\xc3\xa4" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!service_host_is_valid(good[i]))
                        TEST_FAIL("'%s'", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (service_host_is_valid(bad[i]))
                        TEST_FAIL("'%s'", bad[i]);
}

TEST(urls_are_put_together) {
        static const struct {
                const char *host;
                long long port;
                const char *url;
        } cases[] = { { "h", 0, "http://h" }, { "h", 80, "http://h:80" }, { "fd00::1", 0, "http://[fd00::1]" },
                      { "fd00::1", 65535, "http://[fd00::1]:65535" } };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *url = service_base_url("http", cases[i].host, cases[i].port);
                CHECK_STR(url, cases[i].url);
        }
}

TEST_MAIN()
