/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The inside of path-watch.h, shared by path-watch.c (watches, links, events) and path-tree.c (Nodes and kernel watches). */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/inotify.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/path-watch.h"

enum {
        PATH_NAMES_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
        PATH_LINKS_MAX = 40,    /* as the kernel: longer chains lead nowhere */
        PATH_BUFFER_SIZE = 64 * 1024,
};

typedef enum PathNodeState {
        PATH_ABSENT,            /* or out of reach */
        PATH_DIRECTORY,
        PATH_LINK,
        PATH_OTHER,
} PathNodeState;

typedef struct PathNode PathNode;

/* A kernel watch. */
typedef struct PathDir {
        int wd;
        uint32_t mask;
        PathNode *nodes;
        PathNode *cursor;       /* the next one while an event goes through them */
        bool busy, dead;        /* in the hands of dispatch(); gone from the kernel */
} PathDir;

struct PathNode {
        PathNode *parent;
        PathNode *children, *sibling, *previous_sibling;
        PathDir *dir;           /* if it is a directory, or a link to one; or a file that is mounted */
        PathNode *dir_next, *dir_previous;
        PathWatch *users;       /* whose path ends here */
        PathWatch *alias;       /* PATH_LINK: follows the target */
        PathNode *links_next;   /* in PathWatcher.links, if queued, or in .circular */
        unsigned n_recursive;   /* of the users */
        unsigned n_content;     /* users that are not aliases */
        unsigned n_full;        /* children whose content we see by events of this directory */
        int error;              /* why there is no Dir, or why we cannot see it */
        int alias_error;
        unsigned n_links;       /* that led to this Node being made */
        unsigned visit;         /* see PathWatcher.visit */
        PathNodeState state;
        bool covered;           /* it, or a directory above it, is watched recursively */
        bool covers;            /* so are its children */
        bool counted;           /* in n_full of the parent */
        bool queued;
        bool circular;          /* a link without alias, since that would lead back to it */
        bool mounted;           /* PATH_OTHER: something is mounted on it */
        uint16_t name_size;
        char name[];
};

typedef enum PathReason {
        PATH_REASON_CONTENT = 1 << 0,
        PATH_REASON_PLACE   = 1 << 1,        /* the path may lead to something else */
} PathReason;

/* Of what the tree believes, what is to be looked at once more? */
typedef enum PathRescan {
        PATH_RESCAN_NOTHING,
        PATH_RESCAN_PLACES,             /* directories and links: something was mounted */
        PATH_RESCAN_ALL,                /* also the content of directories: events were lost */
} PathRescan;

struct PathWatch {
        PathWatcher *watcher;           /* NULL once it is freed */
        PathNode *node;                 /* NULL once the watch has ended */
        PathWatch *next, *previous;     /* users of the node */
        PathWatch *all_next, *all_previous;
        PathWatch *pending_next, *pending_previous;
        unsigned flags;
        unsigned reasons;               /* not zero: pending */
        int error;
        uint64_t put_in;                /* PathWatcher.n_turns when its user put a file there last; 0: never */
        uint64_t put_file;              /* which one, see fingerprint() */
        PathNode *link;                 /* of an alias: the link that it follows; NULL once that is gone */
        PathWatch *dropped_next;        /* of an alias: in PathWatcher.dropped */
        path_watch_callback_t callback; /* NULL: an alias */
        void *userdata;
};

struct PathWatcher {
        sd_event *event;
        int fd;                         /* -EBADF until the first watch */
        sd_event_source *source;        /* of fd */
        sd_event_source *defer_source;  /* for what was found outside of the loop */
        int mounts_fd;                  /* the table of mounts, or -EBADF if we may not read it */
        sd_event_source *mounts_source;
        Map *mounts;                    /* where something is mounted; NULL: not known */
        Map *dirs;                      /* by wd */
        Map *nodes;                     /* by parent and name */
        PathNode *root;
        PathNode *unseen;               /* PATH_ABSENT until its user tells what is there, see path_watch_saw(); or NULL */
        PathNode *recent;               /* the directory that a path was looked up in last, or NULL */
        size_t recent_size;
        char recent_path[PATH_MAX];     /* its clean path, of that size */
        PathNode *links;                /* whose alias is to be looked at */
        PathNode *circular;             /* whose alias has to wait until some other is dropped */
        PathWatch *dropped;             /* aliases that are to be freed */
        PathWatch *all, *pending, *pending_last;
        unsigned n_dirs;
        unsigned n_links;               /* that led to the Nodes being made */
        uint64_t n_turns;               /* of the loop, in which files were put in place; from 1 on */
        bool has_put;                   /* in this one */
        unsigned visit;                 /* number of the walk over the Nodes that goes on */
        PathRescan rescan;
        bool flushing;
        char path[PATH_MAX];            /* of the Node in hand, see path_node_path() */
        char buffer[PATH_BUFFER_SIZE] __attribute__((__aligned__(__alignof__(struct inotify_event))));
};

/* ---- who is to be told ---- */

void path_watch_notify(PathWatch *w, unsigned reasons);         /* PathReasons */
void path_watch_forget_pending(PathWatch *w);
void path_node_notify(PathNode *n, unsigned reasons);
void path_node_notify_below(PathNode *n, unsigned reasons);     /* and those at n itself */

/* Something in directory n changed: for those who watch it, and for recursive watches further up. An alias does not care: its
 * link carries the same PathDir. */
void path_node_notify_inside(PathNode *n);

void path_node_fail_cover(PathNode *n); /* n->error is one of the recursive watches above it */

/* Whether a watch is blind. A directory that may not be read matters only if no directory further down is watched: the events
 * of that one tell nearly as much. */
int path_watch_error(const PathWatch *w);

/* ---- the tree ---- */

int path_node_path(PathWatcher *p, const PathNode *n);          /* fills p->path */
PathNode *path_node_find(const PathWatcher *p, const PathNode *parent, const char *name, size_t size);
int path_node_get(PathWatcher *p, PathNode *parent, const char *name, size_t size, PathNode **ret);     /* 1: it was made */
PathNode *path_node_free(PathWatcher *p, PathNode *n);          /* returns its parent */
void path_node_free_unused(PathWatcher *p, PathNode *n);        /* it, and then what it was the last reason for */

/* Brings n, and what hangs below it, up to date with the file system. moved: its parent is not what it was. Frees no Node but
 * unused ones below n. */
void path_node_resolve(PathWatcher *p, PathNode *n, bool moved);
void path_node_uncover(PathWatcher *p, PathNode *n);    /* after a recursive watch of n went away. Frees as above */

void path_node_count(PathWatcher *p, PathNode *n);      /* after its users or its state changed */
void path_node_adjust_mask(PathWatcher *p, PathNode *n);        /* after node_mask() changed */
void path_node_unqueue(PathWatcher *p, PathNode *n);    /* from .links or .circular */
void path_node_drop_alias(PathWatcher *p, PathNode *n);

/* ---- mounts ---- */

int path_mounts_read(Map **ret);        /* by path; the values mean nothing */

/* ---- kernel watches ---- */

PathDir *path_dir_find(const PathWatcher *p, int wd);
void path_dir_forget(PathWatcher *p, PathDir *d);       /* the kernel has none any more */
void path_dir_free_if_unused(PathWatcher *p, PathDir *d);
void path_node_detach(PathWatcher *p, PathNode *n);
