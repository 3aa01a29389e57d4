#!/usr/bin/env python3
"""The declarations for COBOL, Fortran and Pascal fit the header: every constant, field and function of it.

    calls.py SCRATCH_FOLDER NAME...

A library that stands in for libhasty is compiled against include/hasty.h: each of its functions tells what arguments came in,
fills what is to be filled, and gives a result that is its own. A program in each language calls every function with values that
can be told apart, and prints what came back; so an argument too many, too short or in another's place is seen. The same program
prints every constant, and where each field of each struct lies; a program in C says what is right.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "bindings")]

import declare  # noqa: E402
from declare import Cobol, Pascal, Type, camel, dashed, without_case  # noqa: E402
from protocol import done, expect, not_ok, ok  # noqa: E402

HEADER = declare.Header(declare.HEADER.read_text())
VOID = Type("void", 0, False)
# Values that need all of their bits, plus the position of the argument.
GIVEN = {"int32_t": -1000, "hasty_status": -1000, "uint32_t": 4000000000, "int64_t": -5000000000, "uint64_t": 6000000000, "size_t": 6000000000}
WRITTEN = {"int32_t": -3000, "uint32_t": 4200000000, "int64_t": -5200000000, "size_t": 6200000000}
POINTER_GIVEN, POINTER_OUT, POINTER_RESULT = 7000000000, 7200000000, 7100000000


def kind(each):
    """What a parameter is to a caller."""
    base, stars, const = each.type
    if base == "char" or base == "void":
        return "text" if const else "buffer" if base == "char" or each.name == "buf" else "handle"
    if stars == 2:
        return "out handle"
    if base in HEADER.names:
        return "struct" if const else "out text" if base == "hasty_str" else "out struct"
    if stars and base in GIVEN:
        return "out number"
    if stars and base == "double":
        return "out double"
    if base in HEADER.callback_names:
        return "callback"
    return "handle" if stars else "double" if base == "double" else "number"


def number_field(base):
    """A number in a struct, by which one is told from others."""
    return {"hasty_str": "len", "hasty_slot_object": "status"}.get(base, "size")


def result_kind(function):
    base, stars, const = function.result
    if function.result == VOID:
        return "nothing"
    if stars:
        return "text" if base == "char" else "handle"
    return "view" if base in HEADER.names else "number"


def result_number(index, function):
    # GnuCOBOL takes every result that is no pointer as an int: of unsigned ones 31 bits.
    return {"int32_t": -2000 - index, "hasty_status": -2000 - index, "uint32_t": 2100000000 + index}.get(function.result.base, 2000 + index)


def heard(function):
    """What the stand-in tells of a call."""
    words = [function.name]
    for at, each in enumerate(function.parameters):
        base = each.type.base
        words.append(
            {
                "number": lambda: str(GIVEN[base] + at),
                "double": lambda: f"{1.5 + at}",
                "text": lambda: f"text-{at}",
                "handle": lambda: str(POINTER_GIVEN + 16 * at),
                "callback": lambda: str(POINTER_GIVEN + 16 * at),
                "struct": lambda: str(70 + at),
                "out struct": lambda: str(70 + at),
            }.get(kind(each), lambda: "-")()
        )
    return " ".join(words)


def brought_back(index, function):
    """What a caller prints after a call: line by line a name and a value."""
    result = {"text": f"result-{index}", "view": f"result-{index}", "handle": POINTER_RESULT + 16 * index}
    lines = []
    if result_kind(function) != "nothing":
        lines.append(f"{function.name} {result.get(result_kind(function), result_number(index, function))}")
    for at, each in enumerate(function.parameters):
        value = {
            "out handle": POINTER_OUT + 16 * at,
            "out number": WRITTEN.get(each.type.base, 0) + at,
            "out double": 2.5 + at,
            "out text": f"out-{at}",
            "out struct": 80 + at,
            "buffer": f"out-{at}",
        }.get(kind(each))
        if value is not None:
            lines.append(f"{function.name}.{at} {value}")
    return lines


# ---- the stand-in and what is right, in C


def stand_in():
    yield "#include <hasty.h>\n#include <stdio.h>\n#include <string.h>"
    for index, function in enumerate(HEADER.functions):
        listed = ", ".join(f"{c_type(each.type)} a{at}" for at, each in enumerate(function.parameters)) or "void"
        formats, values, writes = "", "", ""
        for at, each in enumerate(function.parameters):
            struct_field = f"a{at}->{number_field(each.type.base)}"
            shown = {
                "number": ("%lld", f"(long long)a{at}"),
                "double": ("%.1f", f"a{at}"),
                "text": ("%s", f"(const char *)a{at}"),
                "handle": ("%lld", f"(long long)(intptr_t)a{at}"),
                "callback": ("%lld", f"(long long)(intptr_t)a{at}"),
                "struct": ("%lld", f"(long long){struct_field}"),
                "out struct": ("%lld", f"(long long){struct_field}"),
            }.get(kind(each))
            formats += " " + (shown[0] if shown else "-")
            values += f", {shown[1]}" if shown else ""
            writes += {
                "out handle": f"*a{at} = (void *){POINTER_OUT + 16 * at};",
                "out number": f"*a{at} = ({each.type.base}){WRITTEN.get(each.type.base, 0) + at};",
                "out double": f"*a{at} = {2.5 + at};",
                "out text": f'a{at}->data = "out-{at}"; a{at}->len = strlen("out-{at}");',
                "out struct": f"{struct_field} = {80 + at};",
                "buffer": f'strcpy(a{at}, "out-{at}");',
            }.get(kind(each), "")
        result = {
            "nothing": "",
            "text": f'return "result-{index}";',
            "view": f'return (hasty_str){{"result-{index}", strlen("result-{index}")}};',
            "handle": f"return (void *){POINTER_RESULT + 16 * index};",
            "number": f"return ({function.result.base}){result_number(index, function)};",
        }[result_kind(function)]
        tell = f'fprintf(stderr, "{function.name}{formats}\\n"{values});'
        yield f"{c_type(function.result)} {function.name}({listed}) {{ {tell} {writes} {result} }}"


def c_type(type_):
    return f"{'const ' if type_.const else ''}{type_.base} {'*' * type_.stars}"


def truth():
    """Constants and layout, as the header has them."""
    yield '#include <hasty.h>\n#include <stdio.h>\n#define SAY(name, value) printf("%s %lld\\n", name, (long long)(value));\nint main(void) {'
    for each in HEADER.constants:
        # All bits set is -1 where numbers have signs.
        yield f'SAY("{each.name}", {f"(int{each.bits}_t)" if each.bits else ""}{each.name})'
    for struct in HEADER.structs:
        yield f'SAY("{struct.name}", sizeof({struct.name}))'
        for field in struct.fields:
            yield f'SAY("{struct.name}.{field.name}", offsetof({struct.name}, {field.name}))'
    yield "}"


# ---- the callers


def signed(value, bits):
    return value - 2**bits if value >= 2 ** (bits - 1) else value


FORTRAN_AID = """\
  type(c_ptr) function handle(n)
    integer(c_int64_t), intent(in) :: n
    handle = transfer(n, c_null_ptr)
  end function
  type(c_funptr) function callback(n)
    integer(c_int64_t), intent(in) :: n
    callback = transfer(n, c_null_funptr)
  end function
  integer(c_int64_t) function place(p)
    type(c_ptr), intent(in) :: p
    place = transfer(p, 0_c_int64_t)
  end function
  subroutine say(name, n)
    character(*), intent(in) :: name
    integer(c_int64_t), intent(in) :: n
    print '(a, 1x, i0)', name, n
  end subroutine
  subroutine tell(name, text)
    character(*), intent(in) :: name, text
    print '(a, 1x, a)', name, text
  end subroutine
  function until_nul(text)
    character(*), intent(in) :: text
    character(:), allocatable :: until_nul
    until_nul = text(:index(text, c_null_char) - 1)
  end function"""


class FortranCaller:
    source, build = "calls.f90", "gfortran -O0 -J . -o calls {root}/bindings/fortran/hasty.f90 calls.f90 -L . -lhasty"

    def lines(self):
        yield "module aid\n  use hasty\n  use iso_c_binding\n  implicit none\ncontains"
        yield FORTRAN_AID
        pieces = [self.layout(struct) for struct in HEADER.structs] + [self.call(*each) for each in enumerate(HEADER.functions)]
        constants = [f"    call say('{each.name}', int({without_case(each.name)}, c_int64_t))" for each in HEADER.constants]
        for number, piece in enumerate(pieces):
            yield f"  subroutine step{number}()"
            yield from piece
            yield "  end subroutine"
        yield "end module\nprogram calls\n  use aid\n  implicit none"
        yield from constants
        for number in range(len(pieces)):
            yield f"  call step{number}()"
        yield "end program"

    def layout(self, struct):
        yield f"    type({struct.name}), target :: s"
        yield f"    call say('{struct.name}', int(c_sizeof(s), c_int64_t))"
        for field in struct.fields:
            yield f"    call say('{struct.name}.{field.name}', place(c_loc(s%{field.name})) - place(c_loc(s)))"

    def call(self, index, function):
        before, words, after = [], [], []
        for at, each in enumerate(function.parameters):
            base, name = each.type.base, f"{function.name}.{at}"
            is_pointer = each.type.base == "void"
            what = kind(each)
            number = declare.FORTRAN_KINDS.get(base, "")
            value = str(GIVEN.get(base, 0) + at)
            if base == "uint32_t":
                value = str(signed(GIVEN[base] + at, 32))
            kind_name = number[8:-1]
            words.append(
                {
                    "number": f"{value}_{kind_name}",
                    "double": f"{1.5 + at}_c_double",
                    "text": f"c_loc(a{at})" if is_pointer else f"'text-{at}'//c_null_char",
                    "buffer": f"c_loc(a{at})" if is_pointer else f"a{at}",
                    "handle": f"handle({POINTER_GIVEN + 16 * at}_c_int64_t)",
                    "callback": f"callback({POINTER_GIVEN + 16 * at}_c_int64_t)",
                }.get(what, f"a{at}")
            )
            if what == "text" and is_pointer:
                before += [f"    character(20), target :: a{at} = 'text-{at}'//c_null_char"]
            elif what == "buffer":
                before += [f"    character(20), target :: a{at} = ' '"]
                after += [f"    call tell('{name}', until_nul(a{at}))"]
            elif what in ("struct", "out struct", "out text"):
                before += [f"    type({base}) :: a{at}"]
                words[-1] = f"a{at}"
                if what != "out text":
                    after.insert(0, f"!set    a{at}%{number_field(base)} = {70 + at}")
                after += {
                    "struct": [],
                    "out struct": [f"    call say('{name}', int(a{at}%{number_field(base)}, c_int64_t))"],
                    "out text": [f"    call tell('{name}', hasty_text(a{at}))"],
                }[what]
            elif what == "out handle":
                before += [f"    type(c_ptr) :: a{at} = c_null_ptr"]
                after += [f"    call say('{name}', place(a{at}))"]
            elif what == "out number":
                before += [f"    {number} :: a{at} = 0"]
                shown = f"int(a{at}, c_int64_t)"
                after += [f"    call say('{name}', {shown if base != 'uint32_t' else f'iand({shown}, 4294967295_c_int64_t)'})"]
            elif what == "out double":
                before += [f"    real(c_double) :: a{at} = 0"]
                after += [f"    print '(a, 1x, f0.1)', '{name}', a{at}"]
        result = result_kind(function)
        types = {"text": "type(c_ptr)", "handle": "type(c_ptr)", "view": "type(hasty_str)"}
        if result != "nothing":
            before += [f"    {types.get(result) or declare.FORTRAN_KINDS[function.result.base]} :: r"]
        yield from before
        yield from (line[4:] for line in after if line.startswith("!set"))
        listed = ", &\n      ".join(words)
        yield f"    {'call ' if result == 'nothing' else 'r = '}{function.name}({listed})"
        shown = "int(r, c_int64_t)"
        if function.result.base == "uint32_t":
            shown = f"iand({shown}, 4294967295_c_int64_t)"
        if result != "nothing":
            yield {
                "text": f"    call tell('{function.name}', hasty_c_text(r))",
                "view": f"    call tell('{function.name}', hasty_text(r))",
                "handle": f"    call say('{function.name}', place(r))",
                "number": f"    call say('{function.name}', {shown})",
            }[result]
        yield from (line for line in after if not line.startswith("!set"))


class PascalCaller:
    source, build = "calls.pas", "fpc -vw -Fu{root}/bindings/pascal -Fl. -FE. calls.pas"

    def lines(self):
        yield "program calls;\n{$mode objfpc}{$H+}\n{$warn 5057 off}\nuses hasty;"
        yield "procedure Say(const name: string; value: Int64);\nbegin\n  WriteLn(name, ' ', value);\nend;"
        yield "procedure Tell(const name: string; const value: string);\nbegin\n  WriteLn(name, ' ', value);\nend;"
        pieces = [self.layout(struct) for struct in HEADER.structs] + [self.call(*each) for each in enumerate(HEADER.functions)]
        for number, piece in enumerate(pieces):
            yield f"procedure Step{number};"
            yield from piece
            yield "end;"
        yield "begin"
        for each in HEADER.constants:
            shown = f"Int{each.bits}({each.name})" if each.bits == 64 else f"LongInt({each.name})" if each.bits else each.name
            yield f"  Say('{each.name}', {shown});"
        for number in range(len(pieces)):
            yield f"  Step{number};"
        yield "end."

    def layout(self, struct):
        yield f"var\n  s: T{camel(struct.name)};\nbegin"
        yield f"  Say('{struct.name}', SizeOf(s));"
        for field in struct.fields:
            yield f"  Say('{struct.name}.{field.name}', PtrUInt(@s.{Pascal.word(field.name)}) - PtrUInt(@s));"

    def call(self, index, function):
        pascal = Pascal(HEADER)
        variables, sets, words, after = [], [], [], []
        for at, each in enumerate(function.parameters):
            base, name, what = each.type.base, f"{function.name}.{at}", kind(each)
            words.append(
                {
                    "number": str(GIVEN.get(base, 0) + at),
                    "double": f"{1.5 + at}",
                    "text": f"PAnsiChar('text-{at}')",
                    "buffer": f"@a{at}[0]",
                    "handle": f"{pascal.type(each.type)}(PtrUInt({POINTER_GIVEN + 16 * at}))",
                    "callback": f"T{camel(base)}(PtrUInt({POINTER_GIVEN + 16 * at}))",
                    "struct": f"@a{at}",
                }.get(what, f"a{at}")
            )
            types = {"buffer": "array[0..19] of AnsiChar", "struct": f"T{camel(base)}", "out struct": f"T{camel(base)}", "out text": "THastyStr"}
            types |= {"out handle": f"P{camel(base)}", "out number": declare.PASCAL_TYPES.get(base), "out double": "Double"}
            if what in types:
                variables.append(f"  a{at}: {types[what]};")
                sets.append(f"  FillChar(a{at}, SizeOf(a{at}), 0);")
            if what in ("struct", "out struct"):
                sets.append(f"  a{at}.{number_field(base)} := {70 + at};")
            after += {
                "buffer": [f"  Tell('{name}', PAnsiChar(@a{at}[0]));"],
                "out struct": [f"  Say('{name}', a{at}.{number_field(base)});"],
                "out text": [f"  Tell('{name}', HastyText(a{at}));"],
                "out handle": [f"  Say('{name}', PtrUInt(a{at}));"],
                "out number": [f"  Say('{name}', a{at});"],
                "out double": [f"  WriteLn('{name} ', a{at}:0:1);"],
            }.get(what, [])
        if variables:
            yield "var"
            yield from variables
        yield "begin"
        yield from sets
        call = f"{function.name}({', '.join(words)})" if words else function.name
        yield {
            "nothing": f"  {call};",
            "text": f"  Tell('{function.name}', {call});",
            "view": f"  Tell('{function.name}', HastyText({call}));",
            "handle": f"  Say('{function.name}', PtrUInt({call}));",
            "number": f"  Say('{function.name}', {call});",
        }[result_kind(function)]
        yield from after


class CobolCaller:
    source, build = "calls.cob", "cobc -x -free -Wall -fstatic-call -I {root}/bindings/cobol -o calls calls.cob -L . -lhasty"

    def lines(self):
        self.storage = []
        cobol = Cobol(HEADER)
        pieces = [list(self.layout(struct)) for struct in HEADER.structs]
        callable = [each for each in enumerate(HEADER.functions) if not HEADER.returns_struct(each[1])]
        pieces += [list(self.call(cobol, index, function)) for index, function in callable]
        yield 'IDENTIFICATION DIVISION.\nPROGRAM-ID. calls.\nDATA DIVISION.\nWORKING-STORAGE SECTION.\nCOPY "hasty.cpy".'
        for struct in HEADER.structs:
            yield f'COPY "{dashed(struct.name)}.cpy" REPLACING ==:TAG:== BY ==s-{dashed(struct.name)}==.'
        for pointer, number in (("p", "n"), ("q", "m")):
            yield f"01 {pointer} USAGE POINTER.\n01 {number} REDEFINES {pointer} USAGE BINARY-DOUBLE."
        yield "01 piece PIC X(20)."
        for bits, usage in ((32, "BINARY-LONG"), (64, "BINARY-DOUBLE")):
            yield f"01 f-{bits} USAGE {usage} UNSIGNED.\n01 g-{bits} REDEFINES f-{bits} USAGE {usage}."
        yield from self.storage
        yield "LINKAGE SECTION.\n01 foreign PIC X(20).\nPROCEDURE DIVISION."
        for each in HEADER.constants:
            value = dashed(without_case(each.name)).upper()
            if each.bits:
                # They are for unsigned fields; all their bits are set.
                yield f"MOVE {value} TO f-{each.bits} MOVE g-{each.bits} TO n DISPLAY '{each.name} ' n"
            else:
                yield f"MOVE {value} TO n DISPLAY '{each.name} ' n"
        for piece in pieces:
            yield from piece
        yield "STOP RUN."

    def layout(self, struct):
        name = f"s-{dashed(struct.name)}"
        yield f"COMPUTE n = FUNCTION LENGTH({name}) DISPLAY '{struct.name} ' n"
        for field in struct.fields:
            yield f"SET p TO ADDRESS OF {name}-{dashed(field.name)} SET q TO ADDRESS OF {name} SUBTRACT m FROM n"
            yield f"DISPLAY '{struct.name}.{field.name} ' n"

    def declare(self, index, at, usage, value):
        self.storage.append(f"01 v{index}-{at} USAGE {usage} VALUE {value}.")

    def call(self, cobol, index, function):
        sets, after = [], []
        for at, each in enumerate(function.parameters):
            base, name, what, field = each.type.base, f"{function.name}.{at}", kind(each), f"v{index}-{at}"
            if what in ("handle", "callback"):
                self.storage += [f"01 {field} USAGE {'POINTER' if what == 'handle' else 'PROGRAM-POINTER'}."]
                self.storage += [f"01 n{index}-{at} REDEFINES {field} USAGE BINARY-DOUBLE."]
                sets.append(f"MOVE {POINTER_GIVEN + 16 * at} TO n{index}-{at}")
            elif what == "out handle":
                self.declare(index, at, "POINTER", "NULL")
                after.append(f"SET p TO {field} DISPLAY '{name} ' n")
            elif what in ("text", "buffer"):
                self.storage.append(f"01 {field} PIC X(20)" + (f' VALUE z"text-{at}".' if what == "text" else " VALUE SPACES."))
                if what == "buffer":
                    after += [f"MOVE SPACES TO piece STRING {field} DELIMITED BY X'00' INTO piece", f"DISPLAY '{name} ' piece"]
            elif what in ("struct", "out struct", "out text"):
                self.storage.append(f'COPY "{dashed(base)}.cpy" REPLACING ==:TAG:== BY =={field}==.')
                if what != "out text":
                    sets.append(f"MOVE {70 + at} TO {field}-{number_field(base)}")
                if what == "out text":
                    after += self.show_text(name, f"{field}-data")
                elif what == "out struct":
                    after.append(f"DISPLAY '{name} ' {field}-{number_field(base)}")
            elif what in ("number", "double"):
                self.declare(index, at, declare.COBOL_USAGES[base], GIVEN.get(base, 1.5) + at)
            else:
                self.declare(index, at, declare.COBOL_USAGES[base], 0)
                after.append(f"DISPLAY '{name} ' {field}")
        yield from sets

        def argument(_, each):
            if each.name == "result":
                return f"r{index}"
            return f"{cobol.how(function, each)[0]} v{index}-{function.parameters.index(each)}"

        if result_kind(function) != "nothing":
            usage = "POINTER" if function.result.stars else declare.COBOL_USAGES[function.result.base]
            self.storage.append(f"01 r{index} USAGE {usage}.")
        yield from cobol.call(function, argument)
        yield from {
            "nothing": [],
            "text": self.show_text(function.name, f"r{index}"),
            "handle": [f"SET p TO r{index} DISPLAY '{function.name} ' n"],
            "number": [f"DISPLAY '{function.name} ' r{index}"],
        }[result_kind(function)]
        yield from after

    @staticmethod
    def show_text(name, pointer):
        return [
            f"SET ADDRESS OF foreign TO {pointer}",
            "MOVE SPACES TO piece STRING foreign DELIMITED BY X'00' INTO piece",
            f"DISPLAY '{name} ' piece",
        ]


CALLERS = {"cobol": CobolCaller, "fortran": FortranCaller, "pascal": PascalCaller}


# ---- the comparison


def run(command, folder):
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300)


def values(lines):
    """Name -> value: numbers as numbers, since COBOL shows all their digits."""
    found = {}
    for line in lines:
        name, _, value = line.strip().partition(" ")
        found[name] = float(value) if re.fullmatch(r"[-+]?[\d.]+", value.strip()) else value.strip()
    return found


def differs(found, wanted):
    for name in wanted:
        if found.get(name) != wanted[name]:
            return f"{name} is {found.get(name)}, not {wanted[name]}"
    return ", ".join(f"{name} is too much" for name in found if name not in wanted)


def check(language, folder, facts):
    caller = CALLERS[language]()
    (folder / caller.source).write_text("\n".join(caller.lines()) + "\n")
    built = run(caller.build.format(root=ROOT), folder)
    if built.returncode:
        not_ok(f"{language}: every declared function links", " | ".join((built.stdout + built.stderr).strip().splitlines()[-8:]))
        return
    ok(f"{language}: every declared function links")
    ran = run("LD_LIBRARY_PATH=. ./calls", folder)
    functions = [each for each in enumerate(HEADER.functions) if language != "cobol" or not HEADER.returns_struct(each[1])]
    expect(f"{language}: the calls return", "" if ran.returncode == 0 else f"it ended with {ran.returncode}: {ran.stderr.strip()[-300:]}")
    said = values(ran.stdout.splitlines())
    names = {function.name for _, function in functions}
    of_calls = {name: value for name, value in said.items() if name.split(".")[0] in names}
    expect(f"{language}: constants and structs are the header's", differs({k: v for k, v in said.items() if k not in of_calls}, facts))
    wanted = values(line for index, function in functions for line in brought_back(index, function))
    expect(f"{language}: results and outputs come back whole", differs(of_calls, wanted))
    told = values(ran.stderr.splitlines())
    expect(f"{language}: arguments arrive whole and in order", differs(told, values(heard(function) for _, function in functions)))


def main():
    scratch = Path(sys.argv[1]).resolve()
    listed = set((ROOT / "tests/abi/symbols.txt").read_text().split())
    expect("declare.py sees every function of the header", ", ".join(sorted(listed ^ {each.name for each in HEADER.functions})))
    for language in (name for name in sys.argv[2:] if name in CALLERS):
        folder = scratch / f"calls-{language}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stand_in.c").write_text("\n".join(stand_in()) + "\n")
        (folder / "truth.c").write_text("\n".join(truth()) + "\n")
        flags = f"-std=gnu17 -I {ROOT}/include"
        built = run(f"cc {flags} -shared -fPIC stand_in.c -o libhasty.so && cc {flags} truth.c -o truth && ./truth", folder)
        if built.returncode:
            not_ok("the stand-in is what the header declares", built.stderr.strip()[:600])
            return done()
        check(language, folder, values(built.stdout.splitlines()))
    return done()


if __name__ == "__main__":
    sys.exit(main())
