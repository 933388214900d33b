/* SPDX-License-Identifier: GPL-3.0-or-later */

/* exit: asks once, and not at all under noop. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType exit_type;

static int asked_code;
static unsigned n_asked;

static void on_exit_requested(Resource *r, int code) {
        n_asked++;
        asked_code = code;
}

TEST(it_asks_once) {
        RIG();

        n_asked = 0;
        rig.host.host.exit_requested = on_exit_requested;
        CHECK_INT(rig_make(&exit_type, "x", FIELDS("code=3")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_DIFFERENCES("code: 0 -> 3\n");
        CHECK_INT(n_asked, 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(n_asked, 1);
        CHECK_INT(asked_code, 3);
}

TEST(validate) {
        static const struct {
                const char *code;
                int result;
        } cases[] = { { "code=0", 0 }, { "code=125", 0 }, { "code=126", -EINVAL }, { "code=255", -EINVAL }, { "code=256", -ERANGE },
                      { "code=-1", -ERANGE } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = rig_make(&exit_type, "x", FIELDS(cases[i].code));
                if ((r < 0) != (cases[i].result < 0))
                        TEST_FAIL("%s: %d", cases[i].code, r);
        }
}

TEST_MAIN()
