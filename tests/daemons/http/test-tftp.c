/* SPDX-License-Identifier: GPL-3.0-or-later */

/* tftp:server and tftp:file through their ResourceTypes, asked over real sockets; and the packets by themselves. */

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "daemons/http/tftp-packet.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

/* ---- packets ---- */

TEST(requests) {
#define P(text) text, sizeof(text)      /* with the last NUL */
        static const struct {
                const char *packet;
                size_t size;
                int result;
                const char *filename;
                bool write, netascii, has_size;
                unsigned block_size, timeout;
        } cases[] = {
                { P("\0\1name\0octet"), 0, "name", false, false, false, 512, 0 },
                { P("\0\1name\0NetASCII"), 0, "name", false, true, false, 512, 0 },
                { P("\0\2name\0octet"), 0, "name", true, false, false, 512, 0 },
                { P("\0\1/a b\0octet\0tsize\0000\0blksize\0001428\0timeout\0007"), 0, "/a b", false, false, true, 1428, 7 },
                { P("\0\1n\0netascii\0tsize\0000"), 0, "n", false, true, false, 512, 0 },
                { P("\0\1n\0octet\0BLKSIZE\0008"), 0, "n", false, false, false, 8, 0 },
                { P("\0\1n\0octet\0blksize\0007"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0blksize\00065535"), 0, "n", false, false, false, 65464, 0 },
                { P("\0\1n\0octet\0blksize\00065536"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0blksize\00099999999999999999999"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0blksize\000-8"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0blksize\0001024\0blksize\000600"), 0, "n", false, false, false, 1024, 0 },
                { P("\0\1n\0octet\0timeout\0000"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0timeout\000256"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0octet\0windowsize\0004\0tsize\0000"), 0, "n", false, false, true, 512, 0 },
                { P("\0\1n\0octet\0tsize"), 0, "n", false, false, false, 512, 0 },
                { P("\0\1n\0mail"), -EPROTONOSUPPORT, "", false, false, false, 0, 0 },
                { P("\0\1\0octet"), -EBADMSG, "", false, false, false, 0, 0 },
                { P("\0\1n"), -EBADMSG, "", false, false, false, 0, 0 },
                { "\0\1n\0octet", 8, -EBADMSG, "", false, false, false, 0, 0 },
                { P("\0\3n\0octet"), -EBADMSG, "", false, false, false, 0, 0 },
                { P("\1\1n\0octet"), -EBADMSG, "", false, false, false, 0, 0 },
                { "\0\1", 2, -EBADMSG, "", false, false, false, 0, 0 },
                { "\0", 1, -EBADMSG, "", false, false, false, 0, 0 },
                { "", 0, -EBADMSG, "", false, false, false, 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unsigned before = test_failures;
                TftpRequest q;
                int r = tftp_request_parse((const uint8_t *) cases[i].packet, cases[i].size, &q);
                CHECK_INT(r, cases[i].result);
                if (r == 0 && cases[i].result == 0) {
                        CHECK_STR(q.filename, cases[i].filename);
                        CHECK(q.write == cases[i].write && q.netascii == cases[i].netascii && q.has_size == cases[i].has_size);
                        CHECK_INT(q.block_size, cases[i].block_size);
                        CHECK_INT(q.timeout_sec, cases[i].timeout);
                }
                if (test_failures > before)
                        printf("# case %zu\n", i);
        }
}

/* ---- a server and a client ---- */

static char folder[64];

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
        unsigned port;
        int fd;                         /* the client's */
        struct sockaddr_in peer;        /* who answered it last */
        uint8_t packet[70000];
        ssize_t size;
} Fixture;

static const ResourceType *kind(const char *name) {
        return resource_type_find(http_kinds, name);
}

static const char *quoted(const char *format, ...) _printf_(1, 2);
static const char *quoted(const char *format, ...) {
        static char texts[8][256];
        static unsigned i;
        va_list ap;
        char *text = texts[i++ % 8];
        size_t n;

        text[0] = '"';
        va_start(ap, format);
        (void) vsnprintf(text + 1, sizeof(texts[0]) - 2, format, ap);
        va_end(ap);
        n = strlen(text);
        text[n] = '"';
        text[n + 1] = '\0';
        return text;
}

static void put(const char *name, const char *data, size_t size) {
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        REQUIRE(write_file_atomic_at(AT_FDCWD, path, data, size, 0644, false) >= 0);
}

static void make_folder(void) {
        char template[] = "/tmp/test-tftp-XXXXXX", path[128];

        REQUIRE(mkdtemp(template));
        (void) snprintf(folder, sizeof(folder), "%s", template);
        (void) snprintf(path, sizeof(path), "%s/root", folder);
        REQUIRE(mkdir(path, 0755) >= 0);
        (void) snprintf(path, sizeof(path), "%s/root/sub", folder);
        REQUIRE(mkdir(path, 0755) >= 0);
        put("secret", "secret", 6);
        put("root/file", "below", 5);
        put("root/sub/deep", "deep", 4);
        (void) snprintf(path, sizeof(path), "%s/root/up", folder);
        REQUIRE(symlink("../secret", path) >= 0);
        (void) snprintf(path, sizeof(path), "%s/root/passwd", folder);
        REQUIRE(symlink("/etc/passwd", path) >= 0);
}

static int client_socket(void) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        CHECK(fd >= 0 && bind(fd, (struct sockaddr *) &a, sizeof(a)) >= 0);
        return fd;
}

/* Ours alone, and none that the kernel gives to whoever asks for any. */
static unsigned own_port(void) {
        return 10000 + (unsigned) getpid() % 20000;
}

static void setup(Fixture *f) {
        *f = (Fixture) { .fd = -EBADF };
        if (!folder[0])
                make_folder();
        REQUIRE(sd_event_new(&f->event) >= 0 && http_manager_init(&f->manager, f->event) >= 0 &&
                testhost_init(&f->host, f->event, &f->manager, NULL) >= 0);
        f->port = own_port();
        f->fd = client_socket();
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
        (void) close(f->fd);
}

#define FIXTURE(f) \
        __attribute__((__cleanup__(teardown))) Fixture f; \
        setup(&f)

static Resource *make_file(Fixture *f, const char *name, const char *field, const char *text) {
        Resource *r = testhost_resource(&f->host, kind("tftp:file"), name, field, text, NULL);

        if (!r)
                TEST_FAIL("%s: %s", name, f->host.diag.message);
        return r;
}

static void make_server(Fixture *f, const char *root, Resource **files, size_t n) {
        f->server = testhost_resource(&f->host, kind("tftp:server"), "t", "address", quoted("127.0.0.1:%u", f->port), "root", root,
                                      "timeout", "1", NULL);
        REQUIRE(f->server);
        for (size_t i = 0; i < n; i++)
                REQUIRE(resource_add_child(f->server, files[i]) >= 0);
        CHECK_INT(testhost_watch(&f->host, f->server), 0);
}

static void serve(Fixture *f, const char *root, Resource **files, size_t n) {
        make_server(f, root, files, n);
        CHECK_INT(testhost_check(&f->host, f->server, true), CHECK_OK);
}

static void send_to(Fixture *f, unsigned port, const void *packet, size_t size) {
        const struct sockaddr_in to = {
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t) port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };

        CHECK_INT(sendto(f->fd, packet, size, 0, (const struct sockaddr *) &to, sizeof(to)), size);
}

static bool arrived(void *userdata) {
        Fixture *f = userdata;
        socklen_t n = sizeof(f->peer);

        f->size = recvfrom(f->fd, f->packet, sizeof(f->packet), MSG_DONTWAIT, (struct sockaddr *) &f->peer, &n);
        return f->size >= 0;
}

/* Whether a packet came. */
static bool receive(Fixture *f, unsigned milliseconds) {
        f->size = -1;
        return testhost_until(&f->host, arrived, f, milliseconds);
}

static unsigned opcode(const Fixture *f) {
        return f->size >= 4 ? f->packet[1] : 0;
}

static unsigned number(const Fixture *f) {
        return f->size >= 4 ? (unsigned) (f->packet[2] << 8 | f->packet[3]) : 0;
}

/* Options as "name\0value\0…", with a NUL of the literal at the end. */
#define ASK(f, name, mode, options) ask((f), "\0\1" name "\0" mode "\0" options, sizeof("\0\1" name "\0" mode "\0" options) - 1)
static void ask(Fixture *f, const char *request, size_t size) {
        send_to(f, f->port, request, size);
        CHECK(receive(f, PATIENCE_MSEC));
}

static void acknowledge(Fixture *f, unsigned block) {
        const uint8_t packet[4] = { 0, TFTP_ACK, (uint8_t) (block >> 8), (uint8_t) block };

        send_to(f, ntohs(f->peer.sin_port), packet, sizeof(packet));
}

/* Takes the file whose first block, or options, just came; its size. */
static size_t take_file(Fixture *f, size_t block_size, char *ret, size_t room) {
        size_t n = 0;

        if (opcode(f) == TFTP_OPTIONS) {
                acknowledge(f, 0);
                CHECK(receive(f, PATIENCE_MSEC));
        }
        for (unsigned block = 1; opcode(f) == TFTP_DATA; block++) {
                size_t size = (size_t) f->size - 4;
                CHECK_INT(number(f), block & 0xffff);
                if (n + size > room)
                        break;
                memcpy(ret + n, f->packet + 4, size);
                n += size;
                acknowledge(f, block & 0xffff);
                if (size < block_size)
                        return n;
                if (!receive(f, PATIENCE_MSEC))
                        break;
        }
        TEST_FAIL("the file does not end: packet %u, %u", opcode(f), number(f));
        return n;
}

#define CHECK_ERROR(f, code) \
        do { \
                CHECK_INT(opcode(f), TFTP_ERROR); \
                CHECK_INT(number(f), code); \
        } while (0)

TEST(files) {
        static const size_t sizes[] = { 0, 1, 511, 512, 513, 1024, 5000 };
        static char text[5001], got[6000];
        FIXTURE(f);

        memset(text, 'x', 5000);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                put("f", text, sizes[i]);
                Resource *files[] = { make_file(&f, "name", "path", quoted("%s/f", folder)) };
                serve(&f, "\"\"", files, 1);
                ASK(&f, "name", "octet", "");
                CHECK(ntohs(f.peer.sin_port) != f.port);
                CHECK_INT(take_file(&f, 512, got, sizeof(got)), sizes[i]);
                CHECK(memcmp(got, text, sizes[i]) == 0);
                testhost_free(f.server);
                f.server = NULL;
        }
}

TEST(names) {
        static char got[100];
        FIXTURE(f);
        Resource *files[] = { make_file(&f, "a", "data", "\"first\""), make_file(&f, "b", "filename", "\"/a\""),
                              make_file(&f, "c", "filename", "\"a\"") };

        serve(&f, quoted("%s/root/", folder), files, 3);
        ASK(&f, "a", "octet", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), 5);
        ASK(&f, "/a", "octet", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), 0);
        ASK(&f, "file", "OCTET", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), 5);
        ASK(&f, "/sub/deep", "octet", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), 4);
        ASK(&f, "sub/../file", "octet", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), 5);
}

TEST(what_nobody_gets) {
        static const char *const names[] = { "A", "nothing", "../secret", "/../secret", "sub/../../secret", "up", "passwd", "sub", "sub/", "/",
                                             "//", ".", "/etc/passwd" };
        FIXTURE(f);
        Resource *files[] = { make_file(&f, "a", "data", "\"x\"") };

        serve(&f, quoted("%s/root/", folder), files, 1);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char request[64] = "\0\1";
                size_t n = strlen(names[i]);
                memcpy(request + 2, names[i], n + 1);
                memcpy(request + 3 + n, "octet", 6);
                ask(&f, request, 9 + n);
                CHECK_ERROR(&f, TFTP_ERROR_NOT_FOUND);
                if (opcode(&f) != TFTP_ERROR)
                        printf("# '%s'\n", names[i]);
        }
        ask(&f, "\0\2a\0octet", 10);
        CHECK_ERROR(&f, TFTP_ERROR_ILLEGAL);
        ASK(&f, "a", "mail", "");
        CHECK_ERROR(&f, TFTP_ERROR_ILLEGAL);
        send_to(&f, f.port, "\0\1a", 4);
        send_to(&f, f.port, "x", 1);
        send_to(&f, f.port, "", 0);
        CHECK(!receive(&f, 50));
}

TEST(a_file_that_went_away) {
        char path[100];
        FIXTURE(f);

        put("gone", "x", 1);
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/gone", folder)) };
        serve(&f, "\"\"", files, 1);
        (void) snprintf(path, sizeof(path), "%s/gone", folder);
        CHECK_INT(unlink(path), 0);
        ASK(&f, "a", "octet", "");
        CHECK_ERROR(&f, TFTP_ERROR_OTHER);
        CHECK_INT(testhost_check(&f.host, f.server, true), -ENOENT);
}

TEST(options) {
        enum { SIZE = 100000 };
        static char text[SIZE], got[SIZE + 1];
        static const char granted[] = "\0\6blksize\0001400\0timeout\0003\0tsize\000100000";
        FIXTURE(f);

        memset(text, 'y', SIZE);
        put("f", text, SIZE);
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, "\"\"", files, 1);
        ASK(&f, "a", "octet", "tsize\0000\0nonsense\0001\0blksize\0001400\0timeout\0003\0");
        CHECK_INT(f.size, sizeof(granted));
        CHECK(f.size == sizeof(granted) && memcmp(f.packet, granted, sizeof(granted)) == 0);
        CHECK_INT(take_file(&f, 1400, got, sizeof(got)), SIZE);
        CHECK(memcmp(got, text, SIZE) == 0);
        ASK(&f, "a", "octet", "nonsense\0001\0");
        CHECK_INT(opcode(&f), TFTP_DATA);
        CHECK_INT(f.size, 516);
}

/* Blocks are counted beyond 65535 from 0 on. */
TEST(many_blocks) {
        enum { SIZE = 8 * 65600 };
        static char text[SIZE], got[SIZE + 1];
        FIXTURE(f);

        for (size_t i = 0; i < SIZE; i++)
                text[i] = (char) (i / 8);
        put("f", text, SIZE);
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, "\"\"", files, 1);
        ASK(&f, "a", "octet", "blksize\0008\0");
        CHECK_INT(take_file(&f, 8, got, sizeof(got)), SIZE);
        CHECK(memcmp(got, text, SIZE) == 0);
}

TEST(netascii) {
        static char text[3000], want[7000], got[7000];
        size_t n = 0;
        FIXTURE(f);

        for (size_t i = 0; i < sizeof(text); i++) {
                text[i] = "a\n\r\nb\0"[i * 7 % 6];
                want[n++] = text[i] == '\n' || text[i] == '\r' ? '\r' : text[i];
                if (text[i] == '\n' || text[i] == '\r')
                        want[n++] = text[i] == '\n' ? '\n' : '\0';
        }
        put("f", text, sizeof(text));
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, "\"\"", files, 1);
        ASK(&f, "a", "netascii", "");
        CHECK_INT(take_file(&f, 512, got, sizeof(got)), n);
        CHECK(memcmp(got, want, n) == 0);
        ASK(&f, "a", "netascii", "blksize\0009\0tsize\0000\0");
        CHECK_INT(f.size, sizeof("\0\6blksize\0009"));
        CHECK_INT(take_file(&f, 9, got, sizeof(got)), n);
        CHECK(memcmp(got, want, n) == 0);
}

TEST(what_is_lost_comes_again) {
        static const char text[600];
        FIXTURE(f);

        put("f", text, sizeof(text));
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, "\"\"", files, 1);
        ASK(&f, "a", "octet", "");
        CHECK_INT(number(&f), 1);
        CHECK(receive(&f, PATIENCE_MSEC));                       /* after a second */
        CHECK_INT(opcode(&f), TFTP_DATA);
        CHECK_INT(number(&f), 1);
        acknowledge(&f, 0);                             /* not of this one */
        acknowledge(&f, 2);
        CHECK(!receive(&f, 50));
        acknowledge(&f, 1);
        CHECK(receive(&f, PATIENCE_MSEC));
        CHECK_INT(number(&f), 2);
        CHECK(f.size < 516);
        acknowledge(&f, 1);                             /* again; nothing is sent twice for that */
        CHECK(!receive(&f, 50));
        acknowledge(&f, 2);
        CHECK(!receive(&f, 1200));                      /* and it is over */
}

TEST(requests_that_come_twice) {
        static const char text[600];
        FIXTURE(f);

        put("f", text, sizeof(text));
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, "\"\"", files, 1);
        ASK(&f, "a", "octet", "");
        send_to(&f, f.port, "\0\1a\0octet", 10);
        CHECK(!receive(&f, 50));
        acknowledge(&f, 1);
        CHECK(receive(&f, PATIENCE_MSEC));
        CHECK_INT(number(&f), 2);
        acknowledge(&f, 2);
        ASK(&f, "a", "octet", "");
        CHECK_INT(opcode(&f), TFTP_DATA);
        send_to(&f, ntohs(f.peer.sin_port), "\0\5\0\0bye", 8);
        CHECK(!receive(&f, 1200));
}

/* A file of the root is there under as many names as there may be slashes before it. */
TEST(who_is_silent_makes_room) {
        enum { TRANSFERS_MAX = 256 };
        static const char text[600], end[] = "file\0octet\0timeout\00060";
        char request[2 + TRANSFERS_MAX + sizeof(end)] = "\0\1";
        FIXTURE(f);

        put("f", text, sizeof(text));
        Resource *files[] = { make_file(&f, "a", "path", quoted("%s/f", folder)) };
        serve(&f, quoted("%s/root/", folder), files, 1);
        ASK(&f, "a", "octet", "timeout\00060\0");
        CHECK_INT(opcode(&f), TFTP_OPTIONS);
        acknowledge(&f, 0);
        CHECK(receive(&f, PATIENCE_MSEC));
        CHECK_INT(number(&f), 1);
        struct sockaddr_in first = f.peer;
        memset(request + 2, '/', TRANSFERS_MAX);
        for (size_t i = 0; i < TRANSFERS_MAX; i++) {
                memcpy(request + 2 + i, end, sizeof(end));
                ask(&f, request, 2 + i + sizeof(end));
                CHECK_INT(opcode(&f), TFTP_OPTIONS);
                request[2 + i] = '/';
        }
        f.peer = first;                                 /* which is not silent */
        acknowledge(&f, 1);
        CHECK(receive(&f, PATIENCE_MSEC));
        CHECK_INT(opcode(&f), TFTP_DATA);
        CHECK_INT(number(&f), 2);
}

TEST(nobody_is_served_before_all_is_right) {
        FIXTURE(f);
        char root[100];

        (void) snprintf(root, sizeof(root), "%s/later", folder);
        Resource *files[] = { make_file(&f, "a", "data", "\"x\"") };
        make_server(&f, quoted("%s/", root), files, 1);
        send_to(&f, f.port, "\0\1a\0octet", 10);
        CHECK(!receive(&f, 50));
        CHECK_INT(testhost_check(&f.host, f.server, true), -ENOENT);
        send_to(&f, f.port, "\0\1a\0octet", 10);
        CHECK(!receive(&f, 50));
        REQUIRE(mkdir(root, 0755) >= 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);
        CHECK(!receive(&f, 50));                        /* what was asked before is not answered */
        ASK(&f, "a", "octet", "");
        CHECK_INT(opcode(&f), TFTP_DATA);
        testhost_unwatch(f.server);                     /* ends what is under way */
        CHECK(!receive(&f, 1200));
}

TEST(an_address_that_cannot_be_had) {
        FIXTURE(f);
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) f.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        REQUIRE(bind(fd, (struct sockaddr *) &a, sizeof(a)) >= 0);
        f.server = testhost_resource(&f.host, kind("tftp:server"), "t", "address", quoted("127.0.0.1:%u", f.port), NULL);
        REQUIRE(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), -EADDRINUSE);
        (void) close(fd);
        testhost_unwatch(f.server);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
}

TEST(noop_listens_not) {
        FIXTURE(f);

        f.server = testhost_resource(&f.host, kind("tftp:server"), "t", "address", quoted("127.0.0.1:%u", f.port), NULL);
        REQUIRE(f.server);
        f.server->meta.noop = true;
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f.host, f.server, false), CHECK_CHANGED);
        CHECK(f.host.differences.data && startswith(f.host.differences.data, "address: 127.0.0.1:"));
        send_to(&f, f.port, "\0\1a\0octet", 10);
        CHECK(!receive(&f, 50));
}

TEST(validate) {
        static const struct {
                const char *kind, *name, *field, *value;
        } bad[] = {
                { "tftp:server", "x", "root", "\"\"" },
                { "tftp:server", ":69", "root", "\"srv/\"" },
                { "tftp:server", ":69", "root", "\"/srv\"" },
                { "tftp:server", ":69", "timeout", "0" },
                { "tftp:server", ":69", "timeout", "100000" },
                { "tftp:server", ":69", "address", "\"host:69\"" },
                { "tftp:file", "x", "path", "\"x\"" },
                { "tftp:file", "x", "path", "\"/x/\"" },
        };
        FIXTURE(f);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (testhost_resource(&f.host, kind(bad[i].kind), bad[i].name, bad[i].field, bad[i].value, NULL))
                        TEST_FAIL("case %zu is taken", i);
        CHECK(!testhost_resource(&f.host, kind("tftp:file"), "x", "path", "\"/x\"", "data", "\"y\"", NULL));
        f.server = testhost_resource(&f.host, kind("tftp:server"), "[::1]:tftp", "root", "\"/srv/\"", NULL);
        CHECK(f.server);
}

TEST_MAIN()
