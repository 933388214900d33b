/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches where the kernel has no more to give, drops what it has to tell, or refuses; and mounts, in a namespace. */

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>


#include "common/io.h"
#include "common/sd/path-watch.h"
#include "tests/common/sd/path-watch-test.h"
#include "tests/namespace.h"
#include "tests/test.h"

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

/* Each step in turn: what is written there is told, by whatever name. */
static void check_mounted(Place *p, Probe *probe, const char *const *steps) {
        for (; *steps; steps++) {
                do_steps(*steps);
                drain(p);
                if (take_count(probe) == 0)
                        TEST_FAIL("'%s' was not told", *steps);
        }
}

#define STEPS(...) ((const char *const[]) { __VA_ARGS__, NULL })

static int body_mounted_files(void) {
        Place p;
        Probe early = {}, late = {}, link = {}, other = {};

        if (!unshare_as_root(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return 77;
        if (!place_init(&p))
                return 2;
        do_steps("mkdir from; write from/a; write from/b; mkdir to; write to/a; chmod 644 to/a; write other; ln to way");
        _cleanup_close_ int fd = open("to/a b", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || mount("from/a", "to/a", NULL, MS_BIND, NULL) < 0)
                return 77;
        CHECK_INT(path_watch_new(&early.watch, p.watcher, full(&p, "to/a"), PATH_WATCH_LOOKED_AT, on_change, &early), 0);
        path_watch_saw(early.watch, S_IFREG | 0644);
        CHECK_INT(path_watch_new(&late.watch, p.watcher, full(&p, "to/a b"), PATH_WATCH_LOOKED_AT, on_change, &late), 0);
        path_watch_saw(late.watch, S_IFREG | 0644);
        CHECK_INT(path_watch_new(&link.watch, p.watcher, full(&p, "way/a b"), 0, on_change, &link), 0);
        CHECK_INT(path_watch_new(&other.watch, p.watcher, full(&p, "other"), 0, on_change, &other), 0);
        drain(&p);
        (void) take_count(&early);
        CHECK_INT(take_count(&late) + take_count(&link) + take_count(&other), 0);
        check_mounted(&p, &early, STEPS("write to/a", "write from/a", "chmod 600 to/a", "chmod 644 from/a"));

        CHECK_INT(mount("from/b", "to/a b", NULL, MS_BIND, NULL), 0);
        drain(&p);
        CHECK(take_count(&late) > 0);
        CHECK(take_count(&link) > 0);
        check_mounted(&p, &late, STEPS("write from/b", "chmod 600 from/b"));
        CHECK(take_count(&link) > 0);
        CHECK_INT(take_count(&early), 0);

        CHECK_INT(umount2("to/a b", 0), 0);
        drain(&p);
        CHECK(take_count(&late) > 0);
        CHECK(take_count(&link) > 0);
        do_steps("write from/b");
        drain(&p);
        CHECK_INT(take_count(&late) + take_count(&link) + take_count(&other), 0);
        CHECK_INT(write(fd, "x", 1), 1);
        drain(&p);
        CHECK(take_count(&late) > 0);
        CHECK(take_count(&link) > 0);

        path_watch_free(early.watch);
        path_watch_free(late.watch);
        path_watch_free(link.watch);
        path_watch_free(other.watch);
        CHECK_INT(path_watcher_n_watches(p.watcher), 1);
        CHECK_INT(umount2("to/a", 0), 0);
        place_done(&p);
        return 0;
}

TEST(files_that_are_mounted_are_seen) {
        int r = in_child(body_mounted_files);
        if (r == 77)
                TEST_SKIP("no mount namespaces");
        CHECK_INT(r, 0);
}

TEST(mounts_are_seen) {
        int r = in_child(body_mounts);
        if (r == 77)
                TEST_SKIP("no mount namespaces");
        CHECK_INT(r, 0);
}

TEST_MAIN()
