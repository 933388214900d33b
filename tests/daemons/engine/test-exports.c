/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What mgmt-world is told of resources with Meta:export, and of twins: hidden ones beside one of the same kind and name. */

#include <sys/socket.h>
#include <sys/un.h>

#include "common/ipc/channel.h"
#include "tests/daemons/engine/engine-test.h"

typedef struct World {
        Engine e;
        Channel *channel;
        StrBuf told;            /* "x=h1:a,h2:a;*:b<4" for a put (what pair, and in, are for each host), "-x", "x?", "sync" */
} World;

/* "fields":{…,"in":"4","pair":"\\"a\\"",…}: what stands behind that. */
static void say(StrBuf *b, const char *data, const char *before, const char *key) {
        const char *at = strstr(data, key);

        if (at)
                strbuf_printf(b, "%s%.*s", before, (int) strcspn(at + strlen(key), "\\\""), at + strlen(key));
}

static void say_parts(StrBuf *b, Value parts) {
        for (uint32_t i = 0; i < parts.l->n; i++) {
                Value part = value_list_at(parts.l, i), hosts = *value_struct_get(part, "hosts");
                const char *data = value_cstr(*value_struct_get(part, "data"));

                strbuf_puts(b, i > 0 ? ";" : "");
                for (uint32_t k = 0; k < hosts.l->n; k++) {
                        strbuf_printf(b, "%s%s", k > 0 ? "," : "", value_cstr(value_list_at(hosts.l, k)));
                        say(b, data, ":", "\"pair\":\"\\\"");
                        say(b, data, "<", "\"in\":\"");
                }
        }
}

static void on_message(Channel *c, PeerId peer, Message *m, void *userdata) {
        World *w = userdata;

        strbuf_puts(&w->told, w->told.size > 0 ? " " : "");
        switch (m->type) {
        case MESSAGE_HELLO:
                CHECK_STR(m->hello.role, "exports");
                strbuf_puts(&w->told, "hello");
                break;
        case MESSAGE_EXPORT_PUT:
                strbuf_printf(&w->told, "%s=", m->export_put.name);
                say_parts(&w->told, m->export_put.parts);
                break;
        case MESSAGE_EXPORT_KEEP:
                strbuf_printf(&w->told, "%s?", m->export_keep.name);
                break;
        case MESSAGE_EXPORT_REMOVE:
                strbuf_printf(&w->told, "-%s", m->export_remove.name);
                break;
        case MESSAGE_EXPORT_SYNC:
                strbuf_puts(&w->told, "sync");
                break;
        default:
                TEST_FAIL("mgmt-world was sent %s", message_name(m->type));
        }
}

static int world_begin(World *w) {
        static const ChannelOps ops = { .message = on_message };
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        int r;

        *w = (World) {};
        r = engine_begin_with(&w->e, probe_types, &no_options);
        if (r < 0)
                return r;
        (void) setenv("MGMT_RUNTIME_DIR", w->e.dir, 1);
        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s/world.sock", w->e.dir);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 16) < 0)
                return -errno;
        return channel_listen(&w->channel, w->e.event, TAKE_FD(fd), &ops, w);
}

static void world_end(World *w) {
        w->channel = channel_free(w->channel);
        strbuf_done(&w->told);
        engine_end(&w->e);
}

#define WORLD(w) \
        __attribute__((__cleanup__(world_end))) World w; \
        REQUIRE(world_begin(&w) >= 0)

/* Messages take their time: until this was said, and nothing more comes. */
#define CHECK_TOLD(w, want) \
        do { \
                (void) RUN_UNTIL(&(w).e, streq((w).told.data ?: "", (want))); \
                run_for(&(w).e, 10000); \
                CHECK_STR((w).told.data ?: "", (want)); \
                strbuf_done(&(w).told); \
        } while (0)

TEST(twins_are_exported_beside_the_one) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "x:quiet,pair=here x:hidden,pair=a,export=h1 x:hidden,pair=b,export=h2,export=* y x>y"), 0);
        run(e);
        CHECK_TRACE("watch:x x y");     /* no hook of a twin was called */
        CHECK_TOLD(w, "hello x=h1:a;h2:b,*:b x? sync");

        /* other twins are no reason to do anything with the one that runs here */
        CHECK_INT(swap(e, false, "x:quiet,pair=here x:hidden,pair=c,export=h1"), 0);
        run(e);
        CHECK_TRACE("");
        CHECK_TOLD(w, "x=h1:c");
        CHECK_INT(swap(e, false, "x:quiet,pair=here"), 0);
        CHECK_TOLD(w, "-x");
        CHECK_INT(swap(e, false, "x:quiet,pair=there,export=h3 x:hidden,pair=a,export=h1"), 0);
        run(e);
        CHECK_TRACE("unwatch:x done:x watch:x x");
        CHECK_TOLD(w, "x=h3:there;h1:a");
        CHECK_INT(swap(e, false, "-x -y"), 0);
        CHECK_TRACE("unwatch:x done:x");
        CHECK_TOLD(w, "-x");
}

TEST(twins_of_what_is_hidden_itself) {
        WORLD(w);

        CHECK_INT(swap(&w.e, true, "x:hidden,pair=a,export=h1 x:hidden,pair=b,export=h2"), 0);
        CHECK_TOLD(w, "hello x=h1:a;h2:b x? sync");
        CHECK_INT(swap(&w.e, true, "x:hidden,pair=a,export=h1 x:hidden,pair=b,export=h2"), 0);
        CHECK_TOLD(w, "");
        CHECK_INT(swap(&w.e, true, "x:pair=a x:hidden,pair=b,export=h2"), 0);
        run(&w.e);
        CHECK_TRACE("x");
        CHECK_TOLD(w, "x=h2:b");
        CHECK_STR(state_of(&w.e, "x"), "ok");
}

/* It has no place of its own: what comes before the one comes before its twins. */
TEST(twins_wait_for_what_comes_before) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "a:pending x:pair=here x:hidden,pair=a,export=h1 a>x"), 0);
        run(e);
        CHECK_TRACE("a?");
        CHECK_TOLD(w, "");
        finish(e, "a", CHECK_OK);
        run(e);
        CHECK_TRACE("x");
        CHECK_TOLD(w, "hello x=h1:a x? sync");

        /* new ones as well, though nothing has to be done with the one */
        touch(e, "a");
        run(e);
        CHECK_TRACE("a?");
        CHECK_INT(swap(e, false, "x:pair=here x:hidden,pair=b,export=h1"), 0);
        run(e);
        CHECK_TOLD(w, "");
        finish(e, "a", CHECK_OK);
        run(e);
        CHECK_TRACE("");
        CHECK_TOLD(w, "x=h1:b");
}

/* That the one fails is no business of theirs. */
TEST(twins_of_what_fails) {
        WORLD(w);
        Engine *e = &w.e;

        set(world.failures, "x", 100);
        CHECK_INT(swap(e, true, "x:pair=here x:hidden,pair=a,export=h1"), 0);
        run(e);
        CHECK_TRACE("x!");
        CHECK_STR(state_of(e, "x"), "failed");
        CHECK_TOLD(w, "hello x=h1:a x? sync");
        CHECK_INT(swap(e, false, "x:pair=here x:hidden,pair=b,export=h1"), 0);
        run(e);
        CHECK_TRACE("");
        CHECK_TOLD(w, "x=h1:b");
}

TEST(twins_receive_what_the_one_does) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "a:out=4 x:pair=here x:hidden,pair=a,export=h1 x:hidden,pair=b,export=h2 a~>x"), 0);
        run(e);
        CHECK_TRACE("a x<4 x");
        CHECK_TOLD(w, "hello x=h1:a<4;h2:b<4 x? sync");
        CHECK_INT(swap(e, false, "a:out=5"), 0);
        run(e);
        CHECK_TRACE("a x<5 x");
        CHECK_TOLD(w, "x=h1:a<5;h2:b<5");
        CHECK_INT(swap(e, false, "!a~>x"), 0);
        touch(e, "x");
        run(e);
        CHECK_TRACE("x<0 x");
        CHECK_TOLD(w, "x=h1:a;h2:b");
}

TEST(noop_leaves_everything_as_it_was) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "x:noop,pair=here,export=h3 x:hidden,pair=a,export=h1"), 0);
        CHECK_TOLD(w, "hello x=h1:a x? sync");
        CHECK_INT(swap(e, false, "x:noop,pair=here x:hidden,noop,pair=b,export=h1"), 0);
        CHECK_TOLD(w, "");
        e->options.noop = true;
        CHECK_INT(swap(e, true, "x:pair=here x:hidden,pair=c,export=h1"), 0);
        CHECK_TOLD(w, "");
        e->options.noop = false;
        CHECK_INT(swap(e, true, "x:pair=here x:hidden,pair=c,export=h1"), 0);
        CHECK_TOLD(w, "x=h1:c");
}

TEST(what_cannot_be_exported_fails) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "x:pair=here"), 0);
        run(e);
        CHECK_TRACE("x");
        CHECK_INT(swap(e, false, "x:pair=here x:hidden,pair=a,export=h/1"), 0);
        run(e);
        CHECK_TRACE("");
        CHECK_STR(state_of(e, "x"), "failed");
        CHECK_STR(find_vertex(e, "x")->error.message, "cannot export it to 'h/1', which is no name of a host");
        touch(e, "x");
        run(e);
        CHECK_TRACE("x");               /* it is seen to all the same */
        CHECK_STR(state_of(e, "x"), "failed");
        CHECK_INT(swap(e, false, "x:pending,pair=here x:hidden,pair=a,export=h1"), 0);
        run(e);
        CHECK_TRACE("x?");
        CHECK_INT(swap(e, false, "x:pending,pair=here x:hidden,pair=b,export=h/1"), 0);
        finish(e, "x", CHECK_CHANGED);
        run(e);
        CHECK_TRACE("");
        CHECK_STR(state_of(e, "x"), "failed");
        CHECK_INT(swap(e, false, "x:pair=there"), 0);
        run(e);
        CHECK_TRACE("x");
        CHECK_STR(state_of(e, "x"), "ok");
}

/* An engine that comes later has yet to look at the one, but its twins are known to be there. */
TEST(what_was_said_before_is_kept) {
        WORLD(w);
        Engine *e = &w.e;

        CHECK_INT(swap(e, true, "a x x:hidden,pair=a,export=h1 a>x"), 0);
        CHECK_TOLD(w, "hello x=h1:a x? sync");
        e->m = manager_free(e->m);
        REQUIRE(manager_new(&e->m, e->event, probe_types, e->dir, NULL, &no_options) >= 0);
        CHECK_INT(swap(e, true, "a:pending x x:hidden,pair=a,export=h1 a>x"), 0);
        CHECK_TOLD(w, "hello x? sync");
        finish(e, "a", CHECK_OK);
        CHECK_TOLD(w, "x=h1:a");
}

TEST_MAIN()
