/* SPDX-License-Identifier: GPL-3.0-or-later */

/* noop: is always right, says when it is notified, and is grouped with its like. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType noop_type;

TEST(does_nothing) {
        BENCH();

        CHECK_INT(bench_make(&noop_type, "n", FIELDS("comment=why")), 0);
        CHECK_INT(bench_apply(true), CHECK_OK);
        CHECK_INT(bench_apply(false), CHECK_OK);
        CHECK_STR(bench.log.data, NULL);
        bench.refresh = true;
        CHECK_INT(bench_apply(true), CHECK_OK);
        CHECK_STR(bench.log.data, "received a notification\n");
        CHECK(noop_type.groups(bench.r, bench.r));
}

TEST(its_comment_is_compared) {
        BENCH();
        const char *field = NULL;
        Resource *other;

        REQUIRE(resource_new(&other, &noop_type, &bench.host, "n", (Pos) {}) >= 0);
        CHECK_INT(bench_make(&noop_type, "n", FIELDS("comment=why")), 0);
        CHECK(!resource_equal(bench.r, other, &field));
        CHECK_STR(field, "comment");
        resource_free(other);
}

TEST_MAIN()
