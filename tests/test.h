/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A test program: cases that register themselves, checks that go on after a failure, TAP on stdout.
 *
 *         TEST(value_lists_compare_by_element) {
 *                 CHECK(value_equal(a, b));
 *                 CHECK_STR(value_text(a), "[1, 2]");
 *         }
 *         TEST_MAIN()
 *
 * Arguments of the program are glob patterns of cases to run. */

#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct TestCase {
        const char *name;
        void (*run)(void);
        struct TestCase *next;
} TestCase;

static TestCase *test_cases, **test_tail = &test_cases;
static unsigned test_failures;
static const char *test_skipped;

#define TEST(name_) \
        static void test_##name_(void); \
        static TestCase case_##name_ = { .name = #name_, .run = test_##name_ }; \
        __attribute__((__constructor__)) static void register_##name_(void) { \
                *test_tail = &case_##name_; \
                test_tail = &case_##name_.next; \
        } \
        static void test_##name_(void)

#define TEST_FAIL(...) \
        do { \
                test_failures++; \
                printf("# %s:%d: ", __FILE__, __LINE__); \
                printf(__VA_ARGS__); \
                printf("\n"); \
        } while (0)

#define CHECK(condition) \
        do { \
                if (!(condition)) \
                        TEST_FAIL("%s", #condition); \
        } while (0)

/* As CHECK(), and leaves the case: for what the rest depends on. */
#define REQUIRE(condition) \
        do { \
                if (!(condition)) { \
                        TEST_FAIL("%s", #condition); \
                        return; \
                } \
        } while (0)

#define CHECK_INT(got, want) \
        do { \
                intmax_t _got = (got), _want = (want); \
                if (_got != _want) \
                        TEST_FAIL("%s is %" PRIdMAX ", not %" PRIdMAX, #got, _got, _want); \
        } while (0)

#define CHECK_STR(got, want) \
        do { \
                const char *_got = (got), *_want = (want); \
                if ((!_got) != (!_want) || (_got && strcmp(_got, _want) != 0)) \
                        TEST_FAIL("%s is\n#   %s\n# not\n#   %s", #got, _got ? _got : "(null)", _want ? _want : "(null)"); \
        } while (0)

#define TEST_SKIP(reason) \
        do { \
                test_skipped = (reason); \
                return; \
        } while (0)

static inline int test_run(int argc, char *argv[]) {
        unsigned n = 0, n_failed = 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        for (TestCase *c = test_cases; c; c = c->next) {
                bool wanted = argc < 2;
                for (int i = 1; i < argc; i++)
                        wanted = wanted || fnmatch(argv[i], c->name, 0) == 0;
                if (!wanted)
                        continue;
                test_failures = 0;
                test_skipped = NULL;
                c->run();
                n++;
                if (test_failures > 0)
                        n_failed++;
                printf("%s %u - %s%s%s\n", test_failures > 0 ? "not ok" : "ok", n, c->name,
                       test_skipped && test_failures == 0 ? " # SKIP " : "",
                       test_skipped && test_failures == 0 ? test_skipped : "");
        }
        printf("1..%u\n", n);
        return n_failed > 0;
}

#define TEST_MAIN() \
        int main(int argc, char *argv[]) { \
                return test_run(argc, argv); \
        }
