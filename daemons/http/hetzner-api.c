/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The number of requests an hour is limited, for all who share a project. Who has asked too often is told by a status, and by a header when
 * the limit will have been raised to what it was. */

#include <inttypes.h>
#include <stdio.h>

#include <json.h>

#include "common/usec.h"
#include "daemons/http/hetzner-api.h"

#define QUOTA_MIN_SECONDS 1
#define QUOTA_MAX_SECONDS 3600          /* the limit is one of an hour */
#define QUOTA_SECONDS 30                /* if nothing is said */

int hetzner_api_set(HetznerApi *a, Resource *r, const char *endpoint, const char *token) {
        size_t n = strlen(endpoint);

        while (n > 0 && endpoint[n - 1] == '/')
                n--;
        hetzner_api_done(a);
        if (asprintf(&a->header, "Authorization: Bearer %s", token) < 0)
                a->header = NULL;
        if (asprintf(&a->base, "%.*s", (int) n, endpoint) < 0)
                a->base = NULL;
        if (asprintf(&a->service, "the API at '%s'", a->base ? a->base : "") < 0)
                a->service = NULL;
        a->call.resource = r;
        a->call.service = a->service;
        return a->header && a->base && a->service ? 0 : -ENOMEM;
}

void hetzner_api_done(HetznerApi *a) {
        service_call_cancel(&a->call);
        if (a->header)
                explicit_bzero(a->header, strlen(a->header));
        free(TAKE_PTR(a->header));
        free(TAKE_PTR(a->base));
        free(TAKE_PTR(a->service));
}

int hetzner_api_call(HetznerApi *a, const char *method, const char *path, const char *body, service_answer_t next, Diag *reterr) {
        _cleanup_free_ char *url = NULL;

        if (asprintf(&url, "%s%s", a->base, path) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        return service_call(&a->call, &(ServiceRequest) {
                        .method = method,
                        .url = url,
                        .type = "application/json",
                        .body = body,
                        .body_size = body ? strlen(body) : 0,
                        .accept = "application/json",
                        .header = a->header,
                        .proxy = startswith(a->base, "http://") ? "" : NULL,    /* what is here is not asked for elsewhere */
                        .once = true,
                }, next, reterr);
}

static bool parse_number(const char *text, int64_t *ret) {
        int end = -1;

        return text && *text >= '0' && *text <= '9' && strlen(text) <= 18 && sscanf(text, "%" SCNd64 "%n", ret, &end) == 1 && !text[end];
}

/* Seconds from now, or the moment of a clock, which may not be ours. */
static uint64_t quota_usec(const ServiceAnswer *answer) {
        int64_t seconds = QUOTA_SECONDS, moment;

        if (!parse_number(transfer_header(answer->transfer, "Retry-After"), &seconds) &&
            parse_number(transfer_header(answer->transfer, "RateLimit-Reset"), &moment))
                seconds = moment - (int64_t) (usec_now(CLOCK_REALTIME) / 1000000);
        seconds = MAX(seconds, (int64_t) QUOTA_MIN_SECONDS);
        return (uint64_t) MIN(seconds, (int64_t) QUOTA_MAX_SECONDS) * 1000000;
}

static int refused(HetznerApi *a, const ServiceAnswer *answer, json_object *json, Diag *reterr) {
        json_object *error = answer_member(json, "error");
        const char *code = answer_text(answer_member(error, "code")) ?: "";
        char message[SERVICE_LINE_MAX];

        if (streq(code, "locked") || streq(code, "conflict"))
                return -EBUSY;
        service_first_line(answer_text(answer_member(error, "message")), message);
        if (answer->status == 401 || answer->status == 403)
                return resource_error(a->call.resource, reterr, -EACCES, "%s does not let the token do that: status %ld%s%s", a->service,
                                      answer->status, *message ? ", " : "", message);
        return resource_error(a->call.resource, reterr, answer->status == 404 ? -ENOENT : -EREMOTEIO, "%s does not do it: status %ld%s%s",
                              a->service, answer->status, *message ? ", " : "", message);
}

int hetzner_api_answer(HetznerApi *a, const ServiceAnswer *answer, json_object **ret, Diag *reterr) {
        json_object *json;
        int r;

        *ret = NULL;
        if (answer->status == 429) {
                a->free_usec = usec_now(CLOCK_BOOTTIME) + quota_usec(answer);
                return -EDQUOT;
        }
        bool good = answer->status >= 200 && answer->status <= 299;
        r = service_answer_json(&a->call, answer, &json, good ? reterr : NULL);
        if (good && r < 0)
                return r;
        if (!good) {
                r = refused(a, answer, json, reterr);
                json_object_put(json);
                return r;
        }
        *ret = json;
        return 0;
}
