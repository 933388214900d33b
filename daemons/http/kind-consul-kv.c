/* SPDX-License-Identifier: GPL-3.0-or-later */

/* consul:kv: a key of Consul and its value. Consul says when the key has changed (consul-watch.h). One that is not there, or has no
 * leader, is waited for; whoever it does not let in has failed. */

#include <stdio.h>

#include "common/resource.h"
#include "daemons/http/consul-watch.h"
#include "daemons/http/http-manager.h"
#include "daemons/http/service-address.h"
#include "daemons/http/service-call.h"
#include "daemons/http/url.h"

enum { VALUE_MAX = 16 * 1024 * 1024 };  /* Consul takes half a mebibyte, unless it was told otherwise */

typedef struct ConsulKv {
        Resource resource;
        char *key, *value, *scheme, *address, *token, *certificate;

        char *service;                  /* "Consul at 'http://host:port'" */
        char *url, *header;
        ServiceCall call;
        bool apply;
        ConsulWatch *watch;
        bool armed;
} ConsulKv;

static const FieldSpec consul_kv_fields[] = {
        FIELD(ConsulKv, key, FIELD_STR, 0,
              "The key, without a slash before it. Empty: the name of the resource; or what stands in it behind the host, if it is "
              "'http://HOST:PORT/KEY', or the same with https."),
        FIELD(ConsulKv, value, FIELD_STR, 0, "Its value."),
        FIELD(ConsulKv, scheme, FIELD_STR, 0, "http or https. Empty: as the name says, if the key is taken from it; else http."),
        FIELD(ConsulKv, address, FIELD_STR, 0,
              "'HOST:PORT' of Consul. Empty: as the name says, if the key is taken from it; else 127.0.0.1:8500."),
        FIELD(ConsulKv, token, FIELD_STR, FIELD_SECRET, "The token that lets us read and write the key, where Consul wants one."),
        FIELD(ConsulKv, certificate, FIELD_STR, 0,
              "With https, the absolute path of a PEM file with the certificates that vouch for that of Consul. Empty: those that the "
              "host trusts."),
        {}
};

/* ---- which key, and where ---- */

typedef struct ConsulPlace {
        char *base;                     /* "http://host:port" */
        char *key;
} ConsulPlace;

static void consul_place_done(ConsulPlace *p) {
        free(p->base);
        free(p->key);
}

/* What is left out on the way there cannot be part of a key. */
static bool has_dots_alone(const char *key) {
        for (const char *p = key; *p; p += strcspn(p, "/"), p += *p == '/') {
                size_t n = strcspn(p, "/");
                if (n > 0 && n <= 2 && strspn(p, ".") >= n)
                        return true;
        }
        return false;
}

static int check_key(const ConsulKv *c, const char *key, Diag *reterr) {
        const Resource *r = &c->resource;

        if (!*key)
                return resource_error(r, reterr, -EINVAL, "key must be given, or the name must be 'http://HOST:PORT/KEY'");
        if (*key == '/')
                return resource_error(r, reterr, -EINVAL, "key must not begin with a slash, got '%s'", key);
        if (has_dots_alone(key))
                return resource_error(r, reterr, -EINVAL, "key must not have '.' or '..' between its slashes, got '%s'", key);
        return 0;
}

/* The base from "scheme://host:port", and from that only. */
static int find_base(const ServiceAddress *a, const char *scheme, char **ret) {
        if (!service_host_is_valid(a->host) || *a->user || *a->password)
                return -EINVAL;
        *ret = service_base_url(scheme, a->host, a->port);
        return *ret ? 0 : -ENOMEM;
}

static int find_address(const ConsulKv *c, const char *scheme, const char *address, char **ret, Diag *reterr) {
        _cleanup_(service_address_done) ServiceAddress a = {};
        _cleanup_free_ char *text = NULL;
        int k;

        if (asprintf(&text, "%s://%s", scheme, address) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        k = service_address_parse(text, &a);
        if (k >= 0)
                k = *a.path ? -EINVAL : find_base(&a, scheme, ret);
        if (k == -EINVAL)
                return resource_error(&c->resource, reterr, k, "address must be 'HOST:PORT', got '%s'", address);
        return k;
}

/* What the fields say counts more than the name. */
static int find_named(const ConsulKv *c, ConsulPlace *ret, Diag *reterr) {
        _cleanup_(service_address_done) ServiceAddress a = {};
        const Resource *r = &c->resource;
        _cleanup_free_ char *named = NULL;
        int k = service_address_parse(r->name, &a);

        if (k >= 0)
                k = find_base(&a, *c->scheme ? c->scheme : a.driver, &named);
        if (k == -EINVAL)
                return resource_error(r, reterr, k, "the name is not of the form 'http://HOST:PORT/KEY'");
        if (k >= 0 && *c->address)
                k = find_address(c, *c->scheme ? c->scheme : a.driver, c->address, &ret->base, reterr);
        else if (k >= 0)
                ret->base = TAKE_PTR(named);
        if (k < 0)
                return k;
        ret->key = strdup(*a.path ? a.path + 1 : "");
        return ret->key ? 0 : -ENOMEM;
}

static int find_place(const ConsulKv *c, ConsulPlace *ret, Diag *reterr) {
        const char *name = c->resource.name;
        int k;

        if (*c->scheme && !streq(c->scheme, "http") && !streq(c->scheme, "https"))
                return resource_error(&c->resource, reterr, -EINVAL, "scheme must be http or https, got '%s'", c->scheme);
        if (!*c->key && (startswith(name, "http://") || startswith(name, "https://")))
                k = find_named(c, ret, reterr);
        else {
                k = find_address(c, *c->scheme ? c->scheme : "http", *c->address ? c->address : "127.0.0.1:8500", &ret->base, reterr);
                if (k >= 0 && !(ret->key = strdup(*c->key ? c->key : name)))
                        k = -ENOMEM;
        }
        return k < 0 ? k : check_key(c, ret->key, reterr);
}

static int consul_kv_validate(const Resource *r, Diag *reterr) {
        const ConsulKv *c = (const ConsulKv *) r;
        _cleanup_(consul_place_done) ConsulPlace place = {};

        if (!service_token_is_valid(c->token))
                return resource_error(r, reterr, -EINVAL, "token must have neither blanks nor other than ASCII characters");
        if (*c->certificate && *c->certificate != '/')
                return resource_error(r, reterr, -EINVAL, "certificate must be an absolute path, got '%s'", c->certificate);
        return find_place(c, &place, reterr);
}

static void forget_place(ConsulKv *c) {
        free(TAKE_PTR(c->service));
        free(TAKE_PTR(c->url));
        if (c->header)
                explicit_bzero(c->header, strlen(c->header));
        free(TAKE_PTR(c->header));
}

static int unanswered(Resource *r, int error, const char *problem, Diag *reterr);

static int consul_kv_prepare(Resource *r, Diag *reterr) {
        ConsulKv *c = (ConsulKv *) r;
        _cleanup_(consul_place_done) ConsulPlace place = {};
        _cleanup_free_ char *path = NULL;
        int k = find_place(c, &place, reterr);

        forget_place(c);
        if (k < 0)
                return k;
        path = url_escape_path(place.key);
        if (!path)
                return -ENOMEM;
        if (asprintf(&c->url, "%s/v1/kv/%s", place.base, path) < 0)
                c->url = NULL;
        if (asprintf(&c->service, "Consul at '%s'", place.base) < 0)
                c->service = NULL;
        if (*c->token && asprintf(&c->header, "X-Consul-Token: %s", c->token) < 0)
                c->header = NULL;
        if (!c->url || !c->service || (*c->token && !c->header))
                return -ENOMEM;
        c->call = (ServiceCall) { .resource = r, .service = c->service, .unanswered = unanswered };
        return 0;
}

/* ---- watch ---- */

static void on_news(void *userdata) {
        ConsulKv *c = userdata;

        if (c->armed) {
                resource_changed(&c->resource);
                return;
        }
        c->armed = true;
        resource_armed(&c->resource);
}

static void on_watch_failed(int error, const char *problem, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        ConsulKv *c = userdata;

        (void) resource_error(&c->resource, &diag, error, "%s does not let the key be watched: %s", c->service, problem);
        c->watch = consul_watch_free(c->watch);
        resource_watch_failed(&c->resource, error, &diag);
}

static int consul_kv_watch(Resource *r, Diag *reterr) {
        static const ConsulWatchOps ops = { .news = on_news, .failed = on_watch_failed };
        ConsulKv *c = (ConsulKv *) r;
        int k;

        c->armed = false;
        k = consul_watch_new(&c->watch, r->host->manager, &(ConsulKey) { c->url, c->header, c->certificate }, &ops, c);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch the key: %m") : 0;
}

static void consul_kv_unwatch(Resource *r) {
        ConsulKv *c = (ConsulKv *) r;

        c->watch = consul_watch_free(c->watch);
}

/* ---- check and apply ---- */

static int wait_for_consul(ConsulKv *c, const char *problem) {
        char reason[512];

        if (c->watch)
                consul_watch_doubt(c->watch);
        (void) snprintf(reason, sizeof(reason), "%s cannot be asked: %s", c->service, problem);
        return resource_waiting(&c->resource, reason);
}

static int unanswered(Resource *r, int error, const char *problem, Diag *reterr) {
        ConsulKv *c = (ConsulKv *) r;

        if (service_is_absent(error))
                return wait_for_consul(c, problem);
        return resource_error(r, reterr, error, "cannot ask %s: %s", c->service, problem);
}

/* What went wrong if it is not the status that was hoped for. Consul says it in words as well. */
static int refused(ConsulKv *c, const ServiceAnswer *answer, Diag *reterr) {
        int error = consul_status_error(answer->status) ?: -EREMOTEIO;
        char words[SERVICE_LINE_MAX], problem[SERVICE_LINE_MAX + 32];

        service_first_line(answer->data, words);
        (void) snprintf(problem, sizeof(problem), "status %ld%s%s", answer->status, *words ? ", " : "", words);
        if (error == -EAGAIN)
                return wait_for_consul(c, problem);
        return resource_error(&c->resource, reterr, error, "%s %s: %s", c->service, error == -EACCES ? "does not let us" : "does not do it",
                              problem);
}

static int settled(ConsulKv *c, bool there, int result) {
        if (c->watch)
                consul_watch_trust(c->watch, there);
        return result;
}

static int on_put(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        ConsulKv *c = (ConsulKv *) r;

        if (answer->status != 200)
                return refused(c, answer, reterr);
        if (!startswith(answer->data, "true"))
                return resource_error(r, reterr, -EREMOTEIO, "%s has not taken the value", c->service);
        return settled(c, true, CHECK_CHANGED);
}

static int on_value(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        ConsulKv *c = (ConsulKv *) r;
        size_t size = strlen(c->value);
        bool there = answer->status == 200;

        if (consul_status_error(answer->status) < 0)
                return refused(c, answer, reterr);
        if (consul_index(answer->transfer) == 0)
                return service_bad_answer(&c->call, "there is no index", reterr);
        if (there && answer->size == size && memcmp(answer->data, c->value, size) == 0)
                return settled(c, there, CHECK_OK);
        resource_differs_bytes(r, "value", there ? answer->data : NULL, there ? answer->size : 0, c->value, size);
        if (!c->apply)
                return settled(c, there, CHECK_CHANGED);
        return service_call(&c->call, &(ServiceRequest) {
                        .method = "PUT",
                        .url = c->url,
                        .type = "application/octet-stream",
                        .body = c->value,
                        .body_size = size,
                        .header = c->header,
                        .certificate = c->certificate,
                        .proxy = "",
                }, on_put, reterr);
}

static int consul_kv_check_apply(Resource *r, bool apply, Diag *reterr) {
        ConsulKv *c = (ConsulKv *) r;
        _cleanup_free_ char *url = NULL;

        c->apply = apply;
        if (asprintf(&url, "%s?raw", c->url) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        return service_call(&c->call, &(ServiceRequest) {
                        .url = url,
                        .header = c->header,
                        .certificate = c->certificate,
                        .proxy = "",
                        .answer_max = VALUE_MAX,
                }, on_value, reterr);
}

static void consul_kv_cancel(Resource *r) {
        service_call_cancel(&((ConsulKv *) r)->call);
}

static void consul_kv_done(Resource *r) {
        consul_kv_cancel(r);
        forget_place((ConsulKv *) r);
}

const ResourceType consul_kv_type = {
        .kind = "consul:kv",
        .doc = "A key of Consul and its value. The value stays when the resource goes.",
        .example = "consul:kv \"service/greeting\" {\n\tvalue => \"hello\",\n}\n",
        .size = sizeof(ConsulKv),
        .fields = consul_kv_fields,
        .done = consul_kv_done,
        .validate = consul_kv_validate,
        .prepare = consul_kv_prepare,
        .watch = consul_kv_watch,
        .unwatch = consul_kv_unwatch,
        .check_apply = consul_kv_check_apply,
        .cancel = consul_kv_cancel,
};
