/* SPDX-License-Identifier: GPL-3.0-or-later */

/* print: when it prints, and when not. And test, which other tests lean on. */

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType print_type, test_type;

#define CHECK_LOG(want) \
        do { \
                char *_log = strbuf_take(&rig.host.log); \
                CHECK_STR(_log, want); \
                free(_log); \
        } while (0)

TEST(prints_what_is_new) {
        RIG();

        CHECK_INT(rig_make(&print_type, "p", FIELDS("msg=hello")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_LOG("");
        CHECK_DIFFERENCES("msg: hello\n");
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_LOG("Msg: hello\n");
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_DIFFERENCES("");
        CHECK_INT(rig_apply(false), CHECK_OK);
        CHECK_LOG("");
        CHECK_INT(rig_set("msg="), 0);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_LOG("Msg: <empty>\n");
        CHECK_DIFFERENCES("msg: hello -> \"\"\n");
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_LOG("Msg: <empty>\n");
}

TEST(refresh_only_prints_when_told) {
        RIG();

        CHECK_INT(rig_make(&print_type, "p", FIELDS("msg=hello", "refresh_only=true")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_LOG("");
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_LOG("Msg: hello\n");
}

TEST(test_shows_fields_and_sends) {
        RIG();

        CHECK_INT(rig_make(&test_type, "t", FIELDS("int8=-5", "str=x", "slicestring=a b", "onlyshow=Int8 Str SliceString Int64Ptr",
                                                     "sendvalue=s")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_LOG("Str:             \"x\"\n"
                  "Int8:            -5\n"
                  "Int64Ptr:        <nil>\n"
                  "SliceString:     [\"a\", \"b\"]\n");
        CHECK_STR(rig.host.sends.data, "hello=\"s\"\nanswer=42\n");
}

TEST(test_fails_as_it_is_told) {
        RIG();

        CHECK_INT(rig_make(&test_type, "t", FIELDS("validatebool=true")), -EINVAL);
        CHECK_STR(rig.host.diag.message, "the validate param was set to true");
        CHECK_INT(rig_make(&test_type, "t", FIELDS("validateerror=so there")), -EINVAL);
        CHECK_STR(rig.host.diag.message, "the validate error param was set to: so there");
        CHECK_INT(rig_make(&test_type, "t", FIELDS("waitforerror=20")), 0);
        CHECK_INT(rig_apply(true), -EIO);
        CHECK_INT(rig_make(&test_type, "t", FIELDS("expectrecv=a")), 0);
        CHECK_INT(rig_apply(true), -EINVAL);
        CHECK_INT(rig_make(&test_type, "t", FIELDS("expectrecv=")), 0);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_INT(rig_make(&test_type, "t", FIELDS("uint8=256")), -ERANGE);
}

TEST(test_compares) {
        RIG();
        const char *field = NULL;
        Resource *other;

        REQUIRE(resource_new(&other, &test_type, &rig.host.host, "t", (Pos) {}) >= 0);
        CHECK_INT(rig_make(&test_type, "t", FIELDS()), 0);
        CHECK(resource_equal(rig.r, other, &field));
        CHECK_INT(rig_set("anotherstr=x"), 0);
        CHECK(!resource_equal(rig.r, other, &field));
        CHECK_STR(field, "anotherstr");
        CHECK_INT(rig_set("anotherstr="), 0);
        CHECK_INT(rig_set("comparefail=true"), 0);
        CHECK(!resource_equal(rig.r, rig.r, &field));
        resource_free(other);
}

TEST_MAIN()
