/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the engine makes of the limits of inotify, with the real ones of the kernel: what cannot be watched is looked at now and
 * then, what may have been missed is looked at once more, and people are told of both. */

#include "tests/daemons/engine/engine-test.h"
#include "tests/namespace.h"

enum {
        FILES = 8,
        LIMIT_USEC = 20 * 1000 * 1000,
};

extern const ResourceType file_type;

static const ResourceType *const file_types[] = { &file_type, NULL };

/* Files "0/f", "1/f", … : each has a directory, and so a kernel watch, of its own. */
static char *file_path(const Engine *e, unsigned i) {
        static char path[96];

        (void) snprintf(path, sizeof(path), "%s/%u/f", e->dir, i);
        return path;
}

static bool is_right(const Engine *e, unsigned i) {
        _cleanup_free_ char *text = NULL;

        return read_file_at(AT_FDCWD, file_path(e, i), 64, &text, NULL) >= 0 && streq(text, "right");
}

static void make_wrong(const Engine *e, unsigned i) {
        CHECK_INT(write_file_atomic_at(AT_FDCWD, file_path(e, i), "wrong", 5, 0644, false), 0);
}

static int put_files(Engine *e) {
        ChangeSet set_ = { .generation = 1, .full = true };

        for (unsigned i = 0; i < FILES; i++) {
                ResourceSpec s = { .kind = strdup("file"), .name = strdup(file_path(e, i)) };

                *strrchr(s.name, '/') = '\0';
                CHECK_INT(mkdir(s.name, 0755), 0);
                s.name[strlen(s.name)] = '/';
                meta_init(&s.meta);
                add_field(&s, "content", "right");
                add_field(&s, "state", "exists");
                (void) change_set_put(&set_, &s);
        }
        int r = graph_swap(e->m, &set_, &e->options, &e->diag);
        change_set_done(&set_);
        return r;
}

static Vertex *file_vertex(const Engine *e, unsigned i) {
        return manager_find(e->m, "file", file_path(e, i));
}

static unsigned n_polled(const Engine *e) {
        unsigned n = 0;

        for (unsigned i = 0; i < FILES; i++)
                n += file_vertex(e, i)->polled;
        return n;
}

static bool is_settled(const Engine *e, int want_polled) {
        for (unsigned i = 0; i < FILES; i++)
                if (!is_right(e, i))
                        return false;
        return e->m->scheduler.n_unsettled == 0 && (want_polled < 0 || n_polled(e) == (unsigned) want_polled);
}

/* Runs until all files are right, so many are polled (negative: any number), and nothing that was seen is left to be done. */
static bool settles(Engine *e, int want_polled) {
        uint64_t begin = metrics_now();

        while (metrics_now() - begin < LIMIT_USEC)
                if (sd_event_run(e->event, is_settled(e, want_polled) ? 0 : 100000) == 0 && is_settled(e, want_polled))
                        return true;
        return false;
}

/* What stderr shows, as a file that the log goes to. */
static char *logged(int fd) {
        static char text[16384];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        text[n > 0 ? n : 0] = '\0';
        CHECK(ftruncate(fd, 0) == 0);
        return text;
}

static int begin_log(void) {
        char path[] = "/tmp/test-watch-limits-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC | O_APPEND);

        (void) unlink(path);
        (void) unsetenv("JOURNAL_STREAM");
        (void) log_set_level(LOG_NOTICE);
        CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
        CHECK(log_set_target("console") >= 0);
        return fd;
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
                n++;
        return n;
}

static int body_exhausted(void) {
        __attribute__((__cleanup__(engine_end))) Engine e = {};

        if (!unshare_as_root(0) || !write_text("/proc/sys/user/max_inotify_watches", "6"))
                return 77;
        if (engine_begin_with(&e, file_types, &no_options) < 0)
                return 2;
        _cleanup_close_ int log = begin_log();
        e.m->fallback_poll_usec = 5000;

        /* The root, /tmp and the place itself take three; what is left is taken by three files. */
        CHECK_INT(put_files(&e), 0);
        CHECK(settles(&e, -1));
        unsigned blind = n_polled(&e);
        CHECK(blind > 0 && blind < FILES);
        const char *text = logged(log);
        CHECK_INT(count(text, "looking at it every 0.005 seconds until it can be watched"), blind);
        for (unsigned i = 0; i < FILES; i++)
                make_wrong(&e, i);
        CHECK(settles(&e, (int) blind));
        CHECK_STR(logged(log), "");     /* told once, however often it is tried */

        CHECK(write_text("/proc/sys/user/max_inotify_watches", "100"));
        CHECK(settles(&e, 0));
        CHECK_INT(count(logged(log), "it is watched again"), blind);
        for (unsigned i = 0; i < FILES; i++) {
                Vertex *v = file_vertex(&e, i);
                CHECK(!v->poll_timer || sd_event_source_get_enabled(v->poll_timer, NULL) == 0);
                make_wrong(&e, i);
        }
        CHECK(settles(&e, 0));
        return 0;
}

static int body_no_instance(void) {
        __attribute__((__cleanup__(engine_end))) Engine e = {};

        if (!unshare_as_root(0) || !write_text("/proc/sys/user/max_inotify_instances", "0"))
                return 77;
        if (engine_begin_with(&e, file_types, &no_options) < 0)
                return 2;
        e.m->fallback_poll_usec = 5000;
        CHECK_INT(put_files(&e), 0);
        CHECK(settles(&e, FILES));
        make_wrong(&e, 3);
        CHECK(settles(&e, FILES));
        CHECK(write_text("/proc/sys/user/max_inotify_instances", "1"));
        CHECK(settles(&e, 0));
        return 0;
}

TEST(what_cannot_be_watched_is_looked_at) {
        int (*const bodies[])(void) = { body_exhausted, body_no_instance };

        for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
                int r = in_child(bodies[i]);
                if (r == 77)
                        TEST_SKIP("no user namespaces");
                CHECK_INT(r, 0);
        }
}

static int body_overflow(void) {
        __attribute__((__cleanup__(engine_end))) Engine e = {};
        _cleanup_free_ char *text = NULL;

        if (read_file_at(AT_FDCWD, "/proc/sys/fs/inotify/max_queued_events", 64, &text, NULL) < 0 || strtol(text, NULL, 10) > 200000)
                return 77;
        if (engine_begin_with(&e, file_types, &no_options) < 0)
                return 2;
        _cleanup_close_ int log = begin_log();
        CHECK_INT(put_files(&e), 0);
        CHECK(settles(&e, 0));
        CHECK_STR(logged(log), "");

        /* Events that are the same as the one before are dropped, so it takes two kinds of them. */
        for (long i = strtol(text, NULL, 10); i > 0; i--) {
                _cleanup_close_ int fd = open(file_path(&e, 0), O_WRONLY | O_CLOEXEC);
                CHECK(fd >= 0 && fchmod(fd, i % 2 ? 0600 : 0644) == 0);
        }
        make_wrong(&e, 5);
        CHECK(unlink(file_path(&e, 6)) == 0);
        CHECK(settles(&e, 0));
        CHECK_INT(count(logged(log), "the kernel has lost changes of files"), 1);
        make_wrong(&e, 5);
        CHECK(settles(&e, 0));
        CHECK_STR(logged(log), "");
        return 0;
}

TEST(what_may_have_been_missed_is_looked_at) {
        int r = in_child(body_overflow);

        if (r == 77)
                TEST_SKIP("the queue of inotify is too long to overflow here");
        CHECK_INT(r, 0);
}

TEST_MAIN()
