/* SPDX-License-Identifier: GPL-3.0-or-later */

/* For tests of watches: a directory to work in, steps that change it, and a probe that counts what is told. Events of inotify are
 * there when the call that causes them returns, so nothing here waits. */
#pragma once

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/path-watch.h"
#include "tests/test.h"

enum { RECURSIVE = PATH_WATCH_RECURSIVE };

typedef struct Place {
        char path[64];
        sd_event *event;
        PathWatcher *watcher;
} Place;

static inline bool place_init(Place *p) {
        *p = (Place) { .path = "/tmp/mgmt-test-path-watch-XXXXXX" };
        return mkdtemp(p->path) && chdir(p->path) == 0 && sd_event_new(&p->event) >= 0 &&
               path_watcher_new(&p->watcher, p->event) >= 0;
}

static inline void place_done(Place *p) {
        p->watcher = path_watcher_free(p->watcher);
        p->event = sd_event_unref(p->event);
        CHECK(chdir("/") == 0);
        CHECK_INT(remove_tree(p->path), 0);
}

static inline void drain(Place *p) {
        while (sd_event_run(p->event, 0) > 0)
                ;
}

/* "/x" as it is, "x" below the place. */
static inline const char *full(const Place *p, const char *path) {
        static char buffer[4][PATH_MAX];
        static unsigned i;

        i = (i + 1) % 4;
        snprintf(buffer[i], sizeof(buffer[i]), path[0] == '/' ? "%s%s" : "%s/%s", path[0] == '/' ? "" : p->path, path);
        return buffer[i];
}

/* "write a/f; mv a b": each step must succeed. Relative to the current directory, which is the place. */
static inline bool do_step(char *step) {
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

static inline void do_steps(const char *steps) {
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

static inline void on_change(PathWatch *w, int error, void *userdata) {
        Probe *probe = userdata;

        probe->n++;
        probe->error = error;
}

static inline unsigned take_count(Probe *probe) {
        unsigned n = probe->n;
        probe->n = 0;
        return n;
}
