/* SPDX-License-Identifier: GPL-3.0-or-later */

/* bmc:firmware: the version of the firmware of a BMC itself (see bmc-session.h), by the update service of Redfish. An update is a matter of
 * minutes, in which the BMC says how far it is, or says nothing at all because it starts anew. So an attempt ends when the BMC has taken
 * the file; those after it look whether the version has come, and wait as long as that may be.
 *
 * Flash memory wears out, and a BMC that is written to at the wrong moment is scrap: what it has taken is never sent a second time by the
 * same resource, unless the BMC itself says that the update has failed. */

#include <ctype.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <json.h>

#include "common/edge-rule.h"
#include "common/io.h"
#include "common/sd/slices.h"
#include "common/strbuf.h"
#include "common/usec.h"
#include "daemons/http/bmc-hold.h"
#include "daemons/http/bmc-session.h"
#include "daemons/http/download.h"

enum { FIRMWARE_SIZE_MAX = 1024 * 1024 * 1024, NAME_MAX_HERE = 128 };

#define UPDATE_USEC (UINT64_C(30) * 60 * 1000 * 1000)           /* from the last sign of life to the new version */

typedef struct BmcFirmware {
        Bmc bmc;
        char *provider, *file, *hash, *version, *block;

        BmcHold hold;                   /* from the upload to its end */
        char *manager, *update_service; /* paths */
        bool is_theirs;                 /* the provider was found in what the BMC says of itself */
        char *now;                      /* its version, in this attempt */
        char *before;                   /* the one it had when it was sent the file; NULL: it has been sent none */
        char *task;                     /* path of what it does since; NULL: it did not say */
        uint64_t sign_usec;             /* when it was last known to be busy with that, on CLOCK_BOOTTIME */

        int copy;                       /* of the file, without a name */
        FileDigest *digest;
        Slices *slices;
        char found[SHA256_TEXT_SIZE];
} BmcFirmware;

static const FieldSpec bmc_firmware_fields[] = {
        BMC_FIELDS(BmcFirmware),
        FIELD_NAMED(BmcFirmware, bmc.driver, "driver", FIELD_STR, 0,
                    "What it speaks: redfish (or gofish, which is the same); with an s behind it, over TLS. Empty: as the name says."),
        FIELD(BmcFirmware, provider, FIELD_STR, FIELD_REQUIRED,
              "Who has made it, such as Supermicro: a BMC of somebody else is left alone. 'redfish' or 'gofish': whoever it was."),
        FIELD(BmcFirmware, file, FIELD_STR, FIELD_REQUIRED, "Absolute path of the firmware. mgmt-http must be able to read it."),
        FIELD(BmcFirmware, hash, FIELD_STR, 0, "Its SHA-256, in hexadecimal digits. Empty: whatever it is."),
        FIELD(BmcFirmware, version, FIELD_STR, FIELD_REQUIRED, "The version, exactly as the BMC says it of the firmware it runs."),
        FIELD(BmcFirmware, block, FIELD_STR, 0,
              "The name of a bmc:power that leaves the machine alone while the firmware is updated, and the other way round."),
        {}
};

static BmcFirmware *self(Bmc *b) {
        return container_of(b, BmcFirmware, bmc);
}

/* ---- the fields ---- */

static int bmc_firmware_validate(const Resource *r, Diag *reterr) {
        const BmcFirmware *f = (const BmcFirmware *) r;

        if (*f->file != '/' || endswith(f->file, "/"))
                return resource_error(r, reterr, -EINVAL, "file must be the absolute path of a file, got '%s'", f->file);
        if (*f->hash && (strlen(f->hash) != SHA256_TEXT_SIZE - 1 || strspn(f->hash, "0123456789abcdef") != SHA256_TEXT_SIZE - 1))
                return resource_error(r, reterr, -EINVAL, "hash must be 64 lower-case hexadecimal digits, got '%s'", f->hash);
        return bmc_validate(&f->bmc, true, reterr);
}

static int bmc_firmware_init(Resource *r) {
        ((BmcFirmware *) r)->copy = -EBADF;
        return 0;
}

static int on_failed(Bmc *b, int error, long status, Diag *reterr);
static void on_finished(Bmc *b);

static int bmc_firmware_prepare(Resource *r, Diag *reterr) {
        BmcFirmware *f = (BmcFirmware *) r;

        f->bmc.failed = on_failed;
        f->bmc.finished = on_finished;
        return bmc_prepare(&f->bmc);
}

/* ---- an update under way ---- */

static void forget_update(BmcFirmware *f) {
        free(TAKE_PTR(f->before));
        free(TAKE_PTR(f->task));
        bmc_hold_release(&f->hold);
}

static void sign_of_life(BmcFirmware *f) {
        f->sign_usec = usec_now(CLOCK_BOOTTIME);
}

static bool may_take_longer(const BmcFirmware *f) {
        return f->before && usec_now(CLOCK_BOOTTIME) - f->sign_usec < UPDATE_USEC;
}

static int wait_for_update(BmcFirmware *f) {
        return resource_waiting(&f->bmc.resource, "the firmware of the BMC is being updated");
}

static int still_old(BmcFirmware *f, Diag *reterr) {
        if (may_take_longer(f))
                return wait_for_update(f);
        bmc_hold_release(&f->hold);
        return resource_error(&f->bmc.resource, reterr, -ETIMEDOUT,
                              "the BMC at '%s' was sent version '%s', and stays at '%s' all the same; it is not sent again", f->bmc.base,
                              f->version, f->before);
}

static bool is_one_of(const char *word, const char *const *words, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (streq(word, words[i]))
                        return true;
        return false;
}

static int task_failed(BmcFirmware *f, json_object *task, const char *state, Diag *reterr) {
        json_object *messages = answer_member(task, "Messages");
        const char *why = NULL;

        if (json_object_is_type(messages, json_type_array) && json_object_array_length(messages) > 0)
                why = answer_text(answer_member(json_object_array_get_idx(messages, json_object_array_length(messages) - 1), "Message"));
        forget_update(f);
        return resource_error(&f->bmc.resource, reterr, -EREMOTEIO, "the BMC at '%s' could not update its firmware: %s%s%s", f->bmc.base,
                              state, why ? ": " : "", why ? why : "");
}

static int on_task(Bmc *b, json_object *answer, Diag *reterr) {
        static const char *const busy[] = { "New", "Pending", "Running", "Service", "Starting", "Stopping", "Cancelling" };
        static const char *const failed[] = { "Exception", "Killed", "Cancelled", "Interrupted" };
        const char *state = answer_text(answer_member(answer, "TaskState"));
        BmcFirmware *f = self(b);

        if (state && is_one_of(state, failed, ELEMENTSOF(failed)))
                return task_failed(f, answer, state, reterr);
        if (state && is_one_of(state, busy, ELEMENTSOF(busy)))
                sign_of_life(f);
        return still_old(f, reterr);
}

/* ---- sending it ---- */

static void drop_copy(BmcFirmware *f) {
        f->slices = slices_free(f->slices);
        f->digest = file_digest_free(f->digest);
        closep(&f->copy);
        f->copy = -EBADF;
}

static int on_taken(Bmc *b, json_object *answer, Diag *reterr) {
        const char *task = answer_text(answer_member(answer, "@odata.id"));
        BmcFirmware *f = self(b);

        f->task = bmc_is_path(task) && answer_member(answer, "TaskState") ? strdup(task) : NULL;
        sign_of_life(f);
        return CHECK_CHANGED;
}

/* From here on it may have the file, until it says that it has not. */
static int upload(BmcFirmware *f, BmcRequest *request, Diag *reterr) {
        struct stat st;
        int r;

        if (fstat(f->copy, &st) < 0)
                return -errno;
        request->file = f->copy;
        request->file_size = (uint64_t) st.st_size;
        f->before = strdup(f->now);
        if (!f->before)
                return -ENOMEM;
        sign_of_life(f);
        r = bmc_send(&f->bmc, request, on_taken, reterr);
        if (r < 0)
                forget_update(f);
        return r;
}

/* A BMC that starts anew does not answer, or has other things to say; afterwards it knows nothing of what it did before. */
static int on_failed(Bmc *b, int error, long status, Diag *reterr) {
        bool denied = status == 401 || status == 403;
        BmcFirmware *f = self(b);

        if (!f->before)
                return error;
        if (b->next == on_taken && (status != 0 || !b->call.sent)) {
                if (status >= 200 && status < 300)
                        return on_taken(b, NULL, reterr);       /* in words of its own */
                forget_update(f);
                return error;
        }
        if (b->next == on_task && status == 404) {
                diag_done(reterr);
                free(TAKE_PTR(f->task));
                return still_old(f, reterr);
        }
        if (denied || !may_take_longer(f)) {
                bmc_hold_release(&f->hold);
                return error;
        }
        diag_done(reterr);
        return wait_for_update(f);
}

static int make_boundary(char ret[static 40]) {
        uint8_t random[16];

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        for (size_t i = 0; i < sizeof(random); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", random[i]);
        return 0;
}

static int send_parts(BmcFirmware *f, const char *path, Diag *reterr) {
        _cleanup_(strbuf_done) StrBuf head = {};
        char boundary[40], type[100], tail[60];
        int r = make_boundary(boundary);

        if (r < 0)
                return r;
        (void) snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", boundary);
        (void) snprintf(tail, sizeof(tail), "\r\n--%s--\r\n", boundary);
        strbuf_printf(&head, "--%s\r\nContent-Disposition: form-data; name=\"UpdateParameters\"\r\nContent-Type: application/json\r\n\r\n"
                      "{\"Targets\":[],\"@Redfish.OperationApplyTime\":\"Immediate\"}\r\n"
                      "--%s\r\nContent-Disposition: form-data; name=\"UpdateFile\"; filename=\"firmware.bin\"\r\n"
                      "Content-Type: application/octet-stream\r\n\r\n", boundary, boundary);
        if (head.failed)
                return -ENOMEM;
        return upload(f, &(BmcRequest) { .path = path, .body = head.data, .type = type, .tail = tail }, reterr);
}

/* As one of several parts where that is possible: with the other way a BMC may take it, and wait for another word. */
static int on_update_service(Bmc *b, json_object *answer, Diag *reterr) {
        const char *parts = answer_text(answer_member(answer, "MultipartHttpPushUri"));
        const char *plain = answer_text(answer_member(answer, "HttpPushUri"));
        json_object *enabled = answer_member(answer, "ServiceEnabled");
        BmcFirmware *f = self(b);

        if (enabled && !json_object_get_boolean(enabled))
                return resource_error(&b->resource, reterr, -EPERM, "the BMC at '%s' has its update service turned off", b->base);
        if (!bmc_is_path(parts) && !bmc_is_path(plain))
                return resource_error(&b->resource, reterr, -EOPNOTSUPP, "the BMC at '%s' does not say where firmware is to be sent",
                                      b->base);
        return bmc_is_path(parts) ? send_parts(f, parts, reterr) :
                                    upload(f, &(BmcRequest) { .path = plain, .body = "", .type = "application/octet-stream" }, reterr);
}

/* ---- the file ---- */

static int copy_step(void *userdata) {
        BmcFirmware *f = userdata;
        int r = file_digest_step(f->digest, f->found);

        return r > 0 && lseek(f->copy, 0, SEEK_CUR) > FIRMWARE_SIZE_MAX ? -EFBIG : r;          /* it grows */
}

static int copied(BmcFirmware *f, int error, Diag *reterr) {
        Resource *r = &f->bmc.resource;

        f->digest = file_digest_free(f->digest);
        if (error < 0)
                return resource_error(r, reterr, error, "cannot copy '%s': %m", f->file);
        if (*f->hash && !streq(f->hash, f->found))
                return resource_error(r, reterr, -EBADMSG, "'%s' is not the file that it should be: its hash is %s", f->file, f->found);
        return bmc_get(&f->bmc, f->update_service, on_update_service, reterr);
}

/* The end of an attempt. Who waits for the machine goes on to. */
static void on_finished(Bmc *b) {
        BmcFirmware *f = self(b);

        drop_copy(f);
        if (!f->before && f->hold.held)
                bmc_hold_release(&f->hold);
}

static void on_copied(int error, void *userdata) {
        BmcFirmware *f = userdata;
        _cleanup_(diag_done) Diag diag = {};

        f->slices = slices_free(f->slices);
        int r = copied(f, error, &diag);
        if (r == CHECK_PENDING)
                return;
        on_finished(&f->bmc);
        resource_finish(&f->bmc.resource, r, &diag);
}

/* The copy is what is compared, and what is sent: nobody can exchange it in between. */
static int copy_file(BmcFirmware *f, Diag *reterr) {
        const Resource *r = &f->bmc.resource;
        struct stat st;
        int k;

        if (stat(f->file, &st) < 0)
                return resource_error(r, reterr, -errno, "cannot read '%s': %m", f->file);
        if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FIRMWARE_SIZE_MAX)
                return resource_error(r, reterr, -EINVAL, "'%s' cannot be firmware: it must be a file of at most 1 GiB, and not be empty",
                                      f->file);
        drop_copy(f);
        f->copy = open_unnamed(r->host->state_dir);
        k = f->copy < 0 ? f->copy : file_digest_new(&f->digest, f->file, f->copy);
        if (k >= 0)
                k = slices_start(&f->slices, r->host->event, copy_step, on_copied, f);
        if (k > 0)
                return CHECK_PENDING;
        return k < 0 ? resource_error(r, reterr, k, "cannot copy '%s': %m", f->file) : copied(f, 0, reterr);
}

/* ---- the version ---- */

/* By letters and digits alone, small ones. */
static void plain_name(const char *s, char ret[static NAME_MAX_HERE]) {
        size_t n = 0;

        for (; *s && n + 1 < NAME_MAX_HERE; s++)
                if (isalnum((unsigned char) *s))
                        ret[n++] = (char) tolower((unsigned char) *s);
        ret[n] = '\0';
}

/* "Dell Inc." is "dell", too. */
static bool is_provider(const BmcFirmware *f, const char *name) {
        char wanted[NAME_MAX_HERE], have[NAME_MAX_HERE];

        plain_name(f->provider, wanted);
        plain_name(name ? name : "", have);
        return *wanted && strstr(have, wanted);
}

static int start_update(BmcFirmware *f, Diag *reterr) {
        int r;

        if (!f->is_theirs)
                return resource_error(&f->bmc.resource, reterr, -EPERM, "the BMC at '%s' does not say that it is one of '%s'", f->bmc.base,
                                      f->provider);
        if (!f->update_service)
                return resource_error(&f->bmc.resource, reterr, -EOPNOTSUPP, "the BMC at '%s' has no update service", f->bmc.base);
        if (*f->block) {
                r = bmc_hold_take(&f->hold, f->bmc.resource.host->manager, &f->bmc.resource, f->block);
                if (r < 0)
                        return r;
        }
        return copy_file(f, reterr);
}

static int judge(BmcFirmware *f, const char *now, Diag *reterr) {
        if (streq(now, f->version)) {
                forget_update(f);
                return CHECK_OK;
        }
        if (f->before && !streq(now, f->before))        /* it has become something else: that is another matter */
                forget_update(f);
        if (f->before)
                return f->task ? bmc_get(&f->bmc, f->task, on_task, reterr) : still_old(f, reterr);
        resource_differs(&f->bmc.resource, "version", now, f->version);
        return f->bmc.resource.applies ? start_update(f, reterr) : CHECK_CHANGED;
}

static int on_manager(Bmc *b, json_object *answer, Diag *reterr) {
        const char *now = answer_text(answer_member(answer, "FirmwareVersion"));
        const char *maker = answer_text(answer_member(answer, "Manufacturer"));
        BmcFirmware *f = self(b);

        if (!now)
                return service_bad_answer(&b->call, "there is no FirmwareVersion", reterr);
        f->is_theirs = f->is_theirs || is_provider(f, maker);
        free(f->now);
        f->now = strdup(now);
        return f->now ? judge(f, now, reterr) : -ENOMEM;
}

static int on_managers(Bmc *b, json_object *answer, Diag *reterr) {
        const char *path;
        int r = bmc_first_member(b, answer, "manager", &path, reterr);

        return r < 0 ? r : bmc_get(b, path, on_manager, reterr);
}

static int on_root(Bmc *b, json_object *answer, Diag *reterr) {
        const char *managers = bmc_link(answer, "Managers"), *service = bmc_link(answer, "UpdateService");
        json_object *oem = answer_member(answer, "Oem");
        BmcFirmware *f = self(b);

        if (!managers)
                return service_bad_answer(&b->call, "there are no managers", reterr);
        f->is_theirs = streq(f->provider, "redfish") || streq(f->provider, "gofish") ||
                       is_provider(f, answer_text(answer_member(answer, "Vendor")));
        if (json_object_is_type(oem, json_type_object)) {
                json_object_object_foreach(oem, name, unused) {
                        (void) unused;
                        f->is_theirs = f->is_theirs || is_provider(f, name);
                }
        }
        free(f->update_service);
        f->update_service = service ? strdup(service) : NULL;
        if (service && !f->update_service)
                return -ENOMEM;
        return bmc_get(b, managers, on_managers, reterr);
}

/* ---- hooks ---- */

static int bmc_firmware_check_apply(Resource *r, bool apply, Diag *reterr) {
        return bmc_get(&((BmcFirmware *) r)->bmc, "/redfish/v1/", on_root, reterr);
}

static void bmc_firmware_cancel(Resource *r) {
        BmcFirmware *f = (BmcFirmware *) r;

        bmc_cancel(&f->bmc);
        on_finished(&f->bmc);
}

static void bmc_firmware_done(Resource *r) {
        BmcFirmware *f = (BmcFirmware *) r;

        bmc_done(&f->bmc);
        drop_copy(f);
        forget_update(f);
        free(f->now);
        free(f->update_service);
}

/* The file that is sent comes first. */
static const EdgeRule bmc_firmware_edges[] = {
        { .domain = "file", .field = "file" },
        {}
};

const ResourceType bmc_firmware_type = {
        .kind = "bmc:firmware",
        .doc = "The version of the firmware of the controller on the board of a machine, which may start anew for it.",
        .example = "bmc:firmware \"redfishs://admin@bmc7.example.com\" {\n"
                   "\tpassword => \"secret\",\n"
                   "\tprovider => \"Supermicro\",\n"
                   "\tfile => \"/srv/firmware/bmc-1.2.4.bin\",\n"
                   "\tversion => \"1.2.4\",\n"
                   "\n"
                   "\tMeta:poll => 60,\n"
                   "}\n",
        .size = sizeof(BmcFirmware),
        .flags = RESOURCE_NEEDS_POLL,
        .fields = bmc_firmware_fields,
        .init = bmc_firmware_init,
        .done = bmc_firmware_done,
        .validate = bmc_firmware_validate,
        .prepare = bmc_firmware_prepare,
        .check_apply = bmc_firmware_check_apply,
        .cancel = bmc_firmware_cancel,
        .edges = bmc_firmware_edges,
};
