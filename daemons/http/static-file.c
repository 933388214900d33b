/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The order of the checks is that of RFC 9110, section 13.2.2. There are no entity tags, so every condition that names one fails
 * to match, and only dates decide. Ranges that together are longer than the content are not served: asking for one byte a
 * thousand times over is how a small request makes a large answer. */

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemons/http/content-type.h"
#include "daemons/http/date.h"
#include "daemons/http/static-file.h"

enum {
        RANGES_MAX = 64,
        OWN_FILES = 64,
};

typedef struct Range {
        uint64_t start, size;
} Range;

typedef struct Ranges {
        Range items[RANGES_MAX];
        size_t n;
} Ranges;

void static_content_done(StaticContent *c) {
        closep(&c->fd);
        c->fd = -EBADF;
        value_done(&c->data);
}

static int open_below(int directory_fd, const char *path, uint64_t resolve) {
        struct open_how how = {
                .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                .resolve = resolve | RESOLVE_NO_MAGICLINKS,
        };

        /* EAGAIN: something on the way was being renamed, and the kernel could not tell whether we had left the directory */
        for (unsigned i = 0; i < 8; i++) {
                int fd = (int) syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
                if (fd >= 0)
                        return fd;
                if (errno != EAGAIN)
                        return -errno;
        }
        return -EAGAIN;
}

/* Numbers of files are given out from below. Those for answers come from the lower three quarters, less some; so they are never more than
 * three eighths of all, for each has a connection beside it, and the other five are for connections. */
int static_affordable(int fd) {
        struct rlimit limit;

        if (fd < 0)
                return -errno;
        if (getrlimit(RLIMIT_NOFILE, &limit) >= 0 && (rlim_t) fd + 2 * OWN_FILES >= limit.rlim_cur / 4 * 3) {
                (void) close(fd);
                return -EMFILE;
        }
        return fd;
}

int static_content_open(StaticContent *ret, const char *directory, const char *path, bool links_inside) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (directory) {
                _cleanup_close_ int directory_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (directory_fd < 0)
                        return -errno;
                fd = open_below(directory_fd, path, links_inside ? RESOLVE_IN_ROOT : RESOLVE_BENEATH);
                if (fd < 0)
                        return fd;
        } else {
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
                if (fd < 0)
                        return -errno;
        }

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOENT;

        *ret = (StaticContent) { .size = (uint64_t) st.st_size, .modified = st.st_mtime, .accessed = st.st_atime, .fd = TAKE_FD(fd) };
        return 0;
}

int static_content_from_value(StaticContent *ret, Value data, int64_t modified) {
        *ret = (StaticContent) { .fd = -EBADF, .data = value_ref(data), .size = data.s->size, .modified = modified };
        return 0;
}

bool static_accept_method(HttpRequest *q) {
        const char *method = http_request_method(q);

        if (streq(method, "GET") || streq(method, "HEAD"))
                return true;
        http_request_reply_allow(q, "GET, HEAD");
        return false;
}

void static_serve_error(HttpRequest *q, int error) {
        switch (error) {
        case -ENOENT:
        case -ENOTDIR:
        case -EISDIR:
        case -ELOOP:
        case -EXDEV:            /* a link that leads out */
        case -ENAMETOOLONG:
        case -ENXIO:
                http_request_reply_status(q, 404);
                break;
        case -EACCES:
        case -EPERM:
                http_request_reply_status(q, 403);
                break;
        case -EMFILE:
        case -ENFILE:
                http_request_reply_again(q);
                break;
        default:
                http_request_reply_status(q, 500);
        }
}

/* ---- conditions ---- */

/* Whether the header is a date, and then, how the content compares to it: < 0, 0, > 0. */
static bool compare_date(HttpRequest *q, const char *header, int64_t modified, int *ret) {
        const char *text = http_request_header(q, header);
        int64_t date;

        if (!text || modified == 0 || http_date_parse(text, &date) < 0)
                return false;
        *ret = modified < date ? -1 : modified > date;
        return true;
}

/* The status that the conditions make of the request: 0 to go on, 304 or 412. */
static unsigned check_conditions(HttpRequest *q, int64_t modified, bool fresh) {
        const char *match = http_request_header(q, "If-Match"), *none_match = http_request_header(q, "If-None-Match");
        int order;

        if (match ? !streq(match, "*") : compare_date(q, "If-Unmodified-Since", modified, &order) && order > 0)
                return 412;

        if (none_match)
                return streq(none_match, "*") ? 304 : 0;
        if (!fresh && compare_date(q, "If-Modified-Since", modified, &order) && order <= 0)
                return 304;
        return 0;
}

/* ---- ranges ---- */

static bool parse_number(const char **text, uint64_t *ret) {
        uint64_t n = 0;
        const char *p = *text;

        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t) (*p - '0'), &n))
                        return false;
        if (p == *text)
                return false;
        *text = p;
        *ret = n;
        return true;
}

/* One of "0-99", "100-", "-100". 1: it has bytes, 0: it begins beyond the end, -EBADMSG. */
static int parse_range(const char **text, uint64_t size, Range *ret) {
        const char *p = *text;
        uint64_t start, end, n;

        if (*p == '-') {
                p++;
                if (!parse_number(&p, &n))
                        return -EBADMSG;
                *text = p;
                n = MIN(n, size);
                *ret = (Range) { .start = size - n, .size = n };
                return n > 0;
        }

        if (!parse_number(&p, &start) || *p++ != '-')
                return -EBADMSG;
        end = UINT64_MAX;
        if (*p >= '0' && *p <= '9' && (!parse_number(&p, &end) || end < start))
                return -EBADMSG;
        *text = p;
        if (start >= size)
                return 0;
        end = MIN(end, size - 1);
        *ret = (Range) { .start = start, .size = end - start + 1 };
        return 1;
}

/* 1: serve the ranges, 0: serve it whole, -ERANGE: none of them has bytes, or they are nonsense. */
static int parse_ranges(const char *text, uint64_t size, Ranges *ret) {
        uint64_t sum = 0;
        bool any = false;

        text = startswith(text, "bytes=");
        if (!text)
                return 0;               /* another unit: as if it were not there */

        ret->n = 0;
        for (;;) {
                text += strspn(text, " \t,");
                if (*text == 0)
                        break;

                Range range;
                int r = parse_range(&text, size, &range);
                if (r < 0)
                        return -ERANGE;
                any = true;
                text += strspn(text, " \t");
                if (*text != 0 && *text != ',')
                        return -ERANGE;
                if (r == 0)
                        continue;
                if (ret->n >= RANGES_MAX || __builtin_add_overflow(sum, range.size, &sum) || sum > size)
                        return 0;
                ret->items[ret->n++] = range;
        }

        if (!any)
                return -ERANGE;
        if (ret->n == 0)
                return size == 0 ? 0 : -ERANGE;
        return 1;
}

static int find_ranges(HttpRequest *q, const StaticContent *c, Ranges *ret) {
        const char *text = http_request_header(q, "Range");
        int order;

        if (!text)
                return 0;
        if (http_request_header(q, "If-Range") && (!compare_date(q, "If-Range", c->modified, &order) || order != 0))
                return 0;
        return parse_ranges(text, c->size, ret);
}

/* ---- the answer ---- */

static const char *content_type(HttpRequest *q, const StaticContent *c) {
        const char *type = content_type_by_name(http_request_path(q));
        char start[CONTENT_TYPE_SNIFF_SIZE];

        if (type)
                return type;
        if (c->fd < 0)
                return content_type_by_content(c->data.s->data, c->size);

        ssize_t n = pread(c->fd, start, sizeof(start), 0);
        return content_type_by_content(start, n > 0 ? (size_t) n : 0);
}

static int add_multipart(HttpReply *p, const Ranges *ranges, uint64_t size, const char *type) {
        uint64_t random[2];
        char boundary[33];
        int r;

        /* a client must not be able to guess it and put it into the content */
        if (getrandom(random, sizeof(random), 0) != (ssize_t) sizeof(random))
                return -EIO;
        (void) snprintf(boundary, sizeof(boundary), "%016llx%016llx", (unsigned long long) random[0],
                        (unsigned long long) random[1]);
        r = http_reply_header(p, "Content-Type", "multipart/byteranges; boundary=%s", boundary);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ranges->n; i++) {
                const Range *range = ranges->items + i;
                char *head;

                if (asprintf(&head, "%s--%s\r\nContent-Range: bytes %llu-%llu/%llu\r\nContent-Type: %s\r\n\r\n",
                             i > 0 ? "\r\n" : "", boundary, (unsigned long long) range->start,
                             (unsigned long long) (range->start + range->size - 1), (unsigned long long) size, type) < 0)
                        return -ENOMEM;
                r = http_reply_piece(p, head, range->start, range->size);
                if (r < 0)
                        return r;
        }

        char *end;
        if (asprintf(&end, "\r\n--%s--\r\n", boundary) < 0)
                return -ENOMEM;
        return http_reply_piece(p, end, 0, 0);
}

static int add_body(HttpReply *p, const Ranges *ranges, uint64_t size, const char *type) {
        int r;

        if (ranges && ranges->n > 1)
                return add_multipart(p, ranges, size, type);

        r = http_reply_header(p, "Content-Type", "%s", type);
        if (r < 0)
                return r;
        if (!ranges)
                return size > 0 ? http_reply_piece(p, NULL, 0, size) : 0;

        const Range *range = ranges->items;
        r = http_reply_header(p, "Content-Range", "bytes %llu-%llu/%llu", (unsigned long long) range->start,
                              (unsigned long long) (range->start + range->size - 1), (unsigned long long) size);
        if (r < 0)
                return r;
        return http_reply_piece(p, NULL, range->start, range->size);
}

static int add_date(HttpReply *p, int64_t modified) {
        char date[HTTP_DATE_SIZE];

        if (modified == 0)
                return 0;
        http_date_format(modified, date);
        return date[0] ? http_reply_header(p, "Last-Modified", "%s", date) : 0;
}

static int make_error(HttpReply **ret, unsigned status, uint64_t size) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        int r;

        r = http_reply_new_status(&p, status);
        if (r >= 0 && status == 416)
                r = http_reply_header(p, "Content-Range", "bytes */%llu", (unsigned long long) size);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

static int make_reply(HttpReply **ret, HttpRequest *q, StaticContent *c, bool fresh) {
        _cleanup_(http_reply_freep) HttpReply *p = NULL;
        Ranges ranges;
        int r;

        unsigned status = check_conditions(q, c->modified, fresh);
        if (status == 412)
                return make_error(ret, 412, c->size);

        int ranged = status == 0 ? find_ranges(q, c, &ranges) : 0;
        if (ranged < 0)
                return make_error(ret, 416, c->size);

        p = http_reply_new(status > 0 ? status : ranged > 0 ? 206 : 200);
        if (!p)
                return -ENOMEM;
        r = add_date(p, c->modified);
        if (r < 0)
                return r;
        if (status == 0) {
                r = http_reply_header(p, "Accept-Ranges", "bytes");
                if (r >= 0)
                        r = add_body(p, ranged > 0 ? &ranges : NULL, c->size, content_type(q, c));
        } else if (c->size > 0)         /* not sent with a 304, but its size has to be right */
                r = http_reply_piece(p, NULL, 0, c->size);
        if (r < 0)
                return r;
        p->fd = TAKE_FD(c->fd);
        p->data = value_take(&c->data);

        *ret = TAKE_PTR(p);
        return 0;
}

void static_serve(HttpRequest *q, StaticContent *c, bool fresh) {
        HttpReply *p;

        if (make_reply(&p, q, c, fresh) >= 0)
                http_request_reply(q, p);       /* else: no memory, no reply, and the connection ends */
        static_content_done(c);
}
