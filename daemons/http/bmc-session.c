/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See bmc-session.h. */

#include <ctype.h>
#include <stdio.h>

#include <json.h>

#include "common/base64.h"
#include "common/strbuf.h"
#include "daemons/http/bmc-session.h"

enum { PORT = 443 };                    /* also without TLS: those who speak so are asked for theirs */

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

static int validate_address(const Bmc *b, const ServiceAddress *named, bool only_redfish, Diag *reterr) {
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
        if (only_redfish && protocol != BMC_REDFISH)
                return resource_error(r, reterr, -EINVAL, "driver must be redfish, redfishs, gofish or gofishs, got '%s'", driver);
        if (*named->password && !b->insecure_password)
                return resource_error(r, reterr, -EINVAL, "there is a password in the name, and insecure_password is not set");
        return 0;
}

int bmc_validate(const Bmc *b, bool only_redfish, Diag *reterr) {
        const Resource *r = &b->resource;
        ServiceAddress named;
        int k;

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
        k = validate_address(b, &named, only_redfish, reterr);
        service_address_done(&named);
        return k;
}

/* ---- answers ---- */

static int end(Bmc *b, int result) {
        if (result != CHECK_PENDING && b->finished)
                b->finished(b);
        return result;
}

static int on_silence(Resource *r, int error, const char *problem, Diag *reterr) {
        Bmc *b = (Bmc *) r;
        int k = resource_error(r, reterr, error, "cannot ask %s: %s", b->service, problem);

        return end(b, b->failed ? b->failed(b, k, 0, reterr) : k);
}

static int refused(const Bmc *b, long status, Diag *reterr) {
        if (status == 401 || status == 403)
                return resource_error(&b->resource, reterr, -EACCES, "%s does not let user '%s' do that: status %ld", b->service,
                                      first_of(b->username, b->named.user), status);
        return resource_error(&b->resource, reterr, -EREMOTEIO, "%s answers with status %ld", b->service, status);
}

/* Hands a good answer on to what comes next. */
static int on_answer(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        Bmc *b = (Bmc *) r;
        json_object *json = NULL;
        int k;

        if (answer->status < 200 || answer->status > 299)
                k = refused(b, answer->status, reterr);
        else
                k = service_answer_json(&b->call, answer, &json, reterr);       /* a change may be answered with nothing */
        if (k >= 0)
                k = b->next(b, json, reterr);
        else if (b->failed)
                k = b->failed(b, k, answer->status, reterr);
        json_object_put(json);
        return end(b, k);
}

bool bmc_is_path(const char *s) {
        if (!s || s[0] != '/' || s[1] == '/' || strlen(s) > 1024)
                return false;
        for (; *s; s++)
                if (!isgraph((unsigned char) *s) || *s == '#')
                        return false;
        return true;
}

const char *bmc_link(json_object *j, const char *name) {
        const char *path = answer_text(answer_member(answer_member(j, name), "@odata.id"));

        return bmc_is_path(path) ? path : NULL;
}

int bmc_first_member(const Bmc *b, json_object *collection, const char *what, const char **ret, Diag *reterr) {
        json_object *members = answer_member(collection, "Members");
        const char *path = NULL;
        char text[64];

        if (json_object_is_type(members, json_type_array) && json_object_array_length(members) > 0)
                path = answer_text(answer_member(json_object_array_get_idx(members, 0), "@odata.id"));
        if (bmc_is_path(path)) {
                *ret = path;
                return 0;
        }
        (void) snprintf(text, sizeof(text), "there is no %s", what);
        return service_bad_answer(&b->call, text, reterr);
}

/* ---- asking ---- */

int bmc_prepare(Bmc *b) {
        Resource *r = &b->resource;
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
        b->call = (ServiceCall) { .resource = r, .service = b->service, .unanswered = on_silence };
        return 0;
}

/* "Authorization: Basic …", or an empty text where there is nobody to be. */
static int make_authorization(const Bmc *b, StrBuf *ret) {
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

/* A call that changes something changes nothing a second time, but turning off what was turned on meanwhile: it is made once. */
int bmc_send(Bmc *b, const BmcRequest *request, bmc_answer_t next, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf authorization = {};
        _cleanup_free_ char *url = NULL;
        int r;

        r = make_authorization(b, &authorization);
        if (r >= 0 && asprintf(&url, "%s%s", b->base, request->path) < 0) {
                url = NULL;
                r = -ENOMEM;
        }
        if (r < 0)
                return r;
        b->next = next;
        r = service_call(&b->call, &(ServiceRequest) {
                        .url = url,
                        .type = request->type ?: "application/json",
                        .body = request->body,
                        .body_size = request->body ? strlen(request->body) : 0,
                        .file = request->file,
                        .file_size = request->file_size,
                        .tail = request->tail,
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

int bmc_get(Bmc *b, const char *path, bmc_answer_t next, Diag *reterr) {
        return bmc_send(b, &(BmcRequest) { .path = path }, next, reterr);
}

/* ---- the life ---- */

void bmc_cancel(Bmc *b) {
        service_call_cancel(&b->call);
}

void bmc_done(Bmc *b) {
        bmc_cancel(b);
        service_address_done(&b->named);
        free(b->base);
        free(b->service);
}
