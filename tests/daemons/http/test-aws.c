/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What AWS answers, and as whom it is asked. */

#include "common/strbuf.h"
#include "daemons/http/aws-credentials.h"
#include "daemons/http/aws-xml.h"
#include "tests/common/alloc.h"
#include "tests/test.h"

static void on_element(const char *path, const char *text, void *userdata) {
        strbuf_printf(userdata, "%s=%s;", path, text);
}

TEST(elements_are_told_with_their_texts) {
        static const struct {
                const char *xml;
                int result;
                const char *told;
        } cases[] = {
                { "<a/>", 0, "a=;" },
                { "<?xml version=\"1.0\"?>\n<a xmlns=\"b\"> <b>1</b>\n <b c='d'> 2 3\t</b> </a>\n", 0, "a/b=1;a/b=2 3;a=;" },
                { "<a>&lt;&amp;&#x41;<!-- b --><![CDATA[<c>]]></a>", 0, "a=<&A<c>;" },
                { "<a><b><c>1</c></b><d>2</d></a>", 0, "a/b/c=1;a/b=;a/d=2;a=;" },
                { "", -EBADMSG, "" },
                { "a", -EBADMSG, "" },
                { "<a>", -EBADMSG, "" },
                { "<a><b></a></b>", -EBADMSG, "" },
                { "<a>&b;</a>", -EBADMSG, "" },
                { "<a/><b/>", -EBADMSG, "a=;" },
                { "<!DOCTYPE a><a/>", -EBADMSG, "" },
                { "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", -EBADMSG, "" },
                { "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", -EBADMSG, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(strbuf_done) StrBuf told = {};
                int r = aws_xml_read(cases[i].xml, strlen(cases[i].xml), on_element, &told);

                if (r != cases[i].result)
                        TEST_FAIL("'%s': %d", cases[i].xml, r);
                CHECK_STR(told.data ? told.data : "", cases[i].told);
        }
}

TEST(depth_has_an_end) {
        for (unsigned depth = 31; depth < 35; depth++) {
                _cleanup_(strbuf_done) StrBuf xml = {}, told = {};

                for (unsigned i = 0; i < depth; i++)
                        strbuf_puts(&xml, "<a>");
                for (unsigned i = 0; i < depth; i++)
                        strbuf_puts(&xml, "</a>");
                CHECK_INT(aws_xml_read(xml.data, xml.size, on_element, &told), depth <= 32 ? 0 : -EBADMSG);
        }
}

TEST(credentials_are_in_sections) {
        static const char usual[] = "[default]\naws_access_key_id = A\naws_secret_access_key = B=/+\n[ x ]\r\naws_secret_access_key=D\r\n"
                                    "\taws_access_key_id\t=\tC\r\naws_session_token = E\naws_access_key_id = F";
        static const struct {
                const char *text, *profile;
                int result;
                const char *user, *secret, *session;
        } cases[] = {
                { usual, "default", 0, "A", "B=/+", NULL },
                { usual, "x", 0, "F", "D", "E" },
                { usual, "y", -ENOKEY, NULL, NULL, NULL },
                { usual, "", -ENOKEY, NULL, NULL, NULL },
                { "", "default", -ENOKEY, NULL, NULL, NULL },
                { "[", "default", -ENOKEY, NULL, NULL, NULL },
                { "[]\n[\n]", "", -ENOKEY, NULL, NULL, NULL },
                { "aws_access_key_id = A\naws_secret_access_key = B\n", "default", -ENOKEY, NULL, NULL, NULL },
                { "[default]\naws_access_key_id = A\n", "default", -ENOKEY, NULL, NULL, NULL },
                { "[default]\naws_access_key_id = A\naws_secret_access_key =\n", "default", -ENOKEY, NULL, NULL, NULL },
                { "[default]\naws_access_key_id = A B\naws_secret_access_key = C\n", "default", -ENOKEY, NULL, NULL, NULL },
                { "[default]\n#[x]\n;[x]\naws_access_key_id = A\naws_secret_access_key = B\n", "default", 0, "A", "B", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                AwsCredentials c = {};
                int r = aws_credentials_parse(cases[i].text, cases[i].profile, &c);

                if (r != cases[i].result)
                        TEST_FAIL("'%s': %d", cases[i].text, r);
                CHECK_STR(c.user, cases[i].user);
                CHECK_STR(c.secret, cases[i].secret);
                CHECK_STR(c.session, cases[i].session);
                aws_credentials_done(&c);
        }
}

/* Whatever fails for want of memory says so. */
TEST(memory_may_run_out) {
        static const char xml[] = "<a><b>&amp;some text</b><c d=\"e\"/></a>", file[] = "[p]\naws_access_key_id=A\naws_secret_access_key=B\n"
                                  "aws_session_token=C\n";
        bool failed = true;
        uint64_t n;

        for (n = 1; failed && n < 1000; n++) {
                _cleanup_(strbuf_done) StrBuf told = {};
                AwsCredentials c = {};
                int r, k;

                alloc_fail_at(n);
                r = aws_xml_read(xml, strlen(xml), on_element, &told);
                k = aws_credentials_parse(file, "p", &c);
                failed = alloc_failed();
                alloc_fail_at(0);
                CHECK(r == 0 || r == -ENOMEM);
                CHECK(k == 0 || k == -ENOMEM);
                CHECK(failed || (r == 0 && k == 0));
                CHECK(r < 0 || told.failed || streq(told.data, "a/b=&some text;a/c=;a=;"));
                CHECK((k == 0) == (c.user && c.secret && c.session));
                aws_credentials_done(&c);
        }
        printf("# %llu places\n", (unsigned long long) n - 1);
        CHECK(!failed && n > 5);
}

TEST_MAIN()
