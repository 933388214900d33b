/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Templates: from text to a tree. One pass over the bytes, without a token list: what an action holds is read where it stands.
 * Nesting is limited, so that no input can exhaust the stack. */

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/utf8.h"
#include "lang/template.h"

enum {
        DEPTH_MAX = 200,
        VARIABLES_MAX = 1000,
};

typedef struct Parser {
        Template *t;
        const char *s;
        size_t size, at;
        bool (*known)(const char *name);
        Diag *reterr;
        int error;
        unsigned depth, ranges;
        char *variables[VARIABLES_MAX];
        size_t n_variables;
        size_t first_variable;  /* those before it belong to an outer template */
} Parser;

typedef enum Ending { ENDING_EOF, ENDING_END, ENDING_ELSE } Ending;

static bool fail(Parser *p, const char *format, ...) _printf_(2, 3);
static bool fail(Parser *p, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        size_t line = 1;
        va_list ap;

        if (p->error < 0)
                return false;
        va_start(ap, format);
        int n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        for (size_t i = 0; i < p->at && i < p->size; i++)
                line += p->s[i] == '\n';
        p->error = diag_set(p->reterr, (Pos) {}, -EINVAL, "template: parse error: template: template:%zu: %s", line,
                            text ?: "out of memory");
        return false;
}

static void *alloc(Parser *p, size_t size) {
        void *x = arena_alloc(p->t->arena, size);

        if (!x && p->error >= 0)
                p->error = diag_set(p->reterr, (Pos) {}, -ENOMEM, "out of memory");
        return x;
}

static char *copy(Parser *p, size_t begin, size_t end) {
        char *x = arena_strndup(p->t->arena, p->s + begin, end - begin);

        if (!x && p->error >= 0)
                p->error = diag_set(p->reterr, (Pos) {}, -ENOMEM, "out of memory");
        return x;
}

/* ---- inside an action ---- */

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(char c) {
        return isalnum((unsigned char) c) || c == '_' || (unsigned char) c >= 0x80;
}

static bool looking_at(const Parser *p, const char *text) {
        size_t n = strlen(text);

        return p->size - p->at >= n && memcmp(p->s + p->at, text, n) == 0;
}

/* Whether the action ends here: }}, or a dash behind white space and then }}. */
static bool at_end(const Parser *p) {
        return looking_at(p, "}}") || (looking_at(p, "-}}") && p->at > 0 && is_space(p->s[p->at - 1]));
}

static void skip_space(Parser *p) {
        while (p->at < p->size && is_space(p->s[p->at]))
                p->at++;
}

static size_t word_end(const Parser *p, size_t at) {
        while (at < p->size && is_word(p->s[at]))
                at++;
        return at;
}

static bool take_word(Parser *p, const char *word) {
        size_t n = strlen(word);

        if (!looking_at(p, word) || word_end(p, p->at) != p->at + n)
                return false;
        p->at += n;
        return true;
}

static bool keep_constant(Parser *p, Value v) {
        Template *t = p->t;

        if (GROW(t->constants, t->n_constants, t->capacity) < 0) {
                value_done(&v);
                p->error = diag_set(p->reterr, (Pos) {}, -ENOMEM, "out of memory");
                return false;
        }
        t->constants[t->n_constants++] = v;
        return true;
}

static bool read_digits(Parser *p, unsigned n, unsigned base, uint32_t *ret) {
        uint32_t x = 0;

        for (unsigned i = 0; i < n; i++) {
                char c = p->at < p->size ? p->s[p->at] : '\0';
                int digit = hex_digit(c);
                if (digit < 0 || (unsigned) digit >= base)
                        return fail(p, "invalid syntax");
                x = x * base + (unsigned) digit;
                p->at++;
        }
        *ret = x;
        return true;
}

static void put_utf8(StrBuf *b, uint32_t c) {
        char bytes[4];

        strbuf_add(b, bytes, utf8_encode(c, bytes));
}

/* One escape, behind its backslash. */
static bool read_escape(Parser *p, char quote, StrBuf *b) {
        static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
        char c = p->at < p->size ? p->s[p->at] : '\0';
        const char *simple = c ? strchr(from, c) : NULL;
        uint32_t code = 0;

        if (simple) {
                strbuf_putc(b, to[simple - from]);
                p->at++;
                return true;
        }
        if (c == quote && c) {
                strbuf_putc(b, c);
                p->at++;
                return true;
        }
        if (c == 'x' || c == 'u' || c == 'U') {
                p->at++;
                if (!read_digits(p, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16, &code))
                        return false;
                if (c == 'x')
                        strbuf_putc(b, (char) code);
                else if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                        return fail(p, "invalid syntax");
                else
                        put_utf8(b, code);
                return true;
        }
        if (c >= '0' && c <= '7') {
                if (!read_digits(p, 3, 8, &code))
                        return false;
                if (code > 255)
                        return fail(p, "invalid syntax");
                strbuf_putc(b, (char) code);
                return true;
        }
        return fail(p, "invalid syntax");
}

static bool read_string(Parser *p, Value *ret) {
        char quote = p->s[p->at++];
        StrBuf b = {};
        bool ok = true;

        for (;;) {
                char c = p->at < p->size ? p->s[p->at] : '\n';
                if (p->at >= p->size || (c == '\n' && quote == '"')) {
                        ok = fail(p, quote == '"' ? "unterminated quoted string" : "unterminated raw quoted string");
                        break;
                }
                p->at++;
                if (c == quote)
                        break;
                if (c == '\\' && quote == '"') {
                        ok = read_escape(p, '"', &b);
                        if (!ok)
                                break;
                } else if (c != '\r' || quote == '"')
                        strbuf_putc(&b, c);
        }
        if (ok && (b.failed || value_str(ret, b.data ?: "", b.size) < 0)) {
                p->error = diag_set(p->reterr, (Pos) {}, -ENOMEM, "out of memory");
                ok = false;
        }
        strbuf_done(&b);
        return ok;
}

static bool read_rune(Parser *p, Value *ret) {
        size_t begin = p->at++;
        StrBuf b = {};
        bool ok = true;

        while (ok && p->at < p->size && p->s[p->at] != '\'' && p->s[p->at] != '\n') {
                char c = p->s[p->at++];
                if (c == '\\')
                        ok = read_escape(p, '\'', &b);
                else
                        strbuf_putc(&b, c);
        }
        if (ok && (p->at >= p->size || p->s[p->at] != '\''))
                ok = fail(p, "unterminated character constant");
        if (ok) {
                uint32_t code = 0;
                size_t n = b.size > 0 ? utf8_decode(b.data, b.size, &code) : 0;
                p->at++;
                if (n == 0 || n != b.size)
                        ok = fail(p, "malformed character constant: %.*s", (int) (p->at - begin), p->s + begin);
                else
                        *ret = VALUE_INT(code);
        }
        strbuf_done(&b);
        return ok;
}

static bool read_number(Parser *p, Value *ret) {
        size_t begin = p->at;
        char text[64];
        size_t n = 0;

        if (p->s[p->at] == '+' || p->s[p->at] == '-')
                p->at++;
        bool hex = looking_at(p, "0x") || looking_at(p, "0X");
        while (p->at < p->size) {
                char c = p->s[p->at];
                bool sign = (c == '+' || c == '-') && p->at > begin && strchr(hex ? "pP" : "eE", p->s[p->at - 1]);
                if (!is_word(c) && c != '.' && !sign)
                        break;
                p->at++;
        }
        for (size_t i = begin; i < p->at; i++)
                if (p->s[i] != '_' && n + 1 < sizeof(text))
                        text[n++] = p->s[i];
        text[n] = '\0';

        char *digits = text + (*text == '+' || *text == '-'), *end = NULL;
        int base = 0;
        if (digits[0] == '0' && (digits[1] | 32) == 'b')
                base = 2;
        else if (digits[0] == '0' && (digits[1] | 32) == 'o')
                base = 8;
        errno = 0;
        if (p->at - begin < sizeof(text) && n > 0) {
                long long i = strtoll(base > 0 ? digits + 2 : text, &end, base);
                if (errno == 0 && *end == '\0' && end != text) {
                        *ret = VALUE_INT(base > 0 && *text == '-' ? -i : i);
                        return true;
                }
                double f = strtod(text, &end);
                if (base == 0 && *end == '\0' && isdigit((unsigned char) (digits[0] == '.' ? digits[1] : digits[0])) && isfinite(f)) {
                        *ret = VALUE_FLOAT(f);
                        return true;
                }
        }
        return fail(p, "bad number syntax: \"%.*s\"", (int) MIN(p->at - begin, 60u), p->s + begin);
}

static TemplatePipeline *read_pipeline(Parser *p, const char *context, bool parenthesis);

static bool add_name(Parser *p, TemplateExpr *e, size_t begin, size_t end) {
        char **grown = alloc(p, (e->n_names + 1) * sizeof(char *));
        char *name = copy(p, begin, end);

        if (!grown || !name)
                return false;
        if (e->n_names > 0)
                memcpy(grown, e->names, e->n_names * sizeof(char *));
        grown[e->n_names++] = name;
        e->names = grown;
        return true;
}

/* .A.B behind what was read. Messages point to the second element's dot, where there are several. */
static bool read_fields(Parser *p, TemplateExpr *e) {
        while (p->at < p->size && p->s[p->at] == '.') {
                size_t end = word_end(p, p->at + 1);
                if (end == p->at + 1)
                        return fail(p, "unexpected <.> in operand");
                if (e->n_names == 1)
                        e->at = p->at;
                if (!add_name(p, e, p->at + 1, end))
                        return false;
                p->at = end;
        }
        return true;
}

static bool has_variable(const Parser *p, const char *name) {
        for (size_t i = p->n_variables; i > p->first_variable; i--)
                if (streq(p->variables[i - 1], name))
                        return true;
        return false;
}

/* Messages about what is behind parentheses point to what was evaluated last in them. */
static void point_inside(TemplateExpr *e) {
        const TemplateCommand *c = &e->pipeline->commands[e->pipeline->n - 1];
        const TemplateExpr *last = c->args[c->n - 1];

        e->at = last->at;
        e->begin = last->begin;
        e->end = last->end;
}

static TemplateExpr *read_operand(Parser *p) {
        TemplateExpr *e = alloc(p, sizeof(TemplateExpr));
        char c = p->s[p->at];
        bool ok = true;

        if (!e)
                return NULL;
        e->at = e->begin = p->at;
        if (c == '.' && p->at + 1 < p->size && is_word(p->s[p->at + 1]) && !isdigit((unsigned char) p->s[p->at + 1])) {
                e->kind = TEMPLATE_FIELD;
                ok = read_fields(p, e);
        } else if (c == '.' && !(p->at + 1 < p->size && isdigit((unsigned char) p->s[p->at + 1]))) {
                e->kind = TEMPLATE_DOT;
                p->at++;
        } else if (c == '$') {
                size_t end = word_end(p, p->at + 1);
                e->kind = TEMPLATE_VARIABLE;
                ok = add_name(p, e, p->at, end);
                if (ok && end > p->at + 1 && !has_variable(p, e->names[0]))
                        ok = fail(p, "undefined variable \"%s\"", e->names[0]);
                p->at = end;
                ok = ok && read_fields(p, e);
        } else if (c == '"' || c == '`') {
                e->kind = TEMPLATE_CONSTANT;
                ok = read_string(p, &e->value) && keep_constant(p, e->value);
        } else if (c == '\'') {
                e->kind = TEMPLATE_CONSTANT;
                e->is_rune = true;
                ok = read_rune(p, &e->value);
        } else if (isdigit((unsigned char) c) || c == '+' || c == '-' || c == '.') {
                e->kind = TEMPLATE_CONSTANT;
                ok = read_number(p, &e->value);
        } else if (c == '(') {
                if (p->depth >= DEPTH_MAX)
                        return fail(p, "nested too deeply"), NULL;
                p->depth++;
                p->at++;
                e->pipeline = read_pipeline(p, "parenthesized pipeline", true);
                p->depth--;
                ok = e->pipeline != NULL;
                e->kind = TEMPLATE_PIPELINE;
                if (ok && p->at < p->size && p->s[p->at] == '.') {
                        e->kind = TEMPLATE_CHAIN;
                        ok = read_fields(p, e);
                }
        } else if (is_word(c)) {
                size_t end = word_end(p, p->at);
                if (take_word(p, "true") || take_word(p, "false")) {
                        e->kind = TEMPLATE_CONSTANT;
                        e->value = VALUE_BOOL(c == 't');
                } else if (take_word(p, "nil"))
                        e->kind = TEMPLATE_NIL;
                else {
                        e->kind = TEMPLATE_FUNCTION;
                        ok = add_name(p, e, p->at, end);
                        if (ok && !template_has_builtin(e->names[0]) && !p->known(e->names[0]))
                                ok = fail(p, "function \"%s\" not defined", e->names[0]);
                        p->at = end;
                }
        } else
                ok = fail(p, "unexpected \"%c\" in operand", c);
        if (ok && p->at < p->size && !is_space(p->s[p->at]) && (!p->s[p->at] || !strchr(")|,:=", p->s[p->at])) &&
            !at_end(p))
                ok = fail(p, "bad character U+%04X '%c'", (unsigned char) p->s[p->at], p->s[p->at]);
        e->end = p->at;
        if (ok && e->kind == TEMPLATE_CHAIN)
                point_inside(e);
        return ok ? e : NULL;
}

static bool read_command(Parser *p, TemplateCommand *ret) {
        TemplateExpr **args = NULL;
        size_t n = 0, capacity = 0;

        skip_space(p);
        *ret = (TemplateCommand) { .begin = p->at };
        while (p->at < p->size && !at_end(p) && p->s[p->at] != '|' && p->s[p->at] != ')') {
                TemplateExpr *e = read_operand(p);
                if (!e)
                        return false;
                if (n >= capacity) {
                        capacity = capacity ? capacity * 2 : 4;
                        TemplateExpr **grown = alloc(p, capacity * sizeof(*grown));
                        if (!grown)
                                return false;
                        if (n > 0)
                                memcpy(grown, args, n * sizeof(*grown));
                        args = grown;
                }
                args[n++] = e;
                ret->end = p->at;
                skip_space(p);
        }
        ret->args = args;
        ret->n = n;
        return true;
}

static bool declare(Parser *p, TemplatePipeline *pipeline, char *name) {
        char **grown = alloc(p, (pipeline->n_variables + 1) * sizeof(char *));

        if (!grown)
                return false;
        if (pipeline->n_variables > 0)
                memcpy(grown, pipeline->variables, pipeline->n_variables * sizeof(char *));
        grown[pipeline->n_variables++] = name;
        pipeline->variables = grown;
        return true;
}

/* "$x :=", "$x =", and for range "$i, $x :=". Puts p back where it was if there is none. */
static bool read_declaration(Parser *p, TemplatePipeline *pipeline, bool range) {
        size_t begin = p->at;
        char *names[2];
        size_t n = 0;

        while (n < (range ? 2 : 1) && p->at < p->size && p->s[p->at] == '$') {
                size_t end = word_end(p, p->at + 1);
                names[n] = copy(p, p->at, end);
                if (!names[n++])
                        return false;
                p->at = end;
                skip_space(p);
                if (n == 2 || p->at >= p->size || p->s[p->at] != ',')
                        break;
                p->at++;
                skip_space(p);
        }
        bool assign = n > 0 && p->at < p->size && p->s[p->at] == '=';
        if (n == 0 || (!assign && !looking_at(p, ":="))) {
                p->at = begin;
                return true;
        }
        p->at += assign ? 1 : 2;
        pipeline->assign = assign;
        for (size_t i = 0; i < n; i++) {
                if (assign && !has_variable(p, names[i]))
                        return fail(p, "undefined variable \"%s\"", names[i]);
                if (!declare(p, pipeline, names[i]))
                        return false;
        }
        return true;
}

/* Up to, and without, the end of the action; or with the closing parenthesis. */
static TemplatePipeline *read_pipeline(Parser *p, const char *context, bool parenthesis) {
        TemplatePipeline *pipeline = alloc(p, sizeof(TemplatePipeline));
        size_t capacity = 0;

        if (!pipeline)
                return NULL;
        skip_space(p);
        pipeline->begin = p->at;
        if (!read_declaration(p, pipeline, streq(context, "range")))
                return NULL;
        for (;;) {
                TemplateCommand command;
                if (!read_command(p, &command))
                        return NULL;
                bool closes = p->at < p->size && p->s[p->at] == ')';
                if (closes && !parenthesis)
                        return fail(p, "unexpected right paren"), NULL;
                if (p->at >= p->size)
                        return fail(p, parenthesis ? "unclosed left paren" : "unclosed action"), NULL;
                if (command.n == 0)
                        return fail(p, pipeline->n == 0 ? "missing value for %s" : "missing value for command", context), NULL;
                if (pipeline->n > 0 && command.args[0]->kind != TEMPLATE_FUNCTION && command.args[0]->kind != TEMPLATE_FIELD &&
                    command.args[0]->kind != TEMPLATE_VARIABLE && command.args[0]->kind != TEMPLATE_CHAIN)
                        return fail(p, "non executable command in pipeline stage %zu", pipeline->n + 1), NULL;
                if (pipeline->n >= capacity) {
                        capacity = capacity ? capacity * 2 : 2;
                        TemplateCommand *grown = alloc(p, capacity * sizeof(*grown));
                        if (!grown)
                                return NULL;
                        if (pipeline->n > 0)
                                memcpy(grown, pipeline->commands, pipeline->n * sizeof(*grown));
                        pipeline->commands = grown;
                }
                pipeline->commands[pipeline->n++] = command;
                pipeline->end = command.end;
                if (closes) {
                        p->at++;
                        return pipeline;
                }
                if (p->s[p->at] != '|') {
                        if (parenthesis)
                                return fail(p, "unclosed left paren"), NULL;
                        break;
                }
                p->at++;
        }
        if (!pipeline->assign)
                for (size_t i = 0; i < pipeline->n_variables; i++) {
                        if (p->n_variables >= VARIABLES_MAX)
                                return fail(p, "too many variables"), NULL;
                        p->variables[p->n_variables++] = pipeline->variables[i];
                }
        return pipeline;
}

/* ---- actions and what stands between them ---- */

static bool end_action(Parser *p) {
        skip_space(p);
        if (p->at < p->size && at_end(p)) {
                bool trim = p->s[p->at] == '-';
                p->at += trim ? 3 : 2;
                if (trim)
                        skip_space(p);
                return true;
        }
        if (p->at >= p->size)
                return fail(p, "unclosed action");
        return fail(p, "unexpected \"%c\" in command", p->s[p->at]);
}

/* Comments have to touch the braces; nothing of them stays. */
static bool skip_comment(Parser *p) {
        const char *end = memmem(p->s + p->at, p->size - p->at, "*/", 2);

        if (!end)
                return fail(p, "unclosed comment");
        p->at = (size_t) (end - p->s) + 2;
        if (p->at < p->size && is_space(p->s[p->at])) {
                size_t at = p->at;
                skip_space(p);
                if (!looking_at(p, "-}}"))
                        p->at = at;
        }
        if (!looking_at(p, "}}") && !at_end(p))
                return fail(p, "comment ends before closing delimiter");
        return end_action(p);
}

static bool read_list(Parser *p, TemplateNode **ret, Ending *ret_ending);

/* The parts of if, with and range, up to {{ end }}. */
static bool read_branches(Parser *p, TemplateNode *n, const char *word) {
        size_t scope = p->n_variables;
        Ending ending;

        if (p->depth >= DEPTH_MAX)
                return fail(p, "nested too deeply");
        p->depth++;
        n->pipeline = read_pipeline(p, word, false);
        p->ranges += n->kind == TEMPLATE_RANGE;
        bool ok = n->pipeline && end_action(p) && read_list(p, &n->body, &ending);
        p->ranges -= n->kind == TEMPLATE_RANGE;
        if (ok && ending == ENDING_EOF)
                ok = fail(p, "unexpected EOF");
        if (ok && ending == ENDING_ELSE) {
                skip_space(p);
                if (n->kind != TEMPLATE_RANGE && take_word(p, word)) {
                        /* else if: as if in an else of its own, which this end closes too */
                        n->otherwise = alloc(p, sizeof(TemplateNode));
                        ok = n->otherwise != NULL;
                        if (ok) {
                                n->otherwise->kind = n->kind;
                                n->otherwise->at = p->at;
                                ok = read_branches(p, n->otherwise, word);
                        }
                } else {
                        ok = end_action(p) && read_list(p, &n->otherwise, &ending);
                        if (ok && ending != ENDING_END)
                                ok = fail(p, ending == ENDING_EOF ? "unexpected EOF" : "expected end; found {{else}}");
                }
        }
        p->depth--;
        p->n_variables = scope;
        return ok;
}

static bool read_name(Parser *p, const char *word, const char **ret) {
        Value v = VALUE_NIL;

        skip_space(p);
        if (p->at >= p->size || (p->s[p->at] != '"' && p->s[p->at] != '`'))
                return fail(p, "unexpected \"%c\" in %s clause", p->at < p->size ? p->s[p->at] : '}', word);
        if (!read_string(p, &v) || !keep_constant(p, v))
                return false;
        *ret = value_cstr(v);
        return true;
}

/* define and block: a body of its own, whose only variable is $. */
static bool read_definition(Parser *p, const char *name) {
        TemplateDefinition *d = alloc(p, sizeof(TemplateDefinition));
        size_t scope = p->n_variables, outer = p->first_variable;
        unsigned ranges = p->ranges;
        Ending ending;

        if (!d)
                return false;
        if (p->depth >= DEPTH_MAX)
                return fail(p, "nested too deeply");
        p->depth++;
        p->ranges = 0;
        p->first_variable = scope;
        bool ok = read_list(p, &d->body, &ending);
        p->first_variable = outer;
        p->n_variables = scope;
        p->ranges = ranges;
        p->depth--;
        if (ok && ending != ENDING_END)
                return fail(p, ending == ENDING_EOF ? "unexpected EOF" : "unexpected {{else}}");
        d->name = name;
        d->next = p->t->definitions;
        p->t->definitions = d;
        return ok;
}

static bool read_action(Parser *p, TemplateNode *n) {
        static const struct { const char *word; TemplateNodeKind kind; } branches[] = {
                { "if", TEMPLATE_IF }, { "with", TEMPLATE_WITH }, { "range", TEMPLATE_RANGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(branches); i++)
                if (take_word(p, branches[i].word)) {
                        n->kind = branches[i].kind;
                        return read_branches(p, n, branches[i].word);
                }
        if (looking_at(p, "break") || looking_at(p, "continue")) {
                bool is_break = take_word(p, "break");
                if (is_break || take_word(p, "continue")) {
                        n->kind = is_break ? TEMPLATE_BREAK : TEMPLATE_CONTINUE;
                        if (p->ranges == 0)
                                return fail(p, "{{%s}} outside {{range}}", is_break ? "break" : "continue");
                        return end_action(p);
                }
        }
        if (take_word(p, "define")) {
                const char *name;
                n->kind = TEMPLATE_TEXT;
                if (p->depth > 0)
                        return fail(p, "unexpected {{define}}");
                return read_name(p, "define", &name) && end_action(p) && read_definition(p, name);
        }
        bool block = take_word(p, "block");
        if (block || take_word(p, "template")) {
                n->kind = TEMPLATE_CALL;
                skip_space(p);
                n->at = p->at;
                if (!read_name(p, block ? "block" : "template", &n->text))
                        return false;
                n->end = p->at;
                skip_space(p);
                if (p->at < p->size && (block || !at_end(p))) {
                        n->pipeline = read_pipeline(p, block ? "block clause" : "template clause", false);
                        if (!n->pipeline)
                                return false;
                        n->end = n->pipeline->end;
                }
                return end_action(p) && (!block || read_definition(p, n->text));
        }
        n->kind = TEMPLATE_ACTION;
        n->pipeline = read_pipeline(p, "command", false);
        return n->pipeline && end_action(p);
}

/* Up to {{ end }} (which is consumed), {{ else (without the rest of it) or the end of the text. */
static bool read_list(Parser *p, TemplateNode **ret, Ending *ret_ending) {
        TemplateNode **tail = ret;

        for (;;) {
                const char *open = memmem(p->s + p->at, p->size - p->at, "{{", 2);
                size_t end = open ? (size_t) (open - p->s) : p->size, text_end = end;
                bool trim = open && end + 3 < p->size && p->s[end + 2] == '-' && is_space(p->s[end + 3]);

                if (trim)
                        while (text_end > p->at && is_space(p->s[text_end - 1]))
                                text_end--;
                if (text_end > p->at) {
                        TemplateNode *n = alloc(p, sizeof(TemplateNode));
                        if (!n)
                                return false;
                        *n = (TemplateNode) { .kind = TEMPLATE_TEXT, .at = p->at, .text = p->s + p->at, .size = text_end - p->at };
                        *tail = n;
                        tail = &n->next;
                }
                p->at = end;
                if (!open) {
                        *ret_ending = ENDING_EOF;
                        return true;
                }
                p->at += trim ? 3 : 2;
                if (trim)
                        skip_space(p);
                if (looking_at(p, "/*")) {
                        if (!skip_comment(p))
                                return false;
                        continue;
                }
                skip_space(p);
                if (take_word(p, "end")) {
                        *ret_ending = ENDING_END;
                        return end_action(p);
                }
                if (take_word(p, "else")) {
                        *ret_ending = ENDING_ELSE;
                        return true;
                }
                TemplateNode *n = alloc(p, sizeof(TemplateNode));
                if (!n)
                        return false;
                n->at = p->at;
                if (!read_action(p, n))
                        return false;
                *tail = n;
                tail = &n->next;
        }
}

int template_parse(Template *t, const char *source, size_t size, bool (*known)(const char *name), Diag *reterr) {
        _cleanup_free_ Parser *p = calloc(1, sizeof(Parser));
        Ending ending;

        *t = (Template) { .source = source, .size = size, .arena = arena_new(0) };
        if (!t->arena || !p)
                return diag_set(reterr, (Pos) {}, -ENOMEM, "out of memory");
        *p = (Parser) { .t = t, .s = source, .size = size, .known = known, .reterr = reterr };
        if (read_list(p, &t->body, &ending) && ending != ENDING_EOF)
                fail(p, ending == ENDING_END ? "unexpected {{end}}" : "unexpected {{else}}");
        return p->error;
}

void template_done(Template *t) {
        for (size_t i = 0; i < t->n_constants; i++)
                value_done(&t->constants[i]);
        free(t->constants);
        arena_free(t->arena);
        *t = (Template) {};
}
