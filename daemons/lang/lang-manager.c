/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How one program takes the place of another. The order makes every failure harmless: the new one is compiled and started
 * beside the old, then the engine is asked; only what it accepted is in force, and only what was in force is stored. Until then
 * the old one stays. How it goes on then is in waves.c. */

#include <sys/utsname.h>

#include "common/paths.h"
#include "common/sd/log.h"
#include "daemons/lang/engine-link.h"
#include "daemons/lang/lang-manager.h"
#include "daemons/lang/remote.h"
#include "daemons/lang/sources.h"
#include "daemons/lang/waves.h"
#include "daemons/lang/world-link.h"

int manager_new(Manager **ret, sd_event *event, const char *hostname) {
        _cleanup_(diag_done) Diag d = {};
        struct utsname host;
        int r;

        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        if (!m || uname(&host) < 0)
                return -ENOMEM;
        *m = (Manager) { .event = event, .hostname = strdup(hostname ?: host.nodename),
                        .state_dir = path_state_dir("lang") };
        _cleanup_free_ char *kinds = path_data("kinds.json");
        if (!m->hostname || !m->state_dir || !kinds)
                return -ENOMEM;
        r = schema_load(&m->schema, kinds, &d);
        if (r < 0) {
                log_diag(LOG_ERR, &d);
                return -ECANCELED;
        }
        m->programs = (DeployedHost) {
                .schema = m->schema,
                .sources = { .event = event, .hostname = m->hostname, .manager = m, .state_dir = m->state_dir },
                .source = lang_source_find,
                .wave = manager_wave,
                .userdata = m,
        };
        *ret = TAKE_PTR(m);
        return 0;
}

static void drop_program(Manager *m, Deployed *p) {
        if (p && m->sent == p)
                m->sent = NULL;
        deployed_free(p);
}

/* The newer one wins, whatever became of the older. */
static void change_drop(Manager *m) {
        Change change = m->change;

        m->change = (Change) {};
        drop_program(m, change.program);
        change.done(change.userdata, -ESTALE, 0, &(Diag) { .error = -ESTALE, .message = (char *) "a newer program took its place" });
}

/* ---- who waits for the engine's answer ---- */

static bool is_undecided(const Manager *m) {
        return m->change.program && m->sent == m->change.program;
}

static void waiters_call(Manager *m) {
        unsigned n = m->n_waiters;

        m->n_waiters = 0;
        for (unsigned i = 0; i < n; i++) {
                DecisionWaiter w = m->waiters[i];
                w.decided(m, w.userdata);
        }
}

static void waiters_wake(Manager *m) {
        if (!is_undecided(m))
                waiters_call(m);
}

int manager_wait_decision(Manager *m, void (*decided)(Manager *m, void *userdata), void *userdata) {
        if (!is_undecided(m))
                return 0;
        if (m->n_waiters >= DECISION_WAITERS_MAX)
                return -EBUSY;
        m->waiters[m->n_waiters++] = (DecisionWaiter) { .decided = decided, .userdata = userdata };
        return 1;
}

/* ---- life ---- */

static void later_done(Manager *m) {
        value_done(&m->later.bundle);
        deploy_options_done(&m->later.options);
        m->later = (Deploy) {};
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        if (m->change.done)
                change_drop(m);
        waiters_call(m);
        drop_program(m, m->current);
        engine_link_free(m->engine);
        world_link_free(m->world);
        remote_free(m->http);
        later_done(m);
        deploy_report_done(&m->report);
        free(m->refused.text);
        free(m->graph.text);
        source_share_done(&m->share);
        schema_free(m->schema);
        free(m->last_error);
        free(m->hostname);
        free(m->state_dir);
        deploy_guard_done(&m->guard);
        free(m);
        return NULL;
}

Deployed *manager_offered(Manager *m) {
        Deployed *const programs[] = { m->change.program, m->current };

        for (size_t i = 0; i < ELEMENTSOF(programs); i++)
                if (programs[i] && lang_is_running(programs[i]->lang))
                        return programs[i];
        return NULL;
}

static void set_last_error(Manager *m, const Diag *d) {
        free(m->last_error);
        m->last_error = d && d->message ? diag_text(d) : NULL;
}

static void run_later(Manager *m);

void manager_change_finish(Manager *m, int error, Diag *d) {
        Change change = m->change;

        m->change = (Change) {};
        drop_program(m, change.program);
        waiters_wake(m);
        set_last_error(m, error < 0 ? d : NULL);
        if (change.done)
                change.done(change.userdata, error, m->current ? m->current->deploy : 0, d);
        manager_emit_changed(m);
        manager_report(m);
        run_later(m);
}

int manager_check(Manager *m, Value bundle, DeployOptions *options, Diag *reterr) {
        _cleanup_(deployed_freep) Deployed *p = NULL;

        return deployed_compile(&p, bundle, options, &m->programs, reterr);
}

/* A deploy that worked before the host was restarted may need something that is not there yet. It goes on trying; there is
 * nothing better to run. */
static bool may_recover(const Manager *m, const Deployed *p, uint64_t deploy) {
        return p && p->error && deploy > 0 && !m->current && !m->change.done;
}

int manager_change(Manager *m, Value bundle, DeployOptions *options, uint64_t deploy, bool store,
                   change_done_t done, void *userdata, Diag *reterr) {
        _cleanup_(deployed_freep) Deployed *p = NULL;
        _cleanup_(change_set_done) ChangeSet first = {};
        bool news;
        int r;

        if (m->change.done && !m->change.program)
                r = diag_set(reterr, (Pos) {}, -EBUSY, "another program is just being kept");
        else if (!deploy_hosts_have(options->hosts, m->hostname))
                r = diag_set(reterr, (Pos) {}, -EPERM, "it is meant for other hosts (%s)", options->hosts);
        else
                r = deploy_guard_check(&m->guard, bundle, options, reterr);
        if (r < 0) {
                value_done(&bundle);
                deploy_options_done(options);
                return r;
        }
        r = deployed_compile(&p, bundle, options, &m->programs, reterr);
        if (r >= 0)
                r = deployed_step(p, &first, &news, reterr);
        if (r >= 0 && store && !m->world)
                r = world_link_new(&m->world, m, false);
        if ((r >= 0 || may_recover(m, p, deploy)) && !m->engine) {
                int k = engine_link_new(&m->engine, m);
                r = r < 0 ? r : k;
        }
        if (p)
                p->deploy = deploy;
        if (r < 0) {
                diag_set(reterr, (Pos) {}, r, "cannot start the program: %m");
                set_last_error(m, reterr);
                if (m->engine && may_recover(m, p, deploy)) {
                        m->current = TAKE_PTR(p);
                        m->in_force_since = UINT64_MAX;
                }
                manager_emit_changed(m);
                return r;
        }

        if (m->change.done)
                change_drop(m);
        m->change = (Change) { .program = TAKE_PTR(p), .store = store, .done = done, .userdata = userdata };
        if (lang_is_running(m->change.program->lang))   /* else a wave does it */
                r = engine_link_send(m->engine, m->change.program, &first);
        if (r < 0) {
                drop_program(m, m->change.program);
                m->change = (Change) {};
                diag_set(reterr, (Pos) {}, r, "cannot hand the graph to mgmt-engine: %m");
        }
        waiters_wake(m);
        return r;
}

int manager_watch_deploys(Manager *m) {
        return world_link_new(&m->world, m, true);
}

int manager_remote(Manager *m, const char *daemon, Remote **ret) {
        int r = 0;

        if (streq(daemon, "world")) {
                if (!m->world)
                        r = world_link_new(&m->world, m, false);
                if (r >= 0)
                        *ret = world_link_remote(m->world);
                return r;
        }
        if (!m->http)
                r = remote_connect(&m->http, m, daemon);
        if (r >= 0)
                *ret = m->http;
        return r;
}

/* ---- what the engine says ---- */

static void remember(Manager *m) {
        _cleanup_(diag_done) Diag d = {};

        if (deploy_guard_accepted(&m->guard, &m->current->options, &d) < 0)
                log_diag(LOG_ERR, &d);
}

void manager_accepted(Manager *m, uint64_t generation) {
        if (generation != m->generation)
                return;
        if (!m->change.program || m->sent != m->change.program) {
                /* One that began with an error. */
                if (m->current && m->sent == m->current && m->in_force_since == UINT64_MAX)
                        m->in_force_since = generation;
                manager_report(m);
                return;
        }
        drop_program(m, m->current);
        m->current = TAKE_PTR(m->change.program);
        m->in_force_since = generation;
        log_info("a program is in force: %s", m->current->options.source);
        waiters_wake(m);
        remember(m);

        if (m->change.store) {
                int r = world_link_store(m->world, m->current);
                _cleanup_(diag_done) Diag d = {};

                if (r < 0) {
                        diag_set(&d, (Pos) {}, r, "the program runs, but cannot be kept: %m");
                        manager_change_finish(m, r, &d);
                }
                return;
        }
        manager_change_finish(m, 0, NULL);
}

void manager_rejected(Manager *m, uint64_t generation, Diag *d) {
        if (generation != m->generation)
                return;
        if (m->change.program && m->sent == m->change.program) {
                manager_change_finish(m, d->error < 0 ? d->error : -EINVAL, d);
                return;
        }
        log_diag(LOG_ERR, d);
        if (m->current) {
                free(m->current->error);
                m->current->error = diag_text(d);
        }
        manager_emit_changed(m);
        manager_report(m);
}

void manager_graph_state(Manager *m, uint64_t generation, bool converged, uint32_t n_failed, const Diag *d) {
        free(m->graph.text);
        m->graph = (GraphState) { .generation = generation, .converged = converged, .n_failed = n_failed,
                                  .text = d && d->message ? diag_text(d) : NULL };
        manager_report(m);
}

/* ---- what mgmt-world says ---- */

void manager_stored(Manager *m, uint64_t deploy, Diag *d) {
        if (!m->change.done || m->change.program)
                return;
        if (deploy == 0) {
                diag_prefix(d, "the program runs, but cannot be kept");
                manager_change_finish(m, d->error < 0 ? d->error : -EIO, d);
                return;
        }
        m->current->deploy = deploy;
        (void) engine_link_rename(m->engine);   /* without a connection the next full set says it */
        if (m->later.id < deploy)
                later_done(m);         /* it came before this one had its number */
        manager_change_finish(m, 0, NULL);
}

static void refuse(Manager *m, uint64_t deploy, const Diag *d) {
        log_diag(LOG_ERR, d);
        free(m->refused.text);
        m->refused = (Refusal) { .deploy = deploy, .text = diag_text(d) };
        manager_report(m);
}

static void deploy_started(void *userdata, int error, uint64_t deploy, const Diag *d) {
        Manager *m = userdata;

        if (error == -ESTALE)
                log_diag(LOG_ERR, d);   /* it was overtaken, or this is the end */
        else if (error < 0)
                refuse(m, m->trying, d);
        else
                log_info("deploy %llu is in force", (unsigned long long) deploy);
}

/* The program in force is what this deploy says, so nothing has to be done but to remember who said so. */
static bool renew(Manager *m, Deploy *d) {
        Deployed *p = m->current;
        _cleanup_(diag_done) Diag diag = {};

        if (!p || !value_equal(p->bundle, d->bundle) || !deploy_options_run_alike(&p->options, &d->options))
                return false;
        if (!deploy_options_equal(&p->options, &d->options)) {
                if (!deploy_hosts_have(d->options.hosts, m->hostname) || deploy_guard_check(&m->guard, d->bundle, &d->options, &diag) < 0)
                        return false;           /* the long way finds the same, and tells */
                deploy_options_done(&p->options);
                p->options = d->options;
                d->options = (DeployOptions) {};
                remember(m);
        }
        return true;
}

/* The deploy that came while a change was under way. */
static void run_later(Manager *m) {
        _cleanup_(diag_done) Diag d = {};
        Deploy later = m->later;

        if (later.id == 0)
                return;
        m->later = (Deploy) {};
        if (renew(m, &later)) {
                if (m->current->deploy != later.id) {
                        m->current->deploy = later.id;
                        (void) engine_link_rename(m->engine);
                        manager_emit_changed(m);
                        manager_report(m);
                }
                value_done(&later.bundle);
                deploy_options_done(&later.options);
                return;
        }
        m->trying = later.id;
        if (manager_change(m, later.bundle, &later.options, later.id, false, deploy_started, m, &d) < 0)
                refuse(m, later.id, &d);
}

/* There is none: mgmt-world has another store than the one that the program in force was kept in, and begins to count. */
static void forget_number(Manager *m) {
        m->refused.deploy = 0;
        deploy_report_done(&m->report);
        if (!m->current || m->current->deploy == 0)
                return;
        m->current->deploy = 0;
        if (!m->change.done)            /* else the engine hears of another one anyway */
                (void) engine_link_rename(m->engine);
        manager_emit_changed(m);
}

void manager_deployed(Manager *m, uint64_t deploy, Value bundle, Value options) {
        _cleanup_(diag_done) Diag d = {};
        DeployOptions parsed = {};

        if (deploy == 0)
                forget_number(m);
        if (deploy == 0 || (m->current && deploy < m->current->deploy) || deploy < m->later.id)
                return;
        if (bundle.kind != TYPE_MAP || deploy_options_from_value(&parsed, options, &d) < 0) {
                diag_set(&d, (Pos) {}, -EBADMSG, "it has no files");
                diag_prefix(&d, "deploy %llu is broken", (unsigned long long) deploy);
                refuse(m, deploy, &d);
                return;
        }
        later_done(m);
        m->later = (Deploy) { .id = deploy, .bundle = value_ref(bundle), .options = parsed };
        if (!m->change.done)
                run_later(m);
}
