/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt against libvirt's test driver, which keeps its machines in the memory of this process: a second connection of ours is the
 * one "from outside". */

#include <semaphore.h>
#include <time.h>

#include <libvirt/libvirt.h>

#include "daemons/virt/connection.h"
#include "daemons/virt/kinds.h"
#include "tests/daemons/testhost.h"
#include "tests/test.h"

#define URI "test:///default"

typedef struct Fixture {
        sd_event *event;
        VirtManager manager;
        TestHost host;
        virConnectPtr outside;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || virt_manager_init(&f->manager, f->event) < 0 ||
            testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        f->outside = virConnectOpen(URI);
        if (!f->outside)
                abort();
}

static void teardown(Fixture *f) {
        if (f->outside)
                (void) virConnectClose(f->outside);
        testhost_done(&f->host);
        virt_manager_done(&f->manager);
        sd_event_unref(f->event);
}

#define VIRT(f, name, ...) \
        testhost_resource(&(f)->host, resource_type_find(virt_kinds, "virt"), (name), "uri", "\"" URI "\"", "memory", "1024", "cpus", "2", "maxcpus", "4", __VA_ARGS__, NULL)

/* What the outside sees: the state, or -1 if there is none. */
static int state_of(Fixture *f, const char *name) {
        virDomainPtr d = virDomainLookupByName(f->outside, name);
        virDomainInfo info;

        if (!d)
                return -1;
        if (virDomainGetInfo(d, &info) < 0)
                info.state = 255;
        (void) virDomainFree(d);
        return info.state;
}

static virDomainPtr domain_of(Fixture *f, const char *name) {
        virDomainPtr d = virDomainLookupByName(f->outside, name);

        if (!d)
                TEST_FAIL("there is no domain '%s'", name);
        return d;
}

/* Drift is found (and left alone with apply false), repaired, and then there is nothing left to do. */
static void check_repair(Fixture *f, Resource *r) {
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_CHANGED);
        CHECK_STR(f->host.diag.message, NULL);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_OK);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_OK);
}

TEST(every_state_is_reached) {
        static const struct {
                const char *state, *transient;
                int want;
        } cases[] = {
                { "\"running\"", "false", VIR_DOMAIN_RUNNING },
                { "\"paused\"", "false", VIR_DOMAIN_PAUSED },
                { "\"shutoff\"", "false", VIR_DOMAIN_SHUTOFF },
                { "\"\"", "false", VIR_DOMAIN_SHUTOFF },
                { "\"running\"", "true", VIR_DOMAIN_RUNNING },
                { "\"paused\"", "true", VIR_DOMAIN_PAUSED },
                { "\"\"", "true", VIR_DOMAIN_RUNNING },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;

                setup(&f);
                Resource *r = VIRT(&f, "m", "state", cases[i].state, "transient", cases[i].transient);
                REQUIRE(r);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                check_repair(&f, r);
                CHECK_INT(state_of(&f, "m"), cases[i].want);
                testhost_free(r);
                teardown(&f);
        }
}

TEST(every_state_is_reached_from_every_other) {
        static const struct {
                const char *state;
                int want;
        } states[] = {
                { "\"running\"", VIR_DOMAIN_RUNNING },
                { "\"paused\"", VIR_DOMAIN_PAUSED },
                { "\"shutoff\"", VIR_DOMAIN_SHUTOFF },
        };
        Fixture f;

        setup(&f);
        for (size_t from = 0; from < ELEMENTSOF(states); from++)
                for (size_t to = 0; to < ELEMENTSOF(states); to++) {
                        Resource *r = VIRT(&f, "m", "state", states[from].state);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        CHECK(testhost_check(&f.host, r, true) >= 0);
                        testhost_free(r);
                        CHECK_INT(state_of(&f, "m"), states[from].want);

                        r = VIRT(&f, "m", "state", states[to].state);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        if (from != to)
                                check_repair(&f, r);
                        else
                                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                        CHECK_INT(state_of(&f, "m"), states[to].want);
                        testhost_free(r);
                }
        teardown(&f);
}

TEST(persistence_comes_and_goes) {
        static const struct {
                const char *before_state, *before_transient, *state, *transient;
                int want, persistent;
        } cases[] = {
                { "\"running\"", "false", "\"running\"", "true", VIR_DOMAIN_RUNNING, 0 },
                { "\"shutoff\"", "false", "\"running\"", "true", VIR_DOMAIN_RUNNING, 0 },
                { "\"running\"", "true", "\"running\"", "false", VIR_DOMAIN_RUNNING, 1 },
                { "\"running\"", "true", "\"shutoff\"", "false", VIR_DOMAIN_SHUTOFF, 1 },
                { "\"running\"", "true", "\"shutoff\"", "true", -1, 0 },
                { "\"running\"", "false", "\"shutoff\"", "true", -1, 0 },
                { "\"shutoff\"", "false", "\"shutoff\"", "true", -1, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;

                setup(&f);
                Resource *r = VIRT(&f, "m", "state", cases[i].before_state, "transient", cases[i].before_transient);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                testhost_free(r);

                r = VIRT(&f, "m", "state", cases[i].state, "transient", cases[i].transient);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                check_repair(&f, r);
                CHECK_INT(state_of(&f, "m"), cases[i].want);
                if (cases[i].want >= 0) {
                        virDomainPtr d = domain_of(&f, "m");
                        CHECK_INT(virDomainIsPersistent(d), cases[i].persistent);
                        (void) virDomainFree(d);
                }
                testhost_free(r);
                teardown(&f);
        }
}

TEST(what_others_do_is_an_event_and_is_repaired) {
        static int (*const changes[])(virDomainPtr) = { virDomainDestroy, virDomainSuspend, virDomainShutdown };
        Fixture f;

        setup(&f);
        Resource *r = VIRT(&f, "m", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_run(&f.host, 50);      /* the events of what we did ourselves */

        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                unsigned n = f.host.n_changed;
                virDomainPtr d = domain_of(&f, "m");

                REQUIRE(d && changes[i](d) >= 0);
                (void) virDomainFree(d);
                CHECK(testhost_until_changed(&f.host, n, 20000));
                check_repair(&f, r);
                CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_RUNNING);
                testhost_run(&f.host, 50);
        }

        /* other machines are not our business */
        unsigned n = f.host.n_changed;
        virDomainPtr other = domain_of(&f, "test");
        REQUIRE(other && virDomainSuspend(other) >= 0);
        (void) virDomainFree(other);
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.n_changed, n);

        /* gone altogether */
        virDomainPtr d = domain_of(&f, "m");
        REQUIRE(d && virDomainDestroy(d) >= 0 && virDomainUndefine(d) >= 0);
        (void) virDomainFree(d);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(state_of(&f, "m"), -1);
        check_repair(&f, r);
        CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_RUNNING);
        testhost_free(r);
        teardown(&f);
}

TEST(memory_cpus_and_autostart_are_adjusted) {
        static const char *const states[] = { "\"running\"", "\"shutoff\"" };

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                Fixture f;
                virDomainInfo info;
                int autostart = -1;

                setup(&f);
                Resource *r = VIRT(&f, "m", "state", states[i], "startup", "\"enabled\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
                CHECK_STR(f.host.differences.data, i == 0 ? "state: absent -> running\nmemory: 1024\ncpus: 2\n" :
                          "state: absent -> shutoff\nmemory: 1024\ncpus: 2\n");
                check_repair(&f, r);
                CHECK_STR(f.host.differences.data, NULL);
                virDomainPtr d = domain_of(&f, "m");
                REQUIRE(d);
                CHECK(virDomainGetAutostart(d, &autostart) >= 0);
                CHECK_INT(autostart, 1);
                testhost_free(r);

                r = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"" URI "\"", "state", states[i], "memory", "512", "cpus", "3",
                                      "maxcpus", "4", "startup", "\"disabled\"", NULL);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
                CHECK_STR(f.host.differences.data, i == 0 ? "startup: enabled -> disabled\nmemory: 1024 -> 512\ncpus: 2 -> 3\n" :
                          "startup: enabled -> disabled\nmemory: 1024 -> 512\ncpus: 2 -> 3\n");
                check_repair(&f, r);
                CHECK(virDomainGetInfo(d, &info) >= 0);
                CHECK_INT(info.memory, 512);
                CHECK_INT(info.nrVirtCpu, 3);
                CHECK(virDomainGetAutostart(d, &autostart) >= 0);
                CHECK_INT(autostart, 0);
                (void) virDomainFree(d);
                testhost_free(r);
                teardown(&f);
        }
}

/* More slots than a running machine has: the policy decides. */
TEST(a_restart_happens_only_where_it_may) {
        Fixture f;
        Resource *r;

        setup(&f);
        r = VIRT(&f, "m", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);

#define WIDER(policy) \
        testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"" URI "\"", "state", "\"running\"", "memory", "1024", "cpus", "6", \
                          "maxcpus", "8", "restartondiverge", "\"" policy "\"", NULL)
        r = WIDER("error");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, false), -EBUSY);
        CHECK_INT(testhost_check(&f.host, r, true), -EBUSY);
        CHECK(f.host.diag.message && strstr(f.host.diag.message, "restartondiverge does not allow"));
        testhost_free(r);

        r = WIDER("ignore");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK(testhost_check(&f.host, r, true) >= 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        testhost_free(r);

        r = WIDER("ifneeded");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        unsigned n = f.host.n_changed;
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK(f.host.differences.data && strstr(f.host.differences.data, "restart: because of maxcpus\n"));
        CHECK(testhost_until_changed(&f.host, n, 20000));        /* it has stopped */
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_RUNNING);
        virDomainPtr d = domain_of(&f, "m");
        CHECK_INT(virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_VCPU_MAXIMUM), 8);
        CHECK_INT(virDomainGetVcpusFlags(d, VIR_DOMAIN_AFFECT_LIVE), 6);
        (void) virDomainFree(d);
        testhost_free(r);
        teardown(&f);
}

TEST(a_notification_restarts_where_that_was_asked_for) {
        Fixture f;

        setup(&f);
        Resource *r = VIRT(&f, "m", "state", "\"running\"", "restartonrefresh", "true");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_run(&f.host, 50);

        virDomainPtr d = domain_of(&f, "m");
        int before = virDomainGetID(d);
        f.host.refresh = true;
        unsigned n = f.host.n_changed;
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        f.host.refresh = false;
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_RUNNING);
        (void) virDomainFree(d);
        d = domain_of(&f, "m");
        CHECK((int) virDomainGetID(d) != before);
        (void) virDomainFree(d);
        testhost_free(r);
        teardown(&f);
}

static bool has_no_connection(void *userdata) {
        return !virt_connection_next(&((Fixture *) userdata)->manager, NULL);
}

TEST(resources_share_one_connection_that_goes_with_the_last) {
        Fixture f;

        setup(&f);
        CHECK(!virt_connection_next(&f.manager, NULL));
        Resource *a = VIRT(&f, "a", "state", "\"running\""), *b = VIRT(&f, "b", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, a), 0);
        CHECK_INT(testhost_watch(&f.host, b), 0);
        VirtConnection *c = virt_connection_next(&f.manager, NULL);
        REQUIRE(c);
        CHECK(!virt_connection_next(&f.manager, c));
        CHECK_STR(virt_connection_state_name(c), "closed");     /* nothing connects before the first check */
        CHECK_INT(virt_connection_n_users(c), 2);
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_CHANGED);
        CHECK_STR(virt_connection_state_name(c), "open");
        CHECK_INT(testhost_check(&f.host, b, true), CHECK_CHANGED);

        testhost_free(a);
        testhost_run(&f.host, 50);
        CHECK_INT(virt_connection_n_users(c), 1);
        testhost_free(b);
        CHECK(testhost_until(&f.host, has_no_connection, &f, PATIENCE_MSEC));
        teardown(&f);
}

/* As the engine replaces one: the old one goes, and soon the new one comes. Nobody else is connected, so the machine would be gone if
 * the connection were closed in between. */
/* A call whose second half waits for us. */
typedef struct Patient {
        VirtCall call;
        sem_t go_on;
        unsigned n_done;
} Patient;

static int wait_for_us(VirtCall *call, virConnectPtr c) {
        struct timespec until;

        (void) clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 2 * PATIENCE_MSEC / 1000;
        return sem_timedwait(&container_of(call, Patient, call)->go_on, &until) < 0 ? -ETIMEDOUT : c ? 7 : -ENXIO;
}

static int only_connect(VirtCall *call, virConnectPtr c) {
        return 0;
}

static void patient_done(VirtCall *call) {
        Patient *p = container_of(call, Patient, call);

        if (p->n_done++ == 0)
                CHECK_INT(virt_call_patiently(call, wait_for_us), 0);
}

static void nothing_changed(VirtUser *u) {
}

static bool is_half_done(void *userdata) {
        return ((Patient *) userdata)->n_done >= 1;
}

static bool is_done(void *userdata) {
        return ((Patient *) userdata)->n_done >= 2;
}

TEST(who_waits_for_a_guest_keeps_nobody_waiting) {
        Patient p = { .call = { .run = only_connect, .done = patient_done } };
        VirtUser u = { .object = VIRT_DOMAIN, .name = "slow", .changed = nothing_changed };
        Fixture f;

        setup(&f);
        CHECK_INT(sem_init(&p.go_on, 0, 0), 0);
        CHECK_INT(virt_user_attach(&u, &f.manager, URI, NULL, NULL), 0);
        CHECK_INT(virt_user_call(&u, &p.call), 0);
        CHECK(testhost_until(&f.host, is_half_done, &p, PATIENCE_MSEC));
        Resource *r = VIRT(&f, "quick", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_INT(state_of(&f, "quick"), VIR_DOMAIN_RUNNING);
        CHECK_INT(p.n_done, 1);

        /* it has the connection as long as it takes */
        testhost_free(r);
        virt_user_detach(&u);
        testhost_run(&f.host, 700);
        CHECK(!has_no_connection(&f));
        CHECK_INT(sem_post(&p.go_on), 0);
        CHECK(testhost_until(&f.host, is_done, &p, PATIENCE_MSEC));
        CHECK_INT(p.call.result, 7);
        CHECK(testhost_until(&f.host, has_no_connection, &f, PATIENCE_MSEC));
        (void) sem_destroy(&p.go_on);
        teardown(&f);
}

static bool has_one_connection(void *userdata) {
        const VirtManager *m = &((Fixture *) userdata)->manager;

        return !virt_connection_next(m, virt_connection_next(m, NULL));
}

TEST(who_receives_another_login_has_another_connection) {
        Fixture f;

        setup(&f);
        Resource *r = VIRT(&f, "a", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        VirtConnection *before = virt_connection_next(&f.manager, NULL);
        CHECK_INT(testhost_receive(&f.host, r, "auth", "struct{username => \"u\", password => \"p\"}"), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK(testhost_until(&f.host, has_one_connection, &f, PATIENCE_MSEC));
        CHECK(virt_connection_next(&f.manager, NULL) != before);
        CHECK_INT(virt_connection_n_users(virt_connection_next(&f.manager, NULL)), 1);
        testhost_free(r);
        teardown(&f);
}

TEST(a_changed_resource_takes_the_connection_over) {
        Fixture f;

        setup(&f);
        Resource *r = VIRT(&f, "m", "state", "\"running\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        virDomainPtr d = domain_of(&f, "m");
        REQUIRE(d);
        unsigned id = virDomainGetID(d);
        (void) virDomainFree(d);
        (void) virConnectClose(f.outside);

        testhost_free(r);
        testhost_run(&f.host, 0);
        r = VIRT(&f, "m", "state", "\"paused\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        testhost_run(&f.host, 1000);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);

        f.outside = virConnectOpen(URI);
        REQUIRE(f.outside);
        d = domain_of(&f, "m");
        REQUIRE(d);
        CHECK_INT(virDomainGetID(d), id);
        (void) virDomainFree(d);
        CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_PAUSED);
        testhost_free(r);
        teardown(&f);
}

/* The driver forgets everything with its last connection, as after a crash of the daemon. */
TEST(what_was_lost_is_built_again) {
        Fixture f;

        setup(&f);
        for (unsigned i = 0; i < 3; i++) {
                Resource *r = VIRT(&f, "m", "state", "\"running\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                CHECK_INT(state_of(&f, "m"), VIR_DOMAIN_RUNNING);
                (void) virConnectClose(f.outside);
                testhost_free(r);
                CHECK(testhost_until(&f.host, has_no_connection, &f, PATIENCE_MSEC));
                f.outside = virConnectOpen(URI);
                REQUIRE(f.outside);
                CHECK_INT(state_of(&f, "m"), -1);
        }
        teardown(&f);
}

TEST(a_resource_may_go_while_its_attempt_is_under_way) {
        Fixture f;

        setup(&f);
        for (unsigned i = 0; i < 50; i++) {
                _cleanup_(diag_done) Diag diag = {};
                Resource *r = VIRT(&f, "m", "state", i % 2 == 0 ? "\"running\"" : "\"shutoff\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(r->type->check_apply(r, true, &diag), CHECK_PENDING);
                if (i % 3 == 0)
                        testhost_run(&f.host, 1);
                testhost_free(r);
        }
        testhost_run(&f.host, 100);
        teardown(&f);
}

/* Not there yet is not an error: the attempt waits, and is asked for again when something appears. */
TEST(an_absent_socket_is_waited_for) {
        char folder[] = "/tmp/test-virt-XXXXXX", uri[128], path[64];
        Fixture f;

        setup(&f);
        REQUIRE(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/libvirt-sock", folder);
        (void) snprintf(uri, sizeof(uri), "\"qemu+unix:///system?socket=%s\"", path);
        Resource *r = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", uri, "state", "\"running\"", "memory", "1024", "cpus", "1", NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK(f.host.reason && strstr(f.host.reason, "cannot connect to"));
        CHECK_STR(virt_connection_state_name(virt_connection_next(&f.manager, NULL)), "waiting");

        unsigned n = f.host.n_changed;
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.n_changed, n);
        FILE *file = fopen(path, "we");
        REQUIRE(file);
        (void) fclose(file);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK(testhost_check(&f.host, r, true) < 0);            /* something, but no libvirt */
        testhost_free(r);
        (void) unlink(path);
        (void) rmdir(folder);
        teardown(&f);
}

TEST(errors_of_libvirt_are_told) {
        Fixture f;
        Resource *r;

        setup(&f);
        r = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"test:///nonexistent/file\"", NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK(testhost_check(&f.host, r, true) < 0);
        CHECK(f.host.diag.message && startswith(f.host.diag.message, "cannot connect to 'test:///nonexistent/file': "));
        CHECK(f.host.diag.pos.file && f.host.diag.pos.line == 1);
        testhost_free(r);

        r = testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "uri", "\"" URI "\"", "state", "\"running\"", "cpus", "1", NULL);
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EINVAL);
        CHECK_STR(f.host.diag.message, "memory must be given to create a domain");
        testhost_free(r);
        teardown(&f);
}

TEST(fields_that_are_refused_say_so) {
        static const struct {
                const char *field, *text, *want;
        } cases[] = {
                { "state", "\"stopped\"", "state must be running, paused, shutoff or empty, got 'stopped'" },
                { "startup", "\"yes\"", "startup must be enabled, disabled or empty, got 'yes'" },
                { "restartondiverge", "\"always\"", "restartondiverge must be ignore, ifneeded or error, got 'always'" },
                { "cpus", "33", "cpus must not be more than maxcpus (32), got '33'" },
                { "maxcpus", "100000", "maxcpus must be at most 4096, got '100000'" },
                { "boot", "[\"hd\", \"usb\",]", "boot must be made of fd, hd, cdrom and network, got 'usb'" },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK(!testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", cases[i].field, cases[i].text, NULL));
                CHECK_STR(f.host.diag.message, cases[i].want);
        }
        CHECK(!testhost_resource(&f.host, resource_type_find(virt_kinds, "virt"), "m", "transient", "true", "startup", "\"enabled\"", NULL));
        CHECK_STR(f.host.diag.message, "startup must be empty for a transient domain, got 'enabled'");
        teardown(&f);
}

TEST(everything_that_it_may_consist_of_is_taken) {
        Fixture f;

        setup(&f);
        Resource *r = VIRT(&f, "m", "state", "\"running\"", "boot", "[\"hd\",]", "disk", "[struct{source => \"/a\", type => \"qcow2\",},]",
                           "cdrom", "[struct{source => \"~/b\", type => \"raw\",},]",
                           "network", "[struct{name => \"default\", mac => \"52:54:00:00:00:01\",},]",
                           "filesystem", "[struct{access => \"\", source => \"/srv\", target => \"t\", read_only => true,},]");
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        virDomainPtr d = domain_of(&f, "m");
        REQUIRE(d);
        _cleanup_free_ char *xml = virDomainGetXMLDesc(d, 0);
        CHECK(xml && strstr(xml, "<source file='/a'/>") && strstr(xml, "52:54:00:00:00:01") && strstr(xml, "<source dir='/srv'/>"));
        CHECK(xml && !strstr(xml, "~"));
        (void) virDomainFree(d);
        testhost_free(r);
        teardown(&f);
}

/* The definition follows; of what runs only as much as the driver can change. */
TEST(what_it_consists_of_is_put_right) {
        static const char *const states[] = { "\"running\"", "\"shutoff\"" };

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                Fixture f;

                setup(&f);
                Resource *r = VIRT(&f, "m", "state", states[i], "disk", "[struct{source => \"/a\", type => \"qcow2\",},]");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                check_repair(&f, r);
                testhost_free(r);

                r = VIRT(&f, "m", "state", states[i], "restartondiverge", "\"ifneeded\"", "boot", "[\"network\",]",
                         "disk", "[struct{source => \"/a\", type => \"raw\",}, struct{source => \"/b\", type => \"\",},]");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
                CHECK(f.host.differences.data && strstr(f.host.differences.data, "disk: qcow2 -> raw\n") && strstr(f.host.differences.data, "disk: /b\n"));
                unsigned n = f.host.n_changed;
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                if (i == 0) {                   /* it restarts for what cannot be changed otherwise */
                        CHECK(testhost_until_changed(&f.host, n, 20000));
                        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                }
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                virDomainPtr d = domain_of(&f, "m");
                REQUIRE(d);
                _cleanup_free_ char *xml = virDomainGetXMLDesc(d, 0);
                CHECK(xml && strstr(xml, "<source file='/b'/>") && strstr(xml, "<boot dev='network'/>") && !strstr(xml, "qcow2"));
                CHECK_INT(state_of(&f, "m"), i == 0 ? VIR_DOMAIN_RUNNING : VIR_DOMAIN_SHUTOFF);
                (void) virDomainFree(d);
                testhost_free(r);
                teardown(&f);
        }
}

TEST(tables_keep_the_contract) {
        Diag diag = {};

        CHECK_INT(resource_types_check(virt_kinds, &diag), 0);
        CHECK_STR(diag.message, NULL);
        diag_done(&diag);
}

TEST_MAIN()
