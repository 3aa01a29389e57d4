#!/usr/bin/env python3
"""The old programs of examples-c/legacy answer what their README writes down, in every language alike.

    legacy.py --needs                               for each language: its name, what shows that its tools are there, packages
    legacy.py LIBRARY_FOLDER SCRATCH_FOLDER NAME... builds and asks the programs of these languages

Each program is built and started with the commands of its own first lines, in a folder that has the checkout's files. The
conversations of the README are held with it, then its table is filled by several clients at once, then it is stopped. What
docs/legacy.md shows of the programs must be in them, and the declarations under bindings must be those of the header.
"""

import concurrent.futures
import contextlib
import difflib
import http.client
import re
import shlex
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests")]

from examples import Conversation, ask, refuses_a_taken_port  # noqa: E402
from protocol import done, expect, not_ok, ok  # noqa: E402
from serving import Served  # noqa: E402


class Language(NamedTuple):
    name: str  # the folder of examples-c/legacy, and the fences of docs/legacy.md
    program: str
    probe: str  # a command that succeeds where the tools are installed
    packages: str  # those of Debian


LANGUAGES = [
    Language("cobol", "customers.cob", "cobc --version", "gnucobol"),
    Language("fortran", "customers.f90", "gfortran --version", "gfortran"),
    Language("pascal", "customers.pas", "fpc -iV", "fp-compiler"),
    Language("perl", "customers.pl", "perl -MFFI::Platypus -e 1", "libffi-platypus-perl"),
    Language("tcl", "customers.tcl", "pkg-config --exists tcl", "tcl-dev pkg-config"),
]

ROOM = 50
CLIENTS = 8


def conversations():
    """What the README writes down: the long conversation, the one with a full table, the last one."""
    text = (ROOT / "examples-c/legacy/README.md").read_text()
    fences = re.findall(r"^```http\n(.*?)^```$", text, re.S | re.M)
    return [[Conversation(part) for part in re.split(r"\n\n(?=> [A-Z]+ /)", fence.strip("\n"))] for fence in fences]


def commands(language):
    """The commands in the first lines of a program: those that build it, and the last one, which starts it."""
    lines = (ROOT / "examples-c/legacy" / language.name / language.program).read_text().splitlines()[:20]
    text = "\n".join(re.sub(r"^[*>!#{/(;\s]*", "", line) for line in lines)
    return [re.sub(r"\\\n", "", command) for command in re.findall(r"^\$ ((?:.*\\\n)*.*?)(?: \})?$", text, re.M)]


def prepare(folder, library):
    """A folder where the paths of the checkout hold and nothing of it is written to."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in (("include", ROOT / "include"), ("bindings", ROOT / "bindings"), ("examples-c", ROOT / "examples-c")):
        link(folder / name, place)
    (folder / "target").mkdir(exist_ok=True)
    link(folder / "target/release", library)


def link(path, place):
    path.unlink(missing_ok=True)
    path.symlink_to(place)


def build(name, command, folder):
    """Whether a shell command succeeded; a warning of the compiler is no success."""
    run = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300)
    said = run.stdout + run.stderr
    warned = re.search(r"^.*\bwarning: .*$", said, re.M | re.I)
    wrong = f"ended with {run.returncode}: {' | '.join(said.strip().splitlines()[-12:])}" if run.returncode else warned and warned[0]
    expect(name, wrong or "")
    return not wrong


def start_command(command, folder, witness):
    """The words that start a program as `command` says, but for the port, and with the witness between it and the library."""
    words = shlex.split(re.sub(r" 8080$", "", command))
    settings = dict(words.pop(0).split("=", 1) for word in list(words) if re.match(r"[A-Z_]+=", word))
    settings["HASTY_LIBRARY" if "HASTY_LIBRARY" in settings else "LD_PRELOAD"] = str(witness)
    return ["env", "-C", str(folder), *(f"{name}={value}" for name, value in settings.items()), *words]


def hold(label, command, written):
    """Holds all conversations with one program, and gives its answers."""
    answers = []
    try:
        served = Served(command)
    except (RuntimeError, OSError) as error:
        not_ok(f"{label} serves", str(error))
        return answers
    with served:
        conversation, full, last = written
        answers += [answer_to(label, served, each) for each in conversation]
        fill(label, served, len([each for each in conversation if each.status == 201]) + 3)
        answers += [answer_to(label, served, each) for each in [*full, *last]]
        ends_cleanly(label, served)
    return answers


def answer_to(label, served, conversation):
    name = f"{label} {conversation.name}{' ' + conversation.sent_body.split(chr(10))[0] if conversation.sent_body else ''}"
    try:
        answer = ask(served, conversation)
    except (OSError, http.client.HTTPException) as error:
        not_ok(name, f"{type(error).__name__}: {error}")
        return None
    expect(name, conversation.wrong(answer))
    return answer


def fill(label, served, known):
    """Several clients add customers until the table is full: each gets a number of its own."""

    def add(number):
        connection = http.client.HTTPConnection(served.host, served.port, timeout=20)
        connection.request("POST", "/customers", f'{{"name": "Client {number}", "city": "Everywhere", "balance": {number}}}')
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.getheader("Location") or str(response.status)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        places = set(pool.map(add, range(ROOM - known)))
    wanted = {f"/customers/{number}" for number in range(1001 + known, 1001 + ROOM)}
    expect(f"{label} gives each of {CLIENTS} clients at once numbers of its own", ", ".join(sorted(places ^ wanted)))


def ends_cleanly(label, served):
    """After /stop the program ends by itself; its last words are there, and so are the witness's."""
    try:
        code = served.process.wait(20)
    except subprocess.TimeoutExpired:
        not_ok(f"{label} ends after /stop", "it still runs 20 s later")
        return
    said = last_words(served)
    expect(f"{label} ends with 0 after /stop", "" if code == 0 else f"it ended with {code}: {said}")
    expect(f"{label} does its own last work", "" if f"stopped with {ROOM} customers" in said.splitlines() else f"it said {said!r}")
    seen = re.search(r"witness: (\d+) calls on the main thread, (\d+) elsewhere", said)
    good = seen and int(seen[1]) > 0 and seen[2] == "0"
    expect(f"{label} touches its data on the main thread only", "" if good else f"the witness: {seen[0] if seen else said!r}")


def stops_while_others_ask(label, command):
    """The program ends at once although requests wait: each is answered, one way or the other, if it got in at all."""
    with Served(command) as served:
        clients = [socket.create_connection((served.host, served.port), timeout=20) for _ in range(20)]
        for number, client in enumerate(clients):
            target = "POST /stop" if number == 10 else "GET /customers"
            client.sendall(f"{target} HTTP/1.1\r\nHost: {served.host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        begin = time.monotonic()
        try:
            code = served.process.wait(20)
        except subprocess.TimeoutExpired:
            code = "still running"
        took = time.monotonic() - begin
        expect(f"{label} ends at once while others ask", "" if code == 0 and took < 10 else f"it ended with {code} after {took:.1f} s")
        wrong = [answer for answer in map(whole, clients) if not re.match(r"HTTP/1.1 (200|503) |$", answer)]
        expect(f"{label} leaves nobody with half an answer", wrong[0][:200] if wrong else "")


def whole(client):
    """What a client gets: nothing when it was not let in; a half answer loses its status."""
    text = b""
    with client, contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            text += part
    head, _, body = text.partition(b"\r\n\r\n")
    length = re.search(rb"\r\n[Cc]ontent-[Ll]ength: (\d+)", head)
    good = not text or (length and int(length[1]) == len(body))
    return text.decode() if good else f"half: {text.decode()}"


def last_words(served):
    """What a program that has ended has said, the witness's line included: that may be a moment late."""
    deadline = time.monotonic() + 20
    while "witness: " not in served.said() and time.monotonic() < deadline:
        time.sleep(0.01)
    return served.said()


def compare(answers):
    """Each program's answers, header for header, are those of the first."""
    first, *others = answers
    for label in others:
        for ours, theirs in zip(answers[first], answers[label]):
            if ours and theirs and (lines := list(difflib.unified_diff(ours.comparable(), theirs.comparable(), first, label, n=0, lineterm=""))):
                # The health of a server is of the moment.
                if '"caller_idle_ms"' not in ours.body:
                    not_ok(f"{label} answers as {first} does", " | ".join(lines[2:]))
                    break
        else:
            expect(f"{label} answers as {first} does", "" if len(answers[first]) == len(answers[label]) else "it did not answer all")


def shown_code_is_in_the_programs(names):
    """Each fence of the guide in one of the languages is a piece of a program: `...` on a line of its own stands for lines left out."""
    guide = (ROOT / "docs/legacy.md").read_text().splitlines()
    language, lines, begin = None, [], 0
    for number, line in enumerate(guide, 1):
        opening = re.match(r"```(\w+)$", line)
        if opening and language is None:
            language, lines, begin = opening[1], [], number
        elif line == "```" and language is not None:
            if language in names:
                expect(f"docs/legacy.md:{begin} {language} is in the program", missing_from_sources(language, lines))
            language = None
        elif language:
            lines.append(line)


def missing_from_sources(language, lines):
    sources = [path.read_text() for path in sorted((ROOT / "examples-c/legacy" / language).iterdir()) if path.is_file()]
    plain = [squeezed(textwrap.dedent(source)) for source in sources]
    for piece in re.split(r"^\s*\.\.\.\s*$", "\n".join(lines), flags=re.M):
        if not any(squeezed(piece) in source for source in plain):
            return f"no program has {piece.strip().splitlines()[0]!r} and what follows it there"
    return ""


def squeezed(text):
    """Text by its words alone: a guide may indent differently."""
    return " ".join(text.split())


def main():
    if sys.argv[1:] == ["--needs"]:
        for each in LANGUAGES:
            print(each.name, each.packages.replace(" ", ","), each.probe)
        return 0
    library, scratch = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    chosen = [each for each in LANGUAGES if each.name in sys.argv[3:]]
    written = conversations()
    expect("the README has three conversations", "" if len(written) == 3 else f"it has {len(written)}")
    scratch.mkdir(parents=True, exist_ok=True)
    witness = scratch / "witness.so"
    flags = f"-std=gnu17 -Wall -Wextra -Werror -O1 -shared -fPIC -I {ROOT}/include -L {library} -Wl,-rpath,{library}"
    if not build("the witness", f"cc {flags} {ROOT}/tests/legacy/witness.c -o {witness} -Wl,--no-as-needed -lhasty", scratch):
        return done()
    answers = {}
    for language in chosen:
        folder = scratch / language.name
        prepare(folder, library)
        *building, starting = commands(language) or [""]
        label = f"{language.name}/{language.program}"
        expect(f"{label} says how it is started", "" if starting.endswith(" 8080") else f"the last of its first lines' commands is {starting!r}")
        if all(build(f"{label}: {command.split()[0]} ...", command, folder) for command in building):
            command = start_command(starting, folder, witness)
            answers[label] = hold(label, command, written)
            if answers[label]:
                stops_while_others_ask(label, command)
            refuses_a_taken_port(label, command, language.name, scratch)
    if len(answers) > 1:
        compare(answers)
    shown_code_is_in_the_programs([each.name for each in chosen])
    return done()


if __name__ == "__main__":
    sys.exit(main())
