/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Runs a command when its guards say so, and sends its output on. An attempt is a row of child processes: ifcmd, nifcmd, cmd,
 * donecmd; those that are not given are passed over. What was sent last is kept on disk, because a receiver may start after
 * the command has run for the last time. */

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/child.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/account.h"
#include "daemons/engine/local-host.h"

enum {
        OUTPUT_MAX = 4 * 1024 * 1024,           /* per stream; the rest is read and dropped */
        GRACE_USEC = 2 * 1000 * 1000,           /* after sig, before SIGKILL */
        OVERTAKEN_MAX = 3,                      /* runs that are repeated because a file of mtimes changed meanwhile */
        OVERTAKEN_USEC = 500 * 1000,            /* before the last of these */
};

typedef enum Step {
        STEP_IF,
        STEP_NIF,
        STEP_CMD,
        STEP_DONE,
        _STEP_MAX,
        STEP_WATCH = _STEP_MAX,
        _STEP_COMMANDS,
} Step;

typedef enum Stream {
        STREAM_OUTPUT,          /* both, in order of arrival */
        STREAM_STDOUT,
        STREAM_STDERR,
        _STREAM_MAX,
} Stream;

typedef struct Exec {
        Resource resource;
        char *cmd;
        char **args;
        char *cwd, *shell;
        Value env;
        char *sig;
        char *watchcmd, *watchcwd, *watchshell;
        char **watchfiles;
        char *ifcmd, *ifcwd, *ifshell, *ifequals, *ifequals_stdout;
        char *nifcmd, *nifcwd, *nifshell;
        char *creates;
        char **mtimes;
        char *donecmd, *donecwd, *doneshell;
        char *user, *group;
        char *send_output, *send_stdout, *send_stderr;

        Step step;
        bool apply;
        PathWatch *account_watches[ACCOUNT_WATCHES];    /* while there is no such account for watchcmd */
        Account account, watch_account; /* who commands, and watchcmd, run as */
        bool has_account;               /* account is known, in this attempt */
        Child *child;                   /* of the attempt under way */
        Child *dying;                   /* of a cancelled one; SIGKILL for its group when its time is up, or when the next begins */
        sd_event_source *grace;
        Child *watcher;
        PathWatch **watches;
        size_t n_watches;
        struct timespec seen;           /* the newest of mtimes when the attempt began */
        sd_event_source *tick;          /* cmd starts then */
        bool has_waited;                /* for it, in this attempt */
        unsigned n_overtaken;           /* last runs in a row during which one of mtimes changed */
        bool loaded;                    /* sent is what the disk has */
        Value sent[_STREAM_MAX];        /* nil: nothing yet */
        Value printed[_STREAM_MAX];     /* by a command that has not succeeded yet: donecmd has a say in that */
} Exec;

static const FieldSpec exec_fields[] = {
        FIELD(Exec, cmd, FIELD_STR, FIELD_IS_NAME, "The command. Without a shell it is split at white space, without any quoting."),
        FIELD(Exec, args, FIELD_STRV, 0, "Arguments, for a cmd that is one word."),
        FIELD(Exec, cwd, FIELD_STR, 0, "Directory it runs in."),
        FIELD(Exec, shell, FIELD_STR, 0, "Program that is given the command after -c."),
        FIELD(Exec, env, FIELD_VALUE, 0, "The whole environment of all commands.", .mcl_type = "map{str: str}"),
        FIELD(Exec, sig, FIELD_STR, 0, "Signal that ends a command which is cancelled; SIGTERM if not given."),
        FIELD(Exec, watchcmd, FIELD_STR, 0, "A command that runs all the time; each line it prints is an event."),
        FIELD(Exec, watchcwd, FIELD_STR, 0, "Directory of watchcmd."),
        FIELD(Exec, watchshell, FIELD_STR, 0, "Shell of watchcmd."),
        FIELD(Exec, watchfiles, FIELD_STRV, 0, "Paths; a change of one is an event. A path that ends in a slash is watched with all below it."),
        FIELD(Exec, ifcmd, FIELD_STR, 0, "Only if this command succeeds, cmd runs."),
        FIELD(Exec, ifcwd, FIELD_STR, 0, "Directory of ifcmd."),
        FIELD(Exec, ifshell, FIELD_STR, 0, "Shell of ifcmd."),
        FIELD(Exec, ifequals, FIELD_STR, FIELD_OPTIONAL, "If ifcmd succeeds and prints this, cmd does not run."),
        FIELD(Exec, ifequals_stdout, FIELD_STR, FIELD_OPTIONAL, "As ifequals, of standard output only."),
        FIELD(Exec, nifcmd, FIELD_STR, 0, "Only if this command fails, cmd runs."),
        FIELD(Exec, nifcwd, FIELD_STR, 0, "Directory of nifcmd."),
        FIELD(Exec, nifshell, FIELD_STR, 0, "Shell of nifcmd."),
        FIELD(Exec, creates, FIELD_STR, 0, "If this path is there, cmd does not run."),
        FIELD(Exec, mtimes, FIELD_STRV, 0, "Files; if one is newer than the last run, cmd runs, whatever the guards say."),
        FIELD(Exec, donecmd, FIELD_STR, 0, "Runs after cmd; cmd has failed if it fails."),
        FIELD(Exec, donecwd, FIELD_STR, 0, "Directory of donecmd."),
        FIELD(Exec, doneshell, FIELD_STR, 0, "Shell of donecmd."),
        FIELD(Exec, user, FIELD_STR, 0, "Name or number of the user all commands run as. The group is not that user's, but group."),
        FIELD(Exec, group, FIELD_STR, 0, "Name or number of the group all commands run as; ours if not given. They are in no other group."),
        FIELD(Exec, send_output, FIELD_STR, FIELD_OPTIONAL, "What is sent as output if cmd has never run."),
        FIELD(Exec, send_stdout, FIELD_STR, FIELD_OPTIONAL, "What is sent as stdout if cmd has never run."),
        FIELD(Exec, send_stderr, FIELD_STR, FIELD_OPTIONAL, "What is sent as stderr if cmd has never run."),
        {}
};

static const FieldSpec exec_sends[] = {
        [STREAM_OUTPUT] = { .name = "output", .type = FIELD_STR, .flags = FIELD_OPTIONAL,
                            .doc = "All that the command printed; empty if that was nothing." },
        [STREAM_STDOUT] = { .name = "stdout", .type = FIELD_STR, .flags = FIELD_OPTIONAL,
                            .doc = "What it printed to standard output; empty if that was nothing." },
        [STREAM_STDERR] = { .name = "stderr", .type = FIELD_STR, .flags = FIELD_OPTIONAL,
                            .doc = "What it printed to standard error; empty if that was nothing." },
        {}
};

static const struct {
        const char *name;
        size_t cmd, cwd, shell;
} commands[_STEP_COMMANDS] = {
        [STEP_IF] = { "ifcmd", offsetof(Exec, ifcmd), offsetof(Exec, ifcwd), offsetof(Exec, ifshell) },
        [STEP_NIF] = { "nifcmd", offsetof(Exec, nifcmd), offsetof(Exec, nifcwd), offsetof(Exec, nifshell) },
        [STEP_CMD] = { "cmd", offsetof(Exec, cmd), offsetof(Exec, cwd), offsetof(Exec, shell) },
        [STEP_DONE] = { "donecmd", offsetof(Exec, donecmd), offsetof(Exec, donecwd), offsetof(Exec, doneshell) },
        [STEP_WATCH] = { "watchcmd", offsetof(Exec, watchcmd), offsetof(Exec, watchcwd), offsetof(Exec, watchshell) },
};

static const char *text_at(const Exec *e, size_t offset) {
        return *(char *const *) ((const char *) e + offset);
}

static const char *command_text(const Exec *e, Step step) {
        return text_at(e, commands[step].cmd);
}

/* ---- validate ---- */

static int validate_env(const Resource *r, Diag *reterr) {
        const Exec *e = (const Exec *) r;

        for (uint32_t i = 0; e->env.kind == TYPE_MAP && i < e->env.m->n; i++) {
                const char *name = value_cstr(e->env.m->items[i].key);
                bool good = isalpha((unsigned char) *name) || *name == '_';

                for (const char *p = name; *p && good; p++)
                        good = isalnum((unsigned char) *p) || *p == '_';
                if (!good)
                        return resource_error(r, reterr, -EINVAL,
                                              "name of an environment variable must be letters, digits and '_', got '%s'",
                                              name);
        }
        return 0;
}

static int find_signal(const char *text, int *ret) {
        const char *name = startswith(text, "SIG");

        if (!name)
                return -EINVAL;
        for (int i = 1; i < SIGRTMIN; i++) {
                const char *known = sigabbrev_np(i);
                if (known && streq(known, name)) {
                        *ret = i;
                        return 0;
                }
        }
        return -EINVAL;
}

static int validate_signal(const Resource *r, Diag *reterr) {
        const Exec *e = (const Exec *) r;
        char upper[32] = "SIG";
        size_t skip = strncasecmp(e->sig, "SIG", 3) == 0 ? 3 : 0;
        int number;

        if (!*e->sig || find_signal(e->sig, &number) >= 0)
                return 0;
        for (size_t i = 0; e->sig[skip + i] && i + 4 < sizeof(upper); i++)
                upper[3 + i] = (char) toupper((unsigned char) e->sig[skip + i]);
        if (find_signal(upper, &number) >= 0)
                return resource_error(r, reterr, -EINVAL, "sig must be the name of a signal, got '%s'; did you mean '%s'?", e->sig, upper);
        return resource_error(r, reterr, -EINVAL, "sig must be the name of a signal, such as 'SIGTERM', got '%s'", e->sig);
}

static int validate_absolute(const Resource *r, const char *field, char *const *paths, Diag *reterr) {
        for (; paths && *paths; paths++)
                if (**paths != '/')
                        return resource_error(r, reterr, -EINVAL, "%s must be absolute, got '%s'", field, *paths);
        return 0;
}

static int exec_validate(const Resource *r, Diag *reterr) {
        const Exec *e = (const Exec *) r;
        char *const creates[] = { e->creates, NULL };
        int k;

        if (e->args && *e->shell)
                return resource_error(r, reterr, -EINVAL, "args cannot be used with a shell");
        if (e->args && strpbrk(command_text(e, STEP_CMD), " \t\n\v\f\r"))
                return resource_error(r, reterr, -EINVAL, "cmd must be one word if args are given, got '%s'", command_text(e, STEP_CMD));
        k = validate_env(r, reterr);
        if (k >= 0)
                k = validate_signal(r, reterr);
        if (k >= 0)
                k = validate_absolute(r, "watchfiles", e->watchfiles, reterr);
        if (k >= 0)
                k = validate_absolute(r, "mtimes", e->mtimes, reterr);
        if (k >= 0 && *e->creates)
                k = validate_absolute(r, "creates", creates, reterr);
        return k;
}

/* ---- running a command ---- */

typedef struct Argv {
        char **items;
        char *words;            /* what the items of a split command point into */
} Argv;

static void argv_done(Argv *a) {
        free(a->items);
        free(a->words);
}

static int make_argv(const Exec *e, Step step, Argv *ret) {
        const char *text = command_text(e, step), *shell = text_at(e, commands[step].shell);
        size_t n = 0, max = strlen(text) / 2 + 5 + (step == STEP_CMD ? strv_count(e->args) : 0);
        char *state;

        ret->items = calloc(max, sizeof(*ret->items));
        ret->words = strdup(text);
        if (!ret->items || !ret->words)
                return -ENOMEM;
        if (*shell) {
                ret->items[n++] = (char *) shell;
                ret->items[n++] = (char *) "-c";
                ret->items[n++] = ret->words;
                return 0;
        }
        for (char *word = strtok_r(ret->words, " \t\n\v\f\r", &state); word; word = strtok_r(NULL, " \t\n\v\f\r", &state))
                ret->items[n++] = word;
        for (char **arg = step == STEP_CMD ? e->args : NULL; arg && *arg; arg++)
                ret->items[n++] = *arg;
        return n > 0 ? 0 : -EINVAL;
}

/* Sorted, because maps are. */
static int make_env(const Exec *e, char ***ret) {
        uint32_t n = e->env.kind == TYPE_MAP ? e->env.m->n : 0;
        _cleanup_(strv_freep) char **env = calloc((size_t) n + 1, sizeof(*env));

        if (!env)
                return -ENOMEM;
        for (uint32_t i = 0; i < n; i++)
                if (asprintf(&env[i], "%s=%s", value_cstr(e->env.m->items[i].key), value_cstr(e->env.m->items[i].value)) < 0) {
                        env[i] = NULL;
                        return -ENOMEM;
                }
        *ret = TAKE_PTR(env);
        return 0;
}

typedef void (*output_callback_t)(Child *c, ChildStream stream, const char *data, size_t size, void *userdata);

static int start(Exec *e, Step step, const Account *account, Child **ret, output_callback_t output, child_callback_t callback,
                 Diag *reterr) {
        _cleanup_(argv_done) Argv argv = {};
        _cleanup_(strv_freep) char **env = NULL;
        const char *cwd = text_at(e, commands[step].cwd);
        _cleanup_(diag_done) Diag diag = {};
        int r;

        r = make_argv(e, step, &argv);
        if (r < 0)
                return resource_error(&e->resource, reterr, r, "%s is empty", commands[step].name);
        r = make_env(e, &env);
        if (r < 0)
                return r;
        ChildSpec spec = {
                .argv = argv.items,
                .env = env,
                .cwd = *cwd ? cwd : NULL,
                .uid = account->uid,
                .gid = account->gid,
                .output_max = output ? 0 : OUTPUT_MAX,
                .output = output,
        };
        r = child_start(ret, e->resource.host->event, &spec, callback, e, &diag);
        if (r < 0)
                return resource_error(&e->resource, reterr, r, "%s: %s", commands[step].name,
                                      diag.message ? diag.message : "out of memory");
        return 0;
}

/* ---- what is kept on disk ---- */

static int state_path(const Exec *e, const char *name, char **ret) {
        _cleanup_free_ char *dir = NULL;
        int r;

        r = resource_state_dir(&e->resource, &dir);
        if (r < 0)
                return r;
        if (asprintf(ret, "%s%s", dir, name) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int load_sent(Exec *e) {
        int r;

        for (Stream i = 0; i < _STREAM_MAX && !e->loaded; i++) {
                _cleanup_free_ char *path = NULL, *data = NULL;
                size_t size;

                r = state_path(e, exec_sends[i].name, &path);
                if (r < 0)
                        return r;
                r = read_file_at(AT_FDCWD, path, OUTPUT_MAX, &data, &size);
                if (r == -ENOENT)
                        continue;
                if (r >= 0)
                        r = value_str(&e->sent[i], data, size);
                if (r < 0)
                        return r;
        }
        e->loaded = true;
        return 0;
}

/* A command that printed nothing has said so: what an earlier one printed is not sent for it. */
static int take_printed(Exec *e, Stream i, const StrBuf *b) {
        value_done(&e->printed[i]);
        return value_str(&e->printed[i], b->data ? b->data : "", b->size);
}

static int keep_printed(Exec *e, Stream i) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = state_path(e, exec_sends[i].name, &path);
        if (r >= 0)
                r = write_file_atomic_at(AT_FDCWD, path, e->printed[i].s->data, e->printed[i].s->size, 0600, false);
        if (r < 0)
                return r;
        value_done(&e->sent[i]);
        e->sent[i] = e->printed[i];
        e->printed[i] = VALUE_NIL;
        return 0;
}

static int send_all(Exec *e, bool fallback) {
        const char *const instead[_STREAM_MAX] = { e->send_output, e->send_stdout, e->send_stderr };
        int r = 0;

        for (Stream i = 0; i < _STREAM_MAX && r >= 0; i++) {
                _cleanup_(value_done) Value v = value_ref(e->sent[i]);

                if (v.kind == TYPE_NIL && fallback && instead[i])
                        r = value_strz(&v, instead[i]);
                if (r >= 0 && v.kind != TYPE_NIL)
                        r = resource_send(&e->resource, exec_sends[i].name, v);
        }
        return r;
}

static bool timespec_is_later(struct timespec a, struct timespec b) {
        return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static int newest_of_mtimes(const Exec *e, struct timespec *ret, const char **reterr_path) {
        struct timespec newest = {};
        struct stat st;

        for (char **s = e->mtimes; *s; s++) {
                if (stat(*s, &st) < 0) {
                        *reterr_path = *s;
                        return -errno;
                }
                if (timespec_is_later(st.st_mtim, newest))
                        newest = st.st_mtim;
        }
        *ret = newest;
        return 0;
}

/* Whether a file is newer than those that the last run has seen: 1, 0 or an error. That time is the mtime of a file of ours. A
 * file that is not there may be about to come back (what makes it is told of its end no sooner than we are), and it is watched:
 * so it is waited for. */
static int is_outdated(Exec *e, Diag *reterr) {
        struct stat last = {};
        _cleanup_free_ char *path = NULL, *reason = NULL;
        const char *unreadable = NULL;
        int r;

        if (!e->mtimes)
                return 0;
        r = state_path(e, "mtimes", &path);
        if (r < 0)
                return r;
        if (stat(path, &last) < 0 && errno != ENOENT)
                return -errno;
        r = newest_of_mtimes(e, &e->seen, &unreadable);
        if (r == -ENOENT) {
                if (asprintf(&reason, "'%s' of mtimes is not there", unreadable) < 0)
                        reason = NULL;
                return resource_waiting(&e->resource, reason ?: "a file of mtimes is not there");
        }
        if (r < 0)
                return resource_error(&e->resource, reterr, r, "cannot stat '%s' of mtimes: %m", unreadable);
        return timespec_is_later(e->seen, last.st_mtim);
}

/* A file that changed while the command ran may have been read before that: reason for another run. If it happens in each of a
 * few runs, and also when others have had the time to be done with it, the command itself changes it, and that shall not go on
 * for ever. */
static int remember_run(Exec *e) {
        struct timespec newest;
        _cleanup_free_ char *path = NULL;
        const char *unreadable;
        int r;

        if (!e->mtimes)
                return 0;
        r = newest_of_mtimes(e, &newest, &unreadable);
        if (r >= 0 && timespec_is_later(newest, e->seen) && e->n_overtaken < OVERTAKEN_MAX)
                e->n_overtaken++;
        else {
                e->n_overtaken = 0;
                e->seen = r >= 0 ? newest : e->seen;
        }
        r = state_path(e, "mtimes", &path);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(path, O_WRONLY|O_CREAT|O_CLOEXEC|O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        return futimens(fd, (const struct timespec[]) { e->seen, e->seen }) < 0 ? -errno : 0;
}

/* ---- the attempt ---- */

static void exec_on_end(Child *c, ChildResult *result, void *userdata);
static void exec_on_account(Account *a, int error, Diag *diag, void *userdata);

static void bury(Exec *e) {
        e->grace = sd_event_source_disable_unref(e->grace);
        e->dying = child_free(e->dying);
}

static int skip(Exec *e, Diag *reterr) {
        int r = send_all(e, true);
        return r < 0 ? resource_error(&e->resource, reterr, r, "cannot send: %m") : CHECK_OK;
}

static int finish_run(Exec *e, Diag *reterr) {
        int r = 0;

        for (Stream i = 0; i < _STREAM_MAX && r >= 0; i++)
                r = keep_printed(e, i);
        if (r >= 0)
                r = remember_run(e);
        if (r >= 0)
                r = send_all(e, false);
        if (r < 0)
                return resource_error(&e->resource, reterr, r, "cannot keep what '%s' printed: %m", command_text(e, STEP_CMD));
        return CHECK_CHANGED;
}

/* The command of e->step, once it is known who it runs as. */
static int start_step(Exec *e, Diag *reterr) {
        int r;

        if (!e->has_account) {
                r = account_find(&e->account, &e->resource, e->user, e->group, exec_on_account, e, reterr);
                if (r <= 0)
                        return r < 0 ? r : CHECK_PENDING;
                e->has_account = true;
        }
        r = start(e, e->step, &e->account, &e->child, NULL, exec_on_end, reterr);
        return r < 0 ? r : CHECK_PENDING;
}

static void exec_on_account(Account *a, int error, Diag *diag, void *userdata) {
        Exec *e = userdata;
        int r = error;

        e->has_account = true;
        if (r >= 0)
                r = start_step(e, diag);
        if (r != CHECK_PENDING)
                resource_finish(&e->resource, r, diag);
}

static int start_cmd(Exec *e, Diag *reterr);

static int exec_on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
        Exec *e = userdata;
        _cleanup_(diag_done) Diag diag = {};

        e->tick = sd_event_source_disable_unref(e->tick);
        int r = start_cmd(e, &diag);
        if (r != CHECK_PENDING)
                resource_finish(&e->resource, r, &diag);
        return 0;
}

/* How long a change might get the time that e->seen is, or 0. The kernel takes times of files from a clock that stands still for
 * some milliseconds (longer if the machine is itself a guest); newer ones put a file that was looked at ahead of it, and others
 * level with it. */
static uint64_t seen_for_usec(const Exec *e) {
        struct timespec now, tick;

        if (!e->mtimes || clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0 || clock_getres(CLOCK_REALTIME_COARSE, &tick) < 0 ||
            e->seen.tv_sec < now.tv_sec || e->seen.tv_sec > now.tv_sec + 1)
                return 0;
        int64_t ahead = (e->seen.tv_sec - now.tv_sec) * INT64_C(1000000000) + e->seen.tv_nsec - now.tv_nsec;
        return ahead < 0 ? 0 : (uint64_t) MAX(ahead, (int64_t) tick.tv_nsec) / 1000;
}

/* A change while cmd runs is to be seen as one, so cmd starts when such a change would have a later time than the newest file. */
static int start_cmd(Exec *e, Diag *reterr) {
        uint64_t usec = e->n_overtaken == OVERTAKEN_MAX && !e->has_waited ? OVERTAKEN_USEC : seen_for_usec(e);

        e->has_waited = true;
        if (usec == 0)
                return start_step(e, reterr);
        int r = sd_event_add_time_relative(e->resource.host->event, &e->tick, CLOCK_MONOTONIC, usec, 1, exec_on_tick, e);
        return r < 0 ? resource_error(&e->resource, reterr, r, "cannot wait for the clock: %m") : CHECK_PENDING;
}

/* What it prints is what it sends, and nobody knows it before. */
static void tell_command(Exec *e) {
        _cleanup_(strbuf_done) StrBuf b = {};

        strbuf_puts(&b, command_text(e, STEP_CMD));
        for (char **arg = e->args; arg && *arg; arg++)
                strbuf_printf(&b, " %s", *arg);
        resource_differs(&e->resource, "cmd", NULL, b.data);
        for (const FieldSpec *f = exec_sends; !e->apply && f->name; f++)
                resource_send_unknown(&e->resource, f->name);
}

/* From the step on, until a command was started or all is done. */
static int go_on(Exec *e, Step from, Diag *reterr) {
        struct stat st;
        int r;

        for (e->step = from; e->step < _STEP_MAX; e->step++) {
                if (e->step == STEP_CMD) {
                        if (*e->creates && stat(e->creates, &st) >= 0 && from != STEP_CMD)
                                return skip(e, reterr);
                        tell_command(e);
                        if (!e->apply) {
                                r = send_all(e, false);
                                return r < 0 ? resource_error(&e->resource, reterr, r, "cannot send: %m") : CHECK_CHANGED;
                        }
                        return start_cmd(e, reterr);
                } else if (!*command_text(e, e->step))
                        continue;
                return start_step(e, reterr);
        }
        return finish_run(e, reterr);
}

/* The last line that is not empty says most about what went wrong; secrets do not belong into output. */
static int command_failed(const Exec *e, Step step, const ChildResult *result, Diag *reterr) {
        const char *text = command_text(e, step), *name = commands[step].name;

        if (result->signal)
                return resource_error(&e->resource, reterr, -EINTR, "%s '%s' was ended by signal SIG%s", name, text,
                                      sigabbrev_np(result->signal) ? sigabbrev_np(result->signal) : "?");
        if (step == STEP_WATCH && result->status == 0)
                return resource_error(&e->resource, reterr, -EPIPE, "%s '%s' has ended", name, text);
        const StrBuf *b = result->err.data ? &result->err : &result->out;
        size_t end = b->size;
        while (end > 0 && isspace((unsigned char) b->data[end - 1]))
                end--;
        size_t begin = end;
        while (begin > 0 && b->data[begin - 1] != '\n')
                begin--;
        return resource_error(&e->resource, reterr, -EPROTO, "%s '%s' failed with status %d%s%.*s", name, text,
                              result->status, end > begin ? ": " : "", (int) MIN(end - begin, (size_t) 200),
                              b->data ? b->data + begin : "");
}

static bool equals(const StrBuf *b, const char *text) {
        return text && b->size == strlen(text) && (b->size == 0 || memcmp(b->data, text, b->size) == 0);
}

static int after_command(Exec *e, ChildResult *result, Diag *reterr) {
        bool good = result->status == 0 && result->signal == 0;
        int r;

        if (result->signal)
                return command_failed(e, e->step, result, reterr);
        switch (e->step) {
        case STEP_IF:
                if (!good || (!result->truncated && (equals(&result->output, e->ifequals) || equals(&result->out, e->ifequals_stdout))))
                        return skip(e, reterr);
                return go_on(e, STEP_NIF, reterr);
        case STEP_NIF: {
                struct stat st;
                if (good || (*e->creates && stat(e->creates, &st) >= 0))
                        return skip(e, reterr);
                return go_on(e, STEP_CMD, reterr);
        }
        case STEP_CMD:
                if (!good)
                        return command_failed(e, e->step, result, reterr);
                r = take_printed(e, STREAM_OUTPUT, &result->output);
                if (r >= 0)
                        r = take_printed(e, STREAM_STDOUT, &result->out);
                if (r >= 0)
                        r = take_printed(e, STREAM_STDERR, &result->err);
                if (r < 0)
                        return resource_error(&e->resource, reterr, r, "cannot keep what '%s' printed: %m", command_text(e, STEP_CMD));
                return go_on(e, STEP_DONE, reterr);
        default:
                return good ? finish_run(e, reterr) : command_failed(e, e->step, result, reterr);
        }
}

static void exec_on_end(Child *c, ChildResult *result, void *userdata) {
        Exec *e = userdata;
        _cleanup_(diag_done) Diag diag = {};

        _cleanup_(child_freep) _unused_ Child *ended = TAKE_PTR(e->child);
        int r = after_command(e, result, &diag);
        if (r != CHECK_PENDING)
                resource_finish(&e->resource, r, &diag);
}

static int exec_check_apply(Resource *r, bool apply, Diag *reterr) {
        Exec *e = (Exec *) r;
        int k;

        bury(e);
        e->apply = apply;
        e->has_account = false;
        e->has_waited = false;
        k = load_sent(e);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read what was sent last: %m");
        k = is_outdated(e, reterr);
        if (k == -EAGAIN)
                return k;
        if (k < 0)
                return resource_error(r, reterr, k, "cannot find out about mtimes: %m");
        return go_on(e, k > 0 ? STEP_CMD : STEP_IF, reterr);
}

static int on_grace_over(sd_event_source *source, uint64_t usec, void *userdata) {
        bury(userdata);
        return 0;
}

static int end_signal(const Exec *e) {
        int number = SIGTERM;

        if (*e->sig)
                (void) find_signal(e->sig, &number);
        return number;
}

static void exec_cancel(Resource *r) {
        Exec *e = (Exec *) r;

        account_done(&e->account);
        e->tick = sd_event_source_disable_unref(e->tick);
        if (!e->child)
                return;
        bury(e);
        e->dying = TAKE_PTR(e->child);
        (void) child_dismiss(e->dying, end_signal(e));
        if (sd_event_add_time_relative(r->host->event, &e->grace, CLOCK_MONOTONIC, GRACE_USEC, 0, on_grace_over, e) < 0)
                bury(e);
}

/* ---- watch ---- */

static void on_watch_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        Exec *e = userdata;

        /* A line that says something ends here, or something is said whose line will end: one event will do for both. */
        for (size_t i = 0; i < size; i++)
                if (!isspace((unsigned char) data[i])) {
                        resource_changed(&e->resource);
                        return;
                }
}

static void on_watch_end(Child *c, ChildResult *result, void *userdata) {
        Exec *e = userdata;
        _cleanup_(child_freep) _unused_ Child *ended = TAKE_PTR(e->watcher);
        _cleanup_(diag_done) Diag diag = {};

        int r = command_failed(e, STEP_WATCH, result, &diag);
        resource_watch_failed(&e->resource, r, &diag);
}

static int start_watcher(Exec *e, Diag *reterr) {
        return start(e, STEP_WATCH, &e->watch_account, &e->watcher, on_watch_output, on_watch_end, reterr);
}

static void on_watch_account(Account *a, int error, Diag *diag, void *userdata) {
        Exec *e = userdata;
        int r = error < 0 ? account_await(&e->resource, error, e->account_watches, diag) : start_watcher(e, diag);

        if (r < 0)
                resource_watch_failed(&e->resource, r, diag);
        else
                resource_armed(&e->resource);
}

static int add_watch(Exec *e, const char *path, Diag *reterr) {
        int r = local_host_watch(&e->resource, path, endswith(path, "/") ? PATH_WATCH_RECURSIVE : 0, &e->watches[e->n_watches], reterr);

        e->n_watches += r >= 0;
        return r;
}

static int exec_watch(Resource *r, Diag *reterr) {
        Exec *e = (Exec *) r;
        int k = 0;

        e->watches = calloc(strv_count(e->watchfiles) + strv_count(e->mtimes) + 1, sizeof(*e->watches));
        if (!e->watches)
                return resource_error(r, reterr, -ENOMEM, "cannot watch: %m");
        for (char **s = e->watchfiles; k >= 0 && s && *s; s++)
                k = add_watch(e, *s, reterr);
        for (char **s = e->mtimes; k >= 0 && s && *s; s++)
                k = add_watch(e, *s, reterr);
        if (k >= 0 && *e->creates)
                k = add_watch(e, e->creates, reterr);
        if (k >= 0 && *e->watchcmd) {
                k = account_find(&e->watch_account, r, e->user, e->group, on_watch_account, e, reterr);
                if (k == 0)
                        return 0;
                k = k > 0 ? start_watcher(e, reterr) : account_await(r, k, e->account_watches, reterr);
        }
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void exec_unwatch(Resource *r) {
        Exec *e = (Exec *) r;

        for (size_t i = 0; i < e->n_watches; i++)
                path_watch_free(e->watches[i]);
        free(e->watches);
        e->watches = NULL;
        e->n_watches = 0;
        account_done(&e->watch_account);
        for (size_t i = 0; i < ACCOUNT_WATCHES; i++)
                e->account_watches[i] = path_watch_free(e->account_watches[i]);
        e->watcher = child_release(e->watcher, end_signal(e), GRACE_USEC);
}

/* ---- autoedge ---- */

/* The programs of all commands, then user and group. */
static int exec_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Exec *e = (const Exec *) r;
        int k = 0;

        if (batch > 0)
                return 0;
        for (Step step = 0; step < _STEP_COMMANDS && k >= 0; step++) {
                const char *text = text_at(e, commands[step].shell);

                if (!*command_text(e, step))
                        continue;
                if (!*text)
                        text = command_text(e, step);
                _cleanup_free_ char *program = strndup(text, strcspn(text, " \t\n\v\f\r"));
                if (!program)
                        return -ENOMEM;
                if (*program == '/')
                        k = resource_uids_add(ret, "file", program, false);
                if (*program == '/' && k >= 0)
                        k = resource_uids_add(ret, "package-file", program, false);
        }
        if (k >= 0 && *e->user)
                k = resource_uids_add(ret, "user", e->user, false);
        if (k >= 0 && *e->group)
                k = resource_uids_add(ret, "group", e->group, false);
        return k;
}

static void exec_done(Resource *r) {
        Exec *e = (Exec *) r;

        exec_unwatch(r);
        account_done(&e->account);
        e->tick = sd_event_source_disable_unref(e->tick);
        e->child = child_release(e->child, end_signal(e), GRACE_USEC);
        e->dying = child_release(e->dying, end_signal(e), GRACE_USEC);
        bury(e);
        for (Stream i = 0; i < _STREAM_MAX; i++) {
                value_done(&e->sent[i]);
                value_done(&e->printed[i]);
        }
}

const ResourceType exec_type = {
        .kind = "exec",
        .doc = "Runs a command, if its guards want it.",
        .example = "exec \"greet\" {\n"
                   "\tcmd => \"/bin/echo hello\",\n"
                   "\tcreates => \"/tmp/greeted\",\n"
                   "\tdonecmd => \"/bin/touch /tmp/greeted\",\n"
                   "}\n",
        .size = sizeof(Exec),
        .fields = exec_fields,
        .sends = exec_sends,
        .done = exec_done,
        .validate = exec_validate,
        .watch = exec_watch,
        .unwatch = exec_unwatch,
        .check_apply = exec_check_apply,
        .cancel = exec_cancel,
        .wants = exec_wants,
};
