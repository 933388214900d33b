/* SPDX-License-Identifier: GPL-3.0-or-later */

/* dpkg's lists are files of its own, but of a format that has not changed in thirty years, and read in a moment; PackageKit needs a
 * transaction for it, and autoedge cannot wait. */

#include <fcntl.h>
#include <sys/utsname.h>

#include "common/io.h"
#include "daemons/engine/kinds/package-files.h"

#define DPKG_INFO "/var/lib/dpkg/info"

enum { LIST_MAX = 16 * 1024 * 1024 };

/* What nobody manages or runs, and there is much of it. */
static const char *const uninteresting[] = {
        "/lib/modules/", "/usr/include/", "/usr/lib/modules/", "/usr/lib/python3/", "/usr/share/doc/", "/usr/share/icons/",
        "/usr/share/info/", "/usr/share/lintian/", "/usr/share/locale/", "/usr/share/man/", "/usr/src/",
};

static bool is_interesting(const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(uninteresting); i++)
                if (startswith(path, uninteresting[i]))
                        return false;
        return *path == '/' && !streq(path, "/.");
}

/* "/etc", "/usr/bin": everybody has them. */
static bool is_common_directory(const char *path) {
        unsigned n = 0;

        for (const char *p = path; *p; p++)
                n += *p == '/';
        return n == 1 || (n == 2 && (startswith(path, "/usr/") || startswith(path, "/var/")));
}

static int add_service(const char *path, ResourceUids *ret) {
        const char *name = startswith(path, "/usr/lib/systemd/system/");

        if (!name)
                name = startswith(path, "/lib/systemd/system/");
        if (!name || strchr(name, '/') || !endswith(name, ".service"))
                return 0;
        _cleanup_free_ char *key = strndup(name, strlen(name) - strlen(".service"));
        return key ? resource_uids_add(ret, "svc", key, true) : -ENOMEM;
}

static int add_path(const char *path, bool directory, PackageFilesUse use, ResourceUids *ret) {
        _cleanup_free_ char *key = NULL;
        int r;

        if (use == PACKAGE_FILES_OFFERED)
                return directory ? 0 : resource_uids_add(ret, "package-file", path, false);
        if (directory && is_common_directory(path))
                return 0;
        r = directory ? 0 : add_service(path, ret);
        if (r < 0)
                return r;
        if (asprintf(&key, "%s%s", path, directory ? "/" : "") < 0) {
                key = NULL;
                return -ENOMEM;
        }
        return resource_uids_add(ret, "file", key, true);
}

/* Where /bin is a link to /usr/bin, both are the same, and packages use either. */
static int add_other_path(const char *path, bool directory, PackageFilesUse use, ResourceUids *ret) {
        static const char *const merged[] = { "/bin/", "/lib/", "/sbin/" };
        const char *usr = startswith(path, "/usr");
        const char *bare = usr ? usr : path;
        _cleanup_free_ char *other = NULL;

        for (size_t i = 0; i < ELEMENTSOF(merged); i++) {
                if (!startswith(bare, merged[i]))
                        continue;
                if (usr)
                        return add_path(bare, directory, use, ret);
                if (asprintf(&other, "/usr%s", path) < 0) {
                        other = NULL;
                        return -ENOMEM;
                }
                return add_path(other, directory, use, ret);
        }
        return 0;
}

int package_files_add_list(char *list, PackageFilesUse use, ResourceUids *ret) {
        char *path, *next = strsep(&list, "\n");
        int r = 0;

        while ((path = next) && r >= 0) {
                next = strsep(&list, "\n");
                const char *below = next ? startswith(next, path) : NULL;
                bool directory = below && *below == '/';
                if (!is_interesting(path))
                        continue;
                r = add_path(path, directory, use, ret);
                if (r >= 0)
                        r = add_other_path(path, directory, use, ret);
        }
        return r;
}

/* dpkg's name of our architecture, which is in the name of a list if the package may be installed for several. */
static const char *dpkg_architecture(void) {
        static const struct {
                const char *machine, *name;
        } table[] = {
                { "x86_64", "amd64" }, { "aarch64", "arm64" }, { "armv7l", "armhf" }, { "i686", "i386" },
                { "ppc64le", "ppc64el" }, { "riscv64", "riscv64" }, { "s390x", "s390x" },
        };
        struct utsname u;

        if (uname(&u) < 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(u.machine, table[i].machine))
                        return table[i].name;
        return NULL;
}

static int read_list(const char *package, const char *architecture, char **ret) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, DPKG_INFO "/%s%s%s.list", package, architecture ? ":" : "", architecture ? architecture : "") < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return read_file_at(AT_FDCWD, path, LIST_MAX, ret, NULL);
}

int package_files_add(const char *package, PackageFilesUse use, ResourceUids *ret) {
        const char *architecture = dpkg_architecture();
        _cleanup_free_ char *list = NULL;
        int r;

        if (strchr(package, '/'))
                return 0;
        r = read_list(package, NULL, &list);
        if (r == -ENOENT && architecture)
                r = read_list(package, architecture, &list);
        if (r == -ENOMEM)
                return r;
        return r < 0 ? 0 : package_files_add_list(list, use, ret);      /* a list that cannot be read gives no edges, that is all */
}
