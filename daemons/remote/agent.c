/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See agent.h. A connection that breaks ends our input, as long as sshd notices; a cable that is cut says nothing at all, so somebody who
 * is there has to speak now and then. Whatever is still to be sent is dropped when nobody takes it. */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <systemd/sd-event.h>

#include "common/sd/child.h"
#include "common/sd/orphans.h"
#include "common/sd/signals.h"
#include "daemons/remote/agent.h"
#include "daemons/remote/keeper-watch.h"
#include "daemons/remote/launch.h"
#include "daemons/remote/socks.h"

enum {
        READ_SIZE = 64 * 1024,
        PENDING_MAX = 1024 * 1024,      /* bytes that wait to be sent, before the program has to wait as well */
        ORPHANS_MSEC = 1500,            /* how long the daemons may take after mgmtctl has ended */
        ORPHANS_ROUNDS = 5,             /* those that an orphan leaves behind come in the next round */
};

#define STOP_USEC (UINT64_C(5000) * 1000)       /* from the signal to the end by force */
#define FLUSH_USEC (UINT64_C(5000) * 1000)      /* for the last words */

typedef struct Agent {
        const AgentSpec *spec;
        sd_event *event;
        Mux *mux;
        Socks *socks;
        char *socket;           /* of socks */
        sd_event_source *input, *output, *silence, *limit;
        StrBuf out;
        size_t out_at;
        uint64_t heard_usec;
        Child *child;
        KeeperWatch *keeper;    /* in the other modes */
        bool held;              /* the child's output is not read */
        bool started, stopped, ending;
} Agent;

/* ---- the end ---- */

static int on_limit(sd_event_source *source, uint64_t usec, void *userdata) {
        Agent *a = userdata;

        return sd_event_exit(a->event, 0);
}

static void set_limit(Agent *a, uint64_t usec) {
        a->limit = sd_event_source_disable_unref(a->limit);
        if (sd_event_add_time_relative(a->event, &a->limit, CLOCK_MONOTONIC, usec, 1000, on_limit, a) < 0)
                (void) sd_event_exit(a->event, 0);
}

/* Nobody is there to hear anything any more. */
static void abandon(Agent *a) {
        if (a->ending)
                return;
        a->ending = true;
        a->input = sd_event_source_disable_unref(a->input);
        a->output = sd_event_source_disable_unref(a->output);
        a->silence = sd_event_source_disable_unref(a->silence);
        if (a->child && child_kill(a->child, SIGTERM) >= 0)
                set_limit(a, STOP_USEC);
        else
                (void) sd_event_exit(a->event, 0);
}

/* The last words are said. */
static void finish(Agent *a) {
        if (a->ending)
                return;
        a->ending = true;
        a->input = sd_event_source_disable_unref(a->input);
        a->silence = sd_event_source_disable_unref(a->silence);
        if (a->out.size == a->out_at)
                (void) sd_event_exit(a->event, 0);
        else
                set_limit(a, FLUSH_USEC);
}

/* ---- sending ---- */

static void hold_output(Agent *a, bool hold) {
        if (!a->child || a->held == hold)
                return;
        a->held = hold;
        child_hold_output(a->child, CHILD_STDOUT, hold);
        child_hold_output(a->child, CHILD_STDERR, hold);
}

static void flush(Agent *a) {
        while (a->out.size > a->out_at) {
                ssize_t n = write(a->spec->output, a->out.data + a->out_at, a->out.size - a->out_at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        abandon(a);
                        return;
                }
                a->out_at += (size_t) n;
        }
        size_t pending = a->out.size - a->out_at;
        if (pending == 0) {
                strbuf_done(&a->out);
                a->out_at = 0;
        }
        if (a->output)
                (void) sd_event_source_set_enabled(a->output, pending > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
        hold_output(a, pending > PENDING_MAX);
        if (pending == 0 && a->ending && a->output)
                (void) sd_event_exit(a->event, 0);
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        flush(userdata);
        return 0;
}

/* It leaves with whatever else there is to say in this turn. */
static void send_bytes(const char *data, size_t size, void *userdata) {
        Agent *a = userdata;

        if (!a->output)
                return;
        if (a->out_at > PENDING_MAX) {
                memmove(a->out.data, a->out.data + a->out_at, a->out.size - a->out_at);
                a->out.size -= a->out_at;
                a->out_at = 0;
        }
        strbuf_add(&a->out, data, size);
        if (a->out.failed)
                abandon(a);
        else
                (void) sd_event_source_set_enabled(a->output, SD_EVENT_ON);
        hold_output(a, a->out.size - a->out_at > PENDING_MAX);
}

static void say_failed(Agent *a, const char *text) {
        (void) mux_send(a->mux, FRAME_FAILED, text, MIN(strlen(text), (size_t) FRAME_PAYLOAD_MAX));
        finish(a);
}

/* ---- the program ---- */

static void on_child_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        Agent *a = userdata;

        for (size_t n; size > 0; data += n, size -= n) {
                n = MIN(size, (size_t) FRAME_PAYLOAD_MAX);
                (void) mux_send(a->mux, stream == CHILD_STDOUT ? FRAME_OUTPUT : FRAME_ERRORS, data, n);
        }
}

static void on_child_end(Child *c, ChildResult *result, void *userdata) {
        Agent *a = userdata;
        char status = (char) (uint8_t) result->status, text[64];
        int number = result->signal;

        a->child = child_free(a->child);
        if (a->ending) {
                (void) sd_event_exit(a->event, 0);
                return;
        }
        if (number) {
                (void) snprintf(text, sizeof(text), "mgmtctl was ended there by SIG%s", sigabbrev_np(number) ?: "?");
                say_failed(a, text);
                return;
        }
        (void) mux_send(a->mux, FRAME_EXIT, &status, 1);
        finish(a);
}

static int run_program(Agent *a, const Frame *f, Diag *reterr) {
        return launch(&a->child, a->event, &(LaunchSpec) { .directory = a->spec->directory, .socket = a->socket, .start = f->payload,
                                                           .size = f->size, .output = on_child_output, .ended = on_child_end,
                                                           .userdata = a }, reterr);
}

/* ---- one that goes on without us ---- */

static void on_keeper_running(void *userdata) {
        Agent *a = userdata;

        (void) mux_send(a->mux, FRAME_START, NULL, 0);
}

static void on_keeper_ended(const char *text, void *userdata) {
        Agent *a = userdata;

        if (!a->ending)
                say_failed(a, text);
}

static const KeeperWatchOps keeper_ops = { .running = on_keeper_running, .ended = on_keeper_ended };

static int watch_keeper(Agent *a, const Frame *start, Diag *reterr) {
        return keeper_watch_new(&a->keeper, a->event, a->spec->directory, a->spec->removes, start ? start->payload : NULL,
                                start ? start->size : 0, &keeper_ops, a, reterr);
}

static void on_start(Agent *a, const Frame *f) {
        _cleanup_(diag_done) Diag d = {};
        int r = a->started ? -EPROTO : 0;

        a->started = true;
        if (r >= 0)
                r = a->spec->mode == AGENT_RUN ? run_program(a, f, &d) : watch_keeper(a, f, &d);
        if (r < 0)
                say_failed(a, d.message ?: strerrordesc_np(-r));
}

/* ---- what we are told ---- */

static void on_frame(const Frame *f, void *userdata) {
        Agent *a = userdata;

        switch (f->type) {
        case FRAME_START:
                on_start(a, f);
                break;
        case FRAME_STOP:
                if (a->child)           /* what goes on without us is stopped by `mgmt-remote stop` */
                        (void) child_kill(a->child, a->stopped ? SIGKILL : SIGINT);
                else
                        finish(a);
                a->stopped = true;
                break;
        case FRAME_PING:
                (void) mux_send(a->mux, FRAME_PING, NULL, 0);
                break;
        default:
                abandon(a);
        }
}

static void on_opened(MuxStream *s, void *userdata) {
        socks_opened(s);
}

static void on_closed(MuxStream *s, void *userdata) {
        socks_closed(s);
}

static const MuxOps mux_ops = { .send = send_bytes, .frame = on_frame, .opened = on_opened, .closed = on_closed };

static int on_input(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Agent *a = userdata;
        char data[READ_SIZE];
        ssize_t n = read(fd, data, sizeof(data));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                abandon(a);
                return 0;
        }
        (void) sd_event_now(a->event, CLOCK_MONOTONIC, &a->heard_usec);
        if (mux_input(a->mux, data, (size_t) n) < 0)
                abandon(a);
        return 0;
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata) {
        Agent *a = userdata;
        uint64_t limit = a->heard_usec + a->spec->silence_sec * UINT64_C(1000000);

        if (usec >= limit)
                abandon(a);
        else if (sd_event_source_set_time(source, limit) < 0 || sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                abandon(a);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        abandon(userdata);
        return 0;
}

/* ---- life ---- */

static int set_nonblocking(int fd) {
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* What runs is ours, and so is its way to the cluster. */
static int prepare_run(Agent *a, Diag *reterr) {
        if (asprintf(&a->socket, "%s/store.sock", a->spec->directory) < 0) {
                a->socket = NULL;
                return -ENOMEM;
        }
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return -errno;
        (void) unlink(a->socket);       /* of one that was killed */
        return socks_new(&a->socks, a->event, a->mux, a->socket, reterr);
}

static int agent_start(Agent *a, Diag *reterr) {
        const AgentSpec *spec = a->spec;
        int r;

        r = sd_event_default(&a->event);
        if (r >= 0)
                r = signals_watch_end(a->event, on_signal, a);
        if (r >= 0)
                r = set_nonblocking(spec->input);
        if (r >= 0)
                r = set_nonblocking(spec->output);
        if (r >= 0)
                r = sd_event_add_io(a->event, &a->input, spec->input, EPOLLIN, on_input, a);
        if (r >= 0)
                r = sd_event_add_io(a->event, &a->output, spec->output, EPOLLOUT, on_output, a);
        if (r >= 0)
                r = sd_event_now(a->event, CLOCK_MONOTONIC, &a->heard_usec);
        if (r >= 0)
                r = sd_event_add_time_relative(a->event, &a->silence, CLOCK_MONOTONIC, spec->silence_sec * UINT64_C(1000000), 1000,
                                               on_silence, a);
        if (r >= 0)
                r = mux_new(&a->mux, a->event, &mux_ops, a);
        if (r >= 0 && spec->mode == AGENT_RUN)
                r = prepare_run(a, reterr);
        if (r >= 0)
                r = mux_send(a->mux, FRAME_HELLO, MGMT_VERSION, strlen(MGMT_VERSION));
        if (r < 0 || spec->mode != AGENT_WATCH)
                return r;
        a->started = true;
        return watch_keeper(a, NULL, reterr);
}

static void agent_done(Agent *a) {
        child_free(a->child);
        keeper_watch_free(a->keeper);
        for (unsigned i = 0; a->spec->mode == AGENT_RUN && i < ORPHANS_ROUNDS; i++)
                if (orphans_reap(&(OrphanSpec) { .grace_msec = ORPHANS_MSEC, .kill = true, .wait_msec = 100 }) == 0)
                        break;
        mux_free(a->mux);
        socks_free(a->socks);
        sd_event_source_disable_unref(a->input);
        sd_event_source_disable_unref(a->output);
        sd_event_source_disable_unref(a->silence);
        sd_event_source_disable_unref(a->limit);
        strbuf_done(&a->out);
        free(a->socket);
        sd_event_unref(a->event);
}

int agent_run(const AgentSpec *spec) {
        _cleanup_(agent_done) Agent a = { .spec = spec };
        _cleanup_(diag_done) Diag d = {};
        int r = agent_start(&a, &d);

        if (r >= 0)
                r = sd_event_loop(a.event);
        if (r < 0)
                fprintf(stderr, "mgmt-remote: %s\n", d.message ?: strerrordesc_np(-r));
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
