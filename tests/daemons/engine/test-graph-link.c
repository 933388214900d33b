/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The socket: a client sends a graph of real resources, sees it accepted or rejected, and what comes of it. */

#include <sys/socket.h>
#include <sys/un.h>

#include "daemons/engine/graph-link.h"
#include "daemons/engine/kinds.h"
#include "tests/daemons/engine/engine-test.h"

typedef struct Client {
        Channel *channel;
        bool connected;
        unsigned n_accepted, n_rejected, n_wanted, n_errors;
        char *rejection;
        StrBuf events;          /* "type kind[name] state" per line */
        StrBuf states;          /* "generation converged failed text" per line */
} Client;

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        Client *client = userdata;

        switch (m->type) {
        case MESSAGE_GRAPH_ACCEPTED:
                client->n_accepted++;
                break;
        case MESSAGE_GRAPH_REJECTED:
                client->n_rejected++;
                free(client->rejection);
                client->rejection = diag_text(&m->graph_rejected.diag);
                break;
        case MESSAGE_GRAPH_WANTED:
                client->n_wanted++;
                break;
        case MESSAGE_ERROR:
                client->n_errors++;
                break;
        case MESSAGE_GRAPH_STATE:
                strbuf_printf(&client->states, "%llu %s %u %s\n", (unsigned long long) m->graph_state.generation,
                              m->graph_state.converged ? "converged" : "-", m->graph_state.failed, m->graph_state.diag.message ?: "");
                break;
        case MESSAGE_EVENT:
                strbuf_printf(&client->events, "%s", m->event.type);
                if (m->event.kind)
                        strbuf_printf(&client->events, " %s[%s]", m->event.kind, m->event.name);
                if (m->event.state)
                        strbuf_printf(&client->events, " %s", m->event.state);
                strbuf_putc(&client->events, '\n');
                break;
        default:
                break;
        }
}

static void on_connected(Channel *c, void *userdata) {
        Client *client = userdata;

        client->connected = true;
}

static void on_disconnected(Channel *c, void *userdata) {
}

static const ChannelOps ops = { .message = on_message, .connected = on_connected, .disconnected = on_disconnected };

static void client_done(Client *c) {
        channel_free(c->channel);
        free(c->rejection);
        strbuf_done(&c->events);
        strbuf_done(&c->states);
}

static int listen_at(const char *path) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        size_t n = strlen(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (n >= sizeof(a.sun_path))
                return -ENAMETOOLONG;
        memcpy(a.sun_path, path, n);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 16) < 0)
                return -errno;
        return fd;
}

static int connect_to(Engine *e, Client *c) {
        char path[128];

        *c = (Client) {};
        (void) snprintf(path, sizeof(path), "%s/engine.sock", e->dir);
        if (!e->m->link) {
                int r = graph_link_new(&e->m->link, e->m, listen_at(path));
                if (r < 0)
                        return r;
        }
        int r = channel_connect(&c->channel, e->event, path, &ops, c);
        return r < 0 ? r : RUN_UNTIL(e, c->connected) ? 0 : -ETIMEDOUT;
}

static void tell(Client *c, Message m) {
        CHECK_INT(channel_send(c->channel, 0, &m), 0);
}

static void tell_put(Client *c, const char *kind, const char *name, const char *const *fields) {
        Message m = { .type = MESSAGE_GRAPH_PUT };
        ResourceSpec *s = &m.graph_put.resource;

        meta_init(&s->meta);
        s->kind = strdup(kind);
        s->name = strdup(name);
        s->pos = (Pos) { .file = strdup("site.mcl"), .line = 7, .column = 1, .end_line = 7, .end_column = 5 };
        for (; *fields; fields += 2)
                add_field(s, fields[0], fields[1]);
        CHECK_INT(channel_send(c->channel, 0, &m), 0);
        message_done(&m);
}

static void tell_edge(Client *c, const char *from_kind, const char *from, const char *to_kind, const char *to) {
        tell(c, (Message) { .type = MESSAGE_GRAPH_EDGE,
                            .graph_edge.edge = { .from_kind = (char *) from_kind, .from_name = (char *) from,
                                                 .to_kind = (char *) to_kind, .to_name = (char *) to, .notify = true } });
}

static void tell_begin(Client *c, uint64_t generation, bool full) {
        tell(c, (Message) { .type = MESSAGE_GRAPH_BEGIN,
                            .graph_begin = { .generation = generation, .full = full, .autoedge = true, .autogroup = true } });
}

static void tell_commit(Client *c, uint64_t generation) {
        tell(c, (Message) { .type = MESSAGE_GRAPH_COMMIT, .graph_commit.generation = generation });
}

/* Runs until the client has heard that many answers to its graphs. */
static void wait_answers(Engine *e, Client *c, unsigned n) {
        (void) RUN_UNTIL(e, c->n_accepted + c->n_rejected >= n);
        CHECK_INT(c->n_accepted + c->n_rejected, n);
}

static void wait_event(Engine *e, Client *c, const char *line) {
        if (!RUN_UNTIL(e, c->events.data && strstr(c->events.data, line)))
                TEST_FAIL("no event '%s' in:\n%s", line, c->events.data ? c->events.data : "");
}

static void wait_state(Engine *e, Client *c, const char *line) {
        if (!RUN_UNTIL(e, c->states.data && strstr(c->states.data, line)))
                TEST_FAIL("no state '%s' in:\n%s", line, c->states.data ?: "");
}

TEST(who_sent_a_graph_is_told_what_becomes_of_it) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        REQUIRE(engine_begin_with(&e, engine_kinds, &no_options) >= 0);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);
        char flag[96], command[128];

        (void) snprintf(flag, sizeof(flag), "%s/flag", e.dir);
        (void) snprintf(command, sizeof(command), "/usr/bin/test -e %s", flag);
        tell_begin(&c, 7, true);
        tell_put(&c, "exec", "bad", (const char *const[]) { "cmd", command, NULL });
        tell_put(&c, "noop", "good", (const char *const[]) { NULL });
        tell_commit(&c, 7);
        wait_answers(&e, &c, 1);
        wait_state(&e, &c, "7 converged 1 exec[bad]: cmd '/usr/bin/test");
        CHECK(!strstr(c.states.data, "7 converged 0"));

        /* The same again: it is told once more, as it is. */
        strbuf_done(&c.states);
        tell_begin(&c, 8, false);
        tell_commit(&c, 8);
        wait_state(&e, &c, "8 converged 1 exec[bad]: ");

        strbuf_done(&c.states);
        tell_begin(&c, 9, false);
        tell(&c, (Message) { .type = MESSAGE_GRAPH_REMOVE, .graph_remove = { .kind = (char *) "exec", .name = (char *) "bad" } });
        tell_commit(&c, 9);
        wait_state(&e, &c, "9 converged 0 \n");
}

TEST(a_graph_of_files_and_commands) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        REQUIRE(engine_begin_with(&e, engine_kinds, &no_options) >= 0);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);
        char dir[80], file[96], made[96], command[256];
        _cleanup_free_ char *text = NULL;

        (void) snprintf(dir, sizeof(dir), "%s/d/", e.dir);
        (void) snprintf(file, sizeof(file), "%s/d/f", e.dir);
        (void) snprintf(made, sizeof(made), "%s/d/made", e.dir);
        (void) snprintf(command, sizeof(command), "/bin/cp %s %s", file, made);

        tell(&c, (Message) { .type = MESSAGE_HELLO, .hello = { .role = (char *) "lang" } });
        tell(&c, (Message) { .type = MESSAGE_EVENTS_SUBSCRIBE });
        tell_begin(&c, 1, true);
        tell_put(&c, "exec", "copy", (const char *const[]) { "cmd", command, "creates", made, NULL });
        tell_put(&c, "file", file, (const char *const[]) { "state", "exists", "content", "hello\n", NULL });
        tell_put(&c, "file", dir, (const char *const[]) { "state", "exists", NULL });
        tell_put(&c, "print", "p", (const char *const[]) { "msg", "done", NULL });
        tell_edge(&c, "file", file, "exec", "copy");
        tell_edge(&c, "exec", "copy", "print", "p");
        tell_commit(&c, 1);
        wait_answers(&e, &c, 1);
        CHECK_INT(c.n_wanted, 1);
        CHECK_INT(c.n_accepted, 1);
        wait_event(&e, &c, "converged true");
        wait_event(&e, &c, "graph\n");
        wait_event(&e, &c, "log print[p]\n");
        wait_event(&e, &c, "changed exec[copy]\n");
        CHECK(read_file_at(AT_FDCWD, made, 100, &text, NULL) >= 0);
        CHECK_STR(text, "hello\n");

        /* Drift is repaired. */
        strbuf_done(&c.events);
        CHECK_INT(write_file_atomic_at(AT_FDCWD, file, "bad", 3, 0644, false), 0);
        wait_event(&e, &c, "changed file[");
        wait_event(&e, &c, "converged true");
        free(TAKE_PTR(text));
        CHECK(read_file_at(AT_FDCWD, file, 100, &text, NULL) >= 0);
        CHECK_STR(text, "hello\n");

        /* A difference: the exec goes, so that nothing creates the copy again. */
        CHECK_INT(unlink(made), 0);
        tell_begin(&c, 2, false);
        tell(&c, (Message) { .type = MESSAGE_GRAPH_REMOVE, .graph_remove = { .kind = (char *) "exec", .name = (char *) "copy" } });
        tell_commit(&c, 2);
        wait_answers(&e, &c, 2);
        CHECK_INT(c.n_accepted, 2);
        CHECK_INT(graph_n_vertices(e.m->graph), 3);
}

TEST(what_is_wrong_is_rejected_and_the_graph_before_stays) {
        ENGINE(e);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);

        tell_begin(&c, 1, false);               /* a difference to what? */
        tell_commit(&c, 1);
        wait_answers(&e, &c, 1);
        CHECK_INT(c.n_rejected, 1);

        tell_begin(&c, 2, true);
        tell_put(&c, "probe", "a", (const char *const[]) { NULL });
        tell_commit(&c, 2);
        wait_answers(&e, &c, 2);
        CHECK_INT(c.n_accepted, 1);

        tell_begin(&c, 3, true);
        tell_put(&c, "nothing", "x", (const char *const[]) { NULL });
        tell_commit(&c, 3);
        wait_answers(&e, &c, 3);
        CHECK_STR(c.rejection, "site.mcl:7:1: unknown kind of resource 'nothing'");

        tell_begin(&c, 4, true);
        tell_put(&c, "probe", "b", (const char *const[]) { "param", "invalid", NULL });
        tell_commit(&c, 4);
        wait_answers(&e, &c, 4);
        CHECK_STR(c.rejection, "site.mcl:7:1: probe[b] did not Validate: told to be invalid");

        tell_put(&c, "probe", "b", (const char *const[]) { NULL });     /* not between begin and commit */
        tell_begin(&c, 5, true);
        tell_commit(&c, 6);
        wait_answers(&e, &c, 5);
        CHECK_INT(c.n_errors, 1);
        CHECK_INT(c.n_accepted, 1);
        run(&e);
        CHECK_TRACE("a");
        CHECK_INT(graph_n_vertices(e.m->graph), 1);
        CHECK_INT(e.m->generation, 2);
}

TEST(half_a_name_is_none) {
        ENGINE(e);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);

        tell_begin(&c, 1, true);
        tell(&c, (Message) { .type = MESSAGE_GRAPH_REMOVE, .graph_remove = { .kind = (char *) "probe" } });
        tell_commit(&c, 1);
        wait_answers(&e, &c, 1);
        CHECK_STR(c.rejection, "the change set is not usable: Bad message");
}

/* What a command prints is not always text. */
TEST(errors_are_fit_to_be_shown) {
        __attribute__((__cleanup__(engine_end))) Engine e;
        REQUIRE(engine_begin_with(&e, engine_kinds, &no_options) >= 0);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);

        tell(&c, (Message) { .type = MESSAGE_EVENTS_SUBSCRIBE });
        tell_begin(&c, 1, true);
        tell_put(&c, "exec", "x", (const char *const[]) { "shell", "/bin/sh", "cmd", "printf 'a\\377b' >&2; exit 1", NULL });
        tell_commit(&c, 1);
        wait_event(&e, &c, "state exec[x] failed\n");
        CHECK(endswith(find_vertex(&e, "exec.x")->error.message, "failed with status 1: a\xef\xbf\xbd" "b"));
}

TEST(another_client_pushes_a_half_sent_graph_aside) {
        ENGINE(e);
        _cleanup_(client_done) Client a, b;
        REQUIRE(connect_to(&e, &a) >= 0);
        REQUIRE(connect_to(&e, &b) >= 0);

        tell_begin(&a, 1, true);
        tell_put(&a, "probe", "a", (const char *const[]) { NULL });
        tell(&a, (Message) { .type = MESSAGE_GRAPH_WANTED });   /* what it does not take is answered, after what was said before */
        CHECK(RUN_UNTIL(&e, a.n_errors == 1));
        tell_begin(&b, 1, true);
        tell_put(&b, "probe", "b", (const char *const[]) { NULL });
        tell_commit(&b, 1);
        wait_answers(&e, &b, 1);
        tell_commit(&a, 1);
        wait_answers(&e, &a, 1);
        CHECK_INT(b.n_accepted, 1);
        CHECK_INT(a.n_rejected, 1);
        run(&e);
        CHECK_TRACE("b");
}

TEST(events_are_filtered_and_the_recent_past_is_told) {
        ENGINE(e);
        _cleanup_(client_done) Client c;
        REQUIRE(connect_to(&e, &c) >= 0);

        set(world.failures, "a", 1);
        CHECK_INT(swap(&e, true, "a b:always"), 0);
        run(&e);
        tell(&c, (Message) { .type = MESSAGE_EVENTS_SUBSCRIBE, .events_subscribe.pattern = (char *) "probe[a]" });
        wait_event(&e, &c, "state probe[a] failed\n");
        CHECK(!strstr(c.events.data, "probe[b]"));
        tell(&c, (Message) { .type = MESSAGE_EVENTS_SUBSCRIBE });
        wait_event(&e, &c, "changed probe[b]\n");
        CHECK_INT(events_n_subscribers(e.m->events), 1);

        /* who leaves is forgotten, although nothing happens that could be sent */
        c.channel = channel_free(c.channel);
        CHECK(RUN_UNTIL(&e, events_n_subscribers(e.m->events) == 0));
}

TEST_MAIN()
