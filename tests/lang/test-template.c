/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Templates: what they print, and what they say of mistakes. */

#include "lang/builtins.h"
#include "lang/template.h"
#include "tests/test.h"

/* Runs golang.template as a program would; vars is in mcl's notation, NULL for none. */
static char *run(const char *text, const char *vars) {
        const Builtin *b = builtin_find("golang.template");
        BuiltinCall call = { .builtin = b };
        Value args[2] = {}, result = VALUE_NIL;
        Diag diag = {};
        char *got = NULL;

        if (value_strz(&args[0], text) == 0 && (!vars || value_parse(vars, NULL, &args[1], &diag) == 0)) {
                int r = b->eval(&call, args, vars ? 2 : 1, &result, &diag);
                got = strdup(r == 0 ? value_cstr(result) : diag.message ?: "failed");
        } else
                got = strdup(diag.message ?: "cannot read the variables");
        value_done(&args[0]);
        value_done(&args[1]);
        value_done(&result);
        diag_done(&diag);
        return got;
}

static const struct { const char *text, *vars, *want; } cases[] = {
        { "", NULL, "" },
        { "plain } text { of } any }} kind", NULL, "plain } text { of } any }} kind" },
        { "{{ . }}", "42", "42" },
        { "{{ . }}", "\"a \\\"b\\\"\"", "a \"b\"" },
        { "{{ . }}", "[1, 2, 3]", "[1 2 3]" },
        { "{{ . }}", "{\"b\" => 2, \"a\" => 1}", "map[a:1 b:2]" },
        { "{{ . }}", NULL, "<no value>" },
        { "{{ . }} {{ printf \"%v\" . }}", "1000000.0", "1e+06 1e+06" },
        { "{{ . }}", "123456.5", "123456.5" },
        { "{{ . }}", "0.00001", "1e-05" },
        { "{{ . }}", "0.0001", "0.0001" },
        { "{{ .Name }} is {{ .Age }}", "struct{name => \"Bo\", age => 5}", "Bo is 5" },
        { "{{ .a.b }}", "{\"a\" => {\"b\" => \"x\"}}", "x" },
        { "{{ $x := 3 }}{{ $x }}{{ $x = 4 }}{{ $x }}", NULL, "34" },
        { "{{ if . }}yes{{ else }}no{{ end }}", "true", "yes" },
        { "{{ if . }}yes{{ else }}no{{ end }}", "\"\"", "no" },
        { "{{ if eq . 1 }}a{{ else if eq . 2 }}b{{ else }}c{{ end }}", "2", "b" },
        { "{{ if eq . 1 }}a{{ else if eq . 2 }}b{{ else }}c{{ end }}", "3", "c" },
        { "{{ range . }}<{{ . }}>{{ end }}", "[\"a\", \"b\"]", "<a><b>" },
        { "{{ range $i, $e := . }}{{ $i }}={{ $e }} {{ end }}", "[\"a\", \"b\"]", "0=a 1=b " },
        { "{{ range $k, $v := . }}{{ $k }}={{ $v }};{{ end }}", "{\"b\" => 2, \"a\" => 1}", "a=1;b=2;" },
        { "{{ range . }}x{{ else }}none{{ end }}", "[]", "none" },
        { "{{ range $i := 3 }}{{ $i }}{{ end }}", NULL, "012" },
        { "{{ range . }}{{ if eq . 2 }}{{ continue }}{{ end }}{{ if eq . 4 }}{{ break }}{{ end }}{{ . }}{{ end }}", "[1, 2, 3, 4, 5]", "13" },
        { "a {{- 1 -}} b", NULL, "a1b" },
        { "a  \n {{- /* note */ -}} \n b", NULL, "ab" },
        { "{{/* a\nb */}}x", NULL, "x" },
        { "{{ with .a }}{{ . }}{{ end }}{{ with .b }}{{ else }}-{{ end }}", "{\"a\" => 1, \"b\" => 0}", "1-" },
        { "{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" 5 }}{{ block \"u\" . }}({{ . }}){{ end }}", "7", "[5](7)" },
        { "{{ 1 | printf \"%03d\" }}", NULL, "001" },
        { "{{ printf \"%s|%5s|%-5s|%q\" .a .a .a .a }}", "{\"a\" => \"x\"}", "x|    x|x    |\"x\"" },
        { "{{ printf \"%x %X %o %b %c %U %+d\" 255 255 8 5 65 65 3 }}", NULL, "ff FF 10 101 A U+0041 +3" },
        { "{{ printf \"%.2f %e %g\" 3.14159 1.5 0.1 }}", NULL, "3.14 1.500000e+00 0.1" },
        { "{{ printf \"%d\" \"x\" }} {{ printf \"%d\" }} {{ printf \"%s\" \"a\" 1 }} {{ printf \"%z\" 1 }}", NULL,
          "%!d(string=x) %!d(MISSING) a%!(EXTRA int64=1) %!z(int64=1)" },
        { "{{ len .a }} {{ index .l 1 }} {{ index .m \"k\" }}", "{\"a\" => [7], \"l\" => [1, 2], \"m\" => {\"k\" => 3}}", "1 2 3" },
        { "{{ len . }} {{ index . 1 }} {{ slice . 1 }}", "[4, 5, 6]", "3 5 [5 6]" },
        { "{{ and 1 0 2 }} {{ or 0 \"\" 3 }} {{ not 1 }}", NULL, "0 3 false" },
        { "{{ lt 1 2 }}{{ le 2 2 }}{{ gt 1 2 }}{{ ge 1 2 }}{{ ne 1 2 }}{{ eq 3 1 2 3 }}", NULL, "truetruefalsefalsetruetrue" },
        { "{{ html \"<a>\" }} {{ urlquery \"a b&c\" }} {{ js \"it's\" }}", NULL, "&lt;a&gt; a+b%26c it\\'s" },
        { "{{ print 1 2 \"x\" 3 }}|{{ println \"a\" 1 }}", NULL, "1 2x3|a 1\n" },
        { "{{ (index . 0).X }}", "[struct{x => 9}]", "9" },
        { "{{ golang_strings_join . \"-\" }}", "[\"a\", \"b\"]", "a-b" },
        { "{{ _concat \"a\" \"b\" }}", NULL, "ab" },
        { "{{ `raw\\n` }}{{ \"\\x41\\u00e9\" }}{{ 'a' }}{{ 0x10 }}{{ 1e3 }}", NULL, "raw\\nA\xc3\xa9" "97161000" },

        { "{{ .Missing }}", "{\"a\" => 1}",
          "template: execution error: template: template:1:3: executing \"template\" at <.Missing>: map has no entry for key \"Missing\"" },
        { "{{ .Nope.X }}", "{\"a\" => 1}",
          "template: execution error: template: template:1:8: executing \"template\" at <.Nope.X>: map has no entry for key \"Nope\"" },
        { "line1\nline2 {{ .Nope }}", "{\"a\" => 1}",
          "template: execution error: template: template:2:9: executing \"template\" at <.Nope>: map has no entry for key \"Nope\"" },
        { "{{ eq 1 \"a\" }}", NULL,
          "template: execution error: template: template:1:3: executing \"template\" at <eq 1 \"a\">: error calling eq: incompatible types for comparison" },
        { "{{ 1e6 }} {{ convert_int_to_str 1e3 }} {{ math_sqrt 16 }}", NULL, "1e+06 1000 4" },
        { "{{ index .   5 }}", "[1]",
          "template: execution error: template: template:1:3: executing \"template\" at <index . 5>: error calling index: index out of range: 5" },
        { "{{ (.A).B }}", "struct{a => 1}",
          "template: execution error: template: template:1:4: executing \"template\" at <.A>: can't evaluate field B in type int64" },
        { "{{ strings_to_upper 5 }}", NULL,
          "template: execution error: template: template:1:20: executing \"template\" at <5>: expected string; found 5" },
        { "{{ convert_int_to_str 5.5 }}", NULL,
          "template: execution error: template: template:1:22: executing \"template\" at <5.5>: expected integer; found 5.5" },
        { "{{ math_sqrt . }}", "16",
          "template: execution error: template: template:1:13: executing \"template\" at <.>: wrong type for value; expected float64; got int64" },
        { "{{ . | golang_strings_join \",\" }}", "\"a  b\"",
          "template: execution error: template: template:1:27: executing \"template\" at <\",\">: wrong type for value; expected []string; got string" },
        { "{{ \"a  b\" |   strings_split }}", NULL,
          "template: execution error: template: template:1:14: executing \"template\" at <strings_split>: error calling strings_split: "
          "wrong number of args for strings_split: want 2 got 1" },
        { "{{ .X }}", "5",
          "template: execution error: template: template:1:3: executing \"template\" at <.X>: can't evaluate field X in type int64" },
        { "{{ range . }}{{ end }}", "\"abc\"",
          "template: execution error: template: template:1:9: executing \"template\" at <.>: range can't iterate over abc" },
        { "{{ template \"t\" }}", NULL,
          "template: execution error: template: template:1:12: executing \"template\" at <{{template \"t\"}}>: template \"t\" not defined" },
        { "a\n{{template   \"t\"  (print .   1)  }}", "5",
          "template: execution error: template: template:2:13: executing \"template\" at <{{template \"t\" (print . 1)}}>: template \"t\" not defined" },
        { "{{ end }}", NULL, "template: parse error: template: template:1: unexpected {{end}}" },
        { "a\n{{ if . }}", NULL, "template: parse error: template: template:2: unexpected EOF" },
        { "{{ nope }}", NULL, "template: parse error: template: template:1: function \"nope\" not defined" },
        { "{{ $x }}", NULL, "template: parse error: template: template:1: undefined variable \"$x\"" },
        { "{{ \"abc }}", NULL, "template: parse error: template: template:1: unterminated quoted string" },
        { "{{ if }}{{ end }}", NULL, "template: parse error: template: template:1: missing value for if" },
        { "{{ break }}", NULL, "template: parse error: template: template:1: {{break}} outside {{range}}" },
        { "{{ 1", NULL, "template: parse error: template: template:1: unclosed action" },
        { "{{ /* x", NULL, "template: parse error: template: template:1: unexpected \"/\" in operand" },
        { "{{/* x", NULL, "template: parse error: template: template:1: unclosed comment" },
        { "{{ 1 | 2 }}", NULL, "template: parse error: template: template:1: non executable command in pipeline stage 2" },
        { "{{ (1 }}", NULL, "template: parse error: template: template:1: unclosed left paren" },
        { "{{ 1a }}", NULL, "template: parse error: template: template:1: bad number syntax: \"1a\"" },
};

TEST(templates) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *got = run(cases[i].text, cases[i].vars);
                if (!streq_ptr(got, cases[i].want))
                        TEST_FAIL("%s with %s gives\n#   %s\n# not\n#   %s", cases[i].text, cases[i].vars ?: "nothing", got, cases[i].want);
        }
}

TEST(what_never_ends_is_stopped) {
        _cleanup_free_ char *deep = run("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}", NULL);
        CHECK(deep && strstr(deep, "executing \"t\" at <{{template \"t\"}}>: exceeded maximum template depth"));

        _cleanup_free_ char *long_ = run("{{ range $i := 9000000000000 }}{{ end }}", NULL);
        CHECK(long_ && strstr(long_, "executing \"template\": the template does too much"));
}

TEST(nesting_has_a_limit) {
        char text[4096];
        size_t n = 0;

        n += (size_t) snprintf(text, sizeof(text), "{{ ");
        for (unsigned i = 0; i < 2000; i++)
                text[n++] = '(';
        text[n] = '\0';
        _cleanup_free_ char *got = run(text, NULL);
        CHECK(got && strstr(got, "nested too deeply"));
}

TEST_MAIN()
