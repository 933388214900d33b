/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches on real directories: single changes as a table, then storms of random ones. Events of inotify are there when the call
 * that causes them returns, so nothing here waits. */

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/pathwatch.h"
#include "common/strbuf.h"
#include "tests/namespace.h"
#include "tests/test.h"

/* ---- a place to work in ---- */

typedef struct Place {
        char path[64];
        sd_event *event;
        PathWatcher *watcher;
} Place;

static bool place_init(Place *p) {
        *p = (Place) { .path = "/tmp/mgmt-test-pathwatch-XXXXXX" };
        return mkdtemp(p->path) && chdir(p->path) == 0 && sd_event_new(&p->event) >= 0 &&
               path_watcher_new(&p->watcher, p->event) >= 0;
}

static void place_done(Place *p) {
        p->watcher = path_watcher_free(p->watcher);
        p->event = sd_event_unref(p->event);
        CHECK(chdir("/") == 0);
        CHECK_INT(remove_tree(p->path), 0);
}

static void drain(Place *p) {
        while (sd_event_run(p->event, 0) > 0)
                ;
}

/* "/x" as it is, "x" below the place. */
static const char *full(const Place *p, const char *path) {
        static char buffer[4][PATH_MAX];
        static unsigned i;

        i = (i + 1) % 4;
        snprintf(buffer[i], sizeof(buffer[i]), path[0] == '/' ? "%s%s" : "%s/%s", path[0] == '/' ? "" : p->path, path);
        return buffer[i];
}

/* "write a/f; mv a b": each step must succeed. Relative to the current directory, which is the place. */
static bool do_step(char *step) {
        char *words[4] = {}, *word;
        size_t n = 0;
        while (n < 4 && (word = strsep(&step, " ")))
                if (*word)
                        words[n++] = word;
        if (n < 2)
                return n == 0;

        if (streq(words[0], "write")) {
                _cleanup_close_ int fd = open(words[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
                return fd >= 0 && write(fd, "x", 1) == 1;
        }
        if (streq(words[0], "mkdir"))
                return make_directories(words[1], 0755) >= 0;
        if (streq(words[0], "rm"))
                return unlink(words[1]) == 0;
        if (streq(words[0], "rmdir"))
                return rmdir(words[1]) == 0;
        if (streq(words[0], "rmtree"))
                return remove_tree(words[1]) >= 0;
        if (streq(words[0], "mv"))
                return rename(words[1], words[2]) == 0;
        if (streq(words[0], "exchange"))
                return renameat2(AT_FDCWD, words[1], AT_FDCWD, words[2], RENAME_EXCHANGE) == 0;
        if (streq(words[0], "ln"))
                return symlink(words[1], words[2]) == 0;
        if (streq(words[0], "hard"))
                return link(words[1], words[2]) == 0;
        if (streq(words[0], "chmod"))
                return chmod(words[2], (mode_t) strtoul(words[1], NULL, 8)) == 0;
        if (streq(words[0], "touch"))
                return utimensat(AT_FDCWD, words[1], NULL, 0) == 0;
        if (streq(words[0], "read")) {
                char c;
                _cleanup_close_ int fd = open(words[1], O_RDONLY | O_CLOEXEC);
                return fd >= 0 && read(fd, &c, 1) >= 0;
        }
        return false;
}

static void do_steps(const char *steps) {
        _cleanup_free_ char *copy = strdup(steps ? steps : "");
        char *rest = copy, *step;

        while ((step = strsep(&rest, ";"))) {
                char text[256];
                snprintf(text, sizeof(text), "%s", step);
                if (!do_step(step))
                        TEST_FAIL("step '%s' of '%s': %m", text, steps);
        }
}

typedef struct Probe {
        PathWatch *watch;
        unsigned n;
        int error;
} Probe;

static void on_change(PathWatch *w, int error, void *userdata) {
        Probe *probe = userdata;

        probe->n++;
        probe->error = error;
}

static unsigned take_count(Probe *probe) {
        unsigned n = probe->n;
        probe->n = 0;
        return n;
}

/* ---- one change at a time ---- */

enum { QUIET, TOLD, RECURSIVE = PATH_WATCH_RECURSIVE };

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

TEST(single_changes) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Place p;
                Probe probe = {};

                REQUIRE(place_init(&p));
                do_steps(cases[i].before);
                int r = path_watch_new(&probe.watch, p.watcher, full(&p, cases[i].path), cases[i].flags, on_change, &probe);
                CHECK_INT(r, 0);
                drain(&p);
                CHECK_INT(take_count(&probe), 0);
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

/* ---- limits ---- */

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

TEST(an_overflow_is_told_to_everybody_and_nothing_is_missed) {
        Place p;
        Probe busy = {}, idle = {}, tree = {}, absent = {};

        REQUIRE(place_init(&p));
        do_steps("mkdir busy; mkdir idle; write idle/f; mkdir tree");
        CHECK_INT(path_watch_new(&busy.watch, p.watcher, full(&p, "busy"), 0, on_change, &busy), 0);
        CHECK_INT(path_watch_new(&idle.watch, p.watcher, full(&p, "idle/f"), 0, on_change, &idle), 0);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "tree"), RECURSIVE, on_change, &tree), 0);
        CHECK_INT(path_watch_new(&absent.watch, p.watcher, full(&p, "x/y/z"), 0, on_change, &absent), 0);

        _cleanup_free_ char *text = NULL;
        REQUIRE(read_file_at(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", 64, &text, NULL) >= 0);
        long limit = strtol(text, NULL, 10);
        if (limit <= 0 || limit > 200000) {
                path_watcher_free(TAKE_PTR(p.watcher));
                TEST_SKIP("the queue of inotify is too long to overflow here");
        }
        for (long i = 0; i < limit; i++) {
                int fd = open(i % 2 ? "busy/a" : "busy/b", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                REQUIRE(fd >= 0);
                close(fd);
                REQUIRE(unlink(i % 2 ? "busy/a" : "busy/b") == 0);
        }
        do_steps("mkdir tree/new/deep; mkdir x/y");     /* these events are lost */
        drain(&p);
        CHECK(take_count(&busy) > 0);
        CHECK(take_count(&idle) > 0);
        CHECK(take_count(&tree) > 0);
        CHECK(take_count(&absent) > 0);
        do_steps("write tree/new/deep/f; write x/y/z");
        drain(&p);
        CHECK_INT(take_count(&tree), 1);
        CHECK_INT(take_count(&absent), 1);
        CHECK_INT(take_count(&idle), 0);
        path_watch_free(busy.watch);
        path_watch_free(idle.watch);
        path_watch_free(tree.watch);
        path_watch_free(absent.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        place_done(&p);
}

/* As nobody, who may not read everything. */
static int body_permissions(void) {
        Place p;
        Probe closed = {}, through = {}, open_ = {}, tree = {}, later = {};

        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
                return 77;
        if (!place_init(&p))
                return 2;
        do_steps("mkdir closed; write closed/f; chmod 300 closed; mkdir through/d; write through/d/f; chmod 300 through; mkdir tree/e; "
                 "chmod 300 tree/e; write f; mkdir x; ln closed/f l; mkdir list; write list/f; chmod 600 list");
        CHECK_INT(path_watch_new(&closed.watch, p.watcher, full(&p, "closed/f"), 0, on_change, &closed), -EACCES);
        CHECK_INT(path_watch_new(&closed.watch, p.watcher, full(&p, "closed"), 0, on_change, &closed), -EACCES);
        CHECK_INT(path_watch_new(&closed.watch, p.watcher, full(&p, "closed/x/y"), 0, on_change, &closed), -EACCES);
        CHECK_INT(path_watch_new(&closed.watch, p.watcher, full(&p, "l"), 0, on_change, &closed), -EACCES);
        CHECK_INT(path_watch_new(&closed.watch, p.watcher, full(&p, "list/f"), 0, on_change, &closed), -EACCES);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "tree"), RECURSIVE, on_change, &tree), -EACCES);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);

        /* What is only passed through need not be readable, and the failures of others do not touch us. */
        CHECK_INT(path_watch_new(&through.watch, p.watcher, full(&p, "through/d/f"), 0, on_change, &through), 0);
        CHECK_INT(path_watch_new(&open_.watch, p.watcher, full(&p, "f"), 0, on_change, &open_), 0);
        CHECK_INT(path_watch_new(&later.watch, p.watcher, full(&p, "x/y/f"), 0, on_change, &later), 0);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "x"), RECURSIVE, on_change, &tree), 0);
        do_steps("write through/d/f; write f");
        drain(&p);
        CHECK_INT(take_count(&through), 1);
        CHECK_INT(take_count(&open_), 1);

        /* One that becomes unreadable later ends with an error, once. */
        do_steps("mkdir z/y; chmod 300 z/y; mv z/y x/y");
        drain(&p);
        CHECK_INT(take_count(&later), 1);
        CHECK_INT(later.error, -EACCES);
        CHECK_INT(take_count(&tree), 1);
        CHECK_INT(tree.error, -EACCES);
        do_steps("chmod 700 x/y; write x/y/f; write f");
        drain(&p);
        CHECK_INT(take_count(&later), 0);
        CHECK_INT(take_count(&tree), 0);
        CHECK_INT(take_count(&open_), 1);
        CHECK_INT(open_.error, 0);

        /* What nobody but the directory itself can tell: it was moved away, and now we are blind. */
        CHECK_INT(take_count(&through), 0);
        do_steps("mv through/d through/e");
        drain(&p);
        CHECK_INT(take_count(&through), 1);
        CHECK_INT(through.error, -EACCES);

        path_watch_free(later.watch);
        path_watch_free(tree.watch);
        path_watch_free(through.watch);
        path_watch_free(open_.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        do_steps("chmod 700 closed; chmod 700 through; chmod 700 tree/e; chmod 700 list");
        place_done(&p);
        return 0;
}

TEST(missing_permission_is_an_error_of_that_path_only) {
        int r = in_child(body_permissions);
        if (r == 77)
                TEST_SKIP("cannot become nobody");
        CHECK_INT(r, 0);
}

/* There the limits are ours to set. */
static int body_limit(void) {
        Place p;
        Probe probes[8] = {}, tree = {}, file = {};

        if (!unshare_as_root(0))
                return 77;
        if (!write_text("/proc/sys/user/max_inotify_watches", "8") || !write_text("/proc/sys/user/max_inotify_instances", "0"))
                return 77;
        if (!place_init(&p))
                return 2;

        CHECK_INT(path_watch_new(&file.watch, p.watcher, full(&p, "file"), 0, on_change, &file), -EMFILE);
        CHECK(write_text("/proc/sys/user/max_inotify_instances", "1"));

        do_steps("mkdir a; mkdir b; mkdir c; mkdir d; mkdir e; mkdir f; mkdir g; mkdir t/1/2/3/4/5/6/7");
        CHECK_INT(path_watch_new(&file.watch, p.watcher, full(&p, "file"), 0, on_change, &file), 0);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "t"), RECURSIVE, on_change, &tree), -ENOSPC);
        CHECK_INT(path_watcher_n_watches(p.watcher), 3);        /* and it gave back what it had */
        for (int i = 0; i < 7; i++) {
                char name[] = { (char) ('a' + i), '/', 'x', 0 };
                CHECK_INT(path_watch_new(&probes[i].watch, p.watcher, full(&p, name), 0, on_change, &probes[i]), i < 5 ? 0 : -ENOSPC);
        }
        do_steps("write a/x; write e/x; write file");
        drain(&p);
        CHECK_INT(take_count(&probes[0]), 1);
        CHECK_INT(take_count(&probes[4]), 1);
        CHECK_INT(take_count(&file), 1);

        /* With one freed there is room for one, which finds no room when its directory grows. */
        probes[0].watch = path_watch_free(probes[0].watch);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "g"), RECURSIVE, on_change, &tree), 0);
        do_steps("mkdir g/h/i");
        drain(&p);
        CHECK_INT(take_count(&tree), 1);
        CHECK_INT(tree.error, -ENOSPC);
        do_steps("write file");
        drain(&p);
        CHECK_INT(take_count(&file), 1);
        CHECK_INT(file.error, 0);

        path_watch_free(tree.watch);
        path_watch_free(file.watch);
        for (int i = 0; i < 7; i++)
                path_watch_free(probes[i].watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        place_done(&p);
        return 0;
}

TEST(the_limit_of_the_kernel_is_an_error_of_that_path_only) {
        int r = in_child(body_limit);
        if (r == 77)
                TEST_SKIP("no user namespaces");
        CHECK_INT(r, 0);
}

static int body_mounts(void) {
        Place p;
        Probe file = {}, other = {}, tree = {}, link = {}, absent = {};

        if (!unshare_as_root(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 77;
        if (!place_init(&p))
                return 2;
        do_steps("mkdir a/b; write a/b/f; mkdir x; mkdir d/e; ln a/b/f l; write other");
        CHECK_INT(path_watch_new(&file.watch, p.watcher, full(&p, "a/b/f"), 0, on_change, &file), 0);
        CHECK_INT(path_watch_new(&other.watch, p.watcher, full(&p, "other"), 0, on_change, &other), 0);
        CHECK_INT(path_watch_new(&tree.watch, p.watcher, full(&p, "d"), RECURSIVE, on_change, &tree), 0);
        CHECK_INT(path_watch_new(&link.watch, p.watcher, full(&p, "l"), 0, on_change, &link), 0);
        CHECK_INT(path_watch_new(&absent.watch, p.watcher, full(&p, "a/x/y/z"), 0, on_change, &absent), 0);
        drain(&p);
        CHECK_INT(take_count(&file) + take_count(&other) + take_count(&tree) + take_count(&link), 0);

        if (mount("tmpfs", "a", "tmpfs", 0, NULL) < 0)
                return 77;
        drain(&p);
        CHECK_INT(take_count(&file), 1);
        CHECK_INT(take_count(&absent), 1);      /* it may have been there for a moment */
        CHECK(take_count(&link) > 0);
        CHECK_INT(take_count(&tree), 0);
        do_steps("mkdir a/b; write a/b/f");
        drain(&p);
        CHECK(take_count(&file) > 0);
        CHECK(take_count(&link) > 0);
        CHECK_INT(umount2("a", MNT_DETACH), 0);
        drain(&p);
        CHECK(take_count(&file) > 0);
        do_steps("write a/b/f");
        drain(&p);
        CHECK_INT(take_count(&file), 1);

        CHECK_INT(mount("tmpfs", "d/e", "tmpfs", 0, NULL), 0);
        drain(&p);
        CHECK_INT(take_count(&tree), 1);
        do_steps("write d/e/f");
        drain(&p);
        CHECK_INT(take_count(&tree), 1);
        CHECK_INT(umount2("d/e", 0), 0);        /* not busy: a watch does not hold a mount */
        drain(&p);
        CHECK(take_count(&tree) > 0);
        CHECK_INT(take_count(&other), 0);

        path_watch_free(file.watch);
        path_watch_free(other.watch);
        path_watch_free(tree.watch);
        path_watch_free(link.watch);
        path_watch_free(absent.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        place_done(&p);
        return 0;
}

TEST(mounts_are_seen) {
        int r = in_child(body_mounts);
        if (r == 77)
                TEST_SKIP("no mount namespaces");
        CHECK_INT(r, 0);
}

/* ---- storms ---- */

enum { N_WATCHED = 24, N_STORMS = 60, N_STEPS = 120 };

static uint64_t seed;

static unsigned dice(unsigned n) {      /* xorshift: a storm that failed can be repeated */
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return (unsigned) (seed >> 11) % n;
}

/* A short path of few names, so that storms hit the same places again and again. */
static void random_path(char *ret, size_t size) {
        static const char *const names[] = { "a", "b", "c" };
        unsigned depth = 1 + dice(3);
        size_t n = 0;

        for (unsigned i = 0; i < depth; i++)
                n += (size_t) snprintf(ret + n, size - n, "%s%s", i > 0 ? "/" : "", names[dice(ELEMENTSOF(names))]);
}

static void random_step(const Place *p) {
        char a[64], b[64], target[192];
        random_path(a, sizeof(a));
        random_path(b, sizeof(b));

        switch (dice(12)) {             /* many of them fail, which is fine */
        case 0:
        case 1:
                (void) make_directories(a, 0755);
                break;
        case 2:
        case 3:
        case 4: {
                _cleanup_close_ int fd = open(a, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
                if (fd >= 0)
                        CHECK_INT(write(fd, "x", 1), 1);
                break;
        }
        case 5:
                (void) unlink(a);
                break;
        case 6:
                (void) rmdir(a);
                break;
        case 7:
                (void) rename(a, b);
                break;
        case 8:
                (void) renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
                break;
        case 9:
                (void) fchmodat(AT_FDCWD, a, 0700 | dice(64), 0);
                break;
        case 10:
                if (dice(4) == 0)
                        (void) remove_tree(a);
                break;
        default:
                snprintf(target, sizeof(target), dice(2) ? "%s/%s" : "%.0s%s", p->path, b);
                (void) symlink(target, a);
        }
}

static void put_stat(StrBuf *b, const struct stat *st) {
        /* Of a directory, neither its times nor its size: they also change with what happens further below. */
        strbuf_printf(b, "%lu %o", (unsigned long) st->st_ino, st->st_mode);
        if (!S_ISDIR(st->st_mode))
                strbuf_printf(b, " %ld", (long) st->st_size);
        strbuf_putc(b, '\n');
}

static void put_tree(StrBuf *b, const char *path, bool recursive);

static void put_children(StrBuf *b, const char *path, bool recursive) {
        static const char *const names[] = { "a", "b", "c" };   /* there are no others */

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char child[PATH_MAX];
                struct stat st;
                if (snprintf(child, sizeof(child), "%s/%s", path, names[i]) >= (int) sizeof(child) || lstat(child, &st) < 0)
                        continue;
                strbuf_printf(b, "%s ", names[i]);
                if (recursive && S_ISDIR(st.st_mode))
                        put_tree(b, child, true);
                else
                        put_stat(b, &st);
        }
}

static void put_tree(StrBuf *b, const char *path, bool recursive) {
        struct stat st;

        if (stat(path, &st) < 0) {
                strbuf_printf(b, "none\n");
                return;
        }
        put_stat(b, &st);
        if (S_ISDIR(st.st_mode))
                put_children(b, path, recursive);
}

/* All that a watch of this path promises to report. */
static char *snapshot(const char *path, bool recursive) {
        StrBuf b = {};
        struct stat st;
        char text[PATH_MAX] = "";

        if (lstat(path, &st) >= 0)
                put_stat(&b, &st);
        if (readlink(path, text, sizeof(text) - 1) > 0)
                strbuf_printf(&b, "-> %s\n", text);
        put_tree(&b, path, recursive);
        return strbuf_take(&b);
}

typedef struct Watched {
        Place *place;
        char path[256];
        unsigned flags;
        PathWatch *watch;
        char *seen;             /* the snapshot of its last call */
        unsigned n;
} Watched;

static void on_storm(PathWatch *w, int error, void *userdata) {
        Watched *x = userdata;

        CHECK_INT(error, 0);
        x->n++;
        free(x->seen);
        x->seen = snapshot(x->path, x->flags & RECURSIVE);
}

static void watch_start_random(Watched *x) {
        char path[64];

        random_path(path, sizeof(path));
        snprintf(x->path, sizeof(x->path), "%s/%s", x->place->path, path);
        x->flags = dice(4) == 0 ? RECURSIVE : 0;
        CHECK_INT(path_watch_new(&x->watch, x->place->watcher, x->path, x->flags, on_storm, x), 0);
        free(x->seen);
        x->seen = snapshot(x->path, x->flags & RECURSIVE);
}

static void storm(uint64_t number) {
        Place p;
        Watched watched[N_WATCHED] = {};

        seed = number * 0x9e3779b97f4a7c15ULL + 1;
        REQUIRE(place_init(&p));
        for (size_t i = 0; i < N_WATCHED; i++) {
                watched[i].place = &p;
                watch_start_random(&watched[i]);
        }
        for (int i = 0; i < N_STEPS; i++) {
                random_step(&p);
                if (dice(10) == 0)
                        CHECK(sd_event_run(p.event, 0) >= 0);
                if (dice(20) == 0) {
                        Watched *x = &watched[dice(N_WATCHED)];
                        x->watch = path_watch_free(x->watch);
                        watch_start_random(x);
                }
                if (dice(30) > 0)
                        continue;
                drain(&p);
                for (size_t j = 0; j < N_WATCHED; j++) {
                        _cleanup_free_ char *now = snapshot(watched[j].path, watched[j].flags & RECURSIVE);
                        if (!streq(now, watched[j].seen))
                                TEST_FAIL("storm %" PRIu64 ", step %d: '%s'%s was not told; seen:\n%snow:\n%s", number, i,
                                          watched[j].path, watched[j].flags & RECURSIVE ? " recursively" : "", watched[j].seen, now);
                }
        }
        for (size_t i = 0; i < N_WATCHED; i++) {
                path_watch_free(watched[i].watch);
                free(watched[i].seen);
        }
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        drain(&p);
        place_done(&p);
}

TEST(storms_leave_nobody_behind) {
        const char *only = getenv("STORM"), *many = getenv("STORMS");

        if (only) {
                storm(strtoull(only, NULL, 10));
                return;
        }
        for (uint64_t i = 0; i < (many ? strtoull(many, NULL, 10) : N_STORMS) && test_failures == 0; i++)
                storm(i);
}

TEST_MAIN()
