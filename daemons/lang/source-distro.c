/* SPDX-License-Identifier: GPL-3.0-or-later */

/* os, the part that says what kind of machine this is, and with which distribution. */

#include <stdio.h>
#include <sys/stat.h>

#include "daemons/lang/host-file.h"
#include "daemons/lang/os-release.h"
#include "daemons/lang/sources.h"

/* ---- families of distributions ---- */

static const struct {
        const char *name, *file;
} families[] = {
        { "redhat", "/etc/redhat-release" },
        { "debian", "/etc/debian_version" },
        { "archlinux", "/etc/arch-release" },
};

/* Whether there is the file: 1, 0, or negative errno. */
static int there_is(const char *path, Diag *reterr) {
        struct stat st;

        if (stat(path, &st) >= 0)
                return 1;
        return errno == ENOENT || errno == ENOTDIR ? 0 : diag_set(reterr, (Pos) {}, -errno, "cannot look at '%s': %m", path);
}

static int family_open(Source *s, Diag *reterr) {
        const char *name = "";

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                int r = there_is(families[i].file, reterr);
                if (r < 0)
                        return r;
                if (r > 0) {
                        name = families[i].name;
                        break;
                }
        }
        source_set_text(s, name);
        return 0;
}

/* os.is_family_NAME */
static int is_family_open(Source *s, Diag *reterr) {
        const char *name = startswith(s->function, "os.is_family_");

        for (size_t i = 0; name && i < ELEMENTSOF(families); i++)
                if (streq(families[i].name, name)) {
                        int r = there_is(families[i].file, reterr);
                        if (r >= 0)
                                source_set(s, VALUE_BOOL(r));
                        return r;
                }
        return -EINVAL;
}

/* ---- os-release ---- */

static int release_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        _cleanup_(diag_done) Diag first = {};
        Value v = VALUE_NIL;
        int r = host_file_read("/etc/os-release", &text, NULL, &first);

        if (r < 0)
                r = host_file_read("/usr/lib/os-release", &text, NULL, NULL);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "ParseOSRelease failed: %s", first.message);
        r = os_release_parse(text, &v);
        source_result(s, r, v);
        return 0;
}

/* ---- whether the machine is one ---- */

static bool has_any(const char *text) {
        static const char *const vendors[] = {
                "Amazon EC2", "Apple Virtualization", "BHYVE", "Bochs", "Google Computer Engine", "Hyper-V", "innotek GmbH", "KubeVirt",
                "KVM", "OpenStack", "Oracle Corporation", "Parallels", "QEMU", "VMware", "Xen",
        };

        for (size_t i = 0; i < ELEMENTSOF(vendors); i++)
                if (strstr(text, vendors[i]))
                        return true;
        return false;
}

/* What the firmware says of the machine: 1, 0, or negative errno. */
static int firmware_is_virtual(Diag *reterr) {
        static const char *const names[] = { "product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(diag_done) Diag d = {};
                _cleanup_free_ char *text = NULL;
                char path[128];

                (void) snprintf(path, sizeof(path), "/sys/class/dmi/id/%s", names[i]);
                int r = host_file_read(path, &text, NULL, &d);
                if (r >= 0 && has_any(text))
                        return 1;
                if (r < 0 && r != -ENOENT)
                        return diag_set(reterr, (Pos) {}, r, "%s", d.message);
        }
        return 0;
}

static int is_virtual_open(Source *s, Diag *reterr) {
        _cleanup_(diag_done) Diag d = {};
        _cleanup_free_ char *text = NULL;
        int cpuinfo = host_file_read("/proc/cpuinfo", &text, NULL, &d), firmware = 0;

        bool hypervisor = cpuinfo >= 0 && strstr(text, "hypervisor");
        if (!hypervisor) {
                firmware = firmware_is_virtual(reterr);
                if (firmware < 0)
                        return firmware;
                if (firmware == 0 && cpuinfo < 0)
                        return diag_set(reterr, (Pos) {}, cpuinfo, "%s", d.message);
        }
        source_set(s, VALUE_BOOL(hypervisor || firmware > 0));
        return 0;
}

const SourceType distro_sources[] = {
        { .name = "os.family", .size = sizeof(Source), .open = family_open },
        { .name = "os.is_family_archlinux", .size = sizeof(Source), .open = is_family_open },
        { .name = "os.is_family_debian", .size = sizeof(Source), .open = is_family_open },
        { .name = "os.is_family_redhat", .size = sizeof(Source), .open = is_family_open },
        { .name = "os.is_virtual", .size = sizeof(Source), .open = is_virtual_open },
        { .name = "os.release", .size = sizeof(Source), .open = release_open },
        {}
};
