/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How much a proxy keeps, and what makes room for what. */

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "daemons/http/proxy-cache.h"
#include "tests/test.h"

typedef struct Fixture {
        sd_event *event;
        char folder[64], directory[80];
        ProxyCache *cache;
} Fixture;

static void setup(Fixture *f) {
        *f = (Fixture) { .folder = "/tmp/test-proxy-cache-XXXXXX" };
        if (sd_event_new(&f->event) < 0 || !mkdtemp(f->folder))
                abort();
        (void) snprintf(f->directory, sizeof(f->directory), "%s/", f->folder);
}

static void open_cache(Fixture *f, uint64_t bytes, uint64_t files) {
        f->cache = proxy_cache_free(f->cache);
        if (proxy_cache_new(&f->cache, f->event, f->directory, bytes, files) < 0)
                abort();
}

static void teardown(Fixture *f) {
        proxy_cache_free(f->cache);
        sd_event_unref(f->event);
        (void) remove_tree(f->folder);
}

/* Until there is nothing to do; how many turns of the loop it took. */
static unsigned settle(Fixture *f) {
        unsigned n = 0;

        while (n < 100000 && sd_event_run(f->event, 0) > 0)
                n++;
        return n;
}

/* A file that was asked for so many seconds ago. */
static void put(Fixture *f, const char *name, size_t size, time_t ago) {
        const struct timespec times[2] = { { .tv_sec = time(NULL) - ago }, { .tv_sec = 1000000000 } };
        char path[256];

        (void) snprintf(path, sizeof(path), "%s%s", f->directory, name);
        *strrchr(path, '/') = 0;
        if (make_directories(path, 0700) < 0)
                abort();
        path[strlen(path)] = '/';
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, (off_t) size) < 0 || futimens(fd, times) < 0)
                abort();
        (void) close(fd);
}

static bool is_there(Fixture *f, const char *name) {
        char path[256];

        (void) snprintf(path, sizeof(path), "%s%s", f->directory, name);
        return access(path, F_OK) >= 0;
}

static unsigned n_files, n_directories;
static uint64_t n_bytes;

static int count(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        n_files += type == FTW_F;
        n_directories += type == FTW_D;
        n_bytes += type == FTW_F ? (uint64_t) st->st_size : 0;
        return 0;
}

static void measure(Fixture *f) {
        n_files = n_directories = 0;
        n_bytes = 0;
        (void) nftw(f->folder, count, 16, FTW_PHYS);
}

TEST(the_oldest_make_room) {
        Fixture f;
        char name[64];

        setup(&f);
        for (unsigned i = 0; i < 40; i++) {
                (void) snprintf(name, sizeof(name), "d%u/e/file%u", i / 4, i);
                put(&f, name, 100, 1000 + (time_t) (i * 7 % 40));
        }
        open_cache(&f, 1000000, 40);
        settle(&f);
        measure(&f);
        CHECK_INT(n_files, 29);                 /* fewer than three quarters */
        for (unsigned i = 0; i < 40; i++) {
                (void) snprintf(name, sizeof(name), "d%u/e/file%u", i / 4, i);
                if (is_there(&f, name) != (i * 7 % 40 < 29))
                        TEST_FAIL("%s", name);
        }

        open_cache(&f, 1000, 40);               /* half of them are too many bytes */
        settle(&f);
        measure(&f);
        CHECK_INT(n_bytes, 700);
        CHECK(is_there(&f, "d0/e/file0"));
        teardown(&f);
}

TEST(directories_that_become_empty_go_as_well) {
        Fixture f;

        setup(&f);
        put(&f, "a/b/c/old", 10, 2000);
        put(&f, "a/new", 10, 1000);
        put(&f, "z", 10, 3000);
        open_cache(&f, 25, 1000);
        settle(&f);
        measure(&f);
        CHECK_INT(n_files, 1);
        CHECK_INT(n_directories, 2);
        CHECK(is_there(&f, "a/new"));
        teardown(&f);
}

TEST(who_is_asked_for_stays) {
        Fixture f;

        setup(&f);
        put(&f, "first", 10, 4000);
        put(&f, "second", 10, 3000);
        open_cache(&f, 1000, 1000);
        settle(&f);
        proxy_cache_used(f.cache, "first", time(NULL) - 4000);
        open_cache(&f, 20, 1000);
        settle(&f);
        CHECK(is_there(&f, "first"));
        CHECK(!is_there(&f, "second"));
        teardown(&f);
}

TEST(what_has_no_room_is_not_kept) {
        Fixture f;

        setup(&f);
        open_cache(&f, 1000, 10);
        settle(&f);
        CHECK(proxy_cache_take_file(f.cache));
        CHECK(proxy_cache_take(f.cache, 600));
        CHECK(!proxy_cache_take(f.cache, 401));
        CHECK(proxy_cache_take(f.cache, 400));
        settle(&f);                             /* of what is coming nothing can be removed, and nobody goes on trying */
        CHECK(!proxy_cache_take(f.cache, 1));
        CHECK(settle(&f) < 10);
        proxy_cache_give_back(f.cache, 1000);
        for (unsigned i = 0; i < 10; i++)
                CHECK(proxy_cache_take_file(f.cache));
        CHECK(!proxy_cache_take_file(f.cache));
        teardown(&f);
}

/* However it goes on, there is never more than was allowed. */
TEST(the_limits_hold) {
        enum { BYTES = 30000, FILES = 700 };
        Fixture f;
        unsigned kept = 0;
        char name[64];

        setup(&f);
        open_cache(&f, BYTES, FILES);
        for (unsigned i = 0; i < 2000; i++) {
                size_t size = i * 31 % 97;

                if (!proxy_cache_take_file(f.cache))
                        ;
                else if (!proxy_cache_take(f.cache, size))
                        proxy_cache_give_back(f.cache, 0);
                else {
                        (void) snprintf(name, sizeof(name), "%u/%u", i % 16, i);
                        put(&f, name, size, 10000 - (time_t) i);
                        proxy_cache_keep(f.cache, size);
                        kept++;
                }
                (void) sd_event_run(f.event, 0);
                if (i % 100 != 0)
                        continue;
                measure(&f);
                if (n_bytes > BYTES || n_files > FILES) {
                        TEST_FAIL("%u files of %llu bytes after %u", n_files, (unsigned long long) n_bytes, i);
                        break;
                }
        }
        settle(&f);
        measure(&f);
        CHECK(kept > 1000);                     /* it does not just stay full */
        CHECK(n_bytes > BYTES / 2);
        CHECK(is_there(&f, name));
        teardown(&f);
}

/* What is not ours to count, or to follow, stays as it is. */
TEST(links_are_not_followed) {
        Fixture f;
        char link[128], outside[] = "/tmp/test-proxy-outside-XXXXXX", file[64];

        setup(&f);
        REQUIRE(mkdtemp(outside));
        (void) snprintf(file, sizeof(file), "%s/file", outside);
        (void) snprintf(link, sizeof(link), "%slink", f.directory);
        REQUIRE(write_file_atomic_at(AT_FDCWD, file, "0123456789", 10, 0600, false) >= 0 && symlink(outside, link) >= 0);
        put(&f, "a", 10, 1000);
        open_cache(&f, 10, 1);
        settle(&f);
        CHECK(!is_there(&f, "a"));
        CHECK(access(file, F_OK) >= 0);
        (void) remove_tree(outside);
        teardown(&f);
}

TEST_MAIN()
