/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What systemd is asked to start, and when; a systemd that only remembers is at the other end of the bus. What the real one makes of
 * it is a case of the system suite. */

#include <errno.h>

#include "daemons/virt/activation.h"
#include "daemons/virt/connection.h"
#include "daemons/virt/docker.h"
#include "daemons/virt/kinds.h"
#include "tests/daemons/busstage.h"
#include "tests/daemons/testhost.h"
#include "tests/daemons/virt/fake-docker.h"
#include "tests/test.h"

/* unit and state, in pairs; all others are not known */
static const char *const *unit_files;
static char asked[256];                 /* "?unit" for each state that was asked for, "!unit" for each that was to be started */
static bool refuses;

static void remember(char mark, const char *unit) {
        size_t n = strlen(asked);

        (void) snprintf(asked + n, sizeof(asked) - n, "%s%c%s", n > 0 ? " " : "", mark, unit);
}

static int get_unit_file_state(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *unit;

        if (sd_bus_message_read(m, "s", &unit) < 0)
                return -EBADMSG;
        remember('?', unit);
        for (const char *const *u = unit_files; *u; u += 2)
                if (streq(*u, unit))
                        return sd_bus_reply_method_return(m, "s", u[1]);
        return sd_bus_error_set_errno(reterr, -ENOENT);
}

static int start_unit(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *unit, *mode;

        if (sd_bus_message_read(m, "ss", &unit, &mode) < 0)
                return -EBADMSG;
        CHECK_STR(mode, "fail");
        remember('!', unit);
        return refuses ? sd_bus_error_set_errno(reterr, -EACCES) : sd_bus_reply_method_return(m, "o", "/job/1");
}

static const sd_bus_vtable systemd_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("GetUnitFileState", "s", "s", get_unit_file_state, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("StartUnit", "ss", "o", start_unit, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END
};

typedef struct Fixture {
        sd_event *event;
        BusStage stage;
} Fixture;

static void setup(Fixture *f, const char *const *files) {
        unit_files = files;
        asked[0] = 0;
        refuses = false;
        if (sd_event_new(&f->event) < 0)
                abort();
        busstage_init(&f->stage, f->event);
        if (sd_bus_add_object_vtable(f->stage.server, NULL, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", systemd_vtable,
                                     NULL) < 0)
                abort();
}

static void teardown(Fixture *f) {
        busstage_done(&f->stage);
        sd_event_unref(f->event);
}

static void run(Fixture *f) {
        while (sd_event_run(f->event, 50000) > 0)
                ;
}

TEST(only_what_is_enabled_is_started) {
        static const char *const units[] = { "a.socket", "b.socket", NULL };
        static const struct {
                const char *files[6], *asked;
        } cases[] = {
                { { "a.socket", "enabled", "b.socket", "enabled" }, "?a.socket !a.socket" },
                { { "a.socket", "enabled-runtime" }, "?a.socket !a.socket" },
                { { "a.socket", "disabled", "b.socket", "enabled" }, "?a.socket ?b.socket !b.socket" },
                { { "a.socket", "masked" }, "?a.socket ?b.socket" },
                { { "b.socket", "enabled" }, "?a.socket ?b.socket !b.socket" },
                { { NULL }, "?a.socket ?b.socket" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;
                setup(&f, cases[i].files);
                Activation a = { .bus = &f.stage.client };

                activation_ask(&a, units);
                run(&f);
                CHECK_STR(asked, cases[i].asked);
                CHECK(!a.call);
                activation_done(&a);
                teardown(&f);
        }
}

TEST(without_a_bus_nobody_is_asked) {
        static const char *const units[] = { "a.socket", NULL };
        sd_bus *none = NULL;
        Activation a = { .bus = &none }, b = {};

        activation_ask(&a, units);
        activation_ask(&b, units);
        CHECK(!a.call && !b.call);
        activation_done(&a);
        activation_done(&b);
}

TEST(who_goes_meanwhile_is_not_called) {
        static const char *const files[] = { "a.socket", "enabled", NULL }, *const units[] = { "a.socket", NULL };
        Fixture f;
        setup(&f, files);
        Activation a = { .bus = &f.stage.client };

        activation_ask(&a, units);
        CHECK(a.call != NULL);
        activation_done(&a);
        run(&f);
        CHECK_STR(asked, "?a.socket");
        teardown(&f);
}

/* ---- when ---- */

#define WEB(host) testhost_resource((host), resource_type_find(virt_kinds, "docker:container"), "web", "image", "\"app\"", NULL)

TEST(docker_is_started_once_for_who_needs_it_and_not_if_it_was_there) {
        static const char *const files[] = { "docker.socket", "enabled", NULL };
        VirtManager manager = {};
        FakeDocker fake;
        TestHost host;
        Fixture f;

        setup(&f, files);
        REQUIRE(path_watcher_new(&manager.paths, f.event) >= 0);
        fake_docker_new(&fake, f.event);
        fake_image_add(&fake, "app:latest", "1111");
        REQUIRE(docker_new(&manager.docker, f.event, manager.paths, fake.path) >= 0 && testhost_init(&host, f.event, &manager, NULL) >= 0);
        docker_set_bus(manager.docker, &f.stage.client);

        Resource *r = WEB(&host);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&host, r), 0);
        run(&f);
        CHECK_STR(asked, "");                           /* nobody needs it yet */
        refuses = true;
        CHECK_INT(testhost_check(&host, r, true), -EAGAIN);
        run(&f);
        CHECK_STR(asked, "?docker.socket !docker.socket");
        CHECK_INT(testhost_check(&host, r, true), -EAGAIN);
        run(&f);
        CHECK_STR(asked, "?docker.socket !docker.socket");

        unsigned n = host.n_changed;
        fake_docker_listen(&fake);
        CHECK(testhost_until_changed(&host, n, 20000));
        CHECK_INT(testhost_check(&host, r, true), CHECK_CHANGED);
        n = host.n_changed;
        fake_docker_stop(&fake, false);                       /* somebody stops it */
        CHECK(testhost_until_changed(&host, n, 20000));
        CHECK_INT(testhost_check(&host, r, true), -EAGAIN);
        run(&f);
        CHECK_STR(asked, "?docker.socket !docker.socket");

        asked[0] = 0;
        Resource *other = testhost_resource(&host, resource_type_find(virt_kinds, "docker:image"), "app", NULL);
        REQUIRE(other);
        CHECK_INT(testhost_watch(&host, other), 0);
        CHECK_INT(testhost_check(&host, other, true), -EAGAIN);
        run(&f);
        CHECK_STR(asked, "?docker.socket !docker.socket");

        /* by now it is known that there is none */
        asked[0] = 0;
        Resource *third = testhost_resource(&host, resource_type_find(virt_kinds, "docker:image"), "third", NULL);
        REQUIRE(third);
        CHECK_INT(testhost_watch(&host, third), 0);
        CHECK_INT(testhost_check(&host, third, true), -EAGAIN);
        CHECK_INT(testhost_check(&host, third, true), -EAGAIN);
        run(&f);
        CHECK_STR(asked, "?docker.socket !docker.socket");

        testhost_free(r);
        testhost_free(other);
        testhost_free(third);
        testhost_done(&host);
        docker_free(manager.docker);
        fake_docker_free(&fake);
        path_watcher_free(manager.paths);
        teardown(&f);
}

TEST_MAIN()
