/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The options of programs that install machines: what each is if nothing is said, what is said, and what may not be said. */

#include "tests/daemons/lang/source-test.h"

static char *option(const char *name) {
        char function[128];
        Stage stage;
        Call c = {};

        (void) snprintf(function, sizeof(function), "embedded/provisioner.%s", name);
        stage_start(&stage);
        (void) call_open(&stage, &c, function, NULL);
        char *text = c.text ? strdup(c.text) : NULL;
        CHECK_INT(c.n_said, 1);
        call_close(&c);
        stage_end(&stage);
        return text;
}

TEST(what_is_not_said) {
        static const struct { const char *option, *want; } cases[] = {
                { "check", "false" },
                { "cli_arch", "\"x86_64\"" },
                { "cli_dns", "[]" },
                { "cli_distro", "\"fedora\"" },
                { "cli_firewalld", "true" },
                { "cli_handoff_code", "\"\"" },
                { "cli_ip", "\"192.168.42.13/24\"" },
                { "cli_mac", "\"\"" },
                { "cli_network", "\"192.168.42.0/24\"" },
                { "cli_part", "\"\"" },
                { "cli_password", "catchable: MGMT_PROVISIONER_PASSWORD is not set" },
                { "cli_prefix", "\"/srv/home/.cache/mgmt/provisioner/\"" },
                { "cli_router", "\"192.168.42.1/24\"" },
                { "cli_version", "catchable: MGMT_PROVISIONER_VERSION is not set" },
        };

        (void) setenv("HOME", "/srv/home", 1);
        (void) unsetenv("XDG_CACHE_HOME");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = option(cases[i].option);
                CHECK_STR(got, cases[i].want);
        }
        (void) setenv("XDG_CACHE_HOME", "/srv/cache", 1);
        _cleanup_free_ char *prefix = option("cli_prefix");
        CHECK_STR(prefix, "\"/srv/cache/mgmt/provisioner/\"");
}

TEST(what_is_said) {
        static const struct { const char *option, *variable, *text, *want; } cases[] = {
                { "check", "CHECK", "true", "true" },
                { "check", "CHECK", "", "error: MGMT_PROVISIONER_CHECK must be 'true' or 'false', got ''" },
                { "cli_luks", "LUKS", "0", "false" },
                { "cli_dns", "DNS", "1.1.1.1,8.8.8.8", "[\"1.1.1.1\", \"8.8.8.8\"]" },
                { "cli_dns", "DNS", "1.1.1.1,,8.8.8.8",
                  "error: MGMT_PROVISIONER_DNS must be addresses with commas between them, got '1.1.1.1,,8.8.8.8'" },
                { "cli_packages", "PACKAGES", "vim,gcc-c++", "[\"vim\", \"gcc-c++\"]" },
                { "cli_distro", "DISTRO", "debian", "error: MGMT_PROVISIONER_DISTRO must be 'fedora', got 'debian'" },
                { "cli_flavour", "FLAVOUR", "server",
                  "error: MGMT_PROVISIONER_FLAVOUR must be a name that begins with a capital letter, got 'server'" },
                { "cli_handoff_code", "HANDOFF_CODE", "/dev/null", "\"/dev/null\"" },
                { "cli_handoff_code", "HANDOFF_CODE", "/nowhere",
                  "error: MGMT_PROVISIONER_HANDOFF_CODE must be an absolute path of what there is, got '/nowhere'" },
                { "cli_interface", "INTERFACE", "eth7", "\"eth7\"" },
                { "cli_ip", "IP", "10.0.0.7", "error: MGMT_PROVISIONER_IP must be an address and its prefix, got '10.0.0.7'" },
                { "cli_ip", "IP", "10.0.0.7/33", "error: MGMT_PROVISIONER_IP must be an address and its prefix, got '10.0.0.7/33'" },
                { "cli_mac", "MAC", "AA-bb-CC-dd-EE-ff", "\"aa:bb:cc:dd:ee:ff\"" },
                { "cli_mac", "MAC", "aa:bb", "error: MGMT_PROVISIONER_MAC must be six bytes with colons between them, got 'aa:bb'" },
                { "cli_part", "PART", "btrfs", "\"btrfs\"" },
                { "cli_password", "PASSWORD", "secret", "error: MGMT_PROVISIONER_PASSWORD must be a hash of 106 bytes that begins with $6$" },
                { "cli_prefix", "PREFIX", "/srv", "error: MGMT_PROVISIONER_PREFIX must be an absolute path with a trailing slash, got '/srv'" },
                { "cli_router", "ROUTER", "10.0.0.1/24",
                  "error: MGMT_PROVISIONER_ROUTER must lie in the network '192.168.42.0/24', got '10.0.0.1/24'" },
                { "cli_router", "ROUTER", "192.168.42.200/24", "\"192.168.42.200/24\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char variable[64];

                (void) snprintf(variable, sizeof(variable), "MGMT_PROVISIONER_%s", cases[i].variable);
                (void) setenv(variable, cases[i].text, 1);
                _cleanup_free_ char *got = option(cases[i].option);
                CHECK_STR(got, cases[i].want);
                (void) unsetenv(variable);
        }
}

/* Which there is depends on the machine; but it answers, and has always the same to say. */
TEST(the_interface_is_looked_for) {
        _cleanup_free_ char *got = option("cli_interface"), *again = option("cli_interface");

        CHECK(got && (*got == '"' || startswith(got, "catchable: ")));
        CHECK_STR(got, again);
}

TEST_MAIN()
