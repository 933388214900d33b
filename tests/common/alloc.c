/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One source, two ways in: in a plain build these functions are malloc() and so on (the C library lets a program replace them) and
 * glibc's own are behind them; in a sanitizer build the linker redirects calls here (--wrap). */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/macro.h"
#include "tests/common/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define WRAPPED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define WRAPPED 1
#endif
#endif
#ifndef WRAPPED
#define WRAPPED 0
#endif

#if WRAPPED
#define OURS(name) __wrap_##name
#define REAL(name) __real_##name
#else
#define OURS(name) name
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *p, size_t size);
void REAL(free)(void *p);

#define SEEN __attribute__((__visibility__("default")))         /* by the shared libraries too */

SEEN void *OURS(malloc)(size_t size);
SEEN void *OURS(calloc)(size_t n, size_t size);
SEEN void *OURS(realloc)(void *p, size_t size);
SEEN void *OURS(reallocarray)(void *p, size_t n, size_t size);
SEEN void OURS(free)(void *p);

static uint64_t countdown, n_allocations;
static bool failed;
static size_t bytes, peak;

void alloc_fail_at(uint64_t n) {
        countdown = n;
        failed = false;
}

bool alloc_failed(void) {
        countdown = 0;
        return failed;
}

uint64_t alloc_count(void) {
        return n_allocations;
}

size_t alloc_bytes(void) {
        return bytes;
}

size_t alloc_peak(void) {
        return peak;
}

void alloc_reset_peak(void) {
        peak = bytes;
}

bool alloc_counts_bytes(void) {
        return !WRAPPED;
}

static bool must_fail(void) {
        if (countdown > 0 && --countdown == 0) {
                failed = true;
                errno = ENOMEM;
                return true;
        }
        return false;
}

static void *count(void *p) {
        if (p)
                n_allocations++;
        if (p && !WRAPPED) {
                bytes += malloc_usable_size(p);
                if (bytes > peak)
                        peak = bytes;
        }
        return p;
}

static size_t size_of(void *p) {
        return p && !WRAPPED ? malloc_usable_size(p) : 0;
}

void *OURS(malloc)(size_t size) {
        return must_fail() ? NULL : count(REAL(malloc)(size));
}

void *OURS(calloc)(size_t n, size_t size) {
        return must_fail() ? NULL : count(REAL(calloc)(n, size));
}

void *OURS(realloc)(void *p, size_t size) {
        if (must_fail())
                return NULL;
        size_t before = size_of(p);
        void *moved = REAL(realloc)(p, size);
        if (moved || size == 0)
                bytes -= before;
        return count(moved);
}

void *OURS(reallocarray)(void *p, size_t n, size_t size) {
        size_t total;

        if (__builtin_mul_overflow(n, size, &total)) {
                errno = ENOMEM;
                return NULL;
        }
        return OURS(realloc)(p, total);
}

void OURS(free)(void *p) {
        bytes -= size_of(p);
        REAL(free)(p);
}

#if WRAPPED
/* The C library's own calls do not come this way, so what the project uses of it and is easily said is said again. */
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

char *__wrap_strndup(const char *s, size_t n) {
        n = strnlen(s, n);
        char *copy = __wrap_malloc(n + 1);
        if (copy) {
                memcpy(copy, s, n);
                copy[n] = '\0';
        }
        return copy;
}

char *__wrap_strdup(const char *s) {
        return __wrap_strndup(s, strlen(s));
}
#endif
