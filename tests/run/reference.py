#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/reference says what the tables say, and what the tables say of kinds is so. (Of functions tests/lang/test-reference.c sees.)"""

import json
import os
import sys

sys.dont_write_bytecode = True
from harness import check, check_equal, main, read

REFERENCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/reference")


def pages(top):
    return {os.path.relpath(os.path.join(d, name), top): read(os.path.join(d, name))
            for d, _, names in os.walk(top) for name in names}


def committed(s):
    """docs/reference is what mgmtctl makes of the tables now."""
    done = s.ctl("doc", "--output", s.at("reference"))
    check_equal((done.returncode, done.stderr), (0, ""), "writing the manual")
    want, got = pages(s.at("reference")), pages(REFERENCE)
    check(len(want) > 40, f"only {len(want)} pages were written")
    stale = sorted(name for name in want.keys() | got.keys() if want.get(name) != got.get(name))
    check(not stale, f"not what the tables say: {', '.join(stale)}; 'ninja -C build reference' writes docs/reference anew")


def is_sentence(text):
    return bool(text) and text == text.strip() and text.endswith(".") and "\n" not in text and "  " not in text


def kinds(s):
    """Kinds and fields have sentences, and examples can be compiled and have the one layout."""
    found = [o for o in map(json.loads, s.ctl("doc", "--json").stdout.splitlines()) if o["type"] == "kind"]
    check(len(found) > 5, "there are no kinds")
    wrong = []
    for kind in found:
        name = kind["name"]
        if not is_sentence(kind["doc"]):
            wrong.append(f"{name}: its doc is no sentence: {kind['doc']!r}")
        for field in kind["fields"] + kind["sends"]:
            if not is_sentence(field["doc"]):
                wrong.append(f"{name}.{field['field']}: its doc is no sentence: {field['doc']!r}")
        example = kind.get("example", "")
        if not any(line.startswith(name + " ") for line in example.split("\n")):
            wrong.append(f"{name}: no example with a resource of that kind")
        done = s.ctl("check", "-", stdin=example)
        if done.returncode != 0:
            wrong.append(f"{name}: its example: {done.stderr.strip()}")
    check(not wrong, "\n".join(wrong))


main(committed, kinds)
