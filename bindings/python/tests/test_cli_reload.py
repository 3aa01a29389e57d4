"""`python -m hasty MODULE --reload`: started anew when the code changes, and never left behind."""

from __future__ import annotations

import http.client
import inspect
import os
import signal
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from _programs import is_soon
from commands import PATIENCE_S, Command, Serve, serve

from hasty import App

pytestmark = pytest.mark.long

__all__ = ["serve"]

HELLO = """
import os
from hasty import App
app = App()

@app.get("/")
def hello(req):
    return "{text}"

@app.get("/pid")
def pid(req):
    return str(os.getpid())
"""
WAITING = "hasty: waiting for a change"


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """The file that a test changes."""
    file = tmp_path / "hello.py"
    file.write_text(HELLO.format(text="one"))
    return file


def again(command: Command) -> str:
    """Waits until the program serves anew; the URL that it prints."""
    return command.line()


def changed(command: Command, name: str = "hello.py") -> None:
    assert command.error_line() == f"hasty: {name} changed, restarting"


def ended(command: Command) -> tuple[int, list[str]]:
    """The exit code and what was said; no process is left."""
    code, _, err = command.end()
    assert command.processes() == []
    return code, err


# --- changes ---


@pytest.mark.parametrize("target", ["hello", "hello:app", "hello.py", "./hello.py:app"])
def test_a_change_is_served_at_the_same_port(target: str, serve: Serve, hello: Path) -> None:
    command = serve(target, "--reload", "--port=0")
    assert command.text() == "one"
    before = command.text("pid")
    hello.write_text(HELLO.format(text="another text"))
    assert again(command) == command.url
    assert command.text() == "another text" and command.text("pid") != before
    changed(command)
    command.interrupt()
    assert ended(command) == (0, [])


def test_changes_of_the_same_size_in_one_second_are_all_served(serve: Serve, hello: Path) -> None:
    # Compiled files are told apart by size and whole seconds.
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    for text in ("two", "six", "ten", "one"):
        hello.write_text(HELLO.format(text=text))
        again(command)
        assert command.text() == text


def test_a_file_that_an_editor_replaces(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    saved = hello.with_suffix(".tmp")
    saved.write_text(HELLO.format(text="two"))
    os.replace(saved, hello)
    again(command)
    assert command.text() == "two"


def test_a_file_that_is_gone_for_a_moment(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    hello.rename(hello.with_suffix(".old"))
    hello.write_text(HELLO.format(text="two"))
    again(command)
    assert command.text() == "two"


def test_a_module_that_the_app_imports(serve: Serve, hello: Path) -> None:
    words = hello.with_name("words.py")
    words.write_text("text = 'one'")
    hello.write_text("import words\n" + HELLO.replace('"{text}"', "words.text"))
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    words.write_text("text = 'two'")
    again(command)
    assert command.text() == "two"
    changed(command, "words.py")


def test_a_module_that_a_handler_imports(serve: Serve, hello: Path) -> None:
    words = hello.with_name("words.py")
    words.write_text("text = 'one'")
    hello.write_text(HELLO.replace('return "{text}"', "import words\n    return words.text"))
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    words.write_text("text = 'two'")
    again(command)
    assert command.text() == "two"


def test_a_file_that_is_saved_while_it_is_imported(serve: Serve, hello: Path) -> None:
    hello.write_text(
        "import pathlib\nhere = pathlib.Path(__file__)\n"
        "here.write_text(here.read_text().replace('one', 'two'))\n" + HELLO.format(text="one")
    )
    command = serve("hello", "--reload", "--port=0")
    # The first still is what it was when it was read, the next one is not; then nothing changes any more.
    assert again(command) == command.url
    assert command.text() == "two"


def test_a_wsgi_application_is_started_anew_too(serve: Serve, hello: Path) -> None:
    pytest.importorskip("hasty.wsgi")
    source = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'one']\n"
    hello.write_text(source)
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    hello.write_text(source.replace("one", "two"))
    again(command)
    assert command.text() == "two"


def test_nothing_compiled_is_left_beside_the_code(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    assert not (hello.parent / "__pycache__").exists()


@pytest.mark.skipif("workers" not in inspect.signature(App.listen).parameters, reason="listen() has no workers yet")
def test_all_workers_are_started_anew(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--workers=2", "--port=0")
    assert command.text() == "one"
    before = set(command.processes()) - {command.process.pid}
    hello.write_text(HELLO.format(text="two"))
    assert again(command) == command.url
    assert {command.text() for _ in range(10)} == {"two"}
    assert not before & set(command.processes())
    command.terminate()
    assert ended(command)[0] == 0


# --- code that fails ---


def test_a_syntax_error_is_shown_and_mended(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    hello.write_text("def f(:\n")
    changed(command)
    shown = []
    while (line := command.error_line()) != WAITING:
        shown.append(line)
    assert f'  File "{hello}", line 1' in shown and shown[-1].startswith("SyntaxError: ")
    hello.write_text(HELLO.format(text="mended"))
    assert again(command) == command.url
    assert command.text() == "mended"


def until_waiting(command: Command) -> list[str]:
    lines = []
    while not (line := command.error_line()).endswith("waiting for a change"):
        lines.append(line)
    return [*lines, line]


def test_code_that_fails_from_the_beginning_is_waited_for(serve: Serve, hello: Path) -> None:
    hello.write_text("import words\n")
    command = serve("hello", "--reload", "--port=0")
    assert until_waiting(command)[-2] == "ModuleNotFoundError: No module named 'words'"
    # No file that was there has to change: a missing one appears.
    hello.with_name("words.py").write_text(HELLO.format(text="words"))
    says = 'hello has no "app" and no "application": give its name, as in hello:NAME'
    assert until_waiting(command)[-2] == f"hasty: {says}"
    hello.write_text("from words import app\n")
    assert command.text() == "words"


def test_a_target_that_is_not_there_is_not_waited_for(serve: Serve, hello: Path) -> None:
    for target, says in (
        ("helo", f'"helo" is neither a directory in {hello.parent} nor a module that Python finds'),
        ("hello:ap", 'hello has no "ap"; is it "app"?'),
    ):
        command = serve(target, "--reload", "--port=0")
        assert ended(command) == (1, [f"hasty: {says}"])


def test_an_app_that_crashes_is_waited_for(serve: Serve, hello: Path) -> None:
    hello.write_text(HELLO.format(text="one") + "\n@app.get('/crash')\ndef crash(req):\n    os._exit(7)\n")
    command = serve("hello", "--reload", "--port=0")
    with pytest.raises((http.client.HTTPException, OSError)):
        command.ask("crash")
    assert command.error_line() == "hasty: it ended with code 7; waiting for a change"
    hello.write_text(HELLO.format(text="two"))
    again(command)
    assert command.text() == "two"


def test_an_app_that_ends_itself_ends_both(serve: Serve, hello: Path) -> None:
    hello.write_text(HELLO.format(text="one") + "\n@app.get('/bye')\ndef bye(req):\n    app.stop()\n")
    command = serve("hello", "--reload", "--port=0")
    assert command.ask("bye").status == 204
    assert ended(command) == (0, [])


# --- ends ---


def test_ctrl_c_ends_both_within_a_second(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one" and len(command.processes()) == 2
    began = time.monotonic()
    command.interrupt()
    assert ended(command) == (0, [])
    assert is_soon(time.monotonic() - began)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_first_process_alone_ends_both(number: signal.Signals, serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    began = time.monotonic()
    command.process.send_signal(number)
    assert ended(command) == (0, [])
    assert is_soon(time.monotonic() - began)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_waits_for_a_change(number: signal.Signals, serve: Serve, hello: Path) -> None:
    hello.write_text("def f(:\n")
    command = serve("hello", "--reload", "--port=0")
    until_waiting(command)
    os.killpg(command.process.pid, number)
    assert ended(command) == (0, [])


def test_ctrl_c_lets_a_handler_finish(serve: Serve, hello: Path) -> None:
    hello.write_text(
        HELLO.format(text="one") + "\nimport time\n@app.get('/slow')\ndef slow(req):\n"
        "    print('inside', flush=True)\n    time.sleep(0.2)\n    return 'finished'\n"
    )
    command, texts = serve("hello", "--reload", "--port=0"), list[str]()
    assert command.url
    client = threading.Thread(target=lambda: texts.append(command.text("slow")))
    client.start()
    assert command.line() == "inside"
    command.interrupt()
    client.join()
    assert texts == ["finished"]
    # It may be told there that such a handler holds up others.
    assert ended(command)[0] == 0


def test_a_process_that_will_not_end_is_made_to_with_all_it_has_started(serve: Serve, hello: Path) -> None:
    hello.write_text(
        "import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen(['sleep', '600'])\n" + HELLO.format(text="one")
    )
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    (old,) = set(command.processes()) - {command.process.pid, int(command.text("pid"))}
    hello.write_text(HELLO.format(text="two"))
    again(command)
    assert command.text() == "two"
    assert old not in command.processes()


def test_the_server_ends_when_the_one_that_watches_is_killed(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    assert command.text() == "one"
    pid = int(command.text("pid"))
    os.kill(command.process.pid, signal.SIGKILL)
    until = time.monotonic() + PATIENCE_S
    while pid in command.processes() and time.monotonic() < until:
        time.sleep(0.01)
    assert command.processes() == []


def test_the_port_stays_taken_between_two_programs(serve: Serve, hello: Path) -> None:
    command = serve("hello", "--reload", "--port=0")
    port = command.url.rpartition(":")[2].strip("/")
    hello.write_text("def f(:\n")
    until_waiting(command)
    # Nobody listens now, and whoever wants any port gets another one.
    with pytest.raises(OSError):
        urlopen(command.url, timeout=PATIENCE_S)
    hello.write_text(HELLO.format(text="two"))
    assert again(command).rpartition(":")[2].strip("/") == port
