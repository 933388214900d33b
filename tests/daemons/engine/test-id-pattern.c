/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Patterns over "kind[name]": as globs, but brackets are brackets. */

#include "daemons/engine/id-pattern.h"
#include "tests/test.h"

TEST(patterns) {
        static const struct {
                const char *pattern, *kind, *name;
                bool matches;
        } cases[] = {
                { NULL, "file", "/a", true },
                { "", "file", "/a", true },
                { "*", "file", "/a", true },
                { "file[/a]", "file", "/a", true },
                { "file[/a]", "file", "/ab", false },
                { "file[/a", "file", "/a", false },
                { "file[*]", "file", "]", true },
                { "file*", "file", "/a", true },
                { "*[/a]", "http:server:file", "/a", true },
                { "*:*[*a*b*]", "a:b", "xaxbx", true },
                { "*:*[*a*b*]", "a:b", "xbxax", false },
                { "fil?[?a]", "file", "/a", true },
                { "?", "", "", false },
                { "[]", "", "", true },
                { "*a*a*a*a*a*a*a*a*b", "file", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (id_pattern_match(cases[i].pattern, cases[i].kind, cases[i].name) != cases[i].matches)
                        TEST_FAIL("'%s' and %s[%s]", cases[i].pattern, cases[i].kind, cases[i].name);
}

TEST_MAIN()
