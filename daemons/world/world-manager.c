/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Builds and ends what mgmt-world consists of, and answers its messages: tasks go to the worker, deploys are handled here. */

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/ipc/session.h"
#include "common/sd/log.h"
#include "daemons/world/world-manager.h"

/* ---- messages ---- */

static void on_message(Channel *c, PeerId peer, Message *message, void *userdata) {
        WorldManager *m = userdata;

        if (message->type == MESSAGE_HELLO)
                deploy_server_hello(m->deploy_server, message);
        if (worker_message(m->worker, c, peer, message) || source_server_message(m->sources, c, peer, message) ||
            exporter_message(m->exporter, c, peer, message) || keys_server_message(m->writes, c, peer, message) ||
            deploy_server_message(m->deploy_server, c, peer, message))
                return;

        switch (message->type) {

        case MESSAGE_HELLO:
                session_welcome(c, peer);
                break;

        case MESSAGE_ERROR:
                log_warning(message->error.error, "a peer complains: %s", message->error.text ?: "");
                break;

        default:
                session_refuse(c, peer, -EOPNOTSUPP, "mgmt-world does not take this message");
        }
}

static void on_gone(Channel *c, PeerId peer, void *userdata) {
        WorldManager *m = userdata;

        deploy_server_gone(m->deploy_server, peer);
        source_server_gone(m->sources, peer);
}

static void on_room(Channel *c, PeerId peer, void *userdata) {
        WorldManager *m = userdata;

        source_server_room(m->sources, peer);
        deploy_server_room(m->deploy_server, peer);
}

static const ChannelOps channel_ops = { .message = on_message, .gone = on_gone, .room = on_room };

/* ---- the whole ---- */

/* Somebody wrote to the database with other tools. */
static void on_others(void *userdata) {
        WorldManager *m = userdata;

        store_changed(m->own);
}

static const char *arg_copy_of = NULL, *arg_store = NULL;
static int64_t arg_converger_timeout = -1;

static int parse_timeout(const char *text) {
        char *end;

        errno = 0;
        long long n = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end || n < -1 || n > INT32_MAX)
                return -EINVAL;
        arg_converger_timeout = n;
        return 0;
}

int world_option(Daemon *d, int value, const char *argument) {
        switch (value) {
        case WORLD_OPTION_COPY_OF:
                arg_copy_of = argument;
                return 0;
        case WORLD_OPTION_STORE:
                arg_store = argument;
                return 0;
        case WORLD_OPTION_CONVERGER_TIMEOUT:
                return parse_timeout(argument);
        default:
                return -EINVAL;
        }
}

static int copy_database(const char *path, Diag *reterr) {
        _cleanup_free_ char *from = NULL;

        if (!arg_copy_of)
                return 0;
        if (asprintf(&from, "%s/world.sqlite", arg_copy_of) < 0) {
                from = NULL;
                return -ENOMEM;
        }
        int r = database_copy(from, path);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "cannot copy '%s': %m", from) : 0;
}

/* The store that hosts share, if there is one; else this host is the world. */
static int open_shared(WorldManager *m, const char *path, Diag *reterr) {
        const char *uri = arg_store ?: getenv("MGMT_STORE") ?: "sqlite:", *endpoints = startswith(uri, "etcd:");

        if (!endpoints && !streq(uri, "sqlite:") && uri[0])
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no store, expected 'sqlite:' or 'etcd:https://HOST:PORT,…'", uri);
        if (asprintf(&m->store_uri, "%s%s", endpoints ? "etcd:" : "sqlite:", endpoints ?: path) < 0) {
                m->store_uri = NULL;
                return -ENOMEM;
        }
        if (endpoints)
                return store_open_etcd(&m->store, m->daemon->event, endpoints, reterr);
        m->store = m->own;
        return 0;
}

static void on_deploy_added(uint64_t id, void *userdata) {
        world_bus_deploy_added(userdata, id);
}

/* Many of them at once are one piece of news. */
static int on_troubled(sd_event_source *s, void *userdata) {
        world_bus_troubled(userdata);
        return 0;
}

static void troubled(void *userdata) {
        (void) sd_event_source_set_enabled(((WorldManager *) userdata)->troubled, SD_EVENT_ONESHOT);
}

static int open_troubles(WorldManager *m) {
        int r;

        r = sd_event_add_defer(m->daemon->event, &m->troubled, on_troubled, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->troubled, SD_EVENT_OFF);
        if (r < 0)
                return r;
        m->troubles = troubles_new(troubled, m);
        if (!m->troubles)
                return -ENOMEM;
        m->store->troubles = m->troubles;
        return 0;
}

static int open_stores(WorldManager *m) {
        _cleanup_(diag_done) Diag diag = {};
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, "%s/world.sqlite", m->daemon->state_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = copy_database(path, &diag);
        if (r >= 0)
                r = database_open(&m->database, m->daemon->event, path, &diag);
        if (r >= 0)
                r = deploys_open(&m->deploys, m->database, &diag);
        if (r < 0 && diag.error < 0) {
                (void) log_diag(LOG_ERR, &diag);
                return -ECANCELED;
        }
        if (r >= 0)
                r = store_open_sqlite(&m->own, m->database);
        if (r >= 0)
                r = open_shared(m, path, &diag);
        if (r >= 0)
                r = open_troubles(m);
        if (r < 0 && diag.error < 0) {
                (void) log_diag(LOG_ERR, &diag);
                return -ECANCELED;
        }
        if (r >= 0)
                r = keys_open_shared(&m->keys, m->store);
        if (r >= 0)
                r = keys_open_local(&m->local, m->own);
        if (r >= 0)
                r = deploy_server_new(&m->deploy_server, m->daemon->event, m->deploys, m->store == m->own ? NULL : m->store,
                                      on_deploy_added, m);
        if (r >= 0)
                r = exporter_new(&m->exporter, m->daemon->event, m->store);
        if (r >= 0)
                r = collectors_new(&m->collectors, m->store);
        if (r >= 0)
                r = schedules_new(&m->schedules, m->daemon->event, m->store, arg_copy_of);
        if (r < 0)
                return r;
        r = database_watch_others(m->database, on_others, m);
        if (r < 0)
                log_warning(r, "changes that others make to the database will not be noticed: %m");
        return 0;
}

int world_manager_start(Daemon *d) {
        WorldManager *m;
        int r;

        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        d->manager = m;
        m->daemon = d;
        m->converger_timeout = arg_converger_timeout;
        r = open_stores(m);
        if (r < 0)
                return r;
        r = worker_new(&m->worker, d->event, world_kinds, d->state_dir, m);
        if (r < 0)
                return r;
        r = source_server_new(&m->sources, world_functions,
                              &(SourceHost) { .event = d->event, .manager = m, .state_dir = d->state_dir });
        if (r < 0)
                return r;
        r = keys_server_new(&m->writes, m->keys, m->local);
        if (r < 0)
                return r;
        r = world_bus_export(m);
        if (r < 0)
                return r;
        if (d->listen_fd < 0)
                return 0;
        return channel_listen(&m->channel, d->event, TAKE_FD(d->listen_fd), &channel_ops, m);
}

void world_manager_stop(Daemon *d) {
        WorldManager *m = d->manager;

        if (!m)
                return;
        worker_free(m->worker);
        source_server_free(m->sources);
        keys_server_free(m->writes);
        deploy_server_free(m->deploy_server);
        exporter_free(m->exporter);
        collectors_free(m->collectors);
        schedules_free(m->schedules);
        database_free(m->database);     /* ends calls that wait; nobody is left to hear of it but who asked by the bus */
        channel_free(m->channel);
        deploys_free(m->deploys);
        keys_free(m->keys);
        keys_free(m->local);
        if (m->store != m->own)
                store_free(m->store);
        store_free(m->own);
        troubles_free(m->troubles);
        (void) sd_event_source_disable_unref(m->troubled);
        free(m->store_uri);
        free(m);
        d->manager = NULL;
}
