/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches in storms of random changes: whoever was told nothing may have missed nothing. */

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "tests/common/sd/path-watch-test.h"
#include "tests/test.h"

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

        switch (dice(13)) {             /* many of them fail, which is fine */
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
        case 11:                        /* from where nobody looks */
                do_steps("write out/x");
                (void) rename("out/x", a);
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
        struct stat st = {};
        char path[64];

        random_path(path, sizeof(path));
        snprintf(x->path, sizeof(x->path), "%s/%s", x->place->path, path);
        x->flags = (dice(4) == 0 ? RECURSIVE : 0) | (dice(2) ? PATH_WATCH_LOOKED_AT : 0);
        CHECK_INT(path_watch_new(&x->watch, x->place->watcher, x->path, x->flags, on_storm, x), 0);
        bool tells = (lstat(x->path, &st) >= 0 || errno == ENOENT) && dice(3) > 0;
        free(x->seen);
        x->seen = snapshot(x->path, x->flags & RECURSIVE);
        if (dice(3) == 0)
                random_step(x->place);
        if (tells)
                path_watch_saw(x->watch, st.st_mode);
}

/* The user of a watch puts a file there, and knows it. */
static void put_one(Watched *x) {
        char beside[sizeof(x->path) + 2];
        struct stat st;

        snprintf(beside, sizeof(beside), "%s.t", x->path);
        int fd = open(beside, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
                return;
        CHECK_INT(write(fd, "x", 1), 1);
        CHECK_INT(fstat(fd, &st), 0);
        CHECK_INT(close(fd), 0);        /* else its event would come after the rename, and tell in any case */
        if (rename(beside, x->path) < 0) {
                (void) unlink(beside);
                return;
        }
        free(x->seen);
        x->seen = snapshot(x->path, x->flags & RECURSIVE);
        if (dice(3) == 0)
                random_step(x->place);
        path_watch_put(x->watch, &st);
        if (dice(3) == 0)
                random_step(x->place);
}

static void storm(uint64_t number) {
        Place p;
        Watched watched[N_WATCHED] = {};

        seed = number * 0x9e3779b97f4a7c15ULL + 1;
        REQUIRE(place_init(&p));
        do_steps("mkdir out");
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
                if (dice(5) == 0)
                        put_one(&watched[dice(N_WATCHED)]);
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
