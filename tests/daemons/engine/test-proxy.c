/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Kinds of another daemon: a worker, as that daemon would have it, runs in this process behind a real socket. It hosts probes,
 * which write into the same trace. */

#include <sys/socket.h>
#include <sys/un.h>

#include "common/edge-rule.h"
#include "common/ipc/worker.h"
#include "common/schema.h"
#include "daemons/engine/drift.h"
#include "tests/daemons/engine/engine-test.h"

static const EdgeRule remote_edges[] = {
        { .domain = "path", .field = "group", .after = "pair last" },
        { .domain = "image", .field = "pair", .offers = true, .image = true },
        { .domain = "image", .field = "group", .image = true },
        {}
};

static const ResourceType remote_type = PROBE_TYPE("remote", RESOURCE_REFRESHABLE, .edges = remote_edges);
static const ResourceType farm_type = PROBE_TYPE("farm", 0);
static const ResourceType cow_type = PROBE_TYPE("farm:cow", 0, .parent_field = "group");

static const ResourceType *const remote_types[] = { &remote_type, &farm_type, &cow_type, NULL };

typedef struct Remote {
        Worker *worker;
        Channel *channel;
        char path[108];
} Remote;

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Remote *remote = userdata;

        if (!worker_message(remote->worker, c, peer, m))
                TEST_FAIL("the worker was sent %s", message_name(m->type));
}

static const ChannelOps ops = { .message = on_message };

static int remote_start(Remote *remote, Engine *e) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int r;

        (void) unlink(remote->path);
        memcpy(a.sun_path, remote->path, sizeof(a.sun_path));
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 16) < 0)
                return -errno;
        r = worker_new(&remote->worker, e->event, remote_types, e->dir, NULL);
        return r < 0 ? r : channel_listen(&remote->channel, e->event, TAKE_FD(fd), &ops, remote);
}

static void remote_stop(Remote *remote) {
        remote->worker = worker_free(remote->worker);
        remote->channel = channel_free(remote->channel);
}

static char description_dir[sizeof("/tmp/test-proxy-XXXXXX")];

static int begin(Engine *e, Remote *remote) {
        static char json[128];
        int r;

        *e = (Engine) {};
        *remote = (Remote) {};
        (void) snprintf(description_dir, sizeof(description_dir), "/tmp/test-proxy-XXXXXX");
        if (!mkdtemp(description_dir))
                return -errno;
        (void) snprintf(json, sizeof(json), "%s/kinds.json", description_dir);
        FILE *f = fopen(json, "we");
        if (!f)
                return -errno;
        r = schema_describe(f, "http", remote_types);
        (void) fclose(f);
        kinds_path = json;
        if (r >= 0)
                r = engine_begin_with(e, probe_types, &no_options);
        (void) setenv("MGMT_RUNTIME_DIR", e->dir, 1);
        (void) snprintf(remote->path, sizeof(remote->path), "%s/http.sock", e->dir);
        return r;
}

static void end(Engine *e, Remote *remote) {
        remote_stop(remote);
        engine_end(e);
        (void) remove_tree(description_dir);
        kinds_path = NULL;
}

typedef struct Both {
        Engine e;
        Remote remote;
} Both;

static void both_end(Both *b) {
        end(&b->e, &b->remote);
}

#define BOTH(b) \
        __attribute__((__cleanup__(both_end))) Both b; \
        REQUIRE(begin(&b.e, &b.remote) >= 0)

/* Messages take their time: runs until all is settled, and whatever may still come has come. */
static void settle(Both *b) {
        (void) RUN_UNTIL(&b->e, b->e.m->scheduler.n_unsettled == 0);
        run_for(&b->e, 10000);
}

/* Whether it comes to that. */
static bool wait_state(Both *b, const char *id, const char *state) {
        return RUN_UNTIL(&b->e, streq(state_of(&b->e, id), state));
}

TEST(order_across_daemons) {
        static const struct {
                const char *graph, *trace;
        } cases[] = {
                { "remote.a b remote.c remote.a>b b>remote.c", "a b c" },
                { "a:always remote.b a=>remote.b", "a+ b*" },
                { "remote.a:always b remote.a=>b", "a+ b*" },
                { "remote.a:noop b remote.a>b", "a b" },
                { "remote.a:out=7 b remote.a~>b", "a b<7 b" },
                { "a:out=7 remote.b a~>remote.b", "a b<7 b" },
                { "farm.a farm_cow.b farm_cow.c:group=a d farm_cow.b>d", "b c a d" },
                { "remote.a:hidden b remote.a>b", "b" },
                { "remote.a:poll=-1,late", "a" },
                /* edges that its description derives, with what is here and with its equals */
                { "remote.b:group=/z /z", "/z b" },
                { "remote.b:group=/z,pair=last /z", "b /z" },
                { "remote.a:group=app remote.b:pair=docker.io/library/app:latest", "b a" },
                { "remote.a:pair=app remote.b:group=app:latest", "a b" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                BOTH(b);
                REQUIRE(remote_start(&b.remote, &b.e) >= 0);
                CHECK_INT(swap(&b.e, true, cases[i].graph), 0);
                settle(&b);
                CHECK_TRACE(cases[i].trace);
                CHECK_INT(b.e.m->scheduler.n_unsettled, 0);
        }
}

/* What is found wrong elsewhere, and what cannot be known, is known here. */
TEST(differences_come_back) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);
        set(world.drift, "a", 1);
        set(world.drift, "d", 1);
        set(world.failures, "c", 1);
        CHECK_INT(swap(&b.e, true, "remote.a:secretive,noop b:noop remote.c:noop remote.d:right remote.a~>b remote.a>remote.c"), 0);
        settle(&b);

        _cleanup_free_ char *a = drift_text(find_vertex(&b.e, "remote.a"), true);
        CHECK_STR(a, "param: drifted -> secretive");
        _cleanup_free_ char *text = drift_text(find_vertex(&b.e, "b"), true);
        CHECK_STR(text, "in cannot be known yet: remote[a] has to send it first");
        _cleanup_free_ char *c = drift_text(find_vertex(&b.e, "remote.c"), true);
        CHECK_STR(c, "cannot be known yet: told to fail");
        CHECK_STR(find_vertex(&b.e, "remote.d")->last_change, "param");
        CHECK_INT(b.e.m->scheduler.n_unsettled, 0);
}

/* A daemon that is not there tells nothing, so nothing is guessed. */
TEST(an_absent_daemon_is_no_excuse) {
        BOTH(b);
        set(world.drift, "a", 1);
        CHECK_INT(swap(&b.e, true, "a:right,noop remote.b:noop a>remote.b"), 0);
        run_for(&b.e, 30000);
        CHECK_STR(state_of(&b.e, "remote.b"), "waiting");
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);
        settle(&b);
        CHECK_STR(state_of(&b.e, "remote.b"), "ok");
}

TEST(failures_come_back_with_their_text) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);

        set(world.failures, "a", 2);
        CHECK_INT(swap(&b.e, true, "remote.a:retry=1 b remote.a>b"), 0);
        CHECK(wait_state(&b, "remote.a", "failed"));
        run_for(&b.e, 10000);
        CHECK_TRACE("a! a!");
        CHECK_STR(find_vertex(&b.e, "remote.a")->error.message, "told to fail");
        CHECK_INT(swap(&b.e, true, "remote.c:invalid remote.d:nowatch"), 0);
        settle(&b);
        CHECK_STR(find_vertex(&b.e, "remote.c")->error.message, "told to be invalid");
        CHECK_STR(find_vertex(&b.e, "remote.d")->error.message, "told not to watch");
}

TEST(the_daemon_comes_later) {
        BOTH(b);

        CHECK_INT(swap(&b.e, true, "remote.a b c remote.a>b"), 0);
        run_for(&b.e, 30000);
        CHECK_TRACE("c");
        CHECK_STR(state_of(&b.e, "remote.a"), "waiting");
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);
        settle(&b);
        CHECK_TRACE("a b");
}

TEST(a_crash_is_no_failure) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);

        CHECK_INT(swap(&b.e, true, "remote.a:pending remote.x farm.f farm_cow.g b remote.a>b"), 0);
        CHECK(wait_state(&b, "remote.a", "running"));
        remote_stop(&b.remote);
        CHECK(wait_state(&b, "remote.a", "waiting"));
        strbuf_done(&world.trace);
        CHECK_STR(find_vertex(&b.e, "remote.a")->error.message, "mgmt-http is not there");
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);
        CHECK(wait_state(&b, "remote.a", "running"));
        CHECK(wait_state(&b, "remote.x", "ok"));
        CHECK(RUN_UNTIL(&b.e, worker_n_resources(b.remote.worker) == 4));
        CHECK(RUN_UNTIL(&b.e, world.trace.data && strstr(world.trace.data, "a?")));
        CHECK_INT(find_vertex(&b.e, "remote.a")->failures, 0);
}

TEST(events_cancel_and_removal) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);

        CHECK_INT(swap(&b.e, true, "remote.a:pending,timeout=50 remote.b"), 0);
        CHECK(RUN_UNTIL(&b.e, world.trace.data && strstr(world.trace.data, "a?") && strstr(world.trace.data, "a/")));
        CHECK(wait_state(&b, "remote.a", "failed"));
        CHECK_STR(find_vertex(&b.e, "remote.a")->error.message, "timeout after 0.05 seconds");
        CHECK_INT(proxies_n_connections(b.e.m->proxies), 1);
        CHECK_INT(worker_n_resources(b.remote.worker), 2);
        CHECK_INT(swap(&b.e, false, "-remote.a"), 0);
        CHECK(RUN_UNTIL(&b.e, worker_n_resources(b.remote.worker) == 1));
        CHECK_INT(swap(&b.e, false, "-remote.b c"), 0);
        CHECK(RUN_UNTIL(&b.e, worker_n_resources(b.remote.worker) == 0));
        CHECK(RUN_UNTIL(&b.e, proxies_n_connections(b.e.m->proxies) == 0));
        CHECK_INT(swap(&b.e, false, "remote.d"), 0);
        settle(&b);
        CHECK_STR(state_of(&b.e, "remote.d"), "ok");
}

TEST(another_engine_finds_things_running) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);

        CHECK_INT(swap(&b.e, true, "remote.a:quiet remote.b:quiet farm.f farm_cow.g:quiet"), 0);
        settle(&b);
        strbuf_done(&world.trace);
        /* Not engine_stop(): the worker lives on the same loop. */
        b.e.m = manager_free(b.e.m);
        run_for(&b.e, 30000);
        CHECK_TRACE("");
        REQUIRE(manager_new(&b.e.m, b.e.event, probe_types, b.e.dir, NULL, &no_options) >= 0);
        CHECK(!b.e.m->proxies);
        b.e.m = manager_free(b.e.m);
        char json[160];
        (void) snprintf(json, sizeof(json), "%s/kinds.json", b.e.dir);
        FILE *f = fopen(json, "we");
        REQUIRE(f);
        CHECK_INT(schema_describe(f, "http", remote_types), 0);
        (void) fclose(f);
        REQUIRE(manager_new(&b.e.m, b.e.event, probe_types, b.e.dir, json, &no_options) >= 0);
        CHECK_INT(swap(&b.e, true, "remote.a:quiet farm.f farm_cow.g:quiet"), 0);
        settle(&b);
        char *text = strbuf_take(&world.trace);
        CHECK(!strstr(text, "watch:a") && !strstr(text, "watch:g"));    /* kept */
        CHECK(strstr(text, "unwatch:b done:b"));                        /* wanted no more */
        free(text);
        CHECK_INT(worker_n_resources(b.remote.worker), 3);
}

TEST(the_description_is_missing) {
        BOTH(b);

        (void) remove_tree(description_dir);
        CHECK_INT(swap(&b.e, true, "remote.a"), -ENOENT);
        CHECK_INT(swap(&b.e, true, "a"), 0);            /* who needs no other daemon is not concerned */
        settle(&b);
        CHECK_STR(state_of(&b.e, "a"), "ok");
}

TEST(groups_change) {
        BOTH(b);
        REQUIRE(remote_start(&b.remote, &b.e) >= 0);

        CHECK_INT(swap(&b.e, true, "farm.f farm_cow.a farm_cow.b"), 0);
        settle(&b);
        CHECK_TRACE("a b f");
        CHECK_INT(swap(&b.e, false, "-farm_cow.a farm_cow.c x farm_cow.c>x"), 0);
        settle(&b);
        CHECK_TRACE("b c f x");
        CHECK_INT(worker_n_resources(b.remote.worker), 3);
        CHECK_INT(swap(&b.e, false, "-farm.f"), 0);
        settle(&b);
        CHECK_INT(world.trace.size, strlen("b c"));     /* by themselves, in any order, as nothing holds them */
        CHECK_STR(state_of(&b.e, "farm_cow.b"), "ok");
        CHECK_STR(state_of(&b.e, "farm_cow.c"), "ok");
        CHECK_INT(worker_n_resources(b.remote.worker), 2);
}

TEST_MAIN()
