/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What this process knows of itself and of the files around it: golang/os, os/exec, runtime, path/filepath, and their relatives in
 * os and deploy. All of it is asked once. */

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "common/io.h"
#include "common/paths.h"
#include "daemons/lang/host-file.h"
#include "daemons/lang/sources.h"

/* ---- arguments, of which none may have a NUL byte ---- */

static int arg_text(const Source *s, size_t i, const char **ret, Diag *reterr) {
        *ret = value_cstr(s->args[i]);
        return strlen(*ret) == s->args[i].s->size ? 0 : diag_set(reterr, (Pos) {}, -EINVAL, "'%s' has a NUL byte in it", *ret);
}

/* ---- the process ---- */

static int args_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        size_t size, n = 0;
        Value v = VALUE_NIL;
        int r = read_file_at(AT_FDCWD, "/proc/self/cmdline", 4 * 1024 * 1024, &text, &size);

        if (r < 0)
                return diag_set(reterr, (Pos) {}, r, "cannot read '/proc/self/cmdline': %m");
        for (size_t i = 0; i < size; i++)
                n += text[i] == '\0';
        _cleanup_free_ char **args = calloc(n + 1, sizeof(char *));
        if (!args)
                return -ENOMEM;
        for (size_t i = 0, at = 0; i < n; i++, at += strlen(text + at) + 1)
                args[i] = text + at;
        r = value_list_from_strv(&v, args);
        source_result(s, r, v);
        return 0;
}

static int executable_open(Source *s, Diag *reterr) {
        char path[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

        if (n < 0)
                return diag_set(reterr, (Pos) {}, -errno, "cannot read '/proc/self/exe': %m");
        path[n] = '\0';
        source_set_text(s, path);
        return 0;
}

static int number(Source *s, int64_t n) {
        source_set(s, VALUE_INT(n));
        return 0;
}

static int getegid_open(Source *s, Diag *reterr) {
        return number(s, getegid());
}

static int geteuid_open(Source *s, Diag *reterr) {
        return number(s, geteuid());
}

static int getgid_open(Source *s, Diag *reterr) {
        return number(s, getgid());
}

static int getuid_open(Source *s, Diag *reterr) {
        return number(s, getuid());
}

static int getpid_open(Source *s, Diag *reterr) {
        return number(s, getpid());
}

static int getppid_open(Source *s, Diag *reterr) {
        return number(s, getppid());
}

static int getpagesize_open(Source *s, Diag *reterr) {
        return number(s, sysconf(_SC_PAGESIZE));
}

static int getwd_open(Source *s, Diag *reterr) {
        char path[PATH_MAX];

        if (!getcwd(path, sizeof(path)))
                return diag_set(reterr, (Pos) {}, -errno, "getwd: %m");
        source_set_text(s, path);
        return 0;
}

static int hostname_open(Source *s, Diag *reterr) {
        struct utsname host;

        if (uname(&host) < 0)
                return diag_set(reterr, (Pos) {}, -errno, "hostname: %m");
        source_set_text(s, host.nodename);
        return 0;
}

/* ---- files ---- */

static int read_file_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *text = NULL;
        const char *path;
        size_t size;
        Value v = VALUE_NIL;
        int r = arg_text(s, 0, &path, reterr);

        if (r >= 0)
                r = host_file_read(path, &text, &size, reterr);
        if (r < 0)
                return r;
        r = value_str(&v, text, size);
        source_result(s, r, v);
        return 0;
}

static int readlink_open(Source *s, Diag *reterr) {
        char target[PATH_MAX];
        const char *path;
        int r = arg_text(s, 0, &path, reterr);

        if (r < 0)
                return r;
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n < 0)
                return diag_set(reterr, (Pos) {}, -errno, "readlink %s: %m", path);
        target[n] = '\0';
        source_set_text(s, target);
        return 0;
}

/* What of an absolute path is below the directory, as a relative one; or all of it. */
static const char *below(const char *path, const char *directory) {
        const char *rest = startswith(path, streq(directory, "/") ? "" : directory);

        if (rest && *rest == '/')
                return rest[1] ? rest + 1 : ".";
        return rest && !*rest ? "." : path;
}

static int eval_symlinks_open(Source *s, Diag *reterr) {
        char resolved[PATH_MAX], directory[PATH_MAX];
        const char *path;
        int r = arg_text(s, 0, &path, reterr);

        if (r < 0)
                return r;
        if (!realpath(path, resolved))
                return diag_set(reterr, (Pos) {}, -errno, "cannot follow '%s': %m", path);
        if (path[0] != '/' && !realpath(".", directory))
                return diag_set(reterr, (Pos) {}, -errno, "getwd: %m");
        source_set_text(s, path[0] == '/' ? resolved : below(resolved, directory));
        return 0;
}

static int abs_open(Source *s, Diag *reterr) {
        _cleanup_free_ char *joined = NULL, *clean = NULL;
        char directory[PATH_MAX] = "";
        const ValueStr *path = s->args[0].s;
        Value v = VALUE_NIL;

        if (path->data[0] != '/' && !getcwd(directory, sizeof(directory)))
                return diag_set(reterr, (Pos) {}, -errno, "getwd: %m");
        size_t size = strlen(directory) + 1 + path->size;
        joined = malloc(size);
        clean = malloc(size + 2);
        if (!joined || !clean)
                return -ENOMEM;
        char *end = mempcpy(joined, directory, strlen(directory));
        *end++ = '/';
        memcpy(end, path->data, path->size);
        int r = value_str(&v, clean, path_clean(joined, size, clean));
        source_result(s, r, v);
        return 0;
}

/* ---- programs ---- */

static int check_program(const char *path) {
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int look_path_open(Source *s, Diag *reterr) {
        const char *name, *path = getenv("PATH");
        int r = arg_text(s, 0, &name, reterr);

        if (r < 0)
                return r;
        if (strchr(name, '/')) {
                r = check_program(name);
                if (r < 0)
                        return diag_set(reterr, (Pos) {}, r, "exec: \"%s\": %m", name);
                source_set_text(s, name);
                return 0;
        }
        for (const char *p = path ?: "", *next; p && *name; p = next) {
                _cleanup_free_ char *candidate = NULL;
                size_t n = strcspn(p, ":");

                next = p[n] ? p + n + 1 : NULL;
                if (asprintf(&candidate, "%.*s/%s", n > 0 ? (int) n : 1, n > 0 ? p : ".", name) < 0) {
                        candidate = NULL;
                        return -ENOMEM;
                }
                if (check_program(candidate) < 0)
                        continue;
                if (candidate[0] != '/')
                        return diag_set(reterr, (Pos) {}, -EPERM,
                                        "exec: \"%s\": cannot run executable found relative to current directory", name);
                source_set_text(s, candidate);
                return 0;
        }
        return diag_set(reterr, (Pos) {}, -ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
}

/* ---- a new directory ---- */

static int mkdir_temp_open(Source *s, Diag *reterr) {
        const char *directory, *pattern, *temporary = getenv("TMPDIR");
        int r = arg_text(s, 0, &directory, reterr);

        if (r >= 0)
                r = arg_text(s, 1, &pattern, reterr);
        if (r < 0)
                return r;
        if (strchr(pattern, '/'))
                return diag_set(reterr, (Pos) {}, -EINVAL, "mkdirtemp %s: pattern contains path separator", pattern);
        if (!*directory)
                directory = temporary && *temporary ? temporary : "/tmp";

        const char *star = strrchr(pattern, '*');
        int before = (int) (star ? star - pattern : (ptrdiff_t) strlen(pattern));
        for (int i = 0; i < 100; i++) {
                _cleanup_free_ char *path = NULL;
                uint32_t random;

                if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                        return diag_set(reterr, (Pos) {}, -errno, "cannot get random numbers: %m");
                if (asprintf(&path, "%s/%.*s%u%s", directory, before, pattern, random, star ? star + 1 : "") < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                if (mkdir(path, 0700) >= 0) {
                        source_set_text(s, path);
                        return 0;
                }
                if (errno != EEXIST)
                        return diag_set(reterr, (Pos) {}, -errno, "mkdir %s: %m", path);
        }
        return diag_set(reterr, (Pos) {}, -EEXIST, "mkdir %s/%s: %m", directory, pattern);
}

/* ---- what a program in Go would say of its runtime ---- */

static int num_cpu_open(Source *s, Diag *reterr) {
        cpu_set_t set;

        return number(s, sched_getaffinity(0, sizeof(set), &set) >= 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN));
}

static int goroot_open(Source *s, Diag *reterr) {
        source_set_text(s, getenv("GOROOT") ?: "");
        return 0;
}

static int version_open(Source *s, Diag *reterr) {
        source_set_text(s, MGMT_VERSION);
        return 0;
}

static int cpu_profile_open(Source *s, Diag *reterr) {
        return diag_set(reterr, (Pos) {}, -ENOTSUP, "CPUProfile no longer available");
}

/* One thread of work, and nothing of what the others count. */
static int one_open(Source *s, Diag *reterr) {
        return number(s, 1);
}

static int none_open(Source *s, Diag *reterr) {
        return number(s, 0);
}

static int no_text_open(Source *s, Diag *reterr) {
        source_set_text(s, "");
        return 0;
}

#define ASKED(n, f) { .name = (n), .size = sizeof(Source), .open = (f) }

const SourceType process_sources[] = {
        ASKED("deploy.binary_path", executable_open),
        ASKED("golang/os.executable", executable_open),
        ASKED("golang/os.getegid", getegid_open),
        ASKED("golang/os.geteuid", geteuid_open),
        ASKED("golang/os.getgid", getgid_open),
        ASKED("golang/os.getpagesize", getpagesize_open),
        ASKED("golang/os.getpid", getpid_open),
        ASKED("golang/os.getppid", getppid_open),
        ASKED("golang/os.getuid", getuid_open),
        ASKED("golang/os.getwd", getwd_open),
        ASKED("golang/os.hostname", hostname_open),
        ASKED("golang/os.mkdir_temp", mkdir_temp_open),
        ASKED("golang/os.read_file", read_file_open),
        ASKED("golang/os.readlink", readlink_open),
        ASKED("golang/os/exec.look_path", look_path_open),
        ASKED("golang/path/filepath.abs", abs_open),
        ASKED("golang/path/filepath.eval_symlinks", eval_symlinks_open),
        ASKED("golang/runtime.cpu_profile", cpu_profile_open),
        ASKED("golang/runtime.gomaxprocs", num_cpu_open),
        ASKED("golang/runtime.goroot", goroot_open),
        ASKED("golang/runtime.num_cgo_call", none_open),
        ASKED("golang/runtime.num_cpu", num_cpu_open),
        ASKED("golang/runtime.num_goroutine", one_open),
        ASKED("golang/runtime.read_trace", no_text_open),
        ASKED("golang/runtime.set_mutex_profile_fraction", none_open),
        ASKED("golang/runtime.stack", none_open),
        ASKED("golang/runtime.version", version_open),
        ASKED("os.args", args_open),
        {}
};
