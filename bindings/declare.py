#!/usr/bin/env python3
"""Writes the declarations for COBOL, Fortran and Pascal from include/hasty.h.

    declare.py            writes what has changed below bindings/cobol, bindings/fortran and bindings/pascal
    declare.py --check    says what would change, in the lines that tests/check.sh counts

What is written by hand in the Fortran module and in the Pascal unit stays: only what lies between the lines
`generated from include/hasty.h` and `end of what is generated` is replaced.
"""

import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent / "include/hasty.h"

# The text arguments and buffers for which NULL has a meaning, besides every struct of options.
MAY_BE_NULL = {
    ("hasty_app_listen", "host"),
    ("hasty_response_write_event", "event"),
    ("hasty_response_write_event", "id"),
    ("hasty_response_send_download", "filename"),
    ("hasty_access_to_text", "buf"),
    ("hasty_json_to_text", "buf"),
}


# ---- the header


class Type(NamedTuple):
    base: str
    stars: int
    const: bool

    @property
    def is_text(self):
        return self.base == "char" and self.stars == 1


class Value(NamedTuple):
    """A parameter or a field."""

    name: str
    type: Type


class Constant(NamedTuple):
    name: str
    value: int
    bits: int
    about: str


class Struct(NamedTuple):
    name: str
    fields: list
    about: str


class Function(NamedTuple):
    """A function, or the type of a callback."""

    name: str
    result: Type
    parameters: list
    about: str


class Header:
    """What a header declares, in its order."""

    def __init__(self, text):
        text = re.sub(r"^(#ifdef __cplusplus|extern \"C\" \{|\}  // extern.*|#endif.*)$", "", text, flags=re.M)
        self.constants, self.structs, self.opaque, self.callbacks, self.functions = [], [], [], [], []
        doc = r"/\*\*\n((?: \*[^\n]*\n)*?) \*/\n"
        for about, body in re.findall(doc + r"((?:typedef struct \w+ \{.*?\n\} \w+;)|(?:#define [^\n]*)|(?:[^/#].*?;))", text, re.S):
            self.add(first_sentence(about), " ".join(re.sub(r"/\*.*?\*/", " ", body, flags=re.S).split()))
        self.names = {each.name: each for each in self.structs}
        self.callback_names = {each.name for each in self.callbacks}

    def add(self, about, text):
        if match := re.fullmatch(r"#define (\w+) (\S+)", text):
            limits = {"UINT32_MAX": (2**32 - 1, 32), "UINT64_MAX": (2**64 - 1, 64)}
            value, bits = limits.get(match[2]) or (int(match[2]), 0)
            self.constants.append(Constant(match[1], value, bits, about))
        elif match := re.fullmatch(r"typedef struct \w+ \{(.*)\} (\w+);", text):
            self.structs.append(Struct(match[2], [declared(each) for each in match[1].split(";") if each.strip()], about))
        elif match := re.fullmatch(r"typedef struct \w+ (\w+);", text):
            self.opaque.append((match[1], about))
        elif match := re.fullmatch(r"typedef (.*?)\(\*(\w+)\)\((.*)\);", text):
            self.callbacks.append(Function(match[2], declared(match[1] + " result").type, parameters(match[3]), about))
        elif match := re.fullmatch(r"(?!typedef)(.*?\W)(hasty_\w+)\((.*)\);", text):
            self.functions.append(Function(match[2], declared(match[1] + " result").type, parameters(match[3]), about))
        elif text != "typedef int32_t hasty_status;":
            raise SystemExit(f"declare.py does not know what this is: {text}")

    def returns_struct(self, function):
        return function.result.base in self.names and not function.result.stars


def first_sentence(comment):
    """The first sentence of a comment of the header, on one line."""
    paragraph = re.sub(r"^ \* ?", "", comment, flags=re.M).split("\n\n")[0]
    return re.split(r"(?<=[.!?])\s+(?=[A-Z(])", " ".join(paragraph.split()))[0]


def declared(text):
    match = re.fullmatch(r"\s*(const )?(?:struct )?(\w+) ?(\**)\s*(\w+)\s*", text)
    if not match:
        raise SystemExit(f"declare.py cannot read the declaration {text!r}")
    return Value(match[4], Type(match[2], len(match[3]), bool(match[1])))


def parameters(text):
    text = re.sub(r"\bhasty_handler\b(?! )", "hasty_handler ", text)
    return [] if text.strip() == "void" else [declared(each) for each in text.split(",")]


def wrapped(text, mark, width=132):
    return textwrap.wrap(text, width - len(mark), initial_indent=mark, subsequent_indent=mark)


# ---- Fortran

FORTRAN_KINDS = {
    "int32_t": "integer(c_int32_t)",
    "uint32_t": "integer(c_int32_t)",
    "hasty_status": "integer(c_int32_t)",
    "int64_t": "integer(c_int64_t)",
    "uint64_t": "integer(c_int64_t)",
    "size_t": "integer(c_size_t)",
    "double": "real(c_double)",
}


def without_case(name):
    """HASTY_OPTIONS is a method, hasty_options a struct; where case does not count, methods need a name of their own."""
    methods = "GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split()
    return f"HASTY_METHOD_{name[6:]}" if name[6:] in methods else name


class Fortran:
    path = HERE / "fortran/hasty.f90"
    marks = ("  ! ---- generated from include/hasty.h", "  ! ---- end of what is generated")

    def __init__(self, header):
        self.header = header

    def lines(self):
        yield ""
        for each in self.header.constants:
            yield from wrapped(each.about, "  ! ")
            kind = "c_int64_t" if each.bits == 64 else "c_int32_t"
            # Fortran has no unsigned numbers: all bits set is -1.
            value = -1 if each.bits else each.value
            yield f"  integer({kind}), parameter, public :: {without_case(each.name)} = {value}_{kind}"
        for struct in self.header.structs:
            yield ""
            yield from wrapped(struct.about, "  ! ")
            yield f"  type, bind(C), public :: {struct.name}"
            for field in struct.fields:
                yield f"    {self.field(field)}"
            yield f"  end type {struct.name}"
        yield "\n  abstract interface"
        for callback in self.header.callbacks:
            yield from self.procedure(callback, "bind(C)")
        yield "  end interface\n\n  interface"
        for function in self.header.functions:
            yield from self.procedure(function, f"bind(C, name='{function.name}')")
        yield "  end interface\n"
        for function in [*self.header.callbacks, *self.header.functions]:
            yield f"  public :: {function.name}"
        yield ""

    def field(self, field):
        base, stars = field.type.base, field.type.stars
        if stars:
            return f"type(c_ptr) :: {field.name} = c_null_ptr"
        if base in self.header.names:
            return f"type({base}) :: {field.name}"
        return f"{FORTRAN_KINDS[base]} :: {field.name} = 0"

    def procedure(self, function, binding):
        is_function = function.result != Type("void", 0, False)
        word = "function" if is_function else "subroutine"
        names = ", ".join(each.name for each in function.parameters)
        yield ""
        yield from wrapped(function.about, "    ! ")
        result = " result(answer)" if is_function else ""
        yield from folded(f"    {word} {function.name}({names}) {binding}{result}")
        yield "      import"
        for each in function.parameters:
            yield f"      {self.parameter(function, each)}"
        if is_function:
            yield f"      {self.result(function.result)} :: answer"
        yield f"    end {word} {function.name}"

    def result(self, type_):
        if type_.stars:
            return "type(c_ptr)"
        return f"type({type_.base})" if type_.base in self.header.names else FORTRAN_KINDS[type_.base]

    def parameter(self, function, each):
        base, stars, const = each.type
        absent = ", optional" if (function.name, each.name) in MAY_BE_NULL else ""
        if base == "char":
            return f"character(kind=c_char), intent({'in' if const else 'inout'}){absent} :: {each.name}(*)"
        if stars == 1 and base in self.header.names:
            is_options = const and function in self.header.functions and base not in ("hasty_str", "hasty_access")
            absent = ", optional" if is_options else ""
            return f"type({base}), intent({'in' if const else 'inout'}){absent} :: {each.name}"
        if stars == 2:
            return f"type(c_ptr), intent(inout) :: {each.name}"
        if stars and base in FORTRAN_KINDS:
            return f"{FORTRAN_KINDS[base]}, intent(inout) :: {each.name}"
        if stars:
            return f"type(c_ptr), value :: {each.name}"
        if base in self.header.callback_names:
            return f"type(c_funptr), value :: {each.name}"
        return f"{FORTRAN_KINDS[base]}, value :: {each.name}"


def folded(line, width=132):
    """A line of Fortran as lines that are short enough."""
    while len(line) > width:
        at = line.rindex(" ", 0, width - 2)
        yield line[:at] + " &"
        line = "        " + line[at + 1 :]
    yield line


# ---- Pascal

PASCAL_TYPES = {
    "int32_t": "LongInt",
    "uint32_t": "LongWord",
    "hasty_status": "THastyStatus",
    "int64_t": "Int64",
    "uint64_t": "QWord",
    "size_t": "SizeUInt",
    "double": "Double",
}
PASCAL_WORDS = set(
    """and array as asm begin case class const constructor destructor div do downto else end except exports file finalization finally for
    function goto if implementation in inherited initialization inline interface is label library mod nil not object of on operator or out
    packed procedure program property raise record repeat resourcestring set shl shr string then threadvar to try type unit until uses var
    while with xor""".split()
)


class Pascal:
    path = HERE / "pascal/hasty.pas"
    marks = ("{ ---- generated from include/hasty.h }", "{ ---- end of what is generated }")

    def __init__(self, header):
        self.header = header

    def lines(self):
        yield "\nconst"
        for each in self.header.constants:
            yield from wrapped(each.about, "  // ")
            yield f"  {each.name} = {f'${each.value:X}' if each.bits else each.value};"
        yield "\ntype"
        yield "  // The outcome of a call: HASTY_OK, or one of HASTY_ERR_*."
        yield "  THastyStatus = LongInt;"
        for name, about in self.header.opaque:
            yield from wrapped(about, "  // ")
            yield f"  P{camel(name)} = ^T{camel(name)};\n  T{camel(name)} = record end;"
        for struct in self.header.structs:
            yield ""
            yield f"  P{camel(struct.name)} = ^T{camel(struct.name)};"
            yield from wrapped(struct.about, "  // ")
            yield f"  T{camel(struct.name)} = record"
            for field in struct.fields:
                yield f"    {self.word(field.name)}: {self.type(field.type)};"
            yield "  end;"
        for callback in self.header.callbacks:
            yield ""
            yield from wrapped(callback.about, "  // ")
            plain = "; ".join(f"{self.word(each.name)}: {self.type(each.type)}" for each in callback.parameters)
            yield f"  T{camel(callback.name)} = {self.kind(callback)} ({plain}){self.answer(callback)}; cdecl;"
        for function in self.header.functions:
            listed = "; ".join(self.parameter(function, each) for each in function.parameters)
            yield ""
            yield from wrapped(function.about, "// ")
            text = f"{self.kind(function)} {function.name}{f'({listed})' if listed else ''}{self.answer(function)}; cdecl; external 'hasty';"
            yield from textwrap.wrap(text, 132, subsequent_indent="  ")
        yield ""

    @staticmethod
    def word(name):
        return name + "_" if name in PASCAL_WORDS else name

    @staticmethod
    def kind(function):
        return "procedure" if function.result == Type("void", 0, False) else "function"

    def answer(self, function):
        return "" if self.kind(function) == "procedure" else ": " + self.type(function.result)

    def type(self, type_):
        base, stars, _ = type_
        if base == "void":
            return "Pointer"
        if base == "char":
            return "PAnsiChar"
        if base == "uint8_t":
            return "PByte"
        plain = PASCAL_TYPES.get(base)
        if plain:
            return plain if not stars else f"P{plain.removeprefix('T')}"
        return f"{'P' if stars else 'T'}{camel(base)}"

    def parameter(self, function, each):
        """What the library writes to is a var parameter: it must not be NULL."""
        base, stars, const = each.type
        word = self.word(each.name)
        written = stars == 2 or (stars and base in PASCAL_TYPES) or (stars and base in self.header.names and not const)
        if written:
            return f"var {word}: {self.type(Type(base, stars - 1, const))}"
        return f"{word}: {self.type(each.type)}"


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


# ---- COBOL

COBOL_USAGES = {
    "int32_t": "BINARY-LONG",
    "uint32_t": "BINARY-LONG UNSIGNED",
    "hasty_status": "BINARY-LONG",
    "int64_t": "BINARY-DOUBLE",
    "uint64_t": "BINARY-DOUBLE UNSIGNED",
    "size_t": "BINARY-DOUBLE UNSIGNED",
    "double": "FLOAT-LONG",
}


class Cobol:
    """hasty.cpy has the constants and how each function is called; each struct has a copybook of its own."""

    def __init__(self, header):
        self.header = header

    def files(self):
        yield HERE / "cobol/hasty.cpy", "\n".join(self.main()) + "\n"
        for struct in self.header.structs:
            yield HERE / f"cobol/{dashed(struct.name)}.cpy", "\n".join(self.record(struct)) + "\n"

    def main(self):
        yield from COBOL_FIRST.format(count=len(list(self.callable()))).splitlines()
        for each in self.header.constants:
            yield from wrapped(each.about, "      *> ", 72)
            yield f"       78 {dashed(without_case(each.name)).upper()} VALUE {each.value}."
        yield from "\n      *> ---- How each function is called, and the usage of the fields.".split("\n")
        for function in self.callable():
            yield "      *>"
            yield from wrapped(function.about, "      *> ", 72)
            yield from (f"      *> {line}" for line in self.call(function, self.shown))

    def record(self, struct):
        yield from wrapped(struct.about, "      *> ", 72)
        yield f'      *>   COPY "{dashed(struct.name)}.cpy" REPLACING ==:TAG:== BY ==name==.'
        yield "      *> Generated from include/hasty.h by bindings/declare.py."
        yield "       01 :TAG:."
        for field in struct.fields:
            yield from self.field(field, ":TAG:-", 5)

    def field(self, field, prefix, level):
        name = prefix + dashed(field.name)
        struct = self.header.names.get(field.type.base)
        if field.type.stars or not struct:
            usage = "POINTER VALUE NULL" if field.type.stars else f"{COBOL_USAGES[field.type.base]} VALUE 0"
            yield f"       {'    ' * (level // 5)}{level:02} {name}"
            yield f"       {'    ' * (level // 5)}    USAGE {usage}."
            return
        yield f"       {'    ' * (level // 5)}{level:02} {name}."
        for inner in struct.fields:
            yield from self.field(inner, name + "-", level + 5)

    def callable(self):
        """COBOL cannot take a struct by value: those functions have twins ending in _to."""
        return (each for each in self.header.functions if not self.header.returns_struct(each))

    def call(self, function, argument):
        """The CALL of a function, as lines; `argument` tells what stands for each parameter."""
        yield f'CALL "{function.name}"'
        for number, each in enumerate(function.parameters):
            yield f"    {'USING' if number == 0 else '     '} {argument(function, each)}"
        result = function.result
        if result == Type("void", 0, False):
            yield "    RETURNING OMITTED"
        else:
            yield f"    RETURNING {argument(function, Value('result', result))}"

    def how(self, function, each):
        """How a parameter is passed, and as what."""
        base, stars, const = each.type
        if stars == 2:
            return "BY REFERENCE", "POINTER"
        if base == "char":
            return "BY REFERENCE", "Z-text" if const else "PIC X(n)"
        if stars and base in self.header.names:
            return "BY REFERENCE", dashed(base)
        if stars and base in COBOL_USAGES:
            return "BY REFERENCE", COBOL_USAGES[base]
        if base == "void" and (const or each.name == "buf"):
            return "BY REFERENCE", "PIC X(n)"
        if stars:
            return "BY VALUE", "POINTER"
        if base in self.header.callback_names:
            return "BY VALUE", "PROGRAM-POINTER"
        usage = COBOL_USAGES[base]
        return "BY VALUE SIZE 8" if "DOUBLE" in usage else "BY VALUE", usage

    def shown(self, function, each):
        if each.name == "result":
            return "POINTER" if each.type.stars else COBOL_USAGES[each.type.base]
        passed, usage = self.how(function, each)
        absent = (function.name, each.name) in MAY_BE_NULL or (each.type.const and each.type.base in self.header.names)
        return f"{passed} {dashed(each.name)} *> {usage}{', or OMITTED' if absent else ''}"


COBOL_FIRST = """\
      *> The constants of hasty, and how its {count} functions are called.
      *> Generated from include/hasty.h by bindings/declare.py.
      *> SPDX-License-Identifier: MIT OR Apache-2.0
      *>
      *>   COPY "hasty.cpy".        in WORKING-STORAGE
      *>
      *> Build      with -fstatic-call and -lhasty: the linker then
      *>            reports a misspelt name, which would otherwise
      *>            stop the program when it is called.
      *> Handles    apps, requests and their like are USAGE POINTER.
      *> Text       goes in with a NUL at its end: z"/customers" BY
      *>            REFERENCE or BY CONTENT. Where a function takes a
      *>            length too, a field of PIC X will do, or a POINTER
      *>            BY VALUE. It comes out as a hasty-str: SET ADDRESS
      *>            OF a LINKAGE item TO its data, and use its len.
      *> Structs    have copybooks of their own. In those with a size,
      *>            MOVE FUNCTION LENGTH (name) TO name-size first.
      *> Outputs    are written on success only.
      *> NULL       is OMITTED where a field would go BY REFERENCE; BY
      *>            VALUE it is a POINTER that is NULL. (BY VALUE NULL
      *>            passes four bytes.)
      *> SIZE 8     belongs to BY VALUE BINARY-DOUBLE: without it only
      *>            four bytes go over, and no compiler says so.
      *> Callbacks  run on the library's threads, where COBOL cannot:
      *>            give NULL handlers, and take hasty_app_next.
      *> Methods    are HASTY-METHOD-GET where C has HASTY_GET, since
      *>            HASTY-OPTIONS is a struct too.
      *>"""


def dashed(name):
    return name.replace("_", "-")


# ---- writing


def between(text, marks, lines, path):
    """`text` with new lines between its two marks."""
    begin, end = marks
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"{path} does not have the lines {begin!r} and {end!r}, once each")
    head, rest = text.split(begin)
    tail = rest.split(end)[1]
    return f"{head}{begin}\n" + "\n".join(lines) + f"\n{end}{tail}"


def wanted(header):
    """Every file and what it should say."""
    for language in (Fortran(header), Pascal(header)):
        yield language.path, between(language.path.read_text(), language.marks, language.lines(), language.path)
    yield from Cobol(header).files()


def main():
    header = Header(HEADER.read_text())
    for path, text in wanted(header):
        name = path.relative_to(HERE.parent)
        same = path.exists() and path.read_text() == text
        if "--check" in sys.argv[1:]:
            claim = f"{name} is what include/hasty.h says"
            print(f"ok {claim}" if same else f"not ok {claim}: run python3 bindings/declare.py")
        elif not same:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")


if __name__ == "__main__":
    main()
