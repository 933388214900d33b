/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-engine: orders, checks and applies resources. */

#include <getopt.h>
#include <limits.h>

#include "common/paths.h"
#include "common/sd/daemon.h"
#include "common/sd/log.h"
#include "daemons/engine/engine-manager.h"
#include "daemons/engine/graph-link.h"
#include "daemons/engine/kinds.h"

enum {
        ARG_CONVERGER_TIMEOUT = 256,
        ARG_CONVERGER_STATUS_FILE,
        ARG_HOSTNAME,
        ARG_NOOP,
        ARG_PLAN,
        ARG_STATE_OF,
        ARG_SEMA,
};

static const struct option options[] = {
        { "converger-timeout", required_argument, NULL, ARG_CONVERGER_TIMEOUT },
        { "converger-status-file", required_argument, NULL, ARG_CONVERGER_STATUS_FILE },
        { "hostname", required_argument, NULL, ARG_HOSTNAME },
        { "noop", no_argument, NULL, ARG_NOOP },
        { "plan", no_argument, NULL, ARG_PLAN },
        { "sema", required_argument, NULL, ARG_SEMA },
        { "state-of", required_argument, NULL, ARG_STATE_OF },
        {}
};

static EngineOptions arg_options = { .converger_timeout = -1 };

static int parse_int(const char *text, long min, long max, long *ret) {
        char *end;

        errno = 0;
        long n = strtol(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || n < min || n > max)
                return log_error(-EINVAL, "'%s' is not a number from %ld to %ld", text, min, max);
        *ret = n;
        return 0;
}

static int engine_option(Daemon *d, int value, const char *argument) {
        long n = 0;
        int r;

        switch (value) {
        case ARG_CONVERGER_TIMEOUT:
                r = parse_int(argument, -1, INT_MAX / 2, &n);
                if (r >= 0)
                        arg_options.converger_timeout = (int) n;
                return r;
        case ARG_CONVERGER_STATUS_FILE:
                arg_options.status_file = argument;
                return 0;
        case ARG_HOSTNAME:
                arg_options.hostname = argument;
                return *argument ? 0 : -EINVAL;
        case ARG_NOOP:
                arg_options.noop = true;
                return 0;
        case ARG_PLAN:
                arg_options.noop = arg_options.plan = true;
                return 0;
        case ARG_STATE_OF:
                arg_options.state_of = argument;
                return 0;
        case ARG_SEMA:
                r = parse_int(argument, -1, INT_MAX, &n);
                if (r >= 0)
                        arg_options.sema = n > 0 ? (uint32_t) n : 0;
                return r;
        default:
                return -EINVAL;
        }
}

static int engine_start(Daemon *d) {
        _cleanup_free_ char *kinds_path = path_data("kinds.json");
        Manager *m;
        int r;

        if (!kinds_path)
                return -ENOMEM;
        r = manager_new(&m, d->event, engine_kinds, d->state_dir, kinds_path, &arg_options);
        if (r < 0)
                return r;
        d->manager = m;
        m->daemon = d;
        r = manager_export(m);
        if (r < 0)
                return -ECANCELED;
        if (d->listen_fd < 0)
                return log_error(-ECANCELED, "no socket was handed over: this program is started by its socket unit or by mgmtctl run");
        r = graph_link_new(&m->link, m, TAKE_FD(d->listen_fd));
        if (r < 0) {
                (void) log_error(r, "cannot listen: %m");
                return -ECANCELED;
        }
        return 0;
}

static void engine_stop(Daemon *d) {
        d->manager = manager_free(d->manager);
}

int main(int argc, char *argv[]) {
        static const DaemonSpec spec = {
                .name = "engine",
                .doc = "Orders, checks and applies resources.",
                .kinds = engine_kinds,
                .options = options,
                .options_help =
                        "  --converger-timeout=S       converged means: nothing happened for S seconds (-1: no waiting)\n"
                        "  --converger-status-file=F   append true or false to F whenever that changes\n"
                        "  --hostname=NAME             the name of this host in the cluster\n"
                        "  --noop                      change nothing, only look\n"
                        "  --plan                      the same, once: without watching and without waiting\n"
                        "  --sema=N                    at most N resources at once\n"
                        "  --state-of=DIR              with --plan: where resources have kept what they look at\n",
                .option = engine_option,
                .start = engine_start,
                .stop = engine_stop,
        };

        return daemon_main(&spec, argc, argv);
}
