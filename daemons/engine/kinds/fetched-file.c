/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whoever brings the bytes (mgmt-fetch, or cat) writes them into a pipe, and we count them on their way into the file. What becomes of
 * the file is decided by what is in it then, which the programs of the checksum read: they are part of every system. */

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>

#include "common/io.h"
#include "common/paths.h"
#include "common/sd/child.h"
#include "common/strbuf.h"
#include "common/url.h"
#include "daemons/engine/kinds/fetched-file.h"
#include "daemons/engine/kinds/progress.h"
#include "daemons/engine/kinds/safe-path.h"

enum { SAID_MAX = 4096, LINE_MAX_SHOWN = 500 };

struct FetchedFile {
        Resource *resource;
        char *location, *shown;         /* the second one for people, without a password in it */
        uint64_t size, size_max;
        int fd;                         /* written to; then for reading only */
        const char *program;            /* of the checksum; NULL: there is none to compare with */
        char *checksum;
        Child *child;
        Progress progress;
        fetched_callback_t callback;
        void *userdata;
};

/* By how many digits they have; the strongest first. */
static const struct {
        size_t length;
        const char *program;
} sums[] = { { 128, "sha512sum" }, { 96, "sha384sum" }, { 64, "sha256sum" }, { 40, "sha1sum" } };

FetchedFile *fetched_file_free(FetchedFile *f) {
        if (!f)
                return NULL;
        f->child = child_free(f->child);
        closep(&f->fd);
        free(f->location);
        free(f->shown);
        free(f->checksum);
        free(f);
        return NULL;
}

int fetched_file_fd(const FetchedFile *f) {
        return f->fd;
}

/* ---- the checksum ---- */

static bool is_hexadecimal(const char *s) {
        return s[strspn(s, "0123456789abcdefABCDEF")] == '\0';
}

static int choose_checksum(FetchedFile *f, char *const *checksums, Diag *reterr) {
        if (!checksums || !*checksums)
                return 0;
        for (size_t i = 0; i < ELEMENTSOF(sums); i++)
                for (char *const *c = checksums; *c; c++) {
                        if (strlen(*c) != sums[i].length || !is_hexadecimal(*c))
                                continue;
                        f->program = sums[i].program;
                        f->checksum = strdup(*c);
                        return f->checksum ? 0 : -ENOMEM;
                }
        return resource_error(f->resource, reterr, -EOPNOTSUPP, "'%s' has no checksum of a kind that is known, but '%s'", f->shown,
                              checksums[0]);
}

/* ---- the end ---- */

/* Who has read the checksum has left the file at its end. */
static void end(FetchedFile *f, int error, Diag *diag) {
        if (error >= 0 && lseek(f->fd, 0, SEEK_SET) < 0)
                error = resource_error(f->resource, diag, -errno, "cannot read what was fetched: %m");
        f->callback(f, error, diag, f->userdata);
}

static int said(const FetchedFile *f, const char *program, const ChildResult *result, Diag *reterr) {
        const char *text = result->err.data ? result->err.data : "";

        if (result->signal)
                return resource_error(f->resource, reterr, -EINTR, "%s was ended by signal %d", program, result->signal);
        return resource_error(f->resource, reterr, -EREMOTEIO, "cannot fetch %.*s", (int) MIN(strcspn(text, "\n"), (size_t) LINE_MAX_SHOWN),
                              *text ? text : program);
}

static void on_summed(Child *c, ChildResult *result, void *userdata) {
        FetchedFile *f = userdata;
        _cleanup_(child_freep) _unused_ Child *done = TAKE_PTR(f->child);
        _cleanup_(diag_done) Diag diag = {};
        size_t n = strlen(f->checksum);
        const char *sum = result->out.data;
        int r = 0;

        if (result->status != 0 || result->signal)
                r = said(f, f->program, result, &diag);
        else if (!sum || result->out.size <= n || isxdigit((unsigned char) sum[n]) || strncasecmp(sum, f->checksum, n) != 0)
                r = resource_error(f->resource, &diag, -EBADMSG, "'%s' is not the file that it should be: its checksum is %.*s, not %s",
                                   f->shown, sum ? (int) strcspn(sum, " \n") : 0, sum ? sum : "", f->checksum);
        end(f, r, &diag);
}

static int start(FetchedFile *f, char *const *argv, int input, child_callback_t callback,
                 void (*output)(Child *c, ChildStream stream, const char *data, size_t size, void *userdata), Diag *reterr) {
        _cleanup_(diag_done) Diag diag = {};
        int r;

        r = child_start(&f->child, f->resource->host->event,
                        &(ChildSpec) { .argv = argv, .env = environ, .cwd = "/", .uid = (uid_t) -1, .gid = (gid_t) -1, .input = input,
                                       .output_max = SAID_MAX, .output = output },
                        callback, f, &diag);
        return r < 0 ? resource_error(f->resource, reterr, r, "%s", diag.message ? diag.message : "out of memory") : r;
}

/* From here on nobody writes to it, we included. */
static int seal(FetchedFile *f) {
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        closep(&f->fd);
        f->fd = fd;
        return 0;
}

/* 1: goes on. */
static int verify(FetchedFile *f, Diag *reterr) {
        int r = seal(f);

        if (r < 0)
                return resource_error(f->resource, reterr, r, "cannot read what was fetched: %m");
        if (!f->program)
                return 0;
        r = start(f, (char *[]) { (char *) f->program, NULL }, f->fd, on_summed, NULL, reterr);
        return r < 0 ? r : 1;
}

/* ---- the bytes ---- */

static void on_fetched(Child *c, ChildResult *result, void *userdata) {
        FetchedFile *f = userdata;
        _cleanup_(child_freep) _unused_ Child *done = TAKE_PTR(f->child);
        _cleanup_(diag_done) Diag diag = {};
        int r = result->status != 0 || result->signal ? said(f, "a file", result, &diag) : verify(f, &diag);

        if (r <= 0)
                end(f, r, &diag);
}

static int take(FetchedFile *f, const char *data, size_t size, Diag *reterr) {
        int r;

        if (size > f->size_max - f->size)
                return resource_error(f->resource, reterr, -EFBIG, "'%s' is longer than %llu bytes", f->shown,
                                      (unsigned long long) f->size_max);
        r = write_all(f->fd, data, size);
        if (r < 0)
                return resource_error(f->resource, reterr, r, "cannot keep what is fetched: %m");
        f->size += size;
        if (progress_is_due(&f->progress))
                resource_log(f->resource, LOG_INFO, "fetched %llu bytes so far", (unsigned long long) f->size);
        return 0;
}

static void on_output(Child *c, ChildStream stream, const char *data, size_t size, void *userdata) {
        FetchedFile *f = userdata;
        _cleanup_(diag_done) Diag diag = {};
        int r = stream == CHILD_STDOUT ? take(f, data, size, &diag) : 0;

        if (r >= 0)
                return;
        f->child = child_free(f->child);
        end(f, r, &diag);
}

/* ---- where it comes from ---- */

/* "file:///a%20b" → "/a b"; what is no such URL stays. NULL: out of memory. */
static char *path_of(const char *location) {
        const char *s = startswith(location, "file://");
        char *path = strdup(s ? s : location), *to = path;

        if (!s || !path)
                return path;
        for (; *s; s++)
                if (*s == '%' && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0 && (hex_digit(s[1]) | hex_digit(s[2])) != 0) {
                        *to++ = (char) (hex_digit(s[1]) << 4 | hex_digit(s[2]));
                        s += 2;
                } else
                        *to++ = *s;
        *to = '\0';
        return path;
}

static int open_source(const FetchedFile *f, const char *path, Diag *reterr) {
        struct stat st;
        int fd = safe_open(path, O_RDONLY), r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : 0;

        if (r >= 0)
                return fd;
        closep(&fd);
        if (r == -EPERM)
                return resource_error(f->resource, reterr, r, SAFE_PATH_UNTRUSTED, path);
        return resource_error(f->resource, reterr, r, "cannot read '%s': %m", path);
}

static int copy_file(FetchedFile *f, Diag *reterr) {
        _cleanup_free_ char *path = path_of(f->location);
        _cleanup_close_ int fd = -EBADF;

        if (!path)
                return -ENOMEM;
        fd = open_source(f, path, reterr);
        return fd < 0 ? fd : start(f, (char *[]) { (char *) "cat", NULL }, fd, on_fetched, on_output, reterr);
}

static int download(FetchedFile *f, Diag *reterr) {
        _cleanup_close_ int url = memfd_create("url", MFD_CLOEXEC);
        _cleanup_free_ char *program = path_daemon("fetch");
        int r = url < 0 ? -errno : !program ? -ENOMEM : write_all(url, f->location, strlen(f->location));

        if (r >= 0 && lseek(url, 0, SEEK_SET) < 0)
                r = -errno;
        return r < 0 ? r : start(f, (char *[]) { program, NULL }, url, on_fetched, on_output, reterr);
}

int fetched_file_start(FetchedFile **ret, Resource *r, const FetchSpec *spec, fetched_callback_t callback, void *userdata, Diag *reterr) {
        _cleanup_(fetched_file_freep) FetchedFile *f = calloc(1, sizeof(*f));
        bool local = spec->location[0] == '/' || startswith(spec->location, "file:///");
        int k;

        if (!f)
                return -ENOMEM;
        *f = (FetchedFile) { .resource = r, .fd = -EBADF, .size_max = spec->size_max, .callback = callback, .userdata = userdata };
        f->location = strdup(spec->location);
        f->shown = http_url_redacted(spec->location);
        if (!f->location || !f->shown)
                return -ENOMEM;
        if (!local && strncasecmp(f->location, "http://", 7) != 0 && strncasecmp(f->location, "https://", 8) != 0)
                return resource_error(r, reterr, -EPROTONOSUPPORT, "'%s' is neither a URL of HTTP nor a file", f->shown);
        k = choose_checksum(f, spec->checksums, reterr);
        if (k < 0)
                return k;
        f->fd = open_unnamed(r->host->state_dir);
        if (f->fd < 0)
                return resource_error(r, reterr, f->fd, "cannot make a file in '%s': %m", r->host->state_dir);
        k = local ? copy_file(f, reterr) : download(f, reterr);
        if (k < 0)
                return k;
        *ret = TAKE_PTR(f);
        return 0;
}
