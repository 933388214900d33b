/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The text of both files is kept until stat() says that there is another one; looking through it costs less than opening it.
 *
 * A question goes from the loop to the threads and back in a Query, of which Names.lock guards everything that both sides touch.
 * The threads hold Names alive, so a daemon may go while a directory server does not answer. */

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/names.h"

enum {
        FILE_MAX_SIZE = 64 * 1024 * 1024,
        ENTRY_MAX_SIZE = 16 * 1024 * 1024,      /* a group may have many members */
        THREADS_MAX = 4,                        /* so that one question which hangs does not hold up all others */
        STACK_SIZE = 1024 * 1024,
        N_FIELDS = 7,                           /* of a line in passwd */
};

/* ---- the files ---- */

typedef struct LocalFile {
        char *path;
        struct stat st;         /* of what text is the content of */
        char *text;
} LocalFile;

typedef TAILQ_HEAD(QueryList, NameQuery) QueryList;

struct Names {
        sd_event_source *source;
        LocalFile files[2];     /* by NameKind */
        int fd;                 /* an eventfd: answers have come */

        pthread_mutex_t lock;
        unsigned n_ref;         /* the daemon, each thread, each query */
        unsigned n_threads;
        bool closed;
        QueryList asked;        /* no thread has taken them yet */
        QueryList answered;     /* the loop has not looked at them yet */
};

typedef enum QueryState {
        QUERY_ASKED,
        QUERY_TAKEN,            /* a thread is at it */
        QUERY_ANSWERED,
        QUERY_ENDED,            /* in no list, and nobody else's */
} QueryState;

struct NameQuery {
        Names *names;
        TAILQ_ENTRY(NameQuery) link;
        QueryState state;
        bool abandoned;         /* freed while a thread is at it, which frees it then */
        NameKind kind;
        char *text;
        int result;
        NameEntry entry;
        name_callback_t callback;
        void *userdata;
};

void name_entry_done(NameEntry *e) {
        free(e->name);
        free(e->home);
        free(e->shell);
        *e = (NameEntry) {};
}

static bool parse_id(const char *s, size_t size, uint32_t *ret) {
        uint64_t n = 0;

        for (size_t i = 0; i < size; i++) {
                if (s[i] < '0' || s[i] > '9' || n > UINT32_MAX)
                        return false;
                n = n * 10 + (uint64_t) (s[i] - '0');
        }
        *ret = (uint32_t) n;
        return size > 0 && n < UINT32_MAX;      /* the last one means "as it is" */
}

static bool same_file(const struct stat *a, const struct stat *b) {
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
               a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int load(LocalFile *f) {
        struct stat st;
        char *text;
        int r;

        if (stat(f->path, &st) < 0)
                return -errno;
        if (f->text && same_file(&st, &f->st))
                return 0;
        r = read_file_at(AT_FDCWD, f->path, FILE_MAX_SIZE, &text, NULL);
        if (r < 0)
                return r;
        free(f->text);
        f->text = text;
        f->st = st;
        return 0;
}

/* Cuts a line at its colons: how many fields it has, as far as there is room. */
static size_t split(const char *line, size_t size, const char *fields[static N_FIELDS], size_t sizes[static N_FIELDS]) {
        const char *end = line + size;
        size_t n = 0;

        while (n < N_FIELDS) {
                const char *colon = memchr(line, ':', (size_t) (end - line));
                fields[n] = line;
                sizes[n++] = (size_t) ((colon ? colon : end) - line);
                if (!colon)
                        break;
                line = colon + 1;
        }
        return n;
}

/* Whether a line is that of the name or number; lines that are no entries are that of nobody. */
static bool line_matches(const char *line, size_t size, const char *text, bool by_id, uint32_t id) {
        const char *fields[N_FIELDS];
        size_t sizes[N_FIELDS];
        uint32_t found;

        if (!by_id) {
                size_t n = strlen(text);
                if (size <= n || line[n] != ':' || memcmp(line, text, n) != 0)
                        return false;
        }
        return split(line, size, fields, sizes) >= 4 && sizes[0] > 0 && *line != '+' && *line != '-' &&
               parse_id(fields[2], sizes[2], &found) && (!by_id || found == id);
}

static int take_line(NameKind kind, const char *line, size_t size, NameEntry *ret) {
        NameEntry e = {};
        const char *fields[N_FIELDS] = {};
        size_t sizes[N_FIELDS] = {};
        uint32_t group = 0;

        (void) split(line, size, fields, sizes);
        (void) parse_id(fields[2], sizes[2], &e.id);
        e.name = strndup(fields[0], sizes[0]);
        bool complete = e.name;
        if (kind == NAME_USER) {
                (void) parse_id(fields[3], sizes[3], &group);
                e.group = group;
                e.home = strndup(fields[5] ?: "", sizes[5]);
                e.shell = strndup(fields[6] ?: "", sizes[6]);
                complete = complete && e.home && e.shell;
        }
        if (!complete) {
                name_entry_done(&e);
                return -ENOMEM;
        }
        *ret = e;
        return 1;
}

static int find_line(const LocalFile *f, NameKind kind, const char *text, bool by_id, uint32_t id, NameEntry *ret) {
        for (const char *line = f->text, *next; *line; line = next) {
                size_t size = strcspn(line, "\n");
                next = line + size + (line[size] == '\n');
                if (line_matches(line, size, text, by_id, id))
                        return take_line(kind, line, size, ret);
        }
        return 0;
}

int names_find_local(Names *n, NameKind kind, const char *text, NameEntry *ret_entry) {
        LocalFile *f = &n->files[kind];
        uint32_t id;
        int r = load(f);

        if (r < 0)
                return r;
        r = parse_id(text, strlen(text), &id) ? find_line(f, kind, text, true, id, ret_entry) : 0;
        return r != 0 || strpbrk(text, ":\n") ? r : find_line(f, kind, text, false, 0, ret_entry);
}

/* ---- the name services, in a thread ---- */

static int take_user(const struct passwd *p, NameEntry *ret) {
        NameEntry e = {
                .name = strdup(p->pw_name),
                .id = p->pw_uid,
                .group = p->pw_gid,
                .home = strdup(p->pw_dir ?: ""),
                .shell = strdup(p->pw_shell ?: ""),
        };

        if (!e.name || !e.home || !e.shell) {
                name_entry_done(&e);
                return -ENOMEM;
        }
        *ret = e;
        return 0;
}

static int take_group(const struct group *g, NameEntry *ret) {
        *ret = (NameEntry) { .name = strdup(g->gr_name), .id = g->gr_gid };
        return ret->name ? 0 : -ENOMEM;
}

/* One question; ERANGE if the buffer is too small. What a service says of somebody whom it does not know differs. */
static int ask(NameKind kind, const char *text, const uint32_t *id, char *buffer, size_t size, NameEntry *ret) {
        struct passwd user, *u = NULL;
        struct group group, *g = NULL;
        int r;

        if (kind == NAME_USER)
                r = id ? getpwuid_r(*id, &user, buffer, size, &u) : getpwnam_r(text, &user, buffer, size, &u);
        else
                r = id ? getgrgid_r(*id, &group, buffer, size, &g) : getgrnam_r(text, &group, buffer, size, &g);
        if (u)
                return take_user(u, ret);
        if (g)
                return take_group(g, ret);
        return r == 0 || r == ENOENT || r == EBADF || r == EPERM ? -ESRCH : -r;
}

static int ask_with_room(NameKind kind, const char *text, const uint32_t *id, NameEntry *ret) {
        for (size_t size = 4096;; size *= 4) {
                _cleanup_free_ char *buffer = malloc(size);
                if (!buffer)
                        return -ENOMEM;
                int r = ask(kind, text, id, buffer, size, ret);
                if (r != -ERANGE || size >= ENTRY_MAX_SIZE)
                        return r;
        }
}

static int ask_services(NameKind kind, const char *text, NameEntry *ret) {
        uint32_t id;

        if (parse_id(text, strlen(text), &id)) {
                int r = ask_with_room(kind, text, &id, ret);
                if (r != -ESRCH)
                        return r;
        }
        return ask_with_room(kind, text, NULL, ret);
}

static void query_destroy(NameQuery *q) {
        name_entry_done(&q->entry);
        free(q->text);
        free(q);
}

/* With the lock held, which it gives back. What only the loop knows is gone by then. */
static void names_unref(Names *n) {
        bool last = --n->n_ref == 0;

        (void) pthread_mutex_unlock(&n->lock);
        if (!last)
                return;
        (void) pthread_mutex_destroy(&n->lock);
        closep(&n->fd);
        free(n);
}

static void *serve(void *userdata) {
        Names *n = userdata;
        NameQuery *q;

        (void) pthread_mutex_lock(&n->lock);
        while ((q = TAILQ_FIRST(&n->asked))) {
                TAILQ_REMOVE(&n->asked, q, link);
                q->state = QUERY_TAKEN;
                (void) pthread_mutex_unlock(&n->lock);
                q->result = ask_services(q->kind, q->text, &q->entry);
                (void) pthread_mutex_lock(&n->lock);
                if (q->abandoned) {
                        query_destroy(q);
                        n->n_ref--;
                } else if (n->closed)
                        q->state = QUERY_ENDED;
                else {
                        q->state = QUERY_ANSWERED;
                        TAILQ_INSERT_TAIL(&n->answered, q, link);
                        (void) eventfd_write(n->fd, 1);
                }
        }
        n->n_threads--;
        names_unref(n);
        return NULL;
}

/* With the lock held. Signals are the loop's. */
static int start_thread(Names *n) {
        pthread_attr_t attributes;
        sigset_t all, saved;
        pthread_t thread;
        int r;

        r = pthread_attr_init(&attributes);
        if (r != 0)
                return -r;
        (void) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        (void) pthread_attr_setstacksize(&attributes, STACK_SIZE);
        sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &saved);
        r = pthread_create(&thread, &attributes, serve, n);
        (void) pthread_sigmask(SIG_SETMASK, &saved, NULL);
        (void) pthread_attr_destroy(&attributes);
        if (r != 0)
                return -r;
        n->n_threads++;
        n->n_ref++;
        return 0;
}

/* ---- questions and answers, in the loop ---- */

static NameQuery *next_answer(Names *n) {
        eventfd_t count;

        (void) pthread_mutex_lock(&n->lock);
        NameQuery *q = TAILQ_FIRST(&n->answered);
        if (q) {
                TAILQ_REMOVE(&n->answered, q, link);
                q->state = QUERY_ENDED;
        }
        if (TAILQ_EMPTY(&n->answered))          /* still with the lock: an answer that comes right now must not go unheard */
                (void) eventfd_read(n->fd, &count);
        (void) pthread_mutex_unlock(&n->lock);
        return q;
}

/* One answer at a time: a callback may free anything, Names as well. */
static int on_answers(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        NameQuery *q = next_answer(userdata);

        if (q)
                q->callback(q, q->result, &q->entry, q->userdata);
        return 0;
}

static int query_new(NameQuery **ret, Names *n, NameKind kind, const char *text, name_callback_t callback, void *userdata) {
        NameQuery *q = calloc(1, sizeof(NameQuery));

        if (!q)
                return -ENOMEM;
        *q = (NameQuery) {
                .names = n,
                .state = QUERY_ASKED,
                .kind = kind,
                .text = strdup(text),
                .callback = callback,
                .userdata = userdata,
        };
        if (!q->text) {
                free(q);
                return -ENOMEM;
        }
        *ret = q;
        return 0;
}

int names_find(Names *n, NameKind kind, const char *text, NameEntry *ret_entry, NameQuery **ret, name_callback_t callback,
               void *userdata) {
        NameQuery *q;
        int r;

        r = names_find_local(n, kind, text, ret_entry);
        if (r > 0 || r == -ENOMEM)
                return r;
        r = query_new(&q, n, kind, text, callback, userdata);
        if (r < 0)
                return r;
        (void) pthread_mutex_lock(&n->lock);
        if (n->n_threads < THREADS_MAX)
                r = start_thread(n);
        if (n->n_threads == 0) {
                (void) pthread_mutex_unlock(&n->lock);
                query_destroy(q);
                return r;
        }
        TAILQ_INSERT_TAIL(&n->asked, q, link);
        n->n_ref++;
        (void) pthread_mutex_unlock(&n->lock);
        *ret = q;
        return 0;
}

NameQuery *name_query_free(NameQuery *q) {
        if (!q)
                return NULL;

        Names *n = q->names;
        (void) pthread_mutex_lock(&n->lock);
        if (q->state == QUERY_TAKEN) {
                q->abandoned = true;
                (void) pthread_mutex_unlock(&n->lock);
                return NULL;
        }
        if (q->state != QUERY_ENDED)
                TAILQ_REMOVE(q->state == QUERY_ASKED ? &n->asked : &n->answered, q, link);
        query_destroy(q);
        names_unref(n);
        return NULL;
}

int names_new(Names **ret, sd_event *event, const char *etc) {
        static const char *const files[] = { [NAME_USER] = "passwd", [NAME_GROUP] = "group" };
        _cleanup_(names_freep) Names *n = calloc(1, sizeof(Names));
        int r;

        if (!n)
                return -ENOMEM;
        n->n_ref = 1;
        TAILQ_INIT(&n->asked);
        TAILQ_INIT(&n->answered);
        (void) pthread_mutex_init(&n->lock, NULL);
        n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (n->fd < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(files); i++)
                if (asprintf(&n->files[i].path, "%s/%s", etc, files[i]) < 0) {
                        n->files[i].path = NULL;
                        return -ENOMEM;
                }
        r = sd_event_add_io(event, &n->source, n->fd, EPOLLIN, on_answers, n);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(n->source, "names");
        *ret = TAKE_PTR(n);
        return 0;
}

static void end_all(QueryList *list) {
        for (NameQuery *q; (q = TAILQ_FIRST(list));) {
                TAILQ_REMOVE(list, q, link);
                q->state = QUERY_ENDED;
        }
}

Names *names_free(Names *n) {
        if (!n)
                return NULL;

        n->source = sd_event_source_disable_unref(n->source);
        for (size_t i = 0; i < ELEMENTSOF(n->files); i++) {
                free(n->files[i].path);
                free(n->files[i].text);
        }
        (void) pthread_mutex_lock(&n->lock);
        n->closed = true;
        end_all(&n->asked);
        end_all(&n->answered);
        names_unref(n);
        return NULL;
}
