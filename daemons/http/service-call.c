/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See service-call.h. What a kind makes of an answer may end the attempt, and with it the resource: nothing here is touched afterwards. */

#include <json.h>

#include "daemons/http/http-manager.h"
#include "daemons/http/service-call.h"

enum {
        ANSWER_MAX = 1024 * 1024,
        DEPTH_MAX = 32,
        HEADERS_MAX = 4,
};

#define SILENCE_USEC (UINT64_C(30) * 1000 * 1000)
#define FILE_SILENCE_USEC (UINT64_C(5) * 60 * 1000 * 1000)      /* some look at it before they answer */
#define LIMIT_USEC (UINT64_C(120) * 1000 * 1000)
#define CONNECT_USEC (UINT64_C(10) * 1000 * 1000)

static int unanswered(ServiceCall *c, const TransferResult *result, Diag *reterr) {
        c->sent = result->sent;
        if (c->unanswered)
                return c->unanswered(c->resource, result->error, result->problem, reterr);
        return resource_error(c->resource, reterr, result->error, "cannot ask %s: %s", c->service, result->problem);
}

static void on_answer(Transfer *t, const TransferResult *result, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        ServiceCall *c = userdata;
        int r;

        c->transfer = NULL;
        if (result->error < 0)
                r = unanswered(c, result, &diag);
        else
                r = c->next(c->resource, &(ServiceAnswer) { .status = result->status, .data = result->data, .size = result->size,
                                                            .transfer = t }, &diag);
        if (r != CHECK_PENDING)
                resource_finish(c->resource, r, &diag);
}

static int add_header(char *headers[static HEADERS_MAX], size_t *n, const char *name, const char *value) {
        if (!value)
                return 0;
        if (asprintf(&headers[*n], "%s: %s", name, value) < 0) {
                headers[*n] = NULL;
                return -ENOMEM;
        }
        (*n)++;
        return 0;
}

static int start(ServiceCall *c, const ServiceRequest *q, const char *const *headers) {
        HttpManager *m = c->resource->host->manager;
        bool vouched = q->certificate && *q->certificate;
        int r = http_manager_curl(m);

        return r < 0 ? r : transfer_start(m->curl, m->event, &(TransferRequest) {
                        .method = q->method,
                        .url = q->url,
                        .headers = headers,
                        .body = q->body,
                        .body_size = q->body_size,
                        .file = q->file,
                        .file_size = q->file_size,
                        .tail = q->tail,
                        .tls = vouched ? &(TransferTls) { .ca = q->certificate } : NULL,
                        .signature = q->signature,
                        .proxy = q->proxy,
                        .once = q->once && q->body,
                        .silence_usec = q->file_size > 0 ? FILE_SILENCE_USEC : SILENCE_USEC,
                        .limit_usec = q->file_size > 0 ? 0 : LIMIT_USEC,
                        .connect_timeout_usec = CONNECT_USEC,
                        .answer_max = q->answer_max ?: ANSWER_MAX,
                        .done = on_answer,
                        .userdata = c,
                }, &c->transfer);
}

int service_call(ServiceCall *c, const ServiceRequest *q, service_answer_t next, Diag *reterr) {
        char *made[HEADERS_MAX] = {};
        const char *headers[HEADERS_MAX + 1] = {};
        size_t n = 0;
        int r;

        r = add_header(made, &n, "Accept", q->accept);
        if (r >= 0)
                r = add_header(made, &n, "Content-Type", q->body_size > 0 || q->file_size > 0 ? q->type : NULL);
        for (size_t i = 0; i < n; i++)
                headers[i] = made[i];
        if (q->header)
                headers[n] = q->header;
        c->next = next;
        if (r >= 0)
                r = start(c, q, headers);
        for (size_t i = 0; i < ELEMENTSOF(made); i++)
                free(made[i]);
        return r < 0 ? resource_error(c->resource, reterr, r, "cannot ask %s: %m", c->service) : CHECK_PENDING;
}

void service_call_cancel(ServiceCall *c) {
        c->transfer = transfer_cancel(c->transfer);
}

bool service_token_is_valid(const char *token) {
        for (; *token; token++)
                if (*token <= ' ' || *token > '~')
                        return false;
        return true;
}

bool service_is_absent(int error) {
        return error == -ECONNREFUSED || error == -ECONNRESET || error == -EHOSTUNREACH || error == -ETIMEDOUT;
}

/* ---- what is in an answer ---- */

void service_first_line(const char *text, char ret[static SERVICE_LINE_MAX]) {
        size_t n = 0;

        for (const char *p = text; p && n + 1 < SERVICE_LINE_MAX && *p >= ' ' && *p <= '~'; p++)
                ret[n++] = *p;
        ret[n] = '\0';
}

int service_bad_answer(const ServiceCall *c, const char *what, Diag *reterr) {
        return resource_error(c->resource, reterr, -EBADMSG, "%s answers what is not understood: %s", c->service, what);
}

int service_answer_json(const ServiceCall *c, const ServiceAnswer *answer, json_object **ret, Diag *reterr) {
        *ret = NULL;
        if (answer->size == 0)
                return 0;
        json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
        if (!t)
                return -ENOMEM;
        *ret = json_tokener_parse_ex(t, answer->data, (int) answer->size);
        bool good = json_tokener_get_error(t) == json_tokener_success;
        json_tokener_free(t);
        return good ? 0 : service_bad_answer(c, "it is no JSON", reterr);
}

json_object *answer_member(json_object *j, const char *name) {
        json_object *found = NULL;

        return json_object_is_type(j, json_type_object) && json_object_object_get_ex(j, name, &found) ? found : NULL;
}

const char *answer_text(json_object *j) {
        return json_object_is_type(j, json_type_string) ? json_object_get_string(j) : NULL;
}
