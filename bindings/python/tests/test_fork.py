"""Forks of a program that serves, and the interpreters inside one: what works, and what is refused."""

from __future__ import annotations

import sys

import pytest
from _programs import Program, is_soon

SERVE = """
import os, sys, time
from urllib.request import urlopen
from hasty import App, StateError

app = App()
app.get("/")(lambda req: "hello")
server = app.start()

def in_a_child(task):
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            print(task(), flush=True)
        except StateError as error:
            print(f"StateError: {error}", flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return time.monotonic() - began

def serves():
    with urlopen(server.url, timeout=10) as answer:
        return answer.read().decode()
"""


def run(source: str) -> tuple[int, list[str]]:
    """Runs a program to its end: its exit code, and the lines of its output; it says nothing else."""
    with Program(source) as program:
        end = program.end(30)
    assert end.err == "", end
    return end.code, end.out.splitlines()


@pytest.mark.parametrize(
    "task",
    ["server.wait()", "server.wait(60)", "app.start()", "app.listen(0)", "app.get('/a')(lambda req: 'a')"],
)
def test_a_fork_is_told_that_the_app_is_its_parents(task: str) -> None:
    code, lines = run(SERVE + f"in_a_child(lambda: {task})\nprint(serves())\nserver.close()")
    assert code == 0 and lines[1] == "hello", "the parent serves on"
    assert lines[0].startswith("StateError: ") and "fork" in lines[0]


@pytest.mark.parametrize("task", ["server.stop()", "app.stop()", "server.close()"])
def test_an_end_in_a_fork_is_quick_and_ends_nothing_of_its_parents(task: str) -> None:
    code, lines = run(SERVE + f"print(in_a_child(lambda: {task}))\nprint(serves())\nserver.close()")
    assert code == 0 and lines[2:] == ["hello"], lines
    assert is_soon(float(lines[1]))


def test_a_fork_asks_its_parents_server_like_anybody() -> None:
    assert run(SERVE + "in_a_child(serves)\nserver.close()") == (0, ["hello"])


def test_a_fork_serves_with_an_app_of_its_own() -> None:
    source = """
def other():
    app = App()
    app.get("/")(lambda req: "from the child")
    with app.test_client() as client:
        return client.get("/").text

in_a_child(other)
print(serves())
server.close()
"""
    assert run(SERVE + source) == (0, ["from the child", "hello"])


def test_an_app_that_has_not_started_is_its_parents_too() -> None:
    source = """
import os
from hasty import App, StateError

app = App()
app.get("/")(lambda req: "hello")
pid = os.fork()
if pid == 0:
    try:
        app.start()
    except StateError as error:
        print(f"StateError: {error}", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
with app.test_client() as client:
    print(client.get("/").text)
"""
    code, lines = run(source)
    assert code == 0 and lines[1] == "hello"
    assert lines[0].startswith("StateError: ") and "fork" in lines[0]


def test_a_fork_that_ends_like_any_program_ends_at_once() -> None:
    source = """
began = time.monotonic()
pid = os.fork()
if pid == 0:
    sys.exit(3)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(time.monotonic() - began)
print(serves())
server.close()
"""
    code, (child, seconds, answer) = run(SERVE + source)
    assert (code, child, answer) == (0, "3", "hello") and is_soon(float(seconds))


def test_a_fork_inside_a_with_block_leaves_it_at_once() -> None:
    source = """
import os, sys, time
from urllib.request import urlopen
from hasty import App

app = App(threads=2)
app.get("/")(lambda req: "hello")
began = time.monotonic()
with app.start() as server:
    pid = os.fork()
    if pid != 0:
        os.waitpid(pid, 0)
        print(time.monotonic() - began)
        print(urlopen(server.url).read().decode())
print("after", flush=True)
"""
    code, (first, seconds, answer, last) = run(source)
    assert (code, first, answer, last) == (0, "after", "hello", "after") and is_soon(float(seconds))


def test_the_parents_end_frees_the_port_while_a_fork_lives() -> None:
    source = """
import signal
from hasty import IoError

is_made, made = os.pipe()
pid = os.fork()
if pid == 0:
    os.write(made, b".")
    signal.pause()
# By then it has closed what is the parent's.
os.read(is_made, 1)
port = server.port
server.close()
again = App()
again.get("/")(lambda req: "again")
with again.start(port=port) as second:
    print(urlopen(second.url).read().decode(), second.port == port)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
"""
    assert run(SERVE + source) == (0, ["again True"])


FORKS = """
import os, sys
from urllib.request import urlopen
from hasty import App

app = App(threads=int(sys.argv[1]))

@app.get("/", **({"blocking": True} if sys.argv[2:] else {}))
def fork(req):
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    return str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

app.get("/run")(lambda req: __import__("subprocess").check_output([sys.executable, "-c", "print('ran')"]))

with app.start() as server:
    for _ in range(20):
        assert urlopen(server.url).read() == b"7"
    print(urlopen(f"{server.url}/run").read().decode().strip())
"""


@pytest.mark.parametrize("arguments", [("0",), ("3",), ("0", "blocking")], ids=["inline", "threads", "blocking"])
def test_a_handler_may_fork_and_wait(arguments: tuple[str, ...]) -> None:
    with Program(FORKS, *arguments) as program:
        end = program.end(30)
    assert (end.code, end.out, end.err) == (0, "ran\n", "")


MULTIPROCESSING = """
import multiprocessing, sys
from urllib.request import urlopen
from hasty import App

def square(number):
    return number * number

def main():
    context = multiprocessing.get_context(sys.argv[1])
    app = App()
    app.get("/")(lambda req: "hello")

    @app.get("/pool")
    def pool(req):
        with context.Pool(2) as workers:
            return {"squares": workers.map(square, range(4))}

    with app.start() as server:
        print(urlopen(f"{server.url}/pool").read().decode())
        process = context.Process(target=square, args=[3])
        process.start()
        process.join(20)
        print(process.exitcode, urlopen(server.url).read().decode())

if __name__ == "__main__":
    main()
"""


def test_a_program_that_serves_may_use_multiprocessing_by_fork() -> None:
    with Program(MULTIPROCESSING, "fork") as program:
        end = program.end(30)
    assert (end.code, end.out, end.err) == (0, '{"squares":[0,1,4,9]}\n0 hello\n', "")
    assert end.seconds < 20, "the child was joined, not given up"


# --- subinterpreters ---

INSIDE = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

inside = '''
import sys
sys.path[:] = {path!r}
try:
    import hasty
except ImportError as error:
    with open({place!r}, "w") as told:
        told.write(type(error).__name__ + ": " + str(error))
'''
identity = interpreters.create()
failed = interpreters.run_string(identity, inside.format(path=sys.path, place=sys.argv[1]))
print(failed)
import hasty
app = hasty.App()
app.get("/")(lambda req: "hello")
with app.test_client() as client:
    print(client.get("/").text)
interpreters.destroy(identity)
"""


def test_a_subinterpreter_is_refused_by_name(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("inside") / "told"
    with Program(INSIDE, str(place)) as program:
        end = program.end(30)
    assert (end.code, end.out) == (0, "None\nhello\n"), end
    told = place.read_text()
    if sys.version_info < (3, 12):
        assert told.startswith("LibraryError: ") and "interpreter" in told
    else:
        # There ctypes itself refuses, in words of its own.
        assert "interpreter" in told
