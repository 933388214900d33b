/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `mgmtctl remote` reads: hosts, endpoints; and the archive that it makes, which tar has to understand. */

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "daemons/mgmtctl/remote-archive.h"
#include "daemons/mgmtctl/remote-script.h"
#include "common/remote/target.h"
#include "daemons/mgmtctl/remote-tunnel.h"
#include "tests/test.h"

TEST(hosts_are_written_in_many_ways) {
        static const struct {
                const char *text, *label, *name, *user, *host;
                unsigned port;
        } cases[] = {
                { "web1", "web1", NULL, NULL, "web1", 0 },
                { "root@web1.example:2222", "web1.example:2222", NULL, "root", "web1.example", 2222 },
                { "ssh://root@web1", "web1", NULL, "root", "web1", 0 },
                { "web1=root@192.0.2.1", "web1", "web1", "root", "192.0.2.1", 0 },
                { "[2001:db8::1]:22", "[2001:db8::1]:22", NULL, NULL, "2001:db8::1", 22 },
                { "[2001:db8::1]", "[2001:db8::1]", NULL, NULL, "2001:db8::1", 0 },
                { "2001:db8::1", "2001:db8::1", NULL, NULL, "2001:db8::1", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(remote_targets_done) RemoteTargets t = {};

                CHECK_INT(remote_targets_parse(&t, cases[i].text, NULL), 0);
                REQUIRE(t.n == 1);
                CHECK_STR(t.items[0].label, cases[i].label);
                CHECK_STR(t.items[0].name, cases[i].name);
                CHECK_STR(t.items[0].user, cases[i].user);
                CHECK_STR(t.items[0].host, cases[i].host);
                CHECK_INT(t.items[0].port, cases[i].port);
        }
}

TEST(what_is_no_host_is_refused) {
        static const char *const cases[] = {
                "", ",", "a,", "a,a", "root@", "=a", "a=", "-oProxyCommand=x", "a:0", "a:65536", "a:22x", "a:", "[::1", "[::1]x", "a b", "a/b", "a;b",
                "root:secret@a", "x y@a", "$(id)", "a@b@c:", "-x=a", "[]",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(remote_targets_done) RemoteTargets t = {};
                _cleanup_(diag_done) Diag d = {};

                if (remote_targets_parse(&t, cases[i], &d) >= 0)
                        TEST_FAIL("'%s' is taken", cases[i]);
                CHECK(d.message);
        }
}

TEST(a_host_is_a_url_as_well) {
        static const struct {
                const char *text, *user, *password, *host;
                unsigned port;
        } cases[] = {
                { "web1", NULL, NULL, "web1", 0 },
                { "ssh://web1:22", NULL, NULL, "web1", 22 },
                { "root:secret@web1", "root", "secret", "web1", 0 },
                { "ssh://root:a:b@c%40@[2001:db8::1]:2222", "root", "a:b@c@", "2001:db8::1", 2222 },
                { "root:@web1", "root", "", "web1", 0 },
                { "root:%zz%4@web1", "root", "%zz%4", "web1", 0 },
                { "root:a://b@web1", "root", "a://b", "web1", 0 },
        };
        static const char *const refused[] = { "", "ssh://", "http://web1", "root@", ":x@web1", "web1/", "x=web1", "root:secret@-x", "a,b" };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *user = NULL, *password = NULL, *host = NULL;
                RemoteAddress a;

                CHECK_INT(remote_address_parse(&a, cases[i].text, NULL), 0);
                user = a.user ? strndup(a.user, a.user_size) : NULL;
                host = strndup(a.host, a.host_size);
                if (a.password)
                        CHECK_INT(remote_address_password(&a, &password), 0);
                CHECK_STR(user, cases[i].user);
                CHECK_STR(password, cases[i].password);
                CHECK_STR(host, cases[i].host);
                CHECK_INT(a.port, cases[i].port);
        }
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                _cleanup_(diag_done) Diag d = {};
                RemoteAddress a;

                if (remote_address_parse(&a, refused[i], &d) >= 0)
                        TEST_FAIL("'%s' is taken", refused[i]);
                if (d.message && strstr(d.message, "secret"))
                        TEST_FAIL("'%s' tells the password", d.message);
        }
}

TEST(endpoints_of_every_host_are_of_no_use_to_another) {
        static const struct {
                const char *store, *direct;
        } cases[] = {
                { "etcd:https://a.example:2379", "etcd:https://a.example:2379" },
                { "etcd:http://127.0.0.1:2379,https://a.example:2379,https://[::1]:1,http://0.0.0.0:1,https://[2001:db8::1]:1,http://localhost",
                  "etcd:https://a.example:2379,https://[2001:db8::1]:1" },
                { "etcd:http://127.1.2.3:2379,http://[::]:2379", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(remote_endpoints_done) RemoteEndpoints e = {};
                _cleanup_free_ char *direct = NULL;

                CHECK_INT(remote_endpoints_parse(&e, cases[i].store, NULL), 0);
                CHECK_INT(remote_store_direct(cases[i].store, &e, &direct), cases[i].direct ? 0 : -ENOENT);
                CHECK_STR(direct, cases[i].direct);
        }
}

TEST(hosts_come_from_files) {
        _cleanup_(remote_targets_done) RemoteTargets t = {}, u = {};
        _cleanup_(diag_done) Diag d = {};
        char directory[] = "/tmp/test-remote.XXXXXX", path[64], word[96];
        static const char good[] = "# ours\n  root@a:1  # first\n\n b\t\r\nc", bad[] = "a\nb c\n";

        REQUIRE(mkdtemp(directory));
        (void) snprintf(path, sizeof(path), "%s/hosts", directory);
        (void) snprintf(word, sizeof(word), "z,@%s", path);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, good, sizeof(good) - 1, 0600, false), 0);
        CHECK_INT(remote_targets_parse(&t, word, &d), 0);
        CHECK_INT((intmax_t) t.n, 4);
        if (t.n == 4) {
                CHECK_STR(t.items[1].label, "a:1");
                CHECK_STR(t.items[2].host, "b");
                CHECK_STR(t.items[3].host, "c");
        }
        CHECK_INT(write_file_atomic_at(AT_FDCWD, path, bad, sizeof(bad) - 1, 0600, false), 0);
        CHECK(remote_targets_parse(&u, word, &d) < 0);
        CHECK_STR(d.pos.file, path);
        CHECK_INT(d.pos.line, 2);
        CHECK_INT(remove_tree(directory), 0);
}

TEST(the_tunnel_leads_to_the_endpoints_alone) {
        _cleanup_(remote_endpoints_done) RemoteEndpoints e = {}, none = {};
        static const char *const there[] = { "a.example:2379", "A.Example:2379", "192.0.2.1:80", "b:443", "[2001:db8::1]:2379" };
        static const char *const not_there[] = { "a.example:2380", "a.exampl:2379", "192.0.2.1:2379", "[2001:db8::2]:2379", "", "b" };
        static const char *const wrong[] = { "etcd:", "etcd:ftp://a", "etcd:http://", "etcd:http://a:0", "etcd:http://a:x", "etcd:http://[::1", "etcd:a" };

        CHECK_INT(remote_endpoints_parse(&e, "etcd:https://a.example:2379,http://192.0.2.1/,https://b,http://[2001:DB8:0::1]:2379", NULL), 0);
        CHECK_INT((intmax_t) e.n, 4);
        for (size_t i = 0; i < ELEMENTSOF(there); i++)
                CHECK(remote_endpoints_find(&e, there[i]));
        for (size_t i = 0; i < ELEMENTSOF(not_there); i++)
                CHECK(!remote_endpoints_find(&e, not_there[i]));
        CHECK_INT(remote_endpoints_parse(&none, "sqlite:", NULL), 0);
        CHECK_INT((intmax_t) none.n, 0);
        CHECK_INT(remote_endpoints_parse(&none, NULL, NULL), 0);
        for (size_t i = 1; i < ELEMENTSOF(wrong); i++) {
                _cleanup_(remote_endpoints_done) RemoteEndpoints w = {};

                if (remote_endpoints_parse(&w, wrong[i], NULL) >= 0)
                        TEST_FAIL("'%s' is taken", wrong[i]);
        }
}

/* Whatever the login shell is, it must see one word and nothing to expand: csh does not take newlines and '!', fish takes '\\' for more. */
TEST(any_login_shell_takes_the_scripts) {
        static const char *const scripts[] = { remote_script, remote_kept_script };

        for (size_t i = 0; i < ELEMENTSOF(scripts); i++) {
                const char *open = strchr(scripts[i], '\''), *close = open ? strchr(open + 1, '\'') : NULL;

                REQUIRE(close);
                CHECK_INT(close[1], '\0');
                CHECK(!strpbrk(scripts[i], "\n!"));
                CHECK(!strstr(scripts[i], "\\\\"));
                CHECK(strlen(scripts[i]) < 4096);
        }
}

TEST(tar_understands_the_archive) {
        _cleanup_(strbuf_done) StrBuf first = {}, second = {};
        char directory[] = "/tmp/test-remote.XXXXXX", command[128], path[512], name[300], big[1500];
        _cleanup_free_ char *content = NULL;
        size_t size = 0;

        REQUIRE(mkdtemp(directory));
        memset(name, 'n', sizeof(name));
        memset(big, 'b', sizeof(big));
        name[100] = name[200] = '/';
        name[250] = '\0';
        archive_add(&first, "run", 0700, "#!/bin/sh\n", 10);
        archive_add(&first, name, 0600, big, sizeof(big));
        archive_add(&second, "credentials/empty", 0600, "", 0);
        archive_end(&second, first.size);
        CHECK(!first.failed && !second.failed);
        CHECK_INT((intmax_t) (first.size + second.size) % 10240, 0);

        (void) snprintf(command, sizeof(command), "umask 077; tar -xomf - -C %s", directory);
        FILE *f = popen(command, "w");
        REQUIRE(f);
        CHECK_INT((intmax_t) fwrite(first.data, 1, first.size, f), (intmax_t) first.size);
        CHECK_INT((intmax_t) fwrite(second.data, 1, second.size, f), (intmax_t) second.size);
        CHECK_INT(pclose(f), 0);

        (void) snprintf(path, sizeof(path), "%s/run", directory);
        CHECK(access(path, X_OK) == 0);
        (void) snprintf(path, sizeof(path), "%s/credentials/empty", directory);
        CHECK(access(path, R_OK) == 0);
        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        CHECK_INT(read_file_at(AT_FDCWD, path, 4096, &content, &size), 0);
        CHECK(size == sizeof(big) && memcmp(content, big, size) == 0);
        CHECK_INT(remove_tree(directory), 0);
}

TEST_MAIN()
