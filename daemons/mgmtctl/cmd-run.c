/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl run`: a program in the foreground, until Ctrl-C. Whatever the engine tells is printed. */

#include <stdio.h>

#include "common/macro.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/foreground.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/prefix.h"
#include "daemons/mgmtctl/program.h"

static ProgramOptions arg_program = { .sema = -1, .deploy = { .autoedge = true, .autogroup = true }, .unchecked = true };
static const char *arg_prefix = NULL;
static bool arg_tmp_prefix = false;
static int64_t arg_converger_timeout = -1;
static bool arg_converged_exit = false;
static const char *arg_status_file = NULL;
static bool arg_deploys = false;
static int64_t arg_max_runtime = 0;

static const Option run_options[] = {
        { "converger-timeout", OPTION_INT, &arg_converger_timeout, "S", "MGMT_CONVERGER_TIMEOUT", .min = -1, .max = INT32_MAX,
          .doc = "converged after S quiet seconds" },
        { "converged-exit", OPTION_FLAG, &arg_converged_exit, .doc = "end when converged" },
        { "converger-status-file", OPTION_STR, &arg_status_file, "FILE", .doc = "append a line true or false at each change" },
        { "max-runtime", OPTION_INT, &arg_max_runtime, "S", "MGMT_MAX_RUNTIME", .min = 0, .max = INT32_MAX,
          .doc = "end after S seconds, as an error" },
        { "noop", OPTION_FLAG, &arg_program.deploy.noop, .doc = "check everything, change nothing" },
        { "sema", OPTION_INT, &arg_program.sema, "N", .min = -1, .max = UINT32_MAX, .doc = "at most N resources at a time" },
        { "no-autoedges", OPTION_CLEAR, &arg_program.deploy.autoedge, .doc = "no edges but those that the program says" },
        { "no-autogroup", OPTION_CLEAR, &arg_program.deploy.autogroup, .doc = "no grouping" },
        { "prefix", OPTION_STR, &arg_prefix, "DIR", "MGMT_PREFIX", .doc = "where state is kept between runs" },
        { "tmp-prefix", OPTION_FLAG, &arg_tmp_prefix, .doc = "keep no state: a temporary directory" },
        { "deploys", OPTION_FLAG, &arg_deploys, .doc = "run what is deployed, in place of INPUT" },
        { "hostname", OPTION_STR, &arg_program.hostname, "H", .doc = "the name of this host" },
        { "module-path", OPTION_STR, &arg_program.module_path, "DIR", "MGMT_MODULE_PATH", .doc = "where imported modules are looked for" },
        { "download", OPTION_FLAG, &arg_program.download, .doc = "fetch imported modules that are not there, by git" },
        { "update", OPTION_FLAG, &arg_program.update, .doc = "with --download: bring those that are there up to date" },
        {}
};

typedef struct Counts {
        unsigned n_changed, n_failures;         /* for the line of progress */
} Counts;

/* What failed says where in the program; for people, that is a file of theirs. */
static void print_event(Foreground *f, const Message *m) {
        bool has_place = !arg_json && !arg_deploys && m->event.text && streq_ptr(m->event.type, "state");
        _cleanup_free_ char *shown = has_place ? program_place(foreground_program(f), m->event.text) : NULL;
        Message copy = *m;

        if (shown)
                copy.event.text = shown;
        output_event(&copy);
}

static void on_event(Foreground *f, const Message *m, void *userdata) {
        Counts *counts = userdata;
        const char *type = m->event.type ?: "", *state = m->event.state ?: "";
        bool converged = streq(type, "converged") && streq(state, "true");

        counts->n_changed += streq(type, "changed");
        counts->n_failures += streq(type, "state") && streq(state, "failed");
        if (converged)
                output_progress_clear();
        print_event(f, m);
        if (output_is_broken())
                foreground_end(f, EXIT_ERROR);
        else if (streq(type, "exit"))
                foreground_end(f, (int) strtol(state, NULL, 10) & 0xff);
        else if (converged && arg_converged_exit)
                foreground_end(f, EXIT_SUCCESS);
        else if (!converged)
                output_progress("converging: %u changed, %u failures", counts->n_changed, counts->n_failures);
}

static int run_run(char *arguments[], int n) {
        _cleanup_free_ char *prefix = NULL;
        _cleanup_close_ int prefix_fd = -EBADF;
        Counts counts = {};
        int r;

        if (arg_converged_exit && arg_converger_timeout < 0) {
                output_error("--converged-exit needs --converger-timeout");
                return EXIT_ERROR;
        }
        if (arg_deploys == (n == 1)) {
                output_error(arg_deploys ? "--deploys takes no INPUT" : "there is no INPUT");
                return EXIT_ERROR;
        }
        if (arg_tmp_prefix && arg_prefix) {
                output_error("--prefix and --tmp-prefix exclude each other");
                return EXIT_ERROR;
        }
        if (!arg_tmp_prefix) {
                r = prefix_path(arg_prefix, &prefix);
                if (r < 0) {
                        output_error("cannot find a place for the state, say one by --prefix: %s", strerrordesc_np(-r));
                        return EXIT_ERROR;
                }
                prefix_fd = prefix_open(prefix);
                if (prefix_fd < 0)
                        return EXIT_ERROR;
        }

        return foreground_run(&(ForegroundSpec) {
                        .input = arg_deploys ? NULL : arguments[0],
                        .program = &arg_program,
                        .prefix = prefix,
                        .converger_timeout = arg_converger_timeout,
                        .status_file = arg_status_file,
                        .max_runtime = arg_max_runtime,
                        .event = on_event,
                        .userdata = &counts,
                });
}

const Command command_run = {
        .name = "run",
        .arguments = "INPUT | --deploys",
        .doc = "Run a program in the foreground, until Ctrl-C",
        .help = "INPUT is a .mcl file, a directory, metadata.yaml, '-' (standard input) or mcl code. Needs neither root nor an\n"
                "installed mgmt; nothing is left behind but what the program asks for. With --deploys there is none: what the cluster\n"
                "of $MGMT_STORE deploys is run, as an installed mgmt does.\n\n"
                "Exit codes: 0 it ended well, 1 an error (also --max-runtime), N if an exit resource asked for N.\n",
        .options = run_options,
        .min_arguments = 0,
        .max_arguments = 1,
        .run = run_run,
};
