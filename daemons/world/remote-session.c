/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-session.h. The child prints a JSON object per line; of those that are about itself we take note, and skip what the
 * program there says. The password goes through its standard input, where nobody sees it. */

#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "common/io.h"
#include "common/paths.h"
#include "common/sd/child.h"
#include "daemons/world/remote-session.h"

enum {
        ARGUMENTS_MAX = 20,
        LINE_MAX_ = 64 * 1024,  /* longer ones are no news */
        PROBLEMS_MAX = 2048,
};

struct RemoteSession {
        Child *child;
        StrBuf line;
        bool skipping;          /* the rest of a line that is too long */
        StrBuf problems;        /* errors that it told, the last ones */
        const SessionOps *ops;
        void *userdata;
        bool *freed;            /* set by remote_session_free(), for functions further up */
};

/* ---- what it says ---- */

static const char *text_of(json_object *j, const char *key) {
        json_object *found = NULL;

        (void) json_object_object_get_ex(j, key, &found);
        return json_object_is_type(found, json_type_string) ? json_object_get_string(found) : NULL;
}

static void add_problem(RemoteSession *s, const char *text, size_t size) {
        if (s->problems.size + size > PROBLEMS_MAX)
                strbuf_done(&s->problems);
        if (s->problems.size > 0)
                strbuf_puts(&s->problems, "; ");
        strbuf_add(&s->problems, text, MIN(size, (size_t) PROBLEMS_MAX));
}

static void take_note(RemoteSession *s, json_object *j) {
        static const char *const names[_SESSION_NEWS_MAX] = {
                [SESSION_RUNNING] = "running", [SESSION_STARTED] = "begun", [SESSION_WAS] = "was", [SESSION_IDLE] = "idle",
        };
        const char *type = text_of(j, "type"), *text = text_of(j, "text"), *message = text_of(j, "message");

        if (!type)
                return;
        if (streq(type, "error") && message)
                add_problem(s, message, strlen(message));
        for (SessionNews n = 0; n < _SESSION_NEWS_MAX; n++)
                if (streq(type, names[n]) && text && !json_object_object_get_ex(j, "time_usec", NULL)) {
                        s->ops->news(n, text, s->userdata);
                        return;
                }
}

static void on_line(RemoteSession *s, const char *line, size_t size) {
        json_tokener *t = json_tokener_new();
        json_object *j = t ? json_tokener_parse_ex(t, line, (int) size) : NULL;

        if (j)
                take_note(s, j);
        json_object_put(j);
        if (t)
                json_tokener_free(t);
}

/* False if the session was freed. */
static bool take_line(RemoteSession *s) {
        _cleanup_(strbuf_done) StrBuf line = s->line;
        bool whole = !s->skipping && !line.failed && line.size > 0, freed = false;

        s->line = (StrBuf) {};
        s->skipping = false;
        if (!whole)
                return true;
        s->freed = &freed;
        on_line(s, line.data, line.size);
        if (freed)
                return false;
        s->freed = NULL;
        return true;
}

/* Its stderr has what it could not say otherwise. */
static void on_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        RemoteSession *s = userdata;

        if (stream == CHILD_STDERR) {
                add_problem(s, data, size);
                return;
        }
        while (size > 0) {
                const char *end = memchr(data, '\n', size);
                size_t n = end ? (size_t) (end - data) : size;

                s->skipping = s->skipping || s->line.size + n > LINE_MAX_;
                if (!s->skipping)
                        strbuf_add(&s->line, data, n);
                if (!end || !take_line(s))
                        return;
                data += n + 1;
                size -= n + 1;
        }
}

/* In one, for those who show it in a table. The caller's; NULL if out of memory. */
static char *join_lines(const StrBuf *text) {
        StrBuf b = {};

        for (size_t at = 0, n; at < text->size; at += n + 1) {
                n = strcspn(text->data + at, "\n");
                if (n > 0 && b.size > 0)
                        strbuf_puts(&b, "; ");
                strbuf_add(&b, text->data + at, n);
        }
        return strbuf_take(&b);
}

static void on_end(Child *c, ChildResult *result, void *userdata) {
        RemoteSession *s = userdata;
        _cleanup_free_ char *problem = NULL;
        int number = result->signal, status = result->status;

        s->child = child_free(s->child);        /* and the result with it */
        if (number == 0 && status == 0) {
                s->ops->ended(NULL, s->userdata);
                return;
        }
        if (s->problems.size > 0)
                problem = join_lines(&s->problems);
        else if (asprintf(&problem, number ? "mgmt-ssh was ended by signal %d" : "mgmt-ssh has ended with status %d",
                          number ?: status) < 0)
                problem = NULL;
        s->ops->ended(problem ?: "out of memory", s->userdata);
}

/* ---- starting it ---- */

/* What is about this process, or about how this host gets to the cluster, is not for the child. */
static bool is_passed_on(const char *variable) {
        static const char *const kept_back[] = { "MGMT_STORE", "MGMT_REMOTE_", "CREDENTIALS_DIRECTORY=", "NOTIFY_SOCKET=", "LISTEN_",
                                                 "WATCHDOG_", "STATE_DIRECTORY=" };

        for (size_t i = 0; i < ELEMENTSOF(kept_back); i++)
                if (startswith(variable, kept_back[i]))
                        return false;
        return true;
}

typedef struct Words {
        char *items[ARGUMENTS_MAX + 1];
        size_t n;
        bool failed;
} Words;

static void words_done(Words *w) {
        for (size_t i = 0; i < w->n; i++)
                free(w->items[i]);
}

static void add_word(Words *w, const char *prefix, const char *text) {
        if (w->n >= ARGUMENTS_MAX || asprintf(&w->items[w->n], "%s%s", prefix, text) < 0) {
                if (w->n < ARGUMENTS_MAX)
                        w->items[w->n] = NULL;
                w->failed = true;
                return;
        }
        w->n++;
}

static void add_arguments(Words *w, const SessionSpec *spec) {
        add_word(w, "agent", "");
        add_word(w, "--json", "");
        add_word(w, "--resource=", spec->resource);
        if (spec->identity)
                add_word(w, "--identity=", spec->identity);
        if (spec->host_key)
                add_word(w, "--host-key=", spec->host_key);
        if (spec->no_keys)
                add_word(w, "--no-keys", "");
        if (spec->password)
                add_word(w, "--password", "");
        if (spec->keep)
                add_word(w, "--keep", "");
        if (spec->deps)
                add_word(w, "--install-deps", "");
        if (spec->direct)
                add_word(w, "--direct", "");
        if (spec->converger_timeout >= 0) {
                char number[32];

                (void) snprintf(number, sizeof(number), "%lld", (long long) spec->converger_timeout);
                add_word(w, "--converger-timeout=", number);
        }
        add_word(w, spec->verb, "");
        add_word(w, spec->target, "");
}

/* What other hosts are for the cluster, and what they get to show, is said apart from what this one is. */
static void add_store(Words *w, const SessionSpec *spec) {
        const char *user = getenv("MGMT_REMOTE_USER"), *credentials = getenv("MGMT_REMOTE_CREDENTIALS");

        if (!spec->store)
                return;
        add_word(w, "MGMT_STORE=", spec->store);
        if (user)
                add_word(w, "MGMT_STORE_USER=", user);
        if (credentials)
                add_word(w, "CREDENTIALS_DIRECTORY=", credentials);
}

static int make_input(const char *password) {
        _cleanup_close_ int fd = memfd_create("password", MFD_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = write_all(fd, password, strlen(password));
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        return r < 0 ? r : TAKE_FD(fd);
}

static int start(RemoteSession *s, sd_event *event, const SessionSpec *spec, Diag *reterr) {
        _cleanup_(words_done) Words arguments = {}, store = {};
        _cleanup_close_ int input = -EBADF;
        _cleanup_free_ char **env = NULL;
        char *program = path_daemon("ssh");
        size_t n = 0, k = 0;

        if (!program)
                return -ENOMEM;
        arguments.items[arguments.n++] = program;
        add_arguments(&arguments, spec);
        add_store(&store, spec);
        while (environ[n])
                n++;
        env = calloc(n + store.n + 1, sizeof(char *));
        if (arguments.failed || store.failed || !env)
                return -ENOMEM;
        for (char **e = environ; *e; e++)
                if (is_passed_on(*e))
                        env[k++] = *e;
        for (size_t i = 0; i < store.n; i++)
                env[k++] = store.items[i];
        if (spec->password) {
                input = make_input(spec->password);
                if (input < 0)
                        return input;
        }
        return child_start(&s->child, event, &(ChildSpec) { .argv = arguments.items, .env = env, .uid = (uid_t) -1, .gid = (gid_t) -1,
                                                            .input = MAX(input, 0), .output = on_output }, on_end, s, reterr);
}

int remote_session_new(RemoteSession **ret, sd_event *event, const SessionSpec *spec, const SessionOps *ops, void *userdata,
                       Diag *reterr) {
        _cleanup_(remote_session_freep) RemoteSession *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (RemoteSession) { .ops = ops, .userdata = userdata };
        r = start(s, event, spec, reterr);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

static RemoteSession *session_free(RemoteSession *s) {
        if (s->freed)
                *s->freed = true;
        strbuf_done(&s->line);
        strbuf_done(&s->problems);
        free(s);
        return NULL;
}

RemoteSession *remote_session_free(RemoteSession *s) {
        if (!s)
                return NULL;
        child_free(s->child);
        return session_free(s);
}

RemoteSession *remote_session_release(RemoteSession *s, uint64_t grace_usec) {
        if (!s)
                return NULL;
        if (s->child)
                child_release(s->child, SIGINT, grace_usec);
        return session_free(s);
}
