/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "common/field.h"
#include "common/macro.h"
#include "common/strbuf.h"
#include "daemons/engine/kinds/virt-builder.h"

/* What the programs of mgmt are linked with, and a bus. */
#define DEBIAN_PACKAGES \
        "dbus,libarchive13,libaugeas0,libcurl4,libexpat1,libgnutls30,libjson-c5,libmicrohttpd12,libsodium23,libsqlite3-0,libssh-4," \
        "libvirt0,libxml2,libzmq5,zlib1g"
#define FEDORA_PACKAGES \
        "dbus,augeas-libs,expat,gnutls,json-c,libarchive,libcurl,libmicrohttpd,libsodium,libssh,libvirt-libs,libxml2," \
        "sqlite-libs,zeromq,zlib"

/* What of the distribution mgmt needs to run in the guest. */
static const struct {
        const char *distro, *packages;
} bootstrap_packages[] = {
        { "centosstream", FEDORA_PACKAGES },
        { "debian", DEBIAN_PACKAGES },
        { "fedora", FEDORA_PACKAGES },
        { "ubuntu", DEBIAN_PACKAGES },
};

enum { IMAGE_DISTRO_MAX = 32 };

/* The distribution of "debian-12": "debian". */
static void image_distro(const char *os_version, char ret[static IMAGE_DISTRO_MAX]) {
        (void) snprintf(ret, IMAGE_DISTRO_MAX, "%.*s", (int) strcspn(os_version, "-"), os_version);
}

static const char *packages_of(const char *os_version) {
        char distro[IMAGE_DISTRO_MAX];

        image_distro(os_version, distro);
        for (size_t i = 0; i < ELEMENTSOF(bootstrap_packages); i++)
                if (streq(bootstrap_packages[i].distro, distro))
                        return bootstrap_packages[i].packages;
        return NULL;
}

bool image_can_bootstrap(const char *os_version) {
        return packages_of(os_version) != NULL;
}

const char *image_host_arch(void) {
        static const struct {
                const char *machine, *arch;
        } names[] = {
                { "aarch64", "aarch64" }, { "armv7l", "armv7l" }, { "i386", "i686" }, { "i486", "i686" }, { "i586", "i686" },
                { "i686", "i686" }, { "ppc64", "ppc64" }, { "ppc64le", "ppc64le" }, { "s390x", "s390x" }, { "x86_64", "x86_64" },
        };
        struct utsname u;

        if (uname(&u) < 0)
                return "";
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i].machine, u.machine))
                        return names[i].arch;
        return "";
}

/* ---- the list ---- */

typedef struct Argv {
        char **items;
        size_t n, capacity;
        int error;              /* the first failure sticks */
} Argv;

static void add(Argv *a, const char *format, ...) _printf_(2, 3);
static void add(Argv *a, const char *format, ...) {
        char *text = NULL;
        va_list ap;
        int r;

        if (a->error < 0)
                return;
        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r >= 0 && GROW(a->items, a->n + 1, a->capacity) >= 0) {
                a->items[a->n++] = text;
                a->items[a->n] = NULL;
                return;
        }
        if (r >= 0)
                free(text);
        a->error = -ENOMEM;
}

static void add_option(Argv *a, const char *option, const char *value) {
        if (!value[0])
                return;
        add(a, "%s", option);
        add(a, "%s", value);
}

static void add_each(Argv *a, const char *option, char *const *list) {
        for (char *const *item = list; item && *item; item++)
                add_option(a, option, *item);
}

static const char *text_in(Value item, const char *name) {
        const Value *v = value_struct_get(item, name);

        return v && v->kind == TYPE_STR ? value_cstr(*v) : "";
}

/* ---- its parts ---- */

static void add_packages(Argv *a, const ImageSpec *s, bool agent) {
        StrBuf list = {};
        const char *own = s->bootstrap ? packages_of(s->os_version) : "";

        for (char **p = s->packages; p && *p; p++)
                strbuf_printf(&list, "%s%s", list.size > 0 ? "," : "", *p);
        if (own && *own)
                strbuf_printf(&list, "%s%s", list.size > 0 ? "," : "", own);
        if (agent)
                strbuf_printf(&list, "%s%s", list.size > 0 ? "," : "", "qemu-guest-agent");
        _cleanup_free_ char *text = strbuf_take(&list);
        if (!own)
                a->error = -EOPNOTSUPP;
        else if (!text)
                a->error = -ENOMEM;
        else
                add_option(a, "--install", text);
}

static void add_key(Argv *a, Value key) {
        const char *user = text_in(key, "user"), *comment = text_in(key, "comment");

        add(a, "--ssh-inject");
        add(a, "%s:string:%s %s%s%s", user[0] ? user : "root", text_in(key, "type"), text_in(key, "key"), comment[0] ? " " : "", comment);
}

static void add_copy(Argv *a, const char *path, const char *folder) {
        add(a, "--copy-in");
        add(a, "%s:%s", path, folder);
}

/* The guest keeps what hosts share where the cluster of these does. */
static void add_store(Argv *a, char *const *seeds) {
        StrBuf list = {};

        for (char *const *seed = seeds; *seed; seed++)
                strbuf_printf(&list, "%s%s", list.size > 0 ? "," : "", *seed);
        _cleanup_free_ char *text = strbuf_take(&list);
        add_option(a, "--mkdir", "/etc/mgmt");
        add(a, "--write");
        add(a, "/etc/mgmt/world.conf:MGMT_STORE=etcd:%s\n", text ? text : "");
        if (!text)
                a->error = -ENOMEM;
}

/* What meson installs, from where it stands here to the same place there. */
static void add_bootstrap(Argv *a, const ImageSpec *s) {
        static const char *const daemons[] = { "engine", "http", "lang", "virt", "world" };
        static const char *const folders[] = {
                MGMT_PREFIX "/bin", MGMT_PREFIX "/lib", MGMT_PREFIX "/share", MGMT_UNIT_DIR, MGMT_PREFIX "/lib/sysusers.d",
                MGMT_PREFIX "/lib/tmpfiles.d", MGMT_POLICY_DIR, MGMT_POLKIT_DIR, MGMT_PREFIX "/share/dbus-1/system-services",
        };

        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
                add_option(a, "--mkdir", folders[i]);
        add_copy(a, MGMT_PREFIX "/bin/mgmtctl", MGMT_PREFIX "/bin");
        add_copy(a, MGMT_DAEMON_DIR, MGMT_PREFIX "/lib");
        add_copy(a, MGMT_DATA_DIR, MGMT_PREFIX "/share");
        add_copy(a, MGMT_UNIT_DIR "/mgmt.target", MGMT_UNIT_DIR);
        add_copy(a, MGMT_POLKIT_DIR "/50-org.mgmt.virt1.rules", MGMT_POLKIT_DIR);
        add_copy(a, MGMT_PREFIX "/lib/sysusers.d/mgmt.conf", MGMT_PREFIX "/lib/sysusers.d");
        add_copy(a, MGMT_PREFIX "/lib/tmpfiles.d/mgmt.conf", MGMT_PREFIX "/lib/tmpfiles.d");
        for (size_t i = 0; i < ELEMENTSOF(daemons) && a->error == 0; i++) {
                static const struct {
                        const char *before, *after, *folder;
                } files[] = {
                        { MGMT_UNIT_DIR "/mgmt-", ".service", MGMT_UNIT_DIR },
                        { MGMT_UNIT_DIR "/mgmt-", ".socket", MGMT_UNIT_DIR },
                        { MGMT_POLICY_DIR "/org.mgmt.", "1.conf", MGMT_POLICY_DIR },
                        { MGMT_PREFIX "/share/dbus-1/system-services/org.mgmt.", "1.service", MGMT_PREFIX "/share/dbus-1/system-services" },
                };

                for (size_t k = 0; k < ELEMENTSOF(files); k++) {
                        add(a, "--copy-in");
                        add(a, "%s%s%s:%s", files[k].before, daemons[i], files[k].after, files[k].folder);
                }
        }
        if (s->seeds && *s->seeds)
                add_store(a, s->seeds);
        add_option(a, "--run-command", "systemd-sysusers && systemctl enable mgmt.target");
}

/* ---- all of it ---- */

static void add_all(Argv *a, const ImageSpec *s) {
        char distro[IMAGE_DISTRO_MAX];

        image_distro(s->os_version, distro);
        bool debian = streq(distro, "debian"), agent = s->tweaks && (debian || streq(distro, "fedora"));
        bool grub = s->tweaks && debian && s->update;   /* its update asks where to install it, and nobody is there to answer */

        add(a, "virt-builder");
        add(a, "%s", s->os_version);
        add_option(a, "--output", s->output);
        add_option(a, "--arch", s->arch);
        add_option(a, "--hostname", s->hostname);
        add_option(a, "--format", s->format);
        if (s->size > 0) {
                add(a, "--size");
                add(a, "%" PRIi64 "b", s->size);
        }
        add_packages(a, s, agent);
        if (agent)
                add_option(a, "--run-command", "systemctl enable qemu-guest-agent.service");
        if (grub)
                add_option(a, "--run-command", "apt-mark hold grub-pc");
        if (s->update)
                add(a, "--update");
        if (grub)
                add_option(a, "--firstboot-command", "apt-mark unhold grub-pc");
        if (s->selinux_relabel)
                add(a, "--selinux-relabel");
        for (uint32_t i = 0; s->ssh_keys.kind == TYPE_LIST && i < s->ssh_keys.l->n; i++)
                add_key(a, s->ssh_keys.l->items[i]);
        if (s->root_ssh_inject)
                add_option(a, "--ssh-inject", "root");
        add_option(a, "--root-password", s->root_password_selector);
        if (s->bootstrap)
                add_bootstrap(a, s);
        add_each(a, "--mkdir", s->mkdir);
        for (uint32_t i = 0; s->copy_in.kind == TYPE_LIST && i < s->copy_in.l->n; i++)
                add_copy(a, text_in(s->copy_in.l->items[i], "path"), text_in(s->copy_in.l->items[i], "dest"));
        add_each(a, "--run-command", s->run_cmd);
        add_each(a, "--firstboot-command", s->firstboot_cmd);
}

int image_argv(const ImageSpec *s, char ***ret) {
        Argv a = {};

        add_all(&a, s);
        if (a.error < 0) {
                strv_free(a.items);
                return a.error;
        }
        *ret = a.items;
        return 0;
}
