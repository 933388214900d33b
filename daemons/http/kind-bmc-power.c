/* SPDX-License-Identifier: GPL-3.0-or-later */

/* bmc:power: whether a machine has power, by the controller on its board (BMC, see bmc-session.h). That speaks Redfish, where the machine
 * is found in a collection of systems, of which the first one counts; or it is a service for whole racks that takes calls in JSON. */

#include <ctype.h>
#include <stdio.h>

#include <json.h>

#include "common/strbuf.h"
#include "daemons/http/bmc-hold.h"
#include "daemons/http/bmc-session.h"
#include "daemons/http/markup.h"

enum { STATE_MAX = 32 };

typedef struct BmcPower {
        Bmc bmc;
        char *state;

        BmcHold hold;                   /* during an attempt */
        char *system;                   /* path of the machine, for Redfish */
} BmcPower;

static const FieldSpec bmc_power_fields[] = {
        BMC_FIELDS(BmcPower),
        FIELD_NAMED(BmcPower, bmc.driver, "driver", FIELD_STR, 0,
                    "What it speaks: redfish (or gofish, which is the same), or rpc; with an s behind it, over TLS. Empty: as the name says."),
        FIELD(BmcPower, state, FIELD_STR, 0, "What the machine shall be: on or off. Off is at once, without asking what runs on it."),
        {}
};

static BmcPower *self(Bmc *b) {
        return container_of(b, BmcPower, bmc);
}

static int bmc_power_validate(const Resource *r, Diag *reterr) {
        const BmcPower *p = (const BmcPower *) r;

        if (!streq(p->state, "on") && !streq(p->state, "off"))
                return resource_error(r, reterr, -EINVAL, "state must be on or off, got '%s'", p->state);
        return bmc_validate(&p->bmc, false, reterr);
}

static int bmc_power_prepare(Resource *r, Diag *reterr) {
        return bmc_prepare(&((BmcPower *) r)->bmc);
}

/* ---- the state ---- */

static int changed(Bmc *b, json_object *answer, Diag *reterr) {
        return CHECK_CHANGED;
}

/* Whether that is all, or how it is changed. A machine that is on its way is left alone. */
static int judge(Bmc *b, const char *now, int (*change)(Bmc *b, json_object *answer, Diag *reterr), json_object *answer,
                 Diag *reterr) {
        char state[STATE_MAX];
        size_t n = 0;

        for (; now[n] && n + 1 < sizeof(state); n++)
                state[n] = (char) tolower((unsigned char) now[n]);
        state[n] = '\0';
        if (streq(state, self(b)->state))
                return CHECK_OK;
        if (startswith(state, "powering"))
                return resource_waiting(&b->resource, "the machine is being turned on or off");
        resource_differs(&b->resource, "state", state, self(b)->state);
        return b->resource.applies ? change(b, answer, reterr) : CHECK_CHANGED;
}

/* ---- Redfish ---- */

static int redfish_change(Bmc *b, json_object *system, Diag *reterr) {
        const char *target = answer_text(answer_member(answer_member(answer_member(system, "Actions"), "#ComputerSystem.Reset"), "target"));
        const char *body = streq(self(b)->state, "on") ? "{\"ResetType\":\"On\"}" : "{\"ResetType\":\"ForceOff\"}";
        _cleanup_free_ char *usual = NULL;

        if (!target && asprintf(&usual, "%s/Actions/ComputerSystem.Reset", self(b)->system) < 0) {
                usual = NULL;
                return -ENOMEM;
        }
        if (target && !bmc_is_path(target))
                return service_bad_answer(&b->call, "the target of its reset is no path", reterr);
        return bmc_send(b, &(BmcRequest) { .path = target ? target : usual, .body = body }, changed, reterr);
}

static int on_system(Bmc *b, json_object *answer, Diag *reterr) {
        const char *now = answer_text(answer_member(answer, "PowerState"));

        return now ? judge(b, now, redfish_change, answer, reterr) : service_bad_answer(&b->call, "there is no PowerState", reterr);
}

static int on_systems(Bmc *b, json_object *answer, Diag *reterr) {
        const char *path;
        int r = bmc_first_member(b, answer, "system", &path, reterr);

        if (r < 0)
                return r;
        free(self(b)->system);
        self(b)->system = strdup(path);
        return self(b)->system ? bmc_get(b, path, on_system, reterr) : -ENOMEM;
}

/* ---- calls in JSON ---- */

static int rpc_call(Bmc *b, unsigned id, const char *method, const char *state, bmc_answer_t next, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};

        strbuf_printf(&body, "{\"id\":%u,\"host\":", id);
        markup_json(&body, *b->hostname ? b->hostname : b->named.host);
        strbuf_printf(&body, ",\"method\":\"%s\"", method);
        if (state)
                strbuf_printf(&body, ",\"params\":{\"state\":\"%s\"}", state);
        strbuf_putc(&body, '}');
        return body.failed ? -ENOMEM : bmc_send(b, &(BmcRequest) { .path = "/", .body = body.data }, next, reterr);
}

static int rpc_failed(const Bmc *b, json_object *answer, Diag *reterr) {
        const char *message = answer_text(answer_member(answer_member(answer, "error"), "message"));

        return resource_error(&b->resource, reterr, -EREMOTEIO, "%s says: %s", b->service,
                              message ? message : "there is an error");
}

static bool has_error(json_object *answer) {
        return json_object_is_type(answer_member(answer, "error"), json_type_object);
}

static int on_rpc_changed(Bmc *b, json_object *answer, Diag *reterr) {
        return has_error(answer) ? rpc_failed(b, answer, reterr) : CHECK_CHANGED;
}

static int rpc_change(Bmc *b, json_object *answer, Diag *reterr) {
        return rpc_call(b, 2, "setPowerState", self(b)->state, on_rpc_changed, reterr);
}

static int on_rpc_state(Bmc *b, json_object *answer, Diag *reterr) {
        const char *now = answer_text(answer_member(answer, "result"));

        if (has_error(answer))
                return rpc_failed(b, answer, reterr);
        return now ? judge(b, now, rpc_change, answer, reterr) : service_bad_answer(&b->call, "there is no result", reterr);
}

/* ---- hooks ---- */

static void end(Bmc *b) {
        bmc_hold_release(&self(b)->hold);
}

static int bmc_power_check_apply(Resource *r, bool apply, Diag *reterr) {
        BmcPower *p = (BmcPower *) r;
        int k = bmc_hold_take(&p->hold, r->host->manager, r, r->name);

        if (k < 0)
                return k;
        p->bmc.finished = end;
        k = p->bmc.protocol == BMC_RPC ? rpc_call(&p->bmc, 1, "getPowerState", NULL, on_rpc_state, reterr) :
                                         bmc_get(&p->bmc, "/redfish/v1/Systems", on_systems, reterr);
        if (k != CHECK_PENDING)
                end(&p->bmc);
        return k;
}

static void bmc_power_cancel(Resource *r) {
        BmcPower *p = (BmcPower *) r;

        bmc_cancel(&p->bmc);
        end(&p->bmc);
}

static void bmc_power_done(Resource *r) {
        BmcPower *p = (BmcPower *) r;

        bmc_power_cancel(r);
        bmc_done(&p->bmc);
        free(p->system);
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
