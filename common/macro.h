/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Ownership and small conveniences used everywhere. A local that owns something says so where it is declared:
 *
 *         _cleanup_free_ char *text = NULL;
 *         _cleanup_close_ int fd = -EBADF;
 *         _cleanup_(value_done) Value v = {};
 */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(format, first) __attribute__((__format__(__printf__, format, first)))
#define _malloc_ __attribute__((__malloc__))
#define _unused_ __attribute__((__unused__))
#define _noreturn_ __attribute__((__noreturn__))

#define ELEMENTSOF(array) (sizeof(array) / sizeof((array)[0]))
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })

/* The struct that contains member, from a pointer to that member. */
#define container_of(pointer, type, member) ((type *) ((char *) (pointer) - offsetof(type, member)))

/* Moves ownership out of a variable, visibly. */
#define TAKE_PTR(pointer) ({ __typeof__(pointer) _taken = (pointer); (pointer) = NULL; _taken; })
#define TAKE_FD(fd) ({ int _taken = (fd); (fd) = -EBADF; _taken; })

/* Defines freep(T **p), the function behind _cleanup_(…), from a free function that takes T * and accepts NULL. */
#define DEFINE_CLEANUP(type, function) \
        static inline void function##p(type *p) { if (*p) function(*p); }

static inline void freep(void *p) {
        free(*(void **) p);
}

static inline void closep(int *fd) {
        if (*fd >= 0) {
                int saved = errno;
                (void) close(*fd);
                errno = saved;
        }
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)

static inline _Bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

/* As streq(), for pointers that may be NULL; NULL equals only NULL. */
static inline _Bool streq_ptr(const char *a, const char *b) {
        return a && b ? streq(a, b) : a == b;
}

/* The rest of s after prefix, or NULL if s does not begin with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);
        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static inline _Bool endswith(const char *s, const char *suffix) {
        size_t n = strlen(s), m = strlen(suffix);
        return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Grows *array so that it has room for one more element after count ones. Capacity doubles. 0 or -ENOMEM; *array stays
 * valid either way. */
#define GROW(array, count, capacity) \
        ({ \
                int _r = 0; \
                if ((count) >= (capacity)) { \
                        size_t _want = (capacity) ? (size_t) (capacity) * 2 : 8; \
                        void *_grown = reallocarray((array), _want, sizeof(*(array))); \
                        if (_grown) { \
                                (array) = _grown; \
                                (capacity) = _want; \
                        } else \
                                _r = -ENOMEM; \
                } \
                _r; \
        })
