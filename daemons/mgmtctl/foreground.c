/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Everything starts at the same time and finds each other. Everything ends through foreground_end(), once. */

#include <stdio.h>
#include <syslog.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/sd/bus.h"
#include "common/sd/signals.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/foreground.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/stream.h"
#include "daemons/mgmtctl/supervisor.h"

struct Foreground {
        const ForegroundSpec *spec;
        sd_event *event;
        Program program;
        Supervisor *supervisor;
        sd_bus *bus;
        Stream *stream;
        char *program_error;    /* the last one that was told, NULL if the program has a graph */
        char *lang;             /* the connection of the mgmt-lang that got the program; NULL: none yet */
        bool told_started;
        bool ending;
        int code;
};

void foreground_end(Foreground *f, int code) {
        if (f->ending) {
                if (f->supervisor)
                        supervisor_kill(f->supervisor);
                return;
        }
        f->ending = true;
        f->code = code;
        output_progress_clear();
        f->stream = stream_free(f->stream);     /* while its peer lives: without one, closing takes a while */
        if (f->supervisor)
                supervisor_stop(f->supervisor);
        else
                (void) sd_event_exit(f->event, 0);
}

const Program *foreground_program(const Foreground *f) {
        return &f->program;
}

sd_bus *foreground_bus(const Foreground *f) {
        return f->bus;
}

/* ---- the program on its way ---- */

/* Not of a program that does not compile: of that only its errors are told. */
static void tell_started(Foreground *f) {
        if (f->told_started || f->spec->quiet)
                return;
        f->told_started = true;
        output_note("started", "bus: %s", supervisor_bus_address(f->supervisor));
}

static int on_accepted(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Foreground *f = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);

        if (f->ending || !e)
                return 0;
        /* It or the bus died while it had the call; the next gets another. */
        if (sd_bus_error_has_name(e, "org.mgmt.Error.ESTALE") || sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY) ||
            sd_bus_error_has_name(e, SD_BUS_ERROR_SERVICE_UNKNOWN) || sd_bus_error_has_name(e, SD_BUS_ERROR_DISCONNECTED))
                return 0;
        program_explain(&f->program, e->message ?: e->name);
        foreground_end(f, EXIT_ERROR);
        return 0;
}

/* It answers in the order in which it was asked: a program that does not compile was refused before. */
static int on_compiled(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Foreground *f = userdata;

        if (!f->ending && !sd_bus_message_is_method_error(reply, NULL))
                tell_started(f);
        return 0;
}

static void send_program(Foreground *f, const char *owner) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (f->ending || streq_ptr(f->lang, owner))
                return;
        if (!f->spec->input) {          /* it gets its program of mgmt-world */
                tell_started(f);
                return;
        }
        free(f->lang);
        f->lang = strdup(owner);
        r = program_call(&f->program, f->bus, "Run", &m);

        if (r >= 0)
                r = sd_bus_call_async(f->bus, NULL, m, on_accepted, f, UINT64_MAX);
        if (r >= 0)
                r = sd_bus_call_method_async(f->bus, NULL, owner, "/", "org.freedesktop.DBus.Peer", "Ping", on_compiled, f, NULL);
        if (r < 0) {
                output_error("cannot send the program to mgmt-lang: %s", strerrordesc_np(-r));
                foreground_end(f, EXIT_ERROR);
        }
}

/* Why the program in force gives no graph, each reason once. */
static void tell_program_error(Foreground *f, const char *text) {
        if (*text && !f->ending && !streq_ptr(f->program_error, text)) {
                if (f->spec->input)
                        program_print_error(&f->program, text);
                else
                        output_error("%s", text);
        }
        free(f->program_error);
        f->program_error = *text ? strdup(text) : NULL;
}

/* Of mgmt-lang: interface, what has changed, what has only become stale. */
static int on_lang_properties(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        const char *key, *text;
        int r;

        r = sd_bus_message_skip(m, "s");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0 && streq(key, "ProgramError")) {
                        r = sd_bus_message_read(m, "v", "s", &text);
                        if (r >= 0)
                                tell_program_error(userdata, text);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Foreground *f = userdata;
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) >= 0 && *new_owner)
                send_program(f, new_owner);
        return 0;
}

static int on_owner(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        const char *owner;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "s", &owner) >= 0)
                send_program(userdata, owner);
        return 0;
}

/* The bus tells of names from now on; mgmt-lang may have been faster. */
static int on_match_installed(sd_bus_message *reply, void *userdata, sd_bus_error *reterr) {
        Foreground *f = userdata;
        int r = sd_bus_message_get_errno(reply);

        r = r > 0 ? -r : sd_bus_call_method_async(f->bus, NULL, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                                  "GetNameOwner", on_owner, f, "s", "org.mgmt.lang1");
        if (r < 0 && !f->ending) {
                output_error("cannot look for mgmt-lang on the private bus: %s", strerrordesc_np(-r));
                foreground_end(f, EXIT_ERROR);
        }
        return 0;
}

static int connect_again(Foreground *f);

/* The bus died, and with it what we said to it. The supervisor has another one on the same socket. */
static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *reterr) {
        Foreground *f = userdata;

        f->bus = sd_bus_close_unref(f->bus);
        free(TAKE_PTR(f->lang));
        if (!f->ending && connect_again(f) < 0)
                foreground_end(f, EXIT_ERROR);
        return 0;
}

static int connect_bus(Foreground *f) {
        int r;

        r = bus_open(&f->bus, f->event, "mgmtctl");
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(f->bus, NULL, NULL, "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local",
                                      "Disconnected", on_bus_lost, NULL, f);
        if (r < 0)
                return r;
        r = sd_bus_match_signal_async(f->bus, NULL, "org.mgmt.lang1", "/org/mgmt/lang1", "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged", on_lang_properties, NULL, f);
        if (r < 0)
                return r;
        return sd_bus_add_match_async(f->bus, NULL,
                                      "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                                      "member='NameOwnerChanged',arg0='org.mgmt.lang1'",
                                      on_owner_changed, on_match_installed, f);
}

static int connect_again(Foreground *f) {
        int r = connect_bus(f);

        if (r < 0)
                output_error("cannot connect to the private bus: %s", strerrordesc_np(-r));
        return r;
}

/* ---- what happens ---- */

static void on_event(Stream *s, const Message *m, void *userdata) {
        Foreground *f = userdata;

        if (f->ending || (streq_ptr(m->event.type, "graph") && m->event.priority <= LOG_ERR))
                return;         /* a rejected graph is the answer to Run as well, see on_accepted() */
        tell_started(f);
        f->spec->event(f, m, f->spec->userdata);
}

static void on_refused(Stream *s, const char *text, void *userdata) {
        output_error("mgmt-engine: %s", text);
        foreground_end(userdata, EXIT_ERROR);
}

static const StreamOps stream_ops = { .event = on_event, .refused = on_refused };

static void on_died(Supervisor *s, const char *service, const char *how, void *userdata) {
        const Foreground *f = userdata;

        if (!f->spec->quiet)
                output_note("died", "%s%s %s, starting it again", streq(service, "bus") ? "the " : "mgmt-", service, how);
}

static void on_failed(Supervisor *s, const char *service, const char *how, void *userdata) {
        output_error("%s%s cannot be kept running: %s", streq(service, "bus") ? "the " : "mgmt-", service, how);
        foreground_end(userdata, EXIT_ERROR);
}

static void on_stopped(Supervisor *s, void *userdata) {
        Foreground *f = userdata;

        (void) sd_event_exit(f->event, 0);
}

static const SupervisorOps supervisor_ops = { .died = on_died, .failed = on_failed, .stopped = on_stopped };

/* To be interrupted is the good end of what goes on for ever, and of nothing else. */
static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Foreground *f = userdata;

        foreground_end(f, f->spec->plan ? EXIT_ERROR : EXIT_SUCCESS);
        return 0;
}

static int on_max_runtime(sd_event_source *source, uint64_t usec, void *userdata) {
        Foreground *f = userdata;

        output_error("still running after %lld seconds (--max-runtime)", (long long) f->spec->max_runtime);
        foreground_end(f, EXIT_ERROR);
        return 0;
}

static int on_reader_gone(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        foreground_end(userdata, EXIT_ERROR);
        return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* ---- life ---- */

/* Nobody reads what is printed any more: that shows at once, and not with the next line, which may never come. Files have no readers. */
static int watch_reader(Foreground *f) {
        int r = sd_event_add_io(f->event, NULL, STDOUT_FILENO, 0, on_reader_gone, f);

        return r == -EPERM || r == -EBADF ? 0 : r;
}

static int add_sources(Foreground *f) {
        int r = signals_watch_end(f->event, on_signal, f);

        if (r >= 0)
                r = watch_reader(f);
        if (r < 0 || f->spec->max_runtime == 0)
                return r;
        return sd_event_add_time_relative(f->event, NULL, CLOCK_MONOTONIC, (uint64_t) f->spec->max_runtime * 1000000, 1000,
                                          on_max_runtime, f);
}

static int add_engine_arguments(Foreground *f) {
        const ForegroundSpec *spec = f->spec;
        const char *status = spec->status_file;
        _cleanup_free_ char *cwd = getcwd(NULL, 0);
        int r = 0;

        if (!cwd)
                return -errno;
        if (spec->converger_timeout >= 0)
                r = supervisor_add_argument(f->supervisor, "engine", "--converger-timeout=%lld", (long long) spec->converger_timeout);
        if (r >= 0 && status)
                r = supervisor_add_argument(f->supervisor, "engine", "--converger-status-file=%s%s%s", status[0] == '/' ? "" : cwd,
                                            status[0] == '/' ? "" : "/", status);
        if (r >= 0 && spec->program->deploy.noop)
                r = supervisor_add_argument(f->supervisor, "engine", "--noop");
        if (r >= 0 && spec->program->sema > 0)
                r = supervisor_add_argument(f->supervisor, "engine", "--sema=%lld", (long long) spec->program->sema);
        if (r >= 0 && spec->plan)
                r = supervisor_add_argument(f->supervisor, "engine", "--plan");
        if (r >= 0 && spec->state_of)
                r = supervisor_add_argument(f->supervisor, "engine", "--state-of=%s/engine", spec->state_of);
        return r;
}

static int add_arguments(Foreground *f) {
        int r = add_engine_arguments(f);

        if (r >= 0 && f->spec->converger_timeout >= 0)
                r = supervisor_add_argument(f->supervisor, "world", "--converger-timeout=%lld", (long long) f->spec->converger_timeout);
        if (r >= 0 && f->spec->state_of)
                r = supervisor_add_argument(f->supervisor, "world", "--copy-of=%s/world", f->spec->state_of);
        if (r >= 0 && f->spec->input)
                r = supervisor_add_argument(f->supervisor, "lang", "--no-deploys");
        for (size_t i = 0; r >= 0 && f->spec->program->hostname && i < 2; i++)
                r = supervisor_add_argument(f->supervisor, i == 0 ? "engine" : "lang", "--hostname=%s", f->spec->program->hostname);
        return r;
}

static int start(Foreground *f, Diag *reterr) {
        _cleanup_free_ char *socket = NULL;
        int r;

        r = sd_event_default(&f->event);
        if (r < 0)
                return r;
        r = add_sources(f);
        if (r < 0)
                return r;
        r = supervisor_new(&f->supervisor, f->event, f->spec->prefix, &supervisor_ops, f, reterr);
        if (r < 0)
                return r;
        r = add_arguments(f);
        if (r < 0)
                return r;
        if (setenv("MGMT_BUS_ADDRESS", supervisor_bus_address(f->supervisor), 1) < 0)
                return -errno;
        r = connect_bus(f);
        if (r < 0)
                return r;
        r = supervisor_start(f->supervisor, "engine", reterr);
        if (r < 0)
                return r;
        r = supervisor_start(f->supervisor, "lang", reterr);
        if (r < 0)
                return r;
        if (asprintf(&socket, "%s/engine.sock", supervisor_directory(f->supervisor)) < 0)
                return -ENOMEM;
        return stream_new(&f->stream, f->event, socket, NULL, &stream_ops, f);
}

static void foreground_done(Foreground *f) {
        output_progress_clear();
        stream_free(f->stream);
        sd_bus_close_unref(f->bus);
        supervisor_free(f->supervisor);
        program_done(&f->program);
        free(f->lang);
        free(f->program_error);
        sd_event_unref(f->event);
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

int foreground_run(const ForegroundSpec *spec) {
        _cleanup_(foreground_done) Foreground f = { .spec = spec, .program.fd = -EBADF };
        _cleanup_(diag_done) Diag d = {};
        int r;

        if (spec->program->hostname && !hostname_is_valid(spec->program->hostname)) {
                output_error("'%s' cannot be the name of a host", spec->program->hostname);
                return EXIT_ERROR;
        }
        if (spec->input && program_load(&f.program, spec->input, spec->program) < 0)
                return EXIT_ERROR;
        r = start(&f, &d);
        if (r >= 0)
                r = sd_event_loop(f.event);
        if (r < 0) {
                output_error("%s", d.message ?: strerrordesc_np(-r));
                return EXIT_ERROR;
        }
        return f.code;
}
