/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Watches on paths, for their users: what they hold, how links are followed, how events become calls. The tree of paths that
 * does the work is path-tree.c; its opening comment is the place to start.
 *
 * Callbacks run only from flush(), when the tree is consistent: all that happens before just marks watches as pending. What
 * adds or frees Nodes all over the tree, following links, is put off as well, until settle(). */

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/hash.h"
#include "common/sd/log.h"
#include "common/sd/path-tree.h"

/* ---- watches ---- */

/* Whether nothing is to be done, and a little more: names that begin with a dot are looked at closely. */
static bool is_surely_clean(const char *path, size_t *ret_size) {
        size_t n = 0;

        for (; path[n]; n++)
                if (path[n] == '/' && (path[n + 1] == '/' || path[n + 1] == '.' || path[n + 1] == '\0'))
                        return false;
        *ret_size = n;
        return n < PATH_MAX;
}

/* Absolute, without empty components, "." and "..", into a buffer of PATH_MAX. */
static int path_clean(const char *path, char *ret) {
        char *end = ret;
        size_t size;

        if (path[0] != '/')
                return -EINVAL;
        if (is_surely_clean(path, &size)) {
                memcpy(ret, path, size + 1);
                return 0;
        }
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

static void watch_attach(PathWatch *w, PathNode *n) {
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
        PathNode *n = w->node;

        if (!n)
                return;
        path_watch_forget_pending(w);
        *(w->previous ? &w->previous->next : &n->users) = w->next;
        if (w->next)
                w->next->previous = w->previous;
        w->next = w->previous = NULL;
        w->node = NULL;
        n->n_content -= w->callback ? 1 : 0;
        if (w->flags & PATH_WATCH_RECURSIVE && --n->n_recursive == 0)
                path_node_uncover(p, n);
        path_node_count(p, n);
        path_node_adjust_mask(p, n);
        path_node_free_unused(p, n);
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

static size_t parent_size(const char *clean) {
        const char *slash = strrchr(clean, '/');

        return slash ? (size_t) (slash - clean) : 0;
}

/* Most paths lie where the one before does. *ret_rest is what follows. */
static PathNode *begin_at(PathWatcher *p, const char *clean, const char **ret_rest) {
        size_t size = parent_size(clean);

        if (!p->recent || p->recent_size != size || memcmp(p->recent_path, clean, size) != 0) {
                *ret_rest = clean;
                return p->root;
        }
        *ret_rest = clean + size;
        return p->recent;
}

/* The Node at the end of a clean path; all but itself are resolved. */
static int make_nodes(PathWatcher *p, const char *clean, PathNode **ret) {
        const char *name;
        PathNode *n = begin_at(p, clean, &name);

        while (*name) {
                size_t size = strcspn(++name, "/");
                PathNode *child;
                int r = path_node_get(p, n, name, size, &child);
                if (r < 0) {
                        path_node_free_unused(p, n);
                        return r;
                }
                if (r > 0 && name[size])
                        path_node_resolve(p, child, false);
                n = child;
                name += size;
        }
        if (n->parent && n->parent != p->recent) {
                p->recent = n->parent;
                p->recent_size = parent_size(clean);
                memcpy(p->recent_path, clean, p->recent_size);
        }
        *ret = n;
        return 0;
}

/* The parent tells of all that happens there, so what is there now can be found out later. What is mounted there is no matter of the
 * parent. */
static bool may_stay_unseen(const PathNode *n, const PathWatch *w, const char *clean) {
        return w->flags & PATH_WATCH_LOOKED_AT && !w->next && !n->covered && !n->children && n->state == PATH_ABSENT &&
               n->parent && n->parent->state == PATH_DIRECTORY && n->parent->dir && !n->parent->covers &&
               !map_get(w->watcher->mounts, clean);
}

static void look_at_unseen(PathWatcher *p) {
        if (p->unseen)
                path_node_resolve(p, p->unseen, false);
}

/* Takes the content of w, on failure as well. settle() has to follow. */
static int watch_start(PathWatcher *p, const char *clean, PathWatch *w) {
        PathNode *n;
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
        if (may_stay_unseen(n, w, clean)) {
                p->unseen = n;
                path_node_count(p, n);
        } else
                path_node_resolve(p, n, false);
        return 0;
}

/* ---- aliases ---- */

/* The path that link n points to, clean, into a buffer of PATH_MAX. What stands before a ".." is resolved, since after a link
 * that does not lead to where the text says. */
static int link_target(PathWatcher *p, const PathNode *n, char *ret) {
        char text[PATH_MAX], joined[2 * PATH_MAX], resolved[PATH_MAX];

        int r = path_node_path(p, n);
        if (r < 0)
                return r;
        ssize_t size = readlink(p->path, text, sizeof(text) - 1);
        if (size < 0)
                return -errno;
        text[size] = '\0';

        char *end = joined;
        if (text[0] != '/') {
                r = path_node_path(p, n->parent);
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
static bool chain_leads_to(PathNode *last, const PathNode *n, unsigned visit) {
        for (PathNode *m = last; m && m->visit != visit; m = m->parent) {
                m->visit = visit;
                if (m == n || (m->alias && chain_leads_to(m->alias->node, n, visit)))
                        return true;
        }
        return false;
}

/* A circle of links leads nowhere, so nothing is missed if one of them has no alias; with it, all would keep each other. */
static int alias_start(PathWatcher *p, PathNode *n, const char *target) {
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
        path_watch_forget_pending(w);
        if (chain_leads_to(w->node, n, ++p->visit)) {
                w->link = NULL;
                watch_free(w);
                return -ELOOP;
        }
        n->alias = w;
        return 0;
}

static void alias_failed(PathNode *n, int error) {
        n->alias_error = error;
        path_node_notify_below(n, PATH_REASON_PLACE);
}

/* Sees to it that link n has the alias that it needs. */
static void node_follow(PathWatcher *p, PathNode *n) {
        char target[PATH_MAX];
        int r;

        if (n->state != PATH_LINK || n->n_links >= PATH_LINKS_MAX)
                return;
        r = link_target(p, n, target);
        if (r == -ENOENT || r == -EINVAL || r == -ENOTDIR)      /* no link any more: an event will say so */
                return;
        if (r >= 0 && n->alias && path_node_path(p, n->alias->node) >= 0 && streq(p->path, *target ? target : "/"))
                return;
        path_node_drop_alias(p, n);
        n->alias_error = 0;
        if (r >= 0)
                r = alias_start(p, n, target);
        if (r == -ELOOP) {
                path_node_unqueue(p, n);
                n->circular = true;
                n->links_next = p->circular;
                p->circular = n;
                return;
        }
        if (r < 0) {
                alias_failed(n, r);
                return;
        }
        path_node_resolve(p, n, false);      /* the target may have come between the look at it and the watch */
}

/* What an alias follows has changed, so the link has. */
static void alias_called(PathWatcher *p, PathWatch *w, unsigned reasons, int error) {
        PathNode *n = w->link;

        if (!n)
                return;
        if (error < 0) {
                path_node_drop_alias(p, n);
                alias_failed(n, error);
                return;
        }
        if (reasons & PATH_REASON_PLACE)
                path_node_resolve(p, n, false);
        if (reasons & PATH_REASON_PLACE)
                path_node_notify_below(n, reasons);
        else if (!n->dir)
                path_node_notify(n, reasons);
}

/* Does what was put off because it adds and removes Nodes. */
static void settle(PathWatcher *p) {
        for (;;)
                if (p->dropped) {
                        PathWatch *w = p->dropped;
                        p->dropped = w->dropped_next;
                        watch_free(w);
                } else if (p->links) {
                        PathNode *n = p->links;
                        path_node_unqueue(p, n);
                        node_follow(p, n);
                } else
                        return;
}

/* ---- events ---- */

static void on_self_event(PathWatcher *p, PathNode *n, uint32_t mask) {
        if (mask & (IN_ATTRIB | IN_MODIFY | IN_CLOSE_WRITE)) {
                path_node_notify(n, PATH_REASON_CONTENT);
                path_node_notify_inside(n);
        }
        if (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
                if (mask & IN_IGNORED)
                        path_node_detach(p, n);
                path_node_resolve(p, n, false);
                path_node_notify_below(n, PATH_REASON_CONTENT | PATH_REASON_PLACE);
                path_node_free_unused(p, n);
        }
}

/* Of a file, what a change would show in. */
static uint64_t fingerprint(const struct stat *st) {
        const uint64_t facts[] = {
                st->st_dev, st->st_ino, (uint64_t) st->st_size, (uint64_t) st->st_mtim.tv_sec, (uint64_t) st->st_mtim.tv_nsec,
                st->st_mode, st->st_uid, st->st_gid,
        };

        return hash_bytes(facts, sizeof(facts));
}

/* The event of a path_watch_put(). That of another who puts something there may come instead, and of two that follow upon one
 * another the kernel makes one. So what counts is what is there now, after the event was read: whatever comes later has its own. */
static bool is_put_by_user(PathWatcher *p, PathNode *n) {
        PathWatch *w = n->users;
        struct stat st;

        if (!w || w->next || w->put_in != p->n_turns || n->children || (n->state != PATH_ABSENT && n->state != PATH_OTHER))
                return false;
        w->put_in = 0;
        if (path_node_path(p, n) < 0 || lstat(p->path, &st) < 0 || fingerprint(&st) != w->put_file)
                return false;
        n->state = PATH_OTHER;
        n->error = 0;
        if (p->unseen == n)
                p->unseen = NULL;
        return true;
}

static void on_name_event(PathWatcher *p, PathNode *n, uint32_t mask, const char *name) {
        size_t size = strlen(name);
        PathNode *child = path_node_find(p, n, name, size);
        bool places = mask & PATH_NAMES_MASK;

        path_node_notify_inside(n);
        if (!child && places && mask & IN_ISDIR && n->covers) {
                int r = path_node_get(p, n, name, size, &child);
                if (r < 0) {
                        n->error = r;
                        path_node_fail_cover(n);
                        return;
                }
        }
        if (!child || ((mask & (IN_MOVED_TO | IN_ISDIR)) == IN_MOVED_TO && is_put_by_user(p, child)))
                return;
        if (places && child->circular)
                path_node_unqueue(p, child);         /* to be queued again: it may point elsewhere now */
        if (places) {
                path_node_resolve(p, child, false);
                path_node_notify_below(child, PATH_REASON_CONTENT | PATH_REASON_PLACE);
        } else
                path_node_notify(child, PATH_REASON_CONTENT);
        path_node_free_unused(p, child);
}

/* Only who is not where it was is told. */
static void rescan(PathWatcher *p, PathRescan what) {
        p->rescan = what;
        path_node_resolve(p, p->root, false);
        p->rescan = PATH_RESCAN_NOTHING;
}

/* The kernel dropped events: anything may have happened. */
static void on_overflow(PathWatcher *p) {
        (void) log_warning(0, "the kernel has lost changes of files (fs.inotify.max_queued_events); looking at all that is watched");
        rescan(p, PATH_RESCAN_ALL);
        for (PathWatch *w = p->all; w; w = w->all_next)
                if (w->node)
                        path_watch_notify(w, PATH_REASON_CONTENT | PATH_REASON_PLACE);
}

static void dispatch(PathWatcher *p, const struct inotify_event *event) {
        if (event->mask & IN_Q_OVERFLOW) {
                on_overflow(p);
                return;
        }
        PathDir *d = path_dir_find(p, event->wd);
        if (!d)         /* not ours any more */
                return;

        d->busy = true;
        if (event->mask & IN_IGNORED)
                path_dir_forget(p, d);
        for (PathNode *n = d->nodes; n; n = d->cursor) {
                d->cursor = n->dir_next;
                if (event->len > 0)
                        on_name_event(p, n, event->mask, event->name);
                else
                        on_self_event(p, n, event->mask);
        }
        d->busy = false;
        path_dir_free_if_unused(p, d);
}

static void flush(PathWatcher *p) {
        p->flushing = true;
        for (PathWatch *w; (w = p->pending);) {
                unsigned reasons = w->reasons;
                int error = path_watch_error(w);

                path_watch_forget_pending(w);
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

/* 1: there were some, of this size; 0: there are none, for now. */
static int read_events(PathWatcher *p, ssize_t *ret_size) {
        const struct inotify_event *event;

        ssize_t n = read(p->fd, p->buffer, sizeof(p->buffer));
        *ret_size = MAX(n, 0);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -errno;
        for (const char *at = p->buffer; at < p->buffer + n; at += sizeof(*event) + event->len) {
                event = (const struct inotify_event *) at;
                dispatch(p, event);
        }
        return 1;
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PathWatcher *p = userdata;
        ssize_t size;
        int r = read_events(p, &size);

        settle(p);
        flush(p);
        return MIN(r, 0);
}

static PathNode *find_node(const PathWatcher *p, const char *clean) {
        PathNode *n = p->root;

        while (n && *clean) {
                size_t size = strcspn(++clean, "/");
                n = path_node_find(p, n, clean, size);
                clean += size;
        }
        return n;
}

/* Files on which something is mounted, or was: all that rescan() leaves out. */
static void look_at_mounted(PathWatcher *p, const Map *mounts) {
        const char *path;
        size_t i = 0;

        while (mounts && map_next(mounts, &i, &path, NULL)) {
                PathNode *n = streq(path, "/") ? NULL : find_node(p, path);
                if (n && !n->children && (n->state == PATH_ABSENT || n->state == PATH_OTHER))
                        path_node_resolve(p, n, false);
        }
}

/* Something was mounted or unmounted. inotify does not tell: the directory below is still the same one. */
static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PathWatcher *p = userdata;
        _cleanup_(map_freep) Map *before = NULL;
        Map *now = NULL;

        if (path_mounts_read(&now) >= 0) {
                before = p->mounts;
                p->mounts = now;
        }
        rescan(p, PATH_RESCAN_PLACES);
        look_at_mounted(p, before);
        look_at_mounted(p, p->mounts);
        settle(p);
        flush(p);
        return 0;
}

/* The events of what was put in place are there since then. One that does not come (the directory was exchanged) must not be waited
 * for: another would be taken for it. No more is read than is there now, or whoever makes events as fast as we read would keep us. */
static int end_turn(PathWatcher *p) {
        int r = 1, size = 0;

        if (p->has_put && ioctl(p->fd, FIONREAD, &size) < 0)
                size = 0;
        for (ssize_t n = 0; size > 0 && r > 0; size -= (int) n)
                r = read_events(p, &n);
        p->n_turns += p->has_put;
        p->has_put = false;
        return MIN(r, 0);
}

static int on_defer(sd_event_source *source, void *userdata) {
        PathWatcher *p = userdata;
        int r = end_turn(p);

        look_at_unseen(p);
        settle(p);
        flush(p);
        return r;
}

/* After a call from outside of the loop. */
static void finish_call(PathWatcher *p) {
        settle(p);
        if ((p->pending && !p->flushing) || p->unseen || p->has_put)
                (void) sd_event_source_set_enabled(p->defer_source, SD_EVENT_ONESHOT);
}

/* ---- the interface ---- */

/* Where the table of mounts may not be read, nothing is to be done. */
static int watch_mounts(PathWatcher *p) {
        p->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        if (p->mounts_fd < 0)
                return 0;
        int r = sd_event_add_io(p->event, &p->mounts_source, p->mounts_fd, EPOLLPRI, on_mounts, p);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(p->mounts_source, "path-watcher-mounts");
        (void) path_mounts_read(&p->mounts);
        return 0;
}

static void watcher_close(PathWatcher *p) {
        p->source = sd_event_source_disable_unref(p->source);
        p->mounts_source = sd_event_source_disable_unref(p->mounts_source);
        if (p->fd >= 0)
                (void) close(p->fd);
        if (p->mounts_fd >= 0)
                (void) close(p->mounts_fd);
        p->fd = p->mounts_fd = -EBADF;
        p->mounts = map_free(p->mounts);
}

/* Instances of inotify are limited as well (128 per user, for all programs): one is made when it is needed, and if there is
 * none, that is an error of the path that needed it. */
static int watcher_open(PathWatcher *p) {
        int r;

        if (p->fd >= 0)
                return 0;
        p->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (p->fd < 0)
                return -errno;
        r = sd_event_add_io(p->event, &p->source, p->fd, EPOLLIN, on_readable, p);
        if (r >= 0)
                r = watch_mounts(p);
        if (r < 0) {
                watcher_close(p);
                return r;
        }
        (void) sd_event_source_set_description(p->source, "path-watcher");
        path_node_resolve(p, p->root, false);
        return 0;
}

int path_watcher_new(PathWatcher **ret, sd_event *event) {
        _cleanup_(path_watcher_freep) PathWatcher *p = calloc(1, sizeof(PathWatcher));
        int r;

        if (!p)
                return -ENOMEM;
        p->event = sd_event_ref(event);
        p->fd = p->mounts_fd = -EBADF;
        p->n_turns = 1;
        p->dirs = map_new();
        p->nodes = map_new();
        if (!p->dirs || !p->nodes)
                return -ENOMEM;
        r = path_node_get(p, NULL, "", 0, &p->root);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &p->defer_source, on_defer, p);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(p->defer_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
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
                (void) path_node_free(p, p->root);
        sd_event_source_disable_unref(p->defer_source);
        watcher_close(p);
        sd_event_unref(p->event);
        map_free(p->dirs);
        map_free(p->nodes);
        free(p);
        return NULL;
}

int path_watch_new(PathWatch **ret, PathWatcher *p, const char *path, unsigned flags, path_watch_callback_t callback, void *userdata) {
        char clean[PATH_MAX];
        int r;

        r = path_clean(path, clean);
        if (r < 0)
                return r;
        r = watcher_open(p);
        if (r < 0)
                return r;
        look_at_unseen(p);
        /* Nodes that have failed go with those who needed them, but for this one: there may be a watch for it by now. */
        if (p->root->error < 0)
                path_node_resolve(p, p->root, false);
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
        path_watch_forget_pending(w);        /* what was found so far is what the caller is about to see */
        r = path_watch_error(w);
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

void path_watch_saw(PathWatch *w, mode_t mode) {
        PathWatcher *p = w->watcher;

        if (!p || !w->node || p->unseen != w->node)
                return;
        if (S_ISDIR(mode) || S_ISLNK(mode)) {
                look_at_unseen(p);
                finish_call(p);
                return;
        }
        w->node->state = mode == 0 ? PATH_ABSENT : PATH_OTHER;
        p->unseen = NULL;
}

void path_watch_put(PathWatch *w, const struct stat *st) {
        PathWatcher *p = w->watcher;

        if (!p || !w->node)
                return;
        w->put_in = p->n_turns;
        w->put_file = fingerprint(st);
        p->has_put = true;
        finish_call(p);
}

unsigned path_watcher_n_watches(const PathWatcher *p) {
        return p->n_dirs;
}
