/* SPDX-License-Identifier: GPL-3.0-or-later */

/* msg: says it once, and again when it is notified; what the journal is sent is an entry of its own. */

#include <sys/uio.h>

#include "tests/daemons/engine/kind-test.h"

extern const ResourceType msg_type;

/* The journal, in place of that of libsystemd. */
static StrBuf entry;
static int journal_result;

int sd_journal_sendv(const struct iovec *fields, int n);
int sd_journal_sendv(const struct iovec *fields, int n) {
        strbuf_done(&entry);
        for (int i = 0; i < n; i++)
                strbuf_printf(&entry, "%.*s\n", (int) fields[i].iov_len, (const char *) fields[i].iov_base);
        return journal_result;
}

TEST(it_is_said_once) {
        RIG();

        CHECK_INT(rig_make(&msg_type, "m", FIELDS("body=hello", "priority=Notice")), 0);
        CHECK_INT(rig_apply(false), CHECK_CHANGED);
        CHECK_STR(rig.host.log.data, NULL);
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(rig.host.log.data, "hello\n");
        CHECK_STR(entry.data, NULL);
        rig.host.refresh = true;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(rig.host.log.data, "hello\nhello\n");
}

TEST(the_journal) {
        RIG();

        CHECK_INT(rig_make(&msg_type, "m", FIELDS("body=two\nlines", "priority=Err", "journal=true", "fields.my_id=a=b")), 0);
        journal_result = -ECONNREFUSED;
        CHECK_INT(rig_apply(true), -ECONNREFUSED);
        CHECK_STR(rig.host.log.data, NULL);
        journal_result = 0;
        CHECK_INT(rig_apply(true), CHECK_CHANGED);
        CHECK_STR(entry.data, "MESSAGE=two\nlines\nPRIORITY=3\nMY_ID=a=b\n");
        strbuf_done(&entry);
        CHECK_INT(rig_apply(true), CHECK_OK);
        CHECK_STR(entry.data, NULL);
}

TEST(validate) {
        static const struct {
                const char *a, *b;
        } bad[] = { { "priority=err", "body=x" }, { "priority=7", "body=x" }, { "body=x", "journal=true" },
                    { "priority=Err", "fields._X=x" }, { "priority=Err", "fields.1X=x" }, { "priority=Err", "fields.A-B=x" }, { "priority=Err", "fields.=x" } };
        RIG();

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (rig_make(&msg_type, "m", FIELDS(bad[i].a, bad[i].b)) >= 0)
                        TEST_FAIL("%s, %s is taken", bad[i].a, bad[i].b);
}

TEST_MAIN()
