/* SPDX-License-Identifier: GPL-3.0-or-later */

/* `mgmtctl events`: what mgmt-engine does, as it happens, until Ctrl-C. */

#include <signal.h>

#include <systemd/sd-event.h>

#include "common/paths.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/stream.h"

static void on_event(Stream *s, const Message *m, void *userdata) {
        output_event(m);
}

static void on_refused(Stream *s, const char *text, void *userdata) {
        output_error("mgmt-engine: %s", text);
        (void) sd_event_exit(userdata, EXIT_ERROR);
}

static const StreamOps stream_ops = { .event = on_event, .refused = on_refused };

static int follow(const char *pattern) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(stream_freep) Stream *stream = NULL;
        sigset_t end;
        int r;

        _cleanup_free_ char *socket = path_socket("engine");
        if (!socket)
                return -ENOMEM;
        if (access(socket, W_OK) < 0) {
                output_error("cannot reach mgmt-engine at '%s': %s", socket, strerrordesc_np(errno));
                return -errno;
        }
        sigemptyset(&end);
        sigaddset(&end, SIGINT);
        sigaddset(&end, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &end, NULL) < 0)
                return -errno;
        r = sd_event_default(&event);
        if (r < 0)
                return r;
        for (int signal = 1; signal < SIGRTMIN; signal++) {
                r = sigismember(&end, signal) > 0 ? sd_event_add_signal(event, NULL, signal, NULL, NULL) : 0;
                if (r < 0)
                        return r;
        }
        r = stream_new(&stream, event, socket, pattern, &stream_ops, event);
        if (r < 0)
                return r;
        return sd_event_loop(event);
}

static int run_events(char *arguments[], int n) {
        int r = follow(n > 0 ? arguments[0] : NULL);

        return r < 0 ? EXIT_ERROR : r;
}

const Command command_events = {
        .name = "events",
        .arguments = "[PATTERN]",
        .doc = "Follow what happens",
        .help = "PATTERN is a glob over KIND[NAME], such as 'file*'.\n",
        .max_arguments = 1,
        .run = run_events,
};
