/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Forms, as browsers and others send them. */

#include "common/strbuf.h"
#include "daemons/http/form.h"
#include "tests/test.h"

/* "name=value|name=value", with every NUL as '~'. */
static const char *form_text(const HttpForm *f) {
        static char text[512];
        StrBuf b = {};

        for (size_t i = 0; i < f->n; i++) {
                if (i > 0)
                        strbuf_putc(&b, '|');
                strbuf_add(&b, f->fields[i].name, f->fields[i].name_size);
                strbuf_putc(&b, '=');
                strbuf_add(&b, f->fields[i].value, f->fields[i].value_size);
        }
        for (size_t i = 0; i < b.size; i++)
                if (b.data[i] == 0)
                        b.data[i] = '~';
        (void) snprintf(text, sizeof(text), "%s", b.data ? b.data : "");
        strbuf_done(&b);
        return text;
}

TEST(urlencoded) {
        static const struct {
                const char *text;
                int result;
                const char *form;
        } cases[] = {
                { "", 0, "" },
                { "a=1", 0, "a=1" },
                { "a=1&b=2", 0, "a=1|b=2" },
                { "a=1&a=2", 0, "a=1|a=2" },
                { "a", 0, "a=" },
                { "a=", 0, "a=" },
                { "=b", 0, "=b" },
                { "&&a=1&", 0, "a=1" },
                { "a=b=c", 0, "a=b=c" },
                { "a+b=c+d", 0, "a b=c d" },
                { "%61=%3d%26%00x", 0, "a==&~x" },
                { "a=%", -EBADMSG, "" },
                { "a=%4", -EBADMSG, "" },
                { "a=%4&b=1", -EBADMSG, "" },
                { "%zz=1", -EBADMSG, "" },
                { "a=%c3%a4", 0, "a=\xc3\xa4" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HttpForm f = {};

                CHECK_INT(http_form_parse_urlencoded(&f, cases[i].text, strlen(cases[i].text)), cases[i].result);
                CHECK_STR(form_text(&f), cases[i].form);
                http_form_done(&f);
        }
}

#define PART(headers, content) "--XX\r\n" headers "\r\n\r\n" content "\r\n"
#define NAMED(name) "Content-Disposition: form-data; " name

TEST(multipart) {
        static const struct {
                const char *type, *text;
                int result;
                const char *form;
        } cases[] = {
                { "multipart/form-data; boundary=XX", PART(NAMED("name=\"a\""), "1") "--XX--\r\n", 0, "a=1" },
                { "multipart/form-data; boundary=XX", PART(NAMED("name=\"a\""), "1") PART(NAMED("name=b"), "2\r\n3") "--XX--", 0,
                  "a=1|b=2\r\n3" },
                { "multipart/form-data; charset=utf-8; Boundary=\"XX\"", PART(NAMED("name=\"a\""), "") "--XX--", 0, "a=" },
                { "multipart/form-data; boundary=XX", "--XX\r\n" NAMED("name=\"a\"") "\r\n\r\n--XX--", 0, "a=" },
                { "multipart/form-data; boundary=XX", "before\r\n" PART("Content-Type: text/plain\r\n" NAMED("name=\"a\""), "1") "--XX--", 0,
                  "a=1" },
                { "multipart/form-data; boundary=XX", PART(NAMED("filename=\"; name=\\\"x\"; name=\"a\\\"b\""), "1") "--XX--", 0, "a\"b=1" },
                { "multipart/form-data; boundary=XX", "--XX--", 0, "" },
                { "multipart/form-data; boundary=XX", "", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", "--XX", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", "--XX\r\n", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", PART("Content-Type: text/plain", "1") "--XX--", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", PART(NAMED("filename=\"a\""), "1") "--XX--", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", PART(NAMED("name=\"a"), "1") "--XX--", -EBADMSG, "" },
                { "multipart/form-data; boundary=XX", PART(NAMED("name=\"a\""), "cut off"), -EBADMSG, "" },
                { "multipart/form-data; boundary=", PART(NAMED("name=\"a\""), "1") "--XX--", -EBADMSG, "" },
                { "multipart/form-data", PART(NAMED("name=\"a\""), "1") "--XX--", -EBADMSG, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                HttpForm f = {};
                int r = http_form_parse_multipart(&f, cases[i].type, cases[i].text, strlen(cases[i].text));

                if (r != cases[i].result)
                        TEST_FAIL("%i, not %i, of '%s'", r, cases[i].result, cases[i].text);
                CHECK_STR(form_text(&f), cases[i].form);
                http_form_done(&f);
        }
}

TEST(fields_are_counted) {
        StrBuf b = {};
        HttpForm f = {};

        for (size_t i = 0; i < HTTP_FORM_FIELDS_MAX; i++)
                strbuf_puts(&b, "a&");
        CHECK_INT(http_form_parse_urlencoded(&f, b.data, b.size), 0);
        CHECK_INT(f.n, HTTP_FORM_FIELDS_MAX);
        http_form_done(&f);
        strbuf_puts(&b, "a");
        CHECK_INT(http_form_parse_urlencoded(&f, b.data, b.size), -E2BIG);
        strbuf_done(&b);
}

TEST(the_first_of_a_name_is_found) {
        HttpForm f = {};

        CHECK_INT(http_form_parse_urlencoded(&f, "ab=0&a=1&a=2&b=3", 16), 0);
        CHECK_STR(http_form_get(&f, "a")->value, "1");
        CHECK(!http_form_get(&f, "c"));
        CHECK(!http_form_get(&f, ""));
        http_form_done(&f);
}

TEST_MAIN()
