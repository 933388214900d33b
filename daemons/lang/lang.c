/* SPDX-License-Identifier: GPL-3.0-or-later */

/* mgmt-lang: turns the program that is deployed on this host into the graph of resources that mgmt-engine keeps. */

#include <getopt.h>

#include "common/ipc/channel.h"
#include "common/macro.h"
#include "common/sd/daemon.h"
#include "daemons/lang/engine-link.h"
#include "daemons/lang/lang-manager.h"

enum {
        OPTION_NO_DEPLOYS = 256,
        OPTION_TRUST,
        OPTION_HOSTNAME,
};

static bool arg_deploys = true;
static const char *arg_trust = NULL;
static const char *arg_hostname = NULL;

static const struct option options[] = {
        { "hostname", required_argument, NULL, OPTION_HOSTNAME },
        { "no-deploys", no_argument, NULL, OPTION_NO_DEPLOYS },
        { "trust", required_argument, NULL, OPTION_TRUST },
        {}
};

static int lang_option(Daemon *d, int value, const char *argument) {
        switch (value) {
        case OPTION_NO_DEPLOYS:
                arg_deploys = false;
                return 0;
        case OPTION_TRUST:
                arg_trust = argument;
                return *argument == '/' ? 0 : -EINVAL;
        case OPTION_HOSTNAME:
                arg_hostname = argument;
                return *argument ? 0 : -EINVAL;
        default:
                return -EINVAL;
        }
}

static int lang_daemon_start(Daemon *d) {
        Manager *m;
        int r;

        r = manager_new(&m, d->event, arg_hostname);
        if (r < 0)
                return r;
        m->daemon = d;
        d->manager = m;
        r = deploy_guard_init(&m->guard, arg_trust, m->state_dir);
        if (r >= 0)
                r = manager_export(m);
        if (r < 0)
                return r;
        /* mgmtctl run has a program for us: the connection is there by the time it is compiled. */
        return arg_deploys ? manager_watch_deploys(m) : engine_link_new(&m->engine, m);
}

static void lang_daemon_stop(Daemon *d) {
        d->manager = manager_free(d->manager);
}

static const DaemonSpec spec = {
        .name = "lang",
        .doc = "Compiles the program of this host and keeps its graph in mgmt-engine.",
        .options = options,
        .options_help = "  --hostname=NAME      the name of this host, for the program\n"
                        "  --trust=FILE         if there is this file, programs must be signed by one of its keys\n"
                        "  --no-deploys         run only what is handed over by Run (mgmtctl run)\n",
        .option = lang_option,
        .start = lang_daemon_start,
        .stop = lang_daemon_stop,
};

int main(int argc, char *argv[]) {
        return daemon_main(&spec, argc, argv);
}
