/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-ssh: `mgmtctl remote`, a program on other hosts, over SSH, for as long as this command runs. mgmtctl starts it in its own place,
 * with its own words. And `mgmt-ssh agent`, which mgmt-world starts: there it is what the cluster deploys that runs. */

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include <systemd/sd-event.h>

#include "common/bundle.h"
#include "common/http/curl-loop.h"
#include "common/io.h"
#include "common/paths.h"
#include "common/sd/child.h"
#include "common/sd/signals.h"
#include "common/sign/digest.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/remote-archive.h"
#include "daemons/mgmtctl/remote-host.h"
#include "daemons/mgmtctl/remote-libraries.h"
#include "daemons/mgmtctl/remote-options.h"

enum {
        PROGRAM_MAX = 256 * 1024 * 1024,        /* bytes of one of ours */
        ARGUMENTS_MAX = 24,
        PROGRAMS_MAX = 8,
        ID_SIZE = 10,                   /* digits of a hash that stand for a resource */
        PASSWORD_MAX = 4096,
};

typedef struct Remote {
        RemoteJob job;
        Program program;
        RemoteTargets targets;
        RemoteHost **hosts;     /* one for each target, NULL before it began and after it ended */
        size_t n_begun, n_settled, n_ended, n_well;
        char *programs[PROGRAMS_MAX + 1];       /* paths */
        size_t n_programs;
        StrBuf sums;            /* a line for each file of the build, as sha256sum reads it */
        char sums_sum[SHA256_TEXT_SIZE];
        char *words, *store, *password;         /* of the job, where they are ours */
        bool ready;             /* what all of them get is known */
        char *arguments[ARGUMENTS_MAX + 1];
        size_t n_arguments;
        sd_event_source *more;
        unsigned n_signals;
} Remote;

/* ---- hosts come and go ---- */

static void look(Remote *m) {
        if (m->n_ended == m->n_begun && (m->n_signals > 0 || m->n_begun == m->targets.n))
                (void) sd_event_exit(m->job.event, 0);
        else
                (void) sd_event_source_set_enabled(m->more, SD_EVENT_ONESHOT);
}

static int on_more(sd_event_source *source, void *userdata) {
        Remote *m = userdata;

        while (m->ready && m->n_signals == 0 && m->n_begun < m->targets.n && m->n_begun - m->n_settled < (size_t) arg_remote.parallel) {
                size_t i = m->n_begun++;
                int r = remote_host_new(&m->hosts[i], &m->job, &m->targets.items[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

static void on_settled(RemoteHost *h, void *userdata) {
        Remote *m = userdata;

        m->n_settled++;
        look(m);
}

static void on_ended(RemoteHost *h, bool well, void *userdata) {
        Remote *m = userdata;

        for (size_t i = 0; i < m->n_begun; i++)
                if (m->hosts[i] == h)
                        m->hosts[i] = remote_host_free(h);
        m->n_ended++;
        m->n_well += well;
        look(m);
}

static void on_libraries(void *userdata) {
        Remote *m = userdata;

        m->ready = true;
        look(m);
}

/* Asked twice, nobody waits any more. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Remote *m = userdata;

        m->n_signals++;
        for (size_t i = 0; i < m->n_begun; i++) {
                if (m->hosts[i] && m->n_signals == 1)
                        remote_host_stop(m->hosts[i]);
                else if (m->hosts[i])
                        remote_host_cut(m->hosts[i]);
        }
        look(m);
        return 0;
}

/* ---- what all of them get ---- */

static int add_to_archive(Remote *m, const char *member, const char *path, mode_t mode) {
        _cleanup_free_ char *content = NULL;
        size_t size;
        int r = read_file_at(AT_FDCWD, path, PROGRAM_MAX, &content, &size);

        if (r < 0) {
                output_error("cannot read '%s': %s", path, strerrordesc_np(-r));
                return r;
        }
        archive_add(&m->job.archive, member, mode, content, size);
        if (arg_remote.resource) {
                char sum[SHA256_TEXT_SIZE];

                sha256_text(content, size, sum);
                strbuf_printf(&m->sums, "%s  %s\n", sum, member);
        }
        return 0;
}

/* Takes path. */
static int add_program(Remote *m, const char *member, char *path) {
        if (!path)
                return -ENOMEM;
        m->programs[m->n_programs++] = path;
        return add_to_archive(m, member, path, 0700);
}

static int add_programs(Remote *m) {
        static const char *const daemons[] = { "augeas", "engine", "http", "lang", "remote", "virt", "world" };
        _cleanup_free_ char *kinds = path_data("kinds.json");
        int r = kinds ? add_program(m, "mgmtctl", path_ctl()) : -ENOMEM;

        _Static_assert(ELEMENTSOF(daemons) + 1 <= PROGRAMS_MAX, "and mgmtctl");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(daemons); i++) {
                char member[64];

                (void) snprintf(member, sizeof(member), "mgmt-%s", daemons[i]);
                r = add_program(m, member, path_daemon(daemons[i]));
        }
        return r < 0 ? r : add_to_archive(m, "kinds.json", kinds, 0600);
}

/* With it, whoever comes later need not send what is there already. */
static int add_sums(Remote *m) {
        if (m->sums.failed)
                return -ENOMEM;
        sha256_text(m->sums.data, m->sums.size, m->sums_sum);
        archive_add(&m->job.archive, "programs.sha256", 0600, m->sums.data, m->sums.size);
        m->job.sums = m->sums_sum;
        return 0;
}

/* Puts the files of the program into the archive, below program/. */
static int add_files(Remote *m, bool *ret_modules) {
        _cleanup_(value_done) Value bundle = {};
        _cleanup_(diag_done) Diag d = {};
        int r = bundle_unseal(m->program.fd, &bundle, &d);

        if (r < 0) {
                output_error("cannot pack the program: %s", d.message ?: strerrordesc_np(-r));
                return r;
        }
        *ret_modules = false;
        for (uint32_t i = 0; i < bundle.m->n; i++) {
                Value content = bundle.m->items[i].value;
                const char *path = value_cstr(bundle.m->items[i].key);
                _cleanup_free_ char *member = NULL;

                if (asprintf(&member, "program%s", path) < 0) {
                        member = NULL;
                        return -ENOMEM;
                }
                archive_add(&m->job.archive, member, 0600, value_cstr(content), content.s->size);
                *ret_modules = *ret_modules || startswith(path, "/modules/");
        }
        return 0;
}

static _printf_(2, 3) int add_argument(Remote *m, const char *format, ...) {
        va_list ap;

        if (m->n_arguments >= ARGUMENTS_MAX)
                return -E2BIG;
        va_start(ap, format);
        int r = vasprintf(&m->arguments[m->n_arguments], format, ap);
        va_end(ap);
        if (r < 0) {
                m->arguments[m->n_arguments] = NULL;
                return -ENOMEM;
        }
        m->n_arguments++;
        return 0;
}

static int make_arguments(Remote *m, bool modules) {
        bool agent = arg_remote.resource;
        int r = add_argument(m, "run");

        if (r >= 0)
                r = add_argument(m, agent ? "--deploys" : "./metadata.yaml");
        if (r >= 0 && m->job.mode != REMOTE_START)
                r = add_argument(m, "--json");
        if (r >= 0)
                r = add_argument(m, arg_remote.keep || m->job.mode == REMOTE_START ? "--prefix=prefix" : "--tmp-prefix");
        if (r >= 0 && modules && arg_remote.program.module_path)
                r = add_argument(m, "--module-path=modules");
        if (r >= 0 && arg_remote.converger_timeout >= 0)
                r = add_argument(m, "--converger-timeout=%lld", (long long) arg_remote.converger_timeout);
        if (r >= 0 && (arg_remote.converged_exit || (agent && arg_remote.converger_timeout >= 0)))
                r = add_argument(m, "--converged-exit");
        if (r >= 0 && arg_remote.max_runtime > 0)
                r = add_argument(m, "--max-runtime=%lld", (long long) arg_remote.max_runtime);
        if (r >= 0 && arg_remote.program.deploy.noop)
                r = add_argument(m, "--noop");
        if (r >= 0 && arg_remote.sema > 0)
                r = add_argument(m, "--sema=%lld", (long long) arg_remote.sema);
        if (r >= 0 && !arg_remote.program.deploy.autoedge)
                r = add_argument(m, "--no-autoedges");
        if (r >= 0 && !arg_remote.program.deploy.autogroup)
                r = add_argument(m, "--no-autogroup");
        m->job.arguments = m->arguments;
        return r;
}

/* Who it is, who we are, and whither it may get through us. */
static int prepare_access(Remote *m, const char *targets, Diag *reterr) {
        int r;

        m->job.store = getenv("MGMT_STORE");
        m->job.store_user = getenv("MGMT_STORE_USER");
        m->job.credentials = getenv("CREDENTIALS_DIRECTORY");
        m->job.ssh = (SshTarget) { .identity = arg_remote.identity, .known_hosts = arg_remote.known_hosts, .host_key = arg_remote.host_key,
                                   .no_keys = arg_remote.no_keys, .password = m->password };
        r = remote_targets_parse(&m->targets, targets, reterr);
        if (r >= 0)
                r = remote_endpoints_parse(&m->job.endpoints, m->job.store, reterr);
        if (r >= 0 && arg_remote.identity && access(arg_remote.identity, R_OK) < 0)
                r = diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", arg_remote.identity);
        if (r >= 0 && arg_remote.known_hosts && access(arg_remote.known_hosts, R_OK) < 0)
                r = diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", arg_remote.known_hosts);
        if (r < 0)
                return r;
        m->hosts = calloc(m->targets.n, sizeof(RemoteHost *));
        return m->hosts ? 0 : -ENOMEM;
}

/* input: NULL where what the cluster deploys is the program. */
static int prepare_program(Remote *m, const char *input) {
        bool modules = false;
        int r = 0;

        if (input && program_load(&m->program, input, &arg_remote.program) < 0)
                return -ECANCELED;
        if (add_programs(m) < 0)
                return -ECANCELED;
        r = input ? add_files(m, &modules) : add_sums(m);
        if (r >= 0)
                r = make_arguments(m, modules);
        return r < 0 ? r : m->job.archive.failed ? -ENOMEM : 0;
}

/* ---- for a resource ---- */

static int read_password(Remote *m) {
        char text[PASSWORD_MAX];
        size_t n = 0;
        ssize_t k;

        while (n < sizeof(text) && (k = read(STDIN_FILENO, text + n, sizeof(text) - n)) > 0)
                n += (size_t) k;
        m->password = n < sizeof(text) ? strndup(text, n) : NULL;
        explicit_bzero(text, sizeof(text));
        return m->password ? 0 : n < sizeof(text) ? -ENOMEM : -E2BIG;
}

/* The words of the script: MODE ID keep|remove no|deps. */
static int make_words(Remote *m, const char *mode) {
        _cleanup_(strbuf_done) StrBuf b = {};
        char id[SHA256_TEXT_SIZE];

        strbuf_puts(&b, "remote:");
        strbuf_puts(&b, arg_remote.resource);
        if (b.failed)
                return -ENOMEM;
        sha256_text(b.data, b.size, id);
        if (asprintf(&m->words, " mgmt %s %.*s %s %s", mode, ID_SIZE, id, arg_remote.keep ? "keep" : "remove",
                     arg_remote.deps ? "deps" : "no") < 0)
                m->words = NULL;
        m->job.words = m->words;
        return m->words ? 0 : -ENOMEM;
}

static int prepare_direct(Remote *m, Diag *reterr) {
        int r = arg_remote.direct ? remote_store_direct(m->job.store, &m->job.endpoints, &m->store) : 0;

        if (r == -ENOENT)
                return diag_set(reterr, (Pos) {}, r,
                                "another host cannot reach this cluster: all of '%s' are addresses that each host has itself", m->job.store);
        if (m->store)
                m->job.store = m->store;
        m->job.direct = arg_remote.direct;
        return r;
}

static int prepare_agent(Remote *m, const char *mode, const char *target, Diag *reterr) {
        static const struct {
                const char *name;
                RemoteMode mode;
        } modes[] = { { "run", REMOTE_RUN }, { "start", REMOTE_START }, { "look", REMOTE_LOOK }, { "stop", REMOTE_STOP } };
        int r = arg_remote.resource ? 0 : -EINVAL;

        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(mode, modes[i].name))
                        m->job.mode = modes[i].mode;
        if (r < 0 || m->job.mode == REMOTE_ONCE)
                return diag_set(reterr, (Pos) {}, -EINVAL, "there has to be a --resource, and to be run, started, looked for or stopped");
        if (arg_remote.password)
                r = read_password(m);
        if (r >= 0)
                r = prepare_access(m, target, reterr);
        if (r >= 0)
                r = make_words(m, mode);
        m->ready = m->job.mode == REMOTE_LOOK || m->job.mode == REMOTE_STOP;
        if (r < 0 || m->ready)
                return r;
        if (m->job.endpoints.n == 0)
                return diag_set(reterr, (Pos) {}, -ENOENT, "there is no cluster that it could be part of: MGMT_STORE names none");
        r = prepare_direct(m, reterr);
        return r < 0 ? r : prepare_program(m, NULL);
}

/* ---- life ---- */

static int start(Remote *m) {
        int r = sd_event_default(&m->job.event);

        if (r >= 0)
                r = signals_watch_end(m->job.event, on_signal, m);
        if (r >= 0)
                r = curl_loop_new(&m->job.loop, m->job.event);
        if (r >= 0)
                r = sd_event_add_defer(m->job.event, &m->more, on_more, m);
        if (r >= 0 && !m->ready)
                r = remote_libraries_new(&m->job.libraries, m->job.event, m->programs, on_libraries, m);
        return r;
}

static void remote_done(Remote *m) {
        for (size_t i = 0; i < m->n_begun; i++)
                remote_host_free(m->hosts[i]);
        free(m->hosts);
        sd_event_source_disable_unref(m->more);
        curl_loop_free(m->job.loop);
        remote_libraries_free(m->job.libraries);
        for (size_t i = 0; i < m->n_programs; i++)
                free(m->programs[i]);
        for (size_t i = 0; i < m->n_arguments; i++)
                free(m->arguments[i]);
        remote_endpoints_done(&m->job.endpoints);
        strbuf_done(&m->job.archive);
        strbuf_done(&m->sums);
        if (m->password)
                explicit_bzero(m->password, strlen(m->password));
        free(m->password);
        free(m->words);
        free(m->store);
        remote_targets_done(&m->targets);
        program_done(&m->program);
        sd_event_unref(m->job.event);
}

/* r: whether it could be prepared, and d why not. */
static int run_prepared(Remote *m, int r, const Diag *d) {
        if (r >= 0)
                r = start(m);
        if (r >= 0)
                r = sd_event_loop(m->job.event);
        if (r < 0) {
                if (d->message)
                        output_diag(d, NULL, 0);
                else if (r != -ECANCELED)
                        output_error("%s", strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        if (m->targets.n > 1)
                output_note("summary", "%zu hosts: %zu ended well, %zu did not, %zu were not begun", m->targets.n, m->n_well,
                            m->n_ended - m->n_well, m->targets.n - m->n_ended);
        return m->n_well == m->targets.n ? EXIT_SUCCESS : EXIT_ERROR;
}

static Remote remote_init(Remote *m) {
        (void) child_raise_files_limit();
        return (Remote) { .program.fd = -EBADF,
                          .job = { .words = "", .program = &m->program, .settled = on_settled, .ended = on_ended, .userdata = m } };
}

static int run_remote(char *arguments[], int n) {
        _cleanup_(remote_done) Remote m = remote_init(&m);
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (arg_remote.converged_exit && arg_remote.converger_timeout < 0) {
                output_error("--converged-exit needs --converger-timeout");
                return EXIT_ERROR;
        }
        r = prepare_access(&m, arguments[0], &d);
        if (r >= 0)
                r = prepare_program(&m, arguments[1]);
        return run_prepared(&m, r, &d);
}

static int run_agent(char *arguments[], int n) {
        _cleanup_(remote_done) Remote m = remote_init(&m);
        _cleanup_(diag_done) Diag d = {};

        return run_prepared(&m, prepare_agent(&m, arguments[0], arguments[1], &d), &d);
}

int main(int argc, char *argv[]) {
        Command remote = command_remote, agent = command_agent;

        remote.run = run_remote;        /* its own starts this program */
        agent.run = run_agent;
        return ctl_main((const Command *const[]) { &remote, &agent, NULL }, argc, argv);
}
