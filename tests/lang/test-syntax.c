/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The lexer and the parser by themselves: tokens and their places, the texts of syntax errors, the places of nodes. */

#include "lang/ast.h"
#include "lang/grammar.h"
#include "lang/lang.h"
#include "lang/lexer.h"
#include "tests/test.h"

/* Kinds of the tokens of a text, up to its end or the first error. */
static size_t lex(const char *text, Token *ret, size_t max) {
        _cleanup_(arena_freep) Arena *a = arena_new(0);
        Lexer l = { .arena = a, .file = "x", .text = text, .size = strlen(text), .line = 1, .column = 1 };
        size_t n = 0;

        while (n < max && lexer_next(&l, &ret[n]) >= 0 && ret[n].kind != 0)
                if (ret[n++].kind == ERROR)
                        break;
        return n;
}

TEST(the_longest_token_wins) {
        static const struct {
                const char *text;
                int kinds[8];
        } cases[] = {
                { "a<=b", { IDENTIFIER, LTE, IDENTIFIER, NEWLINE } },
                { "a<|>b", { IDENTIFIER, EXCEPT, IDENTIFIER, NEWLINE } },
                { "a<b", { IDENTIFIER, LT, IDENTIFIER, NEWLINE } },
                { "$a -1", { DOLLAR, IDENTIFIER, INTEGER, NEWLINE } },
                { "$a - 1", { DOLLAR, IDENTIFIER, MINUS, INTEGER, NEWLINE } },
                { "$a->b", { DOLLAR, IDENTIFIER, ARROW, IDENTIFIER, NEWLINE } },
                { "1.5", { FLOAT, NEWLINE } },
                { "1.a", { INTEGER, DOT, IDENTIFIER, NEWLINE } },
                { "-1.5", { FLOAT, NEWLINE } },
                { "FooBar", { CAPITALIZED_IDENTIFIER, CAPITALIZED_IDENTIFIER, NEWLINE } },
                { "forkv format", { FORKV, IDENTIFIER, NEWLINE } },
                { "a # b\nc", { IDENTIFIER, NEWLINE, IDENTIFIER, NEWLINE } },
                { "x?:y", { IDENTIFIER, ELVIS, IDENTIFIER, NEWLINE } },
                { "\"a\\\"b\"", { STRING, NEWLINE } },
                { "\"a # b\"", { STRING, NEWLINE } },
                { "\"a\\\\\" \"b\"", { STRING, STRING, NEWLINE } },
                { "  # a\n\t # b\nc", { NEWLINE, NEWLINE, IDENTIFIER, NEWLINE } },
                { "true", { BOOL, NEWLINE } },
                { "==>", { EQ, GT, NEWLINE } },
                { "", { 0 } },
                { "\n", { NEWLINE } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Token tokens[8];
                size_t n = lex(cases[i].text, tokens, 8);
                for (size_t j = 0; j <= n && j < 8; j++)
                        if ((j < n ? tokens[j].kind : 0) != cases[i].kinds[j])
                                TEST_FAIL("'%s': token %zu is %d, not %d", cases[i].text, j, j < n ? tokens[j].kind : 0, cases[i].kinds[j]);
        }
}

TEST(what_is_no_token_is_told) {
        static const struct { const char *text, *problem; uint32_t line, column, size; } cases[] = {
                { "a\n  ~", "unrecognized", 2, 3, 1 },
                { "foo_", "unrecognized", 1, 4, 1 },
                { "\"open", "unrecognized", 1, 1, 1 },
                { "\"open\\\"", "unrecognized", 1, 1, 1 },
                { "a \"open\n\\", "unrecognized", 1, 3, 1 },
                { "a\r\n", "unrecognized carriage return", 1, 2, 1 },
                { "ä", "unrecognized", 1, 1, 2 },
                { "9223372036854775808", "integer: overflow", 1, 1, 19 },
                { "-9223372036854775809", "integer: overflow", 1, 1, 20 },
                { "1 | 2", "unrecognized", 1, 3, 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Token tokens[8];
                size_t n = lex(cases[i].text, tokens, 8);
                REQUIRE(n > 0);
                const Token *t = &tokens[n - 1];
                CHECK_INT(t->kind, ERROR);
                CHECK_STR(t->problem, cases[i].problem);
                CHECK_INT(t->pos.line, cases[i].line);
                CHECK_INT(t->pos.column, cases[i].column);
                CHECK_INT(t->size, cases[i].size);
        }
}

TEST(numbers_reach_their_limits) {
        Token t[2];

        CHECK_INT(lex("9223372036854775807", t, 1), 1);
        CHECK_INT(t[0].integer, INT64_MAX);
        CHECK_INT(lex("-9223372036854775808", t, 1), 1);
        CHECK_INT(t[0].integer, INT64_MIN);
        CHECK_INT(lex("0007", t, 1), 1);
        CHECK_INT(t[0].integer, 7);
        CHECK_INT(lex("0.1", t, 1), 1);
        CHECK(t[0].number == 0.1);
}

TEST(columns_count_characters_and_ends_count_bytes) {
        Token t[4];

        CHECK_INT(lex("\"äö\" x", t, 4), 3);
        CHECK_INT(t[0].pos.end_column, 7);
        CHECK_INT(t[1].pos.column, 6);
        CHECK_INT(lex("\"a\nbc\" x", t, 4), 3);
        CHECK_INT(t[0].pos.end_line, 2);
        CHECK_INT(t[0].pos.end_column, 4);
        CHECK_INT(t[1].pos.line, 2);
        CHECK_INT(t[1].pos.column, 5);
        CHECK_INT(lex("\"\\\n\\\"ä\" x", t, 4), 3);
        CHECK_INT(t[0].size, 6);
        CHECK_INT(t[0].pos.end_line, 2);
        CHECK_INT(t[0].pos.end_column, 6);
        CHECK_INT(t[1].pos.column, 6);
}

static int parse(Arena *a, const char *text, Ast *ret, Diag *reterr) {
        return ast_parse(a, "/x.mcl", text, strlen(text), ret, reterr);
}

TEST(syntax_errors_have_their_texts) {
        static const struct { const char *text, *error; } cases[] = {
                { "$x = 1 2\n", "parser: `syntax error: unexpected INTEGER, expecting NEWLINE`: /x.mcl @ 1:8-1:9" },
                { "$x == 1\n", "additional equals in bind statement: `syntax error: additional equals in bind statement`: /x.mcl @ 1:2-1:3" },
                { "f \"x\" {\n\ta => 1\n}\n", "expecting trailing comma: `syntax error: expecting trailing comma`: /x.mcl @ 2:7-2:8" },
                { "$x = [1,]\n", "parser: `syntax error: unexpected CLOSE_BRACK`: /x.mcl @ 1:9-1:10" },
                { "$x = 99999999999999999999\n", "integer: overflow: `99999999999999999999`: /x.mcl @ 1:6-1:7" },
                { "}\n", "parser: `syntax error: unexpected CLOSE_CURLY`: /x.mcl @ 1:1-1:2" },
                { "import fmt\n", "parser: `syntax error: unexpected IDENTIFIER, expecting STRING`: /x.mcl @ 1:8-1:9" },
                { "include\n", "parser: `syntax error: unexpected NEWLINE, expecting MAP_IDENTIFIER or IDENTIFIER or COLLECT_IDENTIFIER`: "
                             "/x.mcl @ 1:8-1:9" },
                { "$x struct{a int; a str} = struct{}\n",
                  "can't set return type in parser: `can't set return type in parser: duplicate struct field of `a str``: "
                  "/x.mcl @ 1:23-1:24" },
                { "$x str = 1\n",
                  "can't set return type in parser: `can't set return type in parser: base kind does not match (int != str)`: "
                  "/x.mcl @ 1:10-1:11" },
                { "f \"x\" {\n\tFoo => 1,\n}\n", "parser: `can't use unknown resource field: foo`: /x.mcl @ 2:10-2:11" },
                { "$x = 1 == 2 == 3\n", "parser: `syntax error: unexpected EQ`: /x.mcl @ 1:13-1:14" },
                { "if true { f \"x\" {} }\n", "parser: `syntax error: unexpected CLOSE_CURLY, expecting NEWLINE`: /x.mcl @ 1:20-1:21" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(arena_freep) Arena *a = arena_new(0);
                _cleanup_(diag_done) Diag error = {};
                Ast ast;
                CHECK_INT(parse(a, cases[i].text, &ast, &error), -EBADMSG);
                _cleanup_free_ char *text = lang_error_text(&error);
                CHECK_STR(text, cases[i].error);
        }
}

/* The places of the parts of one statement. */
TEST(nodes_end_with_the_first_token_of_their_last_part) {
        static const struct { const char *text; uint32_t end; } cases[] = {
                { "$x = 1 + f(2, 3)\n", 11 },           /* the operator ends after f */
                { "$x = f(2, 3)\n", 13 },               /* the call with its parenthesis */
                { "$x = 1 + $a.b\n", 12 },              /* after $a */
                { "$x = [1, 2]\n", 12 },
                { "$x = not $a\n", 12 },
                { "$x = $a[1]\n", 11 },
                { "$x = $a->b\n", 11 },
                { "$x = if true { 1 } else { 2 }\n", 30 },
                { "$x = func($a) { $a }\n", 21 },
                { "$x = \"a\" <|> \"b\"\n", 17 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(arena_freep) Arena *a = arena_new(0);
                Ast ast;
                REQUIRE(parse(a, cases[i].text, &ast, NULL) == 0);
                CHECK_INT(ast.block->n, 1);
                CHECK_INT(ast.block->items[0]->bind.value->pos.column, 6);
                if (ast.block->items[0]->bind.value->pos.end_column != cases[i].end)
                        TEST_FAIL("'%s' ends at %u, not %u", cases[i].text, ast.block->items[0]->bind.value->pos.end_column,
                                  cases[i].end);
        }
}

TEST(operators_bind_as_they_should) {
        static const struct { const char *text, *tree; } cases[] = {
                { "1 + 2 * 3", "call:_operator(str(\"+\"), int(1), call:_operator(str(\"*\"), int(2), int(3)))" },
                { "not $a == $b", "call:_operator(str(\"==\"), call:_operator(str(\"not\"), var(a)), var(b))" },
                { "not $a and $b", "call:_operator(str(\"and\"), call:_operator(str(\"not\"), var(a)), var(b))" },
                { "$a or $b and $c", "call:_operator(str(\"or\"), var(a), call:_operator(str(\"and\"), var(b), var(c)))" },
                { "$y + $s->f <|> \"d\"",
                  "call:_operator(str(\"+\"), var(y), call:_struct_lookup_optional(var(s), str(\"f\"), str(\"d\")))" },
                { "$s->f <|> $x <|> $z", "except( call:_struct_lookup_optional(var(s), str(\"f\"), var(x)) <|> var(z) )" },
                { "($s->f) <|> \"d\"", "except( call:_struct_lookup(var(s), str(\"f\")) <|> str(\"d\") )" },
                { "$a->b->c[0]", "call:_lookup(call:_struct_lookup(call:_struct_lookup(var(a), str(\"b\")), str(\"c\")), int(0))" },
                { "1 in [1]", "call:contains(int(1), list(int(1)))" },
                { "1 - -1", "call:_operator(str(\"-\"), int(1), int(-1))" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(arena_freep) Arena *a = arena_new(0);
                _cleanup_free_ char *text = NULL;
                Ast ast;
                REQUIRE(asprintf(&text, "$x = %s\n", cases[i].text) >= 0);
                REQUIRE(parse(a, text, &ast, NULL) == 0);
                CHECK_STR(expr_text(a, ast.block->items[0]->bind.value), cases[i].tree);
        }
}

TEST(nesting_has_a_limit) {
        static const struct { const char *open, *middle, *close; } cases[] = {
                { "(", "1", ")" }, { "[", "1", "]" }, { "not ", "true", "" }, { "{1 => ", "1", "}" }, { "func() { ", "1", " }" },
                { "f(", "1", ")" }, { "struct{a => ", "1", "}" }, { "", "1", "->a" }, { "1 + ", "1", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t depth = 1000; depth <= 1000 * 1000; depth *= 1000) {
                        _cleanup_(arena_freep) Arena *a = arena_new(0);
                        _cleanup_(diag_done) Diag error = {};
                        size_t open = strlen(cases[i].open), close = strlen(cases[i].close);
                        _cleanup_free_ char *text = malloc((open + close) * depth + 16);
                        REQUIRE(text);
                        char *at = stpcpy(text, "$x = ");
                        for (size_t j = 0; j < depth; j++)
                                at = stpcpy(at, cases[i].open);
                        at = stpcpy(at, cases[i].middle);
                        for (size_t j = 0; j < depth; j++)
                                at = stpcpy(at, cases[i].close);
                        stpcpy(at, "\n");
                        Ast ast;
                        int r = parse(a, text, &ast, &error);
                        CHECK_INT(r, depth == 1000 ? 0 : -EBADMSG);
                        if (r < 0)
                                CHECK(strstr(error.message, "nested too deeply"));
                }
}

TEST_MAIN()
