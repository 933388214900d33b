/* SPDX-License-Identifier: GPL-3.0-or-later */

/* deploy: files that came with the program. Names begin with a slash and are looked up from the directory of the module that says
 * them. None of these is computed early: what a program needs from its files it says when it runs. */

#include <errno.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/builtins.h"
#include "lang/lang.h"

enum { DEPLOY_PATH_MAX = 4096 };

/* Base and name as one path; what says how an error calls the name. */
static int below_base(const BuiltinCall *call, Value name, const char *what, char **ret, Diag *reterr) {
        const char *text = value_cstr(name);
        size_t base = strlen(call->base ?: "/"), size = name.s->size;

        if (text[0] != '/')
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s was not absolute, got: `%s`", what, text);
        if (strlen(text) != size || base + size >= DEPLOY_PATH_MAX)
                return diag_set(reterr, (Pos) {}, -EINVAL, "%s is not a name that a file can have", what);
        if (asprintf(ret, "%.*s%s", (int) (base - 1), call->base ?: "/", text) < 0)
                return -ENOMEM;
        return 0;
}

static int abspath(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_free_ char *path = NULL;

        if (args[0].s->size == 0)
                return value_strz(ret, call->base ?: "/");
        int r = below_base(call, args[0], "path", &path, reterr);
        return r < 0 ? r : value_strz(ret, path);
}

static int read_path(const BuiltinCall *call, const char *path, Value *ret) {
        const LangHost *host = call->host;
        _cleanup_free_ char *text = NULL;
        size_t size;

        int r = host->read_file(host->userdata, path, &text, &size);
        return r < 0 ? r : value_str(ret, text, size);
}

static int readfile(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        int r = below_base(call, args[0], "filename", &path, reterr);

        if (r < 0)
                return r;
        r = read_path(call, path, ret);
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "can't read file `%s` (%s): %m", value_cstr(args[0]), path) : 0;
}

static int readfileabs(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const char *path = value_cstr(args[0]);

        int r = strlen(path) == args[0].s->size && strlen(path) < DEPLOY_PATH_MAX ? read_path(call, path, ret) : -EINVAL;
        return r < 0 ? diag_set(reterr, (Pos) {}, r, "can't read file `%s`: %m", path) : 0;
}

static int file_exists(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(value_done) Value content = {};
        int r = below_base(call, args[0], "filename", &path, reterr);

        if (r < 0)
                return r;
        r = read_path(call, path, &content);
        if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EISDIR && r != -E2BIG && r != -EFBIG)
                return diag_set(reterr, (Pos) {}, r, "can't read file `%s` (%s): %m", value_cstr(args[0]), path);
        *ret = VALUE_BOOL(r != -ENOENT && r != -ENOTDIR);
        return 0;
}

/* A part of a path that leads nowhere else than down. */
static bool is_name(const char *s, size_t size) {
        return size > 0 && !(size == 1 && s[0] == '.') && !(size == 2 && s[0] == '.' && s[1] == '.');
}

static int directory(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        const LangHost *host = call->host;
        const ValueStr *name = args[0].s;
        _cleanup_free_ char *path = NULL, *copy = NULL;
        int r;

        r = below_base(call, args[0], "directory", &path, reterr);
        if (r < 0)
                return r;
        if (name->data[name->size - 1] != '/')
                return diag_set(reterr, (Pos) {}, -EINVAL, "directory path must be a dir");
        for (const char *p = path + 1; *p; p += strcspn(p, "/") + 1)
                if (!is_name(p, strcspn(p, "/")))
                        return diag_set(reterr, (Pos) {}, -EINVAL, "directory has no plain path, got: `%s`", name->data);
        if (!host->copy_directory)
                return diag_set(reterr, (Pos) {}, -ENOSYS, "function `%s` has no value here", call->builtin->name);
        r = host->copy_directory(host->userdata, path, &copy, reterr);
        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "can't copy directory `%s` (%s): %m", name->data, path);
        return value_strz(ret, copy);
}

/* What this program needs of a distribution: its own libraries, by the names of their packages. */
static int bootstrap_packages(const BuiltinCall *call, const Value *args, size_t n, Value *ret, Diag *reterr) {
        static const char *const debian[] = { "libaugeas-dev", "libvirt-dev", "packagekit-tools", NULL };
        static const char *const fedora[] = { "augeas-devel", "libvirt-devel", "PackageKit", NULL };

        if (streq(value_cstr(args[0]), "debian"))
                return value_list_from_strv(ret, (char *const *) debian);
        if (streq(value_cstr(args[0]), "fedora"))
                return value_list_from_strv(ret, (char *const *) fedora);
        return diag_set(reterr, (Pos) {}, -EINVAL, "missing distro");
}

const Builtin deploy_builtins[] = {
        { .name = "deploy.abspath", .signature = "func(path str) str", .eval = abspath,
          .doc = "Where a file of this module is in the tree of the program; path begins with a slash.",
          .example = MCL(deploy.abspath("/files/motd")), .gives = MCL("/files/motd") },
        { .name = "deploy.bootstrap_packages", .signature = "func(str) []str", .eval = bootstrap_packages, .flags = BUILTIN_PURE,
          .doc = "The packages that a distribution needs for building and running mgmt.",
          .example = MCL(deploy.bootstrap_packages("debian")), .gives = MCL(["libaugeas-dev", "libvirt-dev", "packagekit-tools"]) },
        { .name = "deploy.directory", .signature = "func(directory str) str", .eval = directory,
          .doc = "Where on this host an exact copy of a directory of this module is, which is made when a program asks; directory begins "
                 "and ends with a slash.",
          .example = MCL(deploy.directory("/files/")) },
        { .name = "deploy.file_exists", .signature = "func(filename str) bool", .eval = file_exists,
          .doc = "Whether this module has that file; filename begins with a slash.",
          .example = MCL(deploy.file_exists("/files/motd")), .gives = MCL(true) },
        { .name = "deploy.readfile", .signature = "func(filename str) str", .eval = readfile,
          .doc = "What is in a file of this module; filename begins with a slash.",
          .example = MCL(deploy.readfile("/files/motd")), .gives = MCL("welcome\n") },
        { .name = "deploy.readfileabs", .signature = "func(filename str) str", .eval = readfileabs,
          .doc = "What is in a file of the program, named from the root of its tree.",
          .example = MCL(deploy.readfileabs("/files/motd")), .gives = MCL("welcome\n") },
        BUILTIN_ASKED("deploy.binary_path", "func() str",
                      "The path of the program that runs this one, without symbolic links.",
                      MCL(deploy.binary_path())),
        {}
};
