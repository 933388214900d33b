/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See remote-host.h. What happens in callbacks of the connection only marks the end; a defer source takes everything down. */

#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/http/connect.h"
#include "common/sign/digest.h"
#include "common/ssh/ssh-command.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/remote-host.h"
#include "daemons/mgmtctl/remote-output.h"
#include "daemons/mgmtctl/remote-script.h"
#include "daemons/mgmtctl/remote-upload.h"

enum {
        SAID_MAX = 64 * 1024,           /* before the script speaks: whatever a login shell says */
        ERRORS_MAX = 4096,
        LINE_MAX_ = 4 * 1024 * 1024,
};

#define CONNECT_USEC (UINT64_C(15) * 1000 * 1000)
#define SETUP_USEC (UINT64_C(30) * 1000 * 1000)         /* without any progress */
#define PING_USEC (UINT64_C(5) * 1000 * 1000)
#define SILENCE_USEC (UINT64_C(20) * 1000 * 1000)       /* nobody is there */
#define GOODBYE_USEC (UINT64_C(10) * 1000 * 1000)       /* from the program's end to that of the connection */

typedef enum HostState {
        HOST_CONNECTING,
        HOST_SSH,               /* up to the first line that the script says */
        HOST_UPLOAD,            /* up to its last one */
        HOST_STARTING,          /* up to the first frame */
        HOST_RUNNING,
        HOST_GOODBYE,           /* the program has ended */
        HOST_OVER,
} HostState;

struct RemoteHost {
        const RemoteJob *job;
        const RemoteTarget *target;
        HostState state;
        bool settled, well;
        SshTarget ssh_target;
        SshAddress address;
        Connect *connect;
        SshCommand *ssh;
        Mux *mux;
        sd_event_source *timer, *over;
        uint64_t heard_usec;
        char *system, *hostname;        /* as the other side says */
        StrBuf said;            /* before the script speaks */
        StrBuf errors;          /* on stderr */
        StrBuf line;            /* of the program's output, so far */
        RemoteUpload upload;
        StrBuf start;           /* what is said to mgmt-remote; empty where something runs already */
        char *problem;          /* NULL: none */
        unsigned status;        /* of mgmtctl */
};

/* ---- the end ---- */

/* The first problem counts; NULL: there is none. */
static void finish(RemoteHost *h, const char *problem) {
        if (h->state == HOST_OVER)
                return;
        h->state = HOST_OVER;
        h->problem = problem ? strdup(problem) : NULL;
        h->well = !problem && h->status == 0;
        h->timer = sd_event_source_disable_unref(h->timer);
        if (sd_event_source_set_enabled(h->over, SD_EVENT_ONESHOT) < 0)
                (void) sd_event_exit(h->job->event, -ENOMEM);
}

static _printf_(2, 3) void failf(RemoteHost *h, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        finish(h, text ?: "out of memory");
}

static void settle(RemoteHost *h) {
        if (!h->settled) {
                h->settled = true;
                h->job->settled(h, h->job->userdata);
        }
}

static int on_over(sd_event_source *source, void *userdata) {
        RemoteHost *h = userdata;

        h->ssh = ssh_command_free(h->ssh);
        h->mux = mux_free(h->mux);
        h->connect = connect_cancel(h->connect);
        output_set_host(h->target->label);
        if (h->problem)
                output_error("%s", h->problem);
        else if (h->status != 0)
                output_error("it ended with status %u", h->status);
        else
                output_note("ended", h->job->mode == REMOTE_ONCE ? "ended well, nothing is left there" : "ended well");
        output_set_host(NULL);
        settle(h);
        h->job->ended(h, h->well, h->job->userdata);
        return 0;
}

void remote_host_cut(RemoteHost *h) {
        finish(h, "interrupted");
}

void remote_host_stop(RemoteHost *h) {
        if (h->state == HOST_RUNNING)
                (void) mux_send(h->mux, FRAME_STOP, NULL, 0);
        else if (h->state < HOST_RUNNING)
                remote_host_cut(h);
}

/* ---- time ---- */

static void heard(RemoteHost *h) {
        (void) sd_event_now(h->job->event, CLOCK_MONOTONIC, &h->heard_usec);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        RemoteHost *h = userdata;
        uint64_t limit = h->heard_usec + (h->state < HOST_RUNNING ? SETUP_USEC : h->state == HOST_GOODBYE ? GOODBYE_USEC : SILENCE_USEC);

        if (usec >= limit) {
                if (h->state == HOST_GOODBYE)
                        finish(h, "its program has ended, but not what was started for it");
                else
                        failf(h, "the connection is lost: nothing was heard for %llu s",
                              (unsigned long long) (usec - h->heard_usec) / 1000000);
                return 0;
        }
        if (h->state == HOST_RUNNING) {
                (void) mux_send(h->mux, FRAME_PING, NULL, 0);
                limit = MIN(limit, usec + PING_USEC);
        }
        if (sd_event_source_set_time(source, limit) < 0 || sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
                finish(h, "out of memory");
        return 0;
}

static void timer_now(RemoteHost *h) {
        if (sd_event_source_set_time_relative(h->timer, 0) < 0 || sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0)
                finish(h, "out of memory");
}

/* ---- what runs there ---- */

static void print_lines(RemoteHost *h, bool is_error) {
        StrBuf *b = is_error ? &h->errors : &h->line;
        size_t start = 0;
        char *end;

        if (b->size == 0)
                return;
        output_set_host(h->target->label);
        while ((end = memchr(b->data + start, '\n', b->size - start))) {
                size_t n = (size_t) (end - b->data) - start;

                if (is_error)
                        output_note("stderr", "%.*s", (int) n, b->data + start);
                else
                        remote_output_line(h->job->program, b->data + start, n);
                start += n + 1;
        }
        output_set_host(NULL);
        memmove(b->data, b->data + start, b->size - start + 1);
        b->size -= start;
}

static void on_program_output(RemoteHost *h, const Frame *f) {
        StrBuf *b = f->type == FRAME_ERRORS ? &h->errors : &h->line;

        strbuf_add(b, f->payload, f->size);
        if (b->failed)
                finish(h, "out of memory");
        else
                print_lines(h, f->type == FRAME_ERRORS);
        if (b->size > LINE_MAX_)
                finish(h, "it says a line that has no end");
}

static void add_string(StrBuf *b, const char *key, const char *value) {
        strbuf_puts(b, key);
        strbuf_puts(b, value);
        strbuf_add(b, "", 1);
}

/* Who it is for what it gets of us: never who it says it is. */
static const char *identity(const RemoteHost *h) {
        return h->target->name ?: h->target->host;
}

/* $MGMT_STORE_USER with %h for the name of the host. */
static void add_user(StrBuf *b, const RemoteHost *h) {
        const char *pattern = h->job->store_user, *at;

        strbuf_puts(b, "MGMT_STORE_USER=");
        for (; (at = strstr(pattern, "%h")); pattern = at + 2) {
                strbuf_add(b, pattern, (size_t) (at - pattern));
                strbuf_puts(b, identity(h));
        }
        add_string(b, pattern, "");
}

static int make_start(RemoteHost *h) {
        const char *log = getenv("MGMT_LOG_LEVEL");
        StrBuf *b = &h->start;

        if (h->job->endpoints.n > 0) {
                add_string(b, "MGMT_STORE=", h->job->store);
                if (h->job->store_user)
                        add_user(b, h);
        }
        if (log)
                add_string(b, "MGMT_LOG_LEVEL=", log);
        if (h->job->direct)
                add_string(b, "MGMT_STORE_PROXY=", "");
        add_string(b, "", "");
        for (char **a = h->job->arguments; *a; a++)
                add_string(b, *a, "");
        if (h->target->name)
                add_string(b, "--hostname=", h->target->name);
        return b->failed ? -ENOMEM : 0;
}

static void say_running(RemoteHost *h, const char *type, const char *text) {
        h->state = HOST_RUNNING;
        output_set_host(h->target->label);
        output_note(type, "%s on %s (%s) as %s", text, h->hostname, h->system, *h->address.user ? h->address.user : "its user");
        output_set_host(NULL);
        timer_now(h);
        settle(h);
}

/* What goes on without us says itself when it runs. */
static void start_program(RemoteHost *h) {
        if (h->start.size > 0 && mux_send(h->mux, FRAME_START, h->start.data, h->start.size) < 0)
                finish(h, "out of memory");
        else if (h->job->mode != REMOTE_START)
                say_running(h, "running", "running");
}

static void on_frame(const Frame *f, void *userdata) {
        RemoteHost *h = userdata;

        if (h->state == HOST_OVER)
                return;
        if (f->type == FRAME_HELLO && h->state == HOST_STARTING) {
                if (f->size != strlen(MGMT_VERSION) || memcmp(f->payload, MGMT_VERSION, f->size) != 0)
                        failf(h, "it is another version of mgmt: %.*s", (int) MIN(f->size, (size_t) 100), f->payload);
                else
                        start_program(h);
        } else if (f->type == FRAME_START && h->state == HOST_STARTING && h->job->mode == REMOTE_START) {
                if (h->start.size > 0)
                        say_running(h, "begun", "started");
                else
                        say_running(h, "running", "runs already");
        } else if (f->type == FRAME_PING && h->state >= HOST_RUNNING)
                ;
        else if ((f->type == FRAME_OUTPUT || f->type == FRAME_ERRORS) && h->state == HOST_RUNNING)
                on_program_output(h, f);
        else if (f->type == FRAME_EXIT && h->state == HOST_RUNNING && f->size == 1) {
                h->status = (uint8_t) f->payload[0];
                h->state = HOST_GOODBYE;
                timer_now(h);
        } else if (f->type == FRAME_FAILED)
                failf(h, "%.*s", (int) f->size, f->payload);
        else
                finish(h, "it does not speak as mgmt-remote does");
}

static void send_bytes(const char *data, size_t size, void *userdata) {
        RemoteHost *h = userdata;

        if (h->state != HOST_OVER && h->ssh && ssh_command_write(h->ssh, data, size) < 0)
                finish(h, "out of memory");
}

static void on_open(MuxStream *s, const char *target, void *userdata) {
        RemoteHost *h = userdata;

        remote_tunnel_open(s, target, &h->job->endpoints, h->job->loop);
}

static void on_closed(MuxStream *s, void *userdata) {
        remote_tunnel_closed(s);
}

static const MuxOps mux_ops = { .send = send_bytes, .frame = on_frame, .open = on_open, .closed = on_closed };

/* ---- getting there ---- */

static void upload(RemoteHost *h) {
        const char *data;
        size_t size;

        if (remote_upload_next(&h->upload, &data, &size) && ssh_command_write(h->ssh, data, size) < 0)
                finish(h, "out of memory");
}

/* What of all there is is to be sent. runs: said to what runs there; sums: of the programs that are there. */
static int choose_upload(RemoteHost *h, const char *sums, const char *runs, Diag *reterr) {
        const RemoteJob *job = h->job;
        RemoteUploadSpec spec = { .what = "new", .programs = &job->archive, .host = identity(h),
                                  .credentials = job->endpoints.n > 0 ? job->credentials : NULL };
        char started[SHA256_TEXT_SIZE];
        int r = make_start(h);

        if (r < 0)
                return r;
        if (job->sums) {
                _cleanup_(strbuf_done) StrBuf all = {};

                strbuf_puts(&all, job->sums);
                strbuf_add(&all, h->start.data, h->start.size);
                if (all.failed)
                        return -ENOMEM;
                sha256_text(all.data, all.size, started);
                spec.started = started;
        }
        if (job->mode == REMOTE_START && streq(runs, started)) {
                strbuf_done(&h->start);
                remote_upload_done(&h->upload);
                strbuf_puts(&h->upload.head, "0 watch\n");
                return h->upload.head.failed ? -ENOMEM : 0;
        }
        if (job->sums && streq(sums, job->sums)) {
                spec.what = "more";
                spec.programs = NULL;
        }
        return remote_upload_programs(&h->upload, &spec, reterr);
}

/* "SYSTEM/MACHINE HOSTNAME SUMS RUNS". The programs go there. */
static void on_it_is(RemoteHost *h, const char *said) {
        char sums[SHA256_TEXT_SIZE], runs[SHA256_TEXT_SIZE];
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *want = NULL;
        struct utsname here = {};
        int r;

        _Static_assert(SHA256_TEXT_SIZE == 65, "as is read here");
        (void) uname(&here);
        if (asprintf(&want, "%s/%s", here.sysname, here.machine) < 0)
                want = NULL;
        if (!want || sscanf(said, "%m[^ ] %m[A-Za-z0-9._-] %64s %64s", &h->system, &h->hostname, sums, runs) != 4) {
                finish(h, "it does not say what it is");
                return;
        }
        if (!streq(h->system, want)) {
                failf(h, "it is a %s, and the programs here are for %s", h->system, want);
                return;
        }
        r = choose_upload(h, sums, runs, &d);
        if (r < 0) {
                finish(h, d.message ?: strerrordesc_np(-r));
                return;
        }
        h->state = HOST_UPLOAD;
        upload(h);
}

/* Nothing is sent, and nothing comes after it. */
static void on_it_was(RemoteHost *h, const char *type, const char *text) {
        h->state = HOST_GOODBYE;
        output_set_host(h->target->label);
        output_note(type, "%s", text);
        output_set_host(NULL);
}

static void on_it_needs(RemoteHost *h, const char *names) {
        _cleanup_(diag_done) Diag d = {};
        int r = remote_upload_libraries(&h->upload, h->job->libraries, names, &d);

        if (r < 0)
                finish(h, d.message ?: strerrordesc_np(-r));
        else
                upload(h);
}

static void on_it_starts(RemoteHost *h) {
        int r = mux_new(&h->mux, h->job->event, &mux_ops, h);

        remote_upload_done(&h->upload);
        if (r < 0)
                finish(h, strerrordesc_np(-r));
        else
                h->state = HOST_STARTING;
}

static void on_line(RemoteHost *h, const char *line) {
        const char *said = startswith(line, REMOTE_SAYS), *rest;

        if (!said)              /* login shells may say something before */
                return;
        if (h->state == HOST_SSH && (h->job->mode == REMOTE_LOOK || h->job->mode == REMOTE_STOP)) {
                if (streq(said, "was"))
                        on_it_was(h, "was", h->job->mode == REMOTE_LOOK ? "it runs" : "it ran, and was ended");
                else if (streq(said, "idle"))
                        on_it_was(h, "idle", "nothing runs");
        } else if (h->state == HOST_SSH && (rest = startswith(said, "is ")))
                on_it_is(h, rest);
        else if (h->state == HOST_UPLOAD && (rest = startswith(said, "needs ")))
                on_it_needs(h, rest);
        else if (h->state == HOST_UPLOAD && streq(said, "starts"))
                on_it_starts(h);
}

/* What follows the last line is frames. */
static void on_said(RemoteHost *h, const char *data, size_t size) {
        size_t start = 0;
        char *end;

        strbuf_add(&h->said, data, size);
        if (h->said.failed)
                finish(h, "out of memory");
        while (!h->mux && h->state != HOST_OVER && (end = memchr(h->said.data + start, '\n', h->said.size - start))) {
                *end = '\0';
                on_line(h, h->said.data + start);
                start = (size_t) (end + 1 - h->said.data);
        }
        if (h->state == HOST_OVER)
                return;
        memmove(h->said.data, h->said.data + start, h->said.size - start + 1);
        h->said.size -= start;
        if (!h->mux && h->said.size > SAID_MAX)
                finish(h, "it says much, and nothing of what it should");
        else if (h->mux && mux_input(h->mux, h->said.data, h->said.size) < 0)
                finish(h, "it does not speak as mgmt-remote does");
}

static void on_ssh_output(SshCommand *c, bool is_stderr, const char *data, size_t size, void *userdata) {
        RemoteHost *h = userdata;

        if (h->state == HOST_OVER)
                return;
        heard(h);
        if (is_stderr)
                strbuf_add(&h->errors, data, h->errors.size < ERRORS_MAX ? MIN(size, ERRORS_MAX - h->errors.size) : 0);
        else if (!h->mux)
                on_said(h, data, size);
        else if (mux_input(h->mux, data, size) < 0)
                finish(h, "it does not speak as mgmt-remote does");
}

static void on_ssh_drained(SshCommand *c, void *userdata) {
        RemoteHost *h = userdata;

        if (h->state == HOST_UPLOAD) {
                heard(h);
                upload(h);
        }
}

static void on_ssh_ended(SshCommand *c, int error, const char *problem, int status, void *userdata) {
        RemoteHost *h = userdata;

        while (h->errors.size > 0 && h->errors.data[h->errors.size - 1] == '\n')
                h->errors.data[--h->errors.size] = '\0';
        if (h->state == HOST_GOODBYE && error == 0)
                finish(h, NULL);
        else if (error < 0)
                failf(h, h->state >= HOST_UPLOAD ? "the connection is lost: %s" : "%s", problem);
        else if (h->errors.size > 0)
                failf(h, "%s", h->errors.data);
        else
                failf(h, "what was started there has ended, with status %d", status);
}

static const SshOps ssh_ops = { .output = on_ssh_output, .drained = on_ssh_drained, .ended = on_ssh_ended };

static void on_connected(int fd, const char *problem, void *userdata) {
        RemoteHost *h = userdata;
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *command = NULL;
        int r;

        h->connect = NULL;
        if (fd < 0) {
                finish(h, problem);
                return;
        }
        heard(h);
        h->state = HOST_SSH;
        if (asprintf(&command, "%s%s", *h->job->words ? remote_kept_script : remote_script, h->job->words) < 0) {
                command = NULL;
                (void) close(fd);
                finish(h, "out of memory");
                return;
        }
        r = ssh_command_start(&h->ssh, h->job->event, fd, &h->ssh_target, command, &ssh_ops, h, &d);
        if (r < 0)
                finish(h, d.message ?: strerrordesc_np(-r));
}

/* ---- life ---- */

int remote_host_new(RemoteHost **ret, const RemoteJob *job, const RemoteTarget *target) {
        _cleanup_(diag_done) Diag d = {};
        int r;

        _cleanup_(remote_host_freep) RemoteHost *h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        *h = (RemoteHost) { .job = job, .target = target };
        h->ssh_target = job->ssh;
        h->ssh_target.host = target->host;
        h->ssh_target.user = target->user;
        h->ssh_target.port = target->port;
        heard(h);
        r = sd_event_add_defer(job->event, &h->over, on_over, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->over, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(job->event, &h->timer, CLOCK_MONOTONIC, SETUP_USEC, 1000, on_timer, h);
        if (r < 0)
                return r;
        r = ssh_target_resolve(&h->ssh_target, &h->address, &d);
        if (r >= 0)
                r = connect_start(job->loop, h->address.host, h->address.port, CONNECT_USEC, on_connected, h, &h->connect);
        if (r < 0)
                finish(h, d.message ?: strerrordesc_np(-r));
        *ret = TAKE_PTR(h);
        return 0;
}

RemoteHost *remote_host_free(RemoteHost *h) {
        if (!h)
                return NULL;
        h->state = HOST_OVER;
        ssh_command_free(h->ssh);
        mux_free(h->mux);
        connect_cancel(h->connect);
        sd_event_source_disable_unref(h->timer);
        sd_event_source_disable_unref(h->over);
        ssh_address_done(&h->address);
        strbuf_done(&h->said);
        strbuf_done(&h->errors);
        strbuf_done(&h->line);
        strbuf_done(&h->start);
        remote_upload_done(&h->upload);
        free(h->system);
        free(h->hostname);
        free(h->problem);
        free(h);
        return NULL;
}
