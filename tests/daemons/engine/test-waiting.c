/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Why a vertex does not go on. */

#include <time.h>

#include "daemons/engine/waiting.h"
#include "tests/daemons/engine/engine-test.h"

static int note(const char *why, const char *what, void *userdata) {
        strbuf_printf(userdata, "%s %s; ", why, what);
        return 0;
}

static void check_waiting(Engine *e, const char *id, const char *want, const char *file, int line) {
        _cleanup_(strbuf_done) StrBuf b = {};

        CHECK(waiting_tell(vertex_root(find_vertex(e, id)), note, &b) >= 0);
        if (!streq(b.data ?: "", want)) {
                test_failures++;
                printf("# %s:%d: %s: '%s', not '%s'\n", file, line, id, b.data ?: "", want);
        }
}

#define CHECK_WAITING(id, want) check_waiting(&e, (id), (want), __FILE__, __LINE__)

static uint64_t now_usec(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

TEST(all_that_is_in_the_way) {
        ENGINE(e);

        set(world.failures, "f", 1);
        CHECK_INT(swap(&e, true, "f p:pending q:pending,sema=s r:sema=s x:sema=s ok late:late need:need f>x p>x ok>x"), 0);
        run(&e);
        CHECK_WAITING("x", "resource probe[f]; resource probe[p]; semaphore s; ");
        CHECK_WAITING("p", "attempt probe[p]; ");
        CHECK_WAITING("r", "semaphore s; ");
        CHECK_WAITING("ok", "");
        CHECK_WAITING("f", "");                 /* given up */
        CHECK_WAITING("late", "watch probe[late]; ");
        CHECK_WAITING("need", "service told to wait; ");
        CHECK_INT(waiting_until(find_vertex(&e, "x")), 0);

        finish(&e, "p", CHECK_OK);
        finish(&e, "q", CHECK_OK);
        CHECK_WAITING("r", "turn ; ");
        run(&e);
        CHECK_WAITING("x", "resource probe[f]; ");
        CHECK_WAITING("r", "");
}

TEST(timers) {
        ENGINE(e);

        set(world.failures, "f", 1);
        CHECK_INT(swap(&e, true, "f:retry=1,delay=60000 l:limit=0.1,burst=1"), 0);
        run(&e);
        touch(&e, "l");
        touch(&e, "l");
        run(&e);
        CHECK_WAITING("f", "delay ; ");
        uint64_t until = waiting_until(find_vertex(&e, "f")), now = now_usec();
        CHECK(until > now + 50000000 && until <= now + 61000000);
        CHECK_WAITING("l", "limit ; ");
        until = waiting_until(find_vertex(&e, "l"));
        CHECK(until > now + 5000000 && until <= now + 11000000);
}

TEST(there_may_be_many) {
        _cleanup_(strbuf_done) StrBuf graph = {}, told = {};
        ENGINE(e);

        for (int i = 0; i < 3 * WAITING_MAX; i++)
                strbuf_printf(&graph, "r%d:pending r%d>x ", i, i);
        strbuf_puts(&graph, "x");
        CHECK_INT(swap(&e, true, graph.data), 0);
        run(&e);
        CHECK(waiting_tell(find_vertex(&e, "x"), note, &told) >= 0);
        unsigned n = 0;
        for (const char *p = told.data; *p; p++)
                n += *p == ';';
        CHECK_INT(n, WAITING_MAX);
}

TEST(who_notified) {
        ENGINE(e);

        set(world.drift, "a", 1);
        CHECK_INT(swap(&e, true, "a:x b a=>b"), 0);
        run(&e);
        const Vertex *b = find_vertex(&e, "b"), *a = find_vertex(&e, "a");
        CHECK(b->notified_usec > 0 && b->notified_by == a->id && b->notified_by_serial == a->serial);
        CHECK_INT(a->notified_usec, 0);
}

TEST_MAIN()
