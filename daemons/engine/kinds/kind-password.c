/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A random secret that is made once, and again when it is notified, and sent to others. It is kept among the state of the engine only
 * if that is wanted (saved); else what is kept is that there was one: then it is sent once, and afterwards the empty text, so whoever
 * receives it has to keep it. */

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/local-host.h"

enum { FILE_SIZE_MAX = UINT16_MAX + 2 };

#define TOO_LONG "?"            /* what is kept is none of ours */

typedef struct Password {
        Resource resource;
        uint16_t length;
        bool saved, check_recovery;

        PathWatch *watch;
} Password;

static const FieldSpec password_fields[] = {
        FIELD(Password, length, FIELD_UINT16, 0, "How many letters it has.", .initial = "64"),
        FIELD(Password, saved, FIELD_BOOL, 0, "Keep it on disk, readable by root only. Else it is sent once, and later the empty text."),
        FIELD(Password, check_recovery, FIELD_BOOL, 0, "Make a new one if what is kept cannot be one; else that is an error."),
        {}
};

static const FieldSpec password_sends[] = {
        { .name = "password", .type = FIELD_STR, .flags = FIELD_OPTIONAL | FIELD_SECRET, .doc = "The secret." },
        {}
};

static int password_validate(const Resource *r, Diag *reterr) {
        return ((const Password *) r)->length > 0 ? 0 : resource_error(r, reterr, -EINVAL, "length must be at least 1, got '0'");
}

static int store_path(const Password *p, char **ret) {
        _cleanup_free_ char *dir = NULL;
        int r = resource_state_dir(&p->resource, &dir);

        if (r < 0)
                return r;
        if (asprintf(ret, "%spassword", dir) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

/* 1 and the text without its newline, 0 if there is none. */
static int load(const char *path, char **ret) {
        size_t size;
        int r = read_file_at(AT_FDCWD, path, FILE_SIZE_MAX, ret, &size);

        if (r == -ENOENT)
                return 0;
        if (r == -E2BIG) {
                *ret = strdup(TOO_LONG);
                return *ret ? 1 : -ENOMEM;
        }
        if (r < 0)
                return r;
        while (size > 0 && isspace((unsigned char) (*ret)[size - 1]))
                (*ret)[--size] = '\0';
        return 1;
}

/* Whether what is kept can be what we have kept. */
static bool is_sound(const Password *p, const char *text) {
        if (!*text)
                return true;
        size_t n = 0;
        while (isalpha((unsigned char) text[n]) && (unsigned char) text[n] < 0x80)
                n++;
        return p->saved && n == p->length && text[n] == '\0';
}

static int generate(uint16_t length, char **ret) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        enum { N_LETTERS = sizeof(letters) - 1, FAIR = 256 / N_LETTERS * N_LETTERS };   /* bytes from there on would favour some */
        _cleanup_free_ char *text = malloc((size_t) length + 1);
        uint8_t bytes[128];
        size_t n = 0;

        if (!text)
                return -ENOMEM;
        while (n < length) {
                ssize_t k = getrandom(bytes, sizeof(bytes), 0);
                if (k < 0 && errno != EINTR)
                        return -errno;
                for (ssize_t i = 0; i < k && n < length; i++)
                        if (bytes[i] < FAIR)
                                text[n++] = letters[bytes[i] % N_LETTERS];
        }
        explicit_bzero(bytes, sizeof(bytes));
        text[n] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}

static int send_text(Password *p, const char *text, Diag *reterr) {
        _cleanup_(value_done) Value v = VALUE_NIL;
        int r = value_strz(&v, text);

        if (r >= 0)
                r = resource_send(&p->resource, "password", v);
        return r < 0 ? resource_error(&p->resource, reterr, r, "cannot send: %m") : 0;
}

static int keep(const Password *p, const char *path, const char *text, Diag *reterr) {
        _cleanup_free_ char *line = NULL;
        int n = asprintf(&line, "%s\n", text);

        if (n < 0) {
                line = NULL;
                return -ENOMEM;
        }
        int r = write_file_atomic_at(AT_FDCWD, path, line, (size_t) n, 0600, true);
        explicit_bzero(line, (size_t) n);
        return r < 0 ? resource_error(&p->resource, reterr, r, "cannot write '%s': %m", path) : 0;
}

static int unsound(const Password *p, const char *path, Diag *reterr) {
        if (!p->saved)
                return resource_error(&p->resource, reterr, -EBADMSG, "'%s' is not empty, but saved is false", path);
        return resource_error(&p->resource, reterr, -EBADMSG, "what is kept in '%s' is not a password of %u letters", path, p->length);
}

static int password_check_apply(Resource *r, bool apply, Diag *reterr) {
        Password *p = (Password *) r;
        _cleanup_free_ char *path = NULL, *text = NULL, *made = NULL;
        int k;

        k = store_path(p, &path);
        if (k >= 0)
                k = load(path, &text);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read what is kept: %m");
        bool sound = !text || is_sound(p, text);
        if (!sound && !p->check_recovery)
                return unsound(p, path, reterr);
        if (sound && text && !resource_refresh(r) && (*text || !p->saved)) {
                k = send_text(p, text, reterr);
                return k < 0 ? k : CHECK_OK;
        }

        resource_differs(r, "password", NULL, "a new one");
        if (!apply) {
                resource_send_unknown(r, "password");
                return CHECK_CHANGED;
        }
        k = generate(p->length, &made);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot make a password: %m");
        if (p->saved || !text || !sound)
                k = keep(p, path, p->saved ? made : "", reterr);
        if (k >= 0)
                k = send_text(p, made, reterr);
        explicit_bzero(made, p->length);
        return k < 0 ? k : CHECK_CHANGED;
}

static int password_watch(Resource *r, Diag *reterr) {
        Password *p = (Password *) r;
        _cleanup_free_ char *path = NULL;
        int k;

        k = store_path(p, &path);
        if (k >= 0)
                k = local_host_watch(r, path, 0, &p->watch, reterr);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot watch what is kept: %m");
        resource_armed(r);
        return 0;
}

static void password_unwatch(Resource *r) {
        Password *p = (Password *) r;

        p->watch = path_watch_free(p->watch);
}

const ResourceType password_type = {
        .kind = "password",
        .doc = "A random secret.",
        .example = "password \"database\" {\n"
                   "\tlength => 32,\n"
                   "\tsaved => true,\n"
                   "}\n",
        .size = sizeof(Password),
        .flags = RESOURCE_REFRESHABLE,
        .fields = password_fields,
        .sends = password_sends,
        .done = password_unwatch,
        .validate = password_validate,
        .watch = password_watch,
        .unwatch = password_unwatch,
        .check_apply = password_check_apply,
};
