/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl run`: the whole system in the foreground, for one program. The supervisor keeps the daemons alive; mgmt-lang gets the
 * program as soon as it is on the bus, again whenever it comes back; the engine's events are printed. Everything ends through
 * run_end(), once, with the exit code of the first reason. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/sd/bus.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/program.h"
#include "daemons/mgmtctl/stream.h"
#include "daemons/mgmtctl/supervisor.h"

static ProgramOptions arg_program = { .sema = -1, .autoedge = true, .autogroup = true };
static const char *arg_prefix = NULL;
static bool arg_tmp_prefix = false;
static int64_t arg_converger_timeout = -1;
static bool arg_converged_exit = false;
static const char *arg_status_file = NULL;
static int64_t arg_max_runtime = 0;

static const Option run_options[] = {
        { "converger-timeout", OPTION_INT, &arg_converger_timeout, "S", "MGMT_CONVERGER_TIMEOUT", .min = -1, .max = INT32_MAX,
          .doc = "converged after S quiet seconds" },
        { "converged-exit", OPTION_FLAG, &arg_converged_exit, .doc = "end when converged" },
        { "converger-status-file", OPTION_STR, &arg_status_file, "FILE", .doc = "append a line true or false at each change" },
        { "max-runtime", OPTION_INT, &arg_max_runtime, "S", "MGMT_MAX_RUNTIME", .min = 0, .max = INT32_MAX,
          .doc = "end after S seconds, as an error" },
        { "noop", OPTION_FLAG, &arg_program.noop, .doc = "check everything, change nothing" },
        { "sema", OPTION_INT, &arg_program.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time" },
        { "no-autoedges", OPTION_CLEAR, &arg_program.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_program.autogroup, .doc = "no grouping" },
        { "prefix", OPTION_STR, &arg_prefix, "DIR", "MGMT_PREFIX", .doc = "where state is kept between runs" },
        { "tmp-prefix", OPTION_FLAG, &arg_tmp_prefix, .doc = "keep no state: a temporary directory" },
        { "hostname", OPTION_STR, &arg_program.hostname, "H", .doc = "the name of this host" },
        { "module-path", OPTION_STR, &arg_program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

typedef struct Run {
        sd_event *event;
        Program program;
        char *prefix;           /* absolute; NULL: temporary */
        int prefix_fd;          /* holds its lock */
        Supervisor *supervisor;
        sd_bus *bus;
        Stream *stream;
        char *lang;             /* the connection of the mgmt-lang that got the program; NULL: none yet */
        bool ending;
        int code;
        unsigned n_changed, n_failures;         /* for the line of progress */
} Run;

static void run_end(Run *run, int code) {
        if (run->ending) {
                if (run->supervisor)
                        supervisor_kill(run->supervisor);
                return;
        }
        run->ending = true;
        run->code = code;
        output_progress_clear();
        run->stream = stream_free(run->stream);         /* while its peer lives: without one, closing takes a while */
        if (run->supervisor)
                supervisor_stop(run->supervisor);
        else
                (void) sd_event_exit(run->event, 0);
}

/* ---- the prefix ---- */

static int prefix_path(char **ret) {
        const char *state = getenv("STATE_DIRECTORY"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
        int r;

        if (arg_prefix)
                r = arg_prefix[0] == '/' ? asprintf(ret, "%s", arg_prefix) : -1;
        else if (state && state[0] == '/')
                r = asprintf(ret, "%s", state);
        else if (geteuid() == 0)        /* beside the state of the installed daemons, which may be running */
                r = asprintf(ret, "/var/lib/mgmt/run");
        else if (cache && cache[0] == '/')
                r = asprintf(ret, "%s/mgmt", cache);
        else
                r = home && home[0] == '/' ? asprintf(ret, "%s/.cache/mgmt", home) : -1;
        if (r >= 0)
                return 0;

        _cleanup_free_ char *cwd = arg_prefix ? getcwd(NULL, 0) : NULL;
        if (!cwd || asprintf(ret, "%s/%s", cwd, arg_prefix) < 0) {
                *ret = NULL;
                return -ENOENT;
        }
        return 0;
}

/* Two runs in one prefix would fight over its databases. */
static int prefix_open(Run *run) {
        int r;

        if (arg_tmp_prefix && arg_prefix) {
                output_error("--prefix and --tmp-prefix exclude each other");
                return -EINVAL;
        }
        if (arg_tmp_prefix)
                return 0;       /* the supervisor has a place */
        r = prefix_path(&run->prefix);
        if (r < 0) {
                output_error("cannot find a place for the state, say one by --prefix: %s", strerrordesc_np(-r));
                return r;
        }
        r = make_directories(run->prefix, 0775);
        if (r >= 0) {
                run->prefix_fd = open(run->prefix, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
                r = run->prefix_fd < 0 || flock(run->prefix_fd, LOCK_EX|LOCK_NB) < 0 ? -errno : 0;
        }
        if (r == -EWOULDBLOCK)
                output_error("another run uses '%s', choose another place by --prefix or --tmp-prefix", run->prefix);
        else if (r < 0)
                output_error("cannot use '%s': %s", run->prefix, strerrordesc_np(-r));
        return r;
}

/* ---- the program on its way ---- */

static int on_accepted(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Run *run = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (run->ending)
                return 0;
        if (!e)
                return 0;
        /* It or the bus died while it had the call; the next gets another. */
        if (sd_bus_error_has_name(e, "org.mgmt.Error.ESTALE") || sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
            sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) || sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED))
                return 0;
        program_print_error(&run->program, e->message ?: e->name);
        run_end(run, EXIT_ERROR);
        return 0;
}

static void run_send_program(Run *run, const char *owner) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (run->ending || streq_ptr(run->lang, owner))
                return;
        free(run->lang);
        run->lang = strdup(owner);
        r = program_call(&run->program, run->bus, "Run", &m);

        if (r >= 0)
                r = sd_bus_call_async(run->bus, NULL, m, on_accepted, run, UINT64_MAX);
        if (r < 0) {
                output_error("cannot send the program to mgmt-lang: %s", strerrordesc_np(-r));
                run_end(run, EXIT_ERROR);
        }
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Run *run = userdata;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) >= 0 && *new_owner)
                run_send_program(run, new_owner);
        return 0;
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const char *owner;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "s", &owner) >= 0)
                run_send_program(userdata, owner);
        return 0;
}

/* The bus tells of names from now on; mgmt-lang may have been faster. */
static int on_match_installed(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Run *run = userdata;
        int r = sd_bus_message_get_errno(reply);

        r = r > 0 ? -r : sd_bus_call_method_async(run->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                  "GetNameOwner", on_owner, run, "s", "org.mgmt.lang1");
        if (r < 0 && !run->ending) {
                output_error("cannot look for mgmt-lang on the private bus: %s", strerrordesc_np(-r));
                run_end(run, EXIT_ERROR);
        }
        return 0;
}

static int run_connect_bus(Run *run);

/* The bus died, and with it what we said to it. The supervisor has another one on the same socket. */
static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Run *run = userdata;

        run->bus = sd_bus_close_unref(run->bus);
        free(TAKE_PTR(run->lang));
        if (!run->ending && run_connect_bus(run) < 0)
                run_end(run, EXIT_ERROR);
        return 0;
}

static int connect_bus(Run *run) {
        int r;

        r = bus_open(&run->bus, run->event, "mgmtctl");
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(run->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_bus_lost, NULL, run);
        if (r < 0)
                return r;
        return sd_bus_add_match_async(run->bus, NULL,
                                      "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                                      "member='NameOwnerChanged',arg0='org.mgmt.lang1'",
                                      on_owner_changed, on_match_installed, run);
}

static int run_connect_bus(Run *run) {
        int r = connect_bus(run);

        if (r < 0)
                output_error("cannot connect to the private bus: %s", strerrordesc_np(-r));
        return r;
}

/* ---- what happens ---- */

static void show_progress(Run *run) {
        output_progress("converging: %u changed, %u failures", run->n_changed, run->n_failures);
}

static void on_event(Stream *s, const Message *m, void *userdata) {
        Run *run = userdata;
        const char *type = m->event.type ?: "", *state = m->event.state ?: "";
        bool converged = streq(type, "converged") && streq(state, "true");

        if (run->ending || (streq(type, "graph") && m->event.priority <= LOG_ERR))
                return;         /* a rejected graph is the answer to Run as well, see on_accepted() */
        run->n_changed += streq(type, "changed");
        run->n_failures += streq(type, "state") && streq(state, "failed");
        if (converged)
                output_progress_clear();
        output_event(m);
        if (output_is_broken()) {
                run_end(run, EXIT_ERROR);
                return;
        }
        if (streq(type, "exit")) {
                run_end(run, (int) strtol(state, NULL, 10) & 0xff);
                return;
        }
        if (converged && arg_converged_exit)
                run_end(run, EXIT_SUCCESS);
        else if (!converged)
                show_progress(run);
}

static void on_refused(Stream *s, const char *text, void *userdata) {
        output_error("mgmt-engine: %s", text);
        run_end(userdata, EXIT_ERROR);
}

static const StreamOps stream_ops = { .event = on_event, .refused = on_refused };

static void on_died(Supervisor *s, const char *service, const char *how, void *userdata) {
        output_note("died", "%s%s %s, starting it again", streq(service, "bus") ? "the " : "mgmt-", service, how);
}

static void on_failed(Supervisor *s, const char *service, const char *how, void *userdata) {
        output_error("%s%s cannot be kept running: %s", streq(service, "bus") ? "the " : "mgmt-", service, how);
        run_end(userdata, EXIT_ERROR);
}

static void on_stopped(Supervisor *s, void *userdata) {
        Run *run = userdata;

        (void) sd_event_exit(run->event, 0);
}

static const SupervisorOps supervisor_ops = { .died = on_died, .failed = on_failed, .stopped = on_stopped };

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        run_end(userdata, EXIT_SUCCESS);
        return 0;
}

static int on_max_runtime(sd_event_source *source, uint64_t usec, void *userdata) {
        output_error("still running after %lld seconds (--max-runtime)", (long long) arg_max_runtime);
        run_end(userdata, EXIT_ERROR);
        return 0;
}

/* ---- life ---- */

static int run_add_sources(Run *run) {
        static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
        sigset_t set;
        int r;

        sigemptyset(&set);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaddset(&set, signals[i]);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
                r = sd_event_add_signal(run->event, NULL, signals[i], on_signal, run);
                if (r < 0)
                        return r;
        }
        if (arg_max_runtime == 0)
                return 0;
        return sd_event_add_time_relative(run->event, NULL, CLOCK_MONOTONIC, (uint64_t) arg_max_runtime * 1000000, 1000,
                                          on_max_runtime, run);
}

static int run_add_arguments(Run *run) {
        _cleanup_free_ char *cwd = getcwd(NULL, 0);
        int r = 0;

        if (!cwd)
                return -errno;
        if (arg_converger_timeout >= 0)
                r = supervisor_add_argument(run->supervisor, "engine", "--converger-timeout=%lld", (long long) arg_converger_timeout);
        if (r >= 0 && arg_status_file)
                r = supervisor_add_argument(run->supervisor, "engine", "--converger-status-file=%s%s%s",
                                            arg_status_file[0] == '/' ? "" : cwd, arg_status_file[0] == '/' ? "" : "/", arg_status_file);
        if (r >= 0 && arg_program.noop)
                r = supervisor_add_argument(run->supervisor, "engine", "--noop");
        if (r >= 0 && arg_program.sema > 0)
                r = supervisor_add_argument(run->supervisor, "engine", "--sema=%lld", (long long) arg_program.sema);
        if (r >= 0)
                r = supervisor_add_argument(run->supervisor, "lang", "--no-deploys");
        for (size_t i = 0; r >= 0 && arg_program.hostname && i < 2; i++)
                r = supervisor_add_argument(run->supervisor, i == 0 ? "engine" : "lang", "--hostname=%s", arg_program.hostname);
        return r;
}

/* Everything starts at the same time and finds each other. */
static int run_start(Run *run, Diag *reterr) {
        _cleanup_free_ char *socket = NULL;
        int r;

        r = sd_event_default(&run->event);
        if (r < 0)
                return r;
        r = run_add_sources(run);
        if (r < 0)
                return r;
        r = supervisor_new(&run->supervisor, run->event, run->prefix, &supervisor_ops, run, reterr);
        if (r < 0)
                return r;
        r = run_add_arguments(run);
        if (r < 0)
                return r;
        if (setenv("MGMT_BUS_ADDRESS", supervisor_bus_address(run->supervisor), 1) < 0)
                return -errno;
        r = connect_bus(run);
        if (r < 0)
                return r;
        r = supervisor_start(run->supervisor, "engine", reterr);
        if (r < 0)
                return r;
        r = supervisor_start(run->supervisor, "lang", reterr);
        if (r < 0)
                return r;
        if (asprintf(&socket, "%s/engine.sock", supervisor_directory(run->supervisor)) < 0)
                return -ENOMEM;
        r = stream_new(&run->stream, run->event, socket, NULL, &stream_ops, run);
        if (r < 0)
                return r;
        output_note("started", "bus: %s", supervisor_bus_address(run->supervisor));
        return 0;
}

static void run_done(Run *run) {
        output_progress_clear();
        stream_free(run->stream);
        sd_bus_close_unref(run->bus);
        supervisor_free(run->supervisor);
        program_done(&run->program);
        closep(&run->prefix_fd);
        free(run->lang);
        free(run->prefix);
        sd_event_unref(run->event);
}

static bool hostname_is_valid(const char *name) {
        bool alphanumeric = false;

        for (const char *c = name; *c; c++) {
                bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');

                if (!letter && *c != '.' && *c != '-' && *c != '_')
                        return false;
                alphanumeric = alphanumeric || letter;
        }
        return alphanumeric && name[0] != '.' && name[0] != '-' && strlen(name) <= 253;
}

static int run_run(char *arguments[], int n) {
        _cleanup_(run_done) Run run = { .prefix_fd = -EBADF, .program.fd = -EBADF };
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (arg_program.hostname && !hostname_is_valid(arg_program.hostname)) {
                output_error("'%s' cannot be the name of a host", arg_program.hostname);
                return EXIT_ERROR;
        }
        if (arg_converged_exit && arg_converger_timeout < 0) {
                output_error("--converged-exit needs --converger-timeout");
                return EXIT_ERROR;
        }
        if (program_load(&run.program, arguments[0], &arg_program) < 0 || prefix_open(&run) < 0)
                return EXIT_ERROR;
        r = run_start(&run, &d);
        if (r >= 0)
                r = sd_event_loop(run.event);
        if (r < 0) {
                output_error("%s", d.message ?: strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        return run.code;
}

const Command command_run = {
        .name = "run",
        .arguments = "INPUT",
        .doc = "Run a program in the foreground, until Ctrl-C",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' (standard input) or mcl code. Needs neither root nor an\n"
                "installed mgmt; nothing is left behind but what the program asks for.\n\n"
                "Exit codes: 0 it ended well, 1 an error (also --max-runtime), N if an exit resource asked for N.\n",
        .options = run_options,
        .min_arguments = 1,
        .max_arguments = 1,
        .run = run_run,
};
