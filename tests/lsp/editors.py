#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real editors: neovim, set up as docs/editors/README.md says, and vim with its syntax file. What is not installed is skipped."""

import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "run"))
from harness import BUILD, SECONDS, check, check_equal, main, read, write

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EDITORS = os.path.join(SOURCE, "docs/editors")

PROGRAM = '''\
import "fmt"
$text = "\N{GRINNING FACE}"
# How many.
$count=3
test "\N{GRINNING FACE}${text}" {
        content => $nope,
        int8 => $count,
}
'''

SESSION = '''
local out = {}
local function wait(what, condition)
        if not vim.wait(60000, condition, 10) then
                out.failed = what
                error(what)
        end
end
local function ask(method, line, character)
        local params = { textDocument = vim.lsp.util.make_text_document_params(), position = { line = line, character = character } }
        for _, answer in pairs(vim.lsp.buf_request_sync(0, method, params, 60000) or {}) do
                return answer.result
        end
end
local ok, problem = pcall(function()
        wait("diagnostics", function() return #vim.diagnostic.get(0) > 0 end)
        local d = vim.diagnostic.get(0)[1]
        out.diagnostic = { d.lnum, d.col, d.end_col, d.message }

        -- An edit of one line, behind a character of two units.
        vim.api.nvim_buf_set_text(0, 5, 19, 5, 24, { "$text" })
        wait("no unknown name", function()
                for _, x in ipairs(vim.diagnostic.get(0)) do
                        if x.message:find("nope") then return false end
                end
                return true
        end)
        vim.api.nvim_buf_set_text(0, 1, 8, 1, 14, { '"\\u{1f4a9}\\u{1f4a9}" + ""' })
        out.hover = ask("textDocument/hover", 6, 17).contents.value

        vim.api.nvim_win_set_cursor(0, { 7, 17 })
        vim.lsp.buf.definition()
        wait("the definition", function() return vim.api.nvim_win_get_cursor(0)[1] == 4 end)
        out.definition = vim.api.nvim_win_get_cursor(0)

        local labels = {}
        for _, item in ipairs(ask("textDocument/completion", 6, 18)) do
                labels[#labels + 1] = item.label
        end
        out.completion = labels

        for _, client in pairs(vim.lsp.buf_get_clients(0)) do
                local edits = client.request_sync("textDocument/formatting", vim.lsp.util.make_formatting_params(), 60000, 0).result
                vim.lsp.util.apply_text_edits(edits, 0, client.offset_encoding)
        end
        out.lines = vim.api.nvim_buf_get_lines(0, 0, -1, true)
        out.filetype = vim.bo.filetype
        out.group = vim.fn.synIDattr(vim.fn.synID(4, 1, 1), "name")
end)
out.problem = not ok and tostring(problem) or nil
vim.fn.writefile({ vim.json.encode(out) }, "result.json")
vim.cmd("qa!")
'''


def neovim(s):
    """neovim, as the manual sets it up: errors, hover, definition, completion, formatting, colours."""
    setup = re.search(r"```lua\n(.*?)```", read(os.path.join(EDITORS, "README.md")), re.S)[1]
    os.makedirs(s.at("home/.config/nvim/syntax"))
    write(s.at("home/.config/nvim/init.lua"), setup)
    shutil.copy(os.path.join(EDITORS, "mcl.vim"), s.at("home/.config/nvim/syntax/mcl.vim"))
    write(s.at("session.lua"), SESSION)
    write(s.at("main.mcl"), PROGRAM)
    environment = s.environment(PATH=f"{BUILD}:{os.environ['PATH']}", XDG_CONFIG_HOME=s.at("home/.config"), LC_ALL="C.UTF-8")
    done = subprocess.run(["nvim", "--headless", "-n", "main.mcl", "-c", "syntax on", "-c", "luafile session.lua"], cwd=s.path,
                          env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5 * SECONDS)
    result = read(s.at("result.json"))
    check(result, f"no result: {done.stdout.decode()}")
    out = json.loads(result)
    check("problem" not in out, f"{out.get('problem')}: {out.get('failed')}; {done.stdout.decode()}")
    check_equal(out["diagnostic"][:3], [5, 19, 24], "place of the error")
    check_equal(out["hover"], "```mcl\n$count int\n```\n\nHow many.", "hover")
    check_equal(out["definition"], [4, 0], "definition")
    check("$count" in out["completion"], f"completion: {out['completion']}")
    check_equal(out["lines"][1:4], ['$text = "\N{PILE OF POO}\N{PILE OF POO}" + ""', "# How many.", "$count = 3"], "formatted lines")
    check_equal((out["filetype"], out["group"]), ("mcl", "mclVariable"), "type of file and colour of a variable")


def vim(s):
    """vim's colours."""
    write(s.at("main.mcl"), 'if $x.y == -3 { # if\n\tcontent => "a\\n${b} if", # c\n\tBefore => Http:Server["x"],\n\tx => fmt.printf("x"),\n}\n')
    places = {(1, 1): "mclConditional", (1, 4): "mclVariable", (1, 6): "mclVariable", (1, 9): "mclSymbol", (1, 12): "mclNumber",
              (1, 19): "mclComment", (2, 2): "mclField", (2, 13): "mclString", (2, 15): "mclEscape", (2, 18): "mclInterpolation",
              (2, 22): "mclString", (2, 27): "mclComment", (3, 12): "mclEdge", (3, 17): "mclEdge", (4, 7): "mclFunction"}
    script = [f'call writefile([synIDattr(synID({line}, {column}, 1), "name")], "groups", "a")' for line, column in places]
    write(s.at("script.vim"), "\n".join([f"source {EDITORS}/mcl.vim", *script, "qa!"]))
    subprocess.run(["vim", "-N", "-u", "NONE", "-i", "NONE", "-n", "-es", "-c", "syntax on", "-S", "script.vim", "main.mcl"], cwd=s.path,
                   env=s.environment(TERM="dumb", LC_ALL="C.UTF-8"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=SECONDS, check=False)
    groups = (read(s.at("groups")) or "").split("\n")
    check_equal(dict(zip(places, groups)), places, "groups")


def installed(program, needs):
    try:
        return needs in subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=False).stdout
    except OSError:
        return False


found = [case for case, program, needs in ((neovim, "nvim", b"LuaJIT"), (vim, "vim", b"+syntax")) if installed(program, needs)]
if not found:
    print("1..0 # SKIP neither neovim nor vim is installed")
    sys.exit(0)
main(*found)
