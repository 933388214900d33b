/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See transfer.h. What comes in is only noted in libcurl's callback; a defer source tells it afterwards. */

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "common/http/curl-loop.h"
#include "common/http/transfer.h"
#include "common/strbuf.h"

/* A dead peer is noticed by the kernel on connections on which nobody speaks for long. */
enum { KEEPALIVE_IDLE_SEC = 10, KEEPALIVE_INTERVAL_SEC = 3, KEEPALIVE_PROBES = 3, UNACKNOWLEDGED_MSEC = 20000 };

struct Transfer {
        CurlJob job;
        CurlLoop *loop;
        sd_event_source *news;  /* something came that was not told yet */
        sd_event_source *silence;       /* nothing came for too long; NULL: there is no such time */
        uint64_t silence_usec;
        char *request;          /* of one that is sent only once: its body, and the tail */
        size_t request_size;
        int file;               /* between the two */
        uint64_t file_at, file_size, sent;      /* sent: of all three */
        struct curl_slist *headers;
        char problem[CURL_ERROR_SIZE];
        StrBuf body;            /* what came and was not told yet */
        size_t answer_max;
        bool overflow;
        bool busy;              /* somebody is being told */
        bool gone;              /* and has cancelled it meanwhile */
        void (*data)(Transfer *t, const char *data, size_t size, void *userdata);
        void (*done)(Transfer *t, const TransferResult *result, void *userdata);
        void *userdata;
};

/* ---- the end ---- */

static void headers_free(struct curl_slist *headers) {
        for (struct curl_slist *h = headers; h; h = h->next)
                explicit_bzero(h->data, strlen(h->data));       /* passwords are in them */
        curl_slist_free_all(headers);
}

static void transfer_free(Transfer *t) {
        curl_loop_remove(t->loop, &t->job);
        if (t->job.easy)
                curl_easy_cleanup(t->job.easy);
        (void) sd_event_source_disable_unref(t->news);
        (void) sd_event_source_disable_unref(t->silence);
        free(t->request);
        headers_free(t->headers);
        strbuf_done(&t->body);
        free(t);
}

Transfer *transfer_cancel(Transfer *t) {
        if (!t)
                return NULL;
        if (t->busy)
                t->gone = true;
        else
                transfer_free(t);
        return NULL;
}

static int curl_error(CURLcode code) {
        switch (code) {
        case CURLE_OK:
                return 0;
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_COULDNT_RESOLVE_HOST:
                return -EHOSTUNREACH;
        case CURLE_COULDNT_CONNECT:
                return -ECONNREFUSED;
        case CURLE_OPERATION_TIMEDOUT:
                return -ETIMEDOUT;
        case CURLE_URL_MALFORMAT: case CURLE_UNSUPPORTED_PROTOCOL:
                return -EINVAL;
        case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CONNECT_ERROR: case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE: case CURLE_SSL_ISSUER_ERROR:
                return -EPROTO;
        default:
                return -ECONNRESET;
        }
}

static void tell_end(Transfer *t, CURLcode code) {
        TransferResult result = { .error = t->overflow ? -E2BIG : t->body.failed ? -ENOMEM : curl_error(code) };
        curl_off_t connected = 0;

        (void) curl_easy_getinfo(t->job.easy, CURLINFO_RESPONSE_CODE, &result.status);
        (void) curl_easy_getinfo(t->job.easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
        if (result.error < 0) {
                result.sent = connected > 0 || t->sent > 0;     /* the time is forgotten when libcurl tries another connection */
                result.problem = t->overflow ? "the answer is too long" : t->problem[0] ? t->problem : curl_easy_strerror(code);
        } else {
                result.data = t->body.data ?: "";
                result.size = t->body.size;
        }
        t->done(t, &result, t->userdata);
}

const char *transfer_header(const Transfer *t, const char *name) {
        struct curl_header *h;
        size_t n;

        if (curl_easy_header(t->job.easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
                return NULL;
        n = h->amount;
        return n == 1 || curl_easy_header(t->job.easy, name, n - 1, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

/* False if it is gone. */
static bool tell_data(Transfer *t) {
        _cleanup_(strbuf_done) StrBuf body = t->body;

        if (!t->data || body.size == 0 || body.failed) {
                body = (StrBuf) {};
                return true;
        }
        t->body = (StrBuf) {};
        t->busy = true;
        t->data(t, body.data, body.size, t->userdata);
        t->busy = false;
        if (!t->gone)
                return true;
        transfer_free(t);
        return false;
}

static int on_news(sd_event_source *s, void *userdata) {
        (void) tell_data(userdata);
        return 0;
}

static void on_end(CurlJob *j, CURLcode code) {
        Transfer *t = container_of(j, Transfer, job);

        if (!tell_data(t))
                return;
        t->busy = true;
        tell_end(t, code);
        transfer_free(t);
}

static int on_silence(sd_event_source *s, uint64_t usec, void *userdata) {
        Transfer *t = userdata;

        (void) snprintf(t->problem, sizeof(t->problem), "nothing came for %llu ms", (unsigned long long) t->silence_usec / 1000);
        curl_loop_remove(t->loop, &t->job);
        on_end(&t->job, CURLE_OPERATION_TIMEDOUT);
        return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        Transfer *t = userdata;

        n *= size;
        if (t->silence)
                (void) sd_event_source_set_time_relative(t->silence, t->silence_usec);
        if (t->body.size + n > t->answer_max) {
                t->overflow = true;
                return CURL_WRITEFUNC_ERROR;
        }
        strbuf_add(&t->body, data, n);
        if (t->body.failed || (t->data && sd_event_source_set_enabled(t->news, SD_EVENT_ONESHOT) < 0))
                return CURL_WRITEFUNC_ERROR;
        return n;
}

/* What libcurl has no option for. A socket that takes none of it is as good. */
static int on_socket(void *userdata, curl_socket_t fd, curlsocktype purpose) {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int) { KEEPALIVE_PROBES }, sizeof(int));
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &(unsigned) { UNACKNOWLEDGED_MSEC }, sizeof(unsigned));
        return CURL_SOCKOPT_OK;
}

/* ---- starting ---- */

static int add_headers(Transfer *t, const TransferRequest *r) {
        struct curl_slist *longer;

        for (const char *const *h = r->headers; h && *h; h++) {
                longer = curl_slist_append(t->headers, *h);
                if (!longer)
                        return -ENOMEM;
                t->headers = longer;
        }
        /* A server that is to agree first costs a turn, or a second if it does not know the header. (What is signed is short, so it would
         * not be asked; and libcurl 7.88 signs the header that it shall not send.) */
        bool agreed = r->body && !r->signature;
        longer = agreed ? curl_slist_append(t->headers, "Expect:") : t->headers;
        if (agreed && !longer)
                return -ENOMEM;
        t->headers = longer;
        return 0;
}

#define SET(option, value) \
        do { \
                if (curl_easy_setopt(t->job.easy, (option), (value)) != CURLE_OK) \
                        return -ENOMEM; \
        } while (0)

static int set_tls(Transfer *t, const TransferTls *tls) {
        if (tls->ca)
                SET(CURLOPT_CAINFO, tls->ca);
        if (tls->certificate)
                SET(CURLOPT_SSLCERT, tls->certificate);
        if (tls->key)
                SET(CURLOPT_SSLKEY, tls->key);
        return 0;
}

static int set_signature(Transfer *t, const TransferSignature *signature) {
        SET(CURLOPT_AWS_SIGV4, signature->scheme);
        SET(CURLOPT_USERNAME, signature->user);
        SET(CURLOPT_PASSWORD, signature->secret);
        return 0;
}

static size_t read_file(Transfer *t, char *to, size_t size) {
        uint64_t at = t->sent - t->file_at;
        ssize_t n = pread(t->file, to, (size_t) MIN((uint64_t) size, t->file_size - at), (off_t) at);

        if (n <= 0)
                return CURL_READFUNC_ABORT;
        if (t->silence)
                (void) sd_event_source_set_time_relative(t->silence, t->silence_usec);
        t->sent += (size_t) n;
        return (size_t) n;
}

static size_t on_request(char *to, size_t size, size_t n, void *userdata) {
        Transfer *t = userdata;
        bool before = t->sent < t->file_at;

        if (!before && t->sent < t->file_at + t->file_size)
                return read_file(t, to, size * n);
        size_t at = (size_t) (before ? t->sent : t->sent - t->file_size), end = before ? (size_t) t->file_at : t->request_size;
        n = MIN(n * size, end - at);
        memcpy(to, t->request + at, n);
        t->sent += n;
        return n;
}

static int no_second_time(void *userdata, curl_off_t offset, int origin) {
        return CURL_SEEKFUNC_FAIL;
}

/* When a connection that was used before ends instead of answering, libcurl would send everything again over another, and nobody would
 * know that there were two. It does not if it cannot read the body again. */
static int set_body_once(Transfer *t, const TransferRequest *r) {
        size_t tail = r->tail ? strlen(r->tail) : 0;

        t->request = malloc(r->body_size + tail + 1);
        if (!t->request)
                return -ENOMEM;
        memcpy(t->request, r->body, r->body_size);
        memcpy(t->request + r->body_size, r->tail ?: "", tail);
        t->request_size = r->body_size + tail;
        t->file = r->file;
        t->file_at = r->body_size;
        t->file_size = r->file_size;
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_READFUNCTION, on_request);
        SET(CURLOPT_READDATA, t);
        SET(CURLOPT_SEEKFUNCTION, no_second_time);
        return 0;
}

static int set_body(Transfer *t, const TransferRequest *r) {
        if (r->method)
                SET(CURLOPT_CUSTOMREQUEST, r->method);
        if (!r->body)
                return 0;
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) (r->body_size + r->file_size + (r->tail ? strlen(r->tail) : 0)));
        if (r->once)
                return set_body_once(t, r);
        SET(CURLOPT_COPYPOSTFIELDS, r->body);
        return 0;
}

static int set_up(Transfer *t, const TransferRequest *r) {
        int k;

        SET(CURLOPT_URL, r->url);
        SET(CURLOPT_PROTOCOLS_STR, "http,https");
        if (r->proxy)
                SET(CURLOPT_PROXY, r->proxy);
        SET(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
        SET(CURLOPT_NOSIGNAL, 1L);
        SET(CURLOPT_ERRORBUFFER, t->problem);
        SET(CURLOPT_WRITEFUNCTION, on_body);
        SET(CURLOPT_WRITEDATA, t);
        SET(CURLOPT_SOCKOPTFUNCTION, on_socket);
        SET(CURLOPT_TCP_KEEPALIVE, 1L);
        SET(CURLOPT_TCP_KEEPIDLE, (long) KEEPALIVE_IDLE_SEC);
        SET(CURLOPT_TCP_KEEPINTVL, (long) KEEPALIVE_INTERVAL_SEC);
        SET(CURLOPT_CONNECTTIMEOUT_MS, (long) (r->connect_timeout_usec / 1000));
        SET(CURLOPT_TIMEOUT_MS, (long) (r->limit_usec / 1000));
        k = add_headers(t, r);
        if (k < 0)
                return k;
        if (t->headers)
                SET(CURLOPT_HTTPHEADER, t->headers);
        k = r->tls ? set_tls(t, r->tls) : 0;
        if (k >= 0 && r->signature)
                k = set_signature(t, r->signature);
        return k < 0 ? k : set_body(t, r);
}

static int transfer_begin(Transfer *t, sd_event *event, const TransferRequest *request) {
        int r;

        r = sd_event_add_defer(event, &t->news, on_news, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->news, SD_EVENT_OFF);
        if (r >= 0 && t->silence_usec > 0)
                r = sd_event_add_time_relative(event, &t->silence, CLOCK_MONOTONIC, t->silence_usec, t->silence_usec / 100, on_silence, t);
        if (r < 0)
                return r;
        t->job.easy = curl_easy_init();
        if (!t->job.easy)
                return -ENOMEM;
        r = set_up(t, request);
        return r < 0 ? r : curl_loop_add(t->loop, &t->job);
}

int transfer_start(CurlLoop *l, sd_event *event, const TransferRequest *request, Transfer **ret) {
        Transfer *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (Transfer) { .job.done = on_end, .loop = l, .answer_max = request->answer_max, .data = request->data,
                          .silence_usec = request->silence_usec, .done = request->done, .userdata = request->userdata };
        r = transfer_begin(t, event, request);
        if (r < 0) {
                transfer_free(t);
                return r;
        }
        *ret = t;
        return 0;
}
