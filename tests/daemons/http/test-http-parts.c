/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The pure parts of mgmt-http: targets, paths, dates, types of content. */

#include "common/url.h"
#include "daemons/http/content-type.h"
#include "daemons/http/date.h"
#include "daemons/http/proxy-path.h"
#include "daemons/http/reply.h"
#include "daemons/http/url.h"
#include "tests/test.h"

TEST(proxies_know_where_to_look) {
        static const struct {
                const char *path, *sub, *head, *request;
                int result;
                const char *url, *file;
        } cases[] = {
                { "/distro/7/os/", "/distro/", "http://mirror.test/pub/", "/distro/7/os/meta/index.xml", 0,
                  "http://mirror.test/pub/7/os/meta/index.xml", "meta/index.xml" },
                { "/distro/7/os/", "/distro/", "http://mirror.test/distro/", "/distro/7/os/meta/index.xml", 0,
                  "http://mirror.test/distro/7/os/meta/index.xml", "meta/index.xml" },
                { "/a/", "", "http://h/", "/a/b", 0, "http://h/a/b", "b" },
                { "/a/", "", "", "/a/b", 0, NULL, "b" },
                { "/a/b", "", "http://h/", "/a/b", 0, "http://h/a/b", "b" },
                { "/", "/", "http://h/x/", "/a b?", 0, "http://h/x/a%20b%3F", "a b?" },
                { "/distro/7/", "", "http://h/", "/distro/other/", -ENOENT, NULL, NULL },
                { "/distro/7/", "", "http://h/", "/distro/other", -ENOENT, NULL, NULL },
                { "/a/", "/b/", "http://h/", "/a/c", -ENOENT, NULL, NULL },
                { "/a/b", "", "http://h/", "/a/bc", -ENOENT, NULL, NULL },
                { "/a/", "", "http://h/", "/a/", -ENOENT, NULL, NULL },
                { "/", "", "http://h/", "", -ENOENT, NULL, NULL },
                { "/a/", "", "http://h/", "", -ENOENT, NULL, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *url = NULL, *file = NULL;
                int r = proxy_path_map(cases[i].path, cases[i].sub, cases[i].head, cases[i].request, &url, &file);

                CHECK_INT(r, cases[i].result);
                CHECK(streq_ptr(url, cases[i].url));
                CHECK(streq_ptr(file, cases[i].file));
        }
}

TEST(urls_are_recognised_and_shown_without_passwords) {
        static const struct {
                const char *url;
                bool valid;
                const char *shown;
        } cases[] = {
                { "http://h", true, "http://h" },
                { "HTTPS://h:1/a?b@c", true, "HTTPS://h:1/a?b@c" },
                { "http://u:p@h/x", true, "http://h/x" },
                { "http://u:p@@h/x", true, "http://h/x" },
                { "http://u:p@/x", false, "http:///x" },
                { "http:///x", false, "http:///x" },
                { "http://:80/", false, "http://:80/" },
                { "ftp://h/", false, "ftp://h/" },
                { "h/x", false, "h/x" },
                { "http://h/a b", false, "http://h/a b" },
                { "", false, "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *shown = http_url_redacted(cases[i].url);

                CHECK_INT(http_url_is_valid(cases[i].url), cases[i].valid);
                CHECK_STR(shown, cases[i].shown);
        }
}

TEST(targets_are_taken_apart) {
        static const struct {
                const char *target;
                int result;
                const char *path, *query;
        } cases[] = {
                { "/", 0, "/", NULL },
                { "/a/b", 0, "/a/b", NULL },
                { "/a?b=c?d", 0, "/a", "?b=c?d" },
                { "/a#b", 0, "/a", NULL },
                { "/%41%2f%7E%c3%A4", 0, "/A/~\xc3\xa4", NULL },
                { "/a+b", 0, "/a+b", NULL },
                { "http://host", 0, "/", NULL },
                { "http://host?q", 0, "/", "?q" },
                { "HTTP://host:80/x/?q", 0, "/x/", "?q" },
                { "https://host/x", -EBADMSG, NULL, NULL },
                { "*", -EBADMSG, NULL, NULL },
                { "host:80", -EBADMSG, NULL, NULL },
                { "", 0, "/", NULL },
                { "a", -EBADMSG, NULL, NULL },
                { "/%", -EBADMSG, NULL, NULL },
                { "/%4", -EBADMSG, NULL, NULL },
                { "/%4g", -EBADMSG, NULL, NULL },
                { "/%g4", -EBADMSG, NULL, NULL },
                { "/a%00b", -EBADMSG, NULL, NULL },
                { "/a?%zz%00", 0, "/a", "?%zz%00" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *path = NULL;
                const char *query = NULL;

                CHECK_INT(url_parse_target(cases[i].target, &path, &query), cases[i].result);
                CHECK_STR(path, cases[i].path);
                CHECK_STR(query, cases[i].query);
        }
}

TEST(paths_are_cleaned) {
        static const struct {
                const char *path, *want;
        } cases[] = {
                { "/", "/" },
                { "//", "/" },
                { "/a", "/a" },
                { "/a/", "/a/" },
                { "/a//", "/a/" },
                { "//a///b", "/a/b" },
                { "/./a/./b/.", "/a/b" },
                { "/a/b/..", "/a" },
                { "/a/b/../", "/a/" },
                { "/..", "/" },
                { "/../..", "/" },
                { "/../../a", "/a" },
                { "/a/../../b/", "/b/" },
                { "/...", "/..." },
                { "/a/..b", "/a/..b" },
                { "/.a/b.", "/.a/b." },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *once = url_clean_path(cases[i].path), *twice = once ? url_clean_path(once) : NULL;

                CHECK_STR(once, cases[i].want);
                CHECK_STR(twice, cases[i].want);
        }
}

TEST(what_is_escaped_reads_back) {
        char all[256] = "/";
        const char *query;

        for (int c = 1; c < 255; c++)
                all[c] = (char) c;
        _cleanup_free_ char *escaped = url_escape_path(all), *back = NULL;
        REQUIRE(escaped);
        CHECK(!strpbrk(escaped, " \r\n?#<>\"\\"));
        CHECK_INT(url_parse_target(escaped, &back, &query), 0);
        CHECK_STR(back, all);
        CHECK(!query);
}

TEST(dates) {
        static const struct {
                const char *text;
                int64_t seconds;        /* -1: none */
        } cases[] = {
                { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
                { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
                { "Sun Nov  6 08:49:37 1994", 784111777 },
                { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
                { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
                { "Sun, 06 Nov 1994 08:49:37", -1 },
                { "Sun, 06 Nov 1994 08:49:37 CET", -1 },
                { "Sun, 06 Nov 1994 08:49:37 GMT ", -1 },
                { "06 Nov 1994", -1 },
                { "784111777", -1 },
                { "", -1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int64_t seconds = -1;

                CHECK_INT(http_date_parse(cases[i].text, &seconds), cases[i].seconds < 0 ? -EINVAL : 0);
                CHECK_INT(seconds, cases[i].seconds);
        }

        char text[HTTP_DATE_SIZE];
        http_date_format(784111777, text);
        CHECK_STR(text, cases[0].text);
        http_date_format(INT64_MAX, text);
        CHECK_STR(text, "");
}

TEST(types_of_content) {
        static const struct {
                const char *name, *want;
        } names[] = {
                { "/a.html", "text/html; charset=utf-8" },
                { "/a.HTML", "text/html; charset=utf-8" },
                { "/a.b/c", NULL },
                { "/a.tar.gz", "application/gzip" },
                { "/a.unheard", NULL },
                { "/", NULL },
        };
        static const struct {
                const char *content;
                size_t size;
                const char *want;
        } contents[] = {
                { "", 0, "text/plain; charset=utf-8" },
                { "hello\n", 6, "text/plain; charset=utf-8" },
                { "a\0b", 3, "application/octet-stream" },
                { " \n<!doctype html><p>", 20, "text/html; charset=utf-8" },
                { "<bold", 5, "text/plain; charset=utf-8" },
                { "<b>", 3, "text/html; charset=utf-8" },
                { "<b", 2, "text/plain; charset=utf-8" },
                { "<?xml version='1.0'?>", 21, "text/xml; charset=utf-8" },
                { "\x89PNG\r\n\x1a\n", 8, "image/png" },
                { "\x89PN", 3, "text/plain; charset=utf-8" },
                { "\x1f\x8b\x08\0", 4, "application/x-gzip" },
                { "RIFF....WEBPVP8 ", 16, "image/webp" },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                CHECK_STR(content_type_by_name(names[i].name), names[i].want);
        for (size_t i = 0; i < ELEMENTSOF(contents); i++)
                CHECK_STR(content_type_by_content(contents[i].content, contents[i].size), contents[i].want);
}

/* A body of pieces reads the same whatever the portions are. */
TEST(pieces_are_read_in_any_portions) {
        static const char want[] = "<0123>89!";
        HttpReply *p = http_reply_new(206);

        REQUIRE(p);
        CHECK_INT(value_strz(&p->data, "0123456789"), 0);
        CHECK_INT(http_reply_piece(p, strdup("<"), 0, 4), 0);
        CHECK_INT(http_reply_piece(p, strdup(">"), 8, 2), 0);
        CHECK_INT(http_reply_piece(p, strdup("!"), 0, 0), 0);
        CHECK_INT(p->size, strlen(want));
        for (size_t portion = 1; portion <= sizeof(want); portion++) {
                char got[32] = "";
                size_t n = 0;

                for (;;) {
                        ssize_t k = http_reply_read(p, n, got + n, portion);
                        if (k <= 0)
                                break;
                        n += (size_t) k;
                }
                CHECK_STR(got, want);
        }
        http_reply_free(p);
}

TEST_MAIN()
