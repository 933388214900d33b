/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each stage is a deploy of its own: first one for some hosts, then the same program for all, or the one before for those. So nothing in
 * the cluster waits for us: if we die, what is in force stays in force. With keys, each is signed by itself, with the names of the hosts
 * in it; nobody without the key can make one for all of one for some.
 *
 * A deploy is only added if it follows the one that we know of: whoever deploys something else meanwhile ends the roll-out. */

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <systemd/sd-id128.h>

#include "common/bundle.h"
#include "common/sd/bus.h"
#include "common/sd/deploy-bus.h"
#include "common/strbuf.h"
#include "daemons/mgmtctl/bus-ask.h"
#include "daemons/mgmtctl/ctl.h"
#include "daemons/mgmtctl/deploy-list.h"
#include "daemons/mgmtctl/hosts.h"
#include "daemons/mgmtctl/output.h"
#include "daemons/mgmtctl/rollout.h"

typedef struct Canary {
        char *name;
        DeployState told;       /* what was said of it last */
} Canary;

typedef struct Rollout Rollout;

/* What is to be done next; each is tried again when mgmt-world comes back. */
typedef int (*stage_t)(Rollout *r);

struct Rollout {
        const RolloutOptions *options;
        Program *program;
        Value bundle;
        sd_bus *bus;
        sd_event *event;
        sd_event_source *timer;
        Hosts *hosts;
        stage_t stage;          /* NULL: nothing but to wait for the hosts */
        char token[SD_ID128_STRING_MAX];        /* of the addition of this stage */

        Canary *canaries;       /* by name */
        size_t n;
        char *names;            /* theirs, parted by commas */
        uint64_t before;        /* the newest deploy when we began; 0: none */
        uint64_t previous;      /* the newest of all hosts; 0: none */
        uint64_t deploy;        /* theirs; 0: not yet */
        bool late;              /* who has not converged by now has failed */
        bool finished;
};

static void finish(Rollout *r, int code) {
        if (!r->finished)
                (void) sd_event_exit(r->event, code);
        r->finished = true;
}

static int new_token(Rollout *r) {
        sd_id128_t id;
        int k = sd_id128_randomize(&id);

        if (k >= 0)
                sd_id128_to_string(id, r->token);
        return k;
}

/* ---- adding a deploy ---- */

static bool is_passing(const sd_bus_error *e) {
        static const char *const names[] = {
                SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_TIMEOUT,
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(e, names[i]))
                        return true;
        return false;
}

/* For these hosts ("": all), after that deploy. The number, or 0: mgmt-world is away, and this stage comes once more. */
static int64_t add(Rollout *r, Program *p, Value bundle, const char *hosts, uint64_t after) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        uint64_t deploy = 0;
        int k;

        k = program_set_hosts(p, hosts);
        if (k >= 0 && r->options->sign && program_sign(p, bundle, r->options->sign) < 0)
                return -ECANCELED;
        if (k >= 0)
                k = sd_bus_message_new_method_call(r->bus, &m, "org.mgmt.world1", "/org/mgmt/world1", "org.mgmt.world1.Manager",
                                                   "AddDeploy");
        if (k >= 0)
                k = sd_bus_message_append(m, "h", p->fd);
        if (k >= 0)
                k = deploy_options_append(m, &p->options);
        if (k >= 0)
                k = sd_bus_message_append(m, "ts", after, r->token);
        if (k >= 0)
                k = sd_bus_call(r->bus, m, 0, &error, &reply);
        if (k >= 0)
                k = sd_bus_message_read(reply, "t", &deploy);
        if (k >= 0)
                return (int64_t) deploy;
        if (is_passing(&error))
                return 0;
        output_error("%s", bus_error_text(&error, k));
        return k;
}

/* ---- the last stages ---- */

static void say_result(const Rollout *r, const char *type, uint64_t deploy, const char *text) {
        struct json_object *j;

        if (!arg_json) {
                output_note(type, "%s", text);
                return;
        }
        j = json_object_new_object();
        json_object_object_add(j, "type", json_object_new_string(type));
        json_object_object_add(j, "deploy", json_object_new_uint64(deploy));
        json_object_object_add(j, "canary", json_object_new_uint64(r->deploy));
        output_json(j);
}

/* The roll-out cannot go on, and the canaries keep what they have. */
static int leave(Rollout *r) {
        output_error("deploy %llu stays in force on %s; 'mgmtctl rollback', or another deploy, ends this", (unsigned long long) r->deploy,
                     r->names);
        finish(r, EXIT_ERROR);
        return 0;
}

static int release(Rollout *r) {
        _cleanup_free_ char *text = NULL;
        int64_t deploy = add(r, r->program, r->bundle, "", r->deploy);

        if (deploy <= 0)
                return deploy < 0 ? leave(r) : 0;
        if (asprintf(&text, "released to all hosts as deploy %lld", (long long) deploy) < 0)
                text = NULL;
        say_result(r, "deployed", (uint64_t) deploy, text ?: "");
        finish(r, EXIT_SUCCESS);
        return 0;
}

static int go_back(Rollout *r) {
        _cleanup_(program_done) Program p = { .fd = -EBADF };
        _cleanup_(value_done) Value bundle = {};
        _cleanup_free_ char *text = NULL;
        int64_t deploy;

        if (r->previous == 0) {
                output_error("there is no earlier deploy to go back to");
                return leave(r);
        }
        if (program_fetch(&p, r->bus, r->previous, &bundle) < 0)
                return leave(r);
        deploy = add(r, &p, bundle, r->names, r->deploy);
        if (deploy <= 0)
                return deploy < 0 ? leave(r) : 0;
        if (asprintf(&text, "%s: back to deploy %llu, as deploy %lld", r->names, (unsigned long long) r->previous, (long long) deploy) < 0)
                text = NULL;
        say_result(r, "stopped", (uint64_t) deploy, text ?: "");
        finish(r, EXIT_ERROR);
        return 0;
}

/* ---- watching the canaries ---- */

static void next_stage(Rollout *r, stage_t stage) {
        r->stage = stage;
        if (new_token(r) < 0 || stage(r) < 0)
                finish(r, EXIT_ERROR);
}

static bool is_good(DeployState s) {
        return s == DEPLOY_CONVERGED;
}

static bool is_bad(DeployState s) {
        return s == DEPLOY_FAILED || s == DEPLOY_REFUSED;
}

static DeployState state_of(const Rollout *r, const Canary *c) {
        const HostRow *row = hosts_find(r->hosts, c->name);

        return row && row->deploy == r->deploy ? row->state : DEPLOY_UNKNOWN;
}

static void tell(Rollout *r, Canary *c, DeployState now) {
        const HostRow *row = hosts_find(r->hosts, c->name);
        const char *state = deploy_state_name(now);

        if (now == c->told)
                return;
        c->told = now;
        if (arg_json) {
                struct json_object *j = json_object_new_object();

                json_object_object_add(j, "type", json_object_new_string("host"));
                output_json_str(j, "host", c->name);
                json_object_object_add(j, "deploy", json_object_new_uint64(r->deploy));
                output_json_str(j, "state", state);
                output_json_str(j, "text", row && *row->text ? row->text : NULL);
                output_json(j);
        } else if (is_bad(now))
                output_error("%s %s: %s", c->name, state, row && *row->text ? row->text : "no reason given");
        else if (is_good(now))
                output_note("canary", "%s %s", c->name, state);
}

static bool is_overtaken(const Rollout *r) {
        for (size_t i = 0; i < r->n; i++) {
                const HostRow *row = hosts_find(r->hosts, r->canaries[i].name);

                if (row && row->deploy > r->deploy) {
                        output_error("deploy %llu took its place on %s", (unsigned long long) row->deploy, row->name);
                        return true;
                }
        }
        return false;
}

static void tell_late(const Rollout *r) {
        for (size_t i = 0; i < r->n; i++) {
                const Canary *c = &r->canaries[i];
                DeployState now = state_of(r, c);

                if (!is_good(now) && !is_bad(now))
                        output_error("%s %s after %lld s%s", c->name, now == DEPLOY_ACCEPTED ? "has not converged" : "has not taken it",
                                     (long long) r->options->wait_sec, hosts_find(r->hosts, c->name) ? "" : ": it is gone");
        }
}

static void judge(Rollout *r) {
        size_t n_good = 0, n_bad = 0;

        if (r->deploy == 0 || r->stage || r->finished)
                return;
        if (is_overtaken(r)) {
                finish(r, EXIT_ERROR);
                return;
        }
        for (size_t i = 0; i < r->n; i++) {
                DeployState now = state_of(r, &r->canaries[i]);

                tell(r, &r->canaries[i], now);
                n_good += is_good(now);
                n_bad += is_bad(now);
        }
        if (r->late)
                n_bad = r->n - n_good;
        if (n_bad > (uint64_t) r->options->max_failing)
                next_stage(r, go_back);
        else if (n_good + n_bad == r->n)
                next_stage(r, release);
}

/* ---- the first stages ---- */

static int set_timer(Rollout *r) {
        int k = sd_event_source_set_time_relative(r->timer, (uint64_t) r->options->wait_sec * 1000000);

        return k < 0 ? k : sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
}

static int start(Rollout *r) {
        int64_t deploy = add(r, r->program, r->bundle, r->names, r->before);

        if (deploy <= 0)
                return deploy < 0 ? -ECANCELED : 0;
        r->deploy = (uint64_t) deploy;
        r->stage = NULL;
        if (!arg_json)
                output_note("canary", "deploy %llu is on its way to %s", (unsigned long long) r->deploy, r->names);
        return set_timer(r);
}

static int add_canary(Rollout *r, const char *name, size_t n) {
        Canary *grown = reallocarray(r->canaries, r->n + 1, sizeof(*grown));

        if (!grown)
                return -ENOMEM;
        r->canaries = grown;
        r->canaries[r->n] = (Canary) { .name = strndup(name, n) };
        return r->canaries[r->n++].name ? 0 : -ENOMEM;
}

static int choose_first(Rollout *r, unsigned long n) {
        size_t n_rows;
        const HostRow *rows = hosts_rows(r->hosts, &n_rows);
        int k = 0;

        if (n > n_rows) {
                output_error("the cluster has %zu hosts, not %lu", n_rows, n);
                return -ENOENT;
        }
        for (size_t i = 0; i < n && k >= 0; i++)
                k = add_canary(r, rows[i].name, strlen(rows[i].name));
        return k;
}

static int choose_named(Rollout *r) {
        int k = 0;

        for (const char *at = r->options->canary; *at && k >= 0;) {
                size_t n = strcspn(at, ",");

                k = add_canary(r, at, n);
                if (k >= 0 && !hosts_find(r->hosts, r->canaries[r->n - 1].name)) {
                        output_error("the cluster has no host '%s'", r->canaries[r->n - 1].name);
                        k = -ENOENT;
                }
                at += n + (at[n] == ',');
        }
        return k;
}

static int choose(Rollout *r) {
        _cleanup_(strbuf_done) StrBuf names = {};
        char *end;
        unsigned long n = strtoul(r->options->canary, &end, 10);
        int k = *end ? choose_named(r) : choose_first(r, n);

        if (k < 0)
                return k;
        for (size_t i = 0; i < r->n; i++)
                strbuf_printf(&names, "%s%s", i > 0 ? "," : "", r->canaries[i].name);
        r->names = strbuf_take(&names);
        if (!r->names)
                return -ENOMEM;
        next_stage(r, start);
        return 0;
}

/* ---- events ---- */

static void on_told(Hosts *h, void *userdata) {
        Rollout *r = userdata;

        if (r->stage && !r->finished && r->stage(r) < 0)
                finish(r, EXIT_ERROR);
        judge(r);
}

static void on_changed(Hosts *h, const HostRow *row, void *userdata) {
        judge(userdata);
}

static void on_refused(Hosts *h, const char *text, void *userdata) {
        output_error("mgmt-world: %s", text);
        finish(userdata, EXIT_ERROR);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata) {
        Rollout *r = userdata;

        if (r->deploy == 0) {
                output_error("the cluster cannot be reached");
                finish(r, EXIT_ERROR);
                return 0;
        }
        if (r->stage) {
                output_error("mgmt-world does not come back; what it has made of the last request, 'mgmtctl deploys' will show");
                finish(r, EXIT_ERROR);
                return 0;
        }
        tell_late(r);
        r->late = true;
        (void) set_timer(r);            /* for what comes now */
        judge(r);
        return 0;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Rollout *r = userdata;

        if (r->deploy > 0)
                return leave(r);
        finish(r, EXIT_ERROR);
        return 0;
}

/* ---- the whole ---- */

static int read_list(Rollout *r) {
        _cleanup_(deploy_list_done) DeployList l = {};

        if (deploy_list_read(&l, r->bus) < 0)
                return -ECANCELED;
        r->before = l.n > 0 ? l.rows[0].id : 0;
        for (size_t i = 0; i < l.n && r->previous == 0; i++)
                if (!*l.rows[i].hosts)
                        r->previous = l.rows[i].id;
        return 0;
}

static int prepare(Rollout *r) {
        static const HostsOps ops = { .told = on_told, .changed = on_changed, .refused = on_refused };
        sigset_t end;
        int k;

        sigemptyset(&end);
        sigaddset(&end, SIGINT);
        sigaddset(&end, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &end, NULL) < 0)
                return -errno;
        k = sd_event_default(&r->event);
        if (k >= 0)
                k = sd_event_add_signal(r->event, NULL, SIGINT, on_signal, r);
        if (k >= 0)
                k = sd_event_add_signal(r->event, NULL, SIGTERM, on_signal, r);
        if (k >= 0)
                k = sd_event_add_time_relative(r->event, &r->timer, CLOCK_MONOTONIC, (uint64_t) r->options->wait_sec * 1000000, 0,
                                               on_time, r);
        if (k >= 0)
                k = read_list(r);
        r->stage = choose;
        if (k >= 0)
                k = hosts_new(&r->hosts, r->event, &ops, r);
        return k;
}

static void rollout_done(Rollout *r) {
        hosts_free(r->hosts);
        sd_event_source_disable_unref(r->timer);
        sd_event_unref(r->event);
        for (size_t i = 0; i < r->n; i++)
                free(r->canaries[i].name);
        free(r->canaries);
        free(r->names);
        value_done(&r->bundle);
}

int rollout_run(Program *p, sd_bus *bus, const RolloutOptions *options) {
        _cleanup_(rollout_done) Rollout r = { .options = options, .program = p, .bus = bus };
        _cleanup_(diag_done) Diag d = {};
        int k;

        k = bundle_unseal(p->fd, &r.bundle, &d);
        if (k >= 0)
                k = prepare(&r);
        if (k >= 0)
                k = sd_event_loop(r.event);
        if (k < 0 && k != -ECANCELED)
                output_error("%s", d.message ?: strerrordesc_np(-k));
        return k < 0 ? EXIT_ERROR : k;
}
