"""`python -m hasty DIR`, and what all commands have in common: ports, signals, arguments."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from _programs import is_soon
from commands import PATIENCE_S, Command, Serve, serve
from conftest import IMPORT_PATH

import hasty.port
from hasty import Access
from hasty.cli import main
from hasty.loading import Refused
from hasty.port import reserved
from hasty.progress import Output, Progress

__all__ = ["serve"]

PROGRESS = re.compile(r"(\S+) (\S+) (\d{3}) (\d+) B \d+\.\d ms")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder to serve."""
    folder = tmp_path / "site"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("hello")
    (folder / "page.html").write_text("<h1>page</h1>")
    return folder


# --- a folder ---


def test_a_folder_is_served_with_a_listing_and_a_line_for_each_request(serve: Serve, site: Path) -> None:
    command = serve("site", "--port", "0")
    listing = command.ask()
    assert listing.status == 200 and "a.txt" in listing.text and "sub/" in listing.text  # type: ignore[attr-defined]
    assert command.text("a.txt") == "hello"
    assert command.ask("nothing?q=1").status == 404
    found = [PROGRESS.fullmatch(command.line()) for _ in range(3)]
    assert [match and match.groups()[:3] for match in found] == [
        ("GET", "/", "200"),
        ("GET", "/a.txt", "200"),
        ("GET", "/nothing?q=1", "404"),
    ]
    assert found[1] is not None and found[1][4] == "5"


def test_the_working_directory_is_a_folder_too(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>index</h1>")
    assert serve(".", "--port=0").text() == "<h1>index</h1>"


def test_a_folder_wins_over_a_module_of_its_name(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "a.txt").write_text("a file")
    assert serve("json", "--port=0").text("a.txt") == "a file"


def test_no_listing(serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--no-listing")
    assert command.ask().status == 404
    assert command.text("a.txt") == "hello"


def test_cache_control(serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--cache-control", "max-age=60")
    assert command.ask("a.txt").headers["cache-control"] == "max-age=60"


def test_a_single_page_application(serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--spa", "page.html")
    assert command.text("some/route") == "<h1>page</h1>"


@pytest.mark.parametrize(
    ("arguments", "origin", "allowed"),
    [
        (["--cors", "*"], "https://any.example", "*"),
        (["--cors", "https://a.example", "https://b.example"], "https://b.example", "https://b.example"),
        (["--cors", "https://a.example", "--cors", "https://b.example"], "https://a.example", "https://a.example"),
        (["--cors", "https://a.example"], "https://c.example", None),
        ([], "https://any.example", None),
    ],
)
def test_cors(arguments: list[str], origin: str, allowed: str | None, serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", *arguments)
    assert command.ask("a.txt", Origin=origin).headers["access-control-allow-origin"] == allowed


def test_the_access_log_may_have_another_format(serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--access-log", "json")
    command.text("a.txt")
    line = json.loads(command.line())
    assert (line["method"], line["status"]) == ("GET", 200)


def test_the_access_log_may_be_none(serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--access-log=none")
    command.text("a.txt")
    command.terminate()
    assert command.end() == (0, [], [])


# --- the progress line ---


def record(status: int = 200, method: str = "GET", target: str = "/") -> Access:
    return Access(method, target, None, "127.0.0.1", None, None, "1", status, 80, 1234, 1550, 0)


def test_what_a_client_sends_does_not_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Progress(Output())(record(target="/\x1b[2J\x9b\u202e\n\xe9"))
    assert capsys.readouterr().out == "GET /\\x1b[2J\\x9b\\u202e\\n\\xe9 200 1234 B 1.6 ms\n"


@pytest.mark.parametrize(("status", "colour"), [(204, 32), (304, 36), (404, 33), (500, 31)])
def test_the_status_is_coloured_on_a_terminal(status: int, colour: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert on_a_terminal(status) == f"GET / \x1b[{colour}m{status}\x1b[0m \x1b[2m1234 B 1.6 ms\x1b[0m\r\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_may_be_unwanted(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert on_a_terminal(200) == "GET / 200 1234 B 1.6 ms\r\n"


def on_a_terminal(status: int) -> str:
    ours, theirs = pty.openpty()
    try:
        with open(theirs, "w") as terminal:
            Progress(Output(terminal))(record(status))
            return os.read(ours, 4096).decode()
    finally:
        os.close(ours)


def test_a_reader_who_leaves_does_not_end_the_server(site: Path) -> None:
    reader, writer = os.pipe()
    command = Command("site", "--port", "0", cwd=site.parent, stdout=writer)
    try:
        os.close(writer)
        with open(reader) as lines:
            command.printed(lines.readline())
        # As after `| head -1`, what is written from now on fails.
        assert [command.text("a.txt") for _ in range(3)] == ["hello"] * 3
        command.terminate()
        assert command.end() == (0, [], []), "nothing is said about it"
    finally:
        command.close()


# --- ports and hosts ---


def port_of(command: Command) -> int:
    return urlsplit(command.url).port or 0


def test_the_port_asked_for(serve: Serve, site: Path) -> None:
    with reserved("127.0.0.1", 0) as kept:
        port = kept.getsockname()[1]
        command = serve("site", "--port", str(port))
        assert (command.url, command.text("a.txt")) == (f"http://127.0.0.1:{port}/", "hello")


def test_two_without_a_port_serve_both(serve: Serve, site: Path) -> None:
    first = serve("site")
    assert first.text("a.txt") == "hello"
    second = serve("site")
    assert second.text("a.txt") == "hello" and port_of(first) != port_of(second)


def test_8000_is_the_first_choice_8080_the_second_and_then_any(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasty.port.USUAL == (8000, 8080, 0)
    # Others may have those, so two that nobody else gets stand for them.
    with reserved("127.0.0.1", 0) as first, reserved("127.0.0.1", 0) as second:
        usual = [each.getsockname()[1] for each in (first, second)]
        monkeypatch.setattr(hasty.port, "USUAL", (*usual, 0))
        chosen = []
        for busy in (first, second, None):
            with reserved("127.0.0.1", None) as kept:
                chosen.append(kept.getsockname()[1])
            if busy is not None:
                busy.listen()
    assert chosen[:2] == usual and chosen[2] not in (0, *usual)


def test_a_reserved_port_is_refused_to_those_who_come_while_somebody_listens() -> None:
    with reserved("127.0.0.1", 0) as kept, contextlib.ExitStack() as stack:
        port = kept.getsockname()[1]
        stack.enter_context(socket.create_server(("127.0.0.1", port)))
        with pytest.raises(Refused, match=f"^port {port} of 127.0.0.1 is in use$"):
            reserved("127.0.0.1", port)


def test_a_port_in_use_is_one_sentence(serve: Serve, site: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text("import hasty\napp = hasty.App()\n")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        for target in (["site"], ["hello"], ["hello:app", "--reload"]):
            command = serve(*target, "--port", str(port))
            assert command.end() == (1, [], [f"hasty: port {port} of 127.0.0.1 is in use"])


def test_ipv6(serve: Serve, site: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no ::1")
    for host in ("::1", "[::1]"):
        command = serve("site", "--port=0", "--host", host)
        assert command.url.startswith("http://[::1]:") and command.text("a.txt") == "hello"


@pytest.mark.parametrize(
    ("host", "shown"), [("localhost", "localhost"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")]
)
def test_hosts(host: str, shown: str, serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0", "--host", host)
    assert urlsplit(command.url).hostname == shown and command.text("a.txt") == "hello"


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_within_a_second(number: signal.Signals, serve: Serve, site: Path) -> None:
    command = serve("site", "--port=0")
    assert command.text("a.txt") == "hello"
    assert command.line().startswith("GET /a.txt 200 5 B ")
    began = time.monotonic()
    command.process.send_signal(number)
    assert command.end() == (0, [], [])
    assert is_soon(time.monotonic() - began)
    assert command.processes() == []


# --- arguments ---


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "the following arguments are required: TARGET (see --help)"),
        (["site", "--port", "x"], 2, "argument --port: x is not a number from 0 to 65535 (see --help)"),
        (
            ["site", "--drain-timeout", "nan"],
            2,
            "argument --drain-timeout: nan is not a number of seconds from 0 to 86400 (see --help)",
        ),
        (["site", "--port", "65536"], 2, "argument --port: 65536 is not a number from 0 to 65535 (see --help)"),
        (["site", "--nonsense"], 2, "unrecognized arguments: --nonsense (see --help)"),
        (["site", "--no-list"], 2, "unrecognized arguments: --no-list (see --help)"),
        (["hello", "--workers", "0"], 2, "argument --workers: 0 is not a number from 1 (see --help)"),
        (["site", "--reload"], 2, "--reload is not for folders, and site is one"),
        (["site", "--workers", "2"], 2, "--workers is not for folders, and site is one"),
        (["hello:app", "--no-listing"], 2, "--no-listing is not for applications: hello:app is no folder"),
        (["hello:app", "--cache-control", "x"], 2, "--cache-control is not for applications: hello:app is no folder"),
        (["hello:"], 2, '"hello:" is none of DIR, MODULE:NAME, FILE.py:NAME and MODULE:FUNCTION()'),
        (["hello:f(1)"], 2, '"hello:f(1)" is none of DIR, MODULE:NAME, FILE.py:NAME and MODULE:FUNCTION()'),
        (["./sight"], 1, "there is no file ./sight, and no directory of that name"),
        (["sight"], 1, '"sight" is neither a directory in {cwd} nor a module that Python finds'),
        (["not-a-name"], 1, '"not-a-name" is neither a directory in {cwd} nor a module that Python finds'),
        (["site/a.txt"], 1, "site/a.txt is a file, but its name does not end with .py or .wsgi"),
        (["site", "--spa", "none.html"], 1, "there is no file none.html in site for --spa"),
        (["site", "--cors", "example"], 1, 'origin "example": an origin is scheme://host or scheme://host:port'),
        (["site", "--host", "192.0.2.1"], 1, "192.0.2.1 is no address of this machine"),
        (["site", "--host", "no host"], 1, 'there is no host "no host"'),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    arguments: list[str],
    code: int,
    says: str,
    site: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(site.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = signal.getsignal(signal.SIGTERM)
    try:
        ended = main(arguments)
    except SystemExit as end:
        ended = end.code  # type: ignore[assignment]
    finally:
        signal.signal(signal.SIGTERM, before)
    out, err = capsys.readouterr()
    assert (ended, out, err) == (code, "", f"hasty: {says.format(cwd=os.getcwd())}\n")


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hasty", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONPATH": str(IMPORT_PATH), **environ},
    )


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"hasty {hasty.__version__}\n", "")


def test_help_explains_every_option_and_shows_examples() -> None:
    done = run("--help", COLUMNS="120")
    assert (done.returncode, done.stderr) == (0, "")
    assert "python -m hasty shop.web:app --workers 4" in done.stdout
    for option in ("port", "host", "no-listing", "cors", "cache-control", "spa", "reload", "threads", "workers"):
        assert f"  --{option}" in done.stdout, option
    assert max(map(len, done.stdout.splitlines())) <= 120
