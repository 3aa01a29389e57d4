#!/usr/bin/env python3
"""What the library exports, what the header declares and what symbols.txt lists are the same names.

    symbols.py HEADER LIBRARY    prints ok / not ok lines
    symbols.py --bless HEADER    writes symbols.txt from the header
    symbols.py --link HEADER     prints a C program that takes the address of every function

cbindgen does not see a function that a macro makes, the linker does: so each list is made by another tool.
"""

import re
import subprocess
import sys
from pathlib import Path

LIST = Path(__file__).with_name("symbols.txt")
CONTRACT = Path(__file__).with_name("contract") / "hasty_contract.h"

# Functions that the contract does not ask for.
BEYOND = {"hasty_access_to_text", "hasty_app_begin_drain", "hasty_slot_take_object"}


def declarations(header):
    """The functions a header declares: name -> its whole declaration on one line."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", Path(header).read_text(), flags=re.S)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M).replace('extern "C" {', " ")
    found = {}
    for statement in re.sub(r"\{[^{}]*\}", " ", text).split(";"):
        statement = " ".join(statement.split())
        name = re.search(r"\b(hasty_\w+) ?\(", statement)
        if name and not statement.startswith("typedef"):
            found[name[1]] = statement
    return found


def exported(library):
    """The names the dynamic linker sees."""
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in lines.splitlines()}


def say(name, wrong):
    print(f"not ok {name}: {wrong}" if wrong else f"ok {name}")


def differs(ours, what_ours, theirs, what_theirs):
    parts = []
    if ours - theirs:
        parts.append(f"only in {what_ours}: {', '.join(sorted(ours - theirs))}")
    if theirs - ours:
        parts.append(f"only in {what_theirs}: {', '.join(sorted(theirs - ours))}")
    return "; ".join(parts)


def twins(functions):
    """What is wrong with the `_to` forms of the functions that return a hasty_str by value."""
    wrong = []
    for name, declaration in sorted(functions.items()):
        by_value = re.match(r"(?:struct )?hasty_str (hasty_\w+) ?\((.*)\)$", declaration)
        if not by_value:
            continue
        arguments = "" if by_value[2] == "void" else by_value[2] + ", "
        twin = functions.get(name + "_to", "nothing")
        wanted = f"hasty_status {name}_to({arguments}hasty_str *out)"
        if twin.replace("struct ", "") != wanted.replace("struct ", ""):
            wrong.append(f"wanted {wanted}, found {twin}")
    return "; ".join(wrong)


def main(arguments):
    if arguments[0] == "--bless":
        LIST.write_text("".join(name + "\n" for name in sorted(declarations(arguments[1]))))
        return
    if arguments[0] == "--link":
        names = sorted(declarations(arguments[1]))
        print("#include <hasty.h>\n#include <stdio.h>\ntypedef void (*any)(void);\nstatic const any every[] = {")
        print("\n".join(f"    (any){name}," for name in names))
        print("};\nint main(void)\n{\n    size_t i, there = 0;")
        print("    for (i = 0; i < sizeof every / sizeof *every; i++) there += every[i] != 0;")
        print('    printf("%zu functions, ABI %u, hasty %s\\n", there, (unsigned)hasty_abi_version(), hasty_version());')
        print("    return 0;\n}")
        return
    header, library = arguments
    functions = declarations(header)
    declared = set(functions)
    listed = set(LIST.read_text().split()) if LIST.exists() else set()
    say("header and symbols.txt name the same functions (make header writes both)", differs(declared, "the header", listed, "symbols.txt"))
    say("libhasty.so exports what the header declares and nothing else", differs(exported(library), "libhasty.so", declared, "the header"))
    say("every function that returns a hasty_str has a twin ending in _to", twins(functions))
    unknown = {name for name in declared - set(declarations(CONTRACT)) - BEYOND if not name.endswith("_to")}
    say("every function is one of the contract's, a twin, or known to be beyond it", ", ".join(sorted(unknown)))


if __name__ == "__main__":
    main(sys.argv[1:])
