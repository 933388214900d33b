/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The grammar of mcl. Users know the texts of its syntax errors, and these follow from the LALR tables: which tokens a state
 * can shift, in the order in which the tokens are declared here. So the factoring of the rules and that order are part of what
 * we promise; change neither without the conformance archives.
 *
 * The second surprise is the places. A nonterminal stands for its first token only (with a dollar sign: up to the name after
 * it), and a node ends where the last symbol of its rule ends. That is narrower than one would expect ("$a + f(1, 2)" ends
 * after "f") but it is what messages have always shown. */

%code requires {
#include "lang/ast.h"

typedef struct Parser Parser;
}

%code {
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/strbuf.h"
#include "lang/grammar.h"
#include "lang/lexer.h"

struct Parser {
        Arena *arena;
        Lexer lexer;
        Token token;            /* the last one read */
        Pos last_symbol;        /* of the rule that was completed last */
        Block *block;
        bool lexical;           /* the error is the lexer's, and stays */
        Diag error;
};

static int yylex(YYSTYPE *value, YYLTYPE *pos, Parser *p);
static void yyerror(YYLTYPE *pos, Parser *p, const char *message);
static void parser_error(Parser *p, Pos pos, const char *class, const char *format, ...) _printf_(4, 5);
static Pos join(Pos from, Pos to);
static const char *compose(Parser *p, const char *left, char separator, const char *right);
static const Type *shallow(Parser *p, const Type *t);
static uint32_t deeper(uint32_t a, uint32_t b);
static bool too_deep(Parser *p, Pos pos, uint32_t depth);
static Expr *finish(Parser *p, Expr *e);
static Stmt *finish_stmt(Parser *p, Stmt *s);
static Expr *operator(Parser *p, Pos pos, const char *name, Expr *left, Expr *right);
static Expr *call2(Parser *p, Pos pos, CallForm form, const char *name, Expr *first, Expr *second, Expr *third);
static Expr *call(Parser *p, Pos pos, CallForm form, const char *name, Expr *lambda, Exprs *args);
static Expr *wrap(Parser *p, ExprKind kind, Pos pos, Expr *inner);
static Expr *branch(Parser *p, Pos pos, Expr *condition, Expr *then, Expr *otherwise);
static Expr *lambda(Parser *p, Pos pos, const char *title, Params *params, Pos close, const Type *result, Expr *body);
static Stmt *stmt_if(Parser *p, Pos pos, Expr *condition, Block *then, Block *otherwise);
static Stmt *stmt_loop(Parser *p, StmtKind kind, Pos pos, Param *first, Param *second, Expr *over, Block *body);
static Stmt *stmt_include(Parser *p, Pos pos, const char *name, Exprs *args, const char *alias);
static Stmt *stmt_import(Parser *p, Pos pos, Expr *name, const char *alias, bool star);
static Stmt *stmt_class(Parser *p, Pos pos, const char *name, Params *params, Block *body);
static Stmt *stmt_panic(Parser *p, Pos pos, Exprs *args);
static Stmt *stmt_bind(Parser *p, Pos pos, Param *var, const Type *type, Expr *value, Pos value_pos);
static Stmt *stmt_resource(Parser *p, Pos pos, const char *kind, Expr *name, Items *items);
static bool stmt_collect(Parser *p, Stmt *s);
static Block *block_at(Block *b, Pos pos);
static EdgeHalf *edge_half(Parser *p, Pos pos, const char *kind, Expr *name, const char *field);
static Item *item(Parser *p, ItemKind kind, Pos pos, const char *name, Expr *condition, Expr *value, EdgeHalf *half);
static Item *item_meta(Parser *p, Pos pos, const char *property, const char *name, Expr *condition, Expr *value);
static Param *param(Parser *p, Pos pos, const char *name, const Type *type);
static const Type *struct_type(Parser *p, Pos end, TypeFields *fields);
static const Type *func_type(Parser *p, Pos end, TypeFields *args, const Type *result);

/* Leaves the parser: out of memory, or an error that was recorded. */
#define TRY(x) \
        do { \
                if (!(x)) \
                        YYABORT; \
        } while (0)
#define NEW(type) arena_new0(p->arena, type)
#define PUSH(array, item) (AST_PUSH(p->arena, (array), (item)) >= 0)

#define YYMAXDEPTH 100000
#define YYLLOC_DEFAULT(Current, Rhs, N) \
        do { \
                if (N) { \
                        (Current) = YYRHSLOC(Rhs, 1); \
                        p->last_symbol = YYRHSLOC(Rhs, N); \
                } else \
                        (Current) = p->token.pos; \
        } while (0)
}

%define api.pure full
%define api.location.type {Pos}
%define parse.error custom
%code provides {
int yyparse(Parser *p);
}
%locations
%parse-param { Parser *p }
%lex-param { Parser *p }
%initial-action { @$ = (Pos) { p->lexer.file, 1, 1, 1, 1 }; }

%union {
        bool boolean;
        int64_t integer;
        double number;
        struct { const char *text; uint32_t size; } string;
        const char *name;
        Expr *expr;
        Exprs *exprs;
        Pairs *pairs;
        Fields *fields;
        Param *param;
        Params *params;
        const Type *type;
        TypeField type_field;
        TypeFields *type_fields;
        Stmt *stmt;
        Block *block;
        Item *item;
        Items *items;
        EdgeHalf *half;
        EdgeHalves *halves;
}

/* The order counts, see above. */
%token END 0 "$end"
%token NEWLINE
%token OPEN_CURLY CLOSE_CURLY OPEN_PAREN CLOSE_PAREN OPEN_BRACK CLOSE_BRACK
%token IF ELSE FOR FORKV
%token <boolean> BOOL
%token <string> STRING
%token <integer> INTEGER
%token <number> FLOAT
%token EQUALS DOLLAR COMMA COLON SEMICOLON ELVIS EXCEPT ROCKET ARROW DOT
%token BOOL_IDENTIFIER STR_IDENTIFIER INT_IDENTIFIER FLOAT_IDENTIFIER MAP_IDENTIFIER STRUCT_IDENTIFIER VARIANT_IDENTIFIER
%token <name> IDENTIFIER CAPITALIZED_IDENTIFIER
%token FUNC_IDENTIFIER CLASS_IDENTIFIER INCLUDE_IDENTIFIER IMPORT_IDENTIFIER AS_IDENTIFIER
%token COMMENT ERROR
%token COLLECT_IDENTIFIER PANIC_IDENTIFIER
%token STRUCT_LOOKUP OR AND LT GT LTE GTE EQ NEQ IN PLUS MINUS MULTIPLY DIVIDE NOT

%precedence STRUCT_LOOKUP
%left EXCEPT
%left OR
%left AND
%nonassoc LT GT LTE GTE EQ NEQ IN
%left PLUS MINUS
%left MULTIPLY DIVIDE
%precedence NOT
%precedence ARROW
%precedence OPEN_BRACK

%type <block> block
%type <stmt> statement bind panic collect resource edge edge_chain
%type <items> res_body
%type <item> res_item
%type <half> edge_half edge_port
%type <expr> expr body lambda list map struct
%type <exprs> exprs expr_lines args
%type <pairs> kvs kv_lines
%type <fields> fields field_lines
%type <params> params param_list param_lines
%type <param> param var
%type <type> type
%type <type_fields> type_fields type_args type_arg_list type_arg_lines
%type <type_field> type_arg
%type <name> name dotted dotted_var colon_name cap_kind

%%

program
        : block                         { p->block = $1; }
        ;

block
        : %empty                        { TRY($$ = NEW(Block)); }
        | block statement NEWLINE       {
                $$ = $1;
                TRY(PUSH($$, $2));
                $$->depth = MAX($$->depth, $2->depth);
        }
        | block NEWLINE                 { $$ = $1; }
        ;

statement
        : bind
        | panic
        | collect
        | resource
        | edge
        | IF expr OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_if(p, join(@1, @5), $2, block_at($4, join(@3, @5)), NULL));
        }
        | IF expr OPEN_CURLY block CLOSE_CURLY ELSE OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_if(p, join(@1, @9), $2, block_at($4, join(@3, @5)), block_at($8, join(@7, @9))));
        }
        | FOR var COMMA var IN expr OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_loop(p, STMT_FOR, join(@1, @9), $2, $4, $6, block_at($8, join(@7, @9))));
        }
        | FORKV var COMMA var IN expr OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_loop(p, STMT_FORKV, join(@1, @9), $2, $4, $6, block_at($8, join(@7, @9))));
        }
        | FUNC_IDENTIFIER IDENTIFIER OPEN_PAREN params CLOSE_PAREN body {
                TRY($$ = stmt_new(p->arena, STMT_FUNC, join(@1, $6->pos)));
                $$->func.name = $2;
                TRY($$->func.fn = lambda(p, $$->pos, $2, $4, @5, NULL, $6));
                TRY($$ = finish_stmt(p, $$));
        }
        | FUNC_IDENTIFIER IDENTIFIER OPEN_PAREN params CLOSE_PAREN type body {
                TRY($$ = stmt_new(p->arena, STMT_FUNC, join(@1, $7->pos)));
                $$->func.name = $2;
                TRY($$->func.fn = lambda(p, $$->pos, $2, $4, @5, $6, $7));
                TRY($$ = finish_stmt(p, $$));
        }
        | CLASS_IDENTIFIER colon_name OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_class(p, join(@1, @5), $2, NULL, block_at($4, join(@3, @5))));
        }
        | CLASS_IDENTIFIER colon_name OPEN_PAREN params CLOSE_PAREN OPEN_CURLY block CLOSE_CURLY {
                TRY($$ = stmt_class(p, join(@1, @8), $2, $4, block_at($7, join(@6, @8))));
        }
        | INCLUDE_IDENTIFIER dotted     { TRY($$ = stmt_include(p, join(@1, @2), $2, NULL, NULL)); }
        | INCLUDE_IDENTIFIER dotted OPEN_PAREN args CLOSE_PAREN {
                TRY($$ = stmt_include(p, join(@1, @5), $2, $4, NULL));
        }
        | INCLUDE_IDENTIFIER dotted AS_IDENTIFIER IDENTIFIER {
                TRY($$ = stmt_include(p, join(@1, @4), $2, NULL, $4));
        }
        | INCLUDE_IDENTIFIER dotted OPEN_PAREN args CLOSE_PAREN AS_IDENTIFIER IDENTIFIER {
                TRY($$ = stmt_include(p, join(@1, @7), $2, $4, $7));
        }
        | IMPORT_IDENTIFIER STRING {
                Expr *name = expr_str(p->arena, @2, $2.text, $2.size);
                TRY(name && ($$ = stmt_import(p, join(@1, @2), name, NULL, false)));
        }
        | IMPORT_IDENTIFIER STRING AS_IDENTIFIER IDENTIFIER {
                Expr *name = expr_str(p->arena, @2, $2.text, $2.size);
                TRY(name && ($$ = stmt_import(p, join(@1, @4), name, $4, false)));
        }
        | IMPORT_IDENTIFIER STRING AS_IDENTIFIER MULTIPLY {
                Expr *name = expr_str(p->arena, @2, $2.text, $2.size);
                TRY(name && ($$ = stmt_import(p, join(@1, @4), name, NULL, true)));
        }
        ;

bind
        : var EQUALS expr               { TRY($$ = stmt_bind(p, join(@1, @3), $1, NULL, $3, @3)); }
        | var type EQUALS expr          { TRY($$ = stmt_bind(p, join(@1, @4), $1, $2, $4, @4)); }
        ;

panic
        : PANIC_IDENTIFIER OPEN_PAREN args CLOSE_PAREN { TRY($$ = stmt_panic(p, join(@1, @4), $3)); }
        ;

collect
        : COLLECT_IDENTIFIER resource   { $$ = $2; TRY(stmt_collect(p, $$)); }
        ;

resource
        : colon_name expr OPEN_CURLY res_body CLOSE_CURLY { TRY($$ = stmt_resource(p, join(@1, @5), $1, $2, $4)); }
        ;

res_body
        : %empty                        { TRY($$ = NEW(Items)); }
        | res_body res_item             { $$ = $1; TRY(PUSH($$, $2)); }
        | res_body NEWLINE              { $$ = $1; }
        ;

res_item
        : IDENTIFIER ROCKET expr COMMA {
                TRY($$ = item(p, ITEM_FIELD, join(@1, @4), $1, NULL, $3, NULL));
        }
        | IDENTIFIER ROCKET expr ELVIS expr COMMA {
                TRY($$ = item(p, ITEM_FIELD, join(@1, @6), $1, $3, $5, NULL));
        }
        | CAPITALIZED_IDENTIFIER ROCKET edge_half COMMA {
                TRY($$ = item(p, ITEM_EDGE, join(@1, @4), $1, NULL, NULL, $3));
        }
        | CAPITALIZED_IDENTIFIER ROCKET expr ELVIS edge_half COMMA {
                TRY($$ = item(p, ITEM_EDGE, join(@1, @6), $1, $3, NULL, $5));
        }
        | CAPITALIZED_IDENTIFIER COLON IDENTIFIER ROCKET expr COMMA {
                TRY($$ = item_meta(p, join(@1, @6), $1, $3, NULL, $5));
        }
        | CAPITALIZED_IDENTIFIER COLON IDENTIFIER ROCKET expr ELVIS expr COMMA {
                TRY($$ = item_meta(p, join(@1, @8), $1, $3, $5, $7));
        }
        | CAPITALIZED_IDENTIFIER ROCKET expr COMMA {
                TRY($$ = item_meta(p, join(@1, @4), $1, NULL, NULL, $3));
        }
        | CAPITALIZED_IDENTIFIER ROCKET expr ELVIS expr COMMA {
                TRY($$ = item_meta(p, join(@1, @6), $1, NULL, $3, $5));
        }
        ;

edge
        : edge_chain
        | edge_port ARROW edge_port {
                TRY($$ = stmt_new(p->arena, STMT_EDGE, join(@1, $3->pos)));
                TRY(PUSH(&$$->edge, $1) && PUSH(&$$->edge, $3));
                TRY($$ = finish_stmt(p, $$));
        }
        ;

edge_chain
        : edge_half {
                TRY($$ = stmt_new(p->arena, STMT_EDGE, $1->pos));
                TRY(PUSH(&$$->edge, $1));
                TRY($$ = finish_stmt(p, $$));
        }
        | edge_chain ARROW edge_half {
                $$ = $1;
                $$->pos = join(@1, $3->pos);
                TRY(PUSH(&$$->edge, $3));
                $$->depth = deeper($$->depth, $3->name->depth + 1);
                TRY(!too_deep(p, $$->pos, $$->depth));
        }
        ;

edge_half
        : cap_kind OPEN_BRACK expr CLOSE_BRACK { TRY($$ = edge_half(p, join(@1, @4), $1, $3, NULL)); }
        ;

edge_port
        : cap_kind OPEN_BRACK expr CLOSE_BRACK DOT IDENTIFIER { TRY($$ = edge_half(p, join(@1, @6), $1, $3, $6)); }
        ;

expr
        : BOOL                          { TRY($$ = expr_new(p->arena, EXPR_BOOL, @1)); $$->b = $1; }
        | STRING                        { TRY($$ = expr_str(p->arena, @1, $1.text, $1.size)); }
        | INTEGER                       { TRY($$ = expr_new(p->arena, EXPR_INT, @1)); $$->i = $1; }
        | FLOAT                         { TRY($$ = expr_new(p->arena, EXPR_FLOAT, @1)); $$->f = $1; }
        | list
        | map
        | struct
        | lambda
        | dotted_var {
                TRY($$ = expr_new(p->arena, EXPR_VAR, @1));
                $$->var.name = $1;
        }
        | dotted OPEN_PAREN args CLOSE_PAREN {
                TRY($$ = call(p, join(@1, @4), CALL_NAME, $1, NULL, $3));
        }
        | dotted_var OPEN_PAREN args CLOSE_PAREN {
                TRY($$ = call(p, join(@1, @4), CALL_VAR, $1, NULL, $3));
        }
        | lambda OPEN_PAREN args CLOSE_PAREN {
                TRY($$ = call(p, join(@1, @4), CALL_LAMBDA, NULL, $1, $3));
        }
        | OPEN_PAREN expr CLOSE_PAREN   { TRY($$ = wrap(p, EXPR_PAREN, join(@1, @3), $2)); }
        | IF expr body ELSE body        { TRY($$ = branch(p, join(@1, $5->pos), $2, $3, $5)); }
        | expr PLUS expr                { TRY($$ = operator(p, join(@1, @3), "+", $1, $3)); }
        | expr MINUS expr               { TRY($$ = operator(p, join(@1, @3), "-", $1, $3)); }
        | expr MULTIPLY expr            { TRY($$ = operator(p, join(@1, @3), "*", $1, $3)); }
        | expr DIVIDE expr              { TRY($$ = operator(p, join(@1, @3), "/", $1, $3)); }
        | expr EQ expr                  { TRY($$ = operator(p, join(@1, @3), "==", $1, $3)); }
        | expr NEQ expr                 { TRY($$ = operator(p, join(@1, @3), "!=", $1, $3)); }
        | expr LT expr                  { TRY($$ = operator(p, join(@1, @3), "<", $1, $3)); }
        | expr GT expr                  { TRY($$ = operator(p, join(@1, @3), ">", $1, $3)); }
        | expr LTE expr                 { TRY($$ = operator(p, join(@1, @3), "<=", $1, $3)); }
        | expr GTE expr                 { TRY($$ = operator(p, join(@1, @3), ">=", $1, $3)); }
        | expr IN expr                  { TRY($$ = call2(p, join(@1, @3), CALL_IN, "contains", $1, $3, NULL)); }
        | expr AND expr                 { TRY($$ = operator(p, join(@1, @3), "and", $1, $3)); }
        | expr OR expr                  { TRY($$ = operator(p, join(@1, @3), "or", $1, $3)); }
        | NOT expr                      { TRY($$ = operator(p, join(@1, @2), "not", $2, NULL)); }
        | expr OPEN_BRACK expr CLOSE_BRACK {
                TRY($$ = call2(p, join(@1, @4), CALL_LOOKUP, "_lookup", $1, $3, NULL));
        }
        | expr ARROW IDENTIFIER %prec STRUCT_LOOKUP {
                Expr *field = expr_str(p->arena, @3, $3, strlen($3));
                TRY(field && ($$ = call2(p, join(@1, @3), CALL_FIELD, "_struct_lookup", $1, field, NULL)));
        }
        | expr ARROW IDENTIFIER EXCEPT expr {
                Expr *field = expr_str(p->arena, @3, $3, strlen($3));
                TRY(field && ($$ = call2(p, join(@1, @5), CALL_FIELD_OR, "_struct_lookup_optional", $1, field, $5)));
        }
        | expr EXCEPT expr {
                TRY($$ = expr_new(p->arena, EXPR_EXCEPT, join(@1, @3)));
                $$->except.value = $1;
                $$->except.fallback = $3;
                TRY($$ = finish(p, $$));
        }
        ;

body
        : OPEN_CURLY newlines expr newlines CLOSE_CURLY { TRY($$ = wrap(p, EXPR_BRACES, join(@1, @5), $3)); }
        ;

newlines
        : %empty
        | newlines NEWLINE
        ;

lambda
        : FUNC_IDENTIFIER OPEN_PAREN params CLOSE_PAREN body {
                TRY($$ = lambda(p, join(@1, $5->pos), NULL, $3, @4, NULL, $5));
        }
        | FUNC_IDENTIFIER OPEN_PAREN params CLOSE_PAREN type body {
                TRY($$ = lambda(p, join(@1, $6->pos), NULL, $3, @4, $5, $6));
        }
        ;

list
        : OPEN_BRACK CLOSE_BRACK        { TRY($$ = expr_new(p->arena, EXPR_LIST, join(@1, @2))); }
        | OPEN_BRACK exprs CLOSE_BRACK {
                TRY($$ = expr_new(p->arena, EXPR_LIST, join(@1, @3)));
                $$->list = *$2;
                TRY($$ = finish(p, $$));
        }
        | OPEN_BRACK NEWLINE expr_lines CLOSE_BRACK {
                TRY($$ = expr_new(p->arena, EXPR_LIST, join(@1, @4)));
                $$->list = *$3;
                TRY($$ = finish(p, $$));
        }
        ;

args
        : %empty                        { TRY($$ = NEW(Exprs)); }
        | exprs
        | NEWLINE expr_lines            { $$ = $2; }
        ;

exprs
        : expr                          { TRY(($$ = NEW(Exprs)) && PUSH($$, $1)); }
        | exprs COMMA expr              { $$ = $1; TRY(PUSH($$, $3)); }
        ;

expr_lines
        : %empty                        { TRY($$ = NEW(Exprs)); }
        | expr_lines expr COMMA NEWLINE { $$ = $1; TRY(PUSH($$, $2)); }
        | expr_lines NEWLINE            { $$ = $1; }
        ;

map
        : OPEN_CURLY CLOSE_CURLY        { TRY($$ = expr_new(p->arena, EXPR_MAP, join(@1, @2))); }
        | OPEN_CURLY kvs CLOSE_CURLY {
                TRY($$ = expr_new(p->arena, EXPR_MAP, join(@1, @3)));
                $$->map = *$2;
                TRY($$ = finish(p, $$));
        }
        | OPEN_CURLY NEWLINE kv_lines CLOSE_CURLY {
                TRY($$ = expr_new(p->arena, EXPR_MAP, join(@1, @4)));
                $$->map = *$3;
                TRY($$ = finish(p, $$));
        }
        ;

kvs
        : expr ROCKET expr              { TRY(($$ = NEW(Pairs)) && PUSH($$, ((Pair) { $1, $3, join(@1, @3) }))); }
        | kvs COMMA expr ROCKET expr    { $$ = $1; TRY(PUSH($$, ((Pair) { $3, $5, join(@3, @5) }))); }
        ;

kv_lines
        : %empty                        { TRY($$ = NEW(Pairs)); }
        | kv_lines expr ROCKET expr COMMA NEWLINE { $$ = $1; TRY(PUSH($$, ((Pair) { $2, $4, join(@2, @5) }))); }
        | kv_lines NEWLINE              { $$ = $1; }
        ;

struct
        : STRUCT_IDENTIFIER OPEN_CURLY CLOSE_CURLY {
                TRY($$ = expr_new(p->arena, EXPR_STRUCT, join(@1, @3)));
        }
        | STRUCT_IDENTIFIER OPEN_CURLY fields CLOSE_CURLY {
                TRY($$ = expr_new(p->arena, EXPR_STRUCT, join(@1, @4)));
                $$->st = *$3;
                TRY($$ = finish(p, $$));
        }
        | STRUCT_IDENTIFIER OPEN_CURLY NEWLINE field_lines CLOSE_CURLY {
                TRY($$ = expr_new(p->arena, EXPR_STRUCT, join(@1, @5)));
                $$->st = *$4;
                TRY($$ = finish(p, $$));
        }
        ;

fields
        : IDENTIFIER ROCKET expr        { TRY(($$ = NEW(Fields)) && PUSH($$, ((Field) { $1, $3, join(@1, @3) }))); }
        | fields COMMA IDENTIFIER ROCKET expr { $$ = $1; TRY(PUSH($$, ((Field) { $3, $5, join(@3, @5) }))); }
        ;

field_lines
        : %empty                        { TRY($$ = NEW(Fields)); }
        | field_lines IDENTIFIER ROCKET expr COMMA NEWLINE {
                $$ = $1;
                TRY(PUSH($$, ((Field) { $2, $4, join(@2, @5) })));
        }
        | field_lines NEWLINE           { $$ = $1; }
        ;

params
        : %empty                        { TRY($$ = NEW(Params)); }
        | param_list
        | NEWLINE param_lines           { $$ = $2; }
        ;

param_list
        : param                         { TRY(($$ = NEW(Params)) && PUSH($$, *$1)); }
        | param_list COMMA param        { $$ = $1; TRY(PUSH($$, *$3)); }
        ;

param_lines
        : %empty                        { TRY($$ = NEW(Params)); }
        | param_lines param COMMA NEWLINE { $$ = $1; TRY(PUSH($$, *$2)); }
        | param_lines NEWLINE           { $$ = $1; }
        ;

param
        : var
        | var type {
                $$ = $1;
                $$->type = $2;
                $$->pos = join(@1, @2);
                $$->end_line = p->token.pos.line;       /* of what follows: on the line on which the type ends */
        }
        ;

type
        : BOOL_IDENTIFIER               { $$ = &type_bool; }
        | STR_IDENTIFIER                { $$ = &type_str; }
        | INT_IDENTIFIER                { $$ = &type_int; }
        | FLOAT_IDENTIFIER              { $$ = &type_float; }
        | VARIANT_IDENTIFIER            { $$ = &type_variant; }
        | OPEN_BRACK CLOSE_BRACK type   { TRY(($$ = type_list(p->arena, $3)) && shallow(p, $$)); }
        | MAP_IDENTIFIER OPEN_CURLY type COLON type CLOSE_CURLY {
                TRY(($$ = type_map(p->arena, $3, $5)) && shallow(p, $$));
        }
        | STRUCT_IDENTIFIER OPEN_CURLY CLOSE_CURLY { TRY($$ = type_struct(p->arena, NULL, 0)); }
        | STRUCT_IDENTIFIER OPEN_CURLY type_fields CLOSE_CURLY { TRY($$ = struct_type(p, @4, $3)); }
        | FUNC_IDENTIFIER OPEN_PAREN type_args CLOSE_PAREN type { TRY($$ = func_type(p, @5, $3, $5)); }
        ;

type_fields
        : IDENTIFIER type               { TRY(($$ = NEW(TypeFields)) && PUSH($$, ((TypeField) { $1, $2 }))); }
        | type_fields SEMICOLON IDENTIFIER type { $$ = $1; TRY(PUSH($$, ((TypeField) { $3, $4 }))); }
        ;

type_args
        : %empty                        { TRY($$ = NEW(TypeFields)); }
        | type_arg_list
        | NEWLINE type_arg_lines        { $$ = $2; }
        ;

type_arg_list
        : type_arg                      { TRY(($$ = NEW(TypeFields)) && PUSH($$, $1)); }
        | type_arg_list COMMA type_arg  { $$ = $1; TRY(PUSH($$, $3)); }
        ;

type_arg_lines
        : %empty                        { TRY($$ = NEW(TypeFields)); }
        | type_arg_lines type_arg COMMA NEWLINE { $$ = $1; TRY(PUSH($$, $2)); }
        | type_arg_lines NEWLINE        { $$ = $1; }
        ;

type_arg
        : type                          { $$ = (TypeField) { NULL, $1 }; }
        | var type                      { $$ = (TypeField) { $1->name, $2 }; }
        ;

name
        : IDENTIFIER
        | MAP_IDENTIFIER                { $$ = "map"; }
        | COLLECT_IDENTIFIER            { $$ = "collect"; }
        ;

var
        : DOLLAR name {
                @$ = join(@1, @2);
                TRY($$ = param(p, @$, $2, NULL));
        }
        ;

dotted
        : name
        | dotted DOT name               { TRY($$ = compose(p, $1, '.', $3)); }
        ;

dotted_var
        : DOLLAR dotted                 { @$ = join(@1, @2); $$ = $2; }
        ;

colon_name
        : IDENTIFIER
        | colon_name COLON IDENTIFIER   { TRY($$ = compose(p, $1, ':', $3)); }
        ;

cap_kind
        : CAPITALIZED_IDENTIFIER
        | cap_kind COLON CAPITALIZED_IDENTIFIER { TRY($$ = compose(p, $1, ':', $3)); }
        ;

%%

/* Records an error. The last one counts, but for the lexer's. */
static void parser_error(Parser *p, Pos pos, const char *class, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        if (p->lexical)
                return;
        va_start(ap, format);
        int r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;
        pos.end_line = pos.line;
        pos.end_column = pos.column + 1;
        diag_done(&p->error);
        diag_set(&p->error, pos, -EBADMSG, "%s: `%s`", class, text ? text : "?");
}

static int yylex(YYSTYPE *value, YYLTYPE *pos, Parser *p) {
        Token *t = &p->token;

        if (lexer_next(&p->lexer, t) < 0)
                return YYerror;
        *pos = t->pos;
        switch (t->kind) {
        case BOOL:
                value->boolean = t->integer;
                break;
        case STRING:
                value->string.text = t->text;
                value->string.size = t->size;
                break;
        case INTEGER:
                value->integer = t->integer;
                break;
        case FLOAT:
                value->number = t->number;
                break;
        case IDENTIFIER:
        case CAPITALIZED_IDENTIFIER: {
                char *name = arena_strndup(p->arena, t->text, t->size);
                if (!name)
                        return YYerror;
                if (t->kind == CAPITALIZED_IDENTIFIER)
                        name[0] = (char) (name[0] - 'A' + 'a');
                value->name = name;
                break;
        }
        case ERROR:
                parser_error(p, t->pos, t->problem, "%.*s", (int) MIN(t->size, 1024U), t->text);
                p->lexical = true;
                break;
        }
        return t->kind;
}

static int yyreport_syntax_error(const yypcontext_t *context, Parser *p) {
        enum { SHOWN_MAX = 4 };
        const yy_state_t *top = context->yyssp;
        yysymbol_kind_t token = yypcontext_token(context), expected[YYNTOKENS];
        const char *class = "parser";
        Pos pos = *yypcontext_location(context);
        StrBuf b = {};

        /* How many states there are below is not known, but every one looked at here has what its symbol needs below it. */
        yysymbol_kind_t last = YY_ACCESSING_SYMBOL(*top);
        if (last == YYSYMBOL_var && token == YYSYMBOL_EQ && YY_ACCESSING_SYMBOL(top[-1]) == YYSYMBOL_block)
                class = "additional equals in bind statement";
        else if (last == YYSYMBOL_expr && (token == YYSYMBOL_CLOSE_CURLY || token == YYSYMBOL_NEWLINE) &&
                 YY_ACCESSING_SYMBOL(top[-1]) == YYSYMBOL_ROCKET && YY_ACCESSING_SYMBOL(top[-2]) == YYSYMBOL_IDENTIFIER &&
                 YY_ACCESSING_SYMBOL(top[-3]) == YYSYMBOL_res_body)
                class = "expecting trailing comma";

        strbuf_puts(&b, "syntax error: ");
        if (!streq(class, "parser")) {
                strbuf_puts(&b, class);
                pos = p->last_symbol;
        } else {
                strbuf_printf(&b, "unexpected %s", yysymbol_name(token));
                int n = yypcontext_expected_tokens(context, expected, YYNTOKENS), shown = 0;
                for (int i = 0; i < n; i++)
                        shown += expected[i] != YYSYMBOL_YYEOF;
                for (int i = 0, first = 1; i < n && shown <= SHOWN_MAX; i++)
                        if (expected[i] != YYSYMBOL_YYEOF) {
                                strbuf_printf(&b, "%s%s", first ? ", expecting " : " or ", yysymbol_name(expected[i]));
                                first = 0;
                        }
        }
        _cleanup_free_ char *text = strbuf_take(&b);
        parser_error(p, pos, class, "%s", text ? text : "syntax error");
        return 0;
}

/* Only called by the generated parser for lack of room on its stack. */
static void yyerror(YYLTYPE *pos, Parser *p, const char *message) {
        parser_error(p, *pos, "parser", "nested too deeply");
}

/* ---- building nodes ---- */

static Pos join(Pos from, Pos to) {
        return (Pos) { from.file, from.line, from.column, to.end_line, to.end_column };
}

enum { NAME_SIZE_MAX = 1024 };

/* a.b, a:b */
static const char *compose(Parser *p, const char *left, char separator, const char *right) {
        if (strlen(left) + strlen(right) > NAME_SIZE_MAX) {
                parser_error(p, p->token.pos, "parser", "name is longer than %d bytes", NAME_SIZE_MAX);
                return NULL;
        }
        return arena_printf(p->arena, "%s%c%s", left, separator, right);
}

static unsigned type_depth(const Type *t, unsigned limit) {
        unsigned deepest = 0;

        if (limit == 0)
                return 1;
        for (uint32_t i = 0; i < t->n_fields; i++)
                deepest = MAX(deepest, type_depth(t->fields[i].type, limit - 1));
        if (t->key)
                deepest = MAX(deepest, type_depth(t->key, limit - 1));
        if (t->element)
                deepest = MAX(deepest, type_depth(t->element, limit - 1));
        return deepest + (t->n_fields > 0 || t->element);
}

static const Type *shallow(Parser *p, const Type *t) {
        if (type_depth(t, VALUE_DEPTH_MAX + 1) <= VALUE_DEPTH_MAX)
                return t;
        parser_error(p, p->token.pos, "parser", "type is nested too deeply (more than %d levels)", VALUE_DEPTH_MAX);
        return NULL;
}

static bool too_many(Parser *p, Pos pos, size_t n, const char *what) {
        if (n <= TYPE_FIELDS_MAX)
                return false;
        parser_error(p, pos, "parser", "more than %d %s", TYPE_FIELDS_MAX, what);
        return true;
}

static bool too_deep(Parser *p, Pos pos, uint32_t depth) {
        if (depth <= AST_DEPTH_MAX)
                return false;
        parser_error(p, pos, "parser", "nested too deeply (more than %d levels)", AST_DEPTH_MAX);
        return true;
}

static uint32_t deeper(uint32_t a, uint32_t b) {
        return a > b ? a : b;
}

static uint32_t exprs_depth(const Exprs *list) {
        uint32_t depth = 0;

        for (uint32_t i = 0; i < list->n; i++)
                depth = deeper(depth, list->items[i]->depth);
        return depth;
}

/* An expression whose parts are in place: notes how deep it is. NULL if that is too deep. */
static Expr *finish(Parser *p, Expr *e) {
        uint32_t depth = 0;

        switch ((ExprKind) e->kind) {
        case EXPR_LIST:
                depth = exprs_depth(&e->list);
                break;
        case EXPR_MAP:
                for (uint32_t i = 0; i < e->map.n; i++)
                        depth = deeper(depth, deeper(e->map.items[i].key->depth, e->map.items[i].value->depth));
                break;
        case EXPR_STRUCT:
                if (too_many(p, e->pos, e->st.n, "fields"))
                        return NULL;
                for (uint32_t i = 0; i < e->st.n; i++)
                        depth = deeper(depth, e->st.items[i].value->depth);
                break;
        case EXPR_FUNC:
                depth = e->fn->body->depth;
                break;
        case EXPR_CALL:
                if (too_many(p, e->pos, e->call.args.n, "arguments"))
                        return NULL;
                depth = deeper(exprs_depth(&e->call.args), e->call.callee ? e->call.callee->depth : 0);
                break;
        case EXPR_IF:
                depth = deeper(e->branch.condition->depth, deeper(e->branch.then->depth, e->branch.otherwise->depth));
                break;
        case EXPR_EXCEPT:
                depth = deeper(e->except.value->depth, e->except.fallback->depth);
                break;
        case EXPR_PAREN:
        case EXPR_BRACES:
                depth = e->inner->depth;
                break;
        default:
                break;
        }
        e->depth = depth + 1;
        return too_deep(p, e->pos, e->depth) ? NULL : e;
}

static Stmt *finish_stmt(Parser *p, Stmt *s) {
        uint32_t depth = 0;

        switch (s->kind) {
        case STMT_BIND:
                depth = s->bind.value->depth;
                break;
        case STMT_RESOURCE:
                depth = s->resource.name->depth;
                for (uint32_t i = 0; i < s->resource.items.n; i++) {
                        const Item *item = s->resource.items.items[i];
                        depth = deeper(depth, item->condition ? item->condition->depth : 0);
                        depth = deeper(depth, item->half ? item->half->name->depth : item->value->depth);
                }
                break;
        case STMT_EDGE:
                for (uint32_t i = 0; i < s->edge.n; i++)
                        depth = deeper(depth, s->edge.items[i]->name->depth);
                break;
        case STMT_IF:
                depth = deeper(s->branch.condition->depth, s->branch.then->depth);
                depth = deeper(depth, s->branch.otherwise ? s->branch.otherwise->depth : 0);
                break;
        case STMT_FOR:
        case STMT_FORKV:
                depth = deeper(s->loop.over->depth, s->loop.body->depth);
                break;
        case STMT_FUNC:
                depth = s->func.fn->depth;
                break;
        case STMT_CLASS:
                depth = s->class.body->depth;
                break;
        case STMT_INCLUDE:
                depth = exprs_depth(&s->include.args);
                break;
        case STMT_IMPORT:
                break;
        }
        s->depth = depth + 1;
        return too_deep(p, s->pos, s->depth) ? NULL : s;
}

static Block *block_at(Block *b, Pos pos) {
        b->pos = pos;
        return b;
}

static Expr *call(Parser *p, Pos pos, CallForm form, const char *name, Expr *callee, Exprs *args) {
        Expr *e = expr_call(p->arena, pos, form, name);
        if (!e)
                return NULL;
        e->call.callee = callee;
        e->call.args = *args;
        return finish(p, e);
}

static Expr *call2(Parser *p, Pos pos, CallForm form, const char *name, Expr *first, Expr *second, Expr *third) {
        Exprs args = {};

        if (!PUSH(&args, first) || (second && !PUSH(&args, second)) || (third && !PUSH(&args, third)))
                return NULL;
        return call(p, pos, form, name, NULL, &args);
}

static Expr *operator(Parser *p, Pos pos, const char *name, Expr *left, Expr *right) {
        Expr *op = expr_str(p->arena, pos, name, strlen(name));

        return op ? call2(p, pos, CALL_OPERATOR, "_operator", op, left, right) : NULL;
}

static Expr *wrap(Parser *p, ExprKind kind, Pos pos, Expr *inner) {
        Expr *e = expr_new(p->arena, kind, pos);
        if (!e)
                return NULL;
        e->inner = inner;
        return finish(p, e);
}

static Expr *branch(Parser *p, Pos pos, Expr *condition, Expr *then, Expr *otherwise) {
        Expr *e = expr_new(p->arena, EXPR_IF, pos);
        if (!e)
                return NULL;
        e->branch.condition = condition;
        e->branch.then = then;
        e->branch.otherwise = otherwise;
        return finish(p, e);
}

/* A function all of whose parameters and whose result are annotated has a type at once. */
static Expr *lambda(Parser *p, Pos pos, const char *title, Params *params, Pos close, const Type *result, Expr *body) {
        if (too_many(p, pos, params->n, "parameters"))
                return NULL;

        Expr *e = expr_new(p->arena, EXPR_FUNC, pos);
        if (!e || !(e->fn = NEW(Func)))
                return NULL;
        e->fn->title = title;
        e->fn->params = *params;
        e->fn->result = result;
        e->fn->body = body;
        e->fn->close_line = close.line;

        bool complete = result;
        TypeFields args = {};
        for (uint32_t i = 0; i < params->n && complete; i++) {
                complete = params->items[i].type;
                if (complete && !PUSH(&args, ((TypeField) { params->items[i].name, params->items[i].type })))
                        return NULL;
        }
        if (complete && !(e->annotation = type_func(p->arena, args.items, args.n, result)))
                return NULL;
        return finish(p, e);
}

static Stmt *stmt_if(Parser *p, Pos pos, Expr *condition, Block *then, Block *otherwise) {
        Stmt *s = stmt_new(p->arena, STMT_IF, pos);
        if (!s)
                return NULL;
        s->branch.condition = condition;
        s->branch.then = then;
        s->branch.otherwise = otherwise;
        return finish_stmt(p, s);
}

/* Never has anything to do: either the condition is false, or evaluating it fails. */
static Stmt *stmt_panic(Parser *p, Pos pos, Exprs *args) {
        Expr *condition = call(p, pos, CALL_NAME, args->n == 2 ? "panic_debug" : "panic", NULL, args);
        Block *nothing = NEW(Block);
        Stmt *s = condition && nothing ? stmt_if(p, pos, condition, block_at(nothing, pos), NULL) : NULL;
        if (s)
                s->branch.panic = true;
        return s;
}

static Stmt *stmt_loop(Parser *p, StmtKind kind, Pos pos, Param *first, Param *second, Expr *over, Block *body) {
        Stmt *s = stmt_new(p->arena, kind, pos);
        if (!s)
                return NULL;
        s->loop.first = *first;
        s->loop.second = *second;
        s->loop.over = over;
        s->loop.body = body;
        return finish_stmt(p, s);
}

static Stmt *stmt_class(Parser *p, Pos pos, const char *name, Params *params, Block *body) {
        Stmt *s = stmt_new(p->arena, STMT_CLASS, pos);
        if (!s)
                return NULL;
        s->class.name = name;
        s->class.parens = params;
        if (params)
                s->class.params = *params;
        s->class.body = body;
        return finish_stmt(p, s);
}

static Stmt *stmt_include(Parser *p, Pos pos, const char *name, Exprs *args, const char *alias) {
        Stmt *s = stmt_new(p->arena, STMT_INCLUDE, pos);
        if (!s)
                return NULL;
        s->include.name = name;
        s->include.alias = alias;
        s->include.parens = args;
        if (args)
                s->include.args = *args;
        return finish_stmt(p, s);
}

static Stmt *stmt_import(Parser *p, Pos pos, Expr *name, const char *alias, bool star) {
        Stmt *s = stmt_new(p->arena, STMT_IMPORT, pos);
        if (!s)
                return NULL;
        s->import.name = name->str.text;
        s->import.name_size = name->str.size;
        s->import.alias = alias;
        s->import.star = star;
        return s;
}

static Stmt *stmt_bind(Parser *p, Pos pos, Param *var, const Type *type, Expr *value, Pos value_pos) {
        _cleanup_(diag_done) Diag error = {};
        Stmt *s = stmt_new(p->arena, STMT_BIND, pos);
        if (!s)
                return NULL;
        s->bind.name = var->name;
        s->bind.name_pos = var->pos;
        s->bind.type = type;
        s->bind.value = value;
        if (type && expr_annotate(value, type, &error) < 0)
                parser_error(p, value_pos, "can't set return type in parser", "can't set return type in parser: %s",
                             error.message ? error.message : "?");
        return finish_stmt(p, s);
}

static Stmt *stmt_resource(Parser *p, Pos pos, const char *kind, Expr *name, Items *items) {
        Stmt *s = stmt_new(p->arena, STMT_RESOURCE, pos);
        if (!s)
                return NULL;
        s->resource.kind = kind;
        s->resource.name = name;
        s->resource.items = *items;
        return finish_stmt(p, s);
}

/* A hidden item asks for what was exported under the names of the resource; the two share the expression. */
static bool stmt_collect(Parser *p, Stmt *s) {
        const char *kind = s->resource.kind;
        Expr *kind_expr = expr_str(p->arena, s->pos, kind, strlen(kind));
        Expr *ask = kind_expr ? call2(p, s->pos, CALL_NAME, "_collect", kind_expr, s->resource.name, NULL) : NULL;
        Item *hidden = ask ? item(p, ITEM_COLLECT, s->pos, NULL, NULL, ask, NULL) : NULL;

        s->resource.collect = true;
        return hidden && PUSH(&s->resource.items, hidden);
}

static EdgeHalf *edge_half(Parser *p, Pos pos, const char *kind, Expr *name, const char *field) {
        EdgeHalf *h = NEW(EdgeHalf);
        if (!h)
                return NULL;
        *h = (EdgeHalf) { .kind = kind, .name = name, .field = field, .pos = pos };
        return h;
}

static Item *item(Parser *p, ItemKind kind, Pos pos, const char *name, Expr *condition, Expr *value, EdgeHalf *half) {
        Item *i = NEW(Item);
        if (!i)
                return NULL;
        *i = (Item) { .kind = kind, .name = name, .condition = condition, .value = value, .half = half, .pos = pos };
        return i;
}

static Item *item_meta(Parser *p, Pos pos, const char *property, const char *name, Expr *condition, Expr *value) {
        if (!streq(property, "meta"))
                parser_error(p, p->token.pos, "parser", "can't use unknown resource field: %s", property);

        Item *i = item(p, ITEM_META, pos, name, condition, value, NULL);
        if (i)
                i->property = property;
        return i;
}

static Param *param(Parser *p, Pos pos, const char *name, const Type *type) {
        Param *x = NEW(Param);
        if (!x)
                return NULL;
        *x = (Param) { .name = name, .type = type, .pos = pos, .end_line = pos.end_line };
        return x;
}

/* The first field whose name stood before, or NULL. */
static const TypeField *repeated(const TypeFields *fields) {
        for (uint32_t i = 0; i < fields->n; i++)
                for (uint32_t j = 0; j < i; j++)
                        if (streq(fields->items[i].name, fields->items[j].name))
                                return &fields->items[i];
        return NULL;
}

static void type_error(Parser *p, Pos pos, const char *problem, const char *what) {
        parser_error(p, pos, "can't set return type in parser", "can't set return type in parser: %s of `%s`", problem, what);
}

static const Type *struct_type(Parser *p, Pos end, TypeFields *fields) {
        if (too_many(p, end, fields->n, "fields"))
                return NULL;

        const TypeField *again = repeated(fields);

        if (again) {
                _cleanup_free_ char *type = type_text(again->type);
                const char *field = arena_printf(p->arena, "%s %s", again->name, type ? type : "?");
                type_error(p, end, "duplicate struct field", field ? field : "?");
        }
        const Type *t = type_struct(p->arena, fields->items, fields->n);
        return t ? shallow(p, t) : NULL;
}

static const Type *func_type(Parser *p, Pos end, TypeFields *args, const Type *result) {
        if (too_many(p, end, args->n, "arguments"))
                return NULL;
        for (uint32_t i = 0; i < args->n; i++)
                if (!args->items[i].name && !(args->items[i].name = arena_printf(p->arena, "%" PRIu32, i)))
                        return NULL;

        const TypeField *again = repeated(args);
        if (again)
                type_error(p, end, "duplicate arg name", again->name);
        const Type *t = type_func(p->arena, args->items, args->n, result);
        return t ? shallow(p, t) : NULL;
}

int ast_parse(Arena *a, const char *file, const char *text, size_t size, Ast *ret, Diag *reterr) {
        Parser p = {
                .arena = a,
                .lexer = { .arena = a, .file = file, .text = text, .size = size, .line = 1, .column = 1 },
        };
        int r = yyparse(&p);

        if (p.error.error < 0) {
                r = p.error.error;
                if (reterr)
                        diag_move(reterr, &p.error);
                else
                        diag_done(&p.error);
                return r;
        }
        if (r != 0)
                return diag_set(reterr, (Pos) { .file = file }, -ENOMEM, "the program is too large");
        *ret = (Ast) { .file = file, .block = p.block, .comments = p.lexer.comments, .n_tokens = p.lexer.n_tokens };
        return 0;
}
