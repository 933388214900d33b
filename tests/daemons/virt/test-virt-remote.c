/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The connection to a libvirtd behind a socket: that it goes and comes back, hangs, refuses us or talks nonsense. */

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemons/virt/connection.h"
#include "daemons/virt/kinds.h"
#include "tests/daemons/testhost.h"
#include "tests/daemons/virt/fake-libvirt.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        VirtManager manager;
        FakeLibvirt fake;
        TestHost host;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || virt_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        fake_libvirt_new(&f->fake, f->event);
}

static void teardown(Fixture *f) {
        testhost_done(&f->host);
        fake_libvirt_stop(&f->fake);    /* without the loop it would not answer to those who take their leave */
        virt_manager_done(&f->manager);
        fake_libvirt_free(&f->fake);
        sd_event_unref(f->event);
}

/* One that shall not be there, as all are there. */
#define ABSENT(f, name, ...) \
        testhost_resource(&(f)->host, resource_type_find(virt_kinds, "virt"), (name), "uri", (f)->fake.uri, "state", "\"shutoff\"", "transient", \
                          "true", __VA_ARGS__, NULL)

static Resource *watched(Fixture *f, const char *name) {
        Resource *r = ABSENT(f, name, NULL);

        if (!r || testhost_watch(&f->host, r) < 0)
                abort();
        return r;
}

static const char *connection_state(Fixture *f) {
        return virt_connection_state_name(virt_connection_next(&f->manager, NULL));
}

/* Begins an attempt without running the loop. */
static void begin(Fixture *f, Resource *r) {
        f->host.finished = NOT_FINISHED;
        CHECK_INT(r->type->check_apply(r, true, NULL), CHECK_PENDING);
}

/* Two attempts may end in the same turn of the loop. */
static int results[2];
static unsigned n_results;
static void (*testhost_finished)(Resource *r, int result, Diag *diag);

static void on_finished(Resource *r, int result, Diag *diag) {
        if (n_results < ELEMENTSOF(results))
                results[n_results] = result;
        n_results++;
        testhost_finished(r, result, diag);
}

static bool have_both(void *userdata) {
        return n_results >= ELEMENTSOF(results);
}

TEST(one_that_goes_is_followed_when_it_comes_back) {
        Fixture f;

        setup(&f);
        fake_libvirt_listen(&f.fake);
        Resource *r = watched(&f, "m");
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_STR(f.host.diag.message, NULL);
        CHECK_STR(connection_state(&f), "open");

        unsigned n = f.host.n_changed;
        fake_libvirt_stop(&f.fake);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK_STR(connection_state(&f), "waiting");
        n = f.host.n_changed;
        fake_libvirt_listen(&f.fake);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_INT(f.fake.n_connections, 2);
        testhost_free(r);
        teardown(&f);
}

/* The second one finds the socket gone, on a connection that seemed to be open when it was asked. */
TEST(who_finds_it_gone_before_anybody_knows_is_told_when_it_comes_back) {
        Fixture f;

        setup(&f);
        fake_libvirt_listen(&f.fake);
        Resource *a = watched(&f, "a"), *b = watched(&f, "b");
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);

        testhost_finished = f.host.host.finished;
        f.host.host.finished = on_finished;
        n_results = 0;
        fake_libvirt_stop(&f.fake);
        begin(&f, a);
        begin(&f, b);
        CHECK(testhost_until(&f.host, have_both, NULL, 20000));
        CHECK_INT(results[0], -EAGAIN);
        CHECK_INT(results[1], -EAGAIN);
        f.host.host.finished = testhost_finished;
        CHECK_STR(f.host.diag.message, NULL);
        testhost_run(&f.host, 50);
        unsigned n = f.host.n_changed;
        fake_libvirt_listen(&f.fake);
        CHECK(testhost_until_changed(&f.host, n + 1, 20000));   /* both */
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);
        CHECK_INT(testhost_check(&f.host, b, true), CHECK_OK);
        testhost_free(a);
        testhost_free(b);
        teardown(&f);
}

/* Nothing in the file system will tell that the next one is there: systemd holds the socket. */
TEST(one_that_is_being_stopped_is_tried_again) {
        Fixture f;

        setup(&f);
        f.fake.mood = FAKE_LIBVIRT_HANGS_UP;
        fake_libvirt_listen(&f.fake);
        Resource *r = watched(&f, "m");
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK_STR(f.host.diag.message, NULL);
        CHECK_STR(connection_state(&f), "waiting");
        unsigned n = f.host.n_changed;
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        f.fake.mood = FAKE_LIBVIRT_GOOD;
        n = f.host.n_changed;
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        testhost_free(r);
        teardown(&f);
}

/* That a machine starts with its host is no event of libvirt. */
TEST(files_of_a_session_are_watched) {
        static const char *const folders[] = { "libvirt", "libvirt/qemu", "libvirt/qemu/autostart", NULL };
        char uri[160], path[160];
        Fixture f;

        setup(&f);
        (void) snprintf(uri, sizeof(uri), "\"qemu+unix:///session?socket=%s\"", f.fake.path);
        CHECK_INT(setenv("XDG_CONFIG_HOME", f.fake.folder, 1), 0);
        for (size_t i = 0; folders[i]; i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", f.fake.folder, folders[i]);
                CHECK_INT(mkdir(path, 0700), 0);
        }
        Resource *r = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", uri, NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);

        (void) snprintf(path, sizeof(path), "%s/libvirt/qemu/autostart/m.xml", f.fake.folder);
        unsigned n = f.host.n_changed;
        CHECK_INT(symlink("/nowhere", path), 0);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        n = f.host.n_changed;
        CHECK_INT(unlink(path), 0);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        testhost_free(r);
        for (size_t i = ELEMENTSOF(folders) - 1; i-- > 0;) {
                (void) snprintf(path, sizeof(path), "%s/%s", f.fake.folder, folders[i]);
                CHECK_INT(rmdir(path), 0);
        }
        CHECK_INT(unsetenv("XDG_CONFIG_HOME"), 0);
        teardown(&f);
}

/* Nothing weaker is tried: neither another way nor nobody's name. */
TEST(a_refused_login_is_the_end_of_it) {
        static const char *const auths[] = { "struct{username => \"ada\", password => \"secret\"}", NULL };
        Fixture f;

        setup(&f);
        f.fake.mood = FAKE_LIBVIRT_REFUSES;
        fake_libvirt_listen(&f.fake);
        for (size_t i = 0; i < ELEMENTSOF(auths); i++) {
                Resource *r = ABSENT(&f, "m", auths[i] ? "auth" : NULL, auths[i]);
                REQUIRE(r);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                f.fake.n_connections = 0;
                CHECK_INT(testhost_check(&f.host, r, true), -EACCES);
                CHECK(f.host.diag.message && strstr(f.host.diag.message, "go away") && !strstr(f.host.diag.message, "secret"));
                testhost_run(&f.host, 200);
                CHECK_INT(f.fake.n_connections, 1);
                CHECK_INT(f.fake.n_lookups, 0);
                CHECK_STR(connection_state(&f), "failed");
                testhost_free(r);
        }
        teardown(&f);
}

TEST(nonsense_is_an_error_and_no_end) {
        static const FakeLibvirtMood moods[] = { FAKE_LIBVIRT_CUTS, FAKE_LIBVIRT_LIES };

        for (size_t i = 0; i < ELEMENTSOF(moods); i++) {
                Fixture f;

                setup(&f);
                fake_libvirt_listen(&f.fake);
                Resource *r = watched(&f, "m");
                f.fake.mood = moods[i];
                int first = testhost_check(&f.host, r, true);   /* while we connect */
                CHECK(first < 0 && first != -ETIMEDOUT);
                f.fake.mood = FAKE_LIBVIRT_GOOD;
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                f.fake.mood = moods[i];
                int second = testhost_check(&f.host, r, true);  /* and when we are */
                CHECK(second < 0 && second != -ETIMEDOUT);
                f.fake.mood = FAKE_LIBVIRT_GOOD;
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                testhost_free(r);
                teardown(&f);
        }
}

static uint64_t now_msec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

TEST(one_that_never_answers_holds_up_nobody_else) {
        static Fixture f;               /* the call that is left behind goes on until the process ends */

        setup(&f);
        fake_libvirt_listen(&f.fake);
        f.fake.mood = FAKE_LIBVIRT_SILENT;
        Resource *r = watched(&f, "m");
        begin(&f, r);
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.finished, NOT_FINISHED);

        Resource *other = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "o", "uri", "\"test:///default\"", "state",
                                            "\"shutoff\"", "transient", "true", NULL);
        REQUIRE(other);
        CHECK_INT(testhost_watch(&f.host, other), 0);
        CHECK_INT(testhost_check(&f.host, other, true), CHECK_OK);
        testhost_free(other);
        testhost_free(r);               /* in the middle of it */

        uint64_t start = now_msec();
        testhost_done(&f.host);
        virt_manager_done(&f.manager);
        CHECK(now_msec() - start < PATIENCE_MSEC / 2);  /* and not until it answers */
        (void) unlink(f.fake.path);
        (void) rmdir(f.fake.folder);
}

TEST_MAIN()
