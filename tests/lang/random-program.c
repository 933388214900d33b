/* SPDX-License-Identifier: GPL-3.0-or-later */

/* See random-program.h. Types come first: for each of a few there is a list of ways to write an expression of it, which need
 * others in turn, until nothing is left of the depth; then it is a name or a constant. What can fail is mostly caught, names of
 * resources are mostly of their own, and edges mostly lead to something, so that most programs mostly work.
 *
 * Each statement, and each item of a resource, stands in lines of its own: a program that shows something is made shorter by
 * leaving lines out. */

#include <stdio.h>

#include "common/strbuf.h"
#include "tests/lang/random-program.h"

typedef enum Kind {
        INT,
        STR,
        BOOL,
        FLOAT,
        INTS,
        STRS,
        LISTS,                  /* [][]int */
        INT_BY_STR,
        STR_BY_STR,
        STR_BY_INT,
        PAIR,                   /* struct{a int; b str} */
        PAIRS,
        INT_OF_INT,             /* func(int) int */
        STR_OF_STR,
        STR_OF_INT,
        INT_OF_STR,
        BOOL_OF_INT,
        INT_OF_INTS,            /* func(int, int) int */
        STR_OF_STRS,
        FUNC_OF_STR,            /* func(str) func(int) int */
        FUNCS,                  /* []func(int) int */
        _KINDS,
        NOTHING = -1,
} Kind;

static const struct {
        const char *text;
        int params[2], result;  /* of functions */
} kinds[_KINDS] = {
        [INT] = { "int", { NOTHING }, NOTHING },
        [STR] = { "str", { NOTHING }, NOTHING },
        [BOOL] = { "bool", { NOTHING }, NOTHING },
        [FLOAT] = { "float", { NOTHING }, NOTHING },
        [INTS] = { "[]int", { NOTHING }, NOTHING },
        [STRS] = { "[]str", { NOTHING }, NOTHING },
        [LISTS] = { "[][]int", { NOTHING }, NOTHING },
        [INT_BY_STR] = { "map{str: int}", { NOTHING }, NOTHING },
        [STR_BY_STR] = { "map{str: str}", { NOTHING }, NOTHING },
        [STR_BY_INT] = { "map{int: str}", { NOTHING }, NOTHING },
        [PAIR] = { "struct{a int; b str}", { NOTHING }, NOTHING },
        [PAIRS] = { "[]struct{a int; b str}", { NOTHING }, NOTHING },
        [INT_OF_INT] = { "func(int) int", { INT, NOTHING }, INT },
        [STR_OF_STR] = { "func(str) str", { STR, NOTHING }, STR },
        [STR_OF_INT] = { "func(int) str", { INT, NOTHING }, STR },
        [INT_OF_STR] = { "func(str) int", { STR, NOTHING }, INT },
        [BOOL_OF_INT] = { "func(int) bool", { INT, NOTHING }, BOOL },
        [INT_OF_INTS] = { "func(int, int) int", { INT, INT }, INT },
        [STR_OF_STRS] = { "func(str, str) str", { STR, STR }, STR },
        [FUNC_OF_STR] = { "func(str) func(int) int", { STR, NOTHING }, INT_OF_INT },
        [FUNCS] = { "[]func(int) int", { NOTHING }, NOTHING },
};

enum { NAMES_MAX = 256, NAME_SIZE = 24, PARAMS_MAX = 3, BLOCKS_MAX = 8, STATEMENTS_MAX = 60 };

typedef enum NameIs {
        VARIABLE,
        FUNCTION,
        CLASS,
} NameIs;

typedef struct Name {
        char text[NAME_SIZE];
        NameIs is;
        Kind kind;              /* of a variable; what a function gives */
        bool plain;             /* its type can be seen without inference */
        Kind params[PARAMS_MAX];
        unsigned n_params;
        Kind inner[4];          /* of a class: what its variables v0, v1, … are */
        unsigned n_inner;
        unsigned number;        /* of a class */
} Name;

/* A resource that is there whenever its block is. */
typedef struct Target {
        const char *kind;
        char name[64];          /* an expression */
} Target;

typedef struct Writer {
        Random *r;
        StrBuf out;
        Name names[NAMES_MAX];
        unsigned n_names;
        Target targets[BLOCKS_MAX * 8];
        unsigned n_targets;
        unsigned n_made;        /* for new names */
        unsigned n_statements;
        unsigned depth;         /* of blocks */
        char id[BLOCKS_MAX][NAME_SIZE];         /* of each block that runs more than once: a str that is different each time */
        unsigned n_ids;
} Writer;

static void write_expr(Writer *w, Kind kind, unsigned depth);
static void write_block(Writer *w, unsigned n);

static unsigned pick(Writer *w, unsigned n) {
        return random_pick(w->r, n);
}

static bool percent(Writer *w, unsigned n) {
        return random_percent(w->r, n);
}

/* Writes a text in which %% is one % and %X stands for an expression: I int, S str, B bool, F float, i []int, s []str, L [][]int, M map{str: int},
 * T map{str: str}, N map{int: str}, P pair, p pairs; lower-case letters after & for functions: &i int of int, &s str of str,
 * &a str of int, &l int of str, &b bool of int, &r int of ints, &c str of strs, &f functions, &g function of str. */
static void say(Writer *w, unsigned depth, const char *format) {
        static const char letters[] = "ISBFisLMTNPp", functions[] = "isalbrcgf";

        for (const char *s = format; *s; s++) {
                const char *at;
                if (*s == '%' && s[1] == '%')
                        strbuf_putc(&w->out, *s++);
                else if (*s == '%' && s[1] && (at = strchr(letters, s[1]))) {
                        write_expr(w, (Kind) (at - letters), depth);
                        s++;
                } else if (*s == '&' && s[1] && (at = strchr(functions, s[1]))) {
                        write_expr(w, (Kind) (INT_OF_INT + (at - functions)), depth);
                        s++;
                } else
                        strbuf_putc(&w->out, *s);
        }
}

/* ---- names ---- */

static Name *new_name(Writer *w, const char *text, NameIs is, Kind kind, bool plain) {
        static Name spare;

        if (w->n_names == NAMES_MAX)
                return &spare;
        Name *n = &w->names[w->n_names++];
        *n = (Name) { .is = is, .kind = kind, .plain = plain };
        size_t size = strnlen(text, NAME_SIZE - 1);
        memcpy(n->text, text, size);
        n->text[size] = '\0';
        return n;
}

static bool is_hidden(const Writer *w, unsigned i) {
        for (unsigned j = i + 1; j < w->n_names; j++)
                if (w->names[j].is == w->names[i].is && streq(w->names[j].text, w->names[i].text))
                        return true;
        return false;
}

/* One that can be seen from here, or NULL. */
static const Name *pick_name(Writer *w, NameIs is, Kind kind, bool plain) {
        const Name *found = NULL;
        unsigned n = 0;

        for (unsigned i = 0; i < w->n_names; i++) {
                const Name *x = &w->names[i];
                if (x->is == is && (is == CLASS || x->kind == kind) && (!plain || x->plain) && !is_hidden(w, i) && pick(w, ++n) == 0)
                        found = x;
        }
        return found;
}

static void fresh(Writer *w, char ret[NAME_SIZE], const char *prefix) {
        (void) snprintf(ret, NAME_SIZE, "%s%u", prefix, w->n_made++);
}

/* ---- expressions ---- */

static void write_lambda(Writer *w, Kind kind, unsigned depth) {
        unsigned names = w->n_names;
        bool says = percent(w, 60);

        strbuf_puts(&w->out, "func(");
        for (unsigned i = 0; i < 2 && kinds[kind].params[i] != NOTHING; i++) {
                char name[NAME_SIZE];
                (void) snprintf(name, sizeof(name), "p%u", i + pick(w, 3));
                if (i == 1 && w->n_names > names && streq(w->names[names].text, name))
                        name[0] = 'q';
                new_name(w, name, VARIABLE, (Kind) kinds[kind].params[i], says);
                strbuf_printf(&w->out, "%s$%s%s%s", i > 0 ? ", " : "", name, says ? " " : "", says ? kinds[kinds[kind].params[i]].text : "");
        }
        strbuf_printf(&w->out, ") %s%s{ ", says ? kinds[kinds[kind].result].text : "", says ? " " : "");
        write_expr(w, (Kind) kinds[kind].result, depth > 0 ? depth - 1 : 0);
        strbuf_puts(&w->out, " }");
        w->n_names = names;
}

static void write_constant(Writer *w, Kind kind) {
        static const char *const strings[] = { "", "a", "b", "c", "1", "true", "/a", "x y" };
        static const char *const numbers[] = { "0.0", "1.0", "0.5", "-2.5", "-0.0" };

        switch (kind) {
        case INT:
                strbuf_printf(&w->out, "%d", (int) pick(w, 8) - 2);
                break;
        case STR:
                strbuf_printf(&w->out, "\"%s\"", strings[pick(w, ELEMENTSOF(strings))]);
                break;
        case BOOL:
                strbuf_puts(&w->out, percent(w, 50) ? "true" : "false");
                break;
        case FLOAT:
                strbuf_puts(&w->out, numbers[pick(w, ELEMENTSOF(numbers))]);
                break;
        case INTS:
                strbuf_puts(&w->out, percent(w, 50) ? "[1, 2, 3]" : "[4]");
                break;
        case STRS:
                strbuf_puts(&w->out, percent(w, 50) ? "[\"a\", \"b\"]" : "[\"c\"]");
                break;
        case LISTS:
                strbuf_puts(&w->out, "[[1], [2, 3]]");
                break;
        case INT_BY_STR:
                strbuf_puts(&w->out, "{\"a\" => 1, \"b\" => 2}");
                break;
        case STR_BY_STR:
                strbuf_puts(&w->out, "{\"a\" => \"b\"}");
                break;
        case STR_BY_INT:
                strbuf_puts(&w->out, "{1 => \"b\", -2 => \"c\"}");
                break;
        case PAIR:
                strbuf_puts(&w->out, "struct{a => 7, b => \"z\"}");
                break;
        case PAIRS:
                strbuf_puts(&w->out, "[struct{a => 7, b => \"z\"}]");
                break;
        case FUNCS:
                strbuf_puts(&w->out, "[func($x int) int { $x + 1 }, func($x int) int { $x * 2 }]");
                break;
        default:
                write_lambda(w, kind, 0);
        }
}

/* Of the world, with arguments that are few, so that several often ask for the same. */
static bool write_source(Writer *w, Kind kind, unsigned depth) {
        static const char *const args[] = { "\"a\"", "\"b\"", "\"/a\"" };
        const char *before = NULL, *after = ")";

        switch (kind) {
        case INT:
                if (percent(w, 25)) {
                        strbuf_puts(&w->out, percent(w, 50) ? "sys.cpu_count()" : "sys.uptime()");
                        return true;
                }
                before = percent(w, 50) ? "local.pool(\"a\", " : "(value.get_int(";
                after = before[0] == '(' ? ")->value)" : ")";
                break;
        case STR:
                before = percent(w, 70) ? "os.readfile(" : "(world.getval(";
                after = before[0] == '(' ? ")->value)" : ")";
                break;
        case BOOL:
                before = percent(w, 50) ? "os.file_exists(" : "(world.getval(";
                after = before[0] == '(' ? ")->exists)" : ")";
                break;
        case FLOAT:
                strbuf_puts(&w->out, "(sys.load()->x1)");
                return true;
        case STRS:
                before = "world.schedule(";
                break;
        case STR_BY_STR:
                before = "world.kvlookup(";
                break;
        default:
                return false;
        }
        bool caught = percent(w, 85);
        strbuf_puts(&w->out, caught ? "(" : "");
        strbuf_puts(&w->out, before);
        if (depth > 0 && percent(w, 30))
                write_expr(w, STR, depth - 1);
        else
                strbuf_puts(&w->out, args[pick(w, ELEMENTSOF(args))]);
        strbuf_puts(&w->out, after);
        if (caught) {
                strbuf_puts(&w->out, " <|> ");
                write_expr(w, kind, depth > 0 ? depth - 1 : 0);
                strbuf_putc(&w->out, ')');
        }
        return true;
}

static bool write_variable(Writer *w, Kind kind) {
        const Name *n = pick_name(w, VARIABLE, kind, false);

        if (n)
                strbuf_printf(&w->out, "$%s", n->text);
        return n;
}

static bool write_function_call(Writer *w, Kind kind, unsigned depth) {
        const Name *n = pick_name(w, FUNCTION, kind, false);
        if (!n)
                return false;

        Name copy = *n;
        strbuf_printf(&w->out, "%s(", copy.text);
        for (unsigned i = 0; i < copy.n_params; i++) {
                strbuf_puts(&w->out, i > 0 ? ", " : "");
                write_expr(w, copy.params[i], depth);
        }
        strbuf_putc(&w->out, ')');
        return true;
}

/* Calls a function that is in a variable, or written there and then. */
static bool write_value_call(Writer *w, Kind kind, unsigned depth) {
        Kind of = (Kind) (INT_OF_INT + (int) pick(w, FUNCS - INT_OF_INT));

        for (unsigned i = 0; kinds[of].result != (int) kind && i < FUNCS - INT_OF_INT; i++)
                of = of + 1 < FUNCS ? of + 1 : INT_OF_INT;
        if (kinds[of].result != (int) kind)
                return false;
        const Name *n = pick_name(w, VARIABLE, of, false);
        if (n)
                strbuf_printf(&w->out, "$%s", n->text);
        else
                write_lambda(w, of, depth);
        strbuf_putc(&w->out, '(');
        for (unsigned i = 0; i < 2 && kinds[of].params[i] != NOTHING; i++) {
                strbuf_puts(&w->out, i > 0 ? ", " : "");
                write_expr(w, (Kind) kinds[of].params[i], depth);
        }
        strbuf_putc(&w->out, ')');
        return true;
}

/* list[index] and map[key], for what can be seen to be one. */
static bool write_lookup(Writer *w, Kind kind, unsigned depth) {
        static const struct { Kind gives, of, key; } lookups[] = {
                { INT, INTS, INT }, { STR, STRS, INT }, { INTS, LISTS, INT }, { PAIR, PAIRS, INT }, { INT_OF_INT, FUNCS, INT },
                { INT, INT_BY_STR, STR }, { STR, STR_BY_STR, STR }, { STR, STR_BY_INT, INT },
        };
        unsigned first = pick(w, ELEMENTSOF(lookups));

        for (unsigned i = 0; i < ELEMENTSOF(lookups); i++) {
                unsigned k = (first + i) % ELEMENTSOF(lookups);
                const Name *n = lookups[k].gives == kind ? pick_name(w, VARIABLE, lookups[k].of, true) : NULL;
                if (!n)
                        continue;
                strbuf_printf(&w->out, "$%s[", n->text);
                write_expr(w, lookups[k].key, depth);
                strbuf_putc(&w->out, ']');
                return true;
        }
        return false;
}

/* ! before those that can fail. */
static const char *const ways[_KINDS][24] = {
        [INT] = { "(%I + %I)", "(%I - %I)", "(%I * %I)", "len(%S)", "len(%s)", "len(%i)", "len(%T)", "!list_lookup(%i, %I)",
                  "!map_lookup(%M, %S)", "(%P->a)", "(%P->c <|> %I)", "!math.mod(%I, %I)", "!convert.str_to_int(%S)",
                  "iter.reduce(%I, %i, &r)", "!iter.reduce(%i, &r)", "convert.to_int(%F)", "math.minus1(%I)", "!list.lookup(%i, %I)" },
        [STR] = { "(%S + %S)", "fmt.printf(\"%%d-%%s\", %I, %S)", "fmt.printf(\"%%v\", %i)", "fmt.printf(\"%%v %%v\", %F, %P)",
                  "!list_lookup(%s, %I)", "!map_lookup(%T, %S)", "!map_lookup(%N, %I)", "(%P->b)", "iter.reduce(%S, %s, &c)",
                  "golang.template(\"<{{ .A }} {{ .B }}>\", %P)", "golang.template(\"{{ range . }}{{ . }},{{ end }}\", %i)",
                  "convert.int_to_str(%I)", "convert.format_bool(%B)", "strings.to_upper(%S)", "!strings.substr(%S, 0, %I)",
                  "fmt.printf(if %B { \"%%d!\" } else { \"%%d?\" }, %I)", "golang_strings.join(%s, %S)" },
        [BOOL] = { "(%I < %I)", "(%I >= %I)", "(%I == %I)", "(%S == %S)", "(%i != %i)", "(%P == %P)", "(%T == %T)", "(%F > %F)",
                   "(%B and %B)", "(%B or %B)", "(not %B)", "(%I in %i)", "(%S in %s)", "strings.has_prefix(%S, %S)",
                   "!convert.parse_bool(%S)", "contains(%F, [%F, 1.0])" },
        [FLOAT] = { "!(%I / %I)", "!(%F / %F)", "(%F + %F)", "(%F * %F)", "(%F - %F)", "convert.to_float(%I)", "!math.sqrt(%F)" },
        [INTS] = { "[%I]", "[%I, %I]", "[%I, %I, %I]", "iter.range((math.mod(%I, 5) <|> 0))", "iter.map(%i, &i)", "iter.map(%s, &l)",
                   "iter.filter(%i, &b)", "iter.zip(%i, %i, &r)", "iter.flatten(%L)", "list.concat(%i, %i)", "map.values(%M)",
                   "!list_lookup(%L, %I)", "iter.map(&f, func($x) { $x(%I) })", "iter.map(%p, func($x) { $x->a })" },
        [STRS] = { "[%S]", "[%S, %S]", "iter.map(%s, &s)", "iter.map(%i, &a)", "map.keys(%T)", "map.keys(%M)", "map.values(%N)",
                   "strings.split(%S, %S)", "iter.filter(%s, func($x) { $x != %S })", "iter.zip(%s, %s, &c)",
                   "iter.zip(%i, %s, func($x, $y) { fmt.printf(\"%%d%%s\", $x, $y) })", "list.concat(%s, %s)" },
        [LISTS] = { "[%i]", "[%i, %i]", "iter.map(%i, func($x) { [$x, %I] })", "iter.filter(%L, func($x) { len($x) > %I })" },
        [INT_BY_STR] = { "{\"a\" => %I, \"b\" => %I}", "{%S => %I}", "{%S => %I, (\"x\" + %S) => %I}" },
        [STR_BY_STR] = { "{\"a\" => %S, \"b\" => %S}", "{%S => %S}", "{%S => %S, (\"x\" + %S) => %S, \"q\" => \"d\"}" },
        [STR_BY_INT] = { "{1 => %S, 2 => %S}", "{%I => %S}", "{%I => %S, (%I + 10) => %S}" },
        [PAIR] = { "struct{a => %I, b => %S}", "!list_lookup(%p, %I)", "iter.reduce(%P, %p, func($x, $y) { $y })" },
        [PAIRS] = { "[%P]", "[%P, %P]", "iter.map(%i, func($x int) struct{a int; b str} { struct{a => $x, b => %S} })",
                    "iter.filter(%p, func($x) { $x->a > %I })" },
        [INT_OF_INT] = { "!list_lookup(&f, %I)" },
        [FUNCS] = { "[&i]", "[&i, &i]", "iter.map(%i, func($x int) func(int) int { func($y int) int { $x * $y + %I } })",
                    "iter.map(%s, &g)" },
};

static bool write_way(Writer *w, Kind kind, unsigned depth) {
        unsigned n = 0;

        while (n < ELEMENTSOF(ways[kind]) && ways[kind][n])
                n++;
        if (n == 0)
                return false;
        const char *way = ways[kind][pick(w, n)];
        bool caught = way[0] == '!' && percent(w, 92);
        strbuf_puts(&w->out, caught ? "(" : "");
        say(w, depth, way + (way[0] == '!'));
        if (caught) {
                strbuf_puts(&w->out, " <|> ");
                write_expr(w, kind, depth > 0 ? depth - 1 : 0);
                strbuf_putc(&w->out, ')');
        }
        return true;
}

static void write_expr(Writer *w, Kind kind, unsigned depth) {
        unsigned x = pick(w, 100);

        if (depth == 0 || x < 20) {
                if (percent(w, 75) && write_variable(w, kind))
                        return;
                if (percent(w, depth > 0 ? 60 : 25) && write_source(w, kind, depth))
                        return;
                if (depth == 0 || percent(w, 50)) {
                        write_constant(w, kind);
                        return;
                }
        }
        depth -= depth > 0;
        if (x >= 90) {
                strbuf_puts(&w->out, "(if ");
                write_expr(w, BOOL, depth);
                strbuf_puts(&w->out, " { ");
                write_expr(w, kind, depth);
                strbuf_puts(&w->out, " } else { ");
                write_expr(w, kind, depth);
                strbuf_puts(&w->out, " })");
                return;
        }
        if (x >= 86) {
                strbuf_putc(&w->out, '(');
                write_expr(w, kind, depth);
                strbuf_puts(&w->out, " <|> ");
                write_expr(w, kind, depth);
                strbuf_putc(&w->out, ')');
                return;
        }
        if (x >= 78 && write_lookup(w, kind, depth))
                return;
        if (x >= 68 && write_function_call(w, kind, depth))
                return;
        if (x >= 58 && write_value_call(w, kind, depth))
                return;
        if (x >= 52 && write_source(w, kind, depth))
                return;
        if (kind >= INT_OF_INT && kind < FUNCS && percent(w, 80)) {
                write_lambda(w, kind, depth);
                return;
        }
        if (!write_way(w, kind, depth))
                write_constant(w, kind);
}

/* ---- statements ---- */

static void indent(Writer *w) {
        for (unsigned i = 0; i < w->depth; i++)
                strbuf_putc(&w->out, '\t');
}

static unsigned random_depth(Writer *w) {
        return 1 + pick(w, 3);
}

static Kind random_kind(Writer *w) {
        return (Kind) (percent(w, 60) ? pick(w, STRS + 1) : pick(w, _KINDS));
}

static Name *write_bind(Writer *w, const char *name) {
        Kind kind = random_kind(w);
        bool plain = percent(w, 70);

        strbuf_printf(&w->out, "$%s%s%s = ", name, plain ? " " : "", plain ? kinds[kind].text : "");
        if (plain && kinds[kind].text[0] == '[' && percent(w, 3))
                strbuf_puts(&w->out, "[]");
        else
                write_expr(w, kind, random_depth(w) + 1);
        strbuf_putc(&w->out, '\n');
        return new_name(w, name, VARIABLE, kind, plain);
}

static void write_func(Writer *w) {
        Name n = { .is = FUNCTION, .kind = percent(w, 80) ? (Kind) pick(w, STRS + 1) : random_kind(w), .n_params = pick(w, 4) };
        unsigned names = w->n_names;

        fresh(w, n.text, "f");
        strbuf_printf(&w->out, "func %s(", n.text);
        for (unsigned i = 0; i < n.n_params; i++) {
                char name[NAME_SIZE];
                (void) snprintf(name, sizeof(name), "p%u", i);
                n.params[i] = random_kind(w);
                new_name(w, name, VARIABLE, n.params[i], true);
                strbuf_printf(&w->out, "%s$%s %s", i > 0 ? ", " : "", name, kinds[n.params[i]].text);
        }
        strbuf_printf(&w->out, ") %s { ", kinds[n.kind].text);
        write_expr(w, n.kind, random_depth(w) + 1);
        strbuf_puts(&w->out, " }\n");
        w->n_names = names;
        if (w->n_names < NAMES_MAX)
                w->names[w->n_names++] = n;
}

/* A name, as an expression, that no other resource has. */
static void own_name(Writer *w, char *ret, size_t size) {
        const char *id = w->n_ids > 0 ? w->id[w->n_ids - 1] : NULL;

        (void) snprintf(ret, size, "\"r%u\"%s%s", w->n_made++, id ? " + $" : "", id ?: "");
}

static void write_resource_name(Writer *w, const char *kind) {
        const Name *n;
        Target t = { .kind = kind };

        if (percent(w, 4) && (n = pick_name(w, VARIABLE, STR, true))) {
                strbuf_printf(&w->out, "\"%s${%s}\"", percent(w, 50) ? "n" : "", n->text);
                return;
        }
        if (percent(w, 4)) {
                write_expr(w, STRS, 2);
                return;
        }
        own_name(w, t.name, sizeof(t.name));
        if (percent(w, 15)) {
                strbuf_puts(&w->out, "iter.map(");
                write_expr(w, STRS, 2);
                strbuf_printf(&w->out, ", func($s) { %s + \":\" + $s })", t.name);
                return;
        }
        strbuf_printf(&w->out, "[%s", t.name);
        if (percent(w, 10))
                say(w, 1, ", %S");
        strbuf_putc(&w->out, ']');
        if (w->n_targets < ELEMENTSOF(w->targets))
                w->targets[w->n_targets++] = t;
}

/* A resource that is there, if possible. */
static bool write_half(Writer *w, const Target *t) {
        static const char *const words[][2] = { { "test", "Test" }, { "print", "Print" }, { "noop", "Noop" }, { "value", "Value" } };
        const char *word = "Test";

        if (!t)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (streq(words[i][0], t->kind))
                        word = words[i][1];
        strbuf_printf(&w->out, "%s[[%s]]", word, t->name);
        return true;
}

static const Target *random_target(Writer *w, unsigned below) {
        return below > 0 ? &w->targets[pick(w, below)] : NULL;
}

static void write_condition(Writer *w) {
        if (percent(w, 15))
                say(w, 2, "%B ?: ");
}

/* twin: it is one beside another of its name. */
static void write_items(Writer *w, const char *kind, unsigned n_targets, bool twin) {
        static const struct { const char *kind, *name; Kind type; } fields[] = {
                { "test", "int64", INT }, { "test", "int8", INT }, { "test", "uint8", INT }, { "test", "anotherstr", STR },
                { "test", "stringptr", STR }, { "test", "slicestring", STRS }, { "test", "float64", FLOAT }, { "test", "boolptr", BOOL },
                { "test", "interface", PAIRS }, { "test", "comment", STR }, { "print", "msg", STR }, { "noop", "comment", STR },
                { "value", "any", INT },
        };
        static const char *const properties[] = { "Depend", "Listen", "Depend", "Listen", "Before", "Notify" };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                if (!streq(fields[i].kind, kind) || percent(w, 60))
                        continue;
                if (fields[i].name[strlen(fields[i].name) - 1] == '8' && percent(w, 90))
                        continue;
                indent(w);
                strbuf_printf(&w->out, "%s => ", fields[i].name);
                write_condition(w);
                write_expr(w, fields[i].type, random_depth(w));
                strbuf_puts(&w->out, ",\n");
        }
        for (unsigned i = pick(w, 3); i > 0 && percent(w, 40); i--) {
                indent(w);
                const char *property = properties[pick(w, percent(w, 95) ? 4 : ELEMENTSOF(properties))];
                strbuf_printf(&w->out, "%s => ", property);
                write_condition(w);
                if (!write_half(w, random_target(w, n_targets)))
                        strbuf_puts(&w->out, percent(w, 90) ? "Test[[\"always\"]]" : "Test[[\"never\"]]");
                strbuf_puts(&w->out, ",\n");
        }
        const struct { const char *text; unsigned percent; } metas[] = {
                { "Meta:noop => %B,\n", 5 }, { "Meta:retry => %I,\n", 5 }, { "Meta:hidden => %B,\n", twin ? 0 : 2 },
                { "Meta:sema => %s,\n", 1 }, { "Meta:delay => len(%S),\n", 3 }, { "Meta:poll => %B ?: %I,\n", 3 },
                { "Meta:hidden => true,\n", twin ? 100 : 0 }, { "Meta:export => [\"a\", %S],\n", twin ? 20 : 1 },
        };
        for (size_t i = 0; i < ELEMENTSOF(metas); i++)
                if (percent(w, metas[i].percent)) {
                        indent(w);
                        say(w, 1, metas[i].text);
                }
}

static void write_resource(Writer *w) {
        static const char *const all[] = { "test", "test", "test", "print", "noop", "value" };
        const char *kind = all[pick(w, ELEMENTSOF(all))];
        unsigned n_targets = w->n_targets;

        strbuf_printf(&w->out, "%s ", kind);
        write_resource_name(w, kind);
        strbuf_puts(&w->out, " {\n");
        w->depth++;
        write_items(w, kind, n_targets, false);
        w->depth--;
        indent(w);
        strbuf_puts(&w->out, "}\n");
}

/* One more of a name that is there, or may be. What it depends on is what the other may depend on. */
static void write_twin(Writer *w) {
        unsigned i = pick(w, w->n_targets);
        const char *kind = w->targets[i].kind;

        strbuf_printf(&w->out, "%s [%s] {\n", kind, w->targets[i].name);
        w->depth++;
        write_items(w, kind, i, true);
        w->depth--;
        indent(w);
        strbuf_puts(&w->out, "}\n");
}

static void write_edge(Writer *w) {
        if (w->n_targets < 2) {
                strbuf_puts(&w->out, "Test[[\"always\"]] -> Test[[\"after\"]]\n");
                return;
        }
        unsigned first = pick(w, w->n_targets - 1), second = first + 1 + pick(w, w->n_targets - first - 1);
        if (percent(w, 4)) {
                unsigned t = first;
                first = second;
                second = t;
        }
        const Target *from = &w->targets[first], *to = &w->targets[second];
        write_half(w, from);
        bool sends = streq(from->kind, "test") && percent(w, 40);
        const char *field = streq(to->kind, "print") ? "msg" : streq(to->kind, "test") ? "anotherstr" : NULL;
        strbuf_puts(&w->out, sends && field ? ".hello -> " : " -> ");
        write_half(w, to);
        strbuf_printf(&w->out, "%s%s\n", sends && field ? "." : "", sends && field ? field : "");
}

/* Something that says n times the same, but for its name. */
static void write_inner(Writer *w, unsigned names, unsigned targets) {
        w->depth++;
        write_block(w, 1 + pick(w, 4));
        w->depth--;
        w->n_names = names;
        w->n_targets = targets;
        indent(w);
        strbuf_puts(&w->out, "}");
}

static void push_id(Writer *w, const char *of) {
        char id[NAME_SIZE];

        fresh(w, id, "id");
        w->depth++;
        indent(w);
        w->depth--;
        if (w->n_ids > 0)
                strbuf_printf(&w->out, "$%s str = fmt.printf(\"%%s-%%v\", $%s, $%s)\n", id, w->id[w->n_ids - 1], of);
        else
                strbuf_printf(&w->out, "$%s str = fmt.printf(\"-%%v\", $%s)\n", id, of);
        memcpy(w->id[w->n_ids++], id, sizeof(id));
        new_name(w, id, VARIABLE, STR, true);
}

static void write_if(Writer *w) {
        unsigned names = w->n_names, targets = w->n_targets;

        say(w, 3, "if %B {\n");
        write_inner(w, names, targets);
        if (percent(w, 50)) {
                strbuf_puts(&w->out, " else {\n");
                write_inner(w, names, targets);
        }
        strbuf_putc(&w->out, '\n');
}

static void write_loop(Writer *w) {
        static const struct { Kind over; bool map; Kind first, second; } loops[] = {
                { INTS, false, INT, INT }, { STRS, false, INT, STR }, { PAIRS, false, INT, PAIR }, { FUNCS, false, INT, INT_OF_INT },
                { INT_BY_STR, true, STR, INT }, { STR_BY_STR, true, STR, STR }, { STR_BY_INT, true, INT, STR }, { LISTS, false, INT, INTS },
        };
        unsigned k = pick(w, ELEMENTSOF(loops)), names = w->n_names, targets = w->n_targets;
        char first[NAME_SIZE], second[NAME_SIZE];

        fresh(w, first, "k");
        const Name *other = percent(w, 20) ? pick_name(w, VARIABLE, INT, false) : NULL;
        if (other && !strchr(other->text, '.'))
                memcpy(second, other->text, sizeof(second));
        else
                fresh(w, second, "e");
        strbuf_printf(&w->out, "%s $%s, $%s in ", loops[k].map ? "forkv" : "for", first, second);
        write_expr(w, loops[k].over, random_depth(w));
        strbuf_puts(&w->out, " {\n");
        new_name(w, first, VARIABLE, loops[k].first, false);
        new_name(w, second, VARIABLE, loops[k].second, false);
        push_id(w, first);
        w->n_targets = 0;
        Target kept[ELEMENTSOF(w->targets)];
        memcpy(kept, w->targets, sizeof(kept));
        write_inner(w, names, 0);
        memcpy(w->targets, kept, sizeof(kept));
        w->n_targets = targets;
        w->n_ids--;
        strbuf_putc(&w->out, '\n');
}

static void write_class(Writer *w) {
        Name n = { .is = CLASS, .n_params = 1 + pick(w, 2) };
        unsigned names = w->n_names, targets = w->n_targets, ids = w->n_ids;
        char id[NAME_SIZE], outer[BLOCKS_MAX][NAME_SIZE];

        fresh(w, n.text, "c");
        n.number = w->n_made++;
        fresh(w, id, "id");
        strbuf_printf(&w->out, "class %s($%s str", n.text, id);
        n.params[0] = STR;
        new_name(w, id, VARIABLE, STR, true);
        for (unsigned i = 1; i < n.n_params; i++) {
                char name[NAME_SIZE];
                (void) snprintf(name, sizeof(name), "p%u", i);
                n.params[i] = random_kind(w);
                new_name(w, name, VARIABLE, n.params[i], true);
                strbuf_printf(&w->out, ", $%s %s", name, kinds[n.params[i]].text);
        }
        strbuf_puts(&w->out, ") {\n");
        w->depth++;
        for (n.n_inner = pick(w, 3); n.n_inner > 0 && w->n_names < NAMES_MAX - 1; n.n_inner--) {
                char name[NAME_SIZE];
                (void) snprintf(name, sizeof(name), "v%u_%u", n.number, n.n_inner - 1);
                indent(w);
                n.inner[n.n_inner - 1] = write_bind(w, name)->kind;
        }
        w->depth--;
        for (n.n_inner = 0; n.n_inner < w->n_names - names - n.n_params; n.n_inner++)
                ;
        memcpy(outer, w->id, sizeof(outer));
        memcpy(w->id[0], id, sizeof(id));
        w->n_ids = 1;
        Target kept[ELEMENTSOF(w->targets)];
        memcpy(kept, w->targets, sizeof(kept));
        w->n_targets = 0;
        write_inner(w, names, 0);
        memcpy(w->targets, kept, sizeof(kept));
        w->n_targets = targets;
        w->n_ids = ids;
        memcpy(w->id, outer, sizeof(outer));
        strbuf_putc(&w->out, '\n');
        if (w->n_names < NAMES_MAX)
                w->names[w->n_names++] = n;
}

static void write_include(Writer *w) {
        const Name *class = pick_name(w, CLASS, INT, false);
        char alias[NAME_SIZE] = "", id[64];

        if (!class) {
                strbuf_puts(&w->out, "noop \"once\" {}\n");
                return;
        }
        Name c = *class;
        own_name(w, id, sizeof(id));
        strbuf_printf(&w->out, "include %s(%s", c.text, id);
        for (unsigned i = 1; i < c.n_params; i++) {
                strbuf_puts(&w->out, ", ");
                write_expr(w, c.params[i], random_depth(w));
        }
        strbuf_putc(&w->out, ')');
        if (percent(w, 50)) {
                fresh(w, alias, "a");
                strbuf_printf(&w->out, " as %s", alias);
        }
        strbuf_putc(&w->out, '\n');
        for (unsigned i = 0; alias[0] && i < c.n_inner; i++) {
                char name[NAME_SIZE * 2];
                (void) snprintf(name, sizeof(name), "%s.v%u_%u", alias, c.number, i);
                new_name(w, name, VARIABLE, c.inner[i], false);
        }
}

static void write_statement(Writer *w) {
        char name[NAME_SIZE];
        unsigned x = pick(w, 100);

        w->n_statements++;
        indent(w);
        if (x < 30) {
                fresh(w, name, "v");
                write_bind(w, name);
        } else if (x < 38)
                write_func(w);
        else if (x < 68 || w->depth >= BLOCKS_MAX - 4 || w->n_statements > STATEMENTS_MAX)
                (w->n_targets > 0 && percent(w, 12) ? write_twin : write_resource)(w);
        else if (x < 75)
                write_edge(w);
        else if (x < 83)
                write_if(w);
        else if (x < 91)
                write_loop(w);
        else if (x < 94)
                write_class(w);
        else if (x < 99)
                write_include(w);
        else
                say(w, 2, percent(w, 50) ? "panic(len(%s) > 4)\n" : "panic(if len(%i) > 3 { \"long\" } else { \"\" })\n");
}

static void write_block(Writer *w, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                write_statement(w);
}

char *random_program(Random *r) {
        static const char imports[] =
                "import \"convert\"\nimport \"fmt\"\nimport \"golang\"\nimport \"golang/strings\" as golang_strings\nimport \"iter\"\n"
                "import \"list\"\nimport \"local\"\nimport \"map\"\nimport \"math\"\nimport \"os\"\nimport \"strings\"\nimport \"sys\"\n"
                "import \"value\"\nimport \"world\"\n";
        Writer *w = calloc(1, sizeof(Writer));
        if (!w)
                return NULL;

        w->r = r;
        strbuf_puts(&w->out, imports);
        strbuf_puts(&w->out, "test [\"always\", \"after\"] {}\n");
        for (unsigned i = 2 + pick(w, 3); i > 0; i--) {
                char name[NAME_SIZE];
                fresh(w, name, "v");
                write_bind(w, name);
        }
        write_block(w, 4 + pick(w, 8));
        char *text = strbuf_take(&w->out);
        free(w);
        return text;
}
