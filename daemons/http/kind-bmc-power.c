/* SPDX-License-Identifier: GPL-3.0-or-later */

/* bmc:power: whether a machine has power, by the controller on its board (BMC). That speaks Redfish, where the machine is found in a
 * collection of systems, of which the first one counts; or it is a service for whole racks that takes calls in JSON.
 *
 * A BMC tells nobody of anything, so it is asked now and then (Meta:poll). It belongs to a network of its own, with certificates that it
 * has made itself, but is believed over TLS only with one that somebody vouches for. What it answers is that of a small machine which may
 * be somebody else's by now: its links are followed on the BMC only. */

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include <json.h>

#include "common/base64.h"
#include "common/resource.h"
#include "common/strbuf.h"
#include "daemons/http/markup.h"
#include "daemons/http/service-address.h"
#include "daemons/http/service-call.h"

enum {
        PORT = 443,                     /* also without TLS: those who speak so are asked for theirs */
        STATE_MAX = 32,
};

typedef enum BmcProtocol {
        BMC_REDFISH,
        BMC_RPC,
} BmcProtocol;

typedef struct BmcPower BmcPower;

/* Goes on from an answer: what check_apply would return. */
typedef int (*answer_t)(BmcPower *b, json_object *answer, Diag *reterr);

struct BmcPower {
        Resource resource;
        char *hostname;
        int64_t port;
        char *username, *password;
        bool insecure_password;
        char *driver, *state, *certificate;

        ServiceAddress named;               /* what the name says */
        BmcProtocol protocol;
        char *base;                     /* "https://host:port" */
        char *service;                  /* that, for people */
        bool apply;
        char *system;                   /* path of the machine, for Redfish */
        ServiceCall call;
        answer_t next;
};

static const FieldSpec bmc_power_fields[] = {
        FIELD(BmcPower, hostname, FIELD_STR, 0, "Where the BMC is. Empty: as the name says, which then is 'driver://user@host:port'."),
        FIELD(BmcPower, port, FIELD_INT64, 0, "Its port. 0: as the name says, else 443."),
        FIELD(BmcPower, username, FIELD_STR, 0, "Who to be there. Empty: as the name says."),
        FIELD(BmcPower, password, FIELD_STR, FIELD_SECRET, "With which password."),
        FIELD(BmcPower, insecure_password, FIELD_BOOL, 0,
              "Take the password from the name, where everybody can read it: 'driver://user:password@host'."),
        FIELD(BmcPower, driver, FIELD_STR, 0,
              "What it speaks: redfish (or gofish, which is the same), or rpc; with an s behind it, over TLS. Empty: as the name says."),
        FIELD(BmcPower, state, FIELD_STR, 0, "What the machine shall be: on or off. Off is at once, without asking what runs on it."),
        FIELD(BmcPower, certificate, FIELD_STR, 0,
              "Absolute path of a PEM file with the certificates that vouch for that of the BMC. Empty: those that the host trusts."),
        {}
};

/* ---- where it is ---- */

static const char *first_of(const char *a, const char *b) {
        return *a ? a : b;
}

/* "gofish" or "redfish", and "rpc"; with an s behind it, over TLS. -EINVAL for others. */
static int parse_driver(const char *driver, BmcProtocol *ret, bool *ret_tls) {
        static const struct {
                const char *name;
                BmcProtocol protocol;
        } drivers[] = { { "gofish", BMC_REDFISH }, { "redfish", BMC_REDFISH }, { "rpc", BMC_RPC } };

        for (size_t i = 0; i < ELEMENTSOF(drivers); i++) {
                const char *rest = startswith(driver, drivers[i].name);
                if (!rest || !(streq(rest, "") || streq(rest, "s")))
                        continue;
                *ret = drivers[i].protocol;
                *ret_tls = *rest;
                return 0;
        }
        return -EINVAL;
}

static int validate_address(const BmcPower *b, const ServiceAddress *named, Diag *reterr) {
        const Resource *r = &b->resource;
        const char *driver = first_of(b->driver, named->driver), *host = first_of(b->hostname, named->host);
        BmcProtocol protocol;
        bool tls;

        if (!*host)
                return resource_error(r, reterr, -EINVAL, "hostname must be given, or the name must be 'driver://user@host:port'");
        if (!service_host_is_valid(host))
                return resource_error(r, reterr, -EINVAL, "hostname must be a name or an address, got '%s'", host);
        if (parse_driver(driver, &protocol, &tls) < 0)
                return resource_error(r, reterr, -EINVAL, "driver must be redfish, redfishs, gofish, gofishs, rpc or rpcs, got '%s'",
                                      driver);
        if (*named->password && !b->insecure_password)
                return resource_error(r, reterr, -EINVAL, "there is a password in the name, and insecure_password is not set");
        return 0;
}

static int bmc_power_validate(const Resource *r, Diag *reterr) {
        const BmcPower *b = (const BmcPower *) r;
        ServiceAddress named;
        int k;

        if (!streq(b->state, "on") && !streq(b->state, "off"))
                return resource_error(r, reterr, -EINVAL, "state must be on or off, got '%s'", b->state);
        if (b->port < 0 || b->port > UINT16_MAX)
                return resource_error(r, reterr, -ERANGE, "port must be from 1 to %d, got %lld", UINT16_MAX, (long long) b->port);
        if (*b->certificate && *b->certificate != '/')
                return resource_error(r, reterr, -EINVAL, "certificate must be an absolute path, got '%s'", b->certificate);
        k = service_address_parse(r->name, &named);
        if (k >= 0 && *named.path && !streq(named.path, "/")) {
                service_address_done(&named);
                k = -EINVAL;
        }
        if (k < 0)
                return k == -ENOMEM ? k : resource_error(r, reterr, k, "the name is not of the form 'driver://user@host:port'");
        k = validate_address(b, &named, reterr);
        service_address_done(&named);
        return k;
}

static int bmc_power_prepare(Resource *r, Diag *reterr) {
        BmcPower *b = (BmcPower *) r;
        bool tls = false;
        int k;

        service_address_done(&b->named);
        free(TAKE_PTR(b->base));
        free(TAKE_PTR(b->service));
        k = service_address_parse(r->name, &b->named);
        if (k < 0)
                return k;
        (void) parse_driver(first_of(b->driver, b->named.driver), &b->protocol, &tls);
        const char *host = first_of(b->hostname, b->named.host);
        b->base = service_base_url(tls ? "https" : "http", host, b->port > 0 ? b->port : b->named.port > 0 ? b->named.port : PORT);
        if (!b->base || asprintf(&b->service, "the BMC at '%s'", b->base) < 0) {
                b->service = NULL;
                return -ENOMEM;
        }
        b->call = (ServiceCall) { .resource = r, .service = b->service };
        return 0;
}

/* ---- asking ---- */

/* Hands a good answer on to what comes next. */
static int on_answer(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        BmcPower *b = (BmcPower *) r;
        const char *user = first_of(b->username, b->named.user);
        json_object *json = NULL;
        int k;

        if (answer->status == 401 || answer->status == 403)
                return resource_error(r, reterr, -EACCES, "%s does not let user '%s' do that: status %ld", b->service, user,
                                      answer->status);
        if (answer->status < 200 || answer->status > 299)
                return resource_error(r, reterr, -EREMOTEIO, "%s answers with status %ld", b->service, answer->status);
        k = service_answer_json(&b->call, answer, &json, reterr);       /* a change may be answered with nothing */
        if (k >= 0)
                k = b->next(b, json, reterr);
        json_object_put(json);
        return k;
}

/* "Authorization: Basic …", or an empty text where there is nobody to be. */
static int make_authorization(const BmcPower *b, StrBuf *ret) {
        const char *user = first_of(b->username, b->named.user), *password = first_of(b->password, b->named.password);
        _cleanup_(strbuf_done) StrBuf both = {};

        if (!*user && !*password)
                return 0;
        strbuf_printf(&both, "%s:%s", user, password);
        if (both.failed)
                return -ENOMEM;
        strbuf_puts(ret, "Authorization: Basic ");
        strbuf_base64(ret, both.data, both.size);
        explicit_bzero(both.data, both.size);
        return ret->failed ? -ENOMEM : 0;
}

/* body NULL: a GET. Such a call changes nothing a second time, but turning off what was turned on meanwhile: it is made once. */
static int ask(BmcPower *b, const char *path, const char *body, answer_t next, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf authorization = {};
        _cleanup_free_ char *url = NULL;
        int r;

        r = make_authorization(b, &authorization);
        if (r >= 0 && asprintf(&url, "%s%s", b->base, path) < 0) {
                url = NULL;
                r = -ENOMEM;
        }
        if (r < 0)
                return r;
        b->next = next;
        r = service_call(&b->call, &(ServiceRequest) {
                        .url = url,
                        .type = "application/json",
                        .body = body,
                        .body_size = body ? strlen(body) : 0,
                        .accept = "application/json",
                        .header = authorization.data,
                        .certificate = b->certificate,
                        .proxy = "",
                        .once = true,
                }, on_answer, reterr);
        if (authorization.size > 0)
                explicit_bzero(authorization.data, authorization.size);
        return r;
}

/* ---- the state ---- */

static int changed(BmcPower *b, json_object *answer, Diag *reterr) {
        return CHECK_CHANGED;
}

/* Whether that is all, or how it is changed. A machine that is on its way is left alone. */
static int judge(BmcPower *b, const char *now, int (*change)(BmcPower *b, json_object *answer, Diag *reterr), json_object *answer,
                 Diag *reterr) {
        char state[STATE_MAX];
        size_t n = 0;

        for (; now[n] && n + 1 < sizeof(state); n++)
                state[n] = (char) tolower((unsigned char) now[n]);
        state[n] = '\0';
        if (streq(state, b->state))
                return CHECK_OK;
        if (startswith(state, "powering"))
                return resource_waiting(&b->resource, "the machine is being turned on or off");
        resource_differs(&b->resource, "state", state, b->state);
        return b->apply ? change(b, answer, reterr) : CHECK_CHANGED;
}

/* ---- Redfish ---- */

/* Nobody shall be asked but the BMC. */
static bool is_path(const char *s) {
        if (!s || s[0] != '/' || s[1] == '/' || strlen(s) > 1024)
                return false;
        for (; *s; s++)
                if (!isgraph((unsigned char) *s) || *s == '#')
                        return false;
        return true;
}

static int redfish_change(BmcPower *b, json_object *system, Diag *reterr) {
        const char *target = answer_text(answer_member(answer_member(answer_member(system, "Actions"), "#ComputerSystem.Reset"), "target"));
        const char *body = streq(b->state, "on") ? "{\"ResetType\":\"On\"}" : "{\"ResetType\":\"ForceOff\"}";
        _cleanup_free_ char *usual = NULL;

        if (!target && asprintf(&usual, "%s/Actions/ComputerSystem.Reset", b->system) < 0) {
                usual = NULL;
                return -ENOMEM;
        }
        if (target && !is_path(target))
                return service_bad_answer(&b->call, "the target of its reset is no path", reterr);
        return ask(b, target ? target : usual, body, changed, reterr);
}

static int on_system(BmcPower *b, json_object *answer, Diag *reterr) {
        const char *now = answer_text(answer_member(answer, "PowerState"));

        return now ? judge(b, now, redfish_change, answer, reterr) : service_bad_answer(&b->call, "there is no PowerState", reterr);
}

static int on_systems(BmcPower *b, json_object *answer, Diag *reterr) {
        json_object *members = answer_member(answer, "Members");
        const char *path = NULL;

        if (json_object_is_type(members, json_type_array) && json_object_array_length(members) > 0)
                path = answer_text(answer_member(json_object_array_get_idx(members, 0), "@odata.id"));
        if (!is_path(path))
                return service_bad_answer(&b->call, "there is no system", reterr);
        free(b->system);
        b->system = strdup(path);
        return b->system ? ask(b, b->system, NULL, on_system, reterr) : -ENOMEM;
}

/* ---- calls in JSON ---- */

static int rpc_call(BmcPower *b, unsigned id, const char *method, const char *state, answer_t next, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};

        strbuf_printf(&body, "{\"id\":%u,\"host\":", id);
        markup_json(&body, first_of(b->hostname, b->named.host));
        strbuf_printf(&body, ",\"method\":\"%s\"", method);
        if (state)
                strbuf_printf(&body, ",\"params\":{\"state\":\"%s\"}", state);
        strbuf_putc(&body, '}');
        return body.failed ? -ENOMEM : ask(b, "/", body.data, next, reterr);
}

static int rpc_failed(const BmcPower *b, json_object *answer, Diag *reterr) {
        const char *message = answer_text(answer_member(answer_member(answer, "error"), "message"));

        return resource_error(&b->resource, reterr, -EREMOTEIO, "%s says: %s", b->service,
                              message ? message : "there is an error");
}

static bool has_error(json_object *answer) {
        return json_object_is_type(answer_member(answer, "error"), json_type_object);
}

static int on_rpc_changed(BmcPower *b, json_object *answer, Diag *reterr) {
        return has_error(answer) ? rpc_failed(b, answer, reterr) : CHECK_CHANGED;
}

static int rpc_change(BmcPower *b, json_object *answer, Diag *reterr) {
        return rpc_call(b, 2, "setPowerState", b->state, on_rpc_changed, reterr);
}

static int on_rpc_state(BmcPower *b, json_object *answer, Diag *reterr) {
        const char *now = answer_text(answer_member(answer, "result"));

        if (has_error(answer))
                return rpc_failed(b, answer, reterr);
        return now ? judge(b, now, rpc_change, answer, reterr) : service_bad_answer(&b->call, "there is no result", reterr);
}

/* ---- hooks ---- */

static int bmc_power_check_apply(Resource *r, bool apply, Diag *reterr) {
        BmcPower *b = (BmcPower *) r;

        b->apply = apply;
        if (b->protocol == BMC_RPC)
                return rpc_call(b, 1, "getPowerState", NULL, on_rpc_state, reterr);
        return ask(b, "/redfish/v1/Systems", NULL, on_systems, reterr);
}

static void bmc_power_cancel(Resource *r) {
        BmcPower *b = (BmcPower *) r;

        service_call_cancel(&b->call);
}

static void bmc_power_done(Resource *r) {
        BmcPower *b = (BmcPower *) r;

        bmc_power_cancel(r);
        service_address_done(&b->named);
        free(b->base);
        free(b->service);
        free(b->system);
}

const ResourceType bmc_power_type = {
        .kind = "bmc:power",
        .doc = "Whether a machine has power, by the controller on its board.",
        .example = "bmc:power \"redfishs://admin@bmc7.example.com\" {\n"
                   "\tpassword => \"secret\",\n"
                   "\tstate => \"on\",\n"
                   "\n"
                   "\tMeta:poll => 60,\n"
                   "}\n",
        .size = sizeof(BmcPower),
        .flags = RESOURCE_NEEDS_POLL,
        .fields = bmc_power_fields,
        .done = bmc_power_done,
        .validate = bmc_power_validate,
        .prepare = bmc_power_prepare,
        .check_apply = bmc_power_check_apply,
        .cancel = bmc_power_cancel,
};
