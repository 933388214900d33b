/* SPDX-License-Identifier: GPL-3.0-or-later */

/* virt:builder: a disk image, made once by libguestfs's virt-builder and left alone from then on. It is an image of this host, so it
 * is the engine that makes it.
 *
 * Whether it is there is all that is looked at, so it must never be there in part: it is built beside its place (image-place.h),
 * brought to the disk, and renamed. virt-builder itself is installed if need be, by a pkg of ours that is in no graph. */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "common/io.h"
#include "common/resource.h"
#include "common/sd/child.h"
#include "common/sd/path-watch.h"
#include "daemons/engine/local-host.h"
#include "daemons/engine/kinds/file-wants.h"
#include "daemons/engine/kinds/image-place.h"
#include "daemons/engine/kinds/virt-builder.h"

enum {
        OUTPUT_MAX = 4 * 1024 * 1024,           /* of what virt-builder says; the rest is dropped */
        GRACE_USEC = 2 * 1000 * 1000,           /* after SIGTERM, before SIGKILL */
        LOGS_MAX = 8,                           /* how many are kept */
};

extern const ResourceType pkg_type;

typedef struct VirtBuilder {
        Resource resource;
        char *output, *os_version, *arch, *hostname, *format;
        int64_t size;
        char **packages;
        bool update, selinux_relabel, no_setup;
        Value ssh_keys;
        bool root_ssh_inject;
        char *root_password_selector;
        bool bootstrap;
        char **seeds, **mkdir;
        Value copy_in;
        char **run_cmd, **firstboot_cmd;
        bool log_output, tweaks;

        PathWatch *watch, *program_watch;
        Child *child;
        ImagePlace place;               /* while it is made */
        uint64_t started_nsec;
        ResourceHost setup_host;        /* of the package */
        Resource *setup;                /* while it is being installed */
        bool was_set_up;
} VirtBuilder;

static const FieldSpec virt_builder_fields[] = {
        FIELD(VirtBuilder, output, FIELD_STR, FIELD_IS_NAME,
              "Absolute path of the image. If it exists, nothing is done. Its directory must not be one in which others may exchange files."),
        FIELD(VirtBuilder, os_version, FIELD_STR, FIELD_REQUIRED, "The template, such as debian-12 (virt-builder --list shows them)."),
        FIELD(VirtBuilder, arch, FIELD_STR, 0, "Architecture of the template, such as x86_64; empty: that of this host."),
        FIELD(VirtBuilder, hostname, FIELD_STR, 0, "Name of the host that it is of; empty: as in the template."),
        FIELD(VirtBuilder, format, FIELD_STR, 0, "raw or qcow2; empty: raw."),
        FIELD(VirtBuilder, size, FIELD_INT64, 0, "Its size in bytes; 0: as the template."),
        FIELD(VirtBuilder, packages, FIELD_STRV, 0, "Packages to install in it."),
        FIELD(VirtBuilder, update, FIELD_BOOL, 0, "Bring its packages up to date.", .initial = "true"),
        FIELD(VirtBuilder, selinux_relabel, FIELD_BOOL, 0, "Have its files labelled for SELinux.", .initial = "true"),
        FIELD(VirtBuilder, no_setup, FIELD_BOOL, 0, "Wait for virt-builder, rather than install it."),
        FIELD(VirtBuilder, ssh_keys, FIELD_VALUE, 0, "Keys that may log in; the user is root unless said otherwise.",
              .mcl_type = "[]struct{user str; type str; key str; comment str}"),
        FIELD(VirtBuilder, root_ssh_inject, FIELD_BOOL, 0, "The public key of this host's root may log in as root, if there is one.",
              .initial = "true"),
        FIELD(VirtBuilder, root_password_selector, FIELD_STR, 0,
              "Root's password, as virt-builder's --root-password takes it: disabled, locked:disabled, file:PATH and so on; empty: one "
              "by chance, which is in the log.",
              .initial = "\"disabled\""),
        FIELD(VirtBuilder, bootstrap, FIELD_BOOL, 0, "Put mgmt into it, with what it needs, to be started when it boots.", .initial = "true"),
        FIELD(VirtBuilder, seeds, FIELD_STRV, 0,
              "With bootstrap: URLs of members of an etcd cluster, such as http://10.0.0.1:2379: where its mgmt-world keeps what "
              "hosts share."),
        FIELD(VirtBuilder, mkdir, FIELD_STRV, 0, "Directories to make in it; absolute, with a slash at the end."),
        FIELD(VirtBuilder, copy_in, FIELD_VALUE, 0,
              "Files and directories of this host to copy into it, and into which directory there, with a slash at the end.",
              .mcl_type = "[]struct{path str; dest str}"),
        FIELD(VirtBuilder, run_cmd, FIELD_STRV, 0, "Commands to run in it before it is done."),
        FIELD(VirtBuilder, firstboot_cmd, FIELD_STRV, 0, "Commands that it runs when it boots for the first time."),
        FIELD(VirtBuilder, log_output, FIELD_BOOL, 0, "Keep what virt-builder says, in a file that only root can read.", .initial = "true"),
        FIELD(VirtBuilder, tweaks, FIELD_BOOL, 0,
              "On Debian and Fedora, install the guest agent of QEMU; on Debian, keep an update from asking where to install grub.",
              .initial = "true"),
        {}
};

/* ---- validate ---- */

static int check_each(const Resource *r, const char *field, char *const *list, const char *refused, Diag *reterr) {
        for (char *const *s = list; s && *s; s++)
                if (!**s || strpbrk(*s, refused))
                        return resource_error(r, reterr, -EINVAL, "%s must have no element that is empty%s, got '%s'", field,
                                              *refused ? " or has blanks, commas or newlines" : "", *s);
        return 0;
}

/* As mgmt-world takes it, and as a line of its configuration holds it. */
static int check_seeds(const Resource *r, char *const *list, Diag *reterr) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:[]%";

        for (char *const *s = list; s && *s; s++) {
                const char *host = startswith(*s, "http://") ?: startswith(*s, "https://");
                size_t n = host ? strspn(host, letters) : 0;

                if (n == 0 || host[n + strspn(host + n, "/")])
                        return resource_error(r, reterr, -EINVAL, "seeds must be of the form http://HOST:PORT, got '%s'", *s);
        }
        return 0;
}

static bool is_absolute_folder(const char *s) {
        return s[0] == '/' && endswith(s, "/") && !strchr(s, ':');
}

static const char *text_in(Value item, const char *name) {
        const Value *v = value_struct_get(item, name);

        return v && v->kind == TYPE_STR ? value_cstr(*v) : "";
}

static int check_keys(const VirtBuilder *v, Diag *reterr) {
        static const char *const parts[] = { "user", "type", "key", "comment" };
        const Resource *r = &v->resource;

        for (uint32_t i = 0; v->ssh_keys.kind == TYPE_LIST && i < v->ssh_keys.l->n; i++) {
                Value key = v->ssh_keys.l->items[i];

                for (size_t k = 0; k < ELEMENTSOF(parts); k++) {
                        const char *text = text_in(key, parts[k]);
                        bool needed = k == 1 || k == 2;

                        if (strpbrk(text, " \t\r\n\v\f") || (k == 0 && strchr(text, ':')) || (needed && !text[0]))
                                return resource_error(r, reterr, -EINVAL, "%s of ssh_keys must be one word, got '%s'", parts[k], text);
                }
        }
        return 0;
}

static int check_copies(const VirtBuilder *v, Diag *reterr) {
        const Resource *r = &v->resource;

        for (uint32_t i = 0; v->copy_in.kind == TYPE_LIST && i < v->copy_in.l->n; i++) {
                const char *path = text_in(v->copy_in.l->items[i], "path"), *dest = text_in(v->copy_in.l->items[i], "dest");

                if (path[0] != '/' || strchr(path, ':'))
                        return resource_error(r, reterr, -EINVAL, "path of copy_in must be absolute and without ':', got '%s'", path);
                if (!is_absolute_folder(dest))
                        return resource_error(r, reterr, -EINVAL,
                                              "dest of copy_in must be absolute, without ':', and end with '/', got '%s'", dest);
        }
        return 0;
}

static int virt_builder_validate(const Resource *r, Diag *reterr) {
        const VirtBuilder *v = (const VirtBuilder *) r;
        int k;

        if (v->output[0] != '/' || endswith(v->output, "/"))
                return resource_error(r, reterr, -EINVAL, "output must be the absolute path of a file, got '%s'", v->output);
        if (!v->os_version[0] || v->os_version[0] == '-')
                return resource_error(r, reterr, -EINVAL, "os_version must name a template, such as debian-12, got '%s'", v->os_version);
        if (v->format[0] && !streq(v->format, "raw") && !streq(v->format, "qcow2"))
                return resource_error(r, reterr, -EINVAL, "format must be raw, qcow2 or empty, got '%s'", v->format);
        if (v->size < 0)
                return resource_error(r, reterr, -EINVAL, "size must not be negative, got '%" PRIi64 "'", v->size);
        if (v->bootstrap && !image_can_bootstrap(v->os_version))
                return resource_error(r, reterr, -EINVAL,
                                      "bootstrap is not possible for '%s': which packages mgmt needs there is not known",
                                      v->os_version);
        k = check_each(r, "packages", v->packages, ", \t\r\n", reterr);
        if (k >= 0)
                k = check_seeds(r, v->seeds, reterr);
        if (k >= 0)
                k = check_each(r, "run_cmd", v->run_cmd, "", reterr);
        if (k >= 0)
                k = check_each(r, "firstboot_cmd", v->firstboot_cmd, "", reterr);
        if (k >= 0)
                k = check_keys(v, reterr);
        for (char **s = v->mkdir; k >= 0 && s && *s; s++)
                if (!is_absolute_folder(*s))
                        return resource_error(r, reterr, -EINVAL, "mkdir must be absolute, without ':', and end with '/', got '%s'", *s);
        return k < 0 ? k : check_copies(v, reterr);
}

/* ---- what it says ---- */

static int keep_log(const VirtBuilder *v, const ChildResult *result) {
        _cleanup_free_ char *dir = NULL, *path = NULL;
        struct dirent **list = NULL;
        int r, n;

        r = resource_state_dir(&v->resource, &dir);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s%020" PRIu64 ".log", dir, v->started_nsec) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = write_file_atomic_at(AT_FDCWD, path, result->output.data ? result->output.data : "", result->output.size, 0600, false);
        n = scandir(dir, &list, NULL, alphasort);
        for (int i = 0, logs = n; i < n; i++) {
                _cleanup_free_ char *old = NULL;

                if (endswith(list[i]->d_name, ".log") && logs-- > LOGS_MAX + 2 && asprintf(&old, "%s%s", dir, list[i]->d_name) >= 0)
                        (void) unlink(old);
                free(list[i]);
        }
        free(list);
        return r;
}

/* ---- running it ---- */

static int finish(VirtBuilder *v, Diag *reterr) {
        int r = image_place_put(&v->place, &v->resource, v->output, reterr);

        return r < 0 ? r : CHECK_CHANGED;
}

static int failed(const VirtBuilder *v, const char *program, const ChildResult *result, Diag *reterr) {
        const char *text = result->output.data ? result->output.data : "";
        size_t size = result->output.data ? result->output.size : 0;

        while (size > 0 && text[size - 1] == '\n')
                size--;
        const char *line = size > 0 ? memrchr(text, '\n', size) : NULL;
        line = line ? line + 1 : text;
        int length = (int) MIN(size - (size_t) (line - text), (size_t) 500);
        if (result->signal)
                return resource_error(&v->resource, reterr, -EPROTO, "%s was ended by signal %d", program, result->signal);
        return resource_error(&v->resource, reterr, -EPROTO, "%s failed with status %d%s%.*s", program, result->status,
                              length > 0 ? ": " : "", length, line);
}

static void ended(VirtBuilder *v, int result, Diag *diag) {
        if (result == CHECK_PENDING)
                return;
        image_place_done(&v->place);
        resource_finish(&v->resource, result, diag);
}

static int start(VirtBuilder *v, char *const *argv, child_callback_t callback, Diag *reterr) {
        const struct passwd *p = getpwuid(geteuid());
        _cleanup_free_ char *home = NULL;
        _cleanup_free_ char **env = NULL;
        size_t n = 0;

        for (char **e = environ; *e; e++)
                n++;
        env = calloc(n + 2, sizeof(*env));
        if (!env || asprintf(&home, "HOME=%s", p ? p->pw_dir : "/root") < 0) {
                home = NULL;
                return -ENOMEM;
        }
        n = 0;
        for (char **e = environ; *e; e++)
                if (!startswith(*e, "HOME="))
                        env[n++] = *e;
        env[n] = home;
        return child_start(&v->child, v->resource.host->event,
                           &(ChildSpec) { .argv = argv, .env = env, .cwd = "/", .uid = (uid_t) -1, .gid = (gid_t) -1,
                                          .output_max = OUTPUT_MAX, .whole_group = true },
                           callback, v, reterr);
}

static void on_flushed(Child *c, ChildResult *result, void *userdata) {
        VirtBuilder *v = userdata;
        _cleanup_(child_freep) _unused_ Child *done = TAKE_PTR(v->child);
        _cleanup_(diag_done) Diag diag = {};

        ended(v, result->status != 0 || result->signal ? failed(v, "sync", result, &diag) : finish(v, &diag), &diag);
}

static int flush(VirtBuilder *v, Diag *reterr) {
        char *const argv[] = { (char *) "sync", v->place.path, NULL };
        _cleanup_(diag_done) Diag diag = {};
        int r = start(v, argv, on_flushed, &diag);

        return r < 0 ? resource_error(&v->resource, reterr, r, "sync: %s", diag.message ? diag.message : "cannot be started") :
                       CHECK_PENDING;
}

static void on_built(Child *c, ChildResult *result, void *userdata) {
        VirtBuilder *v = userdata;
        _cleanup_(child_freep) _unused_ Child *done = TAKE_PTR(v->child);
        _cleanup_(diag_done) Diag diag = {};
        int r = v->log_output ? keep_log(v, result) : 0;

        if (r < 0)
                resource_log(&v->resource, LOG_WARNING, "cannot keep what virt-builder has said: %s, ignoring", strerror(-r));
        ended(v, result->status != 0 || result->signal ? failed(v, "virt-builder", result, &diag) : flush(v, &diag), &diag);
}

/* virt-builder fails where it is told to take a key and there is none. */
static bool root_has_key(void) {
        const struct passwd *p = getpwuid(geteuid());
        _cleanup_free_ char *folder = NULL;
        bool found = false;

        if (asprintf(&folder, "%s/.ssh", p ? p->pw_dir : "/root") < 0) {
                folder = NULL;
                return false;
        }
        DIR *d = opendir(folder);
        for (struct dirent *e; d && !found && (e = readdir(d));)
                found = startswith(e->d_name, "id") && endswith(e->d_name, ".pub");
        if (d)
                (void) closedir(d);
        return found;
}

static ImageSpec spec_of(const VirtBuilder *v) {
        return (ImageSpec) {
                .output = v->place.path,
                .os_version = v->os_version,
                .arch = v->arch[0] ? v->arch : image_host_arch(),
                .hostname = v->hostname,
                .format = v->format,
                .size = v->size,
                .packages = v->packages,
                .update = v->update,
                .selinux_relabel = v->selinux_relabel,
                .root_ssh_inject = v->root_ssh_inject && root_has_key(),
                .bootstrap = v->bootstrap,
                .tweaks = v->tweaks,
                .ssh_keys = v->ssh_keys,
                .root_password_selector = v->root_password_selector,
                .seeds = v->seeds,
                .mkdir = v->mkdir,
                .run_cmd = v->run_cmd,
                .firstboot_cmd = v->firstboot_cmd,
                .copy_in = v->copy_in,
        };
}

static uint64_t now_nsec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
}

static int set_up(VirtBuilder *v, Diag *reterr);

static int build(VirtBuilder *v, Diag *reterr) {
        _cleanup_(strv_freep) char **argv = NULL;
        _cleanup_(diag_done) Diag diag = {};
        int r;

        v->started_nsec = now_nsec();
        r = image_place_open(&v->place, &v->resource, v->output, reterr);
        if (r < 0)
                return r;
        ImageSpec spec = spec_of(v);
        r = image_argv(&spec, &argv);
        if (r >= 0)
                r = start(v, argv, on_built, &diag);
        if (r == -ENOENT)
                return set_up(v, reterr);
        return r < 0 ? resource_error(&v->resource, reterr, r, "virt-builder: %s", diag.message ? diag.message : "cannot be started") :
                       CHECK_PENDING;
}

/* ---- setting it up ---- */

static VirtBuilder *builder_of(const Resource *setup) {
        return container_of(setup->host, VirtBuilder, setup_host);
}

static void setup_ignore(Resource *r) {
}

static void setup_watch_failed(Resource *r, int error, Diag *diag) {
}

static void setup_waiting(Resource *r, const char *reason) {
        (void) resource_waiting(&builder_of(r)->resource, reason);
}

static void setup_differs(Resource *r, Difference *d) {
        difference_done(d);
}

static void setup_log(Resource *r, int priority, const char *text) {
        resource_log(&builder_of(r)->resource, priority, "%s", text);
}

static bool setup_refresh(const Resource *r) {
        return false;
}

static int after_setup(VirtBuilder *v, int result, Diag *diag, Diag *reterr) {
        if (result == -EAGAIN)
                return result;
        if (result < 0)
                return resource_error(&v->resource, reterr, result, "cannot install virt-builder: %s",
                                      diag->message ? diag->message : strerror(-result));
        v->was_set_up = true;
        return build(v, reterr);
}

static void setup_finished(Resource *r, int result, Diag *reason) {
        VirtBuilder *v = builder_of(r);
        _cleanup_(diag_done) Diag diag = {}, why = {};

        if (reason)
                diag_move(&why, reason);
        result = after_setup(v, result, &why, &diag);
        ended(v, result, &diag);
}

/* What this host calls the package; NULL where that is not known. */
static const char *setup_package(void) {
        static const struct {
                const char *id, *package;
        } names[] = {
                { "debian", "guestfs-tools" }, { "ubuntu", "guestfs-tools" }, { "fedora", "guestfs-tools" },
                { "rhel", "guestfs-tools" }, { "centos", "guestfs-tools" }, { "arch", "guestfs-tools" },
        };
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (read_file_at(AT_FDCWD, "/etc/os-release", 64 * 1024, &text, &size) < 0)
                return NULL;
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                const char *ids = startswith(line, "ID=") ?: startswith(line, "ID_LIKE=");

                for (size_t i = 0; ids && i < ELEMENTSOF(names); i++)
                        if (strstr(ids, names[i].id))
                                return names[i].package;
        }
        return NULL;
}

static int new_setup(VirtBuilder *v, const char *package) {
        const ResourceHost *host = v->resource.host;

        v->setup_host = (ResourceHost) {
                .event = host->event,
                .manager = host->manager,
                .hostname = host->hostname,
                .state_dir = host->state_dir,
                .changed = setup_ignore,
                .armed = setup_ignore,
                .watch_failed = setup_watch_failed,
                .finished = setup_finished,
                .waiting = setup_waiting,
                .refresh = setup_refresh,
                .differs = setup_differs,
                .log = setup_log,
        };
        v->setup = resource_free(v->setup);
        int r = resource_new(&v->setup, &pkg_type, &v->setup_host, package, v->resource.pos);
        if (r >= 0)
                v->setup->applies = true;
        return r;
}

static int set_up(VirtBuilder *v, Diag *reterr) {
        const char *package = v->no_setup || v->was_set_up ? NULL : setup_package();
        _cleanup_(diag_done) Diag diag = {};
        int r;

        if (!package) {
                if (!v->program_watch)
                        (void) local_host_watch(&v->resource, "/usr/bin/virt-builder", 0, &v->program_watch, NULL);
                return resource_waiting(&v->resource, "there is no virt-builder yet (guestfs-tools)");
        }
        r = new_setup(v, package);
        if (r < 0)
                return r;
        r = pkg_type.check_apply(v->setup, true, &diag);
        return r == CHECK_PENDING ? r : after_setup(v, r, &diag, reterr);
}

/* ---- the hooks ---- */

static int virt_builder_check_apply(Resource *r, bool apply, Diag *reterr) {
        VirtBuilder *v = (VirtBuilder *) r;
        struct stat st;
        int k;

        if (lstat(v->output, &st) >= 0)
                return CHECK_OK;
        if (errno != ENOENT)
                return resource_error(r, reterr, -errno, "cannot look for '%s': %m", v->output);
        resource_differs(r, "output", "absent", v->os_version);
        if (!apply)
                return CHECK_CHANGED;
        v->was_set_up = false;
        k = build(v, reterr);
        if (k != CHECK_PENDING)
                image_place_done(&v->place);
        return k;
}

static void virt_builder_cancel(Resource *r) {
        VirtBuilder *v = (VirtBuilder *) r;

        if (v->setup)
                pkg_type.cancel(v->setup);
        v->setup = resource_free(v->setup);
        v->child = child_release(v->child, SIGTERM, GRACE_USEC);
        image_place_done(&v->place);
}

static int virt_builder_init(Resource *r) {
        ((VirtBuilder *) r)->place = (ImagePlace) IMAGE_PLACE_INIT;
        return 0;
}

static int virt_builder_watch(Resource *r, Diag *reterr) {
        VirtBuilder *v = (VirtBuilder *) r;
        int k = local_host_watch(r, v->output, 0, &v->watch, reterr);

        if (k < 0)
                return k;
        resource_armed(r);
        return 0;
}

static void virt_builder_unwatch(Resource *r) {
        VirtBuilder *v = (VirtBuilder *) r;

        v->watch = path_watch_free(v->watch);
        v->program_watch = path_watch_free(v->program_watch);
}

static void virt_builder_done(Resource *r) {
        virt_builder_cancel(r);
        virt_builder_unwatch(r);
}

static int virt_builder_uids(const Resource *r, ResourceUids *ret) {
        return resource_uids_add(ret, "file", ((const VirtBuilder *) r)->output, false);
}

/* The program, if it is of this program; what is copied; and where the image goes. */
static int virt_builder_wants(const Resource *r, unsigned batch, ResourceUids *ret) {
        const VirtBuilder *v = (const VirtBuilder *) r;
        int k;

        if (batch > 0)
                return file_path_wants_above(v->output, batch - 1, ret);
        ret->go_on = true;
        k = resource_uids_add(ret, "package-file", "/usr/bin/virt-builder", false);
        for (uint32_t i = 0; k >= 0 && v->copy_in.kind == TYPE_LIST && i < v->copy_in.l->n; i++)
                k = resource_uids_add(ret, "file", text_in(v->copy_in.l->items[i], "path"), false);
        return k;
}

const ResourceType virt_builder_type = {
        .kind = "virt:builder",
        .doc = "A disk image for a machine, made by virt-builder of libguestfs. It is made if there is none, and left alone from then on.",
        .example = "virt:builder \"/var/lib/libvirt/images/web1.qcow2\" {\n"
                   "\tos_version => \"debian-12\",\n"
                   "\thostname => \"web1\",\n"
                   "\tformat => \"qcow2\",\n"
                   "\tpackages => [\"nginx\"],\n"
                   "}\n",
        .size = sizeof(VirtBuilder),
        .fields = virt_builder_fields,
        .init = virt_builder_init,
        .done = virt_builder_done,
        .validate = virt_builder_validate,
        .watch = virt_builder_watch,
        .unwatch = virt_builder_unwatch,
        .check_apply = virt_builder_check_apply,
        .cancel = virt_builder_cancel,
        .uids = virt_builder_uids,
        .wants = virt_builder_wants,
        .first_match_ends = true,
};
