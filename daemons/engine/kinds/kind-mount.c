/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A file system that is mounted, now and after a reboot: its line in /etc/fstab, of which all others stay as they are, and its mount
 * unit, by which systemd mounts it, in a place of its own and not as a child of ours. */

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/epoll.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/path-watch.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/file-text.h"
#include "daemons/engine/kinds/fstab.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/systemd-unit.h"

#define FSTAB "/etc/fstab"
#define MOUNTINFO "/proc/self/mountinfo"

enum { TEXT_MAX = 16 * 1024 * 1024 };

typedef struct Mount {
        Resource resource;
        char *state, *device, *type;
        Value options;
        int64_t freq, passno;

        SystemdUnit unit;
        FstabEntry wanted;      /* its texts are owned */
        bool line_is_wrong;
        const char *method, *verb;      /* of the job that makes it so; NULL: none */
        PathWatch *fstab_watch, *device_watch;
        sd_event_source *mounts;
} Mount;

static const FieldSpec mount_fields[] = {
        FIELD(Mount, state, FIELD_STR, FIELD_REQUIRED, "'exists' or 'absent'."),
        FIELD(Mount, device, FIELD_STR, 0, "What is mounted: a path, 'UUID=…', 'LABEL=…', 'PARTUUID=…', 'PARTLABEL=…', or what its type wants."),
        FIELD(Mount, type, FIELD_STR, 0, "The type of the file system."),
        FIELD(Mount, options, FIELD_VALUE, 0, "Options and their values; the value of a mere flag is empty.", .mcl_type = "map{str: str}",
              .initial = "{\"defaults\" => \"\",}"),
        FIELD(Mount, freq, FIELD_INT64, 0, "The fifth column of fstab: whether dump(8) saves it."),
        FIELD(Mount, passno, FIELD_INT64, 0, "The sixth column of fstab: when fsck(8) checks it at boot."),
        {}
};

static bool is_absent(const Mount *m) {
        return streq(m->state, "absent");
}

/* A part of it is "." or "..": neither systemd nor the kernel knows it by this name. */
static bool has_dots(const char *path) {
        for (const char *part = path; (part = strchr(part, '/')); part++) {
                size_t n = strcspn(part + 1, "/");
                if (n >= 1 && n <= 2 && part[1] == '.' && part[n] == '.')
                        return true;
        }
        return false;
}

static int mount_validate(const Resource *r, Diag *reterr) {
        const Mount *m = (const Mount *) r;

        if (*r->name != '/' || strstr(r->name, "//") || (r->name[1] && endswith(r->name, "/")) || strchr(r->name, '\n'))
                return resource_error(r, reterr, -EINVAL,
                                      "name must be the absolute path of a directory, without a slash at the end, got '%s'", r->name);
        if (has_dots(r->name))
                return resource_error(r, reterr, -EINVAL, "name must be a path without '.' and '..' in it, got '%s'", r->name);
        if (!streq(m->state, "exists") && !is_absent(m))
                return resource_error(r, reterr, -EINVAL, "state must be 'exists' or 'absent', got '%s'", m->state);
        if (!is_absent(m) && (!*m->device || !*m->type))
                return resource_error(r, reterr, -EINVAL, "device and type must be given");
        if (strchr(m->device, '\n') || strpbrk(m->type, " \t\n"))
                return resource_error(r, reterr, -EINVAL, "device and type must be one line, got '%s' and '%s'", m->device, m->type);
        if (m->freq < 0 || m->freq > 9 || m->passno < 0 || m->passno > 9)
                return resource_error(r, reterr, -ERANGE, "freq and passno must be from 0 to 9, got %" PRIi64 " and %" PRIi64, m->freq,
                                      m->passno);
        for (uint32_t i = 0; m->options.kind == TYPE_MAP && i < m->options.m->n; i++) {
                const char *name = value_cstr(m->options.m->items[i].key), *value = value_cstr(m->options.m->items[i].value);
                if (!*name || strpbrk(name, ",= \t\n") || strpbrk(value, ",\n"))
                        return resource_error(r, reterr, -EINVAL, "an option must be a word, got '%s' with value '%s'", name, value);
        }
        return 0;
}

/* ---- what is wanted ---- */

static char *options_text(const Mount *m) {
        StrBuf b = {};

        for (uint32_t i = 0; m->options.kind == TYPE_MAP && i < m->options.m->n; i++) {
                const char *value = value_cstr(m->options.m->items[i].value);
                strbuf_printf(&b, "%s%s%s%s", i > 0 ? "," : "", value_cstr(m->options.m->items[i].key), *value ? "=" : "", value);
        }
        if (b.size == 0)
                strbuf_puts(&b, "defaults");
        return strbuf_take(&b);
}

static int mount_prepare(Resource *r, Diag *reterr) {
        Mount *m = (Mount *) r;

        fstab_entry_done(&m->wanted);
        m->wanted = (FstabEntry) {
                .device = strdup(m->device),
                .point = strdup(r->name),
                .type = strdup(m->type),
                .options = options_text(m),
                .freq = (int) m->freq,
                .passno = (int) m->passno,
        };
        return m->wanted.device && m->wanted.point && m->wanted.type && m->wanted.options ? 0 : -ENOMEM;
}

/* "UUID=x" is a link in /dev/disk. NULL: it is no path. */
static char *device_path(const Mount *m) {
        static const struct {
                const char *tag, *directory;
        } tags[] = {
                { "UUID=", "by-uuid" }, { "LABEL=", "by-label" }, { "PARTUUID=", "by-partuuid" }, { "PARTLABEL=", "by-partlabel" },
        };
        char *path;

        for (size_t i = 0; i < ELEMENTSOF(tags); i++) {
                const char *rest = startswith(m->device, tags[i].tag);
                if (rest && !strchr(rest, '/'))
                        return asprintf(&path, "/dev/disk/%s/%s", tags[i].directory, rest) < 0 ? NULL : path;
        }
        return *m->device == '/' ? strdup(m->device) : NULL;
}

/* ---- watch ---- */

/* As systemd-escape --path. */
static char *unit_name(const char *path) {
        StrBuf b = {};
        const char *begin = path + 1;

        if (!*begin)
                strbuf_putc(&b, '-');
        for (const char *p = begin; *p; p++) {
                if (*p == '/')
                        strbuf_putc(&b, '-');
                else if (isalnum((unsigned char) *p) || *p == ':' || *p == '_' || (*p == '.' && p > begin))
                        strbuf_putc(&b, *p);
                else
                        strbuf_printf(&b, "\\x%02x", (unsigned char) *p);
        }
        strbuf_puts(&b, ".mount");
        return strbuf_take(&b);
}

static int mount_open(Mount *m) {
        _cleanup_free_ char *name = unit_name(m->resource.name);

        return name ? systemd_unit_open(&m->unit, &m->resource, false, name) : -ENOMEM;
}

static int on_mounts(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        resource_changed(userdata);
        return 0;
}

static int watch_mounts(Mount *m) {
        _cleanup_close_ int fd = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
        int r;

        if (fd < 0)
                return -errno;
        r = sd_event_add_io(m->resource.host->event, &m->mounts, fd, EPOLLPRI, on_mounts, m);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(m->mounts, true);
        if (r >= 0)
                (void) TAKE_FD(fd);
        return r;
}

static int mount_watch(Resource *r, Diag *reterr) {
        Mount *m = (Mount *) r;
        _cleanup_free_ char *device = device_path(m);
        int k;

        k = mount_open(m);
        if (k >= 0)
                k = local_host_watch(r, FSTAB, 0, &m->fstab_watch, reterr);
        if (k >= 0 && device && startswith(device, "/dev/"))
                k = local_host_watch(r, device, 0, &m->device_watch, reterr);
        if (k >= 0)
                k = watch_mounts(m);
        if (k >= 0)
                k = systemd_unit_watch(&m->unit);
        return k < 0 ? resource_error(r, reterr, k, "cannot watch '%s': %m", r->name) : 0;
}

static void mount_unwatch(Resource *r) {
        Mount *m = (Mount *) r;

        m->fstab_watch = path_watch_free(m->fstab_watch);
        m->device_watch = path_watch_free(m->device_watch);
        m->mounts = sd_event_source_disable_unref(m->mounts);
        systemd_unit_close(&m->unit);
}

/* ---- what is ---- */

static bool has_option(const char *options, const char *name) {
        size_t n = strlen(name);

        for (const char *p = options; *p; p += strcspn(p, ",")) {
                p += *p == ',';
                if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
                        return true;
        }
        return false;
}

/* Of the options that the kernel shows as they were given. */
static bool flags_differ(const char *wanted, const char *now) {
        static const char *const flags[] = { "ro", "nosuid", "nodev", "noexec", "noatime" };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (has_option(wanted, flags[i]) && !has_option(now, flags[i]))
                        return true;
        return has_option(wanted, "rw") && has_option(now, "ro");
}

static bool is_same_device(const char *a, const char *b) {
        _cleanup_free_ char *x = realpath(a, NULL), *y = realpath(b, NULL);

        return x && y && streq(x, y);
}

/* The file behind a loop device. */
static bool is_loop_of(const char *device, const char *path) {
        const char *name = startswith(device, "/dev/loop");
        _cleanup_free_ char *file = NULL, *text = NULL;

        if (!name || asprintf(&file, "/sys/block/loop%s/loop/backing_file", name) < 0)
                return false;
        if (read_file_at(AT_FDCWD, file, 4096, &text, NULL) < 0)
                return false;
        text[strcspn(text, "\n")] = '\0';
        return is_same_device(text, path);
}

/* A bind mount shows the file system that it comes from. */
static bool is_what_was_wanted(const Mount *m, const FstabEntry *now) {
        _cleanup_free_ char *device = device_path(m);

        if (has_option(m->wanted.options, "bind") || has_option(m->wanted.options, "rbind"))
                return true;
        if (!streq(m->type, "auto") && !streq(m->type, now->type))
                return false;
        return streq(now->device, m->device) || (device && (is_same_device(now->device, device) || is_loop_of(now->device, device)));
}

/* *now is what is mounted there; and m->method what brings it to what is wanted. */
static int look_at_mount(Mount *m, FstabEntry *now, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        int r;

        m->method = NULL;
        r = read_file_at(AT_FDCWD, MOUNTINFO, TEXT_MAX, &text, NULL);
        if (r >= 0)
                r = mountinfo_find(text, m->resource.name, now);
        if (r < 0)
                return resource_error(&m->resource, reterr, r, "cannot read '" MOUNTINFO "': %m");
        if (is_absent(m)) {
                m->method = r > 0 ? "StopUnit" : NULL;
                m->verb = "unmount";
        } else {
                bool same = r > 0 && is_what_was_wanted(m, now);
                m->method = r == 0 ? "StartUnit" : !same ? "RestartUnit"
                        : flags_differ(m->wanted.options, now->options) ? "ReloadUnit" : NULL;
                m->verb = "mount";
        }
        return r;
}

static int find_mount(Mount *m, bool *changed, Diag *reterr) {
        _cleanup_(fstab_entry_done) FstabEntry now = {};
        int r = look_at_mount(m, &now, reterr);

        if (r < 0 || !m->method)
                return MIN(r, 0);
        *changed = true;
        if (streq(m->method, "ReloadUnit"))
                resource_differs(&m->resource, "options", now.options, m->wanted.options);
        else
                resource_differs(&m->resource, "state", r > 0 ? now.device : "not mounted", is_absent(m) ? "not mounted" : m->device);
        return 0;
}

/* Read, edited and written in one go: others write the file as well. */
static int edit_line(Mount *m, bool apply, Diag *reterr) {
        _cleanup_(file_text_done) FileText file = FILE_TEXT_INIT;
        _cleanup_free_ char *wanted = NULL;
        Resource *r = &m->resource;
        int k;

        file.mode = 0644;
        file.sync = true;
        k = file_text_read(&file, r, FSTAB, TEXT_MAX, true, reterr);
        if (k >= 0)
                k = file_text_check(&file, r, FSTAB, reterr);
        if (k < 0)
                return k;
        k = fstab_edit(file.text.data ? file.text.data : "", r->name, is_absent(m) ? NULL : &m->wanted, &wanted);
        m->line_is_wrong = k > 0;
        if (k <= 0)
                return k;
        if (apply)
                return file_text_write(&file, r, FSTAB, wanted, strlen(wanted), reterr);
        resource_differs(r, "fstab", file.text.data, wanted);
        return 0;
}

/* ---- making it so ---- */

/* A file system may not do what it was asked for, and say nothing: it would be asked for ever. */
static int done(Resource *r, Diag *reterr) {
        _cleanup_(fstab_entry_done) FstabEntry now = {};
        Mount *m = (Mount *) r;
        int k = look_at_mount(m, &now, reterr);

        if (k < 0 || !m->method)
                return k < 0 ? k : CHECK_CHANGED;
        if (k == 0)
                return resource_error(r, reterr, -EPROTO, "state: it was mounted, and is not there");
        return resource_error(r, reterr, -EPROTO, "state: it was mounted, and is '%s' of type '%s' with options '%s'", now.device, now.type,
                              now.options);
}

static int run_job(Resource *r, Diag *reterr) {
        Mount *m = (Mount *) r;

        return m->method ? systemd_unit_job(&m->unit, m->method, m->verb, done, reterr) : CHECK_CHANGED;
}

static int write_line(Resource *r, Diag *reterr) {
        Mount *m = (Mount *) r;
        int k;

        if (is_absent(m))
                m->method = NULL;
        if (!m->line_is_wrong)
                return run_job(r, reterr);
        k = edit_line(m, true, reterr);
        return k < 0 ? k : systemd_unit_reload(&m->unit, run_job, reterr);
}

static int found(Resource *r, Diag *reterr) {
        Mount *m = (Mount *) r;
        _cleanup_free_ char *device = device_path(m);
        bool changed = false;
        int k;

        k = edit_line(m, false, reterr);
        if (k >= 0)
                k = find_mount(m, &changed, reterr);
        if (k < 0)
                return k;
        if (!changed && !m->line_is_wrong)
                return CHECK_OK;
        if (!r->applies)
                return CHECK_CHANGED;
        if (m->unit.state.has_job)
                return systemd_unit_busy(&m->unit);
        if (!is_absent(m) && m->method && device && access(device, F_OK) < 0) {
                if (startswith(device, "/dev/"))
                        return resource_waiting(r, "its device is not there");
                return resource_error(r, reterr, -errno, "device '%s' cannot be found: %m", m->device);
        }
        if (is_absent(m) && m->method)
                return systemd_unit_job(&m->unit, m->method, m->verb, write_line, reterr);
        return write_line(r, reterr);
}

static int mount_check_apply(Resource *r, bool apply, Diag *reterr) {
        Mount *m = (Mount *) r;
        int k;

        k = mount_open(m);
        if (k < 0)
                return resource_error(r, reterr, k, "cannot ask systemd: %m");
        return systemd_unit_get(&m->unit, found, reterr);
}

static void mount_cancel(Resource *r) {
        systemd_unit_cancel(&((Mount *) r)->unit);
}

static int mount_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, "mount", r->name, false);
}

static void mount_done(Resource *r) {
        Mount *m = (Mount *) r;

        mount_unwatch(r);
        fstab_entry_done(&m->wanted);
}

const ResourceType mount_type = {
        .kind = "mount",
        .doc = "A file system that is mounted, now and after a reboot.",
        .example = "mount \"/srv/data\" {\n"
                   "\tstate => \"exists\",\n"
                   "\tdevice => \"LABEL=data\",\n"
                   "\ttype => \"ext4\",\n"
                   "}\n",
        .size = sizeof(Mount),
        .fields = mount_fields,
        .done = mount_done,
        .validate = mount_validate,
        .prepare = mount_prepare,
        .watch = mount_watch,
        .unwatch = mount_unwatch,
        .check_apply = mount_check_apply,
        .cancel = mount_cancel,
        .uids = mount_uids,
};
