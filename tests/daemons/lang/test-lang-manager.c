/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How mgmt-lang changes its program, against an engine and a mgmt-world that are played here: what they are told, in which order,
 * and what stays in force when they refuse, are silent, or come back from a crash. */

#include <fcntl.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <systemd/sd-event.h>

#include "common/ipc/channel.h"
#include "daemons/lang/lang-manager.h"
#include "tests/test.h"

enum { TURN_USEC = 10 * 1000, PATIENCE_SECONDS = 60 };

/* One played daemon: it counts and keeps what it heard. */
typedef struct Peer {
        Channel *channel;
        PeerId last;
        unsigned n_hello, n_begin, n_put, n_commit, n_add, n_watch;
        uint64_t generation, deploy, request;
        bool full, noop;
        uint32_t sema;
        char *resource;
        unsigned n_states;
        char state[256];        /* the last one: "deploy state text" */
} Peer;

typedef struct World {
        char directory[64];
        sd_event *event;
        Manager *manager;
        Peer engine, world;
        unsigned n_done;
        int error;
        uint64_t deploy;
        char *text;
} World;

static void peer_message(Channel *c, PeerId from, Message *m, void *userdata) {
        Peer *p = userdata;

        p->last = from;
        switch (m->type) {
        case MESSAGE_HELLO:
                p->n_hello++;
                CHECK_STR(m->hello.role, "lang");
                (void) channel_send(c, from, &(Message) { .type = MESSAGE_WELCOME,
                                                          .welcome = { .daemon = (char *) "test", .version = (char *) "1" } });
                break;
        case MESSAGE_GRAPH_BEGIN:
                p->n_begin++;
                p->n_put = 0;
                p->generation = m->graph_begin.generation;
                p->deploy = m->graph_begin.deploy;
                p->full = m->graph_begin.full;
                p->noop = m->graph_begin.noop;
                p->sema = m->graph_begin.sema;
                break;
        case MESSAGE_GRAPH_PUT:
                p->n_put++;
                free(p->resource);
                p->resource = TAKE_PTR(m->graph_put.resource.name);
                break;
        case MESSAGE_GRAPH_COMMIT:
                p->n_commit++;
                CHECK_INT(m->graph_commit.generation, p->generation);
                break;
        case MESSAGE_DEPLOY_WATCH:
                p->n_watch++;
                break;
        case MESSAGE_DEPLOY_ADD:
                p->n_add++;
                p->request = m->deploy_add.request;
                break;
        case MESSAGE_DEPLOY_STATE:
                p->n_states++;
                (void) snprintf(p->state, sizeof(p->state), "%llu %s%s %s", (unsigned long long) m->deploy_state.deploy, m->deploy_state.state,
                                m->deploy_state.in_force ? "" : ", not in force", m->deploy_state.text ?: "");
                break;
        default:
                TEST_FAIL("unexpected %s", message_name(m->type));
        }
}

static const ChannelOps peer_ops = { .message = peer_message };

static void peer_listen(World *w, Peer *p, const char *name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", w->directory, name);
        (void) unlink(address.sun_path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 || listen(fd, 16) < 0 ||
            channel_listen(&p->channel, w->event, fd, &peer_ops, p) < 0)
                abort();
}

static void peer_crash(World *w, Peer *p, const char *name) {
        channel_free(p->channel);
        free(p->resource);
        *p = (Peer) {};
        peer_listen(w, p, name);
}

static void accept_graph(Peer *p) {
        CHECK_INT(channel_send(p->channel, p->last, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED,
                                                                 .graph_accepted.generation = p->generation }), 0);
}

static void reject_graph(Peer *p, const char *text) {
        Message m = { .type = MESSAGE_GRAPH_REJECTED, .graph_rejected = { .generation = p->generation } };

        diag_set(&m.graph_rejected.diag, (Pos) { "/main.mcl", 1, 1, 1, 2 }, -EINVAL, "%s", text);
        CHECK_INT(channel_send(p->channel, p->last, &m), 0);
        diag_done(&m.graph_rejected.diag);
}

/* ---- the world around a manager ---- */

static void world_start(World *w) {
        *w = (World) { .directory = "/tmp/mgmt-test-lang-XXXXXX" };
        if (!mkdtemp(w->directory) || setenv("MGMT_RUNTIME_DIR", w->directory, 1) < 0 || sd_event_new(&w->event) < 0)
                abort();
        peer_listen(w, &w->engine, "engine");
        peer_listen(w, &w->world, "world");
        if (manager_new(&w->manager, w->event, "testhost") < 0)
                abort();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void world_end(World *w) {
        manager_free(w->manager);
        channel_free(w->engine.channel);
        channel_free(w->world.channel);
        free(w->engine.resource);
        free(w->world.resource);
        free(w->text);
        sd_event_unref(w->event);
        (void) nftw(w->directory, remove_entry, 8, FTW_DEPTH|FTW_PHYS);
}

/* Runs the loop until the number is reached; a little longer, so that more would show. */
static bool run_until(World *w, const unsigned *counter, unsigned want) {
        for (time_t end = time(NULL) + PATIENCE_SECONDS; *counter < want && time(NULL) < end;)
                (void) sd_event_run(w->event, TURN_USEC);
        for (int i = 0; i < 3; i++)
                (void) sd_event_run(w->event, TURN_USEC);
        return *counter == want;
}

static void on_done(void *userdata, int error, uint64_t deploy, const Diag *d) {
        World *w = userdata;

        w->n_done++;
        w->error = error;
        w->deploy = deploy;
        free(w->text);
        w->text = d && d->message ? strdup(d->message) : NULL;
}

static Value make_bundle_of(const char *text) {
        Value items[4], ret = {};

        if (value_strz(&items[0], "/metadata.yaml") < 0 || value_strz(&items[1], "main: main.mcl\n") < 0 ||
            value_strz(&items[2], "/main.mcl") < 0 || value_strz(&items[3], text) < 0 || value_map(&ret, items, 2) < 0)
                abort();
        return ret;
}

static Value make_bundle(const char *name) {
        char text[256];

        snprintf(text, sizeof(text), "print \"%s\" {\n        msg => \"hello\",\n}\n", name);
        return make_bundle_of(text);
}

static int change_to(World *w, Value bundle, bool store, Diag *reterr) {
        DeployOptions o = {};

        if (deploy_options_from_value(&o, VALUE_NIL, NULL) < 0)
                abort();
        return manager_change(w->manager, bundle, &o, 0, store, on_done, w, reterr);
}

static int change(World *w, const char *name, bool store, Diag *reterr) {
        return change_to(w, make_bundle(name), store, reterr);
}

TEST(options_have_defaults_types_and_limits) {
        DeployOptions o = {}, again = {};
        _cleanup_(value_done) Value v = {}, text = {};
        _cleanup_(diag_done) Diag d = {}, d2 = {};

        REQUIRE(deploy_options_from_value(&o, VALUE_NIL, NULL) == 0);
        CHECK(!o.noop && o.sema == 0 && o.autoedge && o.autogroup);
        CHECK_STR(o.source, "");
        CHECK_INT(deploy_options_set(&o, "sema", VALUE_INT(7), NULL), 0);
        CHECK_INT(deploy_options_set(&o, "autoedge", VALUE_BOOL(false), NULL), 0);
        CHECK(deploy_options_set(&o, "sema", VALUE_INT(-1), &d) < 0 && d.message);
        CHECK(deploy_options_set(&o, "nonsense", VALUE_INT(1), &d2) == -EINVAL && d2.message);
        CHECK(deploy_options_set(&o, "noop", VALUE_INT(1), NULL) < 0);
        REQUIRE(deploy_options_to_value(&o, &v) == 0);
        REQUIRE(deploy_options_from_value(&again, v, NULL) == 0);
        CHECK(again.sema == 7 && !again.autoedge && again.autogroup);
        deploy_options_done(&o);
        deploy_options_done(&again);
        REQUIRE(value_strz(&text, "x") == 0);
        CHECK(deploy_options_from_value(&o, text, NULL) < 0);
}

TEST(a_program_is_in_force_when_the_engine_has_accepted_it) {
        World w;
        world_start(&w);

        CHECK_INT(change(&w, "one", false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.engine.full);
        CHECK_INT(w.engine.n_put, 1);
        CHECK_STR(w.engine.resource, "one");
        CHECK(!w.manager->current);
        CHECK_INT(w.n_done, 0);

        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.n_done, 1));
        CHECK_INT(w.error, 0);
        CHECK(w.manager->current);
        CHECK_INT(w.world.n_hello, 0);          /* nobody needed mgmt-world */
        world_end(&w);
}

TEST(a_rejected_program_leaves_the_one_before_in_force) {
        World w;
        world_start(&w);

        CHECK_INT(change(&w, "one", false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.n_done, 1));
        Deployed *before = w.manager->current;

        CHECK_INT(change(&w, "two", true, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        reject_graph(&w.engine, "not like this");
        CHECK(run_until(&w, &w.n_done, 2));
        CHECK_INT(w.error, -EINVAL);
        CHECK_STR(w.text, "not like this");
        CHECK(w.manager->current == before);
        CHECK(w.manager->last_error && strstr(w.manager->last_error, "/main.mcl:1:1: not like this"));
        CHECK_INT(w.world.n_add, 0);            /* only what runs is kept */

        /* An engine that comes back gets the one in force. */
        peer_crash(&w, &w.engine, "engine");
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK_STR(w.engine.resource, "one");
        world_end(&w);
}

TEST(a_program_that_does_not_compile_reaches_nobody) {
        World w;
        world_start(&w);
        _cleanup_(diag_done) Diag d = {};

        CHECK(change(&w, "a\" {} nonsense \"", false, &d) < 0);
        CHECK(d.message && strstr(d.message, "/main.mcl:1:"));
        CHECK(w.manager->last_error);
        for (int i = 0; i < 3; i++)
                (void) sd_event_run(w.event, TURN_USEC);
        CHECK_INT(w.engine.n_hello, 0);
        CHECK_INT(w.n_done, 0);
        world_end(&w);
}

TEST(the_newer_of_two_wins) {
        World w;
        world_start(&w);

        CHECK_INT(change(&w, "one", false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        uint64_t old = w.engine.generation;
        CHECK_INT(change(&w, "two", false, NULL), 0);
        CHECK_INT(w.n_done, 1);
        CHECK_INT(w.error, -ESTALE);
        CHECK(run_until(&w, &w.engine.n_commit, 2));

        /* The answer to the older one says nothing about the newer. */
        CHECK_INT(channel_send(w.engine.channel, w.engine.last, &(Message) { .type = MESSAGE_GRAPH_ACCEPTED,
                                                                             .graph_accepted.generation = old }), 0);
        CHECK(run_until(&w, &w.n_done, 1));
        CHECK(!w.manager->current);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.n_done, 2));
        CHECK_INT(w.error, 0);
        CHECK_STR(w.engine.resource, "two");
        world_end(&w);
}

TEST(an_engine_that_crashes_is_told_again) {
        World w;
        world_start(&w);

        CHECK_INT(change(&w, "one", false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        peer_crash(&w, &w.engine, "engine");    /* before it answered */
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.engine.full);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.n_done, 1));

        peer_crash(&w, &w.engine, "engine");    /* and after */
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK_STR(w.engine.resource, "one");
        accept_graph(&w.engine);

        /* One that has lost its graph asks. */
        CHECK_INT(channel_send(w.engine.channel, w.engine.last, &(Message) { .type = MESSAGE_GRAPH_WANTED }), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        CHECK(w.engine.full);
        CHECK_INT(w.n_done, 1);
        world_end(&w);
}

TEST(a_deploy_is_kept_after_it_was_accepted) {
        World w;
        world_start(&w);

        CHECK_INT(change(&w, "one", true, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK_INT(w.world.n_add, 0);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.world.n_add, 1));
        CHECK_INT(w.n_done, 0);

        peer_crash(&w, &w.world, "world");      /* before it answered */
        CHECK(run_until(&w, &w.world.n_add, 1));
        Message added = { .type = MESSAGE_DEPLOY_ADDED, .deploy_added = { .request = w.world.request, .deploy = 42 } };
        CHECK_INT(channel_send(w.world.channel, w.world.last, &added), 0);
        CHECK(run_until(&w, &w.n_done, 1));
        CHECK_INT(w.error, 0);
        CHECK_INT(w.deploy, 42);

        /* The engine learns the number, by a set that changes nothing. */
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        CHECK_INT(w.engine.deploy, 42);
        CHECK(!w.engine.full);
        CHECK_INT(w.engine.n_put, 0);
        world_end(&w);
}

TEST(a_deploy_that_cannot_be_kept_is_an_error) {
        World w;
        world_start(&w);
        Message added = { .type = MESSAGE_DEPLOY_ADDED };

        CHECK_INT(change(&w, "one", true, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.world.n_add, 1));
        added.deploy_added.request = w.world.request;
        diag_set(&added.deploy_added.diag, (Pos) {}, -ENOSPC, "the disk is full");
        CHECK_INT(channel_send(w.world.channel, w.world.last, &added), 0);
        diag_done(&added.deploy_added.diag);
        CHECK(run_until(&w, &w.n_done, 1));
        CHECK_INT(w.error, -ENOSPC);
        CHECK(w.text && strstr(w.text, "the disk is full"));
        world_end(&w);
}

static void send_deploy(World *w, uint64_t id, const char *name, bool noop) {
        Message m = { .type = MESSAGE_DEPLOY, .deploy = { .deploy = id } };
        DeployOptions o = {};

        if (id > 0) {
                m.deploy.bundle = make_bundle(name);
                if (deploy_options_from_value(&o, VALUE_NIL, NULL) < 0 ||
                    deploy_options_set(&o, "noop", VALUE_BOOL(noop), NULL) < 0 ||
                    deploy_options_to_value(&o, &m.deploy.options) < 0)
                        abort();
                deploy_options_done(&o);
        }
        CHECK_INT(channel_send(w->world.channel, w->world.last, &m), 0);
        message_done(&m);
}

TEST(the_newest_deploy_runs) {
        World w;
        world_start(&w);

        CHECK_INT(manager_watch_deploys(w.manager), 0);
        CHECK(run_until(&w, &w.world.n_watch, 1));
        send_deploy(&w, 0, NULL, false);
        CHECK(run_until(&w, &w.engine.n_commit, 0));
        send_deploy(&w, 3, "three", true);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK_INT(w.engine.deploy, 3);
        CHECK(w.engine.noop);

        /* One that comes meanwhile waits; of two, the newer. */
        send_deploy(&w, 4, "four", false);
        send_deploy(&w, 5, "five", false);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        CHECK_INT(w.engine.deploy, 5);
        CHECK_STR(w.engine.resource, "five");
        accept_graph(&w.engine);

        /* Told again (it was restarted), or of an older one: nothing happens. */
        peer_crash(&w, &w.world, "world");
        CHECK(run_until(&w, &w.world.n_watch, 1));
        send_deploy(&w, 5, "five", false);
        send_deploy(&w, 2, "two", false);
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        CHECK(w.manager->current && w.manager->current->deploy == 5);
        world_end(&w);
}

static void tell_state(World *w, bool converged, uint32_t n_failed, const char *text) {
        Message m = { .type = MESSAGE_GRAPH_STATE,
                      .graph_state = { .generation = w->engine.generation, .converged = converged, .failed = n_failed } };

        if (text)
                diag_set(&m.graph_state.diag, (Pos) {}, -EIO, "%s", text);
        CHECK_INT(channel_send(w->engine.channel, w->engine.last, &m), 0);
        diag_done(&m.graph_state.diag);
}

TEST(what_becomes_of_a_deploy_is_told) {
        World w;
        world_start(&w);

        CHECK_INT(manager_watch_deploys(w.manager), 0);
        CHECK(run_until(&w, &w.world.n_watch, 1));
        send_deploy(&w, 3, "three", false);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK_INT(w.world.n_states, 0);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.world.n_states, 1));
        CHECK_STR(w.world.state, "3 accepted ");
        tell_state(&w, true, 0, NULL);
        CHECK(run_until(&w, &w.world.n_states, 2));
        CHECK_STR(w.world.state, "3 converged ");

        /* A repair is no news; a failure is. */
        tell_state(&w, false, 0, NULL);
        tell_state(&w, true, 0, NULL);
        CHECK(run_until(&w, &w.world.n_states, 2));
        tell_state(&w, false, 2, "exec[x]: no");
        CHECK(run_until(&w, &w.world.n_states, 3));
        CHECK_STR(w.world.state, "3 failed exec[x]: no");
        tell_state(&w, false, 0, NULL);
        CHECK(run_until(&w, &w.world.n_states, 3));
        tell_state(&w, true, 0, NULL);
        CHECK(run_until(&w, &w.world.n_states, 4));
        CHECK_STR(w.world.state, "3 converged ");

        /* One that the engine does not want, one that does not compile; after them, what is there counts once more. */
        send_deploy(&w, 4, "four", false);
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        reject_graph(&w.engine, "not like this");
        CHECK(run_until(&w, &w.world.n_states, 5));
        CHECK_STR(w.world.state, "4 refused, not in force /main.mcl:1:1: not like this");
        send_deploy(&w, 5, "x\" {} nonsense \"", false);
        CHECK(run_until(&w, &w.world.n_states, 6));
        CHECK(startswith(w.world.state, "5 refused, not in force /main.mcl:1:"));

        /* It is said again to a mgmt-world that comes back. */
        peer_crash(&w, &w.world, "world");
        CHECK(run_until(&w, &w.world.n_states, 1));
        CHECK(startswith(w.world.state, "5 refused, not in force /main.mcl:1:"));

        /* The same program under another number: the engine hears of the number alone. */
        send_deploy(&w, 6, "three", false);
        CHECK(run_until(&w, &w.engine.n_commit, 3));
        CHECK(!w.engine.full);
        CHECK_INT(w.engine.deploy, 6);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.world.n_states, 2));
        CHECK_STR(w.world.state, "6 converged ");

        /* A mgmt-world that counts anew. */
        send_deploy(&w, 0, NULL, false);
        CHECK(run_until(&w, &w.engine.n_commit, 4));
        CHECK_INT(w.engine.deploy, 0);
        accept_graph(&w.engine);
        send_deploy(&w, 2, "two", false);
        CHECK(run_until(&w, &w.engine.n_commit, 5));
        CHECK_INT(w.engine.deploy, 2);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.world.n_states, 3));
        CHECK_STR(w.world.state, "2 accepted ");
        world_end(&w);
}

TEST(what_is_meant_for_other_hosts_is_refused) {
        World w;
        world_start(&w);
        _cleanup_(diag_done) Diag d = {};
        _cleanup_(value_done) Value hosts = {};
        DeployOptions o = {};

        CHECK(deploy_options_from_value(&o, VALUE_NIL, NULL) == 0);
        CHECK(deploy_hosts_have(o.hosts, "testhost") && deploy_hosts_have(o.hosts, ""));
        CHECK(value_strz(&hosts, "test,testhost2,thetesthost") == 0 && deploy_options_set(&o, "hosts", hosts, NULL) == 0);
        CHECK(!deploy_hosts_have(o.hosts, "testhost") && deploy_hosts_have(o.hosts, "test") && deploy_hosts_have(o.hosts, "thetesthost") && !deploy_hosts_have(o.hosts, ""));
        CHECK_INT(manager_change(w.manager, make_bundle("one"), &o, 0, false, on_done, &w, &d), -EPERM);
        CHECK_STR(d.message, "it is meant for other hosts (test,testhost2,thetesthost)");
        world_end(&w);
}

/* ---- programs whose values change ---- */

/* sys.uptime stands for whatever comes from outside: it says what the test says. */
static struct {
        Source *source;
        int64_t value;
        bool silent;            /* it does not answer at once */
} outside;

static int outside_open(Source *s, Diag *reterr) {
        outside.source = s;
        if (!outside.silent)
                source_set(s, VALUE_INT(outside.value));
        return 0;
}

static void outside_close(Source *s) {
        outside.source = NULL;
}

static const SourceType *find_outside(const char *function) {
        static const SourceType type = {
                .name = "sys.uptime", .size = sizeof(Source), .open = outside_open, .close = outside_close,
        };

        return streq(function, type.name) ? &type : NULL;
}

static void say(int64_t value) {
        outside.value = value;
        if (outside.source)
                source_set(outside.source, VALUE_INT(value));
}

/* What is of the number, and something that it does not concern. */
#define COUNTER "import \"sys\"\n$n = sys.uptime()\nprint \"still\" {}\ntest \"x\" {\n\tint64 => $n,\n\tfloat64 => 1 / $n,\n}\n"

static void counter_world(World *w, int64_t value, bool silent) {
        world_start(w);
        w->manager->programs.source = find_outside;
        outside.value = value;
        outside.silent = silent;
}

static bool run_counter(World *w) {
        counter_world(w, 1, false);
        CHECK_INT(change_to(w, make_bundle_of(COUNTER), false, NULL), 0);
        if (!run_until(w, &w->engine.n_commit, 1))
                return false;
        CHECK(w->engine.full);
        CHECK_INT(w->engine.n_put, 2);
        accept_graph(&w->engine);
        return run_until(w, &w->n_done, 1);
}

TEST(only_what_changed_goes_to_the_engine) {
        World w;

        REQUIRE(run_counter(&w));
        for (unsigned i = 2; i < 4; i++) {
                say(i);
                REQUIRE(run_until(&w, &w.engine.n_commit, i));
                CHECK(!w.engine.full);
                CHECK_INT(w.engine.n_put, 1);
                CHECK_STR(w.engine.resource, "x");
                accept_graph(&w.engine);
        }
        say(3);
        CHECK(run_until(&w, &w.engine.n_commit, 3));
        world_end(&w);
        CHECK(!outside.source);
}

TEST(changes_are_gathered_while_the_engine_is_busy) {
        World w;

        REQUIRE(run_counter(&w));
        for (unsigned i = 2; i < 6; i++) {
                say(i);
                CHECK(run_until(&w, &w.engine.n_commit, 2));
        }
        accept_graph(&w.engine);
        REQUIRE(run_until(&w, &w.engine.n_commit, 3));
        CHECK_INT(w.engine.n_put, 1);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.engine.n_commit, 3));
        world_end(&w);
}

TEST(after_a_refusal_the_whole_graph_goes_out) {
        World w;

        REQUIRE(run_counter(&w));
        say(2);
        REQUIRE(run_until(&w, &w.engine.n_commit, 2));
        reject_graph(&w.engine, "not like this");
        CHECK(run_until(&w, &w.engine.n_commit, 2));
        CHECK(w.manager->current->error && strstr(w.manager->current->error, "not like this"));
        say(3);
        REQUIRE(run_until(&w, &w.engine.n_commit, 3));
        CHECK(!w.manager->current->error);
        CHECK(w.engine.full);
        CHECK_INT(w.engine.n_put, 2);
        accept_graph(&w.engine);
        say(4);
        REQUIRE(run_until(&w, &w.engine.n_commit, 4));
        CHECK(!w.engine.full);
        world_end(&w);
}

TEST(an_engine_that_comes_back_gets_what_changed_meanwhile) {
        World w;

        REQUIRE(run_counter(&w));
        say(2);
        REQUIRE(run_until(&w, &w.engine.n_commit, 2));
        peer_crash(&w, &w.engine, "engine");    /* before it answered */
        say(3);
        REQUIRE(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.engine.full);
        accept_graph(&w.engine);
        say(4);
        REQUIRE(run_until(&w, &w.engine.n_commit, 2));
        CHECK(!w.engine.full);
        world_end(&w);
}

TEST(a_program_that_fails_while_it_runs_stays_in_force) {
        World w;

        REQUIRE(run_counter(&w));
        say(0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.manager->current->error && strstr(w.manager->current->error, "/main.mcl:6:"));
        say(1);
        CHECK(run_until(&w, &w.engine.n_commit, 1));    /* it is as it was */
        CHECK(!w.manager->current->error);
        say(0);
        say(2);
        CHECK(run_until(&w, &w.engine.n_commit, 2));    /* one wave for what comes together */
        CHECK(!w.manager->current->error);
        world_end(&w);
}

TEST(a_program_whose_values_are_not_there_yet_waits) {
        World w;

        counter_world(&w, 0, true);
        CHECK_INT(change_to(&w, make_bundle_of(COUNTER), false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 0));
        CHECK_INT(w.n_done, 0);
        say(7);
        REQUIRE(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.engine.full);
        accept_graph(&w.engine);
        CHECK(run_until(&w, &w.n_done, 1));

        /* The one before goes on while the next one waits, and stays if that one fails. */
        CHECK_INT(change_to(&w, make_bundle_of(COUNTER "print \"more\" {}\n"), false, NULL), 0);
        CHECK(run_until(&w, &w.engine.n_commit, 1));
        Deployed *before = w.manager->current;
        say(0);
        CHECK(run_until(&w, &w.n_done, 2));
        CHECK(w.error < 0 && w.text && strstr(w.text, "divide by zero"));
        CHECK(w.manager->current == before);
        world_end(&w);
}

TEST(a_deploy_that_cannot_start_after_a_boot_goes_on_trying) {
        Message m = { .type = MESSAGE_DEPLOY, .deploy = { .deploy = 7 } };
        DeployOptions o = {};
        World w;

        counter_world(&w, 0, false);
        CHECK_INT(manager_watch_deploys(w.manager), 0);
        REQUIRE(run_until(&w, &w.world.n_watch, 1));
        m.deploy.bundle = make_bundle_of(COUNTER);
        if (deploy_options_from_value(&o, VALUE_NIL, NULL) < 0 || deploy_options_to_value(&o, &m.deploy.options) < 0)
                abort();
        deploy_options_done(&o);
        CHECK_INT(channel_send(w.world.channel, w.world.last, &m), 0);
        CHECK(run_until(&w, &w.world.n_states, 1));
        CHECK_STR(w.world.state, "7 failed /main.mcl:6:13: can't divide by zero");
        CHECK_INT(w.engine.n_commit, 0);
        CHECK(w.manager->current && w.manager->current->error);

        /* Under another number it is the same, and still has no graph. */
        m.deploy.deploy = 8;
        CHECK_INT(channel_send(w.world.channel, w.world.last, &m), 0);
        message_done(&m);
        CHECK(run_until(&w, &w.world.n_states, 2));
        CHECK(startswith(w.world.state, "8 failed /main.mcl:6:13:"));
        CHECK_INT(w.engine.n_commit, 0);

        say(1);
        REQUIRE(run_until(&w, &w.engine.n_commit, 1));
        CHECK(w.engine.full);
        CHECK_INT(w.engine.deploy, 8);
        CHECK(!w.manager->current->error);
        accept_graph(&w.engine);
        tell_state(&w, true, 0, NULL);
        CHECK(run_until(&w, &w.world.n_states, 3));
        CHECK_STR(w.world.state, "8 converged ");
        world_end(&w);
}

TEST_MAIN()
