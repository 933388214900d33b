/* SPDX-License-Identifier: GPL-3.0-or-later */

/* net/http.response(): what clients published, for those who ask before and after. */

#include <fcntl.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/response.h"
#include "tests/daemons/testsource.h"
#include "tests/test.h"

typedef struct Place {
        char directory[64], path[96];
        sd_event *event;
        HttpManager manager;
        SourceHost host;
} Place;

static void place_init(Place *p) {
        *p = (Place) { .directory = "/tmp/test-response-XXXXXX" };
        CHECK(mkdtemp(p->directory));
        snprintf(p->path, sizeof(p->path), "%s/page", p->directory);
        CHECK(sd_event_new(&p->event) >= 0);
        CHECK_INT(http_manager_init(&p->manager, p->event), 0);
        p->host = (SourceHost) { .event = p->event, .manager = &p->manager };
}

static void place_done(Place *p) {
        http_manager_done(&p->manager);
        sd_event_unref(p->event);
        (void) remove_tree(p->directory);
}

static void ask(Place *p, TestCall *c, const char *args) {
        test_call_open(c, http_functions, &p->host, "net/http.response", args, "struct{status int; output str}");
}

static void publish(Place *p, const char *uid, int64_t status, const char *content) {
        if (content)
                CHECK_INT(write_file_atomic_at(AT_FDCWD, p->path, content, strlen(content), 0600, false), 0);
        CHECK_INT(http_response_publish(&p->manager, uid, status, content ? p->path : NULL), 0);
}

TEST(what_was_published) {
        _cleanup_(place_done) Place p;
        TestCall a, b, other;

        place_init(&p);
        ask(&p, &a, "[\"u\"]");
        ask(&p, &other, "[\"v\"]");
        CHECK_STR(a.text, "struct{status: 0; output: \"\"}");
        publish(&p, "u", 200, "one");
        CHECK_STR(a.text, "struct{status: 200; output: \"one\"}");
        ask(&p, &b, "[\"u\"]");
        CHECK_STR(b.text, "struct{status: 200; output: \"one\"}");
        publish(&p, "u", 200, "two");
        CHECK_STR(a.text, "struct{status: 200; output: \"two\"}");
        CHECK_STR(b.text, "struct{status: 200; output: \"two\"}");
        publish(&p, "u", 404, NULL);
        CHECK_STR(a.text, "struct{status: 404; output: \"\"}");
        test_call_close(&a);
        publish(&p, "u", RESPONSE_FAILED, NULL);
        CHECK_STR(b.text, "struct{status: -1; output: \"\"}");
        test_call_close(&b);
        publish(&p, "u", 200, "");
        ask(&p, &b, "[\"u\"]");
        CHECK_STR(b.text, "struct{status: 200; output: \"\"}");
        CHECK_STR(other.text, "struct{status: 0; output: \"\"}");
        CHECK_INT(other.n_said, 1);
        test_call_close(&other);
        test_call_close(&b);
}

TEST(what_cannot_be_said) {
        _cleanup_(place_done) Place p;
        _cleanup_free_ char *want = NULL;
        TestCall a;

        place_init(&p);
        ask(&p, &a, "[\"\"]");
        CHECK_STR(a.text, "error: can't use an empty uid");
        test_call_close(&a);

        publish(&p, "u", 200, "one");
        CHECK_INT(unlink(p.path), 0);
        ask(&p, &a, "[\"u\"]");
        CHECK(asprintf(&want, "error: cannot read '%s': No such file or directory", p.path) > 0);
        CHECK_STR(a.text, want);
        publish(&p, "u", 200, "back");
        CHECK_STR(a.text, "struct{status: 200; output: \"back\"}");
        test_call_close(&a);
}

TEST_MAIN()
