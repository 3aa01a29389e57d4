#!/usr/bin/env python3
"""The paired examples answer what examples-c/README.md writes down, in C and in Python alike.

    examples.py FOLDER      FOLDER has the built programs of examples-c

Each conversation of the README is held with both programs; then the two answers are compared whole.
"""

import difflib
import http.client
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol import done, expect, not_ok  # noqa: E402
from serving import Served  # noqa: E402

# Of a program in Python. The same one in C needs more lines, and may have them.
LONGEST = 70
# What differs from one answer to the next, or from one file to its copy.
OF_THE_MOMENT = ("Date", "ETag", "Last-Modified", "Server-Timing", "X-Request-ID")


class Conversation:
    """One request and the answer that is written down for it."""

    def __init__(self, text):
        sent = [line[2:] for line in text.splitlines() if line.startswith(">")]
        answer = [line[2:] for line in text.splitlines() if line.startswith("<")]
        self.method, self.target = sent[0].split()
        head, self.sent_body = self._split(sent[1:])
        self.sent_headers = [tuple(line.split(": ", 1)) for line in head]
        if any(value.startswith("multipart/") for _, value in self.sent_headers):
            self.sent_body = self.sent_body.replace("\n", "\r\n")
        status, *kind = answer[0].split(" ", 1)
        self.status, self.kind = int(status), kind[0] if kind else None
        head, self.body = self._split(answer[1:])
        self.headers = [tuple(line.split(": ", 1)) for line in head]
        self.name = f"{self.method} {self.target}"

    @staticmethod
    def _split(lines):
        """Header lines, and the body: None where there is no empty line."""
        if "" not in lines:
            return lines, None
        at = lines.index("")
        return lines[:at], "\n".join(lines[at + 1 :])

    def wrong(self, answer):
        """What of `answer` is not as written down, or nothing."""
        if answer.status != self.status:
            return f"status {answer.status}, not {self.status}: {answer.body[:200]!r}"
        if self.kind and answer.header("Content-Type") != self.kind:
            return f"Content-Type {answer.header('Content-Type')!r}, not {self.kind!r}"
        for name, value in self.headers:
            if parts(answer.header(name)) != (None if value == "(absent)" else parts(value)):
                return f"{name} {answer.header(name)!r}, not {value!r}"
        if self.body is not None and not matches(self.body, answer.body):
            return f"body {answer.body!r}, not {self.body!r}"
        return ""


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.getheaders()
        self.goes_on = self.header("Content-Type") == "text/event-stream"
        body = b"".join(iter(response.readline, b"\n")).removesuffix(b"\n") if self.goes_on else response.read()
        self.body = body.decode("utf-8", "surrogateescape")

    def header(self, name):
        return ", ".join(value for known, value in self.headers if known.lower() == name.lower()) or None

    def comparable(self):
        """The answer as lines, without what may differ from one second to the next."""
        headers = sorted(f"{name}: {value}" for name, value in self.headers if name not in OF_THE_MOMENT)
        return [str(self.status), *headers, "", *([] if self.goes_on else self.body.splitlines())]


def parts(value):
    """The parts of a header value, whose order is free."""
    return None if value is None else sorted(part.strip() for part in re.split("[,;]", value))


def matches(pattern, text):
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("...")), text, re.S) is not None


def ask(served, conversation):
    connection = http.client.HTTPConnection(served.host, served.port, timeout=10)
    body = None if conversation.sent_body is None else conversation.sent_body.encode()
    connection.putrequest(conversation.method, conversation.target, skip_accept_encoding=True)
    for name, value in conversation.sent_headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    try:
        return Answer(connection.getresponse())
    finally:
        connection.close()


def written_down():
    """The conversations of the README, program -> list, and the lines that a program writes about them."""
    programs, logs, name, fence, lines = {}, {}, None, None, []
    for line in (ROOT / "examples-c/README.md").read_text().splitlines():
        if fence and line == "```":
            text = "\n".join(lines)
            if fence == "```http":
                programs[name] = [Conversation(part) for part in re.split(r"\n(?=> [A-Z]+ /)", text) if part.strip()]
            elif fence == "```log":
                logs[name] = lines
            fence = None
        elif fence:
            lines.append(line)
        elif line.startswith("### "):
            name = line[4:]
        elif line.startswith("```"):
            fence, lines = line, []
    return programs, logs


def hold(label, command, conversations, log=()):
    """Holds all conversations with one program, and looks at its `log`. The answers, None where there is none."""
    answers = []
    try:
        served = Served(command, PYTHONPATH=str(ROOT / "bindings/python/src"))
    except (RuntimeError, OSError) as error:
        not_ok(f"{label} serves", str(error))
        return None
    with served:
        for conversation in conversations:
            try:
                answer = ask(served, conversation)
            except (OSError, http.client.HTTPException) as error:
                answers.append(None)
                not_ok(f"{label} {conversation.name}", f"{type(error).__name__}: {error}")
                continue
            answers.append(answer)
            expect(f"{label} {conversation.name}", conversation.wrong(answer))
        code = served.stop()
        expect(f"{label} ends with 0 on SIGTERM", "" if code == 0 else f"it ended with {code}: {served.said()}")
        if log:
            expect(f"{label} writes its log", differs(log, served.said().splitlines()))
    return answers


def differs(patterns, lines):
    """The first line that is not as written down, or nothing."""
    for pattern, line in itertools.zip_longest(patterns, lines):
        if pattern is None or line is None or not matches(pattern, line):
            return f"{line!r}, not {pattern!r}"
    return ""


def arguments(name, port, scratch):
    """What follows the program: the port, if one is asked for, and a folder for those that write files."""
    return [port or "0", scratch] if name == "upload" else [port] if port else []


def refuses_a_taken_port(label, command, name, scratch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        try:
            served = Served([*command, *arguments(name, port, scratch)], PYTHONPATH=str(ROOT / "bindings/python/src"))
        except RuntimeError as error:
            expect(f"{label} says why it cannot listen", "" if port in str(error) or "in use" in str(error) else str(error))
        else:
            served.stop()
            not_ok(f"{label} says why it cannot listen", f"it serves on {served.port} although {port} was asked for")


def finishes_an_upload_that_has_begun(command):
    """SIGTERM comes in the middle of a body: nobody new is let in, and the request is answered all the same."""
    body = "title=" + "x" * 1000
    head = f"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    with Served(command) as served, socket.create_connection((served.host, served.port), timeout=20) as client:
        client.sendall((head + body[:500]).encode())
        served.process.send_signal(signal.SIGTERM)
        await_refusal(served)
        client.sendall(body[500:].encode())
        answer = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        client.close()
        code = served.process.wait(20)
    wrong = "" if answer.startswith("HTTP/1.1 200 ") and "Connection: close" in answer else f"it is answered {answer[:200]!r}"
    expect("upload.c answers an upload that had begun when SIGTERM came", wrong or ("" if code == 0 else f"it ended with {code}"))


def await_refusal(served):
    try:
        while True:
            socket.create_connection((served.host, served.port), timeout=20).close()
    except ConnectionError:
        pass


def make_run():
    """The first command of the README: it prints the address of the site, and the site is there."""
    environment = {**os.environ, "PORT": "0"}
    process = subprocess.Popen(["make", "-s", "run"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        line = next((line for line in process.stdout if "http://" in line), "")
        address = re.search(r"http://[^/\s]+/", line)
        if not address:
            return f"it printed no address, and ended with {process.wait()}"
        with urllib.request.urlopen(address[0], timeout=20) as answer:
            return "" if answer.headers.get_content_type() == "text/html" else f"the site is {answer.headers['Content-Type']}"
    except OSError as error:
        return f"{error}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def short(path):
    lines = len(path.read_text().splitlines())
    expect(f"{path.relative_to(ROOT)} is under {LONGEST} lines", "" if lines < LONGEST else f"it has {lines}")


def compare(name, folder, scratch, conversations, log):
    """Holds the conversations of `name` with both of its programs, and compares what they answer."""
    source, twin = ROOT / f"examples-c/{name}.c", ROOT / f"examples-python/{name}.py"
    if not twin.exists():
        not_ok(f"{source.name} has a twin", f"there is no {twin.relative_to(ROOT)}")
        return
    short(twin)
    answers = []
    for label, command in ((source.name, [folder / name]), (twin.name, [sys.executable, twin])):
        own = f"{scratch}/{label}"
        answers.append(hold(label, [*command, *arguments(name, None, own)], conversations, log) or [])
        refuses_a_taken_port(label, command, name, own)
    for conversation, ours, theirs in zip(conversations, *answers):
        if ours and theirs:
            lines = difflib.unified_diff(ours.comparable(), theirs.comparable(), "C", "Python", n=0, lineterm="")
            expect(f"{name} {conversation.name} is the same in C and Python", " | ".join(list(lines)[2:]))


def main():
    folder = Path(sys.argv[1])
    programs, logs = written_down()
    expect("the README has conversations for the examples", "" if programs else "none were found")
    with tempfile.TemporaryDirectory() as scratch:
        for source in sorted((ROOT / "examples-c").glob("*.c")):
            name = source.stem
            if name.startswith("embed-"):
                continue  # tests/embed.py
            if name in programs:
                compare(name, folder, scratch, programs.pop(name), logs.get(name))
            else:
                # Alone in its language; that it serves is all there is to see here.
                hold(source.name, [folder / name], [Conversation("> GET /\n< 200")])
        finishes_an_upload_that_has_begun([folder / "upload", *arguments("upload", None, f"{scratch}/begun")])
    expect("make run serves the site", make_run())
    for name in programs:
        not_ok(f"{name}.c", "the README has conversations for it, examples-c has no such program")
    return done()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
