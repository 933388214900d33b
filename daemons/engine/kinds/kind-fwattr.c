/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An attribute of the machine's firmware, as the kernel has it in /sys/class/firmware-attributes. What it may be says the kernel as well,
 * so that can only be found out on the machine itself, during an attempt. Drivers spell some values differently; unless strict is set,
 * another spelling of the same is taken.
 *
 * Some machines take a limited number of changes until the next boot, which is one more reason to write only what is different; and on
 * some the old value shows until then, so what was written once is not written again and again. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <syslog.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/local-host.h"

#define TOP "/sys/class/firmware-attributes"

enum { TEXT_MAX = 64 * 1024 };

typedef struct Fwattr {
        Resource resource;
        char *driver, *key, *value;
        bool check, strict, skip;

        PathWatch *watch;
        bool told;              /* that it is passed over */
        char *written;          /* it shows after the next boot */
} Fwattr;

static const FieldSpec fwattr_fields[] = {
        FIELD(Fwattr, driver, FIELD_STR, 0, "The driver, such as 'thinklmi'; empty: the one there is."),
        FIELD(Fwattr, key, FIELD_STR, FIELD_IS_NAME, "The attribute, such as 'SecureBoot'."),
        FIELD(Fwattr, value, FIELD_STR, 0, "What it shall be."),
        FIELD(Fwattr, check, FIELD_BOOL, 0, "Look whether the kernel says that it may be that, before it is tried.", .initial = "true"),
        FIELD(Fwattr, strict, FIELD_BOOL, 0, "Take value to the letter, and not another spelling of it that this machine may have."),
        FIELD(Fwattr, skip, FIELD_BOOL, 0, "Where the machine has no such attribute, do nothing."),
        {}
};

/* Values that mean the same: any of one row. */
static const struct {
        const char *driver, *key, *spellings[4];
} alternates[] = {
        { "thinklmi", "SecureBoot", { "Enabled", "Enable" } },
        { "thinklmi", "SecureBoot", { "Disabled", "Disable" } },
};

static bool is_name(const char *s) {
        return !strchr(s, '/') && !streq(s, ".") && !streq(s, "..");
}

static int fwattr_validate(const Resource *r, Diag *reterr) {
        const Fwattr *f = (const Fwattr *) r;

        if (!is_name(f->driver))
                return resource_error(r, reterr, -EINVAL, "driver must be a name, got '%s'", f->driver);
        if (!is_name(f->key))
                return resource_error(r, reterr, -EINVAL, "key must be a name, got '%s'", f->key);
        if (strchr(f->value, '\n'))
                return resource_error(r, reterr, -EINVAL, "value must be one line, got '%s'", f->value);
        return 0;
}

/* ---- what the kernel has ---- */

/* The driver: 1. 0: there is none, or not this one. Several to choose from is an error. */
static int find_driver(const Fwattr *f, char **ret, Diag *reterr) {
        DIR *d = opendir(TOP);
        unsigned n = 0;

        free(TAKE_PTR(*ret));
        for (const struct dirent *e; d && (e = readdir(d));) {
                if (!is_name(e->d_name) || (*f->driver && !streq(e->d_name, f->driver)))
                        continue;
                free(*ret);
                *ret = strdup(e->d_name);
                n++;
        }
        if (d)
                (void) closedir(d);
        if (n > 1)
                return resource_error(&f->resource, reterr, -ENOTUNIQ, "driver must be given, as there are several");
        return n == 0 ? 0 : *ret ? 1 : -ENOMEM;
}

/* What is in a file of the attribute, without a newline at its end. NULL: there is no such file. */
static int read_text(const Fwattr *f, const char *driver, const char *file, char **ret) {
        _cleanup_free_ char *path = NULL;
        int r;

        if (asprintf(&path, TOP "/%s/attributes/%s/%s", driver, f->key, file) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_file_at(AT_FDCWD, path, TEXT_MAX, ret, NULL);
        if (r == -ENOENT || r == -ENOTDIR) {
                *ret = NULL;
                return 0;
        }
        if (r < 0)
                return r;
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return 0;
}

/* ---- what it may be ---- */

static bool is_in_list(const char *list, const char *value) {
        size_t size = strlen(value);

        while (*list) {
                size_t n = strcspn(list, ";");
                if (n == size && memcmp(list, value, n) == 0)
                        return true;
                list += n + (list[n] == ';');
        }
        return false;
}

/* Another spelling of the value that is in the list, or NULL. */
static const char *find_alternate(const Fwattr *f, const char *driver, const char *list) {
        for (size_t i = 0; i < ELEMENTSOF(alternates); i++) {
                bool found = false;
                if (!streq(alternates[i].driver, driver) || !streq(alternates[i].key, f->key))
                        continue;
                for (const char *const *s = alternates[i].spellings; *s; s++)
                        found = found || streq(*s, f->value);
                for (const char *const *s = alternates[i].spellings; found && *s; s++)
                        if (is_in_list(list, *s))
                                return *s;
        }
        return NULL;
}

static int check_enumeration(const Fwattr *f, const char *driver, const char **ret, Diag *reterr) {
        _cleanup_free_ char *list = NULL;
        int r = read_text(f, driver, "possible_values", &list);

        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read what '%s' may be: %m", f->key);
        if (!list || is_in_list(list, f->value))
                return 0;
        const char *other = f->strict ? NULL : find_alternate(f, driver, list);
        if (!other)
                return resource_error(&f->resource, reterr, -EINVAL, "value must be one of '%s', got '%s'", list, f->value);
        *ret = other;
        return 0;
}

static bool parse_number(const char *s, int64_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoll(s, &end, 10);
        return errno == 0 && end != s && !*end;
}

/* A limit that the kernel does not know, or does not say as a number, is none. */
static int read_limit(const Fwattr *f, const char *driver, const char *file, bool *ret_there, int64_t *ret) {
        _cleanup_free_ char *text = NULL;
        int r = read_text(f, driver, file, &text);

        *ret_there = r >= 0 && text && parse_number(text, ret);
        return r;
}

static int check_limits(const Fwattr *f, const char *driver, const char *lower, const char *upper, int64_t n, const char *what,
                        Diag *reterr) {
        bool has_min, has_max;
        int64_t min = 0, max = 0;
        int r;

        r = read_limit(f, driver, lower, &has_min, &min);
        if (r >= 0)
                r = read_limit(f, driver, upper, &has_max, &max);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read what '%s' may be: %m", f->key);
        if (has_min && n < min)
                return resource_error(&f->resource, reterr, -ERANGE, "value must %s at least %lld, got '%s'", what, (long long) min,
                                      f->value);
        if (has_max && n > max)
                return resource_error(&f->resource, reterr, -ERANGE, "value must %s at most %lld, got '%s'", what, (long long) max,
                                      f->value);
        return 0;
}

static int check_integer(const Fwattr *f, const char *driver, Diag *reterr) {
        int64_t n, step = 0, min = 0;
        bool has_step, has_min;
        int r;

        if (!parse_number(f->value, &n))
                return resource_error(&f->resource, reterr, -EINVAL, "value must be a number, got '%s'", f->value);
        r = check_limits(f, driver, "min_value", "max_value", n, "be", reterr);
        if (r < 0)
                return r;
        r = read_limit(f, driver, "scalar_increment", &has_step, &step);
        if (r >= 0)
                r = read_limit(f, driver, "min_value", &has_min, &min);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read what '%s' may be: %m", f->key);
        if (has_step && step > 1 && ((uint64_t) n - (uint64_t) (has_min ? min : 0)) % (uint64_t) step != 0)
                return resource_error(&f->resource, reterr, -EINVAL, "value must be a number of steps of %lld from %lld on, got '%s'",
                                      (long long) step, (long long) (has_min ? min : 0), f->value);
        return 0;
}

/* *ret is the value as this machine spells it. */
static int check_value(const Fwattr *f, const char *driver, const char **ret, Diag *reterr) {
        _cleanup_free_ char *type = NULL;
        int r = read_text(f, driver, "type", &type);

        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read what '%s' is: %m", f->key);
        if (!type)
                return 0;
        if (streq(type, "enumeration"))
                return check_enumeration(f, driver, ret, reterr);
        if (streq(type, "integer"))
                return check_integer(f, driver, reterr);
        if (streq(type, "string"))
                return check_limits(f, driver, "min_length", "max_length", (int64_t) strlen(f->value), "have a length of", reterr);
        return resource_error(&f->resource, reterr, -EOPNOTSUPP, "'%s' is of type '%s', of which check knows nothing", f->key, type);
}

/* ---- check and apply ---- */

static int missing(Fwattr *f, const char *what, const char *name, Diag *reterr) {
        if (!f->skip)
                return resource_error(&f->resource, reterr, -ENOENT, "this machine has no %s '%s' in '" TOP "'", what, name);
        if (!f->told)
                resource_log(&f->resource, LOG_WARNING, "this machine has no %s '%s', skipping", what, name);
        f->told = true;
        return CHECK_OK;
}

static int write_value(const Fwattr *f, const char *driver, const char *value, Diag *reterr) {
        _cleanup_free_ char *path = NULL, *line = NULL;
        int r;

        if (asprintf(&path, TOP "/%s/attributes/%s/current_value", driver, f->key) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (asprintf(&line, "%s\n", value) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        _cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
        r = fd < 0 ? -errno : write_all(fd, line, strlen(line));
        return r < 0 ? resource_error(&f->resource, reterr, r, "the firmware does not take '%s': %m", value) : 0;
}

/* Whether the firmware has something that takes effect with the next boot. */
static bool is_pending(const char *driver) {
        _cleanup_free_ char *path = NULL, *text = NULL;

        if (asprintf(&path, TOP "/%s/attributes/pending_reboot", driver) < 0) {
                path = NULL;
                return false;
        }
        return read_file_at(AT_FDCWD, path, TEXT_MAX, &text, NULL) >= 0 && *text == '1';
}

/* What shows otherwise than it was written would be written for ever, as that is an event. */
static int change(Fwattr *f, const char *driver, const char *value, Diag *reterr) {
        _cleanup_free_ char *now = NULL;
        int r = write_value(f, driver, value, reterr);

        if (r < 0)
                return r;
        r = read_text(f, driver, "current_value", &now);
        if (r < 0)
                return resource_error(&f->resource, reterr, r, "cannot read '%s': %m", f->key);
        if (streq_ptr(now, value))
                return 0;
        if (!is_pending(driver))
                return resource_error(&f->resource, reterr, -ERANGE, "value: the firmware has taken '%s', and shows '%s'", value,
                                      now ?: "");
        f->written = strdup(value);
        resource_log(&f->resource, LOG_NOTICE, "'%s' takes effect with the next boot", value);
        return f->written ? 0 : -ENOMEM;
}

static int fwattr_check_apply(Resource *r, bool apply, Diag *reterr) {
        Fwattr *f = (Fwattr *) r;
        _cleanup_free_ char *driver = NULL, *now = NULL;
        const char *wanted = f->value;
        int k;

        k = find_driver(f, &driver, reterr);
        if (k < 0)
                return k;
        if (k == 0)
                return missing(f, "driver", *f->driver ? f->driver : "of any name", reterr);
        k = read_text(f, driver, "current_value", &now);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot read '%s': %m", f->key);
        if (!now)
                return missing(f, "attribute", f->key, reterr);
        k = f->check ? check_value(f, driver, &wanted, reterr) : 0;
        if (k < 0)
                return k;
        if (streq(now, wanted) || (streq_ptr(f->written, wanted) && is_pending(driver)))
                return CHECK_OK;
        resource_differs(r, "value", now, wanted);
        if (apply)
                free(TAKE_PTR(f->written));
        k = apply ? change(f, driver, wanted, reterr) : 0;
        return k < 0 ? k : CHECK_CHANGED;
}

/* ---- watch ---- */

/* Of the driver that there is now, else of all of them. */
static int fwattr_watch(Resource *r, Diag *reterr) {
        Fwattr *f = (Fwattr *) r;
        _cleanup_free_ char *driver = NULL, *path = NULL;
        int k = find_driver(f, &driver, NULL);

        if (k == -ENOMEM)
                return k;
        if ((k == 1 ? asprintf(&path, TOP "/%s/attributes/%s/current_value", driver, f->key) : asprintf(&path, TOP)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = local_host_watch(r, path, 0, &f->watch, reterr);
        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void fwattr_unwatch(Resource *r) {
        Fwattr *f = (Fwattr *) r;

        f->watch = path_watch_free(f->watch);
}

static void fwattr_done(Resource *r) {
        fwattr_unwatch(r);
        free(((Fwattr *) r)->written);
}

const ResourceType fwattr_type = {
        .kind = "fwattr",
        .doc = "A setting of the machine's firmware.",
        .example = "fwattr \"SecureBoot\" {\n"
                   "\tvalue => \"Enabled\",\n"
                   "\tskip => true,\n"
                   "}\n",
        .size = sizeof(Fwattr),
        .fields = fwattr_fields,
        .done = fwattr_done,
        .validate = fwattr_validate,
        .watch = fwattr_watch,
        .unwatch = fwattr_unwatch,
        .check_apply = fwattr_check_apply,
};
