#!/usr/bin/env python3
"""Every field of the contract's structs lies in include/hasty.h where the contract says.

    layout.py INCLUDE_FOLDER SCRATCH_FOLDER

Writes a C program that prints size, offset and kind of each field of contract/hasty_types.h, compiles it once
against the contract and once against the real header, and compares what the two print, struct by struct.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTRACT = HERE / "contract"

KINDS = """
#define KIND(x) _Generic((x), int32_t: "int32_t", uint32_t: "uint32_t", int64_t: "int64_t", uint64_t: "uint64_t", \\
    const char *: "const char *", const uint8_t *: "const uint8_t *", void *: "void *", hasty_str: "hasty_str", \\
    hasty_app *: "hasty_app *", const hasty_request *: "const hasty_request *", default: "another type")
"""


def structs(text):
    """The structs of a header: name -> its fields, in order."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", text, flags=re.S):
        fields = []
        for line in body.split(";"):
            fields += [re.search(r"(\w+)\s*$", part)[1] for part in line.split(",") if part.strip()]
        yield name, fields


def program(include, name, fields):
    lines = [f"#include {include}", "#include <stddef.h>", "#include <stdio.h>", KINDS, "int main(void)", "{"]
    lines.append(f'    printf("{name}: %zu bytes\\n", sizeof({name}));')
    for field in fields:
        place = f"offsetof({name}, {field}), sizeof((({name} *)0)->{field}), KIND((({name} *)0)->{field})"
        lines.append(f'    printf("{name}.{field}: at %zu, %zu bytes, %s\\n", {place});')
    return "\n".join(lines + ["    return 0;", "}", ""])


def printed(scratch, which, include, folder, name, fields):
    """What the program says of one struct; on failure the compiler's first words."""
    source, binary = scratch / f"layout_{which}.c", scratch / f"layout_{which}"
    source.write_text(program(include, name, fields))
    built = subprocess.run(["cc", "-std=c17", "-I", folder, source, "-o", binary], capture_output=True, text=True)
    if built.returncode:
        return ["it does not compile: " + re.search(r"error: (.*)", built.stderr)[1]]
    return subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()


def main():
    folder, scratch = sys.argv[1], Path(sys.argv[2])
    scratch.mkdir(parents=True, exist_ok=True)
    for name, fields in structs((CONTRACT / "hasty_types.h").read_text()):
        contract = printed(scratch, "contract", '"hasty_types.h"', CONTRACT, name, fields)
        header = printed(scratch, "header", "<hasty.h>", folder, name, fields)
        wrong = [f"{ours}, but the contract has {theirs}" for ours, theirs in zip(header, contract) if ours != theirs]
        print(f"not ok layout of {name}: {wrong[0]}" if wrong else f"ok layout of {name}")


if __name__ == "__main__":
    main()
