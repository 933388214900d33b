/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Differences of texts, and how they are told. What is random is checked by doing what the hunks say to the first text, which
 * must give the second. */

#include <stdio.h>

#include "common/difference.h"
#include "common/resource.h"
#include "common/strbuf.h"
#include "common/text-diff.h"
#include "tests/test.h"

TEST(hunks) {
        static const struct { const char *from, *to, *want; } cases[] = {
                { "", "", "" },
                { "a\n", "a\n", "" },
                { "", "a\n", "@@ -0,0 +1 @@\n+a\n" },
                { "a\n", "", "@@ -1 +0,0 @@\n-a\n" },
                { "a\n", "b\n", "@@ -1 +1 @@\n-a\n+b\n" },
                { "a", "a\n", "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n" },
                { "a\nb\n", "a\nb", "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n" },
                { "1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nx\n6\n7\n8\n", "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n" },
                { "1\n2\n3\n", "0\n1\n2\n3\n", "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n" },
                /* six lines between two changes still belong to both, seven do not */
                { "a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
                  "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n" },
                { "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
                  "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n" },
                { "a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n",        /* the example of the paper */
                  "@@ -1,7 +1,6 @@\n-a\n-b\n c\n+b\n a\n b\n-b\n a\n+c\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = NULL;
                CHECK_INT(text_diff(cases[i].from, strlen(cases[i].from), cases[i].to, strlen(cases[i].to), &got), 0);
                CHECK_STR(got, cases[i].want);
        }
}

/* What is no text, or too much of it. */
TEST(refused) {
        _cleanup_free_ char *big = calloc(1, TEXT_DIFF_INPUT_MAX + 1), *got = NULL;

        REQUIRE(big);
        CHECK_INT(text_diff("a\0b", 3, "a", 1, &got), -EINVAL);
        CHECK_INT(text_diff("a", 1, "a\0", 2, &got), -EINVAL);
        CHECK_INT(text_diff(big, TEXT_DIFF_INPUT_MAX + 1, "", 0, &got), -EFBIG);
        CHECK(!got);
}

/* ---- random texts ---- */

static void random_text(StrBuf *b, unsigned n_lines, unsigned n_words) {
        for (unsigned i = 0; i < n_lines; i++)
                strbuf_printf(b, "%ld%s", random() % n_words, i + 1 < n_lines || random() % 2 ? "\n" : "");
}

static const char *next_line(const char *s) {
        const char *end = strchr(s, '\n');
        return end ? end + 1 : s + strlen(s);
}

/* Does what a diff says; false if it does not fit. */
static bool patch(const char *from, const char *diff, StrBuf *ret) {
        unsigned long line = 1;         /* the number of the one that from points to */

        while (*diff) {
                unsigned long begin, n = 1;

                if (sscanf(diff, "@@ -%lu,%lu", &begin, &n) < 1)
                        return false;
                for (begin += n == 0; line < begin; line++) {
                        const char *next = next_line(from);
                        strbuf_add(ret, from, (size_t) (next - from));
                        from = next;
                }
                for (diff = next_line(diff); *diff && *diff != '@'; diff = next_line(diff)) {
                        const char *next = next_line(diff);
                        size_t size = (size_t) (next - diff) - 1 - (*next == '\\');

                        if (*diff == '\\')
                                continue;
                        if (*diff != '+') {
                                if (strncmp(from, diff + 1, size) != 0)
                                        return false;
                                from += size;
                                line++;
                        }
                        if (*diff != '-')
                                strbuf_add(ret, diff + 1, size);
                }
        }
        strbuf_puts(ret, from);
        return true;
}

TEST(random_texts) {
        for (unsigned seed = 1; seed <= 3000; seed++) {
                _cleanup_(strbuf_done) StrBuf from = {}, to = {}, got = {};
                _cleanup_free_ char *diff = NULL;

                srandom(seed);
                random_text(&from, (unsigned) random() % 30, 1 + (unsigned) random() % 12);
                random_text(&to, (unsigned) random() % 30, 1 + (unsigned) random() % 12);
                const char *a = from.data ?: "", *b = to.data ?: "";
                CHECK_INT(text_diff(a, strlen(a), b, strlen(b), &diff), 0);
                if (!patch(a, diff, &got) || !streq(got.data ?: "", b)) {
                        printf("# seed %u:\n# from '%s'\n# to '%s'\n# diff '%s'\n# got '%s'\n", seed, a, b, diff, got.data ?: "");
                        CHECK(false);
                        break;
                }
        }
}

TEST(large_texts) {
        _cleanup_(strbuf_done) StrBuf from = {}, to = {};
        _cleanup_free_ char *diff = NULL, *few = NULL;

        for (unsigned i = 0; i < 50000; i++) {
                strbuf_printf(&from, "%u\n", i);
                strbuf_printf(&to, "%u\n", i * 7);
        }
        CHECK_INT(text_diff(from.data, from.size, to.data, to.size, &diff), 0);
        CHECK(strlen(diff) <= TEXT_DIFF_MAX);
        CHECK(endswith(diff, "\\ What follows is left out\n"));

        /* a long text with a small change stays small */
        to.data[to.size / 2] = to.data[to.size / 2] == 'x' ? 'y' : 'x';
        for (char *p = from.data, *q = to.data; *p && *q; p++, q++)
                *q = p == from.data + from.size / 2 ? 'x' : *p;
        to.data[MIN(from.size, to.size)] = '\0';
        CHECK_INT(text_diff(from.data, MIN(from.size, to.size), to.data, MIN(from.size, to.size), &few), 0);
        CHECK(strlen(few) < 200);
}

/* ---- differences ---- */

static char *told(const char *from, const char *to, bool brief, bool with_diff) {
        _cleanup_(difference_done) Difference d = {};

        if (difference_new(&d, "f", from, from ? strlen(from) : 0, to, to ? strlen(to) : 0, brief) < 0)
                return NULL;
        return difference_text(&d, with_diff);
}

TEST(as_text) {
        static const struct { const char *from, *to; bool brief, with_diff; const char *want; } cases[] = {
                { "a", "b", false, true, "f: a -> b" },
                { NULL, "b", false, true, "f: b" },
                { "a", NULL, false, true, "f: a -> nothing" },
                { NULL, NULL, false, true, "f" },
                { "", "b", false, true, "f: \"\" -> b" },
                { "a\n", "b\n", false, true, "f:\n@@ -1 +1 @@\n-a\n+b" },
                { "a\n", "b\n", false, false, "f" },
                { "a\n", "b\nc\n", true, true, "f: 2 bytes -> 4 bytes" },
                { NULL, "\n", true, true, "f: 1 byte" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = told(cases[i].from, cases[i].to, cases[i].brief, cases[i].with_diff);
                CHECK_STR(text, cases[i].want);
        }

        _cleanup_(difference_done) Difference binary = {};
        _cleanup_free_ char *text = NULL;
        CHECK_INT(difference_new(&binary, "f", "a\0b\n", 4, "a\n", 2, false), 0);
        text = difference_text(&binary, true);
        CHECK_STR(text, "f: 4 bytes -> 2 bytes");
}

TEST(lists_are_bounded) {
        _cleanup_(differences_done) Differences list = {};
        _cleanup_free_ char *large = malloc(DIFFERENCES_SIZE_MAX / 2);

        REQUIRE(large);
        memset(large, 'x', DIFFERENCES_SIZE_MAX / 2 - 1);
        large[DIFFERENCES_SIZE_MAX / 2 - 1] = '\0';
        for (unsigned i = 0; i < 2 * DIFFERENCES_MAX; i++) {
                Difference d = { .field = strdup("f"), .to = strdup(large) };
                CHECK_INT(differences_add(&list, &d), 0);
                CHECK(!d.field && !d.to);
        }
        CHECK_INT(list.n, DIFFERENCES_MAX);
        CHECK(list.size <= DIFFERENCES_SIZE_MAX + 64);
        CHECK(list.items[0].to);
        CHECK(!list.items[2].to);
}

/* ---- what kinds say ---- */

typedef struct Thing {
        Resource resource;
        char *plain, *password;
} Thing;

static const FieldSpec thing_fields[] = {
        FIELD(Thing, plain, FIELD_STR, 0, "Everybody may see it."),
        FIELD(Thing, password, FIELD_STR, FIELD_SECRET, "Nobody may."),
        {}
};

static const FieldSpec thing_sends[] = {
        { .name = "key", .type = FIELD_STR, .flags = FIELD_SECRET, .doc = "A secret." },
        {}
};

static const ResourceType thing_type = { .kind = "thing", .doc = "A thing.", .size = sizeof(Thing), .fields = thing_fields, .sends = thing_sends };

static StrBuf said;

static void on_differs(Resource *r, Difference *d) {
        _cleanup_free_ char *text = difference_text(d, true);

        strbuf_printf(&said, "%s; ", text);
        CHECK(!(d->flags & DIFFERENCE_SECRET) || (!d->from && !d->to && !d->diff));
}

TEST(secrets_stay_secret) {
        ResourceHost host = { .differs = on_differs };
        _cleanup_(resource_freep) Resource *r = NULL;

        REQUIRE(resource_new(&r, &thing_type, &host, "t", (Pos) {}) >= 0);
        resource_differs(r, "plain", "a", "b");
        resource_differs(r, "password", "a", "b");
        resource_differs_bytes(r, "password", "a\n", 2, "b\n", 2);
        resource_differs(r, "key", NULL, "b");
        r->secret = 1;                  /* plain was received from somebody's secret */
        resource_differs(r, "plain", "a", "b");
        resource_differs_number(r, "other", 1, 2);
        resource_send_unknown(r, "key");

        /* one that comes from elsewhere is not trusted to be masked */
        Difference d = { .field = strdup("password"), .from = strdup("a"), .to = strdup("b"), .diff = strdup("c") };
        resource_difference(r, &d);
        CHECK_STR(said.data, "plain: a -> b; password: (secret); password: (secret); key: (secret); plain: (secret); other: 1 -> 2; "
                  "key cannot be known yet; password: (secret); ");
        strbuf_done(&said);

        host.differs = NULL;            /* nobody wants to know */
        resource_differs(r, "plain", "a", "b");
        resource_send_unknown(r, "key");
}

TEST_MAIN()
