/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each answer has the number of the state that it shows (the index), and the next request says from which one on a change is awaited. For a
 * key that is not there it is the number of the whole store, or of something close to it: that it grows says nothing of the key. When it
 * becomes smaller, that is another store, and everything begins anew. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/usec.h"
#include "daemons/http/consul-watch.h"
#include "daemons/http/growing-pause.h"
#include "daemons/http/http-manager.h"

enum {
        HOLD_SECONDS = 300,             /* how long Consul shall keep us waiting; it adds a sixteenth */
        PENDING_MAX = 1024 * 1024,      /* of a value that nobody looks at, in one turn of the loop */
};

#define HELD_USEC (UINT64_C(350) * 1000 * 1000)
#define ANSWER_USEC (UINT64_C(30) * 1000 * 1000)        /* where Consul is to answer at once */
#define CONNECT_USEC (UINT64_C(10) * 1000 * 1000)
#define ABSENT_MAX_USEC (UINT64_C(30) * 1000 * 1000)
#define QUICK_USEC (UINT64_C(1) * 1000 * 1000)
#define QUICK_MAX_USEC (UINT64_C(5) * 1000 * 1000)

struct ConsulWatch {
        HttpManager *manager;
        ConsulKey key;
        const ConsulWatchOps *ops;
        void *userdata;
        Transfer *transfer;
        uint64_t index;                 /* 0: any state is news */
        long status;                    /* of the last answer; 0: there was none, or nobody answers any more */
        uint64_t asked_usec;
        GrowingPause quick;             /* Consul answers at once, and nothing has changed */
        GrowingPause absent;            /* it does not answer */
        bool told;                      /* that it is absent */
};

static void ask(ConsulWatch *w);

int consul_status_error(long status) {
        if (status == 200 || status == 404)
                return 0;
        if (status == 401 || status == 403)
                return -EACCES;
        return status == 429 || (status >= 500 && status <= 599) ? -EAGAIN : -EREMOTEIO;
}

uint64_t consul_index(const Transfer *t) {
        const char *text = transfer_header(t, "X-Consul-Index");
        char *end;

        if (!text || *text < '0' || *text > '9')
                return 0;
        errno = 0;
        uint64_t index = strtoull(text, &end, 10);
        return errno == 0 && *end == '\0' ? index : 0;
}

/* Whatever is there when it is there again is news. */
static void forget(ConsulWatch *w) {
        w->index = 0;
        w->status = 0;
        w->told = true;
        growing_pause_begin(&w->absent, ABSENT_MAX_USEC);
}

static void lose(ConsulWatch *w) {
        bool told = w->told;

        forget(w);
        if (!told)
                w->ops->news(w->userdata);
}

static void fail(ConsulWatch *w, int error, long status) {
        char problem[64];

        (void) snprintf(problem, sizeof(problem), "status %ld", status);
        w->ops->failed(error, problem, w->userdata);
}

/* The next request follows at once, unless this one has hardly been held. News are told last: they are what others go by. */
static void note(ConsulWatch *w, long status, uint64_t index) {
        bool new = w->index == 0 || status != w->status || index < w->index || (status == 200 && index != w->index);
        bool held = usec_now(CLOCK_MONOTONIC) - w->asked_usec >= QUICK_USEC;

        w->index = index < w->index ? 0 : index;
        w->status = status;
        w->told = false;
        if (held)
                growing_pause_reset(&w->absent);
        if (held || new)
                growing_pause_reset(&w->quick);
        if (held)
                ask(w);
        else
                growing_pause_begin(&w->quick, QUICK_MAX_USEC);
        if (new)
                w->ops->news(w->userdata);
}

static void on_done(Transfer *t, const TransferResult *result, void *userdata) {
        ConsulWatch *w = userdata;
        int error = result->error < 0 ? 0 : consul_status_error(result->status);
        uint64_t index = consul_index(t);

        w->transfer = NULL;
        if (result->error == -EPROTO || result->error == -EINVAL)       /* its certificate, say */
                w->ops->failed(result->error, result->problem, w->userdata);
        else if (result->error < 0)
                lose(w);
        else if (result->status == 429)         /* so many requests are held already */
                fail(w, -EMFILE, result->status);
        else if (error == -EAGAIN)
                lose(w);
        else if (error < 0)
                fail(w, error, result->status);
        else if (index == 0)
                w->ops->failed(-EBADMSG, "the answer is none of Consul's: it has no index", w->userdata);
        else
                note(w, result->status, index);
}

static void on_data(Transfer *t, const char *data, size_t size, void *userdata) {
        /* Who wants the value asks for it. */
}

static int start(ConsulWatch *w, const char *url) {
        bool vouched = w->key.certificate && *w->key.certificate;
        uint64_t patience_usec = w->index > 0 ? HELD_USEC : ANSWER_USEC;

        return transfer_start(w->manager->curl, w->manager->event, &(TransferRequest) {
                        .url = url,
                        .headers = (const char *const []) { w->key.header, NULL },
                        .tls = vouched ? &(TransferTls) { .ca = w->key.certificate } : NULL,
                        .proxy = "",
                        .silence_usec = patience_usec,
                        .limit_usec = patience_usec,
                        .connect_timeout_usec = CONNECT_USEC,
                        .answer_max = PENDING_MAX,
                        .data = on_data,
                        .done = on_done,
                        .userdata = w,
                }, &w->transfer);
}

static void ask(ConsulWatch *w) {
        _cleanup_free_ char *url = NULL;
        int r;

        w->asked_usec = usec_now(CLOCK_MONOTONIC);
        if (w->index > 0)
                r = asprintf(&url, "%s?raw&index=%" PRIu64 "&wait=%ds", w->key.url, w->index, HOLD_SECONDS);
        else
                r = asprintf(&url, "%s?raw", w->key.url);
        if (r < 0)
                url = NULL;
        else
                r = start(w, url);
        if (r < 0)
                lose(w);
}

/* From the loop, as all requests. */
static void ask_soon(ConsulWatch *w) {
        (void) sd_event_source_set_time(w->quick.timer, 0);
        (void) sd_event_source_set_enabled(w->quick.timer, SD_EVENT_ONESHOT);
}

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata) {
        ask(userdata);
        return 0;
}

void consul_watch_doubt(ConsulWatch *w) {
        if (w->status == 0)             /* there will be news anyway */
                return;
        w->transfer = transfer_cancel(w->transfer);
        growing_pause_end(&w->quick);
        forget(w);
}

/* Of a key that was not there and is not there, nothing is news. So one that came must be known, or that it has gone again will not be. */
void consul_watch_trust(ConsulWatch *w, bool there) {
        growing_pause_reset(&w->absent);
        if (!there || w->status != 404)
                return;
        w->transfer = transfer_cancel(w->transfer);
        w->index = 0;
        ask_soon(w);
}

int consul_watch_new(ConsulWatch **ret, HttpManager *m, const ConsulKey *key, const ConsulWatchOps *ops, void *userdata) {
        ConsulWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (ConsulWatch) { .manager = m, .key = *key, .ops = ops, .userdata = userdata };
        r = http_manager_curl(m);
        if (r >= 0)
                r = growing_pause_init(&w->quick, m->event, on_pause_over, w);
        if (r >= 0)
                r = growing_pause_init(&w->absent, m->event, on_pause_over, w);
        if (r < 0) {
                consul_watch_free(w);
                return r;
        }
        ask_soon(w);
        *ret = w;
        return 0;
}

ConsulWatch *consul_watch_free(ConsulWatch *w) {
        if (!w)
                return NULL;
        w->transfer = transfer_cancel(w->transfer);
        growing_pause_done(&w->quick);
        growing_pause_done(&w->absent);
        free(w);
        return NULL;
}
