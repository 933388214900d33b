/* SPDX-License-Identifier: GPL-3.0-or-later */

/* noop: is always right, says when it is notified, and is grouped with its like. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType noop_type;

TEST(does_nothing) {
        RIG();

        CHECK_INT(rig_make(&noop_type, "n", FIELDS("comment=why")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_apply(false), CHECK_OK);
        CHECK_STR(rig.host.log.data, NULL);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(rig.host.log.data, "received a notification\n");
        CHECK(noop_type.groups(rig.r, rig.r));
}

TEST(its_comment_is_compared) {
        RIG();
        const char *field = NULL;
        Resource *other;

        REQUIRE(resource_new(&other, &noop_type, &rig.host.host, "n", (Pos) {}) >= 0);
        CHECK_INT(rig_make(&noop_type, "n", FIELDS("comment=why")), 0);
        CHECK(!resource_equal(rig.r, other, &field));
        CHECK_STR(field, "comment");
        resource_free(other);
}

TEST_MAIN()
