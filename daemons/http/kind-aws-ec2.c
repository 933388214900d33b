/* SPDX-License-Identifier: GPL-3.0-or-later */

/* aws:ec2: an instance in Amazon's cloud, known by its tag Name. It gets the tag when it is launched, in the same request, and a request
 * that may have been lost is repeated under the same token: so there is never a second one. Instances that were terminated are shown for
 * a while, and count for nothing.
 *
 * An attempt looks, does what is to be done, once, and looks again, less and less often, until it has come about. */

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include <systemd/sd-event.h>

#include "common/base64.h"
#include "common/strbuf.h"
#include "common/usec.h"
#include "daemons/http/aws-credentials.h"
#include "daemons/http/aws-xml.h"
#include "daemons/http/growing-pause.h"
#include "daemons/http/service-address.h"
#include "daemons/http/service-call.h"

#define VERSION "2016-11-15"            /* of the API */
#define NAME_PREFIX "_mgmt-"
#define PATIENCE_SECONDS 400
#define LOOK_MAX_USEC (UINT64_C(15) * 1000 * 1000)

enum {
        WORD_MAX = 128,
        NAME_MAX_SIZE = 249,            /* of a tag, but for the prefix */
        USERDATA_MAX = 16 * 1024,       /* what the API takes */
        TOKEN_BYTES = 16,
};

typedef struct Instance {
        char id[32], state[32], public_ip[48], private_ip[48];
} Instance;

typedef struct AwsEc2 {
        Resource resource;
        char *state, *region, *type, *imageid, *userdata, *endpoint;

        char *url, *service, *scheme;
        ServiceCall call;
        GrowingPause pause;             /* until the next look */

        bool apply;
        bool done;                      /* what is to be done: it is to be seen now */
        bool acted;                     /* something was done, or may have been */
        bool owes_change;               /* likewise, in this attempt or one before, and nobody was told */
        bool asks;                      /* for something to be done */
        bool said;
        uint64_t deadline_usec;         /* CLOCK_BOOTTIME */
        char token[2 * TOKEN_BYTES + 1];        /* of the instance that is to be launched; empty: none */

        /* What an answer shows. */
        Instance reading, instance;     /* the latter is the one that lives */
        unsigned n_living, n_ending;
        bool complete;                  /* it is such an answer */
        char more[8];                   /* it is not all of it */
        char code[64], message[SERVICE_LINE_MAX];
} AwsEc2;

static const FieldSpec aws_ec2_fields[] = {
        FIELD(AwsEc2, state, FIELD_STR, FIELD_REQUIRED,
              "What the instance shall be: running, stopped or terminated. Where there is none, none is stopped."),
        FIELD(AwsEc2, region, FIELD_STR, FIELD_REQUIRED, "Where it is, such as eu-central-1."),
        FIELD(AwsEc2, type, FIELD_STR, FIELD_REQUIRED, "The type that it is launched with, such as t3.micro."),
        FIELD(AwsEc2, imageid, FIELD_STR, FIELD_REQUIRED, "The image that it is launched from, such as ami-0123456789abcdef0."),
        FIELD(AwsEc2, userdata, FIELD_STR, 0, "What cloud-init gets when it is launched: at most 16 KiB."),
        FIELD(AwsEc2, endpoint, FIELD_STR, 0,
              "Where the API is: a URL with https, or with http on this very machine. Empty: where Amazon has it for the region."),
        {}
};

static const FieldSpec aws_ec2_sends[] = {
        { .name = "id", .type = FIELD_STR, .doc = "The instance. Empty if there is none." },
        { .name = "public_ip", .type = FIELD_STR, .doc = "Its address for everybody. Empty if it has none." },
        { .name = "private_ip", .type = FIELD_STR, .doc = "Its address in its own network. Empty if it has none." },
        {}
};

/* ---- fields ---- */

static bool is_word(const char *s) {
        size_t n = strlen(s);

        return n <= WORD_MAX && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

static int aws_ec2_validate(const Resource *r, Diag *reterr) {
        const AwsEc2 *e = (const AwsEc2 *) r;
        int k;

        if (r->meta.poll < 1)
                return resource_error(r, reterr, -EINVAL, "Meta:poll must be at least 1, got %d", r->meta.poll);
        if (!streq(e->state, "running") && !streq(e->state, "stopped") && !streq(e->state, "terminated"))
                return resource_error(r, reterr, -EINVAL, "state must be running, stopped or terminated, got '%s'", e->state);
        if (!is_word(e->region) || !is_word(e->type) || !is_word(e->imageid))
                return resource_error(r, reterr, -EINVAL,
                                      "region, type and imageid must be letters, digits, '.' and '-', got '%s', '%s', '%s'",
                                      e->region, e->type, e->imageid);
        if (strlen(r->name) > NAME_MAX_SIZE || strpbrk(r->name, "*?\\"))      /* it would be a pattern, of others' instances too */
                return resource_error(r, reterr, -EINVAL, "the name must have no '*', '?' and '\\', and at most %d bytes, got '%s'",
                                      NAME_MAX_SIZE, r->name);
        if (strlen(e->userdata) > USERDATA_MAX)
                return resource_error(r, reterr, -E2BIG, "userdata must have at most %d bytes, got %zu", USERDATA_MAX, strlen(e->userdata));
        k = *e->endpoint ? service_endpoint_check(e->endpoint) : 0;
        return k == -EINVAL ? resource_error(r, reterr, k, "endpoint must be a URL with https, or with http on this machine, got '%s'",
                                             e->endpoint) : k;
}

static void forget_place(AwsEc2 *e) {
        free(TAKE_PTR(e->url));
        free(TAKE_PTR(e->service));
        free(TAKE_PTR(e->scheme));
}

static int find_place(AwsEc2 *e) {
        int r;

        if (*e->endpoint)
                r = asprintf(&e->url, "%s%s", e->endpoint, endswith(e->endpoint, "/") ? "" : "/");
        else
                r = asprintf(&e->url, "https://ec2.%s.amazonaws.com%s/", e->region, startswith(e->region, "cn-") ? ".cn" : "");
        if (r < 0)
                e->url = NULL;
        if (r >= 0 && asprintf(&e->service, "the API at '%s'", e->url) < 0)
                e->service = NULL;
        if (r >= 0 && asprintf(&e->scheme, "aws:amz:%s:ec2", e->region) < 0)
                e->scheme = NULL;
        return e->url && e->service && e->scheme ? 0 : -ENOMEM;
}

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata);
static int unanswered(Resource *r, int error, const char *problem, Diag *reterr);

static int aws_ec2_prepare(Resource *r, Diag *reterr) {
        AwsEc2 *e = (AwsEc2 *) r;
        int k;

        forget_place(e);
        k = find_place(e);
        if (k >= 0 && !e->pause.timer)
                k = growing_pause_init(&e->pause, r->host->event, on_pause_over, e);
        e->call = (ServiceCall) { .resource = r, .service = e->service, .unanswered = unanswered };
        return k;
}

/* ---- asking ---- */

/* "&name=value", where value may be anything. */
static void put(StrBuf *b, const char *name, const char *value) {
        strbuf_printf(b, "&%s=", name);
        for (; *value; value++) {
                bool plain = (*value >= '0' && *value <= '9') || (*value >= 'A' && *value <= 'Z') || (*value >= 'a' && *value <= 'z') ||
                             strchr("-._~", *value);
                if (plain)
                        strbuf_putc(b, *value);
                else
                        strbuf_printf(b, "%%%02X", (unsigned char) *value);
        }
}

static void put_name(StrBuf *b, const AwsEc2 *e, const char *parameter) {
        _cleanup_(strbuf_done) StrBuf name = {};

        strbuf_printf(&name, NAME_PREFIX "%s", e->resource.name);
        if (name.failed)
                strbuf_fail_as(b, &name);
        else
                put(b, parameter, name.data);
}

static int ask_as(AwsEc2 *e, const AwsCredentials *c, const StrBuf *body, service_answer_t next, Diag *reterr) {
        _cleanup_free_ char *session = NULL;
        int r;

        if (c->session && asprintf(&session, "X-Amz-Security-Token: %s", c->session) < 0) {
                session = NULL;
                return -ENOMEM;
        }
        r = service_call(&e->call, &(ServiceRequest) {
                        .url = e->url,
                        .type = "application/x-www-form-urlencoded",
                        .body = body->data,
                        .body_size = body->size,
                        .header = session,
                        .signature = &(TransferSignature) { .scheme = e->scheme, .user = c->user, .secret = c->secret },
                        .proxy = startswith(e->url, "http://") ? "" : NULL,
                }, next, reterr);
        if (session)
                explicit_bzero(session, strlen(session));
        return r;
}

static int ask(AwsEc2 *e, const StrBuf *body, service_answer_t next, Diag *reterr) {
        AwsCredentials c = {};
        int r;

        if (body->failed)
                return strbuf_error(body);
        r = aws_credentials_find(&c, e->resource.pos, reterr);
        if (r >= 0)
                r = ask_as(e, &c, body, next, reterr);
        aws_credentials_done(&c);
        return r;
}

/* ---- looking again ---- */

static int look(AwsEc2 *e, Diag *reterr);

static int on_pause_over(sd_event_source *s, uint64_t usec, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        AwsEc2 *e = userdata;
        int r = look(e, &diag);

        if (r != CHECK_PENDING)
                resource_finish(&e->resource, r, &diag);
        return 0;
}

/* problem: why it is not as it shall be. */
static int look_later(AwsEc2 *e, const char *problem, Diag *reterr) {
        if (usec_now(CLOCK_BOOTTIME) >= e->deadline_usec) {
                e->token[0] = '\0';     /* the one that was launched will not come any more */
                return resource_error(&e->resource, reterr, -ETIMEDOUT, "waited for %d s, and %s", PATIENCE_SECONDS, problem);
        }
        growing_pause_begin(&e->pause, LOOK_MAX_USEC);
        return CHECK_PENDING;
}

/* Who only looks does not wait. */
static int wait_for(AwsEc2 *e, const char *state, Diag *reterr) {
        char reason[80];

        (void) snprintf(reason, sizeof(reason), "the instance is %s", state);
        return e->apply ? look_later(e, reason, reterr) : resource_waiting(&e->resource, reason);
}

static int wait_for_api(AwsEc2 *e, const char *problem, Diag *reterr) {
        char reason[512];

        if (e->asks)            /* nobody knows */
                e->acted = e->owes_change = true;
        e->asks = false;
        if (e->acted)
                return look_later(e, "the API does not answer", reterr);
        (void) snprintf(reason, sizeof(reason), "%s cannot be asked: %s", e->service, problem);
        return resource_waiting(&e->resource, reason);
}

static int unanswered(Resource *r, int error, const char *problem, Diag *reterr) {
        AwsEc2 *e = (AwsEc2 *) r;

        if (service_is_absent(error))
                return wait_for_api(e, problem, reterr);
        return resource_error(r, reterr, error, "cannot ask %s: %s", e->service, problem);
}

/* ---- answers ---- */

static void copy(char *to, size_t size, const char *text) {
        char line[SERVICE_LINE_MAX];

        service_first_line(text, line);
        (void) snprintf(to, size, "%.*s", (int) size - 1, line);
}

static void take_instance(AwsEc2 *e) {
        if (streq(e->reading.state, "shutting-down"))
                e->n_ending++;
        else if (!streq(e->reading.state, "terminated")) {
                e->n_living++;
                e->instance = e->reading;
        }
        e->reading = (Instance) {};
}

#define INSTANCE "DescribeInstancesResponse/reservationSet/item/instancesSet/item"

static void on_element(const char *path, const char *text, void *userdata) {
        AwsEc2 *e = userdata;
        const struct {
                const char *path;
                char *to;
                size_t size;
        } texts[] = {
                { INSTANCE "/instanceId", e->reading.id, sizeof(e->reading.id) },
                { INSTANCE "/instanceState/name", e->reading.state, sizeof(e->reading.state) },
                { INSTANCE "/ipAddress", e->reading.public_ip, sizeof(e->reading.public_ip) },
                { INSTANCE "/privateIpAddress", e->reading.private_ip, sizeof(e->reading.private_ip) },
                { "DescribeInstancesResponse/nextToken", e->more, sizeof(e->more) },
                { "Response/Errors/Error/Code", e->code, sizeof(e->code) },
                { "Response/Errors/Error/Message", e->message, sizeof(e->message) },
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (streq(path, texts[i].path))
                        copy(texts[i].to, texts[i].size, text);
        if (streq(path, INSTANCE))
                take_instance(e);
        e->complete = e->complete || streq(path, "DescribeInstancesResponse");
}

static int refused(AwsEc2 *e, long status, Diag *reterr) {
        if (streq(e->code, "RequestLimitExceeded") || streq(e->code, "Throttling") || streq(e->code, "Unavailable") ||
            streq(e->code, "IncorrectInstanceState"))
                return e->acted || e->asks ? look_later(e, "the API does not do it", reterr) : wait_for_api(e, e->code, reterr);
        return resource_error(&e->resource, reterr, status == 401 || status == 403 ? -EACCES : -EREMOTEIO,
                              "%s does not do it: status %ld%s%s%s%s", e->service, status, *e->code ? ", " : "", e->code,
                              *e->message ? ": " : "", e->message);
}

/* Whatever there is in an answer. */
static int read_answer(AwsEc2 *e, const ServiceAnswer *answer, Diag *reterr) {
        bool good = answer->status >= 200 && answer->status <= 299;
        int r;

        e->reading = e->instance = (Instance) {};
        e->n_living = e->n_ending = 0;
        e->complete = false;
        e->more[0] = e->code[0] = e->message[0] = '\0';
        r = answer->size > 0 ? aws_xml_read(answer->data, answer->size, on_element, e) : 0;
        if (r == -ENOMEM)
                return r;
        if (!good)
                return refused(e, answer->status, reterr);
        return r < 0 ? service_bad_answer(&e->call, "it is no XML of AWS", reterr) : CHECK_OK;
}

static int on_acted(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        AwsEc2 *e = (AwsEc2 *) r;
        int k = read_answer(e, answer, reterr);

        e->asks = false;
        if (k != CHECK_OK)
                return k;
        e->done = e->acted = e->owes_change = true;
        e->deadline_usec = usec_now(CLOCK_BOOTTIME) + (uint64_t) PATIENCE_SECONDS * 1000000;
        growing_pause_reset(&e->pause);
        return look_later(e, "nothing has come of it", reterr);
}

/* ---- doing ---- */

static int begin(AwsEc2 *e, const StrBuf *body, Diag *reterr) {
        e->asks = true;
        return ask(e, body, on_acted, reterr);
}

static int act_on_instance(AwsEc2 *e, const char *action, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};

        strbuf_printf(&body, "Action=%s&Version=" VERSION, action);
        put(&body, "InstanceId.1", e->instance.id);
        return begin(e, &body, reterr);
}

static int make_token(AwsEc2 *e) {
        unsigned char bytes[TOKEN_BYTES];

        if (*e->token)
                return 0;
        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                return -EIO;
        for (size_t i = 0; i < sizeof(bytes); i++)
                (void) snprintf(e->token + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static int launch(AwsEc2 *e, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {}, userdata = {};
        int r = make_token(e);

        if (r < 0)
                return r;
        strbuf_puts(&body, "Action=RunInstances&Version=" VERSION "&MinCount=1&MaxCount=1");
        put(&body, "ImageId", e->imageid);
        put(&body, "InstanceType", e->type);
        put(&body, "ClientToken", e->token);
        put(&body, "TagSpecification.1.ResourceType", "instance");
        put(&body, "TagSpecification.1.Tag.1.Key", "Name");
        put_name(&body, e, "TagSpecification.1.Tag.1.Value");
        if (*e->userdata) {
                strbuf_base64(&userdata, e->userdata, strlen(e->userdata));
                if (userdata.failed)
                        return -ENOMEM;
                put(&body, "UserData", userdata.data);
        }
        return begin(e, &body, reterr);
}

static int change(AwsEc2 *e, Diag *reterr) {
        if (streq(e->state, "terminated"))
                return act_on_instance(e, "TerminateInstances", reterr);
        if (streq(e->state, "stopped"))
                return act_on_instance(e, "StopInstances", reterr);
        return e->n_living > 0 ? act_on_instance(e, "StartInstances", reterr) : launch(e, reterr);
}

/* ---- judging ---- */

static int send(AwsEc2 *e, const char *key, const char *text) {
        _cleanup_(value_done) Value v = {};
        int r = value_strz(&v, text);

        return r < 0 ? r : resource_send(&e->resource, key, v);
}

static int conclude(AwsEc2 *e) {
        int r = send(e, "id", e->instance.id);

        if (r >= 0)
                r = send(e, "public_ip", e->instance.public_ip);
        if (r >= 0)
                r = send(e, "private_ip", e->instance.private_ip);
        if (r < 0)
                return r;
        bool changed = e->owes_change;
        e->owes_change = false;
        return changed ? CHECK_CHANGED : CHECK_OK;
}

static int would_change(AwsEc2 *e) {
        for (const FieldSpec *f = aws_ec2_sends; f->name; f++)
                resource_send_unknown(&e->resource, f->name);
        return CHECK_CHANGED;
}

static int judge(AwsEc2 *e, Diag *reterr) {
        const char *now = e->n_living > 0 ? e->instance.state : "terminated";

        if (e->n_living > 0)
                e->token[0] = '\0';
        bool ends = streq(e->state, "terminated");

        if (e->n_living > 1)
                return resource_error(&e->resource, reterr, -ENOTUNIQ, "there are %u instances of the name '" NAME_PREFIX "%s'",
                                      e->n_living, e->resource.name);
        if (ends && e->n_living == 0 && e->n_ending > 0)
                return wait_for(e, "shutting-down", reterr);
        if (streq(now, e->state) || (e->n_living == 0 && streq(e->state, "stopped")))
                return conclude(e);
        if (streq(now, "pending") || streq(now, "stopping") || e->done)
                return wait_for(e, now, reterr);
        if (!e->said)
                resource_differs(&e->resource, "state", now, e->state);
        e->said = true;
        return e->apply ? change(e, reterr) : would_change(e);
}

static int on_instances(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        AwsEc2 *e = (AwsEc2 *) r;
        int k = read_answer(e, answer, reterr);

        if (k != CHECK_OK)
                return k;
        if (!e->complete || *e->more || (e->n_living > 0 && !(*e->instance.id && *e->instance.state)))
                return service_bad_answer(&e->call, "it does not tell of instances", reterr);
        return judge(e, reterr);
}

static int look(AwsEc2 *e, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};

        strbuf_puts(&body, "Action=DescribeInstances&Version=" VERSION "&Filter.1.Name=tag%3AName");
        put_name(&body, e, "Filter.1.Value.1");
        return ask(e, &body, on_instances, reterr);
}

/* ---- hooks ---- */

static int aws_ec2_check_apply(Resource *r, bool apply, Diag *reterr) {
        AwsEc2 *e = (AwsEc2 *) r;

        e->apply = apply;
        e->done = e->acted = e->asks = e->said = false;
        e->deadline_usec = usec_now(CLOCK_BOOTTIME) + (uint64_t) PATIENCE_SECONDS * 1000000;
        growing_pause_reset(&e->pause);
        return look(e, reterr);
}

static void aws_ec2_cancel(Resource *r) {
        AwsEc2 *e = (AwsEc2 *) r;

        service_call_cancel(&e->call);
        growing_pause_end(&e->pause);
}

static void aws_ec2_done(Resource *r) {
        AwsEc2 *e = (AwsEc2 *) r;

        aws_ec2_cancel(r);
        growing_pause_done(&e->pause);
        forget_place(e);
}

const ResourceType aws_ec2_type = {
        .kind = "aws:ec2",
        .doc = "An instance in Amazon's cloud, found by its tag Name, which is that of the resource with '_mgmt-' before it. It stays "
               "when the resource goes.",
        .example = "aws:ec2 \"web1\" {\n"
                   "\tstate => \"running\",\n"
                   "\tregion => \"eu-central-1\",\n"
                   "\ttype => \"t3.micro\",\n"
                   "\timageid => \"ami-0123456789abcdef0\",\n"
                   "\n"
                   "\tMeta:poll => 60,\n"
                   "}\n",
        .size = sizeof(AwsEc2),
        .flags = RESOURCE_NEEDS_POLL,
        .fields = aws_ec2_fields,
        .sends = aws_ec2_sends,
        .done = aws_ec2_done,
        .validate = aws_ec2_validate,
        .prepare = aws_ec2_prepare,
        .check_apply = aws_ec2_check_apply,
        .cancel = aws_ec2_cancel,
};
