/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A parameter of the kernel: in /proc/sys, and in a file of sysctl.d, which is wholly ours. */

#include <fcntl.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/local-host.h"

enum { TEXT_MAX = 64 * 1024 };

typedef struct Sysctl {
        Resource resource;
        char *value;
        bool runtime, persist;
        char *path;

        PathWatch *runtime_watch, *persist_watch;
} Sysctl;

static const FieldSpec sysctl_fields[] = {
        FIELD(Sysctl, value, FIELD_STR, FIELD_REQUIRED, "What it shall be, as the kernel shows it."),
        FIELD(Sysctl, runtime, FIELD_BOOL, 0, "It shall be so now.", .initial = "true"),
        FIELD(Sysctl, persist, FIELD_BOOL, 0, "It shall be so after a reboot.", .initial = "true"),
        FIELD(Sysctl, path, FIELD_STR, 0, "File that says so at boot; /etc/sysctl.d/99-NAME.conf if it is empty. Nothing else can be in it."),
        {}
};

/* "net.ipv4.ip_forward" is in /proc/sys/net/ipv4/ip_forward. */
static char *runtime_path(const Sysctl *s) {
        char *path, *p;

        if (asprintf(&path, "/proc/sys/%s", s->resource.name) < 0)
                return NULL;
        for (p = path + strlen("/proc/sys/"); *p; p++)
                if (*p == '.')
                        *p = '/';
        return path;
}

static char *persist_path(const Sysctl *s) {
        char *path;

        if (*s->path)
                return strdup(s->path);
        return asprintf(&path, "/etc/sysctl.d/99-%s.conf", s->resource.name) < 0 ? NULL : path;
}

static bool is_surrounded_by_blanks(const char *s) {
        size_t n = strlen(s);

        return n > 0 && (strchr(" \t\n", s[0]) || strchr(" \t\n", s[n - 1]));
}

static int sysctl_validate(const Resource *r, Diag *reterr) {
        const Sysctl *s = (const Sysctl *) r;
        const char *name = r->name;

        if (strpbrk(name, "/= \t\n") || *name == '.' || endswith(name, ".") || strstr(name, ".."))
                return resource_error(r, reterr, -EINVAL, "name must be that of a parameter, such as 'net.ipv4.ip_forward', got '%s'",
                                      name);
        if (!*s->value || is_surrounded_by_blanks(s->value) || strchr(s->value, '\n'))
                return resource_error(r, reterr, -EINVAL, "value must be one line without blanks around it, got '%s'", s->value);
        if (!s->runtime && !s->persist)
                return resource_error(r, reterr, -EINVAL, "at least one of runtime and persist must be true");
        if (s->persist && *s->path && (*s->path != '/' || !endswith(s->path, ".conf")))
                return resource_error(r, reterr, -EINVAL, "path must be absolute and end in '.conf', got '%s'", s->path);
        return 0;
}

static int watch_path(Resource *r, char *path, PathWatch **ret, Diag *reterr) {
        int k = path ? local_host_watch(r, path, 0, ret, reterr) : -ENOMEM;

        free(path);
        return k;
}

static int sysctl_watch(Resource *r, Diag *reterr) {
        Sysctl *s = (Sysctl *) r;
        int k = 0;

        if (s->runtime)
                k = watch_path(r, runtime_path(s), &s->runtime_watch, reterr);
        if (k >= 0 && s->persist)
                k = watch_path(r, persist_path(s), &s->persist_watch, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void sysctl_unwatch(Resource *r) {
        Sysctl *s = (Sysctl *) r;

        s->runtime_watch = path_watch_free(s->runtime_watch);
        s->persist_watch = path_watch_free(s->persist_watch);
}

/* The first line of what the kernel has. */
static int read_runtime(const Sysctl *s, const char *path, char **ret, Diag *reterr) {
        const Resource *r = &s->resource;
        int k = read_file_at(AT_FDCWD, path, TEXT_MAX, ret, NULL);

        if (k == -ENOENT)
                return resource_error(r, reterr, k, "there is no parameter '%s'", r->name);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read '%s': %m", path);
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return 0;
}

/* The kernel separates several numbers by tabs, people by blanks. */
static bool is_same(const char *a, const char *b) {
        while (*a && *b && (*a == *b || (strchr(" \t", *a) && strchr(" \t", *b)))) {
                a++;
                b++;
        }
        return *a == *b;
}

/* What the kernel takes and makes something else of ("01", or more than it allows) would be written again and again, since to write it
 * is an event. */
static int write_runtime(const Sysctl *s, const char *path, Diag *reterr) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        _cleanup_free_ char *text = NULL;
        const Resource *r = &s->resource;
        int k;

        if (fd < 0)
                return resource_error(r, reterr, -errno, "value: cannot open '%s': %m", path);
        k = write_all(fd, s->value, strlen(s->value));
        if (k < 0)
                return resource_error(r, reterr, k, "value: the kernel does not take '%s': %m", s->value);
        k = read_runtime(s, path, &text, reterr);
        if (k >= 0 && !is_same(text, s->value))
                k = resource_error(r, reterr, -ERANGE, "value: the kernel has taken '%s', and shows it as '%s'", s->value, text);
        return k;
}

/* 1 if something had to be done. */
static int check_runtime(const Sysctl *s, bool apply, Diag *reterr) {
        _cleanup_free_ char *path = runtime_path(s), *text = NULL;
        int k;

        if (!path)
                return -ENOMEM;
        k = read_runtime(s, path, &text, reterr);
        if (k < 0 || is_same(text, s->value))
                return k;
        resource_differs((Resource *) &s->resource, "value", text, s->value);
        k = apply ? write_runtime(s, path, reterr) : 0;
        return k < 0 ? k : 1;
}

/* Also what is only for after a reboot is to be there: a name that is wrong would not be noticed before. */
static int check_exists(const Sysctl *s, Diag *reterr) {
        _cleanup_free_ char *path = runtime_path(s);

        if (!path)
                return -ENOMEM;
        return access(path, F_OK) < 0 ? resource_error(&s->resource, reterr, -errno, "there is no parameter '%s'", s->resource.name) : 0;
}

static int check_persist(const Sysctl *s, bool apply, Diag *reterr) {
        _cleanup_(file_text_done) FileText file = FILE_TEXT_INIT;
        _cleanup_free_ char *path = persist_path(s), *wanted = NULL;
        _cleanup_(diag_done) Diag diag = {};
        const Resource *r = &s->resource;
        int k;

        if (!path)
                return -ENOMEM;
        if (asprintf(&wanted, "%s = %s\n", r->name, s->value) < 0) {
                wanted = NULL;
                return -ENOMEM;
        }
        file.mode = 0644;
        k = file_text_read(&file, r, path, TEXT_MAX, true, &diag);
        if (k < 0 && k != -EFBIG) {     /* what is too large is not ours, and is replaced */
                diag_move(reterr, &diag);
                return k;
        }
        if (k >= 0 && file.text.size == strlen(wanted) && memcmp(file.text.data, wanted, file.text.size) == 0)
                return 0;
        resource_differs_bytes((Resource *) r, "persist", file.text.data, file.text.size, wanted, strlen(wanted));
        if (!apply)
                return 1;
        k = file_text_write(&file, r, path, wanted, strlen(wanted), reterr);
        return k < 0 ? k : 1;
}

static int sysctl_check_apply(Resource *r, bool apply, Diag *reterr) {
        const Sysctl *s = (const Sysctl *) r;
        int now = 0, later = 0;

        now = s->runtime ? check_runtime(s, apply, reterr) : check_exists(s, reterr);
        if (now >= 0 && s->persist)
                later = check_persist(s, apply, reterr);
        if (now < 0 || later < 0)
                return MIN(now, later);
        return now > 0 || later > 0 ? CHECK_CHANGED : CHECK_OK;
}

static int sysctl_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const Sysctl *s = (const Sysctl *) r;
        _cleanup_free_ char *path = NULL;

        if (!s->persist)
                return 0;
        path = persist_path(s);
        return path ? file_path_wants_above(path, batch, ret) : -ENOMEM;
}

static void sysctl_done(Resource *r) {
        sysctl_unwatch(r);
}

const ResourceType sysctl_type = {
        .kind = "sysctl",
        .doc = "A parameter of the kernel.",
        .example = "sysctl \"net.ipv4.ip_forward\" {\n"
                   "\tvalue => \"1\",\n"
                   "}\n",
        .size = sizeof(Sysctl),
        .fields = sysctl_fields,
        .done = sysctl_done,
        .validate = sysctl_validate,
        .watch = sysctl_watch,
        .unwatch = sysctl_unwatch,
        .check_apply = sysctl_check_apply,
        .wants = sysctl_wants,
        .first_match_ends = true,
};
