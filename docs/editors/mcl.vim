" SPDX-License-Identifier: GPL-3.0-or-later
" Syntax of mcl, for vim and neovim: ~/.vim/syntax/mcl.vim or ~/.config/nvim/syntax/mcl.vim. tests/check-editors holds the words
" against the lexer's.

if exists("b:current_syntax")
  finish
endif

syn keyword mclConditional if else
syn keyword mclRepeat      for forkv
syn keyword mclOperator    and or not in
syn keyword mclType        bool str int float map struct variant
syn keyword mclKeyword     func class
syn keyword mclInclude     include import as
syn keyword mclStatement   panic collect
syn keyword mclBoolean     true false
syn keyword mclTodo        TODO FIXME XXX contained

syn match  mclComment  "#.*$" contains=mclTodo,@Spell
syn match  mclVariable "\$\s*\%(map\|collect\|[a-z]\%([a-z0-9_]*[a-z0-9]\)\?\)\%(\.[a-z]\%([a-z0-9_]*[a-z0-9]\)\?\)*"
syn match  mclNumber   "\%(\<\|-\)\d\+\%(\.\d\+\)\?\>"
syn match  mclEdge     "\<[A-Z]\%([a-z0-9_]*[a-z0-9]\)\?\%(:[A-Z]\%([a-z0-9_]*[a-z0-9]\)\?\)*"
syn match  mclSymbol   "=>\|->\|?:\|<|>\|==\|!=\|<=\|>="
syn match  mclFunction "\<[a-z][a-z0-9_.]*\ze\s*("
syn match  mclField    "^\s*\zs[a-z][a-z0-9_]*\ze\s*=>"
syn match  mclEscape   "\\[abfnrtv\\\"$]" contained
syn match  mclInterpolation "\${[a-z][a-z0-9_.]*}" contained
syn region mclString   start=+"+ skip=+\\.+ end=+"+ contains=mclEscape,mclInterpolation,@Spell

hi def link mclConditional   Conditional
hi def link mclRepeat        Repeat
hi def link mclOperator      Operator
hi def link mclType          Type
hi def link mclKeyword       Keyword
hi def link mclInclude       Include
hi def link mclStatement     Statement
hi def link mclBoolean       Boolean
hi def link mclTodo          Todo
hi def link mclComment       Comment
hi def link mclVariable      Identifier
hi def link mclNumber        Number
hi def link mclEdge          Special
hi def link mclSymbol        Operator
hi def link mclFunction      Function
hi def link mclField         Label
hi def link mclEscape        SpecialChar
hi def link mclInterpolation Identifier
hi def link mclString        String

let b:current_syntax = "mcl"
