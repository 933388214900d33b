/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One endpoint is used until it fails; then another one is, by everybody: a stream that hangs at a member without a leader moves
 * as soon as any call has noticed, and another member answers. To find it all others are asked at the same time, and who is first to
 * answer is taken: so a member that says nothing costs nobody time. If none does, all are asked again after a pause, which doubles up
 * to a few seconds; that is all that goes on while a cluster is away, and how long it takes to notice that it is back. */

#include <fcntl.h>
#include <json.h>
#include <limits.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/field.h"
#include "common/http/curl-loop.h"
#include "common/io.h"
#include "common/sd/log.h"
#include "daemons/world/etcd.h"

enum {
        ENDPOINTS_MAX = 32,
        ANSWER_MAX = 256 * 1024 * 1024,
        CREDENTIAL_MAX = 4096,
};

#define CONNECT_USEC (UINT64_C(1500) * 1000)
#define SILENCE_USEC (UINT64_C(3000) * 1000)   /* from the question, or what came of its answer, to more of that */
#define CALL_USEC (UINT64_C(5000) * 1000)
#define DOWN_USEC (UINT64_C(2000) * 1000)      /* an election takes less */
#define PAUSE_MIN_USEC (UINT64_C(50) * 1000)
#define PAUSE_MAX_USEC (UINT64_C(4000) * 1000)

/* A key that nobody has. The one is asked for to know that the cluster works, the other that a member does and has a leader. */
#define PROBE "{\"key\":\"bWdtdA==\",\"keys_only\":true}"
#define SCOUT "{\"key\":\"bWdtdA==\",\"keys_only\":true,\"serializable\":true}"

/* What etcd calls errors, as numbers of gRPC. */
typedef enum GrpcCode {
        GRPC_INVALID_ARGUMENT = 3,
        GRPC_DEADLINE_EXCEEDED = 4,
        GRPC_NOT_FOUND = 5,
        GRPC_PERMISSION_DENIED = 7,
        GRPC_RESOURCE_EXHAUSTED = 8,
        GRPC_FAILED_PRECONDITION = 9,
        GRPC_UNAVAILABLE = 14,
        GRPC_UNAUTHENTICATED = 16,
} GrpcCode;

struct EtcdCall {
        Etcd *etcd;
        char *path, *body;
        bool repeatable;
        bool authenticates;     /* is the question for a token, which goes without one */
        bool probes;            /* is asked only to see whether anybody answers, and has no end before that */
        bool refused;           /* the token was refused once already */
        Transfer *transfer;     /* NULL: it waits */
        unsigned generation;    /* of the endpoint that it was sent to */
        uint64_t deadline_usec;
        etcd_callback_t callback;
        void *userdata;
        TAILQ_ENTRY(EtcdCall) link;
};

struct EtcdStream {
        Etcd *etcd;
        char *path;
        const EtcdStreamOps *ops;
        void *userdata;
        Transfer *transfer;     /* NULL: it waits */
        unsigned generation;
        sd_event_source *begin; /* it is about to begin: in this turn others may change what it asks for */
        StrBuf line;            /* what came of the next message */
        size_t searched;        /* of it, without a line's end */
        TAILQ_ENTRY(EtcdStream) link;
};

/* A question to one endpoint, to find out whether it answers. */
typedef struct Scout {
        Etcd *etcd;
        size_t endpoint;
        Transfer *transfer;     /* NULL: it is back */
} Scout;

struct Etcd {
        sd_event *event;
        CurlLoop *loop;
        char **endpoints;
        size_t n_endpoints, current;
        unsigned generation;    /* changes with the endpoint */
        unsigned n_failures;    /* in a row */
        uint64_t failing_usec, failed_usec;     /* when the first and the last of them were */
        Scout scouts[ENDPOINTS_MAX];
        unsigned n_scouts;      /* that are out. Nothing is sent until one is back … */
        sd_event_source *pause; /* … or while this lasts; NULL: it does not */
        bool down, ending;
        char *problem;

        char *ca, *certificate, *key;   /* paths of credentials, NULL where there is none */
        TransferTls tls;
        char *proxy;            /* NULL: there is none to the cluster */
        char *user, *password;  /* NULL: nobody */
        char *token;            /* a header; NULL: none yet. "" if the cluster knows no users */
        EtcdCall *authentication, *probe;

        TAILQ_HEAD(, EtcdCall) calls;
        TAILQ_HEAD(, EtcdStream) streams;
        void (*changed)(void *userdata);
        void *userdata;
};

static void call_end(EtcdCall *c, const EtcdReply *reply);
static void went_down(Etcd *e, const char *problem);
static void call_send(EtcdCall *c);
static void stream_begin_soon(EtcdStream *s);

static uint64_t now_usec(Etcd *e) {
        uint64_t t = 0;

        (void) sd_event_now(e->event, CLOCK_MONOTONIC, &t);
        return t;
}

/* To keep hosts apart, no more. */
static uint64_t random_below(uint64_t n) {
        uint64_t x = 0;

        (void) getrandom(&x, sizeof(x), GRND_NONBLOCK);
        return x % n;
}

/* ---- answers ---- */

static json_object *parse(const char *data, size_t size) {
        json_tokener *t = size <= INT_MAX ? json_tokener_new() : NULL;
        json_object *j;

        if (!t)
                return NULL;
        j = json_tokener_parse_ex(t, data, (int) size);
        if (json_tokener_get_error(t) != json_tokener_success) {
                json_object_put(j);
                j = NULL;
        }
        json_tokener_free(t);
        return j;
}

/* Nobody answers for the cluster just now. */
static bool is_away(json_object *j, const TransferResult *result) {
        int64_t code = etcd_get_number(j, "code");

        return !j || code == GRPC_UNAVAILABLE || code == GRPC_DEADLINE_EXCEEDED || (code == 0 && result->status >= 500);
}

/* The gateway has reasons of its own, which are text. */
static void plain_reason(const TransferResult *result, char *ret, size_t size) {
        size_t n = MIN(strcspn(result->data, "\r\n"), size - 1);

        for (size_t i = 0; i < n; i++)
                ret[i] = result->data[i] < ' ' || result->data[i] > '~' ? '?' : result->data[i];
        ret[n] = 0;
        if (n == 0)
                (void) snprintf(ret, size, "it gave no answer of etcd's");
}

/* NULL: it gives none. */
static const char *reason_of(json_object *j) {
        json_object *message = etcd_get(j, "message") ?: etcd_get(j, "error");

        return message ? json_object_get_string(message) : NULL;
}

/* ---- whether the cluster is there ---- */

static void on_probed(const EtcdReply *reply, void *userdata) {
        ((Etcd *) userdata)->probe = NULL;
}

static int call_new(Etcd *e, const char *path, const char *body, etcd_callback_t callback, void *userdata, EtcdCall **ret);

static void set_problem(Etcd *e, const char *problem) {
        char *text = strdup(problem);

        if (!text)
                return;
        free(e->problem);
        e->problem = text;
}

/* Somebody finds out when it is over, also if nobody wants anything meanwhile. */
static void went_down(Etcd *e, const char *problem) {
        set_problem(e, problem);
        if (e->down)
                return;
        e->down = true;
        log_warning(0, "the cluster cannot be reached: %s", etcd_problem(e));
        if (!e->probe && call_new(e, "kv/range", PROBE, on_probed, e, &e->probe) >= 0) {
                e->probe->probes = e->probe->repeatable = true;
                call_send(e->probe);
        }
        e->changed(e->userdata);
}

static void endpoint_works(Etcd *e) {
        e->n_failures = 0;
        if (!e->down)
                return;
        e->down = false;
        free(TAKE_PTR(e->problem));
        log_info("the cluster is back, at %s", e->endpoints[e->current]);
        e->changed(e->userdata);
}

static EtcdCall *late_call(Etcd *e) {
        for (EtcdCall *c = TAILQ_FIRST(&e->calls); c; c = TAILQ_NEXT(c, link))
                if (!c->transfer && !c->probes && now_usec(e) >= c->deadline_usec)
                        return c;
        return NULL;
}

/* Whoever is told may end others of them. */
static void end_late_calls(Etcd *e) {
        EtcdCall *c = late_call(e);

        if (c)
                went_down(e, e->problem ?: "it does not answer");       /* so that they hear of it when it is back */
        for (; c; c = late_call(e))
                call_end(c, &(EtcdReply) { .error = -EHOSTDOWN, .problem = etcd_problem(e) });
}

/* One more in a row. */
static void note_failure(Etcd *e, size_t endpoint, const char *problem) {
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s: %s", e->endpoints[endpoint], problem) < 0)
                text = NULL;
        e->failed_usec = now_usec(e);
        if (e->n_failures++ == 0)
                e->failing_usec = e->failed_usec;
        set_problem(e, text ?: problem);
}

static void find_out_whether_down(Etcd *e) {
        if (e->n_failures > 0 && e->failed_usec - e->failing_usec >= DOWN_USEC)
                went_down(e, e->problem ?: "it does not answer");
}

/* ---- which endpoint ---- */

static bool may_send(const Etcd *e) {
        return !e->pause && e->n_scouts == 0;
}

/* Whatever waits. */
static void send_all(Etcd *e) {
        for (EtcdCall *c = TAILQ_FIRST(&e->calls); c && may_send(e); c = TAILQ_NEXT(c, link))
                if (!c->transfer)
                        call_send(c);
        for (EtcdStream *s = TAILQ_FIRST(&e->streams); s; s = TAILQ_NEXT(s, link))
                if (!s->transfer)
                        stream_begin_soon(s);
}

static void search(Etcd *e);

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata) {
        Etcd *e = userdata;

        e->pause = sd_event_source_disable_unref(e->pause);
        end_late_calls(e);
        search(e);
        return 0;
}

static void pause_begin(Etcd *e) {
        unsigned doublings = e->n_failures > 2 ? MIN(e->n_failures - 2, 10u) : 0;
        uint64_t usec = MIN(PAUSE_MIN_USEC << doublings, PAUSE_MAX_USEC);

        if (e->pause)
                return;
        usec += random_below(usec / 4 + 1);   /* so that not all hosts come back at the same time */
        int r = sd_event_add_time_relative(e->event, &e->pause, CLOCK_MONOTONIC, usec, usec / 10, on_pause_over, e);
        if (r < 0)
                log_error(r, "cannot wait for the cluster: %m");
}

static void recall_scouts(Etcd *e) {
        for (size_t i = 0; i < ELEMENTSOF(e->scouts); i++)
                e->scouts[i].transfer = transfer_cancel(e->scouts[i].transfer);
        e->n_scouts = 0;
}

static void search_failed(Etcd *e, size_t endpoint, const char *problem) {
        note_failure(e, endpoint, problem);
        pause_begin(e);
        find_out_whether_down(e);
}

/* Streams that run at it go on: that it was slow to answer a call says nothing about them, and to begin all of them anew would make it
 * slower still. But after an outage the kernel takes its time to send again. */
static void use_endpoint(Etcd *e, size_t endpoint) {
        if (endpoint != e->current || e->down)
                for (EtcdStream *s = TAILQ_FIRST(&e->streams); s; s = TAILQ_NEXT(s, link))
                        s->transfer = transfer_cancel(s->transfer);
        e->current = endpoint;
        log_debug("%s answers", e->endpoints[endpoint]);
        send_all(e);
}

static void on_scout_back(Transfer *t, const TransferResult *result, void *userdata) {
        Scout *s = userdata;
        Etcd *e = s->etcd;
        json_object *j = result->error < 0 ? NULL : parse(result->data, result->size);
        char plain[160] = "";

        s->transfer = NULL;
        e->n_scouts--;
        if (!is_away(j, result)) {
                recall_scouts(e);
                use_endpoint(e, s->endpoint);
        } else if (e->n_scouts == 0) {
                if (result->error >= 0)
                        plain_reason(result, plain, sizeof(plain));
                search_failed(e, s->endpoint, result->error < 0 ? result->problem : reason_of(j) ?: plain);
                end_late_calls(e);
        }
        json_object_put(j);
}

static int send_to(Etcd *e, size_t endpoint, const char *path, const char *body, bool anonymous, bool led, TransferRequest *request,
                   Transfer **ret);

static int scout_send(Etcd *e, size_t endpoint) {
        Scout *s = &e->scouts[endpoint];
        TransferRequest request = { .silence_usec = SILENCE_USEC, .done = on_scout_back, .userdata = s };
        int r;

        *s = (Scout) { .etcd = e, .endpoint = endpoint };
        r = send_to(e, endpoint, "kv/range", SCOUT, false, true, &request, &s->transfer);
        if (r >= 0)
                e->n_scouts++;
        return r;
}

/* The one that has just failed is not asked at once: it may say that it is well and fail again. */
static void search(Etcd *e) {
        int r = 0;

        if (!may_send(e))
                return;
        for (size_t i = 0; i < e->n_endpoints; i++)
                if (i != e->current || e->n_failures > 1 || e->n_endpoints == 1)
                        r = scout_send(e, i);
        if (e->n_scouts == 0)
                search_failed(e, e->current, strerrordesc_np(-r));
}

/* Only the first of those that were sent to it says so. */
static void endpoint_failed(Etcd *e, unsigned generation, const char *problem) {
        if (generation != e->generation)
                return;
        bool often = e->n_failures > 0 || now_usec(e) - e->failed_usec < PAUSE_MIN_USEC;
        e->generation++;
        log_debug("%s: %s", e->endpoints[e->current], problem);
        note_failure(e, e->current, problem);
        if (often)
                pause_begin(e);
        else
                search(e);
        find_out_whether_down(e);
}

const char *etcd_problem(const Etcd *e) {
        return e->down ? e->problem ?: "no endpoint answers" : NULL;
}

unsigned etcd_generation(const Etcd *e) {
        return e->generation;
}

/* ---- sending ---- */

/* led: a member that has no leader says so rather than wait for one. */
static int send_to(Etcd *e, size_t endpoint, const char *path, const char *body, bool anonymous, bool led, TransferRequest *request,
                   Transfer **ret) {
        _cleanup_free_ char *url = NULL;
        const char *headers[4] = { "Content-Type: application/json" };
        size_t n = 1;

        if (asprintf(&url, "%s/v3/%s", e->endpoints[endpoint], path) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        if (!anonymous && e->token && e->token[0])
                headers[n++] = e->token;
        if (led)
                headers[n++] = "Grpc-Metadata-hasleader: true";
        request->url = url;
        request->headers = headers;
        request->body = body;
        request->body_size = strlen(body);
        request->tls = &e->tls;
        request->proxy = e->proxy;
        request->connect_timeout_usec = CONNECT_USEC;
        request->answer_max = ANSWER_MAX;
        return transfer_start(e->loop, e->event, request, ret);
}

/* ---- as whom ---- */

static void drop_token(Etcd *e) {
        free(TAKE_PTR(e->token));
}

static void on_authenticated(const EtcdReply *reply, void *userdata) {
        Etcd *e = userdata;
        json_object *token = etcd_get(reply->json, "token");

        e->authentication = NULL;
        if (reply->error == -ECANCELED)
                return;
        if (reply->error == -EDOM)
                e->token = strdup("");
        else if (reply->error < 0)
                endpoint_failed(e, e->generation, reply->problem ?: strerrordesc_np(-reply->error));
        else if (token && asprintf(&e->token, "Authorization: %s", json_object_get_string(token)) < 0)
                e->token = NULL;
        if (e->token)
                send_all(e);
}

static int ask_for_token(Etcd *e) {
        _cleanup_(strbuf_done) StrBuf b = {};
        int r;

        strbuf_puts(&b, "{\"name\":");
        etcd_put_text(&b, e->user);
        strbuf_puts(&b, ",\"password\":");
        etcd_put_text(&b, e->password ?: "");
        strbuf_putc(&b, '}');
        r = b.failed ? -ENOMEM : call_new(e, "auth/authenticate", b.data, on_authenticated, e, &e->authentication);
        if (b.data)
                explicit_bzero(b.data, b.size);
        if (r < 0)
                return r;
        e->authentication->authenticates = e->authentication->repeatable = true;
        call_send(e->authentication);
        return 0;
}

/* Whether it may be sent now; else it is when there is a token. */
static bool has_token(Etcd *e) {
        int r;

        if (!e->user || e->token)
                return true;
        r = e->authentication ? 0 : ask_for_token(e);
        if (r < 0 && r != -ECANCELED) {
                log_error(r, "cannot ask the cluster for a token: %m");
                search_failed(e, e->current, strerrordesc_np(-r));
        }
        return false;
}

/* ---- calls ---- */

static void call_free(EtcdCall *c) {
        TAILQ_REMOVE(&c->etcd->calls, c, link);
        (void) transfer_cancel(c->transfer);
        if (c->body)
                explicit_bzero(c->body, strlen(c->body));
        free(c->body);
        free(c->path);
        free(c);
}

static void call_end(EtcdCall *c, const EtcdReply *reply) {
        if (reply->error == -ECANCELED)
                c->transfer = transfer_cancel(c->transfer);
        c->transfer = NULL;     /* else it has ended */
        c->callback(reply, c->userdata);
        call_free(c);
}

/* It did not get through, or nobody knows whether it did. */
static void call_again(EtcdCall *c, bool sent, const char *problem) {
        Etcd *e = c->etcd;
        _cleanup_free_ char *text = strdup(problem);

        c->transfer = NULL;
        endpoint_failed(e, c->generation, problem);
        if (sent && !c->repeatable) {
                call_end(c, &(EtcdReply) { .error = -EINPROGRESS, .problem = text });
                return;
        }
        if (!c->probes && now_usec(e) >= c->deadline_usec) {
                went_down(e, text ?: "it does not answer");
                call_end(c, &(EtcdReply) { .error = -EHOSTDOWN, .problem = text });
                return;
        }
        call_send(c);
}

/* What it said in place of an answer. */
static void call_refused(EtcdCall *c, json_object *j, const TransferResult *result) {
        Etcd *e = c->etcd;
        char plain[160];
        const char *problem = reason_of(j) ?: plain;
        EtcdReply reply = { .problem = problem };
        int64_t code = etcd_get_number(j, "code");

        plain_reason(result, plain, sizeof(plain));
        if (is_away(j, result)) {
                call_again(c, true, problem);
                return;
        }
        bool works = !c->authenticates;         /* else nothing does yet */
        bool stale = code == GRPC_UNAUTHENTICATED || (code == GRPC_INVALID_ARGUMENT && strstr(problem, "auth store is old"));
        if (stale && e->user && !c->authenticates && !c->refused) {    /* nothing has happened: the token has to be another */
                c->refused = true;
                c->transfer = NULL;
                drop_token(e);
                call_send(c);
                return;
        }
        reply.error =
                code == GRPC_NOT_FOUND ? -ENOENT :
                code == GRPC_PERMISSION_DENIED || code == GRPC_UNAUTHENTICATED ? -EACCES :
                code == GRPC_RESOURCE_EXHAUSTED ? (strstr(problem, "space") ? -ENOSPC : strstr(problem, "larger than") ? -E2BIG : -EBUSY) :
                code == GRPC_FAILED_PRECONDITION ? -EDOM :
                code == GRPC_INVALID_ARGUMENT ? (strstr(problem, "too large") ? -E2BIG : strstr(problem, "user name is empty") ? -EACCES :
                                                 -EINVAL) : -EIO;
        reply.not_found = code == GRPC_NOT_FOUND;
        _cleanup_free_ char *text = NULL;
        if ((code == GRPC_PERMISSION_DENIED && e->user && asprintf(&text, "no role of user '%s' allows it: %s", e->user, problem) < 0) ||
            (reply.error == -E2BIG && asprintf(&text, "it is larger than the cluster takes: %s", problem) < 0))
                text = NULL;
        reply.problem = text ?: problem;
        call_end(c, &reply);
        if (works)
                endpoint_works(e);
}

static void on_answer(Transfer *t, const TransferResult *result, void *userdata) {
        EtcdCall *c = userdata;
        json_object *j;

        if (result->error < 0) {
                call_again(c, result->sent, result->problem);
                return;
        }
        j = parse(result->data, result->size);
        if (j && result->status == 200 && !etcd_get(j, "error")) {
                Etcd *e = c->etcd;

                call_end(c, &(EtcdReply) { .json = j });
                endpoint_works(e);      /* afterwards: whoever hears of it may end calls */
        } else
                call_refused(c, j, result);
        json_object_put(j);
}

/* Now, or when a pause is over or a token there. */
static void call_send(EtcdCall *c) {
        Etcd *e = c->etcd;
        TransferRequest request = { .once = !c->repeatable, .silence_usec = SILENCE_USEC, .done = on_answer, .userdata = c };

        if (!may_send(e) || (!c->authenticates && !has_token(e)))
                return;
        c->generation = e->generation;
        int r = send_to(e, e->current, c->path, c->body, c->authenticates, false, &request, &c->transfer);
        if (r < 0) {
                log_error(r, "cannot ask the cluster: %m");
                search_failed(e, e->current, strerrordesc_np(-r));
        }
}

static int call_new(Etcd *e, const char *path, const char *body, etcd_callback_t callback, void *userdata, EtcdCall **ret) {
        EtcdCall *c = e->ending ? NULL : calloc(1, sizeof(*c));

        if (!c)
                return e->ending ? -ECANCELED : -ENOMEM;
        *c = (EtcdCall) { .etcd = e, .path = strdup(path), .body = strdup(body), .callback = callback, .userdata = userdata,
                          .deadline_usec = now_usec(e) + CALL_USEC };
        TAILQ_INSERT_TAIL(&e->calls, c, link);
        if (!c->path || !c->body) {
                call_free(c);
                return -ENOMEM;
        }
        *ret = c;
        return 0;
}

int etcd_call(Etcd *e, const char *path, const char *body, bool repeatable, etcd_callback_t callback, void *userdata, EtcdCall **ret) {
        int r = call_new(e, path, body, callback, userdata, ret);

        if (r < 0)
                return r;
        (*ret)->repeatable = repeatable;
        call_send(*ret);
        return 0;
}

EtcdCall *etcd_call_cancel(EtcdCall *c) {
        if (c)
                call_free(c);
        return NULL;
}

/* ---- streams ---- */

static void stream_message(EtcdStream *s, const char *line, size_t size) {
        json_object *j = parse(line, size), *result = etcd_get(j, "result"), *error = etcd_get(j, "error");
        json_object *message = etcd_get(error, "message");

        if (result) {
                endpoint_works(s->etcd);
                s->ops->message(result, s->userdata);
        } else if (etcd_get_number(error, "grpc_code") == GRPC_UNAUTHENTICATED)
                etcd_stream_unknown(s, message ? json_object_get_string(message) : "it does not know us");
        else {
                endpoint_failed(s->etcd, s->generation, message ? json_object_get_string(message) : "it sent what is no message");
                etcd_stream_restart(s);
        }
        json_object_put(j);
}

static void on_stream_data(Transfer *t, const char *data, size_t size, void *userdata) {
        EtcdStream *s = userdata;
        const char *end;
        size_t start = 0;

        strbuf_add(&s->line, data, size);
        if (s->line.failed || s->line.size > ANSWER_MAX) {
                etcd_stream_restart(s);
                return;
        }
        _cleanup_(strbuf_done) StrBuf lines = s->line;
        size_t searched = s->searched;

        s->line = (StrBuf) {};
        while (s->transfer == t && (end = memchr(lines.data + searched, '\n', lines.size - searched))) {
                size_t n = (size_t) (end - (lines.data + start));

                if (n > 0)
                        stream_message(s, lines.data + start, n);
                start = searched = start + n + 1;
        }
        if (s->transfer != t)
                return;         /* begun anew: what is left will come again */
        if (start == 0) {
                s->line = lines;
                lines = (StrBuf) {};
        } else
                strbuf_add(&s->line, lines.data + start, lines.size - start);
        s->searched = s->line.size;
}

static void on_stream_end(Transfer *t, const TransferResult *result, void *userdata) {
        EtcdStream *s = userdata;

        s->transfer = NULL;
        endpoint_failed(s->etcd, s->generation, result->error < 0 ? result->problem : "it ended a stream");
        stream_begin_soon(s);
}

static int on_begin(sd_event_source *source, void *userdata) {
        EtcdStream *s = userdata;
        Etcd *e = s->etcd;
        _cleanup_free_ char *body = NULL;
        TransferRequest request = { .data = on_stream_data, .done = on_stream_end, .userdata = s };

        s->begin = sd_event_source_disable_unref(s->begin);
        if (!may_send(e) || !has_token(e))
                return 0;
        strbuf_done(&s->line);
        s->searched = 0;
        s->generation = e->generation;
        body = s->ops->body(s->userdata);
        if (body && !body[0])
                return 0;       /* nothing is wanted */
        int r = body ? send_to(e, e->current, s->path, body, false, true, &request, &s->transfer) : -ENOMEM;
        if (r < 0) {
                log_error(r, "cannot watch the cluster: %m");
                search_failed(e, e->current, strerrordesc_np(-r));
        }
        return 0;
}

static void stream_begin_soon(EtcdStream *s) {
        if (s->begin || !may_send(s->etcd))
                return;
        int r = sd_event_add_defer(s->etcd->event, &s->begin, on_begin, s);
        if (r < 0 && r != -ESTALE)      /* that is the end of the loop */
                log_error(r, "cannot watch the cluster: %m");
}

void etcd_stream_restart(EtcdStream *s) {
        s->transfer = transfer_cancel(s->transfer);
        stream_begin_soon(s);
}

void etcd_stream_unknown(EtcdStream *s, const char *problem) {
        if (s->generation == s->etcd->generation)       /* else somebody has found it out before */
                drop_token(s->etcd);
        endpoint_failed(s->etcd, s->generation, problem);
        etcd_stream_restart(s);
}

int etcd_stream_new(Etcd *e, const char *path, const EtcdStreamOps *ops, void *userdata, EtcdStream **ret) {
        EtcdStream *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (EtcdStream) { .etcd = e, .path = strdup(path), .ops = ops, .userdata = userdata };
        if (!s->path) {
                free(s);
                return -ENOMEM;
        }
        TAILQ_INSERT_TAIL(&e->streams, s, link);
        *ret = s;
        return 0;
}

EtcdStream *etcd_stream_free(EtcdStream *s) {
        if (!s)
                return NULL;
        TAILQ_REMOVE(&s->etcd->streams, s, link);
        (void) transfer_cancel(s->transfer);
        (void) sd_event_source_disable_unref(s->begin);
        strbuf_done(&s->line);
        free(s->path);
        free(s);
        return NULL;
}

/* ---- opening ---- */

static int find_credential(const char *name, char **ret) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        char *path;

        if (!directory)
                return 0;
        if (asprintf(&path, "%s/%s", directory, name) < 0)
                return -ENOMEM;
        if (access(path, F_OK) < 0) {
                free(path);
                return 0;
        }
        *ret = path;
        return 0;
}

static int read_password(Etcd *e, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        size_t size;
        int r;

        r = find_credential("etcd.password", &path);
        if (r < 0 || !path)
                return r;
        r = read_file_at(AT_FDCWD, path, CREDENTIAL_MAX, &e->password, &size);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '%s': %m", path);
        e->password[strcspn(e->password, "\n")] = 0;
        return 0;
}

static int read_identity(Etcd *e, Diag *reterr) {
        const char *user = getenv("MGMT_STORE_USER"), *proxy = getenv("MGMT_STORE_PROXY");
        int r;

        r = find_credential("etcd.ca", &e->ca);
        if (r >= 0)
                r = find_credential("etcd.cert", &e->certificate);
        if (r >= 0)
                r = find_credential("etcd.key", &e->key);
        if (r < 0)
                return r;
        e->tls = (TransferTls) { .ca = e->ca, .certificate = e->certificate, .key = e->key };
        if (proxy && proxy[0]) {
                e->proxy = strdup(proxy);
                if (!e->proxy)
                        return -ENOMEM;
        }
        if (!user || !user[0])
                return 0;
        e->user = strdup(user);
        return e->user ? read_password(e, reterr) : -ENOMEM;
}

static int add_endpoint(Etcd *e, const char *text, size_t n, Diag *reterr) {
        while (n > 0 && text[n - 1] == '/')
                n--;
        char *url = strndup(text, n);

        if (!url)
                return -ENOMEM;
        e->endpoints[e->n_endpoints++] = url;
        const char *rest = startswith(url, "http://") ?: startswith(url, "https://");
        if (!rest || !rest[0] || strcspn(rest, "/?# ") != strlen(rest))
                return diag_set(reterr, (Pos) {}, -EINVAL, "'%s' is no endpoint, expected 'https://HOST:PORT'", url);
        return 0;
}

static int read_endpoints(Etcd *e, const char *text, Diag *reterr) {
        int r = 0;

        e->endpoints = calloc(ENDPOINTS_MAX + 1, sizeof(char *));
        if (!e->endpoints)
                return -ENOMEM;
        while (r >= 0 && *text) {
                size_t n = strcspn(text, ",");

                if (e->n_endpoints == ENDPOINTS_MAX)
                        return diag_set(reterr, (Pos) {}, -E2BIG, "there are more than %d endpoints", ENDPOINTS_MAX);
                r = add_endpoint(e, text, n, reterr);
                text += n + (text[n] == ',');
        }
        if (r >= 0 && e->n_endpoints == 0)
                return diag_set(reterr, (Pos) {}, -EINVAL, "there is no endpoint");
        return r;
}

int etcd_new(Etcd **ret, sd_event *event, const char *endpoints, void (*changed)(void *userdata), void *userdata, Diag *reterr) {
        _cleanup_(etcd_freep) Etcd *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->event = sd_event_ref(event);
        e->changed = changed;
        e->userdata = userdata;
        TAILQ_INIT(&e->calls);
        TAILQ_INIT(&e->streams);
        r = read_endpoints(e, endpoints, reterr);
        if (r >= 0)
                r = read_identity(e, reterr);
        if (r >= 0)
                r = curl_loop_new(&e->loop, event);
        if (r < 0)
                return r;
        e->current = (size_t) random_below(e->n_endpoints);        /* so that hosts do not all ask the same */
        *ret = TAKE_PTR(e);
        return 0;
}

Etcd *etcd_free(Etcd *e) {
        if (!e)
                return NULL;
        e->ending = true;
        while (!TAILQ_EMPTY(&e->calls))
                call_end(TAILQ_FIRST(&e->calls), &(EtcdReply) { .error = -ECANCELED });
        recall_scouts(e);
        curl_loop_free(e->loop);
        (void) sd_event_source_disable_unref(e->pause);
        (void) sd_event_unref(e->event);
        strv_free(e->endpoints);
        free(e->problem);
        free(e->proxy);
        free(e->ca);
        free(e->certificate);
        free(e->key);
        free(e->user);
        if (e->password)
                explicit_bzero(e->password, strlen(e->password));
        free(e->password);
        free(e->token);
        free(e);
        return NULL;
}
