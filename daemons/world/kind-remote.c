/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the cluster deploys, run on another host over SSH. All that is done there is done by a child, `mgmt-ssh agent`; an attempt is
 * such a session (remote-session.h). Where the other host goes on without us, the one that has seen it run stays and is the watch. */

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "common/remote/target.h"
#include "common/resource.h"
#include "common/usec.h"
#include "daemons/world/remote-session.h"
#include "daemons/world/world-manager.h"

enum {
        TIMEOUT_MAX_SEC = INT32_MAX,
        HOST_KEY_MIN = 40,              /* characters */
        PORT_DEFAULT = 22,
};

#define STOP_USEC (UINT64_C(60) * 1000 * 1000)  /* for what runs there to end when an attempt is given up */
#define BRIEF_USEC (UINT64_C(3) * 1000 * 1000)  /* what ends so soon after it was started has failed */

typedef struct RemoteResource {
        Resource resource;
        char *remote, *hostname;
        char *state;
        char *ssh_id;           /* NULL: the usual keys; "": none */
        char *hostkey;
        bool interactive;
        int64_t interactive_timeout, max_password_tries;
        bool allow_cleartext_password;
        bool caching, transient, tunnelled;
        char *tunnel_addr;
        bool install_deps;
        Value converger_timeout;        /* int; nil: this host's own */

        RemoteSession *session;         /* of the attempt; or, when it is over, the watch */
        bool attempting, apply;
        int result;                     /* of the attempt, once the session has ended well */
        bool runs;                      /* as the session that is the watch has seen */
        uint64_t started_usec;          /* when it has started it; 0: it ran already */
        char *failure;                  /* it has ended too soon; for the next attempt to say */
} RemoteResource;

static const FieldSpec remote_fields[] = {
        FIELD(RemoteResource, remote, FIELD_STR, FIELD_IS_NAME | FIELD_SECRET, "The host: '[ssh://][user[:password]@]host[:port]'. The user is "
              "root and the port 22 where they are not said. In a password, what is no letter or digit may be written as '%' and two digits."),
        FIELD(RemoteResource, hostname, FIELD_STR, 0, "Who the host is in the cluster; empty: who it says it is."),
        FIELD(RemoteResource, state, FIELD_STR, 0, "'running' or 'stopped'.", .initial = "\"running\""),
        FIELD(RemoteResource, ssh_id, FIELD_STR, FIELD_OPTIONAL, "Path of the private key to log in with, '~/' is the daemon's home. Without "
              "it the keys of ssh-agent and those in '~/.ssh' are tried; if it is empty, none."),
        FIELD(RemoteResource, hostkey, FIELD_STR, 0, "The host's public key in base64, as known_hosts has it: a host that shows it is the right "
              "one, as is one that known_hosts knows. Any other is refused."),
        FIELD(RemoteResource, interactive, FIELD_BOOL, 0, "Ask for a password. Refused: a daemon has nobody to ask."),
        FIELD(RemoteResource, interactive_timeout, FIELD_INT64, 0, "Seconds to wait for that; 0: for ever. Nobody is asked."),
        FIELD(RemoteResource, max_password_tries, FIELD_INT64, 0, "How often to ask for it; 0: for ever. Nobody is asked."),
        FIELD(RemoteResource, allow_cleartext_password, FIELD_BOOL, 0, "Whether the password may stand in remote."),
        FIELD(RemoteResource, caching, FIELD_BOOL, 0, "Whether the programs, and what they keep, stay on the host when nothing runs there.",
              .initial = "true"),
        FIELD(RemoteResource, transient, FIELD_BOOL, 0, "Whether it runs there as long as we are connected, and an attempt is over when it "
              "has ended. Otherwise it goes on without us, and is started again when it has ended.", .initial = "true"),
        FIELD(RemoteResource, tunnelled, FIELD_BOOL, 0, "Whether the host reaches the cluster through our connection. Otherwise it does so by "
              "itself, at the URLs that this host has for it.", .initial = "true"),
        FIELD(RemoteResource, tunnel_addr, FIELD_STR, 0, "Where the tunnel would listen there. It has a socket in a private directory, which "
              "nobody else gets at, so this is without meaning.", .initial = "\"127.0.0.1:2379\""),
        FIELD(RemoteResource, install_deps, FIELD_BOOL, 0, "Have apt-get, dnf or yum install what is missing there: tar and dbus-daemon."),
        FIELD(RemoteResource, converger_timeout, FIELD_VALUE, FIELD_OPTIONAL, "Seconds without any change there after which it ends; less than 0: "
              "it does not. Without it, what 'mgmtctl run --converger-timeout' says here.", .mcl_type = "int"),
        {}
};

/* ---- fields ---- */

static bool is_stopped(const RemoteResource *m) {
        return streq(m->state, "stopped");
}

/* "HOST:PORT"; any port, 0 as well. */
static bool is_address(const char *text) {
        const char *colon = strrchr(text, ':');
        size_t n = colon ? (size_t) (colon - text) : 0;
        bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';

        if (!colon || (!brackets && memchr(text, ':', n)))
                return false;
        size_t digits = strspn(colon + 1, "0123456789");
        return digits > 0 && digits <= 5 && !colon[1 + digits] && strtoul(colon + 1, NULL, 10) <= UINT16_MAX;
}

/* What begins with the length of a short name of a type. The rest is for mgmt-ssh to judge. */
static bool is_host_key(const char *text) {
        size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), padding = strspn(text + n, "=");

        return startswith(text, "AAAA") && n >= HOST_KEY_MIN && padding <= 2 && (n + padding) % 4 == 0 && !text[n + padding];
}

/* With what is not said. */
static int parse_address(const RemoteResource *m, RemoteAddress *ret, Diag *reterr) {
        int r = remote_address_parse(ret, m->remote, reterr);

        if (r < 0)
                return r;
        if (!ret->user) {
                ret->user = "root";
                ret->user_size = strlen(ret->user);
        }
        ret->port = ret->port ?: PORT_DEFAULT;
        return 0;
}

static int validate_access(const RemoteResource *m, Diag *reterr) {
        const Resource *r = &m->resource;
        _cleanup_(diag_done) Diag d = {};
        RemoteAddress a;
        int e;

        e = parse_address(m, &a, &d);
        if (e < 0)
                return resource_error(r, reterr, e, "remote must be '[ssh://][user[:password]@]host[:port]': %s",
                                      d.message ?: strerrordesc_np(-e));
        if (a.password && streq(m->remote, r->name))
                return resource_error(r, reterr, -EINVAL, "remote must be given where it has a password, since everybody sees a name");
        if (a.password && !m->allow_cleartext_password)
                return resource_error(r, reterr, -EINVAL, "remote must not have a password without allow_cleartext_password");
        if (m->interactive)
                return resource_error(r, reterr, -EINVAL, "interactive must be false: a daemon has nobody to ask; log in by a key");
        if (m->interactive_timeout < 0 || m->interactive_timeout > TIMEOUT_MAX_SEC)
                return resource_error(r, reterr, -EINVAL, "interactive_timeout must be between 0 and %d, got '%lld'", TIMEOUT_MAX_SEC,
                                      (long long) m->interactive_timeout);
        if (m->max_password_tries < 0)
                return resource_error(r, reterr, -EINVAL, "max_password_tries must not be negative, got '%lld'",
                                      (long long) m->max_password_tries);
        if (m->hostkey[0] && !is_host_key(m->hostkey))
                return resource_error(r, reterr, -EINVAL, "hostkey must be a public key in base64, got '%s'", m->hostkey);
        if (m->ssh_id && !m->ssh_id[0] && !a.password)
                return resource_error(r, reterr, -EINVAL, "ssh_id must not be empty without a password: nothing is left to log in");
        return 0;
}

static int remote_validate(const Resource *r, Diag *reterr) {
        const RemoteResource *m = (const RemoteResource *) r;
        int e = validate_access(m, reterr);

        if (e < 0)
                return e;
        if (!streq(m->state, "running") && !is_stopped(m))
                return resource_error(r, reterr, -EINVAL, "state must be 'running' or 'stopped', got '%s'", m->state);
        if (m->hostname[0] && !remote_name_is_valid(m->hostname))
                return resource_error(r, reterr, -EINVAL, "hostname must be made of letters, digits, '.', '_' and '-', got '%s'",
                                      m->hostname);
        if (!m->transient && m->tunnelled)
                return resource_error(r, reterr, -EINVAL, "tunnelled must be false without transient: nobody is connected then");
        if (!m->transient && m->converger_timeout.kind == TYPE_INT)
                return resource_error(r, reterr, -EINVAL, "converger_timeout must not be given without transient");
        if (m->converger_timeout.kind == TYPE_INT && m->converger_timeout.i > TIMEOUT_MAX_SEC)
                return resource_error(r, reterr, -EINVAL, "converger_timeout must be at most %d seconds, got '%lld'", TIMEOUT_MAX_SEC,
                                      (long long) m->converger_timeout.i);
        if (!is_address(m->tunnel_addr))
                return resource_error(r, reterr, -EINVAL, "tunnel_addr must be 'host:port', got '%s'", m->tunnel_addr);
        return 0;
}

/* Two ways to write one thing are the same. */
static bool same_remote(const RemoteResource *x, const RemoteResource *y) {
        RemoteAddress a, b;

        if (streq(x->remote, y->remote))
                return true;
        return parse_address(x, &a, NULL) >= 0 && parse_address(y, &b, NULL) >= 0 && remote_address_equal(&a, &b);
}

static bool remote_equal(const Resource *a, const Resource *b, const char **ret_field) {
        const RemoteResource *x = (const RemoteResource *) a, *y = (const RemoteResource *) b;
        const char *differs = same_remote(x, y) ? NULL : "remote";

        for (const FieldSpec *f = remote_fields; !differs && f->name; f++)
                if (!streq(f->name, "remote") && !field_equal(f, a, b))
                        differs = f->name;
        if (differs && ret_field)
                *ret_field = differs;
        return !differs;
}

/* ---- sessions ---- */

static void password_freep(char **password) {
        if (*password)
                explicit_bzero(*password, strlen(*password));
        free(*password);
}

static void on_news(SessionNews news, const char *text, void *userdata);
static void on_ended(const char *problem, void *userdata);

static const SessionOps session_ops = { .news = on_news, .ended = on_ended };

/* "[NAME=]USER@HOST:PORT" */
static char *make_target(const RemoteResource *m, const RemoteAddress *a) {
        bool six = memchr(a->host, ':', a->host_size);
        char *text;

        return asprintf(&text, "%s%s%.*s@%s%.*s%s:%u", m->hostname, m->hostname[0] ? "=" : "", (int) a->user_size, a->user, six ? "[" : "",
                        (int) a->host_size, a->host, six ? "]" : "", a->port) < 0 ? NULL : text;
}

/* What begins with "~/" is below our home. */
static char *make_identity(const char *ssh_id) {
        const char *rest = startswith(ssh_id, "~/"), *home = getenv("HOME");
        char *path;

        if (!rest || !home)
                return strdup(ssh_id);
        return asprintf(&path, "%s/%s", home, rest) < 0 ? NULL : path;
}

static int64_t converger_timeout(const RemoteResource *m) {
        const WorldManager *w = m->resource.host->manager;

        if (!m->transient)
                return -1;
        return m->converger_timeout.kind == TYPE_INT ? m->converger_timeout.i : w->converger_timeout;
}

static int start_session(RemoteResource *m, const char *verb, Diag *reterr) {
        const WorldManager *w = m->resource.host->manager;
        const Resource *r = &m->resource;
        _cleanup_(password_freep) char *password = NULL;
        _cleanup_free_ char *target = NULL, *identity = NULL;
        RemoteAddress a;
        int e = parse_address(m, &a, NULL);

        if (e < 0)
                return resource_error(r, reterr, e, "remote is no host: %m");
        e = a.password ? remote_address_password(&a, &password) : 0;
        if (e < 0)
                return e;
        bool has_id = m->ssh_id && m->ssh_id[0];
        target = make_target(m, &a);
        identity = has_id ? make_identity(m->ssh_id) : NULL;
        if (!target || (has_id && !identity))
                return -ENOMEM;
        e = remote_session_new(&m->session, r->host->event, &(SessionSpec) {
                        .verb = verb,
                        .resource = r->name,
                        .target = target,
                        .identity = identity,
                        .no_keys = m->ssh_id && !m->ssh_id[0],
                        .host_key = m->hostkey[0] ? m->hostkey : NULL,
                        .password = password,
                        .keep = m->caching,
                        .deps = m->install_deps,
                        .direct = !m->tunnelled,
                        .converger_timeout = converger_timeout(m),
                        .store = startswith(w->store_uri, "etcd:") ? w->store_uri : NULL,
                }, &session_ops, m, reterr);
        if (e < 0 && reterr && !reterr->message)
                return resource_error(r, reterr, e, "cannot start mgmt-ssh: %m");
        return e;
}

static void finish(RemoteResource *m, int result, Diag *d) {
        m->attempting = false;
        resource_finish(&m->resource, result, d);
}

/* ---- what it says ---- */

static void say_difference(RemoteResource *m) {
        resource_differs(&m->resource, "state", is_stopped(m) ? "running" : "stopped", m->state);
}

/* What goes on without us is right as soon as it runs; the session stays. */
static void on_running_alone(RemoteResource *m, SessionNews news) {
        m->runs = true;
        m->started_usec = news == SESSION_STARTED ? usec_now(CLOCK_MONOTONIC) : 0;
        if (news == SESSION_STARTED)
                say_difference(m);
        finish(m, news == SESSION_STARTED ? CHECK_CHANGED : CHECK_OK, NULL);
}

static void on_news(SessionNews news, const char *text, void *userdata) {
        RemoteResource *m = userdata;

        if (!m->attempting)
                return;
        if (news == SESSION_STARTED || news == SESSION_RUNNING)
                resource_log(&m->resource, LOG_INFO, "%s", text);
        if ((news == SESSION_STARTED || news == SESSION_RUNNING) && !m->transient && !is_stopped(m))
                on_running_alone(m, news);
        else if (news == (is_stopped(m) ? SESSION_WAS : SESSION_IDLE)) {
                say_difference(m);
                m->result = CHECK_CHANGED;
        }
}

static void on_attempt_ended(RemoteResource *m, const char *problem) {
        _cleanup_(diag_done) Diag d = {};
        int e = m->result;

        if (problem)
                e = resource_error(&m->resource, &d, -EREMOTEIO, "%s", problem);
        else if (!is_stopped(m) && !m->transient && m->apply)
                e = resource_error(&m->resource, &d, -EREMOTEIO, "it does not run there");
        finish(m, e, &d);
}

/* The watch has ended: what it has watched, or the connection. An attempt finds out which. */
static void on_watch_ended(RemoteResource *m, const char *problem) {
        bool brief = m->started_usec > 0 && usec_now(CLOCK_MONOTONIC) - m->started_usec < BRIEF_USEC;

        m->runs = false;
        if (brief) {
                free(m->failure);
                m->failure = strdup(problem ?: "what ran there has ended");
        } else
                resource_log(&m->resource, LOG_WARNING, "%s", problem ?: "what ran there has ended");
        resource_changed(&m->resource);
}

static void on_ended(const char *problem, void *userdata) {
        RemoteResource *m = userdata;

        m->session = remote_session_free(m->session);
        if (m->attempting)
                on_attempt_ended(m, problem);
        else
                on_watch_ended(m, problem);
}

/* ---- hooks ---- */

/* The session that has seen it run is the watch; before the first attempt there is nothing to see. */
static int remote_watch(Resource *r, Diag *reterr) {
        resource_armed(r);
        return 0;
}

static void remote_unwatch(Resource *r) {
        RemoteResource *m = (RemoteResource *) r;

        if (m->attempting)
                return;
        m->session = remote_session_free(m->session);
        m->runs = false;
}

static int begin(RemoteResource *m, const char *verb, int result, Diag *reterr) {
        int e;

        m->session = remote_session_free(m->session);
        m->runs = false;
        m->result = result;
        e = start_session(m, verb, reterr);
        if (e < 0)
                return e;
        m->attempting = true;
        return CHECK_PENDING;
}

static int remote_check_apply(Resource *r, bool apply, Diag *reterr) {
        RemoteResource *m = (RemoteResource *) r;
        const WorldManager *w = r->host->manager;
        _cleanup_free_ char *failure = TAKE_PTR(m->failure);

        m->apply = apply;
        if (is_stopped(m))
                return begin(m, apply ? "stop" : "look", CHECK_OK, reterr);
        if (!startswith(w->store_uri, "etcd:"))
                return resource_error(r, reterr, -ENOENT, "there is no cluster that another host could be part of: MGMT_STORE names none");
        if (m->runs)
                return CHECK_OK;
        if (failure)
                return resource_error(r, reterr, -EREMOTEIO, "%s", failure);
        if (!m->transient)
                return begin(m, apply ? "start" : "look", CHECK_OK, reterr);

        /* Each attempt runs it, so it never runs already. */
        say_difference(m);
        return apply ? begin(m, "run", CHECK_CHANGED, reterr) : CHECK_CHANGED;
}

static void remote_cancel(Resource *r) {
        RemoteResource *m = (RemoteResource *) r;

        m->attempting = false;
        m->session = m->transient ? remote_session_release(m->session, STOP_USEC) : remote_session_free(m->session);
}

static void remote_done(Resource *r) {
        RemoteResource *m = (RemoteResource *) r;

        m->session = remote_session_free(m->session);
        free(TAKE_PTR(m->failure));
}

const ResourceType remote_type = {
        .kind = "remote",
        .doc = "Runs mgmt on another host, over SSH, as a part of our cluster: it takes what is deployed to that. Nothing of mgmt needs to "
               "be installed on it. The host has to be in known_hosts, or its key in hostkey. This host needs an etcd store.",
        .example = "remote \"root@web1.example.com\" {\n\thostname => \"web1\",\n\tssh_id => \"/etc/mgmt/ssh/id_ed25519\",\n}\n",
        .size = sizeof(RemoteResource),
        .fields = remote_fields,
        .validate = remote_validate,
        .watch = remote_watch,
        .unwatch = remote_unwatch,
        .check_apply = remote_check_apply,
        .cancel = remote_cancel,
        .equal = remote_equal,
        .done = remote_done,
};
