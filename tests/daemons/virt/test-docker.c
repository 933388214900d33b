/* SPDX-License-Identifier: GPL-3.0-or-later */

/* docker:container and docker:image against a daemon that does what it is told, errors included. */

#include <json-c/json.h>
#include <sys/stat.h>

#include "daemons/virt/connection.h"
#include "daemons/virt/docker.h"
#include "daemons/virt/kinds.h"
#include "tests/daemons/testhost.h"
#include "tests/daemons/virt/fake-docker.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        PathWatcher *paths;
        VirtManager manager;
        Docker *docker;
        FakeDocker fake;
        TestHost host;
} Fixture;

static void setup_absent(Fixture *f) {
        *f = (Fixture) {};
        if (sd_event_new(&f->event) < 0 || path_watcher_new(&f->paths, f->event) < 0)
                abort();
        fake_docker_new(&f->fake, f->event);
        if (docker_new(&f->docker, f->event, f->paths, f->fake.path) < 0 || testhost_init(&f->host, f->event, &f->manager, NULL) < 0)
                abort();
        f->manager.docker = f->docker;
        fake_image_add(&f->fake, "app:latest", "1111");
}

static void setup(Fixture *f) {
        setup_absent(f);
        fake_docker_listen(&f->fake);
}

static void teardown(Fixture *f) {
        testhost_done(&f->host);
        docker_free(f->docker);
        fake_docker_free(&f->fake);
        path_watcher_free(f->paths);
        sd_event_unref(f->event);
}

static const ResourceType *kind(const char *name) {
        return resource_type_find(virt_kinds, name);
}

#define CONTAINER(f, name, ...) testhost_resource(&(f)->host, kind("docker:container"), (name), __VA_ARGS__, NULL)
#define IMAGE(f, name, ...) testhost_resource(&(f)->host, kind("docker:image"), (name), __VA_ARGS__, NULL)

static const char *status_of(Fixture *f, const char *name) {
        const FakeContainer *c = fake_container(&f->fake, name);

        return c ? c->status : NULL;
}

/* Drift is found (and left alone with apply false), repaired, and then there is nothing left to do. */
static void check_repair(Fixture *f, Resource *r) {
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_CHANGED);
        CHECK_STR(f->host.diag.message, NULL);
        CHECK_INT(testhost_check(&f->host, r, true), CHECK_OK);
        CHECK_STR(f->host.differences.data, NULL);
        CHECK_INT(testhost_check(&f->host, r, false), CHECK_OK);
}

static void check_fails(Fixture *f, Resource *r, int error, const char *message) {
        CHECK_INT(testhost_check(&f->host, r, true), error);
        CHECK_STR(f->host.diag.message, message);
        diag_done(&f->host.diag);
}

static bool is_open(void *userdata) {
        Fixture *f = userdata;

        return streq(docker_state_name(f->docker), "open");
}

static bool is_closed(void *userdata) {
        Fixture *f = userdata;

        return streq(docker_state_name(f->docker), "closed");
}

TEST(states_are_reached_from_every_other) {
        static const struct {
                const char *state, *want;
        } states[] = {
                { "\"running\"", "running" },
                { "\"stopped\"", "exited" },
                { "\"removed\"", NULL },
        };
        static const char *const before[] = { "running", "exited", "created", "paused", "dead", NULL };

        for (size_t from = 0; from < ELEMENTSOF(before); from++)
                for (size_t to = 0; to < ELEMENTSOF(states); to++) {
                        Fixture f;

                        setup(&f);
                        Resource *first = CONTAINER(&f, "web", "image", "\"app\"");
                        CHECK_INT(testhost_watch(&f.host, first), 0);
                        CHECK_INT(testhost_check(&f.host, first, true), CHECK_CHANGED);
                        testhost_free(first);
                        if (before[from])
                                fake_container_set(&f.fake, "web", before[from], "x");
                        else
                                fake_container_remove(&f.fake, "web");

                        Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "state", states[to].state);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        bool inactive = !before[from] || (!streq(before[from], "running") && !streq(before[from], "paused"));
                        if (streq_ptr(before[from], states[to].want) || (to == 1 && inactive))
                                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                        else {
                                check_repair(&f, r);
                                CHECK_STR(status_of(&f, "web"), states[to].want);
                        }
                        testhost_free(r);
                        teardown(&f);
                }
}

TEST(what_is_wanted_is_what_docker_is_told) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "cmd", "[\"sh\", \"-c\", \"sleep 9\"]", "env", "[\"B=2\", \"A=1\"]",
                                "ports", "{\"tcp\" => {8080 => 80, 8081 => 80}, \"udp\" => {53 => 5353}}",
                                "volumes", "[\"/srv//web/:/srv:ro\", \"data:/data\"]", "restart", "\"on-failure:3\"");
        REQUIRE(r);
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "state: absent -> running\n");
        CHECK_INT(f.fake.n_created, 0);
        check_repair(&f, r);
        CHECK_STR(json_object_to_json_string_ext(fake_container(&f.fake, "web")->body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
                  "{\"Image\":\"app\",\"Cmd\":[\"sh\",\"-c\",\"sleep 9\"],\"Env\":[\"B=2\",\"A=1\",\"PATH=/bin\"],\"HostConfig\":{\"PortBindings\":{"
                  "\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8081\"}],"
                  "\"5353/udp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"53\"}]},\"Binds\":[\"/srv//web/:/srv:ro\",\"data:/data\"],"
                  "\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}},\"ExposedPorts\":{\"80/tcp\":{},\"5353/udp\":{}}}");
        testhost_free(r);
        teardown(&f);
}

TEST(another_container_takes_the_place_only_with_force) {
        static const struct {
                const char *field, *value, *difference;
        } cases[] = {
                { "image", "\"other:1\"", "image: app:latest -> other:1\n" },
                { "cmd", "[\"true\"]", "cmd: sleep 9 -> true\n" },
                { "cmd", "[]", "cmd: sleep 9 -> nothing\n" },
                { "env", "[\"A=2\"]", "env: A=1, PATH=/bin -> A=2, PATH=/bin\n" },
                { "env", "[]", "env: A=1, PATH=/bin -> PATH=/bin\n" },
                { "ports", "{\"tcp\" => {81 => 80}}", "ports: 80:80/tcp -> 81:80/tcp\n" },
                { "ports", "{}", "ports: 80:80/tcp -> nothing\n" },
                { "volumes", "[\"/a:/b\"]", "volumes: /a:/b:ro -> /a:/b\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;
                char message[256];

                setup(&f);
                fake_image_add(&f.fake, "other:1", "2222");
                for (unsigned k = 0; k < 3; k++) {
                        Resource *r = CONTAINER(&f, "web", "image", "\"app:latest\"", "cmd", "[\"sleep\", \"9\"]", "env", "[\"A=1\"]",
                                                "ports", "{\"tcp\" => {80 => 80}}", "volumes", "[\"/a:/b:ro\"]", "force", k == 2 ? "true" : "false",
                                                k == 0 ? "state" : cases[i].field, k == 0 ? "\"running\"" : cases[i].value);
                        REQUIRE(r);
                        CHECK_INT(testhost_watch(&f.host, r), 0);
                        if (k == 1) {
                                (void) snprintf(message, sizeof(message), "there is a container of this name with another %s, and only with force "
                                                "may a new one take its place", cases[i].field);
                                check_fails(&f, r, -EEXIST, message);
                                CHECK_STR(f.host.differences.data, cases[i].difference);
                                CHECK_INT(f.fake.n_created, 1);
                        } else
                                check_repair(&f, r);
                        testhost_free(r);
                }
                CHECK_INT(f.fake.n_created, 2);
                CHECK_STR(status_of(&f, "web"), "running");
                teardown(&f);
        }
}

/* Docker has a way of its own to write down what it was told. It is not made again and again. */
TEST(one_that_docker_makes_differently_is_left_alone) {
        static const char *const forces[] = { "false", "true" };

        for (size_t i = 0; i < ELEMENTSOF(forces); i++) {
                Fixture f;

                setup(&f);
                Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "env", "[\"A=1\"]", "force", forces[i]);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                json_object_object_add(fake_container(&f.fake, "web")->body, "Env", json_tokener_parse("[\"A=one\",\"PATH=/bin\"]"));
                for (unsigned k = 0; k < 2; k++) {
                        check_fails(&f, r, -EPROTO, "docker has made it with another env than it was told, and would do so again");
                        CHECK_STR(f.host.differences.data, "env: A=one, PATH=/bin -> A=1, PATH=/bin\n");
                }
                CHECK_INT(f.fake.n_created, 1);

                /* another value is another try, as is another container */
                CHECK_INT(testhost_receive(&f.host, r, "env", "[\"A=one\"]"), 0);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                fake_container_remove(&f.fake, "web");
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                testhost_free(r);
                teardown(&f);
        }
}

TEST(the_restart_policy_is_changed_in_place) {
        Fixture f;

        setup(&f);
        for (unsigned k = 0; k < 2; k++) {
                Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "restart", k == 0 ? "\"always\"" : "\"on-failure:2\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                check_repair(&f, r);
                testhost_free(r);
        }
        CHECK_INT(f.fake.n_created, 1);
        /* and left alone where nothing is said of it */
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        testhost_free(r);
        teardown(&f);
}

TEST(a_name_that_stands_for_another_image_by_now) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"docker.io/library/app\"", "force", "true");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        unsigned n = f.host.n_changed;
        fake_image_add(&f.fake, "app:latest", "3333");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "image: 1111 -> 3333\n");
        check_repair(&f, r);
        /* of one that is not here any more only the name is known */
        fake_image_remove(&f.fake, "app:latest");
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        testhost_free(r);
        teardown(&f);
}

TEST(an_image_whose_name_is_received) {
        Fixture f;

        setup(&f);
        fake_image_add(&f.fake, "other:1", "2222");
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "force", "true");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        CHECK_INT(testhost_receive(&f.host, r, "image", "\"other:1\""), 0);
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "image: app -> other:1\n");
        check_repair(&f, r);
        CHECK_STR(fake_container(&f.fake, "web")->image_id, "2222");
        unsigned n = f.host.n_changed;
        fake_image_add(&f.fake, "other:1", "3333");
        CHECK(testhost_until_changed(&f.host, n, PATIENCE_MSEC));
        testhost_free(r);
        CHECK(testhost_until(&f.host, is_closed, &f, PATIENCE_MSEC));
        teardown(&f);
}

/* The image changes while docker is asked what it is. */
static bool change_meanwhile(FakeDocker *f, struct FakeClient *client, const char *method, const char *path) {
        if (!strstr(path, "/images/") || f->n_times == 0)
                return false;
        f->n_times--;
        fake_docker_event(f, "image", "tag", "app:latest", NULL);
        fake_client_reply(client, 200, "{\"Id\":\"sha256:2222\",\"Config\":{}}");
        return true;
}

TEST(what_an_image_is_is_not_asked_again_before_it_changes) {
        Fixture f;

        setup(&f);
        Resource *a = CONTAINER(&f, "web1", "image", "\"app\""), *b = CONTAINER(&f, "web2", "image", "\"app\"");
        REQUIRE(a && b);
        CHECK_INT(testhost_watch(&f.host, a), 0);
        CHECK_INT(testhost_watch(&f.host, b), 0);
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_CHANGED);
        CHECK_INT(testhost_check(&f.host, b, true), CHECK_CHANGED);

        unsigned n = f.fake.n_requests;
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);
        CHECK_INT(testhost_check(&f.host, b, true), CHECK_OK);
        CHECK_INT(f.fake.n_requests, n + 2);

        static const char *const names[] = { "app:latest", "sha256:3333" };
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                unsigned n_changed = f.host.n_changed;
                fake_docker_event(&f.fake, "image", "tag", names[i], NULL);
                CHECK(testhost_until_changed(&f.host, n_changed, 20000));
                n = f.fake.n_requests;
                CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);
                CHECK_INT(testhost_check(&f.host, b, true), CHECK_OK);
                CHECK_INT(f.fake.n_requests, n + 3);
        }

        /* what is said of an image that has just changed is not kept */
        f.fake.intercept = change_meanwhile;
        f.fake.n_times = 1;
        fake_docker_event(&f.fake, "image", "tag", "app:latest", NULL);
        testhost_run(&f.host, 30);
        CHECK_INT(testhost_check(&f.host, a, true), -EEXIST);
        testhost_run(&f.host, 30);
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);

        /* nor what was known of a docker that has gone */
        unsigned n_changed = f.host.n_changed;
        fake_docker_stop(&f.fake, false);
        CHECK(testhost_until_changed(&f.host, n_changed, PATIENCE_MSEC));
        fake_docker_listen(&f.fake);
        while (testhost_check(&f.host, a, true) == -EAGAIN)
                testhost_run(&f.host, 10);
        CHECK_INT(testhost_check(&f.host, a, true), CHECK_OK);
        n = f.fake.n_requests;
        CHECK_INT(testhost_check(&f.host, b, true), CHECK_OK);
        CHECK_INT(f.fake.n_requests, n + 1);
        testhost_free(a);
        testhost_free(b);
        teardown(&f);
}

TEST(events_of_it_and_of_nothing_else) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(f.fake.n_requests, 0);        /* nothing connects before it is asked */
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_run(&f.host, 30);

        static const char *const actions[] = { "kill", "die", "stop", "pause", "rename", "destroy", "update", "start" };
        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                unsigned n = f.host.n_changed;
                fake_docker_event(&f.fake, "container", actions[i], "web", NULL);
                CHECK(testhost_until_changed(&f.host, n, 20000));
        }
        unsigned n = f.host.n_changed;
        fake_docker_event(&f.fake, "container", "rename", "elsewhere", "web");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        n = f.host.n_changed;
        fake_docker_event(&f.fake, "container", "rename", "elsewhere", NULL);
        CHECK(testhost_until_changed(&f.host, n, 20000));

        n = f.host.n_changed;
        fake_docker_event(&f.fake, "container", "die", "web2", NULL);
        fake_docker_event(&f.fake, "container", "exec_create: sh", "web", NULL);
        fake_docker_event(&f.fake, "image", "tag", "other", NULL);
        fake_docker_event(&f.fake, "network", "connect", "web", NULL);
        testhost_run(&f.host, 30);
        CHECK_INT(f.host.n_changed, n);

        fake_container_set(&f.fake, "web", "exited", "die");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
        testhost_free(r);
        teardown(&f);
}

TEST(it_waits_for_docker_and_follows_it) {
        Fixture f;
        struct stat st;

        setup_absent(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK(strstr(f.host.reason, "waiting for docker: there is no '"));
        CHECK_STR(docker_state_name(f.docker), "waiting");

        /* the socket appears */
        unsigned n = f.host.n_changed;
        fake_docker_listen(&f.fake);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        check_repair(&f, r);

        /* docker goes, and something happens while it is away */
        n = f.host.n_changed;
        fake_docker_stop(&f.fake, false);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        fake_container(&f.fake, "web")->status = "exited";
        while (testhost_check(&f.host, r, true) != -EAGAIN || !strstr(f.host.reason, "there is no"))
                testhost_run(&f.host, 10);
        n = f.host.n_changed;
        fake_docker_listen(&f.fake);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        check_repair(&f, r);

        /* a socket with nobody behind it */
        n = f.host.n_changed;
        fake_docker_stop(&f.fake, true);
        CHECK(stat(f.fake.path, &st) == 0);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        fake_docker_listen(&f.fake);
        n = f.host.n_changed;
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK(testhost_until(&f.host, is_open, &f, 20000));
        testhost_free(r);
        teardown(&f);
}

static bool is_intercepted(void *userdata) {
        return ((Fixture *) userdata)->fake.n_times == 0;
}

/* As podman's package makes it. */
TEST(a_link_to_a_socket_is_followed) {
        char link[80];
        Fixture f;

        setup_absent(&f);
        (void) snprintf(link, sizeof(link), "%.*s/link", (int) (strrchr(f.fake.path, '/') - f.fake.path), f.fake.path);
        CHECK_INT(symlink(f.fake.path, link), 0);
        docker_free(f.docker);
        CHECK_INT(docker_new(&f.docker, f.event, f.paths, link), 0);
        f.manager.docker = f.docker;
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK(strstr(f.host.reason, "waiting for docker: there is no '"));
        unsigned n = f.host.n_changed;
        fake_docker_listen(&f.fake);
        CHECK(testhost_until_changed(&f.host, n, PATIENCE_MSEC));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        CHECK_INT(unlink(link), 0);
        teardown(&f);
}

/* As with Meta:poll. */
TEST(the_connection_goes_after_one_who_watches_nothing) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(r->type->prepare(r, NULL), 0);
        for (unsigned i = 1; i <= 2; i++) {
                CHECK_INT(testhost_check(&f.host, r, true), i == 1 ? CHECK_CHANGED : CHECK_OK);
                CHECK(testhost_until(&f.host, is_closed, &f, PATIENCE_MSEC));
        }
        testhost_free(r);
        teardown(&f);
}

TEST(the_connection_goes_with_its_last_user) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        /* a successor that comes soon has it */
        r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_INT(f.fake.n_subscribed, 1);
        testhost_free(r);
        CHECK(testhost_until(&f.host, is_closed, &f, 20000));
        teardown(&f);
}

/* A container that does not react takes its ten seconds, and many of them take no longer. */
TEST(those_that_are_stopped_keep_nobody_from_being_asked) {
        enum { N = 20 };
        Resource *stops[N];
        Fixture f;

        setup(&f);
        f.fake.intercept = fake_intercept;
        f.fake.wanted = "/stop";
        for (unsigned i = 0; i < N; i++) {
                char name[8];

                (void) snprintf(name, sizeof(name), "web%u", i);
                Resource *r = CONTAINER(&f, name, "image", "\"app\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                testhost_free(r);
                stops[i] = CONTAINER(&f, name, "image", "\"app\"", "state", "\"stopped\"");
                CHECK_INT(testhost_watch(&f.host, stops[i]), 0);
        }
        f.fake.n_times = N;             /* none of them is answered */
        for (unsigned i = 0; i < N; i++)
                CHECK_INT(stops[i]->type->check_apply(stops[i], true, NULL), CHECK_PENDING);
        CHECK(testhost_until(&f.host, is_intercepted, &f, PATIENCE_MSEC));
        Resource *r = CONTAINER(&f, "new", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        for (unsigned i = 0; i < N; i++)
                testhost_free(stops[i]);
        CHECK(testhost_until(&f.host, is_closed, &f, PATIENCE_MSEC));
        teardown(&f);
}

TEST(an_error_of_a_daemon_that_stays_is_one) {
        static const struct {
                const char *wanted, *answer, *message;
        } cases[] = {
                { "/start", "HTTP/1.1 500 X\r\n\r\n{\"message\":\"driver failed: port is already in\\nuse\"}",
                  "cannot start it: driver failed: port is already in use" },
                { "/create", "HTTP/1.1 400 X\r\nContent-Length: 28\r\n\r\n{\"message\":\"invalid volume\"}", "cannot create it: invalid volume" },
                { "/web/json", "HTTP/1.1 418 X\r\nContent-Length: 0\r\n\r\n", "cannot look at the container: status 418" },
                { "/web/json", "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n[]",
                  "cannot understand what docker says of the container: Bad message" },
                { "/app:latest/json", "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{\"Id\":77}",
                  "cannot understand what docker says of the image: Bad message" },
                { "/start", "HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nh\x01\xff\n", "cannot start it: h" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;

                setup(&f);
                f.fake.intercept = fake_intercept;
                f.fake.wanted = cases[i].wanted;
                f.fake.answer = cases[i].answer;
                f.fake.n_times = 1;
                Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK(testhost_check(&f.host, r, true) < 0);
                CHECK_STR(f.host.diag.message, cases[i].message);
                diag_done(&f.host.diag);
                CHECK_INT(f.fake.n_times, 0);
                /* what was left half done is finished by the next attempt */
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                CHECK_INT(f.fake.n_created, 1);
                testhost_free(r);
                teardown(&f);
        }
}

/* Half a reply, none, or an error by one who takes no more calls: that is no failure, and what is next finds out what was done. */
TEST(a_daemon_that_goes_in_the_middle) {
        static const struct {
                const char *wanted, *answer;
        } cases[] = {
                { "/start", "" },
                { "/create", "HTTP/1.1 201 X\r\nContent-Length: 100\r\n\r\n{\"Id\":" },
                { "/web/json", "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Id\"" },
                { "/app:latest/json", "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;

                setup(&f);
                f.fake.intercept = fake_intercept;
                f.fake.wanted = cases[i].wanted;
                f.fake.answer = cases[i].answer;
                f.fake.n_times = 1;
                Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
                CHECK_INT(testhost_watch(&f.host, r), 0);
                CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
                CHECK_STR(f.host.reason, "waiting for docker, which has just gone");
                CHECK_STR(docker_state_name(f.docker), "waiting");
                CHECK(testhost_until(&f.host, is_closed, &f, 20000));
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
                CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
                CHECK_INT(f.fake.n_created, 1);
                CHECK_INT(f.fake.n_subscribed, 2);
                testhost_free(r);
                teardown(&f);
        }
}

static bool stopping(FakeDocker *f, struct FakeClient *client, const char *method, const char *path) {
        if (strstr(path, "/start")) {
                fake_client_reply(client, 500, "{\"message\":\"context canceled\"}");
                f->n_times = 1;
                return true;
        }
        return f->n_times > 0 && streq(path, "/_ping");        /* no new callers */
}

TEST(an_error_of_a_daemon_that_is_being_stopped_is_none) {
        Fixture f;

        setup(&f);
        f.fake.intercept = stopping;
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        f.fake.intercept = NULL;
        CHECK(testhost_until(&f.host, is_closed, &f, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_STR(status_of(&f, "web"), "running");
        testhost_free(r);
        teardown(&f);
}

TEST(broken_events_begin_anew) {
        static const char *const broken[] = { "not json\n", "{\"Type\":\"container\"}\n", "[]\n", "{\"Type\":1,\"Action\":\"die\"}\n" };
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_run(&f.host, 30);
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                unsigned n = f.host.n_changed;
                fake_docker_say(&f.fake, broken[i]);
                CHECK(testhost_until_changed(&f.host, n, 20000));
                CHECK(testhost_check(&f.host, r, true) >= 0);
                CHECK_INT(f.fake.n_subscribed, i + 2);
        }
        /* one in pieces is whole */
        unsigned n = f.host.n_changed;
        fake_docker_say(&f.fake, "{\"Type\":\"container\",\"Action\":\"di");
        testhost_run(&f.host, 20);
        CHECK_INT(f.host.n_changed, n);
        fake_docker_say(&f.fake, "e\",\"Actor\":{\"Attributes\":{\"name\":\"web\"}}}\n");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        testhost_free(r);
        teardown(&f);
}

TEST(an_endless_event_is_cut) {
        Fixture f;
        char chunk[32768];

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        memset(chunk, ' ', sizeof(chunk) - 1);
        chunk[sizeof(chunk) - 1] = 0;
        testhost_run(&f.host, 30);
        for (unsigned i = 0; i < 9; i++) {
                fake_docker_say(&f.fake, chunk);
                testhost_run(&f.host, 5);
        }
        CHECK(!is_open(&f));
        testhost_free(r);
        teardown(&f);
}

TEST(versions) {
        static const struct {
                const char *api, *min, *field, *want, *message;
        } cases[] = {
                { "1.41", "1.12", "\"\"", "/v1.41/", NULL },
                { "1.99", "1.44", "\"\"", "/v1.44/", NULL },
                { "1.24", "1.12", "\"\"", "/v1.24/", NULL },
                { "1.41", "1.12", "\"v1.30\"", "/v1.30/", NULL },
                { "1.20", "1.12", "\"\"", NULL, "it speaks at most 1.20, which is older than 1.24" },
                { "9.0", "8.0", "\"\"", NULL, "it speaks at least 8.0, which is newer than 1.44" },
                { "x", "", "\"\"", NULL, "the answer has no version" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Fixture f;
                char message[256];

                setup(&f);
                f.fake.api = cases[i].api;
                f.fake.api_min = cases[i].min;
                Resource *r = CONTAINER(&f, "web", "image", "\"app\"", "apiversion", cases[i].field);
                REQUIRE(r);
                CHECK_INT(testhost_watch(&f.host, r), 0);
                int result = testhost_check(&f.host, r, true);
                if (cases[i].want) {
                        CHECK_INT(result, CHECK_CHANGED);
                        CHECK(strstr(f.fake.last, cases[i].want));
                } else {
                        CHECK(result < 0 && result != -EAGAIN);
                        (void) snprintf(message, sizeof(message), "cannot agree with docker at '%s' on a version: %s", f.fake.path, cases[i].message);
                        CHECK_STR(f.host.diag.message, message);
                }
                testhost_free(r);
                teardown(&f);
        }
}

TEST(images) {
        Fixture f;

        setup(&f);
        Resource *r = IMAGE(&f, "app", "state", "\"exists\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_OK);
        CHECK_INT(f.fake.n_pulled, 0);          /* nobody was asked for what is here */
        unsigned n = f.host.n_changed;
        fake_image_remove(&f.fake, "app:latest");
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);
        CHECK_STR(f.host.differences.data, "state: absent -> exists\n");
        check_fails(&f, r, -EIO,
                    "image 'app:latest' is not here, and cannot be pulled: Get \"https://registry.test/v2/\": dial tcp: lookup registry.test: "
                    "no such host");
        CHECK_INT(f.fake.n_pulled, 1);
        testhost_free(r);

        fake_image_add(&f.fake, "app:latest", "1111");
        r = IMAGE(&f, "app", "state", "\"absent\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_repair(&f, r);
        testhost_free(r);

        /* what a pull says while it goes on, and how it ends */
        f.fake.intercept = fake_intercept;
        f.fake.wanted = "/images/create?fromImage=registry.test:5000/a/b&tag=1.2";
        f.fake.answer = "HTTP/1.1 200 X\r\n\r\n{\"status\":\"Pulling\"}\r\n{\"errorDetail\":{\"message\":\"x\"},\"error\":\"manifest unknown\"}\r\n";
        f.fake.n_times = 1;
        r = IMAGE(&f, "registry.test:5000/a/b:1.2", "state", "\"exists\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        check_fails(&f, r, -EIO, "image 'registry.test:5000/a/b:1.2' is not here, and cannot be pulled: manifest unknown");
        CHECK_INT(f.fake.n_times, 0);
        testhost_free(r);
        teardown(&f);
}

static bool pulling(FakeDocker *f, struct FakeClient *client, const char *method, const char *path) {
        if (!strstr(path, "/images/create?"))
                return false;
        fake_image_add(f, "far:latest", "4444");
        fake_client_reply(client, 200, "{\"status\":\"Pulling\"}\n{\"status\":\"done\"}\n");
        return true;
}

TEST(a_container_has_its_image_pulled) {
        Fixture f;

        setup(&f);
        f.fake.intercept = pulling;
        Resource *r = CONTAINER(&f, "web", "image", "\"far\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        teardown(&f);
}

/* Somebody else makes one of the same name between our look and our deed. */
static bool interfering(FakeDocker *f, struct FakeClient *client, const char *method, const char *path) {
        if (f->n_times == 0 || !strstr(path, "/create?name="))
                return false;
        f->n_times--;
        fake_client_reply(client, 409, "{\"message\":\"the name is in use\"}");
        return true;
}

TEST(who_is_interfered_with_begins_again) {
        Fixture f;

        setup(&f);
        f.fake.intercept = interfering;
        f.fake.n_times = 2;
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        fake_container_remove(&f.fake, "web");
        f.fake.n_times = 1000;
        check_fails(&f, r, -EBUSY, "cannot create it: the name is in use");
        testhost_free(r);
        teardown(&f);
}

/* It goes while we are at it, and what docker says of that is an error like any other. */
static bool taking_away(FakeDocker *f, struct FakeClient *client, const char *method, const char *path) {
        if (f->n_times == 0 || !strstr(path, "/start"))
                return false;
        f->n_times--;
        fake_container_remove(f, "web");
        fake_client_reply(client, 500, "{\"message\":\"container state improper\"}");
        return true;
}

TEST(an_error_because_of_others_begins_again) {
        Fixture f;

        setup(&f);
        f.fake.intercept = taking_away;
        f.fake.n_times = 2;
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        CHECK_INT(f.fake.n_created, 3);
        CHECK_STR(status_of(&f, "web"), "running");
        testhost_free(r);
        teardown(&f);
}

static uint64_t now_msec(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

/* Where the machine stalls, the time may be over as soon as we look. */
TEST(one_that_ends_at_once_is_not_started_without_end) {
        Fixture f;

        setup(&f);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        fake_container(&f.fake, "web")->exit_code = 3;
        for (unsigned i = 0; i < 3; i++) {
                testhost_run(&f.host, 20);
                unsigned n = f.host.n_changed;
                uint64_t ended = now_msec();
                fake_container_set(&f.fake, "web", "exited", "die");
                CHECK(testhost_until_changed(&f.host, n, 20000));
                CHECK_INT(testhost_check(&f.host, r, false), CHECK_CHANGED);    /* a plan says what would be done */
                int k = testhost_check(&f.host, r, true);
                if (k == -EAGAIN) {
                        CHECK(strstr(f.host.reason, "it has ended right after its start, with 3; it is started again in 0."));
                        n = f.host.n_changed;
                        CHECK(testhost_until_changed(&f.host, n, 20000));
                        k = testhost_check(&f.host, r, true);
                }
                CHECK_INT(k, CHECK_CHANGED);
                CHECK(now_msec() - ended >= 100U << i);
        }
        CHECK_INT(f.fake.n_started, 4);

        /* it was not by itself */
        testhost_run(&f.host, 20);
        unsigned n = f.host.n_changed;
        fake_docker_event(&f.fake, "container", "kill", "web", NULL);
        fake_container_set(&f.fake, "web", "exited", "die");
        CHECK(testhost_until_changed(&f.host, n + 1, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        teardown(&f);
}

TEST(what_is_cancelled_is_silent) {
        Fixture f;

        setup(&f);
        f.fake.intercept = fake_intercept;
        f.fake.wanted = "/web/json";
        f.fake.n_times = 1;
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        f.host.finished = NOT_FINISHED;
        CHECK_INT(r->type->check_apply(r, true, NULL), CHECK_PENDING);
        testhost_run(&f.host, 50);
        r->type->cancel(r);
        testhost_run(&f.host, 50);
        CHECK_INT(f.host.finished, NOT_FINISHED);
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        teardown(&f);
}

/* It was just made, and its owner has not had the time yet. */
TEST(a_socket_that_may_not_be_used) {
        Fixture f;

        if (geteuid() == 0)
                TEST_SKIP("root may use every socket");
        setup(&f);
        CHECK(chmod(f.fake.path, 0) == 0);
        Resource *r = CONTAINER(&f, "web", "image", "\"app\"");
        CHECK_INT(testhost_watch(&f.host, r), 0);
        CHECK_INT(testhost_check(&f.host, r, true), -EAGAIN);
        CHECK(strstr(f.host.reason, "Permission denied"));
        unsigned n = f.host.n_changed;
        CHECK(chmod(f.fake.path, 0600) == 0);
        CHECK(testhost_until_changed(&f.host, n, 20000));
        CHECK_INT(testhost_check(&f.host, r, true), CHECK_CHANGED);
        testhost_free(r);
        teardown(&f);
}

TEST(fields_are_checked) {
        static const struct {
                const char *name, *field, *value, *message;
        } cases[] = {
                { "web", "state", "\"on\"", "state must be running, stopped or removed, got 'on'" },
                { "w", "state", "\"running\"", "name must be made of at least two of letters, digits, '_', '.' and '-', got 'w'" },
                { "a/b", "state", "\"running\"", "name must be made of at least two of letters, digits, '_', '.' and '-', got 'a/b'" },
                { "web", "image", "\"a b\"", "image must be the name of an image, got 'a b'" },
                { "web", "image", "\"../x\"", "image must be the name of an image, got '../x'" },
                { "web", "env", "[\"A\"]", "env must be made of NAME=value without blanks, got 'A'" },
                { "web", "env", "[\"A=b c\"]", "env must be made of NAME=value without blanks, got 'A=b c'" },
                { "web", "ports", "{\"icmp\" => {1 => 1}}", "ports must be of tcp, udp or sctp, got 'icmp'" },
                { "web", "ports", "{\"tcp\" => {0 => 1}}", "ports must be from 1 to 65535, got '0: 1'" },
                { "web", "ports", "{\"tcp\" => {1 => 65536}}", "ports must be from 1 to 65535, got '1: 65536'" },
                { "web", "volumes", "[\"/a\"]",
                  "volumes must be of the form source:/target or source:/target:ro, with an absolute path or a name as the source, got '/a'" },
                { "web", "volumes", "[\"a/b:/c\"]",
                  "volumes must be of the form source:/target or source:/target:ro, with an absolute path or a name as the source, got 'a/b:/c'" },
                { "web", "volumes", "[\"/a:/b:wo\"]",
                  "volumes must be of the form source:/target or source:/target:ro, with an absolute path or a name as the source, got '/a:/b:wo'" },
                { "web", "restart", "\"on-failure:0\"",
                  "restart must be no, always, unless-stopped, on-failure, on-failure:COUNT or empty, got 'on-failure:0'" },
                { "web", "apiversion", "\"1.41\"", "apiversion must be of the form v1.41, got '1.41'" },
                { "web", "apiversion", "\"v0.1\"", "apiversion must be of the form v1.41, got 'v0.1'" },
        };
        Fixture f;

        setup(&f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK(!CONTAINER(&f, cases[i].name, "image", "\"app\"", cases[i].field, cases[i].value));
                CHECK_STR(f.host.diag.message, cases[i].message);
        }
        CHECK(!IMAGE(&f, "a b", "state", "\"exists\""));
        CHECK(!IMAGE(&f, "app", "state", "\"running\""));
        CHECK_STR(f.host.diag.message, "state must be exists or absent, got 'running'");
        teardown(&f);
}

TEST_MAIN()
