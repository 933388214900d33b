/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The paths that are watched form a tree of Nodes, one per component, from the root down. Every Node that is a directory now
 * carries a kernel watch (a Dir; several Nodes share one where links lead to the same place). So a path is not followed step by
 * step: whatever is created, removed or renamed along it is an event of a directory that we watch, and finding the Node behind
 * an event is two hash lookups, by watch descriptor and by name.
 *
 * One function, node_resolve(), brings a Node and what hangs below it up to date with the file system, and tells the watches
 * whose path may lead somewhere else now. It always adds the kernel watch first and looks at the children afterwards; a change
 * in between is an event that is still to come and resolves again. That is the whole answer to the usual races: nothing here
 * depends on the file system standing still, only on resolving again for each event. And when a name along a path came or went,
 * whoever is below is told, even if all is as before: in between it may have been different, and somebody may have looked.
 *
 * Directories that are only passed through are watched for names that come and go, not for writes below them: a busy /tmp does
 * not wake us because of a path through it.
 *
 * A Node that is a symbolic link has an alias: a watch of our own on the path it points to. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/map.h"
#include "common/sd/pathwatch.h"

enum {
        NAMES_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO,
        SELF_MASK = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB,
        CONTENT_MASK = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB,
        PLACE_MASK = NAMES_MASK | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK,       /* of a directory that is passed through */
        FULL_MASK = PLACE_MASK | SELF_MASK | CONTENT_MASK,

        BUFFER_SIZE = 64 * 1024,
        LINKS_MAX = 40,         /* as the kernel: longer chains lead nowhere */
};

typedef enum NodeState {
        NODE_ABSENT,            /* or out of reach */
        NODE_DIRECTORY,
        NODE_LINK,
        NODE_OTHER,
} NodeState;

typedef struct Node Node;

/* A kernel watch. */
typedef struct Dir {
        int wd;
        uint32_t mask;
        Node *nodes;
        Node *cursor;           /* the next one while an event goes through them */
        bool busy, dead;        /* in the hands of dispatch(); gone from the kernel */
} Dir;

struct Node {
        Node *parent;
        Node *children, *sibling, *previous_sibling;
        Dir *dir;               /* if it is a directory, or a link to one */
        Node *dir_next, *dir_previous;
        PathWatch *users;       /* whose path ends here */
        PathWatch *alias;       /* NODE_LINK: follows the target */
        Node *links_next;       /* in PathWatcher.links, if queued, or in .circular */
        unsigned n_recursive;   /* of the users */
        unsigned n_content;     /* users that are not aliases */
        unsigned n_full;        /* children whose content we see by events of this directory */
        int error;              /* why there is no Dir, or why we cannot see it */
        int alias_error;
        unsigned n_links;       /* that led to this Node being made */
        unsigned visit;         /* see PathWatcher.visit */
        NodeState state;
        bool covered;           /* it, or a directory above it, is watched recursively */
        bool covers;            /* so are its children */
        bool counted;           /* in n_full of the parent */
        bool queued;
        bool circular;          /* a link without alias, since that would lead back to it */
        uint16_t name_size;
        char name[];
};

typedef enum Reason {
        REASON_CONTENT = 1 << 0,
        REASON_PLACE   = 1 << 1,        /* the path may lead to something else */
} Reason;

struct PathWatch {
        PathWatcher *watcher;           /* NULL once it is freed */
        Node *node;                     /* NULL once the watch has ended */
        PathWatch *next, *previous;     /* users of the node */
        PathWatch *all_next, *all_previous;
        PathWatch *pending_next, *pending_previous;
        unsigned flags;
        unsigned reasons;               /* not zero: pending */
        int error;
        Node *link;                     /* of an alias: the link that it follows; NULL once that is gone */
        PathWatch *dropped_next;        /* of an alias: in PathWatcher.dropped */
        path_watch_callback_t callback; /* NULL: an alias */
        void *userdata;
};

struct PathWatcher {
        int fd;
        sd_event_source *source;        /* of fd */
        sd_event_source *defer_source;  /* for what was found outside of the loop */
        Map *dirs;                      /* by wd */
        Map *nodes;                     /* by parent and name */
        Node *root;
        Node *links;                    /* whose alias is to be looked at */
        Node *circular;                 /* whose alias has to wait until some other is dropped */
        PathWatch *dropped;             /* aliases that are to be freed */
        PathWatch *all, *pending, *pending_last;
        unsigned n_dirs;
        unsigned n_links;               /* that led to the Nodes being made */
        unsigned visit;                 /* number of the walk over the Nodes that goes on */
        bool rescanning, flushing;
        char path[PATH_MAX];            /* of the Node in hand, see node_path() */
        char buffer[BUFFER_SIZE] __attribute__((__aligned__(__alignof__(struct inotify_event))));
};

static void node_resolve(PathWatcher *p, Node *n, bool moved);

/* ---- who is to be told ---- */

static void watch_notify(PathWatch *w, unsigned reasons) {
        PathWatcher *p = w->watcher;

        if (w->reasons == 0) {
                w->pending_next = NULL;
                w->pending_previous = p->pending_last;
                *(p->pending_last ? &p->pending_last->pending_next : &p->pending) = w;
                p->pending_last = w;
        }
        w->reasons |= reasons;
}

static void watch_forget_pending(PathWatch *w) {
        PathWatcher *p = w->watcher;

        if (w->reasons == 0)
                return;
        *(w->pending_previous ? &w->pending_previous->pending_next : &p->pending) = w->pending_next;
        *(w->pending_next ? &w->pending_next->pending_previous : &p->pending_last) = w->pending_previous;
        w->reasons = 0;
}

static void node_notify(Node *n, unsigned reasons) {
        for (PathWatch *w = n->users; w; w = w->next)
                watch_notify(w, reasons);
}

static void node_notify_below(Node *n, unsigned reasons) {
        node_notify(n, reasons);
        for (Node *child = n->children; child; child = child->sibling)
                node_notify_below(child, reasons);
}

/* Something in directory n changed: for those who watch it, and for recursive watches further up. An alias does not care: its
 * link carries the same Dir. */
static void node_notify_inside(Node *n) {
        if (n->n_content > 0)
                for (PathWatch *w = n->users; w; w = w->next)
                        if (w->callback)
                                watch_notify(w, REASON_CONTENT);
        for (Node *m = n; m && m->covered; m = m->parent)
                if (m->n_recursive > 0)
                        for (PathWatch *w = m->users; w; w = w->next)
                                if (w->flags & PATH_WATCH_RECURSIVE)
                                        watch_notify(w, REASON_CONTENT);
}

/* A directory that could not be watched is an error of the recursive watches above it. */
static void node_fail_cover(Node *n) {
        for (Node *m = n; m && m->covered; m = m->parent)
                for (PathWatch *w = m->users; w; w = w->next)
                        if (w->flags & PATH_WATCH_RECURSIVE) {
                                w->error = w->error < 0 ? w->error : n->error;
                                watch_notify(w, REASON_PLACE);
                        }
}

static int chain_error(Node *last, unsigned visit) {
        bool sees = false;

        for (Node *n = last; n && n->visit != visit; n = n->parent) {
                n->visit = visit;
                int error = n->error < 0 ? n->error : n->alias_error;
                if (error == 0 && n->alias)
                        error = chain_error(n->alias->node, visit);
                if (error < 0 && (!sees || (error != -EACCES && error != -EPERM)))
                        return error;
                sees = sees || n->dir;
        }
        return 0;
}

/* Whether a watch is blind. A directory that may not be read matters only if no directory further down is watched: the events
 * of that one tell nearly as much. */
static int watch_error(const PathWatch *w) {
        if (w->error < 0)
                return w->error;
        return w->node ? chain_error(w->node, ++w->watcher->visit) : 0;
}

/* ---- the tree ---- */

/* Links are followed only where the path of a recursive watch ends with one. */
static void node_update_cover(Node *n) {
        n->covered = n->n_recursive > 0 || (n->parent && n->parent->covers);
        n->covers = n->n_recursive > 0 || (n->covered && n->state == NODE_DIRECTORY);
}

/* Fills p->path. */
static int node_path(PathWatcher *p, const Node *n) {
        size_t size = 1;

        for (const Node *m = n; m->parent; m = m->parent)
                size += m->name_size + 1U;
        if (size > sizeof(p->path))
                return -ENAMETOOLONG;
        if (!n->parent) {
                memcpy(p->path, "/", 2);
                return 0;
        }
        char *end = p->path + size - 1;
        *end = '\0';
        for (const Node *m = n; m->parent; m = m->parent) {
                end -= m->name_size;
                memcpy(end, m->name, m->name_size);
                *--end = '/';
        }
        return 0;
}

typedef struct NodeKey {
        const Node *parent;
        char name[NAME_MAX];
} NodeKey;

static size_t node_key(NodeKey *key, const Node *parent, const char *name, size_t size) {
        key->parent = parent;
        memcpy(key->name, name, size);
        return offsetof(NodeKey, name) + size;
}

static Node *node_find(const PathWatcher *p, const Node *parent, const char *name, size_t size) {
        NodeKey key;

        return size <= NAME_MAX ? map_get_n(p->nodes, &key, node_key(&key, parent, name, size)) : NULL;
}

static int node_new(PathWatcher *p, Node *parent, const char *name, size_t size, Node **ret) {
        NodeKey key;

        if (size > NAME_MAX)
                return -ENAMETOOLONG;
        Node *n = calloc(1, sizeof(Node) + size + 1);
        if (!n)
                return -ENOMEM;
        n->name_size = (uint16_t) size;
        memcpy(n->name, name, size);
        if (parent) {
                int r = map_put_n(p->nodes, &key, node_key(&key, parent, name, size), n);
                if (r < 0) {
                        free(n);
                        return r;
                }
                n->n_links = p->n_links;
                n->parent = parent;
                n->sibling = parent->children;
                if (n->sibling)
                        n->sibling->previous_sibling = n;
                parent->children = n;
        }
        *ret = n;
        return 0;
}

/* ---- kernel watches ---- */

static Dir *dir_find(const PathWatcher *p, int wd) {
        return map_get_n(p->dirs, &wd, sizeof(wd));
}

static void dir_forget(PathWatcher *p, Dir *d) {
        if (d->dead)
                return;
        (void) map_remove_n(p->dirs, &d->wd, sizeof(d->wd));
        p->n_dirs--;
        d->dead = true;
}

static void dir_free_if_unused(PathWatcher *p, Dir *d) {
        if (d->nodes || d->busy)
                return;
        if (!d->dead)
                (void) inotify_rm_watch(p->fd, d->wd);          /* fails if the directory is gone, and the watch with it */
        dir_forget(p, d);
        free(d);
}

static int dir_new(PathWatcher *p, int wd, Dir **ret) {
        Dir *d = calloc(1, sizeof(Dir));
        int r = d ? map_put_n(p->dirs, &wd, sizeof(wd), d) : -ENOMEM;

        if (r < 0) {
                free(d);
                (void) inotify_rm_watch(p->fd, wd);
                return r;
        }
        d->wd = wd;
        p->n_dirs++;
        *ret = d;
        return 0;
}

static void node_detach(PathWatcher *p, Node *n) {
        Dir *d = n->dir;

        if (!d)
                return;
        if (d->cursor == n)
                d->cursor = n->dir_next;
        *(n->dir_previous ? &n->dir_previous->dir_next : &d->nodes) = n->dir_next;
        if (n->dir_next)
                n->dir_next->dir_previous = n->dir_previous;
        n->dir_next = n->dir_previous = NULL;
        n->dir = NULL;
        dir_free_if_unused(p, d);
}

static uint32_t node_mask(const Node *n) {
        return n->n_full > 0 || n->n_content > 0 || n->covered ? FULL_MASK : PLACE_MASK;
}

static int add_kernel_watch(PathWatcher *p, const Node *n, uint32_t mask) {
        int r = node_path(p, n);
        if (r < 0)
                return r;
        r = inotify_add_watch(p->fd, p->path, mask | IN_ONLYDIR | (n->state == NODE_DIRECTORY ? IN_DONT_FOLLOW : 0));
        return r < 0 ? -errno : r;
}

/* Makes n carry the watch of the directory that its path leads to. -ENOENT or -ENOTDIR if that is none (any more). */
static int node_attach(PathWatcher *p, Node *n) {
        int wd = add_kernel_watch(p, n, node_mask(n) | IN_MASK_ADD);
        if (wd < 0)
                return wd;
        Dir *d = dir_find(p, wd);
        if (!d) {
                int r = dir_new(p, wd, &d);
                if (r < 0)
                        return r;
        }
        d->mask |= node_mask(n);
        if (n->dir == d)
                return 0;

        node_detach(p, n);
        n->dir = d;
        n->dir_next = d->nodes;
        if (n->dir_next)
                n->dir_next->dir_previous = n;
        d->nodes = n;
        return 0;
}

/* Asks the kernel for more, or less, than so far. If the path leads to another directory by now, nothing changes: the event
 * that says so is under way. */
static void node_adjust_mask(PathWatcher *p, Node *n) {
        uint32_t mask = 0;

        if (!n->dir || n->dir->dead)
                return;
        for (const Node *m = n->dir->nodes; m; m = m->dir_next)
                mask |= node_mask(m);
        if (mask == n->dir->mask)
                return;
        int wd = add_kernel_watch(p, n, mask);
        if (wd == n->dir->wd)
                n->dir->mask = mask;
        else if (wd >= 0) {
                const Dir *other = dir_find(p, wd);
                if (!other)
                        (void) inotify_rm_watch(p->fd, wd);
                else
                        (void) add_kernel_watch(p, n, other->mask | mask);
        }
}

/* What a directory does not tell of itself is seen by its parent. */
static void node_count(PathWatcher *p, Node *n) {
        bool wanted = n->users && n->state != NODE_DIRECTORY;

        if (!n->parent || n->counted == wanted)
                return;
        n->counted = wanted;
        n->parent->n_full += wanted ? 1 : -1U;
        node_adjust_mask(p, n->parent);
}

/* ---- links ---- */

static void queue_link(PathWatcher *p, Node *n) {
        if (n->queued || n->circular)
                return;
        n->queued = true;
        n->links_next = p->links;
        p->links = n;
}

static void unqueue_link(PathWatcher *p, Node *n) {
        if (!n->queued && !n->circular)
                return;
        for (Node **q = n->queued ? &p->links : &p->circular; *q; q = &(*q)->links_next)
                if (*q == n) {
                        *q = n->links_next;
                        break;
                }
        n->queued = n->circular = false;
}

/* An alias is not freed on the spot, since Nodes go with it; settle() does it. And without it a circle may be open. */
static void node_drop_alias(PathWatcher *p, Node *n) {
        if (!n->alias)
                return;
        n->alias->link = NULL;
        n->alias->dropped_next = p->dropped;
        p->dropped = TAKE_PTR(n->alias);

        while (p->circular) {
                Node *other = p->circular;
                unqueue_link(p, other);
                queue_link(p, other);
                node_notify_below(other, REASON_PLACE | REASON_CONTENT);
        }
}

/* ---- resolving ---- */

/* What is at the end of p->path. */
static NodeState look(PathWatcher *p, Node *n) {
        struct stat st;

        n->error = 0;
        if (!n->parent)
                return NODE_DIRECTORY;
        if (n->parent->state != NODE_DIRECTORY && n->parent->state != NODE_LINK)
                return NODE_ABSENT;
        n->error = node_path(p, n);
        if (n->error < 0)
                return NODE_ABSENT;
        if (fstatat(AT_FDCWD, p->path, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
                if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
                        n->error = -errno;
                return NODE_ABSENT;
        }
        return S_ISDIR(st.st_mode) ? NODE_DIRECTORY : S_ISLNK(st.st_mode) ? NODE_LINK : NODE_OTHER;
}

/* Sets state, Dir and error of n as they are now. */
static void node_look(PathWatcher *p, Node *n) {
        int r = -ENOENT;

        n->state = look(p, n);
        if (n->state == NODE_DIRECTORY || n->state == NODE_LINK)
                r = node_attach(p, n);
        if (r < 0)
                node_detach(p, n);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
                n->state = n->state == NODE_DIRECTORY ? NODE_ABSENT : n->state;         /* it just went away */
        else if (r < 0)
                n->error = r;
        if (n->state == NODE_LINK)
                queue_link(p, n);
        else {
                unqueue_link(p, n);
                node_drop_alias(p, n);
                n->alias_error = 0;
        }
}

/* Makes Nodes for the directories below n. They are resolved with the other children. */
static int node_scan(PathWatcher *p, Node *n) {
        int r = node_path(p, n);
        if (r < 0)
                return r;
        DIR *directory = opendir(p->path);
        if (!directory)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;        /* gone again: an event will say so */

        for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
                size_t size = strlen(entry->d_name);
                Node *child;
                if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
                    !streq(entry->d_name, ".") && !streq(entry->d_name, "..") && !node_find(p, n, entry->d_name, size))
                        r = node_new(p, n, entry->d_name, size, &child);
        }
        closedir(directory);
        return r;
}

/* Nobody needs it: no path ends or goes on here, and no recursive watch has to see it. */
static bool node_unused(const Node *n) {
        return n->parent && !n->users && !n->children && !(n->covered && n->state == NODE_DIRECTORY);
}

static Node *node_free(PathWatcher *p, Node *n) {
        Node *parent = n->parent;
        NodeKey key;

        unqueue_link(p, n);
        node_drop_alias(p, n);
        node_detach(p, n);
        if (parent) {
                (void) map_remove_n(p->nodes, &key, node_key(&key, parent, n->name, n->name_size));
                *(n->previous_sibling ? &n->previous_sibling->sibling : &parent->children) = n->sibling;
                if (n->sibling)
                        n->sibling->previous_sibling = n->previous_sibling;
        }
        free(n);
        return parent;
}

static void node_free_unused(PathWatcher *p, Node *n) {
        while (n && node_unused(n))
                n = node_free(p, n);
}

static void node_resolve_children(PathWatcher *p, Node *n, bool moved) {
        for (Node *child = n->children, *next; child; child = next) {
                next = child->sibling;
                node_resolve(p, child, moved);
                if (node_unused(child))
                        (void) node_free(p, child);
        }
}

/* moved: the parent is not what it was. Frees no Node but unused ones below n. */
static void node_resolve(PathWatcher *p, Node *n, bool moved) {
        const NodeState old_state = n->state;
        const Dir *old_dir = n->dir;
        const bool old_covers = n->covers;
        const int old_error = n->error;

        node_update_cover(n);
        if (moved && n->circular)
                unqueue_link(p, n);
        node_look(p, n);
        node_update_cover(n);
        node_count(p, n);

        const bool differs = n->state != old_state || n->dir != old_dir;
        const bool leads_elsewhere = differs || (moved && n->state != NODE_ABSENT);
        if (moved || differs)
                node_notify(n, REASON_PLACE | REASON_CONTENT);
        if (n->dir && n->covers && (n->dir != old_dir || !old_covers || p->rescanning)) {
                int r = node_scan(p, n);
                if (r < 0)
                        n->error = r;
                node_resolve_children(p, n, leads_elsewhere);
        } else if (leads_elsewhere || n->covers != old_covers)
                node_resolve_children(p, n, leads_elsewhere);
        else if (moved)
                node_notify_below(n, REASON_PLACE | REASON_CONTENT);
        if (n->error < 0 && n->error != old_error) {
                node_notify_below(n, REASON_PLACE);
                node_fail_cover(n);
        }
}

/* The reverse of what node_resolve() does for a recursive watch. Frees no Node but unused ones below n. */
static void node_uncover(PathWatcher *p, Node *n) {
        const bool old_covers = n->covers;

        node_update_cover(n);
        node_adjust_mask(p, n);
        if (n->covers || !old_covers)
                return;
        for (Node *child = n->children, *next; child; child = next) {
                next = child->sibling;
                node_uncover(p, child);
                if (node_unused(child))
                        (void) node_free(p, child);
        }
}

/* ---- watches ---- */

/* Absolute, without empty components, "." and "..", into a buffer of PATH_MAX. */
static int path_clean(const char *path, char *ret) {
        char *end = ret;

        if (path[0] != '/')
                return -EINVAL;
        for (const char *p = path; *p;) {
                p += strspn(p, "/");
                size_t n = strcspn(p, "/");
                if (n == 2 && startswith(p, ".."))
                        while (end > ret && *--end != '/')
                                ;
                else if (n > 0 && !(n == 1 && *p == '.')) {
                        if ((size_t) (end - ret) + n + 2 > PATH_MAX)
                                return -ENAMETOOLONG;
                        *end++ = '/';
                        end = mempcpy(end, p, n);
                }
                p += n;
        }
        *end = '\0';
        return 0;
}

static void watch_attach(PathWatch *w, Node *n) {
        w->node = n;
        w->next = n->users;
        if (w->next)
                w->next->previous = w;
        n->users = w;
        n->n_content += w->callback ? 1 : 0;
        n->n_recursive += w->flags & PATH_WATCH_RECURSIVE ? 1 : 0;
}

static void watch_detach(PathWatch *w) {
        PathWatcher *p = w->watcher;
        Node *n = w->node;

        if (!n)
                return;
        watch_forget_pending(w);
        *(w->previous ? &w->previous->next : &n->users) = w->next;
        if (w->next)
                w->next->previous = w->previous;
        w->next = w->previous = NULL;
        w->node = NULL;
        n->n_content -= w->callback ? 1 : 0;
        if (w->flags & PATH_WATCH_RECURSIVE && --n->n_recursive == 0)
                node_uncover(p, n);
        node_count(p, n);
        node_adjust_mask(p, n);
        node_free_unused(p, n);
}

static void watch_free(PathWatch *w) {
        PathWatcher *p = w->watcher;

        if (p) {
                watch_detach(w);
                *(w->all_previous ? &w->all_previous->all_next : &p->all) = w->all_next;
                if (w->all_next)
                        w->all_next->all_previous = w->all_previous;
        }
        free(w);
}

/* The Node at the end of a clean path; all but itself are resolved. */
static int make_nodes(PathWatcher *p, const char *clean, Node **ret) {
        Node *n = p->root;

        for (const char *name = clean; *name;) {
                size_t size = strcspn(++name, "/");
                Node *child = node_find(p, n, name, size);
                if (!child) {
                        int r = node_new(p, n, name, size, &child);
                        if (r < 0) {
                                node_free_unused(p, n);
                                return r;
                        }
                        if (name[size])
                                node_resolve(p, child, false);
                }
                n = child;
                name += size;
        }
        *ret = n;
        return 0;
}

/* Takes the content of w, on failure as well. settle() has to follow. */
static int watch_start(PathWatcher *p, const char *clean, PathWatch *w) {
        Node *n;
        int r;

        r = make_nodes(p, clean, &n);
        if (r < 0) {
                free(w);
                return r;
        }
        w->watcher = p;
        w->all_next = p->all;
        if (w->all_next)
                w->all_next->all_previous = w;
        p->all = w;
        watch_attach(w, n);
        node_resolve(p, n, false);
        return 0;
}

/* ---- aliases ---- */

/* The path that link n points to, clean, into a buffer of PATH_MAX. What stands before a ".." is resolved, since after a link
 * that does not lead to where the text says. */
static int link_target(PathWatcher *p, const Node *n, char *ret) {
        char text[PATH_MAX], joined[2 * PATH_MAX], resolved[PATH_MAX];

        int r = node_path(p, n);
        if (r < 0)
                return r;
        ssize_t size = readlink(p->path, text, sizeof(text) - 1);
        if (size < 0)
                return -errno;
        text[size] = '\0';

        char *end = joined;
        if (text[0] != '/') {
                r = node_path(p, n->parent);
                if (r < 0)
                        return r;
                end = mempcpy(end, p->path, strlen(p->path));
                *end++ = '/';
        }
        memcpy(end, text, (size_t) size + 1);

        char *rest = NULL;
        for (char *dots = joined; (dots = strstr(dots, "/..")); dots += 3)
                if (dots[3] == '/' || dots[3] == '\0')
                        rest = dots + 3;
        if (rest) {
                char saved = *rest;
                *rest = '\0';
                bool exists = realpath(joined, resolved);
                *rest = saved;
                if (exists && strlen(resolved) + strlen(rest) < sizeof(joined)) {
                        memmove(joined + strlen(resolved), rest, strlen(rest) + 1);
                        memcpy(joined, resolved, strlen(resolved));
                }
        }
        return path_clean(joined, ret);
}

/* Whether following the path that ends at last comes by n, over any number of links. */
static bool chain_leads_to(Node *last, const Node *n, unsigned visit) {
        for (Node *m = last; m && m->visit != visit; m = m->parent) {
                m->visit = visit;
                if (m == n || (m->alias && chain_leads_to(m->alias->node, n, visit)))
                        return true;
        }
        return false;
}

/* A circle of links leads nowhere, so nothing is missed if one of them has no alias; with it, all would keep each other. */
static int alias_start(PathWatcher *p, Node *n, const char *target) {
        PathWatch *w = calloc(1, sizeof(PathWatch));
        int r;

        if (!w)
                return -ENOMEM;
        w->link = n;
        p->n_links = n->n_links + 1;
        r = watch_start(p, target, w);
        p->n_links = 0;
        if (r < 0)
                return r;
        watch_forget_pending(w);
        if (chain_leads_to(w->node, n, ++p->visit)) {
                w->link = NULL;
                watch_free(w);
                return -ELOOP;
        }
        n->alias = w;
        return 0;
}

static void alias_failed(Node *n, int error) {
        n->alias_error = error;
        node_notify_below(n, REASON_PLACE);
}

/* Sees to it that link n has the alias that it needs. */
static void node_follow(PathWatcher *p, Node *n) {
        char target[PATH_MAX];
        int r;

        if (n->state != NODE_LINK || n->n_links >= LINKS_MAX)
                return;
        r = link_target(p, n, target);
        if (r == -ENOENT || r == -EINVAL || r == -ENOTDIR)      /* no link any more: an event will say so */
                return;
        if (r >= 0 && n->alias && node_path(p, n->alias->node) >= 0 && streq(p->path, *target ? target : "/"))
                return;
        node_drop_alias(p, n);
        n->alias_error = 0;
        if (r >= 0)
                r = alias_start(p, n, target);
        if (r == -ELOOP) {
                unqueue_link(p, n);
                n->circular = true;
                n->links_next = p->circular;
                p->circular = n;
                return;
        }
        if (r < 0) {
                alias_failed(n, r);
                return;
        }
        node_resolve(p, n, false);      /* the target may have come between the look at it and the watch */
}

/* What an alias follows has changed, so the link has. */
static void alias_called(PathWatcher *p, PathWatch *w, unsigned reasons, int error) {
        Node *n = w->link;

        if (!n)
                return;
        if (error < 0) {
                node_drop_alias(p, n);
                alias_failed(n, error);
                return;
        }
        if (reasons & REASON_PLACE)
                node_resolve(p, n, false);
        if (reasons & REASON_PLACE)
                node_notify_below(n, reasons);
        else if (!n->dir)
                node_notify(n, reasons);
}

/* Does what was put off because it adds and removes Nodes. */
static void settle(PathWatcher *p) {
        for (;;)
                if (p->dropped) {
                        PathWatch *w = p->dropped;
                        p->dropped = w->dropped_next;
                        watch_free(w);
                } else if (p->links) {
                        Node *n = p->links;
                        unqueue_link(p, n);
                        node_follow(p, n);
                } else
                        return;
}

/* ---- events ---- */

static void on_self_event(PathWatcher *p, Node *n, uint32_t mask) {
        if (mask & IN_ATTRIB) {
                node_notify(n, REASON_CONTENT);
                node_notify_inside(n);
        }
        if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
                if (mask & IN_IGNORED)
                        node_detach(p, n);
                node_resolve(p, n, false);
                node_notify_below(n, REASON_CONTENT | REASON_PLACE);
                node_free_unused(p, n);
        }
}

static void on_name_event(PathWatcher *p, Node *n, uint32_t mask, const char *name) {
        size_t size = strlen(name);
        Node *child = node_find(p, n, name, size);
        bool places = mask & NAMES_MASK;

        node_notify_inside(n);
        if (!child && places && mask & IN_ISDIR && n->covers) {
                int r = node_new(p, n, name, size, &child);
                if (r < 0) {
                        n->error = r;
                        node_fail_cover(n);
                        return;
                }
        }
        if (!child)
                return;
        if (places && child->circular)
                unqueue_link(p, child);         /* to be queued again: it may point elsewhere now */
        if (places) {
                node_resolve(p, child, false);
                node_notify_below(child, REASON_CONTENT | REASON_PLACE);
        } else
                node_notify(child, REASON_CONTENT);
        node_free_unused(p, child);
}

/* The kernel dropped events: anything may have happened. */
static void rescan(PathWatcher *p) {
        p->rescanning = true;
        node_resolve(p, p->root, true);
        p->rescanning = false;
        for (PathWatch *w = p->all; w; w = w->all_next)
                if (w->node)
                        watch_notify(w, REASON_CONTENT | REASON_PLACE);
}

static void dispatch(PathWatcher *p, const struct inotify_event *event) {
        if (event->mask & IN_Q_OVERFLOW) {
                rescan(p);
                return;
        }
        Dir *d = dir_find(p, event->wd);
        if (!d)         /* not ours any more */
                return;

        d->busy = true;
        if (event->mask & IN_IGNORED)
                dir_forget(p, d);
        for (Node *n = d->nodes; n; n = d->cursor) {
                d->cursor = n->dir_next;
                if (event->len > 0)
                        on_name_event(p, n, event->mask, event->name);
                else
                        on_self_event(p, n, event->mask);
        }
        d->busy = false;
        dir_free_if_unused(p, d);
}

static void flush(PathWatcher *p) {
        p->flushing = true;
        for (PathWatch *w; (w = p->pending);) {
                unsigned reasons = w->reasons;
                int error = watch_error(w);

                watch_forget_pending(w);
                if (error < 0)
                        watch_detach(w);
                if (w->callback)
                        w->callback(w, error, w->userdata);
                else
                        alias_called(p, w, reasons, error);
                settle(p);
        }
        p->flushing = false;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PathWatcher *p = userdata;
        const struct inotify_event *event;

        ssize_t n = read(fd, p->buffer, sizeof(p->buffer));
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        for (const char *at = p->buffer; at < p->buffer + n; at += sizeof(*event) + event->len) {
                event = (const struct inotify_event *) at;
                dispatch(p, event);
        }
        settle(p);
        flush(p);
        return 0;
}

static int on_defer(sd_event_source *source, void *userdata) {
        flush(userdata);
        return 0;
}

/* After a call from outside of the loop. */
static void finish_call(PathWatcher *p) {
        settle(p);
        if (p->pending && !p->flushing)
                (void) sd_event_source_set_enabled(p->defer_source, SD_EVENT_ONESHOT);
}

/* ---- the interface ---- */

int path_watcher_new(PathWatcher **ret, sd_event *event) {
        _cleanup_(path_watcher_freep) PathWatcher *p = calloc(1, sizeof(PathWatcher));
        int r;

        if (!p)
                return -ENOMEM;
        p->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (p->fd < 0)
                return -errno;
        p->dirs = map_new();
        p->nodes = map_new();
        if (!p->dirs || !p->nodes)
                return -ENOMEM;
        r = node_new(p, NULL, "", 0, &p->root);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &p->source, p->fd, EPOLLIN, on_readable, p);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(p->source, "path-watcher");
        r = sd_event_add_defer(event, &p->defer_source, on_defer, p);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(p->defer_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        node_resolve(p, p->root, false);
        *ret = TAKE_PTR(p);
        return 0;
}

PathWatcher *path_watcher_free(PathWatcher *p) {
        if (!p)
                return NULL;

        for (PathWatch *w = p->all, *next; w; w = next) {
                next = w->all_next;
                watch_detach(w);
        }
        settle(p);
        for (PathWatch *w = p->all; w; w = w->all_next)
                w->watcher = NULL;
        if (p->root)
                (void) node_free(p, p->root);
        sd_event_source_disable_unref(p->source);
        sd_event_source_disable_unref(p->defer_source);
        map_free(p->dirs);
        map_free(p->nodes);
        if (p->fd >= 0)
                (void) close(p->fd);
        free(p);
        return NULL;
}

int path_watch_new(PathWatch **ret, PathWatcher *p, const char *path, unsigned flags, path_watch_callback_t callback, void *userdata) {
        char clean[PATH_MAX];
        int r;

        r = path_clean(path, clean);
        if (r < 0)
                return r;
        PathWatch *w = calloc(1, sizeof(PathWatch));
        if (!w)
                return -ENOMEM;
        w->flags = flags;
        w->callback = callback;
        w->userdata = userdata;
        r = watch_start(p, clean, w);
        if (r < 0)
                return r;
        settle(p);
        watch_forget_pending(w);        /* what was found so far is what the caller is about to see */
        r = watch_error(w);
        if (r < 0)
                watch_free(w);
        else
                *ret = w;
        finish_call(p);
        return r < 0 ? r : 0;
}

PathWatch *path_watch_free(PathWatch *w) {
        if (!w)
                return NULL;

        PathWatcher *p = w->watcher;
        watch_free(w);
        if (p)
                finish_call(p);
        return NULL;
}

unsigned path_watcher_n_watches(const PathWatcher *p) {
        return p->n_dirs;
}
