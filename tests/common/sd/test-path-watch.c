/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches on real directories: single changes as a table, what they cost, and callbacks that change everything. */

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/path-watch.h"
#include "tests/common/sd/path-watch-test.h"
#include "tests/test.h"

/* ---- one change at a time ---- */

enum { QUIET, TOLD };

static const struct {
        const char *path;
        unsigned flags;
        const char *before, *change;
        bool told;
} cases[] = {
        /* a file that is there */
        { "f", 0, "write f", "write f", TOLD },
        { "f", 0, "write f", "chmod 600 f", TOLD },
        { "f", 0, "write f", "touch f", TOLD },
        { "f", 0, "write f", "rm f", TOLD },
        { "f", 0, "write f; write g", "mv g f", TOLD },
        { "f", 0, "write f", "mv f g", TOLD },
        { "f", 0, "write f", "rm f; write f", TOLD },
        { "f", 0, "write f", "rm f; mkdir f", TOLD },
        { "f", 0, "write f; write g", "exchange f g", TOLD },
        { "f", 0, "write f; write g", "write g", QUIET },
        { "f", 0, "write f", "write g; chmod 600 g; mv g h; rm h", QUIET },
        { "f", 0, "write f", "read f", QUIET },
        /* one that is not */
        { "f", 0, NULL, "write f", TOLD },
        { "f", 0, NULL, "mkdir f", TOLD },
        { "f", 0, "write g", "mv g f", TOLD },
        { "f", 0, NULL, "ln nowhere f", TOLD },
        { "f", 0, NULL, "write g", QUIET },
        { "a/f", 0, NULL, "mkdir a; write a/f", TOLD },
        { "a/b/c/f", 0, NULL, "mkdir a/b/c; write a/b/c/f", TOLD },
        { "a/b/c/f", 0, "mkdir x/b/c; write x/b/c/f", "mv x a", TOLD },
        { "a/f", 0, NULL, "mkdir a", TOLD },
        { "a/b/c/f", 0, NULL, "mkdir a/b/c; rmtree a", TOLD },  /* whether it was there for a moment we cannot know */
        { "a/b/c/f", 0, "mkdir a", "mkdir a/x; write b; mkdir c", QUIET },
        { "a/b/f", 0, "write a", "rm a; mkdir a/b", TOLD },
        { "a/b/f", 0, "mkdir a", "write a/c", QUIET },
        /* what happens above it */
        { "a/b/f", 0, "mkdir a/b; write a/b/f", "mv a x", TOLD },
        { "a/b/f", 0, "mkdir a/b; write a/b/f", "mv a x; mv x a", TOLD },
        { "a/b/f", 0, "mkdir a/b; write a/b/f", "rmtree a", TOLD },
        { "a/b/f", 0, "mkdir a/b; write a/b/f; mkdir x/b; write x/b/f", "exchange a x", TOLD },
        { "a/b/f", 0, "mkdir a/b; write a/b/f", "write a/g; mkdir a/c; write z; mkdir y; rmdir y", QUIET },
        { "a/b/f", 0, "mkdir a/b; write a/b/f", "chmod 711 a", QUIET },
        /* a directory */
        { "d", 0, "mkdir d", "write d/f", TOLD },
        { "d", 0, "mkdir d; write d/f", "chmod 600 d/f", TOLD },
        { "d", 0, "mkdir d; write d/f", "rm d/f", TOLD },
        { "d", 0, "mkdir d", "mkdir d/e", TOLD },
        { "d", 0, "mkdir d", "chmod 700 d", TOLD },
        { "d", 0, "mkdir d", "rmdir d", TOLD },
        { "d", 0, "mkdir d", "rmdir d; mkdir d", TOLD },
        { "d", 0, "mkdir d", "mv d e", TOLD },
        { "d/", 0, "mkdir d", "write d/f", TOLD },
        { "d", 0, "mkdir d/e", "write d/e/f", QUIET },
        { "d", 0, "mkdir d", "write e; chmod 600 e", QUIET },
        /* everything below a directory */
        { "d", RECURSIVE, "mkdir d/e/f", "write d/e/f/g", TOLD },
        { "d", RECURSIVE, "mkdir d/e/f; write d/e/f/g", "chmod 600 d/e/f/g", TOLD },
        { "d", RECURSIVE, "mkdir d/e/f", "chmod 700 d/e/f", TOLD },
        { "d", RECURSIVE, "mkdir d/e/f", "rmdir d/e/f", TOLD },
        { "d", RECURSIVE, NULL, "mkdir d", TOLD },
        { "d", RECURSIVE, "mkdir d; mkdir x/y/z", "write x/y/z/f", QUIET },
        { "d", RECURSIVE, "write d", "write d", TOLD },
        { "d", RECURSIVE, "mkdir d", "write e", QUIET },
        /* links: the link itself */
        { "l", 0, "write f; ln f l", "rm l", TOLD },
        { "l", 0, "write f; write g; ln f l", "rm l; ln g l", TOLD },
        { "l", 0, "write f; write g; ln f l; ln g m", "mv m l", TOLD },
        /* … and what it points to */
        { "l", 0, "write f; ln f l", "write f", TOLD },
        { "l", 0, "write f; ln f l", "chmod 600 f", TOLD },
        { "l", 0, "write f; ln f l", "rm f", TOLD },
        { "l", 0, "write f; write g; ln f l", "mv g f", TOLD },
        { "l", 0, "ln f l", "write f", TOLD },
        { "l", 0, "ln a/b/f l", "mkdir a/b; write a/b/f", TOLD },
        { "l", 0, "mkdir a/b; write a/b/f; ln a/b/f l", "mv a x", TOLD },
        { "l", 0, "mkdir a; ln a l", "write a/f", TOLD },
        { "l", 0, "mkdir a; ln a l", "mv a b", TOLD },
        { "l", 0, "mkdir a; ln a l", "chmod 700 a", TOLD },
        { "l", 0, "write f; ln f l", "write g", QUIET },
        { "l", RECURSIVE, "mkdir a/b/c; ln a l", "write a/b/c/f", TOLD },
        /* … over several links */
        { "l", 0, "write f; ln f m; ln m l", "write f", TOLD },
        { "l", 0, "write f; write g; ln f m; ln m l", "rm m; ln g m", TOLD },
        { "l", 0, "mkdir a; write a/f; ln a d; ln d/f l", "write a/f", TOLD },
        { "l", 0, "mkdir a; mkdir b; write a/f; write b/f; ln a d; ln d/f l", "rm d; ln b d", TOLD },
        /* … in the middle of a path */
        { "l/f", 0, "mkdir a; write a/f; ln a l", "write a/f", TOLD },
        { "l/f", 0, "mkdir a; ln a l", "write a/f", TOLD },
        { "l/f", 0, "mkdir a; write a/f; mkdir b; write b/f; ln a l", "rm l; ln b l", TOLD },
        { "l/f", 0, "mkdir a; write a/f; ln a l", "mv a b", TOLD },
        { "l/f", 0, "ln a l", "mkdir a; write a/f", TOLD },
        { "l/f", 0, "ln x/a l", "mkdir x/a; write x/a/f", TOLD },
        { "l/f", 0, "mkdir x/a; write x/a/f; ln x/a l", "mv x y", TOLD },
        { "l/b/f", 0, "mkdir a/b; ln a l", "write a/b/f", TOLD },
        { "l/f", 0, "mkdir a; write a/f; ln a l", "write a/g", QUIET },
        /* … with dots in its text: relative to where the link really is */
        { "x/l", 0, "mkdir a/b; mkdir x; write a/f; ln ../a/f x/l", "write a/f", TOLD },
        { "m/l", 0, "mkdir a/b; write a/f; ln a/b m; ln ../f a/b/l", "write a/f", TOLD },
        { "l", 0, "mkdir a/b; write a/f; ln a/b m; ln m/../f l", "write a/f", TOLD },
        /* … in circles */
        { "l", 0, "ln m l; ln l m", "rm m; write m", TOLD },
        { "l", 0, "ln l l", "rm l; write l", TOLD },
        { "l/x", 0, "ln l/x l", "rm l; mkdir l; write l/x", TOLD },
        { "l/l/l/f", 0, "ln . l; write f", "write f", TOLD },
        { "l/l/l/f", 0, "ln . l; write f", "rm l", TOLD },
        { "l/l/l", RECURSIVE, "ln . l; mkdir d", "rm l; write d/f", TOLD },
        { "d", RECURSIVE, "mkdir d/e; ln .. d/e/up; ln . d/self", "write d/e/f", TOLD },
        { "d", RECURSIVE, "mkdir d/e; mkdir x; ln ../../x d/e/out", "write x/f", QUIET },
        /* unclean paths */
        { "a//b/./c/../f", 0, "mkdir a/b", "write a/b/f", TOLD },
};

/* Who looks himself. */
typedef enum Looker {
        LOOKER_WATCHER,
        LOOKER_USER,
        LOOKER_USER_SILENT,     /* said that he would tell, and did not */
} Looker;

static void tell(const Place *p, Probe *probe, const char *path) {
        struct stat st = {};

        if (lstat(full(p, path), &st) >= 0 || errno == ENOENT)
                path_watch_saw(probe->watch, st.st_mode);
}

static void check_single_changes(Looker looker) {
        const unsigned looked_at = looker == LOOKER_WATCHER ? 0 : PATH_WATCH_LOOKED_AT;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Place p;
                Probe probe = {};

                REQUIRE(place_init(&p));
                do_steps(cases[i].before);
                int r = path_watch_new(&probe.watch, p.watcher, full(&p, cases[i].path), cases[i].flags | looked_at, on_change, &probe);
                CHECK_INT(r, 0);
                if (looker == LOOKER_USER)
                        tell(&p, &probe, cases[i].path);
                drain(&p);
                if (looker == LOOKER_WATCHER)
                        CHECK_INT(take_count(&probe), 0);
                probe.n = 0;
                do_steps(cases[i].change);
                drain(&p);
                if ((probe.n > 0) != cases[i].told || probe.error != 0)
                        TEST_FAIL("'%s'%s after '%s': '%s' told %u times, error %i", cases[i].path,
                                  cases[i].flags & RECURSIVE ? " recursively" : "", cases[i].before ? cases[i].before : "",
                                  cases[i].change, probe.n, probe.error);
                /* whatever happened, the next thing is seen as well */
                drain(&p);
                CHECK_INT(path_watch_free(probe.watch) == NULL, true);
                CHECK_INT(path_watcher_n_watches(p.watcher), 1);
                place_done(&p);
        }
}

TEST(single_changes) {
        check_single_changes(LOOKER_WATCHER);
}

TEST(single_changes_where_the_user_looks) {
        check_single_changes(LOOKER_USER);
        check_single_changes(LOOKER_USER_SILENT);
}

/* Of files he knows enough; at a directory or a link, whoever found it, he looks again. */
TEST(what_the_user_does_not_tell_is_found_out) {
        static const struct {
                const char *before;
                bool tells;
                unsigned n;
        } rows[] = {
                { NULL, true, 0 },
                { NULL, false, 0 },
                { "write x", true, 0 },
                { "write x", false, 0 },
                { "mkdir x", true, 1 },
                { "mkdir x", false, 1 },
                { "write f; ln f x", true, 1 },
                { "write f; ln f x", false, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Place p;
                Probe probe = {}, other = {};

                REQUIRE(place_init(&p));
                do_steps(rows[i].before);
                CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "x"), PATH_WATCH_LOOKED_AT, on_change, &probe), 0);
                if (rows[i].tells)
                        tell(&p, &probe, "x");
                else if (i % 4 == 1)    /* the next one makes the watcher look, or the loop does */
                        CHECK_INT(path_watch_new(&other.watch, p.watcher, full(&p, "y"), PATH_WATCH_LOOKED_AT, on_change, &other), 0);
                drain(&p);
                CHECK_INT(take_count(&probe), rows[i].n);
                CHECK_INT(take_count(&other), 0);
                tell(&p, &probe, "x");  /* too late, and no harm */
                path_watch_free(other.watch);
                path_watch_free(probe.watch);
                CHECK_INT(path_watcher_n_watches(p.watcher), 1);
                place_done(&p);
        }
}

/* What he saw is no longer there when he tells. */
TEST(a_change_after_the_user_looked_is_seen) {
        Place p;
        Probe probe = {};

        REQUIRE(place_init(&p));
        do_steps("write x");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "x"), PATH_WATCH_LOOKED_AT, on_change, &probe), 0);
        do_steps("rm x; mkdir x");
        path_watch_saw(probe.watch, S_IFREG | 0644);
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        do_steps("write x/f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        path_watch_free(probe.watch);
        place_done(&p);
}

TEST(one_call_for_all_that_was_found_together) {
        Place p;
        Probe probe = {}, again = {};

        REQUIRE(place_init(&p));
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "f"), 0, on_change, &probe), 0);
        CHECK_INT(path_watch_new(&again.watch, p.watcher, full(&p, "f"), 0, on_change, &again), 0);
        do_steps("write f; write f; chmod 600 f; rm f; write f; touch f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        CHECK_INT(take_count(&again), 1);
        path_watch_free(again.watch);
        do_steps("write f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        CHECK_INT(take_count(&again), 0);
        path_watch_free(probe.watch);
        place_done(&p);
}

TEST(a_change_before_the_loop_looks_is_not_lost) {
        Place p;
        Probe first = {}, second = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir a/b; write a/b/f");
        CHECK_INT(path_watch_new(&first.watch, p.watcher, full(&p, "a/b/f"), 0, on_change, &first), 0);
        /* The tree still believes in the old a/b, whose events are on their way. */
        do_steps("mv a x; mkdir a/b; write a/b/g");
        CHECK_INT(path_watch_new(&second.watch, p.watcher, full(&p, "a/b/g"), 0, on_change, &second), 0);
        do_steps("write a/b/g");
        drain(&p);
        CHECK(take_count(&first) > 0);
        CHECK(take_count(&second) > 0);
        do_steps("write a/b/g");
        drain(&p);
        CHECK_INT(take_count(&first), 0);
        CHECK_INT(take_count(&second), 1);
        path_watch_free(first.watch);
        path_watch_free(second.watch);
        place_done(&p);
}

TEST(a_removed_directory_that_somebody_stands_in_is_noticed) {
        Place p;
        Probe probe = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir a/b; write a/b/f");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "a/b"), 0, on_change, &probe), 0);
        _cleanup_close_ int hold = open("a/b", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(hold >= 0);
        do_steps("rm a/b/f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        do_steps("rmdir a/b");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        do_steps("mkdir a/b");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        do_steps("write a/b/f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        path_watch_free(probe.watch);
        place_done(&p);
}

/* Wherever a circle of links is opened, every one of them leads somewhere from then on. */
TEST(circles_of_links_may_open_anywhere) {
        static const char *const names[] = { "a", "b", "c" };
        static const char *const openings[] = { "rm a; write a", "rm b; write b", "rm c; write c", "rm a; ln f a", "rm b; ln f b",
                                                "rm c; ln f c", "mv f a", "mv f c" };

        for (size_t order = 0; order < 3; order++)
                for (size_t i = 0; i < ELEMENTSOF(openings); i++) {
                        Place p;
                        Probe probes[3] = {};

                        REQUIRE(place_init(&p));
                        do_steps("ln b a; ln c b; ln a c; write f");
                        for (size_t j = 0; j < 3; j++) {
                                Probe *probe = &probes[(order + j) % 3];
                                CHECK_INT(path_watch_new(&probe->watch, p.watcher, full(&p, names[(order + j) % 3]), 0, on_change, probe), 0);
                        }
                        drain(&p);
                        for (size_t j = 0; j < 3; j++)
                                (void) take_count(&probes[j]);
                        do_steps(openings[i]);
                        drain(&p);
                        for (size_t j = 0; j < 3; j++)
                                if (take_count(&probes[j]) == 0)
                                        TEST_FAIL("'%s' was not told '%s'", names[j], openings[i]);
                        do_steps("write a");            /* by whatever links: into the one file */
                        drain(&p);
                        for (size_t j = 0; j < 3; j++)
                                if (take_count(&probes[j]) == 0)
                                        TEST_FAIL("after '%s', '%s' does not follow", openings[i], names[j]);
                        for (size_t j = 0; j < 3; j++)
                                path_watch_free(probes[j].watch);
                        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
                        place_done(&p);
                }
}

TEST(deep_trees_that_appear_at_once_are_seen_to_the_bottom) {
        Place p;
        Probe probe = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir d; mkdir x/1/2/3; mkdir x/4/5");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "d"), RECURSIVE, on_change, &probe), 0);
        static const struct {
                const char *change;
                bool told;
        } steps[] = {
                { "mkdir d/e/f/g", true },
                { "write d/e/f/g/h", true },
                { "mv x d/x", true },
                { "write d/x/1/2/3/f", true },
                { "chmod 700 d/x/4/5", true },
                { "mv d/x y", true },
                { "write y/1/2/3/f; write y/4/5/f", false },
                { "rmtree d/e", true },
                { "mkdir d/e/f/g", true },
                { "write d/e/f/g/h", true },
                { "rmtree d", true },
                { "mkdir d/e/f/g", true },
                { "write d/e/f/g/h", true },
        };
        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                do_steps(steps[i].change);
                drain(&p);
                if ((take_count(&probe) > 0) != steps[i].told)
                        TEST_FAIL("'%s' was %s", steps[i].change, steps[i].told ? "not told" : "told");
        }
        path_watch_free(probe.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        place_done(&p);
}

TEST(recursive_watches_may_overlap) {
        Place p;
        Probe outer = {}, inner = {}, file = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir d/e/f/g");
        CHECK_INT(path_watch_new(&outer.watch, p.watcher, full(&p, "d"), RECURSIVE, on_change, &outer), 0);
        CHECK_INT(path_watch_new(&inner.watch, p.watcher, full(&p, "d/e/f"), RECURSIVE, on_change, &inner), 0);
        CHECK_INT(path_watch_new(&file.watch, p.watcher, full(&p, "d/e/file"), 0, on_change, &file), 0);
        do_steps("write d/e/f/g/x");
        drain(&p);
        CHECK_INT(take_count(&outer), 1);
        CHECK_INT(take_count(&inner), 1);
        CHECK_INT(take_count(&file), 0);
        outer.watch = path_watch_free(outer.watch);
        do_steps("write d/e/f/g/x; write d/e/file; mkdir d/z");
        drain(&p);
        CHECK_INT(take_count(&outer), 0);
        CHECK_INT(take_count(&inner), 1);
        CHECK_INT(take_count(&file), 1);
        CHECK_INT(path_watch_new(&outer.watch, p.watcher, full(&p, "d"), RECURSIVE, on_change, &outer), 0);
        inner.watch = path_watch_free(inner.watch);
        file.watch = path_watch_free(file.watch);
        do_steps("write d/e/f/g/x; write d/z/x");
        drain(&p);
        CHECK_INT(take_count(&outer), 1);
        /* one that was there already becomes recursive */
        do_steps("mkdir r/s/t");
        drain(&p);
        CHECK_INT(path_watch_new(&file.watch, p.watcher, full(&p, "r"), 0, on_change, &file), 0);
        CHECK_INT(path_watch_new(&inner.watch, p.watcher, full(&p, "r"), RECURSIVE, on_change, &inner), 0);
        do_steps("write r/s/t/x");
        drain(&p);
        CHECK_INT(take_count(&file), 0);
        CHECK_INT(take_count(&inner), 1);
        path_watch_free(inner.watch);
        path_watch_free(file.watch);
        path_watch_free(outer.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        place_done(&p);
}

/* ---- cost ---- */

TEST(a_directory_that_nobody_watched_any_more_is_found_anew) {
        Place p;
        Probe probe = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir a/b; mkdir c");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "a/b/f"), 0, on_change, &probe), 0);
        path_watch_free(probe.watch);
        do_steps("rmtree a; mkdir a/b");
        drain(&p);
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "a/b/g"), 0, on_change, &probe), 0);
        do_steps("write a/b/g");
        drain(&p);
        CHECK(take_count(&probe) > 0);
        path_watch_free(probe.watch);
        place_done(&p);
}

TEST(files_of_one_directory_share_one_kernel_watch) {
        enum { N = 1000 };
        Place p;
        Probe *probes = calloc(N, sizeof(Probe));
        char name[32];

        REQUIRE(probes && place_init(&p));
        do_steps("mkdir a/b");
        for (int i = 0; i < N; i++) {
                snprintf(name, sizeof(name), "a/b/file%d", i);
                CHECK_INT(path_watch_new(&probes[i].watch, p.watcher, full(&p, name), 0, on_change, &probes[i]), 0);
        }
        CHECK_INT(path_watcher_n_watches(p.watcher), 5);        /* /, /tmp, the place, a, b */
        do_steps("write a/b/file500");
        drain(&p);
        for (int i = 0; i < N; i++)
                CHECK_INT(probes[i].n, i == 500);
        for (int i = 0; i < N; i++)
                path_watch_free(probes[i].watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        free(probes);
        place_done(&p);
}

/* A user who puts a file in place himself is not called for that, and for all else he is. The steps after "put" follow at once. */
TEST(what_the_user_puts_there_is_not_told) {
        static const struct {
                const char *before, *put, *after;
                unsigned n;
        } rows[] = {            /* t is what he puts there */
                { "write t", "mv t f", NULL, 0 },
                { "write t; write f", "mv t f", NULL, 0 },
                { "write t; write f; write g", "mv t f", "mv g f", 1 },
                { "write t; write f; write g", "mv g f; mv t f", NULL, 1 },
                { "write t; write f", "mv t f", "write f", 1 },
                { "write t; write f", "write f; mv t f", NULL, 1 },
                { "write t; write f", "mv t f", "chmod 600 f", 1 },
                { "write t", "mv t f", "rm f", 1 },
                { "write t", "mv t f", "rm f; mkdir f", 1 },
                { "write t; mkdir d", "mv t f", "rm f; mv d f", 1 },
                { "write t; write g", "mv t f", "rm f; ln g f", 1 },
                /* of two that come from elsewhere, one after another, the kernel tells once */
                { "write t; mkdir e; write e/g", "mv t f", "mv e/g f", 1 },
                /* others changed it, under the name it had */
                { "write t", "write t; mv t f", NULL, 1 },
                { "write t", "chmod 600 t; mv t f", NULL, 1 },
                /* what was there is no file */
                { "write t; write g; ln g f", "mv t f", NULL, 1 },
                { "mkdir d", "mv d f", NULL, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Place p;
                Probe probe = {};
                struct stat st = {};

                REQUIRE(place_init(&p));
                do_steps(rows[i].before);
                (void) lstat("t", &st);
                CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "f"), 0, on_change, &probe), 0);
                do_steps(rows[i].put);
                path_watch_put(probe.watch, &st);
                do_steps(rows[i].after);
                drain(&p);
                if (probe.n != rows[i].n)
                        TEST_FAIL("'%s', put by '%s', then '%s': told %u times", rows[i].before, rows[i].put, rows[i].after ?: "", probe.n);
                path_watch_free(probe.watch);
                CHECK_INT(path_watcher_n_watches(p.watcher), 1);
                place_done(&p);
        }
}

TEST(a_put_counts_for_its_user_and_its_moment_only) {
        Place p;
        Probe user = {}, other = {}, above = {};
        struct stat st = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir d; write d/t; write d/g");
        CHECK_INT(lstat("d/t", &st), 0);
        CHECK_INT(path_watch_new(&user.watch, p.watcher, full(&p, "d/f"), 0, on_change, &user), 0);
        CHECK_INT(path_watch_new(&above.watch, p.watcher, full(&p, "d"), RECURSIVE, on_change, &above), 0);
        do_steps("mv d/t d/f");
        path_watch_put(user.watch, &st);
        drain(&p);
        CHECK_INT(take_count(&user), 0);
        CHECK_INT(take_count(&above), 1);

        /* Nothing was put there: what comes later is another's. */
        CHECK_INT(lstat("d/g", &st), 0);
        path_watch_put(user.watch, &st);
        drain(&p);
        do_steps("mv d/g d/f");
        drain(&p);
        CHECK_INT(take_count(&user), 1);

        /* Where two look at it, both are told. */
        do_steps("write d/t");
        CHECK_INT(lstat("d/t", &st), 0);
        CHECK_INT(path_watch_new(&other.watch, p.watcher, full(&p, "d/f"), 0, on_change, &other), 0);
        drain(&p);
        do_steps("mv d/t d/f");
        path_watch_put(user.watch, &st);
        drain(&p);
        CHECK(take_count(&other) > 0);

        path_watch_free(user.watch);
        path_watch_put(other.watch, &st);
        path_watch_free(other.watch);
        drain(&p);
        path_watch_free(above.watch);
        place_done(&p);
}

/* The directory was exchanged while he wrote: his file is elsewhere, and the one that comes is another's. */
TEST(a_put_into_a_directory_that_went_away_hides_nothing) {
        Place p;
        Probe probe = {};
        struct stat st;

        REQUIRE(place_init(&p));
        do_steps("mkdir d; mkdir e; write d/t; write e/f; write g");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "d/f"), 0, on_change, &probe), 0);
        do_steps("exchange d e");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        CHECK_INT(lstat("e/t", &st), 0);
        do_steps("mv e/t e/f");
        path_watch_put(probe.watch, &st);
        do_steps("mv g d/f");
        drain(&p);
        CHECK_INT(take_count(&probe), 1);
        path_watch_free(probe.watch);
        place_done(&p);
}

/* A directory that is only passed through does not wake us for what is written in it, also after a file in it was watched. */
TEST(passing_through_is_quiet) {
        Place p;
        Probe deep = {}, shallow = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir a/b; write a/f");
        CHECK_INT(path_watch_new(&deep.watch, p.watcher, full(&p, "a/b/f"), 0, on_change, &deep), 0);
        for (int round = 0; round < 2; round++) {
                do_steps("write a/f; chmod 600 a/f; touch a/f");
                CHECK_INT(sd_event_run(p.event, 0), 0);
                CHECK_INT(path_watch_new(&shallow.watch, p.watcher, full(&p, "a/f"), 0, on_change, &shallow), 0);
                do_steps("write a/f");
                CHECK(sd_event_run(p.event, 0) > 0);
                CHECK_INT(take_count(&shallow), 1);
                shallow.watch = path_watch_free(shallow.watch);
                drain(&p);
        }
        path_watch_free(deep.watch);
        place_done(&p);
}

/* ---- callbacks that change everything ---- */

typedef struct Chain {
        Place *place;
        PathWatch *watches[3];
        unsigned n;
} Chain;

static void on_change_free_all(PathWatch *w, int error, void *userdata) {
        Chain *c = userdata;

        c->n++;
        for (size_t i = 0; i < ELEMENTSOF(c->watches); i++)
                c->watches[i] = path_watch_free(c->watches[i]);
}

TEST(a_callback_may_free_every_watch) {
        Place p;
        Chain c = { .place = &p };

        REQUIRE(place_init(&p));
        for (size_t i = 0; i < ELEMENTSOF(c.watches); i++)
                CHECK_INT(path_watch_new(&c.watches[i], p.watcher, full(&p, "f"), 0, on_change_free_all, &c), 0);
        do_steps("write f");
        drain(&p);
        CHECK_INT(c.n, 1);
        place_done(&p);
}

static void on_change_again(PathWatch *w, int error, void *userdata) {
        Chain *c = userdata;

        c->n++;
        path_watch_free(w);
        CHECK_INT(path_watch_new(&c->watches[0], c->place->watcher, full(c->place, "f"), 0, on_change_again, c), 0);
}

TEST(a_callback_may_start_over) {
        Place p;
        Chain c = { .place = &p };

        REQUIRE(place_init(&p));
        CHECK_INT(path_watch_new(&c.watches[0], p.watcher, full(&p, "f"), 0, on_change_again, &c), 0);
        for (unsigned i = 1; i < 5; i++) {
                do_steps(i % 2 ? "write f" : "rm f");
                drain(&p);
                CHECK_INT(c.n, i);
        }
        path_watch_free(c.watches[0]);
        place_done(&p);
}

TEST(watches_may_outlive_the_watcher) {
        Place p;
        Probe probe = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir d/e; ln d l");
        CHECK_INT(path_watch_new(&probe.watch, p.watcher, full(&p, "l"), RECURSIVE, on_change, &probe), 0);
        p.watcher = path_watcher_free(p.watcher);
        do_steps("write d/f");
        CHECK(sd_event_run(p.event, 0) == 0);
        path_watch_free(probe.watch);
        place_done(&p);
}

TEST(bad_paths_are_refused) {
        static char long_name[NAME_MAX + 8], long_path[PATH_MAX + 8];
        Place p;
        PathWatch *w = NULL;

        REQUIRE(place_init(&p));
        memset(long_name, 'x', sizeof(long_name) - 1);
        memcpy(long_name, "/tmp/", 5);
        for (size_t i = 0; i < sizeof(long_path) - 1; i++)
                long_path[i] = i % 2 ? 'x' : '/';
        CHECK_INT(path_watch_new(&w, p.watcher, "relative", 0, on_change, NULL), -EINVAL);
        CHECK_INT(path_watch_new(&w, p.watcher, "", 0, on_change, NULL), -EINVAL);
        CHECK_INT(path_watch_new(&w, p.watcher, long_name, 0, on_change, NULL), -ENAMETOOLONG);
        CHECK_INT(path_watch_new(&w, p.watcher, long_path, 0, on_change, NULL), -ENAMETOOLONG);
        CHECK(!w);
        CHECK(path_watcher_n_watches(p.watcher) <= 1);
        Probe root = {};
        CHECK_INT(path_watch_new(&root.watch, p.watcher, "/..//.", 0, on_change, &root), 0);
        path_watch_free(root.watch);
        place_done(&p);
}

TEST_MAIN()
