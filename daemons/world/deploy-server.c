/* SPDX-License-Identifier: GPL-3.0-or-later */

/* In a cluster a host follows the list, and fetches what has a higher number than what it was given before. So nothing is given twice,
 * and nothing that is older, whatever order news comes in. What it was given is kept as soon as mgmt-lang says that it is in force.
 *
 * A cluster that is restored from a backup gives numbers out a second time. So a deploy that has no higher number, but was made later,
 * counts as well. */

#include <errno.h>
#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "common/ipc/session.h"
#include "common/sd/log.h"
#include "daemons/world/deploy-server.h"
#include "daemons/world/host-states.h"

enum { WATCHERS_MAX = 16, HOSTS_WATCHERS_MAX = 16 };

#define RETRY_USEC UINT64_C(5000000)
#define REFUSED_USEC UINT64_C(60000000)         /* after an error that will not go by itself */

/* Somebody who wants to know what has become of deploys on all hosts. */
typedef struct HostsWatcher {
        DeployServer *server;
        PeerId peer;
        HostStates *states;     /* NULL: it has to read first what it was told */
        bool behind;
        TAILQ_ENTRY(HostsWatcher) link;
} HostsWatcher;

struct DeployServer {
        sd_event *event;
        Deploys *own;
        Channel *channel;
        void (*added)(uint64_t id, void *userdata);
        void *userdata;
        PeerId watchers[WATCHERS_MAX];  /* who sent DEPLOY_WATCH, oldest first */
        size_t n_watchers;

        /* The rest is about a cluster. */
        Store *store;           /* NULL: there is none */
        ClusterDeploys *cluster;
        char *hostname;         /* as mgmt-lang says; NULL: it has not said it yet */
        ClusterFollower *follower;
        HostPublisher *publisher;
        sd_event_source *retry;
        uint64_t newest, newest_usec;   /* of the list, and when it was made */
        unsigned n_adding;      /* of mgmt-lang: the newest may be its own, which it has */
        bool fetching;
        uint64_t fetched;       /* which one, last */
        Deploy given;           /* what the watchers were given last; its files only until it is kept */
        uint64_t in_force;      /* as mgmt-lang says */
        uint64_t kept;          /* what is in the database */
        TAILQ_HEAD(, HostsWatcher) hosts_watchers;
};

/* ---- who watches ---- */

static void watcher_remove(DeployServer *s, PeerId peer) {
        for (size_t i = 0; i < s->n_watchers; i++)
                if (s->watchers[i] == peer) {
                        memmove(&s->watchers[i], &s->watchers[i + 1], (s->n_watchers - i - 1) * sizeof(PeerId));
                        s->n_watchers--;
                        return;
                }
}

/* There is normally one; should there be too many, the oldest makes room. */
static void watcher_add(DeployServer *s, PeerId peer) {
        watcher_remove(s, peer);
        if (s->n_watchers == WATCHERS_MAX)
                watcher_remove(s, s->watchers[0]);
        s->watchers[s->n_watchers++] = peer;
}

static bool is_watcher(const DeployServer *s, PeerId peer) {
        for (size_t i = 0; i < s->n_watchers; i++)
                if (s->watchers[i] == peer)
                        return true;
        return false;
}

static void reply(DeployServer *s, PeerId peer, const Message *message) {
        int r;

        r = channel_send(s->channel, peer, message);
        if (r < 0 && r != -ENOTCONN)
                log_error(r, "cannot send %s, ignoring: %m", message_name(message->type));
}

static void send_deploy(DeployServer *s, PeerId peer, const Deploy *d) {
        reply(s, peer, &(Message) {
                        .type = MESSAGE_DEPLOY,
                        .deploy = { .deploy = d->id, .bundle = d->bundle, .options = d->options },
                });
}

static void give(DeployServer *s, const Deploy *d) {
        for (size_t i = 0; i < s->n_watchers; i++)
                send_deploy(s, s->watchers[i], d);
}

/* ---- a question that waits for an answer ---- */

typedef struct Question {
        DeployServer *server;
        PeerId peer;
        uint64_t request;
} Question;

static Question *question_new(DeployServer *s, PeerId peer, uint64_t request) {
        Question *q = malloc(sizeof(*q));

        if (q)
                *q = (Question) { .server = s, .peer = peer, .request = request };
        return q;
}

/* ---- the one that is kept ---- */

static void pursue_later(DeployServer *s, int error);

static void on_kept_written(int error, const Deploy *deploys, size_t n, void *userdata) {
        DeployServer *s = userdata;

        if (error == -ECANCELED)
                return;
        if (error < 0) {
                log_error(error, "cannot keep the deploy of the cluster for the next start, trying again: %m");
                pursue_later(s, error);
                return;
        }
        s->kept = deploys[0].id;
        if (s->given.id == s->kept)
                value_done(&s->given.bundle);
}

/* What was given, as soon as it is in force. */
static void keep(DeployServer *s) {
        int r;

        if (s->in_force != s->given.id || s->given.bundle.kind == TYPE_NIL || s->given.id == s->kept)
                return;
        r = deploys_keep(s->own, &s->given, on_kept_written, s);
        if (r < 0)
                log_error(r, "cannot keep the deploy of the cluster for the next start: %m");
}

/* ---- the newest of a cluster ---- */

static void set_given(DeployServer *s, const Deploy *d) {
        Deploy before = s->given;

        s->given = *d;
        s->given.bundle = value_ref(d->bundle);
        s->given.options = value_ref(d->options);
        value_done(&before.bundle);
        value_done(&before.options);
        keep(s);
}

/* Whether what is in the list, or was fetched from it, comes after what was given last. */
static bool is_later(const DeployServer *s, uint64_t id, uint64_t time_usec) {
        return id > s->given.id || (id > 0 && s->given.time_usec > 0 && time_usec > s->given.time_usec);
}

/* The number is that of one before: what was in force counts for nothing any more. */
static void begin_anew(DeployServer *s, uint64_t id) {
        log_warning(0, "deploy %llu of the cluster was made after deploy %llu, which this host has: the store was restored from a "
                    "backup, or made anew", (unsigned long long) id, (unsigned long long) s->given.id);
        s->in_force = s->kept = 0;
        give(s, &(Deploy) {});
}

static void pursue(DeployServer *s);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        keep(userdata);
        pursue(userdata);
        return 0;
}

static void pursue_later(DeployServer *s, int error) {
        (void) sd_event_source_set_time_relative(s->retry, error == -EHOSTDOWN ? RETRY_USEC : REFUSED_USEC);
        (void) sd_event_source_set_enabled(s->retry, SD_EVENT_ONESHOT);
}

/* It stays broken, so it is not asked for again. */
static void refuse_broken(DeployServer *s, uint64_t id, int error) {
        set_given(s, &(Deploy) { .id = id, .time_usec = s->newest == id ? s->newest_usec : 0 });
        if (s->publisher)
                host_publisher_set(s->publisher, id, DEPLOY_REFUSED, error == -EPROTONOSUPPORT ? "another version of mgmt wrote it"
                                                                                               : "its files are broken");
}

static void on_fetched(int error, const Deploy *deploys, size_t n, void *userdata) {
        DeployServer *s = userdata;

        if (error == -ECANCELED)
                return;
        s->fetching = false;
        if (error == -EBADMSG || error == -EPROTONOSUPPORT) {
                log_error(error, "cannot read deploy %llu of the cluster: %m", (unsigned long long) s->fetched);
                refuse_broken(s, s->fetched, error);
                pursue(s);
                return;
        }
        if (error < 0) {
                if (error != -EHOSTDOWN)
                        log_error(error, "cannot read deploy %llu of the cluster: %s", (unsigned long long) s->fetched,
                                  deploy_server_problem(s, error));
                pursue_later(s, error);
                return;
        }
        if (n > 0 && is_later(s, deploys[0].id, deploys[0].time_usec)) {
                if (deploys[0].id <= s->given.id)
                        begin_anew(s, deploys[0].id);
                set_given(s, &deploys[0]);
                give(s, &s->given);
                s->added(s->given.id, s->userdata);
        }
        if (n > 0)
                pursue(s);      /* there may be a newer one by now */
}

static void pursue(DeployServer *s) {
        int r;

        if (s->fetching || s->n_adding > 0 || s->n_watchers == 0 || !is_later(s, s->newest, s->newest_usec))
                return;
        r = cluster_deploys_get(s->cluster, s->newest, on_fetched, s);
        if (r >= 0) {
                s->fetching = true;
                s->fetched = s->newest;
        } else {
                log_error(r, "cannot read deploy %llu of the cluster: %m", (unsigned long long) s->newest);
                pursue_later(s, r);
        }
}

static void on_newest(uint64_t id, uint64_t time_usec, void *userdata) {
        DeployServer *s = userdata;

        if (id < s->kept && !is_later(s, id, time_usec))
                log_warning(0, "the newest deploy that the cluster has for this host is %llu, older than the one in force here (%llu): "
                            "was it restored from a backup, or is it another cluster? The next deploy, which is made later, counts",
                            (unsigned long long) id, (unsigned long long) s->kept);
        s->newest = id;
        s->newest_usec = time_usec;
        pursue(s);
}

/* Once mgmt-lang has said who this host is. */
static void join(DeployServer *s) {
        int r = 0;

        if (!s->hostname)
                return;
        if (!s->follower)
                r = cluster_deploys_follow(s->cluster, s->hostname, on_newest, s, &s->follower);
        if (r < 0)
                log_error(r, "cannot follow the deploys of the cluster: %m");
        if (s->publisher)
                return;
        r = host_publisher_new(&s->publisher, s->event, s->store, s->hostname);
        if (r < 0)
                log_error(r, "cannot tell the cluster about host '%s': %m", s->hostname);
}

/* What this host starts with, whether or not the cluster can be reached. */
static void on_kept(int error, const Deploy *deploys, size_t n, void *userdata) {
        _cleanup_free_ Question *q = userdata;
        DeployServer *s = q->server;

        if (error == -ECANCELED)
                return;
        if (error < 0)
                log_error(error, "cannot read the deploy that was kept: %m");
        send_deploy(s, q->peer, n > 0 ? &deploys[0] : &(Deploy) {});
        if (n > 0) {
                s->kept = deploys[0].id;
                if (s->given.id < s->kept) {
                        set_given(s, &deploys[0]);
                        value_done(&s->given.bundle);
                }
        }
        if (s->given.id > s->kept) {    /* it was given to one before, who is gone */
                if (s->given.bundle.kind != TYPE_NIL)
                        send_deploy(s, q->peer, &s->given);
                else
                        s->given.id = s->kept;
        }
        join(s);
        pursue(s);
}

/* ---- on a host of its own ---- */

static void on_own_newest(int error, const Deploy *deploys, size_t n, void *userdata) {
        _cleanup_free_ Question *q = userdata;

        if (error == -ECANCELED)
                return;
        if (error < 0) {
                log_error(error, "cannot read the newest deploy: %m");
                session_refuse(q->server->channel, q->peer, error, "cannot read the newest deploy");
        } else
                send_deploy(q->server, q->peer, n > 0 ? &deploys[0] : &(Deploy) {});
}

static void deploy_watch(DeployServer *s, PeerId peer) {
        Question *q = question_new(s, peer, 0);
        int r;

        watcher_add(s, peer);
        r = !q ? -ENOMEM : s->cluster ? deploys_kept(s->own, on_kept, q) : deploys_newest(s->own, on_own_newest, q);
        if (r < 0) {
                log_error(r, "cannot read the newest deploy: %m");
                free(q);
        }
}

/* ---- adding ---- */

const char *deploy_server_problem(const DeployServer *s, int error) {
        const char *problem = s->cluster ? cluster_deploys_problem(s->cluster, error) : NULL;

        if (error == -ESTALE)
                return "another deploy was made meanwhile";
        return problem ?: strerrordesc_np(-error);
}

static void answer_failure(DeployServer *s, PeerId peer, uint64_t request, int error, Diag *d) {
        if (!d->message)
                (void) diag_set(d, (Pos) {}, error, "cannot store the deploy: %s", deploy_server_problem(s, error));
        reply(s, peer, &(Message) { .type = MESSAGE_DEPLOY_ADDED, .deploy_added = { .request = request, .diag = *d } });
}

static void on_added(int error, const Deploy *deploys, size_t n, void *userdata) {
        _cleanup_free_ Question *q = userdata;
        _cleanup_(diag_done) Diag diag = {};
        DeployServer *s = q->server;

        if (error == -ECANCELED)
                return;
        if (s->cluster)
                s->n_adding--;
        if (error < 0) {
                log_error(error, "cannot store a deploy: %s", deploy_server_problem(s, error));
                answer_failure(s, q->peer, q->request, error, &diag);
                pursue(s);
                return;
        }
        reply(s, q->peer, &(Message) { .type = MESSAGE_DEPLOY_ADDED, .deploy_added = { .request = q->request, .deploy = deploys[0].id } });
        log_info("deploy %llu: %llu files", (unsigned long long) deploys[0].id, (unsigned long long) deploys[0].n_files);
        if (s->cluster && deploys[0].id > s->given.id)
                set_given(s, &deploys[0]);
        give(s, &deploys[0]);
        s->added(deploys[0].id, s->userdata);
        pursue(s);
}

static void deploy_add(DeployServer *s, PeerId peer, Message *m) {
        _cleanup_(diag_done) Diag diag = {};
        Question *q = question_new(s, peer, m->deploy_add.request);
        int r;

        if (!q)
                r = -ENOMEM;
        else if (s->cluster)
                r = deploy_server_add(s, &(ClusterAddition) { .bundle = m->deploy_add.bundle, .options = m->deploy_add.options },
                                      on_added, q, &diag);
        else
                r = deploys_add(s->own, m->deploy_add.bundle, m->deploy_add.options, on_added, q, &diag);
        if (r >= 0 && s->cluster)
                s->n_adding++;
        if (r < 0) {
                free(q);
                answer_failure(s, peer, m->deploy_add.request, r, &diag);
        }
}

int deploy_server_add(DeployServer *s, const ClusterAddition *a, deploys_callback_t callback, void *userdata, Diag *reterr) {
        ClusterAddition above = *a;

        if (!s->cluster)
                return diag_set(reterr, (Pos) {}, -EOPNOTSUPP, "this host shares nothing with others, see MGMT_STORE in docs/world.md");
        above.above = MAX(s->kept, s->given.id);
        return cluster_deploys_add(s->cluster, &above, callback, userdata, reterr);
}

/* ---- what has become of them ---- */

static void deploy_state(DeployServer *s, PeerId peer, const Message *m) {
        if (!s->cluster || !is_watcher(s, peer))
                return;
        if (m->deploy_state.in_force) {
                s->in_force = m->deploy_state.deploy;
                keep(s);
        }
        join(s);
        if (s->publisher)
                host_publisher_set(s->publisher, m->deploy_state.deploy, deploy_state_from_name(m->deploy_state.state),
                                   m->deploy_state.text);
}

static void tell_host(const char *host, uint64_t deploy, const char *state, const char *text, void *userdata) {
        HostsWatcher *w = userdata;
        int r;

        r = w->behind ? 0 : channel_send(w->server->channel, w->peer, &(Message) {
                .type = MESSAGE_HOST_STATE,
                .host_state = { .host = (char *) host, .deploy = deploy, .state = (char *) state, .text = (char *) text },
        });
        w->behind = w->behind || r == -ENOBUFS;         /* deploy_server_room() begins anew */
}

static void tell_told(void *userdata) {
        HostsWatcher *w = userdata;

        if (!w->behind && channel_send(w->server->channel, w->peer, &(Message) { .type = MESSAGE_HOSTS_TOLD }) == -ENOBUFS)
                w->behind = true;
}

static HostsWatcher *hosts_watcher_find(const DeployServer *s, PeerId peer) {
        HostsWatcher *w;

        TAILQ_FOREACH(w, &s->hosts_watchers, link)
                if (w->peer == peer)
                        return w;
        return NULL;
}

static void hosts_watcher_free(HostsWatcher *w) {
        TAILQ_REMOVE(&w->server->hosts_watchers, w, link);
        host_states_free(w->states);
        free(w);
}

static int hosts_watcher_start(HostsWatcher *w) {
        static const HostStatesOps ops = { .state = tell_host, .told = tell_told };

        w->states = host_states_free(w->states);
        w->behind = false;
        return host_states_watch(&w->states, w->server->store, &ops, w);
}

static int hosts_watch(DeployServer *s, PeerId peer) {
        HostsWatcher *w = hosts_watcher_find(s, peer), *other;
        size_t n = 0;
        int r;

        if (!s->cluster)
                return -EOPNOTSUPP;
        if (!w) {
                TAILQ_FOREACH(other, &s->hosts_watchers, link)
                        n++;
                if (n >= HOSTS_WATCHERS_MAX)
                        return -EUSERS;
                w = calloc(1, sizeof(*w));
                if (!w)
                        return -ENOMEM;
                *w = (HostsWatcher) { .server = s, .peer = peer };
                TAILQ_INSERT_TAIL(&s->hosts_watchers, w, link);
        }
        r = hosts_watcher_start(w);
        if (r < 0)
                hosts_watcher_free(w);
        return r;
}

/* ---- messages ---- */

void deploy_server_hello(DeployServer *s, const Message *m) {
        char *name;

        if (!s->cluster || !streq_ptr(m->hello.role, "lang") || !m->hello.hostname || !*m->hello.hostname ||
            streq_ptr(s->hostname, m->hello.hostname))
                return;
        name = strdup(m->hello.hostname);
        if (!name)
                return;         /* with the next one */
        free(s->hostname);
        s->hostname = name;
        /* Should it have another name now, what is meant for it may be something else: join() begins anew. */
        s->follower = cluster_follower_free(s->follower);
        s->publisher = host_publisher_free(s->publisher);
        s->newest = s->newest_usec = 0;
}

bool deploy_server_message(DeployServer *s, Channel *c, PeerId peer, Message *m) {
        int r;

        s->channel = c;
        switch (m->type) {
        case MESSAGE_DEPLOY_WATCH:
                deploy_watch(s, peer);
                return true;
        case MESSAGE_DEPLOY_ADD:
                deploy_add(s, peer, m);
                return true;
        case MESSAGE_DEPLOY_STATE:
                deploy_state(s, peer, m);
                return true;
        case MESSAGE_HOSTS_WATCH:
                r = hosts_watch(s, peer);
                if (r < 0)
                        session_refuse(c, peer, r, r == -EOPNOTSUPP ? "this host shares nothing with others" : "cannot watch the hosts");
                return true;
        default:
                return false;
        }
}

void deploy_server_gone(DeployServer *s, PeerId peer) {
        HostsWatcher *w = hosts_watcher_find(s, peer);

        watcher_remove(s, peer);
        if (w)
                hosts_watcher_free(w);
}

void deploy_server_room(DeployServer *s, PeerId peer) {
        HostsWatcher *w = hosts_watcher_find(s, peer);

        if (w && w->behind && hosts_watcher_start(w) < 0)
                hosts_watcher_free(w);
}

/* ---- for the bus ---- */

uint64_t deploy_server_newest(const DeployServer *s) {
        return s->cluster ? MAX(s->given.id, s->newest) : deploys_newest_id(s->own);
}

int deploy_server_list(DeployServer *s, deploys_callback_t callback, void *userdata) {
        return s->cluster ? cluster_deploys_list(s->cluster, callback, userdata) : deploys_list(s->own, callback, userdata);
}

int deploy_server_get(DeployServer *s, uint64_t id, deploys_callback_t callback, void *userdata) {
        return s->cluster ? cluster_deploys_get(s->cluster, id, callback, userdata) : deploys_get(s->own, id, callback, userdata);
}

/* ---- the whole ---- */

int deploy_server_new(DeployServer **ret, sd_event *event, Deploys *own, Store *shared, void (*added)(uint64_t id, void *userdata),
                      void *userdata) {
        DeployServer *s = calloc(1, sizeof(*s));
        int r = 0;

        if (!s)
                return -ENOMEM;
        *s = (DeployServer) { .event = sd_event_ref(event), .own = own, .store = shared, .added = added, .userdata = userdata };
        TAILQ_INIT(&s->hosts_watchers);
        if (shared) {
                r = sd_event_add_time_relative(event, &s->retry, CLOCK_MONOTONIC, 0, 0, on_retry, s);
                if (r >= 0)
                        r = sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
                if (r >= 0)
                        r = cluster_deploys_new(&s->cluster, shared);
        }
        if (r < 0) {
                deploy_server_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

DeployServer *deploy_server_free(DeployServer *s) {
        HostsWatcher *w;

        if (!s)
                return NULL;
        while ((w = TAILQ_FIRST(&s->hosts_watchers)))
                hosts_watcher_free(w);
        cluster_follower_free(s->follower);
        host_publisher_free(s->publisher);
        cluster_deploys_free(s->cluster);
        sd_event_source_disable_unref(s->retry);
        sd_event_unref(s->event);
        value_done(&s->given.bundle);
        value_done(&s->given.options);
        free(s->hostname);
        free(s);
        return NULL;
}
