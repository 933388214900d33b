/* SPDX-License-Identifier: GPL-3.0-or-later */

/* hetzner:vm: a server in Hetzner's cloud. The API tells nobody of anything, so it is asked now and then (Meta:poll).
 *
 * An attempt looks at the server and takes the first step that is to be taken, then waits and looks again, until nothing is left to do.
 * Each step is taken once; what it is to bring about must come in time. What the API does not say is not known to be wrong: a server is
 * deleted for what it is seen to be, and for nothing else. */

#include <inttypes.h>
#include <stdio.h>

#include <json.h>
#include <systemd/sd-event.h>

#include "common/strbuf.h"
#include "common/usec.h"
#include "daemons/http/hetzner-api.h"
#include "daemons/http/kept.h"
#include "daemons/http/markup.h"
#include "daemons/http/service-address.h"

enum {
        KEYS_PER_PAGE = 50,             /* the most that the API gives */
        KEYS_PAGES_MAX = 100,
        NAME_MAX_SIZE = 63,
        TRAIT_MAX_SIZE = 128,
};

/* What has been done in this attempt. */
typedef enum Deed {
        DEED_CREATE     = 1 << 0,
        DEED_DELETE     = 1 << 1,
        DEED_POWER      = 1 << 2,
        DEED_NO_RESCUE  = 1 << 3,
        DEED_RESCUE     = 1 << 4,
} Deed;

typedef struct HetznerVm HetznerVm;

struct HetznerVm {
        Resource resource;
        char *apitoken, *state, *allowrebuild, *servertype, *datacenter, *image, *userdata, *serverrescuemode;
        char **serverrescuekeys;
        uint32_t waitinterval, waittimeout;
        char *endpoint;

        HetznerApi api;
        HttpKept *kept;                 /* the server and the image of which the rescue mode was enabled: "ID IMAGE" */
        sd_event_source *timer;         /* until the next look */

        bool apply;
        unsigned said;                  /* for which deeds it was said what is wrong */
        unsigned deeds;                 /* those that the API has agreed to */
        Deed doing;                     /* what it is asked for now; 0: nothing */
        bool acted;                     /* something was done, or may have been */
        uint64_t deadline_usec;         /* CLOCK_BOOTTIME */
        int64_t id;                     /* of the server as it was seen last */
        int64_t leaving;                /* of the one that was deleted */
        char status[SERVICE_LINE_MAX];  /* of the server; "absent" */
        json_object *keys;              /* those of the project, as far as they are known */
        unsigned n_pages;
        int (*with_keys)(HetznerVm *h, Diag *reterr);
        size_t n_found;                 /* of the traits that a server is to have */

        /* From one attempt to the next: what was done, and nobody was told; a server that was deleted to be built anew. */
        bool owes_change;
        bool rebuilding, start;
};

static const FieldSpec hetzner_vm_fields[] = {
        FIELD(HetznerVm, apitoken, FIELD_STR, FIELD_REQUIRED|FIELD_SECRET, "The token of the project, with the right to write."),
        FIELD(HetznerVm, state, FIELD_STR, 0,
              "What the server shall be: exists, running, off or absent. Off is at once, without asking what runs on it. Empty: as it is."),
        FIELD(HetznerVm, allowrebuild, FIELD_STR, 0,
              "What to do when servertype, datacenter or image of the server are others. ifneeded: delete it with all that is on it, and "
              "create it anew; ignore: leave it; empty: fail."),
        FIELD(HetznerVm, servertype, FIELD_STR, 0, "Its type, such as cx22. Needed to create it. Empty: any."),
        FIELD(HetznerVm, datacenter, FIELD_STR, 0, "Where it is, such as nbg1-dc3. Empty: anywhere."),
        FIELD(HetznerVm, image, FIELD_STR, 0, "The image that it was made of, such as debian-12. Needed to create it. Empty: any."),
        FIELD(HetznerVm, userdata, FIELD_STR, 0, "What cloud-init gets when the server is created."),
        FIELD(HetznerVm, serverrescuemode, FIELD_STR, 0,
              "The rescue image that shall be booted next time: linux64, linux32 or freebsd64. One that is enabled already is left alone, "
              "unless it is known to be of another image. Empty: as it is."),
        FIELD(HetznerVm, serverrescuekeys, FIELD_STRV, 0, "Names of the SSH keys of the project that shall be let into the rescue system."),
        FIELD(HetznerVm, waitinterval, FIELD_UINT32, 0, "Seconds between two looks at what was begun.", .initial = "5"),
        FIELD(HetznerVm, waittimeout, FIELD_UINT32, 0, "Seconds that anything may take.", .initial = "300"),
        FIELD(HetznerVm, endpoint, FIELD_STR, 0,
              "Where the API is: a URL with https, or with http on this very machine.", .initial = "\"" HETZNER_ENDPOINT "\""),
        {}
};

/* ---- fields ---- */

static bool is_one_of(const char *s, const char *const *words) {
        for (; *words; words++)
                if (streq(s, *words))
                        return true;
        return false;
}

/* They stand in URLs. */
static bool is_word(const char *s, size_t max) {
        size_t n = strlen(s);

        return n <= max && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == n;
}

static int hetzner_vm_validate(const Resource *r, Diag *reterr) {
        const HetznerVm *h = (const HetznerVm *) r;
        int k;

        if (r->meta.poll < 1)
                return resource_error(r, reterr, -EINVAL, "Meta:poll must be at least 1, got %d", r->meta.poll);
        if (!is_word(r->name, NAME_MAX_SIZE))
                return resource_error(r, reterr, -EINVAL, "the name must be letters, digits, '-' and '.', at most %d of them, got '%s'",
                                      NAME_MAX_SIZE, r->name);
        if (!is_word(h->servertype, TRAIT_MAX_SIZE) || !is_word(h->datacenter, TRAIT_MAX_SIZE) || !is_word(h->image, TRAIT_MAX_SIZE))
                return resource_error(r, reterr, -EINVAL, "servertype, datacenter and image must be names or numbers, got '%s', '%s', '%s'",
                                      h->servertype, h->datacenter, h->image);
        if (!service_token_is_valid(h->apitoken))
                return resource_error(r, reterr, -EINVAL, "apitoken must have neither blanks nor other than ASCII characters");
        if (!is_one_of(h->state, (const char *const []) { "", "exists", "running", "off", "absent", NULL }))
                return resource_error(r, reterr, -EINVAL, "state must be exists, running, off, absent or empty, got '%s'", h->state);
        if (!is_one_of(h->allowrebuild, (const char *const []) { "", "ignore", "ifneeded", NULL }))
                return resource_error(r, reterr, -EINVAL, "allowrebuild must be ignore, ifneeded or empty, got '%s'", h->allowrebuild);
        if (!is_one_of(h->serverrescuemode, (const char *const []) { "", "linux32", "linux64", "freebsd64", NULL }))
                return resource_error(r, reterr, -EINVAL, "serverrescuemode must be linux64, linux32, freebsd64 or empty, got '%s'",
                                      h->serverrescuemode);
        if (h->waitinterval < 1 || h->waittimeout < 1)
                return resource_error(r, reterr, -ERANGE, "waitinterval and waittimeout must be at least 1, got %" PRIu32 " and %" PRIu32,
                                      h->waitinterval, h->waittimeout);
        k = service_endpoint_check(h->endpoint);
        return k == -EINVAL ? resource_error(r, reterr, k, "endpoint must be a URL with https, or with http on this machine, got '%s'",
                                             h->endpoint) : k;
}

static int unanswered(Resource *r, int error, const char *problem, Diag *reterr);
static int on_time(sd_event_source *s, uint64_t usec, void *userdata);

static int hetzner_vm_prepare(Resource *r, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        int k;

        h->api.call.unanswered = unanswered;
        k = hetzner_api_set(&h->api, r, h->endpoint, h->apitoken);
        if (k >= 0 && !h->kept)
                k = http_kept_join(&h->kept, r->host->manager, r);
        if (k >= 0 && !h->timer)
                k = sd_event_add_time(r->host->event, &h->timer, CLOCK_BOOTTIME, UINT64_MAX, 10000, on_time, h);
        return k < 0 ? k : sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

/* ---- looking again ---- */

static int look(HetznerVm *h, Diag *reterr);

static int on_time(sd_event_source *s, uint64_t usec, void *userdata) {
        _cleanup_(diag_done) Diag diag = {};
        HetznerVm *h = userdata;
        int r = look(h, &diag);

        if (r != CHECK_PENDING)
                resource_finish(&h->resource, r, &diag);
        return 0;
}

static int look_at(HetznerVm *h, uint64_t usec) {
        int r = sd_event_source_set_time(h->timer, usec);

        if (r >= 0)
                r = sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT);
        return r < 0 ? r : CHECK_PENDING;
}

/* what is to come, for people: "until it is running". */
static int look_later(HetznerVm *h, const char *what, Diag *reterr) {
        uint64_t now = usec_now(CLOCK_BOOTTIME);

        if (now >= h->deadline_usec)
                return resource_error(&h->resource, reterr, -ETIMEDOUT, "waited for %" PRIu32 " s %s; it is %s", h->waittimeout,
                                      what, h->status);
        return look_at(h, MIN(now + (uint64_t) h->waitinterval * 1000000, h->deadline_usec));
}

/* A server that is on its way somewhere. Who only looks does not wait for it. */
static int wait_until_steady(HetznerVm *h, Diag *reterr) {
        char reason[SERVICE_LINE_MAX + 32];

        if (h->apply)
                return look_later(h, "until it is running or off", reterr);
        (void) snprintf(reason, sizeof(reason), "the server is %s", h->status);
        return resource_waiting(&h->resource, reason);
}

static int wait_for_quota(HetznerVm *h) {
        char reason[80];

        if (h->api.free_usec <= h->deadline_usec)
                return look_at(h, h->api.free_usec);
        (void) snprintf(reason, sizeof(reason), "the API takes no more requests for %" PRIu64 " s",
                        (h->api.free_usec - MIN(usec_now(CLOCK_BOOTTIME), h->api.free_usec)) / 1000000 + 1);
        return resource_waiting(&h->resource, reason);
}

/* CHECK_OK: there it is; else how the attempt goes on. */
static int read_answer(HetznerVm *h, const ServiceAnswer *answer, json_object **ret, Diag *reterr) {
        int r = hetzner_api_answer(&h->api, answer, ret, reterr);

        return r == -EDQUOT ? wait_for_quota(h) : r;
}

static int unanswered(Resource *r, int error, const char *problem, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        char reason[512];

        if (!service_is_absent(error))
                return resource_error(r, reterr, error, "cannot ask %s: %s", h->api.service, problem);
        if (h->doing)           /* nobody knows */
                h->acted = h->owes_change = true;
        h->doing = 0;
        if (h->acted)
                return look_later(h, "for the API to answer", reterr);
        (void) snprintf(reason, sizeof(reason), "%s cannot be asked: %s", h->api.service, problem);
        return resource_waiting(r, reason);
}

/* ---- acting ---- */

/* Before a deed, which may have to be tried more than once. Whether nothing is to be done. */
static bool say(HetznerVm *h, Deed deed, const char *field, const char *from, const char *to) {
        if (!(h->said & deed))
                resource_differs(&h->resource, field, from, to);
        h->said |= deed;
        return !h->apply;
}

static void remember_rescue(HetznerVm *h, const char *image) {
        _cleanup_(value_done) Value v = {};
        char text[64] = "";

        if (image)
                (void) snprintf(text, sizeof(text), "%" PRId64 " %s", h->id, image);
        if (value_strz(&v, text) >= 0)          /* else it is an image that nobody knows */
                http_kept_set(h->kept, v);
}

/* The image of which the rescue mode of this server was enabled; NULL: not by us. */
static const char *rescue_image(const HetznerVm *h) {
        Value v = http_kept_get(h->kept);
        char prefix[32];

        (void) snprintf(prefix, sizeof(prefix), "%" PRId64 " ", h->id);
        return v.kind == TYPE_STR ? startswith(value_cstr(v), prefix) : NULL;
}

static int on_acted(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        _cleanup_(diag_done) Diag refused = {};
        json_object *json = NULL;
        Deed deed = h->doing;
        int k = hetzner_api_answer(&h->api, answer, &json, &refused);

        json_object_put(json);          /* there may be a password in it: nobody is told */
        h->doing = 0;
        if (k == -EDQUOT)
                return wait_for_quota(h);
        if (k == -EBUSY || (k == -ENOENT && deed != DEED_CREATE))
                return look_later(h, "until nothing else is done to it", reterr);
        if (k < 0) {
                diag_move(reterr, &refused);
                return k;
        }
        h->deeds |= deed;
        h->acted = h->owes_change = true;
        h->deadline_usec = usec_now(CLOCK_BOOTTIME) + (uint64_t) h->waittimeout * 1000000;
        if (deed == DEED_DELETE)
                h->leaving = h->id;
        if (deed == DEED_CREATE)
                h->rebuilding = false;
        if (deed == DEED_RESCUE || deed == DEED_NO_RESCUE)
                remember_rescue(h, deed == DEED_RESCUE ? h->serverrescuemode : NULL);
        return look_later(h, "for what was begun", reterr);
}

/* action: what follows the server in the path. Only those with a body must not be done twice. */
static int act(HetznerVm *h, Deed deed, const char *method, const char *action, const char *body, Diag *reterr) {
        char path[96];

        h->doing = deed;
        (void) snprintf(path, sizeof(path), "/servers/%" PRId64 "%s", h->id, action);
        return hetzner_api_call(&h->api, method, path, body, on_acted, reterr);
}

/* ---- keys ---- */

static int ask_for_keys(HetznerVm *h, Diag *reterr);

static int on_keys(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        json_object *json, *keys;
        int k = read_answer(h, answer, &json, reterr);

        if (k != CHECK_OK)
                return k;
        keys = answer_member(json, "ssh_keys");
        if (!json_object_is_type(keys, json_type_array)) {
                json_object_put(json);
                return service_bad_answer(&h->api.call, "there are no keys", reterr);
        }
        for (size_t i = 0, n = json_object_array_length(keys); i < n && k >= 0; i++) {
                json_object *key = json_object_get(json_object_array_get_idx(keys, i));
                k = json_object_array_add(h->keys, key);
                if (k < 0)
                        json_object_put(key);
        }
        json_object *pagination = answer_member(answer_member(json, "meta"), "pagination");
        bool more = json_object_is_type(answer_member(pagination, "next_page"), json_type_int);
        json_object_put(json);
        if (k < 0)
                return -ENOMEM;
        if (more && ++h->n_pages < KEYS_PAGES_MAX)
                return ask_for_keys(h, reterr);
        return more ? service_bad_answer(&h->api.call, "there is no end to its keys", reterr) : h->with_keys(h, reterr);
}

static int ask_for_keys(HetznerVm *h, Diag *reterr) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/ssh_keys?per_page=%d&page=%u", KEYS_PER_PAGE, h->n_pages + 1);
        return hetzner_api_call(&h->api, NULL, path, NULL, on_keys, reterr);
}

/* Goes on with all keys of the project. */
static int with_keys(HetznerVm *h, int (*next)(HetznerVm *h, Diag *reterr), Diag *reterr) {
        json_object_put(h->keys);
        h->keys = json_object_new_array();
        if (!h->keys)
                return -ENOMEM;
        h->n_pages = 0;
        h->with_keys = next;
        return ask_for_keys(h, reterr);
}

static int64_t id_of(json_object *thing) {
        json_object *id = answer_member(thing, "id");

        return json_object_is_type(id, json_type_int) ? json_object_get_int64(id) : 0;
}

/* 0: there is none. */
static int64_t find_key(const HetznerVm *h, const char *name) {
        for (size_t i = 0, n = json_object_array_length(h->keys); i < n; i++) {
                json_object *key = json_object_array_get_idx(h->keys, i);
                const char *its = answer_text(answer_member(key, "name"));
                if (its && streq(its, name))
                        return id_of(key);
        }
        return 0;
}

/* ---- the end ---- */

static int conclude(HetznerVm *h, bool would_change) {
        bool changed = h->owes_change || would_change;

        h->owes_change = false;
        return changed ? CHECK_CHANGED : CHECK_OK;
}

/* ---- creating ---- */

static void put_text(StrBuf *b, const char *name, const char *text) {
        if (!*text)
                return;
        strbuf_printf(b, ",\"%s\":", name);
        markup_json(b, text);
}

static int create_with_keys(HetznerVm *h, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};
        const char *comma = "";

        strbuf_puts(&body, "{\"name\":");
        markup_json(&body, h->resource.name);
        put_text(&body, "server_type", h->servertype);
        put_text(&body, "image", h->image);
        put_text(&body, "datacenter", h->datacenter);
        put_text(&body, "user_data", h->userdata);
        strbuf_puts(&body, ",\"ssh_keys\":[");
        for (size_t i = 0, n = json_object_array_length(h->keys); i < n; i++, comma = ",")
                strbuf_printf(&body, "%s%" PRId64, comma, id_of(json_object_array_get_idx(h->keys, i)));
        strbuf_printf(&body, "],\"start_after_create\":%s}", streq(h->state, "running") || h->start ? "true" : "false");
        if (body.failed)
                return -ENOMEM;
        h->doing = DEED_CREATE;
        return hetzner_api_call(&h->api, "POST", "/servers", body.data, on_acted, reterr);
}

static int judge_missing(HetznerVm *h, Diag *reterr) {
        (void) snprintf(h->status, sizeof(h->status), "absent");
        if (h->deeds & DEED_CREATE)
                return look_later(h, "until it is there", reterr);
        if (streq(h->state, "absent") || (!*h->state && !h->rebuilding))
                return conclude(h, false);
        if (!(h->deeds & DEED_DELETE))
                (void) say(h, DEED_CREATE, "state", "absent", *h->state ? h->state : "exists");
        if (!h->apply)
                return CHECK_CHANGED;
        if (!*h->servertype || !*h->image)
                return resource_error(&h->resource, reterr, -EINVAL, "there is no such server, and without servertype and image none "
                                      "can be created");
        return with_keys(h, create_with_keys, reterr);
}

/* ---- what only another server can have ---- */

/* What is said of it here, in a server, and as a list of all there are. */
static const struct TraitName {
        const char *field, *member, *list;
} trait_names[] = {
        { "servertype", "server_type", "server_types" },
        { "datacenter", "datacenter", "datacenters" },
        { "image", "image", "images" },
};

enum { N_TRAITS = ELEMENTSOF(trait_names) };

typedef struct Trait {
        const char *wanted, *now;       /* the latter is the answer's, and NULL if the two agree or nothing is known */
        char id[24];
} Trait;

static const char *wanted_trait(const HetznerVm *h, size_t i) {
        const char *const wanted[N_TRAITS] = { h->servertype, h->datacenter, h->image };

        return wanted[i];
}

static bool is_number(const char *s) {
        return *s && strspn(s, "0123456789") == strlen(s);
}

/* A thing may be wanted by its name or by its number. */
static void compare_trait(json_object *thing, Trait *t) {
        const char *name = answer_text(answer_member(thing, "name"));

        if (!*t->wanted || !json_object_is_type(thing, json_type_object) || id_of(thing) == 0)
                return;
        (void) snprintf(t->id, sizeof(t->id), "%" PRId64, id_of(thing));
        if (!streq(t->wanted, t->id) && !(name && streq(t->wanted, name)))
                t->now = name ? name : t->id;
}

/* Whether there is any. */
static bool compare_traits(const HetznerVm *h, json_object *server, Trait ret[static N_TRAITS]) {
        bool any = false;

        for (size_t i = 0; i < N_TRAITS; i++) {
                ret[i] = (Trait) { .wanted = wanted_trait(h, i) };
                compare_trait(answer_member(server, trait_names[i].member), &ret[i]);
                any = any || ret[i].now;
        }
        return any;
}

static bool is_up(const char *status) {
        return streq(status, "running") || streq(status, "starting");
}

static int look_for_trait(HetznerVm *h, Diag *reterr);

static int on_trait(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        const struct TraitName *name = &trait_names[h->n_found];
        const char *wanted = wanted_trait(h, h->n_found);
        json_object *json;
        int k = read_answer(h, answer, &json, reterr);

        if (k != CHECK_OK)
                return k;
        json_object *list = answer_member(json, name->list);
        bool found = is_number(wanted) || (json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0);
        json_object_put(json);
        if (!found)
                return resource_error(r, reterr, -ENOENT, "there is no %s '%s', so the server with another one stays", name->field, wanted);
        h->n_found++;
        return look_for_trait(h, reterr);
}

/* A server is deleted when what is to come in its place is known to be there, and no mistake in a name. */
static int look_for_trait(HetznerVm *h, Diag *reterr) {
        char path[32 + TRAIT_MAX_SIZE];

        while (h->n_found < N_TRAITS && !*wanted_trait(h, h->n_found))
                h->n_found++;
        if (h->n_found == N_TRAITS) {
                h->rebuilding = true;
                h->start = !streq(h->state, "off") && is_up(h->status);
                return act(h, DEED_DELETE, "DELETE", "", NULL, reterr);
        }
        const char *wanted = wanted_trait(h, h->n_found);
        (void) snprintf(path, sizeof(path), "/%s%s%s", trait_names[h->n_found].list, is_number(wanted) ? "/" : "?name=", wanted);
        return hetzner_api_call(&h->api, NULL, path, NULL, on_trait, reterr);
}

static int rebuild(HetznerVm *h, const Trait traits[static N_TRAITS], Diag *reterr) {
        for (size_t i = 0; i < N_TRAITS; i++) {
                if (!traits[i].now)
                        continue;
                if (h->deeds & DEED_CREATE)
                        return resource_error(&h->resource, reterr, -EREMOTEIO, "the server that was created has %s '%s', not '%s'",
                                              trait_names[i].field, traits[i].now, traits[i].wanted);
                if (!(h->said & DEED_DELETE))
                        resource_differs(&h->resource, trait_names[i].field, traits[i].now, traits[i].wanted);
        }
        h->said |= DEED_DELETE;
        if (!h->apply)
                return CHECK_CHANGED;
        if (!*h->servertype || !*h->image)
                return resource_error(&h->resource, reterr, -EINVAL, "without servertype and image no server can be created in place of "
                                      "this one");
        h->n_found = 0;
        return look_for_trait(h, reterr);
}

static int refuse_rebuild(const HetznerVm *h, const Trait traits[static N_TRAITS], Diag *reterr) {
        for (size_t i = 0; i < N_TRAITS; i++)
                if (traits[i].now)
                        return resource_error(&h->resource, reterr, -EPERM,
                                              "the server has %s '%s', not '%s'; allowrebuild says whether it may be deleted and created anew",
                                              trait_names[i].field, traits[i].now, traits[i].wanted);
        return CHECK_OK;
}

/* ---- steps: CHECK_OK goes on to the next, CHECK_CHANGED as well (it is only said what would be done) ---- */

static bool is_steady(const HetznerVm *h) {
        return streq(h->status, "running") || streq(h->status, "off");
}

static int step_power(HetznerVm *h, Diag *reterr) {
        bool on = streq(h->state, "running");
        char what[32];

        if (!on && !streq(h->state, "off"))
                return CHECK_OK;
        if (!is_steady(h))
                return wait_until_steady(h, reterr);
        if (streq(h->status, h->state))
                return CHECK_OK;
        if (h->deeds & DEED_POWER) {
                (void) snprintf(what, sizeof(what), "until it is %s", h->state);
                return look_later(h, what, reterr);
        }
        if (say(h, DEED_POWER, "state", h->status, h->state))
                return CHECK_CHANGED;
        return act(h, DEED_POWER, "POST", on ? "/actions/poweron" : "/actions/poweroff", "", reterr);
}

static int rescue_with_keys(HetznerVm *h, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf body = {};
        const char *comma = "";

        strbuf_printf(&body, "{\"type\":\"%s\",\"ssh_keys\":[", h->serverrescuemode);
        for (char **name = h->serverrescuekeys; name && *name; name++, comma = ",") {
                int64_t id = find_key(h, *name);
                if (id == 0)
                        return resource_error(&h->resource, reterr, -ENOKEY, "there is no SSH key '%s' in the project", *name);
                strbuf_printf(&body, "%s%" PRId64, comma, id);
        }
        strbuf_puts(&body, "]}");
        return body.failed ? -ENOMEM : act(h, DEED_RESCUE, "POST", "/actions/enable_rescue", body.data, reterr);
}

static int step_rescue(HetznerVm *h, json_object *server, Diag *reterr) {
        json_object *enabled = answer_member(server, "rescue_enabled");
        const char *image;

        if (!*h->serverrescuemode)
                return CHECK_OK;
        if (!is_steady(h))
                return wait_until_steady(h, reterr);
        if (!json_object_is_type(enabled, json_type_boolean))
                return service_bad_answer(&h->api.call, "it does not say whether the rescue mode is enabled", reterr);
        bool is = json_object_get_boolean(enabled);
        image = rescue_image(h);
        if (is && (!image || streq(image, h->serverrescuemode)))
                return h->deeds & DEED_NO_RESCUE && !(h->deeds & DEED_RESCUE) ?
                        look_later(h, "until its rescue mode is disabled", reterr) : CHECK_OK;
        if (!is && h->deeds & DEED_RESCUE)
                return look_later(h, "until its rescue mode is enabled", reterr);
        if (say(h, DEED_RESCUE, "serverrescuemode", is ? image : NULL, h->serverrescuemode))
                return CHECK_CHANGED;
        if (is)
                return act(h, DEED_NO_RESCUE, "POST", "/actions/disable_rescue", "", reterr);
        return with_keys(h, rescue_with_keys, reterr);
}

static int judge(HetznerVm *h, json_object *server, Diag *reterr) {
        Trait traits[N_TRAITS];
        int power, rescue, refusal = CHECK_OK;

        if (h->id == h->leaving)
                return look_later(h, "until it is deleted", reterr);
        if (streq(h->state, "absent")) {
                if (say(h, DEED_DELETE, "state", h->status, "absent"))
                        return CHECK_CHANGED;
                return act(h, DEED_DELETE, "DELETE", "", NULL, reterr);
        }
        bool other = compare_traits(h, server, traits);
        if (other && streq(h->allowrebuild, "ifneeded"))
                return rebuild(h, traits, reterr);
        h->rebuilding = false;
        power = step_power(h, reterr);
        if (power < 0 || power == CHECK_PENDING)
                return power;
        rescue = step_rescue(h, server, reterr);
        if (rescue < 0 || rescue == CHECK_PENDING)
                return rescue;
        if (other && !*h->allowrebuild)
                refusal = refuse_rebuild(h, traits, reterr);
        if (refusal < 0)
                return refusal;
        return conclude(h, power == CHECK_CHANGED || rescue == CHECK_CHANGED);
}

/* ---- looking ---- */

static json_object *find_server(const HetznerVm *h, json_object *servers) {
        for (size_t i = 0, n = json_object_array_length(servers); i < n; i++) {
                json_object *server = json_object_array_get_idx(servers, i);
                const char *name = answer_text(answer_member(server, "name"));
                if (name && streq(name, h->resource.name))
                        return server;
        }
        return NULL;
}

static int judge_servers(HetznerVm *h, json_object *servers, Diag *reterr) {
        const char *status;
        json_object *server;

        if (!json_object_is_type(servers, json_type_array))
                return service_bad_answer(&h->api.call, "there is no list of servers", reterr);
        server = find_server(h, servers);
        if (!server)
                return judge_missing(h, reterr);
        status = answer_text(answer_member(server, "status"));
        h->id = id_of(server);
        if (!status || h->id <= 0)
                return service_bad_answer(&h->api.call, "the server has no number, or no status", reterr);
        service_first_line(status, h->status);
        return judge(h, server, reterr);
}

static int on_servers(Resource *r, const ServiceAnswer *answer, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;
        json_object *json;
        int k = read_answer(h, answer, &json, reterr);

        if (k != CHECK_OK)
                return k;
        k = judge_servers(h, answer_member(json, "servers"), reterr);
        json_object_put(json);
        return k;
}

static int look(HetznerVm *h, Diag *reterr) {
        char path[32 + NAME_MAX_SIZE];

        (void) snprintf(path, sizeof(path), "/servers?name=%s", h->resource.name);
        return hetzner_api_call(&h->api, NULL, path, NULL, on_servers, reterr);
}

/* ---- hooks ---- */

static int hetzner_vm_check_apply(Resource *r, bool apply, Diag *reterr) {
        HetznerVm *h = (HetznerVm *) r;

        h->apply = apply;
        h->said = 0;
        h->deeds = 0;
        h->doing = 0;
        h->acted = false;
        h->leaving = 0;
        h->deadline_usec = usec_now(CLOCK_BOOTTIME) + (uint64_t) h->waittimeout * 1000000;
        if (usec_now(CLOCK_BOOTTIME) < h->api.free_usec)
                return wait_for_quota(h);
        return look(h, reterr);
}

static void hetzner_vm_cancel(Resource *r) {
        HetznerVm *h = (HetznerVm *) r;

        service_call_cancel(&h->api.call);
        if (h->timer)
                (void) sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
}

static void hetzner_vm_done(Resource *r) {
        HetznerVm *h = (HetznerVm *) r;

        hetzner_api_done(&h->api);
        (void) sd_event_source_disable_unref(h->timer);
        h->kept = h->kept ? http_kept_leave(h->kept) : NULL;
        json_object_put(h->keys);
}

const ResourceType hetzner_vm_type = {
        .kind = "hetzner:vm",
        .doc = "A server in Hetzner's cloud, found by its name in the project of a token. It stays when the resource goes.",
        .example = "hetzner:vm \"web1\" {\n"
                   "\tapitoken => \"secret\",\n"
                   "\tstate => \"running\",\n"
                   "\tservertype => \"cx22\",\n"
                   "\timage => \"debian-12\",\n"
                   "\n"
                   "\tMeta:poll => 60,\n"
                   "}\n",
        .size = sizeof(HetznerVm),
        .flags = RESOURCE_NEEDS_POLL,
        .fields = hetzner_vm_fields,
        .done = hetzner_vm_done,
        .validate = hetzner_vm_validate,
        .prepare = hetzner_vm_prepare,
        .check_apply = hetzner_vm_check_apply,
        .cancel = hetzner_vm_cancel,
};
