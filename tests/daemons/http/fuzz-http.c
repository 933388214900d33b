/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as what a client sends, to a server with one of everything. Whatever they are, the server must have answered or hung
 * up soon after the client has said all it has to say, and must still serve the next one. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/kinds.h"
#include "tests/daemons/http/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static sd_event *event;
static HttpManager manager;
static TestHost host;
static Resource *server;
static char folder[] = "/tmp/fuzz-http-XXXXXX";

static void finish(void) {
        testhost_free(server);
        testhost_done(&host);
        http_manager_done(&manager);
        sd_event_unref(event);
        (void) remove_tree(folder);
}

static void start(void) {
        const ResourceType *file = resource_type_find(http_kinds, "http:server:file");
        char root[64], inner[64], address[80], path[64];

        if (sd_event_new(&event) < 0 || http_manager_init(&manager, event) < 0 || testhost_init(&host, event, &manager, NULL) < 0 ||
            !mkdtemp(folder))
                abort();
        (void) snprintf(path, sizeof(path), "%s/a", folder);
        if (write_file_atomic_at(AT_FDCWD, path, "0123456789", 10, 0644, false) < 0)
                abort();
        (void) snprintf(root, sizeof(root), "\"%s/\"", folder);
        (void) snprintf(inner, sizeof(inner), "\"%s/a\"", folder);
        (void) snprintf(address, sizeof(address), "\"%s\"", test_address());

        server = testhost_resource(&host, resource_type_find(http_kinds, "http:server"), "web", "address", address, "root", root, NULL);
        Resource *children[] = {
                testhost_resource(&host, file, "/data", "data", "\"hello\"", NULL),
                testhost_resource(&host, file, "/held", "data", "\"hello\"", "longpoll", "true", NULL),
                testhost_resource(&host, file, "/file", "path", inner, NULL),
                testhost_resource(&host, file, "/tree/", "path", root, NULL),
                testhost_resource(&host, resource_type_find(http_kinds, "http:server:flag"), "/flag", "key", "\"a\"", NULL),
                testhost_resource(&host, resource_type_find(http_kinds, "http:server:proxy"), "/kept/", "cache", root, NULL),
        };
        for (size_t i = 0; i < ELEMENTSOF(children); i++)
                if (!children[i] || resource_add_child(server, children[i]) < 0)
                        abort();
        if (testhost_watch(&host, server) < 0)
                abort();
        (void) atexit(finish);
}

#define MUST(condition) \
        do { \
                if (!(condition)) { \
                        (void) fprintf(stderr, "not so: %s (%m)\n", #condition); \
                        abort(); \
                } \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static unsigned n;
        /* no TIME_WAIT: there are only so many ports */
        static const struct linger at_once = { .l_onoff = 1 };
        Client c;

        if (!server)
                start();

        MUST(client_open(&c, &host, test_address()) >= 0);
        (void) client_send(&c, (const char *) data, MIN(size, (size_t) 256 * 1024));
        (void) shutdown(c.fd, SHUT_WR);
        MUST(client_until_closed(&c, PATIENCE_MSEC));
        (void) setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        client_close(&c);

        if (++n % 64 == 1) {
                Answer a = ask(&host, test_address(), "GET /data HTTP/1.1\r\nHost: a\r\n\r\n");
                MUST(a.status == 200 && streq(a.body, "hello"));
                answer_done(&a);
                MUST(http_port_n_connections(http_manager_next(&manager, NULL)) <= 1);
        }
        return 0;
}
