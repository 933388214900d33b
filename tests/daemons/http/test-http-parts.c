/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The pure parts of mgmt-http: targets, paths, dates, types of content. */

#include "daemons/http/content-type.h"
#include "daemons/http/date.h"
#include "daemons/http/reply.h"
#include "daemons/http/url.h"
#include "tests/test.h"

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
