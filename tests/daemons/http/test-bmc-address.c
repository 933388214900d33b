/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where a BMC is, from the name of a resource, and what it speaks. */

#include "daemons/http/bmc-address.h"
#include "tests/test.h"

TEST(a_name_may_say_where_a_bmc_is) {
        static const struct {
                const char *text;
                int result;
                const char *driver, *user, *password, *host;
                uint16_t port;
        } cases[] = {
                { "rack 7", 0, "", "", "", "", 0 },
                { "", 0, "", "", "", "", 0 },
                { "redfish://h", 0, "redfish", "", "", "h", 0 },
                { "redfish://h/", 0, "redfish", "", "", "h", 0 },
                { "gofishs://admin@h:8443", 0, "gofishs", "admin", "", "h", 8443 },
                { "rpc://a:b:c@10.0.0.1:1", 0, "rpc", "a", "b:c", "10.0.0.1", 1 },
                { "rpc://a@b:p@ss@h", 0, "rpc", "a@b", "p@ss", "h", 0 },
                { "rpc://a%40b:%2f%3A@h", 0, "rpc", "a@b", "/:", "h", 0 },
                { "rpc://:@[fd00::1]:65535", 0, "rpc", "", "", "fd00::1", 65535 },
                { "rpc://[fd00::1]", 0, "rpc", "", "", "fd00::1", 0 },
                { "://", 0, "", "", "", "", 0 },
                { .text = "rpc://h/path", .result = -EINVAL },
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
                BmcAddress a = {};
                int r = bmc_address_parse(cases[i].text, &a);

                if (r != cases[i].result)
                        TEST_FAIL("'%s': %d", cases[i].text, r);
                if (r < 0)
                        continue;
                CHECK_STR(a.driver, cases[i].driver);
                CHECK_STR(a.user, cases[i].user);
                CHECK_STR(a.password, cases[i].password);
                CHECK_STR(a.host, cases[i].host);
                CHECK_INT(a.port, cases[i].port);
                bmc_address_done(&a);
        }
}

TEST(drivers_have_names) {
        static const struct {
                const char *name;
                int result;
                BmcProtocol protocol;
                bool tls;
        } cases[] = {
                { "redfish", 0, BMC_REDFISH, false },
                { "redfishs", 0, BMC_REDFISH, true },
                { "gofish", 0, BMC_REDFISH, false },
                { "gofishs", 0, BMC_REDFISH, true },
                { "rpc", 0, BMC_RPC, false },
                { "rpcs", 0, BMC_RPC, true },
                { .name = "", .result = -EINVAL },
                { .name = "rpcss", .result = -EINVAL },
                { .name = "RPC", .result = -EINVAL },
                { .name = "https", .result = -EINVAL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                BmcProtocol protocol = BMC_REDFISH;
                bool tls = false;

                if (bmc_driver_parse(cases[i].name, &protocol, &tls) != cases[i].result)
                        TEST_FAIL("'%s'", cases[i].name);
                CHECK_INT(protocol, cases[i].protocol);
                CHECK_INT(tls, cases[i].tls);
        }
}

TEST_MAIN()
