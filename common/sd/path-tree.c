/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The paths that are watched form a tree of Nodes, one per component, from the root down. Every Node that is a directory now
 * carries a kernel watch (a Dir; several Nodes share one where links lead to the same place). So a path is not followed step by
 * step: whatever is created, removed or renamed along it is an event of a directory that we watch, and finding the Node behind
 * an event is two hash lookups, by watch descriptor and by name.
 *
 * One function, path_node_resolve(), brings a Node and what hangs below it up to date with the file system, and tells the watches
 * whose path may lead somewhere else now. It always adds the kernel watch first and looks at the children afterwards; a change
 * in between is an event that is still to come and resolves again. That is the whole answer to the usual races: nothing here
 * depends on the file system standing still, only on resolving again for each event. And when a name along a path came or went,
 * whoever is below is told, even if all is as before: in between it may have been different, and somebody may have looked.
 *
 * Directories that are only passed through are watched for names that come and go, not for writes below them: a busy /tmp does
 * not wake us because of a path through it.
 *
 * A Node that is a symbolic link has an alias: a watch of our own on the path it points to.
 *
 * A file that is mounted on another is watched itself, since what happens to it is told in the directory that it comes from. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/sd/path-tree.h"

enum {
        SELF_MASK = IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB,
        CONTENT_MASK = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB,
        /* of a directory that is passed through */
        PLACE_MASK = PATH_NAMES_MASK | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK,
        FULL_MASK = PLACE_MASK | SELF_MASK | CONTENT_MASK,
};

/* ---- who is to be told ---- */

void path_watch_notify(PathWatch *w, unsigned reasons) {
        PathWatcher *p = w->watcher;

        if (w->reasons == 0) {
                w->pending_next = NULL;
                w->pending_previous = p->pending_last;
                *(p->pending_last ? &p->pending_last->pending_next : &p->pending) = w;
                p->pending_last = w;
        }
        w->reasons |= reasons;
}

void path_watch_forget_pending(PathWatch *w) {
        PathWatcher *p = w->watcher;

        if (w->reasons == 0)
                return;
        *(w->pending_previous ? &w->pending_previous->pending_next : &p->pending) = w->pending_next;
        *(w->pending_next ? &w->pending_next->pending_previous : &p->pending_last) = w->pending_previous;
        w->reasons = 0;
}

void path_node_notify(PathNode *n, unsigned reasons) {
        for (PathWatch *w = n->users; w; w = w->next)
                path_watch_notify(w, reasons);
}

void path_node_notify_below(PathNode *n, unsigned reasons) {
        path_node_notify(n, reasons);
        for (PathNode *child = n->children; child; child = child->sibling)
                path_node_notify_below(child, reasons);
}

void path_node_notify_inside(PathNode *n) {
        if (n->n_content > 0)
                for (PathWatch *w = n->users; w; w = w->next)
                        if (w->callback)
                                path_watch_notify(w, PATH_REASON_CONTENT);
        for (PathNode *m = n; m && m->covered; m = m->parent)
                if (m->n_recursive > 0)
                        for (PathWatch *w = m->users; w; w = w->next)
                                if (w->flags & PATH_WATCH_RECURSIVE)
                                        path_watch_notify(w, PATH_REASON_CONTENT);
}

void path_node_fail_cover(PathNode *n) {
        for (PathNode *m = n; m && m->covered; m = m->parent)
                for (PathWatch *w = m->users; w; w = w->next)
                        if (w->flags & PATH_WATCH_RECURSIVE) {
                                w->error = w->error < 0 ? w->error : n->error;
                                path_watch_notify(w, PATH_REASON_PLACE);
                        }
}

static int chain_error(PathNode *last, unsigned visit) {
        bool sees = false;

        for (PathNode *n = last; n && n->visit != visit; n = n->parent) {
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

int path_watch_error(const PathWatch *w) {
        if (w->error < 0)
                return w->error;
        return w->node ? chain_error(w->node, ++w->watcher->visit) : 0;
}

/* ---- the tree ---- */

/* Links are followed only where the path of a recursive watch ends with one. */
static void node_update_cover(PathNode *n) {
        n->covered = n->n_recursive > 0 || (n->parent && n->parent->covers);
        n->covers = n->n_recursive > 0 || (n->covered && n->state == PATH_DIRECTORY);
}

int path_node_path(PathWatcher *p, const PathNode *n) {
        size_t size = 1;

        for (const PathNode *m = n; m->parent; m = m->parent)
                size += m->name_size + 1U;
        if (size > sizeof(p->path))
                return -ENAMETOOLONG;
        if (!n->parent) {
                memcpy(p->path, "/", 2);
                return 0;
        }
        char *end = p->path + size - 1;
        *end = '\0';
        for (const PathNode *m = n; m->parent; m = m->parent) {
                end -= m->name_size;
                memcpy(end, m->name, m->name_size);
                *--end = '/';
        }
        return 0;
}

typedef struct PathNodeKey {
        const PathNode *parent;
        char name[NAME_MAX];
} PathNodeKey;

static size_t node_key(PathNodeKey *key, const PathNode *parent, const char *name, size_t size) {
        key->parent = parent;
        memcpy(key->name, name, size);
        return offsetof(PathNodeKey, name) + size;
}

PathNode *path_node_find(const PathWatcher *p, const PathNode *parent, const char *name, size_t size) {
        PathNodeKey key;

        return size <= NAME_MAX ? map_get_n(p->nodes, &key, node_key(&key, parent, name, size)) : NULL;
}

int path_node_get(PathWatcher *p, PathNode *parent, const char *name, size_t size, PathNode **ret) {
        PathNodeKey key;
        size_t key_size = 0;
        void **place = NULL;

        if (size > NAME_MAX)
                return -ENAMETOOLONG;
        if (parent) {
                key_size = node_key(&key, parent, name, size);
                place = map_place_n(p->nodes, &key, key_size);
                if (!place)
                        return -ENOMEM;
                *ret = *place;
                if (*ret)
                        return 0;
        }
        PathNode *n = calloc(1, sizeof(PathNode) + size + 1);
        if (!n) {
                if (parent)
                        (void) map_remove_n(p->nodes, &key, key_size);
                return -ENOMEM;
        }
        n->name_size = (uint16_t) size;
        memcpy(n->name, name, size);
        if (parent) {
                *place = n;
                n->n_links = p->n_links;
                n->parent = parent;
                n->sibling = parent->children;
                if (n->sibling)
                        n->sibling->previous_sibling = n;
                parent->children = n;
        }
        *ret = n;
        return 1;
}

/* ---- kernel watches ---- */

PathDir *path_dir_find(const PathWatcher *p, int wd) {
        return map_get_n(p->dirs, &wd, sizeof(wd));
}

void path_dir_forget(PathWatcher *p, PathDir *d) {
        if (d->dead)
                return;
        (void) map_remove_n(p->dirs, &d->wd, sizeof(d->wd));
        p->n_dirs--;
        d->dead = true;
}

void path_dir_free_if_unused(PathWatcher *p, PathDir *d) {
        if (d->nodes || d->busy)
                return;
        if (!d->dead)
                (void) inotify_rm_watch(p->fd, d->wd);          /* fails if the directory is gone, and the watch with it */
        path_dir_forget(p, d);
        free(d);
}

static int dir_new(PathWatcher *p, int wd, PathDir **ret) {
        PathDir *d = calloc(1, sizeof(PathDir));
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

void path_node_detach(PathWatcher *p, PathNode *n) {
        PathDir *d = n->dir;

        if (!d)
                return;
        if (d->cursor == n)
                d->cursor = n->dir_next;
        *(n->dir_previous ? &n->dir_previous->dir_next : &d->nodes) = n->dir_next;
        if (n->dir_next)
                n->dir_next->dir_previous = n->dir_previous;
        n->dir_next = n->dir_previous = NULL;
        n->dir = NULL;
        path_dir_free_if_unused(p, d);
}

static uint32_t node_mask(const PathNode *n) {
        return n->n_full > 0 || n->n_content > 0 || n->covered || n->mounted ? FULL_MASK : PLACE_MASK;
}

static int add_kernel_watch(PathWatcher *p, const PathNode *n, uint32_t mask) {
        int r = path_node_path(p, n);
        if (r < 0)
                return r;
        r = inotify_add_watch(p->fd, p->path, mask | (n->mounted ? 0 : IN_ONLYDIR) | (n->state != PATH_LINK ? IN_DONT_FOLLOW : 0));
        return r < 0 ? -errno : r;
}

/* Makes n carry the watch of the directory that its path leads to. -ENOENT or -ENOTDIR if that is none (any more). */
static int node_attach(PathWatcher *p, PathNode *n) {
        int wd = add_kernel_watch(p, n, node_mask(n) | IN_MASK_ADD);
        if (wd < 0)
                return wd;
        PathDir *d = path_dir_find(p, wd);
        if (!d) {
                int r = dir_new(p, wd, &d);
                if (r < 0)
                        return r;
        }
        d->mask |= node_mask(n);
        if (n->dir == d)
                return 0;

        path_node_detach(p, n);
        n->dir = d;
        n->dir_next = d->nodes;
        if (n->dir_next)
                n->dir_next->dir_previous = n;
        d->nodes = n;
        return 0;
}

/* Asks the kernel for more, or less, than so far. If the path leads to another directory by now, nothing changes: the event
 * that says so is under way. */
void path_node_adjust_mask(PathWatcher *p, PathNode *n) {
        uint32_t mask = 0;

        if (!n->dir || n->dir->dead)
                return;
        for (const PathNode *m = n->dir->nodes; m; m = m->dir_next)
                mask |= node_mask(m);
        if (mask == n->dir->mask)
                return;
        int wd = add_kernel_watch(p, n, mask);
        if (wd == n->dir->wd)
                n->dir->mask = mask;
        else if (wd >= 0) {
                const PathDir *other = path_dir_find(p, wd);
                if (!other)
                        (void) inotify_rm_watch(p->fd, wd);
                else
                        (void) add_kernel_watch(p, n, other->mask | mask);
        }
}

/* What a directory does not tell of itself is seen by its parent. */
void path_node_count(PathWatcher *p, PathNode *n) {
        bool wanted = n->users && n->state != PATH_DIRECTORY;

        if (!n->parent || n->counted == wanted)
                return;
        n->counted = wanted;
        n->parent->n_full += wanted ? 1 : -1U;
        path_node_adjust_mask(p, n->parent);
}

/* ---- links ---- */

static void node_queue(PathWatcher *p, PathNode *n) {
        if (n->queued || n->circular)
                return;
        n->queued = true;
        n->links_next = p->links;
        p->links = n;
}

void path_node_unqueue(PathWatcher *p, PathNode *n) {
        if (!n->queued && !n->circular)
                return;
        for (PathNode **q = n->queued ? &p->links : &p->circular; *q; q = &(*q)->links_next)
                if (*q == n) {
                        *q = n->links_next;
                        break;
                }
        n->queued = n->circular = false;
}

/* An alias is not freed on the spot, since Nodes go with it; settle() does it. And without it a circle may be open. */
void path_node_drop_alias(PathWatcher *p, PathNode *n) {
        if (!n->alias)
                return;
        n->alias->link = NULL;
        n->alias->dropped_next = p->dropped;
        p->dropped = TAKE_PTR(n->alias);

        while (p->circular) {
                PathNode *other = p->circular;
                path_node_unqueue(p, other);
                node_queue(p, other);
                path_node_notify_below(other, PATH_REASON_PLACE | PATH_REASON_CONTENT);
        }
}

/* ---- resolving ---- */

/* What is at the end of p->path. */
static PathNodeState look(PathWatcher *p, PathNode *n) {
        struct statx st;

        n->error = 0;
        n->mounted = false;
        if (!n->parent)
                return PATH_DIRECTORY;
        if (n->parent->state != PATH_DIRECTORY && n->parent->state != PATH_LINK)
                return PATH_ABSENT;
        n->error = path_node_path(p, n);
        if (n->error < 0)
                return PATH_ABSENT;
        if (statx(AT_FDCWD, p->path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &st) < 0) {
                if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
                        n->error = -errno;
                return PATH_ABSENT;
        }
        if (S_ISDIR(st.stx_mode) || S_ISLNK(st.stx_mode))
                return S_ISDIR(st.stx_mode) ? PATH_DIRECTORY : PATH_LINK;
        n->mounted = st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
        return PATH_OTHER;
}

/* Sets state, Dir and error of n as they are now. */
static void node_look(PathWatcher *p, PathNode *n) {
        int r = -ENOENT;

        n->state = look(p, n);
        if (n->state == PATH_DIRECTORY || n->state == PATH_LINK || n->mounted)
                r = node_attach(p, n);
        if (r < 0)
                path_node_detach(p, n);
        if ((r == -EACCES || r == -EPERM) && n->mounted)
                r = -ENOENT;            /* who may not read it watches its place, as of any other file */
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
                n->state = n->state == PATH_DIRECTORY ? PATH_ABSENT : n->state;         /* it just went away */
        else if (r < 0)
                n->error = r;
        if (n->state == PATH_LINK)
                node_queue(p, n);
        else {
                path_node_unqueue(p, n);
                path_node_drop_alias(p, n);
                n->alias_error = 0;
        }
}

/* Makes Nodes for the directories below n. They are resolved with the other children. */
static int node_scan(PathWatcher *p, PathNode *n) {
        int r = path_node_path(p, n);
        if (r < 0)
                return r;
        DIR *directory = opendir(p->path);
        if (!directory)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;        /* gone again: an event will say so */

        for (struct dirent *entry; r >= 0 && (entry = readdir(directory));) {
                size_t size = strlen(entry->d_name);
                PathNode *child;
                if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
                    !streq(entry->d_name, ".") && !streq(entry->d_name, ".."))
                        r = path_node_get(p, n, entry->d_name, size, &child);
        }
        closedir(directory);
        return r;
}

/* Nobody needs it: no path ends or goes on here, and no recursive watch has to see it. */
static bool node_unused(const PathNode *n) {
        return n->parent && !n->users && !n->children && !(n->covered && n->state == PATH_DIRECTORY);
}

PathNode *path_node_free(PathWatcher *p, PathNode *n) {
        PathNode *parent = n->parent;
        PathNodeKey key;

        if (p->recent == n)
                p->recent = NULL;
        if (p->unseen == n)
                p->unseen = NULL;
        path_node_unqueue(p, n);
        path_node_drop_alias(p, n);
        path_node_detach(p, n);
        if (parent) {
                (void) map_remove_n(p->nodes, &key, node_key(&key, parent, n->name, n->name_size));
                *(n->previous_sibling ? &n->previous_sibling->sibling : &parent->children) = n->sibling;
                if (n->sibling)
                        n->sibling->previous_sibling = n->previous_sibling;
        }
        free(n);
        return parent;
}

void path_node_free_unused(PathWatcher *p, PathNode *n) {
        while (n && node_unused(n))
                n = path_node_free(p, n);
}

static bool is_below_link(const PathNode *n) {
        while ((n = n->parent) && n->state != PATH_LINK)
                ;
        return n;
}

/* After a mount, plain files are looked at where the table of mounts names them; but it names no path that leads over a link. */
static bool is_left_out(const PathWatcher *p, const PathNode *n) {
        return p->rescan == PATH_RESCAN_PLACES && !n->children && !n->dir && n->state != PATH_LINK && !is_below_link(n);
}

static void node_resolve_children(PathWatcher *p, PathNode *n, bool moved) {
        for (PathNode *child = n->children, *next; child; child = next) {
                next = child->sibling;
                if (!moved && is_left_out(p, child))
                        continue;
                path_node_resolve(p, child, moved);
                if (node_unused(child))
                        (void) path_node_free(p, child);
        }
}

void path_node_resolve(PathWatcher *p, PathNode *n, bool moved) {
        const PathNodeState old_state = n->state;
        const PathDir *old_dir = n->dir;
        const bool old_covers = n->covers;
        const int old_error = n->error;
        const bool old_mounted = n->mounted;
        const bool first = p->unseen == n;

        if (first)
                p->unseen = NULL;
        node_update_cover(n);
        if ((moved || p->rescan != PATH_RESCAN_NOTHING) && n->circular)
                path_node_unqueue(p, n);
        node_look(p, n);
        node_update_cover(n);
        path_node_count(p, n);

        const bool differs = (n->state != old_state && !(first && n->state == PATH_OTHER)) || n->dir != old_dir ||
                             n->mounted != old_mounted;
        const bool leads_elsewhere = differs || (moved && n->state != PATH_ABSENT);
        if (leads_elsewhere)
                path_node_notify(n, PATH_REASON_PLACE | PATH_REASON_CONTENT);   /* the children follow */
        else if (moved)
                path_node_notify_below(n, PATH_REASON_PLACE | PATH_REASON_CONTENT);
        if (differs && n->covered)
                path_node_notify_inside(n);
        if (n->dir && n->covers && (n->dir != old_dir || !old_covers || p->rescan == PATH_RESCAN_ALL)) {
                int r = node_scan(p, n);
                if (r < 0)
                        n->error = r;
                node_resolve_children(p, n, leads_elsewhere);
        } else if (leads_elsewhere || n->covers != old_covers || p->rescan != PATH_RESCAN_NOTHING)
                node_resolve_children(p, n, leads_elsewhere);
        if (n->error < 0 && n->error != old_error) {
                path_node_notify_below(n, PATH_REASON_PLACE);
                path_node_fail_cover(n);
        }
}

void path_node_uncover(PathWatcher *p, PathNode *n) {
        const bool old_covers = n->covers;

        node_update_cover(n);
        path_node_adjust_mask(p, n);
        if (n->covers || !old_covers)
                return;
        for (PathNode *child = n->children, *next; child; child = next) {
                next = child->sibling;
                path_node_uncover(p, child);
                if (node_unused(child))
                        (void) path_node_free(p, child);
        }
}
