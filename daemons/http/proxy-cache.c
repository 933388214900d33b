/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/strbuf.h"
#include "daemons/http/proxy-cache.h"

enum {
        STEPS = 64,                     /* files that are looked at in one turn of the loop */
        REMOVALS = 8,                   /* that are removed in one */
        OLDEST_MAX = 1024,              /* that one round removes; if that was not enough, another one follows */
        RETRY_USEC = 60 * 1000 * 1000,
        USED_SEC = 60,                  /* a time of access that is no older is good enough */
};

typedef struct Amount {
        uint64_t bytes, files;
} Amount;

typedef struct Old {
        int64_t accessed_usec;
        char *path;                     /* in the directory */
} Old;

/* A round: all is counted, and the oldest are remembered; then they go until there is room. */
typedef enum Round {
        ROUND_NONE,
        ROUND_COUNTING,
        ROUND_REMOVING,
} Round;

typedef struct Level {
        DIR *dir;
        size_t path_size;               /* of what leads to it */
} Level;

struct ProxyCache {
        char *directory;
        Amount max;
        Amount there;                   /* as far as is known */
        Amount coming;                  /* room for it is taken */

        sd_event_source *turn;          /* enabled while there is a round */
        Round round;
        Amount counted;
        Amount came;                    /* since the round began */
        Level levels[PROXY_CACHE_DEPTH + 1];
        size_t n_levels;
        StrBuf path;                    /* of the innermost level: "" or "a/b/" */
        Old oldest[OLDEST_MAX];         /* while counting a heap, the youngest first */
        size_t n_oldest, n_tried;
        bool removed;                   /* one of them at least */
        uint64_t not_before_usec;       /* the next round, after one that has not helped */
};

/* ---- the oldest ---- */

static void swap(Old *a, Old *b) {
        Old t = *a;

        *a = *b;
        *b = t;
}

static void sift_up(Old *heap, size_t i) {
        for (; i > 0 && heap[i].accessed_usec > heap[(i - 1) / 2].accessed_usec; i = (i - 1) / 2)
                swap(heap + i, heap + (i - 1) / 2);
}

static void sift_down(Old *heap, size_t n) {
        for (size_t i = 0, child; (child = 2 * i + 1) < n; i = child) {
                if (child + 1 < n && heap[child + 1].accessed_usec > heap[child].accessed_usec)
                        child++;
                if (heap[i].accessed_usec >= heap[child].accessed_usec)
                        return;
                swap(heap + i, heap + child);
        }
}

/* One that there is no memory for stays. */
static void remember(ProxyCache *c, const char *name, int64_t accessed_usec) {
        bool full = c->n_oldest == OLDEST_MAX;

        if (full && accessed_usec >= c->oldest[0].accessed_usec)
                return;
        char *path;
        if (asprintf(&path, "%s%s", c->path.data ? c->path.data : "", name) < 0)
                return;
        if (full) {
                free(c->oldest[0].path);
                c->oldest[0] = (Old) { accessed_usec, path };
                sift_down(c->oldest, c->n_oldest);
        } else {
                c->oldest[c->n_oldest] = (Old) { accessed_usec, path };
                sift_up(c->oldest, c->n_oldest++);
        }
}

static void forget_oldest(ProxyCache *c) {
        for (size_t i = 0; i < c->n_oldest; i++)
                free(c->oldest[i].path);
        c->n_oldest = c->n_tried = 0;
        c->removed = false;
}

static int compare_age(const void *a, const void *b) {
        int64_t x = ((const Old *) a)->accessed_usec, y = ((const Old *) b)->accessed_usec;

        return x < y ? -1 : x > y;
}

/* ---- a round ---- */

static uint64_t now_usec(const ProxyCache *c) {
        uint64_t now = 0;

        (void) sd_event_now(sd_event_source_get_event(c->turn), CLOCK_MONOTONIC, &now);
        return now;
}

static void add(Amount *a, Amount b) {
        a->bytes += b.bytes;
        a->files += b.files;
}

static void subtract(Amount *a, Amount b) {
        a->bytes -= MIN(a->bytes, b.bytes);
        a->files -= MIN(a->files, b.files);
}

/* Whether that much of the room, or more, is taken. */
static bool is_above(const ProxyCache *c, unsigned eighths) {
        return c->there.bytes + c->coming.bytes >= c->max.bytes - c->max.bytes / 8 * (8 - eighths) ||
               c->there.files + c->coming.files >= c->max.files - c->max.files / 8 * (8 - eighths);
}

static void leave(ProxyCache *c) {
        Level *l = c->levels + --c->n_levels;

        (void) closedir(l->dir);
        c->path.size = c->n_levels > 0 ? c->levels[c->n_levels - 1].path_size : 0;
        if (c->path.data)
                c->path.data[c->path.size] = 0;
}

/* Directories that cannot be read, or are too deep to be ours, are passed by. */
static void enter(ProxyCache *c, int parent_fd, const char *name) {
        size_t before = c->path.size;
        int fd;

        if (c->n_levels > PROXY_CACHE_DEPTH)
                return;
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (parent_fd == AT_FDCWD ? 0 : O_NOFOLLOW));
        if (fd < 0)
                return;
        DIR *dir = fdopendir(fd);
        if (!dir) {
                (void) close(fd);
                return;
        }
        if (c->n_levels > 0) {
                strbuf_puts(&c->path, name);
                strbuf_putc(&c->path, '/');
        }
        if (c->path.failed) {
                (void) closedir(dir);
                c->path.failed = false;
                c->path.size = before;
                return;
        }
        c->levels[c->n_levels++] = (Level) { dir, c->path.size };
}

static void look_at(ProxyCache *c, int dir_fd, const char *name) {
        struct stat st;

        if (streq(name, ".") || streq(name, "..") || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        if (S_ISDIR(st.st_mode))
                enter(c, dir_fd, name);
        if (!S_ISREG(st.st_mode))
                return;
        add(&c->counted, (Amount) { (uint64_t) st.st_size, 1 });
        remember(c, name, st.st_atim.tv_sec * INT64_C(1000000) + st.st_atim.tv_nsec / 1000);
}

static void round_end(ProxyCache *c) {
        while (c->n_levels > 0)
                leave(c);
        forget_oldest(c);
        c->round = ROUND_NONE;
        if (c->turn)
                (void) sd_event_source_set_enabled(c->turn, SD_EVENT_OFF);
}

static void round_begin(ProxyCache *c) {
        round_end(c);
        c->round = ROUND_COUNTING;
        c->counted = c->came = (Amount) {};
        enter(c, AT_FDCWD, c->directory);
        (void) sd_event_source_set_enabled(c->turn, SD_EVENT_ON);
}

/* What came meanwhile may be counted twice, but never not at all. */
static void counted(ProxyCache *c) {
        c->there = c->counted;
        add(&c->there, c->came);
        if (!is_above(c, 7)) {
                round_end(c);
                return;
        }
        qsort(c->oldest, c->n_oldest, sizeof(c->oldest[0]), compare_age);
        c->round = ROUND_REMOVING;
}

static void count_some(ProxyCache *c) {
        for (unsigned i = 0; i < STEPS && c->n_levels > 0; i++) {
                DIR *dir = c->levels[c->n_levels - 1].dir;
                const struct dirent *entry = readdir(dir);

                if (entry)
                        look_at(c, dirfd(dir), entry->d_name);
                else
                        leave(c);
        }
        if (c->n_levels == 0)
                counted(c);
}

/* With the directories that have become empty. */
static void remove_old(ProxyCache *c, int fd, char *path) {
        struct stat st;

        if (fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) || unlinkat(fd, path, 0) < 0)
                return;
        subtract(&c->there, (Amount) { (uint64_t) st.st_size, 1 });
        c->removed = true;
        for (char *slash; (slash = strrchr(path, '/'));) {
                *slash = 0;
                if (unlinkat(fd, path, AT_REMOVEDIR) < 0)
                        return;
        }
}

static void remove_some(ProxyCache *c) {
        _cleanup_close_ int fd = open(c->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

        for (unsigned i = 0; i < REMOVALS && c->n_tried < c->n_oldest && is_above(c, 6); i++)
                remove_old(c, fd, c->oldest[c->n_tried++].path);
        if (!is_above(c, 6))
                round_end(c);
        else if (c->n_tried == c->n_oldest && c->removed)
                round_begin(c);
        else if (c->n_tried == c->n_oldest) {
                c->not_before_usec = now_usec(c) + RETRY_USEC;
                round_end(c);
        }
}

static int on_turn(sd_event_source *source, void *userdata) {
        ProxyCache *c = userdata;

        if (c->round == ROUND_COUNTING)
                count_some(c);
        else
                remove_some(c);
        return 0;
}

/* ---- for the proxy ---- */

int proxy_cache_new(ProxyCache **ret, sd_event *event, const char *directory, uint64_t bytes_max, uint64_t files_max) {
        _cleanup_(proxy_cache_freep) ProxyCache *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->max = (Amount) { bytes_max, files_max };
        c->directory = strdup(directory);
        if (!c->directory)
                return -ENOMEM;
        r = sd_event_add_defer(event, &c->turn, on_turn, c);
        if (r < 0)
                return r;
        round_begin(c);
        *ret = TAKE_PTR(c);
        return 0;
}

ProxyCache *proxy_cache_free(ProxyCache *c) {
        if (!c)
                return NULL;
        round_end(c);
        sd_event_source_disable_unref(c->turn);
        strbuf_done(&c->path);
        free(c->directory);
        free(c);
        return NULL;
}

static void make_room(ProxyCache *c) {
        if (c->round == ROUND_NONE && is_above(c, 7) && now_usec(c) >= c->not_before_usec)
                round_begin(c);
}

static bool take(ProxyCache *c, Amount amount) {
        uint64_t bytes = c->there.bytes + c->coming.bytes, files = c->there.files + c->coming.files;
        bool room = bytes <= c->max.bytes && amount.bytes <= c->max.bytes - bytes && files <= c->max.files &&
                    amount.files <= c->max.files - files;

        if (room)
                add(&c->coming, amount);
        make_room(c);
        return room;
}

bool proxy_cache_take_file(ProxyCache *c) {
        return take(c, (Amount) { .files = 1 });
}

bool proxy_cache_take(ProxyCache *c, uint64_t size) {
        return take(c, (Amount) { .bytes = size });
}

void proxy_cache_give_back(ProxyCache *c, uint64_t size) {
        subtract(&c->coming, (Amount) { size, 1 });
}

void proxy_cache_keep(ProxyCache *c, uint64_t size) {
        const Amount amount = { size, 1 };

        subtract(&c->coming, amount);
        add(&c->there, amount);
        add(&c->came, amount);
}

void proxy_cache_used(ProxyCache *c, const char *file, int64_t accessed) {
        const struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
        _cleanup_free_ char *path = NULL;

        if (time(NULL) - accessed < USED_SEC)
                return;
        if (asprintf(&path, "%s%s", c->directory, file) >= 0)
                (void) utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}
