/* SPDX-License-Identifier: GPL-3.0-or-later */

/* http:server and http:server:file through their ResourceTypes, asked over real sockets. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/edge-rule.h"
#include "common/io.h"
#include "daemons/http/date.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"
#include "tests/test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define MTIME 1000000000                /* of the files that are served */
#define MTIME_TEXT "Sun, 09 Sep 2001 01:46:40 GMT"

static char folder[64];                 /* has a trailing slash */

typedef struct Fixture {
        sd_event *event;
        HttpManager manager;
        TestHost host;
        Resource *server;
} Fixture;

static const ResourceType *kind(const char *name) {
        return resource_type_find(http_kinds, name);
}

static const char *quoted(const char *a, const char *b) {
        static char text[4][256];
        static unsigned i;

        i = (i + 1) % 4;
        (void) snprintf(text[i], sizeof(text[i]), "\"%s%s\"", a, b);
        return text[i];
}

static void make_file(const char *name, const char *content) {
        _cleanup_free_ char *path = NULL;
        struct timeval times[2] = { { .tv_sec = MTIME }, { .tv_sec = MTIME } };

        if (asprintf(&path, "%s%s", folder, name) < 0 ||
            write_file_atomic_at(AT_FDCWD, path, content, strlen(content), 0644, false) < 0 || utimes(path, times) < 0)
                abort();
}

static void make_link(const char *name, const char *target) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s%s", folder, name) < 0 || symlink(target, path) < 0)
                abort();
}

static void make_folders(void) {
        char outside[80];

        char template[] = "/tmp/test-http-XXXXXX";
        if (!mkdtemp(template))
                abort();
        (void) snprintf(folder, sizeof(folder), "%s/", template);
        (void) snprintf(outside, sizeof(outside), "%sroot", folder);
        if (mkdir(outside, 0755) < 0)
                abort();
        (void) snprintf(outside, sizeof(outside), "%sroot/sub", folder);
        if (mkdir(outside, 0755) < 0)
                abort();
        make_file("secret", "secret\n");
        make_file("root/plain", "0123456789");
        make_file("root/page.html", "<p>hello");
        make_file("root/name with space", "space");
        make_file("root/sub/deep", "deep");
        make_file("root/closed", "closed");
        make_link("root/inside", "sub/deep");
        make_link("root/absolute", "/sub/deep");
        make_link("root/up", "../secret");
        make_link("root/etc", "/etc/passwd");
        make_link("root/loop", "loop");
        (void) snprintf(outside, sizeof(outside), "%sroot/pipe", folder);
        if (mkfifo(outside, 0644) < 0)
                abort();
}

static void start(Fixture *f, Resource **children, size_t n, Resource *server) {
        for (size_t i = 0; i < n; i++)
                if (resource_add_child(server, children[i]) < 0)
                        abort();
        f->server = server;
        CHECK_INT(testhost_watch(&f->host, server), 0);
        CHECK_INT(testhost_check(&f->host, server, true), CHECK_OK);
}

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || http_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        if (!folder[0])
                make_folders();
}

static void teardown(Fixture *f) {
        testhost_free(f->server);
        testhost_done(&f->host);
        http_manager_done(&f->manager);
        sd_event_unref(f->event);
}

static Resource *make_server(Fixture *f, const char *root) {
        return testhost_resource(&f->host, kind("http:server"), "web", "address", quoted(test_address(), ""), "root", quoted(root, ""), NULL);
}

/* A server with a text, a file, a directory and a root. */
static void setup_all(Fixture *f) {
        char root[80];

        setup(f);
        (void) snprintf(root, sizeof(root), "%sroot/", folder);
        Resource *children[] = {
                testhost_resource(&f->host, kind("http:server:file"), "/hello.txt", "data", "\"hello\\n\"", NULL),
                testhost_resource(&f->host, kind("http:server:file"), "/empty", NULL),
                testhost_resource(&f->host, kind("http:server:file"), "file", "filename", "\"/one\"", "path", quoted(root, "plain"), NULL),
                testhost_resource(&f->host, kind("http:server:file"), "/tree/", "path", quoted(root, ""), NULL),
                testhost_resource(&f->host, kind("http:server:file"), "/gone", "path", quoted(root, "gone"), NULL),
        };
        start(f, children, ELEMENTSOF(children), make_server(f, root));
}

static void check_status(Fixture *f, const char *request, unsigned status, const char *body) {
        Answer a = ask(&f->host, test_address(), "%s", request);

        if (a.status != status)
                TEST_FAIL("status is %u, not %u, of\n# %s", a.status, status, request);
        else if (body && (!a.body || strcmp(a.body, body) != 0))
                TEST_FAIL("body is '%s', not '%s', of\n# %s", a.body ? a.body : "", body, request);
        answer_done(&a);
}

TEST(contents_and_paths) {
        static const struct {
                const char *request;
                unsigned status;
                const char *body;
        } cases[] = {
                { GET("/hello.txt"), 200, "hello\n" },
                { GET("/empty"), 200, "" },
                { GET("/one"), 200, "0123456789" },
                { GET("/one?query"), 200, "0123456789" },
                { GET("/tree/plain"), 200, "0123456789" },
                { GET("/tree/sub/deep"), 200, "deep" },
                { GET("/tree/inside"), 200, "deep" },
                { GET("/tree/absolute"), 404, "404 Not Found\n" },
                { GET("/tree/up"), 404, NULL },
                { GET("/tree/etc"), 404, NULL },
                { GET("/tree/loop"), 404, NULL },
                { GET("/tree/pipe"), 404, NULL },
                { GET("/tree/sub"), 404, NULL },
                { GET("/tree/sub/"), 404, NULL },
                { GET("/tree/"), 404, NULL },
                { GET("/gone"), 404, NULL },
                /* the root */
                { GET("/plain"), 200, "0123456789" },
                { GET("/name%20with%20space"), 200, "space" },
                { GET("/inside"), 200, "deep" },
                { GET("/absolute"), 200, "deep" },      /* an absolute link means one from the root on */
                { GET("/up"), 404, NULL },
                { GET("/etc"), 404, NULL },
                { GET("/pipe"), 404, NULL },
                { GET("/sub/"), 404, NULL },
                { GET("/"), 404, NULL },
                { GET("/nothing"), 404, NULL },
                { GET("/plain/more"), 404, NULL },
                /* paths */
                { GET("//hello.txt"), 301, NULL },
                { GET("/x/../hello.txt"), 301, NULL },
                { GET("/%2e%2e/secret"), 301, NULL },
                { GET("/..%2f..%2fsecret"), 301, NULL },
                { GET("/../secret"), 301, NULL },
                { GET("/secret"), 404, NULL },
                { GET("/hello.txt%00"), 400, NULL },
                { GET("/%zz"), 400, NULL },
                { GET("/%1"), 400, NULL },
                { GET("http://other/hello.txt"), 200, "hello\n" },
                { "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400, NULL },
                /* methods */
                { "POST /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 405, NULL },
                { "DELETE /plain HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL },
                { "BREW /tree/plain HTTP/1.1\r\nHost: a\r\n\r\n", 405, NULL },
                { "POST /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413, NULL },
                /* broken ones */
                { "GET /hello.txt HTTP/1.1\r\n\r\n", 400, NULL },       /* no Host */
                { "GET\r\n\r\n", 0, NULL },              /* hung up on */
        };
        Fixture f;

        setup_all(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                check_status(&f, cases[i].request, cases[i].status, cases[i].body);
        teardown(&f);
}

/* Whatever could be two requests for one server, and one for another, is none here. */
TEST(where_a_request_ends_is_beyond_doubt) {
#define NEXT "GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
#define NUL "\1"                         /* is sent as a NUL */
        static const struct {
                const char *headers;    /* of a POST, with its body */
                unsigned status;        /* 405: it is a request like others, and so is the next one */
        } cases[] = {
                { "Content-Length: 3\r\n\r\nabc", 405 },
                { "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405 },
                { "Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", 405 },
                { "Content-Length: 3\r\nX: a\tb\r\n\r\nabc", 405 },
                { "Content-Length: 3\r\nX: \xc3\xa4\r\nY:\r\n\r\nabc", 405 },
                { "Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", 400 },
                { "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "Content-Length: 3\r\ncontent-LENGTH: 3\r\n\r\nabc", 400 },
                { "Content-Length: 3, 3\r\n\r\nabc", 400 },
                { "Content-Length: +3\r\n\r\nabc", 400 },
                { "Content-Length: 0x3\r\n\r\nabc", 400 },
                { "Content-Length: -3\r\n\r\nabc", 400 },
                { "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
                { "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400 },
                { "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
                { "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
                { "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501 },
                { "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501 },
                { "Transfer-Encoding: identity\r\n\r\n", 501 },
                { "Transfer-Encoding:\r\n\r\n", 501 },
                { "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400 },
                { "Content-Length : 3\r\n\r\nabc", 400 },
                { "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400 },
                { "X: a\rContent-Length: 3\r\n\r\nabc", 400 },
                { "X\vY: a\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "Host: b\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "Content-Length: 3\r\nX: a: b\r\nCookie: a=b; c=d\r\nY:  \t\r\nZ: \t c \r\n\r\nabc", 405 },
                { "Content-Length: 3\n\nabc", 405 },
                { "X: a\nContent-Length: 3\n\r\nabc", 405 },
                { "Content-Length: 3" NUL "0\r\n\r\nabc", 400 },
                { "Content-Length: 3" NUL "\r\n\r\nabc", 400 },
                { "Content-Length: 3" NUL "0\n\nabc", 400 },
                { "X: a" NUL "b\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "X: " NUL "\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "X: " NUL "Y: b\nContent-Length: 3\r\n\r\nabc", 400 },
                { "Content-Length" NUL ": 3\r\n\r\nabc", 400 },
                { "X: a\r\n b\r\nContent-Length: 3\r\n\r\nabc", 400 },
                { "Content-Leng: 3\r\n th\r\n\r\nabc", 400 },
                { "Content-Length: 3\r\nX: a\r\n\tb\r\n\r\nabc", 400 },
                { "Transfer-Encoding: chunked\r\n\r\n3zz\r\nabc\r\n0\r\n\r\n", 400 },
        };
        Fixture f;

        setup_all(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                static const char before[] = "POST /one HTTP/1.1\r\nHost: a\r\n";
                _cleanup_(strbuf_done) StrBuf request = {};
                Client c;

                strbuf_puts(&request, before);
                strbuf_puts(&request, cases[i].headers);
                strbuf_puts(&request, NEXT);
                for (size_t k = 0; k < request.size; k++)
                        request.data[k] = request.data[k] == *NUL ? '\0' : request.data[k];
                REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                CHECK_INT(client_send(&c, request.data, request.size), 0);
                Answer first = client_read(&c, false, PATIENCE_MSEC);
                if (first.status != cases[i].status)
                        TEST_FAIL("%u, not %u, after '%s'", first.status, cases[i].status, cases[i].headers);
                Answer second = client_read(&c, false, PATIENCE_MSEC);
                if (second.status != (cases[i].status == 405 ? 200 : 0) || c.closed != (cases[i].status != 405))
                        TEST_FAIL("then %u, and %s, after '%s'", second.status, c.closed ? "closed" : "open", cases[i].headers);
                answer_done(&first);
                answer_done(&second);
                client_close(&c);
        }
        teardown(&f);
#undef NUL
#undef NEXT
}

TEST(what_is_asked_for_does_not_end_at_a_nul) {
        static const char requests[][64] = { "GET /one\0.txt HTTP/1.1\r\nHost: a\r\n\r\n", "GET /one HTTP/1.1\0x\r\nHost: a\r\n\r\n" };
        Fixture f;
        Client c;

        setup_all(&f);
        for (size_t i = 0; i < ELEMENTSOF(requests); i++) {
                REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
                CHECK_INT(client_send(&c, requests[i], (size_t) ((const char *) memmem(requests[i], 64, "\n\r\n", 3) + 3 - requests[i])), 0);
                Answer a = client_read(&c, false, PATIENCE_MSEC);
                CHECK_INT(a.status, 400);
                answer_done(&a);
                client_close(&c);
        }
        teardown(&f);
}

TEST(headers_of_answers) {
        Fixture f;
        Answer a;

        setup_all(&f);
        a = ask(&f.host, test_address(), GET("/one"));
        CHECK_STR(answer_header(&a, "Last-Modified"), MTIME_TEXT);
        CHECK_STR(answer_header(&a, "Content-Type"), "text/plain; charset=utf-8");
        CHECK_STR(answer_header(&a, "Accept-Ranges"), "bytes");
        CHECK_STR(answer_header(&a, "Content-Length"), "10");
        answer_done(&a);

        a = ask(&f.host, test_address(), GET("/tree/page.html"));
        CHECK_STR(answer_header(&a, "Content-Type"), "text/html; charset=utf-8");
        answer_done(&a);

        a = ask(&f.host, test_address(), "HEAD /one HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_INT(a.status, 200);
        CHECK_STR(answer_header(&a, "Content-Length"), "10");
        answer_done(&a);

        a = ask(&f.host, test_address(), "PUT /one HTTP/1.1\r\nHost: a\r\n\r\n");
        CHECK_STR(answer_header(&a, "Allow"), "GET, HEAD");
        answer_done(&a);

        a = ask(&f.host, test_address(), GET("/x/..//name%%20with%%20space?a=b"));
        CHECK_INT(a.status, 301);
        CHECK_STR(answer_header(&a, "Location"), "/name%20with%20space?a=b");
        answer_done(&a);
        teardown(&f);
}

TEST(conditions) {
        static const struct {
                const char *header;
                unsigned status;
        } cases[] = {
                { "If-Modified-Since: " MTIME_TEXT, 304 },
                { "If-Modified-Since: Sun, 09 Sep 2001 01:46:41 GMT", 304 },
                { "If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 200 },
                { "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT", 304 },
                { "If-Modified-Since: Sun Sep  9 01:46:40 2001", 304 },
                { "If-Modified-Since: yesterday", 200 },
                { "If-Unmodified-Since: " MTIME_TEXT, 200 },
                { "If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT", 412 },
                { "If-None-Match: \"x\"", 200 },
                { "If-None-Match: *", 304 },
                { "If-None-Match: \"x\"\r\nIf-Modified-Since: " MTIME_TEXT, 200 },
                { "If-Match: \"x\"", 412 },
                { "If-Match: *", 200 },
                { "Range: bytes=0-3", 206 },
                { "Range: bytes=0-3\r\nIf-Range: " MTIME_TEXT, 206 },
                { "Range: bytes=0-3\r\nIf-Range: Sun, 09 Sep 2001 01:46:39 GMT", 200 },
                { "Range: bytes=0-3\r\nIf-Range: \"x\"", 200 },
                { "Range: bytes=0-3\r\nIf-Modified-Since: " MTIME_TEXT, 304 },
        };
        Fixture f;

        setup_all(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Answer a = ask(&f.host, test_address(), "GET /one HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", cases[i].header);
                if (a.status != cases[i].status)
                        TEST_FAIL("status is %u, not %u, with %s", a.status, cases[i].status, cases[i].header);
                if (a.status == 304) {
                        CHECK_STR(answer_header(&a, "Last-Modified"), MTIME_TEXT);
                        CHECK_STR(answer_header(&a, "Content-Length"), "10");
                        CHECK_INT(a.body_size, 0);
                }
                answer_done(&a);
        }
        teardown(&f);
}

TEST(ranges) {
        static const struct {
                const char *range;
                unsigned status;
                const char *content_range, *body;
        } cases[] = {
                { "bytes=0-3", 206, "bytes 0-3/10", "0123" },
                { "bytes=4-", 206, "bytes 4-9/10", "456789" },
                { "bytes=9-", 206, "bytes 9-9/10", "9" },
                { "bytes=-2", 206, "bytes 8-9/10", "89" },
                { "bytes=-99", 206, "bytes 0-9/10", "0123456789" },
                { "bytes=5-99", 206, "bytes 5-9/10", "56789" },
                { "bytes= 0-0 , ", 206, "bytes 0-0/10", "0" },
                { "bytes=10-", 416, "bytes */10", NULL },
                { "bytes=-0", 416, "bytes */10", NULL },
                { "bytes=5-4", 416, "bytes */10", NULL },
                { "bytes=a-b", 416, "bytes */10", NULL },
                { "bytes=", 416, "bytes */10", NULL },
                { "bytes=99999999999999999999-", 416, "bytes */10", NULL },
                { "bytes=12-,1-2", 206, "bytes 1-2/10", "12" },
                { "lines=1-2", 200, NULL, "0123456789" },
                { "bytes=0-9,0-9", 200, NULL, "0123456789" },   /* more than the whole */
        };
        static const char *const paths[] = { "/one", "/data" };
        Fixture f;

        setup(&f);
        Resource *children[] = {
                testhost_resource(&f.host, kind("http:server:file"), "/one", "path", quoted(folder, "root/plain"), NULL),
                testhost_resource(&f.host, kind("http:server:file"), "/data", "data", "\"0123456789\"", NULL),
        };
        start(&f, children, ELEMENTSOF(children), make_server(&f, ""));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t k = 0; k < ELEMENTSOF(paths); k++) {
                        Answer a = ask(&f.host, test_address(), "GET %s HTTP/1.1\r\nHost: a\r\nRange: %s\r\n\r\n", paths[k], cases[i].range);
                        if (a.status != cases[i].status)
                                TEST_FAIL("status is %u, not %u, of range %s", a.status, cases[i].status, cases[i].range);
                        CHECK_STR(answer_header(&a, "Content-Range"), cases[i].content_range);
                        if (cases[i].body)
                                CHECK_STR(a.body, cases[i].body);
                        answer_done(&a);
                }

        for (size_t k = 0; k < ELEMENTSOF(paths); k++) {
                Answer a = ask(&f.host, test_address(), "GET %s HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,-1\r\n\r\n", paths[k]);
                char want[512], boundary[64] = "";
                const char *type = answer_header(&a, "Content-Type");

                CHECK_INT(a.status, 206);
                CHECK(type && sscanf(type, "multipart/byteranges; boundary=%63s", boundary) == 1);
                (void) snprintf(want, sizeof(want),
                                "--%s\r\nContent-Range: bytes 0-1/10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n01"
                                "\r\n--%s\r\nContent-Range: bytes 9-9/10\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n9"
                                "\r\n--%s--\r\n", boundary, boundary, boundary);
                CHECK_STR(a.body, want);
                answer_done(&a);
        }
        teardown(&f);
}

TEST(one_connection_serves_many_requests) {
        Fixture f;
        Client c;

        setup_all(&f);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        for (unsigned i = 0; i < 100; i++) {
                static const char request[] = GET("/hello.txt") GET("/nothing") GET("/one");    /* pipelined */
                static const unsigned want[] = { 200, 404, 200 };

                REQUIRE(client_send(&c, request, strlen(request)) >= 0);
                for (size_t k = 0; k < ELEMENTSOF(want); k++) {
                        Answer a = client_read(&c, false, PATIENCE_MSEC);
                        CHECK_INT(a.status, want[k]);
                        answer_done(&a);
                }
        }
        client_close(&c);
        teardown(&f);
}

TEST(received_data_is_served_and_moves_the_date) {
        Fixture f;
        Answer a;
        int64_t first, second;

        setup(&f);
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/data", "data", "\"one\"", NULL);
        start(&f, &file, 1, make_server(&f, ""));

        a = ask(&f.host, test_address(), GET("/data"));
        CHECK_STR(a.body, "one");
        REQUIRE(http_date_parse(answer_header(&a, "Last-Modified"), &first) >= 0);
        answer_done(&a);

        CHECK_INT(testhost_receive(&f.host, file, "data", "\"two\""), 0);
        CHECK_INT(testhost_check(&f.host, f.server, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "data: one -> two\n");
        a = ask(&f.host, test_address(), GET("/data"));
        CHECK_STR(a.body, "one");
        answer_done(&a);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_OK);

        a = ask(&f.host, test_address(), GET("/data"));
        CHECK_STR(a.body, "two");
        REQUIRE(http_date_parse(answer_header(&a, "Last-Modified"), &second) >= 0);
        CHECK(second > first);
        answer_done(&a);
        teardown(&f);
}

static unsigned n_connections(const Fixture *f) {
        HttpPort *p = http_manager_next(&f->manager, NULL);

        return p ? http_port_n_connections(p) : 0;
}

static bool nobody_is_connected(void *userdata) {
        return n_connections(userdata) == 0;
}

static bool nothing_is_open(void *userdata) {
        return !http_manager_next(&((Fixture *) userdata)->manager, NULL);
}

TEST(longpoll_holds_until_there_is_news) {
        Fixture f;
        Client c;
        Answer a;
        char date[64], request[256];

        setup(&f);
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/data", "data", "\"one\"", "longpoll", "true", NULL);
        start(&f, &file, 1, make_server(&f, ""));

        a = ask(&f.host, test_address(), GET("/data"));         /* without a condition: at once */
        CHECK_STR(a.body, "one");
        (void) snprintf(date, sizeof(date), "%s", answer_header(&a, "Last-Modified"));
        answer_done(&a);
        (void) snprintf(request, sizeof(request), "GET /data HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: %s\r\n\r\n", date);

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        a = client_read(&c, false, 100);
        CHECK_INT(a.status, 0);
        CHECK_INT(testhost_receive(&f.host, file, "data", "\"two\""), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), CHECK_CHANGED);
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, "two");
        answer_done(&a);

        /* a client that leaves while it is held */
        (void) snprintf(request, sizeof(request), "GET /data HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n");
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        client_settle(&c);
        CHECK_INT(n_connections(&f), 1);
        client_close(&c);
        CHECK(testhost_until(&f.host, nobody_is_connected, &f, PATIENCE_MSEC));

        /* and one that is held when the server goes */
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        client_settle(&c);
        testhost_free(f.server);
        f.server = NULL;
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 503);
        CHECK_STR(answer_header(&a, "Retry-After"), "1");
        answer_done(&a);
        CHECK(testhost_until(&f.host, nothing_is_open, &f, PATIENCE_MSEC));
        client_close(&c);
        teardown(&f);
}

TEST(longpoll_of_a_file) {
        Fixture f;
        Client c;
        Answer a;
        char date[64], request[256];

        setup(&f);
        make_file("root/news", "one");
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/news", "path", quoted(folder, "root/news"), "longpoll", "true", NULL);
        start(&f, &file, 1, make_server(&f, ""));

        a = ask(&f.host, test_address(), GET("/news"));
        CHECK_STR(a.body, "one");
        (void) snprintf(date, sizeof(date), "%s", answer_header(&a, "Last-Modified"));
        CHECK(strcmp(date, MTIME_TEXT) != 0);           /* a cursor, not the file's own */
        answer_done(&a);
        (void) snprintf(request, sizeof(request), "GET /news HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: %s\r\n\r\n", date);

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        client_settle(&c);
        make_file("root/news", "two");
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, "two");
        answer_done(&a);
        client_close(&c);
        teardown(&f);
}

/* What the worker does when a child of a server changes: the old ones are freed, the new ones watched. */
TEST(a_server_that_is_replaced_keeps_its_connections) {
        Fixture f;
        Client c;
        Answer a;

        setup(&f);
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/data", "data", "\"one\"", NULL);
        start(&f, &file, 1, make_server(&f, ""));
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        REQUIRE(client_send(&c, GET("/data"), strlen(GET("/data"))) >= 0);
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_STR(a.body, "one");
        answer_done(&a);

        testhost_free(f.server);
        REQUIRE(client_send(&c, GET("/data"), strlen(GET("/data"))) >= 0);      /* waits */
        testhost_run(&f.host, 0);       /* and no longer: nobody has the port */
        file = testhost_resource(&f.host, kind("http:server:file"), "/data", "data", "\"two\"", NULL);
        start(&f, &file, 1, make_server(&f, ""));
        a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 200);
        CHECK_STR(a.body, "two");
        answer_done(&a);
        client_close(&c);
        teardown(&f);
}

TEST(a_port_in_use_fails_the_watch_and_later_works) {
        Fixture f;

        setup(&f);
        f.server = make_server(&f, "");
        Resource *other = testhost_resource(&f.host, kind("http:server"), "other", "address", quoted(test_address(), ""), NULL);
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_watch(&f.host, other), -EADDRINUSE);
        CHECK(f.host.diag.message && strstr(f.host.diag.message, "http:server 'web' does"));
        testhost_unwatch(other);
        testhost_free(f.server);
        f.server = NULL;
        CHECK_INT(testhost_watch(&f.host, other), 0);   /* what nobody has, anybody may take over */
        testhost_free(other);
        CHECK(testhost_until(&f.host, nothing_is_open, &f, PATIENCE_MSEC));

        /* somebody who is not one of us */
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_storage where;
        socklen_t size;
        Client c;

        f.server = make_server(&f, "");
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        size = sizeof(where);
        REQUIRE(getpeername(c.fd, (struct sockaddr *) &where, &size) >= 0);
        client_close(&c);
        testhost_free(f.server);
        CHECK(testhost_until(&f.host, nothing_is_open, &f, PATIENCE_MSEC));
        int yes = 1;
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        REQUIRE(bind(fd, (struct sockaddr *) &where, size) >= 0 && listen(fd, 1) >= 0);
        f.server = make_server(&f, "");
        CHECK_INT(testhost_watch(&f.host, f.server), -EADDRINUSE);
        testhost_unwatch(f.server);
        closep(&fd);
        fd = -EBADF;
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        teardown(&f);
}

/* There is something to read. */
static bool has_begun(void *userdata) {
        char byte;

        return recv(((const Client *) userdata)->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

TEST(a_download_is_finished_when_the_server_goes) {
        enum { SIZE = 16 * 1024 * 1024 };
        Fixture f;
        Client c;
        char path[80];

        setup(&f);
        (void) snprintf(path, sizeof(path), "%sroot/big", folder);
        int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        REQUIRE(fd >= 0 && ftruncate(fd, SIZE) >= 0);
        (void) close(fd);
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/big", "path", quoted(path, ""), NULL);
        start(&f, &file, 1, make_server(&f, ""));

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0);
        (void) sd_event_source_set_enabled(c.source, SD_EVENT_OFF);     /* a slow reader */
        REQUIRE(client_send(&c, GET("/big"), strlen(GET("/big"))) >= 0);
        CHECK(testhost_until(&f.host, has_begun, &c, PATIENCE_MSEC));
        testhost_free(f.server);
        f.server = NULL;
        testhost_run(&f.host, 800);
        Client late;
        CHECK(client_open(&late, &f.host, test_address()) < 0);         /* nobody listens any more */
        client_close(&late);
        (void) sd_event_source_set_enabled(c.source, SD_EVENT_ON);
        Answer a = client_read(&c, false, PATIENCE_MSEC);
        CHECK_INT(a.status, 200);
        CHECK_INT(a.body_size, SIZE);
        answer_done(&a);
        CHECK(client_until_closed(&c, PATIENCE_MSEC));
        client_close(&c);
        CHECK(testhost_until(&f.host, nothing_is_open, &f, PATIENCE_MSEC));
        (void) unlink(path);
        teardown(&f);
}

TEST(timeouts) {
        Fixture f;
        Client c;

        setup(&f);
        Resource *file = testhost_resource(&f.host, kind("http:server:file"), "/held", "data", "\"x\"", "longpoll", "true", NULL);
        start(&f, &file, 1, testhost_resource(&f.host, kind("http:server"), "web", "address", quoted(test_address(), ""), "timeout", "1", NULL));

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0); /* says nothing */
        CHECK(client_until_closed(&c, PATIENCE_MSEC));
        client_close(&c);

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0); /* never finishes */
        for (unsigned i = 0; i < 600 && !c.closed; i++) {
                (void) client_send(&c, i == 0 ? "G" : "E", 1);
                testhost_run(&f.host, 100);
        }
        CHECK(c.closed);
        client_close(&c);

        REQUIRE(client_open(&c, &f.host, test_address()) >= 0); /* is held back for too long */
        static const char request[] = "GET /held HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n";
        REQUIRE(client_send(&c, request, strlen(request)) >= 0);
        CHECK(client_until_closed(&c, PATIENCE_MSEC));
        client_close(&c);
        teardown(&f);
}

TEST(a_root_that_is_not_there_is_an_error) {
        Fixture f;

        setup(&f);
        f.server = make_server(&f, "/nonexistent/root/");
        CHECK_INT(testhost_watch(&f.host, f.server), 0);
        CHECK_INT(testhost_check(&f.host, f.server, true), -ENOENT);
        CHECK(f.host.diag.message && strstr(f.host.diag.message, "root '/nonexistent/root/' cannot be served"));
        teardown(&f);
}

TEST(fields_that_are_refused_say_so) {
        static const struct {
                const char *kind, *name, *field, *text, *want;
        } cases[] = {
                { "http:server", "nonsense", NULL, NULL, "address must be 'host:port' (or ':port'), got 'nonsense'" },
                { "http:server", "localhost:80", NULL, NULL, "host of address must be empty or a literal IP address, got 'localhost'" },
                { "http:server", "::1:80", NULL, NULL, "address must be 'host:port' (or ':port'), got '::1:80'" },
                { "http:server", ":99999", NULL, NULL, "port of address must be 0 to 65535 or a service name, got '99999'" },
                { "http:server", ":80", "timeout", "-1", "timeout must be a number of seconds that is not negative, got '-1'" },
                { "http:server", ":80", "root", "\"/srv\"", "root must be an absolute path with a trailing slash, got '/srv'" },
                { "http:server:file", "/x", "path", "\"srv\"", "path must be absolute, got 'srv'" },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK(!testhost_resource(&f.host, kind(cases[i].kind), cases[i].name, cases[i].field, cases[i].text, NULL));
                CHECK_STR(f.host.diag.message, cases[i].want);
        }
        CHECK(!testhost_resource(&f.host, kind("http:server:file"), "/x", "path", "\"/srv/\"", "longpoll", "true", NULL));
        CHECK_STR(f.host.diag.message, "longpoll needs a file, path '/srv/' is a directory");
        CHECK(!testhost_resource(&f.host, kind("http:server:file"), "/x", "path", "\"/srv\"", "data", "\"x\"", NULL));
        CHECK_STR(f.host.diag.message, "path and data exclude each other, got both");

        static const char *const good[] = { ":80", "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", ":http", "0.0.0.0:0" };
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                Resource *r = testhost_resource(&f.host, kind("http:server"), good[i], NULL);
                CHECK(r);
                testhost_free(r);
        }
        teardown(&f);
}

TEST(the_file_that_is_served_comes_first) {
        static const char *const kinds[] = { "http:server:file", "tftp:file" };
        Fixture f;
        ResourceUids uids = {};

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                Resource *r = testhost_resource(&f.host, kind(kinds[i]), "/x", "path", "\"/srv/x\"", NULL);
                REQUIRE(r);
                CHECK_INT(edge_wants(r, 0, &uids), 0);
                CHECK_INT(uids.n, 1);
                CHECK_STR(uids.items[0].domain, "file");
                CHECK_STR(uids.items[0].key, "/srv/x");
                CHECK(!uids.items[0].after);
                resource_uids_done(&uids);
                CHECK_INT(edge_wants(r, 1, &uids), 0);
                CHECK_INT(uids.n, 0);
                testhost_free(r);

                r = testhost_resource(&f.host, kind(kinds[i]), "/x", "data", "\"x\"", NULL);
                REQUIRE(r);
                CHECK_INT(edge_wants(r, 0, &uids), 0);
                CHECK_INT(uids.n, 0);
                testhost_free(r);
        }
        teardown(&f);
}

TEST(tables_keep_the_contract) {
        Diag diag = {};

        CHECK_INT(resource_types_check(http_kinds, &diag), 0);
        CHECK_STR(diag.message, NULL);
        diag_done(&diag);
        for (const ResourceType *const *t = http_kinds; *t; t++)        /* what the engine calls it cannot call here */
                if ((*t)->uids || (*t)->wants || (*t)->groups || (*t)->minds || (*t)->reverse)
                        TEST_FAIL("'%s' has a hook that nobody calls", (*t)->kind);
}

int main(int argc, char *argv[]) {
        int r = test_run(argc, argv);

        if (folder[0])
                (void) remove_tree(folder);
        return r;
}
