/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See ssh-command.h. libssh does as much as it can at each call and never waits; whenever the socket has something to say, everything
 * that can be done now is. The socket is watched through a duplicate, because the library closes its own when it pleases. Two things it
 * does at once, and both are local: it asks ssh-agent, and reads key files.
 *
 * Any call of the library may read from the socket, so what comes is taken by callbacks, and passed on at the end of each turn; one that
 * asked for it might ask too early. */

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <stdio.h>
#include <sys/epoll.h>

#include <systemd/sd-event.h>

#include "common/base64.h"
#include "common/ssh/ssh-command.h"
#include "common/strbuf.h"

enum { WRITE_SIZE = 32 * 1024 };        /* at a time */

typedef enum SshStage {
        SSH_STAGE_KEYS,         /* keys are exchanged, the host shows who it is */
        SSH_STAGE_LOGIN,
        SSH_STAGE_COMMAND,      /* it is being started */
        SSH_STAGE_RUNNING,
} SshStage;

struct SshCommand {
        ssh_session session;
        ssh_channel channel;
        ssh_event event;        /* of the library: does what there is to do while the command runs */
        struct ssh_channel_callbacks_struct callbacks;
        SshStage stage;
        bool connected, opened; /* within their stages */
        bool closed;            /* the other side is done with the channel */
        StrBuf in[2];           /* of stdout and stderr, not passed on yet */
        char *command;
        char *host_key, *password;      /* NULL: none */
        bool keys_done;         /* none of them is taken, or none is to be tried */
        int watch_fd;
        sd_event_source *io;
        sd_event_source *soon;  /* something was written meanwhile */
        StrBuf out;
        size_t out_at;
        const SshOps *ops;
        void *userdata;
        bool *freed;            /* set by ssh_command_free(), for the functions further up */
};

/* ---- options ---- */

#define SET(option, value) \
        do { \
                const void *_value = (value); \
                if (_value && ssh_options_set(s, (option), _value) < 0) \
                        return diag_set(reterr, (Pos) {}, -EINVAL, "%s", ssh_get_error(s)); \
        } while (0)

/* What it begins with is the name of its type, behind four bytes that say how long that is. */
static ssh_key import_host_key(const char *base64) {
        _cleanup_(strbuf_done) StrBuf bytes = {};
        ssh_key key = NULL;
        char name[64];
        size_t at;

        if (strbuf_unbase64(&bytes, base64, strlen(base64), &at) < 0 || bytes.size < 4)
                return NULL;
        size_t n = (uint8_t) bytes.data[3];
        if (n >= sizeof(name) || bytes.size < 4 + n)
                return NULL;
        memcpy(name, bytes.data + 4, n);
        name[n] = '\0';
        return ssh_pki_import_pubkey_base64(base64, ssh_key_type_from_name(name), &key) == SSH_OK ? key : NULL;
}

/* It shows a key of the type that is wanted first, if it has one and known_hosts wants none. */
static int prefer_host_key(ssh_session s, const char *base64, Diag *reterr) {
        static const char others[] = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256";
        ssh_key key = base64 ? import_host_key(base64) : NULL;
        _cleanup_free_ char *wanted = NULL;

        if (!base64)
                return 0;
        if (!key)
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no key of a host", base64);
        bool rsa = ssh_key_type(key) == SSH_KEYTYPE_RSA;
        int r = asprintf(&wanted, "%s,%s", rsa ? "rsa-sha2-512,rsa-sha2-256" : ssh_key_type_to_char(ssh_key_type(key)), others);
        ssh_key_free(key);
        if (r < 0) {
                wanted = NULL;
                return -ENOMEM;
        }
        SET(SSH_OPTIONS_HOSTKEYS, wanted);
        return 0;
}

/* What is said here counts more than what is configured. */
static int set_options(ssh_session s, const SshTarget *t, Diag *reterr) {
        const char *home = getenv("HOME");
        _cleanup_free_ char *directory = NULL, *proxy = NULL;
        bool no = false;
        int yes = 1;

        if (home && home[0] == '/' && asprintf(&directory, "%s/.ssh", home) < 0) {
                directory = NULL;
                return -ENOMEM;
        }
        SET(SSH_OPTIONS_SSH_DIR, directory);
        SET(SSH_OPTIONS_HOST, t->host);
        if (ssh_options_parse_config(s, NULL) < 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "cannot read ssh's configuration: %s", ssh_get_error(s));
        if (ssh_options_get(s, SSH_OPTIONS_PROXYCOMMAND, &proxy) == SSH_OK && proxy && !streq(proxy, "none"))
                return diag_set(reterr, (Pos) {}, -EOPNOTSUPP, "ssh's configuration leads to it through '%s', which is not supported",
                                proxy);
        SET(SSH_OPTIONS_USER, t->user);
        SET(SSH_OPTIONS_PORT, t->port ? &t->port : NULL);
        SET(SSH_OPTIONS_ADD_IDENTITY, t->identity);
        SET(SSH_OPTIONS_KNOWNHOSTS, t->known_hosts);
        SET(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, t->known_hosts);
        SET(SSH_OPTIONS_STRICTHOSTKEYCHECK, &yes);      /* without it an unknown host would count as a known one */
        SET(SSH_OPTIONS_PROCESS_CONFIG, &no);
        return prefer_host_key(s, t->host_key, reterr);
}

static void free_text(char **text) {
        if (*text)
                ssh_string_free_char(*text);
}

int ssh_target_resolve(const SshTarget *t, SshAddress *ret, Diag *reterr) {
        _cleanup_(free_text) char *host = NULL, *user = NULL;
        unsigned port = 22;
        ssh_session s = ssh_new();
        int r;

        if (!s)
                return -ENOMEM;
        r = set_options(s, t, reterr);
        if (r >= 0 && (ssh_options_get(s, SSH_OPTIONS_HOST, &host) != SSH_OK || ssh_options_get_port(s, &port) != SSH_OK))
                r = diag_set(reterr, (Pos) {}, -EINVAL, "%s", ssh_get_error(s));
        if (r >= 0 && ssh_options_get(s, SSH_OPTIONS_USER, &user) != SSH_OK)
                user = NULL;
        ssh_free(s);
        if (r < 0)
                return r;
        *ret = (SshAddress) { .host = strdup(host), .user = strdup(user ?: ""), .port = port };
        if (ret->host && ret->user)
                return 0;
        ssh_address_done(ret);
        return -ENOMEM;
}

void ssh_address_done(SshAddress *a) {
        free(a->host);
        free(a->user);
        *a = (SshAddress) {};
}

/* ---- the end ---- */

SshCommand *ssh_command_free(SshCommand *c) {
        if (!c)
                return NULL;
        if (c->freed)
                *c->freed = true;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->soon);
        closep(&c->watch_fd);
        if (c->event) {
                (void) ssh_event_remove_session(c->event, c->session);
                ssh_event_free(c->event);
        }
        if (c->channel)
                ssh_channel_free(c->channel);
        if (c->session) {
                ssh_silent_disconnect(c->session);      /* the polite one would wait for a peer that may be gone */
                ssh_free(c->session);
        }
        strbuf_done(&c->out);
        for (size_t i = 0; i < ELEMENTSOF(c->in); i++)
                strbuf_done(&c->in[i]);
        if (c->password)
                explicit_bzero(c->password, strlen(c->password));
        free(c->password);
        free(c->host_key);
        free(c->command);
        free(c);
        return NULL;
}

/* Nothing of the library is touched afterwards. */
static int end(SshCommand *c, int error, const char *problem, int status) {
        c->io = sd_event_source_disable_unref(c->io);
        c->soon = sd_event_source_disable_unref(c->soon);
        c->ops->ended(c, error, problem, status, c->userdata);
        return -ECANCELED;
}

static int fail(SshCommand *c, int error, const char *doing) {
        _cleanup_free_ char *problem = NULL;

        if (asprintf(&problem, "%s: %s", doing, ssh_get_error(c->session)) < 0)
                problem = NULL;
        return end(c, error, problem ?: doing, -1);
}

/* ---- who is it ---- */

/* "ssh-ed25519 SHA256:…". The caller's. */
static char *fingerprint(SshCommand *c) {
        unsigned char *hash = NULL;
        char *text = NULL, *print = NULL;
        ssh_key key = NULL;
        size_t size;

        if (ssh_get_server_publickey(c->session, &key) < 0)
                return NULL;
        if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) >= 0) {
                print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
                if (print && asprintf(&text, "%s %s", ssh_key_type_to_char(ssh_key_type(key)), print) < 0)
                        text = NULL;
        }
        free_text(&print);
        if (hash)
                ssh_clean_pubkey_hash(&hash);
        ssh_key_free(key);
        return text;
}

/* Whether it shows the key that the caller knows. */
static bool is_the_one(SshCommand *c) {
        ssh_key key = NULL, wanted = c->host_key ? import_host_key(c->host_key) : NULL;
        bool same = wanted && ssh_get_server_publickey(c->session, &key) >= 0 && ssh_key_cmp(key, wanted, SSH_KEY_CMP_PUBLIC) == 0;

        ssh_key_free(key);
        ssh_key_free(wanted);
        return same;
}

static int verify_host(SshCommand *c) {
        static const struct {
                enum ssh_known_hosts_e state;
                const char *text;
        } refusals[] = {
                { SSH_KNOWN_HOSTS_UNKNOWN, "its key is not in known_hosts; compare it with the host's own, and add it there" },
                { SSH_KNOWN_HOSTS_NOT_FOUND, "there is no known_hosts in which its key could be; compare it with the host's own, and add it there" },
                { SSH_KNOWN_HOSTS_CHANGED, "its key is another one than known_hosts has for it: it is somebody else, or was set up anew" },
                { SSH_KNOWN_HOSTS_OTHER, "known_hosts has a key of another type for it: it is somebody else, or was set up anew" },
        };
        enum ssh_known_hosts_e state;
        _cleanup_free_ char *print = NULL, *problem = NULL;

        if (is_the_one(c))
                return 1;
        state = ssh_session_is_known_server(c->session);
        if (state == SSH_KNOWN_HOSTS_OK)
                return 1;
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++) {
                if (refusals[i].state != state)
                        continue;
                print = fingerprint(c);
                if (asprintf(&problem, "%s (%s)", refusals[i].text, print ?: "it has none that can be shown") < 0)
                        problem = NULL;
                return end(c, -EKEYREJECTED, problem ?: refusals[i].text, -1);
        }
        return fail(c, -EKEYREJECTED, "cannot look its key up in known_hosts");
}

/* ---- stages: 1 this one is over, 0 it waits, negative it has ended and c may be gone ---- */

static int step_keys(SshCommand *c) {
        int r = c->connected ? SSH_OK : ssh_connect(c->session);

        if (r == SSH_AGAIN)
                return 0;
        if (r != SSH_OK)
                return fail(c, -ECONNRESET, "there is no SSH");
        c->connected = true;
        return verify_host(c);
}

/* 1, 0 or negative as a stage; DENIED: something else may be tried. */
enum { DENIED = 2 };

static int try_keys(SshCommand *c) {
        switch (ssh_userauth_publickey_auto(c->session, NULL, NULL)) {
        case SSH_AUTH_AGAIN:
                return 0;
        case SSH_AUTH_SUCCESS:
                return 1;
        case SSH_AUTH_PARTIAL:
                return c->password ? DENIED : end(c, -EACCES, "it wants more than a key", -1);
        case SSH_AUTH_DENIED:
                return c->password ? DENIED :
                        end(c, -EACCES, "it takes none of our keys; one with a passphrase has to be in ssh-agent", -1);
        default:
                return fail(c, -ECONNRESET, "cannot log in");
        }
}

static int try_password(SshCommand *c) {
        switch (c->password ? ssh_userauth_password(c->session, NULL, c->password) : SSH_AUTH_DENIED) {
        case SSH_AUTH_AGAIN:
                return 0;
        case SSH_AUTH_SUCCESS:
                return 1;
        case SSH_AUTH_PARTIAL:
                return end(c, -EACCES, "it wants more than a password", -1);
        case SSH_AUTH_DENIED:
                return end(c, -EACCES, "it does not take the password", -1);
        default:
                return fail(c, -ECONNRESET, "cannot log in");
        }
}

static int step_login(SshCommand *c) {
        int r = c->keys_done ? DENIED : try_keys(c);

        if (r != DENIED)
                return r;
        c->keys_done = true;
        return try_password(c);
}

static int on_data(ssh_session session, ssh_channel channel, void *data, uint32_t size, int is_stderr, void *userdata) {
        SshCommand *c = userdata;

        strbuf_add(&c->in[is_stderr != 0], data, size);
        return (int) size;
}

static void on_close(ssh_session session, ssh_channel channel, void *userdata) {
        SshCommand *c = userdata;

        c->closed = true;
}

static int open_channel(SshCommand *c) {
        c->channel = ssh_channel_new(c->session);
        c->event = ssh_event_new();
        if (!c->channel || !c->event)
                return end(c, -ENOMEM, "out of memory", -1);
        c->callbacks = (struct ssh_channel_callbacks_struct) { .userdata = c, .channel_data_function = on_data,
                                                               .channel_close_function = on_close };
        ssh_callbacks_init(&c->callbacks);
        if (ssh_set_channel_callbacks(c->channel, &c->callbacks) != SSH_OK)
                return fail(c, -ENOMEM, "cannot open a channel");
        return 0;
}

static int step_command(SshCommand *c) {
        int r = c->channel ? 0 : open_channel(c);

        if (r < 0)
                return r;
        if (!c->opened) {
                r = ssh_channel_open_session(c->channel);
                if (r == SSH_AGAIN)
                        return 0;
                if (r != SSH_OK)
                        return fail(c, -ECONNRESET, "it gives no session");
                c->opened = true;
        }
        r = ssh_channel_request_exec(c->channel, c->command);
        if (r == SSH_AGAIN)
                return 0;
        if (r != SSH_OK)
                return fail(c, -ECONNRESET, "it runs no command");
        return ssh_event_add_session(c->event, c->session) == SSH_OK ? 1 : end(c, -ENOMEM, "out of memory", -1);
}

static int pass_on(SshCommand *c, bool is_stderr) {
        _cleanup_(strbuf_done) StrBuf in = c->in[is_stderr];
        bool freed = false;

        c->in[is_stderr] = (StrBuf) {};
        if (in.failed)
                return end(c, -ENOMEM, "out of memory", -1);
        if (in.size == 0)
                return 0;
        c->freed = &freed;
        c->ops->output(c, is_stderr, in.data, in.size, c->userdata);
        if (freed)
                return -ECANCELED;
        c->freed = NULL;
        return 0;
}

/* As much as the other side has room for. */
static int write_some(SshCommand *c) {
        while (c->out.size > c->out_at && ssh_channel_window_size(c->channel) > 0) {
                size_t size = MIN(c->out.size - c->out_at, (size_t) WRITE_SIZE);
                int n = ssh_channel_write(c->channel, c->out.data + c->out_at, (uint32_t) size);

                if (n == SSH_ERROR)
                        return n;
                if (n <= 0)
                        break;
                c->out_at += (size_t) n;
        }
        return SSH_OK;
}

static int say_drained(SshCommand *c) {
        bool freed = false;

        if (c->out.size == 0 || c->out.size > c->out_at)
                return 0;
        strbuf_done(&c->out);
        c->out_at = 0;
        c->freed = &freed;
        c->ops->drained(c, c->userdata);
        if (freed)
                return -ECANCELED;
        c->freed = NULL;
        return 0;
}

static int step_running(SshCommand *c) {
        bool broken = ssh_event_dopoll(c->event, 0) == SSH_ERROR || write_some(c) == SSH_ERROR || !ssh_is_connected(c->session);
        int r = pass_on(c, false);

        if (r >= 0)
                r = pass_on(c, true);
        if (r < 0)
                return r;
        if (c->closed)
                return end(c, 0, NULL, ssh_channel_get_exit_status(c->channel));
        return broken ? fail(c, -ECONNRESET, "the connection broke") : say_drained(c);
}

static int step(SshCommand *c) {
        static int (*const steps[])(SshCommand *c) = {
                [SSH_STAGE_KEYS] = step_keys,
                [SSH_STAGE_LOGIN] = step_login,
                [SSH_STAGE_COMMAND] = step_command,
                [SSH_STAGE_RUNNING] = step_running,
        };
        int r;

        while ((r = steps[c->stage](c)) > 0)
                c->stage++;
        if (r < 0)
                return 0;       /* it has ended */

        /* What the library could not send it keeps, and so waits for the socket to take it. */
        int flags = ssh_get_poll_flags(c->session);
        (void) sd_event_source_set_io_events(c->io, EPOLLIN | (flags & SSH_WRITE_PENDING ? EPOLLOUT : 0));
        return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        return step(userdata);
}

static int on_soon(sd_event_source *source, void *userdata) {
        return step(userdata);
}

/* ---- starting ---- */

int ssh_command_start(SshCommand **ret, sd_event *event, int fd, const SshTarget *t, const char *command, const SshOps *ops,
                      void *userdata, Diag *reterr) {
        _cleanup_close_ int socket = fd;
        int r;

        _cleanup_(ssh_command_freep) SshCommand *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (SshCommand) { .session = ssh_new(), .command = strdup(command), .watch_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .ops = ops,
                            .userdata = userdata };
        c->host_key = t->host_key ? strdup(t->host_key) : NULL;
        c->password = t->password ? strdup(t->password) : NULL;
        c->keys_done = t->no_keys;
        if (!c->session || !c->command || (t->host_key && !c->host_key) || (t->password && !c->password))
                return -ENOMEM;
        if (c->watch_fd < 0)
                return -errno;
        r = set_options(c->session, t, reterr);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &c->io, c->watch_fd, EPOLLIN, on_io, c);
        if (r >= 0)
                r = sd_event_add_defer(event, &c->soon, on_soon, c);
        if (r < 0)
                return r;
        if (ssh_options_set(c->session, SSH_OPTIONS_FD, &socket) < 0)
                return -ENOMEM;
        ssh_set_blocking(c->session, 0);
        if (ssh_connect(c->session) == SSH_ERROR)       /* takes the socket */
                return diag_set(reterr, (Pos) {}, -ECONNRESET, "%s", ssh_get_error(c->session));
        TAKE_FD(socket);
        *ret = TAKE_PTR(c);
        return 0;
}

int ssh_command_write(SshCommand *c, const char *data, size_t size) {
        if (c->out_at > 0 && c->out_at == c->out.size) {
                c->out.size = 0;
                c->out_at = 0;
        }
        strbuf_add(&c->out, data, size);
        if (c->out.failed)
                return -ENOMEM;
        return c->soon ? sd_event_source_set_enabled(c->soon, SD_EVENT_ONESHOT) : 0;
}
