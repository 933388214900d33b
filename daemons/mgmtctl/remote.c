/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-ssh: `mgmtctl remote`, a program on other hosts, over SSH, for as long as this command runs. mgmtctl starts it in its own place,
 * with its own words. */

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
};

typedef struct Remote {
        RemoteJob job;
        Program program;
        RemoteTargets targets;
        RemoteHost **hosts;     /* one for each target, NULL before it began and after it ended */
        size_t n_begun, n_settled, n_ended, n_well;
        char *programs[PROGRAMS_MAX + 1];       /* paths */
        size_t n_programs;
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
        int r = add_argument(m, "run");

        if (r >= 0)
                r = add_argument(m, "./metadata.yaml");
        if (r >= 0)
                r = add_argument(m, "--json");
        if (r >= 0)
                r = add_argument(m, "--tmp-prefix");
        if (r >= 0 && modules && arg_remote.program.module_path)
                r = add_argument(m, "--module-path=modules");
        if (r >= 0 && arg_remote.converger_timeout >= 0)
                r = add_argument(m, "--converger-timeout=%lld", (long long) arg_remote.converger_timeout);
        if (r >= 0 && arg_remote.converged_exit)
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

static int prepare(Remote *m, char *arguments[], Diag *reterr) {
        bool modules = false;
        int r;

        m->job.program = &m->program;
        m->job.store = getenv("MGMT_STORE");
        m->job.store_user = getenv("MGMT_STORE_USER");
        m->job.credentials = getenv("CREDENTIALS_DIRECTORY");
        m->job.identity = arg_remote.identity;
        m->job.known_hosts = arg_remote.known_hosts;
        r = remote_targets_parse(&m->targets, arguments[0], reterr);
        if (r >= 0)
                r = remote_endpoints_parse(&m->job.endpoints, m->job.store, reterr);
        if (r >= 0 && arg_remote.identity && access(arg_remote.identity, R_OK) < 0)
                r = diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", arg_remote.identity);
        if (r >= 0 && arg_remote.known_hosts && access(arg_remote.known_hosts, R_OK) < 0)
                r = diag_set(reterr, (Pos) {}, -errno, "cannot read '%s': %m", arg_remote.known_hosts);
        if (r < 0)
                return r;
        m->hosts = calloc(m->targets.n, sizeof(RemoteHost *));
        if (!m->hosts)
                return -ENOMEM;
        if (program_load(&m->program, arguments[1], &arg_remote.program) < 0)
                return -ECANCELED;
        if (add_programs(m) < 0)
                return -ECANCELED;
        r = add_files(m, &modules);
        if (r >= 0)
                r = make_arguments(m, modules);
        return r < 0 ? r : m->job.archive.failed ? -ENOMEM : 0;
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
        if (r >= 0)
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
        remote_targets_done(&m->targets);
        program_done(&m->program);
        sd_event_unref(m->job.event);
}

static int run_remote(char *arguments[], int n) {
        _cleanup_(remote_done) Remote m = { .program.fd = -EBADF };
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (arg_remote.converged_exit && arg_remote.converger_timeout < 0) {
                output_error("--converged-exit needs --converger-timeout");
                return EXIT_ERROR;
        }
        m.job.settled = on_settled;
        m.job.ended = on_ended;
        m.job.userdata = &m;
        (void) child_raise_files_limit();
        r = prepare(&m, arguments, &d);
        if (r >= 0)
                r = start(&m);
        if (r >= 0)
                r = sd_event_loop(m.job.event);
        if (r < 0) {
                if (d.message)
                        output_diag(&d, NULL, 0);
                else if (r != -ECANCELED)
                        output_error("%s", strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        if (m.targets.n > 1)
                output_note("summary", "%zu hosts: %zu ended well, %zu did not, %zu were not begun", m.targets.n, m.n_well,
                            m.n_ended - m.n_well, m.targets.n - m.n_ended);
        return m.n_well == m.targets.n ? EXIT_SUCCESS : EXIT_ERROR;
}

int main(int argc, char *argv[]) {
        Command remote = command_remote;

        remote.run = run_remote;        /* its own starts this program */
        return ctl_main((const Command *const[]) { &remote, NULL }, argc, argv);
}
