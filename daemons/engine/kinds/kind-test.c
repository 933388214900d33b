/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A resource that manages nothing: it has a field of every type, and can be told to fail. For tests of the language and of
 * the engine. */

#include <inttypes.h>
#include <syslog.h>

#include <systemd/sd-event.h>

#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/test-stage.h"

typedef struct Test {
        Resource resource;
        bool bool_;
        char *str;
        int64_t int_;
        int8_t int8;
        int16_t int16;
        int32_t int32;
        int64_t int64;
        uint64_t uint;
        uint8_t uint8;
        uint16_t uint16;
        uint32_t uint32;
        uint64_t uint64;
        uint8_t byte;
        int32_t rune;
        float float32;
        double float64;
        Value boolptr;
        char *stringptr;
        Value int64ptr, int8ptr, uint8ptr, int8ptrptrptr;
        char **slicestring;
        Value mapintfloat, mixedstruct, interface;
        char *anotherstr;
        Value func1;
        bool validatebool;
        char *validateerror;
        bool alwaysgroup, comparefail;
        char *sendvalue;
        char **expectrecv;
        char **onlyshow;
        int64_t waitforerror;
        char *comment;
        char *stage;
        bool undo;
        int64_t wait;

        PathWatch *watches[2];
        sd_event_source *timer;
        bool apply;             /* of the attempt under way */
} Test;

static const FieldSpec test_fields[] = {
        FIELD_NAMED(Test, bool_, "bool", FIELD_BOOL, 0, "A boolean."),
        FIELD(Test, str, FIELD_STR, 0, "A string."),
        FIELD_NAMED(Test, int_, "int", FIELD_INT64, 0, "An integer."),
        FIELD(Test, int8, FIELD_INT8, 0, "An integer of 8 bits."),
        FIELD(Test, int16, FIELD_INT16, 0, "An integer of 16 bits."),
        FIELD(Test, int32, FIELD_INT32, 0, "An integer of 32 bits."),
        FIELD(Test, int64, FIELD_INT64, 0, "An integer of 64 bits."),
        FIELD(Test, uint, FIELD_UINT64, 0, "An integer that is not negative."),
        FIELD(Test, uint8, FIELD_UINT8, 0, "An integer of 8 bits that is not negative."),
        FIELD(Test, uint16, FIELD_UINT16, 0, "An integer of 16 bits that is not negative."),
        FIELD(Test, uint32, FIELD_UINT32, 0, "An integer of 32 bits that is not negative."),
        FIELD(Test, uint64, FIELD_UINT64, 0, "An integer of 64 bits that is not negative."),
        FIELD(Test, byte, FIELD_UINT8, 0, "A byte."),
        FIELD(Test, rune, FIELD_INT32, 0, "A character."),
        FIELD(Test, float32, FIELD_FLOAT32, 0, "A number of single precision."),
        FIELD(Test, float64, FIELD_FLOAT64, 0, "A number of double precision."),
        FIELD(Test, boolptr, FIELD_VALUE, FIELD_OPTIONAL, "A boolean or nothing.", .native = "BoolPtr", .mcl_type = "bool"),
        FIELD(Test, stringptr, FIELD_STR, FIELD_OPTIONAL, "A string or nothing.", .native = "StringPtr"),
        FIELD(Test, int64ptr, FIELD_VALUE, FIELD_OPTIONAL, "An integer or nothing.", .native = "Int64Ptr", .mcl_type = "int"),
        FIELD(Test, int8ptr, FIELD_VALUE, FIELD_OPTIONAL, "An integer of 8 bits or nothing.", .native = "Int8Ptr", .mcl_type = "int"),
        FIELD(Test, uint8ptr, FIELD_VALUE, FIELD_OPTIONAL, "An integer from 0 to 255 or nothing.", .native = "Uint8Ptr", .mcl_type = "int"),
        FIELD(Test, int8ptrptrptr, FIELD_VALUE, FIELD_OPTIONAL, "An integer of 8 bits or nothing.", .native = "Int8PtrPtrPtr",
              .mcl_type = "int"),
        FIELD(Test, slicestring, FIELD_STRV, 0, "A list of strings.", .native = "SliceString"),
        FIELD(Test, mapintfloat, FIELD_VALUE, 0, "A map.", .native = "MapIntFloat", .mcl_type = "map{int: float}"),
        FIELD(Test, mixedstruct, FIELD_VALUE, 0, "A struct.", .native = "MixedStruct",
              .mcl_type = "struct{somebool bool; somestr str; someint int; somefloat float}"),
        FIELD(Test, interface, FIELD_VALUE, 0, "A value of any type.", .mcl_type = "variant"),
        FIELD(Test, anotherstr, FIELD_STR, 0, "Another string.", .native = "AnotherStr"),
        FIELD(Test, func1, FIELD_VALUE, 0, "A function. It cannot be set.", .native = "Func1", .mcl_type = "func(int) str"),
        FIELD(Test, validatebool, FIELD_BOOL, 0, "If true, the resource is not valid.", .native = "ValidateBool"),
        FIELD(Test, validateerror, FIELD_STR, 0, "If given, the resource is not valid, for this reason.", .native = "ValidateError"),
        FIELD(Test, alwaysgroup, FIELD_BOOL, 0, "Whether others may be grouped into this one.", .native = "AlwaysGroup"),
        FIELD(Test, comparefail, FIELD_BOOL, 0, "If true, it differs from everything, even from itself.", .native = "CompareFail"),
        FIELD(Test, sendvalue, FIELD_STR, 0, "What it sends as 'hello'.", .native = "SendValue"),
        FIELD(Test, expectrecv, FIELD_STRV, FIELD_OPTIONAL, "As many fields as these must be received anew; otherwise it fails.",
              .native = "ExpectRecv"),
        FIELD(Test, onlyshow, FIELD_STRV, 0, "Names of the fields to log; all of them if empty.", .native = "OnlyShow"),
        FIELD(Test, waitforerror, FIELD_INT64, 0, "Milliseconds after which it fails; 0: it does not.", .native = "WaitForError"),
        FIELD(Test, comment, FIELD_STR, 0, "Says what it is there for."),
        FIELD(Test, stage, FIELD_STR, 0, "A directory with files that direct it: 'NAME.wrong' is what it repairs, with 'NAME.fails' it fails; "
              "and in 'log' it writes what it is asked."),
        FIELD(Test, undo, FIELD_BOOL, 0, "On the stage, 'NAME.wrong' is to be there: what undoes a repair, under Meta:reverse."),
        FIELD(Test, wait, FIELD_INT64, 0, "Milliseconds that an attempt takes."),
        {}
};

static const FieldSpec test_sends[] = {
        { .name = "hello", .type = FIELD_STR, .flags = FIELD_OPTIONAL, .doc = "The value of sendvalue." },
        { .name = "answer", .type = FIELD_INT64, .doc = "Always 42." },
        {}
};

static const struct {
        size_t offset;
        int64_t min, max;
} narrow_fields[] = {
        { offsetof(Test, int8ptr), INT8_MIN, INT8_MAX },
        { offsetof(Test, uint8ptr), 0, UINT8_MAX },
        { offsetof(Test, int8ptrptrptr), INT8_MIN, INT8_MAX },
};

static int test_validate(const Resource *r, Diag *reterr) {
        const Test *t = (const Test *) r;

        if (t->validatebool)
                return resource_error(r, reterr, -EINVAL, "the validate param was set to true");
        if (*t->validateerror)
                return resource_error(r, reterr, -EINVAL, "the validate error param was set to: %s", t->validateerror);
        if (*t->stage && (*t->stage != '/' || strchr(r->name, '/')))
                return resource_error(r, reterr, -EINVAL, "a stage must be an absolute path, and on it there are no names with a slash");
        if (t->wait < 0 || t->wait > INT32_MAX)
                return resource_error(r, reterr, -ERANGE, "wait must be from 0 to %d, got %" PRId64, INT32_MAX, t->wait);
        for (size_t i = 0; i < ELEMENTSOF(narrow_fields); i++) {
                const Value *v = (const Value *) ((const char *) t + narrow_fields[i].offset);
                if (v->kind == TYPE_INT && (v->i < narrow_fields[i].min || v->i > narrow_fields[i].max))
                        return resource_error(r, reterr, -ERANGE, "value '%" PRId64 "' does not fit, expected %" PRId64 " to %" PRId64,
                                              v->i, narrow_fields[i].min, narrow_fields[i].max);
        }
        return 0;
}

static bool is_shown(const Test *t, const char *label) {
        if (!t->onlyshow)
                return true;
        for (char **s = t->onlyshow; *s; s++)
                if (streq(*s, label))
                        return true;
        return false;
}

/* "Bool", "Int8": the name with a capital, where the row has no other. */
static void field_label(const FieldSpec *f, char *buffer, size_t size) {
        (void) snprintf(buffer, size, "%s", f->native ? f->native : f->name);
        if (buffer[0] >= 'a' && buffer[0] <= 'z')
                buffer[0] = (char) (buffer[0] - 'a' + 'A');
}

/* Of the control fields nothing is shown. */
static void log_fields(Test *t) {
        for (const FieldSpec *f = test_fields; f->name && f->offset < offsetof(Test, validatebool); f++) {
                _cleanup_(value_done) Value v = VALUE_NIL;
                _cleanup_free_ char *text = NULL;
                char label[32];

                field_label(f, label, sizeof(label));
                if (!is_shown(t, label) || f->offset == offsetof(Test, func1) || field_get(f, t, &v) < 0)
                        continue;
                text = v.kind == TYPE_NIL ? strdup("<nil>") : value_text(v);
                if (text)
                        resource_log(&t->resource, LOG_INFO, "%s:%*s%s", label, (int) (16 - strlen(label)), "", text);
        }
}

static int test_received(Test *t, Diag *reterr) {
        unsigned n = 0;

        for (const FieldSpec *f = test_fields; f->name; f++) {
                if (!resource_received(&t->resource, f->name))
                        continue;
                n++;
                resource_log(&t->resource, LOG_INFO, "received '%s'", f->name);
        }
        if (t->expectrecv && n != strv_count(t->expectrecv))
                return resource_error(&t->resource, reterr, -EINVAL, "received %u fields, expected %zu", n, strv_count(t->expectrecv));
        return 0;
}

static int test_send(Test *t, Diag *reterr) {
        _cleanup_(value_done) Value hello = VALUE_NIL;
        int r;

        r = value_strz(&hello, t->sendvalue);
        if (r >= 0)
                r = resource_send(&t->resource, "hello", hello);
        if (r >= 0)
                r = resource_send(&t->resource, "answer", VALUE_INT(42));
        return r < 0 ? resource_error(&t->resource, reterr, r, "cannot send: %m") : 0;
}

/* What is left after the waiting. */
static int test_act(Test *t, Diag *reterr) {
        int r = CHECK_OK, k;

        if (t->waitforerror > 0)
                return resource_error(&t->resource, reterr, -EIO, "failed after %" PRId64 " milliseconds, as it was told to",
                                      t->waitforerror);
        if (*t->stage)
                r = stage_act(&t->resource, t->stage, t->undo, t->apply, reterr);
        if (r >= 0 && (k = test_send(t, reterr)) < 0)
                r = k;
        if (*t->stage)
                stage_log(&t->resource, t->stage, "end", r == CHECK_CHANGED ? "changed" : r < 0 ? "failed" : "ok");
        return r;
}

static int test_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Test *t = userdata;
        _cleanup_(diag_done) Diag diag = {};

        t->timer = sd_event_source_disable_unref(t->timer);
        resource_finish(&t->resource, test_act(t, &diag), &diag);
        return 0;
}

static int test_check_apply(Resource *r, bool apply, Diag *reterr) {
        Test *t = (Test *) r;
        int64_t msec = t->waitforerror > 0 ? t->waitforerror : t->wait;
        bool refresh = resource_refresh(r);
        int k;

        t->apply = apply;
        if (refresh)
                resource_log(r, LOG_INFO, "received a notification");
        if (*t->stage)
                stage_log(r, t->stage, t->undo ? "undo" : refresh ? "begin-notified" : "begin", t->anotherstr);
        k = test_received(t, reterr);
        if (k < 0)
                return k;
        if (t->waitforerror <= 0)
                log_fields(t);
        if (msec <= 0)
                return test_act(t, reterr);
        k = sd_event_add_time_relative(r->host->event, &t->timer, CLOCK_MONOTONIC, (uint64_t) msec * 1000, 0, test_on_timer, t);
        return k < 0 ? resource_error(r, reterr, k, "cannot wait: %m") : CHECK_PENDING;
}

static void test_cancel(Resource *r) {
        Test *t = (Test *) r;

        t->timer = sd_event_source_disable_unref(t->timer);
        if (*t->stage)
                stage_log(r, t->stage, "end", "cancelled");
}

/* ---- what is on the stage ---- */

static void test_unwatch(Resource *r) {
        Test *t = (Test *) r;

        for (size_t i = 0; i < ELEMENTSOF(t->watches); i++)
                t->watches[i] = path_watch_free(t->watches[i]);
}

static int test_watch(Resource *r, Diag *reterr) {
        static const char *const suffixes[] = { "wrong", "fails" };
        Test *t = (Test *) r;

        for (size_t i = 0; i < ELEMENTSOF(t->watches) && *t->stage; i++) {
                _cleanup_free_ char *path = stage_path(r, t->stage, suffixes[i]);
                int k = path ? local_host_watch(r, path, 0, &t->watches[i], reterr) : -ENOMEM;
                if (k < 0)
                        return resource_error(r, reterr, k, "cannot watch the stage: %m");
        }
        resource_armed(r);
        return 0;
}

static int test_reverse(const Resource *r, Resource **ret, Diag *reterr) {
        const Test *t = (const Test *) r;
        _cleanup_(resource_freep) Resource *undo = NULL;
        int k;

        if (!*t->stage || t->undo || !stage_is_wrong(r, t->stage))
                return 0;
        k = resource_copy(&undo, r);
        if (k >= 0)
                k = resource_set(undo, "undo", VALUE_BOOL(true), reterr);
        if (k < 0)
                return k;
        stage_log(r, t->stage, "keep", "");
        *ret = TAKE_PTR(undo);
        return 0;
}

static void test_done(Resource *r) {
        Test *t = (Test *) r;

        test_unwatch(r);
        t->timer = sd_event_source_disable_unref(t->timer);
}

static bool test_equal(const Resource *a, const Resource *b, const char **ret_field) {
        bool never = ((const Test *) a)->comparefail || ((const Test *) b)->comparefail;

        if (a == b && !never)
                return true;
        for (const FieldSpec *f = test_fields; f->name; f++) {
                if (f->offset == offsetof(Test, func1) || (field_equal(f, a, b) && !(never && f->offset == offsetof(Test, comparefail))))
                        continue;
                *ret_field = f->name;
                return false;
        }
        return true;
}

static bool test_groups(const Resource *parent, const Resource *child) {
        return ((const Test *) parent)->alwaysgroup;
}

const ResourceType test_type = {
        .kind = "test",
        .doc = "Manages nothing. It has a field of every type and can be told to fail; for tests.",
        .example = "test \"t1\" {\n\tanotherstr => \"hello\",\n}\n",
        .size = sizeof(Test),
        .flags = RESOURCE_REFRESHABLE | RESOURCE_RECEIVES,
        .fields = test_fields,
        .sends = test_sends,
        .groups = test_groups,
        .reverse = test_reverse,
        .done = test_done,
        .validate = test_validate,
        .watch = test_watch,
        .unwatch = test_unwatch,
        .check_apply = test_check_apply,
        .cancel = test_cancel,
        .equal = test_equal,
};
