/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The fields of `remote`, and what can be said of it without another host. The rest is in tests/run/remotekind.py. */

#include "daemons/world/world-manager.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

extern const ResourceType remote_type;

#define KEY "\"AAAAC3NzaC1lZDI1NTE5AAAAIJ7fLmFTbZ2O0Vg9pCqcT0X0Zz8m3m8l9W1b9YyqkQ1z\""

typedef struct Rig {
        TestHost host;
        WorldManager manager;
        sd_event *event;
} Rig;

static void rig_done(Rig *g) {
        testhost_done(&g->host);
        sd_event_unref(g->event);
}

static void rig_init(Rig *g, const char *store) {
        *g = (Rig) { .manager = { .store_uri = (char *) store, .converger_timeout = -1 } };
        CHECK_INT(sd_event_new(&g->event), 0);
        CHECK_INT(testhost_init(&g->host, g->event, &g->manager, NULL), 0);
}

static Resource *make(Rig *g, const char *name, const char *const fields[6]) {
        testhost_forget(&g->host);
        return testhost_resource(&g->host, &remote_type, name, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], NULL);
}

TEST(what_makes_no_sense_is_refused) {
        static const struct {
                const char *name, *fields[6], *says;
        } cases[] = {
                { "https://web1", {}, "remote must be '[ssh://][user[:password]@]host[:port]': the scheme must be 'ssh', got 'https'" },
                { "x", { "remote", "\"root@\"" }, "remote must be" },
                { "x", { "remote", "\"root@web1:0\"" }, "'0' is no port" },
                { "x", { "remote", "\"a b@web1\"" }, "'a b' is no user" },
                { "x", { "remote", "\"web1;reboot\"" }, "remote must be" },
                { "x", { "remote", "\"-oProxyCommand=x\"" }, "remote must be" },
                { "x", { "remote", "\"root:secret@web1\"" }, "allow_cleartext_password" },
                { "root:secret@web1", { "allow_cleartext_password", "true" }, "remote must be given where it has a password" },
                { "web1", { "interactive", "true" }, "interactive must be false" },
                { "web1", { "interactive_timeout", "-1" }, "interactive_timeout must be between 0 and" },
                { "web1", { "interactive_timeout", "9223372036854775807" }, "interactive_timeout must be between 0 and" },
                { "web1", { "max_password_tries", "-1" }, "max_password_tries must not be negative, got '-1'" },
                { "web1", { "hostkey", "\"no key\"" }, "hostkey must be a public key in base64, got 'no key'" },
                { "web1", { "hostkey", "\"AAAA\"" }, "hostkey must be" },
                { "web1", { "ssh_id", "\"\"" }, "ssh_id must not be empty" },
                { "web1", { "state", "\"absent\"" }, "state must be 'running' or 'stopped', got 'absent'" },
                { "web1", { "hostname", "\"a b\"" }, "hostname must be made of" },
                { "web1", { "transient", "false" }, "tunnelled must be false without transient" },
                { "web1", { "transient", "false", "tunnelled", "false", "converger_timeout", "5" }, "converger_timeout must not be given" },
                { "web1", { "converger_timeout", "99999999999" }, "converger_timeout must be at most" },
                { "web1", { "tunnel_addr", "\"\"" }, "tunnel_addr must be 'host:port', got ''" },
                { "web1", { "tunnel_addr", "\"127.0.0.1\"" }, "tunnel_addr must be" },
                { "web1", { "tunnel_addr", "\"127.0.0.1:x\"" }, "tunnel_addr must be" },
                { "web1", { "tunnel_addr", "\"127.0.0.1:65536\"" }, "tunnel_addr must be" },
                { "web1", { "tunnel_addr", "\"::1:22\"" }, "tunnel_addr must be" },
        };
        _cleanup_(rig_done) Rig g;

        rig_init(&g, "sqlite:");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Resource *r = make(&g, cases[i].name, cases[i].fields);

                if (r || !g.host.diag.message || !strstr(g.host.diag.message, cases[i].says))
                        TEST_FAIL("case %zu says '%s', not '%s'", i, r ? "nothing" : g.host.diag.message ?: "", cases[i].says);
                if (g.host.diag.message && strstr(g.host.diag.message, "secret"))
                        TEST_FAIL("case %zu tells the password: '%s'", i, g.host.diag.message);
                testhost_free(r);
        }
}

TEST(what_makes_sense_is_taken) {
        static const struct {
                const char *name, *fields[6];
        } cases[] = {
                { "web1", {} },
                { "ssh://root@[2001:db8::1]:22", {} },
                { "x", { "remote", "\"root:p%40ss@web1\"", "allow_cleartext_password", "true", "ssh_id", "\"\"" } },
                { "web1", { "hostkey", KEY } },
                { "web1", { "transient", "false", "tunnelled", "false" } },
                { "web1", { "tunnel_addr", "\"[::1]:0\"", "converger_timeout", "-1" } },
                { "web1", { "tunnel_addr", "\":2379\"", "ssh_id", "\"~/.ssh/id_ed25519\"" } },
                { "web1", { "interactive_timeout", "60", "max_password_tries", "3" } },
        };
        _cleanup_(rig_done) Rig g;

        rig_init(&g, "sqlite:");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Resource *r = make(&g, cases[i].name, cases[i].fields);

                if (!r)
                        TEST_FAIL("case %zu is refused: %s", i, g.host.diag.message);
                testhost_free(r);
        }
}

TEST(what_is_written_in_other_words_is_the_same) {
        static const struct {
                const char *a[6], *b[6], *differs;
        } cases[] = {
                { { "remote", "\"web1\"" }, { "remote", "\"ssh://root@web1:22\"" }, NULL },
                { { "remote", "\"web1\"" }, { "remote", "\"admin@web1\"" }, "remote" },
                { { "remote", "\"web1\"" }, { "remote", "\"web1:2222\"" }, "remote" },
                { { "remote", "\"web1\"" }, { "remote", "\"web2\"" }, "remote" },
                { { "remote", "\"root:a@web1\"", "allow_cleartext_password", "true" },
                  { "remote", "\"root:b@web1\"", "allow_cleartext_password", "true" }, "remote" },
                { { "remote", "\"root:%61@web1\"", "allow_cleartext_password", "true" },
                  { "remote", "\"root:a@web1\"", "allow_cleartext_password", "true" }, NULL },
                { { "remote", "\"web1\"" }, { "remote", "\"web1\"", "caching", "false" }, "caching" },
                { { "remote", "\"web1\"" }, { "remote", "\"web1\"", "state", "\"stopped\"" }, "state" },
                { { "remote", "\"web1\"" }, { "remote", "\"web1\"", "converger_timeout", "0" }, "converger_timeout" },
                { { "remote", "\"web1\"", "ssh_id", "\"/a\"" }, { "remote", "\"web1\"" }, "ssh_id" },
        };
        _cleanup_(rig_done) Rig g;

        rig_init(&g, "sqlite:");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Resource *a = make(&g, "x", cases[i].a), *b = make(&g, "x", cases[i].b);
                const char *field = NULL;

                REQUIRE(a && b);
                if (remote_type.equal(a, b, &field) == (cases[i].differs != NULL))
                        TEST_FAIL("case %zu: differs in '%s', not '%s'", i, field ?: "nothing", cases[i].differs ?: "nothing");
                CHECK_STR(field, cases[i].differs);
                testhost_free(a);
                testhost_free(b);
        }
}

TEST(without_a_cluster_there_is_nothing_to_be_part_of) {
        _cleanup_(rig_done) Rig g;

        rig_init(&g, "sqlite:/x");
        Resource *r = make(&g, "web1", (const char *const [6]) {});
        REQUIRE(r);
        CHECK_INT(testhost_watch(&g.host, r), 0);
        CHECK_INT(testhost_check(&g.host, r, true), -ENOENT);
        CHECK(strstr(g.host.diag.message, "MGMT_STORE"));
        testhost_free(r);
}

TEST(noop_says_what_would_be_run) {
        _cleanup_(rig_done) Rig g;

        rig_init(&g, "etcd:https://a.example:2379");
        Resource *r = make(&g, "web1", (const char *const [6]) {});
        REQUIRE(r);
        CHECK_INT(testhost_watch(&g.host, r), 0);
        CHECK_INT(testhost_check(&g.host, r, false), CHECK_CHANGED);
        CHECK_STR(g.host.differences.data, "state: stopped -> running\n");
        testhost_free(r);
}

TEST_MAIN()
