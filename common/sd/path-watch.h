/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One inotify instance for a whole daemon. Watches are per directory, shared and counted; each path is followed through its
 * nearest existing ancestor, so it may appear, vanish, be moved away with a parent and come back. Symbolic links are followed
 * wherever they are in a path: a change of the link counts as well as one of what it points to. A queue overflow reports a
 * change to everybody; a kernel limit or a missing permission is an error of the path concerned.
 *
 * What is mounted over a path, or unmounted, is seen; so is what happens to a file that is mounted on another. What inotify cannot
 * see stays unseen: writes through mmap(), and changes on the server of a network file system. */

#include <stdbool.h>
#include <sys/stat.h>

#include "common/macro.h"

typedef struct sd_event sd_event;
typedef struct PathWatcher PathWatcher;         /* one per daemon */
typedef struct PathWatch PathWatch;             /* one per path and user */

typedef enum PathWatchFlags {
        PATH_WATCH_RECURSIVE = 1 << 0,          /* everything below a directory; links below it are not followed */
        PATH_WATCH_LOOKED_AT = 1 << 1,          /* the user looks next, and tells by path_watch_saw() */
} PathWatchFlags;

/* Something at the path, or directly below it (anywhere below, if recursive), may have changed (error 0), or the watch broke
 * (negative errno) and has ended; it is still to be freed. Called from the loop, once for all changes that were found together.
 * May create and free any watches, also its own. */
typedef void (*path_watch_callback_t)(PathWatch *w, int error, void *userdata);

int path_watcher_new(PathWatcher **ret, sd_event *event);
PathWatcher *path_watcher_free(PathWatcher *p); /* watches that are still there fall silent */
DEFINE_CLEANUP(PathWatcher *, path_watcher_free)

/* Armed when it returns. path is absolute. -EINVAL if not; -ENAMETOOLONG; -EACCES: the directory may not be read; -ENOSPC: the
 * kernel's limit of watches; -EMFILE: its limit of inotify instances. */
int path_watch_new(PathWatch **ret, PathWatcher *p, const char *path, unsigned flags, path_watch_callback_t callback, void *userdata);
PathWatch *path_watch_free(PathWatch *w);
DEFINE_CLEANUP(PathWatch *, path_watch_free)

/* What the user found when he looked at the path, after it was armed and following no link: a mode as of stat(), or 0 for nothing.
 * That spares a look of our own, by which links and directories are told from the rest; it is taken, and the user called if it was
 * one of these, where he does not tell before the loop goes on or another path is watched. */
void path_watch_saw(PathWatch *w, mode_t mode);

/* The user has just renamed a regular file to the path, and knows what is in it; st says how he left it, before. He is not called
 * for that, as long as this is what is there, but for all that comes after it. */
void path_watch_put(PathWatch *w, const struct stat *st);

/* How often to look at a path that cannot be watched, until it can. */
enum { PATH_WATCH_FALLBACK_USEC = 30 * 1000 * 1000 };

unsigned path_watcher_n_watches(const PathWatcher *p);          /* kernel watches in use */
