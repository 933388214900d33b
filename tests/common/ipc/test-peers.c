/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which peers have left, from what is known of file descriptors; the orders in which the news can come. */

#include "common/ipc/peers.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

/* A script: "+5" accepted on descriptor 5, "-5" closed; "a5" peer a speaks from descriptor 5; "!a" found gone while sending. Then
 * the peers that have left, and those that are still there. */
static const struct { const char *what, *script, *left, *there; } cases[] = {
        { "one comes and goes",                         "+5 a5 -5",                     "a",    "" },
        { "one comes",                                  "+5 a5",                        "",     "a" },
        { "one goes without a word",                    "+5 -5",                        "",     "" },
        { "two on two descriptors",                     "+5 +6 a5 b6 -6",               "b",    "a" },
        { "one after the other on the same",            "+5 a5 -5 +5 b5",               "a",    "b" },
        { "the second goes as well",                    "+5 a5 -5 +5 b5 -5",            "ab",   "" },
        { "the first never spoke",                      "+5 -5 +5 b5",                  "",     "b" },
        { "the first is read late",                     "+5 -5 a5",                     "a",    "" },
        { "the first is read after the second came",    "+5 -5 +5 a5 b5",               "",     "ab" },
        { "and leaves with it",                         "+5 -5 +5 a5 b5 -5",            "ab",   "" },
        { "found out while sending",                    "+5 a5 +6 b6 !a",               "a",    "b" },
        { "a descriptor that nobody heard of",          "a9 -9",                        "",     "a" },
        { "found out while sending, there",             "a9 !a",                        "a",    "" },
        { "none",                                       "a? +5 b5 -5",                  "b",    "a" },
};

static void run(Peers *ps, const char *script) {
        for (const char *s = script; *s; s += s[2] == ' ' ? 3 : 2) {
                int fd = s[1] == '?' ? -1 : s[1] - '0';

                switch (*s) {
                case '+':
                        peers_accepted(ps, fd);
                        break;
                case '-':
                        peers_closed(ps, fd);
                        break;
                case '!':
                        peers_set_gone(ps, peers_find(ps, (PeerId) s[1]));
                        break;
                default:
                        CHECK_INT(peers_add(ps, (PeerId) *s, fd), 0);
                }
        }
}

TEST(who_has_left) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char left[8] = {}, there[8] = {};
                Peers ps = {};
                Peer *p;

                CHECK_INT(peers_init(&ps), 0);
                run(&ps, cases[i].script);
                for (char name = 'a'; name <= 'b'; name++) {
                        p = peers_find(&ps, (PeerId) name);
                        if (p && peers_has_left(&ps, p))
                                left[strlen(left)] = name;
                }
                while ((p = peers_find_left(&ps)))
                        peers_remove(&ps, p);
                for (char name = 'a'; name <= 'b'; name++)
                        if (peers_find(&ps, (PeerId) name))
                                there[strlen(there)] = name;
                if (strcmp(left, cases[i].left) != 0 || strcmp(there, cases[i].there) != 0)
                        TEST_FAIL("%s: '%s' have left, '%s' are there", cases[i].what, left, there);
                peers_done(&ps);
        }
}

TEST(descriptors_that_are_none) {
        Peers ps = {};

        peers_done(&ps);
        CHECK_INT(peers_init(&ps), 0);
        peers_accepted(&ps, -1);
        peers_closed(&ps, -1);
        peers_closed(&ps, 1000);
        CHECK(!peers_find_left(&ps));
        CHECK(!peers_find(&ps, 7));
        peers_done(&ps);
}

TEST(memory_runs_out) {
        uint64_t n;

        for (n = 1; n < 100; n++) {
                Peers ps = {};
                int r;

                alloc_fail_at(n);
                r = peers_init(&ps);
                if (r >= 0) {
                        peers_accepted(&ps, 5);
                        r = peers_add(&ps, 'a', 5);
                        peers_closed(&ps, 5);
                }
                if (!alloc_failed()) {
                        CHECK_INT(r, 0);
                        CHECK(peers_find_left(&ps));
                        peers_done(&ps);
                        break;
                }
                /* without memory for the descriptor, a peer is only found out while sending */
                CHECK(r == -ENOMEM || (r == 0 && !peers_find_left(&ps)));
                peers_done(&ps);
        }
        CHECK(n > 3);
}

TEST_MAIN()
